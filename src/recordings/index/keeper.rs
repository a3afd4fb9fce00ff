//! Keeps the index equal to the files. Changes arrive through a bounded queue, and the index is compared with the files
//! at the start, every hour, and whenever news was missed.
//!
//! ```text
//!  Recorder's threads ─┐ put                      ┌── compare: names in the folder with ids in the index; reads
//!  API, purge ─────────┤ gone ──► queue ──► Keeper┤            the files of the recordings that differ
//!  a failed query ─────┘ check                    └── open again: the database is damaged, removed or in memory
//! ```
//! Nothing here can disturb a call: after a full queue the index is compared with the files, and a failing database
//! is retried later.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};

use super::{Index, IndexError, IndexState, Opened};
use crate::operator::{Detail, Notice};
use crate::paging::Page;
use crate::recordings::{Facts, Library, LibraryError, Part, RecordingId, State};

/// The number of news that may wait. A call makes two. If more wait, the disk hangs, and a comparison follows anyway.
/// A larger value costs memory; a smaller one causes comparisons.
const QUEUE: usize = 1_024;
/// The number of rows in one transaction. A larger value keeps readers out for longer; a smaller one makes writing
/// slower.
const BATCH: usize = 256;
/// How often the files and the index are compared without a reason. A longer interval leaves an undetected difference
/// for longer; a shorter one costs the disk more.
const COMPARE: Duration = Duration::from_secs(3_600);
/// The pause after the database has failed. A longer pause delays the recovery; a shorter one burdens a failing disk.
const RETRY: Duration = Duration::from_secs(30);

enum Change {
    Put(Box<Facts>),
    Gone(RecordingId),
    Check,
}

/// Tells the keeper what happened to recordings, without waiting. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Feed {
    queue: Sender<Change>,
    missed: Arc<AtomicBool>,
}

impl Feed {
    /// A recording began or was finished.
    pub fn put(&self, facts: Facts) {
        self.send(Change::Put(Box::new(facts)));
    }

    /// The files of a recording are gone.
    pub fn gone(&self, id: RecordingId) {
        self.send(Change::Gone(id));
    }

    /// A query of the index failed, so the keeper examines the index.
    pub fn check(&self) {
        self.send(Change::Check);
    }

    fn send(&self, news: Change) {
        if self.queue.try_send(news).is_err() {
            self.missed.store(true, Ordering::Relaxed);
        }
    }
}

/// Receives the keeper's notices for the operator.
pub type Tell = Box<dyn Fn(Notice) + Send + Sync>;

/// The only writer of an index.
pub struct Keeper {
    index: Index,
    library: Library,
    inbox: Receiver<Change>,
    missed: Arc<AtomicBool>,
    tell: Tell,
    /// Whether the operator has been told of the present trouble.
    said: bool,
}

/// What the keeper does next.
enum Next {
    Open,
    Compare,
    Wait,
}

impl Keeper {
    /// Creates the keeper of `index` for the recordings in `library`.
    #[must_use]
    pub fn new(index: Index, library: Library, tell: Tell) -> (Self, Feed) {
        let (queue, inbox) = mpsc::channel(QUEUE);
        let missed = Arc::new(AtomicBool::new(false));
        let feed = Feed { queue, missed: Arc::clone(&missed) };
        (Self { index, library, inbox, missed, tell, said: false }, feed)
    }

    /// Opens the index and keeps it until the last feed has been dropped.
    pub async fn run(mut self) {
        let mut next = Next::Open;
        let mut in_memory = false;
        loop {
            next = match next {
                Next::Open => match self.open().await {
                    Ok(memory) => {
                        in_memory = memory;
                        Next::Compare
                    }
                    Err(_) => Next::Wait,
                },
                Next::Compare => {
                    self.missed.store(false, Ordering::Relaxed);
                    match self.compare().await {
                        Ok(()) => Next::Wait,
                        Err(error) => self.failed(&error).await,
                    }
                }
                Next::Wait => {
                    let is_open = self.index.standing() != IndexState::Closed;
                    let patience = if is_open && !in_memory { COMPARE } else { RETRY };
                    match tokio::time::timeout(patience, self.serve()).await {
                        Ok(None) => return self.index.close().await,
                        Ok(Some(next)) => next,
                        Err(_) if is_open && self.index.is_in_place() => Next::Compare,
                        Err(_) => Next::Open,
                    }
                }
            };
        }
    }

    /// Opens the index. Returns whether it is in memory only.
    async fn open(&mut self) -> Result<bool, IndexError> {
        let opened = self.index.open().await;
        let (notice, memory) = match &opened {
            Ok(Opened::Fine) => (None, false),
            Ok(Opened::Moved(path)) => (Some(Notice::IndexMoved { path: path.display().to_string() }), false),
            Ok(Opened::InMemory(cause)) => (Some(Notice::IndexInMemory { cause: cause.clone() }), true),
            Err(error) => (Some(Notice::IndexInMemory { cause: Detail::new(error) }), true),
        };
        if let Some(notice) = notice.filter(|_| !memory || !self.said) {
            (self.tell)(notice);
        }
        self.said = memory;
        opened.map(|_| memory)
    }

    /// Writes the news until something else must be done. `None` if the last feed has been dropped.
    async fn serve(&mut self) -> Option<Next> {
        let mut news = Vec::with_capacity(BATCH);
        loop {
            news.clear();
            if self.inbox.recv_many(&mut news, BATCH).await == 0 {
                return None;
            }
            let check = news.iter().any(|news| matches!(news, Change::Check));
            if check && !self.index.is_in_place() {
                return Some(Next::Open);
            }
            if let Err(error) = self.write(&mut news).await {
                return Some(self.failed(&error).await);
            }
            if check || self.missed.load(Ordering::Relaxed) {
                return Some(Next::Compare);
            }
        }
    }

    /// Writes the news in their order.
    async fn write(&self, news: &mut Vec<Change>) -> Result<(), IndexError> {
        let mut batch = Vec::new();
        for news in news.drain(..) {
            match news {
                Change::Put(facts) => batch.push(*facts),
                Change::Gone(id) => {
                    self.index.put(&std::mem::take(&mut batch)).await?;
                    self.index.remove(&[id]).await?;
                }
                Change::Check => {}
            }
        }
        self.index.put(&batch).await
    }

    /// Adds recordings that only the folder has, removes those that are gone, and reads those anew whose state
    /// differs from the index.
    async fn compare(&self) -> Result<(), IndexError> {
        let library = self.library.clone();
        let Some(files) = blocking(move || library.list()).await.and_then(Result::ok) else {
            // If the folder cannot be read now, the index keeps what it knows.
            return Ok(());
        };
        let mut known: HashMap<RecordingId, State> = self.index.all().await?.into_iter().collect();
        let differs =
            |(id, state): &(RecordingId, State)| known.remove(id).is_none_or(|known| !agree(known, *state));
        let changed: Vec<RecordingId> = files.into_iter().filter(differs).map(|(id, _)| id).collect();
        self.index.remove(&known.into_keys().collect::<Vec<_>>()).await?;
        for ids in changed.chunks(BATCH) {
            let (library, ids) = (self.library.clone(), ids.to_vec());
            let read = move || ids.iter().filter_map(|id| library.facts(id).ok()).collect::<Vec<_>>();
            self.index.put(&blocking(read).await.unwrap_or_default()).await?;
        }
        self.index.ready();
        Ok(())
    }

    /// Decides what follows a failure of the database.
    async fn failed(&self, error: &IndexError) -> Next {
        tracing::debug!(%error, "the index failed");
        if error.is_corrupt() {
            return Next::Open;
        }
        self.index.close().await;
        Next::Wait
    }
}

/// Whether the state in the index agrees with the state in the folder. The names of the files do not tell whether a
/// crash interrupted a finished recording, so `Finished` in the folder agrees with both finished states.
const fn agree(index: State, folder: State) -> bool {
    matches!(
        (index, folder),
        (State::Live, State::Live)
            | (State::Finished | State::Recovered, State::Finished)
            | (State::Recovered, State::Recovered)
    )
}

impl Page<Facts> {
    /// Corrects the page by the files: removes recordings that are gone and reads changed ones anew. The index is
    /// told of both. Blocks.
    #[must_use]
    pub fn held_to_files(mut self, library: &Library, feed: &Feed) -> Self {
        self.entries.retain_mut(|facts| match look(library, &facts.id) {
            Ok(Some(state)) if agree(facts.state, state) => true,
            Ok(Some(_)) => match library.facts(&facts.id) {
                Ok(read) => {
                    let told = read.told.clone().or_else(|| facts.told.take());
                    *facts = Facts { told, ..read };
                    feed.put(facts.clone());
                    true
                }
                Err(error) => !matches!(error, LibraryError::NotFound),
            },
            Ok(None) => {
                feed.gone(facts.id.clone());
                false
            }
            // The disk does not answer, which says nothing about the recording.
            Err(_) => true,
        });
        self
    }
}

/// The state of a recording, determined from the names of its files only.
fn look(library: &Library, id: &RecordingId) -> io::Result<Option<State>> {
    for sealed in [false, true] {
        if library.folder().join(id.file_name(Part::Conversation, sealed)).try_exists()? {
            return Ok(Some(State::Finished));
        }
    }
    match library.state(id) {
        Ok(state) => Ok(Some(state)),
        Err(LibraryError::NotFound) => Ok(None),
        Err(LibraryError::Io(error)) => Err(error),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Runs blocking work on a blocking thread. Returns `None` if the work panicked.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

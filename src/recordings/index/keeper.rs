//! Keeps the index like the files: a task behind a bounded queue, and a comparison of both at the start, every
//! hour, and whenever something was missed.
//!
//! ```text
//!  Recorder's threads ─┐ put                      ┌── compare: names of the folder against ids of the index,
//!  API, purge ─────────┤ gone ──► queue ──► Keeper┤            the facts of those that differ read from their files
//!  a failed query ─────┘ check                    └── open again: damaged, removed, or only in memory so far
//! ```
//! Nothing here can touch a call: a full queue is noted and made good by a comparison, a failing database is
//! tried again later.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};

use super::{Index, IndexError, Opened, Page, Standing};
use crate::operator::{Detail, Notice};
use crate::recordings::{Facts, Library, LibraryError, Part, RecordingId, State};

/// News that may wait. A call makes two; more waiting means a disk that hangs, and then all are compared.
const QUEUE: usize = 1_024;
/// Rows written in one transaction: enough to be fast, few enough to let a list in between.
const BATCH: usize = 256;
/// How often files and index are compared for nothing but prudence.
const COMPARE: Duration = Duration::from_secs(3_600);
/// How long a failed database is left alone.
const RETRY: Duration = Duration::from_secs(30);

enum News {
    Put(Box<Facts>),
    Gone(RecordingId),
    Check,
}

/// Tells the keeper; never waits. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Feed {
    queue: Sender<News>,
    missed: Arc<AtomicBool>,
}

impl Feed {
    /// A recording began, or is finished.
    pub fn put(&self, facts: Facts) {
        self.send(News::Put(Box::new(facts)));
    }

    /// The files of a recording are gone.
    pub fn gone(&self, id: RecordingId) {
        self.send(News::Gone(id));
    }

    /// The index failed somebody.
    pub fn check(&self) {
        self.send(News::Check);
    }

    fn send(&self, news: News) {
        if self.queue.try_send(news).is_err() {
            self.missed.store(true, Ordering::Relaxed);
        }
    }
}

/// Where the keeper's lines for the operator go.
pub type Tell = Box<dyn Fn(Notice) + Send + Sync>;

/// The one writer of an index.
pub struct Keeper {
    index: Index,
    library: Library,
    inbox: Receiver<News>,
    missed: Arc<AtomicBool>,
    tell: Tell,
    /// The same trouble is said once.
    said: bool,
}

/// What the keeper does next.
enum Next {
    Open,
    Compare,
    Wait,
}

impl Keeper {
    /// A keeper of `index` for the recordings in `library`.
    #[must_use]
    pub fn new(index: Index, library: Library, tell: Tell) -> (Self, Feed) {
        let (queue, inbox) = mpsc::channel(QUEUE);
        let missed = Arc::new(AtomicBool::new(false));
        let feed = Feed { queue, missed: Arc::clone(&missed) };
        (Self { index, library, inbox, missed, tell, said: false }, feed)
    }

    /// Opens the index and keeps it, until the last feed is dropped.
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
                    let is_open = self.index.standing() != Standing::Closed;
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

    /// Whether it is only in memory.
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

    /// Writes what comes until something else is to be done. `None`: nobody feeds it any more.
    async fn serve(&mut self) -> Option<Next> {
        let mut news = Vec::with_capacity(BATCH);
        loop {
            news.clear();
            if self.inbox.recv_many(&mut news, BATCH).await == 0 {
                return None;
            }
            let check = news.iter().any(|news| matches!(news, News::Check));
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
    async fn write(&self, news: &mut Vec<News>) -> Result<(), IndexError> {
        let mut batch = Vec::new();
        for news in news.drain(..) {
            match news {
                News::Put(facts) => batch.push(*facts),
                News::Gone(id) => {
                    self.index.put(&std::mem::take(&mut batch)).await?;
                    self.index.remove(&[id]).await?;
                }
                News::Check => {}
            }
        }
        self.index.put(&batch).await
    }

    /// Puts in what the folder has and the index has not, takes out what is gone, and reads anew what stands
    /// elsewhere than the index says.
    async fn compare(&self) -> Result<(), IndexError> {
        let library = self.library.clone();
        let Some(files) = blocking(move || library.list()).await.and_then(Result::ok) else {
            // A folder that cannot be read now is no reason to forget what was in it.
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

    /// What follows a failure of the database.
    async fn failed(&self, error: &IndexError) -> Next {
        tracing::debug!(%error, "the index failed");
        if error.is_corrupt() {
            return Next::Open;
        }
        self.index.close().await;
        Next::Wait
    }
}

/// Whether a state of the index is what a look at the folder can say of it: that a finished recording was cut
/// off stands in the recording only.
const fn agree(index: State, folder: State) -> bool {
    matches!(
        (index, folder),
        (State::Live, State::Live)
            | (State::Finished | State::Recovered, State::Finished)
            | (State::Recovered, State::Recovered)
    )
}

impl Page {
    /// The page as the files have it: what is gone leaves it, what has changed is read anew, and the index
    /// hears of both. Blocks.
    #[must_use]
    pub fn held_to_files(mut self, library: &Library, feed: &Feed) -> Self {
        self.recordings.retain_mut(|facts| match look(library, &facts.id) {
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
            // The disk does not answer now: that says nothing about the recording.
            Err(_) => true,
        });
        self
    }
}

/// Where a recording stands, from the names of its files alone.
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

/// Runs what waits for the disk beside the runtime; `None` if it panicked.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

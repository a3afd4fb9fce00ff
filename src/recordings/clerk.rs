//! The second thread: finishes recordings.
//!
//! So a long encrypted recording being put together holds up nobody's writing. What fails is tried again for as long as
//! this process lives, and by the next start after that.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::finish::{After, Finish, discard};
use super::library::LibraryError;
use super::live::Live;
use super::recover;
use super::seal::Recipient;
use super::writer::{News, Shared};
use super::{Facts, State};
use crate::operator::{Detail, Notice};

/// How long after a failure finishing is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// Recordings that wait for another attempt; each holds a file open. What is more waits for the next start.
const WAITING: usize = 256;

/// What the thread owns.
pub(super) struct Clerk {
    pub(super) shared: Arc<Shared>,
    pub(super) over: Receiver<Live>,
    /// To be tried again, at the time of the other field.
    failed: Vec<Live>,
    retry_at: Option<Instant>,
}

impl Clerk {
    pub(super) fn new(shared: Arc<Shared>, over: Receiver<Live>) -> Self {
        Self { shared, over, failed: Vec::new(), retry_at: None }
    }

    /// Completes what the run before this one left, then works until the writer is gone.
    pub(super) fn run(mut self, unfinished: Vec<Live>) {
        self.recover(unfinished);
        loop {
            let now = (self.shared.clock)();
            if self.retry_at.is_some_and(|at| at <= now) {
                self.retry();
            }
            let over = match self.retry_at {
                None => self.over.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => self.over.recv_timeout(at.saturating_duration_since(now)),
            };
            match over {
                Ok(live) => self.finish(live, true),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.retry();
    }

    fn recover(&mut self, unfinished: Vec<Live>) {
        let (mut completed, mut sealed) = (0, 0);
        for live in unfinished {
            if recover::is_finished(&self.shared.settings.folder, &live) {
                discard(&live.folder);
                continue;
            }
            match finish(&self.shared, &live) {
                Ok(facts) => {
                    completed += 1;
                    self.shared.tell(News::Finished(facts));
                }
                // It stays as it is, and whoever has the identity may take it over.
                Err(LibraryError::Sealed) => {
                    sealed += 1;
                    let (id, bytes) = (live.id.clone(), live.folder.bytes().unwrap_or_default());
                    let facts = Facts { id, state: State::Recovered, sealed: true, bytes, told: None };
                    self.shared.tell(News::Finished(facts));
                }
                Err(error) => {
                    self.say_failed(&live, &error);
                    self.keep_for_later(live);
                }
            }
        }
        self.shared.unfinished.store(self.failed.len(), Ordering::Relaxed);
        if completed > 0 {
            self.shared.tell(News::Notice(Notice::RecordingsRecovered { count: completed }));
        }
        if sealed > 0 {
            self.shared.tell(News::Notice(Notice::RecordingsSealed { count: sealed }));
        }
    }

    fn retry(&mut self) {
        self.retry_at = None;
        for live in std::mem::take(&mut self.failed) {
            self.finish(live, false);
        }
    }

    /// Finishes one; what cannot be finished now is kept for later, and said if it `is_news`.
    fn finish(&mut self, live: Live, is_news: bool) {
        match finish(&self.shared, &live) {
            Ok(facts) => self.shared.tell(News::Finished(facts)),
            Err(error) if live.folder.is_gone() => {
                let (id, cause) = (live.id.to_string(), Detail::new(error));
                self.shared.tell(News::Notice(Notice::RecordingLost { id, cause }));
            }
            Err(error) => {
                if is_news {
                    self.say_failed(&live, &error);
                }
                self.keep_for_later(live);
            }
        }
        self.shared.unfinished.store(self.failed.len(), Ordering::Relaxed);
    }

    fn say_failed(&self, live: &Live, error: &LibraryError) {
        let (id, cause) = (live.id.to_string(), Detail::new(error));
        self.shared.tell(News::Notice(Notice::RecordingUnfinished { id, cause }));
    }

    fn keep_for_later(&mut self, live: Live) {
        if self.failed.len() < WAITING {
            self.failed.push(live);
            self.retry_at = Some((self.shared.clock)() + RETRY);
        }
    }
}

/// Finishes the recording in a folder that is ours, where it is.
fn finish(shared: &Shared, live: &Live) -> Result<Facts, LibraryError> {
    let settings = &shared.settings;
    let identity = live.own_key.as_deref().or(settings.identity.as_deref());
    // What was sealed stays sealed, whatever the settings say since.
    let recipients: Vec<Recipient> = match (&settings.recipient, identity) {
        (Some(recipient), _) => vec![recipient.clone()],
        (None, Some(identity)) if live.folder.is_sealed()? => identity.recipients().collect(),
        (None, _) => Vec::new(),
    };
    let target: &Path = &settings.folder;
    let (id, folder, language) = (&live.id, &live.folder, settings.language);
    let finish =
        Finish { id, folder, identity, target, recipients: &recipients, language, after: After::Consumed };
    Ok(finish.run()?.0)
}

//! The second thread: whatever takes long. Syncs what the writer wrote, finishes recordings.
//!
//! So a disk that takes its time for a sync, or a long encrypted recording being put together, holds up nobody's
//! writing. Syncs are best effort: when more is asked than the disk can do, some are left out, and the next
//! writing asks again. Finishing is not: what fails is tried again for as long as this process lives, and by
//! the next start after that.

use std::fs::File;
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

/// Something to do.
#[derive(Debug)]
pub(super) enum Job {
    /// Bring this file to the disk.
    Sync(Arc<File>),
    /// The call is over.
    Finish(Live),
}

/// What the thread owns.
pub(super) struct Clerk {
    pub(super) shared: Arc<Shared>,
    pub(super) jobs: Receiver<Job>,
    /// To be tried again, at the time of the other field.
    failed: Vec<Live>,
    retry_at: Option<Instant>,
}

impl Clerk {
    pub(super) fn new(shared: Arc<Shared>, jobs: Receiver<Job>) -> Self {
        Self { shared, jobs, failed: Vec::new(), retry_at: None }
    }

    /// Completes what the run before this one left, then works until the writer is gone.
    pub(super) fn run(mut self, unfinished: Vec<Live>) {
        self.recover(unfinished);
        loop {
            let now = (self.shared.clock)();
            if self.retry_at.is_some_and(|at| at <= now) {
                self.retry();
            }
            let job = match self.retry_at {
                None => self.jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => self.jobs.recv_timeout(at.saturating_duration_since(now)),
            };
            match job {
                Ok(job) => self.work(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.retry();
    }

    /// Everything that waits, each file once.
    fn work(&mut self, first: Job) {
        let mut files: Vec<Arc<File>> = Vec::new();
        let mut over = Vec::new();
        for job in std::iter::once(first).chain(self.jobs.try_iter()) {
            match job {
                Job::Sync(file) if files.iter().any(|known| Arc::ptr_eq(known, &file)) => {}
                Job::Sync(file) => files.push(file),
                Job::Finish(live) => over.push(live),
            }
        }
        for live in over {
            self.finish(live, true);
        }
        for file in files {
            if let Err(error) = file.sync_data() {
                tracing::debug!(%error, "a recording could not be synced");
            }
        }
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

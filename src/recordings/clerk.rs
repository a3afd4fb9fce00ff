//! The second thread of the recorder: finishes recordings.
//!
//! A separate thread is used so that finishing a long encrypted recording does not delay the writing of others.
//! Whatever fails is retried while this process lives, and by the next start.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::error::LibraryError;
use super::finish::{After, Finish, discard};
use super::live::Live;
use super::recover;
use super::seal::Recipient;
use super::shared::{RecorderReport, Shared};
use super::{Facts, State};
use crate::operator::{Detail, Notice};
use crate::units::ByteCount;

/// The pause before a failed completion is retried. A longer pause delays the recording's appearance; a shorter one
/// burdens a failing disk.
const RETRY: Duration = Duration::from_secs(5);
/// The number of recordings that may wait for another attempt. Each keeps a file open. Others wait for the next
/// start. A larger value keeps more files open.
const WAITING: usize = 256;

/// The state of the thread.
pub(super) struct Clerk {
    pub(super) shared: Arc<Shared>,
    pub(super) over: Receiver<Live>,
    /// The recordings to retry, at the time of the other field.
    failed: Vec<Live>,
    retry_at: Option<Instant>,
}

impl Clerk {
    pub(super) fn new(shared: Arc<Shared>, over: Receiver<Live>) -> Self {
        Self { shared, over, failed: Vec::new(), retry_at: None }
    }

    /// Completes what the previous run left, and then works until the writer has ended.
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
                    self.shared.tell(RecorderReport::Finished(facts));
                }
                // The recording stays as it is. A process with the secret key may take it over.
                Err(LibraryError::Sealed) => {
                    sealed += 1;
                    let bytes = ByteCount::new(live.folder.bytes().unwrap_or_default());
                    let id = live.id.clone();
                    let facts = Facts { id, state: State::Recovered, sealed: true, bytes, told: None };
                    self.shared.tell(RecorderReport::Finished(facts));
                }
                Err(error) => {
                    self.say_failed(&live, &error);
                    self.keep_for_later(live);
                }
            }
        }
        self.shared.unfinished.store(self.failed.len(), Ordering::Relaxed);
        if completed > 0 {
            self.shared.tell(RecorderReport::Notice(Notice::RecordingsRecovered { count: completed }));
        }
        if sealed > 0 {
            self.shared.tell(RecorderReport::Notice(Notice::RecordingsSealed { count: sealed }));
        }
    }

    fn retry(&mut self) {
        self.retry_at = None;
        for live in std::mem::take(&mut self.failed) {
            self.finish(live, false);
        }
    }

    /// Finishes a recording. If that fails, the recording is kept for another attempt, and the operator is told if
    /// `is_news` is set.
    fn finish(&mut self, live: Live, is_news: bool) {
        match finish(&self.shared, &live) {
            Ok(facts) => self.shared.tell(RecorderReport::Finished(facts)),
            Err(error) if live.folder.is_gone() => {
                let (id, cause) = (live.id.to_string(), Detail::new(error));
                self.shared.tell(RecorderReport::Notice(Notice::RecordingLost { id, cause }));
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
        self.shared.tell(RecorderReport::Notice(Notice::RecordingUnfinished { id, cause }));
    }

    fn keep_for_later(&mut self, live: Live) {
        if self.failed.len() < WAITING {
            self.failed.push(live);
            self.retry_at = Some((self.shared.clock)() + RETRY);
        }
    }
}

/// Finishes the recording in a folder that this process has locked.
fn finish(shared: &Shared, live: &Live) -> Result<Facts, LibraryError> {
    let settings = &shared.settings;
    let identity = live.own_key.as_deref().or(settings.identity.as_deref());
    // What was encrypted stays encrypted, even if the settings have changed since.
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

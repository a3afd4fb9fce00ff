//! What the recorder's threads share: the settings, the clock, counts, and where their news goes.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::time::Instant;

use super::{Facts, RecordingSettings};
use crate::operator::Notice;

/// What the recorder reports to the keeper of an index and for the operator. The receiver runs on the recorder's threads and must not
/// wait.
#[derive(Debug, Clone, PartialEq)]
pub enum RecorderReport {
    /// A recording begins: `State::Live`.
    Opened(Facts),
    /// The files of a recording are complete: `State::Finished` or, at a start, `State::Recovered`. An encrypted
    /// recording whose secret key is not here reveals nothing, and what an index holds of it stays.
    Finished(Facts),
    /// A notice for the operator.
    Notice(Notice),
}

/// What the threads of the recorder share.
pub(super) struct Shared {
    pub(super) settings: RecordingSettings,
    pub(super) clock: fn() -> Instant,
    pub(super) news: Box<dyn Fn(RecorderReport) + Send + Sync>,
    pub(super) unfinished: AtomicUsize,
    pub(super) refused: AtomicBool,
    pub(super) live: AtomicUsize,
    pub(super) missed: AtomicU64,
}

impl Shared {
    pub(super) fn tell(&self, news: RecorderReport) {
        (self.news)(news);
    }
}

//! What a call and the writer tell each other while the call runs: how much waits, and what has become of the sound.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// What has become of the sound that a call has handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// All of it is in the files.
    All,
    /// Some of it is still to be written.
    NotYet,
    /// Some of it was dropped.
    InPart,
}

/// What the writer and the call tell each other while the call runs.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// The number of bytes of this call that are in the queue.
    waiting: AtomicUsize,
    /// The number of bytes of sound, deltas included, of which everything up to the last is in the files.
    written: AtomicU64,
    /// Whether the disk refused the last write.
    refused: AtomicBool,
    /// Whether sound was dropped.
    dropped: AtomicBool,
}

impl Share {
    /// The writer has taken an entry of this weight out of the queue.
    pub(super) fn taken(&self, bytes: usize) {
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The disk has accepted everything up to this number of bytes of sound.
    pub(super) fn written(&self, sound_bytes: u64) {
        self.written.store(sound_bytes, Ordering::Release);
    }

    /// The disk has refused a write (true), or accepted one.
    pub(super) fn refused(&self, refused: bool) {
        self.refused.store(refused, Ordering::Relaxed);
    }

    /// Sound was dropped, or the whole recording.
    pub(super) fn dropped(&self) {
        self.dropped.store(true, Ordering::Release);
    }

    /// The call has handed over an entry of this weight.
    pub(super) fn handed_over(&self, bytes: usize) {
        self.waiting.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The number of bytes of this call that are in the queue.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether the disk refused the last write.
    pub(super) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// What has become of the sound, of which so many bytes were handed over.
    pub(super) fn kept(&self, sound_bytes: u64) -> Kept {
        if self.dropped.load(Ordering::Acquire) {
            Kept::InPart
        } else if self.written.load(Ordering::Acquire) < sound_bytes {
            Kept::NotYet
        } else {
            Kept::All
        }
    }
}

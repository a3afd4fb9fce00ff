//! The sound of one call, in G.711 µ-law: what the caller sends, in which their speech is found, and what the model says. From the
//! answer on a frame of 20 ms is due to the caller every 20 ms; it is silence while the model says nothing.
//!
//! ```text
//!            loud for ONSET                  quiet for the silence of the settings
//!   Quiet ──────────────────► Speaking ─────────────────────────────────────────────► Quiet
//!              Began                                    Ended
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sim::rtp::SILENCE;

const FRAME: Duration = Duration::from_millis(20);
const FRAME_MS: u64 = 20;
const FRAME_BYTES: usize = 160;
/// The mean magnitude of the codes of a loud frame, of 0 (silence) to 127. A larger value misses soft speech; a smaller one takes
/// noise for speech.
const LOUD: usize = 24;
/// The number of loud frames with which speech begins.
const ONSET: u64 = 3;
/// The number of frames that may wait for whoever carries them to the caller.
const WAITING: usize = 100;
/// The number of bytes of the caller's sound that are kept: ten minutes.
const KEPT: usize = 10 * 60 * 8_000;

/// What is found in the caller's sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// They begin to speak.
    Began,
    /// They have been silent for long enough.
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ear {
    Quiet { loud: u64 },
    Speaking { quiet: u64 },
}

/// What the model is saying.
#[derive(Debug)]
struct Saying {
    sound: Arc<[u8]>,
    sent: usize,
}

/// The sound of one call.
#[derive(Debug)]
pub(super) struct Line {
    /// When the next frame is due. None: the call is over.
    due: Option<Instant>,
    saying: Option<Saying>,
    frames: VecDeque<Vec<u8>>,
    received: Vec<u8>,
    ear: Ear,
}

impl Line {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            due: Some(now),
            saying: None,
            frames: VecDeque::new(),
            received: Vec::new(),
            ear: Ear::Quiet { loud: 0 },
        }
    }

    pub(super) fn close(&mut self) {
        self.due = None;
        self.frames.clear();
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Makes every frame that is due by now.
    pub(super) fn advance(&mut self, now: Instant) {
        while let Some(due) = self.due.filter(|due| *due <= now) {
            self.due = Some(due + FRAME);
            if self.frames.len() == WAITING {
                self.frames.pop_front();
            }
            let frame = self.next_frame();
            self.frames.push_back(frame);
        }
    }

    /// The model says this from the next frame on.
    pub(super) fn say(&mut self, sound: Arc<[u8]>) {
        self.saying = Some(Saying { sound, sent: 0 });
    }

    /// The model falls silent. Returns how much of what it was saying has been sent, in milliseconds; None: it was saying nothing.
    pub(super) fn stop(&mut self) -> Option<u64> {
        self.saying.take().map(|saying| saying.sent as u64 / 8)
    }

    /// The next frame for the caller.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        self.frames.pop_front()
    }

    /// A frame of the caller's sound arrives; a turn ends with so many milliseconds of silence.
    pub(super) fn hear(&mut self, frame: &[u8], silence_ms: u64) -> Option<Heard> {
        if self.received.len() < KEPT {
            self.received.extend_from_slice(frame);
        }
        let (ear, heard) = match (self.ear, is_loud(frame)) {
            (Ear::Quiet { .. }, false) => (Ear::Quiet { loud: 0 }, None),
            (Ear::Quiet { loud }, true) if loud + 1 < ONSET => (Ear::Quiet { loud: loud + 1 }, None),
            (Ear::Quiet { .. }, true) => (Ear::Speaking { quiet: 0 }, Some(Heard::Began)),
            (Ear::Speaking { .. }, true) => (Ear::Speaking { quiet: 0 }, None),
            (Ear::Speaking { quiet }, false) if (quiet + 1) * FRAME_MS < silence_ms => {
                (Ear::Speaking { quiet: quiet + 1 }, None)
            }
            (Ear::Speaking { .. }, false) => (Ear::Quiet { loud: 0 }, Some(Heard::Ended)),
        };
        self.ear = ear;
        heard
    }

    /// All the sound of the caller.
    pub(super) fn received(&self) -> &[u8] {
        &self.received
    }

    fn next_frame(&mut self) -> Vec<u8> {
        let mut frame = vec![SILENCE; FRAME_BYTES];
        let Some(saying) = &mut self.saying else { return frame };
        let rest = &saying.sound[saying.sent..];
        let piece = &rest[..rest.len().min(FRAME_BYTES)];
        frame[..piece.len()].copy_from_slice(piece);
        saying.sent += piece.len();
        if saying.sent == saying.sound.len() {
            self.saying = None;
        }
        frame
    }
}

/// Whether a frame is loud. The codes of µ-law are roughly the logarithm of the amplitude.
fn is_loud(frame: &[u8]) -> bool {
    let sum: usize = frame.iter().map(|code| usize::from(!code & 127)).sum();
    sum > LOUD * frame.len()
}

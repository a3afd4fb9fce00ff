//! The call's own opinion of when the caller speaks: frame decisions of the voice detector, smoothed.
//!
//! Not what turns are made of – that is the model's server – but what it can be checked against: how long
//! the caller had been speaking when the server noticed, how long they have been quiet.

use std::time::Instant;

use crate::media::Frame;
use crate::media::vad::Vad;

/// Voiced frames in a row that make speech: 60 ms. Fewer, and a click is speech; more, and a short "no" is not.
const ONSET_FRAMES: u32 = 3;
/// Voiced frames in a row that no crackle makes: 240 ms. The detector itself holds on to a voice for some frames after a
/// click of one; larger, and a short "no" is not heard.
const CERTAIN_FRAMES: u32 = 12;
/// Unvoiced frames in a row that end it: 200 ms, longer than the pause inside a word.
const RELEASE_FRAMES: u32 = 10;

/// Listens to the caller, frame by frame.
#[derive(Debug, Default)]
pub struct Ear {
    vad: Vad,
    voiced_run: u32,
    unvoiced_run: u32,
    run_began: Option<Instant>,
    speech_since: Option<Instant>,
    last_voice: Option<Instant>,
    last_speech: Option<Instant>,
    voiced_frames: u64,
}

impl Ear {
    /// Takes the caller's next frame.
    pub fn hear(&mut self, now: Instant, frame: &Frame) {
        if self.vad.voice(frame) {
            self.voiced_frames += 1;
            self.voiced_run += 1;
            self.unvoiced_run = 0;
            self.last_voice = Some(now);
            let began = *self.run_began.get_or_insert(now);
            if self.voiced_run >= ONSET_FRAMES {
                self.speech_since.get_or_insert(began);
            }
            if self.voiced_run >= CERTAIN_FRAMES {
                self.last_speech = Some(now);
            }
        } else {
            self.unvoiced_run += 1;
            self.voiced_run = 0;
            if self.unvoiced_run >= RELEASE_FRAMES {
                self.speech_since = None;
            }
            if self.speech_since.is_none() {
                self.run_began = None;
            }
        }
    }

    /// Frames with a voice in them, whole call.
    pub fn voiced_frames(&self) -> u64 {
        self.voiced_frames
    }

    /// Since when the caller has been speaking, if they are.
    pub fn speech_since(&self) -> Option<Instant> {
        self.speech_since
    }

    /// When a voice was last heard that was too long to be a crackle on the line.
    pub fn last_speech(&self) -> Option<Instant> {
        self.last_speech
    }

    /// When a voice was last heard.
    pub fn last_voice(&self) -> Option<Instant> {
        self.last_voice
    }
}

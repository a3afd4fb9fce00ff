//! The last step of the caller's audio: our ear listens, and frames become appends.
//!
//! Until the session is ready the frames are kept, up to two seconds; then they leave at once, as one append.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Output;
use super::ear::Ear;
use super::uplink::Ready;
use crate::media::level::Level;
use crate::media::{FRAME_DURATION, Frame};

/// The maximum length of speech that is kept until the session is ready: 2 s. An answer to older speech would help nobody.
const KEPT_FRAMES: usize = 100;

/// What the caller says, on its way to the model.
#[derive(Debug)]
pub struct ToModel {
    /// Our own voice detector.
    ear: Ear,
    /// How loud the caller is.
    level: Level,
    frames_per_append: u8,
    in_append: u8,
    /// None: the session is ready.
    kept: Option<VecDeque<Frame>>,
}

impl ToModel {
    /// Keeps what comes, until [`Self::open`]. Appends will have so many frames (1-5).
    pub fn new(frames_per_append: u8) -> Self {
        Self {
            ear: Ear::default(),
            level: Level::default(),
            frames_per_append: frames_per_append.max(1),
            in_append: 0,
            kept: Some(VecDeque::new()),
        }
    }

    /// Our own voice detector.
    pub fn ear(&self) -> &Ear {
        &self.ear
    }

    /// How loud the caller was since this was asked last, dBFS; None: silent.
    pub fn take_level(&mut self) -> Option<f32> {
        self.level.take()
    }

    /// Takes the caller's next frame.
    ///
    /// # Panics
    /// More frames are kept, or are in an append, than may be.
    pub fn send(&mut self, now: Instant, ready: Ready, outputs: &mut Vec<Output>) {
        if ready.heard {
            self.ear.hear(now, &ready.frame);
            self.level.add(&ready.frame);
        }
        if let Some(kept) = &mut self.kept {
            if kept.len() == KEPT_FRAMES {
                kept.pop_front();
            }
            kept.push_back(ready.frame);
            assert!(kept.len() <= KEPT_FRAMES, "more speech is kept for the session than may be");
            return;
        }
        self.in_append += 1;
        assert!(self.in_append <= self.frames_per_append, "an append has more frames than it may have");
        let complete = self.in_append >= self.frames_per_append;
        if complete {
            self.in_append = 0;
        }
        outputs.push(Output::Append { frame: ready.frame, complete });
    }

    /// There is no session any more: keeps what comes.
    pub fn close(&mut self) {
        self.in_append = 0;
        self.kept.get_or_insert_default();
    }

    /// The session is ready: what was kept leaves. How long it is.
    pub fn open(&mut self, outputs: &mut Vec<Output>) -> Duration {
        let kept = self.kept.take().unwrap_or_default();
        let last = kept.len().checked_sub(1);
        let length = FRAME_DURATION * kept.len() as u32;
        for (index, frame) in kept.into_iter().enumerate() {
            outputs.push(Output::Append { frame, complete: Some(index) == last });
        }
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
    fn send(to_model: &mut ToModel, frames: std::ops::Range<u8>) -> Vec<(u8, bool)> {
        let mut outputs = Vec::new();
        for byte in frames {
            let ready = Ready { frame: Frame([byte; 160]), heard: true };
            to_model.send(Instant::now(), ready, &mut outputs);
        }
        appends(outputs)
    }

    fn appends(outputs: Vec<Output>) -> Vec<(u8, bool)> {
        let append = |output| match output {
            Output::Append { frame, complete } => (frame.0[0], complete),
            other => panic!("{other:?}"),
        };
        outputs.into_iter().map(append).collect()
    }

    #[test]
    fn two_seconds_are_kept_and_leave_as_one_append() {
        let mut to_model = ToModel::new(1);
        assert!(send(&mut to_model, 0..120).is_empty());
        let mut outputs = Vec::new();
        assert_eq!(to_model.open(&mut outputs), Duration::from_secs(2));
        let expected: Vec<_> = (20..120).map(|byte| (byte, byte == 119)).collect();
        assert_eq!(appends(outputs), expected);
        assert_eq!(send(&mut to_model, 0..1), [(0, true)]);
    }

    #[test]
    #[should_panic(expected = "more speech is kept for the session than may be")]
    fn speech_that_is_kept_beyond_its_bound_ends_the_call() {
        let kept = Some(vec![Frame::SILENCE; KEPT_FRAMES + 1].into());
        send(&mut ToModel { kept, ..ToModel::new(1) }, 0..1);
    }

    #[test]
    #[should_panic(expected = "an append has more frames than it may have")]
    fn an_append_that_is_not_completed_in_time_ends_the_call() {
        send(&mut ToModel { in_append: 3, kept: None, ..ToModel::new(3) }, 0..1);
    }

    #[test]
    fn frames_are_counted_into_appends() {
        let mut to_model = ToModel::new(3);
        to_model.open(&mut Vec::new());
        let complete: Vec<_> = send(&mut to_model, 0..7).into_iter().map(|(_, complete)| complete).collect();
        assert_eq!(complete, [false, false, true, false, false, true, false]);
    }
}

//! Puts both directions on one clock, for the recording: what left for the caller at each tick, and what came
//! from them meanwhile.
//!
//! A *slot* is one tick of the wire clock, 20 ms. The assistant fills one at each tick. The caller's frames
//! follow each other from slot to slot; they may come later or earlier than the tick, by as much as a network
//! delays them:
//!
//! ```text
//!   caller    ■ ■ ■ ■ ■ . .            lags: the assistant's frames wait for them, LAG_FRAMES at most,
//!   assistant ■ ■ ■ ■ ■ ■ ■            then their slot is silence, and their next frame goes where the clock is
//!
//!   caller    ■ ■ ■ ■ ■ ■ ■            runs ahead: their frames wait for the ticks, AHEAD_FRAMES at most,
//!   assistant ■ ■ ■ ■ ■ . .            then the oldest of them is dropped
//! ```
//! So the two never drift apart by more than a quarter of a second, whatever the phone's clock does, and
//! without loss every frame is kept once. About 6 kB; allocates one batch in ten ticks. Knows no files.

use std::collections::VecDeque;

use super::record::Entry;
use crate::media::{FRAME_BYTES, Frame, SILENCE_BYTE};

/// Frames in an [`Entry::Sound`]: 200 ms. More would be lost with a crash of the daemon, fewer cost more
/// messages.
pub const BATCH_FRAMES: usize = 10;
/// How long the recording waits for the caller: 240 ms. The uplink makes up silence after 200 ms, so this is
/// reached only before the session is ready, or when the phone's clock is slow. Less would put holes into an
/// ordinary burst of jitter; more is memory.
const LAG_FRAMES: usize = 12;
/// How far the caller may be ahead of the clock, likewise.
const AHEAD_FRAMES: usize = 12;

const BATCH_BYTES: usize = BATCH_FRAMES * 2 * FRAME_BYTES;

/// Who is further on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ahead {
    Assistant,
    Caller,
}

/// The two directions of one call.
#[derive(Debug)]
pub struct Tape {
    /// Frames without their other half.
    waiting: VecDeque<Frame>,
    /// Whose they are.
    ahead: Ahead,
    /// The caller's next frame does not follow the one before it: it goes where the clock is.
    adrift: bool,
    batch: Vec<u8>,
    dropped_frames: u64,
}

impl Default for Tape {
    fn default() -> Self {
        Self {
            waiting: VecDeque::with_capacity(LAG_FRAMES.max(AHEAD_FRAMES) + 1),
            ahead: Ahead::Assistant,
            adrift: true,
            batch: Vec::new(),
            dropped_frames: 0,
        }
    }
}

impl Tape {
    /// Frames of the caller that were dropped because they ran ahead.
    pub fn dropped_frames(&self) -> u64 {
        self.dropped_frames
    }

    /// A tick: this frame left for the caller.
    pub fn assistant(&mut self, frame: &Frame, out: &mut impl FnMut(Entry)) {
        if self.ahead == Ahead::Caller
            && let Some(caller) = self.waiting.pop_front()
        {
            self.put(&caller, frame, out);
            return;
        }
        self.ahead = Ahead::Assistant;
        self.waiting.push_back(*frame);
        if self.waiting.len() > LAG_FRAMES {
            self.adrift = true;
        }
        if self.adrift {
            self.go_on_without_caller(out);
        }
        self.check();
    }

    /// Asserts that no more frames wait than may wait; called after each frame.
    ///
    /// # Panics
    /// More frames wait for their other half.
    fn check(&self) {
        assert!(
            self.waiting.len() <= LAG_FRAMES.max(AHEAD_FRAMES),
            "more frames wait for their other half than may"
        );
    }

    /// Ticks at which nothing left, because the clock was late: silence.
    pub fn skipped(&mut self, frames: u64, out: &mut impl FnMut(Entry)) {
        // This many single frames leave nothing waiting from before. The rest, after the machine was asleep, is one entry.
        let singly = frames.min((AHEAD_FRAMES + LAG_FRAMES + 1) as u64);
        for _ in 0..singly {
            self.assistant(&Frame::SILENCE, out);
        }
        if frames > singly {
            self.flush(out);
            out(Entry::Silence { frames: frames - singly });
        }
    }

    /// The caller's next frame.
    pub fn caller(&mut self, frame: &Frame, out: &mut impl FnMut(Entry)) {
        self.adrift = false;
        if self.ahead == Ahead::Assistant
            && let Some(assistant) = self.waiting.pop_front()
        {
            self.put(frame, &assistant, out);
            return;
        }
        self.ahead = Ahead::Caller;
        self.waiting.push_back(*frame);
        if self.waiting.len() > AHEAD_FRAMES {
            self.waiting.pop_front();
            self.dropped_frames += 1;
        }
        self.check();
    }

    /// The end: what waits is put beside silence.
    pub fn finish(mut self, out: &mut impl FnMut(Entry)) {
        self.go_on_without_caller(out);
        while let Some(caller) = self.waiting.pop_front() {
            self.put(&caller, &Frame::SILENCE, out);
        }
        self.flush(out);
    }

    fn go_on_without_caller(&mut self, out: &mut impl FnMut(Entry)) {
        while self.ahead == Ahead::Assistant
            && let Some(assistant) = self.waiting.pop_front()
        {
            self.put(&Frame::SILENCE, &assistant, out);
        }
    }

    /// One slot is complete.
    fn put(&mut self, caller: &Frame, assistant: &Frame, out: &mut impl FnMut(Entry)) {
        if self.batch.capacity() == 0 {
            self.batch.reserve_exact(BATCH_BYTES);
        }
        let at = self.batch.len();
        assert!(at + 2 * FRAME_BYTES <= BATCH_BYTES, "a piece of the recording is longer than it may be");
        self.batch.resize(at + 2 * FRAME_BYTES, SILENCE_BYTE);
        let samples = caller.bytes().iter().zip(assistant.bytes());
        for (pair, (left, right)) in self.batch[at..].chunks_exact_mut(2).zip(samples) {
            pair.copy_from_slice(&[*left, *right]);
        }
        if self.batch.len() == BATCH_BYTES {
            self.flush(out);
        }
    }

    fn flush(&mut self, out: &mut impl FnMut(Entry)) {
        if !self.batch.is_empty() {
            out(Entry::Sound(std::mem::take(&mut self.batch).into_boxed_slice()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A frame that can be told from others.
    fn frame(number: usize) -> Frame {
        let mut frame = Frame([(number % 251) as u8; FRAME_BYTES]);
        frame.0[0] = (number / 251) as u8;
        frame
    }

    /// The slots in a recording's entries: left, right.
    fn slots(entries: &[Entry]) -> Vec<(Frame, Frame)> {
        let mut slots = Vec::new();
        for entry in entries {
            match entry {
                Entry::Sound(sound) => {
                    assert!(sound.len() <= BATCH_BYTES && sound.len().is_multiple_of(2 * FRAME_BYTES));
                    for slot in sound.chunks_exact(2 * FRAME_BYTES) {
                        let (mut left, mut right) = (Frame::SILENCE, Frame::SILENCE);
                        for (at, pair) in slot.chunks_exact(2).enumerate() {
                            (left.0[at], right.0[at]) = (pair[0], pair[1]);
                        }
                        slots.push((left, right));
                    }
                }
                Entry::Silence { frames } => {
                    slots.extend((0..*frames).map(|_| (Frame::SILENCE, Frame::SILENCE)));
                }
                other => panic!("{other:?}"),
            }
        }
        slots
    }

    #[test]
    fn frames_that_come_by_turns_lie_side_by_side_in_full_batches() {
        let (mut tape, mut entries) = (Tape::default(), Vec::new());
        for number in 0..20 {
            tape.caller(&frame(number), &mut |entry| entries.push(entry));
            tape.assistant(&frame(100 + number), &mut |entry| entries.push(entry));
        }
        assert_eq!(entries.len(), 2);
        tape.finish(&mut |entry| entries.push(entry));
        let expected: Vec<_> = (0..20).map(|number| (frame(number), frame(100 + number))).collect();
        assert_eq!(slots(&entries), expected);
    }

    #[test]
    fn the_callers_first_frame_lies_where_the_clock_is_and_a_burst_after_jitter_where_it_belongs() {
        let (mut tape, mut entries) = (Tape::default(), Vec::new());
        let mut out = |entry| entries.push(entry);
        for number in 0..7 {
            tape.assistant(&frame(number), &mut out);
        }
        tape.caller(&frame(50), &mut out);
        for number in 7..20 {
            tape.assistant(&frame(number), &mut out);
        }
        for number in 51..63 {
            tape.caller(&frame(number), &mut out);
        }
        tape.finish(&mut out);
        let left: Vec<_> = slots(&entries).into_iter().map(|(left, _)| left).collect();
        assert_eq!(left[..7], [Frame::SILENCE; 7]);
        assert_eq!(left[7..20], (50..63).map(frame).collect::<Vec<_>>());
    }

    #[test]
    fn a_caller_who_stopped_is_silence_and_comes_back_at_the_clock() {
        let (mut tape, mut entries) = (Tape::default(), Vec::new());
        let mut out = |entry| entries.push(entry);
        tape.caller(&frame(50), &mut out);
        for number in 0..30 {
            tape.assistant(&frame(number), &mut out);
        }
        tape.caller(&frame(51), &mut out);
        tape.assistant(&frame(30), &mut out);
        tape.finish(&mut out);
        let left: Vec<_> = slots(&entries).into_iter().map(|(left, _)| left).collect();
        assert_eq!((left[0], left[30]), (frame(50), frame(51)));
        assert!(left[1..30].iter().all(Frame::is_silence));
    }

    #[test]
    fn hours_of_sleep_are_one_entry_in_their_place() {
        let (mut tape, mut entries) = (Tape::default(), Vec::new());
        let mut out = |entry| entries.push(entry);
        tape.caller(&frame(50), &mut out);
        tape.caller(&frame(51), &mut out);
        tape.assistant(&frame(1), &mut out);
        tape.skipped(1_000, &mut out);
        tape.assistant(&frame(2), &mut out);
        tape.finish(&mut out);
        assert!(entries.len() < 10, "{}", entries.len());
        let slots = slots(&entries);
        assert_eq!(slots.len(), 1_002);
        assert_eq!(slots[0], (frame(50), frame(1)));
        assert_eq!(slots[1], (frame(51), Frame::SILENCE));
        assert_eq!(slots[1_001].1, frame(2));
    }

    #[test]
    #[should_panic(expected = "a piece of the recording is longer than it may be")]
    fn a_piece_that_is_not_handed_over_in_time_ends_the_call() {
        let mut tape = Tape { batch: vec![0; BATCH_BYTES], ..Tape::default() };
        tape.caller(&frame(1), &mut drop);
        tape.assistant(&frame(2), &mut drop);
    }

    #[test]
    #[should_panic(expected = "more frames wait for their other half than may")]
    fn frames_that_wait_beyond_their_bound_end_the_call() {
        let mut tape = Tape { ahead: Ahead::Caller, adrift: false, ..Tape::default() };
        tape.waiting.extend([frame(1); AHEAD_FRAMES + 2]);
        tape.caller(&frame(2), &mut drop);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Ticks(usize),
        Caller(usize),
        Skipped(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (1..4usize).prop_map(Step::Ticks),
            6 => (1..4usize).prop_map(Step::Caller),
            1 => (1..60usize).prop_map(Step::Ticks),
            1 => (1..20usize).prop_map(Step::Caller),
            1 => (1..80u64).prop_map(Step::Skipped),
        ];
        prop::collection::vec(step, 0..80)
    }

    proptest! {
        #[test]
        fn every_frame_is_there_once_and_at_its_place(steps in steps()) {
            let (mut tape, mut entries) = (Tape::default(), Vec::new());
            let (mut right, mut callers) = (Vec::new(), Vec::new());
            for step in steps {
                let mut out = |entry| entries.push(entry);
                match step {
                    Step::Ticks(count) => for _ in 0..count {
                        let frame = frame(1_000 + right.len());
                        tape.assistant(&frame, &mut out);
                        right.push(frame);
                    },
                    Step::Caller(count) => for _ in 0..count {
                        let frame = frame(40_000 + callers.len());
                        tape.caller(&frame, &mut out);
                        callers.push((right.len(), frame));
                    },
                    Step::Skipped(count) => {
                        tape.skipped(count, &mut out);
                        right.extend((0..count).map(|_| Frame::SILENCE));
                    }
                }
                prop_assert!(tape.waiting.len() <= LAG_FRAMES.max(AHEAD_FRAMES));
                prop_assert_eq!(tape.waiting.capacity(), Tape::default().waiting.capacity());
            }
            let dropped = tape.dropped_frames();
            tape.finish(&mut |entry| entries.push(entry));
            let slots = slots(&entries);
            let beyond = slots.len() - right.len();
            prop_assert!(beyond <= AHEAD_FRAMES);
            right.extend((0..beyond).map(|_| Frame::SILENCE));
            prop_assert_eq!(slots.iter().map(|(_, right)| *right).collect::<Vec<_>>(), right);
            // The caller: in order, each at most once, each near the tick at which it came.
            let mut missing = 0;
            let mut rest = callers.into_iter();
            for (slot, (left, _)) in slots.iter().enumerate().filter(|(_, (left, _))| !left.is_silence()) {
                let (came, _) = loop {
                    let next = rest.next().expect("a frame that was never given");
                    if next.1 == *left { break next; }
                    missing += 1;
                };
                prop_assert!(slot + LAG_FRAMES >= came && slot <= came + AHEAD_FRAMES, "{slot} {came}");
            }
            prop_assert_eq!(missing + rest.count() as u64, dropped);
        }
    }
}

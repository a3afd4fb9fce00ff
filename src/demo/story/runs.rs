//! Runs of speech in frames: who speaks from when to when.

use std::time::{Duration, Instant};

use crate::media::ulaw;

/// The mean amplitude above which a frame is speech (of 32 767). A larger value misses soft speech; a smaller
/// value takes noise for speech.
const LOUD: u32 = 300;
/// The longest pause within one run of speech: longer than the pauses between words, shorter than those
/// between turns. A larger value joins turns; a smaller value splits sentences.
const BETWEEN_WORDS: Duration = Duration::from_millis(500);
const FRAME: Duration = Duration::from_millis(20);

/// A period of speech without a long pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::demo) struct Run {
    pub(in crate::demo) began: Instant,
    /// The end of the last frame with speech.
    pub(in crate::demo) ended: Instant,
}

impl Run {
    pub(in crate::demo) fn length(self) -> Duration {
        self.ended - self.began
    }
}

/// Finds runs of speech in consecutive frames.
#[derive(Debug, Default)]
pub(in crate::demo) struct Runs {
    current: Option<Run>,
    over: Vec<Run>,
}

/// The change that a frame causes.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::demo) enum Change {
    Began(Instant),
    Ended(Run),
}

impl Runs {
    /// All runs of speech in these frames.
    pub(in crate::demo) fn of<'a>(frames: impl Iterator<Item = (Instant, &'a [u8])>) -> Vec<Run> {
        let mut runs = Self::default();
        for (at, frame) in frames {
            runs.hear(at, frame);
        }
        runs.over.extend(runs.current);
        runs.over
    }

    pub(in crate::demo) fn hear(&mut self, at: Instant, frame: &[u8]) -> Option<Change> {
        if !is_loud(frame) {
            return self.pass(at);
        }
        if let Some(run) = &mut self.current {
            run.ended = at + FRAME;
            return None;
        }
        self.current = Some(Run { began: at, ended: at + FRAME });
        Some(Change::Began(at))
    }

    /// Notes that time has passed without a frame, which may end a run.
    pub(in crate::demo) fn pass(&mut self, now: Instant) -> Option<Change> {
        let run = self.current.filter(|run| now.saturating_duration_since(run.ended) > BETWEEN_WORDS)?;
        self.current = None;
        self.over.push(run);
        Some(Change::Ended(run))
    }
}

fn is_loud(frame: &[u8]) -> bool {
    let sum: u32 = frame.iter().map(|code| u32::from(ulaw::decode(*code).unsigned_abs())).sum();
    sum > LOUD * frame.len() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speech_is_one_run_over_short_pauses_and_two_over_a_long_one() {
        let start = crate::clock::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let frame = |ms: u64| if matches!(ms, 100..200 | 400..500 | 1_100..1_200) { 0x90 } else { 0xFF };
        let frames: Vec<_> = (0..100).map(|n| (at(n * 20), [frame(n * 20); 160])).collect();
        let runs = Runs::of(frames.iter().map(|(at, frame)| (*at, frame.as_slice())));
        let runs: Vec<_> = runs
            .iter()
            .map(|run| ((run.began - start).as_millis(), (run.ended - start).as_millis()))
            .collect();
        assert_eq!(runs, [(100, 500), (1_100, 1_200)]);
    }
}

//! ⚑ Checks whether the caller's audio arrives at the pace of a clock: between 0.8 and 1.5 times real time
//! over two seconds.
//!
//! The check begins with the first audio of a configured session. The audio of the first 100 ms is exempt,
//! because a client rightly keeps audio while the session is set up and then sends it at once.

use std::time::{Duration, Instant};

/// The longest duration of the first flush.
const FLUSH: Duration = Duration::from_millis(100);
/// The length of the window in milliseconds. A larger value hides bursts; with a smaller value ordinary
/// jitter is a violation.
const WINDOW_MS: u64 = 2_000;
const SLOT_MS: u64 = 100;
const SLOTS: usize = 20;

/// A sliding window over the appended audio.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the measurement began. None: there was no audio yet, or none since a shortfall.
    from: Option<Instant>,
    /// The slot that is being filled, counted from `from`.
    slot: u64,
    /// The microseconds of audio in each of the last slots.
    slots: [u64; SLOTS],
}

impl Pace {
    /// The interval at which a client that may have fallen silent is checked.
    pub(super) const LOOK_EVERY: Duration = Duration::from_millis(WINDOW_MS);

    /// Counts audio. Returns the pace in percent of real time if it is wrong.
    pub(super) fn add(&mut self, now: Instant, audio_us: u64) -> Option<u64> {
        let shortfall = self.look(now);
        self.from.get_or_insert(now + FLUSH);
        let Some(slot) = self.slot_of(now) else { return shortfall };
        self.slots[index(slot)] += audio_us;
        let fast = self.percent();
        if fast > 150 {
            *self = Self { from: Some(now), ..Self::default() };
            return Some(fast);
        }
        shortfall
    }

    /// Checks the clock. Returns the pace in percent of real time if too little audio has arrived. Only whole
    /// slots are judged, so that the edge of a frame is no shortfall.
    pub(super) fn look(&mut self, now: Instant) -> Option<u64> {
        let slot = self.slot_of(now)?;
        self.slot = self.slot.max(slot.saturating_sub(SLOTS as u64));
        while self.slot < slot {
            self.slot += 1;
            if self.slot >= SLOTS as u64 && self.percent() < 80 {
                let percent = self.percent();
                *self = Self::default();
                return Some(percent);
            }
            self.slots[index(self.slot)] = 0;
        }
        None
    }

    fn percent(&self) -> u64 {
        self.slots.iter().sum::<u64>() / (WINDOW_MS * 10)
    }

    fn slot_of(&self, now: Instant) -> Option<u64> {
        let since = now.checked_duration_since(self.from?)?;
        u64::try_from(since.as_millis()).ok().map(|ms| ms / SLOT_MS)
    }
}

fn index(slot: u64) -> usize {
    usize::try_from(slot % SLOTS as u64).expect("a number below 20")
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do as the origin of a virtual clock")]
mod tests {
    use super::*;

    const NONE: [u64; 0] = [];

    fn run(frames: impl Iterator<Item = (u64, u64)>) -> Vec<u64> {
        let start = Instant::now();
        let mut pace = Pace::default();
        frames
            .filter_map(|(at_ms, audio_ms)| {
                let now = start + Duration::from_millis(at_ms);
                pace.add(now, audio_ms * 1_000)
            })
            .collect()
    }

    #[test]
    fn real_time_is_right_with_a_flush_and_with_jitter() {
        assert_eq!(run((0..1_000).map(|n| (n * 20, 20))), NONE);
        assert_eq!(run(std::iter::once((0, 3_000)).chain((1..1_000).map(|n| (n * 20, 20)))), NONE);
        assert_eq!(run((0..1_000).map(|n| (n * 20 / 300 * 300, 20))), NONE, "bunches of 300 ms");
    }

    #[test]
    fn too_fast_and_too_slow_are_told() {
        assert!(run((0..500).map(|n| (n * 10, 20))).first().is_some_and(|&percent| percent > 150));
        assert!(run((0..500).map(|n| (n * 30, 20))).first().is_some_and(|&percent| percent < 80));
        let pause = (0..200).map(|n| (n * 20 + if n > 100 { 1_000 } else { 0 }, 20));
        assert_eq!(run(pause).len(), 1, "a pause is told once");
    }
}

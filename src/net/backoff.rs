//! How long to wait before trying again: 1, 2, 4 … 30 seconds, each shortened by chance so that several
//! daemons do not come back in step. Pure: chance is an argument.

use std::time::Duration;

/// Longest wait.
const LONGEST: Duration = Duration::from_secs(30);
/// First wait.
const FIRST: Duration = Duration::from_secs(1);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// It worked: the next failure waits the shortest time again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// The wait after one more failure: between half and all of the doubled time. `chance` is any number.
    pub fn next(&mut self, chance: u32) -> Duration {
        let full = FIRST.saturating_mul(1 << self.failures.min(5)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        full / 2 + (full / 2).mul_f64(f64::from(chance) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_minute_and_start_over_after_success() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..7).map(|_| backoff.next(u32::MAX).as_secs_f64().round() as u64).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(backoff.next(0), Duration::from_secs(15));
        backoff.reset();
        assert_eq!(backoff.next(0), Duration::from_millis(500));
    }
}

//! The pause before a retry: 1, 2, 4 … 30 seconds, each shortened by a random amount, so that several daemons
//! do not retry at the same time. The random number is an argument, so the computation is pure.

use std::time::Duration;

/// The longest pause. A larger value reconnects later after a long outage; a smaller value makes more
/// attempts in vain.
const LONGEST: Duration = Duration::from_secs(30);
/// The first pause. A larger value reconnects later after a short outage; a smaller value makes more attempts
/// in vain.
const FIRST: Duration = Duration::from_secs(1);

/// The number of consecutive failures, from which the next pause follows.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Records a success, so that the next pause is the shortest again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Records a failure and returns the pause: between half of the doubled time and all of it. `chance` is
    /// any number.
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

//! Keeps away from a server that fails: the next callers are told so at once, and need not wait for a time-out each.

use std::time::{Duration, Instant};

/// After this many failures in a row, requests pause. A larger value would let more callers wait in vain; a smaller one would
/// give up on a server for a few bad answers.
const FAILURES: u32 = 5;
/// How long they pause. A larger value would keep away from a server that works again; a smaller one would burden a server
/// that recovers.
const PAUSE: Duration = Duration::from_secs(30);

/// The failures of one server.
#[derive(Debug, Default)]
pub(in crate::net) struct Breaker {
    failures: u32,
    closed_until: Option<Instant>,
}

impl Breaker {
    /// Whether a request may be sent.
    pub(in crate::net) fn is_open(&self, now: Instant) -> bool {
        self.closed_until.is_none_or(|until| now >= until)
    }

    /// The server has answered as it should.
    pub(in crate::net) const fn succeeded(&mut self) {
        self.failures = 0;
        self.closed_until = None;
    }

    /// The server has failed. After the pause, one more failure is enough for the next one.
    pub(in crate::net) fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES {
            self.closed_until = Some(now + PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_in_a_row_close_a_server_for_a_while() {
        let (mut breaker, start) = (Breaker::default(), crate::clock::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        for _ in 0..4 {
            breaker.failed(at(0));
        }
        assert!(breaker.is_open(at(0)));
        breaker.succeeded();
        for _ in 0..4 {
            breaker.failed(at(1));
        }
        assert!(breaker.is_open(at(1)), "the failures were not in a row");
        breaker.failed(at(2));
        assert!(!breaker.is_open(at(2)) && !breaker.is_open(at(31)) && breaker.is_open(at(32)));
        breaker.failed(at(33));
        assert!(!breaker.is_open(at(62)) && breaker.is_open(at(63)), "one more failure is enough");
        breaker.succeeded();
        breaker.failed(at(64));
        assert!(breaker.is_open(at(64)));
    }
}

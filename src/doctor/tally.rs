//! Counts the packets of one direction and measures their delay. The module is pure: the times are arguments.

use std::time::{Duration, Instant};

use super::facts::Tally;

/// The packets of one direction by index.
#[derive(Debug, Default)]
pub(super) struct Direction {
    sent: Vec<Instant>,
    arrived: Vec<bool>,
    received: u32,
    /// The transit time of the last packet.
    transit: Option<Duration>,
    jitter: Duration,
    transits: Duration,
}

impl Direction {
    /// Records that the next packet leaves now, and returns its index.
    pub(super) fn send(&mut self, now: Instant) -> u16 {
        self.sent.push(now);
        self.arrived.push(false);
        (self.sent.len() - 1) as u16
    }

    /// Records that a packet arrived. A duplicate does not count.
    pub(super) fn arrive(&mut self, now: Instant, index: u16) {
        let index = usize::from(index);
        let Some(sent) = self.sent.get(index) else { return };
        if std::mem::replace(&mut self.arrived[index], true) {
            return;
        }
        let transit = now.saturating_duration_since(*sent);
        if let Some(before) = self.transit.replace(transit) {
            // RFC 3550 §6.4.1: J += (|D| - J) / 16. Both times come from one clock, so D is the difference of
            // two transit times.
            let difference = transit.abs_diff(before);
            self.jitter = self.jitter * 15 / 16 + difference / 16;
        }
        self.received += 1;
        self.transits += transit;
    }

    pub(super) fn tally(&self) -> Tally {
        Tally {
            sent: self.sent.len() as u32,
            received: self.received,
            jitter: self.jitter,
            delay: self.transits / self.received.max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
    fn epoch() -> Instant {
        Instant::now()
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_steady_way_has_no_jitter_and_what_is_lost_or_doubled_does_not_count() {
        let (start, mut direction) = (epoch(), Direction::default());
        for n in 0..10 {
            let index = direction.send(start + 20 * n * MS);
            if index != 3 {
                direction.arrive(start + (20 * n + 5) * MS, index);
                direction.arrive(start + (20 * n + 9) * MS, index);
            }
        }
        direction.arrive(start, 99);
        assert_eq!(direction.tally(), Tally { sent: 10, received: 9, jitter: Duration::ZERO, delay: 5 * MS });
    }

    #[test]
    fn jitter_is_that_of_the_rfc() {
        let (start, mut direction) = (epoch(), Direction::default());
        let mut expected = 0.0_f64;
        for n in 0..50_u32 {
            let index = direction.send(start + 20 * n * MS);
            // Every other packet is 16 ms late, so |D| is 16 ms from the second packet on.
            direction.arrive(start + (20 * n + 16 * (n % 2)) * MS, index);
            expected += if n > 0 { (16.0 - expected) / 16.0 } else { 0.0 };
        }
        let jitter_ms = direction.tally().jitter.as_secs_f64() * 1e3;
        assert!((jitter_ms - expected).abs() < 0.001, "{jitter_ms} is not {expected}");
    }
}

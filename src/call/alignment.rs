//! Lets each frame to the caller leave together with a packet from the caller, so that a call is woken once in 20 ms and not twice.
//!
//! Both come every 20 ms, by two clocks. A frame may leave `EARLY` before its time, when a packet has just come. If packets
//! come at other times, the outgoing clock is moved once, by less than a frame, so that the next frame is due just behind the
//! next packet. The clock is moved only while nothing is said, and then runs on undisturbed: what moves it is that many packets
//! in a row have come at another time, and not the jitter of single ones.
//!
//! ```text
//!   packets   │     │     │     │     │     │
//!   frames       ▲     ▲     ▲        ▲     ▲     each leaves with the packet, at most 2 ms before its time
//!                            └─ moved ┘
//! ```

use std::time::{Duration, Instant};

use crate::media::FRAME_DURATION;

/// The time by which a frame may leave early. A larger value makes the distance between frames more uneven; a smaller value
/// wakes a call twice as soon as the network delivers packets a little unevenly.
pub(super) const EARLY: Duration = Duration::from_millis(2);
/// How long after the packet a frame is due when the clock has been moved: in the middle of what [`EARLY`] allows, so that packets
/// may come a little earlier and later.
const BEHIND: Duration = Duration::from_millis(1);
/// The number of packets in a row without a frame after which the clock is moved for the first time. Fewer could follow
/// the uneven packets at the beginning of a stream.
const FIRST: u8 = 3;
/// The number after which the clock is moved again, because the caller's clock has drifted away: a second. Fewer would move
/// the clock after an ordinary disturbance of the network.
const AGAIN: u8 = 50;

/// How packets and frames have met so far.
#[derive(Debug, Default)]
pub(super) struct Alignment {
    missed: u8,
    has_moved: bool,
}

impl Alignment {
    /// A packet has come; the next frame is due at `next`. Returns when the next frame is due instead, if the clock is to be
    /// moved, which it is only if `may_move`.
    pub(super) fn packet(&mut self, now: Instant, next: Instant, may_move: bool) -> Option<Instant> {
        if next <= now + EARLY {
            self.missed = 0;
            return None;
        }
        self.missed = self.missed.saturating_add(1);
        if self.missed < if self.has_moved { AGAIN } else { FIRST } || !may_move {
            return None;
        }
        *self = Self { missed: 0, has_moved: true };
        Some(now + FRAME_DURATION + BEHIND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
    fn start() -> Instant {
        Instant::now()
    }

    /// Packets at these milliseconds, frames from 10 ms on; the times of the frames, and how many left with a packet.
    fn frames(packets: impl IntoIterator<Item = u64>, may_move: bool) -> (Vec<u64>, usize) {
        let start = start();
        let (mut alignment, mut next) = (Alignment::default(), start + Duration::from_millis(10));
        let (mut frames, mut with_packet) = (Vec::new(), 0);
        for packet in packets {
            let now = start + Duration::from_millis(packet);
            while next < now {
                frames.push((next - start).as_millis() as u64);
                next += FRAME_DURATION;
            }
            next = alignment.packet(now, next, may_move).unwrap_or(next);
            if next <= now + EARLY {
                with_packet += 1;
                frames.push((next - start).as_millis() as u64);
                next += FRAME_DURATION;
            }
        }
        (frames, with_packet)
    }

    #[test]
    fn after_three_packets_the_clock_is_moved_once_by_less_than_a_frame() {
        let (frames, with_packet) = frames((0..100).map(|n| n * 20), true);
        assert_eq!(frames[..4], [10, 30, 61, 81]);
        assert!(frames[2..].windows(2).all(|pair| pair[1] - pair[0] == 20));
        assert_eq!(with_packet, 97);
    }

    #[test]
    fn while_something_is_said_the_clock_stays() {
        let (frames, with_packet) = frames((0..100).map(|n| n * 20), false);
        assert!(frames.windows(2).all(|pair| pair[1] - pair[0] == 20));
        assert_eq!(with_packet, 0);
    }

    #[test]
    fn single_late_packets_do_not_move_the_clock_and_a_drift_does() {
        let late = (0..500).map(|n| n * 20 + if n % 10 == 9 { 15 } else { 0 });
        let (by_jitter, _) = frames(late, true);
        assert!(by_jitter[2..].windows(2).all(|pair| pair[1] - pair[0] == 20), "{by_jitter:?}");
        let (by_drift, with_packet) = frames((0..2_000).map(|n| n * 20 + n / 100), true);
        let moves = by_drift[3..].windows(2).filter(|pair| pair[1] - pair[0] != 20).count();
        assert!((1..=10).contains(&moves) && with_packet > 1_400, "{moves} {with_packet}");
    }
}

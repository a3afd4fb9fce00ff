//! What becomes of packets that are lost, late, doubled or disordered. Frames are named by their first byte.

use super::*;
use crate::media::rtp::{HEADER_BYTES, PAYLOAD_ULAW};
use proptest::prelude::*;

#[test]
#[should_panic(expected = "more early packets wait than may")]
fn early_packets_beyond_their_bound_end_the_call() {
    let bench = Bench::open();
    let early = |sequence| Early { sequence, timestamp: 0, payload: Vec::new() };
    // Without a timeline nothing releases them.
    let mut uplink = Uplink { early: (1..=3).map(early).collect(), ..Uplink::default() };
    let payload = [1; FRAME_BYTES];
    let packet = Packet {
        payload_type: PAYLOAD_ULAW,
        marker: false,
        sequence: 9,
        timestamp: 0,
        ssrc: 1,
        payload: &payload,
    };
    uplink.hold(bench.now, &packet, &mut |_| {});
}

/// An uplink at the far end of a clock that the test moves.
struct Bench {
    uplink: Uplink,
    now: Instant,
    out: Vec<Ready>,
}

impl Bench {
    fn open() -> Self {
        #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
        let now = Instant::now();
        let mut uplink = Uplink::default();
        uplink.keep_going(now);
        Self { uplink, now, out: Vec::new() }
    }

    /// Moves the clock, doing what falls due on the way.
    fn pass(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        while let Some(at) = self.uplink.deadline().filter(|at| *at <= until) {
            self.now = at;
            self.uplink.advance(at, &mut |ready| self.out.push(ready));
        }
        self.now = until;
    }

    /// The `n`th packet of a phone that began at 0, all its bytes `n`; with another timestamp if shifted.
    fn packet(&mut self, n: u16, shift: i64) {
        let payload = [n as u8; FRAME_BYTES];
        let packet = Packet {
            payload_type: PAYLOAD_ULAW,
            marker: false,
            sequence: n.wrapping_add(65_530),
            timestamp: (i64::from(n) * 160 + shift) as u32,
            ssrc: 1,
            payload: &payload,
        };
        self.uplink.accept(self.now, &packet, &mut |ready| self.out.push(ready));
    }

    /// The packets of these numbers, stamped so, 20 ms apart; all the sound that comes of them.
    fn stamped(&mut self, order: &[u16], stamp: impl Fn(u16) -> u32) -> Vec<u8> {
        for n in order {
            let payload: Vec<u8> = (0..160).map(|at| (*n as u8) * 8 + at / 32).collect();
            let (payload_type, marker, sequence, ssrc) = (PAYLOAD_ULAW, false, *n, 1);
            let (timestamp, payload) = (stamp(*n), &payload[..]);
            let packet = Packet { payload_type, marker, sequence, timestamp, ssrc, payload };
            self.uplink.accept(self.now, &packet, &mut |ready| self.out.push(ready));
            self.pass(20);
        }
        self.out.drain(..).flat_map(|ready| ready.frame.0).collect()
    }

    fn heard(&mut self) -> Vec<u8> {
        self.out.drain(..).map(|ready| ready.frame.0[0]).collect()
    }
}

const NONE: u8 = SILENCE_BYTE;

#[test]
fn packets_in_order_pass_at_once_through_the_wrap_of_the_sequence() {
    let mut bench = Bench::open();
    for n in 0..20 {
        bench.packet(n, -1_600);
        assert_eq!(bench.heard(), [n as u8]);
        bench.pass(20);
    }
    assert_eq!(bench.uplink.counters, UplinkCounters { received: 20, ..UplinkCounters::default() });
}

#[test]
fn disorder_within_three_packets_is_put_in_order() {
    let mut bench = Bench::open();
    for n in [0, 2, 3, 1, 4] {
        bench.packet(n, 0);
        bench.pass(5);
    }
    assert_eq!(bench.heard(), [0, 1, 2, 3, 4]);
    assert_eq!((bench.uplink.counters.reordered, bench.uplink.counters.lost_frames), (2, 0));
}

#[test]
fn a_lost_packet_is_given_up_after_forty_milliseconds() {
    let mut bench = Bench::open();
    bench.packet(0, 0);
    bench.pass(20);
    bench.packet(2, 0);
    assert_eq!(bench.heard(), [0]);
    bench.pass(40);
    assert_eq!(bench.heard(), [NONE, 2]);
    bench.packet(1, 0);
    assert!(bench.heard().is_empty(), "too late for its place");
    let counters = bench.uplink.counters;
    assert_eq!((counters.lost_frames, counters.late, counters.received), (1, 1, 2));
}

#[test]
fn a_doubled_packet_is_heard_once() {
    let mut bench = Bench::open();
    for n in [0, 0, 1, 3, 3, 2] {
        bench.packet(n, 0);
    }
    assert_eq!(bench.heard(), [0, 1, 2, 3]);
    assert_eq!(bench.uplink.counters.duplicate, 2);
}

#[test]
fn silence_is_made_up_from_the_clock_and_not_filled_again() {
    let mut bench = Bench::open();
    bench.packet(0, 0);
    bench.pass(300);
    assert_eq!(bench.heard(), [0, NONE, NONE, NONE, NONE, NONE, NONE]);
    // The phone's clock went on: 15 packet times since packet 0, of which six have been filled.
    bench.packet(15, 0);
    assert_eq!(bench.heard(), [NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, 15]);
    bench.pass(20);
    bench.packet(16, 0);
    assert_eq!(bench.heard(), [16]);
}

#[test]
fn before_the_first_packet_the_model_hears_silence_too() {
    let mut bench = Bench::open();
    bench.pass(280);
    assert_eq!(bench.heard(), [NONE; 5]);
}

#[test]
fn a_burst_after_a_stall_fills_only_what_the_clock_has_not() {
    let mut bench = Bench::open();
    bench.packet(0, 0);
    bench.pass(280);
    assert_eq!(bench.heard(), [0, NONE, NONE, NONE, NONE, NONE]);
    for n in 1..=10 {
        bench.packet(n, 0);
    }
    assert_eq!(bench.heard(), [6, 7, 8, 9, 10]);
    assert_eq!(bench.uplink.counters.late, 5);
}

#[test]
fn a_phone_whose_clock_stood_still_is_followed_again() {
    let mut bench = Bench::open();
    bench.packet(0, 0);
    bench.pass(500);
    bench.heard();
    for n in 1..6 {
        bench.packet(n, 0);
        bench.pass(20);
    }
    assert_eq!(bench.heard(), [NONE, NONE, 3, 4, 5], "the third packet at a live pace moves the timeline");
    assert_eq!(bench.uplink.counters.jumps, 1);
}

#[test]
fn a_jump_of_the_timestamp_is_a_new_timeline_not_loss() {
    let mut bench = Bench::open();
    bench.packet(0, 0);
    bench.pass(20);
    bench.packet(1, 80_000_000);
    bench.pass(20);
    bench.packet(2, 80_000_000);
    bench.pass(20);
    bench.packet(3, -80_000_000);
    assert_eq!(bench.heard(), [0, 1, 2, 3]);
    assert_eq!((bench.uplink.counters.jumps, bench.uplink.counters.lost_frames), (2, 0));
}

#[test]
fn a_key_press_is_silence_but_not_loss() {
    let mut bench = Bench::open();
    bench.packet(0, 0);
    bench.pass(160);
    // Asterisk: ten sequence numbers and seven packet times are missing.
    bench.packet(10, -480);
    assert_eq!(bench.heard(), [0, NONE, NONE, NONE, NONE, NONE, NONE, 10]);
    assert_eq!(bench.uplink.counters.lost_frames, 0);
}

#[test]
fn packets_of_any_length_become_frames() {
    let mut bench = Bench::open();
    let sound: Vec<u8> = (0..960u32).map(|n| (n % 251) as u8).collect();
    let mut at = 0;
    for (sequence, length) in [80, 240, 160, 320, 160].into_iter().enumerate() {
        let packet = Packet {
            payload_type: PAYLOAD_ULAW,
            marker: false,
            sequence: sequence as u16,
            timestamp: at as u32,
            ssrc: 1,
            payload: &sound[at..at + length],
        };
        bench.uplink.accept(bench.now, &packet, &mut |ready| bench.out.push(ready));
        at += length;
    }
    let out: Vec<u8> = bench.out.iter().flat_map(|ready| ready.frame.0).collect();
    assert_eq!(out, sound);
}

/// Ways to stamp packets whose sound has no gap.
const STAMPS: [fn(u16) -> u32; 6] = [
    |n| u32::from(n) * 160 - u32::from(n % 2) * 8,
    |n| u32::from(n) * 160 + u32::from(n % 2) * 159,
    |n| u32::from(n) * 152,
    |n| u32::from(n) * 168,
    |_| 77,
    |n| (u32::MAX - 400).wrapping_add(u32::from(n) * 160 + u32::from(n % 3)),
];

#[test]
fn numbers_that_follow_each_other_outrank_timestamps_that_do_not_fit() {
    let order: Vec<u16> = (0..24).collect();
    let expected = Bench::open().stamped(&order, |n| u32::from(n) * 160);
    assert_eq!(expected.len(), 24 * 160);
    for (which, stamp) in STAMPS.into_iter().enumerate() {
        let mut bench = Bench::open();
        assert_eq!(bench.stamped(&order, stamp), expected, "stamp {which}");
        let counters = UplinkCounters { received: 24, ..UplinkCounters::default() };
        assert_eq!(bench.uplink.counters, counters, "stamp {which}");
    }
}

#[test]
fn disorder_and_loss_are_mended_by_numbers_too() {
    let order: Vec<u16> = (0..24).collect();
    let mut mixed = order.clone();
    for at in [3, 8, 17] {
        mixed.swap(at, at + 1);
    }
    for (which, stamp) in STAMPS.into_iter().enumerate() {
        let expected = Bench::open().stamped(&order, stamp);
        let mut bench = Bench::open();
        assert_eq!(bench.stamped(&mixed, stamp), expected, "stamp {which}");
        let losing: Vec<u16> = order.iter().copied().filter(|n| *n != 5 && *n != 15).collect();
        let mut bench = Bench::open();
        let sound = bench.stamped(&losing, stamp);
        let heard = sound.chunks(160).filter(|frame| !frame.contains(&NONE)).count();
        assert!(heard >= 20, "stamp {which}: {heard} of 22 frames are whole");
        assert_eq!((bench.uplink.counters.late, bench.uplink.counters.jumps), (0, 0), "stamp {which}");
    }
}

#[test]
fn what_the_clock_has_filled_is_not_filled_again_though_timestamps_stand_still() {
    let mut bench = Bench::open();
    bench.stamped(&[0], |_| 77);
    bench.pass(260);
    bench.heard();
    for n in 1..=10 {
        let payload = [n as u8; FRAME_BYTES];
        let (payload_type, marker, sequence, timestamp, ssrc) = (PAYLOAD_ULAW, false, n, 77, 1);
        let packet = Packet { payload_type, marker, sequence, timestamp, ssrc, payload: &payload };
        bench.uplink.accept(bench.now, &packet, &mut |ready| bench.out.push(ready));
    }
    assert_eq!(bench.heard(), [6, 7, 8, 9, 10], "as with timestamps that move");
}

#[test]
fn no_more_than_two_seconds_beyond_real_time_pass() {
    let mut bench = Bench::open();
    for n in 0..500 {
        bench.packet(n, 0);
    }
    assert_eq!(bench.heard().len(), 101, "2 s, and the frame of now");
    for n in 500..600 {
        bench.pass(20);
        bench.packet(n, 0);
        bench.packet(n + 1_000, 0);
    }
    let passed = bench.heard().len();
    assert!((100..=101).contains(&passed), "as much as time has passed: {passed}");
    assert!(bench.uplink.counters.excess_frames >= 399);
}

proptest! {
    /// Whatever arrives: never two frames for one place, and the stream keeps up with the clock.
    #[test]
    fn the_stream_neither_stalls_nor_doubles(
        packets in proptest::collection::vec((0u16..60, 0u64..60, any::<bool>()), 1..200),
    ) {
        let mut bench = Bench::open();
        let began = bench.now;
        for (n, wait, doubled) in packets {
            bench.pass(wait);
            bench.packet(n, 0);
            if doubled {
                bench.packet(n, 0);
            }
        }
        bench.pass(500);
        let frames = bench.out.len() as u64;
        let passed = (bench.now - began).as_millis() as u64 / 20;
        let counters = bench.uplink.counters;
        prop_assert!(frames + 26 >= passed / 2, "{frames} frames in {passed} frame times");
        prop_assert!(counters.filled_frames <= passed);
        prop_assert!(bench.uplink.deadline().is_some_and(|at| at > bench.now));
    }

    /// No datagram upsets it.
    #[test]
    fn any_datagram_is_survived(datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..400), 0..50)) {
        let mut bench = Bench::open();
        for mut datagram in datagrams {
            if datagram.len() > HEADER_BYTES {
                datagram[0] = 0x80;
            }
            if let Ok(packet) = Packet::parse(&datagram) {
                bench.uplink.accept(bench.now, &packet, &mut |ready| bench.out.push(ready));
            }
            bench.pass(20);
        }
    }
}

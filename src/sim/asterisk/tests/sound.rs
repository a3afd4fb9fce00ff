//! Tests of the RTP through the fake, and of the handling of unusual packets.

use super::*;
use crate::sim::rtp::{self, Header};

/// Packet number n of a stream, like those of a phone or of the application.
fn packet(n: u16) -> Header {
    Header {
        marker: false,
        payload_type: 0,
        seq: 1000 + n,
        timestamp: 5000 + 160 * u32::from(n),
        ssrc: 0x1234,
    }
}

impl World {
    fn caller_sends(&mut self, call: &Answered, header: Header, payload: &[u8]) {
        self.asterisk.caller_datagram(self.now, call.call, &rtp::write(header, payload));
        self.drain();
    }

    fn we_send(&mut self, call: &Answered, header: Header, payload: &[u8]) {
        self.sends(call, OURS, header, payload);
    }

    fn sends(&mut self, call: &Answered, from: SocketAddr, header: Header, payload: &[u8]) {
        self.asterisk.media_datagram(self.now, call.port, from, &rtp::write(header, payload));
        self.drain();
    }

    /// The packets that the application received since the previous call of this function.
    fn ours(&mut self) -> Vec<(Header, Vec<u8>)> {
        self.media.drain(..).map(|(_, _, datagram)| parsed(&datagram)).collect()
    }

    /// The packets that the caller received since the previous call of this function.
    fn callers(&mut self) -> Vec<(Header, Vec<u8>)> {
        self.to_caller.drain(..).map(|(_, datagram)| parsed(&datagram)).collect()
    }
}

fn parsed(datagram: &[u8]) -> (Header, Vec<u8>) {
    let (header, payload) = rtp::read(datagram).expect("the fake sends RTP");
    (header, payload.to_vec())
}

/// The differences of sequence number and timestamp from packet to packet.
fn steps(packets: &[(Header, Vec<u8>)]) -> Vec<(i16, i32)> {
    let step = |one: &Header, next: &Header| {
        (next.seq.wrapping_sub(one.seq) as i16, next.timestamp.wrapping_sub(one.timestamp) as i32)
    };
    packets.windows(2).map(|pair| step(&pair[0].0, &pair[1].0)).collect()
}

fn marked(header: Header) -> Header {
    Header { marker: true, ..header }
}

#[test]
fn the_caller_is_relayed_packet_by_packet() {
    let mut world = World::new(Version::V22);
    let call = world.answered();
    for n in 0..3 {
        world.caller_sends(&call, marked(packet(n)), &[n as u8; 160]);
        assert_eq!(world.media.len(), usize::from(n) + 1, "at once");
    }
    assert_eq!((world.media[0].0, world.media[0].1), (call.port, OURS));
    let heard = world.ours();
    assert_eq!(steps(&heard), [(1, 160); 2]);
    assert!(
        heard.iter().all(|(header, _)| !header.marker && header.payload_type == 0 && header.ssrc != 0x1234)
    );
    assert_eq!(heard[2].1, [2; 160]);
}

#[test]
fn nothing_flows_outside_a_bridge_of_two() {
    let mut world = World::new(Version::V22);
    world.connect();
    let call = world.call(IncomingCall::default());
    let mut call = world.take(call);
    let remove = format!("/bridges/{}/removeChannel?channel={}", call.bridge, call.caller);
    world.ask("POST", &remove);
    world.caller_sends(&call, packet(0), &[1; 160]);
    world.we_send(&call, packet(0), &[1; 160]);
    assert!(world.media.is_empty() && world.to_caller.is_empty());
    // A third member in the bridge would require mixing, which the fake does not do.
    world.ask("POST", &format!("/bridges/{}/addChannel?channel={}", call.bridge, call.caller));
    world.ask(
        "POST",
        &format!("/channels/externalMedia?app={APP}&channelId=m&external_host={OURS}&format=ulaw"),
    );
    world.pass(5);
    world.ask("POST", &format!("/bridges/{}/addChannel?channel=m", call.bridge));
    assert_eq!(json(&world.ask("GET", &format!("/bridges/{}", call.bridge)))["technology"], "softmix");
    world.caller_sends(&call, packet(1), &[1; 160]);
    assert!(world.media.is_empty());
    // The new leg replaces the old one.
    world.ask("DELETE", &format!("/channels/{}", call.media));
    world.caller_sends(&call, packet(2), &[1; 160]);
    assert_eq!(world.media.len(), 1);
    call.port = world.media[0].0;
    world.we_send(&call, packet(0), &[1; 160]);
    assert_eq!(world.to_caller.len(), 1);
}

#[test]
fn the_callers_network_shows_as_it_is() {
    let mut world = World::new(Version::V22);
    let call = world.answered();
    for n in [0, 1, 3, 2, 2, 60] {
        world.caller_sends(&call, packet(n), &[0; 160]);
    }
    let expected = [1, 2, -1, 0, 58].map(|step| (step, i32::from(step) * 160));
    assert_eq!(steps(&world.ours()), expected);
    world.caller_sends(&call, packet(61), &[0; 320]);
    assert_eq!(world.ours()[0].1.len(), 320, "40 ms packets");
}

#[test]
fn a_new_ssrc_of_the_caller_is_one_jump_of_the_timestamp() {
    let mut world = World::new(Version::V22);
    let call = world.answered();
    world.caller_sends(&call, packet(0), &[0; 160]);
    world.caller_sends(&call, packet(1), &[0; 160]);
    let other = |n: u16| Header {
        ssrc: 77,
        seq: 30_000 + n,
        timestamp: 9_000_000 + 160 * u32::from(n),
        marker: n == 0,
        payload_type: 0,
    };
    world.caller_sends(&call, other(0), &[0; 160]);
    world.caller_sends(&call, other(1), &[0; 160]);
    let heard = world.ours();
    assert_eq!(steps(&heard), [(1, 160), (1, 9_000_000 - 5160), (1, 160)]);
    assert!(heard.iter().all(|(header, _)| header.ssrc == heard[0].0.ssrc && !header.marker));
}

#[test]
fn a_key_is_an_event_at_its_end_and_a_gap_in_the_sound() {
    let mut world = World::new(Version::V22);
    let call = world.answered();
    world.caller_sends(&call, packet(0), &[0; 160]);
    world.kinds();
    let key =
        |n: u16| Header { payload_type: 101, seq: 1001 + n, timestamp: 5160, marker: n == 0, ssrc: 0x1234 };
    for n in 0..6 {
        world.caller_sends(&call, key(n), &[11, 10, 0, 160]);
    }
    assert!(world.kinds().is_empty());
    for n in 6..9 {
        world.caller_sends(&call, key(n), &[11, 0x8a, 3, 0xc0]);
    }
    assert_eq!(world.events.len(), 1, "three ends are one key");
    assert_eq!(text_of(&world.events[0].1, "digit"), "#");
    assert!(world.events[0].1.contains("\"duration_ms\":120,"));
    let after = Header { seq: 1010, timestamp: 5000 + 1120, ..packet(0) };
    world.caller_sends(&call, after, &[0; 160]);
    assert_eq!(steps(&world.ours()), [(10, 1120)]);
}

#[test]
fn a_key_without_packets_leaves_the_same_gap() {
    let mut world = World::new(Version::V22);
    let call = world.answered();
    for n in 0..20 {
        if n == 4 {
            world.asterisk.press(world.now, call.call, '1');
        }
        world.caller_sends(&call, packet(n), &[0; 160]);
        world.pass(20);
    }
    let steps = steps(&world.ours());
    assert_eq!(steps.iter().filter(|step| **step != (1, 160)).collect::<Vec<_>>(), [&(10, 1120)]);
    assert_eq!(world.kinds().last().map(String::as_str), Some("ChannelDtmfReceived"));
}

#[test]
fn hold_stops_the_caller() {
    let mut world = World::new(Version::V22);
    let call = world.answered();
    world.asterisk.hold(world.now, call.call, true);
    world.caller_sends(&call, packet(0), &[0; 160]);
    assert!(world.media.is_empty());
    world.asterisk.hold(world.now, call.call, false);
    world.caller_sends(&call, packet(1), &[0; 160]);
    assert_eq!(world.media.len(), 1);
}

#[test]
fn what_we_send_reaches_the_caller_as_it_is() {
    let mut world = World::new(Version::V22);
    let call = world.answered();
    for n in 0..250 {
        world.we_send(&call, Header { marker: n == 5, ..packet(n) }, &[n as u8; 160]);
    }
    let heard = world.callers();
    assert_eq!(steps(&heard), [(1, 160); 249], "a burst, unpaced");
    assert!(heard.iter().all(|(header, _)| !header.marker), "our marker bits are not passed on");
    world.we_send(&call, packet(250), &[0; 600]);
    assert_eq!(world.callers()[0].1.len(), 600);
}

#[test]
fn headers_are_passed_on_or_smoothed_as_measured() {
    let stream = |change: fn(u16) -> Header, version| {
        let mut world = World::new(version);
        let call = world.answered();
        for n in 0..4 {
            world.we_send(&call, change(n), &[0x80; 160]);
        }
        world.callers()
    };
    let constant_time = stream(|n| Header { timestamp: 0, ..packet(n) }, Version::V22);
    assert_eq!(steps(&constant_time), [(1, 0); 3]);
    let constant_seq = stream(|n| Header { seq: 7, ..packet(n) }, Version::V22);
    assert_eq!(steps(&constant_seq), [(0, 160); 3]);
    let seq_jump = stream(|n| Header { seq: n + if n > 1 { 30_000 } else { 0 }, ..packet(n) }, Version::V22);
    assert_eq!(steps(&seq_jump), [(1, 160); 3], "smoothed");
    let wrap = stream(|n| Header { seq: 65_534_u16.wrapping_add(n), ..packet(n) }, Version::V22);
    assert_eq!(steps(&wrap), [(1, 160); 3]);
    let late =
        |n: u16| Header { timestamp: u32::from(n) * 160 + if n > 1 { 80_000 } else { 0 }, ..packet(n) };
    assert_eq!(steps(&stream(late, Version::V22)), [(1, 160), (1, 80_160), (1, 160)]);
    let new_ssrc = |n: u16| Header { ssrc: 1 + u32::from(n > 1), ..packet(n) };
    let (v22, v16) = (stream(new_ssrc, Version::V22), stream(new_ssrc, Version::V16));
    assert_eq!(v22.iter().map(|(header, _)| header.marker).collect::<Vec<_>>(), [false, false, true, false]);
    assert_ne!(v22[1].0.ssrc, v22[2].0.ssrc);
    assert!(v16.iter().all(|(header, _)| header.ssrc == v16[0].0.ssrc && !header.marker));
    let alaw = stream(|n| Header { payload_type: 8, ..packet(n) }, Version::V22);
    assert_eq!((alaw[0].0.payload_type, alaw[0].1.len()), (0, 160));
    assert_ne!(alaw[0].1, [0x80; 160], "decoded as A-law");
    assert!(stream(|n| Header { payload_type: 96, ..packet(n) }, Version::V22).is_empty());
}

#[test]
fn no_header_no_sound() {
    let mut world = World::new(Version::V22);
    let call = world.answered();
    world.asterisk.media_datagram(world.now, call.port, OURS, &[0x7f; 160]);
    world.asterisk.media_datagram(world.now, call.port, OURS, &[]);
    world.asterisk.media_datagram(world.now, 9, OURS, &rtp::write(packet(0), &[0; 160]));
    world.drain();
    assert!(world.to_caller.is_empty());
}

/// Sends `count` packets from another source, and returns how many of them reach the caller.
fn of_stranger(world: &mut World, call: &Answered, count: u16) -> usize {
    let stranger = SocketAddr::from(([127, 0, 0, 1], 999));
    world.callers();
    for n in 0..count {
        world.sends(call, stranger, packet(n), &[0; 160]);
        world.pass(20);
    }
    world.callers().len()
}

#[test]
fn strangers_are_heard_while_learning_only() {
    let mut world = World::new(Version::V22);
    let call = world.answered();
    assert_eq!(of_stranger(&mut world, &call, 50), 46, "he speaks first: heard after four");
    world.caller_sends(&call, packet(0), &[0; 160]);
    assert_eq!(world.media[0].1, OURS, "and yet everything goes to external_host");

    let mut world = World::new(Version::V22);
    let call = world.answered();
    for n in 0..350 {
        world.we_send(&call, packet(n), &[0; 160]);
        world.pass(20);
    }
    assert_eq!(world.callers().len(), 350);
    assert_eq!(of_stranger(&mut world, &call, 50), 0, "after seven seconds of ours: never");
}

#[test]
fn an_a_law_caller_is_transcoded_both_ways() {
    let mut world = World::new(Version::V22);
    world.connect();
    let call = world.call(IncomingCall { codec: Codec::Alaw, ..IncomingCall::default() });
    let call = world.take(call);
    world.caller_sends(&call, Header { payload_type: 8, ..packet(0) }, &[0xd5; 160]);
    assert_eq!(world.ours()[0].1, [0xfe; 160], "A-law silence is the smallest step of µ-law");
    world.we_send(&call, packet(0), &[0xff; 160]);
    let heard = world.callers();
    assert_eq!((heard[0].0.payload_type, &heard[0].1[..]), (8, &[0xd5; 160][..]));
}

#[test]
fn sound_flows_before_the_answer_too() {
    let mut world = World::new(Version::V22);
    world.connect();
    let call = world.call(IncomingCall { answered: false, ..IncomingCall::default() });
    let call = world.take(call);
    assert_eq!(world.asterisk.outcome(call.call).state, CallState::Ringing);
    world.we_send(&call, packet(0), &[0; 160]);
    assert_eq!(world.to_caller.len(), 1);
    assert!(!world.emitted.contains(&Emit::CallerAnswered { call: call.call }));
    world.ask("POST", &format!("/channels/{}/answer", call.caller));
    assert!(world.emitted.contains(&Emit::CallerAnswered { call: call.call }));
    assert_eq!(world.asterisk.outcome(call.call).answered_at, Some(world.now));
}

//! Whose packets are the caller's: Asterisk behind a router, strangers, forgers, and where Asterisk may have sound sent.

use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;
use openai_inbound_calls::call::source::Trust;
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::operator::Notice;
use openai_inbound_calls::sim::asterisk;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{VadScript, pattern};

use super::task::Happened;
use super::world::{MS, World};

/// A world in which nobody but the caller speaks.
fn listening() -> World {
    let mut world = World::new();
    world.set(|settings| {
        settings.greeting = None;
        settings.media_networks = Some(networks(&["127.0.0.0/8"]));
    });
    world.model(|script| script.vad = VadScript::Never);
    world
}

/// The networks of Asterisk.
fn networks(texts: &[&str]) -> Arc<[IpNet]> {
    texts.iter().map(|text| text.parse().expect("a network")).collect()
}

fn router() -> SocketAddr {
    ([172, 17, 0, 1], 41_234).into()
}

/// What was appended without silence.
fn voice(world: &World) -> Vec<u8> {
    world.servers[0].session.appended().iter().copied().filter(|byte| *byte != 0xFF).collect()
}

/// A packet of sound, loud all through.
fn packet(ssrc: u32, sequence: u16, timestamp: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x11; 160]);
    packet
}

#[test]
fn an_asterisk_behind_a_router_is_heard_after_a_moment_and_then_nobody_else() {
    let mut world = listening();
    world.router = Some(router());
    let said = pattern(9_000, 101);
    world.dial(vec![Step::Pause(400 * MS), Step::Say(said.clone())]);
    world.run_to(3_000);
    let named = world.tasks[0].media.expect("it is known");
    let learned = Notice::RtpSourceLearned { named, source: router() };
    assert_eq!(world.tasks[0].heard_from, None, "Asterisk's own address may still speak up");
    world.run_to(7_000);
    assert_eq!(world.tasks[0].heard_from, Some(router()), "the socket is connected");
    for n in 0..50 {
        world.receive(0, named, packet(9, n, u32::from(n) * 160));
        world.happen(0, Happened::Packet(named, packet(9, n, u32::from(n) * 160)));
        world.run_for(20);
    }
    world.run_to(11_000);
    assert_eq!(voice(&world), *said, "his voice, whole, and nothing else");
    assert_eq!(world.tasks[0].notices.iter().filter(|notice| **notice == learned).count(), 1);
    assert!(!world.tasks[0].notices.iter().any(|notice| matches!(notice, Notice::CallerSilent { .. })));
    assert_eq!(world.tasks[0].call.report().counters.foreign_packets, 4 + 50);
}

#[test]
fn a_strict_daemon_hears_no_other_source_and_says_so_once() {
    let mut world = listening();
    world.set(|settings| {
        settings.trust = Trust::Strict;
        settings.limits.no_audio = Some(20_000 * MS);
    });
    world.router = Some(router());
    world.dial(vec![Step::Say(pattern(9_000, 101))]);
    world.run_to(15_000);
    assert!(voice(&world).is_empty(), "nothing of it");
    let named = world.tasks[0].media.expect("it is known");
    let refused = Notice::RtpSourceRefused { named, source: router() };
    assert_eq!(world.tasks[0].notices.iter().filter(|notice| **notice == refused).count(), 1);
    world.run_to(25_000);
    assert_eq!(world.report(0).reason, EndReason::NoAudio);
}

#[test]
fn the_socket_is_connected_as_soon_as_asterisk_speaks_from_where_it_said() {
    for trust in [Trust::Learn, Trust::Strict] {
        let mut world = listening();
        world.set(|settings| settings.trust = trust);
        world.dial(vec![]);
        world.run_to(500);
        assert_eq!(world.tasks[0].heard_from, world.tasks[0].media);
        let learned = |notice: &Notice| {
            matches!(notice, Notice::RtpSourceLearned { .. } | Notice::RtpSourceRefused { .. })
        };
        assert!(!world.tasks[0].notices.iter().any(learned));
    }
}

#[test]
fn a_forger_in_asterisks_name_with_a_new_ssrc_for_every_packet_is_not_heard() {
    let mut world = listening();
    let said = pattern(5_000, 101);
    world.dial(vec![Step::Pause(400 * MS), Step::Say(said.clone())]);
    world.run_to(300);
    let media = world.tasks[0].media.expect("it is known");
    for n in 0..2_500_u32 {
        world.run_to(300 + u64::from(n) * 2);
        world.happen(0, Happened::Packet(media, packet(0x0100_0000 + n, n as u16, n * 160)));
    }
    world.run_to(6_000);
    assert_eq!(voice(&world), *said, "his voice and nothing else");
    assert_eq!(world.tasks[0].call.report().counters.foreign_packets, 2_500);
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn no_more_than_real_time_and_two_seconds_is_appended_whatever_comes() {
    let forged: [fn(u32, u32) -> Vec<u8>; 3] = [
        |ssrc, n| packet(ssrc, 30_000 + n as u16, 5_000_000 + n * 160),
        |ssrc, n| packet(ssrc, 30_000 + n as u16, n * 8_000),
        |ssrc, n| packet(ssrc, (n * 7_919) as u16, n.wrapping_mul(3_000_000)),
    ];
    for (which, forge) in forged.into_iter().enumerate() {
        let mut world = listening();
        world.dial(vec![Step::Pause(400 * MS), Step::Say(pattern(9_000, 101))]);
        world.run_to(1_000);
        let media = world.tasks[0].media.expect("it is known");
        let ssrc = world.tasks[0].ssrc.expect("he is heard");
        for n in 0..4_500_u32 {
            world.run_to(1_000 + u64::from(n) * 2);
            world.happen(0, Happened::Packet(media, forge(ssrc, n)));
        }
        let appended = world.servers[0].session.appended().len() as u64 / 8;
        assert!(appended <= 10_000 + 2_000, "forger {which}: {appended} ms in 10 s");
        assert!(world.tasks[0].call.report().uplink.excess_frames > 1_000, "forger {which}");
    }
}

#[test]
fn asterisk_may_not_name_any_address() {
    let mut world = listening();
    world.set(|settings| {
        settings.media_networks = Some(networks(&["10.0.0.0/8", "127.0.0.2/32"]));
    });
    world.dial(vec![]);
    world.run_to(20_000);
    assert_eq!(world.report(0).reason, EndReason::SetupFailed);
    let refused = Notice::MediaAddressRefused { address: [127, 0, 0, 1].into() };
    assert!(world.tasks[0].notices.contains(&refused));
    assert_eq!(world.tasks[0].media, None, "not one packet went there");
    assert_eq!(world.left_over(), [""; 0]);
}

#[test]
fn a_stranger_is_not_taken_for_an_asterisk_that_is_silent() {
    let mut world = listening();
    world.set(|settings| {
        settings.limits.no_audio = Some(20_000 * MS);
        settings.media_networks = Some(networks(&["127.0.0.0/8"]));
    });
    let stranger = SocketAddr::from(([203, 0, 113, 9], 41_234));
    world.router = Some(stranger);
    world.dial(vec![Step::Say(pattern(9_000, 101))]);
    world.run_to(15_000);
    assert!(voice(&world).is_empty(), "nothing of it");
    assert_eq!(world.tasks[0].heard_from, None);
    let named = world.tasks[0].media.expect("it is known");
    let refused = Notice::RtpSourceForeign { named, source: stranger };
    assert_eq!(world.tasks[0].notices.iter().filter(|notice| **notice == refused).count(), 1);
    world.run_to(25_000);
    assert_eq!(world.report(0).reason, EndReason::NoAudio);
}

#[test]
fn asterisk_may_not_have_the_sound_sent_to_a_call_of_ours() {
    // The first call's own socket, and then the socket of a call that runs.
    for (port, mut world) in [10_000, 10_002].map(|port| (port, naming_our_port(port))) {
        world.dial(vec![]);
        world.dial(vec![]);
        world.run_to(5_000);
        let is_refused = |call: &usize| {
            let address = SocketAddr::from(([10, 0, 0, 1], port));
            let is_said = world.tasks[*call].notices.contains(&Notice::MediaAddressOurs { address });
            assert_eq!(is_said, world.tasks[*call].media.is_none(), "call {call} of port {port}");
            is_said
        };
        let refused: Vec<_> = (0..2).filter(is_refused).collect();
        assert_eq!(refused, if port == 10_000 { vec![0, 1] } else { vec![1] }, "no circle is closed");
    }
}

/// A world whose Asterisk names an RTP port of the daemon for its media.
fn naming_our_port(port: u16) -> World {
    let named_address = Some([10, 0, 0, 1].into());
    let named_port = Some(port);
    let mut world = World::with(1, asterisk::Settings { named_address, named_port, ..<_>::default() });
    world.set(|settings| settings.media_networks = Some(networks(&["10.0.0.0/8"])));
    world
}

#[test]
fn the_codec_that_is_told_is_that_of_the_sound() {
    for (payload_type, payload, told) in [
        (101, vec![5, 0x8A, 3, 0xC0], &["ulaw"][..]),
        (13, vec![70], &["ulaw"]),
        (8, vec![0x55; 160], &["alaw", "ulaw"]),
        (96, vec![0x55; 80], &["RTP 96", "ulaw"]),
    ] {
        let mut world = listening();
        world.dial(vec![Step::Pause(400 * MS), Step::Say(pattern(1_000, 101))]);
        while world.tasks.first().and_then(|task| task.media).is_none() {
            world.run_for(1);
        }
        let media = world.tasks[0].media.expect("it is known");
        for n in 0..3 {
            let header = vec![0x80, payload_type, 0, n, 0, 0, 0, 1, 7, 7, 7, 7];
            world.happen(0, Happened::Packet(media, [header, payload.clone()].concat()));
        }
        world.run_to(2_000);
        let codec = |notice: &Notice| match notice {
            Notice::CodecDetected { codec } => Some(codec.clone()),
            _ => None,
        };
        assert_eq!(
            world.tasks[0].notices.iter().filter_map(codec).collect::<Vec<_>>(),
            told,
            "{payload_type}"
        );
        let dropped = Notice::UnknownPayload { payload_type };
        let said = world.tasks[0].notices.iter().filter(|notice| **notice == dropped).count();
        assert_eq!(said, usize::from(told.len() > 1), "{payload_type}");
    }
}

//! What becomes of the caller's packets when the network loses, delays, doubles and mixes them.

use std::net::SocketAddr;

use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{VadScript, pattern};
use openai_inbound_calls::sim::wire::Impairment;

use super::ladder::{Show, check};
use super::task::Happened;
use super::world::{MS, World};

/// A world in which nobody but the caller speaks, over such a network.
fn listening(media: Impairment) -> World {
    let mut world = World::new();
    world.set(|settings| settings.greeting = None);
    world.model(|script| script.vad = VadScript::Never);
    world.network.media = media;
    world
}

/// What was appended, frame by frame, without the silence before and after the caller's voice.
fn voice(world: &World) -> Vec<&[u8]> {
    let frames: Vec<&[u8]> = world.servers[0].session.appended().chunks(160).collect();
    let loud = |frame: &&[u8]| frame.iter().any(|byte| *byte != 0xFF);
    let first = frames.iter().position(loud).expect("he is heard");
    let last = frames.iter().rposition(loud).expect("he is heard");
    frames[first..=last].to_vec()
}

#[test]
fn a_network_that_only_mixes_and_doubles_loses_nothing() {
    let mixing = Impairment {
        latency: 10 * MS,
        jitter: 15 * MS,
        reorder: 0.1,
        duplicate: 0.1,
        ..Impairment::default()
    };
    let mut world = listening(mixing);
    let said = pattern(20_000, 101);
    world.dial(vec![Step::Pause(200 * MS), Step::Say(said.clone())]);
    world.run_to(21_000);
    assert!(voice(&world).concat() == *said, "every frame, once, in order");
    let counters = world.tasks[0].call.report().uplink;
    assert!(counters.reordered > 50 && counters.duplicate > 50, "{counters:?}");
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn a_lost_packet_becomes_silence_of_its_length() {
    let losing = Impairment { latency: 10 * MS, loss: 0.1, ..Impairment::default() };
    let mut world = listening(losing);
    let said = pattern(20_000, 101);
    world.dial(vec![Step::Pause(200 * MS), Step::Say(said.clone())]);
    world.run_to(21_000);
    let heard = voice(&world);
    let first = said.chunks(160).position(|frame| frame == heard[0]).expect("a frame of his");
    let mut lost = 0;
    for (frame, said) in heard.iter().zip(said.chunks(160).skip(first)) {
        let silent = frame.iter().all(|byte| *byte == 0xFF);
        assert!(silent || *frame == said, "each frame in its place, or silence");
        lost += usize::from(silent);
    }
    assert!((50..150).contains(&lost), "{lost} of 1000");
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn a_phone_that_suppresses_silence_is_silent_to_the_model_and_time_goes_on() {
    let mut world = listening(Impairment { latency: MS, ..Impairment::default() });
    world.dial(vec![
        Step::Pause(480 * MS),
        Step::Say(pattern(500, 101)),
        Step::StopSending(3_000 * MS),
        Step::Say(pattern(500, 102)),
    ]);
    world.run_to(6_000);
    check(
        &world.ladder,
        Show::SOUND.from(150),
        "
                   caller    Asterisk  us        model
            0.486  ╞═════════╪════════▶│         │  voice 1000 ms
            0.486  │         │         ╞════════▶│  voice 500 ms
            1.166  │         │         ╞════════▶│  silence 3000 ms
            3.986  │         │         ╞════════▶│  voice 500 ms
            4.486  ╞═════════╪════════▶│         │  silence 1520 ms
            4.486  │         │         ╞════════▶│  silence 1520 ms
        ",
    );
    let appended_ms = world.servers[0].session.appended().len() as u64 / 8;
    assert!((5_800..=6_000).contains(&appended_ms), "{appended_ms} ms of 6 s");
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn a_network_that_stops_for_forty_milliseconds_now_and_then_is_not_heard() {
    let mut world = listening(Impairment { latency: MS, ..Impairment::default() });
    let said = pattern(5_000, 101);
    world.dial(vec![Step::Pause(200 * MS), Step::Say(said.clone())]);
    for ms in (1_000..5_000).step_by(400) {
        world.run_to(ms);
        world.hold_up(0, 40);
    }
    world.run_to(6_000);
    assert!(voice(&world).concat() == *said, "every frame, once, in order");
    let counters = world.tasks[0].call.report().uplink;
    assert_eq!((counters.lost_frames, counters.filled_frames, counters.late), (0, 0, 0), "{counters:?}");
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

/// A phone whose packets follow each other without a gap, and whose timestamps say otherwise.
fn said_with_timestamps(change: impl Fn(u32, u32) -> u32 + 'static) {
    let mut world = listening(Impairment { latency: MS, ..Impairment::default() });
    world.restamp = Some(Box::new(change));
    let said = pattern(5_000, 101);
    world.dial(vec![Step::Pause(200 * MS), Step::Say(said.clone())]);
    world.run_to(6_000);
    assert!(voice(&world).concat() == *said, "every frame, once, in order");
    let counters = world.tasks[0].call.report().uplink;
    assert_eq!((counters.lost_frames, counters.jumps, counters.late), (0, 0, 0), "{counters:?}");
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn timestamps_that_are_off_by_less_than_a_frame_or_stand_still_cost_nothing() {
    said_with_timestamps(|number, timestamp| timestamp - 8 * (number % 2));
    said_with_timestamps(|number, timestamp| timestamp + 100 * (number % 2));
    said_with_timestamps(|_, _| 77);
    said_with_timestamps(|number, _| number * 152);
}

#[test]
fn keys_are_no_sound_and_the_sound_around_them_keeps_its_place() {
    let mut world = listening(Impairment { latency: MS, ..Impairment::default() });
    world.dial(vec![
        Step::Pause(480 * MS),
        Step::Say(pattern(200, 101)),
        Step::Press('5'),
        Step::Press('#'),
        Step::Say(pattern(200, 102)),
    ]);
    world.run_to(2_000);
    check(
        &world.ladder,
        Show::ALL.from(150),
        "
                   caller    Asterisk  us        model
            0.486  ╞═════════╪════════▶│         │  voice 200 ms
            0.486  │         │         ╞════════▶│  voice 200 ms
            0.806  │         ├────────▶│         │  DTMF
            1.026  │         ├────────▶│         │  DTMF
            1.126  ╞═════════╪════════▶│         │  voice 200 ms
            1.126  │         │         ╞════════▶│  voice 200 ms
        ",
    );
    assert_eq!(world.tasks[0].call.report().counters.keys, 2);
    let counters = world.tasks[0].call.report().uplink;
    assert_eq!((counters.lost_frames, counters.jumps), (0, 0), "{counters:?}");
}

#[test]
fn packets_of_strangers_and_garbage_change_nothing() {
    let mut world = listening(Impairment { latency: MS, ..Impairment::default() });
    let said = pattern(3_000, 101);
    world.dial(vec![Step::Pause(200 * MS), Step::Say(said.clone())]);
    world.run_to(100);
    let media = world.tasks[0].media.expect("it is known");
    let stranger = SocketAddr::from(([192, 0, 2, 66], 4_000));
    let mut noise = vec![0x80, 0, 0, 1, 0, 0, 0, 1, 9, 9, 9, 9];
    noise.extend([0x11; 160]);
    for n in 0..300 {
        world.run_to(200 + n * 10);
        world.happen(0, Happened::Packet(stranger, noise.clone()));
        let garbage = match n % 5 {
            0 => vec![],
            1 => vec![0x80],
            2 => vec![0xFF; 172],
            3 => vec![0x80, 200, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0],
            _ => vec![0xBF, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF],
        };
        world.happen(0, Happened::Packet(media, garbage));
    }
    world.run_to(4_000);
    assert!(voice(&world).concat() == *said, "his voice and nothing else");
    let counters = world.tasks[0].call.report().counters;
    assert_eq!((counters.foreign_packets, counters.malformed_packets), (300, 300));
}

#[test]
fn comfort_noise_and_keys_among_the_packets_are_no_sound() {
    let mut world = listening(Impairment { latency: MS, ..Impairment::default() });
    let said = pattern(3_000, 101);
    world.dial(vec![Step::Pause(200 * MS), Step::Say(said.clone())]);
    world.run_to(100);
    let media = world.tasks[0].media.expect("it is known");
    for n in 0..100 {
        world.run_to(300 + n * 20);
        let (payload_type, payload) = if n % 2 == 0 { (101, vec![5, 0x8A, 3, 0xC0]) } else { (13, vec![70]) };
        let header = [0x80, payload_type, 0, n as u8, 0, 0, 0, 1];
        let ssrc = world.tasks[0].ssrc.expect("the caller's stream").to_be_bytes();
        world.happen(0, Happened::Packet(media, [&header[..], &ssrc, &payload].concat()));
    }
    world.run_to(4_000);
    assert!(voice(&world).concat() == *said, "his voice and nothing else");
    let report = world.tasks[0].call.report();
    assert_eq!((report.counters.other_payloads, report.uplink.jumps), (100, 0));
}

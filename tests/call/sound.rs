//! A long conversation, byte by byte: nothing is lost, doubled or moved on the way, in either direction.

use std::sync::Arc;

use openai_inbound_calls::sim::caller::{Heard, Step};
use openai_inbound_calls::sim::realtime::{Answer, pattern};

use super::world::{MS, World};

/// Turns of a minute's talk: what the caller says, what he is answered.
const TURNS: u8 = 8;

fn conversation(frames_per_append: u8, delta_extra_bytes: usize) -> World {
    let mut world = World::new();
    world.set(|settings| settings.uplink_frames_per_append = frames_per_append);
    world.model(|script| {
        script.answers =
            (0..TURNS).map(|n| Answer::pattern("Bien.", 2_500 + 77 * u64::from(n), 10 + n)).collect();
        script.delta_extra_bytes = delta_extra_bytes;
    });
    let wait = Step::WaitForSilence { quiet: 700 * MS, at_most: 9_000 * MS };
    let answered = Step::WaitForSpeech { at_most: 5_000 * MS };
    let turn = |n| vec![wait.clone(), Step::Say(pattern(2_000, 100 + n)), answered.clone()];
    world.dial((0..TURNS).flat_map(turn).collect());
    world.run_to(66_000);
    world
}

#[test]
fn every_byte_of_a_minute_is_carried_both_ways() {
    for (frames_per_append, delta_extra_bytes) in [(1, 0), (1, 3), (5, 77)] {
        let world = conversation(frames_per_append, delta_extra_bytes);
        let spoken = [pattern(1_500, 1)]
            .into_iter()
            .chain((0..TURNS).map(|n| pattern(2_500 + 77 * u64::from(n), 10 + n)))
            .flat_map(|sound: Arc<[u8]>| sound.to_vec());
        let heard = world.heard(0);
        assert_eq!(heard.len(), 189_248, "bytes of speech");
        assert!(heard.into_iter().eq(spoken), "every byte the model spoke is heard");
        let said = world.phones[0].caller.said_audio();
        let appended = world.servers[0].session.appended();
        let said = &said[said.len() - appended.len() / 160 * 160..];
        let loud = |sound: &[u8]| sound.iter().copied().filter(|byte| *byte != 0xFF).collect::<Vec<_>>();
        assert!(loud(said) == loud(appended), "every byte the caller said is appended");
        let figures = world.phones[0].caller.statistics();
        assert_eq!((figures.lost, figures.duplicates, figures.disordered, figures.odd_sizes), (0, 0, 0, 0));
        assert_eq!(figures.longest_gap, 20 * MS, "a frame every 20 ms, silence included");
        let report = world.tasks[0].call.report();
        assert_eq!((report.late_frames, report.underruns), (0, 0));
        assert_eq!((report.uplink.filled_frames, report.uplink.lost_frames), (0, 0), "{:?}", report.uplink);
        assert!(world.violations().is_empty(), "{:?}", world.violations());
    }
}

#[test]
fn a_model_slower_than_speech_is_heard_whole_all_the_same() {
    let mut world = World::new();
    world.network.model = (60 * MS, 40 * MS);
    world.model(|script| {
        script.greeting = Some(Answer::pattern("Un saludo largo.", 8_000, 1));
        script.burst = 0.9;
        script.delta_extra_bytes = 5;
    });
    world.dial(vec![]);
    world.run_to(16_000);
    assert_eq!(world.heard(0), *pattern(8_000, 1));
    assert!(world.tasks[0].call.report().underruns > 0, "it was late now and then");
    let torn =
        |packet: &&Heard| packet.payload.contains(&0xFF) && packet.payload.iter().any(|byte| *byte != 0xFF);
    assert_eq!(world.phones[0].caller.heard().iter().filter(torn).count(), 0, "a pause tears no frame apart");
}

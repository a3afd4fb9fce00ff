//! The call's task is not run in time: a busy machine, a suspended one.

use openai_inbound_calls::operator::Notice;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, pattern};

use super::world::{MS, World};

/// A world in which the greeting is long, and the caller listens.
fn speaking() -> World {
    let mut world = World::new();
    world.model(|script| script.greeting = Some(Answer::pattern("Un saludo largo.", 4_000, 1)));
    world.dial(vec![]);
    world.run_to(1_000);
    world
}

#[test]
fn up_to_five_late_frames_are_made_up() {
    let mut world = speaking();
    for ms in (1_000..4_000).step_by(300) {
        world.run_to(ms);
        world.stall(0, 95);
    }
    world.run_to(6_000);
    let report = world.tasks[0].call.report();
    assert_eq!((report.late_frames, report.underruns), (0, 0));
    assert_eq!(world.heard(0), *pattern(4_000, 1), "not a byte is missing");
    let figures = world.phones[0].caller.statistics();
    assert_eq!((figures.lost, figures.disordered, figures.duplicates), (0, 0, 0));
    assert!(figures.worst_delay <= 100 * MS, "{figures:?}");
}

#[test]
fn after_a_longer_stall_the_timestamp_jumps_and_nothing_is_replayed_in_a_burst() {
    let mut world = speaking();
    world.stall(0, 1_000);
    world.run_to(7_000);
    let report = world.tasks[0].call.report();
    // Awake at 2.000 s, fifty frames are due; the last five of them are sent.
    assert_eq!(report.late_frames, 45);
    assert_eq!(world.heard(0), *pattern(4_000, 1), "what was to be said is said, later");
    let figures = world.phones[0].caller.statistics();
    assert!(figures.worst_delay <= 100 * MS, "{figures:?}");
    world.hang_up(0);
    world.run_for(1_000);
    assert!(world.tasks[0].notices.contains(&Notice::LateFrames { frames: 45 }));
}

#[test]
fn the_caller_who_spoke_during_a_stall_is_heard_whole() {
    let mut world = World::new();
    world.set(|settings| settings.greeting = None);
    let said = pattern(2_000, 101);
    world.dial(vec![Step::Pause(500 * MS), Step::Say(said.clone())]);
    world.run_to(1_000);
    world.stall(0, 700);
    world.run_to(4_000);
    let appended = world.servers[0].session.appended();
    let at = appended.windows(160).position(|frame| frame == &said[..160]).expect("his first frame");
    assert!(appended[at..at + said.len()] == *said, "without a gap");
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn an_interruption_during_a_stall_is_counted_as_the_phone_heard_it() {
    for stall in [60, 95, 150, 400, 900] {
        let mut world = World::new();
        world.model(|script| script.greeting = Some(Answer::pattern("Un saludo largo.", 4_000, 1)));
        world.dial(vec![Step::Pause(1_000 * MS), Step::Say(pattern(800, 101))]);
        world.run_to(1_010);
        world.stall(0, stall);
        world.run_to(6_000);
        let greeting = &world.servers[0].session.conversation()[0];
        let heard = world.heard_of(0, &pattern(4_000, 1));
        assert_eq!(greeting.truncated_ms, Some(heard), "after a stall of {stall} ms");
        // What was said during the stall comes in one go.
        let others = world.violations().into_iter().filter(|words| !words.contains("of real time"));
        assert_eq!(others.count(), 0, "{:?}", world.violations());
    }
}

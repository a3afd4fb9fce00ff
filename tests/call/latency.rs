//! How long the caller waits, as the call itself measures it.

use std::time::Duration;

use openai_inbound_calls::call::latency::{Answer, Latencies};
use openai_inbound_calls::call::tools::Destination;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer as Says, pattern};

use super::ladder::Lane;
use super::world::{MS, World};

const FROM_MODEL: (Lane, Lane) = (Lane::Model, Lane::Us);
const TO_CALLER: (Lane, Lane) = (Lane::Us, Lane::Caller);

/// A world without a greeting, 100 ms from the model.
fn world() -> World {
    let mut world = World::new();
    world.set(|settings| settings.greeting = None);
    world.network.model = (100 * MS, Duration::ZERO);
    world
}

fn latencies(world: &World) -> Latencies {
    world.tasks[0].call.report().latencies
}

#[test]
fn an_answer_is_timed_from_the_callers_last_voice_to_its_first_frame() {
    let mut world = world();
    world.dial(vec![Step::Pause(500 * MS), Step::Say(pattern(600, 101))]);
    world.run_to(4_000);
    let latencies = latencies(&world);
    let [Answer { at, speech_stopped, first_delta, first_frame, own }] = latencies.answers[..] else {
        panic!("{latencies:?}")
    };
    // The voice is here from 506 to 1106 ms; our ear holds on to it for some frames.
    assert!((1_080..1_220).contains(&at.as_millis()), "{at:?}");
    let moment = |way, begins| world.ladder.moments(way, begins)[0];
    assert_eq!(at + speech_stopped, moment(FROM_MODEL, "speech_stopped"));
    assert_eq!(at + first_delta, moment(FROM_MODEL, "item_1"));
    assert_eq!(at + first_frame, moment(TO_CALLER, "item_1"));
    assert_eq!(first_delta + own, first_frame);
    assert!(own < 20 * MS, "the next tick of the clock: {own:?}");
    assert_eq!(latencies.greeting, Some(at + first_frame), "it is the first word too");
}

#[test]
fn an_interruption_is_timed_from_the_callers_first_voice_to_silence() {
    let mut world = world();
    world.model(|script| script.answers = vec![Says::pattern("Una respuesta larga.", 6_000, 2)]);
    let (first, second) = (Step::Say(pattern(600, 101)), Step::Say(pattern(800, 102)));
    world.dial(vec![Step::Pause(500 * MS), first, Step::AfterHearing(1_500 * MS), second]);
    world.run_to(6_000);
    let latencies = latencies(&world);
    let [barge_in] = latencies.barge_ins[..] else { panic!("{latencies:?}") };
    assert_eq!(barge_in.at + barge_in.silent_after, world.ladder.moments(FROM_MODEL, "speech_started")[1]);
    assert!(barge_in.silent_after < 400 * MS, "{barge_in:?}");
}

#[test]
fn an_answer_that_the_caller_talks_over_before_it_is_heard_is_not_timed() {
    let mut world = world();
    world.network.model = (300 * MS, Duration::ZERO);
    let again = Step::Say(pattern(600, 102));
    world.dial(vec![Step::Pause(500 * MS), Step::Say(pattern(600, 101)), Step::Pause(900 * MS), again]);
    world.run_to(8_000);
    let latencies = latencies(&world);
    let began = world.ladder.moments(FROM_MODEL, "speech_started");
    assert_eq!((began.len(), latencies.answers.len()), (2, 1), "{latencies:?}");
    assert!(latencies.answers[0].at + 600 * MS > began[1], "the second one's: {latencies:?}");
}

#[test]
fn the_words_behind_a_transfer_that_failed_are_the_answer() {
    let mut world = world();
    let place = "nowhere,1,1".parse().unwrap();
    world.set(|settings| settings.destinations = vec![Destination { name: "ventas".into(), place }]);
    let asks = Says::call("transfer_call", r#"{"destination":"ventas","summary":"x"}"#);
    world.model(|script| script.answers = vec![asks, Says::pattern("No puedo.", 1_000, 3)]);
    world.dial(vec![Step::Pause(500 * MS), Step::Say(pattern(600, 101))]);
    world.run_to(6_000);
    let latencies = latencies(&world);
    let [answer] = latencies.answers[..] else { panic!("{latencies:?}") };
    assert_eq!(answer.at + answer.first_frame, world.ladder.moments(TO_CALLER, "item_")[0]);
}

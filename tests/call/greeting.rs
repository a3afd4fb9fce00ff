//! The first seconds: who is answered when, and who speaks first.

use std::sync::Arc;
use std::time::Duration;

use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, Fault, FaultKind, Trigger, pattern};

use super::ladder::{Show, check};
use super::world::{MS, World};

/// Sessions that take so much longer to begin.
fn late_by(world: &mut World, delay: Duration) {
    world.model(|script| script.faults.push(Fault::new(Trigger::OnConnect, FaultKind::CreatedLate(delay))));
}

#[test]
fn a_caller_is_greeted_while_bridge_media_and_session_are_made_together() {
    let mut world = World::new();
    world.dial(vec![]);
    world.run_to(3_000);
    check(
        &world.ladder,
        Show::ALL,
        "
                   caller    Asterisk  us        model
            0.000  │◀────────┤         │         │  200 OK
            0.004  │         ├────────▶│         │  StasisStart
            0.004  │         │◀────────┤         │  create bridge
            0.004  │         │◀────────┤         │  external media
            0.004  │         │         ├────────▶│  connect
            0.010  │         ├────────▶│         │  Up (media)
            0.010  │         ├────────▶│         │  StasisStart (media)
            0.010  │         │◀────────┤         │  join
            0.104  │         │         │◀────────┤  connected
            0.104  │         │         │◀────────┤  session.created
            0.104  │         │         ├────────▶│  session.update
            0.144  │         │         │◀────────┤  session.updated
            0.144  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
            0.184  │         │         │◀────────┤  created resp_1
            0.484  │         │         │◀════════╡  item_1 1500 ms
            0.486  │◀════════╪═════════╡         │  item_1 1500 ms
            0.534  │         │         │◀────────┤  done resp_1 completed
        ",
    );
    assert_eq!(world.heard(0), *pattern(1_500, 1), "the greeting, whole");
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn the_greeting_is_asked_for_before_the_audio_kept_meanwhile_is_sent() {
    let mut world = World::new();
    world.dial(vec![Step::Say(pattern(100, 101)), Step::Pause(5_000 * MS)]);
    world.run_to(1_000);
    check(
        &world.ladder,
        Show::SOUND.from(100),
        "
                   caller    Asterisk  us        model
            0.104  │         │         │◀────────┤  connected
            0.104  │         │         │◀────────┤  session.created
            0.104  │         │         ├────────▶│  session.update
            0.106  ╞═════════╪════════▶│         │  silence 900 ms
            0.144  │         │         │◀────────┤  session.updated
            0.144  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
            0.144  │         │         ╞════════▶│  voice 80 ms
            0.144  │         │         ╞════════▶│  silence 900 ms
            0.184  │         │         │◀────────┤  created resp_1
            0.184  │         │         │◀────────┤  speech_started
            0.184  │         │         │◀────────┤  done resp_1 cancelled
            0.626  │         │         │◀────────┤  speech_stopped
            0.626  │         │         │◀────────┤  created resp_2
            0.926  │         │         │◀════════╡  item_1 2000 ms
            0.926  │◀════════╪═════════╡         │  item_1 80 ms
            0.992  │         │         │◀────────┤  done resp_2 completed
        ",
    );
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn a_ringing_caller_is_answered_when_the_session_is_ready() {
    let mut world = World::new();
    late_by(&mut world, 700 * MS);
    world.ring(vec![]);
    world.run_to(4_000);
    check(
        &world.ladder,
        Show::ALL,
        "
                   caller    Asterisk  us        model
            0.004  │         ├────────▶│         │  StasisStart
            0.004  │         │◀────────┤         │  create bridge
            0.004  │         │◀────────┤         │  external media
            0.004  │         │◀────────┤         │  ring
            0.004  │         │         ├────────▶│  connect
            0.010  │         ├────────▶│         │  Up (media)
            0.010  │         ├────────▶│         │  StasisStart (media)
            0.010  │         │◀────────┤         │  join
            0.104  │         │         │◀────────┤  connected
            0.804  │         │         │◀────────┤  session.created
            0.804  │         │         ├────────▶│  session.update
            0.844  │         │         │◀────────┤  session.updated
            0.844  │         │◀────────┤         │  answer
            0.844  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
            0.846  │◀────────┤         │         │  200 OK
            0.847  │         ├────────▶│         │  Up
            0.884  │         │         │◀────────┤  created resp_1
            1.184  │         │         │◀════════╡  item_1 1500 ms
            1.192  │◀════════╪═════════╡         │  item_1 1500 ms
            1.234  │         │         │◀────────┤  done resp_1 completed
        ",
    );
    assert_eq!(world.heard(0), *pattern(1_500, 1), "the greeting, whole");
}

#[test]
fn a_ringing_caller_is_answered_after_two_seconds_at_the_latest() {
    let mut world = World::new();
    late_by(&mut world, 3_000 * MS);
    world.ring(vec![]);
    world.run_to(6_000);
    check(
        &world.ladder,
        Show::ALL,
        "
                   caller    Asterisk  us        model
            0.004  │         ├────────▶│         │  StasisStart
            0.004  │         │◀────────┤         │  create bridge
            0.004  │         │◀────────┤         │  external media
            0.004  │         │◀────────┤         │  ring
            0.004  │         │         ├────────▶│  connect
            0.010  │         ├────────▶│         │  Up (media)
            0.010  │         ├────────▶│         │  StasisStart (media)
            0.010  │         │◀────────┤         │  join
            0.104  │         │         │◀────────┤  connected
            2.004  │         │◀────────┤         │  answer
            2.006  │◀────────┤         │         │  200 OK
            2.007  │         ├────────▶│         │  Up
            3.104  │         │         │◀────────┤  session.created
            3.104  │         │         ├────────▶│  session.update
            3.144  │         │         │◀────────┤  session.updated
            3.144  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
            3.184  │         │         │◀────────┤  created resp_1
            3.484  │         │         │◀════════╡  item_1 1500 ms
            3.492  │◀════════╪═════════╡         │  item_1 1500 ms
            3.534  │         │         │◀────────┤  done resp_1 completed
        ",
    );
}

#[test]
fn without_a_greeting_the_assistant_waits_for_the_caller() {
    let mut world = World::new();
    world.set(|settings| settings.greeting = None);
    world.dial(vec![Step::Pause(2_000 * MS), Step::Say(pattern(600, 101))]);
    world.run_to(6_000);
    check(
        &world.ladder,
        Show::TALK,
        "
                   caller    Asterisk  us        model
            0.004  │         │         ├────────▶│  connect
            0.104  │         │         │◀────────┤  connected
            0.104  │         │         │◀────────┤  session.created
            0.104  │         │         ├────────▶│  session.update
            0.144  │         │         │◀────────┤  session.updated
            2.006  ╞═════════╪════════▶│         │  voice 600 ms
            2.006  │         │         ╞════════▶│  voice 600 ms
            2.086  │         │         │◀────────┤  speech_started
            3.126  │         │         │◀────────┤  speech_stopped
            3.126  │         │         │◀────────┤  created resp_1
            3.426  │         │         │◀════════╡  item_1 2000 ms
            3.426  │◀════════╪═════════╡         │  item_1 2000 ms
            3.492  │         │         │◀────────┤  done resp_1 completed
        ",
    );
    assert_eq!(world.heard(0), *pattern(2_000, 2));
}

#[test]
fn the_recording_notice_comes_first_and_is_said_to_its_end_whoever_speaks() {
    let mut world = World::new();
    world.set(|settings| settings.recording_notice = Some("Esta llamada se graba.".into()));
    world.model(|script| {
        script.greeting = Some(Answer::pattern("Esta llamada se graba.", 2_000, 7));
        script.burst = 2.0;
    });
    world.dial(vec![Step::AfterHearing(300 * MS), Step::Say(pattern(400, 101))]);
    world.run_to(8_000);
    check(
        &world.ladder,
        Show::TALK,
        "
                   caller    Asterisk  us        model
            0.004  │         │         ├────────▶│  connect
            0.104  │         │         │◀────────┤  connected
            0.104  │         │         │◀────────┤  session.created
            0.104  │         │         ├────────▶│  session.update
            0.144  │         │         │◀────────┤  session.updated
            0.144  │         │         ├────────▶│  respond: Esta llamada se graba.
            0.184  │         │         │◀────────┤  created resp_1
            0.484  │         │         │◀════════╡  item_1 2000 ms
            0.486  │◀════════╪═════════╡         │  item_1 2000 ms
            0.806  ╞═════════╪════════▶│         │  voice 400 ms
            0.806  │         │         ╞════════▶│  voice 400 ms
            0.886  │         │         │◀────────┤  speech_started
            1.484  │         │         │◀────────┤  done resp_1 completed
            1.484  │         │         ├────────▶│  session.update (may be interrupted)
            1.524  │         │         │◀────────┤  session.updated
            1.726  │         │         │◀────────┤  speech_stopped
            1.726  │         │         │◀────────┤  created resp_2
            2.026  │         │         │◀════════╡  item_2 2000 ms
            2.486  │◀════════╪═════════╡         │  item_2 2000 ms
            3.026  │         │         │◀────────┤  done resp_2 completed
        ",
    );
    assert_eq!(world.heard_of(0, &pattern(2_000, 7)), 2_000);
    assert_eq!(world.heard_of(0, &pattern(2_000, 2)), 2_000, "and the caller is answered");
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn after_the_notice_the_greeting_follows_and_may_be_interrupted() {
    let mut world = World::new();
    world.set(|settings| settings.recording_notice = Some("Esta llamada se graba.".into()));
    world.dial(vec![Step::AfterHearing(2_000 * MS), Step::Say(pattern(400, 101))]);
    world.run_to(6_000);
    check(
        &world.ladder,
        Show::TALK,
        "
                   caller    Asterisk  us        model
            0.004  │         │         ├────────▶│  connect
            0.104  │         │         │◀────────┤  connected
            0.104  │         │         │◀────────┤  session.created
            0.104  │         │         ├────────▶│  session.update
            0.144  │         │         │◀────────┤  session.updated
            0.144  │         │         ├────────▶│  respond: Esta llamada se graba.
            0.184  │         │         │◀────────┤  created resp_1
            0.484  │         │         │◀════════╡  item_1 1500 ms
            0.486  │◀════════╪═════════╡         │  item_1 1500 ms
            0.534  │         │         │◀────────┤  done resp_1 completed
            0.534  │         │         ├────────▶│  session.update (may be interrupted)
            0.534  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
            0.574  │         │         │◀────────┤  session.updated
            0.574  │         │         │◀────────┤  created resp_2
            0.874  │         │         │◀════════╡  item_2 1500 ms
            0.924  │         │         │◀────────┤  done resp_2 completed
            1.986  │◀════════╪═════════╡         │  item_2 600 ms
            2.506  ╞═════════╪════════▶│         │  voice 400 ms
            2.506  │         │         ╞════════▶│  voice 400 ms
            2.586  │         │         │◀────────┤  speech_started
            2.586  │         │         ├────────▶│  truncate item_2 at 600 ms
            3.426  │         │         │◀────────┤  speech_stopped
            3.426  │         │         │◀────────┤  created resp_3
            3.726  │         │         │◀════════╡  item_3 2000 ms
            3.726  │◀════════╪═════════╡         │  item_3 2000 ms
            3.792  │         │         │◀────────┤  done resp_3 completed
        ",
    );
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn the_answer_to_an_early_caller_takes_the_place_of_the_greeting() {
    let mut world = World::new();
    late_by(&mut world, 1_500 * MS);
    world.dial(vec![Step::Say(pattern(800, 101))]);
    world.run_to(7_000);
    check(
        &world.ladder,
        Show::TALK,
        "
                   caller    Asterisk  us        model
            0.004  │         │         ├────────▶│  connect
            0.026  ╞═════════╪════════▶│         │  voice 780 ms
            0.104  │         │         │◀────────┤  connected
            1.604  │         │         │◀────────┤  session.created
            1.604  │         │         ├────────▶│  session.update
            1.644  │         │         │◀────────┤  session.updated
            1.644  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
            1.644  │         │         ╞════════▶│  voice 780 ms
            1.684  │         │         │◀────────┤  created resp_1
            1.684  │         │         │◀────────┤  speech_started
            1.684  │         │         │◀────────┤  done resp_1 cancelled
            1.684  │         │         │◀────────┤  speech_stopped
            1.684  │         │         │◀────────┤  created resp_2
            1.984  │         │         │◀════════╡  item_1 2000 ms
            1.986  │◀════════╪═════════╡         │  item_1 2000 ms
            2.050  │         │         │◀────────┤  done resp_2 completed
        ",
    );
    assert_eq!(world.heard(0), *pattern(2_000, 2), "the answer, and no greeting");
}

#[test]
fn of_a_long_wait_the_last_two_seconds_of_the_caller_are_kept() {
    let mut world = World::new();
    late_by(&mut world, 4_000 * MS);
    let said = pattern(6_000, 101);
    world.dial(vec![Step::Say(Arc::clone(&said))]);
    world.run_to(9_000);
    let appended = world.servers[0].session.appended();
    let at = said.windows(160).position(|frame| frame == &appended[..160]).expect("a frame of his");
    assert!(appended[..said.len() - at] == said[at..], "from there to the end, nothing is missing");
    // Configured at 4.144 s; the frame spoken at 4.120 s was the last to have come.
    assert_eq!(at / 8, 2_140);
}

#[test]
fn a_noise_during_the_notice_does_not_cost_the_greeting() {
    let mut world = World::new();
    world.set(|settings| settings.recording_notice = Some("Esta llamada se graba.".into()));
    world.model(|script| {
        script.greeting = Some(Answer::pattern("Esta llamada se graba.", 2_000, 7));
        script.burst = 2.0;
        script.faults = vec![Fault::new(Trigger::OnTurn(1), FaultKind::FalseStart)];
    });
    world.dial(vec![Step::AfterHearing(300 * MS), Step::Say(pattern(400, 101))]);
    world.run_to(8_000);
    // The fake says the same words for both.
    assert_eq!(world.heard(0), [pattern(2_000, 7), pattern(2_000, 7)].concat());
}

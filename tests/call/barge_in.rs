//! The caller speaks while the assistant is heard.

use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, Fault, FaultKind, Trigger, What, pattern};

use super::ladder::{Lane, Show, check};
use super::world::{MS, World};

/// A caller who asks at once, lets the answer go on for so long and then interrupts it.
fn interrupting(after_ms: u32) -> Vec<Step> {
    vec![
        Step::Pause(300 * MS),
        Step::Say(pattern(600, 101)),
        Step::AfterHearing(after_ms * MS),
        Step::Say(pattern(800, 102)),
    ]
}

/// A world without a greeting, where the first answer is this and the next is one of two seconds.
fn answering(answer: Answer) -> World {
    let mut world = World::new();
    world.set(|settings| settings.greeting = None);
    world.model(|script| script.answers = vec![answer, Answer::pattern("Perdone, dígame.", 2_000, 9)]);
    world
}

/// Where the model believes that the item was cut.
fn truncated(world: &World, item: &str) -> Option<u64> {
    world.servers[0].session.conversation().into_iter().find(|known| known.id == item)?.truncated_ms
}

#[test]
fn the_model_learns_exactly_what_the_caller_heard() {
    let mut world = answering(Answer::pattern("Una respuesta larga.", 6_000, 2));
    world.dial(interrupting(1_500));
    world.run_to(9_000);
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
            0.306  ╞═════════╪════════▶│         │  voice 600 ms
            0.306  │         │         ╞════════▶│  voice 600 ms
            0.386  │         │         │◀────────┤  speech_started
            1.426  │         │         │◀────────┤  speech_stopped
            1.426  │         │         │◀────────┤  created resp_1
            1.726  │         │         │◀════════╡  item_1 6000 ms
            1.726  │◀════════╪═════════╡         │  item_1 1600 ms
            1.926  │         │         │◀────────┤  done resp_1 completed
            3.246  ╞═════════╪════════▶│         │  voice 800 ms
            3.246  │         │         ╞════════▶│  voice 800 ms
            3.326  │         │         │◀────────┤  speech_started
            3.326  │         │         ├────────▶│  truncate item_1 at 1600 ms
            4.566  │         │         │◀────────┤  speech_stopped
            4.566  │         │         │◀────────┤  created resp_2
            4.866  │         │         │◀════════╡  item_2 2000 ms
            4.866  │◀════════╪═════════╡         │  item_2 2000 ms
            4.932  │         │         │◀────────┤  done resp_2 completed
        ",
    );
    assert_eq!(truncated(&world, "item_1"), Some(world.heard_of(0, &pattern(6_000, 2))));
    assert_eq!(world.heard_of(0, &pattern(2_000, 9)), 2_000, "the next answer is heard whole");
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn at_every_moment_of_the_answer_the_model_learns_what_was_heard() {
    for after_ms in (20..3_000).step_by(73) {
        let mut world = answering(Answer::pattern("Una respuesta.", 3_000, 2));
        world.network.model = (35 * MS, 30 * MS);
        world.dial(interrupting(after_ms));
        world.run_to(9_000);
        let heard = world.heard_of(0, &pattern(3_000, 2));
        match truncated(&world, "item_1") {
            Some(ms) => assert_eq!(ms, heard, "interrupted after {after_ms} ms"),
            None => assert_eq!(heard, 3_000, "interrupted after {after_ms} ms"),
        }
        assert!(world.violations().is_empty(), "{:?}", world.violations());
    }
}

#[test]
fn what_still_comes_of_an_interrupted_answer_is_dropped() {
    let mut world = answering(Answer::pattern("Una respuesta larga.", 6_000, 2));
    world.model(|script| {
        script.burst = 1.5;
        script.faults.push(Fault::new(Trigger::OnResponse(1), FaultKind::DeltasAfterCancel(4)));
    });
    world.dial(interrupting(1_000));
    world.run_to(9_000);
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
            0.306  ╞═════════╪════════▶│         │  voice 600 ms
            0.306  │         │         ╞════════▶│  voice 600 ms
            0.386  │         │         │◀────────┤  speech_started
            1.426  │         │         │◀────────┤  speech_stopped
            1.426  │         │         │◀────────┤  created resp_1
            1.726  │         │         │◀════════╡  item_1 2600 ms
            1.726  │◀════════╪═════════╡         │  item_1 1100 ms
            2.746  ╞═════════╪════════▶│         │  voice 800 ms
            2.746  │         │         ╞════════▶│  voice 800 ms
            2.826  │         │         │◀────────┤  speech_started
            2.826  │         │         ├────────▶│  truncate item_1 at 1100 ms
            3.325  │         │         │◀────────┤  done resp_1 cancelled
            4.066  │         │         │◀────────┤  speech_stopped
            4.066  │         │         │◀────────┤  created resp_2
            4.366  │         │         │◀════════╡  item_2 2000 ms
            4.366  │◀════════╪═════════╡         │  item_2 2000 ms
            5.699  │         │         │◀────────┤  done resp_2 completed
        ",
    );
    assert_eq!(truncated(&world, "item_1"), Some(world.heard_of(0, &pattern(6_000, 2))));
    assert_eq!(world.tasks[0].call.report().counters.dropped_deltas, 4);
}

#[test]
fn interrupted_in_the_first_of_two_items_the_second_is_deleted() {
    let answer = Answer::pattern("Un momento.", 2_000, 2).and(Answer::pattern("Ya lo tengo.", 3_000, 3));
    let mut world = answering(answer);
    world.dial(interrupting(1_000));
    world.run_to(9_000);
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
            0.306  ╞═════════╪════════▶│         │  voice 600 ms
            0.306  │         │         ╞════════▶│  voice 600 ms
            0.386  │         │         │◀────────┤  speech_started
            1.426  │         │         │◀────────┤  speech_stopped
            1.426  │         │         │◀────────┤  created resp_1
            1.726  │         │         │◀════════╡  item_1 2000 ms
            1.726  │◀════════╪═════════╡         │  item_1 1100 ms
            1.792  │         │         │◀════════╡  item_2 3000 ms
            1.892  │         │         │◀────────┤  done resp_1 completed
            2.746  ╞═════════╪════════▶│         │  voice 800 ms
            2.746  │         │         ╞════════▶│  voice 800 ms
            2.826  │         │         │◀────────┤  speech_started
            2.826  │         │         ├────────▶│  truncate item_1 at 1100 ms
            2.826  │         │         ├────────▶│  delete item_2
            4.066  │         │         │◀────────┤  speech_stopped
            4.066  │         │         │◀────────┤  created resp_2
            4.366  │         │         │◀════════╡  item_3 2000 ms
            4.366  │◀════════╪═════════╡         │  item_3 2000 ms
            4.432  │         │         │◀────────┤  done resp_2 completed
        ",
    );
    assert_eq!(world.heard_of(0, &pattern(3_000, 3)), 0);
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn interrupted_in_the_second_of_two_items_the_first_is_left_alone() {
    let answer = Answer::pattern("Un momento.", 1_013, 2).and(Answer::pattern("Ya lo tengo.", 3_000, 3));
    let mut world = answering(answer);
    world.dial(interrupting(2_000));
    world.run_to(9_000);
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
            0.306  ╞═════════╪════════▶│         │  voice 600 ms
            0.306  │         │         ╞════════▶│  voice 600 ms
            0.386  │         │         │◀────────┤  speech_started
            1.426  │         │         │◀────────┤  speech_stopped
            1.426  │         │         │◀────────┤  created resp_1
            1.726  │         │         │◀════════╡  item_1 1013 ms
            1.726  │◀════════╪═════════╡         │  item_1 1020 ms
            1.759  │         │         │◀════════╡  item_2 3000 ms
            1.859  │         │         │◀────────┤  done resp_1 completed
            2.746  │◀════════╪═════════╡         │  item_2 1080 ms
            3.746  ╞═════════╪════════▶│         │  voice 800 ms
            3.746  │         │         ╞════════▶│  voice 800 ms
            3.826  │         │         │◀────────┤  speech_started
            3.826  │         │         ├────────▶│  truncate item_2 at 1087 ms
            5.066  │         │         │◀────────┤  speech_stopped
            5.066  │         │         │◀────────┤  created resp_2
            5.366  │         │         │◀════════╡  item_3 2000 ms
            5.366  │◀════════╪═════════╡         │  item_3 2000 ms
            5.432  │         │         │◀────────┤  done resp_2 completed
        ",
    );
    assert_eq!(world.heard_of(0, &pattern(1_013, 2)), 1_013, "to its odd end");
    assert_eq!(truncated(&world, "item_2"), Some(world.heard_of(0, &pattern(3_000, 3))));
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn an_item_that_comes_only_after_the_interruption_is_deleted_unheard() {
    let answer = Answer::pattern("Un momento.", 2_000, 2).and(Answer::pattern("Ya lo tengo.", 3_000, 3));
    let mut world = answering(answer);
    world.model(|script| {
        script.burst = 1.0;
        script.faults.push(Fault::new(Trigger::OnResponse(1), FaultKind::DeltasAfterCancel(4)));
    });
    world.dial(interrupting(1_600));
    world.run_to(9_000);
    check(
        &world.ladder,
        Show::TALK.from(1_700),
        "
                   caller    Asterisk  us        model
            1.726  │         │         │◀════════╡  item_1 2000 ms
            1.726  │◀════════╪═════════╡         │  item_1 1700 ms
            3.346  ╞═════════╪════════▶│         │  voice 800 ms
            3.346  │         │         ╞════════▶│  voice 800 ms
            3.426  │         │         │◀────────┤  speech_started
            3.426  │         │         ├────────▶│  truncate item_1 at 1700 ms
            3.726  │         │         │◀════════╡  item_2 600 ms
            4.126  │         │         │◀────────┤  done resp_1 cancelled
            4.126  │         │         ├────────▶│  delete item_2
            4.666  │         │         │◀────────┤  speech_stopped
            4.666  │         │         │◀────────┤  created resp_2
            4.966  │         │         │◀════════╡  item_3 2000 ms
            4.966  │◀════════╪═════════╡         │  item_3 2000 ms
            6.966  │         │         │◀────────┤  done resp_2 completed
        ",
    );
    assert_eq!(world.heard_of(0, &pattern(3_000, 3)), 0);
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn an_answer_that_was_heard_whole_is_left_alone() {
    let mut world = answering(Answer::pattern("Sí.", 400, 2));
    world.dial(interrupting(3_000));
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
            0.306  ╞═════════╪════════▶│         │  voice 600 ms
            0.306  │         │         ╞════════▶│  voice 600 ms
            0.386  │         │         │◀────────┤  speech_started
            1.426  │         │         │◀────────┤  speech_stopped
            1.426  │         │         │◀────────┤  created resp_1
            1.726  │         │         │◀════════╡  item_1 400 ms
            1.726  │◀════════╪═════════╡         │  item_1 400 ms
            1.739  │         │         │◀────────┤  done resp_1 completed
            2.626  ╞═════════╪════════▶│         │  voice 800 ms
            2.626  │         │         ╞════════▶│  voice 800 ms
            2.706  │         │         │◀────────┤  speech_started
            3.946  │         │         │◀────────┤  speech_stopped
            3.946  │         │         │◀────────┤  created resp_2
            4.246  │         │         │◀════════╡  item_2 2000 ms
            4.246  │◀════════╪═════════╡         │  item_2 2000 ms
            4.312  │         │         │◀────────┤  done resp_2 completed
        ",
    );
    assert_eq!(truncated(&world, "item_1"), None);
}

#[test]
fn an_answer_that_nobody_may_interrupt_is_played_to_its_end() {
    let mut world = answering(Answer::pattern("Una respuesta larga.", 6_000, 2));
    world.set(|settings| settings.session.interrupt = false);
    world.model(|script| script.burst = 1.5);
    world.dial(interrupting(1_000));
    world.run_to(12_000);
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
            0.306  ╞═════════╪════════▶│         │  voice 600 ms
            0.306  │         │         ╞════════▶│  voice 600 ms
            0.386  │         │         │◀────────┤  speech_started
            1.426  │         │         │◀────────┤  speech_stopped
            1.426  │         │         │◀────────┤  created resp_1
            1.726  │         │         │◀════════╡  item_1 6000 ms
            1.726  │◀════════╪═════════╡         │  item_1 6000 ms
            2.746  ╞═════════╪════════▶│         │  voice 800 ms
            2.746  │         │         ╞════════▶│  voice 800 ms
            2.826  │         │         │◀────────┤  speech_started
            4.066  │         │         │◀────────┤  speech_stopped
            4.066  │         │         │◀────────┤  error conversation_already_has_active_response
            5.725  │         │         │◀────────┤  done resp_1 completed
            5.725  │         │         ├────────▶│  respond
            5.765  │         │         │◀────────┤  created resp_2
            6.065  │         │         │◀════════╡  item_2 2000 ms
            7.399  │         │         │◀────────┤  done resp_2 completed
            7.726  │◀════════╪═════════╡         │  item_2 2000 ms
        ",
    );
    assert_eq!(truncated(&world, "item_1"), None);
    assert_eq!(world.heard_of(0, &pattern(6_000, 2)), 6_000, "the whole answer");
    assert_eq!(world.heard_of(0, &pattern(2_000, 9)), 2_000, "and the one to what the caller said meanwhile");
    world.hang_up(0);
    world.run_for(3_000);
    assert_eq!(world.report(0).counters.barge_ins, 0);
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn a_greeting_asked_for_as_the_caller_begins_does_not_talk_over_him() {
    let mut world = World::new();
    world.set(|settings| settings.session.interrupt = false);
    world.network.model.0 = 150 * MS;
    let fails = FaultKind::ResponseFails("server_error".into());
    world.model(|script| script.faults.push(Fault::new(Trigger::OnResponse(1), fails)));
    world.dial(vec![Step::Pause(1_300 * MS), Step::Say(pattern(1_500, 101))]);
    world.run_to(8_000);
    check(
        &world.ladder,
        Show::TALK,
        "
                   caller    Asterisk  us        model
            0.004  │         │         ├────────▶│  connect
            0.154  │         │         │◀────────┤  connected
            0.154  │         │         │◀────────┤  session.created
            0.154  │         │         ├────────▶│  session.update
            0.454  │         │         │◀────────┤  session.updated
            0.454  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
            0.754  │         │         │◀────────┤  created resp_1
            1.054  │         │         │◀────────┤  done resp_1 failed: server_error
            1.054  │         │         ●         │  ! ResponseFailed
            1.306  ╞═════════╪════════▶│         │  voice 1500 ms
            1.306  │         │         ╞════════▶│  voice 1500 ms
            1.554  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
            1.646  │         │         │◀────────┤  speech_started
            1.854  │         │         │◀────────┤  created resp_2
            1.854  │         │         ├────────▶│  cancel resp_2
            2.154  │         │         │◀════════╡  item_1 200 ms
            2.154  │         │         │◀────────┤  done resp_2 cancelled
            2.154  │         │         ├────────▶│  delete item_1
            3.586  │         │         │◀────────┤  speech_stopped
            3.586  │         │         │◀────────┤  created resp_3
            3.886  │         │         │◀════════╡  item_2 2000 ms
            3.886  │◀════════╪═════════╡         │  item_2 2000 ms
            3.952  │         │         │◀────────┤  done resp_3 completed
        ",
    );
    assert_eq!(world.heard(0), *pattern(2_000, 2), "only the answer");
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn answers_are_cut_once_however_often_the_caller_interrupts() {
    let mut world = answering(Answer::pattern("Una respuesta larga.", 6_000, 2));
    world.model(|script| {
        script.answers = (2..8).map(|tag| Answer::pattern("Una respuesta larga.", 6_000, tag)).collect();
    });
    let again = [Step::AfterHearing(700 * MS), Step::Say(pattern(300, 102))];
    let steps = [Step::Say(pattern(600, 101))].into_iter().chain(again.into_iter().cycle().take(10));
    world.dial(steps.collect());
    world.run_to(20_000);
    let cuts = world.ladder.texts(0, Lane::Us, Lane::Model);
    assert_eq!(cuts.iter().filter(|text| text.starts_with("truncate")).count(), 5, "{cuts:?}");
    let journal = world.servers[0].session.journal();
    let cut = journal.iter().filter(|fact| matches!(fact.what, What::Truncated { .. })).count();
    assert_eq!(cut, 5);
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

//! The assistant hangs up and transfers: only after the last frame of what it said, and only where it may.

use std::sync::Arc;

use openai_inbound_calls::call::tools::{Destination, offered};
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::operator::{Language, Notice};
use openai_inbound_calls::sim::asterisk::{self, Ending, Fault};
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{self, Answer, FaultKind, Script, Trigger, pattern};

use super::ladder::{Lane, Show, check};
use super::world::{MS, World};

/// A world whose model may hang up and transfer to `ventas`, which is in the dialplan, and `nadie`, which is not.
fn world() -> World {
    let dialplan = Some(vec![("from-internal".to_owned(), "200".to_owned())]);
    let mut world = World::with(1, asterisk::Settings { dialplan, ..asterisk::Settings::default() });
    world.set(|settings| {
        let destination = |name: &str, place: &str| Destination {
            name: name.to_owned(),
            place: place.parse().expect("a place"),
        };
        settings.may_hang_up = true;
        settings.destinations =
            vec![destination("ventas", "from-internal,200"), destination("nadie", "from-internal,999")];
        settings.session.tools = offered(true, &settings.destinations, &[]);
    });
    world
}

/// A caller who asks once, after the greeting.
fn asks() -> Vec<Step> {
    vec![
        Step::WaitForSilence { quiet: 700 * MS, at_most: 10_000 * MS },
        Step::Say(pattern(500, 101)),
        Step::WaitForSpeech { at_most: 5_000 * MS },
    ]
}

fn answers(world: &mut World, answers: Vec<Answer>) {
    world.model(|script| script.answers = answers);
}

/// Nobody has done anything wrong, and nothing is left.
fn in_order(world: &World) {
    assert!(world.violations().is_empty(), "{:?}", world.violations());
    assert_eq!(world.left_over(), [""; 0]);
}

#[test]
fn the_goodbye_is_heard_to_its_last_frame_before_the_assistant_hangs_up() {
    let mut world = world();
    answers(&mut world, vec![Answer::pattern("Adiós.", 1_500, 2).and(Answer::call("end_call", "{}"))]);
    world.dial(asks());
    world.run_to(12_000);
    check(
        &world.ladder,
        Show::ALL.from(3_000),
        "
                       caller    Asterisk  us        model
                3.706  │         │         │◀────────┤  speech_stopped
                3.706  │         │         │◀────────┤  created resp_2
                4.006  │         │         │◀════════╡  item_2 1500 ms
                4.006  │◀════════╪═════════╡         │  item_2 1500 ms
                4.056  │         │         │◀────────┤  call_1 end_call{}
                4.056  │         │         ├────────▶│  call_1: {\"ok\":true}
                4.056  │         │         │◀────────┤  done resp_2 completed
                5.886  │         │◀────────┤         │  hang up
                5.886  │         │◀────────┤         │  hang up media
                5.886  │         │◀────────┤         │  delete bridge
                5.886  │         │         ├────────▶│  close
                5.888  │◀────────┤         │         │  HungUp { cause: 16, sip_status: None }
                5.889  │         ├────────▶│         │  StasisEnd
                5.889  │         ├────────▶│         │  StasisEnd (media)
        ",
    );
    assert_eq!(world.outcome(0).ended, Some(Ending::HungUp { cause: 16, sip_status: None }));
    assert!(world.heard(0).ends_with(&pattern(1_500, 2)), "all of the goodbye");
    assert_eq!(world.report(0).reason, EndReason::AssistantHungUp);
    in_order(&world);
}

#[test]
fn a_model_that_hangs_up_without_a_word_is_asked_for_one() {
    let mut world = world();
    answers(&mut world, vec![Answer::call("end_call", "{}")]);
    world.dial(asks());
    world.run_to(12_000);
    check(
        &world.ladder,
        Show::TALK.from(3_000),
        "
                       caller    Asterisk  us        model
                3.706  │         │         │◀────────┤  speech_stopped
                3.706  │         │         │◀────────┤  created resp_2
                4.006  │         │         │◀────────┤  call_1 end_call{}
                4.006  │         │         ├────────▶│  call_1: {\"ok\":true}
                4.006  │         │         │◀────────┤  done resp_2 completed
                4.006  │         │         ├────────▶│  respond: Say goodbye in one short sentence.
                4.046  │         │         │◀────────┤  created resp_3
                4.346  │         │         │◀════════╡  item_2 1500 ms
                4.346  │◀════════╪═════════╡         │  item_2 1500 ms
                4.396  │         │         │◀────────┤  done resp_3 completed
                6.226  │         │         ├────────▶│  close
        ",
    );
    assert_eq!(world.report(0).reason, EndReason::AssistantHungUp);
    in_order(&world);
}

#[test]
fn a_caller_who_interrupts_the_goodbye_is_listened_to() {
    let mut world = world();
    let goodbye = Answer::pattern("Adiós.", 3_000, 2).and(Answer::call("end_call", "{}"));
    answers(&mut world, vec![goodbye, Answer::pattern("Dígame.", 800, 3)]);
    world.dial([asks(), vec![Step::AfterHearing(500 * MS), Step::Say(pattern(600, 102))]].concat());
    world.run_to(12_000);
    assert!(world.outcome(0).ended.is_none(), "the call goes on");
    assert!(world.heard(0).ends_with(&pattern(800, 3)), "the answer");
    assert!(world.heard_of(0, &pattern(3_000, 2)) < 1_500, "the goodbye was cut");
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
}

#[test]
fn a_transfer_is_announced_and_takes_its_reason_along() {
    let mut world = world();
    let arguments = r#"{"destination":"Ventas","summary":"Ana Ruiz pregunta por su pedido, urgente"}"#;
    let announced = Answer::pattern("Le paso.", 1_000, 2).and(Answer::call("transfer_call", arguments));
    answers(&mut world, vec![announced]);
    world.dial(asks());
    world.run_to(12_000);
    check(&world.ladder, Show::ALL.from(3_000), "
                       caller    Asterisk  us        model
                3.706  │         │         │◀────────┤  speech_stopped
                3.706  │         │         │◀────────┤  created resp_2
                4.006  │         │         │◀════════╡  item_2 1000 ms
                4.006  │◀════════╪═════════╡         │  item_2 1000 ms
                4.039  │         │         │◀────────┤  call_1 transfer_call{\"destination\":\"Ventas\",\"summary\":\"Ana Ruiz pregunta por su pedido, urgente\"}
                4.039  │         │◀────────┤         │  is there from-internal,200,1?
                4.039  │         │         │◀────────┤  done resp_2 completed
                4.043  │         │         ├────────▶│  call_1: {\"ok\":true}
                5.386  │         │◀────────┤         │  is there from-internal,200,1?
                5.386  │         │◀────────┤         │  hang up media
                5.386  │         │◀────────┤         │  delete bridge
                5.386  │         │         ├────────▶│  close
                5.389  │         ├────────▶│         │  StasisEnd (media)
                5.390  │         │◀────────┤         │  AI_END_REASON=transferred
                5.394  │         │◀────────┤         │  AI_TRANSFER_DESTINATION=ventas
                5.398  │         │◀────────┤         │  AI_TRANSFER_SUMMARY=Ana Ruiz pregunta por su pedido; urgente
                5.402  │         │◀────────┤         │  continue at from-internal,200,1
                5.404  │         ●         │         │  dialplan goes on at 1
                5.405  │         ├────────▶│         │  StasisEnd
        ");
    assert!(world.heard(0).ends_with(&pattern(1_000, 2)), "all of the announcement");
    assert!(
        world.tasks[0].notices.contains(&Notice::CallTransferred { place: "from-internal,200,1".into() })
    );
    in_order(&world);
}

#[test]
fn what_is_called_beside_a_transfer_asks_for_no_answer_before_the_caller_goes() {
    let mut world = world();
    let transfer = Answer::call("transfer_call", r#"{"destination":"ventas","summary":"x"}"#);
    let announced = Answer::pattern("Le paso.", 1_000, 2).and(transfer).and(Answer::call("fly", "{}"));
    answers(&mut world, vec![announced]);
    world.dial(asks());
    world.run_to(12_000);
    assert_eq!(world.report(0).reason, EndReason::Transferred);
    let told = world.ladder.texts(0, Lane::Us, Lane::Model);
    assert!(told.iter().any(|text| text.contains("there is no such function")), "{told:?}");
    let responds = told.iter().filter(|text| text.starts_with("respond")).count();
    assert_eq!(responds, 1, "the greeting: {told:?}");
    in_order(&world);
}

#[test]
fn the_model_is_told_when_a_transfer_is_impossible_and_the_call_goes_on() {
    let elsewhere = [
        (r#"{"destination":"nadie","summary":""}"#, "cannot be reached"),
        (r#"{"destination":"+34600000000","summary":""}"#, "there are: ventas, nadie"),
        (r#"{"destination":7}"#, "there are: ventas, nadie"),
        ("{not json", "there are: ventas, nadie"),
        ("", "there are: ventas, nadie"),
    ];
    for (arguments, told) in elsewhere {
        let mut world = world();
        let call = Answer::call("transfer_call", arguments);
        answers(&mut world, vec![call, Answer::pattern("No puedo.", 900, 3)]);
        world.dial(asks());
        world.run_to(12_000);
        let said = world.ladder.draw(0, Show::TALK);
        assert!(said.contains(told), "{arguments}: {said}");
        assert!(world.heard(0).ends_with(&pattern(900, 3)), "{arguments}: it goes on");
        assert!(world.outcome(0).ended.is_none());
        world.hang_up(0);
        world.run_for(1_000);
        in_order(&world);
    }
}

#[test]
fn without_an_answer_of_asterisk_the_model_is_told_so() {
    let mut world = world();
    let call = Answer::call("transfer_call", r#"{"destination":"ventas","summary":"x"}"#);
    answers(&mut world, vec![call, Answer::pattern("No puedo.", 900, 3)]);
    world.asterisk.fail_next("GET", "/variable", Fault::ConnectionLost);
    world.dial(asks());
    world.run_to(12_000);
    let is_said = |notice: &Notice| matches!(notice, Notice::PlaceUnknown { .. });
    assert!(world.tasks[0].notices.iter().any(is_said));
    assert!(world.ladder.draw(0, Show::TALK).contains("cannot be reached"));
    assert!(world.heard(0).ends_with(&pattern(900, 3)));
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
}

#[test]
fn an_asterisk_without_the_function_that_is_asked_is_named() {
    let unloaded = vec!["func_dialplan.so".to_owned()];
    let mut world = World::with(1, asterisk::Settings { unloaded, ..asterisk::Settings::default() });
    world.script = Arc::new(Script { key: Some("sk-another".into()), ..Script::default() });
    world.set(|settings| settings.fallback = "humans,100".parse().ok());
    world.dial(vec![]);
    world.run_to(3_000);
    assert!(matches!(world.outcome(0).ended, Some(Ending::Continued { priority: 5, .. })));
    let cause = "Unable to read provided function";
    let named = |notice: &Notice| notice.line(Language::English).contains(cause);
    assert!(world.tasks[0].notices.iter().any(named), "{:?}", world.tasks[0].notices);
}

#[test]
fn several_calls_in_one_answer_have_one_output_each_and_one_response_after_them() {
    let mut world = world();
    let call = |arguments| Answer::call("transfer_call", arguments);
    let both =
        call(r#"{"destination":"nadie","summary":""}"#).and(call("{}")).and(Answer::call("dial", "{}"));
    answers(&mut world, vec![both, Answer::pattern("No puedo.", 900, 3)]);
    world.dial(asks());
    world.run_to(12_000);
    check(&world.ladder, Show::TALK.from(3_000), "
                       caller    Asterisk  us        model
                3.706  │         │         │◀────────┤  speech_stopped
                3.706  │         │         │◀────────┤  created resp_2
                4.006  │         │         │◀────────┤  call_1 transfer_call{\"destination\":\"nadie\",\"summary\":\"\"}
                4.006  │         │         │◀────────┤  call_2 transfer_call{}
                4.006  │         │         ├────────▶│  call_2: {\"error\":\"no such destination; there are: ventas, nadie\",\"ok\":false}
                4.006  │         │         │◀────────┤  call_3 dial{}
                4.006  │         │         ├────────▶│  call_3: {\"error\":\"there is no such function\",\"ok\":false}
                4.006  │         │         │◀────────┤  done resp_2 completed
                4.010  │         │         ●         │  ! TransferPlaceMissing
                4.010  │         │         ├────────▶│  call_1: {\"error\":\"this destination cannot be reached now\",\"ok\":false}
                4.010  │         │         ├────────▶│  respond
                4.050  │         │         │◀────────┤  created resp_3
                4.350  │         │         │◀════════╡  item_2 900 ms
                4.366  │◀════════╪═════════╡         │  item_2 900 ms
                4.380  │         │         │◀────────┤  done resp_3 completed
        ");
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
}

#[test]
fn a_call_that_was_cut_off_is_not_carried_out() {
    let mut world = world();
    answers(&mut world, vec![Answer::call("end_call", "{}"), Answer::pattern("Sí.", 900, 3)]);
    world.model(|script| {
        script.faults.push(realtime::Fault::new(Trigger::OnResponse(2), FaultKind::CallIncomplete));
    });
    world.dial(asks());
    world.run_to(12_000);
    assert!(world.outcome(0).ended.is_none(), "nobody hung up");
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
}

#[test]
fn a_model_that_may_not_hang_up_does_not() {
    let mut world = world();
    world.set(|settings| settings.may_hang_up = false);
    answers(&mut world, vec![Answer::call("end_call", "{}"), Answer::pattern("Sí.", 900, 3)]);
    world.dial(asks());
    world.run_to(12_000);
    assert!(world.outcome(0).ended.is_none());
    assert!(world.ladder.draw(0, Show::TALK).contains("there is no such function"));
    world.hang_up(0);
    world.run_for(1_000);
    in_order(&world);
}

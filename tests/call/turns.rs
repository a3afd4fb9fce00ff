//! One answer at a time, failures of the model, and who said what.

use openai_inbound_calls::call::transcript::Speaker;
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::operator::Notice;
use openai_inbound_calls::sim::asterisk::Ending;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, Fault, FaultKind, Trigger, pattern};

use super::ladder::{Show, check};
use super::world::{MS, World};

fn failing(world: &mut World, trigger: Trigger, kind: FaultKind) {
    world.model(|script| script.faults.push(Fault::new(trigger, kind)));
}

/// A caller who asks so often, and hears each answer to its end.
fn asking(times: usize) -> Vec<Step> {
    let ask = [
        Step::WaitForSilence { quiet: 700 * MS, at_most: 10_000 * MS },
        Step::Say(pattern(500, 101)),
        Step::WaitForSpeech { at_most: 5_000 * MS },
    ];
    ask.into_iter().cycle().take(3 * times).collect()
}

#[test]
fn a_greeting_that_waits_gives_way_to_the_answer_to_the_caller() {
    let mut world = World::new();
    failing(&mut world, Trigger::OnResponse(1), FaultKind::ResponseFails("server_error".into()));
    world.dial(vec![Step::Pause(450 * MS), Step::Say(pattern(400, 101))]);
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
            0.144  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
            0.184  │         │         │◀────────┤  created resp_1
            0.466  ╞═════════╪════════▶│         │  voice 400 ms
            0.466  │         │         ╞════════▶│  voice 400 ms
            0.484  │         │         │◀────────┤  done resp_1 failed: server_error
            0.484  │         │         ●         │  ! ResponseFailed
            0.546  │         │         │◀────────┤  speech_started
            1.386  │         │         │◀────────┤  speech_stopped
            1.386  │         │         │◀────────┤  created resp_2
            1.686  │         │         │◀════════╡  item_1 2000 ms
            1.686  │◀════════╪═════════╡         │  item_1 2000 ms
            1.752  │         │         │◀────────┤  done resp_2 completed
        ",
    );
    assert_eq!(world.heard(0), *pattern(2_000, 2), "the answer, once");
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn a_greeting_that_meets_the_answer_to_the_caller_on_the_wire_gives_way_too() {
    let mut world = World::new();
    world.network.model.0 = 400 * MS;
    failing(&mut world, Trigger::OnResponse(1), FaultKind::ResponseFails("server_error".into()));
    world.dial(vec![Step::Pause(2_200 * MS), Step::Say(pattern(80, 101))]);
    world.run_to(8_000);
    check(
        &world.ladder,
        Show::TALK,
        "
                   caller    Asterisk  us        model
            0.004  │         │         ├────────▶│  connect
            0.404  │         │         │◀────────┤  connected
            0.404  │         │         │◀────────┤  session.created
            0.404  │         │         ├────────▶│  session.update
            1.204  │         │         │◀────────┤  session.updated
            1.204  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
            2.004  │         │         │◀────────┤  created resp_1
            2.206  ╞═════════╪════════▶│         │  voice 80 ms
            2.206  │         │         ╞════════▶│  voice 80 ms
            2.304  │         │         │◀────────┤  done resp_1 failed: server_error
            2.304  │         │         ●         │  ! ResponseFailed
            2.804  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
            3.046  │         │         │◀────────┤  speech_started
            3.566  │         │         │◀────────┤  speech_stopped
            3.566  │         │         │◀────────┤  created resp_2
            3.604  │         │         │◀────────┤  error conversation_already_has_active_response
            3.866  │         │         │◀════════╡  item_1 2000 ms
            3.866  │◀════════╪═════════╡         │  item_1 2000 ms
            3.932  │         │         │◀────────┤  done resp_2 completed
        ",
    );
    assert_eq!(world.heard(0), *pattern(2_000, 2), "the answer, once");
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn a_greeting_that_fails_is_asked_for_again_with_growing_pauses() {
    let mut world = World::new();
    failing(&mut world, Trigger::OnResponse(1), FaultKind::ResponseFails("server_error".into()));
    failing(&mut world, Trigger::OnResponse(2), FaultKind::ResponseFails("rate_limit_exceeded".into()));
    world.dial(vec![]);
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
            0.144  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
            0.184  │         │         │◀────────┤  created resp_1
            0.484  │         │         │◀────────┤  done resp_1 failed: server_error
            0.484  │         │         ●         │  ! ResponseFailed
            0.984  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
            1.024  │         │         │◀────────┤  created resp_2
            1.324  │         │         │◀────────┤  done resp_2 failed: rate_limit_exceeded
            1.324  │         │         ●         │  ! ResponseFailed
            2.324  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
            2.364  │         │         │◀────────┤  created resp_3
            2.664  │         │         │◀════════╡  item_1 1500 ms
            2.666  │◀════════╪═════════╡         │  item_1 1500 ms
            2.714  │         │         │◀────────┤  done resp_3 completed
        ",
    );
    assert_eq!(world.heard(0), *pattern(1_500, 1));
}

#[test]
fn an_answer_that_fails_is_asked_for_again() {
    let mut world = World::new();
    failing(&mut world, Trigger::OnResponse(2), FaultKind::ResponseFails("server_error".into()));
    world.dial(asking(1));
    world.run_to(9_000);
    check(
        &world.ladder,
        Show::TALK.from(2_500),
        "
                   caller    Asterisk  us        model
            2.686  ╞═════════╪════════▶│         │  voice 500 ms
            2.686  │         │         ╞════════▶│  voice 500 ms
            2.766  │         │         │◀────────┤  speech_started
            3.706  │         │         │◀────────┤  speech_stopped
            3.706  │         │         │◀────────┤  created resp_2
            4.006  │         │         │◀────────┤  done resp_2 failed: server_error
            4.006  │         │         ●         │  ! ResponseFailed
            4.506  │         │         ├────────▶│  respond
            4.546  │         │         │◀────────┤  created resp_3
            4.846  │         │         │◀════════╡  item_2 2000 ms
            4.846  │◀════════╪═════════╡         │  item_2 2000 ms
            4.912  │         │         │◀────────┤  done resp_3 completed
        ",
    );
    assert_eq!(world.heard_of(0, &pattern(2_000, 2)), 2_000);
}

#[test]
fn a_model_that_fails_three_times_gives_the_caller_back() {
    let mut world = World::new();
    failing(&mut world, Trigger::OnConnect, FaultKind::ResponseFails("server_error".into()));
    world.dial(vec![]);
    world.run_to(6_000);
    check(
        &world.ladder,
        Show::ALL.from(300),
        "
                   caller    Asterisk  us        model
            0.484  │         │         │◀────────┤  done resp_1 failed: server_error
            0.484  │         │         ●         │  ! ResponseFailed
            0.984  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
            1.024  │         │         │◀────────┤  created resp_2
            1.324  │         │         │◀────────┤  done resp_2 failed: server_error
            1.324  │         │         ●         │  ! ResponseFailed
            2.324  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
            2.364  │         │         │◀────────┤  created resp_3
            2.664  │         │         │◀────────┤  done resp_3 failed: server_error
            2.664  │         │         ●         │  ! ModelGivenUp
            2.664  │         │◀────────┤         │  AI_END_REASON=model_failed
            2.664  │         │◀────────┤         │  hang up media
            2.664  │         │◀────────┤         │  delete bridge
            2.664  │         │         ├────────▶│  close
            2.667  │         ├────────▶│         │  StasisEnd (media)
            2.668  │         │◀────────┤         │  continue
            2.670  │         ●         │         │  dialplan goes on at 5
            2.671  │         ├────────▶│         │  StasisEnd
            2.672  │         │         ●         │  ! CallHandedBack
        ",
    );
    assert_eq!(world.report(0).reason, EndReason::ModelFailed);
}

#[test]
fn an_exhausted_quota_gives_the_caller_back_at_once() {
    let mut world = World::new();
    failing(&mut world, Trigger::OnResponse(2), FaultKind::ResponseFails("insufficient_quota".into()));
    world.dial(asking(1));
    world.run_to(9_000);
    check(
        &world.ladder,
        Show::ALL.from(3_900),
        "
                   caller    Asterisk  us        model
            4.006  │         │         │◀────────┤  done resp_2 failed: insufficient_quota
            4.006  │         │         ●         │  ! QuotaExhausted
            4.006  │         │◀────────┤         │  AI_END_REASON=session_failed
            4.006  │         │◀────────┤         │  hang up media
            4.006  │         │◀────────┤         │  delete bridge
            4.009  │         ├────────▶│         │  StasisEnd (media)
            4.010  │         │◀────────┤         │  continue
            4.012  │         ●         │         │  dialplan goes on at 5
            4.013  │         ├────────▶│         │  StasisEnd
            4.014  │         │         ●         │  ! CallHandedBack
            4.106  │         │         ├────────▶│  close
        ",
    );
    assert!(world.tasks[0].notices.contains(&Notice::QuotaExhausted));
    assert_eq!(world.outcome(0).variables, [("AI_END_REASON".to_owned(), "session_failed".to_owned())]);
    assert!(matches!(world.outcome(0).ended, Some(Ending::Continued { .. })));
}

#[test]
fn a_caller_who_speaks_during_the_notice_is_answered_even_if_the_server_could_not() {
    let mut world = World::new();
    world.set(|settings| settings.recording_notice = Some("Esta llamada se graba.".into()));
    world.model(|script| {
        script.greeting = Some(Answer::pattern("Esta llamada se graba.", 3_000, 7));
        script.burst = 1.0;
    });
    world.dial(vec![Step::AfterHearing(300 * MS), Step::Say(pattern(400, 101))]);
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
            0.144  │         │         ├────────▶│  respond: Esta llamada se graba.
            0.184  │         │         │◀────────┤  created resp_1
            0.484  │         │         │◀════════╡  item_1 3000 ms
            0.486  │◀════════╪═════════╡         │  item_1 3000 ms
            0.806  ╞═════════╪════════▶│         │  voice 400 ms
            0.806  │         │         ╞════════▶│  voice 400 ms
            0.886  │         │         │◀────────┤  speech_started
            1.726  │         │         │◀────────┤  speech_stopped
            1.726  │         │         │◀────────┤  error conversation_already_has_active_response
            3.484  │         │         │◀────────┤  done resp_1 completed
            3.484  │         │         ├────────▶│  session.update (may be interrupted)
            3.484  │         │         ├────────▶│  respond
            3.524  │         │         │◀────────┤  session.updated
            3.524  │         │         │◀────────┤  created resp_2
            3.824  │         │         │◀════════╡  item_2 2000 ms
            3.826  │◀════════╪═════════╡         │  item_2 2000 ms
            5.824  │         │         │◀────────┤  done resp_2 completed
        ",
    );
    assert_eq!(world.heard_of(0, &pattern(2_000, 2)), 2_000, "he is answered");
}

#[test]
fn the_transcript_is_in_the_order_of_the_talk_whenever_its_texts_come() {
    for fault in [None, Some(FaultKind::TranscriptLate(2_500 * MS)), Some(FaultKind::TranscriptAfterNext)] {
        let mut world = World::new();
        world.model(|script| {
            script.transcripts = vec!["¿Abren hoy?".into(), "¿Y mañana?".into()];
            script.answers =
                vec![Answer::pattern("Hoy sí.", 700, 2), Answer::pattern("Mañana también.", 700, 3)];
        });
        if let Some(fault) = fault {
            failing(&mut world, Trigger::OnTurn(1), fault);
        }
        world.dial(asking(2));
        world.run_to(12_000);
        let report = world.tasks[0].call.report();
        let said: Vec<_> = report.transcript.iter().map(|said| (said.speaker, said.text.as_str())).collect();
        assert_eq!(
            said,
            [
                (Speaker::Assistant, "Hola, ¿en qué puedo ayudarle?"),
                (Speaker::Caller, "¿Abren hoy?"),
                (Speaker::Assistant, "Hoy sí."),
                (Speaker::Caller, "¿Y mañana?"),
                (Speaker::Assistant, "Mañana también."),
            ]
        );
        let begins: Vec<_> = report.transcript.iter().map(|said| said.began).collect();
        assert!(begins.is_sorted() && begins[0].is_some(), "{begins:?}");
    }
}

#[test]
fn the_transcript_follows_the_order_of_the_items_not_of_the_moments_they_were_noticed() {
    let mut world = World::new();
    world.set(|settings| settings.recording_notice = Some("Esta llamada se graba.".into()));
    world.model(|script| {
        let second = Answer::pattern("Por calidad.", 1_500, 8);
        script.greeting = Some(Answer::pattern("Esta llamada se graba.", 1_500, 7).and(second));
        script.burst = 1.0;
    });
    // He begins during the first item and ends after the second has come.
    world.dial(vec![Step::AfterHearing(300 * MS), Step::Say(pattern(1_600, 101))]);
    world.run_to(9_000);
    let report = world.tasks[0].call.report();
    let said: Vec<_> = report.transcript.iter().map(|said| said.text.as_str()).collect();
    let expected =
        ["Esta llamada se graba.", "Por calidad.", "Quiero hablar con ventas.", "Le paso con ventas."];
    assert_eq!(said, expected);
}

#[test]
fn a_transcript_that_never_comes_leaves_the_turn_without_words() {
    let mut world = World::new();
    failing(&mut world, Trigger::OnTurn(1), FaultKind::TranscriptFailed);
    world.dial(asking(1));
    world.run_to(7_000);
    let report = world.tasks[0].call.report();
    assert_eq!(
        report.transcript.iter().map(|said| said.text.is_empty()).collect::<Vec<_>>(),
        [false, true, false]
    );
}

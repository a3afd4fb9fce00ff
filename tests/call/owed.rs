//! Answers that are owed and do not come, and answers in which nothing can be heard: the caller is not left in silence.

use std::sync::Arc;

use openai_inbound_calls::call::SessionFault;
use openai_inbound_calls::call::record::{Entry, EventKind, Keep};
use openai_inbound_calls::call::transcript::{Flaw, Speaker};
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::operator::{LinkFault, Notice, Remedy};
use openai_inbound_calls::realtime::dialect::Dialect;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{
    self, Answer, Fault, FaultKind, Role, Script, Trigger, VadScript, pattern,
};

use super::ladder::{Show, check};
use super::session_outage::count;
use super::world::{MS, World};

fn faulty(trigger: Trigger, kind: FaultKind) -> Script {
    Script { faults: vec![Fault::new(trigger, kind)], ..Script::default() }
}

/// A caller who speaks once, three seconds after the answer, and sessions that do this; the last one repeats.
fn call(scripts: Vec<Script>, until_ms: u64) -> World {
    let mut world = World::new();
    world.dial(vec![Step::Pause(3_000 * MS), Step::Say(pattern(600, 101))]);
    world.phones[0].scripts = scripts.into_iter().map(Arc::new).collect();
    world.run_to(until_ms);
    world
}

/// The details of the events of this kind in the record.
fn events(world: &World, kind: EventKind) -> Vec<String> {
    let of_kind = |entry: &Entry| match entry {
        Entry::Event { kind: is, detail, .. } if *is == kind => Some(detail.clone()),
        _ => None,
    };
    world.tasks[0].recorded.entries.iter().filter_map(of_kind).collect()
}

/// What a caller hears who is answered after all.
fn greeted_and_answered(world: &World) {
    let expected = [&pattern(1_500, 1)[..], &pattern(2_000, 2)[..]].concat();
    assert!(world.heard(0) == expected, "one greeting, one answer");
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn a_server_that_ignores_what_it_is_asked_is_given_up_after_half_a_minute() {
    for kind in [FaultKind::ResponseIgnored, FaultKind::ResponseStuck, FaultKind::ResponseAbandoned] {
        let mut world = World::new();
        world.script = Arc::new(faulty(Trigger::OnConnect, kind.clone()));
        world.dial(vec![]);
        world.run_to(45_000);
        if kind == FaultKind::ResponseStuck {
            check(&world.ladder, Show::TALK.from(104), "
                   caller    Asterisk  us        model
            0.104  │         │         │◀────────┤  connected
            0.104  │         │         │◀────────┤  session.created
            0.104  │         │         ├────────▶│  session.update
            0.144  │         │         │◀────────┤  session.updated
            0.144  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
            0.184  │         │         │◀────────┤  created resp_1
           10.186  │         │         ●         │  ! AnswerOverdue
           10.186  │         │         ├────────▶│  cancel resp_1
           10.186  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
           10.226  │         │         │◀────────┤  done resp_1 cancelled
           10.226  │         │         │◀────────┤  created resp_2
           20.226  │         │         ●         │  ! SessionLost
           20.226  │         │         ├────────▶│  close
           20.226  │         │         ├────────▶│  connect
           20.326  │         │         │◀────────┤  connected
           20.326  │         │         │◀────────┤  session.created
           20.326  │         │         ├────────▶│  session.update
           20.366  │         │         │◀────────┤  session.updated
           20.366  │         │         ├────────▶│  system: This is the same telephone call: the connection was interrupted for a moment, and the caller's last words may be missing above. Go on as if nothing had happened. Do not greet again. If you do not know what the caller said last, ask them to repeat it.
           20.366  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
           20.406  │         │         │◀────────┤  created resp_1_1
           30.406  │         │         ●         │  ! SessionGivenUp
           30.406  │         │         ├────────▶│  close
           30.414  │         │         ●         │  ! CallHandedBack
        ");
        }
        let report = world.report(0);
        assert_eq!(report.reason, EndReason::SessionLost, "{kind:?}");
        let lasted = report.duration.as_millis();
        assert!((30_000..32_000).contains(&lasted), "{kind:?}: {lasted} ms");
        assert_eq!(world.servers.len(), 2, "{kind:?}: one other session is tried");
        assert_eq!(report.counters.overdue_answers, 3, "{kind:?}");
        assert_eq!(report.counters.session_faults, count(&[(SessionFault::Silent, 2)]), "{kind:?}");
        assert_eq!(
            events(&world, EventKind::Overdue),
            ["asked_again", "new_session", "given_up"],
            "{kind:?}"
        );
        let notices = &world.tasks[0].notices;
        for said in [
            Notice::AnswerOverdue { seconds: 10, remedy: Remedy::AskAgain },
            Notice::SessionLost { cause: LinkFault::Unanswered },
            Notice::SessionGivenUp { cause: LinkFault::Unanswered },
            Notice::CallHandedBack { reason: EndReason::SessionLost },
        ] {
            assert_eq!(notices.iter().filter(|notice| **notice == said).count(), 1, "{kind:?}: {said:?}");
        }
        assert!(world.violations().is_empty(), "{kind:?}: {:?}", world.violations());
        assert_eq!(world.left_over(), [""; 0]);
    }
}

#[test]
fn an_answer_that_does_not_come_is_asked_for_once_more() {
    for kind in [FaultKind::ResponseIgnored, FaultKind::ResponseStuck, FaultKind::ResponseAbandoned] {
        // The second response: the first is the greeting.
        let world = call(vec![faulty(Trigger::OnResponse(2), kind.clone())], 20_000);
        greeted_and_answered(&world);
        assert_eq!(world.servers.len(), 1, "{kind:?}");
        assert_eq!(events(&world, EventKind::Overdue), ["asked_again"], "{kind:?}");
    }
}

#[test]
fn an_answer_that_stops_in_the_middle_is_cancelled_and_asked_for_once_more() {
    let script = Script { burst: 1.0, ..faulty(Trigger::OnResponse(2), FaultKind::ResponseStalls) };
    let mut world = call(vec![script], 22_000);
    check(
        &world.ladder,
        Show::TALK.from(4_000),
        "
                   caller    Asterisk  us        model
            4.126  │         │         │◀────────┤  speech_stopped
            4.126  │         │         │◀────────┤  created resp_2
            4.426  │         │         │◀════════╡  item_2 1000 ms
            4.426  │◀════════╪═════════╡         │  item_2 1000 ms
           15.386  │         │         ●         │  ! AnswerOverdue
           15.386  │         │         ├────────▶│  cancel resp_2
           15.386  │         │         ├────────▶│  respond
           15.426  │         │         │◀────────┤  done resp_2 cancelled
           15.426  │         │         │◀────────┤  created resp_3
           15.726  │         │         │◀════════╡  item_3 2000 ms
           15.726  │◀════════╪═════════╡         │  item_3 2000 ms
           17.726  │         │         │◀────────┤  done resp_3 completed
        ",
    );
    let half = pattern(2_000, 2)[..8_000].to_vec();
    assert!(
        world.heard(0) == [&pattern(1_500, 1)[..], &half, &pattern(2_000, 2)].concat(),
        "half, and all of it"
    );
    assert!(world.violations().is_empty(), "{:?}", world.violations());
    world.hang_up(0);
    world.run_for(3_000);
    assert_eq!(world.report(0).reason, EndReason::CallerHungUp);
}

#[test]
fn a_server_that_falls_silent_after_the_greeting_is_noticed_by_our_own_ear() {
    let mute = faulty(Trigger::At(2_500 * MS), FaultKind::Mute);
    let world = call(vec![mute, Script::default()], 32_000);
    check(&world.ladder, Show::TALK.from(2_500), "
                   caller    Asterisk  us        model
            3.006  ╞═════════╪════════▶│         │  voice 600 ms
            3.006  │         │         ╞════════▶│  voice 600 ms
           13.706  │         │         ●         │  ! AnswerOverdue
           13.706  │         │         ├────────▶│  respond: The caller has said something that did not reach you. Ask in a few words to say it again, and nothing else.
           23.706  │         │         ●         │  ! SessionLost
           23.706  │         │         ├────────▶│  close
           23.706  │         │         ├────────▶│  connect
           23.806  │         │         │◀────────┤  connected
           23.806  │         │         │◀────────┤  session.created
           23.806  │         │         ├────────▶│  session.update
           23.846  │         │         │◀────────┤  session.updated
           23.846  │         │         ├────────▶│  assistant: Hola, ¿en qué puedo ayudarle?
           23.846  │         │         ├────────▶│  system: This is the same telephone call: the connection was interrupted for a moment, and the caller's last words may be missing above. Go on as if nothing had happened. Do not greet again. If you do not know what the caller said last, ask them to repeat it.
           23.846  │         │         ├────────▶│  respond
           23.886  │         │         │◀────────┤  created resp_1_1
           24.186  │         │         │◀════════╡  item_1_1 2000 ms
           24.186  │◀════════╪═════════╡         │  item_1_1 2000 ms
           24.252  │         │         │◀────────┤  done resp_1_1 completed
        ");
    greeted_and_answered(&world);
    assert_eq!(world.servers.len(), 2);
}

#[test]
fn a_server_that_stays_silent_in_every_session_is_given_up() {
    let mute = || faulty(Trigger::At(2_500 * MS), FaultKind::Mute);
    let world = call(vec![mute(), faulty(Trigger::OnResponse(1), FaultKind::Mute)], 60_000);
    assert_eq!(world.report(0).reason, EndReason::SessionLost);
    let lasted = world.report(0).duration.as_millis();
    assert!((33_000..37_000).contains(&lasted), "{lasted} ms");
}

#[test]
fn a_turn_that_is_committed_and_not_answered_is_asked_for() {
    let world = call(vec![faulty(Trigger::OnResponse(2), FaultKind::ResponseIgnored)], 20_000);
    let said = world.ladder.draw(0, Show::TALK);
    assert_eq!(said.matches("respond").count(), 2, "the greeting and this one: {said}");
    assert!(!said.contains("did not reach you"), "the server has the words: {said}");
    greeted_and_answered(&world);
}

#[test]
fn what_only_our_ear_has_heard_is_asked_for_again_and_ever_more_seldom() {
    let mut world = World::new();
    // The caller says something every three seconds, and the server takes none of it for speech.
    let noise = [Step::Say(pattern(600, 101)), Step::Pause(14_000 * MS)];
    let steps = noise.into_iter().cycle().take(40);
    world.dial([Step::Pause(3_000 * MS)].into_iter().chain(steps).collect());
    world.model(|script| script.vad = VadScript::Never);
    world.run_to(150_000);
    let said = world.ladder.draw(0, Show::TALK);
    let asked = said.matches("did not reach you").count();
    assert!((3..=6).contains(&asked), "{asked}: {said}");
    assert_eq!(world.servers.len(), 1, "the server answers when it is asked");
    assert!(world.outcome(0).ended.is_none() && world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn a_caller_who_is_silent_is_owed_nothing() {
    let mut world = World::new();
    world.dial(vec![]);
    world.run_to(60_000);
    assert!(world.heard(0) == *pattern(1_500, 1), "the greeting and nothing else");
    assert_eq!(events(&world, EventKind::Overdue), [""; 0]);
}

#[test]
fn a_caller_who_holds_the_call_is_owed_nothing() {
    let mut world = World::new();
    world.dial(vec![Step::Pause(3_000 * MS), Step::Say(pattern(600, 101)), Step::Hold(true)]);
    world.model(|script| script.faults = vec![Fault::new(Trigger::At(2_500 * MS), FaultKind::Mute)]);
    world.run_to(40_000);
    assert_eq!(events(&world, EventKind::Overdue), [""; 0]);
}

#[test]
fn an_answer_whose_end_is_not_told_is_not_asked_for_twice() {
    let mut world = call(vec![faulty(Trigger::OnResponse(2), FaultKind::DoneNever)], 30_000);
    greeted_and_answered(&world);
    assert_eq!(world.servers.len(), 1);
    world.hang_up(0);
    world.run_for(3_000);
    assert_eq!(world.report(0).counters.overdue_answers, 0);
}

#[test]
fn a_call_that_is_about_to_end_does_not_wait_for_its_goodbye() {
    let mut world = World::new();
    world.set(|settings| settings.limits.duration = Some(5_000 * MS));
    world.dial(vec![]);
    world.model(|script| script.faults = vec![Fault::new(Trigger::At(3_000 * MS), FaultKind::Mute)]);
    world.run_to(20_000);
    assert_eq!(world.report(0).reason, EndReason::MaxDuration);
    assert_eq!(events(&world, EventKind::Overdue), ["left"]);
    assert!(world.report(0).duration < 16_000 * MS, "{:?}", world.report(0).duration);
}

/// The ways in which an answer comes without sound.
fn unheard() -> [(FaultKind, &'static str); 4] {
    [
        (FaultKind::ResponseEmpty, "completed"),
        (FaultKind::ResponseInText, "completed"),
        (FaultKind::ResponseMuteIncomplete("content_filter".into()), "content_filter"),
        (FaultKind::ResponseMuteIncomplete("max_output_tokens".into()), "max_output_tokens"),
    ]
}

#[test]
fn an_answer_without_sound_is_asked_for_again_at_once_and_not_remembered() {
    for (kind, ended) in unheard() {
        let mut world = call(vec![faulty(Trigger::OnResponse(2), kind.clone())], 12_000);
        greeted_and_answered(&world);
        assert_eq!(events(&world, EventKind::Unheard), [ended], "{kind:?}");
        let notices = &world.tasks[0].notices;
        assert!(notices.iter().any(|notice| matches!(notice, Notice::AnswerUnheard { .. })), "{kind:?}");
        let assistant = |item: &realtime::ConversationItem| item.role == Role::Assistant;
        let remembered = world.servers[0].session.conversation().into_iter().filter(assistant).count();
        assert_eq!(remembered, 2, "{kind:?}: the greeting and the answer");
        let said = world.tasks[0].recorded.words();
        let flawed: Vec<_> = said.iter().filter(|said| said.flaw == Some(Flaw::Unheard)).collect();
        assert_eq!(flawed.len(), usize::from(kind != FaultKind::ResponseEmpty), "{kind:?}: {said:?}");
        assert!(flawed.iter().all(|said| said.speaker == Speaker::Assistant && said.began.is_none()));
        // Asked again within moments.
        let way = (super::ladder::Lane::Us, super::ladder::Lane::Model);
        let asked = world.ladder.moments(way, "respond");
        assert!(asked.last().is_some_and(|at| *at < 6_000 * MS), "{kind:?}: {asked:?}");
        world.hang_up(0);
        world.run_for(3_000);
        assert_eq!(world.report(0).counters.unheard_answers, 1, "{kind:?}");
    }
}

#[test]
fn an_answer_whose_beginning_is_not_told_is_not_taken_for_the_one_before() {
    let script = Script {
        faults: vec![
            Fault::new(Trigger::OnResponse(2), FaultKind::ResponseIgnored),
            Fault::new(Trigger::OnResponse(3), FaultKind::DoneWithoutCreated),
        ],
        ..Script::default()
    };
    let world = call(vec![script], 20_000);
    greeted_and_answered(&world);
    assert_eq!(events(&world, EventKind::Overdue), ["asked_again"]);
    assert_eq!(events(&world, EventKind::Unheard), ["cancelled"]);
}

#[test]
fn answers_without_sound_are_asked_for_twice_again_and_no_more() {
    for (kind, _) in unheard() {
        let mut world = World::new();
        world.script = Arc::new(faulty(Trigger::OnConnect, kind.clone()));
        world.dial(vec![]);
        world.run_to(15_000);
        assert_eq!(world.report(0).reason, EndReason::ModelFailed, "{kind:?}");
        assert_eq!(world.report(0).counters.unheard_answers, 3, "{kind:?}");
        assert!(world.tasks[0].notices.contains(&Notice::ModelGivenUp { tries: 3 }), "{kind:?}");
        assert!(world.violations().is_empty(), "{kind:?}: {:?}", world.violations());
    }
}

#[test]
fn what_was_not_heard_is_not_told_to_the_next_session() {
    let script = Script {
        answers: vec![Answer::pattern("Nadie oye esto.", 2_000, 5), Answer::pattern("Esto sí.", 2_000, 2)],
        faults: vec![
            Fault::new(Trigger::OnResponse(2), FaultKind::ResponseInText),
            Fault::new(Trigger::At(10_000 * MS), FaultKind::Drop),
        ],
        ..Script::default()
    };
    let world = call(vec![script, Script::default()], 14_000);
    let said = world.ladder.draw(0, Show::TALK);
    assert!(said.contains("assistant: Esto") && !said.contains("assistant: Nadie"), "{said}");
}

#[test]
fn an_answer_that_the_model_cuts_short_is_marked() {
    let world = call(
        vec![faulty(Trigger::OnResponse(2), FaultKind::ResponseIncomplete("max_output_tokens".into()))],
        12_000,
    );
    assert_eq!(events(&world, EventKind::Cut), ["max_output_tokens"]);
    let said = world.tasks[0].recorded.words();
    let cut: Vec<_> = said.iter().filter(|said| said.flaw == Some(Flaw::Cut)).collect();
    assert!(matches!(cut[..], [said] if said.began.is_some()), "{said:?}");
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn a_session_that_speaks_the_beta_dialect_is_told_what_was_said_in_its_words() {
    let beta = |script: Script| Script {
        dialect: realtime::Dialect::Beta,
        models: vec!["gpt-realtime-2.1".into()],
        ..script
    };
    let mut world = World::new();
    world.set(|settings| {
        settings.session.dialect = Dialect::Beta;
        settings.session.voice = "alloy".into();
        settings.session.transcription = None;
    });
    world.dial(vec![]);
    let broken = beta(faulty(Trigger::At(4_000 * MS), FaultKind::Drop));
    world.phones[0].scripts = vec![Arc::new(broken), Arc::new(beta(Script::default()))];
    world.run_to(7_000);
    assert!(world.violations().is_empty(), "{:?}", world.violations());
    let told = world.servers[1].session.conversation();
    assert!(told.iter().any(|item| item.role == Role::Assistant && !item.text.is_empty()), "{told:?}");
}

#[test]
fn which_keys_were_pressed_is_recorded_only_on_request() {
    for (keep, key, text) in [(Keep::USUAL, "*", "[keypad: ****]"), (Keep::ALL, "1", "[keypad: 1234]")] {
        let mut world = World::new();
        world.set(|settings| {
            settings.tells_keys = true;
            settings.keep = keep;
        });
        let quiet = Step::WaitForSilence { quiet: 700 * MS, at_most: 10_000 * MS };
        world.dial([vec![quiet], "1234".chars().map(Step::Press).collect()].concat());
        let broken = faulty(Trigger::At(9_000 * MS), FaultKind::Drop);
        world.phones[0].scripts = vec![Arc::new(broken), Arc::new(Script::default())];
        world.run_to(12_000);
        assert_eq!(events(&world, EventKind::Key).first().map(String::as_str), Some(key));
        let words = world.tasks[0].recorded.words();
        assert!(words.iter().any(|said| said.text == text), "{words:?}");
        assert!(world.tasks[0].glance.words.iter().any(|said| said.text == text), "whoever watches");
        let told = world.ladder.draw(0, Show::TALK);
        assert_eq!(
            told.matches("caller: [keypad: 1234]").count(),
            2,
            "the model, and the next session: {told}"
        );
    }
}

//! Callers in Asterisk for whom Asterisk calls OpenAI: what they hear, what becomes of them, and that nothing is left of their calls.

use std::sync::Arc;
use std::time::Duration;

use openai_inbound_calls::call::Settings;
use openai_inbound_calls::call::record::{Entry, EventKind, Keep};
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::exchange::{Rules, Webhook};
use openai_inbound_calls::operator::{Code, DialFault, LinkFault, Notice};
use openai_inbound_calls::sim::asterisk::{CallState, Ending, Fault, Settings as AsteriskSettings, Version};
use openai_inbound_calls::sim::openai_calls::{Acceptance, Say, Script, State};
use serde_json::json;

use super::pbx::{Pbx, Step};
use super::{script, settings, words};
use crate::world::only_agent;

/// A world with one caller, who comes at once, to its end, at which nothing is wrong and nothing is left.
fn run(script: Script, steps: &[(u64, Step)]) -> Pbx {
    run_with(settings(), script, steps)
}

fn run_with(settings: Settings, script: Script, steps: &[(u64, Step)]) -> Pbx {
    let mut pbx = Pbx::new(settings, script, AsteriskSettings::default(), |rules| rules);
    pbx.at(100, Step::Calls);
    for (ms, step) in steps {
        pbx.at(*ms, step.clone());
    }
    pbx.run_to(4_000);
    pbx.is_clean();
    pbx
}

fn reason(pbx: &Pbx) -> EndReason {
    assert_eq!(pbx.reports.len(), 1, "{:#?}", pbx.rungs);
    pbx.reports[0].reason
}

/// When this stands in the ladder for the first time, as its number.
fn rung(pbx: &Pbx, text: &str) -> usize {
    let found = pbx.rungs.iter().position(|rung| rung.contains(text));
    found.unwrap_or_else(|| panic!("no {text}: {:#?}", pbx.rungs))
}

fn count(pbx: &Pbx, text: &str) -> usize {
    pbx.rungs.iter().filter(|rung| rung.contains(text)).count()
}

fn events(pbx: &Pbx, wanted: EventKind) -> usize {
    pbx.entries.iter().filter(|entry| matches!(entry, Entry::Event { kind, .. } if *kind == wanted)).count()
}

/// The caller goes on in the dialplan with the next step.
fn goes_on(pbx: &Pbx) -> bool {
    matches!(&pbx.outcome(0).ended, Some(Ending::Continued { .. }))
}

#[test]
fn a_caller_is_greeted_when_both_are_joined_and_recorded_until_they_leave() {
    let pbx = run(script(&[words("Hola.")]), &[(4_000, Step::HangsUp(0))]);
    assert_eq!(reason(&pbx), EndReason::CallerHungUp);
    let joined = rung(&pbx, "addChannel 204");
    assert!(rung(&pbx, "accept done") < joined && joined < rung(&pbx, "response.create"), "{:#?}", pbx.rungs);
    assert_eq!(count(&pbx, "/snoop 200"), 2);
    let [sounds] = &pbx.fetched[..] else { panic!("{:#?}", pbx.rungs) };
    assert!(sounds.said.is_some() && sounds.heard.is_some());
    assert_eq!(count(&pbx, "DELETE /recordings/stored"), 2);
    assert_eq!(events(&pbx, EventKind::MediaStarted), 1, "the zero of the sound");
    assert!(pbx.entries.iter().any(|entry| matches!(entry, Entry::OpenAiCall(id) if id.as_str() == "rtc_1")));
    assert!(pbx.outcome(0).rang && pbx.outcome(0).answered_at.is_some());
}

#[test]
fn a_key_counts_once_although_openai_tells_of_it_too() {
    let pbx = run(script(&[words("Hola.")]), &[(4_000, Step::Presses(0, '5')), (9_000, Step::HangsUp(0))]);
    assert_eq!(events(&pbx, EventKind::Key), 1);
}

#[test]
fn the_assistant_transfers_in_the_dialplan_and_nobody_listens_to_the_colleague() {
    let transfer = Say::WordsAndCalls(
        "Le comunico.".into(),
        "transfer_call".into(),
        json!({"destination": "ventas", "summary": "x"}).to_string(),
    );
    let pbx = run(script(&[words("Hola."), transfer]), &[(3_000, Step::Says(0, 900))]);
    assert_eq!(reason(&pbx), EndReason::Transferred);
    let place = Ending::Continued { context: "from-internal".into(), extension: "200".into(), priority: 1 };
    assert_eq!(pbx.outcome(0).ended, Some(place));
    assert_eq!(count(&pbx, "openai  refer"), 0);
    let snoop = rung(&pbx, "DELETE /channels/oic-said");
    assert!(snoop < rung(&pbx, "/continue 204"), "{:#?}", pbx.rungs);
}

#[test]
fn the_assistant_hangs_up_when_the_goodbye_has_been_heard() {
    let bye =
        Say::WordsAndCalls("Hasta luego, que tenga un buen día.".into(), "end_call".into(), "{}".into());
    let pbx = run(script(&[words("Hola."), bye]), &[(3_000, Step::Says(0, 900))]);
    assert_eq!(reason(&pbx), EndReason::AssistantHungUp);
    assert!(matches!(pbx.outcome(0).ended, Some(Ending::HungUp { .. })));
}

#[test]
fn a_caller_whom_openai_does_not_serve_goes_on_in_the_dialplan() {
    for (acceptances, told) in
        [(vec![Acceptance::Refused(429)], "not accepted"), (vec![Acceptance::Refused(404); 5], "gone")]
    {
        let pbx = run(Script { acceptances, ..script(&[]) }, &[]);
        let is_right = |notice: &Notice| match notice {
            Notice::DialledNotAccepted { .. } => told == "not accepted",
            Notice::SipUnknown => told == "gone",
            _ => false,
        };
        assert!(pbx.said(is_right) && reason(&pbx) == EndReason::SessionFailed, "{told}");
        assert!(goes_on(&pbx), "{told}: {:#?}", pbx.rungs);
        // Nobody pays for a call that is refused at once.
        assert_eq!(pbx.outcome(0).answered_at, None);
        assert_eq!(pbx.outcome(0).variables[0].0, "AI_END_REASON");
    }
}

#[test]
fn a_call_of_which_openai_tells_nothing_is_given_up_after_eight_seconds() {
    let mut pbx = Pbx::new(settings(), script(&[]), AsteriskSettings::default(), |rules| rules);
    pbx.at(100, Step::Calls);
    pbx.lose_webhooks();
    pbx.run_to(4_000);
    pbx.is_clean();
    assert_eq!(reason(&pbx), EndReason::SessionLate);
    assert!(goes_on(&pbx) && pbx.said(|notice| matches!(notice, Notice::SipUnheardOf { seconds: 8 })));
    assert!(pbx.outcome(0).rang && pbx.outcome(0).answered_at.is_none(), "they hear ringing, not silence");
    assert_eq!(pbx.webhook, Some(Webhook::Missing), "the readiness tells so");
}

#[test]
fn a_session_that_never_opens_is_told_with_its_last_cause_and_openais_id_of_the_call_is_in_the_log() {
    let pbx = run(Script { unknown_handshakes: 1_000, ..script(&[]) }, &[]);
    assert_eq!(reason(&pbx), EndReason::SessionLate);
    assert!(goes_on(&pbx) && pbx.outcome(0).answered_at.is_none());
    let names_cause = |notice: &Notice| {
        matches!(notice, Notice::SipSessionLate { seconds: 8, cause: LinkFault::Http { status: 404, .. } })
    };
    assert!(pbx.said(names_cause), "{:#?}", pbx.rungs);
    assert!(pbx.said(|notice| matches!(notice, Notice::SipAccepted { call } if call == "rtc_1")));
}

#[test]
fn an_endpoint_that_does_not_exist_sends_the_caller_on_at_once() {
    let fault = Step::Fails("POST", "/channels", Fault::Status(500));
    let pbx = run(script(&[]), &[(50, fault)]);
    assert_eq!(reason(&pbx), EndReason::SetupFailed);
    assert!(goes_on(&pbx));
    let names_it = |notice: &Notice| matches!(notice, Notice::SipNotDialled { endpoint, .. } if endpoint.ends_with("@openai"));
    assert!(pbx.said(names_it), "{:#?}", pbx.rungs);
}

#[test]
fn the_cause_for_which_openai_did_not_answer_is_that_of_asterisk() {
    let pbx = run(script(&[]), &[(150, Step::OpenAiEnds(0))]);
    assert!(
        pbx.said(|notice| matches!(notice, Notice::SipNotAnswered { fault: DialFault(17) })),
        "{:#?}",
        pbx.rungs
    );
    assert_eq!(reason(&pbx), EndReason::SessionFailed);
}

#[test]
fn settings_that_openai_refuses_are_told_as_such() {
    let pbx = run(Script { acceptances: vec![Acceptance::Refused(400)], ..script(&[]) }, &[]);
    assert!(goes_on(&pbx) && reason(&pbx) == EndReason::SessionFailed);
    let names_them = |notice: &Notice| matches!(notice, Notice::SipSettingsRefused { complaint } if complaint.code == Code::new("scripted"));
    assert!(pbx.said(names_them), "{:#?}", pbx.rungs);
}

#[test]
fn whenever_the_caller_hangs_up_nothing_is_left() {
    for version in [Version::V16, Version::V22] {
        for ms in (100..1_200).step_by(20) {
            let asterisk = AsteriskSettings { version, ..AsteriskSettings::default() };
            let mut pbx = Pbx::new(settings(), script(&[words("Hola.")]), asterisk, |rules| rules);
            pbx.at(100, Step::Calls);
            pbx.at(ms, Step::HangsUp(0));
            pbx.run_to(4_000);
            pbx.is_clean();
            assert!(
                pbx.reports.iter().all(|report| report.reason == EndReason::CallerHungUp),
                "{ms}: {:#?}",
                pbx.rungs
            );
        }
    }
}

#[test]
fn whenever_openai_ends_the_call_the_caller_goes_on_in_the_dialplan() {
    for ms in (200..1_500).step_by(20) {
        let pbx = run(script(&[words("Hola.")]), &[(ms, Step::OpenAiEnds(0))]);
        assert!(goes_on(&pbx), "{ms}: {:?} {:#?}", pbx.outcome(0), pbx.rungs);
        let went = pbx.outcome(0).ended_at.expect("they went on").duration_since(pbx.start);
        assert!(went < Duration::from_millis(ms + 500), "{ms}: they wait for nothing: {:#?}", pbx.rungs);
    }
}

#[test]
fn a_session_that_is_lost_is_reached_again_and_the_caller_hears_on() {
    let pbx = run(script(&[words("Hola.")]), &[(3_000, Step::Cuts(0)), (9_000, Step::HangsUp(0))]);
    assert_eq!((reason(&pbx), events(&pbx, EventKind::Reconnected)), (EndReason::CallerHungUp, 1));
}

#[test]
fn a_daemon_that_stops_lets_the_caller_go_on_and_fetches_what_was_recorded() {
    let pbx = run(script(&[words("Hola.")]), &[(3_000, Step::Stops)]);
    assert_eq!(reason(&pbx), EndReason::Shutdown);
    assert!(goes_on(&pbx) && pbx.fetched.len() == 1);
}

#[test]
fn a_webhook_is_good_for_one_call_and_a_strangers_nonce_for_none() {
    let again = [
        (1_000, Step::WebhookAgain(0)),
        (2_000, Step::StrangerCalls("7".repeat(32))),
        // The nonce of the caller's own call, which is spent.
        (2_500, Step::StrangerCalls(format!("{:032x}", 1))),
        (6_000, Step::HangsUp(0)),
    ];
    let pbx = run(script(&[words("Hola.")]), &again);
    assert_eq!((reason(&pbx), pbx.rejected), (EndReason::CallerHungUp, 2));
    assert!(pbx.said(|notice| matches!(notice, Notice::SipNonceUnknown)));
    assert_eq!(pbx.openai.state("rtc_2"), Some(&State::Rejected(603)));
}

#[test]
fn a_webhook_that_comes_after_the_caller_has_left_is_rejected() {
    let mut pbx = Pbx::new(settings(), script(&[]), AsteriskSettings::default(), |rules| rules);
    pbx.at(100, Step::Calls);
    pbx.at(130, Step::HangsUp(0));
    pbx.run_to(60);
    pbx.is_clean();
    assert_eq!(count(&pbx, "openai  accept"), 0, "{:#?}", pbx.rungs);
}

#[test]
fn a_caller_for_whom_there_is_no_room_is_not_dialled_for() {
    let full = |rules: Rules| Rules { max_calls: 1, ..rules };
    let mut pbx = Pbx::new(settings(), script(&[words("Hola.")]), AsteriskSettings::default(), full);
    pbx.at(100, Step::Calls);
    pbx.at(1_000, Step::Calls);
    pbx.at(5_000, Step::HangsUp(0));
    pbx.run_to(4_000);
    pbx.is_clean();
    assert_eq!((pbx.calls.len(), pbx.reports.len()), (1, 1));
    assert!(matches!(&pbx.outcome(1).ended, Some(Ending::Continued { .. })));
    assert_eq!(pbx.outcome(1).state, CallState::Gone);
}

#[test]
fn where_no_sound_is_kept_nobody_spies() {
    let keep = Keep { audio: false, ..Keep::USUAL };
    let pbx =
        run_with(Settings { keep, ..settings() }, script(&[words("Hola.")]), &[(4_000, Step::HangsUp(0))]);
    assert_eq!((count(&pbx, "/snoop"), pbx.fetched.len()), (0, 0));
}

#[test]
fn a_recording_that_asterisk_refuses_is_told_once_and_the_call_goes_on() {
    let fails = |path| (50, Step::Fails("POST", path, Fault::Status(500)));
    let steps = [fails("/record"), fails("/record"), (6_000, Step::HangsUp(0))];
    let pbx = run(script(&[words("Hola.")]), &steps);
    assert_eq!((reason(&pbx), pbx.fetched.len()), (EndReason::CallerHungUp, 0));
    let told = pbx.notices.iter().filter(|notice| matches!(notice, Notice::SoundNotRecorded)).count();
    assert_eq!(told, 1);
    let one = run(script(&[words("Hola.")]), &[fails("/snoop"), (6_000, Step::HangsUp(0))]);
    let [sounds] = &one.fetched[..] else { panic!("one voice is better than none: {:#?}", one.rungs) };
    assert!(sounds.said.is_some() != sounds.heard.is_some());
}

#[test]
fn a_request_to_copy_the_sound_that_is_never_answered_is_told_once() {
    let lost = (50, Step::Fails("POST", "/snoop", Fault::ConnectionLost));
    let pbx = run(script(&[words("Hola.")]), &[lost.clone(), lost, (12_000, Step::HangsUp(0))]);
    assert_eq!((reason(&pbx), pbx.fetched.len()), (EndReason::CallerHungUp, 0), "{:#?}", pbx.rungs);
    let is_unanswered = |notice: &&Notice| matches!(notice, Notice::RequestUnanswered { .. });
    let told = |is_it: fn(&&Notice) -> bool| pbx.notices.iter().filter(is_it).count();
    assert_eq!((told(is_unanswered), told(|notice| matches!(notice, Notice::SoundNotRecorded))), (1, 1));
    // Who was answered by the channel itself is recorded, and nobody complains.
    let made = (50, Step::Fails("POST", "/snoop", Fault::OkButReplyLost));
    let pbx = run(script(&[words("Hola.")]), &[made.clone(), made, (12_000, Step::HangsUp(0))]);
    assert_eq!(pbx.fetched.len(), 1, "{:#?}", pbx.rungs);
    assert!(!pbx.said(|notice| matches!(notice, Notice::SoundNotRecorded)));
}

#[test]
fn a_recording_that_cannot_be_fetched_is_left_and_the_operator_told() {
    let lost = Step::Fails("POST", "/record", Fault::ConnectionLost);
    let pbx = run(script(&[words("Hola.")]), &[(50, lost), (6_000, Step::HangsUp(0))]);
    assert!(pbx.said(|notice| matches!(notice, Notice::SoundLeft { .. })), "{:#?}", pbx.rungs);
}

#[test]
fn a_recording_whose_beginning_is_told_late_is_fetched_all_the_same() {
    for ms in (500..4_000).step_by(100) {
        let late = |ms| Step::Fails("POST", "/record", Fault::Delay(Duration::from_millis(ms)));
        let steps = [(50, late(2_500)), (50, late(ms)), (400, Step::HangsUp(0))];
        let pbx = run(script(&[words("Hola.")]), &steps);
        assert_eq!((reason(&pbx), pbx.fetched.len()), (EndReason::CallerHungUp, 1), "{ms}: {:#?}", pbx.rungs);
    }
}

#[test]
fn an_asterisk_that_dies_takes_the_call_with_it() {
    for ms in [150, 200, 300, 400, 3_000] {
        let mut pbx =
            Pbx::new(settings(), script(&[words("Hola.")]), AsteriskSettings::default(), |rules| rules);
        pbx.at(100, Step::Calls);
        pbx.at(ms, Step::AsteriskDies);
        pbx.run_to(4_000);
        pbx.is_clean();
        // What is noticed first: that Asterisk is gone, the caller, or the call at OpenAI.
        let reasons = [EndReason::AsteriskLost, EndReason::CallerHungUp, EndReason::SessionLost];
        assert!(reasons.contains(&reason(&pbx)), "{ms}: {:#?}", pbx.rungs);
    }
}

#[test]
fn the_longest_call_is_an_hour_less_a_minute() {
    let pbx = run(script(&[words("Hola.")]), &[]);
    assert!(pbx.reports[0].duration <= Duration::from_secs(3_600), "{:?}", pbx.reports[0].duration);
}

#[test]
fn a_daemon_that_is_killed_leaves_no_session_and_the_next_one_says_what_was_recorded() {
    for ms in (100..1_000).step_by(20).chain([3_000]) {
        let mut pbx =
            Pbx::new(settings(), script(&[words("Hola.")]), AsteriskSettings::default(), |rules| rules);
        pbx.at(100, Step::Calls);
        pbx.at(ms, Step::DaemonDies);
        // The next daemon may serve the caller whom it finds.
        pbx.at(20_000, Step::HangsUp(0));
        pbx.at(20_000, Step::HangsUp(1));
        pbx.run_to(8_000);
        pbx.is_clean();
    }
}

#[test]
fn nobody_is_joined_to_a_model_that_has_not_its_settings_yet() {
    let pbx =
        run(Script { unknown_handshakes: 3, ..script(&[words("Hola.")]) }, &[(9_000, Step::HangsUp(0))]);
    let configured = pbx.rungs.iter().rposition(|rung| rung.contains("session.update")).expect("settings");
    assert!(configured < rung(&pbx, "addChannel"), "{:#?}", pbx.rungs);
}

#[test]
fn the_next_daemon_ends_the_spying_of_a_killed_one_and_says_what_it_has_recorded() {
    let stays = [(3_000, Step::DaemonDies), (9_000, Step::HangsUp(1))];
    let pbx = run(script(&[words("Hola.")]), &stays);
    assert_eq!(count(&pbx, "/snoop 200"), 4, "two for the call of each daemon: {:#?}", pbx.rungs);
    let leaves = [(3_000, Step::DaemonDies), (3_200, Step::HangsUp(0))];
    let pbx = run(script(&[words("Hola.")]), &leaves);
    assert!(pbx.said(|notice| matches!(notice, Notice::SoundLeft { .. })), "{:#?}", pbx.rungs);
}

#[test]
fn what_a_killed_daemon_has_recorded_stays_when_the_next_one_records_the_same_caller() {
    let stays = [(3_000, Step::DaemonDies), (9_000, Step::HangsUp(1))];
    let pbx = run(script(&[words("Hola.")]), &stays);
    let [second] = &pbx.fetched[..] else { panic!("the second part is fetched: {:#?}", pbx.rungs) };
    let fetched = [&second.said, &second.heard].map(|sound| sound.as_ref().expect("a voice").0.to_string());
    let left = pbx.asterisk.recordings();
    assert_eq!(left.len(), 2, "the first part, both voices: {left:?} {:#?}", pbx.rungs);
    for name in left {
        assert!(!fetched.contains(&name.to_owned()), "{name} is of the first daemon");
        assert!(
            pbx.said(|notice| matches!(notice, Notice::SoundLeft { names } if names.contains(name))),
            "{name} is told at the next start: {:?}",
            pbx.notices
        );
    }
}

#[test]
fn what_was_recorded_is_told_at_the_next_start_although_no_agent_takes_that_route_any_more() {
    let mut by_media = None;
    let mut pbx = Pbx::new(settings(), script(&[words("Hola.")]), AsteriskSettings::default(), |rules| {
        let settings = Arc::new(Settings { dial: None, ..(*rules.settings).clone() });
        let agents = only_agent(&settings);
        by_media = Some(Rules { settings, agents, ..rules.clone() });
        rules
    });
    pbx.at(100, Step::Calls);
    pbx.at(2_500, Step::Decides(Box::new(by_media.expect("other rules"))));
    pbx.at(3_000, Step::DaemonDies);
    pbx.at(3_200, Step::HangsUp(0));
    pbx.run_to(60);
    pbx.is_clean();
    assert!(pbx.said(|notice| matches!(notice, Notice::SoundLeft { .. })), "{:#?}", pbx.rungs);
}

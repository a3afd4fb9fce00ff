//! Calls that OpenAI answers by SIP: taking them, the conversation without sound of ours, and letting them go. Whatever happens, no
//! session is left without an owner.

mod aftermath;
mod dialled;
mod exchange;
mod pbx;
mod routes;
mod soak;
mod world;

use std::sync::Arc;
use std::time::Duration;

use openai_inbound_calls::call::Settings;
use openai_inbound_calls::call::record::{Entry, EventKind};
use openai_inbound_calls::call::tools::{Destination, offered};
use openai_inbound_calls::call::transcript::Speaker;
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::operator::Notice;
use openai_inbound_calls::sim::openai_calls::{Acceptance, Referral, Say, Script, State};
use openai_inbound_calls::tool::{
    Confirm, Effect, HttpTool, Mapping, Parameters, Request, Target, Tool, Way,
};
use serde_json::{Value, json};

use super::world::settings as usual;
use world::{CALL, Step, World};

fn script(says: &[Say]) -> Script {
    Script { says: says.to_vec(), ..Script::new(b"secret", "sk-test") }
}

fn words(text: &str) -> Say {
    Say::Words(text.to_owned())
}

fn calls(name: &str, arguments: &Value) -> Say {
    Say::Calls(name.to_owned(), arguments.to_string())
}

/// The settings of an agent that may hang up and transfer.
fn settings() -> Settings {
    let mut settings = usual();
    let place = "from-internal,200,1".parse().expect("a place");
    settings.destinations = vec![Destination { name: "ventas".into(), place }];
    settings.may_hang_up = true;
    settings.session.tools = offered(true, &settings.destinations, &[]);
    settings
}

/// A call that runs to its end, at which nothing is wrong and nothing is left.
fn run(script: Script, steps: &[(u64, Step)]) -> World {
    let mut world = World::new(&settings(), script, Some("203.0.113.5"));
    for (ms, step) in steps {
        world.at(*ms, step.clone());
    }
    world.run_to(4_000);
    world.is_clean();
    world
}

fn reason(world: &World) -> EndReason {
    world.report().reason
}

/// Who said what, in order.
fn said(world: &World) -> Vec<(Speaker, String)> {
    let all = world.report().transcript;
    all.into_iter().map(|said| (said.speaker, said.text)).collect()
}

#[test]
fn a_caller_is_greeted_answered_and_hangs_up() {
    let says = [words("Hola, ¿en qué puedo ayudarle?"), words("Abrimos a las nueve.")];
    let world =
        run(script(&says), &[(3_000, Step::Says("¿A qué hora abren?", 1_500)), (8_000, Step::HangsUp)]);
    let expected = "
        0.00 us ▶ openai  accept
        0.04 us ◀ openai  accept 200
        0.08 us ▶ openai  session.update
        0.12 us ◀ openai  session.updated
        0.12 us ▶ openai  response.create
        0.28 us ◀ openai  output_audio_buffer.started
        2.17 us ◀ openai  output_audio_buffer.stopped
        3.00 caller ▶ openai  «¿A qué hora abren?»
        4.64 us ◀ openai  output_audio_buffer.started
        5.94 us ◀ openai  output_audio_buffer.stopped
        8.00 caller ▶ openai  BYE
        8.02 us ◀ openai  websocket gone
        8.06 us ◀ openai  websocket 404";
    let expected: Vec<_> = expected.trim().lines().map(str::trim).collect();
    assert_eq!(world.rungs, expected, "{:#?}", world.rungs);
    assert_eq!(reason(&world), EndReason::CallerHungUp);
    let (caller, assistant) = (Speaker::Caller, Speaker::Assistant);
    assert_eq!(
        said(&world),
        [
            (assistant, "Hola, ¿en qué puedo ayudarle?".to_owned()),
            (caller, "¿A qué hora abren?".to_owned()),
            (assistant, "Abrimos a las nueve.".to_owned())
        ]
    );
    let report = world.report();
    assert!(report.session_stood && report.joined && report.bill.cost.is_some());
    assert_eq!((report.turns, report.counters.barge_ins), (2, 0));
    assert_eq!(report.latencies.greeting.map(|greeting| greeting.as_millis()), Some(280));
    assert_eq!(report.latencies.answers.len(), 1);
    assert!(!world.said(|notice| matches!(notice, Notice::SessionLost { .. })), "hanging up is no fault");
    assert!(!world.entries.iter().any(|entry| matches!(entry, Entry::Sound(_) | Entry::Delta(_))));
}

#[test]
fn the_acceptance_and_the_update_name_no_format() {
    let world = run(script(&[]), &[(3_000, Step::HangsUp)]);
    let accepted = world.openai.settings(CALL).expect("an accepted call");
    assert!(!accepted.to_string().contains("format"), "{accepted}");
    assert_eq!(accepted["model"], "gpt-realtime-2.1");
    assert_eq!(accepted["audio"]["output"]["voice"], "marin");
    assert!(
        accepted["tools"].as_array().is_some_and(|tools| tools.len() == 2),
        "all tools at once: {accepted}"
    );
    let update: Value = serde_json::from_str(&world.tells[0]).expect("JSON");
    assert_eq!(update["session"], json!({"type": "realtime", "output_modalities": ["audio"]}));
}

#[test]
fn an_interrupted_answer_is_cut_where_the_server_says() {
    let says = [words("Hola."), words(&"Le cuento con calma todo lo que hacemos aquí. ".repeat(4))];
    let steps =
        [(2_000, Step::Says("Cuénteme.", 500)), (5_000, Step::Says("Gracias.", 500)), (9_000, Step::HangsUp)];
    let world = run(script(&says), &steps);
    let report = world.report();
    assert_eq!(report.counters.barge_ins, 1);
    let cut = report.transcript.iter().find(|said| said.heard.is_some()).expect("an answer that was cut off");
    let heard = cut.heard.expect("how much").get();
    assert!((2_300..2_500).contains(&heard), "from 2.62 s to 5.00 s: {heard}");
    assert!(cut.heard_text().len() < cut.text.len() / 2, "{}", cut.heard_text());
    let is_interruption = |entry: &Entry| matches!(entry, Entry::Event { kind: EventKind::Interrupted, .. });
    assert_eq!(world.entries.iter().filter(|entry| is_interruption(entry)).count(), 1);
}

#[test]
fn a_key_reaches_the_model_though_its_event_has_no_id() {
    let mut settings = settings();
    settings.tells_keys = true;
    let mut world = World::new(&settings, script(&[]), None);
    world.at(3_000, Step::Presses('9'));
    world.at(9_000, Step::HangsUp);
    world.run_to(60);
    world.is_clean();
    let told = world.openai.added(CALL);
    assert!(told.iter().any(|item| item["content"][0]["text"] == "[keypad: 9]"), "{told:?}");
    assert_eq!(world.report().counters.keys, 1);
}

#[test]
fn the_assistant_hangs_up_when_the_goodbye_has_been_heard() {
    let goodbye =
        Say::WordsAndCalls("Gracias por llamar. Hasta luego.".into(), "end_call".into(), "{}".into());
    let world = run(script(&[words("Hola."), goodbye]), &[(2_000, Step::Says("Adiós.", 500))]);
    assert_eq!(reason(&world), EndReason::AssistantHungUp);
    let before = world.rungs.iter().take_while(|line| !line.ends_with("▶ openai  hangup"));
    let heard = before.filter(|line| line.ends_with("output_audio_buffer.stopped")).count();
    assert_eq!(heard, 2, "the greeting and the goodbye: {:#?}", world.rungs);
    assert_eq!(world.openai.state(CALL), Some(&State::HungUp));
}

#[test]
fn a_goodbye_of_whose_end_nothing_is_told_does_not_keep_the_call() {
    let goodbye = Say::WordsAndCalls("Hasta luego.".into(), "end_call".into(), "{}".into());
    let script = Script { tells_end: false, ..script(&[words("Hola."), goodbye]) };
    let world = run(script, &[(8_000, Step::Says("Adiós.", 500))]);
    assert_eq!(reason(&world), EndReason::AssistantHungUp);
    assert!(world.report().duration < Duration::from_secs(20));
}

#[test]
fn a_caller_is_referred_and_the_call_ends_with_it() {
    let transfer = Say::WordsAndCalls(
        "Le comunico.".into(),
        "transfer_call".into(),
        json!({"destination": "ventas", "summary": "x"}).to_string(),
    );
    let world = run(script(&[words("Hola."), transfer]), &[(2_000, Step::Says("Ventas.", 500))]);
    assert_eq!(reason(&world), EndReason::Transferred);
    assert_eq!(world.openai.state(CALL), Some(&State::Referred("sip:200@203.0.113.5".into())));
    assert!(world.said(|notice| matches!(notice, Notice::CallTransferred { .. })));
}

/// A call in which the assistant transfers the caller after 2.5 s, of which this comes.
fn transferred(referral: Referral, steps: &[(u64, Step)]) -> World {
    let transfer = calls("transfer_call", &json!({"destination": "ventas", "summary": "x"}));
    let says = [words("Hola."), transfer, words("Le comunico."), words("Sigo con usted.")];
    let asks = [(2_000, Step::Says("Ventas.", 500))];
    run(Script { referral, ..script(&says) }, &[&asks, steps].concat())
}

/// Whether the model was told so.
fn is_told(world: &World, text: &str) -> bool {
    world.openai.added(CALL).iter().any(|item| item.to_string().contains(text))
}

const FAILED: &str = "transfer did not succeed";
const NOT_KNOWN: &str = "not known yet whether the transfer succeeds";

#[test]
fn a_transfer_that_is_refused_is_told_to_the_model_and_the_call_goes_on() {
    for status in [400, 500] {
        let world = transferred(Referral::Refused(status), &[(30_000, Step::HangsUp)]);
        assert_eq!(reason(&world), EndReason::CallerHungUp, "{status}");
        assert!(is_told(&world, FAILED) && !is_told(&world, NOT_KNOWN), "{status}");
        assert!(world.said(|notice| matches!(notice, Notice::SipNotReferred { .. })), "{status}");
        assert_eq!(said(&world).pop().map(|said| said.1).as_deref(), Some("Sigo con usted."), "{status}");
    }
}

#[test]
fn a_transfer_whose_result_is_late_is_not_told_to_have_failed() {
    let after = Duration::from_secs(8);
    for (referral, is_answered) in [
        (Referral::Unheeded, true),
        (Referral::MadeLate(after), true),
        (Referral::MadeLateUnanswered(after), false),
    ] {
        let world = transferred(referral, &[(30_000, Step::HangsUp)]);
        assert!(is_told(&world, NOT_KNOWN) && !is_told(&world, FAILED), "{referral:?}: {:#?}", world.rungs);
        let is_line = |notice: &Notice| match notice {
            Notice::SipReferUnheeded => is_answered,
            Notice::SipReferUnanswered { .. } => !is_answered,
            _ => false,
        };
        assert!(world.said(is_line), "{referral:?}: {:?}", world.notices);
        assert_eq!(said(&world).pop().map(|said| said.1).as_deref(), Some("Sigo con usted."), "{referral:?}");
        let is_left = world.openai.state(CALL) == Some(&State::Referred("sip:200@203.0.113.5".into()));
        assert_eq!(is_left, referral != Referral::Unheeded, "{referral:?}");
    }
}

#[test]
fn a_connection_that_breaks_during_a_transfer_does_not_end_the_call() {
    let asked = |world: &World| {
        world.rungs.iter().find_map(|rung| rung.strip_suffix(" us ▶ openai  refer")?.parse().ok())
    };
    let seconds: f64 =
        asked(&transferred(Referral::Unheeded, &[(30_000, Step::HangsUp)])).expect("it is asked for");
    let breaks = ((seconds * 1_000.0) as u64 + 500, Step::Cuts);
    let world = transferred(Referral::Unheeded, &[breaks.clone(), (30_000, Step::HangsUp)]);
    assert_eq!(reason(&world), EndReason::CallerHungUp, "{:#?}", world.rungs);
    assert!(is_told(&world, NOT_KNOWN));
    let world = transferred(Referral::MadeLate(Duration::from_secs(3)), &[breaks]);
    assert_eq!(reason(&world), EndReason::Transferred, "{:#?}", world.rungs);
    assert!(!world.rungs.iter().any(|rung| rung.ends_with("openai  hangup")), "{:#?}", world.rungs);
}

#[test]
fn without_a_host_to_refer_to_nobody_is_offered_a_transfer() {
    let mut world = World::new(&settings(), script(&[]), None);
    world.at(2_000, Step::HangsUp);
    world.run_to(60);
    world.is_clean();
    let tools = world.openai.settings(CALL).expect("settings")["tools"].clone();
    assert_eq!(tools.as_array().map(Vec::len), Some(1), "{tools}");
}

#[test]
fn a_call_that_openai_does_not_know_yet_is_accepted_again() {
    let acceptances = vec![Acceptance::Refused(404), Acceptance::Refused(404)];
    let world = run(Script { acceptances, ..script(&[]) }, &[(6_000, Step::HangsUp)]);
    assert_eq!(world.rungs.iter().filter(|rung| rung.ends_with("▶ openai  accept")).count(), 3);
    assert_eq!(reason(&world), EndReason::CallerHungUp);
    assert!(world.report().session_stood);
    let acceptances = vec![Acceptance::Refused(404); 5];
    let world = run(Script { acceptances, ..script(&[]) }, &[]);
    assert_eq!((reason(&world), world.report().session_stood), (EndReason::CallerHungUp, false));
}

#[test]
fn a_server_that_does_not_know_the_fields_of_the_turn_detection_is_asked_without_them() {
    let world =
        run(Script { acceptances: vec![Acceptance::NoVadFields], ..script(&[]) }, &[(4_000, Step::HangsUp)]);
    let turns = &world.openai.settings(CALL).expect("settings")["audio"]["input"]["turn_detection"];
    assert_eq!(turns, &json!({"type": "server_vad", "create_response": true, "interrupt_response": true}));
}

#[test]
fn the_call_of_another_program_is_left_alone() {
    let world = run(script(&[]), &[(10, Step::Taken)]);
    assert_eq!(reason(&world), EndReason::TakenOver);
    assert!(world.said(|notice| matches!(notice, Notice::SipTaken)));
    assert!(!world.rungs.iter().any(|rung| rung.contains("hangup") || rung.contains("websocket")));
}

#[test]
fn a_call_that_may_not_be_accepted_is_rejected_so_that_the_trunk_finds_a_person() {
    for status in [400, 401, 403, 429] {
        let world = run(Script { acceptances: vec![Acceptance::Refused(status)], ..script(&[]) }, &[]);
        assert_eq!(reason(&world), EndReason::SessionFailed, "{status}");
        assert_eq!(world.openai.state(CALL), Some(&State::Rejected(503)), "{status}");
    }
}

#[test]
fn an_acceptance_without_an_answer_may_have_been_carried_out() {
    for acceptance in [Acceptance::MadeUnanswered, Acceptance::MadeAndFailed] {
        let world = run(Script { acceptances: vec![acceptance], ..script(&[]) }, &[(12_000, Step::HangsUp)]);
        assert!(world.report().session_stood, "{acceptance:?}");
        assert!(world.said(|notice| matches!(notice, Notice::SipDoubtful { .. })), "{acceptance:?}");
    }
    for acceptance in [Acceptance::Unanswered, Acceptance::Refused(500)] {
        let world = run(Script { acceptances: vec![acceptance], ..script(&[]) }, &[]);
        assert_eq!(reason(&world), EndReason::SessionLate, "{acceptance:?}");
    }
}

#[test]
fn an_acceptance_that_takes_effect_when_it_has_been_given_up_leaves_no_session() {
    for seconds in [9, 15, 30, 50] {
        let acceptance = Acceptance::MadeLate(Duration::from_secs(seconds));
        let world = run(Script { acceptances: vec![acceptance], ..script(&[]) }, &[]);
        assert_eq!(world.openai.state(CALL), Some(&State::HungUp), "{seconds} s: {:#?}", world.rungs);
    }
}

#[test]
fn the_session_may_take_a_moment_to_be_there() {
    let world = run(Script { unknown_handshakes: 4, ..script(&[]) }, &[(12_000, Step::HangsUp)]);
    assert!(world.report().session_stood);
    assert!(!world.said(|notice| matches!(notice, Notice::SessionRetry { .. })), "that is no fault");
    let world = run(Script { unknown_handshakes: 100, ..script(&[]) }, &[]);
    assert_eq!(reason(&world), EndReason::SessionLate);
    assert_eq!(world.openai.state(CALL), Some(&State::HungUp), "it was ours");
}

#[test]
fn a_session_that_is_lost_is_reached_again_and_greets_nobody_twice() {
    let says = [words("Hola."), words("Sigo aquí.")];
    let steps = [(3_000, Step::Cuts), (5_000, Step::Says("¿Hola?", 500)), (9_000, Step::HangsUp)];
    let world = run(script(&says), &steps);
    assert_eq!(reason(&world), EndReason::CallerHungUp);
    assert!(world.said(|notice| matches!(notice, Notice::SessionResumed { .. })));
    assert_eq!(said(&world).len(), 3, "{:?}", said(&world));
    let told = world.openai.added(CALL);
    assert!(told.is_empty(), "the session knows everything: {told:?}");
}

/// A tool that only reads.
fn agenda() -> Tool {
    let schema = json!({"type": "object", "properties": {}});
    Tool {
        name: "agenda".into(),
        description: String::new(),
        effect: Effect::Read,
        parameters: Parameters::new(schema, [].into()).expect("a schema"),
        way: Way::Http(Arc::new(HttpTool {
            request: Request {
                target: Target::parse("GET http://127.0.0.1:8099/x").expect("a target"),
                query: Vec::new(),
                headers: Vec::new(),
                body: None,
            },
            idempotency: None,
            mapping: Mapping { result: None, error: None },
        })),
        timeout: Duration::from_secs(8),
        say_after: None,
        confirm: Confirm::Nobody,
        repeatable: false,
    }
}

#[test]
fn the_output_of_a_tool_that_has_no_way_to_the_session_is_told_later() {
    let mut settings = settings();
    settings.tools = vec![Arc::new(agenda())];
    settings.session.tools = offered(true, &settings.destinations, &settings.tools);
    let says = [words("Hola."), calls("agenda", &json!({})), words("Hay a las diez.")];
    let mut world = World::new(&settings, script(&says), None);
    world.at(2_000, Step::Says("¿Cuándo hay lugar?", 500));
    // The tool ends at 3.64 s, and the session is reached again at 3.68 s.
    world.at(3_580, Step::Cuts);
    world.at(9_000, Step::HangsUp);
    world.run_to(60);
    world.is_clean();
    assert!(world.said(|notice| matches!(notice, Notice::SessionResumed { .. })));
    let told = world.openai.added(CALL);
    let outputs: Vec<_> = told.iter().filter(|item| item["type"] == "function_call_output").collect();
    assert!(outputs.len() == 1 && outputs[0].to_string().contains("10:00"), "{told:?} {:#?}", world.rungs);
    assert_eq!(said(&world).pop().map(|(_, text)| text).as_deref(), Some("Hay a las diez."));
}

#[test]
fn a_call_that_openai_does_not_hang_up_is_hung_up_until_it_does() {
    let goodbye = Say::WordsAndCalls("Hasta luego.".into(), "end_call".into(), "{}".into());
    let script = Script { failing_hangups: 30, ..script(&[words("Hola."), goodbye]) };
    let world = run(script, &[(2_000, Step::Says("Adiós.", 500))]);
    assert_eq!(world.openai.state(CALL), Some(&State::HungUp));
    let told = world.notices.iter().filter(|notice| matches!(notice, Notice::SipHangUpFailed { .. }));
    assert_eq!(told.count(), 1, "once");
}

#[test]
fn a_caller_who_hangs_up_before_the_call_is_taken_costs_nothing() {
    let world = run(script(&[]), &[(10, Step::HangsUp)]);
    assert_eq!(reason(&world), EndReason::CallerHungUp);
    assert!(!world.report().session_stood);
}

#[test]
fn nobody_who_is_silent_keeps_a_paid_session() {
    let mut settings = settings();
    settings.limits.silence = Some(Duration::from_secs(30));
    let mut world = World::new(&settings, script(&[words("Hola.")]), None);
    world.run_to(4_000);
    world.is_clean();
    assert_eq!(reason(&world), EndReason::CallerSilent);
    assert!(world.report().duration < Duration::from_secs(75), "{:?}", world.report().duration);
}

#[test]
fn a_call_ends_before_openai_would_end_it_in_the_middle_of_a_word() {
    let world = run(script(&[words("Hola.")]), &[]);
    assert_eq!(reason(&world), EndReason::MaxDuration);
    let lasted = world.report().duration.as_secs();
    assert!((3_540..3_570).contains(&lasted), "{lasted}");
}

#[test]
fn a_daemon_that_stops_says_goodbye_and_hangs_up() {
    for at in [0, 30, 60, 100, 200, 3_000] {
        let world = run(script(&[]), &[(at, Step::Shutdown)]);
        assert_eq!(reason(&world), EndReason::Shutdown, "{at} ms");
        assert!(world.report().duration < Duration::from_secs(20), "{at} ms");
    }
}

#[test]
fn a_daemon_that_stops_does_not_wait_for_ever_for_a_call_that_openai_does_not_hang_up() {
    let mut world = World::new(&settings(), Script { failing_hangups: 1_000, ..script(&[]) }, None);
    world.at(3_000, Step::Shutdown);
    world.run_to(60);
    assert_eq!(reason(&world), EndReason::Shutdown);
    assert_eq!(world.openai.left(), [CALL], "the next start hangs it up");
}

#[test]
fn sound_that_comes_all_the_same_is_neither_needed_nor_kept() {
    let script = Script { sends_sound: true, ..script(&[words("Hola.")]) };
    let world = run(script, &[(4_000, Step::HangsUp)]);
    assert!(world.report().counters.dropped_deltas > 0);
    assert!(!world.entries.iter().any(|entry| matches!(entry, Entry::Sound(_) | Entry::Delta(_))));
}

#[test]
fn an_answer_that_never_begins_is_asked_for_again() {
    let says = [words("Hola."), Say::Nothing, words("Perdone, dígame.")];
    let world = run(script(&says), &[(2_000, Step::Says("¿Hola?", 500)), (30_000, Step::HangsUp)]);
    assert_eq!(world.report().counters.overdue_answers, 1);
    assert_eq!(said(&world).pop().map(|(_, text)| text).as_deref(), Some("Perdone, dígame."));
}

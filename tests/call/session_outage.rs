//! The model's server refuses, falls silent or goes away: the caller is never left in silence.

use std::sync::Arc;

use openai_inbound_calls::call::{SessionFault, SessionFaults};
use openai_inbound_calls::operator::{Code, Complaint, LinkFault, Notice};
use openai_inbound_calls::realtime::error::Refusal;
use openai_inbound_calls::sim::asterisk::{self, Ending};
use openai_inbound_calls::sim::realtime::{Fault, FaultKind, Script, Trigger, pattern};

use super::ladder::{Show, check};
use super::world::{MS, World};

/// A server that does this.
fn script(trigger: Trigger, kind: FaultKind) -> Script {
    Script { faults: vec![Fault::new(trigger, kind)], ..Script::default() }
}

/// One call with a server that does this; the world when it is over.
fn call(script: Script) -> World {
    let mut world = World::new();
    world.script = Arc::new(script);
    world.dial(vec![]);
    world.run_to(12_000);
    world
}

/// The caller is back in the dialplan with this reason, and nothing is left.
fn handed_back(world: &World, reason: &str) {
    let outcome = world.outcome(0);
    assert!(matches!(outcome.ended, Some(Ending::Continued { .. })), "{:?}", outcome.ended);
    assert_eq!(outcome.variables, [("AI_END_REASON".to_owned(), reason.to_owned())]);
    assert_eq!(world.left_over(), [""; 0]);
    assert!(world.live.is_empty());
}

#[test]
fn a_wrong_key_is_named_and_the_caller_given_back() {
    let world = call(Script { key: Some("sk-another".into()), ..Script::default() });
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
            0.104  │         │         │◀────────┤  error invalid_api_key
            0.104  │         │         ●         │  ! KeyRefused
            0.104  │         │◀────────┤         │  AI_END_REASON=session_failed
            0.104  │         │◀────────┤         │  hang up media
            0.104  │         │◀────────┤         │  delete bridge
            0.104  │         │         ├────────▶│  close
            0.107  │         ├────────▶│         │  StasisEnd (media)
            0.108  │         │◀────────┤         │  continue
            0.110  │         ●         │         │  dialplan goes on at 5
            0.111  │         ├────────▶│         │  StasisEnd
            0.112  │         │         ●         │  ! CallHandedBack
        ",
    );
    handed_back(&world, "session_failed");
    assert!(world.tasks[0].notices.contains(&Notice::KeyRefused));
}

/// So many of these faults, and no others.
pub(super) fn count(faults: &[(SessionFault, u64)]) -> SessionFaults {
    let mut counts = SessionFaults::default();
    for (fault, times) in faults {
        for _ in 0..*times {
            counts.count(*fault);
        }
    }
    counts
}

type IsExpected = fn(&Notice) -> bool;

#[test]
fn every_refusal_has_its_own_line() {
    let model = "gpt-realtime-2.1".to_owned();
    let cases: [(Script, IsExpected); 7] = [
        (script(Trigger::OnConnect, FaultKind::Refuse(401)), |notice| *notice == Notice::KeyRefused),
        (script(Trigger::OnConnect, FaultKind::Error("invalid_api_key".into())), |notice| {
            *notice == Notice::KeyRefused
        }),
        (script(Trigger::OnConnect, FaultKind::Error("insufficient_quota".into())), |notice| {
            *notice == Notice::QuotaExhausted
        }),
        (Script { models: vec!["another".into()], ..Script::default() }, |notice| {
            matches!(notice, Notice::ModelUnavailable { .. })
        }),
        (
            script(
                Trigger::OnConnect,
                FaultKind::Close(4000, "invalid_request_error.model_not_found".into()),
            ),
            |notice| matches!(notice, Notice::ModelUnavailable { .. }),
        ),
        (script(Trigger::OnConnect, FaultKind::UpdateRefused("invalid_value".into())), |notice| {
            matches!(notice, Notice::SettingsRefused { .. })
        }),
        (Script { echo_wrong_format: true, ..Script::default() }, |notice| {
            matches!(notice, Notice::FormatsDiffer { .. })
        }),
    ];
    let [key, quota, model_gone] = [Refusal::Key, Refusal::Quota, Refusal::Model].map(SessionFault::Refused);
    let settings = SessionFault::Settings;
    let faults = [key, key, quota, model_gone, model_gone, settings, settings];
    for ((script, expected), fault) in cases.into_iter().zip(faults) {
        let world = call(script.clone());
        assert_eq!(world.report(0).counters.session_faults, count(&[(fault, 1)]), "{fault:?}");
        handed_back(&world, "session_failed");
        let notices = &world.tasks[0].notices;
        assert!(notices.iter().any(expected), "{:?}: {notices:?}", script.faults);
        let named =
            |notice: &Notice| matches!(notice, Notice::ModelUnavailable { model: named } if *named != model);
        assert!(!notices.iter().any(named));
        assert_eq!(world.heard(0), [0; 0], "not a byte of noise");
    }
}

#[test]
fn a_server_that_is_busy_is_tried_again() {
    let mut world = World::new();
    let busy = Arc::new(script(Trigger::OnConnect, FaultKind::Refuse(503)));
    world.dial(vec![]);
    world.phones[0].scripts = vec![Arc::clone(&busy), busy, Arc::new(Script::default())];
    world.run_to(4_000);
    check(
        &world.ladder,
        Show::ALL.from(50),
        "
                   caller    Asterisk  us        model
            0.104  │         │         │◀────────┤  HTTP 503
            0.104  │         │         ●         │  ! SessionRetry
            0.354  │         │         ├────────▶│  connect
            0.454  │         │         │◀────────┤  HTTP 503
            0.954  │         │         ├────────▶│  connect
            1.054  │         │         │◀────────┤  connected
            1.054  │         │         │◀────────┤  session.created
            1.054  │         │         ├────────▶│  session.update
            1.094  │         │         │◀────────┤  session.updated
            1.094  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
            1.134  │         │         │◀────────┤  created resp_1
            1.434  │         │         │◀════════╡  item_1 1500 ms
            1.446  │◀════════╪═════════╡         │  item_1 1500 ms
            1.484  │         │         │◀────────┤  done resp_1 completed
        ",
    );
    assert_eq!(world.heard(0), *pattern(1_500, 1));
}

#[test]
fn a_connection_that_breaks_before_it_is_configured_is_tried_again() {
    let mut world = World::new();
    world.dial(vec![]);
    let broken = script(Trigger::At(50 * MS), FaultKind::Drop);
    let late = Fault::new(Trigger::OnConnect, FaultKind::UpdatedNever);
    let broken = Script { faults: [broken.faults, vec![late]].concat(), ..broken };
    world.phones[0].scripts = vec![Arc::new(broken), Arc::new(Script::default())];
    world.run_to(4_000);
    check(
        &world.ladder,
        Show::TALK,
        "
                   caller    Asterisk  us        model
            0.004  │         │         ├────────▶│  connect
            0.104  │         │         │◀────────┤  connected
            0.104  │         │         │◀────────┤  session.created
            0.104  │         │         ├────────▶│  session.update
            0.154  │         │         │◀────────┤  gone
            0.154  │         │         ●         │  ! SessionRetry
            0.404  │         │         ├────────▶│  connect
            0.504  │         │         │◀────────┤  connected
            0.504  │         │         │◀────────┤  session.created
            0.504  │         │         ├────────▶│  session.update
            0.544  │         │         │◀────────┤  session.updated
            0.544  │         │         ├────────▶│  respond: Hola, ¿en qué puedo ayudarle?
            0.584  │         │         │◀────────┤  created resp_1_1
            0.884  │         │         │◀════════╡  item_1_1 1500 ms
            0.886  │◀════════╪═════════╡         │  item_1_1 1500 ms
            0.934  │         │         │◀────────┤  done resp_1_1 completed
        ",
    );
    assert_eq!(world.heard(0), *pattern(1_500, 1), "one greeting");
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn a_session_that_is_over_before_it_is_configured_is_tried_again() {
    let mut world = World::new();
    world.dial(vec![]);
    let over = script(Trigger::OnConnect, FaultKind::Error("session_expired".into()));
    world.phones[0].scripts = vec![Arc::new(over), Arc::new(Script::default())];
    world.run_to(4_000);
    let told = Complaint { code: Code::new("session_expired"), param: Code::default() };
    assert!(world.tasks[0].notices.contains(&Notice::SessionRetry { cause: LinkFault::Told(told) }));
    assert_eq!(world.heard(0), *pattern(1_500, 1), "one greeting");
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn a_server_that_cannot_be_reached_costs_eight_seconds_of_patience() {
    let mut world = World::new();
    world.model_down_until = Some(world.start + 20_000 * MS);
    world.dial(vec![]);
    world.run_to(12_000);
    check(
        &world.ladder,
        Show::ALL.from(7_000),
        "
                       caller    Asterisk  us        model
                8.004  │         │         ●         │  ! SessionUnavailable
                8.004  │         │◀────────┤         │  AI_END_REASON=session_late
                8.004  │         │◀────────┤         │  hang up media
                8.004  │         │◀────────┤         │  delete bridge
                8.007  │         ├────────▶│         │  StasisEnd (media)
                8.008  │         │◀────────┤         │  continue
                8.010  │         ●         │         │  dialplan goes on at 5
                8.011  │         ├────────▶│         │  StasisEnd
                8.012  │         │         ●         │  ! CallHandedBack
        ",
    );
    handed_back(&world, "session_late");
}

#[test]
fn settings_that_are_never_confirmed_cost_eight_seconds_of_patience() {
    let world = call(script(Trigger::OnConnect, FaultKind::UpdatedNever));
    check(
        &world.ladder,
        Show::ALL.from(50),
        "
                   caller    Asterisk  us        model
            0.104  │         │         │◀────────┤  connected
            0.104  │         │         │◀────────┤  session.created
            0.104  │         │         ├────────▶│  session.update
            8.004  │         │         ●         │  ! SessionLate
            8.004  │         │◀────────┤         │  AI_END_REASON=session_late
            8.004  │         │◀────────┤         │  hang up media
            8.004  │         │◀────────┤         │  delete bridge
            8.004  │         │         ├────────▶│  close
            8.007  │         ├────────▶│         │  StasisEnd (media)
            8.008  │         │◀────────┤         │  continue
            8.010  │         ●         │         │  dialplan goes on at 5
            8.011  │         ├────────▶│         │  StasisEnd
            8.012  │         │         ●         │  ! CallHandedBack
        ",
    );
    handed_back(&world, "session_late");
    assert_eq!(world.servers[0].session.appended(), [0; 0]);
}

#[test]
fn what_nobody_has_heard_of_is_survived() {
    for kind in [
        FaultKind::Unknowns,
        FaultKind::InvalidJson,
        FaultKind::BinaryGarbage,
        FaultKind::NoAcks,
        FaultKind::NoRateLimits,
        FaultKind::Error("something_new".into()),
    ] {
        let mut world = World::new();
        world.script = Arc::new(script(Trigger::OnConnect, FaultKind::NoRateLimits));
        world.model(|script| script.faults.push(Fault::new(Trigger::At(200 * MS), kind.clone())));
        world.dial(vec![]);
        world.run_to(4_000);
        assert_eq!(world.heard(0), *pattern(1_500, 1), "{kind:?}");
    }
}

/// One call that OpenAI refuses, with a fallback, in a dialplan that has these places.
fn refused(dialplan: Option<Vec<(String, String)>>) -> World {
    let mut world = World::with(1, asterisk::Settings { dialplan, ..asterisk::Settings::default() });
    world.script = Arc::new(Script { key: Some("sk-another".into()), ..Script::default() });
    world.set(|settings| settings.fallback = "humans,100".parse().ok());
    world.dial(vec![]);
    world.run_to(12_000);
    assert_eq!(world.left_over(), [""; 0]);
    world
}

#[test]
fn a_caller_who_cannot_be_served_goes_on_at_the_fallback() {
    let world = refused(Some(vec![("humans".into(), "100".into())]));
    let ended = world.outcome(0).ended.clone();
    let at = Ending::Continued { context: "humans".into(), extension: "100".into(), priority: 1 };
    assert_eq!(ended, Some(at));
    check(
        &world.ladder,
        Show::ALL.from(104),
        "
                   caller    Asterisk  us        model
            0.104  │         │         │◀────────┤  connected
            0.104  │         │         │◀────────┤  error invalid_api_key
            0.104  │         │         ●         │  ! KeyRefused
            0.104  │         │◀────────┤         │  is there humans,100,1?
            0.104  │         │◀────────┤         │  hang up media
            0.104  │         │◀────────┤         │  delete bridge
            0.104  │         │         ├────────▶│  close
            0.107  │         ├────────▶│         │  StasisEnd (media)
            0.108  │         │◀────────┤         │  AI_END_REASON=session_failed
            0.112  │         │◀────────┤         │  continue at humans,100,1
            0.114  │         ●         │         │  dialplan goes on at 1
            0.115  │         ├────────▶│         │  StasisEnd
            0.116  │         │         ●         │  ! CallHandedBack
        ",
    );
}

#[test]
fn a_fallback_that_the_dialplan_does_not_have_is_said_and_costs_nobody_his_call() {
    let world = refused(Some(vec![("humans".into(), "200".into())]));
    let ended = world.outcome(0).ended.clone();
    assert!(
        matches!(&ended, Some(Ending::Continued { context, priority: 5, .. }) if context != "humans"),
        "{ended:?}"
    );
    assert!(world.tasks[0].notices.contains(&Notice::PlaceMissing { place: "humans,100,1".into() }));
}

//! The model fails for good: the caller is told so before he goes on in the dialplan.

use std::sync::Arc;
use std::time::Duration;

use openai_inbound_calls::call::record::EventKind;
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::sim::asterisk::{self, Ending};
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Fault, FaultKind, Trigger, pattern};

use super::ladder::{Show, check};
use super::world::{MS, World};

/// 1.5 s, and not a whole number of frames: an operator's clip need not be.
fn clip() -> Arc<[u8]> {
    pattern(1_505, 99)
}

/// A world whose calls apologise and whose model does this.
fn world(trigger: Trigger, kind: FaultKind) -> World {
    let mut world = World::new();
    world.set(|settings| settings.apology = Some(clip()));
    world.model(|script| script.faults = vec![Fault::new(trigger, kind)]);
    world
}

/// The caller is back in the dialplan with this reason, and nothing is left.
fn handed_back(world: &World, reason: EndReason) {
    let outcome = world.outcome(0);
    assert!(matches!(outcome.ended, Some(Ending::Continued { .. })), "{:?}", outcome.ended);
    assert_eq!(outcome.variables, [("AI_END_REASON".to_owned(), reason.code().to_owned())]);
    assert_eq!(world.left_over(), [""; 0]);
    assert!(world.live.is_empty());
}

/// Milliseconds of the clip that the caller heard; what he heard last is its end.
fn apologised(world: &World) -> u64 {
    world.heard_of(0, &clip())
}

#[test]
fn a_caller_whom_the_model_refuses_hears_the_apology_to_its_end() {
    let mut world = world(Trigger::OnConnect, FaultKind::Error("invalid_api_key".into()));
    world.dial(vec![]);
    world.run_to(12_000);
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
                0.104  │         │         │◀────────┤  error invalid_api_key
                0.104  │         │         ●         │  ! KeyRefused
                0.106  │◀════════╪═════════╡         │  apology 1520 ms
                0.144  │         │         │◀────────┤  session.updated
                2.006  │         │◀────────┤         │  AI_END_REASON=session_failed
                2.006  │         │◀────────┤         │  hang up media
                2.006  │         │◀────────┤         │  delete bridge
                2.006  │         │         ├────────▶│  close
                2.009  │         ├────────▶│         │  StasisEnd (media)
                2.010  │         │◀────────┤         │  continue
                2.012  │         ●         │         │  dialplan goes on at 5
                2.013  │         ├────────▶│         │  StasisEnd
                2.014  │         │         ●         │  ! CallHandedBack
        ",
    );
    handed_back(&world, EndReason::SessionFailed);
    assert_eq!(*world.heard(0), *clip());
    assert!(world.tasks[0].recorded.events().contains(&EventKind::Apology));
}

#[test]
fn it_is_kept_until_the_caller_can_hear_it() {
    let slow = asterisk::Settings { stasis_latency: 400 * MS, ..asterisk::Settings::default() };
    let mut world = World::with(1, slow);
    world.set(|settings| settings.apology = Some(clip()));
    world.model(|script| script.faults = vec![Fault::new(Trigger::OnConnect, FaultKind::Refuse(401))]);
    world.dial(vec![]);
    world.run_to(12_000);
    handed_back(&world, EndReason::SessionFailed);
    assert_eq!(*world.heard(0), *clip());
}

#[test]
fn what_had_been_said_is_heard_first() {
    let mut world = world(Trigger::At(1_000 * MS), FaultKind::Error("insufficient_quota".into()));
    world.dial(vec![]);
    world.run_to(15_000);
    check(
        &world.ladder,
        Show::ALL.from(400),
        "
                       caller    Asterisk  us        model
                0.484  │         │         │◀════════╡  item_1 1500 ms
                0.486  │◀════════╪═════════╡         │  item_1 1500 ms
                0.534  │         │         │◀────────┤  done resp_1 completed
                1.104  │         │         │◀────────┤  error insufficient_quota
                1.104  │         │         ●         │  ! QuotaExhausted
                1.986  │◀════════╪═════════╡         │  apology 1520 ms
                3.886  │         │◀────────┤         │  AI_END_REASON=session_failed
                3.886  │         │◀────────┤         │  hang up media
                3.886  │         │◀────────┤         │  delete bridge
                3.886  │         │         ├────────▶│  close
                3.889  │         ├────────▶│         │  StasisEnd (media)
                3.890  │         │◀────────┤         │  continue
                3.892  │         ●         │         │  dialplan goes on at 5
                3.893  │         ├────────▶│         │  StasisEnd
                3.894  │         │         ●         │  ! CallHandedBack
        ",
    );
    handed_back(&world, EndReason::SessionFailed);
    assert_eq!([world.heard_of(0, &pattern(1_500, 1)), apologised(&world)], [1_500, 1_505]);
}

#[test]
fn whoever_is_answered_too_late_or_loses_the_session_too_often_hears_it_too() {
    let cases = [
        (FaultKind::UpdatedNever, Trigger::OnConnect, EndReason::SessionLate),
        (FaultKind::Drop, Trigger::At(500 * MS), EndReason::SessionLost),
        (FaultKind::ResponseFails("server_error".into()), Trigger::OnConnect, EndReason::ModelFailed),
    ];
    for (kind, trigger, reason) in cases {
        let mut world = world(trigger, kind);
        world.dial(vec![]);
        world.run_to(20_000);
        handed_back(&world, reason);
        assert_eq!(apologised(&world), 1_505, "{reason:?}");
    }
}

#[test]
fn one_who_has_not_been_answered_goes_on_at_once_and_pays_nothing() {
    let mut world = world(Trigger::OnConnect, FaultKind::Refuse(401));
    world.ring(vec![]);
    world.run_to(1_000);
    handed_back(&world, EndReason::SessionFailed);
    assert_eq!(world.heard(0), [0; 0]);
    assert!(world.outcome(0).answered_at.is_none());
}

#[test]
fn it_cannot_be_interrupted_and_nobody_waits_for_who_speaks_over_it() {
    let mut world = world(Trigger::OnConnect, FaultKind::Refuse(401));
    world.dial(vec![Step::Say(pattern(4_000, 101))]);
    world.run_to(2_200);
    handed_back(&world, EndReason::SessionFailed);
    assert_eq!(*world.heard(0), *clip());
}

#[test]
fn what_the_server_says_after_its_error_does_not_interrupt_it() {
    // Somewhere among these the voice is on its way to the server when the error is on its way to us.
    for ms in (1_000..1_600).step_by(20) {
        let quota = FaultKind::Error("insufficient_quota".into());
        let mut world = world(Trigger::At(ms * MS), quota);
        world.network.model = (150 * MS, Duration::ZERO);
        world.dial(vec![Step::AfterHearing(100 * MS), Step::Say(pattern(4_000, 101))]);
        world.run_to(5_500);
        handed_back(&world, EndReason::SessionFailed);
        assert!(world.heard(0).ends_with(&clip()), "{ms}");
    }
}

#[test]
fn a_caller_who_hangs_up_over_it_leaves_nothing() {
    let mut world = world(Trigger::OnConnect, FaultKind::Refuse(401));
    world.dial(vec![Step::AfterHearing(500 * MS), Step::HangUp]);
    world.run_to(12_000);
    assert_eq!(world.report(0).reason, EndReason::CallerHungUp);
    assert_eq!(world.left_over(), [""; 0]);
    assert!(world.live.is_empty());
}

#[test]
fn a_stop_of_the_daemon_does_not_cut_it() {
    let mut world = world(Trigger::OnConnect, FaultKind::Refuse(401));
    world.dial(vec![]);
    world.run_to(1_000);
    world.grace_over();
    world.run_to(4_000);
    handed_back(&world, EndReason::SessionFailed);
    assert_eq!(*world.heard(0), *clip());
}

#[test]
fn one_who_was_about_to_go_anyway_goes_at_once() {
    let mut world = world(Trigger::OnResponse(2), FaultKind::ResponseFails("insufficient_quota".into()));
    world.set(|settings| settings.limits.duration = Some(3_000 * MS));
    world.dial(vec![]);
    world.run_to(12_000);
    assert_eq!(world.report(0).reason, EndReason::MaxDuration);
    assert_eq!(apologised(&world), 0);
    assert_eq!(world.left_over(), [""; 0]);
}

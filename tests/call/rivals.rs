//! Two daemons fight over one application: the one that registers it last serves the callers, and the other lets them go.

use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::exchange::readiness::AsteriskLink;
use openai_inbound_calls::operator::Notice;
use openai_inbound_calls::sim::asterisk::{Ending, Fault};
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::pattern;

use super::world::{MS, World, rules};

/// A caller is being served when a second daemon starts.
fn taken_over() -> World {
    let mut world = World::new();
    world.dial(vec![Step::Pause(120_000 * MS)]);
    world.run_to(3_000);
    world.start_daemon(rules());
    world
}

#[test]
fn the_second_takes_the_caller_and_the_first_lets_go() {
    let mut world = taken_over();
    world.run_to(10_000);
    let app = "openai-app".to_owned();
    assert!(world.daemons[0].notices.contains(&Notice::AriReplaced { app }));
    assert_eq!(world.daemons[0].readiness.asterisk, AsteriskLink::ApplicationReplaced);
    assert_eq!(world.tasks[0].report.as_ref().map(|report| report.reason), Some(EndReason::TakenOver));
    assert!(world.outcome(0).ended.is_none(), "the caller stays");
    assert!(world.heard(0).ends_with(&pattern(1_500, 1)), "and is greeted by the second");
    assert!(world.live.keys().all(|(daemon, _)| *daemon == 1) && world.live.len() == 1);
    world.hang_up(0);
    world.run_for(5_000);
    assert_eq!(world.left_over(), [""; 0]);
}

#[test]
fn a_caller_who_hangs_up_is_noticed_although_the_other_program_is_told() {
    let mut world = World::new();
    world.dial(vec![Step::Pause(120_000 * MS)]);
    world.run_to(3_000);
    // A program that does nothing with the application.
    let _other_connection = world.connect_to_asterisk().expect("it is let in");
    world.run_to(6_000);
    assert_eq!(world.live.len(), 1, "the call goes on without its events");
    world.hang_up(0);
    world.run_for(5_000);
    assert_eq!(world.report(0).reason, EndReason::CallerHungUp);
    assert_eq!(world.left_over(), [""; 0]);
}

#[test]
fn the_first_takes_the_application_back_when_its_connection_breaks() {
    let mut world = taken_over();
    world.run_to(10_000);
    world.cut_link(0);
    world.run_to(20_000);
    assert_eq!(world.daemons[0].readiness.asterisk, AsteriskLink::Connected);
    assert_eq!(world.daemons[1].readiness.asterisk, AsteriskLink::ApplicationReplaced);
    assert!(world.outcome(0).ended.is_none(), "the caller stays");
    assert!(world.live.keys().all(|(daemon, _)| *daemon == 0) && world.live.len() == 1);
    world.hang_up(0);
    world.run_for(5_000);
    assert_eq!(world.left_over(), [""; 0]);
}

#[test]
fn the_first_ends_without_touching_the_seconds_callers() {
    let mut world = taken_over();
    world.run_to(10_000);
    world.stop(0, 0);
    world.run_for(15_000);
    assert!(world.daemons[0].is_gone && world.outcome(0).ended.is_none());
    assert_eq!(world.live.len(), 1);
    // The second hands its caller back when it ends itself.
    world.stop(1, 0);
    world.run_for(15_000);
    assert!(world.daemons[1].is_gone);
    assert!(matches!(world.outcome(0).ended, Some(Ending::Continued { .. })));
    assert_eq!(world.left_over(), [""; 0]);
}

#[test]
fn a_bridge_that_a_call_has_left_is_swept_within_a_minute_and_more() {
    let mut world = World::new();
    world.dial(vec![Step::Pause(120_000 * MS)]);
    world.run_to(3_000);
    // Asterisk agrees to remove it, and the caller is gone before it has.
    world.asterisk.fail_next("DELETE", "/bridges/oic-bridge", Fault::DoneLater(3_600_000 * MS));
    world.hang_up(0);
    world.run_for(1_000);
    assert!(world.live.is_empty() && !world.left_over().is_empty());
    world.asterisk.forget_removals();
    world.run_for(70_000);
    assert_eq!(world.left_over(), [""; 0]);
}

#[test]
fn a_caller_who_comes_in_the_moment_in_which_the_daemon_ends_is_let_go() {
    for ms in 0..40 {
        let mut world = World::new();
        world.network.events = (15 * MS, MS);
        world.network.ari = (5 * MS, 5 * MS);
        world.dial(vec![]);
        world.run_to(ms);
        world.stop(0, 0);
        world.run_for(10_000);
        assert!(world.daemons[0].is_gone, "{ms}");
        assert!(matches!(world.outcome(0).ended, Some(Ending::Continued { .. })), "at {ms} ms");
        assert_eq!(world.left_over(), [""; 0], "at {ms} ms");
    }
}

#[test]
fn the_first_takes_the_application_back_when_the_second_has_ended() {
    let mut world = World::new();
    world.run_to(3_000);
    world.start_daemon(rules());
    world.run_to(30_000);
    assert_eq!(
        world.daemons[0].readiness.asterisk,
        AsteriskLink::ApplicationReplaced,
        "it is not fought for"
    );
    world.stop(1, 0);
    world.run_for(10_000);
    assert!(world.daemons[1].is_gone);
    let app = "openai-app".to_owned();
    assert!(world.daemons[0].notices.contains(&Notice::AriReturning { app }));
    assert_eq!(world.daemons[0].readiness.asterisk, AsteriskLink::Connected);
    world.dial(vec![Step::Pause(5_000 * MS), Step::HangUp]);
    world.run_for(4_000);
    assert!(world.live.keys().all(|(daemon, _)| *daemon == 0) && world.live.len() == 1);
    world.run_for(5_000);
    assert_eq!(world.left_over(), [""; 0]);
}

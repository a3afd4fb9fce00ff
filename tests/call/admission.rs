//! Who is taken, and who goes on in the dialplan at once.

use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::exchange::readiness::{AsteriskLink, Capacity};
use openai_inbound_calls::operator::Notice;
use openai_inbound_calls::sim::asterisk::{self, Ending, IncomingCall};
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Fault, FaultKind, Trigger};
use openai_inbound_calls::units::{Cost, MicroUsd};

use super::exchange::Machine;
use super::world::{MS, World};

/// Another caller, who goes on in the dialplan for this reason.
fn goes_on(world: &mut World, reason: EndReason) {
    let phone = world.dial(vec![Step::Pause(60_000 * MS)]);
    world.run_for(100);
    let outcome = world.outcome(phone);
    assert!(matches!(outcome.ended, Some(Ending::Continued { .. })), "{reason:?}: {outcome:?}");
    assert_eq!(outcome.variables, [("AI_END_REASON".to_owned(), reason.code().to_owned())]);
    let (_, why) = world.daemons[0].refused.last().expect("the call log tells of it");
    assert_eq!(*why, reason);
}

/// Another caller, who is served.
fn is_served(world: &mut World) -> usize {
    let phone = world.dial(vec![Step::Pause(60_000 * MS)]);
    world.run_for(100);
    assert!(world.outcome(phone).ended.is_none(), "{:?}", world.outcome(phone));
    phone
}

fn said(world: &World, is_it: impl Fn(&Notice) -> bool) -> usize {
    world.daemons[0].notices.iter().filter(|notice| is_it(notice)).count()
}

#[test]
fn while_the_daemon_is_overloaded_nobody_is_taken_and_those_who_are_served_stay() {
    let mut world = World::new();
    let first = is_served(&mut world);
    world.burden(Machine::Overloaded);
    world.run_for(3_000);
    assert_eq!(world.daemons[0].readiness.room, Capacity::Overloaded);
    goes_on(&mut world, EndReason::Busy);
    assert!(world.outcome(first).ended.is_none());
    let is_begun = |notice: &Notice| matches!(notice, Notice::Overloaded { calls: 1, late_percent: 10, .. });
    assert_eq!(said(&world, is_begun), 1);
    world.burden(Machine::Idle);
    world.run_for(3_000);
    assert_eq!(said(&world, |notice| *notice == Notice::OverloadEnded { calls: 1 }), 1);
    assert_eq!(world.daemons[0].readiness.room, Capacity::Free);
    is_served(&mut world);
}

#[test]
fn no_more_are_taken_than_the_processor_has_room_for() {
    let mut world = World::new();
    is_served(&mut world);
    is_served(&mut world);
    world.burden(Machine::Full);
    world.run_for(3_000);
    assert_eq!(world.daemons[0].readiness.room, Capacity::Processor, "no caller hears anything of it");
    assert_eq!(world.daemons[0].exchange.status(), Notice::Strained { calls: 2 });
    goes_on(&mut world, EndReason::Busy);
    world.burden(Machine::Idle);
    world.run_for(3_000);
    is_served(&mut world);
    assert_eq!(world.daemons[0].exchange.status(), Notice::Serving { calls: 3 });
}

#[test]
fn overload_is_over_even_when_the_last_call_has_ended() {
    let mut world = World::new();
    let first = is_served(&mut world);
    world.burden(Machine::Overloaded);
    world.run_for(3_000);
    world.hang_up(first);
    world.burden(Machine::Idle);
    world.run_for(3_000);
    assert!(world.live.is_empty());
    assert_eq!(world.daemons[0].readiness.room, Capacity::Free);
    is_served(&mut world);
}

#[test]
fn what_a_day_may_cost_is_reached_in_mid_call_and_another_day_begins_at_nothing() {
    let mut world = World::new();
    world.decide(|rules| rules.max_day_cost = Some(MicroUsd::new(10)));
    let first = is_served(&mut world);
    world.run_for(3_000);
    // With the prices of tests, the greeting alone costs more.
    assert!(world.daemons[0].readiness.day_spent.is_some());
    let limit = Cost { amount: Some(MicroUsd::new(10)), estimated: false };
    assert_eq!(said(&world, |notice| *notice == Notice::DayCostReached { limit }), 1);
    goes_on(&mut world, EndReason::DayCostLimit);
    assert!(world.outcome(first).ended.is_none(), "the call that runs goes on");
    world.hang_up(first);
    world.run_for(1_000);
    goes_on(&mut world, EndReason::DayCostLimit);
    assert_eq!(said(&world, |notice| matches!(notice, Notice::DayCostReached { .. })), 1, "once a day");
    world.run_for(24 * 3_600_000);
    is_served(&mut world);
}

#[test]
fn a_caller_who_calls_too_often_goes_on_for_an_hour() {
    let mut world = World::new();
    world.decide(|rules| rules.max_calls_per_caller_hour = Some(2));
    for _ in 0..2 {
        let phone = is_served(&mut world);
        world.hang_up(phone);
        world.run_for(1_000);
    }
    goes_on(&mut world, EndReason::CallerLimit);
    let stranger = IncomingCall { number: "3007654321".into(), ..IncomingCall::default() };
    let other = world.dial_as(stranger, vec![Step::Pause(60_000 * MS)]);
    world.run_for(1_000);
    assert!(world.outcome(other).ended.is_none());
    world.hang_up(other);
    world.run_for(3_600_000);
    is_served(&mut world);
}

#[test]
fn while_openai_serves_nobody_callers_go_on_at_once_until_one_is_served() {
    let mut world = World::new();
    world.model(|script| script.faults = vec![Fault::new(Trigger::OnConnect, FaultKind::Refuse(401))]);
    for _ in 0..3 {
        world.dial(vec![Step::Pause(60_000 * MS)]);
        world.run_for(3_000);
    }
    assert!(world.daemons[0].readiness.openai_out);
    goes_on(&mut world, EndReason::SessionFailed);
    world.model(|script| script.faults.clear());
    // A reload lets the next caller try.
    world.decide(|_| ());
    is_served(&mut world);
    world.run_for(3_000);
    assert!(!world.daemons[0].readiness.openai_out);
    assert_eq!(said(&world, |notice| matches!(notice, Notice::OpenAiBack { callers: 4, .. })), 1);
}

#[test]
fn a_caller_who_is_not_taken_goes_on_where_the_operator_has_said() {
    let mut world = World::new();
    world.set(|settings| settings.fallback = "humans,100".parse().ok());
    world.take_at_most(0);
    goes_on(&mut world, EndReason::Busy);
    let at = Ending::Continued { context: "humans".into(), extension: "100".into(), priority: 1 };
    assert_eq!(world.outcome(0).ended, Some(at));
    assert_eq!(world.daemons[0].readiness.room, Capacity::MaxCalls);
}

#[test]
fn an_asterisk_that_refuses_is_tried_until_it_does_not() {
    let mut world = World::new();
    world.asterisk.set_read_only(true);
    world.dial(vec![]);
    world.run_for(5_000);
    assert!(world.daemons[0].readiness.asterisk_refuses);
    world.hang_up(0);
    world.run_for(3_000);
    world.asterisk.set_read_only(false);
    world.run_for(3_000);
    assert!(!world.daemons[0].readiness.asterisk_refuses);
    assert_eq!(world.daemons[0].readiness.asterisk, AsteriskLink::Connected);
}

/// A caller who is not taken, while Asterisk does not let them go.
fn stuck() -> World {
    let mut world = World::new();
    world.take_at_most(0);
    world.asterisk.set_read_only(true);
    world.dial(vec![Step::Pause(60_000 * MS)]);
    world.run_to(2_000);
    assert_eq!(said(&world, |notice| *notice == Notice::CallerStuck), 1, "once, not at every try");
    world
}

fn is_handed_back(notice: &Notice) -> bool {
    matches!(notice, Notice::CallHandedBack { .. })
}

#[test]
fn a_caller_who_is_being_sent_on_is_not_served_when_the_connection_breaks_meanwhile() {
    let mut world = stuck();
    world.take_at_most(2);
    world.lose_ari(500);
    world.run_to(8_000);
    assert!(world.tasks.is_empty(), "they are sent on already");
    world.asterisk.set_read_only(false);
    world.run_for(6_000);
    assert!(matches!(world.outcome(0).ended, Some(Ending::Continued { .. })));
    assert_eq!(world.outcome(0).variables, [("AI_END_REASON".to_owned(), "busy".to_owned())]);
    assert_eq!(said(&world, is_handed_back), 1);
}

#[test]
fn a_caller_who_hangs_up_while_being_sent_on_was_not_handed_back() {
    let mut world = stuck();
    let channel = world.outcome(0).channel.as_str().into();
    assert!(world.daemons[0].exchange.cares_for(&channel));
    world.hang_up(0);
    world.run_for(5_000);
    assert!(!world.daemons[0].exchange.cares_for(&channel), "nobody has to be sent on");
    assert_eq!(said(&world, is_handed_back), 0);
}

#[test]
fn a_caller_whose_reason_was_refused_at_first_takes_it_along_later() {
    let mut world = World::new();
    world.take_at_most(0);
    world.asterisk.fail_next("POST", "/variable", asterisk::Fault::Status(400));
    world.asterisk.fail_next("POST", "/continue", asterisk::Fault::Status(500));
    world.dial(vec![Step::Pause(60_000 * MS)]);
    world.run_to(3_000);
    assert!(matches!(world.outcome(0).ended, Some(Ending::Continued { .. })));
    assert_eq!(world.outcome(0).variables, [("AI_END_REASON".to_owned(), "busy".to_owned())]);
    assert_eq!(said(&world, |notice| matches!(notice, Notice::RequestRefused { .. })), 1);
}

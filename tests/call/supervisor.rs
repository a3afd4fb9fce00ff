//! A supervisor takes the call from the assistant.

use openai_inbound_calls::call::Wish;
use openai_inbound_calls::call::tools::Destination;
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::exchange::Order;
use openai_inbound_calls::operator::Notice;
use openai_inbound_calls::sim::asterisk::{self, Ending};
use openai_inbound_calls::sim::caller::Step;

use super::ladder::{Show, check};
use super::task::Happened;
use super::world::{MS, World};

/// A call of which this is wanted in the middle of the greeting.
fn wished(wish: Wish) -> World {
    let mut world = World::new();
    world.dial(vec![Step::AfterHearing(500 * MS), Step::Pause(60_000 * MS)]);
    world.run_to(1_000);
    world.happen(0, Happened::Told(Order::Supervisor(wish)));
    world.run_for(3_000);
    assert!(world.violations().is_empty(), "{:?}", world.violations());
    assert_eq!(world.left_over(), [""; 0]);
    world
}

#[test]
fn a_call_ends_when_a_supervisor_hangs_up() {
    let world = wished(Wish::HangUp);
    check(
        &world.ladder,
        Show::ALL.from(900),
        "
                       caller    Asterisk  us        model
                1.000  │         │◀────────┤         │  hang up
                1.000  │         │◀────────┤         │  hang up media
                1.000  │         │◀────────┤         │  delete bridge
                1.000  │         │         ├────────▶│  close
                1.002  │◀────────┤         │         │  HungUp { cause: 16, sip_status: None }
                1.003  │         ├────────▶│         │  StasisEnd
                1.003  │         ├────────▶│         │  StasisEnd (media)
        ",
    );
    assert_eq!(world.report(0).reason, EndReason::SupervisorHungUp);
}

#[test]
fn a_caller_goes_where_a_supervisor_sends_him() {
    let place = "from-internal,200,1".parse().unwrap();
    let world = wished(Wish::HandOver(Destination { name: "ventas".into(), place }));
    check(
        &world.ladder,
        Show::ALL.from(900),
        "
                       caller    Asterisk  us        model
                1.000  │         │◀────────┤         │  is there from-internal,200,1?
                1.004  │         │◀────────┤         │  is there from-internal,200,1?
                1.004  │         │◀────────┤         │  hang up media
                1.004  │         │◀────────┤         │  delete bridge
                1.004  │         │         ├────────▶│  close
                1.004  │         │◀────────┤         │  AI_END_REASON=supervisor_transferred
                1.007  │         ├────────▶│         │  StasisEnd (media)
                1.008  │         │◀────────┤         │  AI_TRANSFER_DESTINATION=ventas
                1.012  │         │◀────────┤         │  continue at from-internal,200,1
                1.014  │         ●         │         │  dialplan goes on at 1
                1.015  │         ├────────▶│         │  StasisEnd
        ",
    );
    assert_eq!(world.report(0).reason, EndReason::SupervisorTransferred);
    let ended = &world.outcome(0).ended;
    assert!(matches!(ended, Some(Ending::Continued { .. })), "{ended:?}");
}

#[test]
fn a_caller_whom_a_supervisor_sends_to_a_place_that_does_not_exist_stays_with_the_assistant() {
    let dialplan = Some(vec![("from-internal".to_owned(), "200".to_owned())]);
    let mut world = World::with(1, asterisk::Settings { dialplan, ..asterisk::Settings::default() });
    world.dial(vec![Step::AfterHearing(500 * MS), Step::Pause(60_000 * MS)]);
    world.run_to(1_000);
    let place = "from-internal,999,1".parse().unwrap();
    let wish = Wish::HandOver(Destination { name: "nadie".into(), place });
    world.happen(0, Happened::Told(Order::Supervisor(wish)));
    world.run_for(3_000);
    assert!(world.outcome(0).ended.is_none(), "the call goes on");
    let notices = &world.tasks[0].notices;
    assert!(notices.contains(&Notice::TransferPlaceMissing { place: "from-internal,999,1".into() }));
    assert!(!notices.iter().any(|notice| matches!(notice, Notice::CallTransferred { .. })));
    world.hang_up(0);
    world.run_for(1_000);
    assert_eq!(world.report(0).reason, EndReason::CallerHungUp);
    assert_eq!(world.left_over(), [""; 0]);
}

//! A supervisor takes the call from the assistant.

use openai_inbound_calls::call::Wish;
use openai_inbound_calls::call::tools::Destination;
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::exchange::Order;
use openai_inbound_calls::sim::asterisk::Ending;
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
                1.000  │         │◀────────┤         │  hang up media
                1.000  │         │◀────────┤         │  delete bridge
                1.000  │         │         ├────────▶│  close
                1.003  │         ├────────▶│         │  StasisEnd (media)
                1.004  │         │◀────────┤         │  AI_END_REASON=supervisor_transferred
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

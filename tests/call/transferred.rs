//! A colleague who talks with the assistant transfers a customer to it: the same call goes on, with the customer.

use openai_inbound_calls::call::record::{Entry, EventKind};
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::sim::asterisk::Ending;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::pattern;

use super::world::{MS, World};

/// A colleague is greeted, and transfers a customer after two seconds, who asks something and is answered.
fn transferred() -> World {
    let mut world = World::new();
    world.dial(vec![Step::Pause(3_000 * MS), Step::Say(pattern(1_000, 7)), Step::Pause(60_000 * MS)]);
    world.run_to(2_500);
    assert_eq!(world.heard(0), *pattern(1_500, 1), "the colleague is greeted");
    world.transfer(0, "3001234567");
    world.run_to(8_000);
    assert_eq!(
        world.heard(0),
        *[&pattern(1_500, 1)[..], &pattern(2_000, 2)].concat(),
        "the customer is answered"
    );
    assert_eq!(
        (world.tasks.len(), world.live.len(), world.servers.len()),
        (1, 1, 1),
        "one call and one session"
    );
    world
}

#[test]
fn the_same_call_goes_on_with_the_customer() {
    let mut world = transferred();
    let entries = &world.tasks[0].recorded.entries;
    assert!(entries.contains(&Entry::Caller("3001234567".into())));
    let is_noted = |entry: &Entry| matches!(entry, Entry::Event { kind: EventKind::CallerReplaced, .. });
    assert_eq!(entries.iter().filter(|entry| is_noted(entry)).count(), 1);
    world.hang_up(0);
    world.run_for(3_000);
    assert_eq!(world.report(0).reason, EndReason::CallerHungUp);
    assert_eq!(world.left_over(), [""; 0]);
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn the_customer_goes_on_where_the_colleague_would_have_gone_on_in_the_dialplan() {
    let mut world = transferred();
    world.grace_over();
    world.run_for(12_000);
    assert_eq!(world.report(0).reason, EndReason::Shutdown);
    let next = Ending::Continued { context: "from-voip".into(), extension: "3241000752".into(), priority: 5 };
    assert_eq!(world.outcome(0).ended, Some(next));
    assert_eq!(world.left_over(), [""; 0]);
}

#[test]
fn a_customer_who_is_transferred_further_is_the_same_call_still() {
    let mut world = transferred();
    world.transfer(0, "3007654321");
    world.run_for(1_000);
    assert_eq!((world.tasks.len(), world.live.len(), world.servers.len()), (1, 1, 1));
    // An outage changes nothing: the last of the three channels is the caller's.
    world.lose_ari(1_000);
    world.run_for(4_000);
    assert_eq!(world.live.len(), 1);
    world.hang_up(0);
    world.run_for(3_000);
    assert_eq!(world.report(0).reason, EndReason::CallerHungUp);
    assert_eq!(world.left_over(), [""; 0]);
}

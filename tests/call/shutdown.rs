//! SIGTERM: no new callers, live ones may finish, and then everything ends the same way.

use openai_inbound_calls::sim::asterisk::{Ending, Fault};
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::pattern;

use super::ladder::{Show, check, check_call};
use super::world::{MS, World};

#[test]
fn a_live_call_may_finish_while_new_callers_go_on_in_the_dialplan() {
    let mut world = World::new();
    world.dial(vec![Step::AfterHearing(1_500 * MS), Step::HangUp]);
    world.run_to(1_000);
    world.drain();
    let late = world.dial(vec![]);
    world.run_to(5_000);
    assert_eq!(world.heard_of(0, &pattern(1_500, 1)), 1_500, "the greeting, whole");
    check_call(
        &world.ladder,
        late,
        Show::ALL,
        "
                   caller    Asterisk  us        model
            1.000  │◀────────┤         │         │  200 OK
            1.004  │         ├────────▶│         │  StasisStart
            1.010  │         ●         │         │  dialplan goes on at 5
            1.011  │         ├────────▶│         │  StasisEnd
        ",
    );
    assert!(matches!(world.outcome(late).ended, Some(Ending::Continued { .. })));
    assert_eq!(world.outcome(late).variables, [("AI_END_REASON".to_owned(), "shutdown".to_owned())]);
    assert!(world.live.is_empty());
    assert_eq!(world.left_over(), [""; 0]);
}

#[test]
fn when_the_grace_is_over_the_caller_is_told_and_given_back() {
    let mut world = World::new();
    world.dial(vec![]);
    world.run_to(1_000);
    world.stop(0, 1_000);
    world.run_to(8_000);
    check(
        &world.ladder,
        Show::ALL.from(1_000),
        "
                       caller    Asterisk  us        model
                2.000  │         │         ├────────▶│  respond: Tell the caller in one short sentence that a colleague takes over the call now.
                2.040  │         │         │◀────────┤  created resp_2
                2.340  │         │         │◀════════╡  item_2 1500 ms
                2.346  │◀════════╪═════════╡         │  item_2 1500 ms
                2.390  │         │         │◀────────┤  done resp_2 completed
                4.226  │         │◀────────┤         │  AI_END_REASON=shutdown
                4.226  │         │◀────────┤         │  hang up media
                4.226  │         │◀────────┤         │  delete bridge
                4.226  │         │         ├────────▶│  close
                4.229  │         ├────────▶│         │  StasisEnd (media)
                4.230  │         │◀────────┤         │  continue
                4.232  │         ●         │         │  dialplan goes on at 5
                4.233  │         ├────────▶│         │  StasisEnd
                4.234  │         │         ●         │  ! CallHandedBack
        ",
    );
    assert!(world.live.is_empty());
    assert_eq!(world.left_over(), [""; 0]);
}

#[test]
fn a_daemon_whose_asterisk_is_gone_still_ends() {
    let mut world = World::new();
    world.dial(vec![]);
    world.run_to(1_000);
    world.lose_ari(60_000);
    world.grace_over();
    world.run_to(19_500);
    assert!(world.live.is_empty(), "within the patience of eight and ten seconds");
}

#[test]
fn a_caller_who_is_to_be_sent_on_is_sent_on_though_the_request_fails_at_first() {
    for fault in [Fault::Status(500), Fault::ConnectionLost, Fault::OkButReplyLost] {
        let mut world = World::new();
        world.dial(vec![]);
        world.run_to(10);
        world.drain();
        world.asterisk.fail_next("POST", "/continue", fault);
        let late = world.dial(vec![]);
        world.run_for(3_000);
        assert!(matches!(world.outcome(late).ended, Some(Ending::Continued { .. })), "{fault:?}");
    }
}

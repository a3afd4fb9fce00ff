//! Tests of requests that fail, get lost or arrive too late: the daemon removes what it created, and a caller
//! who is still there returns to the dialplan.

use openai_inbound_calls::sim::asterisk::{CallState, Ending, Fault};
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Script, pattern};

use crate::world::{World, contains, listen, ms, until};

/// The requests that set up a call. The last one may be repeated, so its loss ends no call.
const SETUP: [(&str, &str); 3] =
    [("POST", "/bridges"), ("POST", "/channels/externalMedia"), ("POST", "/addChannel")];

/// The number of times that a request is made whose connection is closed instead of answered.
const TRIES: usize = 5;

/// Makes each of the requests always fail in this way, in a world of its own, because other requests of a
/// call that fails early may still be under way when the call is over. The callers return to the dialplan for
/// this reason.
async fn each_fails(fault: Fault, reason: &str, requests: &[(&str, &str)]) {
    for (method, path) in requests {
        let world = World::new(Script::default());
        let daemon = world.daemon().await;
        for _ in 0..TRIES {
            world.asterisk.fail_next(method, path, fault);
        }
        let call = world.call(vec![Step::Pause(ms(60_000))]);
        world.over(call).await;
        let ended = world.asterisk.outcome(call).ended;
        assert!(matches!(ended, Some(Ending::Continued { .. })), "{path}: {ended:?}");
        assert_eq!(world.end_reason(call).as_deref(), Some(reason), "{path}");
        daemon.stop().await;
        world.over(call).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_asterisk_refuses() {
    each_fails(Fault::Status(500), "setup_failed", &SETUP).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_never_arrives() {
    each_fails(Fault::ConnectionLost, "asterisk_lost", &SETUP[..2]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_lost_for_a_moment_costs_nobody_his_call() {
    for (method, path) in SETUP {
        let world = World::new(Script::default());
        let daemon = world.daemon().await;
        for _ in 1..TRIES {
            world.asterisk.fail_next(method, path, Fault::ConnectionLost);
        }
        let call = world.call([&listen()[..], &[Step::HangUp]].concat());
        world.over(call).await;
        assert_eq!(world.asterisk.outcome(call).ended, Some(Ending::CallerHungUp), "{path}");
        assert!(contains(&world.heard(call), &pattern(1_500, 1)), "{path}: the greeting");
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_carried_out_but_not_answered() {
    each_fails(Fault::OkButReplyLost, "asterisk_lost", &SETUP[..2]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_hangs_up_while_his_call_is_set_up_leaves_nothing() {
    for (method, path) in SETUP {
        let world = World::new(Script::default());
        let daemon = world.daemon().await;
        // The request is carried out at once but answered late, when the caller is already gone.
        world.asterisk.fail_next(method, path, Fault::Delay(ms(500)));
        let done = || {
            let journal = world.asterisk.journal();
            journal.iter().any(|(_, line)| line.starts_with("POST") && line.contains(path))
        };
        let call = world.call(vec![Step::Pause(ms(60_000))]);
        until("the request is under way", done).await;
        world.asterisk.hang_up(call);
        assert_eq!(world.asterisk.outcome(call).state, CallState::Gone);
        world.over(call).await;
        daemon.stop().await;
        world.over(call).await;
    }
}

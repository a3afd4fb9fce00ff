//! Tests that `/ready` follows the state of the daemon.

use std::sync::Arc;

use openai_inbound_calls::sim::asterisk::Stop;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::Script;
use serde_json::Value;

use crate::api::Api;
use crate::world::{PATIENCE, World, ms, until};

/// Asks until this is the answer.
pub(crate) async fn becomes(api: &Api, reasons: &[&str]) {
    let reasons: Vec<Value> = reasons.iter().map(|reason| Value::from(*reason)).collect();
    let mut last = Value::Null;
    let until_it_is = async {
        loop {
            let answer = api.get("/ready").await;
            last = answer.json()["reasons"].clone();
            if last == Value::Array(reasons.clone()) {
                return assert_eq!(answer.status, if reasons.is_empty() { 200 } else { 503 });
            }
            tokio::time::sleep(ms(20)).await;
        }
    };
    let becomes_so = tokio::time::timeout(PATIENCE, until_it_is).await.is_ok();
    assert!(becomes_so, "ready becomes {reasons:?}, but is {last}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ready_is_who_would_serve_a_caller() {
    // The first call is refused, the second one is served.
    let world = World::choosing(|n| {
        let key = if n == 0 { "sk-another" } else { "sk-test" };
        Arc::new(Script { key: Some(key.into()), ..Script::default() })
    });
    let program = world.program(&[("SHUTDOWN_GRACE_SECONDS", "60")]).await;
    let api = Api::of(&program).await;
    becomes(&api, &[]).await;

    world.over(world.call(vec![Step::Pause(ms(60_000))])).await;
    becomes(&api, &["openai_failing"]).await;
    let served = world.call(vec![Step::AfterHearing(ms(500)), Step::HangUp]);
    world.over(served).await;
    becomes(&api, &[]).await;

    world.asterisk.stop(Stop::Kill);
    becomes(&api, &["asterisk_away"]).await;
    world.asterisk.start_again();
    becomes(&api, &[]).await;

    let _live = world.call(vec![Step::Pause(ms(60_000))]);
    program.says_times(3, "INFO", "Conexión WebSocket con OpenAI").await;
    program.signal("TERM");
    becomes(&api, &["draining"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ready_says_when_there_is_no_room_and_when_there_is_again() {
    let world = World::new(Script::default());
    let program = world.program_with_env_file(&[("MAX_CALLS", "2")]).await;
    let api = Api::of(&program).await;
    let wait = || vec![Step::Pause(ms(60_000))];
    let first = world.call(wait());
    program.says("INFO", "Conexión WebSocket con OpenAI").await;
    becomes(&api, &[]).await;
    let second = world.call(wait());
    becomes(&api, &["max_calls_reached"]).await;
    // The answer is true: the next caller returns to the dialplan.
    let third = world.call(wait());
    until("the third goes on", || world.end_reason(third).as_deref() == Some("busy")).await;
    world.asterisk.hang_up(first);
    becomes(&api, &[]).await;

    // A reload can take the room away and give it back.
    for (most, reasons) in [("1", &["max_calls_reached"][..]), ("2", &[])] {
        program.change_env_file(&[("MAX_CALLS", most)]);
        program.signal("HUP");
        becomes(&api, reasons).await;
    }
    world.asterisk.hang_up(second);
    world.over(second).await;
}

//! Tests of watching the calls of the real daemon, and of taking them from the assistant.

use openai_inbound_calls::sim::asterisk::Ending;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::Script;
use serde_json::{Value, json};

use super::api::Api;
use super::world::{PATIENCE, World, ms};

/// The only live call, once `is_so` holds for it.
async fn live(api: &Api, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    until(api, "/calls/live", what, |told| is_so(&told["calls"][0])).await["calls"][0].clone()
}

/// The answer at this path, once `is_so` holds for it.
async fn until(api: &Api, path: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let until_it_is = async {
        loop {
            let told = api.get(path).await.json();
            if is_so(&told) {
                return told;
            }
            tokio::time::sleep(ms(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, until_it_is).await.unwrap_or_else(|_| panic!("never {what}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supervisor_sees_a_call_and_hands_the_caller_over_or_hangs_up() {
    let world = World::new(Script::default());
    let program = world.program(&[("TRANSFER_DESTINATIONS", "ventas:from-internal,200,1")]).await;
    let api = Api::of(&program).await;
    for (path, body, reason) in [
        ("transfer", r#"{"destination":"ventas"}"#, "supervisor_transferred"),
        ("hangup", "", "supervisor_hung_up"),
    ] {
        let caller = world.call(vec![Step::Pause(ms(60_000))]);
        let call = live(&api, "greeted", |call| call["turn"] == "speaking").await;
        let heard = live(&api, "heard", |call| !call["assistant_dbfs"].is_null()).await;
        assert!(heard["assistant_dbfs"].as_f64() < Some(0.0) && heard["caller_dbfs"].is_null(), "{heard}");
        let words = &live(&api, "in words", |call| call["words"] != json!([])).await["words"];
        assert_eq!(words[0]["text"], "Hola, ¿en qué puedo ayudarle?");
        assert!(call["greeting_ms"].as_u64() > Some(0), "{call}");
        let id = call["id"].as_str().expect("an id");
        assert_eq!(api.post(&format!("/calls/{id}/{path}"), body).await.status, 202);
        world.over(caller).await;
        live(&api, "gone", Value::is_null).await;
        until(&api, &format!("/calls/{id}"), reason, |row| row["end_reason"] == reason).await;
        let ended = world.asterisk.outcome(caller).ended;
        assert_eq!(matches!(ended, Some(Ending::Continued { .. })), path == "transfer", "{ended:?}");
    }
}

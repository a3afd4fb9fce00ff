//! Tests that every call of the real daemon is a row of the call log: while it runs, when it has ended, when
//! it was not accepted, and when the daemon is killed.

use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, Script, pattern};
use serde_json::Value;

use super::api::Api;
use super::world::{PATIENCE, World, listen, ms};

/// The calls, newest first, once `are_so` holds for them.
pub(crate) async fn calls(api: &Api, what: &str, are_so: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let until_they_are = async {
        loop {
            let calls = api.get("/calls").await.json()["calls"].as_array().cloned().unwrap_or_default();
            if are_so(&calls) {
                return calls;
            }
            tokio::time::sleep(ms(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, until_they_are).await.unwrap_or_else(|_| panic!("never {what}"))
}

/// Whether the call has ended.
pub(crate) fn ended(call: &Value) -> bool {
    !call["end_reason"].is_null()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_a_row_while_it_runs_and_afterwards_and_so_is_one_that_is_not_taken() {
    let answers = vec![Answer::pattern("Un momento.", 6_000, 2), Answer::pattern("De acuerdo.", 1_000, 3)];
    let world = World::new(Script { answers, ..Script::default() });
    let program = world.program(&[("MAX_CALLS", "1")]).await;
    let api = Api::of(&program).await;
    let script = [
        &listen()[..],
        &[Step::Say(pattern(1_000, 7)), Step::AfterHearing(ms(900)), Step::Say(pattern(1_000, 8))],
        &listen()[..],
        &[Step::HangUp],
    ];
    let served = world.call(script.concat());
    let running = calls(&api, "one that runs", |calls| calls.len() == 1).await.remove(0);
    assert_eq!(
        (&running["end_reason"], &running["ended_at"], &running["turns"]),
        (&Value::Null, &Value::Null, &0.into())
    );
    world.call(vec![Step::Pause(ms(60_000))]);
    let refused =
        calls(&api, "one that is refused", |calls| calls.len() == 2 && ended(&calls[0])).await.remove(0);
    assert_eq!((&refused["end_reason"], &refused["duration_seconds"]), (&"busy".into(), &0.0.into()));
    assert_eq!((&refused["recording_id"], &refused["model"]), (&Value::Null, &"".into()));
    assert_eq!(
        (&refused["cost_usd"], &refused["tokens"]["audio_in"]),
        (&0.0.into(), &0.into()),
        "no session, no cost"
    );
    let key = refused["row_id"].as_str().expect("a key");
    assert_eq!(
        (key.len(), key.as_bytes()[14], api.get(&format!("/calls/{key}")).await.json()),
        (36, b'7', refused.clone())
    );

    world.over(served).await;
    let row = calls(&api, "over", |calls| calls.iter().all(ended)).await.remove(1);
    let recording = api.only("finished").await;
    for (column, as_in) in [("id", "call_id"), ("recording_id", "id")] {
        assert_eq!(row[column], recording[as_in], "{column}");
    }
    for column in ["caller", "called", "model", "agent", "end_reason", "interruptions", "duration_seconds"] {
        assert_eq!(row[column], recording[column], "{column}");
    }
    assert_eq!(
        (&row["end_reason"], &row["interruptions"], &row["turns"]),
        (&"caller_hung_up".into(), &1.into(), &3.into())
    );
    assert_eq!(row["offered_at"], running["offered_at"]);
    // The figures of the call are the same in the row and in the recording.
    let id = row["recording_id"].as_str().expect("a recording");
    let document = api.get(&format!("/recordings/{id}/conversation")).await.json();
    let (usage, latency) = (&document["usage"], &document["latency"]);
    assert!(row["cost_usd"].as_f64() > Some(0.0), "{row}");
    assert_eq!((&row["cost_usd"], &row["greeting_ms"]), (&usage["cost_usd"], &latency["greeting_ms"]));
    for kind in ["text_in", "audio_in", "cached_audio_in", "audio_out"] {
        let of = |counts: &Value| counts[kind].as_u64().expect("a number");
        let both = of(&usage["tokens"]) + of(&usage["transcription"]["tokens"]);
        assert_eq!(row["tokens"][kind], both, "{kind}");
    }
    let mut waited: Vec<_> = latency["turns"]
        .as_array()
        .expect("turns")
        .iter()
        .map(|turn| turn["first_frame_ms"].as_u64())
        .collect();
    waited.sort_unstable();
    assert_eq!(
        (row["turn_p50_ms"].as_u64(), row["turn_p95_ms"].as_u64()),
        (waited[0], waited[1]),
        "{waited:?}"
    );
    assert!(!row["host"].as_str().expect("text").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_calls_of_a_daemon_that_stops_and_those_a_kill_cuts_off_are_in_the_log() {
    let world = World::new(Script::default());
    let mut program = world.program(&[("SHUTDOWN_GRACE_SECONDS", "0")]).await;
    let stopped = world.call(vec![Step::Pause(ms(60_000))]);
    program.says("INFO", "msg_type updated recibido").await;
    program.signal("TERM");
    program.exit().await;
    world.over_but_sessions(stopped).await;

    let mut program = world.program(&[]).await;
    let api = Api::of(&program).await;
    let first = calls(&api, "that of before", |calls| calls.len() == 1).await;
    assert_eq!(first[0]["end_reason"], "shutdown");
    let cut_off = world.call(vec![Step::Pause(ms(60_000))]);
    calls(&api, "a second that runs", |calls| calls.len() == 2 && !ended(&calls[0])).await;
    program.signal("KILL");
    program.exit().await;
    // A caller who is still there would be served again, in a row for that second stay.
    world.asterisk.hang_up(cut_off);
    world.gone(cut_off).await;

    let program = world.program(&[]).await;
    let api = Api::of(&program).await;
    let all = calls(&api, "both over", |calls| calls.len() == 2 && calls.iter().all(ended)).await;
    assert_eq!(all[1], first[0]);
}

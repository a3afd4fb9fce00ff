//! Tests the fake itself: what it refuses, and what it calls a violation.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::sim::epoch;

const CALL: &str = "rtc_u0_1";
const KEY: &str = "Bearer sk-test";

fn fake() -> (OpenAiCalls, Instant) {
    let (mut calls, now) = (OpenAiCalls::new(Script::new(b"secret", "sk-test")), epoch());
    calls.offer(now, CALL, 1_795_182_600, &[("From", "<sip:300@x>")]);
    (calls, now)
}

fn session() -> Value {
    json!({"type": "realtime", "model": "m", "output_modalities": ["audio"], "audio": {
        "input": {"turn_detection": {"type": "server_vad", "threshold": 0.5, "interrupt_response": true}},
        "output": {"voice": "marin"}}})
}

fn ask(calls: &mut OpenAiCalls, now: Instant, verb: &str, body: &Value) -> u16 {
    let (path, body) =
        (format!("/{CALL}/{verb}"), if body.is_null() { String::new() } else { body.to_string() });
    let request = Request { method: "POST", path: &path, authorization: Some(KEY), body: &body };
    calls.request(now, &request).map_or(0, |(status, _)| status)
}

#[test]
fn a_call_is_accepted_once_and_hung_up() {
    let (mut calls, now) = fake();
    assert_eq!(ask(&mut calls, now, "accept", &session()), 200);
    assert_eq!(calls.left(), [CALL]);
    assert_eq!(calls.attach(CALL, Some(KEY), "call_id=rtc_u0_1"), Ok(()));
    assert_eq!(ask(&mut calls, now, "hangup", &Value::Null), 200);
    assert_eq!(ask(&mut calls, now, "hangup", &Value::Null), 404);
    assert!(calls.attach(CALL, Some(KEY), "").is_err());
    assert_eq!((calls.left().len(), calls.violations().len()), (0, 0), "{:?}", calls.violations());
    assert_eq!(ask(&mut calls, now, "accept", &session()), 409);
    assert_eq!(calls.violations().len(), 1);
}

#[test]
fn what_the_real_one_refuses_is_refused() {
    type Spoil = fn(&mut Value);
    let wrong: [(&str, Spoil); 7] = [
        ("format", |session| session["audio"]["input"]["format"] = json!({"type": "audio/pcmu"})),
        ("format of the output", |session| {
            session["audio"]["output"]["format"] = json!({"type": "audio/pcmu"});
        }),
        ("null", |session| session["audio"]["input"]["transcription"] = Value::Null),
        ("unknown key", |session| session["record"] = true.into()),
        ("top level", |session| session["voice"] = "marin".into()),
        ("no type", |session| session["type"] = "x".into()),
        ("threshold", |session| session["audio"]["input"]["turn_detection"]["type"] = "semantic_vad".into()),
    ];
    for (what, spoil) in wrong {
        let (mut calls, now) = fake();
        let mut session = session();
        spoil(&mut session);
        assert_eq!(ask(&mut calls, now, "accept", &session), 400, "{what}");
        assert_eq!(calls.violations().len(), 1, "{what}");
    }
}

#[test]
fn in_a_sip_call_nothing_is_appended_or_truncated() {
    let (mut calls, now) = fake();
    ask(&mut calls, now, "accept", &session());
    calls.attach(CALL, Some(KEY), "").expect("a session");
    for kind in ["input_audio_buffer.append", "conversation.item.truncate"] {
        calls.receive(now, CALL, &json!({"type": kind}).to_string());
    }
    calls.receive(now, CALL, r#"{"type":"session.update","session":{"output_modalities":["audio"]}}"#);
    assert_eq!(calls.violations().len(), 3, "{:?}", calls.violations());
}

#[test]
fn an_answer_is_heard_and_interrupted() {
    let (mut calls, now) = fake();
    ask(&mut calls, now, "accept", &session());
    calls.attach(CALL, Some(KEY), "").expect("a session");
    calls.receive(
        now,
        CALL,
        r#"{"type":"response.create","event_id":"c_1","response":{"metadata":{"cid":"c_1"}}}"#,
    );
    calls.advance(now + Duration::from_millis(200));
    calls.caller_says(now + Duration::from_millis(200), CALL, "Hola", Duration::from_secs(1));
    let mut kinds = Vec::new();
    while let Some(Frame::Text(text)) = calls.poll(CALL) {
        let event: Value = serde_json::from_str(&text).expect("JSON");
        kinds.push(event["type"].as_str().unwrap_or_default().to_owned());
    }
    for kind in [
        "output_audio_buffer.started",
        "response.done",
        "output_audio_buffer.cleared",
        "conversation.item.truncated",
    ] {
        assert!(kinds.iter().any(|known| known == kind), "{kind}: {kinds:?}");
    }
    assert!(!kinds.iter().any(|kind| kind.contains("output_audio.delta")));
}

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

/// A frame of 20 ms that is loud, or silent.
fn frame(is_loud: bool) -> [u8; 160] {
    [if is_loud { 0x90 } else { 0xff }; 160]
}

/// Lets so many frames pass both ways, and returns what the caller hears.
fn talk(calls: &mut OpenAiCalls, now: &mut Instant, frames: usize, is_loud: bool) -> Vec<u8> {
    let mut heard = Vec::new();
    for _ in 0..frames {
        calls.hear(*now, CALL, &frame(is_loud));
        *now += Duration::from_millis(20);
        calls.advance(*now);
        heard.extend(std::iter::from_fn(|| calls.take_sound(CALL)).flatten());
    }
    heard
}

fn told(calls: &mut OpenAiCalls) -> Vec<Value> {
    let frames = std::iter::from_fn(|| calls.poll(CALL));
    let texts = frames.filter_map(|frame| match frame {
        Frame::Text(text) => serde_json::from_str(&text).ok(),
        Frame::Drop => None,
    });
    texts.collect()
}

#[test]
fn sound_flows_from_the_answer_on_and_the_callers_voice_cuts_the_model_short() {
    let (mut calls, mut now) = fake();
    let sound: Arc<[u8]> = (0..16_000_u32).map(|n| (n % 97) as u8).collect();
    let says = vec![Say::Speech("Hola.".into(), Arc::clone(&sound)), Say::Words("Claro.".into())];
    let hears = vec!["Una cita.".to_owned()];
    calls.set_script(Script { says, hears, ..Script::new(b"secret", "sk-test") });
    assert_eq!(ask(&mut calls, now, "accept", &session()), 200);
    assert_eq!(calls.attach(CALL, Some(KEY), ""), Ok(()));
    assert_eq!(talk(&mut calls, &mut now, 5, true), [0; 0], "nothing flows before the answer");
    calls.answered(now, CALL);
    assert_eq!(talk(&mut calls, &mut now, 5, false), [0xff; 6 * 160], "the first frame at once");
    calls.receive(now, CALL, &json!({"type": "response.create", "response": {}}).to_string());
    let heard = talk(&mut calls, &mut now, 40, false);
    let begins = heard.iter().position(|byte| *byte != 0xff).expect("the model speaks");
    assert!(heard[begins..] == sound[..heard.len() - begins], "sample by sample");
    told(&mut calls);
    // The third loud frame is the beginning of speech.
    let rest = talk(&mut calls, &mut now, 10, true);
    let said_ms = (heard.len() - begins) / 8 + 2 * 20;
    assert_eq!(rest[320..], [0xff; 8 * 160], "the model falls silent");
    let events = told(&mut calls);
    let truncated = events.iter().find(|event| event["type"] == "conversation.item.truncated");
    assert_eq!(truncated.expect("truncated")["audio_end_ms"], said_ms);
    talk(&mut calls, &mut now, 60, false);
    let events = told(&mut calls);
    let has = |kind: &str| events.iter().any(|event| event["type"] == kind);
    assert!(has("input_audio_buffer.speech_stopped") && has("response.created"), "{events:#?}");
    let words = events.iter().find(|event| event["transcript"] == "Una cita.");
    assert!(words.is_some(), "{events:#?}");
    assert_eq!(calls.received(CALL).len(), 160 * (5 + 40 + 10 + 60));
    calls.caller_hangs_up(now, CALL);
    calls.advance(now + Duration::from_secs(1));
    assert_eq!((calls.take_sound(CALL), calls.deadline()), (None, None));
}

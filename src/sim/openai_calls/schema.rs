//! What the acceptance of a call may hold (OpenAPI: `RealtimeSessionCreateRequestGA`).

use serde_json::Value;

/// The keys of a session.
const SESSION: [&str; 13] = [
    "type",
    "model",
    "instructions",
    "audio",
    "include",
    "max_output_tokens",
    "output_modalities",
    "parallel_tool_calls",
    "prompt",
    "reasoning",
    "tool_choice",
    "tools",
    "truncation",
];
/// The keys of `audio.input`. A format is missing on purpose: SIP negotiates it.
const INPUT: [&str; 3] = ["transcription", "noise_reduction", "turn_detection"];
/// The keys of `audio.output`.
const OUTPUT: [&str; 2] = ["voice", "speed"];
/// The keys of a turn detection of each type.
const SERVER_VAD: [&str; 7] = [
    "type",
    "threshold",
    "prefix_padding_ms",
    "silence_duration_ms",
    "idle_timeout_ms",
    "create_response",
    "interrupt_response",
];
const SEMANTIC_VAD: [&str; 4] = ["type", "eagerness", "create_response", "interrupt_response"];

/// What is wrong with a body.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) code: &'static str,
    pub(super) param: String,
    pub(super) words: String,
}

fn fault(code: &'static str, param: &str) -> Fault {
    Fault { code, param: param.to_owned(), words: format!("{code} {param}") }
}

/// Judges the body of an acceptance.
pub(super) fn acceptance(body: &str) -> Result<Value, Fault> {
    let session: Value = serde_json::from_str(body).map_err(|_| fault("invalid_json", "session"))?;
    if session["type"] != "realtime" {
        return Err(fault("missing_required_parameter", "session.type"));
    }
    if !session["model"].is_string() {
        return Err(fault("missing_required_parameter", "session.model"));
    }
    no_null(&session, "session")?;
    keys(&session, "session", &SESSION)?;
    keys(&session["audio"], "session.audio", &["input", "output"])?;
    keys(&session["audio"]["input"], "session.audio.input", &INPUT)?;
    keys(&session["audio"]["output"], "session.audio.output", &OUTPUT)?;
    let turns = &session["audio"]["input"]["turn_detection"];
    let known: &[&str] = match turns["type"].as_str() {
        Some("semantic_vad") => &SEMANTIC_VAD,
        Some("server_vad") => &SERVER_VAD,
        _ if turns.is_null() => &[],
        _ => return Err(fault("invalid_value", "session.audio.input.turn_detection.type")),
    };
    keys(turns, "session.audio.input.turn_detection", known)?;
    Ok(session)
}

/// Judges the session object of an update.
pub(super) fn update(session: &Value) -> Result<(), Fault> {
    if session["type"] != "realtime" {
        return Err(fault("missing_required_parameter", "session.type"));
    }
    no_null(session, "session")?;
    keys(session, "session", &SESSION)?;
    if !session["audio"].is_null() {
        keys(&session["audio"], "session.audio", &["input", "output"])?;
        keys(&session["audio"]["input"], "session.audio.input", &INPUT)?;
        keys(&session["audio"]["output"], "session.audio.output", &["speed"])?;
    }
    Ok(())
}

/// Whether the turn detection says more than its type.
pub(super) fn has_vad_fields(session: &Value) -> bool {
    let turns = &session["audio"]["input"]["turn_detection"];
    ["threshold", "prefix_padding_ms", "silence_duration_ms", "eagerness"]
        .iter()
        .any(|key| !turns[key].is_null())
}

fn keys(object: &Value, path: &str, known: &[&str]) -> Result<(), Fault> {
    let Some(object) = object.as_object() else { return Ok(()) };
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(fault("unknown_parameter", &format!("{path}.{key}"))),
        None => Ok(()),
    }
}

fn no_null(value: &Value, path: &str) -> Result<(), Fault> {
    match value {
        Value::Null => Err(fault("invalid_type", path)),
        Value::Object(object) if !path.contains(".tools") => {
            object.iter().try_for_each(|(key, value)| no_null(value, &format!("{path}.{key}")))
        }
        _ => Ok(()),
    }
}

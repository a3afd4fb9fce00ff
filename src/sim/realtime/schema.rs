//! The documented form of everything that a client may send, as tables: realtime.md §3 and §4.1.
//!
//! The tables are written from the documentation and from nothing in the product, so that both cannot be
//! wrong in the same way. Rules that depend on the state of the session (voice lock, models, ids) are checked
//! where that state is.

use serde_json::Value;

use super::validate::{Field, Rejection, Shape, check, nul, opt, req};
use Shape::{Any, AnyObject, Bool, Int, List, Num, Object, OneOf, OneOfOr, Rule, Tagged, Text};

/// The length of a text without a documented limit.
const LONG: usize = usize::MAX;

/// Every client event with its fields.
pub(super) const CLIENT_EVENTS: &[(&str, &[Field])] = &[
    ("session.update", &[EVENT_ID, req("session", AnyObject)]),
    ("session.close", &[EVENT_ID]),
    ("input_audio_buffer.append", &[EVENT_ID, opt("audio", Any)]),
    ("input_audio_buffer.commit", &[EVENT_ID]),
    ("input_audio_buffer.clear", &[EVENT_ID]),
    ("conversation.item.create", &[EVENT_ID, req("item", Any), nul("previous_item_id", Text(LONG))]),
    (
        "conversation.item.truncate",
        &[
            EVENT_ID,
            req("item_id", Text(LONG)),
            req("content_index", Int(0, i64::MAX)),
            req("audio_end_ms", Int(0, i64::MAX)),
        ],
    ),
    ("conversation.item.delete", &[EVENT_ID, req("item_id", Text(LONG))]),
    ("conversation.item.retrieve", &[EVENT_ID, req("item_id", Text(LONG))]),
    ("response.create", &[EVENT_ID, nul("response", Any)]),
    ("response.cancel", &[EVENT_ID, nul("response_id", Text(LONG))]),
    ("output_audio_buffer.clear", &[EVENT_ID]),
];

const EVENT_ID: Field = nul("event_id", Text(512));

/// The `session` of a GA `session.update`: these keys and no other (§3.1).
pub(super) const GA_SESSION: Shape = Tagged(&[(
    "realtime",
    &[
        opt("model", Text(LONG)),
        opt("instructions", Text(LONG)),
        opt("output_modalities", Rule(ga_modalities)),
        opt("audio", Object(&[opt("input", Object(GA_INPUT)), opt("output", Object(GA_OUTPUT))])),
        opt("tools", List(&TOOL)),
        opt("tool_choice", TOOL_CHOICE),
        opt("parallel_tool_calls", Bool),
        nul("reasoning", Object(&[opt("effort", OneOf(EFFORTS))])),
        opt("max_output_tokens", MAX_TOKENS),
        opt("truncation", OneOfOr(&["auto", "disabled"], &TRUNCATION)),
        nul("tracing", TRACING),
        nul("include", List(&OneOf(&["item.input_audio_transcription.logprobs"]))),
        nul("prompt", PROMPT),
    ],
)]);

const GA_INPUT: &[Field] = &[
    opt("format", GA_FORMAT),
    nul("transcription", Object(GA_TRANSCRIPTION)),
    nul("noise_reduction", Object(&[req("type", OneOf(FIELDS)), opt("strength", Num(0.0, 1.0))])),
    nul("turn_detection", TURN_DETECTION),
];

const GA_OUTPUT: &[Field] =
    &[opt("format", GA_FORMAT), opt("voice", OneOfOr(GA_VOICES, &CUSTOM_VOICE)), opt("speed", SPEED)];

const GA_FORMAT: Shape =
    Tagged(&[("audio/pcm", &[req("rate", Rule(pcm_rate))]), ("audio/pcmu", &[]), ("audio/pcma", &[])]);

const GA_TRANSCRIPTION: &[Field] = &[
    opt("model", OneOf(TRANSCRIBERS)),
    opt("language", Text(LONG)),
    opt("languages", List(&Text(LONG))),
    opt("keywords", List(&Text(LONG))),
    opt("prompt", Text(LONG)),
    opt("delay", OneOf(EFFORTS)),
];

const TURN_DETECTION: Shape = Tagged(&[
    (
        "server_vad",
        &[
            opt("threshold", Num(0.0, 1.0)),
            opt("prefix_padding_ms", Int(0, i64::MAX)),
            opt("silence_duration_ms", Int(0, i64::MAX)),
            nul("idle_timeout_ms", Int(5_000, 30_000)),
            opt("create_response", Bool),
            opt("interrupt_response", Bool),
        ],
    ),
    (
        "semantic_vad",
        &[
            opt("eagerness", OneOf(&["low", "medium", "high", "auto"])),
            opt("create_response", Bool),
            opt("interrupt_response", Bool),
        ],
    ),
]);

const TOOL: Shape = Tagged(&[
    (
        "function",
        &[req("name", Rule(tool_name)), opt("description", Text(LONG)), opt("parameters", AnyObject)],
    ),
    (
        "mcp",
        &[
            req("server_label", Text(LONG)),
            opt("server_url", Text(LONG)),
            opt("tunnel_id", Text(LONG)),
            opt("connector_id", Text(LONG)),
            opt("authorization", Text(LONG)),
            nul("headers", AnyObject),
            nul("allowed_tools", Any),
            nul("require_approval", OneOfOr(&["never", "always"], &AnyObject)),
            opt("server_description", Text(LONG)),
            opt("defer_loading", Bool),
        ],
    ),
]);

const TOOL_CHOICE: Shape = OneOfOr(
    &["none", "auto", "required"],
    &Tagged(&[
        ("function", &[req("name", Text(LONG))]),
        ("mcp", &[req("server_label", Text(LONG)), opt("name", Text(LONG))]),
    ]),
);

const TRUNCATION: Shape = Tagged(&[(
    "retention_ratio",
    &[
        req("retention_ratio", Num(0.0, 1.0)),
        opt("token_limits", Object(&[opt("post_instructions", Int(0, i64::MAX))])),
    ],
)]);

const TRACING: Shape = OneOfOr(
    &["auto"],
    &Object(&[opt("workflow_name", Text(LONG)), opt("group_id", Text(LONG)), opt("metadata", AnyObject)]),
);

const PROMPT: Shape =
    Object(&[req("id", Text(LONG)), nul("version", Text(LONG)), nul("variables", AnyObject)]);
const CUSTOM_VOICE: Shape = Object(&[req("id", Text(LONG))]);
const MAX_TOKENS: Shape = OneOfOr(&["inf"], &Int(1, 4_096));
const SPEED: Shape = Num(0.25, 1.5);
const EFFORTS: &[&str] = &["minimal", "low", "medium", "high", "xhigh"];
const FIELDS: &[&str] = &["near_field", "far_field"];
const GA_VOICES: &[&str] =
    &["alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar"];
const BETA_VOICES: &[&str] = &["alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse"];
const BETA_FORMATS: &[&str] = &["pcm16", "g711_ulaw", "g711_alaw"];
const TRANSCRIBERS: &[&str] = &[
    "gpt-transcribe",
    "gpt-live-transcribe",
    "gpt-realtime-whisper",
    "whisper-1",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-mini-transcribe-2025-12-15",
    "gpt-4o-transcribe-diarize",
];

/// What a `transcription` says to a model that takes something else (§3.4). The documentation lists which model takes what, and not
/// what the server answers otherwise.
pub(super) fn strange_words(transcription: &Value) -> impl Iterator<Item = &'static str> {
    let model = transcription["model"].as_str().unwrap_or_default();
    let takes_languages = matches!(model, "gpt-transcribe" | "gpt-live-transcribe");
    let takes_prompt = model != "gpt-realtime-whisper" && model != "gpt-4o-transcribe-diarize";
    let says = |key: &str| transcription.get(key).is_some();
    let complaints = [
        (
            takes_languages && says("language"),
            "transcription.language for a model that takes languages (§3.4)",
        ),
        (
            !takes_languages && says("languages"),
            "transcription.languages for a model that takes language (§3.4)",
        ),
        (!takes_languages && says("keywords"), "transcription.keywords for a model without keywords (§3.4)"),
        (!takes_prompt && says("prompt"), "transcription.prompt for a model without a prompt (§3.4)"),
    ];
    complaints.into_iter().filter(|(is_strange, _)| *is_strange).map(|(_, complaint)| complaint)
}

/// The `session` of a beta `session.update`: flat, without `type` (§3.6).
pub(super) const BETA_SESSION: Shape = Object(&[
    opt("model", Text(LONG)),
    opt("instructions", Text(LONG)),
    opt("modalities", Rule(beta_modalities)),
    opt("voice", OneOf(BETA_VOICES)),
    opt("speed", SPEED),
    opt("input_audio_format", OneOf(BETA_FORMATS)),
    opt("output_audio_format", OneOf(BETA_FORMATS)),
    nul(
        "input_audio_transcription",
        Object(&[opt("model", Text(LONG)), opt("language", Text(LONG)), opt("prompt", Text(LONG))]),
    ),
    nul("input_audio_noise_reduction", Object(&[req("type", OneOf(FIELDS))])),
    nul("turn_detection", TURN_DETECTION),
    opt("tools", List(&TOOL)),
    opt("tool_choice", TOOL_CHOICE),
    opt("temperature", Num(0.6, 1.2)),
    opt("max_response_output_tokens", MAX_TOKENS),
    nul("tracing", TRACING),
    nul("include", List(&Text(LONG))),
    nul("prompt", PROMPT),
]);

/// The `response` of a GA `response.create`.
pub(super) const GA_RESPONSE: Shape = Object(&[
    opt("output_modalities", Rule(ga_modalities)),
    opt("instructions", Text(LONG)),
    opt(
        "audio",
        Object(&[opt(
            "output",
            Object(&[opt("format", GA_FORMAT), opt("voice", OneOfOr(GA_VOICES, &CUSTOM_VOICE))]),
        )]),
    ),
    opt("tools", List(&TOOL)),
    opt("tool_choice", TOOL_CHOICE),
    opt("parallel_tool_calls", Bool),
    nul("reasoning", Object(&[opt("effort", OneOf(EFFORTS))])),
    opt("max_output_tokens", MAX_TOKENS),
    opt("conversation", OneOf(&["auto", "none"])),
    nul("metadata", Rule(metadata)),
    opt("input", List(&Rule(ga_input_item))),
    nul("prompt", PROMPT),
]);

/// The `response` of a beta `response.create`.
pub(super) const BETA_RESPONSE: Shape = Object(&[
    opt("modalities", Rule(beta_modalities)),
    opt("instructions", Text(LONG)),
    opt("voice", OneOf(BETA_VOICES)),
    opt("output_audio_format", OneOf(BETA_FORMATS)),
    opt("tools", List(&TOOL)),
    opt("tool_choice", TOOL_CHOICE),
    opt("temperature", Num(0.6, 1.2)),
    opt("max_response_output_tokens", MAX_TOKENS),
    opt("conversation", OneOf(&["auto", "none"])),
    nul("metadata", Rule(metadata)),
    opt("input", List(&Rule(beta_input_item))),
]);

const ITEM: Shape = Tagged(&[
    (
        "message",
        &[
            ITEM_ID,
            OBJECT,
            STATUS,
            req("role", OneOf(&["user", "assistant", "system"])),
            req("content", List(&AnyObject)),
        ],
    ),
    (
        "function_call",
        &[
            ITEM_ID,
            OBJECT,
            STATUS,
            opt("call_id", Text(LONG)),
            req("name", Text(LONG)),
            req("arguments", Text(LONG)),
        ],
    ),
    (
        "function_call_output",
        &[ITEM_ID, OBJECT, STATUS, req("call_id", Text(LONG)), req("output", Text(LONG))],
    ),
]);

const ITEM_ID: Field = opt("id", Text(32));
const OBJECT: Field = opt("object", OneOf(&["realtime.item"]));
const STATUS: Field = opt("status", OneOf(&["completed", "incomplete", "in_progress"]));

const ITEM_REFERENCE: Shape = Tagged(&[("item_reference", &[req("id", Text(LONG))])]);

const USER_CONTENT: Shape = Tagged(&[
    ("input_text", &[req("text", Text(LONG))]),
    ("input_audio", &[req("audio", Text(LONG)), nul("transcript", Text(LONG))]),
    ("input_image", &[req("image_url", Text(LONG)), opt("detail", OneOf(&["auto", "low", "high"]))]),
]);
const SYSTEM_CONTENT: Shape = Tagged(&[("input_text", &[req("text", Text(LONG))])]);
const GA_ASSISTANT_CONTENT: Shape = Tagged(&[("output_text", &[req("text", Text(LONG))])]);
const BETA_ASSISTANT_CONTENT: Shape = Tagged(&[("text", &[req("text", Text(LONG))])]);

/// Checks the `item` of a `conversation.item.create`. The type of its content must suit its role (33).
pub(super) fn check_item(item: &Value, path: &str, beta: bool) -> Result<(), Rejection> {
    check(&ITEM, item, path)?;
    let content = match item.get("role").and_then(Value::as_str) {
        Some("user") => &USER_CONTENT,
        Some("system") => &SYSTEM_CONTENT,
        Some("assistant") if beta => &BETA_ASSISTANT_CONTENT,
        Some("assistant") => &GA_ASSISTANT_CONTENT,
        _ => return Ok(()),
    };
    let parts = item.get("content").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    parts.iter().enumerate().try_for_each(|(n, part)| check(content, part, &format!("{path}.content[{n}]")))
}

fn ga_input_item(value: &Value, path: &str) -> Result<(), Rejection> {
    input_item(value, path, false)
}

fn beta_input_item(value: &Value, path: &str) -> Result<(), Rejection> {
    input_item(value, path, true)
}

/// Checks an item of `response.input`: a whole item, or a reference to one of the conversation.
fn input_item(value: &Value, path: &str, beta: bool) -> Result<(), Rejection> {
    if value.get("type").and_then(Value::as_str) == Some("item_reference") {
        return check(&ITEM_REFERENCE, value, path);
    }
    check_item(value, path, beta)
}

/// Exactly one of the two modalities is allowed (11).
fn ga_modalities(value: &Value, path: &str) -> Result<(), Rejection> {
    check(&List(&OneOf(&["text", "audio"])), value, path)?;
    if value.as_array().is_some_and(|list| list.len() == 1) {
        return Ok(());
    }
    let message = format!("Invalid modalities: {value}. Supported combinations are: ['text'] and ['audio'].");
    Err(Rejection::new("invalid_value", message, Some(path)))
}

fn beta_modalities(value: &Value, path: &str) -> Result<(), Rejection> {
    check(&List(&OneOf(&["text", "audio"])), value, path)?;
    let words: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if words == ["text"] || (words.len() == 2 && words.contains(&"text") && words.contains(&"audio")) {
        return Ok(());
    }
    let message =
        format!("Invalid modalities: {value}. Supported combinations are: ['text'] and ['audio', 'text'].");
    Err(Rejection::new("invalid_value", message, Some(path)))
}

/// The live server requires 24 000 and reports a violation in two ways (10).
fn pcm_rate(value: &Value, path: &str) -> Result<(), Rejection> {
    check(&Int(24_000, i64::MAX), value, path)?;
    if value.as_i64() == Some(24_000) {
        Ok(())
    } else {
        Err(Rejection::value(path, &value.to_string(), &["24000"]))
    }
}

fn tool_name(value: &Value, path: &str) -> Result<(), Rejection> {
    check(&Text(64), value, path)?;
    let name = value.as_str().unwrap_or_default();
    if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        return Ok(());
    }
    let message = format!(
        "Invalid '{path}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
    );
    Err(Rejection::new("invalid_value", message, Some(path)))
}

/// At most 16 pairs, with keys of 64 and values of 512 characters (§8).
fn metadata(value: &Value, path: &str) -> Result<(), Rejection> {
    check(&AnyObject, value, path)?;
    let pairs = value.as_object().into_iter().flatten();
    if pairs.clone().count() > 16 {
        let message =
            format!("Invalid '{path}': too many properties. Expected an object with at most 16 properties.");
        return Err(Rejection::new("object_above_max_properties", message, Some(path)));
    }
    for (key, value) in pairs {
        if key.chars().count() > 64 {
            let message =
                format!("Invalid '{path}': property name too long. Expected at most 64 characters.");
            return Err(Rejection::new("string_above_max_length", message, Some(path)));
        }
        check(&Text(512), value, &format!("{path}.{key}"))?;
    }
    Ok(())
}

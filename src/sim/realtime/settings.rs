//! The session object: its defaults, how an update is validated and merged, and the settings on which the
//! fake acts.
//!
//! The object is kept as JSON in the form of the dialect, because that form is echoed. An update is validated
//! as a whole before any part of it is applied.

use serde_json::{Map, Value, json};

use super::codec::Codec;
use super::schema;
use super::script::Dialect;
use super::validate::{Rejection, check};

/// The current session.
#[derive(Debug)]
pub(super) struct Settings {
    session: Value,
    beta: bool,
    /// The input format, which every append needs, kept beside the JSON.
    input: Codec,
    turns: Option<TurnDetection>,
}

/// The `turn_detection` object when turn detection is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TurnDetection {
    pub(super) prefix_ms: u64,
    pub(super) silence_ms: u64,
    pub(super) idle_timeout_ms: Option<u64>,
    pub(super) create_response: bool,
    pub(super) interrupt_response: bool,
}

impl Settings {
    /// The defaults of a new session: PCM, and a VAD that starts responses.
    pub(super) fn new(dialect: Dialect, id: &str, model: &str, expires_at: u64) -> Self {
        let beta = dialect.is_beta();
        let common = json!({
            "object": "realtime.session", "id": id, "model": model, "expires_at": expires_at,
            "instructions": "You are a helpful AI.", "tools": [], "tool_choice": "auto",
            "tracing": null, "prompt": null, "include": null,
        });
        let vad = full_turn_detection(json!({"type": "server_vad"}));
        let own = if beta {
            json!({
                "modalities": ["audio", "text"], "voice": "alloy", "speed": 1.0, "temperature": 0.8,
                "input_audio_format": "pcm16", "output_audio_format": "pcm16",
                "input_audio_transcription": null, "input_audio_noise_reduction": null,
                "turn_detection": vad, "max_response_output_tokens": "inf",
            })
        } else {
            let pcm = json!({"type": "audio/pcm", "rate": 24_000});
            json!({
                "type": "realtime", "output_modalities": ["audio"], "max_output_tokens": "inf", "truncation": "auto",
                "audio": {
                    "input": {"format": pcm, "transcription": null, "noise_reduction": null, "turn_detection": vad},
                    "output": {"format": pcm, "voice": "marin", "speed": 1.0},
                },
            })
        };
        let mut session = common;
        merge(&mut session, own);
        let mut settings = Self { session, beta, input: Codec::Pcm, turns: None };
        settings.refresh();
        settings
    }

    fn refresh(&mut self) {
        self.input = Codec::named(self.at("/audio/input/format/type", "/input_audio_format"));
        self.turns = self.read_turn_detection();
    }

    /// Validates an update without applying it (8–16).
    pub(super) fn judge(&self, update: &Value, voice_is_set: bool) -> Result<(), Rejection> {
        check(if self.beta { &schema::BETA_SESSION } else { &schema::GA_SESSION }, update, "session")?;
        if update.get("model").is_some_and(|model| *model != self.session["model"]) {
            let message = "The model of a session cannot be changed.";
            return Err(Rejection::new("invalid_value", message, Some("session.model")));
        }
        if voice_is_set && self.voice_of(update).is_some_and(|voice| *voice != *self.voice()) {
            let message = "Cannot update a conversation's voice if assistant audio is present.";
            return Err(Rejection::new("cannot_update_voice", message, None));
        }
        let reasons = self.session["model"].as_str().is_some_and(|model| model.starts_with("gpt-realtime-2"));
        for key in ["reasoning", "parallel_tool_calls"] {
            if !reasons && update.get(key).is_some() {
                let param = Some(format!("session.{key}"));
                return Err(Rejection {
                    code: None,
                    message: format!("Unsupported option for this model: '{key}'."),
                    param,
                });
            }
        }
        Ok(())
    }

    /// Applies a validated update.
    pub(super) fn apply(&mut self, mut update: Value) {
        let path = if self.beta { "/turn_detection" } else { "/audio/input/turn_detection" };
        if let Some(vad) = update.pointer_mut(path).filter(|vad| !vad.is_null()) {
            *vad = full_turn_detection(vad.take());
        }
        merge(&mut self.session, update);
        self.refresh();
    }

    /// Sets both formats to PCM, whatever was requested.
    pub(super) fn force_pcm(&mut self) {
        let formats = if self.beta {
            json!({"input_audio_format": "pcm16", "output_audio_format": "pcm16"})
        } else {
            let pcm = json!({"type": "audio/pcm", "rate": 24_000});
            json!({"audio": {"input": {"format": pcm}, "output": {"format": pcm}}})
        };
        merge(&mut self.session, formats);
        self.refresh();
    }

    /// The whole session, as `session.created` and `session.updated` show it.
    pub(super) fn echo(&self) -> &Value {
        &self.session
    }

    /// The voice that an update names. None: it names none.
    pub(super) fn voice_of<'a>(&self, update: &'a Value) -> Option<&'a Value> {
        if self.beta { update.get("voice") } else { update.pointer("/audio/output/voice") }
    }

    pub(super) fn voice(&self) -> &Value {
        self.voice_of(&self.session).unwrap_or(&Value::Null)
    }

    pub(super) fn input(&self) -> Codec {
        self.input
    }

    pub(super) fn output(&self) -> Codec {
        Codec::named(self.output_format())
    }

    fn output_format(&self) -> &Value {
        self.at("/audio/output/format/type", "/output_audio_format")
    }

    /// The output format, as a response object shows it.
    pub(super) fn output_format_echo(&self) -> &Value {
        self.at("/audio/output/format", "/output_audio_format")
    }

    pub(super) fn modalities(&self) -> &Value {
        self.at("/output_modalities", "/modalities")
    }

    pub(super) fn max_output_tokens(&self) -> &Value {
        self.at("/max_output_tokens", "/max_response_output_tokens")
    }

    pub(super) fn tools(&self) -> &Value {
        self.at("/tools", "/tools")
    }

    pub(super) fn tool_choice(&self) -> &Value {
        self.at("/tool_choice", "/tool_choice")
    }

    pub(super) fn instructions(&self) -> &str {
        self.session["instructions"].as_str().unwrap_or_default()
    }

    /// The transcription model. None: transcription is off.
    pub(super) fn transcriber(&self) -> Option<&str> {
        let transcription = self.at("/audio/input/transcription", "/input_audio_transcription");
        transcription.is_object().then(|| transcription["model"].as_str().unwrap_or("whisper-1"))
    }

    /// The first language that the client gave, for the `languages` of the transcript.
    pub(super) fn language(&self) -> &str {
        let transcription = self.at("/audio/input/transcription", "/input_audio_transcription");
        transcription["languages"][0].as_str().or_else(|| transcription["language"].as_str()).unwrap_or("es")
    }

    pub(super) fn turn_detection(&self) -> Option<TurnDetection> {
        self.turns
    }

    fn read_turn_detection(&self) -> Option<TurnDetection> {
        let vad = self.at("/audio/input/turn_detection", "/turn_detection");
        vad.is_object().then(|| TurnDetection {
            prefix_ms: vad["prefix_padding_ms"].as_u64().unwrap_or(300),
            silence_ms: vad["silence_duration_ms"].as_u64().unwrap_or(500),
            idle_timeout_ms: vad["idle_timeout_ms"].as_u64(),
            create_response: vad["create_response"].as_bool().unwrap_or(true),
            interrupt_response: vad["interrupt_response"].as_bool().unwrap_or(true),
        })
    }

    fn at(&self, ga: &str, beta: &str) -> &Value {
        self.session.pointer(if self.beta { beta } else { ga }).unwrap_or(&Value::Null)
    }
}

/// Adds the defaults that a `turn_detection` leaves out. The live default of `silence_duration_ms` is 200
/// (§3.1).
fn full_turn_detection(given: Value) -> Value {
    let mut full = if given["type"] == "semantic_vad" {
        json!({"eagerness": "auto", "create_response": true, "interrupt_response": true})
    } else {
        json!({
            "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200, "idle_timeout_ms": null,
            "create_response": true, "interrupt_response": true,
        })
    };
    merge(&mut full, given);
    full
}

/// Replaces the fields that are present. Only the groups (`audio`, `input`, `output`) are merged; a value
/// such as `turn_detection` or `format` replaces the old value completely.
fn merge(into: &mut Value, from: Value) {
    let (Value::Object(into), Value::Object(from)) = (into, from) else { return };
    for (key, value) in from {
        let is_group = matches!(key.as_str(), "audio" | "input" | "output") && value.is_object();
        if is_group {
            merge(into.entry(key).or_insert_with(|| Value::Object(Map::new())), value);
        } else {
            into.insert(key, value);
        }
    }
}

//! The settings of a session, written as the nested object of the GA interface or as the flat object of the
//! beta interface.
//!
//! [`Differences`] compares the session object that the server returns with the requested one. If the server
//! rejects or ignores a `session.update`, the session stays at 24 kHz PCM, which a telephone plays as noise.

use std::sync::Arc;

use serde_json::{Map, Value, json};

/// The interface that the server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// The interface of 2025-08 and later. The `OpenAI-Beta` header is not sent.
    #[default]
    Ga,
    /// The interface that OpenAI switched off in 2026-05. Some compatible servers still speak the beta
    /// interface.
    Beta,
}

/// How the server decides that the caller's turn is over (`turn_detection`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TurnDetection {
    /// `server_vad`: the server decides by loudness.
    Server {
        /// The threshold, 0–1. A larger value requires a louder voice; a smaller value takes noise for a
        /// voice more often.
        threshold: f64,
        /// The length of the audio before the start of the voice that belongs to the turn, in milliseconds.
        prefix_padding_ms: u32,
        /// The length of the silence that ends a turn, in milliseconds. A larger value cuts callers off less
        /// often and makes the answers slower; a smaller value does the opposite.
        silence_ms: u32,
    },
    /// `semantic_vad`: the server decides by the meaning of the words.
    Semantic {
        /// How soon the model takes the turn.
        eagerness: Eagerness,
    },
}

/// `turn_detection.eagerness`: how soon the server takes the caller's turn for finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eagerness {
    /// The server waits up to 8 s.
    Low,
    /// The server waits up to 4 s.
    Medium,
    /// The server waits up to 2 s.
    High,
    /// The server chooses, which is the same as medium.
    Auto,
}

/// `input.transcription`: the server transcribes what the caller says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcription {
    /// The model that transcribes, for example `gpt-transcribe`.
    pub model: String,
    /// The caller's language as an ISO 639-1 code. None: the server detects the language.
    pub language: Option<String>,
    /// The key under which this transcription model expects the language.
    pub language_key: LanguageKey,
    /// Names and words that the caller may say (`keywords`). Empty: the field is not sent.
    pub keywords: Vec<String>,
    /// What the conversation is about (`prompt`). None: the field is not sent.
    pub prompt: Option<String>,
}

/// `truncation`: what the model forgets when the conversation grows long. The server's default (`auto`) forgets only what no
/// longer fits, so that a long call costs more with each turn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Truncation {
    /// Nothing: an answer fails when the conversation no longer fits.
    Disabled,
    /// `retention_ratio`: so much at once that later turns are cached again.
    RetentionRatio {
        /// The part of the conversation that stays, 0–1. A larger value forgets less and more often.
        ratio: f64,
        /// The tokens after the instructions from which the model forgets (`token_limits.post_instructions`). A larger value
        /// remembers more and costs more. None: the model's own limit.
        post_instructions: Option<u32>,
    },
}

/// The key under which a transcription model expects the caller's language. The server refuses all settings
/// if the key is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LanguageKey {
    /// `"language":"es"`: older models, other servers and the beta interface.
    Language,
    /// `"languages":["es"]`: newer models of OpenAI.
    Languages,
}

/// `reasoning.effort`: how long a reasoning model thinks before it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasoningEffort {
    /// The shortest delay.
    Minimal,
    /// The default of OpenAI.
    Low,
    /// A delay between low and high.
    Medium,
    /// A long delay.
    High,
    /// The longest delay.
    Xhigh,
}

/// `input.noise_reduction`: the kind of microphone for which the server reduces noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoiseReduction {
    /// `near_field`: a handset or a headset.
    NearField,
    /// `far_field`: a speakerphone.
    FarField,
}

/// A function that the model may call (an element of `tools`).
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// The name of the function.
    pub name: Arc<str>,
    /// A description for the model: what the function does and when to call the function.
    pub description: String,
    /// The JSON Schema of the arguments.
    pub parameters: Value,
}

/// Whether this is the id of a custom voice, which the GA interface expects as an object.
pub fn is_custom_voice(voice: &str) -> bool {
    voice.starts_with("voice_")
}

/// All settings of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionSettings {
    /// The interface in which the settings are written.
    pub dialect: Dialect,
    /// The system prompt.
    pub instructions: Arc<str>,
    /// The name of a voice, or the id of a custom voice. The voice cannot change once the model has spoken.
    pub voice: String,
    /// How the caller's words are transcribed. None: they are not transcribed.
    pub transcription: Option<Transcription>,
    /// How the end of the caller's turn is detected.
    pub turn_detection: TurnDetection,
    /// Whether the server stops the answer when the caller speaks (`interrupt_response`).
    pub interrupt: bool,
    /// The noise reduction. None: the noise reduction is off.
    pub noise_reduction: Option<NoiseReduction>,
    /// The speed of the voice, 0.25–1.5.
    pub speed: f64,
    /// The reasoning effort, which only reasoning models accept. None: the field is not sent.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// The largest number of output tokens of an answer. None: the field is not sent, and the server has no
    /// limit.
    pub max_output_tokens: Option<u32>,
    /// What the model forgets. None: the field is not sent, and the server decides (`auto`).
    pub truncation: Option<Truncation>,
    /// Whether one answer may call several functions, which only reasoning models accept. None: the field is not sent.
    pub parallel_tool_calls: Option<bool>,
    /// The functions that the model may call.
    pub tools: Vec<Tool>,
}

impl SessionSettings {
    /// The `session` object of `session.update`. If `interrupt` is false, an answer continues while the
    /// caller speaks.
    pub fn session(&self, interrupt: bool) -> Value {
        match self.dialect {
            Dialect::Ga => self.ga(interrupt),
            Dialect::Beta => self.beta(interrupt),
        }
    }

    /// The `session` object of an update that changes only whether the caller may interrupt an answer.
    pub fn interruption(&self, interrupt: bool) -> Value {
        let turns = self.turn_detection(interrupt);
        match self.dialect {
            Dialect::Ga => json!({"type": "realtime", "audio": {"input": {"turn_detection": turns}}}),
            Dialect::Beta => json!({"turn_detection": turns}),
        }
    }

    /// The settings for the GA interface.
    pub(super) fn ga(&self, interrupt: bool) -> Value {
        let mut input =
            json!({"format": {"type": "audio/pcmu"}, "turn_detection": self.turn_detection(interrupt)});
        set(&mut input, "transcription", self.transcription.as_ref().map(Transcription::json));
        set(&mut input, "noise_reduction", self.noise_reduction.map(NoiseReduction::json));
        let voice = if is_custom_voice(&self.voice) { json!({"id": self.voice}) } else { json!(self.voice) };
        let mut session = json!({
            "type": "realtime",
            "instructions": &*self.instructions,
            "output_modalities": ["audio"],
            "audio": {
                "input": input,
                "output": {"format": {"type": "audio/pcmu"}, "voice": voice, "speed": self.speed},
            },
        });
        set(&mut session, "reasoning", self.reasoning_effort.map(|effort| json!({"effort": effort.word()})));
        set(&mut session, "max_output_tokens", self.max_output_tokens.map(Value::from));
        set(&mut session, "truncation", self.truncation.map(Truncation::json));
        set(&mut session, "parallel_tool_calls", self.parallel_tool_calls.map(Value::from));
        set(&mut session, "tools", self.tools_json());
        session
    }

    fn beta(&self, interrupt: bool) -> Value {
        let mut session = json!({
            "instructions": &*self.instructions,
            "modalities": ["audio", "text"],
            "voice": self.voice,
            "input_audio_format": "g711_ulaw",
            "output_audio_format": "g711_ulaw",
            "turn_detection": self.turn_detection(interrupt),
            "speed": self.speed,
        });
        set(&mut session, "input_audio_transcription", self.transcription.as_ref().map(Transcription::json));
        set(&mut session, "input_audio_noise_reduction", self.noise_reduction.map(NoiseReduction::json));
        set(&mut session, "max_response_output_tokens", self.max_output_tokens.map(Value::from));
        set(&mut session, "tools", self.tools_json());
        session
    }

    /// The functions, which both interfaces write in the same way. None: there are no functions.
    fn tools_json(&self) -> Option<Value> {
        let json = |tool: &Tool| {
            json!({"type": "function", "name": &*tool.name, "description": tool.description,
                   "parameters": tool.parameters})
        };
        (!self.tools.is_empty()).then(|| self.tools.iter().map(json).collect())
    }

    fn turn_detection(&self, interrupt: bool) -> Value {
        match self.turn_detection {
            TurnDetection::Server { threshold, prefix_padding_ms, silence_ms } => json!({
                "type": "server_vad", "threshold": threshold, "prefix_padding_ms": prefix_padding_ms,
                "silence_duration_ms": silence_ms, "create_response": true, "interrupt_response": interrupt,
            }),
            TurnDetection::Semantic { eagerness } => json!({
                "type": "semantic_vad", "eagerness": eagerness.word(),
                "create_response": true, "interrupt_response": interrupt,
            }),
        }
    }
}

impl Eagerness {
    /// The word that the API uses for this value.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Auto => "auto",
        }
    }
}

impl NoiseReduction {
    /// The word that the API uses for this value.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NearField => "near_field",
            Self::FarField => "far_field",
        }
    }

    fn json(self) -> Value {
        json!({"type": self.word()})
    }
}

impl ReasoningEffort {
    /// The word that the API uses for this value.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
        }
    }
}

impl Transcription {
    fn json(&self) -> Value {
        let mut object = json!({"model": self.model});
        let language = self.language.as_deref();
        match self.language_key {
            LanguageKey::Language => set(&mut object, "language", language.map(Value::from)),
            LanguageKey::Languages => set(&mut object, "languages", language.map(|code| json!([code]))),
        }
        set(&mut object, "keywords", (!self.keywords.is_empty()).then(|| json!(self.keywords)));
        set(&mut object, "prompt", self.prompt.as_deref().map(Value::from));
        object
    }
}

impl Truncation {
    fn json(self) -> Value {
        match self {
            Self::Disabled => json!("disabled"),
            Self::RetentionRatio { ratio, post_instructions } => {
                let mut object = json!({"type": "retention_ratio", "retention_ratio": ratio});
                let limits = post_instructions.map(|tokens| json!({"post_instructions": tokens}));
                set(&mut object, "token_limits", limits);
                object
            }
        }
    }
}

fn set(object: &mut Value, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        object[key] = value;
    }
}

/// The differences between the session that the server returned and the requested one, as dotted paths.
///
/// A key that the server does not return is not a difference, because compatible servers return fewer keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// The audio formats that differ. With another format the caller would hear noise.
    pub formats: Vec<String>,
    /// The paths of all other differences.
    pub others: Vec<String>,
}

impl Differences {
    /// Compares the requested session object with the one that the server returned.
    pub fn between(asked: &Value, echoed: &Value) -> Self {
        let mut differences = Self::default();
        differences.compare("", asked, echoed);
        differences
    }

    fn compare(&mut self, path: &str, asked: &Value, echoed: &Value) {
        match (asked, echoed) {
            (Value::Object(asked), Value::Object(echoed)) => self.compare_keys(path, asked, echoed),
            // A server may add default values to an element, for example `strict`.
            (Value::Array(asked), Value::Array(echoed)) if asked.len() == echoed.len() => {
                for (index, (asked, echoed)) in asked.iter().zip(echoed).enumerate() {
                    self.compare(&format!("{path}[{index}]"), asked, echoed);
                }
            }
            (Value::Number(asked), Value::Number(echoed))
                if asked.as_f64().zip(echoed.as_f64()).is_some_and(|(a, b)| (a - b).abs() < 1e-6) => {}
            _ if asked == echoed => {}
            _ if path.contains("format") => self.formats.push(path.to_owned()),
            _ => self.others.push(path.to_owned()),
        }
    }

    fn compare_keys(&mut self, path: &str, asked: &Map<String, Value>, echoed: &Map<String, Value>) {
        for (key, value) in asked {
            if let Some(echo) = echoed.get(key) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                self.compare(&path, value, echo);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(dialect: Dialect) -> SessionSettings {
        SessionSettings {
            dialect,
            instructions: "Be brief.".into(),
            voice: "marin".into(),
            transcription: Some(Transcription {
                model: "gpt-transcribe".into(),
                language: Some("es".into()),
                language_key: LanguageKey::Languages,
                keywords: Vec::new(),
                prompt: None,
            }),
            turn_detection: TurnDetection::Server { threshold: 0.5, prefix_padding_ms: 300, silence_ms: 500 },
            interrupt: true,
            noise_reduction: None,
            speed: 1.0,
            reasoning_effort: None,
            max_output_tokens: None,
            truncation: None,
            parallel_tool_calls: None,
            tools: vec![Tool {
                name: "f".into(),
                description: "Does.".into(),
                parameters: json!({"type": "object"}),
            }],
        }
    }

    #[test]
    fn an_echo_in_another_format_is_noise_and_other_differences_are_not() {
        let asked = settings(Dialect::Ga).session(true);
        let mut echoed = asked.clone();
        echoed["id"] = "sess_1".into();
        echoed["audio"]["output"]["speed"] = 1.into();
        echoed["tools"][0]["strict"] = false.into();
        assert_eq!(Differences::between(&asked, &echoed), Differences::default());
        echoed["audio"]["output"]["format"] = json!({"type": "audio/pcm", "rate": 24_000});
        echoed["audio"]["output"]["voice"] = "alloy".into();
        let differences = Differences::between(&asked, &echoed);
        assert_eq!(differences.formats, ["audio.output.format.type"]);
        assert_eq!(differences.others, ["audio.output.voice"]);
        assert_eq!(Differences::between(&asked, &json!({"id": "sess_1"})), Differences::default());
    }

    #[test]
    fn what_is_forgotten_and_the_words_to_expect_have_the_documented_shapes() {
        let mut asked = settings(Dialect::Ga);
        let session = asked.session(true);
        assert!(session.get("truncation").is_none() && session.get("parallel_tool_calls").is_none());
        assert_eq!(
            session["audio"]["input"]["transcription"],
            json!({"model": "gpt-transcribe", "languages": ["es"]})
        );
        asked.truncation = Some(Truncation::RetentionRatio { ratio: 0.8, post_instructions: Some(8_000) });
        asked.parallel_tool_calls = Some(false);
        let transcription = asked.transcription.as_mut().expect("a transcription");
        transcription.keywords = vec!["Sol".into(), "ortodoncia".into()];
        transcription.prompt = Some("A dental clinic.".into());
        let session = asked.session(true);
        let wanted = json!({"type": "retention_ratio", "retention_ratio": 0.8,
            "token_limits": {"post_instructions": 8_000}});
        assert_eq!((&session["truncation"], &session["parallel_tool_calls"]), (&wanted, &json!(false)));
        let words = &session["audio"]["input"]["transcription"];
        assert_eq!(words["keywords"], json!(["Sol", "ortodoncia"]));
        assert_eq!(words["prompt"], "A dental clinic.");
        asked.truncation = Some(Truncation::RetentionRatio { ratio: 0.5, post_instructions: None });
        let wanted = json!({"type": "retention_ratio", "retention_ratio": 0.5});
        assert_eq!(asked.session(true)["truncation"], wanted);
        asked.truncation = Some(Truncation::Disabled);
        assert_eq!(asked.session(true)["truncation"], "disabled");
    }

    #[test]
    fn a_voice_of_ones_own_is_sent_as_an_object() {
        let voice = |voice: &str| {
            let settings = SessionSettings { voice: voice.into(), ..settings(Dialect::Ga) };
            settings.session(true)["audio"]["output"]["voice"].clone()
        };
        assert_eq!(voice("marin"), json!("marin"));
        assert_eq!(voice("voice_68af2b"), json!({"id": "voice_68af2b"}));
    }

    #[test]
    fn the_beta_session_is_flat_and_its_formats_are_compared_too() {
        let asked = settings(Dialect::Beta).session(true);
        assert_eq!((&asked["input_audio_format"], asked.get("audio")), (&json!("g711_ulaw"), None));
        let mut echoed = asked.clone();
        echoed["output_audio_format"] = "pcm16".into();
        assert_eq!(Differences::between(&asked, &echoed).formats, ["output_audio_format"]);
    }
}

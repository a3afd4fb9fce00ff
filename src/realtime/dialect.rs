//! One session, two ways to describe it: the GA interface's nested object and the beta's flat one.
//!
//! Also compares what the server echoes with what was asked: a rejected or ignored `session.update` leaves
//! the session at 24 kHz PCM, which on a telephone is noise.

use std::sync::Arc;

use serde_json::{Map, Value, json};

/// Which interface the server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// The interface of 2025-08 and later. No `OpenAI-Beta` header.
    #[default]
    Ga,
    /// The interface OpenAI switched off in 2026-05; some compatible servers still speak it.
    Beta,
}

/// Who decides that the caller's turn is over, and how (`turn_detection`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TurnDetection {
    /// `server_vad`: by loudness.
    Server {
        /// 0–1; higher wants a louder voice.
        threshold: f64,
        /// Audio kept from before the voice was noticed, milliseconds.
        prefix_padding_ms: u32,
        /// Silence that ends a turn, milliseconds. Longer: fewer cuts, slower answers.
        silence_ms: u32,
    },
    /// `semantic_vad`: by meaning.
    Semantic {
        /// How soon it takes the turn.
        eagerness: Eagerness,
    },
}

/// `turn_detection.eagerness`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eagerness {
    /// Waits up to 8 s.
    Low,
    /// Waits up to 4 s.
    Medium,
    /// Waits up to 2 s.
    High,
    /// The server's choice (medium).
    Auto,
}

/// `input.transcription`: turns the caller's words into text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcription {
    /// For example `gpt-transcribe`.
    pub model: String,
    /// ISO 639-1; none: detected.
    pub language: Option<String>,
    /// Under which key this model takes the language.
    pub language_key: LanguageKey,
}

/// Under which key a transcription model takes the caller's language; the wrong one makes the server refuse
/// all settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LanguageKey {
    /// `"language":"es"`: older models, other servers, the beta.
    Language,
    /// `"languages":["es"]`.
    Languages,
}

/// `reasoning.effort`: how long a reasoning model thinks before it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasoningEffort {
    /// Least delay.
    Minimal,
    /// OpenAI's default.
    Low,
    /// Between.
    Medium,
    /// Slow.
    High,
    /// Slowest.
    Xhigh,
}

/// `input.noise_reduction`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoiseReduction {
    /// A handset.
    NearField,
    /// A speakerphone.
    FarField,
}

/// A function the model may call (`tools[]`).
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: &'static str,
    /// What it does and when to call it, for the model.
    pub description: String,
    /// JSON Schema of its arguments.
    pub parameters: Value,
}

/// Whether it is the id of a voice made for one customer, which the GA interface takes as an object.
pub fn is_custom_voice(voice: &str) -> bool {
    voice.starts_with("voice_")
}

/// Everything we ask of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionSettings {
    /// Which interface to describe it in.
    pub dialect: Dialect,
    /// The system prompt.
    pub instructions: Arc<str>,
    /// Cannot change after the first word.
    pub voice: String,
    /// None: the caller's words are not transcribed.
    pub transcription: Option<Transcription>,
    /// Who ends the caller's turns.
    pub turn_detection: TurnDetection,
    /// Whether the server stops answering when the caller speaks (`interrupt_response`).
    pub interrupt: bool,
    /// None: off.
    pub noise_reduction: Option<NoiseReduction>,
    /// 0.25–1.5.
    pub speed: f64,
    /// Only for models that reason; none: not sent.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// None: `inf`.
    pub max_output_tokens: Option<u32>,
    /// What the model may call.
    pub tools: Vec<Tool>,
}

impl SessionSettings {
    /// The `session` object of `session.update`. With `interrupt` false nothing the caller says stops an answer.
    pub fn session(&self, interrupt: bool) -> Value {
        match self.dialect {
            Dialect::Ga => self.ga(interrupt),
            Dialect::Beta => self.beta(interrupt),
        }
    }

    /// The object of an update that changes nothing but whether the caller may interrupt.
    pub fn interruption(&self, interrupt: bool) -> Value {
        let turns = self.turn_detection(interrupt);
        match self.dialect {
            Dialect::Ga => json!({"type": "realtime", "audio": {"input": {"turn_detection": turns}}}),
            Dialect::Beta => json!({"turn_detection": turns}),
        }
    }

    fn ga(&self, interrupt: bool) -> Value {
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

    /// The same in both dialects; None: there are none.
    fn tools_json(&self) -> Option<Value> {
        let json = |tool: &Tool| {
            json!({"type": "function", "name": tool.name, "description": tool.description,
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
    /// The API's word.
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
    /// The API's word.
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
    /// The API's word.
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
        object
    }
}

fn set(object: &mut Value, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        object[key] = value;
    }
}

/// Where the echoed session differs from what was asked, as dotted paths; `format` is where audio is at stake.
///
/// Keys the server does not echo are not differences: compatible servers echo less.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Audio formats that are not what was asked: the call would be noise.
    pub formats: Vec<String>,
    /// Everything else.
    pub others: Vec<String>,
}

impl Differences {
    /// Compares two session objects.
    pub fn between(asked: &Value, echoed: &Value) -> Self {
        let mut differences = Self::default();
        differences.compare("", asked, echoed);
        differences
    }

    fn compare(&mut self, path: &str, asked: &Value, echoed: &Value) {
        match (asked, echoed) {
            (Value::Object(asked), Value::Object(echoed)) => self.compare_keys(path, asked, echoed),
            // A server may add what it takes for granted: `strict`, say.
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
            }),
            turn_detection: TurnDetection::Server { threshold: 0.5, prefix_padding_ms: 300, silence_ms: 500 },
            interrupt: true,
            noise_reduction: None,
            speed: 1.0,
            reasoning_effort: None,
            max_output_tokens: None,
            tools: vec![Tool {
                name: "f",
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

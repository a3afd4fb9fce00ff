//! The settings with which a call is accepted.

use serde_json::Value;

use crate::realtime::dialect::SessionSettings;

/// Whether the fields of the turn detection (threshold, padding, silence, eagerness) are sent with the acceptance of a SIP call.
/// Servers have refused them there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VadFields {
    /// They are sent.
    Sent,
    /// They are not: the server's own values apply.
    LeftOut,
}

impl SessionSettings {
    /// The session object that accepts a call which OpenAI answers by SIP: the settings of the GA interface and the model, and no
    /// audio format, because SIP negotiates it (a format here is heard as noise).
    pub fn accept(&self, model: &str, interrupt: bool, vad: VadFields) -> Value {
        let mut session = self.ga(interrupt);
        session["model"] = model.into();
        for direction in ["input", "output"] {
            session["audio"][direction].as_object_mut().map(|audio| audio.remove("format"));
        }
        if vad == VadFields::LeftOut
            && let Some(turns) = session["audio"]["input"]["turn_detection"].as_object_mut()
        {
            turns.retain(|key, _| ["type", "create_response", "interrupt_response"].contains(&key.as_str()));
        }
        session
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::realtime::dialect::{Dialect, TurnDetection};

    #[test]
    fn the_acceptance_of_a_sip_call_names_the_model_and_no_format() {
        let settings = SessionSettings {
            dialect: Dialect::Ga,
            instructions: "Be brief.".into(),
            voice: "marin".into(),
            transcription: None,
            turn_detection: TurnDetection::Server { threshold: 0.5, prefix_padding_ms: 300, silence_ms: 500 },
            interrupt: true,
            noise_reduction: None,
            speed: 1.0,
            reasoning_effort: None,
            max_output_tokens: None,
            truncation: None,
            parallel_tool_calls: None,
            tools: Vec::new(),
        };
        let accept = settings.accept("gpt-realtime-2.1", true, VadFields::Sent);
        assert_eq!((&accept["type"], &accept["model"]), (&json!("realtime"), &json!("gpt-realtime-2.1")));
        assert!(!accept.to_string().contains("format") && !accept.to_string().contains("null"), "{accept}");
        assert_eq!(accept["audio"]["input"]["turn_detection"]["threshold"], 0.5);
        let bare = settings.accept("m", false, VadFields::LeftOut);
        let turns = json!({"type": "server_vad", "create_response": true, "interrupt_response": false});
        assert_eq!(bare["audio"]["input"]["turn_detection"], turns);
        assert_eq!(bare["audio"]["output"]["voice"], "marin");
    }
}

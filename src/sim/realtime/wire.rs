//! Writes server events: their names by dialect, their ids, and the unknown elements that a fault adds.
//!
//! This module does not decide when an event is sent; all others call [`Session::emit`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::validate::Rejection;
use super::{Outgoing, Phase, Session, What};

impl Session {
    /// Queues an event under its GA name. `body` holds the fields other than `type` and `event_id`, which are
    /// written first, as on the real server.
    pub(super) fn emit(&mut self, ga_name: &'static str, body: &Value) {
        if self.phase != Phase::Open {
            return;
        }
        let Some(name) = self.name(ga_name) else { return };
        let mut text = self.head(name);
        let fields = if self.troubles.unknowns { estranged(body).to_string() } else { body.to_string() };
        if fields.len() > 2 {
            text.push(',');
            text.push_str(&fields[1..]);
        } else {
            text.push('}');
        }
        self.push(text);
    }

    /// Queues an audio delta, written by hand because a benchmark sends mostly audio deltas.
    pub(super) fn emit_audio(&mut self, response: &str, item: &str, output_index: usize, sound: &[u8]) {
        if self.phase != Phase::Open {
            return;
        }
        let name = self.name("response.output_audio.delta").unwrap_or_default();
        let mut text = self.head(name);
        text.reserve(sound.len() * 4 / 3 + 160);
        text.push_str(",\"response_id\":\"");
        text.push_str(response);
        text.push_str("\",\"item_id\":\"");
        text.push_str(item);
        text.push_str("\",\"output_index\":");
        text.push_str(&output_index.to_string());
        text.push_str(",\"content_index\":0,\"delta\":\"");
        STANDARD.encode_string(sound, &mut text);
        text.push_str("\"}");
        self.push(text);
    }

    /// Refuses what the client sent: sends the error and records a violation.
    pub(super) fn refuse(&mut self, rejection: &Rejection, event_id: Option<&str>) {
        let code = rejection.code.unwrap_or("null");
        self.journal.violation(self.now, format!("{code}: {}", rejection.message));
        self.send_error(rejection, event_id, false);
    }

    /// Refuses what the client could not know when it sent it: sends only the error.
    pub(super) fn excuse(&mut self, rejection: &Rejection, event_id: Option<&str>) {
        self.send_error(rejection, event_id, true);
    }

    fn send_error(&mut self, rejection: &Rejection, event_id: Option<&str>, race: bool) {
        let code = rejection.code.unwrap_or_default().to_owned();
        self.note(What::ErrorSent { code, race });
        self.emit(
            "error",
            &json!({"error": {
                "type": "invalid_request_error", "code": rejection.code, "message": rejection.message,
                "param": rejection.param, "event_id": event_id,
            }}),
        );
    }

    fn head(&mut self, name: &str) -> String {
        let id = self.ids.next("event_");
        let mut text = format!("{{\"type\":\"{name}\",\"event_id\":\"{id}\"");
        if self.troubles.unknowns {
            let noise = self.dice.roll();
            let strange =
                format!(",\"obfuscation\":\"{noise:x}\",\"x_unheard_of\":{{\"phase\":[null,{noise}]}}");
            text.push_str(&strange);
        }
        text
    }

    fn push(&mut self, text: String) {
        self.out.push_back(Outgoing::Text(text));
        if self.troubles.unknowns && self.dice.roll().is_multiple_of(3) {
            let stranger = match self.dice.roll() % 4 {
                0 => json!({"type": "ping"}),
                1 => json!({
                    "type": "conversation.item.added", "event_id": "event_x", "previous_item_id": null,
                    "item": {"id": "item_x", "type": "mcp_list_tools", "server_label": "s", "tools": []},
                }),
                2 => {
                    json!({"type": "response.unheard_of.delta", "event_id": "event_x", "delta": {"deep": [1, 2.5]}})
                }
                _ => {
                    json!({"type": "conversation.item.phase", "item_id": "item_none", "phase": "commentary"})
                }
            };
            self.out.push_back(Outgoing::Text(stranger.to_string()));
        }
    }

    /// The name of an event in this dialect. None: the dialect does not have the event (§4.2).
    fn name(&self, ga: &'static str) -> Option<&'static str> {
        if !self.script.dialect.is_beta() {
            return Some(ga);
        }
        Some(match ga {
            "conversation.item.done" | "input_audio_buffer.timeout_triggered" => return None,
            "conversation.item.added" => "conversation.item.created",
            "response.output_audio.delta" => "response.audio.delta",
            "response.output_audio.done" => "response.audio.done",
            "response.output_audio_transcript.delta" => "response.audio_transcript.delta",
            "response.output_audio_transcript.done" => "response.audio_transcript.done",
            "response.output_text.delta" => "response.text.delta",
            "response.output_text.done" => "response.text.done",
            same => same,
        })
    }
}

/// The same event with unknown fields inside its objects.
fn estranged(body: &Value) -> Value {
    let mut body = body.clone();
    if let Some(item) = body.get_mut("item").filter(|item| item.is_object()) {
        item["phase"] = json!("commentary");
    }
    for key in ["response", "session", "error", "part"] {
        if let Some(inner) = body.get_mut(key).filter(|inner| inner.is_object()) {
            inner["x_unheard_of"] = json!([{"deep": null}]);
        }
    }
    body
}

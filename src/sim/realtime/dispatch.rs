//! Reads client events: checks the JSON, the `type` and the known fields (5, 6), and then passes each event
//! to its handler. This module answers `session.update` itself.
//!
//! Appends arrive fifty times a second, so an append in its usual form is read without building a JSON tree.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, json};

use super::schema::{CLIENT_EVENTS, strange_words};
use super::validate::{Rejection, Shape, check};
use super::{Phase, Session, What};

/// An append in the form that every client uses. Any other form takes the general path.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainAppend<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    audio: &'a str,
    #[serde(borrow)]
    event_id: Option<Cow<'a, str>>,
}

impl Session {
    /// Answers a text frame.
    pub(super) fn dispatch(&mut self, text: &str) {
        if let Some(early) = &mut self.early {
            early.push(text.to_owned());
            return;
        }
        if let Ok(append) = serde_json::from_str::<PlainAppend<'_>>(text)
            && append.kind == "input_audio_buffer.append"
            && append.event_id.as_ref().is_none_or(|id| id.len() <= 512)
        {
            self.append(Some(append.audio), append.event_id.as_deref());
            return;
        }
        let event: Value = match serde_json::from_str(text) {
            Ok(event) => event,
            Err(error) => {
                let message = format!("We could not parse the JSON body of your event: {error}.");
                return self.refuse(&Rejection::new("invalid_json", message, None), None);
            }
        };
        let event_id = event["event_id"].as_str();
        match judge(&event) {
            Ok(kind) => self.obey(kind, &event, event_id),
            Err(rejection) => self.refuse(&rejection, event_id),
        }
    }

    fn obey(&mut self, kind: &str, event: &Value, event_id: Option<&str>) {
        let outcome = match kind {
            "session.update" => self.update(&event["session"], event_id),
            "input_audio_buffer.append" => {
                self.append(event["audio"].as_str(), event_id);
                Ok(())
            }
            "input_audio_buffer.commit" => self.commit_by_client(),
            "input_audio_buffer.clear" => {
                self.clear();
                Ok(())
            }
            "conversation.item.create" => {
                self.create_item(&event["item"], event["previous_item_id"].as_str())
            }
            "conversation.item.truncate" => self.truncate(event),
            "conversation.item.delete" => self.delete_item(event["item_id"].as_str().unwrap_or_default()),
            "conversation.item.retrieve" => self.retrieve_item(event["item_id"].as_str().unwrap_or_default()),
            "response.create" => self.create_response(&event["response"], event_id),
            "response.cancel" => {
                self.cancel_by_client(event["response_id"].as_str(), event_id);
                Ok(())
            }
            "session.close" => {
                self.discipline("session.close is undocumented: close the socket (§4.1)");
                self.close(1000, "");
                Ok(())
            }
            _ => {
                let message = "output_audio_buffer events are only for WebRTC and SIP.";
                Err(Rejection::new("invalid_value", message, Some("type")))
            }
        };
        if let Err(rejection) = outcome {
            self.refuse(&rejection, event_id);
        }
    }

    /// Handles `session.update`: the update is validated, merged and echoed as a whole (8–17).
    fn update(&mut self, update: &Value, event_id: Option<&str>) -> Result<(), Rejection> {
        self.settings.judge(update, self.has_spoken())?;
        if self.has_spoken() && self.settings.voice_of(update).is_some() {
            self.discipline("voice sent again after the assistant has spoken: leave it out (§3.1)");
        }
        let transcription = update.pointer("/audio/input/transcription").unwrap_or(&Value::Null);
        for complaint in strange_words(transcription) {
            self.discipline(complaint);
        }
        if self.troubles.updated_never {
            return Ok(());
        }
        if let Some(code) = self.troubles.update_refused.take() {
            self.send_scripted_error(&code, "The session could not be updated.", event_id);
            return Ok(());
        }
        self.settings.apply(update.clone());
        if self.script.echo_wrong_format {
            self.settings.force_pcm();
        }
        self.note(What::SessionUpdated);
        self.emit("session.updated", &json!({"session": self.settings.echo()}));
        self.configured.get_or_insert(self.now);
        if self.settings.turn_detection().is_none() {
            self.ear.forget_speech();
        }
        Ok(())
    }

    pub(super) fn send_created(&mut self) {
        self.emit("session.created", &json!({"session": self.settings.echo()}));
        self.strike_on_connect();
        for text in self.early.take().into_iter().flatten() {
            if self.phase == Phase::Open {
                self.dispatch(&text);
            }
        }
    }

    pub(super) fn refuse_binary(&mut self) {
        let message = "Expected a text WebSocket message; binary frames are not supported.";
        self.refuse(&Rejection::new("invalid_event", message, None), None);
    }
}

/// The type of the event, if its fields are valid for that type.
fn judge(event: &Value) -> Result<&'static str, Rejection> {
    let Some(kind) = event.get("type") else {
        return Err(Rejection::new("invalid_event", "The 'type' field is missing.", None));
    };
    let kind = kind.as_str().ok_or_else(|| Rejection::kind("type", "a string", kind))?;
    let known = CLIENT_EVENTS.iter().map(|(name, _)| *name).find(|name| *name == kind);
    check(&Shape::Tagged(CLIENT_EVENTS), event, "")?;
    known.ok_or_else(|| Rejection::unknown("type"))
}

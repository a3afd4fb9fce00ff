//! A telephone line made of text: it stands between a call, which believes that it talks by sound, and a session with text in and out.
//!
//! ```text
//!                      session.update            output_modalities: ["text"]
//!          Call ──── append, truncate ──────────────────► (nothing)              session
//!           ▲                                                                      │
//!           │  output_text.delta  ◄── one frame of silence before the first ◄──────┤
//!           │                                                                      │
//!           └── speech_started, stopped, committed, words ◄── say() ──► item, response.create
//! ```
//! The call is the product's own and is not told that it is rehearsed: what the caller types comes to it as a turn that the server has
//! heard, and the text of an answer as words with a frame of sound, which counts as heard. Everything between is what happens on
//! the telephone: greeting, facts, the gate of the tools, fillers, hanging up, limits and cost.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::media::Frame;
use crate::realtime::client::ClientEvent;

/// What the caller types, for both sides.
#[derive(Debug, PartialEq)]
pub(super) struct Turn {
    /// Events of the server for the call.
    pub(super) to_call: Vec<String>,
    /// Events of the client for the server.
    pub(super) to_server: Vec<String>,
}

/// The line.
#[derive(Debug, Default)]
pub(super) struct TextLine {
    turns: u64,
    /// The items of the assistant that have words.
    spoken: HashSet<String>,
}

impl TextLine {
    /// What the server is told when the call says this. `None`: nothing.
    pub(super) fn sent(event: &ClientEvent) -> Option<String> {
        match event {
            ClientEvent::SessionUpdate { event_id, session } => {
                let mut session = session.clone();
                for key in ["output_modalities", "modalities"] {
                    if session.get(key).is_some() {
                        session[key] = json!(["text"]);
                    }
                }
                let update = ClientEvent::SessionUpdate { event_id: event_id.clone(), session };
                Some(update.to_json())
            }
            // There is no sound that could be cut.
            ClientEvent::Truncate { .. } => None,
            other => Some(other.to_json()),
        }
    }

    /// What the call is told when the server says this.
    pub(super) fn received(&mut self, text: &str) -> Vec<String> {
        let Ok(mut event) = serde_json::from_str::<Value>(text) else { return vec![text.to_owned()] };
        match event["type"].as_str() {
            Some("session.updated") => {
                // The call has asked for sound, and the session is as it is by our doing.
                for (key, asked) in
                    [("output_modalities", json!(["audio"])), ("modalities", json!(["audio", "text"]))]
                {
                    if event["session"].get(key).is_some() {
                        event["session"][key] = asked;
                    }
                }
                vec![event.to_string()]
            }
            Some("response.output_text.delta" | "response.text.delta") => {
                let item = event["item_id"].as_str().unwrap_or_default();
                let is_new = self.spoken.insert(item.to_owned());
                let sound = is_new.then(|| {
                    json!({
                        "type": "response.output_audio.delta", "response_id": event["response_id"], "item_id": item,
                        "content_index": 0, "delta": STANDARD.encode(Frame::SILENCE.bytes()),
                    })
                    .to_string()
                });
                sound.into_iter().chain([text.to_owned()]).collect()
            }
            _ => vec![text.to_owned()],
        }
    }

    /// The caller says this.
    pub(super) fn say(&mut self, words: &str) -> Turn {
        self.turns += 1;
        let id = format!("text_{}", self.turns);
        let heard = |kind: &str, more: Value| {
            let mut event = json!({"type": kind, "item_id": id});
            for (key, value) in more.as_object().into_iter().flatten() {
                event[key] = value.clone();
            }
            event.to_string()
        };
        let buffer = |kind: &str| format!("input_audio_buffer.{kind}");
        let content = [json!({"type": "input_text", "text": words})];
        let item = json!({"id": id, "type": "message", "role": "user", "content": content});
        Turn {
            to_call: vec![
                heard(&buffer("speech_started"), json!({"audio_start_ms": 0})),
                heard(&buffer("speech_stopped"), json!({"audio_end_ms": 0})),
                heard(&buffer("committed"), json!({})),
                heard(
                    "conversation.item.input_audio_transcription.completed",
                    json!({"transcript": words, "usage": {"type": "duration", "seconds": 0}}),
                ),
            ],
            // Asked for without an id of the call, as the server would answer a turn by itself.
            to_server: vec![
                json!({"type": "conversation.item.create", "event_id": format!("{id}_item"), "item": item})
                    .to_string(),
                json!({"type": "response.create", "event_id": format!("{id}_response")}).to_string(),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::FRAME_BYTES;
    use crate::realtime::server::{Event, parse};

    #[test]
    fn a_session_of_text_looks_to_the_call_like_one_of_sound() {
        let mut line = TextLine::default();
        let asked = json!({"type": "realtime", "output_modalities": ["audio"], "instructions": "x"});
        let update = ClientEvent::SessionUpdate { event_id: "c_1".into(), session: asked.clone() };
        let sent: Value = serde_json::from_str(&TextLine::sent(&update).expect("it is sent")).expect("JSON");
        assert_eq!(sent["session"]["output_modalities"], json!(["text"]));
        let echo = json!({"type": "session.updated", "session": sent["session"]}).to_string();
        let [told] = &line.received(&echo)[..] else { panic!("one event") };
        let told: Value = serde_json::from_str(told).expect("JSON");
        assert_eq!(told["session"], asked);
        let cut = ClientEvent::Truncate {
            event_id: "c_2".into(),
            item: "item_1".into(),
            content_index: 0,
            audio_end_ms: 20,
        };
        assert_eq!(TextLine::sent(&cut), None);
    }

    #[test]
    fn words_have_one_frame_of_sound() {
        let mut line = TextLine::default();
        let delta = |item: &str| {
            json!({"type": "response.output_text.delta", "response_id": "r", "item_id": item, "delta": "Hola"}).to_string()
        };
        let told = line.received(&delta("a"));
        let [sound, words] = &told[..] else { panic!("{told:?}") };
        let Ok(Event::AudioDelta { audio, .. }) = parse(sound) else { panic!("{sound}") };
        assert_eq!(audio.len(), FRAME_BYTES.div_ceil(3) * 4);
        assert_eq!(*words, delta("a"));
        assert_eq!(line.received(&delta("a")).len(), 1);
        assert_eq!(line.received(&delta("b")).len(), 2);
        assert_eq!(line.received("no JSON"), ["no JSON"]);
    }

    #[test]
    fn what_is_typed_is_a_turn_of_the_caller() {
        let mut line = TextLine::default();
        let Turn { to_call, to_server } = line.say("Hola");
        let events: Vec<_> = to_call.iter().map(|text| parse(text).expect("an event")).collect();
        assert!(matches!(
            &events[..],
            [
                Event::SpeechStarted { .. },
                Event::SpeechStopped { .. },
                Event::Committed { .. },
                Event::CallerTranscript { .. }
            ]
        ));
        assert!(to_server[0].contains(r#""text":"Hola""#) && to_server[1].contains("response.create"));
        assert_ne!(line.say("Hola").to_server, to_server, "another item");
    }
}

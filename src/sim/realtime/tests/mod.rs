//! Tests of the fake on a virtual clock: what it says, what it refuses and what it breaks.
//!
//! [`World`] is a small driver: it lets time pass and records every frame with its instant.

mod conversation;
mod faults;
mod handshake;
mod parrot;
mod responses;
mod soak;
mod tools;
mod turns;
mod updates;

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;

/// A session and its clock.
struct World {
    session: Session,
    start: Instant,
    now: Instant,
    /// Every frame so far, with the milliseconds since the start.
    frames: Vec<(u64, Outgoing)>,
    /// The number of frames that `take` has returned.
    taken: usize,
}

#[expect(clippy::disallowed_methods, reason = "any instant will do as the origin of a virtual clock")]
fn origin() -> Instant {
    Instant::now()
}

/// µ-law silence and noise, 20 ms each.
const SILENCE: [u8; 160] = [0xFF; 160];
const NOISE: [u8; 160] = [0x80; 160];

impl World {
    fn with(script: Script) -> Self {
        Self::connect(script, "model=gpt-realtime-2.1", &[("Authorization", "Bearer sk-test")])
            .expect("let in")
    }

    fn connect(script: Script, query: &str, headers: &[(&str, &str)]) -> Result<Self, Refusal> {
        let headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let handshake = Handshake { path: "/v1/realtime", query, headers: &headers };
        let start = origin();
        let session = Session::accept(start, &handshake, Arc::new(script), 0)?;
        let mut world = Self { session, start, now: start, frames: Vec::new(), taken: 0 };
        world.drain();
        Ok(world)
    }

    /// A configured session: µ-law, `server_vad` with 500 ms of silence, transcription.
    fn configured(script: Script) -> Self {
        let mut world = Self::with(script);
        world.send(&phone_config());
        assert_eq!(world.all("session.updated").len(), 1);
        world.take();
        world
    }

    fn send(&mut self, event: &Value) {
        self.session.receive(self.now, Incoming::Text(&event.to_string()));
        self.drain();
    }

    fn append(&mut self, sound: &[u8]) {
        self.send(&json!({"type": "input_audio_buffer.append", "audio": STANDARD.encode(sound)}));
    }

    /// Lets the server hear the caller in real time, 20 ms per append.
    fn hear(&mut self, ms: u64, frame: &[u8; 160]) {
        for _ in 0..ms / 20 {
            self.append(frame);
            self.pass(20);
        }
    }

    /// Lets time pass and answers pings.
    fn pass(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(due) = self.session.deadline().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.session.advance(self.now);
            self.drain();
        }
        self.now = end;
        self.session.advance(end);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(frame) = self.session.poll() {
            let pinged = frame == Outgoing::Ping;
            let at = u64::try_from((self.now - self.start).as_millis()).expect("tests are short");
            self.frames.push((at, frame));
            if pinged {
                self.session.receive(self.now, Incoming::Pong);
            }
        }
    }

    /// The names of the new events. Consecutive deltas are shown once.
    fn take(&mut self) -> Vec<String> {
        let mut names: Vec<String> =
            self.frames[self.taken..].iter().filter_map(|(_, frame)| name(frame)).collect();
        self.taken = self.frames.len();
        let is_delta = |name: &str| name.rsplit('.').next() == Some("delta");
        let mut seen: Vec<String> = Vec::new();
        names.retain(|name| {
            if !is_delta(name) {
                seen.clear();
                return true;
            }
            let first = !seen.contains(name);
            seen.push(name.clone());
            first
        });
        names
    }

    /// All events of a type so far.
    fn all(&self, kind: &str) -> Vec<Value> {
        self.frames
            .iter()
            .filter_map(|(_, frame)| event(frame))
            .filter(|event| event["type"] == kind)
            .collect()
    }

    /// The last event of a type.
    fn last(&self, kind: &str) -> Value {
        self.all(kind).pop().unwrap_or_else(|| panic!("no {kind}"))
    }

    /// When the first event of a type was sent, in milliseconds since the start.
    fn when(&self, kind: &str) -> u64 {
        let found =
            self.frames.iter().find(|(_, frame)| event(frame).is_some_and(|event| event["type"] == kind));
        found.unwrap_or_else(|| panic!("no {kind}")).0
    }

    /// Sends an event and returns the error that it causes: code, message, param.
    fn refused(&mut self, event: &Value) -> (String, String, String) {
        let before = self.all("error").len();
        self.send(event);
        let errors = self.all("error");
        assert_eq!(errors.len(), before + 1, "one error for {event}");
        let error = &errors[before]["error"];
        let field = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        (field("code"), field("message"), field("param"))
    }

    /// The whole audio of an item, as sent.
    fn sound(&self, item: &str, kind: &str) -> Vec<u8> {
        let deltas = self.all(kind).into_iter().filter(|delta| delta["item_id"] == item);
        deltas
            .flat_map(|delta| STANDARD.decode(delta["delta"].as_str().expect("a delta")).expect("base64"))
            .collect()
    }

    fn violations(&self) -> &[String] {
        self.session.violations()
    }
}

fn event(frame: &Outgoing) -> Option<Value> {
    match frame {
        Outgoing::Text(text) => serde_json::from_str(text).ok(),
        Outgoing::Binary(_) | Outgoing::Ping | Outgoing::Close { .. } | Outgoing::Drop => None,
    }
}

fn name(frame: &Outgoing) -> Option<String> {
    match frame {
        Outgoing::Text(_) => event(frame).map(|event| event["type"].as_str().unwrap_or("?").to_owned()),
        Outgoing::Binary(_) => Some("BINARY".to_owned()),
        Outgoing::Ping => None,
        Outgoing::Close { code, .. } => Some(format!("CLOSE {code}")),
        Outgoing::Drop => Some("DROP".to_owned()),
    }
}

fn phone_config() -> Value {
    json!({"type": "session.update", "event_id": "c_1", "session": {
        "type": "realtime", "instructions": "Be brief.", "output_modalities": ["audio"],
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"},
                "transcription": {"model": "gpt-transcribe", "languages": ["es"]},
                "turn_detection": {
                    "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500,
                    "create_response": true, "interrupt_response": true,
                },
            },
            "output": {"format": {"type": "audio/pcmu"}, "voice": "marin"},
        },
        "tools": [{"type": "function", "name": "transfer_call", "parameters": {"type": "object"}}],
        "tool_choice": "auto",
    }})
}

fn create() -> Value {
    json!({"type": "response.create", "event_id": "c_2", "response": {"metadata": {"cid": "c1"}}})
}

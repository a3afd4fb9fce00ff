//! The session of one call that OpenAI answers: what the model says, what the caller says, and what the caller hears. Its WebSocket
//! may come and go; what happens while there is none is not told later.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::line::{Heard as Turn, Line};
use super::{Say, Script, schema};

/// How long the model thinks.
pub(super) const THINKS: Duration = Duration::from_millis(120);
/// How long after the caller's turn its words are known.
const TRANSCRIBES: Duration = Duration::from_millis(250);
/// How long the caller is silent at the end of a turn where the settings do not say so, in milliseconds: OpenAI's default.
const SILENCE_MS: u64 = 500;

/// What the session sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A text frame.
    Text(String),
    /// The connection is gone, without a close frame.
    Drop,
}

/// Something that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Due {
    Created { cid: Option<String> },
    Said,
    Heard(String),
    CallerStops { item: String, words: String },
    Transcribed { item: String, words: String },
}

/// A response.
#[derive(Debug, Clone)]
pub(super) struct Response {
    pub(super) id: String,
    pub(super) item: String,
    pub(super) say: Say,
    pub(super) cid: Option<String>,
    pub(super) purpose_is_goodbye: bool,
}

/// What is being heard.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) response: String,
    pub(super) item: String,
    pub(super) since: Instant,
    pub(super) purpose_is_goodbye: bool,
}

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    /// The beginning of the caller's sound.
    born: Instant,
    pub(super) script: Arc<Script>,
    id: String,
    settings: Value,
    attached: bool,
    is_listened_to: bool,
    over: bool,
    out: VecDeque<Frame>,
    pub(super) timers: BTreeMap<(Instant, u64), Due>,
    count: u64,
    pub(super) said: usize,
    pub(super) active: Option<Response>,
    pub(super) asked: bool,
    pub(super) heard: Option<Heard>,
    pub(super) goodbye_asked: bool,
    pub(super) last_item: Option<String>,
    added: Vec<Value>,
    violations: Vec<String>,
    /// The sound. None: the world has none, or the SIP call is not answered yet.
    pub(super) line: Option<Line>,
    /// The item of what the caller is saying on the line.
    speaking: Option<String>,
    /// How many turns of the caller were understood on the line.
    turns: usize,
}

impl Session {
    /// A session that is accepted now.
    pub(super) fn new(now: Instant, script: Arc<Script>, id: &str, settings: Value) -> Self {
        Self {
            born: now,
            script,
            id: id.to_owned(),
            settings,
            attached: false,
            is_listened_to: true,
            over: false,
            out: VecDeque::new(),
            timers: BTreeMap::new(),
            count: 0,
            said: 0,
            active: None,
            asked: false,
            heard: None,
            goodbye_asked: false,
            last_item: None,
            added: Vec::new(),
            violations: Vec::new(),
            line: None,
            speaking: None,
            turns: 0,
        }
    }

    pub(super) fn settings(&self) -> &Value {
        &self.settings
    }

    pub(super) fn is_callers_turn(&self, said: usize) -> bool {
        self.said >= said
            && self.heard.is_none()
            && self.active.is_none()
            && !self.asked
            && self.timers.is_empty()
    }

    pub(super) fn added(&self) -> &[Value] {
        &self.added
    }

    pub(super) fn attach(&mut self) {
        self.attached = true;
        self.out.clear();
    }

    pub(super) fn detach(&mut self) {
        self.attached = false;
        self.out.clear();
    }

    /// The connection breaks; the call goes on.
    pub(super) fn cut(&mut self) {
        self.out.push_back(Frame::Drop);
        self.attached = false;
    }

    /// The call is over.
    pub(super) fn end(&mut self, _now: Instant) {
        if self.attached {
            self.cut();
        }
        self.is_over();
    }

    fn is_over(&mut self) {
        self.over = true;
        self.timers.clear();
        if let Some(line) = &mut self.line {
            line.close();
        }
    }

    /// Whether the caller hears the model.
    pub(super) fn is_heard(&self) -> bool {
        self.heard.is_some()
    }

    pub(super) fn nobody_listens(&mut self) {
        self.is_listened_to = false;
    }

    /// Whether the caller hears the goodbye that the client has asked for.
    pub(super) fn is_goodbye_heard(&self) -> bool {
        self.is_listened_to && self.heard.as_ref().is_some_and(|heard| heard.purpose_is_goodbye)
    }

    /// The client has hung the call up.
    pub(super) fn hung_up(&mut self) {
        if self.attached {
            self.cut();
        }
        self.is_over();
    }

    pub(super) fn take_violations(&mut self) -> Vec<String> {
        std::mem::take(&mut self.violations)
    }

    pub(super) fn poll(&mut self) -> Option<Frame> {
        self.out.pop_front()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let timer = self.timers.first_key_value().map(|((at, _), _)| *at);
        [timer, self.line.as_ref().and_then(Line::deadline)].into_iter().flatten().min()
    }

    pub(super) fn advance(&mut self, now: Instant) {
        while let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((at, _), due) = entry.remove_entry();
            self.fire(at, due);
        }
        if let Some(line) = &mut self.line {
            line.advance(now);
        }
    }

    /// The SIP call stands: sound flows from now on.
    pub(super) fn answered(&mut self, now: Instant) {
        if !self.over {
            self.born = now;
            self.line.get_or_insert_with(|| Line::new(now));
        }
    }

    /// A frame of the caller's sound arrives.
    pub(super) fn hear(&mut self, now: Instant, frame: &[u8]) {
        self.advance(now);
        let silence = self.settings["audio"]["input"]["turn_detection"]["silence_duration_ms"].as_u64();
        let Some(line) = &mut self.line else { return };
        match line.hear(frame, silence.unwrap_or(SILENCE_MS)) {
            Some(Turn::Began) => self.speaking = Some(self.caller_begins(now)),
            Some(Turn::Ended) => {
                if let Some(item) = self.speaking.take() {
                    let words = self.script.hears.get(self.turns).cloned().unwrap_or_else(|| "…".into());
                    self.turns += 1;
                    self.fire(now, Due::CallerStops { item, words });
                }
            }
            None => {}
        }
    }

    pub(super) fn take_sound(&mut self) -> Option<Vec<u8>> {
        self.line.as_mut()?.take()
    }

    pub(super) fn received(&self) -> &[u8] {
        self.line.as_ref().map(Line::received).unwrap_or_default()
    }

    pub(super) fn next(&mut self, prefix: &str) -> String {
        self.count += 1;
        format!("{prefix}_{}", self.count)
    }

    pub(super) fn after(&mut self, now: Instant, delay: Duration, due: Due) {
        self.count += 1;
        self.timers.insert((now + delay, self.count), due);
    }

    pub(super) fn send(&mut self, mut event: Value) {
        if !self.attached {
            return;
        }
        if event["type"] != "input_audio_buffer.dtmf_event_received" {
            event["event_id"] = self.next("event").into();
        }
        self.out.push_back(Frame::Text(event.to_string()));
    }

    fn violation(&mut self, words: &str) {
        self.violations.push(format!("{}: {words}", self.id));
    }

    fn refuse(&mut self, event: &Value, code: &str, param: &str) {
        let error = json!({"type": "invalid_request_error", "code": code, "message": "Refused.", "param": param,
            "event_id": event["event_id"]});
        self.send(json!({"type": "error", "error": error}));
    }

    pub(super) fn receive(&mut self, now: Instant, text: &str) {
        self.advance(now);
        if self.over {
            return;
        }
        let event: Value = serde_json::from_str(text).unwrap_or_default();
        match event["type"].as_str().unwrap_or_default() {
            "session.update" => self.update(&event),
            "response.create" => self.create(now, &event),
            "response.cancel" => self.cancel(&event),
            "conversation.item.create" => self.item(&event),
            "conversation.item.delete" | "input_audio_buffer.clear" => {}
            "output_audio_buffer.clear" => self.clear(now),
            other => {
                self.violation(&format!("{other} is not possible in a SIP call"));
                self.refuse(&event, "invalid_value", "type");
            }
        }
    }

    fn update(&mut self, event: &Value) {
        if let Err(fault) = schema::update(&event["session"]) {
            self.violation(&format!("session.update: {}", fault.words));
            return self.refuse(event, fault.code, &fault.param);
        }
        merge(&mut self.settings, &event["session"]);
        let mut echo = self.settings.clone();
        echo["object"] = "realtime.session".into();
        echo["id"] = "sess_1".into();
        echo["audio"]["input"]["format"] = json!({"type": "audio/pcmu"});
        echo["audio"]["output"]["format"] = json!({"type": "audio/pcmu"});
        self.send(json!({"type": "session.updated", "session": echo}));
    }

    fn create(&mut self, now: Instant, event: &Value) {
        if self.active.is_some() || self.asked {
            return self.refuse(event, "conversation_already_has_active_response", "response");
        }
        let instructions = event["response"]["instructions"].as_str().unwrap_or_default();
        self.goodbye_asked = instructions.contains("goodbye");
        let cid = event["response"]["metadata"]["cid"].as_str().map(str::to_owned);
        self.asked = true;
        self.after(now, THINKS, Due::Created { cid });
    }

    fn item(&mut self, event: &Value) {
        let mut item = event["item"].clone();
        if item["id"].is_null() {
            item["id"] = self.next("item").into();
        }
        self.added.push(item.clone());
        self.send(
            json!({"type": "conversation.item.added", "previous_item_id": self.last_item, "item": item}),
        );
        self.last_item = item["id"].as_str().map(str::to_owned);
    }

    fn cancel(&mut self, event: &Value) {
        if self.active.is_none() {
            return self.refuse(event, "response_cancel_not_active", "response_id");
        }
        self.done("cancelled");
    }

    fn clear(&mut self, now: Instant) {
        let Some(heard) = self.heard.take() else { return };
        self.timers.retain(|_, due| *due != Due::Heard(heard.response.clone()));
        self.send(json!({"type": "output_audio_buffer.cleared", "response_id": heard.response}));
        let told = now.saturating_duration_since(heard.since).as_millis() as u64;
        let ms = self.line.as_mut().and_then(Line::stop).unwrap_or(told);
        self.send(json!({"type": "conversation.item.truncated", "item_id": heard.item, "content_index": 0,
            "audio_end_ms": ms}));
    }

    /// The caller speaks. What is being heard is interrupted, if the settings say so.
    pub(super) fn caller_says(&mut self, now: Instant, words: &str, length: Duration) {
        self.advance(now);
        let item = self.caller_begins(now);
        self.after(now, length, Due::CallerStops { item, words: words.to_owned() });
    }

    /// The caller begins to speak. Returns the item of what they say.
    fn caller_begins(&mut self, now: Instant) -> String {
        let item = self.next("item");
        let padding = self.settings["audio"]["input"]["turn_detection"]["prefix_padding_ms"].as_u64();
        let start = self.heard_ms(now).saturating_sub(padding.unwrap_or_default());
        self.send(
            json!({"type": "input_audio_buffer.speech_started", "audio_start_ms": start, "item_id": item}),
        );
        if self.settings["audio"]["input"]["turn_detection"]["interrupt_response"] == true {
            if self.active.is_some() {
                self.done("cancelled");
            }
            self.clear(now);
        }
        item
    }

    /// How much of the caller's sound has come.
    fn heard_ms(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.born).as_millis()).unwrap_or_default()
    }

    pub(super) fn caller_presses(&mut self, key: char) {
        self.send(json!({"type": "input_audio_buffer.dtmf_event_received", "event": key.to_string(),
            "received_at": 1_795_182_630}));
    }

    fn fire(&mut self, now: Instant, due: Due) {
        match due {
            Due::Created { cid } => self.begin(now, cid),
            Due::Said => self.done("completed"),
            Due::Heard(response) => {
                self.heard = None;
                if self.script.tells_end {
                    self.send(json!({"type": "output_audio_buffer.stopped", "response_id": response}));
                }
            }
            Due::CallerStops { item, words } => {
                let end = self.heard_ms(now);
                self.send(
                    json!({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": end, "item_id": item}),
                );
                self.send(json!({"type": "input_audio_buffer.committed", "previous_item_id": self.last_item,
                    "item_id": item}));
                self.last_item = Some(item.clone());
                self.after(now, TRANSCRIBES, Due::Transcribed { item, words });
                if self.active.is_none() && !self.asked {
                    self.asked = true;
                    self.after(now, THINKS, Due::Created { cid: None });
                }
            }
            Due::Transcribed { item, words } => {
                self.send(
                    json!({"type": "conversation.item.input_audio_transcription.completed", "item_id": item,
                    "content_index": 0, "transcript": words, "usage": {"type": "duration", "seconds": 2.0}}),
                );
            }
        }
    }
}

/// Puts the values of `update` into `settings`.
fn merge(settings: &mut Value, update: &Value) {
    match (settings, update) {
        (Value::Object(settings), Value::Object(update)) => {
            for (key, value) in update {
                merge(settings.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (settings, update) => *settings = update.clone(),
    }
}

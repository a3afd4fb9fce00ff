//! Turns the events at Asterisk, on the Realtime WebSocket, at the phone and at the clinic into rows of the ladder diagram.
//!
//! Packets and audio deltas are summarised: the rows show when someone starts and stops speaking. The story
//! makes no decision about the call. What is seen of calls by SIP is in `sip`.

mod runs;
mod sip;

use std::time::{Duration, Instant};

use serde_json::Value;

use super::Route;
use super::clinic::Visit;
use super::ladder::{Kind, Lane, Row};
use super::words::seconds;
use crate::operator::Language;
use crate::sim::asterisk::Ending;
use crate::sim::live::asterisk::{Seen, What};
use crate::sim::live::realtime::Said;
use runs::Change;
pub(super) use runs::{Run, Runs};
use sip::Second;

/// The channel that the daemon asks to remove, to see whether Asterisk lets it.
const PROBED: &str = "/oic-probe";

/// Collects the rows of one call.
#[derive(Debug)]
pub(super) struct Story {
    language: Language,
    rows: Vec<Row>,
    caller: Runs,
    assistant: Runs,
    appends: u32,
    /// The number of deltas, and their duration in milliseconds, of the current response.
    deltas: (u32, u64),
    heard_anything: bool,
    route: Route,
    /// The caller for whom there is no room.
    second: Option<Second>,
    /// Whether it has been explained why something that the daemon removes is gone already.
    has_explained_gone: bool,
}

impl Story {
    pub(super) fn new(language: Language, route: Route) -> Self {
        Self {
            language,
            route,
            second: None,
            has_explained_gone: false,
            rows: Vec::new(),
            caller: Runs::default(),
            assistant: Runs::default(),
            appends: 0,
            deltas: (0, 0),
            heard_anything: false,
        }
    }

    /// Removes and returns the rows that are at least `age` old, in order of time.
    pub(super) fn take(&mut self, now: Instant, age: Duration) -> Vec<Row> {
        self.rows.sort_by_key(|row| row.at);
        let rest = self.rows.partition_point(|row| row.at + age <= now);
        let later = self.rows.split_off(rest);
        std::mem::replace(&mut self.rows, later)
    }

    pub(super) fn log(&mut self, at: Instant, line: &str) {
        // The screen already shows time, level and call.
        let text = line.splitn(3, " - ").last().unwrap_or(line);
        let text = text.split_once("] ").filter(|_| text.starts_with('[')).map_or(text, |(_, text)| text);
        let mut text = text.trim_end().to_owned();
        if text.contains(self.language.choose(" - Costo: ", " - Cost: ")) {
            text.push_str(
                self.language.choose(" – inventado: no se gastó dinero", " – made up: no money was spent"),
            );
        }
        self.row(at, Kind::Log(text));
    }

    /// Adds a frame that the caller said.
    pub(super) fn said(&mut self, at: Instant, frame: &[u8]) {
        let change = self.caller.hear(at, frame);
        self.sound(change.as_ref(), Lane::Caller);
    }

    /// Adds a frame that the caller heard.
    pub(super) fn heard(&mut self, at: Instant, frame: &[u8]) {
        if !std::mem::replace(&mut self.heard_anything, true) {
            let label = self.language.choose("RTP, una trama cada 20 ms", "RTP, a frame every 20 ms");
            self.sounding(at, self.voice(), Lane::Caller, label.to_owned());
        }
        let change = self.assistant.hear(at, frame);
        self.sound(change.as_ref(), self.voice());
    }

    /// From where the assistant's voice comes.
    fn voice(&self) -> Lane {
        match self.route {
            Route::Media => Lane::Daemon,
            Route::Sip => Lane::OpenAi,
        }
    }

    /// Adds an event at Asterisk.
    pub(super) fn asterisk(&mut self, seen: &Seen) {
        let (at, es) = (seen.at, self.language == Language::Spanish);
        match &seen.what {
            What::Listening => self.step(at, Lane::Daemon, Lane::Asterisk, "GET /ari/events 101"),
            What::Request { method, path, query } => {
                let (name, whose) = (self.request_name(path, query), self.mark_of_path(path));
                let label = format!("{whose}{method} {name} {}", seen.status);
                self.step(at, Lane::Daemon, Lane::Asterisk, &label);
                if method == "DELETE" && seen.status == 404 && !path.ends_with(PROBED) {
                    self.explains_gone(at);
                }
                if path.ends_with(PROBED) {
                    let text = self.language.choose(
                        "el servicio prueba si ARI lo deja escribir: ese canal no existe, y 404 es la respuesta correcta",
                        "the daemon tries whether ARI lets it write: there is no such channel, and 404 is the right answer",
                    );
                    self.row(at, Kind::Remark(text.to_owned()));
                }
            }
            What::Event(json) => self.event(at, json),
            What::Calling(call) => {
                self.step(at, Lane::Caller, Lane::Asterisk, &format!("{}INVITE", self.mark(*call)));
                self.says_full(at, *call);
            }
            What::Answered(_) => {
                self.step(at, Lane::Asterisk, Lane::Caller, "200 OK");
                let label = if es { "RTP ulaw" } else { "ulaw RTP" };
                self.sounding(at, Lane::Caller, Lane::Asterisk, label.to_owned());
            }
            What::HungUp(_) => self.step(at, Lane::Caller, Lane::Asterisk, "BYE"),
            What::Released(_, Ending::CallerHungUp) => self.step(at, Lane::Asterisk, Lane::Caller, "200 OK"),
            What::Released(call, Ending::Continued { context, extension, priority }) => {
                self.goes_on(at, *call, &format!("{context},{extension},{priority}"));
            }
            What::Released(..) => self.step(at, Lane::Asterisk, Lane::Caller, "BYE"),
        }
    }

    /// Adds a request of a tool or look-up.
    pub(super) fn clinic(&mut self, visit: &Visit) {
        self.step(visit.arrived, Lane::Daemon, Lane::Clinic, &visit.request);
        if visit.status.is_none() {
            let text = self.language.choose(
                "la conexión con la clínica se cortó después de reservar",
                "the connection to the clinic broke after the booking",
            );
            return self.row(visit.left, Kind::Remark(text.to_owned()));
        }
        self.step(visit.left, Lane::Clinic, Lane::Daemon, &visit.ending(self.language));
    }

    /// Adds a text frame on the Realtime WebSocket.
    pub(super) fn openai(&mut self, said: &Said) {
        let Ok(json) = serde_json::from_str::<Value>(&said.text) else { return };
        let kind = json["type"].as_str().unwrap_or("?");
        if said.by_client {
            self.model_is_told(said.at, kind, &json);
        } else {
            self.model_says(said.at, kind, &json);
        }
    }

    fn model_is_told(&mut self, at: Instant, kind: &str, json: &Value) {
        let label = match kind {
            "input_audio_buffer.append" => {
                self.appends += 1;
                if self.appends == 1 {
                    self.sounding(at, Lane::Daemon, Lane::OpenAi, format!("{kind} …"));
                }
                return;
            }
            "conversation.item.truncate" => {
                let ms = json["audio_end_ms"].as_u64().unwrap_or_default();
                self.interrupted(at, ms);
                format!("item.truncate audio_end_ms={ms}")
            }
            "conversation.item.create" if json["item"]["type"] == "function_call_output" => {
                let outcome = outcome(&json["item"]["output"]);
                if outcome == "ask_first" {
                    let text = self.language.choose(
                        "no se reserva todavía: falta el sí del llamante, así que el asistente tiene que preguntar",
                        "nothing is booked yet: the caller has not agreed, so the assistant has to ask",
                    );
                    self.row(at, Kind::Remark(text.to_owned()));
                }
                format!("function_call_output {outcome}")
            }
            "conversation.item.create" if sip::is_of_keys(json) => {
                format!("item.create {}", json["item"]["content"][0]["text"].as_str().unwrap_or_default())
            }
            other => other.to_owned(),
        };
        self.step(at, Lane::Daemon, Lane::OpenAi, &label);
    }

    fn interrupted(&mut self, at: Instant, ms: u64) {
        let heard = seconds(self.language, Duration::from_millis(ms));
        let text = match self.language {
            Language::Spanish => format!("interrumpido: el llamante oyó {heard} s de la respuesta"),
            Language::English => format!("interrupted: the caller heard {heard} s of the answer"),
        };
        self.row(at, Kind::Remark(text));
    }

    fn model_says(&mut self, at: Instant, kind: &str, json: &Value) {
        let label = match kind {
            "response.output_audio.delta" => {
                let characters = json["delta"].as_str().unwrap_or_default().len() as u64;
                self.deltas = (self.deltas.0 + 1, self.deltas.1 + characters * 3 / 4 / 8);
                return;
            }
            "response.output_audio_transcript.done" => {
                return self.words(at, Lane::OpenAi, json["transcript"].as_str());
            }
            "conversation.item.input_audio_transcription.completed" => {
                return self.words(at, Lane::Caller, json["transcript"].as_str());
            }
            "input_audio_buffer.speech_started" => format!("speech_started {} ms", json["audio_start_ms"]),
            "input_audio_buffer.speech_stopped" => format!("speech_stopped {} ms", json["audio_end_ms"]),
            "response.output_item.done" if json["item"]["type"] == "function_call" => {
                let part = |name: &str| json["item"][name].as_str().unwrap_or_default().to_owned();
                format!("{} {}", part("name"), part("arguments"))
            }
            "response.done" => {
                let (count, ms) = std::mem::take(&mut self.deltas);
                if count > 0 {
                    let sound = seconds(self.language, Duration::from_millis(ms));
                    self.sounding(
                        at,
                        Lane::OpenAi,
                        Lane::Daemon,
                        format!("{count} × audio.delta, {sound} s"),
                    );
                }
                format!("response.done {}", json["response"]["status"].as_str().unwrap_or("?"))
            }
            "error" => format!("error {}", json["error"]["code"].as_str().unwrap_or("?")),
            "conversation.item.truncated" if self.route == Route::Sip => {
                return self.interrupted_at_openai(at, json["audio_end_ms"].as_u64().unwrap_or_default());
            }
            "input_audio_buffer.dtmf_event_received" => {
                format!("dtmf_event_received {}", json["event"].as_str().unwrap_or_default())
            }
            "output_audio_buffer.started"
            | "output_audio_buffer.stopped"
            | "output_audio_buffer.cleared"
            | "session.created"
            | "session.updated"
            | "response.created"
            | "conversation.item.truncated"
            | "conversation.item.deleted" => kind.to_owned(),
            _ => return,
        };
        self.step(at, Lane::OpenAi, Lane::Daemon, &label);
    }

    fn event(&mut self, at: Instant, json: &str) {
        let Ok(json) = serde_json::from_str::<Value>(json) else { return };
        let kind = json["type"].as_str().unwrap_or("?");
        match kind {
            "RecordingFinished" | "ChannelDtmfReceived" if self.route == Route::Sip => {
                return self.step(at, Lane::Asterisk, Lane::Daemon, kind);
            }
            "StasisStart" | "StasisEnd" | "ChannelDtmfReceived" | "ApplicationReplaced" => {}
            _ => return,
        }
        let id = json["channel"]["id"].as_str().unwrap_or_default();
        let (thing, whose) = (self.thing(id), self.mark_of_channel(id));
        self.step(at, Lane::Asterisk, Lane::Daemon, &format!("{whose}{kind} {thing}"));
    }

    /// A short name for a request, which fits between two lifelines.
    fn request_name(&self, path: &str, query: &[(String, String)]) -> String {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let value = |wanted: &str| {
            query.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value.as_str())
        };
        match parts.as_slice() {
            ["channels", "externalMedia"] => "externalMedia".to_owned(),
            ["channels", id] if id.starts_with("oic-") => self.thing(id).to_owned(),
            ["channels", _, "snoop"] => format!("snoop spy={}", value("spy")),
            ["channels", _, "variable"] if value("value").is_empty() => "variable".to_owned(),
            ["channels", _, "variable"] => format!("variable={}", value("value")),
            ["bridges", _] => "bridge".to_owned(),
            ["applications", _] => "application".to_owned(),
            ["recordings", "stored", ..] => "recording".to_owned(),
            [.., last] => (*last).to_owned(),
            [] => String::new(),
        }
    }

    fn sound(&mut self, change: Option<&Change>, who: Lane) {
        let to = if who == Lane::Caller { Lane::OpenAi } else { Lane::Caller };
        match change {
            None => {}
            Some(&Change::Began(at)) => {
                let label = match (who, self.language) {
                    (Lane::Caller, Language::Spanish) => "♪ el llamante habla",
                    (Lane::Caller, Language::English) => "♪ the caller speaks",
                    (_, Language::Spanish) => "♪ el llamante oye al asistente",
                    (_, Language::English) => "♪ the caller hears the assistant",
                };
                self.sounding(at, who, to, label.to_owned());
            }
            Some(Change::Ended(run)) => {
                let length = seconds(self.language, run.length());
                let text = self.language.choose("s de voz", "s of speech");
                self.sounding(run.ended, who, to, format!("{length} {text}"));
            }
        }
    }

    /// Notes that time has passed, which may end runs of speech.
    pub(super) fn pass(&mut self, now: Instant) {
        let (caller, assistant) = (self.caller.pass(now), self.assistant.pass(now));
        self.sound(caller.as_ref(), Lane::Caller);
        self.sound(assistant.as_ref(), self.voice());
    }

    fn words(&mut self, at: Instant, who: Lane, text: Option<&str>) {
        self.row(at, Kind::Words { who, text: text.unwrap_or_default().to_owned() });
    }

    fn step(&mut self, at: Instant, from: Lane, to: Lane, label: &str) {
        self.row(at, Kind::Step { from, to, label: label.to_owned() });
    }

    fn sounding(&mut self, at: Instant, from: Lane, to: Lane, label: String) {
        self.row(at, Kind::Sound { from, to, label });
    }

    fn row(&mut self, at: Instant, kind: Kind) {
        self.rows.push(Row { at, kind });
    }
}

/// The outcome in what the model reads of a tool: `ok`, or the name of the error.
fn outcome(output: &Value) -> String {
    let answer =
        output.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok()).unwrap_or_default();
    if answer["ok"] == true { "ok".to_owned() } else { answer["error"].as_str().unwrap_or("?").to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_is_shown_without_time_level_and_call() {
        let mut story = Story::new(Language::Spanish, Route::Media);
        let now = crate::clock::now();
        story.log(now, "2026-11-20 14:30:25,123 - INFO - [1795.12] Codec detectado: ulaw - x\n");
        let rows = story.take(now, Duration::ZERO);
        assert!(matches!(&rows[0].kind, Kind::Log(text) if text == "Codec detectado: ulaw - x"), "{rows:?}");
    }

    #[test]
    fn what_a_reader_may_take_for_an_error_or_a_bill_is_explained() {
        let mut story = Story::new(Language::English, Route::Media);
        let now = crate::clock::now();
        story.log(
            now,
            "2026-11-20 14:30:25,123 - INFO - [1795.12] Used by the call - Out: 3 - Cost: 0.0877 USD\n",
        );
        let path = "/channels/oic-probe".to_owned();
        let what = What::Request { method: "DELETE".into(), path, query: Vec::new() };
        story.asterisk(&Seen { at: now, status: 404, what });
        let output = serde_json::json!({"ok": false, "error": "ask_first"}).to_string();
        let item = serde_json::json!({"type": "function_call_output", "output": output});
        let text = serde_json::json!({"type": "conversation.item.create", "item": item}).to_string();
        story.openai(&Said { at: now, by_client: true, text });
        let rows = story.take(now, Duration::ZERO);
        let remarks: Vec<_> = rows
            .iter()
            .filter_map(|row| match &row.kind {
                Kind::Remark(text) | Kind::Log(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        let [cost, probe, refused] = remarks[..] else { panic!("{remarks:?}") };
        assert!(cost.ends_with("0.0877 USD – made up: no money was spent"), "{cost}");
        assert!(probe.contains("404 is the right answer") && refused.contains("the caller has not agreed"));
    }
}

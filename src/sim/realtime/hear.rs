//! The caller's side: appended audio, the turns that the VAD finds in it, their items and their transcripts
//! (18–23, 38).
//!
//! [`vad`](super::vad) finds speech, and [`respond`](super::respond) answers it.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::items::{Body, Item, Place};
use super::pace::Pace;
use super::respond::{Asker, Ending};
use super::script::FaultKind;
use super::vad::{Heard, Vad};
use super::validate::Rejection;
use super::{Due, Phase, Session, What};

/// The largest append, in decoded bytes (§8).
const LARGEST_APPEND: usize = 15 * 1024 * 1024;
/// The shortest audio that can be committed, in milliseconds (§8).
const SHORTEST_COMMIT_MS: u64 = 100;

/// The audio of the caller and what was found in it.
#[derive(Debug)]
pub(super) struct Ear {
    pub(super) appended: Vec<u8>,
    /// When each append arrived, and where its audio ends in `appended`.
    pub(super) arrivals: Vec<(Instant, usize)>,
    /// The last append, decoded. The buffer is reused.
    decoded: Vec<u8>,
    /// The length of the audio that is not committed yet, in microseconds.
    buffer_us: u64,
    vad: Vad,
    pace: Pace,
    /// Whether the timer that checks the pace is running.
    is_watched: bool,
    /// The current turn of the caller.
    turn: Option<Turn>,
    /// How often the caller has spoken.
    turns: u32,
    /// The number of turns that got a transcript.
    transcribed: usize,
    /// Transcripts that wait until the next one has overtaken them.
    held: Vec<Transcript>,
    /// A counter. A waiting `idle_timeout_ms` is void if the counter has changed.
    pub(super) stamp: u64,
}

#[derive(Debug)]
struct Turn {
    item: String,
    started_ms: u64,
    faults: Vec<FaultKind>,
}

/// A transcript that is due later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Transcript {
    item: String,
    /// None: the transcription will fail.
    text: Option<String>,
    ms: u64,
    after_next: bool,
}

impl Ear {
    /// Judges the pace from the next audio on.
    pub(super) fn forget_pace(&mut self) {
        self.pace = Pace::default();
    }

    pub(super) fn new() -> Self {
        Self {
            appended: Vec::new(),
            arrivals: Vec::new(),
            decoded: Vec::new(),
            buffer_us: 0,
            vad: Vad::new(),
            pace: Pace::default(),
            is_watched: false,
            turn: None,
            turns: 0,
            transcribed: 0,
            held: Vec::new(),
            stamp: 0,
        }
    }

    /// Forgets the current speech, as when turn detection is switched off.
    pub(super) fn forget_speech(&mut self) {
        self.vad.reset();
        self.turn = None;
    }
}

impl Session {
    /// Handles `input_audio_buffer.append`.
    pub(super) fn append(&mut self, audio: Option<&str>, event_id: Option<&str>) {
        let mut sound = std::mem::take(&mut self.ear.decoded);
        sound.clear();
        let decoded = audio.is_some_and(|audio| STANDARD.decode_vec(audio, &mut sound).is_ok());
        let fault = match (audio, decoded) {
            (Some("") | None, _) => Some("but got empty bytes"),
            (Some(_), false) => Some("but got an invalid value"),
            (Some(_), true) if sound.len() > LARGEST_APPEND => Some("of at most 15 MiB, but got more"),
            (Some(_), true) => None,
        };
        if let Some(fault) = fault {
            let message = format!(
                "Invalid 'audio'. Expected base64-encoded audio bytes (mono PCM16 at 24kHz) {fault}."
            );
            self.refuse(&Rejection::new("invalid_value", message, Some("audio")), event_id);
        } else {
            self.listen(&sound);
        }
        self.ear.decoded = sound;
    }

    fn listen(&mut self, sound: &[u8]) {
        let codec = self.settings.input();
        let audio_us = sound.len() as u64 * 1_000 / codec.bytes_per_ms();
        if self.configured.is_none() {
            self.discipline_once("append before session.updated (18)");
        } else {
            self.check_pace(audio_us);
        }
        if !(sound.len() as u64).is_multiple_of(20 * codec.bytes_per_ms()) {
            self.discipline_once("append of something else than whole frames of 20 ms (20)");
        }
        if self.script.keep_audio {
            self.ear.appended.extend_from_slice(sound);
            self.ear.arrivals.push((self.now, self.ear.appended.len()));
        }
        self.ear.buffer_us += audio_us;
        let turns = self.settings.turn_detection();
        for heard in self.ear.vad.feed(sound, codec, turns, &self.script.vad) {
            match heard {
                Heard::Started { ms } => self.start_turn(ms),
                Heard::Stopped { ms } => self.stop_turn(ms),
            }
        }
    }

    fn check_pace(&mut self, audio_us: u64) {
        if !self.script.dialect.is_strict() {
            return;
        }
        if !std::mem::replace(&mut self.ear.is_watched, true) {
            self.after(Pace::LOOK_EVERY, Due::Pace);
        }
        if let Some(percent) = self.ear.pace.add(self.now, audio_us) {
            self.tell_pace(percent);
        }
    }

    /// Checks the pace, because the client may have stopped sending.
    pub(super) fn look_at_pace(&mut self) {
        if let Some(percent) = self.ear.pace.look(self.now) {
            self.tell_pace(percent);
        }
        self.after(Pace::LOOK_EVERY, Due::Pace);
    }

    fn tell_pace(&mut self, percent: u64) {
        self.discipline(&format!("audio appended at {percent} % of real time over 2 s (20)"));
    }

    fn start_turn(&mut self, ms: u64) {
        self.ear.turns += 1;
        self.ear.stamp += 1;
        let faults = self.faults_of_turn(self.ear.turns);
        let item = self.ids.next("item_u");
        self.note(What::SpeechStarted { item: item.clone(), ms });
        self.emit("input_audio_buffer.speech_started", &json!({"audio_start_ms": ms, "item_id": item}));
        self.ear.turn = Some(Turn { item, started_ms: ms, faults });
        if self.settings.turn_detection().is_some_and(|turns| turns.interrupt_response) {
            self.interrupt(Ending::TurnDetected);
        }
    }

    fn stop_turn(&mut self, ms: u64) {
        let Some(turn) = self.ear.turn.take() else { return };
        self.note(What::SpeechStopped { item: turn.item.clone(), ms });
        self.emit("input_audio_buffer.speech_stopped", &json!({"audio_end_ms": ms, "item_id": turn.item}));
        if turn.faults.contains(&FaultKind::FalseStart) {
            self.ear.buffer_us = 0;
            return;
        }
        self.commit(turn, ms);
        let answers = self.settings.turn_detection().is_some_and(|turns| turns.create_response);
        if answers && self.phase == Phase::Open {
            self.respond_to_turn();
        }
    }

    /// Turns the buffer into an item and schedules its transcript.
    fn commit(&mut self, turn: Turn, stopped_ms: u64) {
        let ms = stopped_ms.saturating_sub(turn.started_ms);
        self.ear.buffer_us = 0;
        self.add_turn_item(&turn.item, ms);
        self.transcribe(turn.item, ms, &turn.faults);
        for fault in turn.faults.into_iter().filter(|fault| !fault.concerns_turn()) {
            self.strike(fault);
        }
    }

    fn add_turn_item(&mut self, item: &str, ms: u64) {
        let body = Body::Turn { ms, transcript: None };
        self.items.insert(Item::new(item.to_owned(), "completed", body), Place::End);
        (self.rounds.fresh, self.rounds.caller_waits) = (true, true);
        let previous = self.items.previous(item).map(str::to_owned);
        self.note(What::Committed { item: item.to_owned() });
        self.emit("input_audio_buffer.committed", &json!({"previous_item_id": previous, "item_id": item}));
        let added = json!({"previous_item_id": previous, "item": self.items.json(item)});
        self.emit("conversation.item.added", &added);
        self.emit("conversation.item.done", &added);
    }

    fn transcribe(&mut self, item: String, ms: u64, faults: &[FaultKind]) {
        if self.settings.transcriber().is_none() {
            return;
        }
        let words = self.script.transcripts.get(self.ear.transcribed).or(self.script.transcripts.last());
        let mut transcript =
            Transcript { item, text: Some(words.cloned().unwrap_or_default()), ms, after_next: false };
        self.ear.transcribed += 1;
        let mut delay = self.script.transcript_delay;
        if faults.contains(&FaultKind::TranscriptNever) {
            return;
        }
        if faults.contains(&FaultKind::TranscriptEmpty) {
            transcript.text = Some(String::new());
        }
        if faults.contains(&FaultKind::TranscriptFailed) {
            transcript.text = None;
        }
        transcript.after_next = faults.contains(&FaultKind::TranscriptAfterNext);
        delay += faults.iter().filter_map(FaultKind::lateness).sum::<Duration>();
        self.after(delay, Due::Transcript(transcript));
    }

    pub(super) fn send_transcript(&mut self, transcript: Transcript) {
        if transcript.after_next {
            self.ear.held.push(Transcript { after_next: false, ..transcript });
            return;
        }
        self.write_transcript(transcript);
        for overtaken in std::mem::take(&mut self.ear.held) {
            self.write_transcript(overtaken);
        }
    }

    fn write_transcript(&mut self, transcript: Transcript) {
        let Transcript { item, text, ms, .. } = transcript;
        let mut body = json!({"item_id": item, "content_index": 0});
        let Some(text) = text else {
            body["error"] = json!({
                "type": "transcription_error", "code": "audio_unintelligible",
                "message": "The audio could not be transcribed.", "param": null,
            });
            return self.emit("conversation.item.input_audio_transcription.failed", &body);
        };
        let model = self.settings.transcriber().unwrap_or_default();
        if matches!(model, "gpt-live-transcribe" | "gpt-realtime-whisper") {
            for word in text.split_inclusive(' ') {
                let delta = json!({"item_id": item, "content_index": 0, "delta": word});
                self.emit("conversation.item.input_audio_transcription.delta", &delta);
            }
        } else if model == "gpt-transcribe" {
            body["languages"] = json!([{"code": self.settings.language()}]);
        }
        if let Some(Body::Turn { transcript, .. }) = self.items.find_mut(&item).map(|item| &mut item.body) {
            *transcript = Some(text.clone());
        }
        body["transcript"] = json!(text);
        body["usage"] = json!({"type": "duration", "seconds": Duration::from_millis(ms).as_secs_f64()});
        self.note(What::Transcript { item, text });
        self.emit("conversation.item.input_audio_transcription.completed", &body);
    }

    /// Handles `input_audio_buffer.commit` (21, 22).
    pub(super) fn commit_by_client(&mut self) -> Result<(), Rejection> {
        if self.settings.turn_detection().is_some() {
            self.discipline("commit while the VAD commits by itself (22)");
        }
        let us = self.ear.buffer_us;
        if us < SHORTEST_COMMIT_MS * 1_000 {
            let message = format!(
                "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but buffer only has {}.{:02}ms of audio.",
                us / 1_000,
                us % 1_000 / 10
            );
            return Err(Rejection::new("input_audio_buffer_commit_empty", message, None));
        }
        let now_ms = self.ear.vad.clock_ms();
        let turn = self.ear.turn.take().unwrap_or_else(|| {
            self.ear.turns += 1;
            let faults = self.faults_of_turn(self.ear.turns);
            Turn { item: self.ids.next("item_u"), started_ms: now_ms - us / 1_000, faults }
        });
        self.ear.forget_speech();
        self.commit(turn, now_ms);
        Ok(())
    }

    /// Handles `input_audio_buffer.clear`.
    pub(super) fn clear(&mut self) {
        self.ear.buffer_us = 0;
        self.ear.forget_speech();
        self.emit("input_audio_buffer.cleared", &json!({}));
    }

    /// The caller has been silent for `idle_timeout_ms`, so the server makes a turn of the silence (§3.3).
    pub(super) fn idle(&mut self, stamp: u64) {
        if stamp != self.ear.stamp || self.ear.vad.is_speaking() {
            return;
        }
        let item = self.ids.next("item_u");
        let end_ms = self.ear.vad.clock_ms();
        let start_ms = end_ms - self.ear.buffer_us / 1_000;
        let body: Value = json!({"audio_start_ms": start_ms, "audio_end_ms": end_ms, "item_id": item});
        self.emit("input_audio_buffer.timeout_triggered", &body);
        self.ear.buffer_us = 0;
        self.add_turn_item(&item, end_ms - start_ms);
        self.respond_to_turn();
    }

    /// Starts a response that the server itself decides to make. Like a response of the client, it is refused
    /// while another one is active (§5).
    fn respond_to_turn(&mut self) {
        if let Some(active) = self.active_response() {
            let message = active.in_the_way();
            return self.send_scripted_error("conversation_already_has_active_response", &message, None);
        }
        self.respond(Asker::Vad, &Value::Null);
    }
}

//! The conversation document. It has exactly the keys of the original system, and more.
//!
//! Times of day are local and have no offset, as in the original system; the offset has a key of its own.
//! Milliseconds count from the beginning of the WAV file, so an event before the first frame has a negative time.

use chrono::{DateTime, FixedOffset, NaiveDateTime, TimeDelta};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::log::{Kept, ToolUse, Used, Wait};
use super::story::Story;
use super::{RecordingId, State, Told};
use crate::call::transcript::{Flaw, Speaker, Utterance};
use crate::end_reason::EndReason;
use crate::number::{self, CallerNumber};
use crate::units::Milliseconds;

/// The content of the conversation document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Conversation {
    pub(super) call_id: String,
    pub(super) start_time: String,
    pub(super) end_time: String,
    pub(super) duration_seconds: f64,
    #[serde(rename = "conversation")]
    pub(super) messages: Vec<Message>,
    pub(super) total_messages: usize,
    pub(super) audio_chunks_count: u64,
    /// `none` if no sound was to be recorded, as in calls that OpenAI answers, or if Asterisk was to record it and nothing of it has come.
    /// Absent from the document otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) audio: Option<&'static str>,
    /// The id of the call at OpenAI, where OpenAI carried the sound of a caller in Asterisk. Absent from the document otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) openai_call_id: Option<String>,
    pub(super) utc_offset: String,
    #[serde(serialize_with = "number::expose")]
    pub(super) caller: CallerNumber,
    pub(super) called: String,
    pub(super) end_reason: Option<String>,
    pub(super) recovered: bool,
    pub(super) model: String,
    pub(super) agent: String,
    /// The version of the agent: the first hexadecimal digits of the hash of its files. Empty if no files describe the agent.
    pub(super) agent_version: String,
    pub(super) interruptions: u64,
    /// What the call used. `None` if the session with the model was never established, or if the document is older
    /// than this key.
    pub(super) usage: Option<Used>,
    pub(super) latency: LatencyRows,
    /// The tools that were carried out. Absent from the document if there were none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tools: Vec<ToolRow>,
    /// The report that the model made when the caller had left. Absent from the document if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) report: Option<Value>,
    pub(super) events: Vec<EventRow>,
}

/// One utterance of the caller or the assistant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Message {
    pub(super) timestamp: String,
    pub(super) speaker: &'static str,
    pub(super) text: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) item: String,
    /// The start within the WAV file, in milliseconds. `None` if the server never reported it.
    pub(super) start_ms: Option<i64>,
    pub(super) end_ms: Option<i64>,
    pub(super) interrupted: bool,
    /// For an interrupted utterance: how much of it was sent to the caller. `said_ms` is the length of the whole
    /// utterance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) heard_ms: Option<Milliseconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) said_ms: Option<Milliseconds>,
    /// The words that the caller heard, estimated in proportion to the time and rounded to whole words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) heard_text: Option<String>,
    /// What the caller missed: `unheard` (the whole utterance) or `cut` (its end).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) flaw: Option<&'static str>,
}

/// How long the caller waited.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct LatencyRows {
    /// The time from the caller's arrival to the assistant's first word.
    pub(super) greeting_ms: Option<u64>,
    pub(super) turns: Vec<TurnRow>,
    pub(super) barge_ins: Vec<BargeInRow>,
}

/// The times of one answer, measured from the end of the caller's speech, which was `at_seconds` after the start of
/// the audio.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct TurnRow {
    pub(super) at_seconds: f64,
    pub(super) speech_stopped_ms: u64,
    pub(super) first_delta_ms: u64,
    pub(super) first_frame_ms: u64,
    /// The part of the time that the daemon added.
    pub(super) own_ms: u64,
}

/// One interruption, with the time for which the assistant was still heard.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct BargeInRow {
    pub(super) at_seconds: f64,
    pub(super) ms: u64,
}

impl LatencyRows {
    fn new(waits: &[Wait], zero: i64) -> Self {
        let into_sound = |at_ms: u64| since(zero, at_ms) as f64 / 1_000.0;
        let mut rows = Self::default();
        for wait in waits {
            match *wait {
                Wait::Greeting { ms } => rows.greeting_ms = Some(ms),
                Wait::Answer { at_ms, speech_stopped_ms, first_delta_ms, first_frame_ms, own_ms } => {
                    let at_seconds = into_sound(at_ms);
                    let row =
                        TurnRow { at_seconds, speech_stopped_ms, first_delta_ms, first_frame_ms, own_ms };
                    rows.turns.push(row);
                }
                Wait::Silence { at_ms, ms } => {
                    rows.barge_ins.push(BargeInRow { at_seconds: into_sound(at_ms), ms });
                }
            }
        }
        rows
    }
}

/// One call of a tool.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct ToolRow {
    /// When the model called, within the WAV file.
    pub(super) at_ms: i64,
    pub(super) timestamp: String,
    #[serde(flatten)]
    pub(super) used: ToolUse,
}

/// One technical event of the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct EventRow {
    pub(super) at_ms: i64,
    pub(super) timestamp: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) detail: String,
}

impl Conversation {
    /// Builds the document from the folded log. `sound_ms` is the length of the recorded audio.
    pub(super) fn new(id: &RecordingId, story: &Story, state: State, sound_ms: u64) -> Self {
        let opened = &story.opened;
        let duration_ms = story.duration_ms(sound_ms);
        let zero = story.sound_began_ms().unwrap_or_default() as i64;
        let mut last = 0;
        let messages: Vec<_> = story
            .utterances()
            .map(|utterance| {
                let began = utterance.began.or(utterance.ended).map_or(last, super::log::ms);
                last = began;
                message(utterance, local(opened.started, began), zero)
            })
            .collect();
        let tool = |tool: &ToolUse| ToolRow {
            at_ms: since(zero, tool.at_ms),
            timestamp: local(opened.started, tool.at_ms),
            used: tool.clone(),
        };
        let event = |event: &super::log::Happened| EventRow {
            at_ms: since(zero, event.at_ms),
            timestamp: local(opened.started, event.at_ms),
            kind: event.kind.clone(),
            detail: event.detail.clone(),
        };
        Self {
            call_id: id.call_id().to_owned(),
            start_time: local(opened.started, 0),
            end_time: local(opened.started, duration_ms),
            duration_seconds: duration_ms as f64 / 1_000.0,
            total_messages: messages.len(),
            messages,
            audio_chunks_count: story.deltas,
            audio: (!opened.keep.is_empty() && !opened.keep.contains(&Kept::Audio)).then_some("none"),
            openai_call_id: story.openai_call.clone(),
            utc_offset: opened.started.offset().to_string(),
            caller: opened.caller.clone(),
            called: opened.called.clone(),
            end_reason: (state != State::Live).then(|| story.reason().to_owned()),
            recovered: state == State::Recovered,
            model: opened.model.clone(),
            agent: opened.agent.clone(),
            agent_version: opened.agent_version.clone(),
            interruptions: story.interruptions(),
            usage: story.used.clone(),
            latency: LatencyRows::new(&story.waits, zero),
            tools: story.tools.iter().map(tool).collect(),
            report: story.report.clone(),
            events: story.events.iter().map(event).collect(),
        }
    }

    /// Says that there is no sound, of a call whose sound Asterisk was to record.
    pub(super) fn note_that_nothing_came(&mut self) {
        if self.openai_call_id.is_some() {
            self.audio = Some("none");
        }
    }

    /// The text of the file.
    pub(super) fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).unwrap_or_default();
        json.push('\n');
        json
    }

    /// What an index holds of the document.
    pub(super) fn told(&self) -> Option<Told> {
        Head::read(self.to_json().as_bytes()).map(|(told, _)| told)
    }
}

fn message(utterance: &Utterance, timestamp: String, zero: i64) -> Message {
    let into_sound = |at| since(zero, super::log::ms(at)).max(0);
    let (speaker, kind) = match utterance.speaker {
        Speaker::Caller => ("user", "transcript_completed"),
        Speaker::Assistant => ("assistant", "transcript_delta"),
    };
    Message {
        timestamp,
        speaker,
        kind,
        text: utterance.text.clone(),
        item: utterance.item.to_string(),
        start_ms: utterance.began.map(into_sound),
        end_ms: utterance.ended.map(into_sound),
        interrupted: utterance.heard.is_some(),
        heard_ms: utterance.heard,
        said_ms: utterance.said,
        heard_text: utterance.heard.and(utterance.said).map(|_| utterance.heard_text()),
        flaw: utterance.flaw.map(Flaw::code),
    }
}

/// The time between the beginning of the audio and an event, in milliseconds. A damaged log may contain any number.
fn since(zero: i64, at_ms: u64) -> i64 {
    i64::try_from(at_ms).unwrap_or(i64::MAX).saturating_sub(zero)
}

/// A time of day in the format of the original system: local, with microseconds and without offset.
fn local(started: DateTime<FixedOffset>, after_ms: u64) -> String {
    let after = TimeDelta::try_milliseconds(after_ms as i64).unwrap_or_default();
    let time = started.naive_local().checked_add_signed(after).unwrap_or_default();
    time.format("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}

/// The part of a conversation document that an index needs. Documents of the original system lack some of the keys.
#[derive(Debug, Deserialize)]
pub(super) struct Head {
    start_time: String,
    #[serde(default)]
    duration_seconds: f64,
    #[serde(default)]
    total_messages: u64,
    #[serde(default)]
    utc_offset: Option<String>,
    #[serde(default)]
    caller: CallerNumber,
    #[serde(default)]
    called: String,
    #[serde(default)]
    end_reason: Option<String>,
    #[serde(default)]
    model: String,
    #[serde(default)]
    agent: String,
    #[serde(default)]
    interruptions: u64,
}

impl Head {
    /// Parses a document. Returns `None` if the text is not a conversation document.
    pub(super) fn read(json: &[u8]) -> Option<(Told, State)> {
        let head: Self = serde_json::from_slice(json).ok()?;
        let recovered = head.end_reason.as_deref() == Some(EndReason::Recovered.code());
        let told = Told {
            started: NaiveDateTime::parse_from_str(&head.start_time, "%Y-%m-%dT%H:%M:%S%.f").ok()?,
            utc_offset: head.utc_offset.and_then(|offset| offset.parse().ok()),
            duration: Milliseconds::new((head.duration_seconds.max(0.0) * 1_000.0).round() as u64),
            caller: head.caller,
            called: head.called,
            model: head.model,
            agent: head.agent,
            end_reason: head.end_reason.unwrap_or_default(),
            interruptions: head.interruptions,
            messages: head.total_messages,
        };
        Some((told, if recovered { State::Recovered } else { State::Finished }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::ledger::Bill;
    use crate::recordings::log::{End, Happened, Line, Opened, Said};
    use crate::units::MicroUsd;

    fn said(item: &str, caller: bool, text: &str, began_ms: u64, ended_ms: u64, after: Option<&str>) -> Line {
        Line::Said(Said {
            item: item.into(),
            caller,
            text: text.into(),
            began_ms: Some(began_ms),
            ended_ms: Some(ended_ms),
            heard_ms: None,
            of_ms: None,
            flaw: None,
            after: after.map(str::to_owned),
        })
    }

    fn story(more: &[Line]) -> Story {
        let opened = Opened {
            started: DateTime::parse_from_rfc3339("2025-10-20T14:30:25.123456-05:00").unwrap(),
            caller: "+34600111222".into(),
            called: "900".into(),
            model: "gpt-realtime-2.1".into(),
            agent: "default".into(),
            agent_version: "0a1b2c3d".into(),
            keep: vec![],
        };
        let event = Happened { at_ms: 250, kind: "media_started".into(), detail: String::new() };
        let lines = [Line::Open(opened), Line::Event(event)];
        let bytes: Vec<u8> = lines.iter().chain(more).flat_map(Line::to_json).collect();
        Story::read(&bytes, Opened::unknown(&"20200101_000000_x".parse().unwrap()))
    }

    #[test]
    fn the_document_has_the_keys_of_the_original_and_the_order_of_the_talk() {
        let story = story(&[
            said("greeting", false, "¡Hola!", 300, 1_300, None),
            said("answer", false, "Claro.", 6_000, 7_000, None),
            said("silent", true, "", 3_900, 4_000, None),
            said("question", true, "Quiero una cita", 2_250, 4_000, Some("greeting")),
            Line::Deltas { count: 42 },
            Line::End(End {
                reason: "caller_hung_up".into(),
                duration_ms: Some(285_500),
                interruptions: Some(1),
            }),
        ]);
        let id = "20251020_143025_17.3".parse().unwrap();
        let document = Conversation::new(&id, &story, State::Finished, 0);
        let json: Value = serde_json::from_str(&document.to_json()).unwrap();
        assert_eq!(json["call_id"], "17.3");
        assert_eq!(json["start_time"], "2025-10-20T14:30:25.123456");
        assert_eq!(json["end_time"], "2025-10-20T14:35:10.623456");
        assert_eq!(json["duration_seconds"], 285.5);
        assert_eq!((&json["agent"], &json["agent_version"]), (&"default".into(), &"0a1b2c3d".into()));
        assert_eq!((&json["total_messages"], &json["audio_chunks_count"]), (&3.into(), &42.into()));
        assert_eq!((&json["utc_offset"], &json["end_reason"]), (&"-05:00".into(), &"caller_hung_up".into()));
        let talk = json["conversation"].as_array().unwrap();
        let texts: Vec<_> = talk.iter().map(|row| row["text"].as_str().unwrap()).collect();
        assert_eq!(texts, ["¡Hola!", "Quiero una cita", "Claro."]);
        assert_eq!(talk[1]["timestamp"], "2025-10-20T14:30:27.373456");
        assert_eq!((&talk[1]["speaker"], &talk[1]["type"]), (&"user".into(), &"transcript_completed".into()));
        assert_eq!(
            (&talk[0]["speaker"], &talk[0]["type"]),
            (&"assistant".into(), &"transcript_delta".into())
        );
        assert_eq!((&talk[1]["start_ms"], &talk[1]["end_ms"]), (&2_000.into(), &3_750.into()));
        assert_eq!(json["events"][0]["at_ms"], 0);
        let told = document.told().unwrap();
        assert_eq!((told.duration.get(), told.messages, told.caller.expose()), (285_500, 3, "+34600111222"));
        assert_eq!(told.utc_offset, FixedOffset::west_opt(5 * 3_600));
    }

    #[test]
    fn a_log_without_end_is_recovered_and_as_long_as_what_it_holds() {
        let used = |cost| Line::Usage(Bill { cost: Some(MicroUsd::new(cost)), ..Bill::default() }.into());
        let story = story(&[used(1_000), said("a", true, "Hola", 500, 1_500, None), used(2_000)]);
        let id = "20251020_143025_17.3".parse().unwrap();
        let document = Conversation::new(&id, &story, State::Recovered, 9_000);
        let json: Value = serde_json::from_str(&document.to_json()).unwrap();
        assert_eq!(json["usage"]["cost_usd"], 0.002, "what was told last");
        assert_eq!(document.end_reason.as_deref(), Some("recovered"));
        assert!(document.recovered && (document.duration_seconds - 9.25).abs() < 1e-9);
        assert_eq!(Head::read(document.to_json().as_bytes()).unwrap().1, State::Recovered);
    }

    #[test]
    fn only_of_a_call_whose_sound_asterisk_records_is_it_said_that_nothing_came() {
        let id = "20251020_143025_17.3".parse().unwrap();
        let audio = |lines: &[Line]| {
            let mut document = Conversation::new(&id, &story(lines), State::Finished, 0);
            document.note_that_nothing_came();
            document.audio
        };
        assert_eq!(audio(&[Line::OpenAiCall { id: "rtc_1".to_owned() }]), Some("none"));
        assert_eq!(audio(&[]), None, "a caller who was never connected");
    }

    #[test]
    fn a_log_from_before_agents_had_versions_is_read() {
        let opened = Line::Open(story(&[]).opened);
        let log = String::from_utf8(opened.to_json()).unwrap();
        let older = log.replace("\"agent_version\":\"0a1b2c3d\",", "");
        assert_ne!(log, older);
        let read = Story::read(older.as_bytes(), Opened::unknown(&"20200101_000000_x".parse().unwrap()));
        assert_eq!(
            (&*read.opened.agent, &*read.opened.agent_version, &*read.opened.called),
            ("default", "", "900")
        );
    }

    #[test]
    fn a_document_of_the_original_system_is_read() {
        let json = r#"{"call_id":"rtc_abc123","start_time":"2025-10-20T14:30:25.123456","end_time":"x",
            "duration_seconds":285.5,"conversation":[{"a":1}],"total_messages":15,"audio_chunks_count":42}"#;
        let (told, state) = Head::read(json.as_bytes()).unwrap();
        assert_eq!((told.messages, told.duration.get(), state), (15, 285_500, State::Finished));
        assert!(told.caller.is_empty() && told.utc_offset.is_none());
        assert!(Head::read(b"{}").is_none());
    }
}

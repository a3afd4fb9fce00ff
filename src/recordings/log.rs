//! The log of an unfinished recording: one JSON line for everything except audio.
//!
//! The first line opens the log and the last line ends it. A log without an end was cut off. The types that write the
//! lines also read them back, and `story` folds them. Milliseconds count from the beginning of the call.

use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::RecordingId;
use crate::call::latency::Waited;
use crate::call::ledger::{Bill, Tokens};
use crate::call::record::{Keep, Opening, ToolEntry};
use crate::call::transcript::{Speaker, Utterance};
use crate::number::{self, CallerNumber};
use crate::units::{MicroUsd, Milliseconds};

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// The call begins. This is the first line.
    Open(Opened),
    /// The present state of an utterance.
    Said(Said),
    /// A conversation item was deleted.
    Forgotten { item: String },
    /// A technical event.
    Event(Happened),
    /// The number of audio deltas in the assistant's audio file so far.
    Deltas { count: u64 },
    /// Everything that the call has used so far.
    Usage(Used),
    /// How long the caller waited for something.
    Waited(Wait),
    /// The caller's number has changed since the opening, for example because of a transfer.
    Caller {
        #[serde(serialize_with = "number::expose")]
        number: CallerNumber,
    },
    /// The call to OpenAI has this id there.
    OpenAiCall { id: String },
    /// A tool was carried out.
    Tool(ToolUse),
    /// The report that the model made on the call.
    Report(Value),
    /// The call has ended. This is the last line.
    End(End),
}

impl Line {
    /// The line as JSON with its line break.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec(self).unwrap_or_default();
        json.push(b'\n');
        json
    }
}

/// A call of a tool of the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ToolUse {
    pub(super) at_ms: u64,
    pub(super) name: String,
    /// The arguments, with private values masked. `None` if words are not kept.
    pub(super) arguments: Option<Value>,
    /// `ok`, or the code of the error.
    pub(super) outcome: String,
    /// What the model read. `None` if words are not kept.
    pub(super) answer: Option<Value>,
    pub(super) ms: u64,
    pub(super) attempts: u32,
    /// The number of the caller's turn in which they agreed. `None` if they did not have to.
    pub(super) agreed_in_turn: Option<usize>,
}

impl From<ToolEntry> for ToolUse {
    fn from(tool: ToolEntry) -> Self {
        Self {
            at_ms: ms(tool.at),
            name: tool.name,
            arguments: tool.arguments.map(json),
            outcome: tool.outcome.to_owned(),
            answer: tool.answer.map(json),
            ms: ms(tool.took),
            attempts: tool.attempts,
            agreed_in_turn: tool.agreed_in_turn,
        }
    }
}

/// The JSON in a text. Any other text stands for itself.
pub(super) fn json(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// What is known when a call begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Opened {
    pub(super) started: DateTime<FixedOffset>,
    #[serde(serialize_with = "number::expose")]
    pub(super) caller: CallerNumber,
    pub(super) called: String,
    pub(super) model: String,
    pub(super) agent: String,
    /// Logs that are older than this key lack it.
    #[serde(default)]
    pub(super) agent_version: String,
    pub(super) keep: Vec<Kept>,
}

/// A kind of data that is kept (`RECORD`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kept {
    Audio,
    Transcript,
    Events,
    Keys,
}

impl Opened {
    /// What the id tells, for a log whose opening is missing.
    pub(super) fn unknown(id: &RecordingId) -> Self {
        Self {
            started: id.started().and_utc().fixed_offset(),
            caller: CallerNumber::default(),
            called: String::new(),
            model: String::new(),
            agent: String::new(),
            agent_version: String::new(),
            keep: Vec::new(),
        }
    }
}

impl From<&Opening> for Opened {
    fn from(opening: &Opening) -> Self {
        let Keep { audio, transcript, events, keys } = opening.keep;
        let kinds = [
            (audio, Kept::Audio),
            (transcript, Kept::Transcript),
            (events, Kept::Events),
            (keys, Kept::Keys),
        ];
        Self {
            started: opening.started,
            caller: opening.caller.clone(),
            called: opening.called.clone(),
            model: opening.model.clone(),
            agent: opening.agent.clone(),
            agent_version: opening.agent_version.clone(),
            keep: kinds.into_iter().filter_map(|(kept, kind)| kept.then_some(kind)).collect(),
        }
    }
}

/// An utterance, and the item that it follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Said {
    pub(super) item: String,
    /// Whether the caller said it. If false, the assistant did.
    pub(super) caller: bool,
    pub(super) text: String,
    pub(super) began_ms: Option<u64>,
    pub(super) ended_ms: Option<u64>,
    pub(super) heard_ms: Option<Milliseconds>,
    /// The length of the whole utterance in milliseconds.
    #[serde(rename = "said_ms")]
    pub(super) of_ms: Option<Milliseconds>,
    /// A code of `Flaw`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) flaw: Option<String>,
    pub(super) after: Option<String>,
}

impl Said {
    pub(super) fn new(utterance: &Utterance, after: Option<String>) -> Self {
        Self {
            item: utterance.item.to_string(),
            caller: utterance.speaker == Speaker::Caller,
            text: utterance.text.clone(),
            began_ms: utterance.began.map(ms),
            ended_ms: utterance.ended.map(ms),
            heard_ms: utterance.heard,
            of_ms: utterance.said,
            flaw: utterance.flaw.map(|flaw| flaw.code().to_owned()),
            after,
        }
    }

    pub(super) fn speaker(&self) -> Speaker {
        if self.caller { Speaker::Caller } else { Speaker::Assistant }
    }
}

/// A technical event of the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Happened {
    pub(super) at_ms: u64,
    /// A code of `EventKind`.
    pub(super) kind: String,
    pub(super) detail: String,
}

/// What the caller waited for, and how long, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Wait {
    /// From the caller's arrival to the assistant's first word.
    Greeting { ms: u64 },
    /// From the end of the caller's speech, at `at_ms`, to the answer. `own_ms` is the part that the daemon added.
    Answer { at_ms: u64, speech_stopped_ms: u64, first_delta_ms: u64, first_frame_ms: u64, own_ms: u64 },
    /// From the beginning of the caller's speech, at `at_ms`, until the assistant was silent.
    Silence { at_ms: u64, ms: u64 },
}

impl From<Waited> for Wait {
    fn from(waited: Waited) -> Self {
        match waited {
            Waited::Greeting(after) => Self::Greeting { ms: ms(after) },
            Waited::Answer(answer) => Self::Answer {
                at_ms: ms(answer.at),
                speech_stopped_ms: ms(answer.speech_stopped),
                first_delta_ms: ms(answer.first_delta),
                first_frame_ms: ms(answer.first_frame),
                own_ms: ms(answer.own),
            },
            Waited::Silence(barge_in) => {
                Self::Silence { at_ms: ms(barge_in.at), ms: ms(barge_in.silent_after) }
            }
        }
    }
}

/// What a call has used and what it costs, in the form in which the conversation document shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Used {
    /// The tokens of the model that talks.
    pub(super) tokens: Counts,
    pub(super) transcription: Transcribed,
    /// The cost in US dollars. `None` if it is unknown.
    pub(super) cost_usd: Option<f64>,
    /// Whether a part of the usage is estimated.
    pub(super) estimated: bool,
    /// The date of the price list.
    pub(super) prices_dated: String,
}

/// The transcription of the caller's speech.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Transcribed {
    pub(super) seconds: f64,
    pub(super) tokens: Counts,
}

/// Tokens by kind. The tokens that were read include the cached ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    text_in: u64,
    audio_in: u64,
    cached_text_in: u64,
    cached_audio_in: u64,
    text_out: u64,
    audio_out: u64,
}

impl From<Tokens> for Counts {
    fn from(tokens: Tokens) -> Self {
        let Tokens { text_in, audio_in, cached_text_in, cached_audio_in, text_out, audio_out } = tokens;
        Self { text_in, audio_in, cached_text_in, cached_audio_in, text_out, audio_out }
    }
}

impl From<Bill> for Used {
    fn from(bill: Bill) -> Self {
        Self {
            tokens: bill.conversation.into(),
            transcription: Transcribed {
                seconds: bill.transcribed.seconds(),
                tokens: bill.transcription.into(),
            },
            cost_usd: bill.cost.map(MicroUsd::usd),
            estimated: bill.estimated,
            prices_dated: bill.prices_dated.as_ref().to_owned(),
        }
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    /// A code of `EndReason`.
    pub(super) reason: String,
    /// The duration of the call. `None` if it is unknown; the length of the recorded data then counts.
    pub(super) duration_ms: Option<u64>,
    pub(super) interruptions: Option<u64>,
}

/// Converts a duration to whole milliseconds.
pub(super) fn ms(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

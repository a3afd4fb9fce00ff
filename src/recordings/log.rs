//! The log of a recording while its call runs: one JSON line for each thing but sound.
//!
//! The first line is the opening, the last the end; a log without an end was cut off. Lines are read back by
//! the same types that wrote them, and folded by `story`. Milliseconds count from the birth of the call.

use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use serde::{Deserialize, Serialize};

use super::RecordingId;
use crate::call::latency::Waited;
use crate::call::ledger::{Bill, Tokens};
use crate::call::record::{Keep, Opening};
use crate::call::transcript::{Speaker, Utterance};

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// The call begins: the first line.
    Open(Opened),
    /// An utterance as it is now.
    Said(Said),
    /// An item is gone.
    Forgotten { item: String },
    /// Something happened.
    Event(Happened),
    /// So many audio deltas are in the assistant's file by now.
    Deltas { count: u64 },
    /// All that the call has used by now.
    Usage(Used),
    /// The caller had to wait.
    Waited(Wait),
    /// Whoever talks has another number from now on than the opening says.
    Caller { number: String },
    /// The call is over: the last line.
    End(End),
}

impl Line {
    /// The line with its end, ready to be appended.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec(self).unwrap_or_default();
        json.push(b'\n');
        json
    }
}

/// What is known when a call begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Opened {
    pub(super) started: DateTime<FixedOffset>,
    pub(super) caller: String,
    pub(super) called: String,
    pub(super) model: String,
    pub(super) agent: String,
    pub(super) keep: Vec<Kept>,
}

/// A kind of thing that is kept (`RECORD`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kept {
    Audio,
    Transcript,
    Events,
    Keys,
}

impl Opened {
    /// All that an id tells, for a log that has lost its opening.
    pub(super) fn unknown(id: &RecordingId) -> Self {
        Self {
            started: id.started().and_utc().fixed_offset(),
            caller: String::new(),
            called: String::new(),
            model: String::new(),
            agent: String::new(),
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
            keep: kinds.into_iter().filter_map(|(kept, kind)| kept.then_some(kind)).collect(),
        }
    }
}

/// An utterance, and what it follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Said {
    pub(super) item: String,
    /// Said by the caller, not the assistant.
    pub(super) caller: bool,
    pub(super) text: String,
    pub(super) began_ms: Option<u64>,
    pub(super) ended_ms: Option<u64>,
    pub(super) heard_ms: Option<u64>,
    /// Of so many.
    #[serde(rename = "said_ms")]
    pub(super) of_ms: Option<u64>,
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
            heard_ms: utterance.heard_ms,
            of_ms: utterance.said_ms,
            flaw: utterance.flaw.map(|flaw| flaw.code().to_owned()),
            after,
        }
    }

    pub(super) fn speaker(&self) -> Speaker {
        if self.caller { Speaker::Caller } else { Speaker::Assistant }
    }
}

/// An event of the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Happened {
    pub(super) at_ms: u64,
    /// A code of `EventKind`.
    pub(super) kind: String,
    pub(super) detail: String,
}

/// What the caller had to wait for, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Wait {
    /// From his arrival to the assistant's first word.
    Greeting { ms: u64 },
    /// From the end of his speech, `at_ms`; `own_ms` is our share.
    Answer { at_ms: u64, speech_stopped_ms: u64, first_delta_ms: u64, first_frame_ms: u64, own_ms: u64 },
    /// From the beginning of his voice, `at_ms`.
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

/// What a call has used and what that costs, as the conversation document shows it too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Used {
    /// Of the model that talks.
    pub(super) tokens: Counts,
    pub(super) transcription: Transcribed,
    /// `None`: unknown.
    pub(super) cost_usd: Option<f64>,
    /// Something had to be guessed.
    pub(super) estimated: bool,
    /// Of which day the prices are.
    pub(super) prices_dated: String,
}

/// What was put into words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Transcribed {
    pub(super) seconds: f64,
    pub(super) tokens: Counts,
}

/// Tokens by kind; the cached ones are counted among those read.
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
                seconds: bill.transcribed_ms as f64 / 1e3,
                tokens: bill.transcription.into(),
            },
            cost_usd: bill.cost.map(|micro| micro as f64 / 1e6),
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
    /// `None`: nobody could say; it is as long as what is kept of it.
    pub(super) duration_ms: Option<u64>,
    pub(super) interruptions: Option<u64>,
}

/// Whole milliseconds.
pub(super) fn ms(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

//! What a call hands to its recording: values only, no files.
//!
//! One [`Opening`], any number of [`Entry`]s in order, one [`Ending`]. Times count from the birth of the call;
//! the wall clock is read once, for the opening.

use std::time::Duration;

use chrono::{DateTime, FixedOffset};

use super::latency::Waited;
use super::ledger::Bill;
use super::transcript::Utterance;
use crate::ari::ChannelId;
use crate::end_reason::EndReason;
use crate::number::CallerNumber;
use crate::realtime::ItemId;
use crate::realtime::calls::CallId;

/// What is kept of a call (`RECORD`); decided when it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// The sound: what was heard, and the assistant's as the model sent it.
    pub audio: bool,
    /// The words.
    pub transcript: bool,
    /// What happened to the session.
    pub events: bool,
    /// Which keys the caller pressed, where words or events are kept: a PIN, a card number. Otherwise it is only kept that
    /// there was one, as `*`.
    pub keys: bool,
}

impl Keep {
    /// Everything.
    pub const ALL: Self = Self { audio: true, transcript: true, events: true, keys: true };
    /// Everything but which keys were pressed.
    pub const USUAL: Self = Self { keys: false, ..Self::ALL };
    /// Nothing: no recording is made at all.
    pub const NOTHING: Self = Self { audio: false, transcript: false, events: false, keys: false };
}

/// A call begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The caller's channel.
    pub channel: ChannelId,
    /// The caller's number; empty if withheld.
    pub caller: CallerNumber,
    /// The number dialled.
    pub called: String,
    /// The model that answers.
    pub model: String,
    /// The agent that answers.
    pub agent: String,
    /// The version of the agent: the first hexadecimal digits of the hash of its files. Empty if no files describe the agent.
    pub agent_version: String,
    /// When, by the wall clock of the machine and in its time zone.
    pub started: DateTime<FixedOffset>,
    /// What is kept.
    pub keep: Keep,
}

/// One piece of a call, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The next frames on the wire clock, stereo µ-law, sample by sample (caller left, assistant right): 320
    /// bytes for each 20 ms, usually 10 frames.
    Sound(Box<[u8]>),
    /// So many frames of silence in both directions: the clock was stopped, the machine asleep.
    Silence {
        /// Of 20 ms.
        frames: u64,
    },
    /// The assistant's µ-law as the model sent it: one audio delta.
    Delta(Box<[u8]>),
    /// An utterance began, changed or ended. Say it when something has changed, not for every syllable: each
    /// goes to disk (those of one item within a second are joined).
    Utterance {
        /// All of it: replaces what was said of the same item.
        utterance: Utterance,
        /// The item it follows. `None`: at the end, or where it is already.
        after: Option<ItemId>,
    },
    /// An item nobody heard is gone.
    Forgotten(ItemId),
    /// Something of the session worth keeping.
    Event {
        /// Since the call began.
        at: Duration,
        /// What.
        kind: EventKind,
        /// More about it; may be empty.
        detail: String,
    },
    /// All that the call has used so far. The last entry of this kind is the call's bill.
    Usage(Bill),
    /// The caller had to wait so long for something.
    Waited(Waited),
    /// The one who talks has this number: they were transferred to us.
    Caller(CallerNumber),
    /// The call to OpenAI has this id there.
    OpenAiCall(CallId),
    /// A tool was carried out, or is given up because the call ends.
    Tool(Box<ToolEntry>),
    /// The report on the call, as JSON, with private values masked.
    Report(String),
}

/// A call of a tool of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolEntry {
    /// When the model called, since the call began.
    pub at: Duration,
    /// The name of the tool.
    pub name: String,
    /// The arguments as JSON, with private values masked. None: words are not kept.
    pub arguments: Option<String>,
    /// How it ended: a code of [`Outcome`](crate::tool::Outcome).
    pub outcome: &'static str,
    /// What the model read, as JSON, with private values masked. None: words are not kept.
    pub answer: Option<String>,
    /// How long it took.
    pub took: Duration,
    /// How many requests were made.
    pub attempts: u32,
    /// The number of the caller's turn in which they agreed. None: they did not have to.
    pub agreed_in_turn: Option<usize>,
}

/// What an [`Entry::Event`] tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// The first frame leaves: the sound's zero.
    MediaStarted,
    /// The session's WebSocket stands.
    Connected,
    /// The session has confirmed its settings.
    Configured,
    /// The caller cut the assistant off.
    Interrupted,
    /// The caller pressed a key.
    Key,
    /// The caller put us on hold, or took us back.
    Hold,
    /// Somebody else talks from now on: they were transferred to us.
    CallerReplaced,
    /// The model used a tool.
    Tool,
    /// Something failed.
    Error,
    /// The session was lost and is back.
    Reconnected,
    /// The server sent more words than a call may have; the rest of them is missing. Told once.
    WordsLost,
    /// An answer was owed and no sign of it came; the detail is what was done: `asked_again`, `new_session`, `given_up`, or
    /// `left` if the call was ending anyway.
    Overdue,
    /// Nothing was said in an answer; the detail is how it ended.
    Unheard,
    /// The model ended an answer in the middle of what it said; the detail is why.
    Cut,
    /// The model failed, and the caller is told so by a clip.
    Apology,
    /// The call is over.
    Ended,
    /// The recording itself missed something: the disk was full or too slow.
    RecordingGap,
}

impl EventKind {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 17] = [
        Self::MediaStarted,
        Self::Connected,
        Self::Configured,
        Self::Interrupted,
        Self::Key,
        Self::Hold,
        Self::CallerReplaced,
        Self::Tool,
        Self::Error,
        Self::Reconnected,
        Self::WordsLost,
        Self::Overdue,
        Self::Unheard,
        Self::Cut,
        Self::Apology,
        Self::Ended,
        Self::RecordingGap,
    ];

    /// Whether it is kept even where events are not: the rest of the recording cannot be read without it.
    #[must_use]
    pub const fn is_needed(self) -> bool {
        matches!(self, Self::MediaStarted | Self::RecordingGap)
    }

    /// The stable word in the recording's files.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::MediaStarted => "media_started",
            Self::Connected => "connected",
            Self::Configured => "configured",
            Self::Interrupted => "interrupted",
            Self::Key => "key",
            Self::Hold => "hold",
            Self::CallerReplaced => "caller_replaced",
            Self::Tool => "tool",
            Self::Error => "error",
            Self::Reconnected => "reconnected",
            Self::WordsLost => "words_lost",
            Self::Overdue => "overdue",
            Self::Unheard => "unheard",
            Self::Cut => "cut",
            Self::Apology => "apology",
            Self::Ended => "ended",
            Self::RecordingGap => "recording_gap",
        }
    }
}

/// A call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// Why.
    pub reason: EndReason,
    /// How long the call lasted.
    pub duration: Duration,
    /// How often the caller cut the assistant off.
    pub interruptions: u64,
}

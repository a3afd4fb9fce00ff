//! What the fake server will say and what will go wrong: plain data, written by a test or by `demo`.
//!
//! Nothing here acts. [`Session`](super::Session) reads a [`Script`] and never changes it, so one script can
//! serve a thousand sessions. A test that needs the second connection to differ from the first (503 twice, then
//! success) hands a different script to each `accept`.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// Which Realtime API is imitated, and how severe the judge is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The GA API as `OpenAI` serves it: only what the real server refuses is a violation.
    Ga,
    /// The GA API, and our own discipline (the ⚑ checks of realtime.md §10) on top.
    GaStrict,
    /// The API of before May 2026 that compatible servers still speak; the discipline applies too.
    Beta,
}

impl Dialect {
    pub(super) fn is_beta(self) -> bool {
        self == Self::Beta
    }

    /// Whether the ⚑ checks count.
    pub(super) fn is_strict(self) -> bool {
        self != Self::Ga
    }
}

/// Everything one session will do. `Script::default()` is a strict GA server that answers one sentence.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "settings, independent of each other")]
pub struct Script {
    /// The API spoken.
    pub dialect: Dialect,
    /// The bearer token expected; `None` accepts any, as long as there is one.
    pub key: Option<String>,
    /// The models that exist.
    pub models: Vec<String>,
    /// The days on which some of them are shut down, as `/v1/models` tells.
    pub shutdowns: Vec<(String, String)>,
    /// Whether `/v1/models` is served; compatible servers often have none.
    pub lists_models: bool,
    /// So many seconds the server's `Date` is ahead of this machine's clock.
    pub clock_ahead: i64,
    /// From `response.create`, or the commit of a turn, to the first delta.
    pub think: Duration,
    /// How many times faster than real time speech is generated. Larger: the whole answer is with the client
    /// before its first word is heard, so nothing is left to cancel. Smaller (1.0): interruptions meet a
    /// response that is still active.
    pub burst: f64,
    /// Sound per delta.
    pub delta_ms: u64,
    /// µ-law bytes added to every delta, so that deltas are no whole number of frames (3, say).
    pub delta_extra_bytes: usize,
    /// Answers to callers' turns and to plain `response.create`s, in turn; the last one repeats.
    pub answers: Vec<Answer>,
    /// The answer to a `response.create` that carries `instructions`; without it, `answers` serves these too.
    pub greeting: Option<Answer>,
    /// What the caller "said", turn by turn; the last one repeats, and an empty list is an empty transcript.
    pub transcripts: Vec<String>,
    /// From the commit of a turn to its transcript.
    pub transcript_delay: Duration,
    /// How speech is found in the appended audio.
    pub vad: VadScript,
    /// How long the session lives; then `session_expired` and close 1001.
    pub expires_in: Duration,
    /// "This instant was that Unix second", for `expires_at`. `None` gives every session the same fixed date.
    pub wall: Option<(Instant, u64)>,
    /// From `response.done` to `rate_limits.updated`.
    pub rate_limits_after: Duration,
    /// `session.updated` shows PCM whatever was asked, and PCM is what is spoken.
    pub echo_wrong_format: bool,
    /// A cancelled response ends with `response.done` alone, without the `done` events of its parts.
    pub terse_cancel: bool,
    /// How often the server pings; `None`: never.
    pub ping_every: Option<Duration>,
    /// How soon a pong must follow.
    pub pong_within: Duration,
    /// ⚑ How soon a function call must be answered, and its answer followed by a response.
    pub tool_within: Duration,
    /// How long after the fact an error is excused as two messages crossing on the wire (a cancel meeting
    /// `response.done`, a `response.create` meeting a response the VAD made). Larger: real mistakes pass.
    pub race_grace: Duration,
    /// Keep what the client appended for [`Session::appended`](super::Session::appended).
    pub keep_audio: bool,
    /// Keep the facts for [`Session::journal`](super::Session::journal).
    pub keep_journal: bool,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

impl Default for Script {
    fn default() -> Self {
        let models = [
            "gpt-realtime-2.1",
            "gpt-realtime-2.1-mini",
            "gpt-realtime-2",
            "gpt-realtime-1.5",
            "gpt-realtime",
            "gpt-realtime-mini",
        ];
        Self {
            dialect: Dialect::GaStrict,
            key: Some("sk-test".to_owned()),
            models: models.map(str::to_owned).to_vec(),
            shutdowns: Vec::new(),
            lists_models: true,
            clock_ahead: 0,
            think: Duration::from_millis(300),
            burst: 30.0,
            delta_ms: 200,
            delta_extra_bytes: 0,
            answers: vec![Answer::pattern("Le paso con ventas.", 2_000, 2)],
            greeting: Some(Answer::pattern("Hola, ¿en qué puedo ayudarle?", 1_500, 1)),
            transcripts: vec!["Quiero hablar con ventas.".to_owned()],
            transcript_delay: Duration::from_millis(400),
            vad: VadScript::default(),
            expires_in: Duration::from_hours(1),
            wall: None,
            rate_limits_after: Duration::from_millis(40),
            echo_wrong_format: false,
            terse_cancel: false,
            ping_every: Some(Duration::from_secs(20)),
            pong_within: Duration::from_secs(10),
            tool_within: Duration::from_secs(20),
            race_grace: Duration::from_millis(250),
            keep_audio: true,
            keep_journal: true,
            faults: Vec::new(),
        }
    }
}

/// One response: its items, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Each part becomes one output item.
    pub parts: Vec<Part>,
}

/// One output item of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A spoken message.
    Speech {
        /// Its transcript.
        text: String,
        /// Its sound, µ-law at 8 kHz, whatever format the session then asks for.
        audio: Arc<[u8]>,
    },
    /// A function call.
    Call {
        /// The tool.
        name: String,
        /// A JSON text, which the fake does not check.
        arguments: String,
    },
}

impl Answer {
    /// One spoken message whose sound is [`pattern`]`(ms, tag)`.
    #[must_use]
    pub fn pattern(text: &str, ms: u64, tag: u8) -> Self {
        Self::speech(text, pattern(ms, tag))
    }

    /// One spoken message.
    #[must_use]
    pub fn speech(text: &str, audio: Arc<[u8]>) -> Self {
        Self { parts: vec![Part::Speech { text: text.to_owned(), audio }] }
    }

    /// One function call.
    #[must_use]
    pub fn call(name: &str, arguments: &str) -> Self {
        Self { parts: vec![Part::Call { name: name.to_owned(), arguments: arguments.to_owned() }] }
    }

    /// This answer, then the other's parts: a preamble and its tool call, two messages in one response.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        self
    }
}

/// µ-law sound that is never silent and of which every 160-byte window, at any offset and of any tag, occurs only
/// once: a test that finds a window in what the phone heard knows which millisecond of which item it was.
#[must_use]
pub fn pattern(ms: u64, tag: u8) -> Arc<[u8]> {
    let mut dice = Dice::new(0x0070_6174_7465_726e ^ (u64::from(tag) << 56));
    // With bit 6 clear, a µ-law byte lies in the louder four of its eight segments, far from the zeros 0x7F and 0xFF.
    (0..ms * 8).map(|_| (dice.roll() & 0xBF).to_le_bytes()[0]).collect()
}

/// How the fake finds speech in the caller's audio. Positions are milliseconds of *appended* audio: without audio,
/// no time passes here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VadScript {
    /// By loudness, in windows of 20 ms.
    Energy {
        /// Mean absolute amplitude (of 32 767) from which a window is speech. Larger: quiet callers are not heard.
        level: u32,
        /// How long it must stay loud. Larger: coughs pass unnoticed, and the start is reported later.
        onset_ms: u64,
    },
    /// By position, whatever the sound is: `(from ms, to ms)`, in order.
    Turns(Vec<(u64, u64)>),
    /// Nobody ever speaks.
    Never,
}

impl Default for VadScript {
    fn default() -> Self {
        Self::Energy { level: 500, onset_ms: 60 }
    }
}

/// One thing that goes wrong, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When.
    pub trigger: Trigger,
    /// What.
    pub kind: FaultKind,
}

impl Fault {
    /// A fault for this moment.
    #[must_use]
    pub fn new(trigger: Trigger, kind: FaultKind) -> Self {
        Self { trigger, kind }
    }
}

/// When a fault strikes. Counting starts at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// At once. Faults of responses and turns then apply to every one of the session.
    OnConnect,
    /// This long after the session began. Faults of responses and turns then apply to the next one.
    At(Duration),
    /// With the n-th response (whoever asked for it). What concerns the connection strikes midway through it.
    OnResponse(u32),
    /// With the n-th time the caller speaks. What concerns the connection strikes when the turn is committed.
    OnTurn(u32),
    /// When the response with the n-th function call is done and the client owes its output.
    OnCall(u32),
}

/// What can go wrong. The numbers are those of realtime.md §10.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// HTTP status instead of the upgrade: 401, 429, 503 (2, 42). Whatever the trigger.
    Refuse(u16),
    /// The same with this code in the body: `insufficient_quota`, `model_not_found`. Whatever the trigger.
    RefuseAs(u16, String),
    /// The same with a page for people in the place of JSON, as a proxy or a firewall sends it. Whatever the trigger.
    RefuseWithPage(u16),
    /// `session.created` comes this much later (43). Whatever the trigger.
    CreatedLate(Duration),
    /// `session.update` is never answered (43). Whatever the trigger.
    UpdatedNever,
    /// The first `session.update` is refused with this code (43). Whatever the trigger.
    UpdateRefused(String),
    /// Unknown events, and unknown fields in known ones, from now on (37).
    Unknowns,
    /// `conversation.item.truncated` and `.deleted` are never sent, from now on (§2.4 d).
    NoAcks,

    /// The transcript comes this much later (38).
    TranscriptLate(Duration),
    /// The transcript comes after the next turn's (38).
    TranscriptAfterNext,
    /// `…transcription.failed` instead of a transcript (38).
    TranscriptFailed,
    /// No transcript (38).
    TranscriptNever,
    /// An empty transcript (38).
    TranscriptEmpty,
    /// `speech_started` and `speech_stopped`, but nothing is committed (§4.3).
    FalseStart,

    /// `response.done` cancelled, without a `response.created` (40).
    DoneWithoutCreated,
    /// This many more deltas once the response has been cancelled (40).
    DeltasAfterCancel(u32),
    /// No `rate_limits.updated` (40).
    NoRateLimits,
    /// `response.done` failed with this code: `rate_limit_exceeded`, `server_error`, `insufficient_quota` (41).
    ResponseFails(String),
    /// The response ends midway, incomplete: `max_output_tokens` or `content_filter` (41).
    ResponseIncomplete(String),
    /// No response begins, and nothing is said about it.
    ResponseIgnored,
    /// `response.created` and no more, until it is cancelled.
    ResponseStuck,
    /// The same after half of the sound.
    ResponseStalls,
    /// `response.created`, then an `error` event of type `server_error`, and no `response.done`: the server has
    /// forgotten the response.
    ResponseAbandoned,
    /// Everything but `response.done`, which the server believes to have sent.
    DoneNever,
    /// `response.done` completed, with an empty `output`.
    ResponseEmpty,
    /// The response ends incomplete for this reason when its words have begun, and before its sound does.
    ResponseMuteIncomplete(String),
    /// The answer comes as text (`output_text`) although sound was asked for.
    ResponseInText,
    /// Function calls carry arguments that are not JSON (45).
    BrokenArguments,
    /// Function calls end with status `incomplete` (45).
    CallIncomplete,

    /// `session_expired` and close 1001 (42).
    Expire,
    /// A close frame.
    Close(u16, String),
    /// TCP ends without one (42).
    Drop,
    /// Nothing is sent or read any more, and the socket stays open.
    Stall,
    /// Nothing is said any more, whatever the client says; the server still pings, and closes at the end of its hour.
    Mute,
    /// An `error` event out of the blue, with this code (§4.3).
    Error(String),
    /// A text frame that is not JSON.
    InvalidJson,
    /// A binary frame.
    BinaryGarbage,
}

impl FaultKind {
    /// Whether it is about one response rather than about the connection.
    pub(super) fn concerns_response(&self) -> bool {
        matches!(
            self,
            Self::DoneWithoutCreated
                | Self::DeltasAfterCancel(_)
                | Self::NoRateLimits
                | Self::ResponseFails(_)
                | Self::ResponseIncomplete(_)
                | Self::ResponseIgnored
                | Self::ResponseStuck
                | Self::ResponseStalls
                | Self::ResponseAbandoned
                | Self::DoneNever
                | Self::ResponseEmpty
                | Self::ResponseMuteIncomplete(_)
                | Self::ResponseInText
                | Self::BrokenArguments
                | Self::CallIncomplete
        )
    }

    /// Whether it is about one turn of the caller.
    pub(super) fn concerns_turn(&self) -> bool {
        matches!(
            self,
            Self::TranscriptLate(_)
                | Self::TranscriptAfterNext
                | Self::TranscriptFailed
                | Self::TranscriptNever
                | Self::TranscriptEmpty
                | Self::FalseStart
        )
    }

    /// The status, and the code if it is another than the usual one.
    pub(super) fn refusal(&self) -> Option<(u16, Option<&str>)> {
        match self {
            Self::Refuse(status) | Self::RefuseWithPage(status) => Some((*status, None)),
            Self::RefuseAs(status, code) => Some((*status, Some(code))),
            _ => None,
        }
    }

    pub(super) fn lateness(&self) -> Option<Duration> {
        if let Self::TranscriptLate(delay) = self { Some(*delay) } else { None }
    }

    pub(super) fn deltas_after_cancel(&self) -> Option<u32> {
        if let Self::DeltasAfterCancel(count) = self { Some(*count) } else { None }
    }

    pub(super) fn failure(&self) -> Option<String> {
        if let Self::ResponseFails(code) = self { Some(code.clone()) } else { None }
    }

    pub(super) fn incompleteness(&self) -> Option<String> {
        if let Self::ResponseIncomplete(reason) = self { Some(reason.clone()) } else { None }
    }

    pub(super) fn mute_incompleteness(&self) -> Option<String> {
        if let Self::ResponseMuteIncomplete(reason) = self { Some(reason.clone()) } else { None }
    }

    /// Whether a response with it has no sound.
    pub(super) fn is_without_sound(&self) -> bool {
        matches!(self, Self::ResponseEmpty | Self::ResponseInText | Self::ResponseMuteIncomplete(_))
    }

    /// Whether it is about how the session begins, and therefore needs no trigger.
    pub(super) fn concerns_opening(&self) -> bool {
        matches!(
            self,
            Self::Refuse(_)
                | Self::RefuseAs(..)
                | Self::RefuseWithPage(_)
                | Self::CreatedLate(_)
                | Self::UpdatedNever
                | Self::UpdateRefused(_)
        )
    }
}

/// Chance from a seed (`SplitMix64`): the same seed, the same session.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

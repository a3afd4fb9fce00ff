//! What the fake server says and what goes wrong: plain data, written by a test or by `demo`.
//!
//! Nothing here acts. [`Session`](super::Session) reads a [`Script`] and never changes it, so one script can
//! serve a thousand sessions. A test in which the second connection differs from the first (503 twice, then
//! success) passes a different script to each `accept`.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// The Realtime API that is imitated, and how strict the fake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The GA API as OpenAI serves it: only what the real server refuses is a violation.
    Ga,
    /// The GA API with the rules of this project (the ⚑ checks of realtime.md §10) in addition.
    GaStrict,
    /// The API of before May 2026, which compatible servers still speak. The rules of this project apply too.
    Beta,
}

impl Dialect {
    pub(super) fn is_beta(self) -> bool {
        self == Self::Beta
    }

    /// Whether the ⚑ checks apply.
    pub(super) fn is_strict(self) -> bool {
        self != Self::Ga
    }
}

/// Everything that one session does. `Script::default()` is a strict GA server that answers one sentence.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "settings, independent of each other")]
pub struct Script {
    /// The API that the server speaks.
    pub dialect: Dialect,
    /// The expected bearer token. None: any token is accepted, but there must be one.
    pub key: Option<String>,
    /// The models that exist.
    pub models: Vec<String>,
    /// The models that are shut down and their dates, as `/v1/models` reports them.
    pub shutdowns: Vec<(String, String)>,
    /// Whether `/v1/models` is served. Compatible servers often lack it.
    pub lists_models: bool,
    /// By how many seconds the server's `Date` is ahead of this machine's clock.
    pub clock_ahead: i64,
    /// The time from `response.create`, or from the commit of a turn, to the first delta.
    pub think: Duration,
    /// How many times faster than real time speech is generated. With a larger value the client has the whole
    /// answer before its first word is heard, so nothing is left to cancel. With a smaller value (1.0)
    /// interruptions meet a response that is still active.
    pub burst: f64,
    /// The milliseconds of audio per delta.
    pub delta_ms: u64,
    /// The number of µ-law bytes added to every delta, so that deltas are not a whole number of frames (for
    /// example 3).
    pub delta_extra_bytes: usize,
    /// The answers to turns of the caller and to plain `response.create`s, in turn. The last one repeats.
    pub answers: Vec<Answer>,
    /// Whether `answers` and `greeting` are not used: the fake repeats what it is told, and calls a function that is named with its
    /// arguments.
    pub parrots: bool,
    /// The answer to a `response.create` with `instructions`. None: `answers` serves these too.
    pub greeting: Option<Answer>,
    /// The answer to a `response.create` outside of the conversation. None: the other answers serve these too.
    pub aside: Option<Answer>,
    /// The transcripts of the caller's turns. The last one repeats, and an empty list gives empty
    /// transcripts.
    pub transcripts: Vec<String>,
    /// The time from the commit of a turn to its transcript.
    pub transcript_delay: Duration,
    /// How speech is found in the appended audio.
    pub vad: VadScript,
    /// The lifetime of the session, which ends with `session_expired` and close code 1001.
    pub expires_in: Duration,
    /// An instant and its Unix time in seconds, for `expires_at`. None: every session has the same fixed
    /// date.
    pub wall: Option<(Instant, u64)>,
    /// The time from `response.done` to `rate_limits.updated`.
    pub rate_limits_after: Duration,
    /// Whether `session.updated` shows PCM and PCM is spoken, whatever was requested.
    pub echo_wrong_format: bool,
    /// Whether a cancelled response ends with `response.done` alone, without the `done` events of its parts.
    pub terse_cancel: bool,
    /// The interval of the server's pings. None: the server never pings.
    pub ping_every: Option<Duration>,
    /// The time within which a pong must follow.
    pub pong_within: Duration,
    /// ⚑ The time within which a function call must be answered, and its answer followed by a response.
    pub tool_within: Duration,
    /// The time after an event during which an error is excused as two messages that crossed on the wire (a
    /// cancel that meets `response.done`, a `response.create` that meets a response of the VAD). A larger
    /// value lets real mistakes pass; a smaller value reports races as mistakes.
    pub race_grace: Duration,
    /// Whether the appended audio is kept for [`Session::appended`](super::Session::appended).
    pub keep_audio: bool,
    /// Whether the facts are kept for [`Session::journal`](super::Session::journal).
    pub keep_journal: bool,
    /// The faults.
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
            parrots: false,
            greeting: Some(Answer::pattern("Hola, ¿en qué puedo ayudarle?", 1_500, 1)),
            aside: None,
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

/// One response: its items in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The parts. Each part becomes one output item.
    pub parts: Vec<Part>,
}

/// One output item of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A spoken message.
    Speech {
        /// The transcript.
        text: String,
        /// The audio, µ-law at 8 kHz, whatever format the session requests.
        audio: Arc<[u8]>,
    },
    /// A function call.
    Call {
        /// The name of the function.
        name: String,
        /// The arguments as JSON text, which the fake does not validate.
        arguments: String,
    },
}

impl Answer {
    /// An answer of one spoken message whose audio is [`pattern`]`(ms, tag)`.
    #[must_use]
    pub fn pattern(text: &str, ms: u64, tag: u8) -> Self {
        Self::speech(text, pattern(ms, tag))
    }

    /// An answer of one spoken message.
    #[must_use]
    pub fn speech(text: &str, audio: Arc<[u8]>) -> Self {
        Self { parts: vec![Part::Speech { text: text.to_owned(), audio }] }
    }

    /// An answer of one function call.
    #[must_use]
    pub fn call(name: &str, arguments: &str) -> Self {
        Self { parts: vec![Part::Call { name: name.to_owned(), arguments: arguments.to_owned() }] }
    }

    /// This answer followed by the parts of the other one: a preamble and its function call, or two messages
    /// in one response.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        self
    }
}

/// µ-law audio that is never silent and in which every 160-byte window, at any offset and of any tag, occurs
/// only once. A test that finds a window in what the phone heard therefore knows which millisecond of which
/// item it was.
#[must_use]
pub fn pattern(ms: u64, tag: u8) -> Arc<[u8]> {
    let mut dice = Dice::new(0x0070_6174_7465_726e ^ (u64::from(tag) << 56));
    // With bit 6 clear, a µ-law byte lies in the louder four of its eight segments, far from the zeros 0x7F
    // and 0xFF.
    (0..ms * 8).map(|_| (dice.roll() & 0xBF).to_le_bytes()[0]).collect()
}

/// How the fake finds speech in the caller's audio. Positions are milliseconds of *appended* audio: without
/// audio, no time passes here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VadScript {
    /// By loudness, in windows of 20 ms.
    Energy {
        /// The mean absolute amplitude (of 32 767) from which a window is speech. With a larger value quiet
        /// callers are not heard; with a smaller value noise is speech.
        level: u32,
        /// How long the audio must stay loud. With a larger value coughs pass unnoticed and the start is
        /// reported later; with a smaller value a click is speech.
        onset_ms: u64,
    },
    /// By position, whatever the audio is: `(from ms, to ms)`, in order.
    Turns(Vec<(u64, u64)>),
    /// The caller never speaks.
    Never,
}

impl Default for VadScript {
    fn default() -> Self {
        Self::Energy { level: 500, onset_ms: 60 }
    }
}

/// One fault and its trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When the fault happens.
    pub trigger: Trigger,
    /// What goes wrong.
    pub kind: FaultKind,
}

impl Fault {
    /// A fault with this trigger.
    #[must_use]
    pub fn new(trigger: Trigger, kind: FaultKind) -> Self {
        Self { trigger, kind }
    }
}

/// When a fault happens. Counting starts at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// At once. Faults of responses and turns then apply to every response or turn of the session.
    OnConnect,
    /// This long after the session began. Faults of responses and turns then apply to the next response or
    /// turn.
    At(Duration),
    /// With the n-th response, whoever asked for it. Faults of the connection happen midway through the
    /// response.
    OnResponse(u32),
    /// With the n-th turn of the caller. Faults of the connection happen when the turn is committed.
    OnTurn(u32),
    /// When the response with the n-th function call is done and the client owes its output.
    OnCall(u32),
}

/// What can go wrong. The numbers are those of realtime.md §10.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// This HTTP status instead of the upgrade: 401, 429, 503 (2, 42). The trigger is ignored.
    Refuse(u16),
    /// The same with this code in the body: `insufficient_quota`, `model_not_found`. The trigger is ignored.
    RefuseAs(u16, String),
    /// The same with a web page instead of JSON, as a proxy or a firewall sends it. The trigger is ignored.
    RefuseWithPage(u16),
    /// `session.created` comes this much later (43). The trigger is ignored.
    CreatedLate(Duration),
    /// `session.update` is never answered (43). The trigger is ignored.
    UpdatedNever,
    /// The first `session.update` is refused with this code (43). The trigger is ignored.
    UpdateRefused(String),
    /// From now on the server sends unknown events, and unknown fields in known events (37).
    Unknowns,
    /// From now on `conversation.item.truncated` and `.deleted` are never sent (§2.4 d).
    NoAcks,

    /// The transcript comes this much later (38).
    TranscriptLate(Duration),
    /// The transcript comes after that of the next turn (38).
    TranscriptAfterNext,
    /// `…transcription.failed` comes instead of a transcript (38).
    TranscriptFailed,
    /// No transcript comes (38).
    TranscriptNever,
    /// The transcript is empty (38).
    TranscriptEmpty,
    /// `speech_started` and `speech_stopped` come, but nothing is committed (§4.3).
    FalseStart,

    /// A cancelled `response.done` comes without a `response.created` (40).
    DoneWithoutCreated,
    /// This many more deltas come after the response has been cancelled (40).
    DeltasAfterCancel(u32),
    /// No `rate_limits.updated` comes (40).
    NoRateLimits,
    /// `response.done` fails with this code: `rate_limit_exceeded`, `server_error`, `insufficient_quota`
    /// (41).
    ResponseFails(String),
    /// The response ends midway as incomplete, for this reason: `max_output_tokens` or `content_filter` (41).
    ResponseIncomplete(String),
    /// No response begins, and nothing is sent about it.
    ResponseIgnored,
    /// `response.created` comes and then nothing, until the response is cancelled.
    ResponseStuck,
    /// The response stops after half of its audio, until it is cancelled.
    ResponseStalls,
    /// `response.created` comes, then an `error` event of type `server_error`, and no `response.done`: the
    /// server has forgotten the response.
    ResponseAbandoned,
    /// Everything except `response.done` comes. The server believes that it has sent `response.done`.
    DoneNever,
    /// `response.done` comes as completed with an empty `output`.
    ResponseEmpty,
    /// The response ends as incomplete for this reason, after its words have begun and before its audio
    /// begins.
    ResponseMuteIncomplete(String),
    /// The answer comes as text (`output_text`) although audio was requested.
    ResponseInText,
    /// Function calls have arguments that are not JSON (45).
    BrokenArguments,
    /// Function calls end with status `incomplete` (45).
    CallIncomplete,

    /// The session ends with `session_expired` and close code 1001 (42).
    Expire,
    /// The server sends a close frame with this code and reason.
    Close(u16, String),
    /// The TCP connection ends without a close frame (42).
    Drop,
    /// The server sends and reads nothing any more, and the socket stays open.
    Stall,
    /// The server says nothing any more, whatever the client says. It still pings, and closes at the end of
    /// its hour.
    Mute,
    /// An `error` event with this code comes without a cause (§4.3).
    Error(String),
    /// The server sends a text frame that is not JSON.
    InvalidJson,
    /// The server sends a binary frame.
    BinaryGarbage,
}

impl FaultKind {
    /// Whether the fault concerns one response rather than the connection.
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

    /// Whether the fault concerns one turn of the caller.
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

    /// The status, and the code if it differs from the usual one.
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

    /// Whether a response with this fault has no audio.
    pub(super) fn is_without_sound(&self) -> bool {
        matches!(self, Self::ResponseEmpty | Self::ResponseInText | Self::ResponseMuteIncomplete(_))
    }

    /// Whether the fault concerns the opening of the session and therefore needs no trigger.
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

/// Random numbers from a seed (`SplitMix64`): the same seed gives the same session.
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

//! A strict, scripted fake of the OpenAI Realtime server, without sockets and without a clock.
//!
//! Frames go in, frames come out, and time is an argument. The same fake therefore runs on a virtual clock in
//! tests and behind real sockets in the demo and the benchmark. The fake validates what the client sends as
//! the documentation says the real server does, and records it for the test. The fake shares no type with the
//! product, so that a wrong idea about the protocol cannot agree with itself.
//!
//! The fake does not understand audio or language. A [`Script`] says what the fake says, hears and breaks.
//!
//! ```text
//!  accept ─► session.created      every call:  receive / advance ─► poll until None ─► wait until deadline()
//!
//!  dispatch ── session.update ──► settings ◄── validate ◄── schema      what is allowed
//!     │ └───── items ───────────► edit ──► items                        the conversation
//!     └─ append ─► hear ─► vad ─► turns, transcripts ─┐
//!     └─ response.create ─────────────────────────────┴► respond ─► speak ─► wire ─► poll()
//! ```
//!
//! | file | what |
//! |---|---|
//! | `script`, `journal` | what the fake does; what it records for the test |
//! | `handshake`, `dispatch`, `schema`, `validate`, `settings` | which clients and events are accepted |
//! | `hear`, `vad`, `pace`, `codec` | the audio of the caller, its turns and its formats |
//! | `items`, `edit`, `rounds` | the conversation; requests that change it; function calls |
//! | `respond`, `speak` | responses, and how they are spoken |
//! | `parrot` | answers without a script |
//! | `trouble` | the scripted faults |
//! | `wire` | how events are written |

mod codec;
mod dispatch;
mod edit;
mod handshake;
mod hear;
mod items;
mod journal;
mod pace;
mod parrot;
mod respond;
mod rounds;
mod schema;
mod script;
mod settings;
mod speak;
#[cfg(test)]
mod tests;
mod trouble;
mod vad;
mod validate;
mod wire;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use handshake::models;
pub use items::{ConversationItem, Role};
pub use journal::{Fact, What};
pub use script::{Answer, Dialect, Fault, FaultKind, Part, Script, Trigger, VadScript, pattern};

use hear::Ear;
use items::Items;
use journal::Journal;
use respond::Response;
use rounds::Rounds;
use script::Dice;
use settings::Settings;
use trouble::Troubles;

/// The HTTP upgrade request as the server sees it.
#[derive(Clone, Copy, Debug)]
pub struct Handshake<'a> {
    /// The path, without the query.
    pub path: &'a str,
    /// The query, without the `?`. Values are compared as they are, without percent-decoding.
    pub query: &'a str,
    /// The headers. Their names may be in any case.
    pub headers: &'a [(String, String)],
}

/// Something that the client sends.
#[derive(Clone, Copy, Debug)]
pub enum Incoming<'a> {
    /// A text frame.
    Text(&'a str),
    /// A binary frame.
    Binary(&'a [u8]),
    /// A pong. The IO layer answers the client's pings.
    Pong,
    /// A close frame, or the end of the connection.
    Closed,
}

/// Something that the server does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// Sends a text frame.
    Text(String),
    /// Sends a binary frame, which the real server never does.
    Binary(Vec<u8>),
    /// Sends a ping, which [`Incoming::Pong`] must answer.
    Ping,
    /// Sends a close frame; nothing follows.
    Close {
        /// The close code.
        code: u16,
        /// The close reason.
        reason: String,
    },
    /// Ends the TCP connection abruptly, without a close frame; nothing follows.
    Drop,
}

/// The refusal of an upgrade in HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The body: JSON, unless a web page is scripted.
    pub body: String,
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    script: Arc<Script>,
    now: Instant,
    phase: Phase,
    out: VecDeque<Outgoing>,
    timers: BTreeMap<(Instant, u64), Due>,
    timers_set: u64,
    ids: Ids,
    dice: Dice,
    journal: Journal,
    settings: Settings,
    /// The frames that arrived before `session.created` was sent; they are handled after it.
    early: Option<Vec<String>>,
    /// When the first `session.updated` was sent.
    configured: Option<Instant>,
    /// When the ping was sent that waits for its pong.
    pinged: Option<Instant>,
    ear: Ear,
    items: Items,
    responses: Vec<Response>,
    rounds: Rounds,
    troubles: Troubles,
    /// How much of each item the test's phone has played, in milliseconds.
    playout: BTreeMap<String, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Stalled,
    /// The server reads but sends nothing.
    Mute,
    Over,
}

/// The purpose of a timer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Due {
    Created,
    Ping,
    Pong,
    Expiry,
    Fault(usize),
    /// The next step of a response.
    Speak(String),
    RateLimits,
    Transcript(hear::Transcript),
    /// The caller has been silent for long. The timer is void if anything happened since.
    Idle(u64),
    /// The client should have answered a function call.
    Tool(String),
    /// All outputs of a round have arrived. The timer is void if a response began since.
    Owed(u64),
    Pace,
}

/// The counters of the ids. Every id contains the seed, so that the ids of two sessions differ. With seed 0
/// the ids are short and easy to read in a test.
#[derive(Debug)]
struct Ids {
    tag: String,
    counts: BTreeMap<&'static str, u64>,
}

impl Ids {
    fn new(seed: u64) -> Self {
        let tag = if seed == 0 { String::new() } else { format!("{seed:x}_") };
        Self { tag, counts: BTreeMap::new() }
    }

    fn next(&mut self, prefix: &'static str) -> String {
        let count = self.counts.entry(prefix).or_default();
        *count += 1;
        format!("{prefix}{}{count}", self.tag)
    }
}

impl Session {
    /// Answers an upgrade request. Only scripted refusals and a wrong path are answered in HTTP. Like the
    /// real server, the fake accepts the upgrade with a wrong key or model and reports the error in its first
    /// frame.
    ///
    /// # Errors
    /// Returns the refusal to send instead of `101 Switching Protocols`.
    pub fn accept(
        now: Instant,
        handshake: &Handshake<'_>,
        script: Arc<Script>,
        seed: u64,
    ) -> Result<Self, Refusal> {
        handshake::refusal(handshake, &script)?;
        let mut ids = Ids::new(seed);
        let expires_at = script.expires_in.as_secs() + handshake::unix_time(&script, now);
        let model = handshake::parameter(handshake.query, "model").unwrap_or_default();
        let settings = Settings::new(script.dialect, &ids.next("sess_"), model, expires_at);
        let journal = Journal::new(script.keep_journal);
        let troubles = Troubles::new(&script);
        let mut session = Self {
            now,
            phase: Phase::Open,
            out: VecDeque::new(),
            timers: BTreeMap::new(),
            timers_set: 0,
            ids,
            dice: Dice::new(seed),
            journal,
            settings,
            early: Some(Vec::new()),
            configured: None,
            pinged: None,
            ear: Ear::new(),
            items: Items::new(script.dialect.is_beta()),
            responses: Vec::new(),
            rounds: Rounds::default(),
            troubles,
            playout: BTreeMap::new(),
            script,
        };
        if session.greet_or_close(handshake) {
            session.set_timers();
        }
        session.advance(now);
        Ok(session)
    }

    /// Receives a frame.
    pub fn receive(&mut self, now: Instant, incoming: Incoming<'_>) {
        self.advance(now);
        match (self.phase, incoming) {
            (Phase::Over, _)
            | (Phase::Stalled, Incoming::Text(_) | Incoming::Binary(_) | Incoming::Pong)
            | (Phase::Mute, Incoming::Text(_) | Incoming::Binary(_)) => {}
            (Phase::Open | Phase::Stalled | Phase::Mute, Incoming::Closed) => self.end(true),
            (Phase::Open | Phase::Mute, Incoming::Pong) => self.pinged = None,
            (Phase::Open, Incoming::Text(text)) => self.dispatch(text),
            (Phase::Open, Incoming::Binary(_)) => self.refuse_binary(),
        }
    }

    /// Lets time pass: everything that is due happens, each at its own instant.
    pub fn advance(&mut self, now: Instant) {
        while let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((at, _), due) = entry.remove_entry();
            self.now = self.now.max(at);
            self.fire(due);
        }
        self.now = self.now.max(now);
    }

    /// When [`advance`](Self::advance) is needed next. None: nothing will happen by itself.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next thing to send. The owner drains this after every `accept`, `receive` and `advance`.
    pub fn poll(&mut self) -> Option<Outgoing> {
        self.out.pop_front()
    }

    /// The mistakes of the client: every refusal that was not a mere race, and the failed ⚑ checks.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.journal.violations
    }

    /// All audio that the client appended, in the negotiated format. Empty without [`Script::keep_audio`].
    #[must_use]
    pub fn appended(&self) -> &[u8] {
        &self.ear.appended
    }

    /// When each append arrived, and where its audio ends in [`Self::appended`].
    #[must_use]
    pub fn arrivals(&self) -> &[(Instant, usize)] {
        &self.ear.arrivals
    }

    /// All facts in order. Empty without [`Script::keep_journal`].
    #[must_use]
    pub fn journal(&self) -> &[Fact] {
        &self.journal.facts
    }

    /// The conversation as the model would remember it.
    #[must_use]
    pub fn conversation(&self) -> Vec<ConversationItem> {
        self.items.conversation()
    }

    /// The current session object, in the form of the dialect.
    #[must_use]
    pub fn settings(&self) -> &serde_json::Value {
        self.settings.echo()
    }

    /// Reports how much of an item the caller's phone has played so far. Without such reports, ⚑ 31 cannot
    /// compare.
    pub fn report_playout(&mut self, item: &str, ms: u64) {
        self.playout.insert(item.to_owned(), ms);
    }

    /// Whether the IO layer should stop reading the socket, so that the client feels the back-pressure.
    #[must_use]
    pub fn stalled(&self) -> bool {
        self.phase == Phase::Stalled
    }

    /// Whether the session has ended: closed by either side, or dropped.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    fn set_timers(&mut self) {
        self.after(self.troubles.created_late, Due::Created);
        self.after(self.script.expires_in, Due::Expiry);
        if let Some(every) = self.script.ping_every {
            self.after(every, Due::Ping);
        }
        for (delay, fault) in Troubles::timed(&self.script) {
            self.after(delay, Due::Fault(fault));
        }
    }

    fn after(&mut self, delay: Duration, due: Due) {
        self.timers_set += 1;
        self.timers.insert((self.now + delay, self.timers_set), due);
    }

    fn fire(&mut self, due: Due) {
        match due {
            Due::Created => self.send_created(),
            Due::Ping => self.send_ping(),
            Due::Pong => self.miss_pong(),
            Due::Expiry => self.expire(),
            Due::Fault(index) => self.strike_timed(index),
            Due::Speak(response) => self.speak(&response),
            Due::RateLimits => self.send_rate_limits(),
            Due::Transcript(transcript) => self.send_transcript(transcript),
            Due::Idle(stamp) => self.idle(stamp),
            Due::Tool(call_id) => self.miss_tool(&call_id),
            Due::Owed(round) => self.miss_response(round),
            Due::Pace => self.look_at_pace(),
        }
    }

    fn send_ping(&mut self) {
        self.out.push_back(Outgoing::Ping);
        self.pinged = Some(self.now);
        self.after(self.script.pong_within, Due::Pong);
        if let Some(every) = self.script.ping_every {
            self.after(every, Due::Ping);
        }
    }

    fn miss_pong(&mut self) {
        if self.pinged.is_some_and(|at| at + self.script.pong_within <= self.now) {
            self.discipline("ping not answered (7)");
            self.close(1011, "keepalive ping timeout");
        }
    }

    fn close(&mut self, code: u16, reason: &str) {
        self.out.push_back(Outgoing::Close { code, reason: reason.to_owned() });
        self.end(false);
    }

    fn end(&mut self, by_client: bool) {
        self.phase = Phase::Over;
        self.timers.clear();
        self.journal.note(self.now, What::Closed { by_client });
    }

    /// ⚑ Records that the client broke a rule of this project.
    fn discipline(&mut self, words: &str) {
        if self.script.dialect.is_strict() {
            self.journal.violation(self.now, words.to_owned());
        }
    }

    /// ⚑ Records such a violation only once, because it would repeat with every packet.
    fn discipline_once(&mut self, words: &'static str) {
        if self.script.dialect.is_strict() && self.journal.first(words) {
            self.journal.violation(self.now, words.to_owned());
        }
    }

    fn note(&mut self, what: What) {
        self.journal.note(self.now, what);
    }
}

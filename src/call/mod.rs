//! One phone call, as a fold over its inputs.
//!
//! Everything that can happen to a call is one [`Input`]; everything it wants done is one [`Output`]. Between
//! them is plain code: no clock, socket, task, lock or `Result`. A packet, an Asterisk event, a word of the
//! model, the passing of time: each is handled the same way, in the daemon, in tests on a virtual clock and in
//! the simulator.
//!
//! ```text
//!              StasisStart
//!                  │  new()
//!                  ▼
//!              SettingUp          bridge, media channel and session are asked for at once;
//!              │   │              silence flows as soon as Asterisk names its port
//!              │   │ joined, and session.updated has come
//!              │   ▼
//!              │ Talking          turns: Listening → Thinking → Speaking
//!              │   │              speech_started while Speaking = barge-in (turn.rs)
//!              │   │
//!              │   │ caller gone · model lost · Asterisk refuses · shutdown
//!              ▼   ▼
//!             Closing             the caller goes back to the dialplan if they are still there; what was
//!                  │              made in Asterisk is deleted (legs.rs); bounded by a deadline
//!                  ▼
//!                Ended            deadline() is None
//! ```
//!
//! Each machine below (`Legs`, `Session`, `Playout`, `Floor`, …) keeps its fields to itself: it is told what happened, takes what
//! it needs as arguments, and answers with what is to be done. `impl Call` blocks stand between them.
//!
//! Assertions of what must always be true stay on in release; each stands where it can fail. They take the same time however
//! long a call lasts. An assertion that fails ends this call alone: its task panics, the recording ends as an internal error with
//! everything that had been handed to it, the caller goes on in the dialplan, and the operator is told.
//!
//! | file | holds |
//! |---|---|
//! | `input`, `output`, `seed` | what can happen to a call, what it wants done, what it is born with |
//! | `closing`, `timers` | its phases and its end; when what is due |
//! | `legs`, `thing`, `caller`, `attempt` | what exists in Asterisk, its order and its undoing; one thing of it; the caller's channel; what is tried again |
//! | `asterisk`, `replies` | what Asterisk tells; what its answers mean |
//! | `leg` | where the caller is, in Asterisk or at OpenAI, and who carries the sound |
//! | `openai_leg`, `sip`, `speeches` | a call that OpenAI answers by SIP: taking it and letting it go; its conversation; what its caller hears |
//! | `dialled`, `snoops` | a caller in Asterisk who is joined to a call to OpenAI; the recording that Asterisk makes of it |
//! | `session` | the session: opening, settings, errors |
//! | `packets`, `source` | the caller's packets; whose they are |
//! | `uplink`, `to_model`, `ear` | caller → model; our own voice detector |
//! | `playout`, `alignment` | model → caller, the 20 ms clock, what was *heard*; frames leave together with packets |
//! | `responses`, `answer`, `turn`, `floor` | one answer at a time; what comes of it; barge-in; who has the floor |
//! | `owed` | an answer that does not come |
//! | `transcript` | who said what |
//! | `keys` | what the caller presses |
//! | `knowledge` | the facts of the call, and what was looked up about the caller |
//! | `resume` | another session when the first is lost or expires |
//! | `debrief` | the report that the model makes when the caller has left |
//! | `limits`, `watch` | what a call may not exceed; what is counted for that |
//! | `spending`, `ledger` | what is paid for; what that comes to |
//! | `tools`, `leaving` | what the model may do beside speaking; ending a call on purpose |
//! | `stopwatch`, `latency` | when the caller's waits are measured; how long they are |
//! | `glance` | how it is at this moment, for whoever watches |
//! | `report` | what remains of it |
//! | `record`, `tape` | what the recording gets; both directions on one clock |

mod alignment;
mod answer;
#[cfg(test)]
mod assertion_tests;
mod asterisk;
mod attempt;
mod caller;
mod closing;
pub mod debrief;
#[cfg(test)]
mod diagram_tests;
mod dialled;
pub mod ear;
mod floor;
pub mod glance;
mod input;
mod keys;
mod knowledge;
pub mod latency;
mod leaving;
pub mod ledger;
mod leg;
pub mod legs;
pub mod limits;
mod openai_leg;
mod output;
mod owed;
mod packets;
pub mod playout;
pub mod record;
pub mod replies;
mod report;
pub mod responses;
mod resume;
mod seed;
mod session;
mod sip;
pub mod snoops;
pub mod source;
mod speeches;
mod spending;
mod stopwatch;
pub mod tape;
mod thing;
mod timers;
pub mod to_model;
pub mod tools;
pub mod transcript;
mod turn;
pub mod uplink;
mod watch;

use std::sync::Arc;
use std::time::Instant;

use crate::operator::Notice;
use crate::realtime::ItemId;

pub use closing::CLOSING_PATIENCE;
use closing::Phase;
use floor::Floor;
use glance::Shown;
pub use input::{Fetched, Hold, Input, LegEvent, SessionEnd, Wish};
use keys::Keys;
use knowledge::Knowledge;
pub use knowledge::Known;
use leaving::Leaving;
use ledger::Ledger;
use leg::Leg;
use legs::Legs;
pub use output::{Output, Standing};
use owed::Owed;
use packets::CodecSaid;
use playout::Playout;
use record::{Entry, EventKind};
pub use report::{Counters, Report, SessionFault, SessionFaults};
use responses::Responses;
use resume::Sessions;
use seed::{Birth, OwnSockets};
pub use seed::{DialSeed, Seed, Settings, SipSeed};
use session::Session;
pub use snoops::Sounds;
use source::Source;
use stopwatch::Stopwatch;
use tape::Tape;
use to_model::ToModel;
use tools::Tools;
use transcript::Transcript;
use uplink::Uplink;
use watch::Watch;

/// Where the conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The caller has the floor.
    Listening,
    /// The model prepares its answer.
    Thinking,
    /// The caller hears the assistant.
    Speaking,
}

/// One call.
#[derive(Debug)]
pub struct Call {
    settings: Arc<Settings>,
    now: Instant,
    born: Instant,
    /// Unix seconds at its birth.
    wall: i64,
    phase: Phase,
    leg: Leg,
    session: Session,
    uplink: Uplink,
    to_model: ToModel,
    tape: Option<Tape>,
    playout: Playout,
    responses: Responses,
    owed: Owed,
    floor: Floor,
    transcript: Transcript,
    tools: Tools,
    leaving: Option<Leaving>,
    watch: Watch,
    ledger: Ledger,
    sessions: Sessions,
    keys: Keys,
    knowledge: Knowledge,
    stopwatch: Stopwatch,
    shown: Shown,
    sockets: OwnSockets,
    source: Source,
    codec_said: CodecSaid,
    events_said: u64,
    counters: Counters,
    /// When the caller left, of a call on which a report is made.
    left_at: Option<Instant>,
    /// The report.
    filled: Option<serde_json::Value>,
    outputs: Vec<Output>,
    /// When time must pass next. None: the call is over.
    next_due: Option<Instant>,
}

impl Call {
    /// A call that begins now: a caller has entered the application. The first [`Self::handle`] gives out the
    /// requests that set it up.
    pub fn new(now: Instant, settings: Arc<Settings>, seed: Seed) -> Self {
        let mut outputs = vec![
            Output::Notice(Notice::CallReceived { channel: seed.channel_name.clone() }),
            Output::Notice(Notice::RtpBound { address: seed.local }),
        ];
        let mut legs = Legs::new(now, settings.app.clone(), &seed.channel, seed.answered);
        legs.begin(seed.advertised, &mut outputs);
        outputs.push(Output::OpenSession);
        Self::with(now, settings, Leg::Asterisk(Box::new(legs)), seed.into(), outputs)
    }

    fn with(now: Instant, settings: Arc<Settings>, leg: Leg, birth: Birth, outputs: Vec<Output>) -> Self {
        let tape = (settings.keep.audio && leg.openai().is_none()).then(Tape::default);
        let mut call = Self {
            now,
            born: now,
            wall: birth.wall,
            phase: Phase::SettingUp,
            leg,
            session: Session::opening(now),
            uplink: Uplink::default(),
            to_model: ToModel::new(settings.uplink_frames_per_append),
            tape,
            playout: Playout::new(birth.stream),
            responses: Responses::default(),
            owed: Owed::new(now),
            floor: Floor::new(settings.recording_notice.as_ref()),
            transcript: Transcript::default(),
            tools: Tools::default(),
            leaving: None,
            watch: Watch::new(),
            ledger: Ledger::default(),
            sessions: Sessions::default(),
            keys: Keys::default(),
            sockets: birth.sockets,
            knowledge: Knowledge::new(now, birth.known),
            stopwatch: Stopwatch::new(birth.answered),
            shown: Shown::default(),
            source: Source::new(settings.trust, settings.media_networks.clone()),
            codec_said: CodecSaid::default(),
            events_said: 0,
            settings,
            counters: Counters::default(),
            left_at: None,
            filled: None,
            outputs,
            next_due: None,
        };
        call.next_due = call.due();
        call
    }

    /// Advances the clock, applies the input, and returns everything the call wants done, in order. Of a call that is over
    /// nothing comes.
    ///
    /// # Panics
    /// Something that must always be true is not: see the module's documentation.
    #[must_use = "the outputs are what the call does"]
    pub fn handle(&mut self, now: Instant, input: Input<'_>) -> std::vec::Drain<'_, Output> {
        self.now = self.now.max(now);
        if self.is_over() {
            assert!(self.outputs.is_empty(), "something comes out of a call that has ended");
        } else {
            self.counters.inputs += 1;
            let is_packet = matches!(input, Input::Rtp { .. });
            self.take(input);
            if is_packet {
                self.advance_with_packet();
            } else {
                self.advance();
            }
        }
        self.outputs.drain(..)
    }

    fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }

    /// Asserts that the line about the end of the call is the last that comes out of it.
    ///
    /// # Panics
    /// Something comes out behind it.
    fn check_end(&self) {
        if self.is_over() {
            let last = self.outputs.last();
            let is_end = matches!(last, Some(Output::Notice(Notice::CallEnded { .. })));
            assert!(is_end, "the end of the call is not the last that comes out of it");
        }
    }

    /// Applies the input.
    fn take(&mut self, input: Input<'_>) {
        match input {
            Input::Tick => {}
            Input::Rtp { from, datagram } => self.rtp(from, datagram),
            Input::Leg(event) => self.leg_event(event),
            Input::CallerReplaced { by, next_step } => self.caller_replaced(by, next_step),
            Input::CallerRenumbered(number) => {
                self.outputs.push(Output::Record(Entry::Caller(number.clone())));
            }
            Input::Ari { request, reply } => self.replied(request, reply),
            Input::Sip { request, reply } => self.sip_replied(request, reply),
            Input::Offered(call) => self.offered(call),
            Input::SoundsFetched(fetched) => self.sounds_fetched(fetched),
            Input::SessionOpened => self.session_opened(),
            Input::Session(event) => self.session(event),
            Input::Unreadable(malformed) => self.unreadable(malformed),
            Input::SessionEnded(end) => self.session_ended(&end),
            Input::LookedUp { name, value } => self.looked_up(name, value),
            Input::Tool(result) => self.tool_ended(result),
            Input::Supervisor(wish) => self.supervised(wish),
            Input::Shutdown => self.shut_down(),
        }
    }

    /// When to call `handle(_, Input::Tick)` if nothing comes first. None: the call is over.
    ///
    /// # Panics
    /// The instant is not later than that of the last input: whoever waits for it would never rest.
    pub fn deadline(&self) -> Option<Instant> {
        assert!(self.next_due.is_none_or(|at| at > self.now), "the next deadline has passed");
        self.next_due
    }

    /// Whose turn it is.
    pub fn turn(&self) -> Turn {
        if self.is_speaking() {
            Turn::Speaking
        } else if self.responses.is_busy() {
            Turn::Thinking
        } else {
            Turn::Listening
        }
    }

    /// Whether the session stands, and nothing is being said, asked of the model or done by a tool: it is the caller's turn.
    pub fn is_at_rest(&self) -> bool {
        let works = self.tools.is_pending() || self.tools.is_running() || self.leaving.is_some();
        let speaks = self.is_speaking() || self.responses.is_pending() || self.floor.caller_speaks();
        self.session.is_ready() && !works && !speaks
    }

    /// Records that something happened.
    fn note(&mut self, kind: EventKind, detail: String) {
        if self.settings.keep.events || kind.is_needed() {
            let at = self.now - self.born;
            self.outputs.push(Output::Record(Entry::Event { at, kind, detail }));
        }
    }

    /// Records what an item says by now, and where it stands.
    fn tell(&mut self, item: &ItemId, after: Option<ItemId>) {
        if self.settings.keep.transcript
            && let Some(utterance) = self.transcript.find(item)
        {
            let utterance = utterance.clone();
            self.outputs.push(Output::Record(Entry::Utterance { utterance, after }));
        }
    }

    /// A new id for something we say to the model's server.
    fn event_id(&mut self) -> String {
        self.events_said += 1;
        format!("c_{}", self.events_said)
    }
}

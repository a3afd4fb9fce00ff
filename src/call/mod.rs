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
//!     ┌──────── Setting up ───────┐   bridge, media channel and session are asked for at once;
//!     │            │              │   silence flows as soon as Asterisk names its port
//!     │            │ session.updated, joined, answered
//!     │            ▼              │
//!     │          Talking ◄──┐     │   turns: Listening → Thinking → Speaking
//!     │            │        │     │   speech_started while Speaking = barge-in (turn.rs)
//!     │            │ └──────┘     │
//!     │ caller gone · model lost · Asterisk refuses · shutdown
//!     ▼            ▼              ▼
//!                Closing             the caller goes back to the dialplan if he is still there; what was
//!                  │                 made in Asterisk is unmade (legs.rs); bounded by a deadline
//!                  ▼
//!                Ended               deadline() is None
//! ```
//!
//! Assertions of what must always be true stay on in release (`check` here, in `playout`, in `tape`; others where they belong).
//! They take no longer the longer a call lasts. One that fails ends this call: its task panics, and the daemon does what
//! it does whenever that happens. The recording keeps what there is of it, the caller goes on in the dialplan, the operator
//! is told.
//!
//! | file | holds |
//! |---|---|
//! | `seed` | what a call is born with |
//! | `legs`, `caller`, `attempt` | what exists in Asterisk, its order and its undoing; the caller's channel; what is tried again |
//! | `replies` | what Asterisk's answers mean |
//! | `agent` | the session: opening, settings, errors |
//! | `packets`, `source` | the caller's packets; whose they are |
//! | `uplink`, `to_model`, `ear` | caller → model; our own voice detector |
//! | `playout` | model → caller, the 20 ms clock, what was *heard* |
//! | `responses`, `answer`, `turn` | one answer at a time; what comes of it; barge-in |
//! | `owed` | an answer that does not come |
//! | `transcript` | who said what |
//! | `keys` | what the caller presses |
//! | `resume` | another session when the first is lost or expires |
//! | `limits` | what a call may not exceed |
//! | `ledger` | what it has used, and what that costs |
//! | `tools`, `leaving` | what the model may do beside speaking; ending a call on purpose |
//! | `latency` | how long the caller waits |
//! | `glance` | how it is at this moment, for whoever watches |
//! | `report` | what remains of it |
//! | `record`, `tape` | what the recording gets; both directions on one clock |

mod agent;
mod answer;
#[cfg(test)]
mod assertion_tests;
mod attempt;
mod caller;
pub mod ear;
pub mod glance;
mod keys;
pub mod latency;
mod leaving;
pub mod ledger;
pub mod legs;
pub mod limits;
mod owed;
mod packets;
pub mod playout;
pub mod record;
pub mod replies;
mod report;
pub mod responses;
mod resume;
mod seed;
pub mod source;
pub mod tape;
pub mod to_model;
pub mod tools;
pub mod transcript;
mod turn;
pub mod uplink;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ari::request::{Reply, Request};
use crate::ari::{ChannelId, Place};
use crate::media::Frame;
use crate::media::rtp::{self, PACKET_BYTES};
use crate::operator::{Detail, EndReason, LinkFault, Notice};
use crate::realtime::ItemId;
use crate::realtime::client::ClientEvent;
use crate::realtime::error::Refusal;
use crate::realtime::server::{Event, Malformed};

use agent::Agent;
use caller::Exit;
use glance::Shown;
use keys::Keys;
use latency::Stopwatch;
use leaving::Leaving;
use ledger::Ledger;
use legs::Legs;
use limits::Watch;
use owed::Owed;
use packets::{CodecSaid, tape_caller};
use playout::Playout;
use record::{Entry, EventKind};
use replies::Progress;
pub use report::{Counters, Report, SessionFault, SessionFaults};
use responses::Responses;
use resume::Sessions;
pub use seed::{Seed, Settings};
use source::Source;
use tape::Tape;
use to_model::ToModel;
use tools::{Destination, Tools};
use transcript::Transcript;
use turn::Floor;
use uplink::Uplink;

/// How long a call may take to undo what it made, before it is given up; and when the daemon stops, how long to let its
/// caller go. Longer than a request's time-out and its repetition; shorter than anyone's patience with `systemctl stop`.
pub const CLOSING_PATIENCE: Duration = Duration::from_secs(10);

/// How long an ended call's session stays open for words that are still to be transcribed. Most come within a
/// second; longer keeps a session for nothing.
const WORDS_PATIENCE: Duration = Duration::from_secs(2);

/// Something that happens to a call.
#[derive(Debug)]
pub enum Input<'a> {
    /// Time has passed.
    Tick,
    /// A datagram at our RTP socket.
    Rtp {
        /// Who sent it.
        from: SocketAddr,
        /// All of it.
        datagram: &'a [u8],
    },
    /// News of one of our channels.
    Leg(LegEvent),
    /// Somebody was transferred to us: this channel stands in the caller's place, in the bridge too.
    CallerReplaced {
        /// The channel.
        by: &'a ChannelId,
        /// Where the dialplan would have gone on with the one before; this one knows no next step of its own.
        next_step: Option<&'a Place>,
    },
    /// The one who talks has this number.
    CallerRenumbered(&'a str),
    /// The end of a request we made.
    Ari {
        /// The request.
        request: &'a Request,
        /// How it ended.
        reply: &'a Reply,
    },
    /// The session's WebSocket stands.
    SessionOpened,
    /// The model's server says something.
    Session(Event<'a>),
    /// The model's server says something that cannot be read.
    Unreadable(&'a Malformed),
    /// The session's WebSocket could not be opened, or is gone.
    SessionEnded(SessionEnd),
    /// A supervisor who watches wants something.
    Supervisor(&'a Wish),
    /// The daemon stops: end the call.
    Shutdown,
}

/// What a supervisor wants of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// To end it.
    HangUp,
    /// To hand the caller over to a colleague.
    HandOver(Destination),
}

/// News of one of a call's channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegEvent {
    /// The caller hung up, or his channel left us for another reason.
    CallerLeft,
    /// The caller's channel has been answered.
    CallerUp,
    /// Our media channel is in the application.
    MediaEntered,
    /// Our media channel is gone.
    MediaLeft,
    /// Another program has taken the caller from us.
    TakenOver,
    /// Asterisk is being stopped, or was, and everything in it is gone.
    AsteriskLost,
    /// The caller pressed a key.
    Key(char),
    /// The caller put us on hold (true), or took us back.
    Hold(bool),
}

/// Why there is no session (any more).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEnd {
    /// Why trying again would end the same way, if it would.
    pub refusal: Option<Refusal>,
    /// What became of it; for the log.
    pub cause: LinkFault,
}

/// How the model's server stands, as a call has found out: the next one would fare the same.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// The caller is about to hear the model for the first time.
    Serves,
    /// The call is not served, or no longer.
    Fails {
        /// Why the caller goes on in the dialplan.
        reason: EndReason,
        /// What the operator has been told about it.
        cause: Box<Notice>,
    },
}

/// Something a call wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send this packet to the media address.
    Rtp([u8; PACKET_BYTES]),
    /// From now on packets go there.
    MediaAddress(SocketAddr),
    /// From now on packets from anywhere else need not be received.
    MediaSource(SocketAddr),
    /// Caller audio for the model. Frames up to and including a `complete` one make one
    /// `input_audio_buffer.append`.
    Append {
        /// 20 ms.
        frame: Frame,
        /// The append ends with it.
        complete: bool,
    },
    /// Say this to the model's server.
    Session(ClientEvent),
    /// Open the model's session.
    OpenSession,
    /// Close it.
    CloseSession,
    /// Make this request; its end comes back as [`Input::Ari`].
    Ari(Request),
    /// Tell the operator.
    Notice(Notice),
    /// Tell whoever admits callers.
    Standing(Standing),
    /// Record this.
    Record(Entry),
}

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    /// `until`: when what is left in Asterisk is given up, unless the caller is among it. `stops_at`: when the caller is
    /// given up too, because the daemon stops. `words_until`: how long the session stays open for words that are still
    /// to be transcribed.
    Closing {
        reason: EndReason,
        until: Instant,
        stops_at: Option<Instant>,
        words_until: Option<Instant>,
    },
    Ended {
        reason: EndReason,
    },
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
    legs: Legs,
    agent: Agent,
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
    stopwatch: Stopwatch,
    shown: Shown,
    source: Source,
    codec_said: CodecSaid,
    events_said: u64,
    counters: Counters,
    outputs: Vec<Output>,
}

impl Call {
    /// A call that begins now: a caller has entered the application. The first [`Self::handle`] gives out the
    /// requests that set it up.
    pub fn new(now: Instant, settings: Arc<Settings>, seed: Seed) -> Self {
        let mut outputs = vec![
            Output::Notice(Notice::CallReceived { channel: seed.channel_name }),
            Output::Notice(Notice::RtpBound { address: seed.local }),
        ];
        let mut legs = Legs::new(now, settings.app.clone(), &seed.channel, seed.answered);
        legs.begin(seed.advertised, &mut outputs);
        outputs.push(Output::OpenSession);
        Self {
            now,
            born: now,
            wall: seed.wall,
            phase: Phase::Serving,
            legs,
            agent: Agent::opening(now),
            uplink: Uplink::default(),
            to_model: ToModel::new(settings.uplink_frames_per_append),
            tape: settings.keep.audio.then(Tape::default),
            playout: Playout::new(rtp::Stream::new(seed.ssrc, seed.sequence, seed.timestamp)),
            responses: Responses::default(),
            owed: Owed::new(now),
            floor: Floor::default(),
            transcript: Transcript::default(),
            tools: Tools::default(),
            leaving: None,
            watch: Watch::default(),
            ledger: Ledger::default(),
            sessions: Sessions::default(),
            keys: Keys::default(),
            stopwatch: Stopwatch::new(seed.answered),
            shown: Shown::default(),
            source: Source::new(settings.trust),
            codec_said: CodecSaid::default(),
            events_said: 0,
            settings,
            counters: Counters::default(),
            outputs,
        }
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
            self.take(input);
            self.advance();
            self.check_end();
        }
        self.outputs.drain(..)
    }

    fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Ended { .. })
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
            Input::Leg(event) => self.leg(event),
            Input::CallerReplaced { by, next_step } => {
                self.legs.caller_replaced(by, next_step, &mut self.outputs);
                self.note(EventKind::CallerReplaced, String::new());
            }
            Input::CallerRenumbered(number) => {
                self.outputs.push(Output::Record(Entry::Caller(number.to_owned())));
            }
            Input::Ari { request, reply } => self.replied(request, reply),
            Input::SessionOpened => self.session_opened(),
            Input::Session(event) => self.session(event),
            Input::Unreadable(malformed) => self.unreadable(malformed),
            Input::SessionEnded(end) => self.session_ended(&end),
            Input::Supervisor(wish) => self.supervised(wish),
            Input::Shutdown => self.shut_down(),
        }
    }

    /// When to call `handle(_, Input::Tick)` if nothing comes first. None: the call is over.
    ///
    /// # Panics
    /// The instant is not later than that of the last input: whoever waits for it would never rest.
    pub fn deadline(&self) -> Option<Instant> {
        let due = self.due();
        assert!(due.is_none_or(|at| at > self.now), "the next deadline has passed");
        due
    }

    /// As [`Self::deadline`].
    fn due(&self) -> Option<Instant> {
        match self.phase {
            Phase::Ended { .. } => None,
            Phase::Closing { until, stops_at, words_until, .. } => {
                let until = Some(until).filter(|until| *until > self.now);
                let due = [self.legs.deadline(), words_until, until, stops_at].into_iter().flatten().min();
                // A request that lets the caller go is under way.
                due.or(Some(self.now + Duration::from_secs(1)))
            }
            Phase::Serving => [
                self.playout.deadline(),
                self.uplink.deadline(),
                self.legs.deadline(),
                self.agent.deadline(),
                self.responses.deadline(self.quiet_at(), self.now),
                self.leaving_deadline(),
                self.keys.deadline(),
            ]
            .into_iter()
            .flatten()
            .min()
            // Nothing is due: everything waits for the world. Look again in a while all the same.
            .or(Some(self.now + Duration::from_secs(1))),
        }
    }

    /// Whose turn it is.
    pub fn turn(&self) -> Turn {
        if self.playout.is_speaking() {
            Turn::Speaking
        } else if self.responses.is_busy() {
            Turn::Thinking
        } else {
            Turn::Listening
        }
    }

    /// What remains of the call. The reason is only final once [`Self::deadline`] is None.
    pub fn report(&self) -> Report {
        Report {
            reason: match self.phase {
                Phase::Serving => EndReason::Shutdown,
                Phase::Closing { reason, .. } | Phase::Ended { reason } => reason,
            },
            session_stood: self.sessions.stood,
            joined: self.legs.is_joined(),
            duration: self.now - self.born,
            counters: self.counters,
            uplink: self.uplink.counters,
            frames: self.playout.frames,
            late_frames: self.playout.late_frames,
            underruns: self.playout.underruns,
            voiced_frames: self.to_model.ear.voiced_frames,
            turns: self.transcript.heard_answers(),
            answered: self.stopwatch.answered,
            latencies: self.stopwatch.latencies.clone(),
            bill: self.bill(),
            transcript: self.transcript.utterances().to_vec(),
        }
    }

    /// Everything that is due by now.
    fn advance(&mut self) {
        let now = self.now;
        match self.phase {
            Phase::Ended { .. } => {}
            Phase::Closing { reason, until, stops_at, words_until } => {
                self.legs.advance(now, &mut self.outputs);
                if words_until.is_some_and(|at| at <= now || !self.words_are_missing()) {
                    self.close_session();
                }
                let waits = matches!(self.phase, Phase::Closing { words_until: Some(_), .. });
                let given_up = until <= now && !self.legs.holds_caller();
                let stopped = stops_at.is_some_and(|at| at <= now);
                if self.legs.is_undone() && !waits || given_up || stopped {
                    self.over(reason);
                }
            }
            Phase::Serving => {
                self.play();
                let Self { uplink, to_model, tape, outputs, .. } = self;
                uplink.advance(now, &mut |ready| {
                    tape_caller(tape, &ready.frame, outputs);
                    to_model.send(now, ready, outputs);
                });
                self.legs.advance(now, &mut self.outputs);
                if self.legs.is_overdue(now) {
                    let seconds = legs::SETUP_PATIENCE.as_secs();
                    self.outputs.push(Output::Notice(Notice::SetupLate { seconds }));
                    self.end(EndReason::SetupFailed);
                }
                self.advance_agent();
                self.advance_sessions();
                self.advance_keys();
                self.advance_limits();
                self.advance_owed();
                self.ask();
                self.advance_leaving();
            }
        }
    }

    /// Said once a call: a server that sends one such event sends many.
    fn unreadable(&mut self, malformed: &Malformed) {
        self.counters.unreadable_events += 1;
        if self.counters.unreadable_events == 1 {
            let (event, missing) = (Detail::new(&malformed.kind), malformed.missing);
            self.outputs.push(Output::Notice(Notice::EventUnreadable { event, missing }));
        }
    }

    fn leg(&mut self, event: LegEvent) {
        match event {
            LegEvent::CallerLeft => {
                let progress = self.legs.caller_left();
                self.progress(progress);
            }
            LegEvent::CallerUp => {
                self.legs.caller_up();
                self.stopwatch.answered.get_or_insert(self.now - self.born);
                self.open_playout();
            }
            LegEvent::MediaEntered => self.legs.media_entered(&mut self.outputs),
            LegEvent::MediaLeft => {
                let progress = self.legs.media_left();
                self.progress(progress);
            }
            LegEvent::TakenOver => {
                self.legs.let_go();
                self.end(EndReason::TakenOver);
            }
            LegEvent::AsteriskLost => {
                self.legs.let_go();
                self.end(EndReason::AsteriskLost);
            }
            LegEvent::Key(key) => {
                self.counters.keys += 1;
                self.watch.stir();
                self.key_pressed(key);
                self.note(EventKind::Key, keys::recorded(&key.to_string(), self.settings.keep));
            }
            LegEvent::Hold(held) => {
                self.watch.hold(self.now, held);
                self.note(EventKind::Hold, if held { "on" } else { "off" }.to_owned());
            }
        }
    }

    fn replied(&mut self, request: &Request, reply: &Reply) {
        let closing = self.phase != Phase::Serving;
        if let (false, Request::DialplanExists { place, .. }) = (closing, request) {
            self.place_known(place, reply);
        }
        let progress = self.legs.replied(self.now, request, reply, &mut self.outputs);
        self.progress(progress);
        self.open_playout();
    }

    fn progress(&mut self, progress: Progress) {
        match progress {
            Progress::Nothing => {}
            Progress::CallerGone => self.caller_gone(),
            Progress::Media(address) if !self.settings.may_send_to(address.ip()) => {
                self.outputs.push(Output::Notice(Notice::MediaAddressRefused { address: address.ip() }));
                self.end(EndReason::SetupFailed);
            }
            Progress::Media(address) => {
                self.source.named(address);
                self.outputs.push(Output::MediaAddress(address));
                self.note(EventKind::MediaStarted, String::new());
                self.playout.start(self.now);
            }
            Progress::Joined => {}
            Progress::Failed(reason) => self.end(reason),
        }
    }

    /// The caller has hung up. A set-up that failed because of it has not failed.
    fn caller_gone(&mut self) {
        self.end(EndReason::CallerHungUp);
        if let Phase::Closing { reason, .. } = &mut self.phase
            && self.legs.caller_was_gone()
        {
            *reason = EndReason::CallerHungUp;
        }
    }

    /// Speech may leave once somebody can hear it.
    fn open_playout(&mut self) {
        if self.legs.is_joined() && self.legs.is_up() {
            self.playout.open();
        }
    }

    /// Ends the call, for the first reason that comes.
    fn end(&mut self, reason: EndReason) {
        let place = self.settings.fallback.clone();
        self.leave(reason, Exit::Dialplan { place, variables: Vec::new() });
    }

    /// Ends the call, and lets the caller go so.
    fn leave(&mut self, reason: EndReason, exit: Exit) {
        if self.phase != Phase::Serving {
            return;
        }
        let until = self.now + CLOSING_PATIENCE;
        let stops_at = (reason == EndReason::Shutdown).then_some(until);
        let waits = self.agent.is_ready() && self.words_are_missing();
        let words_until = waits.then(|| self.now + WORDS_PATIENCE);
        self.phase = Phase::Closing { reason, until, stops_at, words_until };
        self.playout.stop();
        self.agent = Agent::Closed;
        self.leaving = None;
        self.legs.undo(reason, exit, &mut self.outputs);
        if let Some(tape) = self.tape.take() {
            tape.finish(&mut |entry| self.outputs.push(Output::Record(entry)));
        }
        self.note(EventKind::Ended, reason.code().to_owned());
        if !waits {
            self.outputs.push(Output::CloseSession);
        }
    }

    /// The last words are in, or will not come.
    fn close_session(&mut self) {
        if let Phase::Closing { words_until, .. } = &mut self.phase {
            *words_until = None;
        }
        self.outputs.push(Output::CloseSession);
    }

    /// Whether the caller has said something that the server is still putting into words.
    fn words_are_missing(&self) -> bool {
        self.settings.session.transcription.is_some() && self.transcript.awaits_words()
    }

    fn over(&mut self, reason: EndReason) {
        self.phase = Phase::Ended { reason };
        if self.playout.late_frames > 0 {
            self.outputs.push(Output::Notice(Notice::LateFrames { frames: self.playout.late_frames }));
        }
        if self.sessions.stood {
            self.settle();
            let bill = self.bill();
            let (read, cached) = (bill.conversation.read(), bill.conversation.cached());
            let (written, cost) = (bill.conversation.written(), bill.said());
            self.outputs.push(Output::Notice(Notice::CallSpent { read, cached, written, cost }));
        }
        let seconds = (self.now - self.born).as_secs();
        self.outputs.push(Output::Notice(Notice::CallEnded { seconds, reason }));
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

//! A call that OpenAI answers by SIP, from our side: it is accepted, and in the end let go, until OpenAI has done it.
//!
//! ```text
//!   Dialled ── the webhook names the call ──┐
//!                                           ▼
//!   Accepting ──200──► Ours ──► Referring ── refused, or the result is late ──► Ours
//!       │  └─ no answer, 5xx ──► Doubtful ── session.updated ──► Ours
//!       │                          └───────────┴── undo() ──► HangingUp ──► Gone
//!       ├─ 404, several times; 409 ──► Gone
//!       └─ refused ──► Refused ── undo() ──► Rejecting ──► Gone
//! ```
//! Dialled is the beginning of a call to OpenAI that we have asked Asterisk to make; one that a trunk makes begins with Accepting.
//! A session without an owner costs money until OpenAI ends it after an hour. So a call that is ours, or may be, is hung up until
//! OpenAI says that it is over; after an acceptance without an answer, OpenAI is asked for another minute, because the acceptance may
//! take effect late. A call of another program (409) is left alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Output;
use super::attempt::Attempt;
use super::caller::Exit;
use super::replies::Departure;
use super::speeches::Speeches;
use crate::ari::Place;
use crate::end_reason::EndReason;
use crate::operator::{Complaint, LinkFault, Notice};
use crate::realtime::calls::CallId;
use crate::realtime::calls::request::{Reply, Request, SipStatus, Target};
use crate::realtime::calls::session::VadFields;
use crate::realtime::error::Refusal;

/// The pauses before a call is accepted again that OpenAI does not know (404): the webhook may be faster than the call. Longer
/// pauses let the caller ring for longer; shorter ones give up on a call that is about to be known.
const KNOWN_AFTER: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1_600),
];
/// How long a call that was referred may still be up before the model is told that it is. Longer leaves a caller whom nobody took in
/// silence; shorter lets the model speak to callers who are about to be taken.
const REFERRED_WITHIN: Duration = Duration::from_secs(5);
/// OpenAI ends every session after 60 minutes, and the call with it: after that there is nothing left to hang up.
const LONGEST: Duration = Duration::from_hours(1);
/// How long an acceptance without an answer may still take effect. Until then, that OpenAI does not know the call is no proof that
/// it is over. A longer time keeps asking for calls that never were; a shorter one leaves sessions that nobody ends.
const ACCEPTED_LATE: Duration = Duration::from_mins(1);
/// How often the call looks at its limits. A larger value ends calls later than they should; a smaller one costs wake-ups.
const BEAT: Duration = Duration::from_millis(250);

/// How the call stands at OpenAI.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Asterisk calls OpenAI, which has not told us of the call yet.
    Dialled,
    /// It is being accepted.
    Accepting(Attempt),
    /// It was accepted, or was not: no answer came, or one that does not tell.
    Doubtful,
    /// It is ours.
    Ours,
    /// The SIP peer is asked to send the caller elsewhere. `until`: when the result is late; None: the request is on its way.
    Referring { until: Option<Instant> },
    /// OpenAI has refused to accept it.
    Refused,
    /// It is being refused. That is asked once.
    Rejecting,
    /// It is being hung up.
    HangingUp(Attempt),
    /// It is not ours, or not there any more.
    Gone,
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aim {
    /// The call is kept.
    Keep,
    /// It is to end.
    End,
}

/// What an answer of OpenAI, or the time that has passed, means for the call.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum News {
    /// Nothing.
    Nothing,
    /// The call is ours: its session can be reached soon.
    Accepted,
    /// Nobody knows whether the call is ours: whether its session can be reached will tell.
    Doubtful(LinkFault),
    /// It is to be accepted (again), with or without the fields of the turn detection.
    Accept,
    /// The caller has hung up.
    Gone,
    /// Another program has it.
    Taken,
    /// It cannot be accepted with these settings.
    Misasked(Complaint),
    /// It cannot be accepted.
    Refused(Option<Refusal>, LinkFault),
    /// The caller is not sent elsewhere: OpenAI refused the transfer, or reported an error.
    NotReferred(LinkFault),
    /// Whether the caller is sent elsewhere is not known yet: the call is still up, or OpenAI did not answer for this cause.
    ReferralLate(Option<LinkFault>),
}

/// The call at OpenAI.
#[derive(Debug)]
pub(super) struct OpenAiLeg {
    /// Its id, once it is known.
    call: Option<CallId>,
    state: State,
    aim: Aim,
    /// Whether it has been ours.
    was_ours: bool,
    /// The host of the extensions to which callers are sent; None: callers cannot be sent anywhere.
    refer_host: Option<Arc<str>>,
    /// Where the caller was last sent.
    referred_to: Option<Place>,
    vad: VadFields,
    unknown: usize,
    tries: u32,
    beat: Instant,
    over_at: Instant,
    /// Until when an acceptance without an answer may take effect. None: there is none.
    accepted_late: Option<Instant>,
    /// What the caller hears.
    pub(super) speeches: Speeches,
    /// When the sound of the caller began that the server counts, since the birth of the call. None: not known yet.
    pub(super) sound_began: Option<Duration>,
    /// When the caller was last heard to speak, by the server's word.
    pub(super) spoke_at: Option<Instant>,
}

impl OpenAiLeg {
    /// A call that is being accepted. `refer_host` is the host of the extensions to which callers are sent.
    pub(super) fn new(now: Instant, call: CallId, refer_host: Option<Arc<str>>) -> Self {
        Self { call: Some(call), refer_host, ..Self::in_state(now, State::Accepting(Attempt::InFlight)) }
    }

    /// A call that Asterisk makes to OpenAI. Its caller is in Asterisk and cannot be referred.
    pub(super) fn dialled(now: Instant) -> Self {
        Self::in_state(now, State::Dialled)
    }

    fn in_state(now: Instant, state: State) -> Self {
        Self {
            call: None,
            state,
            aim: Aim::Keep,
            was_ours: false,
            refer_host: None,
            referred_to: None,
            vad: VadFields::Sent,
            unknown: 0,
            tries: 0,
            beat: now + BEAT,
            over_at: now + LONGEST,
            accepted_late: None,
            speeches: Speeches::default(),
            sound_began: None,
            spoke_at: None,
        }
    }

    /// Its id, once it is known.
    pub(super) fn call(&self) -> Option<&CallId> {
        self.call.as_ref()
    }

    /// OpenAI tells of the call that Asterisk has made. Returns whether it was waited for; one that is not is refused.
    pub(super) fn offered(&mut self, call: CallId, out: &mut Vec<Output>) -> bool {
        let is_waited_for = self.state == State::Dialled;
        if is_waited_for {
            self.call = Some(call);
            self.state = State::Accepting(Attempt::InFlight);
        } else {
            let status = SipStatus::ServiceUnavailable;
            out.push(Output::Sip(Request::Reject { call, status }));
        }
        is_waited_for
    }

    /// Whether OpenAI has not told of the call yet.
    pub(super) fn is_unheard_of(&self) -> bool {
        self.state == State::Dialled
    }

    /// Whether the fields of the turn detection are sent when it is accepted.
    pub(super) fn vad(&self) -> VadFields {
        self.vad
    }

    /// Whether it is ours, or was.
    pub(super) fn was_ours(&self) -> bool {
        self.was_ours
    }

    /// Whether the caller is being sent elsewhere.
    pub(super) fn is_referring(&self) -> bool {
        matches!(self.state, State::Referring { .. })
    }

    /// Where the caller was last sent.
    pub(super) fn referred_to(&self) -> Option<&Place> {
        self.referred_to.as_ref()
    }

    /// Whether there is nothing left to end.
    pub(super) fn is_gone(&self) -> bool {
        self.state == State::Gone
    }

    /// Whether OpenAI was asked to hang it up, and has not done it.
    pub(super) fn is_hung_up_in_vain(&self) -> bool {
        matches!(self.state, State::HangingUp(Attempt::RetryAt(_)))
    }

    /// When [`Self::advance`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let due = match &self.state {
            State::Accepting(attempt) | State::HangingUp(attempt) => attempt.deadline(),
            State::Referring { until } => *until,
            State::Dialled
            | State::Doubtful
            | State::Ours
            | State::Refused
            | State::Rejecting
            | State::Gone => None,
        };
        let beat = (self.aim == Aim::Keep).then_some(self.beat);
        [due, beat, (self.aim == Aim::End && !self.is_gone()).then_some(self.over_at)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Lets time pass: repeats what OpenAI has not done.
    pub(super) fn advance(&mut self, now: Instant, out: &mut Vec<Output>) -> News {
        if self.beat <= now {
            self.beat = now + BEAT;
        }
        match self.state {
            State::Accepting(attempt) if attempt.is_due(now) => {
                self.state = State::Accepting(Attempt::InFlight);
                return News::Accept;
            }
            State::HangingUp(_) if self.over_at <= now => self.state = State::Gone,
            State::HangingUp(attempt) if attempt.is_due(now) => self.hang_up(out),
            State::Referring { until: Some(until) } if until <= now => {
                return self.stays(News::ReferralLate(None), out);
            }
            _ => {}
        }
        News::Nothing
    }

    /// The session of the call has confirmed our settings, so that the call is ours.
    pub(super) fn confirmed(&mut self) {
        self.was_ours = true;
        self.accepted_late = None;
        if self.state == State::Doubtful {
            self.state = State::Ours;
        }
    }

    /// The call is over at OpenAI.
    pub(super) fn ended(&mut self) {
        self.state = State::Gone;
    }

    /// OpenAI answered a request, or did not.
    pub(super) fn replied(
        &mut self,
        now: Instant,
        request: &Request,
        reply: &Reply,
        out: &mut Vec<Output>,
    ) -> News {
        match (request, &self.state) {
            (Request::Accept { .. }, State::Accepting(_)) => self.accept_replied(now, reply, out),
            (Request::HangUp(_), State::HangingUp(_)) => {
                self.hangup_replied(now, reply, out);
                News::Nothing
            }
            (Request::Refer { .. }, State::Referring { .. }) => match (reply, reply.fault()) {
                (Reply::Lost(_), fault) => self.stays(News::ReferralLate(fault), out),
                (Reply::Refused { .. }, Some(fault)) => self.stays(News::NotReferred(fault), out),
                (Reply::Done | Reply::Refused { .. }, _) => {
                    self.state = State::Referring { until: Some(now + REFERRED_WITHIN) };
                    News::Nothing
                }
            },
            (Request::Reject { .. }, State::Rejecting) => {
                self.state = State::Gone;
                News::Nothing
            }
            _ => News::Nothing,
        }
    }

    fn accept_replied(&mut self, now: Instant, reply: &Reply, out: &mut Vec<Output>) -> News {
        let (state, news) = match reply {
            Reply::Done => (State::Ours, News::Accepted),
            Reply::Refused { status: 404, .. } => match KNOWN_AFTER.get(self.unknown) {
                Some(pause) => (State::Accepting(Attempt::RetryAt(now + *pause)), News::Nothing),
                None => (State::Gone, News::Gone),
            },
            Reply::Refused { status: 409, .. } => (State::Gone, News::Taken),
            Reply::Refused { status: 400, error, .. } if self.names_vad(&error.param, &error.message) => {
                self.vad = VadFields::LeftOut;
                (State::Accepting(Attempt::InFlight), News::Accept)
            }
            Reply::Refused { status: 500.., .. } | Reply::Lost(_) => {
                (State::Doubtful, reply.fault().map_or(News::Nothing, News::Doubtful))
            }
            Reply::Refused { status: 400, refusal: None | Some(Refusal::Other), error } => {
                (State::Refused, News::Misasked(error.complaint()))
            }
            Reply::Refused { refusal, .. } => {
                let news = |fault| News::Refused(*refusal, fault);
                (State::Refused, reply.fault().map_or(News::Nothing, news))
            }
        };
        self.unknown += usize::from(matches!(reply, Reply::Refused { status: 404, .. }));
        self.was_ours |= state == State::Ours;
        self.accepted_late = (state == State::Doubtful).then_some(now + ACCEPTED_LATE);
        self.state = state;
        if self.aim == Aim::Keep {
            return news;
        }
        self.let_go(out);
        News::Nothing
    }

    /// Whether the error is about a field of the turn detection that can be left out.
    fn names_vad(&self, param: &str, message: &str) -> bool {
        self.vad == VadFields::Sent && [param, message].iter().any(|text| text.contains("turn_detection."))
    }

    fn hangup_replied(&mut self, now: Instant, reply: &Reply, out: &mut Vec<Output>) {
        let may_come = self.accepted_late.is_some_and(|until| now < until);
        let is_unknown = matches!(reply, Reply::Refused { status: 404, .. });
        if reply.ends() && !(is_unknown && may_come) {
            self.state = State::Gone;
            return;
        }
        self.tries += 1;
        if self.tries == 1
            && !is_unknown
            && let Some(cause) = reply.fault()
        {
            out.push(Output::Notice(Notice::SipHangUpFailed { cause }));
        }
        self.state = State::HangingUp(Attempt::RetryAt(now + Departure::try_again_after(self.tries)));
    }

    /// Whether a caller can be sent to this place.
    pub(super) fn target(&self, place: &Place) -> Option<Target> {
        self.refer_host.as_ref().map(|host| Target::new(&place.extension, host))
    }

    /// Asks the SIP peer to send the caller elsewhere, while the call goes on.
    pub(super) fn refer(&mut self, target: Target, place: &Place, out: &mut Vec<Output>) {
        self.referred_to = Some(place.clone());
        self.state = State::Referring { until: None };
        self.ask(|call| Request::Refer { call, target }, out);
    }

    /// The call that was referred is still up. It is hung up if it is to end; otherwise it goes on, and these news are returned.
    fn stays(&mut self, news: News, out: &mut Vec<Output>) -> News {
        match self.aim {
            Aim::Keep => {
                self.state = State::Ours;
                news
            }
            Aim::End => {
                self.hang_up(out);
                News::Nothing
            }
        }
    }

    /// The call is over for us: the caller is sent to a place, if that is asked for and possible, or hung up on.
    pub(super) fn undo(&mut self, reason: EndReason, exit: &Exit, out: &mut Vec<Output>) {
        self.aim = Aim::End;
        let place = match exit {
            Exit::Dialplan { place: Some(place), .. } => Some(place),
            Exit::Dialplan { place: None, .. } | Exit::HangUp => None,
        };
        match (&self.state, place.and_then(|place| self.target(place).zip(Some(place)))) {
            (State::Ours, Some((target, place))) => {
                out.push(Output::Notice(match reason {
                    EndReason::Transferred | EndReason::SupervisorTransferred => {
                        Notice::CallTransferred { place: place.to_string() }
                    }
                    reason => Notice::CallHandedBack { reason },
                }));
                self.refer(target, place, out);
            }
            // Its answer decides.
            (State::Accepting(Attempt::InFlight) | State::Gone, _) => {}
            _ => self.let_go(out),
        }
    }

    /// Ends the call in the way that fits its state.
    fn let_go(&mut self, out: &mut Vec<Output>) {
        match self.state {
            State::Accepting(_) | State::Refused => {
                self.state = State::Rejecting;
                let status = SipStatus::ServiceUnavailable;
                self.ask(|call| Request::Reject { call, status }, out);
            }
            State::Ours | State::Doubtful | State::Referring { .. } => self.hang_up(out),
            // OpenAI has nothing yet that would have to end: Asterisk gives the call up.
            State::Dialled => self.state = State::Gone,
            State::Rejecting | State::HangingUp(_) | State::Gone => {}
        }
    }

    /// Asks OpenAI something about the call.
    fn ask(&self, request: impl FnOnce(CallId) -> Request, out: &mut Vec<Output>) {
        out.extend(self.call.clone().map(|call| Output::Sip(request(call))));
    }

    fn hang_up(&mut self, out: &mut Vec<Output>) {
        self.state = State::HangingUp(Attempt::InFlight);
        self.ask(Request::HangUp, out);
    }
}

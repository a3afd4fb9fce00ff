//! The caller's channel in Asterisk: it is answered, and in the end let go, until Asterisk has done it.
//!
//! ```text
//!   Ringing ──► Answering ──► Up
//!      └────────────┴─────────┤ release()
//!                             ├──► Checking ──► Explaining ──► Continuing ──► Gone
//!                             │    (is the      (variables)        │
//!                             │    place there?)                   └──► LeftMeanwhile ──► Gone
//!                             └──► HangingUp ──► Gone
//! ```
//! From every state, the channel that leaves by itself is Gone. A request that lets the caller go is repeated until Asterisk
//! has carried it out ([`Attempt`]). The operator is told that the caller goes on once Asterisk has confirmed it; a refusal is
//! told once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Output;
use super::attempt::Attempt;
use super::replies::{Departure, Progress, RETRY_AFTER, complaint, failure, missing};
use crate::ari::request::{Reply, Request};
use crate::ari::{ChannelId, Place};
use crate::end_reason::EndReason;
use crate::operator::Notice;

/// A ringing caller is answered after this time even if the session is not ready: longer and callers think
/// the line is dead, shorter and they hear silence instead of ringing.
const ANSWER_AFTER: Duration = Duration::from_secs(2);
/// The channel variable that tells the dialplan why the call comes back.
pub const END_REASON_VARIABLE: &str = "AI_END_REASON";

/// What becomes of the caller when the call ends on our side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Exit {
    /// Their channel is hung up.
    HangUp,
    /// They go on in the dialplan.
    Dialplan {
        /// Where, if the dialplan has that place; None: with the next step.
        place: Option<Place>,
        /// Channel variables they take along, beside [`END_REASON_VARIABLE`].
        variables: Vec<(&'static str, String)>,
    },
}

/// How the caller's channel stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not answered yet; it will be at this instant at the latest.
    Ringing { answer_at: Instant },
    /// Our answer is under way.
    Answering,
    /// Answered.
    Up,
    /// We are asking whether the place to which the caller is to go for this reason exists.
    Checking(EndReason),
    /// The variables are being set; then the caller continues in the dialplan.
    Explaining,
    /// We are asking Asterisk to let the caller go on in the dialplan.
    Continuing(Attempt),
    /// The channel left the application while the request to continue was under way. The answer tells whether the request was the cause.
    LeftMeanwhile,
    /// We are asking Asterisk to hang up.
    HangingUp(Attempt),
    /// No longer ours.
    Gone,
}

/// The caller's channel.
#[derive(Debug)]
pub(super) struct Caller {
    id: ChannelId,
    state: State,
    /// The next step of the channel whose place this channel has taken. The caller continues there if no place is named.
    /// `None`: at the next step of the channel itself.
    next_step: Option<Place>,
    /// Where the caller is to go on; None: with the next step.
    place: Option<Place>,
    /// Variables that are still to be set.
    variables: VecDeque<(&'static str, String)>,
    /// Variables that Asterisk has not set, for all we know.
    unsaid: Vec<(&'static str, String)>,
    /// What the operator is told once Asterisk has let the caller go on.
    farewell: Option<Notice>,
    /// How often Asterisk has not let the caller go.
    tries: u32,
    /// A refusal that may only mean that the caller has hung up. The operator is told of it if the caller is still there.
    doubt: Option<Notice>,
}

impl Caller {
    /// A caller who has just come; `is_up`: the dialplan has answered the channel.
    pub(super) fn new(now: Instant, id: &ChannelId, is_up: bool) -> Self {
        Self {
            id: id.clone(),
            state: if is_up { State::Up } else { State::Ringing { answer_at: now + ANSWER_AFTER } },
            next_step: None,
            place: None,
            variables: VecDeque::new(),
            unsaid: Vec::new(),
            farewell: None,
            tries: 0,
            doubt: None,
        }
    }

    /// A caller who rings is answered at this instant at the latest.
    pub(super) fn ring_until(&mut self, at: Instant) {
        if let State::Ringing { answer_at } = &mut self.state {
            *answer_at = at;
        }
    }

    /// The channel.
    pub(super) fn id(&self) -> &ChannelId {
        &self.id
    }

    /// Whether the channel rings.
    pub(super) fn rings(&self) -> bool {
        matches!(self.state, State::Ringing { .. })
    }

    /// Whether the channel has been answered.
    pub(super) fn is_up(&self) -> bool {
        self.state == State::Up
    }

    /// Whether the caller is there, and nothing has been done to let them go.
    pub(super) fn is_with_us(&self) -> bool {
        matches!(self.state, State::Ringing { .. } | State::Answering | State::Up)
    }

    /// Whether the channel is no longer ours, for all we know.
    pub(super) fn is_gone(&self) -> bool {
        self.state == State::Gone
    }

    /// When [`Self::advance`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Ringing { answer_at } => Some(answer_at),
            State::Continuing(attempt) | State::HangingUp(attempt) => attempt.deadline(),
            _ => None,
        }
    }

    /// Answers a caller who has rung for long enough, and repeats what Asterisk has not done.
    pub(super) fn advance(&mut self, now: Instant, out: &mut Vec<Output>) {
        match self.state {
            State::Ringing { answer_at } if answer_at <= now => self.answer(out),
            State::Continuing(attempt) if attempt.is_due(now) => {
                // Without its reason the dialplan would hang up.
                self.variables.extend(self.unsaid.drain(..));
                self.explain(out);
            }
            State::HangingUp(attempt) if attempt.is_due(now) => self.hang_up(out),
            _ => {}
        }
    }

    /// Takes the call if it still rings.
    pub(super) fn answer(&mut self, out: &mut Vec<Output>) {
        if self.rings() {
            self.state = State::Answering;
            out.push(Output::Ari(Request::Answer(self.id.clone())));
        }
    }

    /// The channel is up, whoever answered it.
    pub(super) fn came_up(&mut self) {
        if matches!(self.state, State::Ringing { .. } | State::Answering) {
            self.state = State::Up;
        }
    }

    /// The channel has left the application or is gone.
    pub(super) fn left(&mut self) -> Progress {
        match self.state {
            State::Gone => Progress::Nothing,
            State::Continuing(Attempt::InFlight) | State::LeftMeanwhile => {
                self.state = State::LeftMeanwhile;
                Progress::Nothing
            }
            _ => {
                self.state = State::Gone;
                Progress::CallerGone
            }
        }
    }

    /// The channel is not ours any more, and nothing is asked of it.
    pub(super) fn forget(&mut self) {
        self.state = State::Gone;
    }

    /// Another channel stands in the caller's place.
    pub(super) fn replaced(&mut self, by: &ChannelId, next_step: Option<&Place>, out: &mut Vec<Output>) {
        self.id = by.clone();
        // After a second transfer, the next step of the first channel still holds.
        if self.next_step.is_none() {
            self.next_step = next_step.cloned();
        }
        match self.state {
            // Whoever was transferred to us has been answered.
            State::Ringing { .. } | State::Answering => self.state = State::Up,
            // What was asked for the one before is refused by now, or has no effect.
            State::Checking(_) | State::Explaining | State::Continuing(_) => self.send_on(out),
            State::HangingUp(_) => self.hang_up(out),
            State::Up | State::LeftMeanwhile | State::Gone => {}
        }
    }

    /// Keeps a refusal that may only mean that the caller has hung up. The operator is told of the refusal if the caller is still there.
    pub(super) fn doubt(&mut self, complaint: Option<Notice>) {
        self.doubt = complaint;
    }

    /// Whether the set-up failed for no other reason, as far as is known, than that the caller had hung up.
    pub(super) fn was_gone(&mut self) -> bool {
        self.doubt.take().is_some()
    }

    /// Lets the caller go, if they are there.
    pub(super) fn release(&mut self, reason: EndReason, exit: Exit, out: &mut Vec<Output>) {
        if !self.is_with_us() {
            return;
        }
        let Exit::Dialplan { place, variables } = exit else { return self.hang_up(out) };
        let transferred = matches!(reason, EndReason::Transferred | EndReason::SupervisorTransferred);
        self.farewell = Some(match place.as_ref().filter(|_| transferred) {
            Some(place) => Notice::CallTransferred { place: place.to_string() },
            None => Notice::CallHandedBack { reason },
        });
        self.variables.push_back((END_REASON_VARIABLE, reason.code().to_owned()));
        self.variables.extend(variables);
        match &place {
            None => self.explain(out),
            Some(place) => {
                self.state = State::Checking(reason);
                let (channel, place) = (self.id.clone(), place.clone());
                out.push(Output::Ari(Request::DialplanExists { channel, place }));
            }
        }
        self.place = place;
    }

    /// Asterisk answered a request about this channel, or did not.
    pub(super) fn replied(
        &mut self,
        now: Instant,
        request: &Request,
        reply: &Reply,
        out: &mut Vec<Output>,
    ) -> Progress {
        let channel = match request {
            Request::Answer(id) | Request::Hangup(id) => id,
            Request::DialplanExists { channel, .. }
            | Request::SetVariable { channel, .. }
            | Request::Continue { channel, .. } => channel,
            _ => return Progress::Nothing,
        };
        // Another channel has taken the place of this one, so the answer does not matter any more.
        if *channel != self.id {
            return Progress::Nothing;
        }
        match request {
            Request::Answer(_) => return self.answer_replied(now, reply),
            Request::DialplanExists { place, .. } => self.place_checked(place, reply, out),
            Request::SetVariable { name, value, .. } if self.state == State::Explaining => {
                if !matches!(reply, Reply::Done(_)) {
                    self.unsaid.push((name, value.clone()));
                }
                self.explain(out);
            }
            Request::Continue { .. } => return self.continue_replied(now, request, reply, out),
            Request::Hangup(_) => self.hangup_replied(now, request, reply, out),
            _ => {}
        }
        Progress::Nothing
    }

    fn answer_replied(&mut self, now: Instant, reply: &Reply) -> Progress {
        match reply {
            Reply::Done(_) => self.came_up(),
            Reply::Refused { .. } => return failure(reply),
            Reply::Lost(_) if self.state == State::Answering => {
                self.state = State::Ringing { answer_at: now + RETRY_AFTER };
            }
            Reply::Lost(_) => {}
        }
        Progress::Nothing
    }

    /// A place that is missing, or of which nothing is known, would end the call: the next step is better.
    fn place_checked(&mut self, place: &Place, reply: &Reply, out: &mut Vec<Output>) {
        let State::Checking(reason) = self.state else { return };
        if self.place.as_ref() != Some(place) {
            return;
        }
        if let Some(notice) = missing(place, reply) {
            self.place = None;
            self.farewell = Some(Notice::CallHandedBack { reason });
            out.push(Output::Notice(notice));
        }
        self.explain(out);
    }

    /// Sets the next variable; after the last one the caller goes on.
    fn explain(&mut self, out: &mut Vec<Output>) {
        let Some((name, value)) = self.variables.pop_front() else { return self.send_on(out) };
        self.state = State::Explaining;
        out.push(Output::Ari(Request::SetVariable { channel: self.id.clone(), name, value }));
    }

    fn send_on(&mut self, out: &mut Vec<Output>) {
        self.state = State::Continuing(Attempt::InFlight);
        let place = self.place.clone().or_else(|| self.next_step.clone());
        out.push(Output::Ari(Request::Continue { channel: self.id.clone(), place }));
    }

    fn continue_replied(
        &mut self,
        now: Instant,
        request: &Request,
        reply: &Reply,
        out: &mut Vec<Output>,
    ) -> Progress {
        let in_flight = State::Continuing(Attempt::InFlight);
        if self.state != in_flight && self.state != State::LeftMeanwhile {
            return Progress::Nothing;
        }
        match Departure::of(reply) {
            Departure::Done => {
                self.state = State::Gone;
                let told = [self.doubt.take(), self.farewell.take()];
                out.extend(told.into_iter().flatten().map(Output::Notice));
                Progress::Nothing
            }
            Departure::Refused if self.state == in_flight => {
                self.state = State::Continuing(self.refused(now, request, reply, out));
                Progress::Nothing
            }
            Departure::Gone | Departure::Refused => {
                self.state = State::Gone;
                Progress::CallerGone
            }
        }
    }

    fn hang_up(&mut self, out: &mut Vec<Output>) {
        self.state = State::HangingUp(Attempt::InFlight);
        out.push(Output::Ari(Request::Hangup(self.id.clone())));
    }

    fn hangup_replied(&mut self, now: Instant, request: &Request, reply: &Reply, out: &mut Vec<Output>) {
        if self.state == State::HangingUp(Attempt::InFlight) {
            self.state = match Departure::of(reply) {
                Departure::Done | Departure::Gone => State::Gone,
                Departure::Refused => State::HangingUp(self.refused(now, request, reply, out)),
            };
        }
    }

    /// Asterisk has not let the caller go: the request is made again.
    fn refused(&mut self, now: Instant, request: &Request, reply: &Reply, out: &mut Vec<Output>) -> Attempt {
        self.tries += 1;
        if self.tries == 1 {
            out.extend(complaint(request, reply).map(Output::Notice));
            out.push(Output::Notice(Notice::CallerStuck));
        }
        Attempt::RetryAt(now + Departure::try_again_after(self.tries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A caller whom we have asked Asterisk to send on, when another channel takes their place.
    fn replaced_on_the_way() -> (Caller, Instant, Vec<Output>) {
        #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
        let now = Instant::now();
        let (mut caller, mut out) = (Caller::new(now, &"colleague".into(), true), Vec::new());
        caller.release(EndReason::Shutdown, Exit::Dialplan { place: None, variables: Vec::new() }, &mut out);
        let Some(Output::Ari(explains)) = out.pop() else { panic!("{out:?}") };
        let _ = caller.replied(now, &explains, &Reply::Done(String::new()), &mut out);
        let place = None;
        assert_eq!(out.pop(), Some(Output::Ari(Request::Continue { channel: "colleague".into(), place })));
        caller.replaced(&"customer".into(), None, &mut out);
        (caller, now, out)
    }

    #[test]
    fn an_answer_about_a_channel_that_has_been_replaced_changes_nothing() {
        let (mut caller, now, mut out) = replaced_on_the_way();
        let of = |channel: &str| Request::Continue { channel: channel.into(), place: None };
        assert_eq!(out.pop(), Some(Output::Ari(of("customer"))));
        let gone = Reply::Refused { status: 404, message: String::new() };
        assert_eq!(caller.replied(now, &of("colleague"), &gone, &mut out), Progress::Nothing);
        assert!(!caller.is_gone(), "the customer is still here");
        let lost = Reply::Lost(String::new());
        let _ = caller.replied(now, &of("customer"), &lost, &mut out);
        out.clear();
        let again = caller.deadline().expect("the customer is not forgotten");
        caller.advance(again, &mut out);
        assert!(matches!(&out[..], [Output::Ari(_)]), "{out:?}");
    }
}

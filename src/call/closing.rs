//! The phases of a call, and its end: the caller is let go, what was made in Asterisk is deleted, and last words and the report are
//! waited for.
//!
//! ```text
//!   SettingUp ── joined, and the session stands ──► Talking
//!       │                                              │
//!       └──────────── end(), leave() ──────────────────┴──► Closing ── all is undone, or it takes too long ──► Ended
//! ```
//! Closing is bounded. Only a caller whom Asterisk does not let go is waited for without end, unless the daemon stops.
//!
//! A call that OpenAI answers has an *aftermath*, as the last part of Closing: its caller is gone and nothing of it that bears the
//! caller's name is left in Asterisk, so that the caller may be in another call. It only hangs up at OpenAI until that is done, or
//! fetches its sound.

use std::time::{Duration, Instant};

use super::caller::Exit;
use super::record::EventKind;
use super::{Call, Output};
use crate::end_reason::EndReason;
use crate::operator::Notice;

/// How long a call may take to undo what it made, before it is given up; and when the daemon stops, how long to let its
/// caller go. Longer than a request's time-out and its repetition; shorter than anyone's patience with `systemctl stop`.
pub const CLOSING_PATIENCE: Duration = Duration::from_secs(10);

/// How long an ended call's session stays open for words that are still to be transcribed. Most come within a
/// second; longer keeps a session for nothing.
const WORDS_PATIENCE: Duration = Duration::from_secs(2);

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Caller and model do not hear each other yet.
    SettingUp,
    /// They do, or did: a session that is being replaced does not end the talk.
    Talking,
    /// The call is over for its caller, and is being undone.
    Closing(Closing),
    /// Nothing happens any more.
    Ended(EndReason),
}

impl Phase {
    /// Whether the call is there for its caller.
    pub(super) fn is_serving(&self) -> bool {
        matches!(self, Self::SettingUp | Self::Talking)
    }

    /// How far the undoing is.
    pub(super) fn closing(&self) -> Option<&Closing> {
        match self {
            Self::Closing(closing) => Some(closing),
            Self::SettingUp | Self::Talking | Self::Ended(_) => None,
        }
    }

    /// Why the call ends; None: it does not.
    pub(super) fn end_reason(&self) -> Option<EndReason> {
        match self {
            Self::SettingUp | Self::Talking => None,
            Self::Closing(Closing { reason, .. }) | Self::Ended(reason) => Some(*reason),
        }
    }
}

/// A call that is being undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closing {
    reason: EndReason,
    /// When what is left in Asterisk is given up, unless the caller is among it.
    until: Instant,
    /// When the caller is given up too, because the daemon stops.
    stops_at: Option<Instant>,
    needs: Needs,
    /// Until when a report is to be made. None: none is.
    report_until: Option<Instant>,
    part: Part,
}

/// How far the undoing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The caller is there, for all we know, or something in Asterisk that bears their name.
    OfCaller,
    /// Neither is.
    Aftermath,
}

/// What an ended call still needs its session for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// What the caller said last is still being put into words. It is waited for until this instant.
    Words(Instant),
    /// The report on the call, which was asked for in the request with this number.
    Report { number: u64, until: Instant },
    /// Nothing: it is closed.
    Nothing,
}

impl Closing {
    /// When [`Call::advance_closing`] may give something up. After `until` has passed, only the caller's channel is waited for.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let until = Some(self.until).filter(|until| *until > now);
        [until, self.stops_at].into_iter().flatten().min()
    }

    /// When [`Call::advance_needs`] has something to do.
    pub(super) fn needs_deadline(&self) -> Option<Instant> {
        match self.needs {
            Needs::Words(until) | Needs::Report { until, .. } => Some(until),
            Needs::Nothing => None,
        }
    }

    /// The number of the request for the report, if its answer is awaited.
    pub(super) fn report_asked(&self) -> Option<u64> {
        match self.needs {
            Needs::Report { number, .. } => Some(number),
            Needs::Words(_) | Needs::Nothing => None,
        }
    }
}

impl Call {
    /// Caller and model hear each other from now on, if both are there.
    pub(super) fn begin_talking(&mut self) {
        if self.phase == Phase::SettingUp && self.leg.is_joined() && self.sessions.has_stood() {
            self.phase = Phase::Talking;
        }
    }

    /// Ends the call and sends the caller where [`Self::fallback`] says. Only the first reason for an end counts.
    pub(super) fn end(&mut self, reason: EndReason) {
        self.leave(reason, self.fallback());
    }

    /// Where callers go on who are not, or no longer, served.
    pub(super) fn fallback(&self) -> Exit {
        Exit::Dialplan { place: self.settings.fallback.clone(), variables: Vec::new() }
    }

    /// Ends the call, for the first reason that comes, and lets the caller go in this way.
    pub(super) fn leave(&mut self, reason: EndReason, exit: Exit) {
        if !self.phase.is_serving() {
            return;
        }
        let until = self.now + CLOSING_PATIENCE;
        let waits = self.session.is_ready() && self.words_are_missing();
        let report_until = self.report_until(reason);
        self.phase = Phase::Closing(Closing {
            reason,
            until,
            stops_at: (reason == EndReason::Shutdown).then_some(until),
            needs: if waits { Needs::Words(self.now + WORDS_PATIENCE) } else { Needs::Nothing },
            report_until,
            part: Part::OfCaller,
        });
        self.left_at = Some(self.now);
        if report_until.is_some() {
            self.cancel_unheard();
        }
        self.let_tools_go();
        self.stop_playing();
        self.session.close();
        self.leaving = None;
        self.leg.release(self.now, reason, exit, &mut self.outputs);
        if let Some(tape) = self.tape.take() {
            tape.finish(&mut |entry| self.outputs.push(Output::Record(entry)));
        }
        self.note(EventKind::Ended, reason.code().to_owned());
        if !waits {
            self.words_are_in();
        }
    }

    /// The caller has hung up. A set-up that failed because of it has not failed.
    pub(super) fn caller_gone(&mut self) {
        self.end(EndReason::CallerHungUp);
        if let Phase::Closing(closing) = &mut self.phase
            && self.leg.caller_was_gone()
        {
            closing.reason = EndReason::CallerHungUp;
        }
    }

    /// The daemon stops: a call that is being undone gives its caller up after a while.
    pub(super) fn hurry(&mut self) {
        if let Phase::Closing(closing) = &mut self.phase {
            closing.stops_at.get_or_insert(self.now + CLOSING_PATIENCE);
        }
    }

    /// Goes on when what the session is needed for is in, or will not come.
    pub(super) fn advance_needs(&mut self) {
        let Phase::Closing(Closing { needs, .. }) = self.phase else { return };
        match needs {
            Needs::Words(until) if until <= self.now || !self.words_are_missing() => self.words_are_in(),
            Needs::Report { until, .. } if until <= self.now => self.report_given_up("late"),
            Needs::Words(_) | Needs::Report { .. } | Needs::Nothing => {}
        }
    }

    /// The last words are in, or will not come: the report is asked for, if one is to be made.
    fn words_are_in(&mut self) {
        let until = self.phase.closing().and_then(|closing| closing.report_until);
        let asked = until.and_then(|until| Some((self.ask_for_report()?, until)));
        match (asked, &mut self.phase) {
            (Some((number, until)), Phase::Closing(closing)) => {
                closing.needs = Needs::Report { number, until }
            }
            _ => self.session_not_needed(),
        }
    }

    /// An ended call needs its session no longer.
    pub(super) fn session_not_needed(&mut self) {
        if let Phase::Closing(closing) = &mut self.phase {
            closing.needs = Needs::Nothing;
            self.outputs.push(Output::CloseSession);
            self.leg.hang_up_on_openai(closing.reason, &mut self.outputs);
        }
    }

    /// The session of a call that has ended is gone by itself.
    pub(super) fn last_session_ended(&mut self) {
        self.give_needs_up("session_lost");
    }

    /// The caller is back, in the application again. Whoever waits in silence comes before the last words of a call that is over.
    pub(super) fn caller_returned(&mut self) {
        self.give_needs_up("caller_returned");
    }

    /// What the session of an ended call is kept for will not come, for this reason.
    fn give_needs_up(&mut self, cause: &str) {
        let Phase::Closing(Closing { needs, .. }) = self.phase else { return };
        match needs {
            Needs::Words(_) => self.session_not_needed(),
            Needs::Report { .. } => self.report_given_up(cause),
            Needs::Nothing => {}
        }
    }

    /// Whether the call is in its aftermath: see the module's documentation.
    pub fn is_in_aftermath(&self) -> bool {
        self.phase.closing().is_some_and(|closing| closing.part == Part::Aftermath)
    }

    /// Lets the caller's name in Asterisk go, once nothing of the call bears it, or when it takes too long.
    fn advance_aftermath(&mut self) {
        let now = self.now;
        let Phase::Closing(closing) = &mut self.phase else { return };
        let is_late = closing.until <= now;
        if closing.part == Part::OfCaller && closing.needs == Needs::Nothing && self.leg.is_let_go(is_late) {
            closing.part = Part::Aftermath;
            self.leg.forget_caller();
            if self.sessions.has_stood() {
                self.settle();
            }
        }
    }

    /// Ends the call when everything is undone, or it takes too long.
    pub(super) fn advance_closing(&mut self) {
        let Phase::Closing(Closing { reason, until, stops_at, needs, .. }) = self.phase else { return };
        let is_undone = self.leg.is_undone() && needs == Needs::Nothing;
        let is_given_up = until <= self.now && !self.leg.is_awaited();
        let is_stopped = stops_at.is_some_and(|at| at <= self.now);
        if is_undone || is_given_up || is_stopped {
            if let Some(dialled) = self.leg.dialled().filter(|dialled| dialled.snoops.are_awaited()) {
                dialled.snoops.leave(&mut self.outputs);
            }
            return self.over(reason);
        }
        self.advance_aftermath();
    }

    /// Whether the caller has said something that the server is still putting into words.
    fn words_are_missing(&self) -> bool {
        self.settings.session.transcription.is_some() && self.transcript.awaits_words()
    }

    /// The call is over.
    pub(super) fn over(&mut self, reason: EndReason) {
        // What it comes to is known since the beginning of the aftermath.
        let is_settled = self.is_in_aftermath();
        self.phase = Phase::Ended(reason);
        let frames = self.playout.counts().late_frames;
        if frames > 0 {
            self.outputs.push(Output::Notice(Notice::LateFrames { frames }));
        }
        if self.sessions.has_stood() {
            if !is_settled {
                self.settle();
            }
            let bill = self.bill();
            let (read, cached) = (bill.conversation.read(), bill.conversation.cached());
            let (written, cost) = (bill.conversation.written(), bill.said());
            self.outputs.push(Output::Notice(Notice::CallSpent { read, cached, written, cost }));
        }
        let seconds = self.lasted().as_secs();
        self.outputs.push(Output::Notice(Notice::CallEnded { seconds, reason }));
    }
}

//! The phases of a call, and its end: the caller is let go, what was made in Asterisk is deleted, and last words are waited for.
//!
//! ```text
//!   SettingUp ── joined, and the session stands ──► Talking
//!       │                                              │
//!       └──────────── end(), leave() ──────────────────┴──► Closing ── all is undone, or it takes too long ──► Ended
//! ```
//! Closing is bounded. Only a caller whom Asterisk does not let go is waited for without end, unless the daemon stops.

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
    words: LastWords,
}

/// What the caller said last and the server is still putting into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastWords {
    /// The session stays open for it until this instant.
    AwaitedUntil(Instant),
    /// The session is closed.
    Over,
}

impl Closing {
    /// When [`Call::advance_closing`] may give something up. After `until` has passed, only the caller's channel is waited for.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let until = Some(self.until).filter(|until| *until > now);
        [until, self.stops_at].into_iter().flatten().min()
    }

    /// When [`Call::advance_last_words`] has something to do.
    pub(super) fn words_deadline(&self) -> Option<Instant> {
        match self.words {
            LastWords::AwaitedUntil(at) => Some(at),
            LastWords::Over => None,
        }
    }
}

impl Call {
    /// Caller and model hear each other from now on, if both are there.
    pub(super) fn begin_talking(&mut self) {
        if self.phase == Phase::SettingUp && self.legs.is_joined() && self.sessions.has_stood() {
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
        self.phase = Phase::Closing(Closing {
            reason,
            until,
            stops_at: (reason == EndReason::Shutdown).then_some(until),
            words: if waits { LastWords::AwaitedUntil(self.now + WORDS_PATIENCE) } else { LastWords::Over },
        });
        self.let_tools_go();
        self.stop_playing();
        self.session.close();
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

    /// The caller has hung up. A set-up that failed because of it has not failed.
    pub(super) fn caller_gone(&mut self) {
        self.end(EndReason::CallerHungUp);
        if let Phase::Closing(closing) = &mut self.phase
            && self.legs.caller_was_gone()
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

    /// Closes the session when the last words are in, or will not come.
    pub(super) fn advance_last_words(&mut self) {
        let is_over = !self.words_are_missing();
        if let Phase::Closing(closing) = &mut self.phase
            && closing.words_deadline().is_some_and(|at| at <= self.now || is_over)
        {
            closing.words = LastWords::Over;
            self.outputs.push(Output::CloseSession);
        }
    }

    /// Ends the call when everything is undone, or it takes too long.
    pub(super) fn advance_closing(&mut self) {
        let Phase::Closing(Closing { reason, until, stops_at, words }) = self.phase else { return };
        let is_undone = self.legs.is_undone() && words == LastWords::Over;
        let is_given_up = until <= self.now && !self.legs.holds_caller();
        let is_stopped = stops_at.is_some_and(|at| at <= self.now);
        if is_undone || is_given_up || is_stopped {
            self.over(reason);
        }
    }

    /// Whether the caller has said something that the server is still putting into words.
    fn words_are_missing(&self) -> bool {
        self.settings.session.transcription.is_some() && self.transcript.awaits_words()
    }

    /// The call is over.
    pub(super) fn over(&mut self, reason: EndReason) {
        self.phase = Phase::Ended(reason);
        let frames = self.playout.counts().late_frames;
        if frames > 0 {
            self.outputs.push(Output::Notice(Notice::LateFrames { frames }));
        }
        if self.sessions.has_stood() {
            self.settle();
            let bill = self.bill();
            let (read, cached) = (bill.conversation.read(), bill.conversation.cached());
            let (written, cost) = (bill.conversation.written(), bill.said());
            self.outputs.push(Output::Notice(Notice::CallSpent { read, cached, written, cost }));
        }
        let seconds = (self.now - self.born).as_secs();
        self.outputs.push(Output::Notice(Notice::CallEnded { seconds, reason }));
    }
}

//! How far the daemon is with its end.
//!
//! ```text
//!   Serving ──stop──► Draining ──the grace is over──► Ending ──patience is over──► GivenUp
//!
//!   NotYet ──the last call is over──► Looking ──nobody is left in the application──► Done
//! ```
//! A caller may enter the application in the very moment in which the last call ends. So the event socket is closed first
//! (callers who come later go on in the dialplan), and then Asterisk is asked who is left.

use std::time::{Duration, Instant};

use crate::call::CLOSING_PATIENCE;
use crate::operator::Notice;

/// How far the daemon is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    /// Callers are taken.
    #[default]
    Serving,
    /// Live calls have their time to finish; no caller is taken.
    Draining { until: Instant },
    /// Calls are being ended, and callers who are in none let go.
    Ending { until: Instant },
    /// Whom Asterisk has not let go by now is left to the next start.
    GivenUp,
}

/// The state of the last question to Asterisk: who is left in the application after the last call?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum LastLook {
    #[default]
    NotYet,
    Looking,
    Done,
}

/// The daemon's end.
#[derive(Debug, Default)]
pub(super) struct Shutdown {
    stage: Stage,
    last_look: LastLook,
    /// How many calls ran when it began, and how long they had.
    calls: usize,
    grace: Duration,
}

impl Shutdown {
    /// The daemon is to stop; so many calls run, and may go on for `grace`. Whether that is new.
    pub(super) fn begin(&mut self, now: Instant, calls: usize, grace: Duration) -> bool {
        let is_new = self.stage == Stage::Serving;
        if is_new {
            *self = Self { stage: Stage::Draining { until: now + grace }, calls, grace, ..Self::default() };
        }
        is_new
    }

    /// Whether the daemon is to stop.
    pub(super) fn is_on(&self) -> bool {
        self.stage != Stage::Serving
    }

    /// The line of `systemctl status`, if the daemon is to stop.
    pub(super) fn status(&self) -> Option<Notice> {
        self.is_on().then_some(Notice::Draining { calls: self.calls, seconds: self.grace.as_secs() })
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Draining { until } | Stage::Ending { until } => Some(until),
            Stage::Serving | Stage::GivenUp => None,
        }
    }

    /// Whether calls are to be ended now.
    pub(super) fn grace_is_over(&mut self, now: Instant) -> bool {
        let is_over = matches!(self.stage, Stage::Draining { until } if until <= now);
        if is_over {
            self.stage = Stage::Ending { until: now + CLOSING_PATIENCE };
        }
        is_over
    }

    /// Whether callers who are in no call are to be given up now.
    pub(super) fn patience_is_over(&mut self, now: Instant) -> bool {
        let is_over = matches!(self.stage, Stage::Ending { until } if until <= now);
        if is_over {
            (self.stage, self.last_look) = (Stage::GivenUp, LastLook::Done);
        }
        is_over
    }

    /// Called when no call runs and nobody waits. Returns true once: the exchange must now ask who is left in the application.
    pub(super) fn looks_last(&mut self) -> bool {
        let looks = self.is_on() && self.last_look == LastLook::NotYet;
        if looks {
            self.last_look = LastLook::Looking;
        }
        looks
    }

    /// It is known who is left, or nobody can tell.
    pub(super) fn looked_last(&mut self) {
        self.last_look = LastLook::Done;
    }

    /// Whether it was looked who is left.
    pub(super) fn has_looked_last(&self) -> bool {
        self.last_look == LastLook::Done
    }
}

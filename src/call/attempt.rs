//! A request to Asterisk that is made again until it has been carried out: on its way, or waiting for its next try.

use std::time::Instant;

/// How such a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The request is on its way; its answer, or its time-out, will be an input.
    InFlight,
    /// It was refused or got no answer, and is made again at this instant.
    RetryAt(Instant),
}

impl Attempt {
    /// When the request is to be made again.
    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Self::InFlight => None,
            Self::RetryAt(at) => Some(at),
        }
    }

    /// Whether the request is to be made again by now.
    pub(super) fn is_due(self, now: Instant) -> bool {
        self.deadline().is_some_and(|at| at <= now)
    }
}

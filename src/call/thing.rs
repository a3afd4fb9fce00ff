//! Something that a call has made in Asterisk: created once, and deleted until it is gone.

use std::time::Instant;

use super::attempt::Attempt;
use super::replies::RETRY_AFTER;
use crate::ari::request::Reply;

/// Something of ours in Asterisk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thing {
    /// Not asked for.
    Absent,
    /// Asked for; the answer is not in.
    Requested,
    /// There (or possibly there: the answer was lost).
    Present,
    /// Being deleted.
    Leaving(Attempt),
    /// Deleted, or destroyed by Asterisk.
    Gone,
}

impl Thing {
    /// When it is to be deleted again.
    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Self::Leaving(attempt) => attempt.deadline(),
            Self::Absent | Self::Requested | Self::Present | Self::Gone => None,
        }
    }

    /// Asterisk answered the request that creates it, or did not: then it may have been carried out all the same.
    pub(super) fn created(&mut self, reply: &Reply) {
        if *self == Self::Requested {
            *self = match reply {
                Reply::Done(_) | Reply::Lost(_) => Self::Present,
                Reply::Refused { .. } => Self::Absent,
            };
        }
    }

    /// Asterisk answered the request that deletes it, or did not.
    pub(super) fn deleted(&mut self, now: Instant, reply: &Reply) {
        *self = match reply {
            _ if *self == Self::Gone => Self::Gone,
            Reply::Done(_) | Reply::Refused { status: 404, .. } => Self::Gone,
            Reply::Refused { .. } | Reply::Lost(_) => Self::Leaving(Attempt::RetryAt(now + RETRY_AFTER)),
        };
    }

    /// Whether it was never made, or is no longer there.
    pub(super) fn is_gone(self) -> bool {
        matches!(self, Self::Absent | Self::Gone)
    }
}

//! The calls that OpenAI is asked to reject. Strangers choose how many those are, and OpenAI may not answer: few are asked about at once,
//! and few wait. Callers of the trunk go before strangers.
//!
//! ```text
//!   begin ──► few are asked about ──► OpenAI is asked ──ended──► decided, and the next one that waits
//!        └──► waits, or is left out: the next start decides
//! ```

use std::collections::{HashSet, VecDeque};

use crate::realtime::calls::CallId;
use crate::realtime::calls::request::SipStatus;

/// Requests to OpenAI at once. Each holds a connection while OpenAI does not answer, five seconds at most. More would take file
/// descriptors from calls; with fewer a burst of calls rings for longer.
const AT_ONCE: usize = 32;
/// Calls that wait, of the trunk and of strangers each. More would ring until OpenAI gives them up before it is their turn.
const WAITING: usize = 512;

/// Whose a call is that has no task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// This daemon's.
    Ours,
    /// That of an earlier daemon, which may have ended it or not.
    Earlier,
}

/// A call to reject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rejection {
    /// The call.
    pub(super) call: CallId,
    /// What the trunk gets.
    pub(super) status: SipStatus,
    /// Whose call it is.
    pub(super) whose: Whose,
}

/// The calls that are being rejected.
#[derive(Debug, Default)]
pub(super) struct Rejections {
    asked: HashSet<CallId>,
    of_trunk: VecDeque<Rejection>,
    of_strangers: VecDeque<Rejection>,
}

impl Rejections {
    /// A call is to be rejected. Returns it, if OpenAI is to be asked now.
    pub(super) fn begin(&mut self, rejection: Rejection) -> Option<Rejection> {
        if self.concern(&rejection.call) {
            return None;
        }
        let is_strangers = rejection.status == SipStatus::Decline;
        let waiting = if is_strangers { &mut self.of_strangers } else { &mut self.of_trunk };
        if waiting.len() < WAITING {
            waiting.push_back(rejection);
        } else {
            tracing::debug!(call = rejection.call.as_str(), "too many calls wait for their rejection");
        }
        self.next()
    }

    /// OpenAI has answered, or not in time. Returns the next call that it is to be asked about.
    pub(super) fn ended(&mut self, call: &CallId) -> Option<Rejection> {
        self.asked.remove(call);
        self.next()
    }

    fn next(&mut self) -> Option<Rejection> {
        if self.asked.len() >= AT_ONCE {
            return None;
        }
        let next = self.of_trunk.pop_front().or_else(|| self.of_strangers.pop_front())?;
        self.asked.insert(next.call.clone());
        Some(next)
    }

    /// Whether this call is to be rejected, and OpenAI has not answered yet.
    fn concern(&self, call: &CallId) -> bool {
        let mut waiting = self.of_trunk.iter().chain(&self.of_strangers);
        self.asked.contains(call) || waiting.any(|waiting| waiting.call == *call)
    }

    /// Whether no call is to be rejected any more.
    pub(super) fn are_over(&self) -> bool {
        self.asked.is_empty() && self.of_trunk.is_empty() && self.of_strangers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(n: usize) -> CallId {
        CallId::parse(&format!("rtc_{n}")).expect("an id")
    }

    fn of(n: usize, status: SipStatus) -> Rejection {
        Rejection { call: call(n), status, whose: Whose::Ours }
    }

    #[test]
    fn few_are_asked_about_at_once_and_callers_of_the_trunk_go_before_strangers() {
        let mut rejections = Rejections::default();
        let asked: Vec<_> =
            (0..2 * AT_ONCE).filter_map(|n| rejections.begin(of(n, SipStatus::Decline))).collect();
        assert_eq!(asked.len(), AT_ONCE);
        assert_eq!(rejections.begin(of(999, SipStatus::BusyHere)), None);
        assert!(rejections.concern(&call(999)) && rejections.concern(&call(0)));
        assert_eq!(rejections.begin(of(0, SipStatus::Decline)), None, "it is being asked about");
        let next = |rejections: &mut Rejections, n| rejections.ended(&call(n)).map(|next| next.call);
        assert_eq!(next(&mut rejections, 0), Some(call(999)));
        assert_eq!(next(&mut rejections, 1), Some(call(AT_ONCE)));
        for n in 2..2 * AT_ONCE {
            rejections.ended(&call(n));
        }
        assert!(!rejections.are_over());
        rejections.ended(&call(999));
        assert!(rejections.are_over());
    }

    #[test]
    fn strangers_have_a_bound_and_take_no_place_of_the_trunk() {
        let mut rejections = Rejections::default();
        for n in 0..5_000 {
            rejections.begin(of(n, SipStatus::Decline));
        }
        assert_eq!(rejections.of_strangers.len(), WAITING);
        assert!(!rejections.concern(&call(4_999)));
        rejections.begin(of(9_999, SipStatus::ServiceUnavailable));
        assert!(rejections.concern(&call(9_999)));
    }
}

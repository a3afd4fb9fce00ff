//! Requests that are made one after another. Each is repeated until Asterisk has carried it out, has refused it for
//! good, or too much time has passed. No call exists that could repeat them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{ASK_AGAIN_AFTER, Sending};
use crate::ari::request::{Reply, Request};
use crate::call::CLOSING_PATIENCE;

/// Pause before Asterisk is asked again whether it has done what it said it would. A caller hears nothing meanwhile.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// The requests that are left, and how the first of them stands.
#[derive(Debug)]
pub(in crate::exchange) struct Chain {
    waiting: VecDeque<Request>,
    /// Whether a request need not be made again after this answer.
    is_over: fn(&Request, &Reply) -> bool,
    give_up_at: Instant,
    all_done: bool,
    turn: Sending,
}

impl Chain {
    /// Makes each request until Asterisk has carried it out or refused it for good, for [`CLOSING_PATIENCE`] at most.
    pub(in crate::exchange) fn new(now: Instant, requests: impl IntoIterator<Item = Request>) -> Self {
        Self::until(now, requests, Request::is_settled_by)
    }

    /// Makes each removal until Asterisk says that there is nothing to be removed.
    pub(super) fn until_gone(now: Instant, requests: impl IntoIterator<Item = Request>) -> Self {
        Self::until(now, requests, Request::is_gone_by)
    }

    fn until(
        now: Instant,
        requests: impl IntoIterator<Item = Request>,
        is_over: fn(&Request, &Reply) -> bool,
    ) -> Self {
        Self {
            waiting: requests.into_iter().collect(),
            is_over,
            give_up_at: now + CLOSING_PATIENCE,
            all_done: true,
            turn: Sending::At(now),
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.turn.due()
    }

    pub(super) fn request(&mut self, now: Instant) -> Option<Request> {
        if self.turn.comes(now) { self.waiting.front().cloned() } else { None }
    }

    /// The first request has ended.
    pub(super) fn replied(&mut self, now: Instant, reply: &Reply) {
        let Some(request) = self.waiting.front() else { return };
        let is_done = matches!(reply, Reply::Done(_));
        if (self.is_over)(request, reply) || now >= self.give_up_at {
            self.all_done &= is_done;
            self.waiting.pop_front();
            self.turn = Sending::At(now);
        } else {
            self.turn = Sending::At(now + if is_done { LOOK_AGAIN_AFTER } else { ASK_AGAIN_AFTER });
        }
    }

    /// Whether no request is left.
    pub(in crate::exchange) fn is_over(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether all of those that are over were done.
    pub(super) fn all_done(&self) -> bool {
        self.all_done
    }
}

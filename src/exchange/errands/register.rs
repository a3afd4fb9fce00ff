//! All errands that are not over. An Asterisk that announces callers without end, and answers nothing, brings about
//! thousands of errands; therefore the errands are found by their deadlines and by their callers, never by going
//! through all of them.
//!
//! Does not decide what follows from an errand; that is the exchange's task.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::{Errand, ErrandId, Finding, Inquiry, Look, Purpose, Step};
use crate::ari::ChannelId;
use crate::ari::request::{Reply, Request};
use crate::exchange::Output;

/// The largest number of errands at once. With more, an Asterisk that announces callers without end could take memory without end.
/// With fewer, callers could be left waiting whom a real Asterisk holds: it has no more channels than the files it may
/// open.
const MOST_ERRANDS: usize = 4_096;

/// All errands that are not over. An input costs a time that grows with the logarithm of their number, apart from the errands that
/// the input is about.
#[derive(Debug, Default)]
pub(in crate::exchange) struct Errands {
    last: u64,
    all: BTreeMap<ErrandId, Errand>,
    /// The errands that have a request to make, by the instant at which it is due.
    due: BTreeSet<(Instant, ErrandId)>,
    /// The errands that are about callers.
    about: BTreeSet<(ChannelId, ErrandId)>,
    /// The errands that are about Asterisk as a whole.
    general: BTreeSet<ErrandId>,
    /// The number of errands that the daemon waits for before it stops.
    owed: usize,
    /// The number of times that an errand was looked at.
    #[cfg(test)]
    steps: std::cell::Cell<usize>,
}

impl Errands {
    /// Begins an errand. Its requests come with the next [`Self::advance`].
    pub(in crate::exchange) fn begin(&mut self, errand: Errand) -> ErrandId {
        self.last += 1;
        let id = ErrandId(self.last);
        self.due.extend(errand.due().map(|at| (at, id)));
        self.about.extend(errand.callers().iter().map(|caller| (caller.clone(), id)));
        if errand.is_general() {
            self.general.insert(id);
        }
        self.owed += usize::from(errand.is_owed());
        self.all.insert(id, errand);
        id
    }

    /// Ends an errand.
    fn end(&mut self, id: ErrandId) {
        let Some(errand) = self.all.remove(&id) else { return };
        if let Some(at) = errand.due() {
            self.due.remove(&(at, id));
        }
        for caller in errand.callers() {
            self.about.remove(&(caller.clone(), id));
        }
        self.general.remove(&id);
        self.owed -= usize::from(errand.is_owed());
    }

    /// Changes an errand, and keeps the order of the deadlines. None: the errand is over.
    fn change<T>(&mut self, id: ErrandId, change: impl FnOnce(&mut Errand) -> T) -> Option<T> {
        self.count_step();
        let errand = self.all.get_mut(&id)?;
        let before = errand.due();
        let outcome = change(errand);
        let after = errand.due();
        if before != after {
            before.map(|at| self.due.remove(&(at, id)));
            self.due.extend(after.map(|at| (at, id)));
        }
        Some(outcome)
    }

    /// Whether there may be one more errand about a caller. The errands about Asterisk as a whole are few.
    pub(in crate::exchange) fn has_room(&self) -> bool {
        self.all.len() < MOST_ERRANDS
    }

    /// When [`Self::advance`] has something to do.
    pub(in crate::exchange) fn deadline(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Makes the requests that are due.
    pub(in crate::exchange) fn advance(&mut self, now: Instant, out: &mut Vec<Output>) {
        while let Some(&(at, id)) = self.due.first()
            && at <= now
        {
            let requests = self.change(id, |errand| errand.requests(now)).unwrap_or_default();
            out.extend(requests.into_iter().map(|request| Output::Ari(id, request)));
        }
    }

    /// A request of an errand has ended. What the errand has found out, if it is over.
    pub(in crate::exchange) fn replied(
        &mut self,
        now: Instant,
        id: ErrandId,
        request: &Request,
        reply: &Reply,
        out: &mut Vec<Output>,
    ) -> Option<Finding> {
        match self.change(id, |errand| errand.replied(now, request, reply, out))? {
            Step::GoesOn => None,
            Step::Over(finding) => {
                self.end(id);
                finding
            }
        }
    }

    /// Looks after a caller who may be waiting, at this instant, unless somebody does already.
    pub(in crate::exchange) fn look_at(&mut self, caller: ChannelId, at: Instant) {
        let is_looked_at = self.about(&caller).any(|(_, errand)| matches!(errand, Errand::Look(_)));
        if self.has_room() && !is_looked_at {
            self.begin(Errand::Look(Look::new(caller, at)));
        }
    }

    /// Whether an errand lets this caller go on in the dialplan.
    pub(in crate::exchange) fn hands_back(&self, caller: &ChannelId) -> bool {
        self.about(caller)
            .any(|(_, errand)| matches!(errand, Errand::HandBack(hand_back) if hand_back.holds_caller()))
    }

    /// Whether an errand is about this caller.
    pub(in crate::exchange) fn cares_for(&self, caller: &ChannelId) -> bool {
        self.about(caller).any(|(_, errand)| match errand {
            Errand::HandBack(hand_back) => hand_back.holds_caller(),
            _ => true,
        })
    }

    /// A channel has left the application: nobody has to send that caller on any more.
    pub(in crate::exchange) fn left(&mut self, channel: &ChannelId) {
        let ids: Vec<ErrandId> = self.about(channel).map(|(id, _)| id).collect();
        for id in ids {
            let is_over = self.change(id, |errand| match errand {
                Errand::HandBack(hand_back) => hand_back.left(),
                _ => false,
            });
            if is_over == Some(true) {
                self.end(id);
            }
        }
    }

    /// Whether live calls are looked at.
    pub(in crate::exchange) fn polls(&self) -> bool {
        self.general().any(|(_, errand)| matches!(errand, Errand::Poll(_)))
    }

    /// Events tell again what happens to calls, and what a poll is about to find may be out of date.
    pub(in crate::exchange) fn end_polls(&mut self) {
        let polls = self.general().filter(|(_, errand)| matches!(errand, Errand::Poll(_)));
        let polls: Vec<ErrandId> = polls.map(|(id, _)| id).collect();
        for id in polls {
            self.end(id);
        }
    }

    /// Whether Asterisk is asked if it still refuses requests.
    pub(in crate::exchange) fn probes(&self) -> bool {
        self.general().any(|(_, errand)| matches!(errand, Errand::Probe(_)))
    }

    /// Whether an errand asks, or is about to ask, whether the program that took over our application has ended.
    pub(in crate::exchange) fn may_return(&self) -> bool {
        self.general()
            .any(|(_, errand)| matches!(errand, Errand::Inquiry(Inquiry { purpose: Purpose::Return, .. })))
    }

    /// Whether the daemon stops only after one of them.
    pub(in crate::exchange) fn are_owed(&self) -> bool {
        self.owed > 0
    }

    /// Gives all of them up: whom Asterisk has not let go by now is left to the next start.
    pub(in crate::exchange) fn give_up(&mut self) {
        *self = Self { last: self.last, ..Self::default() };
    }

    /// The errands that are about this caller.
    fn about(&self, caller: &ChannelId) -> impl Iterator<Item = (ErrandId, &Errand)> {
        let all = (caller.clone(), ErrandId(0))..=(caller.clone(), ErrandId(u64::MAX));
        self.about.range(all).filter_map(|(_, id)| self.errand(*id))
    }

    /// The errands that are about Asterisk as a whole.
    fn general(&self) -> impl Iterator<Item = (ErrandId, &Errand)> {
        self.general.iter().filter_map(|id| self.errand(*id))
    }

    fn errand(&self, id: ErrandId) -> Option<(ErrandId, &Errand)> {
        self.count_step();
        self.all.get(&id).map(|errand| (id, errand))
    }

    #[cfg(test)]
    fn count_step(&self) {
        self.steps.set(self.steps.get() + 1);
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "the tests count with it")]
    fn count_step(&self) {}
}

#[cfg(test)]
mod tests {
    use super::super::{Chain, Clearing, HandBack, Sending};
    use super::*;
    use crate::end_reason::EndReason;

    /// Errands about as many callers as there may be. Asterisk has answered none of their requests.
    fn as_many_as_there_may_be(now: Instant) -> Errands {
        let mut errands = Errands::default();
        for n in 0..2 * MOST_ERRANDS {
            errands.look_at((&*format!("{n}")).into(), now);
        }
        let mut out = Vec::new();
        errands.advance(now, &mut out);
        assert_eq!(out.len(), MOST_ERRANDS);
        errands
    }

    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn an_asterisk_that_announces_callers_without_end_is_not_followed_without_end() {
        assert!(!as_many_as_there_may_be(now()).has_room());
    }

    #[test]
    fn no_input_makes_the_exchange_go_through_all_errands() {
        let now = now();
        let mut errands = as_many_as_there_may_be(now);
        errands.begin(Errand::Probe(Sending::At(now)));
        let stranger = ChannelId::from("stranger");
        let mut steps_of = |name: &str, act: &mut dyn FnMut(&mut Errands)| {
            errands.steps.set(0);
            act(&mut errands);
            assert!(errands.steps.get() <= 2, "{name}: {} steps", errands.steps.get());
        };
        steps_of("a tick", &mut |errands| errands.advance(now, &mut Vec::new()));
        steps_of("the deadline", &mut |errands| assert_eq!(errands.deadline(), None));
        steps_of("a new caller", &mut |errands| errands.look_at(stranger.clone(), now));
        steps_of("hands back", &mut |errands| assert!(!errands.hands_back(&"7".into())));
        steps_of("cares for", &mut |errands| assert!(errands.cares_for(&"7".into())));
        steps_of("a caller leaves", &mut |errands| errands.left(&"7".into()));
        steps_of("polls", &mut |errands| assert!(!errands.polls()));
        steps_of("ends polls", &mut Errands::end_polls);
        steps_of("probes", &mut |errands| assert!(errands.probes()));
        steps_of("may return", &mut |errands| assert!(!errands.may_return()));
        steps_of("is owed", &mut |errands| assert!(errands.are_owed()));
        steps_of("an answer", &mut |errands| {
            let request = Request::Channel("9".into());
            let lost = Reply::Lost(String::new());
            assert!(errands.replied(now, ErrandId(10), &request, &lost, &mut Vec::new()).is_some());
        });
    }

    #[test]
    fn nothing_is_kept_of_errands_that_are_over() {
        let now = now();
        let mut errands = Errands::default();
        errands.look_at("1".into(), now);
        errands.begin(Errand::HandBack(HandBack::new(now, "2".into(), EndReason::Busy, None)));
        errands.begin(Errand::Remove(Chain::new(now, [Request::Hangup("3".into())])));
        let gone = vec![Request::Hangup("4".into())];
        errands.begin(Errand::Clear(Clearing::new(now, gone, vec!["5".into(), "6".into()])));
        errands.begin(Errand::Probe(Sending::At(now)));
        errands.left(&"2".into());
        for _ in 0..4 {
            let mut out = Vec::new();
            errands.advance(now, &mut out);
            for output in out {
                let Output::Ari(id, request) = output else { continue };
                let gone = Reply::Refused { status: 404, message: String::new() };
                errands.replied(now, id, &request, &gone, &mut Vec::new());
            }
        }
        let Errands { all, due, about, general, owed, .. } = errands;
        assert!(all.is_empty() && due.is_empty() && about.is_empty() && general.is_empty(), "{all:?}");
        assert_eq!(owed, 0);
    }
}

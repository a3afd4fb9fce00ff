//! Errands: what is asked of Asterisk that belongs to no call. Each errand is a small machine of its own; what follows from
//! one that is over, the exchange decides.
//!
//! | file | holds |
//! |---|---|
//! | `chain` | requests that are made one after the other, each until it is done |
//! | `inquiry` | several questions at once; a single question about a caller |
//! | `hand_back` | a caller who is to go on in the dialplan |
//! | `removal` | what an earlier daemon left; bridges that nobody is in |
//! | `poll` | live calls whose events another program gets |

mod chain;
mod hand_back;
mod inquiry;
mod poll;
mod removal;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub(super) use chain::Chain;
pub(super) use hand_back::HandBack;
pub(super) use inquiry::{Inquiry, Look, Purpose};
pub(super) use poll::{Poll, Polled};
pub(super) use removal::{Clearing, Sweep};

use super::Output;
use crate::ari::ChannelId;
use crate::ari::request::{Reply, Request};
use crate::call::LegEvent;

/// Pause before a request that belongs to no call is made again. The caller it is about hears nothing meanwhile.
pub(super) const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How often the exchange tries whether Asterisk still refuses what it is asked for, or this machine still lacks its
/// address. A longer pause keeps callers away for longer than needed; a shorter one disturbs an Asterisk in trouble.
pub(super) const PROBE_EVERY: Duration = Duration::from_secs(2);
/// Most errands at once. Each is gone through at every input, so more would let an Asterisk that announces callers without
/// end, and answers nothing, take memory and time without end. Fewer could leave callers waiting whom a real Asterisk holds: it
/// has no more channels than the files it may open.
const MOST_ERRANDS: usize = 4_096;
/// How often the exchange asks whether the program that has our application has ended. A longer pause keeps callers away
/// for longer than needed; a shorter one asks an Asterisk that has nothing new to tell.
pub(super) const RETURN_EVERY: Duration = Duration::from_secs(5);
/// The channel that is probed with. It does not exist: whoever may remove channels is told so (404), others that they may
/// not.
const PROBED: &str = "oic-probe";

/// Names an errand, so that the answer to its request finds the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrandId(u64);

/// A request that is under way, or that is made (again) at this instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    UnderWay,
    At(Instant),
}

impl Turn {
    fn due(self) -> Option<Instant> {
        match self {
            Self::UnderWay => None,
            Self::At(at) => Some(at),
        }
    }

    /// Whether the request is to be made now. It is under way from then on.
    fn comes(&mut self, now: Instant) -> bool {
        let comes = self.due().is_some_and(|at| at <= now);
        if comes {
            *self = Self::UnderWay;
        }
        comes
    }
}

/// What there is to do.
#[derive(Debug)]
pub(super) enum Errand {
    /// Several things are asked at once.
    Inquiry(Inquiry),
    /// A caller who may be waiting is asked for.
    Look(Look),
    /// A caller goes on in the dialplan.
    HandBack(HandBack),
    /// Something that belongs to nobody is removed.
    Remove(Chain),
    /// What an earlier daemon left is removed, before callers are looked at.
    Clear(Clearing),
    /// Idle bridges whose callers are gone are removed.
    Sweep(Sweep),
    /// Live calls are looked at while their events go elsewhere.
    Poll(Poll),
    /// Asterisk is asked to change something, to learn whether it still refuses.
    Probe(Turn),
}

/// What an errand has found out.
#[derive(Debug)]
pub(super) enum Finding {
    /// Everything that was asked is answered.
    Answered(Inquiry),
    /// A caller who may be waiting was asked for.
    Looked { caller: ChannelId, reply: Reply },
    /// What an earlier daemon left is gone; these callers may be waiting.
    Cleared(Vec<ChannelId>),
    /// This has happened to calls whose events another program gets.
    Polled(Vec<(ChannelId, LegEvent)>),
}

/// How an errand stands after an answer.
#[derive(Debug)]
enum Step {
    GoesOn,
    Over(Option<Finding>),
}

impl Errand {
    fn due(&self) -> Option<Instant> {
        match self {
            Self::Inquiry(inquiry) => inquiry.due(),
            Self::Look(look) => look.due(),
            Self::HandBack(hand_back) => hand_back.due(),
            Self::Remove(chain) => chain.due(),
            Self::Clear(clearing) => clearing.due(),
            Self::Sweep(sweep) => sweep.due(),
            Self::Poll(poll) => poll.due(),
            Self::Probe(turn) => turn.due(),
        }
    }

    /// The requests that are due.
    fn requests(&mut self, now: Instant) -> Vec<Request> {
        let request = match self {
            Self::Inquiry(inquiry) => return inquiry.requests(now),
            Self::Look(look) => look.request(now),
            Self::HandBack(hand_back) => hand_back.request(now),
            Self::Remove(chain) => chain.request(now),
            Self::Clear(clearing) => clearing.request(now),
            Self::Sweep(sweep) => sweep.request(now),
            Self::Poll(poll) => poll.request(now),
            Self::Probe(turn) => turn.comes(now).then(|| Request::Hangup(PROBED.into())),
        };
        request.into_iter().collect()
    }

    fn replied(&mut self, now: Instant, request: &Request, reply: &Reply, out: &mut Vec<Output>) -> Step {
        match self {
            Self::Inquiry(inquiry) => inquiry.replied(request, reply),
            Self::Look(look) => look.replied(reply),
            Self::HandBack(hand_back) => hand_back.replied(now, request, reply, out),
            Self::Remove(chain) => {
                chain.replied(now, reply);
                if chain.is_over() { Step::Over(None) } else { Step::GoesOn }
            }
            Self::Clear(clearing) => clearing.replied(now, reply),
            Self::Sweep(sweep) => sweep.replied(now, reply),
            Self::Poll(poll) => poll.replied(now, reply),
            Self::Probe(_) => Step::Over(None),
        }
    }

    /// Whether somebody waits for the errand, or something of ours stays in Asterisk without it: the daemon stops after
    /// it.
    fn is_owed(&self) -> bool {
        match self {
            Self::Look(_) | Self::HandBack(_) | Self::Remove(_) | Self::Clear(_) | Self::Sweep(_) => true,
            Self::Inquiry(inquiry) => inquiry.is_owed(),
            Self::Poll(_) | Self::Probe(_) => false,
        }
    }
}

/// All errands that are not over.
#[derive(Debug, Default)]
pub(super) struct Errands {
    last: u64,
    all: BTreeMap<ErrandId, Errand>,
}

impl Errands {
    /// Begins an errand. Its requests come with the next [`Self::advance`].
    pub(super) fn begin(&mut self, errand: Errand) -> ErrandId {
        self.last += 1;
        let id = ErrandId(self.last);
        self.all.insert(id, errand);
        id
    }

    /// Whether there may be one more errand about a caller. The errands of the exchange itself are few.
    pub(super) fn has_room(&self) -> bool {
        self.all.len() < MOST_ERRANDS
    }

    /// When [`Self::advance`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.all.values().filter_map(Errand::due).min()
    }

    /// Makes the requests that are due.
    pub(super) fn advance(&mut self, now: Instant, out: &mut Vec<Output>) {
        for (id, errand) in &mut self.all {
            out.extend(errand.requests(now).into_iter().map(|request| Output::Ari(*id, request)));
        }
    }

    /// A request of an errand has ended. What the errand has found out, if it is over.
    pub(super) fn replied(
        &mut self,
        now: Instant,
        id: ErrandId,
        request: &Request,
        reply: &Reply,
        out: &mut Vec<Output>,
    ) -> Option<Finding> {
        match self.all.get_mut(&id)?.replied(now, request, reply, out) {
            Step::GoesOn => None,
            Step::Over(finding) => {
                self.all.remove(&id);
                finding
            }
        }
    }

    /// Looks after a caller who may be waiting, at this instant, unless somebody does already.
    pub(super) fn look_at(&mut self, caller: ChannelId, at: Instant) {
        if self.has_room()
            && !self.has(|errand| matches!(errand, Errand::Look(look) if look.caller == caller))
        {
            self.begin(Errand::Look(Look::new(caller, at)));
        }
    }

    /// Whether an errand lets this caller go on in the dialplan.
    pub(super) fn hands_back(&self, caller: &ChannelId) -> bool {
        self.has(|errand| matches!(errand, Errand::HandBack(hand_back) if hand_back.holds(caller)))
    }

    /// Whether an errand is about this caller.
    pub(super) fn cares_for(&self, caller: &ChannelId) -> bool {
        self.has(|errand| match errand {
            Errand::Look(look) => look.caller == *caller,
            Errand::HandBack(hand_back) => hand_back.holds(caller),
            Errand::Clear(clearing) => clearing.waits_for(caller),
            _ => false,
        })
    }

    /// A channel has left the application: nobody has to send that caller on any more.
    pub(super) fn left(&mut self, channel: &ChannelId) {
        self.all.retain(|_, errand| match errand {
            Errand::HandBack(hand_back) => !hand_back.left(channel),
            _ => true,
        });
    }

    pub(super) fn polls(&self) -> bool {
        self.has(|errand| matches!(errand, Errand::Poll(_)))
    }

    /// Events tell again what happens to calls, and what a poll is about to find may be out of date.
    pub(super) fn end_polls(&mut self) {
        self.all.retain(|_, errand| !matches!(errand, Errand::Poll(_)));
    }

    pub(super) fn probes(&self) -> bool {
        self.has(|errand| matches!(errand, Errand::Probe(_)))
    }

    /// Whether one asks, or is about to ask, if the program that has our application has ended.
    pub(super) fn may_return(&self) -> bool {
        self.has(|errand| matches!(errand, Errand::Inquiry(Inquiry { purpose: Purpose::Return, .. })))
    }

    /// Whether the daemon stops only after one of them.
    pub(super) fn are_owed(&self) -> bool {
        self.has(Errand::is_owed)
    }

    /// Gives all of them up: whom Asterisk has not let go by now is left to the next start.
    pub(super) fn give_up(&mut self) {
        self.all.clear();
    }

    fn has(&self, is_it: impl Fn(&Errand) -> bool) -> bool {
        self.all.values().any(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asterisk_that_announces_callers_without_end_is_not_followed_without_end() {
        #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
        let now = Instant::now();
        let mut errands = Errands::default();
        for n in 0..2 * MOST_ERRANDS {
            errands.look_at((&*format!("{n}")).into(), now);
        }
        let mut out = Vec::new();
        errands.advance(now, &mut out);
        assert_eq!(out.len(), MOST_ERRANDS);
        assert!(!errands.has_room());
    }
}

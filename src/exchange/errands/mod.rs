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
//! | `register` | all errands that are not over, found by their deadlines and by the callers they are about |

mod chain;
mod hand_back;
mod inquiry;
mod poll;
mod register;
mod removal;

use std::slice;
use std::time::{Duration, Instant};

pub(super) use chain::Chain;
pub(super) use hand_back::HandBack;
pub(super) use inquiry::{Inquiry, Look, Purpose};
pub(super) use poll::{Poll, Polled};
pub(super) use register::Errands;
pub(super) use removal::{Clearing, Sweep};

use super::{ErrandId, Output};
use crate::ari::ChannelId;
use crate::ari::request::{Reply, Request};
use crate::call::LegEvent;

/// Pause before a request that belongs to no call is made again. The caller it is about hears nothing meanwhile.
pub(super) const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How often the exchange tries whether Asterisk still refuses what it is asked for, or this machine still lacks its
/// address. A longer pause keeps callers away for longer than needed; a shorter one disturbs an Asterisk in trouble.
pub(super) const PROBE_EVERY: Duration = Duration::from_secs(2);
/// How often the exchange asks whether the program that has our application has ended. A longer pause keeps callers away
/// for longer than needed; a shorter one asks an Asterisk that has nothing new to tell.
pub(super) const RETURN_EVERY: Duration = Duration::from_secs(5);
/// The channel that is probed with. It does not exist: whoever may remove channels is told so (404), others that they may
/// not.
const PROBED: &str = "oic-probe";

/// A request that is under way, or that is made (again) at this instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sending {
    UnderWay,
    At(Instant),
}

impl Sending {
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
    Probe(Sending),
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

    /// The callers whom this errand is about. They stay the same as long as the errand is not over.
    fn callers(&self) -> &[ChannelId] {
        match self {
            Self::Look(look) => slice::from_ref(&look.caller),
            Self::HandBack(hand_back) => slice::from_ref(hand_back.caller()),
            Self::Clear(clearing) => clearing.waiting(),
            Self::Inquiry(_) | Self::Remove(_) | Self::Sweep(_) | Self::Poll(_) | Self::Probe(_) => &[],
        }
    }

    /// Whether this errand is about Asterisk as a whole. There are few of this kind at once.
    fn is_general(&self) -> bool {
        matches!(self, Self::Inquiry(_) | Self::Poll(_) | Self::Probe(_))
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

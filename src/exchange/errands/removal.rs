//! What nobody serves any more is removed from Asterisk.

use std::collections::VecDeque;
use std::time::Instant;

use super::{Chain, Finding, Sending, Step};
use crate::ari::request::{Reply, Request};
use crate::ari::{BridgeId, ChannelId};

/// How far the removal of what an earlier daemon left has come.
#[derive(Debug)]
enum Stage {
    /// Asterisk is asked to remove each of them.
    Asking,
    /// Asterisk has agreed, and may not have done it yet.
    Waiting,
}

/// Removes what an earlier daemon left, before the callers whom it left waiting are served: their new bridges and media
/// channels have the same names as the old ones.
#[derive(Debug)]
pub(in crate::exchange) struct Clearing {
    leftovers: Vec<Request>,
    waiting: Vec<ChannelId>,
    stage: Stage,
    chain: Chain,
}

impl Clearing {
    /// Makes these removals; then these callers are looked at.
    pub(in crate::exchange) fn new(now: Instant, leftovers: Vec<Request>, waiting: Vec<ChannelId>) -> Self {
        let chain = Chain::new(now, leftovers.iter().cloned());
        Self { leftovers, waiting, stage: Stage::Asking, chain }
    }

    /// The callers who are looked at afterwards.
    pub(super) fn waiting(&self) -> &[ChannelId] {
        &self.waiting
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.chain.due()
    }

    pub(super) fn request(&mut self, now: Instant) -> Option<Request> {
        self.chain.request(now)
    }

    pub(super) fn replied(&mut self, now: Instant, reply: &Reply) -> Step {
        self.chain.replied(now, reply);
        match self.stage {
            _ if !self.chain.is_over() => Step::GoesOn,
            Stage::Asking => {
                // All of them are on their way; the first ones are gone by now.
                self.stage = Stage::Waiting;
                self.chain = Chain::until_gone(now, std::mem::take(&mut self.leftovers));
                Step::GoesOn
            }
            Stage::Waiting => Step::Over(Some(Finding::Cleared(self.waiting.clone()))),
        }
    }
}

/// How an idle bridge stands.
#[derive(Debug)]
enum Idle {
    /// Asterisk is asked whether the caller for whom the bridge was made is still there.
    Asking(Sending),
    /// The caller is gone.
    Removing(Chain),
}

/// Removes those of the idle bridges that were made for a caller who is gone. One whose caller is there may be another
/// daemon's, which is about to join it.
#[derive(Debug)]
pub(in crate::exchange) struct Sweep {
    bridges: VecDeque<(ChannelId, BridgeId)>,
    first: Idle,
}

impl Sweep {
    /// Looks at these bridges, one after the other; None: none of them is ours.
    pub(in crate::exchange) fn new(now: Instant, idle: Vec<BridgeId>) -> Option<Self> {
        let ours = idle.into_iter().filter_map(|bridge| Some((bridge.caller()?, bridge)));
        let bridges: VecDeque<_> = ours.collect();
        (!bridges.is_empty()).then_some(Self { bridges, first: Idle::Asking(Sending::At(now)) })
    }

    pub(super) fn due(&self) -> Option<Instant> {
        match &self.first {
            Idle::Asking(turn) => turn.due(),
            Idle::Removing(chain) => chain.due(),
        }
    }

    pub(super) fn request(&mut self, now: Instant) -> Option<Request> {
        let (caller, _) = self.bridges.front()?;
        match &mut self.first {
            Idle::Asking(turn) => turn.comes(now).then(|| Request::Channel(caller.clone())),
            Idle::Removing(chain) => chain.request(now),
        }
    }

    pub(super) fn replied(&mut self, now: Instant, reply: &Reply) -> Step {
        let Some((_, bridge)) = self.bridges.front() else { return Step::Over(None) };
        match &mut self.first {
            Idle::Asking(_) if matches!(reply, Reply::Refused { status: 404, .. }) => {
                self.first = Idle::Removing(Chain::new(now, [Request::DeleteBridge(bridge.clone())]));
                return Step::GoesOn;
            }
            Idle::Asking(_) => {}
            Idle::Removing(chain) => {
                chain.replied(now, reply);
                if !chain.is_over() {
                    return Step::GoesOn;
                }
            }
        }
        self.bridges.pop_front();
        self.first = Idle::Asking(Sending::At(now));
        if self.bridges.is_empty() { Step::Over(None) } else { Step::GoesOn }
    }
}

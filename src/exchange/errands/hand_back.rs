//! A caller who is in no call goes on in the dialplan, told why, for as long as their channel exists.
//!
//! ```text
//!   Checking ─────────► Explaining ─────────► Continuing ──► the caller has gone on, or has hung up
//!   is the place there?  ▲                     │  ▲    │
//!                        │ the reason          ▼  │    │ the channel has left the application,
//!                        └─ was refused ── not let go  │ and the answer tells why
//!                                                      ▼
//!                                                     Left
//! ```

use std::time::Instant;

use super::{Chain, Sending, Step};
use crate::ari::request::{Reply, Request};
use crate::ari::{ChannelId, Place};
use crate::call::legs::END_REASON_VARIABLE;
use crate::call::replies::{Departure, complaint, missing};
use crate::end_reason::EndReason;
use crate::exchange::Output;
use crate::operator::Notice;

/// Where the errand stands.
#[derive(Debug)]
enum Stage {
    /// Asterisk is asked whether its dialplan has the place.
    Checking { place: Place, turn: Sending },
    /// The caller's channel is told why it comes back: without the reason the dialplan would hang up.
    Explaining(Chain),
    /// The caller's channel is sent on.
    Continuing(Sending),
    /// The caller's channel left the application while the request was under way. The answer to the request tells whether
    /// the request was the cause.
    Left,
}

/// One caller.
#[derive(Debug)]
pub(in crate::exchange) struct HandBack {
    caller: ChannelId,
    reason: EndReason,
    /// Where the caller goes on; None: with the next step.
    place: Option<Place>,
    is_told: bool,
    /// How often Asterisk has not let the caller go.
    tries: u32,
    stage: Stage,
}

impl HandBack {
    /// Lets a caller go on at `place`, if it is in the dialplan, or with the next step.
    pub(in crate::exchange) fn new(
        now: Instant,
        caller: ChannelId,
        reason: EndReason,
        place: Option<Place>,
    ) -> Self {
        let stage = match place.clone() {
            Some(place) => Stage::Checking { place, turn: Sending::At(now) },
            None => explaining(now, &caller, reason),
        };
        Self { caller, reason, place, is_told: false, tries: 0, stage }
    }

    /// The caller's channel.
    pub(super) fn caller(&self) -> &ChannelId {
        &self.caller
    }

    /// Whether the caller is in the application for all we know, and is being sent on.
    pub(super) fn holds_caller(&self) -> bool {
        !matches!(self.stage, Stage::Left)
    }

    pub(super) fn due(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Checking { turn, .. } | Stage::Continuing(turn) => turn.due(),
            Stage::Explaining(chain) => chain.due(),
            Stage::Left => None,
        }
    }

    pub(super) fn request(&mut self, now: Instant) -> Option<Request> {
        let channel = self.caller.clone();
        match &mut self.stage {
            Stage::Checking { place, turn } => {
                turn.comes(now).then(|| Request::DialplanExists { channel, place: place.clone() })
            }
            Stage::Explaining(chain) => chain.request(now),
            Stage::Continuing(turn) => {
                turn.comes(now).then(|| Request::Continue { channel, place: self.place.clone() })
            }
            Stage::Left => None,
        }
    }

    pub(super) fn replied(
        &mut self,
        now: Instant,
        request: &Request,
        reply: &Reply,
        out: &mut Vec<Output>,
    ) -> Step {
        match &mut self.stage {
            Stage::Checking { place, .. } => {
                if let Some(notice) = missing(place, reply) {
                    out.push(Output::Notice(Some(self.caller.clone()), notice));
                    self.place = None;
                }
                self.stage = explaining(now, &self.caller, self.reason);
                Step::GoesOn
            }
            Stage::Explaining(chain) => {
                chain.replied(now, reply);
                if chain.is_over() {
                    self.is_told = chain.all_done();
                    self.stage = Stage::Continuing(Sending::At(now));
                }
                Step::GoesOn
            }
            Stage::Continuing(_) | Stage::Left => self.continued(now, request, reply, out),
        }
    }

    fn continued(&mut self, now: Instant, request: &Request, reply: &Reply, out: &mut Vec<Output>) -> Step {
        let mut say = |notice| out.push(Output::Notice(Some(self.caller.clone()), notice));
        match Departure::of(reply) {
            Departure::Done => {
                say(Notice::CallHandedBack { reason: self.reason });
                return Step::Over(None);
            }
            Departure::Gone => return Step::Over(None),
            Departure::Refused if matches!(self.stage, Stage::Left) => return Step::Over(None),
            Departure::Refused => {}
        }
        self.tries += 1;
        if self.tries == 1 {
            complaint(request, reply).into_iter().for_each(&mut say);
            say(Notice::CallerStuck);
        }
        let again_at = now + Departure::try_again_after(self.tries);
        self.stage = if self.is_told {
            Stage::Continuing(Sending::At(again_at))
        } else {
            explaining(again_at, &self.caller, self.reason)
        };
        Step::GoesOn
    }

    /// The caller's channel has left the application. Returns whether this ends the errand. It does not while an answer is awaited
    /// that tells whether the caller has gone on.
    pub(super) fn left(&mut self) -> bool {
        let awaits_answer = matches!(self.stage, Stage::Continuing(Sending::UnderWay) | Stage::Left);
        self.stage = Stage::Left;
        !awaits_answer
    }
}

/// Tells a caller's channel why it comes back.
fn explaining(at: Instant, caller: &ChannelId, reason: EndReason) -> Stage {
    let (channel, value) = (caller.clone(), reason.code().to_owned());
    Stage::Explaining(Chain::new(at, [Request::SetVariable { channel, name: END_REASON_VARIABLE, value }]))
}

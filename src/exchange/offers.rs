//! The calls that OpenAI answers by SIP and offers us: whether they are taken. The same limits hold for them as for callers in
//! Asterisk. Who is not taken is rejected, so that the trunk can find a person. A call that Asterisk has made for a caller whom it
//! holds was admitted with that caller; its nonce tells which call it is.

use std::sync::Arc;
use std::time::Duration;

use super::offer::{Offer, Trunk};
use super::readiness::Capacity;
use super::switchboard::Side;
use super::{Exchange, Order, Output};
use crate::agents::{Asked, UnknownAgent};
use crate::ari::ChannelId;
use crate::end_reason::EndReason;
use crate::operator::{Detail, Notice};
use crate::realtime::calls::request::SipStatus;

/// How old a call may be when it is taken. OpenAI does not say how long it lets callers ring; with a larger value the model would
/// talk to nobody, and with a smaller one a slow webhook would lose callers.
const OLDEST: Duration = Duration::from_secs(60);

impl Exchange {
    /// OpenAI offers a call.
    pub(super) fn offered(&mut self, offer: Offer) {
        self.webhook_came();
        let id = offer.id();
        // The webhook may come twice.
        let is_known = self.switchboard.serves(&id) || self.switchboard.is_dialled(&offer.call);
        if is_known || self.aftermaths.have(&offer.call) {
            return;
        }
        if let Some(caller) =
            offer.nonce.as_ref().and_then(|nonce| self.switchboard.dialled(nonce, &offer.call))
        {
            self.outputs.push(Output::Tell(caller, Order::Offered(offer.call)));
            return;
        }
        if offer.nonce.is_some() {
            // Its caller waits no longer, or somebody has made the nonce up. It is no call of a trunk, so that it is not taken
            // even where no header is needed.
            self.say_of_stranger(&id, Notice::SipNonceUnknown);
            return self.reject(offer, SipStatus::Decline, None);
        }
        if offer.trunk == Trunk::Stranger {
            self.say_of_stranger(&id, Notice::SipStranger);
            return self.reject(offer, SipStatus::Decline, None);
        }
        if offer.age > OLDEST {
            self.say_not_taken(&offer, Notice::SipTooLate { seconds: offer.age.as_secs() });
            return self.reject(offer, SipStatus::ServiceUnavailable, None);
        }
        if self.shutdown.is_on() {
            return self.reject(offer, SipStatus::ServiceUnavailable, Some(EndReason::Shutdown));
        }
        if self.room() != Capacity::Free {
            return self.reject(offer, SipStatus::BusyHere, Some(EndReason::Busy));
        }
        let at = self.at.wall.naive_local();
        let asked = Asked { argument: None, variable: None, dialled: &offer.called, at };
        let (agent, line) = match self.rules.agents.choose_as(&asked) {
            Ok((agent, line)) => (Arc::clone(agent), line),
            Err(UnknownAgent(name)) => {
                self.say(Some(&id), Notice::AgentUnknown { name: Detail::new(name) });
                return self.reject(offer, SipStatus::ServiceUnavailable, Some(EndReason::NoAgent));
            }
        };
        if let Some(reason) = self.admission.refuses(self.at, &self.rules, &agent, &offer.caller) {
            return self.reject(offer, SipStatus::BusyHere, Some(reason));
        }
        self.switchboard.take(id.clone(), offer.caller.clone(), Arc::clone(&agent.name), Side::OpenAi);
        self.admission.count(self.at.now, &offer.caller);
        self.outputs.push(Output::Take(Box::new(offer), agent));
        if let Some(line) = line {
            self.say(Some(&id), line);
        }
    }

    /// Says this of a call that anybody may have made, unless there was a line about such a call a short while ago.
    fn say_of_stranger(&mut self, id: &ChannelId, notice: Notice) {
        if self.strangers.came(self.at.now) {
            self.say(Some(id), notice);
        }
    }

    /// Says this of a call that is not taken: of each call of the trunk, and of those that anybody may have made as of strangers.
    fn say_not_taken(&mut self, offer: &Offer, notice: Notice) {
        match offer.trunk {
            Trunk::Known => self.say(Some(&offer.id()), notice),
            Trunk::Open | Trunk::Stranger => self.say_of_stranger(&offer.id(), notice),
        }
    }

    /// Refuses the call. A call that counts as one of the trunk has a reason, and a line.
    fn reject(&mut self, offer: Offer, status: SipStatus, reason: Option<EndReason>) {
        if let Some(reason) = reason {
            self.say_not_taken(&offer, Notice::SipNotTaken { status: status.code(), reason });
        }
        self.outputs.push(Output::Reject(Box::new(offer), status, reason));
    }
}

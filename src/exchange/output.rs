//! What the exchange wants done, and what a call is told.

use std::sync::Arc;

use super::agents::Agent;
use super::offer::Offer;
use super::readiness::Readiness;
use crate::ari::event::Channel;
use crate::ari::request::Request;
use crate::ari::{ChannelId, Place};
use crate::call::{LegEvent, Wish};
use crate::end_reason::EndReason;
use crate::number::CallerNumber;
use crate::operator::Notice;
use crate::realtime::calls::CallId;
use crate::realtime::calls::request::SipStatus;

/// Names an errand, so that the answer to its request finds the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrandId(pub(super) u64);

/// Something the exchange wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Start a call of this agent for this caller. What comes of it comes back as [`Input::Started`](super::Input::Started) or [`Input::NotStarted`](super::Input::NotStarted).
    Start(Channel, Arc<Agent>),
    /// Take this call, which OpenAI answers, with a call of this agent.
    Take(Box<Offer>, Arc<Agent>),
    /// Refuse this call, which OpenAI offers. With a reason the daemon counts and logs it.
    Reject(Box<Offer>, SipStatus, Option<EndReason>),
    /// Hang this call up, which OpenAI answers and which was lost to a defect of ours.
    HangUp(CallId),
    /// This caller is not taken. The daemon counts and logs them; an errand of the exchange sends them back to the
    /// dialplan.
    Refused(Channel, EndReason),
    /// Tell the call of this caller.
    Tell(ChannelId, Order),
    /// Tell the call with this number, which is in its aftermath, that the daemon stops.
    Hurry(u64),
    /// Make this request; its end comes back as [`Input::Ari`](super::Input::Ari).
    Ari(ErrandId, Request),
    /// Connect to Asterisk's events again.
    Reconnect,
    /// Close the event socket: callers who come from now on go on in the dialplan.
    Leave,
    /// Try whether RTP sockets can be bound on our address; the answer comes back as [`Input::AddressTried`](super::Input::AddressTried).
    TryAddress,
    /// Read the counters; they come back as [`super::Input::Measured`].
    Measure,
    /// Tell the operator; with the caller the line is about, if it is about one.
    Notice(Option<ChannelId>, Notice),
    /// Whether a caller would be served, or the reason why not, has changed.
    Readiness(Box<Readiness>),
}

/// What a call is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Something has happened to one of its channels.
    Leg(LegEvent),
    /// Another channel has taken the caller's place. The place is the step at which the dialplan would have continued the
    /// earlier channel.
    Replaced(ChannelId, Option<Place>),
    /// The one who talks has this number.
    Renumbered(CallerNumber),
    /// OpenAI tells of the call to it that Asterisk has made for this call.
    Offered(CallId),
    /// What a supervisor wants.
    Supervisor(Wish),
    /// End now.
    Shutdown,
}

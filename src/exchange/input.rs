//! What can happen on the PBX side.

use std::net::SocketAddr;
use std::sync::Arc;

use chrono::NaiveDate;
use ipnet::IpNet;

use super::counters::Counters;
use super::{ErrandId, NoSocket, Offer, Rules, WebhookNews};
use crate::ari::event::{Channel, Event};
use crate::ari::nonce::Nonce;
use crate::ari::request::{Reply, Request};
use crate::ari::{ChannelId, Unreached};
use crate::call::{Report, Standing};
use crate::operator::Detail;
use crate::units::MicroUsd;

/// Something that happens on the PBX side.
#[derive(Debug)]
pub enum Input<'a> {
    /// Time has passed.
    Tick,
    /// The event socket to Asterisk stands: events come from now on, none of the time before.
    Connected,
    /// The event socket is lost; None: we wanted to connect again.
    Lost(Option<String>),
    /// The event socket could not be connected.
    Unreached(Unreached),
    /// Asterisk tells something.
    Event(Event),
    /// OpenAI offers a call that has come to it by SIP.
    Offered(Box<Offer>),
    /// Something happens to the webhook that brings these offers.
    Webhook(WebhookNews),
    /// The end of a request that an errand has made.
    Ari {
        /// Whose request it was.
        errand: ErrandId,
        /// The request.
        request: &'a Request,
        /// How it ended.
        reply: &'a Reply,
    },
    /// Asterisk has begun to refuse the daemon's requests (true), or refuses them no longer (false).
    Refuses(bool),
    /// The call that was to be started for this caller runs, and this is its RTP socket as Asterisk reaches it.
    Started(ChannelId, SocketAddr),
    /// The call that was to be started for this caller runs; Asterisk calls OpenAI for it with this nonce.
    Dialled(ChannelId, Nonce),
    /// There is no RTP socket for a call of this caller.
    NotStarted(Channel, NoSocket),
    /// The call of this caller has cost so much by now.
    Spent(ChannelId, MicroUsd),
    /// A call has found out how OpenAI stands.
    Standing(&'a Standing),
    /// The call of this caller is over.
    Ended(ChannelId, &'a Report),
    /// The call of this caller is in its aftermath, and has this number from now on: the caller may be in another call.
    LetGo(ChannelId, u64, &'a Report),
    /// The aftermath with this number is over.
    Over(u64),
    /// The call of this caller was lost to a defect of ours, which left this message.
    Panicked(ChannelId, Detail),
    /// The same for the call with this number, in its aftermath.
    AftermathPanicked(u64, Detail),
    /// What calls of an earlier daemon have cost on this day, by the name of the agent.
    SpentEarlier(NaiveDate, Vec<(Arc<str>, MicroUsd)>),
    /// What calls of an earlier daemon have cost on this day is not known in time: callers are taken, and it may come later.
    SpentEarlierLate,
    /// It was tried whether RTP sockets can be bound on our address.
    AddressTried(Result<(), String>),
    /// Asterisk may have the sound of new calls sent there; None: anywhere.
    MediaNetworks(Option<Arc<[IpNet]>>),
    /// The counters as they are now, and the ticks of the calls' clocks since the last time: all, and those that were late.
    Measured(Counters, (u32, u32)),
    /// The operator has decided anew. Calls that run keep what they were born with.
    Reload(Box<Rules>),
    /// What the operator has decided anew has faults, and does not count.
    ReloadRefused,
    /// The daemon is to stop.
    Stop,
}

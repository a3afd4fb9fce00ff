//! Errands: what is asked of Asterisk that belongs to no call. Each is a future of its own, so the loop waits for none;
//! what follows from one, the loop decides when it is done.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::call_task::Order;
use super::clock::now;
use crate::ari::event::parse_channel;
use crate::ari::request::{Application, Reply, Request};
use crate::ari::{BridgeId, ChannelId, Place};
use crate::call::legs::END_REASON_VARIABLE;
use crate::call::replies::{Departure, complaint, missing};
use crate::call::{CLOSING_PATIENCE, LegEvent};
use crate::logging::Operator;
use crate::net::ari_rest::AriRest;
use crate::operator::{EndReason, Notice};

/// Pause before a request that belongs to no call is made again. The caller it is about hears nothing meanwhile.
pub(super) const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// Pause before it is looked again whether Asterisk has done what it said it would. A caller hears nothing meanwhile.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);
/// How often live calls are looked at while their events go elsewhere. Seldomer leaves more of a caller who has hung up
/// on the line; oftener asks Asterisk for nothing.
const POLL_EVERY: Duration = Duration::from_secs(2);

/// How often it is looked whether Asterisk still refuses what it is asked for, or this machine still lacks its address.
/// Seldomer keeps callers away for longer than needed.
pub(super) const PROBE_EVERY: Duration = Duration::from_secs(2);
/// The channel that is probed with. It does not exist: whoever may remove channels is told so (404), others that they may
/// not.
const PROBED: &str = "oic-probe";

/// An errand that is done.
pub(super) enum Errand {
    /// What the application holds, all bridges, and what Asterisk says of itself, asked after a connect; and whether we may
    /// change a channel.
    Checked { before: Vec<ChannelId>, reply: Reply, bridges: Reply, info: Reply, forbidden: Option<Notice> },
    /// What an earlier daemon left is gone; these callers may be waiting.
    Cleared(Vec<ChannelId>),
    /// A caller who may be waiting was asked for.
    Looked { caller: ChannelId, reply: Reply },
    /// Live calls were looked at: this has happened to them.
    Polled(Vec<(ChannelId, LegEvent)>),
    /// It was tried whether Asterisk still refuses what it is asked for.
    Probed,
    /// It was tried whether RTP sockets can be bound on our address.
    AddressTried(std::io::Result<()>),
    /// Asterisk's own addresses, if its name could be resolved.
    Resolved(Option<Vec<IpNet>>),
    /// A call that had not read its orders has, or is over.
    HasRoom(ChannelId),
    /// Nothing follows from it.
    Done,
}

/// Asks what the application holds, for all bridges, since when Asterisk runs, and whether we may change a channel.
/// `before`: the callers being served.
pub(super) async fn check(rest: AriRest, app: String, before: Vec<ChannelId>) -> Errand {
    let (application, change) = (Request::Application(app), Request::Hangup(PROBED.into()));
    let (reply, bridges, info, changed) = tokio::join!(
        rest.perform(&application),
        rest.perform(&Request::Bridges),
        rest.perform(&Request::Info),
        rest.perform(&change)
    );
    let is_forbidden = matches!(changed, Reply::Refused { status: 401 | 403, .. });
    let forbidden = is_forbidden.then(|| complaint(&change, &changed)).flatten();
    Errand::Checked { before, reply, bridges, info, forbidden }
}

/// Tries, after a pause, whether Asterisk still refuses what it is asked for; `rest` knows then.
pub(super) async fn probe(rest: AriRest) -> Errand {
    tokio::time::sleep(PROBE_EVERY).await;
    rest.perform(&Request::Hangup(PROBED.into())).await;
    Errand::Probed
}

/// Tries, after a pause, whether RTP sockets can be bound on our address.
pub(super) async fn try_address(address: IpAddr, pause: Duration) -> Errand {
    tokio::time::sleep(pause).await;
    Errand::AddressTried(UdpSocket::bind((address, 0)).await.map(drop))
}

/// Waits until a call has read of its orders.
pub(super) async fn room(caller: ChannelId, orders: mpsc::Sender<Order>) -> Errand {
    drop(orders.reserve().await);
    Errand::HasRoom(caller)
}

/// Removes what an earlier daemon left, then looks at the callers it left waiting: what is made for them anew has
/// the same names.
pub(super) async fn take_over(rest: AriRest, leftovers: Vec<Request>, waiting: Vec<ChannelId>) -> Errand {
    make_all(&rest, &leftovers, Request::is_settled_by).await;
    // All of them are on their way; the first ones are gone by now.
    make_all(&rest, &leftovers, Request::is_gone_by).await;
    Errand::Cleared(waiting)
}

/// Asks Asterisk for a caller's channel, after a pause.
pub(super) async fn look_at(rest: AriRest, caller: ChannelId, pause: Duration) -> Errand {
    tokio::time::sleep(pause).await;
    let reply = rest.perform(&Request::Channel(caller.clone())).await;
    Errand::Looked { caller, reply }
}

/// Lets a caller go on in the dialplan, told why: at `place`, if it is there. Tries for as long as their channel exists.
pub(super) async fn send_on(
    rest: AriRest,
    operator: Operator,
    mut place: Option<Place>,
    caller: ChannelId,
    reason: EndReason,
) -> Errand {
    if let Some(wanted) = &place {
        let (channel, wanted) = (caller.clone(), wanted.clone());
        let reply = rest.perform(&Request::DialplanExists { channel, place: wanted.clone() }).await;
        if let Some(notice) = missing(&wanted, &reply) {
            operator.say(&notice);
            place = None;
        }
    }
    let (channel, value) = (caller.clone(), reason.code().to_owned());
    let explain = Request::SetVariable { channel, name: END_REASON_VARIABLE, value };
    let go_on = Request::Continue { channel: caller, place };
    let mut is_told = false;
    for tries in 1.. {
        // Without its reason the dialplan would hang up.
        is_told = is_told || make_all(&rest, std::slice::from_ref(&explain), Request::is_settled_by).await;
        let reply = rest.perform(&go_on).await;
        match Departure::of(&reply) {
            Departure::Done => {
                operator.say(&Notice::CallHandedBack { reason });
                break;
            }
            Departure::Gone => break,
            Departure::Refused => {}
        }
        if let Some(notice) = complaint(&go_on, &reply).filter(|_| tries == 1) {
            operator.say(&notice);
            operator.say(&Notice::CallerStuck);
        }
        tokio::time::sleep(Departure::try_again_after(tries)).await;
    }
    Errand::Done
}

/// Makes requests one after the other.
pub(super) async fn make(rest: AriRest, requests: Vec<Request>) -> Errand {
    make_all(&rest, &requests, Request::is_settled_by).await;
    Errand::Done
}

/// Removes those of the idle bridges that were made for a caller who is gone. One whose caller is there may be another
/// daemon's, which is about to join it.
pub(super) async fn sweep(rest: AriRest, idle: Vec<BridgeId>) -> Errand {
    for bridge in idle {
        let Some(caller) = bridge.caller() else { continue };
        if matches!(rest.perform(&Request::Channel(caller)).await, Reply::Refused { status: 404, .. }) {
            make_all(&rest, &[Request::DeleteBridge(bridge)], Request::is_settled_by).await;
        }
    }
    Errand::Done
}

/// A live call that is looked at.
pub(super) struct Polled {
    pub(super) caller: ChannelId,
    /// The channel of whoever talks.
    pub(super) channel: ChannelId,
    /// Our RTP socket.
    pub(super) ours: SocketAddr,
}

/// Looks at live calls, whose events another program gets: whose caller has gone,
/// and whose media channel sends elsewhere, because that program serves the caller now.
pub(super) async fn poll(rest: AriRest, app: String, calls: Vec<Polled>) -> Errand {
    tokio::time::sleep(POLL_EVERY).await;
    let mut happened = Vec::new();
    // Without an answer nothing is known: the next time, perhaps.
    if let Reply::Done(body) = rest.perform(&Request::Application(app)).await
        && let Some(application) = Application::parse(&body)
    {
        let there: BTreeSet<_> = application.channels().collect();
        for Polled { caller, channel, ours } in calls {
            if !there.contains(&channel) {
                happened.push((caller, LegEvent::CallerLeft));
            } else if let Reply::Done(body) = rest.perform(&Request::Channel(caller.media())).await
                && let Ok(media) = parse_channel(&body)
                && media.external_host().is_some_and(|host| host != ours)
            {
                happened.push((caller, LegEvent::TakenOver));
            }
        }
    }
    Errand::Polled(happened)
}

/// Makes requests one after the other, each again until it is known to be done or refused: of a caller who is to be
/// sent on, or of something nobody serves any more, nobody else takes care. Whether all of them were done.
async fn make_all(rest: &AriRest, requests: &[Request], is_over: fn(&Request, &Reply) -> bool) -> bool {
    let give_up_at = now() + CLOSING_PATIENCE;
    let mut all_done = true;
    for request in requests {
        loop {
            let reply = rest.perform(request).await;
            tracing::debug!(?request, ?reply, "ARI");
            let is_done = matches!(reply, Reply::Done(_));
            if is_over(request, &reply) || now() >= give_up_at {
                all_done &= is_done;
                break;
            }
            tokio::time::sleep(if is_done { LOOK_AGAIN_AFTER } else { ASK_AGAIN_AFTER }).await;
        }
    }
    all_done
}

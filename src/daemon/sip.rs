//! Calls that OpenAI answers by SIP, as the daemon has them: the listener of the webhook, and the tasks of calls that need no socket
//! of ours. Which of them are taken is decided by the exchange.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use rustls::ClientConfig;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::call_io::{AtOpenAi, Io, SessionOf};
use super::call_log::Arrived;
use super::calls::{Prepared, Starting};
use super::rejections::{Rejection, Whose};
use super::{Daemon, Done, call_log};
use crate::archive::Archive;
use crate::ari::event::{Arguments, Channel};
use crate::ari::nonce::{NONCE_HEADER, Nonce};
use crate::call::{Call, DialSeed, SipSeed};
use crate::clock::{chance, now, unpredictable, wall};
use crate::config::{Config, RealtimeConfig, SipConfig, TrunkProof};
use crate::end_reason::EndReason;
use crate::exchange::{Agent, Input, Offer, Trunk, WebhookNews};
use crate::http::server::{Routes, serve};
use crate::http::webhook::{self, Told};
use crate::live::{Board, Decision};
use crate::logging::Operator;
use crate::net::calls_rest::CallsRest;
use crate::net::realtime_link::{Endpoint, RealtimeLink};
use crate::number::CallerName;
use crate::operator::{Detail, Notice};
use crate::peers::{call_endpoint, call_headers};
use crate::realtime::calls::CallId;
use crate::realtime::calls::incoming::Incoming;
use crate::realtime::calls::request::{Reply, Request, SipStatus};
use crate::registry::claims::Claim;

/// Offers that wait for the daemon's loop, which reads them at once. With fewer a burst of calls would have to be sent again.
const OFFERS: usize = 256;
/// Pauses before a call is hung up again whose task was lost. OpenAI ends it after an hour by itself.
const AGAIN_AFTER: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
];

/// How often a port that is taken is tried again.
const BIND_AGAIN: Duration = Duration::from_secs(10);
/// News of the listener that wait for the daemon's loop: that it cannot listen, and that it listens.
const NEWS: usize = 2;

/// The ways to and from OpenAI for the calls that it answers.
pub(super) struct OpenAi {
    /// How OpenAI is asked about them.
    pub(super) rest: CallsRest,
    /// What the webhook tells.
    pub(super) offers: mpsc::Receiver<Told>,
    /// The listener of the webhook, if there is one. It ends when this is dropped.
    pub(super) listener: JoinSet<()>,
    /// Whether the webhook listens.
    pub(super) news: mpsc::Receiver<WebhookNews>,
}

/// Listens for the webhook, if calls by SIP are taken. A taken port is no error: it is said, and tried again.
///
/// # Errors
/// The HTTP client cannot be built.
pub(super) fn open(
    config: &Config,
    tls: &ClientConfig,
    operator: Operator,
    board: Board,
) -> anyhow::Result<OpenAi> {
    let SipConfig { keys, listen, path, calls_url, .. } = &config.sip;
    let rest = CallsRest::new(calls_url, tls).context("the client of OpenAI's calls")?;
    let (tell, offers) = mpsc::channel(OFFERS);
    let (report, news) = mpsc::channel(NEWS);
    let mut listeners = JoinSet::new();
    if config.sip.is_on() {
        let proxies = config.archive.api.trusted_proxies.clone();
        let (listen, path, keys) = (*listen, path.clone(), keys.clone());
        let clock = || wall().timestamp();
        let parts = webhook::Parts { path: path.clone(), keys, proxies: proxies.clone(), tell, clock, board };
        let of_client = webhook::OF_CLIENT;
        let routes = Routes { router: webhook::router(parts), proxies, of_client };
        listeners.spawn(async move {
            let listener = bound(listen, operator, &report).await;
            let address = listener.local_addr().unwrap_or(listen);
            operator.say(&Notice::WebhookServed { address, path });
            report.send(WebhookNews::Listens).await.ok();
            serve(listener, routes, std::future::pending()).await;
        });
    }
    Ok(OpenAi { rest, offers, listener: listeners, news })
}

/// Waits until the address can be listened on.
async fn bound(address: SocketAddr, operator: Operator, report: &mpsc::Sender<WebhookNews>) -> TcpListener {
    let mut is_said = false;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) if !is_said => {
                is_said = true;
                operator.say(&Notice::WebhookUnbindable { address, cause: Detail::new(error) });
                report.send(WebhookNews::CannotListen).await.ok();
            }
            Err(_) => {}
        }
        tokio::time::sleep(BIND_AGAIN).await;
    }
}

impl Daemon {
    /// The webhook tells something.
    pub(super) fn webhook(&mut self, told: Told) {
        match told {
            Told::Incoming { incoming, webhook, sent_at, kept } => {
                self.claiming += 1;
                let offer = Box::new(self.offer(*incoming, sent_at));
                let (claims, now_us) = (self.log.claims(), wall().timestamp_micros());
                self.pending.push(Box::pin(async move {
                    let claim = claims.claim(&webhook, offer.call.as_str(), now_us).await;
                    // A call without a claim would be forgotten in a crash, so its webhook is not confirmed and comes again. The
                    // request may have been given up meanwhile; then nobody receives the confirmation.
                    if claim != Claim::Unknown {
                        kept.send(()).ok();
                    }
                    Done::Claimed(offer, claim)
                }));
            }
            Told::Crowded => self.feed(Input::Webhook(WebhookNews::Crowded)),
            Told::Refused { why: cause, count } => {
                self.feed(Input::Webhook(WebhookNews::Refused { cause, count }));
            }
        }
    }

    /// The call log has told whether an offer is new. If it does not tell, the offer is taken for new: the webhook itself remembers
    /// those of the last minutes, and no call is lost to a disk.
    pub(super) fn claimed(&mut self, offer: Box<Offer>, claim: Claim) {
        self.claiming -= 1;
        match claim {
            Claim::New | Claim::Unknown => self.feed(Input::Offered(offer)),
            Claim::Repeated => {
                tracing::debug!(call = offer.call.as_str(), "a call was offered again");
                self.board.decided(Decision::Repeated);
            }
        }
    }

    fn offer(&self, incoming: Incoming, sent_at: i64) -> Offer {
        let Incoming { call, created_at, headers } = incoming;
        let age = created_at.map(|created_at| sent_at.saturating_sub(created_at));
        let trunk = match &self.config.sip.trunk {
            TrunkProof::Needless => Trunk::Open,
            TrunkProof::Header(header) if headers.proves(&header.name, header.value.expose()) => Trunk::Known,
            TrunkProof::Header(_) | TrunkProof::None => Trunk::Stranger,
        };
        Offer {
            caller: headers.caller().into(),
            called: headers.called(),
            // Both times are OpenAI's, so that ours may be wrong.
            age: Duration::from_secs(age.and_then(|age| u64::try_from(age).ok()).unwrap_or(0)),
            trunk,
            nonce: headers
                .get(NONCE_HEADER)
                .map(|_| Nonce::from(headers.only(NONCE_HEADER).unwrap_or_default())),
            call,
        }
    }

    /// Starts a call of this agent for a caller in Asterisk, which calls OpenAI for them at this address.
    pub(super) fn dial(&mut self, channel: &Channel, agent: &Agent, endpoint: Arc<str>) {
        let (caller, offered_at) = (channel.id.clone(), wall());
        let row = call_log::offered(&channel.into(), offered_at, &self.host, [chance(), chance()]);
        let at_openai = match (self.at_openai(&agent.name), unpredictable()) {
            (Ok(at_openai), Some(nonce)) => {
                (at_openai, Nonce::from(&*format!("{:032x}", u128::from_be_bytes(nonce))))
            }
            (failed, _) => {
                let detail =
                    failed.err().map_or_else(|| "no random numbers".to_owned(), |error| format!("{error:#}"));
                self.operator.say(&Notice::Unexpected { detail: Detail::new(detail) });
                return self.feed(Input::Panicked(caller, Detail::new("no endpoint")));
            }
        };
        let (at_openai, nonce) = at_openai;
        let settings = self.servers.settings(agent).dialled();
        let keep = settings.keep;
        let Prepared { row, known, recording, jobs, lines } =
            self.prepare(agent, row, keep, channel.arguments.clone(), &channel.caller_name, offered_at);
        let seed = DialSeed {
            channel: caller.clone(),
            channel_name: channel.name.clone(),
            answered: channel.up,
            wall: offered_at.timestamp(),
            endpoint,
            nonce: nonce.clone(),
            known,
        };
        let call = Call::dialled(now(), Arc::new(settings), seed);
        let io = |this: &Self, seat| {
            // Its endpoint is known when OpenAI has told of the call.
            let session = RealtimeLink::new(this.endpoints.of(&agent.name));
            // A call whose sound OpenAI carries has no clock of frames that could be late.
            Io { at_openai: Some(at_openai), ticks: None, ..this.io(session, seat, recording, jobs, lines) }
        };
        self.run(call, agent, Starting { row, port: None, offered_at }, io);
        self.feed(Input::Dialled(caller, nonce));
    }

    /// How OpenAI is asked about calls of this agent.
    fn at_openai(&self, agent: &str) -> anyhow::Result<AtOpenAi> {
        let of_file = self.config.agents.find(agent).map(|agent| &agent.realtime);
        let realtime = of_file.unwrap_or(&self.config.realtime).clone();
        let tls = self.endpoints.tls();
        let headers = call_headers(&realtime)?;
        let of_session = headers.clone();
        let session_of: SessionOf = Arc::new(move |call| {
            let (url, headers, tls) = (realtime.call_url(call), of_session.clone(), Arc::clone(&tls));
            Arc::new(Endpoint { url, headers, tls })
        });
        Ok(AtOpenAi { rest: self.calls_rest.clone(), headers, session_of: Some(session_of) })
    }

    /// Starts a call of this agent for a call that OpenAI offers.
    pub(super) fn take(&mut self, offer: Offer, agent: &Agent) {
        self.board.decided(Decision::Taken);
        let (id, offered_at) = (offer.id(), wall());
        let headers = match self.sip_realtime(&agent.name, &offer.call) {
            Ok(endpoint) => endpoint,
            Err(error) => {
                self.operator.say(&Notice::Unexpected { detail: Detail::new(format!("{error:#}")) });
                return self.feed(Input::Panicked(id, Detail::new("no endpoint")));
            }
        };
        let refer_host = self.config.sip.refer_host.clone();
        let settings = self.servers.settings(agent).at_openai(refer_host.as_ref());
        let arrived = Arrived { call_id: offer.call.as_str(), caller: &offer.caller, called: &offer.called };
        let row = call_log::offered(&arrived, offered_at, &self.host, [chance(), chance()]);
        let prepared =
            self.prepare(agent, row, settings.keep, Arguments::default(), &CallerName::default(), offered_at);
        let Prepared { row, known, recording, jobs, lines } = prepared;
        let seed = SipSeed { call: offer.call, wall: offered_at.timestamp(), refer_host, known };
        let call = Call::at_openai(now(), Arc::new(settings), seed);
        let at_openai =
            AtOpenAi { rest: self.calls_rest.clone(), headers: headers.headers.clone(), session_of: None };
        let io = |this: &Self, seat| Io {
            rtp: None,
            at_openai: Some(at_openai),
            // A call at OpenAI has no clock of frames that could be late.
            ticks: None,
            ..this.io(RealtimeLink::new(Arc::new(headers)), seat, recording, jobs, lines)
        };
        self.run(call, agent, Starting { row, port: None, offered_at }, io);
    }

    /// The endpoint of the session of a call of this agent.
    fn sip_realtime(&self, agent: &str, call: &CallId) -> anyhow::Result<Endpoint> {
        let of_file = self.config.agents.find(agent).map(|agent| &agent.realtime);
        let realtime: &RealtimeConfig = of_file.unwrap_or(&self.config.realtime);
        call_endpoint(realtime, call, self.endpoints.tls())
    }

    /// A call that OpenAI offers is not taken: the trunk is told, and with a reason the call log and the totals.
    pub(super) fn reject(&mut self, offer: &Offer, status: SipStatus, reason: Option<EndReason>) {
        self.board.decided(Decision::Rejected);
        if let Some(reason) = reason {
            let arrived =
                Arrived { call_id: offer.call.as_str(), caller: &offer.caller, called: &offer.called };
            let row = call_log::offered(&arrived, wall(), &self.host, [chance(), chance()]);
            self.log.offer(call_log::refused(row, reason));
            self.board.refused(reason);
        }
        self.begin_rejection(Rejection { call: offer.call.clone(), status, whose: Whose::Ours });
    }

    fn begin_rejection(&mut self, rejection: Rejection) {
        if let Some(Rejection { call, status, whose }) = self.rejections.begin(rejection) {
            self.ask_openai(Request::Reject { call, status }, whose);
        }
    }

    /// Looks in the call log for calls that an earlier daemon has left at OpenAI, and for those about which it has not decided.
    pub(super) fn look_for_left(&self, archive: &Archive) {
        if self.config.sip.is_on() {
            let left = archive.left_at_openai(wall(), &self.host);
            self.pending.push(Box::pin(async move { Done::Left(left.await) }));
            let (claims, now_us) = (self.log.claims(), wall().timestamp_micros());
            self.pending.push(Box::pin(async move {
                let undecided = claims.take_over(now_us).await;
                Done::Undecided(undecided.iter().filter_map(|call| CallId::parse(call)).collect())
            }));
        }
    }

    /// Rejects the calls about which an earlier daemon had not decided when it was cut off: the trunk finds a person.
    pub(super) fn reject_undecided(&mut self, calls: Vec<CallId>) {
        for call in calls {
            self.operator.say(&Notice::SipUndecided { call: call.to_string() });
            let status = SipStatus::ServiceUnavailable;
            self.begin_rejection(Rejection { call, status, whose: Whose::Earlier });
        }
    }

    /// OpenAI was asked to reject a call. An earlier daemon may have accepted it.
    pub(super) fn rejected(&mut self, call: &CallId, whose: Whose, reply: &Reply) {
        let is_over = matches!(reply, Reply::Done | Reply::Refused { status: 404, .. });
        if whose == Whose::Earlier && !is_over {
            self.hang_up(call.clone());
        }
        self.log.decided(call.as_str());
        if let Some(Rejection { call, status, whose }) = self.rejections.ended(call) {
            self.ask_openai(Request::Reject { call, status }, whose);
        }
    }

    /// The daemon ends: nothing more is listened to, and what the webhook has told by now is decided. What OpenAI does not answer in
    /// time is decided by the next start.
    pub(super) async fn decide_last(
        &mut self,
        mut offers: mpsc::Receiver<Told>,
        mut listener: JoinSet<()>,
        patience: Duration,
    ) {
        listener.shutdown().await;
        let late = tokio::time::sleep(patience);
        tokio::pin!(late);
        loop {
            while let Ok(told) = offers.try_recv() {
                self.webhook(told);
            }
            if self.claiming == 0 && self.rejections.are_over() {
                return;
            }
            tokio::select! {
                Some(done) = self.pending.next() => self.done(done),
                () = &mut late => return,
            }
        }
    }

    /// Hangs the calls up that an earlier daemon, which was cut off, has left at OpenAI.
    pub(super) fn hang_up_all(&mut self, left: Vec<CallId>) {
        for call in left {
            self.ask_openai(Request::HangUp(call), Whose::Earlier);
        }
    }

    /// OpenAI was asked to hang up a call that has no task. `left`: the call is one of an earlier daemon, and this was answered.
    pub(super) fn hung_up(&mut self, left: Option<(CallId, Reply)>) {
        match left {
            None => {}
            Some((call, Reply::Done)) => self.operator.say(&Notice::SipLeftOver { call: call.to_string() }),
            // Nobody has accepted it if the earlier daemon was cut off between its row and that request: it may still ring.
            Some((call, _)) => {
                let status = SipStatus::ServiceUnavailable;
                self.begin_rejection(Rejection { call, status, whose: Whose::Ours });
            }
        }
    }

    /// Hangs a call up that no task of ours cares for.
    pub(super) fn hang_up(&mut self, call: CallId) {
        self.ask_openai(Request::HangUp(call), Whose::Ours);
    }

    fn ask_openai(&mut self, request: Request, whose: Whose) {
        let rest = self.calls_rest.clone();
        let Ok(endpoint) = call_endpoint(&self.config.realtime, request.call(), self.endpoints.tls()) else {
            if let Request::Reject { call, .. } = request {
                let reply = Reply::Lost(Detail::new("no endpoint"));
                self.pending.push(Box::pin(std::future::ready(Done::Rejected(call, whose, reply))));
            }
            return;
        };
        let span = tracing::info_span!("call", id = request.call().as_str());
        let asking = async move {
            let mut pauses = AGAIN_AFTER.into_iter();
            loop {
                let reply = rest.perform(&endpoint.headers, &request).await;
                tracing::debug!(verb = request.verb(), reply = %reply.word(), "OpenAI");
                if let Request::Reject { call, .. } = request {
                    return Done::Rejected(call, whose, reply);
                }
                let Some(pause) = pauses.next().filter(|_| !reply.ends()) else {
                    let is_earlier = whose == Whose::Earlier;
                    return Done::HungUp(is_earlier.then(|| (request.call().clone(), reply)));
                };
                tokio::time::sleep(pause).await;
            }
        };
        self.pending.push(Box::pin(asking.instrument(span)));
    }
}

//! The daemon: Asterisk's events in, one task per call, signals. Sockets in, sockets out: what happens when is decided by
//! [`crate::exchange`] and by each [`crate::call`].
//!
//! ```text
//!   ARI link (task) ──news──► loop ──► Exchange ──► loop ──orders──► call task ──► report
//!                                                    └─ requests that belong to no call
//! ```
//! The recorder and the archive (index, call log, API) have threads of their own: see `recordings` and `archive`.
//! Owns every task it starts. Knows nothing of audio or of what is said.
//!
//! | file | holds |
//! |---|---|
//! | `calls`, `call_task`, `call_io`, `backlog` | a call's socket, task and row; its input; its output; what it is still to be told |
//! | `start` | what a daemon is made of, from its configuration |
//! | `rules`, `reload` | what the exchange goes by, made of the configuration; a configuration that was read again |
//! | `aftermath` | calls whose caller is gone, and that still hang up at OpenAI or fetch their sound |
//! | `sip`, `rejections` | the calls that OpenAI answers: their webhook and their tasks; those that it is asked to reject |
//! | `sound` | the sound that Asterisk has recorded of a call, fetched into our recording |
//! | `endpoints` | how the sessions of each agent are reached |
//! | `call_log` | rows of the call log |
//! | `lock` | keeps a second daemon from the application of the first |
//! | `known` | what is known of a call when it begins |
//! | `tools`, `servers` | the tools that calls ask for; the servers that list their tools themselves |
//! | `messages` | the messages about a call that has ended |
//! | `ticks` | how often the clock of a call was late |
//! | `service_manager` | what systemd is told |

mod aftermath;
mod backlog;
mod call_io;
mod call_log;
mod call_task;
mod calls;
mod endpoints;
pub mod known;
pub mod lock;
mod messages;
mod rejections;
mod reload;
mod rules;
pub(crate) mod servers;
mod service_manager;
mod sip;
mod sound;
mod start;
mod ticks;
pub mod tools;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::NaiveDate;
use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt as _};
use ipnet::IpNet;
use tokio::net::UdpSocket;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;

use aftermath::Aftermath;
use call_io::{Admission, Told};
use call_task::Left;
use calls::Live;
use endpoints::Endpoints;
use rejections::{Rejections, Whose};
pub use reload::Reload;
pub use rules::{agent_of, max_calls};
use servers::Servers;
use service_manager::ServiceManager;
pub use start::run;
use ticks::Ticks;

use crate::ari::ChannelId;
use crate::ari::request::{Reply, Request};
use crate::clock::{chance, now, wall};
use crate::config::Config;
use crate::exchange::counters::Counters;
use crate::exchange::readiness::Readiness;
use crate::exchange::{ErrandId, Exchange, Input, Moment, Offer, Order, Output, WebhookNews};
use crate::http::webhook;
use crate::live::Board;
use crate::logging::Operator;
use crate::machine::process::{ran_on_each, stolen, thread_times};
use crate::net::ari_link::{AriLink, AriReport};
use crate::net::ari_rest::AriRest;
use crate::net::calls_rest::CallsRest;
use crate::net::mcp;
use crate::net::rtp_socket::PortPool;
use crate::net::tools::ToolClient;
use crate::peers::media_networks;
use crate::realtime::calls::{CallId, request as calls_request};
use crate::recordings::Recorder;
use crate::recordings::retention::OfAgents;
use crate::registry::Log;
use crate::registry::claims::Claim;
use crate::units::MicroUsd;
use crate::webhook::Addresses;

/// The number of reports of Asterisk that may wait for the loop.
const ARI_NEWS: usize = 1_024;
/// What the end may take beyond the grace of live calls: closing them, the recorder, the index. Shorter lets systemd
/// kill the daemon over its last recordings, longer lets a hung end hold up a restart.
const ENDING_PATIENCE: Duration = Duration::from_secs(30);

/// How long callers wait at the start for the call log to tell what today's earlier calls have cost, if that is limited. Usually it
/// tells within some milliseconds. Longer lets callers ring for a disk or a server that is away; shorter takes them without
/// counting on a slow one.
const EARLIER_PATIENCE: Duration = Duration::from_secs(5);

/// How long the end of the daemon waits until OpenAI knows what was decided about the last calls: longer than a request may take.
/// Longer delays a restart; with a shorter time more is left to the next start.
const DECIDING_PATIENCE: Duration = Duration::from_secs(6);

/// How long the end of the daemon waits for what tools are still writing. Longer delays a restart; shorter leaves unknown what
/// became of more.
const WRITING_PATIENCE: Duration = Duration::from_secs(10);

struct Daemon {
    config: Config,
    exchange: Exchange,
    /// Asterisk's own addresses, once its name could be resolved.
    own_networks: Option<Vec<IpNet>>,
    endpoints: Endpoints,
    /// How the tools of all agents are carried out.
    tools: ToolClient,
    /// The servers of tools that speak MCP.
    servers: Servers,
    operator: Operator,
    /// What `/ready` tells: whether a caller would be served.
    readiness: watch::Sender<Readiness>,
    /// The calls that run, for whoever watches.
    board: Board,
    rest: AriRest,
    /// How OpenAI is asked about the calls that it answers.
    calls_rest: CallsRest,
    again: Arc<Notify>,
    /// The task of the event socket.
    link: JoinSet<()>,
    /// The ticks of all calls' clocks.
    ticks: Arc<Ticks>,
    ports: PortPool,
    live: HashMap<ChannelId, Live>,
    callers: HashMap<Id, ChannelId>,
    calls: JoinSet<Left>,
    /// The calls in their aftermath, by their tasks, and how many there have been.
    aftermaths: HashMap<Id, Aftermath>,
    numbers: u64,
    /// What the tools of calls that have ended are still writing.
    writing: FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send>>>,
    pending: FuturesUnordered<Pin<Box<dyn Future<Output = Done> + Send>>>,
    /// Offers of which the call log has not told yet whether they are new.
    claiming: usize,
    rejections: Rejections,
    admission: Admission,
    recorder: Arc<Recorder>,
    log: Log,
    /// For how many days the recordings of agents are kept; the archive goes by it.
    retention: watch::Sender<Option<OfAgents>>,
    /// Where messages about ended calls go; the archive sends them.
    addresses: watch::Sender<Addresses>,
    /// This machine, as the call log names it.
    host: String,
}

/// What the loop is told by others than Asterisk.
struct Inboxes {
    /// By calls.
    told: mpsc::Receiver<Told>,
    /// By the webhook.
    offers: mpsc::Receiver<webhook::Told>,
    /// That the listener of the webhook has ended.
    listener: JoinSet<()>,
    /// Whether the webhook listens.
    news: mpsc::Receiver<WebhookNews>,
}

/// Something that took its time is done.
enum Done {
    /// A request of an errand has ended.
    Replied(ErrandId, Request, Reply),
    /// It was tried whether RTP sockets can be bound on our address.
    AddressTried(Result<(), String>),
    /// Asterisk's own addresses, if its name could be resolved.
    Resolved(Option<Vec<IpNet>>),
    /// The channel of a call whose orders were waiting has room again, or the call is over.
    HasRoom(ChannelId),
    /// The call log has told whether an offer is new.
    Claimed(Box<Offer>, Claim),
    /// OpenAI was asked to hang up a call that has no task. The value is a call that an earlier daemon had left, with the answer.
    HungUp(Option<(CallId, calls_request::Reply)>),
    /// The calls that an earlier daemon has left at OpenAI.
    Left(Vec<CallId>),
    /// The calls about which an earlier daemon had not decided.
    Undecided(Vec<CallId>),
    /// OpenAI was asked to reject a call.
    Rejected(CallId, Whose, calls_request::Reply),
}

/// This moment, on both clocks.
fn moment() -> Moment {
    Moment { now: now(), wall: wall() }
}

impl Daemon {
    async fn serve(
        &mut self,
        link: AriLink,
        stop: impl Future<Output = ()>,
        reloads: impl Stream<Item = Reload>,
        earlier: impl Future<Output = (NaiveDate, Vec<(Arc<str>, MicroUsd)>)>,
        Inboxes { mut told, mut offers, mut listener, news: mut of_webhook }: Inboxes,
        mut of_servers: mpsc::Receiver<(mcp::ServerId, mcp::News)>,
    ) {
        let mut manager = ServiceManager::of_this_process(self.config.log.language);
        let (sender, mut news) = mpsc::channel(ARI_NEWS);
        self.link.spawn(link.run(sender, || chance() as u32));
        let (late, timer) = (tokio::time::sleep(EARLIER_PATIENCE), tokio::time::sleep(Duration::ZERO));
        tokio::pin!(stop, reloads, earlier, late, timer);
        let mut knows_earlier = false;
        let mut refuses = self.rest.refuses();
        self.feed(Input::Tick);
        manager.ready();
        while !self.exchange.is_over() {
            let (stops, waits) = (self.exchange.is_stopping(), self.exchange.awaits_earlier());
            if !stops {
                manager.status(self.exchange.status());
            }
            let due = self.exchange.deadline();
            if let Some(due) = due {
                timer.as_mut().reset(Instant::from_std(due));
            }
            tokio::select! {
                Some(news) = news.recv(), if !waits => self.news(news),
                Some(ended) = self.calls.join_next_with_id() => self.ended(ended),
                Some(done) = self.pending.next() => self.done(done),
                Some(()) = self.writing.next() => {}
                Ok(()) = refuses.changed() => {
                    let refuses = *refuses.borrow_and_update();
                    self.feed(Input::Refuses(refuses));
                }
                Some(told) = told.recv() => self.told(told),
                Some(told) = offers.recv(), if !waits => self.webhook(told),
                Some(news) = of_webhook.recv() => self.feed(Input::Webhook(news)),
                Some(_) = listener.join_next() => self.feed(Input::Webhook(WebhookNews::Closed)),
                Some((server, news)) = of_servers.recv() => self.servers.learn(&self.config.agents.all, server, news),
                () = &mut stop, if !stops => {
                    self.feed(Input::Stop);
                    manager.stopping(self.config.shutdown_grace + ENDING_PATIENCE);
                    manager.status(self.exchange.status());
                }
                Some(loaded) = reloads.next(), if !stops => self.reload(loaded),
                (day, spent) = &mut earlier, if !knows_earlier => {
                    knows_earlier = true;
                    self.feed(Input::SpentEarlier(day, spent));
                }
                () = &mut late, if waits => self.feed(Input::SpentEarlierLate),
                () = manager.heartbeat_due() => manager.heartbeat(),
                () = &mut timer, if due.is_some() => self.feed(Input::Tick),
            }
        }
        Box::pin(self.decide_last(offers, listener, DECIDING_PATIENCE)).await;
        self.finish_writing().await;
    }

    /// Waits for what tools are still writing. Nobody waits longer for a server than its tool may take; a stop waits less.
    async fn finish_writing(&mut self) {
        let written = async { while self.writing.next().await.is_some() {} };
        tokio::time::timeout(WRITING_PATIENCE, written).await.ok();
    }

    /// Gives the input to the exchange, and does what comes out.
    fn feed(&mut self, input: Input<'_>) {
        let outputs: Vec<Output> = self.exchange.handle(moment(), input).collect();
        for output in outputs {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Start(channel, agent) => self.start(channel, &agent),
            Output::Refused(channel, reason) => self.refused(&channel, reason),
            Output::Take(offer, agent) => self.take(*offer, &agent),
            Output::Reject(offer, status, reason) => self.reject(&offer, status, reason),
            Output::HangUp(call) => self.hang_up(call),
            Output::Tell(caller, order) => {
                if let Order::Offered(call) = &order {
                    // If the daemon is cut off from here on, the next one removes the channel by which Asterisk has called OpenAI.
                    self.log.decided(call.as_str());
                }
                self.tell(&caller, order);
            }
            Output::Hurry(number) => self.hurry(number),
            Output::Ari(errand, request) => {
                let rest = self.rest.clone();
                self.pending.push(Box::pin(async move {
                    let reply = rest.perform(&request).await;
                    tracing::debug!(?request, ?reply, "ARI");
                    Done::Replied(errand, request, reply)
                }));
            }
            Output::Reconnect => self.again.notify_one(),
            Output::Leave => self.link.abort_all(),
            Output::TryAddress => {
                let address = self.config.media.local_ip;
                self.pending.push(Box::pin(async move {
                    let tried = UdpSocket::bind((address, 0)).await;
                    Done::AddressTried(tried.map(drop).map_err(|error| error.to_string()))
                }));
            }
            Output::Measure => {
                let counters = Counters {
                    at: now(),
                    threads: thread_times(),
                    ran_on_each: ran_on_each(),
                    stolen: stolen(),
                };
                self.feed(Input::Measured(counters, self.ticks.take()));
            }
            Output::Notice(None, notice) => self.operator.say(&notice),
            Output::Notice(Some(caller), notice) => {
                let span = tracing::info_span!("call", id = caller.as_str());
                span.in_scope(|| self.operator.say(&notice));
            }
            Output::Readiness(readiness) => {
                self.admission.outage.store(readiness.openai_out, Ordering::Relaxed);
                self.readiness.send_replace(*readiness);
            }
        }
    }

    fn news(&mut self, news: AriReport) {
        match news {
            AriReport::Connected => {
                self.feed(Input::Connected);
                let (asterisk, media) = (self.config.asterisk.clone(), self.config.media.clone());
                let resolving = async move { Done::Resolved(media_networks::own(&asterisk, &media).await) };
                self.pending.push(Box::pin(resolving));
            }
            AriReport::Event(event) => {
                tracing::trace!(?event, "ARI event");
                self.feed(Input::Event(event));
            }
            AriReport::Malformed(error) => tracing::debug!(%error, "unreadable ARI event"),
            AriReport::Lost { cause, retry_in } => {
                tracing::debug!(?cause, ?retry_in, "ARI connection lost");
                self.feed(Input::Lost(cause));
            }
            AriReport::Unreached { cause, retry_in } => {
                tracing::debug!(?cause, ?retry_in, "no ARI connection");
                self.feed(Input::Unreached(cause));
            }
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Replied(errand, request, reply) => {
                self.feed(Input::Ari { errand, request: &request, reply: &reply });
            }
            Done::AddressTried(tried) => self.feed(Input::AddressTried(tried)),
            Done::Resolved(own) => {
                self.own_networks = own.or(self.own_networks.take());
                let all = media_networks::all(self.own_networks.as_deref(), &self.config.media);
                self.feed(Input::MediaNetworks(all));
            }
            Done::HasRoom(caller) => self.tell_backlog(caller),
            Done::Claimed(offer, claim) => self.claimed(offer, claim),
            Done::HungUp(left) => self.hung_up(left),
            Done::Left(left) => self.hang_up_all(left),
            Done::Undecided(calls) => self.reject_undecided(calls),
            Done::Rejected(call, whose, reply) => self.rejected(&call, whose, &reply),
        }
    }

    fn told(&mut self, told: Told) {
        match told {
            Told::Standing(standing) => self.feed(Input::Standing(&standing)),
            Told::Spent(task, bill) => {
                // What a call comes to that is over, or in its aftermath, is in its report.
                if let Some(caller) = self.callers.get(&task).cloned() {
                    self.used(&caller, &bill);
                    self.feed(Input::Spent(caller, bill.at_least));
                }
            }
        }
    }
}

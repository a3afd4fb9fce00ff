//! The daemon: Asterisk's events in, one task per call, signals.
//!
//! ```text
//!   ARI link (task) ──news──► loop ──orders──► call task ──► report
//!                              │  switchboard: which channel is whose
//!                              └─ errands: requests that belong to no call
//! ```
//! The recorder and the archive (index, call log, API) have threads of their own: see `recordings` and `archive`.
//! Owns every task it starts. Knows nothing of audio or of what is said.
//!
//! | file | holds |
//! |---|---|
//! | `absence` | how long Asterisk was away, and what has become of its calls |
//! | `calls`, `call_task`, `backlog` | a call from its arrival to its account; its input and output; what it is still to be told |
//! | `errands`, `standing` | what is asked of Asterisk that belongs to no call; whether it does what it is asked for |
//! | `peers` | how Asterisk and the model's server are reached |
//! | `media_networks` | where Asterisk may have sound sent |
//! | `breaker` | whether OpenAI serves callers, and who tries while it does not |
//! | `capacity`, `frequency`, `spending` | how many calls there may be, at once and of one caller; what those of a day have cost |
//! | `call_log`, `archive` | rows of the call log; everything about recordings that is not recording |
//! | `strain`, `process` | whether the daemon carries its calls; what it takes of the machine, read from `/proc` |
//! | `service_manager`, `clock` | systemd; the only clocks and chance |
//! | `dumps` | keeps the memory out of core files |

mod absence;
pub mod archive;
mod backlog;
mod breaker;
mod call_log;
mod call_task;
mod calls;
mod capacity;
pub mod clock;
pub mod dumps;
mod errands;
mod frequency;
pub mod media_networks;
pub mod peers;
pub mod process;
mod service_manager;
mod spending;
mod standing;
mod strain;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use anyhow::Context as _;
use chrono::NaiveDate;
use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt as _};
use ipnet::IpNet;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{Id, JoinSet};
use tokio::time::MissedTickBehavior;
use tracing::Instrument as _;

use absence::Absence;
use archive::Archive;
use backlog::Backlog;
use breaker::Breaker;
use call_task::{Admission, Order};
use clock::{chance, now, wall};
use errands::{ASK_AGAIN_AFTER, Errand};
use frequency::Frequency;
use peers::{ari_headers, ari_rest, endpoint, events_url};
use process::{ThreadTimes, ran_on_each, stolen};
use service_manager::ServiceManager;
use spending::Spending;
use strain::{Counters, Load, Strain, Ticks};

use crate::ari::ChannelId;
use crate::ari::request::{self, Application, Reply, Request, idle_bridges};
use crate::call::tools;
use crate::call::{CLOSING_PATIENCE, Report, Settings, Standing};
use crate::config::{CallsConfig, Config, LoadError, MediaConfig};
use crate::http::live;
use crate::http::ready::{AsteriskLink, Readiness};
use crate::live::Board;
use crate::logging::Operator;
use crate::net::ari_link::{AriLink, News, Unreached};
use crate::net::ari_rest::AriRest;
use crate::net::realtime_link::Endpoint;
use crate::net::rtp_socket::PortPool;
use crate::net::tls;
use crate::operator::{Detail, EndReason, Notice};
use crate::realtime::dialect::SessionSettings;
use crate::recordings::{self, Recorder};
use crate::registry::{Log, Row};
use crate::switchboard::{Directive, Switchboard};

/// What the recorder may take at the end to put the last recordings on disk.
const RECORDER_PATIENCE: Duration = Duration::from_secs(5);
/// News of Asterisk that may wait for the loop.
const ARI_NEWS: usize = 1_024;
/// What calls have found out of OpenAI and may wait for the loop. More waiting tells nothing new.
const STANDINGS: usize = 64;
/// What the end may take beyond the grace of live calls: closing them, the recorder, the index. Shorter lets systemd
/// kill the daemon over its last recordings, longer lets a hung end hold up a restart.
const ENDING_PATIENCE: Duration = Duration::from_secs(30);

/// A live call, as the daemon sees it.
struct Live {
    /// Its row in the call log, as it was when the call arrived.
    row: Box<Row>,
    port: u16,
    orders: mpsc::Sender<Order>,
    /// What it is told when it has read of them.
    backlog: Backlog,
    /// What it has cost so far, micro-USD, as far as that is known.
    spent: Arc<AtomicU64>,
}

/// How far the daemon is with its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stopping {
    NotYet,
    /// Live calls have their time to finish.
    Draining,
    /// They are being ended, and callers who are not theirs let go.
    Ending,
    /// Whom Asterisk has not let go by now is left to the next start.
    GivenUp,
}

struct Daemon {
    config: Config,
    /// For new calls; what is live keeps what it was born with.
    settings: Arc<Settings>,
    /// Asterisk's own addresses, once its name could be resolved.
    own_networks: Option<Vec<IpNet>>,
    endpoint: Arc<Endpoint>,
    operator: Operator,
    /// What `/ready` and `systemctl status` tell: whether a caller would be served.
    readiness: watch::Sender<Readiness>,
    /// The calls that run, for whoever watches.
    board: Board,
    rest: AriRest,
    again: Arc<Notify>,
    absence: Absence,
    switchboard: Switchboard,
    /// Why Asterisk could not be connected to the last time, as it was said.
    unreached: Option<Unreached>,
    /// The switchboard's limit, as long as the daemon carries what it has.
    max_calls: usize,
    /// The ticks of all calls' clocks.
    ticks: Arc<Ticks>,
    strain: Strain,
    ports: PortPool,
    live: HashMap<ChannelId, Live>,
    callers: HashMap<Id, ChannelId>,
    calls: JoinSet<Report>,
    errands: FuturesUnordered<Pin<Box<dyn Future<Output = Errand> + Send>>>,
    /// A poll of live calls is among the errands.
    polls: bool,
    /// A probe of whether Asterisk still refuses requests is among them.
    probes: bool,
    spending: Spending,
    frequency: Frequency,
    breaker: Breaker,
    admission: Admission,
    recorder: Arc<Recorder>,
    log: Log,
    /// This machine, as the call log names it.
    host: String,
}

/// A configuration that was read while the daemon runs: the whole of it, or what is wrong with it.
pub type Reload = Result<Config, LoadError>;

/// Serves calls until `stop` is done and the last call has ended, or its time is up. New calls follow the last valid
/// configuration of `reloads`.
///
/// # Errors
/// Only for faults that make serving impossible from the start.
pub async fn run(
    config: Config,
    operator: Operator,
    stop: impl Future<Output = ()>,
    reloads: impl Stream<Item = Reload>,
) -> anyhow::Result<()> {
    let tls = tls::client_config().context("the system's trust store")?;
    let asterisk = &config.asterisk;
    let rest = ari_rest(asterisk, &tls)?;
    let again = Arc::new(Notify::new());
    let link = AriLink {
        url: events_url(asterisk, &asterisk.app),
        headers: ari_headers(asterisk)?,
        tls: Arc::clone(&tls),
        again: Arc::clone(&again),
    };
    let endpoint = Arc::new(endpoint(&config.realtime, tls)?);
    operator.say(&Notice::DaemonStarted {
        version: env!("CARGO_PKG_VERSION"),
        model: config.realtime.model.clone(),
        app: asterisk.app.clone(),
    });
    let own_networks = media_networks::own(asterisk, &config.media).await;
    let settings = Arc::new(settings(&config, own_networks.as_deref()));
    let max_calls = max_calls(&config.media, &config.calls);
    operator.say(&Notice::Capacity { calls: max_calls });
    let spending_unlimited = say_if_unlimited(&config.calls, operator);
    let ports = PortPool::new(config.media.ports.clone());
    let destinations = destination_names(&settings);
    let (readiness, known) =
        watch::channel(Readiness { max_calls, spending_unlimited, destinations, ..Readiness::default() });
    let board = Board::default();
    let view = live::Daemon { readiness: known, board: board.clone() };
    let (archive, recorder) = archive(&config, operator, view).context("the archive of recordings")?;
    let (standings, learned) = mpsc::channel(STANDINGS);
    let mut daemon = Daemon {
        config,
        settings,
        own_networks,
        endpoint,
        operator,
        readiness,
        rest,
        again,
        absence: Absence::default(),
        board,
        switchboard: Switchboard::new(max_calls),
        unreached: None,
        max_calls,
        ticks: Arc::default(),
        strain: Strain::default(),
        ports,
        live: HashMap::new(),
        callers: HashMap::new(),
        calls: JoinSet::new(),
        errands: FuturesUnordered::new(),
        polls: false,
        probes: false,
        spending: Spending::default(),
        frequency: Frequency::default(),
        breaker: Breaker::default(),
        admission: Admission { standings, outage: Arc::default() },
        recorder,
        log: archive.log(),
        host: call_log::host(),
    };
    let earlier = archive.spent_before(wall(), &daemon.host);
    daemon.serve(link, stop, reloads, earlier, learned).await;
    let Daemon { recorder, log, readiness, .. } = daemon;
    // Nobody offers rows any more: its writer may end. Nor is there anything to watch.
    drop((log, readiness));
    stop_recording(recorder, archive).await;
    operator.say(&Notice::DaemonStopped);
    Ok(())
}

/// What was said in the last seconds is still on its way to the disk, and then to the index.
async fn stop_recording(recorder: Arc<Recorder>, archive: Archive) {
    let ended = tokio::task::spawn_blocking(move || {
        let ended = Arc::into_inner(recorder).is_some_and(|recorder| recorder.stop(RECORDER_PATIENCE));
        archive.stop();
        ended
    });
    if !ended.await.unwrap_or(false) {
        tracing::warn!("the recorder did not end in time; the next start completes what is left");
    }
}

/// What calls are born with.
fn settings(config: &Config, own_networks: Option<&[IpNet]>) -> Settings {
    Settings {
        trust: config.media.trust,
        media_networks: media_networks::all(own_networks, &config.media),
        app: config.asterisk.app.clone(),
        model: config.realtime.model.clone(),
        session: SessionSettings {
            tools: tools::offered(config.calls.may_hang_up, &config.calls.destinations),
            ..config.realtime.session.clone()
        },
        greeting: config.realtime.greeting.clone(),
        recording_notice: config.realtime.recording_notice.clone(),
        uplink_frames_per_append: config.uplink_frames_per_append,
        apology: config.calls.apology.clone(),
        fallback: config.calls.fallback.clone(),
        limits: config.calls.limits,
        prices: config.realtime.prices.clone(),
        tells_keys: config.calls.tells_keys,
        may_hang_up: config.calls.may_hang_up,
        destinations: config.calls.destinations.clone(),
        keep: config.recordings.keep,
    }
}

/// Where callers can be sent, as people call it.
fn destination_names(settings: &Settings) -> Arc<[String]> {
    settings.destinations.iter().map(|destination| destination.name.clone()).collect()
}

/// Starts what keeps recordings: the recorder, and the index and API that are told of its work.
fn archive(
    config: &Config,
    operator: Operator,
    view: live::Daemon,
) -> std::io::Result<(Archive, Arc<Recorder>)> {
    let known = Arc::new(OnceLock::<Weak<Recorder>>::new());
    let asked = Arc::clone(&known);
    let ask = move || Some(asked.get()?.upgrade()?.health().into());
    let (recordings, archive) = (config.recordings.clone(), &config.archive);
    let archive = Archive::start(recordings, archive, operator, Box::new(ask), Some(view), clock::standing)?;
    let feed = archive.feed();
    let recorder = Recorder::start(config.recordings.clone(), now, move |news| match news {
        recordings::News::Notice(notice) => operator.say(&notice),
        recordings::News::Opened(facts) | recordings::News::Finished(facts) => feed.put(facts),
    })?;
    let recorder = Arc::new(recorder);
    known.get_or_init(|| Arc::downgrade(&recorder));
    Ok((archive, recorder))
}

impl Daemon {
    async fn serve(
        &mut self,
        link: AriLink,
        stop: impl Future<Output = ()>,
        reloads: impl Stream<Item = Reload>,
        earlier: impl Future<Output = (NaiveDate, u64)>,
        mut learned: mpsc::Receiver<Standing>,
    ) {
        let mut manager = ServiceManager::of_this_process(self.config.log.language);
        let (sender, mut news) = mpsc::channel(ARI_NEWS);
        let mut link_task = JoinSet::new();
        link_task.spawn(link.run(sender, || chance() as u32));
        tokio::pin!(stop, reloads, earlier);
        let mut knows_earlier = false;
        self.run(errands::try_address(self.config.media.local_ip, Duration::ZERO));
        let mut stop_stage = Stopping::NotYet;
        let grace = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(grace);
        let mut refuses = self.rest.refuses();
        let mut turn = tokio::time::interval(strain::TURN);
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        manager.ready();
        // Errands too: a caller who is being sent on must not stay in the application for ever.
        while stop_stage == Stopping::NotYet || !self.live.is_empty() || !self.errands.is_empty() {
            let draining = stop_stage != Stopping::NotYet;
            self.count_calls();
            if !draining {
                manager.status(self.status());
            }
            tokio::select! {
                Some(news) = news.recv() => self.news(news),
                Some(ended) = self.calls.join_next_with_id() => self.ended(ended),
                Some(errand) = self.errands.next() => self.errand(errand),
                Ok(()) = refuses.changed() => {
                    let refuses = *refuses.borrow_and_update();
                    self.asterisk_refuses(refuses);
                }
                Some(standing) = learned.recv() => self.judge_openai(&standing),
                () = &mut stop, if !draining => {
                    stop_stage = Stopping::Draining;
                    let time = self.config.shutdown_grace;
                    self.switchboard.drain();
                    self.readiness.send_modify(|now| now.draining = true);
                    let draining = Notice::Draining { calls: self.live.len(), seconds: time.as_secs() };
                    self.operator.say(&draining);
                    manager.stopping(time + ENDING_PATIENCE);
                    manager.status(draining);
                    grace.as_mut().reset(tokio::time::Instant::from_std(now() + time));
                }
                Some(loaded) = reloads.next(), if !draining => self.reload(loaded),
                (day, spent) = &mut earlier, if !knows_earlier => {
                    knows_earlier = true;
                    if day == wall().date_naive() {
                        self.spending.add(day, spent);
                        self.judge_spending();
                    }
                }
                _ = turn.tick(), if self.is_judged() => self.judge_strain(),
                () = manager.heartbeat_due() => manager.heartbeat(),
                () = &mut grace, if matches!(stop_stage, Stopping::Draining | Stopping::Ending) => {
                    stop_stage = if stop_stage == Stopping::Draining {
                        for caller in self.switchboard.callers() {
                            self.tell(&caller, Order::Shutdown);
                        }
                        grace.as_mut().reset(tokio::time::Instant::from_std(now() + CLOSING_PATIENCE));
                        Stopping::Ending
                    } else {
                        self.errands.clear();
                        Stopping::GivenUp
                    };
                }
            }
        }
    }

    /// Whether there are calls whose frames can be late, or a judgement that can change.
    fn is_judged(&self) -> bool {
        let has_calls = self.config.calls.max_frame_lateness.is_some() && !self.live.is_empty();
        has_calls || self.strain.is_on() || self.strain.room().is_some()
    }

    /// Whether the daemon carries the calls it has. While it does not, no more callers are taken.
    fn judge_strain(&mut self) {
        let counters = Counters {
            at: now(),
            calls: self.live.len(),
            threads: ThreadTimes::now(),
            ran_on_each: ran_on_each(),
            stolen: stolen(),
        };
        if self.strain.judge(counters, self.ticks.take()) {
            let (calls, is_on) = (self.live.len(), self.strain.is_on());
            let Load { late_percent, busy_percent } = self.strain.load();
            let overloaded = Notice::Overloaded { calls, late_percent, busy_percent };
            self.operator.say(&if is_on { overloaded } else { Notice::OverloadEnded { calls } });
            self.readiness.send_modify(|now| now.overloaded = is_on);
        }
        self.limit_calls();
    }

    fn limit_calls(&mut self) {
        let most = if self.strain.is_on() { 0 } else { self.strain.room().unwrap_or(usize::MAX) };
        self.switchboard.limit(most.min(self.max_calls));
    }

    /// Whether there is room for another call.
    fn count_calls(&self) {
        let full = self.switchboard.is_full() && !self.strain.is_on();
        self.readiness.send_if_modified(|now| std::mem::replace(&mut now.full, full) != full);
    }

    /// How the daemon fares, for `systemctl status`.
    fn status(&self) -> Notice {
        let calls = self.live.len();
        let (asterisk, full) = {
            let now = self.readiness.borrow();
            (now.asterisk, now.full)
        };
        match asterisk {
            AsteriskLink::Away => Notice::Disconnected { calls },
            _ if self.strain.is_on() || full && calls < self.max_calls => Notice::Strained { calls },
            _ if full => Notice::Full { calls },
            _ => Notice::Serving { calls },
        }
    }

    /// New calls follow the configuration that was read again, if there is nothing wrong with it.
    fn reload(&mut self, loaded: Reload) {
        let mut new = match loaded {
            Ok(new) => new,
            Err(error) => {
                for notice in error.notices() {
                    self.operator.say(&notice);
                }
                self.operator.say(&Notice::ConfigurationRefused);
                return;
            }
        };
        for remark in new.remarks.drain(..) {
            self.operator.say(&remark);
        }
        let endpoint = match endpoint(&new.realtime, Arc::clone(&self.endpoint.tls)) {
            Ok(endpoint) => endpoint,
            Err(error) => {
                self.operator.say(&Notice::Unexpected { detail: Detail::new(format!("{error:#}")) });
                self.operator.say(&Notice::ConfigurationRefused);
                return;
            }
        };
        let fixed = self.config.reload(new);
        self.endpoint = Arc::new(endpoint);
        self.settings = Arc::new(settings(&self.config, self.own_networks.as_deref()));
        self.max_calls = max_calls(&self.config.media, &self.config.calls);
        self.limit_calls();
        let destinations = destination_names(&self.settings);
        let unlimited = say_if_unlimited(&self.config.calls, self.operator);
        self.readiness.send_modify(|now| {
            (now.destinations, now.max_calls) = (destinations, self.max_calls);
            now.spending_unlimited = unlimited;
        });
        self.judge_spending();
        self.breaker.try_next();
        self.operator.say(&Notice::ConfigurationReloaded);
        if !fixed.is_empty() {
            self.operator.say(&Notice::RestartNeeded { variables: fixed });
        }
    }

    fn news(&mut self, news: News) {
        if matches!(news, News::Lost { .. } | News::Unreached { .. }) {
            self.absence.begins(now());
            self.readiness.send_modify(|now| now.asterisk = AsteriskLink::Away);
        }
        match news {
            News::Connected => {
                self.unreached = None;
                let (app, before) = (self.config.asterisk.app.clone(), self.switchboard.callers());
                self.run(errands::check(self.rest.clone(), app, before));
                let (asterisk, media) = (self.config.asterisk.clone(), self.config.media.clone());
                self.run(async move { Errand::Resolved(media_networks::own(&asterisk, &media).await) });
            }
            News::Event(event) => {
                tracing::trace!(?event, "ARI event");
                if let Some(directive) = self.switchboard.event(event) {
                    self.direct(directive);
                }
            }
            News::Malformed(error) => tracing::debug!(%error, "unreadable ARI event"),
            News::Lost { cause: None, .. } => {}
            News::Lost { cause: Some(cause), retry_in } => {
                tracing::debug!(?cause, ?retry_in, "ARI connection lost");
                let address = self.config.asterisk.address();
                self.operator.say(&Notice::AriLost);
                self.operator.say(&Notice::AriBroken { address, cause: Detail::new(cause) });
            }
            News::Unreached { cause, retry_in } => self.unreached(cause, retry_in),
        }
    }

    fn errand(&mut self, errand: Errand) {
        match errand {
            Errand::Checked { before, reply: Reply::Done(body), bridges, info, forbidden } => {
                self.connected(&before, &body, &bridges, &info);
                if let Some(forbidden) = forbidden {
                    self.operator.say(&forbidden);
                }
            }
            Errand::Checked { reply, .. } => {
                tracing::debug!(?reply, "the application is not there after a connect");
                self.operator.say(&Notice::AriAppMissing { app: self.config.asterisk.app.clone() });
                self.again.notify_one();
            }
            Errand::Cleared(waiting) => {
                for caller in waiting {
                    self.look_at(caller, Duration::ZERO);
                }
            }
            Errand::Looked { caller, reply } => {
                if let Some(directive) = self.switchboard.looked_at(caller, &reply) {
                    self.direct(directive);
                }
            }
            Errand::Polled(happened) => {
                self.polls = false;
                for (caller, event) in happened {
                    self.tell(&caller, Order::Leg(event));
                }
                self.poll();
            }
            Errand::Probed => {
                self.probes = false;
                self.probe();
            }
            Errand::AddressTried(tried) => self.address_tried(tried),
            Errand::Resolved(own) => {
                self.own_networks = own.or(self.own_networks.take());
                let all = media_networks::all(self.own_networks.as_deref(), &self.config.media);
                Arc::make_mut(&mut self.settings).media_networks = all;
            }
            Errand::HasRoom(caller) => self.tell_backlog(caller),
            Errand::Done => {}
        }
    }

    /// The connection to Asterisk stands: what was there before is held against what is there now.
    fn connected(&mut self, before: &[ChannelId], application: &str, bridges: &Reply, info: &Reply) {
        self.readiness.send_modify(|now| now.asterisk = AsteriskLink::Connected);
        self.operator.say(&Notice::AriConnected);
        let mut application = Application::parse(application).unwrap_or_default();
        if let Reply::Done(bridges) = bridges {
            application.add_bridges(bridges);
            self.run(errands::sweep(self.rest.clone(), idle_bridges(bridges)));
        }
        let started_at = if let Reply::Done(info) = info { request::started_at(info) } else { None };
        let there: HashSet<_> = application.channels().collect();
        let kept = before.iter().filter(|caller| there.contains(self.switchboard.channel_of(caller))).count();
        let (absent, notice) = self.absence.ends(now(), started_at, before.len(), kept);
        if let Some(notice) = notice {
            self.operator.say(&notice);
        }
        let mut leftovers = Vec::new();
        let mut waiting = Vec::new();
        for directive in self.switchboard.reconcile(before, &application, absent) {
            match directive {
                Directive::Remove(request) => leftovers.push(request),
                Directive::LookAt(caller) => waiting.push(caller),
                other => self.direct(other),
            }
        }
        self.run(errands::take_over(self.rest.clone(), leftovers, waiting));
    }

    fn run(&self, errand: impl Future<Output = Errand> + Send + 'static) {
        self.errands.push(Box::pin(errand));
    }

    /// Looks at live calls, while another program has our application.
    fn poll(&mut self) {
        let replaced = self.readiness.borrow().asterisk == AsteriskLink::Replaced;
        if !replaced || self.polls || self.live.is_empty() {
            return;
        }
        self.polls = true;
        let ip = self.config.media.advertised_ip();
        let of_call = |(caller, live): (&ChannelId, &Live)| errands::Polled {
            caller: caller.clone(),
            channel: self.switchboard.channel_of(caller).clone(),
            ours: (ip, live.port).into(),
        };
        let calls = self.live.iter().map(of_call).collect();
        self.run(errands::poll(self.rest.clone(), self.config.asterisk.app.clone(), calls));
    }

    fn direct(&mut self, directive: Directive) {
        match directive {
            Directive::Admit(channel) => self.admit(channel),
            Directive::Refuse(channel) => self.refuse(channel, EndReason::Busy),
            Directive::Tell(caller, event) => self.tell(&caller, Order::Leg(event)),
            Directive::Replace { caller, by, next_step } => {
                self.tell(&caller, Order::Replaced(by.id, next_step));
                if !by.caller.is_empty() {
                    self.renumber(&caller, by.caller);
                }
            }
            Directive::Renumber(caller, number) => self.renumber(&caller, number),
            Directive::Remove(request) => self.request_all(vec![request]),
            Directive::LookAt(caller) => self.look_at(caller, Duration::ZERO),
            Directive::LookAgain(caller) => self.look_at(caller, ASK_AGAIN_AFTER),
            Directive::Replaced => {
                self.readiness.send_modify(|now| now.asterisk = AsteriskLink::Replaced);
                self.operator.say(&Notice::AriReplaced { app: self.config.asterisk.app.clone() });
                self.poll();
            }
        }
    }

    /// Asks Asterisk for a caller's channel, after a pause.
    fn look_at(&self, caller: ChannelId, pause: Duration) {
        self.run(errands::look_at(self.rest.clone(), caller, pause));
    }

    /// Lets a caller go on in the dialplan, told why.
    fn send_on(&self, caller: ChannelId, reason: EndReason) {
        let place = self.settings.fallback.clone();
        let span = tracing::info_span!("call", id = caller.as_str());
        let errand = errands::send_on(self.rest.clone(), self.operator, place, caller, reason);
        self.run(errand.instrument(span));
    }

    /// Makes requests one after the other.
    fn request_all(&self, requests: Vec<Request>) {
        self.run(errands::make(self.rest.clone(), requests));
    }
}

/// Warns if nothing bounds what calls may cost. Whether nothing does.
fn say_if_unlimited(calls: &CallsConfig, operator: Operator) -> bool {
    let is_unlimited = calls.spends_without_limit();
    if is_unlimited {
        operator.say(&Notice::SpendingUnlimited);
    }
    is_unlimited
}

/// How many calls are taken at once.
pub fn max_calls(media: &MediaConfig, calls: &CallsConfig) -> usize {
    calls.max_calls.unwrap_or_else(|| capacity::derived(&media.ports))
}

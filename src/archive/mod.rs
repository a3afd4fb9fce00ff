//! The archive: everything about recordings that is not recording – the index, the call log, the API, retention – on
//! a thread of its own, away from the calls.
//!
//! ```text
//!  Recorder ── Archive::feed ──► keeper ──► index ◄────── API ◄── connections
//!                                   ▲                    │ │
//!                                   └── what is gone ────┤ │
//!                                                        │ └── retention, hourly
//!  calls ───── Archive::log ───► writer ──► call log ◄───┘
//!                                              └── outbox ──► webhooks ──► receivers
//! ```
//! The thread has a runtime of its own, so that no call's task ever queues behind a request, and a lower
//! priority than the calls' threads, which its helpers – the disk's readers, SQLite's – inherit: where there are
//! not enough cores, a download waits, not a frame.
//!
//! | module | what |
//! |---|---|
//! | [`recording`] | starts and stops the recorder together with the archive |
//! | `retention` | deletes recordings that are past their time |
//! | [`webhooks`] | sends the messages about ended calls |

pub mod recording;
mod retention;
pub mod webhooks;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveTime};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::access_log::AccessLog;
use crate::clock::{self, Clock};
use crate::config::{ApiConfig, ArchiveConfig};
use crate::end_reason::EndReason;
use crate::erasure::{Erasure, Waiting};
use crate::http::guard::Guard;
use crate::http::live;
use crate::http::local_users::LocalUsers;
use crate::http::server::{OF_CLIENT, Routes};
use crate::http::{self, AskRecorder, Pace, Parts};
use crate::logging::Operator;
use crate::operator::{Detail, Notice};
use crate::realtime::calls::CallId;
use crate::recordings::index::Index;
use crate::recordings::index::keeper::{Feed, Keeper};
use crate::recordings::retention::{OfAgents, RetentionState};
use crate::recordings::{Library, RecordingSettings};
use crate::registry::{self, Filter, Log, Opener, Reader, Row};
use crate::units::MicroUsd;
use retention::Retention;
use webhooks::{Courier, Sender};

/// How long OpenAI keeps a call up at most.
const LONGEST_AT_OPENAI: Duration = Duration::from_hours(1);
/// The rows of the call log that are read at once, and how often, in search of calls that were left at OpenAI. More would let the
/// start of a daemon read a long log; with fewer, calls could be overlooked that still cost money.
const ROWS: u32 = 500;
/// See [`ROWS`].
const PAGES: usize = 20;
/// The pause before the call log is asked again, if it could not answer. It is open some moments after the start, for which callers
/// may wait: the first pause is [`ASK_SOON`], and each is twice as long as the one before.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// See [`ASK_AGAIN`]. A longer pause lets callers wait at the start; a shorter one burdens it.
const ASK_SOON: Duration = Duration::from_millis(10);
/// The nice value of the archive's thread: with 10 of 19 the thread gets a tenth of a busy core, and all of an idle one.
const NICE: i32 = 10;
/// Threads that wait for the disk. More readers at once would only make the disk's head move more.
const DISK_THREADS: usize = 8;
/// How often a port that is taken is tried again.
const BIND_AGAIN: Duration = Duration::from_secs(10);
/// How long the end of the archive may take; after this time the thread is left running until the process ends.
const PATIENCE: Duration = Duration::from_secs(5);

/// The running archive.
#[derive(Debug)]
pub struct Archive {
    feed: Feed,
    log: Log,
    calls: Reader,
    stop: watch::Sender<()>,
    address: watch::Receiver<Option<SocketAddr>>,
    done: Receiver<()>,
    thread: JoinHandle<()>,
}

/// What the archive follows when the files of the agents are read again.
#[derive(Debug)]
pub struct OfAgentFiles {
    /// Which agents have periods of retention of their own. `None`: that is not known, so that nothing is deleted by its age.
    pub retention: watch::Receiver<Option<OfAgents>>,
    /// How messages about ended calls are sent. `None`: by somebody else, or not at all.
    pub courier: Option<Courier>,
}

/// What the thread does beside serving the API.
struct Work {
    /// The file of the call log. An earlier version kept the index there.
    call_log: PathBuf,
    index: Index,
    writer: registry::Writer,
    keeper: Keeper,
    retention: Retention,
    sender: Option<Sender>,
}

impl Work {
    /// Does the work until `serving` has ended, and then writes what is left.
    async fn run_beside(self, serving: impl Future<Output = ()>) {
        let Self { call_log, index, writer, keeper, retention, sender } = self;
        index.adopt(&call_log).await;
        let (mut tasks, mut writing) = (JoinSet::new(), JoinSet::new());
        writing.spawn(writer.run());
        tasks.spawn(keeper.run());
        tasks.spawn(retention.run());
        if let Some(sender) = sender {
            tasks.spawn(sender.run());
        }
        serving.await;
        tasks.shutdown().await;
        // The writer ends when no task can offer a row any more. It has then written all rows.
        while writing.join_next().await.is_some() {}
        // An index that is closed in order needs no recovery at the next start.
        index.close().await;
    }
}

/// Runs `work` on a thread of its own. The receiver tells that the thread has ended.
fn spawn(
    runtime: Runtime,
    work: impl Future<Output = ()> + Send + 'static,
) -> io::Result<(JoinHandle<()>, Receiver<()>)> {
    let (ended, done) = sync_channel(1);
    let thread = thread::Builder::new().name("archive".into()).spawn(move || {
        gently();
        runtime.block_on(work);
        runtime.shutdown_background();
        // The daemon may have stopped waiting.
        ended.try_send(()).ok();
    })?;
    Ok((thread, done))
}

/// Gives the calling thread, and the threads that it starts, a lower priority than the threads of the calls. Where the
/// system refuses, the archive works with the ordinary priority.
fn gently() {
    rustix::process::setpriority_process(None, NICE).ok();
}

/// The runtime of the archive's thread, which may wait for the disk on a few others.
fn runtime() -> io::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().max_blocking_threads(DISK_THREADS).build()
}

/// The call log, whose tasks run on this runtime.
fn call_log(
    runtime: &Runtime,
    config: &ArchiveConfig,
    opener: Opener,
    operator: Operator,
) -> (Log, Reader, registry::Writer) {
    let _runtime_context = runtime.enter();
    registry::open(&config.call_log, opener, Box::new(move |notice: Notice| operator.say(&notice)))
}

/// Who is let in to the API.
fn guard(config: &ApiConfig, operator: Operator) -> Guard {
    let (users, unknown) = LocalUsers::new(config.group.as_deref());
    if let Some(unknown) = unknown {
        operator.say(&unknown);
    }
    Guard::new(config, users, clock::now, operator)
}

/// Forgets recordings in the files, the index and the call log.
fn erasure(library: &Library, config: &ArchiveConfig, index: &Index, feed: &Feed, log: &Log) -> Erasure {
    Erasure {
        library: library.clone(),
        index: Some(index.clone()),
        feed: Some(feed.clone()),
        log: Some(log.clone()),
        databases: config.databases(),
        waiting: Waiting::default(),
    }
}

impl Archive {
    /// Starts the archive. A taken port, an unreadable folder or a broken database are no errors: they are said, and
    /// tried again. `ask_clock` tells retention whether to trust the wall clock.
    ///
    /// # Errors
    /// There can be no thread or runtime.
    pub fn start(
        recordings: RecordingSettings,
        config: &ArchiveConfig,
        operator: Operator,
        recorder: AskRecorder,
        daemon: Option<live::Daemon>,
        ask_clock: fn() -> Clock,
        OfAgentFiles { retention: of_agents, courier }: OfAgentFiles,
    ) -> io::Result<Self> {
        let library = Library::new(recordings);
        let index = Index::new(&config.index);
        let tell = move |notice: Notice| operator.say(&notice);
        let runtime = runtime()?;
        let opener = if daemon.is_some() { Opener::Daemon } else { Opener::Guest };
        let (log, calls, writer) = call_log(&runtime, config, opener, operator);
        let (keeper, feed) = Keeper::new(index.clone(), library.clone(), Box::new(tell));
        let access_log = AccessLog::start(library.folder(), tell)?;
        let (standing, shown) = watch::channel(RetentionState::Off);
        let erasure = erasure(&library, config, &index, &feed, &log);
        let retention = Retention {
            library: Arc::new(library.clone()),
            index: index.clone(),
            erasure: erasure.clone(),
            days: library.retention_days(),
            of_agents,
            operator,
            access_log: access_log.clone(),
            databases: config.databases(),
            ask_clock,
            standing,
        };
        let parts = Parts {
            library,
            index: index.clone(),
            feed: feed.clone(),
            log: log.clone(),
            calls: calls.clone(),
            erasure,
            country: config.country.clone(),
            guard: guard(&config.api, operator),
            access_log,
            trusted_proxies: config.api.trusted_proxies.clone(),
            recorder,
            retention: shown,
            daemon,
            pace: Pace::new(clock::now),
            started: clock::wall(),
            clock: clock::wall,
        };
        let (stop, stopping) = watch::channel(());
        let (bound, address) = watch::channel(None);
        let (listen, proxies) = (config.api.listen, config.api.trusted_proxies.clone());
        let sender = courier.map(|courier| Sender::new(log.outbox(), courier, operator));
        let work = Work { call_log: config.call_log.file.clone(), index, writer, keeper, retention, sender };
        let (thread, done) = spawn(runtime, async move {
            let routes = Routes { router: http::router(parts), proxies, of_client: OF_CLIENT };
            work.run_beside(serve(listen, routes, operator, bound, stopping)).await;
        })?;
        Ok(Self { feed, log, calls, stop, address, done, thread })
    }

    /// The feed that tells the index of recordings; hand out clones of it.
    #[must_use]
    pub fn feed(&self) -> Feed {
        self.feed.clone()
    }

    /// Takes the rows of calls; hand out clones of it, and drop them before [`Self::stop`].
    #[must_use]
    pub fn log(&self) -> Log {
        self.log.clone()
    }

    /// Waits until the call log can answer, then returns the day of `now` and, by the name of the agent, the known costs
    /// of the calls that came earlier on that day.
    pub fn spent_before(
        &self,
        now: DateTime<FixedOffset>,
        host: &str,
    ) -> impl Future<Output = (NaiveDate, Vec<(Arc<str>, MicroUsd)>)> + use<> {
        let (calls, host) = (self.calls.clone(), host.to_owned());
        let today = now.date_naive();
        let midnight =
            today.and_time(NaiveTime::MIN).and_local_timezone(*now.offset()).earliest().unwrap_or(now);
        async move {
            let (from, before) = (midnight.timestamp_micros(), now.timestamp_micros());
            let mut pause = ASK_SOON;
            loop {
                match calls.spent(&host, from, before).await {
                    Ok(spent) => return (today, spent),
                    Err(error) => tracing::debug!(%error, "what was spent today is not known yet"),
                }
                tokio::time::sleep(pause).await;
                pause = (2 * pause).min(ASK_AGAIN);
            }
        }
    }

    /// Waits until the call log can answer, then returns the calls at OpenAI that an earlier daemon on this machine has left
    /// unfinished, or may have. OpenAI ends a call after an hour, so that older ones are over.
    pub fn left_at_openai(
        &self,
        now: DateTime<FixedOffset>,
        host: &str,
    ) -> impl Future<Output = Vec<CallId>> + use<> {
        let (calls, host) = (self.calls.clone(), host.to_owned());
        async move {
            let to_us = now.timestamp_micros();
            let from_us = to_us - LONGEST_AT_OPENAI.as_micros() as i64;
            let mut filter = Filter { from_us, to_us, limit: ROWS, ..Filter::default() };
            let mut left = Vec::new();
            for _ in 0..PAGES {
                let page = loop {
                    match calls.page(&filter).await {
                        Ok(page) => break page,
                        Err(error) => tracing::debug!(%error, "what is left at OpenAI is not known yet"),
                    }
                    tokio::time::sleep(ASK_AGAIN).await;
                };
                // A daemon that stops gives calls up that OpenAI does not hang up in time.
                let unfinished = [EndReason::Recovered, EndReason::Shutdown].map(EndReason::code);
                let is_left = |row: &&Row| {
                    let reason = row.end_reason.as_deref();
                    row.host == host && reason.is_none_or(|reason| unfinished.contains(&reason))
                };
                left.extend(
                    page.entries.iter().filter(is_left).filter_map(|row| CallId::parse(&row.call_id)),
                );
                let Some(next) = page.next else { break };
                filter.after = Some(next);
            }
            left
        }
    }

    /// The address on which the API listens, as soon as it does.
    pub async fn address(&mut self) -> Option<SocketAddr> {
        self.address.wait_for(Option::is_some).await.ok().and_then(|address| *address)
    }

    /// Ends the archive and blocks until the thread has ended. Answers that are being sent have a moment to finish.
    pub fn stop(self) {
        let Self { feed, log, stop, done, thread, .. } = self;
        drop((feed, log, stop));
        if done.recv_timeout(PATIENCE).is_ok() {
            // A panic of the thread is in the log already.
            thread.join().ok();
        }
    }
}

/// Listens and serves until `stopping`; a port that is taken is tried again.
async fn serve(
    listen: SocketAddr,
    routes: Routes,
    operator: Operator,
    bound: watch::Sender<Option<SocketAddr>>,
    mut stopping: watch::Receiver<()>,
) {
    let mut said = false;
    let listener = loop {
        match TcpListener::bind(listen).await {
            Ok(listener) => break listener,
            Err(error) if !said => {
                said = true;
                operator.say(&Notice::ApiUnbindable { address: listen, cause: Detail::new(error) });
            }
            Err(_) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(BIND_AGAIN) => {}
            _ = stopping.changed() => return,
        }
    };
    let address = listener.local_addr().unwrap_or(listen);
    operator.say(&Notice::ApiReady { address });
    bound.send_replace(Some(address));
    http::server::serve(listener, routes, async move {
        // The sender is dropped when the archive ends. That is an error here, and means the same as a change.
        stopping.changed().await.ok();
    })
    .await;
}

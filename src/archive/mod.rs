//! The archive: everything about recordings that is not recording – the index, the call log, the API, retention – on
//! a thread of its own, away from the calls.
//!
//! ```text
//!  Recorder ── Archive::feed ──► keeper ──► index ◄────── API ◄── connections
//!                                   ▲                    │ │
//!                                   └── what is gone ────┤ │
//!                                                        │ └── retention, hourly
//!  calls ───── Archive::log ───► writer ──► call log ◄───┘
//! ```
//! The thread has a runtime of its own, so that no call's task ever queues behind a request, and a lower
//! priority than the calls' threads, which its helpers – the disk's readers, SQLite's – inherit: where there are
//! not enough cores, a download waits, not a frame.
//!
//! | module | what |
//! |---|---|
//! | [`recording`] | starts and stops the recorder together with the archive |

pub mod recording;

use std::fs::Metadata;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveTime, TimeDelta};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::access_log::{AccessLog, Line, Who};
use crate::clock::{self, Clock};
use crate::config::{ApiConfig, ArchiveConfig};
use crate::erasure::{Erasure, Forgotten, Unerased, Waiting};
use crate::http::guard::Guard;
use crate::http::live;
use crate::http::local_users::LocalUsers;
use crate::http::server::Routes;
use crate::http::{self, AskRecorder, Pace, Parts};
use crate::logging::Operator;
use crate::operator::{Detail, Notice};
use crate::recordings::index::Index;
use crate::recordings::index::keeper::{Feed, Keeper};
use crate::recordings::retention::{self, Judge, Standing, Verdict};
use crate::recordings::{Library, LibraryError, RecordingId, RecordingSettings};
use crate::registry::{self, Log, Opener, Reader};
use crate::sqlite;
use crate::units::{ByteCount, MicroUsd};

/// How long the call log is left alone that could not tell what was spent today.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// What the kernel takes from its share: 10 of 19 leaves it a tenth of a busy core, and all of an idle one.
const NICE: i32 = 10;
/// Threads that wait for the disk. More readers at once would only make the disk's head move more.
const DISK_THREADS: usize = 8;
/// How often recordings past their time are looked for.
const RETENTION: Duration = Duration::from_secs(3_600);
/// How long a damaged database is kept for whoever may want to save something of it. It holds numbers that nothing erases
/// in it, so every deletion that somebody asks for removes it earlier.
const KEEP_ASIDE: TimeDelta = TimeDelta::days(30);
/// The same while the clock is not set: the list of a large folder costs a second, so not much more often.
const CLOCK_AGAIN: Duration = Duration::from_secs(300);
/// How often a port that is taken is tried again.
const BIND_AGAIN: Duration = Duration::from_secs(10);
/// What the end may take; then the thread is left to the end of the process.
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

/// What the thread does beside serving the API.
struct Work {
    /// The file of the call log. An earlier version kept the index there.
    call_log: PathBuf,
    index: Index,
    writer: registry::Writer,
    keeper: Keeper,
    retention: Retention,
}

impl Work {
    /// Does the work until `serving` has ended, and then writes what is left.
    async fn run_beside(self, serving: impl Future<Output = ()>) {
        let Self { call_log, index, writer, keeper, retention } = self;
        index.adopt(&call_log).await;
        let (mut tasks, mut writing) = (JoinSet::new(), JoinSet::new());
        writing.spawn(writer.run());
        tasks.spawn(keeper.run());
        tasks.spawn(retention.run());
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
    /// Starts it. A taken port, an unreadable folder or a broken database are no errors: they are said, and
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
    ) -> io::Result<Self> {
        let days = recordings.retention_days;
        let library = Library::new(recordings);
        let index = Index::new(&config.index);
        let tell = move |notice: Notice| operator.say(&notice);
        let runtime = runtime()?;
        let (log, calls, writer) = {
            let _runtime_context = runtime.enter();
            let opener = if daemon.is_some() { Opener::Daemon } else { Opener::Guest };
            registry::open(&config.call_log, opener, Box::new(tell))
        };
        let (keeper, feed) = Keeper::new(index.clone(), library.clone(), Box::new(tell));
        let access_log = AccessLog::start(library.folder(), tell)?;
        let (standing, shown) = watch::channel(Standing::Off);
        let erasure = erasure(&library, config, &index, &feed, &log);
        let retention = Retention {
            library: Arc::new(library.clone()),
            erasure: erasure.clone(),
            days,
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
        let work = Work { call_log: config.call_log.file.clone(), index, writer, keeper, retention };
        let (thread, done) = spawn(runtime, async move {
            let routes = Routes { router: http::router(parts), proxies };
            work.run_beside(serve(listen, routes, operator, bound, stopping)).await;
        })?;
        Ok(Self { feed, log, calls, stop, address, done, thread })
    }

    /// Tells the index; hand out clones of it.
    #[must_use]
    pub fn feed(&self) -> Feed {
        self.feed.clone()
    }

    /// Takes the rows of calls; hand out clones of it, and drop them before [`Self::stop`].
    #[must_use]
    pub fn log(&self) -> Log {
        self.log.clone()
    }

    /// The day of `now`, and what calls that came before have cost on it, by the name of the agent, as far as that is
    /// known: once the call log can tell.
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
            loop {
                match calls.spent(&host, from, before).await {
                    Ok(spent) => return (today, spent),
                    Err(error) => tracing::debug!(%error, "what was spent today is not known yet"),
                }
                tokio::time::sleep(ASK_AGAIN).await;
            }
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

/// Deletes what is past its time, at the start and hourly.
struct Retention {
    library: Arc<Library>,
    erasure: Erasure,
    days: Option<u32>,
    operator: Operator,
    access_log: AccessLog,
    databases: [PathBuf; 2],
    ask_clock: fn() -> Clock,
    standing: watch::Sender<Standing>,
}

impl Retention {
    async fn run(self) {
        let (mut clock, mut judge) = (Clock::Unsynchronised, Judge::default());
        loop {
            // Set once, it goes wrong by seconds only, though the kernel calls it unsynchronised after hours without
            // a server.
            if clock == Clock::Unsynchronised {
                clock = (self.ask_clock)();
            }
            if clock != Clock::Unsynchronised {
                self.remove_aside().await;
            }
            self.tell_of_unerased(self.erasure.retry().await);
            if let Some(days) = self.days {
                self.look(days, clock, &mut judge).await;
            }
            tokio::time::sleep(if clock == Clock::Unsynchronised { CLOCK_AGAIN } else { RETENTION }).await;
        }
    }

    /// Looks at the folder once, and deletes what may be deleted.
    async fn look(&self, days: u32, clock: Clock, judge: &mut Judge) {
        let (now, cutoff) = (clock::now(), retention::cutoff(clock::wall().naive_local(), days));
        let Some(due) = self.on_disk(move |library| retention::due(library, cutoff)).await else { return };
        let due = match due {
            Ok(due) => due,
            Err(error) => {
                let path = self.library.folder().display().to_string();
                return self.operator.say(&Notice::RecordingsUnreadable { path, cause: Detail::new(error) });
            }
        };
        if clock == Clock::Unsynchronised && !due.ids.is_empty() {
            let notice = Notice::RecordingsAwaitClock { recordings: due.ids.len(), days };
            return self.stands(Standing::ClockUnsynchronised, Some(notice));
        }
        match judge.judge(now, cutoff, due) {
            Verdict::Delete(ids) => {
                self.stands(Standing::Working, None);
                let forgotten = self.erasure.forget(ids, Vec::new(), |gone| self.note(gone)).await;
                self.report(forgotten, days);
            }
            Verdict::Keep(due) => {
                let (recordings, of) = (due.ids.len(), due.of);
                let notice = Notice::RecordingsTooManyExpired { recordings, of, days };
                self.stands(Standing::TooMany, Some(notice));
            }
        }
    }

    /// Removes damaged databases that were put aside long ago.
    async fn remove_aside(&self) {
        let (databases, before) = (self.databases.clone(), clock::wall() - KEEP_ASIDE);
        let is_due = move |file: &Metadata| file.ctime() < before.timestamp();
        let remove = move || databases.iter().for_each(|path| sqlite::remove_aside(path, is_due));
        if let Err(error) = tokio::task::spawn_blocking(remove).await {
            tracing::warn!(%error, "removing damaged databases panicked");
        }
    }

    /// Tells `/health`, and the operator once.
    fn stands(&self, standing: Standing, notice: Option<Notice>) {
        let is_new = self.standing.send_replace(standing) != standing;
        if let Some(notice) = notice.filter(|_| is_new) {
            self.operator.say(&notice);
        }
    }

    /// Does what waits for the disk beside the runtime; `None` if it panicked.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Library) -> T + Send + 'static,
    ) -> Option<T> {
        let library = Arc::clone(&self.library);
        let done = tokio::task::spawn_blocking(move || work(&library)).await;
        done.inspect_err(|error| tracing::warn!(%error, "retention panicked")).ok()
    }

    /// Tells the access log which recordings were deleted.
    fn note(&self, gone: &[RecordingId]) {
        for id in gone {
            self.access_log.note(Line {
                at: clock::wall(),
                who: Who("retention".into()),
                client: None,
                method: "DELETE".to_owned(),
                what: format!("/recordings/{id}"),
                status: 204,
                bytes: ByteCount::ZERO,
            });
        }
    }

    /// Tells the operator what was deleted and what was not.
    fn report(&self, forgotten: Forgotten, days: u32) {
        if !forgotten.gone.is_empty() {
            self.operator.say(&Notice::RecordingsExpired { recordings: forgotten.gone.len(), days });
        }
        for (id, error) in forgotten.kept {
            // Somebody else may have deleted the recording meanwhile.
            if !matches!(error, LibraryError::NotFound) {
                let (id, cause) = (id.to_string(), Detail::new(error));
                self.operator.say(&Notice::RecordingUndeletable { id, cause });
            }
        }
        self.tell_of_unerased(forgotten.unerased);
    }

    fn tell_of_unerased(&self, unerased: Option<Unerased>) {
        if let Some(Unerased { erasures, error }) = unerased {
            self.operator.say(&Notice::CallLogUnerased { erasures, cause: Detail::new(error) });
        }
    }
}

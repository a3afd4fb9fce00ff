//! The deletion of recordings that are past their time: at the start, hourly, and when agents have got other periods.

use std::collections::{BTreeMap, HashMap};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::watch;

use crate::access_log::{AccessLog, Line, Who};
use crate::clock::{self, Clock};
use crate::erasure::{Erasure, Forgotten, Unerased};
use crate::logging::Operator;
use crate::operator::{Detail, Notice};
use crate::recordings::index::{self, Index};
use crate::recordings::retention::{self, Due, Group, Judge, OfAgents, Periods, RetentionState, Verdict};
use crate::recordings::{Library, LibraryError, RecordingId};
use crate::sqlite;
use crate::units::ByteCount;

/// How often recordings past their time are looked for.
const RETENTION: Duration = Duration::from_secs(3_600);
/// How long a damaged database is kept for whoever may want to save something of it. It holds numbers that nothing erases
/// in it, so every deletion that somebody asks for removes it earlier.
const KEEP_ASIDE: TimeDelta = TimeDelta::days(30);
/// The same as [`RETENTION`] while the clock is not set: the list of a large folder costs a second, so not much more often.
const CLOCK_AGAIN: Duration = Duration::from_secs(300);
/// The same while the index cannot say yet which agent a recording is of. A longer time would keep recordings longer after a
/// start; a shorter one would look at the index in vain more often.
const INDEX_AGAIN: Duration = Duration::from_secs(1);

/// Deletes what is past its time.
pub(super) struct Retention {
    pub(super) library: Arc<Library>,
    pub(super) index: Index,
    pub(super) erasure: Erasure,
    /// For how many days the recordings of all agents are kept that have no period of their own. `None`: for ever.
    pub(super) days: Option<u32>,
    /// The periods of agents. `None`: they are not known, and nothing is deleted by its age.
    pub(super) of_agents: watch::Receiver<Option<OfAgents>>,
    pub(super) operator: Operator,
    pub(super) access_log: AccessLog,
    pub(super) databases: [PathBuf; 2],
    pub(super) ask_clock: fn() -> Clock,
    pub(super) standing: watch::Sender<RetentionState>,
}

/// What is remembered of a group of recordings between two examinations.
#[derive(Default)]
struct Watched {
    judge: Judge,
    standing: RetentionState,
}

/// Whose recordings a line is about, and their period.
struct Whose {
    /// `None`: no agent has a period of its own, so that all recordings are meant.
    agent: Option<String>,
    days: u32,
}

impl Whose {
    fn new(periods: &Periods, group: &Group, days: u32) -> Self {
        let name = match group {
            Group::Agent(name) => name.to_string(),
            Group::Others | Group::Unknown => "*".to_owned(),
        };
        Self { agent: (!periods.of_agents.is_empty()).then_some(name), days }
    }

    fn expired(&self, recordings: usize) -> Notice {
        let days = self.days;
        match self.agent.clone() {
            None => Notice::RecordingsExpired { recordings, days },
            Some(agent) => Notice::AgentRecordingsExpired { agent, recordings, days },
        }
    }

    fn await_clock(&self, recordings: usize) -> Notice {
        let days = self.days;
        match self.agent.clone() {
            None => Notice::RecordingsAwaitClock { recordings, days },
            Some(agent) => Notice::AgentRecordingsAwaitClock { agent, recordings, days },
        }
    }

    fn too_many(&self, due: &Due) -> Notice {
        let (recordings, of, days) = (due.ids.len(), due.of, self.days);
        match self.agent.clone() {
            None => Notice::RecordingsTooManyExpired { recordings, of, days },
            Some(agent) => Notice::AgentRecordingsTooManyExpired { agent, recordings, of, days },
        }
    }
}

/// Whether an examination could be made.
enum Looked {
    /// It was made, as far as the disk allowed.
    Done,
    /// The index does not know yet which agent a recording is of.
    WithoutIndex,
}

impl Retention {
    pub(super) async fn run(mut self) {
        let (mut clock, mut watched) = (Clock::Unsynchronised, BTreeMap::new());
        loop {
            // Once set, the clock goes wrong by seconds only, though the kernel calls the clock unsynchronised after
            // hours without a server.
            if clock == Clock::Unsynchronised {
                clock = (self.ask_clock)();
            }
            if clock != Clock::Unsynchronised {
                self.remove_aside().await;
            }
            self.tell_of_unerased(self.erasure.retry().await);
            let pause = match self.look(clock, &mut watched).await {
                Looked::WithoutIndex => INDEX_AGAIN,
                Looked::Done if clock == Clock::Unsynchronised => CLOCK_AGAIN,
                Looked::Done => RETENTION,
            };
            self.pause(pause).await;
        }
    }

    /// Waits for so long, or until agents have got other periods.
    async fn pause(&mut self, pause: Duration) {
        let changed = async {
            if self.of_agents.changed().await.is_err() {
                // Nobody can change them any more.
                std::future::pending::<()>().await;
            }
        };
        tokio::time::timeout(pause, changed).await.ok();
    }

    /// Looks at the folder once, and deletes what may be deleted.
    async fn look(&mut self, clock: Clock, watched: &mut BTreeMap<Group, Watched>) -> Looked {
        let Some(of_agents) = self.of_agents.borrow_and_update().clone() else { return Looked::Done };
        let periods = Periods { of_others: self.days, of_agents };
        let limited: BTreeMap<_, _> = periods.limited().collect();
        watched.retain(|group, _| limited.contains_key(group));
        if limited.is_empty() {
            self.standing.send_replace(RetentionState::Off);
            return Looked::Done;
        }
        let Some(ended) = self.on_disk(Library::ended).await else { return Looked::Done };
        let ended = match ended {
            Ok(ended) => ended,
            Err(error) => {
                let path = self.library.folder().display().to_string();
                self.operator.say(&Notice::RecordingsUnreadable { path, cause: Detail::new(error) });
                return Looked::Done;
            }
        };
        let Some(agents) = self.agents(&periods).await else { return Looked::WithoutIndex };
        let mut groups = periods.divide(ended, &agents);
        for (group, days) in limited {
            let ids = groups.remove(&group).unwrap_or_default();
            let whose = Whose::new(&periods, &group, days);
            self.judge(&whose, ids, clock, watched.entry(group).or_default()).await;
        }
        let worst = watched.values().map(|watched| watched.standing).max().unwrap_or_default();
        self.standing.send_replace(worst);
        Looked::Done
    }

    /// The agent of each recording, if it matters; `None` if the index cannot say.
    async fn agents(&self, periods: &Periods) -> Option<HashMap<RecordingId, Arc<str>>> {
        if periods.of_agents.is_empty() {
            return Some(HashMap::new());
        }
        if self.index.standing() != index::IndexState::Ready {
            return None;
        }
        let agents = self.index.agents().await;
        agents.inspect_err(|error| tracing::debug!(%error, "the index does not name the agents")).ok()
    }

    /// Deletes those of a group that may be deleted. `ids` are all of the group, newest first.
    async fn judge(&self, whose: &Whose, ids: Vec<RecordingId>, clock: Clock, watched: &mut Watched) {
        let (now, cutoff) = (clock::now(), retention::cutoff(clock::wall().naive_local(), whose.days));
        let of = ids.len();
        let due = Due { ids: retention::before(ids, cutoff), of };
        let mut stands = |standing, notice: Option<Notice>| {
            let is_new = std::mem::replace(&mut watched.standing, standing) != standing;
            if let Some(notice) = notice.filter(|_| is_new) {
                self.operator.say(&notice);
            }
        };
        if clock == Clock::Unsynchronised && !due.ids.is_empty() {
            return stands(RetentionState::ClockUnsynchronised, Some(whose.await_clock(due.ids.len())));
        }
        match watched.judge.judge(now, cutoff, due) {
            Verdict::Delete(ids) => {
                stands(RetentionState::Working, None);
                let forgotten = self.erasure.forget(ids, Vec::new(), |gone| self.note(gone)).await;
                self.report(whose, forgotten);
            }
            Verdict::Keep(due) => stands(RetentionState::TooMany, Some(whose.too_many(&due))),
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
    fn report(&self, of: &Whose, forgotten: Forgotten) {
        if !forgotten.gone.is_empty() {
            self.operator.say(&of.expired(forgotten.gone.len()));
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

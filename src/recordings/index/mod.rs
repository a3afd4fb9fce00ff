//! The index of the recordings: an embedded SQLite database for the questions that a folder with very many files
//! cannot answer quickly, such as the newest recordings of a caller within a period.
//!
//! The files remain the truth. Everything in the index is made from them and can be made again. Whatever the files
//! can say about one recording is read from the files. Names and numbers in the index are not encrypted; only the
//! mode of the file protects them. [`keeper`] writes the index. This file opens it, reads it, and defines its
//! queries.

pub mod keeper;
#[macro_use]
mod rows;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, FromRow as _};

use super::{Facts, RecordingId, State};
use crate::number::Sought;
use crate::operator::Detail;
use crate::paging::{self, Cursor, CursorForm, Page};
use crate::sqlite::{self, Commit, Migrations, is_corrupt};
use rows::Entry;
pub(crate) use rows::utc_ms;

/// The tables. Data that a power cut takes from the index is restored from the files by the next start.
const MIGRATIONS: Migrations = &[
    (1, "recordings", include_str!("0001_recordings.sql")),
    (2, "ends of numbers", include_str!("0002_tails.sql")),
];

/// The index. Clones share the database and are cheap.
#[derive(Debug, Clone)]
pub struct Index {
    path: Arc<Path>,
    open: Arc<RwLock<(Option<SqlitePool>, IndexState)>>,
    /// Whether removed data may still be in the write-ahead log.
    unsettled: Arc<AtomicBool>,
}

/// The state of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexState {
    /// The index is not open and answers no questions.
    Closed,
    /// The index is being compared with the files and may not know all of them.
    Building,
    /// The index agrees with the files.
    Ready,
}

impl IndexState {
    /// The state as a code for programs. Codes do not change between versions.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Building => "building",
            Self::Ready => "ready",
        }
    }
}

/// The result of opening the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// The index was opened or created.
    Fine,
    /// The file was not a usable database. It was moved to this path, and a new one was created.
    Moved(PathBuf),
    /// The file cannot be used, for this reason. The index is in memory until it is opened again.
    InMemory(Detail),
}

/// Why the index does not answer.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The index is not open.
    #[error("the index is not open")]
    Closed,
    /// The database reported an error.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl IndexError {
    /// Whether the file itself is damaged, so that only a new file helps.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Database(error) if is_corrupt(error))
    }
}

/// The recordings that a list selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Only recordings that began at this time or later, in UTC milliseconds.
    pub from_ms: i64,
    /// Only recordings that began at this time or earlier, in UTC milliseconds.
    pub to_ms: i64,
    /// Only recordings of this caller.
    pub caller: Option<Sought>,
    /// Only recordings that follow this position in the list.
    pub after: Option<Cursor>,
    /// The maximum number of recordings.
    pub limit: u32,
}

impl Default for Filter {
    fn default() -> Self {
        Self { from_ms: i64::MIN, to_ms: i64::MAX, caller: None, after: None, limit: 50 }
    }
}

/// The form of a cursor of the recordings.
pub const CURSOR: CursorForm = CursorForm {
    time_digits: 15,
    id_bytes: 160,
    is_id_byte: |byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte),
};

impl Index {
    /// Describes the index in the file at `path` without opening it.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.into(),
            open: Arc::new(RwLock::new((None, IndexState::Closed))),
            unsettled: Arc::default(),
        }
    }

    /// The state of the index.
    #[must_use]
    pub fn standing(&self) -> IndexState {
        self.open.read().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Opens the file and creates it if it is missing. A file that is not a usable database is moved aside. If no
    /// file can be used, the index is in memory.
    ///
    /// # Errors
    /// Not even a database in memory can be created.
    pub async fn open(&self) -> Result<Opened, IndexError> {
        self.close().await;
        let (pool, opened) = match sqlite::open(&self.path, MIGRATIONS, Commit::Soon).await {
            Ok(pool) => (pool, Opened::Fine),
            Err(error) if is_corrupt(&error) => {
                let moved = sqlite::move_aside(&self.path).map_err(sqlx::Error::from)?;
                (sqlite::open(&self.path, MIGRATIONS, Commit::Soon).await?, Opened::Moved(moved))
            }
            Err(error) => (sqlite::open_memory(MIGRATIONS).await?, Opened::InMemory(Detail::new(error))),
        };
        self.set(Some(pool), IndexState::Building);
        Ok(opened)
    }

    /// Takes over the index that an earlier version kept at `old`, where the call log is now. This index knows things
    /// about encrypted recordings that their files do not reveal. If anything fails, a new index is made from the
    /// files.
    pub async fn adopt(&self, old: &Path) {
        if self.path.exists() || !old.exists() || !is_index(old).await.unwrap_or(false) {
            return;
        }
        if let Err(error) = std::fs::rename(old, &self.path) {
            tracing::debug!(%error, "the old index stays where it is");
        }
    }

    /// Closes the index. It answers no questions until it is opened again.
    pub async fn close(&self) {
        let pool = self.open.write().unwrap_or_else(PoisonError::into_inner).0.take();
        self.set(None, IndexState::Closed);
        if let Some(pool) = pool {
            pool.close().await;
        }
    }

    /// Returns the recordings that `filter` selects, newest first.
    ///
    /// # Errors
    /// The index is closed, or the database fails.
    pub async fn page(&self, filter: &Filter) -> Result<Page<Facts>, IndexError> {
        let after = Cursor::begin(filter.after.as_ref());
        let (of_caller, keys) = filter.caller.as_ref().map_or_else(Default::default, rows::of_caller);
        let sql = format!("{PAGE}{of_caller} ORDER BY started_ms DESC, id DESC LIMIT ?");
        let query = sqlx::query_as(AssertSqlSafe(sql))
            .bind(filter.from_ms)
            .bind(filter.to_ms.min(after.0))
            .bind(after.0)
            .bind(after.1);
        let query = keys.iter().fold(query, |query, key| query.bind(key));
        let query = query.bind(paging::rows_of(filter.limit));
        let mut rows: Vec<Entry> = query.fetch_all(&self.pool()?).await?;
        let next = paging::cut(&mut rows, filter.limit).map(|last| last.cursor.clone());
        Ok(Page { entries: rows.into_iter().filter_map(|row| row.facts).collect(), next })
    }

    /// Returns what the index knows of one recording.
    ///
    /// # Errors
    /// The index is closed, or the database fails.
    pub async fn find(&self, id: &RecordingId) -> Result<Option<Facts>, IndexError> {
        let row: Option<Entry> = sqlx::query_as(FIND).bind(id.as_str()).fetch_optional(&self.pool()?).await?;
        Ok(row.and_then(|row| row.facts))
    }

    /// Returns all recordings of one caller that are not running, oldest first.
    ///
    /// # Errors
    /// The index is closed, or the database fails.
    pub async fn of_caller(&self, caller: &Sought) -> Result<Vec<RecordingId>, IndexError> {
        let (of_caller, keys) = rows::of_caller(caller);
        let sql = format!("{OF_CALLER}{of_caller} ORDER BY started_ms, id");
        let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(State::Live.code());
        let query = keys.iter().fold(query, |query, key| query.bind(key));
        let ids: Vec<String> = query.fetch_all(&self.pool()?).await?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// Returns the name of the agent of every recording of which more is known than its files. The name is empty if no
    /// agent is named.
    ///
    /// # Errors
    /// The index is closed, or the database fails.
    pub async fn agents(&self) -> Result<HashMap<RecordingId, Arc<str>>, IndexError> {
        let query = sqlx::query("SELECT id, agent FROM recordings WHERE told <> 0");
        let rows = query.fetch_all(&self.pool()?).await?;
        let mut names = BTreeSet::<Arc<str>>::new();
        let mut agents = HashMap::with_capacity(rows.len());
        for row in &rows {
            let (id, agent) = <(&str, &str)>::from_row(row)?;
            let Ok(id) = id.parse() else { continue };
            // There are few names and many recordings: each name is kept once.
            let name = names.get(agent).cloned().unwrap_or_else(|| agent.into());
            names.insert(Arc::clone(&name));
            agents.insert(id, name);
        }
        Ok(agents)
    }

    /// Removes these recordings, all or none, so that nothing of them stays in the file. Unknown recordings are no
    /// error.
    ///
    /// # Errors
    /// The index is closed, or the database fails.
    pub async fn remove(&self, ids: &[RecordingId]) -> Result<(), IndexError> {
        let mut transaction = self.pool()?.begin().await?;
        for id in ids {
            let delete = sqlx::query("DELETE FROM recordings WHERE id = ?").bind(id.as_str());
            delete.execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        self.unsettled.store(true, Ordering::Relaxed);
        self.settle().await
    }

    /// Empties the write-ahead log, if a reader prevented it earlier.
    async fn settle(&self) -> Result<(), IndexError> {
        if self.unsettled.load(Ordering::Relaxed) {
            let settled = sqlite::settle(&self.pool()?).await?;
            self.unsettled.store(!settled, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Inserts or updates these recordings, all or none.
    ///
    /// # Errors
    /// The index is closed, or the database fails.
    pub async fn put(&self, facts: &[Facts]) -> Result<(), IndexError> {
        let mut transaction = self.pool()?.begin().await?;
        for facts in facts {
            rows::put(&mut transaction, facts).await?;
        }
        transaction.commit().await?;
        self.settle().await
    }

    /// Returns every recording in the index with its state.
    async fn all(&self) -> Result<Vec<(RecordingId, State)>, IndexError> {
        let rows = sqlx::query("SELECT id, state FROM recordings").fetch_all(&self.pool()?).await?;
        let mut all = Vec::with_capacity(rows.len());
        for row in &rows {
            // Borrowed texts: there may be hundreds of thousands of rows.
            let (id, state) = <(&str, &str)>::from_row(row)?;
            all.extend(id.parse().ok().zip(rows::state_of(state)));
        }
        Ok(all)
    }

    /// Records that the index agrees with the files.
    fn ready(&self) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if open.0.is_some() {
            open.1 = IndexState::Ready;
        }
    }

    /// Whether the file is still where it was opened. Somebody may have removed it.
    fn is_in_place(&self) -> bool {
        self.path.exists()
    }

    fn set(&self, pool: Option<SqlitePool>, standing: IndexState) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = (pool, standing);
    }

    fn pool(&self) -> Result<SqlitePool, IndexError> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).0.clone().ok_or(IndexError::Closed)
    }
}

/// Whether this file contains an index and nothing else.
async fn is_index(path: &Path) -> Result<bool, sqlx::Error> {
    let mut connection =
        SqliteConnectOptions::new().filename(path).disable_statement_logging().connect().await?;
    let tables = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?";
    let recordings: i64 = sqlx::query_scalar(tables).bind("recordings").fetch_one(&mut connection).await?;
    let calls: i64 = sqlx::query_scalar(tables).bind("calls").fetch_one(&mut connection).await?;
    // When the last connection closes, SQLite removes the other files of the database.
    connection.close().await?;
    Ok((recordings, calls) == (1, 0))
}

const PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM recordings WHERE started_ms >= ? AND started_ms <= ? AND (started_ms < ? OR id < ?)"
);
const FIND: &str = concat!("SELECT ", columns!(), " FROM recordings WHERE id = ?");
const OF_CALLER: &str = "SELECT id FROM recordings WHERE state <> ? AND caller_key <> ''";

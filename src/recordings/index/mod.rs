//! The index of the recordings: an embedded SQLite database that answers what a folder cannot answer fast with
//! very many files – which recordings, newest first, of whom, between when.
//!
//! The files stay the truth. Whatever is in here is made from them, can be lost, and is made again; nothing is
//! looked up here that the files can say about one recording. Names and numbers in it are in the clear and
//! protected by the file's mode alone. [`keeper`] writes it; this reads it, opens it, and knows its columns.

pub mod keeper;
#[macro_use]
mod rows;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use super::{Facts, RecordingId, State};
use crate::number::Sought;
use crate::operator::Detail;
use crate::sqlite::{self, Commit, Migrations, is_corrupt};
pub(crate) use rows::utc_ms;

/// The tables. The files are the truth: what a power cut takes from the index is found again at the next start.
const MIGRATIONS: Migrations = &[
    (1, "recordings", include_str!("0001_recordings.sql")),
    (2, "ends of numbers", include_str!("0002_tails.sql")),
];

/// The index. Cheap to clone; all clones share the database.
#[derive(Debug, Clone)]
pub struct Index {
    path: Arc<Path>,
    open: Arc<RwLock<(Option<SqlitePool>, Standing)>>,
    /// What was taken out may still be in the log beside the file.
    unsettled: Arc<AtomicBool>,
}

/// How the index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Not open: nothing can be asked.
    Closed,
    /// Being compared with the files: it may not know all of them.
    Building,
    /// As good as the files.
    Ready,
}

impl Standing {
    /// The stable word for machines.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Building => "building",
            Self::Ready => "ready",
        }
    }
}

/// How opening went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// As it should.
    Fine,
    /// What was there is no database: it was moved there, and a new one made.
    Moved(PathBuf),
    /// There can be no file: it is in memory, until it is opened again.
    InMemory(Detail),
}

/// Why the index does not answer.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// It is not open.
    #[error("the index is not open")]
    Closed,
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl IndexError {
    /// Whether the file itself is damaged, so that only a new one helps.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Database(error) if is_corrupt(error))
    }
}

/// Which recordings a list asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Begun then or later, UTC milliseconds.
    pub from_ms: i64,
    /// Begun then or earlier.
    pub to_ms: i64,
    /// Of this caller only.
    pub caller: Option<Sought>,
    /// Those that follow this one in the list.
    pub after: Option<Cursor>,
    /// At most so many.
    pub limit: u32,
}

impl Default for Filter {
    fn default() -> Self {
        Self { from_ms: i64::MIN, to_ms: i64::MAX, caller: None, after: None, limit: 50 }
    }
}

/// A place in the list: behind the recording it names, whether that still exists or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    started_ms: i64,
    id: String,
}

/// Not a cursor of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: use next_cursor of the page before")]
pub struct CursorError;

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (started, id) = text.split_once('~').ok_or(CursorError)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let fits =
            (1..=15).contains(&started.len()) && (1..=160).contains(&id.len()) && id.bytes().all(plain);
        if !fits || !started.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(CursorError);
        }
        Ok(Self { started_ms: started.parse().map_err(|_| CursorError)?, id: id.to_owned() })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{}", self.started_ms.max(0), self.id)
    }
}

/// Some recordings, newest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// They.
    pub recordings: Vec<Facts>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

impl Index {
    /// The index in the file at `path`. Opens nothing yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.into(),
            open: Arc::new(RwLock::new((None, Standing::Closed))),
            unsettled: Arc::default(),
        }
    }

    /// How it is.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.open.read().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Opens the file, making it where it is missing, and a new one where it is none. Where there can be none,
    /// in memory.
    ///
    /// # Errors
    /// Not even a database in memory can be had.
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
        self.set(Some(pool), Standing::Building);
        Ok(opened)
    }

    /// Takes over the index that an earlier version kept at `old`, where the call log is now. It tells of encrypted
    /// recordings what their files do not. Whatever goes wrong, an index is made anew from the files.
    pub async fn adopt(&self, old: &Path) {
        if self.path.exists() || !old.exists() || !is_index(old).await.unwrap_or(false) {
            return;
        }
        if let Err(error) = std::fs::rename(old, &self.path) {
            tracing::debug!(%error, "the old index stays where it is");
        }
    }

    /// Closes it: nothing can be asked until it is opened again.
    pub async fn close(&self) {
        let pool = self.open.write().unwrap_or_else(PoisonError::into_inner).0.take();
        self.set(None, Standing::Closed);
        if let Some(pool) = pool {
            pool.close().await;
        }
    }

    /// The recordings of `filter`, newest first.
    ///
    /// # Errors
    /// It is closed, or the database fails.
    pub async fn page(&self, filter: &Filter) -> Result<Page, IndexError> {
        let after =
            filter.after.as_ref().map_or((i64::MAX, ""), |after| (after.started_ms, after.id.as_str()));
        let (of_caller, keys) = filter.caller.as_ref().map_or_else(Default::default, rows::of_caller);
        let sql = format!("{PAGE}{of_caller} ORDER BY started_ms DESC, id DESC LIMIT ?");
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(filter.from_ms)
            .bind(filter.to_ms.min(after.0))
            .bind(after.0)
            .bind(after.1);
        // One more than asked for tells whether another page follows.
        let query = keys.iter().fold(query, |query, key| query.bind(key));
        let rows = query.bind(i64::from(filter.limit) + 1).fetch_all(&self.pool()?).await?;
        let more = rows.len() > filter.limit as usize;
        let shown = &rows[..rows.len().min(filter.limit as usize)];
        let next = shown.last().filter(|_| more).map(rows::cursor).transpose()?;
        Ok(Page { recordings: rows::facts(shown)?, next })
    }

    /// What it knows of one recording.
    ///
    /// # Errors
    /// It is closed, or the database fails.
    pub async fn find(&self, id: &RecordingId) -> Result<Option<Facts>, IndexError> {
        let row = sqlx::query(FIND).bind(id.as_str()).fetch_optional(&self.pool()?).await?;
        Ok(rows::facts(row.as_slice())?.pop())
    }

    /// All recordings of one caller that are not running, oldest first.
    ///
    /// # Errors
    /// It is closed, or the database fails.
    pub async fn of_caller(&self, caller: &Sought) -> Result<Vec<RecordingId>, IndexError> {
        let (of_caller, keys) = rows::of_caller(caller);
        let sql = format!("{OF_CALLER}{of_caller} ORDER BY started_ms, id");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(State::Live.code());
        let query = keys.iter().fold(query, |query, key| query.bind(key));
        rows::ids(&query.fetch_all(&self.pool()?).await?)
    }

    /// Takes these out, all or none; that one was not in is no error. Nothing of them stays in the file.
    ///
    /// # Errors
    /// It is closed, or the database fails.
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

    /// Once more, if somebody read when it was tried before.
    async fn settle(&self) -> Result<(), IndexError> {
        if self.unsettled.load(Ordering::Relaxed) {
            let settled = sqlite::settle(&self.pool()?).await?;
            self.unsettled.store(!settled, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Puts them in, or what is new of them; all or none.
    ///
    /// # Errors
    /// It is closed, or the database fails.
    pub async fn put(&self, facts: &[Facts]) -> Result<(), IndexError> {
        let mut transaction = self.pool()?.begin().await?;
        for facts in facts {
            rows::put(&mut transaction, facts).await?;
        }
        transaction.commit().await?;
        self.settle().await
    }

    /// Every recording in it, and where it stands.
    async fn all(&self) -> Result<Vec<(RecordingId, State)>, IndexError> {
        rows::standing(&sqlx::query("SELECT id, state FROM recordings").fetch_all(&self.pool()?).await?)
    }

    /// The files and the index agree.
    fn ready(&self) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if open.0.is_some() {
            open.1 = Standing::Ready;
        }
    }

    /// Whether the file is where it was opened; somebody may have removed it.
    fn is_in_place(&self) -> bool {
        self.path.exists()
    }

    fn set(&self, pool: Option<SqlitePool>, standing: Standing) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = (pool, standing);
    }

    fn pool(&self) -> Result<SqlitePool, IndexError> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).0.clone().ok_or(IndexError::Closed)
    }
}

/// Whether there is an index in this file, and nothing else.
async fn is_index(path: &Path) -> Result<bool, sqlx::Error> {
    let mut connection =
        SqliteConnectOptions::new().filename(path).disable_statement_logging().connect().await?;
    let tables = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?";
    let recordings: i64 = sqlx::query_scalar(tables).bind("recordings").fetch_one(&mut connection).await?;
    let calls: i64 = sqlx::query_scalar(tables).bind("calls").fetch_one(&mut connection).await?;
    // The last connection to close leaves one file only.
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

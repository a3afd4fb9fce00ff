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
use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use super::{Facts, RecordingId, State};
use crate::operator::Detail;
pub(crate) use rows::utc_ms;

/// The migrations, in order; one that was published never changes.
const MIGRATIONS: [(i64, &str, &str); 1] = [(1, "recordings", include_str!("0001_recordings.sql"))];
/// Readers at once, and the writer. More would only wait for each other's disk.
const CONNECTIONS: u32 = 4;
/// How long a connection waits for another process – `recordings purge` – to finish writing. Purging writes
/// row by row, so this is long already.
const BUSY: Duration = Duration::from_secs(5);
/// Corrupt databases that are kept beside the new one; more would let a failing disk fill itself.
const MOVED_ASIDE: u32 = 9;

/// The index. Cheap to clone; all clones share the database.
#[derive(Debug, Clone)]
pub struct Index {
    path: Arc<Path>,
    open: Arc<RwLock<(Option<SqlitePool>, Standing)>>,
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
    /// Of this caller only, however the number is written.
    pub caller: Option<String>,
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
        Self { path: path.into(), open: Arc::new(RwLock::new((None, Standing::Closed))) }
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
        let (pool, opened) = match open_file(&self.path).await {
            Ok(pool) => (pool, Opened::Fine),
            Err(error) if is_corrupt(&error) => {
                let moved = move_aside(&self.path).map_err(sqlx::Error::from)?;
                (open_file(&self.path).await?, Opened::Moved(moved))
            }
            Err(error) => (open_memory().await?, Opened::InMemory(Detail::new(error))),
        };
        self.set(Some(pool), Standing::Building);
        Ok(opened)
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
        let query = match &filter.caller {
            None => sqlx::query(PAGE),
            Some(number) => sqlx::query(PAGE_OF_CALLER).bind(number_key(number)),
        };
        let query = query.bind(filter.from_ms).bind(filter.to_ms.min(after.0)).bind(after.0).bind(after.1);
        // One more than asked for tells whether another page follows.
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
    pub async fn of_caller(&self, number: &str) -> Result<Vec<RecordingId>, IndexError> {
        let query = sqlx::query(OF_CALLER).bind(number_key(number)).bind(State::Live.code());
        rows::ids(&query.fetch_all(&self.pool()?).await?)
    }

    /// Takes one out; that it was not in is no error.
    ///
    /// # Errors
    /// It is closed, or the database fails.
    pub async fn remove(&self, id: &RecordingId) -> Result<(), IndexError> {
        sqlx::query("DELETE FROM recordings WHERE id = ?").bind(id.as_str()).execute(&self.pool()?).await?;
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
        Ok(())
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

const PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM recordings WHERE started_ms >= ? AND started_ms <= ? AND (started_ms < ? OR id < ?) \
     ORDER BY started_ms DESC, id DESC LIMIT ?"
);
const PAGE_OF_CALLER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM recordings WHERE caller_key = ? AND started_ms >= ? AND started_ms <= ? AND (started_ms < ? OR id < ?) \
     ORDER BY started_ms DESC, id DESC LIMIT ?"
);
const FIND: &str = concat!("SELECT ", columns!(), " FROM recordings WHERE id = ?");
const OF_CALLER: &str = "SELECT id FROM recordings WHERE caller_key = ? AND state <> ? AND caller_key <> '' ORDER BY started_ms, id";

/// A number as it is compared: its digits and letters, so that spaces, brackets and the `+` do not matter.
#[must_use]
pub fn number_key(number: &str) -> String {
    number.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).take(250).collect()
}

/// The database in this file, with its tables.
async fn open_file(path: &Path) -> Result<SqlitePool, sqlx::Error> {
    make_file(path)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // The files are the truth: what a power cut takes from the index is found again at the next start.
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY);
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(BUSY)
        .connect_with(options)
        .await?;
    let told: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&pool).await?;
    if told != "ok" {
        pool.close().await;
        return Err(sqlx::Error::Decode(told.into()));
    }
    migrate(&pool).await?;
    Ok(pool)
}

/// One connection, for ever: a database in memory lives as long as its connection.
async fn open_memory() -> Result<SqlitePool, sqlx::Error> {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(SqliteConnectOptions::new().in_memory(true))
        .await?;
    migrate(&pool).await?;
    Ok(pool)
}

async fn migrate(pool: &SqlitePool) -> Result<(), sqlx::Error> {
    let migrations = MIGRATIONS.map(|(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.into());
    // A newer program has been here: what it added does not disturb.
    migrator.set_ignore_missing(true);
    migrator.run(pool).await.map_err(|error| match error {
        MigrateError::Execute(error) => error,
        other => sqlx::Error::Migrate(Box::new(other)),
    })
}

/// Makes the file and its folder with the modes of recordings; `SQLite` gives its other files that of the first.
fn make_file(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
    }
    OpenOptions::new().append(true).create(true).mode(0o640).open(path).map(drop)
}

/// Whether the file is damaged, or not a database at all.
fn is_corrupt(error: &sqlx::Error) -> bool {
    match error {
        // SQLITE_CORRUPT and SQLITE_NOTADB; extended codes have them in the low byte.
        sqlx::Error::Database(error) => {
            let code = error.code().and_then(|code| code.parse::<u32>().ok());
            code.is_some_and(|code| matches!(code & 0xFF, 11 | 26))
        }
        // What quick_check said, a table that is not as it was made, or a migration that is not ours.
        sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Migrate(_) => true,
        _ => false,
    }
}

/// Renames a damaged database, and throws away what belongs to it; says where it is now.
fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let beside = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let free = (1..MOVED_ASIDE).map(|n| beside(&format!(".corrupt-{n}"))).find(|moved| !moved.exists());
    let moved = free.unwrap_or_else(|| beside(&format!(".corrupt-{MOVED_ASIDE}")));
    std::fs::rename(path, &moved)?;
    for ending in ["-wal", "-shm"] {
        match std::fs::remove_file(beside(ending)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(moved)
}

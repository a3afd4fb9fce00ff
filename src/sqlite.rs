//! SQLite files: made with the modes of recordings, opened, examined, brought to the newest tables, put aside when
//! damaged. Knows no table; the index of the recordings and the call log each have their own file.
//!
//! What is deleted in them is overwritten (`secure_delete`), and is gone from the write-ahead log too when [`settle`] has
//! succeeded.

use std::fs::{DirBuilder, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions as _, SqlSafeStr as _};

/// Readers at once, and the writer. More would only wait for each other's disk.
const CONNECTIONS: u32 = 4;
/// How long a connection waits for another process – `recordings purge` – to finish writing. Purging writes
/// row by row, so this is long already.
const BUSY: Duration = Duration::from_secs(5);
/// Damaged databases that are kept beside the new one; more would let a failing disk fill itself.
const MOVED_ASIDE: u32 = 9;
/// `PRAGMA user_version` of files in which what was deleted has always been overwritten.
const OVERWRITES: i64 = 1;

/// Changes of the tables, in order: version, name, SQL. One that was published never changes.
pub type Migrations = &'static [(i64, &'static str, &'static str)];

/// What a commit waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// Nothing: a power cut may take the last ones. The file stays whole.
    Soon,
    /// The disk.
    Durable,
}

/// The database in this file, with its tables; made where it is missing.
///
/// # Errors
/// See [`is_corrupt`] for those that only a new file helps against.
pub async fn open(path: &Path, migrations: Migrations, commit: Commit) -> Result<SqlitePool, sqlx::Error> {
    make_file(path)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(match commit {
            Commit::Soon => SqliteSynchronous::Normal,
            Commit::Durable => SqliteSynchronous::Full,
        })
        .busy_timeout(BUSY)
        .pragma("secure_delete", "ON")
        // Of a slow statement sqlx would warn the operator with all of its SQL.
        .disable_statement_logging();
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(BUSY)
        .acquire_slow_threshold(Duration::MAX)
        .connect_with(options)
        .await?;
    let told: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&pool).await?;
    if told != "ok" {
        pool.close().await;
        return Err(sqlx::Error::Decode(told.into()));
    }
    if is_new(&pool).await? {
        sqlx::query(AssertSqlSafe(format!("PRAGMA user_version = {OVERWRITES}"))).execute(&pool).await?;
    }
    migrate(&pool, migrations).await?;
    if let Err(error) = overwrite(&pool).await {
        // There is no room, or another process reads: the next start tries again.
        tracing::debug!(%error, "what an earlier version deleted stays in the file");
    }
    Ok(pool)
}

/// Whether the file holds nothing yet.
async fn is_new(pool: &SqlitePool) -> sqlx::Result<bool> {
    let things: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_master").fetch_one(pool).await?;
    Ok(things == 0)
}

/// Makes the file anew, once, if an earlier version has used it, which left in it what it deleted.
async fn overwrite(pool: &SqlitePool) -> sqlx::Result<()> {
    let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(pool).await?;
    if version < OVERWRITES {
        sqlx::query("VACUUM").execute(pool).await?;
        sqlx::query(AssertSqlSafe(format!("PRAGMA user_version = {OVERWRITES}"))).execute(pool).await?;
        settle(pool).await?;
    }
    Ok(())
}

/// Brings everything that was written into the file itself, and empties the write-ahead log beside it: a copy of the file
/// is whole then, and what was deleted is nowhere. False: somebody reads just now; it is to be tried again.
///
/// # Errors
/// The database fails.
pub async fn settle(pool: &SqlitePool) -> sqlx::Result<bool> {
    let is_busy: i64 = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(pool).await?;
    Ok(is_busy == 0)
}

/// The same tables without a file: one connection, for ever, since such a database lives as long as that.
///
/// # Errors
/// There is no memory.
pub async fn open_memory(migrations: Migrations) -> Result<SqlitePool, sqlx::Error> {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(SqliteConnectOptions::new().in_memory(true).disable_statement_logging())
        .await?;
    migrate(&pool, migrations).await?;
    Ok(pool)
}

/// Migrations as sqlx takes them, for whatever database.
#[must_use]
pub fn migrator(migrations: Migrations) -> Migrator {
    let migrations = migrations.iter().map(|&(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    // A newer program has been here: what it added does not disturb.
    migrator.set_ignore_missing(true);
    migrator
}

async fn migrate(pool: &SqlitePool, migrations: Migrations) -> Result<(), sqlx::Error> {
    migrator(migrations).run(pool).await.map_err(|error| match error {
        MigrateError::Execute(error) => error,
        // The disk failed it, not what is in the file.
        MigrateError::ExecuteMigration(error, _) if primary_code(&error) != Some(SQLITE_ERROR) => error,
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

/// Wrong SQL, which is to say: a table that is there already, and other than ours.
const SQLITE_ERROR: u32 = 1;
const SQLITE_CORRUPT: u32 = 11;
const SQLITE_NOTADB: u32 = 26;

/// SQLite's result code; extended ones have it in the low byte.
fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let sqlx::Error::Database(error) = error else { return None };
    Some(error.code()?.parse::<u32>().ok()? & 0xFF)
}

/// Whether the file is damaged, or not a database of ours at all, so that only a new one helps.
#[must_use]
pub fn is_corrupt(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(_) => {
            primary_code(error).is_some_and(|code| matches!(code, SQLITE_CORRUPT | SQLITE_NOTADB))
        }
        // What quick_check said, a table that is not as it was made, or a migration that is not ours.
        sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Migrate(_) => true,
        _ => false,
    }
}

/// Renames a damaged database, and throws away what belongs to it; says where it is now.
///
/// # Errors
/// The folder cannot be written.
pub fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let free = (1..MOVED_ASIDE).map(|n| beside(path, &format!(".corrupt-{n}"))).find(|moved| !moved.exists());
    let moved = free.unwrap_or_else(|| beside(path, &format!(".corrupt-{MOVED_ASIDE}")));
    std::fs::rename(path, &moved)?;
    for ending in ["-wal", "-shm"] {
        match std::fs::remove_file(beside(path, ending)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(moved)
}

/// Removes the damaged databases that were put aside and are due: nothing can be erased in them.
pub fn remove_aside(path: &Path, is_due: impl Fn(&Metadata) -> bool) {
    for moved in (1..=MOVED_ASIDE).map(|n| beside(path, &format!(".corrupt-{n}"))) {
        if moved.symlink_metadata().is_ok_and(|found| is_due(&found))
            && let Err(error) = std::fs::remove_file(&moved)
        {
            tracing::warn!(%error, path = %moved.display(), "a damaged database that may hold what was erased stays");
        }
    }
}

/// A path with more at its end.
#[must_use]
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The text, cut to `bytes` or a little less: MySQL refuses what does not fit.
#[must_use]
pub fn cut(text: &str, bytes: usize) -> String {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

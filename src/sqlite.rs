//! Handles SQLite files: creates them with the modes of recordings, opens and checks them, migrates them to the
//! newest tables, and moves damaged ones aside. This module knows no table. The index of the recordings and the call
//! log each have a file of their own.
//!
//! Deleted data is overwritten (`secure_delete`). After [`settle`] has succeeded, the data is gone from the
//! write-ahead log as well.

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

/// The number of connections: readers and the writer. With more, connections would only wait for each other's disk
/// access; with fewer, readers wait for each other.
const CONNECTIONS: u32 = 4;
/// How long a connection waits until another process, such as `recordings purge`, has finished writing. Purging
/// writes row by row, so this time is long. A shorter time makes writes fail during a purge.
const BUSY: Duration = Duration::from_secs(5);
/// The number of damaged databases that are kept beside the new one. A larger value would let a failing disk fill
/// itself; a smaller one discards evidence earlier.
const MOVED_ASIDE: u32 = 9;
/// The `PRAGMA user_version` of files in which deleted data has always been overwritten.
const OVERWRITES: i64 = 1;

/// The changes of the tables in order: version, name and SQL. A published change is never altered.
pub type Migrations = &'static [(i64, &'static str, &'static str)];

/// What a commit waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// Nothing. A power cut may lose the last commits, but the file stays intact.
    Soon,
    /// The disk.
    Durable,
}

/// Opens the database in this file with its tables. A missing file is created.
///
/// # Errors
/// [`is_corrupt`] identifies the errors for which only a new file helps.
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
        // sqlx would log slow statements with all of their SQL.
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
        // The disk has no room, or another process is reading. The next start tries again.
        tracing::debug!(%error, "what an earlier version deleted stays in the file");
    }
    Ok(pool)
}

/// Whether the file contains no tables yet.
async fn is_new(pool: &SqlitePool) -> sqlx::Result<bool> {
    let things: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_master").fetch_one(pool).await?;
    Ok(things == 0)
}

/// Rewrites the file once if an earlier version has used it, because that version did not overwrite deleted data.
async fn overwrite(pool: &SqlitePool) -> sqlx::Result<()> {
    let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(pool).await?;
    if version < OVERWRITES {
        sqlx::query("VACUUM").execute(pool).await?;
        sqlx::query(AssertSqlSafe(format!("PRAGMA user_version = {OVERWRITES}"))).execute(pool).await?;
        settle(pool).await?;
    }
    Ok(())
}

/// Writes everything into the database file itself and empties the write-ahead log beside it. A copy of the file is
/// then complete, and nothing remains of deleted data. Returns false if a reader prevents it; the caller must try
/// again.
///
/// # Errors
/// The database fails.
pub async fn settle(pool: &SqlitePool) -> sqlx::Result<bool> {
    let is_busy: i64 = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(pool).await?;
    Ok(is_busy == 0)
}

/// Opens the same tables in memory, with one connection that is never closed, because such a database lives only as
/// long as its connection.
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

/// Converts migrations to the form that sqlx takes, for any database.
#[must_use]
pub fn migrator(migrations: Migrations) -> Migrator {
    let migrations = migrations.iter().map(|&(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    // A newer version of the program may have made changes. They do no harm.
    migrator.set_ignore_missing(true);
    migrator
}

async fn migrate(pool: &SqlitePool, migrations: Migrations) -> Result<(), sqlx::Error> {
    migrator(migrations).run(pool).await.map_err(|error| match error {
        MigrateError::Execute(error) => error,
        // The disk caused the failure, not the content of the file.
        MigrateError::ExecuteMigration(error, _) if primary_code(&error) != Some(SQLITE_ERROR) => error,
        other => sqlx::Error::Migrate(Box::new(other)),
    })
}

/// Creates the file and its folder with the modes of recordings. SQLite gives its other files the mode of this one.
fn make_file(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
    }
    OpenOptions::new().append(true).create(true).mode(0o640).open(path).map(drop)
}

/// The result code for invalid SQL. For a migration it means that a table exists already and differs from the
/// expected one.
const SQLITE_ERROR: u32 = 1;
const SQLITE_CORRUPT: u32 = 11;
const SQLITE_NOTADB: u32 = 26;

/// SQLite's primary result code, which is the low byte of an extended one.
fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let sqlx::Error::Database(error) = error else { return None };
    Some(error.code()?.parse::<u32>().ok()? & 0xFF)
}

/// Whether the file is damaged or is not a database of this program, so that only a new file helps.
#[must_use]
pub fn is_corrupt(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(_) => {
            primary_code(error).is_some_and(|code| matches!(code, SQLITE_CORRUPT | SQLITE_NOTADB))
        }
        // The check of the file failed, a table differs from the expected one, or the migrations are those of another
        // program.
        sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Migrate(_) => true,
        _ => false,
    }
}

/// Renames a damaged database, removes the files that belong to it, and returns the new path.
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

/// Removes the damaged databases that were moved aside and that `is_due` selects, because no row can be erased in
/// them.
pub fn remove_aside(path: &Path, is_due: impl Fn(&Metadata) -> bool) {
    for moved in (1..=MOVED_ASIDE).map(|n| beside(path, &format!(".corrupt-{n}"))) {
        if moved.symlink_metadata().is_ok_and(|found| is_due(&found))
            && let Err(error) = std::fs::remove_file(&moved)
        {
            tracing::warn!(%error, path = %moved.display(), "a damaged database that may hold what was erased stays");
        }
    }
}

/// Appends an ending to the last part of a path.
#[must_use]
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Cuts the text to at most `bytes` bytes at a character boundary. MySQL rejects longer texts.
#[must_use]
pub fn cut(text: &str, bytes: usize) -> String {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

//! The SQLite file. A row is accepted when it is in this file, and waits here for the server if there is one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, FromRow};

use super::message::{self, Message};
use super::row::{self, COLUMNS, Cells as _, PERSONAL, Row};
use super::{Column, RegistryError, Whose};
use crate::end_reason::EndReason;
use crate::sqlite::{self, Commit, Migrations};

const MIGRATIONS: Migrations = &[
    (1, "calls", include_str!("0001_calls.sqlite.sql")),
    (2, "a row for each stay", include_str!("0002_stays.sqlite.sql")),
    (3, "the version of the agent", include_str!("0003_agent_version.sqlite.sql")),
    (4, "the tools of a call", include_str!("0004_tools.sqlite.sql")),
    (5, "the outbox", include_str!("0005_outbox.sqlite.sql")),
    (6, "what webhooks have offered", include_str!("0006_claims.sqlite.sql")),
    (7, "who decides about a call", include_str!("0007_held_claims.sqlite.sql")),
];

/// How long counting the file's rows may take. Prometheus waits 10 s for all metrics and should get the others. A
/// shorter time drops the figure when the disk is busy.
pub(super) const AT_ONCE: Duration = Duration::from_secs(2);

/// The SQLite file of the call log. Clones share the database and are cheap.
#[derive(Debug, Clone)]
pub(super) struct Local {
    path: Arc<Path>,
    /// Whether a server is configured, to which the rows of this file are delivered.
    forwards: bool,
    open: Arc<RwLock<Option<SqlitePool>>>,
}

/// A change that is written to the file.
#[derive(Debug)]
pub(super) enum Change<'a> {
    Put(&'a Row),
    Send(&'a Message),
    /// What was decided about an offered call has been carried out.
    Decided(&'a str),
    Erase(&'a Whose),
}

/// A row that waits for delivery to the server.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) row: Row,
    /// The row's position in the order of delivery. Every change of the row gives it a new position.
    pub(super) place: i64,
}

impl FromRow<'_, SqliteRow> for Due {
    fn from_row(cells: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self { row: Row::from_row(cells)?, place: cells.integer("due")?.unwrap_or_default() })
    }
}

/// An erasure that the server has not confirmed. Its value may be a number, so it has no `Debug` form.
pub(super) struct Erasure {
    id: i64,
    pub(super) column: Column,
    pub(super) value: String,
}

impl Local {
    /// Describes the file at `path` without opening it.
    pub(super) fn new(path: &Path, forwards: bool) -> Self {
        Self { path: path.into(), forwards, open: Arc::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file and creates it if it is missing. A damaged file is moved aside and replaced by a new one; the
    /// returned path says where the damaged file is now.
    pub(super) async fn open(&self) -> Result<Option<PathBuf>, RegistryError> {
        self.close().await;
        let open = || sqlite::open(&self.path, MIGRATIONS, Commit::Durable);
        let (pool, moved) = match open().await {
            Err(error) if sqlite::is_corrupt(&error) => {
                let moved = sqlite::move_aside(&self.path).map_err(sqlx::Error::from)?;
                (open().await?, Some(moved))
            }
            opened => (opened?, None),
        };
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = Some(pool);
        Ok(moved)
    }

    pub(super) async fn close(&self) {
        let pool = self.open.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(pool) = pool {
            pool.close().await;
        }
    }

    /// Whether the database is open and its file is still in place. Somebody may have removed the file.
    pub(super) fn stands(&self) -> bool {
        self.pool().is_ok() && self.path.exists()
    }

    pub(super) fn pool(&self) -> Result<SqlitePool, RegistryError> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.clone().ok_or(RegistryError::Closed)
    }

    /// Opens the file for a process beside the daemon: a damaged file is left to the daemon.
    pub(super) async fn open_beside(&self) -> Result<(), RegistryError> {
        let pool = sqlite::open(&self.path, MIGRATIONS, Commit::Durable).await?;
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = Some(pool);
        Ok(())
    }

    /// Writes all changes in their order, or none of them. Once this function has returned, the changes survive a
    /// power cut. Returns the number of messages for which the outbox has no room.
    pub(super) async fn write(&self, changes: &[Change<'_>]) -> Result<u64, RegistryError> {
        let mut refused = 0;
        let mut transaction = self.pool()?.begin().await?;
        for change in changes {
            match change {
                Change::Put(row) => {
                    let query = sqlx::query(AssertSqlSafe(upsert()));
                    row::bind(query, &row.values()).execute(&mut *transaction).await?;
                    // A call that runs has been taken. If the daemon is cut off, its row tells of it.
                    if row.end_reason.is_none() {
                        sqlx::query(DECIDE).bind(&row.call_id).execute(&mut *transaction).await?;
                    }
                }
                Change::Decided(call) => {
                    sqlx::query(DECIDE).bind(call).execute(&mut *transaction).await?;
                }
                Change::Send(message) => {
                    refused += u64::from(!message::insert(&mut transaction, message).await?);
                }
                Change::Erase(whose) => {
                    for (column, value) in whose.sought() {
                        for sql in [erase(column), message::erase(column)] {
                            let erase = sqlx::query(AssertSqlSafe(sql));
                            erase.bind(value).execute(&mut *transaction).await?;
                        }
                        if self.forwards {
                            let remember = sqlx::query(AssertSqlSafe(remember(column)));
                            remember.bind(value).execute(&mut *transaction).await?;
                        }
                    }
                }
            }
        }
        transaction.commit().await?;
        Ok(refused)
    }

    /// Empties the write-ahead log beside the file, so that a copy of the file is complete and nothing of the erased
    /// data remains. Returns false if a reader prevents it.
    pub(super) async fn settle(&self) -> Result<bool, RegistryError> {
        Ok(sqlite::settle(&self.pool()?).await?)
    }

    /// Ends the rows of calls that an earlier daemon left running when it was cut off. Returns their number.
    pub(super) async fn end_cut_off(&self) -> Result<u64, RegistryError> {
        let ended = sqlx::query(END_CUT_OFF).bind(EndReason::Recovered.code()).execute(&self.pool()?).await?;
        Ok(ended.rows_affected())
    }

    /// Returns up to `limit` rows that wait for the server, after this position.
    pub(super) async fn due(&self, after: i64, limit: usize) -> Result<Vec<Due>, RegistryError> {
        let columns = COLUMNS.join(", ");
        let sql = format!("SELECT {columns}, due FROM calls WHERE due > ? ORDER BY due LIMIT ?");
        let query = sqlx::query_as(AssertSqlSafe(sql)).bind(after).bind(limit as i64);
        Ok(query.fetch_all(&self.pool()?).await?)
    }

    /// The number of rows that wait for the server.
    pub(super) async fn count_due(&self) -> Result<u64, RegistryError> {
        let rows: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM calls WHERE due > 0").fetch_one(&self.pool()?).await?;
        Ok(rows as u64)
    }

    /// Records that the server has these rows. The rows of ended calls are then deleted here. A row that has changed
    /// since it was read keeps waiting.
    pub(super) async fn delivered(&self, delivered: &[&Due]) -> Result<(), RegistryError> {
        let mut transaction = self.pool()?.begin().await?;
        for Due { row, place, .. } in delivered {
            for sql in [FORGET_ENDED, KEEP_RUNNING] {
                sqlx::query(sql).bind(&row.row_id).bind(place).execute(&mut *transaction).await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The erasures that the server has not confirmed.
    pub(super) async fn erasures(&self) -> Result<Vec<Erasure>, RegistryError> {
        let rows = sqlx::query("SELECT id, recording_id, caller_key, caller_tail FROM erasures ORDER BY id");
        let rows = rows.fetch_all(&self.pool()?).await?;
        let mut erasures = Vec::with_capacity(rows.len());
        for cells in &rows {
            let id = cells.integer("id")?.unwrap_or_default();
            for column in Column::ALL {
                let value = cells.text(column.name())?;
                erasures.extend(value.map(|value| Erasure { id, column, value }));
            }
        }
        Ok(erasures)
    }

    /// Records that the server has carried out the erasure.
    pub(super) async fn erased_there(&self, erasure: &Erasure) -> Result<(), RegistryError> {
        sqlx::query("DELETE FROM erasures WHERE id = ?").bind(erasure.id).execute(&self.pool()?).await?;
        Ok(())
    }
}

/// The SQL that inserts a row or updates it. Erased values stay erased, and the changed row waits for the server.
fn upsert() -> String {
    let update = COLUMNS[1..].iter().map(|column| match *column {
        "erased" => "erased = MAX(calls.erased, excluded.erased)".to_owned(),
        column if PERSONAL.contains(&column) => {
            format!("{column} = CASE WHEN calls.erased = 1 THEN '' ELSE excluded.{column} END")
        }
        column => format!("{column} = excluded.{column}"),
    });
    format!(
        "{} ON CONFLICT (row_id) DO UPDATE SET {}, due = excluded.due",
        row::insert(Some(NEXT_PLACE)),
        update.collect::<Vec<_>>().join(", ")
    )
}

/// The position after all waiting rows.
const NEXT_PLACE: (&str, &str) = ("due", "(SELECT COALESCE(MAX(due), 0) + 1 FROM calls)");
const DECIDE: &str = "UPDATE claims SET holder = NULL WHERE kind = 'call' AND id = ? AND holder IS NOT NULL";
/// What a call used that was cut off is known up to its last answer, so that its figures are an estimate.
const END_CUT_OFF: &str = "UPDATE calls SET end_reason = ?, \
     estimated = CASE WHEN text_in IS NULL THEN estimated ELSE 1 END, \
     due = (SELECT COALESCE(MAX(due), 0) FROM calls) + rowid WHERE end_reason IS NULL";
const FORGET_ENDED: &str = "DELETE FROM calls WHERE row_id = ? AND due = ? AND end_reason IS NOT NULL";
const KEEP_RUNNING: &str = "UPDATE calls SET due = NULL WHERE row_id = ? AND due = ?";

/// The SQL that erases the numbers in all rows in which the column holds the bound value.
fn erase(column: Column) -> String {
    format!(
        "UPDATE calls SET caller = '', caller_key = '', called = '', tools = '', erased = 1, \
         due = (SELECT COALESCE(MAX(due), 0) FROM calls) + rowid WHERE {} = ?",
        column.name()
    )
}

/// The SQL that records an erasure for the server.
fn remember(column: Column) -> String {
    format!("INSERT INTO erasures ({}) VALUES (?)", column.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::Sought;

    async fn local(folder: &tempfile::TempDir, forwards: bool) -> Local {
        let local = Local::new(&folder.path().join("calls.db"), forwards);
        local.open().await.unwrap();
        local
    }

    fn five() -> Whose {
        Whose::Caller(Sought::new("+5", None).unwrap())
    }

    fn row(end_reason: Option<&str>) -> Row {
        let end_reason = end_reason.map(ToOwned::to_owned);
        Row { row_id: "a".into(), call_id: "a".into(), caller: "5".into(), end_reason, ..Row::default() }
    }

    #[tokio::test]
    async fn what_changes_while_it_is_delivered_is_still_due() {
        let folder = tempfile::tempdir().unwrap();
        let local = local(&folder, true).await;
        let end = row(Some("busy"));
        for changed in [Change::Put(&end), Change::Erase(&five())] {
            local.write(&[Change::Put(&row(Some("no_port")))]).await.unwrap();
            let under_way = local.due(0, 10).await.unwrap();
            local.write(&[changed]).await.unwrap();
            local.delivered(&under_way.iter().collect::<Vec<_>>()).await.unwrap();
            let due = local.due(0, 10).await.unwrap();
            assert_eq!(due.len(), 1);
            local.delivered(&due.iter().collect::<Vec<_>>()).await.unwrap();
            assert!(local.due(0, 10).await.unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn a_running_call_stays_until_it_is_over_and_is_due_when_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let local = local(&folder, true).await;
        local.write(&[Change::Put(&row(None))]).await.unwrap();
        local.delivered(&local.due(0, 10).await.unwrap().iter().collect::<Vec<_>>()).await.unwrap();
        assert!(local.due(0, 10).await.unwrap().is_empty());
        assert_eq!(local.end_cut_off().await.unwrap(), 1);
        let due = local.due(0, 10).await.unwrap();
        assert_eq!(due[0].row.end_reason.as_deref(), Some("recovered"));
    }

    #[tokio::test]
    async fn erasures_are_remembered_only_for_a_server() {
        for forwards in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let local = local(&folder, forwards).await;
            local.write(&[Change::Erase(&five())]).await.unwrap();
            let erasures = local.erasures().await.unwrap();
            assert_eq!(
                erasures.iter().map(|erasure| &*erasure.value).collect::<Vec<_>>(),
                &["5"][..forwards.into()]
            );
        }
    }
}

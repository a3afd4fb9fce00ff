//! The outbox: messages about ended calls, in the SQLite file, from the end of the call until their receiver has them.
//!
//! A message is written together with the row of its call, all or nothing. From then on it is lost only if its caller is erased, or
//! if it was given up [`KEPT`] ago. Receivers may get a message twice, because the daemon may be killed between their answer and
//! the note of it; they know it by its id.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, FromRow};
use tokio::sync::Notify;

use super::local::{AT_ONCE, Local};
pub use super::message::{MOST, Message};
use super::row::Cells as _;
use super::{RegistryError, Settings};
use crate::sqlite::{cut, settle};

/// How long a message is kept that was given up. A longer time would keep personal data that nobody asks for; a shorter one would
/// lose messages before the operator is back from a holiday.
pub const KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);
/// The longest text of an answer, in bytes.
const ANSWER_BYTES: usize = 255;

/// A message that is in the outbox. Its body is fetched when it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The number of the message in this outbox.
    pub id: i64,
    /// The key of the row of the call.
    pub row_id: String,
    /// Asterisk's unique id of the caller's channel.
    pub call_id: String,
    /// The agent that served the call.
    pub agent: String,
    /// The name of the address.
    pub address: String,
    /// How often it was sent.
    pub attempts: u32,
    /// When it is sent next, in UTC microseconds. `None`: it was given up.
    pub due_us: Option<i64>,
    /// What came of the last attempt. Empty: there was none.
    pub answer: String,
}

impl FromRow<'_, SqliteRow> for Waiting {
    fn from_row(cells: &SqliteRow) -> sqlx::Result<Self> {
        let text = |column| cells.text(column).map(Option::unwrap_or_default);
        Ok(Self {
            id: cells.integer("id")?.unwrap_or_default(),
            row_id: text("row_id")?,
            call_id: text("call_id")?,
            agent: text("agent")?,
            address: text("address")?,
            attempts: cells.integer("attempts")?.unwrap_or_default() as u32,
            due_us: cells.integer("due_us")?,
            answer: text("answer")?,
        })
    }
}

const COLUMNS: &str = "id, row_id, call_id, agent, address, attempts, due_us, answer";

/// What has happened to messages since the start.
#[derive(Debug, Default)]
pub struct Tally {
    /// Messages that their receivers have.
    pub sent: AtomicU64,
    /// Attempts that failed.
    pub failed: AtomicU64,
    /// Messages that were given up, or found no room.
    pub dead: AtomicU64,
}

/// How many messages there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that wait for their next attempt.
    pub waiting: u64,
    /// Those that were given up.
    pub dead: u64,
}

/// The outbox in the file of a call log. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Outbox {
    local: Local,
    more: Arc<Notify>,
    tally: Arc<Tally>,
}

impl Outbox {
    pub(super) fn new(local: Local) -> Self {
        Self { local, more: Arc::default(), tally: Arc::default() }
    }

    /// Opens the outbox for a command, beside the daemon that may be running.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub async fn open(settings: &Settings) -> Result<Self, RegistryError> {
        let local = Local::new(&settings.file, settings.server.is_some());
        local.open_beside().await?;
        Ok(Self::new(local))
    }

    /// What has happened since the start.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Waits until there are messages that were not there before. Messages that another process makes due are not noticed.
    pub async fn more(&self) {
        self.more.notified().await;
    }

    /// There are more messages, and for so many there was no room.
    pub(super) fn grew(&self, refused: u64) {
        self.tally.dead.fetch_add(refused, Ordering::Relaxed);
        self.more.notify_one();
    }

    /// The messages that are due at this time, up to `limit` of them: those that have waited longest first.
    ///
    /// # Errors
    /// The file is not open, or fails.
    pub async fn due(&self, now_us: i64, limit: u32) -> Result<Vec<Waiting>, RegistryError> {
        let sql = format!("SELECT {COLUMNS} FROM outbox WHERE due_us <= ? ORDER BY due_us, id LIMIT ?");
        let query = sqlx::query_as(AssertSqlSafe(sql)).bind(now_us).bind(limit);
        Ok(query.fetch_all(&self.local.pool()?).await?)
    }

    /// When the next message is due, in UTC microseconds. `None`: none waits.
    ///
    /// # Errors
    /// The file is not open, or fails.
    pub async fn next_us(&self) -> Result<Option<i64>, RegistryError> {
        let query = sqlx::query_scalar("SELECT MIN(due_us) FROM outbox WHERE due_us IS NOT NULL");
        Ok(query.fetch_one(&self.local.pool()?).await?)
    }

    /// The body of a message. `None`: it is gone, because its caller was erased.
    ///
    /// # Errors
    /// The file is not open, or fails.
    pub async fn body(&self, id: i64) -> Result<Option<String>, RegistryError> {
        let query = sqlx::query_scalar("SELECT body FROM outbox WHERE id = ?").bind(id);
        Ok(query.fetch_optional(&self.local.pool()?).await?)
    }

    /// The receiver has the message: nothing of it is kept.
    ///
    /// # Errors
    /// The file is not open, or fails.
    pub async fn delivered(&self, id: i64) -> Result<(), RegistryError> {
        sqlx::query("DELETE FROM outbox WHERE id = ?").bind(id).execute(&self.local.pool()?).await?;
        Ok(())
    }

    /// Notes how often the message was sent, what came of the last attempt, and when the next one is due, in UTC microseconds.
    /// `None`: it is given up.
    ///
    /// # Errors
    /// The file is not open, or fails.
    pub async fn failed(
        &self,
        id: i64,
        attempts: u32,
        answer: &str,
        due_us: Option<i64>,
    ) -> Result<(), RegistryError> {
        let sql = "UPDATE outbox SET attempts = ?, answer = ?, due_us = ? WHERE id = ?";
        let query = sqlx::query(sql).bind(attempts).bind(cut(answer, ANSWER_BYTES)).bind(due_us).bind(id);
        query.execute(&self.local.pool()?).await?;
        Ok(())
    }

    /// Makes a message due, as if it had never been sent. Returns whether there is such a message.
    ///
    /// # Errors
    /// The file is not open, or fails.
    pub async fn again(&self, id: i64, now_us: i64) -> Result<bool, RegistryError> {
        let query =
            sqlx::query("UPDATE outbox SET attempts = 0, due_us = ? WHERE id = ?").bind(now_us).bind(id);
        Ok(query.execute(&self.local.pool()?).await?.rows_affected() > 0)
    }

    /// Deletes what was given up and is older than [`KEPT`], and merges the write-ahead log into the file, so that nothing is left
    /// of what was deleted.
    ///
    /// # Errors
    /// The file is not open, or fails.
    pub async fn tidy(&self, now_us: i64) -> Result<(), RegistryError> {
        let oldest = now_us.saturating_sub(KEPT.as_micros() as i64);
        let pool = self.local.pool()?;
        sqlx::query("DELETE FROM outbox WHERE due_us IS NULL AND made_us < ?")
            .bind(oldest)
            .execute(&pool)
            .await?;
        settle(&pool).await?;
        Ok(())
    }

    /// All messages, the oldest first.
    ///
    /// # Errors
    /// The file is not open, or fails.
    pub async fn list(&self) -> Result<Vec<Waiting>, RegistryError> {
        let query = sqlx::query_as(AssertSqlSafe(format!("SELECT {COLUMNS} FROM outbox ORDER BY id")));
        Ok(query.fetch_all(&self.local.pool()?).await?)
    }

    /// How many messages there are. `None`: the file does not answer in time.
    pub async fn counted_at_once(&self) -> Option<Counts> {
        tokio::time::timeout(AT_ONCE, self.counts()).await.ok()?.ok()
    }

    /// How many messages there are.
    ///
    /// # Errors
    /// The file is not open, or fails.
    pub async fn counts(&self) -> Result<Counts, RegistryError> {
        let sql = "SELECT COUNT(due_us), COUNT(*) FROM outbox";
        let (waiting, all): (i64, i64) = sqlx::query_as(sql).fetch_one(&self.local.pool()?).await?;
        Ok(Counts { waiting: waiting as u64, dead: (all - waiting) as u64 })
    }
}

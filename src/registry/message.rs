//! A message about an ended call, and how it comes into the table of the outbox and is erased there.

use sqlx::Transaction;
use sqlx::sqlite::Sqlite;

use super::{Column, RegistryError};
use crate::number::CallerNumber;

/// The most messages. A larger value would let the outbox fill the disk while a receiver is away; a smaller one would lose the
/// messages of a busy day.
pub const MOST: u64 = 10_000;
/// A message about an ended call, for one address.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The key of the row of the call.
    pub row_id: String,
    /// Asterisk's unique id of the caller's channel.
    pub call_id: String,
    /// The agent that served the call.
    pub agent: String,
    /// The name of the address.
    pub address: String,
    /// The id of the recording, if there is one.
    pub recording_id: Option<String>,
    /// The number of the caller, by which the message is erased.
    pub caller: CallerNumber,
    /// When the call ended, in UTC microseconds.
    pub made_us: i64,
    /// The body as it is sent.
    pub body: String,
}

impl std::fmt::Debug for Message {
    /// Shows no data of the call.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message")
            .field("row_id", &self.row_id)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Writes a message, unless it is there already or its caller was erased meanwhile. Where there is no room, the oldest message
/// that was given up makes room. Returns whether the message has its place.
pub(super) async fn insert(
    transaction: &mut Transaction<'_, Sqlite>,
    message: &Message,
) -> Result<bool, RegistryError> {
    let all: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM outbox").fetch_one(&mut **transaction).await?;
    if all as u64 >= MOST {
        let oldest =
            "DELETE FROM outbox WHERE id = (SELECT id FROM outbox WHERE due_us IS NULL ORDER BY id LIMIT 1)";
        if sqlx::query(oldest).execute(&mut **transaction).await?.rows_affected() == 0 {
            return Ok(false);
        }
    }
    let Message { row_id, call_id, agent, address, recording_id, caller, made_us, body } = message;
    sqlx::query(INSERT)
        .bind(row_id)
        .bind(call_id)
        .bind(agent)
        .bind(address)
        .bind(recording_id)
        .bind(caller.key())
        .bind(made_us)
        .bind(made_us)
        .bind(body)
        .bind(row_id)
        .execute(&mut **transaction)
        .await?;
    Ok(true)
}

const INSERT: &str = "INSERT INTO outbox (row_id, call_id, agent, address, recording_id, caller_key, made_us, attempts, due_us, \
     answer, body) SELECT ?, ?, ?, ?, ?, ?, ?, 0, ?, '', ? \
     WHERE NOT EXISTS (SELECT 1 FROM calls WHERE row_id = ? AND erased = 1) \
     ON CONFLICT (row_id, agent, address) DO NOTHING";

/// The SQL that erases all messages in which the column holds the bound value.
pub(super) fn erase(column: Column) -> String {
    format!("DELETE FROM outbox WHERE {} = ?", column.name())
}

//! Converts what is known of a recording to a row of the index and back.

use chrono::{FixedOffset, Local, NaiveDateTime, TimeZone as _};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row as _, Transaction};

use super::IndexError;
use crate::number::{self, Sought};
use crate::paging::Cursor;
use crate::recordings::{Facts, RecordingId, State, Told};
use crate::sqlite::cut;

/// All columns, in the order in which [`facts`] reads them.
macro_rules! columns {
    () => {
        "id, state, sealed, bytes, started_ms, told, started, utc_offset, duration_ms, caller, called, model, \
         agent, end_reason, interruptions, messages"
    };
}

/// The format of local times in a row. It sorts by time and keeps microseconds.
const LOCAL: &str = "%Y-%m-%dT%H:%M:%S%.6f";
/// The longest text in a row, in bytes, as in the call log. A smaller value would cut the names of models and agents.
const TEXT_BYTES: usize = 255;

/// Reads the rows. Rows that this program cannot have written are skipped.
pub(super) fn facts(rows: &[SqliteRow]) -> Result<Vec<Facts>, IndexError> {
    let read = |row| one(row).map_err(IndexError::from);
    rows.iter().map(read).filter_map(Result::transpose).collect()
}

/// The position in the list after this row.
pub(super) fn cursor(row: &SqliteRow) -> Result<Cursor, IndexError> {
    Ok(Cursor { id: row.try_get("id")?, time: row.try_get("started_ms")? })
}

/// The SQL that restricts a query to the rows of this caller, and the values of its `?`.
pub(super) fn of_caller(caller: &Sought) -> (String, &[String]) {
    let (column, any_of) = match caller {
        Sought::Keys(keys) => ("caller_key", keys.as_slice()),
        Sought::Tail(tail) => ("caller_tail", std::slice::from_ref(tail)),
    };
    (format!(" AND {column} IN ({})", vec!["?"; any_of.len()].join(", ")), any_of)
}

/// Reads the ids in the first column.
pub(super) fn ids(rows: &[SqliteRow]) -> Result<Vec<RecordingId>, IndexError> {
    let mut ids = Vec::with_capacity(rows.len());
    for row in rows {
        ids.extend(row.try_get::<&str, _>(0)?.parse::<RecordingId>());
    }
    Ok(ids)
}

/// Reads the id and the state in the first two columns.
pub(super) fn standing(rows: &[SqliteRow]) -> Result<Vec<(RecordingId, State)>, IndexError> {
    let mut standing = Vec::with_capacity(rows.len());
    for row in rows {
        let (id, state): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
        standing.extend(id.parse().ok().zip(state_of(state)));
    }
    Ok(standing)
}

/// Writes a row. What is known of an encrypted recording from the time of its call is kept.
pub(super) async fn put(transaction: &mut Transaction<'_, sqlx::Sqlite>, facts: &Facts) -> sqlx::Result<()> {
    let connection: &mut SqliteConnection = transaction;
    let told = facts.told.as_ref();
    if told.is_none() {
        let update = sqlx::query("UPDATE recordings SET state = ?, sealed = ?, bytes = ? WHERE id = ?")
            .bind(facts.state.code())
            .bind(i64::from(facts.sealed))
            .bind(facts.bytes as i64)
            .bind(facts.id.as_str());
        if update.execute(&mut *connection).await?.rows_affected() > 0 {
            return Ok(());
        }
    }
    let text = |text: fn(&Told) -> &str| cut(told.map_or("", text), TEXT_BYTES);
    let started = told.map_or_else(|| facts.id.started(), |told| told.started);
    // SQLite and MySQL both support `REPLACE`.
    let insert = sqlx::query(
        "REPLACE INTO recordings (id, state, sealed, bytes, started_ms, told, started, utc_offset, \
         duration_ms, caller, called, model, agent, end_reason, interruptions, messages, caller_key) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(facts.id.as_str())
    .bind(facts.state.code())
    .bind(i64::from(facts.sealed))
    .bind(facts.bytes as i64)
    .bind(utc_ms(started, told.and_then(|told| told.utc_offset)))
    .bind(i64::from(told.is_some()))
    .bind(started.format(LOCAL).to_string())
    .bind(told.and_then(|told| told.utc_offset).map(|offset| i64::from(offset.local_minus_utc())))
    .bind(told.map_or(0, |told| told.duration_ms as i64))
    .bind(text(|told| &told.caller))
    .bind(text(|told| &told.called))
    .bind(text(|told| &told.model))
    .bind(text(|told| &told.agent))
    .bind(text(|told| &told.end_reason))
    .bind(told.map_or(0, |told| told.interruptions as i64))
    .bind(told.map_or(0, |told| told.messages as i64))
    .bind(number::key(told.map_or("", |told| &told.caller)));
    insert.execute(connection).await.map(drop)
}

/// Converts a local time to UTC milliseconds. Without an offset, this machine's time zone decides. Of the two moments
/// that an ambiguous time of an autumn night stands for, the first counts.
pub(crate) fn utc_ms(local: NaiveDateTime, offset: Option<FixedOffset>) -> i64 {
    let at = offset.map_or_else(
        || Local.from_local_datetime(&local).earliest().map(|at| at.fixed_offset()),
        |offset| offset.from_local_datetime(&local).single(),
    );
    // This local time does not exist, because the clocks were set forward.
    at.unwrap_or_else(|| local.and_utc().fixed_offset()).timestamp_millis()
}

fn one(row: &SqliteRow) -> sqlx::Result<Option<Facts>> {
    let (id, state): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
    let (Ok(id), Some(state)) = (id.parse::<RecordingId>(), state_of(state)) else { return Ok(None) };
    let number = |column: usize| row.try_get::<i64, _>(column).map(|number| number.max(0) as u64);
    let text = |column: usize| row.try_get::<String, _>(column);
    let told = if row.try_get::<i64, _>(5)? == 0 {
        None
    } else {
        let started = NaiveDateTime::parse_from_str(row.try_get(6)?, LOCAL);
        let offset: Option<i64> = row.try_get(7)?;
        Some(Told {
            started: started.unwrap_or_else(|_| id.started()),
            utc_offset: offset.and_then(|seconds| FixedOffset::east_opt(seconds as i32)),
            duration_ms: number(8)?,
            caller: text(9)?,
            called: text(10)?,
            model: text(11)?,
            agent: text(12)?,
            end_reason: text(13)?,
            interruptions: number(14)?,
            messages: number(15)?,
        })
    };
    Ok(Some(Facts { id, state, sealed: row.try_get::<i64, _>(2)? != 0, bytes: number(3)?, told }))
}

fn state_of(code: &str) -> Option<State> {
    [State::Live, State::Finished, State::Recovered].into_iter().find(|state| state.code() == code)
}

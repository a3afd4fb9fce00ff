//! Converts what is known of a recording to a row of the index and back.

use chrono::{FixedOffset, Local, NaiveDateTime, TimeZone as _};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{FromRow, Row as _, Transaction};

use crate::number::Sought;
use crate::paging::Cursor;
use crate::recordings::{Facts, RecordingId, State, Told};
use crate::sqlite::cut;
use crate::units::{ByteCount, Milliseconds};

/// All columns that an [`Entry`] is read from.
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

/// A row that was selected with all columns.
pub(super) struct Entry {
    /// The position in the list after this row.
    pub(super) cursor: Cursor,
    /// What is known of the recording. `None` if this program cannot have written the row.
    pub(super) facts: Option<Facts>,
}

/// The SQL that restricts a query to the rows of this caller, and the values of its `?`.
pub(super) fn of_caller(caller: &Sought) -> (String, &[String]) {
    let (column, any_of) = match caller {
        Sought::Keys(keys) => ("caller_key", keys.as_slice()),
        Sought::Tail(tail) => ("caller_tail", std::slice::from_ref(tail)),
    };
    (format!(" AND {column} IN ({})", vec!["?"; any_of.len()].join(", ")), any_of)
}

/// Writes a row. What is known of an encrypted recording from the time of its call is kept.
pub(super) async fn put(transaction: &mut Transaction<'_, sqlx::Sqlite>, facts: &Facts) -> sqlx::Result<()> {
    let connection: &mut SqliteConnection = transaction;
    let told = facts.told.as_ref();
    if told.is_none() {
        let update = sqlx::query("UPDATE recordings SET state = ?, sealed = ?, bytes = ? WHERE id = ?")
            .bind(facts.state.code())
            .bind(i64::from(facts.sealed))
            .bind(facts.bytes.get() as i64)
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
    .bind(facts.bytes.get() as i64)
    .bind(utc_ms(started, told.and_then(|told| told.utc_offset)))
    .bind(i64::from(told.is_some()))
    .bind(started.format(LOCAL).to_string())
    .bind(told.and_then(|told| told.utc_offset).map(|offset| i64::from(offset.local_minus_utc())))
    .bind(told.map_or(0, |told| told.duration.get() as i64))
    .bind(text(|told| told.caller.expose()))
    .bind(text(|told| &told.called))
    .bind(text(|told| &told.model))
    .bind(text(|told| &told.agent))
    .bind(text(|told| &told.end_reason))
    .bind(told.map_or(0, |told| told.interruptions as i64))
    .bind(told.map_or(0, |told| told.messages as i64))
    .bind(told.map(|told| told.caller.key()).unwrap_or_default());
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

impl FromRow<'_, SqliteRow> for Entry {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        let id: &str = row.try_get("id")?;
        let cursor = Cursor { time: row.try_get("started_ms")?, id: id.to_owned() };
        let (Ok(id), Some(state)) = (id.parse::<RecordingId>(), state_of(row.try_get("state")?)) else {
            return Ok(Self { cursor, facts: None });
        };
        let sealed = row.try_get::<i64, _>("sealed")? != 0;
        let told = if row.try_get::<i64, _>("told")? == 0 { None } else { Some(told(row, &id)?) };
        let facts = Some(Facts { id, state, sealed, bytes: ByteCount::new(number(row, "bytes")?), told });
        Ok(Self { cursor, facts })
    }
}

fn told(row: &SqliteRow, id: &RecordingId) -> sqlx::Result<Told> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let started = NaiveDateTime::parse_from_str(row.try_get("started")?, LOCAL);
    let offset: Option<i64> = row.try_get("utc_offset")?;
    Ok(Told {
        started: started.unwrap_or_else(|_| id.started()),
        utc_offset: offset.and_then(|seconds| FixedOffset::east_opt(seconds as i32)),
        duration: Milliseconds::new(number(row, "duration_ms")?),
        caller: text("caller")?.into(),
        called: text("called")?,
        model: text("model")?,
        agent: text("agent")?,
        end_reason: text("end_reason")?,
        interruptions: number(row, "interruptions")?,
        messages: number(row, "messages")?,
    })
}

fn number(row: &SqliteRow, column: &str) -> sqlx::Result<u64> {
    Ok(row.try_get::<i64, _>(column)?.max(0) as u64)
}

/// The state with this code.
pub(super) fn state_of(code: &str) -> Option<State> {
    [State::Live, State::Finished, State::Recovered].into_iter().find(|state| state.code() == code)
}

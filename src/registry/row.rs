//! Converts a row of the call log to the columns of a database and back. The columns are the same in SQLite and
//! MySQL.

use sqlx::query::Query;
use sqlx::{Database, Encode, FromRow, Row as _, Type};

use super::tools::{self, ToolUse};
use crate::call::ledger::{self, Bill};
use crate::number::CallerNumber;
use crate::sqlite::cut;
use crate::units::{MicroUsd, Milliseconds};

/// The longest text in a row, in bytes. MySQL rejects longer texts, and a smaller value would cut model and agent
/// names.
const TEXT_BYTES: usize = 255;
/// The longest id, in bytes. An id is part of keys, whose size is limited. Asterisk's ids have at most 149 bytes.
const ID_BYTES: usize = 160;

/// The largest figure in a row, one million dollars as a cost: more than any call costs. The sum over a million calls still fits
/// into a column. Without this bound, one call of a server that counts wrong would make the sums over all calls overflow, and
/// both databases report an overflow as an error.
const MOST: i64 = 1_000_000_000_000;

/// One stay of a caller in the application. A caller who returns, after a crash of the daemon or through the
/// dialplan, has another row with the same `call_id`. A caller of another Asterisk may have the same `call_id` as
/// well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// The key, which is unique across all machines. See [`row_id`].
    pub row_id: String,
    /// Asterisk's unique id of the caller's channel.
    pub call_id: String,
    /// The id of the recording, `{YYYYMMDD_HHMMSS}_{call_id}`. `None` if nothing is recorded.
    pub recording_id: Option<String>,
    /// The name of the machine on which the daemon runs.
    pub host: String,
    /// The caller's number. Empty if it is withheld, unknown or erased.
    pub caller: CallerNumber,
    /// The number that the caller dialled. Empty if it is unknown or erased.
    pub called: String,
    /// Whether the numbers were erased. An erased number is never written again.
    pub erased: bool,
    /// The model that served the call.
    pub model: String,
    /// The name of the agent that served the call.
    pub agent: String,
    /// The version of the agent: the first hexadecimal digits of the hash of its files. Empty if no files describe the agent.
    pub agent_version: String,
    /// When the caller arrived, in UTC microseconds since 1970, like all times of this type.
    pub offered_us: i64,
    /// When the call was answered.
    pub answered_us: Option<i64>,
    /// When the caller first heard the assistant.
    pub first_audio_us: Option<i64>,
    /// When the call ended. `None` while the call is running, and after a crash.
    pub ended_us: Option<i64>,
    /// How long the call lasted. `None` while the call is running, and after a crash.
    pub duration: Option<Milliseconds>,
    /// Why the call ended, as a code of [`EndReason`](crate::end_reason::EndReason). `None` while the call is running.
    pub end_reason: Option<String>,
    /// The number of answers that the assistant gave.
    pub turns: u64,
    /// How many times the caller interrupted the assistant.
    pub interruptions: u64,
    /// The time from the caller's arrival to the first word that the caller heard.
    pub greeting: Option<Milliseconds>,
    /// The median of the call's response times. A response time lasts from the caller's last word to
    /// the assistant's first.
    pub turn_p50: Option<Milliseconds>,
    /// The 95th percentile of the call's response times.
    pub turn_p95: Option<Milliseconds>,
    /// The tokens that the call used; all zero if the call had no session with the model. `None` if the usage is
    /// unknown.
    pub tokens: Option<Tokens>,
    /// The cost of the call. `None` if the cost is unknown.
    pub cost: Option<MicroUsd>,
    /// The tools that were carried out, in the order in which they ended. Empty if they were erased.
    pub tools: Vec<ToolUse>,
}

/// The tokens of a call, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Text tokens of the input, including cached ones.
    pub text_in: u64,
    /// Audio tokens of the input, including cached ones.
    pub audio_in: u64,
    /// Cached text tokens of the input.
    pub cached_text_in: u64,
    /// Cached audio tokens of the input.
    pub cached_audio_in: u64,
    /// Text tokens of the output.
    pub text_out: u64,
    /// Audio tokens of the output.
    pub audio_out: u64,
    /// Whether the daemon estimated a part of these numbers because the server did not report it.
    pub estimated: bool,
}

impl From<&Bill> for Tokens {
    fn from(bill: &Bill) -> Self {
        let ledger::Tokens { text_in, audio_in, cached_text_in, cached_audio_in, text_out, audio_out } =
            bill.tokens();
        let estimated = bill.estimated;
        Self { text_in, audio_in, cached_text_in, cached_audio_in, text_out, audio_out, estimated }
    }
}

/// Makes the key of a row for a caller who arrived at this time: a UUID of version 7 (RFC 9562, section 5.7). Such
/// keys sort by time, so rows of the same time are near each other in the database. `chance` holds two random
/// numbers.
#[must_use]
pub fn row_id(offered_us: i64, chance: [u64; 2]) -> String {
    let ms = offered_us.max(0) as u64 / 1_000;
    let [first, second] = chance;
    format!(
        "{:08x}-{:04x}-7{:03x}-{:04x}-{:012x}",
        (ms >> 16) & 0xFFFF_FFFF,
        ms & 0xFFFF,
        first & 0xFFF,
        // The first two bits state the variant of the UUID.
        0x8000 | (first >> 12) & 0x3FFF,
        second & 0xFFFF_FFFF_FFFF,
    )
}

/// All columns that are written, in the order of [`Row::values`].
pub(super) const COLUMNS: [&str; 31] = [
    "row_id",
    "call_id",
    "recording_id",
    "host",
    "caller",
    "caller_key",
    "called",
    "model",
    "agent",
    "agent_version",
    "offered_us",
    "answered_us",
    "first_audio_us",
    "ended_us",
    "duration_ms",
    "end_reason",
    "turns",
    "interruptions",
    "greeting_ms",
    "turn_p50_ms",
    "turn_p95_ms",
    "text_in",
    "audio_in",
    "cached_text_in",
    "cached_audio_in",
    "text_out",
    "audio_out",
    "estimated",
    "cost_micro_usd",
    "tools",
    "erased",
];

/// The columns that hold phone numbers, or words of the call in which there may be some.
pub(super) const PERSONAL: [&str; 4] = ["caller", "caller_key", "called", "tools"];

/// The statement `INSERT INTO calls` with all columns and one `?` for each. `more` adds one column and its SQL
/// expression.
pub(super) fn insert(more: Option<(&str, &str)>) -> String {
    let (mut columns, mut values) = (COLUMNS.to_vec(), ["?"; COLUMNS.len()].to_vec());
    if let Some((column, value)) = more {
        columns.push(column);
        values.push(value);
    }
    format!("INSERT INTO calls ({}) VALUES ({})", columns.join(", "), values.join(", "))
}

/// A value that is bound to a `?`.
#[derive(Clone)]
pub(super) enum Value {
    Text(Option<String>),
    Integer(Option<i64>),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(Some(number))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

/// Binds the values to the `?` of a query, in order.
pub(super) fn bind<'q, D: Database>(
    mut query: Query<'q, D, D::Arguments>,
    values: &[Value],
) -> Query<'q, D, D::Arguments>
where
    Option<String>: Encode<'q, D> + Type<D>,
    Option<i64>: Encode<'q, D> + Type<D>,
{
    for value in values {
        query = match value {
            Value::Text(text) => query.bind(text.clone()),
            Value::Integer(number) => query.bind(*number),
        };
    }
    query
}

/// A row of either database, whose cells are read by the name of their column.
pub(super) trait Cells: sqlx::Row {
    fn integer(&self, column: &str) -> sqlx::Result<Option<i64>>;
    fn text(&self, column: &str) -> sqlx::Result<Option<String>>;
}

macro_rules! cells {
    ($($row:ty),*) => { $(
        impl Cells for $row {
            fn integer(&self, column: &str) -> sqlx::Result<Option<i64>> {
                self.try_get(column)
            }

            fn text(&self, column: &str) -> sqlx::Result<Option<String>> {
                self.try_get(column)
            }
        }
    )* };
}

cells!(sqlx::sqlite::SqliteRow, sqlx::mysql::MySqlRow);

impl Row {
    /// The values of the row's columns, in the order of [`COLUMNS`].
    pub(super) fn values(&self) -> Vec<Value> {
        let text = |text: &str| Value::Text(Some(cut(text, TEXT_BYTES)));
        let personal = |value: &str| text(if self.erased { "" } else { value });
        let id = |id: &str| cut(id, ID_BYTES);
        let number = |number: u64| i64::try_from(number).unwrap_or(MOST).min(MOST);
        let known = |value: Option<u64>| Value::Integer(value.map(number));
        let time = |value: Option<Milliseconds>| known(value.map(Milliseconds::get));
        let tokens = |kind: fn(&Tokens) -> u64| known(self.tokens.as_ref().map(kind));
        vec![
            text(&self.row_id),
            id(&self.call_id).into(),
            Value::Text(self.recording_id.as_deref().map(id)),
            text(&self.host),
            personal(self.caller.expose()),
            personal(&self.caller.key()),
            personal(&self.called),
            text(&self.model),
            text(&self.agent),
            text(&self.agent_version),
            self.offered_us.into(),
            Value::Integer(self.answered_us),
            Value::Integer(self.first_audio_us),
            Value::Integer(self.ended_us),
            time(self.duration),
            Value::Text(self.end_reason.as_deref().map(|reason| cut(reason, 64))),
            number(self.turns).into(),
            number(self.interruptions).into(),
            time(self.greeting),
            time(self.turn_p50),
            time(self.turn_p95),
            tokens(|tokens| tokens.text_in),
            tokens(|tokens| tokens.audio_in),
            tokens(|tokens| tokens.cached_text_in),
            tokens(|tokens| tokens.cached_audio_in),
            tokens(|tokens| tokens.text_out),
            tokens(|tokens| tokens.audio_out),
            i64::from(self.tokens.is_some_and(|tokens| tokens.estimated)).into(),
            // Below 0 is what did not fit.
            known(self.cost.map(MicroUsd::get)),
            Value::Text(Some(if self.erased { String::new() } else { tools::cell(&self.tools) })),
            i64::from(self.erased).into(),
        ]
    }
}

impl<R: Cells> FromRow<'_, R> for Row {
    /// Reads a row that was selected with all `COLUMNS`.
    fn from_row(cells: &R) -> sqlx::Result<Self> {
        let text = |column| cells.text(column).map(Option::unwrap_or_default);
        let known = |column| cells.integer(column).map(|number| number.map(|number| number.max(0) as u64));
        let number = |column| known(column).map(Option::unwrap_or_default);
        let time = |column| known(column).map(|ms| ms.map(Milliseconds::new));
        let tokens = match known("text_in")? {
            None => None,
            Some(text_in) => Some(Tokens {
                text_in,
                audio_in: number("audio_in")?,
                cached_text_in: number("cached_text_in")?,
                cached_audio_in: number("cached_audio_in")?,
                text_out: number("text_out")?,
                audio_out: number("audio_out")?,
                estimated: number("estimated")? != 0,
            }),
        };
        Ok(Self {
            row_id: text("row_id")?,
            call_id: text("call_id")?,
            recording_id: cells.text("recording_id")?,
            host: text("host")?,
            caller: text("caller")?.into(),
            called: text("called")?,
            erased: cells.integer("erased")? == Some(1),
            model: text("model")?,
            agent: text("agent")?,
            agent_version: text("agent_version")?,
            offered_us: cells.integer("offered_us")?.unwrap_or_default(),
            answered_us: cells.integer("answered_us")?,
            first_audio_us: cells.integer("first_audio_us")?,
            ended_us: cells.integer("ended_us")?,
            duration: time("duration_ms")?,
            end_reason: cells.text("end_reason")?,
            turns: number("turns")?,
            interruptions: number("interruptions")?,
            greeting: time("greeting_ms")?,
            turn_p50: time("turn_p50_ms")?,
            turn_p95: time("turn_p95_ms")?,
            tokens,
            cost: known("cost_micro_usd")?.map(MicroUsd::new),
            tools: tools::read(cells.text("tools")?.as_deref()),
        })
    }
}

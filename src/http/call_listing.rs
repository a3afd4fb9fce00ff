//! Calls as the API shows them, and the parameters of the list of calls.

use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::csv::Format;
use super::listing::{after, limit, sought, span, when};
use super::problem::Problem;
use crate::number::{self, CallerNumber, CountryCode};
use crate::registry::{CURSOR, Filter, Row, Tokens, ToolUse};
use crate::units::{MicroUsd, Milliseconds};

/// The longest text of a filter, in characters. The columns of the database hold 255, so a longer text can match
/// nothing.
const TEXT_CHARS: usize = 255;
/// The longest call id that can be searched for, in characters. The column of the database holds 160.
const ID_CHARS: usize = 160;

/// One stay of a caller with the assistant. A caller who returns to the assistant in the same call has another stay.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Call {
    /// Asterisk's unique id of the caller's channel. Several stays may have the same id.
    #[schema(example = "1795180048.12")]
    id: String,
    /// The id of the recording. Null if nothing of the call is recorded.
    #[schema(example = "20251020_143025_1795180048.12")]
    recording_id: Option<String>,
    /// The name of the machine that served the call.
    host: String,
    /// The caller's number. Empty if the caller withheld it or if it was erased.
    #[serde(serialize_with = "number::expose")]
    #[schema(value_type = String, example = "+573001234567")]
    caller: CallerNumber,
    /// The number that the caller dialled. Empty if it is unknown or was erased.
    called: String,
    /// The model that served the call. Empty if the daemon did not accept the call.
    model: String,
    /// The name of the agent that served the call. Empty if the daemon did not accept the call.
    agent: String,
    /// The version of this agent: the first hexadecimal digits of the hash of its files. Empty if no files describe the
    /// agent, and if the call is older than this field.
    #[schema(example = "3f9a2c01b7de")]
    agent_version: String,
    /// When the caller arrived, in UTC.
    #[schema(example = "2025-10-20T14:30:25.123456Z")]
    offered_at: String,
    /// When the call was answered, in UTC. Null if the call was not answered. This field and those that follow are
    /// null as well if the value is unknown.
    answered_at: Option<String>,
    /// When the caller first heard the assistant, in UTC.
    first_audio_at: Option<String>,
    /// When the call ended, in UTC. Null while the call is running, and if a crash of the daemon cut it off.
    ended_at: Option<String>,
    /// How long the call lasted, in seconds. Null while the call is running, and if a crash of the daemon cut it off.
    #[schema(example = 285.5)]
    duration_seconds: Option<f64>,
    /// The reason why the call ended. Null while the call is running.
    #[schema(example = "caller_hung_up")]
    end_reason: Option<String>,
    /// The number of answers that the assistant gave.
    turns: u64,
    /// How many times the caller interrupted the assistant.
    interruptions: u64,
    /// The time from the caller's arrival to the first word that the caller heard, in milliseconds.
    greeting_ms: Option<u64>,
    /// The median of the call's response times, in milliseconds. A response time lasts from the caller's last word to
    /// the assistant's first.
    turn_p50_ms: Option<u64>,
    /// The 95th percentile of the call's response times, in milliseconds.
    turn_p95_ms: Option<u64>,
    /// The tokens that the call used; those so far while it is running; those that were known if a crash of the daemon cut it off.
    /// Null if the usage is unknown.
    tokens: Option<TokenCounts>,
    /// The cost of the call in US dollars, as far as `tokens` tells. Null if the cost is unknown, which does not mean that the call was free.
    #[schema(example = 0.04321)]
    cost_usd: Option<f64>,
    /// The tools of the agent that were carried out, in the order in which they ended. Empty if they were erased.
    tools: Vec<ToolCall>,
    /// Whether the numbers of the caller and the callee were erased. `caller` and `called` are then empty.
    erased: bool,
    /// The unique key of this stay. No stay on any machine has the same key. `/calls/{id}` also accepts this key.
    #[schema(example = "019a0282-9ae3-7c1f-8d2b-6f1e0a9b3c4d")]
    row_id: String,
}

/// The columns of the CSV table. New columns are added at the end, so that programs that read columns by position
/// still work.
pub(super) const COLUMNS: [&str; 30] = [
    "id",
    "recording_id",
    "host",
    "caller",
    "called",
    "model",
    "agent",
    "offered_at",
    "answered_at",
    "first_audio_at",
    "ended_at",
    "duration_seconds",
    "end_reason",
    "turns",
    "interruptions",
    "greeting_ms",
    "turn_p50_ms",
    "turn_p95_ms",
    "tokens/text_in",
    "tokens/audio_in",
    "tokens/cached_text_in",
    "tokens/cached_audio_in",
    "tokens/text_out",
    "tokens/audio_out",
    "tokens/estimated",
    "cost_usd",
    "erased",
    "row_id",
    "agent_version",
    "tools",
];

/// A call of a tool.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ToolCall {
    /// When the model called, in milliseconds since the caller arrived.
    at_ms: u64,
    /// The name of the tool.
    #[schema(example = "book")]
    name: String,
    /// `ok`, or the code of the error that the model was told. `unknown`: it is not known whether it was done.
    #[schema(example = "ok")]
    outcome: String,
    /// How long the tool took, in milliseconds.
    ms: u64,
    /// The number of requests that were made.
    attempts: u32,
    /// The number of the caller's turn in which they agreed. Null if they did not have to.
    agreed_in_turn: Option<u64>,
    /// The arguments, with private values masked. Null if the call log may hold no words of the call: `RECORD` has no
    /// transcript, or recordings are encrypted.
    #[schema(value_type = Option<Object>)]
    arguments: Option<Value>,
    /// What the model read. Null as with `arguments`.
    #[schema(value_type = Option<Object>)]
    answer: Option<Value>,
}

impl From<ToolUse> for ToolCall {
    fn from(used: ToolUse) -> Self {
        let ToolUse { at_ms, name, outcome, ms, attempts, agreed_in_turn, arguments, answer } = used;
        Self { at_ms, name, outcome, ms, attempts, agreed_in_turn, arguments, answer }
    }
}

/// The tokens of a call, by kind.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenCounts {
    /// Text tokens of the input, including cached ones.
    text_in: u64,
    /// Audio tokens of the input, including cached ones.
    audio_in: u64,
    /// Cached text tokens of the input.
    cached_text_in: u64,
    /// Cached audio tokens of the input.
    cached_audio_in: u64,
    /// Text tokens of the output.
    text_out: u64,
    /// Audio tokens of the output.
    audio_out: u64,
    /// Whether the daemon estimated a part of these numbers because OpenAI did not report it.
    estimated: bool,
}

impl From<Tokens> for TokenCounts {
    fn from(tokens: Tokens) -> Self {
        let Tokens { text_in, audio_in, cached_text_in, cached_audio_in, text_out, audio_out, estimated } =
            tokens;
        Self { text_in, audio_in, cached_text_in, cached_audio_in, text_out, audio_out, estimated }
    }
}

impl From<Row> for Call {
    fn from(row: Row) -> Self {
        Self {
            id: row.call_id,
            recording_id: row.recording_id,
            host: row.host,
            caller: row.caller,
            called: row.called,
            model: row.model,
            agent: row.agent,
            agent_version: row.agent_version,
            offered_at: utc(row.offered_us),
            answered_at: row.answered_us.map(utc),
            first_audio_at: row.first_audio_us.map(utc),
            ended_at: row.ended_us.map(utc),
            duration_seconds: row.duration.map(Milliseconds::seconds),
            end_reason: row.end_reason,
            turns: row.turns,
            interruptions: row.interruptions,
            greeting_ms: row.greeting.map(Milliseconds::get),
            turn_p50_ms: row.turn_p50.map(Milliseconds::get),
            turn_p95_ms: row.turn_p95.map(Milliseconds::get),
            tokens: row.tokens.map(TokenCounts::from),
            cost_usd: row.cost.map(MicroUsd::usd),
            tools: row.tools.into_iter().map(ToolCall::from).collect(),
            erased: row.erased,
            row_id: row.row_id,
        }
    }
}

fn utc(us: i64) -> String {
    let at = DateTime::from_timestamp_micros(us).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// One page of calls, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Calls {
    /// The calls of this page.
    pub(super) calls: Vec<Call>,
    /// The value of `cursor` for the next page. Null on the last page.
    pub(super) next_cursor: Option<String>,
}

/// The parameters of a list of calls.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CallsQuery {
    /// The maximum number of calls on a page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page, or the `Next-Cursor` header of a CSV table. Without it, the list
    /// begins with the newest call.
    #[param(pattern = "^[0-9]{1,18}~[!-~]{1,255}$")]
    cursor: Option<String>,
    /// Only calls that arrived at this time or later. The value is a date, a local time of the machine, or a time
    /// with a UTC offset.
    #[param(schema_with = when)]
    from: Option<String>,
    /// Only calls that arrived at this time or earlier, in the same formats as `from`. A date includes the whole day.
    #[param(schema_with = when)]
    to: Option<String>,
    /// Only the stays of the call with this Asterisk unique id.
    #[param(max_length = 160, example = "1795180048.12")]
    id: Option<String>,
    /// Only calls from this number. Spaces and punctuation do not matter. With `COUNTRY_CODE` set, the national and
    /// the international form of a number are the same; without it, the last nine digits decide.
    #[param(value_type = Option<String>, max_length = 64, example = "+573001234567")]
    caller: Option<CallerNumber>,
    /// Only calls that ended for this reason.
    #[param(max_length = 255, example = "transferred")]
    end_reason: Option<String>,
    /// Only calls that this agent served.
    #[param(max_length = 255)]
    agent: Option<String>,
    /// The format of the answer. Without this parameter, the `Accept` header decides.
    #[param(inline)]
    pub(super) format: Option<Format>,
}

impl CallsQuery {
    /// Translates the parameters into a filter for the call log, or says which parameter is wrong.
    pub(super) fn filter(self, country: Option<&CountryCode>) -> Result<Filter, Problem> {
        let limit = limit(self.limit)?;
        let (from_us, to_us) = span(self.from.as_deref(), self.to.as_deref())?;
        let caller = self.caller.map(|number| sought(number.expose(), country)).transpose()?;
        if self.id.as_ref().is_some_and(|id| id.chars().count() > ID_CHARS) {
            return Err(Problem::bad_parameter(format!("id has at most {ID_CHARS} characters")));
        }
        let too_long =
            |text: &Option<String>| text.as_ref().is_some_and(|text| text.chars().count() > TEXT_CHARS);
        if too_long(&self.end_reason) || too_long(&self.agent) {
            return Err(Problem::bad_parameter(format!(
                "end_reason and agent have at most {TEXT_CHARS} characters"
            )));
        }
        Ok(Filter {
            from_us,
            to_us,
            caller,
            call_id: self.id,
            end_reason: self.end_reason,
            agent: self.agent,
            after: after(self.cursor.as_deref(), &CURSOR)?,
            limit,
        })
    }
}

/// There is no such call. The same answer is given for a text that is not a valid id.
pub(super) fn no_such_call() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_call", "there is no such call")
}

/// The path parameter of the routes of one call, for the OpenAPI document only. [`CallId`] parses the parameter.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "the struct only documents the path parameter, which CallId parses")]
pub(super) struct CallPath {
    /// Asterisk's unique id of the caller's channel, which selects the newest stay of the call, or the `row_id` of
    /// one stay.
    #[param(pattern = "^[!-.0-~]{1,255}$")]
    id: String,
}

/// Extracts the call's id from the path. A path that holds no valid id becomes a problem with status 404.
pub(super) struct CallId(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for CallId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(id)| Self(id)).map_err(|_| no_such_call())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_column_for_all_that_json_has() {
        let row = Row { tokens: Some(Tokens::default()), ..Row::default() };
        let call = serde_json::to_value(Call::from(row)).unwrap();
        let keys = |value: &Value, before: &str| {
            value.as_object().unwrap().keys().map(|key| format!("{before}{key}")).collect::<Vec<_>>()
        };
        let mut all = keys(&call, "");
        all.retain(|key| key != "tokens");
        all.extend(keys(&call["tokens"], "tokens/"));
        all.sort();
        let mut columns = COLUMNS.to_vec();
        columns.sort_unstable();
        assert_eq!(all, columns);
    }
}

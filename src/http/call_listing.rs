//! Calls as the API shows them, and what a list of them may be asked.

use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::csv::Format;
use super::listing::{limit, sought, span, when};
use super::problem::Problem;
use crate::number::CountryCode;
use crate::registry::{Cursor, Filter, Row, Tokens};

/// Longest text that is sought: what a column holds.
const TEXT_CHARS: usize = 255;
/// Longest id of a call that is sought.
const ID_CHARS: usize = 160;

/// A caller's stay with the assistant. A caller who comes back in the same call has another.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Call {
    /// Asterisk's unique id of the caller's channel. Several stays may have the same.
    #[schema(example = "1795180048.12")]
    id: String,
    /// Its recording; null if nothing of it is recorded.
    #[schema(example = "20251020_143025_1795180048.12")]
    recording_id: Option<String>,
    /// The machine that served it.
    host: String,
    /// The caller's number; empty if withheld, or erased.
    #[schema(example = "+573001234567")]
    caller: String,
    /// The number dialled; empty if unknown, or erased.
    called: String,
    /// The model; empty where the caller was not taken.
    model: String,
    /// The agent; empty where the caller was not taken.
    agent: String,
    /// When the caller came, UTC.
    #[schema(example = "2025-10-20T14:30:25.123456Z")]
    offered_at: String,
    /// When he was answered; null if he was not, or it is not known, as in all that follows.
    answered_at: Option<String>,
    /// When he first heard the assistant.
    first_audio_at: Option<String>,
    /// When it was over; null while it runs.
    ended_at: Option<String>,
    /// How long it lasted.
    #[schema(example = 285.5)]
    duration_seconds: Option<f64>,
    /// Why it ended; null while it runs.
    #[schema(example = "caller_hung_up")]
    end_reason: Option<String>,
    /// Answers of the assistant.
    turns: u64,
    /// How often the caller cut it off.
    interruptions: u64,
    /// From the caller's arrival to the first word.
    greeting_ms: Option<u64>,
    /// From the caller's last word to the assistant's first: the median of the call.
    turn_p50_ms: Option<u64>,
    /// The same: 95 of 100 were no longer.
    turn_p95_ms: Option<u64>,
    /// What it used of the model.
    tokens: Option<TokenCounts>,
    /// What that cost; null where it is not known, which is not nothing.
    #[schema(example = 0.04321)]
    cost_usd: Option<f64>,
    /// Whether who called whom was erased: then `caller` and `called` are empty.
    erased: bool,
    /// The key of this stay: no other has the same, on whatever machine. `/calls/{id}` takes it too.
    #[schema(example = "019a0282-9ae3-7c1f-8d2b-6f1e0a9b3c4d")]
    row_id: String,
}

/// The columns of the table. New ones are at the end, so that who reads them by their place is not disturbed.
pub(super) const COLUMNS: [&str; 28] = [
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
];

/// Tokens by kind.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenCounts {
    /// Text that went in, the cached among it.
    text_in: u64,
    /// Sound that went in, the cached among it.
    audio_in: u64,
    /// Text that went in and was cached.
    cached_text_in: u64,
    /// Sound that went in and was cached.
    cached_audio_in: u64,
    /// Text that came out.
    text_out: u64,
    /// Sound that came out.
    audio_out: u64,
    /// Whether some of it is our own count rather than the server's.
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
            offered_at: utc(row.offered_us),
            answered_at: row.answered_us.map(utc),
            first_audio_at: row.first_audio_us.map(utc),
            ended_at: row.ended_us.map(utc),
            duration_seconds: row.duration_ms.map(|ms| ms as f64 / 1_000.0),
            end_reason: row.end_reason,
            turns: row.turns,
            interruptions: row.interruptions,
            greeting_ms: row.greeting_ms,
            turn_p50_ms: row.turn_p50_ms,
            turn_p95_ms: row.turn_p95_ms,
            tokens: row.tokens.map(TokenCounts::from),
            cost_usd: row.cost_micro_usd.map(usd),
            erased: row.erased,
            row_id: row.row_id,
        }
    }
}

/// Dollars.
pub(super) fn usd(micro: i64) -> f64 {
    micro as f64 / 1_000_000.0
}

fn utc(us: i64) -> String {
    let at = DateTime::from_timestamp_micros(us).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Some calls, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Calls {
    /// They.
    pub(super) calls: Vec<Call>,
    /// What to ask for as `cursor` to get those that follow; null on the last page.
    pub(super) next_cursor: Option<String>,
}

/// What a list may be asked.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CallsQuery {
    /// Calls on the page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before; of a table the header `Next-Cursor`.
    #[param(pattern = "^[0-9]{1,18}~[!-~]{1,255}$")]
    cursor: Option<String>,
    /// Calls that came then or later: a date, local time of the machine, or a time with its UTC offset.
    #[param(schema_with = when)]
    from: Option<String>,
    /// Calls that came then or earlier; a date stands for its whole day.
    #[param(schema_with = when)]
    to: Option<String>,
    /// The stays of the call with this id.
    #[param(max_length = 160, example = "1795180048.12")]
    id: Option<String>,
    /// Calls of this number, however it is written.
    #[param(max_length = 64, example = "+573001234567")]
    caller: Option<String>,
    /// Calls that ended for this reason.
    #[param(max_length = 255, example = "transferred")]
    end_reason: Option<String>,
    /// Calls of this agent.
    #[param(max_length = 255)]
    agent: Option<String>,
    /// JSON, or a table; without it `Accept` decides.
    #[param(inline)]
    pub(super) format: Option<Format>,
}

impl CallsQuery {
    /// What it asks of the log.
    pub(super) fn filter(self, country: Option<&CountryCode>) -> Result<Filter, Problem> {
        let limit = limit(self.limit)?;
        let (from_us, to_us) = span(self.from.as_deref(), self.to.as_deref())?;
        let caller = self.caller.map(|number| sought(&number, country)).transpose()?;
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
        let after = self.cursor.map(|text| text.parse::<Cursor>()).transpose();
        Ok(Filter {
            from_us,
            to_us,
            caller,
            call_id: self.id,
            end_reason: self.end_reason,
            agent: self.agent,
            after: after.map_err(|error| Problem::bad_parameter(error.to_string()))?,
            limit,
        })
    }
}

/// No such call, which is also said of whatever is no id.
pub(super) fn no_such_call() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_call", "there is no such call")
}

/// The call of a route, for the document; [`CallId`] reads it.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes the path's parameter, which CallId reads")]
pub(super) struct CallPath {
    /// The call: Asterisk's unique id of the caller's channel, of whose stays the newest is meant; or the `row_id` of one.
    #[param(pattern = "^[!-.0-~]{1,255}$")]
    id: String,
}

/// The id in the path. What cannot be one is no call.
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
        let keys = |value: &serde_json::Value, before: &str| {
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

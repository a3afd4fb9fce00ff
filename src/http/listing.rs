//! Recordings as the API shows them, and what a list may be asked.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use crate::number::{CountryCode, Sought};
use crate::recordings::index::{Cursor, Filter, Page, utc_ms};
use crate::recordings::{Facts, RecordingId, State};

/// Recordings on a page, unless asked for otherwise.
const LIMIT: u32 = 50;
/// Most recordings on a page: about 200 KB of JSON.
const MAX_LIMIT: u32 = 500;
/// Longest number that is sought. E.164 has 15 digits; a SIP account may have a longer name.
const NUMBER_CHARS: usize = 64;
/// One day, less a millisecond.
const REST_OF_DAY_MS: i64 = 86_400_000 - 1;

/// A recording.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Recording {
    /// `{YYYYMMDD_HHMMSS}_{call_id}`
    #[schema(example = "20251020_143025_1795180048.12")]
    id: String,
    /// Asterisk's unique id of the call.
    #[schema(example = "1795180048.12")]
    call_id: String,
    /// Whether its call is running, ended in order, or was cut off by a crash.
    state: Standing,
    /// When the call began, local time of the machine.
    #[schema(example = "2025-10-20T14:30:25.123456")]
    start_time: String,
    /// What that is ahead of UTC.
    #[schema(example = "-05:00")]
    utc_offset: Option<String>,
    /// How long the call lasted. Null while it runs, and where only an encrypted file knows.
    #[schema(example = 285.5)]
    duration_seconds: Option<f64>,
    /// The caller's number; empty if withheld. Null where only an encrypted file knows it, like all that follow.
    #[schema(example = "+573001234567")]
    caller: Option<String>,
    /// The number dialled.
    called: Option<String>,
    /// The model that answered.
    model: Option<String>,
    /// The agent that answered.
    agent: Option<String>,
    /// Why the call ended; null while it runs.
    #[schema(example = "caller_hung_up")]
    end_reason: Option<String>,
    /// How often the caller cut the assistant off.
    interruptions: Option<u64>,
    /// Utterances.
    total_messages: Option<u64>,
    /// Whether its files are encrypted.
    encrypted: bool,
    /// What its files take on disk.
    bytes: u64,
}

/// Where a recording stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Standing {
    /// Its call is running.
    Live,
    /// The call ended and everything is there.
    Finished,
    /// A crash ended it: everything up to then is there.
    Recovered,
}

impl From<&Facts> for Recording {
    fn from(facts: &Facts) -> Self {
        let told = facts.told.as_ref();
        let ended = facts.state != State::Live;
        let started = told.map_or_else(|| facts.id.started(), |told| told.started);
        Self {
            id: facts.id.to_string(),
            call_id: facts.id.call_id().to_owned(),
            state: match facts.state {
                State::Live => Standing::Live,
                State::Finished => Standing::Finished,
                State::Recovered => Standing::Recovered,
            },
            start_time: started.format("%Y-%m-%dT%H:%M:%S%.6f").to_string(),
            utc_offset: told.and_then(|told| told.utc_offset).map(|offset| offset.to_string()),
            duration_seconds: told.filter(|_| ended).map(|told| told.duration_ms as f64 / 1000.0),
            caller: told.map(|told| told.caller.clone()),
            called: told.map(|told| told.called.clone()),
            model: told.map(|told| told.model.clone()),
            agent: told.map(|told| told.agent.clone()),
            end_reason: told.filter(|_| ended).map(|told| told.end_reason.clone()),
            interruptions: told.map(|told| told.interruptions),
            total_messages: told.map(|told| told.messages),
            encrypted: facts.sealed,
            bytes: facts.bytes,
        }
    }
}

/// Some recordings, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct List {
    /// They.
    recordings: Vec<Recording>,
    /// What to ask for as `cursor` to get those that follow; null on the last page.
    next_cursor: Option<String>,
}

impl From<&Page> for List {
    fn from(page: &Page) -> Self {
        Self {
            recordings: page.recordings.iter().map(Recording::from).collect(),
            next_cursor: page.next.as_ref().map(ToString::to_string),
        }
    }
}

/// What a list may be asked.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Recordings on the page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(pattern = "^[0-9]{1,15}~[A-Za-z0-9._-]{1,160}$")]
    cursor: Option<String>,
    /// Calls that began then or later: a date, local time of the machine, or a time with its UTC offset.
    #[param(schema_with = when)]
    from: Option<String>,
    /// Calls that began then or earlier; a date stands for its whole day.
    #[param(schema_with = when)]
    to: Option<String>,
    /// Calls of this number, however it is written.
    #[param(max_length = 64, example = "+573001234567")]
    caller: Option<String>,
}

impl ListQuery {
    /// What it asks of the index.
    pub(super) fn filter(self, country: Option<&CountryCode>) -> Result<Filter, Problem> {
        let limit = limit(self.limit)?;
        let caller = self.caller.map(|number| sought(&number, country)).transpose()?;
        let after = self.cursor.map(|text| text.parse::<Cursor>()).transpose();
        Ok(Filter {
            from_ms: time(self.from.as_deref(), false, "from")?.unwrap_or(i64::MIN),
            to_ms: time(self.to.as_deref(), true, "to")?.unwrap_or(i64::MAX),
            caller,
            after: after.map_err(|error| Problem::bad_parameter(error.to_string()))?,
            limit,
        })
    }
}

/// The number that is sought. One that is empty is that of callers who withheld theirs.
pub(super) fn sought(number: &str, country: Option<&CountryCode>) -> Result<Sought, Problem> {
    if number.chars().count() > NUMBER_CHARS {
        return Err(Problem::bad_parameter(format!("caller has at most {NUMBER_CHARS} characters")));
    }
    Ok(Sought::new(number, country).unwrap_or_else(Sought::none))
}

/// The limit asked for, or the usual one.
pub(super) fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    let limit = asked.unwrap_or(LIMIT);
    let fits = (1..=MAX_LIMIT).contains(&limit);
    fits.then_some(limit).ok_or_else(|| Problem::bad_parameter(format!("limit is 1 to {MAX_LIMIT}")))
}

/// `from` and `to`, both included, in UTC microseconds.
pub(super) fn span(from: Option<&str>, to: Option<&str>) -> Result<(i64, i64), Problem> {
    let us = |ms: i64| ms.saturating_mul(1_000);
    let from = time(from, false, "from")?.map_or(i64::MIN, us);
    // To the end of its millisecond.
    Ok((from, time(to, true, "to")?.map_or(i64::MAX, |ms| us(ms).saturating_add(999))))
}

/// A time of the query in UTC milliseconds, or what is wrong with it.
fn time(text: Option<&str>, ends_day: bool, name: &str) -> Result<Option<i64>, Problem> {
    let wrong = || {
        Problem::bad_parameter(format!(
            "{name} is 2025-10-20, 2025-10-20T14:30:00 or 2025-10-20T14:30:00-05:00"
        ))
    };
    text.map(|text| instant(text, ends_day).ok_or_else(wrong)).transpose()
}

/// A time of the query in UTC milliseconds.
fn instant(text: &str, ends_day: bool) -> Option<i64> {
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        let begin = utc_ms(date.and_hms_opt(0, 0, 0)?, None);
        return Some(if ends_day { begin + REST_OF_DAY_MS } else { begin });
    }
    // A plus sign that was not escaped arrives as a space.
    let text = text.replace(' ', "+");
    if let Ok(at) = DateTime::parse_from_rfc3339(&text) {
        return Some(at.timestamp_millis());
    }
    NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f").ok().map(|local| utc_ms(local, None))
}

pub(super) fn when() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, OneOfBuilder, SchemaFormat, Type};
    let text = |format| {
        let format = SchemaFormat::KnownFormat(format);
        ObjectBuilder::new().schema_type(Type::String).format(Some(format)).build()
    };
    let one_of = OneOfBuilder::new().item(text(KnownFormat::Date)).item(text(KnownFormat::DateTime));
    utoipa::openapi::Schema::OneOf(one_of.build()).into()
}

/// Which voice of the sound.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AudioQuery {
    /// One voice, mono, or both: caller left, assistant right.
    #[serde(default)]
    #[param(inline, required = false)]
    pub(super) channel: Channel,
}

/// A voice, or both.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Channel {
    /// The caller.
    Caller,
    /// The assistant, as it was heard.
    Assistant,
    /// Both.
    #[default]
    Both,
}

/// The recording of a route, for the document; [`Id`] reads it.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes the path's parameter, which Id reads")]
pub(super) struct IdPath {
    /// The recording: `{YYYYMMDD_HHMMSS}_{call_id}`.
    #[param(pattern = "^[0-9]{8}_[0-9]{6}_[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$")]
    id: String,
}

/// The headers of a route that answers with a part, for the document; `conditional` and `range` read them.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it describes headers, which `conditional` and `range` read")]
pub(super) struct PartHeaders {
    /// One range of bytes.
    #[param(nullable = false, rename = "Range", example = "bytes=0-65535")]
    range: Option<String>,
    /// The ETag or date the range is meant for; otherwise all of it is sent.
    #[param(nullable = false, rename = "If-Range")]
    if_range: Option<String>,
    /// ETags: another one is 412.
    #[param(nullable = false, rename = "If-Match")]
    if_match: Option<String>,
    /// ETags: one of these is 304.
    #[param(nullable = false, rename = "If-None-Match")]
    if_none_match: Option<String>,
    /// A date: changed since then is 412.
    #[param(nullable = false, rename = "If-Unmodified-Since")]
    if_unmodified_since: Option<String>,
    /// A date: not changed since then is 304.
    #[param(nullable = false, rename = "If-Modified-Since")]
    if_modified_since: Option<String>,
}

/// Bytes of a body that is no text, for the document.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "it describes a body, which `audio` sends")]
pub(super) struct Bytes(Vec<u8>);

/// The query of a route that takes none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoQuery {}

/// The query, or a problem.
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => Err(Problem::bad_parameter(rejection.body_text())),
        }
    }
}

/// The id in the path, which is an id and nothing else.
pub(super) struct Id(pub(super) RecordingId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let id = path.ok().and_then(|Path(text)| text.parse().ok());
        id.map(Self).ok_or_else(Problem::no_such_recording)
    }
}

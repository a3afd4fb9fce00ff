//! The recordings as the API shows them, and the parameters of the routes that list and read them.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use crate::number::{self, CallerNumber, CountryCode, Sought};
use crate::paging::{Cursor, CursorForm, Page};
use crate::recordings::index::{CURSOR, Filter, utc_ms};
use crate::recordings::{Facts, RecordingId, State};

/// Recordings on a page if the request sets no `limit`. A larger default makes the usual answer slower; a smaller one
/// makes clients fetch more pages.
const LIMIT: u32 = 50;
/// The largest `limit` of a page, which is about 200 KB of JSON. A larger value lets one request hold more memory; a
/// smaller one makes clients fetch more pages.
const MAX_LIMIT: u32 = 500;
/// The longest number that can be searched for, in characters. E.164 numbers have at most 15 digits, but the name of
/// a SIP account may be longer. A smaller value would make such names unsearchable; a larger one only costs memory.
const NUMBER_CHARS: usize = 64;
/// One day less one millisecond: the distance from the first to the last millisecond of a day.
const REST_OF_DAY_MS: i64 = 86_400_000 - 1;

/// The recording of one call.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Recording {
    /// The id of the recording, `{YYYYMMDD_HHMMSS}_{call_id}`. The time is the start of the call in the machine's
    /// local time.
    #[schema(example = "20251020_143025_1795180048.12")]
    id: String,
    /// Asterisk's unique id of the caller's channel.
    #[schema(example = "1795180048.12")]
    call_id: String,
    /// Whether the call is still running, ended normally, or was cut off by a crash.
    state: RecordingState,
    /// When the call began, in the machine's local time.
    #[schema(example = "2025-10-20T14:30:25.123456")]
    start_time: String,
    /// The UTC offset of `start_time`. Null if the offset is unknown.
    #[schema(example = "-05:00")]
    utc_offset: Option<String>,
    /// How long the call lasted, in seconds. Null while the call is running, and if only an encrypted file holds the
    /// value.
    #[schema(example = 285.5)]
    duration_seconds: Option<f64>,
    /// The caller's number. Empty if the caller withheld it. Null if only an encrypted file holds the value; the same
    /// is true of every field from here to `total_messages`.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = Option<String>, example = "+573001234567")]
    caller: Option<CallerNumber>,
    /// The number that the caller dialled.
    called: Option<String>,
    /// The model that answered the caller.
    model: Option<String>,
    /// The name of the agent that answered the caller.
    agent: Option<String>,
    /// The reason why the call ended. Null while the call is running.
    #[schema(example = "caller_hung_up")]
    end_reason: Option<String>,
    /// How many times the caller interrupted the assistant.
    interruptions: Option<u64>,
    /// The number of utterances of the caller and the assistant together.
    total_messages: Option<u64>,
    /// Whether the files of the recording are encrypted.
    encrypted: bool,
    /// The size of the recording's files on disk, in bytes.
    bytes: u64,
}

/// The state of a recording.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum RecordingState {
    /// The call is still running.
    Live,
    /// The call ended and the recording is complete.
    Finished,
    /// A crash interrupted the recording. Everything up to the crash is available.
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
                State::Live => RecordingState::Live,
                State::Finished => RecordingState::Finished,
                State::Recovered => RecordingState::Recovered,
            },
            start_time: started.format("%Y-%m-%dT%H:%M:%S%.6f").to_string(),
            utc_offset: told.and_then(|told| told.utc_offset).map(|offset| offset.to_string()),
            duration_seconds: told.filter(|_| ended).map(|told| told.duration.seconds()),
            caller: told.map(|told| told.caller.clone()),
            called: told.map(|told| told.called.clone()),
            model: told.map(|told| told.model.clone()),
            agent: told.map(|told| told.agent.clone()),
            end_reason: told.filter(|_| ended).map(|told| told.end_reason.clone()),
            interruptions: told.map(|told| told.interruptions),
            total_messages: told.map(|told| told.messages),
            encrypted: facts.sealed,
            bytes: facts.bytes.get(),
        }
    }
}

/// One page of recordings, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct List {
    /// The recordings of this page.
    recordings: Vec<Recording>,
    /// The value of `cursor` for the next page. Null on the last page.
    next_cursor: Option<String>,
}

impl From<&Page<Facts>> for List {
    fn from(page: &Page<Facts>) -> Self {
        Self {
            recordings: page.entries.iter().map(Recording::from).collect(),
            next_cursor: page.next.as_ref().map(ToString::to_string),
        }
    }
}

/// The parameters of a list of recordings.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// The maximum number of recordings on a page.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page. Without it, the list begins with the newest recording.
    #[param(pattern = "^[0-9]{1,15}~[A-Za-z0-9._-]{1,160}$")]
    cursor: Option<String>,
    /// Only calls that began at this time or later. The value is a date, a local time of the machine, or a time with
    /// a UTC offset.
    #[param(schema_with = when)]
    from: Option<String>,
    /// Only calls that began at this time or earlier, in the same formats as `from`. A date includes the whole day.
    #[param(schema_with = when)]
    to: Option<String>,
    /// Only calls from this number. Spaces and punctuation do not matter. With `COUNTRY_CODE` set, the national and the
    /// international form of a number are the same; without it, the last nine digits decide.
    #[param(value_type = Option<String>, max_length = 64, example = "+573001234567")]
    caller: Option<CallerNumber>,
}

impl ListQuery {
    /// Translates the parameters into a filter for the index, or says which parameter is wrong.
    pub(super) fn filter(self, country: Option<&CountryCode>) -> Result<Filter, Problem> {
        let limit = limit(self.limit)?;
        let caller = self.caller.map(|number| sought(number.expose(), country)).transpose()?;
        Ok(Filter {
            from_ms: time(self.from.as_deref(), false, "from")?.unwrap_or(i64::MIN),
            to_ms: time(self.to.as_deref(), true, "to")?.unwrap_or(i64::MAX),
            caller,
            after: after(self.cursor.as_deref(), &CURSOR)?,
            limit,
        })
    }
}

/// Parses the cursor of a list.
pub(super) fn after(cursor: Option<&str>, form: &CursorForm) -> Result<Option<Cursor>, Problem> {
    let cursor = cursor.map(|text| Cursor::parse(text, form)).transpose();
    cursor.map_err(|error| Problem::bad_parameter(error.to_string()))
}

/// Serialises a caller's number, or null.
#[expect(clippy::ref_option, reason = "serde hands over a reference to the field")]
fn exposed<S: Serializer>(caller: &Option<CallerNumber>, serializer: S) -> Result<S::Ok, S::Error> {
    match caller {
        Some(caller) => number::expose(caller, serializer),
        None => serializer.serialize_none(),
    }
}

/// Parses a number to search for. An empty number finds the callers who withheld theirs.
pub(super) fn sought(number: &str, country: Option<&CountryCode>) -> Result<Sought, Problem> {
    if number.chars().count() > NUMBER_CHARS {
        return Err(Problem::bad_parameter(format!("caller has at most {NUMBER_CHARS} characters")));
    }
    Ok(Sought::new(number, country).unwrap_or_else(Sought::none))
}

/// Returns the requested limit, or the default one if there is none.
pub(super) fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    let limit = asked.unwrap_or(LIMIT);
    let fits = (1..=MAX_LIMIT).contains(&limit);
    fits.then_some(limit).ok_or_else(|| Problem::bad_parameter(format!("limit is 1 to {MAX_LIMIT}")))
}

/// Converts `from` and `to` to UTC microseconds. Both ends are included.
pub(super) fn span(from: Option<&str>, to: Option<&str>) -> Result<(i64, i64), Problem> {
    let us = |ms: i64| ms.saturating_mul(1_000);
    let from = time(from, false, "from")?.map_or(i64::MIN, us);
    // `to` includes the whole of its last millisecond.
    Ok((from, time(to, true, "to")?.map_or(i64::MAX, |ms| us(ms).saturating_add(999))))
}

/// Parses a time of the query to UTC milliseconds, or returns a problem that names the accepted formats.
fn time(text: Option<&str>, ends_day: bool, name: &str) -> Result<Option<i64>, Problem> {
    let wrong = || {
        Problem::bad_parameter(format!(
            "{name} is 2025-10-20, 2025-10-20T14:30:00 or 2025-10-20T14:30:00-05:00"
        ))
    };
    text.map(|text| instant(text, ends_day).ok_or_else(wrong)).transpose()
}

/// Parses a time of the query to UTC milliseconds. `ends_day` selects the last millisecond of a date, not the first.
fn instant(text: &str, ends_day: bool) -> Option<i64> {
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        let begin = utc_ms(date.and_hms_opt(0, 0, 0)?, None);
        return Some(if ends_day { begin + REST_OF_DAY_MS } else { begin });
    }
    // In a query, a plus sign that is not escaped arrives as a space.
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

/// The parameters of the audio of a recording.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AudioQuery {
    /// `caller` and `assistant` select one voice, as mono. `both` is stereo, with the caller on the left channel and
    /// the assistant on the right.
    #[serde(default)]
    #[param(inline, required = false)]
    pub(super) channel: Channel,
}

/// One voice of a call, or both.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Channel {
    /// The caller's voice.
    Caller,
    /// The assistant's voice, as the caller heard it.
    Assistant,
    /// Both voices, as stereo.
    #[default]
    Both,
}

/// The path parameter of the routes of one recording, for the OpenAPI document only. [`Id`] parses the parameter.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "the struct only documents the path parameter, which Id parses")]
pub(super) struct IdPath {
    /// The id of the recording, `{YYYYMMDD_HHMMSS}_{call_id}`.
    #[param(pattern = "^[0-9]{8}_[0-9]{6}_[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$")]
    id: String,
}

/// The request headers of the routes that support ranges and conditions, for the OpenAPI document only. `conditional`
/// and `range` parse the headers.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the struct only documents headers, which `conditional` and `range` parse")]
pub(super) struct PartHeaders {
    /// One range of bytes. The server answers several ranges with the whole file.
    #[param(nullable = false, rename = "Range", example = "bytes=0-65535")]
    range: Option<String>,
    /// The ETag or date of the file that `Range` refers to. If the file has changed, the server sends the whole file.
    #[param(nullable = false, rename = "If-Range")]
    if_range: Option<String>,
    /// ETags. If none of them is that of the file, the answer is 412.
    #[param(nullable = false, rename = "If-Match")]
    if_match: Option<String>,
    /// ETags. If one of them is that of the file, the answer is 304.
    #[param(nullable = false, rename = "If-None-Match")]
    if_none_match: Option<String>,
    /// A date. If the file has changed since then, the answer is 412.
    #[param(nullable = false, rename = "If-Unmodified-Since")]
    if_unmodified_since: Option<String>,
    /// A date. If the file has not changed since then, the answer is 304.
    #[param(nullable = false, rename = "If-Modified-Since")]
    if_modified_since: Option<String>,
}

/// A binary body, for the OpenAPI document only.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "the struct only documents a body, which `audio` sends")]
pub(super) struct Bytes(Vec<u8>);

/// Extracts the recording's id from the path. A path that holds no valid id becomes a problem with status 404.
pub(super) struct Id(pub(super) RecordingId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let id = path.ok().and_then(|Path(text)| text.parse().ok());
        id.map(Self).ok_or_else(Problem::no_such_recording)
    }
}

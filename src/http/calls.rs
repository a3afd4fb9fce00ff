//! The routes of the call log: every call, with or without a recording, and sums over the calls.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;

use super::Api;
use super::body::json;
use super::call_listing::{COLUMNS, Call, CallId, CallPath, Calls, CallsQuery, no_such_call};
use super::csv::{self, Format};
use super::problem::Problem;
use super::query::{NoQuery, Params};
use super::stats::{self, Stat, Stats, StatsQuery};
use crate::paging::Page;

/// The header that holds the cursor of the next page when the answer is a CSV table, which has no field for the
/// cursor.
const NEXT_CURSOR: HeaderName = HeaderName::from_static("next-cursor");

/// Lists the calls, newest first.
///
/// The list contains running calls, ended calls, and calls that the daemon did not accept.
#[utoipa::path(
    get, path = "/calls", operation_id = "list_calls", tag = "calls", params(CallsQuery),
    responses(
        (status = 200, description = "One page of calls", content((Calls = "application/json"), (String = "text/csv"))),
        (status = 503, description = "The database of the call log does not answer"),
    )
)]
pub(super) async fn list(
    State(api): State<Api>,
    Params(query): Params<CallsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let format = Format::of(query.format, &headers);
    let Page { entries, next } = api.calls().page(&query.filter(api.country())?).await?;
    let calls: Vec<_> = entries.into_iter().map(Call::from).collect();
    let next_cursor = next.map(|next| next.to_string());
    match format {
        Format::Json => Ok(json(&Calls { calls, next_cursor })),
        Format::Csv => {
            let mut table = csv::table(&COLUMNS, &calls)?;
            if let Some(Ok(next)) = next_cursor.map(HeaderValue::try_from) {
                table.headers_mut().insert(NEXT_CURSOR, next);
            }
            Ok(table)
        }
    }
}

/// Describes one call.
///
/// A caller may enter the application several times in the same call; each time is a stay. Asterisk's unique id
/// selects the newest stay of the call, and a `row_id` selects one stay. `/calls?id=` lists all stays of a call.
#[utoipa::path(
    get, path = "/calls/{id}", operation_id = "get_call", tag = "calls", params(CallPath),
    responses(
        (status = 200, description = "The call", body = Call),
        (status = 404, description = "There is no such call"),
        (status = 503, description = "The database of the call log does not answer"),
    )
)]
pub(super) async fn one(
    State(api): State<Api>,
    CallId(id): CallId,
    Params(NoQuery {}): Params<NoQuery>,
) -> Result<Response, Problem> {
    let row = api.calls().find(&id).await?.ok_or_else(no_such_call)?;
    Ok(json(&Call::from(row)))
}

/// Sums up the calls.
///
/// The sums are the number of calls, their duration, token usage and cost, and how fast the assistant answered.
#[utoipa::path(
    get, path = "/stats", operation_id = "get_stats", tag = "calls", params(StatsQuery),
    responses(
        (status = 200, description = "The sums", content((Stats = "application/json"), (String = "text/csv"))),
        (status = 503, description = "The database of the call log does not answer"),
    )
)]
pub(super) async fn stats(
    State(api): State<Api>,
    Params(query): Params<StatsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let offset = *api.now().offset();
    let format = Format::of(query.format, &headers);
    let sums = api.calls().stats(&query.asked(offset)?).await?;
    let stats: Vec<_> = sums.into_iter().map(|sums| Stat::new(sums, offset)).collect();
    match format {
        Format::Json => Ok(json(&Stats { stats })),
        Format::Csv => csv::table(&stats::COLUMNS, &stats),
    }
}

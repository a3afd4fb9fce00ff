//! Sums over calls: their number, duration, token usage and cost, and how fast the assistant answered. One query
//! serves both databases. Percentiles use the nearest-rank method, so each is a value that some call had.

use sqlx::FromRow;

use super::row::{Cells, Tokens, Value};
use crate::units::{MicroUsd, Milliseconds};

/// The question: which calls, and how they are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Only calls offered at this time or later, in UTC microseconds.
    pub from_us: i64,
    /// Only calls offered at this time or earlier, in UTC microseconds.
    pub to_us: i64,
    /// How the calls are grouped.
    pub by: By,
    /// The UTC offset of hours and days, in seconds. One offset applies to the whole period: if the clocks change
    /// within the period, the days on the other side of the change begin an hour off.
    pub utc_offset_s: i32,
}

/// How the calls are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// By the hour in which a call was offered.
    Hour,
    /// By the day on which a call was offered.
    Day,
    /// By agent.
    Agent,
    /// By model.
    Model,
}

/// What the calls of a group have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Group {
    /// They were offered in the hour or day that began at this time, in UTC microseconds.
    Since(i64),
    /// They have this agent or model.
    Name(String),
}

/// The sums of one group.
#[derive(Debug, Clone, PartialEq)]
pub struct Sums {
    /// The group.
    pub group: Group,
    /// The number of calls.
    pub calls: u64,
    /// The number of these calls that are still running.
    pub running: u64,
    /// The total duration.
    pub duration: Milliseconds,
    /// The tokens that the calls used. `estimated` is set if a part is estimated.
    pub tokens: Tokens,
    /// The number of ended calls whose usage is unknown. The sum of tokens does not include them.
    pub unknown_tokens: u64,
    /// The cost.
    pub cost: MicroUsd,
    /// The number of ended calls whose cost is unknown. The sum of costs does not include them.
    pub unknown_cost: u64,
    /// The time from the caller's arrival to the first word that the caller heard.
    pub greeting: Latency,
    /// The median response time of each call: from the caller's last word to the assistant's first.
    pub turn_p50: Latency,
    /// The 95th percentile of the response times of each call.
    pub turn_p95: Latency,
}

/// Statistics of one value over the calls that have it. All fields are `None` if no call has the
/// value.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Latency {
    /// The mean, in milliseconds.
    pub mean_ms: Option<f64>,
    /// The median.
    pub p50: Option<Milliseconds>,
    /// The 95th percentile.
    pub p95: Option<Milliseconds>,
}

/// The columns for which percentiles are computed.
const LATENCIES: [&str; 3] = ["greeting_ms", "turn_p50_ms", "turn_p95_ms"];
/// The columns that are summed.
const ADDED: [&str; 9] = [
    "duration_ms",
    "text_in",
    "audio_in",
    "cached_text_in",
    "cached_audio_in",
    "text_out",
    "audio_out",
    "estimated",
    "cost_micro_usd",
];
const HOUR_US: i64 = 3_600_000_000;
pub(super) const DAY_US: i64 = 24 * HOUR_US;

/// Returns the query and the values of its `?`.
///
/// The databases differ in the division of integers by `/` and in the type of a sum, so the query uses `%` and casts.
/// MySQL numbers rows with unsigned integers, for which a negative difference is an error, so the query puts sums on
/// both sides of `>=`.
pub(super) fn query(asked: &Asked) -> (String, Vec<Value>) {
    let offset = i64::from(asked.utc_offset_s) * 1_000_000;
    let since = "offered_us - (offered_us + ?) % ?";
    let (group, mut values): (_, Vec<Value>) = match asked.by {
        By::Hour => (since, vec![offset.into(), HOUR_US.into()]),
        By::Day => (since, vec![offset.into(), DAY_US.into()]),
        By::Agent => ("agent", Vec::new()),
        By::Model => ("model", Vec::new()),
    };
    values.extend([asked.from_us.into(), asked.to_us.into()]);
    let shown = match asked.by {
        By::Hour | By::Day => "grp AS since, NULL AS name",
        By::Agent | By::Model => "NULL AS since, grp AS name",
    };
    let places = LATENCIES.map(|column| {
        format!(
            "COUNT({column}) OVER (PARTITION BY grp) AS {column}_n, \
             ROW_NUMBER() OVER (PARTITION BY grp ORDER BY {column}) AS {column}_i"
        )
    });
    let sums = ADDED.map(|column| format!("CAST(SUM({column}) AS SIGNED) AS {column}"));
    let latencies = LATENCIES.map(|column| {
        // NULL values sort first. Their number is `all_n` minus the count of the column.
        let percentile = |percent: u32| {
            format!(
                "MIN(CASE WHEN {column} IS NOT NULL \
                 AND ({column}_i + {column}_n) * 100 >= {column}_n * {percent} + all_n * 100 THEN {column} END)"
            )
        };
        format!(
            "CAST(SUM({column}) AS SIGNED) AS {column}_sum, COUNT({column}) AS {column}_count, \
             {} AS {column}_p50, {} AS {column}_p95",
            percentile(50),
            percentile(95)
        )
    });
    let sql = format!(
        "WITH picked AS (SELECT {group} AS grp, end_reason, {columns} FROM calls \
         WHERE offered_us >= ? AND offered_us <= ?), \
         placed AS (SELECT picked.*, COUNT(*) OVER (PARTITION BY grp) AS all_n, {places} FROM picked) \
         SELECT {shown}, COUNT(*) AS calls, COUNT(end_reason) AS ended, \
         COUNT(CASE WHEN end_reason IS NOT NULL AND text_in IS NULL THEN 1 END) AS unknown_tokens, \
         COUNT(CASE WHEN end_reason IS NOT NULL AND cost_micro_usd IS NULL THEN 1 END) AS unknown_cost, \
         {sums}, {latencies} FROM placed GROUP BY grp ORDER BY grp",
        columns = [&ADDED[..], &LATENCIES[..]].concat().join(", "),
        places = places.join(", "),
        sums = sums.join(", "),
        latencies = latencies.join(", "),
    );
    (sql, values)
}

impl<R: Cells> FromRow<'_, R> for Sums {
    /// Reads a row of the answer to `query`.
    fn from_row(cells: &R) -> sqlx::Result<Self> {
        let known =
            |column: &str| cells.integer(column).map(|number| number.map(|number| number.max(0) as u64));
        let number = |column: &str| known(column).map(Option::unwrap_or_default);
        let latency = |of: &str| -> sqlx::Result<Latency> {
            let count = number(&format!("{of}_count"))?;
            Ok(Latency {
                mean_ms: (count > 0).then_some(number(&format!("{of}_sum"))? as f64 / count as f64),
                p50: known(&format!("{of}_p50"))?.map(Milliseconds::new),
                p95: known(&format!("{of}_p95"))?.map(Milliseconds::new),
            })
        };
        let calls = number("calls")?;
        Ok(Self {
            group: match cells.integer("since")? {
                Some(since_us) => Group::Since(since_us),
                None => Group::Name(cells.text("name")?.unwrap_or_default()),
            },
            calls,
            running: calls - number("ended")?.min(calls),
            unknown_tokens: number("unknown_tokens")?,
            unknown_cost: number("unknown_cost")?,
            duration: Milliseconds::new(number("duration_ms")?),
            tokens: Tokens {
                text_in: number("text_in")?,
                audio_in: number("audio_in")?,
                cached_text_in: number("cached_text_in")?,
                cached_audio_in: number("cached_audio_in")?,
                text_out: number("text_out")?,
                audio_out: number("audio_out")?,
                estimated: number("estimated")? > 0,
            },
            cost: MicroUsd::new(number("cost_micro_usd")?),
            greeting: latency("greeting_ms")?,
            turn_p50: latency("turn_p50_ms")?,
            turn_p95: latency("turn_p95_ms")?,
        })
    }
}

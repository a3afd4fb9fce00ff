//! Sums over calls: how many, how long, what they used and cost, how fast the assistant was. One query, the same for
//! both databases; percentiles are by nearest rank, so each is a figure that some call had.

use super::row::{Cells, Tokens, Value};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Calls offered then or later, UTC microseconds.
    pub from_us: i64,
    /// Calls offered then or earlier.
    pub to_us: i64,
    /// What makes a row.
    pub by: By,
    /// What hours and days are ahead of UTC, seconds. It holds for the whole time asked for: where clocks change
    /// in it, the days on the far side begin an hour off.
    pub utc_offset_s: i32,
}

/// What makes a row of the sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Each hour in which a call was offered.
    Hour,
    /// Each day.
    Day,
    /// Each agent.
    Agent,
    /// Each model.
    Model,
}

impl By {
    /// Whether the rows are in order of time.
    #[must_use]
    pub const fn is_time(self) -> bool {
        matches!(self, Self::Hour | Self::Day)
    }
}

/// What the calls of a row have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Group {
    /// They were offered in the hour or the day that began then, UTC microseconds.
    Since(i64),
    /// Their agent or model.
    Name(String),
}

/// One row of the sums.
#[derive(Debug, Clone, PartialEq)]
pub struct Sums {
    /// Of which calls.
    pub group: Group,
    /// How many.
    pub calls: u64,
    /// How many of them are running.
    pub running: u64,
    /// How long they lasted together, milliseconds.
    pub duration_ms: u64,
    /// What they used; `estimated` if some of it is.
    pub tokens: Tokens,
    /// How many ended without their tokens being known: those are not in the sum.
    pub unknown_tokens: u64,
    /// What they cost, millionths of a US dollar.
    pub cost_micro_usd: i64,
    /// How many ended without their cost being known: those are not in the sum.
    pub unknown_cost: u64,
    /// From the caller's arrival to the first word.
    pub greeting: Latency,
    /// Each call's median from the caller's last word to the assistant's first.
    pub turn_p50: Latency,
    /// The same, of which 95 of 100 were no longer in each call.
    pub turn_p95: Latency,
}

/// A figure over those calls that have it, milliseconds. All None: none has.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Latency {
    /// Their mean.
    pub mean_ms: Option<f64>,
    /// Half of them had no more.
    pub p50_ms: Option<u64>,
    /// 95 of 100 had no more.
    pub p95_ms: Option<u64>,
}

/// The columns of which there are percentiles.
const LATENCIES: [&str; 3] = ["greeting_ms", "turn_p50_ms", "turn_p95_ms"];
/// The columns that are added up.
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

/// The query, and the values of its `?`.
///
/// `/` of integers is another thing in each database, and so is the type of a sum: hence `%` and the casts. MySQL
/// numbers rows without sign, where a difference must not be negative: hence sums on both sides of `>=`.
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
    let places = LATENCIES.map(|column| {
        format!(
            "COUNT({column}) OVER (PARTITION BY grp) AS {column}_n, \
             ROW_NUMBER() OVER (PARTITION BY grp ORDER BY {column}) AS {column}_i"
        )
    });
    let sums = ADDED.map(|column| format!("CAST(SUM({column}) AS SIGNED)"));
    let latencies = LATENCIES.map(|column| {
        // What is NULL comes first: its calls are as many as `all_n` is more than the column's own count.
        let percentile = |percent: u32| {
            format!(
                "MIN(CASE WHEN {column} IS NOT NULL \
                 AND ({column}_i + {column}_n) * 100 >= {column}_n * {percent} + all_n * 100 THEN {column} END)"
            )
        };
        format!("CAST(SUM({column}) AS SIGNED), COUNT({column}), {}, {}", percentile(50), percentile(95))
    });
    let sql = format!(
        "WITH picked AS (SELECT {group} AS grp, end_reason, {columns} FROM calls \
         WHERE offered_us >= ? AND offered_us <= ?), \
         placed AS (SELECT picked.*, COUNT(*) OVER (PARTITION BY grp) AS all_n, {places} FROM picked) \
         SELECT grp, COUNT(*), COUNT(end_reason), \
         COUNT(CASE WHEN end_reason IS NOT NULL AND text_in IS NULL THEN 1 END), \
         COUNT(CASE WHEN end_reason IS NOT NULL AND cost_micro_usd IS NULL THEN 1 END), \
         {sums}, {latencies} FROM placed GROUP BY grp ORDER BY grp",
        columns = [&ADDED[..], &LATENCIES[..]].concat().join(", "),
        places = places.join(", "),
        sums = sums.join(", "),
        latencies = latencies.join(", "),
    );
    (sql, values)
}

pub(super) fn read_by_time(cells: &dyn Cells) -> sqlx::Result<Sums> {
    read(cells, Group::Since(cells.integer(0)?.unwrap_or_default()))
}

pub(super) fn read_by_name(cells: &dyn Cells) -> sqlx::Result<Sums> {
    read(cells, Group::Name(cells.text(0)?.unwrap_or_default()))
}

fn read(cells: &dyn Cells, group: Group) -> sqlx::Result<Sums> {
    let sum = |column| cells.integer(column).map(Option::unwrap_or_default);
    let number = |column| sum(column).map(|number| number.max(0) as u64);
    let latency = |first| -> sqlx::Result<Latency> {
        let known = |column| cells.integer(column).map(|number| number.map(|number| number.max(0) as u64));
        let count = number(first + 1)?;
        Ok(Latency {
            mean_ms: (count > 0).then_some(number(first)? as f64 / count as f64),
            p50_ms: known(first + 2)?,
            p95_ms: known(first + 3)?,
        })
    };
    let calls = number(1)?;
    Ok(Sums {
        group,
        calls,
        running: calls - number(2)?.min(calls),
        unknown_tokens: number(3)?,
        unknown_cost: number(4)?,
        duration_ms: number(5)?,
        tokens: Tokens {
            text_in: number(6)?,
            audio_in: number(7)?,
            cached_text_in: number(8)?,
            cached_audio_in: number(9)?,
            text_out: number(10)?,
            audio_out: number(11)?,
            estimated: number(12)? > 0,
        },
        cost_micro_usd: sum(13)?,
        greeting: latency(14)?,
        turn_p50: latency(18)?,
        turn_p95: latency(22)?,
    })
}

//! Sums over calls as the API shows them, and the parameters of their route.

use chrono::{DateTime, FixedOffset, SecondsFormat};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::call_listing::TokenCounts;
use super::csv::Format;
use super::listing::{span, when};
use super::problem::Problem;
use crate::registry::stats::{Asked, By, Group, Latency, Sums};
use crate::units::Milliseconds;

/// The sums over the calls of one hour, day, agent or model.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stat {
    /// The beginning of the hour or day in which the calls arrived, or the name of their agent or model.
    #[schema(example = "2025-10-20T00:00:00-05:00")]
    key: String,
    /// The number of calls.
    calls: u64,
    /// The number of these calls that are still running.
    running: u64,
    /// The total duration of the calls, in minutes.
    minutes: f64,
    /// The tokens that the calls used, as far as the usage is known.
    tokens: TokenCounts,
    /// The number of ended calls whose token usage is unknown.
    unknown_tokens_calls: u64,
    /// The cost of the calls in US dollars, as far as the cost is known.
    cost_usd: f64,
    /// The number of ended calls whose cost is unknown.
    unknown_cost_calls: u64,
    /// The time from the caller's arrival to the first word that the caller heard.
    greeting: Figure,
    /// The median response time of each call: from the caller's last word to the assistant's first.
    turn_p50: Figure,
    /// The 95th percentile of the response times of each call.
    turn_p95: Figure,
}

/// Statistics of one value over the calls that have it. All fields are null if no call has the value.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "names end with their unit everywhere")]
pub(super) struct Figure {
    /// The mean, in milliseconds.
    mean_ms: Option<f64>,
    /// The median, in milliseconds.
    p50_ms: Option<u64>,
    /// The 95th percentile, in milliseconds.
    p95_ms: Option<u64>,
}

impl From<Latency> for Figure {
    fn from(Latency { mean_ms, p50, p95 }: Latency) -> Self {
        Self { mean_ms, p50_ms: p50.map(Milliseconds::get), p95_ms: p95.map(Milliseconds::get) }
    }
}

/// The columns of the CSV table, in order.
pub(super) const COLUMNS: [&str; 23] = [
    "key",
    "calls",
    "running",
    "minutes",
    "tokens/text_in",
    "tokens/audio_in",
    "tokens/cached_text_in",
    "tokens/cached_audio_in",
    "tokens/text_out",
    "tokens/audio_out",
    "tokens/estimated",
    "unknown_tokens_calls",
    "cost_usd",
    "unknown_cost_calls",
    "greeting/mean_ms",
    "greeting/p50_ms",
    "greeting/p95_ms",
    "turn_p50/mean_ms",
    "turn_p50/p50_ms",
    "turn_p50/p95_ms",
    "turn_p95/mean_ms",
    "turn_p95/p50_ms",
    "turn_p95/p95_ms",
];

impl Stat {
    pub(super) fn new(sums: Sums, offset: FixedOffset) -> Self {
        Self {
            key: match sums.group {
                Group::Since(us) => {
                    let since = DateTime::from_timestamp_micros(us).unwrap_or_default();
                    since.with_timezone(&offset).to_rfc3339_opts(SecondsFormat::Secs, false)
                }
                Group::Name(name) => name,
            },
            calls: sums.calls,
            running: sums.running,
            minutes: sums.duration.get() as f64 / 60_000.0,
            tokens: sums.tokens.into(),
            unknown_tokens_calls: sums.unknown_tokens,
            cost_usd: sums.cost.usd(),
            unknown_cost_calls: sums.unknown_cost,
            greeting: sums.greeting.into(),
            turn_p50: sums.turn_p50.into(),
            turn_p95: sums.turn_p95.into(),
        }
    }
}

/// The sums over the calls, ordered by time or by name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stats {
    /// One entry for each hour, day, agent or model.
    pub(super) stats: Vec<Stat>,
}

/// How the calls are grouped.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Key {
    /// One row for each hour in which a call arrived.
    Hour,
    /// One row for each day on which a call arrived.
    #[default]
    Day,
    /// One row for each agent.
    Agent,
    /// One row for each model.
    Model,
}

/// The parameters of the sums.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StatsQuery {
    /// How the calls are grouped. Hours and days follow the machine's present UTC offset.
    #[serde(default)]
    #[param(inline, required = false)]
    by: Key,
    /// Only calls that arrived at this time or later. The value is a date, a local time of the machine, or a time
    /// with a UTC offset.
    #[param(schema_with = when)]
    from: Option<String>,
    /// Only calls that arrived at this time or earlier, in the same formats as `from`. A date includes the whole day.
    #[param(schema_with = when)]
    to: Option<String>,
    /// The format of the answer. Without this parameter, the `Accept` header decides.
    #[param(inline)]
    pub(super) format: Option<Format>,
}

impl StatsQuery {
    /// Translates the parameters into a question to the call log. `offset` is the UTC offset of the hours and days.
    pub(super) fn asked(&self, offset: FixedOffset) -> Result<Asked, Problem> {
        let (from_us, to_us) = span(self.from.as_deref(), self.to.as_deref())?;
        let by = match self.by {
            Key::Hour => By::Hour,
            Key::Day => By::Day,
            Key::Agent => By::Agent,
            Key::Model => By::Model,
        };
        Ok(Asked { from_us, to_us, by, utc_offset_s: offset.local_minus_utc() })
    }
}

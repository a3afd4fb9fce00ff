//! Sums over calls as the API shows them, and what may be asked of them.

use chrono::{DateTime, FixedOffset, SecondsFormat};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::call_listing::{TokenCounts, usd};
use super::csv::Format;
use super::listing::{span, when};
use super::problem::Problem;
use crate::registry::stats::{Asked, By, Group, Latency, Sums};

/// The sums of some calls.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stat {
    /// The hour or day in which they came, by its beginning; or their agent or model.
    #[schema(example = "2025-10-20T00:00:00-05:00")]
    key: String,
    /// How many.
    calls: u64,
    /// How many of them are running.
    running: u64,
    /// How long they lasted together.
    minutes: f64,
    /// What they used of the model, as far as it is known.
    tokens: TokenCounts,
    /// How many ended without that being known.
    unknown_tokens_calls: u64,
    /// What they cost, as far as it is known.
    cost_usd: f64,
    /// How many ended without that being known.
    unknown_cost_calls: u64,
    /// From the caller's arrival to the first word.
    greeting: Figure,
    /// Each call's median from the caller's last word to the assistant's first.
    turn_p50: Figure,
    /// The same, of which 95 of 100 in each call were no longer.
    turn_p95: Figure,
}

/// A figure over the calls that have it; null where none has.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the unit is last, here as everywhere")]
pub(super) struct Figure {
    /// Their mean.
    mean_ms: Option<f64>,
    /// Half of them had no more.
    p50_ms: Option<u64>,
    /// 95 of 100 had no more.
    p95_ms: Option<u64>,
}

impl From<Latency> for Figure {
    fn from(Latency { mean_ms, p50_ms, p95_ms }: Latency) -> Self {
        Self { mean_ms, p50_ms, p95_ms }
    }
}

/// The columns of the table.
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
            minutes: sums.duration_ms as f64 / 60_000.0,
            tokens: sums.tokens.into(),
            unknown_tokens_calls: sums.unknown_tokens,
            cost_usd: usd(sums.cost_micro_usd),
            unknown_cost_calls: sums.unknown_cost,
            greeting: sums.greeting.into(),
            turn_p50: sums.turn_p50.into(),
            turn_p95: sums.turn_p95.into(),
        }
    }
}

/// The sums, in the order of time or name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stats {
    /// They.
    pub(super) stats: Vec<Stat>,
}

/// What makes a row.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Key {
    /// Each hour in which a call came.
    Hour,
    /// Each day.
    #[default]
    Day,
    /// Each agent.
    Agent,
    /// Each model.
    Model,
}

/// What may be asked of the sums.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StatsQuery {
    /// What makes a row. Hours and days are those of the machine as its clocks stand now.
    #[serde(default)]
    #[param(inline, required = false)]
    by: Key,
    /// Calls that came then or later: a date, local time of the machine, or a time with its UTC offset.
    #[param(schema_with = when)]
    from: Option<String>,
    /// Calls that came then or earlier; a date stands for its whole day.
    #[param(schema_with = when)]
    to: Option<String>,
    /// JSON, or a table; without it `Accept` decides.
    #[param(inline)]
    pub(super) format: Option<Format>,
}

impl StatsQuery {
    /// What it asks of the log, hours and days being this far ahead of UTC.
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

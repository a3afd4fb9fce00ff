//! The rows of the call log: what the daemon knows of a call when it arrives, and when it is over. It writes none.

use std::time::Duration;

use chrono::{DateTime, FixedOffset};

use crate::ari::event::Channel;
use crate::call::Report;
use crate::end_reason::EndReason;
use crate::exchange::Agent;
use crate::recordings::RecordingId;
use crate::registry::{Row, Tokens, row_id};
use crate::units::{MicroUsd, Milliseconds};

/// This machine, as rows name it.
pub(super) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A caller who has just come. `chance`: two numbers nobody else has.
pub(super) fn offered(channel: &Channel, at: DateTime<FixedOffset>, host: &str, chance: [u64; 2]) -> Row {
    Row {
        row_id: row_id(at.timestamp_micros(), chance),
        call_id: channel.id.to_string(),
        host: host.to_owned(),
        caller: channel.caller.clone(),
        called: channel.called.clone(),
        offered_us: at.timestamp_micros(),
        ..Row::default()
    }
}

/// The same, sent on at once.
pub(super) fn refused(row: Row, reason: EndReason) -> Row {
    Row {
        ended_us: Some(row.offered_us),
        duration: Some(Milliseconds::ZERO),
        end_reason: Some(reason.code().to_owned()),
        tokens: Some(Tokens::default()),
        cost: Some(MicroUsd::ZERO),
        ..row
    }
}

/// The same, taken by this agent; `recorded_at` if anything of it is recorded.
pub(super) fn taken(row: Row, agent: &Agent, recorded_at: Option<DateTime<FixedOffset>>) -> Row {
    let recording_id = recorded_at.map(|at| RecordingId::new(at, &row.call_id).to_string());
    Row {
        recording_id,
        model: agent.settings.model.clone(),
        agent: agent.name.to_string(),
        agent_version: agent.version.to_string(),
        ..row
    }
}

/// The same, over.
pub(super) fn ended(row: Row, report: &Report) -> Row {
    let at = |after: Duration| row.offered_us.saturating_add(after.as_micros() as i64);
    let latencies = &report.latencies;
    let (tokens, cost) = if report.session_stood {
        ((&report.bill).into(), report.bill.cost)
    } else {
        // Without a session there was nothing to use.
        (Tokens::default(), Some(MicroUsd::ZERO))
    };
    Row {
        ended_us: Some(at(report.duration)),
        duration: Some(report.duration.into()),
        end_reason: Some(report.reason.code().to_owned()),
        answered_us: report.answered.map(at),
        first_audio_us: latencies.greeting.map(at),
        turns: report.turns,
        interruptions: report.counters.barge_ins,
        greeting: latencies.greeting.map(Milliseconds::from),
        turn_p50: latencies.answer_percentile(50).map(Milliseconds::from),
        turn_p95: latencies.answer_percentile(95).map(Milliseconds::from),
        tokens: Some(tokens),
        cost,
        ..row
    }
}

/// The same, lost to a defect of ours at this time.
pub(super) fn lost(row: Row, at: DateTime<FixedOffset>) -> Row {
    Row {
        ended_us: Some(at.timestamp_micros()),
        end_reason: Some(EndReason::Internal.code().to_owned()),
        ..row
    }
}

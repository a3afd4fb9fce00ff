//! The rows of the call log: what the daemon knows of a call when it arrives, and when it is over. It writes none.

use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use serde_json::Value;

use crate::ari::event::Channel;
use crate::call::Report;
use crate::call::ledger::Bill;
use crate::call::record::ToolEntry;
use crate::end_reason::EndReason;
use crate::exchange::Agent;
use crate::number::CallerNumber;
use crate::recordings::RecordingId;
use crate::registry::{Row, Tokens, ToolUse, row_id};
use crate::units::{MicroUsd, Milliseconds};

/// This machine, as rows name it.
pub(super) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A call that has just come.
#[derive(Clone, Copy)]
pub(super) struct Arrived<'a> {
    /// The caller's channel, or the id of the call at OpenAI.
    pub(super) call_id: &'a str,
    /// The caller's number. It may be empty.
    pub(super) caller: &'a CallerNumber,
    /// The number that was dialled.
    pub(super) called: &'a str,
}

impl<'a> From<&'a Channel> for Arrived<'a> {
    fn from(channel: &'a Channel) -> Self {
        Self { call_id: channel.id.as_str(), caller: &channel.caller, called: &channel.called }
    }
}

/// A caller who has just come. `chance`: two numbers nobody else has.
pub(super) fn offered(arrived: &Arrived<'_>, at: DateTime<FixedOffset>, host: &str, chance: [u64; 2]) -> Row {
    Row {
        row_id: row_id(at.timestamp_micros(), chance),
        call_id: arrived.call_id.to_owned(),
        host: host.to_owned(),
        caller: arrived.caller.clone(),
        called: arrived.called.to_owned(),
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

/// The same, running, with what it has used by now.
pub(super) fn running(row: Row, bill: &Bill) -> Row {
    Row { tokens: Some(bill.into()), cost: bill.cost, ..row }
}

/// Whether the call log may hold words of a call: the arguments and results of its tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    /// The words of tools are in the row.
    Kept,
    /// The transcript is not recorded, or recordings are encrypted. The call log is not.
    LeftOut,
}

/// The same, over.
pub(super) fn ended(row: Row, report: &Report, words: Words) -> Row {
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
        tools: report.tools.iter().map(|tool| used(tool, words)).collect(),
        ..row
    }
}

/// A tool that was carried out.
fn used(tool: &ToolEntry, words: Words) -> ToolUse {
    let json = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()));
    let used = ToolUse {
        at_ms: Milliseconds::from(tool.at).get(),
        name: tool.name.clone(),
        outcome: tool.outcome.to_owned(),
        ms: Milliseconds::from(tool.took).get(),
        attempts: tool.attempts,
        agreed_in_turn: tool.agreed_in_turn.map(|turn| turn as u64),
        arguments: tool.arguments.as_ref().map(json),
        answer: tool.answer.as_ref().map(json),
    };
    match words {
        Words::Kept => used,
        Words::LeftOut => used.without_words(),
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

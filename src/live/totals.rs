//! The totals of all calls since the start: sums, and histograms of waiting times. Pure arithmetic.
//!
//! Every sum only grows, whether a call is added once at its end or counted repeatedly while it runs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use crate::call::Counters;
use crate::call::glance::Glance;
use crate::call::latency::Latencies;
use crate::call::ledger::Tokens;
use crate::call::tools::Use as ToolUse;
use crate::call::uplink::UplinkCounters;
use crate::end_reason::EndReason;
use crate::realtime::rate_limits::RateLimits;

use super::{Facts, Histogram, OfSip, Route};
use crate::units::{MicroUsd, Milliseconds};

/// The largest number of agents that are counted by their names: those that a folder may have, and `default`. Each name is a
/// series for ever. A smaller value would join agents that exist; a larger one would let files that come and go make more series.
const MOST_AGENTS: usize = 501;
/// Stands for all agents beyond these, and for all tools beyond theirs. Neither can have this name.
const OTHERS: &str = "*";
/// The largest number of tools that are counted by their names. Each is about 20 series for ever. A smaller value would join tools that
/// exist; a larger one would let files that come and go make more series.
const MOST_TOOLS: usize = 500;

/// The purpose for which a model used tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// The conversation with the caller.
    Conversation,
    /// The transcription of the caller's speech.
    Transcription,
}

impl Use {
    /// The label's value in metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Conversation => "conversation",
            Self::Transcription => "transcription",
        }
    }
}

/// The sums of the calls of one agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OfAgent {
    /// The number of ended calls.
    pub ended: u64,
    /// The known part of their cost, and of the cost of the calls in progress.
    pub cost: MicroUsd,
}

/// The sums of the calls of one tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfTool {
    /// The number of calls by outcome: a code of [`Outcome`](crate::tool::Outcome), or `repeated`.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// How long the calls took that were carried out.
    pub took: Histogram,
}

/// The totals of calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// The number of calls in progress.
    pub live: u64,
    /// The number of callers who arrived, whether the daemon accepted them or not.
    pub started: u64,
    /// The number of ended calls by reason, including those that the daemon did not accept.
    pub ended: HashMap<EndReason, u64>,
    /// The sums of the calls' counters.
    pub counters: Counters,
    /// The counters of the callers' RTP packets.
    pub uplink: UplinkCounters,
    /// The number of frames sent to callers.
    pub frames: u64,
    /// The number of frames skipped because the clock was late.
    pub late_frames: u64,
    /// The number of pauses within the assistant's speech because its audio had not arrived.
    pub underruns: u64,
    /// The number of the assistant's answers that were heard.
    pub turns: u64,
    /// The time from a caller's arrival to the first word that the caller heard.
    pub greeting: Histogram,
    /// The time from the end of a caller's speech to the first frame of the answer.
    pub answer: Histogram,
    /// The part of this time until OpenAI reported the end of the speech.
    pub speech_stopped: Histogram,
    /// The part of this time until the answer's first audio delta.
    pub first_delta: Histogram,
    /// The part of this time that the daemon added.
    pub own: Histogram,
    /// The time from the start of an interrupting caller's speech until the assistant was silent.
    pub barge_in: Histogram,
    /// The number of calls that were taken, in the order of [`Route::ALL`].
    pub routes: [u64; Route::ALL.len()],
    /// What is counted of the calls that OpenAI answers by SIP.
    pub sip: OfSip,
    /// The tokens that the models used, by purpose and model name. The configuration bounds the number of names.
    pub tokens: BTreeMap<(Use, String), Tokens>,
    /// The remaining rate limits of the account, by model name, and when they were last reported.
    pub rate_limits: BTreeMap<String, (Instant, RateLimits)>,
    /// The length of the transcribed audio.
    pub transcribed: Milliseconds,
    /// The known part of the cost.
    pub cost: MicroUsd,
    /// The number of ended calls whose cost is unknown, wholly or in part.
    pub unpriced: u64,
    /// The sums of each agent's calls, by its name. Agents beyond 501 share one entry, `*`.
    pub agents: BTreeMap<String, OfAgent>,
    /// The sums of each tool, by the name of its agent and its own. Tools beyond 500 share one entry, `*` of `*`.
    pub tools: BTreeMap<(String, Arc<str>), OfTool>,
}

impl Totals {
    /// Adds the present state of a call in progress.
    pub(super) fn go_on(&mut self, call: &Facts, glance: &Glance) {
        self.live += 1;
        self.add(call, glance);
    }

    /// Counts a caller whom the daemon did not accept.
    pub(super) fn refuse(&mut self, reason: EndReason) {
        self.started += 1;
        *self.ended.entry(reason).or_default() += 1;
    }

    /// Adds a call that has ended.
    pub(super) fn end(&mut self, call: &Facts, last: &Glance, reason: EndReason) {
        *self.ended.entry(reason).or_default() += 1;
        self.unpriced += u64::from(last.bill.as_ref().is_some_and(|bill| bill.cost.is_none()));
        self.add(call, last);
        self.of_agent(&call.agent).ended += 1;
    }

    fn add(&mut self, call: &Facts, glance: &Glance) {
        self.started += 1;
        self.counters += glance.counters;
        self.uplink += glance.uplink;
        self.frames += glance.frames;
        self.late_frames += glance.late_frames;
        self.underruns += glance.underruns;
        self.turns += glance.turns;
        self.wait(&glance.latencies);
        self.routes[call.route as usize] += 1;
        if call.route == Route::Sip {
            self.sip.wait(&glance.latencies);
        }
        for used in &*glance.tools {
            self.tool(&call.agent, used);
        }
        let spent = glance.bill.as_ref().map_or(MicroUsd::ZERO, |bill| bill.at_least);
        let of_agent = self.of_agent(&call.agent);
        of_agent.cost = of_agent.cost.saturating_add(spent);
        if let Some(told) = glance.rate_limits {
            self.limit(&call.model, told);
        }
        if let Some(bill) = &glance.bill {
            self.used(Use::Conversation, &call.model, bill.conversation);
            if let Some(model) = &call.transcription_model {
                self.used(Use::Transcription, model, bill.transcription);
            }
            // These numbers come from OpenAI and may have any value.
            self.transcribed = self.transcribed.saturating_add(bill.transcribed);
            self.cost = self.cost.saturating_add(bill.at_least);
        }
    }

    fn of_agent(&mut self, name: &str) -> &mut OfAgent {
        let has_room = self.agents.len() < MOST_AGENTS || self.agents.contains_key(name);
        self.agents.entry(if has_room { name } else { OTHERS }.to_owned()).or_default()
    }

    fn tool(&mut self, agent: &str, used: &ToolUse) {
        let key = (agent.to_owned(), Arc::clone(&used.tool));
        let has_room = self.tools.len() < MOST_TOOLS || self.tools.contains_key(&key);
        let key = if has_room { key } else { (OTHERS.to_owned(), OTHERS.into()) };
        let of_tool = self.tools.entry(key).or_default();
        *of_tool.outcomes.entry(used.outcome).or_default() += 1;
        if let Some(took) = used.took {
            of_tool.took.add(took);
        }
    }

    fn used(&mut self, by: Use, model: &str, tokens: Tokens) {
        self.tokens.entry((by, model.to_owned())).or_default().add(tokens);
    }

    /// Keeps the limits that were reported last, no matter in which call.
    fn limit(&mut self, model: &str, told: (Instant, RateLimits)) {
        let (at, known) = self.rate_limits.entry(model.to_owned()).or_insert(told);
        if told.0 >= *at {
            *at = told.0;
            known.update(told.1);
        }
    }

    fn wait(&mut self, latencies: &Latencies) {
        if let Some(waited) = latencies.greeting {
            self.greeting.add(waited);
        }
        for answer in &latencies.answers {
            self.answer.add(answer.first_frame);
            self.speech_stopped.add(answer.speech_stopped);
            self.first_delta.add(answer.first_delta);
            self.own.add(answer.own);
        }
        for barge_in in &latencies.barge_ins {
            self.barge_in.add(barge_in.silent_after);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn agents_that_come_and_go_do_not_make_series_for_ever() {
        let mut totals = Totals::default();
        for n in 0..600 {
            totals.of_agent(&format!("agent-{n}")).ended += 1;
        }
        totals.of_agent("agent-0").ended += 1;
        assert_eq!(totals.agents.len(), MOST_AGENTS + 1);
        assert_eq!((totals.agents["agent-0"].ended, totals.agents[OTHERS].ended), (2, 99));
    }

    #[test]
    fn tools_that_come_and_go_do_not_make_series_for_ever() {
        let mut totals = Totals::default();
        let used = |name: &str, took| ToolUse { tool: name.into(), outcome: "ok", took };
        for n in 0..600 {
            totals.tool("citas", &used(&format!("tool_{n}"), None));
        }
        let took = Duration::from_millis(90);
        totals.tool("citas", &ToolUse { outcome: "unknown", ..used("tool_0", Some(took)) });
        assert_eq!(totals.tools.len(), MOST_TOOLS + 1);
        let of = |agent: &str, tool: &str| totals.tools[&(agent.to_owned(), tool.into())].clone();
        assert_eq!(of("citas", "tool_0").outcomes, BTreeMap::from([("ok", 1), ("unknown", 1)]));
        assert_eq!((of("citas", "tool_0").took.count, of("citas", "tool_0").took.sum), (1, took));
        assert_eq!(of(OTHERS, OTHERS).outcomes["ok"], 100);
    }
}

//! Whether a caller is taken, and what becomes of those who are.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use chrono::NaiveDate;

use super::agents::Agent;
use super::breaker::Breaker;
use super::frequency::Frequency;
use super::readiness::Capacity;
use super::rules::Rules;
use super::spending::{Earlier, Spending};
use super::switchboard::{AtOpenAi, Served, Side};
use super::{Exchange, Moment, NoSocket, Output, SWEEP_AFTER, WebhookNews};
use crate::agents::UnknownAgent;
use crate::ari::ChannelId;
use crate::ari::event::Channel;
use crate::ari::nonce::Nonce;
use crate::ari::request::Request;
use crate::call::{Report, Standing};
use crate::end_reason::EndReason;
use crate::number::CallerNumber;
use crate::operator::{Detail, Notice};
use crate::realtime::calls::CallId;
use crate::units::{Cost, MicroUsd};

/// What is asked before a caller is taken for whom there is room.
#[derive(Debug, Default)]
pub(super) struct Admission {
    spending: Spending,
    frequency: Frequency,
    breaker: Breaker,
}

impl Admission {
    /// Why this caller is not taken; None: they are.
    pub(super) fn refuses(
        &mut self,
        at: Moment,
        rules: &Rules,
        agent: &Agent,
        number: &CallerNumber,
    ) -> Option<EndReason> {
        if self.day_cost_is_reached(at, rules) || self.agents_day_cost_is_reached(at, agent) {
            Some(EndReason::DayCostLimit)
        } else if self.frequency.is_reached(at.now, number, rules.max_calls_per_caller_hour) {
            Some(EndReason::CallerLimit)
        } else {
            self.breaker.hands_back(at.now)
        }
    }

    /// This caller has called.
    pub(super) fn count(&mut self, now: Instant, number: &CallerNumber) {
        self.frequency.count(now, number);
    }

    /// Whether the calls of today, those that run included, have cost what they may.
    fn day_cost_is_reached(&self, at: Moment, rules: &Rules) -> bool {
        let spent = self.spending.of_all.spent_today(at.wall.date_naive());
        rules.max_day_cost.is_some_and(|most| spent >= most)
    }

    /// Whether today's calls of this agent, running calls included, have reached the agent's limit.
    fn agents_day_cost_is_reached(&mut self, at: Moment, agent: &Agent) -> bool {
        let spent = self.spending.of(&agent.name).spent_today(at.wall.date_naive());
        agent.max_day_cost.is_some_and(|most| spent >= most)
    }

    /// Today's date, if the cost of today's calls has reached `MAX_DAY_COST`.
    pub(super) fn day_spent(&self, at: Moment, rules: &Rules) -> Option<NaiveDate> {
        self.day_cost_is_reached(at, rules).then(|| at.wall.date_naive())
    }

    /// The operator's lines about what is reached, each once a day.
    pub(super) fn day_cost_is_news(&mut self, at: Moment, rules: &Rules) -> Vec<Notice> {
        let today = at.wall.date_naive();
        let mut news = Vec::new();
        if self.day_cost_is_reached(at, rules) && self.spending.of_all.is_news(today) {
            let limit = Cost { amount: rules.max_day_cost, estimated: false };
            news.push(Notice::DayCostReached { limit });
        }
        for agent in rules.agents.limited() {
            if self.agents_day_cost_is_reached(at, agent) && self.spending.of(&agent.name).is_news(today) {
                let limit = Cost { amount: agent.max_day_cost, estimated: false };
                news.push(Notice::AgentDayCostReached { agent: agent.name.to_string(), limit });
            }
        }
        news
    }

    /// What calls of an earlier daemon have cost on this day, by agent. Yesterday's costs are no concern of today's limit.
    pub(super) fn spent_earlier(&mut self, at: Moment, day: NaiveDate, of_agents: Vec<(Arc<str>, MicroUsd)>) {
        self.spending.earlier = Earlier::Counted;
        if day == at.wall.date_naive() {
            for (agent, cost) in of_agents {
                self.spending.add(day, &agent, cost);
            }
        }
    }

    /// Whether callers have to wait: the call log has not told yet what this day has cost, and that is limited.
    fn awaits_earlier(&self, rules: &Rules) -> bool {
        self.spending.earlier == Earlier::Awaited && limits_days(rules)
    }

    /// Whether callers are taken although it is not known what earlier calls have cost, and that is limited.
    pub(super) fn ignores_earlier(&self, rules: &Rules) -> bool {
        self.spending.earlier == Earlier::Late && limits_days(rules)
    }

    /// A call has found out how OpenAI stands. The operator's line, if an outage begins or ends with it.
    pub(super) fn learn(&mut self, standing: &Standing, at: Moment) -> Option<Notice> {
        self.breaker.learn(standing, at.now, at.wall)
    }

    /// The operator has decided anew, perhaps about what OpenAI refuses: the next caller tries.
    pub(super) fn reloaded(&mut self, rules: &Rules) {
        self.breaker.try_next();
        self.spending.keep(|name| rules.agents.find(name).is_some());
    }

    /// Compares the costs that are counted here with those of the running `calls`, each given with its agent. Returns a
    /// description of the difference, or `None`. For tests.
    pub(super) fn contradicts<'a>(
        &self,
        calls: impl Iterator<Item = (&'a Arc<str>, MicroUsd)>,
    ) -> Option<String> {
        let mut spent: BTreeMap<_, MicroUsd> = BTreeMap::new();
        for (agent, cost) in calls.filter(|(_, cost)| *cost > MicroUsd::ZERO) {
            let sum = spent.entry(agent).or_default();
            *sum = sum.saturating_add(cost);
        }
        let total = spent.values().fold(MicroUsd::ZERO, |sum, cost| sum.saturating_add(*cost));
        let (running, of_agents) = self.spending.running();
        let of_agents: BTreeMap<_, _> = of_agents.filter(|(_, cost)| *cost > MicroUsd::ZERO).collect();
        (running != total || of_agents != spent)
            .then(|| format!("calls that run have cost {spent:?}, not {running:?} and {of_agents:?}"))
    }

    /// What is known of OpenAI.
    pub(super) fn openai(&self) -> &Breaker {
        &self.breaker
    }
}

/// Whether the operator has limited what the calls of a day may cost, of all agents or of one.
fn limits_days(rules: &Rules) -> bool {
    rules.max_day_cost.is_some() || rules.agents.limited().next().is_some()
}

impl Exchange {
    /// Whether callers have to wait until it is known what the calls of an earlier daemon have cost today
    /// ([`Input::SpentEarlier`], [`Input::SpentEarlierLate`]).
    ///
    /// [`Input::SpentEarlier`]: super::Input::SpentEarlier
    /// [`Input::SpentEarlierLate`]: super::Input::SpentEarlierLate
    pub fn awaits_earlier(&self) -> bool {
        self.admission.awaits_earlier(&self.rules)
    }

    /// The call log has not told in time what earlier calls have cost. No caller is lost to a disk: they are taken.
    pub(super) fn spent_earlier_late(&mut self) {
        if self.admission.spending.earlier == Earlier::Awaited {
            self.admission.spending.earlier = Earlier::Late;
            if self.admission.ignores_earlier(&self.rules) {
                self.say(None, Notice::SpentEarlierUnknown);
            }
        }
    }

    /// A caller who is in no call has entered the application.
    pub(super) fn arrived(&mut self, channel: Channel) {
        if self.shutdown.is_on() {
            return self.refuse(channel, None, EndReason::Shutdown);
        }
        if self.room() != Capacity::Free {
            return self.refuse(channel, None, EndReason::Busy);
        }
        let (agent, line) = match self.rules.agents.choose(&channel, self.at.wall.naive_local()) {
            Ok((agent, line)) => (Arc::clone(agent), line),
            Err(UnknownAgent(name)) => {
                let unknown = Notice::AgentUnknown { name: Detail::new(name) };
                return self.refuse(channel, Some(unknown), EndReason::NoAgent);
            }
        };
        if let Some(reason) = self.admission.refuses(self.at, &self.rules, &agent, &channel.caller) {
            return self.refuse(channel, None, reason);
        }
        let (id, number) = (channel.id.clone(), channel.caller.clone());
        self.switchboard.take(id, number, Arc::clone(&agent.name), Side::Asterisk);
        let caller = channel.id.clone();
        self.outputs.push(Output::Start(channel, agent));
        if let Some(line) = line {
            self.say(Some(&caller), line);
        }
    }

    /// Sends a caller who is not taken back to the dialplan. `why` is a notice in addition to those that every refusal logs.
    fn refuse(&mut self, channel: Channel, why: Option<Notice>, reason: EndReason) {
        let caller = channel.id.clone();
        self.say(Some(&caller), Notice::CallReceived { channel: channel.name.clone() });
        if let Some(notice) = why {
            self.say(Some(&caller), notice);
        }
        self.outputs.push(Output::Refused(channel, reason));
        self.hand_back(caller, reason);
    }

    /// The call of this caller runs, and this is its RTP socket.
    pub(super) fn started(&mut self, caller: &ChannelId, rtp: SocketAddr) {
        if self.calls() == 1 && !self.strain.is_on() {
            self.strain.start_over();
        }
        if let Some(served) = self.switchboard.served(caller) {
            served.rtp = Some(rtp);
            self.admission.frequency.count(self.at.now, &served.number);
        }
    }

    /// The call of this caller runs, and Asterisk calls OpenAI for it.
    pub(super) fn dialled(&mut self, caller: &ChannelId, nonce: Nonce) {
        if let Some(served) = self.switchboard.served(caller) {
            served.openai = AtOpenAi::Awaited(nonce);
            self.admission.frequency.count(self.at.now, &served.number);
        }
    }

    /// There is no RTP socket for a call of this caller.
    pub(super) fn not_started(&mut self, channel: Channel, why: &NoSocket) {
        let reason = why.reason();
        self.health.call_ended(self.at.wall, reason, false);
        self.switchboard.ended(&channel.id);
        let why = why.notice(&self.rules);
        self.refuse(channel, Some(why), reason);
    }

    /// A call has cost so much by now.
    pub(super) fn spent(&mut self, caller: &ChannelId, cost: MicroUsd) {
        if let Some(served) = self.switchboard.served(caller) {
            let more = cost.saturating_sub(served.spent);
            served.spent = served.spent.saturating_add(more);
            self.admission.spending.grows(&served.agent, more);
        }
    }

    /// The call of this caller is over.
    pub(super) fn ended(&mut self, caller: &ChannelId, report: &Report) {
        self.spent(caller, report.bill.at_least);
        if self.switchboard.side(caller) == Some(Side::Asterisk) {
            self.connection.call_ended(report.reason);
            self.health.call_ended(self.at.wall, report.reason, report.joined);
        }
        if let Some((served, next)) = self.switchboard.ended(caller) {
            self.settle(&served);
            if matches!(served.openai, AtOpenAi::Awaited(_)) && report.reason == EndReason::SessionLate {
                self.webhook_news(WebhookNews::Missed);
            }
            if let Some(next) = next {
                self.direct(next);
            }
        }
    }

    /// The call of this caller was lost to a defect of ours. Its task cannot undo what the call has made, so the exchange does.
    pub(super) fn panicked(&mut self, caller: &ChannelId, detail: Detail) {
        // Come back or not, the caller is sent on.
        let channel = self.switchboard.channel_of(caller).clone();
        let side = self.switchboard.side(caller);
        if let Some((served, _)) = self.switchboard.ended(caller) {
            self.settle(&served);
        }
        self.say(Some(caller), Notice::CallPanicked { detail });
        if side == Some(Side::OpenAi) {
            self.outputs.extend(CallId::parse(caller.as_str()).map(Output::HangUp));
            return;
        }
        self.remove([Request::Hangup(caller.media()), Request::DeleteBridge(caller.bridge())]);
        self.hand_back(channel, EndReason::Internal);
    }

    /// Adds the cost of a call that is over to the day, and plans the search for what the call has left in Asterisk.
    fn settle(&mut self, served: &Served) {
        self.admission.spending.ends(self.at.wall.date_naive(), &served.agent, served.spent);
        self.sweep_at.get_or_insert(self.at.now + SWEEP_AFTER);
    }
}

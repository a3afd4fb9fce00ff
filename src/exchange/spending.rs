//! What the calls of today have cost, against what the operator allows for a day: for all calls (`MAX_DAY_COST`), and for
//! those of one agent.
//!
//! A call counts on the day it ends, by the machine's clock and time zone; until then it counts for today. Kept in memory:
//! what an earlier daemon spent today is added when the call log has told it, for which callers wait a moment. Only what is known of a cost counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;

use crate::units::MicroUsd;

/// What calls of an earlier daemon have cost today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Earlier {
    /// The call log has not told yet, and callers wait for it.
    #[default]
    Awaited,
    /// The call log does not tell in time, so that callers are taken without it.
    Late,
    /// It is counted.
    Counted,
}

/// The sums of the day: of all calls, and of each agent's.
#[derive(Debug, Default)]
pub(super) struct Spending {
    pub(super) earlier: Earlier,
    pub(super) of_all: Sum,
    of_agents: BTreeMap<Arc<str>, Sum>,
}

impl Spending {
    /// The sum of this agent's calls.
    pub(super) fn of(&mut self, agent: &Arc<str>) -> &mut Sum {
        self.of_agents.entry(Arc::clone(agent)).or_default()
    }

    /// Adds what this agent's calls under an earlier daemon have cost on this day.
    pub(super) fn add(&mut self, today: NaiveDate, agent: &Arc<str>, cost: MicroUsd) {
        self.of_all.add(today, cost);
        self.of(agent).add(today, cost);
    }

    /// Adds what a running call of this agent has cost since the last report.
    pub(super) fn grows(&mut self, agent: &Arc<str>, cost: MicroUsd) {
        self.of_all.grows(cost);
        self.of(agent).grows(cost);
    }

    /// Moves the total cost of a call of this agent that has ended from the running calls to the day.
    pub(super) fn ends(&mut self, today: NaiveDate, agent: &Arc<str>, cost: MicroUsd) {
        self.of_all.ends(today, cost);
        self.of(agent).ends(today, cost);
    }

    /// What the calls that run have cost so far: all of them, and each agent's.
    pub(super) fn running(&self) -> (MicroUsd, impl Iterator<Item = (&Arc<str>, MicroUsd)>) {
        let of_agents = self.of_agents.iter().map(|(agent, sum)| (agent, sum.running));
        (self.of_all.running, of_agents)
    }

    /// Forgets the agents that have no calls and are not known any more.
    pub(super) fn keep(&mut self, is_known: impl Fn(&str) -> bool) {
        self.of_agents.retain(|agent, sum| sum.running > MicroUsd::ZERO || is_known(agent));
    }
}

/// The sum of a day.
#[derive(Debug, Default)]
pub(super) struct Sum {
    day: NaiveDate,
    /// What the calls that ended on this day have cost.
    over: MicroUsd,
    /// What the calls that run have cost so far.
    running: MicroUsd,
    /// The last day on which the operator was told that the limit is reached.
    said: Option<NaiveDate>,
}

impl Sum {
    /// Adds what calls that are over, of this daemon or an earlier one, have cost on this day.
    fn add(&mut self, today: NaiveDate, cost: MicroUsd) {
        self.turn_to(today);
        self.over = self.over.saturating_add(cost);
    }

    /// A call that runs has cost so much more.
    fn grows(&mut self, cost: MicroUsd) {
        self.running = self.running.saturating_add(cost);
    }

    /// A call is over that has cost so much in all.
    fn ends(&mut self, today: NaiveDate, cost: MicroUsd) {
        self.running = self.running.saturating_sub(cost);
        self.add(today, cost);
    }

    /// What was spent today, calls that run included.
    pub(super) fn spent_today(&self, today: NaiveDate) -> MicroUsd {
        let over = if self.day == today { self.over } else { MicroUsd::ZERO };
        over.saturating_add(self.running)
    }

    /// Whether the operator is to be told today that the limit is reached: the first time.
    pub(super) fn is_news(&mut self, today: NaiveDate) -> bool {
        self.said.replace(today) != Some(today)
    }

    /// Another day begins at nothing.
    fn turn_to(&mut self, today: NaiveDate) {
        if self.day != today {
            (self.day, self.over) = (today, MicroUsd::ZERO);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_a_sum_and_a_line_of_its_own() {
        let (today, tomorrow) = ("2026-11-20".parse().unwrap(), "2026-11-21".parse().unwrap());
        let (mut spending, micro) = (Sum::default(), MicroUsd::new);
        spending.add(today, micro(5));
        spending.grows(micro(9));
        assert_eq!(spending.spent_today(today), micro(14));
        spending.ends(today, micro(7));
        assert_eq!(spending.spent_today(today), micro(14), "of the nine, two are still running");
        assert_eq!([spending.is_news(today), spending.is_news(today)], [true, false]);
        assert_eq!(spending.spent_today(tomorrow), micro(2), "a call that runs counts for today");
        spending.ends(tomorrow, micro(2));
        assert!(spending.is_news(tomorrow));
        assert_eq!(spending.spent_today(tomorrow), micro(2));
        spending.add(tomorrow, MicroUsd::MAX);
        assert_eq!(spending.spent_today(tomorrow), MicroUsd::MAX);
    }
}

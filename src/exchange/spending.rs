//! What the calls of today have cost, against what the operator allows for a day (`MAX_DAY_COST`).
//!
//! A call counts on the day it ends, by the machine's clock and time zone; until then it counts for today. Kept in memory:
//! what an earlier daemon spent today is added when the call log has told it. Only what is known of a cost counts.

use chrono::NaiveDate;

use crate::units::MicroUsd;

/// The day's sum.
#[derive(Debug, Default)]
pub(super) struct Spending {
    day: NaiveDate,
    /// What the calls that ended on this day have cost.
    over: MicroUsd,
    /// What the calls that run have cost so far.
    running: MicroUsd,
    /// The last day on which the operator was told that the limit is reached.
    said: Option<NaiveDate>,
}

impl Spending {
    /// What calls of an earlier daemon have cost on this day.
    pub(super) fn add(&mut self, today: NaiveDate, cost: MicroUsd) {
        self.turn_to(today);
        self.over = self.over.saturating_add(cost);
    }

    /// A call that runs has cost so much more.
    pub(super) fn grows(&mut self, cost: MicroUsd) {
        self.running = self.running.saturating_add(cost);
    }

    /// A call is over that has cost so much in all.
    pub(super) fn ends(&mut self, today: NaiveDate, cost: MicroUsd) {
        self.running = self.running.saturating_sub(cost);
        self.add(today, cost);
    }

    /// What the calls that run have cost so far.
    pub(super) fn running(&self) -> MicroUsd {
        self.running
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
        let (mut spending, micro) = (Spending::default(), MicroUsd::new);
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

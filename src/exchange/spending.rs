//! What the calls of today have cost, against what the operator allows for a day (`MAX_DAY_COST`).
//!
//! A call counts on the day it ends, by the machine's clock and time zone; until then it counts for today. Kept in memory:
//! what an earlier daemon spent today is added when the call log has told it. Only what is known of a cost counts.

use chrono::NaiveDate;

/// The day's sum.
#[derive(Debug, Default)]
pub(super) struct Spending {
    day: NaiveDate,
    /// What the calls that ended on this day have cost, micro-USD.
    over: u64,
    /// What the calls that run have cost so far, micro-USD.
    running: u64,
    /// The last day on which the operator was told that the limit is reached.
    said: Option<NaiveDate>,
}

impl Spending {
    /// What calls of an earlier daemon have cost on this day, micro-USD.
    pub(super) fn add(&mut self, today: NaiveDate, micro_usd: u64) {
        self.turn_to(today);
        self.over = self.over.saturating_add(micro_usd);
    }

    /// A call that runs has cost so much more, micro-USD.
    pub(super) fn grows(&mut self, micro_usd: u64) {
        self.running = self.running.saturating_add(micro_usd);
    }

    /// A call is over that has cost so much in all, micro-USD.
    pub(super) fn ends(&mut self, today: NaiveDate, micro_usd: u64) {
        self.running = self.running.saturating_sub(micro_usd);
        self.add(today, micro_usd);
    }

    /// What the calls that run have cost so far, micro-USD.
    pub(super) fn running(&self) -> u64 {
        self.running
    }

    /// What was spent today, calls that run included, micro-USD.
    pub(super) fn spent_today(&self, today: NaiveDate) -> u64 {
        let over = if self.day == today { self.over } else { 0 };
        over.saturating_add(self.running)
    }

    /// Whether the operator is to be told today that the limit is reached: the first time.
    pub(super) fn is_news(&mut self, today: NaiveDate) -> bool {
        self.said.replace(today) != Some(today)
    }

    /// Another day begins at nothing.
    fn turn_to(&mut self, today: NaiveDate) {
        if self.day != today {
            (self.day, self.over) = (today, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_a_sum_and_a_line_of_its_own() {
        let (today, tomorrow) = ("2026-11-20".parse().unwrap(), "2026-11-21".parse().unwrap());
        let mut spending = Spending::default();
        spending.add(today, 5);
        spending.grows(9);
        assert_eq!(spending.spent_today(today), 14);
        spending.ends(today, 7);
        assert_eq!(spending.spent_today(today), 14, "of the nine, two are still running");
        assert_eq!([spending.is_news(today), spending.is_news(today)], [true, false]);
        assert_eq!(spending.spent_today(tomorrow), 2, "a call that runs counts for today");
        spending.ends(tomorrow, 2);
        assert!(spending.is_news(tomorrow));
        assert_eq!(spending.spent_today(tomorrow), 2);
        spending.add(tomorrow, u64::MAX);
        assert_eq!(spending.spent_today(tomorrow), u64::MAX);
    }
}

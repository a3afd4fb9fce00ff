//! What the calls of today have cost, against what the operator allows for a day (`MAX_DAY_COST`).
//!
//! A call counts on the day it ends, by the machine's clock and time zone; until then it is the daemon's to ask. Kept in
//! memory: what an earlier daemon spent today is added when the call log has told it. Only what is known of a cost counts.

use chrono::NaiveDate;

/// The day's sum.
#[derive(Debug, Default)]
pub(super) struct Spending {
    day: NaiveDate,
    micro_usd: u64,
    /// The operator has been told today that the limit is reached.
    said: bool,
}

impl Spending {
    /// A call is over that has cost so much, micro-USD; or all those before us.
    pub(super) fn add(&mut self, today: NaiveDate, micro_usd: u64) {
        self.turn_to(today);
        self.micro_usd = self.micro_usd.saturating_add(micro_usd);
    }

    /// What was spent today by calls that are over, micro-USD.
    pub(super) fn spent_today(&mut self, today: NaiveDate) -> u64 {
        self.turn_to(today);
        self.micro_usd
    }

    /// Whether the operator is to be told today that the limit is reached: the first time.
    pub(super) fn is_news(&mut self, today: NaiveDate) -> bool {
        self.turn_to(today);
        !std::mem::replace(&mut self.said, true)
    }

    /// Another day begins at nothing.
    fn turn_to(&mut self, today: NaiveDate) {
        if self.day != today {
            *self = Self { day: today, micro_usd: 0, said: false };
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
        spending.add(today, 7);
        assert_eq!(spending.spent_today(today), 12);
        assert_eq!([spending.is_news(today), spending.is_news(today)], [true, false]);
        assert_eq!(spending.spent_today(tomorrow), 0);
        spending.add(tomorrow, 3);
        assert!(spending.is_news(tomorrow));
        assert_eq!(spending.spent_today(tomorrow), 3);
        spending.add(tomorrow, u64::MAX);
        assert_eq!(spending.spent_today(tomorrow), u64::MAX);
    }
}

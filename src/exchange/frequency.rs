//! How often each caller has called within the last hour, against what the operator allows (`MAX_CALLS_PER_CALLER_HOUR`).
//!
//! Counts the calls that were taken; one that is handed back costs nothing. Callers who withhold their number are not told
//! apart, and not counted. Kept in memory, from the start of the daemon on. Pure: the time is an argument.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::number::{CallerNumber, Identity};

const HOUR: Duration = Duration::from_hours(1);
/// Calls that are remembered, of all callers together: about 10 MB. More than that in an hour, and the oldest are
/// forgotten; a machine takes a few thousand.
const REMEMBERED: usize = 100_000;

/// The calls of the last hour.
#[derive(Debug, Default)]
pub(super) struct Frequency {
    /// In the order of their coming.
    calls: VecDeque<(Instant, Identity)>,
    /// How many of them each caller has made.
    of_caller: HashMap<Identity, u32>,
}

impl Frequency {
    /// Whether this caller has made `most` calls within the last hour.
    pub(super) fn is_reached(&mut self, now: Instant, number: &CallerNumber, most: Option<u32>) -> bool {
        self.forget_until(now);
        let made = number.identity().and_then(|caller| self.of_caller.get(&caller));
        most.is_some_and(|most| made.is_some_and(|made| *made >= most))
    }

    /// A call of this caller is taken.
    pub(super) fn count(&mut self, now: Instant, number: &CallerNumber) {
        let Some(caller) = number.identity() else { return };
        if self.calls.len() == REMEMBERED {
            self.forget_oldest();
        }
        *self.of_caller.entry(caller.clone()).or_default() += 1;
        self.calls.push_back((now, caller));
    }

    fn forget_until(&mut self, now: Instant) {
        let is_old = |(at, _): &(Instant, Identity)| now.saturating_duration_since(*at) >= HOUR;
        while self.calls.front().is_some_and(is_old) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((_, caller)) = self.calls.pop_front() else { return };
        if let Some(made) = self.of_caller.get_mut(&caller) {
            *made -= 1;
            if *made == 0 {
                self.of_caller.remove(&caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_caller_may_call_so_often_in_any_hour_however_the_number_is_written() {
        let (mut calls, start) = (Frequency::default(), now());
        calls.count(start, &"+573001234567".into());
        calls.count(start + 30 * MINUTE, &"3001234567".into());
        let mut is_reached =
            |minutes, number: &str| calls.is_reached(start + minutes * MINUTE, &number.into(), Some(2));
        assert!(is_reached(31, "00573001234567") && is_reached(59, "300 123 4567"));
        assert!(!is_reached(59, "3001234568"), "another caller");
        assert!(!is_reached(60, "3001234567"), "the first call is an hour old");
    }

    #[test]
    fn without_a_limit_or_a_number_nobody_is_refused() {
        let (mut calls, now) = (Frequency::default(), now());
        for number in ["", "anonymous", "3001234567", "Ana", "ana"] {
            calls.count(now, &number.into());
        }
        let mut is_reached = |number: &str, most| calls.is_reached(now, &number.into(), most);
        assert!(["", "Anonymous"].iter().all(|number| !is_reached(number, Some(1))));
        assert!(!is_reached("3001234567", None) && is_reached("3001234567", Some(1)));
        assert!(is_reached("ANA", Some(2)));
    }

    #[test]
    fn strangers_do_not_make_it_grow_for_ever() {
        let (mut calls, now) = (Frequency::default(), now());
        for number in 0..REMEMBERED + 10 {
            calls.count(now, &format!("{number:09}").into());
        }
        assert_eq!((calls.calls.len(), calls.of_caller.len()), (REMEMBERED, REMEMBERED));
        let (forgotten, known) = ("000000009".into(), "000000010".into());
        assert!(!calls.is_reached(now, &forgotten, Some(1)) && calls.is_reached(now, &known, Some(1)));
        assert!(!calls.is_reached(now + HOUR, &known, Some(1)));
        assert_eq!((calls.calls.len(), calls.of_caller.len()), (0, 0));
    }
}

//! Whether OpenAI serves callers, as their calls have found out, and who still tries while it does not.
//!
//! ```text
//!              three calls in a row were not served
//!   Serving ──────────────────────────────────────────► Out: one caller in ten tries, and the first after a minute
//!      ▲                                                  │  in which nobody has tried; the others are handed back at once
//!      └────────────── a caller hears the model ──────────┘
//! ```
//! A caller who tries in vain waits for seconds and hears an apology; one who is handed back at once reaches a person.
//! Pure: what happens comes in with its time, and the operator's lines come out.

use std::time::{Duration, Instant};

use chrono::{DateTime, FixedOffset};

use crate::call::Standing;
use crate::end_reason::EndReason;
use crate::operator::Notice;

/// So many calls in a row that were not served are an outage. With fewer, two chance failures
/// count as an outage; with more, more callers wait in vain.
const IN_A_ROW: u32 = 3;
/// One caller in so many tries. Fewer notices the outage's end sooner, at the price of more who wait in vain.
const ONE_IN: u32 = 10;
/// After so long without a try the next caller tries, however few come. Shorter spares callers less.
const TRY_AFTER: Duration = Duration::from_mins(1);

/// The judgement.
#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    /// When OpenAI last failed a call, if none has been served since.
    failed_at: Option<DateTime<FixedOffset>>,
}

#[derive(Debug)]
enum State {
    /// So many calls in a row were not served, the first of them at `since`.
    Serving {
        failed: u32,
        since: Option<DateTime<FixedOffset>>,
    },
    Out(Outage),
}

#[derive(Debug)]
struct Outage {
    since: DateTime<FixedOffset>,
    /// Why the last caller who tried was not served.
    reason: EndReason,
    /// Callers who were not served, handed back or not.
    callers: u64,
    /// Callers who were handed back since the last try.
    handed_back: u32,
    tried_at: Instant,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: State::Serving { failed: 0, since: None }, failed_at: None }
    }
}

impl Breaker {
    /// Whether there is an outage.
    pub(super) fn is_out(&self) -> bool {
        matches!(self.state, State::Out(_))
    }

    /// When OpenAI last failed a call, if none has been served since.
    pub(super) fn failed_at(&self) -> Option<DateTime<FixedOffset>> {
        self.failed_at
    }

    /// Decides about a caller who arrives. `None`: the caller is served, perhaps as a test during an outage. Otherwise the
    /// caller is handed back at once, and the result is the reason why the last test failed.
    pub(super) fn hands_back(&mut self, now: Instant) -> Option<EndReason> {
        let State::Out(outage) = &mut self.state else { return None };
        let is_overdue = now.saturating_duration_since(outage.tried_at) >= TRY_AFTER;
        if outage.handed_back + 1 >= ONE_IN || is_overdue {
            (outage.handed_back, outage.tried_at) = (0, now);
            return None;
        }
        outage.handed_back += 1;
        outage.callers += 1;
        Some(outage.reason)
    }

    /// A call has found out how OpenAI stands. What the operator is to be told, if an outage begins or ends with it.
    pub(super) fn learn(
        &mut self,
        standing: &Standing,
        now: Instant,
        wall: DateTime<FixedOffset>,
    ) -> Option<Notice> {
        self.failed_at = matches!(standing, Standing::Fails { .. }).then_some(wall);
        match (standing, &mut self.state) {
            (Standing::Serves, State::Serving { .. }) => {
                self.state = State::Serving { failed: 0, since: None };
                None
            }
            (Standing::Serves, State::Out(Outage { since, callers, .. })) => {
                let seconds = (wall - *since).num_seconds().unsigned_abs();
                let back = Notice::OpenAiBack { seconds, callers: *callers };
                self.state = State::Serving { failed: 0, since: None };
                Some(back)
            }
            (Standing::Fails { reason, cause }, State::Serving { failed, since }) => {
                *failed += 1;
                let since = *since.get_or_insert(wall);
                if *failed < IN_A_ROW {
                    return None;
                }
                let callers = u64::from(*failed);
                let out = Outage { since, reason: *reason, callers, handed_back: 0, tried_at: now };
                self.state = State::Out(out);
                let since = since.format("%F %T").to_string();
                Some(Notice::OpenAiOut { since, callers, one_in: ONE_IN, cause: cause.clone() })
            }
            (Standing::Fails { reason, .. }, State::Out(outage)) => {
                outage.reason = *reason;
                outage.callers += 1;
                None
            }
        }
    }

    /// The configuration was read again, perhaps with what was wrong put right: the next caller tries.
    pub(super) fn try_next(&mut self) {
        if let State::Out(outage) = &mut self.state {
            outage.handed_back = ONE_IN - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    /// A clock, and what happens at each of its moments.
    struct Day {
        breaker: Breaker,
        now: Instant,
        wall: DateTime<FixedOffset>,
    }

    impl Day {
        fn new() -> Self {
            let wall = "2026-11-20T14:30:25-05:00".parse().expect("a time");
            Self { breaker: Breaker::default(), now: now(), wall }
        }

        fn after(&mut self, seconds: u64) -> &mut Self {
            let passed = Duration::from_secs(seconds);
            self.now += passed;
            self.wall += passed;
            self
        }

        fn fails(&mut self) -> Option<Notice> {
            let standing =
                Standing::Fails { reason: EndReason::SessionLate, cause: Box::new(Notice::KeyRefused) };
            self.breaker.learn(&standing, self.now, self.wall)
        }

        fn serves(&mut self) -> Option<Notice> {
            self.breaker.learn(&Standing::Serves, self.now, self.wall)
        }

        /// Of so many callers, the places of those who are let in.
        fn let_in(&mut self, callers: usize) -> Vec<usize> {
            (1..=callers).filter(|_| self.breaker.hands_back(self.now).is_none()).collect()
        }
    }

    #[test]
    fn three_calls_in_a_row_are_an_outage_and_two_are_not() {
        let mut day = Day::new();
        assert_eq!((day.fails(), day.fails(), day.serves()), (None, None, None));
        assert_eq!((day.after(5).fails(), day.after(10).fails()), (None, None));
        assert_eq!(day.let_in(20).len(), 20);
        let cause = Box::new(Notice::KeyRefused);
        let out = Notice::OpenAiOut { since: "2026-11-20 14:30:30".into(), callers: 3, one_in: 10, cause };
        assert_eq!(day.after(10).fails(), Some(out));
        assert!(day.breaker.is_out());
        assert_eq!(day.after(1).fails(), None, "an outage is told once");
    }

    #[test]
    fn one_caller_in_ten_tries_and_the_others_are_handed_back_for_the_reason_of_those_before() {
        let mut day = Day::new();
        assert!((0..3).filter_map(|_| day.fails()).count() == 1);
        assert_eq!(day.let_in(35), [10, 20, 30]);
        assert_eq!(day.breaker.hands_back(day.now), Some(EndReason::SessionLate));
        let refused =
            Standing::Fails { reason: EndReason::SessionFailed, cause: Box::new(Notice::KeyRefused) };
        assert_eq!(day.breaker.learn(&refused, day.now, day.wall), None);
        assert_eq!(day.breaker.hands_back(day.now), Some(EndReason::SessionFailed));
        // Three at first, 32 and two who were handed back, and the one who tried.
        assert_eq!(day.after(90).serves(), Some(Notice::OpenAiBack { seconds: 90, callers: 3 + 32 + 2 + 1 }));
        assert_eq!((day.breaker.is_out(), day.let_in(20).len()), (false, 20));
        assert_eq!(day.fails(), None, "it is counted anew");
    }

    #[test]
    fn where_few_call_one_tries_every_minute_and_after_a_reload_the_next() {
        let mut day = Day::new();
        assert!((0..3).filter_map(|_| day.fails()).count() == 1);
        assert_eq!(day.after(59).let_in(1), [0; 0]);
        assert_eq!(day.after(1).let_in(2), [1]);
        assert_eq!(day.after(59).let_in(1), [0; 0]);
        assert_eq!(day.after(1).let_in(1), [1]);
        day.breaker.try_next();
        assert_eq!(day.let_in(3), [1]);
        let mut well = Breaker::default();
        well.try_next();
        assert!(!well.is_out());
    }
}

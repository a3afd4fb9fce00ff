//! The counters of the machine and of the calls' clocks, from which the exchange judges how many calls the daemon can
//! carry. The daemon reads them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The counters at one moment. They only grow.
#[derive(Debug, Clone)]
pub struct Counters {
    /// When they were read.
    pub at: Instant,
    /// What the threads that carry calls have had; None where the kernel does not tell.
    pub threads: Option<ThreadTimes>,
    /// Processor time of the whole daemon for each of its processors, in the mean: recording and API have threads too.
    pub ran_on_each: Duration,
    /// What the hypervisor has taken of each processor, in the mean.
    pub stolen: Duration,
}

/// What a thread has had of the processors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ThreadTime {
    /// For how long it has been running on one.
    pub ran: Duration,
    /// For how long it has been ready to run and waited for one.
    pub waited: Duration,
}

impl ThreadTime {
    /// For how long it has wanted a processor.
    #[must_use]
    pub fn busy(self) -> Duration {
        self.ran + self.waited
    }

    fn since(self, before: Self) -> Self {
        let (ran, waited) = (self.ran.saturating_sub(before.ran), self.waited.saturating_sub(before.waited));
        Self { ran, waited }
    }
}

/// The times of each of the threads that carry calls, since it began.
#[derive(Debug, Clone, Default)]
pub struct ThreadTimes(BTreeMap<u32, ThreadTime>);

impl ThreadTimes {
    /// Of these threads, by their numbers.
    pub fn of(threads: impl IntoIterator<Item = (u32, ThreadTime)>) -> Self {
        Self(threads.into_iter().collect())
    }

    /// What the busiest thread has had since `before`.
    #[must_use]
    pub fn busiest_since(&self, before: &Self) -> ThreadTime {
        let since =
            |(number, now): (&u32, &ThreadTime)| now.since(before.0.get(number).copied().unwrap_or_default());
        self.0.iter().map(since).max_by_key(|time| time.busy()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_thread_counts_and_a_new_one_from_its_beginning() {
        let time = |ran, waited| ThreadTime {
            ran: Duration::from_millis(ran),
            waited: Duration::from_millis(waited),
        };
        let before = ThreadTimes::of([(1, time(90, 10)), (2, time(500, 0)), (3, time(900, 0))]);
        let now = ThreadTimes::of([(1, time(100, 30)), (2, time(510, 0)), (4, time(30, 10))]);
        assert_eq!(now.busiest_since(&before), time(30, 10));
        assert_eq!(ThreadTimes::default().busiest_since(&before), ThreadTime::default());
    }
}

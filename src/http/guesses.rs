//! Counts wrong tokens for each client. After ten wrong tokens within a minute, the API examines no further token of
//! this client until the minute is over. Nobody can therefore find a token by trying.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::origin::Share;

/// Wrong tokens within a minute that shut a client out. A smaller value would shut out people who mistype; a larger
/// one would only help people who guess.
const FAILURES: u32 = 10;
const MINUTE: Duration = Duration::from_secs(60);
/// The number of clients whose wrong tokens are counted at the same time. When one more appears, the oldest count is
/// dropped. A larger value costs memory; a smaller one lets somebody with many addresses reset their own count.
const SHARES: usize = 1_024;

/// The counts of wrong tokens.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    counts: HashMap<Share, Count>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    since: Instant,
    failures: u32,
}

impl Count {
    /// The time that remains of the minute.
    fn rest(&self, now: Instant) -> Option<Duration> {
        MINUTE.checked_sub(now.saturating_duration_since(self.since)).filter(|rest| !rest.is_zero())
    }
}

impl Guesses {
    /// How long no token of this client is examined. `None` if the client may try a token.
    pub(super) fn shut_out(&self, share: Share, now: Instant) -> Option<Duration> {
        let count = self.counts.get(&share).filter(|count| count.failures >= FAILURES)?;
        count.rest(now)
    }

    /// Counts a wrong token. Returns true if this token shuts the client out, which the operator is told once.
    pub(super) fn failed(&mut self, share: Share, now: Instant) -> bool {
        if self.counts.get(&share).is_none_or(|count| count.rest(now).is_none()) {
            self.counts.retain(|_, count| count.rest(now).is_some());
            if self.counts.len() >= SHARES {
                let oldest = self.counts.iter().min_by_key(|(_, count)| count.since).map(|(share, _)| *share);
                oldest.map(|oldest| self.counts.remove(&oldest));
            }
            self.counts.insert(share, Count { since: now, failures: 0 });
        }
        self.counts.get_mut(&share).is_some_and(|count| {
            count.failures += 1;
            count.failures == FAILURES
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn after_ten_wrong_tokens_a_minute_is_waited_for_and_said_once() {
        let (mut guesses, now) = (Guesses::default(), clock::now());
        let (one, other) = (Share::User(1_000), Share::User(1_001));
        let said: Vec<_> = (0..10).map(|_| guesses.failed(one, now)).collect();
        assert_eq!(said, [vec![false; 9], vec![true]].concat());
        let later = now + Duration::from_secs(20);
        assert_eq!(guesses.shut_out(one, later), Some(Duration::from_secs(40)));
        assert!(!guesses.failed(one, later), "it has been said");
        assert_eq!(guesses.shut_out(other, later), None);
        assert_eq!(guesses.shut_out(one, now + MINUTE), None);
        assert!(!guesses.failed(one, now + MINUTE), "and it begins anew");
        assert_eq!(guesses.shut_out(one, now + MINUTE), None);
    }

    #[test]
    fn no_more_are_counted_than_there_is_room_for() {
        let (mut guesses, now) = (Guesses::default(), clock::now());
        for uid in 0..5_000 {
            guesses.failed(Share::User(uid), now + Duration::from_millis(u64::from(uid)));
        }
        assert_eq!(guesses.counts.len(), SHARES);
    }
}

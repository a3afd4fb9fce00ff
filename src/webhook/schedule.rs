//! When a message is sent again: ten attempts within three days.

use std::time::Duration;

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// The pauses before the second and each further attempt (Standard Webhooks, "Retry schedule"). More attempts would keep
/// personal data longer for a receiver that is gone; fewer would lose the messages of a long weekend.
const PAUSES: [Duration; 9] = [
    Duration::from_secs(5),
    minutes(5),
    minutes(30),
    minutes(2 * 60),
    minutes(5 * 60),
    minutes(10 * 60),
    minutes(14 * 60),
    minutes(20 * 60),
    minutes(24 * 60),
];
/// How often a message is sent at most.
pub const MOST_ATTEMPTS: u32 = PAUSES.len() as u32 + 1;
/// The longest pause that a receiver may ask for. A larger value would let a receiver keep messages waiting for ever.
const LONGEST: Duration = minutes(24 * 60);
/// By how many hundredths a pause is shortened or lengthened at most, so that the messages of an outage do not all come at once.
const SPREAD: u64 = 10;

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The receiver answered.
    Status {
        /// The status code (RFC 9110 section 15).
        status: u16,
        /// How long the receiver wants to be left alone (`Retry-After`, RFC 9110 section 10.2.3).
        retry_after: Option<Duration>,
    },
    /// No answer came.
    Nothing,
}

/// What becomes of a message after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it.
    Done,
    /// It is sent again after this pause.
    Again(Duration),
    /// It is not sent again by itself.
    GiveUp,
    /// The same, and nothing else is sent to this address: the receiver says that it is gone for good (410).
    AddressGone,
}

/// Judges an attempt: the `attempts`th. `chance` is a random number.
#[must_use]
pub fn judge(attempts: u32, answer: Answer, chance: u64) -> Verdict {
    let asked = match answer {
        Answer::Status { status: 200..=299, .. } => return Verdict::Done,
        Answer::Status { status: 410, .. } => return Verdict::AddressGone,
        Answer::Status { retry_after, .. } => retry_after.unwrap_or_default().min(LONGEST),
        Answer::Nothing => Duration::ZERO,
    };
    let pause = PAUSES.get(attempts.max(1) as usize - 1);
    pause.map_or(Verdict::GiveUp, |pause| Verdict::Again(spread(*pause, chance).max(asked)))
}

/// The pause, up to [`SPREAD`] hundredths shorter or longer.
fn spread(pause: Duration, chance: u64) -> Duration {
    // In thousandths, so that the pauses of many messages differ.
    let steps = 20 * SPREAD + 1;
    let thousandths = 1_000 - 10 * SPREAD + chance % steps;
    pause * u32::try_from(thousandths).unwrap_or(1_000) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILS: Answer = Answer::Status { status: 503, retry_after: None };

    /// The times of all attempts at a receiver that answers so at each time.
    fn attempts(chance: u64, answer: impl Fn(Duration) -> Answer) -> (Vec<Duration>, Verdict) {
        let (mut at, mut all) = (Duration::ZERO, Vec::new());
        loop {
            all.push(at);
            match judge(all.len() as u32, answer(at), chance) {
                Verdict::Again(pause) => at += pause,
                verdict => return (all, verdict),
            }
        }
    }

    #[test]
    fn a_receiver_that_is_down_for_a_day_gets_the_message_at_the_next_attempt() {
        let day = Duration::from_secs(24 * 3_600);
        for chance in 0..1_000 {
            let down = |at| {
                if at < day { Answer::Nothing } else { Answer::Status { status: 204, retry_after: None } }
            };
            let (times, verdict) = attempts(chance, down);
            assert_eq!((verdict, times.len()), (Verdict::Done, 8), "{chance}");
            let last = times[7].as_secs_f64() / 3_600.0;
            assert!((28.0..35.0).contains(&last), "31.6 hours, more or less a tenth: {last}");
        }
    }

    #[test]
    fn after_ten_attempts_within_three_days_and_a_quarter_a_message_is_given_up() {
        // The middle of the spread.
        let (times, verdict) = attempts(100, |_| FAILS);
        let seconds: Vec<_> = times.iter().map(Duration::as_secs).collect();
        let hours = |hours: u64| 35 * 60 + 5 + hours * 3_600;
        let expected =
            [0, 5, 305, 35 * 60 + 5, hours(2), hours(7), hours(17), hours(31), hours(51), hours(75)];
        assert_eq!((seconds, verdict), (expected.to_vec(), Verdict::GiveUp));
        assert_eq!(times.len() as u32, MOST_ATTEMPTS);
        let first = |chance| judge(1, FAILS, chance);
        assert_eq!(first(0), Verdict::Again(Duration::from_millis(4_500)));
        assert_eq!(first(200), Verdict::Again(Duration::from_millis(5_500)));
    }

    #[test]
    fn a_receiver_decides_what_is_done_what_is_over_and_how_long_it_is_left_alone() {
        let status = |status, seconds: Option<u64>| Answer::Status {
            status,
            retry_after: seconds.map(Duration::from_secs),
        };
        for done in [200, 202, 204, 299] {
            assert_eq!(judge(3, status(done, None), 0), Verdict::Done);
        }
        assert_eq!(judge(1, status(410, None), 0), Verdict::AddressGone);
        for again in [301, 400, 404, 429, 500] {
            assert!(matches!(judge(1, status(again, None), 0), Verdict::Again(_)), "{again}");
        }
        assert_eq!(judge(1, status(429, Some(90)), 0), Verdict::Again(Duration::from_secs(90)));
        assert_eq!(judge(2, status(503, Some(1)), 100), Verdict::Again(minutes(5)), "the longer of the two");
        assert_eq!(judge(1, status(503, Some(u64::MAX)), 0), Verdict::Again(LONGEST));
        assert_eq!(judge(10, status(503, Some(1)), 0), Verdict::GiveUp);
    }
}

//! How long the caller waits: for the first word, for each answer, for silence when they interrupt.
//!
//! ```text
//!  their last voice ──► speech_stopped ───► first delta ───► first frame of it leaves
//!  (our own ear)        the server's word                    what they hear
//!                                           └── our share ──┘
//! ```
//! Our ear hears a voice for up to 100 ms after it ended, so each figure is too short by up to that time. `stopwatch` does the
//! measuring.

use std::time::Duration;

/// Most answers, and most interruptions, that are kept of one call. The rest of an endless call is not timed.
const KEPT: usize = 4_096;

/// How long the caller waited for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// For the assistant's first word, from their arrival to its first frame.
    Greeting(Duration),
    /// For an answer.
    Answer(Answer),
    /// For silence, when they interrupted.
    Silence(BargeIn),
}

/// What an answer took. All but `at` and `own` count from the end of the caller's speech, by our own ear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// When the caller's speech ended, since the birth of the call.
    pub at: Duration,
    /// Until the server said that it had.
    pub speech_stopped: Duration,
    /// Until the first audio delta came.
    pub first_delta: Duration,
    /// Until the first frame left for the caller.
    pub first_frame: Duration,
    /// Between the last two: what we have added.
    pub own: Duration,
}

/// An interruption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BargeIn {
    /// When the caller's voice began, by our own ear, since the birth of the call.
    pub at: Duration,
    /// From then until nothing more of the assistant left.
    pub silent_after: Duration,
}

/// Everything a caller waited for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latencies {
    /// For the first word, from their arrival to its first frame.
    pub greeting: Option<Duration>,
    /// Until OpenAI let us take the call; None: it is not one that OpenAI answers by SIP, or it has not.
    pub accepted: Option<Duration>,
    /// Until our settings were first in force in the session of such a call.
    pub session: Option<Duration>,
    /// For answers, in their order.
    pub answers: Vec<Answer>,
    /// For silence, in their order.
    pub barge_ins: Vec<BargeIn>,
}

impl Latencies {
    /// What so many of 100 answers did not exceed (nearest rank), from the caller's last voice to the first frame.
    pub fn answer_percentile(&self, percent: usize) -> Option<Duration> {
        let mut waited: Vec<_> = self.answers.iter().map(|answer| answer.first_frame).collect();
        waited.sort_unstable();
        let rank = (waited.len() * percent).div_ceil(100);
        waited.get(rank.saturating_sub(1)).copied()
    }

    /// Keeps what the caller waited for.
    pub fn add(&mut self, waited: Waited) {
        match waited {
            Waited::Greeting(after) => self.greeting = Some(after),
            Waited::Answer(answer) if self.answers.len() < KEPT => self.answers.push(answer),
            Waited::Silence(barge_in) if self.barge_ins.len() < KEPT => self.barge_ins.push(barge_in),
            Waited::Answer(_) | Waited::Silence(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_figures_that_some_answer_had() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.answer_percentile(50), None);
        for ms in [400, 100, 300, 200] {
            let first_frame = Duration::from_millis(ms);
            let zero = Duration::ZERO;
            latencies.add(Waited::Answer(Answer {
                at: zero,
                speech_stopped: zero,
                first_delta: zero,
                first_frame,
                own: zero,
            }));
        }
        let at = |percent| latencies.answer_percentile(percent).map(|waited| waited.as_millis());
        assert_eq!([at(1), at(50), at(51), at(95)], [Some(100), Some(200), Some(300), Some(400)]);
    }
}

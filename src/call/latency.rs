//! How long the caller waits: for the first word, for each answer, for silence when he interrupts.
//!
//! ```text
//!  his last voice ───► speech_stopped ───► first delta ───► first frame of it leaves
//!  (our own ear)        the server's word                    what he hears
//!                                           └── our share ──┘
//! ```
//! An answer is timed once, at its first frame, whatever came between: tools, another try, another session. One that
//! he talks over before that is not timed. Our ear holds on to a voice for up to 100 ms after it ended, so the figures are
//! that much too short, all by the same.

use std::time::{Duration, Instant};

use super::ear::Ear;
use super::playout::Played;
use super::record::Entry;
use super::responses::Purpose;
use super::{Call, Output};
use crate::realtime::ItemId;

/// Most answers, and most interruptions, that are kept of one call. The rest of an endless call is not timed.
const KEPT: usize = 4_096;

/// How long the caller waited for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// For the assistant's first word, from his arrival to its first frame.
    Greeting(Duration),
    /// For an answer.
    Answer(Answer),
    /// For silence, when he interrupted.
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
    /// For the first word, from his arrival to its first frame.
    pub greeting: Option<Duration>,
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

    fn add(&mut self, waited: Waited) {
        match waited {
            Waited::Greeting(after) => self.greeting = Some(after),
            Waited::Answer(answer) if self.answers.len() < KEPT => self.answers.push(answer),
            Waited::Silence(barge_in) if self.barge_ins.len() < KEPT => self.barge_ins.push(barge_in),
            Waited::Answer(_) | Waited::Silence(_) => {}
        }
    }
}

/// Times what the caller waits for.
#[derive(Debug, Default)]
pub(super) struct Stopwatch {
    pub(super) latencies: Latencies,
    /// When the caller was answered, since the birth of the call.
    pub(super) answered: Option<Duration>,
    /// The end of the last speech of the caller, timed or not.
    last_end: Option<Instant>,
    /// What he waits for.
    waits: Option<Waits>,
    /// Sound of the assistant has come that is to be heard.
    greets: bool,
    /// The item whose first frame is to be timed, and when its first delta came.
    item: Option<(ItemId, Instant)>,
}

/// The caller has spoken.
#[derive(Debug, Clone, Copy)]
struct Waits {
    since: Instant,
    speech_stopped: Duration,
}

impl Stopwatch {
    /// Of a caller who has just come; whether the dialplan has answered him.
    pub(super) fn new(answered: bool) -> Self {
        Self { answered: answered.then_some(Duration::ZERO), ..Self::default() }
    }

    /// What the caller waits for is another thing now.
    pub(super) fn caller_began(&mut self) {
        (self.waits, self.item) = (None, None);
    }

    /// The server says that the caller's speech is over.
    pub(super) fn caller_ended(&mut self, now: Instant, ear: &Ear) {
        // A turn in which our ear heard nothing has no end that could be timed, and one behind which the caller goes
        // on speaking gets no answer he waits for.
        let voice = ear.last_voice().filter(|_| ear.speech_since().is_none());
        let since = voice.filter(|voice| self.last_end.is_none_or(|last| last < *voice));
        self.last_end = ear.last_voice();
        self.waits = since.map(|since| Waits { since, speech_stopped: now.saturating_duration_since(since) });
    }

    /// Sound of this item came that is to be heard, of a response that is for this. Whether it is the call's first.
    pub(super) fn delta(&mut self, now: Instant, item: &ItemId, purpose: Option<Purpose>) -> bool {
        let is_first = !std::mem::replace(&mut self.greets, true);
        // A question of ours, whether he is still there, answers nothing.
        if self.item.is_none() && self.waits.is_some() && purpose != Some(Purpose::Prompt) {
            self.item = Some((item.clone(), now));
        }
        is_first
    }
}

impl Call {
    /// Frames have left; `played`: the items that ended with them.
    pub(super) fn frames_left(&mut self, played: &[Played]) {
        let since = |earlier: Instant| self.now.saturating_duration_since(earlier);
        let Stopwatch { latencies, greets, waits, item, .. } = &mut self.stopwatch;
        let is_first = *greets && latencies.greeting.is_none() && self.playout.has_spoken;
        let greeting = is_first.then(|| Waited::Greeting(since(self.born)));
        let begun = item.take_if(|(item, _)| self.playout.has_begun(item, played));
        let answer = begun.and_then(|(_, delta)| Some((delta, waits.take()?))).map(|(delta, waits)| {
            Waited::Answer(Answer {
                at: waits.since.saturating_duration_since(self.born),
                speech_stopped: waits.speech_stopped,
                first_delta: delta.saturating_duration_since(waits.since),
                first_frame: since(waits.since),
                own: since(delta),
            })
        });
        for waited in [greeting, answer].into_iter().flatten() {
            self.waited(waited);
        }
    }

    /// The caller has silenced the assistant.
    pub(super) fn silenced(&mut self) {
        let Some(voice) = self.to_model.ear.speech_since() else { return };
        let at = voice.saturating_duration_since(self.born);
        let silent_after = self.now.saturating_duration_since(voice);
        self.waited(Waited::Silence(BargeIn { at, silent_after }));
    }

    fn waited(&mut self, waited: Waited) {
        self.stopwatch.latencies.add(waited);
        self.outputs.push(Output::Record(Entry::Waited(waited)));
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

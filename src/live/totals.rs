//! What all calls since the start have come to: sums, and how long callers waited. Pure arithmetic.
//!
//! Every sum only grows, whether a call is added once at its end or seen again and again while it runs.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crate::call::Counters;
use crate::call::glance::Glance;
use crate::call::latency::Latencies;
use crate::call::ledger::Tokens;
use crate::call::uplink::UplinkCounters;
use crate::operator::EndReason;
use crate::realtime::rate_limits::RateLimits;

use super::Facts;

/// The upper bounds of a [`Histogram`], milliseconds: from our own share, which is a frame, to a caller who has given up.
pub const BOUNDS: [u64; 15] =
    [10, 20, 50, 100, 200, 300, 400, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000];

/// How often something took how long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// How often it took no longer than this one of [`BOUNDS`], and longer than the one before.
    pub within: [u64; BOUNDS.len()],
    /// How often it was timed, longer times included.
    pub count: u64,
    /// All of it together.
    pub sum: Duration,
}

impl Histogram {
    fn add(&mut self, took: Duration) {
        let place = BOUNDS.iter().position(|bound| took <= Duration::from_millis(*bound));
        if let Some(place) = place {
            self.within[place] += 1;
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(took);
    }
}

/// What a model's tokens were used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// To talk.
    Conversation,
    /// To put what callers say into words.
    Transcription,
}

impl Use {
    /// The word in metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Conversation => "conversation",
            Self::Transcription => "transcription",
        }
    }
}

/// What calls have come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Calls that run.
    pub live: u64,
    /// Callers who came, taken or not.
    pub started: u64,
    /// Calls that are over, by reason; those not taken too.
    pub ended: HashMap<EndReason, u64>,
    /// Counts.
    pub counters: Counters,
    /// The callers' packets.
    pub uplink: UplinkCounters,
    /// Frames sent to callers.
    pub frames: u64,
    /// Frames skipped because the clock was late.
    pub late_frames: u64,
    /// Pauses inside the assistant's speech because its audio had not arrived.
    pub underruns: u64,
    /// Answers of the assistant that were heard.
    pub turns: u64,
    /// From a caller's arrival to the first word.
    pub greeting: Histogram,
    /// From a caller's last voice to the first frame of the answer.
    pub answer: Histogram,
    /// Of it, until the server said that he had stopped.
    pub speech_stopped: Histogram,
    /// Of it, until the answer's first delta.
    pub first_delta: Histogram,
    /// Of it, what we added.
    pub own: Histogram,
    /// From the voice of a caller who interrupts to silence.
    pub barge_in: Histogram,
    /// What the models have used, by the use and the model's name: as many as the configuration has named.
    pub tokens: BTreeMap<(Use, String), Tokens>,
    /// What is left of the account's rate limits, by the model's name, and when that was told last.
    pub rate_limits: BTreeMap<String, (Instant, RateLimits)>,
    /// Sound that was transcribed, milliseconds.
    pub transcribed_ms: u64,
    /// What is known of the cost, micro-USD.
    pub micro_usd: u64,
    /// Calls that are over of which the cost is not known, or not all of it.
    pub unpriced: u64,
}

impl Totals {
    /// A call that runs has come to this so far.
    pub(super) fn go_on(&mut self, call: &Facts, glance: &Glance) {
        self.live += 1;
        self.add(call, glance);
    }

    /// A caller was not taken.
    pub(super) fn refuse(&mut self, reason: EndReason) {
        self.started += 1;
        *self.ended.entry(reason).or_default() += 1;
    }

    /// A call is over.
    pub(super) fn end(&mut self, call: &Facts, last: &Glance, reason: EndReason) {
        *self.ended.entry(reason).or_default() += 1;
        self.unpriced += u64::from(last.bill.as_ref().is_some_and(|bill| bill.cost.is_none()));
        self.add(call, last);
    }

    fn add(&mut self, call: &Facts, glance: &Glance) {
        self.started += 1;
        self.counters += glance.counters;
        self.uplink += glance.uplink;
        self.frames += glance.frames;
        self.late_frames += glance.late_frames;
        self.underruns += glance.underruns;
        self.turns += glance.turns;
        self.wait(&glance.latencies);
        if let Some(told) = glance.rate_limits {
            self.limit(&call.model, told);
        }
        if let Some(bill) = &glance.bill {
            self.used(Use::Conversation, &call.model, bill.conversation);
            if let Some(model) = &call.transcription_model {
                self.used(Use::Transcription, model, bill.transcription);
            }
            // These come from outside.
            self.transcribed_ms = self.transcribed_ms.saturating_add(bill.transcribed_ms);
            self.micro_usd = self.micro_usd.saturating_add(bill.at_least);
        }
    }

    fn used(&mut self, by: Use, model: &str, tokens: Tokens) {
        self.tokens.entry((by, model.to_owned())).or_default().add(tokens);
    }

    /// What was told last counts, whichever call it was told in.
    fn limit(&mut self, model: &str, told: (Instant, RateLimits)) {
        let (at, known) = self.rate_limits.entry(model.to_owned()).or_insert(told);
        if told.0 >= *at {
            *at = told.0;
            known.update(told.1);
        }
    }

    fn wait(&mut self, latencies: &Latencies) {
        if let Some(waited) = latencies.greeting {
            self.greeting.add(waited);
        }
        for answer in &latencies.answers {
            self.answer.add(answer.first_frame);
            self.speech_stopped.add(answer.speech_stopped);
            self.first_delta.add(answer.first_delta);
            self.own.add(answer.own);
        }
        for barge_in in &latencies.barge_ins {
            self.barge_in.add(barge_in.silent_after);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_in_the_first_bucket_that_holds_it() {
        let mut histogram = Histogram::default();
        for ms in [0, 10, 11, 10_000, 10_001] {
            histogram.add(Duration::from_millis(ms));
        }
        let filled: Vec<_> = (0..BOUNDS.len()).filter(|place| histogram.within[*place] > 0).collect();
        assert_eq!((filled.as_slice(), histogram.within[0]), ([0, 1, 14].as_slice(), 2));
        assert_eq!((histogram.count, histogram.sum), (5, Duration::from_millis(20_022)));
        assert!(BOUNDS.is_sorted());
    }
}

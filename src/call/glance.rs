//! A call as it is at this moment, for whoever watches. Looking changes nothing but the level meters, which start again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::closing::Phase;
use super::latency::Latencies;
use super::ledger::Bill;
use super::tools::Use;
use super::transcript::Utterance;
use super::uplink::UplinkCounters;
use super::{Call, Counters, Turn, playout};
use crate::realtime::rate_limits::RateLimits;

/// Utterances that are shown: the last ones.
const SHOWN: usize = 6;

/// Where a call stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stage {
    /// Caller and assistant do not hear each other yet.
    #[default]
    SettingUp,
    /// They do.
    Talking(Turn),
    /// It is being undone.
    Ending,
}

/// A call at one moment. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Glance {
    /// Where it stands.
    pub stage: Stage,
    /// How long it has lasted.
    pub duration: Duration,
    /// Whether the caller speaks, by our own ear.
    pub caller_speaks: bool,
    /// How loud the caller was since the last glance, dBFS; None: silent.
    pub caller_dbfs: Option<f32>,
    /// The same of the assistant.
    pub assistant_dbfs: Option<f32>,
    /// Counts.
    pub counters: Counters,
    /// The caller's packets.
    pub uplink: UplinkCounters,
    /// Frames sent to the caller.
    pub frames: u64,
    /// Frames skipped because the clock was late.
    pub late_frames: u64,
    /// Pauses inside the assistant's speech because its audio had not arrived.
    pub underruns: u64,
    /// Answers of the assistant that were heard, or are.
    pub turns: u64,
    /// What it has used; None: the model's session has not stood.
    pub bill: Option<Bill>,
    /// What is left of the account's rate limits for this model, and when that was told; None: never.
    pub rate_limits: Option<(Instant, RateLimits)>,
    /// What the caller has waited for. If the pointer is the same as in the last glance, nothing has changed.
    pub latencies: Arc<Latencies>,
    /// What became of the calls of tools. The same pointer as before: nothing new.
    pub tools: Arc<Vec<Use>>,
    /// The last words, in order. The same pointer as before: nothing new.
    pub words: Arc<[Utterance]>,
}

impl Call {
    /// The call as it is now.
    pub fn glance(&mut self) -> Glance {
        let all = self.transcript.utterances().iter().rev();
        let mut last: Vec<_> = all.filter(|utterance| !utterance.text.is_empty()).take(SHOWN).collect();
        last.reverse();
        let shown = &mut self.shown;
        if !shown.words.iter().eq(last.iter().copied()) {
            shown.words = last.into_iter().cloned().collect();
        }
        if *shown.latencies != *self.stopwatch.latencies() {
            shown.latencies = Arc::new(self.stopwatch.latencies().clone());
        }
        let playout::Counts { frames, late_frames, underruns } = self.playout.counts();
        Glance {
            stage: match self.phase {
                Phase::SettingUp => Stage::SettingUp,
                Phase::Talking => Stage::Talking(self.turn()),
                Phase::Closing(_) | Phase::Ended(_) => Stage::Ending,
            },
            duration: self.now - self.born,
            caller_speaks: match self.leg.openai() {
                None => self.to_model.ear().speech_since().is_some(),
                Some(_) => self.floor.caller_speaks(),
            },
            caller_dbfs: self.to_model.take_level(),
            assistant_dbfs: self.playout.take_level(),
            counters: self.counters,
            uplink: self.uplink.counters(),
            frames,
            late_frames,
            underruns,
            turns: self.transcript.heard_answers(),
            bill: self.sessions.has_stood().then(|| self.bill()),
            rate_limits: self.sessions.rate_limits(),
            latencies: Arc::clone(&self.shown.latencies),
            tools: self.tools.tally().uses(),
            words: Arc::clone(&self.shown.words),
        }
    }
}

/// What the last glance showed.
#[derive(Debug, Default)]
pub(super) struct Shown {
    latencies: Arc<Latencies>,
    words: Arc<[Utterance]>,
}

//! Measures what the caller waits for.
//!
//! An answer is timed once, at its first frame, whatever came between: tools, another try, another session. One that the caller
//! talks over before that is not timed.

use std::time::{Duration, Instant};

use super::ear::Ear;
use super::latency::{Answer, BargeIn, Latencies, Waited};
use super::playout::Played;
use super::record::Entry;
use super::responses::Purpose;
use super::{Call, Output};
use crate::realtime::ItemId;

/// Times what the caller waits for.
#[derive(Debug, Default)]
pub(super) struct Stopwatch {
    latencies: Latencies,
    /// When the caller was answered, since the birth of the call.
    answered: Option<Duration>,
    /// The end of the last speech of the caller, timed or not.
    last_end: Option<Instant>,
    /// What they wait for.
    waits: Option<Waits>,
    /// Whether any sound of the assistant has come that is to be heard.
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
    /// A stopwatch for a caller who has just come. `answered`: whether the dialplan has answered them.
    pub(super) fn new(answered: bool) -> Self {
        Self { answered: answered.then_some(Duration::ZERO), ..Self::default() }
    }

    /// Everything the caller has waited for.
    pub(super) fn latencies(&self) -> &Latencies {
        &self.latencies
    }

    /// The caller is answered, so long after the birth of the call.
    pub(super) fn answered(&mut self, after: Duration) {
        self.answered.get_or_insert(after);
    }

    /// OpenAI has let us take the call, so long after its birth.
    pub(super) fn accepted(&mut self, after: Duration) {
        self.latencies.accepted.get_or_insert(after);
    }

    /// The session of a call that OpenAI answers has confirmed our settings, so long after the birth of the call.
    pub(super) fn confirmed(&mut self, after: Duration) {
        self.latencies.session.get_or_insert(after);
    }

    /// When the caller was answered, since the birth of the call; None: never.
    pub(super) fn answered_after(&self) -> Option<Duration> {
        self.answered
    }

    /// The caller speaks: what they were waiting for is not timed any more.
    pub(super) fn caller_began(&mut self) {
        (self.waits, self.item) = (None, None);
    }

    /// The server says that the caller's speech is over.
    pub(super) fn caller_ended(&mut self, now: Instant, ear: &Ear) {
        // If our ear heard nothing in this turn, there is no end to count from. If the caller still speaks, they do not
        // wait for an answer.
        let voice = ear.last_voice().filter(|_| ear.speech_since().is_none());
        let since = voice.filter(|voice| self.last_end.is_none_or(|last| last < *voice));
        self.last_end = ear.last_voice();
        self.waits = since.map(|since| Waits { since, speech_stopped: now.saturating_duration_since(since) });
    }

    /// The same, if the server's word is all that is known.
    pub(super) fn caller_stopped(&mut self, now: Instant) {
        self.waits = Some(Waits { since: now, speech_stopped: Duration::ZERO });
    }

    /// Audio of this item has arrived and will be played; `purpose` is that of its response. Returns whether it is the first
    /// audio of the call.
    pub(super) fn delta(&mut self, now: Instant, item: &ItemId, purpose: Option<Purpose>) -> bool {
        let is_first = !std::mem::replace(&mut self.greets, true);
        // A question of ours, whether they are still there, answers nothing.
        if self.item.is_none() && self.waits.is_some() && purpose != Some(Purpose::Prompt) {
            self.item = Some((item.clone(), now));
        }
        is_first
    }
}

impl Call {
    /// OpenAI says that the caller begins to hear an answer. There is no ear of ours to count from, so the caller waits from the
    /// server's word that their speech is over. Returns whether it is the first sound of the call.
    pub(super) fn speech_heard(&mut self, answers: bool) -> bool {
        let (now, born) = (self.now, self.born);
        let is_first = !std::mem::replace(&mut self.stopwatch.greets, true);
        if is_first {
            self.waited(Waited::Greeting(now.saturating_duration_since(born)));
        }
        if let Some(Waits { since, speech_stopped }) = self.stopwatch.waits.take_if(|_| answers) {
            let first_frame = now.saturating_duration_since(since);
            let at = since.saturating_duration_since(born);
            let own = Duration::ZERO;
            self.waited(Waited::Answer(Answer {
                at,
                speech_stopped,
                first_delta: first_frame,
                first_frame,
                own,
            }));
        }
        is_first
    }

    /// Frames have left; `played`: the items that ended with them.
    pub(super) fn frames_left(&mut self, played: &[Played]) {
        let since = |earlier: Instant| self.now.saturating_duration_since(earlier);
        let Stopwatch { latencies, greets, waits, item, .. } = &mut self.stopwatch;
        let is_first = *greets && latencies.greeting.is_none() && self.playout.has_spoken();
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
        let Some(voice) = self.to_model.ear().speech_since() else { return };
        let at = voice.saturating_duration_since(self.born);
        let silent_after = self.now.saturating_duration_since(voice);
        self.waited(Waited::Silence(BargeIn { at, silent_after }));
    }

    fn waited(&mut self, waited: Waited) {
        self.stopwatch.latencies.add(waited);
        self.outputs.push(Output::Record(Entry::Waited(waited)));
    }
}

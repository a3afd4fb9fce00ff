//! What remains of a call when it is over: counts, words, waits and the bill. Judges nothing.

use std::ops::AddAssign;
use std::time::Duration;

use super::latency::Latencies;
use super::ledger::Bill;
use super::record::{Keep, ToolEntry};
use super::transcript::Utterance;
use super::uplink::UplinkCounters;
use super::{Call, playout};
use crate::end_reason::EndReason;
use crate::realtime::error::Refusal;

/// Why a session could not be opened, or why it ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionFault {
    /// OpenAI refuses to serve us until a person acts.
    Refused(Refusal),
    /// Its settings were refused, or are not in force.
    Settings,
    /// It did not open; it may be tried again, and then counts again.
    Unavailable,
    /// The caller's patience was over.
    Late,
    /// It broke in the middle of the call.
    Lost,
    /// It stood, and gave no answer any more.
    Silent,
}

impl SessionFault {
    /// One fault for each word of [`Self::code`].
    pub const ALL: [Self; 15] = [
        Self::Refused(Refusal::Key),
        Self::Refused(Refusal::Access),
        Self::Refused(Refusal::Country),
        Self::Refused(Refusal::Project),
        Self::Refused(Refusal::Address),
        Self::Refused(Refusal::Proxy),
        Self::Refused(Refusal::Quota),
        Self::Refused(Refusal::Model),
        Self::Refused(Refusal::BetaDialect),
        Self::Refused(Refusal::Other),
        Self::Settings,
        Self::Unavailable,
        Self::Late,
        Self::Lost,
        Self::Silent,
    ];

    /// The stable word for machines.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Settings => "settings",
            Self::Unavailable => "unavailable",
            Self::Late => "late",
            Self::Lost => "lost",
            Self::Silent => "silent",
        }
    }
}

/// How often sessions failed, by the word for the fault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionFaults([u64; SessionFault::ALL.len()]);

impl SessionFaults {
    /// A session failed so.
    pub fn count(&mut self, fault: SessionFault) {
        for (word, times) in SessionFault::ALL.iter().zip(&mut self.0) {
            *times += u64::from(word.code() == fault.code());
        }
    }

    /// Every word, and how often sessions failed so.
    pub fn by_code(&self) -> [(&'static str, u64); SessionFault::ALL.len()] {
        std::array::from_fn(|at| (SessionFault::ALL[at].code(), self.0[at]))
    }
}

impl AddAssign for SessionFaults {
    fn add_assign(&mut self, other: Self) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum += more;
        }
    }
}

/// Counts of what went wrong, or well, on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// How often something has come to the call: a packet, an event, an answer or a tick of its clock.
    pub inputs: u64,
    /// Datagrams that were not RTP.
    pub malformed_packets: u64,
    /// Datagrams from someone else.
    pub foreign_packets: u64,
    /// Packets that are not µ-law audio: keys, comfort noise.
    pub other_payloads: u64,
    /// Audio deltas of answers nobody wants any more.
    pub dropped_deltas: u64,
    /// Audio deltas that could not be decoded or found no room.
    pub refused_deltas: u64,
    /// Interruptions by the caller.
    pub barge_ins: u64,
    /// Sessions whose WebSocket stood.
    pub sessions_opened: u64,
    /// Sessions that failed.
    pub session_faults: SessionFaults,
    /// Error events of the server that needed nothing done.
    pub session_errors: u64,
    /// Texts of the server that are no events, or lack what makes them one.
    pub unreadable_events: u64,
    /// Times an answer was owed and no sign of it came.
    pub overdue_answers: u64,
    /// Answers in which nothing was said.
    pub unheard_answers: u64,
    /// Answers that the model ended in the middle of what it said.
    pub cut_answers: u64,
    /// Keys pressed.
    pub keys: u64,
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        let Self {
            inputs,
            malformed_packets,
            foreign_packets,
            other_payloads,
            dropped_deltas,
            refused_deltas,
            barge_ins,
            sessions_opened,
            session_faults,
            session_errors,
            unreadable_events,
            overdue_answers,
            unheard_answers,
            cut_answers,
            keys,
        } = other;
        self.inputs += inputs;
        self.malformed_packets += malformed_packets;
        self.foreign_packets += foreign_packets;
        self.other_payloads += other_payloads;
        self.dropped_deltas += dropped_deltas;
        self.refused_deltas += refused_deltas;
        self.barge_ins += barge_ins;
        self.sessions_opened += sessions_opened;
        self.session_faults += session_faults;
        self.session_errors += session_errors;
        self.unreadable_events += unreadable_events;
        self.overdue_answers += overdue_answers;
        self.unheard_answers += unheard_answers;
        self.cut_answers += cut_answers;
        self.keys += keys;
    }
}

/// What remains of a call when it is over.
#[derive(Debug, Clone)]
pub struct Report {
    /// Why it ended.
    pub reason: EndReason,
    /// Whether the model's session ever stood.
    pub session_stood: bool,
    /// Whether caller and media channel ever heard each other.
    pub joined: bool,
    /// How long it lasted.
    pub duration: Duration,
    /// Counts.
    pub counters: Counters,
    /// The caller's packets.
    pub uplink: UplinkCounters,
    /// Frames skipped because the clock was late.
    pub late_frames: u64,
    /// Pauses inside the assistant's speech because its audio had not arrived.
    pub underruns: u64,
    /// Frames in which our own detector heard the caller's voice.
    pub voiced_frames: u64,
    /// Answers of the assistant that were heard.
    pub turns: u64,
    /// When the caller was answered, since the birth of the call; None: never.
    pub answered: Option<Duration>,
    /// What the caller waited for.
    pub latencies: Latencies,
    /// What it has used and what that costs.
    pub bill: Bill,
    /// What of it may be kept.
    pub keep: Keep,
    /// Everything said, in order.
    pub transcript: Vec<Utterance>,
    /// The tools that were carried out, in the order in which they ended, with their words, whether or not these are kept.
    pub tools: Vec<ToolEntry>,
    /// The form of the agent, as the model has filled it in. None: there is no form, or no report was made.
    pub filled: Option<serde_json::Value>,
}

impl Call {
    /// What remains of the call. The reason is only final once [`Self::deadline`] is None.
    pub fn report(&self) -> Report {
        let playout::Counts { late_frames, underruns, .. } = self.playout.counts();
        Report {
            reason: self.phase.end_reason().unwrap_or(EndReason::Shutdown),
            session_stood: self.sessions.has_stood(),
            joined: self.leg.is_joined(),
            duration: self.lasted(),
            counters: self.counters,
            uplink: self.uplink.counters(),
            late_frames,
            underruns,
            voiced_frames: self.to_model.ear().voiced_frames(),
            turns: self.transcript.heard_answers(),
            answered: self.stopwatch.answered_after(),
            latencies: self.stopwatch.latencies().clone(),
            bill: self.bill(),
            keep: self.settings.keep,
            transcript: self.transcript.utterances().to_vec(),
            tools: self.tools.tally().entries().to_vec(),
            filled: self.filled.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_counted_by_words_of_their_own() {
        let mut codes = SessionFault::ALL.map(SessionFault::code).to_vec();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), SessionFault::ALL.len());
        for fault in SessionFault::ALL {
            let mut faults = SessionFaults::default();
            faults.count(fault);
            let counted: Vec<_> = faults.by_code().into_iter().filter(|(_, times)| *times > 0).collect();
            assert_eq!(counted, [(fault.code(), 1)], "{fault:?}");
        }
        let mut faults = SessionFaults::default();
        faults.count(SessionFault::Refused(Refusal::Certificate));
        let refused = SessionFault::Refused(Refusal::Other).code();
        assert!(faults.by_code().contains(&(refused, 1)), "they share a word");
    }
}

//! What remains of a call when it is over: counts, words, waits and the bill. Judges nothing.

use std::ops::AddAssign;
use std::time::Duration;

use super::latency::Latencies;
use super::ledger::Bill;
use super::transcript::Utterance;
use super::uplink::UplinkCounters;
use crate::operator::EndReason;
use crate::realtime::error::Refusal;

/// Why a session was not to be had, or not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionFault {
    /// The key was refused.
    Key,
    /// The key may not do this.
    Access,
    /// The country of this machine is not served.
    Country,
    /// The key is of another project or organization.
    Project,
    /// The IP address of this machine is not admitted.
    Address,
    /// Something on the way answered in the server's place.
    Proxy,
    /// There is no credit left.
    Quota,
    /// The model is not there, or not ours to use.
    Model,
    /// The server no longer speaks the beta dialect.
    BetaDialect,
    /// It was refused for another reason that will not pass by itself.
    Refused,
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
    /// Every fault, in the order of [`Counters::session_faults`].
    pub const ALL: [Self; 15] = [
        Self::Key,
        Self::Access,
        Self::Country,
        Self::Project,
        Self::Address,
        Self::Proxy,
        Self::Quota,
        Self::Model,
        Self::BetaDialect,
        Self::Refused,
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
            Self::Key => "key",
            Self::Access => "access",
            Self::Country => "country",
            Self::Project => "project",
            Self::Address => "address",
            Self::Proxy => "proxy",
            Self::Quota => "quota",
            Self::Model => "model",
            Self::BetaDialect => "beta_dialect",
            Self::Refused => "refused",
            Self::Settings => "settings",
            Self::Unavailable => "unavailable",
            Self::Late => "late",
            Self::Lost => "lost",
            Self::Silent => "silent",
        }
    }
}

impl From<Refusal> for SessionFault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Key => Self::Key,
            Refusal::Access => Self::Access,
            Refusal::Country => Self::Country,
            Refusal::Project => Self::Project,
            Refusal::Address => Self::Address,
            Refusal::Proxy => Self::Proxy,
            Refusal::Quota => Self::Quota,
            Refusal::Model => Self::Model,
            Refusal::BetaDialect => Self::BetaDialect,
            Refusal::Certificate | Refusal::Other => Self::Refused,
        }
    }
}

/// Counts of what went wrong, or well, on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
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
    /// Sessions that failed, in the order of [`SessionFault::ALL`].
    pub session_faults: [u64; SessionFault::ALL.len()],
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
        self.malformed_packets += malformed_packets;
        self.foreign_packets += foreign_packets;
        self.other_payloads += other_payloads;
        self.dropped_deltas += dropped_deltas;
        self.refused_deltas += refused_deltas;
        self.barge_ins += barge_ins;
        self.sessions_opened += sessions_opened;
        for (sum, more) in self.session_faults.iter_mut().zip(session_faults) {
            *sum += more;
        }
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
    /// Frames sent to the caller.
    pub frames: u64,
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
    /// Everything said, in order.
    pub transcript: Vec<Utterance>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_words_and_places_of_their_own() {
        let mut codes = SessionFault::ALL.map(SessionFault::code).to_vec();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), SessionFault::ALL.len());
        for (place, fault) in SessionFault::ALL.into_iter().enumerate() {
            assert_eq!(fault as usize, place);
        }
    }
}

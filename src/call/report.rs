//! What remains of a call when it is over: counts, words, waits and the bill. Judges nothing.

use std::ops::AddAssign;
use std::time::Duration;

use super::latency::Latencies;
use super::ledger::Bill;
use super::transcript::Utterance;
use super::uplink::UplinkCounters;
use crate::operator::EndReason;
use crate::realtime::server::Refusal;

/// Why a session was not to be had, or not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionFault {
    /// The key was refused.
    Key,
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
}

impl SessionFault {
    /// Every fault, in the order of [`Counters::session_faults`].
    pub const ALL: [Self; 9] = [
        Self::Key,
        Self::Quota,
        Self::Model,
        Self::BetaDialect,
        Self::Refused,
        Self::Settings,
        Self::Unavailable,
        Self::Late,
        Self::Lost,
    ];

    /// The stable word for machines.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Quota => "quota",
            Self::Model => "model",
            Self::BetaDialect => "beta_dialect",
            Self::Refused => "refused",
            Self::Settings => "settings",
            Self::Unavailable => "unavailable",
            Self::Late => "late",
            Self::Lost => "lost",
        }
    }
}

impl From<Refusal> for SessionFault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Key => Self::Key,
            Refusal::Quota => Self::Quota,
            Refusal::Model => Self::Model,
            Refusal::BetaDialect => Self::BetaDialect,
            Refusal::Other => Self::Refused,
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

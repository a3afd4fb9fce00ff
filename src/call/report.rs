//! What remains of a call when it is over: counts, words, waits and the bill. Judges nothing.

use std::time::Duration;

use super::latency::Latencies;
use super::ledger::Bill;
use super::transcript::Utterance;
use super::uplink::UplinkCounters;
use crate::operator::EndReason;

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
    /// Error events of the server that needed nothing done.
    pub session_errors: u64,
    /// Keys pressed.
    pub keys: u64,
}

/// What remains of a call when it is over.
#[derive(Debug, Clone)]
pub struct Report {
    /// Why it ended.
    pub reason: EndReason,
    /// Whether the model's session ever stood.
    pub session_stood: bool,
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

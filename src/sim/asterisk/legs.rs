//! The two kinds of ends that a channel has, the phone and the application, with the RTP state of each: strict RTP, which
//! decides whose packets a leg accepts, and the outgoing stream.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{CallerId, Codec, Key};
use crate::sim::chance::Chance;
use crate::sim::rtp::{self, Header};

/// The time for which strict RTP may still learn another source of a leg.
const LEARNING: Duration = Duration::from_secs(5);
/// The number of consecutive packets from another source that are dropped before that source is accepted.
const PROBATION: u32 = 4;
/// A sequence number that differs from the previous one by more than this counts as a new start, and the
/// outgoing numbers continue without a gap.
const SEQUENCE_JUMP: u16 = 100;
/// A key of 120 ms takes 9 packets: 6 while it is held, 3 for its end. `press` replaces them.
pub(super) const KEY_PACKETS: u16 = 9;

/// The caller's end of a channel.
#[derive(Debug)]
pub(super) struct PhoneLeg {
    pub(super) call: CallerId,
    pub(super) codec: Codec,
    pub(super) held: bool,
    /// The outgoing stream to the phone.
    pub(super) stream: Stream,
    pub(super) received: u32,
    pub(super) sent: u32,
    /// The timestamp of the last key, which distinguishes the repeated end packets of one key from a new key.
    last_key: Option<u32>,
    /// The end of a key pressed with `press`. Until then the audio is left out.
    pub(super) pressed_until: Option<Instant>,
}

impl PhoneLeg {
    pub(super) fn new(call: CallerId, codec: Codec, chance: &mut Chance) -> Self {
        let stream = Stream::new(chance);
        Self { call, codec, held: false, stream, received: 0, sent: 0, last_key: None, pressed_until: None }
    }
}

/// The application's end of a channel.
#[derive(Debug)]
pub(super) struct MediaLeg {
    /// The address to which the application's audio is sent.
    pub(super) host: SocketAddr,
    /// The port of this leg's socket.
    pub(super) port: u16,
    pub(super) heard_anything: bool,
    pub(super) source: StrictSource,
    /// The outgoing stream to the application.
    pub(super) stream: Stream,
}

impl MediaLeg {
    pub(super) fn new(now: Instant, host: SocketAddr, port: u16, chance: &mut Chance) -> Self {
        let source = StrictSource { believed: host, since: now, closed: false, stranger: None };
        Self { host, port, heard_anything: false, source, stream: Stream::new(chance) }
    }
}

/// Whose voice a snoop channel copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
    /// What the channel sends: `spy=in`.
    Said,
    /// What the channel is sent: `spy=out`.
    Heard,
}

/// The end of a snoop channel.
#[derive(Debug, Clone, Copy)]
pub(super) struct SnoopLeg {
    /// The channel that is spied on.
    pub(super) of: Key,
    /// Whose voice is copied.
    pub(super) voice: Voice,
}

/// Strict RTP, which decides whose packets a leg accepts: those from the application's `external_host` from
/// the start, those from another source if only that source sends during the first seconds, and after that no
/// other source.
#[derive(Debug)]
pub(super) struct StrictSource {
    believed: SocketAddr,
    since: Instant,
    closed: bool,
    /// The source on probation, its last sequence number, and the number of its consecutive packets.
    stranger: Option<(SocketAddr, u16, u32)>,
}

impl StrictSource {
    pub(super) fn accepts(&mut self, now: Instant, from: SocketAddr, seq: u16) -> bool {
        if from == self.believed {
            self.stranger = None;
            self.closed |= now.saturating_duration_since(self.since) >= LEARNING;
            return true;
        }
        if self.closed {
            return false;
        }
        let in_row = match self.stranger {
            Some((who, last, count)) if who == from && seq == last.wrapping_add(1) => count + 1,
            _ => 1,
        };
        if in_row > PROBATION {
            self.believed = from;
            self.stranger = None;
            return true;
        }
        self.stranger = Some((from, seq, in_row));
        false
    }
}

/// One outgoing RTP stream. The stream keeps the sequence numbers and timestamps of the relayed packets,
/// shifted by a constant, so that loss, disorder and jumps arrive at the other side as they came.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) ssrc: u32,
    /// The incoming SSRC, the last incoming sequence number, and the number that is added to incoming
    /// sequence numbers.
    source: Option<(u32, u16, u16)>,
    first_seq: u16,
    timestamp_shift: u32,
}

impl Stream {
    fn new(chance: &mut Chance) -> Self {
        let (ssrc, rest) = (chance.number() as u32, chance.number());
        Self { ssrc, source: None, first_seq: rest as u16, timestamp_shift: (rest >> 16) as u32 }
    }

    /// The header under which an incoming packet is sent on. With `renew`, a new incoming SSRC causes this
    /// new outgoing SSRC.
    pub(super) fn relay(&mut self, incoming: Header, payload_type: u8, renew: Option<u32>) -> Header {
        let mut marker = false;
        let shift = match self.source {
            None => self.first_seq.wrapping_sub(incoming.seq),
            Some((ssrc, last, shift)) => {
                let distance = incoming.seq.wrapping_sub(last) as i16;
                if ssrc != incoming.ssrc {
                    (self.ssrc, marker) = renew.map_or((self.ssrc, false), |fresh| (fresh, true));
                }
                if ssrc != incoming.ssrc || distance.unsigned_abs() > SEQUENCE_JUMP {
                    last.wrapping_add(shift).wrapping_add(1).wrapping_sub(incoming.seq)
                } else {
                    shift
                }
            }
        };
        self.source = Some((incoming.ssrc, incoming.seq, shift));
        Header {
            marker,
            payload_type,
            seq: incoming.seq.wrapping_add(shift),
            timestamp: incoming.timestamp.wrapping_add(self.timestamp_shift),
            ssrc: self.ssrc,
        }
    }

    /// Counts packets that are not relayed.
    pub(super) fn skip(&mut self, packets: u16) {
        if let Some((_, _, shift)) = &mut self.source {
            *shift = shift.wrapping_add(packets);
        }
    }
}

impl PhoneLeg {
    /// Reads a telephone event packet. Returns the digit and its duration for the first packet that reports
    /// the release of the key.
    pub(super) fn key(&mut self, header: Header, payload: &[u8]) -> Option<(char, u32)> {
        let [code, flags, high, low, ..] = payload else { return None };
        if flags & 128 == 0 || self.last_key == Some(header.timestamp) {
            return None;
        }
        self.last_key = Some(header.timestamp);
        let digit = rtp::DIGITS.chars().nth(usize::from(*code))?;
        Some((digit, u32::from(u16::from_be_bytes([*high, *low])) / 8))
    }
}

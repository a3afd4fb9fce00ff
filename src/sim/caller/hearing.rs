//! The receiving side of the phone: what arrived, when and how regularly, and whether it was speech. This
//! module sends nothing.

use std::time::{Duration, Instant};

use super::samples;
use crate::sim::rtp;

/// The mean amplitude (of 32 767) above which a frame counts as speech. Comfort noise is below 100, speech
/// above 1000.
const LOUD: u32 = 300;
/// The delay relative to the quickest packet above which a packet counts as late. Such a packet would miss
/// the jitter buffer of an ordinary phone.
const LATE: Duration = Duration::from_millis(60);
/// A timestamp that would place a packet further than this from its arrival is a jump: placing starts anew
/// from that packet.
const JUMP: Duration = Duration::from_mins(1);

/// One packet as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The time of arrival.
    pub at: Instant,
    /// The sequence number.
    pub seq: u16,
    /// The timestamp.
    pub timestamp: u32,
    /// The SSRC.
    pub ssrc: u32,
    /// The marker bit.
    pub marker: bool,
    /// The payload type.
    pub payload_type: u8,
    /// The audio.
    pub payload: Box<[u8]>,
}

/// The statistics of the packets that were heard.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Statistics {
    /// The number of audio packets.
    pub packets: u64,
    /// The number of missing sequence numbers between the first and the last packet.
    pub lost: u64,
    /// The number of packets whose sequence number came before.
    pub duplicates: u64,
    /// The number of packets that arrived after a later one.
    pub disordered: u64,
    /// The number of packets that came more than 60 ms later than the quickest one.
    pub late: u64,
    /// The largest delay relative to the quickest packet.
    pub worst_delay: Duration,
    /// The longest time between two arrivals.
    pub longest_gap: Duration,
    /// The interarrival jitter of RFC 3550 in milliseconds.
    pub jitter_ms: f64,
    /// The number of packets with speech.
    pub loud: u64,
    /// The number of packets with another size than 160 bytes.
    pub odd_sizes: u64,
    /// The number of datagrams without G.711: other payload types and broken packets.
    pub refused: u64,
    /// When the first packet arrived.
    pub first_at: Option<Instant>,
    /// When the first speech arrived.
    pub first_speech_at: Option<Instant>,
    /// When the last packet arrived.
    pub last_at: Option<Instant>,
}

/// The data of the last packet, with which the next one is compared.
#[derive(Debug)]
struct Last {
    at: Instant,
    seq: u16,
    timestamp: u32,
    /// A bit for each of the 64 sequence numbers up to `seq`: whether that packet arrived.
    window: u64,
}

#[derive(Debug)]
pub(super) struct Ear {
    born: Instant,
    keep: bool,
    packets: Vec<Heard>,
    statistics: Statistics,
    last: Option<Last>,
    /// The arrival and the timestamp of the first packet since the last jump, and the smallest delay since
    /// then in milliseconds.
    origin: Option<(Instant, u32, f64)>,
    last_loud: Option<Instant>,
    /// The start of the current run of speech. Half a second without speech ends a run.
    speech_began: Option<Instant>,
}

impl Ear {
    pub(super) fn new(born: Instant, keep: bool) -> Self {
        Self {
            born,
            keep,
            packets: Vec::new(),
            statistics: Statistics::default(),
            last: None,
            origin: None,
            last_loud: None,
            speech_began: None,
        }
    }

    pub(super) fn hear(&mut self, now: Instant, datagram: &[u8]) {
        let sound =
            rtp::read(datagram).filter(|(header, _)| matches!(header.payload_type, rtp::ULAW | rtp::ALAW));
        let Some((header, payload)) = sound else {
            self.statistics.refused += 1;
            return;
        };
        self.count(now, header.seq, header.timestamp);
        self.statistics.odd_sizes += u64::from(payload.len() != 160);
        if level(payload) > LOUD {
            self.statistics.loud += 1;
            self.statistics.first_speech_at.get_or_insert(now);
            if self.last_loud.is_none_or(|last| now - last > super::BETWEEN_WORDS) {
                self.speech_began = Some(now);
            }
            self.last_loud = Some(now);
        }
        if self.keep {
            self.packets.push(Heard {
                at: now,
                seq: header.seq,
                timestamp: header.timestamp,
                ssrc: header.ssrc,
                marker: header.marker,
                payload_type: header.payload_type,
                payload: payload.into(),
            });
        }
    }

    fn count(&mut self, now: Instant, seq: u16, timestamp: u32) {
        let s = &mut self.statistics;
        s.packets += 1;
        s.first_at.get_or_insert(now);
        s.last_at = Some(now);
        let Some(last) = &mut self.last else {
            self.last = Some(Last { at: now, seq, timestamp, window: 1 });
            self.origin = Some((now, timestamp, 0.0));
            return;
        };
        s.longest_gap = s.longest_gap.max(now - last.at);
        let passed_ms = (now - last.at).as_secs_f64() * 1000.0;
        let media_ms = f64::from(timestamp.wrapping_sub(last.timestamp) as i32) / 8.0;
        s.jitter_ms += ((passed_ms - media_ms).abs() - s.jitter_ms) / 16.0;
        let ahead = seq.wrapping_sub(last.seq) as i16;
        if ahead > 0 {
            s.lost += ahead as u64 - 1;
            last.window = last.window.checked_shl(u32::from(ahead.unsigned_abs())).unwrap_or(0) | 1;
            last.seq = seq;
        } else if last.window.checked_shr(u32::from(ahead.unsigned_abs())).unwrap_or(0) & 1 == 1 {
            s.duplicates += 1;
        } else {
            s.disordered += 1;
            s.lost = s.lost.saturating_sub(1);
            last.window |= 1_u64.checked_shl(u32::from(ahead.unsigned_abs())).unwrap_or(0);
        }
        (last.at, last.timestamp) = (now, timestamp);
        if let Some((at, first, quickest)) = &mut self.origin {
            let delay =
                (now - *at).as_secs_f64() * 1000.0 - f64::from(timestamp.wrapping_sub(*first) as i32) / 8.0;
            if delay.abs() > JUMP.as_secs_f64() * 1000.0 {
                self.origin = Some((now, timestamp, 0.0));
                return;
            }
            *quickest = quickest.min(delay);
            let behind = Duration::from_secs_f64((delay - *quickest) / 1000.0);
            s.worst_delay = s.worst_delay.max(behind);
            s.late += u64::from(behind > LATE);
        }
    }

    pub(super) fn packets(&self) -> &[Heard] {
        &self.packets
    }

    pub(super) fn statistics(&self) -> Statistics {
        self.statistics
    }

    pub(super) fn last_loud(&self) -> Option<Instant> {
        self.last_loud
    }

    /// Since when there is speech. None: the last speech is longer ago than `pause`.
    pub(super) fn speech_since(&self, now: Instant, pause: Duration) -> Option<Instant> {
        self.last_loud.filter(|last| now.saturating_duration_since(*last) <= pause).and(self.speech_began)
    }

    /// All audio that was heard, placed by timestamp on the timeline that starts at `born`.
    pub(super) fn audio(&self) -> Vec<u8> {
        let mut audio = Vec::new();
        let Some(first) = self.packets.first() else { return audio };
        let mut origin = (samples(first.at - self.born), first.timestamp);
        for packet in &self.packets {
            let arrival = samples(packet.at - self.born);
            let offset = i64::from(packet.timestamp.wrapping_sub(origin.1) as i32);
            let mut place = origin.0 as i64 + offset;
            if place < 0 || place.abs_diff(arrival as i64) > samples(JUMP) as u64 {
                origin = (arrival, packet.timestamp);
                place = arrival as i64;
            }
            let place = place as usize;
            let end = place + packet.payload.len();
            if audio.len() < end {
                audio.resize(end, rtp::SILENCE);
            }
            audio[place..end].copy_from_slice(&packet.payload);
        }
        audio
    }
}

/// The mean amplitude of a µ-law frame.
fn level(frame: &[u8]) -> u32 {
    let sum: u32 = frame.iter().map(|code| amplitude(*code)).sum();
    sum / (frame.len() as u32).max(1)
}

fn amplitude(code: u8) -> u32 {
    let code = u32::from(!code);
    ((((code & 15) << 3) + 0x84) << (code >> 4 & 7)) - 0x84
}

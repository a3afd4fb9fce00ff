//! The phone's ear: what arrived, when, how regularly, and whether it was speech. It sends nothing.

use std::time::{Duration, Instant};

use super::samples;
use crate::sim::rtp;

/// The mean amplitude (of 32 767) above which a frame counts as speech. Comfort noise is below 100, speech above 1000.
const LOUD: u32 = 300;
/// A packet that comes so much later than the quickest one would miss an ordinary phone's jitter buffer.
const LATE: Duration = Duration::from_millis(60);
/// A timestamp that would put a packet further than this from its arrival is a jump: placing starts anew from it.
const JUMP: Duration = Duration::from_mins(1);

/// One packet as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// When.
    pub at: Instant,
    /// Its sequence number.
    pub seq: u16,
    /// Its timestamp.
    pub timestamp: u32,
    /// Its SSRC.
    pub ssrc: u32,
    /// Its marker bit.
    pub marker: bool,
    /// Its payload type.
    pub payload_type: u8,
    /// Its sound.
    pub payload: Box<[u8]>,
}

/// What was heard in figures.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Statistics {
    /// Packets of sound.
    pub packets: u64,
    /// Missing sequence numbers between the first and the last.
    pub lost: u64,
    /// Packets whose number came before.
    pub duplicates: u64,
    /// Packets that came behind a later one.
    pub disordered: u64,
    /// Packets more than 60 ms later than the quickest.
    pub late: u64,
    /// The latest packet's delay over the quickest.
    pub worst_delay: Duration,
    /// The longest time between two arrivals.
    pub longest_gap: Duration,
    /// RFC 3550's interarrival jitter.
    pub jitter_ms: f64,
    /// Packets with speech in them.
    pub loud: u64,
    /// Packets of another size than 160 bytes.
    pub odd_sizes: u64,
    /// What was no G.711: other payload types, broken packets.
    pub refused: u64,
    /// When the first packet came.
    pub first_at: Option<Instant>,
    /// When the first speech came.
    pub first_speech_at: Option<Instant>,
    /// When the last packet came.
    pub last_at: Option<Instant>,
}

/// What the last packet left behind for the next one to be compared with.
#[derive(Debug)]
struct Last {
    at: Instant,
    seq: u16,
    timestamp: u32,
    /// Which of the 64 numbers up to `seq` came.
    window: u64,
}

#[derive(Debug)]
pub(super) struct Ear {
    born: Instant,
    keep: bool,
    packets: Vec<Heard>,
    statistics: Statistics,
    last: Option<Last>,
    /// Arrival and timestamp of the first packet since the last jump, and by how much (ms) the quickest beat it.
    origin: Option<(Instant, u32, f64)>,
    last_loud: Option<Instant>,
    /// Where the present run of speech began; ended by half a second without.
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

    /// Since when there is speech, if the last of it is no longer ago than `pause`.
    pub(super) fn speech_since(&self, now: Instant, pause: Duration) -> Option<Instant> {
        self.last_loud.filter(|last| now.saturating_duration_since(*last) <= pause).and(self.speech_began)
    }

    /// Everything heard, by timestamp, on the time line that begins at `born`.
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

//! Caller → model: turns packets that may be lost, late, duplicated or reordered into a stream of frames without gaps.
//!
//! The RTP timestamp says where a packet belongs; the clock says when to stop waiting for it.
//! - A packet in its place is passed on at once; one that is early waits briefly for those before it.
//! - The sequence number outranks the timestamp: a packet whose number follows that of the last one belongs right behind it,
//!   even if its timestamp is off by less than a frame, or has not moved at all.
//! - When no packet comes at all (hold, silence suppression, loss) silence is made up from the clock, because
//!   the model's turn detection only advances with audio.
//! - What the clock has filled is not filled again, and what comes too late for its place is dropped.
//! - Whatever comes, the sound passed on exceeds the time passed by `AHEAD` at most: what the model hears must be paid for.
//!
//! Judges neither source nor meaning, and keeps nothing: see `to_model`.

use std::ops::AddAssign;
use std::time::{Duration, Instant};

use crate::media::rtp::Packet;
use crate::media::{FRAME_BYTES, FRAME_DURATION, Frame, SILENCE_BYTE};

/// Without a packet for so long, silence is made up. Larger: the model notices the end of a turn later when
/// the caller's phone suppresses silence. Smaller: an ordinary burst of network jitter loses words.
const FILL_AFTER: Duration = Duration::from_millis(200);
/// How long an early packet waits for the ones before it: two packet times, as long as a reordering network
/// takes. Longer only delays what is already lost.
const REORDER_WAIT: Duration = Duration::from_millis(40);
/// Early packets that wait at most; one more and the gap is taken for loss.
const REORDER_PACKETS: usize = 3;
/// A gap up to this size may be disorder; a larger one is loss (or a key press).
const REORDER_BYTES: i32 = (REORDER_PACKETS * FRAME_BYTES) as i32;
/// A timestamp further ahead of the clock than this is a new timeline, not loss: silence for it would be a lie.
const JUMP: Duration = Duration::from_secs(1);
/// A timestamp further behind than this, in a newer packet, likewise. Samples.
const JUMP_BACK: i32 = 8_000;
/// Newer packets behind their place, at a live pace, after which the timeline has moved: three cannot be
/// one delayed burst, because a burst does not come at a live pace.
const LATE_AT_PACE: u8 = 3;
/// Packets closer together than this are a burst, not a live pace.
const PACE: Duration = Duration::from_millis(10);
/// If silence is overdue by more than this, the call's task was late, and the packets may still wait in the socket.
const UNATTENDED: Duration = FRAME_DURATION;
/// The sound passed on may exceed the time that has passed by this much. Larger: a forger can make the model hear, and the
/// operator pay for, more. Smaller: packets that the network held up are lost, and so is sound of a phone whose clock is fast.
const AHEAD: Duration = Duration::from_secs(2);
/// Most silence made up in one go, when the clock itself was stopped (a suspended machine).
const FILL_FRAMES: u32 = 250;

/// One frame on its way to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// 20 ms of the caller, or of silence in their place.
    pub frame: Frame,
    /// Whether any of it came from the caller's phone.
    pub heard: bool,
}

/// What became of the packets, in packets (but `lost_frames`, `filled_frames`: 20 ms each).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UplinkCounters {
    /// Audio packets in their place.
    pub received: u64,
    /// Came before an earlier one, and were put in order.
    pub reordered: u64,
    /// Seen before.
    pub duplicate: u64,
    /// Too late for their place.
    pub late: u64,
    /// Silence put where packets were missing.
    pub lost_frames: u64,
    /// Silence made up while nothing came.
    pub filled_frames: u64,
    /// New timelines: the caller's phone or a transfer restarted its clock.
    pub jumps: u64,
    /// Frames beyond real time, which were dropped.
    pub excess_frames: u64,
}

impl AddAssign for UplinkCounters {
    fn add_assign(&mut self, other: Self) {
        let Self { received, reordered, duplicate, late, lost_frames, filled_frames, jumps, excess_frames } =
            other;
        self.received += received;
        self.reordered += reordered;
        self.duplicate += duplicate;
        self.late += late;
        self.lost_frames += lost_frames;
        self.filled_frames += filled_frames;
        self.jumps += jumps;
        self.excess_frames += excess_frames;
    }
}

/// Where the next byte belongs.
#[derive(Debug, Clone, Copy)]
struct Timeline {
    ssrc: u32,
    next: u32,
    newest_sequence: u16,
    /// The number, end and size of the last packet that was in its place, or that would have been if the clock had not already
    /// filled that place with silence.
    last_sequence: u16,
    last_end: u32,
    last_bytes: u32,
    /// What is added to a timestamp to have a place: timestamps that were outranked have shifted it.
    shift: u32,
}

impl Timeline {
    /// A timeline that begins with this packet.
    fn begun_by(packet: &Packet<'_>) -> Self {
        Self {
            ssrc: packet.ssrc,
            next: packet.timestamp,
            newest_sequence: packet.sequence.wrapping_sub(1),
            last_sequence: packet.sequence.wrapping_sub(1),
            last_end: packet.timestamp,
            last_bytes: 0,
            shift: 0,
        }
    }

    /// The place of a packet: as its timestamp says, or as its number says if both nearly agree or the timestamp has not moved.
    fn place(&self, sequence: u16, timestamp: u32) -> u32 {
        let by_timestamp = timestamp.wrapping_add(self.shift);
        let steps = u32::from(sequence.wrapping_sub(self.last_sequence));
        if !(1..=REORDER_PACKETS as u32 + 1).contains(&steps) {
            return by_timestamp;
        }
        let by_number = self.last_end.wrapping_add((steps - 1) * self.last_bytes);
        let off = by_timestamp.wrapping_sub(by_number) as i32;
        let stands = off == -((steps * self.last_bytes) as i32);
        let nearly_follows = steps == 1 && (-(self.last_bytes as i32)..FRAME_BYTES as i32).contains(&off);
        if stands || nearly_follows { by_number } else { by_timestamp }
    }

    /// A packet belongs at this place.
    fn follow(&mut self, sequence: u16, timestamp: u32, place: u32, bytes: usize) {
        self.shift = place.wrapping_sub(timestamp);
        self.last_sequence = sequence;
        self.last_bytes = bytes as u32;
        self.last_end = place.wrapping_add(self.last_bytes);
    }
}

#[derive(Debug)]
struct Early {
    sequence: u16,
    timestamp: u32,
    payload: Vec<u8>,
}

/// Which early packets are given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Release {
    /// Those whose turn it is.
    InOrder,
    /// All of them: what is missing before them is taken for lost.
    All,
}

/// The caller's audio, put in order.
#[derive(Debug)]
pub struct Uplink {
    timeline: Option<Timeline>,
    early: Vec<Early>,
    early_until: Option<Instant>,
    partial: Frame,
    partial_bytes: usize,
    partial_heard: bool,
    last_packet_at: Option<Instant>,
    late_at_pace: u8,
    /// When silence is made up next. None before the first packet, unless the model's clock must run.
    fill_at: Option<Instant>,
    /// We were late ourselves: until then, packets that waited for us may still be read.
    unread_until: Option<Instant>,
    now: Option<Instant>,
    /// When the audio passed on so far would end if it had been played in real time from its first frame on.
    lasts_until: Option<Instant>,
    counters: UplinkCounters,
}

impl Default for Uplink {
    /// An uplink that has heard nothing.
    fn default() -> Self {
        Self {
            timeline: None,
            early: Vec::new(),
            early_until: None,
            partial: Frame::SILENCE,
            partial_bytes: 0,
            partial_heard: false,
            last_packet_at: None,
            late_at_pace: 0,
            fill_at: None,
            unread_until: None,
            now: None,
            lasts_until: None,
            counters: UplinkCounters::default(),
        }
    }
}

impl Uplink {
    /// From now on the model's clock must run, even if the caller's phone never sends anything.
    pub fn keep_going(&mut self, now: Instant) {
        self.fill_at.get_or_insert(now + FILL_AFTER);
    }

    /// What became of the packets so far.
    pub fn counters(&self) -> UplinkCounters {
        self.counters
    }

    /// When [`Self::advance`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        let fill_at = self.fill_at.map(|at| self.unread_until.map_or(at, |until| at.max(until)));
        [fill_at, self.early_until].into_iter().flatten().min()
    }

    /// Takes a µ-law packet of the caller; `out` gets the frames it completes.
    pub fn accept(&mut self, now: Instant, packet: &Packet<'_>, out: &mut impl FnMut(Ready)) {
        if packet.payload.is_empty() {
            return;
        }
        self.now = Some(now);
        let mut line = match self.timeline {
            Some(line) if line.ssrc == packet.ssrc => line,
            other => {
                self.counters.jumps += u64::from(other.is_some());
                self.restart(packet, out)
            }
        };
        let since_last = self.last_packet_at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let step = packet.sequence.wrapping_sub(line.newest_sequence) as i16;
        let place = line.place(packet.sequence, packet.timestamp);
        let ahead = place.wrapping_sub(line.next) as i32;
        if step > 0 {
            line.newest_sequence = packet.sequence;
        }
        self.timeline = Some(line);
        self.last_packet_at = Some(now);

        let jumped = ahead > 0 && samples(ahead) > since_last + JUMP || step > 0 && ahead < -JUMP_BACK;
        if jumped {
            self.counters.jumps += 1;
            self.restart(packet, out);
            self.place(now, packet, packet.timestamp, 0, out);
        } else if ahead <= -(packet.payload.len() as i32) {
            self.behind(now, packet, place, step, since_last, out);
        } else if ahead > 0 && ahead <= REORDER_BYTES && (may_be_disorder(step) || !self.early.is_empty()) {
            self.hold(now, packet, out);
        } else {
            self.place(now, packet, place, missing(step, ahead), out);
        }
    }

    /// Lets time pass: gives up waiting for missing packets, makes up silence.
    pub fn advance(&mut self, now: Instant, out: &mut impl FnMut(Ready)) {
        self.now = Some(now);
        if self.early_until.is_some_and(|until| until <= now) {
            self.release_early(Release::All, out);
        }
        if self.is_unattended(now) {
            return;
        }
        let mut filled = 0;
        while let Some(at) = self.fill_at.filter(|at| *at <= now) {
            if filled == FILL_FRAMES {
                self.fill_at = Some(now + FRAME_DURATION);
                break;
            }
            filled += 1;
            self.counters.filled_frames += 1;
            self.release_early(Release::All, out);
            self.silence(FRAME_BYTES, out);
            self.fill_at = Some(at + FRAME_DURATION);
        }
    }

    /// Whether silence is overdue by our own fault, and packets may be waiting to be read first.
    fn is_unattended(&mut self, now: Instant) -> bool {
        let is_late = self.fill_at.is_some_and(|at| now.saturating_duration_since(at) > UNATTENDED);
        if is_late && self.unread_until.is_none() {
            self.unread_until = Some(now + FRAME_DURATION);
        } else if !is_late {
            self.unread_until = None;
        }
        self.unread_until.is_some_and(|until| now < until)
    }

    /// A timeline that begins with this packet. What waited for the old one is given out first.
    fn restart(&mut self, packet: &Packet<'_>, out: &mut impl FnMut(Ready)) -> Timeline {
        self.release_early(Release::All, out);
        let line = Timeline::begun_by(packet);
        self.timeline = Some(Timeline { newest_sequence: packet.sequence, ..line });
        self.late_at_pace = 0;
        line
    }

    /// A packet whose place has passed.
    fn behind(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        place: u32,
        step: i16,
        since_last: Duration,
        out: &mut impl FnMut(Ready),
    ) {
        if step == 0 {
            self.counters.duplicate += 1;
            return;
        }
        if step > 0 && since_last >= PACE {
            self.late_at_pace += 1;
            if self.late_at_pace >= LATE_AT_PACE {
                self.counters.jumps += 1;
                self.restart(packet, out);
                self.place(now, packet, packet.timestamp, 0, out);
                return;
            }
        }
        if step > 0
            && let Some(line) = &mut self.timeline
        {
            line.follow(packet.sequence, packet.timestamp, place, packet.payload.len());
        }
        self.counters.late += 1;
    }

    /// An early packet: waits for those before it, unless too many wait already.
    fn hold(&mut self, now: Instant, packet: &Packet<'_>, out: &mut impl FnMut(Ready)) {
        if self.early.iter().any(|early| early.sequence == packet.sequence) {
            self.counters.duplicate += 1;
            return;
        }
        self.fill_at = self.fill_at.map(|_| now + FILL_AFTER);
        let at = self.early.partition_point(|early| is_before(early.sequence, packet.sequence));
        let (sequence, timestamp) = (packet.sequence, packet.timestamp);
        self.early.insert(at, Early { sequence, timestamp, payload: packet.payload.to_vec() });
        self.early_until.get_or_insert(now + REORDER_WAIT);
        if self.early.len() > REORDER_PACKETS {
            self.release_early(Release::All, out);
        }
        assert!(self.early.len() <= REORDER_PACKETS, "more early packets wait than may");
    }

    /// A packet in its place, `lost` packets after the one before it.
    fn place(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        place: u32,
        lost: u64,
        out: &mut impl FnMut(Ready),
    ) {
        self.counters.received += 1;
        self.counters.lost_frames += lost;
        self.late_at_pace = 0;
        self.fill_at = Some(now + FILL_AFTER);
        if self.early.first().is_some_and(|early| is_before(early.sequence, packet.sequence)) {
            self.release_early(Release::All, out);
        }
        self.put(packet.sequence, packet.timestamp, place, packet.payload, out);
        self.release_early(Release::InOrder, out);
    }

    /// Gives out early packets.
    fn release_early(&mut self, release: Release, out: &mut impl FnMut(Ready)) {
        while let (Some(line), Some(first)) = (self.timeline, self.early.first()) {
            let place = line.place(first.sequence, first.timestamp);
            let gap = place.wrapping_sub(line.next) as i32;
            if release == Release::InOrder && gap > 0 {
                return;
            }
            let early = self.early.remove(0);
            self.counters.received += 1;
            self.counters.reordered += u64::from(gap <= 0);
            self.counters.lost_frames += gap.max(0) as u64 / FRAME_BYTES as u64;
            self.put(early.sequence, early.timestamp, place, &early.payload, out);
        }
        self.early_until = None;
    }

    /// Puts bytes at their place: silence before them where something is missing, nothing twice.
    fn put(
        &mut self,
        sequence: u16,
        timestamp: u32,
        place: u32,
        payload: &[u8],
        out: &mut impl FnMut(Ready),
    ) {
        let Some(line) = &mut self.timeline else { return };
        line.follow(sequence, timestamp, place, payload.len());
        let ahead = place.wrapping_sub(line.next) as i32;
        if ahead > 0 {
            self.silence(ahead as usize, out);
        }
        let past = (-ahead).max(0) as usize;
        self.write(payload.get(past..).unwrap_or_default(), true, out);
    }

    fn silence(&mut self, mut bytes: usize, out: &mut impl FnMut(Ready)) {
        while bytes > 0 {
            let piece = bytes.min(FRAME_BYTES);
            self.write(&[SILENCE_BYTE; FRAME_BYTES][..piece], false, out);
            bytes -= piece;
        }
    }

    /// Cuts the stream into frames.
    fn write(&mut self, mut bytes: &[u8], heard: bool, out: &mut impl FnMut(Ready)) {
        if let Some(line) = &mut self.timeline {
            line.next = line.next.wrapping_add(bytes.len() as u32);
        }
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(FRAME_BYTES - self.partial_bytes));
            self.partial.0[self.partial_bytes..self.partial_bytes + now.len()].copy_from_slice(now);
            self.partial_bytes += now.len();
            self.partial_heard |= heard;
            bytes = later;
            if self.partial_bytes == FRAME_BYTES {
                let ready = Ready { frame: self.partial, heard: self.partial_heard };
                (self.partial_bytes, self.partial_heard) = (0, false);
                if self.may_pass() {
                    out(ready);
                }
            }
        }
    }

    /// Whether one more frame may be passed on without running too far ahead of real time. If so, `lasts_until` grows by
    /// the frame; if not, the frame is counted as excess.
    fn may_pass(&mut self) -> bool {
        let Some(now) = self.now else { return false };
        let lasts_until = *self.lasts_until.get_or_insert(now);
        if lasts_until > now + AHEAD {
            self.counters.excess_frames += 1;
            return false;
        }
        self.lasts_until = Some(lasts_until + FRAME_DURATION);
        true
    }
}

/// Whether a sequence number is an earlier one.
fn is_before(sequence: u16, other: u16) -> bool {
    (sequence.wrapping_sub(other) as i16) < 0
}

/// Packets lost before one that is `ahead` samples and `step` sequence numbers further on.
///
/// Without a gap in the numbers the phone paused (silence suppression); with more numbers than 20 ms pieces
/// missing it sent something else meanwhile: the many small packets of a key press (RFC 4733).
fn missing(step: i16, ahead: i32) -> u64 {
    let (packets, frames) = (u64::from((step - 1).max(0) as u16), ahead.max(0) as u64 / FRAME_BYTES as u64);
    if packets <= frames { packets } else { 0 }
}

/// Whether so few numbers are missing that they may still come.
fn may_be_disorder(step: i16) -> bool {
    (2..=REORDER_PACKETS as i16 + 1).contains(&step)
}

fn samples(count: i32) -> Duration {
    Duration::from_micros(u64::from(count.unsigned_abs()) * 125)
}

#[cfg(test)]
#[path = "uplink_tests.rs"]
mod tests;

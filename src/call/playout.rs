//! Model → caller: one frame every 20 ms, for the whole call.
//!
//! The model's audio arrives in bursts, much faster than it can be heard. It waits here, and leaves on an
//! absolute schedule; silence leaves when there is nothing to say, so the RTP timestamp is the wall clock.
//! Every queued byte knows its item, and what was *heard* of an item is exactly what has left: the one
//! source of `audio_end_ms`. Does not know why it is interrupted (`turn`) nor what RTP looks like beyond
//! asking [`rtp::Stream`] for the next packet.

use std::collections::VecDeque;
use std::time::Instant;

use super::alignment::{Alignment, EARLY};
use crate::media::base64;
use crate::media::frame::ms_of;
use crate::media::level::Level;
use crate::media::rtp::{self, PACKET_BYTES};
use crate::media::{FRAME_BYTES, FRAME_DURATION, Frame};
use crate::realtime::{ItemId, ResponseId};

/// Overdue frames that are still sent, at once. More would be a burst that the far end's jitter buffer
/// throws away; fewer would lose sound to an ordinary scheduling hiccup.
const BURST_FRAMES: u32 = 5;
/// Most speech that may wait: 10 minutes. A model that produces more than that is not being listened to;
/// less could cut a very long answer.
const QUEUE_BYTES: usize = 10 * 60 * 8_000;
/// Most items and content parts of which sound may wait. An answer has one or two; a server that sends a new item with every
/// piece would fill the memory with ids. Fewer could cut an answer of very many parts.
const SEGMENTS: usize = 1_024;
/// When the queue has run dry it keeps this much room; the rest of its memory is given back.
const KEPT_BYTES: usize = 4_096;

/// Part of the queue that belongs to one item (and content part).
#[derive(Debug)]
struct Segment {
    response: ResponseId,
    item: ItemId,
    content_index: u32,
    received: u64,
    played: u64,
    complete: bool,
    /// When its first byte left.
    begun: Option<Instant>,
}

impl Segment {
    /// Bytes that have been received and not been played.
    ///
    /// # Panics
    /// More has been played than was received.
    fn waiting(&self) -> usize {
        assert!(self.played <= self.received, "more of an item was heard than was received");
        (self.received - self.played) as usize
    }
}

/// What the caller heard of an item that was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The answer it belonged to.
    pub response: ResponseId,
    /// The item.
    pub item: ItemId,
    /// Content part.
    pub content_index: u32,
    /// Heard, milliseconds, rounded down. 0: nothing at all.
    pub ms: u64,
    /// How much of the item had arrived, milliseconds.
    pub received_ms: u64,
    /// When its first byte left; None if none did.
    pub begun: Option<Instant>,
}

/// Something the playout tells of an item, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// The item that has been heard to its end.
    pub item: ItemId,
    /// When its first byte left.
    pub begun: Instant,
    /// How long it was, milliseconds.
    pub ms: u64,
}

/// What happened at a tick.
#[derive(Debug, Clone, Copy)]
pub enum Left<'a> {
    /// A frame left, in this packet.
    Frame(&'a Frame, &'a [u8; PACKET_BYTES]),
    /// Nothing left at so many ticks: the clock was late.
    Skipped(u64),
}

/// Why audio was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// Not base64.
    Malformed,
    /// More than ten minutes, or more items than `SEGMENTS`, were waiting.
    Full,
}

/// The queue and the clock.
#[derive(Debug)]
pub struct Playout {
    stream: rtp::Stream,
    /// When the next frame leaves. None until Asterisk has said where to.
    next_at: Option<Instant>,
    /// Whether the next frame may leave early, because a packet of the caller has just come.
    may_be_early: bool,
    alignment: Alignment,
    /// Whether anyone is listening; until then only silence leaves and speech waits.
    open: bool,
    /// All waiting bytes; those of the first segment come first.
    queue: VecDeque<u8>,
    segments: VecDeque<Segment>,
    /// Bytes that wait, counted segment by segment: always as many as the queue holds.
    attributed: usize,
    /// How loud what leaves is.
    level: Level,
    /// Whether anything but silence has left.
    has_spoken: bool,
    counts: Counts,
}

/// What has left, and what has not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames that have left, silence included.
    pub frames: u64,
    /// Frames that could not leave in time and were skipped.
    pub late_frames: u64,
    /// Frames of silence sent in the middle of an item because its audio had not arrived.
    pub underruns: u64,
}

impl Playout {
    /// A playout that sends nothing yet.
    pub fn new(stream: rtp::Stream) -> Self {
        Self {
            stream,
            next_at: None,
            may_be_early: false,
            alignment: Alignment::default(),
            open: false,
            queue: VecDeque::new(),
            segments: VecDeque::new(),
            attributed: 0,
            level: Level::default(),
            has_spoken: false,
            counts: Counts::default(),
        }
    }

    /// Starts the clock: the first frame leaves now.
    pub fn start(&mut self, now: Instant) {
        self.next_at.get_or_insert(now);
    }

    /// Someone is listening: speech may leave.
    pub fn open(&mut self) {
        self.open = true;
    }

    /// Stops the clock for good.
    pub fn stop(&mut self) {
        self.next_at = None;
    }

    /// A packet of the caller has come: the next frame leaves with it if it is nearly due. See `alignment`.
    pub fn packet(&mut self, now: Instant) {
        let is_silent = self.queue.is_empty();
        if let Some(next) = &mut self.next_at {
            self.may_be_early = true;
            if let Some(moved) = self.alignment.packet(now, *next, is_silent) {
                *next = moved;
            }
        }
    }

    /// Whether a frame leaves now. If not, the next frame has missed the packet.
    pub fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.next_at.is_some_and(|at| at <= self.until(now));
        self.may_be_early &= is_due;
        is_due
    }

    /// Frames that are due by then leave now.
    fn until(&self, now: Instant) -> Instant {
        if self.may_be_early { now + EARLY } else { now }
    }

    /// When the next frame leaves.
    pub fn deadline(&self) -> Option<Instant> {
        self.next_at
    }

    /// What has left, and what has not.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How loud what left was since this was asked last, dBFS; None: silent.
    pub fn take_level(&mut self) -> Option<f32> {
        self.level.take()
    }

    /// Whether anything but silence has left.
    pub fn has_spoken(&self) -> bool {
        self.has_spoken
    }

    /// Whether something of this item has left; `played`: the items that [`Self::due`] has just told of.
    pub fn has_begun(&self, item: &ItemId, played: &[Played]) -> bool {
        let is_being_heard = |segment: &Segment| segment.item == *item && segment.begun.is_some();
        self.segments.iter().any(is_being_heard) || played.iter().any(|played| played.item == *item)
    }

    /// Whether any speech is waiting or being heard.
    pub fn is_speaking(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether the next frame has speech in it. Not so while the rest of a frame is waited for.
    pub fn is_heard(&self) -> bool {
        let is_whole = || self.segments.back().is_some_and(|last| last.complete);
        self.open && (self.queue.len() >= FRAME_BYTES || !self.queue.is_empty() && is_whole())
    }

    /// Whether all the audio of this response that was queued has its end.
    pub fn is_complete(&self, response: &ResponseId) -> bool {
        self.segments.iter().all(|segment| segment.response != *response || segment.complete)
    }

    /// Queues a piece of an item's audio, as it came. How many bytes of sound it is; [`Self::newest`] gives them back.
    ///
    /// # Errors
    /// See [`Dropped`]; the queue is then as it was.
    pub fn push(
        &mut self,
        response: &ResponseId,
        item: &ItemId,
        content_index: u32,
        base64: &str,
    ) -> Result<usize, Dropped> {
        let goes_on = self
            .segments
            .back()
            .is_some_and(|last| last.item == *item && last.content_index == content_index);
        if !goes_on && self.segments.len() >= SEGMENTS {
            return Err(Dropped::Full);
        }
        let before = self.queue.len();
        let queue = &mut self.queue;
        let mut room = QUEUE_BYTES - before;
        let outcome = base64::decode(base64, |bytes| {
            room = room.checked_sub(bytes.len()).ok_or(Dropped::Full)?;
            queue.extend(bytes);
            Ok(())
        });
        match outcome {
            Ok(()) => {
                self.attribute(response, item, content_index, before);
                Ok(self.queue.len() - before)
            }
            Err(fault) => {
                self.queue.truncate(before);
                Err(match fault {
                    base64::Fault::Malformed => Dropped::Malformed,
                    base64::Fault::Refused(dropped) => dropped,
                })
            }
        }
    }

    /// A copy of the last `bytes` of what waits.
    pub fn newest(&self, bytes: usize) -> Vec<u8> {
        let from = self.queue.len().saturating_sub(bytes);
        let (front, back) = self.queue.as_slices();
        let mut newest = Vec::with_capacity(bytes);
        newest.extend_from_slice(front.get(from..).unwrap_or_default());
        newest.extend_from_slice(&back[from.saturating_sub(front.len())..]);
        newest
    }

    /// Queues µ-law audio of ours as an item of its own, all there is of it.
    ///
    /// # Errors
    /// There is no room for it; nothing is queued.
    pub fn say(&mut self, response: &ResponseId, item: &ItemId, audio: &[u8]) -> Result<(), Dropped> {
        let before = self.queue.len();
        if before + audio.len() > QUEUE_BYTES {
            return Err(Dropped::Full);
        }
        self.queue.extend(audio);
        self.attribute(response, item, 0, before);
        self.complete(item);
        Ok(())
    }

    /// What the queue holds beyond its first `before` bytes belongs to this item.
    fn attribute(&mut self, response: &ResponseId, item: &ItemId, content_index: u32, before: usize) {
        let received = (self.queue.len() - before) as u64;
        if received == 0 {
            return;
        }
        self.attributed += received as usize;
        self.check();
        if let Some(last) = self.segments.back_mut() {
            if last.item == *item && last.content_index == content_index {
                last.received += received;
                return;
            }
            // The item before gets no more audio.
            last.complete = true;
        }
        self.segments.push_back(Segment {
            response: response.clone(),
            item: item.clone(),
            content_index,
            received,
            played: 0,
            complete: false,
            begun: None,
        });
    }

    /// No more audio will come for this item.
    pub fn complete(&mut self, item: &ItemId) {
        for segment in self.segments.iter_mut().filter(|segment| segment.item == *item) {
            segment.complete = true;
        }
    }

    /// No more audio will come for any item of this response.
    pub fn complete_response(&mut self, response: &ResponseId) {
        for segment in self.segments.iter_mut().filter(|segment| segment.response == *response) {
            segment.complete = true;
        }
    }

    /// No more audio will come for any item; which ones still wait to be heard to their end.
    pub fn cut_short(&mut self) -> Vec<ItemId> {
        let close = |segment: &mut Segment| {
            segment.complete = true;
            segment.item.clone()
        };
        self.segments.iter_mut().map(close).collect()
    }

    /// Silence from the next frame on: forgets everything queued but what belongs to `keep`, and says what was
    /// heard of each forgotten item.
    ///
    /// An item that was heard to its end is not among them.
    pub fn interrupt(&mut self, keep: Option<&ResponseId>) -> Vec<Heard> {
        let mut cut = Vec::new();
        let mut kept_bytes = VecDeque::new();
        let mut kept = VecDeque::new();
        for segment in std::mem::take(&mut self.segments) {
            let waiting = segment.waiting();
            let bytes = self.queue.drain(..waiting);
            if Some(&segment.response) == keep {
                kept_bytes.extend(bytes);
                kept.push_back(segment);
                continue;
            }
            drop(bytes);
            self.attributed -= waiting;
            if waiting > 0 || !segment.complete {
                cut.push(Heard {
                    response: segment.response,
                    item: segment.item,
                    content_index: segment.content_index,
                    ms: ms_of(segment.played),
                    received_ms: ms_of(segment.received),
                    begun: segment.begun,
                });
            }
        }
        self.queue = kept_bytes;
        self.segments = kept;
        self.check();
        cut
    }

    /// Lets every frame that is due leave, and says which items ended with them.
    pub fn due(&mut self, now: Instant, mut leave: impl FnMut(Left<'_>), played: &mut Vec<Played>) {
        let now = self.until(now);
        self.may_be_early = false;
        let Some(mut at) = self.next_at.filter(|at| *at <= now) else { return };
        let overdue = (now.duration_since(at).as_micros() / FRAME_DURATION.as_micros()) as u32 + 1;
        if let Some(skipped) = overdue.checked_sub(BURST_FRAMES).filter(|skipped| *skipped > 0) {
            self.stream.skip(skipped);
            self.counts.late_frames += u64::from(skipped);
            leave(Left::Skipped(u64::from(skipped)));
            at += FRAME_DURATION * skipped;
        }
        while at <= now {
            let frame = self.next_frame(at, played);
            leave(Left::Frame(&frame, &self.stream.packet(&frame)));
            self.counts.frames += 1;
            at += FRAME_DURATION;
        }
        self.next_at = Some(at);
    }

    /// 20 ms from the front of the queue, across items where one ends within the frame.
    fn next_frame(&mut self, at: Instant, played: &mut Vec<Played>) -> Frame {
        if !self.open {
            return Frame::SILENCE;
        }
        self.retire(played);
        if self.queue.len() < FRAME_BYTES && self.segments.back().is_some_and(|last| !last.complete) {
            // The rest of the frame is on its way: a padded frame here would tear the word apart.
            if self.segments.front().is_some_and(|first| first.begun.is_some()) {
                self.counts.underruns += 1;
            }
            return Frame::SILENCE;
        }
        let mut frame = Frame::SILENCE;
        let mut filled = 0;
        for segment in &mut self.segments {
            let taken = (FRAME_BYTES - filled).min(segment.waiting());
            if taken > 0 {
                segment.begun.get_or_insert(at);
                segment.played += taken as u64;
                filled += taken;
            }
        }
        let (front, back) = self.queue.as_slices();
        let (from_front, from_back) = frame.0[..filled].split_at_mut(filled.min(front.len()));
        from_front.copy_from_slice(&front[..from_front.len()]);
        from_back.copy_from_slice(&back[..from_back.len()]);
        self.queue.drain(..filled);
        self.attributed -= filled;
        self.check();
        if filled > 0 {
            self.level.add(&frame);
            self.has_spoken = true;
        }
        self.retire(played);
        frame
    }

    /// Asserts what must always be true of the queue; called after each change of it.
    ///
    /// # Panics
    /// The bytes of the queue are not those of its segments, or there are more than may wait.
    fn check(&self) {
        assert!(
            self.queue.len() == self.attributed,
            "the bytes that wait are not those of the items that wait"
        );
        assert!(self.queue.len() <= QUEUE_BYTES, "more speech waits than may wait");
    }

    /// Drops the segments that have been heard to the end.
    fn retire(&mut self, played: &mut Vec<Played>) {
        while let Some(first) =
            self.segments.front().filter(|first| first.complete && first.played == first.received)
        {
            if let Some(begun) = first.begun {
                played.push(Played { item: first.item.clone(), begun, ms: ms_of(first.played) });
            }
            self.segments.pop_front();
        }
        if self.queue.is_empty() && self.queue.capacity() > 2 * KEPT_BYTES {
            self.queue.shrink_to(KEPT_BYTES);
        }
    }
}

#[cfg(test)]
#[path = "playout_tests.rs"]
mod tests;

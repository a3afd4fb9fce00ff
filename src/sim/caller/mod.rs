//! A fake caller: a phone with a script, without sockets and clock. The phone sends G.711 µ-law on an
//! absolute 20 ms clock, presses keys (RFC 4733), waits for the other side to speak or to fall silent,
//! interrupts, and records what it hears. There is no SIP, echo or jitter buffer: what the phone hears is
//! what arrives.
//!
//! The owner drains `poll` after every method call, and calls `advance` at `deadline`.

mod hearing;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::chance::Chance;
use super::rtp::{self, Header};
use hearing::Ear;

pub use hearing::{Heard, Statistics};

/// The duration of one packet: 160 bytes of G.711.
const FRAME: Duration = Duration::from_millis(20);
const FRAME_BYTES: usize = 160;
/// The number of packets for which a key is held, 120 ms. Its end is sent three times.
const KEY_FRAMES: u16 = 6;
/// The silence between a key and the next step, as a person needs it.
const KEY_PAUSE: Duration = Duration::from_millis(100);
/// The time after which `AfterHearing` gives up if it has heard nothing at all.
const HEARING_AT_MOST: Duration = Duration::from_secs(30);
/// The longest gap between loud frames of one utterance of the assistant: longer than the pauses between
/// words, shorter than those between turns.
const BETWEEN_WORDS: Duration = Duration::from_millis(500);

/// One step of the caller's script.
#[derive(Debug, Clone)]
pub enum Step {
    /// Speaks: µ-law in 20 ms frames, the last one filled up with silence.
    Say(Arc<[u8]>),
    /// Is silent for this time.
    Pause(Duration),
    /// Waits until the assistant is heard.
    WaitForSpeech {
        /// The longest time to wait.
        at_most: Duration,
    },
    /// Waits until the assistant has not been heard for a while. Silence before the step does not count.
    WaitForSilence {
        /// The required length of the silence.
        quiet: Duration,
        /// The longest time to wait.
        at_most: Duration,
    },
    /// Lets the current or next utterance of the assistant continue for this time, or to its end. The next
    /// step can then interrupt.
    AfterHearing(Duration),
    /// Presses a key for 120 ms: `0` to `9`, `*`, `#`, `A` to `D`.
    Press(char),
    /// Presses the hold button. While on hold the phone sends nothing.
    Hold(bool),
    /// Sends no RTP for this time, as with silence suppression or a dead phone.
    StopSending(Duration),
    /// Hangs up.
    HangUp,
}

/// An action that the owner must take for the phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doing {
    /// Send this RTP packet. Keys are RFC 4733 packets.
    Send(Vec<u8>),
    /// Put the call on hold (true), or take it off hold (false).
    Hold(bool),
    /// End the call.
    HangUp,
}

/// The phone. See the documentation of the module.
#[derive(Debug)]
pub struct Caller {
    born: Instant,
    script: VecDeque<Step>,
    step: Progress,
    /// When the next frame is due. None: the call is not answered yet, or has ended.
    tick: Option<Instant>,
    answered_at: Option<Instant>,
    over: bool,
    held: bool,
    /// Whether the next packet is the first one.
    marker: bool,
    seq: u16,
    timestamp: u32,
    ssrc: u32,
    ear: Ear,
    /// The audio that was sent, placed by time: byte n was due n/8 ms after `new`. Silence fills the gaps.
    said: Vec<u8>,
    keep: bool,
    sent: u64,
    out: VecDeque<Doing>,
}

/// The progress of the first step in the script.
#[derive(Debug, Clone, Copy)]
enum Progress {
    /// The step has not started.
    Fresh,
    /// The step started at this instant, and this many of its frames have been sent.
    Since(Instant, usize),
}

/// What the phone sends in one tick.
enum Tick {
    Audio,
    Nothing,
}

impl Caller {
    /// A phone whose call is ringing. The phone sends from `answered` on.
    pub fn new(now: Instant, script: Vec<Step>, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let (first, second) = (chance.number(), chance.number());
        Self {
            born: now,
            script: script.into(),
            step: Progress::Fresh,
            tick: None,
            answered_at: None,
            over: false,
            held: false,
            marker: true,
            seq: first as u16,
            timestamp: (first >> 16) as u32,
            ssrc: second as u32,
            ear: Ear::new(now, true),
            said: Vec::new(),
            keep: true,
            sent: 0,
            out: VecDeque::new(),
        }
    }

    /// Records no audio, only `statistics`, for many calls at once.
    #[must_use]
    pub fn statistics_only(mut self) -> Self {
        self.keep = false;
        self.ear = Ear::new(self.born, false);
        self
    }

    /// The call is answered: the sending clock and the script start.
    pub fn answered(&mut self, now: Instant) {
        if self.answered_at.is_none() && !self.over {
            self.answered_at = Some(now);
            self.tick = Some(now);
            self.advance(now);
        }
    }

    /// The other side hung up: the phone falls silent for good.
    pub fn released(&mut self, now: Instant) {
        self.advance(now);
        self.over = true;
        self.tick = None;
    }

    /// Receives a datagram from Asterisk.
    pub fn hear(&mut self, now: Instant, datagram: &[u8]) {
        self.advance(now);
        self.ear.hear(now, datagram);
    }

    /// Lets time pass: every frame that is due by now is sent.
    pub fn advance(&mut self, now: Instant) {
        while let Some(tick) = self.tick.filter(|tick| *tick <= now) {
            self.tick = Some(tick + FRAME);
            let what = self.play(tick);
            if self.tick.is_none() {
                return;
            }
            if let (Tick::Audio, false) = (what, self.held) {
                let frame = self.next_frame();
                self.say(tick, &frame);
            }
            self.timestamp = self.timestamp.wrapping_add(FRAME_BYTES as u32);
        }
    }

    /// The time at which the next frame is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.tick
    }

    /// The next action for this phone.
    pub fn poll(&mut self) -> Option<Doing> {
        self.out.pop_front()
    }

    /// Every packet that was heard (none with `statistics_only`).
    pub fn heard(&self) -> &[Heard] {
        self.ear.packets()
    }

    /// The statistics of the packets that were heard.
    pub fn statistics(&self) -> Statistics {
        self.ear.statistics()
    }

    /// The audio that was heard since `new`, placed by RTP timestamp relative to the arrival of the first
    /// packet, with silence in the gaps. Its timeline is that of `said_audio`: the two are the sides of a
    /// stereo recording.
    pub fn heard_audio(&self) -> Vec<u8> {
        self.ear.audio()
    }

    /// The audio that was sent since `new`, each frame at its time, with silence in the gaps.
    pub fn said_audio(&self) -> &[u8] {
        &self.said
    }

    /// The number of packets sent, keys included.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether the script has reached its end, or the call has ended. Without `HangUp` the phone then stays
    /// connected and silent.
    pub fn finished(&self) -> bool {
        self.over || self.script.is_empty()
    }

    /// Advances through the script as far as possible at this tick.
    fn play(&mut self, tick: Instant) -> Tick {
        loop {
            let Some(step) = self.script.front().cloned() else { return Tick::Audio };
            let (since, done) = match self.step {
                Progress::Fresh => (tick, 0),
                Progress::Since(since, done) => (since, done),
            };
            self.step = Progress::Since(since, done);
            let over = match &step {
                Step::Say(sound) => done * FRAME_BYTES >= sound.len(),
                Step::Pause(long) | Step::StopSending(long) => tick - since >= *long,
                Step::WaitForSpeech { at_most } => {
                    self.ear.speech_since(tick, 3 * FRAME).is_some() || tick - since >= *at_most
                }
                Step::WaitForSilence { quiet, at_most } => {
                    let silent_since = self.ear.last_loud().map_or(since, |loud| loud.max(since));
                    tick - silent_since >= *quiet || tick - since >= *at_most
                }
                Step::AfterHearing(long) => self.heard_enough(tick, since, *long),
                Step::Press(digit) => self.press(tick, since, *digit),
                Step::Hold(on) => {
                    self.held = *on;
                    self.out.push_back(Doing::Hold(*on));
                    true
                }
                Step::HangUp => {
                    self.out.push_back(Doing::HangUp);
                    self.over = true;
                    self.tick = None;
                    self.script.clear();
                    return Tick::Nothing;
                }
            };
            if !over {
                let pressing = matches!(step, Step::Press(_)) && tick - since < FRAME * u32::from(KEY_FRAMES);
                let quiet = pressing || matches!(step, Step::StopSending(_));
                return if quiet { Tick::Nothing } else { Tick::Audio };
            }
            self.script.pop_front();
            self.step = Progress::Fresh;
        }
    }

    /// Whether the assistant has spoken for long enough since the step began, or has stopped speaking since
    /// then.
    fn heard_enough(&self, tick: Instant, since: Instant, long: Duration) -> bool {
        match (self.ear.speech_since(tick, BETWEEN_WORDS), self.ear.last_loud()) {
            (Some(began), _) => tick - began.max(since) >= long,
            (None, Some(loud)) if loud >= since => true,
            _ => tick - since >= HEARING_AT_MOST,
        }
    }

    /// Sends the packets of a key that are due at this tick. Returns true when the key and the pause after it
    /// are over.
    fn press(&mut self, tick: Instant, since: Instant, digit: char) -> bool {
        let Some(code) = rtp::DIGITS.find(digit.to_ascii_uppercase()) else { return true };
        let frame = ((tick - since).as_millis() / FRAME.as_millis()) as u16;
        let began = self.timestamp.wrapping_sub(u32::from(frame) * FRAME_BYTES as u32);
        let step = FRAME_BYTES as u16;
        if frame < KEY_FRAMES {
            self.key_packet(began, code as u8, false, (frame + 1) * step, frame == 0);
        } else if frame == KEY_FRAMES {
            for _ in 0..3 {
                self.key_packet(began, code as u8, true, KEY_FRAMES * step, false);
            }
        }
        tick - since >= FRAME * u32::from(KEY_FRAMES) + KEY_PAUSE
    }

    fn key_packet(&mut self, timestamp: u32, code: u8, end: bool, duration: u16, marker: bool) {
        if self.held {
            return;
        }
        let [high, low] = duration.to_be_bytes();
        let flags = 0x0a | u8::from(end) << 7; // a volume of -10 dBm0
        self.send(rtp::KEYS, timestamp, marker, &[code, flags, high, low]);
    }

    /// The audio of this tick: the next piece of the current sentence, or silence.
    fn next_frame(&mut self) -> [u8; FRAME_BYTES] {
        let mut frame = [rtp::SILENCE; FRAME_BYTES];
        if let (Some(Step::Say(sound)), Progress::Since(since, done)) = (self.script.front(), self.step) {
            let rest = &sound[done * FRAME_BYTES..];
            let piece = &rest[..rest.len().min(FRAME_BYTES)];
            frame[..piece.len()].copy_from_slice(piece);
            self.step = Progress::Since(since, done + 1);
        }
        frame
    }

    /// Sends a frame of audio, and records it at its place in time.
    fn say(&mut self, tick: Instant, frame: &[u8]) {
        if self.keep {
            self.said.resize(samples(tick - self.born), rtp::SILENCE);
            self.said.extend_from_slice(frame);
        }
        let marker = std::mem::take(&mut self.marker);
        self.send(rtp::ULAW, self.timestamp, marker, frame);
    }

    fn send(&mut self, payload_type: u8, timestamp: u32, marker: bool, payload: &[u8]) {
        let header = Header { marker, payload_type, seq: self.seq, timestamp, ssrc: self.ssrc };
        self.seq = self.seq.wrapping_add(1);
        self.sent += 1;
        self.out.push_back(Doing::Send(rtp::write(header, payload)));
    }
}

/// The number of samples at 8 kHz in this time.
fn samples(time: Duration) -> usize {
    (time.as_micros() * 8 / 1000) as usize
}

#[cfg(test)]
mod tests;

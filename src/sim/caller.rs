//! A fake caller: a phone with a script, sans-IO. It sends G.711 µ-law on an absolute 20 ms clock, presses keys
//! (RFC 4733), waits for the other side to speak or fall silent, interrupts, and keeps what it hears.
//! No SIP, no echo, no jitter buffer: what it heard is what arrived.
//!
//! After every call of a method, drain `poll`; call `advance` at `deadline`.

mod hearing;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::chance::Chance;
use super::rtp::{self, Header};
use hearing::Ear;

pub use hearing::{Heard, Statistics};

/// One packet: 160 bytes of G.711.
const FRAME: Duration = Duration::from_millis(20);
const FRAME_BYTES: usize = 160;
/// A key is held for six packets, 120 ms, and its end is told three times.
const KEY_FRAMES: u16 = 6;
/// Silence between one key and what comes next, as a hand needs it.
const KEY_PAUSE: Duration = Duration::from_millis(100);
/// `AfterHearing` gives up when it has heard nothing at all for so long.
const HEARING_AT_MOST: Duration = Duration::from_secs(30);
/// The assistant speaks as long as loud frames are no further apart than this. Longer than the pauses between words,
/// shorter than those between turns.
const BETWEEN_WORDS: Duration = Duration::from_millis(500);

/// One thing the caller does.
#[derive(Debug, Clone)]
pub enum Step {
    /// Speaks: µ-law, sent in 20 ms frames, the last one filled up with silence.
    Say(Arc<[u8]>),
    /// Is silent.
    Pause(Duration),
    /// Waits until the assistant is heard.
    WaitForSpeech {
        /// And no longer than this.
        at_most: Duration,
    },
    /// Waits until the assistant has not been heard for a while; silence before the step does not count.
    WaitForSilence {
        /// That while.
        quiet: Duration,
        /// And no longer than this.
        at_most: Duration,
    },
    /// Lets the assistant's present or next speech go on for so long, or to its end: then comes an interruption.
    AfterHearing(Duration),
    /// Presses a key for 120 ms: `0` to `9`, `*`, `#`, `A` to `D`.
    Press(char),
    /// Presses the hold button; while on hold the phone sends nothing.
    Hold(bool),
    /// Sends no RTP at all while time goes on: silence suppression, or a dead phone.
    StopSending(Duration),
    /// Hangs up.
    HangUp,
}

/// What the phone wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doing {
    /// Send this RTP packet. Keys are among them, as RFC 4733 packets.
    Send(Vec<u8>),
    /// Put the call on hold, or take it back.
    Hold(bool),
    /// End the call.
    HangUp,
}

/// The phone. See the module's documentation.
#[derive(Debug)]
pub struct Caller {
    born: Instant,
    script: VecDeque<Step>,
    step: Progress,
    /// When the next frame goes out. `None`: not answered yet, or over.
    tick: Option<Instant>,
    answered_at: Option<Instant>,
    over: bool,
    held: bool,
    /// Set until the first packet is out.
    marker: bool,
    seq: u16,
    timestamp: u32,
    ssrc: u32,
    ear: Ear,
    /// What was sent, placed by time: byte n was due n/8 ms after `new`. Silence where nothing was sent.
    said: Vec<u8>,
    keep: bool,
    sent: u64,
    out: VecDeque<Doing>,
}

/// How far the first step of the script is.
#[derive(Debug, Clone, Copy)]
enum Progress {
    /// It has not begun.
    Fresh,
    /// It began then; so many frames of it are out.
    Since(Instant, usize),
}

/// What goes out in one tick.
enum Tick {
    Audio,
    Nothing,
}

impl Caller {
    /// A phone that is ringing out. It sends from `answered` on.
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

    /// Keeps no sound, only `statistics`: for many calls at once.
    #[must_use]
    pub fn statistics_only(mut self) -> Self {
        self.keep = false;
        self.ear = Ear::new(self.born, false);
        self
    }

    /// The call is up: the sending clock and the script start.
    pub fn answered(&mut self, now: Instant) {
        if self.answered_at.is_none() && !self.over {
            self.answered_at = Some(now);
            self.tick = Some(now);
            self.advance(now);
        }
    }

    /// The other side hung up: the phone falls silent for ever.
    pub fn released(&mut self, now: Instant) {
        self.advance(now);
        self.over = true;
        self.tick = None;
    }

    /// A datagram came from Asterisk.
    pub fn hear(&mut self, now: Instant, datagram: &[u8]) {
        self.advance(now);
        self.ear.hear(now, datagram);
    }

    /// Lets time pass: every frame due by now goes out.
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

    /// When the next frame is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.tick
    }

    /// The next thing to do for this phone.
    pub fn poll(&mut self) -> Option<Doing> {
        self.out.pop_front()
    }

    /// Every packet heard (none with `statistics_only`).
    pub fn heard(&self) -> &[Heard] {
        self.ear.packets()
    }

    /// What was heard in figures.
    pub fn statistics(&self) -> Statistics {
        self.ear.statistics()
    }

    /// What was heard, from `new` on, placed by RTP timestamp behind the first packet's arrival; silence in the gaps.
    /// It has the time line of `said_audio`: the two are the sides of a stereo recording.
    pub fn heard_audio(&self) -> Vec<u8> {
        self.ear.audio()
    }

    /// What was sent, from `new` on, each frame at its time; silence where there was none.
    pub fn said_audio(&self) -> &[u8] {
        &self.said
    }

    /// Packets sent, keys included.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// The script is played to its end, or the call is over. Without `HangUp` the phone then stays on, silent.
    pub fn finished(&self) -> bool {
        self.over || self.script.is_empty()
    }

    /// Goes through the script as far as it gets at this tick.
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

    /// Whether the assistant's speech has gone on for long enough since the step began, or has ended since then.
    fn heard_enough(&self, tick: Instant, since: Instant, long: Duration) -> bool {
        match (self.ear.speech_since(tick, BETWEEN_WORDS), self.ear.last_loud()) {
            (Some(began), _) => tick - began.max(since) >= long,
            (None, Some(loud)) if loud >= since => true,
            _ => tick - since >= HEARING_AT_MOST,
        }
    }

    /// The packets of a key that are due at this tick; true when key and pause are over.
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

    /// The sound of this tick: the next piece of what is being said, or silence.
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

    /// Sends a frame of sound, and keeps it at its place in time.
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

/// So many samples of 8 kHz.
fn samples(time: Duration) -> usize {
    (time.as_micros() * 8 / 1000) as usize
}

#[cfg(test)]
mod tests;

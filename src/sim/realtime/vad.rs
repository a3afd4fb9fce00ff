//! Finds the caller's speech on the clock of the appended audio.
//!
//! The clock moves only when audio arrives: a client that sends nothing never receives `speech_stopped`. This
//! module sends nothing and makes no decision about responses.
//!
//! ```text
//!            loud for onset_ms                     quiet for silence_duration_ms
//!   Quiet ───────────────────────► Speaking ─────────────────────────────────────► Quiet
//!          Started(begin − prefix)            Stopped(now, the silence included)
//! ```

use super::codec::Codec;
use super::script::VadScript;
use super::settings::TurnDetection;

/// The length of the audio that is judged at once, in milliseconds.
const WINDOW_MS: u64 = 20;

/// Something that the VAD heard, in milliseconds of appended audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Started { ms: u64 },
    Stopped { ms: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Quiet { loud_ms: u64 },
    Speaking { quiet_ms: u64 },
}

/// The detector and its clock.
#[derive(Debug)]
pub(super) struct Vad {
    /// The microseconds of all audio ever appended, cleared audio included.
    clock_us: u64,
    /// The end of the windows judged so far, in milliseconds.
    judged_ms: u64,
    /// The start of a window that is not complete yet.
    rest: Vec<u8>,
    state: State,
}

impl Vad {
    pub(super) fn new() -> Self {
        Self { clock_us: 0, judged_ms: 0, rest: Vec::new(), state: State::Quiet { loud_ms: 0 } }
    }

    /// The length of all audio ever appended, in milliseconds.
    pub(super) fn clock_ms(&self) -> u64 {
        self.clock_us / 1_000
    }

    pub(super) fn is_speaking(&self) -> bool {
        matches!(self.state, State::Speaking { .. })
    }

    /// Forgets the current speech. The clock stays.
    pub(super) fn reset(&mut self) {
        self.state = State::Quiet { loud_ms: 0 };
        self.rest.clear();
        self.judged_ms = self.clock_ms();
    }

    /// Appends audio. `turns` is `None` while turn detection is off.
    pub(super) fn feed(
        &mut self,
        audio: &[u8],
        codec: Codec,
        turns: Option<TurnDetection>,
        script: &VadScript,
    ) -> Vec<Heard> {
        self.clock_us += audio.len() as u64 * 1_000 / codec.bytes_per_ms();
        let Some(turns) = turns else {
            self.reset();
            return Vec::new();
        };
        let mut heard = Vec::new();
        let size = usize::try_from(WINDOW_MS * codec.bytes_per_ms()).expect("a window is small");
        let mut audio = audio;
        while self.rest.len() + audio.len() >= size {
            let (begin, tail) = audio.split_at(size.saturating_sub(self.rest.len()));
            audio = tail;
            let loud = if self.rest.is_empty() {
                self.is_loud(begin, codec, script)
            } else {
                self.rest.extend_from_slice(begin);
                let window = std::mem::take(&mut self.rest);
                self.is_loud(&window[..size], codec, script)
            };
            self.judged_ms += WINDOW_MS;
            heard.extend(self.judge(loud, turns, onset_ms(script)));
        }
        self.rest.extend_from_slice(audio);
        heard
    }

    fn is_loud(&self, window: &[u8], codec: Codec, script: &VadScript) -> bool {
        match script {
            VadScript::Energy { level, .. } => codec.loudness(window) >= *level,
            VadScript::Turns(turns) => turns.iter().any(|&(from, to)| (from..to).contains(&self.judged_ms)),
            VadScript::Never => false,
        }
    }

    fn judge(&mut self, loud: bool, turns: TurnDetection, onset_ms: u64) -> Option<Heard> {
        let (state, heard) = match self.state {
            State::Quiet { .. } if !loud => (State::Quiet { loud_ms: 0 }, None),
            State::Quiet { loud_ms } if loud_ms + WINDOW_MS < onset_ms => {
                (State::Quiet { loud_ms: loud_ms + WINDOW_MS }, None)
            }
            State::Quiet { loud_ms } => {
                let begin = self.judged_ms - loud_ms - WINDOW_MS;
                (
                    State::Speaking { quiet_ms: 0 },
                    Some(Heard::Started { ms: begin.saturating_sub(turns.prefix_ms) }),
                )
            }
            State::Speaking { .. } if loud => (State::Speaking { quiet_ms: 0 }, None),
            State::Speaking { quiet_ms } if quiet_ms + WINDOW_MS < turns.silence_ms => {
                (State::Speaking { quiet_ms: quiet_ms + WINDOW_MS }, None)
            }
            State::Speaking { .. } => {
                (State::Quiet { loud_ms: 0 }, Some(Heard::Stopped { ms: self.judged_ms }))
            }
        };
        self.state = state;
        heard
    }
}

/// Scripted turns start where the script says, without an onset.
fn onset_ms(script: &VadScript) -> u64 {
    match script {
        VadScript::Energy { onset_ms, .. } => *onset_ms,
        VadScript::Turns(_) | VadScript::Never => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURNS: TurnDetection = TurnDetection {
        prefix_ms: 300,
        silence_ms: 500,
        idle_timeout_ms: None,
        create_response: true,
        interrupt_response: true,
    };

    #[test]
    fn speech_is_found_whatever_the_size_of_the_appends() {
        let mut call = vec![0xFF; 8_000];
        call.extend(vec![0x80; 8_000]);
        call.extend(vec![0xFF; 8_000]);
        for size in [1, 7, 160, 163, 600, 24_000] {
            let mut vad = Vad::new();
            let heard: Vec<Heard> = call
                .chunks(size)
                .flat_map(|audio| vad.feed(audio, Codec::Ulaw, Some(TURNS), &VadScript::default()))
                .collect();
            assert_eq!(
                heard,
                [Heard::Started { ms: 700 }, Heard::Stopped { ms: 2_500 }],
                "appends of {size}"
            );
        }
    }

    #[test]
    fn without_audio_no_time_passes() {
        let mut vad = Vad::new();
        let script = VadScript::Turns(vec![(100, 200)]);
        assert_eq!(vad.feed(&[0xFF; 800], Codec::Ulaw, Some(TURNS), &script), []);
        assert_eq!(vad.feed(&[0xFF; 160], Codec::Ulaw, Some(TURNS), &script), [Heard::Started { ms: 0 }]);
        assert!(vad.is_speaking());
        assert_eq!(vad.feed(&[0xFF; 160 * 28], Codec::Ulaw, Some(TURNS), &script), []);
        assert_eq!(vad.feed(&[0xFF; 160], Codec::Ulaw, Some(TURNS), &script), [Heard::Stopped { ms: 700 }]);
    }

    #[test]
    fn a_click_is_no_speech() {
        let mut vad = Vad::new();
        let mut click = vec![0x80; 320];
        click.extend(vec![0xFF; 8_000]);
        assert_eq!(vad.feed(&click, Codec::Ulaw, Some(TURNS), &VadScript::default()), []);
    }
}

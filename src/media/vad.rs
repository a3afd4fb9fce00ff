//! The program's own voice detector, which decides whether a frame of the caller's audio holds a voice.
//!
//! The detector is that of WebRTC (crate `webrtc-vad`) at 8 kHz in its strictest mode, on frames of 20 ms.
//! The call uses the result for its silence timers and its latency figures. The detector never decides when a
//! turn ends: OpenAI's server does that. Steady noise that is louder than about 10 dB below speech is
//! mistaken for a voice.

use super::frame::Frame;
use super::ulaw;

/// A voice detector for the audio of one caller. Its estimate of the noise carries over from frame to frame.
pub struct Vad {
    detector: webrtc_vad::Vad,
}

// SAFETY: `webrtc_vad::Vad` is `!Send` only because it holds a raw pointer to a C object. That object
// (`WebRtcVadInst`, about 750 bytes of plain integers, allocated by `WebRtcVad_Create`) has no thread
// affinity: it refers to no thread-local, no file and no other object, and the library keeps no global
// mutable state. This value alone owns the pointer, every use goes through `&mut self`, and nothing can copy
// the pointer out. Moving the value to another thread therefore moves the only user of the object. (The type
// is not `Sync`, because the C functions write through the pointer.)
#[expect(unsafe_code, reason = "the one C object of the program; argued above")]
unsafe impl Send for Vad {}

impl Vad {
    /// A detector that has not heard any audio.
    pub fn new() -> Self {
        Self {
            detector: webrtc_vad::Vad::new_with_rate_and_mode(
                webrtc_vad::SampleRate::Rate8kHz,
                webrtc_vad::VadMode::VeryAggressive,
            ),
        }
    }

    /// Whether the frame holds a voice. One call takes about 1 µs.
    pub fn voice(&mut self, frame: &Frame) -> bool {
        let mut samples = [0i16; super::frame::FRAME_BYTES];
        for (sample, code) in samples.iter_mut().zip(frame.bytes()) {
            *sample = ulaw::decode(*code);
        }
        // The only possible error is a wrong frame length, and 160 samples at 8 kHz are a valid length.
        self.detector.is_voice_segment(&samples).unwrap_or(false)
    }
}

impl Default for Vad {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Vad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vad")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_not_a_voice_and_the_detector_may_change_threads() {
        let mut vad = Vad::new();
        assert!((0..50).all(|_| !vad.voice(&Frame::SILENCE)));
        let heard = std::thread::spawn(move || vad.voice(&Frame::SILENCE)).join();
        assert!(!heard.expect("the thread does not panic"));
    }
}

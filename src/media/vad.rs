//! Our own ear: is there a voice in this frame of the caller's audio?
//!
//! The WebRTC detector (crate `webrtc-vad`), 8 kHz, in its strictest mode, on frames of 20 ms. It is
//! an input to the call's own reasoning – silence guards, latency figures – and never decides
//! turns: that is the model's server. Steady noise louder than about 10 dB below speech fools it.

use super::frame::Frame;
use super::ulaw;

/// Decides frame by frame; keeps a little history (its noise estimate), so one per caller.
pub struct Vad {
    detector: webrtc_vad::Vad,
}

// SAFETY: `webrtc_vad::Vad` is `!Send` only because it holds a raw pointer to a C object. That object
// (`WebRtcVadInst`, about 750 bytes of plain integers, allocated by `WebRtcVad_Create`) has no thread
// affinity: it refers to no thread-local, no file and no other object, and the library keeps no
// global mutable state. The pointer is owned by this value alone, every use goes through `&mut self`,
// and nothing can copy it out, so moving the value to another thread moves the only user with it.
// (It is not `Sync`: the C functions write through the pointer.)
#[expect(unsafe_code, reason = "the one C object of the program; argued above")]
unsafe impl Send for Vad {}

impl Vad {
    /// A detector that has heard nothing.
    pub fn new() -> Self {
        Self {
            detector: webrtc_vad::Vad::new_with_rate_and_mode(
                webrtc_vad::SampleRate::Rate8kHz,
                webrtc_vad::VadMode::VeryAggressive,
            ),
        }
    }

    /// Whether the frame holds a voice. About 1 µs.
    pub fn voice(&mut self, frame: &Frame) -> bool {
        let mut samples = [0i16; super::frame::FRAME_BYTES];
        for (sample, code) in samples.iter_mut().zip(frame.bytes()) {
            *sample = ulaw::decode(*code);
        }
        // The only error is a wrong frame length, and 160 samples at 8 kHz is a right one.
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

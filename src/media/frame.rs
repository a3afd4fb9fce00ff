//! The unit of audio in the whole program: 20 ms of G.711 µ-law.
//!
//! One byte is one sample at 8 kHz, so 8 bytes are one millisecond and 160 bytes are one frame. The compiler
//! checks that the constants below agree with each other. No other file of the program repeats these numbers.

use std::time::Duration;

/// The length of a frame in milliseconds: the default packet time of G.711 (RFC 3551 §4.2), which Asterisk
/// also uses.
pub const FRAME_MS: u32 = 20;
/// [`FRAME_MS`] as a duration.
pub const FRAME_DURATION: Duration = Duration::from_millis(FRAME_MS as u64);
/// The number of samples, and for µ-law also of bytes, in one millisecond.
pub const BYTES_PER_MS: usize = 8;
/// The number of bytes in a frame.
pub const FRAME_BYTES: usize = 160;
/// The µ-law code of silence, which is positive zero.
pub const SILENCE_BYTE: u8 = 0xFF;

const _: () = assert!(FRAME_BYTES == BYTES_PER_MS * FRAME_MS as usize);

/// 20 ms of µ-law audio, 160 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame(pub [u8; FRAME_BYTES]);

impl Frame {
    /// 20 ms of silence.
    pub const SILENCE: Self = Self([SILENCE_BYTE; FRAME_BYTES]);

    /// The samples, one byte each.
    pub const fn bytes(&self) -> &[u8; FRAME_BYTES] {
        &self.0
    }

    /// Whether every sample is digital silence.
    pub fn is_silence(&self) -> bool {
        self.0 == Self::SILENCE.0
    }
}

impl std::fmt::Debug for Frame {
    /// Prints only whether the frame is silent, because audio does not belong in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_silence() { "Frame(silence)" } else { "Frame(sound)" })
    }
}

/// The duration of this many µ-law bytes in milliseconds, rounded down. `audio_end_ms` of
/// `conversation.item.truncate` has this unit.
pub const fn ms_of(bytes: u64) -> u64 {
    bytes / BYTES_PER_MS as u64
}

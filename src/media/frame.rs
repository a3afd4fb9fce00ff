//! The unit of everything: 20 ms of G.711 µ-law.
//!
//! One byte is one sample at 8 kHz, so 8 bytes are a millisecond and 160 bytes a frame. The
//! constants below are tied together at compile time; nothing else in the program says 160.

use std::time::Duration;

/// Length of a frame in milliseconds: the packet time Asterisk uses for G.711 (RFC 3551 §4.2).
pub const FRAME_MS: u32 = 20;
/// [`FRAME_MS`] as a duration.
pub const FRAME_DURATION: Duration = Duration::from_millis(FRAME_MS as u64);
/// Samples, and for µ-law also bytes, in a millisecond.
pub const BYTES_PER_MS: usize = 8;
/// Bytes in a frame.
pub const FRAME_BYTES: usize = 160;
/// The µ-law code of silence: positive zero.
pub const SILENCE_BYTE: u8 = 0xFF;

const _: () = assert!(FRAME_BYTES == BYTES_PER_MS * FRAME_MS as usize);

/// 20 ms of µ-law audio, 160 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame(pub [u8; FRAME_BYTES]);

impl Frame {
    /// 20 ms of nothing.
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
    /// Short: audio never belongs in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_silence() { "Frame(silence)" } else { "Frame(sound)" })
    }
}

/// Milliseconds in so many µ-law bytes, rounded down (what `audio_end_ms` wants).
pub const fn ms_of(bytes: u64) -> u64 {
    bytes / BYTES_PER_MS as u64
}

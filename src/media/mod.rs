//! Sound as the telephone knows it: frames, G.711 µ-law, RTP packets, voice activity, loudness, WAV headers; and
//! the base64 in which it travels.
//!
//! Nothing here keeps a connection or knows what a call is.

pub mod base64;
pub mod frame;
pub mod level;
pub mod rtp;
pub mod ulaw;
pub mod vad;
pub mod wav;

pub use frame::{FRAME_BYTES, FRAME_DURATION, FRAME_MS, Frame, SILENCE_BYTE};

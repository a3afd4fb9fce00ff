//! Audio as the telephone network uses it: frames, G.711 µ-law, RTP packets, voice activity, loudness and WAV
//! headers, and the base64 in which the audio travels to and from OpenAI.
//!
//! No module here keeps a connection or knows about calls.

pub mod base64;
pub mod frame;
pub mod level;
pub mod rtp;
pub mod ulaw;
pub mod vad;
pub mod wav;

pub use frame::{FRAME_BYTES, FRAME_DURATION, FRAME_MS, Frame, SILENCE_BYTE};

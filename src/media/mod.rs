//! Audio as the telephone network uses it: frames, G.711 µ-law, RTP packets, voice activity, loudness and WAV
//! headers, and the base64 in which the audio travels to and from OpenAI.
//!
//! No module here keeps a connection or knows about calls.
//!
//! | file | what |
//! |---|---|
//! | `frame`, `ulaw` | 20 ms of G.711 µ-law; the conversion of µ-law to linear samples |
//! | `rtp` | RTP packets |
//! | `vad`, `level` | whether a frame holds a voice, and how loud the voice is |
//! | `wav`, `base64` | the header of WAV files; the text form of audio in events |

pub mod base64;
pub mod frame;
pub mod level;
pub mod rtp;
pub mod ulaw;
pub mod vad;
pub mod wav;

pub use frame::{BYTES_PER_MS, FRAME_BYTES, FRAME_DURATION, FRAME_MS, Frame, SILENCE_BYTE};

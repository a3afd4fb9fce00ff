//! WAV files of a telephone call: stereo G.711 µ-law at 8 kHz, the samples as they travelled.
//!
//! Format tag 7 (`WAVE_FORMAT_MULAW`) is no PCM, so the `fmt ` chunk is 18 bytes long and a `fact` chunk follows
//! (RIFF "Multimedia Data Standards Update", 1994). Every player knows it. Writes no file: it makes bytes.
//!
//! ```text
//!  0 RIFF size WAVE │ 12 fmt  18: 7, 2 channels, 8 000 Hz, 16 000 B/s, 2, 8 bits, 0 │ 38 fact 4: samples │ 50 data size │ 58 …
//! ```

use super::frame::SILENCE_BYTE;

/// Bytes before the first sample.
pub const HEADER_BYTES: usize = 58;
const FORMAT_MULAW: u16 = 7;
const CHANNELS: u16 = 2;
const RATE: u32 = 8_000;

/// The header of a file with so many samples on each side.
///
/// Players take the length from here; of a call longer than 74 hours they would see the first 74.
pub fn header(samples: u32) -> [u8; HEADER_BYTES] {
    let data = samples.saturating_mul(CHANNELS.into()).min(u32::MAX - HEADER_BYTES as u32);
    let mut header = [0; HEADER_BYTES];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        header[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(b"RIFF");
    // Of everything behind this number.
    put(&(data + HEADER_BYTES as u32 - 8).to_le_bytes());
    put(b"WAVEfmt ");
    put(&18_u32.to_le_bytes());
    put(&FORMAT_MULAW.to_le_bytes());
    put(&CHANNELS.to_le_bytes());
    put(&RATE.to_le_bytes());
    put(&(RATE * u32::from(CHANNELS)).to_le_bytes());
    put(&CHANNELS.to_le_bytes());
    put(&8_u16.to_le_bytes());
    put(&0_u16.to_le_bytes());
    put(b"fact");
    put(&4_u32.to_le_bytes());
    put(&samples.to_le_bytes());
    put(b"data");
    put(&data.to_le_bytes());
    header
}

/// A sample of the left, one of the right, and so on; the shorter side is followed by silence.
pub fn interleave(left: &[u8], right: &[u8]) -> Vec<u8> {
    let sample = |side: &[u8], n: usize| side.get(n).copied().unwrap_or(SILENCE_BYTE);
    (0..left.len().max(right.len())).flat_map(|n| [sample(left, n), sample(right, n)]).collect()
}

/// A whole file.
pub fn stereo(left: &[u8], right: &[u8]) -> Vec<u8> {
    let samples = left.len().max(right.len()) as u32;
    [header(samples).as_slice(), &interleave(left, right)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_that_of_a_stereo_mulaw_file() {
        let expected =
            b"RIFF\x3a\x00\x00\x00WAVEfmt \x12\x00\x00\x00\x07\x00\x02\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\
            \x02\x00\x08\x00\x00\x00fact\x04\x00\x00\x00\x04\x00\x00\x00data\x08\x00\x00\x00";
        assert_eq!(header(4), *expected);
    }

    #[test]
    fn the_sides_alternate_and_the_shorter_one_falls_silent() {
        assert_eq!(interleave(&[1, 2, 3], &[9]), [1, 9, 2, SILENCE_BYTE, 3, SILENCE_BYTE]);
        assert_eq!(stereo(&[1], &[2])[HEADER_BYTES..], [1, 2]);
    }

    #[test]
    fn a_call_of_four_days_does_not_overflow_the_header() {
        assert_eq!(header(u32::MAX)[4..8], (u32::MAX - 8).to_le_bytes());
    }
}

//! The 58-byte header of a WAV file with µ-law audio at 8 kHz in one or two channels.
//!
//! The header consists of RIFF, a `fmt ` chunk of 18 bytes (every format except PCM, and so format 7, must
//! state the size of its extension), a `fact` chunk (the samples per channel, which every format except PCM
//! must state too) and the start of the `data` chunk. This module neither reads nor writes files.

use super::frame::SILENCE_BYTE;

/// The length of the header in bytes, and so the offset of the audio in the file.
pub const HEADER_BYTES: usize = 58;

/// The number of samples per second in each channel.
const SAMPLE_RATE: u32 = 8_000;
/// The format code `WAVE_FORMAT_MULAW` of RFC 2361.
const FORMAT_ULAW: u16 = 7;
/// The size that the header states while the length is unknown. Players then read to the end of the file.
const UNKNOWN: u32 = u32::MAX;

/// The header for this many bytes of audio, counted over all channels. `None` means that the file is still
/// being written. A length that a RIFF header cannot state (4 GiB, about three days of stereo) gives the same
/// header as `None`.
#[must_use]
pub fn header(channels: u16, sound_bytes: Option<u64>) -> [u8; HEADER_BYTES] {
    let known = sound_bytes
        .and_then(|bytes| u32::try_from(bytes).ok())
        .filter(|bytes| *bytes <= UNKNOWN - HEADER_BYTES as u32);
    let (riff, samples, data) = known.map_or((UNKNOWN, UNKNOWN, UNKNOWN), |bytes| {
        // A chunk of odd length is followed by a padding byte, which only the size of the RIFF chunk
        // includes.
        (bytes + bytes % 2 + (HEADER_BYTES as u32 - 8), bytes / u32::from(channels), bytes)
    });
    let mut header = [0; HEADER_BYTES];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        header[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(b"RIFF");
    put(&riff.to_le_bytes());
    put(b"WAVEfmt ");
    put(&18u32.to_le_bytes());
    put(&FORMAT_ULAW.to_le_bytes());
    put(&channels.to_le_bytes());
    put(&SAMPLE_RATE.to_le_bytes());
    put(&(SAMPLE_RATE * u32::from(channels)).to_le_bytes());
    put(&channels.to_le_bytes());
    put(&8u16.to_le_bytes());
    put(&0u16.to_le_bytes());
    put(b"fact");
    put(&4u32.to_le_bytes());
    put(&samples.to_le_bytes());
    put(b"data");
    put(&data.to_le_bytes());
    header
}

/// Alternates the samples of the left and the right channel. Silence extends the shorter channel.
pub fn interleave(left: &[u8], right: &[u8]) -> Vec<u8> {
    let sample = |side: &[u8], n: usize| side.get(n).copied().unwrap_or(SILENCE_BYTE);
    (0..left.len().max(right.len())).flat_map(|n| [sample(left, n), sample(right, n)]).collect()
}

/// A complete stereo WAV file, header and audio.
pub fn stereo(left: &[u8], right: &[u8]) -> Vec<u8> {
    let sound = interleave(left, right);
    [header(2, Some(sound.len() as u64)).as_slice(), &sound].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sides_alternate_and_the_shorter_one_falls_silent() {
        assert_eq!(interleave(&[1, 2, 3], &[9]), [1, 9, 2, SILENCE_BYTE, 3, SILENCE_BYTE]);
        assert_eq!(stereo(&[1], &[2])[HEADER_BYTES..], [1, 2]);
    }

    #[test]
    fn a_second_of_stereo_is_described_to_the_byte() {
        let header = header(2, Some(16_000));
        let hex = header.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        let expected = [
            "52494646", "b23e0000", "57415645", "666d7420", "12000000", "0700", "0200", "401f0000",
            "803e0000", "0200", "0800", "0000", "66616374", "04000000", "401f0000", "64617461", "803e0000",
        ];
        assert_eq!(hex, expected.concat());
    }

    #[test]
    fn an_unknown_length_and_one_beyond_a_riff_are_the_same() {
        assert_eq!(header(1, None), header(1, Some(1 << 33)));
        assert_eq!(header(1, None)[54..], [0xFF; 4]);
        assert_ne!(header(1, None), header(1, Some(u64::from(u32::MAX) - 58)));
    }
}

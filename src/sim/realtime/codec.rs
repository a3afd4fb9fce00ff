//! The three audio formats of the API: their bytes per millisecond, their loudness, and the conversion of
//! scripted µ-law to each of them.
//!
//! The conversion is good enough for a fake: PCM at 24 kHz repeats each sample, without a filter.

use serde_json::Value;

/// A format of `session.audio.*.format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Ulaw,
    Alaw,
    /// 16-bit linear samples, little endian, 24 kHz.
    Pcm,
}

impl Codec {
    /// The format with this GA or beta name. An unknown name means PCM, the default of the API.
    pub(super) fn named(name: &Value) -> Self {
        match name.as_str() {
            Some("audio/pcmu" | "g711_ulaw") => Self::Ulaw,
            Some("audio/pcma" | "g711_alaw") => Self::Alaw,
            _ => Self::Pcm,
        }
    }

    pub(super) fn bytes_per_ms(self) -> u64 {
        match self {
            Self::Ulaw | Self::Alaw => 8,
            Self::Pcm => 48,
        }
    }

    /// The mean absolute amplitude, 0 to 32 767.
    pub(super) fn loudness(self, sound: &[u8]) -> u32 {
        let (total, samples) = match self {
            Self::Ulaw => {
                (sound.iter().map(|&byte| amplitude(ulaw_to_linear(byte))).sum::<u64>(), sound.len())
            }
            Self::Alaw => (sound.iter().map(|&byte| amplitude(alaw_to_linear(byte))).sum(), sound.len()),
            Self::Pcm => {
                let pairs = sound.chunks_exact(2);
                (pairs.map(|pair| amplitude(i16::from_le_bytes([pair[0], pair[1]]))).sum(), sound.len() / 2)
            }
        };
        u32::try_from(total / samples.max(1) as u64).unwrap_or(u32::MAX)
    }

    /// Converts scripted µ-law to this format.
    pub(super) fn encode(self, sound: &[u8]) -> std::borrow::Cow<'_, [u8]> {
        match self {
            Self::Ulaw => sound.into(),
            Self::Alaw => {
                sound.iter().map(|&byte| linear_to_alaw(ulaw_to_linear(byte))).collect::<Vec<u8>>().into()
            }
            Self::Pcm => {
                let thrice = sound.iter().flat_map(|&byte| [ulaw_to_linear(byte).to_le_bytes(); 3]);
                thrice.flatten().collect::<Vec<u8>>().into()
            }
        }
    }
}

fn amplitude(sample: i16) -> u64 {
    u64::from(sample.unsigned_abs())
}

/// ITU-T G.711, table 2a.
pub(super) fn ulaw_to_linear(byte: u8) -> i16 {
    let byte = !byte;
    let magnitude = ((i16::from(byte & 0x0F) << 3) + 0x84) << ((byte & 0x70) >> 4);
    if byte & 0x80 == 0 { magnitude - 0x84 } else { 0x84 - magnitude }
}

/// ITU-T G.711, table 1a.
fn alaw_to_linear(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let mantissa = i16::from(byte & 0x0F) << 4;
    let magnitude = match (byte & 0x70) >> 4 {
        0 => mantissa + 8,
        segment => (mantissa + 0x108) << (segment - 1),
    };
    if byte & 0x80 == 0 { -magnitude } else { magnitude }
}

/// The nearest A-law byte. A search is fast enough for a fake.
fn linear_to_alaw(sample: i16) -> u8 {
    let distance = |byte: &u8| i32::from(alaw_to_linear(*byte)).abs_diff(i32::from(sample));
    (0..=u8::MAX).min_by_key(distance).expect("there are 256 bytes to choose from")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(ulaw_to_linear(0xFF), 0);
        assert_eq!(ulaw_to_linear(0x7F), 0);
        assert_eq!(ulaw_to_linear(0x80), 32_124);
        assert_eq!(ulaw_to_linear(0x00), -32_124);
        assert_eq!(alaw_to_linear(0xD5), 8);
        assert_eq!(alaw_to_linear(0x2A), -32_256);
        assert_eq!(Codec::Ulaw.loudness(&[0xFF; 160]), 0);
    }

    #[test]
    fn a_millisecond_stays_a_millisecond() {
        for codec in [Codec::Ulaw, Codec::Alaw, Codec::Pcm] {
            let bytes = codec.encode(&[0x80; 80]).len() as u64;
            assert_eq!(bytes, 10 * codec.bytes_per_ms());
            assert!(codec.loudness(&codec.encode(&[0x80; 80])) > 30_000);
        }
    }
}

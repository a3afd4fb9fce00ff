//! Conversion between G.711 µ-law (ITU-T G.711) and linear samples.
//!
//! The audio of a call passes through without any conversion. Only the voice detector, the level meters and
//! the test tones use these conversions.

/// The linear 16-bit value of each of the 256 codes, as in the reference of the ITU.
pub const LINEAR: [i16; 256] = linear_table();

const BIAS: i32 = 0x84;
const CLIP: i32 = 32_635;

const fn linear_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let inverted = !(code as u8);
        let magnitude = ((((inverted & 0x0F) as i32) << 3) + BIAS) << ((inverted >> 4) & 7);
        let value = if inverted & 0x80 == 0 { magnitude - BIAS } else { BIAS - magnitude };
        table[code] = value as i16;
        code += 1;
    }
    table
}

/// Converts a µ-law code to its linear sample.
pub const fn decode(code: u8) -> i16 {
    LINEAR[code as usize]
}

/// Converts a linear sample to the nearest µ-law code.
pub const fn encode(sample: i16) -> u8 {
    let (sign, magnitude) = if sample < 0 { (0x80, -(sample as i32)) } else { (0, sample as i32) };
    let biased = (if magnitude > CLIP { CLIP } else { magnitude }) + BIAS;
    let exponent = 24 - biased.leading_zeros() as i32;
    let mantissa = (biased >> (exponent + 3)) & 0x0F;
    !(sign | (exponent << 4) as u8 | mantissa as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_way_there_and_back() {
        for code in 0..=255u8 {
            let again = encode(decode(code));
            // Code 0x7F is negative zero, which linear samples cannot tell from positive zero.
            assert_eq!(again, if code == 0x7F { 0xFF } else { code }, "code {code:#04x}");
        }
    }

    #[test]
    fn the_reference_values_of_the_standard_hold() {
        assert_eq!(decode(0xFF), 0);
        assert_eq!(decode(0x80), 32_124);
        assert_eq!(decode(0x00), -32_124);
        assert_eq!(encode(i16::MAX), 0x80);
        assert_eq!(encode(i16::MIN), 0x00);
    }
}

//! The linear samples of G.711 µ-law (ITU-T G.711).
//!
//! The audio of a call passes through without any conversion. Only the voice detector and the level meters use the
//! linear samples.

/// The linear 16-bit value of each of the 256 codes, as in the reference of the ITU.
pub const LINEAR: [i16; 256] = linear_table();

const BIAS: i32 = 0x84;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_values_of_the_standard_hold() {
        for (code, sample) in [(0xFF, 0), (0xFE, 8), (0xF0, 120), (0xEF, 132), (0x8F, 16_764), (0x80, 32_124)]
        {
            assert_eq!(decode(code), sample, "code {code:#04x}");
            // The highest bit is the sign, and 0x7F is negative zero.
            assert_eq!(decode(code & 0x7F), -sample, "code {:#04x}", code & 0x7F);
        }
    }

    #[test]
    fn a_code_after_another_is_quieter() {
        assert!((0x80..0xFF).all(|code| decode(code) > decode(code + 1)));
    }
}

//! Transcoding between the two laws of G.711 through 16-bit linear samples, for A-law callers and for A-law
//! packets on a µ-law leg.

/// Converts A-law to µ-law.
pub(super) fn to_ulaw(alaw: &[u8]) -> Vec<u8> {
    alaw.iter().map(|code| encode_ulaw(decode_alaw(*code))).collect()
}

/// Converts µ-law to A-law.
pub(super) fn to_alaw(ulaw: &[u8]) -> Vec<u8> {
    ulaw.iter().map(|code| encode_alaw(decode_ulaw(*code))).collect()
}

fn decode_ulaw(code: u8) -> i32 {
    let code = !code;
    let magnitude = (((i32::from(code & 15) << 3) + 0x84) << (code >> 4 & 7)) - 0x84;
    if code & 128 == 0 { magnitude } else { -magnitude }
}

fn encode_ulaw(sample: i32) -> u8 {
    let magnitude = sample.abs().min(32_635) + 0x84;
    let segment = magnitude.ilog2() - 7;
    let code = (segment << 4) as u8 | (magnitude >> (segment + 3) & 15) as u8;
    !(if sample < 0 { code | 128 } else { code })
}

fn decode_alaw(code: u8) -> i32 {
    let code = code ^ 0x55;
    let (segment, step) = (code >> 4 & 7, i32::from(code & 15) << 4);
    let magnitude = if segment == 0 { step + 8 } else { (step + 0x108) << (segment - 1) };
    if code & 128 == 0 { -magnitude } else { magnitude }
}

fn encode_alaw(sample: i32) -> u8 {
    let magnitude = (if sample < 0 { -sample - 1 } else { sample }).min(32_767);
    let segment = (magnitude | 0xff).ilog2() - 7;
    let step = if segment == 0 { magnitude >> 4 } else { magnitude >> (segment + 3) };
    let code = (segment << 4) as u8 | (step & 15) as u8;
    (if sample < 0 { code } else { code | 128 }) ^ 0x55
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_codes() {
        assert_eq!((decode_ulaw(0xff), decode_ulaw(0x80), decode_ulaw(0)), (0, 32_124, -32_124));
        assert_eq!((decode_alaw(0xd5), decode_alaw(0x55), decode_alaw(0xaa)), (8, -8, 32_256));
        assert_eq!((encode_ulaw(0), encode_alaw(0)), (0xff, 0xd5));
    }

    #[test]
    fn every_code_comes_back_to_itself_or_its_neighbour() {
        for code in 0..=255_u8 {
            assert_eq!(encode_alaw(decode_alaw(code)), code);
            let back = encode_ulaw(decode_ulaw(code));
            assert!(back == code || code == 0x7f, "{code:#x} came back as {back:#x}");
            let there_and_back = to_ulaw(&to_alaw(&[code]))[0];
            let error = (decode_ulaw(there_and_back) - decode_ulaw(code)).abs();
            assert!(error <= 8 + decode_ulaw(code).abs() / 16, "{code:#x}: off by {error}");
        }
    }
}

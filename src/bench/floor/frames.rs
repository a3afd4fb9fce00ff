//! The WebSocket frames of the floor (RFC 6455 §5.2): whole text frames only.

use crate::clock::chance;

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const MASKED: u8 = 0x80;
/// The length of the payload follows in two bytes, or in eight.
const TWO_BYTES: u8 = 0x7E;
const EIGHT_BYTES: u8 = 0x7F;

/// Appends a masked text frame.
pub(super) fn put(text: &[u8], to: &mut Vec<u8>) {
    to.push(TEXT);
    match text.len() {
        length @ ..=125 => to.push(MASKED | length as u8),
        length @ ..=0xFFFF => {
            to.push(MASKED | TWO_BYTES);
            to.extend((length as u16).to_be_bytes());
        }
        length => {
            to.push(MASKED | EIGHT_BYTES);
            to.extend((length as u64).to_be_bytes());
        }
    }
    let mask = (chance() as u32).to_ne_bytes();
    to.extend(mask);
    let start = to.len();
    to.extend_from_slice(text);
    for piece in to[start..].chunks_mut(4) {
        for (byte, mask) in piece.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
}

/// A close frame without a reason.
pub(super) fn close() -> [u8; 6] {
    [CLOSE, MASKED, 0, 0, 0, 0]
}

/// Splits the first frame off: its payload, and what is behind it. None: the frame is not complete.
pub(super) fn take(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, start) = match *bytes.get(1)? {
        TWO_BYTES => (u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        EIGHT_BYTES => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
        length => (u64::from(length), 2),
    };
    bytes.get(start..)?.split_at_checked(length as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written_but_for_the_mask() {
        for length in [0, 5, 125, 126, 300, 70_000] {
            let text = vec![b'a'; length];
            let mut frame = Vec::new();
            put(&text, &mut frame);
            let start = frame.len() - length;
            let mask: [u8; 4] = frame[start - 4..start].try_into().expect("four");
            let unmasked: Vec<u8> =
                frame[start..].iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b).collect();
            frame.splice(start - 4.., unmasked);
            frame[1] &= !MASKED;
            assert_eq!(take(&frame[..frame.len().saturating_sub(1)]), None);
            frame.push(7);
            assert_eq!(take(&frame), Some((&text[..], &[7][..])));
        }
    }
}

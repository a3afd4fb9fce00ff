//! A decoder for base64 from servers, with or without padding, in the standard alphabet or in the URL-safe
//! one (RFC 4648 §4 and §5).

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// Neither missing padding nor non-zero unused bits of the last character are an error.
const TOLERANT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const OF_TEXTS: GeneralPurpose = GeneralPurpose::new(&STANDARD, TOLERANT);
const OF_URLS: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, TOLERANT);

/// The number of characters that are decoded at a time, in a buffer on the stack. A multiple of 4. A larger
/// value uses more stack; a smaller value calls `take` more often.
const CHARACTERS: usize = 1_024;

/// Why a text was not decoded to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault<E> {
    /// The text is not base64.
    Malformed,
    /// The receiver of the bytes refused some of them.
    Refused(E),
}

/// Decodes a text piece by piece into `take`.
///
/// # Errors
/// See [`Fault`]. `take` may already have received the pieces before the fault.
pub fn decode<E>(text: &str, mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), Fault<E>> {
    let mut bytes = [0; CHARACTERS / 4 * 3];
    for piece in text.as_bytes().chunks(CHARACTERS) {
        let length = OF_TEXTS
            .decode_slice(piece, &mut bytes)
            .or_else(|_| OF_URLS.decode_slice(piece, &mut bytes))
            .map_err(|_| Fault::Malformed)?;
        take(&bytes[..length]).map_err(Fault::Refused)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose as engines;
    use proptest::prelude::*;

    use super::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        let take = |bytes: &[u8]| -> Result<(), ()> {
            all.extend_from_slice(bytes);
            Ok(())
        };
        decode(text, take).ok().map(|()| all)
    }

    proptest! {
        /// The decoder reads each of the four encodings of the same bytes.
        #[test]
        fn every_way_to_write_it_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..3_000)) {
            for text in [
                engines::STANDARD.encode(&bytes),
                engines::STANDARD_NO_PAD.encode(&bytes),
                engines::URL_SAFE.encode(&bytes),
                engines::URL_SAFE_NO_PAD.encode(&bytes),
            ] {
                prop_assert_eq!(decoded(&text), Some(bytes.clone()));
            }
        }
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for text in ["%%%%", "AAA=AAAA", "A", "AAAA AAAA", "AA*A"] {
            assert_eq!(decoded(text), None, "{text}");
        }
        let late = format!("{}%%%%", "AAAA".repeat(1_000));
        assert_eq!(decoded(&late), None);
    }

    #[test]
    fn whoever_takes_the_bytes_may_refuse_them() {
        assert_eq!(decode("AAAA", |_| Err("full")), Err(Fault::Refused("full")));
    }
}

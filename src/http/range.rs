//! Range requests (RFC 9110, section 14) for one range of bytes. `conditional` decides whether a range applies to the
//! present state of the file.
//!
//! A request for several ranges, in another unit, or with an unreadable range is answered with the whole file, as the
//! RFC permits.

use axum::http::{HeaderMap, header};

/// The part of a file that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The whole file.
    Whole,
    /// The bytes from `first` to `last`, both included.
    Part {
        /// The offset of the first byte.
        first: u64,
        /// The offset of the last byte.
        last: u64,
    },
    /// A range that begins after the end of the file: status 416.
    Beyond,
}

/// Determines the part of a file of this length that the headers ask for.
#[must_use]
pub(super) fn wanted(headers: &HeaderMap, length: u64) -> Wanted {
    let mut ranges = headers.get_all(header::RANGE).iter();
    let (Some(range), None) = (ranges.next(), ranges.next()) else { return Wanted::Whole };
    range.to_str().ok().and_then(|text| parse(text, length)).unwrap_or(Wanted::Whole)
}

/// Parses one range. Returns `None` if the text is not exactly one range of bytes.
fn parse(text: &str, length: u64) -> Option<Wanted> {
    let (unit, range) = text.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    match (first, last) {
        ("", suffix) => {
            let count = number(suffix)?.min(length);
            Some(if count == 0 {
                Wanted::Beyond
            } else {
                Wanted::Part { first: length - count, last: length - 1 }
            })
        }
        (first, last) => {
            let first = number(first)?;
            let last = if last.is_empty() { u64::MAX } else { number(last)? };
            if last < first {
                return None;
            }
            Some(if first >= length {
                Wanted::Beyond
            } else {
                Wanted::Part { first, last: last.min(length - 1) }
            })
        }
    }
}

/// Parses decimal digits. A number that does not fit becomes the largest one.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_range_is_read_as_the_rfc_says() {
        let part = |first, last| Some(Wanted::Part { first, last });
        for (text, wanted) in [
            ("bytes=0-0", part(0, 0)),
            ("bytes=0-99", part(0, 99)),
            ("bytes=10-", part(10, 99)),
            ("bytes=90-500", part(90, 99)),
            ("bytes=-1", part(99, 99)),
            ("bytes=-500", part(0, 99)),
            ("BYTES=5-7", part(5, 7)),
            ("bytes=0-99999999999999999999999", part(0, 99)),
            ("bytes=100-", Some(Wanted::Beyond)),
            ("bytes=99999999999999999999999-", Some(Wanted::Beyond)),
            ("bytes=-0", Some(Wanted::Beyond)),
            ("bytes=7-5", None),
            ("bytes=0-1,3-4", None),
            ("bytes=-", None),
            ("bytes=+1-2", None),
            ("bytes=0x1-2", None),
            ("items=0-1", None),
            ("bytes", None),
        ] {
            assert_eq!(parse(text, 100), wanted, "{text}");
        }
        assert_eq!(parse("bytes=0-", 0), Some(Wanted::Beyond));
        assert_eq!(parse("bytes=-5", 0), Some(Wanted::Beyond));
    }

    proptest! {
        #[test]
        fn a_part_is_always_within_the_file(text in "bytes=[0-9]{0,20}-[0-9]{0,20}", length in 0_u64..1000) {
            if let Some(Wanted::Part { first, last }) = parse(&text, length) {
                prop_assert!(first <= last && last < length);
            }
        }
    }
}

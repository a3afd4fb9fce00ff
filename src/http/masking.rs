//! Masks phone numbers in the path and query of a request before the access log shows them, wherever a client put the
//! numbers and however the client wrote them.

use axum::http::Uri;

/// The longest path and query that the log shows, in characters; the rest is cut. A larger value lets strangers write
/// longer lines; a smaller one cuts ordinary queries.
const SHOWN_CHARS: usize = 300;
/// The number of digits from which a number is masked. A smaller value would also mask years, ports and extensions; a
/// larger one would show short phone numbers.
const NUMBER_DIGITS: usize = 5;
/// The parameters whose values are shown, except for phone numbers in them. Of all other values only the last two
/// digits are shown.
const SHOWN: [&str; 9] = ["limit", "cursor", "from", "to", "channel", "by", "format", "end_reason", "agent"];

/// Returns the path and query, at most 300 characters long. A number of five digits or more becomes `***` and its
/// last two digits. Times, ids of recordings and Asterisk's unique ids stay as they are.
#[must_use]
pub fn masked(uri: &Uri) -> String {
    let mut shown = mask_numbers(uri.path());
    for (index, pair) in uri.query().into_iter().flat_map(|query| query.split('&')).enumerate() {
        if shown.len() > SHOWN_CHARS {
            break;
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        shown.push(if index == 0 { '?' } else { '&' });
        shown.push_str(&mask_numbers(name));
        if SHOWN.contains(&name) && is_plain(value) {
            shown.push('=');
            shown.push_str(&mask_numbers(value));
        } else {
            let tail: String = value.chars().rev().take(2).filter(char::is_ascii_digit).collect();
            shown.push_str("=***");
            shown.extend(tail.chars().rev());
        }
    }
    if let Some((end, _)) = shown.char_indices().nth(SHOWN_CHARS) {
        shown.truncate(end);
        shown.push_str("...");
    }
    shown
}

/// Whether the text contains only characters that occur in ids, cursors and times.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_.~:+-%".contains(&byte))
}

/// Masks every number of at least [`NUMBER_DIGITS`] digits.
fn mask_numbers(text: &str) -> String {
    // The end of a longer text would be cut later anyway.
    let mut rest = &text[..text.floor_char_boundary(4 * SHOWN_CHARS)];
    let mut masked = String::with_capacity(rest.len());
    while let Some(first) = rest.chars().next() {
        let shown = time_or_id(rest);
        let number = Number::at(rest);
        let (end, is_number) = match (shown, number.digits.len()) {
            (Some(end), _) => (end, false),
            (None, 0) => (first.len_utf8(), false),
            (None, digits) => (number.end, digits >= NUMBER_DIGITS),
        };
        let (run, after) = rest.split_at(end);
        if is_number {
            masked.push_str("***");
            masked.push_str(&number.digits[number.digits.len() - 2..]);
        } else {
            masked.push_str(run);
        }
        rest = after;
    }
    masked
}

/// The number at the beginning of a text.
#[derive(Default)]
struct Number {
    digits: String,
    /// The byte offset after the last digit.
    end: usize,
}

impl Number {
    /// Parses digits, each written as itself or percent-encoded (`%33`), together with the punctuation that people
    /// put between digits.
    fn at(text: &str) -> Self {
        let (mut number, mut at) = (Self::default(), 0);
        while let Some((sign, length)) = sign(&text[at..]) {
            at += length;
            if sign.is_ascii_digit() {
                number.digits.push(sign);
                number.end = at;
            } else if number.digits.is_empty() || !" -.()+_".contains(sign) {
                break;
            }
        }
        number
    }
}

/// Returns the first character of a path or query, decoded, and the number of bytes that its encoded form takes.
fn sign(text: &str) -> Option<(char, usize)> {
    let decoded = text.strip_prefix('%').and_then(|rest| rest.get(..2));
    let decoded = decoded.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(u8::is_ascii);
    let first = text.chars().next()?;
    Some(decoded.map_or((first, first.len_utf8()), |byte| (char::from(byte), 3)))
}

/// Returns the byte offset at which a time or id at the beginning of the text ends, or `None` if the text begins with
/// neither. Examples: `2026-11-20`, `20261120_143025_1795180048.12`, `1795180048.12`, and the time of a cursor,
/// `1795180048123~`.
fn time_or_id(text: &str) -> Option<usize> {
    if has_shape(text, "20dddddd_dddddd_") {
        let id = &text[16..];
        return Some(16 + unique_id(id).unwrap_or(0));
    }
    if has_shape(text, "20dd-dd-dd") {
        return Some(10);
    }
    let seconds = digits(text);
    let is_recent = text.starts_with(['1', '2']);
    let is_cursor = (13..=18).contains(&seconds) && text[seconds..].starts_with('~');
    match unique_id(text) {
        Some(end) if seconds == 10 && is_recent => Some(end),
        _ => (is_cursor && is_recent).then_some(seconds + 1),
    }
}

/// Returns the byte offset at which an Asterisk unique id (seconds, a point, a counter) at the beginning of the text
/// ends.
fn unique_id(text: &str) -> Option<usize> {
    let seconds = digits(text);
    let count = digits(text.get(seconds..)?.strip_prefix('.')?);
    ((1..=10).contains(&seconds) && (1..=9).contains(&count)).then_some(seconds + 1 + count)
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// Whether the text begins with this shape, in which `d` stands for any digit. The shape must not be followed by a
/// digit.
fn has_shape(text: &str, shape: &str) -> bool {
    let (text, shape) = (text.as_bytes(), shape.as_bytes());
    let fits = |(found, wanted): (&u8, &u8)| found == wanted || (*wanted == b'd' && found.is_ascii_digit());
    let goes_on = shape.last() == Some(&b'd') && text.get(shape.len()).is_some_and(u8::is_ascii_digit);
    text.len() >= shape.len() && text.iter().zip(shape).all(fits) && !goes_on
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_masked_wherever_somebody_puts_them() {
        for (asked, shown) in [
            ("/recordings?caller=%2B573001234567&limit=5", "/recordings?caller=***67&limit=5"),
            ("/recordings?limit=5&c%61ller=573001234567", "/recordings?limit=5&c%61ller=***67"),
            ("/recordings?573001234567", "/recordings?***67=***"),
            ("/recordings/573001234567", "/recordings/***67"),
            ("/recordings/+573001234567/audio", "/recordings/+***67/audio"),
            ("/recordings/20251020_143025_573001234567", "/recordings/20251020_143025_***67"),
            ("/recordings/300-123-4567", "/recordings/***67"),
            ("/recordings/(300)%20123.45.67", "/recordings/(***67"),
            ("/recordings/%33%30%3012345", "/recordings/***45"),
            ("/calls/573001234567", "/calls/***67"),
            ("/calls/573001234567.1", "/calls/***71"),
            ("/stats?by=agent&caller=573001234567", "/stats?by=agent&caller=***67"),
            ("/calls?agent=573001234567", "/calls?agent=***67"),
            ("/calls?agent=sales-573001234567", "/calls?agent=sales-***67"),
            ("/calls?cursor=573001234567&from=573001234567", "/calls?cursor=***67&from=***67"),
        ] {
            assert_eq!(masked(&asked.parse().unwrap()), shown);
        }
    }

    #[test]
    fn ids_and_times_stay() {
        for asked in [
            "/recordings?cursor=1795180048123~20251020_143025_17.3",
            "/calls?cursor=1795180048123456~1795180048.12",
            "/calls/1795180048.12",
            "/calls/pbx-1795180048.12/hangup",
            "/recordings/20251020_143025_17951.12/audio",
            "/recordings/20251020_143025_1795180048.12-2/audio?channel=caller",
            "/calls?from=2026-11-20&to=2026-11-21T14:30:00-05:00&end_reason=caller_hung_up",
        ] {
            assert_eq!(masked(&asked.parse().unwrap()), asked);
        }
    }

    #[test]
    fn what_is_long_is_cut() {
        for asked in [format!("/{}", "a".repeat(60_000)), format!("/?{}", "a=1&".repeat(15_000))] {
            assert!(masked(&asked.parse().unwrap()).len() < 310);
        }
    }
}

//! Finds phone numbers in a text of any kind and masks them. Whether a text may hold numbers is decided elsewhere.

/// The number of digits from which a number is masked. A smaller value would also mask years, ports and extensions; a
/// larger one would show short phone numbers.
const NUMBER_DIGITS: usize = 5;

/// Returns the text with `***` and the last two digits in place of every number of at least `NUMBER_DIGITS` digits. A
/// digit may be percent-encoded, and the punctuation that people put between digits may stand in the number. Times, ids of
/// recordings and Asterisk's unique ids stay as they are.
#[must_use]
pub fn mask_numbers(text: &str) -> String {
    let mut rest = text;
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
    fn a_text_of_asterisk_keeps_everything_but_numbers() {
        for (text, shown) in [
            ("Extension '3001234567' is not in from-internal", "Extension '***67' is not in from-internal"),
            ("Channel Local/+573001234567@sales-00000001;2", "Channel Local/+***67@sales-***01;2"),
            ("Channel 1795180048.12 not found", "Channel 1795180048.12 not found"),
            ("HTTP 404, extension 300", "HTTP 404, extension 300"),
        ] {
            assert_eq!(mask_numbers(text), shown);
        }
    }
}

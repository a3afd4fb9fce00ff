//! Numbers and patterns as in `extensions.conf`.
//!
//! A text that begins with `_` is a pattern: `X` stands for 0–9, `Z` for 1–9, `N` for 2–9, `[15-7]` for one of these
//! characters, `.` for one or more characters and `!` for any number of characters, both at the end only. A `-` between
//! characters has no meaning. Any other character stands for itself. Among the patterns that match, the one that is
//! more specific at the first position where the patterns differ decides, as in Asterisk.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The longest pattern, in bytes. Asterisk's extensions have at most 79 characters (`AST_MAX_EXTENSION`, channel.h), and a
/// set takes several bytes for one character. A smaller value would refuse patterns that Asterisk takes.
const MOST_BYTES: usize = 256;

/// A number, or a pattern of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    places: Vec<Symbols>,
    end: End,
}

/// The characters that may stand at one place of a number, ASCII, as a set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Symbols(u128);

/// How a number may continue after the places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Not at all.
    Exact,
    /// With one character or more: `.`.
    OneOrMore,
    /// With any characters, or not at all: `!`.
    Any,
}

/// The text is not a number or a pattern of Asterisk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// There are no characters.
    #[error("the number is empty")]
    Empty,
    /// There are more characters than a number has.
    #[error("the number is too long")]
    TooLong,
    /// A character that no number contains: a space, a control character, or one outside ASCII.
    #[error("a number contains only visible ASCII characters")]
    Character,
    /// A set of characters has no end, no characters, or a range that runs backwards.
    #[error("the characters in [ ] are not a set")]
    Set,
    /// `.` or `!` is followed by something.
    #[error("nothing may follow . or !")]
    AfterEnd,
    /// The text is written like a pattern, and does not begin with `_`.
    #[error("a pattern begins with _")]
    NoUnderscore,
}

impl Symbols {
    const NONE: Self = Self(0);

    fn of(characters: impl IntoIterator<Item = u8>) -> Self {
        Self(characters.into_iter().fold(0, |set, character| set | 1 << character))
    }

    const fn contains(self, character: u8) -> bool {
        character < 128 && self.0 & 1 << character != 0
    }

    const fn size(self) -> u32 {
        self.0.count_ones()
    }

    const fn overlaps(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.len() > MOST_BYTES {
            return Err(PatternError::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(PatternError::Character);
        }
        let (places, end) = match text.strip_prefix('_') {
            Some(pattern) => parse(pattern.as_bytes())?,
            None if is_like_pattern(text) => return Err(PatternError::NoUnderscore),
            None => (text.bytes().map(|byte| Symbols::of([byte])).collect(), End::Exact),
        };
        if places.is_empty() && end == End::Exact {
            return Err(PatternError::Empty);
        }
        Ok(Self { text: text.to_owned(), places, end })
    }
}

/// Whether a text without `_` was meant as a pattern: it has a set, or it begins with a digit and has only signs of patterns. The
/// name of an extension, such as `Nina` or `ana.perez`, was not.
fn is_like_pattern(text: &str) -> bool {
    let is_sign = |byte: u8| b"XZNxzn.!".contains(&byte);
    let is_number = |byte: u8| byte.is_ascii_digit() || b"+-".contains(&byte);
    let begins = text.bytes().find(|byte| *byte != b'+').is_some_and(|byte| byte.is_ascii_digit());
    let is_of_signs = text.bytes().all(|byte| is_number(byte) || is_sign(byte)) && text.bytes().any(is_sign);
    text.contains(['[', ']']) || (begins && is_of_signs)
}

/// Reads what follows the `_` of a pattern.
fn parse(pattern: &[u8]) -> Result<(Vec<Symbols>, End), PatternError> {
    let mut places = Vec::new();
    let mut rest = pattern;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let place = match first {
            b'-' => continue,
            b'X' | b'x' => Symbols::of(b'0'..=b'9'),
            b'Z' | b'z' => Symbols::of(b'1'..=b'9'),
            b'N' | b'n' => Symbols::of(b'2'..=b'9'),
            b'[' => {
                let length = rest.iter().position(|byte| *byte == b']').ok_or(PatternError::Set)?;
                let place = set(&rest[..length])?;
                rest = &rest[length + 1..];
                place
            }
            b'.' | b'!' if !rest.is_empty() => return Err(PatternError::AfterEnd),
            b'.' => return Ok((places, End::OneOrMore)),
            b'!' => return Ok((places, End::Any)),
            other => Symbols::of([other]),
        };
        places.push(place);
    }
    Ok((places, End::Exact))
}

/// Reads the characters between `[` and `]`.
fn set(characters: &[u8]) -> Result<Symbols, PatternError> {
    let mut place = Symbols::NONE;
    let mut rest = characters;
    while let [from, after @ ..] = rest {
        let (to, after) = match after {
            [b'-', to, after @ ..] => (to, after),
            after => (from, after),
        };
        if from > to {
            return Err(PatternError::Set);
        }
        place.0 |= Symbols::of(*from..=*to).0;
        rest = after;
    }
    if place == Symbols::NONE { Err(PatternError::Set) } else { Ok(place) }
}

impl Pattern {
    /// Whether this pattern stands for the number.
    #[must_use]
    pub fn matches(&self, number: &str) -> bool {
        let number = number.as_bytes();
        let is_long_enough = match self.end {
            End::Exact => number.len() == self.places.len(),
            End::OneOrMore => number.len() > self.places.len(),
            End::Any => number.len() >= self.places.len(),
        };
        is_long_enough && self.places.iter().zip(number).all(|(place, byte)| place.contains(*byte))
    }

    /// Which of two patterns that match the same number decides: `Less` if this one is more specific. `Equal` if neither is.
    #[must_use]
    pub fn specificity(&self, other: &Self) -> Ordering {
        let sizes = self.places.iter().map(|place| place.size());
        let others = other.places.iter().map(|place| place.size());
        let by_size = sizes.zip(others).map(|(size, other)| size.cmp(&other)).find(|order| order.is_ne());
        by_size
            // A pattern that names more places says more about the number.
            .unwrap_or_else(|| other.places.len().cmp(&self.places.len()))
            .then(self.end.rank().cmp(&other.end.rank()))
    }

    /// Whether there is a number that both patterns stand for although neither is more specific.
    #[must_use]
    pub fn conflicts_with(&self, other: &Self) -> bool {
        self.specificity(other).is_eq()
            && self.places.iter().zip(&other.places).all(|(place, other)| place.overlaps(*other))
    }
}

impl End {
    const fn rank(self) -> u8 {
        match self {
            Self::Exact => 0,
            Self::OneOrMore => 1,
            Self::Any => 2,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_pattern_stands_for_the_numbers_that_asterisk_takes_for_it() {
        for (text, yes, no) in [
            ("324", &["324"][..], &["3240", "32", "", "X24"][..]),
            (
                "_32410007[6-9]X",
                &["3241000760", "3241000799"],
                &["3241000750", "324100076", "_32410007[6-9]X"],
            ),
            ("_NZX", &["210", "999"], &["110", "200", "21"]),
            ("_[13-5*]1", &["11", "41", "*1"], &["21", "61"]),
            ("_9.", &["90", "9123"], &["9", "8123"]),
            ("_9!", &["9", "9123"], &["8"]),
            ("_+57-X", &["+571"], &["+57-1", "571"]),
            ("_.", &["s", "1"], &[""]),
            ("_!", &["", "s"], &[]),
            ("s", &["s"], &["S"]),
        ] {
            for number in yes {
                assert!(pattern(text).matches(number), "{text} {number}");
            }
            for number in no {
                assert!(!pattern(text).matches(number), "{text} {number}");
            }
        }
    }

    #[test]
    fn the_more_specific_pattern_decides() {
        for (first, second) in [
            ("324", "_32X"),
            ("_32X", "_3XX"),
            ("_3[12]X", "_3NX"),
            ("_3XX", "_3."),
            ("_3XX.", "_3."),
            ("_3.", "_3!"),
        ] {
            assert_eq!(pattern(first).specificity(&pattern(second)), Ordering::Less, "{first} {second}");
            assert_eq!(pattern(second).specificity(&pattern(first)), Ordering::Greater, "{second} {first}");
        }
    }

    #[test]
    fn patterns_conflict_only_where_none_of_them_decides() {
        assert!(pattern("324").conflicts_with(&pattern("324")));
        assert!(pattern("324").conflicts_with(&pattern("_324")));
        assert!(pattern("_[12]X").conflicts_with(&pattern("_[23]X")));
        assert!(!pattern("_[12]X").conflicts_with(&pattern("_[34]X")));
        assert!(!pattern("_32X").conflicts_with(&pattern("_3XX")));
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        let error = |text: &str| text.parse::<Pattern>().expect_err(text);
        assert_eq!(error(""), PatternError::Empty);
        assert_eq!(error("_"), PatternError::Empty);
        assert_eq!(error("_-"), PatternError::Empty);
        assert_eq!(error("300 12"), PatternError::Character);
        assert_eq!(error("30ñ"), PatternError::Character);
        assert_eq!(error(&"1".repeat(257)), PatternError::TooLong);
        for set in ["_[12", "_[]", "_[5-1]"] {
            assert_eq!(error(set), PatternError::Set, "{set}");
        }
        assert_eq!(error("_1.2"), PatternError::AfterEnd);
        assert_eq!(error("_1!."), PatternError::AfterEnd);
    }
}

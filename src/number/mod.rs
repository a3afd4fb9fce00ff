//! Phone numbers: decides when two numbers are the same, no matter how they are written, and keeps them out of what is
//! printed.
//!
//! | file | holds |
//! |---|---|
//! | `private` | texts that identify a caller and are printed only on purpose |
//! | `masking` | the masking of numbers in texts of any kind |
//!
//! A network may present a caller's number with or without `+`, `00`, the country code, or a leading `0`. If the
//! country of the line is known (`COUNTRY_CODE`), a number stands for its E.164 form and equals every other notation
//! of that form. Otherwise the last nine digits decide, which may also match a stranger whose number ends with the
//! same digits.
//!
//! A row holds the [key](CallerNumber::key) of its number. The key does not depend on a setting, so a change of the country code makes
//! no row wrong.

mod masking;
mod private;

use std::fmt;
use std::str::FromStr;

pub use masking::mask_numbers;
pub use private::{CallerName, CallerNumber, ChannelName, Identity, expose};

/// The longest key, in characters. The database column holds 255; a larger value would not fit.
const KEY_CHARS: usize = 250;
/// The number of final digits that must be the same if no country is known. With more digits, a number with a country
/// code would differ from the same number without it in countries whose national numbers have nine digits; with
/// fewer, more strangers would match.
const TAIL_DIGITS: usize = 9;
/// The prefix that replaces the `+` in front of a country code in most countries (ITU-T E.164, international prefix).
const INTERNATIONAL: &str = "00";
/// The same prefix in the countries with code 1.
const INTERNATIONAL_NORTH_AMERICA: &str = "011";
/// The trunk prefix in front of a national number in most countries. International notation omits it.
const TRUNK: &str = "0";

/// The form of a number in the database: its digits and letters, so that spaces, brackets and the `+` do not matter.
fn key(number: &str) -> String {
    number.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).take(KEY_CHARS).collect()
}

/// The country code of a line (ITU-T E.164): one to three digits, the first of which is not 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountryCode(String);

/// The text is not a country code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a country code has one to three digits, such as 57")]
pub struct CountryCodeError;

impl FromStr for CountryCode {
    type Err = CountryCodeError;

    fn from_str(text: &str) -> Result<Self, CountryCodeError> {
        let digits = text.strip_prefix('+').or_else(|| text.strip_prefix(INTERNATIONAL)).unwrap_or(text);
        let is_code = (1..=3).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        if is_code { Ok(Self(digits.to_owned())) } else { Err(CountryCodeError) }
    }
}

/// The rows that a search for a number finds. Its `Debug` form shows nothing of the number.
#[derive(Clone, PartialEq, Eq)]
pub enum Sought {
    /// The rows with one of these keys.
    Keys(Vec<String>),
    /// The rows whose key ends with this text.
    Tail(String),
}

impl Sought {
    /// The search for `number` on a line in this country. `None` if the text contains no digit or letter.
    #[must_use]
    pub fn new(number: &str, country: Option<&CountryCode>) -> Option<Self> {
        let key = key(number);
        if key.is_empty() {
            return None;
        }
        if !key.bytes().all(|byte| byte.is_ascii_digit()) {
            // The text is the name of a SIP account.
            return Some(Self::Keys(vec![key]));
        }
        let abroad = international(number, &key, country);
        Some(match country {
            None => Self::Tail(tail(abroad.unwrap_or(&key)).to_owned()),
            Some(code) => Self::Keys(spellings(&key, abroad, code)),
        })
    }

    /// The search for callers who withheld their number. It also finds erased numbers.
    #[must_use]
    pub fn none() -> Self {
        Self::Keys(vec![String::new()])
    }

    /// Whether the search finds `number`.
    #[must_use]
    pub fn is(&self, number: &CallerNumber) -> bool {
        let key = number.key();
        match self {
            Self::Keys(keys) => keys.contains(&key),
            Self::Tail(wanted) => tail(&key) == wanted,
        }
    }
}

impl fmt::Debug for Sought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sought(…)")
    }
}

/// The end of a key, which the database holds in a column of its own.
fn tail(key: &str) -> &str {
    let from = key.char_indices().rev().nth(TAIL_DIGITS - 1).map_or(0, |(at, _)| at);
    &key[from..]
}

/// The digits after the international prefix, if the number is written with one.
fn international<'a>(number: &str, key: &'a str, country: Option<&CountryCode>) -> Option<&'a str> {
    if number.trim_start().starts_with('+') {
        return Some(key);
    }
    let north_america = country.is_some_and(|code| code.0 == "1");
    let prefix = if north_america { INTERNATIONAL_NORTH_AMERICA } else { INTERNATIONAL };
    key.strip_prefix(prefix)
}

/// Every key under which a number may be stored on a line in this country. `abroad` holds the E.164 digits of the
/// number, if they are certain.
fn spellings(key: &str, abroad: Option<&str>, CountryCode(code): &CountryCode) -> Vec<String> {
    let forms = abroad.map_or_else(
        || {
            let national = key.strip_prefix(TRUNK).unwrap_or(key);
            vec![key.to_owned(), format!("{code}{key}"), format!("{code}{national}")]
        },
        |digits| vec![digits.to_owned()],
    );
    let mut keys = Vec::new();
    for form in forms {
        keys.extend([format!("{INTERNATIONAL}{form}"), format!("{INTERNATIONAL_NORTH_AMERICA}{form}")]);
        if let Some(national) = form.strip_prefix(code.as_str()).filter(|national| !national.is_empty()) {
            keys.extend([national.to_owned(), format!("{TRUNK}{national}")]);
        }
        keys.push(form);
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &str, other: &str, country: Option<&str>) -> bool {
        let country = country.map(|code| code.parse().unwrap());
        Sought::new(one, country.as_ref()).unwrap().is(&other.into())
    }

    #[test]
    fn a_number_is_found_however_it_and_the_other_are_written() {
        let spellings = [
            "3001234567",
            "+573001234567",
            "00573001234567",
            "573001234567",
            "+57 (300) 123-45.67",
            " 300 1234567",
        ];
        for one in spellings {
            for other in spellings {
                for country in [None, Some("57"), Some("+57"), Some("0057")] {
                    assert!(same(one, other, country), "{one} {other} {country:?}");
                }
            }
        }
        for (one, other, country) in [
            ("+4930123456", "030123456", "49"),
            ("030123456", "004930123456", "49"),
            ("2125551234", "+12125551234", "1"),
            ("011573001234567", "+573001234567", "1"),
            ("8888 7777", "+50688887777", "506"),
            ("7012345678", "+77012345678", "7"),
            ("+39 06 6982", "066982", "39"),
            ("1001", "1001", "57"),
        ] {
            assert!(same(one, other, Some(country)), "{one} {other}");
            assert!(same(other, one, Some(country)), "{other} {one}");
        }
    }

    #[test]
    fn another_number_is_another() {
        for (one, other, country) in [
            ("+573001234567", "+583001234567", Some("57")),
            ("3001234567", "+583001234567", Some("57")),
            ("3001234567", "6001234567", Some("57")),
            ("3001234567", "3001234568", None),
            ("1001", "573001001001", None),
            ("1001", "51001", None),
            ("ana", "anabel", None),
            ("ana.lopez", "juana.lopez", Some("57")),
            ("3001234567", "", None),
        ] {
            assert!(!same(one, other, country), "{one} {other}");
        }
        // Without a country code, numbers with the same last nine digits count as the same.
        assert!(same("3001234567", "6001234567", None));
        assert_eq!(Sought::new(" +()-", None), None);
    }

    #[test]
    fn a_country_code_has_one_to_three_digits() {
        for wrong in ["", "0", "057", "5757", "CO", "+", "5 7"] {
            assert_eq!(wrong.parse::<CountryCode>(), Err(CountryCodeError), "{wrong}");
        }
    }
}

//! The filters of templates beside those of Jinja: `digits`, `e164` and `day`.

use chrono::{Datelike as _, NaiveDate};
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind};

/// The prefix that replaces the `+` in front of a country code (ITU-T E.164, international prefix).
const INTERNATIONAL: &str = "00";
/// The shortest number with a country code, in digits. A number that begins with the digits of the country code and is shorter
/// is a national number. A larger value would put the code before some numbers twice; a smaller one would miss it in others.
const LEAST_INTERNATIONAL: usize = 11;
/// The days of the week from Monday, in Spanish and English.
const DAYS: [[&str; 7]; 2] = [
    ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"],
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
];

/// Adds the filters.
pub(super) fn add(environment: &mut Environment<'_>) {
    environment.add_filter("digits", digits);
    environment.add_filter("e164", e164);
    environment.add_filter("day", day);
}

/// Separates the letters and digits of a number, so that it is read aloud one by one: `4711` becomes `4 7 1 1`.
fn digits(value: &Value) -> String {
    let all: Vec<String> =
        value.to_string().chars().filter(|c| c.is_alphanumeric()).map(String::from).collect();
    all.join(" ")
}

/// The E.164 form of a telephone number on a line with this country code: `300 1234567` becomes `+573001234567`.
fn e164(value: &Value, country: &Value) -> Result<String, Error> {
    let only_digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let (text, code) = (value.to_string(), only_digits(&country.to_string()));
    if !(1..=3).contains(&code.len()) || code.starts_with('0') {
        return Err(Error::new(ErrorKind::InvalidOperation, "e164 needs a country code such as '57'"));
    }
    let number = only_digits(&text);
    if number.is_empty() {
        return Err(Error::new(ErrorKind::InvalidOperation, "e164 needs a telephone number"));
    }
    if text.trim_start().starts_with('+') {
        return Ok(format!("+{number}"));
    }
    if let Some(number) = number.strip_prefix(INTERNATIONAL) {
        return Ok(format!("+{number}"));
    }
    if number.len() >= LEAST_INTERNATIONAL && number.starts_with(&code) {
        return Ok(format!("+{number}"));
    }
    Ok(format!("+{code}{}", number.trim_start_matches('0')))
}

/// Puts the day of the week before a date: `2026-12-01` becomes `martes 2026-12-01`, with `day('en')` `Tuesday 2026-12-01`.
/// The value is a text that begins with a date, as ISO 8601 writes dates and times.
#[expect(clippy::needless_pass_by_value, reason = "the signature of filters")]
fn day(value: &Value, language: Option<&str>, options: Kwargs) -> Result<String, Error> {
    let named: Option<&str> = options.get("language")?;
    options.assert_all_used()?;
    let days = match language.or(named).unwrap_or("es") {
        "es" => &DAYS[0],
        "en" => &DAYS[1],
        _ => return Err(Error::new(ErrorKind::InvalidOperation, "day knows the languages 'es' and 'en'")),
    };
    let text = value.to_string();
    let date = text.get(..10).and_then(|date| NaiveDate::parse_from_str(date, "%Y-%m-%d").ok());
    let date =
        date.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "day needs a date such as 2026-12-01"))?;
    Ok(format!("{} {}", days[date.weekday().num_days_from_monday() as usize], date.format("%Y-%m-%d")))
}

//! Opening hours such as `Mon-Fri 08:00-18:00`, and holidays such as `2026-12-25`.
//!
//! Days have their English or Spanish names, of which the first three letters count. A period that ends at or before its
//! beginning continues into the next day: `Fri 22:00-06:00` ends on Saturday morning. Everything is in the local time of the
//! machine.

use std::str::FromStr;

use chrono::{Datelike as _, NaiveDate, NaiveDateTime, Timelike as _};

/// The minutes of a day.
const DAY: u16 = 24 * 60;
/// The days of the week as they are written: English and Spanish.
const DAYS: [[&str; 2]; 7] = [
    ["mon", "lun"],
    ["tue", "mar"],
    ["wed", "mie"],
    ["thu", "jue"],
    ["fri", "vie"],
    ["sat", "sab"],
    ["sun", "dom"],
];

/// One line of opening hours: some days of the week, and periods of these days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpeningHours {
    /// Whether the periods begin on this day, from Monday to Sunday.
    days: [bool; 7],
    /// Each period in minutes since midnight. A period whose end is not after its beginning ends on the next day.
    periods: Vec<(u16, u16)>,
}

/// The text is not a line of opening hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("opening hours have the form Mon-Fri 08:00-13:00,14:00-18:00")]
pub struct HoursError;

/// A day on which an agent is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holiday {
    /// One date: `2026-12-25`.
    Date(NaiveDate),
    /// The same day of every year, as month and day: `12-25`.
    Yearly(u32, u32),
}

/// The text is not a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a holiday has the form 2026-12-25, or 12-25 for every year")]
pub struct HolidayError;

impl FromStr for OpeningHours {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Self, HoursError> {
        let (days, periods) = text.trim().split_once(char::is_whitespace).ok_or(HoursError)?;
        let periods = periods.split(',').map(period).collect::<Option<Vec<_>>>().ok_or(HoursError)?;
        Ok(Self { days: days_of_week(days).ok_or(HoursError)?, periods })
    }
}

/// Reads days such as `Mon-Fri` or `Mon,Wed,Sat`.
fn days_of_week(text: &str) -> Option<[bool; 7]> {
    let mut days = [false; 7];
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (mut day, to) = (day_of_week(from)?, day_of_week(to)?);
        days[day] = true;
        while day != to {
            day = (day + 1) % 7;
            days[day] = true;
        }
    }
    Some(days)
}

/// Reads the name of a day: 0 for Monday to 6 for Sunday.
fn day_of_week(text: &str) -> Option<usize> {
    let without_accents = text.to_lowercase().replace('é', "e").replace('á', "a");
    let short = without_accents.get(..3)?;
    let is_name = without_accents.len() <= "wednesday".len()
        && without_accents.bytes().all(|byte| byte.is_ascii_lowercase());
    DAYS.iter().position(|names| is_name && names.contains(&short))
}

/// Reads a period such as `08:00-18:00`.
fn period(text: &str) -> Option<(u16, u16)> {
    let (from, to) = text.trim().split_once('-')?;
    let (from, to) = (minute(from)?, minute(to)?);
    (from < DAY).then_some((from, to))
}

/// Reads a time of day, which may be 24:00, as minutes since midnight.
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let number = |text: &str, most: u16| {
        let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|number| is_number && *number <= most)
    };
    let minute = number(hours, 24)? * 60 + number(minutes, 59)?;
    (minutes.len() == 2 && minute <= DAY).then_some(minute)
}

impl OpeningHours {
    /// Whether this time, in the machine's local time, lies within the opening hours.
    #[must_use]
    pub fn contain(&self, at: NaiveDateTime) -> bool {
        let today = at.weekday().num_days_from_monday() as usize;
        let yesterday = (today + 6) % 7;
        let minute = (at.hour() * 60 + at.minute()) as u16;
        self.periods.iter().any(|&(from, to)| {
            let continues = to <= from;
            let since_today = self.days[today] && minute >= from && (continues || minute < to);
            let since_yesterday = self.days[yesterday] && continues && minute < to;
            since_today || since_yesterday
        })
    }
}

impl FromStr for Holiday {
    type Err = HolidayError;

    fn from_str(text: &str) -> Result<Self, HolidayError> {
        // 2024 is a leap year, so that 02-29 is a day of it.
        let yearly = || format!("2024-{text}").parse::<NaiveDate>();
        match text.len() {
            10 => text.parse().map(Self::Date).map_err(|_| HolidayError),
            5 => yearly().map(|day| Self::Yearly(day.month(), day.day())).map_err(|_| HolidayError),
            _ => Err(HolidayError),
        }
    }
}

impl Holiday {
    /// Whether this is the day.
    #[must_use]
    pub fn is(self, day: NaiveDate) -> bool {
        match self {
            Self::Date(date) => date == day,
            Self::Yearly(month, of_month) => (day.month(), day.day()) == (month, of_month),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(hours: &str, at: &str) -> bool {
        let hours: OpeningHours = hours.parse().unwrap_or_else(|error| panic!("{hours}: {error}"));
        hours.contain(at.parse().unwrap_or_else(|error| panic!("{at}: {error}")))
    }

    /// 2026-11-23 is a Monday.
    #[test]
    fn the_end_of_a_period_is_not_in_it() {
        let hours = "Mon-Fri 08:00-13:00, 14:00-18:00";
        assert!(!open(hours, "2026-11-23T07:59:59"));
        assert!(open(hours, "2026-11-23T08:00:00") && open(hours, "2026-11-27T12:59:59"));
        assert!(!open(hours, "2026-11-23T13:00:00") && open(hours, "2026-11-23T14:00:00"));
        assert!(!open(hours, "2026-11-23T18:00:00") && !open(hours, "2026-11-28T09:00:00"));
    }

    #[test]
    fn days_have_names_in_two_languages_and_run_over_the_weekend() {
        for hours in ["mié,Sábado 9:00-10:00", "Wednesday,sat 09:00-10:00", "miércoles,sab 09:00-10:00"] {
            assert!(open(hours, "2026-11-25T09:30:00") && open(hours, "2026-11-28T09:30:00"), "{hours}");
            assert!(!open(hours, "2026-11-26T09:30:00"), "{hours}");
        }
        assert!(open("Sat-Mon 00:00-24:00", "2026-11-29T23:59:00"));
        assert!(open("Sat-Mon 00:00-24:00", "2026-11-23T00:00:00"));
        assert!(!open("Sat-Mon 00:00-24:00", "2026-11-24T00:00:00"));
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let hours = "Fri 22:00-06:00";
        assert!(open(hours, "2026-11-27T22:00:00") && open(hours, "2026-11-28T05:59:00"));
        assert!(!open(hours, "2026-11-27T05:00:00") && !open(hours, "2026-11-28T22:00:00"));
        assert!(open("Mon 08:00-08:00", "2026-11-24T07:00:00"), "a whole day");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "Mon",
            "08:00-18:00",
            "Mon 8-18",
            "Mon 08:00",
            "Mon 24:00-25:00",
            "Mon 08:60-09:00",
            "Mon-Xyz 08:00-09:00",
            "Mon 08:0-09:00",
            "Mon +8:00-09:00",
            "Mo 08:00-09:00",
            "Monnnnnnnn 08:00-09:00",
            "é 08:00-09:00",
        ] {
            assert_eq!(text.parse::<OpeningHours>(), Err(HoursError), "{text}");
        }
        for text in ["", "2026-02-30", "25-12", "12/25", "2026-1-1", "ñ2-25", "13-01"] {
            assert_eq!(text.parse::<Holiday>(), Err(HolidayError), "{text}");
        }
    }

    #[test]
    fn a_holiday_is_one_day_or_one_of_every_year() {
        let day = |text: &str| text.parse::<NaiveDate>().expect("a date");
        let holiday = |text: &str| text.parse::<Holiday>().expect("a holiday");
        assert!(holiday("2026-12-25").is(day("2026-12-25")) && !holiday("2026-12-25").is(day("2027-12-25")));
        assert!(holiday("12-25").is(day("2027-12-25")) && !holiday("12-25").is(day("2027-12-24")));
        assert!(holiday("02-29").is(day("2028-02-29")));
    }
}

//! Values of one kind in a section of a file: words, times, and `true` or `false`.

use std::time::Duration;

use toml::de::DeValue;

use super::file::File;
use crate::operator::{AgentFault, Allowed, Found, ValueKind};

/// Reads one of these words. Without the key, it is the default of the type.
pub(super) fn word<T: Default, const N: usize>(
    file: &mut File<'_>,
    key: &'static str,
    words: &'static [&'static str],
    values: [T; N],
) -> T {
    let Some((place, text)) = file.text(key) else { return T::default() };
    let found = words.iter().zip(values).find(|(word, _)| **word == text);
    let Some((_, value)) = found else {
        let (found, allowed) = (Found::value(&text), Allowed::OneOf(words));
        file.fault(place, AgentFault::Value { key, found, allowed });
        return T::default();
    };
    value
}

pub(super) fn flag(file: &mut File<'_>, key: &'static str) -> bool {
    match file.get(key) {
        None => false,
        Some((_, DeValue::Boolean(word))) => word,
        Some((place, _)) => {
            file.fault(place, AgentFault::Kind { key, wanted: ValueKind::Bool });
            false
        }
    }
}

/// Reads a time in seconds within these bounds.
pub(super) fn seconds(file: &mut File<'_>, key: &'static str, from: f64, to: f64, default: f64) -> Duration {
    let Some((place, text)) = file.scalar(key) else { return Duration::from_secs_f64(default) };
    let seconds = text.parse().ok().filter(|number| (from..=to).contains(number));
    if seconds.is_none() {
        let (found, allowed) = (Found::value(&text), Allowed::Decimal { from, to });
        file.fault(place, AgentFault::Value { key, found, allowed });
    }
    Duration::from_secs_f64(seconds.unwrap_or(default))
}

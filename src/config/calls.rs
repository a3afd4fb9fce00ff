//! The section that decides what happens to callers: how many there may be and for how long, where they continue, and
//! what the assistant may do.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::CallsConfig;
use super::apology::apology;
use super::reader::Reader;
use crate::ari::Place;
use crate::call::limits::Limits;
use crate::call::tools::Destination;
use crate::operator::Allowed;
use crate::units::MicroUsd;

/// Reads this section. `callers_speak` is the language of the callers, if it is set.
pub(super) fn calls(reader: &mut Reader<'_>, callers_speak: Option<&str>) -> Option<CallsConfig> {
    let apology = apology(reader, callers_speak);
    let context = reader.parsed("FALLBACK_CONTEXT", Allowed::DialplanName, dialplan_name);
    let extension = reader.parsed("FALLBACK_EXTEN", Allowed::DialplanName, dialplan_name);
    let may_hang_up = reader.word("ASSISTANT_MAY_HANG_UP");
    let tells_keys = reader.word("ASSISTANT_HEARS_KEYS");
    let destinations = destinations(reader);
    let duration = seconds(reader, "MAX_CALL_SECONDS", 10..=86_400);
    let silence = seconds(reader, "CALLER_SILENCE_SECONDS", 5..=3_600);
    let no_audio = seconds(reader, "NO_AUDIO_SECONDS", 5..=3_600);
    let tokens = zero_or(reader, "MAX_CALL_TOKENS", 1_000..=1_000_000_000);
    let max_calls = zero_or(reader, "MAX_CALLS", 1..=20_000);
    let max_of_caller = zero_or(reader, "MAX_CALLS_PER_CALLER_HOUR", 1..=1_000);
    let lateness = zero_or(reader, "MAX_FRAME_LATENESS_MS", 2..=1_000);
    let cost = zero_or_usd(reader, "MAX_CALL_COST", 0.01..=1_000.0);
    let max_day_cost = zero_or_usd(reader, "MAX_DAY_COST", 0.01..=100_000.0);
    let limits =
        Limits { duration: duration?, silence: silence?, no_audio: no_audio?, tokens: tokens?, cost: cost? };
    let max_calls = max_calls?.and_then(|most| usize::try_from(most).ok());
    let (context, extension) = (context?, extension?);
    let fallback = (!context.is_empty()).then_some(Place { context, extension, priority: 1 });
    let tells_keys = tells_keys?;
    Some(CallsConfig {
        apology: apology?,
        fallback,
        limits,
        max_day_cost: max_day_cost?,
        max_calls_per_caller_hour: max_of_caller?.and_then(|most| u32::try_from(most).ok()),
        max_calls,
        max_frame_lateness: lateness?.map(Duration::from_millis),
        tells_keys,
        may_hang_up: may_hang_up?,
        destinations: destinations?,
    })
}

#[expect(
    clippy::option_option,
    reason = "the outer option says whether the value is valid, the inner one whether it is set"
)]
fn seconds(
    reader: &mut Reader<'_>,
    name: &'static str,
    range: RangeInclusive<u64>,
) -> Option<Option<Duration>> {
    Some(zero_or(reader, name, range)?.map(Duration::from_secs))
}

/// Reads a number within the range, or 0 for no limit.
#[expect(
    clippy::option_option,
    reason = "the outer option says whether the value is valid, the inner one whether it is set"
)]
fn zero_or(reader: &mut Reader<'_>, name: &'static str, range: RangeInclusive<u64>) -> Option<Option<u64>> {
    let (from, to) = (*range.start(), *range.end());
    reader.parsed(name, Allowed::ZeroOrInteger { from, to }, |text| match text.parse().ok()? {
        0 => Some(None),
        number => range.contains(&number).then_some(Some(number)),
    })
}

/// Reads an amount in US dollars within the range, or 0 for no limit.
#[expect(
    clippy::option_option,
    reason = "the outer option says whether the value is valid, the inner one whether it is set"
)]
fn zero_or_usd(
    reader: &mut Reader<'_>,
    name: &'static str,
    range: RangeInclusive<f64>,
) -> Option<Option<MicroUsd>> {
    let (from, to) = (*range.start(), *range.end());
    reader.parsed(name, Allowed::ZeroOrDecimal { from, to }, |text| match text.parse().ok()? {
        0.0 => Some(None),
        usd => range.contains(&usd).then(|| Some(MicroUsd::from_usd(usd))),
    })
}

/// Reads the destinations to which the assistant may transfer callers.
pub(super) fn destinations(reader: &mut Reader<'_>) -> Option<Vec<Destination>> {
    reader.parsed("TRANSFER_DESTINATIONS", Allowed::Destinations, parse_destinations)
}

/// Parses destinations such as `ventas:from-internal,200,1;soporte:…`. Names have no control characters, and each
/// occurs once.
fn parse_destinations(text: &str) -> Option<Vec<Destination>> {
    let mut all: Vec<Destination> = Vec::new();
    for part in text.split(';').filter(|part| !part.trim().is_empty()) {
        let (name, place) = part.split_once(':')?;
        let (name, place) = (name.trim().to_owned(), place.trim().parse().ok()?);
        let is_known = all.iter().any(|known| known.name.eq_ignore_ascii_case(&name));
        if name.is_empty() || is_known {
            return None;
        }
        all.push(Destination { name, place });
    }
    Some(all)
}

/// Parses the name of a context or an extension, which may be empty.
fn dialplan_name(text: &str) -> Option<String> {
    (text.is_empty() || format!("{text},s").parse::<Place>().is_ok()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_have_a_name_and_a_place() {
        let read = |text| {
            let all = parse_destinations(text)?;
            Some(all.into_iter().map(|one| format!("{}={}", one.name, one.place)).collect::<Vec<_>>())
        };
        assert_eq!(read(""), Some(vec![]));
        let two = ["ventas=from-internal,200,1".to_owned(), "soporte técnico=colas,*45,2".to_owned()];
        assert_eq!(read("ventas:from-internal,200; soporte técnico : colas,*45,2;"), Some(two.to_vec()));
        for wrong in ["ventas", "ventas:", ":a,1", "ventas:a", "a:b,1;A:b,2", "a:b,1,x"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}

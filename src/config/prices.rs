//! The prices of models: the table in the program, or the file that the operator names instead (`PRICES_FILE`).
//!
//! A model has the price of the row with its name. A snapshot (`…-2025-08-28`) without a row of its own has the price
//! of its model. No other names are regarded as similar: `gpt-realtime-2.1-mini` is not `gpt-realtime-2.1`. The
//! ledger in `call` computes the cost of a call.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::reader::Reader;
use super::{CallsConfig, RealtimeConfig, file};
use crate::call::ledger::{Price, Prices, Rates};
use crate::operator::{Allowed, Detail, Notice};
use crate::units::MicroUsd;

/// The table that is used unless the operator names another.
const BUILT_IN: &str = include_str!("prices.toml");
/// The largest table that is read, in bytes: room for a thousand models. A larger value would let a file take more memory
/// at each reload. A smaller one could refuse the table of an operator.
const TABLE_BYTES: u64 = 256 * 1024;
/// The highest price that is accepted, in US dollars. Nothing costs as much, so a higher price is a typo. A smaller
/// value might reject future prices.
const MOST_USD: f64 = 100_000.0;

/// Prices by the names of models.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    dated: Day,
    #[serde(default)]
    tokens: BTreeMap<String, Row>,
    #[serde(default)]
    minutes: BTreeMap<String, Usd>,
}

/// Prices in US dollars per million tokens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    text_in: Usd,
    cached_text_in: Usd,
    text_out: Usd,
    audio_in: Usd,
    cached_audio_in: Usd,
    audio_out: Usd,
}

/// An amount that is written in US dollars.
#[derive(Debug, Clone, Copy)]
struct Usd(MicroUsd);

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let usd = f64::deserialize(deserializer)?;
        let is_price = (0.0..=MOST_USD).contains(&usd);
        is_price
            .then(|| Self(MicroUsd::from_usd(usd)))
            .ok_or_else(|| D::Error::custom(format!("a price is a number from 0 to {MOST_USD}")))
    }
}

/// A date, written as `YYYY-MM-DD`.
#[derive(Debug)]
struct Day(NaiveDate);

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| D::Error::custom("a day is \"YYYY-MM-DD\", in quotes"))
    }
}

impl Table {
    /// Parses a table. An error names the line and the key.
    fn read(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let before = text.get(..start).unwrap_or_default();
            let number = before.matches('\n').count();
            let line = text.lines().nth(number).unwrap_or_default();
            let key = line.split('=').next().unwrap_or_default().trim();
            format!("line {}, {key}: {}", number + 1, error.message())
        })
    }

    /// The price of `model`, if it is known.
    fn price(&self, model: &str) -> Option<Price> {
        self.row(model).or_else(|| self.row(without_date(model)?))
    }

    fn row(&self, model: &str) -> Option<Price> {
        let by_tokens = self.tokens.get(model).map(|row| {
            Price::Tokens(Rates {
                text_in: row.text_in.0,
                audio_in: row.audio_in.0,
                cached_text_in: row.cached_text_in.0,
                cached_audio_in: row.cached_audio_in.0,
                text_out: row.text_out.0,
                audio_out: row.audio_out.0,
            })
        });
        by_tokens.or_else(|| self.minutes.get(model).map(|usd| Price::Minute(usd.0)))
    }

    /// The prices of the two models of a call.
    pub(super) fn prices(&self, model: &str, transcription: Option<&str>) -> Prices {
        Prices {
            conversation: self.price(model),
            transcription: transcription.and_then(|model| self.price(model)),
            dated: self.dated.0.to_string().into(),
        }
    }
}

/// The name of a snapshot without its date.
fn without_date(model: &str) -> Option<&str> {
    let (name, date) = model.split_at_checked(model.len().checked_sub("-2025-08-28".len())?)?;
    date.strip_prefix('-')?.parse::<NaiveDate>().is_ok().then_some(name)
}

/// Reads the operator's table, or returns the one in the program.
pub(super) fn table(reader: &mut Reader<'_>) -> Option<Table> {
    let name = "PRICES_FILE";
    let path = reader.path(name)?;
    if path.is_empty() {
        return Some(Table::read(BUILT_IN).expect("a test reads the table in the binary"));
    }
    let read = file::text(&path, TABLE_BYTES).map_err(|error| file::cause(&path, error).to_string());
    match read.and_then(|text| Table::read(&text)) {
        Ok(table) => Some(table),
        Err(cause) => {
            reader.invalid(name, &path, Allowed::PricesFile { cause: Detail::new(cause) });
            None
        }
    }
}

/// Reports the limits of cost that cannot be enforced because the price of a model is unknown.
pub(super) fn remarks(realtime: &RealtimeConfig, calls: &CallsConfig) -> Vec<Notice> {
    let words = realtime.session.transcription.as_ref();
    let models = [
        (Some(&realtime.model), realtime.prices.conversation),
        (words.map(|words| &words.model), realtime.prices.transcription),
    ];
    let unpriced = || models.iter().filter(|(_, price)| price.is_none()).filter_map(|(model, _)| *model);
    let limits = [("MAX_CALL_COST", calls.limits.cost), ("MAX_DAY_COST", calls.max_day_cost)];
    let set = limits.iter().filter(|(_, limit)| limit.is_some());
    set.flat_map(|(variable, _)| {
        unpriced().map(|model| Notice::PriceUnknown { variable, model: model.clone() })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = "[tokens.\"a-1\"]\ntext_in = 4\ncached_text_in = 0.4\ntext_out = 24.0\naudio_in = 32.00\n\
        cached_audio_in = 0.40\naudio_out = 64\n";

    fn wrong(text: &str) -> String {
        Table::read(text).expect_err("it is faulty")
    }

    #[test]
    fn the_table_in_the_binary_knows_the_default_models() {
        let table = Table::read(BUILT_IN).unwrap();
        let Prices { conversation, transcription, dated } =
            table.prices("gpt-realtime-2.1", Some("gpt-transcribe"));
        let rates = Rates {
            text_in: MicroUsd::new(4_000_000),
            audio_in: MicroUsd::new(32_000_000),
            cached_text_in: MicroUsd::new(400_000),
            cached_audio_in: MicroUsd::new(400_000),
            text_out: MicroUsd::new(24_000_000),
            audio_out: MicroUsd::new(64_000_000),
        };
        assert_eq!(
            (conversation, transcription),
            (Some(Price::Tokens(rates)), Some(Price::Minute(MicroUsd::new(4_500))))
        );
        assert_eq!(&*dated, "2026-11-20");
    }

    #[test]
    fn a_snapshot_costs_what_its_model_costs_and_no_other_name_does() {
        let table = Table::read(BUILT_IN).unwrap();
        let price = |model| table.price(model);
        assert_eq!(price("gpt-realtime-mini-2025-12-15"), price("gpt-realtime-mini"));
        assert_ne!(price("gpt-realtime-2025-08-28"), price("gpt-realtime-mini"));
        assert!(price("gpt-realtime-2025-08-28").is_some());
        for unknown in [
            "",
            "gpt",
            "gpt-realtime-2.1-max",
            "gpt-realtime-2.1-2025",
            "gpt-realtime-2025-13-28",
            "2025-08-28",
            "whisper-1",
            "ñññññññ",
        ] {
            assert_eq!(price(unknown), None, "{unknown}");
        }
        let own = format!("dated = \"2027-01-01\"\n{ROW}[minutes]\n\"a-1-2025-08-28\" = 0.01\n");
        assert_eq!(
            Table::read(&own).unwrap().price("a-1-2025-08-28"),
            Some(Price::Minute(MicroUsd::new(10_000)))
        );
    }

    #[test]
    fn what_is_wrong_with_a_table_is_said_with_its_line_and_key() {
        let dated = "dated = \"2027-01-01\"\n";
        let good = format!("{dated}{ROW}");
        assert!(Table::read(&good).is_ok());
        let with = |from: &str, to: &str| wrong(&good.replace(from, to));
        let said = with("audio_in = 32.00", "audio_in = -1");
        assert!(said.starts_with("line 6, audio_in: a price is a number from 0 to"), "{said}");
        assert!(with("text_out = 24.0", "text_out = \"24\"").starts_with("line 5, text_out: "));
        assert!(with("text_out = 24.0", "text_out = nan").starts_with("line 5, text_out: "));
        assert!(with("text_out = 24.0", "text_oout = 24.0").contains("text_oout"));
        let missing = with("audio_out = 64\n", "");
        assert!(
            missing.starts_with("line 2, [tokens.\"a-1\"]: ") && missing.contains("audio_out"),
            "{missing}"
        );
        assert!(with("2027-01-01", "soon").starts_with("line 1, dated: a day is"));
        assert!(wrong(ROW).contains("dated"), "{}", wrong(ROW));
        assert!(with("text_in = 4\n", "text_in = 4 USD\n").starts_with("line 3, text_in: "));
    }
}

//! Takes secrets out of what a server answers: some servers echo what they were sent.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::utf8_percent_encode;
use serde_json::{Map, Value};

use super::request::MASK;
use super::target::ENCODED;

/// The spellings of secrets that are looked for: as they are, percent-encoded, and in Base64.
#[derive(Clone, Default)]
pub struct Masks(Vec<String>);

impl std::fmt::Debug for Masks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masks")
    }
}

impl Masks {
    /// Masks for these secrets.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let spellings = |secret: &str| {
            [
                secret.to_owned(),
                utf8_percent_encode(secret, ENCODED).to_string(),
                STANDARD_NO_PAD.encode(secret),
                URL_SAFE_NO_PAD.encode(secret),
            ]
        };
        let secrets = secrets.into_iter().map(str::trim).filter(|secret| !secret.is_empty());
        let all: BTreeSet<String> = secrets.flat_map(spellings).collect();
        let mut all: Vec<_> = all.into_iter().collect();
        // A spelling that holds another one goes first, or its rest would be left.
        all.sort_by_key(|spelling| std::cmp::Reverse(spelling.len()));
        Self(all)
    }

    /// The text without secrets.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK))
    }

    /// The value without secrets in its texts, names and numbers.
    #[must_use]
    pub fn value(&self, value: Value) -> Value {
        if self.0.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(entries) => entries.into_iter().map(|entry| self.value(entry)).collect(),
            Value::Object(members) => members
                .into_iter()
                .map(|(name, member)| (self.text(&name), self.value(member)))
                .collect::<Map<_, _>>()
                .into(),
            Value::Number(number) => {
                let text = number.to_string();
                let masked = self.text(&text);
                if masked == text { Value::Number(number) } else { Value::String(masked) }
            }
            other => other,
        }
    }
}

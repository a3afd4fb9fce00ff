//! Takes secrets out of what a server answers: some servers echo what they were sent.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, utf8_percent_encode};
use serde_json::{Map, Value};

use super::request::MASK;
use super::target::ENCODED;

/// What the usual functions for percent-encoding leave as it is: those of RFC 3986, `quote` of Python, `encodeURIComponent` of
/// JavaScript (ECMA-262 section 19.2.6.4), and those for paths.
const PERCENT: [&AsciiSet; 4] = [ENCODED, &ENCODED.remove(b'/'), COMPONENT, &COMPONENT.remove(b'/')];
const COMPONENT: &AsciiSet = &ENCODED.remove(b'!').remove(b'*').remove(b'\'').remove(b'(').remove(b')');
/// The least Base64 that is looked for. With less, ordinary words would be masked; with more, short secrets would be shown.
const LEAST_BASE64: usize = 4;

/// The spellings of secrets that are looked for, whether in upper or lower case: as they are, percent-encoded, escaped as in JSON
/// and HTML, and in Base64, alone or within other bytes.
#[derive(Clone, Default)]
pub struct Masks(Option<AhoCorasick>);

impl std::fmt::Debug for Masks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masks")
    }
}

impl Masks {
    /// Masks for these secrets.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let secrets = secrets.into_iter().map(str::trim).filter(|secret| !secret.is_empty());
        let all: BTreeSet<String> = secrets.flat_map(spellings).collect();
        if all.is_empty() {
            return Self(None);
        }
        let mut search = AhoCorasick::builder();
        // Where one spelling begins with another one, the longer one is masked, or its rest would be left.
        let search = search.match_kind(MatchKind::LeftmostLongest).ascii_case_insensitive(true);
        // Only gigabytes of secrets cannot be looked for.
        Self(search.build(all).ok())
    }

    /// The text without secrets.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        match &self.0 {
            None => text.to_owned(),
            Some(search) => {
                let mut masked = String::with_capacity(text.len());
                search.replace_all_with(text, &mut masked, |_, _, masked| {
                    masked.push_str(MASK);
                    true
                });
                masked
            }
        }
    }

    /// The value without secrets in its texts, names and numbers.
    #[must_use]
    pub fn value(&self, value: Value) -> Value {
        if self.0.is_none() {
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

/// How servers write a secret.
fn spellings(secret: &str) -> Vec<String> {
    let mut all: Vec<_> = PERCENT.iter().map(|set| utf8_percent_encode(secret, set).to_string()).collect();
    // Forms write a space as a plus sign.
    all.extend(all.clone().iter().map(|encoded| encoded.replace("%20", "+")));
    // RFC 8259 section 7: a slash may be escaped, and so may every character that is not ASCII.
    let quoted = Value::from(secret).to_string();
    let json = &quoted[1..quoted.len() - 1];
    for json in [json.to_owned(), escaped(json)] {
        all.extend([json.replace('/', "\\/"), json]);
    }
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    for quote in ["&quot;", "&#34;"] {
        let html = html.replace('"', quote);
        all.extend(
            ["'", "&#39;", "&#x27;", "&#039;", "&apos;"].map(|apostrophe| html.replace('\'', apostrophe)),
        );
    }
    all.extend((0..3).flat_map(|before| base64(secret, before)).filter(|text| text.len() >= LEAST_BASE64));
    all.push(secret.to_owned());
    all
}

/// The text with `\u` and four digits for every unit of UTF-16 that is not ASCII.
fn escaped(text: &str) -> String {
    let mut units = [0; 2];
    let escape = |c: char| match c {
        c if c.is_ascii() => c.to_string(),
        c => c.encode_utf16(&mut units).iter().fold(String::new(), |mut all, unit| {
            // Writing to a string cannot fail.
            write!(all, "\\u{unit:04x}").ok();
            all
        }),
    };
    text.chars().map(escape).collect()
}

/// The Base64 (RFC 4648 sections 4 and 5) of a secret after so many other bytes, as in `user:secret`: without the first digits, which
/// depend on those bytes, and with and without the last one, which may depend on what follows.
fn base64(secret: &str, before: usize) -> [String; 4] {
    let bytes = [&[0; 2][..before], secret.as_bytes()].concat();
    let (first, whole) = ((8 * before).div_ceil(6), 8 * bytes.len() / 6);
    let [standard, url] = [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)];
    [&standard[first..], &standard[first..whole], &url[first..], &url[first..whole]].map(str::to_owned)
}

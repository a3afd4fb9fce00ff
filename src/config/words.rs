//! The settings that are one word out of a few, with the words that stand for them in the environment.
//!
//! What they do is the business of the Realtime dialect and of the links that read them.

use crate::operator::Language;
use crate::realtime::dialect::{Dialect, Eagerness, NoiseReduction, ReasoningEffort};

/// A setting with a fixed set of words.
pub(super) trait Word: Copy + PartialEq + 'static {
    /// All words, as shown to the operator.
    const WORDS: &'static [&'static str];
    /// All values, in the order of the words.
    const VALUES: &'static [Self];

    /// The value of `word`, whose case does not matter.
    fn from_word(word: &str) -> Option<Self> {
        let index = Self::WORDS.iter().position(|known| known.eq_ignore_ascii_case(word))?;
        Some(Self::VALUES[index])
    }
}

/// How Asterisk's HTTP server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear; the WebSocket is `ws`.
    Http,
    /// With TLS; the WebSocket is `wss`.
    Https,
}

impl Scheme {
    /// The word in the environment and in addresses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl Word for Scheme {
    const WORDS: &'static [&'static str] = &["http", "https"];
    const VALUES: &'static [Self] = &[Self::Http, Self::Https];
}

impl Word for Dialect {
    const WORDS: &'static [&'static str] = &["ga", "beta"];
    const VALUES: &'static [Self] = &[Self::Ga, Self::Beta];
}

impl Word for Eagerness {
    const WORDS: &'static [&'static str] = &["low", "medium", "high", "auto"];
    const VALUES: &'static [Self] = &[Self::Low, Self::Medium, Self::High, Self::Auto];
}

impl Word for NoiseReduction {
    const WORDS: &'static [&'static str] = &["near_field", "far_field"];
    const VALUES: &'static [Self] = &[Self::NearField, Self::FarField];
}

impl Word for ReasoningEffort {
    const WORDS: &'static [&'static str] = &["minimal", "low", "medium", "high", "xhigh"];
    const VALUES: &'static [Self] = &[Self::Minimal, Self::Low, Self::Medium, Self::High, Self::Xhigh];
}

/// Which turn detection is asked for; its settings are in `TurnDetection`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum VadKind {
    Server,
    Semantic,
}

impl Word for VadKind {
    const WORDS: &'static [&'static str] = &["server", "semantic"];
    const VALUES: &'static [Self] = &[Self::Server, Self::Semantic];
}

impl Word for Language {
    const WORDS: &'static [&'static str] = &["es", "en"];
    const VALUES: &'static [Self] = &[Self::Spanish, Self::English];
}

impl Word for bool {
    const WORDS: &'static [&'static str] = &["true", "false"];
    const VALUES: &'static [Self] = &[true, false];
}

//! The settings whose value is one of a few words, with these words.
//!
//! The modules of the Realtime API and of Asterisk's connections, which read these settings, define their effect.

use crate::operator::Language;
use crate::realtime::dialect::{Dialect, Eagerness, NoiseReduction, ReasoningEffort};

/// A setting with a fixed set of words.
pub(super) trait Word: Copy + PartialEq + 'static {
    /// All words, as they are shown to the operator.
    const WORDS: &'static [&'static str];
    /// All values, in the order of the words.
    const VALUES: &'static [Self];

    /// Returns the value of `word`, without regard to upper and lower case.
    fn from_word(word: &str) -> Option<Self> {
        let index = Self::WORDS.iter().position(|known| known.eq_ignore_ascii_case(word))?;
        Some(Self::VALUES[index])
    }
}

/// The protocol for Asterisk's HTTP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Without encryption. The WebSocket uses `ws`.
    Http,
    /// With TLS. The WebSocket uses `wss`.
    Https,
}

impl Scheme {
    /// The word as used in the environment and in addresses.
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

/// Which way the sound of a call goes whose caller is in Asterisk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// Through the daemon.
    Media,
    /// From Asterisk to OpenAI by SIP.
    Sip,
}

impl Word for Route {
    const WORDS: &'static [&'static str] = &["media", "sip"];
    const VALUES: &'static [Self] = &[Self::Media, Self::Sip];
}

/// The kind of turn detection. `TurnDetection` holds its settings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum VadKind {
    Server,
    Semantic,
}

impl Word for VadKind {
    const WORDS: &'static [&'static str] = &["server", "semantic"];
    const VALUES: &'static [Self] = &[Self::Server, Self::Semantic];
}

/// What the model forgets. `Truncation` holds its settings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TruncationKind {
    Auto,
    Disabled,
    RetentionRatio,
}

impl Word for TruncationKind {
    const WORDS: &'static [&'static str] = &["auto", "disabled", "retention_ratio"];
    const VALUES: &'static [Self] = &[Self::Auto, Self::Disabled, Self::RetentionRatio];
}

impl Word for Language {
    const WORDS: &'static [&'static str] = &["es", "en"];
    const VALUES: &'static [Self] = &[Self::Spanish, Self::English];
}

impl Word for bool {
    const WORDS: &'static [&'static str] = &["true", "false"];
    const VALUES: &'static [Self] = &[true, false];
}

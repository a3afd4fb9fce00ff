//! Converts `LOG_LEVEL` to a tracing filter.
//!
//! This module only checks and completes the text. `logging` builds the filter and lets the operator's lines pass it.

use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// The crate to which a bare level in `LOG_LEVEL` applies. All other crates stay at `warn`.
const OUR_CRATE: &str = "openai_inbound_calls";

/// The crate whose warnings quote what servers of tools answer, and with it what callers said. Only who names it gets them.
const WORDY: &str = "rmcp";

/// Returns the tracing filter for `LOG_LEVEL`. A bare level applies to this crate only; a text with `=` is used as it
/// is. Returns `None` if the text is not a filter. A bare word that is not a level is invalid too, although tracing
/// would take it for the name of a target.
#[must_use]
pub fn directives(text: &str) -> Option<String> {
    if let Some(level) = level(text) {
        let others = level.min(LevelFilter::WARN);
        return Some(format!("{others},{OUR_CRATE}={level},{WORDY}=off"));
    }
    let is_whole = |directive: &str| directive.contains(['=', '[', ']']) || level(directive).is_some();
    let valid = text.split(',').all(is_whole) && EnvFilter::builder().parse(text).is_ok();
    valid.then(|| if text.contains(WORDY) { text.to_owned() } else { format!("{text},{WORDY}=off") })
}

fn level(word: &str) -> Option<LevelFilter> {
    const WORDS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let word = word.trim().to_ascii_lowercase();
    if WORDS.contains(&word.as_str()) { LevelFilter::from_str(&word).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_level_is_about_our_crate_and_a_wrong_word_is_refused() {
        assert_eq!(directives("debug").as_deref(), Some("warn,openai_inbound_calls=debug,rmcp=off"));
        assert_eq!(directives("OFF").as_deref(), Some("off,openai_inbound_calls=off,rmcp=off"));
        assert_eq!(directives("error,hyper=trace").as_deref(), Some("error,hyper=trace,rmcp=off"));
        assert_eq!(directives("error,rmcp=debug").as_deref(), Some("error,rmcp=debug"));
        for wrong in ["verbose", "hyper=loud", "5", "info,verbose", ""] {
            assert_eq!(directives(wrong), None, "{wrong}");
        }
    }
}

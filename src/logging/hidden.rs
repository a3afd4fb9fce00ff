//! What must not be seen in the log: the configured passwords and keys, wherever they stand. A server may echo any of them.
//!
//! Keys that are known by their beginning (`sk-…`) are masked in text from outside, configured or not: see
//! [`Detail`](crate::operator::Detail).

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

/// A shorter secret is not masked: it stands in ordinary words too. So is one of less than [`PLAIN_CHARS`] that has nothing
/// but letters: `asterisk` is a usual password, and a word of most lines.
const CHARS: usize = 8;
/// See [`CHARS`].
const PLAIN_CHARS: usize = 16;

/// The secrets. Clones hide the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Hidden(Arc<RwLock<Vec<String>>>);

impl Hidden {
    /// Hides these too. What was hidden stays so: an old key is still somebody's.
    pub(super) fn add(&self, secrets: impl IntoIterator<Item = String>) {
        let mut hidden = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for secret in secrets.into_iter().filter(|secret| is_told_from_words(secret)) {
            if !hidden.contains(&secret) {
                hidden.push(secret);
            }
        }
        // One that is a part of another must not leave the rest of that one behind.
        hidden.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// `text` without them.
    pub(super) fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut masked = Cow::Borrowed(text);
        for secret in self.0.read().unwrap_or_else(PoisonError::into_inner).iter() {
            if masked.contains(secret.as_str()) {
                masked = Cow::Owned(masked.replace(secret.as_str(), "…"));
            }
        }
        masked
    }
}

fn is_told_from_words(secret: &str) -> bool {
    let chars = secret.chars().count();
    chars >= PLAIN_CHARS || chars >= CHARS && !secret.chars().all(char::is_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_secret_is_masked_wherever_it_stands_and_a_word_is_not() {
        let hidden = Hidden::default();
        hidden.add(
            ["compat-key-1234", "compat-key-1234-and-more", "asterisk", "k1", "onlylettersbutlong"]
                .map(str::to_owned),
        );
        let masked = |text: &str| hidden.mask(text).into_owned();
        assert_eq!(masked("bad key compat-key-1234!"), "bad key …!");
        assert_eq!(masked("x=compat-key-1234-and-more"), "x=…");
        assert_eq!(masked("/var/log/asterisk/k1"), "/var/log/asterisk/k1");
        assert_eq!(masked("onlylettersbutlong, twice: onlylettersbutlong"), "…, twice: …");
    }
}

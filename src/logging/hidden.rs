//! Removes the configured passwords and keys from everything that is logged. A server may echo any of them.
//!
//! Keys with a known prefix (`sk-…`) are masked in text from outside even if they are not configured: see
//! [`Detail`](crate::operator::Detail).

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

/// The shortest secret that is masked, in characters, because shorter ones also occur in ordinary words. A secret
/// that consists only of letters must have [`PLAIN_CHARS`] characters: `asterisk` is a common password, and a word in
/// most lines. A smaller value garbles lines; a larger one reveals short passwords.
const CHARS: usize = 8;
/// The shortest secret of letters only that is masked. See [`CHARS`].
const PLAIN_CHARS: usize = 16;

/// The secrets that must not appear. Clones share the same secrets.
#[derive(Debug, Clone, Default)]
pub(super) struct Hidden(Arc<RwLock<Vec<String>>>);

impl Hidden {
    /// Adds secrets. Earlier secrets stay hidden, because an old key may still be valid somewhere.
    pub(super) fn add(&self, secrets: impl IntoIterator<Item = String>) {
        let mut hidden = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for secret in secrets.into_iter().filter(|secret| is_told_from_words(secret)) {
            if !hidden.contains(&secret) {
                hidden.push(secret);
            }
        }
        // Longer secrets come first, so that a secret that is part of a longer one does not leave the rest of it
        // visible.
        hidden.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// Returns `text` with every secret replaced by `…`.
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

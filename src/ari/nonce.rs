//! What tells that a call at OpenAI is one that we have asked Asterisk to make.

use std::fmt;

use subtle::ConstantTimeEq as _;

/// The header of the INVITE that holds a [`Nonce`].
pub const NONCE_HEADER: &str = "X-Call-Nonce";

/// A value that proves by being known that a call is ours. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Nonce(Box<str>);

impl Nonce {
    /// Whether both are the same. The comparison takes the same time for all values of one length.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }

    /// The value as text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Nonce {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce")
    }
}

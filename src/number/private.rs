//! Texts that identify a caller. They are printed, compared and serialised only where the code says so.
//!
//! None of these types has `Display` or `Serialize`, and their `Debug` forms show none of the text. A type that holds one of
//! them can therefore derive `Debug` and be logged at any level.

use std::fmt;

use serde::{Deserialize, Serializer};

use super::{key, tail};

/// The number of a caller, as Asterisk presents it. Empty if it is withheld, unknown or erased.
///
/// Its `Debug` form tells only whether there is a number.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct CallerNumber(String);

impl CallerNumber {
    /// The number itself: for the recording, the call log and the API, and never for a log line.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no number.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The form of the number in the database: its digits and letters, so that spaces, brackets and the `+` do not matter.
    #[must_use]
    pub fn key(&self) -> String {
        key(&self.0)
    }

    /// Identifies the caller without regard to the country of the line. `None` if the number is withheld.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        let key = self.key();
        match key.as_str() {
            "" | "anonymous" => None,
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(Identity(tail(digits).to_owned()))
            }
            _ => Some(Identity(key)),
        }
    }
}

impl From<String> for CallerNumber {
    fn from(number: String) -> Self {
        Self(number)
    }
}

impl From<&str> for CallerNumber {
    fn from(number: &str) -> Self {
        Self(number.to_owned())
    }
}

impl fmt::Debug for CallerNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "CallerNumber(none)" } else { "CallerNumber(…)" })
    }
}

/// Serialises the number itself, for fields of documents that hold it: `#[serde(serialize_with = "number::expose")]`.
///
/// # Errors
/// Returns the serialiser's own error.
pub fn expose<S: Serializer>(number: &CallerNumber, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&number.0)
}

/// The name of a caller, as Asterisk presents it. Empty if there is none.
///
/// Its `Debug` form tells only whether there is a name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CallerName(String);

impl CallerName {
    /// The name itself: for the templates of agents, and never for a log line.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CallerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "CallerName()" } else { "CallerName(…)" })
    }
}

impl From<String> for CallerName {
    fn from(name: String) -> Self {
        Self(name)
    }
}

/// Is the same for all notations of a caller's number. Made by [`CallerNumber::identity`].
///
/// Its `Debug` form shows nothing of the number.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity(String);

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(…)")
    }
}

/// The name of a channel in Asterisk, for example `PJSIP/trunk-00000012`. It often holds a number:
/// `Local/3001234567@from-internal-00000001;2`.
///
/// Its `Debug` form shows only the technology, `PJSIP/…`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ChannelName(String);

impl ChannelName {
    /// The name itself: for the line that tells the operator of a new call, and for comparisons.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for ChannelName {
    fn from(name: String) -> Self {
        Self(name)
    }
}

impl From<&str> for ChannelName {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let technology = self.0.split_once('/').map_or("", |(technology, _)| technology);
        write!(f, "ChannelName({technology}/…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_identifies_a_caller_is_not_printed() {
        let number = CallerNumber::from("+573001234567");
        let name = ChannelName::from("Local/3001234567@sales-00000001;2");
        let printed = format!("{number:?} {:?} {:?} {name:?}", CallerNumber::default(), number.identity());
        assert_eq!(printed, "CallerNumber(…) CallerNumber(none) Some(Identity(…)) ChannelName(Local/…)");
        assert_eq!((number.expose(), name.expose()), ("+573001234567", "Local/3001234567@sales-00000001;2"));
    }
}

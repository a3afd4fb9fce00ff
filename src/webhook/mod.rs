//! What a webhook is: where a message about an ended call goes, how it is signed, and when it is sent again. The rules are those
//! of Standard Webhooks (github.com/standard-webhooks/standard-webhooks, `spec/standard-webhooks.md`).
//!
//! ```text
//!   a call ends ─► message (durable) ─► signed, sent ─► Answer ─► judge ─► Done
//!                         ▲                                        ├─► Again, after a pause
//!                         └──────────────── later ─────────────────┘
//!                                                                  ├─► GiveUp
//!                                                                  └─► AddressGone
//! ```
//! Nothing here sends or stores: that is `archive::webhooks` and `registry::outbox`.
//!
//! In the other direction, `inbound` says whether a webhook that has arrived comes from the holder of a secret.

pub mod inbound;
mod schedule;
mod signature;

use std::sync::Arc;

pub use schedule::{Answer, MOST_ATTEMPTS, Verdict, judge};
pub use signature::{Key, KeyFault};

/// The longest body, in bytes. A larger value would let the outbox take more of the disk while a receiver is away, and receivers
/// refuse large bodies; with a smaller one, the words of long calls would be cut.
pub const BODY_BYTES: usize = 64 * 1024;

/// Where messages about ended calls go.
#[derive(Clone, Debug, PartialEq)]
pub struct Address {
    /// The name, which no other address of the agent has. Messages that wait are for a name, so that the URL may change.
    pub name: Arc<str>,
    /// The URL. Its path may be a secret of its own, so that only [`Self::origin`] is shown.
    pub url: Url,
    /// The scheme, host and port of the URL.
    pub origin: String,
    /// The key that signs the messages.
    pub key: Key,
    /// Whether the words of the call are sent.
    pub words: bool,
}

/// A URL whose `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(pub String);

impl std::fmt::Debug for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Url")
    }
}

/// The addresses of all agents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Addresses(Vec<(Arc<str>, Address)>);

impl Addresses {
    /// The address of this name, if the agent has one.
    #[must_use]
    pub fn find(&self, agent: &str, name: &str) -> Option<&Address> {
        let mut all = self.0.iter();
        all.find(|(of, address)| **of == *agent && *address.name == *name).map(|(_, address)| address)
    }
}

impl FromIterator<(Arc<str>, Address)> for Addresses {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Address)>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

/// The id of the message about a stay of a caller, which never changes: a receiver knows by it that it has the message already.
/// `row_id` is the key of the call log. Asterisk's id would not do: a caller may come back with it, and another Asterisk may give
/// the same.
#[must_use]
pub fn message_id(row_id: &str) -> String {
    format!("call_{row_id}")
}

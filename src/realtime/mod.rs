//! OpenAI's language: Realtime events, bytes ⇄ types. No sockets, no state.
//!
//! [`server`] is what OpenAI says, [`error`] what its errors mean, [`client`] what we say, [`dialect`] how the same session
//! is described to the GA interface and to servers that still speak the beta; [`usage`] is what an answer has used, and
//! [`rate_limits`] what may still be used.

pub mod client;
pub mod dialect;
pub mod error;
pub mod rate_limits;
pub mod server;
pub mod usage;
mod wire;

use std::fmt;
use std::sync::Arc;

/// Makes a type of id that cannot be mistaken for another one.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as it stands in an event.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// A conversation item: an utterance, a function call or its output (`item_…`).
    ItemId
}
id! {
    /// One answer of the model, holding one or more items (`resp_…`).
    ResponseId
}

//! The language of OpenAI's Realtime API: events, converted between bytes and types. No sockets, no state.
//!
//! [`server`] reads the events of the server and [`error`] classifies the errors. [`client`] writes the
//! events of the program. [`dialect`] writes the session settings for the GA interface and for servers that
//! still speak the beta interface. [`usage`] reads the tokens that a response has used, and [`rate_limits`]
//! reads what remains of the rate limits.
//!
//! | file | what |
//! |---|---|
//! | `client`, `server`, `wire` | events to the server; events from the server, and their fields |
//! | `dialect` | the settings of a session, for the GA and the beta interface |
//! | `error` | what an error means for the program |
//! | `calls` | calls that OpenAI answers itself by SIP: what a webhook tells of them, and the requests about them |
//! | `usage`, `rate_limits` | the tokens of a response; what remains of the rate limits |

pub mod calls;
pub mod client;
pub mod dialect;
pub mod error;
pub mod rate_limits;
pub mod server;
pub mod usage;
mod wire;

use std::fmt;
use std::sync::Arc;

/// Defines a separate type for one kind of id, so that the compiler rejects an id of another kind.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as text.
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
    /// The id of a conversation item: a message, a function call or the output of a function (`item_…`).
    ItemId
}
id! {
    /// The id of one response of the model, which holds one or more items (`resp_…`).
    ResponseId
}

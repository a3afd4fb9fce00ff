//! The outside: sockets and what travels on them.
//!
//! A link never blocks its owner: what it says is queued within a bound, and its loss is reported as an event.
//! Nothing here decides anything about a call.

pub mod answer;
pub mod ari_link;
pub mod ari_rest;
pub mod backoff;
pub mod peer_uid;
pub mod realtime_link;
pub mod rtp_socket;
pub mod tls;
pub mod websocket;

/// The innermost cause of an error, which says what happened: `Connection refused`, `invalid peer certificate`.
pub fn root_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), root_cause)
}

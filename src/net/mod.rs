//! The connections to the outside: sockets and the data on them.
//!
//! A link never blocks its owner. The link queues outgoing data within a bound and reports the loss of the
//! connection as an event. No module here makes a decision about a call.
//!
//! | file | what |
//! |---|---|
//! | `websocket`, `tls`, `backoff`, `answer` | opening a WebSocket; TLS for all connections; pauses before retries; bodies of HTTP answers |
//! | `ari_link`, `ari_rest` | events from Asterisk; requests to Asterisk |
//! | `realtime_link`, `calls_rest` | the session with OpenAI; requests about the calls that OpenAI answers |
//! | `rtp_socket`, `rtp` | the UDP ports of calls; the RTP socket of one call |
//! | `tools` | requests of tools to any server |
//! | `mcp` | servers of tools that speak the Model Context Protocol |
//! | `peer_uid` | which user of this machine has opened a connection |

pub mod answer;
pub mod ari_link;
pub mod ari_rest;
pub mod backoff;
pub mod calls_rest;
pub mod mcp;
pub mod peer_uid;
pub mod realtime_link;
pub mod rtp;
pub mod rtp_socket;
pub mod tls;
pub mod tools;
pub mod websocket;

/// The innermost cause of an error, which says what happened, for example `Connection refused` or `invalid
/// peer certificate`.
pub fn root_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), root_cause)
}

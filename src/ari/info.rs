//! What Asterisk says of itself, in the reply to [`Request::Info`](super::request::Request::Info).

use serde::Deserialize;

/// The version of Asterisk, from the reply to [`Request::Info`](super::request::Request::Info).
pub fn version(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        system: System,
    }
    #[derive(Deserialize)]
    struct System {
        version: String,
    }
    serde_json::from_str(body).ok().map(|Body { system: System { version } }| version)
}

/// The time at which Asterisk started, from the reply to [`Request::Info`](super::request::Request::Info). If the time differs from an
/// earlier one, Asterisk has been restarted and the earlier channels no longer exist.
pub fn started_at(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        status: Status,
    }
    #[derive(Deserialize)]
    struct Status {
        startup_time: String,
    }
    serde_json::from_str(body).ok().map(|Body { status: Status { startup_time } }| startup_time)
}

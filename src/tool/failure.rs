//! Why a request brought no answer that can be used.

use super::{Effect, Outcome};

/// Why there is no answer, as far as it matters for what was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The address is one that no tool may reach.
    #[error("the address must not be reached")]
    Forbidden,
    /// Other requests take all places, or the server has failed too often of late: nothing was sent.
    #[error("no request is sent there now")]
    Closed,
    /// There was no connection: nothing was sent. The cause has no address in it.
    #[error("no connection ({0})")]
    NotSent(String),
    /// The request may have been received, and no answer came. The cause has no address in it.
    #[error("no answer ({0})")]
    Unanswered(String),
    /// No whole answer came in time.
    #[error("no answer in time")]
    Late,
    /// The answer has too many bytes.
    #[error("an answer with too many bytes (status {status})")]
    TooLarge {
        /// The status code of the answer.
        status: u16,
    },
}

impl Failure {
    /// Whether the server may have received the request.
    #[must_use]
    pub const fn may_have_been_received(&self) -> bool {
        matches!(self, Self::Unanswered(_) | Self::Late | Self::TooLarge { .. })
    }

    /// What it means for a tool with this effect.
    #[must_use]
    pub fn outcome(&self, effect: Effect) -> Outcome {
        match (self, effect) {
            // It was done; only the result cannot be read.
            (Self::TooLarge { status: 200..=299 }, Effect::Write) => {
                Outcome::Done { result: serde_json::Value::Null }
            }
            (_, Effect::Write) if self.may_have_been_received() => Outcome::Unknown,
            _ => Outcome::Unavailable,
        }
    }
}

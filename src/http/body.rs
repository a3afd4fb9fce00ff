//! The bodies of requests and answers: reads small JSON within a time limit, and writes JSON. Of senders who have not proven who
//! they are, few are waited for at once.
//!
//! The routes do not use axum's `Json`: it answers with plain text, not with a problem, when a body cannot be read or
//! written, and it waits for a body without a time limit.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;

/// The largest body, in bytes. It is larger than any token or name with the JSON around it. A larger value would let
/// strangers use more memory.
const BYTES: usize = 16 * 1024;
/// How long the whole body may take to arrive. A longer time lets strangers hold connections; a shorter one fails on
/// slow lines.
const TIME: Duration = Duration::from_secs(10);

/// How many bodies of unknown senders may be on their way at once. More would let strangers who send slowly take the connections of
/// everybody else; fewer would refuse logins that come at the same moment.
const UNKNOWN_SENDERS: usize = 16;

/// The turns to send a body without having proven who one is. Clones share the turns.
#[derive(Debug, Clone)]
pub(super) struct Turns(Arc<Semaphore>);

impl Turns {
    /// All turns are free.
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(UNKNOWN_SENDERS)))
    }

    /// The turn for one body; None: too many are on their way. Dropping it frees the turn.
    pub(super) fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}

/// Reads and parses the body. Returns `None` if the body is not the expected JSON, is too large, or does not arrive
/// in time.
pub(super) async fn read<T: DeserializeOwned>(body: Body) -> Option<T> {
    let bytes = tokio::time::timeout(TIME, to_bytes(body, BYTES)).await.ok()?.ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Builds a JSON answer.
pub(super) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => {
            ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
        }
        Err(error) => Problem::internal(error).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use futures_util::{StreamExt as _, stream};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_too_much_or_does_not_come_is_none() {
        assert_eq!(read::<u8>(Body::from("7")).await, Some(7));
        assert_eq!(read::<u8>(Body::from("seven")).await, None);
        assert_eq!(read::<String>(Body::from(format!("\"{}\"", "x".repeat(BYTES)))).await, None);
        let begun = stream::iter([Ok::<_, Infallible>(Bytes::from("7"))]);
        assert_eq!(read::<u8>(Body::from_stream(begun.chain(stream::pending()))).await, None);
    }
}

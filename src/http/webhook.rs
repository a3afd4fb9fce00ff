//! The webhook by which OpenAI offers calls: a listener of its own, with one path, that never serves recordings.
//!
//! ```text
//!   path, method ─► length ─► rate ─► body, in time ─► headers, timestamp, signature ─► not seen before ─► event ─► 200 ─► the daemon
//!      404, 405      413       429      408, 413              400                          200             400
//! ```
//! Nothing is parsed before the signature is right, and nothing that a stranger has chosen is logged above DEBUG. The answer does not
//! wait for the call to be taken: OpenAI sends again whatever is not answered at once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use ipnet::IpNet;
use tokio::sync::mpsc;

use super::body::Turns;
use super::origin::{Share, Source};
use super::peer::Peer;
use super::problem::Problem;
use crate::clock;
use crate::live::{Arrival, Board};
use crate::realtime::calls::incoming::{self, Incoming, Message};
use crate::webhook::Key;
use crate::webhook::inbound::{Headers, Refused, Seen};

/// The largest body, in bytes. A real one has a few KiB: an INVITE and an envelope. A larger value would let strangers use more memory.
const BYTES: usize = 64 * 1024;
/// How long a body may take to arrive. A longer time lets strangers hold connections; a shorter one fails on slow lines.
const TIME: Duration = Duration::from_secs(5);
/// Requests of one client within [`WINDOW`]. OpenAI sends one for each call. A larger value lets strangers take more of the processor;
/// a smaller one could refuse a busy hour.
const MOST: u32 = 600;
/// The time over which requests are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// Clients that are counted at the same time. When one more appears, the oldest count is dropped.
const SHARES: usize = 1_024;

/// The pause before the daemon is told of more requests without the right signature. A shorter pause would let strangers keep its loop
/// busy; with a longer one the number that the operator reads lags behind.
const TELL_AGAIN: Duration = Duration::from_secs(1);

/// What the daemon is told.
#[derive(Debug)]
pub enum Told {
    /// A call is offered. `sent_at` is when OpenAI sent the webhook, in Unix seconds by its own clock.
    Incoming {
        /// The call.
        incoming: Box<Incoming>,
        /// The id of the webhook, which all attempts share.
        webhook: String,
        /// When the webhook was sent.
        sent_at: i64,
    },
    /// Requests that could be OpenAI's have not the right signature.
    Refused {
        /// Why the last of them was refused.
        why: Refused,
        /// How many, since this was last told.
        count: u32,
    },
}

/// What the webhook needs.
pub struct Parts {
    /// The path.
    pub path: String,
    /// The keys, any of which may sign.
    pub keys: Vec<Key>,
    /// The reverse proxies that are trusted to name their clients.
    pub proxies: Vec<IpNet>,
    /// Where offers go.
    pub tell: mpsc::Sender<Told>,
    /// The time of this machine, in Unix seconds.
    pub clock: fn() -> i64,
    /// Where requests are counted.
    pub board: Board,
}

struct Inner {
    parts: Parts,
    turns: Turns,
    memory: Mutex<Memory>,
}

/// What is remembered from one request to the next. All of it is bounded.
#[derive(Default)]
struct Memory {
    seen: Seen,
    counts: HashMap<Share, (Instant, u32)>,
    /// Requests without the right signature of which the daemon has not been told yet.
    refused: u32,
    /// When it was last told of some.
    told_at: Option<Instant>,
}

#[derive(Clone)]
struct Webhook(Arc<Inner>);

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Webhook")
    }
}

/// Builds the router.
pub fn router(parts: Parts) -> Router {
    let path = parts.path.clone();
    let inner = Inner { parts, turns: Turns::new(), memory: Mutex::default() };
    Router::new()
        .route(&path, post(take))
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "only POST is possible here")
        })
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "no_such_path", "nothing is here") })
        .with_state(Webhook(Arc::new(inner)))
}

async fn take(State(webhook): State<Webhook>, request: Request) -> Response {
    let (arrival, response) = match webhook.judge(request).await {
        Ok(arrival) => (arrival, StatusCode::OK.into_response()),
        Err((arrival, problem)) => (arrival, problem.into_response()),
    };
    webhook.0.parts.board.arrived(arrival);
    response
}

impl Webhook {
    async fn judge(&self, request: Request) -> Result<Arrival, (Arrival, Problem)> {
        let (head, body) = request.into_parts();
        let length =
            head.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: u64| length > BYTES as u64) {
            return Err(too_large());
        }
        let now = clock::now();
        let source = head.extensions.get::<Peer>();
        let source = source.map(|peer| Source::of(peer, &head.headers, &self.0.parts.proxies).share);
        if !self.memory().admits(source, now) {
            return Err(too_many("try again in some seconds"));
        }
        let body = self.read(body).await?;
        let (id, sent_at) = self.verify(&head.headers, &body)?;
        // Without room for the offer the webhook must come again, so that it must not count as seen.
        let Ok(permit) = self.0.parts.tell.try_reserve() else {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "try again in a moment");
            return Err((Arrival::Busy, problem));
        };
        if !self.memory().seen.is_new(now, &id) {
            tracing::debug!("a webhook came again");
            return Ok(Arrival::Repeated);
        }
        match incoming::parse(&body) {
            Ok(Message::Incoming(incoming)) => {
                permit.send(Told::Incoming { incoming, webhook: id, sent_at });
                Ok(Arrival::Offered)
            }
            Ok(Message::Other) => Ok(Arrival::Ignored),
            Err(error) => {
                let problem = Problem::new(StatusCode::BAD_REQUEST, "malformed", error.to_string());
                Err((Arrival::Malformed, problem))
            }
        }
    }

    /// Reads the body, of few strangers at once.
    async fn read(&self, body: Body) -> Result<bytes::Bytes, (Arrival, Problem)> {
        let Some(_turn) = self.0.turns.take() else {
            return Err(too_many("try again in a moment"));
        };
        match tokio::time::timeout(TIME, to_bytes(body, BYTES)).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(_)) => Err(too_large()),
            Err(_) => {
                let detail = "the body did not arrive in time";
                Err((Arrival::TooSlow, Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", detail)))
            }
        }
    }

    /// The id of the message, and when it was sent, if it comes from OpenAI.
    fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<(String, i64), (Arrival, Problem)> {
        let all = |name: &'static str| headers.get_all(name).iter().map(|value| value.to_str().ok());
        let Parts { keys, clock, .. } = &self.0.parts;
        let verified = Headers::read(all)
            .and_then(|headers| Ok((headers.id.to_owned(), headers.verify(keys, body, clock())?)));
        verified.map_err(|refused| {
            tracing::debug!(%refused, "a webhook was refused");
            // A request without the headers is not OpenAI's.
            if refused != Refused::Headers
                && let Some(count) = self.memory().refuses(clock::now())
            {
                self.0.parts.tell.try_send(Told::Refused { why: refused, count }).ok();
            }
            let problem = Problem::new(StatusCode::BAD_REQUEST, "not_verified", refused.to_string());
            (Arrival::Unverified, problem)
        })
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_large() -> (Arrival, Problem) {
    let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "a body has at most 64 KiB");
    (Arrival::TooLarge, problem)
}

fn too_many(detail: &'static str) -> (Arrival, Problem) {
    (Arrival::TooMany, Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail))
}

impl Memory {
    /// Counts a request without the right signature. Returns how many the daemon is to be told of now.
    fn refuses(&mut self, now: Instant) -> Option<u32> {
        self.refused = self.refused.saturating_add(1);
        if self.told_at.is_some_and(|at| now.saturating_duration_since(at) < TELL_AGAIN) {
            return None;
        }
        self.told_at = Some(now);
        Some(std::mem::take(&mut self.refused))
    }

    /// Counts a request of this client, and says whether it is one too many. The client of a test is not known.
    fn admits(&mut self, share: Option<Share>, now: Instant) -> bool {
        let Some(share) = share else { return true };
        let is_over = |since: Instant| now.saturating_duration_since(since) >= WINDOW;
        if self.counts.len() >= SHARES && !self.counts.contains_key(&share) {
            self.counts.retain(|_, (since, _)| !is_over(*since));
            if self.counts.len() >= SHARES {
                let oldest = self.counts.iter().min_by_key(|(_, (since, _))| *since).map(|(share, _)| *share);
                oldest.map(|oldest| self.counts.remove(&oldest));
            }
        }
        let (since, count) = self.counts.entry(share).or_insert((now, 0));
        if is_over(*since) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_are_refused_are_told_of_and_not_one_by_one() {
        let (mut memory, now) = (Memory::default(), clock::now());
        assert_eq!((memory.refuses(now), memory.refuses(now), memory.refuses(now)), (Some(1), None, None));
        assert_eq!(memory.refuses(now + TELL_AGAIN), Some(3));
    }

    #[test]
    fn a_client_is_shut_out_for_the_rest_of_its_window_and_no_more_are_counted_than_there_is_room_for() {
        let (mut memory, now) = (Memory::default(), clock::now());
        let one = Some(Share::User(1));
        assert!((0..MOST).all(|_| memory.admits(one, now)));
        assert!(!memory.admits(one, now) && memory.admits(Some(Share::User(2)), now));
        assert!(memory.admits(one, now + WINDOW));
        for uid in 0..5_000 {
            memory.admits(Some(Share::User(uid)), now);
        }
        assert!(memory.counts.len() <= SHARES);
    }
}

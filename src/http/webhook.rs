//! The webhook by which OpenAI offers calls: a listener of its own, with one path, that never serves recordings.
//!
//! ```text
//!   path, method ─► length ─► headers, timestamp ─► rate, turn ─► body, in time ─► signature ─► not seen before ─► event ─► the daemon ─► 200
//!      404, 405      413             400               429         408, 413, 400       400            200           400         503
//! ```
//! What the head alone tells is refused first, and costs nobody a turn. Rate and turns are those of one client, and only requests that
//! turn out not to be OpenAI's count.
//!
//! Nothing is parsed before the signature is right, and nothing that a stranger has chosen is logged above DEBUG. The answer waits until
//! no crash forgets the call, because OpenAI does not send again what was answered with 200. It does not wait for the call to be taken.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use futures_util::StreamExt as _;
use ipnet::IpNet;
use tokio::sync::{mpsc, oneshot};

use super::lanes::Lanes;
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
/// How long the answer waits until no crash forgets the call: longer than the daemon waits at its start for what today's calls have
/// cost, and for its call log. With a shorter time webhooks come again that are known; a longer one holds connections.
const KEPT_WITHIN: Duration = Duration::from_secs(8);
/// Requests of one client within [`WINDOW`] that look like OpenAI's and are not. A larger value lets strangers take more of the
/// processor, a tenth of a core with this one; with a smaller one a stranger shuts out OpenAI where both come through one proxy that
/// is not trusted to name its clients.
const MOST: u32 = 6_000;
/// The time over which requests are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// Clients that are counted at the same time. When one more appears, the oldest count is dropped.
const SHARES: usize = 1_024;

/// The pause before the daemon is told of more requests without the right signature. A shorter pause would let strangers keep its loop
/// busy; with a longer one the number that the operator reads lags behind.
const TELL_AGAIN: Duration = Duration::from_secs(1);
/// The maximum number of connections of one client. OpenAI opens one for each call of a burst. A larger value lets one client take
/// most of the connections; a smaller one closes genuine ones without an answer.
pub const OF_CLIENT: usize = 192;
/// How often the daemon is told, at most, that genuine requests may be refused.
const TELL_EVERY: Duration = Duration::from_secs(10);

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
        /// Is told once no crash can forget the call, for which the answer waits. If it is dropped instead, a crash could forget the call, and
        /// the webhook has to come again.
        kept: oneshot::Sender<()>,
    },
    /// Requests that could be OpenAI's have not the right signature.
    Refused {
        /// Why the last of them was refused.
        why: Refused,
        /// How many, since this was last told.
        count: u32,
    },
    /// A request that could be OpenAI's was refused, because its client has too many.
    Crowded,
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
    lanes: Lanes,
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
    /// When the daemon was last told that genuine requests may be refused.
    crowded_told: Option<Instant>,
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
    let inner = Inner { parts, lanes: Lanes::new(), memory: Mutex::default() };
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
        let headers = self.read_headers(&head.headers)?;
        let now = clock::now();
        let client = head.extensions.get::<Peer>();
        let client = client.map(|peer| Source::of(peer, &head.headers, &self.0.parts.proxies).share);
        if !self.memory().admits(client, now) {
            return Err(self.crowded(now));
        }
        let body = match self.0.lanes.turn(client).await {
            Some(_turn) => read(body).await?,
            None => return Err(self.crowded(now)),
        };
        let Parts { keys, clock, .. } = &self.0.parts;
        let sent_at = headers.verify(keys, &body, clock()).map_err(|refused| self.refuse(refused))?;
        let id = headers.id.to_owned();
        self.memory().is_genuine(client);
        // Without room for the offer the webhook must come again, so that it must not count as seen.
        let Ok(permit) = self.0.parts.tell.try_reserve() else {
            return Err(busy());
        };
        if !self.memory().seen.is_new(now, &id) {
            tracing::debug!("a webhook came again");
            return Ok(Arrival::Repeated);
        }
        match incoming::parse(&body) {
            Ok(Message::Incoming(incoming)) => {
                let (kept, is_kept) = oneshot::channel();
                permit.send(Told::Incoming { incoming, webhook: id, sent_at, kept });
                match tokio::time::timeout(KEPT_WITHIN, is_kept).await {
                    Ok(Ok(())) => Ok(Arrival::Offered),
                    // The daemon decides about the call, but could forget the call in a crash, so OpenAI is asked to send it again.
                    Ok(Err(_)) | Err(_) => Err((Arrival::Offered, busy().1)),
                }
            }
            Ok(Message::Other) => Ok(Arrival::Ignored),
            Err(error) => {
                let problem = Problem::new(StatusCode::BAD_REQUEST, "malformed", error.to_string());
                Err((Arrival::Malformed, problem))
            }
        }
    }

    /// The headers, if they could be OpenAI's.
    fn read_headers<'a>(&self, headers: &'a HeaderMap) -> Result<Headers<'a>, (Arrival, Problem)> {
        let all = |name: &'static str| headers.get_all(name).iter().map(|value| value.to_str().ok());
        let now = (self.0.parts.clock)();
        let read = Headers::read(all).and_then(|headers| headers.judge(now).map(|_| headers));
        read.map_err(|refused| self.refuse(refused))
    }

    /// The request does not come from OpenAI.
    fn refuse(&self, refused: Refused) -> (Arrival, Problem) {
        tracing::debug!(%refused, "a webhook was refused");
        // A request without the headers is not OpenAI's.
        if refused != Refused::Headers
            && let Some(count) = self.memory().refuses(clock::now())
        {
            self.0.parts.tell.try_send(Told::Refused { why: refused, count }).ok();
        }
        (Arrival::Unverified, Problem::new(StatusCode::BAD_REQUEST, "not_verified", refused.to_string()))
    }

    /// A request that could be OpenAI's is refused, because its client has too many.
    fn crowded(&self, now: Instant) -> (Arrival, Problem) {
        let mut memory = self.memory();
        if memory.crowded_told.is_none_or(|told| now.saturating_duration_since(told) >= TELL_EVERY) {
            memory.crowded_told = Some(now);
            self.0.parts.tell.try_send(Told::Crowded).ok();
        }
        (
            Arrival::TooMany,
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "try again in some seconds"),
        )
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_large() -> (Arrival, Problem) {
    let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "a body has at most 64 KiB");
    (Arrival::TooLarge, problem)
}

fn busy() -> (Arrival, Problem) {
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "try again in a moment");
    (Arrival::Busy, problem)
}

/// Reads the body.
async fn read(body: Body) -> Result<Vec<u8>, (Arrival, Problem)> {
    let all = async {
        let (mut all, mut chunks) = (Vec::new(), body.into_data_stream());
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| broken_off())?;
            if all.len() + chunk.len() > BYTES {
                return Err(too_large());
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    };
    let detail = "the body did not arrive in time";
    let too_slow = (Arrival::TooSlow, Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", detail));
    tokio::time::timeout(TIME, all).await.unwrap_or(Err(too_slow))
}

fn broken_off() -> (Arrival, Problem) {
    let problem = Problem::new(StatusCode::BAD_REQUEST, "broken_off", "the body ends before its length");
    (Arrival::BrokenOff, problem)
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

    /// The request of this client comes from OpenAI, and does not count.
    fn is_genuine(&mut self, share: Option<Share>) {
        if let Some((_, count)) = share.and_then(|share| self.counts.get_mut(&share)) {
            *count = count.saturating_sub(1);
        }
    }

    /// Counts a request of this client, and says whether it may be read. The client of a test is not known.
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
        for _ in 0..3 * MOST {
            assert!(memory.admits(one, now + WINDOW), "genuine requests do not count");
            memory.is_genuine(one);
        }
        for uid in 0..5_000 {
            memory.admits(Some(Share::User(uid)), now);
        }
        assert!(memory.counts.len() <= SHARES);
    }
}

//! Makes one ARI request over a shared, bounded pool of HTTP connections.
//!
//! Asterisk serves `sessionlimit` connections at once (`http.conf`, 100 by default) and closes one more without a word, so
//! requests beyond `CONNECTIONS` wait for their turn, and one whose connection was refused or closed before an answer is
//! made again. A request that was heard and not answered in time is not: who asked knows whether asking twice is safe.
//! An answer is read up to a bound.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use rustls::ClientConfig;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::{answer, root_cause};
use crate::ari::request::{Method, Reply, Request};

/// Connections to Asterisk in use at once; for moments, as many more stand idle. More leave too few of its `sessionlimit` (100) for the event socket and for other
/// programs, fewer let a burst of calls wait: Asterisk needs milliseconds for a request, 16 up to 200 for `addChannel`.
const CONNECTIONS: usize = 30;
/// Idle connections are dropped after this time; Asterisk's own limit is 15 s (`http.conf`, measured).
const IDLE: Duration = Duration::from_secs(10);
/// A request without an answer after this time is lost. Asterisk answers within milliseconds (16: 200).
const TIMEOUT: Duration = Duration::from_secs(3);
/// A request that has not had its turn by then is given up. Longer than the set-up of a call may take is no use to it.
const QUEUE_PATIENCE: Duration = Duration::from_secs(5);
/// Pauses before a request is made again whose connection was closed. Asterisk is at its `sessionlimit` for moments;
/// longer pauses in all would be heard as dead air.
const AGAIN_AFTER: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(150),
    Duration::from_millis(400),
    Duration::from_millis(900),
];
/// Most of an answer that is read. An answer about one thing has at most a few kB.
const ANSWER_BYTES: usize = 1 << 20;
/// The same of a list: 1 000 calls make one of 0.7 MB of their bridges.
const LIST_BYTES: usize = 4 << 20;

/// Where Asterisk's HTTP server is, and our credentials.
#[derive(Debug, Clone)]
pub struct AriRest {
    client: reqwest::Client,
    base: Arc<str>,
    user: Arc<str>,
    password: Arc<str>,
    turns: Arc<Semaphore>,
    refuses: Arc<watch::Sender<bool>>,
}

/// How one attempt ended.
enum Attempt {
    /// There is nothing to be gained from another one.
    Over(Reply),
    /// No answer came in time.
    Late(String),
    /// The connection was refused, or closed before an answer; `heard`: the request may have been carried out.
    Closed { cause: String, heard: bool },
}

impl AriRest {
    /// A client for `base`, for example `http://localhost:8088/ari`.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(
        base: &str,
        user: &str,
        password: &str,
        tls: &Arc<ClientConfig>,
    ) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.as_ref().clone())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(CONNECTIONS)
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .build()?;
        let turns = Arc::new(Semaphore::new(CONNECTIONS));
        let refuses = Arc::new(watch::Sender::new(false));
        Ok(Self { client, base: base.into(), user: user.into(), password: password.into(), turns, refuses })
    }

    /// Whether Asterisk does nothing with channels for us: the last request that was to change one was forbidden (401,
    /// 403), or not answered in time. Says so when that changes.
    pub fn refuses(&self) -> watch::Receiver<bool> {
        self.refuses.subscribe()
    }

    /// Makes a request, when its turn has come.
    pub async fn perform(&self, request: &Request) -> Reply {
        let (reply, refuses) = self.ask(request).await;
        if let Some(refuses) = refuses.filter(|_| request.changes_a_channel()) {
            self.refuses.send_if_modified(|now| std::mem::replace(now, refuses) != refuses);
        }
        reply
    }

    /// The same; and whether Asterisk refuses us, if that can be told from it.
    async fn ask(&self, request: &Request) -> (Reply, Option<bool>) {
        let Ok(Ok(_turn)) = timeout(QUEUE_PATIENCE, self.turns.acquire()).await else {
            let seconds = QUEUE_PATIENCE.as_secs();
            let cause = format!("{CONNECTIONS} requests before it took longer than {seconds} s");
            return (Reply::Lost(cause), Some(true));
        };
        let mut pauses = AGAIN_AFTER.into_iter();
        let mut lost = None;
        loop {
            match (self.attempt(request).await, lost) {
                // It may be refused now because it was carried out before: what it has made must not be forgotten.
                (Attempt::Over(Reply::Refused { .. }), Some(cause)) if !request.may_be_repeated() => {
                    return (Reply::Lost(cause), None);
                }
                (Attempt::Over(reply), _) => {
                    let forbidden = matches!(reply, Reply::Refused { status: 401 | 403, .. });
                    let told = !matches!(reply, Reply::Lost(_));
                    return (reply, told.then_some(forbidden));
                }
                (Attempt::Late(cause), _) => return (Reply::Lost(cause), Some(true)),
                (Attempt::Closed { cause, heard }, before) => {
                    let Some(pause) = pauses.next() else { return (Reply::Lost(cause), None) };
                    tracing::debug!(path = request.name(), %cause, ?pause, "ARI connection closed: again");
                    lost = before.or(heard.then_some(cause));
                    sleep(pause).await;
                }
            }
        }
    }

    async fn attempt(&self, request: &Request) -> Attempt {
        let method = match request.method() {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Delete => reqwest::Method::DELETE,
        };
        let url = format!("{}{}", self.base, request.path());
        let sent = self.client.request(method, url).basic_auth(&self.user, Some(&self.password)).send().await;
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                let (heard, late) = (!error.is_connect(), error.is_timeout());
                let closed = error.is_connect() || is_closed(&error);
                // Without the address: it is in every line, and a request's query may hold what is nobody's business.
                let cause = root_cause(&error.without_url());
                return if late {
                    Attempt::Late(cause)
                } else if closed {
                    Attempt::Closed { cause, heard }
                } else {
                    Attempt::Over(Reply::Lost(cause))
                };
            }
        };
        let status = response.status();
        let bound = if request.answers_a_list() { LIST_BYTES } else { ANSWER_BYTES };
        Attempt::Over(match answer::body(response, bound).await {
            Ok(body) => reply(status, String::from_utf8_lossy(&body).into_owned()),
            Err(unread) => Reply::Lost(unread.to_string()),
        })
    }
}

/// Whether the connection was closed in the place of an answer.
fn is_closed(error: &reqwest::Error) -> bool {
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.any(|cause| {
        let of_http = cause.downcast_ref::<hyper::Error>();
        let of_system = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        of_http.is_some_and(hyper::Error::is_incomplete_message)
            || of_system.is_some_and(|kind| {
                use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
                matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
            })
    })
}

fn reply(status: StatusCode, body: String) -> Reply {
    if status.is_success() {
        Reply::Done(body)
    } else {
        Reply::Refused { status: status.as_u16(), message: message(&body) }
    }
}

/// Asterisk's `{"message": "…"}`, or the start of whatever else it said.
fn message(body: &str) -> String {
    serde_json::from_str::<serde_json::Value>(body)
        .ok()
        .and_then(|json| Some(json.get("message")?.as_str()?.to_owned()))
        .unwrap_or_else(|| body.chars().take(200).collect())
}

//! Makes ARI requests over a shared and bounded pool of HTTP connections.
//!
//! Asterisk serves `sessionlimit` connections at once (`http.conf`, 100 by default) and closes any further
//! connection without an answer. Requests beyond `CONNECTIONS` therefore wait for their turn, and a request
//! whose connection was refused or closed before an answer is made again. A request that Asterisk received
//! but did not answer in time is not repeated here, because only the caller of this module knows whether a
//! repetition is safe. The length of an answer is bounded.

use std::borrow::Cow;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use rustls::ClientConfig;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::answer::{self, Unread};
use super::root_cause;
use crate::ari::endpoint::endpoint_path;
use crate::ari::request::{Method, Reply, Request, recording_path};
use crate::ari::sound_name::SoundName;

/// The number of connections to Asterisk in use at once. For short times the same number may be idle. A
/// larger value leaves too few connections of Asterisk's `sessionlimit` (100) for the event WebSocket and for
/// other programs; a smaller value lets a burst of calls wait. Asterisk answers a request within
/// milliseconds; Asterisk 16 needs up to 200 ms for `addChannel`.
const CONNECTIONS: usize = 30;
/// The time after which an idle connection is closed. A value above Asterisk's own limit of 15 s
/// (`http.conf`, measured) would use connections that Asterisk has closed; a smaller value opens connections
/// more often.
const IDLE: Duration = Duration::from_secs(10);
/// The time after which an unanswered request counts as lost. Asterisk answers within milliseconds (Asterisk
/// 16: up to 200 ms). A larger value delays the error; a smaller value gives up requests of a busy Asterisk.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The time after which a request that is still waiting for its turn is given up. A value larger than the
/// limit for the set-up of a call is of no use to that call; a smaller value gives up requests in a burst of
/// calls.
const QUEUE_PATIENCE: Duration = Duration::from_secs(5);
/// The pauses before a request is repeated whose connection was closed. Asterisk reaches its `sessionlimit`
/// for short moments only. With longer pauses the caller hears silence; with shorter ones the last attempt
/// may come too early.
const AGAIN_AFTER: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(150),
    Duration::from_millis(400),
    Duration::from_millis(900),
];
/// The number of recordings that are fetched at once: two of a call. A larger value takes more of the connections of Asterisk and more
/// of the network from calls that run; a smaller one lets the calls of a busy hour wait for each other.
const FETCHES: usize = 8;
/// The time after which a recording that is being fetched counts as lost. An hour of µ-law has 29 MB. A larger value holds an ended
/// call for longer when Asterisk hangs; a smaller one gives up over a slow network.
const FETCH_TIMEOUT: Duration = Duration::from_secs(120);
/// The largest answer that is read, in bytes. An answer about a single object has a few kB. A larger value
/// allows a faulty server to use more memory; a smaller value may reject a valid answer.
const ANSWER_BYTES: usize = 1 << 20;
/// The largest list that is read, in bytes. The list of the bridges of 1 000 calls has 0.7 MB. A larger value
/// allows a faulty server to use more memory; a smaller value limits the number of calls.
const LIST_BYTES: usize = 4 << 20;

/// The number of characters of a refusal's message that are kept. Asterisk's messages are shorter. A larger value lets a faulty
/// server write more into the log; a smaller one cuts messages.
const MESSAGE_CHARS: usize = 200;

/// The address of Asterisk's HTTP server, the credentials and the shared pool of connections.
#[derive(Debug, Clone)]
pub struct AriRest {
    client: reqwest::Client,
    base: Arc<str>,
    user: Arc<str>,
    password: Arc<str>,
    turns: Arc<Semaphore>,
    /// The turns of recordings that are fetched, which take longer than requests.
    fetches: Arc<Semaphore>,
    refuses: Arc<watch::Sender<bool>>,
}

/// A recording that is being fetched.
pub struct StoredRecording {
    response: reqwest::Response,
    _turn: OwnedSemaphorePermit,
}

impl StoredRecording {
    /// Waits for the next bytes. None: the recording is complete. A wait that is given up loses nothing.
    ///
    /// # Errors
    /// Asterisk does not send the rest. The text says why.
    pub async fn next(&mut self) -> Result<Option<Bytes>, String> {
        self.response.chunk().await.map_err(|error| root_cause(&error.without_url()))
    }
}

/// The outcome of one attempt.
enum Attempt {
    /// The outcome is final: another attempt would not change it.
    Over(Reply),
    /// No answer arrived in time.
    Late(String),
    /// The connection was refused, or closed before an answer. `heard`: Asterisk may have carried out the
    /// request.
    Closed { cause: String, heard: bool },
}

impl AriRest {
    /// Creates a client for `base`, for example `http://localhost:8088/ari`.
    ///
    /// # Errors
    /// Returns the error of `reqwest` if the HTTP client cannot be built.
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
        let fetches = Arc::new(Semaphore::new(FETCHES));
        let (base, user, password) = (base.into(), user.into(), password.into());
        Ok(Self { client, base, user, password, turns, fetches, refuses })
    }

    /// Whether Asterisk currently refuses to act on channels: the last request that should change a channel
    /// was forbidden (401 or 403) or not answered in time. The receiver is notified when this changes.
    pub fn refuses(&self) -> watch::Receiver<bool> {
        self.refuses.subscribe()
    }

    /// Makes a request as soon as a connection is free.
    pub async fn perform(&self, request: &Request) -> Reply {
        let (reply, refuses) = self.ask(request).await;
        if let Some(refuses) = refuses.filter(|_| request.changes_a_channel()) {
            self.refuses.send_if_modified(|now| std::mem::replace(now, refuses) != refuses);
        }
        reply
    }

    /// Asks for the PJSIP endpoint of this name. Returns the status and the body of the answer.
    ///
    /// # Errors
    /// Asterisk does not answer. The text says why.
    pub async fn endpoint(&self, name: &str) -> Result<(u16, String), String> {
        let url = format!("{}{}", self.base, endpoint_path(name));
        let asked = self.client.get(url).basic_auth(&self.user, Some(&self.password)).timeout(TIMEOUT);
        let response = asked.send().await.map_err(|error| root_cause(&error.without_url()))?;
        let status = response.status().as_u16();
        match answer::body(response, ANSWER_BYTES).await {
            Ok(body) => Ok((status, String::from_utf8_lossy(&body).into_owned())),
            Err(Unread::TooLong(_)) => Err(format!("more than {ANSWER_BYTES} bytes")),
            Err(Unread::Broken(error)) => Err(root_cause(&error.without_url())),
        }
    }

    /// Begins to fetch the recording of this name.
    ///
    /// # Errors
    /// Asterisk does not give it, or does not answer. The text says why.
    pub async fn stored_recording(&self, sound: &SoundName) -> Result<StoredRecording, String> {
        let turn = Arc::clone(&self.fetches).acquire_owned().await.map_err(|closed| closed.to_string())?;
        let url = format!("{}{}", self.base, recording_path(sound));
        let asked = self.client.get(url).basic_auth(&self.user, Some(&self.password)).timeout(FETCH_TIMEOUT);
        let response = asked.send().await.map_err(|error| root_cause(&error.without_url()))?;
        let status = response.status();
        if status.is_success() {
            Ok(StoredRecording { response, _turn: turn })
        } else {
            Err(format!("HTTP {}", status.as_u16()))
        }
    }

    /// Makes a request and also returns whether Asterisk refuses the program. None: the outcome does not
    /// tell.
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
                // A first attempt may have created the object, so this refusal may only mean that the object
                // exists. The object must not be forgotten.
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
        let mut asked = self.client.request(method, url).basic_auth(&self.user, Some(&self.password));
        if let Some(body) = request.body() {
            asked = asked.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body);
        }
        let sent = asked.send().await;
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                let (heard, late) = (!error.is_connect(), error.is_timeout());
                let closed = error.is_connect() || is_closed(&error);
                // The address is left out, because every line has the address already, and the query of a
                // request may hold private data.
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
            Ok(body) => reply(status, text(body)),
            Err(unread) => Reply::Lost(unread.to_string()),
        })
    }
}

/// Whether the connection was closed before an answer.
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

/// The body as a text, which is not copied if it is valid.
fn text(body: Vec<u8>) -> String {
    String::from_utf8(body).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The beginning of the `message` of Asterisk's JSON answer, or of any other answer.
fn message(body: &str) -> String {
    #[derive(Deserialize)]
    struct Refusal<'a> {
        #[serde(borrow)]
        message: Cow<'a, str>,
    }
    let message = serde_json::from_str::<Refusal<'_>>(body).map(|refusal| refusal.message);
    message.as_deref().unwrap_or(body).chars().take(MESSAGE_CHARS).collect()
}

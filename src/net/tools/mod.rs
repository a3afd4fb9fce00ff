//! Carries out the requests of tools and look-ups: the border between the daemon and servers that may be anything.
//!
//! - The request goes where the file says: redirects are not followed, no proxy is used, and addresses of the link, metadata
//!   services and multicast are not reached, whether they are written as such or come from a name.
//! - Nothing lasts or grows without a bound: the connection, all attempts together, the body, and the number of requests at once.
//! - A request is repeated only where that cannot do something twice.
//! - A server that fails again and again is left alone for a while.
//!
//! | file | what |
//! |---|---|
//! | `names` | the addresses of servers, and which of them are refused |
//! | `breaker` | when a server is left alone |

mod breaker;
mod names;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::error::Error as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use reqwest::{Method, Url};
use rustls::ClientConfig;
use tokio::sync::{AcquireError, Semaphore};
use tokio::time::{sleep, timeout_at};

pub(super) use self::breaker::Breaker;
use self::names::literal;
pub(super) use self::names::{Forbidden, Names};
use super::answer::{self, Unread};
use super::root_cause;
use crate::clock;
use crate::tool::{Effect, Failure, HttpRequest, Response};

/// How long a connection may take. A larger value would leave too little of the time-out for the answer; a smaller one would
/// fail on slow lines.
const CONNECT: Duration = Duration::from_secs(2);
/// The largest body of an answer, in bytes. A larger value would let servers fill the memory; a smaller one would refuse long
/// lists, of which the mapping takes a part.
const BODY_BYTES: usize = 256 * 1024;
/// The most requests at once. A larger value would let many slow servers take the connections of the calls; a smaller one would
/// let callers wait for each other.
const PLACES: usize = 64;
/// The same for one server.
pub(super) const PLACES_OF_ORIGIN: usize = 16;
/// The longest pause that a server may ask for before another attempt. A caller is waiting.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long a server of MCP may send nothing before its connection is given up. It is longer than any tool may take, because what
/// writes is not cancelled; a larger value would keep connections to dead servers.
const LONGEST_SILENCE: Duration = Duration::from_secs(300);
/// What the servers are told of the client.
const AGENT: &str = concat!("openai-inbound-calls/", env!("CARGO_PKG_VERSION"));

/// The client for all tools of all agents.
#[derive(Clone, Debug)]
pub struct ToolClient {
    client: reqwest::Client,
    /// The same with a limit for pauses, for servers whose answers may take any number of pieces.
    mcp: reqwest::Client,
    places: Arc<Semaphore>,
    origins: Arc<Mutex<HashMap<String, Arc<Origin>>>>,
}

/// A server.
#[derive(Debug)]
struct Origin {
    places: Semaphore,
    breaker: Mutex<Breaker>,
}

/// A request, and what may be done with it.
#[derive(Clone, Copy, Debug)]
pub struct Errand<'a> {
    /// The request.
    pub request: &'a HttpRequest,
    /// Whether it changes anything.
    pub effect: Effect,
    /// Whether the server recognizes a second request with the same idempotency key.
    pub idempotent: bool,
    /// The time for all attempts together, waiting for a place included.
    pub timeout: Duration,
}

/// How an errand ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Carried {
    /// The answer, whatever its status, or why there is none.
    pub result: Result<Response, Failure>,
    /// How often the request was sent, or was tried to be sent.
    pub attempts: u32,
    /// How long the server wants to be left alone, if it says so.
    pub pause: Option<Duration>,
}

/// What one attempt brought.
struct Attempt {
    result: Result<Response, Failure>,
    /// How long the server wants to be left alone.
    pause: Option<Duration>,
}

impl From<Failure> for Attempt {
    fn from(failure: Failure) -> Self {
        Self { result: Err(failure), pause: None }
    }
}

impl ToolClient {
    /// Makes a client with this TLS configuration.
    ///
    /// # Errors
    /// The error of `reqwest` if the client cannot be built.
    pub fn new(tls: &ClientConfig) -> Result<Self, reqwest::Error> {
        Self::with_names(tls, Names::System)
    }

    pub(super) fn with_names(tls: &ClientConfig, names: Names) -> Result<Self, reqwest::Error> {
        let names = Arc::new(names);
        let builder = || {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .referer(false)
                .connect_timeout(CONNECT)
                // A connection that the server closes while it is used again would make it doubtful whether a request was
                // received.
                .pool_max_idle_per_host(0)
                .dns_resolver(Arc::clone(&names))
        };
        let client = builder().build()?;
        let mcp = builder().user_agent(AGENT).read_timeout(LONGEST_SILENCE).build()?;
        Ok(Self { client, mcp, places: Arc::new(Semaphore::new(PLACES)), origins: Arc::default() })
    }

    /// The client for servers of MCP: it reaches the same addresses, and nothing else.
    pub(super) fn mcp(&self) -> reqwest::Client {
        self.mcp.clone()
    }

    /// The requests at once, of which those to servers of MCP are a part.
    pub(super) fn places(&self) -> Arc<Semaphore> {
        Arc::clone(&self.places)
    }

    /// Sends the request, again if that is safe and may help, and reads the answer.
    pub async fn carry_out(&self, errand: &Errand<'_>) -> Carried {
        let none = |failure| Carried { result: Err(failure), attempts: 0, pause: None };
        let Ok(url) = Url::parse(&errand.request.url) else { return none(Failure::Forbidden) };
        if literal(&url).is_some_and(crate::tool::is_forbidden) {
            return none(Failure::Forbidden);
        }
        let deadline = clock::now() + errand.timeout;
        let origin = self.origin(&url);
        // In this order, because those who wait for a slow server must not take the places of the others.
        let places = async {
            let of_origin = origin.places.acquire().await?;
            Ok::<_, AcquireError>((of_origin, self.places.acquire().await?))
        };
        let Ok(Ok(_places)) = timeout_at(deadline.into(), places).await else { return none(Failure::Closed) };
        let mut attempts = 0;
        loop {
            if !origin.breaker().is_open(clock::now()) {
                return Carried { result: Err(Failure::Closed), attempts, pause: None };
            }
            attempts += 1;
            let attempt = self.attempt(errand, url.clone(), deadline).await;
            origin.note(&attempt, clock::now());
            let again = if attempts == 1 { pause_before_another(errand, &attempt, deadline) } else { None };
            let Some(pause) = again else {
                return Carried { result: attempt.result, attempts, pause: attempt.pause };
            };
            sleep(pause).await;
        }
    }

    /// The server of this address. There are as many as the files of agents name.
    fn origin(&self, url: &Url) -> Arc<Origin> {
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let (places, breaker) = (Semaphore::new(PLACES_OF_ORIGIN), Mutex::default());
            Arc::new(Origin { places, breaker })
        };
        Arc::clone(origins.entry(url.origin().ascii_serialization()).or_insert_with(new))
    }

    /// Sends the request once.
    async fn attempt(&self, errand: &Errand<'_>, url: Url, deadline: Instant) -> Attempt {
        let Some((method, headers)) = head(errand.request) else {
            return Failure::NotSent("a header cannot be sent".to_owned()).into();
        };
        let request = self.client.request(method, url).headers(headers).body(errand.request.body.clone());
        let exchange = async {
            let response = request.send().await.map_err(failure)?;
            let (status, pause) = (response.status().as_u16(), pause_of(response.headers()));
            match answer::body(response, BODY_BYTES).await {
                Ok(body) => Ok(Attempt { result: Ok(Response::new(status, &body)), pause }),
                Err(Unread::TooLong(_)) => Err(Failure::TooLarge { status }),
                Err(Unread::Broken(error)) => Err(Failure::Unanswered(root_cause(&error))),
            }
        };
        match timeout_at(deadline.into(), exchange).await {
            Ok(exchanged) => exchanged.unwrap_or_else(Attempt::from),
            Err(_) => Failure::Late.into(),
        }
    }
}

impl Origin {
    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the attempt for or against the server. A refusal of the request is no fault of the server.
    fn note(&self, attempt: &Attempt, now: Instant) {
        match &attempt.result {
            Ok(response) if response.status < 500 => self.breaker().succeeded(),
            Err(Failure::Forbidden | Failure::Closed) => {}
            Ok(_) | Err(_) => self.breaker().failed(now),
        }
    }
}

/// The method and the headers. `None`: a header cannot be sent.
fn head(request: &HttpRequest) -> Option<(Method, HeaderMap)> {
    let method = Method::from_bytes(request.method.as_bytes()).ok()?;
    let mut headers = HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_static(AGENT))]);
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
    }
    Some((method, headers))
}

/// Why nothing came back.
fn failure(error: reqwest::Error) -> Failure {
    // The address may hold what the caller said.
    let error = error.without_url();
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    if causes.any(|cause| cause.is::<Forbidden>()) {
        return Failure::Forbidden;
    }
    let cause = root_cause(&error);
    if error.is_connect() { Failure::NotSent(cause) } else { Failure::Unanswered(cause) }
}

/// How long the server asks to wait (RFC 9110 section 10.2.3): a number of seconds, or until a date.
fn pause_of(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let until = || httpdate::parse_http_date(text).ok()?.duration_since(clock::wall().into()).ok();
    text.parse().ok().map(Duration::from_secs).or_else(until)
}

/// The pause before another attempt. `None`: another attempt would be of no use, or could do something twice.
fn pause_before_another(errand: &Errand<'_>, attempt: &Attempt, deadline: Instant) -> Option<Duration> {
    let is_safe = errand.effect == Effect::Read || errand.idempotent;
    let pause = match &attempt.result {
        Err(Failure::NotSent(_)) => Duration::ZERO,
        Err(Failure::Unanswered(_)) if is_safe => Duration::ZERO,
        Ok(Response { status: 502..=504, .. }) if is_safe => attempt.pause.unwrap_or_default(),
        Ok(Response { status: 429, .. }) if is_safe => attempt.pause?,
        _ => return None,
    };
    (pause <= LONGEST_PAUSE && clock::now() + pause < deadline).then_some(pause)
}

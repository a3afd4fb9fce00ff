//! The REST API: recordings and the call log over HTTP, errors in the format of RFC 9457, an OpenAPI document made
//! from the routes.
//!
//! ```text
//!  server ── connections, limits ──► access_log ──► guard ──► routes ──► Library (files), Index (list)
//!                                    when, who,     token,     recordings, health, /openapi.json
//!                                    what           Host, Origin   calls, stats ──► registry::Reader
//! ```
//! The API must never delay an audio frame of a call. The API therefore runs on a thread of its own
//! (`archive`) with a lower priority than the calls' threads, reads files in small pieces, and holds no lock
//! that a call might need.
//!
//! | file | holds |
//! |---|---|
//! | `server`, `connections`, `peer` | the accept loop, time limits and the orderly end; the number of connections, of each client too; the other end of a connection |
//! | `guard`, `local_users`, `origin` | who may use the API; which users of this machine; which client sent a request |
//! | `masking` | the masking of phone numbers in [`access_log`](crate::access_log) |
//! | `recordings`, `listing`, `audio`, `range`, `conditional` | the routes of recordings and their parts |
//! | `calls`, `call_listing`, `stats`, `csv` | the routes of the call log, their types, and the answers as tables |
//! | `live` | the calls in progress, and the commands of a supervisor |
//! | `metrics`, `exposition` | the metrics for Prometheus, and their text format |
//! | `dashboard`, `login`, `sessions` | the page at `/`; how a browser logs in, and for how long |
//! | `guesses` | the counts of wrong tokens, and who is shut out because of them |
//! | `on_disk` | access to the disk with a limit on the wait |
//! | `health`, `ready`, `problem`, `said` | health and readiness; errors; which failures are in the log |
//! | `webhook`, `lanes` | the listener of its own by which OpenAI offers calls; whose bodies it reads at this moment |
//! | `openapi`, `body`, `query` | the OpenAPI document; bodies and queries |

mod audio;
mod body;
mod call_listing;
mod calls;
mod conditional;
mod connections;
pub mod csv;
mod dashboard;
mod exposition;
pub mod guard;
mod guesses;
pub mod health;
mod lanes;
mod listing;
pub mod live;
pub mod local_users;
mod login;
pub mod masking;
mod metrics;
mod on_disk;
mod openapi;
pub mod origin;
pub mod peer;
pub mod problem;
mod query;
mod range;
pub mod ready;
mod recordings;
mod said;
pub mod server;
mod sessions;
mod stats;
pub mod webhook;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use chrono::{DateTime, FixedOffset};
use hyper::body::{Frame, SizeHint};
use ipnet::IpNet;
use tokio::sync::{Semaphore, watch};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access_log::{AccessLog, Line, Who};
use crate::erasure::Erasure;
use crate::exchange::readiness::Readiness;
use crate::number::CountryCode;
use crate::recordings::index::Index;
use crate::recordings::index::keeper::Feed;
use crate::recordings::{Library, LibraryError, RecordingId, retention};
use crate::registry::{Log, Reader};
use crate::units::ByteCount;
pub use audio::Pace;
use guard::Guard;
use health::RecorderHealth;
use on_disk::OnDisk;
use origin::Source;
use peer::Peer;
use problem::Problem;
use said::Said;

/// Returns the state of the recorder, or `None` if there is no recorder.
pub type AskRecorder = Box<dyn Fn() -> Option<RecorderHealth> + Send + Sync>;

/// Everything that the API needs from the rest of the program.
pub struct Parts {
    /// The files of the recordings.
    pub library: Library,
    /// The index of the recordings.
    pub index: Index,
    /// Tells the keeper of the index which recordings have changed.
    pub feed: Feed,
    /// The queue of the call log.
    pub log: Log,
    /// Reads the call log.
    pub calls: Reader,
    /// Forgets recordings.
    pub erasure: Erasure,
    /// The country of the telephone line, which decides when two numbers are the same.
    pub country: Option<CountryCode>,
    /// Decides who may use the API.
    pub guard: Guard,
    /// Records who used the API.
    pub access_log: AccessLog,
    /// The reverse proxies that are trusted to name their clients.
    pub trusted_proxies: Vec<IpNet>,
    /// Asks for the state of the recorder.
    pub recorder: AskRecorder,
    /// The state of the deletion of old recordings.
    pub retention: watch::Receiver<retention::RetentionState>,
    /// What the daemon publishes about itself. `None` if the API runs without the daemon.
    pub daemon: Option<live::Daemon>,
    /// Limits the rate of downloads.
    pub pace: Pace,
    /// When the program started.
    pub started: DateTime<FixedOffset>,
    /// Returns the wall time.
    pub clock: fn() -> DateTime<FixedOffset>,
}

/// The state of the routes: the parts, the permits for streams of events, the access to the disk, the recordings
/// whose failure is in the log, and the turns of those who log in. Clones are cheap.
#[derive(Clone)]
pub struct Api(Arc<Parts>, Arc<Semaphore>, OnDisk, Arc<Said>, body::Turns);

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Api")
    }
}

impl Api {
    /// The turns of those who log in.
    fn logins(&self) -> &body::Turns {
        &self.4
    }

    fn guard(&self) -> &Guard {
        &self.0.guard
    }

    fn index(&self) -> &Index {
        &self.0.index
    }

    fn feed(&self) -> &Feed {
        &self.0.feed
    }

    fn log(&self) -> &Log {
        &self.0.log
    }

    fn calls(&self) -> &Reader {
        &self.0.calls
    }

    fn country(&self) -> Option<&CountryCode> {
        self.0.country.as_ref()
    }

    fn pace(&self) -> Pace {
        self.0.pace.clone()
    }

    fn readiness(&self) -> Option<Readiness> {
        self.daemon().map(|daemon| daemon.readiness.borrow().clone())
    }

    fn daemon(&self) -> Option<&live::Daemon> {
        self.0.daemon.as_ref()
    }

    fn now(&self) -> DateTime<FixedOffset> {
        (self.0.clock)()
    }

    fn recorder(&self) -> Option<RecorderHealth> {
        (self.0.recorder)()
    }

    /// Runs work on files beside the runtime, with a limit on the wait.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Library) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let library = self.0.library.clone();
        self.2.run(move || work(&library)).await
    }

    /// Works like [`Self::on_disk`] for one recording. If the recording's files are gone, the index is told.
    async fn read<T: Send + 'static>(
        &self,
        id: &RecordingId,
        work: impl FnOnce(&Library) -> Result<T, LibraryError> + Send + 'static,
    ) -> Result<T, Problem> {
        self.on_disk(work).await?.map_err(|error| self.failed(id, error))
    }

    /// Returns the answer about a recording that cannot be read or deleted. If its files are gone, the index is told.
    fn failed(&self, id: &RecordingId, error: LibraryError) -> Problem {
        if matches!(error, LibraryError::NotFound) {
            self.feed().gone(id.clone());
        }
        self.3.log(id, &error);
        error.into()
    }

    /// Deletes a recording and forgets what else is known of it, even if the client goes away meanwhile.
    async fn forget(&self, id: &RecordingId) -> Result<(), Problem> {
        let (erasure, ids) = (self.0.erasure.clone(), vec![id.clone()]);
        let forgotten = self.2.complete(async move { erasure.forget(ids, Vec::new(), |_| ()).await }).await?;
        if let Some((id, error)) = forgotten.kept.into_iter().next() {
            return Err(self.failed(&id, error));
        }
        match forgotten.unerased {
            Some(unerased) => Err(unerased.error.into()),
            None => Ok(()),
        }
    }
}

/// Builds the router with all routes.
pub fn router(parts: Parts) -> Router {
    let asks_for_tokens = parts.guard.asks_for_tokens();
    let api = Api(
        Arc::new(parts),
        Arc::new(Semaphore::new(live::STREAMS)),
        OnDisk::new(),
        Arc::default(),
        body::Turns::new(),
    );
    let (router, document) = OpenApiRouter::with_openapi(openapi::begin())
        .routes(routes!(recordings::list))
        .routes(routes!(recordings::one, recordings::delete))
        .routes(routes!(recordings::conversation))
        .routes(routes!(recordings::summary))
        .routes(routes!(recordings::audio))
        .routes(routes!(recordings::bin))
        .routes(routes!(recordings::events))
        .routes(routes!(calls::list))
        .routes(routes!(live::list))
        .routes(routes!(live::events))
        .routes(routes!(calls::one))
        .routes(routes!(live::hang_up))
        .routes(routes!(live::transfer))
        .routes(routes!(calls::stats))
        .routes(routes!(health::health))
        .routes(routes!(ready::ready))
        .routes(routes!(metrics::metrics))
        .split_for_parts();
    let document = openapi::finish(document, asks_for_tokens);
    let serve_document = move || async move {
        ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], document)
    };
    router
        .route("/openapi.json", axum::routing::get(serve_document))
        .route("/login", axum::routing::post(login::login))
        .route("/logout", axum::routing::post(login::logout))
        .route("/session", axum::routing::get(login::session))
        .merge(dashboard::routes())
        .method_not_allowed_fallback(|| async {
            Problem::new(
                axum::http::StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "this path has no such method; see Allow",
            )
        })
        .fallback(|| async { Problem::no_such_path() })
        .layer(middleware::from_fn_with_state(api.clone(), admit))
        .layer(middleware::from_fn_with_state(api.clone(), note))
        .with_state(api)
}

/// Marks the answer to a request that the guard refused.
#[derive(Debug, Clone, Copy)]
struct Refused;

/// Passes a request to the routes only if the guard admits it.
async fn admit(State(api): State<Api>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let (who, mut response) = match api.0.guard.admit(&head).await {
        Ok(who) => (who, next.run(Request::from_parts(head, body)).await),
        Err((who, problem)) => {
            let mut response = problem.into_response();
            response.extensions_mut().insert(Refused);
            (who, response)
        }
    };
    // A login reveals the client's name only in its answer.
    if response.extensions().get::<Who>().is_none() {
        response.extensions_mut().insert(who);
    }
    response
}

/// Writes every request to the access log after its answer has been sent, and adds the headers that all answers have.
async fn note(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let what = masking::masked(request.uri());
    let peer = request.extensions().get::<Peer>();
    let source = peer.map(|peer| Source::of(peer, request.headers(), &api.0.trusted_proxies));
    if let Some(source) = source {
        request.extensions_mut().insert(source);
    }
    let at = (api.0.clock)();
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    // Recordings are personal data: no cache may keep an answer, and no browser may guess its type. The files of the
    // dashboard contain no personal data and set their own header.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let status = response.status();
    if !guard::is_noted(&method, &path, status) {
        return response;
    }
    let who = response.extensions().get::<Who>().cloned().unwrap_or_else(Who::nobody);
    let is_refused = response.extensions().get::<Refused>().is_some() || who == Who::nobody();
    let client = source.map(|source| source.client);
    let line = Line {
        at,
        who,
        client,
        method: method.to_string(),
        what,
        status: status.as_u16(),
        bytes: ByteCount::ZERO,
    };
    let noted = Noted { log: api.0.access_log.clone(), is_refused, line };
    response.map(|body| Body::new(Counted { body, noted: Some(noted) }))
}

/// A body that counts the bytes sent, and writes the line of the access log when it ends or is dropped.
struct Counted {
    body: Body,
    noted: Option<Noted>,
}

/// A line on its way into one of the two logs.
struct Noted {
    log: AccessLog,
    is_refused: bool,
    line: Line,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let (Poll::Ready(Some(Ok(frame))), Some(noted)) = (&polled, &mut self.noted) {
            let more = frame.data_ref().map_or(0, |data| data.len() as u64);
            noted.line.bytes = noted.line.bytes.saturating_add(ByteCount::new(more));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        match self.noted.take() {
            Some(Noted { log, is_refused: true, line }) => log.refuse(line),
            Some(Noted { log, is_refused: false, line }) => log.note(line),
            None => {}
        }
    }
}

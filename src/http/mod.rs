//! The REST API: recordings and the call log over HTTP, RFC 9457 problems, an OpenAPI document made from the routes.
//!
//! ```text
//!  server ── connections, limits ──► access_log ──► guard ──► routes ──► Library (files), Index (list)
//!                                    when, who,     token,     recordings, health, /openapi.json
//!                                    what           Host, Origin   calls, stats ──► registry::Reader
//! ```
//! It must never cost a caller a frame. So it lives on a thread of its own (`daemon::archive`) that yields to the
//! calls' threads, reads files in small pieces, and holds no lock a call could want.
//!
//! | file | holds |
//! |---|---|
//! | `server`, `connections` | the accept loop, time limits, the orderly end; how many connections, and of whom |
//! | `guard`, `local_users`, `origin` | who may come in; which users of this machine; from where |
//! | `access_log`, `refusals`, `masking` | who did, and who was refused; without callers' numbers |
//! | `recordings`, `listing`, `audio`, `range`, `conditional` | the routes of recordings, and what they are made of |
//! | `calls`, `call_listing`, `stats`, `csv` | the routes of the call log, what they show, and as a table |
//! | `live` | the calls that run, and a supervisor's wishes |
//! | `metrics`, `exposition`, `process` | figures for Prometheus, their text, those of the process |
//! | `dashboard`, `login`, `sessions` | the page at `/`; how a browser logs in, and for how long |
//! | `guesses` | wrong tokens, and who is shut out for them |
//! | `on_disk` | waiting for the disk, not for ever |
//! | `health`, `ready`, `problem`, `openapi`, `body` | how the daemon is, whether it serves; errors; the document; what comes along |

pub mod access_log;
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
mod listing;
pub mod live;
pub mod local_users;
mod login;
pub mod masking;
mod metrics;
mod on_disk;
mod openapi;
pub mod origin;
pub mod problem;
mod range;
pub mod ready;
mod recordings;
mod refusals;
pub mod server;
mod sessions;
mod stats;

use std::fmt;
use std::path::PathBuf;
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

use crate::number::CountryCode;
use crate::recordings::index::Index;
use crate::recordings::index::keeper::Feed;
use crate::recordings::{Library, LibraryError, RecordingId, retention};
use crate::registry::{Log, Reader};
use crate::sqlite;
use access_log::{AccessLog, Line};
pub use audio::Pace;
use guard::{Guard, Who};
use health::RecorderHealth;
use on_disk::OnDisk;
use origin::Source;
use problem::Problem;
use ready::Readiness;
use server::Peer;

/// Asks the recorder how it is; `None` where there is none.
pub type AskRecorder = Box<dyn Fn() -> Option<RecorderHealth> + Send + Sync>;

/// What the API needs of the rest.
pub struct Parts {
    /// The files.
    pub library: Library,
    /// Their index.
    pub index: Index,
    /// Tells the index's keeper what was found out.
    pub feed: Feed,
    /// Forgets callers whose recordings are gone.
    pub log: Log,
    /// The call log.
    pub calls: Reader,
    /// The files of the databases, beside which damaged ones are kept.
    pub databases: [PathBuf; 2],
    /// The country of the line, by which numbers are compared.
    pub country: Option<CountryCode>,
    /// Who may come in.
    pub guard: Guard,
    /// Who did.
    pub access_log: AccessLog,
    /// Reverse proxies whose word on their clients counts.
    pub trusted_proxies: Vec<IpNet>,
    /// The recorder.
    pub recorder: AskRecorder,
    /// How the deletion of old recordings stands.
    pub retention: watch::Receiver<retention::Standing>,
    /// What the daemon shows of itself; None: there is no daemon.
    pub daemon: Option<live::Daemon>,
    /// Spaces downloads out.
    pub pace: Pace,
    /// When the program began.
    pub started: DateTime<FixedOffset>,
    /// The wall clock.
    pub clock: fn() -> DateTime<FixedOffset>,
}

/// The state of the routes, with room for streams of events, and the ways to the disk. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Parts>, Arc<Semaphore>, OnDisk);

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Api")
    }
}

impl Api {
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

    /// Removes damaged databases that were put aside: they hold what is to be erased, and nothing can be erased in them.
    async fn remove_aside(&self) -> Result<(), Problem> {
        let databases = self.0.databases.clone();
        self.on_disk(move |_| databases.iter().for_each(|path| sqlite::remove_aside(path, |_| true))).await
    }

    /// Does what waits for the disk beside the runtime, with an end to the wait.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Library) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let library = self.0.library.clone();
        self.2.run(move || work(&library)).await
    }

    /// As [`Self::on_disk`], of one recording: that its files are gone is news to the index.
    async fn read<T: Send + 'static>(
        &self,
        id: &RecordingId,
        work: impl FnOnce(&Library) -> Result<T, LibraryError> + Send + 'static,
    ) -> Result<T, Problem> {
        self.on_disk(work).await?.map_err(|error| {
            if matches!(error, LibraryError::NotFound) {
                self.feed().gone(id.clone());
            }
            error.into()
        })
    }
}

/// The routes, ready to be served.
pub fn router(parts: Parts) -> Router {
    let asks_for_tokens = parts.guard.asks_for_tokens();
    let api = Api(Arc::new(parts), Arc::new(Semaphore::new(live::STREAMS)), OnDisk::new());
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

/// The mark of an answer with which the guard turned a request away.
#[derive(Debug, Clone, Copy)]
struct Refused;

/// The guard: who may not come in gets no further.
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
    // Who logs in is known only then.
    if response.extensions().get::<Who>().is_none() {
        response.extensions_mut().insert(who);
    }
    response
}

/// Notes every request in the access log when its answer has been sent, and adds what all answers have.
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
    // Recordings are about people: nothing between here and the reader keeps them, nothing guesses at them.
    // The dashboard's files are about nobody, and say so themselves.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let status = response.status();
    if !guard::is_noted(&method, &path, status) {
        return response;
    }
    let who = response.extensions().get::<Who>().cloned().unwrap_or_else(Who::nobody);
    let is_refused = response.extensions().get::<Refused>().is_some() || who == Who::nobody();
    let client = source.map(|source| source.client);
    let line = Line { at, who, client, method: method.to_string(), what, status: status.as_u16(), bytes: 0 };
    let noted = Noted { log: api.0.access_log.clone(), is_refused, line };
    response.map(|body| Body::new(Counted { body, noted: Some(noted) }))
}

/// A body that counts what of it is sent, and is noted when it ends or is dropped.
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
            noted.line.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
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

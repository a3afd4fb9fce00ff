//! The fake of OpenAI's SIP calls behind HTTP and WebSockets. This module adds only the clock and the sockets to [`OpenAiCalls`]. The
//! webhooks of calls that a fake Asterisk makes are sent by `trunk`, all others by whoever uses this.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use futures_util::StreamExt as _;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::connection::{Connections, Door, Switch};
use crate::clock::{now, wall};
use crate::sim::openai_calls::{self, Frame, OpenAiCalls, Script, Webhook};

/// The largest body of a request.
const BODY_BYTES: usize = 1 << 20;

/// A running server. Dropping the value ends it.
#[derive(Debug)]
pub struct OpenAiCallsServer {
    address: SocketAddr,
    house: Arc<House>,
    connections: Connections,
    _tasks: JoinSet<()>,
}

/// Something that happened, for a watcher.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The instant.
    pub at: Instant,
    /// The id of the call.
    pub call: String,
    /// The event.
    pub what: What,
}

/// What can happen to a call at OpenAI.
#[derive(Debug, Clone)]
pub enum What {
    /// It rings, because a trunk makes it.
    Rings,
    /// The trunk gets an answer: the SIP call stands.
    Answered,
    /// OpenAI ends the call, or refuses it.
    HangsUp,
    /// The trunk says that the call is over.
    HungUp,
    /// The webhook was sent at this instant, and was answered with this status; 0: it was not answered.
    Webhook(u16),
    /// A request, and the status of its answer; 0: it was not answered.
    Request(String, u16),
    /// A WebSocket was opened, or refused, with this status.
    Attached(u16),
    /// A text frame of the client.
    FromClient(String),
    /// A text frame for the client.
    ToClient(String),
}

#[derive(Debug)]
pub(super) struct House {
    calls: Mutex<OpenAiCalls>,
    /// Something has happened that a WebSocket may have to tell.
    pub(super) news: Notify,
    /// Something has happened that the trunk may have to do.
    pub(super) for_trunk: Notify,
    seen: Mutex<Option<Vec<Seen>>>,
}

impl OpenAiCallsServer {
    /// Starts a server on a free port.
    ///
    /// # Errors
    /// Returns an error if no socket can be bound on loopback.
    pub fn start(script: Script) -> io::Result<Self> {
        let (door, address, connections) = Door::open(None)?;
        let calls = Mutex::new(OpenAiCalls::new(script));
        let (news, for_trunk, seen) = (Notify::new(), Notify::new(), Mutex::default());
        let house = Arc::new(House { calls, news, for_trunk, seen });
        let router = Router::new()
            .route("/v1/realtime/calls/{call}/{verb}", any(ask))
            .route("/v1/realtime", get(enter))
            .with_state(Arc::clone(&house))
            .into_make_service_with_connect_info::<Switch>();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { drop(axum::serve(door, router).await) });
        Ok(Self { address, house, connections, _tasks: tasks })
    }

    /// The address of the sessions.
    #[must_use]
    pub fn realtime_url(&self) -> String {
        format!("ws://{}/v1/realtime", self.address)
    }

    /// The address of the calls.
    #[must_use]
    pub fn calls_url(&self) -> String {
        format!("http://{}/v1/realtime/calls", self.address)
    }

    /// A call rings from now on. The webhook about it, made at this moment.
    #[must_use]
    pub fn offer(&self, call: &str, headers: &[(&str, &str)]) -> Webhook {
        let unix_s = u64::try_from(wall().timestamp()).unwrap_or_default();
        self.look(|calls| calls.offer(now(), call, unix_s, headers))
    }

    /// Gives access to the calls, and lets what happens to them be told.
    pub fn look<T>(&self, look: impl FnOnce(&mut OpenAiCalls) -> T) -> T {
        let mut calls = self.house.calls();
        calls.advance(now());
        let seen = look(&mut calls);
        drop(calls);
        self.house.told();
        seen
    }

    /// From now on every event is recorded for [`Self::seen`].
    pub fn watch(&self) {
        *self.house.notes() = Some(Vec::new());
    }

    /// The events since the previous call, in order.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.house.notes().as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn house(&self) -> Arc<House> {
        Arc::clone(&self.house)
    }

    /// The caller speaks, for so long.
    pub fn caller_says(&self, call: &str, words: &str, length: Duration) {
        self.look(|calls| calls.caller_says(now(), call, words, length));
    }

    /// The caller hangs up.
    pub fn caller_hangs_up(&self, call: &str) {
        self.look(|calls| calls.caller_hangs_up(now(), call));
    }
}

impl Drop for OpenAiCallsServer {
    fn drop(&mut self) {
        self.connections.cut_all();
    }
}

impl House {
    pub(super) fn calls(&self) -> MutexGuard<'_, OpenAiCalls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notes(&self) -> MutexGuard<'_, Option<Vec<Seen>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, call: &str, what: impl FnOnce() -> What) {
        self.note_at(now(), call, what);
    }

    pub(super) fn note_at(&self, at: Instant, call: &str, what: impl FnOnce() -> What) {
        if let Some(seen) = self.notes().as_mut() {
            seen.push(Seen { at, call: call.to_owned(), what: what() });
        }
    }

    /// Something has happened.
    fn told(&self) {
        self.news.notify_waiters();
        self.for_trunk.notify_one();
    }
}

fn authorization(headers: &HeaderMap) -> Option<String> {
    headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

async fn ask(
    State(house): State<Arc<House>>,
    Path((call, verb)): Path<(String, String)>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, BODY_BYTES).await.unwrap_or_default();
    let path = format!("/{call}/{verb}");
    let authorization = authorization(&head.headers);
    let answer = house.calls().request(
        now(),
        &openai_calls::Request {
            method: head.method.as_str(),
            path: &path,
            authorization: authorization.as_deref(),
            body: std::str::from_utf8(&body).unwrap_or_default(),
        },
    );
    let status = answer.as_ref().map_or(0, |(status, _)| *status);
    house.note(&call, || What::Request(verb, status));
    house.told();
    match answer {
        Some((status, body)) => answered(status, body),
        None => std::future::pending().await,
    }
}

fn answered(status: u16, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn enter(
    State(house): State<Arc<House>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let query = uri.query().unwrap_or_default().to_owned();
    let call = query.split('&').find_map(|pair| pair.strip_prefix("call_id=")).unwrap_or_default().to_owned();
    let attached = house.calls().attach(&call, authorization(&headers).as_deref(), &query);
    house.note(&call, || What::Attached(attached.as_ref().map_or_else(|refused| refused.0, |()| 101)));
    match attached {
        Ok(()) => {
            upgrade.on_upgrade(move |stream| async move { converse(stream, &house, &call, &switch).await })
        }
        Err((status, body)) => answered(status, body),
    }
}

/// Serves one WebSocket to its end.
async fn converse(mut stream: WebSocket, house: &House, call: &str, switch: &Switch) {
    loop {
        let news = house.news.notified();
        tokio::pin!(news);
        // From here on no news is missed.
        news.as_mut().enable();
        let (frames, deadline) = {
            let mut calls = house.calls();
            calls.advance(now());
            let frames: Vec<_> = std::iter::from_fn(|| calls.poll(call)).collect();
            (frames, calls.deadline())
        };
        for frame in frames {
            match frame {
                Frame::Text(text) => {
                    house.note(call, || What::ToClient(text.clone()));
                    drop(stream.send(Message::Text(text.into())).await);
                }
                Frame::Drop => return switch.cut(),
            }
        }
        let due = async {
            match deadline {
                Some(deadline) => sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            message = stream.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    house.note(call, || What::FromClient(text.to_string()));
                    house.calls().receive(now(), call, &text);
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return house.calls().detach(call),
            },
            () = &mut news => {}
            () = due => {}
        }
    }
}

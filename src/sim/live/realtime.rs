//! The fake Realtime server behind a WebSocket: one [`Session`] per connection, each with a task that reads,
//! sends and lets time pass. This module adds only the clock and the sockets to [`Session`].

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Response, StatusCode, Uri, header};
use axum::response::IntoResponse as _;
use axum::routing::get;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use super::connection::{Connections, Door, Switch};
use crate::clock::{now, wall};
use crate::sim::realtime::{self, Fact, Handshake, Incoming, Outgoing, Script, Session};

/// The size of the kernel's receive buffer in bytes. A larger value hides from the client for longer that a
/// stalled server reads nothing; a smaller value slows down the first flush of kept audio.
const RECEIVE_BUFFER: usize = 16 * 1024;
/// The time for which the server waits for the client's answer to its close frame. A larger value delays the
/// end of the connection; a smaller value may cut off the answer.
const GOODBYE: Duration = Duration::from_secs(1);

/// Chooses the script of the n-th connection, counted from 0.
type Choose = dyn Fn(usize) -> Arc<Script> + Send + Sync;

/// A running server. Dropping the value ends it.
#[derive(Debug)]
pub struct RealtimeServer {
    address: SocketAddr,
    house: Arc<House>,
    connections: Connections,
    _tasks: JoinSet<()>,
}

/// The state that the handlers share.
struct House {
    choose: Box<Choose>,
    state: Mutex<Guests>,
}

/// All connections so far.
#[derive(Debug, Default)]
struct Guests {
    knocks: usize,
    sessions: Vec<LiveSession>,
    watched: bool,
}

/// One connection, open or closed.
#[derive(Debug, Clone)]
pub struct LiveSession {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    session: Session,
    said: Option<Vec<Said>>,
}

/// One text frame, for a watcher.
#[derive(Debug, Clone)]
pub struct Said {
    /// When the frame was read, or passed to the socket.
    pub at: Instant,
    /// Whether the client sent the frame; otherwise the server did.
    pub by_client: bool,
    /// The text of the frame.
    pub text: String,
}

impl RealtimeServer {
    /// Starts a server on a free port. `choose` returns the script of the n-th connection.
    ///
    /// # Errors
    /// Returns an error if no socket can be bound on loopback.
    pub fn start(choose: impl Fn(usize) -> Arc<Script> + Send + Sync + 'static) -> io::Result<Self> {
        let (door, address, connections) = Door::open(Some(RECEIVE_BUFFER))?;
        let house = Arc::new(House { choose: Box::new(choose), state: Mutex::default() });
        let router = Router::new()
            .route("/v1/models", get(models))
            .fallback(enter)
            .with_state(Arc::clone(&house))
            .into_make_service_with_connect_info::<Switch>();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { drop(axum::serve(door, router).await) });
        Ok(Self { address, house, connections, _tasks: tasks })
    }

    /// Starts a server that gives every connection the same script.
    ///
    /// # Errors
    /// Returns an error if no socket can be bound on loopback.
    pub fn with_script(script: Script) -> io::Result<Self> {
        let script = Arc::new(script);
        Self::start(move |_| Arc::clone(&script))
    }

    /// The address for a client, without `?model=`.
    pub fn url(&self) -> String {
        format!("ws://{}/v1/realtime", self.address)
    }

    /// The address on which the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of connections that were tried, including refused ones.
    pub fn knocks(&self) -> usize {
        self.house.guests().knocks
    }

    /// Every session so far, in order. Refused connections have none.
    pub fn sessions(&self) -> Vec<LiveSession> {
        self.house.guests().sessions.clone()
    }

    /// Forgets the sessions that have ended.
    pub fn forget_finished(&self) {
        self.house.guests().sessions.retain(|session| !session.is_over());
    }

    /// From now on new sessions record every text frame for [`LiveSession::said`].
    pub fn watch(&self) {
        self.house.guests().watched = true;
    }

    /// The network breaks: every connection is cut.
    pub fn cut(&self) {
        self.connections.cut_all();
    }
}

impl Drop for RealtimeServer {
    fn drop(&mut self) {
        self.connections.cut_all();
    }
}

impl LiveSession {
    /// The mistakes of the client.
    pub fn violations(&self) -> Vec<String> {
        self.look(|session| session.violations().to_vec())
    }

    /// All facts in order.
    pub fn journal(&self) -> Vec<Fact> {
        self.look(|session| session.journal().to_vec())
    }

    /// All audio that the client appended.
    pub fn appended(&self) -> Vec<u8> {
        self.look(|session| session.appended().to_vec())
    }

    /// Whether the session has ended.
    pub fn is_over(&self) -> bool {
        self.look(Session::is_over)
    }

    /// Gives access to the session.
    pub fn look<T>(&self, look: impl FnOnce(&Session) -> T) -> T {
        look(&self.lock().session)
    }

    /// The text frames since the previous call. Empty if the server is not watched.
    pub fn said(&self) -> Vec<Said> {
        self.lock().said.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Receives a frame of the client.
    fn receive(&self, incoming: Incoming<'_>) {
        let mut inner = self.lock();
        let now = now();
        if let Incoming::Text(text) = incoming {
            inner.note(now, true, text);
        }
        inner.session.receive(now, incoming);
    }

    fn advance(&self) {
        self.lock().session.advance(now());
    }

    fn poll(&self) -> Option<Outgoing> {
        let mut inner = self.lock();
        let outgoing = inner.session.poll()?;
        if let Outgoing::Text(text) = &outgoing {
            inner.note(now(), false, text);
        }
        Some(outgoing)
    }
}

impl Inner {
    fn note(&mut self, at: Instant, by_client: bool, text: &str) {
        if let Some(said) = &mut self.said {
            said.push(Said { at, by_client, text: text.to_owned() });
        }
    }
}

impl House {
    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts or refuses a connection.
    fn accept(&self, uri: &Uri, headers: &HeaderMap) -> Result<LiveSession, realtime::Refusal> {
        let headers: Vec<(String, String)> = headers
            .iter()
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
            .collect();
        let handshake =
            Handshake { path: uri.path(), query: uri.query().unwrap_or_default(), headers: &headers };
        let mut guests = self.guests();
        let number = guests.knocks;
        guests.knocks += 1;
        let session = Session::accept(now(), &handshake, (self.choose)(number), number as u64 + 1)?;
        let said = guests.watched.then(Vec::new);
        let live = LiveSession { inner: Arc::new(Mutex::new(Inner { session, said })) };
        guests.sessions.push(live.clone());
        Ok(live)
    }
}

impl std::fmt::Debug for House {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("House").field("state", &self.state).finish_non_exhaustive()
    }
}

async fn enter(
    State(house): State<Arc<House>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> axum::response::Response {
    match house.accept(&uri, &headers) {
        Ok(session) => upgrade
            .read_buffer_size(4 * 1024)
            .write_buffer_size(4 * 1024)
            .on_upgrade(move |stream| async move { converse(stream, &session, &switch).await }),
        Err(refusal) => {
            let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let response =
                Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
            response
                .body(refusal.body.into())
                .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
        }
    }
}

/// The list of models in the script of the first connection.
async fn models(State(house): State<Arc<House>>, headers: HeaderMap) -> axum::response::Response {
    let script = (house.choose)(0);
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (status, body) = realtime::models(&script, authorization);
    let date = wall().to_utc() + chrono::TimeDelta::seconds(script.clock_ahead);
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::DATE, date.format("%a, %d %b %Y %H:%M:%S GMT").to_string())
        .body(body.into())
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// Serves one connection to its end.
async fn converse(mut stream: WebSocket, session: &LiveSession, switch: &Switch) {
    let timer = sleep_until(now().into());
    tokio::pin!(timer);
    loop {
        match send_all(&mut stream, session).await {
            Ok(Goes::On) => {}
            Ok(Goes::Goodbye) => {
                drop(timeout(GOODBYE, async { while let Some(Ok(_)) = stream.next().await {} }).await);
                return;
            }
            Ok(Goes::Cut) => return switch.cut(),
            Err(_) => return session.receive(Incoming::Closed),
        }
        let (deadline, stalled) = session.look(|session| (session.deadline(), session.stalled()));
        if let Some(deadline) = deadline {
            timer.as_mut().reset(deadline.into());
        }
        tokio::select! {
            message = stream.next(), if !stalled => match message {
                Some(Ok(Message::Text(text))) => session.receive(Incoming::Text(&text)),
                Some(Ok(Message::Binary(bytes))) => session.receive(Incoming::Binary(&bytes)),
                Some(Ok(Message::Pong(_))) => session.receive(Incoming::Pong),
                // The library answers pings.
                Some(Ok(Message::Ping(_))) => {}
                Some(Ok(Message::Close(_))) => {
                    session.receive(Incoming::Closed);
                    // The library has queued its answer to the close frame, which must still be sent.
                    drop(timeout(GOODBYE, stream.flush()).await);
                    return;
                }
                Some(Err(_)) | None => return session.receive(Incoming::Closed),
            },
            () = &mut timer, if deadline.is_some() => session.advance(),
            // A stalled server notices nothing except that its connection is cut.
            () = switch.is_cut(), if stalled => return,
        }
    }
}

/// How the connection continues.
enum Goes {
    On,
    /// A close frame has been sent.
    Goodbye,
    Cut,
}

/// Sends everything that the session has queued.
async fn send_all(stream: &mut WebSocket, session: &LiveSession) -> Result<Goes, axum::Error> {
    while let Some(outgoing) = session.poll() {
        let message = match outgoing {
            Outgoing::Text(text) => Message::Text(text.into()),
            Outgoing::Binary(bytes) => Message::Binary(bytes.into()),
            Outgoing::Ping => Message::Ping(axum::body::Bytes::new()),
            Outgoing::Close { code, reason } => {
                stream.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await?;
                return Ok(Goes::Goodbye);
            }
            Outgoing::Drop => return Ok(Goes::Cut),
        };
        stream.feed(message).await?;
    }
    stream.flush().await?;
    Ok(Goes::On)
}

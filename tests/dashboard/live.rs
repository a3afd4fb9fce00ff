//! A proxy before the real API, which answers `/calls/live`, its stream and its two posts as a test defines.
//! The API answers everything else.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, oneshot};
use tokio::time::timeout;

/// The number of events that may wait for the browser.
const WAITING: usize = 1_024;
/// The interval at which a stream without events shows that it is alive.
const SIGN_OF_LIFE: Duration = Duration::from_millis(500);
/// The longest body that is relayed, in bytes.
const BODY_BYTES: usize = 64 << 20;

/// The live calls.
#[derive(Clone)]
pub(crate) struct Live(Arc<Mutex<Now>>);

struct Now {
    calls: Vec<Value>,
    state: Value,
    events: broadcast::Sender<Bytes>,
    posts: Vec<(String, String)>,
    streams: usize,
    is_silent: bool,
}

impl Live {
    fn new() -> Self {
        let (events, _) = broadcast::channel(WAITING);
        let calls = vec![];
        let now = Now { calls, state: state(), events, posts: vec![], streams: 0, is_silent: false };
        Self(Arc::new(Mutex::new(now)))
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the live calls, which every new connection receives.
    pub(crate) fn set(&self, calls: &[Value]) {
        self.now().calls = calls.to_vec();
    }

    /// Sets the state of the daemon, which every new connection receives.
    pub(crate) fn stands(&self, state: Value) {
        self.now().state = state;
    }

    /// Sends to all connections that these calls have changed and those have gone.
    pub(crate) fn tell(&self, calls: &[Value], gone: &[&str], state: Option<&Value>) {
        let mut told = json!({"calls": calls, "gone": gone});
        if let Some(state) = state {
            told["state"] = state.clone();
        }
        // There may be no connection.
        drop(self.now().events.send(event(&told)));
    }

    /// Cuts all streams, as a daemon that stops does.
    pub(crate) fn cut(&self) {
        self.now().events = broadcast::channel(WAITING).0;
    }

    /// Sets whether the streams stay open but send nothing, as when the machine at the other end is gone.
    pub(crate) fn falls_silent(&self, is_silent: bool) {
        self.now().is_silent = is_silent;
    }

    /// The number of connections so far.
    pub(crate) fn streams(&self) -> usize {
        self.now().streams
    }

    /// The number of connections now.
    pub(crate) fn listeners(&self) -> usize {
        self.now().events.receiver_count()
    }

    /// The requests that were posted: path and body.
    pub(crate) fn posts(&self) -> Vec<(String, String)> {
        self.now().posts.clone()
    }
}

/// The state of a healthy daemon with two destinations.
pub(crate) fn state() -> Value {
    json!({"asterisk": "connected", "ready": true, "reasons": [], "disk_writing": true,
        "destinations": ["ventas", "soporte"], "max_calls": 100})
}

/// A live call.
pub(crate) fn call(id: &str, caller: &str, more: &Value) -> Value {
    let mut call = json!({
        "id": id, "recording_id": null, "caller": caller, "called": "200", "model": "gpt-realtime-2.1",
        "agent": "default", "agent_version": "", "offered_at": "2026-11-20T14:30:25.123456Z", "seconds": 12.3, "turn": "listening",
        "caller_speaks": false, "caller_dbfs": null, "assistant_dbfs": null, "turns": 0, "interruptions": 0,
        "greeting_ms": null, "last_turn_ms": null, "turn_p50_ms": null, "turn_p95_ms": null, "tokens": null,
        "cost_usd": null, "words": [],
    });
    for (key, value) in more.as_object().expect("an object") {
        call[key] = value.clone();
    }
    call
}

fn event(told: &Value) -> Bytes {
    format!("event: live\ndata: {told}\n\n").into()
}

/// The proxy.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    pub(crate) live: Live,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Front {
    /// Starts the proxy before the API at this address.
    pub(crate) fn before(api: SocketAddr) -> Self {
        let live = Live::new();
        let (stop, stopped) = oneshot::channel::<()>();
        let (bound, address) = std::sync::mpsc::sync_channel(1);
        let tls = openai_inbound_calls::net::tls::client_config().expect("a trust store");
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls.as_ref().clone()).no_proxy();
        // The API may close a kept connection at the moment at which it is used again.
        let client = client.pool_max_idle_per_host(0);
        let behind = Behind { api, client: client.build().expect("a client") };
        let router = Router::new()
            .route("/calls/live", get(all))
            .route("/calls/live/events", get(events))
            .route("/calls/{id}/hangup", post(ask))
            .route("/calls/{id}/transfer", post(ask))
            .with_state(live.clone())
            .fallback(move |request| behind.clone().hand_on(request));
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
                bound.send(listener.local_addr().expect("bound")).expect("somebody waits");
                tokio::select! {
                    served = axum::serve(listener, router).into_future() => served.expect("it serves"),
                    _ = stopped => {}
                }
            });
        });
        let address = address.recv().expect("it listens");
        Self { address, live, stop: Some(stop), thread: Some(thread) }
    }
}

impl Front {
    /// Ends abruptly, like a daemon that is killed.
    pub(crate) fn kill(&mut self) {
        drop(self.stop.take());
        drop(self.thread.take().map(JoinHandle::join));
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn all(State(live): State<Live>) -> String {
    let now = live.now();
    json!({"calls": now.calls, "state": now.state}).to_string()
}

async fn events(State(live): State<Live>) -> Response {
    let (first, listener) = {
        let mut now = live.now();
        now.streams += 1;
        let all = json!({"calls": now.calls, "gone": [], "state": now.state});
        (event(&all), now.events.subscribe())
    };
    let stream =
        stream::unfold((live, Some(first), listener), |(live, mut first, mut listener)| async move {
            loop {
                let next = match first.take() {
                    Some(first) => first,
                    None => match timeout(SIGN_OF_LIFE, listener.recv()).await {
                        Ok(told) => told.ok()?,
                        Err(_) => event(&json!({"calls": [], "gone": []})),
                    },
                };
                if !live.now().is_silent {
                    return Some((Ok::<_, std::io::Error>(next), (live, None, listener)));
                }
                first = Some(next);
                tokio::time::sleep(SIGN_OF_LIFE).await;
            }
        });
    ([("content-type", "text/event-stream")], Body::from_stream(stream)).into_response()
}

async fn ask(State(live): State<Live>, Path(id): Path<String>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let body = to_bytes(request.into_body(), BODY_BYTES).await.expect("a body");
    let mut now = live.now();
    now.posts.push((path, String::from_utf8(body.to_vec()).expect("text")));
    if now.calls.iter().any(|call| call["id"] == id.as_str()) {
        return StatusCode::ACCEPTED.into_response();
    }
    let problem = json!({"type": "about:blank", "title": "Not Found", "status": 404, "code": "no_such_call",
        "detail": "there is no such call"});
    (StatusCode::NOT_FOUND, problem.to_string()).into_response()
}

#[derive(Clone)]
struct Behind {
    api: SocketAddr,
    client: reqwest::Client,
}

impl Behind {
    async fn hand_on(self, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let body = to_bytes(body, BODY_BYTES).await.expect("a body");
        let url = format!("http://{}{}", self.api, head.uri);
        let asked = self.client.request(head.method, url).headers(head.headers).body(body);
        let answer = asked.send().await.expect("the API answers");
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut response = Response::new(Body::from(answer.bytes().await.expect("all of it")));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

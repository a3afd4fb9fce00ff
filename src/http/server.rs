//! The accept loop for HTTP/1.1 connections. The number of connections is bounded (`connections`), each connection is
//! a task of one set, and the time for the head of a request is limited.
//!
//! The server does not speak TLS. Access from other machines needs a reverse proxy that does.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::connections::{Busy, Kind, Room, Slot};
use super::guard;
use super::origin::Share;
use super::peer::Peer;
use super::problem::Problem;

/// How long the head of a request may take to arrive, and how long a connection may stay idle between two requests. A
/// shorter time breaks requests over slow lines; a longer one lets strangers hold connections.
const HEAD_TIME: Duration = Duration::from_secs(20);
/// The same limit for a connection that is reserved for monitors. Monitors are near and fast, so a longer time would
/// only keep other monitors out.
const MONITOR_HEAD_TIME: Duration = Duration::from_secs(5);
/// The maximum number of connections of one client to the API. A browser opens six. A smaller value would hinder several browsers
/// on one machine; a larger one would let one client take most of the connections.
pub const OF_CLIENT: usize = 32;
/// The largest head of a request, and the size of the read buffer, in bytes. A larger value lets strangers use more
/// memory; a smaller one rejects requests with many cookies.
const BUFFER_BYTES: usize = 64 * 1024;
/// How long answers may take to finish when the daemon stops. A longer time delays the stop; a shorter one cuts
/// answers off.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// The pause after a failed accept. File descriptors have run out, and without a pause the next attempt would fail at
/// once.
const PAUSE: Duration = Duration::from_millis(200);

/// What the server serves.
#[derive(Debug, Clone)]
pub struct Routes {
    /// The routes of the API.
    pub router: Router,
    /// The trusted reverse proxies. A connection from one of them counts for all clients behind it.
    pub proxies: Vec<IpNet>,
    /// How many connections one client may have. A trusted proxy may have all.
    pub of_client: usize,
}

/// Serves connections until `stop` completes, and then gives answers in progress a moment to finish.
pub async fn serve(listener: TcpListener, routes: Routes, stop: impl Future<Output = ()>) {
    let room = Room::new(routes.of_client);
    let (end, ending) = watch::channel(());
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            (stream, peer) = accept(&listener) => {
                if let Some((place, evicted)) = room.seat(Share::of(&peer, &routes.proxies)) {
                    let router = routes.router.clone();
                    connections.spawn(connection(stream, peer, place, evicted, router, ending.clone()));
                }
            }
        }
    }
    drop(listener);
    drop(end);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_ANSWERS, all).await.is_err() {
        connections.shutdown().await;
    }
}

/// Accepts the next connection.
async fn accept(listener: &TcpListener) -> (TcpStream, Peer) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                let peer = Peer::of(&stream, address);
                return (stream, peer);
            }
            Err(error) => {
                tracing::debug!(%error, "accept");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: Peer,
    place: Slot,
    mut evicted: oneshot::Receiver<()>,
    router: Router,
    mut ending: watch::Receiver<()>,
) {
    let routes = TowerToHyperService::new(router);
    let (address, kind) = (peer.address, place.kind());
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        let busy = place.busy();
        let is_served = kind == Kind::Any || guard::MONITORED.contains(&request.uri().path());
        let answer = is_served.then(|| routes.call(request));
        async move {
            let mut response = match answer {
                Some(answer) => answer.await.unwrap_or_else(|never| match never {}),
                None => ([(header::CACHE_CONTROL, "no-store")], no_room()).into_response(),
            };
            if kind == Kind::Monitor {
                // Closing the connection makes room for the next monitor.
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response.map(|body| Answered { body, _busy: busy }))
        }
    });
    // Without TCP_NODELAY the last packet of an answer waits for the acknowledgement of the one before. A failure only costs speed.
    stream.set_nodelay(true).ok();
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(match kind {
            Kind::Any => HEAD_TIME,
            Kind::Monitor => MONITOR_HEAD_TIME,
        })
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        biased;
        _ = &mut evicted => return,
        ended = connection.as_mut() => ended,
        _ = ending.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(peer = %address, %error, "connection");
    }
}

/// The answer to a request over a connection that is reserved for monitors.
fn no_room() -> Problem {
    let detail = "too many connections are busy, yours or all together; close some, or try again";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_connections", detail)
        .with(header::RETRY_AFTER, HeaderValue::from_static("5"))
}

/// The body of an answer. The connection is busy until the body has been sent.
struct Answered {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Answered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

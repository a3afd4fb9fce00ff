//! The accept loop: HTTP/1.1 connections in a bounded number, each in a task of one set, with a limit on how
//! long a request's head may take.
//!
//! It speaks no TLS: to other machines put a reverse proxy before it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::net::peer_uid;

/// Connections at once; further ones wait. Each holds a descriptor, and calls need theirs.
const CONNECTIONS: usize = 256;
/// For the whole head of a request, and between two requests. Shorter breaks slow lines, longer lets strangers
/// hold connections.
const HEAD_TIME: Duration = Duration::from_secs(20);
/// Largest head, and what is read ahead.
const BUFFER_BYTES: usize = 64 * 1024;
/// For answers that are under way when the daemon stops.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// After a failed accept: descriptors have run out, and the next try would fail at once.
const PAUSE: Duration = Duration::from_millis(200);

/// Who is at the other end of a connection; an extension of every request.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// The user of this machine who opened the connection; None: it comes from elsewhere, or they are not known.
    pub(super) uid: Option<u32>,
    /// Whether they may use the API without a token, once that has been looked up.
    pub(super) is_let_in: Arc<OnceCell<bool>>,
}

impl Peer {
    /// Looks at a connection that has just been accepted: later the other end may be closed, and be nobody's.
    fn of(stream: &TcpStream, address: SocketAddr) -> Self {
        let is_here = address.ip().to_canonical().is_loopback();
        let local = stream.local_addr().ok().filter(|_| is_here);
        let uid = local.and_then(|local| peer_uid::of(local, address));
        Self { address, uid, is_let_in: Arc::default() }
    }
}

/// Serves until `stop` is done; answers under way have a moment to end.
pub async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let (end, ending) = watch::channel(());
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            (stream, peer, permit) = accept(&listener, &room) => {
                connections.spawn(connection(stream, peer, permit, router.clone(), ending.clone()));
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

/// The next connection, when there is room for it.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, Peer, OwnedSemaphorePermit) {
    loop {
        let permit = Arc::clone(room).acquire_owned().await.expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, address)) => {
                let peer = Peer::of(&stream, address);
                return (stream, peer, permit);
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
    _permit: OwnedSemaphorePermit,
    router: Router,
    mut ending: watch::Receiver<()>,
) {
    let routes = TowerToHyperService::new(router);
    let address = peer.address;
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        let answer = routes.call(request);
        async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    // Without this the last packet of an answer waits for the acknowledgement of the one before.
    let _best_effort = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
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

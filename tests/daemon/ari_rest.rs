//! Tests of ARI requests against servers that limit, close and flood connections, which only real sockets can
//! show.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use openai_inbound_calls::ari::request::{Reply, Request};
use openai_inbound_calls::net::ari_rest::AriRest;
use openai_inbound_calls::net::tls;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::world::{PATIENCE, ms};

/// What the server does with the n-th request that it reads, counted from 0.
#[derive(Debug, Clone)]
enum Does {
    /// Answers the request after a while.
    Answer(&'static str, Vec<u8>),
    /// Closes the connection.
    Close,
    /// Sends up to this many bytes of a body that claims to be longer, as long as the client reads them.
    Flood(&'static str, usize),
}

/// An HTTP/1.1 server that keeps connections alive.
struct Server {
    rest: AriRest,
    /// The number of connections that are open now, and the largest number so far.
    open: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    /// The number of body bytes that were sent.
    sent: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start(does: impl Fn(usize) -> Does + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let base = format!("http://{}/ari", listener.local_addr().expect("bound"));
        let rest = AriRest::new(&base, "user", "secret", &tls::client_config().expect("a trust store"));
        let [open, most, sent, count] = [(); 4].map(|()| Arc::<AtomicUsize>::default());
        let does = Arc::new(does);
        let mut tasks = JoinSet::new();
        let (all_open, all_most, all_sent) = (Arc::clone(&open), Arc::clone(&most), Arc::clone(&sent));
        tasks.spawn(async move {
            let mut guests = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (does, count) = (Arc::clone(&does), Arc::clone(&count));
                let (open, sent) = (Arc::clone(&all_open), Arc::clone(&all_sent));
                all_most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                guests.spawn(async move {
                    serve(stream, &*does, &count, &sent).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { rest: rest.expect("a client"), open, most, sent, _tasks: tasks }
    }

    async fn perform(&self, request: Request) -> Reply {
        tokio::time::timeout(PATIENCE, self.rest.perform(&request)).await.expect("an end")
    }
}

async fn serve(
    mut stream: TcpStream,
    does: &(impl Fn(usize) -> Does + ?Sized),
    count: &AtomicUsize,
    sent: &AtomicUsize,
) {
    let mut read = Vec::new();
    loop {
        while !read.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => read.push(byte),
                Err(_) => return,
            }
        }
        read.clear();
        match does(count.fetch_add(1, Ordering::SeqCst)) {
            Does::Close => return,
            Does::Answer(status, body) => {
                tokio::time::sleep(ms(20)).await;
                let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
                if stream.write_all(&[head.into_bytes(), body].concat()).await.is_err() {
                    return;
                }
            }
            Does::Flood(status, bytes) => {
                let head = format!("HTTP/1.1 {status} X\r\nContent-Length: 9999999999\r\n\r\n");
                let piece = vec![b'a'; 1 << 16];
                let mut taken = stream.write_all(head.as_bytes()).await.is_ok();
                for _ in 0..bytes / piece.len() {
                    taken = taken && stream.write_all(&piece).await.is_ok();
                    sent.fetch_add(if taken { piece.len() } else { 0 }, Ordering::SeqCst);
                }
                return;
            }
        }
    }
}

fn bridge() -> Request {
    Request::CreateBridge { bridge: "oic-bridge-1.2".into() }
}

fn hang_up() -> Request {
    Request::Hangup("1.2".into())
}

fn answer(status: &'static str) -> Does {
    Does::Answer(status, br#"{"message":"said"}"#.to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_requests_leaves_asterisk_connections_for_others() {
    let server = Server::start(|_| answer("200")).await;
    let replies = join_all((0..200).map(|_| server.perform(bridge()))).await;
    assert!(replies.iter().all(|reply| matches!(reply, Reply::Done(_))), "{replies:?}");
    let most = server.most.load(Ordering::SeqCst);
    // 30 connections are in use. Each of the 30 requests may also have opened a connection at the moment at
    // which another one became free, and then used that one. So as many again may be idle for a while.
    assert!(most <= 2 * 30, "{most} connections of the 100 that Asterisk serves by default");
    assert!(server.open.load(Ordering::SeqCst) > 0, "and they are kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_whose_connection_is_closed_is_made_again() {
    // Asterisk does this with a connection beyond its `sessionlimit`.
    for request in [bridge(), hang_up()] {
        let server = Server::start(|n| if n < 3 { Does::Close } else { answer("200") }).await;
        assert_eq!(server.perform(request).await, Reply::Done(r#"{"message":"said"}"#.into()));
    }
    let server = Server::start(|_| Does::Close).await;
    assert!(matches!(server.perform(bridge()).await, Reply::Lost(_)), "but not for ever");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repetition_that_is_refused_does_not_hide_that_the_first_may_have_been_heard() {
    let server = || Server::start(|n| if n == 0 { Does::Close } else { answer("409") });
    assert!(matches!(server().await.perform(bridge()).await, Reply::Lost(_)));
    let refused = Reply::Refused { status: 409, message: "said".into() };
    assert_eq!(server().await.perform(hang_up()).await, refused, "which does no harm twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_end_is_not_read_to_its_end() {
    const FLOOD: usize = 256 << 20;
    for status in ["200", "500"] {
        let server = Server::start(move |_| Does::Flood(status, FLOOD)).await;
        let reply = server.perform(bridge()).await;
        assert!(matches!(&reply, Reply::Lost(cause) if cause.contains("more than 1048576")), "{reply:?}");
        // Bytes that the kernel holds on the way count as sent.
        let sent = server.sent.load(Ordering::SeqCst);
        assert!(sent < 32 << 20, "{sent} bytes of {FLOOD} were taken");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_list_is_read() {
    let list = vec![b' '; 3 << 20];
    let server = Server::start(move |_| Does::Answer("200", list.clone())).await;
    assert!(matches!(server.perform(Request::Bridges).await, Reply::Done(body) if body.len() == 3 << 20));
    assert!(matches!(server.perform(Request::Info).await, Reply::Lost(_)), "but of nothing else");
}

//! Tests the client against servers that do everything wrong.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::*;
use crate::net::tls;
use crate::tool::Outcome;

/// Long enough that no test waits for it.
const AMPLE: Duration = Duration::from_secs(30);
/// More requests than any test makes of one server.
const MOST_REQUESTS: usize = 256;
/// For answers that never come.
const SHORT: Duration = Duration::from_millis(300);

/// What a server does with a connection.
#[derive(Clone, Copy)]
enum Does {
    /// Answers with these bytes.
    Answers(&'static str),
    /// Reads the request, then resets the connection.
    Resets,
    /// Reads the request, answers with these bytes, and then nothing.
    Stops(&'static str),
    /// Answers without end.
    Floods,
}

/// A server, and the requests that it has read.
struct Server {
    address: SocketAddr,
    requests: mpsc::Receiver<String>,
    /// The server ends with it.
    _tasks: JoinSet<()>,
}

impl Server {
    /// A server that treats each connection as the list says, and further ones as the last of them.
    async fn new(list: &'static [Does]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::channel(MOST_REQUESTS);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            for index in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let does = list.get(index).or(list.last()).copied().unwrap();
                connections.spawn(serve(stream, does, sender.clone()));
            }
        });
        Self { address, requests, _tasks: tasks }
    }

    fn url(&self) -> String {
        format!("http://{}/x?phone=300", self.address)
    }

    /// How many requests were read until now.
    fn count(&mut self) -> usize {
        std::iter::from_fn(|| self.requests.try_recv().ok()).count()
    }
}

async fn serve(mut stream: TcpStream, does: Does, requests: mpsc::Sender<String>) {
    requests.send(read(&mut stream).await).await.unwrap();
    match does {
        Does::Answers(text) => drop(stream.write_all(text.as_bytes()).await),
        Does::Resets => stream.set_zero_linger().unwrap(),
        Does::Stops(text) => {
            stream.write_all(text.as_bytes()).await.unwrap();
            std::future::pending::<()>().await;
        }
        Does::Floods => {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n\"";
            let mut sent = stream.write_all(head.as_bytes()).await;
            while sent.is_ok() {
                sent = stream.write_all(&[b'x'; 8_192]).await;
            }
        }
    }
}

/// Reads a request with its body.
async fn read(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4_096];
        let length = stream.read(&mut chunk).await.unwrap();
        bytes.extend_from_slice(&chunk[..length]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let lines = head.to_ascii_lowercase();
        let wanted = lines.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= wanted.unwrap_or(0) {
            return text;
        }
    }
}

fn client() -> ToolClient {
    ToolClient::new(&tls::client_config().unwrap()).unwrap()
}

fn to(url: &str) -> HttpRequest {
    let headers = vec![
        ("Authorization".to_owned(), "Bearer ñ".to_owned()),
        ("Idempotency-Key".to_owned(), "k1".to_owned()),
    ];
    HttpRequest { method: "POST", url: url.to_owned(), headers, body: "{\"a\":1}".to_owned() }
}

/// How an errand ends that reads (`r`), writes (`w`), or writes with a key (`k`).
async fn ends(client: &ToolClient, url: &str, kind: char, timeout: Duration) -> Carried {
    let effect = if kind == 'r' { Effect::Read } else { Effect::Write };
    let request = to(url);
    client.carry_out(&Errand { request: &request, effect, idempotent: kind == 'k', timeout }).await
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{\"id\":7}";
const REDIRECT: &str =
    "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data\r\nContent-Length: 0\r\n\r\n";
const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
const SOON: &str = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n";
const LATER: &str = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n";
const HTML: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n<html>{\"id\":7";
const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"id\":";

#[tokio::test]
async fn a_request_is_sent_as_it_was_made_and_once() {
    let mut server = Server::new(&[Does::Answers(OK)]).await;
    let ended = ends(&client(), &server.url(), 'w', AMPLE).await;
    assert_eq!(
        ended,
        Carried { result: Ok(Response { status: 200, body: json!({"id": 7}) }), attempts: 1, pause: None }
    );
    let request = server.requests.recv().await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("post /x?phone=300 http/1.1"), "{head}");
    for line in ["authorization: bearer ñ", "idempotency-key: k1", "user-agent: openai-inbound-calls/"] {
        assert!(head.contains(line), "{head}");
    }
    assert!(!head.contains("accept-encoding") && !head.contains("referer"), "{head}");
    assert_eq!(body, "{\"a\":1}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let mut server = Server::new(&[Does::Answers(REDIRECT)]).await;
    let ended = ends(&client(), &server.url(), 'r', AMPLE).await;
    assert_eq!(
        ended,
        Carried { result: Ok(Response { status: 302, body: json!(null) }), attempts: 1, pause: None }
    );
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn metadata_is_not_reached_by_address_or_name() {
    let meta: IpAddr = "169.254.169.254".parse().unwrap();
    let home = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let names =
        vec![("meta.example", meta), ("both.example", home), ("both.example", meta), ("home.example", home)];
    let client = ToolClient::with_names(&tls::client_config().unwrap(), Names::Fixed(names)).unwrap();
    for host in ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "0.0.0.0", "0xa9fea9fe"] {
        let ended = ends(&client, &format!("http://{host}/x"), 'r', AMPLE).await;
        assert_eq!(ended, Carried { result: Err(Failure::Forbidden), attempts: 0, pause: None }, "{host}");
    }
    let server = Server::new(&[Does::Answers(OK)]).await;
    let port = server.address.port();
    for name in ["meta.example", "both.example"] {
        let ended = ends(&client, &format!("http://{name}:{port}/x"), 'r', AMPLE).await;
        assert_eq!(ended, Carried { result: Err(Failure::Forbidden), attempts: 1, pause: None }, "{name}");
    }
    let ended = ends(&client, &format!("http://home.example:{port}/x"), 'r', AMPLE).await;
    assert!(ended.result.is_ok(), "{ended:?}");
}

#[tokio::test]
async fn what_was_not_sent_is_sent_again_and_what_was_sent_only_if_that_is_safe() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    for kind in ['r', 'w'] {
        let ended = ends(&client(), &format!("http://{closed}/"), kind, AMPLE).await;
        assert!(matches!(ended, Carried { result: Err(Failure::NotSent(_)), attempts: 2, .. }), "{ended:?}");
    }
    let rows: [(&'static [Does], char, u16, u32); 8] = [
        (&[Does::Resets, Does::Answers(OK)], 'r', 200, 2),
        (&[Does::Resets, Does::Answers(OK)], 'k', 200, 2),
        (&[Does::Answers(UNAVAILABLE), Does::Answers(OK)], 'r', 200, 2),
        (&[Does::Answers(UNAVAILABLE), Does::Answers(OK)], 'w', 503, 1),
        (&[Does::Answers(UNAVAILABLE)], 'k', 503, 2),
        (&[Does::Answers(SOON), Does::Answers(OK)], 'r', 200, 2),
        (&[Does::Answers(LATER), Does::Answers(OK)], 'r', 429, 1),
        (&[Does::Answers(SOON), Does::Answers(OK)], 'w', 429, 1),
    ];
    for (does, kind, status, attempts) in rows {
        let mut server = Server::new(does).await;
        let ended = ends(&client(), &server.url(), kind, AMPLE).await;
        assert_eq!(ended.result.map(|response| response.status), Ok(status), "{kind}");
        assert_eq!((ended.attempts, server.count()), (attempts, attempts as usize), "{kind}");
    }
}

#[tokio::test]
async fn a_connection_that_is_reset_after_the_body_leaves_it_unknown() {
    let mut server = Server::new(&[Does::Resets]).await;
    let ended = ends(&client(), &server.url(), 'w', AMPLE).await;
    assert_eq!((ended.attempts, server.count()), (1, 1));
    let failure = ended.result.unwrap_err();
    assert!(matches!(&failure, Failure::Unanswered(cause) if !cause.contains("300")), "{failure:?}");
    assert_eq!(failure.outcome(Effect::Write), Outcome::Unknown);
    assert_eq!(failure.outcome(Effect::Read), Outcome::Unavailable);
}

#[tokio::test]
async fn no_answer_lasts_or_grows_without_a_bound() {
    for does in [&[Does::Stops("")], &[Does::Stops("HTTP/1.1 200 OK\r\n")], &[Does::Stops(HALF)]]
        as [&'static [Does]; 3]
    {
        let mut server = Server::new(does).await;
        let ended = ends(&client(), &server.url(), 'r', SHORT).await;
        assert_eq!(ended, Carried { result: Err(Failure::Late), attempts: 1, pause: None });
        assert_eq!(server.count(), 1);
    }
    let server = Server::new(&[Does::Floods]).await;
    let ended = ends(&client(), &server.url(), 'w', AMPLE).await;
    assert_eq!(ended.result, Err(Failure::TooLarge { status: 200 }));
    assert_eq!(
        Failure::TooLarge { status: 200 }.outcome(Effect::Write),
        Outcome::Done { result: json!(null) }
    );
    assert_eq!(Failure::TooLarge { status: 500 }.outcome(Effect::Write), Outcome::Unknown);
    assert_eq!(Failure::Late.outcome(Effect::Write), Outcome::Unknown);
    assert_eq!(Failure::Closed.outcome(Effect::Write), Outcome::Unavailable);
}

#[tokio::test]
async fn an_answer_that_is_not_json_or_not_http_is_no_panic() {
    let server = Server::new(&[Does::Answers(HTML)]).await;
    let ended = ends(&client(), &server.url(), 'r', AMPLE).await;
    assert_eq!(ended.result.unwrap().body, json!("<html>{\"id\":7"));
    let server = Server::new(&[Does::Answers("SSH-2.0-x\r\n\r\n")]).await;
    let ended = ends(&client(), &server.url(), 'w', AMPLE).await;
    assert!(matches!(ended, Carried { result: Err(Failure::Unanswered(_)), attempts: 1, .. }), "{ended:?}");
    let server = Server::new(&[Does::Answers(HALF)]).await;
    let ended = ends(&client(), &server.url(), 'w', AMPLE).await;
    assert!(matches!(ended, Carried { result: Err(Failure::Unanswered(_)), attempts: 1, .. }), "{ended:?}");
}

#[tokio::test]
async fn a_server_that_fails_five_times_is_left_alone_and_others_are_not() {
    let (mut bad, good) = (Server::new(&[Does::Resets]).await, Server::new(&[Does::Answers(OK)]).await);
    let client = client();
    for _ in 0..5 {
        assert!(ends(&client, &bad.url(), 'w', AMPLE).await.result.is_err());
    }
    let ended = ends(&client, &bad.url(), 'r', AMPLE).await;
    assert_eq!(ended, Carried { result: Err(Failure::Closed), attempts: 0, pause: None });
    assert_eq!(bad.count(), 5);
    assert!(ends(&client, &good.url(), 'w', AMPLE).await.result.is_ok());
}

#[tokio::test]
async fn one_server_takes_a_part_of_the_places() {
    let (mut slow, good) = (Server::new(&[Does::Stops("")]).await, Server::new(&[Does::Answers(OK)]).await);
    let client = client();
    let mut waiting = JoinSet::new();
    for _ in 0..PLACES_OF_ORIGIN {
        let (client, url) = (client.clone(), slow.url());
        waiting.spawn(async move { ends(&client, &url, 'r', AMPLE).await });
    }
    for _ in 0..PLACES_OF_ORIGIN {
        slow.requests.recv().await.unwrap();
    }
    let ended = ends(&client, &slow.url(), 'r', SHORT).await;
    assert_eq!(ended, Carried { result: Err(Failure::Closed), attempts: 0, pause: None });
    // Those who wait for it have no place of the others.
    for _ in 0..PLACES {
        let (client, url) = (client.clone(), slow.url());
        waiting.spawn(async move { ends(&client, &url, 'r', AMPLE).await });
    }
    tokio::task::yield_now().await;
    assert!(ends(&client, &good.url(), 'w', AMPLE).await.result.is_ok());
    waiting.shutdown().await;
}

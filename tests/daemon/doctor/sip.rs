//! Tests of what the doctor finds about calls that OpenAI answers by SIP: the webhook, its public address, the requests about calls, the
//! host that the trunk calls, and the endpoint by which Asterisk calls OpenAI.

use std::net::SocketAddr;

use openai_inbound_calls::clock::wall;
use openai_inbound_calls::http::server::{Routes, serve};
use openai_inbound_calls::http::webhook::{OF_CLIENT, Parts, Told, router};
use openai_inbound_calls::live::Board;
use openai_inbound_calls::sim::asterisk::Settings;
use openai_inbound_calls::sim::live::OpenAiCallsServer;
use openai_inbound_calls::sim::openai_calls::Script as CallsScript;
use openai_inbound_calls::sim::realtime::Script;
use openai_inbound_calls::webhook::Key;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{SetUp, detail, free_port};
use crate::tls::{certificates, door};

/// The bytes 0 to 31.
const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// The bytes 32 to 63.
const OTHER_SECRET: &str = "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

/// A set-up with the SIP route, healthy until a test breaks it.
struct Sip {
    set_up: SetUp,
    openai: OpenAiCallsServer,
    /// The real webhook, and TLS in front of it.
    tasks: JoinSet<()>,
    /// What the daemon is told. The doctor offers no calls, and does not alarm the operator.
    offers: mpsc::Receiver<Told>,
    /// Whether the operator is to be told that a webhook was refused.
    alarms: bool,
}

impl Sip {
    async fn new() -> Self {
        Self::with(SECRET, "online").await
    }

    /// The webhook has this secret, and Asterisk's endpoint this state.
    async fn with(secret: &str, state: &str) -> Self {
        let endpoints = vec![("openai".to_owned(), state.to_owned())];
        let set_up = SetUp::with(Settings { endpoints, ..Settings::default() }, Script::default());
        let openai = OpenAiCallsServer::start(CallsScript::new(b"", "sk-test")).expect("loopback");
        let mut tasks = JoinSet::new();
        let (webhook, offers) = webhook(&mut tasks, secret).await;
        let (authority, config) = certificates();
        let door = door(&mut tasks, &config, webhook).await;
        let file = set_up.folder.path().join("authority.pem");
        std::fs::write(&file, authority).expect("written");
        let set_up = set_up
            .but("OPENAI_WEBHOOK_SECRET", SECRET)
            .but("SIP_SHARED_HEADER", "X-Trunk-Key: 0123456789abcdef")
            .but("WEBHOOK_LISTEN", &webhook.to_string())
            .but("WEBHOOK_PUBLIC_URL", &format!("https://localhost:{door}/webhook"))
            .but("OPENAI_CALLS_URL", &openai.calls_url())
            .but("OPENAI_SIP_HOST", &format!("localhost:{door}"))
            .but("OPENAI_SIP_ENDPOINT", "openai")
            .but("SSL_CERT_FILE", &file.display().to_string());
        Self { set_up, openai, tasks, offers, alarms: secret != SECRET }
    }

    fn but(mut self, name: &'static str, value: &str) -> Self {
        self.set_up.changes.retain(|(known, _)| *known != name);
        Self { set_up: self.set_up.but(name, value), ..self }
    }

    async fn finds(&mut self, expected: &[(&str, &str)]) -> Vec<Value> {
        let checks = self.set_up.finds(expected).await;
        let told = self.offers.try_recv().ok();
        assert_eq!(told.is_some(), self.alarms, "{told:?}");
        checks
    }
}

/// The daemon's own webhook with this secret.
async fn webhook(tasks: &mut JoinSet<()>, secret: &str) -> (SocketAddr, mpsc::Receiver<Told>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    let (tell, offers) = mpsc::channel(8);
    let keys = vec![Key::of_openai(secret).expect("a secret")];
    let clock = || wall().timestamp();
    let parts =
        Parts { path: "/webhook".into(), keys, proxies: Vec::new(), tell, clock, board: Board::default() };
    tasks.spawn(serve(
        listener,
        Routes { router: router(parts), proxies: Vec::new(), of_client: OF_CLIENT },
        std::future::pending(),
    ));
    (address, offers)
}

/// A server that gives every request this answer.
async fn parrot(tasks: &mut JoinSet<()>, answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            // Of a request, the body is the last that comes; that of the doctor ends so.
            while !request.ends_with(b"\"data\":{}}")
                && stream.read_buf(&mut request).await.is_ok_and(|read| read > 0)
            {}
            let answer = format!("HTTP/1.1 {answer}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    address
}

#[tokio::test]
async fn a_healthy_route_passes() {
    let mut sip = Sip::new().await;
    let checks = sip.finds(&[]).await;
    for id in ["webhook", "webhook-public", "sip", "sip-host", "sip-endpoint"] {
        let check = checks.iter().find(|check| check["id"] == id).expect("the check");
        assert_eq!(check["status"], "ok", "{check}");
    }
    assert!(detail(&checks, "webhook-public").starts_with("https://localhost:"));
    assert!(detail(&checks, "sip-endpoint").contains("openai"));
    let is_firewall =
        |check: &&Value| check["detail"].as_str().is_some_and(|text| text.contains("13.79.45.80/28"));
    assert_eq!(checks.iter().filter(is_firewall).count(), 1, "{checks:?}");
    assert!(!checks.iter().any(|check| check.to_string().contains("whsec_")));
}

#[tokio::test]
async fn without_a_public_address_and_an_endpoint_there_is_nothing_to_try() {
    let mut sip = Sip::new().await.but("WEBHOOK_PUBLIC_URL", "").but("OPENAI_SIP_ENDPOINT", "");
    let checks = sip.finds(&[]).await;
    let status = |id| checks.iter().find(|check| check["id"] == id).map(|check| check["status"].clone());
    assert_eq!((status("webhook-public"), status("sip-endpoint")), (Some("note".into()), None));
}

#[tokio::test]
async fn a_webhook_that_has_another_secret() {
    let mut sip = Sip::with(OTHER_SECRET, "online").await;
    let checks = sip.finds(&[("webhook", "failure"), ("webhook-public", "failure")]).await;
    for id in ["webhook", "webhook-public"] {
        assert!(detail(&checks, id).contains("HTTP 400"), "{}", detail(&checks, id));
    }
}

#[tokio::test]
async fn a_daemon_that_does_not_run() {
    let nobody = format!("127.0.0.1:{}", free_port().await);
    let url = format!("http://{nobody}/webhook");
    let mut sip = Sip::new().await.but("WEBHOOK_LISTEN", &nobody).but("WEBHOOK_PUBLIC_URL", &url);
    let checks = sip.finds(&[("webhook-public", "failure")]).await;
    assert!(detail(&checks, "webhook-public").starts_with("No se alcanza http://127.0.0.1:"));
    assert!(checks.iter().any(|check| check["id"] == "webhook" && check["status"] == "note"));
}

#[tokio::test]
async fn a_proxy_that_answers_by_itself() {
    for (answer, words) in [
        ("200 OK", "no rechaza un evento sin firma (HTTP 200"),
        ("204 No Content", "no acepta un evento firmado (HTTP 204"),
        ("301 Moved Permanently\r\nlocation: /", "no acepta un evento firmado (HTTP 301"),
        ("502 Bad Gateway", "no acepta un evento firmado (HTTP 502"),
    ] {
        let mut sip = Sip::new().await;
        let url = format!("http://{}/webhook", parrot(&mut sip.tasks, answer).await);
        let mut sip = sip.but("WEBHOOK_PUBLIC_URL", &url);
        let checks = sip.finds(&[("webhook-public", "failure")]).await;
        assert!(detail(&checks, "webhook-public").contains(words), "{checks:?}");
    }
}

#[tokio::test]
async fn certificates_that_are_not_trusted() {
    let mut sip = Sip::new().await;
    let (_, stranger) = certificates();
    let behind = parrot(&mut sip.tasks, "200 OK").await;
    let port = door(&mut sip.tasks, &stranger, behind).await;
    let url = format!("https://localhost:{port}/webhook");
    let mut sip = sip.but("WEBHOOK_PUBLIC_URL", &url).but("OPENAI_SIP_HOST", &format!("localhost:{port}"));
    let checks = sip.finds(&[("webhook-public", "failure"), ("sip-host", "failure")]).await;
    assert!(detail(&checks, "sip-host").starts_with("No se acepta el certificado TLS de localhost:"));
}

#[tokio::test]
async fn a_certificate_with_another_name() {
    let sip = Sip::new().await;
    let host = sip.set_up.changes.iter().find(|(name, _)| *name == "OPENAI_SIP_HOST").expect("it is set");
    let other = host.1.replace("localhost", "127.0.0.1");
    let mut sip = sip.but("OPENAI_SIP_HOST", &other);
    sip.finds(&[("sip-host", "failure")]).await;
}

#[tokio::test]
async fn a_host_that_is_not_reached_or_speaks_no_tls() {
    let mut sip = Sip::new().await;
    // Whoever reads until the body has come closes no connection; this one answers without reading.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let plain = listener.local_addr().expect("bound");
    sip.tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.write_all(b"SIP/2.0 400 Bad Request\r\n\r\n").await);
        }
    });
    for host in [plain.to_string(), format!("127.0.0.1:{}", free_port().await)] {
        sip = sip.but("OPENAI_SIP_HOST", &host);
        let checks = sip.finds(&[("sip-host", "warning")]).await;
        assert!(detail(&checks, "sip-host").starts_with(&format!("No se alcanza {host}")), "{checks:?}");
    }
}

#[tokio::test]
async fn a_key_that_may_not_ask_about_calls_and_a_server_of_calls_that_is_away() {
    let mut sip = Sip::new().await;
    sip.openai = OpenAiCallsServer::start(CallsScript::new(b"", "sk-other")).expect("loopback");
    let url = sip.openai.calls_url();
    let mut sip = sip.but("OPENAI_CALLS_URL", &url);
    let checks = sip.finds(&[("sip", "failure")]).await;
    assert!(detail(&checks, "sip").starts_with("OpenAI rechaza"), "{checks:?}");
    let nobody = format!("http://127.0.0.1:{}/v1/realtime/calls", free_port().await);
    let mut sip = sip.but("OPENAI_CALLS_URL", &nobody);
    let checks = sip.finds(&[("sip", "failure")]).await;
    assert!(detail(&checks, "sip").starts_with("No se alcanza"), "{checks:?}");
}

#[tokio::test]
async fn an_endpoint_that_is_missing_or_does_not_reach_its_contact() {
    let mut sip = Sip::with(SECRET, "offline").await;
    sip.finds(&[("sip-endpoint", "warning")]).await;
    let mut sip = sip.but("OPENAI_SIP_ENDPOINT", "nobody");
    let checks = sip.finds(&[("sip-endpoint", "failure")]).await;
    assert!(detail(&checks, "sip-endpoint").contains("nobody"));
}

//! The reverse proxies of the documentation, in front of the real webhook: each forwards the one path and nothing else, over TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use openai_inbound_calls::clock::{now, wall};
use openai_inbound_calls::http::server::{Routes, serve};
use openai_inbound_calls::http::webhook::{OF_CLIENT, Parts, Told, router};
use openai_inbound_calls::live::Board;
use openai_inbound_calls::webhook::Key;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::world::{PATIENCE, ms};

const SECRET: &str = "0123456789abcdef01234567";

/// The block of this language in a page of the documentation. Both pages must have the same.
fn snippet(language: &str) -> String {
    let block = |page: &str| {
        let path = format!("{}/src/docs/{page}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("the page");
        let (_, rest) = text.split_once(&format!("```{language}\n")).expect("the block");
        rest.split_once("```").expect("its end").0.to_owned()
    };
    let (one, other) = (block("sip.md"), block("sip.es.md"));
    assert_eq!(one, other, "the pages differ");
    one
}

/// The text with each of these replaced, which must be there.
fn with(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "no {from} in {text}");
        text.replace(from, to)
    })
}

/// A webhook, and the files of a proxy in front of it.
struct Stage {
    folder: TempDir,
    client: reqwest::Client,
    webhook: SocketAddr,
    port: u16,
    offers: mpsc::Receiver<Told>,
    _tasks: JoinSet<()>,
}

impl Stage {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let webhook = listener.local_addr().expect("bound");
        let (tell, offers) = mpsc::channel(8);
        let proxies = vec!["127.0.0.1/32".parse().expect("a network")];
        let parts = Parts {
            path: "/webhook".into(),
            keys: vec![Key::of_openai(SECRET).expect("a secret")],
            proxies: proxies.clone(),
            tell,
            clock: || wall().timestamp(),
            board: Board::default(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(
            listener,
            Routes { router: router(parts), proxies, of_client: OF_CLIENT },
            std::future::pending(),
        ));
        let free = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let port = free.local_addr().expect("bound").port();
        Self { client: client(folder.path()), folder, webhook, port, offers, _tasks: tasks }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Runs the proxy until it listens.
    async fn run(&self, program: &str, arguments: &[&str]) -> Child {
        let mut child = Command::new(program)
            .args(arguments)
            .env("HOME", self.folder.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_DATA_HOME")
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .expect("the proxy");
        let deadline = now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            assert!(child.try_wait().expect("a child").is_none(), "{program} has ended");
            assert!(now() < deadline, "{program} does not listen");
            tokio::time::sleep(ms(20)).await;
        }
        child
    }

    /// The status of the answer to a POST of this body, signed or not.
    async fn post(&self, path: &str, body: String, key: Option<&Key>) -> u16 {
        let at = wall().timestamp();
        let post = self.client.post(format!("https://localhost:{}{path}", self.port));
        let post = post.header("webhook-id", "wh_1").header("webhook-timestamp", at);
        let post = match key {
            Some(key) => post.header("webhook-signature", key.sign("wh_1", at, &body)),
            None => post,
        };
        post.body(body).send().await.expect("an answer").status().as_u16()
    }

    async fn forwards_one_path(mut self, name: &str) {
        let event = r#"{"object":"event","id":"evt_1","type":"realtime.call.incoming","created_at":1,"data":{"call_id":"rtc_1"}}"#;
        let key = Key::of_openai(SECRET).expect("a secret");
        let mut offers = std::mem::replace(&mut self.offers, mpsc::channel(1).1);
        let daemon = async {
            let Some(Told::Incoming { kept, .. }) = offers.recv().await else { panic!("{name}: no offer") };
            kept.send(())
        };
        let (status, told) = tokio::join!(self.post("/webhook", event.to_owned(), Some(&key)), daemon);
        assert_eq!((status, told), (200, Ok(())), "{name}");
        assert_eq!(
            self.post("/webhook", event.to_owned(), None).await,
            400,
            "{name}: the daemon's own answer"
        );
        for path in ["/", "/recordings", "/webhook/", "/webhook/x", "/webhookx", "/calls"] {
            assert_eq!(self.post(path, event.to_owned(), Some(&key)).await, 404, "{name} {path}");
        }
        let large = "x".repeat(70 * 1024);
        // The daemon answers 413 at once. A proxy that limits the body, as the Caddy of Debian, may come upon its own limit before it has
        // read that answer, and says 502 then. Both refuse the body.
        let status = self.post("/webhook", large, Some(&key)).await;
        assert!(matches!(status, 413 | 502), "{name}: {status}");
        assert!(offers.try_recv().is_err(), "{name}: nothing else comes through");
    }
}

/// Writes a certificate for `localhost` with its key, and makes a client that trusts it.
fn client(folder: &Path) -> reqwest::Client {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority =
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &authority).expect("a certificate");
    std::fs::write(folder.join("chain.pem"), certificate.pem()).expect("written");
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).expect("written");
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(config).no_proxy().build().expect("a client")
}

/// Whether the program is there. `PROXY_TESTS` makes that a duty.
async fn is_there(program: &str) -> bool {
    let ran = Command::new(program).arg(if program == "nginx" { "-v" } else { "version" }).output().await;
    if ran.is_err() {
        assert!(std::env::var_os("PROXY_TESTS").is_none(), "{program} is missing");
    }
    ran.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_forwards_the_webhook_and_nothing_else() {
    if !is_there("nginx").await {
        return eprintln!("left out: no nginx (tests/run fetches it)");
    }
    let stage = Stage::new().await;
    let server = with(
        &snippet("nginx"),
        &[
            ("listen 443 ssl;", &format!("listen 127.0.0.1:{} ssl;", stage.port)),
            ("pbx.example.com;", "localhost;"),
            ("/etc/letsencrypt/live/pbx.example.com/fullchain.pem", &stage.file("chain.pem")),
            ("/etc/letsencrypt/live/pbx.example.com/privkey.pem", &stage.file("key.pem")),
            ("127.0.0.1:5002", &stage.webhook.to_string()),
        ],
    );
    let folder = stage.folder.path().display();
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let paths = paths.map(|name| format!("{name}_temp_path {folder}/{name};\n")).concat();
    let config = format!(
        "daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n\
         events {{}}\nhttp {{ access_log off;\n{paths}{server}}}\n"
    );
    let file = stage.file("nginx.conf");
    std::fs::write(&file, config).expect("written");
    let log = stage.file("error.log");
    let tested = Command::new("nginx").args(["-t", "-c", &file, "-e", &log]).output().await.expect("nginx");
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));
    let _nginx = stage.run("nginx", &["-c", &file, "-e", &log]).await;
    stage.forwards_one_path("nginx").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caddy_forwards_the_webhook_and_nothing_else() {
    if !is_there("caddy").await {
        return eprintln!("left out: no caddy (tests/run fetches it)");
    }
    let stage = Stage::new().await;
    let site = format!(
        "https://localhost:{} {{\n\tbind 127.0.0.1\n\ttls {} {}",
        stage.port,
        stage.file("chain.pem"),
        stage.file("key.pem")
    );
    let site = with(
        &snippet("caddyfile"),
        &[("pbx.example.com {", &site), ("127.0.0.1:5002", &stage.webhook.to_string())],
    );
    // The other settings keep it from touching this machine: no port 80 or 2019. What it keeps goes to `HOME`.
    let config = format!("{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{site}");
    let file = stage.file("Caddyfile");
    std::fs::write(&file, config).expect("written");
    let _caddy = stage.run("caddy", &["run", "--adapter", "caddyfile", "--config", &file]).await;
    stage.forwards_one_path("Caddy").await;
}

//! Tests of the messages about ended calls: what is in them, that other libraries verify them, and that none is lost while the receiver
//! is away or the daemon is killed.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openai_inbound_calls::clock::wall;
use openai_inbound_calls::registry::Settings;
use openai_inbound_calls::registry::outbox::Outbox;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, Script, pattern};
use ring::hmac;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::api::Api;
use crate::world::{Program, World, assert_no_violations, listen, until};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A message as it came, with the signature that its key gives.
#[derive(Debug, Clone)]
struct Came {
    path: String,
    id: String,
    body: Value,
}

/// What a receiver got, and what it answers.
#[derive(Debug)]
struct Receiver {
    came: Mutex<Vec<Came>>,
    answer: Mutex<u16>,
    /// How long it wants to be left alone, in seconds.
    retry_after: &'static str,
}

impl Receiver {
    fn came(&self) -> Vec<Came> {
        self.came.lock().expect("nobody panics with it").clone()
    }

    fn answers(&self, status: u16) {
        *self.answer.lock().expect("nobody panics with it") = status;
    }
}

/// The header `webhook-signature` of a message (Standard Webhooks, "Signature scheme").
fn signature(id: &str, timestamp: &str, body: &str) -> String {
    let key = STANDARD.decode(SECRET.strip_prefix("whsec_").expect("a key")).expect("Base64");
    let signed = format!("{id}.{timestamp}.{body}");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes());
    format!("v1,{}", STANDARD.encode(tag))
}

async fn take(
    State(receiver): State<Arc<Receiver>>,
    uri: axum::http::Uri,
    headers: HeaderMap,
    body: String,
) -> impl IntoResponse {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!(header("content-type"), "application/json");
    let (path, id) = (uri.path().to_owned(), header("webhook-id").to_owned());
    let timestamp = header("webhook-timestamp");
    assert_eq!(header("webhook-signature"), signature(&id, timestamp, &body));
    // Receivers refuse what is older than five minutes.
    let age = wall().timestamp() - timestamp.parse::<i64>().expect("Unix seconds");
    assert!((0..300).contains(&age), "{age} s");
    let came = Came { path, id, body: serde_json::from_str(&body).expect("JSON") };
    receiver.came.lock().expect("nobody panics with it").push(came);
    let status = *receiver.answer.lock().expect("nobody panics with it");
    // Nobody reads this, however long it is.
    let words = if status == 200 { "x".repeat(4 << 20) } else { String::new() };
    (StatusCode::from_u16(status).expect("a status"), [("retry-after", receiver.retry_after)], words)
}

/// A receiver on this socket that answers so.
fn receive(listener: TcpListener, status: u16, tasks: &mut JoinSet<()>) -> Arc<Receiver> {
    receive_seldom(listener, status, "0", tasks)
}

/// The same, which wants to be left alone for so many seconds.
fn receive_seldom(
    listener: TcpListener,
    status: u16,
    retry_after: &'static str,
    tasks: &mut JoinSet<()>,
) -> Arc<Receiver> {
    let receiver = Arc::new(Receiver { came: Mutex::default(), answer: Mutex::new(status), retry_after });
    listener.set_nonblocking(true).expect("a socket");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
    let routes = Router::new().route("/{*path}", post(take)).with_state(Arc::clone(&receiver));
    tasks.spawn(async move { drop(axum::serve(listener, routes).await) });
    receiver
}

fn port() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, origin)
}

/// The folder of an agent with these lines.
fn agent(lines: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("citas.toml"), format!("numbers = [\"3241000752\"]\n{lines}"))
        .expect("a file");
    folder
}

fn address(url: &str, more: &str) -> String {
    format!("[[after_call]]\nurl = \"{url}\"\nsecret = \"{{{{ secret.HOOK }}}}\"\n{more}\n")
}

/// A caller who asks once, hears the answer and hangs up.
async fn talk(world: &World) {
    let steps = [&listen()[..], &[Step::Say(pattern(600, 7))], &listen()[..], &[Step::HangUp]].concat();
    let call = world.call(steps);
    world.over(call).await;
}

fn world(answers: Vec<Answer>) -> World {
    World::new(Script { answers, ..Script::default() })
}

/// What `agents webhooks` prints with these arguments, and whether all was well.
fn webhooks(world: &World, folder: &TempDir, more: &[&str]) -> (String, bool) {
    let agents = folder.path().display().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_openai-inbound-calls"))
        .args(["agents", "webhooks"])
        .args(more)
        .env_clear()
        .envs(world.variables_with(&[("AGENTS_DIR", &agents), ("HOOK", SECRET), ("LOG_LANGUAGE", "en")]))
        .current_dir(folder.path())
        .output()
        .expect("the program");
    (String::from_utf8(output.stdout).expect("text"), output.status.success())
}

/// The outbox of the daemon.
async fn outbox(world: &World) -> Outbox {
    let settings = Settings { file: world.recordings.path().join("calls.db"), server: None };
    Outbox::open(&settings).await.expect("the outbox of the daemon")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_address_gets_the_head_of_the_call_and_the_words_only_if_it_says_so() {
    let mut tasks = JoinSet::new();
    let (listener, origin) = port();
    let receiver = receive(listener, 204, &mut tasks);
    let (tools, of_tools) = port();
    tools.set_nonblocking(true).expect("a socket");
    let tools = tokio::net::TcpListener::from_std(tools).expect("a socket");
    let routes = Router::new().route("/book", post(async || json!({"id": 4711}).to_string()));
    tasks.spawn(async move { drop(axum::serve(tools, routes).await) });
    let book = format!(
        "[[tool]]\nname = \"book\"\ndescription = \"Books.\"\nrequest = \"POST {of_tools}/book\"\n\
         parameters = {{ start = {{ type = \"string\" }} }}\n"
    );
    let all = address(&format!("{origin}/all"), "name = \"all\"\nwords = true");
    let report = "[report]\nsummary = { type = \"string\" }\n";
    let folder = agent(&(report.to_owned() + &book + &all + &address(&format!("{origin}/head"), "")));
    let answers = vec![Answer::call("book", r#"{"start":"09:00"}"#), Answer::pattern("A las nueve.", 700, 3)];
    let aside = Some(Answer::call("report", r#"{"summary":"Cita a las nueve."}"#));
    let world = World::new(Script { answers, aside, ..Script::default() });
    let agents = folder.path().display().to_string();
    let program = world.program(&[("AGENTS_DIR", &agents), ("HOOK", SECRET)]).await;
    talk(&world).await;
    assert_no_violations(&world.session());
    until("both have come", || receiver.came().len() == 2).await;
    let api = Api::of(&program).await;
    let finished = api.only("finished").await;
    let mut came = receiver.came();
    came.sort_by(|one, other| one.path.cmp(&other.path));
    let [all, head] = &came[..] else { panic!("two messages") };
    assert_eq!((all.path.as_str(), head.path.as_str(), &all.id), ("/all", "/head", &head.id));
    let data = &head.body["data"];
    assert_eq!(head.body["type"], "call.ended");
    assert_eq!(head.id, format!("call_{}", data["row_id"].as_str().expect("a key")));
    assert_eq!(data["recording_id"], finished["id"]);
    let of = |key: &str| data[key].clone();
    assert_eq!((of("agent"), of("end_reason")), (json!("citas"), json!("caller_hung_up")));
    assert_eq!((of("caller"), of("called")), (json!("3001234567"), json!("3241000752")));
    assert!(
        of("usage")["cost_usd"].is_number() && of("duration_seconds").as_f64().expect("seconds") > 1.0,
        "{data}"
    );
    assert_eq!(of("report"), json!({"summary": "Cita a las nueve."}));
    let path = format!("/recordings/{}/conversation", finished["id"].as_str().expect("an id"));
    assert_eq!(api.get(&path).await.json()["report"], of("report"));
    assert!(data.get("conversation").is_none() && data.get("events").is_none(), "{data}");
    let [tool] = &of("tools").as_array().expect("tools").clone()[..] else { panic!("one tool: {data}") };
    assert_eq!((&tool["name"], &tool["outcome"]), (&json!("book"), &json!("ok")));
    assert!(tool.get("arguments").is_none() && tool.get("answer").is_none(), "{tool}");
    let data = &all.body["data"];
    let said: Vec<_> =
        data["conversation"].as_array().expect("words").iter().map(|said| said["text"].clone()).collect();
    assert!(said.contains(&json!("A las nueve.")), "{said:?}");
    assert_eq!(data["tools"][0]["arguments"], json!({"start": "09:00"}));
    let metrics = async || api.get("/metrics").await.text().to_owned();
    let mut sent = String::new();
    while !sent.contains("openai_inbound_calls_webhooks_sent_total 2\n") {
        sent = metrics().await;
    }
    assert!(sent.contains("openai_inbound_calls_webhooks_pending 0\n"), "{sent}");
    assert!(!program.log().contains(&SECRET[6..]), "the secret is in the log");
}

/// The receiver of `tests/webhooks`, which verifies with the package standardwebhooks.
struct Python {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    origin: String,
}

impl Python {
    /// Starts the receiver. `None`: the package is not installed.
    fn start() -> Option<Self> {
        let python = std::env::var_os("STANDARDWEBHOOKS_PYTHON")?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/webhooks/receiver.py");
        let mut child = Command::new(python)
            .arg(script)
            .env("SECRET", SECRET)
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python");
        let mut lines = BufReader::new(child.stdout.take().expect("its output"));
        let mut port = String::new();
        lines.read_line(&mut port).expect("its port");
        let origin = format!("http://127.0.0.1:{}", port.trim());
        Some(Self { child, lines, origin })
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_verified_by_the_package_standardwebhooks() {
    let Some(mut python) = Python::start() else {
        return eprintln!("left out: no Python package standardwebhooks (tests/run installs it)");
    };
    let folder = agent(&address(&format!("{}/x", python.origin), "words = true"));
    let world = world(vec![Answer::pattern("Sí, señora.", 700, 3)]);
    let agents = folder.path().display().to_string();
    let _program = world.program(&[("AGENTS_DIR", &agents), ("HOOK", SECRET)]).await;
    talk(&world).await;
    let line = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        python.lines.read_line(&mut line).expect("a line");
        line
    });
    let said: Value = serde_json::from_str(&line.await.expect("no panic")).expect("JSON");
    assert_eq!(said["error"], Value::Null, "{said}");
    assert_eq!(said["message"]["data"]["conversation"][2]["text"], "Sí, señora.", "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_survives_a_receiver_that_is_away_and_a_daemon_that_is_killed() {
    let mut tasks = JoinSet::new();
    let (listener, origin) = port();
    let socket = listener.local_addr().expect("an address");
    drop(listener);
    let folder = agent(&address(&format!("{origin}/t0ken"), ""));
    let world = world(vec![Answer::pattern("Sí.", 700, 3)]);
    let agents = folder.path().display().to_string();
    let variables = [("AGENTS_DIR", agents.as_str()), ("HOOK", SECRET)];
    let mut first = world.program(&variables).await;
    talk(&world).await;
    first.says("WARNING", &format!("no llegan a {origin}")).await;
    first.signal("KILL");
    first.exit().await;
    assert!(!first.log().contains("t0ken"), "the path of an address is in the log");
    let (listed, _) = webhooks(&world, &folder, &[]);
    let waits = format!("To: citas {origin} - Attempts: ");
    assert!(listed.contains(&waits) && listed.contains("Last answer: no connection"), "{listed}");
    assert!(
        listed.ends_with("Messages that wait: 1. Given up: 0\n") && !listed.contains("t0ken"),
        "{listed}"
    );

    // The daemon may have made its second attempt before it was killed, and the third would be due in five minutes.
    let (said, is_well) = webhooks(&world, &folder, &["--again", "1"]);
    assert!(is_well, "{said}");
    let receiver = receive(TcpListener::bind(socket).expect("the port"), 200, &mut tasks);
    let second = world.program(&variables).await;
    until("the next daemon sends it", || receiver.came().len() == 1).await;
    until("it is noted", || webhooks(&world, &folder, &[]).0 == "Messages that wait: 0. Given up: 0\n").await;
    let [came] = &receiver.came()[..] else { panic!("one message") };
    assert_eq!(came.body["data"]["end_reason"], "caller_hung_up");
    assert_eq!(second.count("ERROR", ""), 0, "{}", second.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_wants_to_be_left_alone_is() {
    let mut tasks = JoinSet::new();
    let (listener, origin) = port();
    let receiver = receive_seldom(listener, 503, "7200", &mut tasks);
    let folder = agent(&address(&format!("{origin}/x"), ""));
    let world = world(vec![Answer::pattern("Sí.", 700, 3)]);
    let agents = folder.path().display().to_string();
    let program = world.program(&[("AGENTS_DIR", &agents), ("HOOK", SECRET)]).await;
    let before = wall().timestamp_micros();
    talk(&world).await;
    program.says("WARNING", &format!("no llegan a {origin}")).await;
    let outbox = outbox(&world).await;
    let [waiting] = &outbox.list().await.expect("its messages")[..] else { panic!("one message") };
    let pause = (waiting.due_us.expect("it waits") - before) / 1_000_000;
    assert!(pause >= 7_200, "{pause} s");
    assert_eq!((waiting.attempts, waiting.answer.as_str()), (1, "HTTP 503"));
    assert_eq!(receiver.came().len(), 1);
    // The operator does not have to wait for it.
    webhooks(&world, &folder, &["--again", "1"]);
    until("it is sent again", || receiver.came().len() == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_fails_is_named_once_and_again_when_messages_reach_it() {
    let mut tasks = JoinSet::new();
    let (listener, origin) = port();
    let receiver = receive_seldom(listener, 503, "7200", &mut tasks);
    let folder = agent(&address(&format!("{origin}/x"), ""));
    let world = world(vec![Answer::pattern("Sí.", 700, 3)]);
    let agents = folder.path().display().to_string();
    let program = world.program(&[("AGENTS_DIR", &agents), ("HOOK", SECRET)]).await;
    talk(&world).await;
    let failing = format!("no llegan a {origin}");
    program.says("WARNING", &failing).await;
    let outbox = outbox(&world).await;
    // The ninth attempt, and the tenth, which is the last one.
    for attempts in [8, 9] {
        outbox.failed(1, attempts, "", Some(wall().timestamp_micros())).await.expect("it is noted");
        let came = receiver.came().len();
        until("it is sent again", || receiver.came().len() == came + 1).await;
        if attempts == 8 {
            until("it waits", || webhooks(&world, &folder, &[]).0.contains("Attempts: 9 - Next: ")).await;
        }
    }
    program.says("ERROR", "no se entregó en 10 intentos").await;
    let (listed, _) = webhooks(&world, &folder, &[]);
    assert!(listed.contains("Attempts: 10 - Given up - Last answer: HTTP 503"), "{listed}");
    assert_eq!(program.count("WARNING", &failing), 1, "{}", program.log());
    let api = Api::of(&program).await;
    let metrics = api.get("/metrics").await.text().to_owned();
    for line in ["failed_total 3", "dead_total 1", "sent_total 0"] {
        assert!(metrics.contains(&format!("openai_inbound_calls_webhooks_{line}\n")), "{line}: {metrics}");
    }

    receiver.answers(204);
    webhooks(&world, &folder, &["--again", "1"]);
    program.says("INFO", &format!("vuelven a llegar a {origin}")).await;
    // Nothing of the message is left in the files.
    until("it is gone", || {
        ["calls.db", "calls.db-wal"].iter().all(|name| {
            let bytes = std::fs::read(world.recordings.path().join(name)).unwrap_or_default();
            !String::from_utf8_lossy(&bytes).contains("call.ended")
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_gone_is_left_alone_until_the_configuration_is_reloaded() {
    let mut tasks = JoinSet::new();
    let (listener, origin) = port();
    let receiver = receive(listener, 410, &mut tasks);
    let folder = agent(&address(&format!("{origin}/x"), ""));
    let world = world(vec![Answer::pattern("Sí.", 700, 3)]);
    let agents = folder.path().display().to_string();
    let program = world.program(&[("AGENTS_DIR", &agents), ("HOOK", SECRET)]).await;
    talk(&world).await;
    program.says("ERROR", &format!("{origin} respondió 410")).await;
    let dead = |program: &Program| {
        let (said, is_well) = webhooks(&world, &folder, &[]);
        assert!(is_well, "{said} {}", program.log());
        said.contains("Given up - Last answer: HTTP 410")
            && said.ends_with("Messages that wait: 0. Given up: 1\n")
    };
    until("it is given up", || dead(&program)).await;
    let (said, is_well) = webhooks(&world, &folder, &["--again", "99"]);
    assert_eq!(
        (said.as_str(), is_well),
        ("There is no message 99: openai-inbound-calls agents webhooks shows them\n", false)
    );
    receiver.answers(204);
    let (said, _) = webhooks(&world, &folder, &["--again", "1"]);
    assert_eq!(said, "The message 1 will be sent again, beginning with the first attempt\n");
    until("it is given up again", || dead(&program)).await;
    assert_eq!(receiver.came().len(), 1, "nothing else was sent");
    program.signal("HUP");
    program.says("INFO", "Configuración leída de nuevo").await;
    webhooks(&world, &folder, &["--again", "1"]);
    until("it is sent", || receiver.came().len() == 2).await;
    let came = receiver.came();
    assert_eq!((&came[0].id, &came[0].body), (&came[1].id, &came[1].body), "the same message");
    until("it is gone", || webhooks(&world, &folder, &[]).0 == "Messages that wait: 0. Given up: 0\n").await;
}

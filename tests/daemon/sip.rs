//! Calls that OpenAI answers by SIP: the real program, and its files, behind sockets. What comes to the webhook is in `webhook`.

mod webhook;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};

use openai_inbound_calls::clock::{now, wall};
use openai_inbound_calls::sim::live::OpenAiCallsServer;
use openai_inbound_calls::sim::openai_calls::{Say, Script, State, Webhook};
use openai_inbound_calls::sim::realtime::Script as MediaScript;
use reqwest::Method;
use serde_json::{Value, json};

use super::api::Api;
use super::world::{PATIENCE, Program, World, ms, until};

/// The bytes 0 to 31.
pub(crate) const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const TRUNK: &str = "X-Trunk-Key: 0123456789abcdef";
const CALL: &str = "rtc_u0_0001";

pub(crate) fn secret() -> Vec<u8> {
    (0..32).collect()
}

/// OpenAI and the program.
struct Stage {
    world: World,
    openai: OpenAiCallsServer,
    program: Program,
    webhook: SocketAddr,
}

impl Stage {
    async fn new(says: &[Say], changes: &[(&'static str, &str)]) -> Self {
        let script = Script { says: says.to_vec(), ..Script::new(&secret(), "sk-test") };
        let (world, openai) =
            (World::new(MediaScript::default()), OpenAiCallsServer::start(script).expect("loopback"));
        let program = Self::program(&world, &openai, changes).await;
        let webhook = webhook_of(&program).await;
        if changes.iter().all(|(name, _)| *name != "DATABASE_URL") {
            // The answer to a webhook waits for the call log, which is still being opened.
            asked(&Api::of(&program).await, "/calls", |calls| calls["calls"].is_array()).await;
        }
        Self { world, openai, program, webhook }
    }

    async fn program(world: &World, openai: &OpenAiCallsServer, changes: &[(&'static str, &str)]) -> Program {
        let (realtime, calls) = (openai.realtime_url(), openai.calls_url());
        let ours = [
            ("OPENAI_WEBHOOK_SECRET", SECRET),
            ("SIP_SHARED_HEADER", TRUNK),
            ("WEBHOOK_LISTEN", "127.0.0.1:0"),
            ("OPENAI_REALTIME_URL", &realtime),
            ("OPENAI_CALLS_URL", &calls),
        ];
        world.program(&[&ours, changes].concat()).await
    }

    /// A call of the trunk rings, and its webhook is sent. The status of the answer.
    fn rings(&self, call: &str) -> u16 {
        let webhook = self.openai.offer(call, &of_trunk());
        send(self.webhook, &webhook)
    }

    async fn until(&self, what: &str, call: &str, state: &State) {
        until(what, || self.openai.look(|calls| calls.state(call) == Some(state))).await;
    }

    async fn until_callers_turn(&self, said: usize) {
        let what = format!("{said} answers have been heard");
        until(&what, || self.openai.look(|calls| calls.is_callers_turn(CALL, said))).await;
    }

    /// Asserts that we have made no mistake, and that nothing is left that costs money.
    fn is_clean(&self) {
        self.openai.look(|calls| {
            assert_eq!(calls.violations(), [""; 0]);
            assert_eq!(calls.left(), [""; 0]);
        });
    }
}

fn of_trunk() -> [(&'static str, &'static str); 3] {
    [
        ("From", "<sip:+525512345678@203.0.113.5>;tag=88221144"),
        ("To", "<sip:proj_0001@sip.api.openai.com>"),
        ("X-Trunk-Key", "0123456789abcdef"),
    ]
}

pub(crate) async fn webhook_of(program: &Program) -> SocketAddr {
    program.says("INFO", "Webhook de OpenAI en ").await;
    let log = program.log();
    let (_, rest) = log.split_once("Webhook de OpenAI en ").expect("it was said");
    rest.split('/').next().expect("an address").parse().expect("an address")
}

/// Sends what stands there, and returns the status of the answer; 0: none came.
fn send_raw(to: SocketAddr, request: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(to).expect("the webhook listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    // The server may answer, and close, before it has read everything.
    drop(stream.write_all(request));
    let mut answer = [0; 64];
    let read = stream.read(&mut answer).unwrap_or(0);
    let text = String::from_utf8_lossy(&answer[..read]).into_owned();
    text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

fn post(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let lines = [("host", "x"), ("content-length", &length)];
    let lines: Vec<_> =
        lines.iter().chain(headers).map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let text = format!("POST {path} HTTP/1.1\r\n{}", lines.concat());
    [text.as_bytes(), b"\r\n", body].concat()
}

fn send(to: SocketAddr, webhook: &Webhook) -> u16 {
    send_raw(to, &request_of(webhook))
}

fn request_of(Webhook { id, timestamp, signature, body }: &Webhook) -> Vec<u8> {
    let headers = [("webhook-id", &**id), ("webhook-timestamp", timestamp), ("webhook-signature", signature)];
    post("/webhook", &headers, body.as_bytes())
}

fn unix_now() -> u64 {
    u64::try_from(wall().timestamp()).expect("after 1970")
}

/// Asks until the answer is as expected.
pub(crate) async fn asked(api: &Api, path: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let deadline = now() + PATIENCE;
    loop {
        let answer = api.ask(Method::GET, path, None).await.json();
        if is_it(&answer) {
            return answer;
        }
        assert!(now() < deadline, "{path}: {answer}");
        tokio::time::sleep(ms(50)).await;
    }
}

/// A webhook with this body, rightly signed.
fn signed(id: &str, body: &str) -> Webhook {
    Webhook::signed(&secret(), id, unix_now(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_leaves_the_promised_files_under_the_id_that_openai_gave_it() {
    let says = [Say::Words("¡Hola! Estaré encantado de ayudarle.".into()), Say::Words("Claro.".into())];
    let stage = Stage::new(&says, &[]).await;
    let api = Api::of(&stage.program).await;
    assert_eq!(stage.rings(CALL), 200);
    stage.program.says("INFO", "msg_type updated recibido").await;
    stage.program.says("INFO", "Nueva llamada recibida - Canal: OpenAI/rtc_u0_0001").await;
    stage.until_callers_turn(1).await;
    stage.openai.caller_says(CALL, "Hola, quiero agendar una cita", ms(800));
    stage.until_callers_turn(2).await;
    stage.openai.caller_hangs_up(CALL);
    stage.program.says("INFO", "Llamada terminada").await;
    stage.program.says("INFO", "el llamante colgó").await;
    let list = asked(&api, "/recordings", |list| list["recordings"][0]["id"].is_string()).await;
    let id = list["recordings"][0]["id"].as_str().unwrap_or_default().to_owned();
    let path = format!("/recordings/{id}/conversation");
    let answer = asked(&api, &path, |answer| answer["end_reason"] == "caller_hung_up").await;
    let (_, call_id) = id.split_at(16);
    assert_eq!(call_id, CALL, "the id is {{time}}_{{rtc_…}}: {id}");
    assert_eq!((&answer["call_id"], &answer["audio"]), (&json!(CALL), &json!("none")));
    assert_eq!((&answer["total_messages"], &answer["audio_chunks_count"]), (&json!(3), &json!(0)));
    let messages = &answer["conversation"];
    assert_eq!(messages[1]["text"], "Hola, quiero agendar una cita");
    assert_eq!(
        (&messages[1]["speaker"], &messages[1]["type"]),
        (&json!("user"), &json!("transcript_completed"))
    );
    assert_eq!(
        (&messages[0]["speaker"], &messages[0]["type"]),
        (&json!("assistant"), &json!("transcript_delta"))
    );
    let summary = api.ask(Method::GET, &format!("/recordings/{id}/summary"), None).await;
    assert_eq!(summary.status, 200);
    assert!(summary.text().contains("De esta llamada no hay sonido grabado"), "{}", summary.text());
    let ready = api.ask(Method::GET, "/ready", None).await.json();
    assert_eq!((&ready["sip_webhook"], &ready["warnings"]), (&json!("listening"), &json!([])));
    let figures = api.ask(Method::GET, "/metrics", None).await;
    for line in [
        r#"route_calls_total{route="sip"} 1"#,
        r#"sip_offers_total{outcome="taken"} 1"#,
        r#"sip_webhooks_total{outcome="offered"} 1"#,
        "sip_accepted_seconds_count 1",
        "sip_session_seconds_count 1",
        "sip_first_sound_seconds_count 1",
        r#"sip_webhook{state="listening"} 1"#,
    ] {
        assert!(
            figures.text().contains(&format!("openai_inbound_calls_{line}\n")),
            "{line}: {}",
            figures.text()
        );
    }
    let calls = api.ask(Method::GET, "/calls", None).await.json();
    let row = &calls["calls"][0];
    assert!(row["id"] == CALL && row["turns"] == 2 && !row["answered_at"].is_null(), "{calls}");
    let log = stage.program.log();
    assert!(!log.contains("525512345678") && !log.contains("agendar"), "no number and no words in the log");
    stage.is_clean();
    assert_eq!(api.ask(Method::DELETE, &format!("/recordings/{id}"), None).await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_does_not_keep_the_daemon_from_serving_and_is_tried_again() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = taken.local_addr().expect("an address").to_string();
    let script = Script::new(&secret(), "sk-test");
    let (world, openai) =
        (World::new(MediaScript::default()), OpenAiCallsServer::start(script).expect("loopback"));
    let mut program = Stage::program(&world, &openai, &[("WEBHOOK_LISTEN", &port)]).await;
    program.says("ERROR", &format!("El webhook de OpenAI no puede escuchar en {port}")).await;
    let api = Api::of(&program).await;
    let ready = asked(&api, "/ready", |ready| ready["sip_webhook"] == "closed").await;
    assert_eq!((&ready["ready"], &ready["warnings"]), (&json!(true), &json!(["webhook_closed"])));
    drop(taken);
    assert_eq!(webhook_of(&program).await.to_string(), port);
    let ready = asked(&api, "/ready", |ready| ready["sip_webhook"] == "listening").await;
    assert_eq!(ready["warnings"], json!([]));
    assert!(program.is_running());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_taken_is_rejected_so_that_the_trunk_finds_a_person() {
    let stage = Stage::new(&[], &[("MAX_CALLS", "1")]).await;
    let stranger = stage.openai.offer("rtc_stranger", &of_trunk()[..2]);
    assert_eq!(send(stage.webhook, &stranger), 200);
    stage.until("the stranger is rejected", "rtc_stranger", &State::Rejected(603)).await;
    stage.program.says("WARNING", "sin la cabecera de SIP_SHARED_HEADER").await;
    let late = stage.openai.offer("rtc_late", &of_trunk());
    let body = late.body.replace(&late.timestamp, &(unix_now() - 90).to_string());
    assert_eq!(send(stage.webhook, &signed("wh_late", &body)), 200);
    stage.until("a call that is too old is rejected", "rtc_late", &State::Rejected(503)).await;
    assert_eq!(stage.rings("rtc_first"), 200);
    stage.until("the first is taken", "rtc_first", &State::Accepted).await;
    assert_eq!(stage.rings("rtc_second"), 200);
    stage.until("there is no room", "rtc_second", &State::Rejected(486)).await;
    stage.openai.caller_hangs_up("rtc_first");
    stage.program.says("INFO", "Llamada terminada").await;
    stage.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_says_goodbye_and_hangs_up() {
    let mut stage = Stage::new(&[], &[("SHUTDOWN_GRACE_SECONDS", "1")]).await;
    assert_eq!(stage.rings(CALL), 200);
    stage.program.says("INFO", "msg_type updated recibido").await;
    stage.program.signal("TERM");
    assert_eq!(stage.rings("rtc_later"), 200);
    stage.until("who comes later is rejected", "rtc_later", &State::Rejected(503)).await;
    stage.until("the call is hung up", CALL, &State::HungUp).await;
    assert!(stage.program.exit().await.success());
    stage.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_was_killed_leaves_no_session_without_an_owner() {
    let mut stage = Stage::new(&[], &[]).await;
    assert_eq!(stage.rings(CALL), 200);
    stage.program.says("INFO", "msg_type updated recibido").await;
    // The call log is written beside the call.
    let api = Api::of(&stage.program).await;
    asked(&api, "/calls", |calls| calls["calls"][0]["id"] == CALL).await;
    stage.program.signal("KILL");
    stage.program.exit().await;
    assert_eq!(stage.openai.look(|calls| calls.state(CALL).cloned()), Some(State::Accepted));
    stage.program = Stage::program(&stage.world, &stage.openai, &[]).await;
    stage.until("the next one hangs it up", CALL, &State::HungUp).await;
    stage.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_webhook_was_answered_is_decided_also_if_the_daemon_is_killed_at_once() {
    let says_nothing = Say::Words(String::new());
    let mut stage = Stage::new(&[says_nothing], &[]).await;
    for n in 0..5 {
        let call = format!("rtc_cut_{n}");
        let api = Api::of(&stage.program).await;
        asked(&api, "/calls", |calls| calls["calls"].is_array()).await;
        if stage.rings(&call) != 200 {
            // The disk of this machine is too slow at this moment, and OpenAI would send again.
            stage.openai.caller_hangs_up(&call);
            continue;
        }
        stage.program.signal("KILL");
        stage.program.exit().await;
        stage.program = Stage::program(&stage.world, &stage.openai, &[]).await;
        stage.webhook = webhook_of(&stage.program).await;
        // It was taken, or it was not: either way the caller is not left ringing, and nobody pays for nothing.
        until("OpenAI is told", || {
            let state = stage.openai.look(|calls| calls.state(&call).cloned());
            matches!(state, Some(State::Rejected(503) | State::HungUp))
        })
        .await;
    }
    stage.openai.look(|calls| assert_eq!(calls.left(), [""; 0]));
}

/// OpenAI that answers no request about a call until it may.
struct SlowOpenAi {
    address: SocketAddr,
    /// The paths of the requests that have come.
    asked: Arc<Mutex<BTreeSet<String>>>,
    /// Dropped: it answers.
    gate: Option<mpsc::Sender<()>>,
}

impl SlowOpenAi {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::<Mutex<BTreeSet<String>>>::default();
        let (gate, closed) = mpsc::channel::<()>();
        let (all, closed) = (Arc::clone(&asked), Arc::new(Mutex::new(closed)));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (all, closed) = (Arc::clone(&all), Arc::clone(&closed));
                std::thread::spawn(move || Self::answer(stream.expect("a connection"), &all, &closed));
            }
        });
        Self { address, asked, gate: Some(gate) }
    }

    fn answer(mut stream: TcpStream, all: &Mutex<BTreeSet<String>>, closed: &Mutex<mpsc::Receiver<()>>) {
        let mut read = [0; 4_096];
        // A request to reject a call is one small segment.
        while let Ok(length @ 1..) = stream.read(&mut read) {
            let text = String::from_utf8_lossy(&read[..length]).into_owned();
            let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
            all.lock().expect("no panic").insert(path);
            closed.lock().expect("no panic").recv().expect_err("nothing is sent");
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
        }
    }

    fn asked(&self) -> usize {
        self.asked.lock().expect("no panic").len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_answered_before_the_end_is_decided() {
    let mut openai = SlowOpenAi::start();
    let url = format!("http://{}/v1/realtime/calls", openai.address);
    let mut stage = Stage::new(&[], &[("OPENAI_CALLS_URL", &url)]).await;
    // More strangers than are rejected at once.
    for n in 0..40 {
        let stranger = stage.openai.offer(&format!("rtc_stranger_{n}"), &of_trunk()[..2]);
        assert_eq!(send(stage.webhook, &stranger), 200);
    }
    until("OpenAI is asked", || openai.asked() > 0).await;
    let looks = || {
        let is_look = |(_, line): &(_, String)| line.starts_with("GET /applications/");
        stage.world.asterisk.journal().iter().filter(|line| is_look(line)).count()
    };
    let before = looks();
    stage.program.signal("TERM");
    until("the daemon looks for the last time whether anybody is left", || looks() > before).await;
    openai.gate = None;
    assert!(stage.program.exit().await.success());
    assert_eq!(openai.asked(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_a_killed_daemon_had_not_accepted_yet_is_rejected_by_the_next() {
    let openai = SlowOpenAi::start();
    let url = format!("http://{}/v1/realtime/calls", openai.address);
    let mut stage = Stage::new(&[], &[("OPENAI_CALLS_URL", &url)]).await;
    assert_eq!(stage.rings(CALL), 200);
    until("OpenAI is asked", || openai.asked() > 0).await;
    asked(&Api::of(&stage.program).await, "/calls", |calls| calls["calls"][0]["id"] == CALL).await;
    stage.program.signal("KILL");
    stage.program.exit().await;
    // The request has not come to this OpenAI, where the call still rings.
    stage.program = Stage::program(&stage.world, &stage.openai, &[]).await;
    stage.until("the trunk is told", CALL, &State::Rejected(503)).await;
    stage.is_clean();
}

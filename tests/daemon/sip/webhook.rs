//! What comes to the webhook of OpenAI: what is refused, bodies that do not come, and webhooks that come twice.

use std::io::Write as _;
use std::net::TcpStream;

use openai_inbound_calls::clock::now;
use openai_inbound_calls::sim::openai_calls::{State, Webhook, incoming};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    CALL, Stage, asked, of_trunk, post, request_of, secret, send, send_raw, signed, unix_now, webhook_of,
};
use crate::api::Api;
use crate::world::{PATIENCE, Program, ms};

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_come_from_openai_is_refused_with_its_status() {
    let stage = Stage::new(&[], &[]).await;
    let body = incoming(CALL, unix_now(), &of_trunk());
    let good = signed("wh_1", &body);
    let changed = |change: &dyn Fn(&mut Webhook)| {
        let mut webhook = good.clone();
        change(&mut webhook);
        request_of(&webhook)
    };
    let other = Webhook::signed(b"another secret", "wh_1", unix_now(), body.clone());
    let stale = Webhook::signed(&secret(), "wh_1", unix_now() - 301, body.clone());
    let early = Webhook::signed(&secret(), "wh_1", unix_now() + 301, body.clone());
    let twice = |name: &str, value: &str| {
        let text = String::from_utf8(request_of(&good)).expect("text");
        text.replacen("\r\n\r\n", &format!("\r\n{name}: {value}\r\n\r\n"), 1).into_bytes()
    };
    let big = format!("POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", 10 << 20);
    let chunks = format!(
        "POST /webhook HTTP/1.1\r\nhost: x\r\n{}transfer-encoding: chunked\r\n\r\n{}",
        looks_like_openai(),
        format!("1000\r\n{}\r\n", "x".repeat(0x1000)).repeat(20)
    );
    let outside = incoming("rtc_../../etc", unix_now(), &[]);
    let endless = b"POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{".to_vec();
    for (what, request, status) in [
        ("another path", post("/recordings", &[], b"{}"), 404),
        ("another method", b"GET /webhook HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), 405),
        ("no headers", post("/webhook", &[], body.as_bytes()), 400),
        ("no signature", changed(&|webhook| webhook.signature.clear()), 400),
        ("a wrong signature", changed(&|webhook| webhook.signature = "v1,AAAA".into()), 400),
        ("a foreign signature", request_of(&other), 400),
        ("a stale timestamp", request_of(&stale), 400),
        ("an early timestamp", request_of(&early), 400),
        ("another id", changed(&|webhook| webhook.id = "wh_2".into()), 400),
        ("another body", changed(&|webhook| webhook.body.push(' ')), 400),
        ("two signatures", twice("webhook-signature", &good.signature), 400),
        ("two ids", twice("webhook-id", "wh_1"), 400),
        ("two timestamps", twice("webhook-timestamp", &good.timestamp), 400),
        ("10 MB", big.into_bytes(), 413),
        ("no headers, and the body does not come", endless, 400),
        ("no length and no end", chunks.into_bytes(), 413),
        ("invalid UTF-8", request_of(&signed("wh_3", "\u{fffd}{")), 400),
        ("no JSON", request_of(&signed("wh_4", "hola")), 400),
        ("an id that leaves the folder", request_of(&signed("wh_5", &outside)), 400),
        ("an id that is none", request_of(&signed("wh_6", &incoming("call_1", unix_now(), &[]))), 400),
    ] {
        assert_eq!(send_raw(stage.webhook, &request), status, "{what}");
    }
    for (id, kind) in [("wh_7", "live.transport.incoming"), ("wh_8", "response.completed"), ("wh_9", "x")] {
        let body = json!({"object": "event", "id": id, "type": kind, "created_at": unix_now(), "data": {"session_id": "live_1"}});
        assert_eq!(send(stage.webhook, &signed(id, &body.to_string())), 200, "{kind}");
    }
    // The dashboard's test button sends a call that does not exist.
    assert_eq!(send(stage.webhook, &good), 200);
    stage.program.says("INFO", "Llamada terminada").await;
    let api = Api::of(&stage.program).await;
    let figures = api.ask(Method::GET, "/metrics", None).await;
    for (outcome, times) in [
        ("offered", 1),
        ("ignored", 3),
        ("unverified", 12),
        ("malformed", 4),
        ("too_large", 2),
        ("repeated", 0),
    ] {
        let line = format!("sip_webhooks_total{{outcome=\"{outcome}\"}} {times}\n");
        assert!(figures.text().contains(&line), "{line}: {}", figures.text());
    }
    let log = stage.program.log();
    assert_eq!(stage.program.count("WARNING", "Se rechaza un webhook"), 1, "once: {log}");
    assert!(!log.contains("whsec_") && !log.contains("525512345678"));
    stage.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_whose_signatures_are_all_wrong_is_warned_of_until_a_genuine_one_comes() {
    let stage = Stage::new(&[], &[]).await;
    let api = Api::of(&stage.program).await;
    let genuine = stage.openai.offer(CALL, &of_trunk());
    // A secret that is being replaced has two signatures, of which one has to be right.
    let wrong = |letter: &str| format!("v1,{}=", letter.repeat(43));
    let signature = format!("{} {}", wrong("A"), wrong("B"));
    assert_eq!(send(stage.webhook, &Webhook { signature, ..genuine.clone() }), 400);
    let warned = |ready: &Value| ready["warnings"] == json!(["webhook_refused"]);
    let ready = asked(&api, "/ready", warned).await;
    assert_eq!((&ready["ready"], &ready["sip_webhook"]), (&json!(true), &json!("listening")));
    let signature = format!("{} {}", wrong("A"), genuine.signature);
    assert_eq!(send(stage.webhook, &Webhook { signature, ..genuine }), 200);
    asked(&api, "/ready", |ready| ready["warnings"] == json!([])).await;
    stage.until("the call is taken", CALL, &State::Accepted).await;
    stage.openai.caller_hangs_up(CALL);
    stage.program.says("INFO", "Llamada terminada").await;
    stage.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let stage = Stage::new(&[], &[]).await;
    let webhook = stage.webhook;
    let begun = begun("");
    let slow = tokio::task::spawn_blocking(move || send_raw(webhook, &begun));
    assert_eq!(slow.await.expect("a thread"), 408);
}

/// Headers as OpenAI sends them, with a signature that is of the right form and wrong.
fn looks_like_openai() -> String {
    let signature = format!("v1,{}=", "A".repeat(43));
    format!("webhook-id: wh_1\r\nwebhook-timestamp: {}\r\nwebhook-signature: {signature}\r\n", unix_now())
}

/// The beginning of a request that could be OpenAI's, with these more headers. Its body does not come.
fn begun(more: &str) -> Vec<u8> {
    let headers = looks_like_openai();
    format!("POST /webhook HTTP/1.1\r\nhost: x\r\n{headers}{more}content-length: 100\r\n\r\n{{").into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_its_bodies_slowly_shuts_out_nobody_else_and_is_told_of() {
    let stage = Stage::new(&[], &[("API_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let begun = begun("x-forwarded-for: 198.51.100.9\r\n");
    let slow: Vec<_> = (0..64)
        .map(|_| {
            let mut stream = TcpStream::connect(stage.webhook).expect("the webhook listens");
            stream.write_all(&begun).expect("it is sent");
            stream
        })
        .collect();
    // So many bodies of one client are not waited for.
    stage.program.says("WARNING", "El webhook rechaza peticiones (429)").await;
    let webhook = stage.openai.offer(CALL, &of_trunk());
    let text = String::from_utf8(request_of(&webhook)).expect("text");
    let other = text.replacen("\r\n", "\r\nx-forwarded-for: 203.0.113.77\r\n", 1);
    assert_eq!(send_raw(stage.webhook, other.as_bytes()), 200);
    stage.until("the call is taken", CALL, &State::Accepted).await;
    asked(&Api::of(&stage.program).await, "/ready", |ready| ready["warnings"] == json!(["webhook_crowded"]))
        .await;
    drop(slow);
    assert_eq!(stage.program.count("WARNING", "El webhook rechaza peticiones (429)"), 1);
    stage.openai.caller_hangs_up(CALL);
    stage.program.says("INFO", "Llamada terminada").await;
    stage.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_broken_off_is_not_taken_for_too_large() {
    let stage = Stage::new(&[], &[]).await;
    let mut stream = TcpStream::connect(stage.webhook).expect("the webhook listens");
    stream.write_all(&begun("")).expect("it is sent");
    stream.shutdown(std::net::Shutdown::Write).expect("a socket");
    let figures = counted(&stage.program, "sip_webhooks_total{outcome=\"broken_off\"} 1\n").await;
    assert!(figures.contains("sip_webhooks_total{outcome=\"too_large\"} 0\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_comes_twice_is_one_call() {
    let stage = Stage::new(&[], &[]).await;
    let webhook = stage.openai.offer(CALL, &of_trunk());
    assert_eq!((send(stage.webhook, &webhook), send(stage.webhook, &webhook)), (200, 200));
    // A later attempt is signed anew.
    let again = Webhook::signed(&secret(), &webhook.id, unix_now() + 1, webhook.body);
    assert_eq!(send(stage.webhook, &again), 200);
    stage.program.says("INFO", "msg_type updated recibido").await;
    stage.openai.caller_hangs_up(CALL);
    stage.program.says("INFO", "Llamada terminada").await;
    assert_eq!(stage.program.count("INFO", "Nueva llamada recibida"), 1);
    stage.is_clean();
}

/// Waits until the daemon's metrics have this line, and returns all of them.
async fn counted(program: &Program, line: &str) -> String {
    let api = Api::of(program).await;
    let deadline = now() + PATIENCE;
    loop {
        let figures = api.ask(Method::GET, "/metrics", None).await;
        if figures.text().contains(line) {
            return figures.text().to_owned();
        }
        assert!(now() < deadline, "never {line}: {}", figures.text());
        tokio::time::sleep(ms(50)).await;
    }
}

/// Waits until the daemon has decided so of so many offers.
async fn decided(program: &Program, outcome: &str, times: u32) {
    counted(program, &format!("openai_inbound_calls_sip_offers_total{{outcome=\"{outcome}\"}} {times}\n"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_comes_again_hours_later_after_a_restart_is_answered_and_ignored() {
    let mut stage = Stage::new(&[], &[]).await;
    let webhook = stage.openai.offer(CALL, &of_trunk());
    assert_eq!(send(stage.webhook, &webhook), 200);
    stage.program.says("INFO", "msg_type updated recibido").await;
    stage.openai.caller_hangs_up(CALL);
    stage.program.says("INFO", "Llamada terminada").await;
    stage.program.signal("KILL");
    stage.program.exit().await;
    stage.program = Stage::program(&stage.world, &stage.openai, &[]).await;
    stage.webhook = webhook_of(&stage.program).await;
    // A later attempt is signed anew, and the call in it is old.
    let again = Webhook::signed(&secret(), &webhook.id, unix_now(), webhook.body.clone());
    assert_eq!(send(stage.webhook, &again), 200);
    decided(&stage.program, "repeated", 1).await;
    // Another webhook about the same call is no other call.
    assert_eq!(send(stage.webhook, &signed("wh_other", &webhook.body)), 200);
    decided(&stage.program, "repeated", 2).await;
    assert_eq!(stage.rings("rtc_next"), 200);
    stage.until("the next call is taken", "rtc_next", &State::Accepted).await;
    stage.openai.caller_hangs_up("rtc_next");
    stage.program.says("INFO", "Llamada terminada").await;
    assert_eq!(stage.program.count("INFO", "Nueva llamada recibida"), 1, "{}", stage.program.log());
    stage.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_log_that_is_away_costs_no_call_and_the_memory_knows_what_comes_again() {
    let stage = Stage::new(&[], &[("DATABASE_URL", "sqlite:/proc/none/calls.db")]).await;
    let webhook = stage.openai.offer(CALL, &of_trunk());
    // A crash could forget the call, so that the webhook has to come again.
    assert_eq!((send(stage.webhook, &webhook), send(stage.webhook, &webhook)), (503, 200));
    stage.program.says("INFO", "msg_type updated recibido").await;
    stage.openai.caller_hangs_up(CALL);
    stage.program.says("INFO", "Llamada terminada").await;
    assert_eq!(stage.program.count("INFO", "Nueva llamada recibida"), 1);
    stage.is_clean();
}

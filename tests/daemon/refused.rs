//! Tests of a Realtime server that refuses. If a person must act, the caller is handed back at once, and a
//! line says what to do. If the refusal is temporary, the daemon tries again, and the caller is answered.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures_util::{StreamExt as _, stream};
use openai_inbound_calls::clock::now;
use openai_inbound_calls::sim::asterisk::Ending;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Fault, FaultKind, Script, Trigger, pattern};
use tokio::net::{TcpListener, TcpSocket};

use crate::api::Api;
use crate::ready::becomes;
use crate::world::{World, assert_no_violations, contains, listen, ms, until};

/// The number of cases that run at once. Each has a daemon of its own.
const AT_ONCE: usize = 6;

const KEY: &str = "OpenAI rechaza la clave: revise OPENAI_API_KEY";
const QUOTA: &str = "La cuenta de OpenAI no tiene saldo o ha llegado a su límite: revise la facturación";
const MODEL: &str =
    "El modelo gpt-realtime-2.1 no existe o la clave no tiene acceso a él: revise OPENAI_REALTIME_MODEL";
const COUNTRY: &str = "OpenAI no atiende a este país o región";
const PROXY: &str = "Respondió un proxy o firewall en lugar de OpenAI";
const BETA: &str = "OpenAI ya no admite el dialecto beta: ponga OPENAI_REALTIME_DIALECT=ga";

/// A server that always fails in this way.
fn always(kind: FaultKind) -> Script {
    Script { faults: vec![Fault::new(Trigger::OnConnect, kind)], ..Script::default() }
}

fn status(status: u16, code: &str) -> FaultKind {
    FaultKind::RefuseAs(status, code.to_owned())
}

fn error(code: &str) -> FaultKind {
    FaultKind::Error(code.to_owned())
}

fn close(code: u16, word: &str) -> FaultKind {
    FaultKind::Close(code, format!("invalid_request_error.{word}"))
}

/// Places one call with this server. The caller is handed back for this reason, and the operator and `/ready`
/// say so.
async fn is_handed_back(world: World, url: Option<&str>, reason: &str, level_and_line: [(&str, &str); 2]) {
    let changes: Vec<_> = url.into_iter().map(|url| ("OPENAI_REALTIME_URL", url)).collect();
    let program = world.program(&changes).await;
    let api = Api::of(&program).await;
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    world.over(call).await;
    let what = level_and_line[0].1;
    assert!(matches!(world.asterisk.outcome(call).ended, Some(Ending::Continued { .. })), "{what}");
    assert_eq!(world.end_reason(call).as_deref(), Some(reason), "{what}\n{}", program.log());
    for (level, line) in level_and_line {
        program.says(level, line).await;
    }
    assert_eq!(program.count("ERROR", ""), 1, "one plain line:\n{}", program.log());
    becomes(&api, &["openai_failing"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_must_mend_is_named_with_its_remedy_and_the_caller_handed_back() {
    let elsewhere = |cause| format!("OpenAI rechaza la sesión ({cause}): revise OPENAI_REALTIME_URL");
    let cases = [
        (status(401, "invalid_api_key"), KEY.to_owned()),
        (status(403, ""), "OpenAI no permite esto a la clave (HTTP 403".to_owned()),
        (status(403, "unsupported_country_region_territory"), COUNTRY.to_owned()),
        (status(403, "mismatched_project"), "La clave no es del proyecto u organización".to_owned()),
        (status(401, "mismatched_organization"), "La clave no es del proyecto u organización".to_owned()),
        (
            status(401, "ip_not_authorized"),
            "La cuenta de OpenAI solo admite ciertas direcciones IP".to_owned(),
        ),
        (FaultKind::RefuseWithPage(403), format!("{PROXY} (HTTP 403)")),
        (FaultKind::RefuseWithPage(407), format!("{PROXY} (HTTP 407)")),
        (status(403, "model_not_found"), MODEL.to_owned()),
        (status(404, "model_not_found"), MODEL.to_owned()),
        (status(404, "unknown_url"), elsewhere("HTTP 404 unknown_url")),
        (status(429, "insufficient_quota"), QUOTA.to_owned()),
        (error("invalid_api_key"), KEY.to_owned()),
        (error("account_deactivated"), KEY.to_owned()),
        (error("insufficient_quota"), QUOTA.to_owned()),
        (error("billing_hard_limit_reached"), QUOTA.to_owned()),
        (error("model_not_found"), MODEL.to_owned()),
        (error("invalid_model"), MODEL.to_owned()),
        (error("missing_model"), MODEL.to_owned()),
        (error("beta_api_shape_disabled"), BETA.to_owned()),
        (close(3000, "invalid_api_key"), KEY.to_owned()),
        (close(4000, "insufficient_quota"), QUOTA.to_owned()),
        (close(4000, "invalid_model"), MODEL.to_owned()),
        (close(4004, "model_not_found"), MODEL.to_owned()),
        (close(4000, "beta_api_shape_disabled"), BETA.to_owned()),
        (close(4000, "news"), elsewhere("el servidor cerró la conexión: 4000 invalid_request_error.news")),
        (FaultKind::ResponseFails("insufficient_quota".into()), QUOTA.to_owned()),
    ];
    let tried = stream::iter(cases).for_each_concurrent(AT_ONCE, async |(kind, line)| {
        let lines = [
            ("ERROR", &*line),
            ("WARNING", "Llamada devuelta al dialplan - Motivo: OpenAI rechazó la sesión"),
        ];
        is_handed_back(World::new(always(kind)), None, "session_failed", lines).await;
    });
    tried.await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_never_lets_us_in_is_waited_for_eight_seconds() {
    // The port is bound, so that no other program gets it, but nobody listens on it.
    let nobody = TcpSocket::new_v4().expect("a socket");
    nobody.bind(([127, 0, 0, 1], 0).into()).expect("loopback");
    let refused = format!("ws://{}/v1/realtime", nobody.local_addr().expect("bound"));
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let mute = format!("ws://{}/v1/realtime", silent.local_addr().expect("bound"));
    let busy = World::new(always(status(503, "server_error")));
    let limited = World::new(always(status(429, "rate_limit_exceeded")));
    let plain = World::new(Script::default());
    let tls_to_plain = plain.openai.url().replace("ws://", "wss://");
    let cases = [
        (World::new(Script::default()), Some(refused), "Connection refused"),
        (World::new(Script::default()), Some(mute), "sin respuesta en 5 s"),
        (plain, Some(tls_to_plain), "received corrupt message"),
        (busy, None, "HTTP 503 server_error"),
        (limited, None, "HTTP 429 rate_limit_exceeded"),
    ];
    let tried = stream::iter(cases).for_each_concurrent(None, async |(world, url, cause)| {
        let tried = format!("No se pudo abrir la sesión con OpenAI ({cause}");
        let late = format!("La sesión con OpenAI no se abrió en 8 s; última causa: {cause}");
        let lines = [("WARNING", &*tried), ("ERROR", &*late)];
        is_handed_back(world, url.as_deref(), "session_late", lines).await;
    });
    tried.await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_passes_is_tried_again_and_the_caller_is_greeted() {
    let cases = [
        (status(408, "timeout"), "HTTP 408 timeout"),
        (status(429, "rate_limit_exceeded"), "HTTP 429 rate_limit_exceeded"),
        (status(500, "server_error"), "HTTP 500 server_error"),
        (status(502, ""), "HTTP 502"),
        (status(503, ""), "HTTP 503"),
        (status(504, ""), "HTTP 504"),
        (FaultKind::Close(1001, "going away".into()), "el servidor cerró la conexión: 1001"),
        (FaultKind::Close(1011, "keepalive ping timeout".into()), "el servidor cerró la conexión: 1011"),
        (FaultKind::Close(1012, "restart".into()), "el servidor cerró la conexión: 1012 restart"),
        (FaultKind::Close(1013, "try again".into()), "el servidor cerró la conexión: 1013"),
        (FaultKind::Drop, ""),
    ];
    let tried = stream::iter(cases).for_each_concurrent(AT_ONCE, async |(kind, cause)| {
        let first = Arc::new(always(kind));
        let world =
            World::choosing(move |n| if n == 0 { Arc::clone(&first) } else { Arc::new(Script::default()) });
        let program = world.program(&[]).await;
        let api = Api::of(&program).await;
        let call = world.call([&listen()[..], &[Step::HangUp]].concat());
        world.over(call).await;
        assert!(contains(&world.heard(call), &pattern(1_500, 1)), "{cause}: the greeting");
        assert_eq!(world.asterisk.outcome(call).ended, Some(Ending::CallerHungUp), "{cause}");
        program.says("WARNING", &format!("No se pudo abrir la sesión con OpenAI ({cause}")).await;
        assert_eq!(program.count("ERROR", ""), 0, "{cause}\n{}", program.log());
        becomes(&api, &[]).await;
    });
    tried.await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_that_is_no_refusal_disturbs_nobody() {
    for code in ["server_error", "rate_limit_exceeded", "inference_rate_limit_exceeded"] {
        let world = World::new(always(error(code)));
        let program = world.program(&[]).await;
        let call = world.call([&listen()[..], &[Step::HangUp]].concat());
        world.over(call).await;
        assert!(contains(&world.heard(call), &pattern(1_500, 1)), "{code}: the greeting");
        assert_eq!(program.count("ERROR", ""), 0, "{code}\n{}", program.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_a_server_echoes_is_nowhere_in_the_log() {
    let key = "compatible-4711";
    for kind in [error(key), close(4000, key), FaultKind::ResponseFails(key.into())] {
        let world = World::new(Script { key: Some(key.into()), ..always(kind.clone()) });
        let program = world.program(&[("OPENAI_API_KEY", key), ("LOG_LEVEL", "debug")]).await;
        let call = world.call(vec![Step::Pause(ms(5_000)), Step::HangUp]);
        world.over(call).await;
        let log = program.log();
        assert!(!log.contains(key), "{kind:?}:\n{log}");
        assert!(log.contains('…'), "{kind:?}: what was echoed is masked\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_complains_of_in_words_is_told_to_developers_only() {
    // The fake says "Something went wrong." with every error.
    let faults = vec![Fault::new(Trigger::At(ms(1_500)), error("odd"))];
    let world = World::new(Script { faults, ..Script::default() });
    let program = world.program(&[("LOG_LEVEL", "debug")]).await;
    let call = world.call([&listen()[..], &[Step::HangUp]].concat());
    world.over(call).await;
    program.says("ERROR", "OpenAI rechaza un mensaje del servicio (odd). La llamada continúa").await;
    for line in program.log().lines().filter(|line| line.contains("Something went wrong")) {
        assert!(line.contains(" - DEBUG - "), "{line}");
    }
    assert_eq!(program.count("DEBUG", "Something went wrong"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_told_to_slow_down_waits_longer_each_time() {
    let knocks = Arc::new(Mutex::new(Vec::<Instant>::new()));
    let noted = Arc::clone(&knocks);
    let world = World::choosing(move |n| {
        noted.lock().expect("no panic").push(now());
        Arc::new(if n < 3 { always(status(429, "rate_limit_exceeded")) } else { Script::default() })
    });
    let program = world.program(&[]).await;
    let call = world.call([&listen()[..], &[Step::HangUp]].concat());
    world.over(call).await;
    assert!(contains(&world.heard(call), &pattern(1_500, 1)), "the greeting");
    let knocks = knocks.lock().expect("no panic").clone();
    let pauses: Vec<_> = knocks.windows(2).map(|two| two[1] - two[0]).collect();
    assert_eq!(pauses.len(), 3);
    for (pause, least) in pauses.iter().zip([250, 500, 1_000]) {
        assert!(*pause >= ms(least), "{pauses:?}");
    }
    // The same cause is told once.
    assert_eq!(program.count("WARNING", "(HTTP 429 rate_limit_exceeded): se intenta de nuevo"), 1);
    assert_no_violations(&world.session());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_the_rate_limit_refuses_are_asked_for_again() {
    // The greeting fails twice, and the answer to the caller once.
    let fails = |number| {
        Fault::new(Trigger::OnResponse(number), FaultKind::ResponseFails("rate_limit_exceeded".into()))
    };
    let world = World::new(Script { faults: [1, 2, 4].map(fails).to_vec(), ..Script::default() });
    let program = world.program(&[]).await;
    let call =
        world.call([&listen()[..], &[Step::Say(pattern(1_000, 7))], &[Step::Pause(ms(60_000))]].concat());
    until("the greeting is heard, and the answer", || {
        let heard = world.heard(call);
        contains(&heard, &pattern(1_500, 1)) && contains(&heard, &pattern(2_000, 2))
    })
    .await;
    world.asterisk.hang_up(call);
    world.over(call).await;
    assert_eq!(program.count("WARNING", "El modelo no pudo responder (rate_limit_exceeded)"), 3);
    assert_eq!(program.count("ERROR", ""), 0, "{}", program.log());
    assert_no_violations(&world.session());
}

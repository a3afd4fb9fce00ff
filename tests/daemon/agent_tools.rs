//! Tests of an agent's tools, behind sockets: an appointment that is booked exactly once, its place in the recording, and a
//! caller who hangs up too early.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, Script, pattern};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::api::Api;
use crate::call_log::{calls, ended};
use crate::world::{World, assert_no_violations, listen, ms, until};

/// What was asked of the clinic's server.
#[derive(Debug, Default)]
pub(crate) struct Clinic {
    /// The days for which the free hours were asked, with the header of the secret.
    pub(crate) asked: Vec<(String, String)>,
    /// The keys and bodies of all bookings.
    pub(crate) booked: Vec<(String, Value)>,
    /// How many bookings fail with 503 first.
    pub(crate) failures: usize,
}

pub(crate) type Shared = Arc<Mutex<Clinic>>;

pub(crate) fn locked(clinic: &Shared) -> std::sync::MutexGuard<'_, Clinic> {
    clinic.lock().expect("nobody panics with it")
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

async fn slots(
    State(clinic): State<Shared>,
    axum::extract::Path(day): axum::extract::Path<String>,
    headers: HeaderMap,
) -> String {
    locked(&clinic).asked.push((day, header(&headers, "authorization")));
    json!({"slots": [{"start": "09:00", "free": true}, {"start": "10:00", "free": false}]}).to_string()
}

async fn customers(RawQuery(query): RawQuery) -> String {
    let known = query.as_deref() == Some("phone=3001234567");
    if known { json!([{"id": 7, "name": "Ana"}]).to_string() } else { "[]".to_owned() }
}

async fn book(State(clinic): State<Shared>, headers: HeaderMap, body: String) -> (StatusCode, String) {
    let mut clinic = locked(&clinic);
    let body = serde_json::from_str(&body).expect("JSON");
    clinic.booked.push((header(&headers, "idempotency-key"), body));
    if clinic.failures > 0 {
        clinic.failures -= 1;
        return (StatusCode::SERVICE_UNAVAILABLE, String::new());
    }
    (StatusCode::OK, json!({"id": 4711}).to_string())
}

/// A server of a clinic, and the folder of an agent that uses it.
pub(crate) async fn clinic() -> (Shared, tempfile::TempDir, JoinSet<()>) {
    let clinic = Shared::default();
    let routes = Router::new()
        .route("/days/{day}/slots", get(slots))
        .route("/customers", get(customers))
        .route("/appointments", post(book))
        .with_state(Arc::clone(&clinic));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    let mut server = JoinSet::new();
    server.spawn(async move { drop(axum::serve(listener, routes).await) });
    let folder = tempfile::tempdir().expect("a folder");
    let agent = format!(
        r#"
numbers = ["3241000752"]
greeting = "Clínica Sol{{{{ ', ' ~ lookup.customer.name if lookup.customer else '' }}}}. ¿En qué le ayudo?"

[[lookup]]
name = "customer"
request = "GET {origin}/customers"
query = {{ phone = "{{{{ call.caller }}}}" }}
patience = 5
result = "{{{{ {{'id': body[0].id, 'name': body[0].name}} if body else none }}}}"

[[tool]]
name = "free_slots"
effect = "read"
description = "Free hours of a day."
request = "GET {origin}/days/{{{{ args.day }}}}/slots"
headers = {{ Authorization = "Bearer {{{{ secret.CRM_TOKEN }}}}" }}
result = "{{{{ body.slots | selectattr('free') | map(attribute='start') | list }}}}"
[tool.parameters]
day = {{ type = "string" }}

[[tool]]
name = "book"
description = "Books an hour."
confirm = "caller"
idempotency = "Idempotency-Key"
request = "POST {origin}/appointments"
[tool.body]
start = "{{{{ args.start }}}}"
phone = "{{{{ call.caller }}}}"
customer = "{{{{ lookup.customer.id }}}}"
[tool.parameters]
start = {{ type = "string" }}
"#
    );
    std::fs::write(folder.path().join("citas.toml"), agent).expect("a file");
    (clinic, folder, server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_appointment_is_booked_once_after_the_callers_yes() {
    let (clinic, folder, _server) = clinic().await;
    locked(&clinic).failures = 1;
    let book = || Answer::call("book", r#"{"start":"09:00"}"#);
    let answers = vec![
        Answer::call("free_slots", r#"{"day":"2026-12-02"}"#),
        Answer::pattern("A las nueve. ¿Se la reservo?", 700, 3),
        book(),
        Answer::pattern("¿A las nueve, entonces?", 700, 4),
        book(),
        Answer::pattern("Listo.", 700, 5),
        // The model forgets that it is done.
        book(),
        Answer::pattern("Ya está reservada.", 700, 6),
    ];
    let world = World::new(Script { answers, ..Script::default() });
    world.openai.watch();
    let path = folder.path().display().to_string();
    let program = world.program(&[("AGENTS_DIR", &path), ("CRM_TOKEN", "s3cret-token")]).await;
    let turn = |n: u8| [&listen()[..], &[Step::Say(pattern(600, 100 + n))]].concat();
    let script = [turn(1), turn(2), turn(3), turn(4), listen().to_vec(), vec![Step::HangUp]].concat();
    let call = world.call(script);
    world.over(call).await;
    assert_no_violations(&world.session());

    let said = world.session().said();
    let by_client: Vec<_> =
        said.iter().filter(|said| said.by_client).map(|said| said.text.as_str()).collect();
    let facts =
        by_client.iter().position(|text| text.contains("These are data")).expect("the facts are told");
    let greeting =
        by_client.iter().position(|text| text.contains("Clínica Sol, Ana.")).expect("the greeting");
    assert!(facts < greeting && by_client[facts].contains("3001234567"), "{by_client:?}");
    let asked = locked(&clinic).asked.clone();
    assert_eq!(asked, [("2026-12-02".to_owned(), "Bearer s3cret-token".to_owned())]);
    // The server failed once, and got the same key again.
    let booked = locked(&clinic).booked.clone();
    let [(first, body), (second, _)] = &booked[..] else {
        panic!("one booking, in two attempts: {booked:?}")
    };
    assert!(first == second && first.len() == 22, "{booked:?}");
    assert_eq!(*body, json!({"start": "09:00", "phone": "3001234567", "customer": 7}));

    let api = Api::of(&program).await;
    let finished = api.only("finished").await;
    let path = format!("/recordings/{}/conversation", finished["id"].as_str().expect("an id"));
    let tools = api.get(&path).await.json()["tools"].clone();
    let of = |tool: &Value| (tool["name"].clone(), tool["outcome"].clone(), tool["attempts"].clone());
    let tools: Vec<_> = tools.as_array().expect("a list").iter().map(of).collect();
    assert_eq!(tools, [(json!("free_slots"), json!("ok"), json!(1)), (json!("book"), json!("ok"), json!(2))]);
    assert!(!program.log().contains("s3cret-token"), "a secret is in the log");

    // The call log and the metrics tell the same.
    let calls = calls(&api, "ended", |calls| calls.iter().any(ended)).await;
    let logged = calls[0]["tools"].as_array().expect("a list").clone();
    assert_eq!(logged.iter().map(of).collect::<Vec<_>>(), tools);
    assert_eq!(
        (&logged[1]["arguments"], &logged[1]["answer"]),
        (&json!({"start": "09:00"}), &json!({"ok": true, "result": {"id": 4711}}))
    );
    let metrics = api.get("/metrics").await;
    for (outcome, calls) in [("ask_first", 1), ("ok", 1), ("repeated", 1)] {
        let line = format!(
            "openai_inbound_calls_tool_calls_total{{agent=\"citas\",tool=\"book\",outcome=\"{outcome}\"}} {calls}\n"
        );
        assert!(metrics.text().contains(&line), "{line} in {}", metrics.text());
    }
    let took = "openai_inbound_calls_tool_seconds_count{agent=\"citas\",tool=\"book\"} 1\n";
    assert!(metrics.text().contains(took), "{}", metrics.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_recordings_are_encrypted_the_call_log_holds_no_words_of_tools() {
    let (_clinic, folder, _server) = clinic().await;
    let answers =
        vec![Answer::call("free_slots", r#"{"day":"2026-12-02"}"#), Answer::pattern("A las nueve.", 700, 3)];
    let world = World::new(Script { answers, ..Script::default() });
    let path = folder.path().display().to_string();
    let recipient = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
    let variables =
        [("AGENTS_DIR", path.as_str()), ("CRM_TOKEN", "s3cret-token"), ("RECORDINGS_RECIPIENT", recipient)];
    let program = world.program(&variables).await;
    let call =
        world.call([&listen()[..], &[Step::Say(pattern(600, 101))], &listen(), &[Step::HangUp]].concat());
    world.over(call).await;
    let api = Api::of(&program).await;
    let calls = calls(&api, "ended", |calls| calls.iter().any(ended)).await;
    let used = calls[0]["tools"][0].clone();
    assert_eq!((&used["name"], &used["outcome"]), (&json!("free_slots"), &json!("ok")));
    assert_eq!((&used["arguments"], &used["answer"]), (&Value::Null, &Value::Null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_runs_on_when_the_caller_hangs_up_and_the_operator_is_told() {
    // A server that answers late.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    let (answer, may_answer) = tokio::sync::oneshot::channel::<()>();
    let (asked, was_asked) = tokio::sync::oneshot::channel::<()>();
    let ways = Arc::new(Mutex::new(Some((asked, may_answer))));
    let late = post(async move || {
        let taken = ways.lock().expect("nobody panics with it").take();
        if let Some((asked, may_answer)) = taken {
            asked.send(()).ok();
            may_answer.await.ok();
        }
        json!({"id": 1}).to_string()
    });
    let mut server = JoinSet::new();
    server.spawn(async move { drop(axum::serve(listener, Router::new().route("/x", late)).await) });
    let folder = tempfile::tempdir().expect("a folder");
    let agent = format!(
        "numbers = [\"3241000752\"]\n[[tool]]\nname = \"book\"\ndescription = \"Books.\"\nrequest = \"POST {origin}/x\"\n\
         timeout = 60\nsay_after = 0\n"
    );
    std::fs::write(folder.path().join("citas.toml"), agent).expect("a file");
    let world = World::new(Script { answers: vec![Answer::call("book", "{}")], ..Script::default() });
    let path = folder.path().display().to_string();
    let program = world.program(&[("AGENTS_DIR", &path)]).await;
    let call = world.call([&listen()[..], &[Step::Say(pattern(600, 7)), Step::Pause(ms(60_000))]].concat());
    was_asked.await.expect("the server is asked");
    world.asterisk.hang_up(call);
    world.over(call).await;
    assert_eq!(program.count("INFO", "terminó después de la llamada"), 0);
    answer.send(()).expect("the server waits");
    program.says("INFO", "La herramienta book terminó después de la llamada: ok").await;
    until("the call is over", || world.end_reason(call).is_none()).await;
}

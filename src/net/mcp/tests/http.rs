//! Tests servers over HTTP: what is sent, what the answers mean, and the border.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Mutex;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::any;

use super::*;
use crate::net::tools::Names;

/// What the server does with a call.
enum Act {
    /// It answers so, with the id of the request.
    Answers(Value),
    /// It answers so in a stream of events, as servers may.
    Streams(Value),
    /// It answers with this status and no JSON.
    Status(u16),
    /// It answers nothing, until the test ends.
    Mute,
}

/// What the server was asked, and what it does.
#[derive(Default)]
struct Desk {
    /// The methods and names of all requests, with the token.
    asked: Vec<String>,
    acts: VecDeque<Act>,
    /// Before the protocol of 2026-07-28.
    is_old: bool,
    /// What the list holds, if not the usual tool.
    list: Option<Value>,
    /// On how many pages the list is, each of which is the same.
    pages: usize,
}

type Shared = Arc<Mutex<Desk>>;

fn locked(desk: &Shared) -> MutexGuard<'_, Desk> {
    desk.lock().expect("nobody panics with it")
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-").to_owned()
}

fn answer(status: StatusCode, body: &Value) -> Response<Body> {
    (status, [("content-type", "application/json")], body.to_string()).into_response()
}

async fn serve(State(desk): State<Shared>, headers: HeaderMap, body: String) -> Response<Body> {
    let request: Value = serde_json::from_str(&body).unwrap_or_default();
    let method = request["method"].as_str().unwrap_or("-").to_owned();
    let (name, token) = (text(&headers, "mcp-name"), text(&headers, "authorization"));
    let act = {
        let mut desk = locked(&desk);
        desk.asked.push(format!("{method} {name} {token}"));
        let usual = json!([{"name": "find", "description": "Finds.", "inputSchema": {"type": "object"}}]);
        let list = desk.list.clone().unwrap_or(usual);
        match method.as_str() {
            "server/discover" if desk.is_old => {
                let error = json!({"jsonrpc": "2.0", "error": {"code": -32_000, "message": "Server not initialized"}, "id": null});
                return answer(StatusCode::BAD_REQUEST, &error);
            }
            "server/discover" => Act::Answers(json!({
                "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}},
                "ttlMs": 0, "cacheScope": "private",
            })),
            "initialize" => Act::Answers(json!({
                "protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "x", "version": "1"},
            })),
            "tools/list" => {
                let mut page = json!({"resultType": "complete", "tools": list, "ttlMs": 60_000});
                let number: usize = request["params"]["cursor"].as_str().map_or(0, |at| at.parse().unwrap());
                if number + 1 < desk.pages {
                    page["nextCursor"] = (number + 1).to_string().into();
                }
                Act::Answers(page)
            }
            "tools/call" => desk.acts.pop_front().unwrap_or(Act::Mute),
            notice if notice.starts_with("notifications/") => Act::Status(202),
            _ => Act::Status(405),
        }
    };
    match act {
        Act::Answers(result) if result.get("code").is_some() => {
            answer(StatusCode::OK, &json!({"jsonrpc": "2.0", "id": request["id"], "error": result}))
        }
        Act::Answers(result) => {
            answer(StatusCode::OK, &json!({"jsonrpc": "2.0", "id": request["id"], "result": result}))
        }
        Act::Streams(result) => {
            let message = json!({"jsonrpc": "2.0", "id": request["id"], "result": result});
            let events = format!("event: message\ndata: {message}\n\n");
            ([("content-type", "text/event-stream")], events).into_response()
        }
        Act::Status(status @ 300..=399) => {
            let there = [("location", "http://169.254.169.254/latest")];
            (StatusCode::from_u16(status).unwrap(), there).into_response()
        }
        // Without the header, the library takes it for an unknown answer.
        Act::Status(401) => (StatusCode::UNAUTHORIZED, [("www-authenticate", "Bearer")]).into_response(),
        Act::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Act::Mute => std::future::pending().await,
    }
}

/// A server that does this with calls, and its session.
async fn desk(acts: Vec<Act>, change: impl FnOnce(&mut Desk)) -> (Shared, Kept, JoinSet<()>) {
    let desk = Shared::default();
    locked(&desk).acts = acts.into();
    change(&mut locked(&desk));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let routes = Router::new().route("/mcp", any(serve)).with_state(Arc::clone(&desk));
    let mut server = JoinSet::new();
    server.spawn(async move { drop(axum::serve(listener, routes).await) });
    let headers = vec![("Authorization".to_owned(), "Bearer s3cret".to_owned())];
    (desk, Kept::new(Address::Http(HttpAddress { url, headers })), server)
}

fn ana() -> Value {
    json!({
        "resultType": "complete", "content": [{"type": "text", "text": "Ana"}], "structuredContent": {"name": "Ana"},
    })
}

fn done() -> Act {
    Act::Answers(ana())
}

#[tokio::test]
async fn both_eras_are_spoken_and_the_secret_goes_along() {
    for is_old in [false, true] {
        let (desk, mut kept, _server) = desk(vec![done()], |desk| desk.is_old = is_old).await;
        assert_eq!(kept.listed().await, ["find"]);
        assert_eq!(kept.call(&errand(Effect::Read)).await, Called { result: Ok(found()), attempts: 1 });
        let asked = locked(&desk).asked.clone();
        let (name, methods) = if is_old { ("-", 5) } else { ("find", 3) };
        assert!(asked.contains(&format!("tools/call {name} Bearer s3cret")), "{asked:?}");
        let posts = asked.iter().filter(|asked| !asked.starts_with('-'));
        assert_eq!(posts.clone().count(), methods, "{asked:?}");
        assert!(posts.clone().all(|asked| asked.ends_with("Bearer s3cret")), "{asked:?}");
    }
}

#[tokio::test]
async fn what_a_server_answers_is_a_reply_or_a_failure() {
    let result = |value: Value| Act::Answers(value);
    let rows = [
        (
            result(
                json!({"resultType": "complete", "content": [{"type": "text", "text": "no"}], "isError": true}),
            ),
            Ok(Reply::Result { structured: None, text: "no".into(), is_error: true }),
        ),
        (
            result(json!({"resultType": "input_required", "requestState": "x", "inputRequests": {"who": {
                "method": "elicitation/create", "params": {"mode": "form", "message": "?", "requestedSchema": {"type": "object", "properties": {}}}}}})),
            Ok(Reply::NeedsScreen),
        ),
        (
            result(json!({"code": -32_602, "message": "phone"})),
            Ok(Reply::Error { code: -32_602, message: "phone".into() }),
        ),
        (Act::Status(302), Err(Failure::NotSent("HTTP 302".into()))),
        (Act::Status(401), Err(Failure::NotSent("HTTP 401".into()))),
        (Act::Status(404), Err(Failure::NotSent("HTTP 404".into()))),
        (Act::Status(429), Err(Failure::NotSent("HTTP 429".into()))),
        (Act::Status(503), Err(Failure::Unanswered("HTTP 503".into()))),
        (
            result(
                json!({"resultType": "complete", "content": [{"type": "text", "text": "x".repeat(2_000_000)}]}),
            ),
            Err(Failure::TooLarge { status: 200 }),
        ),
    ];
    for (act, expected) in rows {
        let (_desk, mut kept, _server) = desk(vec![act], |_| {}).await;
        kept.listed().await;
        // What writes is not sent twice; what was refused may be, and finds nothing more than silence.
        let called = kept.call(&Errand { timeout: Duration::from_secs(3), ..errand(Effect::Write) }).await;
        if matches!(expected, Err(Failure::NotSent(_))) {
            assert_eq!(called, Called { result: Err(Failure::Late), attempts: 2 });
        } else {
            assert_eq!(called, Called { result: expected, attempts: 1 });
        }
    }
}

#[tokio::test]
async fn our_clock_answers_and_only_what_may_be_repeated_is() {
    let late = |effect| Errand { timeout: Duration::from_millis(300), ..errand(effect) };
    let (_desk, mut kept, _server) = desk(vec![Act::Mute, Act::Mute], |_| {}).await;
    kept.listed().await;
    for effect in [Effect::Read, Effect::Write] {
        assert_eq!(kept.call(&late(effect)).await, Called { result: Err(Failure::Late), attempts: 1 });
    }
    let rows = [(Effect::Read, false, 2), (Effect::Write, false, 1), (Effect::Write, true, 2)];
    for (effect, idempotent, attempts) in rows {
        let (_desk, mut kept, _server) = desk(vec![Act::Status(503), done()], |_| {}).await;
        kept.listed().await;
        let called = kept.call(&Errand { idempotent, ..errand(effect) }).await;
        let result = if attempts == 2 { Ok(found()) } else { Err(Failure::Unanswered("HTTP 503".into())) };
        assert_eq!(called, Called { result, attempts });
    }
}

#[tokio::test]
async fn a_list_on_several_pages_is_read_up_to_a_bound() {
    for (pages, read) in [(1, 1), (3, 3), (100, 32)] {
        let (_desk, mut kept, _server) = desk(vec![], |desk| desk.pages = pages).await;
        assert_eq!(kept.listed().await, vec!["find"; read], "{pages} pages");
    }
}

#[tokio::test]
async fn a_tool_without_a_description_has_its_title() {
    let find = |more: Value| {
        let mut tool = json!({"name": "find", "title": "Finds people", "inputSchema": {"type": "object"}});
        tool.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        tool
    };
    let list = json!([find(json!({})), find(json!({"description": "Finds."}))]);
    let (_desk, mut kept, _server) = desk(vec![], |desk| desk.list = Some(list)).await;
    let News::Listed(tools) = kept.next().await else { panic!("away") };
    let descriptions: Vec<_> = tools.iter().map(|tool| tool.description.as_str()).collect();
    assert_eq!(descriptions, ["Finds people", "Finds."]);
}

#[tokio::test]
async fn an_answer_may_come_in_a_stream_which_has_a_bound() {
    let (_desk, mut kept, _server) = desk(vec![Act::Streams(ana())], |_| {}).await;
    kept.listed().await;
    assert_eq!(kept.call(&errand(Effect::Write)).await, Called { result: Ok(found()), attempts: 1 });
    let long =
        json!({"resultType": "complete", "content": [{"type": "text", "text": "x".repeat(2_000_000)}]});
    let (_desk, mut kept, _server) = desk(vec![Act::Streams(long)], |_| {}).await;
    kept.listed().await;
    let called = kept.call(&Errand { timeout: Duration::from_secs(3), ..errand(Effect::Write) }).await;
    assert!(called.result.is_err() && called.attempts == 1, "{called:?}");
}

#[tokio::test]
async fn a_call_is_made_twice_at_most_and_is_a_reason_to_look_at_the_server() {
    let (_desk, mut kept, _server) = desk(vec![Act::Status(503), Act::Status(503), done()], |_| {}).await;
    kept.listed().await;
    let failed = Called { result: Err(Failure::Unanswered("HTTP 503".into())), attempts: 2 };
    assert_eq!(kept.call(&errand(Effect::Read)).await, failed);
    let server = Arc::clone(&kept.server);
    tokio::select! {
        () = server.doubt.notified() => {}
        // The keeper was sooner, and has looked.
        tools = kept.listed() => assert_eq!(tools, ["find"]),
        () = tokio::time::sleep(Duration::from_secs(30)) => panic!("nobody looks"),
    }
}

#[tokio::test]
async fn a_server_that_fails_again_and_again_is_left_alone() {
    let acts = (0..5).map(|_| Act::Status(500)).collect();
    let (desk, mut kept, _server) = desk(acts, |_| {}).await;
    kept.listed().await;
    for _ in 0..5 {
        assert_eq!(kept.call(&errand(Effect::Write)).await.attempts, 1);
    }
    assert_eq!(kept.call(&errand(Effect::Write)).await, Called { result: Err(Failure::Closed), attempts: 0 });
    let calls = locked(&desk).asked.iter().filter(|asked| asked.starts_with("tools/call")).count();
    assert_eq!(calls, 5);
}

#[tokio::test]
async fn a_server_that_is_not_there_costs_its_calls_nothing() {
    // A port on which nobody listens.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    drop(listener);
    let mut kept = Kept::new(Address::Http(HttpAddress { url: url.clone(), headers: Vec::new() }));
    let called = kept.call(&errand(Effect::Read)).await;
    assert_eq!(called, Called { result: Err(Failure::Closed), attempts: 0 });
    let cause = kept.away().await;
    assert!(cause.starts_with("no connection (") && !cause.contains("127.0.0.1"), "{cause}");
}

#[tokio::test]
async fn an_address_that_no_tool_may_reach_is_refused_at_connect() {
    let metadata: IpAddr = "169.254.169.254".parse().unwrap();
    let names = Names::Fixed(vec![("crm.example.com", metadata)]);
    let client = ToolClient::with_names(&tls::client_config().unwrap(), names).unwrap();
    let url = "http://crm.example.com/mcp".to_owned();
    let mut kept = Kept::with_client(&client, Address::Http(HttpAddress { url, headers: Vec::new() }));
    assert_eq!(kept.away().await, "the address must not be reached");
}

#[tokio::test]
async fn a_list_that_is_no_list_or_too_long_is_a_server_that_is_away() {
    let long = json!([{"name": "x".repeat(2_000_000), "inputSchema": {"type": "object"}}]);
    for list in [json!("text"), json!([{"name": 5}]), long] {
        let (_desk, mut kept, _server) = desk(vec![], |desk| desk.list = Some(list)).await;
        kept.away().await;
        assert_eq!(kept.call(&errand(Effect::Read)).await.result, Err(Failure::Closed));
    }
}

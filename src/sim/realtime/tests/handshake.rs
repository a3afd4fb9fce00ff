//! Tests of the upgrade, the form of the frames, pings, and the end of the hour.

use super::*;

const KEY: (&str, &str) = ("authorization", "Bearer sk-test");

type Headers<'a> = &'a [(&'a str, &'a str)];

/// The error and the close code of a client that is not accepted.
fn turned_away(script: Script, query: &str, headers: &[(&str, &str)]) -> (String, u16, String) {
    let world = World::connect(script, query, headers).expect("101");
    assert_eq!(world.frames.len(), 2, "{:?}", world.frames);
    assert!(world.session.is_over());
    assert_eq!(world.session.deadline(), None);
    assert_eq!(world.violations().len(), 1);
    let code = world.last("error")["error"]["code"].as_str().expect("a code").to_owned();
    match &world.frames[1].1 {
        Outgoing::Close { code: close, reason } => (code, *close, reason.clone()),
        other @ (Outgoing::Text(_) | Outgoing::Binary(_) | Outgoing::Ping | Outgoing::Drop) => {
            panic!("{other:?}")
        }
    }
}

#[test]
fn who_is_not_let_in() {
    let model = "model=gpt-realtime-2.1";
    let cases: [(&str, Headers<'_>, &str, u16); 7] = [
        ("", &[KEY], "missing_model", 4000),
        ("model=", &[KEY], "missing_model", 4000),
        ("model=gpt-4o-realtime-preview-2024-12-17", &[KEY], "invalid_model", 4000),
        (model, &[], "invalid_api_key", 3000),
        (model, &[("Authorization", "Bearer sk-wrong")], "invalid_api_key", 3000),
        (model, &[("Authorization", "sk-test")], "invalid_api_key", 3000),
        (model, &[KEY, ("openai-beta", "realtime=v1")], "beta_api_shape_disabled", 4000),
    ];
    for (query, headers, code, close) in cases {
        let reason = format!("invalid_request_error.{code}");
        assert_eq!(turned_away(Script::default(), query, headers), (code.to_owned(), close, reason));
    }
}

#[test]
fn http_refusals() {
    for status in [401, 429, 503] {
        let faults = vec![Fault::new(Trigger::OnConnect, FaultKind::Refuse(status))];
        let script = Script { faults, ..Script::default() };
        let refusal = World::connect(script, "model=gpt-realtime-2.1", &[KEY]).err().expect("refused");
        assert_eq!(refusal.status, status);
        assert!(serde_json::from_str::<Value>(&refusal.body).is_ok());
    }
    let handshake = Handshake { path: "/v1/elsewhere", query: "", headers: &[] };
    let refusal = Session::accept(origin(), &handshake, Arc::new(Script::default()), 0).err();
    assert_eq!(refusal.map(|refusal| refusal.status), Some(404));
}

#[test]
fn the_session_is_that_of_appendix_a() {
    let world = World::with(Script::default());
    let created = world.last("session.created");
    let session = &created["session"];
    assert_eq!(session["expires_at"], 1_795_182_600);
    assert_eq!(session["id"], "sess_1");
    assert_eq!(session["model"], "gpt-realtime-2.1");
    assert_eq!(session["audio"]["input"]["format"], json!({"type": "audio/pcm", "rate": 24_000}));
    assert_eq!(
        session["audio"]["input"]["turn_detection"],
        json!({"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200,
            "idle_timeout_ms": null, "create_response": true, "interrupt_response": true})
    );
    let Outgoing::Text(text) = &world.frames[0].1 else { panic!("text first") };
    assert!(
        text.starts_with("{\"type\":\"session.created\",\"event_id\":\"event_1\",\"session\":{"),
        "{text}"
    );
}

#[test]
fn frames_that_are_no_events() {
    let mut world = World::configured(Script::default());
    world.session.receive(world.now, Incoming::Binary(&[1, 2, 3]));
    world.session.receive(world.now, Incoming::Text("{nonsense"));
    world.drain();
    let codes: Vec<Value> = world.all("error").iter().map(|error| error["error"]["code"].clone()).collect();
    assert_eq!(codes, ["invalid_event", "invalid_json"]);

    let (code, message, _) = world.refused(&json!({"event_id": "c_7"}));
    assert_eq!((code.as_str(), message.as_str()), ("invalid_event", "The 'type' field is missing."));
    assert_eq!(world.last("error")["error"]["event_id"], "c_7");
    let (code, message, param) = world.refused(&json!({"type": "nope"}));
    assert_eq!((code.as_str(), param.as_str()), ("invalid_value", "type"));
    let wanted = "Invalid value: 'nope'. Supported values are: 'session.update', 'session.close', 'input_audio_buffer.append', ";
    assert!(message.starts_with(wanted), "{message}");
    assert_eq!(world.refused(&json!([1])).0, "invalid_event");
    assert_eq!(world.refused(&json!({"type": 3})).0, "invalid_type");
    assert_eq!(world.refused(&json!({"type": "response.cancel", "x": 3})).2, "x");
    assert_eq!(world.refused(&json!({"type": "output_audio_buffer.clear"})).0, "invalid_value");
    let long = "x".repeat(513);
    assert_eq!(world.refused(&json!({"type": "response.cancel", "event_id": long})).2, "event_id");
    assert_eq!(world.violations().len(), 9);
    world.send(&json!({"type": "input_audio_buffer.clear", "event_id": "x".repeat(512)}));
    assert_eq!(world.all("input_audio_buffer.cleared").len(), 1);
    assert!(!world.session.is_over(), "an error closes nothing");
}

#[test]
fn a_ping_wants_a_pong() {
    let mut world = World::with(Script::default());
    world.pass(65_000);
    assert_eq!(world.frames.iter().filter(|(_, frame)| *frame == Outgoing::Ping).count(), 3);
    assert!(!world.session.is_over());

    let start = world.now;
    while let Some(due) = world.session.deadline().filter(|due| *due <= start + Duration::from_secs(40)) {
        world.session.advance(due);
    }
    assert!(world.session.is_over());
    assert_eq!(world.violations(), ["ping not answered (7)"]);
    let frames: Vec<Outgoing> = std::iter::from_fn(|| world.session.poll()).collect();
    assert!(matches!(frames.last(), Some(Outgoing::Close { code: 1011, .. })), "{frames:?}");
}

#[test]
fn an_hour_is_all_there_is() {
    let mut world = World::configured(Script { expires_in: Duration::from_mins(30), ..Script::default() });
    world.pass(30 * 60 * 1_000);
    let names = world.take();
    assert_eq!(names, ["error", "CLOSE 1001"]);
    assert_eq!(world.last("error")["error"]["code"], "session_expired");
    assert_eq!(world.session.deadline(), None);
    world.send(&create());
    assert_eq!(world.take(), [""; 0], "over is over");
    assert_eq!(world.violations(), [""; 0]);
}

#[test]
fn the_clients_farewell() {
    let mut world = World::configured(Script::default());
    world.send(&create());
    world.session.receive(world.now, Incoming::Closed);
    world.pass(10_000);
    assert_eq!(world.take(), ["response.created"]);
    assert_eq!(
        world.session.journal().last().map(|fact| &fact.what),
        Some(&What::Closed { by_client: true })
    );
}

#[test]
fn ids_of_two_sessions_differ() {
    let headers = [("Authorization".to_owned(), "Bearer sk-test".to_owned())];
    let handshake = Handshake { path: "/v1/realtime", query: "model=gpt-realtime-2.1", headers: &headers };
    let script = Arc::new(Script::default());
    let first = |seed| {
        let mut session = Session::accept(origin(), &handshake, Arc::clone(&script), seed).expect("let in");
        event(&session.poll().expect("session.created")).expect("JSON")["session"]["id"].clone()
    };
    assert_ne!(first(1), first(2));
    assert_eq!(first(7), first(7));
}

#[test]
fn the_wall_clock_is_the_scripts() {
    let start = origin();
    let headers = [("Authorization".to_owned(), "Bearer sk-test".to_owned())];
    let handshake = Handshake { path: "/v1/realtime", query: "model=gpt-realtime-2.1", headers: &headers };
    let script = Arc::new(Script { wall: Some((start, 1_000_000)), ..Script::default() });
    let session = Session::accept(start + Duration::from_secs(50), &handshake, script, 0).expect("let in");
    assert_eq!(session.settings()["expires_at"], 1_000_050 + 3_600);
}

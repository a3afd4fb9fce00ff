//! Tests of the live calls in the API, and of what a supervisor may do to them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use openai_inbound_calls::call::Wish;
use openai_inbound_calls::call::glance::Glance;
use openai_inbound_calls::call::tools::Destination;
use openai_inbound_calls::call::transcript::{Speaker, Utterance};
use openai_inbound_calls::config::Role;
use openai_inbound_calls::exchange::readiness::{AsteriskLink, Readiness};
use openai_inbound_calls::http::live::Daemon;
use openai_inbound_calls::live::{Board, Facts, Route, Seat};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::world::{Answer, PATIENCE, With, World, token};

/// The API beside a daemon whose calls the test defines.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) board: Board,
    pub(crate) daemon: Option<watch::Sender<Readiness>>,
    wishes: Arc<Mutex<Vec<Wish>>>,
}

pub(crate) fn scene(with: With) -> Scene {
    let (daemon, readiness) = watch::channel(Readiness {
        asterisk: AsteriskLink::Connected,
        destinations: ["ventas".to_owned()].into(),
        max_calls: 33,
        ..Readiness::default()
    });
    let board = Board::default();
    let view = Daemon { readiness, board: board.clone() };
    let world = World::over(tempfile::tempdir().unwrap(), With { daemon: Some(view), ..with });
    Scene { world, board, daemon: Some(daemon), wishes: Arc::default() }
}

impl Scene {
    /// Adds a call that listens to requests, or one that does not.
    pub(crate) fn call(&self, id: &str, listens: bool) -> Seat {
        self.call_by(Route::Media, id, listens)
    }

    /// The same, for a call that reaches the model by this route.
    pub(crate) fn call_by(&self, route: Route, id: &str, listens: bool) -> Seat {
        let place = "from-internal,200,1".parse().unwrap();
        let facts = Facts {
            id: id.into(),
            recording_id: None,
            caller: "+573001234567".into(),
            called: "200".into(),
            route,
            model: "gpt-realtime".into(),
            transcription_model: Some("gpt-transcribe".into()),
            agent: "default".into(),
            agent_version: "3f9a2c01b7de".into(),
            offered_at: "2026-11-20T14:30:25.5-05:00".parse().unwrap(),
            destinations: vec![Destination { name: "ventas".into(), place }],
        };
        let wishes = Arc::clone(&self.wishes);
        self.board.seat(facts, move |wish| {
            wishes.lock().unwrap().push(wish);
            listens
        })
    }

    fn post(&self, path: &str, body: &str, headers: &str) -> Answer {
        let Self { world, .. } = self;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            world.address,
            body.len()
        );
        world.send(head.as_bytes(), false)
    }

    /// The stream of events, which the test reads one after the other.
    fn watch(&self) -> Events {
        let stream = TcpStream::connect(self.world.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(&stream, "GET /calls/live/events HTTP/1.1\r\nHost: {}\r\n\r\n", self.world.address).unwrap();
        Events(BufReader::new(stream))
    }
}

struct Events(BufReader<TcpStream>);

impl Events {
    /// The content of the next event. None: the stream has ended.
    fn next(&mut self) -> Option<Value> {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 || line == "0\r\n" {
                return None;
            }
            if let Some(data) = line.strip_prefix("data: ") {
                return Some(serde_json::from_str(data).unwrap());
            }
        }
    }

    /// The first event for which `is_so` holds.
    fn until(&mut self, is_so: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event = self.next().expect("the stream goes on");
            if is_so(&event) {
                return event;
            }
        }
    }
}

fn said(text: &str) -> Utterance {
    Utterance {
        item: "item_1".into(),
        speaker: Speaker::Caller,
        text: text.to_owned(),
        began: None,
        ended: None,
        heard: None,
        said: None,
        flaw: None,
        awaits_words: false,
    }
}

#[test]
fn live_calls_are_shown_as_they_are() {
    let scene = scene(With::default());
    let seat = scene.call("17.1", true);
    seat.show(Glance { caller_speaks: true, words: vec![said("Hola")].into(), ..Glance::default() });
    let told = scene.world.get("/calls/live").json();
    let call = &told["calls"][0];
    assert_eq!(
        (&call["id"], &call["caller"], &call["turn"]),
        (&"17.1".into(), &"+573001234567".into(), &"setting_up".into())
    );
    assert_eq!(
        (&call["offered_at"], &call["caller_speaks"]),
        (&"2026-11-20T19:30:25.500000Z".into(), &true.into())
    );
    let words = json!([{"item": "item_1", "speaker": "user", "text": "Hola", "final": true}]);
    assert_eq!((&call["words"], &call["cost_usd"], &call["tokens"]), (&words, &Value::Null, &Value::Null));
    let state = json!({"asterisk": "connected", "ready": true, "reasons": [], "disk_writing": true, "max_calls": 33, "destinations": ["ventas"], "spending_unlimited": false, "configuration_refused": false, "sip_webhook": "off"});
    assert_eq!(told["state"], state);
    drop(seat);
    assert_eq!(scene.world.get("/calls/live").json()["calls"], json!([]));
    let alone = World::empty().get("/calls/live").json();
    assert_eq!((&alone["calls"], &alone["state"]["reasons"]), (&json!([]), &json!(["no_daemon"])));
}

#[test]
fn streams_pass_a_proxy_as_they_come_and_are_bounded() {
    // A proxy carries many users, so its connections have no limit of their own.
    let scene = scene(With { trusted_proxies: &["127.0.0.1/32"], ..With::default() });
    let head = |stream: &TcpStream| {
        let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
        lines.by_ref().take_while(|line| !line.is_empty()).collect::<Vec<_>>()
    };
    let open = |_| {
        let stream = TcpStream::connect(scene.world.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(&stream, "GET /calls/live/events HTTP/1.1\r\nHost: {}\r\n\r\n", scene.world.address).unwrap();
        let head = head(&stream);
        (stream, head)
    };
    let mut streams: Vec<_> = (1..=64).map(open).collect();
    for (_, head) in &streams {
        assert!(head[0].contains(" 200 ") && head.contains(&"x-accel-buffering: no".to_owned()), "{head:?}");
    }
    let (_, refused) = open(65);
    assert!(refused[0].contains(" 503 ") && refused.contains(&"retry-after: 30".to_owned()), "{refused:?}");
    assert_eq!(scene.world.get("/calls/live").status, 200);
    streams.pop();
    scene.world.until("the room is free again", |_| open(66).1[0].contains(" 200 "));
}

#[test]
fn who_watches_is_told_what_changes_until_the_daemon_ends() {
    let mut scene = scene(With::default());
    let first = scene.call("17.1", true);
    first.show(Glance { words: vec![said("Hola")].into(), ..Glance::default() });
    let mut events = scene.watch();
    let everything = events.next().unwrap();
    assert_eq!(
        (everything["calls"][0]["words"][0]["text"].as_str(), &everything["gone"]),
        (Some("Hola"), &json!([]))
    );
    assert_eq!(everything["state"]["ready"], true);

    let known = scene.board.find("17.1").unwrap().glance();
    first.show(Glance { frames: 9, turns: 4, ..(*known).clone() });
    let changed = events.until(|event| event["calls"][0]["turns"] == 4);
    assert!(changed["calls"][0].get("words").is_none() && changed.get("state").is_none(), "{changed}");
    first.show(Glance { words: vec![said("Hola, buenas")].into(), ..Glance::default() });
    let changed = events.until(|event| event["calls"][0].get("words").is_some());
    assert_eq!(changed["calls"][0]["words"][0]["text"], "Hola, buenas");

    drop(first);
    events.until(|event| event["gone"] == json!(["17.1"]));
    scene.daemon.as_ref().unwrap().send_modify(|now| now.draining = true);
    let state = events.until(|event| event.get("state").is_some());
    assert_eq!(state["state"]["reasons"], json!(["draining"]));
    let nothing = json!({"calls": [], "gone": []});
    assert_eq!(events.next(), Some(nothing.clone()), "a sign of life where nothing changes");
    drop(scene.daemon.take());
    while let Some(event) = events.next() {
        assert_eq!(event, nothing);
    }
}

#[test]
fn a_supervisor_hangs_up_and_hands_over() {
    let scene = scene(With::default());
    let _live = scene.call("17.1", true);
    let _deaf = scene.call("17.2", false);
    assert_eq!(scene.post("/calls/17.1/hangup", "", "").status, 202);
    assert_eq!(scene.post("/calls/17.1/transfer", r#"{"destination":"ventas"}"#, "").status, 202);
    let place = "from-internal,200,1".parse().unwrap();
    let wanted = [Wish::HangUp, Wish::HandOver(Destination { name: "ventas".into(), place })];
    assert_eq!(*scene.wishes.lock().unwrap(), wanted);

    scene.post("/calls/17.3/hangup", "", "").is_problem(404, "no_such_call");
    scene.post("/calls/17.3/transfer", r#"{"destination":"ventas"}"#, "").is_problem(404, "no_such_call");
    scene
        .post("/calls/17.1/transfer", r#"{"destination":"1234"}"#, "")
        .is_problem(422, "no_such_destination");
    for body in ["", "ventas", "{}", r#"{"destination":7}"#, r#"{"destination":"ventas","x":1}"#] {
        scene.post("/calls/17.1/transfer", body, "").is_problem(400, "bad_body");
    }
    scene.post("/calls/17.2/hangup", "", "").is_problem(503, "call_does_not_listen");
    // A page of another site is not a supervisor.
    scene.post("/calls/17.1/hangup", "", "Origin: http://evil.example\r\n").is_problem(403, "wrong_origin");
    assert_eq!(scene.wishes.lock().unwrap().len(), 3, "the third is the deaf one's");
}

#[test]
fn a_reader_only_watches() {
    let tokens =
        vec![token("", Role::Full, "full-0123456789ab"), token("ana", Role::Reader, "read-0123456789ab")];
    let scene = scene(With { tokens, ..With::default() });
    let _live = scene.call("17.1", true);
    let reader = "Authorization: Bearer read-0123456789ab\r\n";
    scene.post("/calls/17.1/hangup", "", reader).is_problem(403, "read_only");
    scene.post("/calls/17.1/hangup", "", "").is_problem(401, "token_needed");
    let headers = [("Authorization", "Bearer read-0123456789ab")];
    assert_eq!(scene.world.ask("GET", "/calls/live", &headers).json()["calls"][0]["id"], "17.1");
    assert!(scene.wishes.lock().unwrap().is_empty());
}

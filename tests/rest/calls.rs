//! Tests of the call log over HTTP: the list, one call and the sums, as JSON and as tables; and of erasing
//! numbers.

use std::path::{Path, PathBuf};

use openai_inbound_calls::config::Role;
use openai_inbound_calls::registry::{Row, Tokens, ToolUse};
use openai_inbound_calls::units::{MicroUsd, Milliseconds};
use serde_json::{Value, json};

use crate::commands::run;
use crate::world::{With, World, record, token};

/// 2025-10-20T14:30:25.123456Z in microseconds.
const AT: i64 = 1_760_970_625_123_456;

fn call(id: &str, seconds: i64) -> Row {
    Row {
        row_id: format!("row-{id}"),
        call_id: id.into(),
        recording_id: Some(format!("20251020_143025_{id}")),
        host: "pbx".into(),
        caller: "+573001234567".into(),
        called: "900".into(),
        model: "gpt-realtime-2.1".into(),
        agent: "default".into(),
        agent_version: "3f9a2c01b7de".into(),
        offered_us: AT + seconds * 1_000_000,
        ..Row::default()
    }
}

pub(crate) fn ended(id: &str, seconds: i64) -> Row {
    let row = call(id, seconds);
    Row {
        answered_us: Some(row.offered_us + 40_000),
        first_audio_us: Some(row.offered_us + 900_000),
        ended_us: Some(row.offered_us + 90_500_000),
        duration: Some(Milliseconds::new(90_500)),
        end_reason: Some("caller_hung_up".into()),
        turns: 7,
        interruptions: 2,
        greeting: Some(Milliseconds::new(860)),
        turn_p50: Some(Milliseconds::new(640)),
        turn_p95: Some(Milliseconds::new(1_200)),
        tokens: Some(Tokens { text_in: 1_000, audio_out: 400, ..Tokens::default() }),
        cost: Some(MicroUsd::new(43_210)),
        tools: vec![ToolUse {
            at_ms: 12_000,
            name: "book".into(),
            outcome: "ok".into(),
            ms: 840,
            attempts: 1,
            agreed_in_turn: Some(3),
            arguments: Some(json!({"note": "=1"})),
            answer: None,
        }],
        ..row
    }
}

/// A world whose call log has these calls.
fn with(rows: Vec<Row>) -> World {
    let world = World::empty();
    put(&world, rows);
    world
}

pub(crate) fn put(world: &World, rows: Vec<Row>) {
    let last = format!("/calls/{}", rows.last().unwrap().call_id);
    for row in rows {
        world.log().offer(row);
    }
    world.until("the log has them", |world| world.get(&last).status == 200);
}

fn ids(list: &Value) -> Vec<&str> {
    list["calls"].as_array().unwrap().iter().map(|call| call["id"].as_str().unwrap()).collect()
}

#[test]
fn a_call_is_shown_with_all_that_is_known_and_null_for_what_is_not() {
    let world = with(vec![call("17.1", 0), ended("17.2", 60)]);
    let list = world.get("/calls");
    assert_eq!((list.status, list.header("content-type")), (200, Some("application/json")));
    let full = json!({
        "id": "17.2", "recording_id": "20251020_143025_17.2", "host": "pbx", "caller": "+573001234567",
        "called": "900", "model": "gpt-realtime-2.1", "agent": "default",
        "agent_version": "3f9a2c01b7de",
        "offered_at": "2025-10-20T14:31:25.123456Z", "answered_at": "2025-10-20T14:31:25.163456Z",
        "first_audio_at": "2025-10-20T14:31:26.023456Z", "ended_at": "2025-10-20T14:32:55.623456Z",
        "duration_seconds": 90.5, "end_reason": "caller_hung_up", "turns": 7, "interruptions": 2,
        "greeting_ms": 860, "turn_p50_ms": 640, "turn_p95_ms": 1200,
        "tokens": {"text_in": 1000, "audio_in": 0, "cached_text_in": 0, "cached_audio_in": 0, "text_out": 0,
            "audio_out": 400, "estimated": false},
        "cost_usd": 0.04321, "erased": false, "row_id": "row-17.2",
        "tools": [{"at_ms": 12000, "name": "book", "outcome": "ok", "ms": 840, "attempts": 1, "agreed_in_turn": 3,
            "arguments": {"note": "=1"}, "answer": null}]
    });
    let list = list.json();
    assert_eq!((&list["calls"][0], &list["next_cursor"]), (&full, &Value::Null));
    assert_eq!(world.get("/calls/17.2").json(), full);
    let running = world.get("/calls/17.1").json();
    assert_eq!(running["tools"], json!([]));
    for unknown in
        ["answered_at", "ended_at", "duration_seconds", "end_reason", "greeting_ms", "tokens", "cost_usd"]
    {
        assert_eq!(running[unknown], Value::Null, "{unknown}");
    }
    world.get("/calls/17.3").is_problem(404, "no_such_call");
    world.get("/calls/%FF").is_problem(404, "no_such_call");
    world.get("/calls/17.1?x=1").is_problem(400, "bad_parameter");
}

#[test]
fn a_caller_who_comes_back_has_another_row_and_the_id_means_the_newest() {
    let first = Row { recording_id: Some("20251020_143025_17.1".into()), ..ended("17.1", 0) };
    let again = Row {
        row_id: "019a0282-9ae3-7c1f-8d2b-6f1e0a9b3c4d".into(),
        recording_id: Some("20251020_143225_17.1".into()),
        ..ended("17.1", 120)
    };
    // This row comes from an earlier version, with the name of its machine.
    let old = Row { row_id: "pbx.example:17.0".into(), ..ended("17.0", -9) };
    let world = with(vec![old, ended("17.2", 60), first, again]);
    assert_eq!(world.get("/calls/17.1").json()["recording_id"], "20251020_143225_17.1");
    assert_eq!(ids(&world.get("/calls").json()), ["17.1", "17.2", "17.1", "17.0"]);
    let stays = world.get("/calls?id=17.1").json();
    assert_eq!(ids(&stays), ["17.1", "17.1"]);
    for stay in stays["calls"].as_array().unwrap() {
        let key = stay["row_id"].as_str().unwrap();
        assert_eq!(&world.get(&format!("/calls/{key}")).json(), stay, "each can be reached");
    }
    assert_eq!(world.get("/calls/pbx.example%3A17.0").json()["id"], "17.0");
    assert_eq!(ids(&world.get("/calls?id=17.3").json()), [""; 0]);
    world.get(&format!("/calls?id={}", "1".repeat(161))).is_problem(400, "bad_parameter");
}

#[test]
fn a_list_has_pages_and_filters() {
    let odd =
        Row { caller: "5".into(), agent: "sales".into(), end_reason: Some("no_port".into()), ..call("4", 4) };
    let world = with(vec![ended("1", 1), ended("2", 2), ended("3", 3), odd]);
    let get = |query: &str| world.get(&format!("/calls?{query}")).json();
    let first = get("limit=3");
    assert_eq!(ids(&first), ["4", "3", "2"]);
    let rest = get(&format!("limit=3&cursor={}", first["next_cursor"].as_str().unwrap()));
    assert_eq!((ids(&rest), &rest["next_cursor"]), (vec!["1"], &Value::Null));
    for number in ["573001234567", "%2B573001234567", "00573001234567", "3001234567", "300%20123-45.67"] {
        assert_eq!(ids(&get(&format!("caller={number}"))), ["3", "2", "1"], "{number}");
    }
    assert_eq!(ids(&get("end_reason=no_port")), ["4"]);
    assert_eq!(ids(&get("agent=sales")), ["4"]);
    assert_eq!(ids(&get("from=2025-10-20T14:30:28Z")), ["4", "3"]);
    assert_eq!(ids(&get("to=2025-10-20T14:30:27.123Z")), ["2", "1"]);
    for wrong in ["limit=0", "limit=501", "cursor=x", "from=yesterday", "format=xml", "colour=red", "by=day"]
    {
        world.get(&format!("/calls?{wrong}")).is_problem(400, "bad_parameter");
    }
    let long = "5".repeat(256);
    for name in ["caller", "agent", "end_reason"] {
        world.get(&format!("/calls?{name}={long}")).is_problem(400, "bad_parameter");
    }
}

#[test]
fn what_was_offered_before_the_end_is_there_after_it() {
    let world = World::empty();
    for n in 0..1_000 {
        world.log().offer(ended(&n.to_string(), n));
    }
    let world = World::over(world.stop(), With::default());
    world.until("the log is open", |world| world.get("/calls").status == 200);
    assert_eq!(world.get("/stats?by=agent").json()["stats"][0]["calls"], 1_000);
}

#[test]
fn tables_are_for_spreadsheets_and_hold_no_formula() {
    let evil = Row { called: "1;=cmd|' /C calc'!A0".into(), ..ended("2", 0) };
    let world = with(vec![call("1", -1), evil]);
    let table = world.get("/calls?format=csv&limit=1");
    assert_eq!(table.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    let lines: Vec<_> = table.text().split("\r\n").collect();
    assert!(
        lines[0].starts_with("id,recording_id,host,caller,called,model,agent,offered_at,"),
        "{}",
        lines[0]
    );
    assert!(
        lines[0].ends_with(",tokens_audio_out,tokens_estimated,cost_usd,erased,row_id,agent_version,tools"),
        "{}",
        lines[0]
    );
    assert_eq!(
        lines[1],
        "\"2\",\"20251020_143025_2\",\"pbx\",\"'+573001234567\",\"1;'=cmd|' /C calc'!A0\",\"gpt-realtime-2.1\",\"default\",\
         \"2025-10-20T14:30:25.123456Z\",\"2025-10-20T14:30:25.163456Z\",\"2025-10-20T14:30:26.023456Z\",\
         \"2025-10-20T14:31:55.623456Z\",90.5,\"caller_hung_up\",7,2,860,640,1200,1000,0,0,0,0,400,false,0.04321,false,\"row-2\",\"3f9a2c01b7de\",\"[{\"\"agreed_in_turn\"\":3,\"\"answer\"\":null,\"\"arguments\"\":{\"\"note\"\":\"\"=1\"\"},\"\"at_ms\"\":12000,\
         \"\"attempts\"\":1,\"\"ms\"\":840,\"\"name\"\":\"\"book\"\",\"\"outcome\"\":\"\"ok\"\"}]\""
    );
    assert_eq!(lines[2..], [""]);
    let next = format!("/calls?cursor={}", table.header("next-cursor").unwrap());
    let rest = world.ask("GET", &next, &[("Accept", "text/csv")]);
    assert!(
        rest.text().ends_with(",,,,,,0,0,,,,,,,,,,,,false,\"row-1\",\"3f9a2c01b7de\",\r\n"),
        "unknown is empty: {}",
        rest.text()
    );
    assert_eq!(rest.header("next-cursor"), None);
    assert!(world.get("/stats?by=agent&format=csv").text().contains("\r\n\"default\",2,1,"));
}

#[test]
fn sums_are_by_day_unless_asked_otherwise() {
    let sales = Row { agent: "sales".into(), cost: None, tokens: None, ..ended("3", 0) };
    let world = with(vec![ended("1", 0), ended("2", 1), sales]);
    let stats = |query: &str| world.get(&format!("/stats?{query}")).json()["stats"].clone();
    let days = stats("");
    assert_eq!(days.as_array().unwrap().len(), 1);
    assert!(days[0]["key"].as_str().unwrap().contains("T00:00:00"), "{days}");
    assert_eq!((&days[0]["calls"], &days[0]["unknown_cost_calls"]), (&json!(3), &json!(1)));
    assert_eq!(stats("by=hour").as_array().unwrap().len(), 1);
    let agents = stats("by=agent");
    let default = json!({
        "key": "default", "calls": 2, "running": 0, "minutes": 181.0 / 60.0, "cost_usd": 0.08642,
        "tokens": {"text_in": 2000, "audio_in": 0, "cached_text_in": 0, "cached_audio_in": 0, "text_out": 0,
            "audio_out": 800, "estimated": false},
        "unknown_tokens_calls": 0, "unknown_cost_calls": 0,
        "greeting": {"mean_ms": 860.0, "p50_ms": 860, "p95_ms": 860},
        "turn_p50": {"mean_ms": 640.0, "p50_ms": 640, "p95_ms": 640},
        "turn_p95": {"mean_ms": 1200.0, "p50_ms": 1200, "p95_ms": 1200}
    });
    assert_eq!(agents[0], default);
    assert_eq!((&agents[1]["key"], &agents[1]["unknown_tokens_calls"]), (&json!("sales"), &json!(1)));
    assert_eq!(stats("by=model")[0]["key"], "gpt-realtime-2.1");
    assert_eq!(stats("from=2030-01-01"), json!([]));
    for wrong in ["by=week", "from=x", "limit=1"] {
        world.get(&format!("/stats?{wrong}")).is_problem(400, "bad_parameter");
    }
}

#[test]
fn a_reader_may_read_the_log_and_nobody_else() {
    let tokens = vec![token("ana", Role::Reader, "secret-of-ana")];
    let world = World::over(tempfile::tempdir().unwrap(), With { tokens, ..With::default() });
    let ana = [("Authorization", "Bearer secret-of-ana")];
    for path in ["/calls?caller=573001234567", "/stats", "/calls/17.1"] {
        world.ask("GET", path, &[]).is_problem(401, "token_needed");
        world.until("it is open", |world| world.ask("GET", path, &ana).status != 503);
    }
    let log = world.accesses(3).concat() + &world.refusals(1).concat();
    assert!(log.contains(" GET /calls?caller=***67 ") && !log.contains("3001234567"), "{log}");
}

#[test]
fn a_server_that_is_away_is_said_to_be() {
    // No server listens on this address.
    let server = Some("mysql://calls:secret@127.0.0.1:1/calls".parse().unwrap());
    let world = World::over(tempfile::tempdir().unwrap(), With { server, ..With::default() });
    for path in ["/calls", "/calls/17.1", "/stats"] {
        let answer = world.get(path);
        answer.is_problem(503, "call_log_unavailable");
        assert_eq!(answer.header("retry-after"), Some("30"));
    }
}

/// The caller and the called number of a call.
pub(crate) fn who(world: &World, id: &str) -> (String, String) {
    let call = world.get(&format!("/calls/{id}")).json();
    (call["caller"].as_str().unwrap().to_owned(), call["called"].as_str().unwrap().to_owned())
}

pub(crate) fn nobody() -> (String, String) {
    Default::default()
}

#[test]
fn a_deleted_recording_takes_its_callers_number_with_it() {
    let world = World::of(&["20251020_143025_17.1", "20251020_143025_17.2"]);
    put(&world, vec![ended("17.1", 0), ended("17.2", 1)]);
    assert_eq!(world.ask("DELETE", "/recordings/20251020_143025_17.1", &[]).status, 204);
    assert_eq!(who(&world, "17.1"), nobody());
    assert_eq!(who(&world, "17.2"), ("+573001234567".into(), "900".into()));
    let (erased, other) = (world.get("/calls/17.1").json(), world.get("/calls/17.2").json());
    assert_eq!(
        (&erased["turns"], &erased["erased"]),
        (&json!(7), &json!(true)),
        "the rest is not about the caller"
    );
    assert_eq!(other["erased"], false);
}

/// The files below the folder that contain this text.
fn holding(folder: &Path, text: &str) -> Vec<String> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let holds = |path: &PathBuf| {
        std::fs::read(path).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
    };
    files.filter(|path| path.is_file() && holds(path)).map(|path| path.display().to_string()).collect()
}

#[test]
fn a_number_that_was_erased_is_in_no_file_from_then_on() {
    let world = World::of(&["20251020_143025_17.1"]);
    put(&world, vec![ended("17.1", 0)]);
    let folder = world.folder.path().to_owned();
    for name in ["calls.db.corrupt-1", "calls-index.db.corrupt-9"] {
        std::fs::write(folder.join(name), "damaged, with 573001234567 in it").unwrap();
    }
    assert_ne!(holding(&folder, "001234567"), [""; 0]);
    assert_eq!(world.ask("DELETE", "/recordings/20251020_143025_17.1", &[]).status, 204);
    assert_eq!(holding(&folder, "001234567"), [""; 0]);
}

#[test]
fn a_number_that_was_purged_is_in_no_file_from_then_on() {
    let world = World::of(&["20251020_143025_17.1"]);
    put(&world, vec![ended("17.1", 0), Row { recording_id: None, ..ended("17.2", 1) }]);
    let folder = world.folder.path().to_owned();
    std::fs::write(folder.join("calls.db.corrupt-2"), "damaged, with 573001234567 in it").unwrap();
    // The connections of the daemon are open all the time.
    assert!(run(&folder, &["purge", "--caller", "3001234567", "--yes"]).status.success());
    assert_eq!(holding(&folder, "001234567"), [""; 0]);
}

#[test]
fn recordings_past_their_time_take_their_numbers_with_them() {
    let folder = World::empty().stop();
    record(folder.path(), "20200101_000000_old", "1");
    record(folder.path(), "20990101_000000_new", "1");
    let world = World::over(folder, With::default());
    put(&world, vec![Row { recording_id: Some("20200101_000000_old".into()), ..ended("old", 0) }]);
    let world = World::over(world.stop(), With { retention_days: Some(30), ..With::default() });
    world.until("it is gone", |world| world.files().len() == 4);
    world.until("its number too", |world| {
        world.get("/calls/old").status == 200 && who(world, "old") == nobody()
    });
}

#[test]
fn purge_lets_the_log_forget_a_caller_with_recordings_or_without() {
    let world = World::of(&["20251020_143025_17.1"]);
    let unrecorded = Row { recording_id: None, ..ended("17.2", 1) };
    let other = Row { caller: "+573007654321".into(), ..ended("17.3", 2) };
    put(&world, vec![ended("17.1", 0), unrecorded, other]);
    let purge = |more: &[&str]| {
        let arguments = [&["purge", "--caller", "573001234567"], more].concat();
        assert!(run(world.folder.path(), &arguments).status.success());
    };
    purge(&["--dry-run"]);
    assert_ne!(who(&world, "17.1"), nobody());
    purge(&["--yes"]);
    assert_eq!((who(&world, "17.1"), who(&world, "17.2")), (nobody(), nobody()));
    assert_eq!(who(&world, "17.3").0, "+573007654321");
}

//! Tests of every route and every error.

use std::fs;
use std::sync::{Arc, Mutex};

use openai_inbound_calls::config::Role;
use openai_inbound_calls::exchange::Webhook;
use openai_inbound_calls::exchange::readiness::{AsteriskLink, Readiness};
use openai_inbound_calls::http::health::RecorderHealth;
use openai_inbound_calls::http::live;
use openai_inbound_calls::live::Board;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::world::{With, World, conversation, record, running_call, sound, token};

const ID: &str = "20251020_143025_rtc_abc123";

#[test]
fn the_promised_routes_answer_as_the_original_document_says() {
    let world = World::of(&[ID]);
    let list = world.get("/recordings");
    assert_eq!((list.status, list.header("content-type")), (200, Some("application/json")));
    assert_eq!(list.json()["recordings"][0]["id"], ID);
    let talk = world.get(&format!("/recordings/{ID}/conversation"));
    assert_eq!((talk.status, talk.header("content-type")), (200, Some("application/json")));
    assert_eq!(talk.text(), conversation(ID, "+573001234567"), "to the letter as on disk");
    let summary = world.get(&format!("/recordings/{ID}/summary"));
    assert_eq!((summary.status, summary.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    assert_eq!(summary.text(), "Llamada de Íñigo\n");
    assert_eq!(world.ask("DELETE", &format!("/recordings/{ID}"), &[]).status, 204);
    world.get(&format!("/recordings/{ID}")).is_problem(404, "no_such_recording");
    assert_eq!((world.files(), world.ids("")), (vec![], vec![]));
    world.ask("DELETE", &format!("/recordings/{ID}"), &[]).is_problem(404, "no_such_recording");
}

#[test]
fn one_recording_is_told_with_all_the_list_tells() {
    let world = World::of(&[ID]);
    let one = world.get(&format!("/recordings/{ID}")).json();
    assert_eq!(
        one,
        json!({
            "id": ID, "call_id": "rtc_abc123", "state": "finished", "start_time": "2025-10-20T14:30:25.123456",
            "utc_offset": "-05:00", "duration_seconds": 285.5, "caller": "+573001234567", "called": "3241000752",
            "model": "gpt-realtime-2.1", "agent": "default", "end_reason": "caller_hung_up", "interruptions": 3,
            "total_messages": 1, "encrypted": false, "bytes": one["bytes"],
        })
    );
    let on_disk: u64 = world.files().iter().map(|name| fs::metadata(world.path(name)).unwrap().len()).sum();
    assert_eq!(one["bytes"], on_disk);
    assert_eq!(world.get("/recordings").json()["recordings"][0], one);
}

#[test]
fn the_events_are_those_of_the_conversation() {
    let world = World::of(&[ID]);
    let events = world.get(&format!("/recordings/{ID}/events"));
    assert_eq!((events.status, events.header("content-type")), (200, Some("application/json")));
    assert_eq!(events.json()[0]["type"], "connected");
}

#[test]
fn sound_is_served_whole_and_voice_by_voice() {
    let world = World::of(&[ID]);
    let both = world.get(&format!("/recordings/{ID}/audio"));
    assert_eq!((both.status, both.header("content-type")), (200, Some("audio/wav")));
    assert_eq!(both.body[58..], sound());
    assert_eq!(world.get(&format!("/recordings/{ID}/audio?channel=both")).body, both.body);
    for (channel, first) in [("caller", 0), ("assistant", 1)] {
        let one = world.get(&format!("/recordings/{ID}/audio?channel={channel}"));
        let voice: Vec<u8> = sound().into_iter().skip(first).step_by(2).collect();
        assert_eq!(one.body[58..], voice, "{channel}");
        assert_eq!(one.body[22], 1, "mono");
    }
    let bin = world.get(&format!("/recordings/{ID}/audio.bin"));
    assert_eq!((bin.status, bin.body.as_slice()), (200, [0x7F; 1_000].as_slice()));
    world.get(&format!("/recordings/{ID}/audio?channel=left")).is_problem(400, "bad_parameter");
}

#[test]
fn what_was_not_kept_is_missing_and_says_so() {
    let world = World::of(&[ID]);
    fs::remove_file(world.path(&format!("{ID}_audio.wav"))).unwrap();
    fs::remove_file(world.path(&format!("{ID}_audio.bin"))).unwrap();
    fs::remove_file(world.path(&format!("{ID}_summary.txt"))).unwrap();
    for route in ["audio", "audio.bin", "summary"] {
        world.get(&format!("/recordings/{ID}/{route}")).is_problem(404, "not_kept");
    }
    assert_eq!(world.get(&format!("/recordings/{ID}/conversation")).status, 200);
}

#[test]
fn every_route_of_an_unknown_recording_is_a_problem() {
    let world = World::of(&[ID]);
    for route in ["", "/conversation", "/summary", "/events", "/audio", "/audio.bin"] {
        world.get(&format!("/recordings/20251020_143026_other{route}")).is_problem(404, "no_such_recording");
    }
    world.get(&format!("/recordings/{ID}/video")).is_problem(404, "no_such_path");
    for path in [
        "/recordings/",
        "/index.html",
        "//recordings",
        "/dashboard",
        "/dashboard/",
        "/dashboard/mod.rs",
        "/dashboard/../page.html",
    ] {
        world.get(path).is_problem(404, "no_such_path");
    }
    for (method, path) in
        [("POST", "/recordings"), ("PUT", "/health"), ("PATCH", "/openapi.json"), ("BREW", "/recordings")]
    {
        let refused = world.ask(method, path, &[]);
        refused.is_problem(405, "method_not_allowed");
        assert_eq!(refused.header("allow"), Some("GET,HEAD"), "{method} {path}");
    }
}

#[test]
fn nothing_outside_the_folder_can_be_reached() {
    let outside = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir_in(outside.path()).unwrap();
    record(outside.path(), ID, "secret");
    fs::write(outside.path().join("secret_conversation.json"), "secret").unwrap();
    let world = World::over(folder, With::default());
    let long = "a".repeat(5_000);
    for id in [
        "..",
        "../secret",
        "..%2fsecret",
        "..%2Fsecret",
        "%2e%2e%2fsecret",
        "..%5csecret",
        "..%252fsecret",
        "%2fetc%2fpasswd",
        "20251020_143025_..%2f..%2fsecret",
        &format!("..%2f{ID}"),
        &format!("{ID}%00"),
        &format!("{ID}%0a"),
        &format!("%2e%2f{ID}"),
        &format!(".{ID}"),
        &format!("{ID}%c0%af"),
        "%ff%fe",
        &format!("20251020_143025_{long}"),
        &long,
    ] {
        for method in ["GET", "DELETE"] {
            let answer = world.ask(method, &format!("/recordings/{id}"), &[]);
            assert!([400, 404, 405].contains(&answer.status), "{method} {id}: {}", answer.status);
            let answer = world.ask("GET", &format!("/recordings/{id}/conversation"), &[]);
            assert!([400, 404].contains(&answer.status) && !answer.text().contains("secret"), "{id}");
        }
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 6, "nothing was deleted either");
}

#[test]
fn a_running_call_is_listed_read_and_not_deleted() {
    let world = World::of(&[ID]);
    let (recorder, handle) =
        running_call(world.folder.path(), "1795180048.12", "2025-10-20T15:00:00.5-05:00");
    let id = "20251020_150000_1795180048.12";
    // The folder of the recording exists a moment before its first line.
    let is_known =
        |world: &World| world.get(&format!("/recordings/{id}")).json()["caller"] == "+573009999999";
    world.until("the recording is there and says whose", is_known);
    let running = world.get(&format!("/recordings/{id}")).json();
    assert_eq!((&running["state"], &running["caller"]), (&json!("live"), &json!("+573009999999")));
    assert_eq!((&running["duration_seconds"], &running["end_reason"]), (&json!(null), &json!(null)));
    world.ask("DELETE", &format!("/recordings/{id}"), &[]).is_problem(409, "running");
    assert_eq!(world.get(&format!("/recordings/{id}/conversation")).json()["call_id"], "1795180048.12");
    drop(handle);
    assert!(recorder.stop(std::time::Duration::from_secs(10)));
    world.until("it is finished", |world| world.get(&format!("/recordings/{id}")).json()["state"] != "live");
    assert_eq!(world.ask("DELETE", &format!("/recordings/{id}"), &[]).status, 204);
    assert!(world.files().iter().all(|name| name.starts_with(ID)), "{:?}", world.files());
}

#[test]
fn a_deletion_takes_every_file_or_none() {
    let world = World::of(&[ID]);
    // This file cannot be renamed, because something is mounted on it.
    let stuck = world.path(&format!("{ID}_audio.bin"));
    let mount = |arguments: &[&std::ffi::OsStr]| {
        std::process::Command::new("mount").args(arguments).output().is_ok_and(|done| done.status.success())
    };
    if !mount(&["--bind".as_ref(), stuck.as_os_str(), stuck.as_os_str()]) {
        eprintln!("left out: this needs root, to mount something");
        return;
    }
    let refused = world.ask("DELETE", &format!("/recordings/{ID}"), &[]);
    let files = world.files();
    let freed = std::process::Command::new("umount").arg(&stuck).status().unwrap();
    assert!(freed.success());
    refused.is_problem(500, "internal");
    assert_eq!(files.len(), 4, "{files:?}");
    assert_eq!(world.get(&format!("/recordings/{ID}/conversation")).status, 200);
    assert_eq!(world.ids(""), [ID]);
    assert_eq!(world.ask("DELETE", &format!("/recordings/{ID}"), &[]).status, 204);
    assert_eq!(world.files(), [""; 0]);
}

#[test]
fn a_damaged_conversation_hides_nothing_else() {
    let world = World::of(&[ID, "20251020_143026_b"]);
    fs::write(world.path(&format!("{ID}_conversation.json")), b"\xff\xfe").unwrap();
    world.get(&format!("/recordings/{ID}/conversation")).is_problem(500, "damaged");
    assert_eq!(world.get(&format!("/recordings/{ID}/audio")).status, 200);
    assert_eq!(world.ids("").len(), 2);
}

#[test]
fn head_tells_the_length_and_sends_nothing() {
    let world = World::of(&[ID]);
    for (path, length) in [("audio", "16058"), ("audio.bin", "1000"), ("summary", "19")] {
        let head = world.ask("HEAD", &format!("/recordings/{ID}/{path}"), &[("Range", "bytes=0-9")]);
        assert_eq!((head.status, head.header("content-length")), (200, Some(length)), "{path}");
    }
    assert_eq!(world.ask("HEAD", "/recordings/nothing", &[]).status, 404);
}

#[test]
fn health_tells_of_the_recorder_the_disk_and_the_index() {
    let health = Arc::new(Mutex::new(RecorderHealth { writing: true, live: 2, unfinished: 0, missed: 0 }));
    let with = With { recorder: Some(Arc::clone(&health)), ..With::default() };
    let world = World::over(tempfile::tempdir().unwrap(), with);
    let well = world.get("/health");
    let told = well.json();
    assert_eq!((well.status, &told["status"], &told["recorder"]["live"]), (200, &json!("ok"), &json!(2)));
    assert!(told["disk"]["free_bytes"].as_u64() > Some(0) && told["index"] == "ready");
    health.lock().unwrap().writing = false;
    let ill = world.get("/health");
    assert_eq!((ill.status, &ill.json()["status"]), (503, &json!("degraded")));
}

#[test]
fn ready_names_what_is_in_the_way() {
    let (daemon, readiness) = watch::channel(Readiness::default());
    let recorder = Arc::new(Mutex::new(RecorderHealth { writing: true, live: 0, unfinished: 0, missed: 0 }));
    let with = With {
        daemon: Some(live::Daemon { readiness, board: Board::default() }),
        recorder: Some(Arc::clone(&recorder)),
        ..With::default()
    };
    let world = World::over(tempfile::tempdir().unwrap(), with);
    let sip = |now: &Readiness| now.webhook.code();
    let told = |status, reasons: &[&str], warnings: &[&str]| {
        let sip = sip(&daemon.borrow());
        let answer = world.get("/ready");
        let expected = json!({"ready": reasons.is_empty(), "reasons": reasons, "warnings": warnings, "sip_webhook": sip});
        assert_eq!((answer.status, answer.json()), (status, expected));
    };
    told(503, &["asterisk_away"], &[]);
    daemon.send_modify(|now| now.asterisk = AsteriskLink::Connected);
    told(200, &[], &[]);
    // A full disk costs recordings, and no caller.
    recorder.lock().unwrap().writing = false;
    told(200, &[], &["disk_failing"]);
    assert_eq!(world.get("/calls/live").json()["state"]["disk_writing"], json!(false));
    daemon.send_modify(|now| now.configuration_refused = true);
    told(200, &[], &["disk_failing", "configuration_refused"]);
    recorder.lock().unwrap().writing = true;
    daemon.send_modify(|now| (now.configuration_refused, now.webhook) = (false, Webhook::Listening));
    told(200, &[], &[]);
    daemon.send_modify(|now| now.spent_earlier_unknown = true);
    told(200, &[], &["spent_earlier_unknown"]);
    daemon.send_modify(|now| now.spent_earlier_unknown = false);
    // Callers in Asterisk are served without OpenAI's webhook.
    daemon.send_modify(|now| now.webhook = Webhook::Missing);
    told(200, &[], &["webhook_missing"]);
    assert_eq!(world.get("/calls/live").json()["state"]["sip_webhook"], json!("missing"));
    daemon.send_modify(|now| now.webhook = Webhook::Closed);
    told(200, &[], &["webhook_closed"]);
    daemon.send_modify(|now| now.webhook_crowded = true);
    told(200, &[], &["webhook_closed", "webhook_crowded"]);
    daemon.send_modify(|now| now.webhook_crowded = false);
    daemon.send_modify(|now| now.draining = true);
    told(503, &["draining"], &["webhook_closed"]);
    let alone = World::empty().get("/ready");
    assert_eq!((alone.status, &alone.json()["reasons"]), (503, &json!(["no_daemon"])));
}

#[test]
fn the_document_names_every_route_and_its_errors() {
    let world = World::empty();
    let document = world.get("/openapi.json").json();
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        paths,
        [
            "/calls",
            "/calls/live",
            "/calls/live/events",
            "/calls/{id}",
            "/calls/{id}/hangup",
            "/calls/{id}/transfer",
            "/health",
            "/metrics",
            "/ready",
            "/recordings",
            "/recordings/{id}",
            "/recordings/{id}/audio",
            "/recordings/{id}/audio.bin",
            "/recordings/{id}/conversation",
            "/recordings/{id}/events",
            "/recordings/{id}/summary",
            "/stats"
        ]
    );
    let delete = &document["paths"]["/recordings/{id}"]["delete"]["responses"];
    for status in ["204", "404", "409", "421", "500", "503"] {
        assert!(delete[status].is_object(), "{status}");
    }
}

#[test]
fn the_document_names_only_refusals_that_an_operation_can_give() {
    let user = World::empty().get("/openapi.json").json();
    let with = With { tokens: vec![token("ana", Role::Full, "secret-of-ana")], ..With::default() };
    let token = World::over(tempfile::tempdir().unwrap(), with).get("/openapi.json").json();
    let statuses = |document: &Value, path: &str, method: &str| {
        let named = document["paths"][path][method]["responses"].as_object().unwrap().keys();
        named
            .filter(|status| ["401", "403", "421", "429"].contains(&status.as_str()))
            .cloned()
            .collect::<Vec<_>>()
    };
    for path in ["/health", "/ready"] {
        assert_eq!(statuses(&user, path, "get"), ["403", "421"], "{path}");
        assert_eq!(statuses(&token, path, "get"), [""; 0], "{path}");
    }
    assert_eq!(statuses(&user, "/metrics", "get"), ["403", "421"]);
    assert_eq!(statuses(&token, "/metrics", "get"), ["401", "403", "429"]);
    assert_eq!(statuses(&user, "/calls", "get"), ["401", "403", "421"]);
    for document in [&user, &token] {
        let paths = document["paths"].as_object().unwrap();
        for (path, method, told) in paths.iter().flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |(method, told)| (path, method, told))
        }) {
            let forbidden = told["responses"]["403"]["description"].as_str().unwrap_or_default();
            assert_eq!(forbidden.contains("encrypted"), path.starts_with("/recordings/{id}/"), "{path}");
            let may_be_read_only = document == &token && method != "get";
            assert_eq!(forbidden.contains("only reading"), may_be_read_only, "{method} {path}");
            let reads_a_recording = path.starts_with("/recordings/{id}");
            assert_eq!(told["responses"]["500"].is_object(), reads_a_recording, "{method} {path}");
            let unavailable = told["responses"]["503"]["description"].as_str().unwrap_or_default();
            let is_monitored = ["/health", "/metrics", "/ready"].contains(&path.as_str());
            assert_eq!(unavailable.contains("connections"), !is_monitored, "{method} {path}");
            assert_eq!(unavailable.contains("disk"), path.starts_with("/recordings"), "{method} {path}");
        }
    }
}

#[test]
fn every_operation_of_the_document_has_a_name_of_its_own_and_sound_is_bytes() {
    let document = World::empty().get("/openapi.json").json();
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.values().flat_map(|path| path.as_object().unwrap().values());
    let mut names: Vec<_> = operations.map(|told| told["operationId"].as_str().unwrap()).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "{names:?}");
    for (route, kind) in [("audio", "audio/wav"), ("audio.bin", "application/octet-stream")] {
        let told = &document["paths"][format!("/recordings/{{id}}/{route}")]["get"];
        for status in ["200", "206"] {
            let schema = &told["responses"][status]["content"][kind]["schema"];
            assert_eq!((&schema["type"], &schema["format"]), (&json!("string"), &json!("binary")), "{route}");
        }
        let headers = told["parameters"].as_array().unwrap().iter().filter(|one| one["in"] == "header");
        assert!(headers.into_iter().all(|header| header["schema"]["type"] == "string"), "{told}");
    }
}

#[test]
fn what_is_no_http_is_refused_and_harms_nobody() {
    let world = World::of(&[ID]);
    for bytes in [
        &b"\x16\x03\x01\x02\x00\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET /a b c HTTP/1.1\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(world.send(bytes, false).status, 400);
    }
    let line = format!("GET /{} HTTP/1.1\r\nHost: {}\r\n\r\n", "a".repeat(100_000), world.address);
    assert!([414, 431].contains(&world.send(line.as_bytes(), false).status));
    assert_eq!(world.ids(""), [ID]);
}

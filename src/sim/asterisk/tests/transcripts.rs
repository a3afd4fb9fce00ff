//! Tests that the same calls as the recorded ones give the same events, field by field.

use std::collections::HashMap;

use super::*;

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/fixtures/asterisk/", $name, ".jsonl"))
    };
}

/// Compares events with a transcript: their types and order, their fields and the order of the fields, and
/// the values. Ids, times and RTP figures are replaced by the order in which they first appear.
#[track_caller]
fn assert_like(events: &[(SocketId, String)], recorded: &str) {
    let fake: Vec<&str> = events.iter().map(|(_, text)| text.as_str()).collect();
    let real: Vec<&str> = recorded.lines().collect();
    let (fake_names, real_names) = (&mut HashMap::new(), &mut HashMap::new());
    for (number, (fake, real)) in fake.iter().zip(&real).enumerate() {
        assert_eq!(members(fake), members(real), "members of event {number}\nfake {fake}\nreal {real}");
        let (fake, real): (Value, Value) =
            (serde_json::from_str(fake).unwrap(), serde_json::from_str(real).unwrap());
        assert_eq!(neutral("", &fake, fake_names), neutral("", &real, real_names), "event {number}");
    }
    assert_eq!(fake.len(), real.len(), "the fake's last: {:?}", fake.last());
}

/// The names of all fields of a JSON text, in their order.
fn members(json: &str) -> Vec<&str> {
    let parts: Vec<&str> = json.split('"').collect();
    parts.windows(2).filter(|pair| pair[1].starts_with(':')).map(|pair| pair[0]).collect()
}

/// The value without everything that differs from one call to the next.
fn neutral(member: &str, value: &Value, names: &mut HashMap<String, usize>) -> Value {
    match value {
        Value::Object(members) => {
            let is = |kind: &str| members.get("variable").is_some_and(|name| text(name).starts_with(kind));
            let varies = if is("RTPAUDIOQOS") {
                "timestamp"
            } else if is("BRIDGEPEER") || is("BRIDGEPVTCALLID") {
                "name"
            } else {
                "value"
            };
            let named = |name: &str| if name == "value" { varies.to_owned() } else { name.to_owned() };
            members.iter().map(|(name, value)| (name.clone(), neutral(&named(name), value, names))).collect()
        }
        Value::Array(items) => items.iter().map(|item| neutral(member, item, names)).collect(),
        Value::String(text) => match member {
            "timestamp" | "creationtime" => "time".into(),
            "dialstring" => text.split_once('/').map_or("", |(_, codec)| codec).into(),
            "id" | "name" | "channels" | "protocol_id" if !text.is_empty() => {
                let next = names.len();
                format!("#{}", names.entry(text.clone()).or_insert(next)).into()
            }
            _ => value.clone(),
        },
        other => other.clone(),
    }
}

fn caller_hangs_up(version: Version) -> World {
    let mut world = World::new(version);
    let call = world.answered();
    for digit in ['1', '#'] {
        world.asterisk.press(world.now, call.call, digit);
        world.pass(230);
    }
    for on in [true, false] {
        world.asterisk.hold(world.now, call.call, on);
        world.pass(500);
    }
    world.asterisk.caller_hangs_up(world.now, call.call);
    world.pass(300);
    assert_eq!(world.ask("DELETE", &format!("/channels/{}", call.caller)).status, 404);
    assert_eq!(world.ask("DELETE", &format!("/channels/{}", call.media)).status, 204);
    assert_eq!(world.ask("DELETE", &format!("/bridges/{}", call.bridge)).status, 204);
    assert_eq!(world.ask("DELETE", &format!("/bridges/{}", call.bridge)).status, 404);
    world
}

#[test]
fn the_caller_hangs_up() {
    assert_like(&caller_hangs_up(Version::V22).events, recorded!("caller-hangs-up-22"));
    assert_like(&caller_hangs_up(Version::V16).events, recorded!("caller-hangs-up-16"));
}

#[test]
fn the_server_hangs_up() {
    for (version, recorded) in
        [(Version::V22, recorded!("server-hangs-up-22")), (Version::V16, recorded!("server-hangs-up-16"))]
    {
        let mut world = World::new(version);
        let call = world.answered();
        for target in ["/channels/".to_owned() + &call.caller, "/channels/".to_owned() + &call.media] {
            assert_eq!(world.ask("DELETE", &target).status, 204);
        }
        assert_eq!(world.ask("DELETE", &format!("/bridges/{}", call.bridge)).status, 204);
        assert_like(&world.events, recorded);
    }
}

#[test]
fn the_call_continues_in_the_dialplan() {
    for (version, recorded) in
        [(Version::V22, recorded!("continue-22")), (Version::V16, recorded!("continue-16"))]
    {
        let mut world = World::new(version);
        let call = world.answered();
        let onward = format!("/channels/{}/continue?context=transfer&extension=tone&priority=1", call.caller);
        assert_eq!(world.ask("POST", &onward).status, 204);
        assert_eq!(world.ask("DELETE", &format!("/channels/{}", call.media)).status, 204);
        assert_eq!(world.ask("DELETE", &format!("/bridges/{}", call.bridge)).status, 204);
        assert_like(&world.events, recorded);
    }
}

#[test]
fn the_call_is_not_answered_by_the_dialplan() {
    for (version, recorded) in
        [(Version::V22, recorded!("unanswered-22")), (Version::V16, recorded!("unanswered-16"))]
    {
        let mut world = World::new(version);
        world.connect();
        let early = IncomingCall {
            extension: "602".into(),
            args: vec!["early".into()],
            answered: false,
            ..IncomingCall::default()
        };
        let call = world.call(early.clone());
        let ring = format!("/channels/{}/ring", world.asterisk.outcome(call).channel);
        assert_eq!(world.ask("POST", &ring).status, 204);
        world.asterisk.caller_hangs_up(world.now, call);
        for how in ["answer", "", "?reason=busy"] {
            let call = world.call(early.clone());
            let channel = format!("/channels/{}", world.asterisk.outcome(call).channel);
            if how == "answer" {
                assert_eq!(world.ask("POST", &format!("{channel}/answer")).status, 204);
                assert_eq!(world.ask("DELETE", &channel).status, 204);
            } else {
                assert_eq!(world.ask("DELETE", &(channel + how)).status, 204);
            }
        }
        assert_like(&world.events, recorded);
    }
}

#[test]
fn a_second_socket_replaces_the_first() {
    let mut world = World::new(Version::V22);
    let call = world.answered();
    let second = world.connect();
    assert_like(&world.events, recorded!("replaced-22"));
    world.events.clear();
    world.asterisk.press(world.now, call.call, '7');
    world.pass(200);
    assert_eq!(world.events.len(), 1);
    assert_eq!(world.events[0].0, second, "all later events go to the second");
}

//! Tests of the requests and their answers.

use super::*;

const BOTH: [Version; 2] = [Version::V16, Version::V22];

#[test]
fn nobody_gets_in_without_the_password() {
    let mut world = World::new(Version::V22);
    for auth in [None, Some("Basic eDp5"), Some("")] {
        let response = world.asterisk.request(world.now, auth, "GET", "/asterisk/info", &[], b"");
        assert_eq!(response.status, 401);
        assert_eq!(world.asterisk.connect(world.now, auth, &pairs("app=a")).unwrap_err().status, 401);
    }
    let key = pairs("api_key=asterisk:testbed");
    assert_eq!(world.asterisk.request(world.now, None, "GET", "/asterisk/info", &key, b"").status, 200);
    assert_eq!(json(&world.ask("GET", "/asterisk/info"))["system"]["version"], "22.10.1");
    assert_eq!(world.asterisk.connect(world.now, None, &key).unwrap_err().status, 400, "no app named");
}

#[test]
fn what_is_not_there_is_404() {
    let mut world = World::new(Version::V22);
    for (method, target, message) in [
        ("GET", "/nope", "Resource not found"),
        ("GET", "/channels/x", "Channel not found"),
        ("DELETE", "/channels/x", "Channel not found"),
        ("POST", "/channels/x/answer", "Channel not found"),
        ("POST", "/channels/x/variable?variable=A&value=1", "Channel not found"),
        ("GET", "/bridges/x", "Bridge not found"),
        ("DELETE", "/bridges/x", "Bridge not found"),
        ("POST", "/bridges/x/addChannel?channel=a", "Bridge not found"),
        ("GET", "/applications/x", "Application not found"),
        ("POST", "/applications/x/subscription?eventSource=channel:a", "Application not found"),
    ] {
        let response = world.ask(method, target);
        assert_eq!(
            (response.status, text(&json(&response)["message"]).as_str()),
            (404, message),
            "{method} {target}"
        );
    }
}

#[test]
fn the_media_leg_is_refused_before_its_stasis_start() {
    for version in BOTH {
        let mut world = World::new(version);
        world.connect();
        let call = world.call(IncomingCall::default());
        let caller = world.asterisk.outcome(call).channel.clone();
        let target =
            format!("/channels/externalMedia?app={APP}&channelId=m1&external_host={OURS}&format=ulaw");
        let leg = json(&world.ask("POST", &target));
        assert_eq!((&leg["id"], &leg["state"]), (&"m1".into(), &"Down".into()));
        assert_eq!(leg["channelvars"]["UNICASTRTP_LOCAL_ADDRESS"], "127.0.0.1");
        assert_eq!(world.ask("POST", "/bridges/b1").status, 200);
        let add = format!("/bridges/b1/addChannel?channel={caller},m1");
        let early = world.ask("POST", &add);
        assert_eq!((early.status, early.body.contains("Channel not in Stasis application")), (422, true));
        assert!(
            json(&world.ask("GET", "/bridges/b1"))["channels"].as_array().unwrap().is_empty(),
            "all or none"
        );
        world.pass(3);
        assert_eq!(text_of(&world.events.last().unwrap().1, "type"), "StasisStart");
        assert_eq!(world.ask("POST", &add).status, 204);
        assert_eq!(world.ask("POST", "/bridges/b1/addChannel?channel=unknown").status, 400);
    }
}

#[test]
fn asterisk_16_waits_for_traffic_when_adding() {
    for (heard, version, delay, joined_after) in [
        (false, Version::V22, 0, 0),
        (true, Version::V22, 0, 0),
        (false, Version::V16, 200, 200),
        (true, Version::V16, 20, 20),
    ] {
        let mut world = World::new(version);
        world.connect();
        let call = world.call(IncomingCall::default());
        let caller = world.asterisk.outcome(call).channel.clone();
        let leg = json(&world.ask(
            "POST",
            &format!("/channels/externalMedia?app={APP}&channelId=m1&external_host={OURS}&format=ulaw"),
        ));
        world.ask("POST", "/bridges/b1");
        world.pass(3);
        if heard {
            let port = text(&leg["channelvars"]["UNICASTRTP_LOCAL_PORT"]).parse().unwrap();
            let header =
                crate::sim::rtp::Header { marker: false, payload_type: 0, seq: 1, timestamp: 1, ssrc: 1 };
            let silence = crate::sim::rtp::write(header, &[0xff; 160]);
            world.asterisk.media_datagram(world.now, port, OURS, &silence);
        }
        let response = world.ask("POST", &format!("/bridges/b1/addChannel?channel={caller},m1"));
        assert_eq!((response.status, response.delay), (204, Duration::from_millis(delay)));
        let members =
            |world: &mut World| json(&world.ask("GET", "/bridges/b1"))["channels"].as_array().unwrap().len();
        if joined_after > 0 {
            world.pass(joined_after - 1);
            assert_eq!(members(&mut world), 1);
            world.pass(1);
        }
        assert_eq!(members(&mut world), 2);
    }
}

#[test]
fn a_channel_added_twice_leaves_and_enters_again() {
    let mut world = World::new(Version::V22);
    let call = world.answered();
    world.kinds();
    let add = format!("/bridges/{}/addChannel?channel={}", call.bridge, call.caller);
    assert_eq!(world.ask("POST", &add).status, 204);
    assert_eq!(world.kinds(), ["ChannelLeftBridge", "ChannelEnteredBridge"]);
    let remove = format!("/bridges/{}/removeChannel?channel={}", call.bridge, call.caller);
    assert_eq!(world.ask("POST", &remove).status, 204);
    assert_eq!(world.ask("POST", &remove).status, 422);
}

#[test]
fn deleting_a_bridge_hangs_nobody_up() {
    let mut world = World::new(Version::V22);
    let call = world.answered();
    world.kinds();
    assert_eq!(world.ask("DELETE", &format!("/bridges/{}", call.bridge)).status, 204);
    assert_eq!(world.kinds(), ["ChannelLeftBridge", "ChannelLeftBridge", "BridgeDestroyed"]);
    assert_eq!(world.asterisk.channels(), [call.caller, call.media]);
    assert!(world.asterisk.bridges().is_empty());
}

#[test]
fn what_is_wrong_with_external_media_depends_on_the_version() {
    for (version, format, double) in [(Version::V16, 400, 409), (Version::V22, 500, 500)] {
        let mut world = World::new(version);
        world.connect();
        let mut media =
            |query: &str| world.ask("POST", &format!("/channels/externalMedia?app={APP}&{query}")).status;
        assert_eq!(media(&format!("format=mp9&external_host={OURS}")), format);
        assert_eq!(media(&format!("format=ulaw&external_host={OURS}&channelId=m")), 200);
        assert_eq!(media(&format!("format=ulaw&external_host={OURS}&channelId=m")), double);
        assert_eq!(media("format=ulaw&external_host=no.such.host:4000"), 500);
        assert_eq!(media(&format!("external_host={OURS}")), 400, "no format");
    }
}

#[test]
fn a_media_leg_for_an_unknown_application_vanishes() {
    let mut world = World::new(Version::V22);
    let response =
        world.ask("POST", &format!("/channels/externalMedia?app=nope&external_host={OURS}&format=ulaw"));
    assert_eq!(response.status, 200);
    assert_eq!(world.asterisk.channels().len(), 1);
    world.pass(5);
    assert!(world.asterisk.channels().is_empty());
    assert_eq!(world.emitted, [Emit::OpenPort(30_000), Emit::ClosePort(30_000)]);
}

#[test]
fn ports_are_even_and_taken_in_turn_until_there_is_none() {
    let mut world = World::with(Settings { media_ports: 4001..4007, ..Settings::default() });
    world.connect();
    let media = |world: &mut World, id: &str| {
        let response = world.ask(
            "POST",
            &format!("/channels/externalMedia?app={APP}&channelId={id}&external_host={OURS}&format=ulaw"),
        );
        (response.status == 200).then(|| text(&json(&response)["channelvars"]["UNICASTRTP_LOCAL_PORT"]))
    };
    assert_eq!(media(&mut world, "a").as_deref(), Some("4002"));
    assert_eq!(media(&mut world, "b").as_deref(), Some("4004"));
    world.ask("DELETE", "/channels/a");
    assert_eq!(media(&mut world, "c").as_deref(), Some("4006"), "one just freed comes last");
    assert_eq!(media(&mut world, "d").as_deref(), Some("4002"));
    assert_eq!(media(&mut world, "e"), None);
    assert_eq!(
        json(&world.ask("GET", "/channels/b/variable?variable=UNICASTRTP_LOCAL_PORT"))["value"],
        "4004"
    );
}

#[test]
fn parameters_may_come_in_a_body() {
    let mut world = World::new(Version::V22);
    world.connect();
    let body = format!(
        "{{\"app\":\"{APP}\",\"channelId\":\"m\",\"external_host\":\"{OURS}\",\"format\":\"ulaw\",\"variables\":{{\"A\":\"b\"}}}}"
    );
    assert_eq!(json(&world.ask_with("POST", "/channels/externalMedia", &body))["id"], "m");
    assert_eq!(json(&world.ask("GET", "/channels/m/variable?variable=A"))["value"], "b");
    world.pass(5);
    world.ask_with("POST", "/bridges", r#"{"bridgeId":"b","type":"mixing","name":"n"}"#);
    assert_eq!(world.ask_with("POST", "/bridges/b/addChannel", r#"{"channel":["m"]}"#).status, 204);
    let bridge = json(&world.ask("GET", "/bridges/b"));
    assert_eq!((&bridge["name"], &bridge["channels"][0]), (&"n".into(), &"m".into()));
    assert_eq!(world.ask("GET", "/channels/%6d").status, 200, "an id with percent signs");
}

#[test]
fn variables_are_kept_told_and_noted() {
    let mut world = World::new(Version::V22);
    let call = world.answered();
    world.events.clear();
    let variable = format!("/channels/{}/variable?variable=AI_RESULT", call.caller);
    assert_eq!(world.ask("GET", &variable).status, 404);
    assert_eq!(world.ask("POST", &format!("{variable}&value=transfer")).status, 204);
    assert_eq!(json(&world.ask("GET", &variable))["value"], "transfer");
    assert_eq!(text_of(&world.events[0].1, "variable"), "AI_RESULT");
    assert_eq!(
        world.asterisk.outcome(call.call).variables,
        [("AI_RESULT".to_owned(), "transfer".to_owned())]
    );
}

#[test]
fn hang_up_reasons() {
    for (reason, cause) in [
        ("", 16),
        ("?reason=normal", 16),
        ("?reason=busy", 17),
        ("?reason=no_answer", 19),
        ("?reason=rejected", 21),
        ("?reason=answered_elsewhere", 26),
        ("?reason=congestion", 34),
    ] {
        for (answered, sip_status) in [(true, None), (false, Some(if cause == 17 { 486 } else { 603 }))] {
            let mut world = World::new(Version::V22);
            world.connect();
            let call = world.call(IncomingCall { answered, ..IncomingCall::default() });
            let channel = format!("/channels/{}", world.asterisk.outcome(call).channel);
            assert_eq!(world.ask("DELETE", &format!("{channel}?reason=bogus")).status, 400);
            assert_eq!(world.ask("DELETE", &(channel + reason)).status, 204);
            let ended = Ending::HungUp { cause, sip_status };
            assert_eq!(world.asterisk.outcome(call).ended, Some(ended.clone()));
            assert_eq!(world.emitted.last(), Some(&Emit::CallerReleased { call, how: ended }));
        }
    }
}

#[test]
fn an_event_filter_lasts_as_long_as_the_registration() {
    let mut world = World::new(Version::V22);
    world.connect();
    let filter = r#"{"disallowed":[{"type":"ChannelVarset"},{"type":"Dial"}]}"#;
    let put = world.ask_with("PUT", &format!("/applications/{APP}/eventFilter"), filter);
    assert_eq!((put.status, &json(&put)["events_disallowed"][1]["type"]), (200, &"Dial".into()));
    let call = world.call(IncomingCall::default());
    world.take(call);
    let told = |world: &mut World, kind: &str| {
        world.events.drain(..).any(|(_, text)| text_of(&text, "type") == kind)
    };
    assert!(!told(&mut world, "ChannelVarset"));
    world.connect();
    let call = world.call(IncomingCall::default());
    world.take(call);
    assert!(told(&mut world, "ChannelVarset"), "it must be put again");
}

#[test]
fn who_subscribes_learns_of_the_callers_end() {
    for (version, reason, requested, destroyed) in [
        (Version::V22, None, None, 0),
        (Version::V22, Some(16), Some(16), 16),
        (Version::V22, Some(31), Some(31), 31),
        (Version::V16, None, Some(16), 16),
        (Version::V16, Some(16), None, 16),
        (Version::V16, Some(31), None, 31),
    ] {
        let mut world = World::new(version);
        world.connect();
        let call = world.call(IncomingCall::default());
        let channel = world.asterisk.outcome(call).channel.clone();
        let subscribe = format!("/applications/{APP}/subscription?eventSource=channel:{channel}");
        assert_eq!(world.ask("POST", &subscribe).status, 200);
        match reason {
            None => world.asterisk.caller_hangs_up(world.now, call),
            Some(cause) => world.asterisk.caller_hangs_up_with(world.now, call, cause),
        }
        world.drain();
        let events: Vec<Value> =
            world.events.iter().map(|(_, text)| serde_json::from_str(text).unwrap()).collect();
        let of = |kind: &str| {
            events.iter().find(|event| event["type"] == kind).map(|event| event["cause"].as_u64())
        };
        assert_eq!(of("ChannelHangupRequest"), Some(requested));
        assert_eq!(of("ChannelDestroyed"), Some(Some(destroyed)), "{version:?} {reason:?}");
    }
}

#[test]
fn a_second_bridge_of_the_same_name_is_the_same_or_a_conflict() {
    let mut world = World::new(Version::V22);
    assert_eq!(world.ask("POST", "/bridges?bridgeId=b").status, 200);
    assert_eq!(world.ask("POST", "/bridges/b?name=x").status, 200);
    assert_eq!(world.ask("POST", "/bridges?bridgeId=b").status, 409);
    assert_eq!(world.asterisk.bridges(), ["b"]);
    assert_eq!(json(&world.ask("GET", "/bridges"))[0]["name"], "x");
}

#[test]
fn timestamps_are_calendar_dates() {
    for (unix, expected) in [
        (0, "1970-01-01T00:00:00.219+0000"),
        (951_782_400, "2000-02-29T00:00:00.219+0000"),
        (1_795_180_048, "2026-11-20T13:07:28.219+0000"),
        (4_107_542_399, "2100-02-28T23:59:59.219+0000"),
        (4_107_542_400, "2100-03-01T00:00:00.219+0000"),
    ] {
        let time = Duration::from_secs(unix) + Duration::from_millis(219);
        assert_eq!(events::timestamp(time), expected);
    }
}

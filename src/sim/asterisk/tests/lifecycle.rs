//! Tests with calls without a listener, lost sockets, restarts and scripted faults.

use super::*;

/// The answer to `GET /applications/openai-app`: its status and the ids of the channels.
fn application(world: &mut World) -> (u16, Vec<String>) {
    let response = world.ask("GET", &format!("/applications/{APP}"));
    let channels = json(&response)["channel_ids"].as_array().cloned().unwrap_or_default();
    (response.status, channels.iter().map(text).collect())
}

#[test]
fn without_a_listener_the_dialplan_goes_on() {
    let mut world = World::new(Version::V22);
    let call = world.call(IncomingCall::default());
    let outcome = world.asterisk.outcome(call);
    let next = Ending::Continued { context: "from-voip".into(), extension: "3241000752".into(), priority: 5 };
    assert_eq!(outcome.ended, Some(next.clone()));
    assert_eq!(outcome.variables, [("STASISSTATUS".to_owned(), "FAILED".to_owned())]);
    assert_eq!(outcome.state, CallState::Gone);
    assert_eq!(world.emitted, [Emit::CallerAnswered { call }, Emit::CallerReleased { call, how: next }]);
}

#[test]
fn a_caller_who_hangs_up_at_once_is_never_seen() {
    let mut world = World::new(Version::V22);
    world.connect();
    let call = world.asterisk.incoming_call(world.now, IncomingCall::default());
    world.pass(1);
    world.asterisk.caller_hangs_up(world.now, call);
    world.pass(50);
    assert!(world.events.is_empty());
    assert_eq!(world.asterisk.outcome(call).ended, Some(Ending::CallerHungUp));
}

#[test]
fn calls_outlive_the_daemon_and_talk_to_its_successor() {
    let mut world = World::new(Version::V22);
    let first = world.connect();
    let call = world.call(IncomingCall::default());
    let call = world.take(call);
    world.asterisk.disconnect(world.now, first);
    world.events.clear();
    world.asterisk.press(world.now, call.call, '1');
    world.pass(500);
    assert!(world.events.is_empty(), "nobody listens, and nothing is kept");
    assert_eq!(application(&mut world), (200, vec![call.caller.clone(), call.media.clone()]));
    let lost = world.call(IncomingCall::default());
    assert!(matches!(world.asterisk.outcome(lost).ended, Some(Ending::Continued { priority: 5, .. })));

    let second = world.connect();
    world.pass(100);
    assert!(world.events.is_empty(), "no replay");
    world.asterisk.press(world.now, call.call, '5');
    world.pass(200);
    assert_eq!(world.events.len(), 1);
    assert_eq!((world.events[0].0, text_of(&world.events[0].1, "digit")), (second, "5".into()));

    assert_eq!(world.ask("POST", &format!("/channels/{}/continue", call.caller)).status, 204);
    assert!(matches!(world.asterisk.outcome(call.call).ended, Some(Ending::Continued { priority: 5, .. })));
}

#[test]
fn an_application_without_socket_and_calls_is_forgotten() {
    let mut world = World::new(Version::V22);
    assert_eq!(application(&mut world).0, 404, "never registered");
    let socket = world.connect();
    assert_eq!(application(&mut world).0, 200);
    world.asterisk.disconnect(world.now, socket);
    assert_eq!(application(&mut world).0, 404);
}

#[test]
fn the_first_of_two_sockets_may_go() {
    let mut world = World::new(Version::V22);
    let first = world.connect();
    let second = world.connect();
    world.asterisk.disconnect(world.now, first);
    world.events.clear();
    world.call(IncomingCall::default());
    assert_eq!(world.events.len(), 1);
    assert_eq!(world.events[0].0, second);
}

#[test]
fn a_socket_may_be_open_and_its_registration_lost() {
    let mut world = World::new(Version::V22);
    world.connect();
    world.asterisk.lose_registration(world.now, APP);
    assert_eq!(application(&mut world).0, 404);
    let call = world.call(IncomingCall::default());
    assert!(matches!(world.asterisk.outcome(call).ended, Some(Ending::Continued { .. })));
    let socket = world.connect();
    world.asterisk.cut(world.now, socket);
    world.drain();
    assert_eq!(world.emitted.last(), Some(&Emit::SocketClosed { socket, close_frame: false }));
}

#[test]
fn one_socket_may_serve_several_applications() {
    let mut world = World::new(Version::V22);
    let socket = world.try_connect("app=a,b").unwrap();
    for app in ["a", "b"] {
        world.call(IncomingCall { app: app.into(), ..IncomingCall::default() });
        assert_eq!(text_of(&world.events.last().unwrap().1, "application"), app);
        assert_eq!(world.events.last().unwrap().0, socket);
    }
}

#[test]
fn subscribing_to_all_sticks_in_16_only() {
    for (version, sticks) in [(Version::V16, true), (Version::V22, false)] {
        let mut world = World::new(version);
        let all = world.try_connect(&format!("app={APP}&subscribeAll=true")).unwrap();
        world.ask("POST", "/bridges/b1");
        assert_eq!(world.kinds(), ["BridgeCreated"]);
        world.asterisk.disconnect(world.now, all);
        world.connect();
        world.ask("POST", "/bridges/b2");
        assert_eq!(world.kinds().len(), usize::from(sticks));
    }
}

#[test]
fn a_continued_call_needs_a_place_to_go() {
    let known = Some(vec![("transfer".to_owned(), "agent".to_owned())]);
    for (target, expected) in [
        ("context=transfer&extension=agent&priority=2", Some(2)),
        ("context=transfer&extension=agent", Some(1)),
        ("context=transfer&extension=nobody", None),
        ("", Some(5)),
    ] {
        let mut world = World::with(Settings { dialplan: known.clone(), ..Settings::default() });
        let call = world.answered();
        assert_eq!(world.ask("POST", &format!("/channels/{}/continue?{target}", call.caller)).status, 204);
        let went = match &world.asterisk.outcome(call.call).ended {
            Some(Ending::Continued { priority, .. }) => Some(*priority),
            Some(Ending::NowhereToGo) => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(went, expected, "{target}");
    }
}

#[test]
fn stopped_it_says_goodbye() {
    let mut world = World::new(Version::V22);
    let call = world.answered();
    world.kinds();
    world.emitted.clear();
    world.asterisk.stop(world.now, Stop::Terminate);
    world.drain();
    // Both channels are asked to hang up before the first of them ends, as measured on 22 and 16.
    let (asked, gone) = (["ChannelHangupRequest"; 2], ["ChannelLeftBridge", "StasisEnd"]);
    assert_eq!(world.kinds(), [&asked[..], &gone, &gone, &["ChannelDestroyed"]].concat());
    assert_eq!(world.asterisk.outcome(call.call).ended, Some(Ending::Stopped));
    let gone = [Emit::CallerReleased { call: call.call, how: Ending::Stopped }, Emit::ClosePort(call.port)];
    assert_eq!(world.emitted, gone);
    world.pass(999);
    assert_eq!(world.emitted.len(), 2);
    world.pass(1);
    assert!(matches!(world.emitted[2], Emit::SocketClosed { close_frame: false, .. }));
    assert!(world.ask("GET", "/channels").lost);
}

#[test]
fn killed_it_says_nothing() {
    let mut world = World::new(Version::V22);
    let call = world.answered();
    world.kinds();
    world.emitted.clear();
    world.asterisk.stop(world.now, Stop::Kill);
    world.drain();
    assert!(world.events.is_empty());
    assert!(matches!(world.emitted[..], [Emit::SocketClosed { close_frame: false, .. }, Emit::ClosePort(_)]));
    assert_eq!(world.asterisk.outcome(call.call).ended, Some(Ending::Killed));
    assert!(world.asterisk.channels().is_empty() && world.asterisk.bridges().is_empty());
    let refused = world.call(IncomingCall::default());
    assert_eq!(world.asterisk.outcome(refused).ended, Some(Ending::Stopped));
}

#[test]
fn starting_takes_its_time() {
    let mut world = World::new(Version::V22);
    world.connect();
    world.asterisk.stop(world.now, Stop::Kill);
    world.pass(1000);
    world.asterisk.start(world.now);
    let mut stages = Vec::new();
    for _ in 0..4 {
        let refused = world.try_connect(&format!("app={APP}")).map_or_else(|refused| refused.status, |_| 101);
        stages.push((world.ask("GET", "/asterisk/info").status, refused));
        world.pass(100);
    }
    assert_eq!(stages, [(0, 0), (404, 404), (503, 503), (200, 101)]);
    let call = world.call(IncomingCall::default());
    assert_eq!(world.kinds(), ["StasisStart"]);
    world.asterisk.stop(world.now, Stop::Terminate);
    world.asterisk.stop(world.now, Stop::Terminate);
    assert_eq!(world.asterisk.outcome(call).ended, Some(Ending::Stopped));
    world.asterisk.stop(world.now, Stop::Kill);
    assert!(world.ask("GET", "/asterisk/info").lost, "impatience helps");
}

#[test]
fn requests_fail_as_scripted_once_each() {
    let mut world = World::new(Version::V22);
    let second = Duration::from_secs(1);
    for fault in [Fault::Status(503), Fault::ConnectionLost, Fault::OkButReplyLost, Fault::Delay(second)] {
        world.asterisk.fail_next("POST", "/bridges", fault);
    }
    assert_eq!(world.ask("GET", "/bridges").status, 200, "another method");
    assert_eq!(world.ask("POST", "/bridges?bridgeId=a").status, 503);
    assert!(world.ask("POST", "/bridges?bridgeId=b").lost);
    assert!(world.ask("POST", "/bridges?bridgeId=c").lost);
    assert_eq!(world.ask("POST", "/bridges?bridgeId=d").delay, second);
    assert_eq!(world.ask("POST", "/bridges?bridgeId=e").delay, Duration::ZERO);
    assert_eq!(world.asterisk.bridges(), ["c", "d", "e"]);
    let journal: Vec<&str> = world.asterisk.journal().iter().map(|(_, line)| line.as_str()).collect();
    let lost = "POST /bridges lost";
    let done = "POST /bridges 200";
    assert_eq!(journal, ["GET /bridges 200", "POST /bridges 503", lost, lost, done, done]);
    world.asterisk.fail_next("GET", "/events", Fault::Status(500));
    assert_eq!(world.try_connect("app=a").unwrap_err().status, 500);
    assert!(world.try_connect("app=a").is_ok());
}

#[test]
fn the_same_seed_gives_the_same_asterisk() {
    let run = |seed| {
        let mut world = World::with(Settings { seed, ..Settings::default() });
        world.answered();
        world.events
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

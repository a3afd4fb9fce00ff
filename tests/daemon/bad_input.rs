//! Tests of invalid input from others, and of what the operator is told about it.

use std::net::UdpSocket;

use openai_inbound_calls::sim::asterisk::Ending;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::live::asterisk::loopback_address;
use openai_inbound_calls::sim::realtime::{Fault, FaultKind, Script, Trigger, pattern};

use crate::world::{World, assert_no_violations, contains, listen, ms, until};

/// A caller who listens, speaks, listens and hangs up.
fn talk() -> Vec<Step> {
    [&listen()[..], &[Step::Say(pattern(1_500, 7))], &listen()[..], &[Step::HangUp]].concat()
}

/// An RTP packet with this payload type.
fn packet(payload_type: u8, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let [high, low] = sequence.to_be_bytes();
    [&[0x80, payload_type, high, low, 0, 0, 1, 0, 0, 0, 0, 9][..], payload].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_and_strangers_at_the_rtp_port_change_nothing() {
    let world = World::new(Script::default());
    let daemon = world.daemon().await;
    let call = world.call(talk());
    until("the caller's audio flows", || !world.asterisk.media_hosts().is_empty()).await;
    let host = world.asterisk.media_hosts()[0];
    let stranger = UdpSocket::bind((loopback_address(), 0)).expect("a socket");
    let noise = pattern(20, 99);
    let mut sequence = 0;
    // Sends them several times per frame, as long as the call lasts.
    until("the call is over", || {
        sequence += 1;
        for datagram in
            [&[][..], &[0x80], &[0xFF; 200], &[0; 1_400], &[0x8F, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]]
        {
            world.asterisk.inject(datagram);
        }
        world.asterisk.inject(&packet(13, sequence, &[64]));
        world.asterisk.inject(&packet(96, sequence, &noise));
        drop(stranger.send_to(&packet(0, sequence, &noise), host));
        world.asterisk.channels().is_empty()
    })
    .await;
    world.over(call).await;
    let session = world.session();
    assert!(contains(&session.appended(), &pattern(1_500, 7)), "the question");
    assert!(!contains(&session.appended(), &noise[..80]), "nothing of the stranger");
    assert!(contains(&world.heard(call), &pattern(2_000, 2)), "the answer");
    assert!(sequence > 100, "{sequence} rounds");
    assert_no_violations(&session);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_json_and_unknown_events_on_both_websockets_are_survived() {
    let faults = [FaultKind::InvalidJson, FaultKind::BinaryGarbage, FaultKind::Unknowns];
    let mut faults = faults.map(|kind| Fault::new(Trigger::At(ms(500)), kind)).to_vec();
    faults.push(Fault::new(Trigger::OnConnect, FaultKind::InvalidJson));
    let world = World::new(Script { faults, ..Script::default() });
    let daemon = world.daemon().await;
    let nonsense = || {
        for text in [
            "",
            "{",
            "[]",
            "null",
            "{\"type\":7}",
            "{\"type\":\"StasisStart\"}",
            "{\"type\":\"Dial\",\"x\":[{}]}",
        ] {
            world.asterisk.say(text);
        }
    };
    nonsense();
    let call = world.call(talk());
    until("the caller hears the greeting", || {
        world.asterisk.phone(call, |phone| phone.statistics().loud > 5)
    })
    .await;
    nonsense();
    world.over(call).await;
    let session = world.session();
    assert!(contains(&session.appended(), &pattern(1_500, 7)), "the question");
    assert!(contains(&world.heard(call), &pattern(2_000, 2)), "the answer");
    assert_eq!(world.asterisk.outcome(call).ended, Some(Ending::CallerHungUp));
    assert_eq!(world.asterisk.listeners(), 1, "and the event socket is the same");
    assert_no_violations(&session);
    daemon.stop().await;
}

/// A call that the Realtime server refuses: the log has this line, and the caller returns to the dialplan for
/// this reason.
async fn refused(script: Script, line: &str, reason: &str) {
    let world = World::new(script);
    let program = world.program(&[]).await;
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    world.over(call).await;
    assert!(matches!(world.asterisk.outcome(call).ended, Some(Ending::Continued { .. })));
    assert_eq!(world.end_reason(call).as_deref(), Some(reason), "{}", program.log());
    program.says("ERROR", line).await;
    program.says("WARNING", "Llamada devuelta al dialplan - Motivo: ").await;
    assert!(!program.log().contains("sk-test"), "{}", program.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_said_and_the_caller_handed_back() {
    let script = Script { key: Some("sk-another".into()), ..Script::default() };
    refused(script, "OpenAI rechaza la clave: revise OPENAI_API_KEY", "session_failed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_does_not_exist_is_said_and_the_caller_handed_back() {
    let script = Script { models: vec!["another".into()], ..Script::default() };
    let line =
        "El modelo gpt-realtime-2.1 no existe o la clave no tiene acceso a él: revise OPENAI_REALTIME_MODEL";
    refused(script, line, "session_failed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_are_refused_are_said_and_the_caller_handed_back() {
    let faults = vec![Fault::new(Trigger::OnConnect, FaultKind::UpdateRefused("invalid_value".into()))];
    let script = Script { faults, ..Script::default() };
    refused(script, "OpenAI rechaza los ajustes de la sesión (invalid_value): ", "session_failed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_of_another_program_is_passed_over_and_said() {
    let world = World::new(Script::default());
    let address = loopback_address();
    let taken = UdpSocket::bind((address, 20_000)).expect("an address of our own");
    let program = world.program(&[("LOCAL_IP_ADDRESS", &address.to_string())]).await;
    let call = world.call([&listen()[..], &[Step::HangUp]].concat());
    world.over(call).await;
    program.says("WARNING", "El puerto RTP 20000 está ocupado por otro programa: se prueba el 20002").await;
    assert!(contains(&world.heard(call), &pattern(1_500, 1)), "the greeting");
    drop(taken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_free_port_the_caller_is_handed_back() {
    let world = World::new(Script::default());
    let address = loopback_address();
    let taken = UdpSocket::bind((address, 20_000)).expect("an address of our own");
    let changes = [("LOCAL_IP_ADDRESS", &*address.to_string()), ("RTP_PORTS", "20000-20001")];
    let program = world.program(&changes).await;
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    world.over(call).await;
    assert_eq!(world.end_reason(call).as_deref(), Some("no_port"));
    program.says("ERROR", "No queda ningún puerto RTP libre entre 20000 y 20001: amplíe RTP_PORTS").await;
    drop(taken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_events_at_once_cost_nobody_his_call() {
    let world = World::new(Script::default());
    let program = world.program(&[]).await;
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    program.says("INFO", "Codec detectado").await;
    let channel = world.asterisk.outcome(call).channel;
    let event = |kind: &str, more: &str| {
        format!(r#"{{"type":"{kind}","application":"openai-app","channel":{{"id":"{channel}"}}{more}}}"#)
    };
    for n in 0..600 {
        world.asterisk.say(&event(if n % 2 == 0 { "ChannelHold" } else { "ChannelUnhold" }, ""));
    }
    for _ in 0..200 {
        world.asterisk.say(&event("ChannelDtmfReceived", r#","digit":"5""#));
    }
    // The event of the hang-up comes after all the other events.
    world.asterisk.hang_up(call);
    world.over(call).await;
    program.says("INFO", "Motivo: el llamante colgó").await;
    assert_eq!(program.count("ERROR", ""), 0, "{}", program.log());
}

//! What a call asserts after every input: each assertion is seen to fail on a call that has been broken by hand.

use std::net::SocketAddr;

use super::record::Keep;
use super::source::Trust;
use super::*;
use crate::ari::ChannelId;
use crate::end_reason::EndReason;
use crate::operator::LinkFault;
use crate::realtime::dialect::{Dialect, SessionSettings, TurnDetection};

fn settings() -> Settings {
    Settings {
        app: "openai-app".into(),
        model: "gpt-realtime".into(),
        session: SessionSettings {
            dialect: Dialect::Ga,
            instructions: "".into(),
            voice: "marin".into(),
            transcription: None,
            turn_detection: TurnDetection::Server { threshold: 0.5, prefix_padding_ms: 300, silence_ms: 500 },
            interrupt: true,
            noise_reduction: None,
            speed: 1.0,
            reasoning_effort: None,
            max_output_tokens: None,
            truncation: None,
            parallel_tool_calls: None,
            tools: Vec::new(),
        },
        greeting_template: None,
        form: None,
        tools: Vec::new(),
        greeting: None,
        recording_notice: None,
        uplink_frames_per_append: 1,
        keep: Keep::ALL,
        apology: None,
        fallback: None,
        limits: limits::Limits::default(),
        prices: ledger::Prices::default(),
        tells_keys: true,
        may_hang_up: false,
        destinations: Vec::new(),
        trust: Trust::Learn,
        media_networks: None,
        dial: None,
    }
}

/// A call that has just begun, and when that was.
fn call() -> (Call, Instant) {
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
    let now = Instant::now();
    let local = SocketAddr::from(([127, 0, 0, 1], 10_000));
    let seed = Seed {
        channel: "1795180048.12".into(),
        wall: 1_795_180_048,
        channel_name: "PJSIP/trunk-00000001".into(),
        answered: true,
        local,
        advertised: local,
        other_ports: [].into(),
        ssrc: 1,
        sequence: 1,
        timestamp: 1,
        known: Known::default(),
    };
    let mut call = Call::new(now, Arc::new(settings()), seed);
    drop(call.handle(now, Input::Tick));
    (call, now)
}

/// A call whose caller hung up, and of which nothing is left.
fn ended() -> (Call, Instant) {
    let (mut call, now) = call();
    drop(call.handle(now, Input::Leg(LegEvent::AsteriskLost)));
    assert_eq!(call.deadline(), None);
    (call, now)
}

#[test]
fn nothing_comes_out_of_a_call_that_has_ended() {
    let (mut call, now) = ended();
    let (channel, end) = (ChannelId::from("1795180048.13"), LinkFault::Broken);
    let number = "200".into();
    let inputs = [
        Input::Tick,
        Input::Leg(LegEvent::Key('1')),
        Input::Leg(LegEvent::CallerLeft),
        Input::CallerReplaced { by: &channel, next_step: None },
        Input::CallerRenumbered(&number),
        Input::SessionOpened,
        Input::SessionEnded(SessionEnd { refusal: None, cause: end }),
        Input::Supervisor(&Wish::HangUp),
        Input::Shutdown,
    ];
    for input in inputs {
        let told = format!("{input:?}");
        assert_eq!(call.handle(now, input).collect::<Vec<_>>(), [], "{told}");
        assert_eq!(call.deadline(), None, "{told}");
    }
}

#[test]
#[should_panic(expected = "something comes out of a call that has ended")]
fn an_output_of_a_call_that_has_ended_is_noticed() {
    let (mut call, now) = ended();
    call.outputs.push(Output::CloseSession);
    drop(call.handle(now, Input::Tick));
}

#[test]
#[should_panic(expected = "the end of the call is not the last that comes out of it")]
fn an_output_behind_the_end_is_noticed() {
    let (mut call, _) = call();
    call.over(EndReason::CallerHungUp);
    call.outputs.push(Output::CloseSession);
    call.check_end();
}

#[test]
#[should_panic(expected = "the next deadline has passed")]
fn a_deadline_in_the_past_is_noticed() {
    let (mut call, now) = call();
    // What would happen if a handler did not move its deadline.
    call.now = now + session::SESSION_PATIENCE;
    let _ = call.deadline();
}

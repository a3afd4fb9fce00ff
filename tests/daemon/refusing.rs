//! Tests of an Asterisk that forbids requests or does not answer them, and of audio that cannot be connected.
//! The daemon reports only callers as handed back who are, the log names what is refused, and `/ready` says
//! so as long as it lasts.

use openai_inbound_calls::sim::asterisk::{Ending, Fault};
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::Script;

use crate::api::Api;
use crate::ready::becomes;
use crate::world::{Program, World, listen, ms, until};

const HANDED_BACK: &str = "Llamada devuelta al dialplan";

fn waits() -> Vec<Step> {
    vec![Step::Pause(ms(600_000))]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ari_user_who_may_only_read_is_named_at_the_start_and_ready_says_so() {
    let world = World::new(Script::default());
    world.asterisk.set_read_only(true);
    let program = world.program(&[]).await;
    let api = Api::of(&program).await;
    program.says("ERROR", "(HTTP 403): Write access denied. Ponga read_only = no").await;
    becomes(&api, &["asterisk_refuses"]).await;
    world.asterisk.set_read_only(false);
    becomes(&api, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_is_not_taken_is_said_to_be_back_when_they_are() {
    let world = World::new(Script::default());
    let program = world.program(&[("MAX_CALLS", "1")]).await;
    let api = Api::of(&program).await;
    let first = world.call(waits());
    program.says("INFO", "Codec detectado").await;
    world.asterisk.set_read_only(true);
    let second = world.call(waits());
    program.says("ERROR", "/continue (HTTP 403): Write access denied").await;
    program.says("ERROR", "El llamante sigue en Stasis()").await;
    becomes(&api, &["asterisk_refuses", "max_calls_reached"]).await;
    assert_eq!(program.count("WARNING", HANDED_BACK), 0, "{}", program.log());
    world.asterisk.set_read_only(false);
    until("the second goes on", || {
        matches!(world.asterisk.outcome(second).ended, Some(Ending::Continued { .. }))
    })
    .await;
    program.says("WARNING", HANDED_BACK).await;
    assert_eq!(world.end_reason(second).as_deref(), Some("busy"), "and the dialplan knows why");
    becomes(&api, &["max_calls_reached"]).await;
    world.asterisk.hang_up(first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_stops_in_time_though_asterisk_lets_nobody_go() {
    let world = World::new(Script::default());
    let mut program = world.program(&[("MAX_CALLS", "1"), ("SHUTDOWN_GRACE_SECONDS", "0")]).await;
    let _first = world.call(waits());
    program.says("INFO", "Codec detectado").await;
    world.asterisk.set_read_only(true);
    let _second = world.call(waits());
    program.says("ERROR", "El llamante sigue en Stasis()").await;
    program.signal("TERM");
    assert!(program.exit().await.success(), "{}", program.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_asterisk_whose_channels_hang_is_not_ready() {
    let world = World::new(Script::default());
    let program = world.program(&[]).await;
    let api = Api::of(&program).await;
    world.asterisk.hang("/channels", ms(8_000));
    let call = world.call(waits());
    becomes(&api, &["asterisk_refuses"]).await;
    program.says("ERROR", "Asterisk no responde a POST /channels/externalMedia").await;
    assert_eq!(program.count("WARNING", HANDED_BACK), 0, "{}", program.log());
    world.over(call).await;
    program.says("WARNING", HANDED_BACK).await;
    // That call had no audio, but Asterisk answers.
    becomes(&api, &["sound_failing"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_not_of_this_machine_is_named_at_the_start() {
    let world = World::new(Script::default());
    // This address is of TEST-NET-1 (RFC 5737).
    let program = world.program(&[("LOCAL_IP_ADDRESS", "192.0.2.1")]).await;
    let api = Api::of(&program).await;
    program.says("ERROR", "No se puede abrir un socket RTP en 192.0.2.1").await;
    becomes(&api, &["local_address_missing"]).await;
    let call = world.call(waits());
    until("the caller goes on", || world.end_reason(call).as_deref() == Some("local_address_missing")).await;
    becomes(&api, &["local_address_missing", "sound_failing"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_without_sound_makes_the_daemon_unready_until_one_has_some() {
    let world = World::new(Script::default());
    let program: Program = world.program(&[]).await;
    let api = Api::of(&program).await;
    world.asterisk.fail_next("POST", "/channels/externalMedia", Fault::Status(500));
    world.over(world.call(waits())).await;
    program.says("ERROR", "Asterisk rechaza POST /channels/externalMedia (HTTP 500): Scripted fault").await;
    becomes(&api, &["sound_failing"]).await;
    let served = world.call([&listen()[..], &[Step::HangUp]].concat());
    world.over(served).await;
    becomes(&api, &[]).await;
}

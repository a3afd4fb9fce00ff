//! Tests of another program that registers the same application, and of another daemon on the same Asterisk.
//! The log says so, the other program keeps its calls, and the daemon looks after its own calls without their
//! events.

use futures_util::StreamExt as _;
use openai_inbound_calls::ari::request::{Reply, Request};
use openai_inbound_calls::ari::{BridgeId, ChannelId};
use openai_inbound_calls::net::ari_rest::AriRest;
use openai_inbound_calls::net::tls;
use openai_inbound_calls::sim::asterisk::{Ending, IncomingCall};
use openai_inbound_calls::sim::caller::{Caller, Step};
use openai_inbound_calls::sim::realtime::{Answer, Script};

use tokio_tungstenite::connect_async;

use crate::world::{Program, World, ms, until};

const TAKEN: &str = "Otro programa ha tomado la aplicación ARI openai-app";

fn events_url(world: &World, app: &str) -> String {
    format!("ws://{}/ari/events?app={app}&api_key=asterisk:testbed", world.asterisk.address())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_program_that_takes_the_application_is_said_and_not_fought() {
    let world = World::new(Script::default());
    let mut program = world.program(&[]).await;
    let url = format!("ws://{}/ari/events?app=openai-app&api_key=asterisk:testbed", world.asterisk.address());
    let (other, _) = connect_async(url).await.expect("it is let in");
    program.says("ERROR", "Otro programa ha tomado la aplicación ARI openai-app").await;
    program.signal("TERM");
    assert_eq!(program.exit().await.code(), Some(0));
    let connects = world.asterisk.journal().iter().filter(|(_, line)| line == "GET /events 101").count();
    assert_eq!(connects, 2, "ours and the other's, and nobody came back");
    drop(other);
}

/// A model that never stops speaking, so that the audio shows who serves the caller.
fn monologue() -> Script {
    Script { greeting: Some(Answer::pattern("", 60_000, 1)), ..Script::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_whose_end_only_the_other_program_is_told_is_noticed() {
    let world = World::new(monologue());
    let program = world.program(&[]).await;
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    until("the caller hears us", || world.asterisk.phone(call, |phone| phone.statistics().loud > 5)).await;
    let (mut other, _) = connect_async(events_url(&world, "openai-app")).await.expect("it is let in");
    program.says("ERROR", TAKEN).await;
    // The call continues until the caller hangs up.
    let loud = world.asterisk.phone(call, |phone| phone.statistics().loud);
    until("and still does", || world.asterisk.phone(call, |phone| phone.statistics().loud > loud + 200))
        .await;
    world.asterisk.hang_up(call);
    world.over(call).await;
    program.says("INFO", "Motivo: el llamante colgó").await;
    assert!(other.next().await.is_some(), "the other is told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_started_by_mistake_takes_the_calls_and_the_first_does_not_touch_them() {
    let world = World::new(monologue());
    let first = world.program(&[]).await;
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    until("the caller hears us", || world.asterisk.phone(call, |phone| phone.statistics().loud > 5)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let recordings = folder.path().display().to_string();
    let second = Program::start(world.variables_with(&[("RECORDINGS_DIR", &recordings)]));
    first.says("ERROR", TAKEN).await;
    second.says("INFO", "Codec detectado: ulaw").await;
    first.says("INFO", "Motivo: otro programa se hizo cargo de la llamada").await;
    let loud = world.asterisk.phone(call, |phone| phone.statistics().loud);
    until("the second goes on", || world.asterisk.phone(call, |phone| phone.statistics().loud > loud + 100))
        .await;
    assert_eq!(world.asterisk.outcome(call).ended, None);
    world.asterisk.hang_up(call);
    world.over(call).await;
    second.says("INFO", "Motivo: el llamante colgó").await;
    assert_eq!(world.asterisk.outcome(call).ended, Some(Ending::CallerHungUp));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_of_the_same_folder_does_not_start() {
    let world = World::new(Script::default());
    let mut first = world.program(&[]).await;
    let pid = first.pid().as_raw_nonzero();
    for (language, line) in [
        (
            "es",
            format!(
                "Ya hay un servicio para la aplicación ARI openai-app con la misma carpeta de grabaciones (proceso {pid})"
            ),
        ),
        (
            "en",
            format!(
                "A daemon already serves the ARI application openai-app with the same folder of recordings (process {pid})"
            ),
        ),
    ] {
        let mut second = Program::start(world.variables_with(&[("LOG_LANGUAGE", language)]));
        assert_eq!(second.exit().await.code(), Some(1));
        assert!(second.log().contains(&line), "{}", second.log());
    }
    let connects = world.asterisk.journal().iter().filter(|(_, line)| line == "GET /events 101").count();
    assert_eq!(connects, 1, "the application stays with the first");
    // Another application may have its daemon over the same folder. The kernel releases the lock of a daemon that is killed.
    let other = Program::start(world.variables_with(&[("ASTERISK_APP", "other-app")]));
    other.says("INFO", "Conexión ARI establecida").await;
    first.signal("KILL");
    assert!(!first.exit().await.success());
    let third = Program::start(world.variables());
    third.says("INFO", "Conexión ARI establecida").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_whose_lock_cannot_be_had_says_so_and_starts() {
    let world = World::new(Script::default());
    let address = world.asterisk.address();
    let lock = format!(".openai-app@{}_{}.lock", address.ip(), address.port());
    let elsewhere = world.recordings.path().join("elsewhere");
    std::os::unix::fs::symlink(&elsewhere, world.recordings.path().join(&lock)).expect("a link");
    let program = world.program(&[]).await;
    program.says("WARNING", "un segundo servicio para la misma aplicación no se notaría al iniciarse").await;
    assert!(!elsewhere.exists(), "no link is followed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_bridges_that_were_never_joined_those_without_a_caller_are_removed() {
    let world = World::new(Script::default());
    let tls = tls::client_config().expect("a trust store");
    let base = format!("http://{}/ari", world.asterisk.address());
    let rest = AriRest::new(&base, "asterisk", "testbed", &tls).expect("a client");
    // A caller of another daemon, whose bridge is about to be joined.
    let (_other_connection, _) = connect_async(events_url(&world, "other-app")).await.expect("it is let in");
    let incoming = IncomingCall { app: "other-app".into(), ..IncomingCall::default() };
    let call = world.asterisk.call(incoming, |now| Caller::new(now, vec![Step::Pause(ms(60_000))], 7));
    let others = ChannelId::from(world.asterisk.outcome(call).channel.as_str()).bridge();
    let left = ChannelId::from("1795180048.12").bridge();
    for bridge in [left.clone(), others.clone(), BridgeId::from("conference")] {
        let reply = rest.perform(&Request::CreateBridge { bridge }).await;
        assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
    }
    let _program = world.program(&[]).await;
    until("it is removed", || !world.asterisk.bridges().contains(&left.to_string())).await;
    let mut bridges = world.asterisk.bridges();
    bridges.sort();
    assert_eq!(bridges, ["conference".to_owned(), others.to_string()]);
}

//! Tests of an Asterisk that goes and returns: the daemon reports it and reconnects, and live calls continue
//! meanwhile.

use openai_inbound_calls::sim::asterisk::{Ending, Fault, Stop};
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Script, pattern};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::api::Api;
use crate::call_log::{calls, ended};
use crate::ready::becomes;
use crate::world::{PATIENCE, Program, World, assert_no_violations, contains, listen, ms, until};

const LOST: &str = "Conexión cerrada, reintentando...";
const CONNECTED: &str = "Conexión ARI establecida";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_talks_on_while_the_event_socket_is_cut_and_comes_back() {
    let world = World::new(Script::default());
    let program = world.program(&[]).await;
    let script = [
        &listen()[..],
        &[Step::Say(pattern(1_500, 7))],
        &listen()[..],
        &[Step::Say(pattern(1_500, 8))],
        &listen()[..],
        &[Step::HangUp],
    ];
    let call = world.call(script.concat());
    until("the caller hears the greeting", || {
        world.asterisk.phone(call, |phone| phone.statistics().loud > 5)
    })
    .await;
    world.asterisk.cut_events();
    program.says("ERROR", LOST).await;
    program.says_times(2, "INFO", CONNECTED).await;
    program.says("INFO", "Sin conexión con Asterisk durante ").await;
    program.says("INFO", " s - Llamadas que continúan: 1 - Llamadas terminadas entretanto: 0").await;
    world.over(call).await;
    let session = world.session();
    for tag in [7, 8] {
        assert!(contains(&session.appended(), &pattern(1_500, tag)), "what was said {tag}");
    }
    assert_eq!(world.asterisk.phone(call, |phone| phone.statistics().lost), 0);
    assert_eq!(world.asterisk.outcome(call).ended, Some(Ending::CallerHungUp));
    assert_no_violations(&session);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_hung_up_during_the_outage_is_noticed_after_it() {
    let world = World::new(Script::default());
    let program = world.program(&[]).await;
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    until("the caller hears the greeting", || {
        world.asterisk.phone(call, |phone| phone.statistics().loud > 5)
    })
    .await;
    world.asterisk.cut_events();
    world.asterisk.hang_up(call);
    program.says_times(2, "INFO", CONNECTED).await;
    world.over(call).await;
    program.says("INFO", "Motivo: el llamante colgó").await;
    program.says("INFO", " s - Llamadas que continúan: 0 - Llamadas terminadas entretanto: 1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_said_plainly_and_tried_again() {
    let world = World::new(Script::default());
    let program = Program::start(world.variables_with(&[("ASTERISK_PASSWORD", "wrong")]));
    let tries = || world.asterisk.journal().iter().filter(|(_, line)| line == "GET /events 401").count();
    until("it has tried twice", || tries() >= 2).await;
    program.says("ERROR", LOST).await;
    program
        .says(
            "ERROR",
            "rechaza el usuario o la contraseña de ARI: revise ASTERISK_USERNAME y ASTERISK_PASSWORD",
        )
        .await;
    becomes(&Api::of(&program).await, &["asterisk_credentials_refused"]).await;
    assert!(!program.log().contains("wrong"), "{}", program.log());
    assert_eq!(program.count("INFO", CONNECTED), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_stood_gets_no_advice_for_wrong_settings() {
    let world = World::new(Script::default());
    let program = world.program(&[]).await;
    program.says("INFO", CONNECTED).await;
    world.asterisk.cut_events();
    program.says("ERROR", "Se perdió la conexión con Asterisk en 127.0.0.1:").await;
    program.says_times(2, "INFO", CONNECTED).await;
    assert_eq!(program.count("ERROR", "Revise"), 0, "{}", program.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_ari_is_told_once_with_the_remedy() {
    // This happens with `prefix` in http.conf: there is an HTTP server, but no ARI at the expected path.
    let world = World::new(Script::default());
    for _ in 0..14 {
        world.asterisk.fail_next("GET", "/events", Fault::Status(404));
    }
    let program = Program::start(world.variables());
    program
        .says(
            "ERROR",
            "responde HTTP 404 en lugar de ARI: ponga enabled = yes en ari.conf, deje vacío prefix",
        )
        .await;
    world.registered().await;
    assert_eq!(program.count("ERROR", "en lugar de ARI"), 1, "{}", program.log());
    assert_eq!(program.count("ERROR", ""), 2, "and one line that it is tried again: {}", program.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_asterisk_that_is_killed_and_started_again_is_served_again() {
    let world = World::new(Script::default());
    let program = world.program(&[]).await;
    let before = world.call(vec![Step::Pause(ms(60_000))]);
    until("the caller hears the greeting", || {
        world.asterisk.phone(before, |phone| phone.statistics().loud > 5)
    })
    .await;
    world.asterisk.stop(Stop::Kill);
    program.says("ERROR", LOST).await;
    // The port of Asterisk stays in use, but no one answers.
    program.says("ERROR", "se acepta la conexión y se cierra sin respuesta").await;
    world.asterisk.start_again();
    program.says_times(2, "INFO", CONNECTED).await;
    lost_with_asterisk(&program).await;
    let call = world.call([&listen()[..], &[Step::HangUp]].concat());
    world.over(call).await;
    assert!(contains(&world.heard(call), &pattern(1_500, 1)), "the greeting");
}

/// The only call is lost with Asterisk, and the log, the call log and the recording say so.
async fn lost_with_asterisk(program: &Program) {
    program.says("INFO", "Motivo: se perdió Asterisk").await;
    program.says("WARNING", "Asterisk se reinició y estuvo ausente ").await;
    program.says("WARNING", " s - Llamadas perdidas: 1").await;
    let rows = calls(&Api::of(program).await, "the row of the call", |rows| rows.iter().all(ended)).await;
    assert_eq!(rows[0]["end_reason"], "asterisk_lost", "{rows:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_asterisk_that_is_stopped_in_order_ends_its_calls_and_is_served_again() {
    let world = World::new(Script::default());
    let program = world.program(&[]).await;
    let before = world.call(vec![Step::Pause(ms(60_000))]);
    until("the caller hears the greeting", || {
        world.asterisk.phone(before, |phone| phone.statistics().loud > 5)
    })
    .await;
    world.asterisk.stop(Stop::Terminate);
    program.says("INFO", "Motivo: se perdió Asterisk").await;
    program.says("ERROR", LOST).await;
    world.asterisk.start_again();
    program.says_times(2, "INFO", CONNECTED).await;
    lost_with_asterisk(&program).await;
    let call = world.call([&listen()[..], &[Step::HangUp]].concat());
    world.over(call).await;
    assert!(contains(&world.heard(call), &pattern(1_500, 1)), "the greeting");
}

/// Relays connections to `behind` until `frozen`. From then on the old connections hang, as behind a dead
/// router, and new ones pass.
async fn router(
    routes: &mut JoinSet<()>,
    behind: std::net::SocketAddr,
    frozen: watch::Receiver<bool>,
) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    routes.spawn(async move {
        let mut guests = JoinSet::new();
        while let Ok((mut outside, _)) = listener.accept().await {
            let mut frozen = frozen.clone();
            let passes = *frozen.borrow_and_update();
            guests.spawn(async move {
                let Ok(mut inside) = TcpStream::connect(behind).await else { return };
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut outside, &mut inside) => {}
                    Ok(()) = frozen.changed(), if !passes => std::future::pending().await,
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_socket_that_hangs_is_noticed_and_who_called_meanwhile_is_served() {
    let world = World::new(Script::default());
    let (freeze, frozen) = watch::channel(false);
    let mut routes = JoinSet::new();
    let port = router(&mut routes, world.asterisk.address(), frozen).await.to_string();
    let program = world.program(&[("ASTERISK_PORT", &port)]).await;
    // The requests after connecting have been answered, so they do not hang too.
    program.says("INFO", CONNECTED).await;
    freeze.send(true).expect("the router listens");
    // Asterisk believes that the daemon listens, so it lets the caller in.
    let call = world.call([&listen_long()[..], &[Step::HangUp]].concat());
    program.says("ERROR", "no pong").await;
    program.says_times(2, "INFO", CONNECTED).await;
    world.over(call).await;
    assert!(contains(&world.heard(call), &pattern(1_500, 1)), "the greeting");
    assert_eq!(world.asterisk.outcome(call).ended, Some(Ending::CallerHungUp));
}

/// The same as [`listen`] for a caller who waits longer than the daemon needs to notice.
fn listen_long() -> [Step; 2] {
    [Step::WaitForSpeech { at_most: PATIENCE }, listen()[1].clone()]
}

//! Tests that the lines for which operators grep are in the log file of a real call, verbatim.

use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Script, pattern};

use crate::world::{Program, World, listen, ms, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_promised_line_is_in_the_log_of_a_call() {
    let world = World::new(Script::default());
    let mut program = world.program(&[]).await;
    let script = [&listen()[..], &[Step::Say(pattern(1_000, 7))], &listen()[..], &[Step::HangUp]].concat();
    let call = world.call(script);
    until("the caller's audio flows", || !world.asterisk.media_hosts().is_empty()).await;
    let host = world.asterisk.media_hosts()[0];
    world.over(call).await;
    world.asterisk.cut_events();
    program.says("ERROR", "Conexión cerrada, reintentando...").await;
    program.signal("TERM");
    assert_eq!(program.exit().await.code(), Some(0));
    let log = program.log();
    let bound = format!("Socket RTP vinculado a {host}");
    let id = world.asterisk.outcome(call).channel;
    let of_call = |line: &str| format!(" - INFO - [{id}] {line}");
    let promised = [
        " - INFO - Conexión ARI establecida".to_owned(),
        of_call("Nueva llamada recibida - Canal: PJSIP/voip-00000000"),
        of_call(&bound),
        of_call("Codec detectado: ulaw"),
        of_call("Conexión WebSocket con OpenAI"),
        of_call("msg_type updated recibido, ahora enviaré audio chunks"),
        " - ERROR - Conexión cerrada, reintentando...".to_owned(),
        " - INFO - Servicio detenido".to_owned(),
    ];
    for line in promised {
        assert_eq!(log.lines().filter(|logged| logged.ends_with(&line)).count(), 1, "{line} in:\n{log}");
    }
    for secret in ["sk-test", "testbed", "3001234567", "Le paso con ventas", "Quiero hablar"] {
        assert!(!log.contains(secret), "{secret} in:\n{log}");
    }
}

/// `journalctl -p err` shows priority 3 and more severe ones: the number in `<3>` (sd-daemon(3)), which the
/// journal removes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_journal_errors_have_their_priority_and_a_calls_lines_its_id() {
    let world = World::new(Script::default());
    let mut program = Program::start_under_systemd(world.variables());
    world.registered().await;
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    until("the caller hears the greeting", || {
        world.asterisk.phone(call, |phone| phone.statistics().loud > 5)
    })
    .await;
    world.asterisk.hang_up(call);
    world.over(call).await;
    world.asterisk.cut_events();
    program.says("ERROR", "Conexión cerrada, reintentando...").await;
    program.signal("TERM");
    assert_eq!(program.exit().await.code(), Some(0));
    let journal = program.stderr();
    let id = world.asterisk.outcome(call).channel;
    for line in [
        "<3>ERROR - Conexión cerrada, reintentando...".to_owned(),
        format!("<6>INFO - [{id}] Codec detectado: ulaw"),
        "<6>INFO - Servicio detenido".to_owned(),
    ] {
        assert_eq!(journal.lines().filter(|logged| *logged == line).count(), 1, "{line} in:\n{journal}");
    }
    let with_priority = |line: &str| ["<3>", "<4>", "<6>"].iter().any(|priority| line.starts_with(priority));
    assert!(journal.lines().all(with_priority), "{journal}");
}

#[tokio::test]
async fn a_failed_start_is_an_error_in_the_journal_too() {
    let mut program = Program::start_under_systemd(Vec::new());
    assert_eq!(program.exit().await.code(), Some(1));
    let journal = program.stderr();
    assert!(journal.starts_with("<3>ERROR - Variables de ambiente requeridas no encontradas: "), "{journal}");
}

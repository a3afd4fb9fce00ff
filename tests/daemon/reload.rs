//! Tests of SIGHUP: the log file is reopened, and new calls follow the current configuration if it is valid.

use openai_inbound_calls::sim::asterisk::CallState;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::Script;

use serde_json::json;

use crate::api::Api;
use crate::world::{Program, World, assert_no_violations, ms, until};

const RELOADED: &str = "Configuración leída de nuevo";
const REFUSED: &str = "La configuración nueva no es válida: sigue en vigor la anterior";

/// Places a call that hears the greeting. Returns the settings that the model got at its start, as JSON.
async fn session_of_a_call(world: &World) -> serde_json::Value {
    let earlier = world.openai.sessions().len();
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    until("the caller hears the greeting", || {
        world.asterisk.phone(call, |phone| phone.statistics().loud > 5)
    })
    .await;
    world.asterisk.hang_up(call);
    world.over(call).await;
    let session = world.openai.sessions().remove(earlier);
    assert_no_violations(&session);
    let said = session.said();
    let messages = said.iter().filter(|said| said.by_client);
    let mut updates = messages
        .map(|said| serde_json::from_str::<serde_json::Value>(&said.text).expect("JSON"))
        .filter(|message| message["type"] == "session.update");
    updates.next().expect("it was told its settings")["session"].clone()
}

/// Writes a new `.env` and has the program read it.
async fn reload(program: &Program, changes: &[(&'static str, &str)], answer: (&str, &str)) {
    let (level, line) = answer;
    let before = program.count(level, line);
    program.change_env_file(changes);
    program.signal("HUP");
    program.says_times(before + 1, level, line).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_call_follows_the_new_instructions_and_a_live_one_is_left_alone() {
    let world = World::new(Script::default());
    world.openai.watch();
    let program = world.program_with_env_file(&[]).await;
    assert_ne!(session_of_a_call(&world).await["instructions"], "Sea breve.");
    let live = world.call(vec![Step::Pause(ms(60_000))]);
    until("the live call hears the greeting", || {
        world.asterisk.phone(live, |phone| phone.statistics().loud > 5)
    })
    .await;

    std::fs::write(program.path("who.txt"), "Sea breve.").expect("a file");
    let changes = [("ASSISTANT_INSTRUCTIONS_FILE", "who.txt"), ("OPENAI_VOICE", "cedar")];
    reload(&program, &changes, ("INFO", RELOADED)).await;
    let heard = world.asterisk.phone(live, |phone| phone.statistics().packets);
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    until("the new caller hears the greeting", || {
        world.asterisk.phone(call, |phone| phone.statistics().loud > 5)
    })
    .await;
    until("the live call goes on", || world.asterisk.phone(live, |phone| phone.statistics().packets > heard))
        .await;
    assert_ne!(world.asterisk.outcome(live).state, CallState::Gone);
    for over in [live, call] {
        world.asterisk.hang_up(over);
    }
    world.over(call).await;
    let told = session_of_a_call(&world).await;
    assert_eq!(
        (&told["instructions"], &told["audio"]["output"]["voice"]),
        (&"Sea breve.".into(), &"cedar".into())
    );
    assert_eq!(program.count("WARNING", "reiniciar"), 0, "{}", program.log());

    // Only the file has changed.
    std::fs::write(program.path("who.txt"), "Sea muy breve.").expect("a file");
    reload(&program, &changes, ("INFO", RELOADED)).await;
    assert_eq!(session_of_a_call(&world).await["instructions"], "Sea muy breve.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_configuration_is_refused_with_all_its_faults_and_the_old_one_stays() {
    let world = World::new(Script::default());
    world.openai.watch();
    let mut program = world.program_with_env_file(&[("OPENAI_VOICE", "cedar")]).await;
    let faulty = [("OPENAI_VOICE", "ash"), ("OPENAI_SPEED", "9"), ("OPENAI_API_KEY", "")];
    reload(&program, &faulty, ("ERROR", REFUSED)).await;
    assert_eq!(program.count("ERROR", "Valor no válido en OPENAI_SPEED: «9»"), 1, "{}", program.log());
    assert_eq!(
        program.count("ERROR", "Variables de ambiente requeridas no encontradas: OPENAI_API_KEY"),
        1,
        "{}",
        program.log()
    );
    assert_eq!(session_of_a_call(&world).await["audio"]["output"]["voice"], "cedar");
    assert!(program.is_running());
    let api = Api::of(&program).await;
    let warnings = async || api.get("/ready").await.json()["warnings"].clone();
    assert_eq!(warnings().await, json!(["configuration_refused"]));
    assert_eq!(program.count("INFO", RELOADED), 0, "{}", program.log());
    reload(&program, &[("OPENAI_VOICE", "ash")], ("INFO", RELOADED)).await;
    assert_eq!(session_of_a_call(&world).await["audio"]["output"]["voice"], "ash");
    assert_eq!(warnings().await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_a_restart_is_named_in_one_line_and_left_alone() {
    let world = World::new(Script::default());
    world.openai.watch();
    let program = world.program_with_env_file(&[]).await;
    let changes = [("ASTERISK_APP", "other-app"), ("API_LISTEN", "127.0.0.1:1"), ("OPENAI_VOICE", "cedar")];
    reload(&program, &changes, ("INFO", RELOADED)).await;
    let line = "Cambios que solo se aplican después de reiniciar el servicio: ASTERISK_APP, API_LISTEN";
    program.says("WARNING", line).await;
    assert!(program.log().lines().any(|logged| logged.ends_with(line)), "{}", program.log());
    assert_eq!(session_of_a_call(&world).await["audio"]["output"]["voice"], "cedar");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_file_is_opened_again_at_its_path() {
    let world = World::new(Script::default());
    let mut program = world.program_with_env_file(&[]).await;
    program.says("INFO", "Conexión ARI establecida").await;
    let moved = program.path("calls.log.1");
    std::fs::rename(program.log_path(), &moved).expect("it is moved away");
    program.signal("HUP");
    program.says("INFO", RELOADED).await;
    program.signal("TERM");
    assert_eq!(program.exit().await.code(), Some(0));
    assert_eq!(program.count("INFO", "Servicio detenido"), 1, "{}", program.log());
    let old = std::fs::read_to_string(moved).expect("the old file");
    assert!(old.contains("Conexión ARI establecida") && !old.contains("Servicio detenido"), "{old}");
}

//! Tests of agents in files, behind sockets: what the model, the API and the call log get of them, SIGHUP with a fault in one
//! file, and the commands.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use openai_inbound_calls::sim::asterisk::{CallerId, IncomingCall};
use openai_inbound_calls::sim::caller::{Caller, Step};
use openai_inbound_calls::sim::realtime::Script;
use serde_json::{Value, json};

use crate::api::Api;
use crate::call_log::{calls, ended};
use crate::world::{World, assert_no_violations, ms, until};

const RELOADED: &str = "Configuración leída de nuevo";
const REFUSED: &str = "La configuración nueva no es válida: sigue en vigor la anterior";

/// A folder with five agents.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, numbers) in [("a", "601"), ("b", "602"), ("c", "603"), ("d", "604"), ("e", "605")] {
        write(
            folder.path(),
            &format!("{name}.toml"),
            &format!("numbers = [\"{numbers}\"]\nvoice = \"cedar\"\n"),
        );
        write(folder.path(), &format!("{name}.md"), &format!("Eres {name}."));
    }
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).expect("a file");
}

/// Places a call to this number.
fn dial(world: &World, number: &str) -> CallerId {
    let call = IncomingCall { extension: number.into(), ..IncomingCall::default() };
    world.asterisk.call(call, |now| Caller::new(now, vec![Step::Pause(ms(60_000))], 1))
}

/// Places a call that hears the greeting. Returns the settings that the model got at its start.
async fn session_of(world: &World, number: &str) -> Value {
    let earlier = world.openai.sessions().len();
    let call = dial(world, number);
    until("the caller hears the greeting", || {
        world.asterisk.phone(call, |phone| phone.statistics().loud > 5)
    })
    .await;
    world.asterisk.hang_up(call);
    world.over(call).await;
    let session = world.openai.sessions().remove(earlier);
    assert_no_violations(&session);
    let messages = session.said().into_iter().filter(|said| said.by_client);
    let mut updates = messages
        .map(|said| serde_json::from_str::<Value>(&said.text).expect("JSON"))
        .filter(|message| message["type"] == "session.update");
    updates.next().expect("it was told its settings")["session"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_has_the_agent_of_its_number_and_everybody_is_told_which() {
    let folder = folder();
    write(
        folder.path(),
        "b.toml",
        "numbers = [\"602\"]\nmodel = \"gpt-realtime-2.1-mini\"\nrecord = \"events\"\n",
    );
    let world = World::new(Script::default());
    world.openai.watch();
    let path = folder.path().display().to_string();
    let program = world.program(&[("AGENTS_DIR", &path)]).await;
    let session = session_of(&world, "601").await;
    assert_eq!(
        (&session["instructions"], &session["audio"]["output"]["voice"]),
        (&"Eres a.".into(), &"cedar".into())
    );
    let session = session_of(&world, "602").await;
    assert_eq!(session["instructions"], "Eres b.");
    assert_ne!(session_of(&world, "999").await["instructions"], "Eres b.");

    let api = Api::of(&program).await;
    let rows = calls(&api, "three calls have ended", |rows| rows.len() == 3 && rows.iter().all(ended)).await;
    let mut agents: Vec<_> = rows.iter().map(|row| (row["agent"].as_str(), row["model"].as_str())).collect();
    agents.sort_unstable();
    let expected =
        [("a", "gpt-realtime-2.1"), ("b", "gpt-realtime-2.1-mini"), ("default", "gpt-realtime-2.1")];
    assert_eq!(agents, expected.map(|(name, model)| (Some(name), Some(model))));
    let mut versions: Vec<_> = rows.iter().map(|row| row["agent_version"].as_str().expect("text")).collect();
    // The newest call comes first: that of the agent of the environment, which has no files.
    assert_eq!(versions.remove(0), "");
    assert_eq!(versions.iter().map(|version| version.len()).collect::<Vec<_>>(), [12, 12]);
    assert_ne!(versions[0], versions[1]);
    let listed = api.get("/recordings").await.json();
    for (row, recording) in rows.iter().zip(listed["recordings"].as_array().expect("a list")) {
        let id = recording["id"].as_str().expect("an id");
        let conversation = api.get(&format!("/recordings/{id}/conversation")).await.json();
        assert_eq!(
            (&conversation["agent"], &conversation["agent_version"]),
            (&row["agent"], &row["agent_version"])
        );
    }
    let recorded: Vec<_> =
        listed["recordings"].as_array().expect("a list").iter().map(|one| one["agent"].clone()).collect();
    assert_eq!(recorded, ["default", "b", "a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_takes_the_options_of_the_environment_and_those_of_a_file() {
    let folder = folder();
    let options = "numbers = [\"602\"]\ntranscription_model = \"gpt-transcribe\"\n\
                   transcription_keywords = \"Sol, ortodoncia\"\n\
                   transcription_prompt = \"Una clínica dental.\"\ntruncation = \"retention_ratio\"\n\
                   truncation_retention_ratio = 0.6\ntruncation_post_instructions_tokens = 8000\n\
                   parallel_tool_calls = false\n";
    write(folder.path(), "b.toml", options);
    let world = World::new(Script::default());
    world.openai.watch();
    let path = folder.path().display().to_string();
    let _program = world
        .program(&[
            ("AGENTS_DIR", &path),
            ("OPENAI_TRANSCRIPTION_MODEL", "gpt-4o-transcribe"),
            ("OPENAI_TRANSCRIPTION_PROMPT", "Una tienda."),
            ("OPENAI_TRUNCATION", "disabled"),
            ("OPENAI_PARALLEL_TOOL_CALLS", "true"),
        ])
        .await;
    // The simulated model refuses a key, or a value, that the real one does not know: the caller would hear nothing.
    let session = session_of(&world, "999").await;
    assert_eq!((&session["truncation"], &session["parallel_tool_calls"]), (&"disabled".into(), &true.into()));
    let words = json!({"model": "gpt-4o-transcribe", "language": "es", "prompt": "Una tienda."});
    assert_eq!(session["audio"]["input"]["transcription"], words);

    let session = session_of(&world, "602").await;
    let forgets = json!({"type": "retention_ratio", "retention_ratio": 0.6,
        "token_limits": {"post_instructions": 8_000}});
    assert_eq!((&session["truncation"], &session["parallel_tool_calls"]), (&forgets, &false.into()));
    let words = json!({"model": "gpt-transcribe", "languages": ["es"], "keywords": ["Sol", "ortodoncia"],
        "prompt": "Una clínica dental."});
    assert_eq!(session["audio"]["input"]["transcription"], words);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_takes_all_files_or_none() {
    let folder = folder();
    let world = World::new(Script::default());
    world.openai.watch();
    let path = folder.path().display().to_string();
    let program = world.program(&[("AGENTS_DIR", &path)]).await;
    for name in ["a", "b", "c", "d"] {
        write(folder.path(), &format!("{name}.md"), "Otro texto.");
    }
    write(folder.path(), "e.toml", "numbers = [\"605\"]\nspeed = 9\n");
    program.signal("HUP");
    program.says("ERROR", REFUSED).await;
    let fault = format!("Archivo de agente {path}/e.toml:2:9: valor no válido en speed: «9»");
    assert_eq!(program.count("ERROR", &fault), 1, "{}", program.log());
    assert_eq!(session_of(&world, "601").await["instructions"], "Eres a.");
    write(folder.path(), "e.toml", "numbers = [\"605\"]\n");
    program.signal("HUP");
    program.says("INFO", RELOADED).await;
    assert_eq!(session_of(&world, "601").await["instructions"], "Otro texto.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_recordings_of_an_agent_get_another_period_by_a_reload() {
    let folder = folder();
    let world = World::new(Script::default());
    let conversation = r#"{"call_id":"1","start_time":"2020-01-01T00:00:00","agent":"a"}"#;
    write(world.recordings.path(), "20200101_000000_1_conversation.json", conversation);
    let path = folder.path().display().to_string();
    let program = world.program(&[("AGENTS_DIR", &path)]).await;
    write(folder.path(), "a.toml", "numbers = [\"601\"]\nretention_days = 30\n");
    program.signal("HUP");
    // It is the only one of the agent, so it is not deleted, whether or not a time server has set this machine's clock.
    program.says("ERROR", "Grabaciones con más de 30 días (agente: a): 1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_does_not_start_with_a_fault_in_a_file() {
    let folder = folder();
    write(folder.path(), "a.toml", "numbers = [\"602\"]\n");
    let world = World::new(Script::default());
    let variables = world.variables_with(&[("AGENTS_DIR", &folder.path().display().to_string())]);
    let mut program = crate::world::Program::start(variables);
    assert!(!program.exit().await.success());
    let said = program.stderr();
    assert!(said.contains("b.toml:1:12: el número 602 ya es del agente a (602)"), "{said}");
}

/// Runs a command about agents in an empty folder.
fn command(folder: &Path, arguments: &[&str]) -> Output {
    let empty = tempfile::tempdir().expect("a folder");
    Command::new(env!("CARGO_BIN_EXE_openai-inbound-calls"))
        .arg("agents")
        .args(arguments)
        .current_dir(empty.path())
        .env_clear()
        .envs([("LOG_LANGUAGE", "en"), ("CRM_TOKEN", "word-of-the-clinic")])
        .env("AGENTS_DIR", folder)
        .output()
        .expect("the command runs")
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

#[test]
fn the_command_shows_the_tools_of_an_agent_and_no_secret() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/agents/clinic");
    let shown = command(&example, &["check"]);
    assert!(shown.status.success(), "{shown:?}");
    let lines = text(&shown);
    for line in [
        "    Look-up customer: http://127.0.0.1:8099",
        "    Tool free_slots: effect=read - http://127.0.0.1:8099",
        "    Tool book: effect=write confirm=caller - http://127.0.0.1:8099",
    ] {
        assert!(lines.lines().any(|known| known == line), "{line} in {lines}");
    }
    assert!(!lines.contains("word-of-the-clinic"), "{lines}");
    let tokens = |lines: &str, name: &str| -> usize {
        let line = lines.lines().find(|line| line.starts_with(name)).expect("a line").to_owned();
        line.rsplit(' ').nth(1).and_then(|number| number.parse().ok()).expect("a number")
    };
    let instructions = fs::read_to_string(example.join("citas.md")).expect("instructions");
    assert!(
        tokens(&lines, "citas ") > instructions.chars().count() * 10 / 35 + 100,
        "the tools count: {lines}"
    );
    let desk = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/agents/help-desk");
    let (shown, line) = (
        command(&desk, &["check"]),
        "    MCP server tickets: /usr/bin/python3 - Tools: open_ticket, find_* (not counted in the tokens: agents try shows them)",
    );
    assert!(shown.status.success() && text(&shown).lines().any(|known| known == line), "{shown:?}");
}

#[test]
fn the_commands_show_the_agents_their_faults_and_who_takes_a_call() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/agents/office-hours");
    let shown = command(&example, &["check"]);
    assert!(shown.status.success(), "{shown:?}");
    let lines = text(&shown);
    for line in [
        "    Numbers: 3241000752, _32410007[6-9]X",
        "    Outside its hours and on holidays, calls are taken by: recado",
        "The files of agents are valid. Agents: 2",
        "    Instructions: recepcion.md",
    ] {
        assert!(lines.lines().any(|known| known == line), "{line} in {lines}");
    }
    assert!(lines.lines().any(|line| line.starts_with("default - Version: -")), "{lines}");

    let who = command(&example, &["who", "3241000765", "--at", "2026-11-28 13:00"]);
    let expected = "3241000765 → recepcion: it is one of its numbers (_32410007[6-9]X)\n\
        recepcion is closed on 2026-11-28 13:00 → recado\n";
    assert_eq!((who.status.success(), text(&who).as_str()), (true, expected));
    let unknown = command(&example, &["who", "1", "--agent", "nadie"]);
    assert!(!unknown.status.success() && text(&unknown).contains("agent nadie, which does not exist"));

    let folder = folder();
    write(folder.path(), "a.toml", "voice = \"cedar\"\n\tspeeed = 1\n");
    let wrong = command(folder.path(), &["check"]);
    let expected = format!(
        "✗ File of an agent {}/a.toml:2:2: unknown key: speeed. Did you mean speed?\n    2 |  speeed = 1\n      |  ^\n\
         The files of agents are not valid, and the daemon does not take them. Faults: 1\n",
        folder.path().display()
    );
    assert_eq!((wrong.status.success(), text(&wrong)), (false, expected));
}

#[test]
fn the_command_says_where_instructions_come_from_and_that_a_folder_has_no_agent() {
    let folder = folder();
    fs::remove_file(folder.path().join("a.md")).expect("a file");
    let lines = text(&command(folder.path(), &["check"]));
    for line in [
        "    Instructions: those of the variables, because there is no a.md",
        "    Instructions: b.md",
        "The files of agents are valid. Agents: 5",
    ] {
        assert!(lines.lines().any(|known| known == line), "{line} in {lines}");
    }
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/agents");
    let shown = command(&above, &["check"]);
    let lines = text(&shown);
    let line = format!(
        "! There is no NAME.toml in {} (AGENTS_DIR): there is only the agent default, that of the variables",
        above.display()
    );
    assert!(shown.status.success() && lines.lines().any(|known| known == line), "{lines}");
    assert!(!lines.contains("valid") && !lines.contains("not set"), "{lines}");
}

#[test]
fn the_files_are_checked_without_the_variables_of_a_daemon_and_not_with_wrong_ones() {
    let folder = folder();
    write(folder.path(), "a.toml", "voice = \"cedar\"\n");
    let check = |variable: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_openai-inbound-calls"));
        let command = command.args(["agents", "check"]).env_clear().env("LOG_LANGUAGE", "en");
        let ran = command
            .current_dir(folder.path())
            .env("AGENTS_DIR", folder.path())
            .envs(variable.iter().copied())
            .output();
        let ran = ran.expect("the command runs");
        (ran.status.success(), text(&ran))
    };
    let (is_well, lines) = check(&[]);
    assert!(is_well && lines.contains("The files of agents are valid"), "{lines}");
    let (is_well, lines) = check(&[("OPENAI_SPEED", "fast")]);
    assert!(!is_well && lines.contains("OPENAI_SPEED") && !lines.contains("AGENTS_DIR"), "{lines}");
}

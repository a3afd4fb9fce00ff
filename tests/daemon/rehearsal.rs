//! Tests of the commands that try agents without a telephone, with a real server of tools and the simulated model behind sockets.

use std::path::Path;
use std::process::Stdio;

use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::live::RealtimeServer;
use openai_inbound_calls::sim::realtime::{Answer, Script, pattern};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::agent_tools::{clinic, locked};
use crate::api::Api;
use crate::mcp;
use crate::world::{World, contains, listen};

/// What a command said, and its exit code.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    /// The last line of JSON: what the model would read.
    fn read(&self) -> Value {
        let line = self.out.lines().rev().find(|line| line.starts_with('{'));
        line.and_then(|line| serde_json::from_str(line).ok()).unwrap_or_else(|| panic!("{self:?}"))
    }
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code {:?}\n{}\nstderr:\n{}", self.code, self.out, self.err)
    }
}

/// Runs `agents` with these arguments for the agents of a folder, on a machine without a telephone, and feeds it `input`.
async fn agents(folder: &Path, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Said {
    let empty = tempfile::tempdir().expect("a folder");
    let mut child = Command::new(env!("CARGO_BIN_EXE_openai-inbound-calls"))
        .arg("agents")
        .args(arguments)
        .current_dir(empty.path())
        .env_clear()
        .envs([("LOG_LANGUAGE", "en"), ("CRM_TOKEN", "s3cret-token")])
        .env("AGENTS_DIR", folder)
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the command starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A command that has ended reads nothing.
    stdin.write_all(input.as_bytes()).await.ok();
    drop(stdin);
    let output = child.wait_with_output().await.expect("the command ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_is_called_as_the_model_would_and_its_request_shows_no_secret() {
    let (clinic, folder, _server) = clinic().await;
    let asks = ["tool", "free_slots", "day=2026-12-02"];
    let dry = agents(folder.path(), &[&asks[..], &["--dry-run"]].concat(), &[], "").await;
    assert_eq!(dry.code, Some(0), "{dry:?}");
    assert!(dry.out.contains("/days/2026-12-02/slots\nAuthorization: Bearer ***\n"), "{dry:?}");
    assert!(dry.out.contains("lookup.customer: not looked up"), "{dry:?}");
    assert!(locked(&clinic).asked.is_empty(), "a dry run asks nobody");

    let done = agents(folder.path(), &asks, &[], "").await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(done.read(), json!({"ok": true, "result": ["09:00"]}));
    assert!(done.out.contains(" ms, 1 attempt\n"), "{done:?}");
    assert_eq!(locked(&clinic).asked, [("2026-12-02".to_owned(), "Bearer s3cret-token".to_owned())]);
    for said in [&dry, &done] {
        assert!(!format!("{said:?}").contains("s3cret-token"), "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_the_call_can_be_given_and_a_failure_is_tried_again_with_the_same_key() {
    let (clinic, folder, _server) = clinic().await;
    locked(&clinic).failures = 1;
    let given = ["--call", "caller=3110000000", "--lookup", r#"customer={"id":7}"#];
    let done = agents(folder.path(), &[&["tool", "book", "start=09:00"][..], &given].concat(), &[], "").await;
    assert_eq!((done.code, done.read()), (Some(0), json!({"ok": true, "result": {"id": 4711}})), "{done:?}");
    assert!(done.out.contains(" ms, 2 attempts\n"), "{done:?}");
    let booked = locked(&clinic).booked.clone();
    let [(first, body), (second, _)] = &booked[..] else { panic!("two attempts: {booked:?}") };
    assert!(first == second && first.len() == 22, "{booked:?}");
    assert_eq!(*body, json!({"start": "09:00", "phone": "3110000000", "customer": 7}));
    // Another rehearsal is another call: the server does not take it for the same.
    agents(folder.path(), &[&["tool", "book", "start=09:00"][..], &given].concat(), &[], "").await;
    let booked = locked(&clinic).booked.clone();
    assert_ne!(booked[2].0, booked[1].0);
    // The request needs what is looked up, and nothing is.
    let without = agents(folder.path(), &["tool", "book", "start=09:00"], &[], "").await;
    assert_eq!((without.code, &without.read()["error"]), (Some(3), &json!("unavailable")), "{without:?}");
    assert_eq!(locked(&clinic).booked.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arguments_have_the_types_of_the_schema_and_faults_are_shown_as_the_model_reads_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let tool = r#"
[[tool]]
name = "count"
description = "Counts."
request = "POST http://127.0.0.1:9/x"
timeout = 2
[tool.body]
number = "{{ args.number }}"
code = "{{ args.code }}"
on = "{{ args.on }}"
list = "{{ args.list }}"
[tool.parameters]
number = { type = "integer", maximum = 9 }
code = { type = "string" }
on = { type = "boolean", optional = true }
list = { type = "array", items = { type = "string" }, optional = true }
"#;
    std::fs::write(folder.path().join("a.toml"), format!("numbers = [\"1\"]\n{tool}")).expect("a file");
    let typed = ["tool", "count", "number=7", "code=007", "on=true", r#"list=["a","b"]"#, "--dry-run"];
    let dry = agents(folder.path(), &typed, &[], "").await;
    let body = dry.read();
    assert_eq!(body, json!({"number": 7, "code": "007", "on": true, "list": ["a", "b"]}), "{dry:?}");

    let wrong = agents(folder.path(), &["tool", "count", "number=70", "kode=1"], &[], "").await;
    assert_eq!(wrong.code, Some(3), "{wrong:?}");
    let read = wrong.read();
    assert_eq!((&read["ok"], &read["error"]), (&json!(false), &json!("invalid_arguments")));
    assert!(read["problems"].as_array().is_some_and(|problems| problems.len() == 3), "{read}");

    // Nobody listens there: nothing was sent, so it was certainly not done.
    let away = agents(folder.path(), &["tool", "count", "number=7", "code=1"], &[], "").await;
    assert_eq!((away.code, &away.read()["error"]), (Some(3), &json!("unavailable")), "{away:?}");

    for (arguments, line) in [
        (&["tool", "count", "code=1", "code=2"][..], "✗ the argument code is there twice"),
        (&["tool", "nada"], "✗ there is no tool nada. There are: count"),
        (&["tool", "count", "--agent", "b"], "✗ there is no agent b. There are: a"),
    ] {
        let said = agents(folder.path(), arguments, &[], "").await;
        assert!(said.code == Some(1) && said.out.contains(line), "{said:?}");
    }
    let other = tool.replace("Counts.", "Counts otherwise.");
    std::fs::write(folder.path().join("b.toml"), format!("numbers = [\"2\"]\n{other}")).expect("a file");
    let said = agents(folder.path(), &["tool", "count", "number=7", "code=1", "--dry-run"], &[], "").await;
    assert!(said.code == Some(1) && said.out.contains("They are: a, b"), "{said:?}");
    std::fs::write(folder.path().join("b.toml"), "numbers = [\"2\"]\nspeeed = 1\n").expect("a file");
    let said = agents(folder.path(), &["tool", "count"], &[], "").await;
    assert!(said.code == Some(1) && said.out.contains("b.toml:2:1: unknown key: speeed"), "{said:?}");
}

/// The folder of the clinic's agent, with instructions and these lines at the end of its file.
fn with(folder: &Path, more: &str) {
    let file = folder.join("citas.toml");
    let text = std::fs::read_to_string(&file).expect("a file");
    std::fs::write(file, text + more).expect("a file");
    std::fs::write(folder.join("citas.md"), "Eres la recepcionista de la Clínica Sol.").expect("a file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_talks_with_an_agent_by_text_and_its_tools_work_behind_the_gate() {
    let (clinic, folder, _server) = clinic().await;
    with(folder.path(), "");
    let input = "Hola\nfree_slots {\"day\":\"2026-12-02\"}\nbook {\"start\":\"09:00\"}\nsí\nbook {\"start\":\"09:00\"}\n";
    let said = agents(folder.path(), &["try", "citas", "--fake"], &[], input).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let order = [
        // The greeting, with the result of the look-up, which was really made.
        "Assistant: Clínica Sol, Ana. ¿En qué le ayudo?",
        "Caller: Hola",
        "Assistant: «Hola»",
        "  → free_slots {\"day\":\"2026-12-02\"}",
        "  ← {\"ok\":true,\"result\":[\"09:00\"]}",
        "  → book {\"start\":\"09:00\"}",
        "\"error\":\"ask_first\"",
        "Caller: sí",
        "  → book {\"start\":\"09:00\"}",
        "\"result\":{\"id\":4711}",
        "The end: the caller hung up",
    ];
    let mut at = 0;
    for line in order {
        let found = said.out[at..].find(line).unwrap_or_else(|| panic!("no {line} after {at} in {said:?}"));
        at += found;
    }
    assert!(said.out.contains(" s, 0.") && said.out.contains(" USD (in all "), "{said:?}");
    let booked = locked(&clinic).booked.clone();
    assert_eq!(booked.len(), 1, "after the caller's yes, once: {booked:?}");
    assert_eq!(booked[0].1, json!({"start": "09:00", "phone": "3001234567", "customer": 7}));
    assert!(!format!("{said:?}").contains("s3cret-token"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_asks_nobody_and_an_assistant_that_hangs_up_ends_it() {
    let (clinic, folder, _server) = clinic().await;
    with(folder.path(), "[[example]]\nsays = \"¿Cuándo?\"\nanswers = { free_slots = [\"11:00\"] }\n");
    let input = "free_slots {\"day\":\"2026-12-02\"}\nend_call\nnobody hears this\n";
    let arguments = ["try", "citas", "--fake", "--dry-run", "--lookup", r#"customer={"id":9,"name":"Eva"}"#];
    let said = agents(folder.path(), &arguments, &[], input).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("Clínica Sol, Eva. "), "{said:?}");
    assert!(said.out.contains("/days/2026-12-02/slots\n    | Authorization: Bearer ***\n"), "{said:?}");
    assert!(said.out.contains("  ← {\"ok\":true,\"result\":[\"11:00\"]}"), "{said:?}");
    assert!(said.out.contains("The end: the assistant hung up"), "{said:?}");
    assert!(!said.out.contains("nobody hears this"), "{said:?}");
    assert!(locked(&clinic).asked.is_empty() && locked(&clinic).booked.is_empty(), "nobody was asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_needs_an_agent_a_key_and_a_model_that_serves() {
    let (_clinic, folder, _server) = clinic().await;
    let nobody = agents(folder.path(), &["try", "nadie", "--fake"], &[], "").await;
    assert!(
        nobody.code == Some(1) && nobody.out.contains("there is no agent nadie. There are: citas"),
        "{nobody:?}"
    );
    // The simulated model serves every agent, whatever model and interface the agent has.
    let file =
        "numbers = [\"7\"]\ndialect = \"beta\"\nmodel = \"gpt-realtime-2.1\"\nreasoning_effort = \"high\"\n";
    std::fs::write(folder.path().join("beta.toml"), file).expect("a file");
    let beta = agents(folder.path(), &["try", "beta", "--fake"], &[], "Hola\n").await;
    assert!(beta.code == Some(0) && beta.out.contains("Assistant: «Hola»"), "{beta:?}");
    let keyless = agents(folder.path(), &["try", "citas"], &[], "").await;
    assert!(keyless.code == Some(1) && keyless.out.contains("OPENAI_API_KEY"), "{keyless:?}");
    assert!(keyless.out.contains("Without a key, use --fake"), "{keyless:?}");
    let empty = tempfile::tempdir().expect("a folder");
    let nobody = agents(empty.path(), &["try", "citas", "--fake"], &[], "").await;
    assert!(nobody.out.contains("there is no agent citas. There are none"), "{nobody:?}");
    let model = RealtimeServer::with_script(Script::default()).expect("a model");
    let url = model.url();
    let variables = [("OPENAI_API_KEY", "sk-wrong"), ("OPENAI_REALTIME_URL", url.as_str())];
    let refused = agents(folder.path(), &["try", "citas", "--dry-run"], &variables, "Hola\n").await;
    assert!(refused.code == Some(1) && refused.err.contains("OPENAI_API_KEY"), "{refused:?}");
    // The environment's agent can be talked to as well, and a session of text breaks no rule of the server.
    let variables = [("OPENAI_API_KEY", "sk-test"), ("OPENAI_REALTIME_URL", url.as_str())];
    let served = agents(folder.path(), &["try", "default"], &variables, "Hola\n").await;
    assert!(served.code == Some(0) && served.out.contains("Assistant: Le paso con ventas."), "{served:?}");
    let session = model.sessions().pop().expect("a session");
    assert_eq!(session.violations(), [""; 0]);
    assert_eq!(session.look(|session| session.settings()["output_modalities"].clone()), json!(["text"]));
    assert!(session.appended().is_empty(), "no sound is sent");
}

/// Two examples of the clinic: one that the caller's words lead to a tool, and one that they do not.
const EXAMPLES: &str = r#"
[[example]]
name = "asks for the day"
says = ["Hola", "¿Qué hay el dos de diciembre?"]
tool = "free_slots"
arguments = { day = "2026-12-02" }
answers = { free_slots = ["09:00"] }
lookup = { customer = { id = 7, name = "Eva" } }

[[example]]
says = "Gracias"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn examples_are_tried_and_what_came_instead_is_told() {
    let (clinic, folder, _server) = clinic().await;
    with(folder.path(), EXAMPLES);
    let fake = agents(folder.path(), &["test", "--fake"], &[], "").await;
    assert_eq!(fake.code, Some(0), "{fake:?}");
    assert!(
        fake.out.contains("✓ citas: asks for the day\n✓ citas: Gracias\nExamples: 2 right, 0 wrong."),
        "{fake:?}"
    );

    let other_day = Answer::call("free_slots", r#"{"day":"2026-12-03"}"#);
    let answers = vec![Answer::pattern("Hola.", 300, 1), other_day, Answer::pattern("El tres.", 300, 2)];
    let model = RealtimeServer::start(move |n| {
        // The second example is another call.
        let answers = if n == 0 { answers.clone() } else { vec![Answer::pattern("De nada.", 300, 3)] };
        Script { answers, ..Script::default() }.into()
    })
    .expect("a model");
    let url = model.url();
    let variables = [("OPENAI_API_KEY", "sk-test"), ("OPENAI_REALTIME_URL", url.as_str())];
    let wrong = agents(folder.path(), &["test", "citas"], &variables, "").await;
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    let expected = "✗ citas: asks for the day\n    \
        it should have called: free_slots {\"day\":\"2026-12-02\"}\n    \
        it called: free_slots {\"day\":\"2026-12-03\"}\n    Assistant: El tres.\n✓ citas: Gracias\nExamples: 1 right, 1 wrong.";
    assert!(wrong.out.contains(expected), "{wrong:?}");
    for session in model.sessions() {
        assert_eq!(session.violations(), [""; 0]);
    }
    assert!(locked(&clinic).asked.is_empty(), "the tools answer from the example");

    let nobody = agents(folder.path(), &["test", "nadie", "--fake"], &[], "").await;
    assert!(nobody.code == Some(1) && nobody.out.contains("there is no agent nadie"), "{nobody:?}");
    std::fs::write(folder.path().join("otro.toml"), "numbers = [\"9\"]\n").expect("a file");
    let none = agents(folder.path(), &["test", "otro", "--fake"], &[], "").await;
    assert!(none.code == Some(1) && none.out.contains("There are no examples"), "{none:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_caller_of_a_recording_talks_to_another_agent_and_no_tool_is_carried_out_again() {
    let (clinic, folder, _server) = clinic().await;
    let slots = || Answer::call("free_slots", r#"{"day":"2026-12-02"}"#);
    let world = World::new(Script {
        answers: vec![slots(), Answer::pattern("A las nueve.", 700, 3)],
        transcripts: vec!["¿Qué hay el dos?".to_owned()],
        ..Script::default()
    });
    let path = folder.path().display().to_string();
    let program = world.program(&[("AGENTS_DIR", &path), ("CRM_TOKEN", "s3cret-token")]).await;
    let call =
        world.call([&listen()[..], &[Step::Say(pattern(900, 101))], &listen(), &[Step::HangUp]].concat());
    world.over(call).await;
    let api = Api::of(&program).await;
    let id = api.only("finished").await["id"].as_str().expect("an id").to_owned();
    assert_eq!(locked(&clinic).asked.len(), 1);

    let model = RealtimeServer::with_script(Script {
        answers: vec![slots(), Answer::pattern("Hay a las nueve en punto.", 700, 4)],
        transcripts: vec!["¿Qué hay el dos?".to_owned()],
        ..Script::default()
    })
    .expect("a model");
    let recordings = world.recordings.path().display().to_string();
    let url = model.url();
    let variables = [
        ("RECORDINGS_DIR", recordings.as_str()),
        ("OPENAI_API_KEY", "sk-test"),
        ("OPENAI_REALTIME_URL", url.as_str()),
    ];
    let said = agents(folder.path(), &["replay", &id, "--agent", "citas"], &variables, "").await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let rows: Vec<Vec<&str>> =
        said.out.lines().map(|line| line.split('│').map(str::trim).collect()).collect();
    let has = |left: &str, right: &str| rows.iter().any(|row| row[..] == [left, right]);
    assert!(has("In the recording", "Now"), "{said:?}");
    assert!(said.out.contains("Tools are not carried out, and look-ups are not made."), "{said:?}");
    assert!(has("Caller: ¿Qué hay el dos?", "Caller: ¿Qué hay el dos?"), "{said:?}");
    assert!(has("Assistant: A las nueve.", "Assistant: Hay a las nueve en punto."), "{said:?}");
    assert!(said.out.contains("Now: tools: free_slots {\"day\":\"2026-12-02\"}\n"), "{said:?}");
    assert_eq!(locked(&clinic).asked.len(), 1, "the tool answers from the recording");
    let session = model.sessions().pop().expect("a session");
    assert_eq!(session.violations(), [""; 0]);
    let heard = session.appended();
    assert!(contains(&heard, &pattern(900, 101)), "the model hears the recorded caller, sample by sample");
    let outputs = session.look(|session| session.conversation());
    assert!(outputs.iter().any(|item| item.text.contains("09:00")), "{outputs:?}");

    let fake = agents(folder.path(), &["replay", &id, "--agent", "citas", "--fake"], &variables, "").await;
    assert!(fake.code == Some(0) && fake.out.contains("Assistant: «¿Qué hay el dos?»"), "{fake:?}");
    let missing =
        agents(folder.path(), &["replay", "20200101_000000_1", "--agent", "citas", "--fake"], &variables, "");
    let missing = missing.await;
    assert!(
        missing.code == Some(1) && missing.out.contains("20200101_000000_1 cannot be read"),
        "{missing:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_of_a_server_that_lists_them_are_tried_like_all_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let example = "[[example]]\nname = \"sin red\"\nsays = \"No tengo red.\"\ntool = \"open_ticket\"\narguments = { title = \"Sin red\" }\n";
    let text = mcp::agent(folder.path(), "/usr/bin/python3") + example;
    std::fs::write(folder.path().join("mesa.toml"), text).expect("a file");
    let tickets = || std::fs::read_to_string(folder.path().join("tickets.jsonl")).unwrap_or_default();

    let said = agents(folder.path(), &["check"], &[], "").await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let said = agents(folder.path(), &["tool", "open_ticket", "title=Sin red", "--dry-run"], &[], "").await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("3001234567") && tickets().is_empty(), "{said:?}");
    let said = agents(folder.path(), &["tool", "find_tickets"], &[], "").await;
    assert_eq!((said.code, &said.read()["ok"]), (Some(0), &json!(true)), "{said:?}");
    let said = agents(folder.path(), &["tool", "delete_all"], &[], "").await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("find_tickets, open_ticket"), "{said:?}");

    let open = "open_ticket {\"title\":\"Sin red\"}\n";
    let said = agents(folder.path(), &["try", "mesa", "--fake"], &[], &open.repeat(2)).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.contains("Tools of its MCP servers: open_ticket, find_tickets - Tokens (estimated): "),
        "{said:?}"
    );
    assert!(said.out.contains("ask_first") && tickets().lines().count() == 1, "{said:?}");
    let said = agents(folder.path(), &["test", "--fake"], &[], "").await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(tickets().lines().count(), 1, "an example opens none");

    // Without its server the agent talks on, and the operator reads why.
    std::fs::write(folder.path().join("mesa.toml"), mcp::agent(folder.path(), "/nowhere/tickets-mcp"))
        .expect("a file");
    let said = agents(folder.path(), &["try", "mesa", "--fake"], &[], "Hola\n").await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("The MCP server tickets is not available"), "{said:?}");
}

//! Tests of the commands that try agents without a telephone, with a real server of tools and the simulated model behind sockets.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::agent_tools::{clinic, locked};

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

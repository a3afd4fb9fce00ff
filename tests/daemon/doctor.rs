//! Tests of `doctor` between the fakes: a healthy set-up, and every way in which a set-up is broken.
//!
//! After each run nothing of the doctor remains in Asterisk.

mod asterisk;
mod model;
mod sip;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use openai_inbound_calls::sim::asterisk::Settings;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::live::realtime::LiveSession;
use openai_inbound_calls::sim::realtime::Script;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::world::{World, assert_no_violations, ms, until};

/// The ids of all checks in the order of the report.
const IDS: [&str; 15] = [
    "variables",
    "log",
    "recordings",
    "disk",
    "open-files",
    "ari",
    "asterisk",
    "modules",
    "dialplan",
    "rtp-ports",
    "rtp",
    "key",
    "model",
    "session",
    "clock",
];

/// The output of a real Asterisk's console, shortened.
const CONSOLE: &str = "#!/bin/sh
case $2 in
    'dialplan show') echo \"[ Context 'stasis-other' created by 'res_stasis' ]
  '_.' =>           1. Stasis(other)                              [res_stasis]

[ Context 'from-voip' created by 'pbx_config' ]
  '3241000752' =>   1. Answer()          [extensions.conf:2]
                    4. Stasis(openai-app)                         [extensions.conf:5]\" ;;
    'rtp show settings') echo '  Port start:      30000
  Port end:        39999' ;;
esac
";

/// A set-up that is healthy until a test breaks it.
struct SetUp {
    world: World,
    folder: TempDir,
    changes: Vec<(&'static str, String)>,
    limit: Option<u32>,
}

impl SetUp {
    fn new(script: Script) -> Self {
        Self::with(Settings::default(), script)
    }

    fn with(settings: Settings, script: Script) -> Self {
        let script = Arc::new(script);
        let world = World::with(settings, move |_| Arc::clone(&script));
        let folder = tempfile::tempdir().expect("a folder");
        let set_up = Self { world, folder, changes: Vec::new(), limit: None };
        set_up.console(CONSOLE);
        set_up
    }

    /// Defines what `asterisk -rx` prints.
    fn console(&self, script: &str) {
        let path = self.folder.path().join("asterisk");
        std::fs::write(&path, script).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    }

    fn but(mut self, name: &'static str, value: &str) -> Self {
        self.changes.push((name, value.to_owned()));
        self
    }

    fn command(&self, arguments: &str) -> Command {
        let changes: Vec<_> = self.changes.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut command = Command::new("/bin/sh");
        let limit = self.limit.map_or_else(String::new, |limit| format!("ulimit -n {limit};"));
        command
            .args(["-c", &format!("{limit} exec \"$0\" doctor {arguments}")])
            .arg(env!("CARGO_BIN_EXE_openai-inbound-calls"))
            .env_clear()
            .envs(self.world.variables_with(&changes))
            .env("PATH", self.folder.path())
            .current_dir(self.folder.path())
            .kill_on_drop(true);
        command
    }

    /// The output of the doctor, and its exit code.
    async fn run(&self, arguments: &str) -> (String, Option<i32>) {
        let output = self.command(arguments).output().await.expect("the program");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        self.nothing_is_left().await;
        (String::from_utf8(output.stdout).expect("text"), output.status.code())
    }

    async fn nothing_is_left(&self) {
        let asterisk = &self.world.asterisk;
        until("nothing of it is left in Asterisk", || {
            let apps = asterisk.applications();
            asterisk.channels().is_empty()
                && asterisk.bridges().is_empty()
                && !apps.iter().any(|app| app.contains("doctor"))
        })
        .await;
        let sessions = &self.world.openai;
        until("its session is closed", || sessions.sessions().iter().all(LiveSession::is_over)).await;
    }

    /// Runs the doctor. Exactly these checks must have these statuses, and all others must pass. The free
    /// disk space and the jitter of RTP depend on the machine and are not judged.
    async fn finds(&self, expected: &[(&str, &str)]) -> Vec<Value> {
        let (text, code) = self.run("--json").await;
        let report: Value = serde_json::from_str(&text).expect("JSON");
        let checks = report["checks"].as_array().expect("a list").clone();
        let word = |check: &Value, key: &str| check[key].as_str().expect("a word").to_owned();
        let bad =
            |check: &&Value| ["warning", "failure"].contains(&check["status"].as_str().unwrap_or_default());
        let found: Vec<_> = checks
            .iter()
            .filter(bad)
            .filter(|check| check["id"] != "disk" && !word(check, "detail").contains("jitter"))
            .map(|check| (word(check, "id"), word(check, "status")))
            .collect();
        let expected: Vec<_> =
            expected.iter().map(|(id, status)| ((*id).to_owned(), (*status).to_owned())).collect();
        assert_eq!(found, expected, "{text}");
        for check in checks.iter().filter(bad) {
            assert!(check["remedy"].is_string(), "no remedy: {check}");
        }
        let worst =
            checks.iter().filter(bad).map(|check| word(check, "status")).max_by_key(|word| word == "failure");
        let wanted = match worst.as_deref() {
            None => (0, "note"),
            Some("failure") => (2, "failure"),
            Some(_) => (1, "warning"),
        };
        assert_eq!((code, &report["status"]), (Some(wanted.0), &Value::from(wanted.1)), "{text}");
        checks
    }
}

fn detail<'a>(checks: &'a [Value], id: &str) -> &'a str {
    checks
        .iter()
        .find(|check| check["id"] == id)
        .and_then(|check| check["detail"].as_str())
        .expect("the check")
}

fn healthy() -> SetUp {
    SetUp::new(Script::default())
}

#[tokio::test]
async fn a_healthy_set_up_passes_while_the_daemon_runs_and_keeps_its_events() {
    let set_up = healthy();
    let daemon = set_up.world.daemon().await;
    let (text, code) = set_up.run("").await;
    assert!(code == Some(0) || text.contains("disk"), "{code:?}\n{text}");
    for id in IDS {
        let line = text.lines().find(|line| line.split_whitespace().nth(2) == Some(id));
        let line = line.unwrap_or_else(|| panic!("no line for {id} in\n{text}"));
        assert!(id == "disk" || line.starts_with("✓ ok "), "{line}");
    }
    assert!(text.contains("RTP pasa en los dos sentidos: llegan "), "in Spanish:\n{text}");
    assert!(!text.contains("sk-test") && !text.contains("testbed"), "a secret in\n{text}");
    assert_eq!(set_up.world.asterisk.applications(), ["openai-app"]);
    assert_eq!(set_up.world.asterisk.listeners(), 1, "the daemon's");
    let session = set_up.world.session();
    assert_no_violations(&session);
    assert!(session.appended().is_empty(), "the model got no sound");
    let call = set_up.world.call(Vec::new());
    until("the daemon serves calls", || set_up.world.asterisk.outcome(call).answered_at.is_some()).await;
    set_up.world.asterisk.hang_up(call);
    set_up.world.over_but_sessions(call).await;
    daemon.stop().await;
}

#[tokio::test]
async fn in_english_the_words_are_english_and_the_ids_the_same() {
    let set_up = healthy().but("LOG_LANGUAGE", "en");
    let (text, _) = set_up.run("").await;
    assert!(text.contains("ok       rtp         RTP passes both ways: "), "{text}");
    let checks = set_up.finds(&[]).await;
    assert!(detail(&checks, "key").ends_with("accepts the key"));
}

#[tokio::test]
async fn without_some_variables_the_others_are_checked() {
    let set_up = healthy().but("OPENAI_API_KEY", "").but("LOCAL_IP_ADDRESS", "").but("OPENAI_SPEED", "9");
    let checks = set_up.finds(&[("variables", "failure"), ("variables", "failure")]).await;
    assert!(detail(&checks, "variables").ends_with("OPENAI_API_KEY, LOCAL_IP_ADDRESS"));
    assert!(checks.iter().any(|check| check["id"] == "ari" && check["status"] == "ok"));
    assert!(checks.iter().any(|check| check["id"] == "key" && check["status"] == "note"));
}

#[tokio::test]
async fn a_log_that_cannot_be_written() {
    healthy().but("LOG_FILE_PATH", "/proc/none/calls.log").finds(&[("log", "failure")]).await;
}

#[tokio::test]
async fn recordings_that_cannot_be_written() {
    healthy().but("RECORDINGS_DIR", "/proc/none").finds(&[("recordings", "failure")]).await;
}

#[tokio::test]
async fn nothing_is_made_on_the_disk() {
    let set_up = healthy().but("LOG_FILE_PATH", "logs/calls.log").but("RECORDINGS_DIR", "sounds");
    set_up.finds(&[]).await;
    let left = |folder: &Path| std::fs::read_dir(folder).expect("a folder").count();
    assert_eq!(left(set_up.folder.path()), 1, "only the console");
}

#[tokio::test]
async fn few_open_files() {
    if Path::new("/etc/systemd/system/openai-inbound-calls.service").exists() {
        // On such a machine the limit in the unit applies.
        return;
    }
    let mut set_up = healthy();
    set_up.limit = Some(264);
    let checks = set_up.finds(&[("open-files", "warning")]).await;
    assert!(detail(&checks, "open-files").contains("25 llamadas"), "{}", detail(&checks, "open-files"));
}

#[tokio::test]
async fn another_program_at_the_apis_address() {
    let set_up = healthy();
    let taken = set_up.world.asterisk.address().to_string();
    set_up.but("API_LISTEN", &taken).finds(&[("daemon", "warning")]).await;
}

#[tokio::test]
async fn the_running_daemon_is_seen() {
    let set_up = healthy().but("API_LISTEN", &format!("127.0.0.1:{}", free_port().await));
    let api = set_up.changes[0].1.clone();
    let daemon = set_up.world.daemon_with(&[("API_LISTEN", &api)]).await;
    let (text, _) = set_up.run("").await;
    daemon.stop().await;
    assert!(text.contains("El servicio está en marcha"), "{text}");
}

#[tokio::test]
async fn what_keeps_the_running_daemon_from_serving_is_repeated() {
    let set_up = healthy().but("API_LISTEN", &format!("127.0.0.1:{}", free_port().await));
    let api = set_up.changes[0].1.clone();
    let daemon = set_up.world.daemon_with(&[("API_LISTEN", &api), ("MAX_CALLS", "1")]).await;
    let call = set_up.world.call(vec![Step::Pause(ms(60_000))]);
    until("it is served", || set_up.world.asterisk.outcome(call).answered_at.is_some()).await;
    let report = async || {
        let output = set_up.command("--json").output().await.expect("the program");
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let checks = report["checks"].as_array().expect("a list").clone();
        checks.into_iter().find(|check| check["id"] == "daemon").expect("the check")
    };
    let full = report().await;
    assert_eq!(full["status"], "warning", "{full}");
    assert!(full["detail"].to_string().contains("max_calls_reached"), "{full}");
    let url = format!(
        "ws://{}/ari/events?app=openai-app&api_key=asterisk:testbed",
        set_up.world.asterisk.address()
    );
    let (other, _) = tokio_tungstenite::connect_async(url).await.expect("it is let in");
    let replaced = report().await;
    assert_eq!(replaced["status"], "failure", "{replaced}");
    assert!(replaced["detail"].to_string().contains("application_replaced"), "{replaced}");
    set_up.world.asterisk.hang_up(call);
    drop(other);
    drop(daemon);
}

#[tokio::test]
async fn servers_of_tools_are_looked_for_without_a_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let (here, away) = (listener.local_addr().expect("bound").port(), free_port().await);
    let folder = tempfile::tempdir().expect("a folder");
    let tool = |name: &str, port: &str| {
        format!(
            "[[tool]]\nname = \"{name}\"\ndescription = \"x\"\nrequest = \"GET http://127.0.0.1:{port}/x\"\n"
        )
    };
    let text = tool("one", &here.to_string()) + &tool("two", &away);
    std::fs::write(folder.path().join("citas.toml"), text).expect("a file");
    let set_up = healthy().but("AGENTS_DIR", &folder.path().display().to_string());
    let checks = set_up.finds(&[("agents", "warning")]).await;
    let told: Vec<_> = checks
        .iter()
        .filter(|check| check["id"] == "agents")
        .map(|check| check["detail"].to_string())
        .collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told.iter()
            .any(|line| line.contains(&format!("Las herramientas no llegan a http://127.0.0.1:{away}"))),
        "{told:?}"
    );
    let (mut connection, _) = listener.accept().await.expect("the doctor connects");
    let mut said = Vec::new();
    connection.read_to_end(&mut said).await.expect("the doctor closes");
    assert_eq!(said, b"", "no request is made");
}

/// A port on which no program listens.
async fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    listener.local_addr().expect("bound").port().to_string()
}

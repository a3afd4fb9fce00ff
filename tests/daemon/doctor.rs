//! `doctor` between the fakes: a healthy set-up, and every way in which one is broken.
//!
//! After each run nothing of it is left in Asterisk.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use openai_inbound_calls::daemon::clock::{now, wall};
use openai_inbound_calls::sim::asterisk::{Fault, Settings};
use openai_inbound_calls::sim::live::realtime::LiveSession;
use openai_inbound_calls::sim::realtime::{Fault as SessionFault, FaultKind, Script, Trigger};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::world::{World, assert_no_violations, until};

/// Every check's id, in the order of the report.
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

/// What a real Asterisk's console shows, shortened.
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

/// A set-up, whole until a test breaks it.
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

    /// What `asterisk -rx` is there.
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

    /// What it prints, and its exit code.
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

    /// Runs it; exactly these checks must have this status, all others pass. The disk and the evenness of RTP are the
    /// machine's, not judged here.
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
async fn asterisk_away() {
    let port = free_port().await;
    let checks = healthy().but("ASTERISK_PORT", &port).finds(&[("ari", "failure")]).await;
    assert!(detail(&checks, "ari").contains("Connection refused"), "{}", detail(&checks, "ari"));
}

#[tokio::test]
async fn an_asterisk_that_never_answers_takes_ten_seconds_at_most() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let port = listener.local_addr().expect("bound").port().to_string();
    let (url, begun) = (format!("ws://127.0.0.1:{port}/v1/realtime"), now());
    let set_up = healthy().but("ASTERISK_PORT", &port).but("OPENAI_REALTIME_URL", &url);
    set_up.finds(&[("ari", "failure"), ("key", "failure"), ("session", "failure")]).await;
    assert!(now() - begun < Duration::from_secs(10), "{:?}", now() - begun);
    // One that answers, and hangs while it makes the channels.
    let set_up = healthy();
    for _ in 0..2 {
        set_up.world.asterisk.fail_next("POST", "externalMedia", Fault::Delay(Duration::from_secs(60)));
    }
    let begun = now();
    set_up.finds(&[("rtp", "failure")]).await;
    assert!(now() - begun < Duration::from_secs(10), "{:?}", now() - begun);
}

#[tokio::test]
async fn a_wrong_password_of_ari() {
    let set_up = healthy().but("ASTERISK_PASSWORD", "geheim");
    let checks = set_up.finds(&[("ari", "failure")]).await;
    assert!(detail(&checks, "ari").contains("asterisk") && !detail(&checks, "ari").contains("geheim"));
}

#[tokio::test]
async fn ari_that_is_starting() {
    let set_up = healthy();
    set_up.world.asterisk.fail_next("GET", "/asterisk/info", Fault::Status(503));
    set_up.finds(&[("ari", "failure")]).await;
}

#[tokio::test]
async fn a_module_that_is_not_loaded() {
    let unloaded = vec!["chan_rtp.so".to_owned(), "codec_ulaw.so".to_owned()];
    let set_up = SetUp::with(Settings { unloaded, ..Settings::default() }, Script::default());
    let checks = set_up.finds(&[("modules", "failure"), ("modules", "warning"), ("rtp", "failure")]).await;
    assert!(detail(&checks, "modules").ends_with("chan_rtp.so"));
    assert!(detail(&checks, "rtp").contains("externalMedia (HTTP 500)"));
}

#[tokio::test]
async fn places_of_the_dialplan_without_the_module_that_knows_them() {
    let unloaded = vec!["func_dialplan.so".to_owned()];
    let set_up =
        || SetUp::with(Settings { unloaded: unloaded.clone(), ..Settings::default() }, Script::default());
    set_up().finds(&[]).await;
    for (variable, value) in
        [("TRANSFER_DESTINATIONS", "ventas:from-internal,200"), ("FALLBACK_CONTEXT", "humans")]
    {
        let set_up = set_up().but(variable, value);
        let checks = set_up.finds(&[("modules", "warning")]).await;
        let is_it = |check: &&Value| check["id"] == "modules" && check["status"] == "warning";
        let warning = checks.iter().find(is_it).expect("the warning")["detail"].to_string();
        assert!(warning.contains("func_dialplan.so") && warning.contains(variable), "{warning}");
        // With the module all is well.
        healthy().but(variable, value).finds(&[]).await;
    }
}

#[tokio::test]
async fn a_dialplan_that_leads_elsewhere_or_cannot_be_seen() {
    let checks = healthy().but("ASTERISK_APP", "other").finds(&[("dialplan", "failure")]).await;
    assert!(detail(&checks, "dialplan").contains("Stasis(openai-app)"), "what is there is named");
    let set_up = healthy();
    set_up.console("#!/bin/sh\necho 'Unable to connect to remote asterisk' >&2\nexit 1\n");
    let checks = set_up.finds(&[]).await;
    assert!(detail(&checks, "dialplan").contains("Unable to connect to remote asterisk"));
}

#[tokio::test]
async fn ports_that_overlap_asterisks_own() {
    let checks = healthy().but("RTP_PORTS", "39000-39999").finds(&[("rtp-ports", "warning")]).await;
    assert!(detail(&checks, "rtp-ports").contains("30000-39999"));
    // Without the console, those seen in use tell.
    let set_up = healthy().but("RTP_PORTS", "30000-30199");
    set_up.console("#!/bin/sh\nexit 1\n");
    if !Path::new("/etc/asterisk/rtp.conf").exists() {
        set_up.finds(&[("rtp-ports", "warning")]).await;
    }
}

#[tokio::test]
async fn no_rtp_arrives() {
    let set_up = healthy();
    set_up.world.asterisk.lose_media(|_| true);
    let checks = set_up.finds(&[("rtp", "failure")]).await;
    assert!(detail(&checks, "rtp").starts_with("No llega RTP en ningún sentido"));
}

#[tokio::test]
async fn rtp_passes_one_way_only() {
    let set_up = healthy();
    let mut first = None;
    set_up.world.asterisk.lose_media(move |to| *first.get_or_insert(to) == to);
    let checks = set_up.finds(&[("rtp", "failure")]).await;
    assert!(detail(&checks, "rtp").starts_with("RTP pasa en un solo sentido"));
}

#[tokio::test]
async fn rtp_comes_from_elsewhere_or_is_wanted_elsewhere() {
    let set_up = healthy();
    let router = set_up.world.asterisk.route_media().expect("a socket");
    let checks = set_up.finds(&[]).await;
    assert!(detail(&checks, "rtp").contains(&format!("llega de {router}")), "{}", detail(&checks, "rtp"));
    let set_up = healthy().but("RTP_SOURCE", "strict");
    set_up.world.asterisk.route_media().expect("a socket");
    let checks = set_up.finds(&[("rtp", "failure")]).await;
    assert!(detail(&checks, "rtp").contains("RTP_SOURCE=strict"));
    let named_address = Some([192, 0, 2, 7].into());
    let set_up = SetUp::with(Settings { named_address, ..Settings::default() }, Script::default());
    let checks = set_up.finds(&[("rtp", "failure")]).await;
    assert!(detail(&checks, "rtp").starts_with("Asterisk pide el audio en 192.0.2.7"));
}

#[tokio::test]
async fn rtp_is_lost_here_and_there() {
    for (every, status) in [(10, "warning"), (2, "failure")] {
        let set_up = healthy();
        let mut packets = 0;
        set_up.world.asterisk.lose_media(move |_| {
            packets += 1;
            // Both ways in turn: the direction must not decide.
            packets / 2 % every == 0
        });
        let checks = set_up.finds(&[("rtp", status)]).await;
        assert!(detail(&checks, "rtp").starts_with("Se pierde el "), "{}", detail(&checks, "rtp"));
    }
}

#[tokio::test]
async fn an_address_that_is_not_ours() {
    let checks = healthy().but("LOCAL_IP_ADDRESS", "192.0.2.1").finds(&[("rtp", "failure")]).await;
    let rtp = checks.iter().find(|check| check["id"] == "rtp").expect("the check");
    assert!(rtp["remedy"].as_str().expect("a remedy").contains("(127.0.0.1)"), "{rtp}");
}

#[tokio::test]
async fn asterisk_refuses_or_loses_a_request_on_the_way() {
    for (method, path, fault) in [
        ("POST", "externalMedia", Fault::Status(403)),
        ("POST", "externalMedia", Fault::OkButReplyLost),
        ("POST", "/bridges", Fault::ConnectionLost),
        ("POST", "addChannel", Fault::Status(500)),
        ("POST", "addChannel", Fault::OkButReplyLost),
        ("GET", "/applications/", Fault::Status(404)),
    ] {
        let set_up = healthy();
        // One whose connection is closed is made again.
        for _ in 0..5 {
            set_up.world.asterisk.fail_next(method, path, fault);
        }
        set_up.finds(&[("rtp", "failure")]).await;
    }
}

#[tokio::test]
async fn what_cannot_be_deleted_is_named() {
    let set_up = healthy();
    set_up.world.asterisk.fail_next("DELETE", "/bridges/", Fault::Status(500));
    let output = set_up.command("--json").output().await.expect("the program");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let left = set_up.world.asterisk.bridges();
    assert_eq!(left.len(), 1, "the fault was met");
    assert!(text.contains(&left[0]) && output.status.code() == Some(1), "{text}");
}

#[tokio::test]
async fn when_it_is_interrupted_it_cleans_up() {
    let set_up = healthy();
    let mut command = set_up.command("");
    let child = command.stdout(Stdio::piped()).spawn().expect("the program");
    until("it measures", || set_up.world.asterisk.channels().len() == 2).await;
    let pid = child.id().expect("it runs").to_string();
    assert!(
        Command::new("sh")
            .args(["-c", &format!("kill -INT {pid}")])
            .status()
            .await
            .expect("a shell")
            .success()
    );
    let begun = now();
    let output = child.wait_with_output().await.expect("the child");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "no half report");
    assert!(now() - begun < Duration::from_secs(3), "at once");
    set_up.nothing_is_left().await;
}

#[tokio::test]
async fn a_wrong_key() {
    let set_up = healthy().but("OPENAI_API_KEY", "sk-geheim123456");
    let checks = set_up.finds(&[("key", "failure"), ("session", "failure")]).await;
    assert!(
        detail(&checks, "key").contains("Incorrect API key provided: sk-…"),
        "{}",
        detail(&checks, "key")
    );
}

#[tokio::test]
async fn a_model_that_does_not_exist() {
    let set_up = healthy().but("OPENAI_REALTIME_MODEL", "gpt-nix").but("OPENAI_TRANSCRIPTION_MODEL", "nix");
    // Nor does anybody know what they cost.
    let unpriced = [("variables", "warning"); 2];
    let missing = [("model", "failure"), ("model", "warning"), ("session", "failure")];
    set_up.finds(&[&unpriced[..], &missing].concat()).await;
}

#[tokio::test]
async fn costs_that_nothing_bounds() {
    let checks = healthy().but("MAX_DAY_COST", "0").finds(&[("variables", "warning")]).await;
    let says =
        |check: &Value| check["detail"].as_str().is_some_and(|detail| detail.contains("no tiene límite"));
    assert!(checks.iter().any(says), "{checks:?}");
    healthy().but("MAX_DAY_COST", "0").but("MAX_CALL_COST", "2").finds(&[]).await;
}

#[tokio::test]
async fn a_model_that_ends_soon_and_one_that_has_ended() {
    for (days, status) in [(30, Some("warning")), (-1, Some("failure")), (200, None)] {
        let date = (wall().date_naive() + chrono::TimeDelta::days(days)).to_string();
        let shutdowns = vec![("gpt-realtime-2.1".to_owned(), date.clone())];
        let set_up = SetUp::new(Script { shutdowns, ..Script::default() });
        let expected: Vec<_> = status.map(|status| ("model", status)).into_iter().collect();
        let checks = set_up.finds(&expected).await;
        assert!(detail(&checks, "model").contains(&date));
    }
}

#[tokio::test]
async fn a_session_with_other_formats() {
    let set_up = SetUp::new(Script { echo_wrong_format: true, ..Script::default() });
    let checks = set_up.finds(&[("session", "failure")]).await;
    assert!(detail(&checks, "session").contains("audio.input.format"));
}

#[tokio::test]
async fn a_session_that_never_becomes_ready_takes_ten_seconds_at_most() {
    let late = FaultKind::CreatedLate(Duration::from_secs(60));
    let set_up =
        SetUp::new(Script { faults: vec![SessionFault::new(Trigger::OnConnect, late)], ..Script::default() });
    let begun = now();
    let checks = set_up.finds(&[("session", "failure")]).await;
    assert!(now() - begun < Duration::from_secs(10), "{:?}", now() - begun);
    assert!(detail(&checks, "session").ends_with("8 s"), "{}", detail(&checks, "session"));
}

#[tokio::test]
async fn no_realtime_server() {
    let url = format!("ws://127.0.0.1:{}/v1/realtime", free_port().await);
    let set_up = healthy().but("OPENAI_REALTIME_URL", &url);
    let checks = set_up.finds(&[("key", "failure"), ("session", "failure")]).await;
    assert!(detail(&checks, "key").contains("Connection refused"), "{}", detail(&checks, "key"));
}

#[tokio::test]
async fn a_compatible_server_without_a_list_of_models() {
    let set_up = SetUp::new(Script { lists_models: false, ..Script::default() });
    let checks = set_up.finds(&[]).await;
    assert!(checks.iter().any(|check| check["id"] == "model" && check["status"] == "note"));
}

#[tokio::test]
async fn a_clock_that_is_wrong() {
    for (ahead, word) in [(90, "atrasado"), (-90, "adelantado")] {
        let set_up = SetUp::new(Script { clock_ahead: ahead, ..Script::default() });
        let checks = set_up.finds(&[("clock", "warning")]).await;
        assert!(detail(&checks, "clock").ends_with(word), "{}", detail(&checks, "clock"));
    }
}

#[tokio::test]
async fn few_open_files() {
    if Path::new("/etc/systemd/system/openai-inbound-calls.service").exists() {
        // There the unit's limit counts.
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

/// A port at which nobody listens.
async fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    listener.local_addr().expect("bound").port().to_string()
}

//! One Asterisk, one daemon and one fake Realtime server for one test.
//!
//! The testbed waits only for conditions, each with a deadline, and ends every process that it started by its
//! process id.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use openai_inbound_calls::clock::now;
use openai_inbound_calls::media::wav;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::live::RealtimeServer;
use openai_inbound_calls::sim::live::realtime::LiveSession;
use openai_inbound_calls::sim::realtime::Script;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::UdpSocket;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

use serde_json::Value;

use crate::phone::{self, Finished, Standing};
use crate::sip::SipPhone;

/// The time limit for everything that should happen at once.
const PATIENCE: Duration = Duration::from_secs(30);
/// The interval at which a condition is checked.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The release of Debian from which Asterisk comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suite {
    TwentyTwo,
    Sixteen,
}

/// The scripts of the fake Realtime server, one per connection or one for all.
pub(crate) trait Scripts {
    fn server(self) -> RealtimeServer;
}

impl Scripts for Script {
    fn server(self) -> RealtimeServer {
        RealtimeServer::with_script(self).expect("loopback")
    }
}

impl Scripts for fn(usize) -> Arc<Script> {
    fn server(self) -> RealtimeServer {
        RealtimeServer::start(self).expect("loopback")
    }
}

/// Calls in progress.
pub(crate) struct Calls {
    phones: JoinSet<(usize, Finished)>,
    sipp: JoinSet<bool>,
}

/// Everything that a test needs. Dropping the value removes it.
pub(crate) struct Testbed {
    environment: HashMap<&'static str, String>,
    folder: tempfile::TempDir,
    /// The first of the daemon's RTP ports.
    first_port: u16,
    runtime: Runtime,
    pub(crate) realtime: RealtimeServer,
    daemon: RefCell<Option<Child>>,
}

impl Testbed {
    /// Starts all three programs. None: this Asterisk is not to be tested, and a line says so.
    #[expect(clippy::print_stdout, reason = "what is skipped is said")]
    pub(crate) fn start(suite: Suite, number: u16, name: &str, scripts: impl Scripts) -> Option<Self> {
        let (version, debian) = match suite {
            Suite::TwentyTwo => ("22", "forky"),
            Suite::Sixteen => ("16", "bullseye"),
        };
        let wanted = std::env::var_os("OIC_E2E").unwrap_or_default();
        if !wanted.to_string_lossy().split(',').any(|wanted| wanted == version) {
            println!("skipped: OIC_E2E does not name {version} (tests/run sets it)");
            return None;
        }
        let environment = HashMap::from([
            ("ASTERISK_SUITE", debian.to_owned()),
            ("ASTERISK_NAME", format!("{version}-{number}")),
            ("ASTERISK_PORT", (18_100 + number).to_string()),
            ("SIP_PORT", (15_100 + number).to_string()),
            ("COLLEAGUE_PORT", (15_300 + number).to_string()),
            ("RTP_START", (40_000 + 100 * number).to_string()),
            ("RTP_END", (40_099 + 100 * number).to_string()),
            ("ASTERISK_USERNAME", "asterisk".to_owned()),
            ("ASTERISK_PASSWORD", "testbed".to_owned()),
        ]);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let realtime = {
            let _runtime_context = runtime.enter();
            scripts.server()
        };
        let folder = tempfile::Builder::new().prefix(name).tempdir().expect("a folder");
        let first_port = 20_000 + 100 * number;
        let testbed = Self { environment, folder, first_port, runtime, realtime, daemon: RefCell::new(None) };
        testbed.start_asterisk();
        testbed.start_daemon();
        testbed.log_says("Conexión ARI establecida");
        Some(testbed)
    }

    /// Places calls, one per script, and waits for their end.
    pub(crate) fn call(
        &self,
        scenario: &str,
        number: &str,
        seconds: f64,
        scripts: Vec<Vec<Step>>,
    ) -> Vec<Finished> {
        let calls = self.place(scenario, number, seconds, scripts);
        self.finish(calls)
    }

    /// The phone of extension 200, which answers one call, repeats what it hears, and waits for the other
    /// side to hang up. The phone is ready until it is dropped.
    pub(crate) fn colleague(&self) -> Running {
        let port: u16 = self.environment["COLLEAGUE_PORT"].parse().expect("a port");
        let arguments = ["-sn", "uas", "-rtp_echo", "-i", "127.0.0.1", "-m", "1", "-nostdin"];
        let sipp = Command::new("sipp")
            .args(arguments)
            .args(["-p", &port.to_string(), "-mp", &(port + 2_000).to_string()])
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("SIPp");
        let listens = || std::net::UdpSocket::bind(("127.0.0.1", port)).is_err();
        assert!(wait(listens), "the colleague's phone does not listen");
        Running(sipp)
    }

    /// The phones of a customer and of a colleague, which can transfer. The colleague's extension is 201.
    pub(crate) fn sip_phones(&self) -> (SipPhone, SipPhone) {
        let port = |name: &str| self.environment[name].parse::<u16>().expect("a port");
        let (asterisk, colleague) = (port("SIP_PORT"), port("COLLEAGUE_PORT"));
        (SipPhone::new("3001234567", colleague + 200, asterisk), SipPhone::new("201", colleague, asterisk))
    }

    /// Waits until `are_so` holds for the calls of the call log, newest first.
    pub(crate) fn calls_say(&self, are_so: impl Fn(&[Value]) -> bool) {
        let calls = || {
            let answer: Value = serde_json::from_str(&self.curl(&[], "/calls")).expect("JSON");
            answer["calls"].as_array().cloned().unwrap_or_default()
        };
        assert!(wait(|| are_so(&calls())), "not in the call log: {:?}", calls());
    }

    /// Places calls without waiting for their end.
    pub(crate) fn place(&self, scenario: &str, number: &str, seconds: f64, scripts: Vec<Vec<Step>>) -> Calls {
        let _runtime_context = self.runtime.enter();
        let (mut phones, mut standings, mut csv) =
            (JoinSet::new(), HashMap::new(), "SEQUENTIAL\n".to_owned());
        let count = scripts.len();
        for (index, script) in scripts.into_iter().enumerate() {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
            socket.set_nonblocking(true).expect("a socket");
            let port = socket.local_addr().expect("bound").port();
            writeln!(csv, "{port};30012345{index:02};").expect("writing to a String cannot fail");
            let (tell, standing) = watch::channel(Standing::Calling);
            standings.insert(port, tell);
            let socket = UdpSocket::from_std(socket).expect("a socket");
            phones.spawn_on(
                async move { (index, phone::run(socket, script, index as u64 + 1, standing).await) },
                self.runtime.handle(),
            );
        }
        let list = self.folder.path().join("calls.csv");
        std::fs::write(&list, csv).expect("a file");
        let mut command = tokio::process::Command::from(self.script("call"));
        command
            .args([scenario, number, &seconds.to_string()])
            .arg(list)
            .arg(count.to_string())
            .stdout(Stdio::piped());
        let mut sipp = JoinSet::new();
        sipp.spawn_on(follow(command, standings), self.runtime.handle());
        Calls { phones, sipp }
    }

    /// Waits for the end of calls, which must have gone as their scenario says.
    pub(crate) fn finish(&self, mut calls: Calls) -> Vec<Finished> {
        self.runtime.block_on(async {
            let went_well = calls.sipp.join_next().await.expect("one SIPp").expect("it does not panic");
            assert!(went_well, "SIPp counts a failed call");
            let mut finished = calls.phones.join_all().await;
            finished.sort_by_key(|(index, _)| *index);
            finished.into_iter().map(|(_, finished)| finished).collect()
        })
    }

    /// The only session.
    pub(crate) fn only_session(&self) -> LiveSession {
        let mut sessions = self.realtime.sessions();
        assert_eq!(sessions.len(), 1);
        sessions.remove(0)
    }

    /// Waits until the daemon's log contains this text.
    pub(crate) fn log_says(&self, text: &str) {
        self.log_says_times(text, 1);
    }

    /// Waits until the daemon's log contains this text this many times.
    pub(crate) fn log_says_times(&self, text: &str, times: usize) {
        let log = self.folder.path().join("daemon.log");
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        let found = wait(|| said().matches(text).count() >= times);
        assert!(found, "not in the log: {text}\n{}", said());
    }

    /// Checks that the daemon's log does not contain this text.
    pub(crate) fn log_does_not_say(&self, text: &str) {
        let log = std::fs::read_to_string(self.folder.path().join("daemon.log")).unwrap_or_default();
        assert!(!log.contains(text), "in the log: {text}\n{log}");
    }

    /// Whether this is Asterisk 16.
    pub(crate) fn is_sixteen(&self) -> bool {
        self.environment["ASTERISK_SUITE"] == "bullseye"
    }

    /// Sets the number of connections that Asterisk's HTTP server serves at once.
    pub(crate) fn limit_sessions(&self, most: u32) {
        let conf = self.asterisk_folder().join("etc/http.conf");
        let text = std::fs::read_to_string(&conf).expect("http.conf");
        let changed = text.replace("enabled = yes", &format!("enabled = yes\nsessionlimit = {most}"));
        std::fs::write(&conf, changed).expect("http.conf");
        self.console("module reload http");
    }

    /// Sets whether the daemon's ARI user may only read.
    pub(crate) fn ari_user_may_only_read(&self, only: bool) {
        let conf = self.asterisk_folder().join("etc/ari.conf");
        let [now, wanted] = if only { ["no", "yes"] } else { ["yes", "no"] };
        let text = std::fs::read_to_string(&conf).expect("ari.conf");
        let changed = text.replace(&format!("read_only = {now}"), &format!("read_only = {wanted}"));
        assert_ne!(text, changed);
        std::fs::write(&conf, changed).expect("ari.conf");
        self.console("module reload res_ari.so");
    }

    /// Waits until Asterisk's log contains this text.
    pub(crate) fn asterisk_says(&self, text: &str) {
        let log = self.asterisk_folder().join("log/full");
        let found = wait(|| std::fs::read_to_string(&log).unwrap_or_default().contains(text));
        assert!(found, "not in Asterisk's log: {text}");
    }

    /// Waits until Asterisk has neither a channel nor a bridge.
    pub(crate) fn nothing_is_left(&self) {
        let left = || (self.console("core show channels concise"), self.console("bridge show all"));
        let empty = wait(|| {
            let (channels, bridges) = left();
            channels.trim().is_empty() && bridges.lines().count() == 1
        });
        assert!(empty, "left in Asterisk: {:?}", left());
    }

    /// The id of the only recording, once it is finished.
    pub(crate) fn recording_id(&self) -> String {
        let name = || {
            let files = std::fs::read_dir(self.folder.path().join("recordings")).ok()?.flatten();
            let mut names = files.map(|file| file.file_name().to_string_lossy().into_owned());
            names.find_map(|name| Some(name.strip_suffix("_conversation.json")?.to_owned()))
        };
        assert!(wait(|| name().is_some()), "no recording");
        name().expect("it was there")
    }

    /// The audio of the only recording: the caller's side and the assistant's side.
    pub(crate) fn recorded_sides(&self) -> (Vec<u8>, Vec<u8>) {
        let file = format!("recordings/{}_audio.wav", self.recording_id());
        let wav = std::fs::read(self.folder.path().join(file)).expect("the sound");
        wav[wav::HEADER_BYTES..].chunks_exact(2).map(|both| (both[0], both[1])).unzip()
    }

    /// The output of an operator's curl to the daemon's API.
    pub(crate) fn curl(&self, options: &[&str], path: &str) -> String {
        let line = "API de grabaciones disponible en ";
        self.log_says(line);
        let log = std::fs::read_to_string(self.folder.path().join("daemon.log")).expect("the log");
        let (_, rest) = log.split_once(line).expect("it was said");
        let api = rest.lines().next().unwrap_or_default();
        let answer =
            Command::new("curl").args(["-sS", "--fail"]).args(options).arg(format!("{api}{path}")).output();
        let answer = answer.expect("curl");
        assert!(answer.status.success(), "{path}: {}", String::from_utf8_lossy(&answer.stderr));
        String::from_utf8_lossy(&answer.stdout).into_owned()
    }

    /// Stops the daemon as systemd does. Returns its exit code.
    pub(crate) fn stop_daemon(&self) -> Option<i32> {
        let mut daemon = self.daemon.borrow_mut().take()?;
        signal("TERM", daemon.id());
        let mut status = None;
        wait(|| {
            status = daemon.try_wait().expect("our child");
            status.is_some()
        });
        status?.code()
    }

    /// Kills the daemon as a crash would, and starts it again.
    pub(crate) fn crash_daemon(&self) {
        let mut daemon = self.daemon.borrow_mut().take().expect("it runs");
        daemon.kill().expect("our child");
        daemon.wait().expect("our child");
        self.start_daemon();
    }

    /// Starts a second daemon with the same application, as an operator might by mistake. Dropping the value
    /// ends it.
    pub(crate) fn second_daemon(&self) -> Running {
        let mut program = self.program();
        program.env("LOG_FILE_PATH", self.folder.path().join("second.log"));
        program.env("RECORDINGS_DIR", self.folder.path().join("second"));
        Running(program.stdout(Stdio::null()).spawn().expect("the daemon starts"))
    }

    /// Creates a bridge in Asterisk with an id such as a daemon gives to a bridge that it is about to join.
    pub(crate) fn make_bridge(&self, id: &str) {
        let port = &self.environment["ASTERISK_PORT"];
        let url = format!("http://127.0.0.1:{port}/ari/bridges?type=mixing&bridgeId={id}");
        let made = Command::new("curl")
            .args(["-sS", "--fail", "-o", "/dev/null", "-X", "POST", "-u", "asterisk:testbed", &url])
            .status();
        assert!(made.expect("curl").success());
    }

    /// Kills Asterisk as a crash would.
    pub(crate) fn kill_asterisk(&self) {
        assert!(self.script("stop").arg("-k").status().expect("a script").success());
    }

    /// Stops Asterisk as systemd does.
    pub(crate) fn stop_asterisk(&self) {
        assert!(self.script("stop").status().expect("a script").success());
    }

    /// Starts Asterisk, for the first time or again.
    pub(crate) fn start_asterisk(&self) {
        let started = self.script("start").output().expect("a script");
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    }

    fn start_daemon(&self) {
        let daemon = self.program().stdout(Stdio::null()).spawn().expect("the daemon starts");
        self.daemon.replace(Some(daemon));
    }

    /// The program with all variables that it needs.
    fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_openai-inbound-calls"));
        command
            .current_dir(self.folder.path())
            .env_clear()
            .envs([
                ("ASTERISK_USERNAME", "asterisk"),
                ("ASTERISK_PASSWORD", "testbed"),
                ("ASTERISK_HOST", "127.0.0.1"),
                ("OPENAI_API_KEY", "sk-test"),
                ("LOCAL_IP_ADDRESS", "127.0.0.1"),
                ("SHUTDOWN_GRACE_SECONDS", "1"),
                ("LOG_LEVEL", "debug"),
                ("API_LISTEN", "127.0.0.1:0"),
            ])
            .env("ASTERISK_PORT", &self.environment["ASTERISK_PORT"])
            .env("OPENAI_REALTIME_URL", self.realtime.url())
            // The delays of a busy machine must not decide whether a caller is served.
            .env("MAX_FRAME_LATENESS_MS", "0")
            // Without this variable the daemon and its doctor warn.
            .env("MAX_DAY_COST", "100000")
            // This is as many calls as the ports of this Asterisk carry.
            .env("MAX_CALLS", "20")
            .env("RTP_PORTS", format!("{}-{}", self.first_port, self.first_port + 99))
            .env("TRANSFER_DESTINATIONS", "ventas:from-internal,200;nadie:from-internal,999")
            .env("LOG_FILE_PATH", self.folder.path().join("daemon.log"));
        command
    }

    /// The output of the doctor, and its exit code. The doctor finds this Asterisk's console under the usual
    /// name.
    pub(crate) fn doctor(&self, changes: &[(&str, &str)]) -> (String, Option<i32>) {
        let shim = self.folder.path().join("asterisk");
        let cli = self.script("cli").get_program().to_owned();
        let script = format!("#!/bin/sh\nshift\nexec {} \"$@\"\n", cli.to_string_lossy());
        std::fs::write(&shim, script).expect("a file");
        std::fs::set_permissions(&shim, std::fs::Permissions::from_mode(0o755)).expect("its mode");
        let path = std::env::var_os("PATH").unwrap_or_default().to_string_lossy().into_owned();
        let home = std::env::var_os("HOME").unwrap_or_default();
        let output = self
            .program()
            .arg("doctor")
            .envs(&self.environment)
            .env("HOME", home)
            .envs(std::env::vars_os().filter(|(name, _)| name == "XDG_CACHE_HOME" || name == "TESTBED_DIR"))
            .env("PATH", format!("{}:{path}", self.folder.path().display()))
            .envs(changes.iter().copied())
            .output()
            .expect("the program");
        let report = String::from_utf8(output.stdout).expect("text");
        println!("{report}");
        (report, output.status.code())
    }

    /// Runs one command on Asterisk's console and returns its output.
    pub(crate) fn console(&self, command: &str) -> String {
        let output = self.script("cli").args(command.split(' ')).output().expect("a console");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The RTP ports of Asterisk.
    pub(crate) fn asterisks_ports(&self) -> String {
        format!("{}-{}", self.environment["RTP_START"], self.environment["RTP_END"])
    }

    /// Waits until Asterisk knows no application except the daemon's.
    pub(crate) fn no_application_but_the_daemons(&self) {
        let apps = || {
            let shown = self.console("ari show apps");
            let apps = shown.lines().map(str::trim).filter(|line| line.contains("-app"));
            apps.map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(wait(|| apps() == ["openai-app"]), "{:?}", apps());
    }

    fn script(&self, name: &str) -> Command {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/asterisk");
        let mut command = Command::new(folder.join(name));
        command.envs(&self.environment);
        command
    }

    fn asterisk_folder(&self) -> PathBuf {
        let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
            || Path::new(&std::env::var_os("HOME").expect("a home")).join(".cache"),
            PathBuf::from,
        );
        let base =
            std::env::var_os("TESTBED_DIR").map_or_else(|| cache.join("openai-inbound-calls"), PathBuf::from);
        base.join("run").join(&self.environment["ASTERISK_NAME"])
    }
}

/// A program beside the daemon.
pub(crate) struct Running(Child);

impl Running {
    /// Whether the program ends by itself and successfully. For the colleague's phone this means that its
    /// call went as it should, from the ringing to the hang-up by the other side.
    pub(crate) fn ends_well(mut self) -> bool {
        let mut status = None;
        wait(|| {
            status = self.0.try_wait().expect("our child");
            status.is_some()
        });
        status.is_some_and(|status| status.success())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Drop for Testbed {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.get_mut().take() {
            drop(daemon.kill());
            drop(daemon.wait());
        }
        drop(self.script("stop").stdout(Stdio::null()).status());
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("daemon.log")).unwrap_or_default();
            let lines = log.lines().map(|line| line.chars().take(200).collect::<String>());
            println!("---- the daemon's log ----\n{}", lines.collect::<Vec<_>>().join("\n"));
        }
    }
}

/// Runs the script that runs SIPp, and passes its output to the phones. Returns whether all calls went well.
async fn follow(
    mut command: tokio::process::Command,
    standings: HashMap<u16, watch::Sender<Standing>>,
) -> bool {
    let mut sipp = command.kill_on_drop(true).spawn().expect("a script");
    let mut lines = BufReader::new(sipp.stdout.take().expect("piped")).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let words: Vec<_> = line.split(' ').collect();
        let standing = match words[..] {
            ["answered", _, port, ..] => Standing::Answered(port.parse().expect("a port")),
            ["ended", _, how, ..] => Standing::Ended(how.to_owned()),
            _ => continue,
        };
        if let Some(phone) = words[1].parse().ok().and_then(|port: u16| standings.get(&port)) {
            drop(phone.send(standing));
        }
    }
    sipp.wait().await.is_ok_and(|status| status.success())
}

/// Whether the condition holds in time.
fn wait(mut condition: impl FnMut() -> bool) -> bool {
    let until = now() + PATIENCE;
    loop {
        if condition() {
            return true;
        }
        if now() >= until {
            return false;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args(["-s", name, &pid.to_string()]).status().expect("kill");
    assert!(sent.success());
}

/// The audio without its silent frames: what was said, whatever pauses a busy machine inserted.
pub(crate) fn loud(audio: &[u8]) -> Vec<u8> {
    std::io::stdout().flush().ok();
    audio.chunks(160).filter(|frame| frame.iter().any(|byte| *byte != 0xFF)).flatten().copied().collect()
}

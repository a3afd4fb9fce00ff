//! One Asterisk, one daemon and one fake Realtime server for one test.
//!
//! The testbed waits only for conditions, each with a deadline, and ends every process that it started by its
//! process id.

mod calls;
mod clinic;
mod daemon;
pub(crate) mod openai;
mod pbx;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use openai_inbound_calls::clock::now;
use openai_inbound_calls::media::wav;
use openai_inbound_calls::sim::live::RealtimeServer;
use openai_inbound_calls::sim::live::realtime::LiveSession;
use openai_inbound_calls::sim::realtime::Script;
use serde_json::Value;
use tokio::runtime::Runtime;

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
        let folder = tempfile::Builder::new().prefix(name).tempdir().expect("a folder");
        let extra = folder.path().join("extra");
        std::fs::create_dir(&extra).expect("a folder");
        let environment = HashMap::from([
            ("ASTERISK_EXTRA", extra.to_string_lossy().into_owned()),
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
        let first_port = 20_000 + 100 * number;
        let testbed = Self { environment, folder, first_port, runtime, realtime, daemon: RefCell::new(None) };
        testbed.start_asterisk();
        testbed.start_daemon();
        testbed.log_says("Conexión ARI establecida");
        Some(testbed)
    }

    /// Waits until `are_so` holds for the calls of the call log, newest first.
    pub(crate) fn calls_say(&self, are_so: impl Fn(&[Value]) -> bool) {
        let calls = || {
            let answer: Value = serde_json::from_str(&self.curl(&[], "/calls")).expect("JSON");
            answer["calls"].as_array().cloned().unwrap_or_default()
        };
        assert!(wait(|| are_so(&calls())), "not in the call log: {:?}", calls());
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

    /// How often the daemon's log contains this text.
    pub(crate) fn log_count(&self, text: &str) -> usize {
        let log = std::fs::read_to_string(self.folder.path().join("daemon.log")).unwrap_or_default();
        log.matches(text).count()
    }

    /// Checks that the daemon's log does not contain this text.
    pub(crate) fn log_does_not_say(&self, text: &str) {
        let log = std::fs::read_to_string(self.folder.path().join("daemon.log")).unwrap_or_default();
        assert!(!log.contains(text), "in the log: {text}\n{log}");
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

    /// The conversation of the only recording.
    pub(crate) fn conversation(&self) -> Value {
        let file = format!("recordings/{}_conversation.json", self.recording_id());
        serde_json::from_slice(&std::fs::read(self.folder.path().join(file)).expect("the words"))
            .expect("JSON")
    }

    /// The folder of the agents.
    pub(crate) fn agents_folder(&self) -> std::path::PathBuf {
        self.folder.path().join("agents")
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
        let (_, rest) = log.rsplit_once(line).expect("it was said");
        let api = rest.lines().next().unwrap_or_default();
        let answer =
            Command::new("curl").args(["-sS", "--fail"]).args(options).arg(format!("{api}{path}")).output();
        let answer = answer.expect("curl");
        assert!(answer.status.success(), "{path}: {}", String::from_utf8_lossy(&answer.stderr));
        String::from_utf8_lossy(&answer.stdout).into_owned()
    }

    fn script(&self, name: &str) -> Command {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/asterisk");
        let mut command = Command::new(folder.join(name));
        command.envs(&self.environment);
        command
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
    #[expect(clippy::print_stdout, reason = "whoever looks at a failed test reads the log")]
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.get_mut().take() {
            drop(daemon.kill());
            drop(daemon.wait());
        }
        // An Asterisk with TLS takes ten seconds to end by itself.
        drop(self.script("stop").arg("-k").stdout(Stdio::null()).status());
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("daemon.log")).unwrap_or_default();
            let lines = log.lines().map(|line| line.chars().take(200).collect::<String>());
            println!("---- the daemon's log ----\n{}", lines.collect::<Vec<_>>().join("\n"));
        }
    }
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

/// The audio without the pauses that have 10 ms or more, wherever they begin.
pub(crate) fn spoken(audio: &[u8]) -> Vec<u8> {
    let pieces = audio.chunk_by(|one, next| (*one == 0xFF) == (*next == 0xFF));
    pieces.filter(|piece| piece[0] != 0xFF || piece.len() < 80).flatten().copied().collect()
}

/// The audio without its silent frames: what was said, whatever pauses a busy machine inserted.
pub(crate) fn loud(audio: &[u8]) -> Vec<u8> {
    std::io::stdout().flush().ok();
    audio.chunks(160).filter(|frame| frame.iter().any(|byte| *byte != 0xFF)).flatten().copied().collect()
}

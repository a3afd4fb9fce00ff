//! What the tests share: the fakes, the daemon between them (in this process or as a child process), and
//! functions that wait.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use openai_inbound_calls::clock::now;
use openai_inbound_calls::config::Config;
use openai_inbound_calls::daemon;
use openai_inbound_calls::logging::Operator;
use openai_inbound_calls::operator::Language;
use openai_inbound_calls::sim::asterisk::{CallState, CallerId, IncomingCall, Settings};
use openai_inbound_calls::sim::caller::{Caller, Step};
use openai_inbound_calls::sim::live::asterisk::loopback_address;
use openai_inbound_calls::sim::live::realtime::LiveSession;
use openai_inbound_calls::sim::live::{AsteriskServer, RealtimeServer};
use openai_inbound_calls::sim::realtime::{Script, What};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// The time limit of a wait: longer than anything that works takes, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Variables of the environment.
pub(crate) type Variables = Vec<(&'static str, String)>;

/// The fakes.
pub(crate) struct World {
    pub(crate) asterisk: AsteriskServer,
    pub(crate) openai: RealtimeServer,
    pub(crate) recordings: TempDir,
}

impl World {
    pub(crate) fn new(script: Script) -> Self {
        let script = Arc::new(script);
        Self::choosing(move |_| Arc::clone(&script))
    }

    /// A world with a separate script for each connection, counted from 0.
    pub(crate) fn choosing(choose: impl Fn(usize) -> Arc<Script> + Send + Sync + 'static) -> Self {
        Self::with(Settings::default(), choose)
    }

    /// A world with other settings of Asterisk.
    pub(crate) fn with(
        settings: Settings,
        choose: impl Fn(usize) -> Arc<Script> + Send + Sync + 'static,
    ) -> Self {
        let settings = Settings { media_address: loopback_address(), ..settings };
        Self {
            asterisk: AsteriskServer::start(settings).expect("loopback"),
            openai: RealtimeServer::start(choose).expect("loopback"),
            recordings: TempDir::new().expect("a folder"),
        }
    }

    /// The variables with which the daemon finds the fakes.
    pub(crate) fn variables(&self) -> Variables {
        let of_asterisk = Settings::default();
        vec![
            ("ASTERISK_HOST", self.asterisk.address().ip().to_string()),
            ("ASTERISK_PORT", self.asterisk.address().port().to_string()),
            ("ASTERISK_USERNAME", of_asterisk.user),
            ("ASTERISK_PASSWORD", of_asterisk.password),
            ("OPENAI_API_KEY", "sk-test".to_owned()),
            ("OPENAI_REALTIME_URL", self.openai.url()),
            ("LOCAL_IP_ADDRESS", loopback_address().to_string()),
            ("RTP_PORTS", "20000-20199".to_owned()),
            ("LOG_FILE_PATH", "calls.log".to_owned()),
            ("RECORDINGS_DIR", self.recordings.path().display().to_string()),
            ("API_LISTEN", "127.0.0.1:0".to_owned()),
            // Without this variable the daemon and its doctor warn.
            ("MAX_DAY_COST", "100000".to_owned()),
            // The delays of a busy machine must not decide whether a caller is served.
            ("MAX_FRAME_LATENESS_MS", "0".to_owned()),
        ]
    }

    /// The same variables with these replaced or added.
    pub(crate) fn variables_with(&self, changes: &[(&'static str, &str)]) -> Variables {
        changed(self.variables(), changes)
    }

    /// Starts the daemon in this process and waits until it is registered.
    pub(crate) async fn daemon(&self) -> Daemon {
        self.daemon_with(&[]).await
    }

    /// Starts the daemon in this process with other variables.
    pub(crate) async fn daemon_with(&self, changes: &[(&'static str, &str)]) -> Daemon {
        let variables = self.variables_with(changes);
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|row| row.1.clone());
        let config = Config::from_variables(&variable).expect("a valid configuration");
        let (stop, stopped) = oneshot::channel::<()>();
        let mut task = JoinSet::new();
        let operator = Operator::new(Language::Spanish);
        task.spawn(async move {
            daemon::run(config, operator, async { drop(stopped.await) }, stream::pending()).await
        });
        self.registered().await;
        Daemon { stop: Some(stop), task }
    }

    /// Starts the real program and waits until it is registered.
    pub(crate) async fn program(&self, changes: &[(&'static str, &str)]) -> Program {
        let program = Program::start(self.variables_with(changes));
        self.registered().await;
        program
    }

    /// Starts the real program with all variables in its `.env` and none in its environment.
    pub(crate) async fn program_with_env_file(&self, changes: &[(&'static str, &str)]) -> Program {
        let folder = tempfile::tempdir().expect("a folder");
        let variables = self.variables_with(changes);
        write_env_file(folder.path(), &variables);
        let mut program = Program::start_in(folder, Vec::new());
        program.in_file = variables;
        self.registered().await;
        program
    }

    pub(crate) async fn registered(&self) {
        until("the daemon is registered", || {
            self.asterisk
                .journal()
                .iter()
                .any(|(_, line)| line.starts_with("GET /applications/") && line.ends_with("200"))
        })
        .await;
    }

    /// Places a call from a phone with this script.
    pub(crate) fn call(&self, script: Vec<Step>) -> CallerId {
        self.asterisk.call(IncomingCall::default(), |now| Caller::new(now, script, 7))
    }

    /// Waits until the call has ended and nothing of it remains anywhere.
    pub(crate) async fn over(&self, call: CallerId) {
        self.over_but_sessions(call).await;
        until("the sessions are closed", || self.openai.sessions().iter().all(LiveSession::is_over)).await;
    }

    /// Waits until the caller is gone, whatever else runs.
    pub(crate) async fn gone(&self, call: CallerId) {
        until("the caller is gone", || self.asterisk.outcome(call).state == CallState::Gone).await;
    }

    /// Waits until the call has ended and nothing of it remains in Asterisk.
    pub(crate) async fn over_but_sessions(&self, call: CallerId) {
        let over = holds(|| self.asterisk.outcome(call).state == CallState::Gone).await;
        assert!(
            over,
            "the call is not over: {:?}\n{:#?}",
            self.asterisk.outcome(call),
            self.asterisk.journal()
        );
        until("nothing is left in Asterisk", || {
            self.asterisk.channels().is_empty() && self.asterisk.bridges().is_empty()
        })
        .await;
    }

    /// The only session so far.
    pub(crate) fn session(&self) -> LiveSession {
        let mut sessions = self.openai.sessions();
        assert_eq!(sessions.len(), 1, "sessions");
        sessions.remove(0)
    }

    /// The audio that the caller heard, packet after packet.
    pub(crate) fn heard(&self, call: CallerId) -> Vec<u8> {
        self.asterisk
            .phone(call, |phone| phone.heard().iter().flat_map(|packet| packet.payload.to_vec()).collect())
    }

    /// The end reason that Asterisk was told for this caller.
    pub(crate) fn end_reason(&self, call: CallerId) -> Option<String> {
        let variables = self.asterisk.outcome(call).variables;
        variables.into_iter().find(|(name, _)| name == "AI_END_REASON").map(|(_, value)| value)
    }
}

/// The daemon in this process.
pub(crate) struct Daemon {
    stop: Option<oneshot::Sender<()>>,
    task: JoinSet<anyhow::Result<()>>,
}

impl Daemon {
    /// Stops the daemon in order.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        let ended = tokio::time::timeout(PATIENCE, self.task.join_next()).await.expect("it stops in time");
        ended.expect("its task").expect("no panic").expect("in order");
    }
}

/// The real program in a folder of its own. Dropping the value kills the program.
pub(crate) struct Program {
    child: std::process::Child,
    folder: TempDir,
    /// The variables in its `.env` at the start.
    in_file: Variables,
}

impl Program {
    /// Starts the program with these variables and no others.
    pub(crate) fn start(variables: Variables) -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder"), variables)
    }

    /// Starts the program with this text as `.env` and no variables.
    pub(crate) fn start_with_env_file(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(".env"), text).expect("a file");
        Self::start_in(folder, Vec::new())
    }

    /// Starts the program as systemd does: stdout and stderr belong to the journal, here to a file, and a
    /// variable says so.
    pub(crate) fn start_under_systemd(mut variables: Variables) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = std::fs::File::create(folder.path().join("stderr")).expect("a file");
        let stream = journal.metadata().expect("metadata");
        variables.push(("JOURNAL_STREAM", format!("{}:{}", stream.dev(), stream.ino())));
        let out = journal.try_clone().expect("a second handle");
        Self::spawn(folder, variables, out.into(), journal.into())
    }

    /// Starts the program in an existing folder.
    fn start_in(folder: TempDir, variables: Variables) -> Self {
        let stderr = std::fs::File::create(folder.path().join("stderr")).expect("a file");
        Self::spawn(folder, variables, Stdio::null(), stderr.into())
    }

    fn spawn(folder: TempDir, variables: Variables, stdout: Stdio, stderr: Stdio) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_openai-inbound-calls"))
            .env_clear()
            .envs(variables)
            .current_dir(folder.path())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .expect("the program");
        Self { child, folder, in_file: Vec::new() }
    }

    /// Writes a new `.env`: the variables of the start with these changes.
    pub(crate) fn change_env_file(&self, changes: &[(&'static str, &str)]) {
        write_env_file(self.folder.path(), &changed(self.in_file.clone(), changes));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.folder.path().join("calls.log")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    pub(crate) fn stderr(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }

    /// The number of lines in the log with this level and this text.
    pub(crate) fn count(&self, level: &str, text: &str) -> usize {
        let marked = format!(" - {level} - ");
        self.log().lines().filter(|line| line.contains(&marked) && line.contains(text)).count()
    }

    /// Waits for a line with this level and this text.
    pub(crate) async fn says(&self, level: &str, text: &str) {
        self.says_times(1, level, text).await;
    }

    /// Waits until there are this many such lines.
    pub(crate) async fn says_times(&self, times: usize, level: &str, text: &str) {
        let what = || format!("{times} × {level} {text}\nin:\n{}", self.log());
        assert!(holds(|| self.count(level, text) >= times).await, "no {}", what());
    }

    pub(crate) fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, name: &str) {
        // The shell has its own `kill`; a machine without procps has no other.
        let status = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
        assert!(status.expect("a shell").success());
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the child").is_none()
    }

    /// Waits until the program ends.
    pub(crate) async fn exit(&mut self) -> ExitStatus {
        until("the program ends", || !self.is_running()).await;
        self.child.wait().expect("the child")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.is_running() {
            drop(self.child.kill());
        }
        drop(self.child.wait());
    }
}

fn changed(mut variables: Variables, changes: &[(&'static str, &str)]) -> Variables {
    for (name, value) in changes {
        variables.retain(|(known, _)| known != name);
        variables.push((name, (*value).to_owned()));
    }
    variables
}

fn write_env_file(folder: &Path, variables: &Variables) {
    let lines: Vec<_> = variables.iter().map(|(name, value)| format!("{name}='{value}'")).collect();
    std::fs::write(folder.join(".env"), lines.join("\n")).expect("a file");
}

/// Waits for a condition. The test fails if the condition does not hold in time.
pub(crate) async fn until(what: &str, condition: impl FnMut() -> bool) {
    assert!(holds(condition).await, "waited in vain until {what}");
}

/// Whether the condition holds within [`PATIENCE`].
async fn holds(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = now() + PATIENCE;
    while !condition() {
        if now() > deadline {
            return false;
        }
        tokio::time::sleep(ms(5)).await;
    }
    true
}

/// Whether `sound` contains all of `clip`.
pub(crate) fn contains(sound: &[u8], clip: &[u8]) -> bool {
    sound.windows(clip.len()).any(|window| window == clip)
}

/// The milliseconds of `clip`, from its start, that are in `sound`.
pub(crate) fn heard_ms(sound: &[u8], clip: &[u8]) -> u64 {
    let begins = sound.windows(160).position(|window| window == &clip[..160]);
    let same =
        begins.map_or(0, |at| sound[at..].iter().zip(clip).take_while(|(one, other)| one == other).count());
    same as u64 / 8
}

/// The `audio_end_ms` of every truncation.
pub(crate) fn truncations(session: &LiveSession) -> Vec<u64> {
    let facts = session.journal().into_iter();
    facts
        .filter_map(|fact| match fact.what {
            What::Truncated { audio_end_ms, .. } => Some(audio_end_ms),
            _ => None,
        })
        .collect()
}

/// The caller waits until the assistant has started to speak, and has finished.
pub(crate) fn listen() -> [Step; 2] {
    [
        Step::WaitForSpeech { at_most: Duration::from_secs(10) },
        Step::WaitForSilence { quiet: ms(300), at_most: Duration::from_secs(20) },
    ]
}

/// Checks that the strict server found no violation.
pub(crate) fn assert_no_violations(session: &LiveSession) {
    assert_eq!(session.violations(), Vec::<String>::new(), "{:#?}", session.journal());
}

/// Checks that the strict server found no violation, except of the pace of the caller's audio, which shows
/// each short stop of a machine with many calls.
pub(crate) fn assert_no_violations_but_of_pace(session: &LiveSession) {
    let mut violations = session.violations();
    violations.retain(|violation| !violation.contains("% of real time"));
    assert_eq!(violations, Vec::<String>::new(), "{:#?}", session.journal());
}

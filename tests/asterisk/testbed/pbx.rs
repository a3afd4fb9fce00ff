//! The Asterisk of a test: its life, its settings, and what it holds.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Testbed, wait};

impl Testbed {
    /// Creates a bridge in Asterisk with an id such as a daemon gives to a bridge that it is about to join.
    pub(crate) fn make_bridge(&self, id: &str) {
        let port = &self.environment["ASTERISK_PORT"];
        let url = format!("http://127.0.0.1:{port}/ari/bridges?type=mixing&bridgeId={id}");
        let made = Command::new("curl")
            .args(["-sS", "--fail", "-o", "/dev/null", "-X", "POST", "-u", "asterisk:testbed", &url])
            .status();
        assert!(made.expect("curl").success());
    }

    /// What Asterisk says of the recordings that it keeps.
    pub(crate) fn stored_recordings(&self) -> String {
        let url = format!("http://127.0.0.1:{}/ari/recordings/stored", self.environment["ASTERISK_PORT"]);
        let answer = Command::new("curl").args(["-sS", "--fail", "-u", "asterisk:testbed", &url]).output();
        String::from_utf8_lossy(&answer.expect("curl").stdout).into_owned()
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

    pub(super) fn asterisk_folder(&self) -> PathBuf {
        run_folder(&self.environment["ASTERISK_NAME"])
    }
}

/// The folder in which the Asterisk of this name runs.
pub(super) fn run_folder(name: &str) -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map_or_else(|| Path::new(&std::env::var_os("HOME").expect("a home")).join(".cache"), PathBuf::from);
    let base =
        std::env::var_os("TESTBED_DIR").map_or_else(|| cache.join("openai-inbound-calls"), PathBuf::from);
    base.join("run").join(name)
}

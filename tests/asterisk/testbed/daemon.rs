//! The daemon of a test: its life, and its doctor.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use super::{Running, Testbed, wait};

impl Testbed {
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

    /// Stops the daemon, and starts it with these variables in addition.
    pub(super) fn restart_daemon_with(&self, variables: &[(&str, &str)]) {
        assert_eq!(self.stop_daemon(), Some(0));
        let daemon = self.program().envs(variables.iter().copied()).stdout(Stdio::null()).spawn();
        self.daemon.replace(Some(daemon.expect("the daemon starts")));
        self.log_says_times("Conexión ARI establecida", 2);
    }

    pub(super) fn start_daemon(&self) {
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
    #[expect(clippy::print_stdout, reason = "whoever looks at a failed test reads the report")]
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
}

fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args(["-s", name, &pid.to_string()]).status().expect("kill");
    assert!(sent.success());
}

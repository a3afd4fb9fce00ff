//! The measured program: a process of its own on a processor core of its own.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::machine::process::Process;

/// The time limit for an answer of the program's API.
const ANSWER: Duration = Duration::from_secs(5);

/// The processor cores of this machine, divided between the program and the fakes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cores {
    all: CpuSet,
    /// The core of the program. None: there is only one core.
    its_own: Option<usize>,
}

impl Cores {
    /// Divides the cores, and moves this thread, and with it all threads that it starts later, off the core
    /// of the program.
    ///
    /// # Errors
    /// Returns an error if the system does not allow the cores to be read or set.
    pub(super) fn divide() -> io::Result<Self> {
        let all = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core));
        // The first core serves most interrupts, so the program gets the last one.
        let its_own = cores.by_ref().last().filter(|_| all.count() > 1);
        if let Some(core) = its_own {
            let mut others = all;
            others.unset(core);
            sched_setaffinity(None, &others)?;
        }
        Ok(Self { all, its_own })
    }

    /// Whether the program has a core to itself.
    pub(super) fn are_apart(&self) -> bool {
        self.its_own.is_some()
    }

    /// The cores on which the program runs.
    fn of_program(&self) -> CpuSet {
        let Some(core) = self.its_own else { return self.all };
        let mut set = CpuSet::new();
        set.set(core);
        set
    }
}

/// Raises the limit on open files of this process, and of those that it starts, to the maximum. A call needs
/// about six files.
pub(super) fn open_many_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // If the system refuses, a run with many calls shows it.
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).ok();
}

/// The running program.
#[derive(Debug)]
pub(super) struct Program {
    child: Child,
    api: SocketAddr,
}

impl Program {
    /// The command that runs this program itself with these arguments and without variables.
    pub(super) fn ours(arguments: &[&str]) -> io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).env_clear();
        Ok(command)
    }

    /// The command that runs another program through the shell. The program inherits the variables of this
    /// process.
    pub(super) fn other(line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec {line}")]);
        command
    }

    /// Starts the program with these variables in this folder.
    pub(super) fn start(
        mut command: Command,
        cores: Cores,
        variables: Vec<(String, String)>,
        folder: &Path,
        api: SocketAddr,
    ) -> io::Result<Self> {
        command.envs(variables).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
        // A process starts on the cores of the thread that starts it.
        let starter = std::thread::spawn(move || {
            sched_setaffinity(None, &cores.of_program())?;
            command.spawn()
        });
        let child = starter.join().map_err(|_| io::Error::other("the thread that starts it panicked"))??;
        Ok(Self { child, api })
    }

    /// The resources that the program uses now.
    pub(super) fn takes(&self) -> Process {
        Process::of(&self.child.id().to_string())
    }

    /// Whether the program reports that it is ready for calls.
    pub(super) fn is_ready(&self) -> bool {
        self.get("/ready").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "))
    }

    /// The value of one of the program's metrics.
    ///
    /// # Errors
    /// Returns an error if the program does not answer, or does not have this metric.
    pub(super) fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let answer = self.get("/metrics")?;
        let line = answer.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        line.with_context(|| format!("the program has no metric {name}"))
    }

    /// The process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the API answers, with the head.
    fn get(&self, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.api, ANSWER)?;
        stream.set_read_timeout(Some(ANSWER))?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// The exit status. None: the program is still running.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Asks the program to end (SIGTERM).
    pub(super) fn ask_to_end(&self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // The program may have ended already.
            kill_process(pid, Signal::TERM).ok();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Normally the program has ended before.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

//! The program that is measured: a process of its own on a processor core of its own.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::daemon::process::Process;

/// How long an answer of its API may take.
const ANSWER: Duration = Duration::from_secs(5);

/// The processor cores of this machine, divided: one for the program, the others for those who talk with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cores {
    all: CpuSet,
    /// The program's; None where there is only one core.
    its_own: Option<usize>,
}

impl Cores {
    /// Divides them, and keeps this thread, and those it starts from now on, off the program's.
    ///
    /// # Errors
    /// When the system does not let itself be asked.
    pub(super) fn divide() -> io::Result<Self> {
        let all = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core));
        // The first serves most interrupts.
        let its_own = cores.by_ref().last().filter(|_| all.count() > 1);
        if let Some(core) = its_own {
            let mut others = all;
            others.unset(core);
            sched_setaffinity(None, &others)?;
        }
        Ok(Self { all, its_own })
    }

    /// Whether the program has one to itself.
    pub(super) fn are_apart(&self) -> bool {
        self.its_own.is_some()
    }

    /// Which one the program runs on.
    fn of_program(&self) -> CpuSet {
        let Some(core) = self.its_own else { return self.all };
        let mut set = CpuSet::new();
        set.set(core);
        set
    }
}

/// Lets this process, and those it starts, have as many files open as it may. A call takes about six.
pub(super) fn open_many_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _what_is_refused_shows_soon = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// It, running.
#[derive(Debug)]
pub(super) struct Program {
    child: Child,
    api: SocketAddr,
}

impl Program {
    /// This very program with these arguments and no variables.
    pub(super) fn ours(arguments: &[&str]) -> io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).env_clear();
        Ok(command)
    }

    /// Another one, by a line for the shell. It keeps this process's variables.
    pub(super) fn other(line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec {line}")]);
        command
    }

    /// Starts it with these variables, in this folder.
    pub(super) fn start(
        mut command: Command,
        cores: Cores,
        variables: Vec<(String, String)>,
        folder: &Path,
        api: SocketAddr,
    ) -> io::Result<Self> {
        command.envs(variables).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
        // A process is born on the cores of the thread that starts it.
        let starter = std::thread::spawn(move || {
            sched_setaffinity(None, &cores.of_program())?;
            command.spawn()
        });
        let child = starter.join().map_err(|_| io::Error::other("the thread that starts it panicked"))??;
        Ok(Self { child, api })
    }

    /// What it takes of the machine now.
    pub(super) fn takes(&self) -> Process {
        Process::of(&self.child.id().to_string())
    }

    /// Whether it says that calls may come.
    pub(super) fn is_ready(&self) -> bool {
        let ask = || -> io::Result<bool> {
            let mut stream = TcpStream::connect_timeout(&self.api, ANSWER)?;
            stream.set_read_timeout(Some(ANSWER))?;
            stream.write_all(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer.starts_with("HTTP/1.1 200 "))
        };
        ask().unwrap_or(false)
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Asks it to end (SIGTERM).
    pub(super) fn ask_to_end(&self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _it_may_have_ended = kill_process(pid, Signal::TERM);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Already over, if all went well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

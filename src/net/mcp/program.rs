//! The process of a server that is started here, and speaks over its standard input and output.

use std::fmt;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use rmcp::RoleClient;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::MESSAGE_BYTES;
use crate::tool::Masks;

/// How long a program may take to end by itself, and again after SIGTERM. More would hold up a restart; less would kill a server that
/// is still writing.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest line of its standard error that is read at once, in bytes.
const LINE_BYTES: u64 = 4 * 1024;

/// A program that is a server.
pub struct Program {
    /// The program: a path, or a name that is found in the folders of `PATH`.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The variables of the environment that it sees. Some are secret.
    pub variables: Vec<(String, String)>,
    /// Masks what the program says on its standard error.
    pub masks: Masks,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("program", &self.program).finish_non_exhaustive()
    }
}

impl Program {
    /// Starts the program.
    ///
    /// # Errors
    /// The system cannot start it.
    pub(super) fn start(&self) -> io::Result<Running> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            // A group of its own: a script may start the server as another process.
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("no pipes"));
        };
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let mut tasks = JoinSet::new();
        if let Some(errors) = child.stderr.take() {
            tasks.spawn(log(errors, self.program.clone(), self.masks.clone()));
        }
        let transport = AsyncRwTransport::new(output, input).with_max_line_length(MESSAGE_BYTES);
        Ok(Running { child, group, transport, _log: tasks })
    }
}

/// Logs what a program says on its standard error, for those who develop it.
async fn log(errors: ChildStderr, program: String, masks: Masks) {
    let mut lines = BufReader::new(errors);
    loop {
        let mut line = Vec::new();
        match (&mut lines).take(LINE_BYTES).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let line = masks.text(String::from_utf8_lossy(&line).trim_end());
                tracing::debug!(program, line, "an MCP server says");
            }
        }
    }
}

/// A program that runs.
pub(super) struct Running {
    child: Child,
    /// Its processes. `None`: it has ended.
    group: Option<Pid>,
    transport: AsyncRwTransport<RoleClient, ChildStdout, ChildStdin>,
    /// Ends with it.
    _log: JoinSet<()>,
}

impl Running {
    /// Sends a signal to all its processes.
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            kill_process_group(group, signal).ok();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

impl Transport<RoleClient> for Running {
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        self.transport.send(message)
    }

    fn receive(&mut self) -> impl Future<Output = Option<RxJsonRpcMessage<RoleClient>>> + Send {
        self.transport.receive()
    }

    /// Ends the program: by the end of its input, then by SIGTERM, at last by SIGKILL (MCP, transports, stdio, shutdown).
    async fn close(&mut self) -> Result<(), io::Error> {
        self.transport.close().await?;
        for signal in [Some(Signal::TERM), None] {
            if timeout(PATIENCE, self.child.wait()).await.is_ok() {
                break;
            }
            if let Some(signal) = signal {
                self.signal(signal);
            }
        }
        // Whatever it has started ends with it.
        self.signal(Signal::KILL);
        self.group = None;
        self.child.wait().await.map(drop)
    }
}

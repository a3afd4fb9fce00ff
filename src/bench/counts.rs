//! Counts what a program does for its calls: counts vary less than times, so that a noisy machine does not blur them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::program::Program;

/// The daemon's own count of what has come to its calls.
const INPUTS: &str = "openai_inbound_calls_call_inputs_total";

/// What the program has done for each call in each second.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Counts {
    /// How often something came to a call, for which it was woken: packets, events and ticks of its clock.
    pub(super) inputs: f64,
    /// The system calls of the whole program.
    pub(super) system_calls: f64,
}

/// The event of the kernel at the entry of each system call.
const SYSTEM_CALLS: &str = "raw_syscalls:sys_enter";

/// A count under way, by the command perf.
pub(super) struct Counting {
    perf: Child,
    table: PathBuf,
    inputs: f64,
}

impl Counting {
    /// Begins to count for so many seconds. The result of perf is written into `folder`.
    ///
    /// # Errors
    /// Returns an error if there is no perf, or if the program does not give its metrics.
    pub(super) fn begin(program: &Program, folder: &Path, seconds: u64) -> anyhow::Result<Self> {
        let table = folder.join("system-calls");
        let perf = Command::new("perf")
            .args(["stat", "-x", ",", "-e", SYSTEM_CALLS, "-p", &program.pid().to_string(), "-o"])
            .arg(&table)
            .args(["--", "sleep", &seconds.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("--count needs the command perf")?;
        let inputs = program.metric(INPUTS)?;
        Ok(Self { perf, table, inputs })
    }

    /// Ends the count. There were so many calls, for so many seconds.
    ///
    /// # Errors
    /// Returns an error if perf has not counted, or if the program does not give its metrics.
    pub(super) fn end(mut self, program: &Program, calls: usize, seconds: u64) -> anyhow::Result<Counts> {
        let inputs = program.metric(INPUTS)? - self.inputs;
        self.perf.wait()?;
        let table = fs::read_to_string(&self.table)?;
        let system_calls = total(&table).context("perf has counted nothing: may this user count?")?;
        let per = |count: f64| count / (calls.max(1) as u64 * seconds.max(1)) as f64;
        Ok(Counts { inputs: per(inputs), system_calls: per(system_calls) })
    }
}

/// The number of system calls in what perf has written: the first field of the line of the event.
fn total(table: &str) -> Option<f64> {
    table.lines().find(|line| line.contains(SYSTEM_CALLS))?.split(',').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_system_calls_is_read_if_there_is_one() {
        let of =
            |count: &str| format!("# started on Sat\n\n{count},,raw_syscalls:sys_enter,8000000,100.00,,\n");
        assert_eq!(total(&of("31888")), Some(31_888.0));
        assert_eq!(total(&of("<not counted>")), None);
        assert_eq!(total(""), None);
    }
}

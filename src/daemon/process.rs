//! What a process takes of the machine, as Linux tells it in `/proc` (proc(5)). What cannot be read is not told.

use std::fs;

use rustix::param::clock_ticks_per_second;
use rustix::process::{Resource, getrlimit};

/// What it takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Process {
    /// Processor time, of all its threads, since the start.
    pub cpu_seconds: Option<f64>,
    /// Memory that is its own at the moment.
    pub resident_bytes: Option<u64>,
    /// File descriptors that are open.
    pub open_fds: Option<u64>,
    /// How many may be; none: as many as it likes.
    pub max_fds: Option<u64>,
}

impl Process {
    /// This process. Blocks for as long as the kernel takes to tell.
    pub fn now() -> Self {
        Self { max_fds: getrlimit(Resource::Nofile).current, ..Self::of("self") }
    }

    /// The process of this number. Its limit is not told.
    pub fn of(pid: &str) -> Self {
        let told = |file| fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
        Self {
            cpu_seconds: told("stat")
                .and_then(|stat| cpu_ticks(&stat))
                .map(|ticks| ticks as f64 / clock_ticks_per_second() as f64),
            resident_bytes: told("status").and_then(|status| resident_kib(&status)).map(|kib| kib * 1_024),
            // Of our own, one is the folder that is being read.
            open_fds: fs::read_dir(format!("/proc/{pid}/fd"))
                .ok()
                .map(|fds| fds.count().saturating_sub(usize::from(pid == "self")) as u64),
            max_fds: None,
        }
    }
}

/// `utime` and `stime` of `stat`, the 14th and 15th field. The name, in brackets, may hold anything, brackets too.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, from_the_third) = stat.rsplit_once(") ")?;
    let mut fields = from_the_third.split(' ').skip(11).map(|field| field.parse::<u64>().ok());
    Some(fields.next()?? + fields.next()??)
}

/// `VmRSS` of `status`.
fn resident_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_understood() {
        let stat = "17 (a) b) (c) S 1 17 17 0 -1 4194560 9 0 0 0 250 50 3 4 20 0 5 0 99 1 2";
        assert_eq!((cpu_ticks(stat), cpu_ticks("17 (a)")), (Some(300), None));
        let status = "VmHWM:\t    900 kB\nVmRSS:\t    812 kB\n";
        assert_eq!((resident_kib(status), resident_kib("VmHWM:\t 9 kB")), (Some(812), None));
    }

    #[test]
    fn this_process_is_told_of() {
        let file = fs::File::open("/proc/self/stat").expect("a file");
        let now = Process::now();
        drop(file);
        assert!(now.cpu_seconds.is_some() && now.resident_bytes > Some(1 << 20), "{now:?}");
        assert!(
            now.open_fds > Some(3) && now.max_fds.is_none_or(|most| Some(most) > now.open_fds),
            "{now:?}"
        );
    }
}

//! What a process takes of the machine, as Linux tells it in `/proc` (proc(5)). What cannot be read is not told.

use std::fs;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use rustix::process::{Resource, getrlimit};

use crate::exchange::counters::{ThreadTime, ThreadTimes};
use crate::units::ByteCount;

/// What it takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Process {
    /// Processor time, of all its threads, since the start.
    pub cpu_seconds: Option<f64>,
    /// Memory that is its own at the moment.
    pub resident: Option<ByteCount>,
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
            resident: told("status")
                .and_then(|status| resident_kib(&status))
                .map(|kib| ByteCount::new(kib * 1_024)),
            // Of our own, one is the folder that is being read.
            open_fds: fs::read_dir(format!("/proc/{pid}/fd"))
                .ok()
                .map(|fds| fds.count().saturating_sub(usize::from(pid == "self")) as u64),
            max_fds: None,
        }
    }
}

/// What the threads that carry calls are called: those of the runtime, its pool of blocking ones included. Linux keeps 15
/// characters.
pub const CALL_THREADS: &str = "calls";

/// What each of the threads that carry calls has had since it began. None: the kernel does not count (it lacks
/// `CONFIG_SCHED_INFO`), or the runtime is not the program's own.
pub fn thread_times() -> Option<ThreadTimes> {
    let mut times = Vec::new();
    for thread in fs::read_dir("/proc/self/task").ok()?.flatten() {
        let told = |file| fs::read_to_string(thread.path().join(file));
        // One that has ended since the folder was listed tells nothing.
        let Ok(name) = told("comm") else { continue };
        if name.trim_end() == CALL_THREADS {
            let number = thread.file_name().to_str()?.parse().ok()?;
            let Ok(schedstat) = told("schedstat") else { continue };
            times.push((number, thread_time(&schedstat)?));
        }
    }
    (!times.is_empty()).then(|| ThreadTimes::of(times))
}

/// Processor time of all threads of this process since its start, as a share for each processor that it may use. Nothing where
/// the kernel does not tell.
pub fn ran_on_each() -> Duration {
    let ticks =
        fs::read_to_string("/proc/self/stat").ok().and_then(|stat| cpu_ticks(&stat)).unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    Duration::from_secs_f64(ticks as f64 / clock_ticks_per_second() as f64 / processors as f64)
}

/// What the hypervisor has taken of each of the machine's processors since it was started, in the mean. Nothing where the
/// kernel does not tell.
pub fn stolen() -> Duration {
    fs::read_to_string("/proc/stat")
        .ok()
        .and_then(|stat| stolen_ticks(&stat))
        .map_or(Duration::ZERO, |ticks| Duration::from_secs_f64(ticks / clock_ticks_per_second() as f64))
}

/// `schedstat`: nanoseconds on a processor, nanoseconds waiting for one, and how often
/// (Documentation/scheduler/sched-stats.rst).
fn thread_time(schedstat: &str) -> Option<ThreadTime> {
    let mut times =
        schedstat.split_ascii_whitespace().map(|number| number.parse().ok().map(Duration::from_nanos));
    Some(ThreadTime { ran: times.next()??, waited: times.next()?? })
}

/// `steal`, the eighth number of the first line of `/proc/stat`, which is the sum of the lines that follow: one for each
/// processor.
fn stolen_ticks(stat: &str) -> Option<f64> {
    let of_all = stat.lines().next()?.strip_prefix("cpu ")?;
    let steal: u64 = of_all.split_ascii_whitespace().nth(7)?.parse().ok()?;
    let processors = stat.lines().skip(1).take_while(|line| line.starts_with("cpu")).count();
    Some(steal as f64 / processors.max(1) as f64)
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
    fn the_times_of_a_thread_are_understood() {
        let time = |ran, waited| ThreadTime {
            ran: Duration::from_millis(ran),
            waited: Duration::from_millis(waited),
        };
        assert_eq!(thread_time("250000000 50000000 7\n"), Some(time(250, 50)));
        assert_eq!(
            (thread_time("0 0 0"), thread_time("x 1 1"), thread_time("")),
            (Some(ThreadTime::default()), None, None)
        );
    }

    #[test]
    fn stolen_time_is_the_mean_of_the_processors() {
        let stat =
            "cpu  1 2 3 4 5 6 7 80 0 0\ncpu0 1 1 1 1 1 1 1 50 0 0\ncpu1 0 1 1 1 1 1 1 30 0 0\nintr 9\n";
        assert_eq!(stolen_ticks(stat), Some(40.0));
        assert_eq!((stolen_ticks("cpu  1 2 3"), stolen_ticks("")), (None, None));
    }

    #[test]
    fn a_thread_that_works_is_seen_to_work() {
        let seen = std::thread::Builder::new().name(CALL_THREADS.into()).spawn(|| {
            let until = crate::clock::now() + Duration::from_millis(20);
            while crate::clock::now() < until {
                std::hint::spin_loop();
            }
            thread_times().map(|now| now.busiest_since(&ThreadTimes::default()))
        });
        let busy = seen.expect("a thread").join().expect("no panic").expect("Linux counts");
        assert!(busy.busy() >= Duration::from_millis(10), "{busy:?} of 20 ms");
    }

    #[test]
    fn this_process_is_told_of() {
        let file = fs::File::open("/proc/self/stat").expect("a file");
        let now = Process::now();
        drop(file);
        assert!(now.cpu_seconds.is_some() && now.resident > Some(ByteCount::new(1 << 20)), "{now:?}");
        assert!(
            now.open_fds > Some(3) && now.max_fds.is_none_or(|most| Some(most) > now.open_fds),
            "{now:?}"
        );
    }
}

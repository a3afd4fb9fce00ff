//! How many calls this machine can carry at once, where the operator has not said (`MAX_CALLS`).
//!
//! Cautious figures: one call too few goes on in the dialplan and is answered by a person; one too many makes every
//! call stutter. Asterisk itself can crash when its ports run out while a media channel is made.

use std::ops::RangeInclusive;

/// Ports of the range that one call takes, if Asterisk draws from the same: one of ours and two of Asterisk's, each with
/// its RTCP neighbour.
const PORTS_PER_CALL: usize = 6;
/// Calls for each core. A call costs us 0.2 % of a core, and Asterisk beside us 0.45 %.
const CALLS_PER_CORE: usize = 120;
/// What a call may take, with its share of Asterisk's.
const KIB_PER_CALL: usize = 512;

/// As many calls as the ports of the range, the memory that is available and the cores allow; one at least.
pub(super) fn derived(ports: &RangeInclusive<u16>) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| available_kib(&text));
    least(ports, cores, memory)
}

fn least(ports: &RangeInclusive<u16>, cores: usize, memory_kib: Option<usize>) -> usize {
    let by_ports = ports.len() / PORTS_PER_CALL;
    let by_memory = memory_kib.map_or(usize::MAX, |kib| kib / KIB_PER_CALL);
    by_ports.min(cores * CALLS_PER_CORE).min(by_memory).max(1)
}

/// `MemAvailable` of `/proc/meminfo` (proc(5)), KiB.
fn available_kib(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scarcest_thing_decides() {
        assert_eq!(least(&(10_000..=20_000), 64, None), 1_666, "the ports");
        assert_eq!(least(&(10_000..=20_000), 2, None), 240, "the cores");
        assert_eq!(least(&(10_000..=20_000), 2, Some(51_200)), 100, "the memory");
        assert_eq!(least(&(10_000..=10_001), 2, Some(0)), 1);
        let text = "MemTotal:  1 kB\nMemAvailable:    2048 kB\nBuffers: 3 kB\n";
        assert_eq!((available_kib(text), available_kib("MemTotal: 1 kB")), (Some(2_048), None));
    }
}

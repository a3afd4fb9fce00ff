//! How many calls this machine can carry at once, where the operator has not said (`MAX_CALLS`).
//!
//! Cautious figures: one call too few goes on in the dialplan and is answered by a person; one too many makes every
//! call stutter. Asterisk itself can crash when its ports run out while a media channel is made.

/// Ports of the range that one call takes, if Asterisk draws from the same: one of ours and two of Asterisk's, each with
/// its RTCP neighbour.
const PORTS_PER_CALL: usize = 6;
/// As many calls are derived from the even ports alone. Asterisk's own range is wide (10,000 ports in the sample
/// `rtp.conf`), so that a small one has been set aside for this program. A larger value trusts wider ranges, of which
/// Asterisk may draw; a smaller one takes fewer calls than a small range carries.
const OF_OWN_PORTS: usize = 100;
/// Calls for each core. A call costs us 0.2 % of a core, and Asterisk beside us 0.45 %.
const CALLS_PER_CORE: usize = 120;
/// What a call may take, with its share of Asterisk's.
const KIB_PER_CALL: usize = 512;

/// As many calls as the ports of the range, the memory that is available and the cores allow; one at least.
///
/// `ports` is the length of the range, `carried` the number of calls that its even ports can carry.
pub fn derived(ports: usize, carried: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| available_kib(&text));
    least(ports, carried, cores, memory)
}

fn least(ports: usize, carried: usize, cores: usize, memory_kib: Option<usize>) -> usize {
    let by_ports = carried.min(OF_OWN_PORTS).max(ports / PORTS_PER_CALL);
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
    fn every_even_port_of_a_small_range_carries_a_call() {
        let calls = |ports: usize| least(ports, ports / 2, 64, None);
        assert_eq!([6, 20, 200].map(calls), [3, 10, 100], "a range of our own");
        assert_eq!([600, 1_200].map(calls), [100, 200], "of a wide one Asterisk may draw");
        assert!((2..3_000).all(|ports| calls(ports) <= calls(ports + 1)), "more ports are never fewer calls");
    }

    #[test]
    fn the_scarcest_thing_decides() {
        assert_eq!(least(10_001, 5_001, 64, None), 1_666, "the ports");
        assert_eq!(least(10_001, 5_001, 2, None), 240, "the cores");
        assert_eq!(least(10_001, 5_001, 2, Some(51_200)), 100, "the memory");
        assert_eq!(least(2, 1, 2, Some(0)), 1);
        let text = "MemTotal:  1 kB\nMemAvailable:    2048 kB\nBuffers: 3 kB\n";
        assert_eq!((available_kib(text), available_kib("MemTotal: 1 kB")), (Some(2_048), None));
    }
}

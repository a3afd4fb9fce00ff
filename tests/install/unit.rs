//! What the service may write to and use, and which service file is there.

use std::fs;

use crate::machine::Machine;
use crate::{ENV, FILLED_IN, PROGRAM, UNIT};

#[test]
fn folders_the_operator_has_chosen_may_be_written_to() {
    let machine = Machine::new();
    let more =
        "RECORDINGS_DIR='/srv/my-calls/'\r\nDATABASE_URL=sqlite:///var/lib/phone/calls.db\nLOG_LANGUAGE=en\n";
    machine.write(ENV, &format!("{FILLED_IN}{more}"));
    let said = machine.install(&[]);
    let line = "\nReadWritePaths=\"/srv/log\" \"/srv/my-calls\" \"/var/lib/phone\"\n";
    assert!(machine.read(UNIT).contains(line), "{}", machine.read(UNIT));
    assert_eq!(machine.mode("/srv/my-calls"), 0o750);
    assert!(said.contains("Folder created: /var/lib/phone"), "the language of .env: {said}");

    let more = "DATABASE_URL=mysql://calls:secret@db/calls\n";
    machine.write(ENV, &format!("{FILLED_IN}{more}"));
    let said = machine.install(&[]);
    let writable =
        machine.read(UNIT).lines().filter(|line| line.starts_with("ReadWritePaths=")).collect::<String>();
    assert!(
        !writable.contains("mysql") && !said.contains("secret"),
        "a server is no folder: {writable} {said}"
    );
}

#[test]
fn memory_and_threads_are_limited_by_the_calls_there_may_be() {
    let machine = Machine::new();
    let limits = |settings: &str| {
        machine.write(ENV, &format!("{FILLED_IN}{settings}"));
        machine.install(&[]);
        let unit = machine.read(UNIT);
        let limit = |name: &str| unit.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        (limit("MemoryMax=").expect("a limit"), limit("TasksMax=").expect("a limit"))
    };
    let half = {
        let text = fs::read_to_string("/proc/meminfo").expect("the memory");
        let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")).expect("the total");
        total.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 2048
    };
    let memory = |mib: u64| format!("{}M", mib.min(half));
    assert_eq!(limits("MAX_CALLS=50\n"), (memory(356), "178".into()));
    assert_eq!(limits("MAX_CALLS=20000\n"), (memory(40_256), "640".into()), "half the machine at most");
    for unset in ["", "MAX_CALLS=0\n", "MAX_CALLS=many\n", "MAX_CALLS='9\nUser=root'\n"] {
        assert_eq!(limits(unset), ("50%".into(), "640".into()), "{unset}");
    }
    assert!(machine.read(UNIT).lines().any(|line| line == "MemorySwapMax=0"), "nor may it fill the swap");
}

#[test]
fn a_service_file_of_another_kind_is_set_aside() {
    let machine = Machine::new();
    machine.write(UNIT, "[Service]\nExecStart=/usr/bin/python3 calls.py\n");
    machine.install(&[]);
    assert!(machine.read(&format!("{UNIT}.before")).contains("python3"));
    assert!(machine.read(UNIT).contains(PROGRAM));
}

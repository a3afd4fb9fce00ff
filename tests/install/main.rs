//! Tests of `install_service.sh` with a folder that takes the place of `/`: what the script installs, and
//! what it leaves alone. Tests that need a running systemd are not here; `tests/run unit` has systemd verify
//! the unit.

mod log;
mod machine;
mod named;
mod refusals;
mod unit;

use std::fs;

use machine::Machine;

const PROGRAM: &str = "/usr/local/asterisk/openai-inbound-calls";
const ENV: &str = "/usr/local/asterisk/.env";
const UNIT: &str = "/etc/systemd/system/openai-inbound-calls.service";
const LOGROTATE: &str = "/etc/logrotate.d/openai-inbound-calls";

/// The settings of an operator who has set everything.
const FILLED_IN: &str = "ASTERISK_USERNAME=Asterisk\nASTERISK_PASSWORD='pa ss'\nASTERISK_HOST=localhost\n\
    ASTERISK_PORT=8088\nOPENAI_API_KEY=\"sk-test\"\nLOCAL_IP_ADDRESS=192.168.1.100\nexport LOG_FILE_PATH=/srv/log/calls.log # here\n";

#[test]
fn everything_is_installed_and_a_second_run_changes_nothing() {
    let machine = Machine::new();
    let said = machine.install(&[]);
    assert_eq!((machine.read(PROGRAM).as_str(), machine.mode(PROGRAM)), ("one", 0o755));
    assert_eq!(machine.mode(ENV), 0o640);
    assert_eq!(machine.mode("/usr/local/asterisk/recordings"), 0o750);
    assert_eq!(machine.mode("/var/log/openai-inbound-calls"), 0o750);
    let unit = machine.read(UNIT);
    for line in [
        "Description=OpenAI Realtime API - Inbound Calls Handler",
        "Type=notify",
        "User=openai-inbound-calls",
        "WorkingDirectory=/usr/local/asterisk",
        "ExecStart=/usr/local/asterisk/openai-inbound-calls",
        "ReadWritePaths=\"/usr/local/asterisk/recordings\" \"/var/log/openai-inbound-calls\"",
    ] {
        assert_eq!(unit.lines().filter(|found| *found == line).count(), 1, "{line} in {unit}");
    }
    let hides_meminfo = unit.lines().any(|line| line.starts_with("ProcSubset="));
    assert!(!hides_meminfo, "the daemon derives MAX_CALLS from /proc/meminfo");
    let logrotate = machine.read(LOGROTATE);
    assert!(logrotate.contains("\n\"/var/log/openai-inbound-calls/inbound_openai.log\" {\n"), "{logrotate}");
    assert!(logrotate.contains("systemctl reload openai-inbound-calls.service"), "{logrotate}");
    assert!(said.contains("no se crea el usuario openai-inbound-calls"), "{said}");
    let next = format!("Siguiente paso: complete en {ENV}: ASTERISK_PASSWORD OPENAI_API_KEY");
    assert!(said.contains(&next), "{said}");

    let before = machine.everything();
    let said = machine.install(&[]);
    assert!(machine.everything() == before, "{said}");
    assert!(!said.contains("Instalado"), "{said}");
}

#[test]
fn an_upgrade_replaces_the_program_and_touches_neither_settings_nor_recordings() {
    let machine = Machine::new();
    machine.install(&[]);
    machine.write(ENV, FILLED_IN);
    machine.write("/usr/local/asterisk/recordings/call.txt", "words");
    let before = machine.everything();
    machine.program("two");
    // A running program keeps its file, which then has no name.
    let running = fs::File::open(machine.path(PROGRAM)).expect("the program");
    let said = machine.install(&[]);
    assert_eq!(machine.read(PROGRAM), "two");
    assert_eq!(std::io::read_to_string(running).expect("the old one"), "one");
    assert_eq!(machine.read(ENV), FILLED_IN);
    assert!(!said.contains("Siguiente paso"), "{said}");
    // The operator has moved the log: its folder exists and is writable.
    assert_eq!(machine.mode("/srv/log"), 0o750);
    assert!(
        machine.read(UNIT).contains("\nReadWritePaths=\"/srv/log\" \"/usr/local/asterisk/recordings\"\n")
    );
    assert!(machine.read(LOGROTATE).contains("\n\"/srv/log/calls.log\" {\n"));
    let after = machine.everything();
    for path in [ENV, "/usr/local/asterisk/recordings/call.txt"] {
        assert_eq!(after[&machine.path(path)], before[&machine.path(path)], "{path}");
    }
    assert!(
        after.keys().all(|path| path.extension().is_none_or(|extension| extension != "new")),
        "leftovers"
    );
}

#[test]
fn a_dry_run_says_what_it_would_do_and_writes_nothing() {
    let machine = Machine::new();
    let said = machine.install(&["--dry-run"]);
    assert!(said.contains(PROGRAM) && said.contains(UNIT) && said.contains("Simulación"), "{said}");
    assert_eq!(machine.everything().len(), 0, "{said}");
    machine.install(&[]);
    let before = machine.everything();
    let said = machine.install(&["--dry-run", "--uninstall"]);
    assert!(said.contains(UNIT), "{said}");
    assert!(machine.everything() == before, "{said}");
}

#[test]
fn a_dry_run_for_a_folder_that_is_not_there_yet_ends() {
    let machine = Machine::new();
    fs::remove_dir(machine.path("/")).expect("it is empty");
    let said = machine.install(&["--dry-run"]);
    assert!(said.contains(PROGRAM) && !machine.path("/").exists(), "{said}");
}

#[test]
fn uninstalling_keeps_settings_recordings_and_log_and_says_so() {
    let machine = Machine::new();
    machine.install(&[]);
    let kept =
        [ENV, "/usr/local/asterisk/recordings/call.txt", "/var/log/openai-inbound-calls/inbound_openai.log"];
    for path in kept {
        machine.write(path, FILLED_IN);
    }
    let said = machine.install(&["--uninstall"]);
    let files: Vec<_> = machine.everything().into_keys().filter(|path| path.is_file()).collect();
    let mut wanted = kept.map(|path| machine.path(path)).to_vec();
    wanted.sort();
    assert_eq!(files, wanted, "{said}");
    assert!(said.contains("Se conservan /usr/local/asterisk/.env, las grabaciones, los logs"), "{said}");
    // A second run finds nothing to do.
    machine.install(&["--uninstall"]);
}

#[test]
fn another_folder_is_remembered() {
    let machine = Machine::new();
    machine.install(&["--prefix", "/opt/phone/"]);
    let unit = machine.read(UNIT);
    assert!(unit.contains("\nExecStart=/opt/phone/openai-inbound-calls\n"), "{unit}");
    assert!(!unit.contains("/usr/local/asterisk"), "{unit}");
    machine.program("two");
    machine.install(&[]);
    assert_eq!(machine.read("/opt/phone/openai-inbound-calls"), "two");
    machine.install(&["--uninstall"]);
    assert!(!machine.path("/opt/phone/openai-inbound-calls").exists());
    assert!(machine.path("/opt/phone/.env").exists());
    assert!(!machine.path("/usr/local").exists());
}

#[test]
fn settings_filled_in_beside_the_script_are_installed_once() {
    let machine = Machine::new();
    let settings = FILLED_IN.replace("192.168.1.100", "");
    fs::write(machine.checkout(".env"), FILLED_IN).expect("a file");
    let said = machine.install(&[]);
    assert_eq!((machine.read(ENV).as_str(), machine.mode(ENV)), (FILLED_IN, 0o640));
    assert!(!said.contains("Siguiente paso"), "{said}");
    fs::write(machine.checkout(".env"), settings).expect("a file");
    machine.install(&[]);
    assert_eq!(machine.read(ENV), FILLED_IN);
}

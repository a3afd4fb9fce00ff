//! Where the log is, and who rotates it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::machine::Machine;
use crate::{ENV, FILLED_IN, LOGROTATE, UNIT};

const PROMISED_LOG: &str = "/var/log/asterisk/inbound_openai.log";

#[test]
fn the_log_is_found_where_the_original_system_had_it() {
    let link = |machine: &Machine| fs::read_link(machine.path(PROMISED_LOG)).expect("a link");
    let real = "/var/log/openai-inbound-calls/inbound_openai.log";
    // The first installation.
    let machine = Machine::new();
    let said = machine.install(&[]);
    assert_eq!(link(&machine), Path::new(real));
    assert!(said.contains(&format!("{PROMISED_LOG} es un enlace")), "{said}");
    assert!(machine.read(ENV).contains(&format!("\nLOG_FILE_PATH={real}\n")));
    machine.install(&["--uninstall"]);
    assert!(fs::symlink_metadata(machine.path(PROMISED_LOG)).is_err(), "a link to nothing is left");
    // The settings and the log of the original system.
    let machine = Machine::new();
    machine.write(ENV, &FILLED_IN.replace("/srv/log/calls.log", PROMISED_LOG));
    machine.write(PROMISED_LOG, "older lines\n");
    let said = machine.install(&["--dry-run"]);
    assert_eq!(said.matches(&format!("queda en {PROMISED_LOG}.before\n")).count(), 1, "said once: {said}");
    machine.install(&[]);
    assert_eq!(link(&machine), Path::new(real));
    assert_eq!(machine.read(&format!("{PROMISED_LOG}.before")), "older lines\n");
    let unit = machine.read(UNIT);
    for line in [
        format!("Environment=\"LOG_FILE_PATH={real}\""),
        "ReadWritePaths=\"/usr/local/asterisk/recordings\" \"/var/log/openai-inbound-calls\"".to_owned(),
    ] {
        assert!(unit.lines().any(|found| found == line), "{line} in {unit}");
    }
    assert!(machine.read(LOGROTATE).contains(&format!("\n\"{real}\" {{\n")));
    let before = machine.everything();
    machine.install(&[]);
    assert!(machine.everything() == before);
    // The operator has chosen another place.
    let machine = Machine::new();
    machine.write(ENV, FILLED_IN);
    machine.install(&[]);
    assert_eq!(link(&machine), Path::new("/srv/log/calls.log"));
    assert!(!machine.read(UNIT).contains("Environment="));
    // A folder of another program is left alone.
    let machine = Machine::new();
    fs::create_dir_all(machine.path(PROMISED_LOG)).expect("a folder");
    let said = machine.install(&[]);
    assert!(said.contains("ATENCIÓN") && machine.path(PROMISED_LOG).is_dir(), "{said}");
}

/// The files that Asterisk's own entry rotates, in the form of Debian's packages and of many guides.
const ASTERISKS_FILES: [&str; 2] =
    ["/var/log/asterisk/*.log /var/log/asterisk/*_log", "/var/log/asterisk/messages /var/log/asterisk/*log"];

/// Asterisk's folder is that of the PBX's user, who can put links to other folders into it.
#[test]
fn a_folder_below_asterisks_that_leads_elsewhere_is_not_entered() {
    let machine = Machine::new();
    machine.write("/etc/shadow", "root:*:1:::::");
    machine.write("/var/log/asterisk/messages.log", "");
    std::os::unix::fs::symlink(machine.path("/etc"), machine.path("/var/log/asterisk/calls"))
        .expect("a link");
    let in_link = "/var/log/asterisk/calls/shadow";
    machine.write(ENV, &FILLED_IN.replace("/srv/log/calls.log", in_link));
    let said = machine.install(&[]);
    assert_eq!(machine.read("/etc/shadow"), "root:*:1:::::");
    assert!(fs::symlink_metadata(machine.path("/etc/shadow")).expect("it is there").is_file());
    assert!(!machine.path("/etc/shadow.before").exists());
    assert!(said.contains("/var/log/openai-inbound-calls/shadow"), "the log is where it can be: {said}");
}

#[test]
fn logrotate_rotates_the_log_once_whether_asterisk_has_an_entry_or_not() {
    let is_there = Command::new("logrotate").arg("--version").output().is_ok();
    if !is_there {
        assert!(std::env::var_os("LOGROTATE_TESTS").is_none(), "logrotate is missing");
        eprintln!("logrotate is missing: not tried");
        return;
    }
    let real = "/var/log/openai-inbound-calls/inbound_openai.log";
    for others in [None, Some(ASTERISKS_FILES[0]), Some(ASTERISKS_FILES[1])] {
        let machine = Machine::new();
        machine.install(&[]);
        machine.write(real, "old\n");
        let requests =
            ["access.log", "refused.log"].map(|name| format!("/usr/local/asterisk/recordings/{name}"));
        for path in &requests {
            machine.write(path, "old\n");
        }
        // The link has the target that it would have on that machine.
        fs::remove_file(machine.path(PROMISED_LOG)).expect("the link");
        std::os::unix::fs::symlink(machine.path(real), machine.path(PROMISED_LOG)).expect("a link");
        let asterisks = others.map_or_else(String::new, |files| {
            format!(
                "{files} {{\nweekly\nmissingok\nrotate 4\nsharedscripts\npostrotate\ntrue\nendscript\n}}\n"
            )
        });
        let on_that_machine = |entry: &str| {
            let entry = ["/var/log", "/usr/local"].into_iter().fold(entry.to_owned(), |entry, folder| {
                entry.replace(folder, machine.path(folder).to_str().expect("text"))
            });
            let is_owners = |line: &&str| !line.trim_start().starts_with("su ");
            let lines: Vec<_> = entry.lines().filter(is_owners).collect();
            lines.join("\n").replace("create 0640 openai-inbound-calls openai-inbound-calls", "create 0640")
        };
        let ours = on_that_machine(&machine.read(LOGROTATE)).replace("systemctl reload", "false");
        let configuration = format!("{}\n{ours}\n", on_that_machine(&asterisks));
        let file = machine.folder.path().join("logrotate.conf");
        fs::write(&file, configuration).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("a mode");
        let ran = Command::new("logrotate")
            .args(["--force", "--state"])
            .arg(machine.folder.path().join("state"))
            .arg(&file)
            .output()
            .expect("logrotate runs");
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success() && said.is_empty(), "{said}");
        assert_eq!(machine.read(&format!("{real}.1")), "old\n");
        assert_eq!(machine.read(real), "");
        for path in &requests {
            assert_eq!(machine.read(&format!("{path}.1")), "old\n");
            assert!(!machine.path(path).exists(), "the daemon creates {path}");
        }
        machine.write(real, "new\n");
        assert_eq!(machine.read(PROMISED_LOG), "new\n");
        let beside = fs::read_dir(machine.path("/var/log/asterisk")).expect("a folder").count();
        assert_eq!(beside, 1, "nothing of the link is rotated");
    }
}

//! What the script refuses before anything is done: settings of somebody who wants root to write elsewhere, and options that are wrong.

use std::fs;
use std::process::Command;

use crate::machine::Machine;
use crate::{ENV, FILLED_IN};

/// Paths that the PBX's user may have written into an `.env` of their own, to make root write elsewhere.
#[test]
fn a_folder_that_is_none_is_refused_before_anything_is_done() {
    let unit = "x\"\\nUser=root\\nExecStartPre=/tmp/evil\\n#";
    let folders = [
        format!("/srv/{unit}"),
        format!("'/srv/{unit}'"),
        "/srv/a|e touch /tmp/evil #".into(),
        "/srv/&".into(),
        "\"/srv/two words\"".into(),
        "/srv/$HOME".into(),
        "/srv/%h".into(),
        "/srv/../etc".into(),
        "/srv/./x".into(),
        "../../../etc".into(),
        "/srv//x".into(),
        "/srv/ñ".into(),
        "~/x".into(),
        "/".into(),
        // In these folders of the system the service's user must not get a folder.
        "/etc/systemd/system/ssh.service.d".into(),
        "/usr/lib/x".into(),
        "/lib64/x".into(),
        "/run/systemd/system/ssh.service.d".into(),
        "/root/.ssh".into(),
        // These folders are hidden from the service.
        "/home/me/calls".into(),
        "/tmp/calls".into(),
    ];
    for folder in folders {
        for (name, value) in [
            ("RECORDINGS_DIR", folder.clone()),
            ("LOG_FILE_PATH", format!("{folder}/calls.log")),
            ("DATABASE_URL", format!("sqlite://{folder}/calls.db")),
        ] {
            let machine = Machine::new();
            machine.write(ENV, &format!("{FILLED_IN}{name}={value}\n"));
            let before = machine.everything();
            let (said, success) = machine.try_install(&[]);
            assert!(!success, "{name}={value}: {said}");
            assert!(said.contains(name), "{name}={value}: {said}");
            assert!(machine.everything() == before, "{name}={value}: {said}");
        }
    }
}

#[test]
fn what_may_be_a_password_in_the_wrong_variable_is_not_shown() {
    let machine = Machine::new();
    machine.write(ENV, &format!("{FILLED_IN}RECORDINGS_DIR=sk-hunter2 hunter2\n"));
    let (said, success) = machine.try_install(&[]);
    assert!(!success && !said.contains("hunter2"), "{said}");
}

#[test]
fn an_env_that_is_a_link_is_refused() {
    let machine = Machine::new();
    machine.write("/etc/shadow", FILLED_IN);
    fs::create_dir_all(machine.path("/usr/local/asterisk")).expect("a folder");
    let refused = || {
        let before = machine.everything();
        let (said, success) = machine.try_install(&[]);
        assert!(!success && said.contains(".env es un enlace"), "{said}");
        assert!(machine.everything() == before, "{said}");
    };
    std::os::unix::fs::symlink(machine.path("/etc/shadow"), machine.path(ENV)).expect("a link");
    refused();
    fs::remove_file(machine.path(ENV)).expect("the link");
    fs::hard_link(machine.path("/etc/shadow"), machine.path(ENV)).expect("a second name");
    refused();
    fs::remove_file(machine.path(ENV)).expect("the second name");
    std::os::unix::fs::symlink("/dev/zero", machine.path(ENV)).expect("a link");
    refused();
    fs::remove_file(machine.path(ENV)).expect("the link");
    std::os::unix::fs::symlink(machine.path("/etc/shadow"), machine.checkout(".env")).expect("a link");
    refused();
}

/// Whoever may write to the folder of the program can leave anything there before it is root's.
#[test]
fn an_env_without_end_is_not_waited_for() {
    let machine = Machine::new();
    fs::create_dir_all(machine.path("/usr/local/asterisk")).expect("a folder");
    let made = Command::new("mkfifo").arg(machine.path(ENV)).status().expect("mkfifo runs");
    assert!(made.success());
    let (said, success) = machine.try_install(&[]);
    assert!(!success && said.contains(".env es un enlace o no es un archivo"), "{said}");
    fs::remove_file(machine.path(ENV)).expect("the pipe");
    fs::File::create(machine.path(ENV)).and_then(|file| file.set_len(1 << 40)).expect("a file of holes");
    let (said, success) = machine.try_install(&[]);
    assert!(!success && said.contains("demasiado grande"), "{said}");
}

#[test]
fn a_wrong_option_is_refused_before_anything_is_done() {
    let machine = Machine::new();
    for options in [&["--prefx", "/opt"][..], &["--prefix"], &["--prefix", "opt"], &["--program", "nowhere"]]
    {
        let (said, success) = machine.try_install(options);
        assert!(!success, "{options:?}: {said}");
        assert_eq!(machine.everything().len(), 0, "{options:?}: {said}");
    }
    assert!(machine.install(&["--help"]).contains("--uninstall"));
}

//! Tests of `install_service.sh` with a folder that takes the place of `/`: what the script installs, and
//! what it leaves alone. Tests that need a running systemd are not here; `tests/run unit` has systemd verify
//! the unit.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const PROGRAM: &str = "/usr/local/asterisk/openai-inbound-calls";
const ENV: &str = "/usr/local/asterisk/.env";
const UNIT: &str = "/etc/systemd/system/openai-inbound-calls.service";
const LOGROTATE: &str = "/etc/logrotate.d/openai-inbound-calls";

/// The settings of an operator who has set everything.
const FILLED_IN: &str = "ASTERISK_USERNAME=Asterisk\nASTERISK_PASSWORD='pa ss'\nASTERISK_HOST=localhost\n\
    ASTERISK_PORT=8088\nOPENAI_API_KEY=\"sk-test\"\nLOCAL_IP_ADDRESS=192.168.1.100\nexport LOG_FILE_PATH=/srv/log/calls.log # here\n";

/// A machine for the installation, of which only the files exist.
struct Machine {
    folder: TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { folder: tempfile::tempdir().expect("a folder") };
        machine.program("one");
        for folder in ["root", "checkout"] {
            fs::create_dir(machine.folder.path().join(folder)).expect("a folder");
        }
        // The folder is separate, because that of a developer may contain an `.env`.
        for file in ["install_service.sh", ".env.example", "openai-inbound-calls.service"] {
            let original = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            fs::copy(original, machine.checkout(file)).expect("it is in the checkout");
        }
        machine
    }

    /// A file beside the script.
    fn checkout(&self, file: &str) -> PathBuf {
        self.folder.path().join("checkout").join(file)
    }

    /// The file with this path on the machine.
    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("root").join(path.trim_start_matches('/'))
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.path(path).parent().expect("a folder")).expect("a folder");
        fs::write(self.path(path), text).expect("a file");
    }

    fn mode(&self, path: &str) -> u32 {
        fs::metadata(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}")).mode() & 0o7777
    }

    /// Writes the built program, which prints this text.
    fn program(&self, text: &str) {
        let path = self.folder.path().join("built");
        fs::write(&path, text).expect("a file");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
    }

    /// Runs the script from a folder that is not its own. Returns its output.
    fn install(&self, options: &[&str]) -> String {
        let (said, success) = self.try_install(options);
        assert!(success, "{options:?}: {said}");
        said
    }

    fn try_install(&self, options: &[&str]) -> (String, bool) {
        let ran = Command::new(self.checkout("install_service.sh"))
            .args(["--root", "root", "--program", "built"])
            .args(options)
            .current_dir(self.folder.path())
            .env_remove("LOG_LANGUAGE")
            .output()
            .expect("the script runs");
        let said = [ran.stdout, ran.stderr].concat();
        (String::from_utf8(said).expect("text"), ran.status.success())
    }

    /// All files: mode, inode and content.
    fn everything(&self) -> BTreeMap<PathBuf, (u32, u64, Vec<u8>)> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.path("/")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let metadata = fs::symlink_metadata(&path).expect("metadata");
                let content = if metadata.is_dir() {
                    folders.push(path.clone());
                    Vec::new()
                } else if metadata.is_symlink() {
                    fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes()
                } else {
                    fs::read(&path).expect("a file")
                };
                found.insert(path, (metadata.mode(), metadata.ino(), content));
            }
        }
        found
    }
}

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

#[test]
fn a_service_file_of_another_kind_is_set_aside() {
    let machine = Machine::new();
    machine.write(UNIT, "[Service]\nExecStart=/usr/bin/python3 calls.py\n");
    machine.install(&[]);
    assert!(machine.read(&format!("{UNIT}.before")).contains("python3"));
    assert!(machine.read(UNIT).contains(PROGRAM));
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

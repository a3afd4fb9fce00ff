//! Tests of `openai-inbound-calls recordings …` with only the variables of recordings.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::world::{With, World, record, running_call, sound};

pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Output {
    run_with(folder, &[], arguments)
}

fn run_with(folder: &Path, more: &[(&str, &str)], arguments: &[&str]) -> Output {
    command(folder, arguments).envs(more.iter().copied()).output().unwrap()
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_openai-inbound-calls"));
    let variables = [("RECORDINGS_DIR", folder), ("LOG_LANGUAGE", Path::new("en")), ("TZ", Path::new("UTC"))];
    // The command runs in the folder of the recordings, so that it reads no `.env` of the developer.
    command.env_clear().envs(variables).current_dir(folder).arg("recordings").args(arguments);
    command
}

fn lines(output: &[u8]) -> Vec<&str> {
    std::str::from_utf8(output).unwrap().lines().collect()
}

fn three() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), "20200101_000000_a", "+57 300 1234567");
    record(folder.path(), "20200102_000000_b", "+573007654321");
    record(folder.path(), "20990101_000000_c", "+573001234567");
    folder
}

fn files(folder: &Path) -> usize {
    let names =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("20")).count()
}

#[test]
fn list_shows_newest_first_with_tabs_between() {
    let folder = three();
    let listed = run(folder.path(), &["list", "--limit", "2"]);
    assert!(listed.status.success() && listed.stderr.is_empty(), "{listed:?}");
    let rows = lines(&listed.stdout);
    assert_eq!(rows.len(), 2);
    let columns: Vec<_> = rows[0].split('\t').collect();
    assert_eq!(
        (columns[0], columns[1], columns[2], columns[4]),
        ("20990101_000000_c", "finished", "285", "+573001234567")
    );
    record(folder.path(), "20990102_000000_d", "1\n20990103_000000_e\tfinished\u{1b}[2J\u{202e}\u{61c}");
    let listed = run(folder.path(), &["list", "--limit", "0"]).stdout;
    assert_eq!(lines(&listed).len(), 4, "nobody's number makes a line");
    let last = lines(&listed)[0].split('\t').next_back();
    assert_eq!(last, Some(r"1\n20990103_000000_e\tfinished\u{1b}[2J\u{202e}\u{61c}"));
}

#[test]
fn a_reader_who_has_seen_enough_ends_a_command_quietly() {
    let folder = three();
    for arguments in [&["list"][..], &["export"], &["purge", "--older-than", "30d", "--dry-run"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = command(folder.path(), arguments).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let ended = ended.wait_with_output().unwrap();
        // The preview for people is on stderr and is left out here.
        let said: Vec<_> =
            lines(&ended.stderr).into_iter().filter(|line| !line.starts_with("  recording  ")).collect();
        assert_eq!((ended.status.code(), said), (Some(141), vec![]), "{arguments:?}");
    }
}

#[test]
fn purge_by_age_deletes_what_is_older_and_says_what() {
    let folder = three();
    let would = run(folder.path(), &["purge", "--older-than", "30d", "--dry-run"]);
    assert_eq!(lines(&would.stdout), ["20200101_000000_a", "20200102_000000_b"]);
    assert!(String::from_utf8(would.stderr).unwrap().contains("would be deleted: 2"));
    assert_eq!(files(folder.path()), 12, "nothing is gone");
    let most = run(folder.path(), &["purge", "--older-than", "30d"]);
    let said = String::from_utf8(most.stderr).unwrap();
    assert!(!most.status.success() && said.contains("2 of 3 recordings") && said.contains("--yes"), "{said}");
    assert_eq!(
        (most.stdout.len(), files(folder.path())),
        (0, 12),
        "two of three may be a clock that is wrong"
    );
    let purged = run(folder.path(), &["purge", "--older-than", "30d", "--yes"]);
    assert!(purged.status.success());
    assert_eq!(lines(&purged.stdout), ["20200101_000000_a", "20200102_000000_b"]);
    assert_eq!(files(folder.path()), 4);
    let log = std::fs::read_to_string(folder.path().join("access.log")).unwrap();
    assert_eq!(log.lines().filter(|line| line.contains(" PURGE /recordings/2020010")).count(), 2, "{log}");
}

#[test]
fn purge_by_caller_deletes_all_of_his_however_the_number_is_written_and_leaves_a_running_call() {
    let world = World::over(three(), With::default());
    let (recorder, handle) = running_call(world.folder.path(), "9.1", "2025-10-20T15:00:00-05:00");
    world.until("the call is recorded", |world| world.get("/recordings/20251020_150000_9.1").status == 200);
    let purge = ["purge", "--caller", "+57 (300) 123-45-67"];
    let refused = run(world.folder.path(), &purge);
    let shown = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && refused.stdout.is_empty(), "nobody said yes: {shown}");
    for id in ["20200101_000000_a", "20990101_000000_c"] {
        assert!(shown.contains(&format!("  recording  {id}\n")), "what would go is shown: {shown}");
    }
    assert!(shown.contains("repeat with --yes"), "{shown}");
    let purged = run(world.folder.path(), &[&purge[..], &["--yes"]].concat());
    assert_eq!(lines(&purged.stdout), ["20200101_000000_a", "20990101_000000_c"], "{purged:?}");
    assert_eq!(world.ids("?limit=10"), ["20200102_000000_b"], "gone from the list too");
    let purged = run(world.folder.path(), &["purge", "--caller", "+573009999999"]);
    assert!(purged.stdout.is_empty(), "their call is running: {purged:?}");
    assert_eq!(purged.status.code(), Some(1), "what was asked for is not done: {purged:?}");
    let said = String::from_utf8(purged.stderr).unwrap();
    assert!(said.contains("Calls among them that are in progress: 1"), "{said}");
    assert_eq!(world.get("/recordings/20251020_150000_9.1").status, 200);
    drop(handle);
    assert!(recorder.stop(std::time::Duration::from_secs(10)));
}

/// The arguments of a command are visible to every user of the machine.
#[test]
fn purge_reads_the_number_from_the_standard_input() {
    let folder = three();
    let purge = |input: &str| {
        let mut command = command(folder.path(), &["purge", "--caller", "-", "--yes"]);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut purging = piped.spawn().unwrap();
        purging.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        purging.wait_with_output().unwrap()
    };
    let none = purge("\n573007654321\n");
    let said = String::from_utf8(none.stderr).unwrap();
    assert_eq!((none.status.code(), none.stdout.len()), (Some(1), 0), "{said}");
    assert!(said.contains("its first line is empty"), "{said}");
    let purged = purge(" +57 (300) 123-45-67\r\n573007654321\n");
    assert_eq!(lines(&purged.stdout), ["20200101_000000_a", "20990101_000000_c"], "{purged:?}");
    let said = String::from_utf8(purged.stderr).unwrap();
    assert!(!said.contains("123-45-67"), "{said}");
}

#[test]
fn purge_finds_a_number_however_it_is_written_and_with_the_country_nobody_else() {
    let spellings = ["+573001234567", "00573001234567", "573001234567", "3001234567"];
    for (country, stranger) in [("", true), ("57", false), ("+57", false)] {
        for number in spellings {
            let folder = tempfile::tempdir().unwrap();
            for (n, written) in spellings.iter().enumerate() {
                record(folder.path(), &format!("20200101_00000{n}_a"), written);
            }
            record(folder.path(), "20200101_000009_b", "+583001234567");
            let purge = ["purge", "--caller", number, "--dry-run"];
            let found = run_with(folder.path(), &[("COUNTRY_CODE", country)], &purge);
            let count = spellings.len() + usize::from(stranger);
            assert_eq!(lines(&found.stdout).len(), count, "{number} {country}: {found:?}");
        }
    }
}

#[test]
fn export_writes_every_file_into_a_folder() {
    let folder = three();
    let to = folder.path().join("to/here");
    let exported = run(folder.path(), &["export", "--to", to.to_str().unwrap(), "20200101_000000_a"]);
    assert!(exported.status.success(), "{exported:?}");
    assert_eq!(std::fs::read_dir(&to).unwrap().count(), 4);
    let wav = std::fs::read(to.join("20200101_000000_a_audio.wav")).unwrap();
    assert_eq!(wav[58..], sound());
    let all = run(folder.path(), &["export", "--to", to.to_str().unwrap()]);
    assert_eq!((all.status.success(), std::fs::read_dir(&to).unwrap().count()), (true, 12));
}

#[test]
fn what_cannot_be_done_is_said_and_fails() {
    let folder = three();
    let missing = run(folder.path(), &["export", "20200101_000000_other"]);
    let said = String::from_utf8(missing.stderr).unwrap();
    assert!(
        !missing.status.success() && said.contains("There is no recording 20200101_000000_other"),
        "{said}"
    );
    for id in ["NOPE", "../../etc/passwd"] {
        let missing = run_with(folder.path(), &[("LOG_LANGUAGE", "es")], &["export", id]);
        let said = String::from_utf8(missing.stderr).unwrap();
        assert_eq!(missing.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("No existe la grabación {id}:")), "{said}");
    }
    for wrong in [
        &["purge"][..],
        &["purge", "--older-than", "30"],
        &["purge", "--older-than", "-1d"],
        &["purge", "--older-than", "30d", "--caller", "1"],
    ] {
        assert_eq!(run(folder.path(), wrong).status.code(), Some(2), "{wrong:?}");
    }
    let none = run(folder.path(), &["purge", "--caller", "()"]);
    assert!(none.stdout.is_empty());
    assert_eq!(files(folder.path()), 12);
}

#[test]
fn another_folder_is_no_empty_one_and_a_wrong_setting_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let listed = run(folder.path(), &["list"]);
    let none = format!("There are no recordings in {}", folder.path().display());
    let said = String::from_utf8(listed.stderr).unwrap();
    assert!(listed.status.success() && listed.stdout.is_empty() && said.contains(&none), "{said}");
    let elsewhere = folder.path().join("recordings").display().to_string();
    for command in
        [&["list"][..], &["export"], &["purge", "--older-than", "1h"], &["purge", "--caller", "1", "--yes"]]
    {
        let nowhere = run_with(folder.path(), &[("RECORDINGS_DIR", "recordings")], command);
        let said = String::from_utf8(nowhere.stderr).unwrap();
        assert!(!nowhere.status.success() && nowhere.stdout.is_empty(), "{command:?}: {said}");
        assert!(said.contains(&format!("The folder of recordings {elsewhere} does not exist:")), "{said}");
    }
    let wrong = Command::new(env!("CARGO_BIN_EXE_openai-inbound-calls"))
        .env_clear()
        .envs([("LOG_LANGUAGE", "en"), ("API_LISTEN", "0.0.0.0:5001")])
        .current_dir(folder.path())
        .args(["recordings", "list"])
        .output()
        .unwrap();
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(
        !wrong.status.success() && said.contains("API_LISTEN=0.0.0.0:5001 accepts connections"),
        "{said}"
    );
}

//! Tests of the log file.

use std::fs::OpenOptions;

use super::*;

fn opener(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// A log of at most 1 MiB that contains `bytes` bytes.
fn small_log(folder: &Path, bytes: u64) -> LogFile {
    let path = folder.join("calls.log");
    File::create(&path).unwrap().set_len(bytes).unwrap();
    LogFile::new(path, ByteCount::new(1 << 20), opener)
}

#[test]
fn a_full_disk_is_said_once_when_it_begins_and_once_when_it_ends() {
    let mut file = LogFile::new("/dev/full".into(), ByteCount::new(1 << 20), opener);
    assert!(matches!(file.append("one\n"), Some(Notice::LogUnwritable { path, .. }) if path == "/dev/full"));
    assert_eq!(file.append("two\nthree\n"), None);
    file.file = Some(tempfile::tempfile().unwrap());
    let path = "/dev/full".to_owned();
    assert_eq!(file.append("four\n"), Some(Notice::LogWritableAgain { path, lines: 3 }));
    assert_eq!(file.append("five\n"), None);
}

#[test]
fn a_file_that_cannot_be_opened_is_said_once_and_tried_with_every_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.log");
    fs::create_dir(&path).unwrap();
    let mut file = LogFile::new(path.clone(), ByteCount::new(1 << 20), opener);
    assert!(matches!(file.append("one\n"), Some(Notice::LogUnwritable { .. })));
    assert_eq!(file.append("two\n"), None);
    fs::remove_dir(&path).unwrap();
    assert!(matches!(file.append("three\n"), Some(Notice::LogWritableAgain { lines: 2, .. })));
    assert_eq!(fs::read_to_string(path).unwrap(), "three\n");
}

#[test]
fn a_flood_of_lines_is_bounded_and_said_once_until_the_file_is_rotated() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = small_log(folder.path(), 0);
    let size = |file: &LogFile| fs::metadata(&file.path).unwrap().len();
    let path = file.path.display().to_string();
    let flood = "x".repeat(1_023) + "\n";
    let said: Vec<_> = (0..10_000).filter_map(|_| file.append(&flood)).collect();
    assert_eq!(said, [Notice::LogFull { path: path.clone(), mib: 1 }]);
    assert_eq!(size(&file), 1 << 20);
    for _ in 0..100 {
        file.add_last_words(&flood);
    }
    assert_eq!(size(&file), (1 << 20) + LAST_WORDS_BYTES, "the file's own lines are bounded, too");
    // A reload alone makes no room.
    assert_eq!((file.reopen(), file.append("y\n")), (None, None));
    fs::rename(&file.path, folder.path().join("calls.log.1")).unwrap();
    assert_eq!(file.reopen(), None);
    let lines = 10_000 - 1_024 + 1;
    assert_eq!(file.append("new\n"), Some(Notice::LogWritableAgain { path, lines }));
    assert_eq!(fs::read_to_string(&file.path).unwrap(), "new\n");
}

#[test]
fn a_file_that_was_emptied_in_its_place_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = small_log(folder.path(), 1 << 20);
    assert!(matches!(file.append("one\n"), Some(Notice::LogFull { .. })));
    File::create(&file.path).unwrap();
    assert!(matches!(file.append("two\n"), Some(Notice::LogWritableAgain { lines: 1, .. })));
    assert_eq!(fs::read_to_string(&file.path).unwrap(), "two\n");
}

#[test]
fn a_rotated_file_is_followed_and_reopened_and_a_full_one_has_room_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = small_log(folder.path(), (1 << 20) - 4);
    let written = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(file.append("old\n"), None);
    assert!(matches!(file.append("lost\n"), Some(Notice::LogFull { .. })));
    fs::rename(&file.path, folder.path().join("calls.log.1")).unwrap();
    file.follow_path();
    assert!(matches!(file.append("new\n"), Some(Notice::LogWritableAgain { lines: 1, .. })));
    file.follow_path();
    assert_eq!(file.append("more\n"), None);
    fs::rename(&file.path, folder.path().join("calls.log.2")).unwrap();
    assert_eq!((file.reopen(), file.append("newer\n")), (None, None));
    assert!(written("calls.log.1").ends_with("old\n"));
    assert_eq!((written("calls.log.2").as_str(), written("calls.log").as_str()), ("new\nmore\n", "newer\n"));
}

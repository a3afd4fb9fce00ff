//! Tests `demo --once` as the README describes it: exit code 0, a recording and a verdict.

use std::io::{self, BufRead as _, BufReader};
use std::process::{Command, Stdio};

/// The output and exit code of the program in a folder of its own with this environment.
fn demo(language: &str, folder: &std::path::Path) -> (String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_openai-inbound-calls"))
        .args(["demo", "--once"])
        .env_clear()
        .env("LOG_LANGUAGE", language)
        .current_dir(folder)
        .stderr(Stdio::inherit())
        .output()
        .expect("the program");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
}

#[test]
fn it_shows_a_call_judges_it_and_leaves_a_recording() {
    let folder = tempfile::tempdir().expect("a folder");
    let (shown, code) = demo("en", folder.path());
    assert_eq!(code, Some(0), "{shown}");
    let steps = [
        "Dashboard: http://127.0.0.1:",
        "INVITE",
        "StasisStart caller",
        "POST externalMedia 200",
        "session.updated",
        "the caller hears the assistant",
        "caller: «Hola, buenas tardes.",
        "item.truncate audio_end_ms=",
        "assistant: «Claro. Su cita queda para el miércoles",
        "BYE",
        "DELETE bridge 204",
        "✓ barge-in: audio_end_ms = ",
        "All is well.",
    ];
    let mut rest = shown.as_str();
    for step in steps {
        let at = rest.find(step).unwrap_or_else(|| panic!("no {step} behind the steps before it:\n{shown}"));
        rest = &rest[at..];
    }
    assert!(!shown.contains('✗') && !shown.contains('\x1b'), "{shown}");
    // A daemon in the same folder must find nothing of the demonstration in its own.
    let ours = std::fs::read_dir(folder.path().join("recordings")).expect("the folder");
    let ours: Vec<_> = ours.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
    assert_eq!(ours, ["demo"]);
    let recordings = folder.path().join("recordings/demo");
    assert!(recordings.join("calls.db").is_file(), "with a call log of its own");
    let wav = std::fs::read_dir(&recordings)
        .expect("the folder")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "wav"))
        .expect("a recording");
    let sound = std::fs::read(wav).expect("readable");
    assert_eq!(&sound[..4], b"RIFF");
    assert!(sound.len() > 58 + 2 * 8_000 * 15, "two sides of more than 15 s: {}", sound.len());
    let log = std::fs::read_to_string(recordings.join("demo.log")).expect("a log");
    assert!(log.contains(" - INFO - ARI connection established"), "{log}");
}

/// The exit code that a shell reports for a program that SIGPIPE has ended.
const UNREAD: i32 = 141;

#[test]
fn a_reader_who_has_seen_enough_ends_a_command_quietly() {
    for (arguments, lines) in
        [(&["demo"][..], 1), (&["demo", "--once"], 0), (&["doctor"], 0), (&["doctor", "--json"], 0)]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let (reader, writer) = io::pipe().expect("a pipe");
        let mut command = Command::new(env!("CARGO_BIN_EXE_openai-inbound-calls"));
        command.args(arguments).env_clear().current_dir(folder.path()).stdout(writer).stderr(Stdio::piped());
        let child = command.spawn().expect("the program");
        drop(command);
        let read = BufReader::new(reader).lines().take(lines).count();
        assert_eq!(read, lines, "{arguments:?}");
        let ended = child.wait_with_output().expect("its end");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!((ended.status.code(), &*said), (Some(UNREAD), ""), "{arguments:?}");
    }
}

//! Tests of what the tools of the distribution make of the files: sox of the WAV file, age of the encrypted
//! files.

use std::path::Path;
use std::process::Command;

use openai_inbound_calls::call::record::Entry;
use openai_inbound_calls::recordings::RecordingSettings;

use crate::scene::*;

/// The output of a tool. None: the tool is not installed, and a line says so. In CI the tool must be
/// installed.
fn run(command: &mut Command) -> Option<Vec<u8>> {
    match command.output() {
        Ok(output) => {
            assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{command:?} complains");
            Some(output.stdout)
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{command:?}: {error}");
            println!("skipped: {command:?} cannot be run ({error}): apt-get install sox age");
            None
        }
    }
}

fn record(settings: &RecordingSettings) -> Vec<u8> {
    let (recorder, _news) = start(settings);
    let mut handle = recorder.open(opening("17.3"));
    let mut whole = Vec::new();
    for batch in 0..30u8 {
        let sound: Vec<u8> = (0..3_200u32).map(|at| (at * 5) as u8 ^ batch).collect();
        whole.extend_from_slice(&sound);
        handle.push(Entry::Sound(sound.into()));
    }
    handle.push(said("a", "hola"));
    handle.close(ending());
    assert!(recorder.stop(PATIENCE));
    whole
}

/// The µ-law bytes that sox finds in a file.
fn heard_by_sox(wav: &Path) -> Option<Vec<u8>> {
    let mut sox = Command::new("sox");
    sox.arg(wav).args(["-t", "ul", "-"]);
    run(&mut sox)
}

#[test]
fn sox_reads_the_wav_without_complaint_and_sample_by_sample() {
    let folder = tempfile::tempdir().unwrap();
    let whole = record(&settings(folder.path()));
    let wav = folder.path().join(format!("{}_audio.wav", id("17.3")));
    for (option, expected) in
        [("-c", "2"), ("-r", "8000"), ("-s", "48000"), ("-e", "u-law"), ("-D", "6.000000")]
    {
        let Some(said) = run(Command::new("soxi").arg(option).arg(&wav)) else { return };
        assert_eq!(String::from_utf8_lossy(&said).trim(), expected, "soxi {option}");
    }
    let Some(heard) = heard_by_sox(&wav) else { return };
    // sox decodes and encodes again; only negative zero differs afterwards.
    let same = |(one, other): (&u8, &u8)| one == other || (*one == 0x7F && *other == 0xFF);
    assert!(heard.len() == whole.len() && whole.iter().zip(&heard).all(same));
}

#[test]
fn age_opens_every_file_of_an_encrypted_recording() {
    let (folder, keys) = (tempfile::tempdir().unwrap(), keys());
    let whole = record(&sealed(folder.path(), &keys, false));
    let key = folder.path().join("key.txt");
    std::fs::write(&key, &keys.secret).unwrap();
    let open = |suffix: &str| {
        let file = folder.path().join(format!("{}{suffix}.age", id("17.3")));
        run(Command::new("age").arg("-d").arg("-i").arg(&key).arg(file))
    };
    let Some(wav) = open("_audio.wav") else { return };
    assert!(wav[58..] == whole);
    let conversation: serde_json::Value =
        serde_json::from_slice(&open("_conversation.json").unwrap()).unwrap();
    assert_eq!(texts(&conversation), ["hola"]);
    assert!(String::from_utf8(open("_summary.txt").unwrap()).unwrap().contains("hola"));
    assert_eq!(open("_audio.bin").unwrap(), b"");
    let plain = folder.path().join("opened.wav");
    std::fs::write(&plain, wav).unwrap();
    assert_eq!(heard_by_sox(&plain).map(|heard| heard.len()), heard_by_sox(&plain).map(|_| whole.len()));
}

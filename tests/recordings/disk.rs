//! Tests of a disk that accepts no data: one report, undisturbed calls, silence of the right length, and a
//! recovery without help.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use openai_inbound_calls::call::record::Entry;
use openai_inbound_calls::clock::now;
use openai_inbound_calls::operator::Notice;
use openai_inbound_calls::recordings::{Library, RecorderReport, RecordingSettings};

use crate::scene::*;
use crate::small_disk::SmallDisk;

fn wait_for(news: &Receiver<RecorderReport>, wanted: impl Fn(&Notice) -> bool) -> usize {
    let mut others = 0;
    loop {
        match news.recv_timeout(PATIENCE) {
            Ok(RecorderReport::Notice(notice)) if wanted(&notice) => return others,
            Ok(RecorderReport::Notice(_)) => others += 1,
            Ok(_) => {}
            Err(error) => panic!("it was never said: {error}"),
        }
    }
}

/// Waits for a condition.
fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = now() + PATIENCE;
    while !condition() {
        assert!(now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn full_disk(settings_of: impl Fn(&Path) -> RecordingSettings) {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path()) else { return };
    let settings = settings_of(&disk.0);
    let (recorder, news) = start(&settings);
    let mut handle = recorder.open(opening("17.3"));
    handle.push(Entry::Sound(vec![1; 3_200].into()));
    assert!(matches!(news.recv_timeout(PATIENCE), Ok(RecorderReport::Opened(_))));

    disk.fill();
    let batches = 150;
    let mut later = Vec::new();
    for batch in 0..batches {
        handle.push(Entry::Sound(vec![2; 3_200].into()));
        if batch % 30 == 0 {
            handle.push(said(&batch.to_string(), &format!("palabra {batch}")));
            // This test concerns the disk and not the queue. The writer has taken everything before once it
            // knows of a later call.
            later.push(recorder.open(opening(&format!("18.{batch}"))));
            until("the queue is empty", || recorder.health().live == 1 + later.len());
        }
    }
    wait_for(&news, |notice| matches!(notice, Notice::RecordingFailing { .. }));
    assert!(!recorder.health().writing);

    disk.empty();
    let others = wait_for(&news, |notice| matches!(notice, Notice::RecordingResumed { .. }));
    assert_eq!(others, 0, "the trouble is said once");
    assert!(recorder.health().writing);
    handle.push(Entry::Sound(vec![3; 3_200].into()));
    handle.push(said("last", "última"));
    handle.close(ending());
    for call in later {
        call.close(ending());
    }
    assert!(recorder.stop(PATIENCE));

    let (library, id) = (Library::new(settings), id("17.3"));
    let sound = sound(&library, &id);
    assert_eq!(sound.len(), (batches + 2) * 3_200, "nothing is shifted");
    assert_eq!(sound[..3_200], [1; 3_200]);
    assert_eq!(sound[sound.len() - 3_200..], [3; 3_200]);
    let gap = &sound[3_200..sound.len() - 3_200];
    // What was pushed is there or is silence, in units of 200 ms, and there is some of both.
    assert!(gap.chunks(3_200).all(|batch| batch == [2; 3_200] || batch == [0xFF; 3_200]));
    let kept = 3_200 * gap.chunks(3_200).filter(|batch| batch[0] == 2).count();
    assert!(kept > 0 && kept < gap.len(), "{kept}");
    let document = conversation(&library, &id);
    assert_eq!(texts(&document).last().unwrap(), "última");
    assert_eq!(texts(&document).len(), batches / 30 + 1, "no word is lost");
    let gap_ms = (gap.len() - kept) / 16;
    let event =
        document["events"].as_array().unwrap().iter().find(|event| event["type"] == "recording_gap").unwrap();
    assert!(event["detail"].as_str().unwrap().starts_with(&format!("sound_ms={gap_ms} ")), "{event}");
    assert!(library.summary(&id).unwrap().text.contains("El disco no admitía más datos"));
}

#[test]
fn a_full_disk_costs_silence_and_recording_resumes_by_itself() {
    full_disk(settings);
}

#[test]
fn a_full_disk_costs_the_same_encrypted() {
    let keys = keys();
    full_disk(|folder| sealed(folder, &keys, true));
}

#[test]
fn a_recording_that_somebody_removed_is_said_to_be_lost_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, news) = start(&settings(folder.path()));
    let (mut removed, mut other) = (recorder.open(opening("17.3")), recorder.open(opening("17.4")));
    while names(folder.path()).iter().filter(|name| !name.starts_with('.')).count() < 2 {
        news.recv_timeout(PATIENCE).unwrap();
    }
    fs::remove_dir_all(folder.path().join(format!("{}.live", id("17.3")))).unwrap();
    removed.push(Entry::Delta(vec![1; 160].into()));
    other.push(said("a", "hola"));
    wait_for(
        &news,
        |notice| matches!(notice, Notice::RecordingLost { id: lost, .. } if *lost == id("17.3").to_string()),
    );
    removed.push(Entry::Delta(vec![1; 160].into()));
    assert!(recorder.health().writing);
    removed.close(ending());
    other.close(ending());
    assert!(recorder.stop(PATIENCE));
    let library = Library::new(settings(folder.path()));
    assert_eq!(library.list().unwrap().len(), 1);
    assert_eq!(texts(&conversation(&library, &id("17.4"))), ["hola"]);
}

#[test]
fn a_folder_that_cannot_be_made_holds_nobody_up_and_is_used_when_it_can() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("recordings");
    // A file is in the place of the folder, which stops root too.
    fs::write(&folder, "").unwrap();
    let (recorder, news) = start(&settings(&folder));
    let mut handle = recorder.open(opening("17.3"));
    handle.push(Entry::Sound(vec![1; 3_200].into()));
    wait_for(&news, |notice| matches!(notice, Notice::RecordingFailing { .. }));
    fs::remove_file(&folder).unwrap();
    wait_for(&news, |notice| matches!(notice, Notice::RecordingResumed { .. }));
    handle.close(ending());
    assert!(recorder.stop(PATIENCE));
    let library = Library::new(settings(&folder));
    assert_eq!(sound(&library, &id("17.3")), [1; 3_200]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o750);
    for name in names(&folder) {
        assert_eq!(mode(&folder.join(&name)), 0o640, "{name}");
    }
}

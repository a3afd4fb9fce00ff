//! Tests of the library: listing, reading, deleting and exporting, during calls and after them.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use openai_inbound_calls::call::record::{Entry, Opening};
use openai_inbound_calls::clock;
use openai_inbound_calls::number::Sought;
use openai_inbound_calls::recordings::retention::{Due, due};
use openai_inbound_calls::recordings::{
    Library, LibraryError, RecorderReport, RecordingId, RecordingSettings, Side, State,
};

use crate::scene::*;

/// Records one short call from this number.
fn record(settings: &RecordingSettings, channel: &str, caller: &str) {
    let (recorder, _news) = start(settings);
    let mut handle = recorder.open(Opening { caller: caller.into(), ..opening(channel) });
    handle.push(Entry::Sound(vec![1; 3_200].into()));
    handle.push(said("a", "hola"));
    handle.close(ending());
    assert!(recorder.stop(PATIENCE));
}

#[test]
fn a_running_call_is_listed_read_and_heard_but_not_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let (recorder, news) = start(&settings);
    let mut handle = recorder.open(opening("17.3"));
    assert!(matches!(news.recv_timeout(PATIENCE), Ok(RecorderReport::Opened(_))));
    // This is more than the recorder keeps in memory, so it is written at once.
    for _ in 0..21 {
        handle.push(Entry::Sound(vec![1; 3_200].into()));
    }
    handle.push(said("a", "hola"));
    let (library, id) = (Library::new(settings), id("17.3"));
    let until = clock::now() + PATIENCE;
    while texts(&conversation(&library, &id)).is_empty() {
        assert!(clock::now() < until, "never written");
        std::thread::yield_now();
    }
    assert_eq!(library.list().unwrap(), [(id.clone(), State::Live)]);
    assert_eq!(conversation(&library, &id)["end_reason"], serde_json::Value::Null);
    assert!(library.summary(&id).unwrap().text.contains("la llamada sigue en curso"));
    assert!(sound(&library, &id).iter().all(|byte| *byte == 1) && !sound(&library, &id).is_empty());
    assert!(matches!(library.delete(&id), Err(LibraryError::Live)));
    assert!(matches!(library.export(&id, &folder.path().join("x")), Err(LibraryError::Live)));
    let after_all = id.started() + Duration::from_hours(24);
    assert_eq!(due(&library, after_all).unwrap(), Due::default());
    handle.close(ending());
    assert!(recorder.stop(PATIENCE));
    assert_eq!(library.state(&id).unwrap(), State::Finished);
    assert_eq!(due(&library, id.started()).unwrap(), Due { ids: vec![], of: 1 });
    assert_eq!(due(&library, after_all).unwrap(), Due { ids: vec![id], of: 1 });
}

#[test]
fn deleting_takes_every_file_of_the_call_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    record(&settings, "17.3", "600");
    record(&settings, "17.33", "600");
    let (library, id) = (Library::new(settings), id("17.3"));
    let before = names(folder.path());
    assert_eq!(before.len(), 8);
    library.delete(&id).unwrap();
    let left: Vec<_> = before.into_iter().filter(|name| name.contains("_17.33_")).collect();
    assert_eq!(names(folder.path()), left);
    for again in
        [library.delete(&id), library.conversation(&id).map(drop), library.audio(&id, Side::Both).map(drop)]
    {
        assert!(matches!(again, Err(LibraryError::NotFound)));
    }
}

#[test]
fn what_a_crash_left_of_a_recording_goes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    record(&settings, "17.3", "600");
    let (library, id) = (Library::new(settings.clone()), id("17.3"));
    let left = folder.path().join(format!("{id}.live"));
    fs::create_dir(&left).unwrap();
    fs::write(left.join("log.jsonl"), "{").unwrap();
    library.delete(&id).unwrap();
    assert_eq!(names(folder.path()), [""; 0]);

    // This is the state after a crash during a deletion that had renamed only the folder.
    record(&settings, "17.3", "600");
    fs::create_dir(folder.path().join(format!(".{id}.live.deleted"))).unwrap();
    let (recorder, _news) = start(&settings);
    assert!(recorder.stop(PATIENCE));
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn what_cannot_be_deleted_whole_is_not_deleted_in_part() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    record(&settings, "17.3", "600");
    let (library, id) = (Library::new(settings), id("17.3"));
    let before = names(folder.path());
    // A folder with content is in the place of the third file's hidden name, so that file cannot be renamed.
    let obstacle = folder.path().join(format!(".{id}_audio.wav.deleted/x"));
    fs::create_dir_all(&obstacle).unwrap();
    assert!(matches!(library.delete(&id), Err(LibraryError::Io(_))));
    fs::remove_dir_all(obstacle.parent().unwrap()).unwrap();
    assert_eq!(names(folder.path()), before);
    assert_eq!(texts(&conversation(&library, &id)), ["hola"]);
}

#[test]
fn a_deletion_that_a_crash_cut_off_is_ended_by_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    record(&settings, "17.3", "600");
    record(&settings, "17.4", "600");
    let gone = format!("{}_conversation.json", id("17.3"));
    fs::rename(folder.path().join(&gone), folder.path().join(format!(".{gone}.deleted"))).unwrap();
    let (recorder, _news) = start(&settings);
    assert!(recorder.stop(PATIENCE));
    assert!(names(folder.path()).iter().all(|name| name.contains("_17.4_")), "{:?}", names(folder.path()));
    assert_eq!(names(folder.path()).len(), 4);
}

#[test]
fn recordings_are_found_by_number_however_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys();
    let plain = settings(folder.path());
    record(&plain, "1", "+34 600-111-222");
    record(&plain, "2", "+34600111223");
    record(&sealed(folder.path(), &keys, false), "3", "+34 600 111 222");
    let found = Library::new(plain).of_caller(&Sought::new("+34(600)111.222", None).unwrap()).unwrap();
    assert_eq!((found.ids, found.unknown), (vec![id("1")], vec![id("3")]));
    let found = Library::new(sealed(folder.path(), &keys, true))
        .of_caller(&Sought::new("+34600111222", None).unwrap())
        .unwrap();
    assert_eq!((found.ids, found.unknown), (vec![id("1"), id("3")], vec![]));
}

#[test]
fn without_the_identity_an_encrypted_recording_says_so_and_with_another_one_too() {
    let folder = tempfile::tempdir().unwrap();
    let (owner, stranger) = (keys(), keys());
    record(&sealed(folder.path(), &owner, false), "17.3", "600");
    let id = id("17.3");
    for blind in [sealed(folder.path(), &owner, false), sealed(folder.path(), &stranger, true)] {
        let library = Library::new(blind);
        assert!(matches!(library.conversation(&id), Err(LibraryError::Sealed)));
        assert!(matches!(library.audio(&id, Side::Caller), Err(LibraryError::Sealed)));
        let facts = library.facts(&id).unwrap();
        assert!(facts.sealed && facts.told.is_none() && facts.bytes.get() > 3_200);
        assert_eq!(library.list().unwrap().len(), 1);
    }
    Library::new(sealed(folder.path(), &stranger, false)).delete(&id).unwrap();
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn export_decrypts_everything() {
    let (folder, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let keys = keys();
    let settings_ = sealed(folder.path(), &keys, true);
    record(&settings_, "17.3", "600");
    let (library, id) = (Library::new(settings_), id("17.3"));
    let target = target.path().join("out");
    assert_eq!(library.export(&id, &target).unwrap().len(), 4);
    let exported = Library::new(settings(&target));
    assert_eq!(sound(&exported, &id), [1; 3_200]);
    assert_eq!(exported.conversation(&id).unwrap().text, library.conversation(&id).unwrap().text);
    assert_eq!(exported.facts(&id).unwrap().told, library.facts(&id).unwrap().told);
    assert_eq!(fs::read(target.join(format!("{id}_audio.wav"))).unwrap()[54..58], 3_200u32.to_le_bytes());
}

#[test]
fn a_link_to_a_folder_is_no_unfinished_recording_and_nothing_in_it_is_touched() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let settings = settings(folder.path());
    fs::write(elsewhere.path().join("log.jsonl"), "{").unwrap();
    fs::write(elsewhere.path().join("audio.wav"), [0; 1_000]).unwrap();
    let linked = folder.path().join(format!("{}.live", id("17.3")));
    std::os::unix::fs::symlink(elsewhere.path(), &linked).unwrap();
    // A link is in the place where a file of the recording would be written.
    let torn = folder.path().join(format!("{}.live", id("17.4")));
    fs::create_dir(&torn).unwrap();
    fs::write(torn.join("log.jsonl"), "{").unwrap();
    let victim = elsewhere.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    std::os::unix::fs::symlink(&victim, torn.join("unfinished")).unwrap();
    std::os::unix::fs::symlink(&victim, folder.path().join(".probe")).unwrap();
    let (recorder, _news) = start(&settings);
    // The link remains, so the recorder may report that it has not finished.
    let _stopped = recorder.stop(PATIENCE);
    assert_eq!(names(elsewhere.path()), ["audio.wav", "log.jsonl", "victim"]);
    assert_eq!(fs::read_to_string(victim).unwrap(), "precious");
    let library = Library::new(settings);
    assert!(matches!(library.state(&id("17.3")), Err(LibraryError::NotFound)));
    assert_eq!(library.list().unwrap().len(), 1, "the link is none");
}

#[test]
fn recordings_of_the_original_system_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let id: RecordingId = "20251020_143025_rtc_abc123".parse().unwrap();
    let file =
        |suffix: &str, text: &str| fs::write(folder.path().join(format!("{id}{suffix}")), text).unwrap();
    file(
        "_conversation.json",
        r#"{"call_id":"rtc_abc123","start_time":"2025-10-20T14:30:25.123456","end_time":"2025-10-20T14:35:10.654321",
        "duration_seconds":285.5,"conversation":[{"timestamp":"2025-10-20T14:30:26.000000","speaker":"user",
        "text":"Hola","type":"transcript_completed"}],"total_messages":15,"audio_chunks_count":42}"#,
    );
    file("_audio.bin", "sound");
    file("_summary.txt", "Resumen");
    let library = Library::new(settings(folder.path()));
    assert_eq!(library.list().unwrap(), [(id.clone(), State::Finished)]);
    assert_eq!(texts(&conversation(&library, &id)), ["Hola"]);
    assert_eq!(library.events(&id).unwrap().text, "[]");
    let mut bin = String::new();
    library.bin(&id).unwrap().read_to_string(&mut bin).unwrap();
    assert_eq!((bin.as_str(), library.summary(&id).unwrap().text.as_str()), ("sound", "Resumen"));
    assert!(matches!(library.audio(&id, Side::Both), Err(LibraryError::NotKept)));
    assert_eq!(library.facts(&id).unwrap().told.unwrap().messages, 15);
    library.delete(&id).unwrap();
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn a_missing_folder_is_an_empty_library() {
    let library = Library::new(settings(Path::new("/nonexistent/recordings")));
    assert_eq!(library.list().unwrap(), []);
    assert!(matches!(library.facts(&id("17.3")), Err(LibraryError::NotFound)));
}

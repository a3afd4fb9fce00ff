//! Tests of SIGKILL at random moments: what a call handed over more than two seconds before is in its
//! recording (five seconds if the recording is encrypted).
//!
//! The test binary starts itself again as the child, which records calls in real time and reports what it has
//! handed over. The parent kills the child, starts a recorder on the same folder, and checks the recordings.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use openai_inbound_calls::call::record::{Entry, Keep, Opening};
use openai_inbound_calls::clock;
use openai_inbound_calls::operator::Notice;
use openai_inbound_calls::recordings::{Library, RecorderReport, RecordingSettings, Side, State};

use crate::scene::*;

/// The variables of the child: the folder, and the recipient or nothing.
const CHILD: &str = "RECORDINGS_TEST_FOLDER";
const RECIPIENT: &str = "RECORDINGS_TEST_RECIPIENT";
const CALLS: usize = 6;

/// The child. It does nothing when it runs as one of the tests.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let mut settings = settings(Path::new(&folder));
    settings.recipient = std::env::var_os(RECIPIENT).map(|key| key.to_str().unwrap().parse().unwrap());
    let (recorder, _news) = start(&settings);
    let call = |call: usize| {
        // One call keeps only its words, so no audio makes the recorder write them to the disk early.
        let keep = if call == CALLS - 1 { Keep { audio: false, ..Keep::ALL } } else { Keep::ALL };
        recorder.open(Opening { keep, ..opening(&call.to_string()) })
    };
    let mut calls: Vec<_> = (0..CALLS).map(call).collect();
    let began = clock::now();
    for batch in 0u32.. {
        // 200 ms of audio come every 200 ms, because this test depends on the pace of a call.
        thread::sleep((began + Duration::from_millis(200) * batch).saturating_duration_since(clock::now()));
        for (call, handle) in calls.iter_mut().enumerate() {
            // Some calls end, and others begin.
            if batch % 8 == 7 && call == 0 {
                let next = recorder.open(opening(&format!("0-{batch}")));
                std::mem::replace(handle, next).close(ending());
                continue;
            }
            handle.push(Entry::Sound(vec![batch as u8; 3_200].into()));
            handle.push(Entry::Delta(vec![batch as u8; 1_600].into()));
            handle.push(said(&batch.to_string(), &batch.to_string()));
        }
        println!("handed over {batch}");
        std::io::stdout().flush().unwrap();
    }
}

/// Runs a child for this time and kills it. Returns the batches that it reported, each with the time before
/// its end.
fn kill_after(settings: &RecordingSettings, lifetime: Duration) -> Vec<(u32, Duration)> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "killed::child", "--nocapture"]).env(CHILD, &settings.folder);
    if let Some(recipient) = &settings.recipient {
        command.env(RECIPIENT, recipient.to_string());
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reader = thread::spawn(move || {
        let said = lines.map_while(Result::ok).filter_map(|line| {
            let batch = line.strip_prefix("handed over ")?.parse().ok()?;
            Some((batch, clock::now()))
        });
        said.collect::<Vec<(u32, Instant)>>()
    });
    thread::sleep(lifetime);
    let killed_at = clock::now();
    child.kill().unwrap();
    child.wait().unwrap();
    reader
        .join()
        .unwrap()
        .into_iter()
        .map(|(batch, at)| (batch, killed_at.saturating_duration_since(at)))
        .collect()
}

/// Runs the whole test for one moment. Returns how long before the kill the oldest lost batch was handed
/// over.
fn killed(
    settings: &RecordingSettings,
    reader: &RecordingSettings,
    lifetime: Duration,
    bound: Duration,
) -> Duration {
    let handed_over = kill_after(settings, lifetime);
    assert!(handed_over.len() > 5, "the child did not work: {handed_over:?}");
    let library = Library::new(reader.clone());
    for (id, state) in library.list().unwrap() {
        assert_ne!(state, State::Live, "{id}: nobody is alive");
    }
    let (recorder, news) = start(reader);
    assert!(recorder.stop(PATIENCE));
    drop(news);
    let age: HashMap<u32, Duration> = handed_over.iter().copied().collect();
    let last = handed_over.last().unwrap().0;
    let mut worst = Duration::ZERO;
    for call in 1..CALLS {
        let id = id(&call.to_string());
        assert_eq!(library.state(&id).unwrap(), State::Recovered);
        let document = conversation(&library, &id);
        assert_eq!(document["end_reason"], "recovered");
        assert!(library.summary(&id).unwrap().text.contains("se interrumpió durante la llamada"));
        let words = texts(&document);
        let has_sound = call != CALLS - 1;
        let (mut heard, mut bin) = (Vec::new(), Vec::new());
        if has_sound {
            heard = sound(&library, &id);
            library.bin(&id).unwrap().read_to_end(&mut bin).unwrap();
        }
        for batch in 0..=last {
            let (of_sound, of_bin) = (batch as usize * 3_200, batch as usize * 1_600);
            let is_heard = heard.get(of_sound..of_sound + 3_200) == Some(&[batch as u8; 3_200])
                && bin.get(of_bin..of_bin + 1_600) == Some(&[batch as u8; 1_600]);
            let is_said = words.contains(&batch.to_string());
            if !is_said || (has_sound && !is_heard) {
                worst = worst.max(age[&batch]);
            }
        }
    }
    assert!(worst < bound, "lost what was {worst:?} old");
    // Calls that ended before are complete.
    if age.get(&7).is_some_and(|age| *age > bound) {
        assert_eq!(library.state(&id("0")).unwrap(), State::Finished);
    }
    assert!(
        names(&settings.folder)
            .iter()
            .all(|name| name.strip_suffix(".live").is_none() && !name.starts_with('.'))
    );
    worst
}

/// Random moments in milliseconds, about one in each second from the second one on.
fn moments(count: usize) -> Vec<u64> {
    use std::hash::{BuildHasher as _, Hasher as _};
    let chance = || std::collections::hash_map::RandomState::new().build_hasher().finish();
    (0..count as u64).map(|second| 1_600 + second * 1_100 + chance() % 1_100).collect()
}

fn killed_at_random(encrypted: bool, bound: Duration) {
    let worst: Vec<Duration> = thread::scope(|scope| {
        let runs: Vec<_> = moments(6)
            .into_iter()
            .map(|lifetime_ms| {
                scope.spawn(move || {
                    let folder = tempfile::tempdir().unwrap();
                    let keys = keys();
                    let lifetime = Duration::from_millis(lifetime_ms);
                    let (writer, reader) = if encrypted {
                        (sealed(folder.path(), &keys, false), sealed(folder.path(), &keys, true))
                    } else {
                        (settings(folder.path()), settings(folder.path()))
                    };
                    killed(&writer, &reader, lifetime, bound)
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    println!("age of the oldest thing lost: {:?} ({worst:?})", worst.iter().max());
}

#[test]
fn after_sigkill_nothing_older_than_two_seconds_is_missing() {
    killed_at_random(false, Duration::from_secs(2));
}

#[test]
fn after_sigkill_nothing_encrypted_older_than_five_seconds_is_missing() {
    killed_at_random(true, Duration::from_secs(5));
}

#[test]
fn encrypted_without_identity_it_stays_is_listed_and_completed_by_export() {
    let (folder, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let keys = keys();
    let (blind, seeing) = (sealed(folder.path(), &keys, false), sealed(folder.path(), &keys, true));
    kill_after(&blind, Duration::from_millis(4_500));
    // The identity of another key is as good as none.
    let (recorder, _news) = start(&sealed(folder.path(), &crate::scene::keys(), true));
    assert!(recorder.stop(PATIENCE));
    let (recorder, news) = start(&blind);
    assert!(recorder.stop(PATIENCE));
    let sealed_notice = news.try_iter().any(
        |news| matches!(news, RecorderReport::Notice(Notice::RecordingsSealed { count }) if count >= CALLS),
    );
    assert!(sealed_notice);
    let (library, id) = (Library::new(blind), id("1"));
    assert_eq!(library.state(&id).unwrap(), State::Recovered);
    assert!(library.facts(&id).unwrap().told.is_none());
    assert!(library.conversation(&id).is_err() && library.audio(&id, Side::Both).is_err());
    assert!(library.export(&id, target.path()).is_err());
    let paths = Library::new(seeing).export(&id, target.path()).unwrap();
    assert_eq!(paths.len(), 4, "{paths:?}");
    let exported = Library::new(settings(target.path()));
    let document = conversation(&exported, &id);
    assert_eq!((&document["end_reason"], texts(&document)[0].as_str()), (&"recovered".into(), "0"));
    assert!(sound(&exported, &id).starts_with(&[0; 3_200]));
    assert_eq!(library.state(&id).unwrap(), State::Recovered, "what was there stays");
    library.delete(&id).unwrap();
    assert!(library.state(&id).is_err());
}

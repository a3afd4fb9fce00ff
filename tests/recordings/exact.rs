//! Tests that everything that a call hands over is in its files, byte by byte and in order.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::Duration;

use openai_inbound_calls::call::latency::{Answer, Waited};
use openai_inbound_calls::call::ledger::{Bill, Tokens};
use openai_inbound_calls::call::record::{Entry, EventKind, Keep, Opening};
use openai_inbound_calls::recordings::{Library, RecorderReport, RecordingSettings, State};
use proptest::prelude::*;

use crate::scene::*;

fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![
        6 => (1..12usize, any::<u8>()).prop_map(|(frames, byte)| {
            Entry::Sound((0..frames * 320).map(|at| byte.wrapping_add(at as u8)).collect())
        }),
        1 => (1..500u64).prop_map(|frames| Entry::Silence { frames }),
        3 => (1..5_000usize, any::<u8>()).prop_map(|(bytes, byte)| Entry::Delta(vec![byte; bytes].into())),
        4 => (0..6u8, 1..100u64, prop::option::of(0..6u8)).prop_map(|(item, text, after)| Entry::Utterance {
            utterance: utterance(&format!("i{item}"), &format!("palabra {text}\n\"{item}\""), text * 10),
            after: after.map(|after| format!("i{after}").as_str().into()),
        }),
        1 => (0..6u8).prop_map(|item| Entry::Forgotten(format!("i{item}").as_str().into())),
        1 => (0..5_000u64).prop_map(|ms| Entry::Event {
            at: Duration::from_millis(ms), kind: EventKind::Tool, detail: format!("t{ms}"),
        }),
        1 => prop::option::of(0..9_000_000u64).prop_map(|cost| Entry::Usage(bill(cost))),
        1 => (0..9_000u64).prop_map(|ms| Entry::Waited(Waited::Answer(answer(Duration::from_millis(ms))))),
    ]
}

fn answer(first_frame: Duration) -> Answer {
    let none = Duration::ZERO;
    Answer { at: none, speech_stopped: none, first_delta: none, first_frame, own: none }
}

/// The expected content of the files.
#[derive(Default)]
struct Expected {
    sound: Vec<u8>,
    bin: Vec<u8>,
    deltas: u64,
    order: Vec<String>,
    texts: BTreeMap<String, String>,
    events: Vec<String>,
    bill: Option<Bill>,
    answers: Vec<Duration>,
}

impl Expected {
    fn of(entries: &[Entry]) -> Self {
        let mut expected = Self::default();
        for entry in entries {
            match entry {
                Entry::Sound(bytes) => expected.sound.extend_from_slice(bytes),
                Entry::Silence { frames } => {
                    expected.sound.resize(expected.sound.len() + *frames as usize * 320, 0xFF);
                }
                Entry::Delta(bytes) => {
                    expected.bin.extend_from_slice(bytes);
                    expected.deltas += 1;
                }
                Entry::Utterance { utterance, after } => {
                    expected.say(utterance.item.as_str(), after.as_ref().map(|after| after.as_str()));
                    expected.texts.insert(utterance.item.to_string(), utterance.text.clone());
                }
                Entry::Forgotten(item) => expected.order.retain(|known| known != item.as_str()),
                Entry::Event { detail, .. } => expected.events.push(detail.clone()),
                Entry::Usage(bill) => expected.bill = Some(bill.clone()),
                Entry::Waited(Waited::Answer(answer)) => expected.answers.push(answer.first_frame),
                Entry::Waited(_)
                | Entry::Caller(_)
                | Entry::OpenAiCall(_)
                | Entry::Tool(_)
                | Entry::Report(_) => {
                    unreachable!("not among them")
                }
            }
        }
        expected
    }

    /// The rule of `call::transcript`, written in another way.
    fn say(&mut self, item: &str, after: Option<&str>) {
        let is_known = self.order.iter().any(|known| known == item);
        let follows = after.filter(|after| *after != item && self.order.iter().any(|known| known == after));
        match follows {
            Some(after) => {
                self.order.retain(|known| known != item);
                let place = self.order.iter().position(|known| known == after).unwrap() + 1;
                self.order.insert(place, item.to_owned());
            }
            None if !is_known => self.order.push(item.to_owned()),
            None => {}
        }
    }

    fn texts(&self) -> Vec<String> {
        self.order.iter().map(|item| self.texts[item].clone()).collect()
    }
}

/// A bill as the document should show it.
fn usage(bill: &Bill) -> serde_json::Value {
    let tokens = |tokens: Tokens| {
        serde_json::json!({
            "text_in": tokens.text_in, "audio_in": tokens.audio_in, "cached_text_in": tokens.cached_text_in,
            "cached_audio_in": tokens.cached_audio_in, "text_out": tokens.text_out, "audio_out": tokens.audio_out,
        })
    };
    serde_json::json!({
        "tokens": tokens(bill.conversation),
        "transcription": {"seconds": bill.transcribed.get() as f64 / 1e3, "tokens": tokens(bill.transcription)},
        "cost_usd": bill.cost.map(|cost| cost.get() as f64 / 1e6),
        "estimated": bill.estimated,
        "prices_dated": "2026-11-20",
    })
}

fn check(settings: &RecordingSettings, reader: &RecordingSettings, entries: Vec<Entry>) {
    let expected = Expected::of(&entries);
    let (recorder, news) = start(settings);
    let mut handle = recorder.open(opening("17.3"));
    for entry in entries {
        handle.push(entry);
    }
    handle.close(ending());
    assert!(recorder.stop(PATIENCE));
    let news: Vec<RecorderReport> = news.try_iter().collect();
    assert!(matches!(&news[..], [RecorderReport::Opened(_), RecorderReport::Finished(_)]), "{news:?}");
    let (library, id) = (Library::new(reader.clone()), id("17.3"));
    assert!(sound(&library, &id) == expected.sound);
    let mut bin = Vec::new();
    library.bin(&id).unwrap().read_to_end(&mut bin).unwrap();
    assert!(bin == expected.bin);
    let document = conversation(&library, &id);
    assert_eq!(document["audio_chunks_count"], expected.deltas);
    assert_eq!(texts(&document), expected.texts());
    let events: Vec<_> =
        document["events"].as_array().unwrap().iter().map(|row| row["detail"].as_str()).collect();
    assert_eq!(events, expected.events.iter().map(|detail| Some(&**detail)).collect::<Vec<_>>());
    let waited = document["latency"]["turns"].as_array().unwrap().iter();
    let waited = waited.map(|row| Duration::from_millis(row["first_frame_ms"].as_u64().unwrap()));
    assert_eq!(waited.collect::<Vec<_>>(), expected.answers);
    assert_eq!(document["usage"], expected.bill.map_or(serde_json::Value::Null, |bill| usage(&bill)));
    let RecorderReport::Finished(facts) = &news[1] else { unreachable!() };
    assert_eq!(*facts, library.facts(&id).unwrap(), "what an index is told is what the files tell");
    assert_eq!(library.list().unwrap(), [(id, State::Finished)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_byte_and_word_of_random_calls_is_at_its_place(entries in prop::collection::vec(entry(), 0..25)) {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        check(&settings, &settings, entries);
    }

    #[test]
    fn encrypted_ones_too_though_the_daemon_cannot_read_them(entries in prop::collection::vec(entry(), 0..25)) {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys();
        let words: Vec<_> = entries.iter().filter(|entry| matches!(entry, Entry::Utterance { .. })).collect();
        let has_words = !words.is_empty();
        check(&sealed(folder.path(), &keys, false), &sealed(folder.path(), &keys, true), entries);
        for name in names(folder.path()) {
            prop_assert!(name.strip_suffix(".age").is_some(), "{}", name);
            let bytes = std::fs::read(folder.path().join(&name)).unwrap();
            prop_assert!(bytes.starts_with(b"age-encryption.org/v1\n"));
            prop_assert!(!has_words || !bytes.windows(7).any(|bytes| bytes == b"palabra"));
        }
    }
}

#[test]
fn only_what_is_to_be_kept_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, _news) = start(&settings(folder.path()));
    let all = [
        Entry::Event { at: Duration::from_millis(250), kind: EventKind::MediaStarted, detail: String::new() },
        Entry::Event { at: Duration::from_millis(300), kind: EventKind::Key, detail: "5".into() },
        Entry::Sound(vec![1; 320].into()),
        Entry::Delta(vec![1; 320].into()),
        Entry::Utterance { utterance: utterance("a", "hola", 1_250), after: None },
        Entry::Usage(bill(Some(5))),
    ];
    let nothing = Keep::NOTHING;
    for (channel, keep) in [
        ("audio", Keep { audio: true, ..nothing }),
        ("words", Keep { transcript: true, ..nothing }),
        ("events", Keep { events: true, ..nothing }),
        ("nothing", nothing),
    ] {
        let mut handle = recorder.open(Opening { keep, ..opening(channel) });
        for entry in &all {
            handle.push(entry.clone());
        }
        handle.close(ending());
    }
    assert!(recorder.stop(PATIENCE));
    let library = Library::new(settings(folder.path()));
    let mut names = names(folder.path());
    names.retain(|name| name.contains("audio"));
    let of_audio = ["_audio.bin", "_audio.wav", "_conversation.json", "_summary.txt"];
    assert_eq!(names, of_audio.map(|suffix| format!("{}{suffix}", id("audio"))));
    assert_eq!(library.list().unwrap().len(), 3, "of nothing there is nothing");
    let (of_audio, words, events) = (
        conversation(&library, &id("audio")),
        conversation(&library, &id("words")),
        conversation(&library, &id("events")),
    );
    assert_eq!(texts(&of_audio), [""; 0]);
    assert_eq!(texts(&words), ["hola"]);
    assert_eq!(words["conversation"][0]["start_ms"], 1_000, "the sound's zero is known without events");
    for document in [&of_audio, &words, &events] {
        assert_eq!(document["usage"], usage(&bill(Some(5))), "what it cost is always kept");
    }
    assert_eq!(events["events"].as_array().unwrap().len(), 2);
}

#[test]
fn a_call_that_panicked_leaves_an_internal_error_and_one_at_the_stop_a_shutdown() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, _news) = start(&settings(folder.path()));
    let mut handle = recorder.open(opening("panicked"));
    handle.push(Entry::Sound(vec![1; 3_200].into()));
    drop(handle);
    let mut running = recorder.open(opening("running"));
    running.push(said("a", "hola"));
    assert!(recorder.stop(PATIENCE));
    drop(running);
    let library = Library::new(settings(folder.path()));
    let (panicked, running) =
        (conversation(&library, &id("panicked")), conversation(&library, &id("running")));
    assert_eq!((&panicked["end_reason"], &running["end_reason"]), (&"internal".into(), &"shutdown".into()));
    assert_eq!(panicked["duration_seconds"], 0.2);
    assert_eq!(texts(&running), ["hola"]);
}

#[test]
fn calls_of_the_same_name_and_second_do_not_overwrite_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, _news) = start(&settings(folder.path()));
    let mut first = recorder.open(opening("17.3"));
    let mut second = recorder.open(opening("17.3"));
    first.push(said("a", "uno"));
    second.push(said("a", "dos"));
    first.close(ending());
    second.close(ending());
    assert!(recorder.stop(PATIENCE));
    let (recorder, _news) = start(&settings(folder.path()));
    recorder.open(opening("17.3")).close(ending());
    assert!(recorder.stop(PATIENCE));
    let library = Library::new(settings(folder.path()));
    let ids: Vec<_> = library.list().unwrap().into_iter().map(|(id, _)| id.call_id().to_owned()).collect();
    assert_eq!(ids, ["17.3-3", "17.3-2", "17.3"]);
    assert_eq!(texts(&conversation(&library, &id("17.3"))), ["uno"]);
}

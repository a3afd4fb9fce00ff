//! What the tests share: keys, settings, a call, and the content of its files.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use openai_inbound_calls::call::ledger::{Bill, Tokens};
use openai_inbound_calls::call::record::{Ending, Entry, Keep, Opening};
use openai_inbound_calls::call::transcript::{Speaker, Utterance};
use openai_inbound_calls::clock;
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::operator::Language;
use openai_inbound_calls::recordings::{
    Identity, Library, Recorder, RecorderReport, RecordingId, RecordingSettings, Side,
};
use openai_inbound_calls::units::{MicroUsd, Milliseconds};

/// The time limit of a wait: longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A key pair as text.
pub(crate) struct Keys {
    pub(crate) secret: String,
    pub(crate) public: String,
}

pub(crate) fn keys() -> Keys {
    use age::secrecy::ExposeSecret as _;
    let key = age::x25519::Identity::generate();
    Keys { secret: key.to_string().expose_secret().to_owned(), public: key.to_public().to_string() }
}

pub(crate) fn settings(folder: &Path) -> RecordingSettings {
    RecordingSettings {
        folder: folder.to_owned(),
        keep: Keep::ALL,
        language: Language::Spanish,
        recipient: None,
        identity: None,
        retention_days: None,
    }
}

/// The same settings with encryption, and with the identity if `reads` is true.
pub(crate) fn sealed(folder: &Path, keys: &Keys, reads: bool) -> RecordingSettings {
    let identity = reads.then(|| Arc::new(keys.secret.parse::<Identity>().unwrap()));
    RecordingSettings { recipient: Some(keys.public.parse().unwrap()), identity, ..settings(folder) }
}

pub(crate) fn start(settings: &RecordingSettings) -> (Recorder, Receiver<RecorderReport>) {
    let (sender, news) = mpsc::channel();
    let tell = move |said| drop(sender.send(said));
    (Recorder::start(settings.clone(), clock::now, tell).unwrap(), news)
}

/// A call that began at a fixed time.
pub(crate) fn opening(channel: &str) -> Opening {
    Opening {
        channel: channel.into(),
        caller: "+34 600-111-222".into(),
        called: "900".into(),
        model: "gpt-realtime-2.1".into(),
        agent: "default".into(),
        agent_version: "3f9a2c01b7de".into(),
        started: chrono::DateTime::parse_from_rfc3339("2025-10-20T14:30:25.123456-05:00").unwrap(),
        keep: Keep::ALL,
    }
}

pub(crate) fn id(channel: &str) -> RecordingId {
    RecordingId::new(opening(channel).started, channel)
}

pub(crate) fn ending() -> Ending {
    Ending { reason: EndReason::CallerHungUp, duration: Duration::from_millis(285_500), interruptions: 0 }
}

pub(crate) fn utterance(item: &str, text: &str, began_ms: u64) -> Utterance {
    Utterance {
        item: item.into(),
        speaker: Speaker::Caller,
        text: text.into(),
        began: Some(Duration::from_millis(began_ms)),
        ended: Some(Duration::from_millis(began_ms + 100)),
        heard: None,
        awaits_words: false,
        said: None,
        flaw: None,
    }
}

pub(crate) fn said(item: &str, text: &str) -> Entry {
    Entry::Utterance { utterance: utterance(item, text, 0), after: None }
}

/// A bill of this cost in micro-USD. All of its counts differ.
pub(crate) fn bill(cost: Option<u64>) -> Bill {
    let tokens = |first| Tokens {
        text_in: first,
        audio_in: first + 1,
        cached_text_in: first + 2,
        cached_audio_in: first + 3,
        text_out: first + 4,
        audio_out: first + 5,
    };
    Bill {
        conversation: tokens(cost.unwrap_or(7)),
        transcription: tokens(11),
        transcribed: Milliseconds::new(12_345),
        cost: cost.map(MicroUsd::new),
        at_least: MicroUsd::new(cost.unwrap_or(0)),
        estimated: cost.is_none(),
        prices_dated: "2026-11-20".into(),
    }
}

/// The audio of a recording without its header.
pub(crate) fn sound(library: &Library, id: &RecordingId) -> Vec<u8> {
    let mut bytes = Vec::new();
    library.audio(id, Side::Both).unwrap().read_to_end(&mut bytes).unwrap();
    bytes.split_off(58)
}

pub(crate) fn conversation(library: &Library, id: &RecordingId) -> serde_json::Value {
    serde_json::from_str(&library.conversation(id).unwrap().text).unwrap()
}

pub(crate) fn texts(conversation: &serde_json::Value) -> Vec<String> {
    let rows = conversation["conversation"].as_array().unwrap();
    rows.iter().map(|row| row["text"].as_str().unwrap().to_owned()).collect()
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

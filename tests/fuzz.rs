//! Replays the fuzz corpus, and throws some random bytes at the same bodies: what `cargo fuzz` explores, kept
//! compiling and held in every run.

#[path = "fuzz/bodies.rs"]
mod bodies;

use std::path::Path;

use proptest::prelude::*;

/// Every file of a target's corpus; there must be some.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let files: Vec<_> = std::fs::read_dir(&folder)
        .expect("the corpus is in the repository")
        .map(|entry| std::fs::read(entry.expect("a readable folder").path()).expect("a readable file"))
        .collect();
    assert!(!files.is_empty(), "no corpus in {}", folder.display());
    files
}

#[test]
fn the_corpus_is_survived() {
    for bytes in corpus("rtp") {
        bodies::rtp(&bytes);
    }
    for bytes in corpus("ari_event") {
        bodies::ari_event(&bytes);
    }
    for bytes in corpus("realtime_event") {
        bodies::realtime_event(&bytes);
    }
    for bytes in corpus("call") {
        bodies::call(&bytes);
    }
}

#[test]
fn every_line_of_the_corpus_is_an_event_or_is_meant_not_to_be() {
    for bytes in corpus("realtime_event") {
        let text = String::from_utf8(bytes).expect("text");
        let read = openai_inbound_calls::realtime::server::parse(&text);
        assert_eq!(read.is_ok(), !text.contains("malformed"), "{text}: {read:?}");
    }
}

/// A part of some corpus file with bytes changed: nearer to the interesting cases than pure chance.
fn mutated(target: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let files = corpus(target);
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12);
    (any::<prop::sample::Index>(), changes, any::<prop::sample::Index>()).prop_map(
        move |(file, changes, end)| {
            let mut bytes = files[file.index(files.len())].clone();
            for (at, byte) in changes {
                let at = at.index(bytes.len().max(1));
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            bytes.truncate(bytes.len() - end.index(bytes.len() / 4 + 1));
            bytes
        },
    )
}

proptest! {
    #[test]
    fn mutated_datagrams_are_survived(bytes in mutated("rtp")) {
        bodies::rtp(&bytes);
    }

    #[test]
    fn mutated_ari_events_are_survived(bytes in mutated("ari_event")) {
        bodies::ari_event(&bytes);
    }

    #[test]
    fn mutated_realtime_events_are_survived(bytes in mutated("realtime_event")) {
        bodies::realtime_event(&bytes);
    }

    #[test]
    fn a_call_survives_any_world(bytes in mutated("call")) {
        bodies::call(&bytes);
    }
}

//! A call of the real daemon leaves its recording.

use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, Script, pattern};
use serde_json::Value;

use super::world::{World, ms, until};

fn loud(sound: impl Iterator<Item = u8>) -> Vec<u8> {
    sound.filter(|byte| *byte != 0xFF).collect()
}

#[tokio::test]
async fn a_call_leaves_its_sound_its_words_and_a_summary() {
    let world = World::new(Script {
        greeting: Some(Answer::pattern("Hola.", 1_000, 1)),
        answers: vec![Answer::pattern("Bien.", 1_000, 2)],
        transcripts: vec!["¿Qué tal?".to_owned()],
        ..Script::default()
    });
    let daemon = world.daemon().await;
    let wait = Step::WaitForSilence { quiet: ms(500), at_most: ms(6_000) };
    let speech = Step::WaitForSpeech { at_most: ms(6_000) };
    let steps =
        vec![speech.clone(), wait.clone(), Step::Say(pattern(1_000, 100)), speech, wait, Step::HangUp];
    let call = world.call(steps);
    world.over(call).await;
    let of_call = |suffix: &str| {
        let files = std::fs::read_dir(world.recordings.path()).expect("the folder");
        files.flatten().map(|file| file.path()).find(|path| path.to_string_lossy().ends_with(suffix))
    };
    until("the recording is there", || of_call("_conversation.json").is_some()).await;
    let read = |suffix: &str| std::fs::read(of_call(suffix).expect("the file")).expect("readable");

    let wav = read("_audio.wav");
    let side = |side: usize| loud(wav[58..].iter().skip(side).step_by(2).copied());
    assert!(side(0) == *pattern(1_000, 100), "the caller is on the left");
    assert!(side(1) == [pattern(1_000, 1), pattern(1_000, 2)].concat(), "the assistant on the right");
    assert!(read("_audio.bin") == [pattern(1_000, 1), pattern(1_000, 2)].concat());

    let conversation: Value = serde_json::from_slice(&read("_conversation.json")).expect("JSON");
    let said: Vec<_> = conversation["conversation"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| {
            (
                one["speaker"].as_str().expect("who"),
                one["text"].as_str().expect("what"),
                one["type"].as_str().expect("a type"),
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            ("assistant", "Hola.", "transcript_delta"),
            ("user", "¿Qué tal?", "transcript_completed"),
            ("assistant", "Bien.", "transcript_delta"),
        ]
    );
    assert_eq!(conversation["total_messages"], 3);
    assert_eq!(conversation["end_reason"], "caller_hung_up");
    let summary = String::from_utf8(read("_summary.txt")).expect("text");
    assert!(summary.contains("¿Qué tal?") && summary.contains("Bien."), "{summary}");
    daemon.stop().await;
}

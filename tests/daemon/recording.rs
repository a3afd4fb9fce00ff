//! Tests the recording that a call of the real daemon leaves.

use std::sync::Arc;

use openai_inbound_calls::clock::chance;
use openai_inbound_calls::sim::caller::Step;
use openai_inbound_calls::sim::realtime::{Answer, Script, pattern};
use reqwest::Method;
use serde_json::Value;

use super::api::Api;
use super::world::{World, ms, until};

/// The samples of one side that are not silence.
pub(crate) fn loud(sound: impl Iterator<Item = u8>) -> Vec<u8> {
    sound.filter(|byte| *byte != 0xFF).collect()
}

/// The conversation and the WAV file of every recording. No recording is unfinished.
pub(crate) fn documents(world: &World) -> Vec<(Value, Vec<u8>)> {
    let names = std::fs::read_dir(world.recordings.path()).expect("the folder");
    let names: Vec<_> =
        names.flatten().map(|entry| entry.file_name().into_string().expect("UTF-8")).collect();
    assert!(!names.iter().any(|name| name.strip_suffix(".live").is_some()), "unfinished: {names:?}");
    let read = |name: String| std::fs::read(world.recordings.path().join(name)).expect("readable");
    let ids = names.iter().filter_map(|name| name.strip_suffix("_conversation.json"));
    ids.map(|id| {
        let conversation = read(format!("{id}_conversation.json"));
        (serde_json::from_slice(&conversation).expect("JSON"), read(format!("{id}_audio.wav")))
    })
    .collect()
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_shows_a_running_call_and_gives_and_deletes_what_it_left() {
    let world = World::new(Script::default());
    let program = world.program(&[]).await;
    let api = Api::of(&program).await;
    let call = world.call(vec![Step::Pause(ms(60_000))]);
    let live = api.only("live").await;
    let one = format!("/recordings/{}", live["id"].as_str().expect("an id"));
    assert_eq!(api.ask(Method::DELETE, &one, None).await.status, 409, "its call is running");
    world.asterisk.hang_up(call);
    world.over(call).await;
    assert_eq!(api.only("finished").await["id"], live["id"]);
    let conversation = api.get(&format!("{one}/conversation")).await;
    assert_eq!((conversation.status, &conversation.json()["end_reason"]), (200, &"caller_hung_up".into()));
    assert_eq!(api.get(&format!("{one}/summary")).await.status, 200);
    assert_eq!(api.get("/health").await.status, 200);
    assert_eq!(api.ask(Method::DELETE, &one, None).await.status, 204);
    assert_eq!(api.get(&one).await.status, 404);
}

/// The number of calls that run when the daemon is killed.
const KILLED_CALLS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_at_any_moment_the_next_start_completes_the_recordings() {
    for _ in 0..3 {
        // The number of frames of the greeting, 20 ms each; at most five seconds.
        let frames = 20 + chance() % 230;
        println!("killed after {frames} frames");
        let greeting = |n: usize| Answer::pattern("Hola.", 20_000, 1 + n as u8);
        let script = move |n| Arc::new(Script { greeting: Some(greeting(n)), ..Script::default() });
        let world = World::choosing(script);
        let mut first = world.program(&[]).await;
        let calls: Vec<_> = (0..KILLED_CALLS).map(|_| world.call(vec![Step::Pause(ms(60_000))])).collect();
        let loud_frames = |call| world.asterisk.phone(call, |phone| phone.statistics().loud);
        until("a while of every greeting is heard", || calls.iter().all(|call| loud_frames(*call) > frames))
            .await;
        first.signal("KILL");
        // Until the daemon is dead, the recordings belong to it.
        first.exit().await;
        let heard: Vec<_> = calls.iter().map(|call| loud_frames(*call) as usize * 160).collect();
        let second = world.program(&[]).await;
        let api = Api::of(&second).await;
        for (call, heard) in calls.into_iter().zip(heard) {
            completed(&world, &api, &world.asterisk.outcome(call).channel, heard).await;
        }
    }
}

/// The recording of a call that a kill cut off is there, up to two seconds before the kill.
async fn completed(world: &World, api: &Api, channel: &str, heard: usize) {
    let recording = api.recovered(channel).await;
    let id = recording["id"].as_str().expect("an id");
    let file = |part: &str| world.recordings.path().join(format!("{id}_{part}"));
    // The recording is listed from its folder until its files are made. This file is the last one.
    until("the recording is completed", || file("conversation.json").exists()).await;
    let wav = std::fs::read(file("audio.wav")).expect("the sound");
    let recorded = loud(wav[58..].iter().skip(1).step_by(2).copied());
    let is_of = |tag: u8| recorded == pattern(20_000, tag)[..recorded.len()];
    assert!((1..=KILLED_CALLS as u8).any(is_of), "what is there is what was heard");
    assert!(recorded.len() + 2 * 8_000 >= heard, "{} of {heard} bytes", recorded.len());
    let conversation = api.get(&format!("/recordings/{id}/conversation")).await;
    assert_eq!(conversation.json()["end_reason"], "recovered");
}

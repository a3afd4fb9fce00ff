//! Tests of the caller: turns, interruptions, transcripts and pace.

use super::*;

#[test]
fn a_turn_becomes_an_item_a_response_and_a_transcript() {
    let mut world = World::configured(Script::default());
    world.hear(1_000, &SILENCE);
    assert_eq!(world.take(), [""; 0]);
    world.hear(1_000, &NOISE);
    assert_eq!(world.take(), ["input_audio_buffer.speech_started"]);
    assert_eq!(world.last("input_audio_buffer.speech_started")["audio_start_ms"], 700);
    world.hear(520, &SILENCE);
    assert_eq!(
        world.take(),
        [
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "response.created"
        ]
    );
    assert_eq!(world.last("input_audio_buffer.speech_stopped")["audio_end_ms"], 2_500);
    assert_eq!(world.last("input_audio_buffer.committed")["previous_item_id"], Value::Null);
    let item = world.last("conversation.item.added");
    assert_eq!(item["item"]["content"], json!([{"type": "input_audio", "transcript": null}]));
    world.hear(2_000, &SILENCE);
    let transcript = world.last("conversation.item.input_audio_transcription.completed");
    assert_eq!(transcript["item_id"], "item_u1");
    assert_eq!(transcript["transcript"], "Quiero hablar con ventas.");
    assert_eq!(transcript["languages"], json!([{"code": "es"}]));
    assert_eq!(transcript["usage"], json!({"type": "duration", "seconds": 1.8}));
    let conversation = world.session.conversation();
    let told: Vec<(Role, &str)> = conversation.iter().map(|item| (item.role, item.text.as_str())).collect();
    assert_eq!(told, [(Role::User, "Quiero hablar con ventas."), (Role::Assistant, "Le paso con ventas.")]);
    assert_eq!(world.violations(), [""; 0]);
}

#[test]
fn without_audio_a_turn_never_ends() {
    let mut world = World::configured(Script { dialect: Dialect::Ga, ..Script::default() });
    world.hear(500, &NOISE);
    world.pass(60_000);
    assert_eq!(world.take(), ["input_audio_buffer.speech_started"]);
}

#[test]
fn an_interruption_cancels_the_response() {
    let script = Script { burst: 1.0, vad: VadScript::Turns(vec![(1_000, 1_400)]), ..Script::default() };
    let mut world = World::configured(script);
    world.send(&create());
    world.hear(1_020, &SILENCE);
    let done = world.last("response.done");
    assert_eq!(done["response"]["status"], "cancelled");
    assert_eq!(done["response"]["status_details"], json!({"type": "cancelled", "reason": "turn_detected"}));
    assert_eq!(done["response"]["output"][0]["status"], "incomplete");
    let names = world.take();
    assert!(
        names.iter().position(|name| name.ends_with("speech_started"))
            < names.iter().position(|name| name == "response.done")
    );
    world.session.report_playout("item_1", 640);
    world.send(&json!({"type": "conversation.item.truncate", "item_id": "item_1", "content_index": 0, "audio_end_ms": 600}));
    assert_eq!(world.last("conversation.item.truncated")["audio_end_ms"], 600);
    world.hear(2_000, &SILENCE);
    assert_eq!(world.last("input_audio_buffer.committed")["previous_item_id"], "item_1");
    let conversation = world.session.conversation();
    assert_eq!((conversation[0].truncated_ms, conversation[0].text.as_str()), (Some(600), ""));
    assert_eq!(world.violations(), [""; 0]);

    world.send(&json!({"type": "response.cancel"}));
    world.send(&json!({"type": "response.cancel"}));
    assert_eq!(world.violations().len(), 0, "the second response was active, and then the cancels crossed");
}

#[test]
fn to_cancel_what_the_server_cancels_is_undisciplined() {
    let script = Script { burst: 1.0, vad: VadScript::Turns(vec![(1_000, 1_400)]), ..Script::default() };
    let mut world = World::configured(script);
    world.send(&create());
    world.hear(1_020, &SILENCE);
    world.send(&json!({"type": "response.cancel"}));
    assert_eq!(world.violations(), ["response.cancel although the server cancels by itself (27)"]);
}

#[test]
fn a_terse_interruption_is_that_of_appendix_a() {
    let vad = VadScript::Turns(vec![(1_000, 1_400)]);
    let mut world = World::configured(Script { burst: 1.0, vad, terse_cancel: true, ..Script::default() });
    world.send(&create());
    world.hear(1_000, &SILENCE);
    world.take();
    world.hear(20, &SILENCE);
    assert_eq!(world.take(), ["input_audio_buffer.speech_started", "response.done"]);
}

#[test]
fn create_and_interrupt_are_honoured() {
    let script = Script { burst: 1.0, vad: VadScript::Turns(vec![(1_000, 1_400)]), ..Script::default() };
    let mut world = World::configured(script);
    let vad = json!({"type": "server_vad", "create_response": false, "interrupt_response": false});
    world.send(&json!({"type": "session.update", "session": {
        "type": "realtime", "audio": {"input": {"turn_detection": vad}}}}));
    world.send(&create());
    world.hear(4_000, &SILENCE);
    assert_eq!(world.last("response.done")["response"]["status"], "completed");
    assert_eq!(world.all("response.created").len(), 1);
    assert_eq!(world.all("input_audio_buffer.committed").len(), 1);
}

#[test]
fn a_silent_caller_is_prompted() {
    let mut world = World::configured(Script::default());
    let vad = json!({"type": "server_vad", "idle_timeout_ms": 5_000});
    world.send(&json!({"type": "session.update", "session": {
        "type": "realtime", "audio": {"input": {"turn_detection": vad}}}}));
    world.send(&create());
    world.hear(10_000, &SILENCE);
    let idle = world.when("input_audio_buffer.timeout_triggered");
    assert!((7_300..=7_340).contains(&idle), "300 ms to think, 2 s to play, 5 s of patience: {idle}");
    assert_eq!(world.all("response.created").len(), 2);
    assert_eq!(world.last("input_audio_buffer.committed")["item_id"], "item_u1");
}

#[test]
fn turns_by_hand() {
    let mut world = World::configured(Script::default());
    world.send(&json!({"type": "session.update", "session": {
        "type": "realtime", "audio": {"input": {"turn_detection": null}}}}));
    world.take();
    let (code, message, _) = world.refused(&json!({"type": "input_audio_buffer.commit"}));
    assert_eq!(code, "input_audio_buffer_commit_empty");
    assert_eq!(
        message,
        "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but buffer only has 0.00ms of audio."
    );
    world.hear(300, &NOISE);
    world.send(&json!({"type": "input_audio_buffer.clear"}));
    world.hear(100, &NOISE);
    world.send(&json!({"type": "input_audio_buffer.commit"}));
    assert_eq!(
        world.take(),
        [
            "error",
            "input_audio_buffer.cleared",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done"
        ]
    );
    assert_eq!(world.session.conversation()[0].audio_ms, 100);
}

#[test]
fn a_commit_under_vad_is_undisciplined() {
    let mut world = World::configured(Script::default());
    world.hear(200, &SILENCE);
    world.send(&json!({"type": "input_audio_buffer.commit"}));
    assert_eq!(world.violations(), ["commit while the VAD commits by itself (22)"]);
}

#[test]
fn appends_are_judged() {
    let mut world = World::configured(Script::default());
    for audio in [json!(""), json!(null), json!(7)] {
        let (code, message, param) =
            world.refused(&json!({"type": "input_audio_buffer.append", "audio": audio}));
        assert_eq!((code.as_str(), param.as_str()), ("invalid_value", "audio"));
        assert!(message.ends_with("but got empty bytes."), "{message}");
    }
    for audio in ["?", "QQ", "QUJD\n"] {
        let (_, message, _) = world.refused(&json!({"type": "input_audio_buffer.append", "audio": audio}));
        assert!(message.ends_with("but got an invalid value."), "{message}");
    }
    let (code, _, param) =
        world.refused(&json!({"type": "input_audio_buffer.append", "audio": "QUJD", "x": 1}));
    assert_eq!((code.as_str(), param.as_str()), ("unknown_parameter", "x"));
    let before = world.violations().len();
    world.append(&[0xFF; 161]);
    world.append(&[0xFF; 161]);
    assert_eq!(world.violations()[before..], ["append of something else than whole frames of 20 ms (20)"]);
    assert_eq!(world.session.appended().len(), 322);

    let huge = "A".repeat(15 * 1024 * 1024 / 3 * 4 + 4);
    assert_eq!(
        world.refused(&json!({"type": "input_audio_buffer.append", "audio": huge})).0,
        "invalid_value"
    );
}

#[test]
fn audio_before_the_update_is_undisciplined() {
    let mut world = World::with(Script::default());
    world.append(&[0xFF; 960]);
    world.append(&[0xFF; 960]);
    assert_eq!(world.violations(), ["append before session.updated (18)"]);
}

#[test]
fn the_first_flush_is_exempt_and_the_pace_is_not() {
    let mut world = World::configured(Script::default());
    world.append(&vec![0xFF; 160 * 150]);
    world.hear(10_000, &SILENCE);
    assert_eq!(world.violations(), [""; 0]);
    world.append(&vec![0xFF; 160 * 150]);
    assert_eq!(world.violations(), ["audio appended at 245 % of real time over 2 s (20)"]);
    world.hear(3_000, &SILENCE);
    world.pass(4_100);
    assert_eq!(world.violations().len(), 2, "{:?}", world.violations());
}

#[test]
fn kept_audio_and_journal_are_optional() {
    let mut world = World::configured(Script { keep_audio: false, keep_journal: false, ..Script::default() });
    world.hear(1_000, &NOISE);
    assert!(world.session.appended().is_empty() && world.session.journal().is_empty());
}

#[test]
fn semantic_vad_waits_half_a_second() {
    let mut world = World::configured(Script::default());
    let vad = json!({"type": "semantic_vad", "eagerness": "low"});
    world.send(&json!({"type": "session.update", "session": {
        "type": "realtime", "audio": {"input": {"turn_detection": vad}}}}));
    world.hear(1_000, &NOISE);
    world.hear(1_000, &SILENCE);
    assert_eq!(world.last("input_audio_buffer.speech_stopped")["audio_end_ms"], 1_500);
}

/// A session with a response in progress that the caller interrupts after a second.
fn interrupted(create_response: bool, interrupt_response: bool) -> World {
    let script = Script { burst: 1.0, vad: VadScript::Turns(vec![(1_000, 1_100)]), ..Script::default() };
    let mut world = World::configured(script);
    let vad = json!({"type": "server_vad", "create_response": create_response,
        "interrupt_response": interrupt_response});
    world.send(&json!({"type": "session.update", "session": {
        "type": "realtime", "audio": {"input": {"turn_detection": vad}}}}));
    world.send(&create());
    world.hear(3_000, &SILENCE);
    world
}

#[test]
fn create_and_interrupt_are_two_things() {
    let world = interrupted(false, true);
    assert_eq!(world.last("response.done")["response"]["status"], "cancelled");
    assert_eq!(world.all("response.created").len(), 1);

    let world = interrupted(true, false);
    assert_eq!(world.last("response.done")["response"]["status"], "completed");
    assert_eq!(world.last("error")["error"]["code"], "conversation_already_has_active_response");
    assert_eq!(world.violations(), [""; 0], "that is the server's own doing");
}

#[test]
fn a_caller_who_has_spoken_is_not_prompted() {
    let mut world =
        World::configured(Script { vad: VadScript::Turns(vec![(4_000, 4_500)]), ..Script::default() });
    let vad = json!({"type": "server_vad", "idle_timeout_ms": 5_000, "create_response": false});
    world.send(&json!({"type": "session.update", "session": {
        "type": "realtime", "audio": {"input": {"turn_detection": vad}}}}));
    world.send(&create());
    world.hear(10_000, &SILENCE);
    assert_eq!(world.all("input_audio_buffer.timeout_triggered").len(), 0);
}

#[test]
fn an_interruption_may_come_after_the_last_delta() {
    let mut world = World::configured(Script { burst: 1.0, ..Script::default() });
    world.send(&create());
    world.pass(300 + 1_900);
    world.take();
    world.send(&json!({"type": "response.cancel"}));
    assert_eq!(world.take()[0], "response.output_audio.done");
    assert_eq!(world.last("response.done")["response"]["output"][0]["status"], "incomplete");
    assert_eq!(world.sound("item_1", "response.output_audio.delta").len(), 16_000);
}

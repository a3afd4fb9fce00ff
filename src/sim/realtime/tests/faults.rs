//! Tests of each fault.

use super::*;

fn faulty(trigger: Trigger, kind: FaultKind) -> Script {
    Script { faults: vec![Fault::new(trigger, kind)], ..Script::default() }
}

/// A caller who says two things, a second each, with time for the answers.
fn two_turns(script: Script) -> World {
    let vad = VadScript::Turns(vec![(500, 1_500), (6_000, 7_000)]);
    let transcripts = vec!["Uno".to_owned(), "Dos".to_owned()];
    let mut world = World::configured(Script { transcripts, vad, ..script });
    world.hear(12_000, &SILENCE);
    world
}

fn transcripts(world: &World) -> Vec<(String, String)> {
    let all = world.all("conversation.item.input_audio_transcription.completed");
    let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    all.iter().map(|event| (text(event, "item_id"), text(event, "transcript"))).collect()
}

#[test]
fn transcripts_go_astray() {
    let pairs = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        list.iter().map(|(item, text)| ((*item).to_owned(), (*text).to_owned())).collect()
    };
    let (one, two) = (("item_u1", "Uno"), ("item_u2", "Dos"));
    let turn = Trigger::OnTurn(1);
    assert_eq!(transcripts(&two_turns(Script::default())), pairs(&[one, two]));
    assert_eq!(transcripts(&two_turns(faulty(turn, FaultKind::TranscriptNever))), pairs(&[two]));
    assert_eq!(
        transcripts(&two_turns(faulty(turn, FaultKind::TranscriptEmpty))),
        pairs(&[("item_u1", ""), two])
    );
    assert_eq!(transcripts(&two_turns(faulty(turn, FaultKind::TranscriptAfterNext))), pairs(&[two, one]));
    let late = FaultKind::TranscriptLate(Duration::from_secs(8));
    assert_eq!(transcripts(&two_turns(faulty(turn, late))), pairs(&[two, one]));
    assert_eq!(transcripts(&two_turns(faulty(Trigger::OnConnect, FaultKind::TranscriptNever))), []);
    let failed = two_turns(faulty(turn, FaultKind::TranscriptFailed));
    assert_eq!(transcripts(&failed), pairs(&[two]));
    let failure = failed.last("conversation.item.input_audio_transcription.failed");
    assert_eq!(failure["item_id"], "item_u1");
    assert_eq!(failed.violations(), [""; 0]);
}

#[test]
fn a_false_start_is_not_committed() {
    let world = two_turns(faulty(Trigger::OnTurn(1), FaultKind::FalseStart));
    assert_eq!(world.all("input_audio_buffer.speech_stopped").len(), 2);
    assert_eq!(world.all("input_audio_buffer.committed").len(), 1);
    assert_eq!(world.last("input_audio_buffer.committed")["item_id"], "item_u2");
}

#[test]
fn strangers_are_sprinkled_in() {
    let world = two_turns(faulty(Trigger::OnConnect, FaultKind::Unknowns));
    let known = world.last("response.done");
    assert!(known.get("obfuscation").is_some() && known.get("x_unheard_of").is_some());
    assert_eq!(world.last("response.output_item.done")["item"]["phase"], "commentary");
    let strange = ["ping", "response.unheard_of.delta", "conversation.item.phase"];
    assert!(strange.iter().any(|kind| !world.all(kind).is_empty()));
    assert_eq!(world.all("response.done").len(), 2);
}

#[test]
fn acks_are_not_to_be_relied_on() {
    let mut world = World::configured(faulty(Trigger::OnConnect, FaultKind::NoAcks));
    world.send(&create());
    world.pass(1_000);
    world.take();
    world.send(&json!({"type": "conversation.item.truncate", "item_id": "item_1", "content_index": 0, "audio_end_ms": 5}));
    world.send(&json!({"type": "conversation.item.delete", "item_id": "item_1"}));
    assert_eq!(world.take(), [""; 0]);
    assert!(world.session.conversation().is_empty());
}

#[test]
fn a_response_may_end_without_having_begun() {
    let mut world = World::configured(faulty(Trigger::OnResponse(1), FaultKind::DoneWithoutCreated));
    world.send(&create());
    assert_eq!(world.take(), ["response.done"]);
    assert_eq!(world.last("response.done")["response"]["metadata"], json!({"cid": "c1"}));
    world.send(&create());
    world.pass(1_000);
    assert_eq!(world.last("response.done")["response"]["status"], "completed");
    assert_eq!(world.violations(), [""; 0]);
}

#[test]
fn deltas_may_follow_a_cancel() {
    let script = Script { burst: 2.0, ..faulty(Trigger::OnConnect, FaultKind::DeltasAfterCancel(3)) };
    let mut world = World::configured(script);
    world.send(&create());
    world.pass(350);
    let before = world.all("response.output_audio.delta").len();
    world.send(&json!({"type": "response.cancel"}));
    assert_eq!(world.all("response.done").len(), 0);
    world.pass(1_000);
    assert_eq!(world.all("response.output_audio.delta").len(), before + 3);
    assert_eq!(world.last("response.done")["response"]["status"], "cancelled");
}

#[test]
fn rate_limits_may_be_missing() {
    let mut world = World::configured(faulty(Trigger::OnConnect, FaultKind::NoRateLimits));
    world.send(&create());
    world.pass(1_000);
    assert_eq!(world.all("rate_limits.updated").len(), 0);
}

#[test]
fn a_response_fails_and_the_next_gets_its_answer() {
    for code in ["rate_limit_exceeded", "server_error", "insufficient_quota"] {
        let answers = vec![Answer::pattern("Uno.", 200, 1), Answer::pattern("Dos.", 200, 2)];
        let fault = faulty(Trigger::OnResponse(1), FaultKind::ResponseFails(code.to_owned()));
        let mut world = World::configured(Script { answers, ..fault });
        world.send(&create());
        world.pass(1_000);
        let response = world.last("response.done")["response"].clone();
        assert_eq!((&response["status"], &response["usage"]), (&json!("failed"), &Value::Null));
        assert_eq!(response["status_details"]["error"]["code"], code);
        world.send(&create());
        world.pass(1_000);
        assert_eq!(world.last("response.done")["response"]["output"][0]["content"][0]["transcript"], "Uno.");
    }
}

#[test]
fn a_response_stays_incomplete() {
    for reason in ["max_output_tokens", "content_filter"] {
        let kind = FaultKind::ResponseIncomplete(reason.to_owned());
        let mut world = World::configured(faulty(Trigger::OnResponse(1), kind));
        world.send(&create());
        world.pass(1_000);
        let response = world.last("response.done")["response"].clone();
        assert_eq!(response["status_details"], json!({"type": "incomplete", "reason": reason}));
        assert_eq!(response["output"][0]["status"], "incomplete");
        assert_eq!(world.sound("item_1", "response.output_audio.delta").len(), 8_000, "half of it");
    }
}

#[test]
fn calls_may_be_broken() {
    let call = |kind| {
        let script = faulty(Trigger::OnResponse(1), kind);
        let mut world =
            World::configured(Script { answers: vec![Answer::call("transfer_call", "{\"a\":1}")], ..script });
        world.send(&create());
        world.pass(1_000);
        world
    };
    let mut world = call(FaultKind::BrokenArguments);
    let arguments = world.last("response.output_item.done")["item"]["arguments"].clone();
    assert!(serde_json::from_str::<Value>(arguments.as_str().unwrap()).is_err());
    let item = json!({"type": "function_call_output", "call_id": "call_1", "output": "bad arguments"});
    world.send(&json!({"type": "conversation.item.create", "item": item}));
    assert_eq!(world.violations(), [""; 0]);

    let mut world = call(FaultKind::CallIncomplete);
    assert_eq!(world.last("response.output_item.done")["item"]["status"], "incomplete");
    assert_eq!(world.last("response.done")["response"]["status"], "incomplete");
    assert_eq!(world.all("response.function_call_arguments.done").len(), 0);
    world.pass(60_000);
    assert_eq!(world.violations(), [""; 0], "nobody waits for its output");
    world.send(&json!({"type": "conversation.item.create", "item": item}));
    assert_eq!(world.violations(), ["output for call_1, a call that is incomplete (§6.1)"]);
}

#[test]
fn the_session_opens_badly() {
    let mut world = World::with(faulty(Trigger::OnConnect, FaultKind::CreatedLate(Duration::from_secs(5))));
    world.pass(4_999);
    assert_eq!(world.take(), [""; 0]);
    world.pass(1);
    assert_eq!(world.take(), ["session.created"]);

    let late = FaultKind::CreatedLate(Duration::from_secs(5));
    let mut hasty = World::with(faulty(Trigger::OnConnect, late));
    hasty.send(&phone_config());
    hasty.pass(5_000);
    assert_eq!(hasty.take(), ["session.created", "session.updated"]);

    let mut world = World::with(faulty(Trigger::OnConnect, FaultKind::UpdatedNever));
    world.send(&phone_config());
    world.pass(60_000);
    assert_eq!(world.take(), ["session.created"]);

    let mut world =
        World::with(faulty(Trigger::OnConnect, FaultKind::UpdateRefused("server_error".to_owned())));
    world.send(&phone_config());
    assert_eq!(world.take(), ["session.created", "error"]);
    assert_eq!(world.last("error")["error"]["event_id"], "c_1");
    world.send(&phone_config());
    assert_eq!(world.take(), ["session.updated"]);
    assert_eq!(world.violations(), [""; 0]);
}

#[test]
fn the_connection_ends_idle_midway_and_in_a_call() {
    let mut idle = World::configured(faulty(Trigger::At(Duration::from_secs(3)), FaultKind::Drop));
    idle.pass(2_999);
    assert!(!idle.session.is_over());
    idle.pass(1);
    assert_eq!(idle.take(), ["DROP"]);

    let mut midway = World::configured(faulty(Trigger::OnResponse(1), FaultKind::Drop));
    midway.send(&create());
    midway.pass(5_000);
    assert_eq!(midway.sound("item_1", "response.output_audio.delta").len(), 8_000);
    assert_eq!(midway.take().last().unwrap(), "DROP");

    let fault = faulty(Trigger::OnCall(1), FaultKind::Expire);
    let mut call = World::configured(Script { answers: vec![Answer::call("transfer_call", "{}")], ..fault });
    call.send(&create());
    call.pass(5_000);
    let names = call.take();
    assert_eq!(names[names.len() - 3..], ["response.done", "error", "CLOSE 1001"]);

    let turn = two_turns(faulty(Trigger::OnTurn(2), FaultKind::Close(1012, "restart".to_owned())));
    let names: Vec<String> = turn.frames.iter().filter_map(|(_, frame)| name(frame)).collect();
    assert_eq!(names[names.len() - 2..], ["conversation.item.done", "CLOSE 1012"]);
    assert_eq!(turn.all("response.created").len(), 1);
}

#[test]
fn a_stalled_server_says_nothing_more() {
    let mut world = World::configured(faulty(Trigger::At(Duration::from_secs(1)), FaultKind::Stall));
    world.hear(1_000, &SILENCE);
    assert!(world.session.stalled());
    world.hear(1_000, &NOISE);
    world.send(&create());
    world.pass(60_000);
    assert_eq!(world.take(), [""; 0]);
    assert_eq!(world.session.deadline(), None);
    assert_eq!(world.session.appended().len(), 8_000);
    world.session.receive(world.now, Incoming::Closed);
    assert!(world.session.is_over());
}

#[test]
fn the_server_babbles() {
    let at = |ms| Trigger::At(Duration::from_millis(ms));
    let faults = vec![
        Fault::new(at(100), FaultKind::Error("server_error".to_owned())),
        Fault::new(at(200), FaultKind::InvalidJson),
        Fault::new(at(300), FaultKind::BinaryGarbage),
        Fault::new(at(400), FaultKind::ResponseFails("server_error".to_owned())),
    ];
    let mut world = World::configured(Script { faults, ..Script::default() });
    world.pass(500);
    assert_eq!(world.take(), ["error", "BINARY"]);
    assert_eq!(
        world
            .frames
            .iter()
            .filter(|(_, frame)| *frame == Outgoing::Text("{\"type\":\"respon".to_owned()))
            .count(),
        1
    );
    world.send(&create());
    world.pass(1_000);
    assert_eq!(world.last("response.done")["response"]["status"], "failed", "the next response");
    assert_eq!(world.violations(), [""; 0]);
}

#[test]
fn the_same_seed_is_the_same_session() {
    let frames = || two_turns(faulty(Trigger::OnConnect, FaultKind::Unknowns)).frames;
    assert_eq!(frames(), frames());
}

//! Tests of responses: order, forms, pace, audio, and who may ask for one.

use super::*;

/// The events of one message of a response, as in Appendix A.
const MESSAGE: [&str; 10] = [
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
];

#[test]
fn the_greeting_is_that_of_appendix_a() {
    let mut world = World::configured(Script::default());
    world.send(&json!({"type": "response.create", "response": {"instructions": "Greet.", "metadata": {"cid": "c1"}}}));
    world.pass(1_000);
    let mut expected = vec!["response.created"];
    expected.extend(MESSAGE);
    expected.extend(["response.done", "rate_limits.updated"]);
    assert_eq!(world.take(), expected);

    let created = world.last("response.created");
    assert_eq!(
        created["response"],
        json!({"object": "realtime.response", "id": "resp_1", "status": "in_progress", "status_details": null,
            "output": [], "conversation_id": "conv_1", "output_modalities": ["audio"], "max_output_tokens": "inf",
            "audio": {"output": {"format": {"type": "audio/pcmu"}, "voice": "marin"}}, "usage": null,
            "metadata": {"cid": "c1"}})
    );
    assert_eq!(
        world.last("response.content_part.added"),
        json!({"type": "response.content_part.added", "event_id": "event_6", "response_id": "resp_1",
            "item_id": "item_1", "output_index": 0, "content_index": 0, "part": {"type": "audio", "transcript": ""}})
    );
    let item = json!({"id": "item_1", "object": "realtime.item", "type": "message", "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_audio", "transcript": "Hola, ¿en qué puedo ayudarle?"}]});
    assert_eq!(world.last("response.output_item.done")["item"], item);
    assert_eq!(world.last("conversation.item.done")["previous_item_id"], Value::Null);
    let done = world.last("response.done");
    assert_eq!(done["response"]["status"], "completed");
    assert_eq!(done["response"]["output"], json!([item]));
    assert_eq!(done["response"]["metadata"], json!({"cid": "c1"}));
    let usage = &done["response"]["usage"];
    assert_eq!(usage["output_token_details"]["audio_tokens"], 30, "1.5 s of assistant");
    assert_eq!(
        usage["total_tokens"],
        usage["input_tokens"].as_u64().unwrap() + usage["output_tokens"].as_u64().unwrap()
    );
    assert_eq!(world.when("rate_limits.updated"), world.when("response.done") + 40);
    assert_eq!(world.sound("item_1", "response.output_audio.delta"), pattern(1_500, 1).to_vec());
    assert_eq!(world.violations(), [""; 0]);
}

#[test]
fn sound_comes_in_a_burst_after_the_time_to_think() {
    let script =
        Script { answers: vec![Answer::pattern("Una historia muy larga.", 10_000, 9)], ..Script::default() };
    let mut world = World::configured(script);
    world.send(&create());
    world.pass(2_000);
    assert_eq!(world.when("response.created"), 0);
    assert_eq!(world.when("response.output_audio.delta"), 300);
    let took = world.when("response.done") - 300;
    assert!((320..=350).contains(&took), "10 s at 30 times the speed, {took} ms");
    assert_eq!(world.all("response.output_audio.delta").len(), 50);
}

#[test]
fn deltas_may_be_no_whole_frames() {
    let mut world = World::configured(Script { delta_extra_bytes: 3, delta_ms: 100, ..Script::default() });
    world.send(&create());
    world.pass(2_000);
    let first = world.all("response.output_audio.delta").remove(0);
    assert_eq!(STANDARD.decode(first["delta"].as_str().unwrap()).unwrap().len(), 803);
    assert_eq!(world.sound("item_1", "response.output_audio.delta"), pattern(2_000, 2).to_vec());
}

#[test]
fn a_response_may_hold_two_messages_and_a_call() {
    let answer = Answer::pattern("Un momento.", 400, 3)
        .and(Answer::pattern("Ya está.", 600, 4))
        .and(Answer::call("transfer_call", "{\"destination\":\"ventas\"}"));
    let mut world = World::configured(Script { answers: vec![answer], ..Script::default() });
    world.send(&create());
    world.pass(2_000);
    let mut expected = vec!["response.created"];
    expected.extend(MESSAGE);
    expected.extend(MESSAGE);
    expected.extend([
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]);
    assert_eq!(world.take(), expected);
    assert_eq!(world.sound("item_1", "response.output_audio.delta"), pattern(400, 3).to_vec());
    assert_eq!(world.sound("item_2", "response.output_audio.delta"), pattern(600, 4).to_vec());
    let done = world.last("response.done");
    let kinds: Vec<&Value> =
        done["response"]["output"].as_array().unwrap().iter().map(|item| &item["type"]).collect();
    assert_eq!(kinds, ["message", "message", "function_call"]);
    assert_eq!(world.last("response.output_item.done")["output_index"], 2);
    assert_eq!(world.last("conversation.item.done")["previous_item_id"], "item_2");
}

#[test]
fn one_response_at_a_time() {
    let mut world = World::configured(Script::default());
    world.send(&create());
    let (code, message, _) = world.refused(&create());
    assert_eq!(code, "conversation_already_has_active_response");
    assert!(message.contains("in progress: resp_1. Wait until"), "{message}");
    assert_eq!(world.last("error")["error"]["event_id"], "c_2");
    assert_eq!(world.violations().len(), 1);

    world.send(
        &json!({"type": "response.create", "response": {"conversation": "none", "metadata": {"cid": "oob"}}}),
    );
    let created = world.last("response.created");
    assert_eq!(created["response"]["id"], "resp_2");
    assert_eq!(created["response"]["conversation_id"], Value::Null);
    world.pass(2_000);
    assert_eq!(world.all("response.done").len(), 2);
    assert_eq!(
        world.all("conversation.item.added").len(),
        1,
        "an out-of-band item is none of the conversation's"
    );
    assert_eq!(world.session.conversation().len(), 1);
    assert_eq!(world.violations().len(), 1);
}

#[test]
fn a_response_that_crosses_the_vads_is_excused() {
    let script = Script { vad: VadScript::Turns(vec![(0, 100)]), ..Script::default() };
    let mut world = World::configured(script);
    world.hear(600, &SILENCE);
    assert_eq!(world.last("response.created")["response"]["id"], "resp_1");
    assert_eq!(world.refused(&create()).0, "conversation_already_has_active_response");
    assert_eq!(world.violations(), [""; 0]);
}

#[test]
fn a_response_is_refused_for_its_keys() {
    let mut world = World::configured(Script::default());
    let cases = [
        (json!({"modalities": ["audio", "text"]}), "unknown_parameter", "response.modalities"),
        (json!({"audio": {"input": {}}}), "unknown_parameter", "response.audio.input"),
        (json!({"conversation": "other"}), "invalid_value", "response.conversation"),
        (json!({"instructions": 1}), "invalid_type", "response.instructions"),
        (json!({"metadata": {"a": 1}}), "invalid_type", "response.metadata.a"),
        (json!({"metadata": {"a": "x".repeat(513)}}), "string_above_max_length", "response.metadata.a"),
        (json!({"max_output_tokens": 4097}), "integer_above_max_value", "response.max_output_tokens"),
        (
            json!({"input": [{"type": "message", "role": "user", "content": [{"type": "text", "text": ""}]}]}),
            "invalid_value",
            "response.input[0].content[0].type",
        ),
        (json!("now"), "invalid_type", "response"),
    ];
    for (response, code, param) in cases {
        let (got, message, at) = world.refused(&json!({"type": "response.create", "response": response}));
        assert_eq!((got.as_str(), at.as_str()), (code, param), "{response}: {message}");
    }
    assert_eq!(world.all("response.created").len(), 0);
    assert_eq!(world.violations().len(), 9);
}

#[test]
fn cancel() {
    let mut world = World::configured(Script::default());
    let (code, message, _) = world.refused(&json!({"type": "response.cancel"}));
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("response_cancel_not_active", "Cancellation failed: no active response found")
    );
    assert_eq!(world.violations().len(), 1);

    world.send(&create());
    world.send(&json!({"type": "response.cancel", "response_id": "resp_1"}));
    let done = world.last("response.done");
    assert_eq!(
        done["response"]["status_details"],
        json!({"type": "cancelled", "reason": "client_cancelled"})
    );
    assert_eq!(done["response"]["output"], json!([]), "it had said nothing yet");
    assert_eq!(world.refused(&json!({"type": "response.cancel"})).0, "response_cancel_not_active");
    assert_eq!(world.violations().len(), 1, "just ended: a race");

    world.pass(100);
    world.send(&create());
    world.pass(320);
    world.take();
    world.send(&json!({"type": "response.cancel"}));
    assert_eq!(
        world.take(),
        [
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done"
        ]
    );
    assert_eq!(world.last("response.done")["response"]["output"][0]["status"], "incomplete");
    world.pass(5_000);
    assert_eq!(world.take(), ["rate_limits.updated"]);
}

#[test]
fn text_is_possible_too() {
    let mut world = World::configured(Script::default());
    world.send(&json!({"type": "response.create", "response": {"output_modalities": ["text"]}}));
    world.pass(1_000);
    let names = world.take();
    assert!(names.contains(&"response.output_text.delta".to_owned()));
    assert!(!names.iter().any(|name| name.contains("audio")));
    let content = &world.last("response.done")["response"]["output"][0]["content"];
    assert_eq!(*content, json!([{"type": "output_text", "text": "Le paso con ventas."}]));
}

#[test]
fn before_the_update_the_sound_is_pcm() {
    let mut world = World::with(Script { dialect: Dialect::Ga, ..Script::default() });
    world.send(&create());
    world.pass(1_000);
    assert_eq!(world.sound("item_1", "response.output_audio.delta").len(), 2_000 * 48);
    assert_eq!(world.violations(), [""; 0]);

    let mut world = World::with(Script::default());
    world.send(&create());
    assert_eq!(world.violations(), ["response.create before session.updated (24)"]);
}

#[test]
fn every_window_of_a_pattern_is_unique() {
    let mut seen = std::collections::BTreeSet::new();
    for tag in 0..4 {
        let sound = pattern(2_000, tag);
        assert!(!sound.contains(&0xFF) && !sound.contains(&0x7F));
        assert!(sound.windows(160).step_by(1).all(|window| seen.insert(window.to_vec())));
    }
}

#[test]
fn tool_choice_none_keeps_the_model_from_calling() {
    let answer = Answer::pattern("Adiós.", 400, 3).and(Answer::call("end_call", "{}"));
    let mut world = World::configured(Script { answers: vec![answer], ..Script::default() });
    world.send(&json!({"type": "response.create", "response": {"tool_choice": "none"}}));
    world.pass(1_000);
    assert_eq!(world.last("response.done")["response"]["output"].as_array().unwrap().len(), 1);
}

#[test]
fn a_forced_function_is_among_the_tools_and_its_call_aside_needs_no_output() {
    let script = Script { aside: Some(Answer::call("report", r#"{"summary":"x"}"#)), ..Script::default() };
    let mut world = World::configured(script);
    let create = |tools: Value| {
        json!({"type": "response.create", "response": {"conversation": "none", "output_modalities": ["text"], "tools": tools,
            "tool_choice": {"type": "function", "name": "report"}, "metadata": {"cid": "aside"}}})
    };
    world.send(&create(json!([])));
    assert_eq!(world.last("error")["error"]["param"], "response.tool_choice");
    world.send(&create(json!([{"type": "function", "name": "report"}])));
    world.pass(30_000);
    let done = world.last("response.done")["response"].clone();
    assert_eq!((&done["conversation_id"], &done["metadata"]["cid"]), (&json!(null), &json!("aside")));
    assert_eq!(done["output"][0]["arguments"], r#"{"summary":"x"}"#);
    let violations = world.session.violations();
    assert_eq!(violations.len(), 1, "the refusal alone: {violations:?}");
}

//! Tests of items: create, truncate, delete, retrieve.

use super::*;

fn message(role: &str, kind: &str, text: &str) -> Value {
    json!({"type": "message", "role": role, "content": [{"type": kind, "text": text}]})
}

fn create_item(item: &Value) -> Value {
    json!({"type": "conversation.item.create", "event_id": "c_9", "item": item})
}

fn truncate(item: &str, index: &Value, ms: &Value) -> Value {
    json!({"type": "conversation.item.truncate", "item_id": item, "content_index": index, "audio_end_ms": ms})
}

/// A session whose assistant has said two seconds (`item_1`) to a caller (`item_c1`), and has then called a
/// function.
fn spoken() -> World {
    let answer = Answer::pattern("Le paso con ventas.", 2_000, 2).and(Answer::call("transfer_call", "{}"));
    let mut world = World::configured(Script { answers: vec![answer], ..Script::default() });
    world.send(&create_item(&message("user", "input_text", "(call connected)")));
    world.send(&create());
    world.pass(1_000);
    world.take();
    world
}

#[test]
fn a_conversation_is_seeded_in_order() {
    let mut world = World::configured(Script::default());
    world.send(&create_item(&message("user", "input_text", "Hola")));
    world.send(&create_item(&message("assistant", "output_text", "Buenas")));
    world.send(&create_item(
        &json!({"type": "function_call", "call_id": "call_9", "name": "x", "arguments": "{}"}),
    ));
    world.send(&create_item(&json!({"type": "function_call_output", "call_id": "call_9", "output": ""})));
    let mut first = create_item(&message("system", "input_text", "Se cortó"));
    first["previous_item_id"] = json!("root");
    world.send(&first);
    let mut second = create_item(&message("user", "input_text", "¿Sí?"));
    second["previous_item_id"] = json!("item_c2");
    world.send(&second);
    assert_eq!(world.take(), ["conversation.item.added", "conversation.item.done"].repeat(6));
    let told: Vec<(Role, String)> =
        world.session.conversation().into_iter().map(|item| (item.role, item.text)).collect();
    let expected = [
        (Role::System, "Se cortó"),
        (Role::User, "Hola"),
        (Role::Assistant, "Buenas"),
        (Role::User, "¿Sí?"),
        (Role::FunctionCall, "{}"),
        (Role::FunctionCallOutput, ""),
    ];
    assert_eq!(told, expected.map(|(role, text)| (role, text.to_owned())));
    assert_eq!(world.last("conversation.item.added")["previous_item_id"], "item_c2");
    assert_eq!(world.violations(), [""; 0]);
}

#[test]
fn items_are_refused() {
    let mut world = World::configured(Script::default());
    let mut named = message("user", "input_text", "x");
    named["id"] = json!("mine");
    world.send(&create_item(&named));
    let mut long = named.clone();
    long["id"] = json!("x".repeat(33));
    let cases = [
        (named, "item_create_invalid_item_id", "item.id"),
        (long, "string_above_max_length", "item.id"),
        (message("user", "text", "x"), "invalid_value", "item.content[0].type"),
        (message("user", "output_text", "x"), "invalid_value", "item.content[0].type"),
        (message("assistant", "text", "x"), "invalid_value", "item.content[0].type"),
        (message("assistant", "output_audio", "x"), "invalid_value", "item.content[0].type"),
        (message("system", "output_text", "x"), "invalid_value", "item.content[0].type"),
        (message("tool", "input_text", "x"), "invalid_value", "item.role"),
        (json!({"type": "message", "role": "user"}), "missing_required_parameter", "item.content"),
        (json!({"type": "note"}), "invalid_value", "item.type"),
        (json!({"role": "user", "content": []}), "missing_required_parameter", "item.type"),
        (
            json!({"type": "function_call_output", "call_id": "call_1", "output": {"ok": true}}),
            "invalid_type",
            "item.output",
        ),
        (
            json!({"type": "function_call_output", "call_id": "call_1", "output": ""}),
            "invalid_tool_call_id",
            "item.call_id",
        ),
        (
            json!({"type": "function_call_output", "call_id": "c", "output": "", "name": "x"}),
            "unknown_parameter",
            "item.name",
        ),
    ];
    for (item, code, param) in cases {
        let (got, message, at) = world.refused(&create_item(&item));
        assert_eq!((got.as_str(), at.as_str()), (code, param), "{item}: {message}");
        assert_eq!(world.last("error")["error"]["event_id"], "c_9");
    }
    let mut lost = create_item(&message("user", "input_text", "x"));
    lost["previous_item_id"] = json!("item_none");
    assert_eq!(world.refused(&lost).0, "item_create_invalid_previous_item_id");
    assert_eq!(world.session.conversation().len(), 1);
}

#[test]
fn truncations_are_refused() {
    let mut world = spoken();
    let (zero, ms) = (json!(0), json!(600));
    let cases = [
        (
            truncate("item_9", &zero, &ms),
            "item_truncate_invalid_item_id",
            "Error truncating item: the item with id 'item_9' does not exist.",
        ),
        (truncate("item_c1", &zero, &ms), "", "Only model output audio messages can be truncated"),
        (truncate("item_f1", &zero, &ms), "", "Only model output audio messages can be truncated"),
        (
            truncate("item_1", &json!(1), &ms),
            "invalid_value",
            "Invalid value: '1'. The item has no such content.",
        ),
        (
            truncate("item_1", &zero, &json!(-11)),
            "integer_below_min_value",
            "Invalid 'audio_end_ms': integer below minimum value. Expected a value >= 0, but got -11 instead.",
        ),
        (
            truncate("item_1", &zero, &json!(600.0)),
            "invalid_type",
            "Invalid type for 'audio_end_ms': expected an integer, but got a decimal number instead.",
        ),
        (
            truncate("item_1", &zero, &json!("600")),
            "invalid_type",
            "Invalid type for 'audio_end_ms': expected an integer, but got a string instead.",
        ),
        (
            truncate("item_1", &zero, &json!(2_001)),
            "invalid_value",
            "Audio content of 2000ms is already shorter than 2001ms",
        ),
    ];
    for (event, code, words) in cases {
        let (got, message, _) = world.refused(&event);
        assert_eq!((got.as_str(), message.as_str()), (code, words), "{event}");
    }
    assert_eq!(world.violations().len(), 8);
    assert_eq!(world.all("conversation.item.truncated").len(), 0);
}

#[test]
fn a_truncation_takes_the_words_away() {
    let mut world = spoken();
    world.send(&truncate("item_1", &json!(0), &json!(1_480)));
    assert_eq!(
        world.last("conversation.item.truncated"),
        json!({"type": "conversation.item.truncated", "event_id": world.last("conversation.item.truncated")["event_id"],
            "item_id": "item_1", "content_index": 0, "audio_end_ms": 1_480})
    );
    let item = world.session.conversation().remove(1);
    assert_eq!((item.truncated_ms, item.text.as_str(), item.audio_ms), (Some(1_480), "", 2_000));
    assert_eq!(world.violations(), [""; 0]);

    world.send(&truncate("item_1", &json!(0), &json!(1_400)));
    assert_eq!(world.violations(), ["item_1 truncated twice (31)"]);
}

#[test]
fn a_pointless_truncation_and_one_by_another_clock_are_undisciplined() {
    let mut world = spoken();
    world.send(&truncate("item_1", &json!(0), &json!(2_000)));
    assert_eq!(world.violations(), ["item_1 truncated at its end, 2000 ms: pointless (31)"]);

    let mut world = spoken();
    world.session.report_playout("item_1", 900);
    world.send(&truncate("item_1", &json!(0), &json!(1_001)));
    assert_eq!(world.violations(), ["item_1 truncated at 1001 ms, but 900 ms were played (31)"]);

    let mut world = spoken();
    world.session.report_playout("item_1", 900);
    world.send(&truncate("item_1", &json!(0), &json!(800)));
    assert_eq!(world.violations(), [""; 0]);

    let mut lenient = World::with(Script { dialect: Dialect::Ga, ..Script::default() });
    lenient.send(&create());
    lenient.pass(1_000);
    lenient.send(&truncate("item_1", &json!(0), &json!(2_000)));
    assert_eq!(lenient.violations(), [""; 0]);
}

#[test]
fn delete_and_retrieve() {
    let mut world = spoken();
    world.send(&json!({"type": "conversation.item.retrieve", "item_id": "item_1"}));
    let item = world.last("conversation.item.retrieved");
    let sound = STANDARD.decode(item["item"]["content"][0]["audio"].as_str().unwrap()).unwrap();
    assert_eq!(sound, pattern(2_000, 2).to_vec());

    world.send(&json!({"type": "conversation.item.delete", "item_id": "item_1"}));
    assert_eq!(world.last("conversation.item.deleted")["item_id"], "item_1");
    assert_eq!(world.session.conversation().len(), 2);
    let gone = json!({"type": "conversation.item.delete", "item_id": "item_1"});
    assert_eq!(world.refused(&gone).0, "item_delete_invalid_item_id");
    let gone = json!({"type": "conversation.item.retrieve", "item_id": "item_1"});
    assert_eq!(world.refused(&gone).0, "item_retrieve_invalid_item_id");
    assert_eq!(world.refused(&truncate("item_1", &json!(0), &json!(1))).0, "item_truncate_invalid_item_id");
    world.send(&json!({"type": "conversation.item.delete", "item_id": "item_f1"}));
    assert_eq!(world.violations().last().unwrap(), "item_f1 deleted, a function call (§5)");
}

#[test]
fn what_was_heard_must_not_be_deleted() {
    let mut world = spoken();
    world.session.report_playout("item_1", 500);
    world.send(&json!({"type": "conversation.item.delete", "item_id": "item_1"}));
    assert_eq!(world.violations(), ["item_1 deleted, but 500 ms of it were played (31)"]);
}

#[test]
fn a_message_may_be_truncated_or_deleted_while_it_is_said() {
    let answer = Answer::pattern("Uno.", 1_000, 1).and(Answer::pattern("Dos.", 1_000, 2));
    let mut world = World::configured(Script { burst: 1.0, answers: vec![answer], ..Script::default() });
    world.send(&create());
    world.pass(800);
    world.send(&truncate("item_1", &json!(0), &json!(400)));
    world.pass(700);
    world.send(&json!({"type": "conversation.item.delete", "item_id": "item_2"}));
    world.pass(2_000);
    assert_eq!(world.last("response.done")["response"]["output"].as_array().unwrap().len(), 2);
    assert_eq!(world.session.conversation().len(), 1);
    assert_eq!(world.all("conversation.item.done").len(), 1, "what is deleted is not done");
    assert_eq!(world.all("response.output_item.done").len(), 2);
    world.send(&create_item(&message("user", "input_text", "x")));
    assert_eq!(world.last("conversation.item.added")["previous_item_id"], "item_1", "and precedes nothing");
    assert_eq!(world.violations(), [""; 0]);
}

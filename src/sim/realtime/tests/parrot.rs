//! Tests of the answers without a script.

use super::*;

/// What a session of text that repeats answers when this is said to it.
fn answer(words: &str) -> World {
    let mut world = World::configured(Script { parrots: true, ..Script::default() });
    let tools =
        json!([{"type": "function", "name": "find", "description": "x", "parameters": {"type": "object"}}]);
    world.send(&json!({"type": "session.update", "session": {"type": "realtime", "output_modalities": ["text"], "tools": tools}}));
    let content = json!([{"type": "input_text", "text": words}]);
    let item = json!({"type": "message", "role": "user", "content": content});
    world.send(&json!({"type": "conversation.item.create", "item": item}));
    world.send(&json!({"type": "response.create"}));
    world.pass(2_000);
    world
}

#[test]
fn words_are_repeated_and_functions_are_called_by_their_name() {
    assert_eq!(answer("Hola a todos").last("response.output_text.done")["text"], "«Hola a todos»");
    let call = answer("find {\"day\":\"hoy\"}").last("response.function_call_arguments.done");
    assert_eq!((&call["name"], &call["arguments"]), (&json!("find"), &json!("{\"day\":\"hoy\"}")));
    for no_call in ["find hoy", "seek {}", "find [1]"] {
        assert_eq!(answer(no_call).last("response.output_text.done")["text"], format!("«{no_call}»"));
    }
}

#[test]
fn the_output_of_a_function_and_words_that_are_to_be_said_are_said() {
    let mut world = answer("find {}");
    let call = world.last("response.function_call_arguments.done")["call_id"].clone();
    let item = json!({"type": "function_call_output", "call_id": call, "output": "{\"ok\":true}"});
    world.send(&json!({"type": "conversation.item.create", "item": item}));
    world.send(&json!({"type": "response.create"}));
    world.pass(2_000);
    assert_eq!(world.last("response.output_text.done")["text"], "find: {\"ok\":true}");
    let instructions = "Be brief.\n\nSay exactly this, and nothing else:\nHola.\n¿Sí?";
    world.send(&json!({"type": "response.create", "response": {"instructions": instructions}}));
    world.pass(2_000);
    assert_eq!(world.last("response.output_text.done")["text"], "Hola.\n¿Sí?");
}

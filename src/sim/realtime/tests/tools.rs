//! Tests of function calls: delivered, answered once, and followed by one response.

use super::*;

const ARGUMENTS: &str = "{\"destination\":\"ventas\"}";

fn output(call_id: &str) -> Value {
    let item = json!({"type": "function_call_output", "call_id": call_id, "output": "{\"ok\":true}"});
    json!({"type": "conversation.item.create", "event_id": "c_9", "item": item})
}

fn plain() -> Value {
    json!({"type": "response.create"})
}

/// A session whose model makes this number of calls and then speaks.
fn calling(calls: usize) -> World {
    let round =
        (0..calls).fold(Answer::default(), |answer, _| answer.and(Answer::call("transfer_call", ARGUMENTS)));
    let answers = vec![round, Answer::pattern("Hecho.", 400, 5)];
    let mut world = World::configured(Script { answers, ..Script::default() });
    world.send(&plain());
    world.pass(1_000);
    world
}

#[test]
fn a_call_is_that_of_appendix_a() {
    let mut world = calling(1);
    assert_eq!(
        world.take(),
        [
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
            "rate_limits.updated"
        ]
    );
    let added = world.all("response.output_item.added").remove(0);
    assert_eq!(
        added["item"],
        json!({"id": "item_f1", "object": "realtime.item", "type": "function_call", "status": "in_progress",
            "name": "transfer_call", "call_id": "call_1", "arguments": ""})
    );
    let done = world.last("response.function_call_arguments.done");
    assert_eq!(
        (&done["name"], &done["arguments"], &done["call_id"]),
        (&json!("transfer_call"), &json!(ARGUMENTS), &json!("call_1"))
    );
    let deltas = world.all("response.function_call_arguments.delta");
    let text: String = deltas.iter().filter_map(|delta| delta["delta"].as_str()).collect();
    assert_eq!((text.as_str(), deltas.len()), (ARGUMENTS, 2));
    assert_eq!(world.last("response.done")["response"]["output"][0]["arguments"], ARGUMENTS);

    world.send(&output("call_1"));
    world.send(&plain());
    world.pass(60_000);
    assert_eq!(world.last("response.done")["response"]["output"][0]["content"][0]["transcript"], "Hecho.");
    assert_eq!(world.violations(), [""; 0]);
    let output = What::ToolOutput { call_id: "call_1".to_owned(), output: "{\"ok\":true}".to_owned() };
    assert!(world.session.journal().iter().any(|fact| fact.what == output));
}

#[test]
fn an_output_may_come_before_response_done() {
    let answers = vec![
        Answer::call("transfer_call", ARGUMENTS).and(Answer::pattern("Un momento.", 2_000, 6)),
        Answer::pattern("Hecho.", 400, 5),
    ];
    let mut world = World::configured(Script { burst: 1.0, answers, ..Script::default() });
    world.send(&plain());
    world.pass(500);
    world.send(&output("call_1"));
    assert_eq!(world.refused(&plain()).0, "conversation_already_has_active_response");
    world.pass(3_000);
    world.send(&plain());
    world.pass(60_000);
    assert_eq!(world.violations().len(), 1, "{:?}", world.violations());
}

#[test]
fn a_call_left_open_is_undisciplined() {
    let mut world = calling(1);
    world.pass(19_000);
    assert_eq!(world.violations(), [""; 0]);
    world.pass(1_000);
    assert_eq!(world.violations(), ["call_1 not answered within 20s (35)"]);
}

#[test]
fn an_answer_without_a_response_is_undisciplined() {
    let mut world = calling(1);
    world.send(&output("call_1"));
    world.pass(20_000);
    assert_eq!(world.violations(), ["no response.create after the outputs of the function calls (35)"]);
}

#[test]
fn two_outputs_for_a_call_are_undisciplined() {
    let mut world = calling(1);
    world.send(&output("call_1"));
    world.send(&output("call_1"));
    assert_eq!(world.violations(), ["a second output for call_1 (34)"]);
    assert_eq!(world.refused(&output("call_7")).1, "Tool call ID 'call_7' not found in conversation.");
}

#[test]
fn one_response_after_all_outputs() {
    let mut world = calling(2);
    world.send(&output("call_1"));
    world.send(&plain());
    assert_eq!(world.violations(), ["response.create before all outputs of the round are in (35)"]);

    let mut world = calling(2);
    world.send(&output("call_1"));
    world.send(&output("call_2"));
    world.send(&plain());
    world.pass(1_000);
    assert_eq!(world.violations(), [""; 0]);
    world.send(&plain());
    assert_eq!(world.violations(), ["a second response.create for one round of function calls (35)"]);
}

#[test]
fn a_prompt_with_instructions_is_another_matter() {
    let mut world = calling(1);
    world.send(
        &json!({"type": "response.create", "response": {"instructions": "Say you are working on it."}}),
    );
    world.pass(2_000);
    world.send(&output("call_1"));
    world.send(&plain());
    world.pass(30_000);
    assert_eq!(world.violations(), [""; 0]);
}

#[test]
fn only_the_completed_calls_of_a_round_are_owed_an_answer() {
    let answer =
        (0..3).fold(Answer::default(), |answer, _| answer.and(Answer::call("transfer_call", ARGUMENTS)));
    let kind = FaultKind::ResponseIncomplete("max_output_tokens".to_owned());
    let faults = vec![Fault::new(Trigger::OnResponse(1), kind)];
    let mut world = World::configured(Script { answers: vec![answer], faults, ..Script::default() });
    world.send(&plain());
    world.pass(1_000);
    let output_items = world.last("response.done")["response"]["output"].clone();
    let statuses: Vec<&Value> = output_items.as_array().unwrap().iter().map(|item| &item["status"]).collect();
    assert_eq!(statuses, ["completed", "incomplete"]);
    world.send(&output("call_1"));
    world.pass(20_000);
    assert_eq!(world.violations(), ["no response.create after the outputs of the function calls (35)"]);
}

//! Random tests: whatever a client sends, and whenever, the fake survives and answers in JSON.

use super::script::Dice;
use super::*;

/// Events that a client might send, right and wrong.
fn vocabulary() -> Vec<Value> {
    let item = |item: Value| json!({"type": "conversation.item.create", "item": item});
    let truncate = |id: &str, ms: u64| json!({"type": "conversation.item.truncate", "item_id": id, "content_index": 0, "audio_end_ms": ms});
    vec![
        phone_config(),
        create(),
        json!({"type": "response.create", "response": {"instructions": "Greet."}}),
        json!({"type": "response.create", "response": {"conversation": "none", "output_modalities": ["text"]}}),
        json!({"type": "response.cancel"}),
        json!({"type": "response.cancel", "response_id": "resp_1"}),
        truncate("item_1", 0),
        truncate("item_2", 120),
        truncate("item_3", 1_000),
        json!({"type": "conversation.item.delete", "item_id": "item_1"}),
        json!({"type": "conversation.item.delete", "item_id": "item_u1"}),
        json!({"type": "conversation.item.retrieve", "item_id": "item_2"}),
        item(json!({"type": "function_call_output", "call_id": "call_1", "output": "{}"})),
        item(json!({"type": "function_call_output", "call_id": "call_2", "output": "ñ"})),
        item(json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hola"}]})),
        json!({"type": "input_audio_buffer.commit"}),
        json!({"type": "input_audio_buffer.clear"}),
        json!({"type": "session.update", "session": {"type": "realtime",
            "audio": {"input": {"turn_detection": null, "format": {"type": "audio/pcm", "rate": 24_000}}}}}),
        json!({"type": "session.update", "session": {"type": "realtime", "audio": {
            "input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5_000}},
            "output": {"format": {"type": "audio/pcma"}}}}}),
    ]
}

fn script(dice: &mut Dice) -> Script {
    let kinds = [
        FaultKind::Unknowns,
        FaultKind::NoAcks,
        FaultKind::TranscriptLate(Duration::from_secs(3)),
        FaultKind::TranscriptAfterNext,
        FaultKind::TranscriptFailed,
        FaultKind::FalseStart,
        FaultKind::DoneWithoutCreated,
        FaultKind::DeltasAfterCancel(4),
        FaultKind::ResponseFails("server_error".to_owned()),
        FaultKind::ResponseIncomplete("content_filter".to_owned()),
        FaultKind::BrokenArguments,
        FaultKind::CallIncomplete,
        FaultKind::Expire,
        FaultKind::Drop,
        FaultKind::Stall,
        FaultKind::Error("server_error".to_owned()),
    ];
    let mut pick = |below: u64| dice.roll() % below;
    let faults = (0..pick(4)).map(|_| {
        let n = u32::try_from(1 + pick(3)).expect("small");
        let trigger = match pick(5) {
            0 => Trigger::OnConnect,
            1 => Trigger::OnResponse(n),
            2 => Trigger::OnTurn(n),
            3 => Trigger::OnCall(1),
            _ => Trigger::At(Duration::from_millis(pick(20_000))),
        };
        Fault::new(trigger, kinds[usize::try_from(pick(16)).expect("small")].clone())
    });
    let faults = faults.collect();
    let answers = vec![
        Answer::pattern("Uno dos tres.", pick(3_000), 1)
            .and(Answer::call("transfer_call", "{\"a\":\"ñandú\"}")),
        Answer::pattern("", 500, 2).and(Answer::speech("Solo texto.", Arc::from([]))),
        Answer::call("end_call", ""),
        Answer::default(),
    ];
    let bursts = [0.5, 1.0, 30.0, 1_000.0];
    let burst = bursts[usize::try_from(pick(4)).expect("small")];
    let delta_extra_bytes = usize::try_from(pick(5)).expect("small");
    Script { faults, answers, burst, delta_extra_bytes, terse_cancel: pick(2) == 0, ..Script::default() }
}

/// Removes a part of an event, or puts an unexpected value into it.
fn spoil(value: &mut Value, dice: &mut Dice) {
    let strange = [json!(null), json!(-1), json!(1.5), json!("x"), json!([]), json!({"a": 1})];
    if let Value::Object(map) = value {
        let keys: Vec<String> = map.keys().cloned().collect();
        let index = usize::try_from(dice.roll() % keys.len().max(1) as u64).expect("small");
        match (keys.get(index), dice.roll() % 4) {
            (Some(key), 0) => drop(map.remove(key)),
            (Some(key), 1) => drop(
                map.insert(key.clone(), strange[usize::try_from(dice.roll() % 6).expect("small")].clone()),
            ),
            (Some(key), _) => spoil(&mut map[key], dice),
            (None, _) => {}
        }
    }
}

/// The rules that any server keeps: one end for each start, nothing outside of a response, audio as
/// announced.
fn check(world: &World, seed: u64) {
    let ids = |kind: &str| -> Vec<Value> {
        world.all(kind).iter().map(|event| event["response"]["id"].clone()).collect()
    };
    let (created, done) = (ids("response.created"), ids("response.done"));
    for (n, id) in done.iter().enumerate() {
        assert!(!done[..n].contains(id), "seed {seed}: {id} ended twice");
    }
    for delta in world.all("response.output_audio.delta") {
        assert!(created.contains(&delta["response_id"]), "seed {seed}: {delta} outside a response");
    }
    for item in world.session.conversation() {
        assert!(item.truncated_ms.is_none_or(|ms| ms <= item.audio_ms), "seed {seed}: {item:?}");
    }
    let open = created.iter().filter(|id| !done.contains(id)).count();
    assert!(
        open == 0 || world.session.is_over() || world.session.stalled(),
        "seed {seed}: {open} never ended"
    );
}

#[test]
fn any_client_is_survived() {
    for seed in 0..40 {
        let mut dice = Dice::new(seed);
        let mut world = World::with(script(&mut dice));
        let vocabulary = vocabulary();
        for _ in 0..150 {
            match dice.roll() % 8 {
                0..3 => world.hear(
                    20 * (dice.roll() % 60),
                    if dice.roll().is_multiple_of(2) { &NOISE } else { &SILENCE },
                ),
                3 => world.pass(dice.roll() % 3_000),
                spoilt => {
                    let index = usize::try_from(dice.roll() % vocabulary.len() as u64).expect("small");
                    let mut event = vocabulary[index].clone();
                    if spoilt == 7 {
                        spoil(&mut event, &mut dice);
                    }
                    world.send(&event);
                }
            }
        }
        // Without turn detection, silence starts no further response.
        world.send(&vocabulary[17]);
        world.pass(100_000);
        check(&world, seed);
    }
}

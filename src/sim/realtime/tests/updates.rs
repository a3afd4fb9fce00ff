//! Tests of `session.update`: what is refused, merged and echoed.

use super::*;

fn update(session: &Value) -> Value {
    json!({"type": "session.update", "event_id": "c_5", "session": session})
}

/// A GA update with one value at a path.
fn at(path: &str, value: Value) -> Value {
    let mut session = json!({});
    let mut keys: Vec<&str> = path.split('.').collect();
    let mut inner = value;
    while let Some(key) = keys.pop() {
        inner = json!({key: inner});
    }
    session["type"] = json!("realtime");
    if let (Value::Object(session), Value::Object(inner)) = (&mut session, inner) {
        session.extend(inner);
    }
    session
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_refusal_names_its_code_and_place_and_changes_nothing() {
    let td = "audio.input.turn_detection";
    let cases = [
        (json!({"instructions": "x"}), "missing_required_parameter", "session.type"),
        (json!({"type": "transcription"}), "invalid_value", "session.type"),
        (at("modalities", json!(["audio", "text"])), "unknown_parameter", "session.modalities"),
        (at("voice", json!("marin")), "unknown_parameter", "session.voice"),
        (at("temperature", json!(0.8)), "unknown_parameter", "session.temperature"),
        (at("audio.foo", json!(1)), "unknown_parameter", "session.audio.foo"),
        (at("audio.input.foo", json!(1)), "unknown_parameter", "session.audio.input.foo"),
        (at("audio.output.foo", json!(1)), "unknown_parameter", "session.audio.output.foo"),
        (at("audio.input.format", json!("pcm16")), "invalid_type", "session.audio.input.format"),
        (
            at("audio.input.format", json!({})),
            "missing_required_parameter",
            "session.audio.input.format.type",
        ),
        (
            at("audio.input.format", json!({"type": "g711_ulaw"})),
            "invalid_value",
            "session.audio.input.format.type",
        ),
        (
            at("audio.input.format", json!({"type": "audio/pcmu", "rate": 8000})),
            "unknown_parameter",
            "session.audio.input.format.rate",
        ),
        (
            at("audio.output.format", json!({"type": "audio/pcm"})),
            "missing_required_parameter",
            "session.audio.output.format.rate",
        ),
        (
            at("audio.output.format", json!({"type": "audio/pcm", "rate": 8000})),
            "integer_below_min_value",
            "session.audio.output.format.rate",
        ),
        (
            at("audio.output.format", json!({"type": "audio/pcm", "rate": 48000})),
            "invalid_value",
            "session.audio.output.format.rate",
        ),
        (at("audio.output.voice", json!("nobody")), "invalid_value", "session.audio.output.voice"),
        (at("audio.output.speed", json!(1.6)), "decimal_above_max_value", "session.audio.output.speed"),
        (at("audio.output.speed", json!(0.2)), "decimal_below_min_value", "session.audio.output.speed"),
        (at("output_modalities", json!(["audio", "text"])), "invalid_value", "session.output_modalities"),
        (at("output_modalities", json!([])), "invalid_value", "session.output_modalities"),
        (at("output_modalities", json!("audio")), "invalid_type", "session.output_modalities"),
        (
            at(td, json!({"threshold": 0.5})),
            "missing_required_parameter",
            "session.audio.input.turn_detection.type",
        ),
        (at(td, json!({"type": "client_vad"})), "invalid_value", "session.audio.input.turn_detection.type"),
        (
            at(td, json!({"type": "server_vad", "threshold": 1.5})),
            "decimal_above_max_value",
            "session.audio.input.turn_detection.threshold",
        ),
        (
            at(td, json!({"type": "server_vad", "threshold": "0.5"})),
            "invalid_type",
            "session.audio.input.turn_detection.threshold",
        ),
        (
            at(td, json!({"type": "server_vad", "silence_duration_ms": 500.0})),
            "invalid_type",
            "session.audio.input.turn_detection.silence_duration_ms",
        ),
        (
            at(td, json!({"type": "server_vad", "silence_duration_ms": -1})),
            "integer_below_min_value",
            "session.audio.input.turn_detection.silence_duration_ms",
        ),
        (
            at(td, json!({"type": "server_vad", "idle_timeout_ms": 4999})),
            "integer_below_min_value",
            "session.audio.input.turn_detection.idle_timeout_ms",
        ),
        (
            at(td, json!({"type": "server_vad", "idle_timeout_ms": 30001})),
            "integer_above_max_value",
            "session.audio.input.turn_detection.idle_timeout_ms",
        ),
        (
            at(td, json!({"type": "server_vad", "eagerness": "low"})),
            "unknown_parameter",
            "session.audio.input.turn_detection.eagerness",
        ),
        (
            at(td, json!({"type": "semantic_vad", "threshold": 0.5})),
            "unknown_parameter",
            "session.audio.input.turn_detection.threshold",
        ),
        (
            at(td, json!({"type": "semantic_vad", "eagerness": "eager"})),
            "invalid_value",
            "session.audio.input.turn_detection.eagerness",
        ),
        (
            at(td, json!({"type": "server_vad", "create_response": "yes"})),
            "invalid_type",
            "session.audio.input.turn_detection.create_response",
        ),
        (
            at("audio.input.transcription", json!({"model": "whisper-9"})),
            "invalid_value",
            "session.audio.input.transcription.model",
        ),
        (
            at("audio.input.transcription", json!({"languages": "es"})),
            "invalid_type",
            "session.audio.input.transcription.languages",
        ),
        (
            at("audio.input.noise_reduction", json!({"type": "mid_field"})),
            "invalid_value",
            "session.audio.input.noise_reduction.type",
        ),
        (at("max_output_tokens", json!(0)), "integer_below_min_value", "session.max_output_tokens"),
        (at("max_output_tokens", json!(4097)), "integer_above_max_value", "session.max_output_tokens"),
        (at("max_output_tokens", json!("many")), "invalid_value", "session.max_output_tokens"),
        (at("instructions", json!(null)), "invalid_type", "session.instructions"),
        (
            at("truncation", json!({"type": "retention_ratio", "retention_ratio": 1.1})),
            "decimal_above_max_value",
            "session.truncation.retention_ratio",
        ),
        (at("truncation", json!("oldest")), "invalid_value", "session.truncation"),
        (
            at("truncation", json!({"type": "retention_ratio"})),
            "missing_required_parameter",
            "session.truncation.retention_ratio",
        ),
        (
            at(
                "truncation",
                json!({"type": "retention_ratio", "retention_ratio": 0.8, "post_instructions": 8_000}),
            ),
            "unknown_parameter",
            "session.truncation.post_instructions",
        ),
        (
            at(
                "truncation",
                json!({"type": "retention_ratio", "retention_ratio": 0.8, "token_limits": {"all": 8_000}}),
            ),
            "unknown_parameter",
            "session.truncation.token_limits.all",
        ),
        (
            at(
                "truncation",
                json!({"type": "retention_ratio", "retention_ratio": 0.8,
                    "token_limits": {"post_instructions": "inf"}}),
            ),
            "invalid_type",
            "session.truncation.token_limits.post_instructions",
        ),
        (at("parallel_tool_calls", json!("false")), "invalid_type", "session.parallel_tool_calls"),
        (
            at("audio.input.transcription", json!({"keywords": "ventas"})),
            "invalid_type",
            "session.audio.input.transcription.keywords",
        ),
        (
            at("audio.input.transcription", json!({"model": "gpt-transcribe", "hints": []})),
            "unknown_parameter",
            "session.audio.input.transcription.hints",
        ),
        (at("reasoning", json!({"effort": "extreme"})), "invalid_value", "session.reasoning.effort"),
        (at("tool_choice", json!("some")), "invalid_value", "session.tool_choice"),
        (at("tools", json!({})), "invalid_type", "session.tools"),
        (at("tools", json!([{"type": "function"}])), "missing_required_parameter", "session.tools[0].name"),
        (
            at("tools", json!([{"type": "function", "function": {"name": "x"}}])),
            "missing_required_parameter",
            "session.tools[0].name",
        ),
        (
            at("tools", json!([{"type": "function", "name": "x", "strict": true}])),
            "unknown_parameter",
            "session.tools[0].strict",
        ),
        (
            at("tools", json!([{"type": "function", "name": "con espacio"}])),
            "invalid_value",
            "session.tools[0].name",
        ),
        (at("tools", json!([{"name": "x"}])), "missing_required_parameter", "session.tools[0].type"),
        (at("model", json!("gpt-realtime-1.5")), "invalid_value", "session.model"),
    ];
    let mut world = World::configured(Script::default());
    let before = world.session.settings().clone();
    let count = cases.len();
    for (mut session, code, param) in cases {
        if session.get("type").is_some() {
            session["tracing"] = json!("auto");
        }
        let (got, message, at) = world.refused(&update(&session));
        assert_eq!((got.as_str(), at.as_str()), (code, param), "{session}: {message}");
        assert_eq!(world.last("error")["error"]["event_id"], "c_5");
    }
    assert_eq!(*world.session.settings(), before);
    assert_eq!(world.all("session.updated").len(), 1);
    assert_eq!(world.violations().len(), count);
}

#[test]
fn the_words_are_those_of_the_real_server() {
    let mut world = World::configured(Script::default());
    let mut words = |session: &Value| world.refused(&update(session)).1;
    assert_eq!(words(&json!({})), "Missing required parameter: 'session.type'.");
    assert_eq!(words(&at("audio.input.foo", json!(1))), "Unknown parameter: 'session.audio.input.foo'.");
    assert_eq!(
        words(&at("output_modalities", json!(["audio", "text"]))),
        "Invalid modalities: [\"audio\",\"text\"]. Supported combinations are: ['text'] and ['audio']."
    );
    assert_eq!(
        words(&at("max_output_tokens", json!(0))),
        "Invalid 'session.max_output_tokens': integer below minimum value. Expected a value >= 1, but got 0 instead."
    );
    assert_eq!(
        words(&at("audio.input.noise_reduction", json!({"type": "x"}))),
        "Invalid value: 'x'. Supported values are: 'near_field' and 'far_field'."
    );
    assert_eq!(
        words(&at("instructions", json!(1))),
        "Invalid type for 'session.instructions': expected a string, but got an integer instead."
    );
}

#[test]
fn a_good_update_is_merged_and_echoed_whole() {
    let mut world = World::configured(Script::default());
    let echo = world.last("session.updated")["session"].clone();
    assert_eq!(echo["audio"]["input"]["format"], json!({"type": "audio/pcmu"}));
    assert_eq!(echo["audio"]["input"]["noise_reduction"], Value::Null);
    assert_eq!(
        echo["audio"]["output"],
        json!({"format": {"type": "audio/pcmu"}, "voice": "marin", "speed": 1.0})
    );
    assert_eq!(echo["object"], "realtime.session");

    world.send(&update(&at(
        "audio.input.turn_detection",
        json!({"type": "server_vad", "silence_duration_ms": 700}),
    )));
    let echo = world.last("session.updated")["session"].clone();
    assert_eq!(
        echo["audio"]["input"]["turn_detection"],
        json!({"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 700,
            "idle_timeout_ms": null, "create_response": true, "interrupt_response": true})
    );
    assert_eq!(echo["instructions"], "Be brief.");
    assert_eq!(echo["audio"]["input"]["format"], json!({"type": "audio/pcmu"}));

    world.send(&update(&json!({"type": "realtime", "tools": [], "instructions": "",
        "audio": {"input": {"transcription": null, "turn_detection": null}}})));
    let echo = world.last("session.updated")["session"].clone();
    assert_eq!((&echo["tools"], &echo["instructions"]), (&json!([]), &json!("")));
    assert_eq!(echo["audio"]["input"]["turn_detection"], Value::Null);
    assert_eq!(world.violations(), [""; 0]);
}

#[test]
fn everything_documented_is_accepted() {
    let mut world = World::configured(Script::default());
    world.send(&update(&json!({
        "type": "realtime", "model": "gpt-realtime-2.1", "instructions": "x", "output_modalities": ["audio"],
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24_000},
                "transcription": {"model": "gpt-transcribe", "languages": ["es", "en"], "keywords": ["ventas"]},
                "noise_reduction": {"type": "near_field", "strength": 1.0},
                "turn_detection": {"type": "semantic_vad", "eagerness": "auto", "create_response": true,
                    "interrupt_response": false},
            },
            "output": {"format": {"type": "audio/pcma"}, "voice": {"id": "voice_1"}, "speed": 1},
        },
        "tools": [
            {"type": "function", "name": "end_call", "description": "x", "parameters": {"type": "object"}},
            {"type": "mcp", "server_label": "s", "server_url": "https://x", "require_approval": "never"},
        ],
        "tool_choice": {"type": "function", "name": "end_call"}, "parallel_tool_calls": true,
        "reasoning": {"effort": "low"}, "max_output_tokens": 4096,
        "truncation": {"type": "retention_ratio", "retention_ratio": 0.8, "token_limits": {"post_instructions": 8000}},
        "tracing": {"workflow_name": "x", "group_id": "y", "metadata": {}},
        "include": ["item.input_audio_transcription.logprobs"], "prompt": null,
    })));
    assert!(world.all("error").is_empty());
    assert_eq!(world.all("session.updated").len(), 2);
}

#[test]
fn the_voice_is_fixed_once_the_assistant_has_spoken() {
    let mut world = World::configured(Script::default());
    world.send(&update(&at("audio.output.voice", json!("cedar"))));
    world.send(&create());
    world.pass(1_000);
    let (code, message, _) = world.refused(&update(&json!({"type": "realtime", "instructions": "other",
        "audio": {"output": {"voice": "marin"}}})));
    assert_eq!(code, "cannot_update_voice");
    assert_eq!(message, "Cannot update a conversation's voice if assistant audio is present.");
    assert_eq!(world.session.settings()["instructions"], "Be brief.");
    world.send(&update(&at("audio.output.voice", json!("cedar"))));
    assert_eq!(world.all("session.updated").len(), 3, "the same voice passes");
    assert_eq!(world.violations().len(), 2, "but is undisciplined");
}

#[test]
fn reasoning_is_for_models_that_reason() {
    let mut world =
        World::connect(Script::default(), "model=gpt-realtime-1.5", &[("Authorization", "Bearer sk-test")])
            .expect("let in");
    for key in ["reasoning", "parallel_tool_calls"] {
        let value = if key == "reasoning" { json!({"effort": "low"}) } else { json!(true) };
        let (code, message, param) = world.refused(&update(&at(key, value)));
        assert_eq!((code.as_str(), param), ("", format!("session.{key}")), "{message}");
        assert!(message.starts_with("Unsupported option for this model"));
    }
}

#[test]
fn what_a_transcription_model_does_not_take_is_undisciplined() {
    let words = |key: &str| format!("transcription.{key} (§3.4)");
    for (model, more, complaint) in [
        ("gpt-transcribe", json!({"language": "es"}), Some("language for a model that takes languages")),
        ("gpt-live-transcribe", json!({"languages": ["es"], "keywords": ["Sol"]}), None),
        (
            "gpt-4o-transcribe",
            json!({"languages": ["es"]}),
            Some("languages for a model that takes language"),
        ),
        ("gpt-4o-transcribe", json!({"language": "es", "prompt": "Una clínica."}), None),
        ("whisper-1", json!({"keywords": ["Sol"]}), Some("keywords for a model without keywords")),
        ("gpt-realtime-whisper", json!({"prompt": "x"}), Some("prompt for a model without a prompt")),
    ] {
        let mut world = World::configured(Script::default());
        let mut transcription = more;
        transcription["model"] = model.into();
        world.send(&update(&at("audio.input.transcription", transcription)));
        assert_eq!(world.violations(), complaint.map(words).as_slice(), "{model}");
    }
}

#[test]
fn the_echo_may_be_wrong() {
    let mut world = World::with(Script { echo_wrong_format: true, ..Script::default() });
    world.send(&phone_config());
    let audio = &world.last("session.updated")["session"]["audio"];
    assert_eq!(audio["input"]["format"], json!({"type": "audio/pcm", "rate": 24_000}));
    assert_eq!(audio["output"]["format"], json!({"type": "audio/pcm", "rate": 24_000}));
    world.send(&create());
    world.pass(1_000);
    assert_eq!(
        world.sound("item_1", "response.output_audio.delta").len(),
        2_000 * 48,
        "and what it says is so"
    );
}

const BETA: [(&str, &str); 2] = [("Authorization", "Bearer sk-test"), ("OpenAI-Beta", "realtime=v1")];

#[test]
fn beta_is_flat_and_has_its_own_names() {
    let script = Script { dialect: Dialect::Beta, ..Script::default() };
    let mut world = World::connect(script, "model=gpt-realtime-2.1", &BETA).expect("let in");
    assert_eq!(world.last("session.created")["session"]["input_audio_format"], "pcm16");
    assert_eq!(world.last("session.created")["session"].get("audio"), None);
    world.send(&update(&json!({
        "modalities": ["audio", "text"], "voice": "alloy", "instructions": "x", "temperature": 0.8,
        "input_audio_format": "g711_ulaw", "output_audio_format": "g711_ulaw",
        "input_audio_transcription": {"model": "whisper-1"},
        "turn_detection": {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 500},
        "tools": [], "tool_choice": "auto", "max_response_output_tokens": "inf",
    })));
    assert_eq!(world.last("session.updated")["session"]["output_audio_format"], "g711_ulaw");
    world.take();
    world.send(&json!({"type": "response.create", "response": {"modalities": ["audio", "text"]}}));
    world.pass(1_000);
    assert_eq!(
        world.take(),
        [
            "response.created",
            "response.output_item.added",
            "conversation.item.created",
            "response.content_part.added",
            "response.audio_transcript.delta",
            "response.audio.delta",
            "response.audio.done",
            "response.audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.done",
            "rate_limits.updated"
        ]
    );
    let done = world.last("response.done");
    assert_eq!(done["response"]["output"][0]["content"][0]["type"], "audio");
    assert_eq!(done["response"]["output_audio_format"], "g711_ulaw");
    assert_eq!(world.sound("item_1", "response.audio.delta"), pattern(2_000, 2).to_vec());
    world.hear(1_000, &NOISE);
    world.hear(1_000, &SILENCE);
    let names = world.take();
    assert!(names.contains(&"conversation.item.created".to_owned()));
    assert!(
        !names
            .iter()
            .any(|name| name.starts_with("conversation.item.added") || name == "conversation.item.done")
    );
    assert_eq!(world.violations(), [""; 0]);
    let call = json!({"type": "function_call", "call_id": "call_9", "name": "x", "arguments": "{}"});
    world.send(&json!({"type": "conversation.item.create", "item": call}));
    assert_eq!(world.last("conversation.item.created")["item"]["call_id"], "call_9");

    assert_eq!(world.refused(&update(&json!({"type": "realtime"}))).2, "session.type");
    assert_eq!(world.refused(&update(&json!({"voice": "marin"}))).0, "invalid_value");
    assert_eq!(world.refused(&update(&json!({"audio": {}}))).2, "session.audio");
    assert_eq!(world.refused(&update(&json!({"input_audio_format": "audio/pcmu"}))).0, "invalid_value");
    let (_, _, param) =
        world.refused(&json!({"type": "response.create", "response": {"output_modalities": ["audio"]}}));
    assert_eq!(param, "response.output_modalities");
}

#[test]
fn beta_wants_its_header() {
    let script = Script { dialect: Dialect::Beta, ..Script::default() };
    let world = World::connect(script, "model=gpt-realtime-2.1", &BETA[..1]).expect("let in");
    assert_eq!(world.violations(), ["beta dialect without the header OpenAI-Beta: realtime=v1 (3)"]);
    assert_eq!(world.all("session.created").len(), 1);
}

#[test]
fn a_beta_call_is_nameless_when_its_arguments_are_done() {
    let answers = vec![Answer::call("transfer_call", "{}")];
    let script = Script { dialect: Dialect::Beta, answers, ..Script::default() };
    let mut world = World::connect(script, "model=gpt-realtime-2.1", &BETA).expect("let in");
    world.send(&update(&json!({"output_audio_format": "g711_ulaw"})));
    world.send(&create());
    world.pass(1_000);
    assert_eq!(world.last("response.function_call_arguments.done").get("name"), None);
    assert_eq!(world.last("response.output_item.done")["item"]["name"], "transfer_call");
}

//! Tests what the model reads.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::*;

fn read(outcome: &Outcome) -> Value {
    let text = outcome.text();
    assert!(text.chars().count() <= MOST_CHARS, "{} characters", text.chars().count());
    serde_json::from_str(&text).unwrap()
}

fn done(result: Value) -> Value {
    read(&Outcome::Done { result })
}

#[test]
fn every_outcome_has_a_code_and_an_error_has_a_hint() {
    let outcomes = [
        (Outcome::AskFirst, "ask_first"),
        (Outcome::Busy, "busy"),
        (Outcome::Unavailable, "unavailable"),
        (Outcome::Refused { message: json!("full") }, "refused"),
        (Outcome::Unknown, "unknown"),
        (Outcome::TooOften, "too_often"),
        (Outcome::InvalidArguments { problems: vec![] }, "invalid_arguments"),
    ];
    for (outcome, code) in outcomes {
        let answer = read(&outcome);
        assert_eq!((&answer["ok"], &answer["error"]), (&json!(false), &json!(code)));
        assert!(answer["hint"].as_str().is_some_and(|hint| hint.len() > 20), "{answer}");
        assert_eq!(outcome.code(), code);
    }
    assert_eq!(done(json!(["09:00"])), json!({"ok": true, "result": ["09:00"]}));
    let repeated: Value = serde_json::from_str(&Outcome::Done { result: json!(1) }.repeated()).unwrap();
    assert_eq!(repeated, json!({"ok": true, "repeated": true, "result": 1}));
    let problems = vec![Problem { path: "day".into(), reason: "r".into(), right: json!({"type": "string"}) }];
    let answer = read(&Outcome::InvalidArguments { problems });
    assert_eq!(answer["problems"], json!([{"argument": "day", "reason": "r", "right": {"type": "string"}}]));
}

#[test]
fn the_ends_of_lists_go_first_then_long_texts_then_wide_tables_then_depth() {
    let list: Vec<_> =
        (0..1_000).map(|n| json!({"start": format!("2026-12-01T{n:04}"), "free": true})).collect();
    let answer = done(json!({"slots": list, "day": "x".repeat(500)}));
    let kept = answer["result"]["slots"].as_array().unwrap();
    assert_eq!(kept.len() + answer["left_out"].as_u64().unwrap() as usize, 1_000);
    assert_eq!(kept[..], list[..kept.len()], "whole entries from the beginning");
    assert!(kept.len() > 50, "as many as fit: {}", kept.len());
    assert_eq!(answer["result"]["day"].as_str().unwrap().len(), 500, "the texts are whole");

    let answer = done(json!({"text": "ñ".repeat(50_000), "list": [1, 2, 3]}));
    assert_eq!((&answer["result"]["list"], &answer["left_out"]), (&json!([1, 2, 3]), &json!(1)));
    let text = answer["result"]["text"].as_str().unwrap();
    assert!(text.ends_with('…') && text.chars().count() > 3_500);

    let texts: Vec<_> = (0..1_000).map(|_| "x".repeat(5_000)).collect();
    let answer = done(json!(texts));
    let kept = answer["result"].as_array().unwrap();
    assert_eq!((kept.len(), &answer["left_out"]), (3, &json!(1_000)), "997 texts, and the ends of three");
    assert!(kept.iter().all(|text| text.as_str().unwrap().chars().count() > 1_000), "{answer}");

    let wide: Value =
        (0..3_000).map(|n| (format!("key{n:04}"), json!(n))).collect::<serde_json::Map<_, _>>().into();
    let answer = done(wide);
    assert!(answer["result"].as_object().unwrap().len() > 100, "{answer}");

    let deep =
        (0..100).fold(json!("x"), |inner, _| json!({"a": inner, "b": ["y".repeat(70), "z".repeat(70), 1]}));
    let answer = done(deep);
    assert!(answer["result"]["a"]["a"]["b"].is_array() && answer["left_out"].as_u64().unwrap() > 0);

    assert_eq!(done(json!({"k".repeat(9_000): 1}))["result"], Value::Null, "nothing of it fits");
    assert_eq!(done(json!("\u{1}".repeat(5_000)))["left_out"], json!(1), "escapes count");
}

#[test]
fn an_answer_of_a_server_has_a_meaning() {
    let known = Known::new();
    let mapping = Mapping {
        result: Some(template("{{ body.slots | selectattr('free') | map(attribute='start') | list }}")),
        error: Some(template("{{ body.message | default('no answer') }}")),
    };
    let outcome = |status, body: &str, effect| {
        let response = Response::new(status, body.as_bytes());
        let mapped = mapping.outcome(&response, &known.facts(), &json!({}), effect, &Masks::default());
        (mapped.outcome, mapped.fault.is_some())
    };
    let slots = r#"{"slots":[{"start":"09:00","free":true},{"start":"10:00","free":false},{"start":"11:00","free":true}]}"#;
    let done = |result| (Outcome::Done { result }, false);
    assert_eq!(outcome(200, slots, Effect::Read), done(json!(["09:00", "11:00"])));
    let refused = |message: &str, fault| (Outcome::Refused { message: json!(message) }, fault);
    assert_eq!(outcome(409, r#"{"message":"taken"}"#, Effect::Write), refused("taken", false));
    assert_eq!(outcome(404, "{}", Effect::Read), refused("no answer", false));
    assert_eq!(outcome(400, "", Effect::Read), refused("no answer", false));
    assert_eq!(outcome(200, "<html>", Effect::Read), (Outcome::Unavailable, true));
    assert_eq!(
        outcome(201, "<html>", Effect::Write),
        (Outcome::Done { result: Value::Null }, true),
        "it was done"
    );
    for status in [199, 301, 302, 303, 307, 408, 500, 502, 504, 520, 524, 999] {
        assert_eq!(outcome(status, "", Effect::Write), (Outcome::Unknown, false), "{status}");
        assert_eq!(outcome(status, "", Effect::Read), (Outcome::Unavailable, false), "{status}");
    }
    for status in [401, 403, 429, 501, 503, 505] {
        assert_eq!(
            outcome(status, r#"{"message":"key abc"}"#, Effect::Write),
            (Outcome::Unavailable, false),
            "{status}"
        );
    }
    let whole = Mapping::default();
    let response = Response::new(200, "\u{feff} {\"a\":1} ".as_bytes());
    let mapped = whole.outcome(&response, &known.facts(), &json!({}), Effect::Read, &Masks::default());
    assert_eq!(mapped.outcome, Outcome::Done { result: json!({"a": 1}) });
    assert_eq!(Response::new(204, b"").body, Value::Null);
    assert_eq!(Response::new(200, b"\xff ok").body, json!("\u{fffd} ok"));
}

#[test]
fn a_lookup_finds_something_or_nothing() {
    let known = Known::new();
    let mapping = Mapping {
        result: Some(template("{{ {'id': body[0].id, 'name': body[0].name} if body else none }}")),
        error: None,
    };
    let found = |status, body: &str| {
        mapping.found(&Response::new(status, body.as_bytes()), &known.facts(), &Masks::default())
    };
    assert_eq!(found(200, r#"[{"id":7,"name":"Ana","x":1}]"#), Ok(Some(json!({"id": 7, "name": "Ana"}))));
    assert_eq!(found(200, "[]"), Ok(None));
    assert_eq!(found(404, "{}"), Ok(None));
    assert!(found(200, "5").is_err());
}

#[test]
fn an_answer_that_echoes_a_secret_is_masked_in_every_spelling() {
    let known = Known::new();
    let secret = secret("CRM").unwrap();
    let masks = Masks::new([secret.as_str(), "123456"]);
    let body = json!({
        "headers": {"Authorization": format!("Bearer {secret}")}, "url": "?k=s3cr%22t%20%C3%B1%2F%2B",
        secret.clone(): 1, "n": 9_123_456, "basic": "czNjciJ0IMOxLys=",
    });
    let response = Response { status: 200, body };
    let mapped = Mapping::default().outcome(&response, &known.facts(), &json!({}), Effect::Read, &masks);
    let expected = json!({"headers": {"Authorization": "Bearer ***"}, "url": "?k=***", "***": 1, "n": "9***", "basic": "***="});
    assert_eq!(mapped.outcome, Outcome::Done { result: expected });
    let refusal = Response { status: 400, body: json!(secret) };
    let mapped = Mapping::default().outcome(&refusal, &known.facts(), &json!({}), Effect::Read, &masks);
    assert_eq!(mapped.outcome, Outcome::Refused { message: json!("***") });
    assert_eq!(format!("{masks:?}"), "Masks");
}

fn tool(name: &str, schema: Value) -> Tool {
    Tool {
        name: name.into(),
        description: "Free appointments".into(),
        effect: Effect::Read,
        parameters: parameters(schema),
        way: Way::Http(Arc::new(HttpTool {
            request: request("GET https://h/{{ args.day }}"),
            idempotency: Some("Idempotency-Key".into()),
            mapping: Mapping::default(),
        })),
        timeout: Duration::from_secs(8),
        say_after: None,
        confirm: Confirm::Nobody,
        repeatable: false,
    }
}

#[test]
fn a_request_that_cannot_be_made_is_an_answer_too() {
    let tool = tool("free_slots", json!({"type": "object", "properties": {"day": {"type": "string"}}}));
    let Way::Http(http) = &tool.way else { panic!("a request") };
    let known = Known::new();
    let arguments = tool.parameters.check(r#"{"day":".."}"#).unwrap();
    let error = http.request(&known.facts(), &arguments, "k", &secret).unwrap_err();
    let answer = read(&tool.refused(&error));
    assert_eq!(
        answer["problems"][0],
        json!({"argument": "day", "reason": "it must not be . or ..", "right": {"type": "string"}})
    );
    assert_eq!(tool.refused(&RenderError::Secret { name: "A".into() }), Outcome::Unavailable);
    assert_eq!(
        tool.declaration(),
        json!({"type": "function", "name": "free_slots", "description": "Free appointments", "parameters":
            {"type": "object", "properties": {"day": {"type": "string"}}, "additionalProperties": false}})
    );
    let arguments = tool.parameters.check(r#"{"day":"x"}"#).unwrap();
    let made = http.dry(&known.facts(), &arguments, "k").unwrap();
    assert_eq!(made.headers, [("Idempotency-Key".to_owned(), "k".to_owned())]);
    for name in ["book", "a-b_C9", &"x".repeat(64)] {
        assert!(is_name(name), "{name}");
    }
    for name in ["", "a b", "a.b", "ñ", "end_call", "transfer_call", &"x".repeat(65)] {
        assert!(!is_name(name), "{name}");
    }
}

#[test]
fn a_secret_is_masked_however_servers_write_it() {
    let secret = "Aé/b+c d\"e'f<g&h~i(j)!*k";
    let masks = Masks::new([secret]);
    let rows = [
        // encodeURIComponent, quote and quote_plus of Python, strict in lower case, forms
        "A%C3%A9%2Fb%2Bc%20d%22e'f%3Cg%26h~i(j)!*k",
        "A%C3%A9/b%2Bc%20d%22e%27f%3Cg%26h~i%28j%29%21%2Ak",
        "A%C3%A9%2Fb%2Bc+d%22e%27f%3Cg%26h~i%28j%29%21%2Ak",
        "A%c3%a9%2fb%2bc%20d%22e%27f%3cg%26h~i%28j%29%21%2ak",
        // JSON.stringify, json.dumps, json_encode
        r#"Aé/b+c d\"e'f<g&h~i(j)!*k"#,
        r#"A\u00e9/b+c d\"e'f<g&h~i(j)!*k"#,
        r#"A\u00E9\/b+c d\"e'f<g&h~i(j)!*k"#,
        // html.escape of Python and Go, htmlspecialchars, text of an element
        "Aé/b+c d&quot;e&#x27;f&lt;g&amp;h~i(j)!*k",
        "Aé/b+c d&#34;e&#39;f&lt;g&amp;h~i(j)!*k",
        "Aé/b+c d&quot;e&#039;f&lt;g&amp;h~i(j)!*k",
    ];
    for row in rows {
        assert_eq!(masks.text(&format!("<{row}>")), "<***>", "{row}");
    }
    for (before, after) in [("", ""), ("user:", ""), ("Bearer ", ""), ("ab", ":x"), ("a", ":"), ("abc", "?!")]
    {
        let text = format!("{before}{secret}{after}");
        for (engine, name) in [(STANDARD, "standard"), (URL_SAFE, "for URLs")] {
            let masked = masks.text(&engine.encode(&text));
            let clear = before.len() * 8 / 6 + 2 + after.len() * 8 / 6 + 4;
            assert!(masked.contains("***") && masked.len() <= clear + 3, "{name}: {masked}");
        }
    }
    let ordinary = "An ordinary sentence, 1 or 2 of them: MQ==";
    assert_eq!(Masks::new(["7", "é"]).text(ordinary), ordinary);
}

#[test]
fn a_mapping_never_sees_a_secret() {
    let known = Known::new();
    let mapping = Mapping {
        result: Some(template("{{ body.key[:6] }}")),
        error: Some(template("{{ body.key | list }}")),
    };
    let masks = Masks::new(["s3cret-7788"]);
    let answer = |status| Response::new(status, br#"{"key": "s3cret-7788"}"#);
    let outcome =
        |status| mapping.outcome(&answer(status), &known.facts(), &json!({}), Effect::Read, &masks).outcome;
    assert_eq!(outcome(200), Outcome::Done { result: json!("***") });
    assert_eq!(outcome(400), Outcome::Refused { message: json!(["*", "*", "*"]) });
    assert_eq!(mapping.found(&answer(200), &known.facts(), &masks), Ok(Some(json!("***"))));
}

#[test]
fn a_record_does_not_hold_a_private_value_that_the_server_echoes() {
    let schema = json!({"type": "object", "additionalProperties": true});
    let private = ["pin", "card", "who"].map(str::to_owned).into();
    let tool = Tool {
        parameters: Parameters::new(schema, private).unwrap(),
        ..tool("free_slots", json!({"type": "object"}))
    };
    let text = r#"{"pin": 4321, "card": {"digits": ["4111-1111", true]}, "who": "ok \"Ana\"", "day": "hoy"}"#;
    let arguments = tool.parameters.check(text).unwrap();
    let echoed = json!({"pin": "PIN 4321", "n": 54_321, "4111-1111": "ok \"Ana\" hoy true"});
    let masked = json!({"pin": "PIN ***", "n": "5***", "***": "*** hoy true"});
    for (outcome, member) in [
        (Outcome::Done { result: echoed.clone() }, "result"),
        (Outcome::Refused { message: echoed }, "message"),
    ] {
        let told = tool.answer(&outcome);
        let recorded: Value = serde_json::from_str(&tool.recorded(&told, &arguments)).unwrap();
        assert_eq!(recorded[member], masked);
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!((&told["ok"], &told["hint"]), (&recorded["ok"], &recorded["hint"]));
    }
    let told = tool.answer(&Outcome::Unknown);
    assert_eq!(tool.recorded(&told, &arguments), told);
}

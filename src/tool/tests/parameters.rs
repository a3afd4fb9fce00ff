//! Tests parameters and arguments.

use super::*;

fn booking() -> Parameters {
    parameters(json!({"type": "object", "properties": {
        "day": {"type": "string", "format": "date", "description": "YYYY-MM-DD"},
        "hour": {"type": "integer", "minimum": 8, "maximum": 17},
        "room": {"enum": ["a", "b"]},
        "note": {"type": "string", "maxLength": 5, "pattern": "^[a-z]*$"},
    }, "required": ["day"]}))
}

#[test]
fn what_is_wrong_has_a_path_a_reason_and_what_would_be_right() {
    let rows = [
        (r#"{"day":"mañana"}"#, "day", "this value is not a \"date\""),
        (r#"{"day":"2026-02-30"}"#, "day", "this value is not a \"date\""),
        (r#"{"day":5}"#, "day", "this value is not of type \"string\""),
        (r#"{"hour":9}"#, "", "\"day\" is a required property"),
        (r#"{"day":"2026-12-01","hour":18}"#, "hour", "this value is greater than the maximum of 17"),
        (r#"{"day":"2026-12-01","hour":8.5}"#, "hour", "this value is not of type \"integer\""),
        (r#"{"day":"2026-12-01","room":"c"}"#, "room", "this value is not one of \"a\" or \"b\""),
        (r#"{"day":"2026-12-01","note":"ABC"}"#, "note", "this value does not match \"^[a-z]*$\""),
        (r#"{"day":"2026-12-01","note":"abcdef"}"#, "note", "this value is longer than 5 characters"),
        (
            r#"{"day":"2026-12-01","phone":"1"}"#,
            "",
            "Additional properties are not allowed ('phone' was unexpected)",
        ),
        (r#"{"day":"#, "", "the arguments are not valid JSON (column 7)"),
        (r#"["2026-12-01"]"#, "", "the arguments must be a JSON object"),
        ("", "", "\"day\" is a required property"),
    ];
    for (text, path, reason) in rows {
        let problems = booking().check(text).expect_err(text);
        assert_eq!((problems[0].path.as_str(), problems[0].reason.as_str()), (path, reason), "{text}");
        let right = if path.is_empty() {
            booking().schema().clone()
        } else {
            booking().schema()["properties"][path].clone()
        };
        assert_eq!(problems[0].right, right, "{text}");
    }
    let long = format!(r#"{{"day":"{}"}}"#, "x".repeat(20_000));
    assert_eq!(
        booking().check(&long).expect_err("too long")[0].reason,
        "the arguments are longer than 8192 bytes"
    );
    let many = booking().check(r#"{"day":1,"hour":"x","room":1,"note":1,"a":1,"b":2}"#).expect_err("faults");
    assert_eq!(many.len(), 5);
    assert!(booking().check(r#"{"day":"2026-12-01","hour":9}"#).is_ok());
    assert!(parameters(json!({"type": "object"})).check(" ").is_ok(), "no arguments");
}

#[test]
fn a_schema_that_nobody_can_fit_or_check_is_a_fault() {
    let new = |schema: Value| Parameters::new(schema, BTreeSet::new()).map(|_| ());
    assert_eq!(new(json!([])), Err(ToolFault::SchemaNotObject));
    assert_eq!(new(json!({"type": "string"})), Err(ToolFault::SchemaNotObject));
    assert_eq!(new(json!({"properties": {}})), Err(ToolFault::SchemaNotObject));
    for schema in [
        json!({"type": "object", "properties": {"a": {"type": "text"}}}),
        json!({"type": "object", "properties": {"a": {"pattern": "("}}}),
        json!({"type": "object", "properties": {"a": {"pattern": "(?=x)"}}}),
        json!({"type": "object", "properties": {"a": {"$ref": "https://example.com/schema.json"}}}),
        json!({"type": "object", "required": "a"}),
        json!({"type": "object", "properties": {"a": {"minimum": "1"}}}),
    ] {
        assert!(matches!(new(schema.clone()), Err(ToolFault::Schema { .. })), "{schema}");
    }
    let named = |name: &str| new(json!({"type": "object", "properties": {name: {}}}));
    assert_eq!(named("a_1"), Ok(()));
    for name in ["", "a b", "a-b", "1a", "ñ", "a.b"] {
        assert_eq!(named(name), Err(ToolFault::ParameterName { name: name.into() }));
    }
    assert_eq!(booking().schema()["additionalProperties"], json!(false));
    let open = parameters(json!({"type": "object", "additionalProperties": true}));
    assert!(open.check(r#"{"any":1}"#).is_ok(), "a whole schema may allow more");
}

#[test]
fn equal_arguments_have_one_form_and_one_key() {
    let open = parameters(json!({"type": "object", "additionalProperties": true}));
    let arguments = |text: &str| open.check(text).unwrap();
    let one = arguments(r#"{"b": [1, {"z": 1, "y": 2.50}], "a": "ñ"}"#);
    let other = arguments("{\n\"a\":\"\\u00f1\",\"b\":[1.0,{\"y\":2.5,\"z\":1}]}");
    assert_eq!(one.canonical(), r#"{"a":"ñ","b":[1,{"y":2.5,"z":1}]}"#);
    assert_eq!(one.canonical(), other.canonical());
    // printf '1795180048.12\0book\0{"a":"ñ","b":[1,{"y":2.5,"z":1}]}\0' | openssl sha256 -binary | basenc --base64url | cut -c 1-22
    assert_eq!(one.key("1795180048.12", "book"), "H8PG6JhO06Xn7xvboHGkcG");
    assert_eq!(one.key("1795180048.12", "book"), other.key("1795180048.12", "book"));
    for (call, tool, text) in [
        ("1795180048.13", "book", "{}"),
        ("1795180048.12", "cancel", "{}"),
        ("1795180048.12", "book", r#"{"a":1}"#),
    ] {
        assert_ne!(arguments(text).key(call, tool), arguments("{}").key("1795180048.12", "book"));
    }
}

#[test]
fn private_values_are_masked() {
    let schema =
        json!({"type": "object", "properties": {"note": {"type": "string"}, "day": {"type": "string"}}});
    let parameters = Parameters::new(schema, BTreeSet::from(["note".to_owned()])).unwrap();
    let arguments = parameters.check(r#"{"note":"dolor","day":"2026-12-01"}"#).unwrap();
    assert_eq!(parameters.masked(&arguments), json!({"note": "***", "day": "2026-12-01"}));
}

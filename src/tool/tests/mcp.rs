//! Tests the tools of servers that speak the Model Context Protocol.

use super::*;

fn listed(name: &str, schema: Value) -> Listed {
    Listed { name: name.into(), description: format!("Does {name}."), schema }
}

fn object(properties: &Value) -> Value {
    json!({"type": "object", "properties": properties})
}

/// A server that offers these tools, changed by the test.
fn server(tools: &[&str], change: impl FnOnce(&mut McpServer)) -> Arc<McpServer> {
    let mut server = McpServer {
        name: "tickets".into(),
        access: Access::Url(Box::new(request("POST http://10.0.0.5:8000/mcp"))),
        tools: tools.iter().map(|text| Pattern::new(text)).collect(),
        fixed: BTreeMap::new(),
        set: Vec::new(),
    };
    change(&mut server);
    Arc::new(server)
}

fn offered(server: &Arc<McpServer>, list: &[Listed]) -> Offered {
    server.offered(list, &Masks::default(), &mut BTreeSet::new(), 64)
}

fn names(offered: &Offered) -> Vec<&str> {
    offered.tools.iter().map(|tool| &*tool.name).collect()
}

fn way(tool: &Tool) -> &McpTool {
    let Way::Mcp(way) = &tool.way else { panic!("a tool of a server") };
    way
}

#[test]
fn nothing_is_offered_unasked_and_what_is_missing_is_said() {
    let list = ["open_ticket", "find_a", "find_b", "delete_all"].map(|name| listed(name, object(&json!({}))));
    let some = offered(&server(&["open_ticket", "find_*", "close_ticket", "get_*"], |_| {}), &list);
    assert_eq!(names(&some), ["open_ticket", "find_a", "find_b"]);
    assert_eq!(some.left_out, [LeftOut { tool: "close_ticket".into(), why: ServerFault::NotListed.into() }]);
    let twice = [list[0].clone(), list[0].clone()];
    assert_eq!(names(&offered(&server(&["*"], |_| {}), &twice)), ["open_ticket"]);
}

#[test]
fn the_file_says_what_a_tool_may_do_and_the_server_does_not() {
    let mut one = listed("open_ticket", object(&json!({"pin": {"type": "string"}})));
    one.description = "x".repeat(2_000);
    let list = [one, listed("find_a", object(&json!({}))), listed("find_b", object(&json!({})))];
    let set = |change: fn(&mut Set)| {
        let mut set = Set::default();
        change(&mut set);
        set
    };
    let server = server(&["*"], |server| {
        server.set = vec![
            (Pattern::new("*"), set(|set| set.confirm = Confirm::Caller)),
            (Pattern::new("find_b"), set(|set| set.description = Some("Finds b.".into()))),
            (Pattern::new("find_*"), set(|set| (set.effect, set.idempotent) = (Effect::Read, true))),
        ];
    });
    let offered = offered(&server, &list);
    let [open, a, b] = &offered.tools[..] else { panic!("three tools") };
    assert_eq!((open.effect, open.confirm), (Effect::Write, Confirm::Caller));
    assert_eq!((a.effect, a.confirm, way(a).idempotent), (Effect::Read, Confirm::Nobody, true));
    assert_eq!(
        (b.effect, &*b.description),
        (Effect::Write, "Finds b."),
        "the name counts more than a pattern"
    );
    assert_eq!((open.description.len(), &*a.description), (DESCRIPTION_CHARS, "Does find_a."));
    assert_eq!((open.timeout.as_secs(), open.say_after), (8, Some(Duration::from_millis(2_500))));
}

#[test]
fn the_model_cannot_choose_what_the_file_fixes() {
    let fixed = |tool: &str, values: Vec<(&str, Node)>| {
        let values = values.into_iter().map(|(name, node)| (name.to_owned(), node)).collect();
        (tool.to_owned(), values)
    };
    let server = server(&["*"], |server| {
        server.fixed = BTreeMap::from([
            fixed(
                "open_ticket",
                vec![
                    ("phone", text("{{ call.caller }}")),
                    ("customer", text("{{ lookup.nobody }}")),
                    ("key", text("{{ secret.CRM }}")),
                ],
            ),
            fixed("renamed", vec![("phone", text("{{ call.caller }}"))]),
        ]);
    });
    let string = json!({"type": "string"});
    let mut schema = object(&json!({"phone": string, "customer": string, "key": string, "title": string}));
    schema["required"] = json!(["phone", "title"]);
    schema["additionalProperties"] = json!(true);
    let renamed = listed("renamed", object(&json!({"phone_number": string})));
    let offered = offered(&server, &[listed("open_ticket", schema), renamed]);
    // What the file means to fix would be the model's to choose.
    assert_eq!(
        offered.left_out,
        [LeftOut { tool: "renamed".into(), why: ServerFault::FixedUnknown { name: "phone".into() }.into() }]
    );
    let tool = &offered.tools[0];
    let seen = json!({"type": "object", "properties": {"title": string}, "required": ["title"], "additionalProperties": true});
    assert_eq!(tool.declaration()["parameters"], seen);
    let known = Known::new();
    let arguments = tool
        .parameters
        .check(r#"{"title": "{{ secret.CRM }}", "phone": "999", "customer": "1", "key": "x", "more": 1}"#)
        .unwrap();
    let sent = way(tool).arguments(&known.facts(), &arguments, &secret).unwrap();
    let expected =
        json!({"title": "{{ secret.CRM }}", "phone": "3001234567", "key": "s3cr\"t ñ/+", "more": 1});
    assert_eq!(Value::Object(sent), expected);
    let error = way(tool).arguments(&known.facts(), &arguments, &|_| None).unwrap_err();
    assert_eq!(tool.refused(&error), Outcome::Unavailable);
}

#[test]
fn names_are_what_openai_takes_and_unique() {
    let long = "n".repeat(100);
    let list = ["tickets.open", "tickets/open", "end_call", "book", "ñ", &long, &format!("{long}x"), ""]
        .map(|name| listed(name, object(&json!({}))));
    let mut taken = BTreeSet::from(["book".into()]);
    let offered = server(&["*"], |_| {}).offered(&list, &Masks::default(), &mut taken, 64);
    let of_long = ["n".repeat(64), format!("tickets_{}", "n".repeat(56))];
    let expected = [
        "tickets_open",
        "tickets_tickets_open",
        "tickets_end_call",
        "tickets_book",
        "_",
        &of_long[0],
        &of_long[1],
        "tickets_",
    ];
    assert_eq!(names(&offered), expected);
    assert_eq!(way(&offered.tools[0]).name, "tickets.open");
    assert_eq!(taken.len(), 9);
    let same: Vec<_> = [".", "/", "+", "~"].map(|name| listed(name, object(&json!({})))).into();
    let offered = server(&["*"], |_| {}).offered(&same, &Masks::default(), &mut BTreeSet::new(), 3);
    assert_eq!(names(&offered), ["_", "tickets__", "tickets___2"]);
    assert_eq!(
        offered.left_out,
        [LeftOut { tool: "~".into(), why: ServerFault::NoRoom { most: 64 }.into() }]
    );
    assert!(offered.tools.iter().all(|tool| is_name(&tool.name)));
}

#[test]
fn a_schema_of_a_server_is_taken_as_it_is_or_its_tool_is_left_out() {
    let draft_7 = json!({
        "$schema": "http://json-schema.org/draft-07/schema#", "$id": "https://h.example/x", "type": "object",
        "properties": {"first-name": {"$ref": "#/definitions/name"}, "pair": {"type": "array", "items": [{"type": "string"}]}},
        "definitions": {"name": {"type": "string"}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}], "allOf": [{}], "not": {"required": ["c"]}, "enum": [{"pair": []}],
    });
    let rows = [
        ("draft_7", draft_7, None),
        ("none", json!({"type": "object"}), None),
        ("own", json!({"$schema": "urn:x", "type": "object"}), None),
        ("text", json!({"type": "string"}), Some(ToolFault::SchemaNotObject)),
        ("list", json!([]), Some(ToolFault::SchemaNotObject)),
        (
            "long",
            object(&json!({"a": {"description": "x".repeat(8_000)}})),
            Some(ServerFault::SchemaTooLong { most: 8_000 }.into()),
        ),
    ];
    for (name, schema, expected) in &rows {
        let found = offered(&server(&["*"], |_| {}), &[listed(name, schema.clone())]);
        assert_eq!(found.left_out.first().map(|left| &left.why), expected.as_ref(), "{name}");
    }
    for schema in
        [object(&json!({"a": {"type": "text"}})), object(&json!({"a": {"$ref": "https://h.example/x.json"}}))]
    {
        let found = offered(&server(&["*"], |_| {}), &[listed("a", schema)]);
        assert!(matches!(found.left_out[..], [LeftOut { why: ToolFault::Schema { .. }, .. }]), "{found:?}");
    }
    let found = offered(&server(&["*"], |_| {}), &[listed("a", rows[0].1.clone())]);
    let parameters = &found.tools[0].parameters;
    for word in ["$schema", "$id", "oneOf", "anyOf", "allOf", "not", "enum"] {
        assert!(parameters.schema().get(word).is_none(), "{word} would be refused, or cost tokens");
    }
    assert!(parameters.check(r#"{"first-name": "Ana", "pair": ["x", 1]}"#).is_ok());
    assert!(parameters.check(r#"{"first-name": 1}"#).is_err());
    assert!(parameters.check(r#"{"last-name": "x"}"#).is_err());
}

#[test]
fn a_list_that_echoes_a_secret_is_masked_wherever_the_model_reads_it() {
    let schema = |kind: &str| {
        let about = json!({"type": kind, "description": "Bearer s3cret-7788", "enum": ["s3cret-7788"], "default": 7_788_123});
        object(&json!({"about": about, "s3cret-7788": {"$comment": "czNjcmV0LTc3ODg="}}))
    };
    let list = [
        Listed { name: "find".into(), description: "Uses s3cret-7788.".into(), schema: schema("string") },
        listed("s3cret-7788", schema("string")),
        listed("fault", schema("s3cret-7788")),
        listed("fault_s3cret-7788", json!([])),
    ];
    let masks = Masks::new(["s3cret-7788", "7788123"]);
    let offered = server(&["*"], |_| {}).offered(&list, &masks, &mut BTreeSet::new(), 64);
    let seen: Vec<Value> = offered.tools.iter().map(|tool| tool.declaration()).collect();
    let [find, named] = &seen[..] else { panic!("two tools: {seen:?}") };
    assert_eq!(find["description"], "Uses ***.");
    let about = json!({"type": "string", "description": "Bearer ***", "enum": ["***"], "default": "***"});
    assert_eq!(find["parameters"]["properties"], json!({"about": about, "***": {"$comment": "***="}}));
    assert_eq!((&named["name"], &named["description"]), (&json!("___"), &json!("Does ***.")));
    assert_eq!(way(&offered.tools[1]).name, "s3cret-7788", "the server knows the tool by its own name");
    let problems = offered.tools[0].parameters.check(r#"{"about": 1}"#).unwrap_err();
    assert!(!problems.iter().map(Problem::json).collect::<Value>().to_string().contains("7788"));
    assert!(!format!("{:?}", offered.left_out).contains("7788"), "{:?}", offered.left_out);
    assert_eq!(offered.left_out.len(), 2);
}

#[test]
fn what_a_server_replies_is_an_outcome() {
    let masks = Masks::new(["s3cret-7788"]);
    let result = |structured: Option<Value>, text: &str, is_error: bool| Reply::Result {
        structured,
        text: text.into(),
        is_error,
    };
    let done = |result: Value| Outcome::Done { result };
    let refused = |message: Value| Outcome::Refused { message };
    let error = |code: i64| Reply::Error { code, message: "no s3cret-7788".into() };
    let rows = [
        (result(Some(json!({"id": 1})), "id 1", false), done(json!({"id": 1})), None),
        (result(None, " {\"id\": 1}\n", false), done(json!({"id": 1})), None),
        (result(None, "a\nb", false), done(json!("a\nb")), None),
        (result(None, " ", false), done(Value::Null), None),
        (result(None, "x s3cret-7788", false), done(json!("x ***")), None),
        (result(None, "phone: Field required", true), refused(json!("phone: Field required")), None),
        (result(Some(json!({"why": "s3cret-7788"})), "", true), refused(json!({"why": "***"})), None),
        (Reply::NeedsScreen, refused(json!(SCREEN)), None),
        (error(-32_602), refused(json!("no ***")), None),
        (error(-32_601), Outcome::Unavailable, None),
        (error(-32_603), Outcome::Unavailable, Some(Outcome::Unknown)),
        (error(7), Outcome::Unavailable, Some(Outcome::Unknown)),
    ];
    for (reply, read, write) in rows {
        assert_eq!(reply.clone().outcome(Effect::Read, &masks), read, "{reply:?}");
        assert_eq!(reply.clone().outcome(Effect::Write, &masks), write.unwrap_or(read), "{reply:?}");
    }
}

//! Tests requests.

use super::*;

fn url(line: &str, args: &Value) -> Result<String, RenderError> {
    request(line).render(&Known::new().facts(), args, &secret, None).map(|request| request.url)
}

#[test]
fn an_argument_in_a_path_is_one_segment() {
    let line = "GET https://crm.example.com:8443/api/{{ call.agent }}/days/d-{{ args.day }}.json?v=1&w=a/b";
    let rows = [
        (
            json!({"day": "2026-12-01"}),
            "https://crm.example.com:8443/api/citas/days/d-2026-12-01.json?v=1&w=a/b",
        ),
        (
            json!({"day": "a/../b?c#d@e:80\\ñ"}),
            "https://crm.example.com:8443/api/citas/days/d-a%2F..%2Fb%3Fc%23d%40e%3A80%5C%C3%B1.json?v=1&w=a/b",
        ),
        (json!({"day": 5}), "https://crm.example.com:8443/api/citas/days/d-5.json?v=1&w=a/b"),
    ];
    for (args, expected) in rows {
        assert_eq!(url(line, &args).as_deref(), Ok(expected), "{args}");
    }
    assert_eq!(url("GET https://h", &json!({})).as_deref(), Ok("https://h/"));
    assert_eq!(url("GET https://h?a=1", &json!({})).as_deref(), Ok("https://h/?a=1"));
    assert_eq!(url("DELETE http://[::1]:80//a%20b/", &json!({})).as_deref(), Ok("http://[::1]//a%20b/"));
}

#[test]
fn an_argument_that_would_change_the_path_is_an_error_that_names_it() {
    let rows = [
        ("GET https://h/{{ args.day }}/x", json!({"day": ""}), "it must not be empty"),
        ("GET https://h/{{ args.day }}/x", json!({"day": null}), "it must not be empty"),
        ("GET https://h/{{ args.day }}/x", json!({}), "it must not be empty"),
        ("GET https://h/{{ args.day }}", json!({"day": "."}), "it must not be . or .."),
        ("GET https://h/{{ args.day }}", json!({"day": ".."}), "it must not be . or .."),
        ("GET https://h/.{{ args.day }}", json!({"day": "."}), "it must not be . or .."),
        ("GET https://h/%2e{{ args.day }}/x", json!({"day": "."}), "it must not be . or .."),
        ("GET https://h/a{{ args.day | upper }}", json!({}), "it is needed here"),
    ];
    for (line, args, reason) in rows {
        let expected = RenderError::Argument { name: "day".into(), reason };
        assert_eq!(url(line, &args), Err(expected), "{line} {args}");
    }
    let of_list = url("GET https://h/{{ args.day }}", &json!({"day": [1]}));
    assert_eq!(of_list, Err(RenderError::Value { place: Place::Path, error: ValueError::Unfit }));
    assert!(matches!(url("GET https://h/{{ lookup.nobody }}", &json!({})), Err(RenderError::Value { .. })));
}

#[test]
fn the_method_and_the_origin_are_literal() {
    let rows = [
        ("", 0, ToolFault::Request),
        ("https://h/", 0, ToolFault::Request),
        ("get https://h/", 0, ToolFault::Method),
        ("CONNECT https://h/", 0, ToolFault::Method),
        ("GET /api", 4, ToolFault::Request),
        ("GET ftp://h/", 4, ToolFault::Scheme),
        ("GET {{ vars.a }}://h/", 4, ToolFault::OriginTemplate),
        ("GET https://{{ args.host }}/x", 12, ToolFault::OriginTemplate),
        ("GET https://h:{{ args.port }}/x", 14, ToolFault::OriginTemplate),
        ("GET https://h{{ args.more }}", 13, ToolFault::OriginTemplate),
        ("GET https://me:pw@h/", 17, ToolFault::UserInUrl),
        ("GET https://", 4, ToolFault::Url { message: "empty host".into() }),
        ("GET https://h:99999/", 4, ToolFault::Url { message: "invalid port number".into() }),
        ("GET https://h/a#b", 15, ToolFault::Fragment),
        ("GET https://h/?a#b", 16, ToolFault::Fragment),
        ("GET https://h/{% if a %}b{% endif %}", 14, ToolFault::PathBlock),
        ("GET https://h/{# a #}", 14, ToolFault::PathBlock),
        ("GET https://h/{{ a", 14, ToolFault::PathBlock),
        ("GET https://h/?day={{ args.day }}", 19, ToolFault::QueryTemplate),
        ("GET https://h/a b", 14, ToolFault::PathText { found: "a b".into() }),
        ("GET https://h/x/%zz", 16, ToolFault::PathText { found: "%zz".into() }),
        ("GET https://h\\x", 13, ToolFault::PathText { found: "\\x".into() }),
        ("GET https://h/?a b", 15, ToolFault::PathText { found: "a b".into() }),
        ("GET https://h/a/../b", 13, ToolFault::PathText { found: "..".into() }),
        ("GET https://h/a/%2E%2e", 13, ToolFault::PathText { found: "%2E%2e".into() }),
    ];
    for (line, at, what) in rows {
        assert_eq!(Target::parse(line), Err(Flaw { at, what }), "{line}");
    }
}

#[test]
fn no_tool_reaches_metadata_services_under_any_spelling() {
    let hosts = [
        "169.254.169.254",
        "169.254.0.1",
        "0xa9fea9fe",
        "2852039166",
        "169.254.43518",
        "0251.0376.0251.0376",
        "0.0.0.0",
        "0",
        "224.0.0.1",
        "255.255.255.255",
        "100.100.100.200",
        "[::]",
        "[fe80::1]",
        "[ff02::1]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::a9fe:a9fe]",
        "[2001:0:a9fe:a9fe::1]",
        "[2a01::5efe:a9fe:a9fe]",
        "168.63.129.16",
        "[2002:a9fe:a9fe::1]",
        "[fd00:ec2::254]",
        "[::169.254.169.254]",
        "[fd20:ce::254]",
    ];
    for host in hosts {
        let found = Target::parse(&format!("GET http://{host}/x")).map_err(|flaw| flaw.what);
        assert!(matches!(found, Err(ToolFault::ForbiddenHost { .. })), "{host}: {found:?}");
    }
    for host in [
        "127.0.0.1",
        "10.0.0.5",
        "192.168.1.2",
        "8.8.8.8",
        "[::1]",
        "[fd00::1]",
        "[2001:db8::1]",
        "crm.example.com",
    ] {
        assert!(Target::parse(&format!("GET http://{host}:8099/x")).is_ok(), "{host}");
    }
}

#[test]
fn a_secret_goes_in_plain_text_only_within_ones_own_network() {
    let with_secret = |origin: &str| {
        let mut request = request(&format!("GET {origin}/x"));
        request.headers.push(("Authorization".into(), template("Bearer {{ secret.CRM }}")));
        request.check().is_ok()
    };
    for origin in [
        "https://crm.example.com",
        "http://127.0.0.1:8099",
        "http://10.0.0.5",
        "http://172.16.1.1",
        "http://192.168.0.1",
        "http://[::1]",
        "http://[fd12::1]",
        "http://localhost",
        "http://crm",
        "http://crm.local",
        "http://crm.lan:80",
        "http://100.64.0.1",
    ] {
        assert!(with_secret(origin), "{origin}");
    }
    for origin in [
        "http://crm.example.com",
        "http://8.8.8.8",
        "http://172.32.0.1",
        "http://[2001:db8::1]",
        "http://notlocal.net",
        "http://100.128.0.1",
    ] {
        assert!(!with_secret(origin), "{origin}");
    }
    assert_eq!(request("GET http://crm.example.com/x").check(), Ok(()), "without a secret");
}

fn booking() -> Request {
    let mut request = request("POST https://crm.example.com/api/appointments");
    request.query = vec![
        ("phone".into(), text("{{ call.caller }}")),
        ("tag".into(), Node::List(vec![text("a&b"), text("{{ args.none }}"), Node::Fixed(json!(1))])),
        ("left".into(), text("{{ args.note }}")),
        ("k y".into(), text("{{ secret.CRM }}")),
    ];
    request.headers = vec![
        ("Authorization".into(), template("Bearer {{ secret.CRM }}")),
        ("X-Note".into(), template("{{ args.note }}")),
    ];
    request.body = Some(Node::Table(vec![
        ("start".into(), text("{{ args.start }}")),
        ("customer".into(), text("{{ lookup.customer.id }}")),
        ("name".into(), text("{{ lookup.customer.name }}")),
        ("note".into(), text("{{ args.note }}")),
        ("by".into(), text("phone")),
        ("tags".into(), Node::List(vec![Node::Fixed(json!(true)), text("{{ args.note }}")])),
    ]));
    request
}

#[test]
fn a_request_is_made_of_the_values_of_the_call() {
    let args = json!({"start": "2026-12-02T09:00:00-05:00", "call": {"caller": "x"}, "secret": {"CRM": "y"}});
    let made =
        booking().render(&Known::new().facts(), &args, &secret, Some(("Idempotency-Key", "abc"))).unwrap();
    assert_eq!(made.method, "POST");
    assert_eq!(
        made.url,
        "https://crm.example.com/api/appointments?phone=3001234567&tag=a%26b&tag=1&k%20y=s3cr%22t%20%C3%B1%2F%2B"
    );
    let headers: Vec<_> = made.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("Authorization", "Bearer s3cr\"t ñ/+"),
        ("Idempotency-Key", "abc"),
        ("Content-Type", "application/json"),
    ];
    assert_eq!(headers, expected);
    let body: Value = serde_json::from_str(&made.body).unwrap();
    let expected = json!({"start": "2026-12-02T09:00:00-05:00", "customer": 7, "name": "Ana {{ secret.CRM }}", "by": "phone", "tags": [true]});
    assert_eq!(
        body, expected,
        "a number stays one, what is missing is left out, and values are no templates"
    );
    assert_eq!(format!("{made:?}"), "HttpRequest { method: \"POST\", .. }");
}

#[test]
fn the_path_knows_no_secret_although_other_parts_use_it() {
    let mut request = request("GET https://h/{{ secret.CRM }}");
    request.headers = vec![("Authorization".into(), template("Bearer {{ secret.CRM }}"))];
    let made = request.render(&Known::new().facts(), &json!({}), &secret, None);
    assert_eq!(made, Err(RenderError::Value { place: Place::Path, error: ValueError::Missing }));
}

#[test]
fn a_dry_request_has_masks_for_secrets() {
    let known = Known::new();
    let made = booking().dry(&known.facts(), &json!({"start": "x"}), None).unwrap();
    assert!(made.url.ends_with("&k%20y=%2A%2A%2A"), "{}", made.url);
    assert_eq!(made.headers[0].1, "Bearer ***");
    let missing = booking().render(&known.facts(), &json!({"start": "x"}), &|_| None, None);
    assert_eq!(missing, Err(RenderError::Secret { name: "CRM".into() }));
}

#[test]
fn a_header_is_one_line() {
    let known = Known::new();
    for note in ["a\r\nX-Admin: 1", "a\nb", "a\0", "a\tb", "\u{7f}", "\u{85}"] {
        let error = booking().render(&known.facts(), &json!({"note": note}), &secret, None).unwrap_err();
        assert!(matches!(&error, RenderError::Argument { name, .. } if name == "note"), "{note:?}: {error}");
    }
    for name in ["X-Ok", "authorization"] {
        assert_eq!(header_name(name), Ok(()));
    }
    for name in ["", "a b", "a:b", "ñ", "a\n"] {
        assert_eq!(header_name(name), Err(ToolFault::HeaderName { name: name.into() }));
    }
    for name in ["Host", "content-length", "Transfer-Encoding", "Connection"] {
        assert_eq!(header_name(name), Err(ToolFault::HeaderReserved { name: name.into() }));
    }
    assert_eq!(header_value("a\nb"), Err(Flaw { at: 0, what: ToolFault::HeaderValue }));
}

#[test]
fn a_body_is_a_text_or_json_and_says_which() {
    let body = |node: Node| {
        let mut request = request("POST https://h/x");
        request.body = Some(node);
        let made =
            request.render(&Known::new().facts(), &json!({"a": "<b>", "n": 1}), &secret, None).unwrap();
        (made.body, made.headers.into_iter().next().map(|(_, kind)| kind))
    };
    let plain = Some("text/plain; charset=utf-8".to_owned());
    assert_eq!(body(text("<a>{{ args.a }}</a>")), ("<a><b></a>".into(), plain.clone()));
    assert_eq!(body(text("{{ args.a }}")), ("<b>".into(), plain));
    let json = Some("application/json".to_owned());
    assert_eq!(body(text("{{ args }}")), (r#"{"a":"<b>","n":1}"#.into(), json.clone()));
    assert_eq!(body(Node::Table(vec![])), ("{}".into(), json));
    assert_eq!(body(text("{{ args.none }}")), (String::new(), None));
}

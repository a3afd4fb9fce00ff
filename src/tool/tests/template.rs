//! Tests templates.

use super::*;

fn scope() -> Scope {
    Scope::default()
        .with(
            "args",
            &json!({"n": 4711, "list": [1, "b"], "injected": "{{ call.caller }} {% raw %}", "nothing": null}),
        )
        .with("call", &json!({"caller": "3001234567"}))
        .with("lookup", &json!({"customer": {"name": "Ana"}}))
}

fn value(text: &str) -> Result<Option<Value>, ValueError> {
    template(text).value(&scope())
}

#[test]
fn one_expression_keeps_its_type_and_every_other_text_is_a_text() {
    let rows = [
        ("{{ args.n }}", json!(4711)),
        (" {{- args.n -}} ", json!(4711)),
        ("{{ args.n }} ", json!(4711)),
        ("n{{ args.n }}", json!("n4711")),
        ("{{ args.n }}{{ args.n }}", json!("47114711")),
        ("{{ args.list }}", json!([1, "b"])),
        ("{{ {'a': {'b': args.n}} }}", json!({"a": {"b": 4711}})),
        ("{{ {'id': args.n} if lookup.customer else none }}", json!({"id": 4711})),
        ("{{ {'id': args.n} if lookup.other else none }}", Value::Null),
        ("{{ args.nothing }}", Value::Null),
        ("{{ '}}' ~ args.n }}", json!("}}4711")),
        ("{% if lookup.other %}a{% else %}b{% endif %}", json!("b")),
        ("{# c #}x", json!("x")),
        ("plain { text }", json!("plain { text }")),
        ("{{ args.list | map('string') | list }}", json!(["1", "b"])),
    ];
    for (text, expected) in rows {
        assert_eq!(value(text), Ok(Some(expected)), "{text}");
    }
    assert_eq!(value("{{ lookup.other }}"), Ok(None), "an argument that was left out");
}

#[test]
fn a_value_is_never_a_template() {
    assert_eq!(value("{{ args.injected }}"), Ok(Some(json!("{{ call.caller }} {% raw %}"))));
    assert_eq!(value("x{{ args.injected }}"), Ok(Some(json!("x{{ call.caller }} {% raw %}"))));
}

#[test]
fn the_filters_write_numbers_and_days() {
    let rows = [
        ("{{ '4711' | digits }}", "4 7 1 1"),
        ("{{ 4711 | digits }}", "4 7 1 1"),
        ("{{ '300 1234567' | e164('57') }}", "+573001234567"),
        ("{{ '+1 (212) 555-1234' | e164('57') }}", "+12125551234"),
        ("{{ '0044 20 7946 0000' | e164('57') }}", "+442079460000"),
        ("{{ '573001234567' | e164(57) }}", "+573001234567"),
        ("{{ '030 123456' | e164('+49') }}", "+4930123456"),
        ("{{ '2026-12-01' | day }}", "martes 2026-12-01"),
        ("{{ '2026-12-02T09:00:00-05:00' | day }}", "miércoles 2026-12-02"),
        ("{{ '2026-12-01' | day('en') }}", "Tuesday 2026-12-01"),
        ("{{ '2026-12-01' | day(language='en') }}", "Tuesday 2026-12-01"),
    ];
    for (text, expected) in rows {
        assert_eq!(value(text), Ok(Some(json!(expected))), "{text}");
    }
    for text in [
        "{{ 'mañana' | day }}",
        "{{ '2026-02-30' | day }}",
        "{{ '1' | day('de') }}",
        "{{ 'x' | e164('57') }}",
    ] {
        assert_eq!(value(text), Err(ValueError::Unfit), "{text}");
    }
}

#[test]
fn what_is_missing_or_does_not_end_is_an_error_without_values() {
    assert_eq!(value("x{{ lookup.other }}"), Err(ValueError::Missing));
    assert_eq!(value("{{ lookup.other.name }}"), Err(ValueError::Missing));
    assert_eq!(value("{{ args.list + 1 }}"), Err(ValueError::Unfit));
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
    assert_eq!(value(endless), Err(ValueError::TooMuch));
    assert_eq!(template("{{ args.list }}").text(&scope()), Err(ValueError::Unfit), "a list is no text");
    assert_eq!(template("{{ args.nothing }}").text(&scope()), Ok(None));
}

#[test]
fn faults_have_a_place() {
    let rows = [
        ("Hola {{ call. }}", 14, "unexpected"),
        ("{% if x %}", 10, "unexpected end"),
        ("ñ {{ a | nada }}", 10, "there is no filter nada"),
        ("{{ 'a | nada' | upper }} {{ a is odder }}", 33, "there is no test odder"),
        ("{{ a is not nothing_such }}", 12, "there is no test nothing_such"),
        ("{% nada %}", 3, "unknown statement"),
        ("{{ a", 4, "unexpected end"),
    ];
    for (text, at, message) in rows {
        let fault = Template::new(text).expect_err(text);
        assert!(fault.message.contains(message), "{text}: {}", fault.message);
        assert!(fault.at.abs_diff(at) <= 2, "{text}: {} for {at}", fault.at);
    }
    for text in
        ["{{ a is defined and b is not none }}", "{{ a is divisibleby(3) }}", "{# x | nada #}", "a | nada"]
    {
        assert!(Template::new(text).is_ok(), "{text}");
    }
}

#[test]
fn the_names_are_paths() {
    let names = |text: &str| template(text).names().iter().cloned().collect::<Vec<_>>();
    assert_eq!(
        names("{{ lookup.customer.name ~ args['day'] }} {{ range(3) }}"),
        ["args", "lookup.customer.name"]
    );
    assert_eq!(names("{% for slot in body.slots %}{{ slot.start }}{% endfor %}"), ["body.slots"]);
    assert_eq!(names("none"), Vec::<String>::new());
}

#[test]
fn a_name_that_does_not_exist_in_a_place_is_a_fault_with_its_place() {
    let lookups = ["customer".to_owned()];
    let args = ["day".to_owned()];
    let of_request =
        Names { lookups: Some(&lookups), args: Some(&args), secrets: Secrecy::Allowed, ..Names::default() };
    let of_path = Names { secrets: Secrecy::Address, ..of_request };
    let of_greeting = Names { lookups: Some(&lookups), ..Names::default() };
    let of_result = Names { answer: Answer::There, secrets: Secrecy::None, ..of_request };
    let known = |name: &str, known: &str| ToolFault::UnknownName { name: name.into(), known: known.into() };
    let rows = [
        (
            of_request,
            "{{ args.day }}{{ lookup.customer.name }}{{ call.caller }}{{ vars.x }}{{ secret.A }}",
            None,
        ),
        (of_request, "ab {{ args.dia }}", Some((6, known("args.dia", "args.day")))),
        (of_request, "{{ lookup.client.name }}", Some((3, known("lookup.client.name", "lookup.customer")))),
        (
            of_request,
            "{{ call.number }}",
            Some((
                3,
                known(
                    "call.number",
                    "call.id, call.caller, call.caller_name, call.called, call.agent, call.now",
                ),
            )),
        ),
        (of_request, "{{ secret['A'] }}", Some((3, ToolFault::SecretUnnamed))),
        (of_request, "{{ body }}", Some((3, known("body", "call, vars, lookup, args, secret")))),
        (of_path, "{{ secret.A }}", Some((3, ToolFault::SecretInUrl))),
        (of_greeting, "{{ args.day }}", Some((3, known("args.day", "call, vars, lookup")))),
        (of_greeting, "{{ secret.A }}", Some((3, known("secret.A", "call, vars, lookup")))),
        (of_result, "{{ body.x if status == 200 else args.day }}", None),
        (of_result, "{{ secret.A }}", Some((3, known("secret.A", "call, vars, lookup, args, status, body")))),
    ];
    for (names, text, expected) in rows {
        let found = names.check(&template(text)).err().map(|flaw| (flaw.at, flaw.what));
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn the_place_of_a_name_is_not_that_of_a_longer_one() {
    let names = Names::default();
    let template = template("{{ vars.my_call ~ vars.call.x ~ call.x }}");
    assert_eq!(names.check(&template).unwrap_err().at, 32);
}

#[test]
fn code_that_is_nested_too_deeply_for_a_thread_is_refused_before_it_is_read() {
    let deep = [
        format!("{{{{ {}1 }}}}", "-".repeat(20_000)),
        format!("{{{{ call{} }}}}", "()".repeat(15_000)),
        format!("{{{{ 1{} }}}}", "~1".repeat(8_000)),
        format!("{{{{ {}1 }}}}", "not ".repeat(20_000)),
        format!("x{{{{ call{} }}}}", "[0]".repeat(20_000)),
        format!("{{% if {}1 %}}a{{% endif %}}", "-".repeat(20_000)),
    ];
    for text in deep {
        let fault = Template::new(&text).expect_err("it is refused");
        assert!(fault.message.contains("more than 1000 characters"), "{fault}");
    }
    let many = Template::new(&"{{ 1 }}".repeat(501)).expect_err("it is refused");
    assert!(many.message.contains("more than 500"), "{many}");
    assert!(Template::new(&"{{ 1 }}".repeat(500)).is_ok());
}

#[test]
fn what_is_as_long_as_it_may_be_fits_on_the_stack_of_a_thread() {
    // The threads of calls have a stack of 2 MiB, as this one.
    let deepest = std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(|| {
        for (begin, part, end) in
            [("", "-", "1"), ("call", "()", ""), ("1", "~1", ""), ("", "not ", "1"), ("call", "[0]", "")]
        {
            let count = (996 - begin.len() - end.len()) / part.len();
            let text = format!("{{{{{begin}{}{end}}}}}", part.repeat(count));
            if let Ok(template) = Template::new(&text) {
                drop(template.value(&scope()));
            }
        }
    });
    deepest.expect("a thread").join().expect("no stack overflows");
}

#[test]
fn a_value_that_repeats_itself_without_end_is_too_much() {
    for text in [
        "{{ [[1] * 100000] * 100000 }}",
        "x{{ [[1] * 100000] * 100000 }}",
        "{{ {'a': [[1] * 100000] * 100000} }}",
    ] {
        assert_eq!(value(text), Err(ValueError::TooMuch), "{text}");
    }
}

//! Tests what holds for all arguments and answers.

use proptest::prelude::*;
use url::Url;

use super::*;

/// A text that means something in URLs, headers or templates.
fn text_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<String>(),
        "[./\\\\?#&@:%{} a-z\r\n]{0,12}",
        Just("{{ secret.CRM }}".to_owned()),
        Just("..".to_owned()),
        Just("%2e%2e".to_owned()),
        Just("//evil.example/".to_owned()),
    ]
    .prop_map(Value::from)
}

/// Any JSON value.
pub(in crate::tool) fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text_value()
    ];
    leaf.prop_recursive(6, 200, 12, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..12).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{0,6}", inner, 0..12)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// Mostly a text, because most other values are refused in a path.
fn argument() -> impl Strategy<Value = Value> {
    prop_oneof![4 => text_value(), 1 => json_value()]
}

fn everywhere() -> Request {
    let mut request = request("POST https://crm.example.com:8443/a/{{ args.x }}/b-{{ args.y }}?fixed=1");
    request.query = vec![("q".into(), text("{{ args.x }}")), ("key".into(), text("{{ secret.CRM }}"))];
    request.headers = vec![
        ("X-A".into(), template("a {{ args.y }}")),
        ("Authorization".into(), template("{{ secret.CRM }}")),
    ];
    request.body = Some(Node::Table(vec![
        ("x".into(), text("{{ args.x }}")),
        ("s".into(), text("{{ secret.CRM }}-{{ args.y }}")),
    ]));
    request
}

proptest! {
    #[test]
    fn no_argument_moves_the_request_or_adds_to_it(x in argument(), y in argument()) {
        let known = Known::new();
        let args = json!({"x": x, "y": y});
        let Ok(made) = everywhere().render(&known.facts(), &args, &secret, None) else { return Ok(()) };
        let url = Url::parse(&made.url).expect("an address");
        prop_assert_eq!(url.origin().ascii_serialization(), "https://crm.example.com:8443");
        prop_assert_eq!((url.username(), url.password(), url.fragment()), ("", None, None));
        prop_assert_eq!(url.as_str(), &made.url, "the address is not read differently");
        let segments: Vec<_> = url.path_segments().expect("a path").collect();
        prop_assert_eq!(segments.len(), 3);
        prop_assert_eq!(segments[0], "a");
        let names: Vec<_> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
        prop_assert!(names.iter().all(|name| ["fixed", "q", "key"].contains(&name.as_str())));
        prop_assert!(names.iter().filter(|name| *name == "key").count() == 1);
        let names: Vec<_> = made.headers.iter().map(|(name, _)| name.as_str()).collect();
        prop_assert_eq!(names, ["X-A", "Authorization", "Content-Type"]);
        prop_assert!(made.headers.iter().all(|(_, value)| !value.chars().any(char::is_control)));
        let body: Value = serde_json::from_str(&made.body).expect("JSON");
        prop_assert!(body.as_object().is_some_and(|body| body.keys().all(|name| name == "x" || name == "s")));
    }

    #[test]
    fn no_dry_request_and_no_outcome_holds_a_secret(x in json_value(), y in json_value(), inside in json_value()) {
        let known = Known::new();
        let secret = secret("CRM").expect("the secret");
        let encoded = "s3cr%22t%20%C3%B1%2F%2B";
        let args = json!({"x": x, "y": y});
        if let Ok(made) = everywhere().dry(&known.facts(), &args, None) {
            let shown = format!("{} {:?} {} {made:?}", made.url, made.headers, made.body);
            prop_assert!(!shown.contains("s3cr"), "{}", shown);
        }
        let body = json!({"a": inside, "echo": format!("{x}{secret}{y}"), "url": format!("?{encoded}&"), secret.clone(): [secret]});
        let response = Response { status: if x.is_null() { 200 } else { 409 }, body };
        let mapped = Mapping::default().outcome(&response, &known.facts(), &args, Effect::Read, &Masks::new([secret.as_str()]));
        let text = mapped.outcome.text();
        prop_assert!(!text.contains("s3cr"), "{}", text);
    }

    #[test]
    fn what_the_model_reads_is_json_of_bounded_size(result in json_value(), times in 0_usize..200) {
        for result in [result.clone(), Value::from(vec![result; times])] {
            let outcome = Outcome::Done { result: result.clone() };
            let text = outcome.text();
            prop_assert!(text.chars().count() <= MOST_CHARS);
            let answer: Value = serde_json::from_str(&text).expect("JSON");
            prop_assert_eq!(&answer["ok"], &json!(true));
            if answer.get("left_out").is_none() {
                prop_assert_eq!(answer["result"].to_string(), result.to_string());
            }
        }
    }

    #[test]
    fn any_text_is_a_template_or_a_fault_with_a_place(source in "[{}%#|'\". a-zñ(\\[\\]]{0,40}") {
        match Template::new(&source) {
            Ok(template) => drop(template.value(&Known::new().facts().scope())),
            Err(fault) => prop_assert!(fault.at <= source.len()),
        }
        if let Err(flaw) = Target::parse(&format!("GET https://h/{source}")) {
            prop_assert!(flaw.at <= source.len() + 14);
        }
    }

    #[test]
    fn the_form_of_arguments_does_not_depend_on_the_order(members in prop::collection::vec(("[a-z]{1,4}", json_value()), 0..8)) {
        let open = parameters(json!({"type": "object", "additionalProperties": true}));
        let members: BTreeMap<_, _> = members.into_iter().collect();
        let write = |pairs: Vec<String>| format!("{{{}}}", pairs.join(","));
        let pair = |(name, value): (&String, &Value)| format!("{}: {value}", Value::from(name.clone()));
        let forward = write(members.iter().map(pair).collect());
        let backward = write(members.iter().rev().map(pair).collect());
        let form = |text: &str| open.check(text).expect("arguments").canonical();
        prop_assert_eq!(form(&forward), form(&backward));
    }
}

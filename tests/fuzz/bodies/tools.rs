//! The requests of tools: templates, arguments and answers.

use openai_inbound_calls::tool::{
    Effect, Facts, MOST_CHARS, Mapping, Masks, Node, Request, Response, Target, Template, header_value,
};
use serde_json::{Value, json};

/// A line with a method and an address, a line with a template, and arguments.
pub(crate) fn request(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.splitn(3, '\n');
    let (line, template, rest) =
        (lines.next(), lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let args: Value = serde_json::from_str(rest).unwrap_or_else(|_| json!({"x": rest}));
    let empty = json!({});
    let facts = Facts { call: &empty, vars: &empty, lookup: &empty };
    answer(template, rest, &facts, &args);
    let Ok(target) = Target::parse(line.unwrap_or_default()) else { return };
    let origin = format!("{}/", target.origin);
    let headers = header_value(template).map(|value| vec![("X-A".to_owned(), value)]).unwrap_or_default();
    let node = || Template::new(template).ok().map(Node::Text);
    let query = node().map(|node| vec![("q".to_owned(), node)]).unwrap_or_default();
    let request = Request { target, query, headers, body: node() };
    if let Ok(made) = request.dry(&facts, &args, None) {
        assert!(made.url.starts_with(&origin), "{} and {origin}", made.url);
        assert!(made.url.bytes().all(|byte| byte.is_ascii_graphic()), "{}", made.url);
        assert!(made.headers.iter().all(|(_, value)| !value.contains(['\r', '\n'])));
    }
}

/// Maps an answer, and reads what the model would.
fn answer(template: &str, body: &str, facts: &Facts<'_>, args: &Value) {
    let mapping = Mapping { result: Template::new(template).ok(), error: None };
    let response = Response::new(200, body.as_bytes());
    let masks = Masks::new(["s3cret"]);
    let told = mapping.outcome(&response, facts, args, Effect::Read, &masks).outcome.text();
    assert!(told.chars().count() <= MOST_CHARS);
    assert!(!told.contains("s3cret"), "{told}");
    assert!(serde_json::from_str::<Value>(&told).is_ok(), "{told}");
}

//! Tests what a tool is.

mod mcp;
mod outcome;
mod parameters;
mod properties;
mod request;
mod template;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;

pub(super) use properties::json_value;

/// Values of a call, as JSON.
struct Known {
    call: Value,
    vars: Value,
    lookup: Value,
}

impl Known {
    fn new() -> Self {
        Self {
            call: json!({"id": "1795180048.12", "caller": "3001234567", "agent": "citas"}),
            vars: json!({"queue": "norte"}),
            lookup: json!({"customer": {"id": 7, "name": "Ana {{ secret.CRM }}"}}),
        }
    }

    fn facts(&self) -> Facts<'_> {
        Facts { call: &self.call, vars: &self.vars, lookup: &self.lookup }
    }
}

fn template(text: &str) -> Template {
    Template::new(text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

fn request(line: &str) -> Request {
    let target = Target::parse(line).unwrap_or_else(|flaw| panic!("{line}: {flaw:?}"));
    Request { target, query: Vec::new(), headers: Vec::new(), body: None }
}

fn text(value: &str) -> Node {
    Node::Text(template(value))
}

fn parameters(schema: Value) -> Parameters {
    Parameters::new(schema, BTreeSet::new()).unwrap()
}

/// The only secret of these tests.
fn secret(name: &str) -> Option<String> {
    (name == "CRM").then(|| "s3cr\"t ñ/+".to_owned())
}

//! The request of a tool or a look-up in a file: its address, query, headers and body, and the templates in them.

use std::ops::Range;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::file::File;
use super::secrets::Secrets;
use crate::operator::{AgentFault, ValueKind};
use crate::tool::{
    Answer, Flaw, Names, Node, Request, Secrecy, Target, Template, ToolFault, header_name, header_value,
};

/// The keys of a request.
pub(super) const KEYS: [&str; 4] = ["request", "query", "headers", "body"];

/// What a template may use, and where its secrets are.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    /// The names of look-ups. `None`: there are none yet.
    pub(super) lookups: Option<&'a [String]>,
    /// The names of arguments. `None`: there are none.
    pub(super) args: Option<&'a [String]>,
    pub(super) secrets: &'a Secrets<'a>,
}

impl Known<'_> {
    /// The names in a part of a request.
    fn names(&self, secrets: Secrecy) -> Names<'_> {
        Names { lookups: self.lookups, args: self.args, secrets, answer: Answer::Absent }
    }

    /// The names in a greeting.
    pub(super) fn of_greeting(&self) -> Names<'_> {
        self.names(Secrecy::None)
    }

    /// The names in the mapping of an answer.
    pub(super) fn of_answer(&self) -> Names<'_> {
        Names { answer: Answer::There, ..self.names(Secrecy::None) }
    }
}

/// Reads the request. `None`: a fault was recorded.
pub(super) fn request(file: &mut File<'_>, known: &Known<'_>) -> Option<Request> {
    let line = file.text("request");
    let query = table(file, "query");
    let headers = table(file, "headers");
    let body = file.get("body");
    let Some((span, line)) = line else {
        file.missing("request");
        return None;
    };
    let target = target(file, &span, &line, known);
    let query = query.into_iter().filter_map(|(name, _, value)| {
        let span = value.span();
        let node = node(file, value, known)?;
        let is_table = |node: &Node| matches!(node, Node::Table(_));
        let has_table = match &node {
            Node::List(nodes) => nodes.iter().any(|node| is_table(node) || matches!(node, Node::List(_))),
            node => is_table(node),
        };
        if has_table {
            file.fault(span, AgentFault::Kind { key: "query", wanted: ValueKind::Scalar });
            return None;
        }
        Some((name, node))
    });
    let query: Vec<_> = query.collect();
    let headers: Vec<_> = headers
        .into_iter()
        .filter_map(|(name, place, value)| header(file, name, place, value, known))
        .collect();
    let body = body.map(|(span, value)| node(file, Spanned::new(span, value), known));
    let body = match body {
        Some(None) => return None,
        Some(body) => body,
        None => None,
    };
    let request = Request { target: target?, query, headers, body };
    if let Err(fault) = request.check() {
        file.fault(span, fault.into());
    }
    Some(request)
}

/// Reads the method and the address.
fn target(file: &mut File<'_>, span: &Range<usize>, line: &str, known: &Known<'_>) -> Option<Target> {
    let target = match Target::parse(line) {
        Ok(target) => target,
        Err(flaw) => {
            file.flaw(span, line, flaw);
            return None;
        }
    };
    for template in target.templates() {
        if let Err(flaw) = known.names(Secrecy::Address).check(template) {
            let at = line.find(template.source()).unwrap_or_default() + flaw.at;
            file.flaw(span, line, Flaw { at, ..flaw });
        }
    }
    Some(target)
}

/// Reads one header.
pub(super) fn header(
    file: &mut File<'_>,
    name: String,
    place: Range<usize>,
    value: Spanned<DeValue<'_>>,
    known: &Known<'_>,
) -> Option<(String, Template)> {
    if let Err(fault) = header_name(&name) {
        file.fault(place, fault.into());
        return None;
    }
    let span = value.span();
    let DeValue::String(text) = value.into_inner() else {
        file.fault(span, AgentFault::Kind { key: "headers", wanted: ValueKind::Text });
        return None;
    };
    let template = header_value(&text).and_then(|template| {
        known.names(Secrecy::Allowed).check(&template)?;
        Ok(template)
    });
    Some((name, sound(file, &span, &text, template, known)?))
}

/// Reads a value whose texts may be templates.
pub(super) fn node(file: &mut File<'_>, value: Spanned<DeValue<'_>>, known: &Known<'_>) -> Option<Node> {
    let span = value.span();
    Some(match value.into_inner() {
        DeValue::String(text) => {
            Node::Text(template(file, &span, &text, &known.names(Secrecy::Allowed), known)?)
        }
        DeValue::Array(entries) => {
            let nodes: Vec<_> = entries.into_iter().map(|entry| node(file, entry, known)).collect();
            Node::List(nodes.into_iter().collect::<Option<_>>()?)
        }
        DeValue::Table(members) => {
            let nodes: Vec<_> = members
                .into_iter()
                .map(|(name, member)| Some((name.into_inner().into_owned(), node(file, member, known)?)))
                .collect();
            Node::Table(nodes.into_iter().collect::<Option<_>>()?)
        }
        other => Node::Fixed(json(&other)),
    })
}

/// Reads a template that may use these names.
pub(super) fn template(
    file: &mut File<'_>,
    span: &Range<usize>,
    text: &str,
    names: &Names<'_>,
    known: &Known<'_>,
) -> Option<Template> {
    let template = Template::new(text).map_err(Flaw::from).and_then(|template| {
        names.check(&template)?;
        Ok(template)
    });
    sound(file, span, text, template, known)
}

/// The template, if there is no fault in it and its secrets can be used.
fn sound(
    file: &mut File<'_>,
    span: &Range<usize>,
    text: &str,
    template: Result<Template, Flaw>,
    known: &Known<'_>,
) -> Option<Template> {
    let template = match template {
        Ok(template) => template,
        Err(flaw) => {
            file.flaw(span, text, flaw);
            return None;
        }
    };
    for name in template.names().iter().filter_map(|name| name.strip_prefix("secret.")) {
        let name = name.split('.').next().unwrap_or(name);
        if let Err(cause) = known.secrets.find(name) {
            let at = text.find(&format!("secret.{name}")).unwrap_or_default();
            file.flaw(span, text, Flaw { at, what: ToolFault::Secret { name: name.to_owned(), cause } });
        }
    }
    Some(template)
}

/// The members of a table of the file: names with their places, and values.
type Members<'a> = Vec<(String, Range<usize>, Spanned<DeValue<'a>>)>;

/// The members of the table under a key.
pub(super) fn table<'a>(file: &mut File<'a>, key: &'static str) -> Members<'a> {
    match file.get(key) {
        None => Vec::new(),
        Some((_, DeValue::Table(table))) => members(table),
        Some((span, _)) => {
            file.fault(span, AgentFault::Kind { key, wanted: ValueKind::Table });
            Vec::new()
        }
    }
}

/// The members of a table.
pub(super) fn members(table: DeTable<'_>) -> Members<'_> {
    let member = |(name, value): (Spanned<_>, _)| {
        let place = name.span();
        let name: std::borrow::Cow<'_, str> = name.into_inner();
        (name.into_owned(), place, value)
    };
    table.into_iter().map(member).collect()
}

/// The value as JSON. A date is a text.
pub(super) fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(&**text),
        DeValue::Integer(number) => integer(number),
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(word) => Value::from(*word),
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Array(entries) => entries.iter().map(|entry| json(entry.get_ref())).collect(),
        DeValue::Table(members) => members
            .iter()
            .map(|(name, member)| (name.get_ref().clone().into_owned(), json(member.get_ref())))
            .collect::<Map<_, _>>()
            .into(),
    }
}

fn integer(number: &DeInteger<'_>) -> Value {
    i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, Value::from)
}

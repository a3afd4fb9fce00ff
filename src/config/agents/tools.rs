//! The tools, look-ups and servers of an agent: those in its own file, and those in the files that it uses.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Value};
use toml::de::DeValue;

use super::file::File;
use super::folder::Shared;
use super::mcp;
use super::request::{self, Known, json, members};
use super::secrets::Secrets;
use super::values::{seconds, word};
use super::{after_call, keys};
use crate::config::fault::Fault;
use crate::operator::{AgentFault, Detail, SectionFault, ValueKind};
use crate::tool::{
    self, Confirm, DESCRIPTION_CHARS, Effect, HttpTool, Lookup, MOST_TOOLS, Mapping, McpServer, Parameters,
    Template, Tool, ToolFault, Way, header_name, parameter_name,
};
use crate::webhook::Address;

/// The most look-ups of an agent. All of them are made at once when a call begins.
const MOST_LOOKUPS: usize = 8;
/// The most servers of an agent that list tools themselves. Each of them is a connection or a process.
const MOST_SERVERS: usize = 16;
/// The keys of a tool.
const TOOL_KEYS: [&str; 12] = [
    "name",
    "description",
    "effect",
    "confirm",
    "idempotency",
    "repeatable",
    "timeout",
    "say_after",
    "result",
    "error",
    "parameters",
    "schema",
];
/// The keys of a look-up.
const LOOKUP_KEYS: [&str; 3] = ["name", "patience", "result"];
/// The keys of a file that agents share.
const SHARED_KEYS: [&str; 4] = ["tool", "lookup", "mcp", "after_call"];

/// What an agent can do beside talking.
pub(super) struct Kit {
    pub(super) tools: Vec<Arc<Tool>>,
    pub(super) lookups: Vec<Arc<Lookup>>,
    pub(super) servers: Vec<Arc<McpServer>>,
    /// The form of the report on each call, if there is one.
    pub(super) report: Option<Arc<Parameters>>,
    /// Where messages about its ended calls go.
    pub(super) after_call: Vec<Address>,
    /// The names of the look-ups, also of those with faults.
    pub(super) names: Vec<String>,
    /// The faults in files that the agent uses.
    pub(super) faults: Vec<Fault>,
}

/// The tools, look-ups, servers and addresses in one file, still to be read.
struct Sections<'a> {
    tools: Vec<File<'a>>,
    lookups: Vec<File<'a>>,
    servers: Vec<File<'a>>,
    addresses: Vec<File<'a>>,
}

impl<'a> Sections<'a> {
    fn take(file: &mut File<'a>) -> Self {
        Self {
            tools: file.sections("tool", MOST_TOOLS),
            lookups: file.sections("lookup", MOST_LOOKUPS),
            addresses: file.sections("after_call", after_call::MOST),
            servers: file.sections("mcp", MOST_SERVERS),
        }
    }
}

/// The files of this list that the agent uses. A name that does not exist is a fault.
pub(super) fn used<'a>(file: &mut File<'_>, all: &'a [Shared]) -> Vec<&'a Shared> {
    let mut used: Vec<&Shared> = Vec::new();
    for (place, name) in file.texts("use").unwrap_or_default() {
        match all.iter().find(|shared| shared.name == name) {
            Some(shared) if used.iter().any(|one| one.name == shared.name) => {}
            Some(shared) => used.push(shared),
            None => {
                let known: Vec<_> = all.iter().map(|shared| shared.name.as_str()).collect();
                let known = known.join(", ");
                file.fault(place, SectionFault::UseUnknown { name: Detail::new(&name), known }.into());
            }
        }
    }
    used
}

/// Reads the tools, look-ups and servers of the agent's file and of the files that it uses.
pub(super) fn tools<'a>(file: &mut File<'a>, agent: &str, used: &[&'a Shared], secrets: &Secrets<'_>) -> Kit {
    let report = report(file).map(Arc::new);
    let mut sections = vec![Sections::take(file)];
    let mut faults = Vec::new();
    for shared in used {
        let mut shared = File::parse(&shared.path, &shared.text);
        if shared.is_whole() {
            sections.push(Sections::take(&mut shared));
            shared.unknown_keys(|found| keys::similar(found, SHARED_KEYS));
        }
        faults.extend(shared.faults);
    }
    let is_of_lookup = |name: &str| parameter_name(name).is_ok();
    let names = names(agent, sections.iter_mut().flat_map(|section| &mut section.lookups), is_of_lookup);
    drop(self::names(agent, sections.iter_mut().flat_map(|section| &mut section.tools), tool::is_name));
    drop(self::names(agent, sections.iter_mut().flat_map(|section| &mut section.servers), tool::is_name));
    let (mut tools, mut lookups, mut servers) = (Vec::new(), Vec::new(), Vec::new());
    let (mut addresses, mut taken) = (Vec::new(), Vec::new());
    for (index, section) in sections.into_iter().enumerate() {
        let faults = if index == 0 { &mut file.faults } else { &mut faults };
        for mut section in section.lookups {
            lookups.extend(lookup(&mut section, secrets).map(Arc::new));
            faults.extend(section.faults);
        }
        for mut section in section.tools {
            tools.extend(tool(&mut section, &names, secrets).map(Arc::new));
            faults.extend(section.faults);
        }
        for mut section in section.servers {
            servers.extend(mcp::server(&mut section, &names, secrets).map(Arc::new));
            faults.extend(section.faults);
        }
        for mut section in section.addresses {
            addresses.extend(after_call::address(&mut section, secrets, &mut taken));
            faults.extend(section.faults);
        }
    }
    Kit { tools, lookups, servers, report, after_call: addresses, names, faults }
}

/// The names of these sections. A name that cannot be used, or that exists already, is a fault.
fn names<'f, 'a: 'f>(
    agent: &str,
    files: impl Iterator<Item = &'f mut File<'a>>,
    is_name: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for file in files {
        let Some((place, name)) = file.text("name") else {
            if file.is_whole() {
                file.missing("name");
            }
            continue;
        };
        let shown = Detail::new(&name);
        if !is_name(&name) {
            file.fault(place, SectionFault::Name { name: shown }.into());
        } else if names.contains(&name) {
            file.fault(place, SectionFault::NameTaken { name: shown, agent: agent.to_owned() }.into());
        } else {
            names.push(name);
        }
    }
    names
}

/// Reads a look-up. `None`: a fault was recorded.
fn lookup(file: &mut File<'_>, secrets: &Secrets<'_>) -> Option<Lookup> {
    let known = Known { lookups: None, args: None, secrets };
    let name = file.get("name").and_then(|(_, name)| Some(name.as_str()?.to_owned()));
    let patience = seconds(file, "patience", 0.0, 10.0, 1.5);
    let result = mapping(file, "result", &known);
    let request = request::request(file, &known);
    file.unknown_keys(|found| keys::similar(found, LOOKUP_KEYS.into_iter().chain(request::KEYS)));
    if !file.faults.is_empty() {
        return None;
    }
    let mapping = Mapping { result, error: None };
    Some(Lookup { name: name?.into(), request: request?, patience, mapping })
}

/// Reads a tool. `None`: a fault was recorded.
fn tool(file: &mut File<'_>, lookups: &[String], secrets: &Secrets<'_>) -> Option<Tool> {
    let name = file.get("name").and_then(|(_, name)| Some(name.as_str()?.to_owned()));
    let description = description(file);
    let effect = word(file, "effect", &["write", "read"], [Effect::Write, Effect::Read]);
    let confirm = word(file, "confirm", &["caller"], [Confirm::Caller]);
    let idempotency = idempotency(file);
    let repeatable = file.flag("repeatable");
    let timeout = seconds(file, "timeout", 1.0, 60.0, 8.0);
    let say_after = seconds(file, "say_after", 0.0, 60.0, 2.5);
    let parameters = parameters(file);
    let args = parameters.as_ref().map(Parameters::names).unwrap_or_default();
    let known = Known { lookups: Some(lookups), args: Some(&args), secrets };
    let result = mapping(file, "result", &known);
    let error = mapping(file, "error", &known);
    // Without the parameters, each argument in a template would be a fault too.
    let request = parameters.as_ref().and_then(|_| request::request(file, &known));
    let parameters = parameters?;
    file.unknown_keys(|found| keys::similar(found, TOOL_KEYS.into_iter().chain(request::KEYS)));
    if !file.faults.is_empty() {
        return None;
    }
    Some(Tool {
        name: name?.into(),
        description: description?,
        effect,
        parameters,
        way: Way::Http(Arc::new(HttpTool {
            request: request?,
            idempotency,
            mapping: Mapping { result, error },
        })),
        timeout,
        say_after: Some(say_after).filter(|time| !time.is_zero()),
        confirm,
        repeatable,
    })
}

fn description(file: &mut File<'_>) -> Option<String> {
    let key = "description";
    match file.text(key) {
        Some((_, text)) if !text.trim().is_empty() && text.chars().count() <= DESCRIPTION_CHARS => Some(text),
        Some((place, text)) if !text.trim().is_empty() => {
            file.fault(place, SectionFault::TooLong { key, most: DESCRIPTION_CHARS }.into());
            None
        }
        _ => {
            file.missing(key);
            None
        }
    }
}

fn idempotency(file: &mut File<'_>) -> Option<String> {
    let (place, name) = file.text("idempotency")?;
    if let Err(fault) = header_name(&name) {
        file.fault(place, fault.into());
    }
    Some(name)
}

/// Reads the template of a result.
fn mapping(file: &mut File<'_>, key: &'static str, known: &Known<'_>) -> Option<Template> {
    let (span, text) = file.text(key)?;
    request::template(file, &span, &text, &known.of_answer(), known)
}

/// Reads the parameters, or the whole schema. Without either, the tool has no parameters. `None`: a fault was recorded.
fn parameters(file: &mut File<'_>) -> Option<Parameters> {
    let table = file.get("parameters");
    let schema = file.text("schema");
    let (place, schema, private) = match (table, schema) {
        (Some(_), Some((place, _))) => {
            file.fault(place, SectionFault::KeysExclude { one: "parameters", other: "schema" }.into());
            return None;
        }
        (None, None) => return Parameters::new(object(Map::new(), Vec::new()), BTreeSet::new()).ok(),
        (None, Some((place, text))) => match serde_json::from_str(&text) {
            Ok(schema) => (place, schema, BTreeSet::new()),
            Err(error) => {
                let fault = ToolFault::Schema { message: error.to_string() };
                file.fault(place, fault.into());
                return None;
            }
        },
        (Some((place, DeValue::Table(table))), None) => {
            let (schema, private) = properties(file, "parameters", table)?;
            (place, schema, private)
        }
        (Some((place, _)), None) => {
            file.fault(place, AgentFault::Kind { key: "parameters", wanted: ValueKind::Table });
            return None;
        }
    };
    match Parameters::new(schema, private) {
        Ok(parameters) => Some(parameters),
        Err(fault) => {
            file.fault(place, fault.into());
            None
        }
    }
}

/// Reads the form that the model fills in when the caller has left. `None`: there is none, or a fault was recorded.
fn report(file: &mut File<'_>) -> Option<Parameters> {
    let (place, value) = file.get("report")?;
    let DeValue::Table(table) = value else {
        file.fault(place, AgentFault::Kind { key: "report", wanted: ValueKind::Table });
        return None;
    };
    let (schema, private) = properties(file, "report", table)?;
    Parameters::new(schema, private).map_err(|fault| file.fault(place, fault.into())).ok()
}

/// The schema of an object with these properties.
fn object(properties: Map<String, Value>, required: Vec<Value>) -> Value {
    let mut schema = Map::from_iter([("type".to_owned(), Value::from("object"))]);
    schema.insert("properties".to_owned(), properties.into());
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    schema.into()
}

/// The schema of an object whose properties are these, and the names of the private ones.
fn properties(
    file: &mut File<'_>,
    key: &'static str,
    table: toml::de::DeTable<'_>,
) -> Option<(Value, BTreeSet<String>)> {
    let (mut properties, mut required, mut private) = (Map::new(), Vec::new(), BTreeSet::new());
    let before = file.faults.len();
    for (name, place, value) in members(table) {
        let span = value.span();
        let Value::Object(mut property) = json(value.get_ref()) else {
            file.no_table(key, &name, &place, span);
            continue;
        };
        if let Err(fault) = parameter_name(&name) {
            file.fault(place, fault.into());
            continue;
        }
        if !mark(file, &span, &mut property, "optional") {
            required.push(Value::from(name.clone()));
        }
        if mark(file, &span, &mut property, "private") {
            private.insert(name.clone());
        }
        // Alone, so that a fault has the place of its own property.
        let own = object(Map::from_iter([(name.clone(), property.clone().into())]), Vec::new());
        if let Err(fault) = Parameters::new(own, BTreeSet::new()) {
            file.fault(span, fault.into());
        }
        properties.insert(name, property.into());
    }
    (file.faults.len() == before).then(|| (object(properties, required), private))
}

/// Takes a key of ours out of a property. Its value is `true` or `false`.
fn mark(
    file: &mut File<'_>,
    span: &Range<usize>,
    property: &mut Map<String, Value>,
    key: &'static str,
) -> bool {
    match property.remove(key) {
        None => false,
        Some(Value::Bool(word)) => word,
        Some(_) => {
            file.fault(span.clone(), AgentFault::Kind { key, wanted: ValueKind::Bool });
            false
        }
    }
}

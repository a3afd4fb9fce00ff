//! The examples of an agent: what a caller says, and which tool the model must then call. `agents test` tries them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::DeValue;

use super::file::File;
use super::keys;
use super::request::{json, table};
use super::tools::Kit;
use crate::operator::{AgentFault, Detail, SectionFault, ValueKind};
use crate::tool::{BUILT_IN, Parameters, Tool};

/// The most examples of an agent. Each is a conversation with the model when they are tried.
const MOST_EXAMPLES: usize = 200;
/// The most turns of an example. A longer conversation says less about what went wrong.
const MOST_TURNS: usize = 20;
/// The keys of an example.
const EXAMPLE_KEYS: [&str; 6] = ["name", "says", "tool", "arguments", "answers", "lookup"];

/// An example.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// What it is called. Without a name: what is said last.
    pub name: String,
    /// What the caller says, turn by turn; not empty.
    pub says: Vec<String>,
    /// The tool that the model must call after the last turn. `None`: it must call none.
    pub tool: Option<String>,
    /// Arguments that it must have. It may have others.
    pub arguments: Map<String, Value>,
    /// What the tools answer, by their names: no request is made.
    pub answers: BTreeMap<String, Value>,
    /// What was looked up, by name.
    pub lookup: Map<String, Value>,
}

/// Reads the examples. Those with faults are left out.
pub(super) fn examples(file: &mut File<'_>, kit: &Kit) -> Vec<Arc<Example>> {
    let sections = file.sections("example", MOST_EXAMPLES);
    // A tool with a fault is not in the kit, and need not be named twice.
    let is_whole = file.faults.is_empty() && kit.faults.is_empty();
    let mut examples = Vec::new();
    for mut section in sections {
        examples.extend(example(&mut section, kit, is_whole).map(Arc::new));
        file.faults.extend(section.faults);
    }
    examples
}

/// Reads an example. `None`: a fault was recorded.
fn example(file: &mut File<'_>, kit: &Kit, is_whole: bool) -> Option<Example> {
    let name = file.text("name").map(|(_, name)| name);
    let says = says(file);
    let tool = file.text("tool");
    let arguments = file.get("arguments").map(|(place, _)| place);
    let members = table(file, "arguments");
    let answers = table(file, "answers");
    let lookup = table(file, "lookup");
    file.unknown_keys(|found| keys::similar(found, EXAMPLE_KEYS));
    if is_whole {
        for (name, place, _) in &answers {
            known_tool(file, place, name, kit);
        }
        for (name, place, _) in lookup.iter().filter(|(name, ..)| !kit.names.contains(name)) {
            let (name, known) = (Detail::new(name), list(&kit.names));
            file.fault(place.clone(), SectionFault::LookupUnknown { name, known }.into());
        }
    }
    let values = values(&members);
    match (&tool, arguments) {
        (None, Some(place)) => file.fault(place, SectionFault::KeyMissing { key: "tool" }.into()),
        (Some((place, name)), at) if is_whole => {
            if let (Some(tool), Some(at)) = (known_tool(file, place, name, kit), at) {
                fit(file, &tool, &values, |name| {
                    let found = members.iter().find(|(member, ..)| member == name);
                    found.map_or(at.clone(), |(_, _, value)| value.span())
                });
            }
        }
        _ => {}
    }
    let says = says?;
    if !file.faults.is_empty() {
        return None;
    }
    Some(Example {
        name: name.or_else(|| says.last().cloned())?,
        says,
        tool: tool.map(|(_, name)| name),
        arguments: values,
        answers: self::values(&answers).into_iter().collect(),
        lookup: self::values(&lookup),
    })
}

/// Reads what the caller says: a text, or several. `None`: a fault was recorded.
fn says(file: &mut File<'_>) -> Option<Vec<String>> {
    let key = "says";
    let (place, texts) = match file.get(key) {
        None => {
            file.missing(key);
            return None;
        }
        Some((place, DeValue::String(text))) => (place, vec![text.into_owned()]),
        Some((place, _)) => (place, file.texts(key)?.into_iter().map(|(_, text)| text).collect()),
    };
    if texts.is_empty() || texts.iter().any(|text| text.trim().is_empty()) {
        file.fault(place, AgentFault::Kind { key, wanted: ValueKind::Texts });
        return None;
    }
    if texts.len() > MOST_TURNS {
        file.fault(place, SectionFault::TooManyTurns { most: MOST_TURNS }.into());
        return None;
    }
    Some(texts)
}

/// The tool of this name. A name that does not exist is a fault; `None` also for what every agent can do, and for a tool that a
/// server lists, which is not known here.
fn known_tool(file: &mut File<'_>, place: &Range<usize>, name: &str, kit: &Kit) -> Option<Arc<Tool>> {
    let found = kit.tools.iter().find(|tool| *tool.name == *name).cloned();
    let is_of_server = kit.servers.iter().any(|server| server.offers(name));
    if found.is_none() && !is_of_server && !BUILT_IN.contains(&name) {
        let listed =
            kit.servers.iter().flat_map(|server| &server.tools).map(|pattern| pattern.text().to_owned());
        let names: Vec<_> = kit.tools.iter().map(|tool| tool.name.to_string()).chain(listed).collect();
        let (name, known) = (Detail::new(name), list(&names));
        file.fault(place.clone(), SectionFault::ToolUnknown { name, known }.into());
    }
    found
}

/// Checks that the model could call the tool with these arguments and others.
fn fit(
    file: &mut File<'_>,
    tool: &Tool,
    arguments: &Map<String, Value>,
    place: impl Fn(&str) -> Range<usize>,
) {
    let mut schema = tool.parameters.schema().clone();
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("required");
    }
    let Ok(parameters) = Parameters::new(schema, std::collections::BTreeSet::new()) else { return };
    let text = Value::Object(arguments.clone()).to_string();
    for problem in parameters.check(&text).err().unwrap_or_default() {
        let at = place(problem.path.split('/').next().unwrap_or_default());
        let fault = SectionFault::Misfit { tool: tool.name.to_string(), reason: Detail::new(problem.reason) };
        file.fault(at, fault.into());
    }
}

/// The members of a table as JSON.
fn values(members: &[(String, Range<usize>, Spanned<DeValue<'_>>)]) -> Map<String, Value> {
    members.iter().map(|(name, _, value)| (name.clone(), json(value.get_ref()))).collect()
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "-".to_owned() } else { names.join(", ") }
}

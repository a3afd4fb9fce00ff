//! Tools of servers that speak the Model Context Protocol (MCP): which of a server's tools are offered, what the model sees of
//! them, what is sent, and what the answers mean.
//!
//! ```text
//!   list of the server ─► only what the file names ─► fixed values out of the schema ─► names that OpenAI takes ─► tools
//!   arguments of the model ─► fixed values over them ─► sent by others ─► Reply ─► Outcome
//! ```
//! A server says what its tools are called and which arguments they have. The file says everything else: which tools are offered,
//! whether one changes anything, who has to agree. The annotations of a server are not believed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::fault::{ServerFault, ToolFault};
use super::mask::Masks;
use super::outcome::Outcome;
use super::parameters::{Arguments, Parameters};
use super::pattern::Pattern;
use super::render::{Place, RenderError};
use super::request::{Facts, MASK, Node, Request, Secrets};
use super::{Confirm, DESCRIPTION_CHARS, Effect, MOST_TOOLS, NAME_CHARS, Tool, Way, is_name};

/// What the model is told when a tool wants to show a form. The protocol calls it elicitation.
pub const SCREEN: &str = "This tool needs a screen, and a telephone call has none.";
/// The characters of the longest schema. The model reads all schemas with each request; a larger value would let one tool fill
/// them, a smaller one would leave ordinary tools out.
const SCHEMA_CHARS: usize = 8_000;
/// The parameters are wrong, says the server (JSON-RPC 2.0 section 5.1). Nothing was done.
const INVALID_PARAMS: i64 = -32_602;
/// The server knows no such method. Nothing was done.
const METHOD_NOT_FOUND: i64 = -32_601;

/// A server of tools, as a file describes it.
#[derive(Debug, PartialEq)]
pub struct McpServer {
    /// The name: ASCII letters and digits, `-` and `_`.
    pub name: Arc<str>,
    /// How it is reached.
    pub access: Access,
    /// The tools that are offered.
    pub tools: Vec<Pattern>,
    /// The values that the model cannot choose, by the name of the tool.
    pub fixed: BTreeMap<String, Vec<(String, Node)>>,
    /// What the file says of tools.
    pub set: Vec<(Pattern, Set)>,
}

/// How a server is reached.
#[derive(Debug, PartialEq)]
pub enum Access {
    /// Over HTTP. The request has the address and the headers.
    Url(Box<Request>),
    /// By a program that is started, and speaks over its standard input and output.
    Command {
        /// The program.
        program: String,
        /// Its arguments.
        arguments: Vec<String>,
        /// The names of the variables of the environment that it sees. It sees no others.
        variables: Vec<String>,
    },
}

impl Access {
    /// Where the server is, for people: the origin, or the program.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Url(request) => request.target.origin.to_string(),
            Self::Command { program, .. } => program.clone(),
        }
    }
}

/// What a file says of a tool. What it leaves out is as for all tools.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    /// What the model is told of the tool in place of the server's words.
    pub description: Option<String>,
    /// Whether it changes anything.
    pub effect: Effect,
    /// Who has to agree.
    pub confirm: Confirm,
    /// The time for a call, 1–60 s.
    pub timeout: Duration,
    /// After how long without a word the assistant says that it is still looking. `None`: never.
    pub say_after: Option<Duration>,
    /// Whether a second call with the same arguments does nothing more, so that a failed one may be tried again.
    pub idempotent: bool,
    /// Whether a writing tool may be carried out again with the same arguments in the same call.
    pub repeatable: bool,
    /// The names of the parameters whose values are masked in records.
    pub private: BTreeSet<String>,
}

impl Default for Set {
    fn default() -> Self {
        Self {
            description: None,
            effect: Effect::default(),
            confirm: Confirm::default(),
            timeout: Duration::from_secs(8),
            say_after: Some(Duration::from_millis(2_500)),
            idempotent: false,
            repeatable: false,
            private: BTreeSet::new(),
        }
    }
}

/// A tool as its server lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The name.
    pub name: String,
    /// What it does, in the words of the server.
    pub description: String,
    /// The schema of its arguments.
    pub schema: Value,
}

/// How a tool of a server is called.
#[derive(Debug, PartialEq)]
pub struct McpTool {
    /// The server.
    pub server: Arc<McpServer>,
    /// The name that the server knows.
    pub name: String,
    /// Whether a failed call may be tried again, although the tool writes.
    pub idempotent: bool,
}

/// A tool that is not offered, although the file names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The name that the server knows, or the one in the file.
    pub tool: String,
    /// Why.
    pub why: ToolFault,
}

/// What is offered of a server's list.
#[derive(Debug, Default)]
pub struct Offered {
    /// The tools.
    pub tools: Vec<Arc<Tool>>,
    /// The tools that cannot be offered.
    pub left_out: Vec<LeftOut>,
}

/// What a server answers to a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A result.
    Result {
        /// The value, if the server sends one (`structuredContent`).
        structured: Option<Value>,
        /// The texts, one below the other.
        text: String,
        /// Whether the tool says that it failed (`isError`).
        is_error: bool,
    },
    /// The tool wants to ask for more on a screen (`input_required`).
    NeedsScreen,
    /// The server refuses the request.
    Error {
        /// The code (JSON-RPC 2.0 section 5.1).
        code: i64,
        /// The words of the server.
        message: String,
    },
}

impl McpServer {
    /// Whether the file offers a tool of this name.
    #[must_use]
    pub fn offers(&self, name: &str) -> bool {
        self.tools.iter().any(|pattern| pattern.matches(name))
    }

    /// What the file says of this tool: under its name, or else under the longest pattern for it.
    fn set(&self, name: &str) -> Set {
        let of_tool = self.set.iter().filter(|(pattern, _)| pattern.matches(name));
        of_tool.max_by_key(|(pattern, _)| pattern.weight()).map(|(_, set)| set.clone()).unwrap_or_default()
    }

    /// The tools of the server's list that the file offers. `masks` takes the secrets out of the server's words, `taken` are the
    /// names of the agent's other tools, `room` is how many tools it may still have.
    #[must_use]
    pub fn offered(
        self: &Arc<Self>,
        listed: &[Listed],
        masks: &Masks,
        taken: &mut BTreeSet<Arc<str>>,
        room: usize,
    ) -> Offered {
        let mut offered = Offered::default();
        let mut seen = BTreeSet::new();
        for one in listed.iter().filter(|one| self.offers(&one.name)) {
            if !seen.insert(one.name.as_str()) {
                continue;
            }
            let tool = if offered.tools.len() < room {
                self.tool(one, masks)
            } else {
                Err(ServerFault::NoRoom { most: MOST_TOOLS }.into())
            };
            match tool {
                Ok(tool) => {
                    let name = self.free_name(&masks.text(&one.name), taken);
                    taken.insert(Arc::clone(&name));
                    offered.tools.push(Arc::new(Tool { name, ..tool }));
                }
                Err(why) => offered.left_out.push(LeftOut { tool: masks.text(&one.name), why }),
            }
        }
        let names = self.tools.iter().filter(|pattern| pattern.is_name()).map(Pattern::text);
        let absent = names.filter(|name| !seen.contains(name));
        let absent = absent.map(|name| LeftOut { tool: name.to_owned(), why: ServerFault::NotListed.into() });
        offered.left_out.extend(absent);
        offered
    }

    fn tool(self: &Arc<Self>, listed: &Listed, masks: &Masks) -> Result<Tool, ToolFault> {
        let Set { description, effect, confirm, timeout, say_after, idempotent, repeatable, private } =
            self.set(&listed.name);
        let fixed = self.fixed.get(&listed.name).map(Vec::as_slice).unwrap_or_default();
        let schema =
            masks.value(without(listed.schema.clone(), fixed.iter().map(|(name, _)| name.as_str()))?);
        if schema.to_string().chars().count() > SCHEMA_CHARS {
            return Err(ServerFault::SchemaTooLong { most: SCHEMA_CHARS }.into());
        }
        Ok(Tool {
            name: listed.name.as_str().into(),
            description: description
                .unwrap_or_else(|| masks.text(&listed.description).chars().take(DESCRIPTION_CHARS).collect()),
            effect,
            parameters: Parameters::of_server(schema, private)?,
            way: Way::Mcp(McpTool { server: Arc::clone(self), name: listed.name.clone(), idempotent }),
            timeout,
            say_after,
            confirm,
            repeatable,
        })
    }

    /// A name for a tool that OpenAI takes and that no other tool of the agent has.
    fn free_name(&self, name: &str, taken: &BTreeSet<Arc<str>>) -> Arc<str> {
        let is_free = |name: &String| is_name(name) && !taken.contains(name.as_str());
        let plain = plain(name);
        let with_server = || format!("{}_{plain}", self.name);
        let numbered = (2_usize..).map(|number| {
            let number = format!("_{number}");
            format!("{}{number}", shortened(&with_server(), NAME_CHARS - number.len()))
        });
        let first = [shortened(&plain, NAME_CHARS), shortened(&with_server(), NAME_CHARS)];
        let name = first.into_iter().chain(numbered).find(is_free);
        // There are fewer names taken than numbers.
        name.unwrap_or_default().into()
    }
}

/// The name with `_` for every character that OpenAI does not take.
fn plain(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    name.chars().map(|c| if allowed(c) { c } else { '_' }).collect()
}

fn shortened(name: &str, most: usize) -> String {
    name.chars().take(most).collect()
}

/// The schema without these properties, which the file fixes, and without what OpenAI refuses at the top of a schema.
///
/// # Errors
/// A property is not there: the server has changed, and the model could choose what the file means to fix.
fn without<'a>(mut schema: Value, fixed: impl Iterator<Item = &'a str>) -> Result<Value, ToolFault> {
    let object = schema.as_object_mut().ok_or(ToolFault::SchemaNotObject)?;
    for name in ["$id", "oneOf", "anyOf", "allOf", "not", "enum"] {
        object.remove(name);
    }
    for name in fixed {
        let properties = object.get_mut("properties").and_then(Value::as_object_mut);
        if properties.and_then(|properties| properties.remove(name)).is_none() {
            return Err(ServerFault::FixedUnknown { name: name.to_owned() }.into());
        }
        if let Some(required) = object.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|one| one != name);
        }
    }
    Ok(schema)
}

impl McpTool {
    /// The values of the file for this tool.
    fn fixed(&self) -> &[(String, Node)] {
        self.server.fixed.get(&self.name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The arguments that are sent: those of the model, and the values of the file over them. A value of the file that is
    /// missing in this call is not sent, and the model cannot take its place.
    ///
    /// # Errors
    /// A value of the file cannot be made.
    pub fn arguments(
        &self,
        facts: &Facts<'_>,
        arguments: &Arguments,
        secrets: Secrets<'_>,
    ) -> Result<Map<String, Value>, RenderError> {
        let mut sent = arguments.value().as_object().cloned().unwrap_or_default();
        let templates = self.fixed().iter().flat_map(|(_, node)| node.templates());
        let mut values = BTreeMap::new();
        for name in templates.flat_map(|template| template.secrets()) {
            let value = secrets(name).ok_or_else(|| RenderError::Secret { name: name.to_owned() })?;
            values.insert(name, value);
        }
        let scope = facts.scope().with("secret", &values);
        for (name, node) in self.fixed() {
            sent.remove(name);
            if let Some(value) = node.value(&scope, Place::Fixed)? {
                sent.insert(name.clone(), value);
            }
        }
        Ok(sent)
    }
}

impl McpTool {
    /// The name and the arguments as they may be shown, with masked secrets.
    ///
    /// # Errors
    /// See [`Self::arguments`].
    pub fn dry(&self, facts: &Facts<'_>, arguments: &Arguments) -> Result<Value, RenderError> {
        let arguments = self.arguments(facts, arguments, &|_| Some(MASK.to_owned()))?;
        Ok(json!({"name": self.name, "arguments": arguments}))
    }
}

impl Reply {
    /// What the reply means for a tool with this effect. Secrets in it are masked.
    #[must_use]
    pub fn outcome(self, effect: Effect, masks: &Masks) -> Outcome {
        match self {
            Self::Result { structured, text, is_error: false } => {
                Outcome::Done { result: masks.value(structured.unwrap_or_else(|| value(&text))) }
            }
            Self::Result { structured, text, is_error: true } => {
                let message =
                    if text.trim().is_empty() { structured.unwrap_or_default() } else { value(&text) };
                Outcome::Refused { message: masks.value(message) }
            }
            Self::NeedsScreen => Outcome::Refused { message: Value::from(SCREEN) },
            Self::Error { code: INVALID_PARAMS, message } => {
                Outcome::Refused { message: masks.value(Value::String(message)) }
            }
            Self::Error { code: METHOD_NOT_FOUND, .. } => Outcome::Unavailable,
            Self::Error { .. } => match effect {
                Effect::Read => Outcome::Unavailable,
                Effect::Write => Outcome::Unknown,
            },
        }
    }
}

/// The value of a text: JSON if it is some.
fn value(text: &str) -> Value {
    let text = text.trim();
    if text.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

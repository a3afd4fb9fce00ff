//! What a tool is: a request to a server of the operator that the model may ask for, described without code. A server that speaks
//! the Model Context Protocol (`mcp`) lists its tools itself.
//!
//! ```text
//!   arguments of the model ─► Parameters::check ─► Arguments ─► HttpTool::request ─► HttpRequest (sent by others)
//!                                    │                                              │
//!                                    └─ Outcome::InvalidArguments                   ▼
//!                                              what the model reads ◄─ Outcome ◄─ HttpTool::outcome ◄─ Response
//! ```
//! Who fills in a value decides what it may do. The file fixes the scheme, host and port, and every name. The arguments fill in
//! values: they cannot move the request to another host, add a segment to the path, a query or a header, or take the place of a
//! value of the call. A secret goes only into headers, query and body, and is masked in every answer.
//!
//! | module | what |
//! |---|---|
//! | `http`, `mcp`, `pattern` | the two ways of carrying a tool out; patterns for the names of a server's tools |
//! | `template`, `code`, `filters` | texts with values in them; the code in such texts; the filters beside Jinja's |
//! | `names` | which values a template may use, by its place |
//! | `origin`, `target`, `request`, `render` | the scheme, host and port; the method and the path; the whole request; why there is none |
//! | `parameters`, `weight` | the JSON Schema, the check of arguments and its cost, and the idempotency key |
//! | `response`, `failure`, `outcome`, `cut`, `mask` | what an answer means, and that there is none; what the model reads; its size; secrets in it |
//! | `fault` | what can be wrong in the description of a tool |

mod code;
mod cut;
mod failure;
mod fault;
mod filters;
mod http;
mod mask;
mod mcp;
mod names;
mod origin;
mod outcome;
mod parameters;
mod pattern;
mod render;
mod request;
mod response;
mod target;
mod template;
mod weight;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

pub use cut::cut;
pub use failure::Failure;
pub use fault::{Flaw, SecretFault, ServerFault, ToolFault};
pub use http::HttpTool;
pub use mask::Masks;
pub use mcp::{Access, LeftOut, Listed, McpServer, McpTool, Offered, Reply, SCREEN, Set};
pub use names::{Answer, Names, Secrecy};
pub use origin::{Origin, is_forbidden};
pub use outcome::{MOST_CHARS, Outcome};
pub use parameters::{Arguments, Parameters, Problem, parameter_name};
pub use pattern::Pattern;
pub use render::{Place, RenderError};
pub use request::{Facts, HttpRequest, MASK, Node, Request, Secrets, header_name, header_value};
pub use response::{Mapped, Mapping, Response};
pub use target::Target;
pub use template::{Scope, Template, TemplateFault, ValueError};

/// The names of the tools that every agent has.
pub const BUILT_IN: [&str; 2] = ["end_call", "transfer_call"];
/// The longest name of a tool, in characters. Azure's documentation has this limit.
pub const NAME_CHARS: usize = 64;
/// The most tools of an agent. All of them are in each request to the model, which chooses worse among more.
pub const MOST_TOOLS: usize = 64;
/// The longest description, in characters. It is the limit of OpenAI's other APIs.
pub const DESCRIPTION_CHARS: usize = 1_024;

/// A tool.
#[derive(Debug, PartialEq)]
pub struct Tool {
    /// The name: ASCII letters and digits, `-` and `_`.
    pub name: Arc<str>,
    /// What the model is told of it.
    pub description: String,
    /// Whether it changes anything.
    pub effect: Effect,
    /// The parameters.
    pub parameters: Parameters,
    /// How it is carried out.
    pub way: Way,
    /// The time for all attempts together, 1–60 s.
    pub timeout: Duration,
    /// After how long without a word the assistant says that it is still looking. `None`: never.
    pub say_after: Option<Duration>,
    /// Who has to agree.
    pub confirm: Confirm,
    /// Whether a writing tool may be carried out again with the same arguments in the same call.
    pub repeatable: bool,
}

/// How a tool is carried out.
#[derive(Debug, PartialEq)]
pub enum Way {
    /// By a request that the file describes.
    Http(Arc<HttpTool>),
    /// By a server that speaks the Model Context Protocol.
    Mcp(McpTool),
}

/// Whether a tool changes anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// It only looks something up.
    Read,
    /// It changes something: it is not repeated, and not given up when the caller leaves.
    #[default]
    Write,
}

impl Effect {
    /// The word of the file.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// Who has to agree before a tool is carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Confirm {
    /// Nobody.
    #[default]
    Nobody,
    /// The caller, who must have spoken since the model asked for the tool.
    Caller,
}

/// Something that is looked up while the call begins.
#[derive(Debug, PartialEq)]
pub struct Lookup {
    /// The name, as in `lookup.NAME`.
    pub name: Arc<str>,
    /// The request.
    pub request: Request,
    /// How long the greeting waits for it, 0–10 s.
    pub patience: Duration,
    /// How the answer becomes a result.
    pub mapping: Mapping,
}

impl Tool {
    /// The name, description and schema as the model reads them.
    #[must_use]
    pub fn declaration(&self) -> Value {
        json!({
            "type": "function",
            "name": *self.name,
            "description": self.description,
            "parameters": self.parameters.schema(),
        })
    }

    /// The length of the declaration as JSON, in characters. The model reads it with each request.
    #[must_use]
    pub fn characters(&self) -> usize {
        self.declaration().to_string().chars().count()
    }

    /// Whether the server recognizes a repeated request, and does not carry it out twice.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        match &self.way {
            Way::Http(http) => http.idempotency.is_some(),
            Way::Mcp(mcp) => mcp.idempotent,
        }
    }

    /// The server that carries the tool out: its scheme, host and port, or the name of an MCP server.
    #[must_use]
    pub fn server(&self) -> String {
        match &self.way {
            Way::Http(http) => http.request.target.origin.to_string(),
            Way::Mcp(mcp) => mcp.server.name.to_string(),
        }
    }

    /// What the model reads of an outcome of this tool.
    #[must_use]
    pub fn answer(&self, outcome: &Outcome) -> String {
        if self.is_idempotent() { outcome.text_of_idempotent() } else { outcome.text() }
    }

    /// What records hold of the answer that the model reads: the words of the server without the private values of the arguments,
    /// which some servers echo.
    #[must_use]
    pub fn recorded(&self, answer: &str, arguments: &Arguments) -> String {
        let masks = self.parameters.masks(arguments);
        let Ok(mut recorded) = serde_json::from_str::<Value>(answer) else { return masks.text(answer) };
        for member in ["result", "message"] {
            if let Some(words) = recorded.get_mut(member) {
                *words = masks.value(words.take());
            }
        }
        recorded.to_string()
    }

    /// What it means that there is no request: the model can mend an argument, and nothing else.
    #[must_use]
    pub fn refused(&self, error: &RenderError) -> Outcome {
        match error {
            RenderError::Argument { name, reason } => {
                Outcome::InvalidArguments { problems: vec![self.parameters.misfit(name, reason)] }
            }
            RenderError::Value { .. } | RenderError::Secret { .. } => Outcome::Unavailable,
        }
    }
}

/// Whether a tool may have this name. The names of [`BUILT_IN`] are taken.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let is_short = (1..=NAME_CHARS).contains(&text.len());
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    is_short && is_plain && !BUILT_IN.contains(&text)
}

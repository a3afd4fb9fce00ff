//! `agents tool`: one call of a tool, as the model would make it. Shows the request, carries it out through the daemon's own client, and
//! shows what the model would read.

use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use serde_json::{Map, Value};

use super::given::{Given, Values, pair};
use super::servers::AgentServers;
use super::words::Words;
use crate::call::tools::Job;
use crate::clock::{now, wall};
use crate::config::{AgentConfig, Agents};
use crate::daemon::tools::{Knowledge, carry_out};
use crate::logging::Operator;
use crate::net::tls;
use crate::net::tools::ToolClient;
use crate::operator::Language;
use crate::operator::foreign::{plain, plain_json};
use crate::output::print;
use crate::tool::{Arguments, Facts, HttpRequest, Outcome, RenderError, Tool, Way};

/// The exit code if the model would read an error.
const REFUSED: u8 = 3;
/// The exit code if it is not known whether the tool was carried out.
const UNKNOWN: u8 = 4;

/// What to call.
#[derive(Debug, Args)]
pub struct Options {
    /// The name of the tool.
    name: String,
    /// The arguments, NAME=VALUE. The schema decides whether a value is a text, or JSON such as a number, true or a list.
    #[arg(value_name = "NAME=VALUE", value_parser = pair)]
    arguments: Vec<(String, String)>,
    /// The agent whose tool is meant. Needed if several agents have different tools of this name.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Shows the request, and does not make it.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    given: Given,
}

/// Runs the command. Returns the exit code: 0 if the model would read a result, 1 if there is no such tool or agent, 3 if the model
/// would read an error, and 4 if it is not known whether the tool was carried out.
///
/// # Errors
/// stdout cannot be written, or the system has no trust store.
pub async fn run(
    options: &Options,
    agents: &Agents,
    operator: Operator,
    language: Language,
) -> anyhow::Result<u8> {
    let words = Words(language);
    let refuse = |line: String| print(&format!("✗ {}", plain(&line))).map(|()| 1);
    let asked = match &options.agent {
        None => agents.all.as_slice(),
        Some(name) => match agents.find(name) {
            Some(agent) => std::slice::from_ref(agent),
            None => return Ok(refuse(words.no_agent(name, agents.names()))?),
        },
    };
    let client = ToolClient::new(&*tls::client_config()?)?;
    let servers = AgentServers::start(lacking(asked, &options.name), client.clone(), operator).await;
    let (agent, tool) = match find(&options.name, asked, &servers, words) {
        Ok(found) => found,
        Err(line) => return Ok(refuse(line)?),
    };
    let values = Values::new(&options.given, (&agent.name, Some(agent)), wall(), language);
    print(&plain(&words.pretended(&agent.name, &values.told_examples())))?;
    for lookup in agent.lookups.iter().filter(|lookup| !values.lookup.contains_key(&*lookup.name)) {
        print(&plain(&words.nothing_looked_up(&lookup.name)))?;
    }
    let text = match typed(&tool, &options.arguments) {
        Ok(arguments) => Value::Object(arguments).to_string(),
        Err(name) => {
            print(&format!("✗ {}", plain(&words.argument_twice(&name))))?;
            return Ok(1);
        }
    };
    let arguments = match tool.parameters.check(&text) {
        Ok(arguments) => arguments,
        Err(problems) => return read(&Outcome::InvalidArguments { problems }, words),
    };
    let lookups = values.lookups();
    let facts = Facts { call: &values.call, vars: &values.vars, lookup: &lookups };
    let call_id = values.call["id"].as_str().unwrap_or_default();
    let key = arguments.key(call_id, &tool.name);
    match made(&tool, &facts, &arguments, &key) {
        Ok(request) => print(&format!("\n{request}"))?,
        Err(error) => {
            print(&format!("✗ {}", plain(&error.to_string())))?;
            return read(&tool.refused(&error), words);
        }
    }
    if options.dry_run {
        print(&format!("\n{}", words.not_sent()))?;
        return Ok(0);
    }
    let began: Instant = now();
    let job = Job::alone(tool, arguments, key);
    let knowledge = Arc::new(Knowledge { servers: servers.of(&agent.name), ..values.knowledge });
    let (outcome, attempts) = carry_out(&client, &knowledge, &Arc::new(lookups), &job, operator).await;
    print(&format!("\n{}", words.took(now() - began, attempts)))?;
    read(&outcome, words)
}

/// Shows what the model would read.
fn read(outcome: &Outcome, words: Words) -> anyhow::Result<u8> {
    print(&format!("\n{}\n{}", words.model_reads(), plain_json(&outcome.text())))?;
    Ok(match outcome {
        Outcome::Done { .. } => 0,
        Outcome::Unknown => UNKNOWN,
        _ => REFUSED,
    })
}

/// The agents whose servers may list a tool of this name: none, if it is in a file of one of them.
fn lacking<'a>(asked: &'a [AgentConfig], name: &str) -> &'a [AgentConfig] {
    let is_in_a_file = asked.iter().flat_map(|agent| &agent.tools).any(|tool| *tool.name == *name);
    if is_in_a_file { &[] } else { asked }
}

/// The agent and its tool of this name, or what is wrong.
fn find<'a>(
    name: &str,
    asked: &'a [AgentConfig],
    servers: &AgentServers,
    words: Words,
) -> Result<(&'a AgentConfig, Arc<Tool>), String> {
    let all = |agent: &'a AgentConfig| {
        let tools = agent.tools.iter().chain(servers.tools(&agent.name)).cloned();
        tools.map(move |tool| (agent, tool)).collect::<Vec<_>>()
    };
    let all: Vec<_> = asked.iter().flat_map(all).collect();
    let found: Vec<_> = all.iter().filter(|(_, tool)| *tool.name == *name).collect();
    match &found[..] {
        [] => {
            let mut names: Vec<_> = all.iter().map(|(_, tool)| &tool.name).collect();
            names.sort();
            names.dedup();
            Err(words.no_tool(name, names))
        }
        [(agent, tool), others @ ..] if others.iter().all(|(_, other)| other == tool) => {
            Ok((*agent, Arc::clone(tool)))
        }
        several => Err(words.several_tools(name, several.iter().map(|(agent, _)| &agent.name))),
    }
}

/// The arguments with the types of the schema. A value that is not of its type stays a text, and the schema refuses it.
///
/// # Errors
/// The name of an argument that is given twice.
fn typed(tool: &Tool, given: &[(String, String)]) -> Result<Map<String, Value>, String> {
    let mut arguments = Map::new();
    for (name, text) in given {
        let schema = &tool.parameters.schema()["properties"][name];
        let value = match serde_json::from_str(text) {
            Ok(value) if !takes_text(schema) => value,
            _ => Value::from(text.as_str()),
        };
        if arguments.insert(name.clone(), value).is_some() {
            return Err(name.clone());
        }
    }
    Ok(arguments)
}

/// Whether a parameter with this schema takes a text as it is.
fn takes_text(schema: &Value) -> bool {
    let is_text = |kind: &Value| kind == "string";
    match &schema["type"] {
        Value::Array(kinds) => kinds.iter().any(is_text),
        Value::Null => {
            // A schema without a type: the allowed words say it, if there are any.
            schema["enum"].as_array().is_some_and(|all| all.iter().all(Value::is_string))
                || schema["const"].is_string()
        }
        kind => is_text(kind),
    }
}

/// The request of this tool as text, whether it is one of HTTP or a call of a server's tool. Secrets are masked in it.
///
/// # Errors
/// There is none with these values.
pub(super) fn made(
    tool: &Tool,
    facts: &Facts<'_>,
    arguments: &Arguments,
    key: &str,
) -> Result<String, RenderError> {
    match &tool.way {
        Way::Http(http) => http.dry(facts, arguments, key).map(|request| shown(&request)),
        Way::Mcp(mcp) => mcp.dry(facts, arguments).map(|call| plain_json(&call.to_string())),
    }
}

/// The request as text. Secrets are masked in it.
fn shown(request: &HttpRequest) -> String {
    let mut lines = vec![format!("{} {}", request.method, request.url)];
    lines.extend(request.headers.iter().map(|(name, value)| format!("{name}: {value}")));
    if !request.body.is_empty() {
        lines.extend([String::new(), plain_json(&request.body)]);
    }
    lines.iter().map(|line| plain(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_schema_decides_what_a_text_takes() {
        for (schema, text) in [
            (json!({"type": "string"}), true),
            (json!({"type": "integer"}), false),
            (json!({"type": ["string", "null"]}), true),
            (json!({"type": ["number", "null"]}), false),
            (json!({"enum": ["1", "2"]}), true),
            (json!({"enum": [1, 2]}), false),
            (json!({}), false),
            (Value::Null, false),
        ] {
            assert_eq!(takes_text(&schema), text, "{schema}");
        }
    }
}

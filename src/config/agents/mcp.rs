//! The servers of an agent that speak the Model Context Protocol and list their tools themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::file::File;
use super::keys;
use super::request::{self, Known};
use super::secrets::Secrets;
use super::values::{flag, seconds, word};
use crate::config::Variables;
use crate::operator::{Detail, Notice, SectionFault};
use crate::tool::{
    Access, Confirm, DESCRIPTION_CHARS, Effect, Flaw, McpServer, Node, Pattern, Request, Set, Target,
    Template, ToolFault, header_name,
};

/// The keys of a server.
const KEYS: [&str; 8] = ["name", "url", "headers", "command", "env", "tools", "fixed", "set"];
/// The keys of a tool in `set`.
const SET_KEYS: [&str; 8] =
    ["description", "effect", "confirm", "timeout", "say_after", "idempotent", "repeatable", "private"];
/// The headers that the protocol itself sets (MCP 2025-11-25 and 2026-07-28, transports).
const RESERVED: [&str; 7] = [
    "accept",
    "content-type",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
];
/// The method of all requests. It stands before an address where both are read together.
const METHOD: &str = "POST ";

/// Where the system looks for a program whose environment has no `PATH` (execvp(3)).
const PROGRAMS: &str = "/bin:/usr/bin";

/// Reads a server. `lookups` are the names of the agent's look-ups. `None`: a fault was recorded.
pub(super) fn server(file: &mut File<'_>, lookups: &[String], secrets: &Secrets<'_>) -> Option<McpServer> {
    let name = file.get("name").and_then(|(_, name)| Some(name.as_str()?.to_owned()));
    let known = Known { lookups: Some(lookups), args: None, secrets };
    let access = access(file, &known);
    let tools = patterns(file);
    let fixed = fixed(file, &tools, &known);
    let set = set(file, &tools);
    if let Some(Access::Url(request)) = &access {
        let sends_secrets = fixed.values().flatten().flat_map(|(_, node)| node.templates());
        let origin = &request.target.origin;
        if sends_secrets.flat_map(Template::secrets).next().is_some() && !origin.keeps_secrets() {
            let fault = ToolFault::SecretInPlainText { host: origin.host() };
            let place = file.get("fixed").map(|(place, _)| place).unwrap_or_default();
            file.fault(place, fault.into());
        }
    }
    file.unknown_keys(|found| keys::similar(found, KEYS));
    if !file.faults.is_empty() {
        return None;
    }
    Some(McpServer { name: name?.into(), access: access?, tools, fixed, set })
}

/// Reads how the server is reached: by an address or by a command.
fn access(file: &mut File<'_>, known: &Known<'_>) -> Option<Access> {
    let url = file.text("url");
    let command = file.texts("command");
    match (url, command) {
        (Some((place, _)), Some(_)) => {
            file.fault(place, SectionFault::KeysExclude { one: "url", other: "command" }.into());
            None
        }
        (Some((place, url)), None) => {
            excluded(file, "env", "url");
            by_url(file, &place, &url, known)
        }
        (None, Some(command)) => {
            excluded(file, "headers", "command");
            by_command(file, command, known.secrets)
        }
        (None, None) => {
            if !file.has("url") && !file.has("command") {
                file.missing("url");
            }
            None
        }
    }
}

/// A key that has no meaning beside another one.
fn excluded(file: &mut File<'_>, one: &'static str, other: &'static str) {
    if let Some((place, _)) = file.get(one) {
        file.fault(place, SectionFault::KeysExclude { one, other }.into());
    }
}

fn by_url(file: &mut File<'_>, place: &Range<usize>, url: &str, known: &Known<'_>) -> Option<Access> {
    let target = match url.find('{') {
        Some(at) => Err(Flaw { at, what: ToolFault::ServerTemplate }),
        None => Target::parse(&format!("{METHOD}{url}"))
            .map_err(|flaw| Flaw { at: flaw.at.saturating_sub(METHOD.len()), ..flaw }),
    };
    let target = match target {
        Ok(target) => Some(target),
        Err(flaw) => {
            file.flaw(place, url, flaw);
            None
        }
    };
    let mut headers = Vec::new();
    for (name, at, value) in request::table(file, "headers") {
        let span = value.span();
        if RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) && header_name(&name).is_ok() {
            file.fault(at, ToolFault::HeaderReserved { name }.into());
            continue;
        }
        let Some((name, template)) = request::header(file, name, at, value, known) else { continue };
        // One connection serves all calls, so there are no values of a call.
        if let Some(other) = template.names().iter().find(|name| !name.starts_with("secret.")) {
            let fault = ToolFault::UnknownName { name: other.clone(), known: "secret".to_owned() };
            let at = template.source().find(other.as_str()).unwrap_or_default();
            file.flaw(&span, template.source(), Flaw { at, what: fault });
        }
        headers.push((name, template));
    }
    let request = Request { target: target?, query: Vec::new(), headers, body: None };
    if let Err(fault) = request.check() {
        file.fault(place.clone(), fault.into());
    }
    Some(Access::Url(Box::new(request)))
}

fn by_command(
    file: &mut File<'_>,
    command: Vec<(Range<usize>, String)>,
    secrets: &Secrets<'_>,
) -> Option<Access> {
    let mut variables = Vec::new();
    for (place, name) in file.texts("env").unwrap_or_default() {
        match secrets.variable(&name) {
            Ok(()) => variables.push(name),
            Err(cause) => file.fault(place, ToolFault::Secret { name, cause }.into()),
        }
    }
    let mut command = command.into_iter().map(|(_, text)| text);
    let Some(program) = command.next().filter(|program| !program.is_empty()) else {
        file.missing("command");
        return None;
    };
    Some(Access::Command { program, arguments: command.collect(), variables })
}

/// What an operator should know about the programs of servers: those that cannot be started now.
pub(super) fn remarks(servers: &[Arc<McpServer>], environment: Variables<'_>) -> Vec<Notice> {
    let missing = |server: &Arc<McpServer>| {
        let Access::Command { program, variables, .. } = &server.access else { return None };
        let path = environment("PATH").filter(|_| variables.iter().any(|name| name == "PATH"));
        let is_there = is_program(program, path.as_deref().unwrap_or(PROGRAMS));
        let (server, program) = (server.name.to_string(), Detail::new(program));
        (!is_there).then_some(Notice::AgentProgramMissing { server, program })
    };
    servers.iter().filter_map(missing).collect()
}

/// Whether the system would find something that can be run: at this path, or by this name in these folders.
fn is_program(program: &str, folders: &str) -> bool {
    let is_executable = |path: &Path| {
        let is_file = path.metadata().is_ok_and(|metadata| metadata.is_file());
        is_file && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
    };
    if program.contains('/') {
        return is_executable(Path::new(program));
    }
    folders.split(':').any(|folder| is_executable(&Path::new(folder).join(program)))
}

/// Reads the tools that are offered.
fn patterns(file: &mut File<'_>) -> Vec<Pattern> {
    let Some(texts) = file.texts("tools") else {
        if !file.has("tools") {
            file.missing("tools");
        }
        return Vec::new();
    };
    texts.into_iter().map(|(_, text)| Pattern::new(&text)).collect()
}

/// Whether one of these patterns offers something that this name or pattern stands for. If not, a fault is recorded.
fn is_offered(file: &mut File<'_>, tools: &[Pattern], name: &str, place: Range<usize>) -> bool {
    let is_offered = tools.is_empty() || tools.iter().any(|tool| tool.text() == name || tool.matches(name));
    if !is_offered {
        file.fault(place, SectionFault::NotOffered { name: Detail::new(name) }.into());
    }
    is_offered
}

/// Reads the values that the model cannot choose.
fn fixed(file: &mut File<'_>, tools: &[Pattern], known: &Known<'_>) -> BTreeMap<String, Vec<(String, Node)>> {
    let mut fixed = BTreeMap::new();
    for (name, place, of_tool) in file.named("fixed") {
        if !is_offered(file, tools, &name, place) {
            continue;
        }
        let values = of_tool
            .into_members()
            .filter_map(|(name, _, value)| Some((name, request::node(file, value, known)?)));
        let values: Vec<_> = values.collect();
        fixed.insert(name, values);
    }
    fixed
}

/// Reads what the file says of tools.
fn set(file: &mut File<'_>, tools: &[Pattern]) -> Vec<(Pattern, Set)> {
    let mut all = Vec::new();
    for (name, place, mut of_tool) in file.named("set") {
        if is_offered(file, tools, &name, place) {
            all.push((Pattern::new(&name), settings(&mut of_tool)));
            file.faults.append(&mut of_tool.faults);
        }
    }
    all
}

fn settings(file: &mut File<'_>) -> Set {
    let key = "description";
    let description = file.text(key).and_then(|(place, text)| {
        if text.chars().count() > DESCRIPTION_CHARS {
            file.fault(place, SectionFault::TooLong { key, most: DESCRIPTION_CHARS }.into());
            return None;
        }
        Some(text)
    });
    let private = file.texts("private").unwrap_or_default();
    let say_after = seconds(file, "say_after", 0.0, 60.0, 2.5);
    let set = Set {
        description,
        effect: word(file, "effect", &["write", "read"], [Effect::Write, Effect::Read]),
        confirm: word(file, "confirm", &["caller"], [Confirm::Caller]),
        timeout: seconds(file, "timeout", 1.0, 60.0, 8.0),
        say_after: Some(say_after).filter(|time| !time.is_zero()),
        idempotent: flag(file, "idempotent"),
        repeatable: flag(file, "repeatable"),
        private: private.into_iter().map(|(_, name)| name).collect::<BTreeSet<_>>(),
    };
    file.unknown_keys(|found| keys::similar(found, SET_KEYS));
    set
}

//! `openai-inbound-calls agents`: examines the files of agents, tells which agent takes a call, and lists the messages about ended
//! calls (`webhooks`).
//!
//! The commands read the variables and the files as the daemon does. `check` and `who` connect to nothing; the others are in
//! [`crate::rehearsal`].

use std::io;
use std::sync::Arc;

use chrono::NaiveDateTime;
use clap::Subcommand;

use super::webhooks;
use crate::agents::{Asked, Choice, DEFAULT, Entry, Roster, UnknownAgent, Why};
use crate::clock;
use crate::config::{AgentConfig, Agents, Config, Fault, LogConfig, Position, RealtimeConfig, Survey};
use crate::logging;
use crate::operator::foreign::plain;
use crate::operator::{Detail, Language, Notice};
use crate::output::print;
use crate::rehearsal;
use crate::tool::{Confirm, Lookup, McpServer, Pattern, Tool, Way};
use crate::units::estimated_tokens;
use crate::webhook::Address;

/// The longest part of a line that is shown under a fault, in characters.
const LINE_CHARS: usize = 120;

/// What to do with agents.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Examine all files of AGENTS_DIR and show every agent. The exit code is 0 if the daemon would take the files.
    Check,
    /// Tell which agent takes a call to a number, and why.
    Who {
        /// The dialled number, as the dialplan has it.
        number: String,
        /// The time of the call, as "2026-12-25 10:00" in the time of this machine, in place of now.
        #[arg(long, value_parser = time)]
        at: Option<NaiveDateTime>,
        /// The agent that the dialplan names: Stasis(openai-app,agent=NAME), or AI_AGENT.
        #[arg(long, value_name = "NAME")]
        agent: Option<String>,
    },
    /// Call a tool as the model would: show the request with masked secrets, make it, and show what the model would read.
    ///
    /// The exit code is 0 if the model would read a result (or the request was shown with --dry-run), 1 if there is no such tool, 3 if
    /// the model would read an error, and 4 if it is not known whether the tool was carried out.
    Tool(rehearsal::tool::Options),
    /// Talk with an agent by text: its instructions, greeting, facts and tools, with the real model (needs OPENAI_API_KEY and costs
    /// little) or a simulated one.
    ///
    /// The conversation runs on the daemon's own code. Every line of stdin is a turn of the caller. Tools are really carried out,
    /// unless --dry-run is given. The exit code is 1 if there is no such agent or if the model does not serve the call.
    Try(rehearsal::talk::Options),
    /// Try the examples (`[[example]]`) in the files of agents: what the caller says, and which tool the model must then call.
    ///
    /// Costs what the turns by text cost. Tools are not carried out; they answer what the example says. The exit code is 0 if all
    /// examples went as they demand.
    Test(rehearsal::examples::Options),
    /// Play the caller's side of a recording to an agent, and show both transcripts side by side.
    ///
    /// Takes as long as the recording, and costs what such a call costs. Tools are not carried out; they answer as in the recording.
    Replay(rehearsal::replay::Options),
    /// List the messages about ended calls (`[[after_call]]`) that wait for their receivers or were given up, or send one again.
    Webhooks {
        /// The number of the message that the daemon is to send again, beginning with the first attempt.
        #[arg(long, value_name = "ID")]
        again: Option<i64>,
    },
}

/// Reads a time.
fn time(text: &str) -> Result<NaiveDateTime, String> {
    let forms = ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"];
    let read = |form: &&str| NaiveDateTime::parse_from_str(text, form).ok();
    forms.iter().find_map(read).ok_or_else(|| "a time has the form 2026-12-25 10:00".to_owned())
}

/// Runs the command with the environment and the `.env` of the working directory, until `stop` if it lasts. Returns the exit code.
///
/// # Errors
/// Returns an error if stdout cannot be written (see [`crate::output::is_unread`]), or if a rehearsal cannot be set up.
pub async fn run(command: Command, stop: impl Future<Output = ()>) -> anyhow::Result<u8> {
    let code = |is_well: bool| u8::from(!is_well);
    match command {
        Command::Check => Ok(code(check(&survey(Needs::NoModel))?)),
        Command::Who { number, at, agent } => {
            let at = at.unwrap_or_else(|| clock::wall().naive_local());
            let asked = Asked { argument: agent.as_deref(), variable: None, dialled: &number, at };
            Ok(code(who(&survey(Needs::NoModel), &asked)?))
        }
        Command::Tool(options) => {
            let Some((config, guard)) = rehearsed(Needs::NoModel)? else { return Ok(1) };
            rehearsal::tool::run(&options, &config.agents, guard.operator(), config.log.language).await
        }
        Command::Try(options) => {
            let Some((config, guard)) = rehearsed(Needs::of(options.fake))? else { return Ok(1) };
            rehearsal::talk::run(&options, &config, guard.operator(), stop).await
        }
        Command::Test(options) => {
            let Some((config, guard)) = rehearsed(Needs::of(options.fake))? else { return Ok(1) };
            rehearsal::examples::run(&options, &config, guard.operator(), stop).await
        }
        Command::Replay(options) => {
            let Some((config, guard)) = rehearsed(Needs::of(options.fake))? else { return Ok(1) };
            rehearsal::replay::run(&options, &config, guard.operator(), stop).await
        }
        Command::Webhooks { again } => Ok(code(webhooks::run(&Survey::load(), again).await?)),
    }
}

/// Whether a command needs the real model, and with it a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Model,
    NoModel,
}

impl Needs {
    const fn of(fake: bool) -> Self {
        if fake { Self::NoModel } else { Self::Model }
    }
}

/// Reads the variables and the files of agents. Variables of which a command makes no use may be missing.
fn survey(needs: Needs) -> Survey {
    let key: &[(&str, &str)] = match needs {
        Needs::Model => &[],
        Needs::NoModel => &[rehearsal::NO_KEY],
    };
    Survey::load_with(&[&rehearsal::UNUSED, key].concat())
}

/// The configuration of a rehearsal, and its log on stderr. Variables that only a daemon needs may be missing. `None`: it has been shown
/// what is wrong.
fn rehearsed(needs: Needs) -> anyhow::Result<Option<(Config, logging::Guard)>> {
    let survey = survey(needs);
    let lacks_key = survey.problems.iter().any(|problem| problem.names_missing("OPENAI_API_KEY"));
    let hint = || match needs {
        Needs::Model if lacks_key => print(&Notice::AgentKeyMissing.line(survey.language)),
        _ => Ok(()),
    };
    if sound(&survey)?.is_none() {
        hint()?;
        return Ok(None);
    }
    let Some(config) = survey.parts.clone().whole() else {
        missing(&survey)?;
        hint()?;
        return Ok(None);
    };
    let log = LogConfig { path: "/dev/null".into(), language: survey.language, level: "off".into() };
    let guard = logging::init_shown_by(&log, io::stderr())?;
    guard.hide(config.secrets());
    Ok(Some((config, guard)))
}

/// The agents, if nothing is wrong with their files and with what these do not say. Otherwise, shows what is wrong.
fn sound(survey: &Survey) -> io::Result<Option<&Agents>> {
    let Some(agents) = &survey.parts.agents else {
        refuse(survey)?;
        return Ok(None);
    };
    if agents.all.len() < agents.roster.entries().len() {
        missing(survey)?;
        return Ok(None);
    }
    Ok(Some(agents))
}

/// The files are valid, and what they do not say is missing in the environment.
fn missing(survey: &Survey) -> io::Result<()> {
    for problem in &survey.problems {
        print(&format!("✗ {}", plain(&problem.line(survey.language))))?;
    }
    Ok(())
}

/// Shows all agents, or what is wrong with them.
fn check(survey: &Survey) -> io::Result<bool> {
    let say = |notice: &Notice| print(&plain(&notice.line(survey.language)));
    for remark in survey.parts.remarks.iter().filter(|remark| is_of_agents(remark)) {
        print(&format!("! {}", plain(&remark.line(survey.language))))?;
    }
    let Some(agents) = &survey.parts.agents else {
        refuse(survey)?;
        return Ok(false);
    };
    let has_none = survey.parts.remarks.iter().any(|remark| matches!(remark, Notice::AgentsNone { .. }));
    if agents.roster.entries().is_empty() && !has_none {
        say(&Notice::AgentsAbsent)?;
    }
    for agent in &agents.all {
        say(&listed(&agent.name, &agent.version, &agent.realtime, &agent.tools))?;
        say(&match agent.instructions.clone() {
            Some(file) => Notice::AgentInstructions { file },
            None => Notice::AgentWithoutInstructions { name: agent.name.to_string() },
        })?;
        if let Some(entry) = agents.roster.entries().iter().find(|entry| entry.name == agent.name) {
            for notice in choosing(entry) {
                say(&notice)?;
            }
        }
        for notice in tools(agent) {
            say(&notice)?;
        }
    }
    if agents.all.len() < agents.roster.entries().len() {
        missing(survey)?;
        return Ok(false);
    }
    if let (None, Some(realtime)) = (agents.find(DEFAULT), &survey.parts.realtime) {
        say(&listed(DEFAULT, "-", realtime, &[]))?;
    }
    if !agents.all.is_empty() {
        say(&Notice::AgentsValid { agents: agents.all.len() })?;
    }
    Ok(true)
}

/// Whether a warning concerns the files of agents.
const fn is_of_agents(remark: &Notice) -> bool {
    matches!(
        remark,
        Notice::AgentRemark { .. }
            | Notice::AgentFileRemark { .. }
            | Notice::AgentsNone { .. }
            | Notice::AgentInstructionsUnused { .. }
            | Notice::AgentToolsUnused { .. }
    )
}

/// Says what is wrong with the files of agents, or with the variable that names their folder.
fn refuse(survey: &Survey) -> io::Result<()> {
    for fault in &survey.faults {
        print(&format!("✗ {}", plain(&fault.notice().line(survey.language))))?;
        for line in excerpt(fault) {
            print(&plain(&line))?;
        }
    }
    let others = survey.problems.iter().filter(|notice| match notice {
        Notice::SettingInvalid { variable, .. } => *variable == "AGENTS_DIR",
        _ => false,
    });
    for notice in others {
        print(&format!("✗ {}", plain(&notice.line(survey.language))))?;
    }
    print(&Notice::AgentsInvalid { faults: survey.faults.len().max(1) }.line(survey.language))
}

/// The line of the file in which the fault is, and a mark below it.
fn excerpt(fault: &Fault) -> Vec<String> {
    let Some(Position { line, column, text }) = &fault.position else { return Vec::new() };
    // A tab is one character of the file, and would be several of the screen.
    let shown: String = text.replace('\t', " ").chars().take(LINE_CHARS).collect();
    let mark = " ".repeat(column.saturating_sub(1).min(LINE_CHARS));
    vec![format!("{line:>5} | {shown}"), format!("      | {mark}^")]
}

/// The line about an agent. The model reads its tools with each request, as JSON.
fn listed(name: &str, version: &str, realtime: &RealtimeConfig, tools: &[Arc<Tool>]) -> Notice {
    let of_tools = tools.iter().map(|tool| tool.characters()).sum::<usize>();
    let characters = realtime.session.instructions.chars().count() + of_tools;
    Notice::AgentListed {
        name: name.to_owned(),
        version: version.to_owned(),
        model: realtime.model.clone(),
        voice: realtime.session.voice.clone(),
        tokens: estimated_tokens(characters),
    }
}

/// The lines about the look-ups, tools, servers, report and addresses of an agent. The tools of servers are not known here.
fn tools(agent: &AgentConfig) -> Vec<Notice> {
    let of_tool = |tool: &Arc<Tool>| {
        let Way::Http(http) = &tool.way else { return None };
        Some(Notice::AgentTool {
            name: tool.name.to_string(),
            effect: tool.effect.word(),
            confirm: match tool.confirm {
                Confirm::Nobody => "",
                Confirm::Caller => " confirm=caller",
            },
            origin: http.request.target.origin.to_string(),
        })
    };
    let of_lookup = |lookup: &Arc<Lookup>| Notice::AgentLookup {
        name: lookup.name.to_string(),
        origin: lookup.request.target.origin.to_string(),
    };
    let of_address = |address: &Address| Notice::AgentWebhook {
        name: address.name.to_string(),
        origin: address.origin.clone(),
        words: if address.words { " words=true" } else { "" },
    };
    let of_server = |server: &Arc<McpServer>| {
        let tools: Vec<_> = server.tools.iter().map(Pattern::text).collect();
        Notice::AgentServer {
            name: server.name.to_string(),
            place: Detail::new(server.access.place()),
            tools: Detail::new(tools.join(", ")),
        }
    };
    let report = agent.report.as_ref().map(|form| Notice::AgentReport { fields: form.names().join(", ") });
    let tools = agent.lookups.iter().map(of_lookup).chain(agent.tools.iter().filter_map(of_tool));
    let tools = tools.chain(agent.servers.iter().map(of_server));
    tools.chain(report).chain(agent.after_call.iter().map(of_address)).collect()
}

/// The lines about when an agent takes calls.
fn choosing(entry: &Entry) -> Vec<Notice> {
    let numbers: Vec<_> = entry.numbers.iter().map(ToString::to_string).collect();
    let numbers = if numbers.is_empty() {
        Notice::AgentWithoutNumbers
    } else {
        Notice::AgentNumbers { numbers: numbers.join(", ") }
    };
    let closed = entry.closed.as_ref();
    let closes = closed.map(|closed| Notice::AgentCloses { instead: closed.instead.to_string() });
    [numbers].into_iter().chain(closes).collect()
}

/// Tells which agent takes the call.
fn who(survey: &Survey, asked: &Asked<'_>) -> io::Result<bool> {
    let Some(Agents { roster, .. }) = &survey.parts.agents else {
        refuse(survey)?;
        return Ok(false);
    };
    let (is_well, lines) = chosen(roster, asked, survey.language);
    for line in lines {
        print(&plain(&line))?;
    }
    Ok(is_well)
}

/// Whether there is an agent for the call, and the lines that say which.
fn chosen(roster: &Roster, asked: &Asked<'_>, language: Language) -> (bool, Vec<String>) {
    let number = asked.dialled.to_owned();
    let notices = match roster.choose(asked) {
        Err(UnknownAgent(name)) => {
            return (false, vec![Notice::AgentUnknown { name: Detail::new(name) }.line(language)]);
        }
        Ok(Choice { name, why, instead_of }) => {
            let first = instead_of.as_ref().unwrap_or(&name).to_string();
            let chosen = match why {
                Why::Number(pattern) => {
                    Notice::AgentByNumber { number, pattern: pattern.to_string(), name: first.clone() }
                }
                Why::Argument | Why::Variable => Notice::AgentByName { number, name: first.clone() },
                Why::Default => Notice::AgentByDefault { number, name: first.clone() },
            };
            let closed = instead_of.map(|_| Notice::AgentClosedAt {
                name: first,
                at: asked.at.format("%Y-%m-%d %H:%M").to_string(),
                instead: name.to_string(),
            });
            [chosen].into_iter().chain(closed)
        }
    };
    (true, notices.map(|notice| notice.line(language)).collect())
}

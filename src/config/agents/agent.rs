//! One agent: what its file says, and the environment where the file says nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::examples::{Example, examples};
use super::file::File;
use super::folder::{Shared, Source};
use super::keys;
use super::overlay::Overlay;
use super::request::{self, Known};
use super::secrets::Secrets;
use super::{mcp, tools};
use crate::agents::{Holiday, OpeningHours, Pattern};
use crate::call::record::Keep;
use crate::call::tools::Destination;
use crate::config::calls;
use crate::config::fault::{Fault, place_of};
use crate::config::reader::Reader;
use crate::config::realtime::realtime;
use crate::config::recordings::{kept, retention_days};
use crate::config::{CallsConfig, Problem, RealtimeConfig, Secret, Variables, prices};
use crate::operator::{AgentFault, Detail, Notice};
use crate::tool::{Lookup, McpServer, Parameters, Template, Tool};
use crate::units::MicroUsd;
use crate::webhook::Address;

/// An agent of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentConfig {
    /// The name: that of the file without `.toml`.
    pub name: Arc<str>,
    /// The first 12 hexadecimal digits of the SHA-256 of the agent's files: another text is another version.
    pub version: String,
    /// The session with the model.
    pub realtime: RealtimeConfig,
    /// What happens to callers. The limits of all calls together ([`CallsConfig::max_calls`] and others) are those of the
    /// environment.
    pub calls: CallsConfig,
    /// What this agent's calls of a day may cost. `None`: no limit besides that of all calls.
    pub max_day_cost: Option<MicroUsd>,
    /// What is recorded.
    pub keep: Keep,
    /// For how many days this agent's recordings are kept. `None`: as long as all others.
    pub retention_days: Option<u32>,
    /// The greeting, if it has values of the call in it. [`RealtimeConfig::greeting`] holds its text as written.
    pub greeting: Option<Arc<Template>>,
    /// What the agent can do beside talking: its own tools, then those that it shares.
    pub tools: Vec<Arc<Tool>>,
    /// What is looked up while a call begins.
    pub lookups: Vec<Arc<Lookup>>,
    /// The servers that list tools themselves.
    pub servers: Vec<Arc<McpServer>>,
    /// The form that the model fills in when the caller has left, if there is one.
    pub report: Option<Arc<Parameters>>,
    /// Where messages about its ended calls go.
    pub after_call: Vec<Address>,
    /// The secrets of the tools, look-ups, servers and addresses, by name.
    pub secrets: BTreeMap<String, Secret>,
    /// The name of its own file of instructions. `None`: its instructions are those of the environment.
    pub instructions: Option<String>,
    /// What callers say, and which tool the model must then call.
    pub examples: Vec<Arc<Example>>,
    /// The variables that programs of [`Self::servers`] see and that are no secrets, by name.
    pub variables: BTreeMap<String, String>,
}

/// What a file says about the choice of the agent.
#[derive(Default)]
pub(super) struct Choosing {
    /// The numbers, each with its place in the file.
    pub(super) numbers: Vec<(Pattern, Place)>,
    pub(super) hours: Vec<OpeningHours>,
    pub(super) holidays: Vec<Holiday>,
    /// The agent that takes the calls when this one is closed.
    pub(super) closed: Option<(String, Place)>,
}

/// A place in the file, for faults that are found when all files have been read.
pub(super) type Place = std::ops::Range<usize>;

/// What a file describes.
#[derive(Default)]
pub(super) struct Agent {
    pub(super) choosing: Choosing,
    /// `None` if something in it is wrong.
    pub(super) config: Option<AgentConfig>,
}

/// What was found in a file.
#[derive(Default)]
pub(super) struct Found {
    pub(super) agent: Agent,
    /// The names of the files with shared tools that it uses.
    pub(super) used: Vec<String>,
    pub(super) faults: Vec<Fault>,
    pub(super) remarks: Vec<Notice>,
}

/// Reads one agent. `shared` has all files with shared tools, `environment` the variables of the daemon.
pub(super) fn agent(source: &Source, shared: &[Shared], environment: Variables<'_>) -> Found {
    let mut file = File::parse(&source.path, &source.text);
    if !file.is_whole() {
        // Everything else would be about keys that the parser skipped.
        return Found { faults: file.faults, ..Found::default() };
    }
    let overlay = Overlay::take(&mut file);
    let choosing = choosing(&mut file);
    let transfers = file.texts("transfers");
    let used = tools::used(&mut file, shared);
    let secrets = Secrets::new(environment);
    let kit = tools::tools(&mut file, &source.name, &used, &secrets);
    let examples = examples(&mut file, &kit);
    let greeting = greeting(&mut file, &overlay, &kit.names, &secrets);
    file.unknown_keys(keys::nearest);

    let instructions = source.instructions.as_ref().map(|path| path.display().to_string());
    let variables = |name: &str| match name {
        "ASSISTANT_INSTRUCTIONS_FILE" if instructions.is_some() => instructions.clone(),
        name => overlay.value(name).map(str::to_owned).or_else(|| environment(name)),
    };
    let mut reader = Reader::new(&variables);
    let realtime = realtime(&mut reader);
    let calls = calls::calls(&mut reader, realtime.as_ref().and_then(RealtimeConfig::callers_language));
    let (keep, retention_days) = (kept(&mut reader), retention_days(&mut reader));
    if let (Some(realtime), Some(calls)) = (&realtime, &calls) {
        reader.remarks.extend(prices::remarks(realtime, calls));
    }
    reader.remarks.extend(of_kit(&kit, keep, environment));
    let remarks = value_faults(&mut file, &overlay, source, reader);
    let destinations = destinations(&mut file, transfers, environment);
    let (secrets, variables) = secrets.into_used();
    let config = (|| {
        let calls = calls?;
        let sets = |variable: &str| overlay.value(variable).is_some();
        Some(AgentConfig {
            name: Arc::clone(&source.name),
            version: source.version(&used),
            realtime: realtime?,
            max_day_cost: calls.max_day_cost.filter(|_| sets("MAX_DAY_COST")),
            calls: CallsConfig { destinations: destinations?, ..calls },
            keep: keep?,
            retention_days: retention_days?.filter(|_| sets("RECORDING_RETENTION_DAYS")),
            greeting,
            tools: kit.tools,
            lookups: kit.lookups,
            servers: kit.servers,
            report: kit.report,
            after_call: kit.after_call,
            secrets,
            variables,
            instructions: source.instructions.as_deref().and_then(file_name),
            examples,
        })
    })();
    file.faults.extend(kit.faults);
    let config = config.filter(|_| file.faults.is_empty());
    let used = used.into_iter().map(|shared| shared.name.clone()).collect();
    Found { agent: Agent { choosing, config }, used, faults: file.faults, remarks }
}

/// Reads the greeting as a template. `None`: it has no values in it, the file has none, or a fault was recorded.
fn greeting(
    file: &mut File<'_>,
    overlay: &Overlay,
    lookups: &[String],
    secrets: &Secrets<'_>,
) -> Option<Arc<Template>> {
    let variable = "ASSISTANT_GREETING";
    let (text, place) = (overlay.value(variable)?, overlay.place(variable)?);
    let known = Known { lookups: Some(lookups), args: None, secrets };
    let template = request::template(file, &place, text, &known.of_greeting(), &known)?;
    (!template.is_fixed()).then(|| Arc::new(template))
}

/// Reads the keys that concern the choice of the agent.
fn choosing(file: &mut File<'_>) -> Choosing {
    let mut choosing = Choosing::default();
    for (place, text) in file.texts("numbers").unwrap_or_default() {
        match text.parse() {
            Ok(pattern) => choosing.numbers.push((pattern, place)),
            Err(cause) => file.fault(place, AgentFault::Pattern { found: Detail::new(&text), cause }),
        }
    }
    for (place, text) in file.texts("hours").unwrap_or_default() {
        match text.parse() {
            Ok(hours) => choosing.hours.push(hours),
            Err(_) => file.fault(place, AgentFault::Hours { found: Detail::new(&text) }),
        }
    }
    for (place, text) in file.texts("holidays").unwrap_or_default() {
        match text.parse() {
            Ok(holiday) => choosing.holidays.push(holiday),
            Err(_) => file.fault(place, AgentFault::Holiday { found: Detail::new(&text) }),
        }
    }
    choosing.closed = file.text("closed").map(|(place, name)| (name, place));
    let closes = choosing.closes();
    match (&choosing.closed, file.get("hours").or_else(|| file.get("holidays"))) {
        (None, Some((place, _))) if closes => file.fault(place, AgentFault::ClosedMissing),
        (Some((_, place)), None) => {
            let place = place.clone();
            file.fault(place, AgentFault::ClosedUnused);
        }
        _ => {}
    }
    choosing
}

impl Choosing {
    /// Whether there are times at which the agent takes no calls.
    pub(super) fn closes(&self) -> bool {
        !self.hours.is_empty() || !self.holidays.is_empty()
    }
}

/// Turns the problems that a reader found into faults of the file. Returns its remarks.
fn value_faults(file: &mut File<'_>, overlay: &Overlay, source: &Source, reader: Reader<'_>) -> Vec<Notice> {
    let Reader { problems, remarks, .. } = reader;
    for problem in problems {
        value_fault(file, overlay, source, problem);
    }
    remarks.into_iter().map(|remark| placed(remark, overlay, source)).collect()
}

/// The last part of a path.
fn file_name(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_string_lossy().into_owned())
}

/// A remark with the place in the file that it is about, or else with the name of the agent.
fn placed(remark: Notice, overlay: &Overlay, source: &Source) -> Notice {
    let place = remark.variable().and_then(|variable| Some((keys::key(variable)?, overlay.place(variable)?)));
    match place {
        Some((key, span)) => Notice::AgentFileRemark {
            place: place_of(&source.path, &source.text, &span),
            remark: Box::new(remark.about(key)),
        },
        None => Notice::AgentRemark { agent: source.name.to_string(), remark: Box::new(remark) },
    }
}

/// Turns a problem of a variable into a fault of the file, if the file sets the variable. All other problems are reported
/// with those of the environment.
fn value_fault(file: &mut File<'_>, overlay: &Overlay, source: &Source, problem: Problem) {
    let Problem::Invalid { variable, found, allowed } = problem else { return };
    match (keys::key(variable), overlay.place(variable), &source.instructions) {
        (Some(key), Some(place), _) => file.fault(place, AgentFault::Value { key, found, allowed }),
        (None, None, Some(path)) if variable == "ASSISTANT_INSTRUCTIONS_FILE" => {
            let what = AgentFault::Value { key: "instructions", found, allowed };
            file.faults.push(Fault::of_file(path, what));
        }
        _ => {}
    }
}

/// The destinations that the agent may transfer callers to: all of them, or those that the file names.
fn destinations(
    file: &mut File<'_>,
    transfers: Option<Vec<(Place, String)>>,
    environment: Variables<'_>,
) -> Option<Vec<Destination>> {
    let all = calls::destinations(&mut Reader::new(environment))?;
    let Some(transfers) = transfers else { return Some(all) };
    let mut chosen: Vec<Destination> = Vec::new();
    for (place, name) in transfers {
        match all.iter().find(|known| known.name.eq_ignore_ascii_case(name.trim())) {
            Some(known) if chosen.contains(known) => {}
            Some(known) => chosen.push(known.clone()),
            None => {
                let known: Vec<_> = all.iter().map(|known| known.name.as_str()).collect();
                let (name, known) = (Detail::new(&name), known.join(", "));
                file.fault(place, AgentFault::TransferUnknown { name, known });
            }
        }
    }
    Some(chosen)
}

/// What an operator should know about what the agent can do beside talking.
fn of_kit(kit: &tools::Kit, keep: Option<Keep>, environment: Variables<'_>) -> Vec<Notice> {
    [of_ended_calls(kit, keep, environment), mcp::remarks(&kit.servers, environment)].concat()
}

/// What an operator should know about what happens after calls: words wait for addresses without encryption although recordings are
/// encrypted; nobody would get the report.
fn of_ended_calls(kit: &tools::Kit, keep: Option<Keep>, environment: Variables<'_>) -> Vec<Notice> {
    let encrypts = environment("RECORDINGS_RECIPIENT").is_some_and(|recipient| !recipient.trim().is_empty());
    let with_words = kit.after_call.iter().filter(|address| encrypts && address.words);
    let remark = |address: &Address| Notice::AgentWordsUnencrypted { address: address.origin.clone() };
    let is_lost = keep.is_some_and(|keep| !keep.transcript) && kit.after_call.is_empty();
    let lost = kit.report.as_ref().filter(|_| is_lost).map(|_| Notice::AgentReportUnused);
    with_words.map(remark).chain(lost).collect()
}

//! The agents of `AGENTS_DIR`: one file `NAME.toml` for each agent, with its instructions in `NAME.md` beside it. Tools that
//! several agents share are in files `_NAME.toml`, which the agents name in `use`.
//!
//! A key of a file sets a variable of the environment for this agent alone, so that both have the same rules. What a file does
//! not say is as in the environment. All files are valid, or none is used: one examination finds every fault, with file, line
//! and column.
//!
//! ```text
//!  folder ── file (TOML with positions) ── keys (key ⇄ variable) ── agent ── AgentConfig
//!                                                          tools ──┘  └── together (numbers, `closed`) ── Agents
//! ```
//!
//! | file | what |
//! |---|---|
//! | `folder` | which files of the folder belong to which agent, and the hash of their contents |
//! | `file` | one file: values with their positions, and unknown keys |
//! | `keys` | the keys that an agent can have |
//! | `overlay` | the variables that the keys set |
//! | `agent` | one agent |
//! | `tools`, `request`, `secrets` | its tools and look-ups, their requests with the templates in them, and the secrets that they send |
//! | `examples` | what callers say, and which tool the model must then call |
//! | `after_call` | where messages about ended calls go |
//! | `mcp` | the servers that speak the Model Context Protocol |
//! | `values` | values of one kind in them: words, times, `true` or `false` |
//! | `together` | what must hold among all agents |

mod after_call;
mod agent;
mod examples;
mod file;
mod folder;
mod keys;
mod mcp;
mod overlay;
mod request;
mod secrets;
mod together;
mod tools;
mod values;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

pub use agent::AgentConfig;
pub use examples::Example;

use super::Variables;
use super::fault::Fault;
use super::reader::Reader;
use crate::agents::Roster;
use crate::operator::{AgentFault, Allowed, Notice};
use crate::recordings::retention::OfAgents;
use crate::tool::ToolFault;
use crate::webhook::Addresses;

/// The agents of `AGENTS_DIR`. Without this variable there are none: the environment describes the only agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Agents {
    /// The agents, by name.
    pub all: Vec<AgentConfig>,
    /// The choice among them.
    pub roster: Roster,
}

/// What was read, and what was found in it.
pub(super) struct Read {
    pub(super) agents: Agents,
    pub(super) faults: Vec<Fault>,
    pub(super) remarks: Vec<Notice>,
}

/// Reads the section. Faults of files become problems of the configuration.
pub(super) fn agents(reader: &mut Reader<'_>, variables: Variables<'_>) -> Option<Agents> {
    let name = "AGENTS_DIR";
    let path = reader.path(name)?;
    if path.is_empty() {
        return Some(Agents::default());
    }
    match read(Path::new(&path), variables) {
        Ok(Read { agents, faults, remarks }) => {
            // What an agent has from the environment has been said of the environment.
            let is_new = |remark: &Notice| match remark {
                Notice::AgentRemark { remark, .. } => !reader.remarks.contains(remark),
                _ => true,
            };
            let remarks: Vec<_> = remarks.into_iter().filter(is_new).collect();
            reader.remarks.extend(remarks);
            let is_valid = faults.is_empty();
            reader.problems.extend(faults.into_iter().map(super::Problem::Agent));
            is_valid.then_some(agents)
        }
        Err(error) => {
            reader.invalid(name, &path, Allowed::Folder { cause: crate::config::file::cause(&path, error) });
            None
        }
    }
}

/// Reads all files of a folder. `variables` are those of the environment.
fn read(folder: &Path, variables: Variables<'_>) -> std::io::Result<Read> {
    let folder::Folder { sources, shared, mut faults, mut remarks } = folder::read(folder)?;
    let mut found = Vec::new();
    let mut all_used = BTreeSet::new();
    for source in sources {
        let agent::Found { agent, used, faults: of_agent, remarks: of_values } =
            agent::agent(&source, &shared, variables);
        all_used.extend(used);
        remarks.extend(of_values);
        // An agent with faults still counts where others are compared with it.
        found.push((source, agent));
        // A fault in a file that several agents use is found with each of them.
        for fault in of_agent {
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
    }
    if found.is_empty() && faults.is_empty() {
        let path = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        remarks.push(Notice::AgentsNone { path: path.display().to_string() });
    }
    // What a file uses that cannot be read as a whole is not known.
    let is_known = !faults.iter().any(hides_uses);
    let unused = shared.iter().filter(|shared| is_known && !all_used.contains(&shared.name));
    remarks.extend(unused.map(|shared| Notice::AgentToolsUnused { path: shared.path.display().to_string() }));
    let (roster, of_all) = together::roster(&found);
    faults.extend(of_all);
    faults.sort_by(|first, second| first.order().cmp(&second.order()));
    once_per_secret(&mut faults);
    let all = found.into_iter().filter_map(|(_, agent)| agent.config).collect();
    Ok(Read { agents: Agents { all, roster }, faults, remarks })
}

/// Whether a fault hides which files an agent uses.
fn hides_uses(fault: &Fault) -> bool {
    matches!(
        fault.what,
        AgentFault::Syntax { .. } | AgentFault::Unreadable { .. } | AgentFault::Kind { key: "use", .. }
    )
}

/// Leaves each secret that cannot be used once in each file: it has one remedy, however many templates name it.
fn once_per_secret(faults: &mut Vec<Fault>) {
    let mut named = BTreeSet::new();
    faults.retain(|fault| match &fault.what {
        AgentFault::Tool { fault: ToolFault::Secret { name, .. } } => {
            named.insert((fault.path.clone(), name.clone()))
        }
        _ => true,
    });
}

impl Agents {
    /// The agent of this name, if a file describes it.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&AgentConfig> {
        self.all.iter().find(|agent| *agent.name == *name)
    }

    /// For how many days the recordings of the agents are kept that say so. `None`: a file could not be read as a whole.
    #[must_use]
    pub fn retention(&self) -> Option<OfAgents> {
        let days = |agent: &AgentConfig| Some((Arc::clone(&agent.name), agent.retention_days?));
        (self.all.len() == self.roster.entries().len()).then(|| self.all.iter().filter_map(days).collect())
    }

    /// Where messages about ended calls go.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        let of_agent = |agent: &AgentConfig| {
            let name = Arc::clone(&agent.name);
            agent.after_call.clone().into_iter().map(move |address| (Arc::clone(&name), address))
        };
        self.all.iter().flat_map(of_agent).collect()
    }

    /// The names of all agents in files.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.all.iter().map(|agent| &agent.name)
    }
}

//! The agents: what their calls are born with, and which of them takes a caller.

use std::sync::Arc;

use chrono::NaiveDateTime;
use ipnet::IpNet;

use crate::agents::{Asked, Choice, DEFAULT, Roster, UnknownAgent, Why};
use crate::ari::event::Channel;
use crate::call::Settings;
use crate::operator::Notice;
use crate::units::MicroUsd;

/// The extension at which FreePBX lets a call begin in a context of its own, whatever number was dialled.
const NO_NUMBER: &str = "s";

/// An agent, as its calls know it.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    /// The name.
    pub name: Arc<str>,
    /// The first hexadecimal digits of the hash of its files. Empty: the environment describes it.
    pub version: Arc<str>,
    /// What its calls are born with.
    pub settings: Arc<Settings>,
    /// What its calls of a day may cost; None: no limit of its own.
    pub max_day_cost: Option<MicroUsd>,
}

impl Agent {
    /// The agent that the environment describes. It has no daily limit of its own, because `MAX_DAY_COST` limits all calls.
    #[must_use]
    pub fn of_environment(settings: Arc<Settings>) -> Self {
        Self { name: DEFAULT.into(), version: "".into(), settings, max_day_cost: None }
    }
}

/// All agents.
#[derive(Debug, Clone)]
pub struct Agents {
    roster: Roster,
    /// The agent for callers to whom no other rule assigns an agent.
    default: Arc<Agent>,
    others: Vec<Arc<Agent>>,
}

impl Agents {
    /// The agents of files, and the one of the environment, whose place a file may take. `roster` chooses among them.
    #[must_use]
    pub fn new(of_environment: Agent, of_files: Vec<Agent>, roster: Roster) -> Self {
        let (default, others): (Vec<_>, _) =
            of_files.into_iter().map(Arc::new).partition(|agent| *agent.name == *DEFAULT);
        let default = default.into_iter().next().unwrap_or_else(|| Arc::new(of_environment));
        Self { roster, default, others }
    }

    /// The agent that takes this caller at this time, in the machine's local time, and the operator's line about the choice, if
    /// there are agents to choose from.
    pub(super) fn choose(
        &self,
        channel: &Channel,
        at: NaiveDateTime,
    ) -> Result<(&Arc<Agent>, Option<Notice>), UnknownAgent> {
        let asked = Asked {
            argument: channel.arguments.get("agent"),
            variable: channel.agent.as_deref(),
            dialled: channel.arguments.get("did").unwrap_or(&channel.called),
            at,
        };
        self.choose_as(&asked)
    }

    /// The same for a call that is not in Asterisk.
    pub(super) fn choose_as(&self, asked: &Asked<'_>) -> Result<(&Arc<Agent>, Option<Notice>), UnknownAgent> {
        let choice = self.roster.choose(asked)?;
        let line = (!self.roster.entries().is_empty()).then(|| line(&choice, asked.dialled));
        Ok((self.find(&choice.name).unwrap_or(&self.default), line))
    }

    /// The agents whose calls of a day may cost so much and no more.
    pub fn limited(&self) -> impl Iterator<Item = &Arc<Agent>> {
        self.others.iter().chain([&self.default]).filter(|agent| agent.max_day_cost.is_some())
    }

    /// The agent of this name.
    pub(super) fn find(&self, name: &str) -> Option<&Arc<Agent>> {
        self.others.iter().chain([&self.default]).find(|agent| *agent.name == *name)
    }

    /// Where Asterisk may have the sound of new calls sent; None: anywhere.
    pub(super) fn set_media_networks(&mut self, networks: Option<&Arc<[IpNet]>>) {
        for agent in self.others.iter_mut().chain([&mut self.default]) {
            let settings = &mut Arc::make_mut(agent).settings;
            Arc::make_mut(settings).media_networks = networks.cloned();
        }
    }
}

/// What the operator is told about a choice.
fn line(choice: &Choice, dialled: &str) -> Notice {
    let agent = choice.name.to_string();
    match (&choice.instead_of, &choice.why) {
        (Some(closed), _) => Notice::AgentTakesInstead { agent, closed: closed.to_string() },
        (None, Why::Default) if dialled == NO_NUMBER => Notice::AgentTakesWithoutNumber { agent },
        (None, Why::Default) => Notice::AgentTakesByDefault { agent },
        (None, Why::Argument | Why::Variable | Why::Number(_)) => Notice::AgentTakes { agent },
    }
}

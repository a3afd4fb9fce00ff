//! The servers of tools that speak MCP: one for each address and program that the agents name, whoever names it. What they list
//! becomes tools of the agents; a call has those that are there when it begins.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::call::{Settings, tools};
use crate::config::{AgentConfig, Secret};
use crate::exchange::Agent;
use crate::logging::Operator;
use crate::net::mcp::{Address, HttpAddress, News, Program, Server, ServerId};
use crate::net::tools::ToolClient;
use crate::operator::{Detail, Notice};
use crate::tool::{Access, Facts, LeftOut, Listed, MOST_TOOLS, Masks, McpServer, Offered, Tool};

/// News of servers that may wait for the loop, which reads them at once.
const NEWS: usize = 64;

/// The most tools of a server of which the operator is told why they cannot be offered. More would let a server fill the log.
const MOST_LEFT_OUT: usize = 20;

/// What becomes known of the servers.
pub(crate) type NewsOfServers = mpsc::Receiver<(ServerId, News)>;

/// The servers of all agents.
pub(crate) struct Servers {
    client: ToolClient,
    operator: Operator,
    tell: mpsc::Sender<(ServerId, News)>,
    keepers: JoinSet<()>,
    last: u32,
    running: Vec<Running>,
    /// What each agent has of the servers, by its name.
    equipment: HashMap<Arc<str>, Equipment>,
}

/// A server whose session is kept open.
struct Running {
    id: ServerId,
    key: Key,
    /// What the first agent calls it.
    name: Arc<str>,
    server: Arc<Server>,
    standing: Standing,
    /// The last list that came.
    list: Option<Arc<[Listed]>>,
}

/// What makes two servers the same: the address with the headers, or the program with its arguments and variables. It holds
/// secrets, so it is not shown.
#[derive(PartialEq)]
struct Key(Vec<String>);

/// What the operator knows of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing yet.
    Unknown,
    Here,
    Away,
}

/// What an agent has of the servers.
#[derive(Default)]
struct Equipment {
    tools: Vec<Arc<Tool>>,
    /// The servers, by the names in the agent's files.
    servers: HashMap<Arc<str>, Arc<Server>>,
    /// What cannot be offered, as the operator knows.
    left_out: Vec<(Arc<str>, LeftOut)>,
    /// How many tools of a server cannot be offered besides those, as the operator knows.
    more_left_out: HashMap<Arc<str>, usize>,
}

impl Servers {
    /// Starts the servers of these agents. The channel brings their news, which belong into [`Self::learn`].
    pub(crate) fn new(
        agents: &[AgentConfig],
        client: ToolClient,
        operator: Operator,
    ) -> (Self, NewsOfServers) {
        let (tell, news) = mpsc::channel(NEWS);
        let (keepers, running, equipment) = (JoinSet::new(), Vec::new(), HashMap::new());
        let mut servers = Self { client, operator, tell, keepers, last: 0, running, equipment };
        servers.follow(agents);
        (servers, news)
    }

    /// Follows other agents: starts and ends servers, and leaves those alone that are named before and after.
    pub(crate) fn follow(&mut self, agents: &[AgentConfig]) {
        let named =
            || agents.iter().flat_map(|agent| agent.servers.iter().map(move |server| (agent, server)));
        let keys: Vec<Key> = named().map(|(agent, server)| key(&address(server, agent))).collect();
        // A server that is no longer named ends when the last call that may use it has ended.
        self.running.retain(|running| keys.contains(&running.key));
        while self.keepers.try_join_next().is_some() {}
        let before = std::mem::take(&mut self.equipment);
        for ((agent, server), key) in named().zip(keys) {
            let at = self.running.iter().position(|running| running.key == key);
            let at = at.unwrap_or_else(|| self.start(server, agent, key));
            let equipment = self.equipment.entry(Arc::clone(&agent.name)).or_default();
            equipment.servers.insert(Arc::clone(&server.name), Arc::clone(&self.running[at].server));
        }
        for (name, equipment) in &mut self.equipment {
            if let Some(before) = before.get(name) {
                equipment.left_out.clone_from(&before.left_out);
                equipment.more_left_out.clone_from(&before.more_left_out);
            }
        }
        self.equip(agents);
    }

    /// Starts a server. Returns its place among those that run.
    fn start(&mut self, server: &McpServer, agent: &AgentConfig, key: Key) -> usize {
        self.last += 1;
        let id = ServerId(self.last);
        let (server_of_it, keeping) =
            Server::new(&self.client, address(server, agent), id, self.tell.clone());
        self.keepers.spawn(keeping);
        self.running.push(Running {
            id,
            key,
            name: Arc::clone(&server.name),
            server: Arc::new(server_of_it),
            standing: Standing::Unknown,
            list: None,
        });
        self.running.len() - 1
    }

    /// Whether it is not known yet of some server whether it can be used.
    pub(crate) fn is_awaited(&self) -> bool {
        self.running.iter().any(|running| running.standing == Standing::Unknown)
    }

    /// The tools of an agent that its servers list.
    pub(crate) fn tools(&self, agent: &str) -> &[Arc<Tool>] {
        self.equipment.get(agent).map(|equipment| equipment.tools.as_slice()).unwrap_or_default()
    }

    /// Takes news of a server.
    pub(crate) fn learn(&mut self, agents: &[AgentConfig], id: ServerId, news: News) {
        // News of a server that no agent names any more may still come.
        let Some(running) = self.running.iter_mut().find(|running| running.id == id) else { return };
        let server = running.name.to_string();
        match news {
            News::Listed(list) => {
                if running.standing != Standing::Here {
                    self.operator.say(&Notice::McpServerHere { server, tools: list.len() });
                }
                running.standing = Standing::Here;
                if running.list.as_deref() != Some(&list) {
                    running.list = Some(list.into());
                    self.equip(agents);
                }
            }
            // The last list holds: who calls its tools is told that they cannot be used now.
            News::Away(cause) => {
                if running.standing != Standing::Away {
                    self.operator.say(&Notice::McpServerAway { server, cause: Detail::new(cause) });
                }
                running.standing = Standing::Away;
            }
        }
    }

    /// Makes the tools of all agents of the lists that have come, and says what cannot be offered, each once.
    fn equip(&mut self, agents: &[AgentConfig]) {
        for agent in agents {
            let Some(equipment) = self.equipment.get_mut(&agent.name) else { continue };
            let masks = masks(agent);
            let mut taken: BTreeSet<_> = agent.tools.iter().map(|tool| Arc::clone(&tool.name)).collect();
            let (mut all, mut all_left_out) = (Vec::new(), Vec::new());
            for server in &agent.servers {
                let list = equipment.servers.get(&server.name).and_then(|of_agent| {
                    self.running.iter().find(|running| Arc::ptr_eq(&running.server, of_agent))?.list.clone()
                });
                let Some(list) = list else { continue };
                let room = MOST_TOOLS.saturating_sub(agent.tools.len() + all.len());
                let Offered { tools, left_out } = server.offered(&list, &masks, &mut taken, room);
                all.extend(tools);
                let more = left_out.len().saturating_sub(MOST_LEFT_OUT);
                let told = left_out.into_iter().take(MOST_LEFT_OUT);
                all_left_out.extend(told.map(|one| (Arc::clone(&server.name), one)));
                if more > 0 && equipment.more_left_out.insert(Arc::clone(&server.name), more) != Some(more) {
                    let (agent, server) = (agent.name.to_string(), server.name.to_string());
                    self.operator.say(&Notice::McpToolsLeftOut { agent, server, more });
                }
            }
            for (server, left_out) in all_left_out.iter().filter(|one| !equipment.left_out.contains(one)) {
                self.operator.say(&Notice::McpToolLeftOut {
                    agent: agent.name.to_string(),
                    server: server.to_string(),
                    tool: Detail::new(&left_out.tool),
                    fault: Box::new(left_out.why.clone().into()),
                });
            }
            (equipment.tools, equipment.left_out) = (all, all_left_out);
        }
    }

    /// What a call of this agent is born with.
    pub(crate) fn settings(&self, agent: &Agent) -> Arc<Settings> {
        let tools = self.tools(&agent.name);
        if tools.is_empty() {
            return Arc::clone(&agent.settings);
        }
        let mut settings = Settings::clone(&agent.settings);
        settings.tools.extend(tools.iter().cloned());
        settings.session.tools =
            tools::offered(settings.may_hang_up, &settings.destinations, &settings.tools);
        Arc::new(settings)
    }

    /// The servers of an agent, by the names in its files.
    pub(crate) fn of(&self, agent: &str) -> HashMap<Arc<str>, Arc<Server>> {
        self.equipment.get(agent).map(|equipment| equipment.servers.clone()).unwrap_or_default()
    }
}

/// What takes the secrets of an agent out of the words of its servers.
fn masks(agent: &AgentConfig) -> Masks {
    Masks::new(agent.secrets.values().map(Secret::expose))
}

/// Where a server is, with the secrets of the agent.
fn address(server: &McpServer, agent: &AgentConfig) -> Address {
    let secret = |name: &str| agent.secrets.get(name).map(|secret| secret.expose().to_owned());
    match &server.access {
        Access::Url(request) => {
            let nothing = Value::Null;
            let facts = Facts { call: &nothing, vars: &nothing, lookup: &nothing };
            // Its templates use secrets alone, which were found when the file was read.
            let made = request.render(&facts, &nothing, &secret, None);
            let (url, headers) = made.map(|made| (made.url, made.headers)).unwrap_or_default();
            Address::Http(HttpAddress { url, headers })
        }
        Access::Command { program, arguments, variables } => {
            let value = |name: &String| {
                let value = secret(name).or_else(|| agent.variables.get(name).cloned())?;
                Some((name.clone(), value))
            };
            Address::Program(Program {
                program: program.clone(),
                arguments: arguments.clone(),
                variables: variables.iter().filter_map(value).collect(),
                masks: masks(agent),
            })
        }
    }
}

fn key(address: &Address) -> Key {
    let pairs = |pairs: &[(String, String)]| {
        pairs.iter().flat_map(|(name, value)| [name.clone(), value.clone()]).collect::<Vec<_>>()
    };
    Key(match address {
        Address::Http(HttpAddress { url, headers }) => {
            [vec!["http".to_owned(), url.clone()], pairs(headers)].concat()
        }
        Address::Program(Program { program, arguments, variables, .. }) => {
            let head = vec!["program".to_owned(), program.clone(), arguments.len().to_string()];
            [head, arguments.clone(), pairs(variables)].concat()
        }
    })
}

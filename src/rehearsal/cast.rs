//! Who takes part in a rehearsal: the agent, the model, and who carries out the tools.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::given::{Given, Values};
use super::hands::Hands;
use super::servers::AgentServers;
use super::stage::{Caller, Stage};
use super::words::Words;
use crate::call::Settings;
use crate::clock::wall;
use crate::config::{AgentConfig, Config, RealtimeConfig, Secret};
use crate::daemon::agent_of;
use crate::daemon::tools::{Jobs, Knowledge};
use crate::logging::Operator;
use crate::net::realtime_link::Endpoint;
use crate::net::tls;
use crate::net::tools::ToolClient;
use crate::peers::endpoint;
use crate::realtime;
use crate::sim::live::RealtimeServer;
use crate::sim::realtime::{Dialect, Script};
use crate::tool::Tool;

/// The key that the simulated model accepts.
const KEY: &str = "sk-rehearsal";

/// The model of a rehearsal.
pub(super) enum Model {
    /// That of the agent.
    Real,
    /// A simulated one, on loopback.
    Simulated(Box<RealtimeServer>),
}

impl Model {
    /// A simulated model that repeats what is said.
    pub(super) fn parrot() -> anyhow::Result<Self> {
        Self::simulated(Script { parrots: true, ..Script::default() })
    }

    /// A simulated model with this script.
    pub(super) fn simulated(script: Script) -> anyhow::Result<Self> {
        let script = Script { key: Some(KEY.to_owned()), dialect: Dialect::Ga, ..script };
        Ok(Self::Simulated(Box::new(RealtimeServer::with_script(script)?)))
    }

    fn endpoint(&self, config: &RealtimeConfig) -> anyhow::Result<Endpoint> {
        let tls = tls::client_config()?;
        match self {
            Self::Real => endpoint(config, tls),
            Self::Simulated(server) => {
                let mut config = RealtimeConfig { url: server.url(), ..config.clone() };
                config.key = Secret::new(KEY.to_owned());
                // What the simulated server knows.
                config.session.dialect = realtime::dialect::Dialect::Ga;
                "gpt-realtime".clone_into(&mut config.model);
                endpoint(&config, tls)
            }
        }
    }
}

/// Who takes part.
pub(super) struct Cast<'a> {
    name: &'a str,
    /// None: the environment describes the agent.
    pub(super) of_file: Option<&'a AgentConfig>,
    settings: Arc<Settings>,
    endpoint: Arc<Endpoint>,
    client: ToolClient,
    servers: AgentServers,
    pub(super) words: Words,
}

impl<'a> Cast<'a> {
    /// The agent of this name with this model, once its servers have listed their tools. `None`: there is no such agent.
    pub(super) async fn new(
        config: &'a Config,
        name: &'a str,
        model: &Model,
        operator: Operator,
    ) -> anyhow::Result<Option<Self>> {
        let Some(agent) = agent_of(config, name) else { return Ok(None) };
        let of_file = config.agents.find(name);
        let of_agent = of_file.map_or(&config.realtime, |agent| &agent.realtime);
        let client = ToolClient::new(&*tls::client_config()?)?;
        let agents = of_file.map(std::slice::from_ref).unwrap_or_default();
        let servers = AgentServers::start(agents, client.clone(), operator).await;
        let mut settings = servers.settings(&agent);
        if let Model::Simulated(_) = model {
            // The simulated model does not think, and speaks the interface of today.
            let session = &mut Arc::make_mut(&mut settings).session;
            (session.reasoning_effort, session.dialect) = (None, realtime::dialect::Dialect::Ga);
        }
        let endpoint = Arc::new(model.endpoint(of_agent)?);
        let words = Words(config.log.language);
        Ok(Some(Self { name, of_file, settings, endpoint, client, servers, words }))
    }

    /// The tools that the agent's servers list.
    pub(super) fn tools_of_servers(&self) -> &[Arc<Tool>] {
        self.servers.tools(self.name)
    }

    /// The values of the call.
    pub(super) fn values(&self, given: &Given) -> Values {
        Values::new(given, (self.name, self.of_file), wall(), self.words.0)
    }

    /// The daemon's own client for the tools.
    pub(super) fn real_hands(&self, operator: Operator, values: &Values) -> Hands {
        let knowledge = Knowledge {
            call: values.call.clone(),
            vars: values.vars.clone(),
            secrets: self.of_file.map(|agent| agent.secrets.clone()).unwrap_or_default(),
            servers: self.servers.of(self.name),
        };
        Hands::Real(Box::new(Jobs::new(self.client.clone(), knowledge, operator)))
    }

    /// The results of tools in the agent's examples.
    pub(super) fn example_results(&self) -> BTreeMap<String, VecDeque<Value>> {
        let examples = self.of_file.map(|agent| agent.examples.as_slice()).unwrap_or_default();
        let mut results: BTreeMap<String, VecDeque<Value>> = BTreeMap::new();
        for (tool, answer) in examples.iter().flat_map(|example| &example.answers) {
            results.entry(tool.clone()).or_insert_with(|| VecDeque::from([answer.clone()]));
        }
        results
    }

    /// Begins the call.
    pub(super) fn stage(&self, caller: Caller, values: &Values, hands: Hands, operator: Operator) -> Stage {
        let endpoint = Arc::clone(&self.endpoint);
        Stage::new(&self.settings, endpoint, caller, (values, self.of_file), hands, operator)
    }
}

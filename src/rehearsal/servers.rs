//! The MCP servers of an agent during a rehearsal. They are the daemon's own: started, asked for their tools and ended as there.

use std::collections::HashMap;
use std::sync::Arc;

use crate::call::Settings;
use crate::config::AgentConfig;
use crate::daemon::servers::{NewsOfServers, Servers};
use crate::exchange::Agent;
use crate::logging::Operator;
use crate::net::mcp::Server;
use crate::net::tools::ToolClient;
use crate::tool::Tool;

/// The servers of one agent. Dropping the value ends them.
pub(super) struct AgentServers {
    servers: Servers,
    /// Nobody reads later news: they would be for the next call.
    _news: NewsOfServers,
}

impl AgentServers {
    /// Starts the servers of these agents, and waits until each has listed its tools or cannot be used. The operator is told which.
    pub(super) async fn start(agents: &[AgentConfig], client: ToolClient, operator: Operator) -> Self {
        let (mut servers, mut news) = Servers::new(agents, client, operator);
        while servers.is_awaited() {
            let Some((server, told)) = news.recv().await else { break };
            servers.learn(agents, server, told);
        }
        Self { servers, _news: news }
    }

    /// The tools of an agent that its servers list.
    pub(super) fn tools(&self, agent: &str) -> &[Arc<Tool>] {
        self.servers.tools(agent)
    }

    /// What a call of this agent is born with.
    pub(super) fn settings(&self, agent: &Agent) -> Arc<Settings> {
        self.servers.settings(agent)
    }

    /// The servers of an agent, by the names in its files.
    pub(super) fn of(&self, agent: &str) -> HashMap<Arc<str>, Arc<Server>> {
        self.servers.of(agent)
    }
}

//! Looks for the servers that the agents' files name: whether they accept a connection, and whether the programs are there. No
//! request is made, and no program is started.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::facts::{Agents, Presence};
use crate::config::{self, AgentConfig};
use crate::operator::Detail;
use crate::tool::{Access, Origin, Way};

/// The time limit of a connection. A larger value waits longer for a host that is away; a smaller value takes a distant server for
/// one that is away.
const LIMIT: Duration = Duration::from_secs(3);

/// Looks for all servers at the same time.
pub(super) async fn look(agents: &config::Agents) -> Agents {
    let mut connections = JoinSet::new();
    for origin in agents.all.iter().flat_map(origins).map(|origin| (origin.to_string(), origin.endpoint())) {
        connections.spawn(connect(origin));
    }
    let mut found = connections.join_all().await;
    let programs: BTreeSet<_> = agents.all.iter().flat_map(programs).collect();
    found.extend(programs.into_iter().map(|program| (program.to_owned(), executable(program))));
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found.dedup_by(|(one, _), (other, _)| one == other);
    Agents { count: agents.all.len(), servers: found }
}

/// Where an agent sends requests.
fn origins(agent: &AgentConfig) -> Vec<&Origin> {
    let tools = agent.tools.iter().filter_map(|tool| match &tool.way {
        Way::Http(http) => Some(&http.request.target.origin),
        Way::Mcp(_) => None,
    });
    let servers = agent.servers.iter().filter_map(|server| match &server.access {
        Access::Url(request) => Some(&request.target.origin),
        Access::Command { .. } => None,
    });
    let lookups = agent.lookups.iter().map(|lookup| &lookup.request.target.origin);
    tools.chain(servers).chain(lookups).collect()
}

/// The programs that an agent needs.
fn programs(agent: &AgentConfig) -> impl Iterator<Item = &str> {
    agent.servers.iter().filter_map(|server| match &server.access {
        Access::Url(_) => None,
        Access::Command { program, .. } => Some(program.as_str()),
    })
}

async fn connect((name, (host, port)): (String, (String, u16))) -> (String, Presence) {
    let found = match timeout(LIMIT, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Presence::There,
        Ok(Err(error)) => Presence::Away(Detail::new(error)),
        Err(_) => Presence::Away(Detail::new(format!("{} s", LIMIT.as_secs()))),
    };
    (name, found)
}

fn executable(program: &str) -> Presence {
    match std::fs::metadata(program) {
        Ok(file) if file.is_file() && file.permissions().mode() & 0o111 != 0 => Presence::There,
        Ok(_) => Presence::NotExecutable,
        Err(error) => Presence::Away(Detail::new(error)),
    }
}

//! How the sessions of each agent are reached: agents may have models, organisations and projects of their own.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::ClientConfig;

use crate::config::Config;
use crate::net::realtime_link::Endpoint;
use crate::peers::endpoint;

/// The endpoints of all agents.
pub(super) struct Endpoints {
    tls: Arc<ClientConfig>,
    of_environment: Arc<Endpoint>,
    of_files: HashMap<Arc<str>, Arc<Endpoint>>,
}

impl Endpoints {
    /// The endpoints of a configuration.
    ///
    /// # Errors
    /// A value cannot stand in a header.
    pub(super) fn new(config: &Config, tls: Arc<ClientConfig>) -> anyhow::Result<Self> {
        let of_environment = Arc::new(endpoint(&config.realtime, Arc::clone(&tls))?);
        let mut of_files = HashMap::new();
        for agent in &config.agents.all {
            of_files.insert(Arc::clone(&agent.name), Arc::new(endpoint(&agent.realtime, Arc::clone(&tls))?));
        }
        Ok(Self { tls, of_environment, of_files })
    }

    /// The same for a configuration that was read while the daemon runs.
    ///
    /// # Errors
    /// A value cannot stand in a header.
    pub(super) fn renewed(&self, config: &Config) -> anyhow::Result<Self> {
        Self::new(config, Arc::clone(&self.tls))
    }

    /// The TLS configuration, which all sessions share.
    pub(super) fn tls(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.tls)
    }

    /// The endpoint of this agent.
    pub(super) fn of(&self, agent: &str) -> Arc<Endpoint> {
        Arc::clone(self.of_files.get(agent).unwrap_or(&self.of_environment))
    }
}

//! What the exchange and its calls go by, made of the configuration in force.

use std::sync::Arc;

use ipnet::IpNet;

use crate::agents::DEFAULT;
use crate::call::record::Keep;
use crate::call::{Settings, tools};
use crate::config::{AgentConfig, Agents, CallsConfig, Config, MediaConfig, RealtimeConfig};
use crate::exchange::{self, Agent, Rules};
use crate::machine::capacity;
use crate::peers::media_networks;
use crate::realtime::dialect::SessionSettings;
use crate::tool::{Parameters, Template, Tool};

/// What the operator has decided. `own_networks` are Asterisk's own addresses, if they are known.
pub(super) fn rules(config: &Config, own_networks: Option<&[IpNet]>) -> Rules {
    let of_environment = Arc::new(of_environment(config, own_networks));
    let Agents { all, roster } = &config.agents;
    let agents = all.iter().map(|agent| of_file(config, own_networks, agent, form(agent))).collect();
    let default = Agent::of_environment(Arc::clone(&of_environment));
    Rules {
        agents: exchange::Agents::new(default, agents, roster.clone()),
        settings: of_environment,
        max_calls: max_calls(&config.media, &config.calls),
        max_day_cost: config.calls.max_day_cost,
        max_calls_per_caller_hour: config.calls.max_calls_per_caller_hour,
        judges_strain: config.calls.max_frame_lateness.is_some(),
        spends_without_limit: config.calls.spends_without_limit(),
        shutdown_grace: config.shutdown_grace,
        asterisk: config.asterisk.address(),
        local_ip: config.media.local_ip,
        ports: config.media.ports.clone(),
    }
}

/// The agent of this name, as its calls know it, without a report on each of them. None: there is none.
pub fn agent_of(config: &Config, name: &str) -> Option<Agent> {
    match config.agents.find(name) {
        Some(agent) => Some(of_file(config, None, agent, None)),
        None => (name == DEFAULT).then(|| Agent::of_environment(Arc::new(of_environment(config, None)))),
    }
}

fn of_file(
    config: &Config,
    own_networks: Option<&[IpNet]>,
    agent: &AgentConfig,
    form: Option<Arc<Parameters>>,
) -> Agent {
    let settings = settings(
        config,
        own_networks,
        &agent.realtime,
        &agent.calls,
        agent.keep,
        (agent.tools.clone(), agent.greeting.clone()),
    );
    Agent {
        name: Arc::clone(&agent.name),
        version: agent.version.as_str().into(),
        settings: Arc::new(Settings { form, ..settings }),
        max_day_cost: agent.max_day_cost,
    }
}

fn of_environment(config: &Config, own_networks: Option<&[IpNet]>) -> Settings {
    let (realtime, calls, keep) = (&config.realtime, &config.calls, config.recordings.keep);
    settings(config, own_networks, realtime, calls, keep, (Vec::new(), None))
}

/// What the calls of an agent are born with.
fn settings(
    config: &Config,
    own_networks: Option<&[IpNet]>,
    realtime: &RealtimeConfig,
    calls: &CallsConfig,
    keep: Keep,
    (tools, greeting_template): (Vec<Arc<Tool>>, Option<Arc<Template>>),
) -> Settings {
    Settings {
        trust: config.media.trust,
        media_networks: media_networks::all(own_networks, &config.media),
        app: config.asterisk.app.clone(),
        model: realtime.model.clone(),
        session: SessionSettings {
            tools: tools::offered(calls.may_hang_up, &calls.destinations, &tools),
            ..realtime.session.clone()
        },
        tools,
        greeting_template,
        form: None,
        greeting: realtime.greeting.clone(),
        recording_notice: realtime.recording_notice.clone(),
        uplink_frames_per_append: config.uplink_frames_per_append,
        apology: calls.apology.clone(),
        fallback: calls.fallback.clone(),
        limits: calls.limits,
        prices: realtime.prices.clone(),
        tells_keys: calls.tells_keys,
        may_hang_up: calls.may_hang_up,
        destinations: calls.destinations.clone(),
        dial: realtime.dial.clone(),
        keep,
    }
}

/// The form of the report, if anybody would get the report.
fn form(agent: &AgentConfig) -> Option<Arc<Parameters>> {
    let is_kept = agent.keep.transcript || !agent.after_call.is_empty();
    agent.report.clone().filter(|_| is_kept)
}

/// How many calls are taken at once.
pub fn max_calls(media: &MediaConfig, calls: &CallsConfig) -> usize {
    calls.max_calls.unwrap_or_else(|| capacity::derived(media.ports.len(), media.calls_carried()))
}

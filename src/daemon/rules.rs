//! What the exchange and its calls go by, made of the configuration in force.

use std::sync::Arc;

use ipnet::IpNet;

use crate::call::{Settings, tools};
use crate::config::{CallsConfig, Config, MediaConfig};
use crate::exchange::Rules;
use crate::machine::capacity;
use crate::peers::media_networks;
use crate::realtime::dialect::SessionSettings;

/// What the operator has decided. `own_networks` are Asterisk's own addresses, if they are known.
pub(super) fn rules(config: &Config, own_networks: Option<&[IpNet]>) -> Rules {
    Rules {
        settings: Arc::new(settings(config, own_networks)),
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

/// What calls are born with.
fn settings(config: &Config, own_networks: Option<&[IpNet]>) -> Settings {
    Settings {
        trust: config.media.trust,
        media_networks: media_networks::all(own_networks, &config.media),
        app: config.asterisk.app.clone(),
        model: config.realtime.model.clone(),
        session: SessionSettings {
            tools: tools::offered(config.calls.may_hang_up, &config.calls.destinations),
            ..config.realtime.session.clone()
        },
        greeting: config.realtime.greeting.clone(),
        recording_notice: config.realtime.recording_notice.clone(),
        uplink_frames_per_append: config.uplink_frames_per_append,
        apology: config.calls.apology.clone(),
        fallback: config.calls.fallback.clone(),
        limits: config.calls.limits,
        prices: config.realtime.prices.clone(),
        tells_keys: config.calls.tells_keys,
        may_hang_up: config.calls.may_hang_up,
        destinations: config.calls.destinations.clone(),
        keep: config.recordings.keep,
    }
}

/// How many calls are taken at once.
pub fn max_calls(media: &MediaConfig, calls: &CallsConfig) -> usize {
    calls.max_calls.unwrap_or_else(|| capacity::derived(media.ports.len(), media.calls_carried()))
}

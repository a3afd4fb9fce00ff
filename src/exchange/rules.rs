//! What the operator has decided about calls, as the configuration in force has it.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::agents::Agents;
use crate::call::Settings;
use crate::units::MicroUsd;

/// What the operator has decided.
#[derive(Debug, Clone)]
pub struct Rules {
    /// What the environment says of calls.
    pub settings: Arc<Settings>,
    /// The agents.
    pub agents: Agents,
    /// Most calls at once.
    pub max_calls: usize,
    /// What the calls of a day may cost; None: no limit.
    pub max_day_cost: Option<MicroUsd>,
    /// Calls one caller may make within an hour; None: no limit.
    pub max_calls_per_caller_hour: Option<u32>,
    /// Whether callers are turned away when frames leave late, or the processor has no room for another call.
    pub judges_strain: bool,
    /// Whether nothing bounds what calls may cost but how many there may be at once.
    pub spends_without_limit: bool,
    /// How long calls may go on when the daemon is to stop.
    pub shutdown_grace: Duration,
    /// Where Asterisk is, `host:port`, for the operator.
    pub asterisk: String,
    /// The address of our RTP sockets, for the operator.
    pub local_ip: IpAddr,
    /// The ports of our RTP sockets, for the operator.
    pub ports: RangeInclusive<u16>,
}

//! What is under way between Asterisk, the daemons and the model's servers, and how long each message takes.

use std::time::{Duration, Instant};

use openai_inbound_calls::ari::request::{Reply, Request};
use openai_inbound_calls::call::tools::Result;
use openai_inbound_calls::operator::LinkFault;
use openai_inbound_calls::realtime::error::Refusal;
use openai_inbound_calls::sim::asterisk::SocketId;
use openai_inbound_calls::sim::realtime::Outgoing;
use openai_inbound_calls::sim::wire::Impairment;

use super::MS;
use crate::exchange::Asker;

/// How long messages take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network {
    /// ARI requests and their answers, each way, and up to so much more; they overtake each other.
    pub(crate) ari: (Duration, Duration),
    /// ARI events, in order.
    pub(crate) events: (Duration, Duration),
    /// The model's WebSocket, each way, in order.
    pub(crate) model: (Duration, Duration),
    /// From wanting a session to the open WebSocket.
    pub(crate) connect: Duration,
    /// RTP between Asterisk and us, each way.
    pub(crate) media: Impairment,
    /// RTP between a phone and Asterisk, each way.
    pub(crate) phone: Impairment,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            ari: (2 * MS, Duration::ZERO),
            events: (MS, Duration::ZERO),
            model: (20 * MS, Duration::ZERO),
            connect: 100 * MS,
            media: Impairment { latency: MS, ..Impairment::default() },
            phone: Impairment { latency: 5 * MS, ..Impairment::default() },
        }
    }
}

/// Something under way.
#[derive(Debug)]
pub(crate) enum Due {
    /// An ARI request arrives at Asterisk.
    Request { asker: Asker, request: Request, sent: Instant },
    /// Its answer arrives at us.
    Reply { asker: Asker, request: Request, reply: Reply },
    /// An ARI event arrives at us.
    Event { socket: SocketId, text: String },
    /// We notice that the ARI socket is gone.
    LinkLost { socket: SocketId },
    /// A daemon's ARI link connects, if the daemon still lives this life.
    Connect { daemon: usize, life: u64 },
    /// The upgrade request of a call's session arrives at the model's server.
    Upgrade { task: usize, epoch: u64 },
    /// The upgrade is through, or refused.
    Upgraded { task: usize, epoch: u64, end: Option<(Option<Refusal>, LinkFault)> },
    /// A text arrives at the server.
    ToModel { server: usize, text: String },
    /// The server sees our end of the connection closed.
    ToModelClosed { server: usize },
    /// Our pong arrives at the server.
    Pong { server: usize },
    /// Something of the server arrives at us.
    FromModel { server: usize, what: Outgoing },
    /// A tool brings something.
    Tool { task: usize, result: Result },
    /// We notice that the connection is broken.
    Broken { task: usize, epoch: u64, cause: LinkFault },
}

//! The audio of one SIPp call: the simulated phone behind a real UDP socket.

use std::net::SocketAddr;
use std::time::Instant;

use openai_inbound_calls::clock::now;
use openai_inbound_calls::sim::caller::{Caller, Doing, Step};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::sleep_until;

/// The state of a phone's call, as SIPp reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    Calling,
    /// The call is answered. The value is Asterisk's RTP port.
    Answered(u16),
    /// The call has ended. The value says how.
    Ended(String),
}

/// A phone after its call.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) caller: Caller,
    pub(crate) ended: String,
}

impl Finished {
    /// The audio that arrived, packet after packet.
    pub(crate) fn heard(&self) -> Vec<u8> {
        self.caller.heard().iter().flat_map(|heard| heard.payload.iter().copied()).collect()
    }
}

/// Sends and receives until the call has ended.
pub(crate) async fn run(
    socket: UdpSocket,
    script: Vec<Step>,
    seed: u64,
    mut standing: watch::Receiver<Standing>,
) -> Finished {
    let mut caller = Caller::new(now(), script, seed);
    let mut asterisk: Option<SocketAddr> = None;
    let mut datagram = [0; 2_048];
    let mut known = Standing::Calling;
    loop {
        while let Some(doing) = caller.poll() {
            if let (Doing::Send(packet), Some(asterisk)) = (doing, asterisk) {
                socket.send_to(&packet, asterisk).await.expect("loopback takes it");
            }
        }
        let deadline: Option<Instant> = caller.deadline();
        tokio::select! {
            received = socket.recv_from(&mut datagram) => {
                if let Ok((length, _)) = received {
                    caller.hear(now(), &datagram[..length]);
                }
            }
            () = sleep_until(deadline.unwrap_or_else(now).into()), if deadline.is_some() => caller.advance(now()),
            changed = standing.changed() => {
                known = if changed.is_ok() { standing.borrow().clone() } else { Standing::Ended("lost".into()) };
                if let Standing::Answered(port) = known {
                    asterisk = Some(([127, 0, 0, 1], port).into());
                    caller.answered(now());
                }
            }
        }
        if let Standing::Ended(ended) = known {
            caller.released(now());
            return Finished { caller, ended };
        }
    }
}

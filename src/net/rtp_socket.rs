//! UDP ports for calls: taken from a range, bound, quarantined after use.
//!
//! Only even ports (RFC 3550 §11), in turn, so that a port rests as long as possible; a port that some other
//! program holds is passed over. A port given back rests ten seconds at least: late packets of the old caller
//! must not reach the new one.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;

/// How long a port rests after use.
pub const QUARANTINE: Duration = Duration::from_secs(10);
/// DSCP "expedited forwarding" (RFC 3246) in the place of the old type of service.
const EXPEDITED: u32 = 46 << 2;

/// The ports not in use.
#[derive(Debug)]
pub struct PortPool {
    free: VecDeque<u16>,
    resting: VecDeque<(Instant, u16)>,
}

/// No port could be had.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// All are in use, by us or by another program, or resting.
    #[error("no free RTP port")]
    Exhausted,
    /// No port at all can be bound on this address.
    #[error("{0}")]
    Bind(std::io::Error),
}

impl PortPool {
    /// The even ports of a range.
    pub fn new(range: RangeInclusive<u16>) -> Self {
        Self { free: range.filter(|port| port % 2 == 0).collect(), resting: VecDeque::new() }
    }

    /// How many calls could begin now.
    pub fn available(&mut self, now: Instant) -> usize {
        self.wake(now);
        self.free.len()
    }

    /// Binds the next free port. Ports that another program holds go to the end of the row, and are returned
    /// too, for the log.
    ///
    /// # Errors
    /// [`PortError`] when no port is left that could be bound.
    pub fn bind(&mut self, now: Instant, address: IpAddr) -> Result<(UdpSocket, Vec<u16>), PortError> {
        self.wake(now);
        let mut taken = Vec::new();
        for _ in 0..self.free.len() {
            let Some(port) = self.free.pop_front() else { break };
            match bind(SocketAddr::new(address, port)) {
                Ok(socket) => return Ok((socket, taken)),
                Err(error) => {
                    self.free.push_back(port);
                    if error.kind() != std::io::ErrorKind::AddrInUse {
                        return Err(PortError::Bind(error));
                    }
                    taken.push(port);
                }
            }
        }
        Err(PortError::Exhausted)
    }

    /// Takes a port back after use.
    pub fn give_back(&mut self, now: Instant, port: u16) {
        self.resting.push_back((now + QUARANTINE, port));
    }

    fn wake(&mut self, now: Instant) {
        while let Some((_, port)) = self.resting.front().copied().filter(|(until, _)| *until <= now) {
            self.resting.pop_front();
            self.free.push_back(port);
        }
    }
}

/// A socket for RTP at this address.
///
/// # Errors
/// The system's.
pub fn bind(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv4() {
        // Without it calls work all the same: a kernel may forbid it.
        drop(socket2::SockRef::from(&socket).set_tos_v4(EXPEDITED));
    }
    UdpSocket::from_std(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
    fn now() -> Instant {
        Instant::now()
    }

    /// Four even ports nobody else uses, as far as the kernel can tell.
    fn range() -> RangeInclusive<u16> {
        let probe = std::net::UdpSocket::bind((HERE, 0)).expect("loopback");
        let port = probe.local_addr().expect("bound").port().clamp(2_000, 60_000) & !1;
        port..=port + 7
    }

    #[tokio::test]
    async fn a_port_rests_before_it_is_used_again() {
        let now = now();
        let mut pool = PortPool::new(range());
        let mut used = Vec::new();
        while let Ok((socket, _)) = pool.bind(now, HERE) {
            used.push(socket);
        }
        let port = used.pop().expect("at least one").local_addr().expect("bound").port();
        assert_eq!(port % 2, 0);
        pool.give_back(now, port);
        assert!(matches!(pool.bind(now + QUARANTINE / 2, HERE), Err(PortError::Exhausted)));
        let (socket, _) = pool.bind(now + QUARANTINE, HERE).expect("rested");
        assert_eq!(socket.local_addr().expect("bound").port(), port);
    }

    #[tokio::test]
    async fn a_port_of_another_program_is_passed_over() {
        let range = range();
        let first = *range.start();
        let other = std::net::UdpSocket::bind((HERE, first)).expect("free a moment ago");
        let (socket, taken) = PortPool::new(range).bind(now(), HERE).expect("the others are free");
        assert_ne!(socket.local_addr().expect("bound").port(), first);
        assert_eq!(taken[0], first);
        drop(other);
    }
}

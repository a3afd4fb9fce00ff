//! UDP ports for the RTP of calls: a pool from a configured range.
//!
//! The pool uses only even ports (RFC 3550 §11) and takes them in turn, so that each port rests as long as
//! possible. A port that another program holds is skipped. A returned port rests for at least ten seconds, so
//! that late packets of the previous caller do not reach the next caller.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::rtp::RtpSocket;

/// The time for which a port rests after use. A larger value needs more ports for the same number of calls; a
/// smaller value lets late packets of the previous call reach the next call.
pub const QUARANTINE: Duration = Duration::from_secs(10);
/// The DSCP value "expedited forwarding" (RFC 3246), shifted to its place in the former type-of-service byte.
const EXPEDITED: u32 = 46 << 2;

/// The ports that are not in use.
#[derive(Debug)]
pub struct PortPool {
    free: VecDeque<u16>,
    resting: VecDeque<(Instant, u16)>,
}

/// Why no port could be bound.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Every port is resting or in use by this or another program.
    #[error("no free RTP port")]
    Exhausted,
    /// The system refuses to bind a port on this address for a reason other than a port in use.
    #[error("{0}")]
    Bind(std::io::Error),
}

impl PortPool {
    /// Creates a pool with the even ports of a range.
    pub fn new(range: RangeInclusive<u16>) -> Self {
        Self { free: range.filter(|port| port % 2 == 0).collect(), resting: VecDeque::new() }
    }

    /// Binds the next free port. Ports that another program holds move to the end of the queue; they are
    /// returned too, so that the owner of the pool can log them.
    ///
    /// # Errors
    /// Returns [`PortError`] if no port can be bound.
    pub fn bind(&mut self, now: Instant, address: IpAddr) -> Result<(RtpSocket, Vec<u16>), PortError> {
        self.wake(now);
        let mut taken = Vec::new();
        for _ in 0..self.free.len() {
            let Some(port) = self.free.pop_front() else { break };
            match bind(SocketAddr::new(address, port)).and_then(RtpSocket::new) {
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

/// Binds a UDP socket for RTP at this address. The socket does not block.
///
/// # Errors
/// Returns the error of the operating system.
pub fn bind(address: SocketAddr) -> std::io::Result<std::net::UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv4() {
        // Calls also work without this setting, which the kernel may refuse.
        drop(socket2::SockRef::from(&socket).set_tos_v4(EXPEDITED));
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
    fn now() -> Instant {
        Instant::now()
    }

    /// A range with four even ports, of which the first was free a moment ago.
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

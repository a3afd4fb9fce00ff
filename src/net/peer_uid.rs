//! Which user of this machine opened the other end of a connection.
//!
//! The kernel knows the user. The program asks by netlink (sock_diag(7)), which finds one socket among any
//! number. If the kernel lacks that module, the program searches `/proc/net/tcp` and `/proc/net/tcp6`, which
//! list all sockets. The answer counts only for a socket that a process still holds: for a socket that was
//! closed after its last byte, the kernel names root.
//!
//! The process that opened a connection may pass the connection on to a process of another user; the kernel
//! names the user who opened the connection. A forwarding program, such as a reverse proxy, counts as the
//! user under which the program runs. `sshd` (`ssh -L`) forwards as the user who has logged in.

use std::fs;
use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

/// `AF_NETLINK` and its protocol `NETLINK_SOCK_DIAG` (linux/netlink.h).
const NETLINK: (i32, i32) = (16, 4);
/// `SOCK_DIAG_BY_FAMILY` (linux/sock_diag.h), which stands in the request and in the answer.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST` (linux/netlink.h).
const REQUEST: u16 = 1;
/// `AF_INET`, `AF_INET6` and `IPPROTO_TCP`.
const INET: u8 = 2;
const INET6: u8 = 10;
const TCP: u8 = 6;
/// The lengths in bytes of `nlmsghdr`, `inet_diag_req_v2` and `inet_diag_msg` (linux/inet_diag.h).
const HEADER: usize = 16;
const QUESTION: usize = 56;
const ANSWER: usize = 72;
/// The longest time to wait for the kernel, which normally answers at once. A larger value would delay other
/// connections if the kernel does not answer; a smaller value may miss an answer on an overloaded machine.
const PATIENCE: Duration = Duration::from_millis(500);
/// `TCP_ESTABLISHED`, `TCP_FIN_WAIT1` and `TCP_FIN_WAIT2` (net/tcp_states.h): the other end has opened the
/// connection, and may have announced that no more data follows. In any other state the socket does not
/// belong to the open connection.
const OPEN: [u8; 3] = [1, 4, 5];

/// The kernel's description of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    state: u8,
    uid: u32,
    /// 0: no process holds the socket.
    inode: u32,
}

impl Known {
    fn holder(self) -> Option<u32> {
        (OPEN.contains(&self.state) && self.inode != 0).then_some(self.uid)
    }
}

/// The user who opened the connection that was accepted at `local` from `peer`. None: `peer` is not on this
/// machine, has closed the connection, or cannot be found.
#[must_use]
pub fn of(local: SocketAddr, peer: SocketAddr) -> Option<u32> {
    let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (local, peer) = (canonical(local), canonical(peer));
    let known = match by_netlink(local, peer) {
        Ok(known) => known,
        Err(error) => {
            tracing::debug!(%error, "the kernel does not answer by netlink who opened a connection");
            by_table(local, peer)
        }
    };
    known.and_then(Known::holder)
}

/// Asks the kernel by netlink for the socket of `peer` that is connected to `local`. None: there is no such
/// socket. The kernel finds an IPv6 socket that is connected to an IPv4 address under its IPv4 addresses.
fn by_netlink(local: SocketAddr, peer: SocketAddr) -> io::Result<Option<Known>> {
    let mut socket =
        Socket::new(Domain::from(NETLINK.0), Type::DGRAM.cloexec(), Some(Protocol::from(NETLINK.1)))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(&question(local, peer))?;
    let mut answer = [0; 1024];
    let length = socket.read(&mut answer)?;
    read_answer(&answer[..length], peer)
}

/// The request: `nlmsghdr` and `inet_diag_req_v2`. Numbers are in the byte order of the machine, ports and
/// addresses in network byte order.
fn question(local: SocketAddr, peer: SocketAddr) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + QUESTION);
    bytes.extend(((HEADER + QUESTION) as u32).to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(REQUEST.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([if peer.is_ipv4() { INET } else { INET6 }, TCP, 0, 0]);
    // The request covers sockets in any state.
    bytes.extend(u32::MAX.to_ne_bytes());
    bytes.extend(peer.port().to_be_bytes());
    bytes.extend(local.port().to_be_bytes());
    for ip in [peer.ip(), local.ip()] {
        let mut field = [0; 16];
        match ip {
            IpAddr::V4(ip) => field[..4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => field.copy_from_slice(&ip.octets()),
        }
        bytes.extend(field);
    }
    // The request covers any interface and any cookie (INET_DIAG_NOCOOKIE).
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend([0xff; 8]);
    bytes
}

/// Reads the answer: `inet_diag_msg`, or `nlmsgerr` (linux/netlink.h) after an error.
fn read_answer(bytes: &[u8], peer: SocketAddr) -> io::Result<Option<Known>> {
    /// `ENOENT`: the kernel has the module, but no such socket.
    const NOT_FOUND: i32 = -2;
    let short = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let u32_at = |at: usize| -> io::Result<u32> {
        let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
        four.map(u32::from_ne_bytes).ok_or_else(short)
    };
    let kind = bytes.get(4..6).and_then(|two| two.try_into().ok()).map(u16::from_ne_bytes);
    if kind != Some(BY_FAMILY) {
        return match u32_at(HEADER)? as i32 {
            NOT_FOUND => Ok(None),
            error => Err(io::Error::from_raw_os_error(error.wrapping_neg())),
        };
    }
    let state = *bytes.get(HEADER + 1).ok_or_else(short)?;
    let port = bytes.get(HEADER + 4..HEADER + 6).and_then(|two| two.try_into().ok()).map(u16::from_be_bytes);
    let (uid, inode) = (u32_at(HEADER + ANSWER - 8)?, u32_at(HEADER + ANSWER - 4)?);
    Ok((port == Some(peer.port())).then_some(Known { state, uid, inode }))
}

/// Searches the kernel's tables for the same socket.
fn by_table(local: SocketAddr, peer: SocketAddr) -> Option<Known> {
    ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().find_map(|table| {
        // A kernel without IPv6 has no second table.
        let text = fs::read_to_string(table).unwrap_or_default();
        text.lines().skip(1).find_map(|line| row(line, local, peer))
    })
}

/// Reads a row `sl local rem st queues timer retransmissions uid timeout inode …` (proc_pid_net(5)). None:
/// the row describes another connection.
fn row(line: &str, local: SocketAddr, peer: SocketAddr) -> Option<Known> {
    let columns: Vec<_> = line.split_ascii_whitespace().collect();
    let [_, its_own, its_peer, state, _, _, _, uid, _, inode, ..] = columns[..] else { return None };
    let is_it = address(its_own)? == peer && address(its_peer)? == local;
    let state = u8::from_str_radix(state, 16).ok()?;
    is_it.then_some(Known { state, uid: uid.parse().ok()?, inode: inode.parse().ok()? })
}

/// Reads an address such as `0100007F:1389`: hexadecimal words of the IP address in the machine's byte order,
/// then the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let word = |at: usize| u32::from_str_radix(ip.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip: IpAddr = match ip.len() {
        8 => word(0)?.into(),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            <[u8; 16]>::try_from(words.concat()).ok()?.into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener, TcpStream};

    use super::*;

    /// Opens a connection over loopback and returns the accepted end and the connecting end.
    fn connection(listen: &str, connect: &str) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind((listen, 0)).unwrap();
        let there = TcpStream::connect((connect, listener.local_addr().unwrap().port())).unwrap();
        (listener.accept().unwrap().0, there)
    }

    /// The holder of the other end of an accepted connection, as found by netlink and in the tables.
    fn both_ways(here: &TcpStream) -> [Option<u32>; 2] {
        let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let (local, peer) = (canonical(here.local_addr().unwrap()), canonical(here.peer_addr().unwrap()));
        [by_netlink(local, peer).unwrap(), by_table(local, peer)].map(|known| known.and_then(Known::holder))
    }

    #[test]
    fn whoever_opened_a_connection_is_found_in_every_family() {
        let own = Some(rustix::process::geteuid().as_raw());
        for (listen, connect) in [
            ("127.0.0.1", "127.0.0.1"),
            ("127.0.0.1", "::ffff:127.0.0.1"),
            ("::1", "::1"),
            ("::", "127.0.0.1"),
        ] {
            let (here, _other_end) = connection(listen, connect);
            assert_eq!(both_ways(&here), [own; 2], "{listen} {connect}");
            assert_eq!(of(here.local_addr().unwrap(), here.peer_addr().unwrap()), own);
        }
    }

    #[test]
    fn whoever_will_send_no_more_is_still_there_and_whoever_has_closed_is_nobody() {
        let (here, there) = connection("127.0.0.1", "127.0.0.1");
        there.shutdown(Shutdown::Write).unwrap();
        assert_ne!(both_ways(&here), [None; 2]);
        drop(there);
        // The kernel now names root as the owner of the socket.
        assert_eq!(both_ways(&here), [None; 2]);
    }

    #[test]
    fn a_connection_that_is_none_is_nobodys() {
        let (here, there) = connection("127.0.0.1", "127.0.0.1");
        let (local, peer) = (here.local_addr().unwrap(), here.peer_addr().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let elsewhere = listener.local_addr().unwrap();
        for (local, peer) in [(elsewhere, peer), (local, elsewhere), (peer, peer)] {
            assert_eq!(of(local, peer), None);
            assert_eq!(by_table(local, peer), None);
        }
        drop((here, there));
    }

    #[test]
    fn an_answer_that_is_cut_is_an_error() {
        let peer = ([127, 0, 0, 1], 5).into();
        assert_eq!(question(peer, peer).len(), HEADER + QUESTION);
        let mut answer = vec![0; HEADER + ANSWER];
        answer[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
        answer[HEADER + 4..HEADER + 6].copy_from_slice(&5_u16.to_be_bytes());
        assert!(matches!(read_answer(&answer, peer), Ok(Some(_))));
        for length in 0..answer.len() {
            assert!(read_answer(&answer[..length], peer).is_err(), "{length}");
        }
    }
}

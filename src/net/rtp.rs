//! The RTP socket of one call: waits for datagrams and for nothing else.
//!
//! One system call fetches everything that has arrived and shows that nothing more is there, where receiving one datagram after the
//! other needs another system call to learn that. The socket is registered for reading only: the kernel would otherwise report
//! after each sent packet that the socket is writable, and wake a thread for that.

use std::cell::RefCell;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, recvmmsg};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The largest datagram that is received whole, in bytes. Asterisk sends less for a telephone (20–60 ms of µ-law and a header).
const DATAGRAM_BYTES: usize = 2_048;
/// The number of datagrams that one system call fetches: a caller's packets after 80 ms of jitter. A smaller number needs more
/// system calls after a delay.
const DATAGRAMS: usize = 4;

/// The memory into which the sockets of a thread receive. The addresses of a socket are all of the same family.
struct Inbox {
    v4: MultiHeaders<SockaddrIn>,
    v6: MultiHeaders<SockaddrIn6>,
    datagrams: Box<[[u8; DATAGRAM_BYTES]; DATAGRAMS]>,
}

thread_local! {
    static INBOX: RefCell<Inbox> = RefCell::new(Inbox {
        v4: MultiHeaders::preallocate(DATAGRAMS, None),
        v6: MultiHeaders::preallocate(DATAGRAMS, None),
        datagrams: Box::new([[0; DATAGRAM_BYTES]; DATAGRAMS]),
    });
}

/// A bound UDP socket.
#[derive(Debug)]
pub struct RtpSocket {
    socket: AsyncFd<UdpSocket>,
    is_v4: bool,
}

impl RtpSocket {
    /// Takes a bound socket that does not block.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    #[expect(unsafe_code, reason = "there is no safe call for this interest; argued below")]
    pub fn new(socket: UdpSocket) -> io::Result<Self> {
        let is_v4 = socket.local_addr()?.is_ipv4();
        // SAFETY: a `UdpSocket` owns its descriptor, which stays open and the same until the socket is dropped, and nothing
        // takes the socket out of the `AsyncFd`.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?;
        Ok(Self { socket, is_v4 })
    }

    /// The address at which the socket is bound.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get_ref().local_addr()
    }

    /// Lets the kernel drop datagrams that come from elsewhere than this source.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    pub fn hear_only(&self, source: SocketAddr) -> io::Result<()> {
        self.socket.get_ref().connect(source)
    }

    /// Sends a datagram without waiting.
    ///
    /// # Errors
    /// Returns the error of the operating system, `WouldBlock` if the buffer of the socket is full.
    pub fn send(&self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.socket.get_ref().send_to(datagram, to)
    }

    /// Waits until a datagram may have arrived.
    pub async fn readable(&self) {
        if self.socket.readable().await.is_err() {
            // The runtime ends, and with it the call.
            std::future::pending::<()>().await;
        }
    }

    /// Hands over the datagrams that have arrived, each with its source. If more of them wait than one system call fetches,
    /// [`Self::readable`] is ready again at once.
    pub fn receive(&self, mut take: impl FnMut(SocketAddr, &[u8])) {
        let fetch = |socket: &UdpSocket| {
            let all = INBOX.with_borrow_mut(|inbox| {
                let Inbox { v4, v6, datagrams } = inbox;
                if self.is_v4 {
                    receive(socket, v4, datagrams, |from| SocketAddrV4::from(from).into(), &mut take)
                } else {
                    receive(socket, v6, datagrams, |from| SocketAddrV6::from(from).into(), &mut take)
                }
            })?;
            // This error tells the runtime that the socket is empty.
            if all < DATAGRAMS { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        };
        // An error is the ICMP answer to something that was sent: the call goes on.
        drop(self.socket.try_io(Interest::READABLE, fetch));
    }
}

/// Receives up to [`DATAGRAMS`] datagrams, and returns how many. Fewer than that: nothing more is there.
fn receive<S: SockaddrLike + Copy>(
    socket: &UdpSocket,
    headers: &mut MultiHeaders<S>,
    datagrams: &mut [[u8; DATAGRAM_BYTES]; DATAGRAMS],
    address: impl Fn(S) -> SocketAddr,
    take: &mut impl FnMut(SocketAddr, &[u8]),
) -> io::Result<usize> {
    let mut places = datagrams.each_mut().map(|datagram| [IoSliceMut::new(datagram)]);
    let received = recvmmsg(socket.as_raw_fd(), headers, places.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
    let mut all = 0;
    for message in received {
        all += 1;
        if let (Some(from), Some(datagram)) = (message.address, message.iovs().next()) {
            take(address(from), datagram);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::rtp_socket::bind;

    /// A socket, and another that sends to it.
    fn pair(address: &str) -> (RtpSocket, UdpSocket) {
        let socket = RtpSocket::new(bind(SocketAddr::new(address.parse().unwrap(), 0)).unwrap()).unwrap();
        let other = UdpSocket::bind((address, 0)).unwrap();
        (socket, other)
    }

    async fn next(socket: &RtpSocket) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut all = Vec::new();
        while all.is_empty() {
            socket.readable().await;
            socket.receive(|from, bytes| all.push((from, bytes.to_vec())));
        }
        all
    }

    #[tokio::test]
    async fn all_datagrams_come_in_order_with_their_source_however_many_wait() {
        for address in ["127.0.0.1", "::1"] {
            let (socket, other) = pair(address);
            let (to, from) = (socket.local_addr().unwrap(), other.local_addr().unwrap());
            for waiting in [1, DATAGRAMS, 2 * DATAGRAMS + 1, 1] {
                let sent: Vec<_> = (0..waiting as u8).map(|number| (from, vec![number; 172])).collect();
                for (_, datagram) in &sent {
                    other.send_to(datagram, to).unwrap();
                }
                let mut received = Vec::new();
                while received.len() < sent.len() {
                    received.extend(next(&socket).await);
                }
                assert_eq!(received, sent, "{address}");
            }
        }
    }

    #[tokio::test]
    async fn a_datagram_that_comes_while_others_are_handed_over_is_not_forgotten() {
        let (socket, other) = pair("127.0.0.1");
        let to = socket.local_addr().unwrap();
        other.send_to(&[1], to).unwrap();
        let mut all = Vec::new();
        while all.is_empty() {
            socket.readable().await;
            socket.receive(|_, bytes| {
                all.push(bytes.to_vec());
                other.send_to(&[2], to).unwrap();
            });
        }
        all.extend(next(&socket).await.into_iter().map(|(_, bytes)| bytes));
        assert_eq!(all, [[1], [2]]);
    }

    #[tokio::test]
    async fn an_icmp_answer_ends_nothing_and_the_next_datagram_comes() {
        let (socket, other) = pair("127.0.0.1");
        let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        socket.hear_only(nobody).unwrap();
        socket.send(&[0], nobody).unwrap();
        socket.hear_only(other.local_addr().unwrap()).unwrap();
        other.send_to(&[3], socket.local_addr().unwrap()).unwrap();
        assert_eq!(next(&socket).await[0].1, [3]);
    }
}

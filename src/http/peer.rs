//! The other end of a connection: its address and, on this machine, its user.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use crate::net::peer_uid;

/// The other end of a connection, as an extension of every request.
#[derive(Debug, Clone)]
pub struct Peer {
    pub(super) address: SocketAddr,
    /// The user of this machine who opened the connection. `None` if the connection comes from another machine or its
    /// user is unknown.
    pub(super) uid: Option<u32>,
    /// Whether this user may use the API without a token. Looked up once per connection, when first needed.
    pub(super) is_let_in: Arc<OnceCell<bool>>,
}

impl Peer {
    /// Describes a connection from this address that this user of the machine has opened.
    #[must_use]
    pub fn new(address: SocketAddr, uid: Option<u32>) -> Self {
        Self { address, uid, is_let_in: Arc::default() }
    }

    /// Determines the user of a connection that has just been accepted. This must happen at once: after the other end
    /// has closed its socket, the kernel no longer knows its user.
    pub(super) fn of(stream: &TcpStream, address: SocketAddr) -> Self {
        let is_here = address.ip().to_canonical().is_loopback();
        let local = stream.local_addr().ok().filter(|_| is_here);
        let uid = local.and_then(|local| peer_uid::of(local, address));
        Self::new(address, uid)
    }
}

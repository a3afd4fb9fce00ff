//! Who made a request and where the request came from, as the access log names them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The name of the client in the access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who(pub Arc<str>);

impl Who {
    /// A client that has not identified itself.
    #[must_use]
    pub fn nobody() -> Self {
        Self("-".into())
    }

    /// A user of this machine, by uid.
    #[must_use]
    pub fn user(uid: u32) -> Self {
        Self(format!("uid-{uid}").into())
    }
}

/// The client that a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// The other end of the connection.
    Direct(SocketAddr),
    /// An address that a trusted proxy names.
    Forwarded(IpAddr),
}

impl Client {
    /// The IP address of the client. An IPv4-mapped IPv6 address is returned as IPv4.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        match self {
            Self::Direct(peer) => peer.ip().to_canonical(),
            Self::Forwarded(ip) => ip,
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct(peer) => peer.fmt(f),
            Self::Forwarded(ip) => ip.fmt(f),
        }
    }
}

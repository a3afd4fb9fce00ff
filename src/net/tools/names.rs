//! Resolves the names of servers, and refuses addresses that no tool may reach.
//!
//! The addresses that are checked are those that are connected to: a name cannot have one address for the check and another for
//! the connection.

use std::io;
use std::net::{IpAddr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::tool::is_forbidden;

/// A name has an address that no tool may reach.
#[derive(Debug, thiserror::Error)]
#[error("the address must not be reached")]
pub(in crate::net) struct Forbidden;

/// Where the addresses of names come from.
#[derive(Clone)]
pub(in crate::net) enum Names {
    /// The system.
    System,
    /// A list, for tests.
    #[cfg(test)]
    Fixed(Vec<(&'static str, IpAddr)>),
}

impl Names {
    async fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::System => Ok(tokio::net::lookup_host((name, 0)).await?.collect()),
            #[cfg(test)]
            Self::Fixed(all) => {
                let of_name = all.iter().filter(|(known, _)| *known == name);
                Ok(of_name.map(|(_, address)| SocketAddr::new(*address, 0)).collect())
            }
        }
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let names = self.clone();
        Box::pin(async move {
            let addresses = names.addresses(name.as_str()).await?;
            // A name with one such address is not trusted with its others.
            if addresses.iter().any(|address| is_forbidden(address.ip())) {
                return Err(Forbidden.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The address in a URL, if its host is one. The resolver is not asked for it.
pub(super) fn literal(url: &reqwest::Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok()
}

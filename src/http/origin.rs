//! Determines which client a request comes from: the other end of the connection or, if that is a reverse proxy that
//! the operator trusts (`API_TRUSTED_PROXIES`), the client that the proxy names in `X-Forwarded-For` or `Forwarded`
//! (RFC 7239).
//!
//! ```text
//!  X-Forwarded-For: 10.9.9.9, 203.0.113.7, 192.0.2.10      connection from 127.0.0.1
//!                   forged    the client   ◄── trusted ◄── trusted
//! ```
//! Every proxy appends to the right end of the list the address that its request came from, and anybody can send the
//! header with any content. The list is therefore read from the right for as long as the addresses belong to trusted
//! proxies.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

use super::peer::Peer;
use crate::access_log::Client;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The party for which connections and wrong tokens are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Share {
    /// A user of this machine, by uid.
    User(u32),
    /// An IP address. Of an IPv6 address only the first 64 bits count, because a provider's customer usually owns all
    /// the rest.
    Network(IpAddr),
    /// A trusted proxy, on behalf of all clients behind it.
    Proxy(IpAddr),
}

impl Share {
    /// The party to which a connection belongs.
    pub(super) fn of(peer: &Peer, proxies: &[IpNet]) -> Self {
        let ip = peer.address.ip().to_canonical();
        match peer.uid {
            _ if is_within(proxies, ip) => Self::Proxy(ip),
            Some(uid) => Self::User(uid),
            None => Self::network(ip),
        }
    }

    fn network(ip: IpAddr) -> Self {
        Self::Network(match ip {
            IpAddr::V4(_) => ip,
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        })
    }
}

/// The origin of a request, as an extension of the request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    /// The client that sent the request.
    pub(super) client: Client,
    /// The party for which a wrong token is counted.
    pub(super) share: Share,
}

impl Source {
    /// Returns the user of this machine who asks. `None` if the request comes from another machine, or the user is not known.
    pub(super) fn user(self) -> Option<u32> {
        match self.share {
            Share::User(uid) => Some(uid),
            Share::Network(_) | Share::Proxy(_) => None,
        }
    }

    /// Determines the origin of a request that came over this connection. `proxies` are the trusted networks.
    pub(super) fn of(peer: &Peer, headers: &HeaderMap, proxies: &[IpNet]) -> Self {
        let client = client(peer.address, headers, proxies);
        let share = match client {
            Client::Direct(_) => Share::of(peer, proxies),
            Client::Forwarded(ip) => Share::network(ip),
        };
        Self { client, share }
    }
}

/// Whether the address is in one of these networks.
#[must_use]
pub fn is_within(networks: &[IpNet], ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    networks.iter().any(|network| network.contains(&ip))
}

/// Determines the client of a request. `proxies` are the trusted networks.
fn client(peer: SocketAddr, headers: &HeaderMap, proxies: &[IpNet]) -> Client {
    if !is_within(proxies, peer.ip()) {
        return Client::Direct(peer);
    }
    let named = |hops: Vec<Option<IpAddr>>| {
        let mut client = None;
        for hop in hops.into_iter().rev() {
            // A proxy that hides its clients writes something that is not an address. The last known address counts.
            let Some(ip) = hop else { break };
            client = Some(ip);
            if !is_within(proxies, ip) {
                break;
            }
        }
        client
    };
    let listed = hops(headers, &X_FORWARDED_FOR, address);
    let forwarded = hops(headers, &header::FORWARDED, forwarded_for);
    let client = match (listed, forwarded) {
        (Some(hops), None) | (None, Some(hops)) => named(hops),
        // A proxy that sets only one of the two headers forwards the other one as its client sent it. If the headers
        // disagree, none counts.
        (Some(listed), Some(forwarded)) => {
            let (one, other) = (named(listed), named(forwarded));
            one.filter(|one| Some(*one) == other)
        }
        (None, None) => None,
    };
    client.map_or(Client::Direct(peer), Client::Forwarded)
}

/// Parses the list in all lines of a header. Returns `None` if the header is absent.
fn hops(
    headers: &HeaderMap,
    name: &HeaderName,
    read: impl Fn(&str) -> Option<IpAddr>,
) -> Option<Vec<Option<IpAddr>>> {
    let mut lines = headers.get_all(name).iter().peekable();
    lines.peek()?;
    let of_line = |line: &axum::http::HeaderValue| match line.to_str() {
        Ok(line) => line.split(',').map(|hop| read(hop.trim())).collect(),
        Err(_) => vec![None],
    };
    Some(lines.flat_map(of_line).collect())
}

/// Parses the `for=` parameter of an element of `Forwarded`. Returns `None` if it names no address. A comma within
/// quotes, which only a forger would write there, splits the element into invalid ones.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, node) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    let node = node.trim();
    address(node.strip_prefix('"').and_then(|node| node.strip_suffix('"')).unwrap_or(node))
}

/// Parses an address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`,
/// `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let ip = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    ip.map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the client of a request with these headers from this address, with 127.0.0.1 and 192.0.2.0/24 as
    /// trusted proxies.
    fn of(peer: &str, lines: &[(&'static str, &'static str)]) -> String {
        let proxies = ["127.0.0.1/32".parse().unwrap(), "192.0.2.0/24".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        client(peer.parse().unwrap(), &headers, &proxies).to_string()
    }

    #[test]
    fn the_rightmost_address_that_is_not_trusted_is_the_client() {
        let list = "x-forwarded-for";
        for (named, client) in [
            ("203.0.113.7", "203.0.113.7"),
            ("10.9.9.9, 203.0.113.7", "203.0.113.7"),
            ("10.9.9.9,203.0.113.7 ,192.0.2.10", "203.0.113.7"),
            ("192.0.2.10, 192.0.2.11", "192.0.2.10"),
            ("203.0.113.7:1234", "203.0.113.7"),
            ("[2001:db8::7]:1234", "2001:db8::7"),
            ("2001:db8::7", "2001:db8::7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("203.0.113.7, unknown", "127.0.0.1:5"),
            ("203.0.113.7, unknown, 192.0.2.10", "192.0.2.10"),
            ("", "127.0.0.1:5"),
            ("ñ", "127.0.0.1:5"),
        ] {
            assert_eq!(of("127.0.0.1:5", &[(list, named)]), client, "{named}");
        }
        assert_eq!(of("[::ffff:127.0.0.1]:5", &[(list, "203.0.113.7")]), "203.0.113.7");
        assert_eq!(of("127.0.0.1:5", &[(list, "10.9.9.9"), (list, "203.0.113.7")]), "203.0.113.7");
        assert_eq!(of("127.0.0.1:5", &[]), "127.0.0.1:5");
    }

    #[test]
    fn forwarded_is_read_as_its_rfc_has_it() {
        for (named, client) in [
            ("for=203.0.113.7", "203.0.113.7"),
            (
                "for=10.9.9.9, proto=https;For=\"[2001:db8:cafe::17]:4711\";by=203.0.113.43",
                "2001:db8:cafe::17",
            ),
            ("for=203.0.113.7;proto=https, for=192.0.2.10", "203.0.113.7"),
            ("for=203.0.113.7, for=_hidden", "127.0.0.1:5"),
            ("for=203.0.113.7, proto=https", "127.0.0.1:5"),
            ("for=\"203.0.113.7, for=10.9.9.9\"", "127.0.0.1:5"),
        ] {
            assert_eq!(of("127.0.0.1:5", &[("forwarded", named)]), client, "{named}");
        }
    }

    #[test]
    fn a_customers_ipv6_addresses_are_one_share() {
        let share = |ip: &str| Share::network(ip.parse().unwrap());
        assert_eq!(share("2001:db8:1:2:3:4:5:6"), share("2001:db8:1:2::1"));
        assert_ne!(share("2001:db8:1:2::1"), share("2001:db8:1:3::1"));
        assert_ne!(share("203.0.113.7"), share("203.0.113.8"));
    }

    #[test]
    fn nobody_but_a_trusted_proxy_names_a_client() {
        let forged = [("x-forwarded-for", "10.9.9.9"), ("forwarded", "for=10.9.9.9")];
        assert_eq!(of("203.0.113.7:5", &forged), "203.0.113.7:5");
        let half_forged = [("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=10.9.9.9")];
        assert_eq!(
            of("127.0.0.1:5", &half_forged),
            "127.0.0.1:5",
            "nobody knows which of them the proxy wrote"
        );
        assert_eq!(of("127.0.0.1:5", &forged), "10.9.9.9");
    }
}

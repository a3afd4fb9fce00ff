//! Where a request goes: the scheme, the host and the port, which are literal in the file.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use super::fault::{Flaw, ToolFault};

/// The endings of names that only networks of one's own have (RFC 6761, RFC 6762, RFC 8375; `internal` by ICANN's resolution
/// of 2024-07-29; `lan` and `home` by the habit of routers).
const OWN_ENDINGS: [&str; 6] = ["localhost", "local", "internal", "home.arpa", "lan", "home"];

/// The scheme, the host and the port of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `https` or `http`.
    encrypted: bool,
    host: Host,
    port: u16,
}

impl Origin {
    /// Reads an origin such as `https://crm.example.com:8443`.
    pub(super) fn parse(text: &str) -> Result<Self, Flaw> {
        if let Some(at) = text.find('{') {
            return Err(Flaw::new(at, ToolFault::OriginTemplate));
        }
        if let Some(at) = text.find('@') {
            return Err(Flaw::new(at, ToolFault::UserInUrl));
        }
        let wrong = |message: String| Flaw::new(0, ToolFault::Url { message });
        let url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
        let encrypted = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(Flaw::new(0, ToolFault::Scheme)),
        };
        let host = url.host().ok_or_else(|| wrong(url::ParseError::EmptyHost.to_string()))?.to_owned();
        let port = url.port_or_known_default().unwrap_or_default();
        let origin = Self { encrypted, host, port };
        if origin.address().is_some_and(is_forbidden) {
            return Err(Flaw::new(0, ToolFault::ForbiddenHost { host: origin.host() }));
        }
        Ok(origin)
    }

    /// Whether a secret may be sent there: the connection is encrypted, or it does not leave networks of one's own.
    #[must_use]
    pub fn keeps_secrets(&self) -> bool {
        self.encrypted || self.is_own()
    }

    /// The name or address of the host. An IPv6 address has brackets.
    #[must_use]
    pub fn host(&self) -> String {
        self.host.to_string()
    }

    /// The host, without brackets around an IPv6 address, and the port: what a connection needs.
    #[must_use]
    pub fn endpoint(&self) -> (String, u16) {
        (self.host().trim_matches(['[', ']']).to_owned(), self.port)
    }

    /// The address, if the host is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self.host {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        }
    }

    /// Whether the host lies, by its name or address, in this machine or a network of one's own.
    #[must_use]
    pub fn is_own(&self) -> bool {
        match &self.host {
            Host::Ipv4(_) | Host::Ipv6(_) => self.address().is_some_and(is_own),
            Host::Domain(name) => {
                let name = name.trim_end_matches('.');
                let ends = |ending: &&str| name == *ending || name.ends_with(&format!(".{ending}"));
                !name.contains('.') || OWN_ENDINGS.iter().any(ends)
            }
        }
    }
}

impl std::fmt::Display for Origin {
    /// `scheme://host`, and the port if it is not the scheme's own.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (scheme, default) = if self.encrypted { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == default { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// Whether no tool may reach this address: those of the link, at which clouds answer with credentials of the machine
/// (RFC 3927, RFC 4291 section 2.5.6), multicast, broadcast, and the unspecified address. The same addresses within IPv6
/// (mapped, compatible, translated by RFC 6052 or RFC 8215, 6to4 by RFC 3056, ISATAP by RFC 5214) count as well. So do all of
/// Teredo (RFC 4380), whose addresses hold that of a client in disguise.
#[must_use]
pub fn is_forbidden(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_forbidden_v4(address),
        IpAddr::V6(address) => {
            address.is_unspecified()
                || address.is_multicast()
                || address.is_unicast_link_local()
                // The metadata services of AWS and Google (`fd20:ce::254`) over IPv6.
                || address == Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)
                || address == Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254)
                || address.segments().starts_with(&[0x2001, 0])
                || within(address).is_some_and(is_forbidden_v4)
        }
    }
}

fn is_forbidden_v4(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    first == 0
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        // The metadata services of Azure (WireServer), of Alibaba Cloud and of Oracle Cloud's old address range.
        || address == Ipv4Addr::new(168, 63, 129, 16)
        || address == Ipv4Addr::new(100, 100, 100, 200)
        || address == Ipv4Addr::new(192, 0, 0, 192)
}

/// The IPv4 address within an IPv6 address.
fn within(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let joined = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match segments {
        // ::1 is the loopback address, and no IPv4 address.
        [0, 0, 0, 0, 0, 0, 0, 0..=1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 1, _, _, _, high, low]
        | [_, _, _, _, 0 | 0x200, 0x5efe, high, low]
        | [0x2002, high, low, ..] => Some(joined(high, low)),
        _ => None,
    }
}

fn is_own(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || is_shared(address),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

/// Whether this is an address between a provider and its customers (RFC 6598), which private networks such as Tailscale use.
fn is_shared(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 100 && (64..128).contains(&second)
}

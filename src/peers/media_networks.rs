//! Where Asterisk may have the sound of calls sent: to its own addresses, and to those the operator has named.
//!
//! An Asterisk that somebody has taken over, or a program in its place, could otherwise aim the daemon's packets at any
//! machine. Its own addresses are those of `ASTERISK_HOST`. If that is this machine, so are the addresses this machine
//! has for itself, and the networks of its bridges: Asterisk may run in a container here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::config::{AsteriskConfig, MediaConfig};

/// What resolving the name of Asterisk's machine may take. Longer holds up the start; the name is resolved again with every
/// connection to Asterisk.
const PATIENCE: Duration = Duration::from_secs(2);
/// This machine, as it reaches itself.
const LOOPBACK: [(IpAddr, u8); 2] =
    [(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8), (IpAddr::V6(Ipv6Addr::LOCALHOST), 128)];
/// The routes of IPv4, as the kernel shows them.
const ROUTES: &str = "/proc/net/route";

/// Asterisk's own addresses; None if the name of its machine cannot be resolved now.
pub async fn own(asterisk: &AsteriskConfig, media: &MediaConfig) -> Option<Vec<IpNet>> {
    let resolving = tokio::net::lookup_host((asterisk.host.as_str(), asterisk.port));
    let resolved = tokio::time::timeout(PATIENCE, resolving).await.ok()?.ok()?;
    let addresses: Vec<IpAddr> = resolved.map(|address| address.ip().to_canonical()).collect();
    let mut own: Vec<IpNet> = addresses.iter().copied().map(IpNet::from).collect();
    if addresses.into_iter().any(is_of_this_machine) {
        own.extend(LOOPBACK.map(|(address, prefix)| IpNet::new_assert(address, prefix)));
        own.extend([media.local_ip, media.advertised_ip()].map(IpNet::from));
        let is_bridge = |interface: &str| Path::new("/sys/class/net").join(interface).join("bridge").exists();
        own.extend(bridges(&std::fs::read_to_string(ROUTES).unwrap_or_default(), is_bridge));
    }
    Some(own)
}

/// All of them; None if Asterisk's own are not known.
pub fn all(own: Option<&[IpNet]>, media: &MediaConfig) -> Option<Arc<[IpNet]>> {
    Some(own?.iter().chain(&media.media_networks).copied().collect())
}

/// Whether an address is one of this machine: only such an address can be bound.
fn is_of_this_machine(address: IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
}

/// The networks that lie at a bridge of this machine, from the kernel's table of routes: interface, network, gateway, flags,
/// three numbers, mask; addresses in hexadecimal, in the machine's byte order.
fn bridges(routes: &str, is_bridge: impl Fn(&str) -> bool) -> Vec<IpNet> {
    let network = |line: &str| {
        let mut fields = line.split_whitespace();
        fields.next().filter(|interface| is_bridge(interface))?;
        let mut number = |skipped| u32::from_str_radix(fields.nth(skipped)?, 16).ok();
        let (destination, gateway, mask) = (number(0)?, number(0)?, number(4)?);
        let prefix = mask.count_ones() as u8;
        let address = Ipv4Addr::from(destination.to_ne_bytes());
        // A route through a gateway leads away from the bridge, and one to everything leads everywhere.
        (gateway == 0 && prefix > 0).then(|| IpNet::new(address.into(), prefix).ok())?
    };
    routes.lines().filter_map(network).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "\
        Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
        eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n\
        docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
        docker0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        docker0\tbroken\n";

    #[test]
    #[cfg(target_endian = "little")]
    fn the_networks_of_bridges_are_found_and_no_others() {
        let found = bridges(ROUTES, |interface| interface == "docker0");
        assert_eq!(found, ["172.17.0.0/16".parse().expect("a network")]);
        assert_eq!(bridges("", |_| true), []);
    }

    #[test]
    fn an_address_of_another_machine_is_not_of_this_one() {
        assert!(is_of_this_machine([127, 0, 0, 1].into()) && is_of_this_machine([127, 9, 9, 9].into()));
        assert!(!is_of_this_machine([192, 0, 2, 66].into()));
    }
}

//! The section of the callers' audio: where it is received, which address Asterisk is told, and which senders are
//! trusted.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::archive::networks;
use super::reader::Reader;
use super::words::Word;
use super::{CallsConfig, MediaConfig};
use crate::call::source::Trust;
use crate::operator::{Allowed, Notice};

impl Word for Trust {
    const WORDS: &'static [&'static str] = &["learn", "strict"];
    const VALUES: &'static [Self] = &[Self::Learn, Self::Strict];
}

impl MediaConfig {
    /// The address to which Asterisk sends the audio.
    #[must_use]
    pub fn advertised_ip(&self) -> IpAddr {
        self.advertised.unwrap_or(self.local_ip)
    }

    /// The number of calls for which `RTP_PORTS` has ports: its even ports.
    #[must_use]
    pub fn calls_carried(&self) -> usize {
        self.ports.clone().filter(|port| port % 2 == 0).count()
    }
}

/// What is said if more calls are allowed than the ports can carry.
pub(super) fn remark(media: &MediaConfig, calls: &CallsConfig) -> Option<Notice> {
    let (max_calls, carried) = (calls.max_calls?, media.calls_carried());
    let (first, last) = (*media.ports.start(), *media.ports.end());
    (max_calls > carried).then_some(Notice::MaxCallsBeyondPorts { max_calls, first, last, carried })
}

/// Reads this section.
pub(super) fn media(reader: &mut Reader<'_>) -> Option<MediaConfig> {
    let advertised = reader.parsed("RTP_ADVERTISED_ADDRESS", Allowed::LocalIp, |text| {
        if text.is_empty() { Some(None) } else { reachable(text).map(Some) }
    });
    // The unspecified address (all addresses of this machine) is permitted only if Asterisk is told which one to use.
    let any_will_do = advertised.is_some_and(|advertised| advertised.is_some());
    let local_ip = reader.parsed("LOCAL_IP_ADDRESS", Allowed::LocalIp, |text| {
        let any = text.parse::<IpAddr>().ok().filter(|ip| ip.is_unspecified() && any_will_do);
        any.or_else(|| reachable(text))
    });
    let ports = reader.parsed("RTP_PORTS", Allowed::PortRange, port_range);
    let trust = reader.word("RTP_SOURCE");
    let media_networks = reader.parsed("RTP_MEDIA_ADDRESSES", Allowed::Networks, networks);
    Some(MediaConfig {
        local_ip: local_ip?,
        advertised: advertised?,
        ports: ports?,
        trust: trust?,
        media_networks: media_networks?,
    })
}

/// Parses an address to which packets can be sent.
fn reachable(text: &str) -> Option<IpAddr> {
    let ip: IpAddr = text.parse().ok()?;
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    (!ip.is_unspecified() && !ip.is_multicast() && !broadcast).then_some(ip)
}

fn port_range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-')?;
    let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let has_even_port = first < last || (first == last && first % 2 == 0);
    (first >= 1024 && has_even_port).then_some(first..=last)
}

//! Warns of what leaves this machine without encryption: passwords, the key, and what is said.

use std::net::IpAddr;

use super::words::Scheme;
use super::{ArchiveConfig, AsteriskConfig, MediaConfig, RealtimeConfig};
use crate::operator::Notice;

/// Asterisk by `http` on another machine. Its RTP, which is not encrypted either, is not judged.
pub(super) fn of_asterisk(asterisk: &AsteriskConfig, media: Option<&MediaConfig>) -> Option<Notice> {
    let is_ours = media.is_some_and(|media| asterisk.host.parse() == Ok(media.local_ip));
    let leaves = asterisk.scheme == Scheme::Http && !is_ours && !is_here(&asterisk.host);
    leaves.then_some(Notice::PlainText { variable: "ASTERISK_HOST", remedy: "ASTERISK_SCHEME=https" })
}

/// The model's server by `ws` on another machine.
pub(super) fn of_realtime(realtime: &RealtimeConfig) -> Option<Notice> {
    let place = realtime.url.strip_prefix("ws://")?;
    let authority = place.split(['/', '?']).next().unwrap_or(place);
    (!is_here(host(authority)))
        .then_some(Notice::PlainText { variable: "OPENAI_REALTIME_URL", remedy: "wss://" })
}

/// The call log's server on another machine, if TLS is not demanded: without that the two agree on none as well.
pub(super) fn of_call_log(archive: &ArchiveConfig) -> Option<Notice> {
    let server = archive.call_log.server.as_ref().filter(|server| !server.demands_tls())?;
    let place = server.to_string();
    let authority = place.split('/').next().unwrap_or(&place);
    (!is_here(host(authority)))
        .then_some(Notice::PlainText { variable: "DATABASE_URL", remedy: "?ssl-mode=REQUIRED" })
}

/// The host of `host:port`, of IPv6 without brackets.
fn host(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.split(':').next().unwrap_or(authority),
    }
}

/// Whether a name or an address is this machine's own loopback.
fn is_here(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || host.parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_here_and_everything_else_is_not() {
        for here in
            ["localhost", "LOCALHOST.", "pbx.localhost", "127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"]
        {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in ["pbx", "192.168.1.2", "localhost.example", "::2", "0.0.0.0"] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
        assert_eq!((host("[::1]:8088"), host("pbx:8088"), host("pbx")), ("::1", "pbx", "pbx"));
    }
}

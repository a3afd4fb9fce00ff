//! Warns if passwords, keys or conversations leave this machine without encryption.

use std::net::IpAddr;

use super::words::Scheme;
use super::{ArchiveConfig, AsteriskConfig, MediaConfig, RealtimeConfig};
use crate::operator::Notice;

/// Warns if Asterisk is on another machine and is reached by `http`. Its RTP is not encrypted either and is not
/// checked.
pub(super) fn of_asterisk(asterisk: &AsteriskConfig, media: Option<&MediaConfig>) -> Option<Notice> {
    let is_ours = media.is_some_and(|media| asterisk.host.parse() == Ok(media.local_ip));
    let leaves = asterisk.scheme == Scheme::Http && !is_ours && !is_here(&asterisk.host);
    leaves.then_some(Notice::PlainText { variable: "ASTERISK_HOST", remedy: "ASTERISK_SCHEME=https" })
}

/// Warns if the model's server is on another machine and is reached by `ws`.
pub(super) fn of_realtime(realtime: &RealtimeConfig) -> Option<Notice> {
    let place = realtime.url.strip_prefix("ws://")?;
    let authority = place.split(['/', '?']).next().unwrap_or(place);
    (!is_here(host(authority)))
        .then_some(Notice::PlainText { variable: "OPENAI_REALTIME_URL", remedy: "wss://" })
}

/// Warns if the server of the call log is on another machine and TLS is not required. Without that requirement, the
/// connection may be unencrypted.
pub(super) fn of_call_log(archive: &ArchiveConfig) -> Option<Notice> {
    let server = archive.call_log.server.as_ref().filter(|server| !server.demands_tls())?;
    let place = server.to_string();
    let authority = place.split('/').next().unwrap_or(&place);
    (!is_here(host(authority)))
        .then_some(Notice::PlainText { variable: "DATABASE_URL", remedy: "?ssl-mode=REQUIRED" })
}

/// The host of `host:port`, without the brackets of IPv6.
fn host(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.split(':').next().unwrap_or(authority),
    }
}

/// Whether a name or an address is a loopback address of this machine.
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

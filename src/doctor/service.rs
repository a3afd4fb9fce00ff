//! Asks whether the daemon runs and would serve a caller, by requests to API_LISTEN.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

use super::facts::{Api, Daemon};
use super::obstacles::Reasons;
use crate::net::answer::body;
use crate::operator::Detail;

/// The time limit of the request.
const LIMIT: Duration = Duration::from_secs(2);
/// The largest answer that is read, in bytes. The daemon's answer has about 300 bytes; a longer one belongs
/// to another program.
const HEALTH_BYTES: usize = 64 << 10;

/// Sends the requests. None: API_LISTEN has port 0, so the port of the daemon is unknown.
pub(super) async fn look(listen: SocketAddr) -> Option<Daemon> {
    let address = reachable(listen);
    let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).build().ok()?;
    let answer = match client.get(format!("http://{address}/health")).send().await {
        Ok(response) => {
            let told = body(response, HEALTH_BYTES).await.map_or(Api::Foreign, |body| who(&body));
            with_reasons(told, &client, address).await
        }
        Err(error) if error.is_connect() => Api::Silent,
        Err(_) => Api::Foreign,
    };
    (listen.port() != 0).then_some(Daemon { address, answer })
}

/// Adds the reasons of `/ready`. A daemon that does not answer this request as well keeps the reasons empty.
async fn with_reasons(told: Api, client: &reqwest::Client, address: SocketAddr) -> Api {
    #[derive(Deserialize)]
    struct Ready {
        reasons: Vec<String>,
    }
    let Api::Daemon { version, well, .. } = told else { return told };
    let asked = async {
        let response = client.get(format!("http://{address}/ready")).send().await.ok()?;
        let body = body(response, HEALTH_BYTES).await.ok()?;
        serde_json::from_slice::<Ready>(&body).ok()
    };
    let reasons = asked.await.map_or_else(Vec::new, |ready| ready.reasons);
    Api::Daemon { version, well, reasons: Reasons(reasons) }
}

/// The address at which to reach a server that listens on all addresses.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The program that sends this answer.
fn who(body: &[u8]) -> Api {
    #[derive(Deserialize)]
    struct Health {
        status: String,
        version: String,
    }
    match serde_json::from_slice(body) {
        Ok(Health { status, version }) => {
            Api::Daemon { version: Detail::new(version), well: status == "ok", reasons: Reasons(Vec::new()) }
        }
        Err(_) => Api::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_is_known_by_its_health() {
        let well = r#"{"status":"ok","version":"0.1.0","recorder":null,"disk":null,"index":"ready"}"#;
        let daemon = |well| Api::Daemon { version: Detail::new("0.1.0"), well, reasons: Reasons(Vec::new()) };
        assert_eq!(who(well.as_bytes()), daemon(true));
        assert_eq!(who(well.replace("ok", "degraded").as_bytes()), daemon(false));
        assert_eq!(who(b"<html>It works!</html>"), Api::Foreign);
        assert_eq!(reachable(([0, 0, 0, 0], 5001).into()), ([127, 0, 0, 1], 5001).into());
    }
}

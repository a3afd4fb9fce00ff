//! Checks what calls by SIP need: the webhook takes a signed event, and OpenAI's calls can be asked with the key. The event is of a
//! type that means nothing, and the call that is asked about does not exist.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use super::facts::{AtOpenAi, Sip, Webhook};
use crate::clock::{chance, wall};
use crate::config::{RealtimeConfig, SipConfig};
use crate::net::calls_rest::CallsRest;
use crate::peers::call_endpoint;
use crate::realtime::calls::CallId;
use crate::realtime::calls::request::{Reply, Request};
use crate::webhook::inbound::{ID, SIGNATURE, TIMESTAMP};

/// The time limit of the event. The daemon answers at once.
const LIMIT: Duration = Duration::from_secs(3);
/// The id of a call that does not exist.
const NO_CALL: &str = "rtc_doctor";

/// Tries both at the same time.
pub(super) async fn look(
    sip: &SipConfig,
    realtime: &RealtimeConfig,
    tls: &Arc<ClientConfig>,
) -> anyhow::Result<Sip> {
    let (webhook, calls) = tokio::join!(webhook(sip), calls(sip, realtime, tls));
    Ok(Sip { address: sip.listen, webhook: webhook?, calls: calls? })
}

async fn webhook(sip: &SipConfig) -> Result<Webhook, reqwest::Error> {
    let Some(key) = sip.keys.first() else { return Ok(Webhook::Silent) };
    let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).build()?;
    let (id, at) = (format!("wh_doctor_{:016x}", chance()), wall().timestamp());
    let body =
        format!(r#"{{"object":"event","id":"{id}","type":"doctor.test","created_at":{at},"data":{{}}}}"#);
    let url = format!("http://{}{}", near(sip.listen), sip.path);
    let post = client
        .post(url)
        .header(SIGNATURE, key.sign(&id, at, &body))
        .header(ID, id)
        .header(TIMESTAMP, at)
        .body(body);
    Ok(match post.send().await {
        Err(_) => Webhook::Silent,
        Ok(answer) if answer.status().is_success() => Webhook::Verified,
        Ok(answer) => Webhook::Refused(answer.status().as_u16()),
    })
}

/// The address at which a socket that listens at `address` is reached from here.
fn near(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    (ip, address.port()).into()
}

async fn calls(
    sip: &SipConfig,
    realtime: &RealtimeConfig,
    tls: &Arc<ClientConfig>,
) -> anyhow::Result<AtOpenAi> {
    let Some(call) = CallId::parse(NO_CALL) else { return Ok(AtOpenAi::Answers) };
    let endpoint = call_endpoint(realtime, &call, Arc::clone(tls))?;
    let rest = CallsRest::new(&sip.calls_url, tls)?;
    let reply = rest.perform(&endpoint.headers, &Request::HangUp(call)).await;
    Ok(match reply.fault() {
        // There is no such call.
        _ if reply.ends() => AtOpenAi::Answers,
        Some(cause) if matches!(reply, Reply::Lost(_)) => AtOpenAi::Unreachable(cause),
        Some(cause) => AtOpenAi::Refuses(cause),
        None => AtOpenAi::Answers,
    })
}

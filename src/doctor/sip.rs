//! Checks what calls by SIP need: the webhook takes a signed event, here and at its public address, OpenAI's calls can be asked with
//! the key, the host of SIP calls has a certificate that is trusted, and Asterisk has the endpoint by which it calls OpenAI. The event
//! is of a type that means nothing, and the call that is asked about does not exist.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use rustls::ClientConfig;
use tokio::time::timeout;

use super::facts::{AtOpenAi, Endpoint, PublicAddress, Sip, SipHost, Webhook};
use crate::ari::endpoint::endpoint_state;
use crate::clock::{chance, wall};
use crate::config::{AsteriskConfig, RealtimeConfig, SipConfig};
use crate::net::calls_rest::CallsRest;
use crate::net::root_cause;
use crate::net::tls::{self, Greeting};
use crate::operator::Detail;
use crate::peers::{ari_rest, call_endpoint};
use crate::realtime::calls::CallId;
use crate::realtime::calls::request::{Reply, Request};
use crate::webhook::inbound::{ID, SIGNATURE, TIMESTAMP};

/// The time limit of an event, and of the TLS connection. The daemon answers at once.
const LIMIT: Duration = Duration::from_secs(3);
/// The id of a call that does not exist.
const NO_CALL: &str = "rtc_doctor";

/// Tries everything at the same time.
pub(super) async fn look(
    sip: &SipConfig,
    realtime: &RealtimeConfig,
    asterisk: Option<&AsteriskConfig>,
    tls: &Arc<ClientConfig>,
) -> anyhow::Result<Sip> {
    let near = format!("http://{}{}", near(sip.listen), sip.path);
    let endpoint = async {
        match (&sip.endpoint, asterisk) {
            (Some(name), Some(asterisk)) => {
                Ok::<_, reqwest::Error>(Some((name.clone(), endpoint(name, asterisk, tls).await?)))
            }
            _ => Ok(None),
        }
    };
    let public = async {
        let Some(url) = &sip.public_url else { return Ok(None) };
        Ok::<_, reqwest::Error>(Some((url.clone(), public(sip, url, tls).await?)))
    };
    let (webhook, public, calls, host, endpoint) =
        tokio::join!(webhook(sip, &near), public, calls(sip, realtime, tls), host(&sip.host, tls), endpoint);
    let (address, name) = (sip.listen, sip.host.clone());
    let (webhook, public, calls, endpoint) = (webhook?, public?, calls?, endpoint?);
    Ok(Sip { address, webhook, public, calls, host: name, tls: host, endpoint })
}

async fn webhook(sip: &SipConfig, url: &str) -> Result<Webhook, reqwest::Error> {
    let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).build()?;
    Ok(match send(&client, url, sip, Signed::Yes).await {
        Err(_) => Webhook::Silent,
        Ok(200..=299) => Webhook::Verified,
        Ok(status) => Webhook::Refused(status),
    })
}

/// Sends one event that is signed as OpenAI signs, and one without a signature: whoever takes both is not the daemon. One with a wrong
/// signature would show the same, and the daemon would warn its operator of it.
async fn public(sip: &SipConfig, url: &str, tls: &ClientConfig) -> Result<PublicAddress, reqwest::Error> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls.clone())
        // For OpenAI a redirection is a failure.
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(LIMIT)
        .build()?;
    let answers = async {
        let signed = send(&client, url, sip, Signed::Yes).await?;
        Ok((signed, send(&client, url, sip, Signed::Not).await?))
    };
    Ok(match answers.await {
        Ok((signed, unsigned)) => PublicAddress::Answers { signed, unsigned },
        Err(error) => {
            let error: reqwest::Error = error;
            PublicAddress::Unreachable(Detail::new(root_cause(&error.without_url())))
        }
    })
}

/// How an event is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signed {
    /// With the key of the webhook.
    Yes,
    /// Not at all.
    Not,
}

/// Sends an event of a type that means nothing, and returns the status of the answer.
async fn send(
    client: &reqwest::Client,
    url: &str,
    sip: &SipConfig,
    signed: Signed,
) -> Result<u16, reqwest::Error> {
    let (id, at) = (format!("wh_doctor_{:016x}", chance()), wall().timestamp());
    let body =
        format!(r#"{{"object":"event","id":"{id}","type":"doctor.test","created_at":{at},"data":{{}}}}"#);
    let post = client.post(url).header(ID, &id).header(TIMESTAMP, at);
    let post = match sip.keys.first() {
        Some(key) if signed == Signed::Yes => post.header(SIGNATURE, key.sign(&id, at, &body)),
        _ => post,
    };
    let answer = post.header(CONTENT_TYPE, "application/json").body(body).send().await?;
    Ok(answer.status().as_u16())
}

/// Opens and closes a TLS connection to the address at which calls are made to OpenAI.
async fn host(address: &str, tls: &Arc<ClientConfig>) -> SipHost {
    match timeout(LIMIT, tls::greet(address, tls)).await {
        Ok(Ok(())) => SipHost::Trusted,
        Ok(Err(Greeting::Certificate(cause))) => SipHost::Untrusted(Detail::new(cause)),
        Ok(Err(Greeting::Network(cause))) => SipHost::Unreachable(Detail::new(cause)),
        Err(_) => SipHost::Unreachable(Detail::new(format!("{} s", LIMIT.as_secs()))),
    }
}

/// Asks Asterisk for the endpoint. One without a qualified contact counts as online for Asterisk.
async fn endpoint(
    name: &str,
    asterisk: &AsteriskConfig,
    tls: &Arc<ClientConfig>,
) -> Result<Endpoint, reqwest::Error> {
    let rest = ari_rest(asterisk, tls)?;
    Ok(match rest.endpoint(name).await {
        Ok((200, body)) => match endpoint_state(&body).as_deref() {
            Some("offline") => Endpoint::Offline,
            Some(_) => Endpoint::There,
            None => Endpoint::Unknown(Detail::new("?")),
        },
        Ok((404, _)) => Endpoint::Missing,
        Ok((status, _)) => Endpoint::Unknown(Detail::new(format!("HTTP {status}"))),
        Err(cause) => Endpoint::Unknown(Detail::new(cause)),
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

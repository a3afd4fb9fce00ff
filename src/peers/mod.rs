//! How Asterisk and the model's server are reached: addresses and headers, made of the configuration.
//!
//! | module | what |
//! |---|---|
//! | [`media_networks`] | the networks to which Asterisk may have audio sent |

pub mod media_networks;

use std::sync::Arc;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::ClientConfig;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, header};

use crate::config::{AsteriskConfig, RealtimeConfig};
use crate::net::ari_rest::AriRest;
use crate::net::realtime_link::Endpoint;
use crate::realtime::calls::CallId;
use crate::realtime::dialect::Dialect;

/// ARI's requests, as this configuration has them.
///
/// # Errors
/// When the HTTP client cannot be built.
pub fn ari_rest(asterisk: &AsteriskConfig, tls: &Arc<ClientConfig>) -> Result<AriRest, reqwest::Error> {
    let base = format!("{}/ari", asterisk.http_base());
    AriRest::new(&base, &asterisk.username, asterisk.password.expose(), tls)
}

/// Where ARI tells the events of an application.
pub fn events_url(asterisk: &AsteriskConfig, app: &str) -> String {
    format!("{}/ari/events?app={app}", asterisk.websocket_base())
}

/// What lets us in there.
///
/// # Errors
/// When user or password do not fit into a header.
pub fn ari_headers(asterisk: &AsteriskConfig) -> anyhow::Result<Vec<(HeaderName, HeaderValue)>> {
    Ok(vec![(header::AUTHORIZATION, basic(&asterisk.username, asterisk.password.expose())?)])
}

/// Where sessions are opened, and with what.
///
/// # Errors
/// When the key does not fit into a header.
pub fn endpoint(config: &RealtimeConfig, tls: Arc<ClientConfig>) -> anyhow::Result<Endpoint> {
    Ok(Endpoint { url: config.session_url(), headers: session_headers(config)?, tls })
}

/// Where the session of a call that OpenAI answers is reached, and with what.
///
/// # Errors
/// When the key does not fit into a header.
pub fn call_endpoint(
    config: &RealtimeConfig,
    call: &CallId,
    tls: Arc<ClientConfig>,
) -> anyhow::Result<Endpoint> {
    Ok(Endpoint { url: config.call_url(call), headers: call_headers(config)?, tls })
}

/// The headers of requests about calls that OpenAI answers, and of their sessions.
///
/// # Errors
/// A value cannot stand in a header.
pub fn call_headers(config: &RealtimeConfig) -> anyhow::Result<Vec<(HeaderName, HeaderValue)>> {
    let mut headers = session_headers(config)?;
    // Such calls exist only in the current interface.
    headers.retain(|(name, _)| name != "openai-beta");
    Ok(headers)
}

fn basic(user: &str, password: &str) -> anyhow::Result<HeaderValue> {
    sensitive(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

fn sensitive(text: &str) -> anyhow::Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text).context("a secret with characters no header can carry")?;
    value.set_sensitive(true);
    Ok(value)
}

fn session_headers(config: &RealtimeConfig) -> anyhow::Result<Vec<(HeaderName, HeaderValue)>> {
    let mut headers = vec![(header::AUTHORIZATION, sensitive(&format!("Bearer {}", config.key.expose()))?)];
    headers.push((
        header::USER_AGENT,
        HeaderValue::from_static(concat!("openai-inbound-calls/", env!("CARGO_PKG_VERSION"))),
    ));
    let optional = [("openai-organization", &config.organization), ("openai-project", &config.project)];
    for (name, value) in optional {
        if let Some(value) = value {
            headers.push((HeaderName::from_static(name), HeaderValue::from_str(value)?));
        }
    }
    if config.session.dialect == Dialect::Beta {
        headers.push((HeaderName::from_static("openai-beta"), HeaderValue::from_static("realtime=v1")));
    }
    Ok(headers)
}

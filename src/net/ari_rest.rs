//! Makes one ARI request over a shared pool of HTTP connections.
//!
//! Asterisk closes an idle connection after 15 s, so ours are dropped earlier. Does not retry: who asked knows
//! whether asking twice is safe.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use super::root_cause;
use crate::ari::request::{Method, Reply, Request};

/// Idle connections are dropped after this time; Asterisk's own limit is 15 s (`http.conf`, measured).
const IDLE: Duration = Duration::from_secs(10);
/// A request without an answer after this time is lost. Asterisk answers within milliseconds (16: 200).
const TIMEOUT: Duration = Duration::from_secs(3);

/// Where Asterisk's HTTP server is, and our credentials.
#[derive(Debug, Clone)]
pub struct AriRest {
    client: reqwest::Client,
    base: Arc<str>,
    user: Arc<str>,
    password: Arc<str>,
}

impl AriRest {
    /// A client for `base`, for example `http://localhost:8088/ari`.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(
        base: &str,
        user: &str,
        password: &str,
        tls: &Arc<ClientConfig>,
    ) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.as_ref().clone())
            .pool_idle_timeout(IDLE)
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { client, base: base.into(), user: user.into(), password: password.into() })
    }

    /// Makes a request.
    pub async fn perform(&self, request: &Request) -> Reply {
        let method = match request.method() {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Delete => reqwest::Method::DELETE,
        };
        let url = format!("{}{}", self.base, request.path());
        let sent = self.client.request(method, url).basic_auth(&self.user, Some(&self.password)).send().await;
        let response = match sent {
            Ok(response) => response,
            // Without the address: it is in every line, and a request's query may hold what is nobody's business.
            Err(error) => return Reply::Lost(root_cause(&error.without_url())),
        };
        let status = response.status();
        match response.text().await {
            Ok(body) if status.is_success() => Reply::Done(body),
            Ok(body) => Reply::Refused { status: status.as_u16(), message: message(&body) },
            Err(error) => Reply::Lost(root_cause(&error.without_url())),
        }
    }
}

/// Asterisk's `{"message": "…"}`, or the start of whatever else it said.
fn message(body: &str) -> String {
    serde_json::from_str::<serde_json::Value>(body)
        .ok()
        .and_then(|json| Some(json.get("message")?.as_str()?.to_owned()))
        .unwrap_or_else(|| body.chars().take(200).collect())
}

//! Makes the requests about the calls that OpenAI answers by SIP.
//!
//! No request is repeated here, because only the caller of this module knows whether a repetition is safe. The length of an answer is
//! bounded.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use rustls::ClientConfig;

use super::{answer, root_cause};
use crate::operator::Detail;
use crate::realtime::calls::request::{Reply, Request};

/// The time after which an unanswered request counts as lost (OpenAI's guide). A larger value lets callers ring for longer; a smaller
/// one takes slow answers for none.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer that is read, in bytes. Answers are empty or hold an error. A larger value allows a faulty server to use more
/// memory; a smaller one may cut errors.
const ANSWER_BYTES: usize = 64 * 1024;

/// The address of OpenAI's calls. Clones share their connections.
#[derive(Debug, Clone)]
pub struct CallsRest {
    client: reqwest::Client,
    base: Arc<str>,
}

impl CallsRest {
    /// Creates a client for `base`, for example `https://api.openai.com/v1/realtime/calls`.
    ///
    /// # Errors
    /// Returns the error of `reqwest` if the HTTP client cannot be built.
    pub fn new(base: &str, tls: &ClientConfig) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { client, base: base.into() })
    }

    /// Makes a request with these headers, among them the authorization.
    pub async fn perform(&self, headers: &[(HeaderName, HeaderValue)], request: &Request) -> Reply {
        let url = format!("{}{}", self.base, request.path());
        let headers: HeaderMap = headers.iter().cloned().collect();
        let mut post = self.client.post(url).headers(headers);
        if let Some(body) = request.body() {
            post = post.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body);
        }
        let response = match post.send().await {
            Ok(response) => response,
            Err(error) => return Reply::Lost(Detail::new(root_cause(&error.without_url()))),
        };
        let status = response.status().as_u16();
        match answer::body(response, ANSWER_BYTES).await {
            Ok(body) => Reply::of_answer(status, &String::from_utf8_lossy(&body)),
            // The status alone tells whether the request was carried out.
            Err(_) => Reply::of_answer(status, ""),
        }
    }
}

//! A client of the daemon's API.

use std::time::Duration;

use openai_inbound_calls::clock::now;
use reqwest::{Method, header};
use serde_json::Value;

use super::world::{PATIENCE, Program, ms};

/// A client of the API.
#[derive(Clone)]
pub(crate) struct Api {
    url: String,
    client: reqwest::Client,
}

/// A complete answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null if the body is not JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

impl Api {
    pub(crate) fn at(url: String) -> Self {
        let tls = openai_inbound_calls::net::tls::client_config().expect("a trust store");
        let builder = reqwest::Client::builder().tls_backend_preconfigured(tls.as_ref().clone()).no_proxy();
        Self { url, client: builder.timeout(PATIENCE).build().expect("a client") }
    }

    /// The API of a program, at the address that its log names.
    pub(crate) async fn of(program: &Program) -> Self {
        program.says("INFO", "API de grabaciones disponible en http://").await;
        let log = program.log();
        let (_, rest) = log.rsplit_once("API de grabaciones disponible en ").expect("it was said");
        Self::at(rest.split_whitespace().next().expect("an address").to_owned())
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, range: Option<&str>) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(range) = range {
            request = request.header(header::RANGE, range);
        }
        Self::send(request).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        Self::send(self.client.post(format!("{}{path}", self.url)).body(body.to_owned())).await
    }

    async fn send(request: reqwest::RequestBuilder) -> Answer {
        let answer = request.send().await.expect("an answer");
        let retry_after = answer.headers().get(header::RETRY_AFTER);
        Answer {
            status: answer.status().as_u16(),
            retry_after: retry_after.map(|value| value.to_str().expect("text").to_owned()),
            body: answer.bytes().await.expect("a body").into(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await
    }

    /// The first recording in this state, once there is one.
    pub(crate) async fn only(&self, state: &str) -> Value {
        self.wait_for(state, |recording| recording["state"] == state).await
    }

    /// The recording of this channel that a crash cut off, once the recording is complete.
    pub(crate) async fn recovered(&self, channel: &str) -> Value {
        let is_it = |recording: &Value| recording["state"] == "recovered" && recording["call_id"] == channel;
        self.wait_for(channel, is_it).await
    }

    async fn wait_for(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        const BETWEEN: Duration = ms(20);
        let deadline = now() + PATIENCE;
        loop {
            let answer = self.get("/recordings").await;
            // Status 503 means that the index is still being opened.
            assert!(matches!(answer.status, 200 | 503), "{}: {}", answer.status, answer.text());
            let list = answer.json();
            let all = list["recordings"].as_array().cloned().unwrap_or_default();
            if let Some(found) = all.iter().find(|recording| is_it(recording)) {
                return found.clone();
            }
            assert!(now() < deadline, "never {what}: {list}");
            tokio::time::sleep(BETWEEN).await;
        }
    }
}

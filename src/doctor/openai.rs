//! Asks the Realtime server for its models over HTTP, which tests the key and shows the server's time, and
//! opens one session with the configured settings. The session carries no audio and requests no response, so
//! it costs nothing.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use reqwest::header::DATE;
use rustls::ClientConfig;
use serde::Deserialize;
use tokio::time::timeout;

use super::facts::{Listed, OpenAi, Session};
use crate::clock::{now, wall};
use crate::config::RealtimeConfig;
use crate::net::answer::{self, Unread};
use crate::net::realtime_link::{Endpoint, RealtimeLink, SessionReport};
use crate::net::root_cause;
use crate::operator::{Detail, LinkFault, Notice};
use crate::peers::endpoint;
use crate::realtime::client::ClientEvent;
use crate::realtime::dialect::Differences;
use crate::realtime::error::{ApiError, ErrorClass, Refusal};
use crate::realtime::server::{self, Event};

/// The time limit of the request for the list.
const LIST_LIMIT: Duration = Duration::from_secs(6);
/// The time limit of the session, which is the time that a caller waits for one.
const SESSION_LIMIT: Duration = Duration::from_secs(8);
/// The largest list that is read, in bytes. OpenAI's list has about 30 kB. A longer answer is not a list of
/// models.
const LIST_BYTES: usize = 4 << 20;

/// Requests the list and opens the session at the same time.
pub(super) async fn look(config: &RealtimeConfig, tls: &Arc<ClientConfig>) -> anyhow::Result<OpenAi> {
    let endpoint = endpoint(config, Arc::clone(tls))?;
    let listed = async {
        let asked = async {
            let listed = list(config, &endpoint, tls).await;
            listed.unwrap_or_else(|error| {
                (Listed::Unreachable(Detail::new(root_cause(&error.without_url()))), None)
            })
        };
        let late = || (Listed::Unreachable(Detail::new(format!("{} s", LIST_LIMIT.as_secs()))), None);
        timeout(LIST_LIMIT, asked).await.unwrap_or_else(|_| late())
    };
    let opened = async {
        let tried = session(config, Arc::new(endpoint.clone()));
        timeout(SESSION_LIMIT, tried).await.unwrap_or(Session::Late(SESSION_LIMIT))
    };
    let ((list, clock_ahead), session) = tokio::join!(listed, opened);
    let mut models = vec![("OPENAI_REALTIME_MODEL", config.model.clone())];
    let transcription = config.session.transcription.as_ref();
    models.extend(transcription.map(|of| ("OPENAI_TRANSCRIPTION_MODEL", of.model.clone())));
    Ok(OpenAi { host: host(&config.url), models, list, clock_ahead, session })
}

fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or(rest).to_owned()
}

/// The list of models, and the time by which this machine's clock is ahead of the server's.
async fn list(
    config: &RealtimeConfig,
    endpoint: &Endpoint,
    tls: &Arc<ClientConfig>,
) -> Result<(Listed, Option<TimeDelta>), reqwest::Error> {
    let Some(url) = config.models_url() else { return Ok((Listed::NoList, None)) };
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls.as_ref().clone())
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()?;
    let request = endpoint
        .headers
        .iter()
        .fold(client.get(url), |request, (name, value)| request.header(name.clone(), value.clone()));
    let response = request.send().await?;
    let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
    let theirs = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok());
    let ahead = theirs.map(|theirs| wall().signed_duration_since(theirs));
    let status = response.status();
    let body = match answer::body(response, LIST_BYTES).await {
        Ok(body) => body,
        Err(Unread::TooLong(_)) => return Ok((Listed::NoList, ahead)),
        Err(Unread::Broken(error)) => return Err(error),
    };
    let listed = if status.is_success() { models(&body) } else { refusal(status.as_u16(), &body) };
    Ok((listed, ahead))
}

fn models(body: &[u8]) -> Listed {
    #[derive(Deserialize)]
    struct List {
        data: Vec<Model>,
    }
    #[derive(Deserialize)]
    struct Model {
        id: String,
        #[serde(default)]
        shutdown_date: Option<String>,
    }
    match serde_json::from_slice(body) {
        Ok(List { data }) if !data.is_empty() => {
            Listed::Models(data.into_iter().map(|model| (model.id, model.shutdown_date)).collect())
        }
        Ok(_) | Err(_) => Listed::NoList,
    }
}

fn refusal(status: u16, body: &[u8]) -> Listed {
    let body = String::from_utf8_lossy(body);
    let error = ApiError::of_body(&body);
    let message = if error.message.is_empty() { format!("HTTP {status}") } else { error.message.clone() };
    Listed::Status {
        status,
        code: error.complaint().code,
        refusal: Refusal::of_answer(status, &body),
        message: Detail::new(message),
    }
}

/// Opens a session as a call does, until the server confirms the settings.
async fn session(config: &RealtimeConfig, endpoint: Arc<Endpoint>) -> Session {
    let began = now();
    let asked = config.session.session(config.session.interrupt);
    let mut link = RealtimeLink::new(endpoint);
    link.open();
    let result = loop {
        let text = match link.next().await {
            SessionReport::Opened => continue,
            SessionReport::Text(text) => text,
            SessionReport::Ended { refusal: Some(refusal), cause } => {
                break Session::Refused(refusal.notice(&config.model, cause));
            }
            SessionReport::Ended { refusal: None, cause } => break Session::Lost(cause),
        };
        match server::parse(&text) {
            Ok(Event::SessionCreated) => {
                let update = ClientEvent::SessionUpdate { event_id: "doctor".into(), session: asked.clone() };
                link.push(update.to_json());
            }
            Ok(Event::SessionUpdated { session, .. }) => {
                let echoed = serde_json::from_str(&session).unwrap_or_default();
                let Differences { formats, others } = Differences::between(&asked, &echoed);
                break if formats.is_empty() {
                    Session::Configured { took: now() - began, others: Detail::new(others.join(", ")) }
                } else {
                    Session::WrongFormats(Detail::new(formats.join(", ")))
                };
            }
            Ok(Event::Error(error)) => break complaint(config, &error),
            Ok(_) | Err(_) => {}
        }
    };
    link.close();
    result
}

/// Treats an error before the session is ready as a refusal, unless the error is temporary.
fn complaint(config: &RealtimeConfig, error: &ApiError) -> Session {
    let told = LinkFault::Told(error.complaint());
    Session::Refused(match error.class() {
        ErrorClass::Permanent(refusal) => refusal.notice(&config.model, told),
        ErrorClass::Transient => return Session::Lost(told),
        _ => Notice::SessionRefused { cause: told },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_and_what_is_none_is_told_apart() {
        let body = br#"{"object":"list","data":[{"id":"a","object":"model","created":1,"owned_by":"system","shutdown_date":null},
            {"id":"b","shutdown_date":"2027-01-20"},{"id":"c"}]}"#;
        let expected = [("a", None), ("b", Some("2027-01-20")), ("c", None)];
        let expected = expected.map(|(id, date)| (id.to_owned(), date.map(str::to_owned))).to_vec();
        assert_eq!(models(body), Listed::Models(expected));
        assert_eq!(models(b"<html>"), Listed::NoList);
        assert_eq!(models(br#"{"data":[]}"#), Listed::NoList);
    }

    #[test]
    fn a_refusal_keeps_its_code_and_loses_the_key() {
        let body =
            br#"{"error":{"message":"Incorrect API key provided: sk-abc123def.","code":"invalid_api_key"}}"#;
        let Listed::Status { status, code, message, .. } = refusal(401, body) else { panic!("a status") };
        assert_eq!((status, code.to_string().as_str()), (401, "invalid_api_key"));
        assert!(!message.to_string().contains("abc123"), "{message}");
        assert!(matches!(refusal(502, b"<html>"), Listed::Status { status: 502, .. }));
    }

    #[test]
    fn the_host_is_shown_without_its_path() {
        assert_eq!(host("wss://api.openai.com/v1/realtime"), "api.openai.com");
        assert_eq!(host("ws://127.0.0.1:9/v1/realtime?x=y"), "127.0.0.1:9");
    }
}

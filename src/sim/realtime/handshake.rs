//! The upgrade request: which clients are accepted, and the error frame and close code for those that are not
//! (1–4).
//!
//! As on the real server, every refusal except a scripted one happens *after* `101`: one `error` frame, then
//! a close.

use std::time::Instant;

use serde_json::json;

use super::script::{Dialect, FaultKind, Script};
use super::validate::Rejection;
use super::{Handshake, Refusal, Session};

/// The Unix time of the start of a session if the script has no wall clock: 2026-11-20 12:50 UTC.
const SOME_DAY: u64 = 1_795_179_000;

/// The refusals in HTTP: scripted ones, and an unknown path.
pub(super) fn refusal(handshake: &Handshake<'_>, script: &Script) -> Result<(), Refusal> {
    let scripted = script.faults.iter().find_map(|fault| fault.kind.refusal());
    let (status, scripted_code) = match scripted {
        Some(refusal) => refusal,
        None if handshake.path == "/v1/realtime" => return Ok(()),
        None => (404, None),
    };
    if script.faults.iter().any(|fault| matches!(fault.kind, FaultKind::RefuseWithPage(_))) {
        let body = "<!DOCTYPE html>\n<html><body>Access to this site is blocked.</body></html>".to_owned();
        return Err(Refusal { status, body });
    }
    let (kind, code, message) = match status {
        401 => ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
        404 => ("invalid_request_error", "unknown_url", "Unknown request URL."),
        429 => ("tokens", "rate_limit_exceeded", "Rate limit reached."),
        _ => ("server_error", "server_error", "The server is overloaded."),
    };
    let code = scripted_code.unwrap_or(code);
    let body = json!({"error": {"type": kind, "code": code, "message": message, "param": null}}).to_string();
    Err(Refusal { status, body })
}

/// Answers `GET /v1/models` with a status and a body. The list includes transcription models.
pub fn models(script: &Script, authorization: Option<&str>) -> (u16, String) {
    let error = |status, code: &str, message: String| {
        let error = json!({"message": message, "type": "invalid_request_error", "param": null, "code": code});
        (status, json!({"error": error}).to_string())
    };
    if !script.lists_models {
        return error(404, "unknown_url", "Unknown request URL: GET /v1/models.".to_owned());
    }
    let key = authorization.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if let Some(message) = wrong_key(script, key) {
        return error(401, "invalid_api_key", message);
    }
    let transcribers = ["gpt-transcribe", "whisper-1"].map(str::to_owned);
    let data: Vec<_> = script
        .models
        .iter()
        .chain(&transcribers)
        .map(|id| {
            let shutdown = script.shutdowns.iter().find(|(model, _)| model == id).map(|(_, date)| date);
            json!({"id": id, "object": "model", "created": SOME_DAY, "owned_by": "system", "shutdown_date": shutdown})
        })
        .collect();
    (200, json!({"object": "list", "data": data}).to_string())
}

/// The message about a key that is not the expected one. None: the key is right.
fn wrong_key(script: &Script, key: &str) -> Option<String> {
    let shown: String = key.chars().take(7).collect();
    let is_wrong = key.is_empty() || script.key.as_ref().is_some_and(|expected| expected != key);
    is_wrong.then(|| {
        format!(
            "Incorrect API key provided: {shown}***. You can find your API key at https://platform.openai.com/account/api-keys."
        )
    })
}

/// The Unix time at `now`.
pub(super) fn unix_time(script: &Script, now: Instant) -> u64 {
    script.wall.map_or(SOME_DAY, |(then, unix)| match now.checked_duration_since(then) {
        Some(since) => unix + since.as_secs(),
        None => unix - then.duration_since(now).as_secs(),
    })
}

/// A parameter of the query.
pub(super) fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

impl Session {
    /// Whether the client is accepted. If not, the error and the close frame are queued.
    pub(super) fn greet_or_close(&mut self, handshake: &Handshake<'_>) -> bool {
        let header = |name: &str| {
            let found = handshake.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.as_str())
        };
        let beta_header = header("OpenAI-Beta");
        if self.script.dialect == Dialect::Beta && beta_header != Some("realtime=v1") {
            self.discipline("beta dialect without the header OpenAI-Beta: realtime=v1 (3)");
        }
        let Err(rejection) = self.judge_handshake(handshake.query, header("Authorization"), beta_header)
        else {
            return true;
        };
        let code = rejection.code.unwrap_or_default();
        let close = if code == "invalid_api_key" { 3000 } else { 4000 };
        self.refuse(&rejection, None);
        self.close(close, &format!("invalid_request_error.{code}"));
        false
    }

    fn judge_handshake(&self, query: &str, auth: Option<&str>, beta: Option<&str>) -> Result<(), Rejection> {
        let key = auth.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        if let Some(message) = wrong_key(&self.script, key) {
            return Err(Rejection::new("invalid_api_key", message, None));
        }
        if self.script.dialect != Dialect::Beta && beta.is_some() {
            let message =
                "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API.";
            return Err(Rejection::new("beta_api_shape_disabled", message, None));
        }
        let Some(model) = parameter(query, "model").filter(|model| !model.is_empty()) else {
            let message = "You must provide a model parameter, for example wss://api.openai.com/v1/realtime?model=gpt-realtime-1.5";
            return Err(Rejection::new("missing_model", message, None));
        };
        if !self.script.models.iter().any(|known| known == model) {
            let message = format!("Model \"{model}\" is not supported in realtime mode.");
            return Err(Rejection::new("invalid_model", message, None));
        }
        Ok(())
    }
}

//! What the answer of a server means for a tool or a look-up.

use serde_json::Value;

use super::Effect;
use super::mask::Masks;
use super::outcome::Outcome;
use super::render::{Place, RenderError};
use super::request::Facts;
use super::template::{Scope, Template, ValueError};

/// The answer of a server.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// The status code (RFC 9110 section 15).
    pub status: u16,
    /// The body: JSON if it is some, otherwise a text. No body is `null`.
    pub body: Value,
}

impl Response {
    /// Reads a body, whatever media type the server says that it has.
    #[must_use]
    pub fn new(status: u16, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let text = text.trim_start_matches('\u{feff}').trim();
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
        };
        Self { status, body }
    }

    /// The answer without secrets. A mapping could take a secret apart, or write it otherwise, so that nothing would find it.
    fn masked(&self, masks: &Masks) -> Self {
        Self { status: self.status, body: masks.value(self.body.clone()) }
    }

    /// Whether the server says that it was done.
    const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }
}

/// How an answer becomes a result.
#[derive(Debug, Default, PartialEq)]
pub struct Mapping {
    /// The result of a success. `None`: the body.
    pub result: Option<Template>,
    /// The message of a refusal. `None`: the body.
    pub error: Option<Template>,
}

/// What an answer means, and what is wrong with the mapping of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapped {
    /// How the call of the tool ended.
    pub outcome: Outcome,
    /// The mapping does not fit the answer: the operator should know.
    pub fault: Option<RenderError>,
}

impl Mapping {
    /// The templates.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        self.result.iter().chain(&self.error)
    }

    /// What the answer means for a tool with this effect. Secrets in it are masked.
    #[must_use]
    pub fn outcome(
        &self,
        response: &Response,
        facts: &Facts<'_>,
        args: &Value,
        effect: Effect,
        masks: &Masks,
    ) -> Mapped {
        let response = &response.masked(masks);
        let scope = scope(response, facts).with("args", args);
        let known = |outcome| Mapped { outcome, fault: None };
        match response.status {
            200..=299 => match mapped(self.result.as_ref(), response, &scope) {
                Ok(result) => known(Outcome::Done { result: masks.value(result) }),
                // What a writing tool did stays done, although its result cannot be read.
                Err(error) => {
                    let outcome = match effect {
                        Effect::Read => Outcome::Unavailable,
                        Effect::Write => Outcome::Done { result: Value::Null },
                    };
                    Mapped { outcome, fault: Some(fault(error)) }
                }
            },
            // Nothing was done: the server does not know the method (501) or the version of HTTP (505), or has no capacity (503).
            501 | 503 | 505 => known(Outcome::Unavailable),
            // Whatever was asked for may be done. The server, or a proxy before it, could not say what became of the request, or the
            // server sends browsers elsewhere after the deed, which is not followed.
            ..=199 | 300..=399 | 408 | 500.. if effect == Effect::Write => known(Outcome::Unknown),
            400..=499 if ![401, 403, 407, 408, 421, 425, 429].contains(&response.status) => {
                let (message, fault) = match mapped(self.error.as_ref(), response, &scope) {
                    Ok(message) => (message, None),
                    Err(error) => (Value::Null, Some(fault(error))),
                };
                Mapped { outcome: Outcome::Refused { message: masks.value(message) }, fault }
            }
            // The rest is no fault of the arguments.
            _ => known(Outcome::Unavailable),
        }
    }

    /// The result of a look-up. `None`: there is none, because the server has none or the answer does not fit.
    ///
    /// # Errors
    /// The mapping does not fit the answer.
    pub fn found(
        &self,
        response: &Response,
        facts: &Facts<'_>,
        masks: &Masks,
    ) -> Result<Option<Value>, RenderError> {
        if !response.is_success() {
            return Ok(None);
        }
        let response = &response.masked(masks);
        let result = mapped(self.result.as_ref(), response, &scope(response, facts)).map_err(fault)?;
        Ok(Some(masks.value(result)).filter(|result| !result.is_null()))
    }
}

fn scope(response: &Response, facts: &Facts<'_>) -> Scope {
    facts.scope().with("status", &response.status).with("body", &response.body)
}

fn fault(error: ValueError) -> RenderError {
    RenderError::Value { place: Place::Result, error }
}

/// The value of the template, or the body if there is no template.
fn mapped(template: Option<&Template>, response: &Response, scope: &Scope) -> Result<Value, ValueError> {
    match template {
        None => Ok(response.body.clone()),
        Some(template) => Ok(template.value(scope)?.unwrap_or_default()),
    }
}

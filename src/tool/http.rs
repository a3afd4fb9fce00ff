//! A tool that is carried out by a request of HTTP.

use super::Effect;
use super::mask::Masks;
use super::parameters::Arguments;
use super::render::RenderError;
use super::request::{Facts, HttpRequest, Request, Secrets};
use super::response::{Mapped, Mapping, Response};

/// The request of a tool, and what its answer means.
#[derive(Debug, PartialEq)]
pub struct HttpTool {
    /// The request.
    pub request: Request,
    /// The header for the key that tells the server that two requests are one. `None`: the server knows no such key.
    pub idempotency: Option<String>,
    /// How the answer becomes a result.
    pub mapping: Mapping,
}

impl HttpTool {
    /// The request with these values. `key` is the idempotency key, which is sent if the tool has a header for it.
    ///
    /// # Errors
    /// See [`Request::render`].
    pub fn request(
        &self,
        facts: &Facts<'_>,
        arguments: &Arguments,
        key: &str,
        secrets: Secrets<'_>,
    ) -> Result<HttpRequest, RenderError> {
        self.request.render(facts, arguments.value(), secrets, self.key_header(key))
    }

    /// The request as it may be shown, with masked secrets.
    ///
    /// # Errors
    /// See [`Request::render`].
    pub fn dry(
        &self,
        facts: &Facts<'_>,
        arguments: &Arguments,
        key: &str,
    ) -> Result<HttpRequest, RenderError> {
        self.request.dry(facts, arguments.value(), self.key_header(key))
    }

    fn key_header<'a>(&'a self, key: &'a str) -> Option<(&'a str, &'a str)> {
        self.idempotency.as_deref().map(|header| (header, key))
    }

    /// What the answer of the server means for a tool with this effect.
    #[must_use]
    pub fn outcome(
        &self,
        response: &Response,
        facts: &Facts<'_>,
        arguments: &Arguments,
        effect: Effect,
        masks: &Masks,
    ) -> Mapped {
        self.mapping.outcome(response, facts, arguments.value(), effect, masks)
    }
}

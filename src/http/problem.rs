//! Errors as RFC 9457 has them: `application/problem+json`, with a `code` for programs and a `detail` for people.
//!
//! English, like the rest of the API: its readers are programs and those who write them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::recordings::LibraryError;
use crate::recordings::index::IndexError;
use crate::registry::RegistryError;

/// An error, RFC 9457.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Problem {
    /// Always `about:blank`: what happened is told by `status` and `code`.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The name of the status.
    #[schema(example = "Not Found")]
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599, example = 404)]
    status: u16,
    /// What happened, for programs; does not change between versions.
    #[schema(example = "no_such_recording")]
    code: &'static str,
    /// What happened, for people.
    #[schema(example = "there is no such recording")]
    detail: String,
    /// A header that belongs to it.
    #[serde(skip)]
    header: Option<Box<(header::HeaderName, HeaderValue)>>,
}

impl Problem {
    /// Something else than what follows.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            header: None,
        }
    }

    /// No such recording, which is also said of whatever is no id.
    #[must_use]
    pub fn no_such_recording() -> Self {
        Self::new(StatusCode::NOT_FOUND, "no_such_recording", "there is no such recording")
    }

    /// A path that leads nowhere.
    #[must_use]
    pub fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "no_such_path", "nothing is here; see /openapi.json")
    }

    /// A parameter we do not know or cannot read.
    #[must_use]
    pub fn bad_parameter(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_parameter", detail)
    }

    /// A defect of ours, or of the disk; the cause goes into the technical log, not to whoever asked.
    #[must_use]
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::warn!(%cause, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "it failed; the technical log tells more")
    }

    /// The same, with a header.
    #[must_use]
    pub fn with(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.header = Some(Box::new((name, value)));
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some((name, value)) = self.header.map(|header| *header) {
            headers.insert(name, value);
        }
        response
    }
}

impl From<LibraryError> for Problem {
    fn from(error: LibraryError) -> Self {
        match error {
            LibraryError::NotFound => Self::no_such_recording(),
            LibraryError::Live => Self::new(StatusCode::CONFLICT, "running", "the call is still running"),
            LibraryError::Sealed => Self::new(
                StatusCode::FORBIDDEN,
                "sealed",
                "it is encrypted, and the identity that opens it is not on this machine",
            ),
            LibraryError::NotKept => {
                Self::new(StatusCode::NOT_FOUND, "not_kept", "this was not kept of the recording")
            }
            LibraryError::Damaged(what) => {
                tracing::warn!(%what, "a damaged recording");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "damaged", "the recording's file is damaged")
            }
            LibraryError::Io(error) => Self::internal(error),
        }
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        tracing::debug!(%error, "the call log does not answer");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "call_log_unavailable",
            "the database of the call log does not answer now; no call is missing in it when it does",
        )
        .with(header::RETRY_AFTER, HeaderValue::from_static("30"))
    }
}

impl From<IndexError> for Problem {
    fn from(error: IndexError) -> Self {
        tracing::debug!(%error, "the index does not answer");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "index_unavailable",
            "the index is not there now; try again",
        )
        .with(header::RETRY_AFTER, HeaderValue::from_static("30"))
    }
}

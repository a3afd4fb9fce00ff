//! Errors in the format of RFC 9457: `application/problem+json`, with a `code` for programs and a `detail` for
//! people.
//!
//! The texts are English, like the rest of the API, because they are read by programs and by the people who write
//! them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::recordings::LibraryError;
use crate::recordings::index::IndexError;
use crate::registry::RegistryError;

/// An error in the format of RFC 9457.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Problem {
    /// Always `about:blank`: `status` and `code` say what happened.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The name of the HTTP status.
    #[schema(example = "Not Found")]
    title: &'static str,
    /// The HTTP status code.
    #[schema(minimum = 400, maximum = 599, example = 404)]
    status: u16,
    /// What happened, as a code for programs. Codes do not change between versions.
    #[schema(example = "no_such_recording")]
    code: &'static str,
    /// What happened, as a sentence for people.
    #[schema(example = "there is no such recording")]
    detail: String,
    /// An additional response header, such as `Retry-After`.
    #[serde(skip)]
    header: Option<Box<(header::HeaderName, HeaderValue)>>,
}

impl Problem {
    /// Creates a problem that has no constructor of its own.
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

    /// There is no such recording. The same answer is given for a text that is not a valid id.
    #[must_use]
    pub fn no_such_recording() -> Self {
        Self::new(StatusCode::NOT_FOUND, "no_such_recording", "there is no such recording")
    }

    /// The path belongs to no route.
    #[must_use]
    pub fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "no_such_path", "nothing is here; see /openapi.json")
    }

    /// A parameter is unknown or cannot be parsed.
    #[must_use]
    pub fn bad_parameter(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_parameter", detail)
    }

    /// The program or the disk failed. The cause goes into the technical log and not to the client.
    #[must_use]
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::warn!(%cause, "a request failed");
        Self::failed()
    }

    fn failed() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "it failed; the technical log tells more")
    }

    /// Adds a response header.
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

/// The log receives the cause separately (`http::said`).
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
            LibraryError::Damaged(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "damaged", "the recording's file is damaged")
            }
            LibraryError::Io(_) => Self::failed(),
        }
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        tracing::debug!(%error, "the call log does not answer");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "call_log_unavailable",
            "the database of the call log does not answer now; it receives the calls of this time once it does, except those \
             that wait in the memory of a daemon which is stopped before",
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

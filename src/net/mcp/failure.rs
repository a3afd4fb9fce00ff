//! What the errors of the library mean for what was done. Their texts may quote addresses and answers, so none of them is shown.

use std::error::Error;
use std::io;

use rmcp::service::{ClientInitializeError, ServiceError};
use rmcp::transport::DynamicTransportError;
use rmcp::transport::streamable_http_client::{HttpStatusError, StreamableHttpError};

use crate::net::root_cause;
use crate::net::tools::Forbidden;
use crate::tool::{Failure, Reply};

/// Why a call brought no result: a refusal of the server is a reply.
pub(super) fn failure(error: ServiceError) -> Result<Reply, Failure> {
    Err(match error {
        ServiceError::McpError(error) => {
            return Ok(Reply::Error { code: i64::from(error.code.0), message: error.message.into_owned() });
        }
        ServiceError::TransportSend(error) => of_transport(&error),
        ServiceError::TransportClosed => Failure::Unanswered("the connection was closed".to_owned()),
        ServiceError::Timeout { .. } => Failure::Late,
        _ => Failure::Unanswered("an answer of another kind".to_owned()),
    })
}

/// Why there is no session, in words without addresses and answers.
pub(super) fn cause(error: &ClientInitializeError) -> String {
    match error {
        ClientInitializeError::TransportError { error, .. } => of_transport(error).to_string(),
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => cause(fallback),
        ClientInitializeError::ConnectionClosed(_) => "the connection was closed".to_owned(),
        ClientInitializeError::JsonRpcError(error) => format!("the server refuses (code {})", error.code.0),
        ClientInitializeError::NoCompatibleProtocolVersion { .. } => {
            "the server speaks no version of MCP that is known here".to_owned()
        }
        _ => "no answer that MCP knows".to_owned(),
    }
}

fn of_transport(error: &DynamicTransportError) -> Failure {
    causes(error.error.as_ref())
        .find_map(known)
        .unwrap_or_else(|| Failure::Unanswered("the connection failed".to_owned()))
}

/// The error and its causes, from the outside in.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause| cause.source())
}

/// What this cause means, if it is one of those that tell.
fn known(cause: &(dyn Error + 'static)) -> Option<Failure> {
    if let Some(error) = cause.downcast_ref::<StreamableHttpError<reqwest::Error>>() {
        return of_http(error);
    }
    let error = cause.downcast_ref::<io::Error>()?;
    // Nobody reads the other end of the pipe.
    let is_sent = error.kind() != io::ErrorKind::BrokenPipe;
    let words = error.kind().to_string();
    Some(if is_sent { Failure::Unanswered(words) } else { Failure::NotSent(words) })
}

fn of_http(error: &StreamableHttpError<reqwest::Error>) -> Option<Failure> {
    let not_sent = |words: &str| Some(Failure::NotSent(words.to_owned()));
    match error {
        // The library does not name this error as a cause.
        StreamableHttpError::Client(error) if causes(error).any(|cause| cause.is::<Forbidden>()) => {
            Some(Failure::Forbidden)
        }
        StreamableHttpError::Client(error) if error.is_connect() => Some(Failure::NotSent(root_cause(error))),
        StreamableHttpError::Client(error) => Some(Failure::Unanswered(root_cause(error))),
        StreamableHttpError::HttpStatus(HttpStatusError { status: status @ 429, .. }) => {
            not_sent(&format!("HTTP {status}"))
        }
        StreamableHttpError::HttpStatus(HttpStatusError { status, .. }) => {
            Some(Failure::Unanswered(format!("HTTP {status}")))
        }
        StreamableHttpError::AuthRequired(_) => not_sent("HTTP 401"),
        StreamableHttpError::InsufficientScope(_) => not_sent("HTTP 403"),
        StreamableHttpError::SessionExpired => not_sent("HTTP 404"),
        StreamableHttpError::ReservedHeaderConflict(_) => not_sent("a header cannot be sent"),
        StreamableHttpError::ResponseBodyTooLarge { .. } => Some(Failure::TooLarge { status: 200 }),
        StreamableHttpError::UnexpectedServerResponse(text) => {
            // The library has no other way to say the status. What follows it is the answer.
            let status = text.strip_prefix("HTTP ").and_then(|rest| rest.get(..3)?.parse::<u16>().ok());
            Some(match status {
                Some(status @ 300..500) => Failure::NotSent(format!("HTTP {status}")),
                Some(status) => Failure::Unanswered(format!("HTTP {status}")),
                None => Failure::Unanswered("an answer that MCP does not know".to_owned()),
            })
        }
        _ => None,
    }
}

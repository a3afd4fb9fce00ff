//! Builds the document at `/openapi.json` from the routes and the types of their answers. It adds the answers that
//! the guard and the server give in place of any route.

use bytes::Bytes;
use utoipa::OpenApi as _;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response};

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "openai-inbound-calls",
    description = "List, read, play and delete the recordings of calls; list the call log and sum it up; watch and control calls in progress. Errors are problems in the format of RFC 9457."
))]
struct Document;

/// The document without routes; the router adds them.
pub(super) fn begin() -> OpenApi {
    Document::openapi()
}

/// Completes the document with the security scheme and the answers that all routes share, and returns it as JSON.
pub(super) fn finish(mut document: OpenApi, asks_for_tokens: bool) -> Bytes {
    if asks_for_tokens {
        let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        document.components.get_or_insert_default().add_security_scheme("token", bearer);
        document.security = Some(vec![SecurityRequirement::new("token", [""; 0])]);
    }
    for path in document.paths.paths.values_mut() {
        for operation in operations(path) {
            leave_events_open(operation);
            let mut also = vec![
                ("400", "A parameter is invalid or unknown"),
                ("500", "The disk failed or a file is damaged. The technical log holds the cause"),
            ];
            if operation.security.is_none() && asks_for_tokens {
                also.push(("401", "The request needs a valid token"));
                also.push(("403", "The token permits only reading, or the recording is encrypted"));
                also.push(("429", "This address has sent too many wrong tokens within a minute"));
            }
            if !asks_for_tokens {
                also.push(("401", "This user of the machine may not use the API"));
                also.push((
                    "403",
                    "The request comes from a page of another site, or the recording is encrypted",
                ));
                also.push(("421", "The Host header does not name this machine"));
            }
            for (status, description) in also {
                operation
                    .responses
                    .responses
                    .entry(status.to_owned())
                    .or_insert_with(|| problem(description).into());
            }
        }
    }
    Bytes::from(document.to_json().unwrap_or_default())
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut path.get, &mut path.post, &mut path.delete].into_iter().filter_map(Option::as_mut)
}

/// Removes the schema of a stream of events. OpenAPI 3.1 cannot describe the events of a stream, so some tools would
/// take the schema for that of one event and others for that of the whole stream.
fn leave_events_open(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response
            && let Some(RefOr::T(content)) = response.content.get_mut("text/event-stream")
        {
            content.schema = None;
        }
    }
}

fn problem(description: &str) -> Response {
    let schema = Some(Ref::from_schema_name("Problem"));
    Response::builder()
        .description(description)
        .content("application/problem+json", Content::new(schema))
        .build()
}

//! The document at `/openapi.json`: made from the routes and the types they answer with, completed with what the
//! guard and the server answer in place of any route.

use bytes::Bytes;
use utoipa::OpenApi as _;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response};

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "openai-inbound-calls",
    description = "Recordings of the calls: list, read, hear, delete. The call log: list, sums. Errors are RFC 9457 problems."
))]
struct Document;

/// The document before the routes are known.
pub(super) fn begin() -> OpenApi {
    Document::openapi()
}

/// The document of these routes, as JSON.
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
                ("400", "A parameter is wrong or unknown"),
                ("500", "The disk failed, or a file is damaged; the technical log tells more"),
            ];
            if operation.security.is_none() && asks_for_tokens {
                also.push(("401", "A token is needed"));
                also.push(("403", "The token may only read, or the recording is encrypted"));
                also.push(("429", "Too many wrong tokens came from this address within a minute"));
            }
            if !asks_for_tokens {
                also.push(("401", "This user of the machine is not let in"));
                also.push(("403", "A page of another site asks, or the recording is encrypted"));
                also.push(("421", "The Host is not this machine"));
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

/// Takes the schema off a stream of events: OpenAPI 3.1 has no word for what is in one, so that some tools take a schema
/// for that of an event, others for that of the whole stream.
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

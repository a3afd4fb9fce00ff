//! Builds the document at `/openapi.json` from the routes and the types of their answers. It adds the answers that
//! the guard and the server give in place of any route, and the body of errors, which all routes share.
//!
//! The routes name their answers themselves, without `utoipa::IntoResponses`: the two routes that share most answers
//! share five, and a type for these five would take more lines than it saves.

use bytes::Bytes;
use utoipa::OpenApi as _;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response};

use super::guard::MONITORED;
use super::problem::Problem;

/// The beginning of the paths that use the disk of the recordings.
const DISK: &str = "/recordings";
/// The beginning of the paths that use the files of one recording.
const RECORDING: &str = "/recordings/{id}";
/// The beginning of the paths that need the content of a recording's files.
const FILES: &str = "/recordings/{id}/";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "openai-inbound-calls",
        description = "List, read, play and delete the recordings of calls; list the call log and sum it up; watch and control calls in progress. Errors are problems in the format of RFC 9457."
    ),
    components(schemas(Problem))
)]
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
    for (path, item) in &mut document.paths.paths {
        for (is_safe, operation) in operations(item) {
            leave_events_open(operation);
            let asked = Asked { path, is_safe, is_open: operation.security.is_some() };
            for (status, description) in asked.shared_answers(asks_for_tokens) {
                add(operation, status, description);
            }
            give_errors_their_body(operation);
        }
    }
    Bytes::from(document.to_json().unwrap_or_default())
}

/// The operations of a path, each with whether it only reads.
fn operations(path: &mut PathItem) -> impl Iterator<Item = (bool, &mut Operation)> {
    let all = [(true, &mut path.get), (false, &mut path.post), (false, &mut path.delete)];
    all.into_iter()
        .filter_map(|(is_safe, operation)| operation.as_mut().map(|operation| (is_safe, operation)))
}

/// What decides which answers of the guard and the server an operation can have.
struct Asked<'a> {
    path: &'a str,
    /// Whether the operation only reads.
    is_safe: bool,
    /// Whether the operation never needs a token.
    is_open: bool,
}

impl Asked<'_> {
    /// The answers that the guard and the server give in place of the route.
    fn shared_answers(&self, asks_for_tokens: bool) -> Vec<(&'static str, String)> {
        let is_monitored = MONITORED.contains(&self.path);
        let mut answers = vec![("400", "A parameter is invalid or unknown".to_owned())];
        if self.path.starts_with(RECORDING) {
            let text = "The disk failed or a file is damaged. The technical log holds the cause";
            answers.push(("500", text.to_owned()));
        }
        if self.path.starts_with(DISK) {
            answers.push(("503", "The disk does not answer in time".to_owned()));
        }
        if !is_monitored {
            answers.push(("503", "Too many connections are busy".to_owned()));
        }
        let mut forbidden = Vec::new();
        if asks_for_tokens && !self.is_open {
            answers.push(("401", "The request needs a valid token".to_owned()));
            answers.push(("429", "This address has sent too many wrong tokens within a minute".to_owned()));
            forbidden.extend((!self.is_safe).then_some("the token permits only reading"));
            forbidden.push("the request has a login's cookie and comes from a page of another site");
        }
        if !asks_for_tokens {
            if !is_monitored {
                answers.push(("401", "This user of the machine may not use the API".to_owned()));
            }
            answers.push(("421", "The Host header does not name this machine".to_owned()));
            forbidden.push("the request comes from a page of another site");
        }
        if self.path.starts_with(FILES) {
            forbidden.push("the recording is encrypted and its key is not on this machine");
        }
        if !forbidden.is_empty() {
            answers.push(("403", format!("Refused for one of these reasons: {}", forbidden.join("; "))));
        }
        answers
    }
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

/// Adds a reason for an answer with this status, beside the reasons that the operation already has.
fn add(operation: &mut Operation, status: &str, reason: String) {
    match operation.responses.responses.get_mut(status) {
        Some(RefOr::T(answer)) => answer.description = format!("{}. Or: {reason}", answer.description),
        Some(RefOr::Ref(_)) => {}
        None => {
            let answer = Response::builder().description(reason).build();
            operation.responses.responses.insert(status.to_owned(), answer.into());
        }
    }
}

/// Gives every error whose body the route does not describe the body of a problem.
fn give_errors_their_body(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.starts_with(['4', '5'])
            && response.content.is_empty()
        {
            let body = Content::new(Some(Ref::from_schema_name("Problem")));
            response.content.insert("application/problem+json".to_owned(), body.into());
        }
    }
}

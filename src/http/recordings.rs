//! The routes of recordings. What waits for the disk is done beside the runtime.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::Api;
use super::audio::{self, Offer};
use super::listing::{
    AudioQuery, Bytes, Channel, Id, IdPath, List, ListQuery, NoQuery, Params, PartHeaders, Recording,
};
use super::problem::Problem;
use crate::recordings::{Audio, Document, Side};
use crate::registry::Whose;

/// The recordings, newest first.
#[utoipa::path(
    get, path = "/recordings", operation_id = "list_recordings", tag = "recordings", params(ListQuery),
    responses(
        (status = 200, description = "A page of them", body = List),
        (status = 503, description = "The index is being opened", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(api): State<Api>,
    Params(query): Params<ListQuery>,
) -> Result<Response, Problem> {
    let page = match api.index().page(&query.filter(api.country())?).await {
        Ok(page) => page,
        Err(error) => {
            api.feed().check();
            return Err(error.into());
        }
    };
    let feed = api.feed().clone();
    let page = api.on_disk(move |library| page.held_to_files(library, &feed)).await?;
    Ok(json(&List::from(&page)))
}

/// One recording.
#[utoipa::path(
    get, path = "/recordings/{id}", operation_id = "get_recording", tag = "recordings", params(IdPath),
    responses(
        (status = 200, description = "It", body = Recording),
        (status = 404, description = "There is no such recording", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn one(
    State(api): State<Api>,
    Id(id): Id,
    Params(NoQuery {}): Params<NoQuery>,
) -> Result<Response, Problem> {
    let asked = id.clone();
    let mut facts = api.read(&id, move |library| library.facts(&asked)).await?;
    if facts.told.is_none() {
        // Encrypted, and no identity here: what the index heard while the call ran is all there is.
        facts.told = api.index().find(&id).await.ok().flatten().and_then(|known| known.told);
    }
    Ok(json(&Recording::from(&facts)))
}

/// The conversation, as its file has it.
#[utoipa::path(
    get, path = "/recordings/{id}/conversation", operation_id = "get_conversation", tag = "recordings", params(IdPath),
    responses(
        (status = 200, description = "What was said, and all about the call", body = serde_json::Value, content_type = "application/json"),
        (status = 404, description = "There is no such recording", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn conversation(
    State(api): State<Api>,
    Id(id): Id,
    Params(NoQuery {}): Params<NoQuery>,
) -> Result<Response, Problem> {
    let asked = id.clone();
    let read = api.read(&id, move |library| library.conversation(&asked)).await?;
    Ok(document(read, "application/json"))
}

/// The summary, for people.
#[utoipa::path(
    get, path = "/recordings/{id}/summary", operation_id = "get_summary", tag = "recordings", params(IdPath),
    responses(
        (status = 200, description = "Who, when, why it ended, and the dialogue", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such recording", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn summary(
    State(api): State<Api>,
    Id(id): Id,
    Params(NoQuery {}): Params<NoQuery>,
) -> Result<Response, Problem> {
    let asked = id.clone();
    let read = api.read(&id, move |library| library.summary(&asked)).await?;
    Ok(document(read, "text/plain; charset=utf-8"))
}

/// What happened to the session.
#[utoipa::path(
    get, path = "/recordings/{id}/events", operation_id = "get_events", tag = "recordings", params(IdPath),
    responses(
        (status = 200, description = "In the order in which it happened", body = Vec<serde_json::Value>, content_type = "application/json"),
        (status = 404, description = "There is no such recording, or its events were not kept", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn events(
    State(api): State<Api>,
    Id(id): Id,
    Params(NoQuery {}): Params<NoQuery>,
) -> Result<Response, Problem> {
    let asked = id.clone();
    let read = api.read(&id, move |library| library.events(&asked)).await?;
    Ok(document(read, "application/json"))
}

/// What was heard: WAV, µ-law, 8 kHz.
#[utoipa::path(
    get, path = "/recordings/{id}/audio", operation_id = "get_audio", tag = "recordings",
    params(IdPath, AudioQuery, PartHeaders),
    responses(
        (status = 200, description = "All of it", body = inline(Bytes), content_type = "audio/wav"),
        (status = 206, description = "The part asked for", body = inline(Bytes), content_type = "audio/wav"),
        (status = 304, description = "It is as the client has it"),
        (status = 404, description = "There is no such recording, or its sound was not kept", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Encrypted, and the call is still running", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "It is not in the state that the request is meant for", body = Problem, content_type = "application/problem+json"),
        (status = 416, description = "It has no such bytes", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn audio(
    State(api): State<Api>,
    Id(id): Id,
    Params(query): Params<AudioQuery>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (side, suffix) = match query.channel {
        Channel::Caller => (Side::Caller, "_caller"),
        Channel::Assistant => (Side::Assistant, "_assistant"),
        Channel::Both => (Side::Both, ""),
    };
    let asked = id.clone();
    let sound: Audio = api.read(&id, move |library| library.audio(&asked, side)).await?;
    let file_name = format!("{id}_audio{suffix}.wav");
    let offer = Offer { audio: sound, content_type: "audio/wav", file_name };
    audio::respond(&method, &headers, offer, api.pace(), api.now().into())
}

/// The assistant's µ-law as the model sent it: 8 kHz, mono, no header.
#[utoipa::path(
    get, path = "/recordings/{id}/audio.bin", operation_id = "get_audio_bin", tag = "recordings",
    params(IdPath, PartHeaders),
    responses(
        (status = 200, description = "All of it", body = inline(Bytes), content_type = "application/octet-stream"),
        (status = 206, description = "The part asked for", body = inline(Bytes), content_type = "application/octet-stream"),
        (status = 304, description = "It is as the client has it"),
        (status = 404, description = "There is no such recording, or its sound was not kept", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Encrypted, and the call is still running", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "It is not in the state that the request is meant for", body = Problem, content_type = "application/problem+json"),
        (status = 416, description = "It has no such bytes", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn bin(
    State(api): State<Api>,
    Id(id): Id,
    Params(NoQuery {}): Params<NoQuery>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = id.clone();
    let sound = api.read(&id, move |library| library.bin(&asked)).await?;
    let file_name = format!("{id}_audio.bin");
    let offer = Offer { audio: sound, content_type: "application/octet-stream", file_name };
    audio::respond(&method, &headers, offer, api.pace(), api.now().into())
}

/// Deletes every file of a recording, or none. The call log forgets who called whom, and damaged databases that were put
/// aside are removed, because they may hold it too.
#[utoipa::path(
    delete, path = "/recordings/{id}", operation_id = "delete_recording", tag = "recordings", params(IdPath),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "There is no such recording", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The call is still running", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The files are gone; the call log cannot be written now, and forgets as soon as it can", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete(
    State(api): State<Api>,
    Id(id): Id,
    Params(NoQuery {}): Params<NoQuery>,
) -> Result<StatusCode, Problem> {
    let asked = id.clone();
    api.read(&id, move |library| library.delete(&asked)).await?;
    // A list asked for right after this does not show it; should this fail, the list itself finds out.
    if api.index().remove(std::slice::from_ref(&id)).await.is_err() {
        api.feed().gone(id.clone());
    }
    api.log().erase(Whose::Recording(id.to_string())).await?;
    api.remove_aside().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A JSON answer.
pub(super) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => {
            ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
        }
        Err(error) => Problem::internal(error).into_response(),
    }
}

fn document(read: Document, content_type: &'static str) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], read.text).into_response()
}

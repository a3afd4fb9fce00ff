//! The routes of recordings. All work on files runs on blocking threads, not on the runtime's thread.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::Api;
use super::audio::{self, Offer};
use super::body::json;
use super::listing::{AudioQuery, Bytes, Channel, Id, IdPath, List, ListQuery, PartHeaders, Recording};
use super::problem::Problem;
use super::query::{NoQuery, Params};
use crate::recordings::{Audio, Document, Side};

/// Lists the recordings, newest first.
#[utoipa::path(
    get, path = "/recordings", operation_id = "list_recordings", tag = "recordings", params(ListQuery),
    responses(
        (status = 200, description = "One page of recordings", body = List),
        (status = 503, description = "The index of recordings is being opened and cannot be searched yet"),
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

/// Describes one recording.
#[utoipa::path(
    get, path = "/recordings/{id}", operation_id = "get_recording", tag = "recordings", params(IdPath),
    responses(
        (status = 200, description = "The recording", body = Recording),
        (status = 404, description = "There is no such recording"),
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
        // The files are encrypted and this machine has no key for them. Only what the index learned during the call
        // is known.
        facts.told = api.index().find(&id).await.ok().flatten().and_then(|known| known.told);
    }
    Ok(json(&Recording::from(&facts)))
}

/// Returns the conversation file of a recording.
#[utoipa::path(
    get, path = "/recordings/{id}/conversation", operation_id = "get_conversation", tag = "recordings", params(IdPath),
    responses(
        (status = 200, description = "What was said, with the details of the call", body = serde_json::Value, content_type = "application/json"),
        (status = 404, description = "There is no such recording"),
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

/// Returns the summary of a call as text for people.
#[utoipa::path(
    get, path = "/recordings/{id}/summary", operation_id = "get_summary", tag = "recordings", params(IdPath),
    responses(
        (status = 200, description = "The participants, the time, the reason why the call ended, and the dialogue", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such recording"),
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

/// Lists the technical events of a call: what happened between the daemon, Asterisk and OpenAI.
#[utoipa::path(
    get, path = "/recordings/{id}/events", operation_id = "get_events", tag = "recordings", params(IdPath),
    responses(
        (status = 200, description = "The events, in the order in which they happened", body = Vec<serde_json::Value>, content_type = "application/json"),
        (status = 404, description = "There is no such recording, or its events were not kept"),
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

/// Returns what was heard during the call, as a WAV file (G.711 µ-law, 8 kHz).
#[utoipa::path(
    get, path = "/recordings/{id}/audio", operation_id = "get_audio", tag = "recordings",
    params(IdPath, AudioQuery, PartHeaders),
    responses(
        (status = 200, description = "The whole file", body = inline(Bytes), content_type = "audio/wav"),
        (status = 206, description = "The requested part of the file", body = inline(Bytes), content_type = "audio/wav"),
        (status = 304, description = "The file has not changed: the client's copy is current"),
        (status = 404, description = "There is no such recording, or its audio was not kept"),
        (status = 409, description = "The recording is encrypted and the call is still running"),
        (status = 412, description = "The file is not in the state that the request requires"),
        (status = 416, description = "The requested range is beyond the end of the file"),
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

/// Returns the assistant's audio as the model sent it: G.711 µ-law, 8 kHz, mono, without a header.
#[utoipa::path(
    get, path = "/recordings/{id}/audio.bin", operation_id = "get_audio_bin", tag = "recordings",
    params(IdPath, PartHeaders),
    responses(
        (status = 200, description = "The whole file", body = inline(Bytes), content_type = "application/octet-stream"),
        (status = 206, description = "The requested part of the file", body = inline(Bytes), content_type = "application/octet-stream"),
        (status = 304, description = "The file has not changed: the client's copy is current"),
        (status = 404, description = "There is no such recording, or its audio was not kept"),
        (status = 409, description = "The recording is encrypted and the call is still running"),
        (status = 412, description = "The file is not in the state that the request requires"),
        (status = 416, description = "The requested range is beyond the end of the file"),
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

/// Deletes all files of a recording, or none.
///
/// If one file cannot be deleted, none is. The call log erases the numbers of the caller and the callee. Damaged
/// databases that were set aside are removed as well, because they may hold these numbers.
#[utoipa::path(
    delete, path = "/recordings/{id}", operation_id = "delete_recording", tag = "recordings", params(IdPath),
    responses(
        (status = 204, description = "The recording is deleted"),
        (status = 404, description = "There is no such recording"),
        (status = 409, description = "The call is still running"),
        (status = 503, description = "The files are deleted, but the call log cannot be written now. It erases the numbers as soon as it can"),
    )
)]
pub(super) async fn delete(
    State(api): State<Api>,
    Id(id): Id,
    Params(NoQuery {}): Params<NoQuery>,
) -> Result<StatusCode, Problem> {
    api.forget(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn document(read: Document, content_type: &'static str) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], read.text).into_response()
}

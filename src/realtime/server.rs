//! What OpenAI says: the server events of the Realtime API, GA and beta names alike.
//!
//! Reads one text frame into an [`Event`] that borrows from it: the base64 of an audio delta is not copied.
//! Each event reads only the fields it needs, as tolerantly as `wire` does; unknown events become [`Event::Other`].
//! Keeps no state.
//! Source: the API's event reference; deviations of the live server as measured by others.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::error::ApiError;
use super::rate_limits::RateLimits;
use super::usage::Usage;
use super::wire::{Text, Wire, WireItem, WireResponse, WireSession, count};
use super::{ItemId, ResponseId};

/// A server event that means something to a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// `session.created` (or, on some servers, `conversation.created`): the session may be configured.
    SessionCreated,
    /// `session.updated`: our settings are in force; `session` is the echoed object, as JSON text.
    SessionUpdated {
        /// The whole session object.
        session: Cow<'a, str>,
        /// When the session will be closed, unix seconds.
        expires_at: Option<i64>,
    },
    /// `input_audio_buffer.speech_started`.
    SpeechStarted {
        /// The item this speech will become.
        item: ItemId,
        /// Offset in the audio we appended, prefix padding included, milliseconds.
        audio_start_ms: u64,
    },
    /// `input_audio_buffer.speech_stopped`.
    SpeechStopped {
        /// The item this speech will become.
        item: ItemId,
        /// Offset in the audio we appended, trailing silence included, milliseconds.
        audio_end_ms: u64,
    },
    /// `input_audio_buffer.committed`: the caller's turn is an item now.
    Committed {
        /// The caller's item.
        item: ItemId,
        /// The item it follows in the conversation.
        previous: Option<ItemId>,
    },
    /// `conversation.item.added` (beta: `conversation.item.created`).
    ItemAdded {
        /// What was added.
        item: Item,
        /// The item it follows in the conversation.
        previous: Option<ItemId>,
    },
    /// `response.created`.
    ResponseCreated(Response),
    /// `response.output_audio.delta`.
    AudioDelta {
        /// The answer it belongs to.
        response: ResponseId,
        /// The item it belongs to.
        item: ItemId,
        /// Which content part of the item.
        content_index: u32,
        /// Base64 of the audio.
        audio: Cow<'a, str>,
    },
    /// `response.output_audio.done`: no more deltas for this item.
    AudioDone {
        /// The item that is complete.
        item: ItemId,
    },
    /// `response.output_audio_transcript.delta` (or text of a text answer).
    TranscriptDelta {
        /// The assistant's item.
        item: ItemId,
        /// More of its text.
        delta: Cow<'a, str>,
    },
    /// `response.output_audio_transcript.done`.
    TranscriptDone {
        /// The assistant's item.
        item: ItemId,
        /// Its whole text.
        transcript: Cow<'a, str>,
    },
    /// `response.output_item.done`.
    OutputItemDone {
        /// The finished item.
        item: Item,
    },
    /// `response.done`.
    ResponseDone(Response),
    /// `conversation.item.input_audio_transcription.completed`.
    CallerTranscript {
        /// The caller's item.
        item: ItemId,
        /// What was understood; may be empty.
        transcript: Cow<'a, str>,
        /// What that has used. Boxed: most events are audio, and would be as large.
        usage: Box<Usage>,
    },
    /// `conversation.item.input_audio_transcription.failed`.
    CallerTranscriptFailed {
        /// The caller's item.
        item: ItemId,
    },
    /// `error`. Does not end the session by itself.
    Error(ApiError),
    /// `rate_limits.updated`: what is left for the account. Boxed: most events are audio, and would be as large.
    RateLimits(Box<RateLimits>),
    /// Any other event, by its type. Survived.
    Other(Cow<'a, str>),
}

/// A conversation item, as much of it as a call needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its id.
    pub id: ItemId,
    /// What it is.
    pub kind: ItemKind,
    /// The function it calls, if it is a `function_call`.
    pub function: Option<FunctionCall>,
}

/// The model calls one of the functions it was offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionCall {
    /// By which its output is recognised.
    pub call_id: String,
    /// The function.
    pub name: String,
    /// A JSON text, or what the model takes for one.
    pub arguments: String,
    /// Whether all of it was said; one that was cut off must not be carried out.
    pub complete: bool,
}

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemKind {
    /// Something the assistant says.
    AssistantMessage,
    /// Something the caller said.
    UserMessage,
    /// Anything else: system messages, function calls and their outputs.
    Other,
}

/// A `response` object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Its id.
    pub id: ResponseId,
    /// How far it came.
    pub status: ResponseStatus,
    /// Our own correlation id, if we asked for this response (`metadata.cid`).
    pub cid: Option<String>,
    /// What it produced.
    pub items: Vec<Item>,
    /// What it has used.
    pub usage: Box<Usage>,
}

/// `response.status` with its details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseStatus {
    /// Still being made.
    InProgress,
    /// All said.
    Completed,
    /// Ended by the caller's voice or by us.
    Cancelled,
    /// Cut by a limit (`max_output_tokens`, `content_filter`).
    Incomplete(String),
    /// The model failed.
    Failed(ApiError),
}

/// A text frame that is no event, or an event without a field it needs. Holds nothing of the event's content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no readable `{missing}` in the event `{kind}`")]
pub struct Malformed {
    /// The event's type; empty if it has none.
    pub kind: String,
    /// The field that is absent or cannot be read; `type` if the frame is no event at all.
    pub missing: &'static str,
}

/// Reads one text frame.
///
/// # Errors
/// [`Malformed`] when it is not an event at all, or a known event without the fields that make it one.
pub fn parse(text: &str) -> Result<Event<'_>, Malformed> {
    let wire = Wire::read(text).ok_or(Malformed { kind: String::new(), missing: "type" })?;
    let kind = wire.kind.clone();
    event(wire).map_err(|missing| Malformed { kind: kind.into_owned(), missing })
}

/// What an event of this type needs of its fields; if one is missing, its name.
fn event(wire: Wire<'_>) -> Result<Event<'_>, &'static str> {
    Ok(match &*wire.kind {
        "response.output_audio.delta" | "response.audio.delta" => Event::AudioDelta {
            response: id(&wire.response_id, "response_id")?,
            item: id(&wire.item_id, "item_id")?,
            content_index: count(wire.content_index).unwrap_or(0) as u32,
            audio: wire.delta.0.ok_or("delta")?,
        },
        "response.output_audio.done" | "response.audio.done" => {
            Event::AudioDone { item: id(&wire.item_id, "item_id")? }
        }
        "response.output_audio_transcript.delta"
        | "response.audio_transcript.delta"
        | "response.output_text.delta"
        | "response.text.delta" => Event::TranscriptDelta {
            item: id(&wire.item_id, "item_id")?,
            delta: wire.delta.0.unwrap_or_default(),
        },
        "response.output_audio_transcript.done"
        | "response.audio_transcript.done"
        | "response.output_text.done"
        | "response.text.done" => Event::TranscriptDone {
            item: id(&wire.item_id, "item_id")?,
            transcript: wire.transcript.0.or(wire.text.0).unwrap_or_default(),
        },
        "response.created" => Event::ResponseCreated(response(wire.response)?),
        "response.done" => Event::ResponseDone(response(wire.response)?),
        "response.output_item.done" => {
            let item = WireItem::read(wire.item).ok_or("item")?;
            Event::OutputItemDone { item: Item::of(&item, Untold::Finished)? }
        }
        "error" => Event::Error(api_error(wire.error)),
        _ => return session_or_caller_event(wire),
    })
}

fn session_or_caller_event(wire: Wire<'_>) -> Result<Event<'_>, &'static str> {
    Ok(match &*wire.kind {
        "session.created" | "conversation.created" => Event::SessionCreated,
        "session.updated" => {
            let session = wire.session.ok_or("session")?.get();
            let expires_at = serde_json::from_str::<WireSession<'_>>(session).ok();
            Event::SessionUpdated {
                session: Cow::Borrowed(session),
                expires_at: expires_at.and_then(|session| count(session.expires_at)).map(|at| at as i64),
            }
        }
        "input_audio_buffer.speech_started" => Event::SpeechStarted {
            item: id(&wire.item_id, "item_id")?,
            audio_start_ms: count(wire.audio_start_ms).unwrap_or(0),
        },
        "input_audio_buffer.speech_stopped" => Event::SpeechStopped {
            item: id(&wire.item_id, "item_id")?,
            audio_end_ms: count(wire.audio_end_ms).unwrap_or(0),
        },
        "input_audio_buffer.committed" => Event::Committed {
            item: id(&wire.item_id, "item_id")?,
            previous: wire.previous_item_id.0.map(|id| ItemId::from(&*id)),
        },
        "conversation.item.added" | "conversation.item.created" => {
            let item = WireItem::read(wire.item).ok_or("item")?;
            Event::ItemAdded {
                item: Item::of(&item, Untold::Unfinished)?,
                previous: wire.previous_item_id.0.map(|id| ItemId::from(&*id)),
            }
        }
        "conversation.item.input_audio_transcription.completed" => Event::CallerTranscript {
            item: id(&wire.item_id, "item_id")?,
            transcript: wire.transcript.0.unwrap_or_default(),
            usage: Box::new(Usage::of(&value(wire.usage))),
        },
        "conversation.item.input_audio_transcription.failed" => {
            Event::CallerTranscriptFailed { item: id(&wire.item_id, "item_id")? }
        }
        "rate_limits.updated" => Event::RateLimits(Box::new(RateLimits::of(&value(wire.rate_limits)))),
        _ => Event::Other(wire.kind),
    })
}

fn response(raw: Option<&RawValue>) -> Result<Response, &'static str> {
    let wire = WireResponse::read(raw).ok_or("response")?;
    let details = wire.details();
    let (reason, error) = details.map_or((None, None), |details| (details.reason.0, details.error));
    let status = match wire.status.0.as_deref() {
        Some("completed") => ResponseStatus::Completed,
        Some("cancelled") => ResponseStatus::Cancelled,
        Some("incomplete") => ResponseStatus::Incomplete(reason.unwrap_or_default().into_owned()),
        Some("failed") => ResponseStatus::Failed(api_error(error)),
        _ => ResponseStatus::InProgress,
    };
    let untold = match status {
        ResponseStatus::Completed => Untold::Finished,
        _ => Untold::Unfinished,
    };
    Ok(Response {
        id: id(&wire.id, "response.id")?,
        cid: wire.cid(),
        items: wire.items().iter().flat_map(|item| Item::of(item, untold)).collect(),
        usage: Box::new(Usage::of(&value(wire.usage))),
        status,
    })
}

/// What is said of an item that does not tell its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Untold {
    /// It is all there.
    Finished,
    /// It may have been cut off, or not have begun.
    Unfinished,
}

impl Item {
    fn of(item: &WireItem<'_>, untold: Untold) -> Result<Self, &'static str> {
        let kind = item.kind.0.as_deref().unwrap_or_default();
        let status = item.status.0.as_deref();
        let function = item.call_id.0.as_ref().filter(|_| kind == "function_call").map(|call_id| {
            let complete = status.map_or(untold == Untold::Finished, |status| status == "completed");
            FunctionCall {
                call_id: call_id.clone().into_owned(),
                name: item.name.0.clone().unwrap_or_default().into_owned(),
                arguments: item.arguments(),
                complete,
            }
        });
        Ok(Self {
            function,
            // A call can be answered without the id of its item.
            id: id(&item.id, "item.id").or_else(|missing| id(&item.call_id, missing))?,
            kind: match (kind, item.role.0.as_deref()) {
                ("message", Some("assistant")) => ItemKind::AssistantMessage,
                ("message", Some("user")) => ItemKind::UserMessage,
                _ => ItemKind::Other,
            },
        })
    }
}

fn id<T: for<'s> From<&'s str>>(text: &Text<'_>, field: &'static str) -> Result<T, &'static str> {
    text.0.as_deref().map(T::from).ok_or(field)
}

fn api_error(raw: Option<&RawValue>) -> ApiError {
    raw.and_then(|error| serde_json::from_str(error.get()).ok()).unwrap_or_default()
}

/// What stands there, whatever it is; null if nothing does.
fn value(raw: Option<&RawValue>) -> serde_json::Value {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;

//! The server events of the Realtime API, under the names of both the GA and the beta interface.
//!
//! [`parse`] turns one text frame into an [`Event`] that borrows from the frame, so the base64 of an audio
//! delta is not copied. Each event reads only the fields that it needs, as tolerantly as `wire` does. Unknown
//! events become [`Event::Other`]. The module keeps no state.
//!
//! Source: the API's event reference; where the live server deviates from the reference, measurements by
//! others.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::error::ApiError;
use super::rate_limits::RateLimits;
use super::usage::Usage;
use super::wire::{Text, Wire, WireItem, WireResponse, WireSession, count};
use super::{ItemId, ResponseId};

/// The longest id or name, in bytes. The API's ids have about 30 bytes, and names of functions 64. A call keeps ids until it ends:
/// a larger bound would let a server fill the memory, and a smaller one would refuse compatible servers with long ids.
const NAME_BYTES: usize = 256;
/// The longest arguments of a function call, in bytes. A destination and a summary of one paragraph have less than 4 kB. A call
/// keeps the arguments, to repeat them to the next session: a larger bound would let a server fill the memory.
const ARGUMENTS_BYTES: usize = 16 * 1024;

/// A server event that a call acts on.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// `session.created` (some servers send `conversation.created`): the session may be configured.
    SessionCreated,
    /// `session.updated`: the settings are in force.
    SessionUpdated {
        /// The whole session object as JSON text.
        session: Cow<'a, str>,
        /// The time at which the server closes the session, in Unix seconds.
        expires_at: Option<i64>,
    },
    /// `input_audio_buffer.speech_started`.
    SpeechStarted {
        /// The id of the item that this speech becomes.
        item: ItemId,
        /// The start of the speech as an offset in the appended audio, in milliseconds. The prefix padding is
        /// included.
        audio_start_ms: u64,
    },
    /// `input_audio_buffer.speech_stopped`.
    SpeechStopped {
        /// The id of the item that this speech becomes.
        item: ItemId,
        /// The end of the speech as an offset in the appended audio, in milliseconds. The trailing silence is
        /// included.
        audio_end_ms: u64,
    },
    /// `input_audio_buffer.committed`: the caller's turn has become an item.
    Committed {
        /// The caller's item.
        item: ItemId,
        /// The item that precedes the caller's item in the conversation.
        previous: Option<ItemId>,
    },
    /// `conversation.item.added` (beta: `conversation.item.created`).
    ItemAdded {
        /// The item that was added.
        item: Item,
        /// The item that precedes the new item in the conversation.
        previous: Option<ItemId>,
    },
    /// `response.created`.
    ResponseCreated(Response),
    /// `response.output_audio.delta`.
    AudioDelta {
        /// The response to which the audio belongs.
        response: ResponseId,
        /// The item to which the audio belongs.
        item: ItemId,
        /// The index of the content part in the item.
        content_index: u32,
        /// The audio as base64.
        audio: Cow<'a, str>,
    },
    /// `response.output_audio.done`: the item gets no more audio.
    AudioDone {
        /// The item whose audio is complete.
        item: ItemId,
    },
    /// `response.output_audio_transcript.delta` (or `response.output_text.delta` of a text response).
    TranscriptDelta {
        /// The assistant's item.
        item: ItemId,
        /// The next part of the transcript.
        delta: Cow<'a, str>,
    },
    /// `response.output_audio_transcript.done` (or `response.output_text.done` of a text response).
    TranscriptDone {
        /// The assistant's item.
        item: ItemId,
        /// The whole transcript.
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
        /// The transcript. It may be empty.
        transcript: Cow<'a, str>,
        /// The usage of the transcription. The value is boxed because it would make every event as large, and
        /// most events are audio.
        usage: Box<Usage>,
    },
    /// `conversation.item.input_audio_transcription.failed`.
    CallerTranscriptFailed {
        /// The caller's item.
        item: ItemId,
    },
    /// `output_audio_buffer.started`: the caller begins to hear a response. Only OpenAI's own calls (SIP) have this event and the
    /// next two.
    SoundStarted {
        /// The response.
        response: ResponseId,
    },
    /// `output_audio_buffer.stopped`: the caller has heard the response to its end.
    SoundStopped {
        /// The response.
        response: ResponseId,
    },
    /// `output_audio_buffer.cleared`: the rest of the response is not heard.
    SoundCleared {
        /// The response.
        response: ResponseId,
    },
    /// `conversation.item.truncated`: the caller heard only the beginning of the item.
    ItemTruncated {
        /// The assistant's item.
        item: ItemId,
        /// The length of the audio that the caller heard, in milliseconds.
        audio_end_ms: u64,
    },
    /// `input_audio_buffer.dtmf_event_received`: the caller pressed a key (SIP only).
    Key(char),
    /// `error`. An error alone does not end the session.
    Error(ApiError),
    /// `rate_limits.updated`: the remaining rate limits of the account. The value is boxed because it would
    /// make every event as large, and most events are audio.
    RateLimits(Box<RateLimits>),
    /// Any other event, with its type. The call ignores such an event.
    Other(Cow<'a, str>),
}

/// The part of a conversation item that a call needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The id of the item.
    pub id: ItemId,
    /// The kind of the item.
    pub kind: ItemKind,
    /// The function call. None: the item is not a `function_call`.
    pub function: Option<FunctionCall>,
}

/// A function call that the model makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionCall {
    /// The id that connects the function call with its output.
    pub call_id: String,
    /// The name of the function.
    pub name: String,
    /// The arguments as the model wrote them, which should be JSON.
    pub arguments: String,
    /// Whether the function call is complete. A call that was cut off must not be carried out.
    pub complete: bool,
}

/// The kind of a conversation item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemKind {
    /// A message of the assistant.
    AssistantMessage,
    /// A message of the caller.
    UserMessage,
    /// Any other item: a system message, a function call or the output of a function.
    Other,
}

/// A `response` object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The id of the response.
    pub id: ResponseId,
    /// The status of the response.
    pub status: ResponseStatus,
    /// The id of the `response.create` that asked for this response (`metadata.cid`). None: the server
    /// started the response.
    pub cid: Option<String>,
    /// The items of the response.
    pub items: Vec<Item>,
    /// The usage of the response.
    pub usage: Box<Usage>,
}

/// The `status` of a response with its details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseStatus {
    /// The model is still producing the response.
    InProgress,
    /// The response is complete.
    Completed,
    /// The caller's speech or the program cancelled the response.
    Cancelled,
    /// A limit cut the response off. The value is the reason (`max_output_tokens`, `content_filter`).
    Incomplete(String),
    /// The model failed.
    Failed(ApiError),
}

/// The frame is not an event, or the event lacks a required field. This error holds no content of the event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no readable `{missing}` in the event `{kind}`")]
pub struct Malformed {
    /// The type of the event. Empty: the frame has no type.
    pub kind: String,
    /// The field that is absent or unreadable; `type` if the frame is not an event.
    pub missing: &'static str,
}

/// Reads one text frame of the Realtime WebSocket.
///
/// # Errors
/// Returns [`Malformed`] if the text is not an event, or if a known event lacks a required field.
pub fn parse(text: &str) -> Result<Event<'_>, Malformed> {
    let wire = Wire::read(text).ok_or(Malformed { kind: String::new(), missing: "type" })?;
    let kind = wire.kind.clone();
    event(wire).map_err(|missing| Malformed { kind: kind.into_owned(), missing })
}

/// Builds the event from the fields that its type needs. The error is the name of a field that is missing.
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
            previous: id(&wire.previous_item_id, "previous_item_id").ok(),
        },
        "conversation.item.added" | "conversation.item.created" => {
            let item = WireItem::read(wire.item).ok_or("item")?;
            Event::ItemAdded {
                item: Item::of(&item, Untold::Unfinished)?,
                previous: id(&wire.previous_item_id, "previous_item_id").ok(),
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
        "output_audio_buffer.started" => {
            Event::SoundStarted { response: id(&wire.response_id, "response_id")? }
        }
        "output_audio_buffer.stopped" => {
            Event::SoundStopped { response: id(&wire.response_id, "response_id")? }
        }
        "output_audio_buffer.cleared" => {
            Event::SoundCleared { response: id(&wire.response_id, "response_id")? }
        }
        "conversation.item.truncated" => Event::ItemTruncated {
            item: id(&wire.item_id, "item_id")?,
            audio_end_ms: count(wire.audio_end_ms).unwrap_or(0),
        },
        "input_audio_buffer.dtmf_event_received" => Event::Key(key(&wire.event).ok_or("event")?),
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

/// The assumption about an item without a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Untold {
    /// The item is complete.
    Finished,
    /// The item may be incomplete or not yet begun.
    Unfinished,
}

impl Item {
    fn of(item: &WireItem<'_>, untold: Untold) -> Result<Self, &'static str> {
        let kind = item.kind.0.as_deref().unwrap_or_default();
        let status = item.status.0.as_deref();
        let is_name = |text: &Cow<'_, str>| text.len() <= NAME_BYTES;
        let call_id = item.call_id.0.as_ref().filter(|call_id| kind == "function_call" && is_name(call_id));
        let function = call_id.map(|call_id| {
            let complete = status.map_or(untold == Untold::Finished, |status| status == "completed");
            FunctionCall {
                call_id: call_id.clone().into_owned(),
                name: item.name.0.clone().filter(is_name).unwrap_or_default().into_owned(),
                // Of too many none are right.
                arguments: Some(item.arguments())
                    .filter(|arguments| arguments.len() <= ARGUMENTS_BYTES)
                    .unwrap_or_else(|| "{}".to_owned()),
                complete,
            }
        });
        Ok(Self {
            function,
            // The output of a function needs only the `call_id`, so the item may lack its own id.
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
    text.0.as_deref().filter(|text| text.len() <= NAME_BYTES).map(T::from).ok_or(field)
}

/// The key of a telephone.
fn key(text: &Text<'_>) -> Option<char> {
    let mut all = text.0.as_deref()?.chars();
    let key = all.next().filter(|key| key.is_ascii_digit() || "*#ABCD".contains(*key))?;
    all.next().is_none().then_some(key)
}

fn api_error(raw: Option<&RawValue>) -> ApiError {
    raw.and_then(|error| serde_json::from_str(error.get()).ok()).unwrap_or_default()
}

/// The field as JSON. The result is null if the field is absent or unreadable.
fn value(raw: Option<&RawValue>) -> serde_json::Value {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;

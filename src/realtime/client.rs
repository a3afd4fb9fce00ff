//! What we say to OpenAI: the client events of the Realtime API, as JSON text.
//!
//! Only documented fields are written: the server rejects a whole event for one unknown key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::dialect::Dialect;
use super::{ItemId, ResponseId};

/// A client event, apart from audio (see [`append`]).
#[derive(Debug, Clone, PartialEq)]
pub enum ClientEvent {
    /// `session.update` with the session object of [`super::dialect`].
    SessionUpdate {
        /// Comes back in `error.event_id`.
        event_id: String,
        /// The session object.
        session: Value,
    },
    /// `response.create`. `event_id` travels as `metadata.cid` too, so the response can be recognised.
    ResponseCreate {
        /// Our correlation id.
        event_id: String,
        /// Replaces the session's instructions for this response; no function may be called in it.
        instructions: Option<String>,
    },
    /// `conversation.item.create`, at the end of the conversation.
    ItemCreate {
        /// Comes back in `error.event_id`.
        event_id: String,
        /// What is added.
        item: NewItem,
        /// In whose words it is said.
        dialect: Dialect,
    },
    /// `response.cancel`.
    ResponseCancel {
        /// Comes back in `error.event_id`.
        event_id: String,
        /// Which one.
        response: ResponseId,
    },
    /// `conversation.item.truncate`: the caller heard only this much.
    Truncate {
        /// Comes back in `error.event_id`.
        event_id: String,
        /// The assistant's item.
        item: ItemId,
        /// Content part.
        content_index: u32,
        /// What was heard, milliseconds of the item's audio.
        audio_end_ms: u64,
    },
    /// `conversation.item.delete`: the caller heard nothing of it.
    Delete {
        /// Comes back in `error.event_id`.
        event_id: String,
        /// The item.
        item: ItemId,
    },
}

/// An item we add to the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewItem {
    /// `function_call_output`: what became of a call of the model.
    FunctionOutput {
        /// Of that call.
        call_id: String,
        /// Any text; JSON by custom.
        output: String,
    },
    /// `function_call`: an earlier call of the model, told again.
    FunctionCall {
        /// By which its output is recognised.
        call_id: String,
        /// The function.
        name: String,
        /// As the model said them.
        arguments: String,
    },
    /// A message in words.
    Message {
        /// The item's id, chosen by us; at most 32 characters. None: the server chooses.
        id: Option<ItemId>,
        /// Whose words.
        role: Role,
        /// The words.
        text: String,
    },
}

/// Whose words a message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Ours, for the model alone.
    System,
    /// What the caller said, or did.
    Caller,
    /// What the model said.
    Assistant,
}

impl NewItem {
    fn json(&self, dialect: Dialect) -> Value {
        match self {
            Self::FunctionOutput { call_id, output } => {
                json!({"type": "function_call_output", "call_id": call_id, "output": output})
            }
            Self::FunctionCall { call_id, name, arguments } => {
                json!({"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments})
            }
            Self::Message { id, role, text } => {
                let (role, kind) = match (role, dialect) {
                    (Role::System, _) => ("system", "input_text"),
                    (Role::Caller, _) => ("user", "input_text"),
                    (Role::Assistant, Dialect::Ga) => ("assistant", "output_text"),
                    (Role::Assistant, Dialect::Beta) => ("assistant", "text"),
                };
                let content = [json!({"type": kind, "text": text})];
                let mut item = json!({"type": "message", "role": role, "content": content});
                if let Some(id) = id {
                    item["id"] = id.as_str().into();
                }
                item
            }
        }
    }
}

impl ClientEvent {
    /// The event as it goes on the wire.
    pub fn to_json(&self) -> String {
        match self {
            Self::SessionUpdate { event_id, session } => {
                json!({"type": "session.update", "event_id": event_id, "session": session})
            }
            Self::ResponseCreate { event_id, instructions: None } => {
                json!({"type": "response.create", "event_id": event_id,
                       "response": {"metadata": {"cid": event_id}}})
            }
            Self::ResponseCreate { event_id, instructions: Some(instructions) } => {
                json!({"type": "response.create", "event_id": event_id,
                       "response": {"metadata": {"cid": event_id}, "instructions": instructions, "tool_choice": "none"}})
            }
            Self::ItemCreate { event_id, item, dialect } => {
                json!({"type": "conversation.item.create", "event_id": event_id, "item": item.json(*dialect)})
            }
            Self::ResponseCancel { event_id, response } => {
                json!({"type": "response.cancel", "event_id": event_id, "response_id": response.as_str()})
            }
            Self::Truncate { event_id, item, content_index, audio_end_ms } => {
                json!({"type": "conversation.item.truncate", "event_id": event_id, "item_id": item.as_str(),
                       "content_index": content_index, "audio_end_ms": audio_end_ms})
            }
            Self::Delete { event_id, item } => {
                json!({"type": "conversation.item.delete", "event_id": event_id, "item_id": item.as_str()})
            }
        }
        .to_string()
    }
}

/// `input_audio_buffer.append`: µ-law bytes as base64, in one allocation.
pub fn append(audio: &[u8]) -> String {
    const HEAD: &str = r#"{"type":"input_audio_buffer.append","audio":""#;
    const TAIL: &str = r#""}"#;
    let mut text = String::with_capacity(HEAD.len() + audio.len().div_ceil(3) * 4 + TAIL.len());
    text.push_str(HEAD);
    STANDARD.encode_string(audio, &mut text);
    text.push_str(TAIL);
    text
}

//! The client events of the Realtime API that the program sends to OpenAI, as JSON text.
//!
//! Every field here is documented by the API: the server rejects a whole event that has one unknown key.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::dialect::{Dialect, Tool};
use super::{ItemId, ResponseId};

/// A client event other than audio; for audio see [`append`].
#[derive(Debug, Clone, PartialEq)]
pub enum ClientEvent {
    /// `session.update` with the session object of [`super::dialect`].
    SessionUpdate {
        /// The id that the server repeats in `error.event_id`.
        event_id: String,
        /// The session object.
        session: Value,
    },
    /// `response.create`. The `event_id` also travels as `metadata.cid`, by which the response is recognised.
    ResponseCreate {
        /// The id that the server repeats in `error.event_id` and in `metadata.cid`.
        event_id: String,
        /// The instructions that replace those of the session for this response. The model may call no
        /// function in such a response. None: the instructions and functions of the session apply.
        instructions: Option<String>,
    },
    /// `response.create` outside of the conversation: the model sees the input alone, and must call one function. Nothing of it
    /// becomes part of the conversation, and the function call needs no output.
    ResponseAside {
        /// The id that the server repeats in `error.event_id` and in `metadata.cid`.
        event_id: String,
        /// What the model is to do.
        instructions: &'static str,
        /// All that the model sees.
        input: NewItem,
        /// The function that it must call.
        function: Box<Tool>,
        /// The interface of the server, which decides how the modalities are named.
        dialect: Dialect,
    },
    /// `conversation.item.create`, at the end of the conversation.
    ItemCreate {
        /// The id that the server repeats in `error.event_id`.
        event_id: String,
        /// The item that is added.
        item: NewItem,
        /// The interface of the server, which decides how the item is written.
        dialect: Dialect,
    },
    /// `response.cancel`.
    ResponseCancel {
        /// The id that the server repeats in `error.event_id`.
        event_id: String,
        /// The response that is cancelled.
        response: ResponseId,
    },
    /// `conversation.item.truncate`: the caller heard only the beginning of the item.
    Truncate {
        /// The id that the server repeats in `error.event_id`.
        event_id: String,
        /// The assistant's item.
        item: ItemId,
        /// The index of the content part in the item.
        content_index: u32,
        /// The length of the audio that the caller heard, in milliseconds from the start of the item.
        audio_end_ms: u64,
    },
    /// `output_audio_buffer.clear`: the caller hears no more of what the server still has to play (SIP only, after a cancel).
    ClearSound {
        /// The id that the server repeats in `error.event_id`.
        event_id: String,
    },
    /// `conversation.item.delete`: the caller heard nothing of the item.
    Delete {
        /// The id that the server repeats in `error.event_id`.
        event_id: String,
        /// The item that is deleted.
        item: ItemId,
    },
}

/// An item that the program adds to the conversation. `Debug` shows the length of its text in bytes, and no word: texts hold
/// what callers, models and servers say.
#[derive(Clone, PartialEq, Eq)]
pub enum NewItem {
    /// `function_call_output`: the result of a function call that the model made.
    FunctionOutput {
        /// The `call_id` of that function call.
        call_id: String,
        /// The result: any text, by convention JSON.
        output: String,
    },
    /// `function_call`: an earlier function call of the model, repeated in a new session.
    FunctionCall {
        /// The id that connects the function call with its output.
        call_id: String,
        /// The name of the function.
        name: String,
        /// The arguments, in the words of the model.
        arguments: String,
    },
    /// A text message.
    Message {
        /// The id of the item, chosen by the program, at most 32 characters. None: the server chooses the id.
        id: Option<ItemId>,
        /// The author of the text.
        role: Role,
        /// The text.
        text: String,
    },
}

/// The author of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The program, which addresses the model alone.
    System,
    /// The caller: what the caller said or did.
    Caller,
    /// The model: what the model said.
    Assistant,
}

impl fmt::Debug for NewItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, text) = match self {
            Self::FunctionOutput { output, .. } => ("FunctionOutput", output),
            Self::FunctionCall { arguments, .. } => ("FunctionCall", arguments),
            Self::Message { text, .. } => ("Message", text),
        };
        f.debug_struct(kind).field("bytes", &text.len()).finish()
    }
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
    /// The event as JSON text for the WebSocket.
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
            Self::ResponseAside { event_id, instructions, input, function, dialect } => {
                let modalities = match dialect {
                    Dialect::Ga => "output_modalities",
                    Dialect::Beta => "modalities",
                };
                let Tool { name, description, parameters } = &**function;
                let name: &str = name;
                json!({"type": "response.create", "event_id": event_id, "response": {
                    "conversation": "none",
                    modalities: ["text"],
                    "input": [input.json(*dialect)],
                    "instructions": instructions,
                    "tools": [{"type": "function", "name": name, "description": description, "parameters": parameters}],
                    "tool_choice": {"type": "function", "name": name},
                    "metadata": {"cid": event_id},
                }})
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
            Self::ClearSound { event_id } => json!({"type": "output_audio_buffer.clear", "event_id": event_id}),
            Self::Delete { event_id, item } => {
                json!({"type": "conversation.item.delete", "event_id": event_id, "item_id": item.as_str()})
            }
        }
        .to_string()
    }
}

/// `input_audio_buffer.append` with µ-law bytes as base64, built in one allocation.
pub fn append(audio: &[u8]) -> String {
    const HEAD: &str = r#"{"type":"input_audio_buffer.append","audio":""#;
    const TAIL: &str = r#""}"#;
    let mut text = String::with_capacity(HEAD.len() + audio.len().div_ceil(3) * 4 + TAIL.len());
    text.push_str(HEAD);
    STANDARD.encode_string(audio, &mut text);
    text.push_str(TAIL);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_shows_its_size_and_no_word() {
        let words = || "Ana owes 12.50".to_owned();
        let items = [
            NewItem::FunctionOutput { call_id: "call_1".into(), output: words() },
            NewItem::FunctionCall { call_id: "call_1".into(), name: "debt".into(), arguments: words() },
            NewItem::Message { id: None, role: Role::System, text: words() },
        ];
        for item in items {
            let event = ClientEvent::ItemCreate { event_id: "c_1".into(), item, dialect: Dialect::Ga };
            let shown = format!("{event:?}");
            assert!(shown.contains("{ bytes: 14 }") && !shown.contains("Ana"), "{shown}");
        }
    }

    #[test]
    fn a_response_aside_has_an_input_and_a_forced_function_of_its_own() {
        let schema = json!({"type": "object", "properties": {"outcome": {"type": "string"}}});
        let aside = |dialect| {
            let event = ClientEvent::ResponseAside {
                event_id: "c_90".into(),
                instructions: "Report on this telephone call.",
                input: NewItem::Message {
                    id: None,
                    role: Role::Caller,
                    text: "caller: Quiero una cita.".into(),
                },
                function: Box::new(Tool {
                    name: "report".into(),
                    description: "Takes it.".into(),
                    parameters: schema.clone(),
                }),
                dialect,
            };
            serde_json::from_str::<Value>(&event.to_json()).expect("JSON")
        };
        let response = json!({
            "conversation": "none",
            "output_modalities": ["text"],
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "caller: Quiero una cita."}]}],
            "instructions": "Report on this telephone call.",
            "tools": [{"type": "function", "name": "report", "description": "Takes it.", "parameters": schema}],
            "tool_choice": {"type": "function", "name": "report"},
            "metadata": {"cid": "c_90"},
        });
        let expected = json!({"type": "response.create", "event_id": "c_90", "response": response});
        assert_eq!(aside(Dialect::Ga), expected);
        assert_eq!(aside(Dialect::Beta)["response"]["modalities"], json!(["text"]));
    }
}

//! The conversation: its items in order, and their form on the wire.
//!
//! Deleted and out-of-band items are kept too, but not listed, because `response.done` still shows them.
//! [`edit`](super::edit) validates requests that change the conversation.

use std::sync::Arc;

use serde_json::{Value, json};

/// An item of the conversation, for tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationItem {
    /// The id of the item.
    pub id: String,
    /// The author of the item.
    pub role: Role,
    /// The transcript, text, arguments or output. A truncated message has none, as on the real server.
    pub text: String,
    /// The length of the audio that the server has sent (assistant) or received (user), in milliseconds.
    pub audio_ms: u64,
    /// Where the client truncated the audio, in milliseconds. None: the item was not truncated.
    pub truncated_ms: Option<u64>,
    /// `in_progress`, `completed` or `incomplete`.
    pub status: &'static str,
}

/// The author of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The caller, in audio or in text.
    User,
    /// The model.
    Assistant,
    /// The client, as a system message.
    System,
    /// A function call.
    FunctionCall,
    /// The output of a function call.
    FunctionCallOutput,
}

impl Role {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::System => "system",
            Self::FunctionCall => "function_call",
            Self::FunctionCallOutput => "function_call_output",
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) status: &'static str,
    pub(super) body: Body,
    /// False for out-of-band and deleted items.
    listed: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    Text {
        role: Role,
        text: String,
    },
    /// The caller's speech.
    Turn {
        ms: u64,
        transcript: Option<String>,
    },
    /// The model's speech. `sent` bytes of `audio` (µ-law) have been sent.
    Speech {
        transcript: String,
        audio: Arc<[u8]>,
        sent: usize,
        truncated_ms: Option<u64>,
    },
    Call {
        call_id: String,
        name: String,
        arguments: String,
    },
    Output {
        call_id: String,
        output: String,
    },
}

impl Item {
    pub(super) fn new(id: String, status: &'static str, body: Body) -> Self {
        Self { id, status, body, listed: false }
    }

    pub(super) fn role(&self) -> Role {
        match self.body {
            Body::Text { role, .. } => role,
            Body::Turn { .. } => Role::User,
            Body::Speech { .. } => Role::Assistant,
            Body::Call { .. } => Role::FunctionCall,
            Body::Output { .. } => Role::FunctionCallOutput,
        }
    }

    pub(super) fn text(&self) -> &str {
        match &self.body {
            Body::Text { text, .. } => text,
            Body::Turn { transcript, .. } => transcript.as_deref().unwrap_or_default(),
            Body::Speech { truncated_ms: Some(_), .. } => "",
            Body::Speech { transcript, .. } => transcript,
            Body::Call { arguments, .. } => arguments,
            Body::Output { output, .. } => output,
        }
    }

    pub(super) fn audio_ms(&self) -> u64 {
        match self.body {
            Body::Turn { ms, .. } => ms,
            Body::Speech { sent, .. } => sent as u64 / 8,
            Body::Text { .. } | Body::Call { .. } | Body::Output { .. } => 0,
        }
    }

    pub(super) fn truncated_ms(&self) -> Option<u64> {
        match self.body {
            Body::Speech { truncated_ms, .. } => truncated_ms,
            Body::Text { .. } | Body::Turn { .. } | Body::Call { .. } | Body::Output { .. } => None,
        }
    }

    /// The item as JSON.
    pub(super) fn json(&self, beta: bool) -> Value {
        let mut item = json!({"id": self.id, "object": "realtime.item", "status": self.status});
        let body = match &self.body {
            Body::Call { call_id, name, arguments } => {
                json!({"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments})
            }
            Body::Output { call_id, output } => {
                json!({"type": "function_call_output", "call_id": call_id, "output": output})
            }
            Body::Text { .. } | Body::Turn { .. } | Body::Speech { .. } => {
                json!({"type": "message", "role": self.role().name(), "content": self.content(beta)})
            }
        };
        if let (Value::Object(item), Value::Object(body)) = (&mut item, body) {
            item.extend(body);
        }
        item
    }

    fn content(&self, beta: bool) -> Value {
        let (text, audio) = if beta { ("text", "audio") } else { ("output_text", "output_audio") };
        match &self.body {
            Body::Text { role: Role::Assistant, text: words }
                if words.is_empty() && self.status == "in_progress" =>
            {
                json!([])
            }
            Body::Text { role: Role::Assistant, text: words } => json!([{"type": text, "text": words}]),
            Body::Text { text: words, .. } => json!([{"type": "input_text", "text": words}]),
            Body::Turn { transcript, .. } => json!([{"type": "input_audio", "transcript": transcript}]),
            Body::Speech { truncated_ms: Some(_), .. } => json!([{"type": audio, "transcript": null}]),
            Body::Speech { transcript, sent: 0, .. } if transcript.is_empty() => json!([]),
            Body::Speech { transcript, .. } => json!([{"type": audio, "transcript": transcript}]),
            Body::Call { .. } | Body::Output { .. } => json!([]),
        }
    }
}

/// All items of a session. Those of the conversation are in its order.
#[derive(Debug)]
pub(super) struct Items {
    all: Vec<Item>,
    beta: bool,
}

/// The place of a new item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    End,
    Root,
    After(&'a str),
    /// The item is not part of the conversation.
    Nowhere,
}

impl Items {
    pub(super) fn new(beta: bool) -> Self {
        Self { all: Vec::new(), beta }
    }

    /// Adds an item whose place has been validated.
    pub(super) fn insert(&mut self, mut item: Item, place: Place<'_>) {
        item.listed = place != Place::Nowhere;
        let index = match place {
            Place::End | Place::Nowhere => self.all.len(),
            Place::Root => 0,
            Place::After(id) => {
                self.all.iter().position(|other| other.id == id).map_or(self.all.len(), |at| at + 1)
            }
        };
        self.all.insert(index, item);
    }

    /// An item of the conversation.
    pub(super) fn find(&self, id: &str) -> Option<&Item> {
        self.all.iter().rev().find(|item| item.listed && item.id == id)
    }

    pub(super) fn find_mut(&mut self, id: &str) -> Option<&mut Item> {
        self.all.iter_mut().rev().find(|item| item.listed && item.id == id)
    }

    /// Any item, even one that is not or no longer part of the conversation.
    pub(super) fn any_mut(&mut self, id: &str) -> Option<&mut Item> {
        self.all.iter_mut().rev().find(|item| item.id == id)
    }

    pub(super) fn exists(&self, id: &str) -> bool {
        self.all.iter().any(|item| item.id == id)
    }

    pub(super) fn unlist(&mut self, id: &str) {
        if let Some(item) = self.find_mut(id) {
            item.listed = false;
        }
    }

    pub(super) fn is_listed(&self, id: &str) -> bool {
        self.find(id).is_some()
    }

    /// The id of the item before this one. For an unknown id, the id of the last item.
    pub(super) fn previous(&self, id: &str) -> Option<&str> {
        let before = self.all.iter().take_while(|item| item.id != id);
        before.filter(|item| item.listed).last().map(|item| item.id.as_str())
    }

    pub(super) fn json(&self, id: &str) -> Value {
        self.all.iter().rev().find(|item| item.id == id).map_or(Value::Null, |item| item.json(self.beta))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Item> {
        self.all.iter()
    }

    pub(super) fn listed(&self) -> impl Iterator<Item = &Item> {
        self.all.iter().filter(|item| item.listed)
    }

    pub(super) fn conversation(&self) -> Vec<ConversationItem> {
        let public = |item: &Item| ConversationItem {
            id: item.id.clone(),
            role: item.role(),
            text: item.text().to_owned(),
            audio_ms: item.audio_ms(),
            truncated_ms: item.truncated_ms(),
            status: item.status,
        };
        self.listed().map(public).collect()
    }
}

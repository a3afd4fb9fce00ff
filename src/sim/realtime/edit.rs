//! Requests that change the conversation: create, truncate, delete and retrieve (30–34).
//!
//! ⚑ 31 compares truncations with what the test's phone really played, as far as the test has reported it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::items::{Body, Item, Place, Role};
use super::schema::check_item;
use super::validate::Rejection;
use super::{Session, What};

/// The tolerated difference between a truncation and what was played. A larger value lets a wrong clock pass;
/// with a smaller value one frame in flight and a jitter buffer are an error.
const PLAYOUT_TOLERANCE_MS: u64 = 100;

impl Session {
    /// Handles `conversation.item.create`.
    pub(super) fn create_item(&mut self, item: &Value, previous: Option<&str>) -> Result<(), Rejection> {
        check_item(item, "item", self.script.dialect.is_beta())?;
        let place = match previous {
            None => Place::End,
            Some("root") => Place::Root,
            Some(id) if self.items.is_listed(id) => Place::After(id),
            Some(id) => {
                let message = format!("Error adding item: the previous item with id '{id}' does not exist.");
                return Err(Rejection::new(
                    "item_create_invalid_previous_item_id",
                    message,
                    Some("previous_item_id"),
                ));
            }
        };
        let id = item["id"].as_str().map_or_else(|| self.ids.next("item_c"), str::to_owned);
        if self.items.exists(&id) {
            let message = format!("Error adding item: an item with id '{id}' already exists.");
            return Err(Rejection::new("item_create_invalid_item_id", message, Some("item.id")));
        }
        let body = self.body_of(item);
        if let Body::Output { call_id, output } = &body {
            self.answer_call(call_id, output)?;
        }
        let item = Item::new(id.clone(), "completed", body);
        self.note(What::ItemCreated {
            item: id.clone(),
            role: item.role().name(),
            text: item.text().to_owned(),
        });
        self.rounds.caller_waits |= item.role().name() == "user";
        self.items.insert(item, place);
        self.rounds.fresh = true;
        let added = json!({"previous_item_id": self.items.previous(&id), "item": self.items.json(&id)});
        self.emit("conversation.item.added", &added);
        self.emit("conversation.item.done", &added);
        Ok(())
    }

    fn body_of(&mut self, item: &Value) -> Body {
        let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
        match item["type"].as_str() {
            Some("function_call") => {
                let call_id = item["call_id"].as_str().map_or_else(|| self.ids.next("call_"), str::to_owned);
                Body::Call { call_id, name: text("name"), arguments: text("arguments") }
            }
            Some("function_call_output") => Body::Output { call_id: text("call_id"), output: text("output") },
            _ => {
                let parts = item["content"].as_array().map_or(&[][..], Vec::as_slice);
                if let Some(sound) = parts.iter().find(|part| part["type"] == "input_audio") {
                    return Body::Turn { ms: 0, transcript: sound["transcript"].as_str().map(str::to_owned) };
                }
                let role = match item["role"].as_str() {
                    Some("assistant") => Role::Assistant,
                    Some("system") => Role::System,
                    _ => Role::User,
                };
                Body::Text { role, text: parts.iter().filter_map(|part| part["text"].as_str()).collect() }
            }
        }
    }

    /// Handles `conversation.item.truncate`.
    pub(super) fn truncate(&mut self, event: &Value) -> Result<(), Rejection> {
        let id = event["item_id"].as_str().unwrap_or_default();
        let audio_end_ms = event["audio_end_ms"].as_u64().unwrap_or_default();
        let Some(item) = self.items.find(id) else {
            let message = format!("Error truncating item: the item with id '{id}' does not exist.");
            return Err(Rejection::new("item_truncate_invalid_item_id", message, Some("item_id")));
        };
        let Body::Speech { truncated_ms, .. } = item.body else {
            let message = "Only model output audio messages can be truncated".to_owned();
            return Err(Rejection { code: None, message, param: Some("item_id".to_owned()) });
        };
        if event["content_index"] != 0 {
            let message =
                format!("Invalid value: '{}'. The item has no such content.", event["content_index"]);
            return Err(Rejection::new("invalid_value", message, Some("content_index")));
        }
        let generated_ms = item.audio_ms();
        if audio_end_ms > generated_ms {
            let message =
                format!("Audio content of {generated_ms}ms is already shorter than {audio_end_ms}ms");
            return Err(Rejection::new("invalid_value", message, Some("audio_end_ms")));
        }
        let is_whole = item.status == "completed" && audio_end_ms == generated_ms;
        self.check_truncation(id, audio_end_ms, generated_ms, truncated_ms.is_some(), is_whole);
        if let Some(Body::Speech { truncated_ms, .. }) = self.items.find_mut(id).map(|item| &mut item.body) {
            *truncated_ms = Some(audio_end_ms);
        }
        self.note(What::Truncated { item: id.to_owned(), audio_end_ms, generated_ms });
        if !self.troubles.no_acks {
            let body = json!({"item_id": id, "content_index": 0, "audio_end_ms": audio_end_ms});
            self.emit("conversation.item.truncated", &body);
        }
        Ok(())
    }

    /// ⚑ 31: checks a truncation.
    fn check_truncation(
        &mut self,
        id: &str,
        audio_end_ms: u64,
        generated_ms: u64,
        again: bool,
        is_whole: bool,
    ) {
        if again {
            self.discipline(&format!("{id} truncated twice (31)"));
        }
        if is_whole {
            self.discipline(&format!("{id} truncated at its end, {generated_ms} ms: pointless (31)"));
        }
        let Some(&played) = self.playout.get(id) else { return };
        if audio_end_ms.abs_diff(played) > PLAYOUT_TOLERANCE_MS {
            self.discipline(&format!(
                "{id} truncated at {audio_end_ms} ms, but {played} ms were played (31)"
            ));
        }
    }

    /// Handles `conversation.item.delete`.
    pub(super) fn delete_item(&mut self, id: &str) -> Result<(), Rejection> {
        let Some(item) = self.items.find(id) else {
            let message = format!("Error deleting item: the item with id '{id}' does not exist.");
            return Err(Rejection::new("item_delete_invalid_item_id", message, Some("item_id")));
        };
        if item.role() == Role::FunctionCall {
            self.discipline(&format!("{id} deleted, a function call (§5)"));
        }
        if let Some(played) = self.playout.get(id).filter(|played| **played > PLAYOUT_TOLERANCE_MS) {
            self.discipline(&format!("{id} deleted, but {played} ms of it were played (31)"));
        }
        self.items.unlist(id);
        self.note(What::Deleted { item: id.to_owned() });
        if !self.troubles.no_acks {
            self.emit("conversation.item.deleted", &json!({"item_id": id}));
        }
        Ok(())
    }

    /// Handles `conversation.item.retrieve`. An item of the model is returned with its audio.
    pub(super) fn retrieve_item(&mut self, id: &str) -> Result<(), Rejection> {
        let Some(item) = self.items.find(id) else {
            let message = format!("Error retrieving item: the item with id '{id}' does not exist.");
            return Err(Rejection::new("item_retrieve_invalid_item_id", message, Some("item_id")));
        };
        let mut shown = self.items.json(id);
        if let Body::Speech { audio, sent, truncated_ms, .. } = &item.body {
            let heard = truncated_ms.map_or(*sent, |ms| usize::try_from(ms * 8).unwrap_or(*sent).min(*sent));
            let sound = self.settings.output().encode(&audio[..heard]);
            if let Some(content) = shown.pointer_mut("/content/0").and_then(Value::as_object_mut) {
                content.insert("audio".to_owned(), json!(STANDARD.encode(sound)));
            }
        }
        self.emit("conversation.item.retrieved", &json!({"item": shown}));
        Ok(())
    }
}

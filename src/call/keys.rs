//! The keys that the caller presses. The model is told of them in words, because the API does not hear them.
//!
//! Keys that follow each other within a moment are told together; `#` ends them at once. What is recorded of them, and shown
//! to whoever watches, is that there were some, unless [`Keep::keys`] says otherwise.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Call;
use super::record::Keep;
use super::responses::Purpose;
use super::transcript::Speaker;
use crate::realtime::ItemId;
use crate::realtime::client::{NewItem, Role};

/// How long after a key another one belongs to it. Shorter splits a number, longer is dead air.
const PAUSE: Duration = Duration::from_millis(1_500);
/// So many keys are told at once, even if more follow.
const MOST: usize = 32;
/// So many items are told again to a new session. A caller who types for longer is asked again.
const TOLD_AGAIN: usize = 32;

/// Keys that have not been told.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pressed: String,
    told_at: Option<Instant>,
    /// How often keys were told.
    count: u32,
    /// What was told in the last items: a new session is told it again.
    told: VecDeque<(ItemId, String)>,
}

impl Keys {
    /// When [`Call::advance_keys`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.told_at
    }

    /// What the model was told in this item, if it is one of keys.
    pub(super) fn told(&self, item: &ItemId) -> Option<&str> {
        self.told.iter().find(|(of, _)| of == item).map(|(_, text)| text.as_str())
    }
}

/// What is recorded of keys.
pub(super) fn recorded(pressed: &str, keep: Keep) -> String {
    if keep.keys { pressed.to_owned() } else { "*".repeat(pressed.chars().count()) }
}

impl Call {
    /// The caller has pressed a key.
    pub(super) fn key_pressed(&mut self, key: char) {
        if !self.settings.tells_keys {
            return;
        }
        if self.keys.pressed.len() < MOST {
            self.keys.pressed.push(key);
        }
        let ends = key == '#' || self.keys.pressed.len() == MOST;
        self.keys.told_at = Some(if ends { self.now } else { self.now + PAUSE });
    }

    /// Tells the model of the keys, once no more follow.
    pub(super) fn advance_keys(&mut self) {
        if self.keys.told_at.is_none_or(|at| at > self.now) {
            return;
        }
        if !self.session.is_ready() {
            // There is no session yet, or it is being replaced.
            self.keys.told_at = Some(self.now + PAUSE);
            return;
        }
        self.keys.told_at = None;
        let pressed = std::mem::take(&mut self.keys.pressed);
        self.keys.count += 1;
        let (id, text) =
            (ItemId::from(&*format!("keys_{}", self.keys.count)), format!("[keypad: {pressed}]"));
        let at = self.now - self.born;
        if let Some(utterance) = self.transcript.utterance(&id, Speaker::Caller) {
            utterance.begins(at);
            utterance.ends(at);
        }
        let kept = recorded(&pressed, self.settings.keep);
        self.transcript.write(&id, &format!("[keypad: {kept}]"));
        if self.keys.told.len() == TOLD_AGAIN {
            self.keys.told.pop_front();
        }
        self.keys.told.push_back((id.clone(), text.clone()));
        self.tell(&id, None);
        self.call_off();
        self.tell_model(NewItem::Message { id: Some(id), role: Role::Caller, text });
        self.responses.want(Purpose::Answer);
    }
}

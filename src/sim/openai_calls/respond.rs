//! The responses of a session: what the model says and calls, and how a response ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Say;
use super::session::{Due, Heard, Response, Session, THINKS};

/// How long the generation of an answer takes.
const GENERATES: Duration = Duration::from_millis(300);

impl Session {
    pub(super) fn begin(&mut self, now: Instant, cid: Option<String>) {
        self.asked = false;
        let purpose_is_goodbye = std::mem::take(&mut self.goodbye_asked);
        let say =
            self.script.says.get(self.said).cloned().unwrap_or_else(|| Say::Words("Muy bien.".to_owned()));
        self.said += 1;
        if say == Say::Nothing {
            return;
        }
        let (id, item) = (self.next("resp"), self.next("item"));
        let metadata = cid.as_ref().map(|cid| json!({"cid": cid}));
        self.send(json!({"type": "response.created", "response": {"object": "realtime.response", "id": id,
            "status": "in_progress", "output": [], "metadata": metadata}}));
        let response = Response { id, item, say, cid, purpose_is_goodbye };
        self.active = Some(response.clone());
        if let Some(words) = response.say.words() {
            self.speak(now, &response, words);
        }
        self.after(now, GENERATES, Due::Said);
    }

    fn speak(&mut self, now: Instant, response: &Response, words: &str) {
        let Response { id, item, purpose_is_goodbye, say, .. } = response;
        if let (Some(sound), Some(line)) = (say.sound(), &mut self.line) {
            line.say(Arc::clone(sound));
        }
        let message = json!({"id": item, "type": "message", "status": "in_progress", "role": "assistant",
            "content": []});
        self.send(json!({"type": "response.output_item.added", "response_id": id, "output_index": 0,
            "item": message}));
        self.send(
            json!({"type": "conversation.item.added", "previous_item_id": self.last_item, "item": message}),
        );
        self.last_item = Some(item.clone());
        self.send(json!({"type": "response.content_part.added", "response_id": id, "item_id": item,
            "output_index": 0, "content_index": 0, "part": {"type": "audio", "transcript": ""}}));
        self.send(json!({"type": "output_audio_buffer.started", "response_id": id}));
        let (response, item_id) = (id.clone(), item.clone());
        self.heard =
            Some(Heard { response, item: item_id, since: now, purpose_is_goodbye: *purpose_is_goodbye });
        let part = |kind: &str| {
            json!({"type": kind, "response_id": id, "item_id": item, "output_index": 0,
            "content_index": 0})
        };
        if self.script.sends_sound {
            let mut delta = part("response.output_audio.delta");
            delta["delta"] = "AAAA".into();
            self.send(delta);
        }
        let mut delta = part("response.output_audio_transcript.delta");
        delta["delta"] = words.into();
        self.send(delta);
        let length = say.length().max(GENERATES + THINKS);
        self.after(now, length, Due::Heard(id.clone()));
    }

    /// The active response ends in this way.
    pub(super) fn done(&mut self, status: &str) {
        let Some(Response { id, item, say, cid, .. }) = self.active.take() else { return };
        self.timers.retain(|_, due| *due != Due::Said);
        let mut output = Vec::new();
        if let Some(words) = say.words() {
            let part = |kind: &str| {
                json!({"type": kind, "response_id": id, "item_id": item, "output_index": 0,
                "content_index": 0})
            };
            self.send(part("response.output_audio.done"));
            let mut done = part("response.output_audio_transcript.done");
            done["transcript"] = words.into();
            self.send(done);
            let whole = if status == "completed" { "completed" } else { "incomplete" };
            output.push(json!({"id": item, "type": "message", "status": whole, "role": "assistant",
                "content": [{"type": "output_audio", "transcript": words}]}));
        }
        if let Some((name, arguments)) = say.called() {
            let call = json!({"id": self.next("item"), "type": "function_call", "status": status, "name": name,
                "call_id": self.next("call"), "arguments": arguments});
            self.send(json!({"type": "response.output_item.done", "response_id": id, "output_index": 1,
                "item": call}));
            output.push(call);
        }
        let metadata = cid.map(|cid| json!({"cid": cid}));
        let usage = json!({"total_tokens": 60, "input_tokens": 40, "output_tokens": 20,
            "input_token_details": {"text_tokens": 40, "audio_tokens": 0, "cached_tokens": 0},
            "output_token_details": {"text_tokens": 6, "audio_tokens": 14}});
        self.send(json!({"type": "response.done", "response": {"object": "realtime.response", "id": id,
            "status": status, "output": output, "usage": usage, "metadata": metadata}}));
    }
}

//! Says an answer delta by delta, faster than a caller can listen (28, 29).
//!
//! ```text
//!  per part:   Open ──► Delta(0) ─► Delta(1) ─► … ──► Close ──► next part, or response.done
//!              at once    each takes the length of its audio / burst
//! ```
//!
//! Faults that strike midway happen here. [`respond`](super::respond) decides when a response may begin and
//! what its end means.

use std::time::Duration;

use serde_json::{Value, json};

use super::items::{Body, Item, Place, Role};
use super::respond::{Ending, Response, Stage};
use super::script::{Answer, FaultKind, Part};
use super::{Due, Phase, Session, What};

/// The number of pieces in which the arguments of a function arrive.
const ARGUMENT_DELTAS: usize = 2;

impl Session {
    /// Takes the next step of a response, and sets the timer for the one after.
    pub(super) fn speak(&mut self, id: &str) {
        let Some(position) = self.responses.iter().position(|response| response.id == id) else { return };
        let mut response = self.responses.remove(position);
        if let Some(code) = response.faults.iter().find_map(FaultKind::failure) {
            return self.finish(response, Ending::Failed(code));
        }
        if response.part == response.answer.parts.len() {
            return self.finish(response, Ending::Completed);
        }
        let mut pause = Duration::ZERO;
        match response.stage {
            Stage::Open => self.open_item(&mut response),
            Stage::Delta(n) => {
                pause = self.say(&mut response, n);
                if self.go_wrong_midway(&response) && self.phase != Phase::Open {
                    self.responses.push(response);
                    return;
                }
                if let Some(ending) = early_end(&mut response) {
                    return self.finish(response, ending);
                }
                let stalls = response.faults.contains(&FaultKind::ResponseStalls);
                if stalls && response.deltas_sent == response.midway {
                    self.responses.push(response);
                    return;
                }
            }
            Stage::Close => {
                self.close_item(&mut response, "completed", false);
                response.part += 1;
                response.stage = Stage::Open;
                if response.part == response.answer.parts.len() {
                    let ending = response.ending.take().map_or(Ending::Completed, |(ending, _)| ending);
                    return self.finish(response, ending);
                }
            }
        }
        self.responses.push(response);
        self.after(pause, Due::Speak(id.to_owned()));
    }

    /// The number of deltas of an answer.
    pub(super) fn count_deltas(&self, answer: &Answer) -> usize {
        answer.parts.iter().map(|part| self.deltas_of(part)).sum()
    }

    fn deltas_of(&self, part: &Part) -> usize {
        match part {
            Part::Speech { audio, .. } => audio.len().div_ceil(self.delta_bytes()).max(1),
            Part::Call { .. } => ARGUMENT_DELTAS,
        }
    }

    fn delta_bytes(&self) -> usize {
        (usize::try_from(self.script.delta_ms).expect("deltas are short") * 8 + self.script.delta_extra_bytes)
            .max(1)
    }

    fn open_item(&mut self, response: &mut Response) {
        let (prefix, body) = match &response.answer.parts[response.part] {
            Part::Speech { .. } if response.text_only => {
                ("item_", Body::Text { role: Role::Assistant, text: String::new() })
            }
            Part::Speech { audio, .. } => {
                let audio = audio.clone();
                ("item_", Body::Speech { transcript: String::new(), audio, sent: 0, truncated_ms: None })
            }
            Part::Call { name, .. } => {
                // A call outside of the conversation needs no output.
                let call_id = if response.in_conversation {
                    self.begin_call(&response.id)
                } else {
                    self.ids.next("call_")
                };
                let name = name.clone();
                ("item_f", Body::Call { call_id, name, arguments: String::new() })
            }
        };
        let is_call = matches!(body, Body::Call { .. });
        let id = self.ids.next(prefix);
        let place = if response.in_conversation { Place::End } else { Place::Nowhere };
        self.items.insert(Item::new(id.clone(), "in_progress", body), place);
        response.items.push(id.clone());
        response.stage = Stage::Delta(0);
        let item = self.items.json(&id);
        let added = json!({"response_id": response.id, "output_index": response.part, "item": item});
        self.emit("response.output_item.added", &added);
        if response.in_conversation {
            let added = json!({"previous_item_id": self.items.previous(&id), "item": item});
            self.emit("conversation.item.added", &added);
        }
        if !is_call {
            let part = if response.text_only {
                json!({"type": "text", "text": ""})
            } else {
                json!({"type": "audio", "transcript": ""})
            };
            self.emit("response.content_part.added", &with(place_of(response), "part", part));
        }
    }

    /// Sends one delta, and returns how long its audio took to be generated.
    fn say(&mut self, response: &mut Response, n: usize) -> Duration {
        let part = response.answer.parts[response.part].clone();
        let count = self.deltas_of(&part);
        response.stage = if n + 1 < count { Stage::Delta(n + 1) } else { Stage::Close };
        response.deltas_sent += 1;
        match part {
            Part::Speech { text, audio } => {
                self.say_words(response, &text, n, count);
                let from = (n * self.delta_bytes()).min(audio.len());
                let to = (from + self.delta_bytes()).min(audio.len());
                let is_mute = response.text_only || mute_reason(response).is_some();
                if from < to && !is_mute {
                    self.say_sound(response, &audio[from..to], to);
                }
                Duration::from_micros((to - from) as u64 * 125).div_f64(self.script.burst.max(0.01))
            }
            Part::Call { arguments, .. } => {
                self.say_arguments(response, &arguments, n);
                Duration::ZERO
            }
        }
    }

    /// Sends the words that belong to the n-th of `count` deltas. They are sent before its audio.
    fn say_words(&mut self, response: &Response, text: &str, n: usize, count: usize) {
        let words: Vec<&str> = text.split_inclusive(' ').collect();
        let until = |n: usize| (words.len() * n).div_ceil(count);
        let said: Vec<&str> = words[until(n)..until(n + 1)].to_vec();
        let name = if response.text_only {
            "response.output_text.delta"
        } else {
            "response.output_audio_transcript.delta"
        };
        let id = current(response);
        for word in said {
            if let Some(Body::Text { text: told, .. } | Body::Speech { transcript: told, .. }) =
                self.items.any_mut(id).map(|item| &mut item.body)
            {
                told.push_str(word);
            }
            self.emit(name, &with(place_of(response), "delta", json!(word)));
        }
    }

    fn say_sound(&mut self, response: &Response, sound: &[u8], total: usize) {
        let id = current(response);
        if let Some(Body::Speech { sent, .. }) = self.items.any_mut(id).map(|item| &mut item.body) {
            *sent = total;
        }
        let begin = self.rounds.spoken_until.map_or(self.now, |until| until.max(self.now));
        self.rounds.spoken_until = Some(begin + Duration::from_millis(sound.len() as u64 / 8));
        self.emit_audio(&response.id, id, response.part, &response.codec.encode(sound));
        let (response, item) = (response.id.clone(), id.to_owned());
        self.note(What::AudioSent { response, item, ms: total as u64 / 8 });
    }

    fn say_arguments(&mut self, response: &Response, arguments: &str, n: usize) {
        let arguments = if response.faults.contains(&FaultKind::BrokenArguments) {
            "{\"destination\": "
        } else {
            arguments
        };
        let half =
            arguments.char_indices().map(|(at, _)| at).find(|at| at * 2 >= arguments.len()).unwrap_or(0);
        let piece = if n == 0 { &arguments[..half] } else { &arguments[half..] };
        let id = current(response);
        let Some(Body::Call { arguments: said, call_id, .. }) =
            self.items.any_mut(id).map(|item| &mut item.body)
        else {
            return;
        };
        said.push_str(piece);
        let body = json!({
            "response_id": response.id, "item_id": id, "output_index": response.part,
            "call_id": call_id, "delta": piece,
        });
        self.emit("response.function_call_arguments.delta", &body);
    }

    /// Ends the open item. With `quietly`, only its status changes.
    pub(super) fn close_item(&mut self, response: &mut Response, status: &'static str, quietly: bool) {
        let id = current(response).to_owned();
        let Some(item) = self.items.any_mut(&id) else { return };
        item.status = status;
        let body = item.body.clone();
        response.stage = Stage::Open;
        if quietly {
            return;
        }
        match body {
            Body::Speech { transcript, .. } => {
                self.emit("response.output_audio.done", &place_of(response));
                let place = with(place_of(response), "transcript", json!(transcript));
                self.emit("response.output_audio_transcript.done", &place);
                let part = json!({"type": "audio", "transcript": transcript});
                self.emit("response.content_part.done", &with(place_of(response), "part", part));
            }
            Body::Text { text, .. } => {
                self.emit("response.output_text.done", &with(place_of(response), "text", json!(text)));
                let part = json!({"type": "text", "text": text});
                self.emit("response.content_part.done", &with(place_of(response), "part", part));
            }
            Body::Call { call_id, name, arguments } if status == "completed" => {
                let mut body = json!({
                    "response_id": response.id, "item_id": id, "output_index": response.part,
                    "call_id": call_id, "arguments": arguments,
                });
                if !self.script.dialect.is_beta() {
                    body["name"] = json!(name);
                }
                self.emit("response.function_call_arguments.done", &body);
            }
            Body::Call { .. } | Body::Turn { .. } | Body::Output { .. } => {}
        }
        let item = self.items.json(&id);
        if self.items.is_listed(&id) {
            let done = json!({"previous_item_id": self.items.previous(&id), "item": item});
            self.emit("conversation.item.done", &done);
        }
        let done = json!({"response_id": response.id, "output_index": response.part, "item": item});
        self.emit("response.output_item.done", &done);
    }

    /// Makes the faults of the connection happen in the middle of a response. Returns whether there were any.
    fn go_wrong_midway(&mut self, response: &Response) -> bool {
        if response.deltas_sent != response.midway {
            return false;
        }
        let kinds: Vec<FaultKind> =
            response.faults.iter().filter(|fault| !fault.concerns_response()).cloned().collect();
        let any = !kinds.is_empty();
        for kind in kinds {
            self.strike(kind);
        }
        any
    }
}

/// How a response ends after the delta just sent. None: the response continues.
fn early_end(response: &mut Response) -> Option<Ending> {
    if let Some((ending, left)) = &mut response.ending {
        *left -= 1;
        return (*left == 0).then(|| ending.clone());
    }
    let in_call = matches!(response.answer.parts[response.part], Part::Call { .. });
    if in_call && response.faults.contains(&FaultKind::CallIncomplete) {
        return Some(Ending::Incomplete("max_output_tokens".to_owned()));
    }
    if let Some(reason) = mute_reason(response) {
        return Some(Ending::Incomplete(reason));
    }
    let reason = response.faults.iter().find_map(FaultKind::incompleteness)?;
    (response.deltas_sent == response.midway).then_some(Ending::Incomplete(reason))
}

/// Why the response ends before its audio begins. None: it does not.
fn mute_reason(response: &Response) -> Option<String> {
    response.faults.iter().find_map(FaultKind::mute_incompleteness)
}

/// The id of the current item.
fn current(response: &Response) -> &str {
    response.items.last().map_or("", String::as_str)
}

/// The four fields that give the place of something in a response.
fn place_of(response: &Response) -> Value {
    json!({
        "response_id": response.id, "item_id": current(response),
        "output_index": response.part, "content_index": 0,
    })
}

fn with(mut body: Value, key: &str, value: Value) -> Value {
    body[key] = value;
    body
}

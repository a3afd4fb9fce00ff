//! What function calls require of the client (34, 35): one output for every call, and one response after the
//! outputs.
//!
//! ```text
//!  response.done with calls ─► outputs, one per call ─► owed ─► response.create ─► begun
//!        tool_within for each output                 tool_within
//! ```
//!
//! [`speak`](super::speak) makes the calls. Every rule here except the unknown call id is a rule of this
//! project, ⚑.

use std::time::Instant;

use serde_json::Value;

use super::items::{Body, Item};
use super::respond::Ending;
use super::validate::Rejection;
use super::{Due, Session, What};

/// The state that continues from response to response.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// When the audio sent so far would have been played, if it were played without a break.
    pub(super) spoken_until: Option<Instant>,
    /// Whether the conversation has changed since the last response began.
    pub(super) fresh: bool,
    /// Whether the caller has said something after the last response began. A response may be asked for then, whatever tools still do.
    pub(super) caller_waits: bool,
    /// Whether the last response began with something that the caller had said.
    pub(super) answers_caller: bool,
    pub(super) begun: u32,
    pub(super) answered: usize,
    /// When and how the last response ended.
    pub(super) last_end: Option<(Instant, Ending)>,
    calls: Vec<Call>,
    calls_delivered: u32,
    /// The number of rounds whose outputs have all arrived.
    round: u64,
    /// Whether the outputs have arrived and no response has begun since.
    pub(super) owed: bool,
    /// Whether the client asked for the last response right after a round of outputs.
    pub(super) after_tools: bool,
}

#[derive(Debug)]
struct Call {
    id: String,
    response: String,
    /// Whether the call is complete and was announced in a `response.done`.
    delivered: bool,
    answered: bool,
}

impl Session {
    /// Whether the assistant has been heard, which fixes its voice.
    pub(super) fn has_spoken(&self) -> bool {
        self.rounds.spoken_until.is_some()
    }

    /// ⚑ 35: exactly one `response.create` follows all outputs of a round. A `response.create` with its own
    /// instructions does not count, nor does one for what the caller has said meanwhile.
    pub(super) fn check_rounds(&mut self, params: &Value) {
        if params.get("instructions").is_some() {
            return;
        }
        let begun = |call: &&Call| call.delivered && call.answered;
        let half_done = self.rounds.calls.iter().filter(begun).any(|done| {
            let mut others = self.rounds.calls.iter().filter(|call| call.response == done.response);
            others.any(|call| call.delivered && !call.answered)
        });
        if half_done && !self.rounds.caller_waits {
            self.discipline("response.create before all outputs of the round are in (35)");
        }
        let completed = matches!(self.rounds.last_end, Some((_, Ending::Completed)));
        if self.rounds.after_tools && completed && !self.rounds.fresh {
            self.discipline("a second response.create for one round of function calls (35)");
        }
    }

    /// Records a function call that the model has begun, and returns its id.
    pub(super) fn begin_call(&mut self, response: &str) -> String {
        let call_id = self.ids.next("call_");
        let call =
            Call { id: call_id.clone(), response: response.to_owned(), delivered: false, answered: false };
        self.rounds.calls.push(call);
        call_id
    }

    pub(super) fn deliver_calls(&mut self, response: &str) {
        let mut delivered = Vec::new();
        for item in self.items.all().filter(|item| item.status == "completed") {
            let Body::Call { call_id, name, .. } = &item.body else { continue };
            let mine = |call: &&mut Call| call.id == *call_id && call.response == response;
            if let Some(call) = self.rounds.calls.iter_mut().find(mine) {
                call.delivered = true;
                delivered.push((call_id.clone(), name.clone(), call.answered));
            }
        }
        self.rounds.calls.retain(|call| call.response != response || call.delivered);
        for (call_id, name, answered) in delivered {
            self.rounds.calls_delivered += 1;
            self.note(What::ToolCalled { call_id: call_id.clone(), name });
            if !answered {
                self.after(self.script.tool_within, Due::Tool(call_id));
            }
            self.strike_on_call(self.rounds.calls_delivered);
        }
        self.close_round(response);
    }

    /// Handles a `function_call_output` (34, 35).
    pub(super) fn answer_call(&mut self, call_id: &str, output: &str) -> Result<(), Rejection> {
        let of = |item: &&Item| matches!(&item.body, Body::Call { call_id: id, .. } if id == call_id);
        let Some(item) = self.items.listed().find(of) else {
            let message = format!("Tool call ID '{call_id}' not found in conversation.");
            return Err(Rejection::new("invalid_tool_call_id", message, Some("item.call_id")));
        };
        if item.status == "incomplete" {
            self.discipline(&format!("output for {call_id}, a call that is incomplete (§6.1)"));
        }
        self.note(What::ToolOutput { call_id: call_id.to_owned(), output: output.to_owned() });
        let Some(call) = self.rounds.calls.iter_mut().find(|call| call.id == call_id) else {
            return Ok(());
        };
        let again = std::mem::replace(&mut call.answered, true);
        let response = call.response.clone();
        if again {
            self.discipline(&format!("a second output for {call_id} (34)"));
        } else {
            self.close_round(&response);
        }
        Ok(())
    }

    /// Records that a response is owed once every call of a response is answered.
    fn close_round(&mut self, response: &str) {
        let mut calls = self.rounds.calls.iter().filter(|call| call.response == response).peekable();
        if calls.peek().is_none() || !calls.all(|call| call.delivered && call.answered) {
            return;
        }
        self.rounds.round += 1;
        self.rounds.owed = true;
        self.rounds.fresh = true;
        self.after(self.script.tool_within, Due::Owed(self.rounds.round));
    }

    pub(super) fn miss_tool(&mut self, call_id: &str) {
        if self.rounds.calls.iter().any(|call| call.id == call_id && !call.answered) {
            self.discipline(&format!("{call_id} not answered within {:?} (35)", self.script.tool_within));
        }
    }

    pub(super) fn miss_response(&mut self, round: u64) {
        if self.rounds.owed && self.rounds.round == round {
            self.discipline("no response.create after the outputs of the function calls (35)");
        }
    }
}

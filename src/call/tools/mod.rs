//! What the model may do beside speaking: hang up, transfer, and the tools of its agent.
//!
//! ```text
//!  function call ─► known · not seen before · arguments fit · not done already · not too often · the caller agrees
//!       │ any of them fails                                                            │ all hold
//!       ▼                                                                              ▼
//!  answered at once, with what would be right                                  Output::Tool ─► running ─► Input::Tool
//!                                                                                              │ long without a word: a filler
//!                                                                                              │ no end in time: "unknown"
//!                    exactly one output for each call ◄────────────────────────────────────────┘
//!                    the last of them in: one response
//! ```
//! A call of a tool is never cut by barge-in. Nothing here waits: what a tool brings, or that it brings nothing in time, is an
//! input like everything else.
//!
//! | file | what |
//! |---|---|
//! | `built_in` | hanging up and transferring |
//! | `gate` | whether a call of a tool is carried out |
//! | `running` | the calls of tools that are being carried out |
//! | `tally` | what became of all of them |

mod built_in;
mod gate;
mod running;
mod tally;

use std::sync::Arc;

use crate::call::record::EventKind;
use crate::call::responses::Purpose;
use crate::call::{Call, Output};
use crate::realtime::client::NewItem;
use crate::realtime::dialect;
use crate::realtime::server::FunctionCall;
use crate::tool::{Effect, Outcome, Tool};

pub(in crate::call) use built_in::TRANSFER_CALL;
pub use built_in::{DESTINATION_VARIABLE, Destination, SUMMARY_VARIABLE};
use built_in::{END_CALL, Transfer, failure};
use gate::{Gate, Verdict};
use running::Running;
pub use running::{Job, JobNumber, Result};
pub use tally::Use;
use tally::{REPEATED, Tally};

/// Most function calls of one call that are carried out. A model that calls more is talking with itself: what it calls would
/// be kept, and told to each new session, without end. Fewer could refuse a transfer at the end of a long talk.
const MOST_CALLS: usize = 256;
/// So many calls more may hang up or transfer: a model that has called too much may still end the call.
const MOST_CALLS_TO_LEAVE: usize = MOST_CALLS + 16;

/// The functions that the model is offered.
pub fn offered(may_hang_up: bool, destinations: &[Destination], tools: &[Arc<Tool>]) -> Vec<dialect::Tool> {
    let built_in = built_in::offered(may_hang_up, destinations);
    let of_agent = tools.iter().map(|tool| dialect::Tool {
        name: Arc::clone(&tool.name),
        description: tool.description.clone(),
        parameters: tool.parameters.schema().clone(),
    });
    built_in.into_iter().chain(of_agent).collect()
}

/// The functions that the model has called.
#[derive(Debug, Default)]
pub(super) struct Tools {
    /// The id of every call there was: each is carried out once.
    seen: Vec<String>,
    /// Transfers whose place is being asked for.
    transfers: Vec<Transfer>,
    gate: Gate,
    running: Running,
    tally: Tally,
    /// The model has got an output, and has not been asked to go on with it.
    owed: bool,
    /// Every call with its output, in order: a new session must be told.
    answered: Vec<(FunctionCall, String)>,
    /// The outputs that the session has not been told, because there was no way to it.
    untold: Vec<NewItem>,
}

impl Tools {
    /// Whether an answer of Asterisk is awaited, without which the model should not go on. It comes within a moment.
    pub(super) fn is_pending(&self) -> bool {
        !self.transfers.is_empty()
    }

    /// Whether a tool is being carried out. The conversation goes on meanwhile.
    pub(super) fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// The outputs that the session has not been told.
    pub(super) fn untold(&mut self) -> Vec<NewItem> {
        std::mem::take(&mut self.untold)
    }

    /// What became of all calls of tools so far.
    pub(super) const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The caller has finished a turn.
    pub(super) fn caller_spoke(&mut self) {
        self.gate.caller_spoke();
    }

    /// Every call with its output, and those that have none yet, for a new session.
    pub(super) fn told_again(&self) -> Vec<NewItem> {
        let pair = |(call, output): &(FunctionCall, String)| [retold(call), answer(call, output.clone())];
        self.answered.iter().flat_map(pair).chain(self.running.told_again()).collect()
    }
}

impl Call {
    /// The model calls a function.
    pub(super) fn function_called(&mut self, call: &FunctionCall) {
        let seen = &self.tools.seen;
        let leaves = matches!(call.name.as_str(), END_CALL | TRANSFER_CALL);
        let most = if leaves { MOST_CALLS_TO_LEAVE } else { MOST_CALLS };
        if !call.complete || seen.contains(&call.call_id) || seen.len() >= most {
            return;
        }
        self.tools.seen.push(call.call_id.clone());
        let writes = self.tools.running.has(Effect::Write);
        match call.name.as_str() {
            END_CALL | TRANSFER_CALL if writes => {
                self.answer_function(call, self.sessions.number(), Outcome::Busy.text());
            }
            END_CALL if self.settings.may_hang_up => self.end_call(call),
            TRANSFER_CALL => self.transfer(call),
            name => match self.settings.tools.iter().position(|tool| *tool.name == *name) {
                Some(tool) => self.tool_called(call, tool),
                None => {
                    self.answer_function(call, self.sessions.number(), failure("there is no such function"));
                }
            },
        }
    }

    /// The model calls a tool of its agent.
    fn tool_called(&mut self, call: &FunctionCall, index: usize) {
        let tool = Arc::clone(&self.settings.tools[index]);
        let session = self.sessions.number();
        match self.tools.gate.judge(&tool, &call.arguments, &self.tools.running) {
            Verdict::Run { arguments, agreed_in_turn } => {
                self.note(EventKind::Tool, tool.name.to_string());
                let key = arguments.key(self.leg.id(), &tool.name);
                let job = self.tools.running.begin(
                    self.now,
                    running::Begun { call: call.clone(), session, tool, arguments, key, agreed_in_turn },
                );
                self.outputs.push(Output::Tool(job));
                // Another call of the same answer may have got its output already: the response waits for this one, too.
                if self.responses.wants(Purpose::Answer) {
                    self.responses.want_no(Purpose::Answer);
                    self.tools.owed = true;
                }
            }
            Verdict::Refuse(outcome) => {
                self.note(EventKind::Tool, format!("{} {}", tool.name, outcome.code()));
                self.tools.tally.count(&tool.name, outcome.code(), None);
                self.answer_function(call, session, outcome.text());
            }
            Verdict::Repeat(outcome) => {
                self.note(EventKind::Tool, format!("{} {REPEATED}", tool.name));
                self.tools.tally.count(&tool.name, REPEATED, None);
                self.answer_function(call, session, outcome.repeated());
            }
        }
    }

    /// Sends the model the output of a function call, and asks it to continue when no other output is missing. A session that
    /// did not make the function call gets a copy of it first. A session that is not open yet gets both later.
    fn answer_function(&mut self, call: &FunctionCall, session: usize, output: String) {
        self.tools.answered.push((call.clone(), output.clone()));
        if session != self.sessions.number() {
            self.tell_model(retold(call));
        }
        if self.leg.openai().is_some() && !self.session.is_ready() {
            self.tools.untold.push(answer(call, output));
        } else {
            self.tell_model(answer(call, output));
        }
        self.tools.owed = true;
        let waits = self.tools.is_pending() || self.tools.is_running();
        if !waits && std::mem::take(&mut self.tools.owed) && self.leaving.is_none() {
            self.responses.want(Purpose::Answer);
        }
    }
}

fn retold(call: &FunctionCall) -> NewItem {
    let FunctionCall { call_id, name, arguments, .. } = call.clone();
    NewItem::FunctionCall { call_id, name, arguments }
}

fn answer(call: &FunctionCall, output: String) -> NewItem {
    NewItem::FunctionOutput { call_id: call.call_id.clone(), output }
}

//! What the model may do beside speaking: hang up (`end_call`) and transfer (`transfer_call`).
//!
//! ```text
//!   function call ──► carried out ──► output, exactly one ──► the last of them in: one response
//!                        │
//!                        └─ end_call, transfer_call: the call is left once the goodbye has been heard (leaving)
//! ```
//! The model can name a destination, never a number. Nothing here waits: a transfer's place in the dialplan is asked
//! for like everything else, and its answer, or its time-out, is an input.

use serde_json::{Value, json};

use super::caller::Exit;
use super::record::EventKind;
use super::replies::missing;
use super::responses::Purpose;
use super::{Call, Output};
use crate::ari::Place;
use crate::ari::request::{Reply, Request};
use crate::end_reason::EndReason;
use crate::realtime::client::NewItem;
use crate::realtime::dialect::Tool;
use crate::realtime::server::FunctionCall;

/// The channel variable that names the destination of a transfer.
pub const DESTINATION_VARIABLE: &str = "AI_TRANSFER_DESTINATION";
/// The channel variable that tells whoever takes the call what it was about.
pub const SUMMARY_VARIABLE: &str = "AI_TRANSFER_SUMMARY";
/// Longest summary, characters: a paragraph. Asterisk takes lines of 8 KiB, and it travels in a URL, escaped.
const SUMMARY_CHARS: usize = 600;
const END_CALL: &str = "end_call";
const TRANSFER_CALL: &str = "transfer_call";

/// Somewhere a caller can be transferred to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// What the model calls it.
    pub name: String,
    /// Where it is in the dialplan.
    pub place: Place,
}

/// The functions the model is offered.
pub fn offered(may_hang_up: bool, destinations: &[Destination]) -> Vec<Tool> {
    let mut tools = Vec::new();
    if may_hang_up {
        tools.push(Tool {
            name: END_CALL,
            description:
                "Hangs up. Call it when the conversation is over, after you have said goodbye: what you say \
                before it is heard to the end. If the caller interrupts your goodbye, the call goes on."
                    .to_owned(),
            parameters: json!({"type": "object", "properties": {}, "additionalProperties": false}),
        });
    }
    if !destinations.is_empty() {
        let names: Vec<_> = destinations.iter().map(|destination| destination.name.as_str()).collect();
        tools.push(Tool {
            name: TRANSFER_CALL,
            description:
                "Connects the caller with a colleague. Tell the caller first: what you say before it is \
                heard to the end. If the caller interrupts you, the call goes on and nothing is transferred."
                    .to_owned(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "destination": {"type": "string", "enum": names},
                    "summary": {
                        "type": "string",
                        "description": "For the colleague: who calls and what about, in one paragraph.",
                    },
                },
                "required": ["destination", "summary"],
                "additionalProperties": false,
            }),
        });
    }
    tools
}

/// Most function calls of one call that are carried out. A model that calls more is talking with itself: what it calls would
/// be kept, and told to each new session, without end. Fewer could refuse a transfer at the end of a long talk.
const MOST_CALLS: usize = 256;

/// The functions that the model has called.
#[derive(Debug, Default)]
pub(super) struct Tools {
    /// The id of every call there was: each is carried out once.
    seen: Vec<String>,
    /// Transfers whose place is being asked for.
    transfers: Vec<Transfer>,
    /// The model has got an output, and has not been asked to go on with it.
    owed: bool,
    /// Every call with its output, in order: a new session must be told.
    answered: Vec<(FunctionCall, String)>,
}

#[derive(Debug)]
struct Transfer {
    call: FunctionCall,
    /// The session in which the model called.
    session: usize,
    destination: Destination,
    summary: String,
}

impl Tools {
    /// Whether a call of the model has no output yet.
    pub(super) fn is_pending(&self) -> bool {
        !self.transfers.is_empty()
    }

    /// Every call with its output, for a new session.
    pub(super) fn told_again(&self) -> Vec<NewItem> {
        let pair = |(call, output): &(FunctionCall, String)| [retold(call), answer(call, output.clone())];
        self.answered.iter().flat_map(pair).collect()
    }
}

impl Call {
    /// The model calls a function.
    pub(super) fn function_called(&mut self, call: &FunctionCall) {
        let seen = &self.tools.seen;
        if !call.complete || seen.contains(&call.call_id) || seen.len() >= MOST_CALLS {
            return;
        }
        self.tools.seen.push(call.call_id.clone());
        match call.name.as_str() {
            END_CALL if self.settings.may_hang_up => {
                self.note(EventKind::Tool, END_CALL.to_owned());
                self.part(EndReason::AssistantHungUp, Exit::HangUp);
                self.answer_function(call, self.sessions.number(), &json!({"ok": true}));
            }
            TRANSFER_CALL => self.transfer(call),
            _ => self.answer_function(call, self.sessions.number(), &failure("there is no such function")),
        }
    }

    /// Asks whether the destination is in the dialplan: a `continue` that leads nowhere would drop the caller.
    fn transfer(&mut self, call: &FunctionCall) {
        let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
        let name = arguments["destination"].as_str().unwrap_or_default();
        let destinations = &self.settings.destinations;
        let destination = destinations.iter().find(|one| one.name.eq_ignore_ascii_case(name.trim())).cloned();
        let Some(destination) = destination else {
            self.note(EventKind::Tool, format!("{TRANSFER_CALL} refused"));
            let names: Vec<_> = self.settings.destinations.iter().map(|one| one.name.as_str()).collect();
            let error = failure(&format!("no such destination; there are: {}", names.join(", ")));
            return self.answer_function(call, self.sessions.number(), &error);
        };
        self.note(EventKind::Tool, format!("{TRANSFER_CALL} {}", destination.name));
        let (channel, place) = (self.legs.caller_id().clone(), destination.place.clone());
        self.outputs.push(Output::Ari(Request::DialplanExists { channel, place }));
        let summary = paragraph(arguments["summary"].as_str().unwrap_or_default());
        let (call, session) = (call.clone(), self.sessions.number());
        self.tools.transfers.push(Transfer { call, session, destination, summary });
    }

    /// Asterisk said whether a place is in the dialplan.
    pub(super) fn place_known(&mut self, place: &Place, reply: &Reply) {
        let asked = self.tools.transfers.iter().position(|transfer| transfer.destination.place == *place);
        let Some(Transfer { call, session, destination, summary }) =
            asked.map(|at| self.tools.transfers.remove(at))
        else {
            return;
        };
        if let Some(notice) = missing(place, reply) {
            self.outputs.push(Output::Notice(notice));
            return self.answer_function(&call, session, &failure("this destination cannot be reached now"));
        }
        let variables = vec![(DESTINATION_VARIABLE, destination.name), (SUMMARY_VARIABLE, summary)];
        self.part(EndReason::Transferred, Exit::Dialplan { place: Some(destination.place), variables });
        self.answer_function(&call, session, &json!({"ok": true}));
    }

    /// Tells the model what became of its call, and asks it to go on when it was the last. A session that did not make the
    /// call is told of it first; one that does not stand yet, later.
    fn answer_function(&mut self, call: &FunctionCall, session: usize, output: &Value) {
        let output = output.to_string();
        self.tools.answered.push((call.clone(), output.clone()));
        if session != self.sessions.number() {
            self.tell_model(retold(call));
        }
        self.tell_model(answer(call, output));
        self.tools.owed = true;
        if !self.tools.is_pending() && std::mem::take(&mut self.tools.owed) && self.leaving.is_none() {
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

fn failure(error: &str) -> Value {
    json!({"ok": false, "error": error})
}

/// Makes a channel variable of the model's text: one paragraph, without the characters that a dialplan which uses the variable
/// carelessly would interpret.
fn paragraph(text: &str) -> String {
    let harmless = |c: char| match c {
        ',' => ';',
        '"' | '\\' | '$' | '`' | '|' | '&' | '<' | '>' | '{' | '}' | '[' | ']' => ' ',
        c if c.is_control() => ' ',
        c => c,
    };
    let clean: String = text.chars().map(harmless).collect();
    let joined = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    joined.chars().take(SUMMARY_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_cannot_leave_its_variable() {
        let text = "Ana,\n quiere \"${SHELL(rm)}\" &  una cita";
        assert_eq!(paragraph(text), "Ana; quiere SHELL(rm) una cita");
        assert_eq!(paragraph(&"x".repeat(5_000)).chars().count(), SUMMARY_CHARS);
    }

    #[test]
    fn only_what_is_possible_is_offered() {
        assert!(offered(false, &[]).is_empty());
        let place = "from-internal,200".parse().expect("a place");
        let tools = offered(true, &[Destination { name: "ventas".into(), place }]);
        assert_eq!(tools.iter().map(|tool| tool.name).collect::<Vec<_>>(), [END_CALL, TRANSFER_CALL]);
        assert_eq!(tools[1].parameters["properties"]["destination"]["enum"], json!(["ventas"]));
        assert!(!tools[1].parameters.to_string().contains("200"), "the model never sees a number");
    }
}

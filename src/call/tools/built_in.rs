//! What every model may do beside speaking: hang up (`end_call`) and transfer (`transfer_call`). The call is left once the
//! goodbye has been heard (`leaving`). A supervisor transfers in the same way, without a goodbye.
//!
//! The model can name a destination, never a number. Nothing here waits: a transfer's place in the dialplan is asked
//! for like everything else, and its answer, or its time-out, is an input.

use serde_json::{Value, json};

use crate::ari::Place;
use crate::ari::request::{Reply, Request};
use crate::call::caller::Exit;
use crate::call::record::EventKind;
use crate::call::replies::missing;
use crate::call::{Call, Notice, Output};
use crate::end_reason::EndReason;
use crate::realtime::dialect::Tool;
use crate::realtime::server::FunctionCall;

/// The channel variable that names the destination of a transfer.
pub const DESTINATION_VARIABLE: &str = "AI_TRANSFER_DESTINATION";
/// The channel variable that tells whoever takes the call what it was about.
pub const SUMMARY_VARIABLE: &str = "AI_TRANSFER_SUMMARY";
/// Longest summary, characters: a paragraph. Asterisk takes lines of 8 KiB, and it travels in a URL, escaped.
const SUMMARY_CHARS: usize = 600;
pub(super) const END_CALL: &str = "end_call";
pub(in crate::call) const TRANSFER_CALL: &str = "transfer_call";

/// Somewhere a caller can be transferred to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// What the model calls it.
    pub name: String,
    /// Where it is in the dialplan.
    pub place: Place,
}

/// The functions the model is offered.
pub(super) fn offered(may_hang_up: bool, destinations: &[Destination]) -> Vec<Tool> {
    let mut tools = Vec::new();
    if may_hang_up {
        tools.push(Tool {
            name: END_CALL.into(),
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
            name: TRANSFER_CALL.into(),
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

/// A transfer whose place is being asked for.
#[derive(Debug)]
pub(super) struct Transfer {
    destination: Destination,
    by: Transferrer,
}

/// Who transfers the caller.
#[derive(Debug)]
enum Transferrer {
    /// The model, by this function call in this session. The summary is for the colleague.
    Model { call: FunctionCall, session: usize, summary: String },
    /// A supervisor.
    Supervisor,
}

impl Call {
    /// The model wants to hang up.
    pub(super) fn end_call(&mut self, call: &FunctionCall) {
        self.note(EventKind::Tool, END_CALL.to_owned());
        self.part(EndReason::AssistantHungUp, Exit::HangUp);
        self.answer_function(call, self.sessions.number(), json!({"ok": true}).to_string());
    }

    /// The model wants to transfer the caller.
    pub(super) fn transfer(&mut self, call: &FunctionCall) {
        let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
        let name = arguments["destination"].as_str().unwrap_or_default();
        let destinations = &self.settings.destinations;
        let destination = destinations.iter().find(|one| one.name.eq_ignore_ascii_case(name.trim())).cloned();
        let Some(destination) = destination else {
            self.note(EventKind::Tool, format!("{TRANSFER_CALL} refused"));
            let names: Vec<_> = self.settings.destinations.iter().map(|one| one.name.as_str()).collect();
            let error = failure(&format!("no such destination; there are: {}", names.join(", ")));
            return self.answer_function(call, self.sessions.number(), error);
        };
        self.note(EventKind::Tool, format!("{TRANSFER_CALL} {}", destination.name));
        let summary = paragraph(arguments["summary"].as_str().unwrap_or_default());
        let by = Transferrer::Model { call: call.clone(), session: self.sessions.number(), summary };
        self.ask_for_place(Transfer { destination, by });
    }

    /// A supervisor wants to transfer the caller.
    pub(in crate::call) fn supervisor_transfers(&mut self, destination: Destination) {
        self.ask_for_place(Transfer { destination, by: Transferrer::Supervisor });
    }

    /// Asks whether the destination is in the dialplan: a `continue` that leads nowhere would drop the caller.
    fn ask_for_place(&mut self, transfer: Transfer) {
        let Some(legs) = self.leg.asterisk() else { return self.transfer_by_refer(transfer) };
        let (channel, place) = (legs.caller_id().clone(), transfer.destination.place.clone());
        self.outputs.push(Output::Ari(Request::DialplanExists { channel, place }));
        self.tools.transfers.push(transfer);
    }

    /// The caller is at OpenAI. Whether the destination exists is known only when the SIP peer has been asked to send the caller
    /// there (`sip`).
    fn transfer_by_refer(&mut self, Transfer { destination, by }: Transfer) {
        let is_reachable = self.leg.openai().is_some_and(|leg| leg.target(&destination.place).is_some());
        let exit = Exit::Dialplan { place: Some(destination.place), variables: Vec::new() };
        match by {
            Transferrer::Model { call, session, .. } => {
                self.part(EndReason::Transferred, exit);
                self.answer_function(&call, session, json!({"ok": true}).to_string());
            }
            Transferrer::Supervisor if !is_reachable => {}
            Transferrer::Supervisor => self.leave(EndReason::SupervisorTransferred, exit),
        }
    }

    /// Asterisk said whether a place is in the dialplan. If it is not, the call goes on with the assistant.
    pub(in crate::call) fn place_known(&mut self, place: &Place, reply: &Reply) {
        let asked = self.tools.transfers.iter().position(|transfer| transfer.destination.place == *place);
        let Some(Transfer { destination, by }) = asked.map(|at| self.tools.transfers.remove(at)) else {
            return;
        };
        let obstacle = match missing(place, reply) {
            Some(Notice::PlaceMissing { place }) => Some(Notice::TransferPlaceMissing { place }),
            other => other,
        };
        let is_there = obstacle.is_none();
        self.outputs.extend(obstacle.map(Output::Notice));
        let leads_to = (DESTINATION_VARIABLE, destination.name);
        let exit = |variables| Exit::Dialplan { place: Some(destination.place), variables };
        match by {
            Transferrer::Model { call, session, .. } if !is_there => {
                self.answer_function(&call, session, failure("this destination cannot be reached now"));
            }
            Transferrer::Model { call, session, summary } => {
                let exit = exit(vec![leads_to, (SUMMARY_VARIABLE, summary)]);
                self.part(EndReason::Transferred, exit);
                self.answer_function(&call, session, json!({"ok": true}).to_string());
            }
            Transferrer::Supervisor if !is_there => {}
            Transferrer::Supervisor => self.leave(EndReason::SupervisorTransferred, exit(vec![leads_to])),
        }
    }
}

/// The output of a function that was not carried out.
pub(super) fn failure(error: &str) -> String {
    json!({"ok": false, "error": error}).to_string()
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
        assert_eq!(tools.iter().map(|tool| &*tool.name).collect::<Vec<_>>(), [END_CALL, TRANSFER_CALL]);
        assert_eq!(tools[1].parameters["properties"]["destination"]["enum"], json!(["ventas"]));
        assert!(!tools[1].parameters.to_string().contains("200"), "the model never sees a number");
    }
}

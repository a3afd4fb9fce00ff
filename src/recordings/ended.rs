//! The conversation document of a call that has ended, for whoever needs it and does not want to wait for the recording, or has none.

use serde_json::{Map, Value};

use super::conversation::Conversation;
use super::log::{End, Line, Opened, Said, ms};
use super::story::Story;
use super::{RecordingId, State};
use crate::call::ledger::Bill;
use crate::call::record::{Ending, Opening, ToolEntry};
use crate::call::transcript::Utterance;

/// What is known of a call that has ended.
#[derive(Debug)]
pub struct EndedCall<'a> {
    /// How it began.
    pub opening: &'a Opening,
    /// What was said, in order.
    pub transcript: &'a [Utterance],
    /// The tools that were carried out.
    pub tools: &'a [ToolEntry],
    /// The report on it.
    pub report: Option<&'a Value>,
    /// What it has used. `None`: it had no session with the model.
    pub bill: Option<&'a Bill>,
    /// How it ended.
    pub ending: Ending,
}

impl EndedCall<'_> {
    /// The document, with the keys that a recording has. All times count from the beginning of the call, because there is no audio file
    /// from whose beginning they could count.
    #[must_use]
    pub fn document(&self) -> Map<String, Value> {
        let Ending { reason, duration, interruptions } = self.ending;
        let said = self.transcript.iter().map(|said| Line::Said(Said::new(said, None)));
        let tools = self.tools.iter().map(|tool| Line::Tool(tool.clone().into()));
        let report = self.report.map(|report| Line::Report(report.clone()));
        let usage = self.bill.map(|bill| Line::Usage(bill.clone().into()));
        let end = Line::End(End {
            reason: reason.code().to_owned(),
            duration_ms: Some(ms(duration)),
            interruptions: Some(interruptions),
        });
        let story =
            Story::of(Opened::from(self.opening), said.chain(tools).chain(report).chain(usage).chain([end]));
        let id = RecordingId::new(self.opening.started, self.opening.channel.as_str());
        let document = Conversation::new(&id, &story, State::Finished, 0);
        match serde_json::to_value(document) {
            Ok(Value::Object(document)) => document,
            _ => Map::new(),
        }
    }
}

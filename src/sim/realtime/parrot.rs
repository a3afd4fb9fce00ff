//! Answers without a script, for people who talk to the fake: it repeats what it is told.
//!
//! | what was last | the answer |
//! |---|---|
//! | `NAME {…}` from the caller, and there is a function NAME | a call of it with these arguments |
//! | other words of the caller | the same words in quotes |
//! | the output of a function | its name and its output |
//! | a request with instructions | what they say to say exactly, or their last line |

use serde_json::Value;

use super::Session;
use super::items::{Body, Role};
use super::script::{Answer, pattern};

/// Where the words begin that are to be said exactly.
const EXACTLY: &str = "Say exactly this, and nothing else:\n";
/// How long the sound of a word is, in milliseconds.
const WORD_MS: u64 = 250;

impl Session {
    /// The answer to what was last in the conversation, or to these parameters of a `response.create`.
    pub(super) fn parrot(&self, params: &Value) -> Answer {
        if let Some(instructions) = params["instructions"].as_str() {
            let exactly = instructions.rsplit_once(EXACTLY).map(|(_, words)| words);
            return said(exactly.or_else(|| instructions.lines().last()).unwrap_or_default());
        }
        let mut turns = 0;
        let last = self.items.listed().filter_map(|item| match &item.body {
            Body::Text { role: Role::User, text } => Some(self.answer_to(text)),
            Body::Turn { transcript, .. } => {
                turns += 1;
                // The words of the last turn may not have been sent yet.
                let scripted = self.script.transcripts.get(turns - 1).or(self.script.transcripts.last());
                Some(self.answer_to(transcript.as_ref().or(scripted).map_or("", String::as_str)))
            }
            Body::Output { call_id, output } => Some(said(&format!("{}: {output}", self.called(call_id)))),
            Body::Text { .. } | Body::Speech { .. } | Body::Call { .. } => None,
        });
        last.last().unwrap_or_else(|| said("?"))
    }

    fn answer_to(&self, text: &str) -> Answer {
        let (name, arguments) = text.trim().split_once(' ').unwrap_or((text.trim(), "{}"));
        let tools = self.settings.echo()["tools"].as_array().cloned().unwrap_or_default();
        let is_call = serde_json::from_str::<Value>(arguments).is_ok_and(|arguments| arguments.is_object());
        if is_call && tools.iter().any(|tool| tool["name"] == name) {
            return Answer::call(name, arguments);
        }
        said(&format!("«{}»", text.trim()))
    }

    /// The name of the function of this call.
    fn called(&self, id: &str) -> &str {
        let calls = self.items.listed().filter_map(|item| match &item.body {
            Body::Call { call_id, name, .. } if call_id == id => Some(name.as_str()),
            _ => None,
        });
        calls.last().unwrap_or_default()
    }
}

fn said(text: &str) -> Answer {
    let words = text.split_whitespace().count().max(1) as u64;
    Answer::speech(text, pattern(words * WORD_MS, 1))
}

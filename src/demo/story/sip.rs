//! What is seen of calls whose sound goes from Asterisk to OpenAI, and of a second caller for whom there is no room.

use std::time::Instant;

use serde_json::Value;

use super::super::Route;
use super::super::ladder::{Kind, Lane};
use super::Story;
use crate::operator::Language;
use crate::sim::asterisk::CallerId;
use crate::sim::live::openai_calls::{Seen, What};
use crate::sim::live::realtime::Said;

/// What stands before the steps of the second caller.
const MARK: &str = "2: ";

/// The second caller.
#[derive(Debug)]
pub(super) struct Second {
    call: CallerId,
    channel: String,
}

/// Whether this is the id of a channel that copies the caller's sound.
pub(super) fn is_snoop(id: &str) -> bool {
    ["oic-said-", "oic-heard-"].iter().any(|prefix| id.starts_with(prefix))
}

/// Whether an item tells the model of keys.
pub(super) fn is_of_keys(event: &Value) -> bool {
    event["item"]["content"][0]["text"].as_str().is_some_and(|text| text.starts_with("[keypad"))
}

impl Story {
    /// A second caller comes, whose channel has this id.
    pub(in crate::demo) fn second(&mut self, call: CallerId, channel: String) {
        self.second = Some(Second { call, channel });
    }

    /// Adds an event at OpenAI, or between OpenAI and Asterisk.
    pub(in crate::demo) fn at_openai(&mut self, seen: &Seen) {
        let at = seen.at;
        let (from_us, to_us) = ((Lane::Daemon, Lane::OpenAi), (Lane::OpenAi, Lane::Daemon));
        let (dialled, answer) = ((Lane::Asterisk, Lane::OpenAi), (Lane::OpenAi, Lane::Asterisk));
        let ((from, to), label) = match &seen.what {
            What::Rings => (dialled, "INVITE, X-Call-Nonce".to_owned()),
            What::Answered => (answer, "200 OK".to_owned()),
            What::HungUp => (dialled, "BYE".to_owned()),
            What::HangsUp => (answer, "BYE".to_owned()),
            What::Webhook(status) => (to_us, format!("POST webhook call.incoming {status}")),
            What::Request(verb, status) => (from_us, format!("POST {verb} {status}")),
            What::Attached(status) => (from_us, format!("WebSocket call_id {status}")),
            What::FromClient(text) => {
                return self.openai(&Said { at, by_client: true, text: text.clone() });
            }
            What::ToClient(text) => {
                return self.openai(&Said { at, by_client: false, text: text.clone() });
            }
        };
        self.step(at, from, to, &label);
        if matches!(&seen.what, What::Request(verb, 404) if verb == "hangup") {
            self.explains_gone(at);
        }
    }

    /// Says once why what the daemon wants to end or remove is not there.
    pub(super) fn explains_gone(&mut self, at: Instant) {
        if self.route == Route::Sip && !std::mem::replace(&mut self.has_explained_gone, true) {
            let text = self.language.choose(
                "ya no existe, y 404 es la respuesta correcta: se fue con la llamada, y el servicio se asegura de ello",
                "it is gone, and 404 is the right answer: it went with the call, and the daemon makes sure of that",
            );
            self.row(at, Kind::Remark(text.to_owned()));
        }
    }

    /// What a channel is.
    pub(super) fn thing(&self, id: &str) -> &'static str {
        match self.route {
            _ if is_snoop(id) => "snoop",
            Route::Media if id.starts_with("oic-") => "media",
            Route::Sip if id.starts_with("oic-media-") => "OpenAI",
            Route::Sip if id.starts_with("oic-") => "channel",
            Route::Media | Route::Sip => self.language.choose("llamante", "caller"),
        }
    }

    /// The mark of a caller, if it is the second one.
    pub(super) fn mark(&self, call: CallerId) -> &'static str {
        if self.second.as_ref().is_some_and(|second| second.call == call) { MARK } else { "" }
    }

    pub(super) fn mark_of_channel(&self, id: &str) -> &'static str {
        if self.second.as_ref().is_some_and(|second| second.channel == id) { MARK } else { "" }
    }

    pub(super) fn mark_of_path(&self, path: &str) -> &'static str {
        path.split('/').map(|part| self.mark_of_channel(part)).find(|mark| !mark.is_empty()).unwrap_or("")
    }

    /// Says why the second caller is not served.
    pub(super) fn says_full(&mut self, at: Instant, call: CallerId) {
        if !self.mark(call).is_empty() {
            let text = self.language.choose(
                "llega otra persona (2), y no hay lugar: MAX_CALLS es 1",
                "somebody else comes (2), and there is no room: MAX_CALLS is 1",
            );
            self.row(at, Kind::Remark(text.to_owned()));
        }
    }

    /// A caller goes on in the dialplan.
    pub(super) fn goes_on(&mut self, at: Instant, call: CallerId, place: &str) {
        let mark = self.mark(call);
        let text = match self.language {
            Language::Spanish => {
                format!("{mark}el llamante sigue en el dialplan, donde atiende una persona: {place}")
            }
            Language::English => {
                format!("{mark}the caller goes on in the dialplan, where a person answers: {place}")
            }
        };
        self.row(at, Kind::Remark(text));
    }

    /// OpenAI says how much of an answer was heard.
    pub(super) fn interrupted_at_openai(&mut self, at: Instant, ms: u64) {
        self.interrupted(at, ms);
        self.step(at, Lane::OpenAi, Lane::Daemon, &format!("item.truncated {ms} ms"));
    }
}

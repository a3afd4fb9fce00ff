//! What is paid for in a call, and when: each response, and each turn of the caller that is put into words. The sums are
//! `ledger`'s.

use super::ledger::Bill;
use super::record::Entry;
use super::{Call, Output};
use crate::realtime::ItemId;
use crate::realtime::server::{Response, ResponseStatus};
use crate::realtime::usage::Usage;

impl Call {
    /// What the call comes to by now.
    pub(super) fn bill(&self) -> Bill {
        self.ledger.bill(&self.settings.prices)
    }

    /// A response is over: it is paid for, however it ended. Only one that failed may cost nothing.
    pub(super) fn response_paid(&mut self, response: &Response) {
        if !(response.usage.is_untold() && matches!(response.status, ResponseStatus::Failed(_))) {
            self.ledger.response(&response.usage);
            self.billed();
        }
    }

    /// The server has put into words what the caller said.
    pub(super) fn words_paid(&mut self, item: &ItemId, usage: &Usage) {
        let spoken = self.transcript.find(item).and_then(|utterance| utterance.length());
        self.ledger.transcription(usage, spoken);
        self.billed();
    }

    /// The session is gone. It will not tell any more what the response and the words in progress have used, but they are paid for.
    pub(super) fn settle(&mut self) {
        let awaited: Vec<_> = self.transcript.awaited().map(|utterance| utterance.length()).collect();
        let transcribes = self.settings.session.transcription.is_some();
        for spoken in awaited.into_iter().filter(|_| transcribes) {
            self.ledger.transcription(&Usage::default(), spoken);
        }
        if self.responses.active().is_some() {
            self.ledger.response(&Usage::default());
        }
        // Whether that is too much is looked at with the next response, if there is one: now there is nobody to tell.
        let bill = self.bill();
        self.outputs.push(Output::Record(Entry::Usage(bill)));
    }

    /// Records what the call comes to by now, and looks whether that is too much.
    fn billed(&mut self) {
        let bill = self.bill();
        self.watch_cost(bill.at_least);
        self.outputs.push(Output::Record(Entry::Usage(bill)));
    }
}

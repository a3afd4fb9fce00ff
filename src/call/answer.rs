//! How the model's responses begin and end. What the caller got of a response decides what happens next.
//!
//! | the answer | the caller | the model is |
//! |---|---|---|
//! | was spoken, or called a function | hears it | left alone |
//! | was ended by the model in the middle | hears what there is | left alone; the recording has a mark |
//! | has no sound: empty, words only, ended or cancelled before it began | hears nothing | asked again at once, three times in all |
//! | failed | hears what there is | asked again after a pause, three times in all |
//!
//! An item that nobody hears is deleted at the server: the model must not believe that it has said it.

use super::floor::Spoken;
use super::record::EventKind;
use super::responses::{Ended, Outcome, Purpose, TRIES};
use super::transcript::Flaw;
use super::{Call, Output};
use crate::end_reason::EndReason;
use crate::operator::{Code, Notice};
use crate::realtime::ItemId;
use crate::realtime::client::ClientEvent;
use crate::realtime::server::{Item, ItemKind, Response, ResponseStatus};

impl Call {
    /// A response began.
    pub(super) fn response_created(&mut self, response: &Response) {
        self.floor.answer_begins();
        let ours = self.responses.created(response);
        if ours && self.responses.purpose() == Some(Purpose::Goodbye) {
            self.goodbye_begins();
        }
        if ours && self.responses.purpose() == Some(Purpose::Notice) {
            self.floor.announces(&response.id);
        } else if !ours {
            // The server took the caller's turn for finished.
            self.floor.caller_took_turn();
        } else if self.floor.caller_speaks() {
            // Asked for in the very moment the caller began to speak, and the server did not see it as an
            // interruption: it would talk over them.
            self.floor.mute(&response.id);
            self.cancel(&response.id);
        }
    }

    pub(super) fn response_done(&mut self, response: &Response) {
        self.playout.complete_response(&response.id);
        if let Some(leg) = self.leg.openai_mut() {
            leg.speeches.complete(self.now, &response.id);
        }
        let outcome = self.outcome(response);
        let is_of_another = self.responses.active().is_some_and(|active| *active != response.id);
        let spoken = if is_of_another { Spoken::Nothing } else { self.floor.answer_ends() };
        for call in response.items.iter().filter_map(|item| item.function.as_ref()) {
            self.function_called(call);
        }
        self.answer_ended(&response.id, spoken);
        self.spent(response);
        if self.floor.is_muted(&response.id) {
            for item in &response.items {
                if item.kind == ItemKind::AssistantMessage && !self.floor.has_queued_of(&item.id) {
                    self.delete(&item.id);
                }
            }
            self.floor.forget_muted();
        }
        if let ResponseStatus::Failed(error) = &response.status {
            if self.ends_session(error) {
                return;
            }
            self.error_survived(error);
        }
        let ended = self.responses.done(self.now, response, outcome);
        self.answer_over(ended, &response.status);
    }

    /// What comes next, now that a response is over.
    fn answer_over(&mut self, ended: Ended, status: &ResponseStatus) {
        match ended {
            Ended::Over(Some(Purpose::Notice)) => self.notice_generated(),
            // However it ended, it is not asked for again and again.
            Ended::Over(Some(Purpose::Goodbye)) | Ended::GivenUp(Purpose::Goodbye) => self.goodbye_begins(),
            // Words about the waiting are worth no second try.
            Ended::Retrying(Purpose::Filler) | Ended::GivenUp(Purpose::Filler) => {
                self.responses.want_no(Purpose::Filler);
            }
            Ended::Retrying(_) => {
                let notice = match status {
                    ResponseStatus::Failed(error) => Notice::ResponseFailed { complaint: error.complaint() },
                    status => Notice::AnswerUnheard { ended: Code::new(ending(status)) },
                };
                self.outputs.push(Output::Notice(notice));
            }
            Ended::GivenUp(_) => {
                self.outputs.push(Output::Notice(Notice::ModelGivenUp { tries: TRIES }));
                self.apologise(EndReason::ModelFailed);
            }
            Ended::Over(_) => {}
        }
    }

    /// What the caller gets of a response that is over. The recording marks what they do not get.
    fn outcome(&mut self, response: &Response) -> Outcome {
        if !self.responses.is_ours(response) || self.floor.is_muted(&response.id) {
            return Outcome::Given;
        }
        let is_message = |item: &&Item| item.kind == ItemKind::AssistantMessage;
        let messages: Vec<_> = response.items.iter().filter(is_message).map(|item| item.id.clone()).collect();
        let (heard, unheard): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|item| self.floor.has_queued_of(item));
        let calls =
            response.items.iter().any(|item| item.function.as_ref().is_some_and(|call| call.complete));
        let has_nothing = !self.floor.has_queued() && !calls;
        for item in unheard {
            self.unheard(&item);
        }
        match &response.status {
            ResponseStatus::Failed(_) => Outcome::Failed,
            // The caller speaks, and is answered afterwards.
            ResponseStatus::Cancelled if !has_nothing || self.floor.caller_speaks() => Outcome::Given,
            status if has_nothing => {
                self.counters.unheard_answers += 1;
                self.note(EventKind::Unheard, Code::new(ending(status)).to_string());
                Outcome::Unheard
            }
            status => {
                if let (ResponseStatus::Incomplete(_), Some(last)) = (status, heard.last()) {
                    self.counters.cut_answers += 1;
                    self.note(EventKind::Cut, Code::new(ending(status)).to_string());
                    self.flawed(last, Flaw::Cut);
                }
                self.answer_given();
                Outcome::Given
            }
        }
    }

    /// The caller hears nothing of this item: the model must not remember it as said.
    fn unheard(&mut self, item: &ItemId) {
        self.flawed(item, Flaw::Unheard);
        let event_id = self.event_id();
        self.outputs.push(Output::Session(ClientEvent::Delete { event_id, item: item.clone() }));
    }

    fn flawed(&mut self, item: &ItemId, flaw: Flaw) {
        if let Some(utterance) = self.transcript.find(item) {
            utterance.has(flaw);
            self.tell(item, None);
        }
    }

    /// A response ended after the call had closed its session: it only has to be paid for.
    pub(super) fn last_response(&mut self, response: &Response) {
        self.responses.done(self.now, response, Outcome::Given);
        self.response_paid(response);
    }

    /// The recording notice is complete: from the next answer on the caller may interrupt.
    pub(super) fn notice_generated(&mut self) {
        self.floor.announced();
        if self.settings.session.interrupt {
            let event_id = self.event_id();
            let session = self.settings.session.interruption(true);
            self.outputs.push(Output::Session(ClientEvent::SessionUpdate { event_id, session }));
        }
        if self.settings.greeting.is_some() && !self.floor.has_caller_spoken() {
            self.responses.want(Purpose::Greeting);
        }
    }
}

/// How a response ended, in one word.
fn ending(status: &ResponseStatus) -> &str {
    match status {
        ResponseStatus::InProgress => "in_progress",
        ResponseStatus::Completed => "completed",
        ResponseStatus::Cancelled => "cancelled",
        ResponseStatus::Incomplete(reason) if reason.is_empty() => "incomplete",
        ResponseStatus::Incomplete(reason) => reason,
        ResponseStatus::Failed(_) => "failed",
    }
}

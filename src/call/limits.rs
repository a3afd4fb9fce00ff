//! What a call may not exceed: its length, the caller's silence, silence on the wire, its tokens, its cost.
//!
//! | limit | first | then | the caller |
//! |---|---|---|---|
//! | duration | a word to the model, a minute before | goodbye | is hung up |
//! | nobody speaks | "are you there?" | the same again: goodbye | is hung up |
//! | no packet at all | – | – | is hung up; goes on in the dialplan if none ever came |
//! | tokens | – | "a colleague takes over" | goes on in the dialplan |
//! | cost | a word to the model, at four fifths | "a colleague takes over" | goes on in the dialplan |
//!
//! Whether the caller speaks is our own ear's opinion: comfort noise and what the server takes for speech do not count.
//! While the caller holds the call neither their silence counts nor that of the wire. The clock is the playout's: looked at
//! with every frame. What is counted, and what has been said, is in `watch`.

use std::time::Duration;

use super::caller::Exit;
use super::responses::Purpose;
use super::watch::{Counts, NO_PACKET, Remedy};
use super::{Call, Output};
use crate::end_reason::EndReason;
use crate::operator::Notice;
use crate::realtime::client::{ClientEvent, NewItem, Role};
use crate::realtime::server::Response;
use crate::units::MicroUsd;

/// So long before the end of its time the model is told. Shorter, and it cannot finish what it explains.
const WARNING: Duration = Duration::from_mins(1);

/// What a call may not exceed; None: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Its length.
    pub duration: Option<Duration>,
    /// How long nobody speaks, until the caller is asked, and then until they are hung up on.
    pub silence: Option<Duration>,
    /// How long no packet comes from the caller.
    pub no_audio: Option<Duration>,
    /// Tokens of all kinds, as the server counts them.
    pub tokens: Option<u64>,
    /// What it costs, as far as that is known.
    pub cost: Option<MicroUsd>,
}

impl Call {
    /// Ends the call, or warns, if a limit is reached.
    pub(super) fn advance_limits(&mut self) {
        if !self.leg.is_joined() {
            return;
        }
        if self.leg.openai().is_none() {
            self.watch_audio();
        }
        if self.leaving.is_none() {
            self.watch_duration();
            self.watch_silence();
        }
    }

    /// Counts what a response has used.
    pub(super) fn spent(&mut self, response: &Response) {
        let tokens = self.watch.used(response.usage.tokens());
        if self.settings.limits.tokens.is_some_and(|most| tokens >= most) {
            self.part(EndReason::TokenLimit, self.fallback());
        }
        self.response_paid(response);
    }

    /// The call has cost so much by now.
    pub(super) fn watch_cost(&mut self, spent: MicroUsd) {
        let Some(most) = self.settings.limits.cost.filter(|_| self.phase.is_serving()) else { return };
        if spent >= most {
            self.part(EndReason::CostLimit, self.fallback());
        } else if spent.get() >= most.get() / 5 * 4 && self.leaving.is_none() && self.watch.warn_of_cost() {
            let text = "The call has nearly used up what it may cost. Bring it to a close with your next answers, and do \
                not speak of costs."
                .to_owned();
            self.tell_model(NewItem::Message { id: None, role: Role::System, text });
        }
    }

    fn watch_audio(&mut self) {
        let missing = self.watch.without_packets(self.now);
        if self.watch.first_packet_is_missed(self.now) {
            self.outputs.push(Output::Notice(Notice::CallerSilent { seconds: NO_PACKET.as_secs() }));
        }
        if self.settings.limits.no_audio.is_some_and(|most| missing >= most) {
            let exit = if self.watch.has_packets() { Exit::HangUp } else { self.fallback() };
            self.leave(EndReason::NoAudio, exit);
        }
    }

    fn watch_duration(&mut self) {
        let Some(most) = self.longest() else { return };
        let lasted = self.now - self.born;
        if lasted >= most {
            self.part(EndReason::MaxDuration, Exit::HangUp);
        } else if lasted + WARNING >= most && most > 2 * WARNING && self.watch.warn_of_end() {
            let text = "The call must end in one minute. Bring it to a close in time.".to_owned();
            self.tell_model(NewItem::Message { id: None, role: Role::System, text });
        }
    }

    fn watch_silence(&mut self) {
        let Some(most) = self.settings.limits.silence else { return };
        let waits = self.tools.is_pending() || self.tools.is_running();
        let is_busy = self.is_speaking() || self.responses.is_pending() || waits;
        let counts = if self.session.is_ready() && !is_busy { Counts::Now } else { Counts::NotNow };
        match self.watch.silence(self.now, self.last_speech(), counts, most) {
            None => {}
            Some(Remedy::Ask) => self.responses.want(Purpose::Prompt),
            Some(Remedy::End) => self.part(EndReason::CallerSilent, Exit::HangUp),
        }
    }

    /// Adds something to the conversation, if there is one.
    pub(super) fn tell_model(&mut self, item: NewItem) {
        if self.session.is_ready() {
            let (event_id, dialect) = (self.event_id(), self.settings.session.dialect);
            self.outputs.push(Output::Session(ClientEvent::ItemCreate { event_id, item, dialect }));
        }
    }
}

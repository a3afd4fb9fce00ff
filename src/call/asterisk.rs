//! What Asterisk tells a call, and what comes of it: news of its channels, and answers to its requests.

use super::legs::SETUP_PATIENCE;
use super::record::EventKind;
use super::replies::Progress;
use super::{Call, Hold, LegEvent, Output, keys};
use crate::ari::request::{Reply, Request};
use crate::ari::{ChannelId, Place};
use crate::end_reason::EndReason;
use crate::operator::Notice;

impl Call {
    /// News of one of our channels.
    pub(super) fn leg_event(&mut self, event: LegEvent) {
        // A call that OpenAI answers has no channel in Asterisk.
        let Some(legs) = self.leg.asterisk() else { return };
        match event {
            LegEvent::CallerLeft => {
                let progress = legs.caller_left();
                self.progress(progress);
            }
            LegEvent::CallerReturned => {
                let progress = legs.caller_left();
                self.progress(progress);
                self.caller_returned();
            }
            LegEvent::CallerUp => {
                legs.caller_up();
                self.stopwatch.answered(self.now - self.born);
                self.open_playout();
            }
            LegEvent::MediaEntered => legs.media_entered(&mut self.outputs),
            LegEvent::MediaLeft { cause } => {
                let progress = legs.media_left(cause);
                self.progress(progress);
            }
            LegEvent::SnoopEntered(voice) => {
                if let Some(dialled) = self.leg.dialled() {
                    dialled.snoops.entered(voice, &mut self.outputs);
                }
            }
            LegEvent::Recorded(voice, part) => {
                if let Some(dialled) = self.leg.dialled() {
                    dialled.snoops.recorded(self.now, (voice, part), &mut self.outputs);
                }
            }
            LegEvent::TakenOver => {
                self.let_go();
                self.end(EndReason::TakenOver);
            }
            LegEvent::AsteriskLost => {
                self.let_go();
                self.end(EndReason::AsteriskLost);
            }
            LegEvent::Key(key) => self.key(key),
            LegEvent::Hold(hold) => {
                self.watch.hold(self.now, hold);
                let detail = match hold {
                    Hold::On => "on",
                    Hold::Off => "off",
                };
                self.note(EventKind::Hold, detail.to_owned());
            }
        }
    }

    /// What the call has in Asterisk is not there any more, or not ours.
    fn let_go(&mut self) {
        if let Some(legs) = self.leg.asterisk() {
            legs.let_go();
        }
        if let Some(dialled) = self.leg.dialled() {
            dialled.snoops.let_go(&mut self.outputs);
        }
    }

    /// The caller has pressed a key.
    pub(super) fn key(&mut self, key: char) {
        self.counters.keys += 1;
        self.watch.stir();
        self.key_pressed(key);
        self.note(EventKind::Key, keys::recorded(&key.to_string(), self.settings.keep));
    }

    /// Somebody was transferred to us.
    pub(super) fn caller_replaced(&mut self, by: &ChannelId, next_step: Option<&Place>) {
        let Some(legs) = self.leg.asterisk() else { return };
        legs.caller_replaced(by, next_step, &mut self.outputs);
        self.note(EventKind::CallerReplaced, String::new());
    }

    /// Asterisk answered a request of ours, or did not.
    pub(super) fn replied(&mut self, request: &Request, reply: &Reply) {
        if let Request::DialplanExists { place, .. } = request
            && self.phase.is_serving()
        {
            self.place_known(place, reply);
        }
        if self.snoop_replied(request, reply) {
            return;
        }
        let Some(legs) = self.leg.asterisk() else { return };
        let progress = legs.replied(self.now, request, reply, &mut self.outputs);
        self.progress(progress);
        self.open_playout();
    }

    /// Repeats what Asterisk has not done, and ends a call of which it has not made what was asked for.
    pub(super) fn advance_leg(&mut self) {
        if self.leg.openai().is_some() {
            self.advance_openai();
        }
        if let Some(dialled) = self.leg.dialled() {
            dialled.snoops.advance(self.now, &mut self.outputs);
        }
        let Some(legs) = self.leg.asterisk() else { return };
        legs.advance(self.now, &mut self.outputs);
        if legs.is_overdue(self.now) {
            if self.leg.openai().is_some() {
                return self.dialled_in_vain();
            }
            let seconds = SETUP_PATIENCE.as_secs();
            self.outputs.push(Output::Notice(Notice::SetupLate { seconds }));
            self.end(EndReason::SetupFailed);
        }
    }

    fn progress(&mut self, progress: Progress) {
        match progress {
            Progress::Nothing => {}
            Progress::CallerGone => self.caller_gone(),
            Progress::Media(address) if !self.settings.may_send_to(address.ip()) => {
                self.outputs.push(Output::Notice(Notice::MediaAddressRefused { address: address.ip() }));
                self.end(EndReason::SetupFailed);
            }
            Progress::Media(address) if self.sockets.contain(address) => {
                self.outputs.push(Output::Notice(Notice::MediaAddressOurs { address }));
                self.end(EndReason::SetupFailed);
            }
            Progress::Media(address) => {
                self.source.named(address);
                self.outputs.push(Output::MediaAddress(address));
                self.note(EventKind::MediaStarted, String::new());
                self.playout.start(self.now);
            }
            Progress::Joined => {
                self.begin_talking();
                self.joined_to_openai();
            }
            Progress::NotAnswered(cause) => self.not_answered(cause),
            Progress::Failed(reason) => self.end(reason),
        }
    }

    /// Speech may leave once somebody can hear it.
    fn open_playout(&mut self) {
        if self.leg.asterisk().is_some_and(|legs| legs.is_joined() && legs.is_up()) {
            self.playout.open();
        }
    }
}

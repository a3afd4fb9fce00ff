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
    pub(super) fn leg(&mut self, event: LegEvent) {
        match event {
            LegEvent::CallerLeft => {
                let progress = self.legs.caller_left();
                self.progress(progress);
            }
            LegEvent::CallerUp => {
                self.legs.caller_up();
                self.stopwatch.answered(self.now - self.born);
                self.open_playout();
            }
            LegEvent::MediaEntered => self.legs.media_entered(&mut self.outputs),
            LegEvent::MediaLeft => {
                let progress = self.legs.media_left();
                self.progress(progress);
            }
            LegEvent::TakenOver => {
                self.legs.let_go();
                self.end(EndReason::TakenOver);
            }
            LegEvent::AsteriskLost => {
                self.legs.let_go();
                self.end(EndReason::AsteriskLost);
            }
            LegEvent::Key(key) => {
                self.counters.keys += 1;
                self.watch.stir();
                self.key_pressed(key);
                self.note(EventKind::Key, keys::recorded(&key.to_string(), self.settings.keep));
            }
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

    /// Somebody was transferred to us.
    pub(super) fn caller_replaced(&mut self, by: &ChannelId, next_step: Option<&Place>) {
        self.legs.caller_replaced(by, next_step, &mut self.outputs);
        self.note(EventKind::CallerReplaced, String::new());
    }

    /// Asterisk answered a request of ours, or did not.
    pub(super) fn replied(&mut self, request: &Request, reply: &Reply) {
        if let Request::DialplanExists { place, .. } = request
            && self.phase.is_serving()
        {
            self.place_known(place, reply);
        }
        let progress = self.legs.replied(self.now, request, reply, &mut self.outputs);
        self.progress(progress);
        self.open_playout();
    }

    /// Repeats what Asterisk has not done, and ends a call of which it has not made what was asked for.
    pub(super) fn advance_legs(&mut self) {
        self.legs.advance(self.now, &mut self.outputs);
        if self.legs.is_overdue(self.now) {
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
            Progress::Joined => self.begin_talking(),
            Progress::Failed(reason) => self.end(reason),
        }
    }

    /// Speech may leave once somebody can hear it.
    fn open_playout(&mut self) {
        if self.legs.is_joined() && self.legs.is_up() {
            self.playout.open();
        }
    }
}

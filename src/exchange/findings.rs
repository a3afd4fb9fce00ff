//! What follows from what errands have found out.

use std::net::SocketAddr;

use super::connection::{self, Reunion};
use super::errands::{Chain, Clearing, Errand, Finding, HandBack, Inquiry, Poll, Polled, Purpose, Sweep};
use super::readiness::AsteriskLink;
use super::switchboard::Directive;
use super::{ErrandId, Exchange, Order, Output};
use crate::ari::ChannelId;
use crate::ari::request::Request;
use crate::ari::sound_name::SoundName;
use crate::end_reason::EndReason;
use crate::operator::Notice;

/// The recordings that a line names. With more the line is unreadable; the others are beside those in Asterisk's folder.
const MOST_NAMED: usize = 10;

impl Exchange {
    /// An errand is over, and has found this.
    pub(super) fn found(&mut self, errand: ErrandId, finding: Finding) {
        match finding {
            Finding::Answered(inquiry) => match &inquiry.purpose {
                Purpose::Connect { before } => self.reunited(errand, before, &inquiry),
                Purpose::Sweep => self.swept(&inquiry),
                Purpose::Leave => self.looked_last(&inquiry),
                Purpose::Return => self.take_back(&inquiry),
            },
            Finding::Cleared(waiting) => {
                for caller in waiting {
                    self.errands.look_at(caller, self.at.now);
                }
            }
            Finding::Looked { caller, .. } if self.errands.hands_back(&caller) => {}
            Finding::Looked { caller, reply } => {
                if let Some(directive) = self.switchboard.looked_at(caller, &reply) {
                    self.direct(directive);
                }
            }
            Finding::Polled(happened) => {
                for (caller, event) in happened {
                    self.outputs.push(Output::Tell(caller, Order::Leg(event)));
                }
            }
        }
    }

    /// Asterisk has told what it holds after a connect: what was there before is held against what is there now.
    pub(super) fn reunited(&mut self, errand: ErrandId, before: &[ChannelId], inquiry: &Inquiry) {
        let switchboard = &self.switchboard;
        let channel_of = |caller: &ChannelId| switchboard.channel_of(caller).clone();
        let reunion = self.connection.reunited(self.at.now, errand, before, inquiry, channel_of);
        match reunion {
            None => {}
            Some(Reunion::NoApplication) => {
                self.say(None, Notice::AriAppMissing { app: self.rules.settings.app.clone() });
                self.outputs.push(Output::Reconnect);
            }
            Some(Reunion::Holds { application, absent, notices }) => {
                self.say_all(notices);
                self.sweep(inquiry);
                let (mut leftovers, mut waiting) = (Vec::new(), Vec::new());
                for directive in self.switchboard.reconcile(before, &application, absent) {
                    match directive {
                        Directive::Remove(request) => leftovers.push(request),
                        Directive::LookAt(caller) if self.errands.hands_back(&caller) => {}
                        Directive::LookAt(caller) => waiting.push(caller),
                        other => self.direct(other),
                    }
                }
                self.clear(leftovers, waiting);
                self.say_all(inquiry.forbidden());
                self.say_all(self.left_recordings(inquiry));
            }
        }
    }

    /// The operator's line about recordings of calls that no longer run, if there are any: a daemon that was killed has left them.
    fn left_recordings(&self, inquiry: &Inquiry) -> Option<Notice> {
        let runs = |caller: &ChannelId| self.switchboard.serves(caller) || self.aftermaths.are_of(caller);
        let is_left = |name: &&SoundName| !runs(name.caller());
        let left = inquiry.recordings()?.of_snoops().filter(is_left);
        let names: Vec<_> = left.take(MOST_NAMED).map(SoundName::masked).collect();
        (!names.is_empty()).then(|| Notice::SoundLeft { names: names.join(", ") })
    }

    /// Asterisk has told what it holds after calls were over.
    pub(super) fn swept(&mut self, inquiry: &Inquiry) {
        if let Some(application) = connection::application(inquiry).filter(|_| self.may_sweep()) {
            self.sweep(inquiry);
            let orphans = self.switchboard.orphans(&application);
            self.remove(orphans);
        }
    }

    /// No call runs any more: nobody may be left in the application, unless it is another program's.
    pub(super) fn look_last(&mut self) {
        if self.connection.link() == AsteriskLink::Connected {
            self.outputs.push(Output::Leave);
            let app = self.rules.settings.app.clone();
            self.errands.begin(Errand::Inquiry(Inquiry::before_the_end(self.at.now, app)));
        } else {
            self.shutdown.looked_last();
        }
    }

    /// Asterisk has told who is left in the application.
    pub(super) fn looked_last(&mut self, inquiry: &Inquiry) {
        self.shutdown.looked_last();
        let application = connection::application(inquiry).unwrap_or_default();
        for channel in application.channels().filter(|channel| channel.owner().is_none()) {
            self.errands.look_at(channel, self.at.now);
        }
    }

    /// Connects again if the program that had our application has ended. A program that still has the application keeps it:
    /// two daemons that took it from each other would serve nobody.
    fn take_back(&mut self, inquiry: &Inquiry) {
        if self.connection.link() == AsteriskLink::ApplicationReplaced && inquiry.application_is_gone() {
            self.say(None, Notice::AriReturning { app: self.rules.settings.app.clone() });
            self.outputs.push(Output::Reconnect);
        }
    }

    /// Whether what is left in Asterisk is ours to remove.
    pub(super) fn may_sweep(&self) -> bool {
        self.connection.link() == AsteriskLink::Connected && !self.shutdown.is_on()
    }

    /// Removes idle bridges whose callers are gone.
    pub(super) fn sweep(&mut self, inquiry: &Inquiry) {
        let idle = inquiry.bridges().map(|bridges| bridges.idle().collect()).unwrap_or_default();
        if let Some(sweep) = Sweep::new(self.at.now, idle) {
            self.errands.begin(Errand::Sweep(sweep));
        }
    }

    /// Removes what an earlier daemon left, and looks at the callers it left waiting.
    pub(super) fn clear(&mut self, leftovers: Vec<Request>, waiting: Vec<ChannelId>) {
        if leftovers.is_empty() {
            for caller in waiting {
                self.errands.look_at(caller, self.at.now);
            }
        } else {
            self.errands.begin(Errand::Clear(Clearing::new(self.at.now, leftovers, waiting)));
        }
    }

    pub(super) fn remove(&mut self, requests: impl IntoIterator<Item = Request>) {
        let chain = Chain::new(self.at.now, requests);
        if !chain.is_over() && self.errands.has_room() {
            self.errands.begin(Errand::Remove(chain));
        }
    }

    /// Looks at live calls, while another program has our application.
    pub(super) fn poll(&mut self) {
        let of_call = |(caller, ours): (&ChannelId, SocketAddr)| Polled {
            caller: caller.clone(),
            channel: self.switchboard.channel_of(caller).clone(),
            ours,
        };
        let calls: Vec<_> = self.switchboard.sockets().map(of_call).collect();
        if !calls.is_empty() {
            let app = self.rules.settings.app.clone();
            self.errands.begin(Errand::Poll(Poll::new(self.at.now, app, calls)));
        }
    }

    /// Lets this caller go on in the dialplan. If there are too many errands, the caller stays
    /// in the application.
    pub(super) fn hand_back(&mut self, caller: ChannelId, reason: EndReason) {
        if !self.errands.has_room() {
            return;
        }
        let place = self.rules.settings.fallback.clone();
        self.errands.begin(Errand::HandBack(HandBack::new(self.at.now, caller, reason, place)));
    }
}

//! Which channel belongs to which call: admits callers, routes events, finds what an outage left behind.
//!
//! Pure: what is to be done comes out as [`Directive`]s. Keeps no call itself, only the callers' channels.

use std::collections::BTreeSet;

use crate::ari::event::{Channel, Event, parse_channel};
use crate::ari::request::{Application, Reply, Request};
use crate::ari::{ChannelId, OUR_PREFIX};
use crate::call::LegEvent;

/// What an event means for the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// A caller: start a call.
    Admit(Channel),
    /// A caller who cannot be served: let him go on in the dialplan.
    Refuse(ChannelId),
    /// Tell the call of this caller.
    Tell(ChannelId, LegEvent),
    /// Something of ours that belongs to no call: remove it.
    Remove(Request),
    /// A caller waits of whom we have not been told: ask for his channel, then [`Switchboard::looked_at`].
    LookAt(ChannelId),
    /// As [`Self::LookAt`], after a pause: the last time there was no answer.
    LookAgain(ChannelId),
    /// Another program has taken over our application.
    Replaced,
}

/// All callers being served.
#[derive(Debug, Default)]
pub struct Switchboard {
    callers: BTreeSet<ChannelId>,
    draining: bool,
}

impl Switchboard {
    /// Takes an event of Asterisk.
    pub fn event(&mut self, event: Event) -> Option<Directive> {
        match event {
            Event::StasisStart(channel) => self.entered(channel),
            Event::StasisEnd(id) | Event::Destroyed(id) => {
                self.tell(&id, LegEvent::CallerLeft, Some(LegEvent::MediaLeft))
            }
            Event::StateChanged(channel) if channel.up => self.tell(&channel.id, LegEvent::CallerUp, None),
            Event::Dtmf { channel, digit } => self.tell(&channel, LegEvent::Key(digit), None),
            Event::Hold(id) => self.tell(&id, LegEvent::Hold(true), None),
            Event::Unhold(id) => self.tell(&id, LegEvent::Hold(false), None),
            Event::ApplicationReplaced => Some(Directive::Replaced),
            // StasisEnd follows, and only then is the channel out of our hands.
            Event::HangupRequested(_) | Event::StateChanged(_) | Event::Other(_) => None,
        }
    }

    /// What Asterisk said of a caller after [`Directive::LookAt`]. Without an answer he would wait for ever.
    pub fn looked_at(&mut self, caller: ChannelId, reply: &Reply) -> Option<Directive> {
        match reply {
            // One that has gone on in the dialplan meanwhile is no longer ours.
            Reply::Done(body) => parse_channel(body)
                .ok()
                .filter(|channel| channel.in_stasis)
                .and_then(|channel| self.entered(channel)),
            Reply::Refused { status: 404, .. } => None,
            // When the daemon stops, it is the next one that finds him.
            Reply::Refused { .. } | Reply::Lost(_) => {
                (!self.draining).then_some(Directive::LookAgain(caller))
            }
        }
    }

    /// No more callers from now on.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// This caller's call is over.
    pub fn ended(&mut self, caller: &ChannelId) {
        self.callers.remove(caller);
    }

    /// How many callers are being served.
    pub fn calls(&self) -> usize {
        self.callers.len()
    }

    /// The callers being served.
    pub fn callers(&self) -> Vec<ChannelId> {
        self.callers.iter().cloned().collect()
    }

    /// After an outage: what the application holds against what we know. `before` are the callers we had when
    /// the connection stood again; of those who came later we have been told.
    pub fn reconcile(&self, before: &[ChannelId], application: &Application) -> Vec<Directive> {
        let there: BTreeSet<_> = application.channels().collect();
        let mut directives = Vec::new();
        for caller in before.iter().filter(|caller| self.callers.contains(caller) && !there.contains(caller))
        {
            directives.push(Directive::Tell(caller.clone(), LegEvent::CallerLeft));
        }
        for bridge in application.bridges() {
            if bridge.caller().is_some_and(|caller| !self.callers.contains(&caller)) {
                directives.push(Directive::Remove(Request::DeleteBridge(bridge)));
            }
        }
        let (media, others): (Vec<_>, Vec<_>) =
            there.into_iter().partition(|channel| channel.caller().is_some());
        for channel in media {
            if channel.caller().is_some_and(|caller| !self.callers.contains(&caller)) {
                directives.push(Directive::Remove(Request::Hangup(channel)));
            }
        }
        for channel in others {
            if !self.callers.contains(&channel) {
                directives.push(Directive::LookAt(channel));
            }
        }
        directives
    }

    fn entered(&mut self, channel: Channel) -> Option<Directive> {
        if let Some(caller) = channel.id.caller() {
            return Some(if self.callers.contains(&caller) {
                Directive::Tell(caller, LegEvent::MediaEntered)
            } else {
                Directive::Remove(Request::Hangup(channel.id))
            });
        }
        if channel.id.as_str().starts_with(OUR_PREFIX) || self.callers.contains(&channel.id) {
            return None;
        }
        if self.draining {
            return Some(Directive::Refuse(channel.id));
        }
        self.callers.insert(channel.id.clone());
        Some(Directive::Admit(channel))
    }

    fn tell(&self, id: &ChannelId, of_caller: LegEvent, of_media: Option<LegEvent>) -> Option<Directive> {
        match id.caller() {
            Some(caller) => of_media
                .filter(|_| self.callers.contains(&caller))
                .map(|event| Directive::Tell(caller, event)),
            None => self.callers.contains(id).then(|| Directive::Tell(id.clone(), of_caller)),
        }
    }
}

//! Which channel belongs to which call: admits callers, routes events, finds what an outage left behind.
//!
//! Pure: what is to be done comes out as [`Directive`]s. Keeps no call itself, only the callers' channels.

use std::collections::{BTreeMap, BTreeSet};

use crate::ari::event::{Channel, Event, parse_channel};
use crate::ari::request::{Application, Reply, Request};
use crate::ari::{ChannelId, OUR_PREFIX, Place};
use crate::call::LegEvent;

/// What an event means for the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// A caller: start a call.
    Admit(Channel),
    /// A caller who is not taken, because there are enough or the daemon stops: let him go on in the dialplan.
    Refuse(Channel),
    /// Tell the call of this caller.
    Tell(ChannelId, LegEvent),
    /// Tell the call of this caller that another channel has taken theirs' place: somebody was transferred to us.
    Replace {
        /// By whose channel the call is known.
        caller: ChannelId,
        /// The channel that is there now.
        by: Channel,
        /// Where the dialplan would have gone on with the one before.
        next_step: Option<Place>,
    },
    /// The one who talks in the call of this caller has this number.
    Renumber(ChannelId, String),
    /// Something of ours that belongs to no call: remove it.
    Remove(Request),
    /// A caller waits of whom we have not been told: ask for his channel, then [`Switchboard::looked_at`].
    LookAt(ChannelId),
    /// As [`Self::LookAt`], after a pause: the last time there was no answer.
    LookAgain(ChannelId),
    /// Another program has taken over our application.
    Replaced,
}

/// A channel in the place of a caller's.
#[derive(Debug)]
struct StandIn {
    caller: ChannelId,
    /// Its name: of a Local channel both ends have the same but for `;1` and `;2`.
    name: String,
}

/// All callers being served.
#[derive(Debug, Default)]
pub struct Switchboard {
    /// Each caller; with his channel if he has come back (sent round by the dialplan) before his last call was over.
    callers: BTreeMap<ChannelId, Option<Channel>>,
    /// Channels that have taken a caller's place. The call keeps the name of the caller with whom it began.
    stand_ins: BTreeMap<ChannelId, StandIn>,
    /// Most calls at once; None: no limit.
    max_calls: Option<usize>,
    draining: bool,
}

impl Switchboard {
    /// Takes so many callers at once.
    pub fn new(max_calls: usize) -> Self {
        Self { max_calls: Some(max_calls), ..Self::default() }
    }

    /// From now on so many; who is being served stays.
    pub fn limit(&mut self, max_calls: usize) {
        self.max_calls = Some(max_calls);
    }

    /// Takes an event of Asterisk.
    pub fn event(&mut self, event: Event) -> Option<Directive> {
        match event {
            Event::StasisStart(channel) => match self.callers.get_mut(&channel.id) {
                Some(back) => {
                    // So his last stay is over, whether we have been told or not.
                    let caller = channel.id.clone();
                    *back = Some(channel);
                    Some(Directive::Tell(caller, LegEvent::CallerLeft))
                }
                None => self.entered(channel),
            },
            Event::Replaced { old, next_step, new } => match self.caller_of(&old) {
                Some(caller) => {
                    self.stand_ins.remove(&old);
                    let stand_in = StandIn { caller: caller.clone(), name: new.name.clone() };
                    self.stand_ins.insert(new.id.clone(), stand_in);
                    Some(Directive::Replace { caller, by: new, next_step })
                }
                None => self.event(Event::StasisStart(new)),
            },
            Event::Connected { channel, number } => {
                // Of a caller who came by themselves the number is known from the beginning.
                let caller = channel.caller().filter(|caller| self.is_replaced(caller))?;
                (!number.is_empty()).then_some(Directive::Renumber(caller, number))
            }
            Event::StasisEnd(id) | Event::Destroyed(id) => {
                self.tell(&id, LegEvent::CallerLeft, Some(LegEvent::MediaLeft))
            }
            Event::StateChanged(channel) if channel.up => self.tell(&channel.id, LegEvent::CallerUp, None),
            Event::Dtmf { channel, digit } => self.tell(&channel, LegEvent::Key(digit), None),
            Event::Hold(id) => self.tell(&id, LegEvent::Hold(true), None),
            Event::Unhold(id) => self.tell(&id, LegEvent::Hold(false), None),
            Event::ApplicationReplaced => Some(Directive::Replaced),
            // StasisEnd follows, and only then is the channel out of our hands.
            // With all its channels, the media channel too, whose end would be told first.
            Event::AsteriskStops(id) => self.tell(&id, LegEvent::AsteriskLost, Some(LegEvent::AsteriskLost)),
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

    /// This caller's call is over. If he has come back meanwhile, the next one begins.
    pub fn ended(&mut self, caller: &ChannelId) -> Option<Directive> {
        self.stand_ins.retain(|_, stand_in| stand_in.caller != *caller);
        let back = self.callers.remove(caller)?;
        back.and_then(|channel| self.entered(channel))
    }

    /// This caller is served no more, come back or not: he is being sent on.
    pub fn forget(&mut self, caller: &ChannelId) {
        self.stand_ins.retain(|_, stand_in| stand_in.caller != *caller);
        self.callers.remove(caller);
    }

    /// The channel of whoever talks in the call of this caller.
    pub fn channel_of<'a>(&'a self, caller: &'a ChannelId) -> &'a ChannelId {
        let stand_in = self.stand_ins.iter().find(|(_, stand_in)| stand_in.caller == *caller);
        stand_in.map_or(caller, |(channel, _)| channel)
    }

    /// How many callers are being served.
    pub fn calls(&self) -> usize {
        self.callers.len()
    }

    /// Whether so many are served that no more are taken.
    pub fn is_full(&self) -> bool {
        self.max_calls.is_some_and(|most| self.callers.len() >= most)
    }

    /// The callers being served.
    pub fn callers(&self) -> Vec<ChannelId> {
        self.callers.keys().cloned().collect()
    }

    /// After an outage: what the application holds against what we know. `before` are the callers we had when
    /// the connection stood again; of those who came later we have been told. `absent` is what has become of those of them
    /// who are not there any more.
    pub fn reconcile(
        &self,
        before: &[ChannelId],
        application: &Application,
        absent: LegEvent,
    ) -> Vec<Directive> {
        let there: BTreeSet<_> = application.channels().collect();
        let mut directives = Vec::new();
        for caller in before
            .iter()
            .filter(|caller| self.callers.contains_key(caller) && !there.contains(self.channel_of(caller)))
        {
            directives.push(Directive::Tell(caller.clone(), absent));
        }
        for bridge in application.bridges() {
            if bridge.caller().is_some_and(|caller| !self.callers.contains_key(&caller)) {
                directives.push(Directive::Remove(Request::DeleteBridge(bridge)));
            }
        }
        let (media, others): (Vec<_>, Vec<_>) =
            there.into_iter().partition(|channel| channel.caller().is_some());
        for channel in media {
            if channel.caller().is_some_and(|caller| !self.callers.contains_key(&caller)) {
                directives.push(Directive::Remove(Request::Hangup(channel)));
            }
        }
        for channel in others {
            if !self.callers.contains_key(&channel) && !self.stand_ins.contains_key(&channel) {
                directives.push(Directive::LookAt(channel));
            }
        }
        directives
    }

    fn entered(&mut self, channel: Channel) -> Option<Directive> {
        if let Some(caller) = channel.id.caller() {
            return Some(if self.callers.contains_key(&caller) {
                Directive::Tell(caller, LegEvent::MediaEntered)
            } else {
                Directive::Remove(Request::Hangup(channel.id))
            });
        }
        if channel.id.as_str().starts_with(OUR_PREFIX) || self.callers.contains_key(&channel.id) {
            return None;
        }
        // The other end of a Local channel that stands in for a caller: two assistants would talk with each other.
        if self.stand_ins.values().any(|stand_in| are_ends_of_one(&stand_in.name, &channel.name)) {
            return Some(Directive::Remove(Request::Hangup(channel.id)));
        }
        if self.draining || self.is_full() {
            return Some(Directive::Refuse(channel));
        }
        self.callers.insert(channel.id.clone(), None);
        Some(Directive::Admit(channel))
    }

    /// In whose call this channel talks. None: in nobody's, or no longer.
    pub fn caller_of(&self, id: &ChannelId) -> Option<ChannelId> {
        match self.stand_ins.get(id) {
            Some(stand_in) => Some(stand_in.caller.clone()),
            None => (self.callers.contains_key(id) && !self.is_replaced(id)).then(|| id.clone()),
        }
    }

    fn is_replaced(&self, caller: &ChannelId) -> bool {
        self.stand_ins.values().any(|stand_in| stand_in.caller == *caller)
    }

    fn tell(&mut self, id: &ChannelId, of_caller: LegEvent, of_media: Option<LegEvent>) -> Option<Directive> {
        match id.caller() {
            Some(caller) => of_media
                .filter(|_| self.callers.contains_key(&caller))
                .map(|event| Directive::Tell(caller, event)),
            None => match self.callers.get_mut(&self.caller_of(id)?)? {
                None => Some(Directive::Tell(self.caller_of(id)?, of_caller)),
                // News of one who has come back are not the old call's.
                Some(back) if of_caller == LegEvent::CallerUp => {
                    back.up = true;
                    None
                }
                back => {
                    if of_caller == LegEvent::CallerLeft {
                        *back = None;
                    }
                    None
                }
            },
        }
    }
}

/// Whether these are the two ends of one Local channel: `Local/200@sales-00000000;1` and the same with `;2`.
fn are_ends_of_one(name: &str, other: &str) -> bool {
    let ends = name.rsplit_once(';').zip(other.rsplit_once(';'));
    name.starts_with("Local/") && ends.is_some_and(|((name, one), (other, end))| name == other && one != end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(up: bool) -> Channel {
        Channel {
            id: "1.0".into(),
            name: "PJSIP/voip-0".into(),
            up,
            caller: String::new(),
            called: String::new(),
            in_stasis: true,
        }
    }

    #[test]
    fn a_caller_who_comes_back_before_his_call_is_over_is_served_when_it_is() {
        let mut switchboard = Switchboard::default();
        let id = caller(true).id;
        let left = Some(Directive::Tell(id.clone(), LegEvent::CallerLeft));
        assert_eq!(switchboard.event(Event::StasisStart(caller(true))), Some(Directive::Admit(caller(true))));
        assert_eq!(switchboard.event(Event::StasisEnd(id.clone())), left);
        assert_eq!(
            switchboard.event(Event::StasisStart(caller(false))),
            left,
            "should we not have been told"
        );
        assert_eq!(switchboard.event(Event::StateChanged(caller(true))), None, "no news for the old call");
        assert_eq!(switchboard.ended(&id), Some(Directive::Admit(caller(true))));
        assert_eq!(switchboard.calls(), 1);
    }

    #[test]
    fn one_who_comes_back_and_hangs_up_is_not_waited_for() {
        let mut switchboard = Switchboard::default();
        let id = caller(true).id;
        switchboard.event(Event::StasisStart(caller(true)));
        switchboard.event(Event::StasisEnd(id.clone()));
        switchboard.event(Event::StasisStart(caller(true)));
        assert_eq!(switchboard.event(Event::StasisEnd(id.clone())), None);
        assert_eq!((switchboard.ended(&id), switchboard.calls()), (None, 0));
    }

    #[test]
    fn one_who_comes_back_and_is_sent_on_is_forgotten() {
        let mut switchboard = Switchboard::default();
        let id = caller(true).id;
        switchboard.event(Event::StasisStart(caller(true)));
        switchboard.event(Event::StasisStart(caller(true)));
        switchboard.forget(&id);
        assert_eq!(switchboard.calls(), 0);
        assert_eq!(switchboard.event(Event::StasisEnd(id)), None);
        assert_eq!(switchboard.event(Event::StasisStart(caller(true))), Some(Directive::Admit(caller(true))));
    }

    fn local(id: &str, end: u8) -> Channel {
        Channel { id: id.into(), name: format!("Local/_attended@transfer-00000000;{end}"), ..caller(true) }
    }

    /// A switchboard with one caller, and a channel in their place.
    fn replaced() -> (Switchboard, ChannelId) {
        let mut switchboard = Switchboard::default();
        let id = caller(true).id;
        switchboard.event(Event::StasisStart(caller(true)));
        let by = local("1.5", 2);
        let event = Event::Replaced { old: id.clone(), next_step: None, new: by.clone() };
        let replace = Directive::Replace { caller: id.clone(), by, next_step: None };
        assert_eq!(switchboard.event(event), Some(replace));
        (switchboard, id)
    }

    #[test]
    fn a_channel_in_a_callers_place_is_no_second_call() {
        let (mut switchboard, id) = replaced();
        assert_eq!(
            switchboard.event(Event::StasisEnd(id.clone())),
            None,
            "the one before goes, the call stays"
        );
        assert_eq!((switchboard.calls(), switchboard.channel_of(&id).as_str()), (1, "1.5"));
        let number = |number: &str| Event::Connected { channel: id.media(), number: number.into() };
        assert_eq!(switchboard.event(number("")), None);
        assert_eq!(switchboard.event(number("300")), Some(Directive::Renumber(id.clone(), "300".into())));
        let left = Some(Directive::Tell(id.clone(), LegEvent::CallerLeft));
        assert_eq!(switchboard.event(Event::StasisEnd("1.5".into())), left);
        assert_eq!((switchboard.ended(&id), switchboard.calls()), (None, 0));
        assert_eq!(switchboard.event(number("301")), None);
    }

    #[test]
    fn who_is_replaced_again_and_who_is_there_after_an_outage() {
        let (mut switchboard, id) = replaced();
        let event = Event::Replaced { old: "1.5".into(), next_step: None, new: local("1.9", 2) };
        assert!(matches!(switchboard.event(event), Some(Directive::Replace { caller, .. }) if caller == id));
        assert_eq!(switchboard.event(Event::StasisEnd("1.5".into())), None);
        let body = format!(r#"{{"channel_ids":["1.9","{}"],"bridge_ids":["{}"]}}"#, id.media(), id.bridge());
        let application = Application::parse(&body).expect("an application");
        assert_eq!(switchboard.reconcile(&switchboard.callers(), &application, LegEvent::CallerLeft), []);
        let gone =
            switchboard.reconcile(&switchboard.callers(), &Application::default(), LegEvent::CallerLeft);
        assert_eq!(gone, [Directive::Tell(id, LegEvent::CallerLeft)]);
    }

    #[test]
    fn two_assistants_do_not_talk_with_each_other() {
        let (mut switchboard, _) = replaced();
        let other_end = Some(Directive::Remove(Request::Hangup("1.4".into())));
        assert_eq!(switchboard.event(Event::StasisStart(local("1.4", 1))), other_end);
        let stranger = Channel { name: "Local/_attended@transfer-00000001;1".into(), ..local("1.8", 1) };
        assert_eq!(switchboard.event(Event::StasisStart(stranger.clone())), Some(Directive::Admit(stranger)));
    }

    #[test]
    fn whoever_takes_the_place_of_a_stranger_is_a_caller() {
        let mut switchboard = Switchboard::default();
        let event = Event::Replaced { old: "9.9".into(), next_step: None, new: caller(true) };
        assert_eq!(switchboard.event(event), Some(Directive::Admit(caller(true))));
    }
}

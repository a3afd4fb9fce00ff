//! Which channel belongs to which call: routes events, recognises callers, finds what an outage left behind.
//!
//! What an event means comes out as a [`Directive`]. Whether a caller is taken, the exchange decides.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use super::Order;
use crate::ari::event::{Channel, Event, parse_channel};
use crate::ari::lists::Application;
use crate::ari::nonce::Nonce;
use crate::ari::request::{Reply, Request};
use crate::ari::{ChannelId, OUR_PREFIX};
use crate::call::{Hold, LegEvent};
use crate::number::{CallerNumber, ChannelName};
use crate::realtime::calls::CallId;
use crate::units::MicroUsd;

/// What an event means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Directive {
    /// A caller who is in no call has entered the application. In a box: there may be many directives, and few of this kind.
    Arrived(Box<Channel>),
    /// The call of this caller is told something.
    Tell(ChannelId, Order),
    /// Whoever talks in the call of this caller has this number.
    Renumber(ChannelId, CallerNumber),
    /// Another channel stands in the place of this caller's. The call is told this, and the number if it is not empty.
    Replace(ChannelId, Order, CallerNumber),
    /// Something of ours belongs to no call and is removed.
    Remove(Request),
    /// A caller may be waiting whom no event has announced. Asterisk is asked for their channel, and
    /// [`Switchboard::looked_at`] takes the answer.
    LookAt(ChannelId),
    /// As [`Self::LookAt`], after a pause: the last time there was no answer.
    LookAgain(ChannelId),
    /// Another program has taken over our application.
    ApplicationReplaced,
}

/// A channel in the place of a caller's.
#[derive(Debug)]
struct StandIn {
    caller: ChannelId,
    /// Its name: of a Local channel both ends have the same but for `;1` and `;2`.
    name: ChannelName,
}

/// Where a caller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// In a channel of Asterisk.
    Asterisk,
    /// In a call that OpenAI answers, of which Asterisk knows nothing, or nothing that we need.
    OpenAi,
}

/// The call to OpenAI that Asterisk makes for a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AtOpenAi {
    /// There is none.
    Nothing,
    /// OpenAI has not told of it yet. It will be known by this nonce.
    Awaited(Nonce),
    /// It has this id.
    Known(CallId),
}

/// A caller who is being served.
#[derive(Debug)]
pub(super) struct Served {
    /// Where they are.
    side: Side,
    /// The agent that serves them.
    pub(super) agent: Arc<str>,
    /// The number with which the call began; may be empty.
    pub(super) number: CallerNumber,
    /// The caller's channel, if it has come back (sent round by the dialplan) before its last call was over.
    back: Option<Channel>,
    /// The call to OpenAI that Asterisk makes for them.
    pub(super) openai: AtOpenAi,
    /// The call's RTP socket, once it is bound.
    pub(super) rtp: Option<SocketAddr>,
    /// What the call has cost so far, as far as that is known.
    pub(super) spent: MicroUsd,
}

/// All callers being served.
#[derive(Debug, Default)]
pub(super) struct Switchboard {
    callers: BTreeMap<ChannelId, Served>,
    /// Channels that have taken a caller's place. The call keeps the name of the caller with whom it began.
    stand_ins: BTreeMap<ChannelId, StandIn>,
}

impl Switchboard {
    /// Takes an event of Asterisk.
    pub(super) fn event(&mut self, event: Event) -> Option<Directive> {
        match event {
            Event::StasisStart(channel) => match self.callers.get_mut(&channel.id) {
                Some(served) => {
                    // So the caller's last stay is over, whether an event has told of it or not.
                    let caller = channel.id.clone();
                    served.back = Some(channel);
                    Some(Directive::Tell(caller, Order::Leg(LegEvent::CallerReturned)))
                }
                None => self.entered(channel),
            },
            Event::Replaced { old, next_step, new } => match self.caller_of(&old) {
                Some(caller) => {
                    self.stand_ins.remove(&old);
                    let stand_in = StandIn { caller: caller.clone(), name: new.name.clone() };
                    self.stand_ins.insert(new.id.clone(), stand_in);
                    Some(Directive::Replace(caller, Order::Replaced(new.id, next_step), new.caller))
                }
                None => self.event(Event::StasisStart(new)),
            },
            Event::Connected { channel, number } => {
                // Of a caller who came by themselves the number is known from the beginning.
                let caller = channel.caller().filter(|caller| self.is_replaced(caller))?;
                (!number.is_empty()).then_some(Directive::Renumber(caller, number))
            }
            Event::StasisEnd(id) => {
                self.tell(&id, LegEvent::CallerLeft, Some(LegEvent::MediaLeft { cause: 0 }))
            }
            Event::Destroyed { channel, cause } => {
                self.tell(&channel, LegEvent::CallerLeft, Some(LegEvent::MediaLeft { cause }))
            }
            Event::StateChanged(channel) if channel.up => self.tell(&channel.id, LegEvent::CallerUp, None),
            Event::Dtmf { channel, digit } => self.tell(&channel, LegEvent::Key(digit), None),
            Event::Hold(id) => self.tell(&id, LegEvent::Hold(Hold::On), None),
            Event::Unhold(id) => self.tell(&id, LegEvent::Hold(Hold::Off), None),
            Event::Recorded(sound) => {
                let sound = sound.filter(|sound| self.serves(sound.caller()))?;
                let event = LegEvent::Recorded(sound.voice(), sound.part());
                Some(Directive::Tell(sound.caller().clone(), Order::Leg(event)))
            }
            Event::ApplicationReplaced => Some(Directive::ApplicationReplaced),
            // Asterisk stops with all its channels, the media channel too, whose end would be told first.
            Event::AsteriskStops(id) => self.tell(&id, LegEvent::AsteriskLost, Some(LegEvent::AsteriskLost)),
            // StasisEnd follows HangupRequested, and only then is the channel out of our hands.
            Event::HangupRequested(_) | Event::StateChanged(_) | Event::Other(_) => None,
        }
    }

    /// What Asterisk said of a caller after [`Directive::LookAt`]. Without an answer the caller would wait for ever.
    pub(super) fn looked_at(&self, caller: ChannelId, reply: &Reply) -> Option<Directive> {
        match reply {
            // One that has gone on in the dialplan meanwhile is no longer ours.
            Reply::Done(body) => parse_channel(body)
                .ok()
                .filter(|channel| channel.in_stasis && !self.stand_ins.contains_key(&channel.id))
                .and_then(|channel| self.entered(channel)),
            Reply::Refused { status: 404, .. } => None,
            Reply::Refused { .. } | Reply::Lost(_) => Some(Directive::LookAgain(caller)),
        }
    }

    /// This caller is served from now on.
    pub(super) fn take(&mut self, caller: ChannelId, number: CallerNumber, agent: Arc<str>, side: Side) {
        let (openai, back, rtp, spent) = (AtOpenAi::Nothing, None, None, MicroUsd::ZERO);
        let served = Served { side, agent, number, back, openai, rtp, spent };
        self.callers.insert(caller, served);
    }

    /// OpenAI tells of a call with this nonce: the caller for whom Asterisk has made it. A nonce is good for one call. None: no call
    /// of ours is awaited with it.
    pub(super) fn dialled(&mut self, nonce: &Nonce, call: &CallId) -> Option<ChannelId> {
        let is_it =
            |served: &Served| matches!(&served.openai, AtOpenAi::Awaited(awaited) if awaited.is(nonce));
        let (caller, served) = self.callers.iter_mut().find(|(_, served)| is_it(served))?;
        served.openai = AtOpenAi::Known(call.clone());
        Some(caller.clone())
    }

    /// Whether this is a call to OpenAI that Asterisk has made for a caller who is being served.
    pub(super) fn is_dialled(&self, call: &CallId) -> bool {
        self.callers.values().any(|served| matches!(&served.openai, AtOpenAi::Known(known) if known == call))
    }

    /// Where this caller is, if they are being served.
    pub(super) fn side(&self, caller: &ChannelId) -> Option<Side> {
        self.callers.get(caller).map(|served| served.side)
    }

    /// The call of this caller, if there is one.
    pub(super) fn served(&mut self, caller: &ChannelId) -> Option<&mut Served> {
        self.callers.get_mut(caller)
    }

    /// This caller's call is over: what was known of it. If the caller has come back meanwhile, the next call begins.
    pub(super) fn ended(&mut self, caller: &ChannelId) -> Option<(Served, Option<Directive>)> {
        self.stand_ins.retain(|_, stand_in| stand_in.caller != *caller);
        let mut served = self.callers.remove(caller)?;
        let next = served.back.take().and_then(|channel| self.entered(channel));
        Some((served, next))
    }

    /// The channel of whoever talks in the call of this caller.
    pub(super) fn channel_of<'a>(&'a self, caller: &'a ChannelId) -> &'a ChannelId {
        let stand_in = self.stand_ins.iter().find(|(_, stand_in)| stand_in.caller == *caller);
        stand_in.map_or(caller, |(channel, _)| channel)
    }

    /// How many callers are being served.
    pub(super) fn calls(&self) -> usize {
        self.callers.len()
    }

    /// The callers being served.
    pub(super) fn callers(&self) -> Vec<ChannelId> {
        self.callers.keys().cloned().collect()
    }

    /// The callers being served who are in Asterisk.
    pub(super) fn in_asterisk(&self) -> Vec<ChannelId> {
        let there = self.callers.iter().filter(|(_, served)| served.side == Side::Asterisk);
        there.map(|(caller, _)| caller.clone()).collect()
    }

    /// The calls that have an RTP socket, with its address.
    pub(super) fn sockets(&self) -> impl Iterator<Item = (&ChannelId, SocketAddr)> {
        self.callers.iter().filter_map(|(caller, served)| Some((caller, served.rtp?)))
    }

    /// What the calls that run have cost so far, each with its agent.
    pub(super) fn spent(&self) -> impl Iterator<Item = (&Arc<str>, MicroUsd)> {
        self.callers.values().map(|served| (&served.agent, served.spent))
    }

    /// Whether this caller is being served.
    pub(super) fn serves(&self, caller: &ChannelId) -> bool {
        self.callers.contains_key(caller)
    }

    /// Compares, after an outage, what the application holds with the calls that run. `before` are the callers who were being
    /// served when the connection was restored; events have reported all later ones. `absent` is the event for those of them
    /// who are no longer in Asterisk.
    pub(super) fn reconcile(
        &self,
        before: &[ChannelId],
        application: &Application,
        absent: LegEvent,
    ) -> Vec<Directive> {
        let there: BTreeSet<_> = application.channels().collect();
        let gone =
            before.iter().filter(|caller| self.serves(caller) && !there.contains(self.channel_of(caller)));
        let tell = |caller: &ChannelId| Directive::Tell(caller.clone(), Order::Leg(absent));
        let waits = |channel: &&ChannelId| {
            channel.owner().is_none() && !self.serves(channel) && !self.stand_ins.contains_key(channel)
        };
        let mut directives: Vec<_> = gone.map(tell).collect();
        directives.extend(self.orphans(application).into_iter().map(Directive::Remove));
        directives.extend(there.iter().filter(waits).cloned().map(Directive::LookAt));
        directives
    }

    /// The removals of what the application holds of ours that belongs to no call.
    pub(super) fn orphans(&self, application: &Application) -> Vec<Request> {
        let is_orphan = |caller: Option<ChannelId>| caller.is_some_and(|caller| !self.serves(&caller));
        let bridges = application.bridges().filter(|bridge| is_orphan(bridge.caller()));
        let media: BTreeSet<_> =
            application.channels().filter(|channel| is_orphan(channel.owner())).collect();
        bridges.map(Request::DeleteBridge).chain(media.into_iter().map(Request::Hangup)).collect()
    }

    fn entered(&self, channel: Channel) -> Option<Directive> {
        if let Some(caller) = channel.id.caller() {
            return Some(if self.serves(&caller) {
                Directive::Tell(caller, Order::Leg(LegEvent::MediaEntered))
            } else {
                Directive::Remove(Request::Hangup(channel.id))
            });
        }
        if let Some((caller, voice)) = channel.id.snooped() {
            return Some(if self.serves(&caller) {
                Directive::Tell(caller, Order::Leg(LegEvent::SnoopEntered(voice)))
            } else {
                Directive::Remove(Request::Hangup(channel.id))
            });
        }
        if channel.id.as_str().starts_with(OUR_PREFIX) || self.serves(&channel.id) {
            return None;
        }
        // The other end of a Local channel that stands in for a caller: two assistants would talk with each other.
        if self.stand_ins.values().any(|stand_in| are_ends_of_one(&stand_in.name, &channel.name)) {
            return Some(Directive::Remove(Request::Hangup(channel.id)));
        }
        Some(Directive::Arrived(Box::new(channel)))
    }

    /// In whose call this channel talks. None: in nobody's, or no longer.
    pub(super) fn caller_of(&self, id: &ChannelId) -> Option<ChannelId> {
        match self.stand_ins.get(id) {
            Some(stand_in) => Some(stand_in.caller.clone()),
            None => (self.serves(id) && !self.is_replaced(id)).then(|| id.clone()),
        }
    }

    fn is_replaced(&self, caller: &ChannelId) -> bool {
        self.stand_ins.values().any(|stand_in| stand_in.caller == *caller)
    }

    fn tell(&mut self, id: &ChannelId, of_caller: LegEvent, of_media: Option<LegEvent>) -> Option<Directive> {
        match id.caller() {
            Some(caller) => of_media
                .filter(|_| self.serves(&caller))
                .map(|event| Directive::Tell(caller, Order::Leg(event))),
            None => match &mut self.callers.get_mut(&self.caller_of(id)?)?.back {
                None => Some(Directive::Tell(self.caller_of(id)?, Order::Leg(of_caller))),
                // Events of a caller who has come back are not about the old call.
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
fn are_ends_of_one(name: &ChannelName, other: &ChannelName) -> bool {
    let (name, other) = (name.expose(), other.expose());
    let ends = name.rsplit_once(';').zip(other.rsplit_once(';'));
    name.starts_with("Local/") && ends.is_some_and(|((name, one), (other, end))| name == other && one != end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ari::event::Arguments;
    use crate::number::{CallerName, CallerNumber};

    fn caller(up: bool) -> Channel {
        Channel {
            id: "1.0".into(),
            name: "PJSIP/voip-0".into(),
            up,
            caller: CallerNumber::default(),
            caller_name: CallerName::default(),
            called: String::new(),
            arguments: Arguments::default(),
            agent: None,
            in_stasis: true,
        }
    }

    fn left(caller: &ChannelId) -> Directive {
        Directive::Tell(caller.clone(), Order::Leg(LegEvent::CallerLeft))
    }

    /// A switchboard with one caller.
    fn one() -> (Switchboard, ChannelId) {
        let mut switchboard = Switchboard::default();
        let id = caller(true).id;
        assert_eq!(
            switchboard.event(Event::StasisStart(caller(true))),
            Some(Directive::Arrived(Box::new(caller(true))))
        );
        let channel = caller(true);
        switchboard.take(channel.id, channel.caller, "default".into(), Side::Asterisk);
        (switchboard, id)
    }

    /// Ends the call of this caller; what follows.
    fn end(switchboard: &mut Switchboard, id: &ChannelId) -> Option<Directive> {
        switchboard.ended(id).expect("a call").1
    }

    #[test]
    fn a_caller_who_comes_back_before_their_call_is_over_is_served_when_it_is() {
        let (mut switchboard, id) = one();
        assert_eq!(switchboard.event(Event::StasisEnd(id.clone())), Some(left(&id)));
        let back = switchboard.event(Event::StasisStart(caller(false)));
        let returned = Directive::Tell(id.clone(), Order::Leg(LegEvent::CallerReturned));
        assert_eq!(back, Some(returned), "should we not have been told");
        assert_eq!(switchboard.event(Event::StateChanged(caller(true))), None, "no news for the old call");
        assert_eq!(end(&mut switchboard, &id), Some(Directive::Arrived(Box::new(caller(true)))));
        assert_eq!(switchboard.calls(), 0, "until the caller is taken");
    }

    #[test]
    fn one_who_comes_back_and_hangs_up_is_not_waited_for() {
        let (mut switchboard, id) = one();
        switchboard.event(Event::StasisEnd(id.clone()));
        switchboard.event(Event::StasisStart(caller(true)));
        assert_eq!(switchboard.event(Event::StasisEnd(id.clone())), None);
        assert_eq!((end(&mut switchboard, &id), switchboard.calls()), (None, 0));
    }

    fn local(id: &str, end: u8) -> Channel {
        Channel {
            id: id.into(),
            name: format!("Local/_attended@transfer-00000000;{end}").into(),
            ..caller(true)
        }
    }

    /// A switchboard with one caller, and a channel in their place.
    fn replaced() -> (Switchboard, ChannelId) {
        let (mut switchboard, id) = one();
        let event = Event::Replaced { old: id.clone(), next_step: None, new: local("1.5", 2) };
        let order = Order::Replaced("1.5".into(), None);
        assert_eq!(
            switchboard.event(event),
            Some(Directive::Replace(id.clone(), order, CallerNumber::default()))
        );
        (switchboard, id)
    }

    #[test]
    fn a_channel_in_a_callers_place_is_no_second_call() {
        let (mut switchboard, id) = replaced();
        let before = switchboard.event(Event::StasisEnd(id.clone()));
        assert_eq!(before, None, "the one before goes, the call stays");
        assert_eq!((switchboard.calls(), switchboard.channel_of(&id).as_str()), (1, "1.5"));
        let number = |number: &str| Event::Connected { channel: id.media(), number: number.into() };
        assert_eq!(switchboard.event(number("")), None);
        assert_eq!(switchboard.event(number("300")), Some(Directive::Renumber(id.clone(), "300".into())));
        assert_eq!(switchboard.event(Event::StasisEnd("1.5".into())), Some(left(&id)));
        assert_eq!((end(&mut switchboard, &id), switchboard.calls()), (None, 0));
        assert_eq!(switchboard.event(number("301")), None);
    }

    #[test]
    fn who_is_replaced_again_and_who_is_there_after_an_outage() {
        let (mut switchboard, id) = replaced();
        let event = Event::Replaced { old: "1.5".into(), next_step: None, new: local("1.9", 2) };
        assert!(matches!(switchboard.event(event), Some(Directive::Replace(caller, ..)) if caller == id));
        assert_eq!(switchboard.event(Event::StasisEnd("1.5".into())), None);
        let body = format!(r#"{{"channel_ids":["1.9","{}"],"bridge_ids":["{}"]}}"#, id.media(), id.bridge());
        let application = Application::parse(&body).expect("an application");
        assert_eq!(switchboard.reconcile(&switchboard.callers(), &application, LegEvent::CallerLeft), []);
        let gone =
            switchboard.reconcile(&switchboard.callers(), &Application::default(), LegEvent::CallerLeft);
        assert_eq!(gone, [left(&id)]);
    }

    #[test]
    fn two_assistants_do_not_talk_with_each_other() {
        let (mut switchboard, _) = replaced();
        let other_end = Some(Directive::Remove(Request::Hangup("1.4".into())));
        assert_eq!(switchboard.event(Event::StasisStart(local("1.4", 1))), other_end);
        let stranger = Channel { name: "Local/_attended@transfer-00000001;1".into(), ..local("1.8", 1) };
        let arrived = Some(Directive::Arrived(Box::new(stranger.clone())));
        assert_eq!(switchboard.event(Event::StasisStart(stranger)), arrived);
    }

    #[test]
    fn whoever_takes_the_place_of_a_stranger_is_a_caller() {
        let mut switchboard = Switchboard::default();
        let event = Event::Replaced { old: "9.9".into(), next_step: None, new: caller(true) };
        assert_eq!(switchboard.event(event), Some(Directive::Arrived(Box::new(caller(true)))));
    }
}

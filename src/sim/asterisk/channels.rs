//! The lifecycle of channels: what each step changes, and the events that it causes, in the order measured on
//! a real Asterisk. This module handles neither HTTP nor RTP; bridges are in `bridges`.

use std::time::{Duration, Instant};

use super::applications::About;
use super::events::Event;
use super::legs::PhoneLeg;
use super::objects::{Channel, Leg, State};
use super::{
    Asterisk, CallState, CallerId, Emit, Ending, IncomingCall, Key, Later, Line, Outcome, Stage, Version,
};

/// The time for which a key pressed with `press` is held, as in the transcripts.
const KEY: Duration = Duration::from_millis(120);

/// Why a channel is hung up, as its events state the reason.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HangUp {
    pub(super) cause: Option<u16>,
    pub(super) tech_cause: Option<u16>,
    pub(super) soft: bool,
    /// The cause in `ChannelDestroyed`.
    pub(super) destroyed: u16,
}

impl HangUp {
    /// A hang-up by a DELETE request of the application.
    pub(super) fn by_application() -> Self {
        Self { cause: Some(32), soft: true, destroyed: 16, ..Self::default() }
    }
}

impl Asterisk {
    /// Places a call. Shortly after, the dialplan passes the call to the application, if that is registered.
    pub fn incoming_call(&mut self, now: Instant, call: IncomingCall) -> CallerId {
        self.advance(now);
        let id = CallerId(self.calls.len());
        let channel = self.new_id(now);
        let state = if call.answered { CallState::Up } else { CallState::Ringing };
        let outcome = Outcome {
            state,
            ended: None,
            variables: Vec::new(),
            answered_at: call.answered.then_some(now),
            ended_at: None,
            rang: false,
            channel: channel.clone(),
        };
        self.calls.push(Line { channel: None, outcome });
        if self.not_ready(now).is_some() || self.stage == Stage::Stopping {
            self.released(now, id, Ending::Stopped);
            return id;
        }
        let app_data = [std::slice::from_ref(&call.app), &call.args].concat().join(",");
        let protocol_id = format!("{:x}@phone", self.chance.number() >> 4);
        let name = format!("PJSIP/{}-{:08x}", call.endpoint, self.voip_count);
        self.voip_count += 1;
        let leg = Leg::Phone(PhoneLeg::new(id, call.codec, &mut self.chance));
        let key = self.add_channel(Channel {
            id: channel,
            name,
            state: if call.answered { State::Up } else { State::Ring },
            protocol_id,
            number: call.number,
            connected: String::new(),
            context: "from-voip".into(),
            extension: call.extension,
            // Answer, Set, Set, Stasis, Hangup; or Stasis at once.
            priority: if call.answered { 4 } else { 1 },
            app_name: "Stasis",
            app_data,
            created: self.timestamp(now),
            variables: call.variables,
            app: call.app,
            args: call.args,
            in_stasis: false,
            bridge: None,
            leg,
        });
        self.calls[id.0].channel = Some(key);
        if call.answered {
            self.out.push_back(Emit::CallerAnswered { call: id });
        }
        self.later(now + self.settings.stasis_latency, Later::CallerEnters(key));
        id
    }

    /// The caller hangs up (BYE without a Reason header), or gives up before the answer (CANCEL).
    pub fn caller_hangs_up(&mut self, now: Instant, call: CallerId) {
        let v22 = self.settings.version == Version::V22;
        let cause = if v22 { None } else { Some(16) };
        self.caller_goes(
            now,
            call,
            HangUp { cause, destroyed: if v22 { 0 } else { 16 }, ..HangUp::default() },
        );
    }

    /// The caller hangs up with a BYE that has a Reason header with this Q.850 cause.
    pub fn caller_hangs_up_with(&mut self, now: Instant, call: CallerId, cause: u16) {
        let v22 = self.settings.version == Version::V22;
        let tech_cause = (v22 && cause == 31).then_some(480);
        self.caller_goes(
            now,
            call,
            HangUp { cause: v22.then_some(cause), tech_cause, soft: false, destroyed: cause },
        );
    }

    fn caller_goes(&mut self, now: Instant, call: CallerId, mut how: HangUp) {
        self.advance(now);
        let Some(key) = self.calls[call.0].channel else { return };
        if self.channels[&key].state == State::Ring {
            let tech_cause = (self.settings.version == Version::V22).then_some(487);
            how = HangUp { cause: Some(127), tech_cause, soft: false, destroyed: 127 };
        }
        self.hang_up(now, key, how, Ending::CallerHungUp);
    }

    /// Presses a key on the phone for 120 ms without RTP packets, for callers that send no RTP. A phone that
    /// sends RFC 4733 packets does not need this function.
    pub fn press(&mut self, now: Instant, call: CallerId, digit: char) {
        self.advance(now);
        if let Some(channel) = self.calls[call.0].channel {
            self.key_begins(now + KEY, channel);
            self.later(now + KEY, Later::KeyEnds { channel, digit });
        }
    }

    /// Presses the hold button of the phone. While a call is on hold, the audio of the caller is not relayed.
    pub fn hold(&mut self, now: Instant, call: CallerId, on: bool) {
        self.advance(now);
        let Some(key) = self.calls[call.0].channel else { return };
        let Some(channel) = self.channels.get_mut(&key) else { return };
        if let Leg::Phone(phone) = &mut channel.leg {
            phone.held = on;
        }
        let event = if on { Event::hold(channel) } else { Event::channel("ChannelUnhold", channel) };
        let bridge = channel.bridge;
        // Asterisk 22 renews the peers before the event of a hold; in all other cases the event comes first.
        let peers_first = on && self.settings.version == Version::V22;
        if let (true, Some(bridge)) = (peers_first, bridge) {
            self.refresh_peers(now, bridge);
        }
        self.publish(now, About::Channel(key), &event);
        if let (false, Some(bridge)) = (peers_first, bridge) {
            self.refresh_peers(now, bridge);
        }
    }

    /// A new channel id.
    pub(super) fn new_id(&mut self, now: Instant) -> String {
        let id = format!("{}.{}", self.wall(now).as_secs(), self.channel_count);
        self.channel_count += 1;
        id
    }

    pub(super) fn add_channel(&mut self, channel: Channel) -> Key {
        let key = self.key();
        self.by_id.insert(channel.id.clone(), key);
        self.channels.insert(key, channel);
        key
    }

    /// The dialplan reaches `Stasis()` with a caller.
    pub(super) fn caller_enters(&mut self, now: Instant, key: Key) {
        let Some(channel) = self.channels.get(&key) else { return };
        let (app, priority) = (channel.app.clone(), channel.priority);
        if self.is_listening(&app) {
            self.enter_stasis(now, key);
            return;
        }
        if let Some(call) = channel.call() {
            self.calls[call.0].outcome.variables.push(("STASISSTATUS".into(), "FAILED".into()));
        }
        let (context, extension) = (channel.context.clone(), channel.extension.clone());
        self.goes_on(now, key, context, extension, priority + 1);
    }

    /// A media leg is dialled, answers and reaches `Stasis()`. Without a registered application the leg is
    /// removed again.
    pub(super) fn media_enters(&mut self, now: Instant, key: Key) {
        let Some(channel) = self.channels.get_mut(&key) else { return };
        let Leg::Media(leg) = &channel.leg else { return };
        let dialled = match self.settings.version {
            Version::V16 => leg.host.to_string(),
            Version::V22 => format!("{}/c(ulaw)", leg.host),
        };
        let dial = Event::dial("", &dialled, channel);
        channel.state = State::Up;
        let up = Event::channel("ChannelStateChange", channel);
        let answer = Event::dial("ANSWER", &dialled, channel);
        for event in [dial, up, answer] {
            self.publish(now, About::Channel(key), &event);
        }
        let app = self.channels[&key].app.clone();
        if !self.is_listening(&app) {
            self.remove(now, key, 16);
            return;
        }
        if let Some(channel) = self.channels.get_mut(&key) {
            (channel.app_name, channel.app_data) = ("Stasis", app);
        }
        self.set_variable(now, key, "STASISSTATUS", "");
        self.enter_stasis(now, key);
    }

    pub(super) fn enter_stasis(&mut self, now: Instant, key: Key) {
        let Some(channel) = self.channels.get_mut(&key) else { return };
        channel.in_stasis = true;
        let (app, event) = (channel.app.clone(), Event::stasis_start(channel, &channel.args));
        self.enter_app(&app, key);
        self.publish(now, About::Channel(key), &event);
    }

    /// A channel takes the place of another channel in the application.
    pub(super) fn replaces_in_stasis(&mut self, now: Instant, key: Key, old: Key) {
        let event = Event::replacement(&self.channels[&key], &self.channels[&old]);
        let Some(channel) = self.channels.get_mut(&key) else { return };
        channel.in_stasis = true;
        let app = channel.app.clone();
        self.enter_app(&app, key);
        self.publish(now, About::Channel(key), &event);
    }

    /// Sets a variable of a channel and publishes the event.
    pub(super) fn set_variable(&mut self, now: Instant, key: Key, name: &str, value: &str) {
        let Some(channel) = self.channels.get_mut(&key) else { return };
        match channel.variables.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => value.clone_into(old),
            None => channel.variables.push((name.into(), value.into())),
        }
        let event = Event::variable(channel, name, value);
        self.publish(now, About::Channel(key), &event);
    }

    /// The application answers the channel.
    pub(super) fn answer(&mut self, now: Instant, key: Key) {
        let Some(channel) = self.channels.get_mut(&key).filter(|channel| channel.state == State::Ring) else {
            return;
        };
        channel.state = State::Up;
        let (event, call) = (Event::channel("ChannelStateChange", channel), channel.call());
        self.publish(now, About::Channel(key), &event);
        if let Some(call) = call {
            let outcome = &mut self.calls[call.0].outcome;
            (outcome.state, outcome.answered_at) = (CallState::Up, Some(now));
            self.out.push_back(Emit::CallerAnswered { call });
        }
    }

    /// `continue`: the caller leaves the application for the dialplan. A media leg has no dialplan and is
    /// hung up.
    pub(super) fn continue_in_dialplan(&mut self, now: Instant, key: Key, to: (String, String, u32)) {
        if self.channels[&key].call().is_none() {
            self.hang_up(now, key, HangUp::by_application(), Ending::NowhereToGo);
            return;
        }
        self.leave_bridge(now, key);
        self.goes_on(now, key, to.0, to.1, to.2);
    }

    /// The dialplan continues at this place, which ends the call for the fake.
    fn goes_on(&mut self, now: Instant, key: Key, context: String, extension: String, priority: u32) {
        let Some(channel) = self.channels.get_mut(&key) else { return };
        let call = channel.call();
        let elsewhere = channel.context != context || channel.extension != extension;
        let exists = !elsewhere || self.settings.has_extension(&context, &extension);
        if elsewhere && self.settings.version == Version::V16 {
            // As recorded: `StasisEnd` of Asterisk 16 shows the new place, one priority before it; that of 22
            // shows the old place.
            channel.context.clone_from(&context);
            channel.extension.clone_from(&extension);
            channel.priority = priority.saturating_sub(1);
        }
        self.end_stasis(now, key);
        self.remove(now, key, 16);
        if let Some(call) = call {
            let to = Ending::Continued { context, extension, priority };
            self.released(now, call, if exists { to } else { Ending::NowhereToGo });
        }
    }

    /// Hangs up a channel with all consequences for that channel. Its bridge and the other channels remain.
    pub(super) fn hang_up(&mut self, now: Instant, key: Key, how: HangUp, ending: Ending) {
        self.request_hang_up(now, key, how);
        self.ends(now, key, how, ending);
    }

    fn request_hang_up(&mut self, now: Instant, key: Key, how: HangUp) {
        let Some(channel) = self.channels.get(&key) else { return };
        let (call, up) = (channel.call(), channel.state == State::Up);
        if call.is_some() && up && self.settings.version == Version::V22 {
            self.tell_quality(now, key);
        }
        let event = Event::hangup_request(&self.channels[&key], how.cause, how.tech_cause, how.soft);
        self.publish(now, About::Channel(key), &event);
    }

    fn ends(&mut self, now: Instant, key: Key, how: HangUp, ending: Ending) {
        let Some(call) = self.channels.get(&key).map(Channel::call) else { return };
        self.end_spying(now, key);
        self.leave_bridge(now, key);
        self.end_stasis(now, key);
        self.remove(now, key, how.destroyed);
        if let Some(call) = call {
            self.released(now, call, ending);
        }
    }

    /// Asterisk shuts down: all channels are asked to hang up before the first one ends.
    pub(super) fn all_end_with_asterisk(&mut self, now: Instant) {
        let how = HangUp { cause: Some(4), soft: true, destroyed: 16, ..HangUp::default() };
        let channels: Vec<Key> = self.channels.keys().copied().collect();
        for channel in &channels {
            self.request_hang_up(now, *channel, how);
        }
        for channel in channels {
            self.ends(now, channel, how, Ending::Stopped);
        }
    }

    pub(super) fn end_stasis(&mut self, now: Instant, key: Key) {
        let Some(channel) = self.channels.get_mut(&key).filter(|channel| channel.in_stasis) else { return };
        channel.in_stasis = false;
        let event = Event::channel("StasisEnd", channel);
        self.publish(now, About::Channel(key), &event);
        self.leave_app(key);
        self.set_variable(now, key, "STASISSTATUS", "SUCCESS");
    }

    /// Removes a channel. Subscribers of the channel receive the event; the application of a caller is not
    /// subscribed by default.
    pub(super) fn remove(&mut self, now: Instant, key: Key, cause: u16) {
        let Some(mut channel) = self.channels.remove(&key) else { return };
        self.by_id.remove(&channel.id);
        match &channel.leg {
            Leg::Media(leg) => {
                self.ports.remove(&leg.port);
                self.out.push_back(Emit::ClosePort(leg.port));
                (channel.app_name, channel.app_data) = ("AppDial2", "(Outgoing Line)".into());
            }
            Leg::Far(_) => self.out.push_back(Emit::FarEndReleased { channel: channel.id.clone() }),
            Leg::Snoop(_) => {}
            Leg::Phone(_) => {
                if self.settings.version == Version::V16 {
                    channel.protocol_id.clear();
                    (channel.app_name, channel.app_data) = ("", String::new());
                }
                // This is the end of the dialplan, which only subscribers of the channel see.
                if cause == 16 {
                    let event = Event::hangup_request(&channel, Some(16), None, true);
                    self.publish(now, About::Channel(key), &event);
                }
                (channel.app_name, channel.app_data) = ("", String::new());
            }
        }
        self.publish(now, About::Channel(key), &Event::destroyed(&channel, cause));
        self.forget(key);
    }

    fn released(&mut self, now: Instant, call: CallerId, how: Ending) {
        let line = &mut self.calls[call.0];
        line.channel = None;
        line.outcome.state = CallState::Gone;
        line.outcome.ended = Some(how.clone());
        line.outcome.ended_at = Some(now);
        self.out.push_back(Emit::CallerReleased { call, how });
    }
}

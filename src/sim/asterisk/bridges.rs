//! Bridges: channels join and leave them, and the members learn of each other, in the order measured on a
//! real Asterisk. `media` relays the audio, and `resources` has the HTTP requests.

use std::time::Instant;

use super::applications::About;
use super::events::Event;
use super::objects::Leg;
use super::{Asterisk, Emit, Key};

impl Asterisk {
    /// Lets a channel join a bridge. A channel that is in another bridge leaves that one first.
    pub(super) fn joins(&mut self, now: Instant, bridge: Key, key: Key) {
        if !self.channels.contains_key(&key) || !self.bridges.contains_key(&bridge) {
            return;
        }
        self.leave_bridge(now, key);
        let (Some(channel), Some(place)) = (self.channels.get_mut(&key), self.bridges.get_mut(&bridge))
        else {
            return;
        };
        channel.bridge = Some(bridge);
        place.members.push((key, channel.id.clone()));
        let event = Event::in_bridge("ChannelEnteredBridge", place, channel);
        self.follow_bridge(key, bridge);
        self.publish(now, About::Both { channel: key, bridge }, &event);
        self.refresh_peers(now, bridge);
    }

    /// Takes a channel out of its bridge, if the channel is in one.
    pub(super) fn leave_bridge(&mut self, now: Instant, key: Key) {
        let Some(bridge) = self.channels.get_mut(&key).and_then(|channel| channel.bridge.take()) else {
            return;
        };
        if let Some(place) = self.bridges.get_mut(&bridge) {
            place.members.retain(|(member, _)| *member != key);
            if let [(other, _)] = place.members.as_slice()
                && let Some(other) = self.channels.get(other)
                && matches!(other.leg, Leg::Far(_))
            {
                self.out.push_back(Emit::FarEndAlone { channel: other.id.clone() });
            }
        }
        for name in ["BRIDGEPEER", "BRIDGEPVTCALLID"] {
            if self.channels[&key].variable(name).is_some_and(|value| !value.is_empty()) {
                self.set_variable(now, key, name, "");
            }
        }
        let event = Event::in_bridge("ChannelLeftBridge", &self.bridges[&bridge], &self.channels[&key]);
        self.publish(now, About::Both { channel: key, bridge }, &event);
        self.refresh_peers(now, bridge);
    }

    /// Tells each member of the bridge again who else is there.
    pub(super) fn refresh_peers(&mut self, now: Instant, bridge: Key) {
        let members: Vec<Key> = self.bridges[&bridge].members.iter().map(|(key, _)| *key).collect();
        if members.len() < 2 {
            return;
        }
        for key in &members {
            let others = || members.iter().filter(|other| *other != key).map(|other| &self.channels[other]);
            let names: Vec<&str> = others().map(|other| other.name.as_str()).collect();
            let call_id =
                others().next().filter(|_| members.len() == 2).map_or("", |other| &other.protocol_id);
            let (names, call_id) = (names.join(","), call_id.to_owned());
            self.set_variable(now, *key, "BRIDGEPEER", &names);
            let had = self.channels[key].variable("BRIDGEPVTCALLID").is_some_and(|value| !value.is_empty());
            if had || !call_id.is_empty() {
                self.set_variable(now, *key, "BRIDGEPVTCALLID", &call_id);
            }
        }
        for (key, other) in members.iter().zip(members.iter().rev()) {
            let number = self.channels[other].number.clone();
            let Some(channel) = self.channels.get_mut(key) else { continue };
            if members.len() == 2 && !number.is_empty() && channel.connected != number {
                channel.connected = number;
                let event = Event::channel("ChannelConnectedLine", channel);
                self.publish(now, About::Channel(*key), &event);
            }
        }
    }
}

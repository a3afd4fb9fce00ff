//! Transfers: a phone that talks with the application connects another party in its place (REFER with
//! Replaces, RFC 3891), as measured on both versions. Asterisk puts one end of a Local channel in place of
//! the phone, also in the bridge, and tells the number of the new party only to the other member of the
//! bridge.

use std::time::Instant;

use super::applications::About;
use super::events::Event;
use super::legs::PhoneLeg;
use super::objects::{Channel, Leg, State};
use super::{Asterisk, CallerId, Codec, Key};

impl Asterisk {
    /// The phone of this call, which talks with the application, transfers a customer with this number to the
    /// application. From then on the audio of the phone is the customer's. The function does nothing before
    /// the phone is in a bridge.
    pub fn transfer(&mut self, now: Instant, call: CallerId, number: &str) {
        self.advance(now);
        let Some(old) = self.calls[call.0].channel else { return };
        let Some(bridge) = self.channels.get(&old).and_then(|channel| channel.bridge) else { return };
        let new = self.stand_in(now, call, old);
        self.calls[call.0].channel = Some(new);
        self.replaces_in_stasis(now, new, old);
        self.leave_bridge(now, old);
        self.joins(now, bridge, new);
        self.tell_number(now, bridge, new, number);
        self.end_stasis(now, old);
        self.remove(now, old, 0);
    }

    /// Creates one end of a Local channel, which takes over the audio of the phone from `old`.
    fn stand_in(&mut self, now: Instant, call: CallerId, old: Key) -> Key {
        let nobody = Leg::Phone(PhoneLeg::new(call, Codec::Ulaw, &mut self.chance));
        let (id, created) = (self.new_id(now), self.timestamp(now));
        let name = format!("Local/_attended@transfer-{:08x};2", self.local_count);
        self.local_count += 1;
        let old = self.channels.get_mut(&old).expect("a channel of a call is there");
        let new = Channel {
            id,
            name,
            state: State::Up,
            protocol_id: String::new(),
            number: String::new(),
            connected: String::new(),
            context: "transfer".into(),
            extension: "_attended".into(),
            priority: 1,
            app_name: "Stasis",
            app_data: old.app_data.clone(),
            created,
            variables: Vec::new(),
            app: old.app.clone(),
            args: old.args.clone(),
            in_stasis: false,
            bridge: None,
            leg: std::mem::replace(&mut old.leg, nobody),
        };
        self.add_channel(new)
    }

    /// Tells the other member of the bridge the number of the new party, after an empty number.
    fn tell_number(&mut self, now: Instant, bridge: Key, key: Key, number: &str) {
        let members: Vec<Key> = self.bridges[&bridge].members.iter().map(|(member, _)| *member).collect();
        for other in members.into_iter().filter(|other| *other != key) {
            for connected in ["", number] {
                let Some(channel) = self.channels.get_mut(&other) else { continue };
                connected.clone_into(&mut channel.connected);
                let event = Event::channel("ChannelConnectedLine", channel);
                self.publish(now, About::Channel(other), &event);
            }
        }
    }
}

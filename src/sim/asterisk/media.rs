//! RTP through the fake: packets are relayed one by one between a phone and the one media leg or far end in its bridge,
//! or between two media legs, as `simple_bridge` does. There is no pacing, buffer, mixing or RTCP.

use std::net::SocketAddr;
use std::time::Instant;

use super::applications::About;
use super::events::Event;
use super::legs::{KEY_PACKETS, PhoneLeg, Voice};
use super::objects::{Channel, Leg};
use super::{Asterisk, CallerId, Codec, Emit, Key, Version, g711};
use crate::sim::rtp::{self, Header};

impl Asterisk {
    /// Receives a datagram at the socket of a media leg.
    pub fn media_datagram(&mut self, now: Instant, port: u16, from: SocketAddr, datagram: &[u8]) {
        self.advance(now);
        let Some(&key) = self.ports.get(&port) else { return };
        let Some((header, payload)) = rtp::read(datagram) else { return };
        let Some(Leg::Media(leg)) = self.channels.get_mut(&key).map(|channel| &mut channel.leg) else {
            return;
        };
        if !leg.source.accepts(now, from, header.seq) {
            return;
        }
        leg.heard_anything = true;
        let Some(peer) = self.peer(key) else { return };
        let renew = (self.settings.version == Version::V22).then(|| self.chance.number() as u32);
        let phone = match self.channels.get_mut(&peer).map(|channel| &mut channel.leg) {
            Some(Leg::Phone(phone)) => phone,
            Some(Leg::Media(other)) => {
                let payload = match header.payload_type {
                    rtp::ULAW => payload.to_vec(),
                    rtp::ALAW => g711::to_ulaw(payload),
                    _ => return,
                };
                let header = other.stream.relay(header, rtp::ULAW, renew);
                let datagram = rtp::write(header, &payload);
                self.out.push_back(Emit::Media { from_port: other.port, to: other.host, datagram });
                return;
            }
            // A far end is not bridged with a media leg.
            Some(Leg::Far(_) | Leg::Snoop(_)) | None => return,
        };
        self.out.extend(to_phone(phone, header, payload, renew));
    }

    /// Receives a datagram from the far end of a channel that was asked for.
    pub fn far_end_datagram(&mut self, now: Instant, channel: &str, datagram: &[u8]) {
        self.advance(now);
        let Some(peer) = self.far(channel).and_then(|key| self.peer(key)) else { return };
        let Some((header, payload)) = rtp::read(datagram) else { return };
        let renew = (self.settings.version == Version::V22).then(|| self.chance.number() as u32);
        if let Some(Leg::Phone(phone)) = self.channels.get_mut(&peer).map(|channel| &mut channel.leg) {
            self.out.extend(to_phone(phone, header, payload, renew));
            self.record_sound(now, peer, Voice::Heard, (header.timestamp, payload));
        }
    }

    /// Receives a datagram from a phone.
    pub fn caller_datagram(&mut self, now: Instant, call: CallerId, datagram: &[u8]) {
        self.advance(now);
        let Some(key) = self.calls[call.0].channel else { return };
        let Some((header, payload)) = rtp::read(datagram) else { return };
        let Some(Leg::Phone(phone)) = self.channels.get_mut(&key).map(|channel| &mut channel.leg) else {
            return;
        };
        phone.received += 1;
        let payload = match header.payload_type {
            rtp::KEYS => {
                if let Some((digit, duration)) = phone.key(header, payload) {
                    self.tell_key(now, key, digit, duration);
                }
                return;
            }
            rtp::ULAW => payload.to_vec(),
            rtp::ALAW => g711::to_ulaw(payload),
            _ => return,
        };
        if phone.held || phone.pressed_until.is_some_and(|until| now < until) {
            return;
        }
        self.record_sound(now, key, Voice::Said, (header.timestamp, &payload));
        let Some(peer) = self.peer(key) else { return };
        match self.channels.get_mut(&peer) {
            Some(Channel { leg: Leg::Media(leg), .. }) => {
                let header = leg.stream.relay(header, rtp::ULAW, None);
                let datagram = rtp::write(header, &payload);
                self.out.push_back(Emit::Media { from_port: leg.port, to: leg.host, datagram });
            }
            Some(Channel { leg: Leg::Far(_), id, .. }) => {
                let datagram = rtp::write(Header { payload_type: rtp::ULAW, ..header }, &payload);
                self.out.push_back(Emit::ToFarEnd { channel: id.clone(), datagram });
            }
            _ => {}
        }
    }

    /// The other member in a bridge of two.
    fn peer(&self, key: Key) -> Option<Key> {
        let bridge = self.bridges.get(&self.channels.get(&key)?.bridge?)?;
        match bridge.members.as_slice() {
            [(one, _), (other, _)] => Some(if *one == key { *other } else { *one }),
            _ => None,
        }
    }

    pub(super) fn key_begins(&mut self, until: Instant, key: Key) {
        if let Some(Leg::Phone(phone)) = self.channels.get_mut(&key).map(|channel| &mut channel.leg) {
            phone.pressed_until = Some(until);
        }
    }

    /// Ends a key that was pressed with `press`: publishes the event, and makes the jump that the key's
    /// packets would have left.
    pub(super) fn key_ends(&mut self, now: Instant, key: Key, digit: char) {
        self.tell_key(now, key, digit, 120);
        let Some(Leg::Phone(phone)) = self.channels.get_mut(&key).map(|channel| &mut channel.leg) else {
            return;
        };
        phone.pressed_until = None;
        // The six audio packets that were left out have sequence numbers of their own, but the jump must be
        // that of nine key packets.
        if let Some(Leg::Media(leg)) =
            self.peer(key).and_then(|peer| Some(&mut self.channels.get_mut(&peer)?.leg))
        {
            leg.stream.skip(KEY_PACKETS - 6);
        }
    }

    fn tell_key(&mut self, now: Instant, key: Key, digit: char, duration_ms: u32) {
        if let Some(channel) = self.channels.get(&key) {
            let event = Event::key(channel, digit, duration_ms);
            self.publish(now, About::Channel(key), &event);
        }
        if let Some(channel) = self.peer(key).and_then(|peer| self.channels.get(&peer))
            && matches!(channel.leg, Leg::Far(_))
        {
            self.out.push_back(Emit::KeyToFarEnd { channel: channel.id.clone(), digit });
        }
    }

    /// Asterisk 22 sets variables at the end of an answered call that describe the RTP, on the phone's
    /// channel and on its peer.
    pub(super) fn tell_quality(&mut self, now: Instant, key: Key) {
        let Some(Leg::Phone(phone)) = self.channels.get(&key).map(|channel| &channel.leg) else { return };
        let (ssrc, received, sent) = (phone.stream.ssrc, phone.received, phone.sent);
        let peer = self.peer(key);
        for (name, figures) in QUALITY {
            let value = match name {
                "RTPAUDIOQOS" => {
                    format!(
                        "ssrc={ssrc};themssrc=0;lp=0;rxjitter=0.000000;rxcount={received};txjitter=0.000000;txcount={sent};rlp=0;rtt=0.000000;rxmes=0.000000;txmes=0.000000"
                    )
                }
                _ => figures.replace(' ', "=000.000000;") + "=000.000000;",
            };
            self.set_variable(now, key, name, &value);
            if let Some(peer) = peer {
                self.set_variable(now, peer, &format!("{name}BRIDGED"), &value);
            }
        }
    }
}

/// A packet as it goes on to a phone. None: the phone does not know its codec.
fn to_phone(phone: &mut PhoneLeg, header: Header, payload: &[u8], renew: Option<u32>) -> Option<Emit> {
    let (payload_type, payload) = match (header.payload_type, phone.codec) {
        (rtp::ULAW, Codec::Ulaw) => (rtp::ULAW, payload.to_vec()),
        (rtp::ALAW, Codec::Ulaw) => (rtp::ULAW, g711::to_ulaw(payload)),
        (rtp::ULAW, Codec::Alaw) => (rtp::ALAW, g711::to_alaw(payload)),
        (rtp::ALAW, Codec::Alaw) => (rtp::ALAW, payload.to_vec()),
        _ => return None,
    };
    phone.sent += 1;
    let header = phone.stream.relay(header, payload_type, renew);
    Some(Emit::ToCaller { call: phone.call, datagram: rtp::write(header, &payload) })
}

/// The variables of `tell_quality` with the figures in each.
const QUALITY: [(&str, &str); 5] = [
    ("RTPAUDIOQOS", ""),
    (
        "RTPAUDIOQOSJITTER",
        "minrxjitter maxrxjitter avgrxjitter stdevrxjitter mintxjitter maxtxjitter avgtxjitter stdevtxjitter",
    ),
    (
        "RTPAUDIOQOSLOSS",
        "minrxlost maxrxlost avgrxlost stdevrxlost mintxlost maxtxlost avgtxlost stdevtxlost",
    ),
    ("RTPAUDIOQOSRTT", "minrtt maxrtt avgrtt stdevrtt"),
    ("RTPAUDIOQOSMES", "minrxmes maxrxmes avgrxmes stdevrxmes mintxmes maxtxmes avgtxmes stdevtxmes"),
];

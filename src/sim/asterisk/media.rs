//! RTP through the fake: packets are relayed one by one between a phone and the one media leg in its bridge,
//! or between two media legs, as `simple_bridge` does. There is no pacing, buffer, mixing or RTCP.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::applications::About;
use super::channels::Leg;
use super::events::Event;
use super::{Asterisk, CallerId, Codec, Emit, Key, Version, g711};
use crate::sim::chance::Chance;
use crate::sim::rtp::{self, Header};

/// The time for which strict RTP may still learn another source of a leg.
const LEARNING: Duration = Duration::from_secs(5);
/// The number of consecutive packets from another source that are dropped before that source is accepted.
const PROBATION: u32 = 4;
/// A sequence number that differs from the previous one by more than this counts as a new start, and the
/// outgoing numbers continue without a gap.
const SEQUENCE_JUMP: u16 = 100;
/// A key of 120 ms takes 9 packets: 6 while it is held, 3 for its end. `press` replaces them.
const KEY_PACKETS: u16 = 9;

/// The caller's end of a channel.
#[derive(Debug)]
pub(super) struct PhoneLeg {
    pub(super) call: CallerId,
    codec: Codec,
    pub(super) held: bool,
    /// The outgoing stream to the phone.
    stream: Stream,
    received: u32,
    sent: u32,
    /// The timestamp of the last key, which distinguishes the repeated end packets of one key from a new key.
    last_key: Option<u32>,
    /// The end of a key pressed with `press`. Until then the audio is left out.
    pressed_until: Option<Instant>,
}

impl PhoneLeg {
    pub(super) fn new(call: CallerId, codec: Codec, chance: &mut Chance) -> Self {
        let stream = Stream::new(chance);
        Self { call, codec, held: false, stream, received: 0, sent: 0, last_key: None, pressed_until: None }
    }
}

/// The application's end of a channel.
#[derive(Debug)]
pub(super) struct MediaLeg {
    /// The address to which the application's audio is sent.
    pub(super) host: SocketAddr,
    /// The port of this leg's socket.
    pub(super) port: u16,
    pub(super) heard_anything: bool,
    source: StrictSource,
    /// The outgoing stream to the application.
    stream: Stream,
}

impl MediaLeg {
    pub(super) fn new(now: Instant, host: SocketAddr, port: u16, chance: &mut Chance) -> Self {
        let source = StrictSource { believed: host, since: now, closed: false, stranger: None };
        Self { host, port, heard_anything: false, source, stream: Stream::new(chance) }
    }
}

/// Strict RTP, which decides whose packets a leg accepts: those from the application's `external_host` from
/// the start, those from another source if only that source sends during the first seconds, and after that no
/// other source.
#[derive(Debug)]
struct StrictSource {
    believed: SocketAddr,
    since: Instant,
    closed: bool,
    /// The source on probation, its last sequence number, and the number of its consecutive packets.
    stranger: Option<(SocketAddr, u16, u32)>,
}

impl StrictSource {
    fn accepts(&mut self, now: Instant, from: SocketAddr, seq: u16) -> bool {
        if from == self.believed {
            self.stranger = None;
            self.closed |= now.saturating_duration_since(self.since) >= LEARNING;
            return true;
        }
        if self.closed {
            return false;
        }
        let in_row = match self.stranger {
            Some((who, last, count)) if who == from && seq == last.wrapping_add(1) => count + 1,
            _ => 1,
        };
        if in_row > PROBATION {
            self.believed = from;
            self.stranger = None;
            return true;
        }
        self.stranger = Some((from, seq, in_row));
        false
    }
}

/// One outgoing RTP stream. The stream keeps the sequence numbers and timestamps of the relayed packets,
/// shifted by a constant, so that loss, disorder and jumps arrive at the other side as they came.
#[derive(Debug)]
struct Stream {
    ssrc: u32,
    /// The incoming SSRC, the last incoming sequence number, and the number that is added to incoming
    /// sequence numbers.
    source: Option<(u32, u16, u16)>,
    first_seq: u16,
    timestamp_shift: u32,
}

impl Stream {
    fn new(chance: &mut Chance) -> Self {
        let (ssrc, rest) = (chance.number() as u32, chance.number());
        Self { ssrc, source: None, first_seq: rest as u16, timestamp_shift: (rest >> 16) as u32 }
    }

    /// The header under which an incoming packet is sent on. With `renew`, a new incoming SSRC causes this
    /// new outgoing SSRC.
    fn relay(&mut self, incoming: Header, payload_type: u8, renew: Option<u32>) -> Header {
        let mut marker = false;
        let shift = match self.source {
            None => self.first_seq.wrapping_sub(incoming.seq),
            Some((ssrc, last, shift)) => {
                let distance = incoming.seq.wrapping_sub(last) as i16;
                if ssrc != incoming.ssrc {
                    (self.ssrc, marker) = renew.map_or((self.ssrc, false), |fresh| (fresh, true));
                }
                if ssrc != incoming.ssrc || distance.unsigned_abs() > SEQUENCE_JUMP {
                    last.wrapping_add(shift).wrapping_add(1).wrapping_sub(incoming.seq)
                } else {
                    shift
                }
            }
        };
        self.source = Some((incoming.ssrc, incoming.seq, shift));
        Header {
            marker,
            payload_type,
            seq: incoming.seq.wrapping_add(shift),
            timestamp: incoming.timestamp.wrapping_add(self.timestamp_shift),
            ssrc: self.ssrc,
        }
    }

    /// Counts packets that are not relayed.
    fn skip(&mut self, packets: u16) {
        if let Some((_, _, shift)) = &mut self.source {
            *shift = shift.wrapping_add(packets);
        }
    }
}

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
            None => return,
        };
        let (payload_type, payload) = match (header.payload_type, phone.codec) {
            (rtp::ULAW, Codec::Ulaw) => (rtp::ULAW, payload.to_vec()),
            (rtp::ALAW, Codec::Ulaw) => (rtp::ULAW, g711::to_ulaw(payload)),
            (rtp::ULAW, Codec::Alaw) => (rtp::ALAW, g711::to_alaw(payload)),
            (rtp::ALAW, Codec::Alaw) => (rtp::ALAW, payload.to_vec()),
            _ => return,
        };
        phone.sent += 1;
        let header = phone.stream.relay(header, payload_type, renew);
        self.out.push_back(Emit::ToCaller { call: phone.call, datagram: rtp::write(header, &payload) });
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
        let Some(peer) = self.peer(key) else { return };
        let Some(Leg::Media(leg)) = self.channels.get_mut(&peer).map(|channel| &mut channel.leg) else {
            return;
        };
        let header = leg.stream.relay(header, rtp::ULAW, None);
        let datagram = rtp::write(header, &payload);
        self.out.push_back(Emit::Media { from_port: leg.port, to: leg.host, datagram });
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

impl PhoneLeg {
    /// Reads a telephone event packet. Returns the digit and its duration for the first packet that reports
    /// the release of the key.
    fn key(&mut self, header: Header, payload: &[u8]) -> Option<(char, u32)> {
        let [code, flags, high, low, ..] = payload else { return None };
        if flags & 128 == 0 || self.last_key == Some(header.timestamp) {
            return None;
        }
        self.last_key = Some(header.timestamp);
        let digit = rtp::DIGITS.chars().nth(usize::from(*code))?;
        Some((digit, u32::from(u16::from_be_bytes([*high, *low])) / 8))
    }
}

//! Whose packets are the caller's: the stream of one address and one SSRC, and nobody else's.
//!
//! Asterisk names the address it sends from. Where a router or a container port stands between, the packets come from
//! another one. As Asterisk's own "strict RTP" does, the source is then learned: a stranger is on probation, then
//! trusted, and then nobody else is heard any more. Only sources within the
//! internal networks (a router, a container, another interface of Asterisk's machine) and the networks of Asterisk are
//! learned, and no source of the Internet.
//!
//! ```text
//!            named()
//!   Unnamed ─────────► Waiting ── a packet from the named address ──────────────► Locked
//!                         │                                                         ▲  ▲
//!                         │ a stranger of a known network passes probation          │  │
//!                         ▼                                                         │  │
//!                      Trusting ── a packet from the named address after all ───────┘  │
//!                         │                                                            │
//!                         └── LEARNING is over, and the named address has sent nothing ┘
//! ```
//! Locked is final: the daemon then connects its socket to the source, and the kernel drops everybody else. Within the
//! source, packets of another SSRC are dropped until the known SSRC has been silent for `RENEW_AFTER`: a caller's phone
//! that begins a new stream has stopped the old one, a forger beside the phone has not.
//!
//! Says nothing about order, gaps and rate: that is `uplink`'s. Sources: RFC 3550 §8.2 (collisions of SSRCs) and appendix A.1
//! (probation); Asterisk's `res_rtp_asterisk` (strict RTP).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use crate::media::rtp::Packet;

/// Packets in sequence after which a stranger is trusted. Asterisk asks for 4. More: the caller's first words are lost
/// where the source must be learned. Fewer: stray packets of an earlier call pass.
const PROBATION: u8 = 5;
/// Those packets must span at least this time, because speech arrives at the pace at which it is spoken. Longer than a forger's burst,
/// shorter than four packets of 20 ms that the network delivers unevenly.
const PROBATION_LASTS: Duration = Duration::from_millis(40);
/// So many sequence numbers may be missing between two packets of a stranger on probation, who loses packets as others do.
const PROBATION_LOSS: u16 = 3;
/// For so long after it is trusted, a learned source gives way to the named one. Asterisk learns for 5 s too. Longer leaves the
/// socket open to everybody for longer; shorter locks out an Asterisk whose first packets are late.
const LEARNING: Duration = Duration::from_secs(5);
/// Silence of the known SSRC after which another one counts. As long as `uplink` waits before it makes up silence: shorter
/// lets a forger in during an ordinary burst of jitter, longer loses the begin of a new stream.
const RENEW_AFTER: Duration = Duration::from_millis(200);

/// Whom the daemon takes for the caller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Trust {
    /// The address Asterisk names; if nothing comes from there, the first source within the internal networks and
    /// Asterisk's own that passes probation.
    #[default]
    Learn,
    /// The address Asterisk names, and no other.
    Strict,
}

/// Why packets are dropped that come from elsewhere than Asterisk named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// [`Trust::Strict`] forbids to learn a source.
    Strict,
    /// The source is in none of the networks of Asterisk, and in no internal network.
    ForeignNetwork,
}

/// What a packet or the time has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The source is another one than Asterisk named, and is heard from now on.
    Learned {
        /// What Asterisk named.
        named: SocketAddr,
        /// Where the packets come from.
        source: SocketAddr,
    },
    /// Packets come from elsewhere only, and are not taken.
    Refused {
        /// Why not.
        why: Refusal,
        /// What Asterisk named.
        named: SocketAddr,
        /// Where the packets come from.
        source: SocketAddr,
    },
    /// Nobody but this source will be heard any more.
    Locked(SocketAddr),
}

/// The caller's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stream {
    from: SocketAddr,
    ssrc: u32,
    last_at: Instant,
}

/// A stranger on probation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stranger {
    from: SocketAddr,
    ssrc: u32,
    sequence: u16,
    since: Instant,
    packets: u8,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Unnamed,
    Waiting {
        named: SocketAddr,
        /// The stranger on probation that may be learned (with [`Trust::Strict`]: any stranger). It is kept apart from
        /// `foreign`, so that packets from other networks do not interrupt its probation.
        near: Option<Stranger>,
        foreign: Option<Stranger>,
    },
    Trusting {
        named: SocketAddr,
        stream: Stream,
        until: Instant,
    },
    Locked(Stream),
}

/// Whose packets are heard; at first nobody's.
#[derive(Debug, Default)]
pub struct Source {
    trust: Trust,
    /// The networks of Asterisk; None: they are not known, and a source may be anywhere.
    networks: Option<Arc<[IpNet]>>,
    state: State,
    /// The operator knows that packets of a stranger are refused.
    refusal_said: bool,
}

impl Source {
    /// A source of which nothing is known yet. It is learned from `networks` and the internal networks only; None: from
    /// anywhere.
    pub fn new(trust: Trust, networks: Option<Arc<[IpNet]>>) -> Self {
        Self { trust, networks, ..Self::default() }
    }

    /// Asterisk says where it will send from. What is known already stays.
    pub fn named(&mut self, named: SocketAddr) {
        if self.state == State::Unnamed {
            self.state = State::Waiting { named, near: None, foreign: None };
        }
    }

    /// Whether this packet is the caller's, and what it changes.
    pub fn judge(&mut self, now: Instant, from: SocketAddr, packet: &Packet<'_>) -> (bool, Option<Change>) {
        match &mut self.state {
            State::Locked(stream) => (stream.takes(now, from, packet.ssrc), None),
            State::Unnamed => (false, None),
            State::Waiting { named, .. } | State::Trusting { named, .. } if *named == from => {
                self.state = State::Locked(Stream { from, ssrc: packet.ssrc, last_at: now });
                (true, Some(Change::Locked(from)))
            }
            State::Trusting { stream, until, .. } => {
                let takes = stream.takes(now, from, packet.ssrc);
                let locked = takes && *until <= now;
                if locked {
                    self.state = State::Locked(*stream);
                }
                (takes, locked.then_some(Change::Locked(from)))
            }
            State::Waiting { named, near, foreign } => {
                let is_near = contain(self.networks.as_deref(), from.ip()) || is_internal(from.ip());
                let (stranger, refusal) = match self.trust {
                    Trust::Strict => (near, Some(Refusal::Strict)),
                    Trust::Learn if !is_near => (foreign, Some(Refusal::ForeignNetwork)),
                    Trust::Learn => (near, None),
                };
                let known = stranger.filter(|known| known.is_followed_by(from, packet));
                let fresh = Stranger { from, ssrc: packet.ssrc, sequence: 0, since: now, packets: 0 };
                let mut this = known.unwrap_or(fresh);
                (this.sequence, this.packets) = (packet.sequence, this.packets.saturating_add(1));
                *stranger = Some(this);
                if this.packets < PROBATION || now.saturating_duration_since(this.since) < PROBATION_LASTS {
                    return (false, None);
                }
                if let Some(why) = refusal {
                    let first = !std::mem::replace(&mut self.refusal_said, true);
                    return (false, first.then_some(Change::Refused { why, named: *named, source: from }));
                }
                let named = *named;
                let stream = Stream { from, ssrc: packet.ssrc, last_at: now };
                self.state = State::Trusting { named, stream, until: now + LEARNING };
                (true, Some(Change::Learned { named, source: from }))
            }
        }
    }
}

/// Whether one of these networks contains the address. If the networks are not known, every address will do.
pub(super) fn contain(networks: Option<&[IpNet]>, address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.is_none_or(|all| all.iter().any(|network| network.contains(&address)))
}

/// Whether the address belongs to an internal network, where routers and containers stand between Asterisk and the daemon: RFC
/// 1918, RFC 6598 (shared addresses), RFC 4193 (unique local), link-local addresses and loopback.
fn is_internal(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            address.is_private() || address.is_loopback() || address.is_link_local() || is_shared
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

impl Stream {
    /// Whether a packet belongs to this stream, or begins the one that takes its place.
    fn takes(&mut self, now: Instant, from: SocketAddr, ssrc: u32) -> bool {
        let takes = self.from == from
            && (self.ssrc == ssrc || now.saturating_duration_since(self.last_at) >= RENEW_AFTER);
        if takes {
            (self.ssrc, self.last_at) = (ssrc, now);
        }
        takes
    }
}

impl Stranger {
    /// Whether a packet continues what this stranger has sent.
    fn is_followed_by(&self, from: SocketAddr, packet: &Packet<'_>) -> bool {
        let step = packet.sequence.wrapping_sub(self.sequence);
        self.from == from && self.ssrc == packet.ssrc && (1..=PROBATION_LOSS + 1).contains(&step)
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;

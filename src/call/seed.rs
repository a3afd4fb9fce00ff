//! What a call is born with: settings it shares with every other call, and everything that makes it this one.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;

use super::knowledge::Known;
use super::ledger::Prices;
use super::limits::Limits;
use super::record::Keep;
use super::source::{Trust, contain};
use super::tools::{Destination, TRANSFER_CALL};
use crate::ari::nonce::Nonce;
use crate::ari::{ChannelId, Place};
use crate::media::rtp;
use crate::number::ChannelName;
use crate::realtime::calls::CallId;
use crate::realtime::dialect::{Dialect, SessionSettings};
use crate::tool::{Parameters, Template, Tool};

/// What every call of this daemon has in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The Stasis application.
    pub app: String,
    /// The model's name, for the operator.
    pub model: String,
    /// What is asked of the model's session.
    pub session: SessionSettings,
    /// The first words; None: the assistant waits.
    pub greeting: Option<String>,
    /// The same with values of the call in it. None: [`Self::greeting`] has none.
    pub greeting_template: Option<Arc<Template>>,
    /// Said before the greeting, to its end, whatever the caller does.
    pub recording_notice: Option<String>,
    /// Frames in one `input_audio_buffer.append`, 1–5.
    pub uplink_frames_per_append: u8,
    /// What is recorded.
    pub keep: Keep,
    /// What callers hear whom the model does not serve, before they go on: µ-law, 8 kHz. None: nothing.
    pub apology: Option<Arc<[u8]>>,
    /// Where callers go on who cannot be served; None: with the next step of their dialplan.
    pub fallback: Option<Place>,
    /// What a call may not exceed.
    pub limits: Limits,
    /// What its models cost.
    pub prices: Prices,
    /// Whether the model is told which keys the caller presses.
    pub tells_keys: bool,
    /// Whether the model may end the call. What it is offered is in [`Self::session`].
    pub may_hang_up: bool,
    /// The tools of the agent.
    pub tools: Vec<Arc<Tool>>,
    /// The form that the model fills in when the caller has left. None: no report is made.
    pub form: Option<Arc<Parameters>>,
    /// Where the model may transfer callers to.
    pub destinations: Vec<Destination>,
    /// Whose packets are the caller's.
    pub trust: Trust,
    /// What Asterisk calls so that OpenAI carries the sound: `PJSIP/{project}@{endpoint}`. None: we carry it.
    pub dial: Option<Arc<str>>,
    /// Where Asterisk may have the sound sent, and where the caller's sound may come from; None: Asterisk's addresses are not known,
    /// and any will do.
    pub media_networks: Option<Arc<[IpNet]>>,
}

impl Settings {
    /// The same for a call that OpenAI answers: there is no sound that could be recorded, no clip that could be played, and no
    /// session any more in which a report could be made. Without `refer_host` the model may transfer nobody.
    #[must_use]
    pub fn at_openai(&self, refer_host: Option<&Arc<str>>) -> Self {
        let mut settings = self.clone();
        settings.keep.audio = false;
        (settings.apology, settings.form, settings.limits.no_audio) = (None, None, None);
        settings.session.dialect = Dialect::Ga;
        if refer_host.is_none() {
            settings.destinations.clear();
            settings.session.tools.retain(|tool| *tool.name != *TRANSFER_CALL);
        }
        settings
    }

    /// The same for a call of a caller in Asterisk whose sound OpenAI carries: Asterisk records the sound and transfers the caller.
    #[must_use]
    pub fn dialled(&self) -> Self {
        let mut settings = self.clone();
        (settings.apology, settings.form, settings.limits.no_audio) = (None, None, None);
        settings.session.dialect = Dialect::Ga;
        settings
    }

    /// Whether sound may be sent to this address.
    pub(super) fn may_send_to(&self, address: IpAddr) -> bool {
        contain(self.media_networks.as_deref(), address)
    }
}

/// What a call is born with wherever its caller is.
#[derive(Debug)]
pub(super) struct Birth {
    /// When it comes in, Unix seconds.
    pub(super) wall: i64,
    /// Whether the caller has been answered.
    pub(super) answered: bool,
    /// What we send by RTP.
    pub(super) stream: rtp::Stream,
    pub(super) sockets: OwnSockets,
    pub(super) known: Known,
}

impl From<Seed> for Birth {
    fn from(seed: Seed) -> Self {
        let sockets =
            OwnSockets { local: seed.local, advertised: seed.advertised, other_ports: seed.other_ports };
        let stream = rtp::Stream::new(seed.ssrc, seed.sequence, seed.timestamp);
        Self { wall: seed.wall, answered: seed.answered, stream, sockets, known: seed.known }
    }
}

impl From<SipSeed> for Birth {
    fn from(seed: SipSeed) -> Self {
        let (stream, sockets) = (rtp::Stream::new(0, 0, 0), OwnSockets::none());
        Self { wall: seed.wall, answered: false, stream, sockets, known: seed.known }
    }
}

impl From<DialSeed> for Birth {
    fn from(seed: DialSeed) -> Self {
        let (stream, sockets) = (rtp::Stream::new(0, 0, 0), OwnSockets::none());
        Self { wall: seed.wall, answered: seed.answered, stream, sockets, known: seed.known }
    }
}

/// What makes a call of a caller in Asterisk, whose sound OpenAI carries, this call.
#[derive(Debug, Clone)]
pub struct DialSeed {
    /// The caller's channel.
    pub channel: ChannelId,
    /// Its name, for the operator.
    pub channel_name: ChannelName,
    /// Whether the dialplan has answered it.
    pub answered: bool,
    /// When it comes in, Unix seconds.
    pub wall: i64,
    /// What Asterisk calls: `PJSIP/{project}@{endpoint}`.
    pub endpoint: Arc<str>,
    /// What tells that a call at OpenAI is this one.
    pub nonce: Nonce,
    /// What is known of the call and its caller.
    pub known: Known,
}

/// What makes a call that OpenAI answers this call.
#[derive(Debug, Clone)]
pub struct SipSeed {
    /// Its id.
    pub call: CallId,
    /// When it comes in, Unix seconds.
    pub wall: i64,
    /// The host of the extensions to which callers are sent; None: callers cannot be sent anywhere.
    pub refer_host: Option<Arc<str>>,
    /// What is known of the call and its caller.
    pub known: Known,
}

/// The RTP sockets that the daemon had when a call began. Audio that is sent to one of them reaches another call's
/// assistant, so two assistants would talk to each other. Each call knows the sockets of all earlier calls, which is enough to
/// prevent every circle of calls.
#[derive(Debug)]
pub(super) struct OwnSockets {
    local: SocketAddr,
    advertised: SocketAddr,
    other_ports: Arc<[u16]>,
}

impl OwnSockets {
    /// Those of a call without RTP.
    fn none() -> Self {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Self { local: nowhere, advertised: nowhere, other_ports: Arc::new([]) }
    }

    /// Whether one of them has this address.
    pub(super) fn contain(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        let is_any = self.local.ip().is_unspecified();
        let is_here = ip == self.local.ip() || ip == self.advertised.ip() || (is_any && ip.is_loopback());
        is_here && (address.port() == self.local.port() || self.other_ports.contains(&address.port()))
    }
}

/// What makes this call this call: everything that would otherwise be random or ambient.
#[derive(Debug, Clone)]
pub struct Seed {
    /// The caller's channel.
    pub channel: ChannelId,
    /// When it comes in, Unix seconds.
    pub wall: i64,
    /// Its name, for the operator: `PJSIP/trunk-00000012`.
    pub channel_name: ChannelName,
    /// Whether the dialplan has answered it.
    pub answered: bool,
    /// Our RTP socket.
    pub local: SocketAddr,
    /// The same, as Asterisk reaches it.
    pub advertised: SocketAddr,
    /// The ports of the RTP sockets of the calls that run already, at the same addresses.
    pub other_ports: Arc<[u16]>,
    /// RTP synchronisation source of what we send.
    pub ssrc: u32,
    /// First RTP sequence number.
    pub sequence: u16,
    /// First RTP timestamp.
    pub timestamp: u32,
    /// What is known of the call and its caller.
    pub known: Known,
}

//! What can happen to a call.

use std::net::SocketAddr;

use super::tools::{self, Destination};
use crate::ari::request::{Reply, Request};
use crate::ari::sound_name::Part;
use crate::ari::{ChannelId, Place, Voice};
use crate::number::CallerNumber;
use crate::operator::LinkFault;
use crate::realtime::calls;
use crate::realtime::error::Refusal;
use crate::realtime::server::{Event, Malformed};

/// Something that happens to a call.
#[derive(Debug)]
pub enum Input<'a> {
    /// Time has passed.
    Tick,
    /// A datagram at our RTP socket.
    Rtp {
        /// Who sent it.
        from: SocketAddr,
        /// All of it.
        datagram: &'a [u8],
    },
    /// News of one of our channels.
    Leg(LegEvent),
    /// Somebody was transferred to us: this channel stands in the caller's place, in the bridge too.
    CallerReplaced {
        /// The channel.
        by: &'a ChannelId,
        /// Where the dialplan would have gone on with the one before; this one knows no next step of its own.
        next_step: Option<&'a Place>,
    },
    /// The one who talks has this number.
    CallerRenumbered(&'a CallerNumber),
    /// The end of a request we made.
    Ari {
        /// The request.
        request: &'a Request,
        /// How it ended.
        reply: &'a Reply,
    },
    /// The end of a request about a call that OpenAI answers.
    Sip {
        /// The request.
        request: &'a calls::request::Request,
        /// How it ended.
        reply: &'a calls::request::Reply,
    },
    /// OpenAI tells of the call to it that we have asked Asterisk to make.
    Offered(&'a calls::CallId),
    /// The recordings that Asterisk has made were fetched, or could not be.
    SoundsFetched(Fetched),
    /// The session's WebSocket stands.
    SessionOpened,
    /// The model's server says something.
    Session(Event<'a>),
    /// The model's server says something that cannot be read.
    Unreadable(&'a Malformed),
    /// The session's WebSocket could not be opened, or is gone.
    SessionEnded(SessionEnd),
    /// A look-up about the caller has come. None: nothing was found.
    LookedUp {
        /// Its name.
        name: &'a std::sync::Arc<str>,
        /// What was found.
        value: Option<serde_json::Value>,
    },
    /// A tool has been carried out, or could not be.
    Tool(tools::Result),
    /// A supervisor who watches wants something.
    Supervisor(&'a Wish),
    /// The daemon stops: end the call.
    Shutdown,
}

/// What a supervisor wants of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// To end it.
    HangUp,
    /// To hand the caller over to a colleague.
    HandOver(Destination),
}

/// News of one of a call's channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegEvent {
    /// The caller hung up, or their channel left us for another reason.
    CallerLeft,
    /// The caller, whose channel has left us, has entered the application again.
    CallerReturned,
    /// The caller's channel has been answered.
    CallerUp,
    /// Our media channel is in the application.
    MediaEntered,
    /// Our media channel is gone.
    MediaLeft {
        /// Why it was hung up (Q.850). 0: Asterisk does not say.
        cause: u32,
    },
    /// The snoop channel that copies this voice is in the application.
    SnoopEntered(Voice),
    /// This recording of a voice has ended.
    Recorded(Voice, Part),
    /// Another program has taken the caller from us.
    TakenOver,
    /// Asterisk is being stopped, or was, and everything in it is gone.
    AsteriskLost,
    /// The caller pressed a key.
    Key(char),
    /// The caller put us on hold, or took us back.
    Hold(Hold),
}

/// What became of the recordings in Asterisk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    /// All of their sound is in ours.
    Whole,
    /// Something of it is missing.
    InPart,
}

/// Whether the caller holds the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// They talk to us.
    Off,
    /// They have put us on hold.
    On,
}

/// Why there is no session (any more).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEnd {
    /// Why trying again would end the same way, if it would.
    pub refusal: Option<Refusal>,
    /// What became of it; for the log.
    pub cause: LinkFault,
}

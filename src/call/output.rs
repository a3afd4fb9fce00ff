//! What a call wants done.

use std::net::SocketAddr;

use super::record::Entry;
use super::snoops::Sounds;
use super::tools::{Job, JobNumber};
use crate::ari::request::Request;
use crate::end_reason::EndReason;
use crate::media::Frame;
use crate::media::rtp::PACKET_BYTES;
use crate::operator::Notice;
use crate::realtime::calls;
use crate::realtime::client::ClientEvent;

/// How the model's server stands, as a call has found out: the next one would fare the same.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// The caller is about to hear the model for the first time.
    Serves,
    /// The call is not served, or no longer.
    Fails {
        /// Why the caller goes on in the dialplan.
        reason: EndReason,
        /// What the operator has been told about it.
        cause: Box<Notice>,
    },
}

/// Something a call wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send this packet to the media address.
    Rtp([u8; PACKET_BYTES]),
    /// From now on packets go there.
    MediaAddress(SocketAddr),
    /// From now on packets from anywhere else need not be received.
    MediaSource(SocketAddr),
    /// Caller audio for the model. Frames up to and including a `complete` one make one
    /// `input_audio_buffer.append`.
    Append {
        /// 20 ms.
        frame: Frame,
        /// The append ends with it.
        complete: bool,
    },
    /// Say this to the model's server.
    Session(ClientEvent),
    /// Open the model's session.
    OpenSession,
    /// Close it.
    CloseSession,
    /// Carry out this call of a tool; its end comes back as [`Input::Tool`](super::Input::Tool).
    Tool(Job),
    /// Nobody waits for this call of a tool any more, which only reads.
    LetGo(JobNumber),
    /// Make this request; its end comes back as [`Input::Ari`](super::Input::Ari).
    Ari(Request),
    /// Make this request about a call that OpenAI answers; its end comes back as [`Input::Sip`](super::Input::Sip).
    Sip(calls::request::Request),
    /// Fetch these recordings of Asterisk into ours; their end comes back as [`Input::SoundsFetched`](super::Input::SoundsFetched).
    FetchSounds(Sounds),
    /// Tell the operator.
    Notice(Notice),
    /// Tell whoever admits callers.
    Standing(Standing),
    /// Record this.
    Record(Entry),
}

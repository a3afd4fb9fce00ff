//! The input and output of the fake Asterisk as plain types, without behaviour.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

/// The version to imitate. The versions differ in a few events, errors and delays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 16.28.0, as in Debian bullseye.
    V16,
    /// 22.10.1, as in Debian forky.
    V22,
}

/// The form of the reply to `externalMedia`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaReply {
    /// The channel with its address in `channelvars`.
    Channel,
    /// The form of Asterisk 16.6.0 to 16.6.2: an object with the channel inside and the address beside it.
    Around,
}

/// The configuration of the fake Asterisk and its delays.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The version to imitate.
    pub version: Version,
    /// The ARI user.
    pub user: String,
    /// The ARI user's password.
    pub password: String,
    /// The address of the media legs' sockets (`UNICASTRTP_LOCAL_ADDRESS`).
    pub media_address: IpAddr,
    /// Another address that ARI reports instead, as an Asterisk behind a router or a faulty one does.
    pub named_address: Option<IpAddr>,
    /// Another port that ARI reports instead, as a faulty Asterisk does.
    pub named_port: Option<u16>,
    /// The range of media ports. Media legs take the even ports in turn.
    pub media_ports: Range<u16>,
    /// Unix time at `Asterisk::new` in seconds. Channel ids and timestamps count from this time.
    pub start_wall: u64,
    /// The time from the arrival of a call, or from the reply to `externalMedia`, to the `StasisStart` of the
    /// channel. A larger value reveals a client that adds the media leg to a bridge too early; a value below
    /// a round trip hides that race.
    pub stasis_latency: Duration,
    /// After `start`: how long connections are refused, then answered with 404, then with 503 (measured: 50
    /// to 300 ms each).
    pub starting: [Duration; 3],
    /// After `stop(Terminate)`: the time until the event sockets close (measured: 1 to 6 s).
    pub stopping: Duration,
    /// The form of the reply to `externalMedia`.
    pub media_reply: MediaReply,
    /// The (context, extension) pairs to which `continue` can go. None: any.
    pub dialplan: Option<Vec<(String, String)>>,
    /// Modules that are not loaded, of those that `GET /asterisk/modules` would list. Without `chan_rtp.so`
    /// no media leg can be created.
    pub unloaded: Vec<String>,
    /// The PJSIP endpoints, each with its state.
    pub endpoints: Vec<(String, String)>,
    /// Whether requests are recorded for `journal`.
    pub keep_journal: bool,
    /// The seed for SSRCs, first sequence numbers and the like.
    pub seed: u64,
}

impl Settings {
    /// Whether `continue` can go to this place.
    pub(super) fn has_extension(&self, context: &str, extension: &str) -> bool {
        let is_it = |(c, e): &(String, String)| c == context && e == extension;
        self.dialplan.as_ref().is_none_or(|known| known.iter().any(is_it))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: Version::V22,
            user: "asterisk".into(),
            password: "testbed".into(),
            media_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            named_address: None,
            named_port: None,
            media_ports: 30_000..40_000,
            start_wall: 1_795_180_048,
            stasis_latency: Duration::from_millis(3),
            starting: [Duration::from_millis(100); 3],
            stopping: Duration::from_secs(1),
            media_reply: MediaReply::Channel,
            dialplan: None,
            unloaded: Vec::new(),
            endpoints: Vec::new(),
            keep_journal: true,
            seed: 1,
        }
    }
}

/// The answer to one HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status; 0 if there is no answer.
    pub status: u16,
    /// JSON, or empty.
    pub body: String,
    /// The bytes of a recording with sound in it, which take the place of the body.
    pub sound: Option<Vec<u8>>,
    /// The time that the IO layer waits before it answers.
    pub delay: Duration,
    /// Whether there is no answer at all: the connection is refused or cut.
    pub lost: bool,
}

/// The id of one event socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// The id of one caller, for as long as the fake lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallerId(pub usize);

/// The codec of the caller's phone. Towards the media leg everything is µ-law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Codec {
    /// G.711 µ-law, payload type 0.
    #[default]
    Ulaw,
    /// G.711 A-law, payload type 8, which is transcoded in both directions.
    Alaw,
}

/// A call that arrives and passes through the dialplan to `Stasis()`.
#[derive(Debug, Clone)]
pub struct IncomingCall {
    /// The caller's number.
    pub number: String,
    /// The dialled number.
    pub extension: String,
    /// The arguments of `Stasis()` after the application.
    pub args: Vec<String>,
    /// The channel variables that the dialplan sets before `Stasis()`.
    pub variables: Vec<(String, String)>,
    /// Whether the dialplan answers before `Stasis()`.
    pub answered: bool,
    /// The Stasis application.
    pub app: String,
    /// The codec of the phone.
    pub codec: Codec,
    /// The endpoint of the phone, which is in the name of the channel: `PJSIP/{endpoint}-00000000`.
    pub endpoint: String,
}

impl Default for IncomingCall {
    fn default() -> Self {
        Self {
            number: "3001234567".into(),
            extension: "3241000752".into(),
            args: Vec::new(),
            variables: Vec::new(),
            answered: true,
            app: "openai-app".into(),
            codec: Codec::Ulaw,
            endpoint: "voip".into(),
        }
    }
}

/// The way in which Asterisk stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// SIGTERM: callers get a BYE, the application gets its events, and the sockets close later.
    Terminate,
    /// SIGKILL: the sockets close at once, and callers are told nothing.
    Kill,
}

/// A scripted failure of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request is not carried out and gets this status. The message quotes the name and the number of a caller.
    Status(u16),
    /// The request is neither carried out nor answered.
    ConnectionLost,
    /// The request is carried out at once, but the answer is delayed by this time.
    Delay(Duration),
    /// The request is carried out but not answered.
    OkButReplyLost,
    /// The request is carried out, but the answer is an HTML page, as from a proxy.
    Unreadable,
    /// The request is answered with 204 but carried out only after this time, as a busy Asterisk does with
    /// removals.
    DoneLater(Duration),
}

/// The state of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallState {
    /// The call is not answered yet.
    Ringing,
    /// The call is answered.
    Up,
    /// The call has ended, or has left Stasis.
    Gone,
}

/// The way in which a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The application hung up.
    HungUp {
        /// The Q.850 cause: 16 normal, 17 busy, 19 no answer, 21 rejected, 26 answered elsewhere, 34
        /// congestion.
        cause: u16,
        /// The SIP status of a call that was never answered: 603, or 486 for busy.
        sip_status: Option<u16>,
    },
    /// The dialplan continues, because the application said so or because there is no application
    /// (`STASISSTATUS=FAILED`).
    Continued {
        /// The context of the next step.
        context: String,
        /// The extension of the next step.
        extension: String,
        /// The priority of the next step.
        priority: u32,
    },
    /// `continue` named a place that is not in the dialplan, so Asterisk hung up.
    NowhereToGo,
    /// The caller hung up, or gave up before the answer.
    CallerHungUp,
    /// Asterisk was stopped and sent a BYE.
    Stopped,
    /// Asterisk was killed, and the caller was not told.
    Killed,
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The state of the call.
    pub state: CallState,
    /// How the call ended. None: it has not ended.
    pub ended: Option<Ending>,
    /// The variables that the application set with `POST …/variable`, in order, and `STASISSTATUS` if
    /// `Stasis()` failed.
    pub variables: Vec<(String, String)>,
    /// When the call was answered. None: it was not answered.
    pub answered_at: Option<std::time::Instant>,
    /// When the call ended. None: it has not ended.
    pub ended_at: Option<std::time::Instant>,
    /// Whether the application indicated ringing (180).
    pub rang: bool,
    /// The id of the channel, with which tests find the call in requests.
    pub channel: String,
}

/// Something that the IO layer or the test must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Emit {
    /// One text message on an event socket.
    Event {
        /// The socket.
        socket: SocketId,
        /// The message as JSON.
        text: String,
    },
    /// Asterisk closes an event socket.
    SocketClosed {
        /// The socket.
        socket: SocketId,
        /// Whether a close frame comes first. An Asterisk that stops or dies sends none.
        close_frame: bool,
    },
    /// RTP to the application.
    Media {
        /// The port of the media leg, from which the packet is sent.
        from_port: u16,
        /// The `external_host` of the leg.
        to: SocketAddr,
        /// The packet.
        datagram: Vec<u8>,
    },
    /// RTP to a phone.
    ToCaller {
        /// The phone.
        call: CallerId,
        /// The packet.
        datagram: Vec<u8>,
    },
    /// The call is answered, so the phone starts to send.
    CallerAnswered {
        /// The phone.
        call: CallerId,
    },
    /// The call has ended, for whatever reason. This is not emitted when Asterisk is killed, because nobody
    /// then tells the phone.
    CallerReleased {
        /// The phone.
        call: CallerId,
        /// How the call ended.
        how: Ending,
    },
    /// The far end of a channel that was asked for rings, with these headers in addition.
    Dialled {
        /// The id of the channel.
        channel: String,
        /// Names and values.
        headers: Vec<(String, String)>,
    },
    /// The channel to a far end is gone: it gets a CANCEL or a BYE, or has hung up itself.
    FarEndReleased {
        /// The id of the channel.
        channel: String,
    },
    /// RTP to the far end of a channel that was asked for, in G.711 µ-law.
    ToFarEnd {
        /// The id of the channel.
        channel: String,
        /// The packet.
        datagram: Vec<u8>,
    },
    /// The far end of a channel that was asked for gets a key that the caller has pressed.
    KeyToFarEnd {
        /// The id of the channel.
        channel: String,
        /// The key.
        digit: char,
    },
    /// The caller has left the bridge with the far end of a channel that was asked for, which is alone now.
    FarEndAlone {
        /// The id of the channel.
        channel: String,
    },
    /// A media leg needs its socket. This is emitted before the answer to the request: the owner drains
    /// `poll` first, then answers.
    OpenPort(u16),
    /// A media leg is gone.
    ClosePort(u16),
}

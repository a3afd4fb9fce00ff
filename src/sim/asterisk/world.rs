//! What goes into the fake Asterisk and what comes out of it, as plain types. No behaviour.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

/// Which Asterisk to be. They differ in a few events, errors and delays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 16.28.0, as in Debian bullseye.
    V16,
    /// 22.10.1, as in Debian forky.
    V22,
}

/// How `externalMedia` is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaReply {
    /// The channel, its address in `channelvars`.
    Channel,
    /// 16.6.0 to 16.6.2: the channel inside, the address beside it.
    Around,
}

/// How this Asterisk is configured, and how quick it is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which Asterisk to be.
    pub version: Version,
    /// The ARI user.
    pub user: String,
    /// The ARI user's password.
    pub password: String,
    /// Where the media legs' sockets are bound (`UNICASTRTP_LOCAL_ADDRESS`).
    pub media_address: IpAddr,
    /// What ARI is told instead, as by an Asterisk behind a router, or one that lies.
    pub named_address: Option<IpAddr>,
    /// The even ones of these ports are handed out in turn to media legs.
    pub media_ports: Range<u16>,
    /// Unix time at `Asterisk::new`, in seconds: channel ids and timestamps count from it.
    pub start_wall: u64,
    /// From a call's arrival, or the reply to `externalMedia`, to that channel's `StasisStart`.
    /// Larger: whoever adds the media leg to a bridge too early is caught. Smaller than a round trip: the race is hidden.
    pub stasis_latency: Duration,
    /// After `start`: how long connections are refused, then answered 404, then 503 (measured: 50 to 300 ms each).
    pub starting: [Duration; 3],
    /// After `stop(Terminate)`: how long until the event sockets end (measured: 1 to 6 s).
    pub stopping: Duration,
    /// How `externalMedia` is answered.
    pub media_reply: MediaReply,
    /// The (context, extension) pairs `continue` can go to. `None`: any.
    pub dialplan: Option<Vec<(String, String)>>,
    /// Modules that are not loaded, of those `GET /asterisk/modules` would list. Without `chan_rtp.so` no media leg is made.
    pub unloaded: Vec<String>,
    /// Whether requests are written down for `journal`.
    pub keep_journal: bool,
    /// For SSRCs, first sequence numbers and the like.
    pub seed: u64,
}

impl Settings {
    /// Whether `continue` can go there.
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
            media_ports: 30_000..40_000,
            start_wall: 1_795_180_048,
            stasis_latency: Duration::from_millis(3),
            starting: [Duration::from_millis(100); 3],
            stopping: Duration::from_secs(1),
            media_reply: MediaReply::Channel,
            dialplan: None,
            unloaded: Vec::new(),
            keep_journal: true,
            seed: 1,
        }
    }
}

/// The answer to one HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status; 0 when there is no answer.
    pub status: u16,
    /// JSON, or empty.
    pub body: String,
    /// The IO layer waits so long before it answers.
    pub delay: Duration,
    /// No answer at all: the connection is refused or cut.
    pub lost: bool,
}

/// One event socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// One caller, for as long as the fake lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallerId(pub usize);

/// What the caller's phone speaks. Towards the media leg everything is µ-law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Codec {
    /// G.711 µ-law, payload type 0.
    #[default]
    Ulaw,
    /// G.711 A-law, payload type 8: transcoded both ways.
    Alaw,
}

/// A call that comes in and runs through the dialplan to `Stasis()`.
#[derive(Debug, Clone)]
pub struct IncomingCall {
    /// The caller's number.
    pub number: String,
    /// The dialled number.
    pub extension: String,
    /// The arguments of `Stasis()` behind the application.
    pub args: Vec<String>,
    /// Whether the dialplan answers before `Stasis()`.
    pub answered: bool,
    /// The Stasis application.
    pub app: String,
    /// The phone's codec.
    pub codec: Codec,
}

impl Default for IncomingCall {
    fn default() -> Self {
        Self {
            number: "3001234567".into(),
            extension: "3241000752".into(),
            args: Vec::new(),
            answered: true,
            app: "openai-app".into(),
            codec: Codec::Ulaw,
        }
    }
}

/// How Asterisk goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// SIGTERM: callers get a BYE, the application its events, the sockets end later.
    Terminate,
    /// SIGKILL: sockets end at once, callers are told nothing.
    Kill,
}

/// A scripted failure of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done; this status is answered.
    Status(u16),
    /// Nothing is done, nothing is answered.
    ConnectionLost,
    /// All is done at once; the answer comes so much later.
    Delay(Duration),
    /// All is done, nothing is answered.
    OkButReplyLost,
    /// All is done; the answer is a page of HTML, as of a proxy.
    Unreadable,
    /// 204 is answered; it is done so much later, as a busy Asterisk does with removals.
    DoneLater(Duration),
}

/// Where a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallState {
    /// Not answered yet.
    Ringing,
    /// Answered.
    Up,
    /// Over, as far as this Asterisk's Stasis is concerned.
    Gone,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The application hung up; the Q.850 cause in the BYE, or the SIP status where it was never answered.
    HungUp {
        /// 16 normal, 17 busy, 19 no answer, 21 rejected, 26 answered elsewhere, 34 congestion.
        cause: u16,
        /// 603, or 486 for busy.
        sip_status: Option<u16>,
    },
    /// The dialplan goes on, because the application said so or because there is none (`STASISSTATUS=FAILED`).
    Continued {
        /// The dialplan's context.
        context: String,
        /// The dialplan's extension.
        extension: String,
        /// The dialplan's priority.
        priority: u32,
    },
    /// `continue` to a place that is not in the dialplan: Asterisk hung up.
    NowhereToGo,
    /// The caller hung up, or gave up before the answer.
    CallerHungUp,
    /// Asterisk was stopped, and said BYE.
    Stopped,
    /// Asterisk was killed; the caller does not know.
    Killed,
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Where it is.
    pub state: CallState,
    /// How it ended, if it did.
    pub ended: Option<Ending>,
    /// What the application set with `POST …/variable`, and `STASISSTATUS` where `Stasis()` failed; in order.
    pub variables: Vec<(String, String)>,
    /// When it was answered, if ever.
    pub answered_at: Option<std::time::Instant>,
    /// When it ended, if it did.
    pub ended_at: Option<std::time::Instant>,
    /// Whether the application had it ring (180).
    pub rang: bool,
    /// The channel's id, which tests need to find the call in requests.
    pub channel: String,
}

/// Something the IO layer or the test world has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Emit {
    /// One text message on an event socket.
    Event {
        /// The socket.
        socket: SocketId,
        /// The JSON.
        text: String,
    },
    /// The event socket is closed by Asterisk.
    SocketClosed {
        /// The socket.
        socket: SocketId,
        /// With a close frame first; Asterisk stopping or dying sends none.
        close_frame: bool,
    },
    /// RTP for the application.
    Media {
        /// The media leg's port, from which it is sent.
        from_port: u16,
        /// The leg's `external_host`.
        to: SocketAddr,
        /// The packet.
        datagram: Vec<u8>,
    },
    /// RTP for a phone.
    ToCaller {
        /// The phone.
        call: CallerId,
        /// The packet.
        datagram: Vec<u8>,
    },
    /// The call is answered: the phone begins to send.
    CallerAnswered {
        /// The phone.
        call: CallerId,
    },
    /// The call is over, however that came. Not told when Asterisk is killed: then nobody tells the phone.
    CallerReleased {
        /// The phone.
        call: CallerId,
        /// How.
        how: Ending,
    },
    /// A media leg wants its socket. Comes out before the request's answer is given: drain `poll` first, then answer.
    OpenPort(u16),
    /// A media leg is gone.
    ClosePort(u16),
}

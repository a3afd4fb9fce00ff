//! What the checks found out, as data: no sockets, and no opinion about it (that is `judge`'s).

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{NaiveDate, TimeDelta};

use crate::call::source::Trust;
use crate::config::Survey;
use crate::operator::{Code, Detail, LinkFault, Notice};
use crate::realtime::error::Refusal;

/// Everything. What is `None` was not looked at, because a variable it needs is missing or wrong.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) survey: Survey,
    /// Today, for the ends of models.
    pub(super) today: NaiveDate,
    pub(super) machine: Machine,
    pub(super) daemon: Option<Daemon>,
    pub(super) asterisk: Option<Asterisk>,
    /// Needs the variables of Asterisk too.
    pub(super) media: Option<Media>,
    pub(super) openai: Option<OpenAi>,
}

/// This machine.
#[derive(Debug, Clone, Default)]
pub(super) struct Machine {
    /// We may write everything, the service's user may not.
    pub(super) is_root: bool,
    pub(super) log: Option<Place>,
    pub(super) recordings: Option<Place>,
    /// The index of the recordings.
    pub(super) index: Option<Place>,
    /// Of the recordings, and of the log where that is another file system.
    pub(super) disks: Vec<Disk>,
    pub(super) open_files: Option<OpenFiles>,
}

/// A file or folder that the daemon writes.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) writable: Result<(), Detail>,
}

/// Room on a file system.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) path: PathBuf,
    pub(super) free_bytes: Result<u64, Detail>,
}

/// How many files the daemon may have open.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenFiles {
    pub(super) limit: u64,
    /// As many calls as RTP_PORTS has room for.
    pub(super) calls: u64,
}

/// What answers at API_LISTEN.
#[derive(Debug, Clone)]
pub(super) struct Daemon {
    pub(super) address: SocketAddr,
    pub(super) answer: Api,
}

/// Who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Api {
    /// Nobody.
    Silent,
    /// The daemon.
    Daemon { version: Detail, well: bool },
    /// Something else.
    Foreign,
}

/// Asterisk, over ARI and its console.
#[derive(Debug, Clone)]
pub(super) struct Asterisk {
    pub(super) address: String,
    pub(super) user: String,
    pub(super) app: String,
    /// Whether it runs on this machine.
    pub(super) is_here: bool,
    pub(super) version: Result<Detail, AriFault>,
    /// The modules that run; none where ARI does not answer.
    pub(super) modules: Option<Result<Vec<String>, Detail>>,
    pub(super) dialplan: Dialplan,
    /// `sessionlimit` of its http.conf, if that can be read and sets one.
    pub(super) session_limit: Option<u32>,
    /// Its own RTP ports, as its console or rtp.conf says.
    pub(super) rtp_ports: Option<RangeInclusive<u16>>,
}

/// Why ARI does not serve us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AriFault {
    /// 401, 403.
    Credentials,
    /// HTTP works, ARI does not.
    Status(u16),
    /// The TLS certificate is not to be trusted.
    Certificate(Detail),
    /// No answer.
    Unreachable(Detail),
}

/// The dialplan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dialplan {
    /// It was read.
    Seen {
        /// How often `Stasis()` is called with each application.
        apps: Vec<(String, usize)>,
        /// Something in it that may lead there and does not show where.
        unclear: Option<Detail>,
    },
    /// It cannot be seen from here.
    Hidden(Detail),
}

/// The measurement of RTP through Asterisk.
#[derive(Debug, Clone)]
pub(super) struct Media {
    pub(super) local_ip: IpAddr,
    pub(super) ports: RangeInclusive<u16>,
    /// Where Asterisk's ends of our two legs were.
    pub(super) asterisk: Vec<SocketAddr>,
    /// There, and back.
    pub(super) outcome: Result<[Tally; 2], MediaFault>,
    /// Where one of these ends should have sent from, and where its packets came from instead.
    pub(super) elsewhere: Option<(SocketAddr, SocketAddr)>,
    /// Whether calls would take packets from there.
    pub(super) trust: Trust,
    /// What could not be deleted again.
    pub(super) left: Vec<String>,
}

/// One direction: what was sent and what came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) sent: u32,
    pub(super) received: u32,
    /// Interarrival jitter (RFC 3550 §6.4.1) at the end.
    pub(super) jitter: Duration,
    /// The mean way through Asterisk.
    pub(super) delay: Duration,
}

/// Why RTP could not be measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MediaFault {
    /// ARI does not work, which is said elsewhere.
    NoAri,
    /// LOCAL_IP_ADDRESS is no address of this machine; `instead` is the one that leads to Asterisk.
    NotOurs { cause: Detail, instead: Option<IpAddr> },
    /// Every port of RTP_PORTS is taken.
    NoPort,
    /// The WebSocket of the events was not opened.
    Events(Detail),
    /// Asterisk opened it and does not list the application.
    Unregistered,
    /// Asterisk refused a request.
    Refused { step: Step, status: u16, message: Detail },
    /// Asterisk named an address for its end to which calls send nothing.
    ForeignAddress(IpAddr),
    /// It took too long.
    Stalled(Step),
}

/// How far the measurement came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Events,
    Channels,
    Stasis,
    Bridge,
    Sound,
}

impl Step {
    /// What Asterisk was asked for then, in its own words.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Events => "/ari/events",
            Self::Channels => "externalMedia",
            Self::Stasis => "StasisStart",
            Self::Bridge => "bridges",
            Self::Sound => "RTP",
        }
    }
}

/// The Realtime server.
#[derive(Debug, Clone)]
pub(super) struct OpenAi {
    pub(super) host: String,
    /// The model, and the variable that names it; then that of the transcription.
    pub(super) models: Vec<(&'static str, String)>,
    pub(super) list: Listed,
    /// How far this machine's clock is ahead of the server's.
    pub(super) clock_ahead: Option<TimeDelta>,
    pub(super) session: Session,
}

/// What the server says about its models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Listed {
    /// Its models, and the day on which each is shut down.
    Models(Vec<(String, Option<String>)>),
    /// Another answer than a list.
    Status {
        status: u16,
        code: Code,
        /// Why another try would end the same way, if it would.
        refusal: Option<Refusal>,
        message: Detail,
    },
    /// An answer without models: no list here, as on some compatible servers.
    NoList,
    /// No answer.
    Unreachable(Detail),
}

/// A session, opened and closed without a sound.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Session {
    /// Our settings are in force, but for `others`.
    Configured { took: Duration, others: Detail },
    /// The server would send and expect another format.
    WrongFormats(Detail),
    /// The server will not serve us; the operator's own words for it.
    Refused(Notice),
    /// Lost before it was ready.
    Lost(LinkFault),
    /// Not ready in time.
    Late(Duration),
}

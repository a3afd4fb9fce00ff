//! The results of the checks as data: no sockets and no judgement, which is the task of `judge`.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{NaiveDate, TimeDelta};

use super::obstacles::Reasons;
use crate::call::source::Trust;
use crate::config::Survey;
use crate::operator::{Code, Detail, LinkFault, Notice};
use crate::realtime::error::Refusal;

/// All results. A field is `None` if its check was skipped because a required variable is missing or invalid.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) survey: Survey,
    /// The current date, with which the shutdown dates of models are compared.
    pub(super) today: NaiveDate,
    pub(super) machine: Machine,
    pub(super) daemon: Option<Daemon>,
    pub(super) asterisk: Option<Asterisk>,
    /// None also if the variables of Asterisk are missing or invalid.
    pub(super) media: Option<Media>,
    pub(super) openai: Option<OpenAi>,
    /// None also if there are no files of agents.
    pub(super) agents: Option<Agents>,
    /// None also if no calls are taken by SIP.
    pub(super) sip: Option<Sip>,
}

/// The results about the agents of files.
#[derive(Debug, Clone)]
pub(super) struct Agents {
    pub(super) count: usize,
    /// The servers and programs of their tools, by name.
    pub(super) servers: Vec<(String, Presence)>,
}

/// Whether a server or program of tools is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Presence {
    /// The server accepts a connection, or the program can be started.
    There,
    /// There is no connection, or no such program.
    Away(Detail),
    /// The file of the program cannot be executed.
    NotExecutable,
}

/// The results about this machine.
#[derive(Debug, Clone, Default)]
pub(super) struct Machine {
    /// The command runs as root, which may write everything; the user of the service may not.
    pub(super) is_root: bool,
    pub(super) log: Option<WritablePath>,
    pub(super) recordings: Option<WritablePath>,
    /// The database file of the index of the recordings.
    pub(super) index: Option<WritablePath>,
    /// The file system of the recordings, and that of the log if it is another.
    pub(super) disks: Vec<Disk>,
    pub(super) open_files: Option<OpenFiles>,
}

/// A file or folder that the daemon writes.
#[derive(Debug, Clone)]
pub(super) struct WritablePath {
    pub(super) path: PathBuf,
    pub(super) writable: Result<(), Detail>,
}

/// The free space on a file system.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) path: PathBuf,
    pub(super) free_bytes: Result<u64, Detail>,
}

/// The number of files that the daemon may have open.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenFiles {
    pub(super) limit: u64,
    /// The number of calls at once that the configuration allows.
    pub(super) calls: u64,
}

/// The program that answers at API_LISTEN.
#[derive(Debug, Clone)]
pub(super) struct Daemon {
    pub(super) address: SocketAddr,
    pub(super) answer: Api,
}

/// The kind of program that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Api {
    /// No program answers.
    Silent,
    /// The daemon answers.
    Daemon {
        version: Detail,
        /// `/health` reports no fault.
        well: bool,
        /// The reasons of `/ready`. Empty: a caller would be served.
        reasons: Reasons,
    },
    /// Another program answers.
    Foreign,
}

/// The results about Asterisk, from ARI and from its console.
#[derive(Debug, Clone)]
pub(super) struct Asterisk {
    pub(super) address: String,
    pub(super) user: String,
    pub(super) app: String,
    /// Whether Asterisk runs on this machine.
    pub(super) is_here: bool,
    pub(super) version: Result<Detail, AriFault>,
    /// The modules that are running. None: ARI does not answer.
    pub(super) modules: Option<Result<Vec<String>, Detail>>,
    pub(super) dialplan: Dialplan,
    /// The `sessionlimit` in http.conf. None: the file is unreadable or sets no limit.
    pub(super) session_limit: Option<u32>,
    /// The RTP ports of Asterisk, from its console or rtp.conf. None: unknown.
    pub(super) rtp_ports: Option<RangeInclusive<u16>>,
}

/// Why ARI does not serve the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AriFault {
    /// Status 401 or 403.
    Credentials,
    /// The HTTP server answers this other status.
    Status(u16),
    /// The TLS certificate is not trusted. The value says why.
    Certificate(Detail),
    /// No answer arrived. The value says why.
    Unreachable(Detail),
}

/// The result about the dialplan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dialplan {
    /// The dialplan was read.
    Seen {
        /// Each application with the number of calls of `Stasis()` for that application.
        apps: Vec<(String, usize)>,
        /// An entry that may lead to an application without showing to which.
        unclear: Option<Detail>,
    },
    /// The dialplan cannot be read from here. The value says why.
    Hidden(Detail),
}

/// The measurement of RTP through Asterisk.
#[derive(Debug, Clone)]
pub(super) struct Media {
    pub(super) local_ip: IpAddr,
    pub(super) ports: RangeInclusive<u16>,
    /// The addresses of Asterisk's ends of the two legs.
    pub(super) asterisk: Vec<SocketAddr>,
    /// The counts of the two directions, from the first leg to the second and back.
    pub(super) outcome: Result<[Tally; 2], MediaFault>,
    /// The address from which one of these ends should send, and the address from which its packets came
    /// instead.
    pub(super) elsewhere: Option<(SocketAddr, SocketAddr)>,
    /// Whether calls accept packets from such another address.
    pub(super) trust: Trust,
    /// The names of the channels and bridges that could not be deleted.
    pub(super) left: Vec<String>,
}

/// The counts of one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) sent: u32,
    pub(super) received: u32,
    /// The interarrival jitter (RFC 3550 §6.4.1) at the end of the measurement.
    pub(super) jitter: Duration,
    /// The mean delay through Asterisk.
    pub(super) delay: Duration,
}

/// Why RTP could not be measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MediaFault {
    /// ARI does not work, which another finding reports.
    NoAri,
    /// LOCAL_IP_ADDRESS is not an address of this machine. `instead` is the local address of the route to
    /// Asterisk.
    NotOurs { cause: Detail, instead: Option<IpAddr> },
    /// Every port of RTP_PORTS is in use.
    NoPort,
    /// The event WebSocket could not be opened. The value says why.
    Events(Detail),
    /// Asterisk opened the event WebSocket but does not list the application.
    Unregistered,
    /// Asterisk refused a request.
    Refused { step: Step, status: u16, message: Detail },
    /// Asterisk stated an address for its end to which calls send no RTP.
    ForeignAddress(IpAddr),
    /// RTP came from an address that calls take for a stranger's.
    ForeignSource { named: SocketAddr, source: SocketAddr },
    /// The step was not finished within the time limit.
    Stalled(Step),
}

/// The step that the measurement has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Events,
    Channels,
    Stasis,
    Bridge,
    Sound,
}

impl Step {
    /// The term of ARI for the step.
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

/// The results about the Realtime server.
#[derive(Debug, Clone)]
pub(super) struct OpenAi {
    pub(super) host: String,
    /// The models that the configuration uses, each with its variable: the Realtime model, then the
    /// transcription model.
    pub(super) models: Vec<(&'static str, String)>,
    pub(super) list: Listed,
    /// The time by which this machine's clock is ahead of the server's. None: unknown.
    pub(super) clock_ahead: Option<TimeDelta>,
    pub(super) session: Session,
}

/// The results about calls that OpenAI answers by SIP.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sip {
    /// Where the webhook listens.
    pub(super) address: SocketAddr,
    pub(super) webhook: Webhook,
    /// The public address of the webhook, and what it answers; None: it is not known.
    pub(super) public: Option<(String, PublicAddress)>,
    pub(super) calls: AtOpenAi,
    /// The address at which calls are made to OpenAI, with its port.
    pub(super) host: String,
    pub(super) tls: SipHost,
    /// The PJSIP endpoint by which Asterisk calls OpenAI; None: it does not.
    pub(super) endpoint: Option<(String, Endpoint)>,
}

/// What became of a signed event at the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Webhook {
    /// No program answers.
    Silent,
    /// It was taken.
    Verified,
    /// It was refused with this status.
    Refused(u16),
}

/// What the public address of the webhook answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PublicAddress {
    /// The statuses of the answers to a signed event, and to one without a signature.
    Answers { signed: u16, unsigned: u16 },
    /// No answer arrived. The value says why.
    Unreachable(Detail),
}

/// The TLS of the address at which calls are made to OpenAI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SipHost {
    /// The certificate is trusted and has the right name.
    Trusted,
    /// It is not. The value says why.
    Untrusted(Detail),
    /// There is no connection, or no TLS. The value says why.
    Unreachable(Detail),
}

/// A PJSIP endpoint in Asterisk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// It is there.
    There,
    /// It is there, and its contact is not reached.
    Offline,
    /// There is none of this name.
    Missing,
    /// Asterisk does not tell. The value says why.
    Unknown(Detail),
}

/// The answer to a request about a call that does not exist.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum AtOpenAi {
    /// There is no such call.
    Answers,
    /// The key may not ask. The value says why.
    Refuses(LinkFault),
    /// No answer arrived. The value says why.
    Unreachable(LinkFault),
}

/// The answer to the request for the list of models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Listed {
    /// The models, each with its shutdown date, if it has one.
    Models(Vec<(String, Option<String>)>),
    /// An error status instead of a list.
    Status {
        status: u16,
        code: Code,
        /// Why a new attempt would fail in the same way. None: a new attempt may succeed.
        refusal: Option<Refusal>,
        message: Detail,
    },
    /// An answer without models. Some compatible servers have no list.
    NoList,
    /// No answer arrived. The value says why.
    Unreachable(Detail),
}

/// The result of opening and closing a session without audio.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Session {
    /// The settings are in force, except those named in `others`.
    Configured { took: Duration, others: Detail },
    /// The server would use another audio format. The value names the settings that differ.
    WrongFormats(Detail),
    /// The server refuses the session. The value is the operator's line for the refusal.
    Refused(Notice),
    /// The session was lost before it was ready.
    Lost(LinkFault),
    /// The session was not ready within this time limit.
    Late(Duration),
}

//! The configuration: what the operator has written into the environment and into `.env`. It is checked completely at
//! the start, and again at each SIGHUP.
//!
//! A variable of the process has precedence over the file. One run finds everything that is wrong and reports it in
//! sentences that contain no secrets. No other part of the daemon reads settings.
//!
//! ```text
//! .env ── env_file ──┐
//!                    ├── load ── reader (one variable) ── assemble (what goes together) ── Config, or Survey
//! process ───────────┘               └── variables (names, defaults, meanings)
//! ```
//!
//! | file | what |
//! |---|---|
//! | `load`, `env_file`, `file` | the two sources of variables; `.env`; the files that settings name |
//! | `reader`, `words`, `url` | how one variable is read: values of a few words; the address of the Realtime server |
//! | `assemble` | what fits together |
//! | `realtime`, `calls`, `sip`, `media`, `recordings`, `archive`, `apology`, `models`, `prices`, `log_filter` | the sections of the configuration and their values |
//! | `variables`, `settings` | every variable with its default and meaning; the values in force |
//! | `parts`, `survey`, `problem`, `fault` | the sections; the configuration as far as it is valid; what can be wrong with it |
//! | `agents` | the agents in the files of a folder |
//! | `privacy`, `secrecy` | what leaves this machine without encryption; what must not appear in a log line |
//! | `reload` | what takes effect when the configuration is read again |

mod agents;
mod apology;
mod archive;
mod assemble;
mod calls;
mod env_file;
mod fault;
mod file;
mod load;
mod log_filter;
mod media;
mod models;
mod parts;
mod prices;
mod privacy;
mod problem;
mod reader;
mod realtime;
mod recordings;
mod reload;
mod secrecy;
mod settings;
mod sip;
mod survey;
mod url;
mod variables;
mod words;

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use agents::{AgentConfig, Agents, Example};
pub use archive::{ApiConfig, ApiToken, ArchiveConfig, Role};
pub use fault::{Fault, Position};
pub use log_filter::directives as log_directives;
pub use parts::Parts;
pub use problem::{LoadError, Problem};
pub use settings::{Setting, Shown};
pub use sip::{SharedHeader, SipConfig, TrunkProof};
pub use survey::Survey;
pub use variables::{USUAL, VARIABLES, Variable, env_example};
pub use words::Scheme;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ipnet::IpNet;

use crate::ari::Place;
use crate::call::ledger::Prices;
use crate::call::limits::Limits;
use crate::call::source::Trust;
use crate::call::tools::Destination;
use crate::operator::{Language, Notice};
use crate::realtime::calls::CallId;
use crate::realtime::dialect::SessionSettings;
use crate::recordings::RecordingSettings;
use crate::units::MicroUsd;
use load::{Sources, env_path, load_with, process};

/// A source of variables: returns the value of a name if it is set.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// All settings of the daemon.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The address of Asterisk and the credentials for it.
    pub asterisk: AsteriskConfig,
    /// The sockets for the audio of calls.
    pub media: MediaConfig,
    /// The session with the model.
    pub realtime: RealtimeConfig,
    /// The number of 20 ms frames in one append to the model, 1–5.
    pub uplink_frames_per_append: u8,
    /// What happens to callers.
    pub calls: CallsConfig,
    /// Where and how recordings are kept.
    pub recordings: RecordingSettings,
    /// The call log, the index of recordings, and the API.
    pub archive: ArchiveConfig,
    /// Where and how the daemon logs.
    pub log: LogConfig,
    /// The calls that OpenAI answers by SIP.
    pub sip: SipConfig,
    /// How long running calls may continue after SIGTERM, 0–3600 s.
    pub shutdown_grace: Duration,
    /// The agents in files, besides the one that the environment describes.
    pub agents: Agents,
    /// Notices for the operator, which are logged when the log is open: the file that was read, retired models,
    /// typos.
    pub remarks: Vec<Notice>,
}

impl Config {
    /// All passwords and keys of the configuration, which must not appear in a log. User and password of Asterisk are included
    /// also in the form in which they are sent (Basic, RFC 7617), because a server may echo it.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        let tokens = self.archive.api.tokens.iter().map(|token| token.secret.clone());
        let of_server = self.archive.call_log.server.as_ref().and_then(|server| server.password());
        let of_server = of_server.map(|password| Secret::new(password.to_owned()));
        let credentials = format!("{}:{}", self.asterisk.username, self.asterisk.password.expose());
        let basic = Secret::new(STANDARD_NO_PAD.encode(credentials));
        let of_tools = self.agents.all.iter().flat_map(|agent| agent.secrets.values().cloned());
        let of_trunk = self.sip.trunk.header().map(|header| header.value.clone());
        [self.asterisk.password.clone(), basic, self.realtime.key.clone()]
            .into_iter()
            .chain(self.sip.secrets.iter().cloned())
            .chain(of_trunk)
            .chain(tokens)
            .chain(of_server)
            .chain(of_tools)
            .collect()
    }
}

/// What happens to callers.
#[derive(Clone, Debug, PartialEq)]
pub struct CallsConfig {
    /// The announcement for callers who cannot be served: G.711 µ-law, 8 kHz, at most 20 s. `None`: no announcement.
    pub apology: Option<Arc<[u8]>>,
    /// Where callers continue who cannot be served. `None`: at the next step of their dialplan.
    pub fallback: Option<Place>,
    /// The limits of a single call.
    pub limits: Limits,
    /// The limit for the cost of all calls of a day, in millionths of a US dollar. `None`: no limit.
    pub max_day_cost: Option<MicroUsd>,
    /// The maximum number of calls that one caller may make within an hour. `None`: no limit.
    pub max_calls_per_caller_hour: Option<u32>,
    /// The maximum number of simultaneous calls. `None`: as many as the machine and the ports permit.
    pub max_calls: Option<usize>,
    /// The lateness of frames above which a saturated daemon accepts no more callers, 2–1000 ms. It is compared with
    /// the 99th percentile. `None`: no limit.
    pub max_frame_lateness: Option<Duration>,
    /// Whether the assistant is told which keys the caller presses.
    pub tells_keys: bool,
    /// Whether the assistant may hang up.
    pub may_hang_up: bool,
    /// The destinations to which the assistant may transfer callers.
    pub destinations: Vec<Destination>,
}

impl CallsConfig {
    /// Whether the number of simultaneous calls is the only limit on what calls may cost.
    #[must_use]
    pub fn spends_without_limit(&self) -> bool {
        self.max_day_cost.is_none() && self.limits.cost.is_none()
    }
}

/// The address of Asterisk and the credentials for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsteriskConfig {
    /// Whether the connection uses TLS.
    pub scheme: Scheme,
    /// The host name or IP address. An IPv6 address has no brackets.
    pub host: String,
    /// The port, 1–65535.
    pub port: u16,
    /// The name of the user in ari.conf. It contains no colon.
    pub username: String,
    /// The password of the user in ari.conf.
    pub password: Secret,
    /// The name of the Stasis application: ASCII letters, digits, `-`, `_` and `.`.
    pub app: String,
}

impl AsteriskConfig {
    /// `host:port` with brackets around IPv6, for log lines, URLs and the Host header.
    #[must_use]
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// `http://host:port` or `https://host:port`, for REST requests. The path must begin with `/ari`.
    #[must_use]
    pub fn http_base(&self) -> String {
        format!("{}://{}", self.scheme.as_str(), self.address())
    }

    /// `ws://host:port` or `wss://host:port`, for the WebSocket of events.
    #[must_use]
    pub fn websocket_base(&self) -> String {
        let scheme = match self.scheme {
            Scheme::Http => "ws",
            Scheme::Https => "wss",
        };
        format!("{scheme}://{}", self.address())
    }
}

/// The sockets for the audio of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaConfig {
    /// The address of the daemon's sockets. 0.0.0.0 and :: are permitted only together with [`Self::advertised`].
    pub local_ip: IpAddr,
    /// The address to which Asterisk is told to send the audio, if it differs from `local_ip`.
    pub advertised: Option<IpAddr>,
    /// The UDP ports, 1024–65535, at least one of them even. Calls use the even ports.
    pub ports: RangeInclusive<u16>,
    /// Which senders of packets are trusted to be the caller.
    pub trust: Trust,
    /// The networks, besides its own addresses, to which Asterisk may have audio sent.
    pub media_networks: Vec<IpNet>,
}

/// The session with the model.
#[derive(Clone, Debug, PartialEq)]
pub struct RealtimeConfig {
    /// The address, `ws://` or `wss://`, with the whole path but without `model=` (see
    /// [`RealtimeConfig::session_url`]).
    pub url: String,
    /// The model in use, visible ASCII. For a retired model this is its replacement.
    pub model: String,
    /// The prices of this model and of the model that transcribes.
    pub prices: Prices,
    /// The API key: visible ASCII, fit for a header.
    pub key: Secret,
    /// The settings of the session. The instructions have at most 64 KiB. At OpenAI, the reasoning effort is set only
    /// for models that accept it.
    pub session: SessionSettings,
    /// What the assistant says first. `None`: the assistant waits for the caller.
    pub greeting: Option<String>,
    /// The notice that is spoken before the greeting and that the caller cannot interrupt.
    pub recording_notice: Option<String>,
    /// The value of the header `OpenAI-Organization`, visible ASCII.
    pub organization: Option<String>,
    /// The value of the header `OpenAI-Project`, visible ASCII.
    pub project: Option<String>,
    /// What Asterisk calls so that OpenAI carries the sound: `PJSIP/{project}@{endpoint}`. `None`: the daemon carries it.
    pub dial: Option<Arc<str>>,
}

impl RealtimeConfig {
    /// The address to connect to: [`url`](Self::url) with `model=`, unless the operator's address already names a
    /// model.
    #[must_use]
    pub fn session_url(&self) -> String {
        url::with_model(&self.url, &self.model)
    }

    /// The address of the session of a call that OpenAI answers: [`url`](Self::url) with `call_id=`.
    #[must_use]
    pub fn call_url(&self, call: &CallId) -> String {
        url::with_call(&self.url, call.as_str())
    }

    /// The language of the callers, if it is set: ISO 639 with an optional region.
    #[must_use]
    pub fn callers_language(&self) -> Option<&str> {
        self.session.transcription.as_ref()?.language.as_deref()
    }

    /// The address at which the server lists its models. `None` if the configured address does not have the usual
    /// form (`…/realtime`).
    #[must_use]
    pub fn models_url(&self) -> Option<String> {
        url::models(&self.url)
    }
}

/// Where and how the daemon logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The path of the log file.
    pub path: PathBuf,
    /// The language of the operator's lines.
    pub language: Language,
    /// A valid tracing filter for the developers' lines. The operator's lines always pass.
    pub level: String,
}

/// A password or key. Its `Debug` reveals nothing; only [`Secret::expose`] does.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a password or key.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns the secret itself, for a header and never for a log line.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Config {
    /// Reads the environment of the process and `.env` in the working directory.
    ///
    /// # Errors
    /// All missing and malformed variables and lines together.
    pub fn load() -> Result<Self, LoadError> {
        Self::load_from(&env_path(), &process)
    }

    /// Reads the variables of `process` and, for those that it does not set, the file at `env_path`.
    ///
    /// # Errors
    /// All missing and malformed variables and lines together.
    pub fn load_from(env_path: &Path, process: Variables<'_>) -> Result<Self, LoadError> {
        let sources = Sources::read(env_path, process);
        let (mut config, remarks) = load_with(&sources, &|_| true, &Self::from_variables)?;
        config.remarks.splice(0..0, remarks);
        Ok(config)
    }

    /// Makes the configuration from `variables`. Reads only these and the files that they name.
    ///
    /// # Errors
    /// All missing and malformed variables together.
    pub fn from_variables(variables: Variables<'_>) -> Result<Self, Vec<Problem>> {
        assemble::assemble(variables)
    }
}

/// The part of the configuration that commands on recordings need. They run without Asterisk, a model or a log.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordingsConfig {
    /// Where and how recordings are kept, and the language of what the commands say.
    pub recordings: RecordingSettings,
    /// The call log, the index of recordings, and the API.
    pub archive: ArchiveConfig,
    /// Notices for the operator.
    pub remarks: Vec<Notice>,
}

impl RecordingsConfig {
    /// Reads only what concerns recordings, for commands that run without Asterisk and a model.
    ///
    /// # Errors
    /// All malformed variables and lines together.
    pub fn load() -> Result<Self, LoadError> {
        Self::load_from(&env_path(), &process)
    }

    /// Reads the variables of `process` and, for those that it does not set, the file at `env_path`.
    ///
    /// # Errors
    /// All malformed variables and lines together.
    pub fn load_from(env_path: &Path, process: Variables<'_>) -> Result<Self, LoadError> {
        let concerns = |name: &str| archive::VARIABLES.contains(&name);
        let sources = Sources::read(env_path, process);
        let (config, _) = load_with(&sources, &concerns, &assemble::recordings_only)?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests;

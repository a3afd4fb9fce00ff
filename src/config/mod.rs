//! The configuration: what the operator wrote into the environment and into `.env`, checked once at the start
//! and complete, and once more whenever SIGHUP asks for it.
//!
//! A variable of the process wins over the file. Everything that is wrong is found in one run and said in
//! words; secrets are never among them. Nothing else in the daemon reads its settings.
//!
//! ```text
//! .env ── env_file ──┐
//!                    ├── load ── reader (one variable) ── assemble (what goes together) ── Config, or Survey
//! process ───────────┘               └── variables (names, defaults, meanings)
//! ```

mod apology;
mod archive;
mod assemble;
mod calls;
mod env_file;
mod load;
mod log_filter;
mod media;
mod models;
mod prices;
mod privacy;
mod problem;
mod reader;
mod recordings;
mod reload;
mod secrecy;
mod settings;
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

pub use archive::{ApiConfig, ApiToken, ArchiveConfig, Role};
pub use log_filter::directives as log_directives;
pub use problem::{LoadError, Problem};
pub use settings::{Setting, Shown};
pub use survey::{Parts, Survey};
pub use variables::{USUAL, VARIABLES, Variable, env_example};
pub use words::Scheme;

use ipnet::IpNet;

use crate::ari::Place;
use crate::call::ledger::Prices;
use crate::call::limits::Limits;
use crate::call::source::Trust;
use crate::call::tools::Destination;
use crate::operator::{Language, Notice};
use crate::realtime::dialect::SessionSettings;
use crate::recordings::RecordingSettings;
use load::{Sources, env_path, load_with, process};

/// Where variables come from: the value of a name, if it is set.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Everything the daemon is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where Asterisk is and how to enter.
    pub asterisk: AsteriskConfig,
    /// Where the audio of calls goes in and out.
    pub media: MediaConfig,
    /// The session with the model.
    pub realtime: RealtimeConfig,
    /// Frames of 20 ms in one append to the model, 1–5.
    pub uplink_frames_per_append: u8,
    /// What becomes of callers.
    pub calls: CallsConfig,
    /// Where recordings are kept, and how.
    pub recordings: RecordingSettings,
    /// Their index and the API.
    pub archive: ArchiveConfig,
    /// Where and how to log.
    pub log: LogConfig,
    /// What live calls have to finish after SIGTERM, 0–3600 s.
    pub shutdown_grace: Duration,
    /// What the operator should hear of, to be logged once the log is open: the file that was read, retired
    /// models, typos.
    pub remarks: Vec<Notice>,
}

impl Config {
    /// Every password and key in it: what must not be seen in a log.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        let tokens = self.archive.api.tokens.iter().map(|token| token.secret.clone());
        let of_server = self.archive.call_log.server.as_ref().and_then(|server| server.password());
        let of_server = of_server.map(|password| Secret::new(password.to_owned()));
        [self.asterisk.password.clone(), self.realtime.key.clone()]
            .into_iter()
            .chain(tokens)
            .chain(of_server)
            .collect()
    }
}

/// What becomes of callers.
#[derive(Clone, Debug, PartialEq)]
pub struct CallsConfig {
    /// What they hear first who cannot be served: µ-law, 8 kHz, at most 20 s; None: nothing.
    pub apology: Option<Arc<[u8]>>,
    /// Where they go on who cannot be served; None: with the next step of their dialplan.
    pub fallback: Option<Place>,
    /// What a call may not exceed.
    pub limits: Limits,
    /// What the calls of a day may cost, micro-USD; None: no limit.
    pub max_day_cost: Option<u64>,
    /// Calls one caller may make within an hour; None: no limit.
    pub max_calls_per_caller_hour: Option<u32>,
    /// Most calls at once; None: as many as the machine and the ports allow.
    pub max_calls: Option<usize>,
    /// How late 99 % of the frames may leave before a saturated daemon takes no more callers, 2–1000 ms; None: however late.
    pub max_frame_lateness: Option<Duration>,
    /// Whether it is told which keys the caller presses.
    pub tells_keys: bool,
    /// Whether the assistant may hang up.
    pub may_hang_up: bool,
    /// Where it may transfer them to.
    pub destinations: Vec<Destination>,
}

impl CallsConfig {
    /// Whether nothing bounds what calls may cost but how many there may be at once.
    #[must_use]
    pub fn spends_without_limit(&self) -> bool {
        self.max_day_cost.is_none() && self.limits.cost.is_none()
    }
}

/// Where Asterisk is and how to enter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsteriskConfig {
    /// With TLS or without.
    pub scheme: Scheme,
    /// Name or address; of IPv6 without brackets.
    pub host: String,
    /// 1–65535.
    pub port: u16,
    /// User of ari.conf, without colon.
    pub username: String,
    /// Password of ari.conf.
    pub password: Secret,
    /// Name of the Stasis application; ASCII letters, digits, `-`, `_`, `.`.
    pub app: String,
}

impl AsteriskConfig {
    /// `host:port`, IPv6 in brackets: for lines, URLs and the Host header.
    #[must_use]
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// `http://host:port` or `https://host:port`, for the REST requests; the path starts with `/ari`.
    #[must_use]
    pub fn http_base(&self) -> String {
        format!("{}://{}", self.scheme.as_str(), self.address())
    }

    /// `ws://host:port` or `wss://host:port`, for the events.
    #[must_use]
    pub fn websocket_base(&self) -> String {
        let scheme = match self.scheme {
            Scheme::Http => "ws",
            Scheme::Https => "wss",
        };
        format!("{scheme}://{}", self.address())
    }
}

/// Where the audio of calls goes in and out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaConfig {
    /// The address of our sockets; 0.0.0.0 or :: only together with [`Self::advertised`].
    pub local_ip: IpAddr,
    /// The address Asterisk is told to send to, if that is another one.
    pub advertised: Option<IpAddr>,
    /// UDP ports 1024–65535 with at least one even one; calls use the even ones.
    pub ports: RangeInclusive<u16>,
    /// Whose packets are the caller's.
    pub trust: Trust,
    /// Where Asterisk may have the sound sent beside its own addresses.
    pub media_networks: Vec<IpNet>,
}

/// The session with the model.
#[derive(Clone, Debug, PartialEq)]
pub struct RealtimeConfig {
    /// `ws://` or `wss://` with its whole path, without `model=` (see [`RealtimeConfig::session_url`]).
    pub url: String,
    /// The model in use: of a retired one its replacement. Visible ASCII.
    pub model: String,
    /// What it costs, and what the model that transcribes costs.
    pub prices: Prices,
    /// The API key; visible ASCII, fit for a header.
    pub key: Secret,
    /// What the session is asked to be. The instructions have at most 64 KiB; at OpenAI the reasoning effort is
    /// only ever set for a model that takes it.
    pub session: SessionSettings,
    /// What the assistant says first. `None`: it waits for the caller.
    pub greeting: Option<String>,
    /// What is said before the greeting and cannot be interrupted.
    pub recording_notice: Option<String>,
    /// Header `OpenAI-Organization`, visible ASCII.
    pub organization: Option<String>,
    /// Header `OpenAI-Project`, visible ASCII.
    pub project: Option<String>,
}

impl RealtimeConfig {
    /// The address to connect to: [`url`](Self::url) with `model=`, unless the operator's address names one
    /// already.
    #[must_use]
    pub fn session_url(&self) -> String {
        url::with_model(&self.url, &self.model)
    }

    /// The callers' language, where it is set: ISO 639, with a region if need be.
    #[must_use]
    pub fn callers_language(&self) -> Option<&str> {
        self.session.transcription.as_ref()?.language.as_deref()
    }

    /// Where the server lists its models, if its address is of the usual form (`…/realtime`).
    #[must_use]
    pub fn models_url(&self) -> Option<String> {
        url::models(&self.url)
    }
}

/// Where and how to log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The log file.
    pub path: PathBuf,
    /// Language of the operator's lines.
    pub language: Language,
    /// A valid tracing filter for the developer's lines; the operator's pass regardless.
    pub level: String,
}

/// A password or key. It shows itself only to who asks by name.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself: for a header, never for a line.
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
    /// All missing and malformed variables and lines at once.
    pub fn load() -> Result<Self, LoadError> {
        Self::load_from(&env_path(), &process)
    }

    /// Reads the variables of `process` and, for those it does not set, the file at `env_path`.
    ///
    /// # Errors
    /// All missing and malformed variables and lines at once.
    pub fn load_from(env_path: &Path, process: Variables<'_>) -> Result<Self, LoadError> {
        let sources = Sources::read(env_path, process);
        let (mut config, remarks) = load_with(&sources, &|_| true, &Self::from_variables)?;
        config.remarks.splice(0..0, remarks);
        Ok(config)
    }

    /// The configuration in `variables`. Reads nothing else but the files they name.
    ///
    /// # Errors
    /// All missing and malformed variables at once.
    pub fn from_variables(variables: Variables<'_>) -> Result<Self, Vec<Problem>> {
        assemble::assemble(variables)
    }
}

/// What concerns recordings: all that the commands on them need, which run without Asterisk, model or log.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordingsConfig {
    /// Where recordings are kept, and how; the language of what is said is in it.
    pub recordings: RecordingSettings,
    /// Their index and the API.
    pub archive: ArchiveConfig,
    /// What the operator should hear of.
    pub remarks: Vec<Notice>,
}

impl RecordingsConfig {
    /// Reads what concerns recordings, and nothing else: for commands that run without Asterisk and model.
    ///
    /// # Errors
    /// All malformed variables and lines at once.
    pub fn load() -> Result<Self, LoadError> {
        Self::load_from(&env_path(), &process)
    }

    /// Reads the variables of `process` and, for those it does not set, the file at `env_path`.
    ///
    /// # Errors
    /// All malformed variables and lines at once.
    pub fn load_from(env_path: &Path, process: Variables<'_>) -> Result<Self, LoadError> {
        let concerns = |name: &str| archive::VARIABLES.contains(&name);
        let sources = Sources::read(env_path, process);
        let (config, _) = load_with(&sources, &concerns, &assemble::recordings_only)?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests;

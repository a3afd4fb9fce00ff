//! The configuration: what the operator wrote into the environment and into `.env`, checked once at the start
//! and complete, and once more whenever SIGHUP asks for it.
//!
//! A variable of the process wins over the file. Everything that is wrong is found in one run and said in
//! words; secrets are never among them. Nothing else in the daemon reads its settings.
//!
//! ```text
//! .env ── env_file ──┐
//!                    ├── reader (one variable) ── assemble (what goes together) ── Config
//! process ───────────┘        └── variables (names, defaults, meanings)
//! ```

mod apology;
mod archive;
mod assemble;
mod calls;
mod env_file;
mod log_filter;
mod media;
mod models;
mod prices;
mod privacy;
mod reader;
mod recordings;
mod reload;
mod secrecy;
mod survey;
mod url;
mod variables;
mod words;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use archive::{ApiConfig, ApiToken, ArchiveConfig, Role};
pub use log_filter::directives as log_directives;
pub use survey::{Parts, Survey};
pub use variables::{VARIABLES, Variable, env_example};
pub use words::Scheme;

use ipnet::IpNet;

use crate::ari::Place;
use crate::call::ledger::Prices;
use crate::call::limits::Limits;
use crate::call::source::Trust;
use crate::call::tools::Destination;
use crate::operator::{Allowed, Detail, Found, Language, Notice};
use crate::realtime::dialect::SessionSettings;
use crate::recordings::RecordingSettings;
use env_file::EnvFile;
use words::Word;

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

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// A required variable is unset or empty.
    Missing {
        /// Its name.
        variable: &'static str,
    },
    /// A value we cannot use.
    Invalid {
        /// Its variable.
        variable: &'static str,
        /// What stands there; hidden if secret.
        found: Found,
        /// What may stand there.
        allowed: Allowed,
    },
    /// A line of `.env` that is not `NAME=value`.
    MalformedLine {
        /// The file.
        path: String,
        /// Counted from 1.
        line: usize,
        /// The variable at its start, if it is one of ours.
        variable: Option<&'static str>,
    },
    /// The API would be open to other machines without a token.
    ApiOpenToAll {
        /// Where it would listen.
        address: SocketAddr,
    },
    /// A token for other machines can be guessed.
    TokenTooShort {
        /// Which, from 1.
        position: usize,
        /// How many characters it needs.
        characters: usize,
    },
    /// `.env` is there but cannot be read.
    UnreadableFile {
        /// The file.
        path: String,
        /// The system's words.
        cause: Detail,
    },
}

impl Problem {
    /// The lines for the operator: one for all missing variables, then one for each other problem.
    #[must_use]
    pub fn notices(problems: &[Self]) -> Vec<Notice> {
        let mut missing = Vec::new();
        let mut others = Vec::new();
        for problem in problems.iter().cloned() {
            match problem {
                Self::Missing { variable } => missing.push(variable),
                Self::Invalid { variable, found, allowed } => {
                    others.push(Notice::SettingInvalid { variable, found, allowed });
                }
                Self::MalformedLine { path, line, variable } => {
                    others.push(Notice::EnvLineMalformed { path, line, variable });
                }
                Self::ApiOpenToAll { address } => others.push(Notice::ApiOpenToAll { address }),
                Self::TokenTooShort { position, characters } => {
                    others.push(Notice::TokenTooShort { position, characters });
                }
                Self::UnreadableFile { path, cause } => {
                    others.push(Notice::EnvFileUnreadable { path, cause });
                }
            }
        }
        if !missing.is_empty() {
            missing.sort_by_key(|name| VARIABLES.iter().position(|row| row.name == *name));
            others.insert(0, Notice::EnvironmentIncomplete { missing });
        }
        others
    }
}

/// Why the daemon cannot start, with what is needed to say so before the log is open.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the configuration has {} problem(s)", problems.len())]
pub struct LoadError {
    /// The language asked for, as far as it could be read.
    pub language: Language,
    /// The log file asked for, if any.
    pub log_path: Option<PathBuf>,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What may explain it: typos, replaced `$` signs, the file that was or was not read.
    pub remarks: Vec<Notice>,
}

impl LoadError {
    /// Everything to be said, the problems first.
    #[must_use]
    pub fn notices(&self) -> Vec<Notice> {
        let mut notices = Problem::notices(&self.problems);
        notices.extend(self.remarks.iter().cloned());
        notices
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
        let (mut config, remarks) = load_with(env_path, process, &|_| true, &Self::from_variables)?;
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
        let (config, _) = load_with(env_path, process, &concerns, &assemble::recordings_only)?;
        Ok(config)
    }
}

/// Where `.env` is.
fn env_path() -> PathBuf {
    std::env::current_dir().unwrap_or_default().join(".env")
}

/// A variable of the process.
fn process(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// What `assemble` makes of the process's variables and the file's, and what is to be said about the file;
/// malformed lines count only if they concern us.
fn load_with<T>(
    env_path: &Path,
    process: Variables<'_>,
    concerns: &dyn Fn(&str) -> bool,
    assemble: &dyn Fn(Variables<'_>) -> Result<T, Vec<Problem>>,
) -> Result<(T, Vec<Notice>), LoadError> {
    let mut file = EnvFile::read(env_path);
    let is_quoted = |name: &str| process(name).is_some_and(|value| within_quotes(&value).is_some());
    file.remarks.extend(
        VARIABLES
            .iter()
            .map(|row| row.name)
            .filter(|name| concerns(name) && is_quoted(name))
            .map(|variable| Notice::QuotesTakenOff { variable }),
    );
    let of_process =
        |name: &str| process(name).map(|value| within_quotes(&value).map_or(value.clone(), str::to_owned));
    let variables = |name: &str| of_process(name).or_else(|| file.values.get(name).cloned());
    let mut problems = file.problems;
    problems.retain(|problem| named_by(problem).is_none_or(|name| process(name).is_none() && concerns(name)));
    match assemble(&variables) {
        Ok(config) if problems.is_empty() => Ok((config, file.remarks)),
        Ok(_) => Err(load_error(&variables, problems, file.remarks)),
        Err(of_values) => {
            let malformed: Vec<_> = problems.iter().filter_map(named_by).collect();
            let is_new = |problem: &Problem| {
                // A variable whose line is malformed is there, only not readable.
                !matches!(problem, Problem::Missing { variable } if malformed.contains(variable))
            };
            let of_values: Vec<_> = of_values.into_iter().filter(is_new).collect();
            problems.splice(0..0, of_values);
            Err(load_error(&variables, problems, file.remarks))
        }
    }
}

/// What stands between quotes that are around all of `value`: `docker --env-file` takes them for a part of it.
fn within_quotes(value: &str) -> Option<&str> {
    let quote = value.chars().next().filter(|first| ['"', '\''].contains(first))?;
    value.strip_prefix(quote)?.strip_suffix(quote).filter(|inner| !inner.contains(quote))
}

/// The variable that a malformed line would have set.
const fn named_by(problem: &Problem) -> Option<&'static str> {
    match problem {
        Problem::MalformedLine { variable, .. } => *variable,
        Problem::Missing { .. }
        | Problem::Invalid { .. }
        | Problem::ApiOpenToAll { .. }
        | Problem::TokenTooShort { .. }
        | Problem::UnreadableFile { .. } => None,
    }
}

fn load_error(variables: Variables<'_>, problems: Vec<Problem>, remarks: Vec<Notice>) -> LoadError {
    LoadError {
        language: variables("LOG_LANGUAGE")
            .and_then(|word| Language::from_word(word.trim()))
            .unwrap_or_default(),
        log_path: variables("LOG_FILE_PATH")
            .map(|path| path.trim().to_owned())
            .filter(|path| !path.is_empty() && !path.starts_with('~') && !secrecy::is_key(path))
            .filter(|path| !path.contains(char::is_control))
            .map(PathBuf::from),
        problems,
        remarks,
    }
}

#[cfg(test)]
mod tests;

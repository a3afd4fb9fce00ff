//! The commands that need no daemon: `config` shows the configuration, `agents` examines the agents, and `recordings`
//! lists, exports and deletes recordings.
//!
//! The commands on recordings need only the variables of recordings: neither Asterisk nor a key nor a log.
//! The recordings go to stdout for scripts, one per line; messages go to stderr in the operator's language.
//! The access log records what is read or deleted, as it records requests to the API.

pub mod agents;
pub mod config;
mod purge;
mod webhooks;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use chrono::TimeDelta;
use clap::Subcommand;
use tokio::sync::watch;

use crate::access_log::{self, Line, Who};
use crate::archive::{Archive, OfAgentFiles};
use crate::clock;
use crate::config::{Agents, ArchiveConfig, LogConfig, RecordingsConfig, Survey};
use crate::logging;
use crate::operator::foreign::plain;
use crate::operator::{Detail, Language, Notice};
use crate::output::{self, print};
use crate::recordings::{Facts, Identity, Library, LibraryError, RecordingId, RecordingSettings, State};
use crate::units::ByteCount;
use purge::Consent;
pub use purge::Which;

/// What to do with recordings.
#[derive(Debug, Subcommand)]
pub enum Recordings {
    /// List recordings, newest first: id, state, seconds, bytes and caller, separated by tabs.
    List {
        /// How many recordings to list; 0 lists all of them.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Write the files of recordings, decrypted, into a folder. Recordings that a crash cut off are completed first.
    Export {
        /// The folder to write to. It is created if it is missing.
        #[arg(long, default_value = "export")]
        to: PathBuf,
        /// The file with the age identity that opens encrypted recordings, in place of RECORDINGS_IDENTITY_FILE.
        #[arg(long)]
        identity: Option<PathBuf>,
        /// The ids of the recordings; without ids, all recordings of calls that have ended.
        ids: Vec<String>,
    },
    /// Delete recordings of calls that have ended, and print their ids. What would be deleted is shown first.
    Purge {
        /// Which recordings to delete.
        #[command(flatten)]
        which: Which,
        /// The file with the age identity that opens encrypted recordings, in place of RECORDINGS_IDENTITY_FILE.
        #[arg(long)]
        identity: Option<PathBuf>,
        /// Only show what would be deleted.
        #[arg(long, conflicts_with = "yes")]
        dry_run: bool,
        /// Delete without asking. Without a terminal, --caller needs this, and so does deleting more than half of all
        /// recordings.
        #[arg(long)]
        yes: bool,
    },
    /// Serve the API without taking calls.
    #[command(hide = true)]
    Serve,
}

/// An age: a number and `h`, `d` or `w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age(TimeDelta);

impl FromStr for Age {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "an age is a number and h, d or w: 30d";
        let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(wrong)?;
        let hours = match unit {
            "h" => 1,
            "d" => 24,
            "w" => 168,
            _ => return Err(wrong),
        };
        let number: u32 = number.parse().map_err(|_| wrong)?;
        TimeDelta::try_hours(i64::from(number) * hours).map(Self).ok_or(wrong)
    }
}

/// Why a command failed.
enum Failed {
    /// The message that is still to be printed.
    Because(Notice),
    /// All messages have been printed.
    Said,
    /// The reader of the output is gone.
    Unread,
}

impl From<Notice> for Failed {
    fn from(notice: Notice) -> Self {
        Self::Because(notice)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        if output::is_unread(&error) {
            return Self::Unread;
        }
        Self::Because(Notice::Unexpected { detail: Detail::new(error) })
    }
}

/// Runs the command.
#[must_use]
pub fn run(command: Recordings) -> ExitCode {
    let config = match RecordingsConfig::load() {
        Ok(config) => config,
        Err(error) => {
            logging::say_without_log(error.language, None, &error.notices());
            return ExitCode::FAILURE;
        }
    };
    let language = config.recordings.language;
    let RecordingsConfig { recordings, archive, remarks } = config;
    let done = match command {
        Recordings::Serve => serve(recordings, &archive, &remarks),
        Recordings::List { .. } | Recordings::Export { .. } | Recordings::Purge { .. }
            if !recordings.folder.is_dir() =>
        {
            // The message names the `.env` that was read, which shows a user in the wrong folder what is
            // wrong.
            logging::say_without_log(language, None, &remarks);
            let folder = std::path::absolute(&recordings.folder).unwrap_or(recordings.folder);
            Err(Notice::RecordingsFolderMissing { path: folder.display().to_string() }.into())
        }
        Recordings::List { limit } => list(&Library::new(recordings), limit, language),
        Recordings::Export { to, identity, ids } => {
            with_identity(recordings, identity).and_then(|recordings| export(recordings, &to, &ids))
        }
        Recordings::Purge { which, identity, dry_run, yes } => {
            let consent = match (dry_run, yes) {
                (true, _) => Consent::DryRun,
                (_, true) => Consent::Given,
                (false, false) => Consent::Ask,
            };
            with_identity(recordings, identity)
                .and_then(|recordings| purge::purge(recordings, &archive, &which, consent))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Because(notice)) => {
            logging::say_without_log(language, None, &[notice]);
            ExitCode::FAILURE
        }
        Err(Failed::Said) => ExitCode::FAILURE,
        Err(Failed::Unread) => ExitCode::from(output::UNREAD),
    }
}

fn with_identity(settings: RecordingSettings, path: Option<PathBuf>) -> Result<RecordingSettings, Failed> {
    let Some(path) = path else { return Ok(settings) };
    let identity = Identity::read(&path).map_err(|error| {
        let allowed = crate::operator::Allowed::AgeIdentityFile { cause: Detail::new(error) };
        let found = crate::operator::Found::value(&path.display().to_string());
        Notice::SettingInvalid { variable: "--identity", found, allowed }
    })?;
    Ok(RecordingSettings { identity: Some(Arc::new(identity)), ..settings })
}

fn list(library: &Library, limit: usize, language: Language) -> Result<(), Failed> {
    let all = library.list().map_err(|error| unreadable(library, &error))?;
    if all.is_empty() {
        // Not on stdout, which programs read.
        let path = std::path::absolute(library.folder()).unwrap_or_else(|_| library.folder().to_owned());
        let none = Notice::RecordingsNone { path: path.display().to_string() };
        logging::say_without_log(language, None, &[none]);
    }
    let limit = if limit == 0 { usize::MAX } else { limit };
    for (id, _) in all.into_iter().take(limit) {
        // The recording may have been deleted in the meantime.
        let Ok(Facts { state, bytes, told, .. }) = library.facts(&id) else { continue };
        let ended = told.as_ref().filter(|_| state != State::Live);
        let seconds = ended.map_or_else(|| "-".to_owned(), |told| (told.duration.get() / 1_000).to_string());
        let caller = told.as_ref().map_or("-", |told| told.caller.expose());
        print(&format!("{id}\t{}\t{seconds}\t{}\t{}", state.code(), bytes.get(), plain(caller)))?;
    }
    Ok(())
}

fn export(settings: RecordingSettings, to: &Path, ids: &[String]) -> Result<(), Failed> {
    let language = settings.language;
    let library = Library::new(settings);
    let unknown = |id: &str| Notice::RecordingUnknown { id: plain(id).into_owned() };
    let (mut exported, mut failed) = (Vec::new(), Vec::new());
    let ids = if ids.is_empty() {
        library.ended().map_err(|error| unreadable(&library, &error))?
    } else {
        let parsed = ids.iter().filter_map(|id| id.parse().map_err(|_| failed.push(unknown(id))).ok());
        parsed.collect()
    };
    for id in ids {
        match library.export(&id, to) {
            Ok(paths) => {
                for path in paths {
                    print(&path.display().to_string())?;
                }
                exported.push(id);
            }
            Err(LibraryError::NotFound) => failed.push(unknown(&id.to_string())),
            Err(error) => {
                let cause = Detail::new(error);
                failed.push(Notice::RecordingUnexportable { id: id.to_string(), cause });
            }
        }
    }
    note(&library, "EXPORT", &exported, language);
    logging::say_without_log(language, None, &failed);
    let folder = to.display().to_string();
    let said = Notice::RecordingsExported { recordings: exported.len(), folder };
    logging::say_without_log(language, None, &[said]);
    if failed.is_empty() { Ok(()) } else { Err(Failed::Said) }
}

/// Serves the API until SIGTERM or Ctrl-C.
fn serve(settings: RecordingSettings, config: &ArchiveConfig, remarks: &[Notice]) -> Result<(), Failed> {
    let language = settings.language;
    // This command has no log file: stdout shows all lines.
    let log = LogConfig { path: "/dev/null".into(), language, level: "info".into() };
    let guard = logging::init(&log).map_err(|error| error.notice())?;
    let operator = guard.operator();
    for remark in remarks {
        operator.say(remark);
    }
    // Recordings of agents may have to be kept longer than the others.
    let retention = Survey::load().parts.agents.as_ref().and_then(Agents::retention);
    if retention.is_none() && settings.retention_days.is_some() {
        operator.say(&Notice::AgentRecordingsKept);
    }
    let follows = OfAgentFiles { retention: watch::channel(retention).1, courier: None };
    let (recorder, clock) = (Box::new(|| None), clock::standing);
    let archive = Archive::start(settings, config, operator, recorder, None, clock, follows)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        io::Result::Ok(())
    })?;
    archive.stop();
    Ok(())
}

/// Records in the access log which method the command used on which recordings.
fn note(library: &Library, method: &str, ids: &[RecordingId], language: Language) {
    let (at, user) = (clock::wall(), rustix::process::getuid().as_raw());
    let lines: Vec<_> = ids
        .iter()
        .map(|id| Line {
            at,
            who: Who::user(user),
            client: None,
            method: method.to_owned(),
            what: format!("/recordings/{id}"),
            status: 200,
            bytes: ByteCount::ZERO,
        })
        .collect();
    if let Err(notice) = access_log::append(library.folder(), &lines) {
        logging::say_without_log(language, None, &[notice]);
    }
}

fn unreadable(library: &Library, error: &dyn fmt::Display) -> Notice {
    Notice::RecordingsUnreadable { path: library.folder().display().to_string(), cause: Detail::new(error) }
}

//! `openai-inbound-calls recordings …`: list, export and delete recordings from the command line.
//!
//! Needs the recordings' variables only: neither Asterisk nor a key nor a log. Recordings go to stdout, one a
//! line, for scripts; what is to be said goes to stderr, in the operator's language. What is read or deleted is
//! in the access log, like what is asked of the API.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use chrono::TimeDelta;
use clap::{Args, Subcommand};
use futures_util::future::join_all;
use tokio::task::JoinSet;

use crate::config::{ArchiveConfig, LogConfig, RecordingsConfig};
use crate::daemon::archive::Archive;
use crate::daemon::clock;
use crate::http::access_log::{self, Line};
use crate::http::guard::Who;
use crate::logging;
use crate::operator::foreign::plain;
use crate::operator::{Detail, Language, Notice};
use crate::output::{self, print};
use crate::recordings::index::Index;
use crate::recordings::{
    Facts, Identity, Library, LibraryError, RecordingId, RecordingSettings, State, retention,
};
use crate::registry::{self, Opener, Whose};
use crate::sqlite::number_key;

/// What to do with recordings.
#[derive(Debug, Subcommand)]
pub enum Recordings {
    /// Show them, newest first: id, state, seconds, bytes, caller; tabs between.
    List {
        /// So many; 0: all.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Write their files, decrypted, into a folder; those a crash cut off are completed.
    Export {
        /// The folder; made where missing.
        #[arg(long, default_value = "export")]
        to: PathBuf,
        /// The age identity that opens them, in place of RECORDINGS_IDENTITY_FILE.
        #[arg(long)]
        identity: Option<PathBuf>,
        /// The recordings; none: all that are not running.
        ids: Vec<RecordingId>,
    },
    /// Delete recordings, never of running calls, and print their ids.
    Purge {
        /// Which.
        #[command(flatten)]
        which: Which,
        /// The age identity that tells the callers of encrypted ones, in place of RECORDINGS_IDENTITY_FILE.
        #[arg(long)]
        identity: Option<PathBuf>,
        /// Only print them.
        #[arg(long)]
        dry_run: bool,
    },
    /// Serve the API without taking calls.
    #[command(hide = true)]
    Serve,
}

/// Which recordings to delete.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// Those of calls that began so long ago or longer: 30d, 12h, 8w.
    #[arg(long, value_name = "AGE")]
    older_than: Option<Age>,
    /// Those of this caller, however the number is written; the call log forgets him, with recordings or without.
    #[arg(long, value_name = "NUMBER")]
    caller: Option<String>,
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
    /// This is left to say.
    Because(Notice),
    /// All has been said.
    Said,
    /// Nobody reads the output any more.
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

/// Does it.
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
        Recordings::List { limit } => list(&Library::new(recordings), limit),
        Recordings::Export { to, identity, ids } => {
            with_identity(recordings, identity).and_then(|recordings| export(recordings, &to, ids))
        }
        Recordings::Purge { which, identity, dry_run } => with_identity(recordings, identity)
            .and_then(|recordings| purge(recordings, &archive, &which, dry_run)),
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

fn list(library: &Library, limit: usize) -> Result<(), Failed> {
    let all = library.list().map_err(|error| unreadable(library, &error))?;
    let limit = if limit == 0 { usize::MAX } else { limit };
    for (id, _) in all.into_iter().take(limit) {
        // It may be gone by now.
        let Ok(Facts { state, bytes, told, .. }) = library.facts(&id) else { continue };
        let ended = told.as_ref().filter(|_| state != State::Live);
        let seconds = ended.map_or_else(|| "-".to_owned(), |told| (told.duration_ms / 1000).to_string());
        let caller = told.as_ref().map_or("-", |told| &told.caller);
        print(&format!("{id}\t{}\t{seconds}\t{bytes}\t{}", state.code(), plain(caller)))?;
    }
    Ok(())
}

fn export(settings: RecordingSettings, to: &Path, ids: Vec<RecordingId>) -> Result<(), Failed> {
    let language = settings.language;
    let library = Library::new(settings);
    let ids = if ids.is_empty() {
        let all = library.list().map_err(|error| unreadable(&library, &error))?;
        all.into_iter().filter(|(_, state)| *state != State::Live).map(|(id, _)| id).collect()
    } else {
        ids
    };
    let (mut exported, mut failed) = (Vec::new(), Vec::new());
    for id in ids {
        match library.export(&id, to) {
            Ok(paths) => {
                for path in paths {
                    print(&path.display().to_string())?;
                }
                exported.push(id);
            }
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

fn purge(
    settings: RecordingSettings,
    archive: &ArchiveConfig,
    which: &Which,
    dry_run: bool,
) -> Result<(), Failed> {
    let language = settings.language;
    let library = Library::new(settings);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let index = runtime.block_on(open(&archive.index));
    let (ids, unknown) = match (&which.caller, which.older_than) {
        (Some(number), _) => runtime.block_on(of_caller(&library, index.as_ref(), number))?,
        (None, Some(Age(age))) => {
            let cutoff =
                clock::wall().naive_local().checked_sub_signed(age).unwrap_or(chrono::NaiveDateTime::MIN);
            (library.older_than(cutoff).map_err(|error| unreadable(&library, &error))?, 0)
        }
        (None, None) => (Vec::new(), 0),
    };
    let purged = if dry_run {
        retention::Purged { gone: ids, kept: Vec::new() }
    } else {
        retention::purge(&library, ids)
    };
    if !dry_run {
        note(&library, "PURGE", &purged.gone, language);
        if let Some(index) = &index {
            // What cannot be taken out now leaves the list when it is touched.
            runtime.block_on(async {
                for id in &purged.gone {
                    drop(index.remove(id).await);
                }
            });
        }
    }
    if let Some(index) = index {
        runtime.block_on(index.close());
    }
    let mut forgotten = true;
    if !dry_run {
        let mut whose: Vec<_> = purged.gone.iter().map(|id| Whose::Recording(id.to_string())).collect();
        whose.extend(which.caller.clone().map(Whose::Caller));
        forgotten = runtime.block_on(forget(&archive.call_log, whose, language));
    }
    for id in &purged.gone {
        print(&id.to_string())?;
    }
    let recordings = purged.gone.len();
    let mut said = vec![if dry_run {
        Notice::RecordingsToPurge { recordings }
    } else {
        Notice::RecordingsPurged { recordings }
    }];
    if unknown > 0 {
        said.push(Notice::CallersUnknown { recordings: unknown });
    }
    let failed = purged
        .kept
        .iter()
        .map(|(id, error)| Notice::RecordingUndeletable { id: id.to_string(), cause: Detail::new(error) });
    said.extend(failed);
    logging::say_without_log(language, None, &said);
    if purged.kept.is_empty() && forgotten { Ok(()) } else { Err(Failed::Said) }
}

/// Lets the call log forget them, if there is one; making one is the daemon's business. Says whether it has: what
/// is wrong has been said then. A server that is away hears of it through the daemon.
async fn forget(settings: &registry::Settings, whose: Vec<Whose>, language: Language) -> bool {
    if !settings.file.exists() {
        return true;
    }
    let tell = move |notice: Notice| logging::say_without_log(language, None, &[notice]);
    let (log, _, writer) = registry::open(settings, Opener::Guest, Box::new(tell));
    let mut writing = JoinSet::new();
    writing.spawn(writer.run());
    // All at once: they share the disk's waits.
    let forgotten = join_all(whose.into_iter().map(|whose| log.erase(whose))).await;
    drop(log);
    while writing.join_next().await.is_some() {}
    forgotten.iter().all(Result::is_ok)
}

/// The index, if there is one; making one is the daemon's business.
async fn open(database: &Path) -> Option<Index> {
    if !database.exists() {
        return None;
    }
    let index = Index::new(database);
    index.open().await.is_ok().then_some(index)
}

/// A caller's recordings, and of how many neither the files nor the index tell whose they are.
async fn of_caller(
    library: &Library,
    index: Option<&Index>,
    number: &str,
) -> Result<(Vec<RecordingId>, usize), Failed> {
    if number_key(number).is_empty() {
        return Ok((Vec::new(), 0));
    }
    let found = library.of_caller(number).map_err(|error| unreadable(library, &error))?;
    let (mut ids, unknown) = (found.ids, found.unknown);
    if let Some(index) = index {
        for id in index.of_caller(number).await.unwrap_or_default() {
            let there = !ids.contains(&id) && !matches!(library.state(&id), Err(LibraryError::NotFound));
            if there {
                ids.push(id);
            }
        }
        let mut untold = 0;
        for id in &unknown {
            let known = index.find(id).await.ok().flatten().is_some_and(|facts| facts.told.is_some());
            untold += usize::from(!known);
        }
        return Ok((ids, untold));
    }
    Ok((ids, unknown.len()))
}

/// Serves the API until SIGTERM or Ctrl-C.
fn serve(settings: RecordingSettings, config: &ArchiveConfig, remarks: &[Notice]) -> Result<(), Failed> {
    let language = settings.language;
    // There is no log file here: stdout tells all.
    let log = LogConfig { path: "/dev/null".into(), language, level: "info".into() };
    let guard = logging::init(&log).map_err(|error| error.notice())?;
    let operator = guard.operator();
    for remark in remarks {
        operator.say(remark);
    }
    let archive = Archive::start(settings, config, operator, Box::new(|| None), None)?;
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

/// Notes in the access log what the command did, and to which recordings.
fn note(library: &Library, method: &str, ids: &[RecordingId], language: Language) {
    let (at, user) = (clock::wall(), rustix::process::getuid().as_raw());
    let lines: Vec<_> = ids
        .iter()
        .map(|id| Line {
            at,
            who: Who(format!("uid-{user}").into()),
            client: None,
            method: method.to_owned(),
            what: format!("/recordings/{id}"),
            status: 200,
            bytes: 0,
        })
        .collect();
    if let Err(notice) = access_log::append(library.folder(), &lines) {
        logging::say_without_log(language, None, &[notice]);
    }
}

fn unreadable(library: &Library, error: &dyn fmt::Display) -> Notice {
    Notice::RecordingsUnreadable { path: library.folder().display().to_string(), cause: Detail::new(error) }
}

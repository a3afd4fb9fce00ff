//! `recordings purge`: finds the recordings to delete, shows them, asks for consent at a terminal, deletes
//! them and erases the numbers in the call log.
//!
//! The ids of the deleted recordings go to stdout for scripts. The preview and all messages go to stderr.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, SecondsFormat};
use clap::Args;
use tokio::task::JoinSet;

use super::{Age, Failed, note, unreadable};
use crate::clock;
use crate::config::ArchiveConfig;
use crate::erasure::{Erasure, Forgotten, Waiting};
use crate::logging;
use crate::number::{CallerNumber, Sought};
use crate::operator::{Detail, Language, Notice, is_yes};
use crate::output::print;
use crate::recordings::index::Index;
use crate::recordings::{Library, LibraryError, OfCaller, RecordingId, RecordingSettings, retention};
use crate::registry::{self, Log, Opener, Reader, RegistryError, Row, Whose};

/// The interval at which the command checks whether the call log is open.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The time limit for opening the call log. If a database server does not answer within this time, the daemon
/// erases the numbers once the server is back.
const OPENING: Duration = Duration::from_secs(10);
/// In place of a number: it is on the standard input.
const ON_STDIN: &str = "-";
/// The longest line with a number, in bytes. A smaller value could cut a number that is written with many signs; a larger
/// one would let an endless input take memory.
const NUMBER_BYTES: u64 = 1_024;

/// Which recordings to delete.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// The recordings of calls that began at least this long ago: 30d, 12h or 8w.
    #[arg(long, value_name = "AGE")]
    older_than: Option<Age>,
    /// The recordings of this caller, however the number is written. The call log forgets the number, even if there are no
    /// recordings.
    /// With COUNTRY_CODE the whole number must be the same; without COUNTRY_CODE, its last nine digits.
    /// With -, the number is the first line of the standard input: other users of the machine see the arguments of a command.
    #[arg(long, value_name = "NUMBER")]
    caller: Option<CallerNumber>,
}

/// Whether the command may delete what it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consent {
    /// The command deletes nothing.
    DryRun,
    /// The command asks at the terminal. Without a terminal it deletes if that is harmless; see
    /// [`Found::needs_yes`].
    Ask,
    /// The command deletes without asking.
    Given,
}

/// The recordings and rows that the purge would delete or clear.
struct Found {
    recordings: Vec<RecordingId>,
    /// The number of all recordings, except those of running calls.
    of: usize,
    /// The number of encrypted recordings whose caller neither the files nor the index show.
    unknown: usize,
    /// The rows of the call log that would be cleared. None: the call log does not answer now.
    rows: Option<Vec<Row>>,
    by_caller: bool,
    /// The number of calls in progress whose recordings stay.
    running: usize,
}

impl Found {
    /// Whether the purge may go beyond what the user meant: a number may match the calls of another person,
    /// and a wrong clock makes all recordings old.
    fn needs_yes(&self) -> bool {
        let anything = !self.recordings.is_empty() || self.rows.as_ref().is_none_or(|rows| !rows.is_empty());
        (self.by_caller && anything) || retention::is_most(self.recordings.len(), self.of)
    }

    fn rows(&self) -> usize {
        self.rows.as_ref().map_or(0, Vec::len)
    }

    /// Prints the preview to stderr.
    fn show(&self, language: Language) {
        let mut err = io::stderr().lock();
        let mut line = |text: String| drop(writeln!(err, "{text}"));
        for id in &self.recordings {
            line(format!("  recording  {id}"));
        }
        for row in self.rows.iter().flatten() {
            let at = DateTime::from_timestamp_micros(row.offered_us).unwrap_or_default();
            let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
            let called = if row.called.is_empty() { "-" } else { &row.called };
            line(format!("  call       {at}  {} -> {called}  {}", row.caller.expose(), row.call_id));
        }
        drop(err);
        let mut said = Vec::new();
        if self.unknown > 0 {
            said.push(Notice::CallersUnknown { recordings: self.unknown });
        }
        if self.rows.is_none() {
            said.push(Notice::CallLogUnseen);
        }
        if self.running > 0 {
            said.push(Notice::PurgeLeavesRunning { calls: self.running });
        }
        logging::say_without_log(language, None, &said);
    }
}

pub(super) fn purge(
    settings: RecordingSettings,
    archive: &ArchiveConfig,
    which: &Which,
    consent: Consent,
) -> Result<(), Failed> {
    let language = settings.language;
    let number = number(which)?;
    let library = Library::new(settings);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let index = runtime.block_on(open_index(archive));
    let call_log = runtime.block_on(async { CallLog::open(&archive.call_log, language) });
    let sought = number.map(|number| Sought::new(number.expose(), archive.country.as_ref()));
    let found =
        runtime.block_on(find(&library, index.as_ref(), call_log.as_ref(), which, sought.as_ref()))?;
    found.show(language);
    if consent == Consent::DryRun {
        for id in &found.recordings {
            print(&id.to_string())?;
        }
        let to_purge = Notice::RecordingsToPurge { recordings: found.recordings.len(), rows: found.rows() };
        logging::say_without_log(language, None, &[to_purge]);
        return Ok(());
    }
    may_go(&found, consent, language)?;
    let (rows, leaves_nothing) = (found.rows(), found.running == 0);
    let erasure = Erasure {
        library: library.clone(),
        index: index.clone(),
        feed: None,
        log: call_log.as_ref().map(|call_log| call_log.log.clone()),
        databases: archive.databases(),
        waiting: Waiting::default(),
    };
    let callers = sought.flatten().map(Whose::Caller).into_iter().collect();
    let noted = |gone: &[RecordingId]| note(&library, "PURGE", gone, language);
    let forgotten = runtime.block_on(erasure.forget(found.recordings, callers, noted));
    let Forgotten { gone, mut kept, unerased } = forgotten;
    drop(erasure);
    // The call log says by itself why it cannot be written.
    runtime.block_on(close(index, call_log));
    // Somebody else may have deleted a recording meanwhile.
    kept.retain(|(_, error)| !matches!(error, LibraryError::NotFound));
    for id in &gone {
        print(&id.to_string())?;
    }
    let rows = if unerased.is_none() { rows } else { 0 };
    let mut said = vec![Notice::RecordingsPurged { recordings: gone.len(), rows }];
    said.extend(kept.iter().map(|(id, error)| {
        let (id, cause) = (id.to_string(), Detail::new(error));
        Notice::RecordingUndeletable { id, cause }
    }));
    logging::say_without_log(language, None, &said);
    if kept.is_empty() && unerased.is_none() && leaves_nothing { Ok(()) } else { Err(Failed::Said) }
}

/// The number of the caller, which may be on the standard input.
fn number(which: &Which) -> Result<Option<CallerNumber>, Failed> {
    if which.caller.as_ref().is_none_or(|number| number.expose() != ON_STDIN) {
        return Ok(which.caller.clone());
    }
    let mut line = String::new();
    io::stdin().lock().take(NUMBER_BYTES).read_line(&mut line)?;
    let number = line.trim();
    if number.is_empty() { Err(Notice::PurgeNumberMissing.into()) } else { Ok(Some(number.into())) }
}

/// Asks the user at the terminal. Without a terminal, a purge that needs a yes is refused.
fn may_go(found: &Found, consent: Consent, language: Language) -> Result<(), Failed> {
    if consent == Consent::Given {
        return Ok(());
    }
    let (recordings, rows) = (found.recordings.len(), found.rows());
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return if found.needs_yes() {
            Err(Notice::PurgeNeedsYes { recordings, of: found.of, rows }.into())
        } else {
            Ok(())
        };
    }
    logging::say_without_log(language, None, &[Notice::PurgeAsks { recordings, rows }]);
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if is_yes(&answer) { Ok(()) } else { Err(Notice::PurgeLeft.into()) }
}

/// Closes the databases in order, after the call log has written what it accepted.
async fn close(index: Option<Index>, call_log: Option<CallLog>) {
    if let Some(index) = index {
        index.close().await;
    }
    if let Some(CallLog { log, reader, mut writing }) = call_log {
        drop((log, reader));
        while writing.join_next().await.is_some() {}
    }
}

async fn find(
    library: &Library,
    index: Option<&Index>,
    call_log: Option<&CallLog>,
    which: &Which,
    sought: Option<&Option<Sought>>,
) -> Result<Found, Failed> {
    let ended = library.ended().map_err(|error| unreadable(library, &error))?;
    let of = ended.len();
    let (OfCaller { ids: recordings, unknown, running }, whose) = match (sought, which.older_than) {
        (Some(Some(caller)), _) => {
            (of_caller(library, index, caller).await?, vec![Whose::Caller(caller.clone())])
        }
        (None, Some(Age(age))) => {
            let cutoff = clock::wall().naive_local().checked_sub_signed(age).unwrap_or(NaiveDateTime::MIN);
            (OfCaller { ids: retention::before(ended, cutoff), ..OfCaller::default() }, Vec::new())
        }
        (Some(None), _) | (None, None) => (OfCaller::default(), Vec::new()),
    };
    let of_recordings = recordings.iter().map(|id| Whose::Recording(id.to_string()));
    let whose: Vec<_> = whose.into_iter().chain(of_recordings).collect();
    let rows = match call_log {
        Some(call_log) => call_log.rows(&whose).await,
        None => Some(Vec::new()),
    };
    let running = in_progress(&running, rows.as_deref().unwrap_or_default());
    Ok(Found { recordings, of, unknown: unknown.len(), rows, by_caller: which.caller.is_some(), running })
}

/// The number of calls in progress among the recordings and the rows, of which both may show the same call.
fn in_progress(recordings: &[RecordingId], rows: &[Row]) -> usize {
    let is_shown = |row: &&Row| {
        let id = row.recording_id.as_ref();
        id.is_some_and(|id| recordings.iter().any(|shown| shown.to_string() == *id))
    };
    let of_rows = rows.iter().filter(|row| row.end_reason.is_none());
    recordings.len() + of_rows.filter(|row| !is_shown(row)).count()
}

/// The recordings of a caller, and those whose caller neither the files nor the index show.
async fn of_caller(library: &Library, index: Option<&Index>, caller: &Sought) -> Result<OfCaller, Failed> {
    let found = library.of_caller(caller).map_err(|error| unreadable(library, &error))?;
    let Some(index) = index else { return Ok(found) };
    let OfCaller { mut ids, unknown, running } = found;
    for id in index.of_caller(caller).await.unwrap_or_default() {
        let there = !ids.contains(&id) && !matches!(library.state(&id), Err(LibraryError::NotFound));
        if there {
            ids.push(id);
        }
    }
    let mut untold = Vec::new();
    for id in unknown {
        let known = index.find(&id).await.ok().flatten().is_some_and(|facts| facts.told.is_some());
        if !known {
            untold.push(id);
        }
    }
    Ok(OfCaller { ids, unknown: untold, running })
}

/// Opens the index if its file exists. Only the daemon creates the index.
async fn open_index(archive: &ArchiveConfig) -> Option<Index> {
    if !archive.index.exists() {
        return None;
    }
    let index = Index::new(&archive.index);
    index.open().await.is_ok().then_some(index)
}

/// The call log, which a running daemon may have open at the same time.
struct CallLog {
    log: Log,
    reader: Reader,
    writing: JoinSet<()>,
}

impl CallLog {
    /// Opens the call log if its file exists. Only the daemon creates the call log.
    fn open(settings: &registry::Settings, language: Language) -> Option<Self> {
        if !settings.file.exists() {
            return None;
        }
        let tell = move |notice: Notice| logging::say_without_log(language, None, &[notice]);
        let (log, reader, writer) = registry::open(settings, Opener::Guest, Box::new(tell));
        let mut writing = JoinSet::new();
        writing.spawn(writer.run());
        Some(Self { log, reader, writing })
    }

    /// The rows that match and still hold a number. None: the call log does not answer.
    async fn rows(&self, whose: &[Whose]) -> Option<Vec<Row>> {
        let until_open = async {
            loop {
                match self.reader.of(whose).await {
                    Err(RegistryError::Closed) => tokio::time::sleep(LOOK_EVERY).await,
                    read => return read,
                }
            }
        };
        tokio::time::timeout(OPENING, until_open).await.ok()?.ok()
    }
}

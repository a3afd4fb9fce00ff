//! The call log. Every call is a row, from its arrival to its end, in an embedded SQLite file or on a server: MySQL
//! 8, or MariaDB 10.11 or later.
//!
//! ```text
//!  daemon ── Log::offer, never waits ──► queue ──► writer ──► SQLite file ── delivery ──► MySQL
//!                                                             every row,     each row once
//!                                                             durable        by its key
//!                                                                 └───────► Reader ◄───────┘
//! ```
//! Without a server the file is the call log. With a server, the file holds only rows on their way to it: those of
//! running calls and those that the server has not confirmed. An ended call's row exists in one place only, so
//! erasing it there erases it completely. A row is accepted once it is in the file; from then on no crash and no
//! outage of the server loses it.
//!
//! Nothing here can disturb a call: rows that a full queue cannot take are counted and reported, and a failing disk
//! or server is retried. The times in a row come from the caller of [`Log::offer`].
//!
//! | file | holds |
//! |---|---|
//! | `row` | [`Row`]: the columns, and both databases' rows made of them |
//! | `tools` | the tools of a call, in one column |
//! | `local` | the SQLite file: upserts, what is due, erasures |
//! | `server` | MySQL: where it is, upserts, erasures |
//! | `writer` | [`Log`], and the task behind it |
//! | `orders` | what the task is asked for; collects the rows of running calls for a second |
//! | `reader`, `stats` | [`Reader`]: lists, one call, sums |
//! | `claims` | [`claims::Claims`]: the webhooks of OpenAI that have come |
//! | `message`, `outbox` | a message about an ended call; [`outbox::Outbox`]: those that wait for their receivers |

pub mod claims;
mod local;
mod message;
mod orders;
pub mod outbox;
mod reader;
mod row;
mod server;
pub mod stats;
mod tools;
mod writer;

use std::path::PathBuf;

pub use reader::{CURSOR, Filter, Reader};
pub use row::{Row, Tokens, row_id};
pub use server::{Server, ServerError};
pub use tools::ToolUse;
pub use writer::{Backlog, Log, Tell, Writer};

use crate::number;

/// Where the call log is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The path of the SQLite file. A missing file is created with mode 0640.
    pub file: PathBuf,
    /// The server that receives the rows, if one is configured.
    pub server: Option<Server>,
}

/// Why the call log does not answer.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The file or the server is not open.
    #[error("the call log is not open")]
    Closed,
    /// The database did not answer in time.
    #[error("the database does not answer")]
    Late,
    /// The database reported an error.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl RegistryError {
    /// Whether the disk of the file is full.
    fn is_full_disk(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| FULL_DISK.contains(&&*code))
            }
            Self::Database(sqlx::Error::Io(error)) => error.kind() == std::io::ErrorKind::StorageFull,
            Self::Closed | Self::Late | Self::Database(_) => false,
        }
    }
}

/// The result codes of SQLite for a full disk: `SQLITE_FULL` and, for its shared memory, `SQLITE_IOERR_SHMSIZE`
/// (sqlite.org/rescode.html).
const FULL_DISK: [&str; 2] = ["13", "4874"];

/// The rows whose phone numbers are to be erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// The call with this recording.
    Recording(String),
    /// All calls of this caller.
    Caller(number::Sought),
}

impl Whose {
    /// The conditions that find the rows: each pair names a column and its value. Rows without a number never match.
    fn sought(&self) -> Vec<(Column, &str)> {
        let sought = match self {
            Self::Recording(id) => vec![(Column::Recording, id.as_str())],
            Self::Caller(number::Sought::Tail(tail)) => vec![(Column::CallerTail, tail.as_str())],
            Self::Caller(number::Sought::Keys(keys)) => {
                keys.iter().map(|key| (Column::CallerKey, key.as_str())).collect()
            }
        };
        sought.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }
}

/// A column by which rows are selected for erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Recording,
    CallerKey,
    CallerTail,
}

impl Column {
    const ALL: [Self; 3] = [Self::Recording, Self::CallerKey, Self::CallerTail];

    const fn name(self) -> &'static str {
        match self {
            Self::Recording => "recording_id",
            Self::CallerKey => "caller_key",
            Self::CallerTail => "caller_tail",
        }
    }
}

/// Who opens the call log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opener {
    /// The daemon. Calls that the file shows as running were cut off.
    Daemon,
    /// Another command, which cannot know whether a daemon is running.
    Guest,
}

/// Opens the call log. Returns the log, its reader, and the writer task that must run for either to work.
///
/// # Panics
/// Panics outside a tokio runtime.
#[must_use]
pub fn open(settings: &Settings, opener: Opener, tell: Tell) -> (Log, Reader, Writer) {
    let local = local::Local::new(&settings.file, settings.server.is_some());
    let server = settings.server.as_ref().map(server::Remote::new);
    let reader = Reader::new(local.clone(), server.clone());
    let (log, writer) = Writer::new(local, server, opener, tell);
    (log, reader, writer)
}

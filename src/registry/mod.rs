//! The call log: every call from its arrival to its end is a row, in an embedded SQLite file, or in MySQL 8 or
//! MariaDB 10.11 and later.
//!
//! ```text
//!  daemon ── Log::offer, never waits ──► queue ──► writer ──► SQLite file ── delivery ──► MySQL
//!                                                             every row,     each row once
//!                                                             durable        by its key
//!                                                                 └───────► Reader ◄───────┘
//! ```
//! Without a server the file is the log. With one, the file holds only what is on its way there: the rows of
//! running calls, and those the server has not confirmed. A row lives in one place, so that what is erased there
//! is erased. A row is accepted when it is in the file: from then on no crash, and no absence of the server, loses it.
//!
//! Nothing here can touch a call: a full queue is counted and said, a failing disk or server is tried again.
//! It has no clock; the times in a row are whoever offers it's.
//!
//! | file | holds |
//! |---|---|
//! | `row` | [`Row`]: the columns, and both databases' rows made of them |
//! | `local` | the SQLite file: upserts, what is due, erasures |
//! | `server` | MySQL: where it is, upserts, erasures |
//! | `writer` | [`Log`], and the task behind it |
//! | `reader`, `stats` | [`Reader`]: lists, one call, sums |

mod local;
mod reader;
mod row;
mod server;
pub mod stats;
mod writer;

use std::path::PathBuf;

pub use reader::{Cursor, CursorError, Filter, Page, Reader};
pub use row::{Row, Tokens, row_id};
pub use server::{Server, ServerError};
pub use writer::{Backlog, Log, Tell, Writer};

use crate::number;

/// Where the call log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The SQLite file; made, 0640, where it is missing.
    pub file: PathBuf,
    /// The server the rows go to, if there is one.
    pub server: Option<Server>,
}

/// Why the call log does not answer.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The file or the server is not open, or not any more.
    #[error("the call log is not open")]
    Closed,
    /// It took too long.
    #[error("the database does not answer")]
    Late,
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Whose rows are to forget who called whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// The call with this recording.
    Recording(String),
    /// All calls of this number.
    Caller(number::Sought),
}

impl Whose {
    /// What finds the rows: each pair, those in which the column holds the value. Never those without a number.
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

/// What tells whose a row is.
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

/// Who opens the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opener {
    /// Whoever takes the calls: what the file says is running was cut off.
    Daemon,
    /// Somebody else, who may not know whether a daemon runs.
    Guest,
}

/// The log, whoever reads it, and the task that must run for either to work.
///
/// # Panics
/// Outside a tokio runtime.
#[must_use]
pub fn open(settings: &Settings, opener: Opener, tell: Tell) -> (Log, Reader, Writer) {
    let local = local::Local::new(&settings.file, settings.server.is_some());
    let server = settings.server.as_ref().map(server::Remote::new);
    let reader = Reader::new(local.clone(), server.clone());
    let (log, writer) = Writer::new(local, server, opener, tell);
    (log, reader, writer)
}

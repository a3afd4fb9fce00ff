//! Recordings: the files of every call. They are written during the call, completed after a crash, read and deleted.
//!
//! ```text
//!  calls ── Handle::push, never waits ──► queue ──► writer ──► {id}.live/ ──► clerk ──► {id}_….{json,txt,wav,bin}
//!                                                  one thread   during a call   one thread, finishes  │
//!                                                                                                     ▼
//!                 at a start: recover ── the same `finish` ─────────────────────────────────────► Library
//! ```
//!
//! During a call, its recording is a folder, `{id}.live`, that holds a log (one JSON line for everything except
//! audio), the audio, and a lock, which the process that writes the recording holds. When the call ends, the log is
//! folded into a conversation and the finished files appear by renaming, the conversation last. The same happens when
//! the daemon starts and finds a folder without an owner. The files are the truth; any index is made from them.
//!
//! With a recipient, everything is encrypted with `age` before it reaches the disk: during the call in pieces of at
//! most three seconds, afterwards in one file of each kind.
//!
//! | file | holds |
//! |---|---|
//! | `id` | [`RecordingId`], and the names of files |
//! | `writer`, `queue`, `recording` | [`Recorder`] and [`Handle`]: how calls hand data over, the thread that writes it, one recording in it |
//! | `share` | what a call and the writer tell each other |
//! | `clerk`, `syncer`, `shared` | the threads that finish recordings and sync written files to the disk; what the threads share |
//! | `live`, `track` | the folder of an unfinished recording; its files, plain or encrypted |
//! | `log`, `story` | the lines of the log, and the call that they describe when folded |
//! | `finish`, `conversation`, `summary` | the finished files |
//! | `ended` | the conversation of a call that has ended, whatever is recorded of it |
//! | `recover` | what a start does after a crash |
//! | `seal`, `age` | encryption in the file format of age |
//! | `file` | opening only regular files, and reading no more than fits into memory |
//! | `library`, `audio`, `delete`, `error` | listing, reading, deleting and exporting recordings; why one is not available |
//! | `index` | the database for questions about very many recordings |
//! | `retention` | the deletion of recordings that are too old |
//!
//! This module has no HTTP, no database and no async code. Its functions block, so callers on the runtime use
//! `spawn_blocking`, except for [`Recorder::open`], [`Handle::push`] and [`Handle::close`], which never wait.

mod age;
mod audio;
mod clerk;
mod conversation;
mod delete;
mod ended;
mod error;
pub(crate) mod file;
mod finish;
mod id;
pub mod index;
mod library;
mod live;
mod log;
mod queue;
mod recording;
mod recover;
pub mod retention;
mod seal;
mod share;
mod shared;
mod story;
mod summary;
mod syncer;
mod track;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{FixedOffset, NaiveDateTime};

pub use audio::{Audio, Side};
pub use ended::EndedCall;
pub use error::LibraryError;
pub use id::{IdError, Part, RecordingId};
pub use library::{Document, Library, OfCaller};
pub use queue::Handle;
pub use seal::{Identity, KeyError, Recipient};
pub use share::Kept;
pub use shared::RecorderReport;
pub use writer::{Health, Recorder};

use crate::call::record::Keep;
use crate::number::CallerNumber;
use crate::operator::Language;
use crate::units::{ByteCount, Milliseconds};

/// Where and how recordings are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordingSettings {
    /// The folder of the recordings. A missing folder is created with mode 0750.
    pub folder: PathBuf,
    /// What is kept of a call whose agent has no setting of its own.
    pub keep: Keep,
    /// The language of summaries.
    pub language: Language,
    /// The public key for which everything is encrypted. `None`: recordings are not encrypted.
    pub recipient: Option<Recipient>,
    /// The secret keys that decrypt recordings, if this machine has them. Shared by `Arc`, so that memory holds each
    /// key only once.
    pub identity: Option<Arc<Identity>>,
    /// Finished recordings older than this number of days are deleted. `None`: recordings are kept for ever.
    pub retention_days: Option<u32>,
}

/// The state of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// The call is running, or its recording is being finished.
    Live,
    /// The call ended and the recording is complete.
    Finished,
    /// A crash or a power cut interrupted the recording. Everything up to then is available. Encrypted recordings
    /// that could not be completed without the secret key are in this state as well.
    Recovered,
}

impl State {
    /// The state as a code for programs. Codes do not change between versions.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Finished => "finished",
            Self::Recovered => "recovered",
        }
    }
}

/// What a list shows of a recording, and what an index holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The recording's id.
    pub id: RecordingId,
    /// The recording's state.
    pub state: State,
    /// Whether the recording is encrypted.
    pub sealed: bool,
    /// The size of all files on disk.
    pub bytes: ByteCount,
    /// What only the conversation file holds. `None` if the file is encrypted and the secret key is not here.
    pub told: Option<Told>,
}

/// What only the conversation file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// When the call began, in the machine's local time, more precisely than in the id.
    pub started: NaiveDateTime,
    /// The UTC offset of `started`. Recordings of the original system have none.
    pub utc_offset: Option<FixedOffset>,
    /// How long the call lasted.
    pub duration: Milliseconds,
    /// The caller's number. Empty if it is withheld or unknown.
    pub caller: CallerNumber,
    /// The number that the caller dialled. Empty if it is unknown.
    pub called: String,
    /// The model that served the call. Empty if it is unknown.
    pub model: String,
    /// The name of the agent that served the call. Empty if it is unknown.
    pub agent: String,
    /// Why the call ended, as a code of [`EndReason`](crate::end_reason::EndReason). Empty while the call is running.
    pub end_reason: String,
    /// How many times the caller interrupted the assistant.
    pub interruptions: u64,
    /// The number of utterances.
    pub messages: u64,
}

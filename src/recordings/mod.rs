//! Recordings: the files of every call, written while it runs, completed after a crash, read and deleted.
//!
//! ```text
//!  call tasks ── Handle::push, never waits ──► queue ──► writer ──► {id}.live/ ── clerk ──► {id}_….{json,txt,wav,bin}
//!                                                        one thread               one thread      │
//!                                              files while a call runs         finishes           ▼
//!                      at start: recover ── the same `finish` ──────────────────────────────► Library
//! ```
//!
//! While a call runs, its recording is a folder, `{id}.live`, that holds a log (one JSON line for each thing
//! but sound), the sound, and a lock: whoever holds the lock is alive. When the call ends – or the daemon
//! starts and finds a folder without its owner – the log is folded into a conversation, and the finished files
//! appear by renaming, the conversation last. The files are the truth; any index is made from them.
//!
//! With a recipient everything is sealed with `age` before it touches the disk: in pieces of at most three
//! seconds while the call runs, in one file of each kind afterwards.
//!
//! | file | holds |
//! |---|---|
//! | `id` | [`RecordingId`], the names of files |
//! | `writer`, `queue` | [`Recorder`], [`Handle`]: the way in, and the thread behind it |
//! | `syncer` | the thread that brings what was written to the disk |
//! | `live`, `track` | the folder of a recording that is not finished; its files, plain or sealed |
//! | `log`, `story` | the lines of the log, and what they tell when folded |
//! | `finish`, `conversation`, `summary` | the finished files |
//! | `recover` | what a start does about a crash |
//! | `seal`, `age` | encryption, in the file format of age |
//! | `file` | opening regular files only, and no more of them than fits into memory |
//! | `library`, `audio` | listing, reading, deleting, exporting |
//!
//! This module has no HTTP, no database and no async code: all of it blocks, so callers on the runtime use
//! `spawn_blocking` (all but [`Recorder::open`], [`Handle::push`] and [`Handle::close`], which never wait).

mod age;
mod audio;
mod clerk;
mod conversation;
mod delete;
mod file;
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
mod story;
mod summary;
mod syncer;
mod track;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{FixedOffset, NaiveDateTime};

pub use audio::{Audio, Side};
pub use id::{IdError, Part, RecordingId};
pub use library::{Document, Library, LibraryError, OfCaller};
pub use queue::Handle;
pub use seal::{Identity, KeyError, Recipient};
pub use writer::{Health, News, Recorder};

use crate::call::record::Keep;
use crate::operator::Language;

/// Where recordings are kept, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordingSettings {
    /// The folder; made, 0750, where it is missing.
    pub folder: PathBuf,
    /// What is kept of a call unless it says otherwise.
    pub keep: Keep,
    /// The language of summaries.
    pub language: Language,
    /// Everything is encrypted for this key, if there is one.
    pub recipient: Option<Recipient>,
    /// Reads what is encrypted, if it is here. Behind an `Arc`: the key is in memory once.
    pub identity: Option<Arc<Identity>>,
    /// Finished recordings older than this many days are deleted. `None`: kept.
    pub retention_days: Option<u32>,
}

/// Where a recording stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Its call is running, or it is being finished.
    Live,
    /// The call ended and everything is here.
    Finished,
    /// A crash or a power cut ended it: up to then everything is here. Sealed ones that nobody could complete
    /// for want of the identity are among them.
    Recovered,
}

impl State {
    /// The stable word for machines.
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
    /// Its id.
    pub id: RecordingId,
    /// Where it stands.
    pub state: State,
    /// Whether it is encrypted.
    pub sealed: bool,
    /// What all its files take on disk.
    pub bytes: u64,
    /// What only its conversation tells. `None`: encrypted, and the identity is not here.
    pub told: Option<Told>,
}

/// What only the conversation tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// When the call began, local time of the machine. Finer than the id.
    pub started: NaiveDateTime,
    /// What that time is ahead of UTC; unknown in recordings of the original system.
    pub utc_offset: Option<FixedOffset>,
    /// How long the call lasted, milliseconds.
    pub duration_ms: u64,
    /// The caller's number; empty if withheld or unknown.
    pub caller: String,
    /// The number dialled; empty if unknown.
    pub called: String,
    /// The model that answered; empty if unknown.
    pub model: String,
    /// The agent that answered; empty if unknown.
    pub agent: String,
    /// Why the call ended (a code of [`EndReason`](crate::operator::EndReason)); empty while it runs.
    pub end_reason: String,
    /// How often the caller cut the assistant off.
    pub interruptions: u64,
    /// Utterances.
    pub messages: u64,
}

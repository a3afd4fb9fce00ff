//! Log files, and the threads that write them. The operator's log, the access log and the log of refused requests
//! use them.
//!
//! Whoever logs only hands a line over ([`Queue`]) and never waits for a full disk or a file server that hangs. The
//! file ([`LogFile`]) has a largest size, so that a flood of lines cannot fill the disk. logrotate makes room.
//! Trouble with a file is said once when it starts and once when it ends.
//!
//! ```text
//!             a write fails                  the file has its largest size
//!  Failing ◄──────────────── Writing ────────────────────► Full
//!     └────── it succeeds ──────►▲◄──── it is rotated or emptied ──┘
//! ```

mod queue;

use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::operator::{Detail, Notice};
use crate::units::ByteCount;
pub use queue::{Queue, Waiting};

/// The number of bytes by which a full file may exceed its size, for the line that says that the file is full. A
/// smaller value would lose that line.
const LAST_WORDS_BYTES: u64 = 4_096;

/// Opens a log file for appending, and creates the file and its folder if they are missing.
pub type Opener = fn(&Path) -> io::Result<File>;

/// A log file. Lines are appended to it; it is opened again after logrotate, retried on a full disk, and limited in
/// size.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    opener: Opener,
    /// The open file. None: it is opened before the next line.
    file: Option<File>,
    /// The largest size, in bytes.
    max_bytes: u64,
    /// The present size as far as it is known. Another process may have emptied the file.
    bytes: u64,
    state: State,
    /// Whether the last line was written in part, so that the next one must begin on a new line.
    is_mid_line: bool,
}

/// The state of the file.
#[derive(Debug, Clone, Copy)]
enum State {
    /// Lines are written to the file.
    Writing,
    /// The file cannot be written.
    Failing {
        /// The number of lines lost since then.
        lost: u64,
    },
    /// The file has its largest size.
    Full {
        /// The number of lines lost since then.
        lost: u64,
    },
}

impl State {
    /// The number of lines lost since the file was last written.
    const fn lost(self) -> u64 {
        match self {
            Self::Writing => 0,
            Self::Failing { lost } | Self::Full { lost } => lost,
        }
    }
}

impl LogFile {
    /// Describes a log file of at most this size. The first line opens the file.
    #[must_use]
    pub const fn new(path: PathBuf, max: ByteCount, opener: Opener) -> Self {
        let max_bytes = max.get();
        Self { path, opener, file: None, max_bytes, bytes: 0, state: State::Writing, is_mid_line: false }
    }

    /// Opens the path. If that fails, a file that is already open stays in use.
    ///
    /// # Errors
    /// Those of the [`Opener`].
    pub fn open(&mut self) -> io::Result<()> {
        let file = (self.opener)(&self.path)?;
        self.bytes = file.metadata()?.len();
        (self.file, self.is_mid_line) = (Some(file), false);
        Ok(())
    }

    /// Opens the path again after the file was moved away. If that fails, the old file stays in use.
    pub fn reopen(&mut self) -> Option<Notice> {
        self.open().err().map(|error| self.unwritable(&error))
    }

    /// Lets the next line open the path again if logrotate or a person has moved or removed the file.
    pub fn follow_path(&mut self) {
        let identity = |file: Metadata| (file.dev(), file.ino());
        let open = self.file.as_ref().and_then(|file| file.metadata().ok()).map(identity);
        if open != fs::symlink_metadata(&self.path).ok().map(identity) {
            self.file = None;
        }
    }

    /// Appends complete lines. Returns a notice if the file has become full, has begun to fail, or works again.
    pub fn append(&mut self, text: &str) -> Option<Notice> {
        let lines = text.lines().count() as u64;
        if self.file.is_none()
            && let Err(error) = self.open()
        {
            return self.failed(lines, &error);
        }
        let lost = self.state.lost();
        if !self.has_room(text, self.max_bytes) {
            let was = std::mem::replace(&mut self.state, State::Full { lost: lost + lines });
            let is_new = !matches!(was, State::Full { .. });
            return is_new.then(|| Notice::LogFull { path: self.shown_path(), mib: self.max_bytes >> 20 });
        }
        if let Err(error) = self.write(text) {
            return self.failed(lines, &error);
        }
        match std::mem::replace(&mut self.state, State::Writing) {
            State::Writing => None,
            State::Failing { lost: lines } | State::Full { lost: lines } => {
                Some(Notice::LogWritableAgain { path: self.shown_path(), lines })
            }
        }
    }

    /// Counts lines that could not be written. Returns a notice for the first of them.
    fn failed(&mut self, lines: u64, error: &io::Error) -> Option<Notice> {
        let lost = self.state.lost() + lines;
        let was = std::mem::replace(&mut self.state, State::Failing { lost });
        (!matches!(was, State::Failing { .. })).then(|| self.unwritable(error))
    }

    /// Appends a line about the file itself, for which a full file has a little room. A failure is not reported,
    /// because the trouble is already known.
    pub fn add_last_words(&mut self, line: &str) {
        if self.has_room(line, self.max_bytes + LAST_WORDS_BYTES) {
            self.write(line).ok();
        }
    }

    /// Whether the file stays within `max` bytes with this text. Before the answer is no, the size of the file is
    /// read again, because another process may have emptied the file.
    fn has_room(&mut self, text: &str, max: u64) -> bool {
        let fits = |bytes: u64| bytes.saturating_add(text.len() as u64) <= max;
        if !fits(self.bytes)
            && let Some(now) = self.file.as_ref().and_then(|file| file.metadata().ok())
        {
            self.bytes = now.len();
        }
        fits(self.bytes)
    }

    /// Writes the text in one system call if the disk permits, so that the lines of two processes do not mix.
    fn write(&mut self, text: &str) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Err(io::ErrorKind::NotFound.into()) };
        let whole = if self.is_mid_line { format!("\n{text}") } else { text.to_owned() };
        let mut rest = whole.as_bytes();
        while !rest.is_empty() {
            match file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = &rest[written..];
                    self.bytes += written as u64;
                    self.is_mid_line = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn unwritable(&self, error: &io::Error) -> Notice {
        Notice::LogUnwritable { path: self.shown_path(), cause: Detail::new(error) }
    }

    fn shown_path(&self) -> String {
        self.path.display().to_string()
    }
}

#[cfg(test)]
mod tests;

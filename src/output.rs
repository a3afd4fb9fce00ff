//! Prints the answers of commands to stdout. Log lines do not pass through here.
//!
//! A reader that has seen enough, such as `head`, closes the pipe. That is no fault: the command then ends quietly,
//! with the exit code that shells show for a program that SIGPIPE has ended.

use std::io::{self, Write as _};

/// The exit code when the reader has closed the pipe: 128 plus the number of SIGPIPE, as in POSIX shells.
pub const UNREAD: u8 = 141;

/// The reader has closed the pipe.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
struct Unread;

/// Prints `text` and a line break.
///
/// # Errors
/// stdout cannot be written. [`is_unread`] says whether the cause is a reader that has closed the pipe.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => io::Error::new(io::ErrorKind::BrokenPipe, Unread),
        _ => error,
    })
}

/// Whether the error comes from [`print()`] because the reader has closed the pipe. The broken pipe of a socket does
/// not count.
#[must_use]
pub fn is_unread(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Unread>())
}

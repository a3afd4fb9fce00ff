//! What commands print for whoever ran them: their answers, on stdout. Lines of the log are not its business.
//!
//! A reader that has seen enough – `head`, say – closes the pipe. That is no fault: the command ends quietly, with the code
//! that a shell shows for a program which SIGPIPE has ended.

use std::io::{self, Write as _};

/// The exit code where nobody reads the output any more: 128 and the number of SIGPIPE, as POSIX shells have it.
pub const UNREAD: u8 = 141;

/// Why nothing more is printed.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
struct Unread;

/// Prints `text` and the end of its line.
///
/// # Errors
/// stdout cannot be written; [`is_unread`] tells whether only nobody reads it.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => io::Error::new(io::ErrorKind::BrokenPipe, Unread),
        _ => error,
    })
}

/// Whether the error is of [`print()`], and nobody reads the output any more. The broken pipe of a socket is none of these.
#[must_use]
pub fn is_unread(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Unread>())
}

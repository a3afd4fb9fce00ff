//! Why a recording, or a part of it, is not available.

use std::io;

/// Why a recording is not available.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// There is no such recording.
    #[error("no such recording")]
    NotFound,
    /// The call is running, or its recording is being finished.
    #[error("the call is still running")]
    Live,
    /// The recording is encrypted, and the secret key is not here.
    #[error("encrypted, and no identity here opens it")]
    Sealed,
    /// The recording exists, but this part of it was not kept (`RECORD`).
    #[error("not kept of this recording")]
    NotKept,
    /// The file is damaged.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The disk reported an error.
    #[error(transparent)]
    Io(io::Error),
}

impl From<io::Error> for LibraryError {
    /// Restores an error of this type that was passed through a reader as an I/O error.
    fn from(error: io::Error) -> Self {
        error.downcast().unwrap_or_else(Self::Io)
    }
}

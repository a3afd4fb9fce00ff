//! Remembers for which recordings the log already shows a warning. Whoever may read can ask for a damaged recording as
//! often as they like, and must not be able to fill the log that way.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::recordings::{LibraryError, RecordingId};

/// The number of recordings that get a warning until the program is started again. With a larger value, more memory
/// is used when a disk damages many recordings; with a smaller one, the log names fewer of them.
const REMEMBERED: usize = 1_024;

/// The recordings whose failure is in the log.
#[derive(Debug, Default)]
pub(super) struct Said(Mutex<HashSet<RecordingId>>);

impl Said {
    /// Logs that a recording cannot be read because of its files or the disk: a warning for the first failure of each
    /// recording, and otherwise a line at DEBUG.
    pub(super) fn log(&self, id: &RecordingId, error: &LibraryError) {
        if !matches!(error, LibraryError::Damaged(_) | LibraryError::Io(_)) {
            return;
        }
        if self.is_first(id) {
            tracing::warn!(%id, %error, "a recording cannot be read; further failures of it are logged at debug");
        } else {
            tracing::debug!(%id, %error, "a recording cannot be read");
        }
    }

    fn is_first(&self, id: &RecordingId) -> bool {
        let mut said = self.recordings();
        said.len() < REMEMBERED && said.insert(id.clone())
    }

    fn recordings(&self) -> MutexGuard<'_, HashSet<RecordingId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_recording_gets_one_warning_and_their_number_is_bounded() {
        let said = Said::default();
        let id = |n: usize| format!("20251020_143025_{n}").parse::<RecordingId>().unwrap();
        assert_eq!([said.is_first(&id(0)), said.is_first(&id(0))], [true, false]);
        assert_eq!((0..10_000).filter(|n| said.is_first(&id(*n))).count(), REMEMBERED - 1);
        assert_eq!(said.recordings().len(), REMEMBERED);
    }
}

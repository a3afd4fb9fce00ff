//! Recordings that are past their time, and recordings somebody wants gone. Blocking; running calls are never
//! among them.

use std::io;

use chrono::{Days, NaiveDateTime};

use super::{Library, LibraryError, RecordingId};

/// What came of deleting.
#[derive(Debug, Default)]
pub struct Purged {
    /// They are gone.
    pub gone: Vec<RecordingId>,
    /// They are still here, and why.
    pub kept: Vec<(RecordingId, LibraryError)>,
}

/// The moment before which recordings are past their time: so many days ago, local time. A recording begun
/// exactly then is kept.
#[must_use]
pub fn cutoff(now: NaiveDateTime, days: u32) -> NaiveDateTime {
    now.checked_sub_days(Days::new(u64::from(days))).unwrap_or(NaiveDateTime::MIN)
}

/// Whether this is more than half of all recordings. A clock that is wrong makes all of them too old; so does a setting
/// with a digit too few.
#[must_use]
pub const fn is_most(expired: usize, of: usize) -> bool {
    expired > of / 2
}

/// Deletes each of them, whatever becomes of the others.
#[must_use]
pub fn purge(library: &Library, ids: Vec<RecordingId>) -> Purged {
    let mut purged = Purged::default();
    for id in ids {
        match library.delete(&id) {
            // Somebody else was faster.
            Ok(()) | Err(LibraryError::NotFound) => purged.gone.push(id),
            Err(error) => purged.kept.push((id, error)),
        }
    }
    purged
}

/// Deletes what is past its time.
///
/// # Errors
/// The folder cannot be read.
pub fn expire(library: &Library, now: NaiveDateTime, days: u32) -> io::Result<Purged> {
    Ok(purge(library, library.older_than(cutoff(now, days))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_back_from_now_to_the_second() {
        let at = |text| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap();
        assert_eq!(cutoff(at("2026-03-01 12:30:15"), 1), at("2026-02-28 12:30:15"));
        assert_eq!(cutoff(at("2026-03-31 00:00:00"), 30), at("2026-03-01 00:00:00"));
        assert_eq!(cutoff(at("2026-03-31 00:00:00"), u32::MAX), NaiveDateTime::MIN);
    }
}

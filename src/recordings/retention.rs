//! Recordings that are past their time, and recordings somebody wants gone. Blocking; running calls are never
//! among them.
//!
//! What is deleted by age is deleted by the machine's clock, and a clock may be wrong: a year ahead, it makes every
//! recording old. So nobody deletes more than half of all recordings at once without being told to ([`is_most`]),
//! and the hourly task waits until the clock has been set by a time server ([`Clock`]). What comes to be past its time
//! while the daemon watches the clock go on ([`Judge`]) is deleted whatever its share: otherwise the last recordings
//! of a quiet line would never go.

use std::io;
use std::time::Instant;

use chrono::{Days, NaiveDateTime, TimeDelta};

use super::{Library, LibraryError, RecordingId};

/// What the clock may advance between two looks beyond the time that passed. Less, and the hour of summer time would
/// count as a wrong clock; more, and a clock that jumps could take more recordings with it.
const JUMP: TimeDelta = TimeDelta::hours(2);

/// Whether the machine's clock can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// A time server has set it.
    Synchronised,
    /// Nobody has set it since the machine started.
    Unsynchronised,
    /// The machine does not tell.
    Unknown,
}

/// How retention stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// Recordings are kept for ever.
    #[default]
    Off,
    /// What is past its time is deleted.
    Working,
    /// Recordings seem to be past their time, by a clock that no time server has set: they are kept.
    ClockUnsynchronised,
    /// More than half of all recordings seem to be past their time: they are kept until somebody deletes them.
    TooMany,
}

impl Standing {
    /// The stable word for machines.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Working => "working",
            Self::ClockUnsynchronised => "clock_unsynchronised",
            Self::TooMany => "too_many",
        }
    }

    /// Whether somebody has to look after it.
    #[must_use]
    pub const fn needs_a_person(self) -> bool {
        matches!(self, Self::ClockUnsynchronised | Self::TooMany)
    }
}

/// The recordings that are past their time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// They, oldest first.
    pub ids: Vec<RecordingId>,
    /// How many recordings there are in all, those of running calls left out.
    pub of: usize,
}

/// What is to be done about recordings that are past their time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Delete these.
    Delete(Vec<RecordingId>),
    /// Delete nothing: they are too many for the clock or the setting to be right.
    Keep(Due),
}

/// Judges, look by look, whether recordings that are past their time may be deleted.
#[derive(Debug, Default)]
pub struct Judge {
    /// The last look after which nothing past its time was left, and the [`cutoff`] then.
    watched: Option<(Instant, NaiveDateTime)>,
}

impl Judge {
    /// The verdict of a look at this instant that found what is before `cutoff`.
    #[must_use]
    pub fn judge(&mut self, now: Instant, cutoff: NaiveDateTime, due: Due) -> Verdict {
        let watched = self.watched.take().filter(|(at, before)| {
            let passed = TimeDelta::from_std(now.saturating_duration_since(*at)).unwrap_or(TimeDelta::MAX);
            (cutoff - *before) <= passed.checked_add(&JUMP).unwrap_or(TimeDelta::MAX)
        });
        let unwatched = |id: &&RecordingId| watched.is_none_or(|(_, before)| id.started() < before);
        if is_most(due.ids.iter().filter(unwatched).count(), due.of) {
            return Verdict::Keep(due);
        }
        self.watched = Some((now, cutoff));
        Verdict::Delete(due.ids)
    }
}

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

/// Recordings of calls that began before `cutoff` (local time of the machine).
///
/// # Errors
/// The folder cannot be read.
pub fn due(library: &Library, cutoff: NaiveDateTime) -> io::Result<Due> {
    let ended = library.ended()?;
    let of = ended.len();
    Ok(Due { ids: before(ended, cutoff), of })
}

/// Those of calls that began before `cutoff`, in the opposite order.
#[must_use]
pub fn before(ids: Vec<RecordingId>, cutoff: NaiveDateTime) -> Vec<RecordingId> {
    ids.into_iter().rev().filter(|id| id.started() < cutoff).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap()
    }

    /// What is due among recordings of these days of March, at this time.
    fn due_of(days: &[u32], cutoff: NaiveDateTime) -> Due {
        let all = days.iter().map(|day| format!("202603{day:02}_120000_a").parse::<RecordingId>().unwrap());
        Due { ids: all.filter(|id| id.started() < cutoff).collect(), of: days.len() }
    }

    #[test]
    fn days_are_counted_back_from_now_to_the_second() {
        assert_eq!(cutoff(at("2026-03-01 12:30:15"), 1), at("2026-02-28 12:30:15"));
        assert_eq!(cutoff(at("2026-03-31 00:00:00"), 30), at("2026-03-01 00:00:00"));
        assert_eq!(cutoff(at("2026-03-31 00:00:00"), u32::MAX), NaiveDateTime::MIN);
    }

    #[test]
    fn more_than_half_is_never_deleted_at_once() {
        let now = crate::daemon::clock::now();
        let verdict = |days: &[u32]| {
            let cutoff = at("2026-03-03 00:00:00");
            Judge::default().judge(now, cutoff, due_of(days, cutoff))
        };
        assert!(matches!(verdict(&[1, 2, 3, 4]), Verdict::Delete(ids) if ids.len() == 2));
        assert!(matches!(verdict(&[]), Verdict::Delete(ids) if ids.is_empty()));
        for most in [&[1][..], &[1, 2], &[1, 2, 3]] {
            assert!(matches!(verdict(most), Verdict::Keep(due) if due.of == most.len()), "{most:?}");
        }
    }

    #[test]
    fn what_comes_to_be_past_its_time_under_watch_goes_and_what_a_jump_of_the_clock_makes_old_stays() {
        let begin = crate::daemon::clock::now();
        let hour = Duration::from_hours(1);
        let mut judge = Judge::default();
        let mut look = |hours: u32, cutoff: &str, days: &[u32]| {
            let cutoff = at(cutoff);
            matches!(judge.judge(begin + hour * hours, cutoff, due_of(days, cutoff)), Verdict::Delete(_))
        };
        assert!(look(0, "2026-03-01 11:30:00", &[1, 5]));
        assert!(look(1, "2026-03-01 12:30:00", &[1]), "the only one there is, an hour later");
        assert!(look(2, "2026-03-01 14:30:00", &[5]), "summer time");
        assert!(!look(3, "2027-03-01 14:30:00", &[5]), "a year in an hour");
        assert!(!look(4, "2027-03-01 15:30:00", &[5]), "it stays as wrong");
        assert!(look(5, "2026-03-01 17:30:00", &[5]), "it is right again");
        assert!(look(5 + 96, "2026-03-05 17:30:00", &[5]), "and was watched since");
    }
}

//! Finds and deletes recordings that are older than the retention period, or that somebody wants deleted. The
//! functions block. Recordings of running calls are never deleted.
//!
//! The age of a recording depends on the machine's clock, which may be wrong: a clock that is a year ahead makes
//! every recording old. Therefore nothing deletes more than half of all recordings at once without an explicit
//! command ([`is_most`]), and the hourly task waits until a time server has set the clock (`Clock`). Recordings
//! that grow too old while the daemon observes the clock ([`Judge`]) are deleted whatever their share is; otherwise
//! the last recordings of a line with few calls would never be deleted.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::time::Instant;

use chrono::{Days, NaiveDateTime, TimeDelta};

use super::{Library, LibraryError, RecordingId};

/// How much further than the elapsed time the clock may advance between two examinations. With a smaller value, the
/// change to daylight saving time would count as a wrong clock; with a larger one, a jump of the clock could delete
/// more recordings.
const JUMP: TimeDelta = TimeDelta::hours(2);

/// For how many days recordings are kept, by the name of the agent: the agents that have a period of their own.
pub type OfAgents = BTreeMap<Arc<str>, u32>;

/// For how many days recordings are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Periods {
    /// The recordings of the agents that have no period of their own. `None`: for ever.
    pub of_others: Option<u32>,
    /// The recordings of the agents that have one.
    pub of_agents: OfAgents,
}

/// Recordings that have the same period and are judged together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Those of an agent that has a period of its own.
    Agent(Arc<str>),
    /// Those of all other agents, and those that name no agent.
    Others,
    /// Those whose agent is not known here, because they are encrypted and the index was made anew.
    Unknown,
}

impl Periods {
    /// The groups whose recordings are not kept for ever, each with its number of days.
    pub fn limited(&self) -> impl Iterator<Item = (Group, u32)> {
        let of_agents = self.of_agents.iter().map(|(name, days)| (Group::Agent(Arc::clone(name)), *days));
        let of_others = self.of_others.map(|days| (Group::Others, days));
        of_agents.chain(of_others).chain(self.of_unknown().map(|days| (Group::Unknown, days)))
    }

    /// A recording whose agent is not known is kept as long as that of any agent, so that no recording is deleted early.
    fn of_unknown(&self) -> Option<u32> {
        let longest = self.of_agents.values().copied().max()?;
        self.of_others.map(|days| days.max(longest))
    }

    /// Divides recordings into the groups. `agents` has the name of the agent of each recording that is known. The order
    /// within a group stays.
    #[must_use]
    pub fn divide(
        &self,
        ids: Vec<RecordingId>,
        agents: &HashMap<RecordingId, Arc<str>>,
    ) -> BTreeMap<Group, Vec<RecordingId>> {
        let mut groups = BTreeMap::<Group, Vec<RecordingId>>::new();
        for id in ids {
            let group = match agents.get(&id) {
                _ if self.of_agents.is_empty() => Group::Others,
                None => Group::Unknown,
                Some(name) if self.of_agents.contains_key(name) => Group::Agent(Arc::clone(name)),
                Some(_) => Group::Others,
            };
            groups.entry(group).or_default().push(id);
        }
        groups
    }
}

/// The state of the retention. A state that follows is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum RetentionState {
    /// Recordings are kept for ever.
    #[default]
    Off,
    /// Recordings that are too old are deleted.
    Working,
    /// Some recordings seem to be too old, but no time server has set the clock. They are kept.
    ClockUnsynchronised,
    /// More than half of all recordings seem to be too old. They are kept until somebody deletes them.
    TooMany,
}

impl RetentionState {
    /// The state as a code for programs. Codes do not change between versions.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Working => "working",
            Self::ClockUnsynchronised => "clock_unsynchronised",
            Self::TooMany => "too_many",
        }
    }

    /// Whether a person should look at it.
    #[must_use]
    pub const fn needs_a_person(self) -> bool {
        matches!(self, Self::ClockUnsynchronised | Self::TooMany)
    }
}

/// The recordings that are older than the retention period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// The ids of these recordings, oldest first.
    pub ids: Vec<RecordingId>,
    /// The number of all recordings, without those of running calls.
    pub of: usize,
}

/// The decision about recordings that are too old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Delete these recordings.
    Delete(Vec<RecordingId>),
    /// Delete nothing: there are too many for the clock or the setting to be right.
    Keep(Due),
}

/// Decides at each examination whether recordings that are too old may be deleted.
#[derive(Debug, Default)]
pub struct Judge {
    /// The time of the last examination after which nothing was too old, with its [`cutoff`].
    watched: Option<(Instant, NaiveDateTime)>,
}

impl Judge {
    /// Decides about `due`, the recordings from before `cutoff`, at the time `now`.
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

/// The result of deleting recordings.
#[derive(Debug, Default)]
pub struct Purged {
    /// The recordings that were deleted.
    pub gone: Vec<RecordingId>,
    /// The recordings that could not be deleted, with the reasons.
    pub kept: Vec<(RecordingId, LibraryError)>,
}

/// The start time before which recordings are too old: this number of days before `now`, in local time. A recording
/// that began exactly then is kept.
#[must_use]
pub fn cutoff(now: NaiveDateTime, days: u32) -> NaiveDateTime {
    now.checked_sub_days(Days::new(u64::from(days))).unwrap_or(NaiveDateTime::MIN)
}

/// Whether this is more than half of all recordings. A wrong clock makes all recordings too old, and so does a
/// setting that lacks a digit.
#[must_use]
pub const fn is_most(expired: usize, of: usize) -> bool {
    expired > of / 2
}

/// Deletes each of these recordings. A failure does not prevent the deletion of the others.
#[must_use]
pub fn purge(library: &Library, ids: Vec<RecordingId>) -> Purged {
    let mut purged = Purged::default();
    for id in ids {
        match library.delete(&id) {
            Ok(()) => purged.gone.push(id),
            Err(error) => purged.kept.push((id, error)),
        }
    }
    purged
}

/// Finds the recordings of calls that began before `cutoff`, in the machine's local time.
///
/// # Errors
/// The folder cannot be read.
pub fn due(library: &Library, cutoff: NaiveDateTime) -> io::Result<Due> {
    let ended = library.ended()?;
    let of = ended.len();
    Ok(Due { ids: before(ended, cutoff), of })
}

/// Selects the recordings of calls that began before `cutoff`, and reverses their order.
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

    /// The days and times are in March. Returns what is due among the recordings of these days.
    fn due_of(days: &[u32], cutoff: NaiveDateTime) -> Due {
        let all = days.iter().map(|day| format!("202603{day:02}_120000_a").parse::<RecordingId>().unwrap());
        Due { ids: all.filter(|id| id.started() < cutoff).collect(), of: days.len() }
    }

    #[test]
    fn each_agent_has_its_period_and_what_nobody_knows_is_kept_longest() {
        let ids = ["a", "b", "c", "d"]
            .map(|call| format!("20260301_120000_{call}").parse::<RecordingId>().unwrap());
        let [sales, help, none, _] = &ids;
        let agents = [(sales, "sales"), (help, "help"), (none, "")];
        let agents = agents.map(|(id, name)| (id.clone(), Arc::from(name))).into();
        let divided = |periods: &Periods| {
            let groups = periods.divide(ids.to_vec(), &agents);
            let calls =
                |ids: Vec<RecordingId>| ids.iter().map(|id| id.call_id().to_owned()).collect::<String>();
            groups.into_iter().map(|(group, ids)| (group, calls(ids))).collect::<Vec<_>>()
        };
        let all = Periods { of_others: Some(30), of_agents: OfAgents::new() };
        assert_eq!(divided(&all), [(Group::Others, "abcd".into())]);
        assert_eq!(all.limited().collect::<Vec<_>>(), [(Group::Others, 30)]);
        let sales = Group::Agent("sales".into());
        let own = Periods { of_agents: [("sales".into(), 90)].into(), ..all };
        let groups =
            [(sales.clone(), "a".into()), (Group::Others, "bc".into()), (Group::Unknown, "d".into())];
        assert_eq!(divided(&own), groups);
        let limited = own.limited().collect::<Vec<_>>();
        assert_eq!(limited, [(sales.clone(), 90), (Group::Others, 30), (Group::Unknown, 90)]);
        let for_ever = Periods { of_others: None, ..own };
        assert_eq!(for_ever.limited().collect::<Vec<_>>(), [(sales, 90)]);
    }

    #[test]
    fn days_are_counted_back_from_now_to_the_second() {
        assert_eq!(cutoff(at("2026-03-01 12:30:15"), 1), at("2026-02-28 12:30:15"));
        assert_eq!(cutoff(at("2026-03-31 00:00:00"), 30), at("2026-03-01 00:00:00"));
        assert_eq!(cutoff(at("2026-03-31 00:00:00"), u32::MAX), NaiveDateTime::MIN);
    }

    #[test]
    fn more_than_half_is_never_deleted_at_once() {
        let now = crate::clock::now();
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
        let begin = crate::clock::now();
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

//! Whether the machine carries the calls it has: by how late their clocks run, which is what callers would hear. While
//! it does not, no more callers are taken.
//!
//! Calls count, each on its own task; the daemon looks every [`TURN`], and judges by the last second. A machine that
//! stood still for a moment, as a virtual one does now and then, is not overloaded.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How often it is judged. Longer: more callers are taken before it shows.
pub(super) const TURN: Duration = Duration::from_millis(100);
/// Of more ticks than one in so many being late, callers hear something: 1 %.
const ONE_IN: u32 = 100;
/// The judgement is on so many turns; that it is over, on so many without.
const TURNS_TO_BEGIN: usize = 10;
const TURNS_TO_END: usize = 20;
/// It takes late turns, so many of them: one moment makes two at most.
const LATE_TURNS: usize = 3;
/// And so many late ticks: of few calls, a single one is more than 1 %.
const LATE_TICKS: u32 = 10;

/// The ticks of all calls since the daemon last looked.
#[derive(Debug, Default)]
pub(super) struct Ticks {
    all: AtomicU32,
    late: AtomicU32,
}

impl Ticks {
    /// A call's clock ticked, later than it may or not.
    pub(super) fn note(&self, is_late: bool) {
        self.all.fetch_add(1, Ordering::Relaxed);
        if is_late {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many there were, and how many of them late. Counts anew from here.
    pub(super) fn take(&self) -> (u32, u32) {
        (self.all.swap(0, Ordering::Relaxed), self.late.swap(0, Ordering::Relaxed))
    }
}

/// The judgement.
#[derive(Debug, Default)]
pub(super) struct Strain {
    is_on: bool,
    /// Of the last turns: the ticks, and the late ones.
    turns: VecDeque<(u32, u32)>,
}

impl Strain {
    /// Whether the machine is overloaded.
    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Takes the ticks of one turn, all and late. Whether the judgement has changed.
    pub(super) fn judge(&mut self, turn: (u32, u32)) -> bool {
        let turns = if self.is_on { TURNS_TO_END } else { TURNS_TO_BEGIN };
        if self.turns.len() == turns {
            self.turns.pop_front();
        }
        self.turns.push_back(turn);
        let is_late = self.is_late();
        let has_changed = if self.is_on { !is_late && self.turns.len() == turns } else { is_late };
        if has_changed {
            *self = Self { is_on: !self.is_on, ..Self::default() };
        }
        has_changed
    }

    fn is_late(&self) -> bool {
        let is_late = |(all, late): (u32, u32)| late > all / ONE_IN;
        let (all, late) = self.turns.iter().fold((0, 0), |sum, turn| (sum.0 + turn.0, sum.1 + turn.1));
        let late_turns = self.turns.iter().filter(|turn| is_late(**turn)).count();
        is_late((all, late)) && late >= LATE_TICKS && late_turns >= LATE_TURNS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_ticks_are_counted_and_counted_anew() {
        let ticks = Ticks::default();
        ticks.note(false);
        ticks.note(true);
        assert_eq!((ticks.take(), ticks.take()), ((2, 1), (0, 0)));
    }

    const FINE: (u32, u32) = (1_000, 2);
    const LATE: (u32, u32) = (1_000, 100);

    #[test]
    fn a_moment_is_no_strain_and_three_are() {
        let mut strain = Strain::default();
        let moment = [FINE, (1_000, 900), (1_000, 900), FINE, FINE, FINE, FINE, FINE, FINE, FINE, FINE];
        assert!(![moment, moment].as_flattened().iter().any(|turn| strain.judge(*turn)));
        let changes = [LATE, FINE, FINE, LATE, FINE, FINE, LATE].map(|turn| strain.judge(turn));
        assert_eq!(changes.iter().position(|changed| *changed), Some(6));
        assert!(strain.is_on());
    }

    #[test]
    fn it_ends_when_two_seconds_were_fine() {
        let mut strain = Strain::default();
        assert!([LATE; 3].map(|turn| strain.judge(turn))[2]);
        let turns = [[FINE; 6].as_slice(), &[LATE; 3], &[FINE; 17]].concat();
        assert!(!turns.iter().any(|turn| strain.judge(*turn)), "three late ones are among the last 20");
        assert!(strain.judge((0, 0)) && !strain.is_on(), "no call at all is no strain");
    }

    #[test]
    fn a_late_tick_now_and_then_of_few_calls_is_no_strain() {
        let mut strain = Strain::default();
        assert!(![(10, 1); 9].map(|turn| strain.judge(turn)).contains(&true));
        assert!(strain.judge((10, 1)), "but one in every turn is");
    }
}

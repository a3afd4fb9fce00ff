//! Whether the machine carries the calls it has: by how late their clocks run, which is what callers would hear. While
//! it does not, no more callers are taken.
//!
//! Calls count, each on its own task; the daemon looks every [`TURN`]. A machine that stood still for a moment, as a
//! virtual one does now and then, is not overloaded: it takes several turns in a row.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How often it is judged. Longer: more callers are taken before it shows.
pub(super) const TURN: Duration = Duration::from_millis(100);
/// A turn is late in which more than one tick in so many is.
const ONE_IN: u32 = 100;
/// So many turns in a row that are late make it overloaded, with so many late ticks among them at least: of few calls, a
/// single one is more than 1 %. So many that are not end it.
const TURNS_TO_BEGIN: u32 = 5;
const LATE_TO_BEGIN: u32 = 10;
const TURNS_TO_END: u32 = 20;

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
    /// Turns in a row that say otherwise, and the late ticks among them.
    against: u32,
    late: u32,
}

impl Strain {
    /// Whether the machine is overloaded.
    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Takes the ticks of one turn. Whether the judgement has changed.
    pub(super) fn judge(&mut self, (all, late): (u32, u32)) -> bool {
        let was_late = late > all / ONE_IN;
        if was_late == self.is_on {
            (self.against, self.late) = (0, 0);
            return false;
        }
        self.against += 1;
        self.late += late;
        let has_changed = if self.is_on {
            self.against >= TURNS_TO_END
        } else {
            self.against >= TURNS_TO_BEGIN && self.late >= LATE_TO_BEGIN
        };
        if has_changed {
            *self = Self { is_on: !self.is_on, ..Self::default() };
        }
        has_changed
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

    #[test]
    fn it_takes_some_time_to_begin_and_longer_to_end() {
        let mut strain = Strain::default();
        let (fine, late) = ((1_000, 10), (1_000, 11));
        let moment = [late, late, late, late, fine, late, late, late, late];
        assert!(!moment.map(|turn| strain.judge(turn)).contains(&true), "a machine that stood still twice");
        assert!(strain.judge(late) && strain.is_on());
        let almost = [fine; TURNS_TO_END as usize - 1];
        let turns = [&almost[..], &[late], &almost].concat();
        assert!(!turns.iter().any(|turn| strain.judge(*turn)), "not for long enough");
        assert!(strain.judge((0, 0)) && !strain.is_on(), "no call at all is no strain");
    }

    #[test]
    fn a_late_tick_now_and_then_of_few_calls_is_no_strain() {
        let mut strain = Strain::default();
        assert!(![(10, 1); 9].map(|turn| strain.judge(turn)).contains(&true));
        assert!(strain.judge((10, 1)), "but a second of it is");
    }
}

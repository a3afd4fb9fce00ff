//! Whether the machine carries the calls it has: by how late their clocks run, which is what callers would hear. While
//! it does not, no more callers are taken.
//!
//! Calls count, each on its own task; the daemon looks every [`TURN`]. A machine that stood still for a moment, as a
//! virtual one does now and then, is not overloaded: it takes several turns in a row.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How often it is judged. Longer: more callers are taken before it shows.
pub(super) const TURN: Duration = Duration::from_millis(250);
/// More than one tick in so many is late: 1 %.
const ONE_IN: u32 = 100;
/// So many turns in a row that are late make it overloaded, and so many that are not end that.
const TURNS_TO_BEGIN: u32 = 3;
const TURNS_TO_END: u32 = 8;

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
    /// Turns in a row that say otherwise.
    against: u32,
}

impl Strain {
    /// Whether the machine is overloaded.
    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Takes the ticks of one turn. Whether the judgement has changed.
    pub(super) fn judge(&mut self, (all, late): (u32, u32)) -> bool {
        let was_late = late > all / ONE_IN;
        self.against = if was_late == self.is_on { 0 } else { self.against + 1 };
        let enough = if self.is_on { TURNS_TO_END } else { TURNS_TO_BEGIN };
        let has_changed = self.against >= enough;
        if has_changed {
            (self.is_on, self.against) = (!self.is_on, 0);
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
        assert!(![late, late, fine, late, late].map(|turn| strain.judge(turn)).contains(&true), "a moment");
        assert!(strain.judge(late) && strain.is_on());
        let mut turns = [fine; 7].to_vec();
        turns.extend([late, fine, fine, fine, fine, fine, fine, fine]);
        assert!(!turns.iter().any(|turn| strain.judge(*turn)), "not for long enough");
        assert!(strain.judge((0, 0)) && !strain.is_on(), "no call at all is no strain");
    }
}

//! Counts the ticks of all calls' clocks, and how many of them were late.

use std::sync::atomic::{AtomicU32, Ordering};

/// The ticks of all calls' clocks since the daemon last looked.
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
}

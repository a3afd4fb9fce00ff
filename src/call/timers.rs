//! When something is due in a call, and what is then done: one table for each phase that has any.
//!
//! Every input lets time pass, so each handler of the phase is called after each input and does what is due by then.

use std::time::{Duration, Instant};

use super::Call;
use super::closing::Phase;

/// If no timer is set because the call waits for outside events only, it is examined again after this time. This limits the
/// damage of a deadline that is missing in the tables. A shorter time wakes calls for nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Something that becomes due.
struct Timer {
    /// When; None: not as things stand.
    due: fn(&Call) -> Option<Instant>,
    /// Does what is due by now. Ends the table if it ends the phase.
    run: fn(&mut Call),
}

/// The timers of [`Phase::SettingUp`] and [`Phase::Talking`].
const SERVING: [Timer; 12] = [
    Timer { due: next_frame, run: Call::play },
    Timer { due: |call| call.uplink.deadline(), run: Call::fill },
    Timer { due: |call| call.leg.deadline(), run: Call::advance_leg },
    Timer { due: |call| call.session.deadline(), run: Call::advance_session },
    Timer { due: next_frame, run: Call::advance_sessions },
    Timer { due: |call| call.keys.deadline(), run: Call::advance_keys },
    Timer { due: next_frame, run: Call::advance_limits },
    Timer { due: next_frame, run: Call::advance_owed },
    Timer { due: next_frame, run: Call::advance_tools },
    Timer { due: next_frame, run: Call::advance_knowledge },
    Timer { due: |call| call.responses.deadline(call.quiet_at(), call.now), run: Call::ask },
    Timer { due: Call::leaving_deadline, run: Call::advance_leaving },
];

/// The timers of [`Phase::Closing`].
const CLOSING: [Timer; 3] = [
    Timer { due: |call| call.leg.deadline(), run: Call::advance_leg },
    Timer { due: |call| call.phase.closing()?.needs_deadline(), run: Call::advance_needs },
    Timer { due: |call| call.phase.closing()?.deadline(call.now), run: Call::advance_closing },
];

/// What is not worth a timer of its own is looked at with every frame that leaves, or with every beat of a call whose frames
/// OpenAI sends.
fn next_frame(call: &Call) -> Option<Instant> {
    call.playout.deadline()
}

fn timers(phase: &Phase) -> &'static [Timer] {
    match phase {
        Phase::SettingUp | Phase::Talking => &SERVING,
        Phase::Closing(_) => &CLOSING,
        Phase::Ended(_) => &[],
    }
}

impl Call {
    /// Does everything that is due by now.
    pub(super) fn advance(&mut self) {
        self.run_timers();
        self.check_end();
        self.next_due = self.due();
    }

    /// Does what is due by now, or may be done early, after a packet of the caller. A packet changes only when silence is made
    /// up, so that nothing else needs to be looked at before it is due.
    pub(super) fn advance_with_packet(&mut self) {
        self.next_due = [self.next_due, self.uplink.deadline()].into_iter().flatten().min();
        if self.playout.is_due(self.now) || self.next_due.is_some_and(|at| at <= self.now) {
            self.advance();
        }
    }

    fn run_timers(&mut self) {
        let was_serving = self.phase.is_serving();
        for timer in timers(&self.phase) {
            (timer.run)(self);
            if self.phase.is_serving() != was_serving {
                return;
            }
        }
    }

    /// When [`Self::advance`] has something to do. None: the call is over. Looks at all timers.
    pub(super) fn due(&self) -> Option<Instant> {
        if let Phase::Ended(_) = self.phase {
            return None;
        }
        let due = timers(&self.phase).iter().filter_map(|timer| (timer.due)(self)).min();
        due.or(Some(self.now + LOOK_AGAIN))
    }
}

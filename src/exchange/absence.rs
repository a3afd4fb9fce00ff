//! Asterisk was away: for how long, whether it is another one since, and what has become of its calls.
//!
//! Pure: what happens comes in with its time, and the operator's line comes out.

use std::time::Instant;

use crate::call::LegEvent;
use crate::end_reason::EndReason;
use crate::operator::Notice;

/// What is known of Asterisk's last absence.
#[derive(Debug, Default)]
pub(super) struct Absence {
    /// When the Asterisk that was connected last was started; None: there was none, or it does not tell.
    started_at: Option<String>,
    was_connected: bool,
    since: Option<Instant>,
    /// The number of calls that ended because Asterisk was being stopped.
    lost: usize,
    /// Calls that the last line has counted as lost, and which have not ended yet.
    counted: usize,
}

impl Absence {
    /// There is no connection, or still none.
    pub(super) fn begins(&mut self, now: Instant) {
        if self.was_connected {
            self.since.get_or_insert(now);
        }
    }

    /// A call is over.
    pub(super) fn call_ended(&mut self, reason: EndReason) {
        if reason == EndReason::AsteriskLost {
            match self.counted.checked_sub(1) {
                Some(counted) => self.counted = counted,
                None => self.lost += 1,
            }
        }
    }

    /// The connection stands, to an Asterisk that was started at `started_at`. `calls` were running, and the callers of
    /// `kept` of them are there. What has happened to the others, and the operator's line if this is not the first
    /// connection.
    pub(super) fn ends(
        &mut self,
        now: Instant,
        started_at: Option<String>,
        calls: usize,
        kept: usize,
    ) -> (LegEvent, Option<Notice>) {
        let is_another = self.started_at.is_some() && started_at.is_some() && self.started_at != started_at;
        let ended = std::mem::take(&mut self.lost) + (calls - kept);
        let seconds = self.since.take().map(|since| now.saturating_duration_since(since).as_secs());
        self.was_connected = true;
        self.started_at = started_at.or_else(|| self.started_at.take());
        self.counted = if is_another { calls - kept } else { 0 };
        if is_another {
            // The calls that were kept began with the new Asterisk, so the notice of the restart does not count them.
            (LegEvent::AsteriskLost, seconds.map(|seconds| Notice::AsteriskRestarted { seconds, ended }))
        } else {
            (LegEvent::CallerLeft, seconds.map(|seconds| Notice::AriBack { seconds, kept, ended }))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::now;

    const SEVEN: Duration = Duration::from_secs(7);

    #[test]
    fn the_first_connection_ends_no_absence() {
        let (mut absence, now) = (Absence::default(), now());
        absence.begins(now);
        assert_eq!(absence.ends(now + SEVEN, Some("a".to_owned()), 0, 0), (LegEvent::CallerLeft, None));
    }

    #[test]
    fn calls_outlive_a_lost_connection_but_no_restart() {
        let (mut absence, now) = (Absence::default(), now());
        absence.ends(now, Some("a".to_owned()), 0, 0);
        absence.begins(now);
        absence.begins(now + SEVEN);
        let back = Notice::AriBack { seconds: 7, kept: 2, ended: 1 };
        assert_eq!(absence.ends(now + SEVEN, Some("a".to_owned()), 3, 2), (LegEvent::CallerLeft, Some(back)));
        absence.begins(now + SEVEN);
        // One was ended in order, two when it was killed.
        absence.call_ended(EndReason::AsteriskLost);
        absence.call_ended(EndReason::CallerHungUp);
        let restarted = Notice::AsteriskRestarted { seconds: 7, ended: 3 };
        let ends = absence.ends(now + 2 * SEVEN, Some("b".to_owned()), 2, 0);
        assert_eq!(ends, (LegEvent::AsteriskLost, Some(restarted)));
        // The two end now, and are not counted again.
        (0..2).for_each(|_| absence.call_ended(EndReason::AsteriskLost));
        absence.call_ended(EndReason::AsteriskLost);
        absence.begins(now + 2 * SEVEN);
        let restarted = Notice::AsteriskRestarted { seconds: 7, ended: 1 };
        let ends = absence.ends(now + 3 * SEVEN, Some("c".to_owned()), 0, 0);
        assert_eq!(ends, (LegEvent::AsteriskLost, Some(restarted)));
    }

    #[test]
    fn an_asterisk_that_does_not_tell_is_taken_for_the_same() {
        let (mut absence, now) = (Absence::default(), now());
        absence.ends(now, Some("a".to_owned()), 0, 0);
        absence.begins(now);
        let (left, _) = absence.ends(now, None, 1, 0);
        assert_eq!(left, LegEvent::CallerLeft);
        absence.begins(now);
        let (left, _) = absence.ends(now, Some("b".to_owned()), 1, 0);
        assert_eq!(left, LegEvent::AsteriskLost, "but it is not forgotten");
    }
}

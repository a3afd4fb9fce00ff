//! How many calls this daemon can carry, as measured while it carries them. Two judgements, of the last two seconds:
//!
//! - **Full** ([`Strain::is_full`]): the daemon runs for most of the time. No caller is taken until the daemon runs for less of
//!   the time, so that those who are served hear nothing of it.
//! - **Overload** ([`Strain::is_on`]): the daemon wants more of the processors than it gets, and callers hear it, again and
//!   again. No caller is taken until there is room. It happens where others take the processors away.
//!
//! Full counts only the time in which the daemon's threads were running, which no pause of the machine makes longer.
//! Overload needs both of these:
//! - **The daemon is saturated.** The busiest of the threads that carry calls was running, or waiting for a processor, for
//!   nearly all the time in which the machine was there (`/proc/self/task/*/schedstat`).
//! - **Frames are late** by more than a jitter buffer hides (`MAX_FRAME_LATENESS_MS`), more than 1 % of them, again and
//!   again.
//!
//! Late frames alone prove nothing, because a machine that stood still makes them too, and one caller more or less would
//! not change that. Each case looks different in the counters:
//!
//! | what happens | running | waiting | late frames | overload |
//! |---|---|---|---|---|
//! | too many calls | nearly all the time | little | yes | yes |
//! | other programs take the processors | some | nearly all the rest | yes | yes |
//! | `CPUQuota=` of the unit is used up | some | the rest (the kernel counts a throttled thread as waiting) | yes | yes |
//! | the hypervisor takes the processor for 25 ms, now and then | unchanged, or 25 ms more on kernels that do not account for stolen time | 25 ms at most | some | no |
//! | the hypervisor takes it for most of the time | some | little | yes | yes: stolen time (`/proc/stat`) is no time of the machine |
//! | SIGSTOP, a suspended or migrated machine | nothing | nothing | yes | no |
//! | another thread of ours waits for a disk | unchanged | unchanged | no | no |
//!
//! Where the kernel does not count per thread, frames alone decide.

use std::collections::VecDeque;
use std::time::Duration;

use super::counters::{Counters, ThreadTime};

/// How often the counters are read. Longer: more callers are taken before overload shows. Shorter: reading them costs more.
pub(super) const INTERVAL: Duration = Duration::from_millis(250);
/// Callers hear something when more than one frame in this number is late: 1 %.
const ONE_IN: u32 = 100;
/// Overload is judged over this many intervals: two seconds. Fewer would take a short pause of the machine for overload; more
/// would let callers in who make the overload worse.
const INTERVALS: usize = 8;
/// Overload needs late frames in at least this many of these intervals. Fewer would let two single moments count.
const LATE_INTERVALS: usize = 4;
/// Overload needs at least this many late frames: with few calls, a single frame is more than 1 %.
const LATE_TICKS: u32 = 10;
/// Saturation, as a share of the time in which the machine was there. Nearer to 1, a thread that sleeps for a moment
/// between two bursts is missed; lower, a machine that has room is called full.
const SATURATED: f64 = 0.85;
/// Overload is over when the same share has fallen below this. Nearer to [`SATURATED`], the judgement flaps.
const HAS_ROOM: f64 = 0.75;
/// The daemon is full when it was running for this share of the time in which the machine was there. Higher, and callers who
/// come fast are taken before it shows what they cost, so that frames are late; lower, and callers are turned away who could
/// be served.
const FULL_FROM: f64 = 0.8;
/// The daemon has room again below this share. Nearer to [`FULL_FROM`], callers come in waves that are too large; lower, and
/// room is left that nobody gets.
const FULL_UNTIL: f64 = 0.7;
/// Overload is also over after this many intervals without late frames: 30 s. Fewer would let callers in again who make the
/// overload worse.
const QUIET_INTERVALS: u32 = 120;

/// What happened between two looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Interval {
    ticks: u32,
    late: u32,
    /// What the busiest thread had; None: the kernel does not tell.
    busiest: Option<ThreadTime>,
    /// For how long the daemon ran on each of its processors, in the mean.
    ran_on_each: Duration,
    /// How long the machine was there.
    had: Duration,
}

impl Interval {
    fn between(before: &Counters, now: &Counters, (ticks, late): (u32, u32)) -> Self {
        let passed = now.at.saturating_duration_since(before.at);
        let threads = now.threads.as_ref().zip(before.threads.as_ref());
        Self {
            ticks,
            late,
            busiest: threads.map(|(now, before)| now.busiest_since(before)),
            ran_on_each: now.ran_on_each.saturating_sub(before.ran_on_each),
            had: passed.saturating_sub(now.stolen.saturating_sub(before.stolen)),
        }
    }

    fn is_late(&self) -> bool {
        self.late > self.ticks / ONE_IN
    }
}

/// What the last intervals came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Load {
    /// The share of the frames that were late, per cent.
    pub(super) late_percent: u64,
    /// The share of the time in which the busiest thread was running or waiting, per cent. None: the kernel does not tell.
    pub(super) busy_percent: Option<u64>,
}

/// The judgement.
#[derive(Debug, Default)]
pub(super) struct Strain {
    state: State,
    last: Option<Counters>,
    intervals: VecDeque<Interval>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Carries,
    /// The daemon runs for most of the time.
    Full,
    /// The daemon is overloaded. No frame has been late for `quiet_intervals` intervals.
    Overloaded { quiet_intervals: u32 },
}

impl Strain {
    /// Whether the daemon is overloaded.
    pub(super) fn is_on(&self) -> bool {
        matches!(self.state, State::Overloaded { .. })
    }

    /// What the last two seconds came to.
    pub(super) fn load(&self) -> Load {
        let (ticks, late) = self.ticks();
        Load {
            late_percent: u64::from(late) * 100 / u64::from(ticks.max(1)),
            busy_percent: self.busy_share().map(|share| (share.min(1.0) * 100.0).round() as u64),
        }
    }

    /// Whether one more call would make callers hear it, although the daemon is not overloaded.
    pub(super) fn is_full(&self) -> bool {
        self.state == State::Full
    }

    /// Takes the counters as they are now, and the ticks since the last time, all and late. Whether the judgement has
    /// changed.
    pub(super) fn judge(&mut self, now: Counters, ticks: (u32, u32)) -> bool {
        let interval = self.last.as_ref().map(|last| Interval::between(last, &now, ticks));
        self.last = Some(now);
        let Some(interval) = interval else { return false };
        if self.intervals.len() == INTERVALS {
            self.intervals.pop_front();
        }
        self.intervals.push_back(interval);
        let runs = |share| self.is_running_for(share);
        let next = match self.state {
            State::Carries | State::Full if self.is_late() && self.is_saturated() => {
                State::Overloaded { quiet_intervals: 0 }
            }
            State::Carries if runs(FULL_FROM) => State::Full,
            State::Full if runs(FULL_UNTIL) => State::Full,
            State::Carries | State::Full => State::Carries,
            State::Overloaded { quiet_intervals } => {
                let quiet_intervals = if interval.is_late() { 0 } else { quiet_intervals + 1 };
                if self.has_room() || quiet_intervals >= QUIET_INTERVALS {
                    State::Carries
                } else {
                    State::Overloaded { quiet_intervals }
                }
            }
        };
        let was_on = self.is_on();
        self.state = next;
        self.is_on() != was_on
    }

    /// Forgets earlier measurements, because the counters were not read for a time.
    pub(super) fn start_over(&mut self) {
        *self = Self::default();
    }

    fn ticks(&self) -> (u32, u32) {
        self.intervals.iter().fold((0, 0), |sum, interval| (sum.0 + interval.ticks, sum.1 + interval.late))
    }

    fn is_late(&self) -> bool {
        let (ticks, late) = self.ticks();
        let late_intervals = self.intervals.iter().filter(|interval| interval.is_late()).count();
        late > ticks / ONE_IN && late >= LATE_TICKS && late_intervals >= LATE_INTERVALS
    }

    /// Whether the daemon was running for at least this share of the last two seconds.
    fn is_running_for(&self, least: f64) -> bool {
        self.intervals.len() == INTERVALS && self.running_share().is_some_and(|share| share >= least)
    }

    /// Whether the busiest thread was saturated over the last two seconds.
    fn is_saturated(&self) -> bool {
        self.intervals.len() == INTERVALS && self.busy_share().is_none_or(|share| share >= SATURATED)
    }

    /// Where the kernel does not tell, frames alone decide.
    fn has_room(&self) -> bool {
        self.busy_share()
            .map_or_else(|| !self.intervals.iter().any(Interval::is_late), |share| share < HAS_ROOM)
    }

    fn busy_share(&self) -> Option<f64> {
        let busy: Duration = self
            .intervals
            .iter()
            .map(|interval| interval.busiest.map(ThreadTime::busy))
            .sum::<Option<_>>()?;
        Some(self.share_of(busy))
    }

    /// For which share of the time the busiest thread was running, or all threads together on each processor, whichever is
    /// more; None where the kernel does not tell.
    fn running_share(&self) -> Option<f64> {
        let busiest: Duration =
            self.intervals.iter().map(|interval| interval.busiest.map(|time| time.ran)).sum::<Option<_>>()?;
        let on_each: Duration = self.intervals.iter().map(|interval| interval.ran_on_each).sum();
        Some(self.share_of(busiest.max(on_each)))
    }

    /// This time as a share of that in which the machine was there.
    fn share_of(&self, time: Duration) -> f64 {
        let had: Duration = self.intervals.iter().map(|interval| interval.had).sum();
        time.as_secs_f64() / had.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::super::counters::ThreadTimes;
    use super::*;

    /// A machine on whose clock the judgement is tried.
    struct Machine {
        strain: Strain,
        now: Counters,
    }

    /// What goes on in each quarter of a second.
    #[derive(Clone, Copy)]
    struct Quarter {
        ticks: (u32, u32),
        /// For how long the busiest thread was running or waiting, and for how much of that it waited.
        busy_ms: u64,
        waits_ms: u64,
        /// For how long all threads together ran, on each processor.
        all_run_ms: u64,
        stolen_ms: u64,
    }

    const FINE: Quarter =
        Quarter { ticks: (2_500, 2), busy_ms: 100, waits_ms: 0, all_run_ms: 0, stolen_ms: 0 };
    const OVERLOADED: Quarter =
        Quarter { ticks: (2_500, 250), busy_ms: 245, waits_ms: 0, all_run_ms: 0, stolen_ms: 0 };

    impl Machine {
        fn new() -> Self {
            let threads = Some(ThreadTimes::of([(7, ThreadTime::default())]));
            let now = Counters {
                at: crate::clock::now(),
                threads,
                ran_on_each: Duration::ZERO,
                stolen: Duration::ZERO,
            };
            let mut strain = Strain::default();
            assert!(!strain.judge(now.clone(), (0, 0)));
            Self { strain, now }
        }

        /// After how many quarters the judgement changes, if it does.
        fn changes_after(&mut self, quarters: impl IntoIterator<Item = Quarter>) -> Option<usize> {
            let changes = quarters.into_iter().map(|quarter| {
                let ms = Duration::from_millis;
                self.now.at += INTERVAL;
                self.now.stolen += ms(quarter.stolen_ms);
                self.now.ran_on_each += ms(quarter.all_run_ms);
                let so_far =
                    self.now.threads.take().map(|times| times.busiest_since(&ThreadTimes::default()));
                self.now.threads = so_far.map(|ThreadTime { ran, waited }| {
                    let waited = waited + ms(quarter.waits_ms);
                    ThreadTimes::of([(
                        7,
                        ThreadTime { ran: ran + ms(quarter.busy_ms - quarter.waits_ms), waited },
                    )])
                });
                self.strain.judge(self.now.clone(), quarter.ticks)
            });
            changes.collect::<Vec<_>>().iter().position(|has_changed| *has_changed).map(|place| place + 1)
        }
    }

    fn seconds(seconds: usize, quarter: Quarter) -> impl Iterator<Item = Quarter> + Clone {
        std::iter::repeat_n(quarter, seconds * 4)
    }

    #[test]
    fn too_many_calls_are_overload_after_two_seconds_and_until_there_is_room() {
        let mut machine = Machine::new();
        assert_eq!(machine.changes_after(seconds(3, OVERLOADED)), Some(8));
        assert!(machine.strain.is_on());
        assert_eq!(machine.strain.load(), Load { late_percent: 10, busy_percent: Some(98) });
        let saturated_on_time = Quarter { ticks: (2_500, 0), ..OVERLOADED };
        assert_eq!(machine.changes_after(seconds(20, saturated_on_time)), None, "no room yet");
        assert_eq!(machine.changes_after(seconds(3, FINE)), Some(4));
        assert!(!machine.strain.is_on());
    }

    #[test]
    fn a_saturated_daemon_whose_frames_are_on_time_is_not_overloaded_and_is_not_called_so_for_ever() {
        let saturated_on_time = Quarter { ticks: (2_500, 20), ..OVERLOADED };
        let mut machine = Machine::new();
        assert_eq!(machine.changes_after(seconds(60, saturated_on_time)), None);
        assert_eq!(machine.changes_after(seconds(2, OVERLOADED)), Some(4), "saturated it is already");
        assert_eq!(machine.changes_after(seconds(60, saturated_on_time)), Some(120));
    }

    /// The machines of the table at the top.
    #[test]
    fn a_machine_that_stands_still_is_not_overloaded_however_late_frames_are() {
        for (what, quarter) in [
            ("a core is stolen for 25 ms five times a second, and the kernel knows", 31),
            ("the same, and the kernel takes it for our work", 0),
        ]
        .map(|(what, stolen_ms)| {
            (what, Quarter { ticks: (375, 47), busy_ms: 100 + 31, waits_ms: 0, all_run_ms: 0, stolen_ms })
        })
        .into_iter()
        .chain([
            (
                "stopped for half of the time",
                Quarter { ticks: (200, 180), busy_ms: 60, waits_ms: 0, all_run_ms: 0, stolen_ms: 0 },
            ),
            (
                "gone for most of a second, again and again",
                Quarter { ticks: (50, 50), busy_ms: 90, waits_ms: 0, all_run_ms: 0, stolen_ms: 0 },
            ),
        ]) {
            assert_eq!(Machine::new().changes_after(seconds(60, quarter)), None, "{what}");
        }
    }

    /// A quarter of a second in which the busiest thread runs for so long, and every frame is on time.
    fn running(busy_ms: u64) -> Quarter {
        Quarter { ticks: (2_500, 0), busy_ms, ..FINE }
    }

    #[test]
    fn a_daemon_that_runs_for_most_of_the_time_is_full_until_it_does_not() {
        let mut machine = Machine::new();
        let mut is_full_after = |quarters: Vec<Quarter>| {
            assert_eq!(machine.changes_after(quarters), None, "that is no overload");
            machine.strain.is_full()
        };
        assert!(!is_full_after(vec![running(240); 7]), "for less than two seconds");
        assert!(is_full_after(vec![running(240)]));
        assert!(is_full_after(vec![running(180); 20]), "for 72 %");
        assert!(!is_full_after(vec![running(150); 8]), "for 60 %: there is room again");
        assert!(!is_full_after(vec![running(190); 20]), "for 76 %: there still is");
    }

    #[test]
    fn time_of_our_own_recorder_counts_and_that_of_other_programs_does_not() {
        for (all_run_ms, is_full) in [(0, false), (240, true)] {
            let mut machine = Machine::new();
            let quarter = Quarter { waits_ms: 140, all_run_ms, ..running(200) };
            assert_eq!(machine.changes_after(seconds(2, quarter)), None);
            assert_eq!(machine.strain.is_full(), is_full, "{all_run_ms}");
        }
    }

    /// The machines of the table at the top.
    #[test]
    fn a_pause_of_the_machine_makes_the_daemon_not_full() {
        for stolen_ms in [31, 0] {
            let busy_ms = if stolen_ms == 0 { 131 } else { 100 };
            let stolen = Quarter { ticks: (375, 47), busy_ms, waits_ms: 0, all_run_ms: 0, stolen_ms };
            let mut machine = Machine::new();
            assert_eq!(machine.changes_after(seconds(10, stolen)), None);
            assert!(!machine.strain.is_full());
        }
    }

    #[test]
    fn a_daemon_that_wants_all_the_hypervisor_leaves_is_overloaded() {
        let starved = Quarter { ticks: (375, 300), busy_ms: 50, waits_ms: 0, all_run_ms: 0, stolen_ms: 195 };
        assert_eq!(Machine::new().changes_after(seconds(3, starved)), Some(8));
        let leaves_enough = Quarter { busy_ms: 25, ..starved };
        assert_eq!(Machine::new().changes_after(seconds(60, leaves_enough)), None);
    }

    #[test]
    fn a_moment_is_no_overload() {
        let one = [OVERLOADED; 3].into_iter().chain(seconds(2, FINE));
        let mut machine = Machine::new();
        assert_eq!(machine.changes_after(one.clone().chain(one.clone()).chain(one)), None);
        let few_calls = Quarter { ticks: (12, 1), ..OVERLOADED };
        assert_eq!(machine.changes_after(seconds(60, few_calls)), None, "one late frame of one call");
    }

    #[test]
    fn where_the_kernel_does_not_count_frames_decide() {
        let mut machine = Machine::new();
        machine.now.threads = None;
        machine.strain.start_over();
        assert_eq!(
            machine.changes_after(seconds(4, OVERLOADED)),
            Some(9),
            "the first look has nothing before"
        );
        assert_eq!(machine.strain.load().busy_percent, None);
        assert_eq!(machine.changes_after(seconds(4, FINE)), Some(8));
    }
}

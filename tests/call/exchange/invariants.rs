//! What must be true of the daemons at any moment, reckoned without the exchange's own figures.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use openai_inbound_calls::ari::ChannelId;
use openai_inbound_calls::ari::request::{Reply, Request};
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::exchange::Agent;
use openai_inbound_calls::exchange::readiness::AsteriskLink;
use openai_inbound_calls::units::MicroUsd;

use super::{DAY, Daemon, Machine};
use crate::world::World;

/// After so long a call of an overloaded machine has shown that it is.
const OVERLOAD_SHOWS: Duration = Duration::from_millis(2_500);
/// After so long a machine that is busy all the time has shown that the daemon is full.
const FULL_SHOWS: Duration = Duration::from_millis(2_500);
/// A daemon whose application another program had may be without the application for so long after that program has ended:
/// the pause between two questions, and answers that are late or lost.
const MOST_DEAF: Duration = Duration::from_secs(20);
/// A caller may be in the application for so long without a call or an errand while a daemon is connected: until the event
/// of their coming has arrived.
const MOST_ALONE: Duration = Duration::from_secs(1);
/// What no call needs may stay in Asterisk for so long while a daemon is connected: the minute after which it is looked for,
/// and the time that Asterisk may take to remove it.
const MOST_ORPHANED: Duration = Duration::from_secs(75);
/// A daemon that stops ends at the latest so long after the patience that it has with Asterisk.
const MOST_LINGERING: Duration = Duration::from_secs(1);

/// So long a daemon that stops has patience with Asterisk after its calls have had their time.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is watched of a daemon that stops.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stop {
    /// When its calls have had their time; None: it is not stopping.
    pub(super) grace_ends: Option<Instant>,
    /// Since when none of its calls has run.
    idle_since: Option<Instant>,
    /// Whether it has closed its event socket for good.
    pub(super) has_left: bool,
    /// Whether Asterisk has not told it, after that, who is left in the application.
    is_blind: bool,
}

impl World {
    /// What must be true when a daemon takes a caller. It is reckoned here without the exchange's own figures.
    pub(super) fn hold_admission(&self, daemon: usize, agent: &Agent) {
        let Daemon { exchange, rules, life, .. } = &self.daemons[daemon];
        assert!(!exchange.is_stopping(), "nobody is taken while the daemon stops");
        let running = self.live.keys().filter(|(of, _)| *of == daemon).count();
        assert!(running < rules.max_calls, "no more are taken than there may be");
        let is_below = |most: Option<MicroUsd>, spent| most.is_none_or(|most| spent < most.get());
        assert!(
            is_below(rules.max_day_cost, self.spent_today(daemon, None))
                && is_below(agent.max_day_cost, self.spent_today(daemon, Some(&agent.name))),
            "nobody is taken when the day's cost is reached"
        );
        let of_it = self.tasks.iter().filter(|task| task.daemon == daemon && task.life == *life);
        let running = of_it.filter(|task| task.report.is_none()).map(|task| task.glance.duration);
        let lasts =
            self.now.saturating_duration_since(self.machine_since).min(running.max().unwrap_or_default());
        let is_overloaded = self.machine == Machine::Overloaded && lasts > OVERLOAD_SHOWS;
        assert!(!is_overloaded, "nobody is taken while the daemon is overloaded");
        let is_full = self.machine == Machine::Full && lasts > FULL_SHOWS;
        assert!(!is_full, "nobody is taken while the daemon is full");
    }

    /// What must be true when a daemon does not take a caller.
    pub(super) fn hold_refusal(&self, daemon: usize, reason: EndReason) {
        let rules = &self.daemons[daemon].rules;
        let is_reached = |most: Option<MicroUsd>, spent| most.is_some_and(|most| spent >= most.get());
        let of_all = is_reached(rules.max_day_cost, self.spent_today(daemon, None));
        let of_one = rules
            .agents
            .limited()
            .any(|agent| is_reached(agent.max_day_cost, self.spent_today(daemon, Some(&agent.name))));
        assert!(
            reason != EndReason::DayCostLimit || of_all || of_one,
            "a caller is refused although the day's cost is not reached"
        );
    }

    /// What the calls of a daemon, or those of one of its agents, have cost today, micro-USD. A call counts on the day on which
    /// it ends.
    fn spent_today(&self, daemon: usize, agent: Option<&str>) -> u64 {
        let Daemon { life, earlier, .. } = &self.daemons[daemon];
        let today = self.wall() / DAY;
        let of_it = self.tasks.iter().filter(|task| task.daemon == daemon && task.life == *life);
        let is_asked = |name: &str| agent.is_none_or(|agent| agent == name);
        let todays = of_it.filter(|task| task.over_at.is_none_or(|at| self.wall_at(at) / DAY == today));
        let spent: u64 = todays.filter(|task| is_asked(&task.agent)).map(|task| task.spent).sum();
        let earlier = earlier.1.iter().filter(|(name, _)| earlier.0 == today && is_asked(name));
        spent + earlier.map(|(_, spent)| spent.get()).sum::<u64>()
    }

    /// What must be true of every daemon at any moment.
    pub(crate) fn hold_daemons(&mut self) {
        let mut may_care = false;
        for (daemon, it) in self.daemons.iter().enumerate().filter(|(_, it)| !it.is_gone) {
            let live = self.live.keys().filter(|(of, _)| *of == daemon).count();
            assert_eq!(it.exchange.calls(), live, "the exchange knows the calls that run");
            assert_eq!(it.exchange.contradiction(), None);
            // Whom Asterisk does not let go in time is left to the next start.
            let has_patience = it.stop.grace_ends.is_none_or(|ends| self.now < ends + PATIENCE);
            may_care |= it.readiness.asterisk == AsteriskLink::Connected && it.link.is_some() && has_patience;
        }
        may_care &= !self.ari_down();
        self.hold_applications();
        self.hold_orphans();
        (0..self.daemons.len()).for_each(|daemon| self.hold_stop(daemon));
        let waiting = self.asterisk.waiting(&self.settings.app);
        self.alone.retain(|channel, _| waiting.contains(channel));
        for channel in waiting {
            let id = ChannelId::from(&*channel);
            if self.daemons.iter().any(|it| !it.is_gone && it.exchange.cares_for(&id)) {
                self.alone.remove(&channel);
                continue;
            }
            let (last, alone) = self.alone.entry(channel).or_insert((self.now, Duration::ZERO));
            if may_care {
                *alone += self.now.saturating_duration_since(*last);
            }
            *last = self.now;
            assert!(
                *alone <= MOST_ALONE,
                "{id} is in the application, and neither in a call nor in an errand"
            );
        }
    }

    /// No daemon stays without the application for long when nobody else has it. While callers are left in the application,
    /// Asterisk answers as if a program had it, so such time does not count.
    fn hold_applications(&mut self) {
        let is_up = !self.ari_down();
        let is_empty = self.asterisk.waiting(&self.settings.app).is_empty();
        let listening: Vec<_> = self.daemons.iter().map(|it| !it.is_gone && it.link.is_some()).collect();
        for (daemon, it) in self.daemons.iter_mut().enumerate() {
            let others = listening.iter().enumerate().any(|(other, listens)| *listens && other != daemon);
            let is_deaf = it.readiness.asterisk == AsteriskLink::ApplicationReplaced && listening[daemon];
            let passed = self.now.saturating_duration_since(it.deaf.1);
            let is_counted = is_deaf && is_up && is_empty && !others && !it.exchange.is_stopping();
            it.deaf = (if is_counted { it.deaf.0 + passed } else { Duration::ZERO }, self.now);
            assert!(
                it.deaf.0 <= MOST_DEAF,
                "nobody has the application, and daemon {daemon} does not take it"
            );
        }
    }

    /// Whether what calls have left behind stays in Asterisk.
    fn hold_orphans(&mut self) {
        let left_over = self.left_over();
        let is_up = !self.ari_down();
        let may_sweep = self.daemons.iter().any(|it| {
            let is_connected = it.readiness.asterisk == AsteriskLink::Connected && it.link.is_some();
            is_connected && !it.is_gone && !it.exchange.is_stopping()
        });
        let callers = self.live.keys().map(|(_, caller)| caller);
        let needed: HashSet<_> =
            callers.flat_map(|caller| [caller.media().to_string(), caller.bridge().to_string()]).collect();
        self.orphans.retain(|id, _| left_over.contains(id) && !needed.contains(id));
        for id in left_over.into_iter().filter(|id| !needed.contains(id)) {
            let (last, orphaned) = self.orphans.entry(id.clone()).or_insert((self.now, Duration::ZERO));
            if may_sweep && is_up {
                *orphaned += self.now.saturating_duration_since(*last);
            }
            *last = self.now;
            assert!(*orphaned <= MOST_ORPHANED, "{id} stays in Asterisk although no call needs it");
        }
    }

    /// Whether a daemon that stops comes to its end.
    fn hold_stop(&mut self, daemon: usize) {
        let runs = self.live.keys().any(|(of, _)| *of == daemon);
        let it = &mut self.daemons[daemon];
        let Some(grace_ends) = it.stop.grace_ends.filter(|_| !it.is_gone) else { return };
        let idle_since = *it.stop.idle_since.get_or_insert(self.now);
        if runs {
            it.stop.idle_since = None;
            return;
        }
        let ends = grace_ends.max(idle_since) + PATIENCE + MOST_LINGERING;
        assert!(self.now <= ends, "daemon {daemon} stops, and does not end");
    }

    /// What must be true of a request that an errand of a daemon makes: what is in the application that the daemon has left may
    /// be the next daemon's.
    pub(super) fn hold_request(&self, daemon: usize, request: &Request) {
        // The channel that is asked for to learn whether Asterisk permits changes does not exist.
        let is_probe = matches!(request, Request::Hangup(channel) if channel.to_string() == "oic-probe");
        let removes = matches!(request, Request::Hangup(_) | Request::DeleteBridge(_)) && !is_probe;
        assert!(
            !removes || !self.daemons[daemon].stop.has_left,
            "daemon {daemon} has left the application, and removes something: {request:?}"
        );
    }

    /// An errand of a daemon is answered.
    pub(super) fn watch_reply(&mut self, daemon: usize, request: &Request, reply: &Reply) {
        let stop = &mut self.daemons[daemon].stop;
        let is_told = matches!(reply, Reply::Done(_) | Reply::Refused { status: 404, .. });
        let asks = matches!(request, Request::Application(_) | Request::Channel(_));
        stop.is_blind |= stop.has_left && asks && !is_told;
    }

    /// What must be true when a daemon ends by itself: nobody is left in the application whom Asterisk has
    /// told of, and would let go.
    pub(super) fn hold_end(&self, daemon: usize) {
        let stop = self.daemons[daemon].stop;
        let is_patient = stop.grace_ends.is_some_and(|ends| self.now < ends + PATIENCE);
        let others = self.daemons.iter().enumerate().any(|(other, it)| other != daemon && !it.is_gone);
        if stop.has_left && !stop.is_blind && is_patient && !others && !self.ari_down() {
            let waiting = self.asterisk.waiting(&self.settings.app);
            assert_eq!(waiting, [""; 0], "daemon {daemon} ends, and leaves callers in the application");
        }
    }
}

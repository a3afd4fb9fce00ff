//! The PBX side of the daemon, as a fold over its inputs: what [`crate::call::Call`] is to one call, [`Exchange`] is to all
//! of them and to Asterisk.
//!
//! Everything that can happen on that side is one [`Input`]; everything the exchange wants done is one [`Output`]. Between
//! them is plain code: no clock, socket, task, lock or `Result`. The daemon, the tests and the soak drive the same machine.
//!
//! ```text
//!   ARI connected, lost, event, reply ─┐                ┌─► start a call, tell a call
//!   a call started, cost, ended ───────┼──► Exchange ───┼─► a request to Asterisk
//!   reload, stop, the passing of time ─┘                └─► the operator's lines, readiness
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `switchboard` | which channel belongs to which call; what an outage left behind |
//! | `connection`, `absence` | how we stand to Asterisk; how long it was away, and what has become of its calls |
//! | `errands`, `findings` | what is asked of Asterisk that belongs to no call, in its order and with its retries; what follows from it |
//! | `admission` | whether a caller is taken: `spending`, `frequency` and `breaker` together |
//! | `aftermath` | calls whose caller is gone, and that only hang up at OpenAI or fetch their sound |
//! | `offer`, `offers`, `webhook` | the calls that OpenAI answers: what is known of one; whether they are taken; how the webhook stands that offers them |
//! | `spending` | what the calls of a day have cost |
//! | `frequency` | how often each caller has called |
//! | `breaker` | whether OpenAI serves callers, and who tries while it does not |
//! | `strain`, `counters` | how many calls the daemon can carry; what that is judged by |
//! | `health` | whether a caller's sound could be connected |
//! | `shutdown` | how far the daemon is with its end |
//! | `readiness`, `obstacles` | whether a caller who came now would be served; everything that prevents it |
//! | `rules`, `agents` | what the operator has decided; which agent takes a caller, and what its calls are born with |
//! | `input`, `output` | what can happen; what is to be done |

mod absence;
mod admission;
mod aftermath;
mod agents;
mod breaker;
mod connection;
pub mod counters;
mod errands;
mod findings;
mod frequency;
mod health;
mod input;
pub mod obstacles;
mod offer;
mod offers;
mod output;
pub mod readiness;
mod rules;
mod shutdown;
mod spending;
mod strain;
mod switchboard;
mod webhook;

use std::time::{Duration, Instant};

use chrono::{DateTime, FixedOffset};

use crate::ari::ChannelId;
use crate::ari::event::Event;
use crate::operator::Notice;

use admission::Admission;
use aftermath::Aftermaths;
pub use agents::{Agent, Agents};
use connection::Connection;
use counters::Counters;
use errands::{ASK_AGAIN_AFTER, Errand, Errands, Inquiry, Sending};
use health::Health;
pub use health::NoSocket;
pub use input::Input;
pub use offer::{Offer, Trunk};
pub use output::{ErrandId, Order, Output};
use readiness::{AsteriskLink, Readiness};
pub use rules::Rules;
use shutdown::Shutdown;
use strain::{Load, Strain};
use switchboard::{Directive, Switchboard};
use webhook::{Refusals, Strangers};
pub use webhook::{Webhook, WebhookNews};

/// How long after the end of a call the exchange first looks for things that the call may have left in Asterisk. A call
/// removes what it has made, so this finds little: a longer pause leaves an orphan for longer, a shorter one burdens Asterisk.
const SWEEP_AFTER: Duration = Duration::from_mins(1);

/// A moment, on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The monotonic clock, for measuring durations.
    pub now: Instant,
    /// The wall clock, for times that people read and for the boundaries of days.
    pub wall: DateTime<FixedOffset>,
}

/// The PBX side. See the module's documentation.
#[derive(Debug)]
pub struct Exchange {
    at: Moment,
    rules: Rules,
    connection: Connection,
    switchboard: Switchboard,
    aftermaths: Aftermaths,
    errands: Errands,
    admission: Admission,
    health: Health,
    webhook: Webhook,
    refusals: Refusals,
    /// Until when the readiness warns that genuine webhooks may have been refused.
    crowded_until: Option<Instant>,
    strangers: Strangers,
    strain: Strain,
    /// When the counters are to be read, if there is anything to judge.
    measure_at: Instant,
    shutdown: Shutdown,
    /// When the exchange next looks for things that calls have left in Asterisk. `None`: no call has ended since the
    /// last time.
    sweep_at: Option<Instant>,
    /// The readiness that was last told.
    shown: Readiness,
    outputs: Vec<Output>,
}

impl Exchange {
    /// An exchange without a connection. The first [`Self::handle`] gives out what there is to do at the start.
    pub fn new(at: Moment, rules: Rules) -> Self {
        let mut exchange = Self {
            at,
            connection: Connection::default(),
            switchboard: Switchboard::default(),
            aftermaths: Aftermaths::default(),
            errands: Errands::default(),
            admission: Admission::default(),
            health: Health::new(at.now),
            webhook: Webhook::Off,
            refusals: Refusals::default(),
            crowded_until: None,
            strangers: Strangers::default(),
            strain: Strain::default(),
            measure_at: at.now,
            shutdown: Shutdown::default(),
            sweep_at: None,
            shown: Readiness::default(),
            outputs: Vec::new(),
            rules,
        };
        exchange.say_if_unlimited();
        exchange
    }

    /// Advances the clock, applies the input, and returns everything there is to do, in order.
    #[must_use = "the outputs are what the exchange does"]
    pub fn handle(&mut self, at: Moment, input: Input<'_>) -> std::vec::Drain<'_, Output> {
        self.at = Moment { now: self.at.now.max(at.now), wall: at.wall };
        let now = self.at.now;
        match input {
            Input::Tick => {}
            Input::Connected => self.connected(),
            Input::Lost(cause) => {
                let notices = self.connection.lost(now, cause, &self.rules.asterisk);
                self.say_all(notices);
            }
            Input::Unreached(cause) => {
                let notices = self.connection.unreached(now, cause, &self.rules.asterisk);
                self.say_all(notices);
            }
            Input::Event(event) => self.event(event),
            Input::Offered(offer) => self.offered(*offer),
            Input::Webhook(news) => self.webhook_news(news),
            Input::Ari { errand, request, reply } => {
                let finding = self.errands.replied(now, errand, request, reply, &mut self.outputs);
                if let Some(finding) = finding {
                    self.found(errand, finding);
                }
            }
            Input::Refuses(refuses) => self.health.asterisk_refuses = refuses,
            Input::Started(caller, rtp) => self.started(&caller, rtp),
            Input::Dialled(caller, nonce) => self.dialled(&caller, nonce),
            Input::NotStarted(channel, why) => self.not_started(channel, &why),
            Input::Spent(caller, cost) => self.spent(&caller, cost),
            Input::Standing(standing) => {
                let notice = self.admission.learn(standing, self.at);
                self.say_all(notice);
            }
            Input::Ended(caller, report) => self.ended(&caller, report),
            Input::LetGo(caller, number, report) => self.let_go(&caller, number, report),
            Input::Over(number) => self.over(number),
            Input::Panicked(caller, detail) => self.panicked(&caller, detail),
            Input::AftermathPanicked(number, detail) => self.aftermath_panicked(number, detail),
            Input::SpentEarlier(day, of_agents) => self.admission.spent_earlier(self.at, day, of_agents),
            Input::SpentEarlierLate => self.spent_earlier_late(),
            Input::AddressTried(tried) => {
                let notice = self.health.address_tried(now, tried, &self.rules);
                self.say_all(notice);
            }
            Input::MediaNetworks(networks) => {
                self.rules.agents.set_media_networks(networks.as_ref());
            }
            Input::Measured(counters, ticks) => self.measured(counters, ticks),
            Input::Reload(rules) => self.reload(*rules),
            Input::ReloadRefused => self.health.configuration_refused = true,
            Input::Stop => self.stop(),
        }
        self.advance();
        self.outputs.drain(..)
    }

    /// When to call `handle(_, Input::Tick)` if nothing comes first; None: nothing is due.
    pub fn deadline(&self) -> Option<Instant> {
        let address = self.health.deadline(&self.shutdown);
        let sweep = self.sweep_at.filter(|_| self.may_sweep());
        let measure = self.is_judged().then_some(self.measure_at);
        let webhook = [self.crowded_until, self.strangers.deadline()];
        [self.errands.deadline(), self.shutdown.deadline(), address, sweep, measure]
            .into_iter()
            .chain(webhook)
            .flatten()
            .min()
    }

    /// Whether the daemon has stopped: no call runs and nobody waits for an errand.
    pub fn is_over(&self) -> bool {
        self.is_idle() && self.shutdown.has_looked_last()
    }

    /// Whether no call runs and nobody waits for an errand.
    fn is_idle(&self) -> bool {
        self.switchboard.calls() == 0 && self.aftermaths.are_over() && !self.errands.are_owed()
    }

    /// Whether the daemon is to stop.
    pub fn is_stopping(&self) -> bool {
        self.shutdown.is_on()
    }

    /// How many calls run, without those in their aftermath.
    pub fn calls(&self) -> usize {
        self.switchboard.calls()
    }

    /// In whose call this channel talks. None: in nobody's, or no longer.
    pub fn caller_of(&self, channel: &ChannelId) -> Option<ChannelId> {
        self.switchboard.caller_of(channel)
    }

    /// Whether this caller is in a call, or an errand is about them.
    pub fn cares_for(&self, caller: &ChannelId) -> bool {
        self.switchboard.serves(caller)
            || self.switchboard.caller_of(caller).is_some()
            || self.errands.cares_for(caller)
    }

    /// A description of two records of one fact that contradict each other; None: there are none. The tests ask after every step.
    pub fn contradiction(&self) -> Option<String> {
        let contradiction = self.admission.contradicts(self.switchboard.spent());
        if contradiction.is_some() {
            return contradiction;
        }
        let callers = self.switchboard.callers();
        let twice =
            callers.iter().find(|caller| self.errands.hands_back(self.switchboard.channel_of(caller)));
        twice.map(|caller| format!("{caller} is in a call, and sent on by an errand"))
    }

    /// Everything that is due by now.
    fn advance(&mut self) {
        let now = self.at.now;
        if self.shutdown.grace_is_over(now) {
            for caller in self.switchboard.callers() {
                self.outputs.push(Output::Tell(caller, Order::Shutdown));
            }
            self.outputs.extend(self.aftermaths.numbers().map(Output::Hurry));
        }
        if self.shutdown.patience_is_over(now) {
            self.errands.give_up();
        }
        if self.health.tries_address(now, &self.shutdown) {
            self.outputs.push(Output::TryAddress);
        }
        if self.is_judged() && self.measure_at <= now {
            self.measure_at = now + strain::INTERVAL;
            self.outputs.push(Output::Measure);
        }
        if self.health.asterisk_refuses && !self.shutdown.is_on() && !self.errands.probes() {
            self.errands.begin(Errand::Probe(Sending::At(now + errands::PROBE_EVERY)));
        }
        if self.connection.link() == AsteriskLink::ApplicationReplaced && !self.errands.polls() {
            self.poll();
        }
        let is_replaced =
            self.connection.link() == AsteriskLink::ApplicationReplaced && !self.shutdown.is_on();
        if is_replaced && !self.errands.may_return() {
            let (at, app) = (now + errands::RETURN_EVERY, self.rules.settings.app.clone());
            self.errands.begin(Errand::Inquiry(Inquiry::for_return(at, app)));
        }
        if self.may_sweep() && self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep_at = None;
            let app = self.rules.settings.app.clone();
            self.errands.begin(Errand::Inquiry(Inquiry::for_orphans(now, app)));
        }
        if self.is_idle() && self.shutdown.looks_last() {
            self.look_last();
        }
        self.advance_webhook();
        let reached = self.admission.day_cost_is_news(self.at, &self.rules);
        self.say_all(reached);
        self.errands.advance(now, &mut self.outputs);
        let readiness = self.readiness();
        if readiness != self.shown {
            self.shown = readiness.clone();
            self.outputs.push(Output::Readiness(Box::new(readiness)));
        }
    }

    fn event(&mut self, event: Event) {
        if let Event::StasisEnd(channel) | Event::Destroyed { channel, .. } = &event {
            self.errands.left(channel);
        }
        if let Some(directive) = self.switchboard.event(event) {
            self.direct(directive);
        }
    }

    fn direct(&mut self, directive: Directive) {
        match directive {
            Directive::Arrived(channel) => {
                // A caller who comes back has left before, even if the answer to the request that let them go is still missing.
                self.errands.left(&channel.id);
                self.arrived(*channel);
            }
            Directive::Tell(caller, order) => self.outputs.push(Output::Tell(caller, order)),
            Directive::Replace(caller, order, number) => {
                self.outputs.push(Output::Tell(caller.clone(), order));
                if !number.is_empty() {
                    self.outputs.push(Output::Tell(caller, Order::Renumbered(number)));
                }
            }
            Directive::Renumber(caller, number) => {
                self.outputs.push(Output::Tell(caller, Order::Renumbered(number)));
            }
            Directive::Remove(request) => self.remove([request]),
            Directive::LookAt(caller) => self.errands.look_at(caller, self.at.now),
            // When the daemon stops, the next one finds the caller.
            Directive::LookAgain(_) if self.shutdown.is_on() => {}
            Directive::LookAgain(caller) => self.errands.look_at(caller, self.at.now + ASK_AGAIN_AFTER),
            Directive::ApplicationReplaced if self.connection.link() == AsteriskLink::ApplicationReplaced => {
            }
            Directive::ApplicationReplaced => {
                self.connection.replaced();
                self.say(None, Notice::AriReplaced { app: self.rules.settings.app.clone() });
            }
        }
    }

    /// The event socket stands: Asterisk is asked what it holds.
    fn connected(&mut self) {
        let (app, before) = (self.rules.settings.app.clone(), self.switchboard.in_asterisk());
        // Whoever listens for the webhook may have recorded calls by SIP, even if no agent takes that route any more.
        let records = self.webhook != Webhook::Off;
        let inquiry = Inquiry::after_connect(self.at.now, app, before, records);
        let errand = self.errands.begin(Errand::Inquiry(inquiry));
        self.errands.end_polls();
        self.connection.connected(errand);
    }

    /// Whether there are calls whose frames can be late, or a judgement that can change.
    fn is_judged(&self) -> bool {
        let has_calls = self.rules.judges_strain && self.calls() > 0;
        has_calls || self.strain.is_on() || self.strain.is_full()
    }

    /// The counters have been read: whether the daemon carries the calls it has.
    fn measured(&mut self, counters: Counters, ticks: (u32, u32)) {
        if self.strain.judge(counters, ticks) {
            let calls = self.calls();
            let Load { late_percent, busy_percent } = self.strain.load();
            let overloaded = Notice::Overloaded { calls, late_percent, busy_percent };
            self.say(None, if self.strain.is_on() { overloaded } else { Notice::OverloadEnded { calls } });
        }
    }

    fn reload(&mut self, rules: Rules) {
        if self.shutdown.is_on() {
            return;
        }
        self.rules = rules;
        self.health.configuration_refused = false;
        self.admission.reloaded(&self.rules);
        self.say_if_unlimited();
    }

    fn stop(&mut self) {
        let (calls, grace) = (self.calls(), self.rules.shutdown_grace);
        if self.shutdown.begin(self.at.now, calls, grace) {
            self.say(None, Notice::Draining { calls, seconds: grace.as_secs() });
        }
    }

    /// Warns if nothing bounds what calls may cost.
    fn say_if_unlimited(&mut self) {
        if self.rules.spends_without_limit {
            self.say(None, Notice::SpendingUnlimited);
        }
    }

    fn say(&mut self, caller: Option<&ChannelId>, notice: Notice) {
        self.outputs.push(Output::Notice(caller.cloned(), notice));
    }

    fn say_all(&mut self, notices: impl IntoIterator<Item = Notice>) {
        self.outputs.extend(notices.into_iter().map(|notice| Output::Notice(None, notice)));
    }
}

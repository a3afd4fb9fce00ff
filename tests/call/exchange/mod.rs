//! Does what `src/daemon` does for the PBX side, without sockets and tasks: carries what happens to each daemon's exchange,
//! and does what comes out of it. Decides nothing: the exchange is the product's own.

mod invariants;

use std::sync::Arc;
use std::time::{Duration, Instant};

use openai_inbound_calls::ari::event;
use openai_inbound_calls::ari::request::{Reply, Request};
use openai_inbound_calls::ari::{ChannelId, Unreached};
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::exchange::counters::{Counters, ThreadTime, ThreadTimes};
use openai_inbound_calls::exchange::readiness::Readiness;
use openai_inbound_calls::exchange::{ErrandId, Exchange, Input, Moment, Output, Rules};
use openai_inbound_calls::operator::Notice;
use openai_inbound_calls::sim::asterisk::SocketId;
use openai_inbound_calls::units::MicroUsd;

use invariants::Stop;

use super::ladder::Lane;
use super::task::Happened;
use super::world::{Due, World};

/// `net::ari_link` waits so long when Asterisk is not ready, and at least so long otherwise.
const NOT_READY: Duration = Duration::from_millis(300);
const RETRY: Duration = Duration::from_millis(500);
/// Seconds.
const DAY: i64 = 86_400;

/// One daemon, from its first start on.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) exchange: Exchange,
    pub(crate) rules: Rules,
    /// Its event socket.
    pub(crate) link: Option<SocketId>,
    /// Counts its ends: what was under way before one concerns nobody after it.
    pub(crate) life: u64,
    /// Whether it has ended, and has not been started again.
    pub(crate) is_gone: bool,
    pub(crate) notices: Vec<Notice>,
    pub(crate) readiness: Readiness,
    /// Who was not taken, and why.
    pub(crate) refused: Vec<(ChannelId, EndReason)>,
    /// When its counters were read, and for how long its threads had run and waited by then.
    measured_at: Instant,
    ran: Duration,
    waited: Duration,
    /// Whether its requests are refused, as `net::ari_rest` sees it.
    refuses: bool,
    /// What the call log has told of calls of an earlier daemon: the day of the wall clock, and money by agent.
    earlier: (i64, Vec<(Arc<str>, MicroUsd)>),
    /// For how long nobody has had the application although this daemon could have it, and until when that was counted.
    deaf: (Duration, Instant),
    /// How far it is with its end.
    stop: Stop,
}

/// What the machine has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Machine {
    /// It has plenty of room.
    Idle,
    /// Other programs take most of it from the daemon, and one frame in ten is late.
    Overloaded,
    /// The daemon runs for nearly all the time, and its frames are on time.
    Full,
}

/// Who made a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asker {
    /// A call.
    Task(usize),
    /// An errand of a daemon's life.
    Errand { daemon: usize, life: u64, errand: ErrandId },
}

impl World {
    /// Another daemon is started, with the same configuration.
    pub(crate) fn start_daemon(&mut self, rules: Rules) -> usize {
        self.daemons.push(Daemon {
            exchange: Exchange::new(self.moment(), rules.clone()),
            rules,
            link: None,
            life: 0,
            is_gone: false,
            notices: Vec::new(),
            readiness: Readiness::default(),
            refused: Vec::new(),
            measured_at: self.now,
            ran: Duration::ZERO,
            waited: Duration::ZERO,
            refuses: false,
            earlier: (0, Vec::new()),
            deaf: (Duration::ZERO, self.now),
            stop: Stop::default(),
        });
        let daemon = self.daemons.len() - 1;
        self.feed(daemon, Input::Tick);
        self.after(Duration::ZERO, Due::Connect { daemon, life: 0 });
        daemon
    }

    fn moment(&self) -> Moment {
        let wall = chrono::DateTime::from_timestamp(self.wall(), 0).expect("a time").fixed_offset();
        Moment { now: self.now, wall }
    }

    /// Gives it to a daemon's exchange, and does what comes out.
    pub(crate) fn feed(&mut self, daemon: usize, input: Input<'_>) {
        if self.daemons[daemon].is_gone {
            return;
        }
        let at = self.moment();
        if self.reloads && self.dice.one_in(4) {
            let rules = Box::new(self.daemons[daemon].rules.clone());
            let outputs: Vec<Output> =
                self.daemons[daemon].exchange.handle(at, Input::Reload(rules)).collect();
            for output in outputs {
                self.carry_out(daemon, output);
            }
        }
        self.print(&input);
        let outputs: Vec<Output> = self.daemons[daemon].exchange.handle(at, input).collect();
        self.print(&outputs);
        for output in outputs {
            self.carry_out(daemon, output);
        }
        let exchange = &self.daemons[daemon].exchange;
        assert!(exchange.deadline().is_none_or(|at| at > self.now), "a deadline in the past");
        if exchange.is_over() {
            self.hold_end(daemon);
            self.exit(daemon);
        }
    }

    fn carry_out(&mut self, daemon: usize, output: Output) {
        match output {
            Output::Start(channel, agent) => {
                self.hold_admission(daemon, &agent);
                let caller = channel.id.clone();
                let rtp = self.start_call(daemon, channel, &agent);
                self.feed(daemon, Input::Started(caller, rtp));
            }
            Output::Refused(channel, reason) => {
                self.hold_refusal(daemon, reason);
                self.daemons[daemon].refused.push((channel.id, reason));
            }
            Output::Tell(caller, order) => {
                if let Some(task) = self.live.get(&(daemon, caller)) {
                    self.happen(*task, Happened::Told(order));
                }
            }
            Output::Ari(errand, request) => {
                self.hold_request(daemon, &request);
                let life = self.daemons[daemon].life;
                self.request(Asker::Errand { daemon, life, errand }, request);
            }
            other @ (Output::Take(..) | Output::Reject(..) | Output::HangUp(_) | Output::Hurry(_)) => {
                panic!("OpenAI offers no calls here: {other:?}")
            }
            Output::Reconnect => {
                self.disconnect(daemon);
                self.feed(daemon, Input::Lost(None));
                self.connect_after(daemon, NOT_READY);
            }
            Output::Leave => {
                self.daemons[daemon].stop.has_left = true;
                self.disconnect(daemon);
            }
            Output::Measure => self.measure(daemon),
            Output::TryAddress => self.feed(daemon, Input::AddressTried(Ok(()))),
            Output::Notice(_, notice) => self.daemons[daemon].notices.push(notice),
            Output::Readiness(readiness) => self.daemons[daemon].readiness = *readiness,
        }
    }

    /// Reads what the machine counts, for a daemon that was measured a turn ago.
    fn measure(&mut self, daemon: usize) {
        let (runs, waits, late) = match self.machine {
            Machine::Idle => (0.1, 0.0, 0),
            Machine::Overloaded => (0.3, 0.68, 10),
            Machine::Full => (0.96, 0.0, 0),
        };
        let it = &mut self.daemons[daemon];
        let passed = self.now.saturating_duration_since(it.measured_at);
        (it.measured_at, it.ran) = (self.now, it.ran + passed.mul_f64(runs));
        it.waited += passed.mul_f64(waits);
        let thread = ThreadTime { ran: it.ran, waited: it.waited };
        let threads = Some(ThreadTimes::of([(1, thread)]));
        let (ran_on_each, stolen) = (it.ran, Duration::ZERO);
        let counters = Counters { at: self.now, threads, ran_on_each, stolen };
        self.feed(daemon, Input::Measured(counters, (100, late)));
    }

    /// Something that was under way is there.
    pub(crate) fn arrive(&mut self, due: Due) {
        match due {
            Due::Request { asker, request, sent } => self.at_asterisk(asker, request, sent),
            Due::Reply { asker, request, reply } => self.replied(asker, request, reply),
            Due::Event { socket, text } => {
                if let Some(daemon) = self.daemon_of(socket).filter(|_| !self.ari_down()) {
                    self.news(daemon, &text);
                }
            }
            Due::LinkLost { socket } => {
                if let Some(daemon) = self.daemon_of(socket) {
                    self.daemons[daemon].link = None;
                    self.feed(daemon, Input::Lost(Some("broken".into())));
                    self.connect_after(daemon, RETRY);
                }
            }
            Due::Connect { daemon, life } if self.is_alive(daemon, life) => self.connect_ari(daemon),
            Due::Connect { .. } => {}
            other => self.arrive_at_model(other),
        }
    }

    fn daemon_of(&self, socket: SocketId) -> Option<usize> {
        self.daemons.iter().position(|daemon| daemon.link == Some(socket))
    }

    fn is_alive(&self, daemon: usize, life: u64) -> bool {
        !self.daemons[daemon].is_gone && self.daemons[daemon].life == life
    }

    fn connect_after(&mut self, daemon: usize, pause: Duration) {
        let life = self.daemons[daemon].life;
        self.after(pause, Due::Connect { daemon, life });
    }

    fn connect_ari(&mut self, daemon: usize) {
        match self.connect_to_asterisk() {
            Ok(socket) => {
                self.daemons[daemon].link = Some(socket);
                self.feed(daemon, Input::Connected);
            }
            Err(None) => {
                self.feed(daemon, Input::Unreached(Unreached::Network("refused".into())));
                self.connect_after(daemon, RETRY);
            }
            Err(Some(status)) => {
                self.feed(daemon, Input::Unreached(Unreached::Starting(status)));
                self.connect_after(daemon, NOT_READY);
            }
        }
    }

    fn disconnect(&mut self, daemon: usize) {
        if let Some(socket) = self.daemons[daemon].link.take() {
            self.asterisk.disconnect(self.now, socket);
            self.drain_asterisk();
        }
    }

    /// An event of a daemon's ARI socket.
    fn news(&mut self, daemon: usize, text: &str) {
        let event = event::parse(text).expect("the fake speaks ARI");
        let told = match &event {
            event::Event::StasisStart(channel) => Some((&channel.id, "StasisStart")),
            event::Event::StasisEnd(id) => Some((id, "StasisEnd")),
            event::Event::StateChanged(channel) if channel.up => Some((&channel.id, "Up")),
            event::Event::Dtmf { channel, .. } => Some((channel, "DTMF")),
            event::Event::Hold(channel) => Some((channel, "Hold")),
            event::Event::Unhold(channel) => Some((channel, "Unhold")),
            _ => None,
        };
        if let Some((id, what)) = told {
            let (caller, of) = id.caller().map_or((id.clone(), ""), |caller| (caller, " (media)"));
            let caller = self.daemons[daemon].exchange.caller_of(&caller).unwrap_or(caller);
            // Events of one in whose place another channel stands are drawn nowhere.
            if let Some(phone) = self.find_phone(&caller) {
                let text = format!("{what}{of}");
                self.ladder.tell(self.now, phone, Lane::Asterisk, Lane::Us, || text);
            }
        }
        self.feed(daemon, Input::Event(event));
    }

    pub(crate) fn replied(&mut self, asker: Asker, request: Request, reply: Reply) {
        let daemon = match asker {
            Asker::Task(task) => self.tasks[task].daemon,
            Asker::Errand { daemon, life, .. } if self.is_alive(daemon, life) => daemon,
            Asker::Errand { .. } => return,
        };
        let refuses = match &reply {
            Reply::Refused { status, .. } => matches!(status, 401 | 403),
            Reply::Done(_) => false,
            Reply::Lost(cause) => cause == "timed out",
        };
        let was = &mut self.daemons[daemon].refuses;
        if request.changes_a_channel() && std::mem::replace(was, refuses) != refuses {
            self.feed(daemon, Input::Refuses(refuses));
        }
        match asker {
            Asker::Task(task) => self.call_replied(task, request, reply),
            Asker::Errand { errand, .. } => {
                self.watch_reply(daemon, &request, &reply);
                self.feed(daemon, Input::Ari { errand, request: &request, reply: &reply });
            }
        }
    }

    /// The daemon is killed, and another starts so much later.
    pub(crate) fn crash(&mut self, ms: u64) {
        self.kill(0, ms);
    }

    /// This daemon is killed, and started again so much later.
    pub(crate) fn kill(&mut self, daemon: usize, ms: u64) {
        let of_it: Vec<_> =
            self.live.iter().filter(|((of, _), _)| *of == daemon).map(|(_, task)| *task).collect();
        self.live.retain(|(of, _), _| *of != daemon);
        for task in of_it {
            self.tasks[task].report = Some(self.tasks[task].call.report());
            self.close_session(task);
        }
        self.exit(daemon);
        let rules = self.daemons[daemon].rules.clone();
        let (at, it) = (self.moment(), &mut self.daemons[daemon]);
        (it.exchange, it.is_gone, it.refuses) = (Exchange::new(at, rules), false, false);
        it.earlier = (0, Vec::new());
        it.stop = Stop::default();
        self.feed(daemon, Input::Tick);
        self.connect_after(daemon, Duration::from_millis(ms));
    }

    /// Only this daemon's event socket breaks.
    pub(crate) fn cut_link(&mut self, daemon: usize) {
        if let Some(socket) = self.daemons[daemon].link {
            self.asterisk.cut(self.now, socket);
            self.drain_asterisk();
        }
    }

    /// The daemon's process ends. What it has sent arrives, and nobody hears of it any more.
    fn exit(&mut self, daemon: usize) {
        self.daemons[daemon].life += 1;
        self.daemons[daemon].is_gone = true;
        self.disconnect(daemon);
    }

    /// Which phone a channel belongs to.
    pub(crate) fn phone_of(&self, channel: &ChannelId) -> usize {
        self.find_phone(channel).expect("a channel of one of the phones")
    }

    pub(crate) fn find_phone(&self, channel: &ChannelId) -> Option<usize> {
        let of = |phone: &usize| self.outcome(*phone).channel == channel.as_str();
        (0..self.phones.len()).rev().find(of)
    }

    /// The operator decides anew, and tells every daemon.
    pub(crate) fn decide(&mut self, change: impl Fn(&mut Rules)) {
        for daemon in 0..self.daemons.len() {
            let rules = &mut self.daemons[daemon].rules;
            change(rules);
            let rules = rules.clone();
            self.feed(daemon, Input::Reload(Box::new(rules)));
        }
    }

    /// SIGTERM, for a daemon that lets calls go on for so long.
    pub(crate) fn stop(&mut self, daemon: usize, grace_ms: u64) {
        let rules = &mut self.daemons[daemon].rules;
        rules.shutdown_grace = Duration::from_millis(grace_ms);
        let rules = rules.clone();
        self.feed(daemon, Input::Reload(Box::new(rules)));
        let grace_ends = self.now + Duration::from_millis(grace_ms);
        self.daemons[daemon].stop.grace_ends.get_or_insert(grace_ends);
        self.feed(daemon, Input::Stop);
    }

    /// SIGTERM.
    pub(crate) fn drain(&mut self) {
        self.stop(0, 60_000);
    }

    /// SIGTERM, for a daemon that gives calls no time.
    pub(crate) fn grace_over(&mut self) {
        self.stop(0, 0);
    }

    /// The machine has this to do from now on.
    pub(crate) fn burden(&mut self, machine: Machine) {
        (self.machine, self.machine_since) = (machine, self.now);
    }

    /// The call log tells a daemon what calls of an earlier daemon have cost today.
    pub(crate) fn tell_earlier_cost(&mut self, daemon: usize, of_agents: &[(&str, u64)]) {
        let of_agents: Vec<_> =
            of_agents.iter().map(|(name, spent)| (Arc::from(*name), MicroUsd::new(*spent))).collect();
        self.daemons[daemon].earlier = (self.wall() / DAY, of_agents.clone());
        let today = self.moment().wall.date_naive();
        self.feed(daemon, Input::SpentEarlier(today, of_agents));
    }

    /// What is due of a daemon's exchange.
    pub(crate) fn step_daemon(&mut self, daemon: usize) {
        let it = &self.daemons[daemon];
        if !it.is_gone && it.exchange.deadline().is_some_and(|at| at <= self.now) {
            self.feed(daemon, Input::Tick);
        }
    }
}

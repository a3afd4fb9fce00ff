//! The world of the tests: one virtual clock, a fake Asterisk, phones, Realtime servers, and the daemon between them.
//!
//! The next thing that happens is the earliest deadline of everything; nothing sleeps and nothing is left to chance but
//! what a seed decides. A test moves the clock with [`World::run_to`] and interferes in between.

mod dice;
mod network;
mod phone;
mod settings;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use openai_inbound_calls::ari::ChannelId;
use openai_inbound_calls::call::glance::Glance;
use openai_inbound_calls::call::{Call, Known, Report, Settings};
use openai_inbound_calls::operator::Notice;
use openai_inbound_calls::sim::asterisk::{self, Asterisk, CallerId, Emit, Ending, Stop};
use openai_inbound_calls::sim::realtime::{Script, Session};
use openai_inbound_calls::sim::wire::Wire;

use super::exchange::{Daemon, Machine};
use super::ladder::{Ladder, Lane, Show};
use super::oracle::Oracle;
use super::recording::Recorded;
use super::task::Happened;
use super::toolbox::Toolbox;

pub(crate) use dice::Dice;
pub(crate) use network::{Due, Network};
pub(crate) use phone::{Phone, mark};
pub(crate) use settings::{only_agent, prices, rules, settings};

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const FRAME: Duration = Duration::from_millis(20);
/// What the wall clock shows at the start, Unix seconds.
pub(crate) const WALL: i64 = 1_795_180_048;
/// More steps than this at one instant are a loop.
const STEPS_AT_ONCE: u32 = 10_000;

/// One call's task.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) call: Call,
    /// When it began.
    pub(crate) born: Instant,
    pub(crate) channel: ChannelId,
    /// Whose it is, and in which of the daemon's lives.
    pub(crate) daemon: usize,
    pub(crate) life: u64,
    pub(crate) agent: Arc<str>,
    pub(crate) phone: usize,
    pub(crate) local: std::net::SocketAddr,
    pub(crate) media: Option<std::net::SocketAddr>,
    /// The stream its last packet belonged to.
    pub(crate) ssrc: Option<u32>,
    /// The only source whose packets still reach us.
    pub(crate) heard_from: Option<std::net::SocketAddr>,
    /// What waits while the task is not run.
    pub(crate) inbox: VecDeque<Happened>,
    pub(crate) asleep_until: Option<Instant>,
    pub(crate) into: Wire,
    pub(crate) out: Wire,
    /// Counts the connections opened and closed.
    pub(crate) epoch: u64,
    pub(crate) server: Option<usize>,
    pub(crate) connections: usize,
    pub(crate) pending: Vec<u8>,
    pub(crate) oracle: Oracle,
    /// What the server has told it: tokens, and milliseconds put into words. With the prices of tests, micro-USD.
    pub(crate) charged: u64,
    /// What it has told the daemon that it has cost, micro-USD.
    pub(crate) spent: u64,
    /// What its recording got.
    pub(crate) recorded: Recorded,
    pub(crate) notices: Vec<Notice>,
    pub(crate) report: Option<Report>,
    pub(crate) over_at: Option<Instant>,
    /// Of packets and ticks: how often memory was asked for, and how many there were.
    pub(crate) handled: (u64, u64),
    /// The call as it was a moment ago.
    pub(crate) glance: Glance,
}

impl Task {
    /// Whether the call was not over as soon as it ended.
    pub(crate) fn took_time_to_close(&self) -> bool {
        let ended = self.recorded.ended_at().map(|ended| self.born + ended);
        self.over_at.zip(ended).is_some_and(|(over, ended)| over > ended + 100 * MS)
    }
}

/// One connection at the model's server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) session: Session,
    pub(crate) task: usize,
    pub(crate) epoch: u64,
    /// When the last message each way arrives: none overtakes another.
    pub(crate) last_in: Instant,
    pub(crate) last_out: Instant,
    /// Bytes it has not read while stalled.
    pub(crate) unread: usize,
}

/// How the servers' texts reach us: as they are, or written in another way.
pub(crate) type Writing = Box<dyn Fn(String) -> String>;
/// A packet's sequence number and timestamp, and the timestamp it gets.
pub(crate) type Restamp = Box<dyn Fn(u32, u32) -> u32>;

/// Everything. See the module's documentation.
pub(crate) struct World {
    pub(crate) start: Instant,
    /// What the wall clock shows at the start, Unix seconds.
    pub(crate) born: i64,
    pub(crate) now: Instant,
    pub(crate) dice: Dice,
    pub(crate) network: Network,
    pub(crate) settings: Arc<Settings>,
    /// What sessions do when their phone has no scripts of its own.
    pub(crate) script: Arc<Script>,
    pub(crate) asterisk: Asterisk,
    pub(crate) toolbox: Toolbox,
    /// What is known of the calls to come.
    pub(crate) known: Known,
    pub(crate) phones: Vec<Phone>,
    pub(crate) tasks: Vec<Task>,
    /// The calls that run, by their daemon and caller.
    pub(crate) live: HashMap<(usize, ChannelId), usize>,
    pub(crate) servers: Vec<Server>,
    pub(crate) server_writes: Writing,
    /// What becomes of the timestamps of Asterisk's packets, by their sequence numbers.
    pub(crate) restamp: Option<Restamp>,
    /// Where Asterisk's packets seem to come from; None: from where it says.
    pub(crate) router: Option<std::net::SocketAddr>,
    /// Most tests have one.
    pub(crate) daemons: Vec<Daemon>,
    /// What the machine has to do, and since when.
    pub(crate) machine: Machine,
    pub(crate) machine_since: Instant,
    /// The operator reads the configuration again between any two things that happen to a daemon.
    pub(crate) reloads: bool,
    /// Callers in the application of whom no daemon takes care, and for how long already while one could.
    pub(crate) alone: HashMap<String, (Instant, Duration)>,
    /// What is left in Asterisk of calls that are over, and for how long already while a daemon could remove it.
    pub(crate) orphans: HashMap<String, (Instant, Duration)>,
    pub(crate) link_order: Instant,
    /// Until then the packets of Asterisk to a call wait, and then come all at once.
    pub(crate) held_up: Option<(usize, Instant)>,
    /// Until then nothing of ARI gets through, connections included.
    pub(crate) ari_down_until: Option<Instant>,
    /// Until then the model's server cannot be reached.
    pub(crate) model_down_until: Option<Instant>,
    pub(crate) ladder: Ladder,
    /// The `Debug` forms of everything that happens to calls and exchanges and comes out of them, if a test wants them.
    pub(crate) printed: Option<String>,
    pub(crate) queue: BTreeMap<(Instant, u64), Due>,
    queued: u64,
    steps: u32,
}

#[expect(clippy::disallowed_methods, reason = "virtual time has to begin at some instant")]
pub(crate) fn epoch() -> Instant {
    Instant::now()
}

#[expect(clippy::print_stderr, reason = "a failed test explains itself")]
impl Drop for World {
    /// Shows what had happened, when an assertion fails.
    fn drop(&mut self) {
        if std::thread::panicking() && self.ladder.is_on() {
            for call in 0..self.phones.len() {
                eprintln!("call {call}:\n{}", self.ladder.draw(call, Show::ALL));
            }
        }
    }
}

impl World {
    /// A world in which the daemon has been connected to Asterisk for a while.
    pub(crate) fn new() -> Self {
        Self::with(1, asterisk::Settings::default())
    }

    pub(crate) fn with(seed: u64, asterisk: asterisk::Settings) -> Self {
        let now = epoch();
        let start = now + 1_000 * MS;
        let mut world = Self {
            start,
            born: WALL,
            now,
            dice: Dice(seed),
            network: Network::default(),
            settings: Arc::new(settings()),
            script: Arc::new(Script::default()),
            asterisk: Asterisk::new(now, asterisk::Settings { seed, ..asterisk }),
            toolbox: Toolbox::default(),
            known: Known::default(),
            phones: Vec::new(),
            tasks: Vec::new(),
            live: HashMap::new(),
            servers: Vec::new(),
            server_writes: Box::new(|text| text),
            restamp: None,
            router: None,
            daemons: Vec::new(),
            machine: Machine::Idle,
            machine_since: now,
            reloads: false,
            alone: HashMap::new(),
            orphans: HashMap::new(),
            link_order: now,
            held_up: None,
            ari_down_until: None,
            model_down_until: None,
            ladder: Ladder::new(start),
            printed: None,
            queue: BTreeMap::new(),
            queued: 0,
            steps: 0,
        };
        world.start_daemon(rules());
        world.run_to(0);
        world
    }

    /// The daemon takes so many callers at once.
    pub(crate) fn take_at_most(&mut self, max_calls: usize) {
        self.decide(|rules| rules.max_calls = max_calls);
    }

    /// Changes what the calls to come are told.
    pub(crate) fn set(&mut self, change: impl FnOnce(&mut Settings)) {
        change(Arc::make_mut(&mut self.settings));
        let settings = Arc::clone(&self.settings);
        self.decide(|rules| {
            rules.agents = only_agent(&settings);
            rules.settings = Arc::clone(&settings);
        });
    }

    /// Changes what the sessions to come do.
    pub(crate) fn model(&mut self, change: impl FnOnce(&mut Script)) {
        change(Arc::make_mut(&mut self.script));
    }

    /// The servers write what they say in another way.
    pub(crate) fn server_writes(&mut self, way: impl Fn(String) -> String + 'static) {
        self.server_writes = Box::new(way);
    }

    pub(crate) fn stop_asterisk(&mut self, how: Stop) {
        self.asterisk.stop(self.now, how);
        self.drain_asterisk();
    }

    /// Runs until this long after the start.
    pub(crate) fn run_to(&mut self, ms: u64) {
        let until = self.start + Duration::from_millis(ms);
        while let Some(at) = self.next_at().filter(|at| *at <= until) {
            self.steps = if at > self.now { 0 } else { self.steps + 1 };
            assert!(self.steps < STEPS_AT_ONCE, "time stands still");
            self.now = self.now.max(at);
            self.step();
        }
        self.now = self.now.max(until);
    }

    /// Runs so much longer.
    pub(crate) fn run_for(&mut self, ms: u64) {
        self.run_to(self.ms() + ms);
    }

    /// Milliseconds since the start.
    pub(crate) fn ms(&self) -> u64 {
        (self.now.saturating_duration_since(self.start)).as_millis() as u64
    }

    pub(crate) fn after(&mut self, delay: Duration, due: Due) {
        self.at(self.now + delay, due);
    }

    pub(crate) fn at(&mut self, at: Instant, due: Due) {
        self.queued += 1;
        self.queue.insert((at, self.queued), due);
    }

    /// The wall clock, Unix seconds.
    pub(crate) fn wall(&self) -> i64 {
        self.wall_at(self.now)
    }

    /// What the wall clock shows at this instant, Unix seconds.
    pub(crate) fn wall_at(&self, at: Instant) -> i64 {
        self.born + at.saturating_duration_since(self.start).as_secs() as i64
    }

    /// A delay with chance in it.
    pub(crate) fn delay(&mut self, (least, jitter): (Duration, Duration)) -> Duration {
        least + jitter.mul_f64(self.dice.below(1_000) as f64 / 1_000.0)
    }

    fn next_at(&self) -> Option<Instant> {
        let queue = self.queue.first_key_value().map(|((at, _), _)| *at);
        let phones = self
            .phones
            .iter()
            .flat_map(|phone| [phone.caller.deadline(), phone.up.deadline(), phone.down.deadline()]);
        let tasks = self.tasks.iter().enumerate().filter(|(_, task)| task.report.is_none());
        let tasks = tasks.flat_map(|(index, task)| {
            let held_up = self.held_up.filter(|(held, _)| *held == index).map(|(_, until)| until);
            let into = task.into.deadline().map(|at| held_up.map_or(at, |until| at.max(until)));
            [task.asleep_until.or_else(|| task.call.deadline()), into, task.out.deadline()]
        });
        let servers = self.servers.iter().map(|server| server.session.deadline());
        let living = self.daemons.iter().filter(|daemon| !daemon.is_gone);
        let daemons = living.map(|daemon| daemon.exchange.deadline());
        [queue, self.asterisk.deadline()]
            .into_iter()
            .chain(phones)
            .chain(tasks)
            .chain(servers)
            .chain(daemons)
            .flatten()
            .min()
    }

    /// Everything that is due now.
    fn step(&mut self) {
        self.asterisk.advance(self.now);
        self.drain_asterisk();
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let due = entry.remove();
            self.arrive(due);
        }
        for phone in 0..self.phones.len() {
            self.step_phone(phone);
        }
        for server in 0..self.servers.len() {
            if self.servers[server].session.deadline().is_some_and(|at| at <= self.now) {
                self.servers[server].session.advance(self.now);
                self.drain_server(server);
            }
        }
        for daemon in 0..self.daemons.len() {
            self.step_daemon(daemon);
        }
        for task in 0..self.tasks.len() {
            self.step_task(task);
        }
        self.hold_daemons();
    }

    /// Carries what comes out of Asterisk to where it belongs.
    pub(crate) fn drain_asterisk(&mut self) {
        while let Some(emit) = self.asterisk.poll() {
            match emit {
                Emit::Event { socket, text } => {
                    let at = self.link_at();
                    self.at(at, Due::Event { socket, text });
                }
                Emit::SocketClosed { socket, .. } => {
                    let at = self.link_at();
                    self.at(at, Due::LinkLost { socket });
                }
                Emit::Media { from_port, to, datagram } => self.media_for_us(from_port, to, &datagram),
                Emit::ToCaller { call: CallerId(phone), datagram } => {
                    self.phones[phone].down.send(self.now, datagram);
                }
                Emit::CallerAnswered { call: CallerId(phone) } => {
                    self.ladder.tell(self.now, phone, Lane::Asterisk, Lane::Caller, || "200 OK".into());
                    self.phones[phone].caller.answered(self.now);
                }
                Emit::CallerReleased { call: CallerId(phone), how } => {
                    let (from, to, text) = match how {
                        Ending::CallerHungUp => (Lane::Caller, Lane::Asterisk, "BYE".to_owned()),
                        Ending::Continued { priority, .. } => {
                            (Lane::Asterisk, Lane::Asterisk, format!("dialplan goes on at {priority}"))
                        }
                        other => (Lane::Asterisk, Lane::Caller, format!("{other:?}")),
                    };
                    self.ladder.tell(self.now, phone, from, to, || text);
                    self.phones[phone].caller.released(self.now);
                }
                Emit::OpenPort(_)
                | Emit::ClosePort(_)
                | Emit::Dialled { .. }
                | Emit::ToFarEnd { .. }
                | Emit::KeyToFarEnd { .. }
                | Emit::FarEndAlone { .. }
                | Emit::FarEndReleased { .. } => {}
            }
        }
    }

    /// When the next message on the ARI socket arrives.
    fn link_at(&mut self) -> Instant {
        let at = self.now + self.delay(self.network.events);
        self.link_order = self.link_order.max(at);
        self.link_order
    }
}

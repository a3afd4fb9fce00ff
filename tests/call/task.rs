//! Does what `daemon::call_task` does, without sockets and tasks: gives a call what happens to it, and performs what comes
//! out. Where the daemon waits, the world's queue does.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use openai_inbound_calls::ari::event::Channel;
use openai_inbound_calls::ari::request::{Reply, Request};
use openai_inbound_calls::call::glance::Glance;
use openai_inbound_calls::call::record::{Entry, EventKind};
use openai_inbound_calls::call::tools;
use openai_inbound_calls::call::{Call, Hold, Input, LegEvent, Output, Seed, SessionEnd};
use openai_inbound_calls::exchange::{self, Agent, Order};
use openai_inbound_calls::operator::Level;
use openai_inbound_calls::realtime::server;
use openai_inbound_calls::sim::wire::Wire;
use openai_inbound_calls::units::MicroUsd;

use super::allocations::counted;
use super::asterisk::short;
use super::exchange::Asker;
use super::ladder::{Lane, SILENCE};
use super::oracle::Oracle;
use super::recording::Recorded;
use super::world::{FRAME, Task, World, mark, prices};

/// Something that happens to a call, kept while its task does not run.
#[derive(Debug)]
pub(crate) enum Happened {
    Told(Order),
    Packet(SocketAddr, Vec<u8>),
    Replied(Request, Reply),
    Opened,
    Text(String),
    Ended(SessionEnd),
    Tool(tools::Result),
    LookedUp(Arc<str>, Option<serde_json::Value>),
}

impl World {
    /// The ports of the calls of this daemon that run.
    fn ports_in_use(&self, daemon: usize) -> Arc<[u16]> {
        let life = self.daemons[daemon].life;
        let runs =
            |task: &&Task| task.daemon == daemon && task.life == life && task.call.deadline().is_some();
        self.tasks.iter().filter(runs).map(|task| task.local.port()).collect()
    }

    /// Starts a call of this daemon and agent for a caller. Its RTP socket.
    pub(crate) fn start_call(&mut self, daemon: usize, channel: Channel, agent: &Agent) -> SocketAddr {
        let caller = channel.id.clone();
        let phone = self.phone_of(&caller);
        let local = SocketAddr::from(([10, 0, 0, 1], 10_000 + 2 * self.tasks.len() as u16));
        let (first, second) = (self.dice.roll(), self.dice.roll());
        let settings = Arc::clone(&agent.settings);
        let seed = Seed {
            channel: caller.clone(),
            wall: self.wall(),
            channel_name: channel.name,
            answered: channel.up,
            local,
            advertised: local,
            other_ports: self.ports_in_use(daemon),
            ssrc: first as u32,
            sequence: (first >> 32) as u16,
            timestamp: second as u32,
            known: self.known.clone(),
        };
        self.print(&seed);
        self.tasks.push(Task {
            oracle: Oracle::new(&settings),
            born: self.now,
            call: Call::new(self.now, settings, seed),
            channel: caller.clone(),
            daemon,
            life: self.daemons[daemon].life,
            agent: Arc::clone(&agent.name),
            phone,
            local,
            media: None,
            ssrc: None,
            heard_from: None,
            inbox: VecDeque::new(),
            asleep_until: None,
            into: Wire::new(first, self.network.media),
            out: Wire::new(second, self.network.media),
            epoch: 0,
            server: None,
            connections: 0,
            pending: Vec::new(),
            charged: 0,
            spent: 0,
            recorded: Recorded::default(),
            notices: Vec::new(),
            report: None,
            over_at: None,
            glance: Glance::default(),
            handled: (0, 0),
        });
        let task = self.tasks.len() - 1;
        self.live.insert((daemon, caller), task);
        self.handle(task, None);
        local
    }

    /// The call's task is not run for so long.
    pub(crate) fn stall(&mut self, task: usize, ms: u64) {
        self.tasks[task].asleep_until = Some(self.now + Duration::from_millis(ms));
    }

    /// A datagram leaves Asterisk for one of our sockets.
    pub(crate) fn media_for_us(&mut self, from_port: u16, to: SocketAddr, datagram: &[u8]) {
        let now = self.now;
        if let Some(task) = self.tasks.iter_mut().find(|task| task.local == to && task.report.is_none()) {
            task.into.send(now, [&from_port.to_be_bytes(), datagram].concat());
        }
    }

    /// What is due of one call.
    pub(crate) fn step_task(&mut self, index: usize) {
        let now = self.now;
        let task = &mut self.tasks[index];
        task.out.advance(now);
        let (local, media) = (task.local, task.media);
        while let Some((datagram, to)) = self.tasks[index].out.poll().zip(media) {
            self.asterisk.media_datagram(now, to.port(), local, &datagram);
        }
        self.drain_asterisk();
        let task = &mut self.tasks[index];
        if task.report.is_some() {
            return;
        }
        if task.asleep_until.is_some_and(|until| until <= now) {
            task.asleep_until = None;
            let waiting = std::mem::take(&mut task.inbox);
            self.handle(index, None);
            for happened in waiting {
                self.handle(index, Some(happened));
            }
        }
        if self.held_up.is_some_and(|(held, until)| held == index && now < until) {
            return self.tick_if_due(index);
        }
        self.tasks[index].into.advance(now);
        while let Some(datagram) = self.tasks[index].into.poll() {
            let (port, datagram) = datagram.split_at(2);
            let named = SocketAddr::from(([127, 0, 0, 1], u16::from_be_bytes([port[0], port[1]])));
            let from = self.router.unwrap_or(named);
            let mut datagram = datagram.to_vec();
            if let (Some(restamp), [_, _, high, low, a, b, c, d, ..]) = (&self.restamp, &mut datagram[..]) {
                let number = u32::from(u16::from_be_bytes([*high, *low]));
                let stamp = restamp(number, u32::from_be_bytes([*a, *b, *c, *d]));
                [*a, *b, *c, *d] = stamp.to_be_bytes();
            }
            self.receive(index, from, datagram);
        }
        self.tick_if_due(index);
    }

    /// A datagram reaches our socket, unless the socket is connected to somebody else.
    pub(crate) fn receive(&mut self, index: usize, from: SocketAddr, datagram: Vec<u8>) {
        let task = &mut self.tasks[index];
        if task.heard_from.is_none_or(|source| source == from) {
            task.ssrc = datagram.get(8..12).and_then(|ssrc| ssrc.try_into().ok()).map(u32::from_be_bytes);
            self.happen(index, Happened::Packet(from, datagram));
        }
    }

    fn tick_if_due(&mut self, index: usize) {
        let task = &self.tasks[index];
        if task.asleep_until.is_none() && task.call.deadline().is_some_and(|at| at <= self.now) {
            self.handle(index, None);
        }
    }

    /// The packets of Asterisk to a call wait for so long, and then come all at once.
    pub(crate) fn hold_up(&mut self, task: usize, ms: u64) {
        self.held_up = Some((task, self.now + Duration::from_millis(ms)));
    }

    /// Tells a call what happened, now or when its task runs again.
    pub(crate) fn happen(&mut self, index: usize, happened: Happened) {
        if self.tasks[index].asleep_until.is_some() {
            self.tasks[index].inbox.push_back(happened);
        } else {
            self.handle(index, Some(happened));
        }
    }

    /// Keeps the `Debug` form of a value, if the test wants it.
    pub(crate) fn print(&mut self, value: &dyn std::fmt::Debug) {
        if let Some(printed) = &mut self.printed {
            writeln!(printed, "{value:?}").expect("writing to a String cannot fail");
        }
    }

    /// As `call_task::run`: gives it to the call, and performs what comes out.
    fn handle(&mut self, index: usize, happened: Option<Happened>) {
        let now = self.now;
        self.print(&happened);
        let task = &mut self.tasks[index];
        if task.report.is_some() {
            return;
        }
        if task.recorded.ended_at().is_none() {
            task.oracle.hold_silence(now);
        }
        let outputs: Vec<Output> = match happened {
            None => {
                let (outputs, asked) = counted(|| task.call.handle(now, Input::Tick));
                task.handled = (task.handled.0 + asked, task.handled.1 + 1);
                outputs.collect()
            }
            Some(Happened::Told(order)) => {
                let input = match &order {
                    Order::Leg(event) => {
                        if let LegEvent::Hold(hold) = event {
                            task.oracle.held = *hold == Hold::On;
                        }
                        Input::Leg(*event)
                    }
                    Order::Replaced(by, next_step) => {
                        Input::CallerReplaced { by, next_step: next_step.as_ref() }
                    }
                    Order::Renumbered(number) => Input::CallerRenumbered(number),
                    Order::Offered(id) => Input::Offered(id),
                    Order::Supervisor(wish) => Input::Supervisor(wish),
                    Order::Shutdown => Input::Shutdown,
                };
                task.call.handle(now, input).collect()
            }
            Some(Happened::Packet(from, datagram)) => {
                self.ladder.sound(
                    now,
                    task.phone,
                    (Lane::Caller, Lane::Us),
                    kind(&datagram[12.min(datagram.len())..]),
                    FRAME,
                );
                let input = Input::Rtp { from, datagram: &datagram };
                let (outputs, asked) = counted(|| task.call.handle(now, input));
                task.handled = (task.handled.0 + asked, task.handled.1 + 1);
                outputs.collect()
            }
            Some(Happened::Replied(request, reply)) => {
                task.call.handle(now, Input::Ari { request: &request, reply: &reply }).collect()
            }
            Some(Happened::Opened) => task.call.handle(now, Input::SessionOpened).collect(),
            Some(Happened::Ended(end)) => {
                task.oracle.session_over(now);
                task.call.handle(now, Input::SessionEnded(end)).collect()
            }
            Some(Happened::Tool(result)) => {
                self.toolbox.ends.push((index, result.clone()));
                task.call.handle(now, Input::Tool(result)).collect()
            }
            Some(Happened::LookedUp(name, value)) => {
                task.call.handle(now, Input::LookedUp { name: &name, value }).collect()
            }
            Some(Happened::Text(text)) => return self.handle_text(index, &text),
        };
        self.perform_all(index, outputs);
    }

    fn handle_text(&mut self, index: usize, text: &str) {
        self.draw_text(index, text);
        let task = &mut self.tasks[index];
        task.charged += charge(text);
        match server::parse(text) {
            Ok(event) => {
                task.oracle.before(self.now, &event);
                self.toolbox.hears(self.now, index, task.connections, &event);
                let outputs = task.call.handle(self.now, Input::Session(event.clone())).collect();
                let serving = task.server.is_some();
                self.perform_all(index, outputs);
                let task = &self.tasks[index];
                if serving && task.server.is_some() && task.recorded.ended_at().is_none() {
                    self.tasks[index].oracle.after(&event);
                }
            }
            Err(malformed) => {
                let outputs = task.call.handle(self.now, Input::Unreadable(&malformed)).collect();
                self.perform_all(index, outputs);
            }
        }
    }

    fn perform_all(&mut self, index: usize, outputs: Vec<Output>) {
        self.print(&outputs);
        for output in outputs {
            self.perform(index, output);
        }
        let task = &mut self.tasks[index];
        let glance = task.call.glance();
        never_less(&task.glance, &glance);
        task.glance = glance;
        let deadline = task.call.deadline();
        assert!(deadline.is_none_or(|at| at > self.now), "a deadline in the past");
        if deadline.is_none() {
            let over_at = self.now;
            let task = &mut self.tasks[index];
            let report = task.call.report();
            assert_eq!(report.latencies, *task.glance.latencies, "who watched knows all of it");
            for answer in &report.latencies.answers {
                assert!(answer.first_delta + answer.own == answer.first_frame, "{answer:?}");
                assert!(answer.speech_stopped <= answer.first_delta, "{answer:?}");
            }
            assert_eq!(task.oracle.skipped, report.late_frames, "every jump of the timestamp is counted");
            task.recorded.hold();
            if self.settings.prices == prices() {
                let (bill, charged) = (&report.bill, task.charged);
                assert!(bill.at_least.get() >= charged, "{charged} were told: {bill:?}");
                assert!(
                    bill.estimated || bill.cost == Some(MicroUsd::new(charged)),
                    "{charged} were told: {bill:?}"
                );
            }
            assert!(!report.session_stood || task.recorded.bill() == Some(&report.bill));
            task.report = Some(report.clone());
            task.over_at = Some(over_at);
            let (daemon, caller) = (task.daemon, task.channel.clone());
            self.live.remove(&(daemon, caller.clone()));
            self.close_session(index);
            self.feed(daemon, exchange::Input::Ended(caller, &report));
        }
    }

    fn perform(&mut self, index: usize, output: Output) {
        let now = self.now;
        let task = &mut self.tasks[index];
        let phone = task.phone;
        match output {
            Output::Rtp(packet) => {
                task.recorded.left(&packet);
                let item = task.oracle.packet(now, &packet).unwrap_or(SILENCE);
                self.ladder.sound(now, phone, (Lane::Us, Lane::Caller), item, FRAME);
                if task.media.is_some() {
                    self.phones[phone].may_hear.extend(mark(&packet[12..]));
                    task.out.send(now, packet.to_vec());
                }
            }
            Output::FetchSounds(_) => unreachable!("we carry the sound"),
            Output::MediaAddress(address) => task.media = Some(address),
            Output::MediaSource(source) => task.heard_from = Some(source),
            Output::Append { frame, complete } => {
                task.pending.extend_from_slice(frame.bytes());
                self.ladder.sound(now, phone, (Lane::Us, Lane::Model), kind(frame.bytes()), FRAME);
                if complete {
                    let pending = std::mem::take(&mut self.tasks[index].pending);
                    self.send_to_model(index, openai_inbound_calls::realtime::client::append(&pending));
                }
            }
            Output::Session(event) => {
                task.oracle.says(now, &event);
                self.toolbox.says(index, &event);
                self.say_to_model(index, &event);
            }
            Output::Standing(standing) => {
                let daemon = task.daemon;
                self.feed(daemon, exchange::Input::Standing(&standing));
            }
            Output::Record(entry) => {
                if matches!(entry, Entry::Event { kind: EventKind::Ended, .. }) && task.server.is_some() {
                    self.toolbox.leaves(now, index, task.connections);
                }
                if matches!(entry, Entry::Event { kind: EventKind::Apology, .. }) {
                    task.oracle.apologises(now);
                }
                let spent = if let Entry::Usage(bill) = &entry { Some(bill.at_least) } else { None };
                task.recorded.take(entry);
                if let Some(spent) = spent {
                    task.spent = spent.get();
                    let (daemon, caller) = (task.daemon, task.channel.clone());
                    self.feed(daemon, exchange::Input::Spent(caller, spent));
                }
            }
            Output::Tool(job) => self.begin_job(index, job),
            Output::LetGo(number) => self.let_job_go(index, number),
            Output::OpenSession => self.open_session(index),
            Output::CloseSession => {
                task.oracle.session_over(now);
                self.close_session(index);
            }
            Output::Ari(request) => {
                self.ladder.tell(now, phone, Lane::Us, Lane::Asterisk, || short(&request));
                self.request(Asker::Task(index), request);
            }
            Output::Sip(request) => panic!("a call in Asterisk asks OpenAI for nothing: {request:?}"),
            Output::Notice(notice) => {
                if notice.level() > Level::Info {
                    let name = format!("{notice:?}");
                    let name = name.split([' ', '{']).next().unwrap_or_default().to_owned();
                    self.ladder.tell(now, phone, Lane::Us, Lane::Us, || format!("! {name}"));
                }
                task.notices.push(notice);
            }
        }
    }
}

/// What the server charges with this event.
fn charge(text: &str) -> u64 {
    let event: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let usage = if event["type"] == "response.done" { &event["response"]["usage"] } else { &event["usage"] };
    let ms = usage["seconds"].as_f64().map_or(0, |seconds| (seconds * 1_000.0).round() as u64);
    usage["total_tokens"].as_u64().unwrap_or(0) + ms
}

/// What a piece of sound is called.
fn kind(sound: &[u8]) -> &'static str {
    if sound.iter().all(|byte| *byte == 0xFF) { SILENCE } else { "voice" }
}

/// What is counted of a call only grows: metrics are made of it.
fn never_less(before: &Glance, after: &Glance) {
    let counts = |glance: &Glance| {
        let Glance { counters, uplink, latencies, .. } = glance;
        let spent = glance.bill.as_ref().map_or(0, |bill| bill.at_least.get());
        let tokens = glance.bill.as_ref().map_or(0, |bill| bill.tokens().read() + bill.tokens().written());
        let waited = (latencies.answers.len() + latencies.barge_ins.len()) as u64;
        let sound = [glance.frames, glance.late_frames, glance.underruns, glance.turns];
        let told = [counters.barge_ins, counters.foreign_packets, uplink.received, uplink.lost_frames];
        [sound, told, [spent, tokens, waited, glance.duration.as_millis() as u64]].concat()
    };
    let (before, after) = (counts(before), counts(after));
    assert!(before.iter().zip(&after).all(|(before, after)| before <= after), "{before:?} then {after:?}");
}

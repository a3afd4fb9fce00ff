//! Does what `src/daemon` does, without sockets and tasks: carries events to the switchboard, runs each call, performs
//! what comes out of it. Where the daemon waits, the world's queue does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use openai_inbound_calls::ari::event::{self, Channel};
use openai_inbound_calls::ari::request::{Application, Reply, Request};
use openai_inbound_calls::ari::{BridgeId, ChannelId, Place};
use openai_inbound_calls::call::glance::Glance;
use openai_inbound_calls::call::record::{Entry, EventKind};
use openai_inbound_calls::call::{Call, Input, LegEvent, Output, Seed, SessionEnd, Wish};
use openai_inbound_calls::operator::{EndReason, Level, Notice};
use openai_inbound_calls::realtime::server;
use openai_inbound_calls::sim::wire::Wire;
use openai_inbound_calls::switchboard::{Directive, Switchboard};

use super::allocations::counted;
use super::asterisk::short;
use super::ladder::{Lane, SILENCE};
use super::oracle::Oracle;
use super::recording::Recorded;
use super::world::{Due, FRAME, MS, Task, World, mark, prices};

/// Something that happens to a call, kept while its task does not run.
#[derive(Debug)]
pub(crate) enum Happened {
    Leg(LegEvent),
    Replaced(ChannelId, Option<Place>),
    Renumbered(String),
    Supervisor(Wish),
    Shutdown,
    Packet(SocketAddr, Vec<u8>),
    Replied(Request, Reply),
    Opened,
    Text(String),
    Ended(SessionEnd),
}

/// Something that belongs to no call, and when it is over.
pub(crate) type Errand = (Request, IsOver);
pub(crate) type IsOver = fn(&Request, &Reply) -> bool;

/// Who made a request.
#[derive(Debug, Clone)]
pub(crate) enum Asker {
    /// A call.
    Task(usize),
    /// The check after a connect, with the callers of that moment.
    Check(Vec<ChannelId>),
    /// The same, when it knows what the application holds.
    Bridges(Vec<ChannelId>, Application),
    /// Someone who wants to know, after a connect, since when this Asterisk runs.
    Info,
    /// Someone who removes this bridge if its caller is gone.
    Sweeper(BridgeId),
    /// Someone who looks after a caller found waiting.
    Looker(ChannelId),
    /// What is to be done one after the other; then these callers are looked at.
    Chain(Vec<Errand>, IsOver, Vec<ChannelId>),
}

impl World {
    /// Something that was under way is there.
    pub(crate) fn arrive(&mut self, due: Due) {
        match due {
            Due::Request { asker, request, sent } => self.at_asterisk(asker, request, sent),
            Due::Reply { asker, request, reply } => self.replied(asker, request, reply),
            Due::Event { socket, text } => {
                if self.link == Some(socket) && !self.ari_down() {
                    self.news(&text);
                }
            }
            Due::LinkLost { socket } => {
                if self.link == Some(socket) {
                    self.link = None;
                    self.notices.push(Notice::AriLost);
                    self.after(500 * MS, Due::Connect);
                }
            }
            Due::Connect => self.connect_ari(),
            Due::LookAt { caller } => self.look_at(caller),
            other => self.arrive_at_model(other),
        }
    }

    /// An event of the ARI socket.
    fn news(&mut self, text: &str) {
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
            let caller = self.switchboard.caller_of(&caller).unwrap_or(caller);
            // Of one in whose place another channel stands, the news are nobody's.
            if let Some(phone) = self.find_phone(&caller) {
                let text = format!("{what}{of}");
                self.ladder.tell(self.now, phone, Lane::Asterisk, Lane::Us, || text);
            }
        }
        if let Some(directive) = self.switchboard.event(event) {
            self.direct(directive);
        }
    }

    pub(crate) fn direct(&mut self, directive: Directive) {
        match directive {
            Directive::Admit(channel) => self.admit(channel),
            Directive::Refuse(channel) => self.send_on(channel.id, EndReason::Busy),
            Directive::Tell(caller, event) => {
                if let Some(task) = self.live.get(&caller) {
                    self.happen(*task, Happened::Leg(event));
                }
            }
            Directive::Replace { caller, by, next_step } => {
                if let Some(task) = self.live.get(&caller) {
                    self.happen(*task, Happened::Replaced(by.id, next_step));
                }
            }
            Directive::Renumber(caller, number) => {
                if let Some(task) = self.live.get(&caller) {
                    self.happen(*task, Happened::Renumbered(number));
                }
            }
            Directive::Remove(request) => {
                self.request_all(vec![(request, Request::is_settled_by)], Vec::new());
            }
            Directive::LookAt(caller) => self.look_at(caller),
            Directive::LookAgain(caller) => self.after(500 * MS, Due::LookAt { caller }),
            Directive::Replaced => self.notices.push(Notice::AriReplaced { app: self.settings.app.clone() }),
        }
    }

    fn send_on(&mut self, caller: ChannelId, reason: EndReason) {
        let value = reason.code().to_owned();
        let name = openai_inbound_calls::call::legs::END_REASON_VARIABLE;
        let explain = Request::SetVariable { channel: caller.clone(), name, value };
        let go_on = Request::Continue { channel: caller, place: None };
        let errands = [explain, go_on].map(|request| (request, Request::is_settled_by as IsOver));
        self.request_all(errands.into(), Vec::new());
    }

    pub(crate) fn look_at(&mut self, caller: ChannelId) {
        self.request(Asker::Looker(caller.clone()), Request::Channel(caller));
    }

    /// Makes requests one after the other, and then looks at callers.
    pub(crate) fn request_all(&mut self, mut errands: Vec<Errand>, waiting: Vec<ChannelId>) {
        if errands.is_empty() {
            for caller in waiting {
                self.look_at(caller);
            }
        } else {
            let (first, is_over) = errands.remove(0);
            self.request(Asker::Chain(errands, is_over, waiting), first);
        }
    }

    /// The daemon is killed, and another starts so much later.
    pub(crate) fn crash(&mut self, ms: u64) {
        for index in std::mem::take(&mut self.live).into_values().collect::<Vec<_>>() {
            self.tasks[index].report = Some(self.tasks[index].call.report());
            self.close_session(index);
        }
        self.switchboard = self.max_calls.map_or_else(Switchboard::default, Switchboard::new);
        // What was sent arrives; nobody hears of it any more.
        let dies_with_it = |due: &Due| match due {
            Due::Reply { .. }
            | Due::Event { .. }
            | Due::LinkLost { .. }
            | Due::Connect
            | Due::LookAt { .. } => true,
            Due::Request { asker, .. } => !matches!(asker, Asker::Task(_)),
            _ => false,
        };
        self.queue.retain(|_, due| !dies_with_it(due));
        if let Some(socket) = self.link.take() {
            self.asterisk.disconnect(self.now, socket);
            self.drain_asterisk();
        }
        self.asterisk_started = None;
        self.after(Duration::from_millis(ms), Due::Connect);
    }

    /// Which phone a channel belongs to.
    fn phone_of(&self, channel: &ChannelId) -> usize {
        self.find_phone(channel).expect("a channel of one of the phones")
    }

    fn find_phone(&self, channel: &ChannelId) -> Option<usize> {
        let of = |phone: &usize| self.outcome(*phone).channel == channel.as_str();
        (0..self.phones.len()).rev().find(of)
    }

    fn admit(&mut self, channel: Channel) {
        let caller = channel.id.clone();
        let phone = self.phone_of(&caller);
        let local = SocketAddr::from(([10, 0, 0, 1], 10_000 + 2 * self.tasks.len() as u16));
        let (first, second) = (self.dice.roll(), self.dice.roll());
        let seed = Seed {
            channel: caller.clone(),
            wall: self.wall(),
            channel_name: channel.name,
            answered: channel.up,
            local,
            advertised: local,
            ssrc: first as u32,
            sequence: (first >> 32) as u16,
            timestamp: second as u32,
        };
        self.tasks.push(Task {
            call: Call::new(self.now, Arc::clone(&self.settings), seed),
            channel: caller.clone(),
            phone,
            local,
            media: None,
            ssrc: None,
            heard_from: None,
            inbox: std::collections::VecDeque::new(),
            asleep_until: None,
            into: Wire::new(first, self.network.media),
            out: Wire::new(second, self.network.media),
            epoch: 0,
            server: None,
            connections: 0,
            pending: Vec::new(),
            oracle: Oracle::new(&self.settings),
            charged: 0,
            recorded: Recorded::default(),
            notices: Vec::new(),
            report: None,
            glance: Glance::default(),
            handled: (0, 0),
        });
        let task = self.tasks.len() - 1;
        self.live.insert(caller, task);
        self.handle(task, None);
    }

    /// SIGTERM, and the end of the grace period.
    pub(crate) fn drain(&mut self) {
        self.switchboard.drain();
    }

    pub(crate) fn grace_over(&mut self) {
        for caller in self.switchboard.callers() {
            if let Some(task) = self.live.get(&caller) {
                self.happen(*task, Happened::Shutdown);
            }
        }
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

    /// As `call_task::run`: gives it to the call, and performs what comes out.
    fn handle(&mut self, index: usize, happened: Option<Happened>) {
        let now = self.now;
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
            Some(Happened::Leg(event)) => {
                if let LegEvent::Hold(held) = event {
                    task.oracle.held = held;
                }
                task.call.handle(now, Input::Leg(event)).collect()
            }
            Some(Happened::Replaced(by, next_step)) => {
                let input = Input::CallerReplaced { by: &by, next_step: next_step.as_ref() };
                task.call.handle(now, input).collect()
            }
            Some(Happened::Renumbered(number)) => {
                task.call.handle(now, Input::CallerRenumbered(&number)).collect()
            }
            Some(Happened::Supervisor(wish)) => task.call.handle(now, Input::Supervisor(&wish)).collect(),
            Some(Happened::Shutdown) => task.call.handle(now, Input::Shutdown).collect(),
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
                assert!(bill.at_least >= charged, "{charged} were told: {bill:?}");
                assert!(bill.estimated || bill.cost == Some(charged), "{charged} were told: {bill:?}");
            }
            assert!(!report.session_stood || task.recorded.bill() == Some(&report.bill));
            task.report = Some(report);
            let caller = task.channel.clone();
            self.live.remove(&caller);
            let next = self.switchboard.ended(&caller);
            self.close_session(index);
            if let Some(next) = next {
                self.direct(next);
            }
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
                self.say_to_model(index, &event);
            }
            Output::Standing(_) => {}
            Output::Record(entry) => {
                if matches!(entry, Entry::Event { kind: EventKind::Apology, .. }) {
                    task.oracle.apologises(now);
                }
                task.recorded.take(entry);
            }
            Output::OpenSession => self.open_session(index),
            Output::CloseSession => {
                task.oracle.session_over(now);
                self.close_session(index);
            }
            Output::Ari(request) => {
                self.ladder.tell(now, phone, Lane::Us, Lane::Asterisk, || short(&request));
                self.request(Asker::Task(index), request);
            }
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
        let spent = glance.bill.as_ref().map_or(0, |bill| bill.at_least);
        let tokens = glance.bill.as_ref().map_or(0, |bill| bill.tokens().read() + bill.tokens().written());
        let waited = (latencies.answers.len() + latencies.barge_ins.len()) as u64;
        let sound = [glance.frames, glance.late_frames, glance.underruns, glance.turns];
        let told = [counters.barge_ins, counters.foreign_packets, uplink.received, uplink.lost_frames];
        [sound, told, [spent, tokens, waited, glance.duration.as_millis() as u64]].concat()
    };
    let (before, after) = (counts(before), counts(after));
    assert!(before.iter().zip(&after).all(|(before, after)| before <= after), "{before:?} then {after:?}");
}

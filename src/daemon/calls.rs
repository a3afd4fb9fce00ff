//! Calls, as the daemon has them: their sockets, tasks and rows of the call log. Which caller is taken and what a call is
//! told is decided by the exchange.

use std::sync::Arc;

use chrono::{DateTime, FixedOffset};
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::sync::mpsc::WeakSender;
use tokio::task::{Id, JoinError, JoinSet};

use super::backlog::Backlog;
use super::call_io::{Io, Spent};
use super::call_log::Words;
use super::call_task::Left;
use super::known::known;
use super::messages::messages;
use super::tools::Jobs;
use super::{Daemon, Done, call_log, call_task};
use crate::ari::ChannelId;
use crate::ari::event::{Arguments, Channel};
use crate::call::ledger::Bill;
use crate::call::record::{Keep, Opening};
use crate::call::{Call, Known, Report, Seed};
use crate::clock::{chance, now, wall};
use crate::end_reason::EndReason;
use crate::exchange::{Agent, Input, NoSocket, Order};
use crate::live::{Facts, Route, Seat};
use crate::net::realtime_link::RealtimeLink;
use crate::net::rtp::RtpSocket;
use crate::net::rtp_socket::PortError;
use crate::number::CallerName;
use crate::operator::{Detail, Notice};
use crate::recordings::Handle;
use crate::registry::Row;

/// Orders a call may leave unread before they are merged. It reads them at once, unless many come in one moment.
const ORDERS: usize = 64;

/// A live call, as the daemon sees it.
pub(super) struct Live {
    /// Its row in the call log, with what the call has used so far.
    pub(super) row: Box<Row>,
    /// The port of its RTP socket; None: it has none.
    port: Option<u16>,
    pub(super) orders: mpsc::Sender<Order>,
    /// The orders that the full channel could not take. They follow when the call has read some.
    backlog: Backlog,
}

/// What is ready for a call before its task starts.
pub(super) struct Prepared {
    /// Its row in the call log.
    pub(super) row: Box<Row>,
    /// What it is told.
    pub(super) known: Known,
    /// Its recording, if anything of it is to be kept.
    pub(super) recording: Option<Handle>,
    /// Its tools.
    pub(super) jobs: Jobs,
    /// The span of its lines in the log.
    pub(super) lines: tracing::Span,
}

/// A call whose task is about to start.
pub(super) struct Starting {
    /// Its row in the call log.
    pub(super) row: Box<Row>,
    /// The port of its RTP socket, if it has one.
    pub(super) port: Option<u16>,
    /// When it came.
    pub(super) offered_at: DateTime<FixedOffset>,
}

impl Daemon {
    /// A caller is not taken: the call log and the totals say so.
    pub(super) fn refused(&self, channel: &Channel, reason: EndReason) {
        let row = call_log::offered(&channel.into(), wall(), &self.host, [chance(), chance()]);
        self.log.offer(call_log::refused(row, reason));
        self.board.refused(reason);
    }

    /// Starts a call of this agent for this caller.
    pub(super) fn start(&mut self, channel: Channel, agent: &Agent) {
        if let Some(endpoint) = &agent.settings.dial {
            return self.dial(&channel, agent, Arc::clone(endpoint));
        }
        let caller = channel.id.clone();
        let offered_at = wall();
        let row = call_log::offered(&(&channel).into(), offered_at, &self.host, [chance(), chance()]);
        let lines = tracing::info_span!("call", id = caller.as_str());
        let (rtp, port) = match lines.in_scope(|| self.bind()) {
            Ok(bound) => bound,
            Err(why) => return self.feed(Input::NotStarted(channel, why)),
        };
        let seed = self.seed(&channel, port, offered_at);
        let advertised = seed.advertised;
        let keep = agent.settings.keep;
        let Prepared { row, known, recording, jobs, lines } =
            self.prepare(agent, row, keep, channel.arguments, &channel.caller_name, offered_at);
        let call = Call::new(now(), self.servers.settings(agent), Seed { known, ..seed });
        let io = |this: &Self, seat| {
            let session = RealtimeLink::new(this.endpoints.of(&agent.name));
            Io { rtp: Some(Arc::new(rtp)), ..this.io(session, seat, recording, jobs, lines) }
        };
        self.run(call, agent, Starting { row, port: Some(port), offered_at }, io);
        self.feed(Input::Started(caller, advertised));
    }

    /// Begins the recording of a call and its look-ups, and tells the call log that the call has been taken.
    pub(super) fn prepare(
        &mut self,
        agent: &Agent,
        row: Row,
        keep: Keep,
        arguments: Arguments,
        caller_name: &CallerName,
        offered_at: DateTime<FixedOffset>,
    ) -> Prepared {
        let recording = self.record(agent, &row, keep, offered_at);
        let recorded_at = recording.is_some().then_some(offered_at);
        let row = Box::new(call_log::taken(row, agent, recorded_at));
        self.log.offer((*row).clone());
        let of_file = self.config.agents.find(&agent.name);
        let (known, mut knowledge) =
            known(of_file, &row, caller_name, arguments, offered_at, self.config.log.language);
        knowledge.servers = self.servers.of(&agent.name);
        let mut jobs = Jobs::new(self.tools.clone(), knowledge, self.operator);
        let lines = tracing::info_span!("call", id = row.call_id);
        lines.in_scope(|| {
            for lookup in of_file.map(|agent| agent.lookups.as_slice()).unwrap_or_default() {
                jobs.look_up(Arc::clone(lookup));
            }
        });
        Prepared { row, known, recording, jobs, lines }
    }

    /// The sockets and requests of a call, without a socket for its sound.
    pub(super) fn io(
        &self,
        session: RealtimeLink,
        seat: Seat,
        recording: Option<Handle>,
        jobs: Jobs,
        lines: tracing::Span,
    ) -> Io {
        Io {
            seat: Some(seat),
            rtp: None,
            session,
            ari: self.rest.clone(),
            at_openai: None,
            operator: self.operator,
            lines,
            jobs,
            media: None,
            fetching: None,
            requests: FuturesUnordered::new(),
            recording,
            spent: Spent::default(),
            admission: self.admission.clone(),
            ticks: self.config.calls.max_frame_lateness.map(|most| (Arc::clone(&self.ticks), most)),
        }
    }

    /// Starts the task of a call.
    pub(super) fn run(
        &mut self,
        call: Call,
        agent: &Agent,
        starting: Starting,
        io: impl FnOnce(&Self, Seat) -> Io,
    ) {
        let Starting { row, port, offered_at } = starting;
        let caller = ChannelId::from(&*row.call_id);
        let (orders, inbox) = mpsc::channel(ORDERS);
        // Who has no socket for its sound leaves it to OpenAI.
        let route = if port.is_some() { Route::Media } else { Route::Sip };
        let io = io(self, self.seat(agent, &row, route, offered_at, orders.downgrade()));
        let abort = self.calls.spawn(call_task::run(call, inbox, io));
        self.callers.insert(abort.id(), caller.clone());
        self.live.insert(caller, Live { row, port, orders, backlog: Backlog::default() });
    }

    /// What a call of this channel is born with, whose RTP socket is bound to this port.
    fn seed(&self, channel: &Channel, port: u16, offered_at: DateTime<FixedOffset>) -> Seed {
        let (first, second) = (chance(), chance());
        Seed {
            channel: channel.id.clone(),
            wall: offered_at.timestamp(),
            channel_name: channel.name.clone(),
            answered: channel.up,
            local: (self.config.media.local_ip, port).into(),
            advertised: (self.config.media.advertised_ip(), port).into(),
            other_ports: self.live.values().filter_map(|live| live.port).collect(),
            ssrc: first as u32,
            sequence: (first >> 32) as u16,
            timestamp: second as u32,
            known: Known::default(),
        }
    }

    /// A place on the board for a call that begins.
    fn seat(
        &self,
        agent: &Agent,
        row: &Row,
        route: Route,
        offered_at: DateTime<FixedOffset>,
        orders: WeakSender<Order>,
    ) -> Seat {
        let settings = &agent.settings;
        let facts = Facts {
            id: row.call_id.as_str().into(),
            recording_id: row.recording_id.clone(),
            caller: row.caller.clone(),
            called: row.called.clone(),
            route,
            model: row.model.clone(),
            transcription_model: settings.session.transcription.as_ref().map(|words| words.model.clone()),
            agent: row.agent.clone(),
            agent_version: row.agent_version.clone(),
            offered_at,
            destinations: settings.destinations.clone(),
        };
        self.board.seat(facts, move |wish| {
            orders.upgrade().is_some_and(|orders| orders.try_send(Order::Supervisor(wish)).is_ok())
        })
    }

    /// Begins the recording of a call, if anything of it is to be kept.
    fn record(&self, agent: &Agent, row: &Row, keep: Keep, started: DateTime<FixedOffset>) -> Option<Handle> {
        (keep != Keep::NOTHING).then(|| {
            self.recorder.open(Opening {
                channel: row.call_id.as_str().into(),
                caller: row.caller.clone(),
                called: row.called.clone(),
                model: agent.settings.model.clone(),
                agent: agent.name.to_string(),
                agent_version: agent.version.to_string(),
                started,
                keep,
            })
        })
    }

    /// The next free RTP port.
    fn bind(&mut self) -> Result<(RtpSocket, u16), NoSocket> {
        match self.ports.bind(now(), self.config.media.local_ip) {
            Ok((socket, taken)) => {
                let port = socket.local_addr().map_or(0, |address| address.port());
                for taken in taken {
                    self.operator.say(&Notice::RtpPortTaken { port: taken, next: port });
                }
                Ok((socket, port))
            }
            Err(PortError::Exhausted) => Err(NoSocket::Exhausted),
            Err(PortError::Bind(error)) => Err(NoSocket::Unbindable(error.to_string())),
        }
    }

    /// Tells a call, now or when it has read what came before.
    pub(super) fn tell(&mut self, caller: &ChannelId, order: Order) {
        let Some(live) = self.live.get_mut(caller) else { return };
        if let Order::Renumbered(number) = &order {
            // The call log says it at the end, as the recording does.
            live.row.caller.clone_from(number);
            self.log.offer((*live.row).clone());
        }
        if !live.backlog.is_empty() {
            return live.backlog.push(order);
        }
        if let Err(mpsc::error::TrySendError::Full(order)) = live.orders.try_send(order) {
            live.backlog.push(order);
            let orders = live.orders.clone();
            self.wait_for_room(caller.clone(), orders);
        }
    }

    /// A running call has used so much by now. The call log holds it, so that it counts for the day also if the daemon is killed.
    pub(super) fn used(&mut self, caller: &ChannelId, bill: &Bill) {
        if let Some(live) = self.live.get_mut(caller) {
            *live.row = call_log::running(std::mem::take(&mut *live.row), bill);
            self.log.offer_running((*live.row).clone());
        }
    }

    /// A call has read some of its orders: it is told what waited.
    pub(super) fn tell_backlog(&mut self, caller: ChannelId) {
        let Some(live) = self.live.get_mut(&caller) else { return };
        while let Some(order) = live.backlog.pop() {
            if let Err(mpsc::error::TrySendError::Full(order)) = live.orders.try_send(order) {
                live.backlog.put_back(order);
                let orders = live.orders.clone();
                return self.wait_for_room(caller, orders);
            }
        }
    }

    /// Waits until a call has read of its orders.
    fn wait_for_room(&self, caller: ChannelId, orders: mpsc::Sender<Order>) {
        self.pending.push(Box::pin(async move {
            drop(orders.reserve().await);
            Done::HasRoom(caller)
        }));
    }

    /// A call's task is over: in order, or by a panic.
    pub(super) fn ended(&mut self, ended: Result<(Id, Left), JoinError>) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        if let Some(aftermath) = self.aftermaths.remove(&id) {
            return self.aftermath_ended(aftermath, ended);
        }
        let Some(caller) = self.callers.remove(&id) else { return };
        let Some(live) = self.live.remove(&caller) else { return };
        if let Some(port) = live.port {
            self.ports.give_back(now(), port);
        }
        match ended {
            Ok((_, Left::Aftermath(report, rest))) => self.let_go(caller, live, &report, rest),
            Ok((_, Left::Over(report, writing))) => {
                self.log_end(live.row, Some(&report));
                self.write_on(writing);
                tracing::debug!(call = caller.as_str(), ?report.reason, ?report.counters, ?report.uplink, "call over");
                self.feed(Input::Ended(caller, &report));
            }
            Err(error) => {
                self.log_end(live.row, None);
                self.feed(Input::Panicked(caller, Detail::new(&error)));
            }
        }
    }

    /// Tells the call log, and who wants messages about calls, that a call has ended. Without a report it was lost.
    pub(super) fn log_end(&self, row: Box<Row>, report: Option<&Report>) {
        let is_sealed = self.config.recordings.recipient.is_some();
        let row = match report {
            Some(report) => {
                let is_kept = report.keep.transcript && !is_sealed;
                let words = if is_kept { Words::Kept } else { Words::LeftOut };
                call_log::ended(*row, report, words)
            }
            None => call_log::lost(*row, wall()),
        };
        let of_file = self.config.agents.find(&row.agent);
        let addresses = of_file.map(|agent| agent.after_call.as_slice()).unwrap_or_default();
        let messages = messages(&row, report, addresses, *wall().offset());
        self.log.offer_ended(row, messages);
    }

    /// Lets the tools of a call that is over finish what they are writing.
    pub(super) fn write_on(&self, writing: JoinSet<()>) {
        if !writing.is_empty() {
            self.writing.push(Box::pin(async { drop(writing.join_all().await) }));
        }
    }
}

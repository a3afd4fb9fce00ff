//! Calls, as the daemon has them: taken or sent on when they come, told what happens, accounted for when they are over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, FixedOffset};
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::sync::mpsc::WeakSender;
use tokio::task::{Id, JoinError};
use tracing::Instrument as _;

use super::backlog::Backlog;
use super::call_task::{Io, Order};
use super::clock::{chance, now, wall};
use super::{Daemon, Live, call_log, call_task, errands};
use crate::ari::ChannelId;
use crate::ari::event::Channel;
use crate::ari::request::Request;
use crate::call::record::{Keep, Opening};
use crate::call::{Call, Report, Seed, Standing};
use crate::live::{Facts, Seat};
use crate::net::realtime_link::RealtimeLink;
use crate::net::rtp_socket::PortError;
use crate::operator::{Cost, Detail, EndReason, Notice};
use crate::recordings::Handle;
use crate::registry::Row;

/// Orders a call may leave unread before they are merged. It reads them at once, unless many come in one moment.
const ORDERS: usize = 64;
/// The only agent there is.
const AGENT: &str = "default";

impl Daemon {
    /// Sends a caller on who is not taken.
    pub(super) fn refuse(&self, channel: Channel, reason: EndReason) {
        let row = call_log::offered(&channel, wall(), &self.host, [chance(), chance()]);
        self.log.offer(call_log::refused(row, reason));
        self.board.refused(reason);
        tracing::info_span!("call", id = channel.id.as_str()).in_scope(|| {
            self.operator.say(&Notice::CallReceived { channel: channel.name });
        });
        self.send_on(channel.id, reason);
    }

    /// Whether the calls of today, those that run included, have cost what they may; `/ready` is told too.
    pub(super) fn judge_spending(&mut self) -> bool {
        let today = wall().date_naive();
        let live = self.live.values().map(|live| live.spent.load(Ordering::Relaxed));
        let spent = live.fold(self.spending.spent_today(today), u64::saturating_add);
        let reached = self.config.calls.max_day_cost.filter(|most| spent >= *most);
        self.readiness.send_modify(|now| now.day_spent = reached.map(|_| today));
        if reached.is_some() && self.spending.is_news(today) {
            let limit = Cost { micro_usd: reached, estimated: false };
            self.operator.say(&Notice::DayCostReached { limit });
        }
        reached.is_some()
    }

    /// Starts a call for this caller, or sends him on.
    pub(super) fn admit(&mut self, channel: Channel) {
        if self.judge_spending() {
            self.switchboard.forget(&channel.id);
            return self.refuse(channel, EndReason::DayCostLimit);
        }
        let most = self.config.calls.max_calls_per_caller_hour;
        if self.frequency.is_reached(now(), &channel.caller, most) {
            self.switchboard.forget(&channel.id);
            return self.refuse(channel, EndReason::CallerLimit);
        }
        if let Some(reason) = self.breaker.hands_back(now()) {
            self.switchboard.forget(&channel.id);
            return self.refuse(channel, reason);
        }
        let caller = channel.id.clone();
        let offered_at = wall();
        let row = call_log::offered(&channel, offered_at, &self.host, [chance(), chance()]);
        let span = tracing::info_span!("call", id = caller.as_str());
        let entered = span.enter();
        let (rtp, port) = match self.bind() {
            Ok(bound) => bound,
            Err(notice) => {
                self.operator.say(&Notice::CallReceived { channel: channel.name });
                self.operator.say(&notice);
                self.log.offer(call_log::refused(row, EndReason::NoPort));
                self.board.refused(EndReason::NoPort);
                self.judge_asterisk(EndReason::NoPort, None);
                self.switchboard.forget(&caller);
                self.send_on(caller, EndReason::NoPort);
                return;
            }
        };
        drop(entered);
        self.frequency.count(now(), &channel.caller);
        let seed = self.seed(&channel, port, offered_at);
        let recording = self.record(&caller, channel.caller, channel.called, offered_at);
        let recorded_at = recording.is_some().then_some(offered_at);
        let row = Box::new(call_log::taken(row, &self.settings.model, AGENT, recorded_at));
        self.log.offer((*row).clone());
        let call = Call::new(now(), Arc::clone(&self.settings), seed);
        let spent = Arc::<AtomicU64>::default();
        let (orders, inbox) = mpsc::channel(ORDERS);
        let io = Io {
            seat: self.seat(&row, offered_at, orders.downgrade()),
            rtp,
            session: RealtimeLink::new(Arc::clone(&self.endpoint)),
            ari: self.rest.clone(),
            operator: self.operator,
            media: None,
            requests: FuturesUnordered::new(),
            recording,
            spent: Arc::clone(&spent),
            admission: self.admission.clone(),
            ticks: self.config.calls.max_frame_lateness.map(|most| (Arc::clone(&self.ticks), most)),
        };
        if self.live.is_empty() && !self.strain.is_on() {
            self.strain.start_over();
        }
        let abort = self.calls.spawn(call_task::run(call, inbox, io).instrument(span));
        self.callers.insert(abort.id(), caller.clone());
        self.live.insert(caller, Live { row, port, orders, backlog: Backlog::default(), spent });
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
            ssrc: first as u32,
            sequence: (first >> 32) as u16,
            timestamp: second as u32,
        }
    }

    /// A place on the board for a call that begins.
    fn seat(&self, row: &Row, offered_at: DateTime<FixedOffset>, orders: WeakSender<Order>) -> Seat {
        let facts = Facts {
            id: row.call_id.as_str().into(),
            recording_id: row.recording_id.clone(),
            caller: row.caller.clone(),
            called: row.called.clone(),
            model: row.model.clone(),
            transcription_model: self
                .settings
                .session
                .transcription
                .as_ref()
                .map(|words| words.model.clone()),
            agent: row.agent.clone(),
            offered_at,
            destinations: self.settings.destinations.clone(),
        };
        self.board.seat(facts, move |wish| {
            orders.upgrade().is_some_and(|orders| orders.try_send(Order::Supervisor(wish)).is_ok())
        })
    }

    /// Begins the recording of a call, if anything of it is to be kept.
    fn record(
        &self,
        caller: &ChannelId,
        number: String,
        called: String,
        started: DateTime<FixedOffset>,
    ) -> Option<Handle> {
        let keep = self.settings.keep;
        (keep != Keep::NOTHING).then(|| {
            self.recorder.open(Opening {
                channel: caller.clone(),
                caller: number,
                called,
                model: self.settings.model.clone(),
                agent: AGENT.to_owned(),
                started,
                keep,
            })
        })
    }

    /// The next free RTP port; the error is the operator's line.
    fn bind(&mut self) -> Result<(tokio::net::UdpSocket, u16), Notice> {
        let range = &self.config.media.ports;
        match self.ports.bind(now(), self.config.media.local_ip) {
            Ok((socket, taken)) => {
                let port = socket.local_addr().map_or(0, |address| address.port());
                for taken in taken {
                    self.operator.say(&Notice::RtpPortTaken { port: taken, next: port });
                }
                Ok((socket, port))
            }
            Err(PortError::Exhausted) => Err(Notice::NoRtpPort { first: *range.start(), last: *range.end() }),
            Err(PortError::Bind(error)) => Err(Notice::RtpUnbindable {
                address: self.config.media.local_ip.to_string(),
                cause: Detail::new(error),
            }),
        }
    }

    /// Whoever talks in this caller's call has this number: the call log and the recording say so at the end.
    pub(super) fn renumber(&mut self, caller: &ChannelId, number: String) {
        if let Some(live) = self.live.get_mut(caller) {
            live.row.caller.clone_from(&number);
            self.log.offer((*live.row).clone());
            self.tell(caller, Order::Renumbered(number));
        }
    }

    /// Tells a call, now or when it has read what came before.
    pub(super) fn tell(&mut self, caller: &ChannelId, order: Order) {
        let Some(live) = self.live.get_mut(caller) else { return };
        if !live.backlog.is_empty() {
            return live.backlog.push(order);
        }
        if let Err(mpsc::error::TrySendError::Full(order)) = live.orders.try_send(order) {
            live.backlog.push(order);
            let orders = live.orders.clone();
            self.run(errands::room(caller.clone(), orders));
        }
    }

    /// A call has read some of its orders: it is told what waited.
    pub(super) fn tell_backlog(&mut self, caller: ChannelId) {
        let Some(live) = self.live.get_mut(&caller) else { return };
        while let Some(order) = live.backlog.pop() {
            if let Err(mpsc::error::TrySendError::Full(order)) = live.orders.try_send(order) {
                live.backlog.put_back(order);
                let orders = live.orders.clone();
                return self.run(errands::room(caller, orders));
            }
        }
    }

    /// A call's task is over: in order, or by a panic.
    pub(super) fn ended(&mut self, ended: Result<(Id, Report), JoinError>) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some(caller) = self.callers.remove(&id) else { return };
        if let Some(Live { row, port, spent, .. }) = self.live.remove(&caller) {
            self.ports.give_back(now(), port);
            self.spending.add(wall().date_naive(), spent.load(Ordering::Relaxed));
            self.judge_spending();
            self.log.offer(match &ended {
                Ok((_, report)) => call_log::ended(*row, report),
                Err(_) => call_log::lost(*row, wall()),
            });
        }
        match ended {
            Ok((_, report)) => {
                self.absence.call_ended(report.reason);
                tracing::debug!(call = caller.as_str(), ?report.reason, ?report.counters, ?report.uplink, "call over");
                self.judge_asterisk(report.reason, Some(&report));
                if let Some(next) = self.switchboard.ended(&caller) {
                    self.direct(next);
                }
            }
            Err(error) => {
                self.switchboard.forget(&caller);
                tracing::info_span!("call", id = caller.as_str())
                    .in_scope(|| self.operator.say(&Notice::CallPanicked { detail: Detail::new(&error) }));
                self.request_all(vec![
                    Request::Hangup(caller.media()),
                    Request::DeleteBridge(caller.bridge()),
                ]);
                self.send_on(caller, EndReason::Internal);
            }
        }
    }

    /// A call has found out how OpenAI stands.
    pub(super) fn judge_openai(&mut self, standing: &Standing) {
        let wall = wall();
        if let Some(notice) = self.breaker.learn(standing, now(), wall) {
            self.operator.say(&notice);
        }
        let is_out = self.breaker.is_out();
        self.admission.outage.store(is_out, Ordering::Relaxed);
        let failed = matches!(standing, Standing::Fails { .. }).then_some(wall);
        self.readiness.send_modify(|now| (now.openai_failed, now.openai_out) = (failed, is_out));
    }
}

//! One exchange on a virtual clock, with callers in the fake Asterisk whose sound we carry or for whom Asterisk calls OpenAI, and
//! calls that a carrier makes to OpenAI; the strict fakes of OpenAI's calls and of its Realtime server at their other ends. The
//! product's exchange and calls do everything that is ours.
//!
//! | file | holds |
//! |---|---|
//! | `steps` | what happens from outside |
//! | `outputs` | what the exchange and the calls want done |
//! | `openai`, `media` | calls that OpenAI answers by SIP; calls whose sound we carry |
//! | `held` | what must be true |

mod aftermath;
mod held;
mod media;
mod openai;
mod outputs;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, FixedOffset};
use openai_inbound_calls::agents::Roster;
use openai_inbound_calls::ari::ChannelId;
use openai_inbound_calls::ari::event;
use openai_inbound_calls::ari::request::{self as ari, Method};
use openai_inbound_calls::call::record::Entry;
use openai_inbound_calls::call::{Call, Fetched, Input, Report, Settings, Sounds, tools};
use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::exchange::{
    self, Agent, Agents, ErrandId, Exchange, Moment, Rules, Webhook, WebhookNews,
};
use openai_inbound_calls::operator::Notice;
use openai_inbound_calls::realtime::calls::request::{Reply, Request};
use openai_inbound_calls::sim::asterisk::{
    Asterisk, CallerId, Emit, Outcome as CallerOutcome, Settings as AsteriskSettings, SocketId,
};
use openai_inbound_calls::sim::openai_calls::{Frame, OpenAiCalls, Script};
use openai_inbound_calls::sim::realtime::{self, Incoming, Outgoing};

use crate::recording::Recorded;
use crate::world::rules;
use media::{Media, Model, Phone};
pub(crate) use steps::Step;

const KEY: &str = "Bearer sk-test";
const MS: Duration = Duration::from_millis(1);
/// How long a request or a frame is on its way.
const WAY: Duration = Duration::from_millis(20);
/// How long a request that is not answered is waited for.
const TIMEOUT: Duration = Duration::from_secs(3);
/// How long OpenAI's SIP side takes to answer a call that is accepted.
const ANSWERS: Duration = Duration::from_millis(150);
const TOOL: Duration = Duration::from_millis(700);

#[derive(Debug)]
enum Asker {
    Errand(ErrandId),
    Call(ChannelId),
}

#[derive(Debug)]
enum Due {
    Step(Step),
    Ari(Asker, ari::Request),
    AriReply(Asker, ari::Request, ari::Reply),
    Sip(Option<ChannelId>, Request),
    SipReply(ChannelId, Request, Reply),
    Handshake(ChannelId, u64),
    Opened(ChannelId, u64),
    Refused(ChannelId, u64, u16),
    ToModel(ChannelId, u64, String),
    ToUs(ChannelId, u64, Frame),
    Webhook(usize),
    Answers(String),
    Fetched(ChannelId, Fetched),
    Tool(ChannelId, tools::Result),
    Connects,
    /// The phone of a caller in Asterisk sends the next packet of what the caller says.
    Speaks(CallerId),
    /// A session whose sound we carry says something.
    FromModel(ChannelId, u64, Outgoing),
    /// It sees our pong, or our end of the connection closed.
    Pong(u64),
    Hangs(u64),
    /// The daemon starts that follows one that has stopped.
    Starts,
}

impl Due {
    /// The call of ours that it is about.
    fn call(&mut self) -> Option<&mut ChannelId> {
        match self {
            Self::Ari(Asker::Call(id), _)
            | Self::AriReply(Asker::Call(id), ..)
            | Self::Sip(Some(id), _)
            | Self::SipReply(id, ..)
            | Self::Handshake(id, _)
            | Self::Opened(id, _)
            | Self::Refused(id, ..)
            | Self::ToModel(id, ..)
            | Self::ToUs(id, ..)
            | Self::Fetched(id, _)
            | Self::Tool(id, _)
            | Self::FromModel(id, ..) => Some(id),
            _ => None,
        }
    }
}

/// A call of ours.
struct Running {
    call: Call,
    agent: Arc<str>,
    /// Its sound, if we carry it.
    media: Option<Media>,
    recorded: Recorded,
    /// What it has told the daemon that it has cost, micro-USD.
    spent: u64,
    /// Its id at OpenAI.
    openai: Option<String>,
    /// The number of our WebSocket, and whether it is open at our end.
    link: Option<(u64, bool)>,
}

/// A call at OpenAI.
#[derive(Debug)]
pub(crate) struct AtOpenAi {
    pub(crate) id: String,
    /// The channel of Asterisk that has made it.
    channel: Option<String>,
    nonce: Option<String>,
    is_answered: bool,
    /// The caller in Asterisk.
    caller: Option<CallerId>,
}

/// The world.
pub(crate) struct Pbx {
    pub(crate) start: Instant,
    now: Instant,
    wall: DateTime<FixedOffset>,
    rules: Rules,
    exchange: Exchange,
    pub(crate) asterisk: Asterisk,
    socket: Option<SocketId>,
    pub(crate) openai: OpenAiCalls,
    /// What the sessions do whose sound we carry, and those that are open, by the number of our WebSocket.
    pub(crate) model: Arc<realtime::Script>,
    models: BTreeMap<u64, Model>,
    /// What sessions that are over have complained of.
    complaints: Vec<String>,
    openai_down_until: Option<Instant>,
    running: BTreeMap<ChannelId, Running>,
    /// The numbers and callers of those of them that are in their aftermath.
    aftermaths: BTreeMap<ChannelId, (u64, ChannelId)>,
    phones: BTreeMap<CallerId, Phone>,
    ports: u16,
    /// Counts the starts of the daemon.
    life: u64,
    /// Whether another daemon follows when this one has stopped.
    restarts: bool,
    /// The calls that have begun, by the daemon's life, and what those that ended have cost, by agent, micro-USD.
    conversations: BTreeSet<(u64, ChannelId)>,
    spent: BTreeMap<Arc<str>, u64>,
    /// What has happened, in words: `route reason` of calls that ended, `refused reason`, and the like.
    pub(crate) met: BTreeSet<String>,
    /// Why the calls of channels ended.
    pub(crate) ends: Vec<(ChannelId, EndReason)>,
    events: BTreeMap<(Instant, u64), Due>,
    count: u64,
    links: u64,
    nonces: u64,
    loses_webhooks: bool,
    never_fetches: bool,
    /// How the webhook stands, by the readiness that was last told.
    pub(crate) webhook: Option<Webhook>,
    pub(crate) calls: Vec<AtOpenAi>,
    pub(crate) callers: Vec<CallerId>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) fetched: Vec<Sounds>,
    pub(crate) reports: Vec<Report>,
    pub(crate) rejected: usize,
    pub(crate) rungs: Vec<String>,
}

impl Pbx {
    pub(crate) fn new(
        settings: Settings,
        script: Script,
        asterisk: AsteriskSettings,
        changes: impl FnOnce(Rules) -> Rules,
    ) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the virtual clock begins somewhere")]
        let start = Instant::now();
        let wall: DateTime<FixedOffset> = "2026-11-20T10:00:00-06:00".parse().expect("a time");
        let settings = Arc::new(Settings { dial: Some("PJSIP/proj_1@openai".into()), ..settings });
        let agents = Agents::new(Agent::of_environment(Arc::clone(&settings)), Vec::new(), Roster::default());
        let rules = changes(Rules { settings, agents, judges_strain: false, ..rules() });
        let endpoints = vec![("openai".to_owned(), "online".to_owned())];
        let mut pbx = Self {
            start,
            now: start,
            wall,
            exchange: Exchange::new(Moment { now: start, wall }, rules.clone()),
            rules,
            asterisk: Asterisk::new(start, AsteriskSettings { endpoints, ..asterisk }),
            socket: None,
            openai: OpenAiCalls::new(script),
            model: Arc::new(realtime::Script::default()),
            models: BTreeMap::new(),
            complaints: Vec::new(),
            openai_down_until: None,
            running: BTreeMap::new(),
            aftermaths: BTreeMap::new(),
            never_fetches: false,
            phones: BTreeMap::new(),
            ports: 0,
            life: 0,
            restarts: false,
            conversations: BTreeSet::new(),
            spent: BTreeMap::new(),
            met: BTreeSet::new(),
            ends: Vec::new(),
            events: BTreeMap::new(),
            count: 0,
            links: 0,
            nonces: 0,
            loses_webhooks: false,
            webhook: None,
            calls: Vec::new(),
            callers: Vec::new(),
            notices: Vec::new(),
            entries: Vec::new(),
            fetched: Vec::new(),
            reports: Vec::new(),
            rejected: 0,
            rungs: Vec::new(),
        };
        pbx.feed(exchange::Input::Webhook(WebhookNews::Listens));
        pbx.connects();
        pbx
    }

    /// This happens so many milliseconds after the beginning.
    pub(crate) fn at(&mut self, ms: u64, step: Step) {
        self.count += 1;
        self.events.insert((self.start + MS * ms as u32, self.count), Due::Step(step));
    }

    /// Asterisk never sends the sound of a recording.
    pub(crate) fn never_fetch(&mut self) {
        self.never_fetches = true;
    }

    /// No webhook arrives.
    pub(crate) fn lose_webhooks(&mut self) {
        self.loses_webhooks = true;
    }

    /// Lets so many seconds pass in all, or less if nothing more will happen.
    pub(crate) fn run_to(&mut self, seconds: u64) {
        let end = self.start + Duration::from_secs(seconds);
        loop {
            let event = self.events.keys().next().map(|(at, _)| *at);
            let calls = self.running.values().filter_map(|running| running.call.deadline());
            let fakes = [self.openai.deadline(), self.asterisk.deadline(), self.models_deadline()];
            let others = [event, self.exchange.deadline()].into_iter().chain(fakes);
            let Some(due) = others.flatten().chain(calls).min().filter(|due| *due <= end) else {
                break;
            };
            self.now = self.now.max(due);
            self.openai.advance(self.now);
            self.asterisk.advance(self.now);
            self.drain();
            while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let due = entry.remove();
                self.happens(due);
                self.drain();
            }
            let ready: Vec<_> = self
                .running
                .iter()
                .filter(|(_, running)| running.call.deadline().is_some_and(|at| at <= self.now))
                .map(|(id, _)| id.clone())
                .collect();
            for id in ready {
                self.tell(&id, Input::Tick);
            }
            if self.exchange.deadline().is_some_and(|at| at <= self.now) {
                self.feed(exchange::Input::Tick);
            }
            self.drain();
        }
    }

    /// Whether the operator was told so.
    pub(crate) fn said(&self, is_it: impl Fn(&Notice) -> bool) -> bool {
        self.notices.iter().any(is_it)
    }

    /// What became of the n-th caller in Asterisk.
    pub(crate) fn outcome(&self, caller: usize) -> &CallerOutcome {
        self.asterisk.outcome(self.callers[caller])
    }

    fn after(&mut self, delay: Duration, due: Due) {
        self.count += 1;
        self.events.insert((self.now + delay, self.count), due);
    }

    fn rung(&mut self, text: impl FnOnce() -> String) {
        let seconds = (self.now - self.start).as_secs_f64();
        self.rungs.push(format!("{seconds:.2} {}", text()));
    }

    fn moment(&self) -> Moment {
        Moment { now: self.now, wall: self.wall + (self.now - self.start) }
    }

    fn connects(&mut self) {
        if self.socket.is_some() {
            return;
        }
        let app = ("app".to_owned(), "openai-app".to_owned());
        match self.asterisk.connect(self.now, Some(&authorization()), &[app]) {
            Ok(socket) => {
                self.socket = Some(socket);
                self.feed(exchange::Input::Connected);
            }
            Err(_) => self.after(TIMEOUT, Due::Connects),
        }
    }

    fn drain(&mut self) {
        while let Some(emit) = self.asterisk.poll() {
            self.emitted(emit);
        }
        let ids: Vec<_> = self.calls.iter().map(|call| call.id.clone()).collect();
        for id in ids {
            while let Some(frame) = self.openai.poll(&id) {
                let ours = self.running.iter().find(|(_, running)| running.openai.as_deref() == Some(&*id));
                let link = ours.and_then(|(ours, running)| Some((ours.clone(), running.link?.0)));
                if let Some((ours, link)) = link {
                    self.after(WAY, Due::ToUs(ours, link, frame));
                }
            }
        }
        self.sip_side();
        self.models_go_on();
    }

    fn emitted(&mut self, emit: Emit) {
        match emit {
            Emit::Event { socket, text } if self.socket == Some(socket) => {
                if let Ok(event) = event::parse(&text) {
                    self.feed(exchange::Input::Event(event));
                }
            }
            Emit::SocketClosed { socket, .. } if self.socket == Some(socket) => {
                self.socket = None;
                self.feed(exchange::Input::Lost(Some("gone".into())));
                self.after(TIMEOUT, Due::Connects);
            }
            Emit::Dialled { channel, headers } => {
                let nonce =
                    headers.iter().find(|(name, _)| name == "X-Call-Nonce").map(|(_, value)| value.clone());
                self.rings_at_openai(Some(channel), nonce);
            }
            Emit::Media { from_port, to, datagram } => self.media_comes(from_port, to, &datagram),
            Emit::CallerReleased { call, .. } => {
                if let Some(at_openai) = self.calls.iter().find(|known| known.caller == Some(call)) {
                    self.openai.nobody_listens(&at_openai.id);
                }
            }
            Emit::FarEndReleased { channel } => {
                let call = self.calls.iter_mut().find(|call| call.channel.as_deref() == Some(&*channel));
                if let Some(call) = call {
                    call.channel = None;
                    let id = call.id.clone();
                    self.openai.caller_hangs_up(self.now, &id);
                }
            }
            _ => {}
        }
    }

    fn happens(&mut self, due: Due) {
        match due {
            Due::Step(step) => self.step(step),
            Due::Connects => self.connects(),
            Due::Webhook(_) if self.loses_webhooks => {}
            Due::Webhook(n) => {
                let nonce = self.calls[n].nonce.clone();
                self.webhook_comes(n, nonce.as_deref());
            }
            Due::Answers(channel) => self.asterisk.far_end_answers(self.now, &channel),
            Due::Ari(asker, request) => self.ari(asker, request),
            Due::AriReply(Asker::Errand(errand), request, reply) => {
                self.feed(exchange::Input::Ari { errand, request: &request, reply: &reply });
            }
            Due::AriReply(Asker::Call(id), request, reply) => {
                self.tell(&id, Input::Ari { request: &request, reply: &reply });
            }
            Due::Sip(id, request) => self.sip(id, request),
            Due::SipReply(id, request, reply) => {
                self.rung(|| format!("us ◀ openai  {} {}", request.verb(), reply.word()));
                self.tell(&id, Input::Sip { request: &request, reply: &reply });
            }
            Due::Handshake(id, link) if self.carries(&id) => self.knocks(id, link),
            Due::Handshake(id, link) => self.attaches(id, link),
            Due::Opened(id, link) if self.is_link(&id, (link, false)) => {
                self.running.get_mut(&id).expect("it runs").link = Some((link, true));
                self.tell(&id, Input::SessionOpened);
            }
            Due::Refused(id, link, status) if self.is_link(&id, (link, false)) => {
                self.refused(&id, status);
            }
            Due::ToModel(_, link, text) if self.models.contains_key(&link) => {
                self.at_model(link, Incoming::Text(&text));
            }
            Due::ToModel(id, link, text) if self.is_link(&id, (link, true)) => {
                let openai = self.running[&id].openai.clone().unwrap_or_default();
                self.openai.receive(self.now, &openai, &text);
            }
            Due::ToUs(id, link, frame) if self.is_link(&id, (link, true)) => self.told(&id, &frame),
            Due::Fetched(id, fetched) => self.tell(&id, Input::SoundsFetched(fetched)),
            Due::Tool(id, result) => self.tell(&id, Input::Tool(result)),
            Due::Speaks(caller) => self.speaks_on(caller),
            Due::FromModel(id, link, what) if self.is_link(&id, (link, true)) => {
                self.model_says(&id, link, what);
            }
            Due::Pong(link) => self.at_model(link, Incoming::Pong),
            Due::Hangs(link) => self.at_model(link, Incoming::Closed),
            Due::Starts => self.next_daemon(),
            Due::Opened(..) | Due::Refused(..) | Due::ToModel(..) | Due::ToUs(..) | Due::FromModel(..) => {}
        }
    }

    /// Whether we carry the sound of this call.
    fn carries(&self, id: &ChannelId) -> bool {
        self.running.get(id).is_some_and(|running| running.media.is_some())
    }

    fn is_link(&self, id: &ChannelId, link: (u64, bool)) -> bool {
        self.running.get(id).is_some_and(|running| running.link == Some(link))
    }

    fn ari(&mut self, asker: Asker, request: ari::Request) {
        let method = match request.method() {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        };
        let target = request.path();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let decoded =
            |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let query: Vec<_> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect();
        let body = request.body().unwrap_or_default();
        let response =
            self.asterisk.request(self.now, Some(&authorization()), method, path, &query, body.as_bytes());
        self.rung(|| format!("us ▶ asterisk {} {}", request.name(), response.status));
        let reply = match response.status {
            _ if response.lost || response.delay >= TIMEOUT => ari::Reply::Lost("no answer".into()),
            200..300 => ari::Reply::Done(response.body),
            status => ari::Reply::Refused { status, message: response.body },
        };
        let delay = if matches!(reply, ari::Reply::Lost(_)) { TIMEOUT } else { response.delay + WAY };
        self.after(delay, Due::AriReply(asker, request, reply));
    }
}

fn authorization() -> String {
    format!("Basic {}", STANDARD.encode("asterisk:testbed"))
}

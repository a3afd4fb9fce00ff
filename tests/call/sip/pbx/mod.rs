//! One exchange on a virtual clock, with callers in the fake Asterisk for whom it calls OpenAI, and calls that a carrier makes to
//! OpenAI; the strict fake of OpenAI's calls at the other end of both. The product's exchange and calls do everything that is ours.

mod outputs;
mod steps;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, FixedOffset};
use openai_inbound_calls::agents::Roster;
use openai_inbound_calls::ari::ChannelId;
use openai_inbound_calls::ari::event;
use openai_inbound_calls::ari::nonce::Nonce;
use openai_inbound_calls::ari::request::{self as ari, Method};
use openai_inbound_calls::call::record::Entry;
use openai_inbound_calls::call::{Call, Fetched, Input, Report, SessionEnd, Settings, Sounds, tools};
use openai_inbound_calls::exchange::{
    self, Agent, Agents, ErrandId, Exchange, Moment, Offer, Rules, Trunk, Webhook, WebhookNews,
};
use openai_inbound_calls::operator::{Code, Detail, LinkFault, Notice};
use openai_inbound_calls::realtime::calls::CallId;
use openai_inbound_calls::realtime::calls::request::{Reply, Request};
use openai_inbound_calls::realtime::error::Refusal;
use openai_inbound_calls::realtime::server;
use openai_inbound_calls::sim::asterisk::{
    Asterisk, CallerId, Emit, Outcome as CallerOutcome, Settings as AsteriskSettings, SocketId,
};
use openai_inbound_calls::sim::openai_calls::{self, Frame, OpenAiCalls, Script, State};

use crate::world::rules;
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
}

/// A call of ours.
struct Running {
    call: Call,
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
    running: BTreeMap<ChannelId, Running>,
    events: BTreeMap<(Instant, u64), Due>,
    count: u64,
    links: u64,
    nonces: u64,
    loses_webhooks: bool,
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
            running: BTreeMap::new(),
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
            let others = [event, self.openai.deadline(), self.asterisk.deadline(), self.exchange.deadline()];
            let Some(due) = others.into_iter().flatten().chain(calls).min().filter(|due| *due <= end) else {
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

    /// Asserts that we have made no mistake, and that nothing is left that costs money or holds a person.
    pub(crate) fn is_clean(&self) {
        let rungs = &self.rungs;
        assert!(self.openai.violations().is_empty(), "{:?}\n{rungs:#?}", self.openai.violations());
        assert!(
            self.openai.left().is_empty(),
            "a session without an owner: {:?}\n{rungs:#?}",
            self.openai.left()
        );
        assert!(self.running.is_empty(), "calls that do not end\n{rungs:#?}");
        assert!(self.asterisk.channels().is_empty(), "{:?}\n{rungs:#?}", self.asterisk.channels());
        assert!(self.asterisk.bridges().is_empty(), "{:?}\n{rungs:#?}", self.asterisk.bridges());
        let told = |name: &str| {
            self.said(|notice| matches!(notice, Notice::SoundLeft { names } if names.contains(name)))
        };
        let untold: Vec<_> = self.asterisk.recordings().into_iter().filter(|name| !told(name)).collect();
        assert!(untold.is_empty(), "left in Asterisk, and nobody is told: {untold:?}\n{rungs:#?}");
        assert_eq!(self.exchange.contradiction(), None);
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
    }

    /// OpenAI's SIP side does what was decided.
    fn sip_side(&mut self) {
        for n in 0..self.calls.len() {
            let Some(channel) = self.calls[n].channel.clone() else { continue };
            match self.openai.state(&self.calls[n].id) {
                Some(State::Rejected(_) | State::HungUp) => {
                    self.calls[n].channel = None;
                    self.asterisk.far_end_hangs_up(self.now, &channel);
                }
                Some(State::Accepted) if !self.calls[n].is_answered => {
                    self.calls[n].is_answered = true;
                    self.after(ANSWERS, Due::Answers(channel));
                }
                _ => {}
            }
        }
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

    fn rings_at_openai(&mut self, channel: Option<String>, nonce: Option<String>) {
        let id = format!("rtc_{}", self.calls.len() + 1);
        self.openai.offer(self.now, &id, 1_795_182_600, &[]);
        let of = channel.as_deref().and_then(|channel| ChannelId::from(channel).caller());
        let is_it = |caller: &&CallerId| {
            of.as_ref().is_some_and(|of| self.asterisk.outcome(**caller).channel == of.as_str())
        };
        let caller = self.callers.iter().find(is_it).copied();
        self.calls.push(AtOpenAi { id, channel, nonce, is_answered: false, caller });
        self.after(WAY, Due::Webhook(self.calls.len() - 1));
    }

    fn webhook_comes(&mut self, n: usize, nonce: Option<&str>) {
        let id = self.calls[n].id.clone();
        self.rung(|| format!("us ◀ openai  webhook {id}"));
        let trunk =
            if self.calls[n].channel.is_none() && nonce.is_none() { Trunk::Known } else { Trunk::Stranger };
        let offer = Offer {
            call: CallId::parse(&id).expect("an id"),
            caller: "+525512345678".into(),
            called: String::new(),
            age: Duration::from_secs(1),
            trunk,
            nonce: nonce.map(Nonce::from),
        };
        self.feed(exchange::Input::Offered(Box::new(offer)));
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
            Due::Handshake(id, link) => {
                let openai =
                    self.running.get(&id).and_then(|running| running.openai.clone()).unwrap_or_default();
                match self.openai.attach(&openai, Some(KEY), &format!("call_id={openai}")) {
                    Ok(()) => self.after(WAY, Due::Opened(id, link)),
                    Err((status, _)) => self.after(WAY, Due::Refused(id, link, status)),
                }
            }
            Due::Opened(id, link) if self.is_link(&id, (link, false)) => {
                self.running.get_mut(&id).expect("it runs").link = Some((link, true));
                self.tell(&id, Input::SessionOpened);
            }
            Due::Refused(id, link, status) if self.is_link(&id, (link, false)) => {
                self.running.get_mut(&id).expect("it runs").link = None;
                let refusal = Refusal::of_answer(status, "");
                let cause = LinkFault::Http { status, code: Code::new("call_id_not_found") };
                self.tell(&id, Input::SessionEnded(SessionEnd { refusal, cause }));
            }
            Due::ToModel(id, link, text) if self.is_link(&id, (link, true)) => {
                let openai = self.running[&id].openai.clone().unwrap_or_default();
                self.openai.receive(self.now, &openai, &text);
            }
            Due::ToUs(id, link, frame) if self.is_link(&id, (link, true)) => self.told(&id, &frame),
            Due::Fetched(id, fetched) => self.tell(&id, Input::SoundsFetched(fetched)),
            Due::Tool(id, result) => self.tell(&id, Input::Tool(result)),
            Due::Opened(..) | Due::Refused(..) | Due::ToModel(..) | Due::ToUs(..) => {}
        }
    }

    fn is_link(&self, id: &ChannelId, link: (u64, bool)) -> bool {
        self.running.get(id).is_some_and(|running| running.link == Some(link))
    }

    fn told(&mut self, id: &ChannelId, frame: &Frame) {
        match frame {
            Frame::Text(text) => match server::parse(text) {
                Ok(event) => self.tell(id, Input::Session(event)),
                Err(error) => self.tell(id, Input::Unreadable(&error)),
            },
            Frame::Drop => {
                self.running.get_mut(id).expect("it runs").link = None;
                self.tell(id, Input::SessionEnded(SessionEnd { refusal: None, cause: LinkFault::Broken }));
            }
        }
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

    fn sip(&mut self, id: Option<ChannelId>, request: Request) {
        let (path, body) = (request.path(), request.body().unwrap_or_default());
        let sent =
            openai_calls::Request { method: "POST", path: &path, authorization: Some(KEY), body: &body };
        let answer = self.openai.request(self.now, &sent);
        let (delay, reply) = match answer {
            Some((status, body)) => (WAY, Reply::of_answer(status, &body)),
            None => (Duration::from_secs(5), Reply::Lost(Detail::new("timed out"))),
        };
        if let Some(id) = id {
            self.after(delay, Due::SipReply(id, request, reply));
        }
    }
}

fn authorization() -> String {
    format!("Basic {}", STANDARD.encode("asterisk:testbed"))
}

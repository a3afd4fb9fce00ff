//! One call at OpenAI on a virtual clock: the product's call at one end, the strict fake of OpenAI's calls at the other, and a
//! network between them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openai_inbound_calls::call::record::Entry;
use openai_inbound_calls::call::{Call, Input, Known, Output, Report, SessionEnd, Settings, SipSeed, tools};
use openai_inbound_calls::operator::{Code, Detail, LinkFault, Notice};
use openai_inbound_calls::realtime::calls::CallId;
use openai_inbound_calls::realtime::calls::request::{Reply, Request};
use openai_inbound_calls::realtime::error::Refusal;
use openai_inbound_calls::realtime::server;
use openai_inbound_calls::sim::openai_calls::{self, Frame, OpenAiCalls, Script};
use openai_inbound_calls::tool::Outcome;

/// The id of the call.
pub(crate) const CALL: &str = "rtc_u0_0001";
const KEY: &str = "Bearer sk-test";
pub(crate) const MS: Duration = Duration::from_millis(1);
/// How long a request or a frame is on its way.
const WAY: Duration = Duration::from_millis(20);
/// How long a request that is not answered is waited for.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a tool takes.
const TOOL: Duration = Duration::from_millis(700);

/// What happens at a time.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// The caller speaks, for so many milliseconds.
    Says(&'static str, u64),
    /// The caller presses a key.
    Presses(char),
    /// The caller hangs up.
    HangsUp,
    /// The network between us and the session breaks.
    Cuts,
    /// The daemon stops.
    Shutdown,
    /// Another program takes the call.
    Taken,
}

#[derive(Debug)]
enum Event {
    Step(Step),
    Request(Request),
    Reply(Request, Reply),
    Handshake(u64),
    Opened(u64),
    Refused(u64, u16),
    ToModel(u64, String),
    ToUs(u64, Frame),
    Tool(tools::Result),
}

/// The world.
pub(crate) struct World {
    start: Instant,
    now: Instant,
    pub(crate) openai: OpenAiCalls,
    call: Call,
    events: BTreeMap<(Instant, u64), Event>,
    count: u64,
    /// The number of our WebSocket, and whether it is open at our end.
    link: Option<(u64, bool)>,
    links: u64,
    pub(crate) notices: Vec<Notice>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) tells: Vec<String>,
    pub(crate) rungs: Vec<String>,
}

impl World {
    /// A call that OpenAI offers now.
    pub(crate) fn new(settings: &Settings, script: Script, refer_host: Option<&str>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the virtual clock begins somewhere")]
        let start = Instant::now();
        let mut openai = OpenAiCalls::new(script);
        openai.offer(start, CALL, 1_795_182_600, &[("From", "<sip:+525512345678@203.0.113.5>;tag=8")]);
        let refer_host: Option<Arc<str>> = refer_host.map(Into::into);
        let call = CallId::parse(CALL).expect("an id");
        let seed =
            SipSeed { call, wall: 1_795_182_600, refer_host: refer_host.clone(), known: Known::default() };
        let call = Call::at_openai(start, Arc::new(settings.at_openai(refer_host.as_ref())), seed);
        let mut world = Self {
            start,
            now: start,
            openai,
            call,
            events: BTreeMap::new(),
            count: 0,
            link: None,
            links: 0,
            notices: Vec::new(),
            entries: Vec::new(),
            tells: Vec::new(),
            rungs: Vec::new(),
        };
        world.feed(Input::Tick);
        world
    }

    /// This happens so many milliseconds after the beginning.
    pub(crate) fn at(&mut self, ms: u64, step: Step) {
        self.count += 1;
        self.events.insert((self.start + MS * ms as u32, self.count), Event::Step(step));
    }

    /// Lets so many seconds pass in all, or less if the call is over and nothing is on its way.
    pub(crate) fn run_to(&mut self, seconds: u64) {
        let end = self.start + Duration::from_secs(seconds);
        loop {
            let event = self.events.keys().next().map(|(at, _)| *at);
            let due = [event, self.openai.deadline(), self.call.deadline()].into_iter().flatten().min();
            let Some(due) = due.filter(|due| *due <= end) else { break };
            self.now = self.now.max(due);
            self.openai.advance(self.now);
            self.drain();
            while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let event = entry.remove();
                self.happens(event);
                self.drain();
            }
            if self.call.deadline().is_some_and(|at| at <= self.now) {
                self.feed(Input::Tick);
            }
        }
    }

    /// What remains of the call, which must be over.
    pub(crate) fn report(&self) -> Report {
        assert_eq!(self.call.deadline(), None, "the call is over: {:#?}", self.rungs);
        self.call.report()
    }

    /// Asserts that we have made no mistake, and that nothing is left that costs money.
    pub(crate) fn is_clean(&self) {
        assert!(self.openai.violations().is_empty(), "{:?}\n{:#?}", self.openai.violations(), self.rungs);
        assert!(self.openai.left().is_empty(), "a session without an owner: {:#?}", self.rungs);
    }

    /// Whether the operator was told so.
    pub(crate) fn said(&self, is_it: impl Fn(&Notice) -> bool) -> bool {
        self.notices.iter().any(is_it)
    }

    fn after(&mut self, delay: Duration, event: Event) {
        self.count += 1;
        self.events.insert((self.now + delay, self.count), event);
    }

    fn rung(&mut self, text: &str) {
        let seconds = (self.now - self.start).as_secs_f64();
        self.rungs.push(format!("{seconds:.2} {text}"));
    }

    /// What the session sends is on its way to us.
    fn drain(&mut self) {
        while let Some(frame) = self.openai.poll(CALL) {
            if let Some((link, _)) = self.link {
                self.after(WAY, Event::ToUs(link, frame));
            }
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Step(step) => self.step(&step),
            Event::Request(request) => {
                let (path, body) = (request.path(), request.body().unwrap_or_default());
                let sent = openai_calls::Request {
                    method: "POST",
                    path: &path,
                    authorization: Some(KEY),
                    body: &body,
                };
                match self.openai.request(self.now, &sent) {
                    Some((status, body)) => {
                        self.after(WAY, Event::Reply(request, Reply::of_answer(status, &body)));
                    }
                    None => self.after(TIMEOUT, Event::Reply(request, Reply::Lost(Detail::new("timed out")))),
                }
            }
            Event::Reply(request, reply) => {
                let status = match &reply {
                    Reply::Done => "200".to_owned(),
                    Reply::Refused { status, .. } => status.to_string(),
                    Reply::Lost(_) => "no answer".to_owned(),
                };
                self.rung(&format!("us ◀ openai  {} {status}", request.verb()));
                self.feed(Input::Sip { request: &request, reply: &reply });
            }
            Event::Handshake(link) => match self.openai.attach(CALL, Some(KEY), &format!("call_id={CALL}")) {
                Ok(()) => self.after(WAY, Event::Opened(link)),
                Err((status, _)) => self.after(WAY, Event::Refused(link, status)),
            },
            Event::Opened(link) if self.link == Some((link, false)) => {
                self.link = Some((link, true));
                self.feed(Input::SessionOpened);
            }
            Event::Refused(link, status) if self.link == Some((link, false)) => {
                self.rung(&format!("us ◀ openai  websocket {status}"));
                self.link = None;
                let refusal = Refusal::of_answer(status, "");
                let cause = LinkFault::Http { status, code: Code::new("call_id_not_found") };
                self.feed(Input::SessionEnded(SessionEnd { refusal, cause }));
            }
            Event::ToModel(link, text) if self.link == Some((link, true)) => {
                self.openai.receive(self.now, CALL, &text);
            }
            Event::ToUs(link, frame) if self.link == Some((link, true)) => self.told(&frame),
            Event::Tool(result) => self.feed(Input::Tool(result)),
            Event::Opened(_) | Event::Refused(..) | Event::ToModel(..) | Event::ToUs(..) => {}
        }
    }

    fn told(&mut self, frame: &Frame) {
        match frame {
            Frame::Text(text) => match server::parse(text) {
                Ok(event) => {
                    let kind =
                        serde_json::from_str::<serde_json::Value>(text).expect("JSON")["type"].to_string();
                    if kind.contains("output_audio_buffer") || kind.contains("session.updated") {
                        self.rung(&format!("us ◀ openai  {}", kind.trim_matches('"')));
                    }
                    self.feed(Input::Session(event));
                }
                Err(error) => self.feed(Input::Unreadable(&error)),
            },
            Frame::Drop => {
                self.link = None;
                self.rung("us ◀ openai  websocket gone");
                self.feed(Input::SessionEnded(SessionEnd { refusal: None, cause: LinkFault::Broken }));
            }
        }
    }

    fn step(&mut self, step: &Step) {
        let now = self.now;
        match step {
            Step::Says(words, ms) => {
                self.rung(&format!("caller ▶ openai  «{words}»"));
                self.openai.caller_says(now, CALL, words, MS * *ms as u32);
            }
            Step::Presses(key) => self.openai.caller_presses(CALL, *key),
            Step::HangsUp => {
                self.rung("caller ▶ openai  BYE");
                self.openai.caller_hangs_up(now, CALL);
            }
            Step::Cuts => self.openai.cut(CALL),
            Step::Shutdown => self.feed(Input::Shutdown),
            Step::Taken => self.openai.taken_elsewhere(CALL),
        }
    }

    fn feed(&mut self, input: Input<'_>) {
        let outputs: Vec<Output> = self.call.handle(self.now, input).collect();
        for output in outputs {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Sip(request) => {
                self.rung(&format!("us ▶ openai  {}", request.verb()));
                self.after(WAY, Event::Request(request));
            }
            Output::OpenSession => {
                self.links += 1;
                self.link = Some((self.links, false));
                self.after(WAY, Event::Handshake(self.links));
            }
            Output::CloseSession => {
                self.link = None;
                self.openai.detach(CALL);
            }
            Output::Session(event) => {
                let text = event.to_json();
                let kind =
                    serde_json::from_str::<serde_json::Value>(&text).expect("JSON")["type"].to_string();
                self.rung(&format!("us ▶ openai  {}", kind.trim_matches('"')));
                self.tells.push(text.clone());
                if let Some((link, true)) = self.link {
                    self.after(WAY, Event::ToModel(link, text));
                }
            }
            Output::Tool(job) => {
                let outcome = Outcome::Done { result: serde_json::json!({"free": "10:00"}) };
                self.after(TOOL, Event::Tool(tools::Result { number: job.number, outcome, attempts: 1 }));
            }
            Output::Notice(notice) => self.notices.push(notice),
            Output::Record(entry) => self.entries.push(entry),
            Output::LetGo(_) | Output::Standing(_) => {}
            Output::Rtp(_)
            | Output::MediaAddress(_)
            | Output::MediaSource(_)
            | Output::FetchSounds(_)
            | Output::Append { .. } => {
                panic!("a call at OpenAI has no sound of ours: {output:?}")
            }
            Output::Ari(request) => panic!("a call at OpenAI asks nothing of Asterisk: {request:?}"),
        }
    }
}

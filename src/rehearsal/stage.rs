//! One rehearsal: the product's own [`Call`] and session link, without Asterisk, RTP and recording.
//!
//! The loop is the counterpart of the daemon's `call_task`: it waits for whatever comes first, gives it to the call, and performs what
//! comes out. It decides nothing. Asterisk's part is in `asterisk`, the caller's in `line` (text) or `sound` (a recording).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use super::asterisk;
use super::given::Values;
use super::hands::Hands;
use super::line::{TextLine, Turn};
use super::sound::Sound;
use crate::ari::request::Request;
use crate::call::ledger::{Bill, Price};
use crate::call::record::{Entry, Keep};
use crate::call::{Call, Input, LegEvent, Output, Report, Seed, SessionEnd, Settings};
use crate::clock::now;
use crate::config::AgentConfig;
use crate::daemon::tools::Ended;
use crate::logging::Operator;
use crate::net::realtime_link::{Endpoint, RealtimeLink, SessionReport};
use crate::operator::{Level, Notice};
use crate::realtime::client::{ClientEvent, NewItem};
use crate::realtime::server::{self, Event, FunctionCall};
use crate::units::MicroUsd;

/// What happened, for whoever watches.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Seen {
    /// The assistant said this.
    Said(String),
    /// The model called a function.
    Called {
        /// The name.
        name: String,
        /// The arguments, as the model wrote them.
        arguments: String,
    },
    /// This request would have been made.
    NotSent(String),
    /// The model got the output of a function.
    Got {
        /// What it read.
        output: String,
        /// How long it waited.
        took: Duration,
        /// How many requests were made for it.
        attempts: u32,
    },
    /// The caller goes on there in the dialplan.
    GoesOn(String),
}

/// How the caller talks.
pub(super) enum Caller {
    /// By text.
    Types(TextLine),
    /// By the sound of a recording.
    Plays(Sound),
}

/// A rehearsal.
pub(super) struct Stage {
    call: Call,
    link: RealtimeLink,
    caller: Caller,
    hands: Hands,
    operator: Operator,
    requests: VecDeque<Request>,
    /// When the model made its function calls, by their ids.
    called: HashMap<String, Instant>,
    attempts: u32,
    /// Whether the server owes the answer to a turn that was typed.
    owes_answer: bool,
    bill: Option<Bill>,
    seen: Vec<Seen>,
}

impl Stage {
    /// Begins a call with these settings. `agent`: its look-ups are made, or stand as not found.
    pub(super) fn new(
        settings: &Settings,
        endpoint: Arc<Endpoint>,
        caller: Caller,
        (values, agent): (&Values, Option<&AgentConfig>),
        hands: Hands,
        operator: Operator,
    ) -> Self {
        let at = now();
        let settings = Arc::new(rehearsed(settings, &caller));
        let mut stage = Self {
            call: Call::new(at, settings, seed(values)),
            link: RealtimeLink::new(endpoint),
            caller,
            hands,
            operator,
            requests: VecDeque::new(),
            called: HashMap::new(),
            attempts: 0,
            owes_answer: false,
            bill: None,
            seen: Vec::new(),
        };
        stage.hands.know(&values.lookup);
        stage.feed(Input::Tick);
        for lookup in agent.map(|agent| agent.lookups.as_slice()).unwrap_or_default() {
            let given = values.lookup.get(&*lookup.name).cloned();
            match &mut stage.hands {
                Hands::Real(jobs) if given.is_none() => jobs.look_up(Arc::clone(lookup)),
                _ => stage.feed(Input::LookedUp { name: &lookup.name, value: given }),
            }
        }
        stage
    }

    /// Waits for the next thing that happens, and handles it. Dropping the future loses nothing.
    pub(super) async fn step(&mut self) {
        let Some(deadline) = self.call.deadline() else { return };
        let due = match &self.caller {
            Caller::Types(_) => None,
            Caller::Plays(sound) => sound.due(),
        };
        tokio::select! {
            () = sleep_until(due.map_or(deadline, |due| due.min(deadline)).into()) => self.pass(),
            report = self.link.next() => self.reported(report),
            ended = self.hands.next() => self.ended(ended),
        }
    }

    /// Whether the call is over.
    pub(super) fn is_over(&self) -> bool {
        self.call.deadline().is_none()
    }

    /// Whether everything has been said and done, and the caller is to speak.
    pub(super) fn is_at_rest(&self) -> bool {
        self.call.is_at_rest() && !self.owes_answer
    }

    /// Whether the caller has nothing more to play.
    pub(super) fn has_played(&self) -> bool {
        match &self.caller {
            Caller::Types(_) => true,
            Caller::Plays(sound) => sound.due().is_none(),
        }
    }

    /// The caller types this.
    pub(super) fn say(&mut self, words: &str) {
        let Caller::Types(line) = &mut self.caller else { return };
        let Turn { to_call, to_server } = line.say(words);
        for text in to_call {
            self.event(&text);
        }
        for text in to_server {
            self.link.push(text);
        }
        self.owes_answer = true;
    }

    /// The caller hangs up.
    pub(super) fn hang_up(&mut self) {
        self.feed(Input::Leg(LegEvent::CallerLeft));
    }

    /// What has happened since this was last asked.
    pub(super) fn take_seen(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }

    /// What it costs by now; None: nothing was used.
    pub(super) fn bill(&self) -> Option<&Bill> {
        self.bill.as_ref()
    }

    /// What remains of the call.
    pub(super) fn report(&self) -> Report {
        self.call.report()
    }

    /// Lets the tools end that are still writing.
    pub(super) async fn finish(self) {
        self.hands.finish().await;
    }

    /// Time has passed.
    fn pass(&mut self) {
        if let Caller::Plays(sound) = &mut self.caller
            && let Some((from, packet)) = sound.next(now())
        {
            return self.feed(Input::Rtp { from, datagram: &packet });
        }
        self.feed(Input::Tick);
    }

    fn reported(&mut self, report: SessionReport) {
        match report {
            SessionReport::Opened => self.feed(Input::SessionOpened),
            SessionReport::Ended { refusal, cause } => {
                self.feed(Input::SessionEnded(SessionEnd { refusal, cause }));
            }
            SessionReport::Text(text) => {
                let told = match &mut self.caller {
                    Caller::Types(line) => line.received(&text),
                    Caller::Plays(_) => vec![text.as_str().to_owned()],
                };
                for text in told {
                    self.event(&text);
                }
            }
        }
    }

    /// The model's server says something.
    fn event(&mut self, text: &str) {
        match server::parse(text) {
            Ok(event) => {
                self.watch(&event);
                self.feed(Input::Session(event));
            }
            Err(malformed) => self.feed(Input::Unreadable(&malformed)),
        }
    }

    /// Notes what of it is shown.
    fn watch(&mut self, event: &Event<'_>) {
        match event {
            Event::TranscriptDone { transcript, .. } if !transcript.trim().is_empty() => {
                self.seen.push(Seen::Said(transcript.trim().to_owned()));
            }
            Event::OutputItemDone { item } => self.function(item.function.as_ref()),
            Event::ResponseDone(response) => {
                self.owes_answer = false;
                for item in &response.items {
                    self.function(item.function.as_ref());
                }
            }
            // What was asked for is refused: nothing more comes of it, unless the call asks again.
            Event::Error(error) if error.event_id.starts_with("text_") => self.owes_answer = false,
            _ => {}
        }
    }

    fn function(&mut self, call: Option<&FunctionCall>) {
        let Some(FunctionCall { call_id, name, arguments, .. }) = call.filter(|call| call.complete) else {
            return;
        };
        if self.called.insert(call_id.clone(), now()).is_none() {
            self.seen.push(Seen::Called { name: name.clone(), arguments: arguments.clone() });
        }
    }

    fn ended(&mut self, ended: Ended) {
        match ended {
            Ended::Job(result) => {
                self.attempts = result.attempts;
                self.feed(Input::Tool(result));
                self.attempts = 0;
            }
            Ended::Lookup(name, value) => self.feed(Input::LookedUp { name: &name, value }),
        }
    }

    /// Gives it to the call, and performs what comes out. Asterisk answers at once.
    fn feed(&mut self, input: Input<'_>) {
        let outputs: Vec<_> = self.call.handle(now(), input).collect();
        for output in outputs {
            self.perform(output);
        }
        while let Some(request) = self.requests.pop_front() {
            let reply = asterisk::reply(&request);
            let mut inputs = vec![Input::Ari { request: &request, reply: &reply }];
            inputs.extend(asterisk::news(&request).map(Input::Leg));
            for input in inputs {
                let outputs: Vec<_> = self.call.handle(now(), input).collect();
                for output in outputs {
                    self.perform(output);
                }
            }
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Session(event) => self.tell(&event),
            Output::Append { frame, complete } => {
                if let Caller::Plays(_) = self.caller {
                    self.link.append(&frame, complete);
                }
            }
            Output::OpenSession => self.link.open(),
            Output::CloseSession => self.link.close(),
            Output::Tool(job) => self.seen.extend(self.hands.begin(job).map(Seen::NotSent)),
            Output::LetGo(number) => self.hands.let_go(number),
            Output::Ari(request) => {
                self.seen.extend(asterisk::goes_on(&request).map(Seen::GoesOn));
                self.requests.push_back(request);
            }
            Output::Notice(notice) => {
                // What an ordinary call tells the operator would hide the conversation, and nobody hears that sound is late.
                if notice.level() != Level::Info && !matches!(notice, Notice::LateFrames { .. }) {
                    self.operator.say(&notice);
                }
            }
            Output::Record(Entry::Usage(bill)) => self.bill = Some(bill),
            Output::Rtp(_)
            | Output::MediaAddress(_)
            | Output::MediaSource(_)
            | Output::Sip(_)
            | Output::FetchSounds(_)
            | Output::Standing(_)
            | Output::Record(_) => {}
        }
    }

    /// Tells the model's server what the call says.
    fn tell(&mut self, event: &ClientEvent) {
        if let ClientEvent::ItemCreate { item: NewItem::FunctionOutput { call_id, output }, .. } = event {
            let took = self.called.get(call_id).map_or(Duration::ZERO, |at| now() - *at);
            self.seen.push(Seen::Got { output: output.clone(), took, attempts: self.attempts });
        }
        let text = match &self.caller {
            Caller::Types(_) => TextLine::sent(event),
            Caller::Plays(_) => Some(event.to_json()),
        };
        if let Some(text) = text {
            self.link.push(text);
        }
    }
}

/// The settings without what belongs to a telephone: silence on the wire, and a clip of sound.
fn rehearsed(settings: &Settings, caller: &Caller) -> Settings {
    let mut settings =
        Settings { apology: None, dial: None, media_networks: None, keep: Keep::NOTHING, ..settings.clone() };
    if let Caller::Types(_) = caller {
        // Somebody who types may think for as long as they like, and nothing is transcribed.
        (settings.limits.silence, settings.limits.no_audio) = (None, None);
        settings.session.transcription = None;
        settings.prices.transcription = Some(Price::Minute(MicroUsd::ZERO));
    }
    settings
}

/// What the call is born with.
fn seed(values: &Values) -> Seed {
    let local = ([127, 0, 0, 1], 40_002).into();
    Seed {
        channel: values.call["id"].as_str().unwrap_or_default().into(),
        wall: values.at.timestamp(),
        channel_name: "Rehearsal/1".into(),
        answered: true,
        local,
        advertised: local,
        other_ports: Arc::default(),
        ssrc: 1,
        sequence: 1,
        timestamp: 0,
        known: values.known.clone(),
    }
}

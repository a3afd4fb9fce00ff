//! Tests of the fakes together: a phone on a bad network, through Asterisk, to an application that echoes.

use std::time::{Duration, Instant};

use super::asterisk::{Asterisk, CallState, CallerId, Emit, Ending, IncomingCall, Settings};
use super::caller::{Caller, Doing, Step};
use super::wire::{Impairment, Wire};

const MS: Duration = Duration::from_millis(1);

/// The fakes of one call.
struct Exchange {
    asterisk: Asterisk,
    caller: Caller,
    call: CallerId,
    up: Wire,
    down: Wire,
    /// The port of the media leg.
    port: u16,
    events: Vec<String>,
}

impl Exchange {
    fn new(start: Instant, script: Vec<Step>, network: Impairment) -> Self {
        let mut asterisk = Asterisk::new(start, Settings::default());
        asterisk.connect(start, None, &pairs(&[("app", "openai-app")])).expect("it is up");
        let call = asterisk.incoming_call(start, IncomingCall::default());
        let caller = Caller::new(start, script, 5);
        let (up, down) = (Wire::new(1, network), Wire::new(2, network));
        Self { asterisk, caller, call, up, down, port: 0, events: Vec::new() }
    }

    fn ask(&mut self, now: Instant, path: &str, query: &[(&str, &str)]) {
        let response = self.asterisk.request(now, None, "POST", path, &pairs(query), b"");
        assert!(response.status < 300, "{path}: {response:?}");
    }

    /// The actions of the application when the call has arrived.
    fn take(&mut self, now: Instant) {
        let media = [
            ("app", "openai-app"),
            ("channelId", "m"),
            ("external_host", "10.0.0.1:4000"),
            ("format", "ulaw"),
        ];
        self.ask(now, "/channels/externalMedia", &media);
        self.ask(now, "/bridges/b", &[]);
    }

    fn add(&mut self, now: Instant) {
        let caller = self.asterisk.outcome(self.call).channel.clone();
        self.ask(now, "/bridges/b/addChannel", &[("channel", &format!("{caller},m"))]);
    }

    fn step(&mut self, now: Instant) {
        self.up.advance(now);
        self.down.advance(now);
        self.caller.advance(now);
        self.asterisk.advance(now);
        while let Some(datagram) = self.up.poll() {
            self.asterisk.caller_datagram(now, self.call, &datagram);
        }
        while let Some(datagram) = self.down.poll() {
            self.caller.hear(now, &datagram);
        }
        while let Some(doing) = self.caller.poll() {
            match doing {
                Doing::Send(datagram) => self.up.send(now, datagram),
                Doing::HangUp => self.asterisk.caller_hangs_up(now, self.call),
                Doing::Hold(on) => self.asterisk.hold(now, self.call, on),
            }
        }
        while let Some(emit) = self.asterisk.poll() {
            match emit {
                Emit::CallerAnswered { .. } => self.caller.answered(now),
                Emit::CallerReleased { .. } => self.caller.released(now),
                Emit::ToCaller { datagram, .. } => self.down.send(now, datagram),
                Emit::OpenPort(port) => self.port = port,
                Emit::Media { datagram, to, from_port } => {
                    self.asterisk.media_datagram(now, from_port, to, &datagram);
                }
                Emit::Event { text, .. } => self.events.push(text),
                Emit::SocketClosed { .. }
                | Emit::ClosePort(_)
                | Emit::Dialled { .. }
                | Emit::ToFarEnd { .. }
                | Emit::KeyToFarEnd { .. }
                | Emit::FarEndAlone { .. }
                | Emit::FarEndReleased { .. } => {}
            }
        }
    }
}

fn pairs(query: &[(&str, &str)]) -> Vec<(String, String)> {
    let query = query.iter().chain(&[("api_key", "asterisk:testbed")]);
    query.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn run() -> Exchange {
    let start = super::epoch();
    let script = vec![
        Step::Pause(MS * 200),
        Step::Say([0x90; 8000].into()),
        Step::Press('5'),
        Step::Pause(MS * 500),
        Step::HangUp,
    ];
    let network = Impairment { latency: MS * 10, jitter: MS * 5, loss: 0.02, ..Impairment::default() };
    let mut exchange = Exchange::new(start, script, network);
    let mut now = start;
    while !exchange.caller.finished() {
        now += MS;
        exchange.step(now);
        if now == start + MS * 5 {
            exchange.take(now);
        }
        if now == start + MS * 10 {
            exchange.add(now);
        }
    }
    exchange
}

#[test]
fn a_whole_call_on_a_virtual_clock() {
    let exchange = run();
    let figures = exchange.caller.statistics();
    assert!((75..90).contains(&figures.packets), "{figures:?}: 1.7 s, less the losses and the key");
    assert!((45..=50).contains(&figures.loud), "{figures:?}: one second was spoken");
    let keys = exchange.events.iter().filter(|text| text.contains("\"digit\":\"5\",\"duration_ms\":120"));
    assert_eq!(keys.count(), 1);
    let outcome = exchange.asterisk.outcome(exchange.call);
    assert_eq!((outcome.state, &outcome.ended), (CallState::Gone, &Some(Ending::CallerHungUp)));
    assert_eq!(exchange.port, 30_000);
}

#[test]
fn the_same_seeds_give_the_same_call() {
    let (one, other) = (run(), run());
    assert_eq!(one.events, other.events);
    assert_eq!(one.caller.heard_audio(), other.caller.heard_audio());
    assert_eq!(one.caller.said_audio(), other.caller.said_audio());
}

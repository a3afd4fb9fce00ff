//! Tests of the fake against the transcripts of real Asterisks, and against the measured facts one by one.

mod ari;
mod lifecycle;
mod sound;
mod transcripts;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::*;

const APP: &str = "openai-app";
/// The address at which the application of these tests receives audio.
const OURS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 15_234);

/// An Asterisk, a clock, and all output so far.
struct World {
    asterisk: Asterisk,
    now: Instant,
    /// Every event as text, with its socket.
    events: Vec<(SocketId, String)>,
    /// All other output.
    emitted: Vec<Emit>,
    media: Vec<(u16, SocketAddr, Vec<u8>)>,
    to_caller: Vec<(CallerId, Vec<u8>)>,
}

/// A call with a bridge and a media leg.
struct Answered {
    call: CallerId,
    caller: String,
    media: String,
    bridge: String,
    port: u16,
}

impl World {
    fn new(version: Version) -> Self {
        Self::with(Settings { version, ..Settings::default() })
    }

    fn with(settings: Settings) -> Self {
        let now = crate::sim::epoch();
        Self {
            asterisk: Asterisk::new(now, settings),
            now,
            events: Vec::new(),
            emitted: Vec::new(),
            media: Vec::new(),
            to_caller: Vec::new(),
        }
    }

    /// Collects the output.
    fn drain(&mut self) {
        while let Some(emit) = self.asterisk.poll() {
            match emit {
                Emit::Event { socket, text } => self.events.push((socket, text)),
                Emit::Media { from_port, to, datagram } => self.media.push((from_port, to, datagram)),
                Emit::ToCaller { call, datagram } => self.to_caller.push((call, datagram)),
                other => self.emitted.push(other),
            }
        }
    }

    fn pass(&mut self, milliseconds: u64) {
        let until = self.now + Duration::from_millis(milliseconds);
        while let Some(due) = self.asterisk.deadline().filter(|due| *due <= until) {
            self.asterisk.advance(due);
            self.drain();
        }
        self.now = until;
        self.asterisk.advance(until);
        self.drain();
    }

    /// Makes a request, for example `ask("POST", "/bridges?type=mixing")`.
    fn ask(&mut self, method: &str, target: &str) -> Response {
        self.ask_with(method, target, "")
    }

    fn ask_with(&mut self, method: &str, target: &str, body: &str) -> Response {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let auth = Some("Basic YXN0ZXJpc2s6dGVzdGJlZA==");
        let response = self.asterisk.request(self.now, auth, method, path, &pairs(query), body.as_bytes());
        self.drain();
        response
    }

    fn connect(&mut self) -> SocketId {
        self.try_connect(&format!("app={APP}")).expect("Asterisk is up")
    }

    fn try_connect(&mut self, query: &str) -> Result<SocketId, Response> {
        let query = pairs(&format!("{query}&api_key=asterisk:testbed"));
        let socket = self.asterisk.connect(self.now, None, &query);
        self.drain();
        socket
    }

    fn call(&mut self, call: IncomingCall) -> CallerId {
        let call = self.asterisk.incoming_call(self.now, call);
        self.pass(5);
        call
    }

    /// Adds a bridge and a media leg to a call, as an application does.
    fn take(&mut self, call: CallerId) -> Answered {
        let caller = self.asterisk.outcome(call).channel.clone();
        let bridge = text(&json(&self.ask("POST", "/bridges?type=mixing"))["id"]);
        let leg = json(
            &self.ask("POST", &format!("/channels/externalMedia?app={APP}&external_host={OURS}&format=ulaw")),
        );
        self.pass(5);
        let media = text(&leg["id"]);
        let port = text(&leg["channelvars"]["UNICASTRTP_LOCAL_PORT"]).parse().unwrap();
        let added = self.ask("POST", &format!("/bridges/{bridge}/addChannel?channel={caller},{media}"));
        assert_eq!(added.status, 204);
        self.pass(added.delay.as_millis() as u64 + 5);
        Answered { call, caller, media, bridge, port }
    }

    /// A whole call, starting with the event socket.
    fn answered(&mut self) -> Answered {
        self.connect();
        let call = self.call(IncomingCall::default());
        self.take(call)
    }

    /// The types of the events since the previous call of this function, without `ChannelVarset` and other
    /// events that these tests ignore.
    fn kinds(&mut self) -> Vec<String> {
        let events = std::mem::take(&mut self.events);
        let kinds = events.iter().map(|(_, text)| text_of(text, "type"));
        kinds.filter(|kind| kind != "ChannelVarset").collect()
    }
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn json(response: &Response) -> Value {
    serde_json::from_str(&response.body).unwrap_or_else(|error| panic!("{response:?}: {error}"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no string")).to_owned()
}

fn text_of(event: &str, member: &str) -> String {
    let event: Value = serde_json::from_str(event).unwrap();
    text(&event[member])
}

//! The way to Asterisk's REST interface and event socket and back, as `net::ari_rest` and `net::ari_link` go it.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openai_inbound_calls::ari::request::{Method, Reply, Request};
use openai_inbound_calls::sim::asterisk::SocketId;

use super::exchange::Asker;
use super::ladder::Lane;
use super::task::Happened;
use super::world::{Due, World};

/// As in `net::ari_rest`.
const TIMEOUT: Duration = Duration::from_secs(3);

impl World {
    pub(crate) fn ari_down(&self) -> bool {
        self.ari_down_until.is_some_and(|until| self.now < until)
    }

    /// The ARI socket breaks; for so long nothing gets through.
    pub(crate) fn lose_ari(&mut self, ms: u64) {
        self.ari_down_until = Some(self.now + Duration::from_millis(ms));
        for socket in self.daemons.iter().filter_map(|daemon| daemon.link).collect::<Vec<_>>() {
            self.asterisk.cut(self.now, socket);
        }
        self.drain_asterisk();
    }

    /// Connects to the events of the application. The error is the status that was answered, if there was an answer.
    pub(crate) fn connect_to_asterisk(&mut self) -> Result<SocketId, Option<u16>> {
        if self.ari_down() {
            return Err(None);
        }
        let query = [("app".to_owned(), self.settings.app.clone())];
        let connected = self.asterisk.connect(self.now, Some(&authorization()), &query);
        self.drain_asterisk();
        connected.map_err(|response| (!response.lost).then_some(response.status))
    }

    /// Makes a request.
    pub(crate) fn request(&mut self, asker: Asker, request: Request) {
        let delay = self.delay(self.network.ari);
        self.after(delay, Due::Request { asker, request, sent: self.now });
    }

    pub(crate) fn at_asterisk(&mut self, asker: Asker, request: Request, sent: Instant) {
        let back = self.delay(self.network.ari);
        if self.ari_down() {
            let reply = Reply::Lost("no route".into());
            return self.after(back, Due::Reply { asker, request, reply });
        }
        let method = match request.method() {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        };
        let target = request.path();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let query: Vec<_> = query.split('&').filter_map(|pair| pair.split_once('=')).map(decoded).collect();
        let response = self.asterisk.request(self.now, Some(&authorization()), method, path, &query, b"");
        self.drain_asterisk();
        let (at, limit) = (self.now + response.delay + back, sent + TIMEOUT);
        let reply = if response.lost {
            Reply::Lost("connection lost".into())
        } else if at > limit {
            Reply::Lost("timed out".into())
        } else if (200..300).contains(&response.status) {
            Reply::Done(response.body)
        } else {
            Reply::Refused { status: response.status, message: response.body }
        };
        self.at(at.min(limit).max(self.now), Due::Reply { asker, request, reply });
    }

    /// A request of a call has ended.
    pub(crate) fn call_replied(&mut self, task: usize, request: Request, reply: Reply) {
        let phone = self.tasks[task].phone;
        let failed = match &reply {
            Reply::Done(_) => None,
            Reply::Refused { status, .. } => Some(format!("{status}: {}", short(&request))),
            Reply::Lost(_) => Some(format!("no answer: {}", short(&request))),
        };
        if let Some(failed) = failed {
            self.ladder.tell(self.now, phone, Lane::Asterisk, Lane::Us, || failed);
        }
        self.happen(task, Happened::Replied(request, reply));
    }

    /// Someone hangs up a call's media channel behind our back.
    pub(crate) fn lose_media(&mut self, task: usize) {
        let path = format!("/channels/{}", self.tasks[task].channel.media());
        self.asterisk.request(self.now, Some(&authorization()), "DELETE", &path, &[], b"");
        self.drain_asterisk();
    }
}

/// A request in a few words.
pub(crate) fn short(request: &Request) -> String {
    match request {
        Request::CreateBridge { .. } => "create bridge".into(),
        Request::ExternalMedia { .. } => "external media".into(),
        Request::Dial { .. } => "dial openai".into(),
        Request::Snoop { snoop, .. } => format!("snoop {snoop}"),
        Request::RecordChannel(channel) => format!("record {channel}"),
        Request::DeleteRecording(channel) => format!("delete recording {channel}"),
        Request::AddChannels { .. } => "join".into(),
        Request::Ring(_) => "ring".into(),
        Request::Answer(_) => "answer".into(),
        Request::SetVariable { name, value, .. } => format!("{name}={value}"),
        Request::DialplanExists { place, .. } => format!("is there {place}?"),
        Request::Continue { place: None, .. } => "continue".into(),
        Request::Continue { place: Some(place), .. } => format!("continue at {place}"),
        Request::Hangup(channel) if channel.caller().is_none() => "hang up".into(),
        Request::Hangup(_) => "hang up media".into(),
        Request::DeleteBridge(_) => "delete bridge".into(),
        Request::Application(_)
        | Request::Bridges
        | Request::Recordings
        | Request::Channel(_)
        | Request::Info
        | Request::Modules => "look".into(),
    }
}

fn authorization() -> String {
    format!("Basic {}", STANDARD.encode("asterisk:testbed"))
}

fn decoded((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), percent_decoded(value))
}

fn percent_decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (hex, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(hex, 16).expect("the product encodes well"));
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).expect("UTF-8")
}

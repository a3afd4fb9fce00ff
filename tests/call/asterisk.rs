//! The way to Asterisk's REST interface and event socket and back, as `net::ari_rest` and `net::ari_link` go it.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openai_inbound_calls::ari::ChannelId;
use openai_inbound_calls::ari::request::{Application, Method, Reply, Request, idle_bridges, started_at};
use openai_inbound_calls::call::LegEvent;
use openai_inbound_calls::operator::Notice;
use openai_inbound_calls::switchboard::Directive;

use super::daemon::{Asker, Happened, IsOver};
use super::ladder::Lane;
use super::world::{Due, MS, World};

/// As in `net::ari_rest`.
const TIMEOUT: Duration = Duration::from_secs(3);
/// `net::ari_link` waits so long when Asterisk is not ready, and at least so long otherwise.
const NOT_READY: Duration = Duration::from_millis(300);

impl World {
    pub(crate) fn ari_down(&self) -> bool {
        self.ari_down_until.is_some_and(|until| self.now < until)
    }

    /// The ARI socket breaks; for so long nothing gets through.
    pub(crate) fn lose_ari(&mut self, ms: u64) {
        self.ari_down_until = Some(self.now + Duration::from_millis(ms));
        if let Some(socket) = self.link {
            self.asterisk.cut(self.now, socket);
            self.drain_asterisk();
        }
    }

    pub(crate) fn connect_ari(&mut self) {
        if self.ari_down() {
            return self.after(500 * MS, Due::Connect);
        }
        let auth = authorization();
        let query = [("app".to_owned(), self.settings.app.clone())];
        match self.asterisk.connect(self.now, Some(&auth), &query) {
            Ok(socket) => {
                self.link = Some(socket);
                let before = self.switchboard.callers();
                let request = Request::Application(self.settings.app.clone());
                self.request(Asker::Info, Request::Info);
                self.request(Asker::Check(before), request);
            }
            Err(response) if response.lost => self.after(500 * MS, Due::Connect),
            Err(_) => self.after(NOT_READY, Due::Connect),
        }
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

    pub(crate) fn replied(&mut self, asker: Asker, request: Request, reply: Reply) {
        match asker {
            Asker::Task(task) => {
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
            Asker::Check(before) => {
                if let Reply::Done(body) = reply {
                    self.notices.push(Notice::AriConnected);
                    let application = Application::parse(&body).unwrap_or_default();
                    self.request(Asker::Bridges(before, application), Request::Bridges);
                } else {
                    if let Some(socket) = self.link.take() {
                        self.asterisk.disconnect(self.now, socket);
                        self.drain_asterisk();
                    }
                    self.after(NOT_READY, Due::Connect);
                }
            }
            Asker::Bridges(before, mut application) => {
                if let Reply::Done(body) = reply {
                    application.add_bridges(&body);
                    for bridge in idle_bridges(&body) {
                        if let Some(caller) = bridge.caller() {
                            self.request(Asker::Sweeper(bridge), Request::Channel(caller));
                        }
                    }
                }
                self.reconcile(&before, &application);
            }
            Asker::Info => {
                let started = if let Reply::Done(body) = reply { started_at(&body) } else { None };
                let is_another = self.asterisk_started.is_some() && started != self.asterisk_started;
                self.absent = if is_another { LegEvent::AsteriskLost } else { LegEvent::CallerLeft };
                self.asterisk_started = started.or_else(|| self.asterisk_started.take());
            }
            Asker::Sweeper(bridge) => {
                if matches!(reply, Reply::Refused { status: 404, .. }) {
                    self.request_all(
                        vec![(Request::DeleteBridge(bridge), Request::is_settled_by)],
                        Vec::new(),
                    );
                }
            }
            Asker::Looker(caller) => {
                if let Some(directive) = self.switchboard.looked_at(caller, &reply) {
                    self.direct(directive);
                }
            }
            Asker::Chain(rest, is_over, waiting) if is_over(&request, &reply) => {
                self.request_all(rest, waiting);
            }
            Asker::Chain(rest, is_over, waiting) => {
                let pause = if matches!(reply, Reply::Done(_)) { 20 * MS } else { 500 * MS };
                let asker = Asker::Chain(rest, is_over, waiting);
                self.after(pause, Due::Request { asker, request, sent: self.now + pause });
            }
        }
    }

    fn reconcile(&mut self, before: &[ChannelId], application: &Application) {
        let (mut leftovers, mut waiting) = (Vec::new(), Vec::new());
        for directive in self.switchboard.reconcile(before, application, self.absent) {
            match directive {
                Directive::Remove(request) => leftovers.push(request),
                Directive::LookAt(caller) => waiting.push(caller),
                other => self.direct(other),
            }
        }
        let each = |is_over: IsOver| leftovers.iter().map(move |request| (request.clone(), is_over));
        let errands = each(Request::is_settled_by).chain(each(Request::is_gone_by)).collect();
        self.request_all(errands, waiting);
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

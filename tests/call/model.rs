//! The way to the model's servers and back: connections that take time, keep their order, break and fill up.

use std::sync::Arc;

use openai_inbound_calls::call::SessionEnd;
use openai_inbound_calls::operator::{Code, Detail, Language, LinkFault};
use openai_inbound_calls::realtime::client::{ClientEvent, NewItem};
use openai_inbound_calls::realtime::dialect::Dialect;
use openai_inbound_calls::realtime::error::Refusal;
use openai_inbound_calls::realtime::server::{self, Event, Item, ResponseStatus};
use openai_inbound_calls::sim::realtime::{Handshake, Incoming, Outgoing, Session};

use super::ladder::Lane;
use super::task::Happened;
use super::world::{Due, MS, Server, World};

/// What `net::realtime_link` keeps of what a server does not read.
const BACKLOG: usize = 32 * 1024;

impl World {
    /// A message on a session's connection has arrived.
    pub(crate) fn arrive_at_model(&mut self, due: Due) {
        match due {
            Due::Upgrade { task, epoch } => self.upgrade(task, epoch),
            Due::Upgraded { task, epoch, end } if self.tasks[task].epoch == epoch => {
                self.upgraded(task, end);
            }
            Due::ToModel { server, text } => self.at_model(server, &text),
            Due::ToModelClosed { server } => self.tell_server(server, Incoming::Closed),
            Due::Pong { server } => self.tell_server(server, Incoming::Pong),
            Due::FromModel { server, what } => self.model_says(server, what),
            Due::Tool { task, result } => self.tool_brings(task, result),
            Due::Broken { task, epoch, cause } if self.tasks[task].epoch == epoch => {
                let phone = self.tasks[task].phone;
                self.ladder.tell(self.now, phone, Lane::Model, Lane::Us, || cause.words(Language::English));
                self.lose_session(task, None, cause);
            }
            _ => {}
        }
    }

    pub(crate) fn open_session(&mut self, index: usize) {
        let task = &mut self.tasks[index];
        task.epoch += 1;
        task.pending.clear();
        let (phone, epoch) = (task.phone, task.epoch);
        self.ladder.tell(self.now, phone, Lane::Us, Lane::Model, || "connect".into());
        let arrives = self.network.connect.saturating_sub(self.network.model.0);
        self.after(arrives, Due::Upgrade { task: index, epoch });
    }

    pub(crate) fn close_session(&mut self, index: usize) {
        let task = &mut self.tasks[index];
        task.epoch += 1;
        task.pending.clear();
        if let Some(server) = task.server.take() {
            let phone = task.phone;
            self.ladder.tell(self.now, phone, Lane::Us, Lane::Model, || "close".into());
            let at = self.server_at(server);
            self.at(at, Due::ToModelClosed { server });
        }
    }

    fn upgrade(&mut self, index: usize, epoch: u64) {
        let back = self.delay(self.network.model);
        let task = &mut self.tasks[index];
        if task.epoch != epoch {
            return;
        }
        let attempt = task.connections;
        task.connections += 1;
        let end = if self.model_down_until.is_some_and(|until| self.now < until) {
            Some((None, LinkFault::System(Detail::new("connection refused"))))
        } else {
            let scripts = &self.phones[task.phone].scripts;
            let script = scripts.get(attempt).or(scripts.last()).unwrap_or(&self.script);
            let mut headers = vec![("Authorization".to_owned(), "Bearer sk-test".to_owned())];
            if self.settings.session.dialect == Dialect::Beta {
                headers.push(("OpenAI-Beta".to_owned(), "realtime=v1".to_owned()));
            }
            let handshake =
                Handshake { path: "/v1/realtime", query: "model=gpt-realtime-2.1", headers: &headers };
            // With seed 0 ids are short.
            let seed = self.servers.len() as u64;
            match Session::accept(self.now, &handshake, Arc::clone(script), seed) {
                Ok(session) => {
                    let to_us = self.now + back;
                    let server =
                        Server { session, task: index, epoch, last_in: to_us, last_out: to_us, unread: 0 };
                    task.server = Some(self.servers.len());
                    self.servers.push(server);
                    None
                }
                Err(refusal) => {
                    let cause = LinkFault::Http { status: refusal.status, code: Code::default() };
                    Some((Refusal::of_answer(refusal.status, &refusal.body), cause))
                }
            }
        };
        self.after(back, Due::Upgraded { task: index, epoch, end });
        if let Some(server) = self.tasks[index].server {
            self.drain_server(server);
        }
    }

    fn upgraded(&mut self, index: usize, end: Option<(Option<Refusal>, LinkFault)>) {
        let phone = self.tasks[index].phone;
        match end {
            None => {
                self.ladder.tell(self.now, phone, Lane::Model, Lane::Us, || "connected".into());
                self.happen(index, Happened::Opened);
            }
            Some((refusal, cause)) => {
                self.ladder.tell(self.now, phone, Lane::Model, Lane::Us, || cause.words(Language::English));
                self.lose_session(index, refusal, cause);
            }
        }
    }

    /// The connection is no more.
    fn lose_session(&mut self, index: usize, refusal: Option<Refusal>, cause: LinkFault) {
        let task = &mut self.tasks[index];
        task.epoch += 1;
        if let Some(server) = task.server.take() {
            self.after(MS, Due::ToModelClosed { server });
        }
        self.happen(index, Happened::Ended(SessionEnd { refusal, cause }));
    }

    /// Cuts a session's connection at the server.
    pub(crate) fn drop_session(&mut self, index: usize) {
        let epoch = self.tasks[index].epoch;
        self.after(MS, Due::Broken { task: index, epoch, cause: LinkFault::Broken });
    }

    pub(crate) fn say_to_model(&mut self, index: usize, event: &ClientEvent) {
        let phone = self.tasks[index].phone;
        self.ladder.tell(self.now, phone, Lane::Us, Lane::Model, || said(event));
        if let (Some(server), ClientEvent::Truncate { .. } | ClientEvent::Delete { .. }) =
            (self.tasks[index].server, event)
        {
            for (item, ms) in self.tasks[index].oracle.played() {
                self.servers[server].session.report_playout(item, ms);
            }
        }
        self.send_to_model(index, event.to_json());
    }

    /// Sends a text. What is sent before the connection stands is lost, as in the link.
    pub(crate) fn send_to_model(&mut self, index: usize, text: String) {
        if let Some(server) = self.tasks[index].server {
            let at = self.server_at(server);
            self.at(at, Due::ToModel { server, text });
        }
    }

    fn server_at(&mut self, server: usize) -> std::time::Instant {
        let at = self.now + self.delay(self.network.model);
        let server = &mut self.servers[server];
        server.last_in = server.last_in.max(at);
        server.last_in
    }

    fn at_model(&mut self, index: usize, text: &str) {
        let server = &mut self.servers[index];
        if server.session.stalled() {
            server.unread += text.len();
            let (task, epoch) = (server.task, server.epoch);
            if server.unread > BACKLOG {
                server.unread = 0;
                self.after(MS, Due::Broken { task, epoch, cause: LinkFault::TooSlow });
            }
            return;
        }
        self.tell_server(index, Incoming::Text(text));
    }

    fn tell_server(&mut self, index: usize, incoming: Incoming<'_>) {
        self.servers[index].session.receive(self.now, incoming);
        self.drain_server(index);
    }

    pub(crate) fn drain_server(&mut self, index: usize) {
        while let Some(what) = self.servers[index].session.poll() {
            let at = self.now + self.delay(self.network.model);
            let server = &mut self.servers[index];
            server.last_out = server.last_out.max(at);
            let at = server.last_out;
            self.at(at, Due::FromModel { server: index, what });
        }
    }

    fn model_says(&mut self, index: usize, what: Outgoing) {
        let Server { task, epoch, .. } = self.servers[index];
        if self.tasks[task].epoch != epoch {
            return;
        }
        match what {
            Outgoing::Text(text) => {
                let text = (self.server_writes)(text);
                self.happen(task, Happened::Text(text));
            }
            // The library skips the one and answers the other.
            Outgoing::Binary(_) => {}
            Outgoing::Ping => {
                let at = self.server_at(index);
                self.at(at, Due::Pong { server: index });
            }
            Outgoing::Close { code, reason } => {
                let phone = self.tasks[task].phone;
                let cause = LinkFault::Closed { code, word: Code::new(&reason) };
                self.ladder.tell(self.now, phone, Lane::Model, Lane::Us, || format!("close {code}"));
                self.lose_session(task, Refusal::of_close(code, &reason), cause);
            }
            Outgoing::Drop => {
                let phone = self.tasks[task].phone;
                self.ladder.tell(self.now, phone, Lane::Model, Lane::Us, || "gone".into());
                self.lose_session(task, None, LinkFault::Broken);
            }
        }
    }

    /// Draws what a server says, as far as it matters for who speaks.
    pub(crate) fn draw_text(&mut self, index: usize, text: &str) {
        let phone = self.tasks[index].phone;
        let Ok(event) = server::parse(text) else { return };
        let told = match event {
            Event::AudioDelta { item, audio, .. } => {
                let lasts = MS * (audio.len() as u32 / 4 * 3 / 8);
                return self.ladder.sound(self.now, phone, (Lane::Model, Lane::Us), item.as_str(), lasts);
            }
            Event::SessionCreated => "session.created".to_owned(),
            Event::SessionUpdated { .. } => "session.updated".to_owned(),
            Event::SpeechStarted { .. } => "speech_started".to_owned(),
            Event::SpeechStopped { .. } => "speech_stopped".to_owned(),
            Event::OutputItemDone { item: Item { function: Some(call), .. } } => {
                format!("{} {}{}", call.call_id, call.name, call.arguments)
            }
            Event::ResponseCreated(response) => format!("created {}", response.id),
            Event::ResponseDone(response) => {
                let status = match response.status {
                    ResponseStatus::Failed(error) => format!("failed: {}", error.code),
                    ResponseStatus::Incomplete(reason) => format!("incomplete: {reason}"),
                    other => format!("{other:?}").to_lowercase(),
                };
                format!("done {} {status}", response.id)
            }
            Event::Error(error) => format!("error {}", error.code),
            _ => return,
        };
        self.ladder.tell(self.now, phone, Lane::Model, Lane::Us, || told);
    }
}

/// What we say, in a few words.
fn said(event: &ClientEvent) -> String {
    match event {
        ClientEvent::SessionUpdate { session, .. } if session.get("instructions").is_some() => {
            "session.update".into()
        }
        ClientEvent::SessionUpdate { .. } => "session.update (may be interrupted)".into(),
        ClientEvent::ResponseCreate { instructions: Some(words), .. } => {
            format!("respond: {}", words.lines().last().unwrap_or_default())
        }
        ClientEvent::ResponseCreate { .. } => "respond".into(),
        ClientEvent::ResponseAside { .. } => format!("respond aside {}", event.to_json()),
        ClientEvent::ResponseCancel { response, .. } => format!("cancel {response}"),
        ClientEvent::Truncate { item, audio_end_ms, .. } => format!("truncate {item} at {audio_end_ms} ms"),
        ClientEvent::ClearSound { .. } => "clear sound".into(),
        ClientEvent::Delete { item, .. } => format!("delete {item}"),
        ClientEvent::ItemCreate { item: NewItem::FunctionOutput { call_id, output }, .. } => {
            format!("{call_id}: {output}")
        }
        ClientEvent::ItemCreate { item: NewItem::FunctionCall { call_id, name, arguments }, .. } => {
            format!("{call_id} {name}{arguments}")
        }
        ClientEvent::ItemCreate { item: NewItem::Message { role, text, .. }, .. } => {
            format!("{}: {text}", format!("{role:?}").to_lowercase())
        }
    }
}

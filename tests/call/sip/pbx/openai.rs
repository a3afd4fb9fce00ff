//! OpenAI's side of calls by SIP in this world: the calls that ring there, their webhooks and requests, and an outage.

use std::time::Duration;

use openai_inbound_calls::ari::ChannelId;
use openai_inbound_calls::ari::nonce::Nonce;
use openai_inbound_calls::call::{Input, SessionEnd};
use openai_inbound_calls::exchange::{self, Offer, Trunk};
use openai_inbound_calls::operator::{Code, Detail, LinkFault};
use openai_inbound_calls::realtime::calls::CallId;
use openai_inbound_calls::realtime::calls::request::{Reply, Request};
use openai_inbound_calls::realtime::error::Refusal;
use openai_inbound_calls::realtime::server;
use openai_inbound_calls::sim::asterisk::CallerId;
use openai_inbound_calls::sim::openai_calls::{self, Frame, State};

use super::{ANSWERS, AtOpenAi, Due, KEY, Pbx, WAY};

/// How long a request to OpenAI that is not answered is waited for.
const UNANSWERED: Duration = Duration::from_secs(5);
/// How long after a failure the daemon hangs a call up again that none of its tasks serves.
const AGAIN: Duration = Duration::from_secs(1);

impl Pbx {
    /// OpenAI's SIP side does what was decided.
    pub(super) fn sip_side(&mut self) {
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

    pub(super) fn rings_at_openai(&mut self, channel: Option<String>, nonce: Option<String>) {
        if self.is_openai_down() {
            if let Some(channel) = channel {
                self.asterisk.far_end_hangs_up(self.now, &channel);
            }
            return;
        }
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

    pub(super) fn webhook_comes(&mut self, n: usize, nonce: Option<&str>) {
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

    pub(super) fn sip(&mut self, id: Option<ChannelId>, request: Request) {
        let (path, body) = (request.path(), request.body().unwrap_or_default());
        let sent =
            openai_calls::Request { method: "POST", path: &path, authorization: Some(KEY), body: &body };
        let answer = if self.is_openai_down() { None } else { self.openai.request(self.now, &sent) };
        let (delay, reply) = match answer {
            Some((status, body)) => (WAY, Reply::of_answer(status, &body)),
            None => (UNANSWERED, Reply::Lost(Detail::new("timed out"))),
        };
        match (id, &reply) {
            (Some(id), _) => self.after(delay, Due::SipReply(id, request, reply)),
            (None, Reply::Lost(_) | Reply::Refused { status: 500.., .. }) if request.verb() == "hangup" => {
                self.after(delay + AGAIN, Due::Sip(None, request));
            }
            (None, _) => {}
        }
    }

    /// The WebSocket to a call that OpenAI answers is asked for.
    pub(super) fn attaches(&mut self, id: ChannelId, link: u64) {
        if self.is_openai_down() {
            return self.after(WAY, Due::Refused(id, link, 503));
        }
        let openai = self.running.get(&id).and_then(|running| running.openai.clone()).unwrap_or_default();
        match self.openai.attach(&openai, Some(KEY), &format!("call_id={openai}")) {
            Ok(()) => self.after(WAY, Due::Opened(id, link)),
            Err((status, _)) => self.after(WAY, Due::Refused(id, link, status)),
        }
    }

    pub(super) fn refused(&mut self, id: &ChannelId, status: u16) {
        let refusal = Refusal::of_answer(status, "");
        let cause = LinkFault::Http { status, code: Code::new("call_id_not_found") };
        self.unlinked(id, SessionEnd { refusal, cause });
    }

    /// The session of a call says something to us.
    pub(super) fn told(&mut self, id: &ChannelId, frame: &Frame) {
        match frame {
            Frame::Text(text) => self.told_text(id, text),
            Frame::Drop => self.unlinked(id, SessionEnd { refusal: None, cause: LinkFault::Broken }),
        }
    }

    pub(super) fn told_text(&mut self, id: &ChannelId, text: &str) {
        match server::parse(text) {
            Ok(event) => self.tell(id, Input::Session(event)),
            Err(error) => self.tell(id, Input::Unreadable(&error)),
        }
    }

    /// The WebSocket of a call is gone.
    pub(super) fn unlinked(&mut self, id: &ChannelId, end: SessionEnd) {
        self.running.get_mut(id).expect("it runs").link = None;
        self.tell(id, Input::SessionEnded(end));
    }

    pub(super) fn is_openai_down(&self) -> bool {
        self.openai_down_until.is_some_and(|until| self.now < until)
    }

    /// OpenAI dies with all its sessions, and nothing of it can be reached for so long.
    pub(super) fn openai_dies(&mut self, lasts: Duration) {
        self.openai_down_until = Some(self.now + lasts);
        for call in &mut self.calls {
            self.openai.caller_hangs_up(self.now, &call.id);
            if let Some(channel) = call.channel.take() {
                self.asterisk.far_end_hangs_up(self.now, &channel);
            }
        }
        self.models_die();
    }
}

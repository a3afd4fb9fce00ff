//! What the exchange and the calls want done, in this world.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use openai_inbound_calls::ari::ChannelId;
use openai_inbound_calls::ari::nonce::Nonce;
use openai_inbound_calls::call::record::{Entry, EventKind};
use openai_inbound_calls::call::{Call, DialSeed, Fetched, Input, Known, LegEvent, Output, SipSeed, tools};
use openai_inbound_calls::exchange::{self, Agent, Order};
use openai_inbound_calls::realtime::calls::request::Request;
use openai_inbound_calls::tool::Outcome;

use super::media::Media;
use super::{Asker, Due, MS, Pbx, Running, TIMEOUT, TOOL, WAY};
use crate::recording::Recorded;

/// How long after the end of a daemon that stops the next one starts.
const PAUSE: Duration = Duration::from_secs(1);

impl Pbx {
    pub(super) fn feed(&mut self, input: exchange::Input<'_>) {
        let at = self.moment();
        let outputs: VecDeque<_> = self.exchange.handle(at, input).collect();
        assert_eq!(self.exchange.contradiction(), None);
        for output in outputs {
            self.perform(output);
        }
        if self.restarts && self.exchange.is_over() {
            self.restarts = false;
            self.after(PAUSE, Due::Starts);
        }
    }

    fn perform(&mut self, output: exchange::Output) {
        use exchange::Output as Do;
        match output {
            Do::Start(channel, agent) if agent.settings.dial.is_none() => {
                self.hold_admission(&agent);
                self.starts_media(&channel, &agent);
            }
            Do::Start(channel, agent) => {
                self.hold_admission(&agent);
                self.nonces += 1;
                let nonce = Nonce::from(&*format!("{:032x}", self.nonces));
                let seed = DialSeed {
                    channel: channel.id.clone(),
                    channel_name: channel.name.clone(),
                    answered: channel.up,
                    wall: self.moment().wall.timestamp(),
                    endpoint: agent.settings.dial.clone().expect("an address"),
                    nonce: nonce.clone(),
                    known: Known::default(),
                };
                let call = Call::dialled(self.now, Arc::new(agent.settings.dialled()), seed);
                self.begins(&channel.id, &agent, call, None, None);
                self.feed(exchange::Input::Dialled(channel.id, nonce));
            }
            Do::Take(offer, agent) => {
                self.hold_admission(&agent);
                let id = offer.id();
                let settings = Arc::new(agent.settings.at_openai(None));
                let known = Known::default();
                let seed = SipSeed {
                    call: offer.call,
                    wall: self.moment().wall.timestamp(),
                    refer_host: None,
                    known,
                };
                let call = Call::at_openai(self.now, settings, seed);
                self.begins(&id, &agent, call, Some(id.as_str().to_owned()), None);
                self.hold_offered(id.as_str());
            }
            Do::Reject(offer, status, _) => {
                self.rejected += 1;
                self.met.insert(format!("rejected {}", status.code()));
                self.after(WAY, Due::Sip(None, Request::Reject { call: offer.call, status }));
            }
            Do::HangUp(call) => self.after(WAY, Due::Sip(None, Request::HangUp(call))),
            Do::Hurry(number) => self.hurries(number),
            Do::Tell(id, order) => self.order(&id, &order),
            Do::Ari(errand, request) => self.after(WAY, Due::Ari(Asker::Errand(errand), request)),
            Do::Reconnect => {
                if let Some(socket) = self.socket.take() {
                    self.asterisk.disconnect(self.now, socket);
                }
                self.feed(exchange::Input::Lost(None));
                self.after(TIMEOUT, Due::Connects);
            }
            Do::Leave => {
                if let Some(socket) = self.socket.take() {
                    self.asterisk.disconnect(self.now, socket);
                }
            }
            Do::TryAddress => self.feed(exchange::Input::AddressTried(Ok(()))),
            Do::Notice(_, notice) => self.notices.push(notice),
            Do::Readiness(readiness) => self.webhook = Some(readiness.webhook),
            Do::Refused(_, reason) => {
                self.met.insert(format!("refused {}", reason.code()));
            }
            Do::Measure => {}
        }
    }

    pub(super) fn begins(
        &mut self,
        id: &ChannelId,
        agent: &Agent,
        call: Call,
        openai: Option<String>,
        media: Option<Media>,
    ) {
        self.hold_begin(id);
        let agent = Arc::clone(&agent.name);
        let recorded = Recorded::default();
        let running = Running { call, agent, media, recorded, spent: 0, openai, link: None };
        self.running.insert(id.clone(), running);
        self.tell(id, Input::Tick);
    }

    fn order(&mut self, id: &ChannelId, order: &Order) {
        match order {
            Order::Leg(event) => {
                if let LegEvent::Key(_) = event {
                    self.rung(|| "us ◀ asterisk key".into());
                }
                self.tell(id, Input::Leg(*event));
            }
            Order::Replaced(by, next_step) => {
                self.tell(id, Input::CallerReplaced { by, next_step: next_step.as_ref() });
            }
            Order::Renumbered(number) => self.tell(id, Input::CallerRenumbered(number)),
            Order::Offered(call) => {
                if let Some(running) = self.running.get_mut(id) {
                    running.openai = Some(call.as_str().to_owned());
                    self.hold_offered(call.as_str());
                }
                self.tell(id, Input::Offered(call));
            }
            Order::Supervisor(wish) => self.tell(id, Input::Supervisor(wish)),
            Order::Shutdown => self.tell(id, Input::Shutdown),
        }
    }

    pub(super) fn tell(&mut self, id: &ChannelId, input: Input<'_>) {
        let Some(running) = self.running.get_mut(id) else { return };
        let outputs: Vec<_> = running.call.handle(self.now, input).collect();
        for output in outputs {
            self.call_wants(id, output);
        }
        let Some(call) = self.running.get(id).map(|running| &running.call) else { return };
        if call.is_in_aftermath() && !self.aftermaths.contains_key(id) {
            self.lets_go(id);
        } else if call.deadline().is_none() {
            let ended = self.running.remove(id).expect("it runs");
            let aftermath = self.aftermaths.remove(id);
            let id = aftermath.as_ref().map_or(id, |(_, caller)| caller);
            let report = ended.call.report();
            self.hold_end(&ended, &report);
            *self.spent.entry(Arc::clone(&ended.agent)).or_default() += ended.spent;
            self.ends.push((id.clone(), report.reason));
            let route = match (&ended.media, id.as_str().starts_with("rtc_")) {
                (Some(_), _) => "media",
                (None, true) => "carrier",
                (None, false) => "dialled",
            };
            self.met.insert(format!("{route} {}", report.reason.code()));
            match aftermath {
                Some((number, _)) => self.feed(exchange::Input::Over(number)),
                None => self.feed(exchange::Input::Ended(id.clone(), &report)),
            }
            self.reports.push(report);
        }
    }

    fn call_wants(&mut self, id: &ChannelId, output: Output) {
        match output {
            Output::Ari(request) => self.after(WAY, Due::Ari(Asker::Call(id.clone()), request)),
            Output::Sip(request) => {
                self.rung(|| format!("us ▶ openai  {}", request.verb()));
                self.after(WAY, Due::Sip(Some(id.clone()), request));
            }
            Output::OpenSession => {
                self.links += 1;
                let link = self.links;
                self.running.get_mut(id).expect("it runs").link = Some((link, false));
                self.after(WAY, Due::Handshake(id.clone(), link));
            }
            Output::CloseSession => {
                let running = self.running.get_mut(id).expect("it runs");
                match (running.link.take(), running.openai.clone()) {
                    (Some((link, _)), _) if running.media.is_some() => self.hangs(id, link),
                    (Some((_, true)), Some(openai)) => self.openai.detach(&openai),
                    _ => {}
                }
            }
            Output::Session(event) => {
                let text = event.to_json();
                let kind =
                    serde_json::from_str::<serde_json::Value>(&text).expect("JSON")["type"].to_string();
                self.rung(|| format!("us ▶ openai  {}", kind.trim_matches('"')));
                self.says_to_model(id, text);
            }
            Output::Tool(job) => {
                let outcome = Outcome::Done { result: serde_json::json!({"free": "10:00"}) };
                let result = tools::Result { number: job.number, outcome, attempts: 1 };
                self.after(TOOL, Due::Tool(id.clone(), result));
            }
            Output::FetchSounds(sounds) => {
                let names: Vec<_> = [&sounds.said, &sounds.heard]
                    .into_iter()
                    .flatten()
                    .map(|(name, _)| name.to_string())
                    .collect();
                let there = self.asterisk.recordings();
                let is_whole = names.iter().all(|name| there.contains(&name.as_str()));
                self.rung(|| format!("us ▶ asterisk fetch {names:?}"));
                self.fetched.push(sounds);
                let fetched = if is_whole { Fetched::Whole } else { Fetched::InPart };
                if !self.never_fetches {
                    self.after(MS * 200, Due::Fetched(id.clone(), fetched));
                }
            }
            Output::Notice(notice) => self.notices.push(notice),
            Output::Record(entry) => self.records(id, entry),
            Output::Standing(standing) => self.feed(exchange::Input::Standing(&standing)),
            Output::LetGo(_) => {}
            Output::Rtp(_) | Output::MediaAddress(_) | Output::MediaSource(_) | Output::Append { .. } => {
                self.sounds(id, output);
            }
        }
    }

    fn records(&mut self, id: &ChannelId, entry: Entry) {
        if matches!(entry, Entry::Event { kind: EventKind::Ended, .. }) {
            self.conversation_ends(id);
        }
        let spent = if let Entry::Usage(bill) = &entry { Some(bill.at_least) } else { None };
        let running = self.running.get_mut(id).expect("it runs");
        running.recorded.take(entry.clone());
        if running.media.is_none() {
            self.entries.push(entry);
        }
        if let Some(spent) = spent {
            running.spent = spent.get();
            self.feed(exchange::Input::Spent(id.clone(), spent));
        }
    }
}

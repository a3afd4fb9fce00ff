//! What happens to this world from outside.

use std::sync::Arc;
use std::time::Duration;

use openai_inbound_calls::end_reason::EndReason;
use openai_inbound_calls::exchange::{self, Exchange, Rules, WebhookNews};
use openai_inbound_calls::realtime::calls::CallId;
use openai_inbound_calls::realtime::calls::request::Request;
use openai_inbound_calls::sim::asterisk::{Fault, IncomingCall, Stop};
use openai_inbound_calls::sim::openai_calls::OpenAiCalls;
use openai_inbound_calls::sim::realtime::Incoming;
use openai_inbound_calls::units::MicroUsd;

use super::{Due, MS, Pbx};

/// How long the next daemon takes until it has connected.
const STARTS: Duration = Duration::from_millis(500);

/// What happens at a time.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A caller enters Asterisk.
    Calls,
    /// A caller enters Asterisk who has dialled this number.
    CallsTo(&'static str),
    /// The n-th caller in Asterisk speaks on the telephone for so many milliseconds.
    Speaks(usize, u64),
    /// The n-th caller in Asterisk puts the receiver down.
    PutsDown(usize),
    /// A carrier makes a call to OpenAI.
    CarrierCalls,
    /// The caller of the n-th call, in either place, speaks for so many milliseconds.
    Says(usize, u64),
    /// They press a key.
    Presses(usize, char),
    /// They hang up.
    HangsUp(usize),
    /// The call of the n-th caller in Asterisk hears that they are back.
    IsBack(usize),
    /// The network between us and the session of the n-th call at OpenAI breaks.
    Cuts(usize),
    /// OpenAI ends the n-th call by itself.
    OpenAiEnds(usize),
    /// The webhook of the n-th call comes again.
    WebhookAgain(usize),
    /// Somebody who knows the project calls OpenAI, with a nonce of their own.
    StrangerCalls(String),
    /// The next request of this method with this text in its path fails.
    Fails(&'static str, &'static str, Fault),
    /// The event socket to Asterisk breaks.
    LosesEvents,
    /// The daemon is killed, and starts again: nothing that it knew is left.
    DaemonDies,
    /// Asterisk is killed, and starts again.
    AsteriskDies,
    /// OpenAI dies with all its sessions, and cannot be reached for so many milliseconds.
    OpenAiDies(u64),
    /// The daemon stops.
    Stops,
    /// The daemon stops, and another one starts when it has ended.
    Restarts,
    /// The operator decides anew.
    Decides(Box<Rules>),
}

impl Pbx {
    pub(super) fn step(&mut self, step: Step) {
        let now = self.now;
        self.rung(|| format!("{step:?}"));
        match step {
            Step::Calls => self.calls(IncomingCall::default()),
            Step::IsBack(n) => self.is_back(n),
            Step::CallsTo(number) => {
                self.calls(IncomingCall { extension: number.into(), ..IncomingCall::default() });
            }
            Step::Speaks(n, ms) => {
                if let Some(caller) = self.callers.get(n) {
                    self.speaks(*caller, ms / 20);
                }
            }
            Step::PutsDown(n) => {
                if let Some(caller) = self.callers.get(n) {
                    self.asterisk.caller_hangs_up(now, *caller);
                }
            }
            Step::CarrierCalls => self.rings_at_openai(None, None),
            Step::StrangerCalls(nonce) => {
                if self.is_openai_down() {
                    return;
                }
                self.rings_at_openai(None, Some(nonce.clone()));
                let n = self.calls.len() - 1;
                self.events.retain(|_, due| !matches!(due, Due::Webhook(of) if *of == n));
                self.webhook_comes(n, Some(&nonce));
            }
            Step::Says(n, ms) => {
                self.with(n, |openai, id| openai.caller_says(now, id, "Una pregunta.", MS * ms as u32));
            }
            Step::Presses(n, key) => {
                self.with(n, |openai, id| openai.caller_presses(id, key));
                if let Some(caller) = self.calls.get(n).and_then(|call| call.caller) {
                    self.asterisk.press(now, caller, key);
                }
            }
            Step::HangsUp(n) => match self.calls.get(n).map(|call| call.caller) {
                Some(Some(caller)) => self.asterisk.caller_hangs_up(now, caller),
                Some(None) => self.with(n, |openai, id| openai.caller_hangs_up(now, id)),
                None => {
                    if let Some(caller) = self.callers.get(n).copied() {
                        self.asterisk.caller_hangs_up(now, caller);
                    }
                }
            },
            Step::Cuts(n) => self.with(n, OpenAiCalls::cut),
            Step::OpenAiEnds(n) => {
                self.with(n, |openai, id| openai.caller_hangs_up(now, id));
                if let Some(channel) = self.calls.get_mut(n).and_then(|call| call.channel.take()) {
                    self.asterisk.far_end_hangs_up(now, &channel);
                }
            }
            // What comes later the daemon knows by the claims of its call log.
            Step::WebhookAgain(n) if self.serves(n) => {
                let nonce = self.calls[n].nonce.clone();
                self.webhook_comes(n, nonce.as_deref());
            }
            Step::WebhookAgain(_) => {}
            other => self.breaks(other),
        }
    }

    /// Something fails, ends or is decided anew.
    fn breaks(&mut self, step: Step) {
        match step {
            Step::Fails(method, path, fault) => self.asterisk.fail_next(method, path, fault),
            Step::LosesEvents => {
                if let Some(socket) = self.socket {
                    self.asterisk.cut(self.now, socket);
                }
            }
            Step::AsteriskDies => self.asterisk_dies(),
            Step::DaemonDies => self.daemon_dies(),
            Step::OpenAiDies(ms) => self.openai_dies(MS * ms as u32),
            Step::Stops => self.feed(exchange::Input::Stop),
            Step::Restarts => {
                self.restarts = true;
                self.feed(exchange::Input::Stop);
            }
            Step::Decides(rules) => {
                self.rules = (*rules).clone();
                self.feed(exchange::Input::Reload(rules));
            }
            other => unreachable!("a caller does this: {other:?}"),
        }
    }

    fn calls(&mut self, call: IncomingCall) {
        let caller = self.asterisk.incoming_call(self.now, IncomingCall { answered: false, ..call });
        self.callers.push(caller);
    }

    fn asterisk_dies(&mut self) {
        self.asterisk.stop(self.now, Stop::Kill);
        // OpenAI's side notices that nobody is there any more.
        for call in &mut self.calls {
            if call.channel.take().is_some() {
                self.openai.caller_hangs_up(self.now, &call.id);
            }
        }
        self.drain();
        self.asterisk.start(self.now);
    }

    fn daemon_dies(&mut self) {
        let ended = std::mem::take(&mut self.running);
        // The call log knows what they have cost so far.
        for running in ended.values() {
            *self.spent.entry(Arc::clone(&running.agent)).or_default() += running.spent;
        }
        let aftermaths = std::mem::take(&mut self.aftermaths);
        let caller = |id| aftermaths.get(id).map_or(id, |(_, caller)| caller);
        self.ends.extend(ended.keys().map(|id| (caller(id).clone(), EndReason::Recovered)));
        for link in
            ended.values().filter_map(|running| Some(running.link.filter(|_| running.media.is_some())?.0))
        {
            self.at_model(link, Incoming::Closed);
        }
        // What it has asked for is on its way, and is carried out; nobody waits for the answers.
        self.events.retain(|_, due| {
            matches!(
                due,
                Due::Step(_) | Due::Ari(..) | Due::Sip(..) | Due::Answers(_) | Due::Speaks(_) | Due::Starts
            )
        });
        if let Some(socket) = self.socket.take() {
            self.asterisk.disconnect(self.now, socket);
        }
        let ids: Vec<_> = self.calls.iter().map(|call| call.id.clone()).collect();
        for id in ids {
            self.openai.detach(&id);
        }
        self.next_daemon();
        // The call log knows the calls at OpenAI that have not ended.
        for call in ended.values().filter_map(|running| CallId::parse(running.openai.as_deref()?)) {
            // It knows of no goodbye that is being heard.
            self.openai.nobody_listens(call.as_str());
            self.after(STARTS, Due::Sip(None, Request::HangUp(call)));
        }
    }

    /// A daemon starts that knows nothing but what the call log tells.
    pub(super) fn next_daemon(&mut self) {
        self.life += 1;
        self.exchange = Exchange::new(self.moment(), self.rules.clone());
        self.feed(exchange::Input::Tick);
        self.feed(exchange::Input::Webhook(WebhookNews::Listens));
        let spent = self.spent.iter().map(|(agent, spent)| (Arc::clone(agent), MicroUsd::new(*spent)));
        self.feed(exchange::Input::SpentEarlier(self.moment().wall.date_naive(), spent.collect()));
        self.after(STARTS, Due::Connects);
    }

    /// Whether a call of ours is the n-th at OpenAI.
    fn serves(&self, n: usize) -> bool {
        let id = self.calls.get(n).map(|call| &call.id);
        self.running.values().any(|running| running.openai.is_some() && running.openai.as_ref() == id)
    }

    fn with(&mut self, n: usize, act: impl FnOnce(&mut OpenAiCalls, &str)) {
        if let Some(call) = self.calls.get(n) {
            act(&mut self.openai, &call.id);
        }
    }
}

//! What happens to this world from outside.

use openai_inbound_calls::exchange::{self, Exchange};
use openai_inbound_calls::sim::asterisk::{Fault, IncomingCall, Stop};
use openai_inbound_calls::sim::openai_calls::OpenAiCalls;

use super::{Due, MS, Pbx};

/// What happens at a time.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A caller enters Asterisk.
    Calls,
    /// A carrier makes a call to OpenAI.
    CarrierCalls,
    /// The caller of the n-th call, in either place, speaks for so many milliseconds.
    Says(usize, u64),
    /// They press a key.
    Presses(usize, char),
    /// They hang up.
    HangsUp(usize),
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
    /// The daemon stops.
    Stops,
}

impl Pbx {
    pub(super) fn step(&mut self, step: Step) {
        let now = self.now;
        self.rung(|| format!("{step:?}"));
        match step {
            Step::Calls => {
                let caller = self
                    .asterisk
                    .incoming_call(now, IncomingCall { answered: false, ..IncomingCall::default() });
                self.callers.push(caller);
            }
            Step::CarrierCalls => self.rings_at_openai(None, None),
            Step::StrangerCalls(nonce) => {
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
            Step::Fails(method, path, fault) => self.asterisk.fail_next(method, path, fault),
            Step::LosesEvents => {
                if let Some(socket) = self.socket {
                    self.asterisk.cut(now, socket);
                }
            }
            Step::AsteriskDies => self.asterisk_dies(),
            Step::DaemonDies => self.daemon_dies(),
            Step::Stops => self.feed(exchange::Input::Stop),
        }
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
        self.running.clear();
        // What it has asked for is on its way, and is carried out; nobody waits for the answers.
        self.events
            .retain(|_, due| matches!(due, Due::Step(_) | Due::Ari(..) | Due::Sip(..) | Due::Answers(_)));
        if let Some(socket) = self.socket.take() {
            self.asterisk.disconnect(self.now, socket);
        }
        let ids: Vec<_> = self.calls.iter().map(|call| call.id.clone()).collect();
        for id in ids {
            self.openai.detach(&id);
        }
        self.exchange = Exchange::new(self.moment(), self.rules.clone());
        self.feed(exchange::Input::Tick);
        self.after(MS * 500, Due::Connects);
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

//! A strict, scripted fake of OpenAI's side of SIP calls, without sockets and without a clock: it signs the webhook, answers the
//! requests about a call, and holds the session of an accepted call, whose WebSocket carries no sound.
//!
//! ```text
//!   offer ─► Webhook (signed)
//!   request: accept ─► the session is made ─► attach ─► receive / poll      every call:  advance ─► wait until deadline()
//!            reject, refer, hangup ─► the call is over                      caller_says, caller_presses, caller_hangs_up
//!   where the world has sound, in frames of 20 ms:  answered ─► hear, take_sound
//! ```
//! Whatever the real one rejects is answered as the real one answers it; what must never be done is a violation. A call that is
//! accepted and not ended by either side is one, too: [`OpenAiCalls::left`] names those.
//!
//! | file | what |
//! |---|---|
//! | `world` | its input and output |
//! | `schema` | what an acceptance may hold |
//! | `session`, `respond` | the session of one call: the caller, and what is heard; the responses of the model |
//! | `line` | the sound of one call, where the world has any |

mod line;
mod respond;
mod schema;
mod session;
#[cfg(test)]
mod tests;
mod world;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub use session::Frame;
use session::Session;
pub use world::{Acceptance, Referral, Request, Say, Script, State, Webhook, incoming};

/// How long a call rings before nobody waits any more.
const RINGS_FOR: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Call {
    state: State,
    acceptances: VecDeque<Acceptance>,
    handshakes: u32,
    failing_hangups: u32,
    session: Option<Session>,
    /// The acceptance that takes effect at this time.
    late: Option<(Instant, Value)>,
    /// The transfer to this target that takes effect at this time.
    leaves: Option<(Instant, String)>,
}

impl Call {
    /// The caller is sent there, which ends the call.
    fn refer(&mut self, now: Instant, target: String) {
        self.state = State::Referred(target);
        if let Some(session) = &mut self.session {
            session.end(now);
        }
    }
}

/// OpenAI's side of all SIP calls.
#[derive(Debug)]
pub struct OpenAiCalls {
    script: Arc<Script>,
    calls: BTreeMap<String, Call>,
    violations: Vec<String>,
}

impl OpenAiCalls {
    /// A service without calls.
    #[must_use]
    pub fn new(script: Script) -> Self {
        Self { script: Arc::new(script), calls: BTreeMap::new(), violations: Vec::new() }
    }

    /// A call rings from now on. The webhook about it, made and sent at this Unix time in seconds.
    pub fn offer(&mut self, now: Instant, call: &str, unix_s: u64, headers: &[(&str, &str)]) -> Webhook {
        let state = State::Ringing(now);
        let acceptances = self.script.acceptances.iter().copied().collect();
        let (handshakes, failing_hangups) = (self.script.unknown_handshakes, self.script.failing_hangups);
        let new =
            Call { state, acceptances, handshakes, failing_hangups, session: None, late: None, leaves: None };
        self.calls.insert(call.to_owned(), new);
        let body = incoming(call, unix_s, headers);
        Webhook::signed(&self.script.secret, &format!("wh_{call}"), unix_s, body)
    }

    /// Another program takes a call.
    pub fn taken_elsewhere(&mut self, call: &str) {
        if let Some(call) = self.calls.get_mut(call) {
            call.state = State::Elsewhere;
        }
    }

    /// Answers a request: status and body. `None`: no answer is given.
    pub fn request(&mut self, now: Instant, request: &Request<'_>) -> Option<(u16, String)> {
        if request.method != "POST" {
            return Some(self.violation(405, "method_not_allowed", "a request about a call that is no POST"));
        }
        if request.authorization != Some(&format!("Bearer {}", self.script.key)) {
            return Some(error(401, "invalid_api_key", None));
        }
        let mut parts = request.path.trim_start_matches('/').split('/');
        let (Some(id), Some(verb), None) = (parts.next(), parts.next(), parts.next()) else {
            return Some(self.violation(404, "unknown_url", "a path that does not exist"));
        };
        self.take_effect(now, id);
        let Some(call) = self.calls.get(id) else { return Some(error(404, "call_id_not_found", None)) };
        if matches!(call.state, State::Elsewhere) {
            if verb == "hangup" {
                self.violations.push(format!("{id}: hung up, and it is another's"));
            }
            return Some(error(409, "decision_already_made", None));
        }
        match verb {
            "accept" => self.accept(now, id, request.body),
            "reject" => Some(self.reject(id, request.body)),
            "refer" => self.refer(now, id, request.body),
            "hangup" => Some(self.hang_up(id, request.body)),
            _ => Some(self.violation(404, "unknown_url", "a verb that does not exist")),
        }
    }

    /// An acceptance of this call that takes effect late does so when its time has come, if the caller still rings.
    fn take_effect(&mut self, now: Instant, id: &str) {
        if let Some(call) = self.calls.get_mut(id)
            && matches!(call.state, State::Ringing(_))
            && let Some((_, settings)) = call.late.take_if(|(at, _)| *at <= now)
        {
            call.state = State::Accepted;
            call.session = Some(Session::new(now, Arc::clone(&self.script), id, settings));
        }
    }

    fn accept(&mut self, now: Instant, id: &str, body: &str) -> Option<(u16, String)> {
        let call = self.calls.get_mut(id)?;
        let State::Ringing(since) = call.state else {
            let words = format!("{id}: accepted again, or after its end");
            let is_retry = call.state == State::CallerGone;
            if !is_retry {
                self.violations.push(words);
            }
            return Some(error(if is_retry { 404 } else { 409 }, "decision_already_made", None));
        };
        if now.saturating_duration_since(since) > RINGS_FOR {
            self.violations.push(format!("{id}: accepted after a minute"));
        }
        let acceptance = call.acceptances.pop_front().unwrap_or(Acceptance::Made);
        let settings = match schema::acceptance(body) {
            Ok(settings) => settings,
            Err(fault) => {
                self.violations.push(format!("{id}: accept: {}", fault.words));
                return Some(error(400, fault.code, Some(&fault.param)));
            }
        };
        match acceptance {
            Acceptance::Refused(status) => return Some(error(status, "scripted", None)),
            Acceptance::NoVadFields if schema::has_vad_fields(&settings) => {
                let param = "session.audio.input.turn_detection.threshold";
                return Some(error(400, "unknown_parameter", Some(param)));
            }
            Acceptance::Unanswered => return None,
            Acceptance::MadeLate(after) => {
                call.late = Some((now + after, settings));
                return None;
            }
            Acceptance::Made
            | Acceptance::NoVadFields
            | Acceptance::MadeUnanswered
            | Acceptance::MadeAndFailed => {}
        }
        call.state = State::Accepted;
        call.session = Some(Session::new(now, Arc::clone(&self.script), id, settings));
        match acceptance {
            Acceptance::MadeUnanswered => None,
            Acceptance::MadeAndFailed => Some(error(500, "server_error", None)),
            _ => Some((200, String::new())),
        }
    }

    fn reject(&mut self, id: &str, body: &str) -> (u16, String) {
        let status = match serde_json::from_str::<Value>(body) {
            Ok(body) => body["status_code"].as_u64().unwrap_or(603),
            Err(_) if body.is_empty() => 603,
            Err(_) => return self.violation(400, "invalid_json", "a reject whose body is no JSON"),
        };
        if !(300..=699).contains(&status) {
            return self.violation(400, "invalid_value", "a reject with a status that refuses nothing");
        }
        match self.calls.get_mut(id) {
            Some(call) if matches!(call.state, State::Ringing(_)) => {
                call.state = State::Rejected(status);
                (200, String::new())
            }
            Some(call) if matches!(call.state, State::Accepted) => {
                self.violation(409, "decision_already_made", "a reject of an accepted call")
            }
            _ => error(404, "call_id_not_found", None),
        }
    }

    fn refer(&mut self, now: Instant, id: &str, body: &str) -> Option<(u16, String)> {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let target = body["target_uri"].as_str().unwrap_or_default().to_owned();
        if !(target.starts_with("sip:") && target.contains('@') || target.starts_with("tel:+")) {
            return Some(self.violation(400, "invalid_value", "a refer without a sip: or tel: URI"));
        }
        let Some(call) = self.calls.get_mut(id).filter(|call| call.state == State::Accepted) else {
            return Some(error(404, "call_id_not_found", None));
        };
        let done = Some((200, String::new()));
        match self.script.referral {
            Referral::Refused(status) => Some(error(status, "scripted", None)),
            Referral::Unheeded => done,
            Referral::Made => {
                call.refer(now, target);
                done
            }
            Referral::MadeLate(after) => {
                call.leaves = Some((now + after, target));
                done
            }
            Referral::MadeLateUnanswered(after) => {
                call.leaves = Some((now + after, target));
                None
            }
        }
    }

    fn hang_up(&mut self, id: &str, body: &str) -> (u16, String) {
        if !body.is_empty() {
            self.violations.push(format!("{id}: hangup with a body"));
        }
        let Some(call) = self.calls.get_mut(id).filter(|call| call.state == State::Accepted) else {
            return error(404, "call_id_not_found", None);
        };
        // What is heard after the first attempt is not the client's fault.
        let is_first = call.failing_hangups == self.script.failing_hangups;
        if is_first && call.session.as_ref().is_some_and(Session::is_goodbye_heard) {
            self.violations.push(format!("{id}: hung up while the goodbye was being heard"));
        }
        if call.failing_hangups > 0 {
            call.failing_hangups -= 1;
            return error(500, "server_error", None);
        }
        call.state = State::HungUp;
        if let Some(session) = &mut call.session {
            session.hung_up();
        }
        (200, String::new())
    }

    /// A WebSocket to a call is opened.
    ///
    /// # Errors
    /// The status and the body of the refusal.
    pub fn attach(
        &mut self,
        id: &str,
        authorization: Option<&str>,
        query: &str,
    ) -> Result<(), (u16, String)> {
        if authorization != Some(&format!("Bearer {}", self.script.key)) {
            return Err(error(401, "invalid_api_key", None));
        }
        if query.contains("model=") {
            self.violations.push(format!("{id}: attached with a model"));
        }
        let Some(call) = self.calls.get_mut(id) else { return Err(error(404, "call_id_not_found", None)) };
        if call.state != State::Accepted || call.handshakes > 0 {
            if matches!(call.state, State::Ringing(_))
                && call.acceptances.len() == self.script.acceptances.len()
            {
                self.violations.push(format!("{id}: attached before it was accepted"));
            }
            call.handshakes = call.handshakes.saturating_sub(1);
            return Err(error(404, "call_id_not_found", None));
        }
        if let Some(session) = &mut call.session {
            session.attach();
        }
        Ok(())
    }

    /// A text frame arrives for a call.
    pub fn receive(&mut self, now: Instant, id: &str, text: &str) {
        self.with(id, |session| session.receive(now, text));
    }

    /// The client's WebSocket is gone. The call goes on.
    pub fn detach(&mut self, id: &str) {
        self.with(id, Session::detach);
    }

    /// The network breaks between the client and the session.
    pub fn cut(&mut self, id: &str) {
        self.with(id, Session::cut);
    }

    /// The caller speaks, for so long.
    pub fn caller_says(&mut self, now: Instant, id: &str, words: &str, length: Duration) {
        self.with(id, |session| session.caller_says(now, words, length));
    }

    /// The SIP call stands: from now on sound flows both ways, and the caller's speech is found in what they send.
    pub fn answered(&mut self, now: Instant, id: &str) {
        self.with(id, |session| session.answered(now));
    }

    /// A frame of the caller's sound arrives, in G.711 µ-law.
    pub fn hear(&mut self, now: Instant, id: &str, frame: &[u8]) {
        self.with(id, |session| session.hear(now, frame));
    }

    /// The next frame of 20 ms for the caller, in G.711 µ-law.
    pub fn take_sound(&mut self, id: &str) -> Option<Vec<u8>> {
        self.calls.get_mut(id)?.session.as_mut()?.take_sound()
    }

    /// All the sound that has arrived from the caller of a call.
    #[must_use]
    pub fn received(&self, id: &str) -> Vec<u8> {
        self.session(id).map(|session| session.received().to_vec()).unwrap_or_default()
    }

    /// Calls that are offered from now on have this script.
    pub fn set_script(&mut self, script: Script) {
        self.script = Arc::new(script);
    }

    /// The caller presses a key.
    pub fn caller_presses(&mut self, id: &str, key: char) {
        self.with(id, |session| session.caller_presses(key));
    }

    /// The caller, who is in a PBX that has called, does not hear the model any more. The call goes on.
    pub fn nobody_listens(&mut self, id: &str) {
        self.with(id, Session::nobody_listens);
    }

    /// The caller hangs up: the WebSocket is gone at once, without a close frame.
    pub fn caller_hangs_up(&mut self, now: Instant, id: &str) {
        if let Some(call) = self.calls.get_mut(id) {
            if matches!(call.state, State::Ringing(_) | State::Accepted) {
                call.state = State::CallerGone;
            }
            if let Some(session) = &mut call.session {
                session.end(now);
            }
        }
    }

    fn session(&self, id: &str) -> Option<&Session> {
        self.calls.get(id)?.session.as_ref()
    }

    fn with(&mut self, id: &str, act: impl FnOnce(&mut Session)) {
        if let Some(session) = self.calls.get_mut(id).and_then(|call| call.session.as_mut()) {
            act(session);
            self.violations.extend(session.take_violations());
        }
    }

    /// Lets time pass.
    pub fn advance(&mut self, now: Instant) {
        for call in self.calls.values_mut() {
            let left = call.leaves.take_if(|(at, _)| *at <= now);
            if let Some((_, target)) = left.filter(|_| call.state == State::Accepted) {
                call.refer(now, target);
            }
        }
        for session in self.calls.values_mut().filter_map(|call| call.session.as_mut()) {
            session.advance(now);
        }
    }

    /// When [`Self::advance`] is needed next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let sessions = self.calls.values().filter_map(|call| call.session.as_ref()?.deadline());
        let leaves = self.calls.values().filter_map(|call| call.leaves.as_ref().map(|(at, _)| *at));
        sessions.chain(leaves).min()
    }

    /// The next thing that the session of a call sends.
    pub fn poll(&mut self, id: &str) -> Option<Frame> {
        self.calls.get_mut(id)?.session.as_mut()?.poll()
    }

    /// How a call stands.
    #[must_use]
    pub fn state(&self, id: &str) -> Option<&State> {
        self.calls.get(id).map(|call| &call.state)
    }

    /// Whether the model has said so many things in a call, all of them have been heard, and it is the caller's turn.
    #[must_use]
    pub fn is_callers_turn(&self, id: &str, said: usize) -> bool {
        self.session(id).is_some_and(|session| session.is_callers_turn(said))
    }

    /// Whether the caller of a call hears the model at this moment.
    #[must_use]
    pub fn is_heard(&self, id: &str) -> bool {
        self.session(id).is_some_and(Session::is_heard)
    }

    /// The settings with which a call was accepted.
    #[must_use]
    pub fn settings(&self, id: &str) -> Option<&Value> {
        self.session(id).map(Session::settings)
    }

    /// The items that the client has added to the conversation of a call.
    #[must_use]
    pub fn added(&self, id: &str) -> Vec<Value> {
        self.session(id).map(|session| session.added().to_vec()).unwrap_or_default()
    }

    /// What the client has done wrong.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// The calls that were accepted and that nobody has ended: each costs money.
    #[must_use]
    pub fn left(&self) -> Vec<&str> {
        self.calls.iter().filter(|(_, call)| call.state == State::Accepted).map(|(id, _)| &**id).collect()
    }

    fn violation(&mut self, status: u16, code: &str, words: &str) -> (u16, String) {
        self.violations.push(words.to_owned());
        error(status, code, None)
    }
}

/// An answer with an error in it.
fn error(status: u16, code: &str, param: Option<&str>) -> (u16, String) {
    let kind = if status >= 500 { "server_error" } else { "invalid_request_error" };
    let message =
        param.map_or_else(|| "Refused.".to_owned(), |param| format!("Unknown parameter: '{param}'."));
    (status, json!({"error": {"message": message, "type": kind, "code": code, "param": param}}).to_string())
}

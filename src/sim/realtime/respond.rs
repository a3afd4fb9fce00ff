//! Whole responses: who may start one, how it is announced, and how it ends (24–27, 40, 41).
//!
//! [`speak`](super::speak) says what comes between, and [`rounds`](super::rounds) checks what function calls
//! require of the client.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::codec::Codec;
use super::items::{Body, Item};
use super::schema::{BETA_RESPONSE, GA_RESPONSE};
use super::script::{Answer, FaultKind, Part};
use super::validate::{Rejection, check};
use super::{Due, Session, What};

/// A response in progress.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) id: String,
    asker: Asker,
    began: Instant,
    pub(super) in_conversation: bool,
    pub(super) text_only: bool,
    pub(super) answer: Answer,
    pub(super) codec: Codec,
    /// The fields that are the same in every `response` object of this response.
    constant: Value,
    pub(super) faults: Vec<FaultKind>,
    /// The ids of the output items so far.
    pub(super) items: Vec<String>,
    /// The index of the part that is being said.
    pub(super) part: usize,
    pub(super) stage: Stage,
    pub(super) deltas_sent: usize,
    /// The number of deltas after which the faults that strike midway happen.
    pub(super) midway: usize,
    /// The response has been cancelled, and this many more deltas follow.
    pub(super) ending: Option<(Ending, u32)>,
}

/// The progress of a response in its current part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The item is not announced yet.
    Open,
    /// The delta with this index is next.
    Delta(usize),
    /// All deltas have been sent.
    Close,
}

/// The party that asked for a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    Client,
    Vad,
}

/// The way in which a response ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Completed,
    TurnDetected,
    ClientCancelled,
    Failed(String),
    Incomplete(String),
}

impl Ending {
    fn status(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::TurnDetected | Self::ClientCancelled => "cancelled",
            Self::Failed(_) => "failed",
            Self::Incomplete(_) => "incomplete",
        }
    }

    fn details(&self) -> Value {
        match self {
            Self::Completed => Value::Null,
            Self::TurnDetected => json!({"type": "cancelled", "reason": "turn_detected"}),
            Self::ClientCancelled => json!({"type": "cancelled", "reason": "client_cancelled"}),
            Self::Incomplete(reason) => json!({"type": "incomplete", "reason": reason}),
            Self::Failed(code) => {
                let kind = match code.as_str() {
                    "rate_limit_exceeded" => "tokens",
                    "insufficient_quota" => "insufficient_quota",
                    _ => "server_error",
                };
                let message = format!("The response failed: {code}.");
                json!({"type": "failed", "error": {"type": kind, "code": code, "message": message}})
            }
        }
    }
}

impl Response {
    /// The error message about a second response.
    pub(super) fn in_the_way(&self) -> String {
        format!(
            "Conversation already has an active response in progress: {}. Wait until the response is finished before creating a new one.",
            self.id
        )
    }
}

impl Session {
    /// The active response of the conversation. There is at most one.
    pub(super) fn active_response(&self) -> Option<&Response> {
        self.responses.iter().find(|response| response.in_conversation)
    }

    /// Handles `response.create`.
    pub(super) fn create_response(
        &mut self,
        params: &Value,
        event_id: Option<&str>,
    ) -> Result<(), Rejection> {
        if self.configured.is_none() {
            self.discipline("response.create before session.updated (24)");
        }
        let beta = self.script.dialect.is_beta();
        if !params.is_null() {
            check(if beta { &BETA_RESPONSE } else { &GA_RESPONSE }, params, "response")?;
        }
        self.check_choice(params)?;
        let in_conversation = params["conversation"] != "none";
        if let Some(active) = self.active_response().filter(|_| in_conversation) {
            let rejection =
                Rejection::new("conversation_already_has_active_response", active.in_the_way(), None);
            let crossed = active.asker == Asker::Vad && self.just_now(active.began);
            if crossed {
                self.excuse(&rejection, event_id);
                return Ok(());
            }
            return Err(rejection);
        }
        if in_conversation {
            self.check_rounds(params);
        }
        self.respond(Asker::Client, params);
        Ok(())
    }

    /// A function that the model must call is one of the tools of the response, or else of the session.
    fn check_choice(&self, params: &Value) -> Result<(), Rejection> {
        let Some(name) = params.pointer("/tool_choice/name") else { return Ok(()) };
        let tools = params.get("tools").unwrap_or(self.settings.tools());
        if tools.as_array().is_some_and(|tools| tools.iter().any(|tool| tool["name"] == *name)) {
            return Ok(());
        }
        let message = format!("Tool choice {name} not found in 'tools' parameter.");
        Err(Rejection::new("invalid_value", message, Some("response.tool_choice")))
    }

    /// Starts a response.
    pub(super) fn respond(&mut self, asker: Asker, params: &Value) {
        self.ear.stamp += 1;
        self.rounds.begun += 1;
        let faults = self.faults_of_response(self.rounds.begun);
        if faults.contains(&FaultKind::ResponseIgnored) {
            (self.rounds.owed, self.rounds.fresh) = (false, true);
            return;
        }
        let in_conversation = params["conversation"] != "none";
        if !in_conversation {
            // Whoever asks for something aside may have no caller any more.
            self.ear.forget_pace();
        }
        if in_conversation {
            self.rounds.after_tools = std::mem::take(&mut self.rounds.owed) && asker == Asker::Client;
            self.rounds.fresh = false;
            self.rounds.answers_caller = std::mem::take(&mut self.rounds.caller_waits);
        }
        let says_nothing = |kind: &FaultKind| {
            let (fails, no_created) = (kind.failure().is_some(), *kind == FaultKind::DoneWithoutCreated);
            fails || no_created || matches!(kind, FaultKind::ResponseStuck | FaultKind::ResponseEmpty)
        };
        let fails = faults.iter().any(says_nothing);
        let answer = if fails { Answer::default() } else { self.choose_answer(params) };
        let response = self.new_response(asker, params, answer, faults);
        self.note(What::ResponseCreated { id: response.id.clone(), by_client: asker == Asker::Client });
        if response.faults.contains(&FaultKind::DoneWithoutCreated) {
            return self.finish(response, Ending::TurnDetected);
        }
        let body = self.response_json(&response, "in_progress", &Value::Null, &Value::Null);
        self.emit("response.created", &json!({"response": body}));
        if response.faults.contains(&FaultKind::ResponseAbandoned) {
            self.send_scripted_error("server_error", "The server had an error.", None);
            return self.abandon(response.id);
        }
        if response.faults.contains(&FaultKind::ResponseStuck) {
            self.responses.push(response);
            return;
        }
        self.after(self.script.think, Due::Speak(response.id.clone()));
        self.responses.push(response);
    }

    fn choose_answer(&mut self, params: &Value) -> Answer {
        let aside = self.script.aside.as_ref().filter(|_| params["conversation"] == "none");
        if let Some(answer) = aside {
            return answer.clone();
        }
        let mut answer = match &self.script.greeting {
            _ if self.script.parrots => self.parrot(params),
            Some(greeting) if params.get("instructions").is_some() => greeting.clone(),
            _ => {
                let answers = &self.script.answers;
                let answer = answers.get(self.rounds.answered).or(answers.last()).cloned();
                self.rounds.answered += 1;
                answer.unwrap_or_default()
            }
        };
        let tool_choice = params.get("tool_choice").unwrap_or(self.settings.tool_choice());
        if tool_choice == "none" {
            answer.parts.retain(|part| matches!(part, Part::Speech { .. }));
        }
        answer
    }

    fn new_response(
        &mut self,
        asker: Asker,
        params: &Value,
        answer: Answer,
        faults: Vec<FaultKind>,
    ) -> Response {
        let beta = self.script.dialect.is_beta();
        let in_conversation = params["conversation"] != "none";
        let given = |ga: &str, beta_key: &str| params.pointer(if beta { beta_key } else { ga });
        let modalities = given("/output_modalities", "/modalities").unwrap_or(self.settings.modalities());
        let format = given("/audio/output/format", "/output_audio_format")
            .unwrap_or(self.settings.output_format_echo());
        let voice = given("/audio/output/voice", "/voice").unwrap_or(self.settings.voice());
        let tokens = given("/max_output_tokens", "/max_response_output_tokens")
            .unwrap_or(self.settings.max_output_tokens());
        let id = self.ids.next("resp_");
        let mut constant = json!({
            "object": "realtime.response", "id": id, "max_output_tokens": tokens,
            "conversation_id": in_conversation.then_some("conv_1"), "metadata": params["metadata"],
        });
        if beta {
            constant["modalities"] = modalities.clone();
            constant["voice"] = voice.clone();
            constant["output_audio_format"] = format.clone();
            constant["temperature"] = json!(0.8);
        } else {
            constant["output_modalities"] = modalities.clone();
            constant["audio"] = json!({"output": {"format": format, "voice": voice}});
        }
        let codec = Codec::named(if beta { format } else { &format["type"] });
        let text_only = *modalities == json!(["text"]) || faults.contains(&FaultKind::ResponseInText);
        let midway = (self.count_deltas(&answer) / 2).max(1);
        Response {
            id,
            asker,
            began: self.now,
            in_conversation,
            text_only,
            answer,
            codec,
            constant,
            faults,
            items: Vec::new(),
            part: 0,
            stage: Stage::Open,
            deltas_sent: 0,
            midway,
            ending: None,
        }
    }

    /// Handles `response.cancel` (26, 27).
    pub(super) fn cancel_by_client(&mut self, id: Option<&str>, event_id: Option<&str>) {
        let wanted = |response: &Response| match id {
            Some(id) => response.id == id,
            None => response.in_conversation,
        };
        if let Some(position) = self.responses.iter().position(wanted) {
            return self.cancel(position, Ending::ClientCancelled);
        }
        let message = "Cancellation failed: no active response found";
        let rejection = Rejection::new("response_cancel_not_active", message, None);
        let is_abandoned = id.is_some_and(|id| self.troubles.abandoned.iter().any(|one| one == id));
        match self.rounds.last_end.clone() {
            _ if is_abandoned => self.excuse(&rejection, event_id),
            Some((_, Ending::TurnDetected)) if self.script.dialect.is_strict() => {
                self.discipline("response.cancel although the server cancels by itself (27)");
                self.excuse(&rejection, event_id);
            }
            Some((at, _)) if self.just_now(at) => self.excuse(&rejection, event_id),
            _ => self.refuse(&rejection, event_id),
        }
    }

    /// Cancels the active response of the conversation, if there is one.
    pub(super) fn interrupt(&mut self, ending: Ending) {
        if let Some(position) = self.responses.iter().position(|response| response.in_conversation) {
            self.cancel(position, ending);
        }
    }

    fn cancel(&mut self, position: usize, ending: Ending) {
        if self.responses[position].ending.is_some() {
            return;
        }
        let mut response = self.responses.remove(position);
        let by_client = ending == Ending::ClientCancelled;
        self.note(What::Cancelled { response: response.id.clone(), by_client });
        let late = response.faults.iter().find_map(FaultKind::deltas_after_cancel);
        match late {
            Some(count) if count > 0 && matches!(response.stage, Stage::Delta(_)) => {
                response.ending = Some((ending, count));
                self.responses.push(response);
            }
            _ => self.finish(response, ending),
        }
    }

    /// Ends a response: closes its open item, sends `response.done`, and starts what follows.
    pub(super) fn finish(&mut self, mut response: Response, ending: Ending) {
        if matches!(response.stage, Stage::Delta(_) | Stage::Close) {
            let quietly = self.script.terse_cancel && ending.status() == "cancelled";
            self.close_item(&mut response, "incomplete", quietly);
        }
        let usage = if matches!(ending, Ending::Failed(_)) { Value::Null } else { self.usage(&response) };
        let body = self.response_json(&response, ending.status(), &ending.details(), &usage);
        self.note(What::ResponseDone { id: response.id.clone(), status: ending.status() });
        if response.faults.contains(&FaultKind::DoneNever) {
            self.troubles.abandoned.push(response.id.clone());
        } else {
            self.emit("response.done", &json!({"response": body}));
        }
        if !response.faults.contains(&FaultKind::NoRateLimits) {
            self.after(self.script.rate_limits_after, Due::RateLimits);
        }
        if response.in_conversation {
            self.wait_for_the_caller();
            // After a response without audio the client may ask for another one.
            let is_mute = response.faults.iter().any(FaultKind::is_without_sound);
            self.rounds.fresh |= is_mute;
            let answers = std::mem::take(&mut self.rounds.answers_caller);
            self.rounds.caller_waits |= answers && (is_mute || ending != Ending::Completed);
            self.rounds.last_end = Some((self.now, ending));
        }
        self.deliver_calls(&response.id);
    }

    /// Forgets a response without telling the client.
    fn abandon(&mut self, response: String) {
        self.troubles.abandoned.push(response);
        (self.rounds.owed, self.rounds.fresh) = (false, true);
        self.rounds.caller_waits |= std::mem::take(&mut self.rounds.answers_caller);
    }

    fn wait_for_the_caller(&mut self) {
        let Some(idle_ms) = self.settings.turn_detection().and_then(|turns| turns.idle_timeout_ms) else {
            return;
        };
        let playing = self.rounds.spoken_until.and_then(|until| until.checked_duration_since(self.now));
        let delay = playing.unwrap_or_default() + Duration::from_millis(idle_ms);
        self.after(delay, Due::Idle(self.ear.stamp));
    }

    pub(super) fn send_rate_limits(&mut self) {
        let remaining = 15_000_000 - 1_000 * u64::from(self.rounds.begun);
        let limit =
            json!({"name": "tokens", "limit": 15_000_000, "remaining": remaining, "reset_seconds": 0.004});
        self.emit("rate_limits.updated", &json!({"rate_limits": [limit]}));
    }

    fn response_json(&self, response: &Response, status: &str, details: &Value, usage: &Value) -> Value {
        let mut body = response.constant.clone();
        let output: Vec<Value> = response.items.iter().map(|id| self.items.json(id)).collect();
        body["status"] = json!(status);
        body["status_details"] = details.clone();
        body["output"] = json!(output);
        body["usage"] = usage.clone();
        body
    }

    /// Estimates the usage by the rules of thumb of §7.1: four characters are a text token, 100 ms of the
    /// caller or 50 ms of the assistant are an audio token, and the whole conversation counts as input again.
    fn usage(&self, response: &Response) -> Value {
        let (mut text_in, mut audio_in) = (self.settings.instructions().len() as u64 / 4, 0);
        let (mut text_out, mut audio_out) = (0, 0);
        let own = |item: &Item| response.items.contains(&item.id);
        for item in self.items.listed().filter(|item| !own(item)) {
            match item.body {
                Body::Turn { ms, .. } => audio_in += ms.div_ceil(100),
                Body::Speech { .. } => {
                    audio_in += item.truncated_ms().unwrap_or(item.audio_ms()).div_ceil(50);
                }
                Body::Text { .. } | Body::Call { .. } | Body::Output { .. } => {
                    text_in += item.text().len() as u64 / 4 + 1;
                }
            }
        }
        for item in self.items.all().filter(|item| own(item)) {
            text_out += item.text().len() as u64 / 4 + 1;
            audio_out += item.audio_ms().div_ceil(50);
        }
        let cached = text_in / 64 * 64;
        json!({
            "total_tokens": text_in + audio_in + text_out + audio_out,
            "input_tokens": text_in + audio_in, "output_tokens": text_out + audio_out,
            "input_token_details": {
                "text_tokens": text_in, "audio_tokens": audio_in, "image_tokens": 0, "cached_tokens": cached,
                "cached_tokens_details": {"text_tokens": cached, "audio_tokens": 0, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
        })
    }

    /// Whether two messages may have crossed on the wire since then.
    fn just_now(&self, then: Instant) -> bool {
        then + self.script.race_grace >= self.now
    }
}

//! The routes of calls in progress: their state, once or as a stream of events, and the commands of a supervisor.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use chrono::{SecondsFormat, Utc};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Interval, MissedTickBehavior, interval};
use utoipa::ToSchema;

use super::Api;
use super::body::{self, json};
use super::call_listing::{CallId, CallPath, TokenCounts, no_such_call};
use super::problem::Problem;
use super::query::{NoQuery, Params};
use crate::call::glance::{Glance, Stage};
use crate::call::transcript::{Speaker, Utterance};
use crate::call::{Turn, Wish};
use crate::exchange::obstacles::Obstacle;
use crate::exchange::readiness::{AsteriskLink, Readiness};
use crate::live::{Board, LiveCall};
use crate::number::{self, CallerNumber};
use crate::registry::Tokens;
use crate::units::MicroUsd;

/// How often a stream sends an event. The calls publish their state at the same interval, so a shorter one would cost
/// CPU time and show nothing new; a longer one would show changes later.
const EVERY: Duration = Duration::from_millis(500);
/// The maximum number of open streams. Each stream reads the state of every call twice a second. A larger value lets
/// clients take more of this thread's time; a smaller one limits how many dashboards can be open.
pub(super) const STREAMS: usize = 64;
/// The response header that makes nginx forward each event at once instead of buffering the answer. Other proxies
/// ignore the header.
const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
/// After this many intervals without news, a stream sends an empty event, that is every 2 s. The dashboard regards a
/// stream as dead after four times as long. A smaller value causes useless traffic; a larger one delays the
/// detection.
const QUIET_TIMES: u32 = 4;

/// What the daemon publishes about itself for the API.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// Whether a caller who arrives now would be served, and the reasons if not.
    pub readiness: watch::Receiver<Readiness>,
    /// The calls in progress.
    pub board: Board,
}

/// A call in progress.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Live {
    /// Asterisk's unique id of the caller's channel.
    #[schema(example = "1795180048.12")]
    id: String,
    /// The id of the call's recording. Null if nothing of the call is recorded.
    recording_id: Option<String>,
    /// The caller's number. Empty if the caller withheld it.
    #[serde(serialize_with = "number::expose")]
    #[schema(value_type = String)]
    caller: CallerNumber,
    /// The number that the caller dialled.
    called: String,
    /// The model that serves the call.
    model: String,
    /// The name of the agent that serves the call.
    agent: String,
    /// The version of this agent: the first hexadecimal digits of the hash of its files. Empty if no files describe the
    /// agent.
    agent_version: String,
    /// When the caller arrived, in UTC.
    #[schema(example = "2025-10-20T14:30:25.123456Z")]
    offered_at: String,
    /// How long the call has lasted, in seconds.
    seconds: f64,
    /// The stage of the conversation: whose turn it is to speak.
    turn: Whose,
    /// Whether the caller is speaking at this moment.
    caller_speaks: bool,
    /// The level of the caller's voice, in decibels relative to full scale (dBFS). Null if the caller is silent.
    caller_dbfs: Option<f32>,
    /// The level of the assistant's voice, in dBFS. Null if the assistant is silent.
    assistant_dbfs: Option<f32>,
    /// The number of answers that the assistant has given.
    turns: u64,
    /// How many times the caller interrupted the assistant.
    interruptions: u64,
    /// The time from the caller's arrival to the first word that the caller heard, in milliseconds. Null until then.
    greeting_ms: Option<u64>,
    /// The last response time, in milliseconds: from the caller's last word to the assistant's first.
    last_turn_ms: Option<u64>,
    /// The median of the call's response times, in milliseconds.
    turn_p50_ms: Option<u64>,
    /// The 95th percentile of the call's response times, in milliseconds.
    turn_p95_ms: Option<u64>,
    /// The tokens that the call has used so far.
    tokens: Option<TokenCounts>,
    /// The cost of the call so far, in US dollars. Null if the cost is unknown.
    cost_usd: Option<f64>,
    /// The latest utterances, oldest first. An event of the stream omits this field if the utterances have not
    /// changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<Vec<Words>>,
}

/// The stage of the conversation in a call.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Whose {
    /// The call is being set up.
    SettingUp,
    /// The assistant listens: it is the caller's turn.
    Listening,
    /// The assistant is preparing its answer.
    Thinking,
    /// The caller hears the assistant.
    Speaking,
    /// The call is ending.
    Ending,
}

impl From<Stage> for Whose {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::SettingUp => Self::SettingUp,
            Stage::Talking(Turn::Listening) => Self::Listening,
            Stage::Talking(Turn::Thinking) => Self::Thinking,
            Stage::Talking(Turn::Speaking) => Self::Speaking,
            Stage::Ending => Self::Ending,
        }
    }
}

/// One utterance of the caller or the assistant.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Words {
    /// The id of the utterance's conversation item.
    item: String,
    /// Who speaks: `user` (the caller) or `assistant`.
    speaker: &'static str,
    /// The transcribed words.
    text: String,
    /// Whether the text is complete.
    r#final: bool,
}

impl From<&Utterance> for Words {
    fn from(utterance: &Utterance) -> Self {
        let (speaker, is_final) = match utterance.speaker {
            Speaker::Caller => ("user", !utterance.awaits_words),
            Speaker::Assistant => ("assistant", utterance.ended.is_some()),
        };
        let text = utterance.text.clone();
        Self { item: utterance.item.to_string(), speaker, text, r#final: is_final }
    }
}

impl Live {
    fn new(call: &LiveCall, glance: &Glance) -> Self {
        let facts = &call.facts;
        let ms = |waited: Duration| waited.as_millis() as u64;
        let latencies = &glance.latencies;
        Self {
            id: facts.id.to_string(),
            recording_id: facts.recording_id.clone(),
            caller: facts.caller.clone(),
            called: facts.called.clone(),
            model: facts.model.clone(),
            agent: facts.agent.clone(),
            agent_version: facts.agent_version.clone(),
            offered_at: facts.offered_at.with_timezone(&Utc).to_rfc3339_opts(SecondsFormat::Micros, true),
            seconds: glance.duration.as_millis() as f64 / 1_000.0,
            turn: glance.stage.into(),
            caller_speaks: glance.caller_speaks,
            caller_dbfs: glance.caller_dbfs,
            assistant_dbfs: glance.assistant_dbfs,
            turns: glance.turns,
            interruptions: glance.counters.barge_ins,
            greeting_ms: latencies.greeting.map(ms),
            last_turn_ms: latencies.answers.last().map(|answer| ms(answer.first_frame)),
            turn_p50_ms: latencies.answer_percentile(50).map(ms),
            turn_p95_ms: latencies.answer_percentile(95).map(ms),
            tokens: glance.bill.as_ref().map(|bill| Tokens::from(bill).into()),
            cost_usd: glance.bill.as_ref().and_then(|bill| bill.cost).map(MicroUsd::usd),
            words: Some(glance.words.iter().map(Words::from).collect()),
        }
    }
}

/// The state of the daemon.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct DaemonState {
    /// The connection to Asterisk: `away` (not connected), `connected`, or `replaced` (another program has taken the
    /// ARI application).
    asterisk: &'static str,
    /// Whether nothing prevents the daemon from serving a caller who arrives now.
    ready: bool,
    /// Everything that prevents it. Empty if `ready` is true.
    reasons: Vec<Obstacle>,
    /// Whether recorded data reaches the disk.
    disk_writing: bool,
    /// Whether neither the cost of a day (`MAX_DAY_COST`) nor that of a call (`MAX_CALL_COST`) is limited.
    spending_unlimited: bool,
    /// Whether the configuration that was last read again has faults, so that the one before is still in force.
    configuration_refused: bool,
    /// The webhook by which OpenAI offers the calls that it answers by SIP: `off`, `listening`, `missing` or `closed`, as in
    /// `/ready`.
    sip_webhook: &'static str,
    /// The maximum number of simultaneous calls (`MAX_CALLS`). Null if the API runs without the daemon.
    max_calls: Option<usize>,
    /// The names of the destinations to which a supervisor may transfer a caller.
    destinations: Vec<String>,
}

/// The calls in progress.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LiveCalls {
    /// The calls, in the order of their arrival.
    calls: Vec<Live>,
    /// The state of the daemon.
    state: DaemonState,
}

/// The data of one event: what has changed since the previous event of the stream.
#[derive(Debug, Serialize)]
struct Changes {
    calls: Vec<Live>,
    gone: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<DaemonState>,
}

impl Api {
    fn board(&self) -> Vec<Arc<LiveCall>> {
        self.daemon().map(|daemon| daemon.board.calls()).unwrap_or_default()
    }

    fn standing(&self) -> DaemonState {
        let readiness = self.readiness();
        let reasons = super::ready::reasons(self);
        DaemonState {
            asterisk: match readiness.as_ref().map(|now| now.asterisk).unwrap_or_default() {
                AsteriskLink::Away => "away",
                AsteriskLink::Connected => "connected",
                AsteriskLink::ApplicationReplaced => "replaced",
            },
            ready: reasons.is_empty(),
            spending_unlimited: readiness.as_ref().is_some_and(|now| now.spending_unlimited),
            configuration_refused: readiness.as_ref().is_some_and(|now| now.configuration_refused),
            sip_webhook: super::ready::webhook(self).code(),
            max_calls: readiness.as_ref().map(|now| now.max_calls),
            destinations: readiness.map(|now| now.destinations).unwrap_or_default().to_vec(),
            disk_writing: super::ready::disk_is_writing(self),
            reasons,
        }
    }
}

/// Lists the calls in progress.
#[utoipa::path(
    get, path = "/calls/live", operation_id = "list_live_calls", tag = "calls",
    responses((status = 200, description = "The calls in progress and the state of the daemon", body = LiveCalls))
)]
pub(super) async fn list(
    State(api): State<Api>,
    Params(NoQuery {}): Params<NoQuery>,
) -> Result<Response, Problem> {
    let calls = api.board().iter().map(|call| Live::new(call, &call.glance())).collect();
    Ok(json(&LiveCalls { calls, state: api.standing() }))
}

/// Streams the calls in progress as server-sent events.
///
/// All events are named `live`. The first event holds everything. After it, the server sends the changes twice a
/// second: `calls` (with `words` only if there are new ones), `gone` (the ids of the calls that have ended) and
/// `state`. If nothing changes, an empty event follows every two seconds. The stream ends when the daemon stops. If
/// the API runs without the daemon, the stream ends after the first event.
#[utoipa::path(
    get, path = "/calls/live/events", operation_id = "watch_live_calls", tag = "calls",
    responses(
        (
            status = 200,
            description = "Server-sent events. The data of each event is JSON with `calls` (as in `/calls/live`), `gone` and `state`",
            body = String, content_type = "text/event-stream"
        ),
        (status = 503, description = "Too many streams of events are open"),
    )
)]
pub(super) async fn events(
    State(api): State<Api>,
    Params(NoQuery {}): Params<NoQuery>,
) -> Result<Response, Problem> {
    let permit = Arc::clone(&api.1).try_acquire_owned().map_err(|_| {
        let detail =
            format!("{STREAMS} streams of events are open already; GET /calls/live tells the same once");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", detail)
            .with(header::RETRY_AFTER, HeaderValue::from_static("30"))
    })?;
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watcher = Watcher { api, every, shown: HashMap::new(), state: None, _permit: permit };
    let news = stream::unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await?;
        Some((Ok::<_, Infallible>(event), watcher))
    });
    Ok(([UNBUFFERED], Sse::new(news)).into_response())
}

/// One open stream, with what the client has been told so far.
struct Watcher {
    api: Api,
    _permit: OwnedSemaphorePermit,
    every: Interval,
    shown: HashMap<String, Arc<[Utterance]>>,
    state: Option<DaemonState>,
}

impl Watcher {
    /// Waits for the next event. `None` means that the daemon has stopped.
    async fn next(&mut self) -> Option<Event> {
        let is_first = self.state.is_none();
        let mut quiet = 0;
        loop {
            self.every.tick().await;
            let is_over = self.api.daemon().is_none_or(|daemon| daemon.readiness.has_changed().is_err());
            if is_over && !is_first {
                return None;
            }
            let news = self.news();
            let is_new = is_first || news.state.is_some() || !news.calls.is_empty() || !news.gone.is_empty();
            quiet += 1;
            if is_new || quiet == QUIET_TIMES {
                let data = serde_json::to_string(&news).unwrap_or_default();
                return Some(Event::default().event("live").data(data));
            }
        }
    }

    fn news(&mut self) -> Changes {
        let mut before = std::mem::take(&mut self.shown);
        let mut calls = Vec::new();
        for call in self.api.board() {
            let glance = call.glance();
            let mut live = Live::new(&call, &glance);
            let known = before.remove(&live.id);
            if known.is_some_and(|words| Arc::ptr_eq(&words, &glance.words)) {
                live.words = None;
            }
            self.shown.insert(live.id.clone(), Arc::clone(&glance.words));
            calls.push(live);
        }
        let state = Some(self.api.standing()).filter(|state| self.state.as_ref() != Some(state));
        self.state = state.clone().or(self.state.take());
        Changes { calls, gone: before.into_keys().collect(), state }
    }
}

/// Hangs up a call at once, even in the middle of a word.
#[utoipa::path(
    post, path = "/calls/{id}/hangup", operation_id = "hang_up_call", tag = "calls", params(CallPath),
    responses(
        (status = 202, description = "The call is being ended"),
        (status = 404, description = "There is no such call, or it has ended"),
        (status = 503, description = "The call does not accept commands: it is about to end, or it hangs"),
    )
)]
pub(super) async fn hang_up(
    State(api): State<Api>,
    CallId(id): CallId,
    Params(NoQuery {}): Params<NoQuery>,
) -> Result<StatusCode, Problem> {
    ask(&*live(&api, &id)?, Wish::HangUp)
}

/// The body of a request to transfer a call.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HandOver {
    /// The name of a destination from `TRANSFER_DESTINATIONS`.
    #[schema(example = "ventas")]
    destination: String,
}

/// Transfers the caller to a configured destination of the dialplan at once, even in the middle of a word.
#[utoipa::path(
    post, path = "/calls/{id}/transfer", operation_id = "transfer_call", tag = "calls", params(CallPath), request_body = HandOver,
    responses(
        (status = 202, description = "The call is being transferred"),
        (status = 400, description = "The body is not the expected JSON"),
        (status = 404, description = "There is no such call, or it has ended"),
        (status = 422, description = "There is no such destination"),
        (status = 503, description = "The call does not accept commands: it is about to end, or it hangs"),
    )
)]
pub(super) async fn transfer(
    State(api): State<Api>,
    CallId(id): CallId,
    Params(NoQuery {}): Params<NoQuery>,
    body: Body,
) -> Result<StatusCode, Problem> {
    let wanted = body::read::<HandOver>(body).await.ok_or_else(|| {
        Problem::new(StatusCode::BAD_REQUEST, "bad_body", r#"send {"destination": "NAME"}"#)
    })?;
    let call = live(&api, &id)?;
    let mut known = call.facts.destinations.iter();
    let destination = known.find(|known| known.name == wanted.destination).cloned().ok_or_else(|| {
        let detail = "TRANSFER_DESTINATIONS names no such destination";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "no_such_destination", detail)
    })?;
    ask(&call, Wish::HandOver(destination))
}

fn live(api: &Api, id: &str) -> Result<Arc<LiveCall>, Problem> {
    api.daemon().and_then(|daemon| daemon.board.find(id)).ok_or_else(no_such_call)
}

fn ask(call: &LiveCall, wish: Wish) -> Result<StatusCode, Problem> {
    let is_taken = call.ask(wish);
    is_taken.then_some(StatusCode::ACCEPTED).ok_or_else(|| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "call_does_not_listen", "it is about to end, or hangs")
    })
}

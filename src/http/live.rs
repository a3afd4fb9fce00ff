//! The routes of live calls: what they do at this moment, once or as a stream of events, and a supervisor's wishes.

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
use super::body;
use super::call_listing::{CallId, CallPath, TokenCounts, no_such_call, usd};
use super::listing::{NoQuery, Params};
use super::problem::Problem;
use super::ready::{AsteriskLink, Obstacle, Readiness};
use super::recordings::json;
use crate::call::glance::{Glance, Stage};
use crate::call::transcript::{Speaker, Utterance};
use crate::call::{Turn, Wish};
use crate::live::{Board, LiveCall};
use crate::registry::Tokens;

/// How often whoever watches is told. Calls show themselves as often; more often is a cost nobody sees.
const EVERY: Duration = Duration::from_millis(500);
/// Streams at once; each costs a glance at every call twice a second. More would let one reader take the time of all.
pub(super) const STREAMS: usize = 64;
/// What nginx reads of an answer: with it, events pass as they come. Other proxies do not know it.
const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
/// After so many times with nothing new an empty event is sent: a sign of life, every 2 s. A page takes a stream that is
/// silent for four times as long for dead; fewer is traffic for nothing.
const QUIET_TIMES: u32 = 4;

/// What the daemon shows of itself to the API.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// Whether it would serve a caller.
    pub readiness: watch::Receiver<Readiness>,
    /// Its calls.
    pub board: Board,
}

/// A call that runs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Live {
    /// Asterisk's unique id of the caller's channel.
    #[schema(example = "1795180048.12")]
    id: String,
    /// Its recording; null if nothing of it is recorded.
    recording_id: Option<String>,
    /// The caller's number; empty if withheld.
    caller: String,
    /// The number dialled.
    called: String,
    /// The model.
    model: String,
    /// The agent.
    agent: String,
    /// When the caller came, UTC.
    #[schema(example = "2025-10-20T14:30:25.123456Z")]
    offered_at: String,
    /// How long it has lasted.
    seconds: f64,
    /// Whose turn it is.
    turn: Whose,
    /// Whether the caller speaks at this moment.
    caller_speaks: bool,
    /// How loud the caller is, decibels below full scale; null: silent.
    caller_dbfs: Option<f32>,
    /// How loud the assistant is.
    assistant_dbfs: Option<f32>,
    /// Answers of the assistant.
    turns: u64,
    /// How often the caller cut it off.
    interruptions: u64,
    /// From the caller's arrival to the first word.
    greeting_ms: Option<u64>,
    /// From the caller's last word to the assistant's first: the last time.
    last_turn_ms: Option<u64>,
    /// The same, the median of the call.
    turn_p50_ms: Option<u64>,
    /// The same: 95 of 100 were no longer.
    turn_p95_ms: Option<u64>,
    /// What it has used of the model so far.
    tokens: Option<TokenCounts>,
    /// What that costs; null where it is not known.
    cost_usd: Option<f64>,
    /// The last words, in order. Left out of an event where they have not changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<Vec<Words>>,
}

/// Whose turn it is in a call.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Whose {
    /// Nobody's yet.
    SettingUp,
    /// The caller's.
    Listening,
    /// The assistant prepares its answer.
    Thinking,
    /// The caller hears the assistant.
    Speaking,
    /// Nobody's any more.
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

/// What somebody said.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Words {
    /// Which utterance it is.
    item: String,
    /// `user` or `assistant`.
    speaker: &'static str,
    /// The words.
    text: String,
    /// Whether they are all there.
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
            cost_usd: glance.bill.as_ref().and_then(|bill| bill.cost).map(|micro| usd(micro as i64)),
            words: Some(glance.words.iter().map(Words::from).collect()),
        }
    }
}

/// How the daemon stands.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct DaemonState {
    /// How it stands to Asterisk.
    asterisk: &'static str,
    /// Whether a caller who came now would be served.
    ready: bool,
    /// What is in the way.
    reasons: Vec<Obstacle>,
    /// Whether what is recorded reaches the disk.
    disk_writing: bool,
    /// Neither what a day nor what a call may cost is limited (`MAX_DAY_COST`, `MAX_CALL_COST`).
    spending_unlimited: bool,
    /// How many calls there may be at once; null: there is no daemon.
    max_calls: Option<usize>,
    /// Where a supervisor may send a caller.
    destinations: Vec<String>,
}

/// The calls that run.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LiveCalls {
    /// They, those first that came first.
    calls: Vec<Live>,
    /// How the daemon stands.
    state: DaemonState,
}

/// What has changed.
#[derive(Debug, Serialize)]
struct News {
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
                AsteriskLink::Replaced => "replaced",
            },
            ready: reasons.is_empty(),
            spending_unlimited: readiness.as_ref().is_some_and(|now| now.spending_unlimited),
            max_calls: readiness.as_ref().map(|now| now.max_calls),
            destinations: readiness.map(|now| now.destinations).unwrap_or_default().to_vec(),
            disk_writing: !reasons.contains(&Obstacle::DiskFailing),
            reasons,
        }
    }
}

/// The calls that run at this moment.
#[utoipa::path(
    get, path = "/calls/live", operation_id = "list_live_calls", tag = "calls",
    responses((status = 200, description = "They", body = LiveCalls))
)]
pub(super) async fn list(
    State(api): State<Api>,
    Params(NoQuery {}): Params<NoQuery>,
) -> Result<Response, Problem> {
    let calls = api.board().iter().map(|call| Live::new(call, &call.glance())).collect();
    Ok(json(&LiveCalls { calls, state: api.standing() }))
}

/// The same as a stream: an event `live` with everything, then twice a second one with what has changed: `calls` (`words`
/// only where there are new ones), `gone` (ids), `state`. Where nothing changes, an empty one comes every two seconds. The
/// stream ends with the daemon; where there is none, with the first event.
#[utoipa::path(
    get, path = "/calls/live/events", operation_id = "watch_live_calls", tag = "calls",
    responses(
        (
            status = 200,
            description = "Server-sent events. The data of each is JSON: `calls` as in `/calls/live`, `gone`, `state`",
            body = String, content_type = "text/event-stream"
        ),
        (status = 503, description = "There are too many streams", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn events(
    State(api): State<Api>,
    Params(NoQuery {}): Params<NoQuery>,
) -> Result<Response, Problem> {
    let room = Arc::clone(&api.1).try_acquire_owned().map_err(|_| {
        let detail =
            format!("{STREAMS} streams of events are open already; GET /calls/live tells the same once");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", detail)
            .with(header::RETRY_AFTER, HeaderValue::from_static("30"))
    })?;
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watcher = Watcher { api, every, shown: HashMap::new(), state: None, _room: room };
    let news = stream::unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await?;
        Some((Ok::<_, Infallible>(event), watcher))
    });
    Ok(([UNBUFFERED], Sse::new(news)).into_response())
}

/// Somebody who watches, and what they have been told.
struct Watcher {
    api: Api,
    _room: OwnedSemaphorePermit,
    every: Interval,
    shown: HashMap<String, Arc<[Utterance]>>,
    state: Option<DaemonState>,
}

impl Watcher {
    /// The next event; None: the daemon ends.
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

    fn news(&mut self) -> News {
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
        News { calls, gone: before.into_keys().collect(), state }
    }
}

/// Hangs up, in the middle of a word.
#[utoipa::path(
    post, path = "/calls/{id}/hangup", operation_id = "hang_up_call", tag = "calls", params(CallPath),
    responses(
        (status = 202, description = "It is being ended"),
        (status = 404, description = "There is no such call, or it is over", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The call does not listen", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn hang_up(
    State(api): State<Api>,
    CallId(id): CallId,
    Params(NoQuery {}): Params<NoQuery>,
) -> Result<StatusCode, Problem> {
    ask(&*live(&api, &id)?, Wish::HangUp)
}

/// Where a caller is to go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HandOver {
    /// The name of a destination (`TRANSFER_DESTINATIONS`).
    #[schema(example = "ventas")]
    destination: String,
}

/// Hands the caller over, in the middle of a word: he goes on in the dialplan, at a configured destination.
#[utoipa::path(
    post, path = "/calls/{id}/transfer", operation_id = "transfer_call", tag = "calls", params(CallPath), request_body = HandOver,
    responses(
        (status = 202, description = "He is on his way"),
        (status = 400, description = "The body is no such JSON", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such call, or it is over", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "There is no such destination", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The call does not listen", body = Problem, content_type = "application/problem+json"),
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

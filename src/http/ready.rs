//! `/ready`: whether the assistant would serve a caller who arrives now. Monitors may read it without a token, so the
//! answer contains nothing about any person.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::json;
use super::query::{NoQuery, Params};
use super::{Api, Problem};
use crate::exchange::Webhook;
use crate::exchange::obstacles::{Obstacle, obstacles};

/// A fault with which callers are still served, so that it does not make the daemon not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Warning {
    /// Recorded data does not reach the disk. `/health` answers 503 meanwhile.
    DiskFailing,
    /// The configuration that was last read again (SIGHUP) has faults. The one before is in force until a restart, which would
    /// fail. `journalctl` names the faults, as do `openai-inbound-calls config` and `agents check`.
    ConfigurationRefused,
    /// The call log does not tell what today's calls before the start of the daemon have cost: until it does, they do not count
    /// against `MAX_DAY_COST` and the `max_day_cost` of agents.
    SpentEarlierUnknown,
    /// A call was dialled to OpenAI by SIP, and no webhook has come for it or since.
    WebhookMissing,
    /// Webhooks have been refused since one was right, because their signature or their time is not right: `OPENAI_WEBHOOK_SECRET`, or
    /// the clock of this machine, may be wrong.
    WebhookRefused,
    /// The webhook of OpenAI does not listen: calls that OpenAI answers by SIP are not taken. If its port is taken, that is tried
    /// again until it is free.
    WebhookClosed,
    /// The webhook has refused requests that could be OpenAI's within the last ten minutes, because one client sent too many. Behind a
    /// reverse proxy that is not in `API_TRUSTED_PROXIES` all clients are one.
    WebhookCrowded,
}

/// The readiness of the daemon.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "clients know the field by this name")]
pub struct Ready {
    /// Whether nothing prevents the daemon from serving a caller who arrives now.
    ready: bool,
    /// Everything that prevents it. Empty if `ready` is true.
    reasons: Vec<Obstacle>,
    /// The faults with which callers are still served. They do not change `ready`.
    warnings: Vec<Warning>,
    /// The webhook by which OpenAI offers the calls that it answers by SIP: `off` (such calls are not taken), `listening`,
    /// `missing` (a call was dialled to OpenAI, and no webhook has come since) or `closed`.
    #[schema(example = "listening")]
    sip_webhook: &'static str,
}

/// Reports whether a caller who arrives now would be served.
#[utoipa::path(
    get, path = "/ready", operation_id = "get_readiness", tag = "daemon", security(()),
    responses(
        (status = 200, description = "A caller who arrives now would be served; `warnings` names faults that do not prevent it", body = Ready),
        (status = 503, description = "Something prevents the daemon from serving callers; `reasons` says what", body = Ready),
    )
)]
pub(super) async fn ready(
    State(api): State<Api>,
    Params(NoQuery {}): Params<NoQuery>,
) -> Result<Response, Problem> {
    let reasons = reasons(&api);
    let ready = reasons.is_empty();
    let sip_webhook = webhook(&api).code();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((code, json(&Ready { ready, reasons, warnings: warnings(&api), sip_webhook })).into_response())
}

/// Everything that prevents the daemon from serving a caller who arrives now.
pub(super) fn reasons(api: &Api) -> Vec<Obstacle> {
    api.readiness().map_or_else(|| vec![Obstacle::NoDaemon], |now| obstacles(&now, api.now()))
}

fn warnings(api: &Api) -> Vec<Warning> {
    let disk = (!disk_is_writing(api)).then_some(Warning::DiskFailing);
    let is_refused = api.readiness().is_some_and(|now| now.configuration_refused);
    let refused = is_refused.then_some(Warning::ConfigurationRefused);
    let is_unknown = api.readiness().is_some_and(|now| now.spent_earlier_unknown);
    let unknown = is_unknown.then_some(Warning::SpentEarlierUnknown);
    let is_crowded = api.readiness().is_some_and(|now| now.webhook_crowded);
    let crowded = is_crowded.then_some(Warning::WebhookCrowded);
    let webhook = match webhook(api) {
        Webhook::Off | Webhook::Listening => None,
        Webhook::Missing => Some(Warning::WebhookMissing),
        Webhook::Closed => Some(Warning::WebhookClosed),
    };
    let unsigned = api.readiness().is_some_and(|now| now.webhooks_refused);
    let unsigned = unsigned.then_some(Warning::WebhookRefused);
    disk.into_iter().chain(refused).chain(unknown).chain(webhook).chain(unsigned).chain(crowded).collect()
}

/// How the webhook of OpenAI stands. `Off` if the API runs without the daemon.
pub(super) fn webhook(api: &Api) -> Webhook {
    api.readiness().map_or(Webhook::Off, |now| now.webhook)
}

/// Whether recorded data reaches the disk. True also if the API runs without the daemon.
pub(super) fn disk_is_writing(api: &Api) -> bool {
    api.recorder().is_none_or(|recorder| recorder.writing)
}

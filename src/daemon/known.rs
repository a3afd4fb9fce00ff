//! What is known of a call when it begins, for its agent: the time, the caller, and the arguments of the dialplan.

use chrono::{DateTime, Datelike as _, Days, FixedOffset};
use serde_json::{Map, Value, json};

use super::tools::Knowledge;
use crate::ari::event::Arguments;
use crate::call::Known;
use crate::clock::zone;
use crate::config::AgentConfig;
use crate::number::CallerName;
use crate::operator::{Language, weekday};
use crate::registry::Row;

/// What the call is told, and what its tools need. The environment's agent is told nothing.
pub fn known(
    agent: Option<&AgentConfig>,
    row: &Row,
    caller_name: &CallerName,
    arguments: Arguments,
    now: DateTime<FixedOffset>,
    language: Language,
) -> (Known, Knowledge) {
    let call = json!({
        "id": row.call_id,
        "caller": row.caller.expose(),
        "caller_name": caller_name.expose(),
        "called": row.called,
        "agent": row.agent,
        "now": now.to_rfc3339(),
    });
    let vars: Value = arguments.others(&["agent", "did"]).collect();
    let Some(agent) = agent else {
        let known = Known::default();
        return (known, Knowledge { call, vars, ..Knowledge::default() });
    };
    let known = Known {
        told: told(row, now, language),
        call: call.clone(),
        vars: vars.clone(),
        lookups: agent.lookups.iter().map(|lookup| (lookup.name.clone(), lookup.patience)).collect(),
    };
    (known, Knowledge { call, vars, secrets: agent.secrets.clone(), ..Knowledge::default() })
}

/// The facts that the model is told.
fn told(row: &Row, now: DateTime<FixedOffset>, language: Language) -> Map<String, Value> {
    let day = weekday(language, now.weekday());
    let tomorrow = now.date_naive().checked_add_days(Days::new(1));
    let mut told = Map::new();
    told.insert("now".into(), format!("{day} {} {}", now.format("%Y-%m-%d %H:%M"), zone(now)).into());
    told.extend(tomorrow.map(|day| ("tomorrow".to_owned(), day.to_string().into())));
    if !row.caller.expose().is_empty() {
        told.insert("caller".into(), row.caller.expose().into());
    }
    told
}

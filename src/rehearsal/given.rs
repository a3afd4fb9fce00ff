//! The values of the call that a rehearsal pretends: those that were given on the command line, and example values for the others.

use chrono::{DateTime, FixedOffset};
use clap::Args;
use serde_json::{Map, Value, json};

use crate::ari::event::Arguments;
use crate::call::Known;
use crate::config::AgentConfig;
use crate::daemon::known::known;
use crate::daemon::tools::Knowledge;
use crate::number::CallerName;
use crate::operator::Language;
use crate::registry::Row;

/// The caller's number, if none is given.
const CALLER: &str = "3001234567";
/// The dialled number, if none is given and the agent has none.
const CALLED: &str = "100";
/// The names of `call` that can be given.
const NAMES: [&str; 4] = ["id", "caller", "caller_name", "called"];

/// Values of the call.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Given {
    /// A value of `call` in place of an example value, for example caller=3001234567. Names: id, caller, caller_name, called.
    #[arg(long, value_name = "NAME=VALUE", value_parser = of_call)]
    call: Vec<(String, String)>,
    /// A value of `vars`, which the dialplan would give.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    vars: Vec<(String, String)>,
    /// A value of `lookup` as JSON, for example customer='{"id":7}', in place of this look-up.
    #[arg(long, value_name = "NAME=JSON", value_parser = of_lookup)]
    lookup: Vec<(String, Value)>,
}

/// Splits NAME=VALUE.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("the form is NAME=VALUE")?;
    if name.is_empty() {
        Err("the name is empty".to_owned())
    } else {
        Ok((name.to_owned(), value.to_owned()))
    }
}

fn of_call(text: &str) -> Result<(String, String), String> {
    let (name, value) = pair(text)?;
    if NAMES.contains(&name.as_str()) {
        Ok((name, value))
    } else {
        Err(format!("there are: {}", NAMES.join(", ")))
    }
}

fn of_lookup(text: &str) -> Result<(String, Value), String> {
    let (name, value) = pair(text)?;
    let value = serde_json::from_str(&value).map_err(|error| format!("the value is not JSON: {error}"))?;
    Ok((name, value))
}

/// The values of a call that is pretended.
pub(super) struct Values {
    pub(super) call: Value,
    pub(super) vars: Value,
    pub(super) lookup: Map<String, Value>,
    /// What the call is told, and its look-ups.
    pub(super) known: Known,
    pub(super) knowledge: Knowledge,
    /// When it begins.
    pub(super) at: DateTime<FixedOffset>,
    /// The names of `call` that have example values.
    pub(super) examples: Vec<&'static str>,
}

impl Values {
    /// The values for a call of this agent. `None`: the agent that the environment describes.
    pub(super) fn new(
        given: &Given,
        (name, agent): (&str, Option<&AgentConfig>),
        now: DateTime<FixedOffset>,
        language: Language,
    ) -> Self {
        let of = |name: &str| {
            let found = given.call.iter().rev().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        };
        let id = of("id").unwrap_or_else(|| format!("rehearsal-{}", now.timestamp_micros()));
        let row = Row {
            call_id: id,
            caller: of("caller").unwrap_or_else(|| CALLER.to_owned()).as_str().into(),
            called: of("called").unwrap_or_else(|| CALLED.to_owned()),
            agent: name.to_owned(),
            ..Row::default()
        };
        let caller_name = CallerName::from(of("caller_name").unwrap_or_default());
        let (mut known, mut knowledge) =
            known(agent, &row, &caller_name, Arguments::default(), now, language);
        let vars: Map<String, Value> =
            given.vars.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        knowledge.vars = Value::Object(vars);
        (known.call, known.vars) = (knowledge.call.clone(), knowledge.vars.clone());
        Self {
            call: knowledge.call.clone(),
            vars: knowledge.vars.clone(),
            lookup: given.lookup.iter().cloned().collect(),
            known,
            knowledge,
            at: now,
            examples: NAMES.into_iter().filter(|name| *name != "caller_name" && of(name).is_none()).collect(),
        }
    }

    /// The example values, as they are told before they are used.
    pub(super) fn told_examples(&self) -> String {
        let one = |name: &&str| format!("call.{name} = {}", self.call[*name]);
        self.examples.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// `lookup` for templates.
    pub(super) fn lookups(&self) -> Value {
        json!(self.lookup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_takes_the_place_of_examples_and_wrong_values_are_refused() {
        assert_eq!(of_call("caller=1=2"), Ok(("caller".to_owned(), "1=2".to_owned())));
        assert!(of_call("agent=citas").is_err_and(|error| error.contains("caller_name")));
        assert!(pair("=x").is_err() && pair("x").is_err());
        assert_eq!(of_lookup(r#"customer={"id":7}"#), Ok(("customer".to_owned(), json!({"id": 7}))));
        assert!(of_lookup("customer={id:7}").is_err());

        let now = "2026-12-01T14:05:00-05:00".parse().expect("a time");
        let given = Given {
            call: vec![("caller".into(), "311".into()), ("caller_name".into(), "Ana".into())],
            vars: vec![("queue".into(), "7".into())],
            lookup: vec![("customer".into(), json!({"id": 7}))],
        };
        let values = Values::new(&given, ("citas", None), now, Language::English);
        assert_eq!(values.examples, ["id", "called"]);
        assert_eq!((&values.call["caller"], &values.call["caller_name"]), (&json!("311"), &json!("Ana")));
        assert_eq!((&values.call["called"], &values.call["agent"]), (&json!("100"), &json!("citas")));
        assert_eq!(
            (values.vars.clone(), values.lookups()),
            (json!({"queue": "7"}), json!({"customer": {"id": 7}}))
        );
        assert!(values.told_examples().contains("call.called = \"100\""), "{}", values.told_examples());
    }
}

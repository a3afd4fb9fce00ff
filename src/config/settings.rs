//! Every variable with its value in force, as far as it may be shown, and with the origin of the value.
//!
//! A value is hidden if it may contain a secret: passwords and keys always, and any other value that repeats one of
//! them. The parts of tokens and of a database's address that are not secret are shown.

use super::archive::{self, Database, Role};
use super::assemble::Assembled;
use super::load::Sources;
use super::problem::Problem;
use super::secrecy;
use super::variables::{VARIABLES, Variable};
use crate::operator::{Origin, Place};

/// The text that replaces a hidden part.
const MASK: &str = "…";

/// A variable with its value in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The variable.
    pub variable: &'static Variable,
    /// The value as written, or the completed or replaced value that is used instead.
    pub value: Shown,
    /// Where the value comes from.
    pub origin: Origin,
    /// Whether the daemon can use the value.
    pub is_valid: bool,
}

/// What may be shown of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The whole value.
    Whole(String),
    /// The value without the secrets in it.
    Masked(String),
    /// Nothing.
    Hidden,
    /// There is no value: a required variable is not set.
    Missing,
    /// There is no value: the line or the text cannot be read.
    Unreadable,
}

/// All variables, in the order of the table.
pub(super) fn settings(sources: &Sources<'_>, assembled: &Assembled) -> Vec<Setting> {
    VARIABLES.iter().map(|variable| setting(variable, sources, assembled)).collect()
}

fn setting(variable: &'static Variable, sources: &Sources<'_>, assembled: &Assembled) -> Setting {
    let name = variable.name;
    let place = sources.place(name);
    let is_set_by_file = matches!(place, Some(Place::File { .. }));
    let is_malformed = is_set_by_file && names(&sources.file.problems, name);
    let origin = match place {
        None => Origin::Default,
        Some(place) if is_malformed => Origin::Set(place),
        Some(place) => {
            let is_empty = sources.value(name).is_none_or(|value| value.trim().is_empty());
            let has_other = assembled.in_force.get(name).is_some_and(|value| !value.is_empty());
            if is_empty && has_other { Origin::Emptied(place) } else { Origin::Set(place) }
        }
    };
    let is_valid = !is_malformed && !names(&assembled.problems, name);
    let value = match assembled.in_force.get(name) {
        _ if is_malformed => Shown::Unreadable,
        None if is_missing(&assembled.problems, name) => Shown::Missing,
        None => Shown::Unreadable,
        Some(text) if !matches!(origin, Origin::Set(_)) => Shown::Whole(text.clone()),
        Some(text) => shown(variable, text, is_valid, sources),
    };
    Setting { variable, value, origin, is_valid }
}

fn names(problems: &[Problem], name: &str) -> bool {
    problems.iter().any(|problem| problem.variable() == Some(name))
}

fn is_missing(problems: &[Problem], name: &str) -> bool {
    problems.iter().any(|problem| matches!(problem, Problem::Missing { variable } if *variable == name))
}

/// What may be shown of a value that the operator has set.
fn shown(variable: &Variable, text: &str, is_valid: bool, sources: &Sources<'_>) -> Shown {
    let variables = |name: &str| sources.value(name);
    match variable.name {
        "DATABASE_URL" => database(text, &variables),
        "API_TOKEN" => tokens(text),
        _ if variable.secret => Shown::Hidden,
        _ if !is_valid && secrecy::may_hold_secret(text, &variables) => Shown::Hidden,
        _ if secrecy::repeats_a_secret(text, &variables) => Shown::Hidden,
        "OPENAI_REALTIME_URL" => address(text),
        _ if secrecy::holds_key(text) => Shown::Hidden,
        _ if holds_login(text) => Shown::Hidden,
        _ => Shown::Whole(text.to_owned()),
    }
}

/// Shows the address of the database without the user and the password.
fn database(text: &str, variables: &dyn Fn(&str) -> Option<String>) -> Shown {
    let others = |name: &str| if name == "DATABASE_URL" { None } else { variables(name) };
    match archive::database(text) {
        Some(Database::Here) => Shown::Whole(String::new()),
        Some(Database::File(_)) if secrecy::holds_key(text) || secrecy::repeats_a_secret(text, &others) => {
            Shown::Hidden
        }
        Some(Database::File(_)) => Shown::Whole(text.trim().to_owned()),
        Some(Database::Server(server)) => Shown::Masked(format!("mysql://{MASK}@{server}")),
        None => Shown::Hidden,
    }
}

/// Shows the roles and names of the tokens.
fn tokens(text: &str) -> Shown {
    match archive::tokens(text) {
        Some(tokens) if tokens.is_empty() => Shown::Whole(String::new()),
        Some(tokens) => {
            let one = |token: archive::ApiToken| {
                let role = match token.role {
                    Role::Full => "full",
                    Role::Reader => "reader",
                };
                format!("{role}/{}:{MASK}", token.name)
            };
            Shown::Masked(tokens.into_iter().map(one).collect::<Vec<_>>().join(","))
        }
        None => Shown::Hidden,
    }
}

/// Shows the address of the model's server. Servers other than OpenAI's take keys in the query or in the path.
fn address(text: &str) -> Shown {
    const PLAIN: [&str; 4] = ["api-version", "deployment", "intent", "model"];
    let (place, query) = text.split_once('?').map_or((text, None), |(place, query)| (place, Some(query)));
    let (scheme, rest) = place.split_once("://").unwrap_or(("", place));
    let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
    let mut shown = format!("{scheme}://{host}");
    for part in path.into_iter().flat_map(|path| path.split('/')) {
        shown.push('/');
        shown.push_str(if secrecy::looks_random(part) { MASK } else { part });
    }
    let pairs = query.into_iter().flat_map(|query| query.split('&')).map(|pair| match pair.split_once('=') {
        Some((name, value)) if PLAIN.contains(&name) && !secrecy::looks_random(value) => pair.to_owned(),
        Some((name, _)) if !secrecy::looks_random(name) => format!("{name}={MASK}"),
        _ => MASK.to_owned(),
    });
    for (index, pair) in pairs.enumerate() {
        shown.push(if index == 0 { '?' } else { '&' });
        shown.push_str(&pair);
    }
    if shown == text { Shown::Whole(shown) } else { Shown::Masked(shown) }
}

/// Whether the text contains an address with a user.
fn holds_login(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let authority = rest.split(|c: char| c == '/' || c.is_whitespace()).next().unwrap_or_default();
        authority.contains('@')
    })
}

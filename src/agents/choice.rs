//! The choice of the agent for a call.

use std::sync::Arc;

use chrono::NaiveDateTime;

use super::DEFAULT;
use super::hours::{Holiday, OpeningHours};
use super::pattern::Pattern;

/// What the choice needs to know of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: Arc<str>,
    /// The dialled numbers for which this agent is responsible.
    pub numbers: Vec<Pattern>,
    /// When this agent does not take calls. `None`: the agent always takes calls.
    pub closed: Option<Closed>,
}

/// When an agent does not take calls, and who does instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// When the agent takes calls, apart from holidays. Without any line: at all times.
    pub hours: Vec<OpeningHours>,
    /// The days on which the agent takes no calls.
    pub holidays: Vec<Holiday>,
    /// The agent that takes the calls instead. That agent is never closed.
    pub instead: Arc<str>,
}

/// All agents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roster {
    entries: Vec<Entry>,
}

/// Two agents are responsible for the same number, and none of their patterns is more specific.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The name of the second agent, and the position of its pattern.
    pub second: (Arc<str>, usize),
    /// The name of the first agent, and its pattern.
    pub first: (Arc<str>, Pattern),
}

/// What is known about a caller before the choice.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The agent that the dialplan names as an argument: `Stasis(openai-app,agent=NAME)`.
    pub argument: Option<&'a str>,
    /// The value of the channel variable `AI_AGENT`, if Asterisk tells it.
    pub variable: Option<&'a str>,
    /// The dialled number: the argument `did=`, or else the extension.
    pub dialled: &'a str,
    /// The machine's local time.
    pub at: NaiveDateTime,
}

/// The agent that takes a call, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The name of the agent.
    pub name: Arc<str>,
    /// Why this agent, or the agent that it stands in for, was chosen.
    pub why: Why,
    /// The agent that is closed at this time and that this agent stands in for.
    pub instead_of: Option<Arc<str>>,
}

/// Why an agent was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The dialplan names the agent as an argument of `Stasis()`.
    Argument,
    /// The channel variable `AI_AGENT` names the agent.
    Variable,
    /// The agent is responsible for the dialled number by this pattern.
    Number(Pattern),
    /// Nothing else applies.
    Default,
}

/// The dialplan names an agent that does not exist. No other agent is guessed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no agent {0:?}")]
pub struct UnknownAgent(pub String);

impl Roster {
    /// Makes the roster of these agents, whose names all differ.
    ///
    /// # Errors
    /// Two agents are responsible for the same number. All such conflicts are returned.
    pub fn new(entries: Vec<Entry>) -> Result<Self, Vec<Conflict>> {
        let all: Vec<_> = entries
            .iter()
            .flat_map(|entry| entry.numbers.iter().enumerate().map(move |(at, pattern)| (entry, at, pattern)))
            .collect();
        let conflict = |index: usize| {
            let (entry, at, pattern) = &all[index];
            let (first, _, taken) =
                all[..index].iter().find(|(_, _, earlier)| earlier.conflicts_with(pattern))?;
            let (second, first) =
                ((Arc::clone(&entry.name), *at), (Arc::clone(&first.name), (*taken).clone()));
            Some(Conflict { second, first })
        };
        let conflicts: Vec<_> = (0..all.len()).filter_map(conflict).collect();
        if conflicts.is_empty() { Ok(Self { entries }) } else { Err(conflicts) }
    }

    /// Chooses the agent for a caller.
    ///
    /// # Errors
    /// The dialplan names an agent that does not exist.
    pub fn choose(&self, asked: &Asked<'_>) -> Result<Choice, UnknownAgent> {
        let (name, why) = if let Some(name) = named(asked.argument) {
            (self.known(name)?, Why::Argument)
        } else if let Some(name) = named(asked.variable) {
            (self.known(name)?, Why::Variable)
        } else if let Some((entry, pattern)) = self.responsible(asked.dialled) {
            (Arc::clone(&entry.name), Why::Number(pattern.clone()))
        } else {
            (Arc::from(DEFAULT), Why::Default)
        };
        let closed = self.entry(&name).and_then(|entry| entry.closed.as_ref());
        match closed.filter(|closed| closed.is_closed(asked.at)) {
            Some(closed) => Ok(Choice { name: Arc::clone(&closed.instead), why, instead_of: Some(name) }),
            None => Ok(Choice { name, why, instead_of: None }),
        }
    }

    /// All agents, apart from the default agent if the environment describes it.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| *entry.name == *name)
    }

    /// The name as the roster has it, if there is such an agent.
    fn known(&self, name: &str) -> Result<Arc<str>, UnknownAgent> {
        match self.entry(name) {
            Some(entry) => Ok(Arc::clone(&entry.name)),
            None if name == DEFAULT => Ok(Arc::from(DEFAULT)),
            None => Err(UnknownAgent(name.to_owned())),
        }
    }

    /// The agent that is responsible for a dialled number, with the most specific of the patterns that match.
    fn responsible(&self, dialled: &str) -> Option<(&Entry, &Pattern)> {
        self.entries
            .iter()
            .flat_map(|entry| entry.numbers.iter().map(move |pattern| (entry, pattern)))
            .filter(|(_, pattern)| pattern.matches(dialled))
            .min_by(|(_, first), (_, second)| first.specificity(second))
    }
}

/// A name that the dialplan gives. A variable that is empty names nobody.
fn named(name: Option<&str>) -> Option<&str> {
    name.map(str::trim).filter(|name| !name.is_empty())
}

impl Closed {
    /// Whether the agent takes no calls at this time, in the machine's local time.
    #[must_use]
    pub fn is_closed(&self, at: NaiveDateTime) -> bool {
        let is_open = self.hours.is_empty() || self.hours.iter().any(|hours| hours.contain(at));
        !is_open || self.holidays.iter().any(|holiday| holiday.is(at.date()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, numbers: &[&str]) -> Entry {
        let numbers = numbers.iter().map(|number| number.parse().expect("a pattern")).collect();
        Entry { name: name.into(), numbers, closed: None }
    }

    fn clinic() -> Roster {
        let closed = Closed {
            hours: vec!["Mon-Fri 08:00-18:00".parse().expect("hours")],
            holidays: vec!["12-25".parse().expect("a holiday")],
            instead: "recado".into(),
        };
        let citas = Entry { closed: Some(closed), ..entry("citas", &["3241000752", "_32410007[6-9]X"]) };
        Roster::new(vec![citas, entry("recado", &[]), entry("ventas", &["_3241."])]).expect("no conflict")
    }

    fn asked(dialled: &str) -> Asked<'_> {
        // A Friday.
        let at = "2026-11-27T10:00:00".parse().expect("a time");
        Asked { argument: None, variable: None, dialled, at }
    }

    fn chosen(asked: &Asked<'_>) -> (String, Why) {
        let choice = clinic().choose(asked).expect("an agent");
        (choice.name.to_string(), choice.why)
    }

    #[test]
    fn the_first_thing_that_names_an_agent_decides() {
        let number = Asked { argument: Some("ventas"), variable: Some("citas"), ..asked("3241000752") };
        assert_eq!(chosen(&number), ("ventas".into(), Why::Argument));
        let number = Asked { argument: None, ..number };
        assert_eq!(chosen(&number), ("citas".into(), Why::Variable));
        let number = Asked { argument: Some(" "), variable: Some(""), ..number };
        assert_eq!(chosen(&number), ("citas".into(), Why::Number("3241000752".parse().expect("a pattern"))));
        assert_eq!(chosen(&asked("3241000781")).0, "citas");
        assert_eq!(chosen(&asked("3241000741")).0, "ventas");
        assert_eq!(chosen(&asked("555")), (DEFAULT.into(), Why::Default));
        assert_eq!(chosen(&Asked { argument: Some(DEFAULT), ..asked("3241000752") }).0, DEFAULT);
    }

    #[test]
    fn an_unknown_name_is_not_guessed() {
        for name in ["cita", "Citas", "citas2"] {
            let wrong = Asked { argument: Some(name), ..asked("3241000752") };
            assert_eq!(clinic().choose(&wrong), Err(UnknownAgent(name.into())));
        }
    }

    #[test]
    fn another_agent_takes_the_calls_of_one_that_is_closed() {
        for at in ["2026-11-27T18:00:00", "2026-11-28T10:00:00", "2026-12-25T10:00:00"] {
            let late = Asked { at: at.parse().expect("a time"), ..asked("3241000752") };
            let choice = clinic().choose(&late).expect("an agent");
            assert_eq!((&*choice.name, choice.instead_of.as_deref()), ("recado", Some("citas")), "{at}");
        }
    }

    #[test]
    fn no_number_belongs_to_two_agents() {
        let conflicts =
            Roster::new(vec![entry("a", &["1", "_2X"]), entry("b", &["_1", "_[23]X", "_2[1-9]"])]);
        let conflicts = conflicts.expect_err("1 belongs to both");
        let (second, first) = (("b".into(), 0), ("a".into(), "1".parse().expect("a pattern")));
        assert_eq!(conflicts, [Conflict { second, first }]);
        assert!(Roster::new(vec![entry("a", &["_[12]X"]), entry("b", &["_[23]X"])]).is_err());
        assert!(Roster::new(vec![entry("a", &["5", "5"])]).is_err(), "twice in one agent is a slip, too");
    }
}

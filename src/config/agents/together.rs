//! What must hold among all agents: no number belongs to two of them, and whoever stands in for another exists.

use std::sync::Arc;

use super::agent::{Agent, Choosing, Place};
use super::folder::Source;
use crate::agents::{Closed, Conflict, DEFAULT, Entry, Roster};
use crate::config::fault::Fault;
use crate::operator::{AgentFault, Detail};

/// Makes the roster of all agents, and finds what does not fit together. With faults, the roster is empty.
pub(super) fn roster(found: &[(Source, Agent)]) -> (Roster, Vec<Fault>) {
    let mut faults: Vec<_> =
        found.iter().filter_map(|(source, agent)| closed_fault(source, agent, found)).collect();
    match Roster::new(found.iter().map(|(source, agent)| entry(source, &agent.choosing)).collect()) {
        Ok(roster) => (roster, faults),
        Err(conflicts) => {
            faults.extend(conflicts.into_iter().filter_map(|conflict| number_fault(&conflict, found)));
            (Roster::default(), faults)
        }
    }
}

fn entry(source: &Source, choosing: &Choosing) -> Entry {
    let closed = choosing.closed.as_ref().filter(|_| choosing.closes());
    Entry {
        name: Arc::clone(&source.name),
        numbers: choosing.numbers.iter().map(|(pattern, _)| pattern.clone()).collect(),
        closed: closed.map(|(instead, _)| Closed {
            hours: choosing.hours.clone(),
            holidays: choosing.holidays.clone(),
            instead: instead.as_str().into(),
        }),
    }
}

/// What is wrong with the agent that stands in for this one.
fn closed_fault(source: &Source, agent: &Agent, all: &[(Source, Agent)]) -> Option<Fault> {
    let (name, place) = agent.choosing.closed.as_ref()?;
    let instead = all.iter().find(|(source, _)| *source.name == **name);
    let shown = Detail::new(name);
    match instead {
        Some((_, instead)) if instead.choosing.closes() => {
            Some(at(source, place, AgentFault::ClosedCloses { name: shown }))
        }
        None if name != DEFAULT => Some(at(source, place, AgentFault::ClosedUnknown { name: shown })),
        _ => None,
    }
}

/// The fault of a number that belongs to two agents, at the second of them.
fn number_fault(conflict: &Conflict, all: &[(Source, Agent)]) -> Option<Fault> {
    let Conflict { second: (second, index), first: (other, by) } = conflict;
    let (source, agent) = all.iter().find(|(source, _)| source.name == *second)?;
    let (pattern, place) = agent.choosing.numbers.get(*index)?;
    let what = AgentFault::NumberTaken {
        number: Detail::new(pattern),
        other: other.to_string(),
        by: Detail::new(by),
    };
    Some(at(source, place, what))
}

/// A fault at a place of an agent's file.
fn at(source: &Source, place: &Place, what: AgentFault) -> Fault {
    Fault::at(&source.path, &source.text, place, what)
}

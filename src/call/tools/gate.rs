//! Whether a call of a tool is carried out. A prompt can ask a model to be careful; this file makes it so.
//!
//! - The arguments fit the schema.
//! - A writing tool is not carried out twice with the same arguments: the model gets the first outcome again.
//! - A tool with `confirm = "caller"` runs only when the caller has spoken since the model first called it with these arguments.
//! - A model that calls in a loop is stopped.

use std::collections::HashMap;
use std::sync::Arc;

use super::running::Running;
use crate::tool::{Arguments, Confirm, Effect, Outcome, Tool};

/// Most calls of all tools in one call. A larger number would let a model that goes round in circles cost more; a smaller one could
/// refuse a tool in a long talk.
const MOST: usize = 60;
/// Most calls of one tool. As [`MOST`].
const MOST_OF_ONE: usize = 20;
/// How often a call with the same arguments may fail. A larger number keeps the caller waiting for what does not work; a smaller
/// one gives up on a passing fault.
const MOST_FAILURES: usize = 3;

/// What is known of the calls of tools so far.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// The turns that the caller has finished.
    turns: usize,
    /// How often tools were called.
    calls: usize,
    tools: HashMap<Arc<str>, Known>,
}

/// What is known of one tool. Arguments are in their canonical form.
#[derive(Debug, Default)]
struct Known {
    calls: usize,
    /// The arguments with which the last calls failed, and how often.
    failed: Option<(String, usize)>,
    /// The arguments that the caller was last asked about, and the turns that they had finished by then.
    asked: Option<(String, usize)>,
    /// What was written, or may have been.
    written: Vec<(String, Outcome)>,
}

/// What becomes of a call of a tool.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is carried out.
    Run {
        /// The arguments.
        arguments: Arguments,
        /// The number of the caller's turn in which they agreed, if they had to.
        agreed_in_turn: Option<usize>,
    },
    /// It is not carried out.
    Refuse(Outcome),
    /// It was carried out before, with this outcome.
    Repeat(Outcome),
}

impl Gate {
    /// The caller has finished a turn.
    pub(super) fn caller_spoke(&mut self) {
        self.turns += 1;
    }

    /// Judges a call of a tool. `text` is what the model wrote as arguments.
    pub(super) fn judge(&mut self, tool: &Tool, text: &str, running: &Running) -> Verdict {
        let Self { turns, calls, tools } = self;
        let known = tools.entry(Arc::clone(&tool.name)).or_default();
        *calls += 1;
        known.calls += 1;
        if *calls > MOST || known.calls > MOST_OF_ONE {
            return Verdict::Refuse(Outcome::TooOften);
        }
        let arguments = match tool.parameters.check(text) {
            Ok(arguments) => arguments,
            Err(_) if known.has_failed(text) => return Verdict::Refuse(Outcome::TooOften),
            Err(problems) => {
                known.fails(text.to_owned());
                return Verdict::Refuse(Outcome::InvalidArguments { problems });
            }
        };
        let canonical = arguments.canonical();
        if known.has_failed(&canonical) {
            return Verdict::Refuse(Outcome::TooOften);
        }
        if running.has_same(&tool.name, &arguments) {
            return Verdict::Refuse(Outcome::Busy);
        }
        let written = known.written.iter().find(|(before, _)| *before == canonical);
        if let Some((_, outcome)) = written.filter(|_| !tool.repeatable) {
            return Verdict::Repeat(outcome.clone());
        }
        let agreed_in_turn = match tool.confirm {
            Confirm::Nobody => None,
            Confirm::Caller => match known.asked.take() {
                Some((asked, before)) if asked == canonical && *turns > before => Some(*turns),
                Some((asked, before)) if asked == canonical => {
                    known.asked = Some((asked, before));
                    return Verdict::Refuse(Outcome::AskFirst);
                }
                _ => {
                    known.asked = Some((canonical, *turns));
                    return Verdict::Refuse(Outcome::AskFirst);
                }
            },
        };
        Verdict::Run { arguments, agreed_in_turn }
    }

    /// A call that was carried out has ended.
    pub(super) fn ended(&mut self, tool: &Tool, arguments: &Arguments, outcome: &Outcome) {
        let known = self.tools.entry(Arc::clone(&tool.name)).or_default();
        let canonical = arguments.canonical();
        match outcome {
            Outcome::Done { .. } => known.failed = None,
            _ => known.fails(canonical.clone()),
        }
        // What was certainly not done may be tried again.
        let may_be_done = matches!(outcome, Outcome::Done { .. } | Outcome::Unknown);
        if tool.effect == Effect::Write && may_be_done {
            known.written.retain(|(before, _)| *before != canonical);
            known.written.push((canonical, outcome.clone()));
        }
    }
}

impl Known {
    fn fails(&mut self, arguments: String) {
        let times = match &self.failed {
            Some((before, times)) if *before == arguments => times + 1,
            _ => 1,
        };
        self.failed = Some((arguments, times));
    }

    fn has_failed(&self, arguments: &str) -> bool {
        self.failed.as_ref().is_some_and(|(before, times)| before == arguments && *times >= MOST_FAILURES)
    }
}

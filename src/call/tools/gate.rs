//! Whether a call of a tool is carried out. A prompt can ask a model to be careful; this file makes it so.
//!
//! - The arguments fit the schema.
//! - A writing tool is not carried out twice with the same arguments: the model gets the first outcome again. If it is not known
//!   whether a tool was carried out, and its server recognizes a repeated request, the model may call it again.
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
    written: Vec<Written>,
}

/// A call of a writing tool that was carried out, or may have been.
#[derive(Debug)]
struct Written {
    arguments: String,
    outcome: Outcome,
    /// The number of the caller's turn in which they agreed, if they had to.
    agreed_in_turn: Option<usize>,
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
        if running.has_same(&tool.name, &arguments) {
            return Verdict::Refuse(Outcome::Busy);
        }
        let written = known.written.iter().find(|written| written.arguments == canonical);
        if let Some(written) = written.filter(|_| !tool.repeatable) {
            let may_complete = written.outcome == Outcome::Unknown && tool.is_idempotent();
            if !may_complete || known.has_failed(&canonical) {
                return Verdict::Repeat(written.outcome.clone());
            }
            // The caller has agreed to this already.
            return Verdict::Run { arguments, agreed_in_turn: written.agreed_in_turn };
        }
        if known.has_failed(&canonical) {
            return Verdict::Refuse(Outcome::TooOften);
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

    /// A call that was carried out has ended. `agreed_in_turn` is that of its [`Verdict::Run`].
    pub(super) fn ended(
        &mut self,
        tool: &Tool,
        arguments: &Arguments,
        agreed_in_turn: Option<usize>,
        outcome: &Outcome,
    ) {
        let known = self.tools.entry(Arc::clone(&tool.name)).or_default();
        let canonical = arguments.canonical();
        match outcome {
            Outcome::Done { .. } => known.failed = None,
            _ => known.fails(canonical.clone()),
        }
        // What was certainly not done may be tried again.
        let may_be_done = matches!(outcome, Outcome::Done { .. } | Outcome::Unknown);
        if tool.effect == Effect::Write && may_be_done {
            known.written.retain(|written| written.arguments != canonical);
            let outcome = outcome.clone();
            known.written.push(Written { arguments: canonical, outcome, agreed_in_turn });
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::tool::{HttpTool, Mapping, Parameters, Request, Target, Way};

    fn tool(name: &str, repeatable: bool) -> Tool {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
        let target = Target::parse("POST http://127.0.0.1:8099/x").expect("a target");
        Tool {
            name: name.into(),
            description: String::new(),
            effect: Effect::Write,
            parameters: Parameters::new(schema, [].into()).expect("a schema"),
            way: Way::Http(Arc::new(HttpTool {
                request: Request { target, query: Vec::new(), headers: Vec::new(), body: None },
                idempotency: None,
                mapping: Mapping { result: None, error: None },
            })),
            timeout: Duration::from_secs(8),
            say_after: None,
            confirm: Confirm::Nobody,
            repeatable,
        }
    }

    fn arguments(n: usize) -> String {
        json!({"n": n}).to_string()
    }

    /// Calls a tool, which ends with this outcome if it is carried out. What became of the call.
    fn call(gate: &mut Gate, tool: &Tool, n: usize, outcome: &Outcome) -> &'static str {
        match gate.judge(tool, &arguments(n), &Running::default()) {
            Verdict::Run { arguments, agreed_in_turn } => {
                gate.ended(tool, &arguments, agreed_in_turn, outcome);
                "run"
            }
            Verdict::Refuse(refusal) => refusal.code(),
            Verdict::Repeat(_) => "repeated",
        }
    }

    fn done() -> Outcome {
        Outcome::Done { result: json!(1) }
    }

    #[test]
    fn a_repeatable_tool_writes_again_and_another_one_does_not() {
        for (repeatable, again) in [(true, "run"), (false, "repeated")] {
            let (mut gate, tool) = (Gate::default(), tool("note", repeatable));
            assert_eq!(call(&mut gate, &tool, 1, &done()), "run");
            assert_eq!(call(&mut gate, &tool, 1, &done()), again);
        }
    }

    #[test]
    fn one_tool_is_called_twenty_times() {
        let (mut gate, [often, other]) = (Gate::default(), ["a", "b"].map(|name| tool(name, false)));
        let verdicts: Vec<_> = (0..21).map(|n| call(&mut gate, &often, n, &done())).collect();
        assert!(verdicts[..20].iter().all(|verdict| *verdict == "run") && verdicts[20] == "too_often");
        assert_eq!(call(&mut gate, &other, 1, &done()), "run");
    }

    #[test]
    fn all_together_are_called_sixty_times_however_many_tools_there_are() {
        let mut gate = Gate::default();
        let tools: Vec<_> = (0..61).map(|n| tool(&format!("tool-{n}"), false)).collect();
        let verdicts: Vec<_> = tools.iter().map(|tool| call(&mut gate, tool, 1, &done())).collect();
        assert!(verdicts[..60].iter().all(|verdict| *verdict == "run") && verdicts[60] == "too_often");
    }

    #[test]
    fn what_fails_three_times_is_not_tried_again_unless_something_else_was_done() {
        let (mut gate, tool) = (Gate::default(), tool("note", true));
        for _ in 0..2 {
            assert_eq!(call(&mut gate, &tool, 1, &Outcome::Unavailable), "run");
        }
        assert_eq!(call(&mut gate, &tool, 1, &done()), "run");
        for _ in 0..3 {
            assert_eq!(call(&mut gate, &tool, 1, &Outcome::Unavailable), "run");
        }
        assert_eq!(call(&mut gate, &tool, 1, &done()), "too_often");
    }

    #[test]
    fn failures_with_other_arguments_do_not_add_up() {
        let (mut gate, tool) = (Gate::default(), tool("note", true));
        for n in [1, 1, 2, 2, 1, 1, 2, 2] {
            assert_eq!(call(&mut gate, &tool, n, &Outcome::Unavailable), "run", "{n}");
        }
    }

    #[test]
    fn what_only_reads_is_read_again() {
        let (mut gate, mut tool) = (Gate::default(), tool("find", false));
        tool.effect = Effect::Read;
        for _ in 0..3 {
            assert_eq!(call(&mut gate, &tool, 1, &done()), "run");
        }
    }

    #[test]
    fn a_yes_holds_for_one_time() {
        let (mut gate, mut tool) = (Gate::default(), tool("note", true));
        tool.confirm = Confirm::Caller;
        for _ in 0..2 {
            assert_eq!(call(&mut gate, &tool, 1, &done()), "ask_first");
            gate.caller_spoke();
            assert_eq!(call(&mut gate, &tool, 1, &done()), "run");
        }
    }
}

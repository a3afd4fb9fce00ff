//! The calls of tools that are being carried out, what the caller hears meanwhile, and what comes of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::call::record::{Entry, ToolEntry};
use crate::call::responses::Purpose;
use crate::call::{Call, Output};
use crate::realtime::client::{NewItem, Role};
use crate::realtime::server::FunctionCall;
use crate::tool::{Arguments, Effect, Outcome, Tool};

/// How much longer than its time-out a tool is waited for. Normally the daemon ends the tool in time.
/// Longer keeps the model waiting for what does not come; shorter could lose an outcome that is on its way.
const GRACE: Duration = Duration::from_secs(1);
/// How long after the first words about the waiting there are others. Shorter would be chatter.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// Most words about the waiting until an output comes. More would be chatter.
const MOST_FILLERS: u8 = 2;

/// Names a call of a tool within a phone call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobNumber(u32);

/// A call of a tool that is to be carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its number: the end has the same.
    pub number: JobNumber,
    /// The tool.
    pub tool: Arc<Tool>,
    /// The arguments, which fit the tool.
    pub arguments: Arguments,
    /// The idempotency key: the same for each attempt.
    pub key: String,
}

impl Job {
    /// A call of a tool that belongs to no phone call.
    #[must_use]
    pub const fn alone(tool: Arc<Tool>, arguments: Arguments, key: String) -> Self {
        Self { number: JobNumber(0), tool, arguments, key }
    }
}

/// The end of a call of a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Result {
    /// The number of the job.
    pub number: JobNumber,
    /// How it ended.
    pub outcome: Outcome,
    /// How many requests were made.
    pub attempts: u32,
}

/// What a call of a tool begins with.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) call: FunctionCall,
    /// The session in which the model called.
    pub(super) session: usize,
    pub(super) tool: Arc<Tool>,
    pub(super) arguments: Arguments,
    pub(super) key: String,
    pub(super) agreed_in_turn: Option<usize>,
}

/// A call of a tool that is being carried out.
#[derive(Debug)]
struct Task {
    number: JobNumber,
    begun: Begun,
    at: Instant,
    answer: Answer,
}

/// Whether the model has an output for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// It waits for the outcome, no longer than until this instant.
    AwaitedUntil(Instant),
    /// It has been told that nobody knows.
    GivenUp,
}

/// The calls of tools that are being carried out.
#[derive(Debug, Default)]
pub(super) struct Running {
    last: u32,
    tasks: Vec<Task>,
    /// Since when nothing was heard but waiting, and how often something was said about it.
    quiet: Option<Instant>,
    fillers: u8,
}

impl Running {
    /// Whether the model waits for nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.awaited().next().is_none()
    }

    /// Whether the model waits for a tool with this effect.
    pub(super) fn has(&self, effect: Effect) -> bool {
        self.awaited().any(|task| task.begun.tool.effect == effect)
    }

    /// Whether this tool is being carried out with the same arguments.
    pub(super) fn has_same(&self, name: &str, arguments: &Arguments) -> bool {
        let canonical = arguments.canonical();
        let is_same = |begun: &Begun| *begun.tool.name == *name && begun.arguments.canonical() == canonical;
        self.awaited().any(|task| is_same(&task.begun))
    }

    /// What a new session is told of what is still to come.
    pub(super) fn told_again(&self) -> impl Iterator<Item = NewItem> {
        self.awaited().map(|task| {
            let text = format!(
                "You have called {}. Its result is still to come: do not call it again.",
                task.begun.tool.name
            );
            NewItem::Message { id: None, role: Role::System, text }
        })
    }

    /// A call begins.
    pub(super) fn begin(&mut self, now: Instant, begun: Begun) -> Job {
        self.last += 1;
        let number = JobNumber(self.last);
        if self.is_empty() {
            (self.quiet, self.fillers) = (None, 0);
        }
        let job = Job {
            number,
            tool: Arc::clone(&begun.tool),
            arguments: begun.arguments.clone(),
            key: begun.key.clone(),
        };
        let until = now + begun.tool.timeout + GRACE;
        self.tasks.push(Task { number, begun, at: now, answer: Answer::AwaitedUntil(until) });
        job
    }

    fn awaited(&self) -> impl Iterator<Item = &Task> {
        self.tasks.iter().filter(|task| task.answer != Answer::GivenUp)
    }

    fn end(&mut self, number: JobNumber) -> Option<Task> {
        let at = self.tasks.iter().position(|task| task.number == number)?;
        Some(self.tasks.remove(at))
    }

    /// The next call whose outcome should have come by now.
    fn overdue(&mut self, now: Instant) -> Option<&mut Task> {
        let is_overdue = |task: &&mut Task| matches!(task.answer, Answer::AwaitedUntil(at) if at <= now);
        self.tasks.iter_mut().find(is_overdue)
    }

    /// Whether something is to be said about the waiting. `is_quiet`: nobody speaks, and nothing is about to be said.
    fn wants_filler(&mut self, now: Instant, is_quiet: bool) -> bool {
        let say_after = self.awaited().filter_map(|task| task.begun.tool.say_after).min();
        if !is_quiet {
            self.quiet = None;
            return false;
        }
        let since = *self.quiet.get_or_insert(now);
        let after = if self.fillers == 0 { say_after } else { say_after.map(|_| SAY_AGAIN_AFTER) };
        let is_due = self.fillers < MOST_FILLERS && after.is_some_and(|after| since + after <= now);
        self.fillers += u8::from(is_due);
        is_due
    }
}

impl Call {
    /// A tool has been carried out, or could not be.
    pub(in crate::call) fn tool_ended(&mut self, Result { number, outcome, attempts }: Result) {
        let Some(task) = self.tools.running.end(number) else { return };
        let Task { begun, at, answer, .. } = task;
        self.tools.gate.ended(&begun.tool, &begun.arguments, begun.agreed_in_turn, &outcome);
        let told = begun.tool.answer(&outcome);
        self.record_tool(&begun, at, (&outcome, &told), attempts);
        match answer {
            Answer::AwaitedUntil(_) => self.answer_function(&begun.call, begun.session, told),
            Answer::GivenUp => {
                let text = format!(
                    "The result of {}, which was not known before, has come: {told}",
                    begun.tool.name
                );
                self.tell_model(NewItem::Message { id: None, role: Role::System, text });
            }
        }
    }

    /// Answers what should have ended by now, and has the model say that it is still waiting.
    pub(in crate::call) fn advance_tools(&mut self) {
        while let Some(task) = self.tools.running.overdue(self.now) {
            task.answer = Answer::GivenUp;
            let begun = &task.begun;
            self.tools.gate.ended(&begun.tool, &begun.arguments, begun.agreed_in_turn, &Outcome::Unknown);
            let (call, session, told) =
                (begun.call.clone(), begun.session, begun.tool.answer(&Outcome::Unknown));
            self.answer_function(&call, session, told);
        }
        if self.tools.running.is_empty() {
            return;
        }
        let is_quiet = self.session.is_ready()
            && !self.is_speaking()
            && !self.responses.is_pending()
            && self.quiet_at().is_none_or(|at| at <= self.now)
            && self.leaving.is_none();
        if self.tools.running.wants_filler(self.now, is_quiet) {
            self.responses.want(Purpose::Filler);
        }
    }

    /// The call ends: what only reads is let go. What writes goes on without the call.
    pub(in crate::call) fn let_tools_go(&mut self) {
        for Task { number, begun, at, .. } in std::mem::take(&mut self.tools.running.tasks) {
            if begun.tool.effect == Effect::Read {
                self.outputs.push(Output::LetGo(number));
            }
            let told = begun.tool.answer(&Outcome::Unknown);
            self.record_tool(&begun, at, (&Outcome::Unknown, &told), 0);
        }
    }

    /// Keeps a call of a tool that was carried out, and records it, with what the model was told of its outcome.
    fn record_tool(&mut self, begun: &Begun, at: Instant, (outcome, told): (&Outcome, &str), attempts: u32) {
        let entry = ToolEntry {
            at: at - self.born,
            name: begun.tool.name.to_string(),
            arguments: Some(begun.tool.parameters.masked(&begun.arguments).to_string()),
            outcome: outcome.code(),
            answer: Some(begun.tool.recorded(told, &begun.arguments)),
            took: self.now - at,
            attempts,
            agreed_in_turn: begun.agreed_in_turn,
        };
        let keep = self.settings.keep;
        if keep.transcript {
            self.outputs.push(Output::Record(Entry::Tool(Box::new(entry.clone()))));
        } else if keep.events {
            // Arguments and results are words.
            let without_words = ToolEntry { arguments: None, answer: None, ..entry.clone() };
            self.outputs.push(Output::Record(Entry::Tool(Box::new(without_words))));
        }
        self.tools.tally.count(&begun.tool.name, entry.outcome, Some(entry.took));
        self.tools.tally.keep(entry);
    }
}

//! The tools of calls: each brings what the test says after as long as it says. Whatever the test is about, a writing tool is
//! carried out once, after the caller's yes where it needs one, and is not cut.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use openai_inbound_calls::call::tools::{Job, JobNumber, Result};
use openai_inbound_calls::realtime::client::{ClientEvent, NewItem};
use openai_inbound_calls::realtime::server::{Event, FunctionCall};
use openai_inbound_calls::tool::{
    Confirm, Effect, HttpTool, Mapping, Node, Outcome, Parameters, Request, Target, Template, Tool, Way,
};
use serde_json::{Value, json};

use super::ladder::Lane;
use super::task::Happened;
use super::world::{Due, World};

/// A call of the product answers so many function calls.
const MOST_CALLS: usize = 256;

/// A tool with one parameter, `day`.
pub(crate) fn tool(name: &str, change: impl FnOnce(&mut Tool)) -> Arc<Tool> {
    let schema = json!({
        "type": "object",
        "properties": {"day": {"type": "string", "maxLength": 20}, "pin": {"type": "string"}},
        "required": ["day"],
    });
    let mut tool = Tool {
        name: name.into(),
        description: "A tool.".into(),
        effect: Effect::Write,
        parameters: Parameters::new(schema, ["pin".to_owned()].into()).expect("a schema"),
        way: Way::Http(Arc::new(HttpTool {
            request: Request {
                target: Target::parse("POST http://127.0.0.1:8099/x").expect("a target"),
                query: Vec::new(),
                headers: Vec::new(),
                body: Some(Node::Text(Template::new("{{ args.day }}").expect("a template"))),
            },
            idempotency: None,
            mapping: Mapping { result: None, error: None },
        })),
        timeout: Duration::from_secs(6),
        say_after: Some(Duration::from_millis(2_500)),
        confirm: Confirm::Nobody,
        repeatable: false,
    };
    change(&mut tool);
    Arc::new(tool)
}

/// Gives a tool a header for its idempotency key.
pub(crate) fn recognizes_its_key(tool: &mut Tool) {
    let Way::Http(http) = &mut tool.way else { panic!("{} is no request", tool.name) };
    Arc::get_mut(http).expect("a new tool").idempotency = Some("Idempotency-Key".into());
}

pub(crate) fn done(result: &str) -> Outcome {
    Outcome::Done { result: json!(result) }
}

/// What one call of a tool brings, each after so long. Nothing: it never ends. More than one: the end is told again.
pub(crate) type Brings = Vec<(Duration, Outcome)>;

/// What tools bring, and what was asked of them.
#[derive(Debug, Default)]
pub(crate) struct Toolbox {
    /// What each tool brings, call by call; the last one repeats.
    brings: BTreeMap<String, VecDeque<Brings>>,
    /// Every job that was begun, with its task.
    pub(crate) jobs: Vec<(usize, Job)>,
    /// Every job that was let go, with its task.
    pub(crate) let_go: Vec<(usize, JobNumber)>,
    /// Every end that a call was told, with its task.
    pub(crate) ends: Vec<(usize, Result)>,
    /// Every output that a model was given, by task and call id.
    pub(crate) outputs: BTreeMap<(usize, String), String>,
    /// What the models have called, by task and call id, and how many turns the caller had taken by then.
    called: BTreeMap<(usize, String), Called>,
    /// How many turns of the caller each task has been told of.
    turns: BTreeMap<usize, usize>,
    /// The calls that were answered with the order to ask first, by task.
    asked: Vec<(usize, FunctionCall, usize)>,
}

/// A call of a function.
#[derive(Debug)]
struct Called {
    call: FunctionCall,
    at: Instant,
    /// The session in which it was called.
    session: usize,
    /// How many turns the caller had taken by then.
    turns: usize,
}

/// The longest that a call of a function may have no output in its session: longer than the time-out of any tool of a test and than
/// Asterisk's answer to a question. Most are answered much earlier, which the strict server holds.
const UNANSWERED: Duration = Duration::from_secs(5);

impl Toolbox {
    /// How the last job with this tool and these arguments ended for the call; `None`: there is none. Within: `None` if it has
    /// not ended.
    fn last(&self, task: usize, job: &Job) -> Option<(&Job, Option<&Outcome>)> {
        let is_same = |(of, known): &&(usize, Job)| {
            *of == task && known.tool.name == job.tool.name && known.arguments == job.arguments
        };
        let (_, last) = self.jobs.iter().rfind(is_same)?;
        let mut ends = self.ends.iter();
        let end = ends.find(|(of, result)| *of == task && result.number == last.number);
        Some((last, end.map(|(_, result)| &result.outcome)))
    }

    /// Holds a job that begins to what must be true of all writing ones.
    fn hold(&self, task: usize, job: &Job) {
        if job.tool.effect == Effect::Read {
            return;
        }
        if let Some((last, end)) = self.last(task, job).filter(|_| !job.tool.repeatable) {
            let is_harmless = match end {
                Some(Outcome::Done { .. }) => false,
                // The server recognizes the key.
                None | Some(Outcome::Unknown) => job.tool.is_idempotent(),
                Some(_) => true,
            };
            assert!(is_harmless, "{} is carried out twice: {end:?}", job.tool.name);
            assert_eq!(last.key, job.key, "one key for one deed");
        }
        if job.tool.confirm == Confirm::Caller {
            let turns = self.turns.get(&task).copied().unwrap_or_default();
            let is_asked = |(of, call, before): &(usize, FunctionCall, usize)| {
                *of == task
                    && call.name == *job.tool.name
                    && job.tool.parameters.check(&call.arguments).is_ok_and(|asked| asked == job.arguments)
                    && turns > *before
            };
            assert!(self.asked.iter().any(is_asked), "{} runs without a word of the caller", job.tool.name);
        }
    }

    /// A call is told something by its model.
    pub(crate) fn hears(&mut self, at: Instant, task: usize, session: usize, event: &Event<'_>) {
        let functions: Vec<_> = match event {
            Event::Committed { .. } => {
                *self.turns.entry(task).or_default() += 1;
                return;
            }
            Event::OutputItemDone { item } => item.function.iter().collect(),
            Event::ResponseDone(response) => {
                response.items.iter().filter_map(|item| item.function.as_ref()).collect()
            }
            _ => return,
        };
        let turns = self.turns.get(&task).copied().unwrap_or_default();
        for call in functions.into_iter().filter(|call| call.complete) {
            let called = || Called { call: call.clone(), at, session, turns };
            self.called.entry((task, call.call_id.clone())).or_insert_with(called);
        }
    }

    /// A call leaves its model: every function that was called long ago in this session has its output. A server that calls without
    /// end gets no output beyond a limit.
    pub(crate) fn leaves(&self, at: Instant, task: usize, session: usize) {
        if self.is_flooded(task) {
            return;
        }
        for ((of, id), called) in &self.called {
            let is_due = called.session == session && called.at + UNANSWERED < at;
            let is_answered = self.outputs.contains_key(&(task, id.clone()));
            assert!(*of != task || !is_due || is_answered, "{:?} got no output", called.call);
        }
    }

    /// Whether the model of a call has called more functions than a call answers.
    pub(crate) fn is_flooded(&self, task: usize) -> bool {
        self.called.keys().filter(|(of, _)| *of == task).count() > MOST_CALLS
    }

    /// A call tells its model something.
    pub(crate) fn says(&mut self, task: usize, event: &ClientEvent) {
        let ClientEvent::ItemCreate { item: NewItem::FunctionOutput { call_id, output }, .. } = event else {
            return;
        };
        let key = (task, call_id.clone());
        // A new session is told again.
        if self.outputs.contains_key(&key) {
            return;
        }
        if output.contains("ask_first")
            && let Some(Called { call, turns, .. }) = self.called.get(&key)
        {
            self.asked.push((task, call.clone(), *turns));
        }
        self.outputs.insert(key, output.clone());
    }
}

impl World {
    /// This tool brings this after so long, call by call; the last one repeats. None: nothing, ever.
    pub(crate) fn brings(&mut self, tool: &str, outcomes: Vec<Option<(u64, Outcome)>>) {
        let after = |(ms, outcome)| (Duration::from_millis(ms), outcome);
        let each = |outcome: Option<(u64, Outcome)>| outcome.map(after).into_iter().collect();
        self.brings_each(tool, outcomes.into_iter().map(each));
    }

    /// This tool brings this, call by call; the last one repeats.
    pub(crate) fn brings_each(&mut self, tool: &str, brings: impl Iterator<Item = Brings>) {
        self.toolbox.brings.insert(tool.to_owned(), brings.collect());
    }

    /// A call asks for a tool.
    pub(crate) fn begin_job(&mut self, task: usize, job: Job) {
        let phone = self.tasks[task].phone;
        let (name, arguments) = (job.tool.name.to_string(), job.arguments.canonical());
        self.ladder.tell(self.now, phone, Lane::Us, Lane::Tools, || format!("{name} {arguments}"));
        self.toolbox.hold(task, &job);
        let brings = self.toolbox.brings.get_mut(&name).unwrap_or_else(|| panic!("a tool {name}"));
        let next = if brings.len() > 1 { brings.pop_front() } else { brings.front().cloned() };
        for (after, outcome) in next.unwrap_or_default() {
            let result = Result { number: job.number, outcome, attempts: 1 };
            self.after(after, Due::Tool { task, result });
        }
        self.toolbox.jobs.push((task, job));
    }

    /// A call has no use for a job any more.
    pub(crate) fn let_job_go(&mut self, task: usize, number: JobNumber) {
        let phone = self.tasks[task].phone;
        self.ladder.tell(self.now, phone, Lane::Us, Lane::Tools, || "let go".to_owned());
        let is_this = |(of, job): &&(usize, Job)| *of == task && job.number == number;
        let (_, job) = self.toolbox.jobs.iter().find(is_this).expect("a job that was begun");
        assert_eq!(job.tool.effect, Effect::Read, "a writing tool is cut");
        self.toolbox.let_go.push((task, number));
    }

    /// A look-up of this call comes.
    pub(crate) fn looked_up(&mut self, task: usize, name: &str, value: Option<Value>) {
        self.happen(task, Happened::LookedUp(name.into(), value));
    }

    /// A tool brings something.
    pub(crate) fn tool_brings(&mut self, task: usize, result: Result) {
        let phone = self.tasks[task].phone;
        self.ladder.tell(self.now, phone, Lane::Tools, Lane::Us, || brought(&result.outcome));
        self.happen(task, Happened::Tool(result));
    }
}

/// An outcome in few words.
fn brought(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done { result } => format!("ok {result}"),
        other => other.code().to_owned(),
    }
}

//! The tools of calls: each brings what the test says after as long as it says.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use openai_inbound_calls::call::tools::{Job, JobNumber, Result};
use openai_inbound_calls::tool::Outcome;
use serde_json::Value;

use super::ladder::Lane;
use super::task::Happened;
use super::world::{Due, World};

/// What tools bring, and what was asked of them.
#[derive(Debug, Default)]
pub(crate) struct Toolbox {
    /// What each tool brings, call by call; the last one repeats. None: nothing, ever.
    brings: BTreeMap<String, VecDeque<Option<(Duration, Outcome)>>>,
    /// Every job that was begun, with its task.
    pub(crate) jobs: Vec<(usize, Job)>,
    /// Every job that was let go.
    pub(crate) let_go: Vec<JobNumber>,
}

impl World {
    /// This tool brings this after so long, call by call; the last one repeats.
    pub(crate) fn brings(&mut self, tool: &str, outcomes: Vec<Option<(u64, Outcome)>>) {
        let after = |(ms, outcome)| (Duration::from_millis(ms), outcome);
        let outcomes = outcomes.into_iter().map(|outcome| outcome.map(after)).collect();
        self.toolbox.brings.insert(tool.to_owned(), outcomes);
    }

    /// A call asks for a tool.
    pub(crate) fn begin_job(&mut self, task: usize, job: Job) {
        let phone = self.tasks[task].phone;
        let (name, arguments) = (job.tool.name.to_string(), job.arguments.canonical());
        self.ladder.tell(self.now, phone, Lane::Us, Lane::Us, || format!("tool {name}{arguments}"));
        let brings = self.toolbox.brings.get_mut(&name).unwrap_or_else(|| panic!("a tool {name}"));
        let next = if brings.len() > 1 { brings.pop_front() } else { brings.front().cloned() };
        if let Some(Some((after, outcome))) = next {
            let result = Result { number: job.number, outcome, attempts: 1 };
            self.after(after, Due::Tool { task, result });
        }
        self.toolbox.jobs.push((task, job));
    }

    /// A call has no use for a job any more.
    pub(crate) fn let_job_go(&mut self, number: JobNumber) {
        self.toolbox.let_go.push(number);
    }

    /// A look-up of this call comes.
    pub(crate) fn looked_up(&mut self, task: usize, name: &str, value: Option<Value>) {
        self.happen(task, Happened::LookedUp(name.into(), value));
    }

    /// A tool brings something.
    pub(crate) fn tool_brings(&mut self, task: usize, result: Result) {
        let phone = self.tasks[task].phone;
        let code = result.outcome.code();
        self.ladder.tell(self.now, phone, Lane::Us, Lane::Us, || format!("tool brings {code}"));
        self.happen(task, Happened::Tool(result));
    }
}

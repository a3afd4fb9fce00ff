//! Who carries out the tools of a rehearsal: the daemon's own client, or nobody, and then a fixed result stands for what a server
//! would answer.

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;

use serde_json::{Map, Value};

use super::given::Values;
use super::tool::made;
use crate::call::tools::{self, Job, JobNumber};
use crate::daemon::tools::{Ended, Jobs};
use crate::tool::{Facts, Outcome};

/// Who carries out the tools.
pub(super) enum Hands {
    /// The daemon's client: requests are made.
    Real(Box<Jobs>),
    /// Nobody: no request is made.
    Stand(StandIn),
}

/// What stands for the servers.
pub(super) struct StandIn {
    call: Value,
    vars: Value,
    lookup: Value,
    /// The result of each tool, in turn. The last one repeats; `null` if there is none.
    results: BTreeMap<String, VecDeque<Value>>,
    ended: VecDeque<tools::Result>,
}

impl StandIn {
    /// Stands for servers that answer with these results in a call with these values.
    pub(super) fn new(values: &Values, results: BTreeMap<String, VecDeque<Value>>) -> Self {
        let (call, vars, lookup) = (values.call.clone(), values.vars.clone(), values.lookups());
        Self { call, vars, lookup, results, ended: VecDeque::new() }
    }

    /// The request that would be made, or what the model reads if there can be none.
    fn begin(&mut self, job: &Job) -> Option<String> {
        let facts = Facts { call: &self.call, vars: &self.vars, lookup: &self.lookup };
        let (outcome, shown) = match made(&job.tool, &facts, &job.arguments, &job.key) {
            Ok(request) => (Outcome::Done { result: self.result(&job.tool.name) }, Some(request)),
            Err(error) => (job.tool.refused(&error), None),
        };
        self.ended.push_back(tools::Result { number: job.number, outcome, attempts: 0 });
        shown
    }

    fn result(&mut self, tool: &str) -> Value {
        let Some(results) = self.results.get_mut(tool) else { return Value::Null };
        let next = if results.len() > 1 { results.pop_front() } else { results.front().cloned() };
        next.unwrap_or_default()
    }
}

impl Hands {
    /// Begins a job. Returns the request that is not made, if none is.
    pub(super) fn begin(&mut self, job: Job) -> Option<String> {
        match self {
            Self::Real(jobs) => {
                jobs.begin(job);
                None
            }
            Self::Stand(stand) => stand.begin(&job),
        }
    }

    /// Nobody waits for a job any more.
    pub(super) fn let_go(&mut self, number: JobNumber) {
        match self {
            Self::Real(jobs) => jobs.let_go(number),
            Self::Stand(stand) => stand.ended.retain(|result| result.number != number),
        }
    }

    /// What ends next.
    pub(super) async fn next(&mut self) -> Ended {
        match self {
            Self::Real(jobs) => jobs.next().await,
            Self::Stand(stand) => match stand.ended.pop_front() {
                Some(result) => Ended::Job(result),
                None => pending().await,
            },
        }
    }

    /// Waits for what is still being written.
    pub(super) async fn finish(self) {
        if let Self::Real(jobs) = self {
            jobs.left().join_all().await;
        }
    }

    /// Values that were given in place of look-ups.
    pub(super) fn know(&mut self, found: &Map<String, Value>) {
        if let Self::Real(jobs) = self {
            for (name, value) in found {
                jobs.know(name, value.clone());
            }
        }
    }
}

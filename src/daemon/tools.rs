//! Carries out the tools that calls ask for: one task for each, which a call does not wait for.
//!
//! When a call ends, what only reads is given up. What writes runs on in the hands of the daemon, and the operator is told how it
//! ended.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::call::tools::{self, Job, JobNumber};
use crate::config::Secret;
use crate::logging::Operator;
use crate::net::tools::{Carried, Errand, ToolClient};
use crate::operator::{Detail, Notice};
use crate::tool::{Facts, Masks, Outcome};

/// What tools need of the call that asks for them.
pub(super) struct Knowledge {
    /// `call`: id, caller, called, agent and now.
    pub(super) call: Value,
    /// `vars`: what the dialplan said.
    pub(super) vars: Value,
    /// The secrets of the agent, by name.
    pub(super) secrets: BTreeMap<String, Secret>,
}

/// The tools of one call that are being carried out.
pub(super) struct Jobs {
    client: ToolClient,
    known: Arc<Knowledge>,
    operator: Operator,
    tasks: JoinSet<()>,
    running: HashMap<JobNumber, AbortHandle>,
    ended: mpsc::Sender<tools::Result>,
    results: mpsc::Receiver<tools::Result>,
}

/// Ends of jobs that wait for their call, which reads them at once. The core begins no more than this in a whole call.
const ENDS: usize = 64;

impl Jobs {
    /// None, for a call of which this is known.
    pub(super) fn new(client: ToolClient, known: Knowledge, operator: Operator) -> Self {
        let (ended, results) = mpsc::channel(ENDS);
        let (known, tasks, running) = (Arc::new(known), JoinSet::new(), HashMap::new());
        Self { client, known, operator, tasks, running, ended, results }
    }

    /// Begins a job.
    pub(super) fn begin(&mut self, job: Job) {
        let (client, known, operator) = (self.client.clone(), Arc::clone(&self.known), self.operator);
        let (number, ended) = (job.number, self.ended.clone());
        let task = self.tasks.spawn(async move {
            let (outcome, attempts) = carry_out(&client, &known, &job, operator).await;
            let code = outcome.code();
            if ended.send(tools::Result { number, outcome, attempts }).await.is_err() {
                let tool = job.tool.name.to_string();
                operator.say(&Notice::ToolEndedAfterCall { tool, outcome: code });
            }
        });
        self.running.insert(number, task);
    }

    /// Gives a job up.
    pub(super) fn let_go(&mut self, number: JobNumber) {
        if let Some(task) = self.running.remove(&number) {
            task.abort();
        }
    }

    /// The call has ended: what is still being written.
    pub(super) fn left(self) -> JoinSet<()> {
        self.tasks
    }

    /// The next end of a job.
    pub(super) async fn next(&mut self) -> tools::Result {
        match self.results.recv().await {
            Some(result) => {
                self.running.remove(&result.number);
                result
            }
            // This struct holds a sender, so that the channel does not close.
            None => std::future::pending().await,
        }
    }
}

/// Carries out one job: what came of it, and how many requests were made.
async fn carry_out(client: &ToolClient, known: &Knowledge, job: &Job, operator: Operator) -> (Outcome, u32) {
    let Job { tool, arguments, key, .. } = job;
    let (lookup, secret) =
        (Value::Null, |name: &str| known.secrets.get(name).map(|secret| secret.expose().to_owned()));
    let facts = Facts { call: &known.call, vars: &known.vars, lookup: &lookup };
    let say = |cause: Detail| operator.say(&Notice::ToolFailed { tool: tool.name.to_string(), cause });
    let request = match tool.request(&facts, arguments, key, &secret) {
        Ok(request) => request,
        Err(error) => {
            let outcome = tool.refused(&error);
            if outcome == Outcome::Unavailable {
                say(Detail::new(&error));
            }
            return (outcome, 0);
        }
    };
    let errand = Errand {
        request: &request,
        effect: tool.effect,
        idempotent: tool.idempotency.is_some(),
        timeout: tool.timeout,
    };
    let Carried { result, attempts } = client.carry_out(&errand).await;
    let outcome = match result {
        Ok(response) => {
            let masks = Masks::new(known.secrets.values().map(Secret::expose));
            let mapped = tool.outcome(&response, &facts, arguments, &masks);
            match &mapped.fault {
                Some(fault) => say(Detail::new(fault)),
                None if response.status >= 500 || matches!(mapped.outcome, Outcome::Unavailable) => {
                    say(Detail::new(format!("HTTP {}", response.status)));
                }
                None => {}
            }
            mapped.outcome
        }
        Err(failure) => {
            say(Detail::new(&failure));
            failure.outcome(tool.effect)
        }
    };
    (outcome, attempts)
}

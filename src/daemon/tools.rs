//! Carries out the tools that calls ask for: one task for each, which a call does not wait for.
//!
//! When a call ends, what only reads is given up. What writes runs on in the hands of the daemon, and the operator is told how it
//! ended.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tracing::Instrument as _;

use crate::call::tools::{self, Job, JobNumber};
use crate::config::Secret;
use crate::logging::Operator;
use crate::net::mcp::{self, Server};
use crate::net::tools::{Carried, Errand, ToolClient};
use crate::operator::{Detail, Notice, ToolTrouble};
use crate::tool::{
    Effect, Facts, Failure, HttpTool, Lookup, Masks, McpTool, Outcome, RenderError, Reply, Tool, Way,
};

/// The time for all attempts of a look-up together. The greeting waits less, and what comes later is told afterwards. With
/// more, the caller's data would reach the model long after the model has asked the caller for them.
const LOOKUP: Duration = Duration::from_secs(10);

/// What has ended.
pub enum Ended {
    /// A job.
    Job(tools::Result),
    /// A look-up, with what was found.
    Lookup(Arc<str>, Option<Value>),
}

/// What tools need of the call that asks for them.
#[derive(Default)]
pub struct Knowledge {
    /// `call`: id, caller, called, agent and now.
    pub call: Value,
    /// `vars`: what the dialplan said.
    pub vars: Value,
    /// The secrets of the agent, by name.
    pub secrets: BTreeMap<String, Secret>,
    /// The servers that list their tools themselves, by name.
    pub servers: HashMap<Arc<str>, Arc<Server>>,
}

impl Knowledge {
    fn secret(&self, name: &str) -> Option<String> {
        self.secrets.get(name).map(|secret| secret.expose().to_owned())
    }

    fn facts<'a>(&'a self, found: &'a Value) -> Facts<'a> {
        Facts { call: &self.call, vars: &self.vars, lookup: found }
    }

    fn masks(&self) -> Masks {
        Masks::new(self.secrets.values().map(Secret::expose))
    }
}

/// The tools of one call that are being carried out.
pub struct Jobs {
    client: ToolClient,
    known: Arc<Knowledge>,
    operator: Operator,
    tasks: JoinSet<()>,
    /// The look-ups that are under way. They end with the call.
    lookups: JoinSet<()>,
    /// What was looked up.
    found: Map<String, Value>,
    running: HashMap<JobNumber, AbortHandle>,
    ended: mpsc::Sender<Ended>,
    results: mpsc::Receiver<Ended>,
}

/// Ends that wait for their call, which reads them at once. There are no more jobs and look-ups in a whole call.
const ENDS: usize = 80;

impl Jobs {
    /// No tools run yet, for a call of which this is known.
    pub fn new(client: ToolClient, known: Knowledge, operator: Operator) -> Self {
        let (ended, results) = mpsc::channel(ENDS);
        let (known, running, found) = (Arc::new(known), HashMap::new(), Map::new());
        let (tasks, lookups) = (JoinSet::new(), JoinSet::new());
        Self { client, known, operator, tasks, lookups, found, running, ended, results }
    }

    /// This was looked up already.
    pub fn know(&mut self, name: &str, value: Value) {
        self.found.insert(name.to_owned(), value);
    }

    /// Begins a look-up.
    pub fn look_up(&mut self, lookup: Arc<Lookup>) {
        let (client, known, operator) = (self.client.clone(), Arc::clone(&self.known), self.operator);
        let ended = self.ended.clone();
        let task = async move {
            let found = look_up(&client, &known, &lookup, operator).await;
            // A call that has ended has no use for it.
            ended.send(Ended::Lookup(Arc::clone(&lookup.name), found)).await.ok();
        };
        // The lines of the log name the call.
        self.lookups.spawn(task.in_current_span());
    }

    /// Begins a job.
    pub fn begin(&mut self, job: Job) {
        let (client, known, operator) = (self.client.clone(), Arc::clone(&self.known), self.operator);
        let (number, ended) = (job.number, self.ended.clone());
        let found = Arc::new(Value::Object(self.found.clone()));
        let task = async move {
            let (outcome, attempts) = carry_out(&client, &known, &found, &job, operator).await;
            let code = outcome.code();
            if ended.send(Ended::Job(tools::Result { number, outcome, attempts })).await.is_err() {
                let tool = job.tool.name.to_string();
                operator.say(&Notice::ToolEndedAfterCall { tool, outcome: code });
            }
        };
        self.running.insert(number, self.tasks.spawn(task.in_current_span()));
    }

    /// Gives a job up.
    pub fn let_go(&mut self, number: JobNumber) {
        if let Some(task) = self.running.remove(&number) {
            task.abort();
        }
    }

    /// The call has ended: what is still being written.
    pub fn left(self) -> JoinSet<()> {
        self.tasks
    }

    /// Whether [`Self::next`] may bring something: a job or a look-up has been begun.
    #[must_use]
    pub fn may_end(&self) -> bool {
        !self.tasks.is_empty() || !self.lookups.is_empty()
    }

    /// What ends next.
    pub async fn next(&mut self) -> Ended {
        match self.results.recv().await {
            Some(Ended::Job(result)) => {
                self.running.remove(&result.number);
                Ended::Job(result)
            }
            Some(Ended::Lookup(name, found)) => {
                if let Some(found) = &found {
                    self.found.insert(name.to_string(), found.clone());
                }
                Ended::Lookup(name, found)
            }
            // This struct holds a sender, so that the channel does not close.
            None => std::future::pending().await,
        }
    }
}

/// Carries out one job: what came of it, and how many requests were made.
pub async fn carry_out(
    client: &ToolClient,
    known: &Arc<Knowledge>,
    found: &Arc<Value>,
    job: &Job,
    operator: Operator,
) -> (Outcome, u32) {
    let done = match &job.tool.way {
        Way::Http(http) => by_request(client, known, found, job, http).await,
        Way::Mcp(way) => by_server(known, found, job, way).await,
    };
    let Done { outcome, attempts, fault } = done;
    if let Some(cause) = fault {
        let (tool, server) = (job.tool.name.to_string(), job.tool.server());
        operator.say(&Notice::ToolFailed { tool, server, cause, outcome: outcome.code() });
    }
    (outcome, attempts)
}

/// Works on an answer on a thread of its own: a long one would delay the audio of the calls that share this thread.
async fn on_own_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The daemon ends.
            Err(_) => std::future::pending().await,
        },
    }
}

/// How a job was done.
struct Done {
    outcome: Outcome,
    /// How many requests were made.
    attempts: u32,
    /// What the operator should know.
    fault: Option<ToolTrouble>,
}

impl Done {
    /// There is no request.
    fn not_made(tool: &Tool, error: &RenderError) -> Self {
        let outcome = tool.refused(error);
        let fault = (outcome == Outcome::Unavailable).then(|| ToolTrouble::Template(Detail::new(error)));
        Self { outcome, attempts: 0, fault }
    }

    /// There is no answer that can be used.
    fn failed(tool: &Tool, failure: Failure, attempts: u32) -> Self {
        Self { outcome: failure.outcome(tool.effect), attempts, fault: Some(ToolTrouble::Failed(failure)) }
    }
}

/// Carries a job out by a request.
async fn by_request(
    client: &ToolClient,
    known: &Arc<Knowledge>,
    found: &Arc<Value>,
    job: &Job,
    http: &Arc<HttpTool>,
) -> Done {
    let Job { tool, arguments, key, .. } = job;
    let request = match http.request(&known.facts(found), arguments, key, &|name: &str| known.secret(name)) {
        Ok(request) => request,
        Err(error) => return Done::not_made(tool, &error),
    };
    let errand = Errand {
        request: &request,
        effect: tool.effect,
        idempotent: tool.is_idempotent(),
        timeout: tool.timeout,
    };
    let Carried { result, attempts, .. } = client.carry_out(&errand).await;
    let response = match result {
        Ok(response) => response,
        Err(failure) => return Done::failed(tool, failure, attempts),
    };
    let status = response.status;
    let (known, found, http) = (Arc::clone(known), Arc::clone(found), Arc::clone(http));
    let (arguments, effect) = (arguments.clone(), tool.effect);
    let mapped = on_own_thread(move || {
        http.outcome(&response, &known.facts(&found), &arguments, effect, &known.masks())
    });
    let mapped = mapped.await;
    let fault = match &mapped.fault {
        Some(fault) => Some(ToolTrouble::Template(Detail::new(fault))),
        None if status >= 500 || matches!(mapped.outcome, Outcome::Unavailable) => {
            Some(ToolTrouble::Status(status))
        }
        None => None,
    };
    Done { outcome: mapped.outcome, attempts, fault }
}

/// Carries a job out by the server that lists the tool.
async fn by_server(known: &Arc<Knowledge>, found: &Value, job: &Job, way: &McpTool) -> Done {
    let Job { tool, arguments, .. } = job;
    let arguments = match way.arguments(&known.facts(found), arguments, &|name: &str| known.secret(name)) {
        Ok(arguments) => arguments,
        Err(error) => return Done::not_made(tool, &error),
    };
    let Some(server) = known.servers.get(&way.server.name) else {
        return Done::failed(tool, Failure::Closed, 0);
    };
    let errand = mcp::Errand {
        tool: way.name.clone(),
        arguments,
        effect: tool.effect,
        idempotent: tool.is_idempotent(),
        timeout: tool.timeout,
    };
    let mcp::Called { result, attempts } = server.call(&errand).await;
    match result {
        Ok(reply) => {
            let fault = match &reply {
                Reply::NeedsScreen => Some(ToolTrouble::NeedsScreen),
                Reply::Error { code, .. } => Some(ToolTrouble::JsonRpc(*code)),
                Reply::Result { .. } => None,
            };
            let (known, effect) = (Arc::clone(known), tool.effect);
            let outcome = on_own_thread(move || reply.outcome(effect, &known.masks())).await;
            Done { outcome, attempts, fault }
        }
        Err(failure) => Done::failed(tool, failure, attempts),
    }
}

/// Looks something up: what was found, if anything was.
async fn look_up(
    client: &ToolClient,
    known: &Arc<Knowledge>,
    lookup: &Arc<Lookup>,
    operator: Operator,
) -> Option<Value> {
    let none = Value::Object(Map::new());
    let say = |cause: ToolTrouble| {
        let server = lookup.request.target.origin.to_string();
        operator.say(&Notice::LookupFailed { lookup: lookup.name.to_string(), server, cause });
        None
    };
    let request = match lookup.request.render(
        &known.facts(&none),
        &Value::Null,
        &|name: &str| known.secret(name),
        None,
    ) {
        Ok(request) => request,
        Err(error) => return say(ToolTrouble::Template(Detail::new(&error))),
    };
    let errand = Errand { request: &request, effect: Effect::Read, idempotent: false, timeout: LOOKUP };
    match client.carry_out(&errand).await.result {
        // That there is no such customer is no fault.
        Ok(response) if response.status >= 400 && response.status != 404 => {
            say(ToolTrouble::Status(response.status))
        }
        Ok(response) => {
            let (known, lookup) = (Arc::clone(known), Arc::clone(lookup));
            let found =
                on_own_thread(move || lookup.mapping.found(&response, &known.facts(&none), &known.masks()));
            found.await.unwrap_or_else(|error| say(ToolTrouble::Template(Detail::new(&error))))
        }
        Err(failure) => say(ToolTrouble::Failed(failure)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use serde_json::json;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::net::tls;
    use crate::operator::Language;
    use crate::tool::{Confirm, Mapping, Parameters, Request, Target};

    /// A tool that asks this address.
    fn tool(address: std::net::SocketAddr) -> Tool {
        let target = Target::parse(&format!("POST http://{address}/")).expect("an address");
        let (query, headers, body) = (Vec::new(), Vec::new(), None);
        let request = Request { target, query, headers, body };
        let way = HttpTool { request, idempotency: None, mapping: Mapping::default() };
        Tool {
            name: "book".into(),
            description: String::new(),
            effect: Effect::Write,
            parameters: Parameters::new(json!({"type": "object"}), [].into()).expect("parameters"),
            way: Way::Http(Arc::new(way)),
            timeout: Duration::from_secs(30),
            say_after: None,
            confirm: Confirm::Nobody,
            repeatable: false,
        }
    }

    #[test]
    fn an_answer_is_read_on_a_thread_of_its_own() {
        let threads = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&threads);
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime
            .enable_all()
            .on_thread_start(move || {
                counter.fetch_add(1, SeqCst);
            })
            .build();
        let (outcome, attempts) = runtime.expect("a runtime").block_on(async {
            let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let tool = tool(server.local_addr().expect("an address"));
            let serving = async {
                let (mut stream, _) = server.accept().await.expect("a connection");
                let _head = stream.read(&mut [0; 4096]).await.expect("a request");
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{\"id\":7}";
                stream.write_all(answer).await.expect("an answer");
                stream
            };
            let arguments = tool.parameters.check("{}").expect("arguments");
            let job = Job::alone(Arc::new(tool), arguments, String::new());
            let client = ToolClient::new(&tls::client_config().expect("TLS")).expect("a client");
            let (known, found) = (Arc::default(), Arc::new(json!({})));
            let operator = Operator::new(Language::English);
            let (done, _stream) = tokio::join!(carry_out(&client, &known, &found, &job, operator), serving);
            done
        });
        assert_eq!((outcome, attempts), (Outcome::Done { result: json!({"id": 7}) }, 1));
        assert_eq!(threads.load(SeqCst), 1, "the runtime itself has no other thread");
    }
}

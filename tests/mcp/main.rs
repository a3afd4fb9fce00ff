//! Tests servers of tools with real ones: `@modelcontextprotocol/server-everything` of npm, which speaks the protocol of before
//! 2026-07-28, and the package `mcp` of PyPI, which speaks both (`crm.py`). `tests/mcp/setup` installs them; `MCP_SERVERS` is the
//! folder where they are. Without it the tests do nothing and say so, unless `MCP_TESTS=required`.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use openai_inbound_calls::net::mcp::{Address, Called, Errand, HttpAddress, News, Program, Server, ServerId};
use openai_inbound_calls::net::tls;
use openai_inbound_calls::net::tools::ToolClient;
use openai_inbound_calls::tool::{Effect, Failure, Masks, Reply};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Longer than anything that works takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The folder of the servers. `None`: they are not installed.
#[expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a skipped test says so")]
fn servers() -> Option<PathBuf> {
    let folder = std::env::var("MCP_SERVERS").ok().map(PathBuf::from).filter(|folder| folder.is_dir());
    if folder.is_none() {
        assert!(std::env::var("MCP_TESTS").as_deref() != Ok("required"), "MCP_SERVERS names no folder");
        println!("skipped: MCP_SERVERS names no folder (tests/run mcp installs the servers)");
    }
    folder
}

/// A server of tools.
struct Kept {
    server: Server,
    news: mpsc::Receiver<(ServerId, News)>,
    _keeper: JoinSet<()>,
}

impl Kept {
    fn new(address: Address) -> Self {
        let client = ToolClient::new(&tls::client_config().expect("a trust store")).expect("a client");
        let (tell, news) = mpsc::channel(64);
        let (server, keeping) = Server::new(&client, address, ServerId(1), tell);
        let mut keeper = JoinSet::new();
        keeper.spawn(keeping);
        Self { server, news, _keeper: keeper }
    }

    async fn next(&mut self) -> News {
        let next = tokio::time::timeout(PATIENCE, self.news.recv()).await;
        next.expect("news in time").expect("the keeper runs").1
    }

    /// The names of the tools, once the server is there.
    async fn listed(&mut self) -> Vec<String> {
        loop {
            if let News::Listed(tools) = self.next().await {
                return tools.into_iter().map(|tool| tool.name).collect();
            }
        }
    }

    async fn call(&self, tool: &str, arguments: Value, effect: Effect, timeout: Duration) -> Called {
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        let errand = Errand { tool: tool.to_owned(), arguments, effect, idempotent: false, timeout };
        self.server.call(&errand).await
    }

    async fn reads(&self, tool: &str, arguments: Value) -> Result<Reply, Failure> {
        self.call(tool, arguments, Effect::Read, PATIENCE).await.result
    }
}

/// A program with these variables.
fn program(words: &[&str], variables: &[(&str, &Path)]) -> Address {
    let variable = |(name, path): &(&str, &Path)| ((*name).to_owned(), path.display().to_string());
    Address::Program(Program {
        program: words[0].to_owned(),
        arguments: words[1..].iter().map(|word| (*word).to_owned()).collect(),
        variables: variables.iter().map(variable).collect(),
        masks: Masks::default(),
    })
}

/// A server over HTTP that runs until it is dropped.
struct Serving(Child, String);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Serving {
    /// Starts a server, and waits for a line of its standard error that says that it listens.
    fn start(command: &mut Command, port: u16, listens: &str) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a server");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let said = lines.by_ref().map_while(Result::ok).find(|line| line.contains(listens));
        assert!(said.is_some(), "the server does not listen");
        // Whoever closes the pipe would end the server with its next line.
        std::thread::spawn(move || lines.for_each(drop));
        Self(child, format!("http://127.0.0.1:{port}/mcp"))
    }

    fn address(&self) -> Address {
        Address::Http(HttpAddress { url: self.1.clone(), headers: vec![("X-Token".into(), "s3cret".into())] })
    }
}

/// A port on which nobody listens now.
fn port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn text(reply: Result<Reply, Failure>) -> String {
    match reply {
        Ok(Reply::Result { text, is_error: false, .. }) => text,
        other => panic!("no result: {other:?}"),
    }
}

async fn everything(mut kept: Kept) {
    let tools = kept.listed().await;
    assert!(tools.contains(&"get-sum".to_owned()) && tools.len() > 8, "{tools:?}");
    let sum = text(kept.reads("get-sum", json!({"a": 2, "b": 3})).await);
    assert!(sum.contains('5'), "{sum}");
    let wrong = kept.reads("get-sum", json!({"a": "two"})).await;
    let refused =
        matches!(wrong, Ok(Reply::Result { is_error: true, .. } | Reply::Error { code: -32_602, .. }));
    assert!(refused, "{wrong:?}");
    let structured = kept.reads("get-structured-content", json!({"location": "Chicago"})).await;
    assert!(
        matches!(structured, Ok(Reply::Result { structured: Some(Value::Object(_)), .. })),
        "{structured:?}"
    );
    // With progress, which does not prolong it.
    let long = json!({"duration": 30, "steps": 300});
    let late = kept.call("trigger-long-running-operation", long, Effect::Read, Duration::from_secs(1)).await;
    assert_eq!(late, Called { result: Err(Failure::Late), attempts: 1 });
    let sum = text(kept.reads("get-sum", json!({"a": 4, "b": 3})).await);
    assert!(sum.contains('7'), "the session goes on: {sum}");
}

fn index(folder: &Path) -> String {
    let path = folder.join("node_modules/@modelcontextprotocol/server-everything/dist/index.js");
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_everything_over_stdio() {
    let Some(folder) = servers() else { return };
    let kept = Kept::new(program(
        &["/usr/bin/env", "node", &index(&folder), "stdio"],
        &[("PATH", Path::new("/usr/local/bin:/usr/bin:/bin"))],
    ));
    everything(kept).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_everything_sees_no_variable_that_is_not_named() {
    let Some(folder) = servers() else { return };
    let path = ("PATH", Path::new("/usr/local/bin:/usr/bin:/bin"));
    let mut kept = Kept::new(program(&["/usr/bin/env", "node", &index(&folder), "stdio"], &[path]));
    kept.listed().await;
    let seen: Value = serde_json::from_str(&text(kept.reads("get-env", json!({})).await)).expect("JSON");
    let names: Vec<_> = seen.as_object().expect("variables").keys().collect();
    assert_eq!(names, ["PATH"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_everything_over_http() {
    let Some(folder) = servers() else { return };
    let port = port();
    let mut command = Command::new("node");
    command.args([&index(&folder), "streamableHttp"]).env("PORT", port.to_string());
    let serving = Serving::start(&mut command, port, "listening");
    everything(Kept::new(serving.address())).await;
}

/// The server of PyPI, and the file in which it notes what it does.
struct Crm {
    python: String,
    script: String,
    journal: PathBuf,
    _folder: tempfile::TempDir,
}

impl Crm {
    fn new(servers: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mcp/crm.py");
        Self {
            python: servers.join("python/bin/python").display().to_string(),
            script: script.display().to_string(),
            journal: folder.path().join("journal"),
            _folder: folder,
        }
    }

    fn over_stdio(&self) -> Address {
        program(&[&self.python, &self.script, "stdio"], &[("CRM_JOURNAL", &self.journal)])
    }

    fn over_http(&self, port: u16) -> Serving {
        let mut command = Command::new(&self.python);
        command.args([&self.script, "http", &port.to_string()]).env("CRM_JOURNAL", &self.journal);
        Serving::start(&mut command, port, "running on")
    }

    fn journal(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.journal).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until the server has noted this.
    async fn notes(&self, line: &str) {
        let noted = async {
            while !self.journal().iter().any(|noted| noted == line) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, noted)
            .await
            .unwrap_or_else(|_| panic!("no {line}: {:?}", self.journal()));
    }
}

async fn crm(crm: &Crm, mut kept: Kept) {
    assert!(kept.listed().await.contains(&"find_customer".to_owned()));
    let found = kept.reads("find_customer", json!({"phone": "300"})).await;
    let Ok(Reply::Result { structured: Some(found), .. }) = found else { panic!("{found:?}") };
    assert_eq!(found, json!({"name": "Ana", "phone": "300"}));
    let opened =
        kept.call("open_ticket", json!({"title": "x", "phone": "300"}), Effect::Write, PATIENCE).await;
    assert!(text(opened.result).contains("4711"));
    for (tool, arguments, words) in
        [("fail", json!({"text": "no room"}), "no room"), ("find_customer", json!({}), "phone")]
    {
        let failed = kept.reads(tool, arguments).await;
        let Ok(Reply::Result { text, is_error: true, .. }) = &failed else { panic!("{failed:?}") };
        assert!(text.contains(words), "{text}");
    }
    assert_eq!(kept.reads("ask", json!({})).await, Ok(Reply::NeedsScreen));
    // What reads is cancelled when nobody waits any more; what writes is not.
    let slow = |seconds: f64| json!({"seconds": seconds});
    let late = Called { result: Err(Failure::Late), attempts: 1 };
    let wait = Duration::from_secs(2);
    assert_eq!(kept.call("find_slowly", slow(600.0), Effect::Read, wait).await, late);
    crm.notes("find_slowly cancelled").await;
    assert_eq!(kept.call("write_slowly", slow(4.0), Effect::Write, wait).await, late);
    crm.notes("write_slowly ends").await;
    assert!(!crm.journal().contains(&"write_slowly cancelled".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_package_of_pypi_over_stdio() {
    let Some(folder) = servers() else { return };
    let of_test = Crm::new(&folder);
    let mut kept = Kept::new(of_test.over_stdio());
    kept.listed().await;
    let seen = text(kept.reads("variables", json!({})).await);
    assert!(seen.contains("CRM_JOURNAL") && !seen.contains("HOME") && !seen.contains("PATH"), "{seen}");
    crm(&of_test, Kept::new(of_test.over_stdio())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_package_of_pypi_over_http() {
    let Some(folder) = servers() else { return };
    let of_test = Crm::new(&folder);
    let serving = of_test.over_http(port());
    crm(&of_test, Kept::new(serving.address())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_pypi_that_dies_in_a_call_comes_back() {
    let Some(folder) = servers() else { return };
    let of_test = Crm::new(&folder);
    let mut kept = Kept::new(of_test.over_stdio());
    kept.listed().await;
    let died = kept.call("die", json!({}), Effect::Write, PATIENCE).await;
    assert_eq!(
        died,
        Called { result: Err(Failure::Unanswered("the connection was closed".into())), attempts: 1 }
    );
    kept.listed().await;
    assert!(kept.reads("find_customer", json!({"phone": "300"})).await.is_ok());
    assert_eq!(of_test.journal(), ["die"], "once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_over_http_that_is_killed_in_a_call_is_not_known_and_comes_back() {
    let Some(folder) = servers() else { return };
    let (of_test, port) = (Crm::new(&folder), port());
    let serving = of_test.over_http(port);
    let mut kept = Kept::new(serving.address());
    kept.listed().await;
    let call = kept.call("write_slowly", json!({"seconds": 600}), Effect::Write, PATIENCE);
    let kill = async {
        of_test.notes("write_slowly begins").await;
        drop(serving);
    };
    let (called, ()) = tokio::join!(call, kill);
    let failure = called.result.expect_err("it was killed");
    assert!(failure.may_have_been_received(), "{failure:?}");
    assert_eq!(called.attempts, 1);
    let _serving = of_test.over_http(port);
    kept.listed().await;
    assert!(kept.reads("find_customer", json!({"phone": "300"})).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mute_program_is_away_and_holds_nothing_up() {
    let Some(folder) = servers() else { return };
    let of_test = Crm::new(&folder);
    let mut kept =
        Kept::new(program(&[&of_test.python, &of_test.script, "mute"], &[("CRM_JOURNAL", &of_test.journal)]));
    let called = kept.call("find_customer", json!({"phone": "300"}), Effect::Read, PATIENCE).await;
    assert_eq!(called, Called { result: Err(Failure::Closed), attempts: 0 });
    assert_eq!(kept.next().await, News::Away("no answer in time".to_owned()));
}

//! A folder of recordings, the API over it, and a client that sends exactly what a test says.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openai_inbound_calls::archive::{Archive, OfAgentFiles};
use openai_inbound_calls::ari::ChannelId;
use openai_inbound_calls::call::record::{Keep, Opening};
use openai_inbound_calls::clock::Clock;
use openai_inbound_calls::clock::now;
use openai_inbound_calls::config::{ApiConfig, ApiToken, ArchiveConfig, Role};
use openai_inbound_calls::http::health::RecorderHealth;
use openai_inbound_calls::http::live;
use openai_inbound_calls::logging::Operator;
use openai_inbound_calls::media::wav;
use openai_inbound_calls::operator::Language;
use openai_inbound_calls::recordings::index::keeper::Feed;
use openai_inbound_calls::recordings::retention::OfAgents;
use openai_inbound_calls::recordings::{Handle, Recorder, RecordingSettings};
use openai_inbound_calls::registry::{self, Log, Server};
use serde_json::{Value, json};
use tokio::sync::watch;

/// The time limit of every wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running API.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    archive: Option<Archive>,
}

/// The differences of a world from the default.
#[derive(Default)]
pub(crate) struct With {
    pub(crate) tokens: Vec<ApiToken>,
    /// The group whose members are admitted without a token.
    pub(crate) group: Option<String>,
    /// The addresses of reverse proxies.
    pub(crate) trusted_proxies: &'static [&'static str],
    pub(crate) retention_days: Option<u32>,
    /// The periods of agents. None: no agent has one.
    pub(crate) of_agents: Option<watch::Receiver<Option<OfAgents>>>,
    pub(crate) database: Option<PathBuf>,
    pub(crate) server: Option<Server>,
    pub(crate) recorder: Option<Arc<Mutex<RecorderHealth>>>,
    pub(crate) daemon: Option<live::Daemon>,
    /// The state of the machine's clock. None: the clock is set.
    pub(crate) clock: Option<fn() -> Clock>,
}

/// A token with this role.
pub(crate) fn token(name: &str, role: Role, secret: &str) -> ApiToken {
    let secret = openai_inbound_calls::config::Secret::new(secret.to_owned());
    ApiToken { name: name.to_owned(), role, secret }
}

pub(crate) fn settings(folder: &Path) -> RecordingSettings {
    RecordingSettings {
        folder: folder.to_owned(),
        keep: Keep::ALL,
        language: Language::English,
        recipient: None,
        identity: None,
        retention_days: None,
    }
}

impl World {
    /// The API over an empty folder.
    pub(crate) fn empty() -> Self {
        Self::over(tempfile::tempdir().unwrap(), With::default())
    }

    /// The API over a folder with recordings of these ids.
    pub(crate) fn of(ids: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for id in ids {
            record(folder.path(), id, "+573001234567");
        }
        Self::over(folder, With::default())
    }

    /// The API over this folder, with its index ready.
    pub(crate) fn over(folder: tempfile::TempDir, with: With) -> Self {
        let With {
            tokens,
            group,
            trusted_proxies,
            retention_days,
            of_agents,
            database,
            server,
            recorder,
            daemon,
            clock,
        } = with;
        let clock = clock.unwrap_or(|| Clock::Synchronised);
        let trusted_proxies = trusted_proxies.iter().map(|network| network.parse().unwrap()).collect();
        let config = ArchiveConfig {
            call_log: registry::Settings { file: folder.path().join("calls.db"), server },
            country: None,
            index: database.unwrap_or_else(|| folder.path().join("calls-index.db")),
            api: ApiConfig { listen: ([127, 0, 0, 1], 0).into(), tokens, group, trusted_proxies },
        };
        let recordings = RecordingSettings { retention_days, ..settings(folder.path()) };
        let ask =
            move || recorder.as_ref().map(|health| *health.lock().unwrap_or_else(PoisonError::into_inner));
        let operator = Operator::new(Language::English);
        let retention = of_agents.unwrap_or_else(|| watch::channel(Some(OfAgents::new())).1);
        let follows = OfAgentFiles { retention, courier: None };
        let mut archive =
            Archive::start(recordings, &config, operator, Box::new(ask), daemon, clock, follows).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let address = runtime.block_on(archive.address()).unwrap();
        let world = Self { folder, address, archive: Some(archive) };
        world.until("the index is ready", |world| world.get("/health").json()["index"] == "ready");
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The names of the recordings' files in the folder, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| name.contains("20"));
        names.sort();
        names
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[])
    }

    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask_with(method, path, headers, "")
    }

    /// Makes a request with a body.
    pub(crate) fn ask_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            write!(head, "Host: {}\r\n", self.address).unwrap();
        }
        for (name, value) in headers.iter().filter(|(_, value)| *value != "-") {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        if !body.is_empty() {
            write!(head, "Content-Length: {}\r\n", body.len()).unwrap();
        }
        self.send(format!("{head}\r\n{body}").as_bytes(), method == "HEAD")
    }

    /// Sends these bytes and reads until the other end closes.
    pub(crate) fn send(&self, bytes: &[u8], is_head: bool) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        Answer::parse(&answer, is_head)
    }

    /// The ids of a list, in its order.
    pub(crate) fn ids(&self, query: &str) -> Vec<String> {
        let list = self.get(&format!("/recordings{query}"));
        assert_eq!(list.status, 200, "{query}: {}", list.text());
        ids(&list.json())
    }

    /// Repeats the check until it succeeds.
    pub(crate) fn until(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let end = now() + PATIENCE;
        while !is_so(self) {
            assert!(now() < end, "waited in vain until {what}");
            std::thread::yield_now();
        }
    }

    /// The lines of the access log, once there are this many.
    pub(crate) fn accesses(&self, count: usize) -> Vec<String> {
        self.lines("access.log", count)
    }

    /// The lines of the log of refused requests, once there are this many.
    pub(crate) fn refusals(&self, count: usize) -> Vec<String> {
        self.lines("refused.log", count)
    }

    fn lines(&self, log: &str, count: usize) -> Vec<String> {
        let read = || fs::read_to_string(self.path(log)).unwrap_or_default();
        self.until(&format!("{log} is written"), |_| read().lines().count() >= count);
        read().lines().map(ToOwned::to_owned).collect()
    }

    /// The feed through which a recorder updates the index.
    pub(crate) fn feed(&self) -> Feed {
        self.archive.as_ref().unwrap().feed()
    }

    /// The log to which a daemon offers rows.
    pub(crate) fn log(&self) -> Log {
        self.archive.as_ref().unwrap().log()
    }

    /// Ends the API and keeps the folder.
    pub(crate) fn stop(mut self) -> tempfile::TempDir {
        self.archive.take().unwrap().stop();
        self.folder
    }
}

pub(crate) fn ids(list: &Value) -> Vec<String> {
    let rows = list["recordings"].as_array().unwrap();
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8], is_head: bool) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let answer = Self { status, head, body: bytes[end + 4..].to_vec() };
        match answer.header("content-length") {
            Some(_) if is_head => assert_eq!(answer.body, b""),
            Some(length) => assert_eq!(length.parse(), Ok(answer.body.len()), "all of the body came"),
            None => assert_eq!(answer.body, b"", "a body has its length"),
        }
        answer
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Checks that the answer is the complete problem document of this status and code.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!((&problem["status"], &problem["code"]), (&json!(status), &json!(code)));
        assert_eq!(problem["type"], "about:blank");
        assert!(
            !problem["title"].as_str().unwrap().is_empty() && !problem["detail"].as_str().unwrap().is_empty()
        );
        assert_eq!(self.header("cache-control"), Some("no-store"));
    }
}

/// The stereo audio of a made-up recording: one second in which no two neighbours are equal.
pub(crate) fn sound() -> Vec<u8> {
    (0..16_000_u32).map(|n| (n % 251) as u8).collect()
}

/// Writes a finished recording.
pub(crate) fn record(folder: &Path, id: &str, caller: &str) {
    let write = |suffix: &str, bytes: &[u8]| fs::write(folder.join(format!("{id}{suffix}")), bytes).unwrap();
    let mut file = wav::header(2, Some(16_000)).to_vec();
    file.extend(sound());
    write("_audio.wav", &file);
    write("_audio.bin", &[0x7F; 1_000]);
    write("_summary.txt", "Llamada de Íñigo\n".as_bytes());
    write("_conversation.json", conversation(id, caller).as_bytes());
}

/// Writes a finished recording of this agent.
pub(crate) fn record_of(folder: &Path, id: &str, agent: &str) {
    record(folder, id, "1");
    let path = folder.join(format!("{id}_conversation.json"));
    let mut conversation: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    conversation["agent"] = agent.into();
    fs::write(path, conversation.to_string()).unwrap();
}

/// The conversation of a made-up recording.
pub(crate) fn conversation(id: &str, caller: &str) -> String {
    let (day, time) = (&id[..8], &id[9..15]);
    let start = format!(
        "{}-{}-{}T{}:{}:{}.123456",
        &day[..4],
        &day[4..6],
        &day[6..],
        &time[..2],
        &time[2..4],
        &time[4..]
    );
    json!({
        "call_id": &id[16..], "start_time": start, "end_time": "2025-10-20T14:35:10.654321",
        "duration_seconds": 285.5,
        "conversation": [{"timestamp": "2025-10-20T14:30:26.000000", "speaker": "user",
            "text": "Hola, quiero una cita", "type": "transcript_completed"}],
        "total_messages": 1, "audio_chunks_count": 42, "utc_offset": "-05:00", "caller": caller,
        "called": "3241000752", "end_reason": "caller_hung_up", "model": "gpt-realtime-2.1",
        "agent": "default", "interruptions": 3, "recovered": false,
        "events": [{"at_ms": -20, "timestamp": "2025-10-20T14:30:25.200000", "type": "connected", "detail": ""}],
    })
    .to_string()
}

/// A call that runs for as long as both values are kept.
pub(crate) fn running_call(folder: &Path, channel: &str, started: &str) -> (Recorder, Handle) {
    let recorder = Recorder::start(settings(folder), now, |_| ()).unwrap();
    let handle = recorder.open(opening(channel, started));
    (recorder, handle)
}

/// A call from +573009999999.
pub(crate) fn opening(channel: &str, started: &str) -> Opening {
    Opening {
        channel: ChannelId::from(channel),
        caller: "+573009999999".into(),
        called: "100".to_owned(),
        model: "m".to_owned(),
        agent: "default".to_owned(),
        agent_version: "3f9a2c01b7de".to_owned(),
        started: chrono::DateTime::parse_from_rfc3339(started).unwrap(),
        keep: Keep::ALL,
    }
}

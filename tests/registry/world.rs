//! A running call log, what it told the operator, and calls to add.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openai_inbound_calls::clock::now;
use openai_inbound_calls::number::Sought;
use openai_inbound_calls::operator::{Language, Notice};
use openai_inbound_calls::registry::{
    self, Filter, Log, Opener, Reader, RegistryError, Row, Server, Settings, Tokens, ToolUse, Writer,
};
use openai_inbound_calls::units::{MicroUsd, Milliseconds};
use serde_json::json;
use tokio::task::JoinSet;

/// The time limit of a wait: longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The interval at which a condition is checked.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// 2025-10-20T14:30:25Z, a Monday, in microseconds.
pub(crate) const MONDAY: i64 = 1_760_970_625_000_000;
pub(crate) const SECOND: i64 = 1_000_000;

/// A call log and its task.
pub(crate) struct World {
    pub(crate) log: Log,
    pub(crate) reader: Reader,
    pub(crate) said: Said,
    task: JoinSet<()>,
}

/// The notices to the operator.
#[derive(Clone, Default)]
pub(crate) struct Said(Arc<Mutex<Vec<Notice>>>);

impl Said {
    pub(crate) fn tell(&self) -> registry::Tell {
        let said = self.clone();
        Box::new(move |notice| said.0.lock().unwrap_or_else(PoisonError::into_inner).push(notice))
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.iter().map(|notice| notice.line(Language::English)).collect()
    }

    /// The number of notices whose line starts like this.
    pub(crate) fn times(&self, beginning: &str) -> usize {
        self.lines().iter().filter(|line| line.starts_with(beginning)).count()
    }
}

/// A log whose task is not running yet.
pub(crate) fn idle(file: &Path, server: Option<Server>, opener: Opener) -> (Log, Reader, Writer, Said) {
    let said = Said::default();
    let (log, reader, writer) =
        registry::open(&Settings { file: file.to_owned(), server }, opener, said.tell());
    (log, reader, writer, said)
}

impl World {
    pub(crate) fn start(file: &Path, server: Option<Server>) -> Self {
        Self::start_as(Opener::Daemon, file, server)
    }

    pub(crate) fn start_as(opener: Opener, file: &Path, server: Option<Server>) -> Self {
        let (log, reader, writer, said) = idle(file, server, opener);
        let mut task = JoinSet::new();
        task.spawn(writer.run());
        Self { log, reader, said, task }
    }

    pub(crate) fn offer(&self, rows: impl IntoIterator<Item = Row>) {
        rows.into_iter().for_each(|row| self.log.offer(row));
    }

    /// Offers these rows and waits until the last one is there with its content.
    pub(crate) async fn put(&self, rows: Vec<Row>) {
        let last = rows.last().cloned().expect("some");
        self.offer(rows);
        self.until_there(&last).await;
    }

    pub(crate) async fn until_there(&self, row: &Row) {
        until("the row is there", async || self.find(&row.row_id).await.as_ref() == Some(row)).await;
    }

    /// The row or call. None: the log does not answer, or does not have it.
    pub(crate) async fn find(&self, id: &str) -> Option<Row> {
        self.reader.find(id).await.ok().flatten()
    }

    /// The ids of a list, in its order.
    pub(crate) async fn ids(&self, filter: &Filter) -> Result<Vec<String>, RegistryError> {
        Ok(self.reader.page(filter).await?.entries.into_iter().map(|row| row.call_id).collect())
    }

    /// Ends the log in order, so that everything offered is in the file.
    pub(crate) async fn stop(mut self) -> Said {
        drop(self.log);
        while let Some(ended) = self.task.join_next().await {
            ended.expect("it does not panic");
        }
        self.said
    }

    /// Ends the log abruptly.
    pub(crate) async fn kill(mut self) {
        self.task.shutdown().await;
    }
}

/// Repeats the check until it succeeds.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let end = now() + PATIENCE;
    while !is_so().await {
        assert!(now() < end, "waited in vain until {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The calls of this number.
pub(crate) fn sought(number: &str) -> Sought {
    Sought::new(number, None).expect("a number")
}

/// A running call that began `seconds` after [`MONDAY`].
pub(crate) fn running(call_id: &str, seconds: i64) -> Row {
    Row {
        row_id: format!("row-{call_id}"),
        call_id: call_id.into(),
        recording_id: Some(format!("20251020_143025_{call_id}")),
        host: "pbx".into(),
        caller: "+34 600-111-222".into(),
        called: "900".into(),
        model: "gpt-realtime-2.1".into(),
        agent: "default".into(),
        agent_version: "3f9a2c01b7de".into(),
        offered_us: MONDAY + seconds * SECOND,
        ..Row::default()
    }
}

/// A tool that was carried out.
pub(crate) fn booked() -> ToolUse {
    ToolUse {
        at_ms: 12_000,
        name: "book".into(),
        outcome: "ok".into(),
        ms: 840,
        attempts: 2,
        agreed_in_turn: Some(3),
        arguments: Some(json!({"phone": "+34 600-111-222", "note": "***"})),
        answer: Some(json!({"ok": true, "result": {"id": 4711}})),
    }
}

/// The same call after its end.
pub(crate) fn ended(call_id: &str, seconds: i64) -> Row {
    let row = running(call_id, seconds);
    Row {
        answered_us: Some(row.offered_us + 40_000),
        first_audio_us: Some(row.offered_us + 900_000),
        ended_us: Some(row.offered_us + 60 * SECOND),
        duration: Some(Milliseconds::new(60_000)),
        end_reason: Some("caller_hung_up".into()),
        turns: 7,
        interruptions: 2,
        greeting: Some(Milliseconds::new(860)),
        turn_p50: Some(Milliseconds::new(640)),
        turn_p95: Some(Milliseconds::new(1_200)),
        tokens: Some(Tokens {
            text_in: 1_000,
            audio_in: 600,
            cached_text_in: 500,
            cached_audio_in: 100,
            text_out: 90,
            audio_out: 400,
            estimated: false,
        }),
        cost: Some(MicroUsd::new(43_210)),
        tools: vec![booked()],
        ..row
    }
}

//! The log. One tracing pipeline serves two audiences. It writes to stdout (or the journal) and appends to
//! `LOG_FILE_PATH`.
//!
//! Lines for the operator enter through [`Operator::say`], in the operator's language, and pass every filter. Lines
//! for developers come from the macros of tracing, in English, as far as `LOG_LEVEL` permits. `operator`, not this
//! module, decides what is worth telling the operator.
//!
//! ```text
//! Operator::say ──┐
//!                 ├── filter ── line::Lines ──(bounded queue)── writer thread ──┬── stdout / journal
//! debug!, trace! ─┘                                                             └── LogFile
//! ```

mod hidden;
mod line;
mod writer;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogConfig, Secret};
use crate::operator::{Detail, Language, Level, Notice};
use hidden::Hidden;
use line::{Line, Lines, Order, Queue, Style};
use writer::{QUEUE_LINES, Writer};

/// The target of the operator's lines. No filter drops this target.
pub const OPERATOR_TARGET: &str = "operator";

/// The name of a call's span, to be created with `info_span!`. Its field `id` appears at the beginning of each of the
/// call's lines.
pub const CALL_SPAN: &str = "call";

/// How long the end of the daemon waits for the last lines to be written. If the queue is full, it waits as long
/// again for room. A longer time would let a disk that hangs delay systemd's stop; a shorter one loses the last lines
/// on a slow disk.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// How many times a full queue is tried within [`FLUSH_LIMIT`]. More tries find room sooner and cost CPU time.
const FLUSH_TRIES: u32 = 50;

/// Opens the log file and makes this the log of the process. The caller keeps the [`Guard`] until the end.
///
/// # Errors
/// The file cannot be opened, or this process already has a log.
pub fn init(config: &LogConfig) -> Result<Guard, InitError> {
    let out = io::stdout();
    let style = writer::style_of(&out);
    start(config, out, style)
}

/// Does the same with `shown` instead of stdout. `shown` receives every line as in the file, one at a time.
///
/// # Errors
/// The file cannot be opened, or this process already has a log.
pub fn init_shown_by(config: &LogConfig, shown: impl Write + Send + 'static) -> Result<Guard, InitError> {
    start(config, shown, Style::File)
}

fn start<Out: Write + Send + 'static>(
    config: &LogConfig,
    out: Out,
    out_style: Style,
) -> Result<Guard, InitError> {
    let file =
        writer::open(&config.path).map_err(|source| InitError::File { path: config.path.clone(), source })?;
    let err = io::stderr();
    let err_style = writer::style_of(&err);
    let writer = Writer { file, out, out_style, err, err_style, language: config.language };
    let queue =
        Queue::start("log", QUEUE_LINES, move |orders| writer.run(&orders)).map_err(InitError::Thread)?;
    let hidden = Hidden::default();
    let lines = Lines { queue: queue.clone(), hidden: hidden.clone() };
    let lines = filtered(lines, &config.level).ok_or(InitError::Filter)?;
    tracing_subscriber::registry().with(lines).try_init().map_err(|_| InitError::AlreadyThere)?;
    Ok(Guard { queue, hidden, operator: Operator::new(config.language) })
}

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The file cannot be opened, or its folder cannot be created.
    #[error("cannot open the log file {path}: {source}", path = path.display())]
    File {
        /// The configured path.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The filter is invalid. The configuration should have rejected it.
    #[error("the log filter is invalid")]
    Filter,
    /// Another part of this process has already set a global subscriber.
    #[error("this process already has a log")]
    AlreadyThere,
    /// The thread of the writer cannot be started.
    #[error("cannot start the log's thread: {0}")]
    Thread(#[source] io::Error),
}

impl InitError {
    /// The notice for the operator. [`say_without_log`] writes it.
    #[must_use]
    pub fn notice(&self) -> Notice {
        match self {
            Self::File { path, source } => {
                Notice::LogUnwritable { path: path.display().to_string(), cause: Detail::new(source) }
            }
            Self::Filter | Self::AlreadyThere | Self::Thread(_) => {
                Notice::Unexpected { detail: Detail::new(self) }
            }
        }
    }
}

/// Keeps the log running. Dropping the guard writes the queued lines (and waits at most 2 s), so `main` must return
/// instead of calling `exit`.
#[derive(Debug)]
pub struct Guard {
    queue: Queue,
    hidden: Hidden,
    operator: Operator,
}

impl Guard {
    /// Returns the operator's log. Copies may be handed out.
    #[must_use]
    pub const fn operator(&self) -> Operator {
        self.operator
    }

    /// Hides these secrets from now on in all lines.
    pub fn hide(&self, secrets: impl IntoIterator<Item = Secret>) {
        self.hidden.add(secrets.into_iter().map(|secret| secret.expose().to_owned()));
    }

    /// Opens the log file again at the same path, for SIGHUP after logrotate. A failure is reported in the log.
    pub fn reopen(&self) {
        // If the queue is full, the next SIGHUP opens the file.
        self.queue.offer(Order::Reopen);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let (done, is_done) = mpsc::sync_channel(1);
        for _ in 0..FLUSH_TRIES {
            if self.queue.offer(Order::Flush(done.clone())) {
                // Lines that are not written in this time are lost.
                is_done.recv_timeout(FLUSH_LIMIT).ok();
                return;
            }
            thread::sleep(FLUSH_LIMIT / FLUSH_TRIES);
        }
    }
}

/// Writes notices in the operator's language to the log, within the current span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operator {
    language: Language,
}

impl Operator {
    /// Creates an operator's log in `language`.
    #[must_use]
    pub const fn new(language: Language) -> Self {
        Self { language }
    }

    /// Logs `notice` at its level.
    pub fn say(&self, notice: &Notice) {
        let line = notice.line(self.language);
        match notice.level() {
            Level::Info => tracing::info!(target: OPERATOR_TARGET, "{line}"),
            Level::Warn => tracing::warn!(target: OPERATOR_TARGET, "{line}"),
            Level::Error => tracing::error!(target: OPERATOR_TARGET, "{line}"),
        }
    }
}

/// Writes notices when the start has failed before the log was open: to stderr, and to the file at `log_path` if it
/// can be opened. The operator looks for errors in both.
pub fn say_without_log(language: Language, log_path: Option<&Path>, notices: &[Notice]) {
    let err = io::stderr();
    let style = writer::style_of(&err);
    let mut file = log_path.and_then(|path| writer::open(path).ok());
    for notice in notices {
        let line = Line::of_notice(notice, language);
        // Nobody can be told if stderr fails.
        (&err).write_all(line.render(style).as_bytes()).ok();
        if let Some(file) = &mut file {
            // Trouble with the file need not be reported: stderr already has the notice.
            drop(file.append(&line.render(Style::File)));
        }
    }
}

/// Puts a filter in front of `lines` that the operator's lines and the spans of calls always pass.
fn filtered<S>(lines: Lines, directives: &str) -> Option<impl Layer<S> + use<S>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let always = filter_fn(|metadata: &Metadata<'_>| {
        let passes = if metadata.is_span() {
            metadata.name() == CALL_SPAN
        } else {
            metadata.target() == OPERATOR_TARGET
        };
        passes && *metadata.level() <= tracing::Level::INFO
    });
    let configured = EnvFilter::builder().parse(directives).ok()?;
    Some(lines.with_filter(configured.or(always.with_max_level_hint(LevelFilter::INFO))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unwritable_log_file_is_named_with_its_cause() {
        let config = LogConfig {
            path: "/proc/none/calls.log".into(),
            language: Language::Spanish,
            level: "info".into(),
        };
        let said = init(&config).unwrap_err().notice().line(Language::Spanish);
        assert!(
            said.starts_with("No se puede escribir en el archivo de log /proc/none/calls.log: "),
            "{said}"
        );
    }

    #[test]
    fn a_failed_start_is_said_in_the_log_file_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.log");
        let missing = Notice::EnvironmentIncomplete { missing: vec!["OPENAI_API_KEY"] };
        say_without_log(Language::Spanish, Some(&path), &[missing]);
        let text = std::fs::read_to_string(path).unwrap();
        assert!(
            text.ends_with(" - ERROR - Variables de ambiente requeridas no encontradas: OPENAI_API_KEY\n"),
            "{text}"
        );
    }
}

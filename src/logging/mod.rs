//! The log: one tracing pipeline for two audiences, written to stdout (or the journal) and appended to
//! `LOG_FILE_PATH`.
//!
//! The operator's lines come in through [`Operator::say`], in the operator's language, and pass every filter;
//! the developer's come from tracing's macros, in English, as `LOG_LEVEL` lets them. It does not know what is
//! worth telling: that is `operator`'s.
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
use line::{Line, Lines, Style};
use writer::{LogFile, Order, Queue, Writer};

/// The target of the operator's lines, which no filter drops.
pub const OPERATOR_TARGET: &str = "operator";

/// The name of a call's span; its field `id` stands before each of the call's lines. Make it with
/// `info_span!`.
pub const CALL_SPAN: &str = "call";

/// How long the end of the daemon waits for the last lines to be written, and as long again for room in a
/// full queue. Longer would let a hanging disk hold up systemd's stop.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// How often a full queue is tried within [`FLUSH_LIMIT`].
const FLUSH_TRIES: u32 = 50;

/// Opens the log file and makes the log the one of this process. Keep the [`Guard`] until the end.
///
/// # Errors
/// The file cannot be opened, or this process already has a log.
pub fn init(config: &LogConfig) -> Result<Guard, InitError> {
    let out = io::stdout();
    let style = writer::style_of(&out);
    start(config, out, style)
}

/// The same, with `shown` in the place of stdout: it gets every line as it is in the file, one at a time.
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
    let file = LogFile::open(&config.path)
        .map_err(|source| InitError::File { path: config.path.clone(), source })?;
    let (queue, orders) = Queue::new();
    let hidden = Hidden::default();
    let lines = Lines { queue: queue.clone(), hidden: hidden.clone() };
    let lines = filtered(lines, &config.level).ok_or(InitError::Filter)?;
    let err = io::stderr();
    let err_style = writer::style_of(&err);
    let writer = Writer { file, out, out_style, err, err_style, language: config.language };
    let lost = queue.lost();
    thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || writer.run(&lost, &orders))
        .map_err(InitError::Thread)?;
    tracing_subscriber::registry().with(lines).try_init().map_err(|_| InitError::AlreadyThere)?;
    Ok(Guard { queue, hidden, operator: Operator::new(config.language) })
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The file cannot be opened or its folder not made.
    #[error("cannot open the log file {path}: {source}", path = path.display())]
    File {
        /// As configured.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The filter is none, which the configuration should have noticed.
    #[error("the log filter is invalid")]
    Filter,
    /// Something else has set a global subscriber.
    #[error("this process already has a log")]
    AlreadyThere,
    /// The writer's thread cannot start.
    #[error("cannot start the log's thread: {0}")]
    Thread(#[source] io::Error),
}

impl InitError {
    /// The line for the operator; say it with [`say_without_log`].
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

/// Keeps the log going; dropping it writes out what is queued (waiting 2 s at most), so `main` must return
/// rather than exit.
#[derive(Debug)]
pub struct Guard {
    queue: Queue,
    hidden: Hidden,
    operator: Operator,
}

impl Guard {
    /// The operator's voice; hand out copies of it.
    #[must_use]
    pub const fn operator(&self) -> Operator {
        self.operator
    }

    /// From now on none of these is seen in the log, whoever says it.
    pub fn hide(&self, secrets: impl IntoIterator<Item = Secret>) {
        self.hidden.add(secrets.into_iter().map(|secret| secret.expose().to_owned()));
    }

    /// Opens the log file again, at the same path: for SIGHUP after logrotate. Whether it failed is said in
    /// the log.
    pub fn reopen(&self) {
        self.queue.order(Order::Reopen);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let (done, is_done) = mpsc::sync_channel(1);
        for _ in 0..FLUSH_TRIES {
            if self.queue.order(Order::Flush(done.clone())) {
                let _in_time_or_not = is_done.recv_timeout(FLUSH_LIMIT);
                return;
            }
            thread::sleep(FLUSH_LIMIT / FLUSH_TRIES);
        }
    }
}

/// Says notices in the operator's language, in the log and in the span it is called in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operator {
    language: Language,
}

impl Operator {
    /// A voice that speaks `language`.
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

/// Says notices when there is no log yet because the start failed: on stderr, and in the file at `log_path`
/// if it can be opened, as the operator looks for errors in both.
pub fn say_without_log(language: Language, log_path: Option<&Path>, notices: &[Notice]) {
    let err = io::stderr();
    let style = writer::style_of(&err);
    let mut file = log_path.and_then(|path| LogFile::open(path).ok());
    for notice in notices {
        let line = Line::of_notice(notice, language);
        let _said_or_not = (&err).write_all(line.render(style).as_bytes());
        if let Some(file) = &mut file {
            let _stderr_has_it = file.append(&line.render(Style::File));
        }
    }
}

/// `lines` behind the filter, past which the operator's lines and the calls' spans always get.
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

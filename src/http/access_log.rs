//! The access log, `access.log` beside the recordings: one line for every read and deletion.
//!
//! ```text
//! 2026-11-20T14:30:25.123-05:00 reader-2 192.168.1.7:51234 GET /recordings?caller=***67 200 8123
//! when                          who      from where        what                         status, bytes sent
//! ```
//! A line is written when the answer has been sent, or the reader has gone. Callers' numbers are masked. It
//! never waits: lines go to a thread through a bounded queue, and what that cannot take is counted and said in
//! the log itself.
//!
//! What was refused, or asked by somebody unknown, goes into `refused.log`, through a queue and a thread of its own, in lines
//! that `refusals` counts: strangers must not push out of the log who read what.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use chrono::{DateTime, FixedOffset};

use super::guard::Who;
use super::origin::Client;
use super::refusals::Refusals;
use crate::operator::foreign::plain;
use crate::operator::{Detail, Notice};

/// The file of what was read and deleted.
const ACCESSES: &str = "access.log";
/// The file of what was refused.
const REFUSED: &str = "refused.log";
/// Lines that may wait for the disk: some seconds of a busy API.
const QUEUE: usize = 4_096;
/// After so long without a refusal, what was counted is written.
const QUIET: Duration = Duration::from_secs(1);
/// A file that has grown so large is put aside; at 120 bytes a line these are 80 000 lines.
const ROTATE_BYTES: u64 = 10 << 20;
/// How a time is written.
const TIME: &str = "%FT%T%.3f%:z";
/// Files put aside, `access.log.1` the newest: with the current one 60 MB.
const KEPT: u32 = 5;
/// Longest method in a line; the standard ones have seven letters at most.
const METHOD_CHARS: usize = 16;

/// Takes lines. Cheap to clone; the threads end with the last clone.
#[derive(Debug, Clone)]
pub struct AccessLog {
    accesses: Queue,
    refused: Queue,
}

/// Where lines wait for their thread.
#[derive(Debug, Clone)]
struct Queue {
    lines: SyncSender<Line>,
    lost: Arc<AtomicU64>,
}

impl Queue {
    fn push(&self, line: Line) {
        if self.lines.try_send(line).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One request, answered.
#[derive(Debug, Clone)]
pub struct Line {
    /// When the request came.
    pub at: DateTime<FixedOffset>,
    /// Who asked.
    pub who: Who,
    /// From where; None: a command on this machine, or the daemon itself.
    pub client: Option<Client>,
    /// `GET`, `DELETE`.
    pub method: String,
    /// What for, masked.
    pub what: String,
    /// The answer.
    pub status: u16,
    /// Bytes of its body that were handed to the connection.
    pub bytes: u64,
}

impl AccessLog {
    /// Starts the threads that write into `folder`; `tell` gets what the operator should know.
    ///
    /// # Errors
    /// There can be no thread.
    pub fn start(folder: &Path, tell: impl Fn(Notice) + Clone + Send + 'static) -> io::Result<Self> {
        let start = |name: &str, file, run: Work| {
            let (lines, waiting) = sync_channel(QUEUE);
            let lost = Arc::new(AtomicU64::new(0));
            let queue = Queue { lines, lost: Arc::clone(&lost) };
            let (writer, tell) = (Writer::new(folder.join(file)), tell.clone());
            let run = move || run(writer, &waiting, &lost, &tell);
            thread::Builder::new().name(name.into()).spawn(run).map(|_| queue)
        };
        Ok(Self {
            accesses: start("access-log", ACCESSES, Writer::write_all)?,
            refused: start("refused-log", REFUSED, Writer::write_counted)?,
        })
    }

    /// Notes what somebody known has done; never waits.
    pub fn note(&self, line: Line) {
        self.accesses.push(line);
    }

    /// Notes what was refused, or asked by somebody unknown; never waits.
    pub fn refuse(&self, line: Line) {
        self.refused.push(line);
    }
}

/// Writes lines at once, for who has no thread to leave it to.
///
/// # Errors
/// The line for the operator.
pub fn append(folder: &Path, lines: &[Line]) -> Result<(), Notice> {
    let mut writer = Writer::new(folder.join(ACCESSES));
    let text: String = lines.iter().map(render).collect();
    let written = if text.is_empty() { Ok(()) } else { writer.write(text.as_bytes()) };
    written.map_err(|error| writer.unwritable(error))
}

/// What a thread does with its file: the lines that wait, how many found no room, and whom to tell.
type Work = fn(Writer, &Receiver<Line>, &AtomicU64, &dyn Fn(Notice));

struct Writer {
    path: PathBuf,
    file: Option<File>,
    rotate: u64,
    failing: bool,
}

impl Writer {
    fn new(path: PathBuf) -> Self {
        Self { path, file: None, rotate: ROTATE_BYTES, failing: false }
    }

    /// Writes a line for each.
    fn write_all(mut self, lines: &Receiver<Line>, lost: &AtomicU64, tell: &dyn Fn(Notice)) {
        while let Ok(line) = lines.recv() {
            self.write_or_tell(&(render(&line) + &said_of_lost(lost, line.at)), tell);
        }
    }

    /// Writes a line for many.
    fn write_counted(mut self, lines: &Receiver<Line>, lost: &AtomicU64, tell: &dyn Fn(Notice)) {
        let mut refusals = Refusals::default();
        loop {
            let text = match lines.recv_timeout(QUIET) {
                Ok(line) => {
                    let at = line.at;
                    let text = refusals.take(line);
                    if text.is_empty() { text } else { text + &said_of_lost(lost, at) }
                }
                Err(RecvTimeoutError::Timeout) => refusals.rest(),
                Err(RecvTimeoutError::Disconnected) => {
                    self.write_or_tell(&refusals.rest(), tell);
                    return;
                }
            };
            self.write_or_tell(&text, tell);
        }
    }

    fn write_or_tell(&mut self, text: &str, tell: &dyn Fn(Notice)) {
        if text.is_empty() {
            return;
        }
        match self.write(text.as_bytes()) {
            Ok(()) => self.failing = false,
            Err(error) => {
                self.file = None;
                if !std::mem::replace(&mut self.failing, true) {
                    tell(self.unwritable(error));
                }
            }
        }
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        // Somebody may have renamed or removed it, logrotate for one.
        let in_place = fs::metadata(&self.path).ok().map(|now| (now.dev(), now.ino(), now.size()));
        let open = self
            .file
            .as_ref()
            .and_then(|file| file.metadata().ok())
            .map(|now| (now.dev(), now.ino(), now.size()));
        if open.is_none() || open != in_place {
            self.file = Some(self.open()?);
        }
        if in_place.is_some_and(|(_, _, size)| size >= self.rotate) {
            self.put_aside()?;
            self.file = Some(self.open()?);
        }
        match &mut self.file {
            Some(file) => file.write_all(text),
            None => Ok(()),
        }
    }

    fn unwritable(&self, error: io::Error) -> Notice {
        Notice::AccessLogUnwritable { path: self.path.display().to_string(), cause: Detail::new(error) }
    }

    fn open(&self) -> io::Result<File> {
        if let Some(folder) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
        }
        OpenOptions::new().append(true).create(true).mode(0o640).open(&self.path)
    }

    fn put_aside(&self) -> io::Result<()> {
        let numbered = |number: u32| self.path.with_added_extension(number.to_string());
        for number in (1..KEPT).rev() {
            match fs::rename(numbered(number), numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        fs::rename(&self.path, numbered(1))
    }
}

/// The line with its end; method and path are what somebody sent.
pub(super) fn render(line: &Line) -> String {
    let client = line.client.map_or_else(|| "-".to_owned(), |client| client.to_string());
    let Line { at, who: Who(who), method, what, status, bytes, .. } = line;
    let (at, what) = (at.format(TIME), plain(what));
    let method = plain(&method[..method.floor_char_boundary(METHOD_CHARS)]);
    format!("{at} {who} {client} {method} {what} {status} {bytes}\n")
}

/// A line about lines that found no room, if there were any.
fn said_of_lost(lost: &AtomicU64, at: DateTime<FixedOffset>) -> String {
    match lost.swap(0, Ordering::Relaxed) {
        0 => String::new(),
        missing => format!("{} - - lines lost: {missing}\n", at.format(TIME)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn line(what: &str) -> Line {
        Line {
            at: DateTime::parse_from_rfc3339("2026-11-20T14:30:25.123-05:00").unwrap(),
            who: Who("reader-2".into()),
            client: Some(Client::Direct(([192, 168, 1, 7], 51234).into())),
            method: "GET".into(),
            what: what.into(),
            status: 200,
            bytes: 8123,
        }
    }

    #[test]
    fn a_line_tells_when_who_from_where_what_and_how_much() {
        assert_eq!(
            render(&line("/recordings?caller=***67")),
            "2026-11-20T14:30:25.123-05:00 reader-2 192.168.1.7:51234 GET /recordings?caller=***67 200 8123\n"
        );
    }

    #[test]
    fn what_strangers_send_is_cut_and_makes_no_line() {
        let what = "/a\n2026 forged\u{202e}\u{61c}".to_owned();
        let rendered = render(&Line { method: "X".repeat(60_000), what, ..line("") });
        assert!(rendered.ends_with(&format!(
            " {} /a\\n2026 forged\\u{{202e}}\\u{{61c}} 200 8123\n",
            "X".repeat(METHOD_CHARS)
        )));
    }

    #[test]
    fn the_file_is_put_aside_when_large_and_opened_again_when_moved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(ACCESSES);
        let mut writer = Writer { rotate: 20, ..Writer::new(path.clone()) };
        let written = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        writer.write(b"one, more than twenty bytes\n").unwrap();
        writer.write(b"two, more than twenty bytes\n").unwrap();
        writer.write(b"three\n").unwrap();
        assert_eq!(
            (written("access.log.2").get(..3), written("access.log.1").get(..3)),
            (Some("one"), Some("two"))
        );
        fs::rename(&path, folder.path().join("elsewhere")).unwrap();
        writer.write(b"four\n").unwrap();
        assert_eq!((written("elsewhere").as_str(), written(ACCESSES).as_str()), ("three\n", "four\n"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn an_unwritable_log_is_said_once_and_nobody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(ACCESSES)).unwrap();
        let (told, notices) = sync_channel(10);
        let log = AccessLog::start(folder.path(), move |notice| told.try_send(notice).unwrap()).unwrap();
        log.note(line("/a"));
        log.note(line("/b"));
        drop(log);
        assert!(matches!(notices.recv().unwrap(), Notice::AccessLogUnwritable { .. }));
        assert!(notices.recv().is_err(), "the thread has ended and said no more");
    }
}

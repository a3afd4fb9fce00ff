//! Writes the access log, `access.log` beside the recordings: one line for every read and every deletion.
//!
//! ```text
//! 2026-11-20T14:30:25.123-05:00 reader-2 192.168.1.7:51234 GET /recordings?caller=***67 200 8123
//! when                          who      from where        what                         status, bytes sent
//! ```
//! A line is written when the answer has been sent or the client has disconnected. Phone numbers are masked. No
//! request waits for the log: lines go to a thread through a bounded queue. Lines that the queue cannot take are
//! counted, and the log says how many are missing.
//!
//! Refused requests and requests of unknown clients go into `refused.log`, through a queue and a thread of their own,
//! in lines that `refusals` limits. Strangers must not be able to push the record of who read what out of the log.

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
use crate::recordings;

/// The name of the file for reads and deletions.
const ACCESSES: &str = "access.log";
/// The name of the file for refused requests.
const REFUSED: &str = "refused.log";
/// The number of lines that may wait for the disk: some seconds of a busy API. A larger value uses more memory; a
/// smaller one loses lines when the disk is slow.
const QUEUE: usize = 4_096;
/// The time without a refusal after which the counts are written. A longer time delays the last line of a series.
const QUIET: Duration = Duration::from_secs(1);
/// The size at which a file is rotated, in bytes: about 80 000 lines of 120 bytes. A larger value keeps a longer
/// history and uses more disk.
const ROTATE_BYTES: u64 = 10 << 20;
/// The format of the time in a line.
const TIME: &str = "%FT%T%.3f%:z";
/// The number of rotated files, of which `access.log.1` is the newest. With the current file they take 60 MB. A
/// larger value keeps a longer history.
const KEPT: u32 = 5;
/// The longest method that a line shows, in bytes. The standard methods have at most seven letters; a larger value
/// would let strangers write longer lines.
const METHOD_CHARS: usize = 16;

/// Accepts lines for the log. Clones are cheap; the threads end when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct AccessLog {
    accesses: Queue,
    refused: Queue,
}

/// The queue of lines for one thread.
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

/// One answered request.
#[derive(Debug, Clone)]
pub struct Line {
    /// When the request arrived.
    pub at: DateTime<FixedOffset>,
    /// The client's name.
    pub who: Who,
    /// The client's address. `None` for a command on this machine and for the daemon itself.
    pub client: Option<Client>,
    /// The HTTP method, such as `GET` or `DELETE`.
    pub method: String,
    /// The path and query, with phone numbers masked.
    pub what: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The number of bytes of the body that were handed to the connection.
    pub bytes: u64,
}

impl AccessLog {
    /// Starts the threads that write into `folder`. `tell` receives the notices for the operator.
    ///
    /// # Errors
    /// The system cannot start a thread.
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

    /// Queues the line of a request by a known client, without waiting.
    pub fn note(&self, line: Line) {
        self.accesses.push(line);
    }

    /// Queues the line of a request that was refused or that came from an unknown client, without waiting.
    pub fn refuse(&self, line: Line) {
        self.refused.push(line);
    }
}

/// Writes lines at once, for a command that does not start the threads.
///
/// # Errors
/// The notice for the operator if the file cannot be written.
pub fn append(folder: &Path, lines: &[Line]) -> Result<(), Notice> {
    let mut writer = Writer::new(folder.join(ACCESSES));
    let text: String = lines.iter().map(render).collect();
    let written = if text.is_empty() { Ok(()) } else { writer.write(text.as_bytes()) };
    written.map_err(|error| writer.unwritable(error))
}

/// The function that a thread runs: its file, the waiting lines, the number of lost lines, and the receiver of
/// notices.
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

    /// Writes each line separately.
    fn write_all(mut self, lines: &Receiver<Line>, lost: &AtomicU64, tell: &dyn Fn(Notice)) {
        while let Ok(line) = lines.recv() {
            self.write_or_tell(&(render(&line) + &said_of_lost(lost, line.at)), tell);
        }
    }

    /// Writes the lines as `refusals` limits them.
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
        // logrotate or a person may have renamed or removed the file.
        let in_place = fs::symlink_metadata(&self.path).ok().map(|now| (now.dev(), now.ino(), now.size()));
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
        // Root runs `recordings purge` in a folder that the service's user may write to: a link there is not followed.
        recordings::file::open(&self.path, OpenOptions::new().append(true).create(true).mode(0o640))
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

/// Formats a line with its line break. Method and path come from the client, so unusual characters are escaped.
pub(super) fn render(line: &Line) -> String {
    let client = line.client.map_or_else(|| "-".to_owned(), |client| client.to_string());
    let Line { at, who: Who(who), method, what, status, bytes, .. } = line;
    let (at, what) = (at.format(TIME), plain(what));
    let method = plain(&method[..method.floor_char_boundary(METHOD_CHARS)]);
    format!("{at} {who} {client} {method} {what} {status} {bytes}\n")
}

/// Returns a line that says how many lines were lost, or an empty text if none were.
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
    fn a_link_in_the_place_of_the_log_leads_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        std::os::unix::fs::symlink(&elsewhere, folder.path().join(ACCESSES)).unwrap();
        let refused = append(folder.path(), &[line("/a")]);
        assert!(matches!(refused, Err(Notice::AccessLogUnwritable { .. })));
        assert!(!elsewhere.exists());
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

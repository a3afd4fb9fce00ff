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
//! logrotate rotates both files, and the next line opens the new file. Between two rotations a file does not exceed
//! `MAX_FILE_BYTES`.
//!
//! Refused requests and requests of unknown clients go into `refused.log`, through a queue and a thread of their own,
//! in lines that `refusals` limits. Strangers must not be able to push the record of who read what out of the log.

mod identity;
mod refusals;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use chrono::{DateTime, FixedOffset};

use crate::log_file::{LogFile, Queue, Waiting};
use crate::operator::Notice;
use crate::operator::foreign::plain;
use crate::recordings;
use crate::units::ByteCount;
pub use identity::{Client, Who};
use refusals::Refusals;

/// The name of the file for reads and deletions.
const ACCESSES: &str = "access.log";
/// The name of the file for refused requests.
const REFUSED: &str = "refused.log";
/// The number of lines that may wait for the disk: some seconds of a busy API. A larger value uses more memory; a
/// smaller one loses lines when the disk is slow.
const QUEUE: usize = 4_096;
/// The time without a refusal after which the counts are written. A longer time delays the last line of a series.
const QUIET: Duration = Duration::from_secs(1);
/// The largest size of each file in bytes, about 2 million lines of 120 bytes. Nothing more is written to a file of
/// this size until it is rotated. A larger value could fill a small disk where nothing rotates the files; a smaller
/// one would lose the lines of a busy day before logrotate runs. The installed logrotate entry rotates from a small
/// part of this size.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// The format of the time in a line.
const TIME: &str = "%FT%T%.3f%:z";
/// The longest method that a line shows, in bytes. The standard methods have at most seven letters; a larger value
/// would let strangers write longer lines.
const METHOD_CHARS: usize = 16;

/// Accepts lines for the log. Clones are cheap; the threads end when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct AccessLog {
    accesses: Queue<Line>,
    refused: Queue<Line>,
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
    pub bytes: ByteCount,
}

impl AccessLog {
    /// Starts the threads that write into `folder`. `tell` receives the notices for the operator.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub fn start(folder: &Path, tell: impl Fn(Notice) + Clone + Send + 'static) -> io::Result<Self> {
        let start = |name: &str, file: &str, run: Work| {
            let (file, tell) = (log_file(folder, file), tell.clone());
            Queue::start(name, QUEUE, move |lines| run(file, &lines, &tell))
        };
        Ok(Self {
            accesses: start("access-log", ACCESSES, write_all)?,
            refused: start("refused-log", REFUSED, write_counted)?,
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
    let text: String = lines.iter().map(render).collect();
    let trouble = if text.is_empty() { None } else { log_file(folder, ACCESSES).append(&text) };
    trouble.map_or(Ok(()), Err)
}

/// The function that a thread runs with its file, the waiting lines and the receiver of notices.
type Work = fn(LogFile, &Waiting<Line>, &dyn Fn(Notice));

fn log_file(folder: &Path, name: &str) -> LogFile {
    LogFile::new(folder.join(name), ByteCount::new(MAX_FILE_BYTES), open)
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
    }
    // Root runs `recordings purge` in a folder that the service's user may write to: a link there is not followed.
    recordings::file::open(path, OpenOptions::new().append(true).create(true).mode(0o640))
}

/// Writes each line separately.
fn write_all(mut file: LogFile, lines: &Waiting<Line>, tell: &dyn Fn(Notice)) {
    while let Some(line) = lines.next() {
        write(&mut file, &(render(&line) + &said_of_lost(lines, line.at)), tell);
    }
}

/// Writes the lines as `refusals` limits them.
fn write_counted(mut file: LogFile, lines: &Waiting<Line>, tell: &dyn Fn(Notice)) {
    let mut refusals = Refusals::default();
    loop {
        let text = match lines.next_within(QUIET) {
            Ok(line) => {
                let at = line.at;
                let text = refusals.take(line);
                if text.is_empty() { text } else { text + &said_of_lost(lines, at) }
            }
            Err(RecvTimeoutError::Timeout) => refusals.rest(),
            Err(RecvTimeoutError::Disconnected) => return write(&mut file, &refusals.rest(), tell),
        };
        write(&mut file, &text, tell);
    }
}

/// Writes the text, if there is any, and tells of trouble with the file.
fn write(file: &mut LogFile, text: &str, tell: &dyn Fn(Notice)) {
    if !text.is_empty() {
        // logrotate or a person may have renamed or removed the file.
        file.follow_path();
        file.append(text).into_iter().for_each(tell);
    }
}

/// Formats a line with its line break. Method and path come from the client, so unusual characters are escaped.
fn render(line: &Line) -> String {
    let client = line.client.map_or_else(|| "-".to_owned(), |client| client.to_string());
    let Line { at, who: Who(who), method, what, status, .. } = line;
    let bytes = line.bytes.get();
    let (at, what) = (at.format(TIME), plain(what));
    let method = plain(&method[..method.floor_char_boundary(METHOD_CHARS)]);
    format!("{at} {who} {client} {method} {what} {status} {bytes}\n")
}

/// Returns a line that says how many lines were lost, or an empty text if none were.
fn said_of_lost(lines: &Waiting<Line>, at: DateTime<FixedOffset>) -> String {
    match lines.take_lost() {
        0 => String::new(),
        missing => format!("{} - - lines lost: {missing}\n", at.format(TIME)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::mpsc::sync_channel;

    use super::*;

    fn line(what: &str) -> Line {
        Line {
            at: DateTime::parse_from_rfc3339("2026-11-20T14:30:25.123-05:00").unwrap(),
            who: Who("reader-2".into()),
            client: Some(Client::Direct(([192, 168, 1, 7], 51234).into())),
            method: "GET".into(),
            what: what.into(),
            status: 200,
            bytes: ByteCount::new(8_123),
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
    fn the_file_is_opened_again_when_it_was_rotated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(ACCESSES);
        let (moved, tell) = (folder.path().join("access.log.1"), |notice| panic!("{notice:?}"));
        let mut file = log_file(folder.path(), ACCESSES);
        write(&mut file, "one\n", &tell);
        fs::rename(&path, &moved).unwrap();
        write(&mut file, "two\n", &tell);
        write(&mut file, "three\n", &tell);
        let written = |path| fs::read_to_string(path).unwrap();
        assert_eq!((written(&moved).as_str(), written(&path).as_str()), ("one\n", "two\nthree\n"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn a_flood_does_not_exceed_the_largest_size_and_is_said_once_for_each_file() {
        let folder = tempfile::tempdir().unwrap();
        for name in [ACCESSES, REFUSED] {
            File::create(folder.path().join(name)).unwrap().set_len(MAX_FILE_BYTES).unwrap();
        }
        let (told, notices) = sync_channel(10);
        let log = AccessLog::start(folder.path(), move |notice| told.try_send(notice).unwrap()).unwrap();
        for number in 0..100 {
            log.note(line("/a"));
            log.refuse(Line { status: 400 + number, ..line("/a") });
        }
        drop(log);
        let mut said: Vec<_> = notices.iter().collect();
        said.sort_by_key(|notice| format!("{notice:?}"));
        let full = |name| Notice::LogFull { path: folder.path().join(name).display().to_string(), mib: 256 };
        assert_eq!(said, [full(ACCESSES), full(REFUSED)]);
        for name in [ACCESSES, REFUSED] {
            assert_eq!(fs::metadata(folder.path().join(name)).unwrap().len(), MAX_FILE_BYTES, "{name}");
        }
    }

    #[test]
    fn a_link_in_the_place_of_the_log_leads_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        std::os::unix::fs::symlink(&elsewhere, folder.path().join(ACCESSES)).unwrap();
        let refused = append(folder.path(), &[line("/a")]);
        assert!(matches!(refused, Err(Notice::LogUnwritable { .. })));
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
        assert!(matches!(notices.recv().unwrap(), Notice::LogUnwritable { .. }));
        assert!(notices.recv().is_err(), "the thread has ended and said no more");
    }
}

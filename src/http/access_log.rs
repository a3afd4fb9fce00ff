//! The access log, `access.log` beside the recordings: one line for every read, deletion and refusal.
//!
//! ```text
//! 2026-11-20T14:30:25.123-05:00 reader-2 192.168.1.7:51234 GET /recordings?caller=***67 200 8123
//! when                          who      from where        what                         status, bytes sent
//! ```
//! A line is written when the answer has been sent, or the reader has gone. Callers' numbers are masked. It
//! never waits: lines go to a thread through a bounded queue, and what that cannot take is counted and said in
//! the log itself.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use axum::http::Uri;
use chrono::{DateTime, FixedOffset};

use super::guard::Who;
use crate::operator::{Detail, Notice};

/// The file's name.
const NAME: &str = "access.log";
/// Lines that may wait for the disk: some seconds of a busy API.
const QUEUE: usize = 4_096;
/// A file that has grown so large is put aside; at 120 bytes a line these are 80 000 lines.
const ROTATE_BYTES: u64 = 10 << 20;
/// Files put aside, `access.log.1` the newest: with the current one 60 MB.
const KEPT: u32 = 5;
/// Longest path and query in a line.
const SHOWN_CHARS: usize = 300;

/// Takes lines. Cheap to clone; the thread ends with the last clone.
#[derive(Debug, Clone)]
pub struct AccessLog {
    queue: SyncSender<Line>,
    lost: Arc<AtomicU64>,
}

/// One request, answered.
#[derive(Debug, Clone)]
pub struct Line {
    /// When the request came.
    pub at: DateTime<FixedOffset>,
    /// Who asked.
    pub who: Who,
    /// From where.
    pub peer: Option<SocketAddr>,
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
    /// Starts the thread that writes into `folder`; `tell` gets what the operator should know.
    ///
    /// # Errors
    /// There can be no thread.
    pub fn start(folder: &Path, tell: impl Fn(Notice) + Send + 'static) -> io::Result<Self> {
        Self::start_with(folder, ROTATE_BYTES, tell)
    }

    fn start_with(folder: &Path, rotate: u64, tell: impl Fn(Notice) + Send + 'static) -> io::Result<Self> {
        let (queue, lines) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let log = Self { queue, lost: Arc::clone(&lost) };
        let mut writer = Writer { path: folder.join(NAME), file: None, rotate, failing: false };
        thread::Builder::new().name("access-log".into()).spawn(move || writer.run(&lines, &lost, &tell))?;
        Ok(log)
    }

    /// Notes it; never waits.
    pub fn note(&self, line: Line) {
        if self.queue.try_send(line).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes lines at once, for who has no thread to leave it to.
///
/// # Errors
/// The line for the operator.
pub fn append(folder: &Path, lines: &[Line]) -> Result<(), Notice> {
    let mut writer = Writer { path: folder.join(NAME), file: None, rotate: ROTATE_BYTES, failing: false };
    let text: String = lines.iter().map(render).collect();
    let written = if text.is_empty() { Ok(()) } else { writer.write(text.as_bytes()) };
    written.map_err(|error| writer.unwritable(error))
}

/// What is asked for, fit for the log: the query's values that are ours, callers' numbers but for their last
/// two characters, and nothing else that looks like a number.
#[must_use]
pub fn masked(uri: &Uri) -> String {
    let path = uri.path();
    // Ids of calls have a point in them, and numbers have none.
    let is_ours = path.starts_with("/recordings") || (path.starts_with("/calls/") && path.contains('.'));
    let mut shown = if is_ours && is_plain(path) { path.to_owned() } else { mask_digits(path) };
    for (index, pair) in uri.query().into_iter().flat_map(|query| query.split('&')).enumerate() {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        shown.push(if index == 0 { '?' } else { '&' });
        let harmless = HARMLESS.contains(&name) && is_plain(value);
        if harmless {
            shown.push_str(pair);
        } else {
            let tail: String = value.chars().rev().take(2).filter(char::is_ascii_digit).collect();
            shown.push_str(&mask_digits(name));
            shown.push_str("=***");
            shown.extend(tail.chars().rev());
        }
    }
    if let Some((end, _)) = shown.char_indices().nth(SHOWN_CHARS) {
        shown.truncate(end);
        shown.push_str("...");
    }
    shown
}

/// Parameters whose values are ours.
const HARMLESS: [&str; 9] =
    ["limit", "cursor", "from", "to", "channel", "by", "format", "end_reason", "agent"];

/// Whether it is made of what ids, cursors and times are made of.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_.~:+-%".contains(&byte))
}

/// Every run of five digits or more, but for its last two.
fn mask_digits(text: &str) -> String {
    let (mut masked, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(first) = rest.chars().next() {
        let is_number = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != is_number).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        if is_number && run.len() >= 5 {
            masked.push_str("***");
            masked.push_str(&run[run.len() - 2..]);
        } else {
            masked.push_str(run);
        }
        rest = after;
    }
    masked
}

struct Writer {
    path: PathBuf,
    file: Option<File>,
    rotate: u64,
    failing: bool,
}

impl Writer {
    fn run(&mut self, lines: &Receiver<Line>, lost: &AtomicU64, tell: &dyn Fn(Notice)) {
        while let Ok(line) = lines.recv() {
            let mut text = render(&line);
            let missing = lost.swap(0, Ordering::Relaxed);
            if missing > 0 {
                let at = line.at.format("%FT%T%.3f%:z");
                writeln!(text, "{at} - - lines lost: {missing}").expect("writing to a String cannot fail");
            }
            let written = self.write(text.as_bytes());
            match written {
                Ok(()) => self.failing = false,
                Err(error) => {
                    self.file = None;
                    if !std::mem::replace(&mut self.failing, true) {
                        tell(self.unwritable(error));
                    }
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
        let numbered = |number: u32| self.path.with_file_name(format!("{NAME}.{number}"));
        for number in (1..KEPT).rev() {
            match fs::rename(numbered(number), numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        fs::rename(&self.path, numbered(1))
    }
}

fn render(line: &Line) -> String {
    let peer = line.peer.map_or_else(|| "-".to_owned(), |peer| peer.to_string());
    format!(
        "{} {} {peer} {} {} {} {}\n",
        line.at.format("%FT%T%.3f%:z"),
        line.who.0,
        line.method,
        line.what,
        line.status,
        line.bytes
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn line(what: &str) -> Line {
        Line {
            at: DateTime::parse_from_rfc3339("2026-11-20T14:30:25.123-05:00").unwrap(),
            who: Who("reader-2".into()),
            peer: Some(([192, 168, 1, 7], 51234).into()),
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
    fn numbers_are_masked_wherever_somebody_puts_them() {
        for (asked, shown) in [
            ("/recordings?caller=%2B573001234567&limit=5", "/recordings?caller=***67&limit=5"),
            ("/recordings?limit=5&c%61ller=573001234567", "/recordings?limit=5&c%61ller=***67"),
            ("/recordings?573001234567", "/recordings?***67=***"),
            (
                "/recordings?cursor=1795180048123~20251020_143025_17.3",
                "/recordings?cursor=1795180048123~20251020_143025_17.3",
            ),
            ("/calls/573001234567", "/calls/***67"),
            ("/calls/1795180048.12", "/calls/1795180048.12"),
            ("/stats?by=agent&caller=573001234567", "/stats?by=agent&caller=***67"),
            ("/recordings/20251020_143025_17951.12/audio", "/recordings/20251020_143025_17951.12/audio"),
        ] {
            let shown_as = masked(&asked.parse().unwrap());
            assert_eq!(shown_as, shown);
        }
        assert!(masked(&format!("/{}", "a".repeat(5000)).parse().unwrap()).len() < 310);
    }

    #[test]
    fn the_file_is_put_aside_when_large_and_opened_again_when_moved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let mut writer = Writer { path: path.clone(), file: None, rotate: 20, failing: false };
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
        assert_eq!((written("elsewhere").as_str(), written(NAME).as_str()), ("three\n", "four\n"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn an_unwritable_log_is_said_once_and_nobody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(NAME)).unwrap();
        let (told, notices) = sync_channel(10);
        let log = AccessLog::start(folder.path(), move |notice| told.try_send(notice).unwrap()).unwrap();
        log.note(line("/a"));
        log.note(line("/b"));
        drop(log);
        assert!(matches!(notices.recv().unwrap(), Notice::AccessLogUnwritable { .. }));
        assert!(notices.recv().is_err(), "the thread has ended and said no more");
    }
}

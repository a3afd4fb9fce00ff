//! Writes the lines. A thread of its own writes each line to stdout and appends it to the log file.
//!
//! Code that logs only hands a line over and never waits for a full disk, a file server that hangs, or a paused
//! journal. The queue is bounded, and lines that do not fit are counted. The file is bounded too, so that a flood of
//! lines cannot fill the disk. Trouble with the file is reported on stderr (and in the stream of lines) once when it
//! starts and once when it ends. `line` decides what a line contains.
//!
//! ```text
//!             a write fails                the file has MAX_FILE_BYTES
//!  Failing ◄──────────────── Writing ────────────────────► Full
//!     └────── it succeeds ──────►▲◄──── it is rotated or emptied ──┘
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};

use super::line::{Line, Style};
use crate::operator::{Detail, Language, Notice};

/// The number of lines that may wait for a slow disk or journal. A smaller value loses lines in a burst of developer
/// output; a larger one uses more memory while the disk hangs (about 200 bytes a line).
const QUEUE_LINES: usize = 8192;

/// The size of the file, in bytes, from which nothing more is written to it until it is rotated. stdout and the
/// journal, which limits itself, still receive every line. A larger size could fill a small disk before logrotate
/// runs, which is once a day; a smaller one would leave a busy day at LOG_LEVEL=debug incomplete. The installed
/// logrotate entry rotates from a tenth of this size.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// The number of bytes by which a full file may exceed its size, for the line that says that the file is full. A
/// smaller value would lose that line.
const LAST_WORDS_BYTES: u64 = 4_096;

/// An order for the writer.
pub(super) enum Order {
    /// Write this line.
    Line(Line),
    /// Open the file again at the same path.
    Reopen,
    /// Write everything that was queued before, and then answer.
    Flush(SyncSender<()>),
}

/// The queue of orders. Clones share the queue and the count of lost lines.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    orders: SyncSender<Order>,
    lost: Arc<AtomicU64>,
}

impl Queue {
    pub(super) fn new() -> (Self, Receiver<Order>) {
        let (orders, receiver) = mpsc::sync_channel(QUEUE_LINES);
        (Self { orders, lost: Arc::default() }, receiver)
    }

    /// Queues a line, or counts it as lost.
    pub(super) fn push(&self, line: Line) {
        if self.orders.try_send(Order::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The number of lines that did not fit, which the writer takes and reports.
    pub(super) fn lost(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.lost)
    }

    /// Queues an order. Returns false if the queue is full.
    pub(super) fn order(&self, order: Order) -> bool {
        self.orders.try_send(order).is_ok()
    }
}

/// The state of the writer's thread.
pub(super) struct Writer<Out, Err> {
    pub(super) file: LogFile,
    /// The output that shows all lines, and its style.
    pub(super) out: Out,
    pub(super) out_style: Style,
    /// The output for trouble with the file, and its style.
    pub(super) err: Err,
    pub(super) err_style: Style,
    pub(super) language: Language,
}

impl<Out: Write, Err: Write> Writer<Out, Err> {
    /// Works until the last [`Queue`] has been dropped.
    pub(super) fn run(mut self, queue_lost: &AtomicU64, orders: &Receiver<Order>) {
        for order in orders {
            match order {
                Order::Line(line) => self.write(&line),
                Order::Reopen => {
                    let trouble = self.file.reopen();
                    self.tell(trouble);
                }
                Order::Flush(done) => {
                    // The lines are in the file as well, and whoever asked may have stopped waiting.
                    self.out.flush().ok();
                    done.try_send(()).ok();
                }
            }
            let lost = queue_lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                self.tell(Some(Notice::LogOverflowed { lines: lost }));
            }
        }
    }

    fn write(&mut self, line: &Line) {
        self.show(line);
        let trouble = self.file.append(&line.render(Style::File));
        self.tell(trouble);
    }

    /// Shows a line on stdout. A failure is not reported: the only other place is the file, which has all lines anyway.
    fn show(&mut self, line: &Line) {
        self.out.write_all(line.render(self.out_style).as_bytes()).and_then(|()| self.out.flush()).ok();
    }

    /// Reports trouble with the log on stderr and, if possible, in the file.
    fn tell(&mut self, trouble: Option<Notice>) {
        if let Some(notice) = trouble {
            let line = Line::of_notice(&notice, self.language);
            self.err.write_all(line.render(self.err_style).as_bytes()).ok();
            self.file.add_last_words(&line.render(Style::File));
        }
    }
}

/// The log file. It is appended to, opened again after logrotate, retried on a full disk, and limited in size.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// The largest size, in bytes.
    max_bytes: u64,
    /// The present size as far as it is known. Another process may have emptied the file.
    bytes: u64,
    state: State,
    /// Whether the last line was written in part, so that the next one must begin on a new line.
    is_mid_line: bool,
}

/// The state of the file.
#[derive(Debug)]
enum State {
    /// Lines are written to the file.
    Writing,
    /// The file cannot be written.
    Failing {
        /// The number of lines lost since then.
        lost: u64,
    },
    /// The file has its largest size.
    Full {
        /// The number of lines lost since then.
        lost: u64,
    },
}

impl LogFile {
    /// Opens the file for appending. A missing file or folder is created.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let (file, bytes) = open_append(path)?;
        let (path, max_bytes) = (path.to_owned(), MAX_FILE_BYTES);
        Ok(Self { path, file, max_bytes, bytes, state: State::Writing, is_mid_line: false })
    }

    /// Appends one line. Returns a notice if the file has become full, has begun to fail, or works again.
    pub(super) fn append(&mut self, line: &str) -> Option<Notice> {
        if !self.has_room(line, self.max_bytes) {
            if let State::Full { lost } = &mut self.state {
                *lost += 1;
                return None;
            }
            self.state = State::Full { lost: 1 };
            return Some(Notice::LogFull { path: self.shown_path(), mib: self.max_bytes >> 20 });
        }
        match self.write(line) {
            Ok(()) => match std::mem::replace(&mut self.state, State::Writing) {
                State::Writing => None,
                State::Failing { lost: lines } | State::Full { lost: lines } => {
                    Some(Notice::LogWritableAgain { path: self.shown_path(), lines })
                }
            },
            Err(error) => match &mut self.state {
                State::Failing { lost } => {
                    *lost += 1;
                    None
                }
                State::Writing => {
                    self.state = State::Failing { lost: 1 };
                    Some(self.unwritable(&error))
                }
                State::Full { lost } => {
                    self.state = State::Failing { lost: *lost + 1 };
                    Some(self.unwritable(&error))
                }
            },
        }
    }

    /// Appends a line about the file itself, for which a full file has a little room. A failure is not reported,
    /// because the trouble is already known.
    fn add_last_words(&mut self, line: &str) {
        if self.has_room(line, self.max_bytes + LAST_WORDS_BYTES) {
            self.write(line).ok();
        }
    }

    /// Whether the file stays within `max` bytes with this line. Before the answer is no, the size of the file is
    /// read again, because another process may have emptied the file.
    fn has_room(&mut self, line: &str, max: u64) -> bool {
        let fits = |bytes: u64| bytes.saturating_add(line.len() as u64) <= max;
        if !fits(self.bytes) {
            self.bytes = self.file.metadata().map_or(self.bytes, |metadata| metadata.len());
        }
        fits(self.bytes)
    }

    /// Opens the path again after the file was moved away. If that fails, the old file stays in use.
    pub(super) fn reopen(&mut self) -> Option<Notice> {
        match open_append(&self.path) {
            Ok((file, bytes)) => {
                (self.file, self.bytes) = (file, bytes);
                self.is_mid_line = false;
                None
            }
            Err(error) => Some(self.unwritable(&error)),
        }
    }

    /// Writes a line in one system call if the disk permits, so that the lines of two processes do not mix.
    fn write(&mut self, line: &str) -> io::Result<()> {
        let whole = if self.is_mid_line { format!("\n{line}") } else { line.to_owned() };
        let mut rest = whole.as_bytes();
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = &rest[written..];
                    self.bytes += written as u64;
                    self.is_mid_line = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn unwritable(&self, error: &io::Error) -> Notice {
        Notice::LogUnwritable { path: self.shown_path(), cause: Detail::new(error) }
    }

    fn shown_path(&self) -> String {
        self.path.display().to_string()
    }
}

/// Opens the file and returns it with its size.
fn open_append(path: &Path) -> io::Result<(File, u64)> {
    /// The mode of the file. The lines contain names of channels, so not everybody may read them.
    const MODE: u32 = 0o640;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let file = OpenOptions::new().append(true).create(true).mode(MODE).open(path)?;
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}

/// The style of a standard stream: for the journal, for a terminal, or plain.
pub(super) fn style_of(stream: &(impl AsFd + IsTerminal)) -> Style {
    if is_journal(stream) {
        Style::Journal
    } else if stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) {
        Style::Terminal
    } else {
        Style::File
    }
}

/// Whether systemd has connected `stream` to the journal: `JOURNAL_STREAM` holds the device and inode of that stream
/// (systemd.exec(5)). The variable alone proves nothing, because child processes inherit it even if their output is
/// redirected.
fn is_journal(stream: &impl AsFd) -> bool {
    let Some(named) = std::env::var_os("JOURNAL_STREAM") else {
        return false;
    };
    let Ok(stream) = stream.as_fd().try_clone_to_owned() else {
        return false;
    };
    File::from(stream)
        .metadata()
        .is_ok_and(|metadata| *named == *format!("{}:{}", metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line::of_notice(&Notice::CodecDetected { codec: text.into() }, Language::Spanish)
    }

    #[test]
    fn the_file_is_appended_to_and_its_missing_folder_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/calls.log");
        assert_eq!(LogFile::open(&path).unwrap().append("one\n"), None);
        assert_eq!(LogFile::open(&path).unwrap().append("two\n"), None);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn a_full_disk_is_said_once_when_it_begins_and_once_when_it_ends() {
        let mut file = LogFile::open(Path::new("/dev/full")).unwrap();
        assert!(
            matches!(file.append("one\n"), Some(Notice::LogUnwritable { path, .. }) if path == "/dev/full")
        );
        assert_eq!(file.append("two\n"), None);
        file.file = tempfile::tempfile().unwrap();
        let path = "/dev/full".to_owned();
        assert_eq!(file.append("three\n"), Some(Notice::LogWritableAgain { path, lines: 2 }));
        assert_eq!(file.append("four\n"), None);
    }

    /// Opens a log of at most 1 MiB that contains `bytes` bytes.
    fn small_log(folder: &Path, bytes: u64) -> LogFile {
        let path = folder.join("calls.log");
        File::create(&path).unwrap().set_len(bytes).unwrap();
        LogFile { max_bytes: 1 << 20, ..LogFile::open(&path).unwrap() }
    }

    #[test]
    fn a_flood_of_lines_is_bounded_and_said_once_until_the_file_is_rotated() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = small_log(folder.path(), 0);
        let size = |file: &LogFile| fs::metadata(&file.path).unwrap().len();
        let path = file.path.display().to_string();
        let flood = "x".repeat(1_023) + "\n";
        let said: Vec<_> = (0..10_000).filter_map(|_| file.append(&flood)).collect();
        assert_eq!(said, [Notice::LogFull { path: path.clone(), mib: 1 }]);
        assert_eq!(size(&file), 1 << 20);
        for _ in 0..100 {
            file.add_last_words(&flood);
        }
        assert_eq!(size(&file), (1 << 20) + LAST_WORDS_BYTES, "the file's own lines are bounded, too");
        // A reload alone makes no room.
        assert_eq!((file.reopen(), file.append("y\n")), (None, None));
        fs::rename(&file.path, folder.path().join("calls.log.1")).unwrap();
        assert_eq!(file.reopen(), None);
        let lines = 10_000 - 1_024 + 1;
        assert_eq!(file.append("new\n"), Some(Notice::LogWritableAgain { path, lines }));
        assert_eq!(fs::read_to_string(&file.path).unwrap(), "new\n");
    }

    #[test]
    fn a_file_that_was_emptied_in_its_place_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = small_log(folder.path(), 1 << 20);
        assert!(matches!(file.append("one\n"), Some(Notice::LogFull { .. })));
        File::create(&file.path).unwrap();
        assert!(matches!(file.append("two\n"), Some(Notice::LogWritableAgain { lines: 1, .. })));
        assert_eq!(fs::read_to_string(&file.path).unwrap(), "two\n");
    }

    #[test]
    fn after_logrotate_lines_go_to_the_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("calls.log"), folder.path().join("calls.log.1"));
        let mut file = LogFile::open(&path).unwrap();
        file.append("old\n");
        fs::rename(&path, &moved).unwrap();
        assert_eq!(file.reopen(), None);
        file.append("new\n");
        assert_eq!(fs::read_to_string(moved).unwrap(), "old\n");
        assert_eq!(fs::read_to_string(path).unwrap(), "new\n");
    }

    #[test]
    fn the_writer_shows_appends_and_confirms_a_flush() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.log");
        let (queue, orders) = Queue::new();
        let (done, is_done) = mpsc::sync_channel(1);
        queue.push(line("ulaw"));
        assert!(queue.order(Order::Reopen) && queue.order(Order::Flush(done)));
        let lost = queue.lost.clone();
        drop(queue);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let file = LogFile::open(&path).unwrap();
        let style = Style::Journal;
        Writer {
            file,
            out: &mut out,
            out_style: style,
            err_style: style,
            err: &mut err,
            language: Language::Spanish,
        }
        .run(&lost, &orders);
        assert_eq!(is_done.try_recv(), Ok(()));
        assert_eq!(String::from_utf8(out).unwrap(), "<6>INFO - Codec detectado: ulaw\n");
        assert!(fs::read_to_string(path).unwrap().ends_with(" - INFO - Codec detectado: ulaw\n"));
        assert_eq!(err, b"");
    }

    #[test]
    fn what_the_queue_cannot_hold_is_counted_and_said() {
        let (queue, orders) = Queue::new();
        for _ in 0..QUEUE_LINES + 3 {
            queue.push(line("ulaw"));
        }
        let lost = queue.lost.clone();
        drop(queue);
        let mut err = Vec::new();
        let file = LogFile::open(Path::new("/dev/null")).unwrap();
        let (out, style) = (io::sink(), Style::Journal);
        Writer { file, out, out_style: style, err_style: style, err: &mut err, language: Language::Spanish }
            .run(&lost, &orders);
        assert_eq!(
            String::from_utf8(err).unwrap(),
            "<4>WARNING - El log no daba abasto - Líneas perdidas: 3\n"
        );
        assert_eq!(lost.load(Ordering::Relaxed), 0);
    }
}

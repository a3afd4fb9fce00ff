//! Writes the operator's log. A thread of its own writes each line to stdout and appends it to the log file.
//!
//! Trouble with the file is reported on stderr (and in the stream of lines) once when it starts and once when it ends.
//! `line` decides what a line contains, and [`log_file`](crate::log_file) keeps the queue and the file bounded.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::line::{Line, Order, Style};
use crate::log_file::{LogFile, Waiting};
use crate::operator::{Language, Notice};
use crate::units::ByteCount;

/// The number of lines that may wait for a slow disk or journal. A smaller value loses lines in a burst of developer
/// output; a larger one uses more memory while the disk hangs (about 200 bytes a line).
pub(super) const QUEUE_LINES: usize = 8192;

/// The size of the file, in bytes, from which nothing more is written to it until it is rotated. stdout and the
/// journal, which limits itself, still receive every line. A larger size could fill a small disk before logrotate
/// runs, which is once a day; a smaller one would leave a busy day at LOG_LEVEL=debug incomplete. The installed
/// logrotate entry rotates from a tenth of this size.
const MAX_FILE_BYTES: u64 = 1 << 30;

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
    /// Works until the last [`Queue`](super::line::Queue) has been dropped.
    pub(super) fn run(mut self, orders: &Waiting<Order>) {
        while let Some(order) = orders.next() {
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
            let lost = orders.take_lost();
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

/// Opens the log file at this path.
///
/// # Errors
/// The file cannot be opened, or its folder cannot be created.
pub(super) fn open(path: &Path) -> io::Result<LogFile> {
    let mut file = LogFile::new(path.to_owned(), ByteCount::new(MAX_FILE_BYTES), open_append);
    file.open().map(|()| file)
}

fn open_append(path: &Path) -> io::Result<File> {
    /// The mode of the file. The lines contain names of channels, so not everybody may read them.
    const MODE: u32 = 0o640;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().append(true).create(true).mode(MODE).open(path)
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
    use crate::logging::line::Queue;

    fn line(text: &str) -> Line {
        Line::of_notice(&Notice::CodecDetected { codec: text.into() }, Language::Spanish)
    }

    #[test]
    fn the_file_is_appended_to_and_its_missing_folder_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/calls.log");
        assert_eq!(open(&path).unwrap().append("one\n"), None);
        assert_eq!(open(&path).unwrap().append("two\n"), None);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn the_writer_shows_appends_and_confirms_a_flush() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.log");
        let (queue, orders) = Queue::new(QUEUE_LINES);
        let (done, is_done) = std::sync::mpsc::sync_channel(1);
        queue.push(Order::Line(line("ulaw")));
        assert!(queue.offer(Order::Reopen) && queue.offer(Order::Flush(done)));
        drop(queue);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let file = open(&path).unwrap();
        let style = Style::Journal;
        Writer {
            file,
            out: &mut out,
            out_style: style,
            err_style: style,
            err: &mut err,
            language: Language::Spanish,
        }
        .run(&orders);
        assert_eq!(is_done.try_recv(), Ok(()));
        assert_eq!(String::from_utf8(out).unwrap(), "<6>INFO - Codec detectado: ulaw\n");
        assert!(fs::read_to_string(path).unwrap().ends_with(" - INFO - Codec detectado: ulaw\n"));
        assert_eq!(err, b"");
    }

    #[test]
    fn what_the_queue_cannot_hold_is_counted_and_said() {
        let (queue, orders) = Queue::new(QUEUE_LINES);
        for _ in 0..QUEUE_LINES + 3 {
            queue.push(Order::Line(line("ulaw")));
        }
        drop(queue);
        let mut err = Vec::new();
        let file = open(Path::new("/dev/null")).unwrap();
        let (out, style) = (io::sink(), Style::Journal);
        Writer { file, out, out_style: style, err_style: style, err: &mut err, language: Language::Spanish }
            .run(&orders);
        assert_eq!(
            String::from_utf8(err).unwrap(),
            "<4>WARNING - El log no daba abasto - Líneas perdidas: 3\n"
        );
        assert_eq!(orders.take_lost(), 0);
    }
}

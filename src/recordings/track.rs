//! A track is one growing file of an unfinished recording: its log, its audio, or the assistant's audio.
//!
//! A track accepts bytes at once and writes them when it is told to. If the disk does not accept them, because it is
//! full, read-only or gone, the bytes wait up to a limit. Beyond the limit, audio is *owed*: the track counts the
//! bytes and writes silence of the same length when the disk works again, so that later audio is at the right
//! position. A plain track is one file that grows. An encrypted track is a series of files, each complete by itself
//! and named after the position of its first byte: `audio.wav.000000000000.age`. A piece that a power cut destroys
//! leaves a gap and does not shift the rest.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::{self, FILE_MODE};
use super::id::SEALED;
use super::seal::{self, Recipient};
use crate::media::SILENCE_BYTE;

/// The number of waiting bytes from which a track is written before its time. A chunk of age has the same length. A
/// larger value uses more memory; a smaller one makes more system calls.
pub(super) const WRITE_BYTES: usize = 64 * 1024;
/// The maximum number of bytes that wait in memory for a disk that does not accept them. A larger value bridges
/// longer stalls without silence; with this one, a hundred calls take 75 MB at worst.
const LIMIT_BYTES: usize = 256 * 1024;
/// The maximum number of bytes of silence in one write: a minute of stereo. A larger value would let one call with
/// much silence delay the others; a smaller one takes more turns.
const OWED_BYTES: u64 = 1024 * 1024;
/// An upper bound for the size of one encrypted piece on disk: waiting bytes, silence after them, and the overhead of
/// encryption.
pub(super) const PIECE_BYTES: u64 = 2 * (LIMIT_BYTES as u64 + OWED_BYTES);
/// The number of digits of a position in the name of a piece, which suffices for 1 TB.
pub(super) const PLACE_DIGITS: usize = 12;

/// One growing file of an unfinished recording.
#[derive(Debug)]
pub(super) struct Track {
    name: &'static str,
    /// The open file. Only plain tracks keep one.
    file: Option<Arc<File>>,
    /// The number of bytes already handed to the disk, which is the position of the waiting bytes.
    written: u64,
    waiting: Vec<u8>,
    /// The number of bytes of silence that follow the waiting bytes.
    owed: u64,
}

impl Track {
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, file: None, written: 0, waiting: Vec::new(), owed: 0 }
    }

    /// Accepts bytes. Returns false if there is no room for them.
    #[must_use]
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        let fits = self.waiting.is_empty() || self.waiting.len() + bytes.len() <= LIMIT_BYTES;
        if self.owed > 0 || !fits {
            return false;
        }
        self.waiting.extend_from_slice(bytes);
        true
    }

    /// Accepts audio, or replaces it by silence of the same length if there is no room. Returns false if silence
    /// replaced it.
    pub(super) fn push_sound(&mut self, bytes: &[u8]) -> bool {
        let taken = self.push(bytes);
        if !taken {
            self.silence(bytes.len() as u64);
        }
        taken
    }

    /// Adds silence. A little silence waits like audio and delays nothing; more is owed.
    pub(super) fn silence(&mut self, bytes: u64) {
        let waiting = self.waiting.len() + bytes as usize;
        if self.owed == 0 && waiting <= LIMIT_BYTES {
            self.waiting.resize(waiting, SILENCE_BYTE);
        } else {
            self.owed += bytes;
        }
    }

    /// Whether the track holds so much that it should be written now.
    pub(super) fn is_heavy(&self) -> bool {
        self.waiting.len() >= WRITE_BYTES || self.owed > 0
    }

    /// Whether everything has been written.
    pub(super) fn is_clean(&self) -> bool {
        self.waiting.is_empty() && self.owed == 0
    }

    /// Writes the waiting bytes and some of the silence after them into `folder`, encrypted for `recipients` if there
    /// are any. Returns the file that needs a sync.
    ///
    /// # Errors
    /// The error of the disk. No bytes are lost, and the next attempt continues where this one stopped.
    pub(super) fn write(&mut self, folder: &Path, recipients: &[Recipient]) -> io::Result<Option<Arc<File>>> {
        if self.is_clean() {
            return Ok(None);
        }
        let silence = self.owed.min(OWED_BYTES);
        let path = folder.join(self.name);
        let file = if recipients.is_empty() {
            self.write_plain(&path, silence)?
        } else {
            self.write_piece(&path, silence, recipients)?
        };
        // Frees the buffer. Otherwise, with a thousand calls, every call would keep the memory of its worst moment.
        if self.waiting.is_empty() {
            self.waiting = Vec::new();
        }
        Ok(Some(file))
    }

    fn write_plain(&mut self, path: &Path, silence: u64) -> io::Result<Arc<File>> {
        /// The number of bytes of silence in one system call.
        const SILENCE_PIECE: usize = 16 * 1024;
        let file = if let Some(file) = &self.file {
            Arc::clone(file)
        } else {
            let mut options = OpenOptions::new();
            let file = file::open(path, options.append(true).create(true).mode(FILE_MODE))?;
            Arc::clone(self.file.insert(Arc::new(file)))
        };
        while !self.waiting.is_empty() {
            let written = write_some(&file, &self.waiting)?;
            self.written += written as u64;
            self.waiting.drain(..written);
        }
        let until = self.owed - silence;
        while self.owed > until {
            let piece = (self.owed - until).min(SILENCE_PIECE as u64) as usize;
            let written = write_some(&file, &[SILENCE_BYTE; SILENCE_PIECE][..piece])?;
            self.written += written as u64;
            self.owed -= written as u64;
        }
        Ok(file)
    }

    fn write_piece(&mut self, path: &Path, silence: u64, recipients: &[Recipient]) -> io::Result<Arc<File>> {
        let mut plain = self.waiting.clone();
        plain.resize(plain.len() + silence as usize, SILENCE_BYTE);
        let sealed = seal::seal(recipients, &plain)?;
        let path = piece(path, self.written);
        let mut options = OpenOptions::new();
        let file = file::open(&path, options.write(true).create(true).truncate(true).mode(FILE_MODE))?;
        // A partial piece would only be in the way. The next attempt writes the piece from its beginning.
        if let Err(error) = (&file).write_all(&sealed) {
            drop(std::fs::remove_file(&path));
            return Err(error);
        }
        self.written += plain.len() as u64;
        self.waiting.clear();
        self.owed -= silence;
        Ok(Arc::new(file))
    }
}

/// The path of the piece that begins at this position.
fn piece(path: &Path, place: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{place:0PLACE_DIGITS$}{SEALED}"));
    name.into()
}

fn write_some(mut file: &File, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_is_written_in_order_and_only_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut track = Track::new("audio.bin");
        assert!(track.write(folder.path(), &[]).unwrap().is_none());
        assert!(track.push(b"one") && track.push(b"two"));
        assert!(track.write(folder.path(), &[]).unwrap().is_some() && track.is_clean());
        assert!(track.push(b"three"));
        track.write(folder.path(), &[]).unwrap();
        assert_eq!(std::fs::read(folder.path().join("audio.bin")).unwrap(), b"onetwothree");
    }

    #[test]
    fn a_disk_that_takes_nothing_costs_silence_of_the_same_length_and_no_memory() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("later");
        let mut track = Track::new("audio.wav");
        let second = vec![1; 16_000];
        let taken = (0..100).filter(|_| track.push_sound(&second)).count();
        assert_eq!(taken, LIMIT_BYTES / second.len());
        assert!(track.write(&missing, &[]).is_err() && track.waiting.capacity() <= 2 * LIMIT_BYTES);
        std::fs::create_dir(&missing).unwrap();
        while !track.is_clean() {
            track.write(&missing, &[]).unwrap();
        }
        assert!(track.push_sound(&[2; 10]), "there is room again");
        track.write(&missing, &[]).unwrap();
        let written = std::fs::read(missing.join("audio.wav")).unwrap();
        let kept = taken * second.len();
        assert_eq!(written.len(), 100 * second.len() + 10);
        assert!(written[..kept].iter().all(|byte| *byte == 1));
        assert!(written[kept..100 * second.len()].iter().all(|byte| *byte == SILENCE_BYTE));
        assert_eq!(written[100 * second.len()..], [2; 10]);
    }

    #[test]
    fn sealed_it_is_a_row_of_pieces_named_by_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let owner = seal::Identity::ephemeral().unwrap();
        let recipients: Vec<_> = owner.recipients().collect();
        let mut track = Track::new("audio.bin");
        assert!(track.push(b"one"));
        track.write(folder.path(), &recipients).unwrap();
        assert!(track.push(b"two"));
        track.silence(2);
        track.write(folder.path(), &recipients).unwrap();
        let read = |name| seal::unseal(&owner, &std::fs::read(folder.path().join(name)).unwrap()).unwrap();
        assert_eq!(read("audio.bin.000000000000.age"), b"one");
        assert_eq!(read("audio.bin.000000000003.age"), b"two\xff\xff");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}

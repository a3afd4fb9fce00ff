//! Turns the folder of an ended call into the finished files. The ordinary end of a call, the recovery after a crash,
//! and an export all use this.
//!
//! ```text
//!   audio.wav ──► _audio.wav    renamed, with its header completed; if encrypted, rewritten as one file
//!   audio.bin ──► _audio.bin
//!   log ── fold ─► _summary.txt
//!            └───► _conversation.json    the last file: with it the recording exists
//! ```
//! Each file is complete and on the disk before it gets its name. The work can be interrupted at any point and
//! repeated.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::conversation::Conversation;
use super::error::LibraryError;
use super::file;
use super::id::{Part, RecordingId};
use super::live::{BIN, Folder, LOG, Source, WAV};
use super::log::{Kept, Opened};
use super::seal::{self, Identity, Recipient};
use super::story::Story;
use super::summary::summary;
use super::{Facts, State};
use crate::media::{FRAME_BYTES, wav};
use crate::operator::Language;
use crate::units::ByteCount;

/// The number of stereo bytes in 20 ms.
const SLOT_BYTES: u64 = 2 * FRAME_BYTES as u64;
/// The number of stereo bytes in a millisecond.
const SOUND_BYTES_PER_MS: u64 = 16;

/// What happens to the folder afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// Its files become the finished files, and the folder is removed.
    Consumed,
    /// The folder stays unchanged.
    Kept,
}

/// How a recording is finished.
#[derive(Debug)]
pub(super) struct Finish<'a> {
    pub(super) id: &'a RecordingId,
    /// The folder of the unfinished recording.
    pub(super) folder: &'a Folder,
    /// The secret key that decrypts the folder, if it is encrypted.
    pub(super) identity: Option<&'a Identity>,
    /// The folder for the finished files.
    pub(super) target: &'a Path,
    /// The keys for which the finished files are encrypted. Empty: the files are plain.
    pub(super) recipients: &'a [Recipient],
    pub(super) language: Language,
    pub(super) after: After,
}

impl Finish<'_> {
    /// Makes the finished files. Returns what an index holds of the recording, and the paths of the files.
    ///
    /// # Errors
    /// [`LibraryError::Sealed`] if the folder cannot be decrypted, or the error of the disk. The folder is unchanged
    /// then.
    pub(super) fn run(&self) -> Result<(Facts, Vec<PathBuf>), LibraryError> {
        let log = self.folder.read(LOG, self.identity)?;
        let story = Story::read(&log, Opened::unknown(self.id));
        if story.unreadable > 0 {
            tracing::debug!(id = %self.id, lines = story.unreadable, "unreadable lines in a recording's log");
        }
        let state = if story.is_whole() { State::Finished } else { State::Recovered };
        let mut paths = Vec::new();
        let sound_bytes = self.sound(Part::Wav, &story, &mut paths)?;
        self.sound(Part::Bin, &story, &mut paths)?;
        let mut document = Conversation::new(self.id, &story, state, sound_bytes / SOUND_BYTES_PER_MS);
        if sound_bytes == 0 {
            document.note_that_nothing_came();
        }
        let text = summary(self.id, &document, state, self.language);
        paths.push(self.write(Part::Summary, |out| out.write_all(text.as_bytes()))?);
        sync_folder(self.target)?;
        paths.push(self.write(Part::Conversation, |out| out.write_all(document.to_json().as_bytes()))?);
        sync_folder(self.target)?;
        if self.after == After::Consumed {
            discard(self.folder);
        }
        let bytes = ByteCount::new(paths.iter().map(|path| file::size(path)).sum());
        let facts = Facts {
            id: self.id.clone(),
            state,
            sealed: !self.recipients.is_empty(),
            bytes,
            told: document.told(),
        };
        Ok((facts, paths))
    }

    /// Makes one of the audio files and returns the length of its audio without the header.
    fn sound(&self, part: Part, story: &Story, paths: &mut Vec<PathBuf>) -> Result<u64, LibraryError> {
        let (name, header_bytes, unit) = match part {
            Part::Wav => (WAV, wav::HEADER_BYTES as u64, SLOT_BYTES),
            Part::Bin | Part::Summary | Part::Conversation => (BIN, 0, 1),
        };
        let path = self.path(part);
        let Some(source) = self.folder.source(name, self.identity)? else {
            if let Some(done) = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file) {
                // An earlier attempt has already made this file.
                paths.push(path);
                return Ok(done.len().saturating_sub(header_bytes));
            }
            if story.opened.keep.contains(&Kept::Audio) {
                paths.push(self.write(part, |out| out.write_all(header(part, 0).as_slice()))?);
            }
            return Ok(0);
        };
        // A crash may have left an incomplete frame at the end.
        let sound = source.len()?.saturating_sub(header_bytes) / unit * unit;
        match source {
            Source::Plain(_) if self.after == After::Consumed && self.recipients.is_empty() => {
                let from = self.folder.plain(name);
                let file = file::open(&from, OpenOptions::new().write(true))?;
                file.set_len(header_bytes + sound)?;
                file.write_all_at(&header(part, sound), 0)?;
                file.sync_all()?;
                fs::rename(from, &path)?;
                paths.push(path);
            }
            mut source => paths.push(self.write(part, |out| {
                io::copy(&mut (&mut source).take(header_bytes), &mut io::sink())?;
                out.write_all(&header(part, sound))?;
                io::copy(&mut source.take(sound), out)?;
                Ok(())
            })?),
        }
        Ok(sound)
    }

    /// Writes a file under a temporary name and renames it when its content is on the disk.
    fn write(
        &self,
        part: Part,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<PathBuf, LibraryError> {
        let path = self.path(part);
        let unfinished = match self.after {
            After::Consumed => self.folder.plain("unfinished"),
            After::Kept => self.target.join(format!(".{}.unfinished", self.id)),
        };
        let file = file::new(&unfinished)?;
        let written = fill_and_sync(file, self.recipients, fill);
        let named = written.and_then(|()| fs::rename(&unfinished, &path));
        if named.is_err() {
            // On a full disk the incomplete file would only take space.
            drop(fs::remove_file(&unfinished));
        }
        named?;
        Ok(path)
    }

    fn path(&self, part: Part) -> PathBuf {
        self.target.join(self.id.file_name(part, !self.recipients.is_empty()))
    }
}

fn fill_and_sync(
    file: File,
    recipients: &[Recipient],
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffered = BufWriter::new(file);
    let buffered = if recipients.is_empty() {
        fill(&mut buffered)?;
        buffered
    } else {
        let mut sealing = seal::sealing(recipients, buffered)?;
        fill(&mut sealing)?;
        sealing.finish()?
    };
    buffered.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Writes the data to a plain file at `path`. The file appears when it is complete.
pub(super) fn copy_to(plain: &mut dyn io::Read, path: &Path) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let file = file::new(Path::new(&unfinished))?;
    fill_and_sync(file, &[], |out| io::copy(plain, out).map(drop))?;
    fs::rename(unfinished, path)
}

/// The header in front of this many bytes of audio.
fn header(part: Part, sound: u64) -> Vec<u8> {
    match part {
        Part::Wav => wav::header(2, Some(sound)).to_vec(),
        Part::Bin | Part::Summary | Part::Conversation => Vec::new(),
    }
}

/// Removes the folder of a finished recording. If this fails, the next start tries again.
pub(super) fn discard(folder: &Folder) {
    if let Err(error) = fs::remove_dir_all(&folder.0) {
        tracing::debug!(%error, folder = %folder.0.display(), "the folder of a finished recording stays");
    }
}

/// Makes the names in a folder survive a power cut.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

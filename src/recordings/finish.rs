//! From a folder of a call that is over to the finished files: the ordinary end, a crash and an export alike.
//!
//! ```text
//!   audio.wav ──► _audio.wav    renamed, its header completed; if sealed, written anew as one file
//!   audio.bin ──► _audio.bin
//!   log ── fold ─► _summary.txt
//!            └───► _conversation.json    the last: the recording is there when this is
//! ```
//! Each file is complete and on the disk before it gets its name. May be cut off anywhere and begun again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::conversation::Conversation;
use super::file;
use super::id::{Part, RecordingId};
use super::library::LibraryError;
use super::live::{BIN, Folder, LOG, Source, WAV};
use super::log::{Kept, Opened};
use super::seal::{self, Identity, Recipient};
use super::story::Story;
use super::summary::summary;
use super::{Facts, State};
use crate::media::{FRAME_BYTES, wav};
use crate::operator::Language;

/// Stereo bytes of 20 ms.
const SLOT_BYTES: u64 = 2 * FRAME_BYTES as u64;
/// Stereo bytes of a millisecond.
const SOUND_BYTES_PER_MS: u64 = 16;

/// What becomes of the folder it is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// Its files become the finished ones, and it goes.
    Consumed,
    /// It stays as it is.
    Kept,
}

/// How a recording is finished.
#[derive(Debug)]
pub(super) struct Finish<'a> {
    pub(super) id: &'a RecordingId,
    /// What there is of it.
    pub(super) folder: &'a Folder,
    /// Opens it, if it is sealed.
    pub(super) identity: Option<&'a Identity>,
    /// Where the finished files go.
    pub(super) target: &'a Path,
    /// For whom they are sealed; empty: not at all.
    pub(super) recipients: &'a [Recipient],
    pub(super) language: Language,
    pub(super) after: After,
}

impl Finish<'_> {
    /// Makes the finished files; returns what an index holds of them, and their paths.
    ///
    /// # Errors
    /// [`LibraryError::Sealed`] if the folder cannot be read; the disk's. What was there is still there.
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
        let document = Conversation::new(self.id, &story, state, sound_bytes / SOUND_BYTES_PER_MS);
        let text = summary(self.id, &document, state, self.language);
        paths.push(self.write(Part::Summary, |out| out.write_all(text.as_bytes()))?);
        sync_folder(self.target)?;
        paths.push(self.write(Part::Conversation, |out| out.write_all(document.to_json().as_bytes()))?);
        sync_folder(self.target)?;
        if self.after == After::Consumed {
            discard(self.folder);
        }
        let bytes = paths.iter().map(|path| file::size(path)).sum();
        let facts = Facts {
            id: self.id.clone(),
            state,
            sealed: !self.recipients.is_empty(),
            bytes,
            told: document.told(),
        };
        Ok((facts, paths))
    }

    /// Makes one of the sound's files; returns its length without header.
    fn sound(&self, part: Part, story: &Story, paths: &mut Vec<PathBuf>) -> Result<u64, LibraryError> {
        let (name, header_bytes, unit) = match part {
            Part::Wav => (WAV, wav::HEADER_BYTES as u64, SLOT_BYTES),
            Part::Bin | Part::Summary | Part::Conversation => (BIN, 0, 1),
        };
        let path = self.path(part);
        let Some(source) = self.folder.source(name, self.identity)? else {
            if let Some(done) = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file) {
                // An attempt before this one came so far.
                paths.push(path);
                return Ok(done.len().saturating_sub(header_bytes));
            }
            if story.opened.keep.contains(&Kept::Audio) {
                paths.push(self.write(part, |out| out.write_all(header(part, 0).as_slice()))?);
            }
            return Ok(0);
        };
        // A crash may have torn the last frame.
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

    /// Writes a file under another name, and gives it its own when it is on the disk.
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
            // On a full disk it would only be in the way.
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

/// A plain file at `path` with what `plain` holds; appears when it is complete.
pub(super) fn copy_to(plain: &mut dyn io::Read, path: &Path) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let file = file::new(Path::new(&unfinished))?;
    fill_and_sync(file, &[], |out| io::copy(plain, out).map(drop))?;
    fs::rename(unfinished, path)
}

/// What stands before so much sound.
fn header(part: Part, sound: u64) -> Vec<u8> {
    match part {
        Part::Wav => wav::header(2, Some(sound)).to_vec(),
        Part::Bin | Part::Summary | Part::Conversation => Vec::new(),
    }
}

/// Removes the folder of a recording that is finished. If that fails the next start tries again.
pub(super) fn discard(folder: &Folder) {
    if let Err(error) = fs::remove_dir_all(&folder.0) {
        tracing::debug!(%error, folder = %folder.0.display(), "the folder of a finished recording stays");
    }
}

/// Makes names in a folder survive a power cut.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

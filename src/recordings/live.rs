//! The folder of an unfinished recording, and its owner.
//!
//! ```text
//!   {id}.live/lock          held by the process that writes it; free after a crash
//!             log.jsonl     everything but sound        sealed: log.jsonl.000000000000.age, …
//!             audio.wav     header and stereo sound             audio.wav.000000000000.age, …
//!             audio.bin     the assistant's audio               audio.bin.000000000000.age, …
//! ```
//! The folder is created under a hidden name and renamed when the lock is held, so no process ever sees a folder
//! without its owner. Reading needs no lock, because files only grow.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::LibraryError;
use super::file::{self, FILE_MODE, TEXT_BYTES};
use super::id::{NEW, Part, RecordingId, SEALED};
use super::seal::{self, Identity, Recipient};
use super::track::{PIECE_BYTES, PLACE_DIGITS};
use crate::media::SILENCE_BYTE;

/// The mode of every folder.
const FOLDER_MODE: u32 = 0o750;
const LOCK: &str = "lock";
/// The name of the log.
pub(super) const LOG: &str = "log.jsonl";
/// The name of the audio file.
pub(super) const WAV: &str = "audio.wav";
/// The name of the file with the assistant's audio.
pub(super) const BIN: &str = "audio.bin";
/// The longest silence, in bytes, that replaces lost pieces of one track: 17 minutes of audio. A power cut destroys
/// only the last seconds, so a larger gap is not genuine: a piece after such a gap has a wrong name, and its position
/// could demand a terabyte of silence. A smaller value could reject genuine pieces.
const HOLE_BYTES: u64 = 16 << 20;
/// The number of calls that can begin within the same second on channels of the same name. Asterisk's ids do not
/// repeat, so even one repetition means that the clock was set back. A larger value only delays the error.
const VARIANTS: u32 = 99;

/// A recording's folder that this process owns. No other process changes the folder while this value lives.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) id: RecordingId,
    pub(super) folder: Folder,
    /// The keys for which the tracks are encrypted: the configured key, and a key of this process, so that it can
    /// read what it wrote. Empty: the tracks are plain.
    pub(super) recipients: Arc<[Recipient]>,
    /// The key of this process.
    pub(super) own_key: Option<Arc<Identity>>,
    _lock: File,
}

impl Live {
    /// Creates the folder of a recording that begins. If the id is taken, the recording gets another id.
    ///
    /// # Errors
    /// The error of the disk.
    pub(super) fn create(
        root: &Path,
        wanted: &RecordingId,
        recipient: Option<&Recipient>,
    ) -> io::Result<Self> {
        make_folder(root)?;
        let new = root.join(format!(".{wanted}{NEW}"));
        make_folder(&new)?;
        let lock = lock(&new)?.ok_or(io::ErrorKind::AlreadyExists)?;
        let free = |id: &RecordingId| {
            !root.join(id.file_name(Part::Conversation, false)).exists()
                && !root.join(id.file_name(Part::Conversation, true)).exists()
        };
        let variants = (2..=VARIANTS).map(|number| wanted.variant(number));
        for id in std::iter::once(wanted.clone()).chain(variants).filter(free) {
            let path = root.join(id.live_name());
            // Renaming does not replace a folder that contains anything, and every recording's folder contains at
            // least a lock.
            if fs::rename(&new, &path).is_ok() {
                let (recipients, own_key) = keys(recipient)?;
                return Ok(Self { id, folder: Folder(path), recipients, own_key, _lock: lock });
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Takes over the folder of a recording whose owner is gone. Returns `None` if the owner is still alive.
    ///
    /// # Errors
    /// The error of the disk.
    pub(super) fn adopt(root: &Path, id: &RecordingId) -> io::Result<Option<Self>> {
        let folder = Folder::of(root, id);
        let Some(lock) = lock(&folder.0)? else { return Ok(None) };
        Ok(Some(Self { id: id.clone(), folder, recipients: Arc::new([]), own_key: None, _lock: lock }))
    }
}

/// The keys for which a running recording is encrypted, and the key with which the daemon reads the recording back.
type Keys = (Arc<[Recipient]>, Option<Arc<Identity>>);

fn keys(recipient: Option<&Recipient>) -> io::Result<Keys> {
    let Some(owner) = recipient else { return Ok((Arc::new([]), None)) };
    let own_key = Identity::ephemeral()?;
    let recipients = std::iter::once(owner.clone()).chain(own_key.recipients()).collect();
    Ok((recipients, Some(Arc::new(own_key))))
}

/// A recording's folder, for reading.
#[derive(Debug, Clone)]
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn of(root: &Path, id: &RecordingId) -> Self {
        Self(root.join(id.live_name()))
    }

    /// Whether a process owns the folder.
    ///
    /// # Errors
    /// The error of the disk; [`io::ErrorKind::NotFound`] if there is no such folder.
    pub(super) fn is_owned(&self) -> io::Result<bool> {
        // The lock is shared, so that two processes that look at once do not mistake each other for the owner.
        if !self.exists()? {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = match file::reading(&self.0.join(LOCK)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.0.metadata().map(|_| false),
            file => file?,
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether the folder exists. A link to a folder does not count, because its content belongs to somebody else.
    ///
    /// # Errors
    /// The error of the disk.
    pub(super) fn exists(&self) -> io::Result<bool> {
        match fs::symlink_metadata(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            is => Ok(is?.is_dir()),
        }
    }

    /// Whether somebody has removed the folder.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.0.try_exists(), Ok(false))
    }

    /// Whether the recording is encrypted.
    ///
    /// # Errors
    /// The error of the disk.
    pub(super) fn is_sealed(&self) -> io::Result<bool> {
        for entry in fs::read_dir(&self.0)? {
            if entry?.file_name().to_string_lossy().ends_with(SEALED) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The size of all files in the folder, in bytes.
    ///
    /// # Errors
    /// The error of the disk.
    pub(super) fn bytes(&self) -> io::Result<u64> {
        let mut bytes = 0;
        for entry in fs::read_dir(&self.0)? {
            // A file that disappears during the scan has no size.
            bytes += entry?.metadata().map_or(0, |metadata| metadata.len());
        }
        Ok(bytes)
    }

    /// The path of a plain file in the folder.
    pub(super) fn plain(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Reads a whole track, up to the size limit of a text.
    ///
    /// # Errors
    /// [`LibraryError::Sealed`] if the track is encrypted and `identity` does not decrypt it.
    pub(super) fn read(&self, name: &str, identity: Option<&Identity>) -> Result<Vec<u8>, LibraryError> {
        let mut bytes = Vec::new();
        if let Some(source) = self.source(name, identity)? {
            source.take(TEXT_BYTES).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    }

    /// Opens a track. Returns `None` if there is no track of this name.
    ///
    /// # Errors
    /// Those of [`Self::read`].
    pub(super) fn source(
        &self,
        name: &str,
        identity: Option<&Identity>,
    ) -> Result<Option<Source>, LibraryError> {
        match file::reading(&self.plain(name)) {
            Ok(file) => return Ok(Some(Source::Plain(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let pieces = self.pieces(name)?;
        if pieces.is_empty() {
            return Ok(None);
        }
        let identity = identity.ok_or(LibraryError::Sealed)?.clone();
        Ok(Some(Source::Pieces(Pieces { rest: pieces, identity, place: 0, plain: Vec::new(), read: 0 })))
    }
}

impl Folder {
    /// The encrypted pieces of a track, last one first, up to the first gap that is too long to be genuine.
    fn pieces(&self, name: &str) -> io::Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let file = entry?.file_name();
            let place = file.to_str().and_then(|file| file.strip_prefix(name)?.strip_prefix('.'));
            if let Some(place) = place.and_then(|place| place_of(place.strip_suffix(SEALED)?)) {
                pieces.push(Piece { place, path: self.0.join(file) });
            }
        }
        pieces.sort_unstable_by_key(|piece| piece.place);
        // An encrypted piece is larger than its content, so without gaps no position exceeds the size of all earlier
        // pieces.
        let mut taken = 0;
        let reached = pieces.iter().take_while(|piece| {
            let is_near = piece.place <= taken + HOLE_BYTES;
            taken += file::size(&piece.path).min(PIECE_BYTES);
            is_near
        });
        let reached = reached.count();
        if let Some(far) = pieces.get(reached) {
            tracing::warn!(path = %far.path.display(), "a piece that is too far away to belong to the recording");
        }
        pieces.truncate(reached);
        pieces.reverse();
        Ok(pieces)
    }
}

/// Parses the position in the name of a piece.
fn place_of(digits: &str) -> Option<u64> {
    let is_one = digits.len() == PLACE_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_one.then(|| digits.parse().ok()).flatten()
}

/// The content of a track, from its beginning.
pub(super) enum Source {
    /// The track is one plain file.
    Plain(File),
    /// The track is a series of encrypted files.
    Pieces(Pieces),
}

impl Source {
    /// The length of the content in bytes.
    ///
    /// # Errors
    /// The error of the disk, or the last complete piece cannot be decrypted.
    pub(super) fn len(&self) -> Result<u64, LibraryError> {
        match self {
            Self::Plain(file) => Ok(file.metadata()?.len()),
            Self::Pieces(pieces) => pieces.len(),
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Pieces(pieces) => pieces.read(buffer),
        }
    }
}

struct Piece {
    place: u64,
    path: PathBuf,
}

/// A series of encrypted files. A piece that a crash left incomplete is skipped; silence replaces it if another piece
/// follows.
pub(super) struct Pieces {
    /// The remaining pieces, the next one last.
    rest: Vec<Piece>,
    identity: Identity,
    /// The position at which `plain` ends.
    place: u64,
    plain: Vec<u8>,
    read: usize,
}

impl Pieces {
    fn len(&self) -> Result<u64, LibraryError> {
        for piece in &self.rest {
            if let Some(plain) = self.open(piece)? {
                return Ok(piece.place + plain.len() as u64);
            }
        }
        Ok(0)
    }

    fn open(&self, piece: &Piece) -> Result<Option<Vec<u8>>, LibraryError> {
        let read = file::reading(&piece.path).and_then(|file| file::whole(&file, PIECE_BYTES));
        let opened = read.map_err(LibraryError::from).and_then(|bytes| match bytes {
            Some(bytes) => seal::unseal(&self.identity, &bytes),
            None => Err(LibraryError::Damaged("too long for a piece".to_owned())),
        });
        match opened {
            Ok(plain) => Ok(Some(plain)),
            Err(LibraryError::Damaged(cause)) => {
                tracing::debug!(path = %piece.path.display(), cause, "a torn piece of a recording");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.plain.len() {
            let Some(piece) = self.rest.pop() else { return Ok(0) };
            let opened = self.open(&piece).map_err(|error| match error {
                LibraryError::Io(error) => error,
                other => io::Error::other(other),
            })?;
            let Some(plain) = opened else { continue };
            let hole = piece.place.saturating_sub(self.place) as usize;
            self.place = piece.place + plain.len() as u64;
            self.plain.clear();
            self.plain.resize(hole, SILENCE_BYTE);
            self.plain.extend_from_slice(&plain);
            self.read = 0;
        }
        let length = buffer.len().min(self.plain.len() - self.read);
        buffer[..length].copy_from_slice(&self.plain[self.read..self.read + length]);
        self.read += length;
        Ok(length)
    }
}

/// Creates a folder and its missing ancestors.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)
}

/// Tests whether recordings can be written here, by creating the folder and a temporary file in it.
///
/// # Errors
/// Recordings cannot be written.
pub(super) fn probe(root: &Path) -> io::Result<()> {
    /// The size of the temporary file: more than fits into an inode, so that the test needs space on the disk.
    const BYTES: usize = 4_096;
    make_folder(root)?;
    let path = root.join(".probe");
    let written = file::new(&path).and_then(|mut file| file.write_all(&[0; BYTES]));
    fs::remove_file(&path)?;
    written
}

/// Takes the lock of a folder. Returns `None` if another process holds it.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    if !fs::symlink_metadata(folder)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(FILE_MODE);
    let file = file::open(&folder.join(LOCK), &mut options)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recordings::track::Track;

    fn id() -> RecordingId {
        "20251020_143025_17.3".parse().unwrap()
    }

    #[test]
    fn it_belongs_to_one_as_long_as_he_lives_and_then_to_the_next() {
        let root = tempfile::tempdir().unwrap();
        let live = Live::create(root.path(), &id(), None).unwrap();
        let folder = Folder::of(root.path(), &id());
        assert!(folder.is_owned().unwrap() && Live::adopt(root.path(), &id()).unwrap().is_none());
        drop(live);
        assert!(!folder.is_owned().unwrap());
        let heir = Live::adopt(root.path(), &id()).unwrap().unwrap();
        assert!(folder.is_owned().unwrap() && !folder.is_gone());
        drop(heir);
        // Two processes that only look do not mistake each other for the owner.
        let look = File::open(folder.plain(LOCK)).unwrap();
        look.lock_shared().unwrap();
        assert!(!folder.is_owned().unwrap());
    }

    #[test]
    fn a_taken_id_becomes_another_one_and_nothing_is_left_under_a_hidden_name() {
        let root = tempfile::tempdir().unwrap();
        let first = Live::create(root.path(), &id(), None).unwrap();
        let second = Live::create(root.path(), &id(), None).unwrap();
        fs::write(root.path().join(id().variant(3).file_name(Part::Conversation, true)), "").unwrap();
        let fourth = Live::create(root.path(), &id(), None).unwrap();
        let ids = [&first, &second, &fourth].map(|live| live.id.call_id().to_owned());
        assert_eq!(ids, ["17.3", "17.3-2", "17.3-4"]);
        let names = fs::read_dir(root.path()).unwrap();
        assert!(
            names.into_iter().all(|entry| !entry.unwrap().file_name().to_string_lossy().starts_with('.'))
        );
    }

    #[test]
    fn a_piece_that_a_power_cut_tore_is_silence_of_its_length_and_shifts_nothing() {
        let root = tempfile::tempdir().unwrap();
        let owner = Identity::ephemeral().unwrap();
        let recipients: Vec<_> = owner.recipients().collect();
        let live = Live::create(root.path(), &id(), None).unwrap();
        let mut track = Track::new(WAV);
        for byte in [1, 2, 3] {
            assert!(track.push(&[byte; 10]));
            track.write(&live.folder.0, &recipients).unwrap();
        }
        let piece = |place: u64| live.folder.plain(&format!("{WAV}.{place:012}{SEALED}"));
        let whole = live.folder.read(WAV, Some(&owner)).unwrap();
        assert_eq!(whole, [[1; 10], [2; 10], [3; 10]].concat());
        File::options().write(true).open(piece(10)).unwrap().set_len(200).unwrap();
        assert_eq!(live.folder.read(WAV, Some(&owner)).unwrap(), [[1; 10], [0xFF; 10], [3; 10]].concat());
        fs::write(piece(20), "").unwrap();
        let source = live.folder.source(WAV, Some(&owner)).unwrap().unwrap();
        assert_eq!(source.len().unwrap(), 10, "up to the last whole piece");
        assert_eq!(live.folder.read(WAV, Some(&owner)).unwrap(), [1; 10]);
        // A power cut cannot make a gap of a terabyte, so the piece is not genuine.
        for name in ["999999999999", "+00000000010"] {
            fs::copy(piece(0), live.folder.plain(&format!("{WAV}.{name}{SEALED}"))).unwrap();
        }
        assert_eq!(live.folder.read(WAV, Some(&owner)).unwrap(), [1; 10]);
        // Several small gaps do not make such a piece genuine either.
        for place in 1..100_u64 {
            fs::copy(piece(0), piece(place * HOLE_BYTES)).unwrap();
        }
        let longest = live.folder.source(WAV, Some(&owner)).unwrap().unwrap().len().unwrap();
        assert_eq!(longest, HOLE_BYTES + 10);
        // A piece without an end is incomplete.
        File::options().write(true).open(piece(0)).unwrap().set_len(1 << 40).unwrap();
        assert!(live.folder.read(WAV, Some(&owner)).unwrap().starts_with(&[0xFF; 10]));
        assert!(matches!(live.folder.read(WAV, None), Err(LibraryError::Sealed)));
        assert!(matches!(
            live.folder.read(WAV, Some(&Identity::ephemeral().unwrap())),
            Err(LibraryError::Sealed)
        ));
    }
}

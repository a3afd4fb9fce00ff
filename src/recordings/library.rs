//! The folder as a library: listing, reading and exporting recordings. The functions block. Several threads and
//! processes may use the library at once.
//!
//! The library looks only at files. Questions that need fast answers about very many recordings go to an index, which
//! is made from the library. A recording exists while its conversation file exists or, if it is unfinished, its
//! folder.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::value::RawValue;

use super::audio::{Audio, Side};
use super::conversation::{Conversation, Head};
use super::error::LibraryError;
use super::file::{self, TEXT_BYTES};
use super::finish::{After, Finish};
use super::id::{Name, Part};
use super::live::{BIN, Folder, LOG, Live, WAV, make_folder};
use super::log::Opened;
use super::seal::{self, Identity};
use super::story::Story;
use super::summary::summary;
use super::{Facts, RecordingId, RecordingSettings, State};
use crate::number::Sought;
use crate::units::ByteCount;

/// A text file of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The whole text.
    pub text: String,
    /// When the file was written. While the call is running, when its log was written.
    pub modified: SystemTime,
}

/// The recordings of one caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfCaller {
    /// The caller's recordings, oldest first, without running calls.
    pub ids: Vec<RecordingId>,
    /// Encrypted recordings whose caller cannot be determined without the secret key. An index may know it.
    pub unknown: Vec<RecordingId>,
    /// The recordings of the caller's running calls.
    pub running: Vec<RecordingId>,
}

/// The recordings in one folder.
#[derive(Debug, Clone)]
pub struct Library {
    pub(super) settings: RecordingSettings,
}

/// Where a recording is stored.
enum Stored {
    /// The recording is finished. Its files are encrypted if `sealed` is set.
    Finished { sealed: bool },
    /// The recording is unfinished and has a folder.
    Folder(Folder),
}

impl Library {
    /// Opens the library in the folder of `settings` without touching the disk.
    #[must_use]
    pub const fn new(settings: RecordingSettings) -> Self {
        Self { settings }
    }

    /// For how many days recordings are kept whose agents have no period of their own. `None`: for ever.
    #[must_use]
    pub fn retention_days(&self) -> Option<u32> {
        self.settings.retention_days
    }

    /// The folder of the recordings.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.settings.folder
    }

    /// Lists all recordings, newest first, from one scan of the folder's names. A missing folder is an empty one.
    /// Only the conversation file says whether a finished recording was recovered; here such a recording is
    /// `State::Finished`.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> io::Result<Vec<(RecordingId, State)>> {
        let mut found = BTreeMap::new();
        let entries = match fs::read_dir(&self.settings.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        for entry in entries {
            match entry?.file_name().to_str().and_then(Name::read) {
                Some(Name::File { id, part: Part::Conversation, .. }) => {
                    found.insert(id, State::Finished);
                }
                Some(Name::Live(id)) => {
                    found.entry(id).or_insert(State::Live);
                }
                Some(Name::File { .. }) | None => {}
            }
        }
        let state = |id: &RecordingId, state| match state {
            State::Live => Self::state_of_folder(&Folder::of(&self.settings.folder, id)),
            other => Ok(other),
        };
        let rows = found.into_iter().rev().filter_map(|(id, found)| match state(&id, found) {
            // The recording was finished or deleted after the scan.
            Err(LibraryError::NotFound) => self.place(&id).ok().map(|_| Ok((id, State::Finished))),
            Err(LibraryError::Io(error)) => Some(Err(error)),
            Err(_) => None,
            Ok(state) => Some(Ok((id, state))),
        });
        rows.collect()
    }

    /// The state of a recording.
    ///
    /// # Errors
    /// [`LibraryError::NotFound`], [`LibraryError::Io`].
    pub fn state(&self, id: &RecordingId) -> Result<State, LibraryError> {
        match self.place(id)? {
            Stored::Finished { sealed } => match self.head(id, sealed) {
                Ok((_, state)) => Ok(state),
                Err(LibraryError::Sealed | LibraryError::Damaged(_)) => Ok(State::Finished),
                Err(error) => Err(error),
            },
            Stored::Folder(folder) => Self::state_of_folder(&folder),
        }
    }

    /// What a list shows of a recording. Reads the conversation if possible.
    ///
    /// # Errors
    /// Those of [`Self::state`].
    pub fn facts(&self, id: &RecordingId) -> Result<Facts, LibraryError> {
        match self.place(id)? {
            Stored::Finished { sealed } => {
                let head = match self.head(id, sealed) {
                    Ok(head) => Some(head),
                    Err(LibraryError::Sealed | LibraryError::Damaged(_)) => None,
                    Err(error) => return Err(error),
                };
                let state = head.as_ref().map_or(State::Finished, |(_, state)| *state);
                let size = |part| file::size(&self.path(id, part, sealed));
                let bytes = ByteCount::new(Part::ALL.into_iter().map(size).sum());
                Ok(Facts { id: id.clone(), state, sealed, bytes, told: head.map(|(told, _)| told) })
            }
            Stored::Folder(folder) => {
                let state = Self::state_of_folder(&folder)?;
                let told = match self.story(id, &folder) {
                    Ok((document, _)) => document.told(),
                    Err(LibraryError::Io(error)) => return Err(error.into()),
                    Err(_) => None,
                };
                let (sealed, bytes) = (folder.is_sealed()?, folder.bytes()?);
                Ok(Facts { id: id.clone(), state, sealed, bytes: ByteCount::new(bytes), told })
            }
        }
    }

    /// The conversation as JSON. For a running call, the conversation so far.
    ///
    /// # Errors
    /// See [`LibraryError`].
    pub fn conversation(&self, id: &RecordingId) -> Result<Document, LibraryError> {
        match self.place(id)? {
            Stored::Finished { sealed } => self.document(id, Part::Conversation, sealed),
            Stored::Folder(folder) => {
                let text = self.story(id, &folder)?.0.to_json();
                Ok(Document { text, modified: modified(&folder)? })
            }
        }
    }

    /// The summary. For a running call, the summary so far.
    ///
    /// # Errors
    /// See [`LibraryError`].
    pub fn summary(&self, id: &RecordingId) -> Result<Document, LibraryError> {
        match self.place(id)? {
            Stored::Finished { sealed } => self.document(id, Part::Summary, sealed),
            Stored::Folder(folder) => {
                let (document, state) = self.story(id, &folder)?;
                let text = summary(id, &document, state, self.settings.language);
                Ok(Document { text, modified: modified(&folder)? })
            }
        }
    }

    /// The technical events as a JSON array, as in the conversation document.
    ///
    /// # Errors
    /// See [`LibraryError`].
    pub fn events(&self, id: &RecordingId) -> Result<Document, LibraryError> {
        #[derive(serde::Deserialize)]
        struct Events {
            events: Option<Box<RawValue>>,
        }
        let whole = self.conversation(id)?;
        let events: Events =
            serde_json::from_str(&whole.text).map_err(|error| LibraryError::Damaged(error.to_string()))?;
        // Documents of the original system have no events.
        let text = events.events.map_or_else(|| "[]".to_owned(), |events| events.get().to_owned());
        Ok(Document { text, modified: whole.modified })
    }

    /// The WAV file of one voice or both, with the right sizes in its header. For a running call, what is on the disk
    /// now. For a running call that is encrypted, the result is [`LibraryError::Live`].
    ///
    /// # Errors
    /// See [`LibraryError`].
    pub fn audio(&self, id: &RecordingId, side: Side) -> Result<Audio, LibraryError> {
        let (file, identity) = self.sound(id, Part::Wav, WAV)?;
        Audio::wav(file, identity, side)
    }

    /// The assistant's audio as the model sent it, G.711 µ-law. Running calls are treated as in [`Self::audio`].
    ///
    /// # Errors
    /// See [`LibraryError`].
    pub fn bin(&self, id: &RecordingId) -> Result<Audio, LibraryError> {
        let (file, identity) = self.sound(id, Part::Bin, BIN)?;
        Audio::raw(file, identity)
    }

    /// The recordings of ended calls, newest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn ended(&self) -> io::Result<Vec<RecordingId>> {
        let all = self.list()?.into_iter();
        Ok(all.filter(|(_, state)| *state != State::Live).map(|(id, _)| id).collect())
    }

    /// The recordings of one caller. Reads every conversation, which takes seconds for 100 000 recordings.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn of_caller(&self, caller: &Sought) -> io::Result<OfCaller> {
        let mut found = OfCaller::default();
        for (id, state) in self.list()?.into_iter().rev() {
            let is_running = state == State::Live;
            match self.facts(&id) {
                Ok(Facts { told: Some(told), .. }) if is_running && caller.is(&told.caller) => {
                    found.running.push(id);
                }
                _ if is_running => {}
                Ok(Facts { told: Some(told), .. }) if caller.is(&told.caller) => {
                    found.ids.push(id);
                }
                Ok(Facts { told: None, .. }) => found.unknown.push(id),
                Ok(_) | Err(LibraryError::NotFound) => {}
                Err(LibraryError::Io(error)) => return Err(error),
                Err(_) => found.unknown.push(id),
            }
        }
        Ok(found)
    }

    /// Writes all files of a recording, decrypted, into `target`, which is created if it is missing, and returns
    /// their paths. An encrypted recording that a crash left unfinished is completed there; the original stays
    /// unchanged.
    ///
    /// # Errors
    /// See [`LibraryError`]; [`LibraryError::Live`] for a running call.
    pub fn export(&self, id: &RecordingId, target: &Path) -> Result<Vec<PathBuf>, LibraryError> {
        let place = self.place(id)?;
        make_folder(target)?;
        let identity = self.settings.identity.as_deref();
        let folder = match place {
            Stored::Folder(folder) => folder,
            Stored::Finished { sealed } => return self.export_finished(id, sealed, target),
        };
        // The lock is held until the export is complete, so that a daemon that starts meanwhile does not finish the
        // recording.
        let _lock = Live::adopt(&self.settings.folder, id)?.ok_or(LibraryError::Live)?;
        let language = self.settings.language;
        let finish =
            Finish { id, folder: &folder, identity, target, recipients: &[], language, after: After::Kept };
        Ok(finish.run()?.1)
    }

    fn export_finished(
        &self,
        id: &RecordingId,
        sealed: bool,
        target: &Path,
    ) -> Result<Vec<PathBuf>, LibraryError> {
        let mut paths = Vec::new();
        // The conversation is written last, as always.
        for part in Part::ALL.into_iter().rev() {
            let mut plain: Box<dyn io::Read> = match self.open(id, part, sealed) {
                Ok(file) if sealed => Box::new(seal::open(self.identity()?, io::BufReader::new(file))?),
                Ok(file) => Box::new(file),
                Err(LibraryError::NotKept) => continue,
                Err(error) => return Err(error),
            };
            let path = target.join(id.file_name(part, false));
            super::finish::copy_to(&mut plain, &path)?;
            paths.push(path);
        }
        Ok(paths)
    }

    fn place(&self, id: &RecordingId) -> Result<Stored, LibraryError> {
        let find = || {
            for sealed in [false, true] {
                // Anything with this name can be deleted, and read if it is a file.
                if self.path(id, Part::Conversation, sealed).try_exists()? {
                    return Ok(Some(Stored::Finished { sealed }));
                }
            }
            let folder = Folder::of(&self.settings.folder, id);
            io::Result::Ok(folder.exists()?.then_some(Stored::Folder(folder)))
        };
        // The second look is needed because the recording may be finished between the looks at the files and at the
        // folder.
        let place = match find()? {
            None => find()?,
            found => found,
        };
        place.ok_or(LibraryError::NotFound)
    }

    fn state_of_folder(folder: &Folder) -> Result<State, LibraryError> {
        match folder.is_owned() {
            Ok(true) => Ok(State::Live),
            Ok(false) => Ok(State::Recovered),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(LibraryError::NotFound),
            Err(error) => Err(error.into()),
        }
    }

    /// What the log of an unfinished recording tells so far.
    fn story(&self, id: &RecordingId, folder: &Folder) -> Result<(Conversation, State), LibraryError> {
        let state = Self::state_of_folder(folder)?;
        let log = folder.read(LOG, self.settings.identity.as_deref())?;
        let story = Story::read(&log, Opened::unknown(id));
        let sound = file::size(&folder.plain(WAV));
        Ok((Conversation::new(id, &story, state, sound / 16), state))
    }

    fn head(&self, id: &RecordingId, sealed: bool) -> Result<(super::Told, State), LibraryError> {
        let text = self.document(id, Part::Conversation, sealed)?.text;
        Head::read(text.as_bytes()).ok_or_else(|| LibraryError::Damaged("not a conversation".to_owned()))
    }

    fn document(&self, id: &RecordingId, part: Part, sealed: bool) -> Result<Document, LibraryError> {
        let file = self.open(id, part, sealed)?;
        let modified = file.metadata()?.modified()?;
        let too_long = || LibraryError::Damaged(format!("more than {TEXT_BYTES} bytes"));
        let mut bytes = file::whole(&file, TEXT_BYTES)?.ok_or_else(too_long)?;
        if sealed {
            bytes = seal::unseal(self.identity()?, &bytes)?;
        }
        let text = String::from_utf8(bytes).map_err(|error| LibraryError::Damaged(error.to_string()))?;
        Ok(Document { text, modified })
    }

    /// Opens an audio file, with the key that decrypts it.
    fn sound(
        &self,
        id: &RecordingId,
        part: Part,
        track: &str,
    ) -> Result<(File, Option<&Identity>), LibraryError> {
        match self.place(id)? {
            Stored::Finished { sealed } => {
                let file = self.open(id, part, sealed)?;
                Ok((file, if sealed { Some(self.identity()?) } else { None }))
            }
            Stored::Folder(folder) if folder.is_sealed()? => match Self::state_of_folder(&folder)? {
                State::Live => Err(LibraryError::Live),
                State::Finished | State::Recovered => Err(LibraryError::Sealed),
            },
            Stored::Folder(folder) => match file::reading(&folder.plain(track)) {
                Ok(file) => Ok((file, None)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(LibraryError::NotKept),
                Err(error) => Err(error.into()),
            },
        }
    }

    fn open(&self, id: &RecordingId, part: Part, sealed: bool) -> Result<File, LibraryError> {
        match file::reading(&self.path(id, part, sealed)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(match part {
                Part::Conversation => LibraryError::NotFound,
                Part::Summary | Part::Wav | Part::Bin => LibraryError::NotKept,
            }),
            file => Ok(file?),
        }
    }

    fn identity(&self) -> Result<&Identity, LibraryError> {
        self.settings.identity.as_deref().ok_or(LibraryError::Sealed)
    }

    fn path(&self, id: &RecordingId, part: Part, sealed: bool) -> PathBuf {
        self.settings.folder.join(id.file_name(part, sealed))
    }
}

fn modified(folder: &Folder) -> io::Result<SystemTime> {
    // An encrypted log is a series of files, so the time of the folder counts.
    fs::metadata(folder.plain(LOG)).or_else(|_| fs::metadata(&folder.0))?.modified()
}

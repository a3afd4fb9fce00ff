//! The folder as a library: list, read, export. Blocking, and safe to use from several threads and processes at
//! once.
//!
//! It looks at files only; what has to be fast with very many of them belongs into an index made from here.
//! A recording is there when its conversation is, or its folder while it is not finished.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::value::RawValue;

use super::audio::{Audio, Side};
use super::conversation::{Conversation, Head};
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

/// Why a recording cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// There is no such recording.
    #[error("no such recording")]
    NotFound,
    /// Its call is running, or it is just being finished.
    #[error("the call is still running")]
    Live,
    /// It is encrypted and the identity that opens it is not here.
    #[error("encrypted, and no identity here opens it")]
    Sealed,
    /// The recording is there, but this was not kept of it (`RECORD`).
    #[error("not kept of this recording")]
    NotKept,
    /// The file is damaged.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The disk.
    #[error(transparent)]
    Io(io::Error),
}

impl From<io::Error> for LibraryError {
    /// One of ours that went through a reader comes out as it was.
    fn from(error: io::Error) -> Self {
        error.downcast().unwrap_or_else(Self::Io)
    }
}

/// A text of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// All of it, UTF-8.
    pub text: String,
    /// When it was written; while the call runs, when its log was.
    pub modified: SystemTime,
}

/// The recordings of one caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfCaller {
    /// His, oldest first; running calls are not among them.
    pub ids: Vec<RecordingId>,
    /// Those that cannot be told, because they are encrypted and the identity is not here: an index may know.
    pub unknown: Vec<RecordingId>,
}

/// The recordings in one folder.
#[derive(Debug, Clone)]
pub struct Library {
    pub(super) settings: RecordingSettings,
}

/// Where a recording is, for a reader.
enum Place {
    /// Its finished files; sealed or not.
    Finished { sealed: bool },
    /// Its folder.
    Folder(Folder),
}

impl Library {
    /// The library in the folder of `settings`. Does not touch the disk.
    #[must_use]
    pub const fn new(settings: RecordingSettings) -> Self {
        Self { settings }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.settings.folder
    }

    /// Every recording, newest first, from one scan of the folder's names (a missing folder is an empty one).
    /// Whether a finished one was recovered is in its conversation only: here it is [`State::Finished`].
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
            // It was finished or deleted meanwhile.
            Err(LibraryError::NotFound) => self.place(&id).ok().map(|_| Ok((id, State::Finished))),
            Err(LibraryError::Io(error)) => Some(Err(error)),
            Err(_) => None,
            Ok(state) => Some(Ok((id, state))),
        });
        rows.collect()
    }

    /// Where a recording stands.
    ///
    /// # Errors
    /// [`LibraryError::NotFound`], [`LibraryError::Io`].
    pub fn state(&self, id: &RecordingId) -> Result<State, LibraryError> {
        match self.place(id)? {
            Place::Finished { sealed } => match self.head(id, sealed) {
                Ok((_, state)) => Ok(state),
                Err(LibraryError::Sealed | LibraryError::Damaged(_)) => Ok(State::Finished),
                Err(error) => Err(error),
            },
            Place::Folder(folder) => Self::state_of_folder(&folder),
        }
    }

    /// What a list shows of it; reads the conversation if it can.
    ///
    /// # Errors
    /// As [`Self::state`].
    pub fn facts(&self, id: &RecordingId) -> Result<Facts, LibraryError> {
        match self.place(id)? {
            Place::Finished { sealed } => {
                let head = match self.head(id, sealed) {
                    Ok(head) => Some(head),
                    Err(LibraryError::Sealed | LibraryError::Damaged(_)) => None,
                    Err(error) => return Err(error),
                };
                let state = head.as_ref().map_or(State::Finished, |(_, state)| *state);
                let size = |part| file::size(&self.path(id, part, sealed));
                let bytes = Part::ALL.into_iter().map(size).sum();
                Ok(Facts { id: id.clone(), state, sealed, bytes, told: head.map(|(told, _)| told) })
            }
            Place::Folder(folder) => {
                let state = Self::state_of_folder(&folder)?;
                let told = match self.story(id, &folder) {
                    Ok((document, _)) => document.told(),
                    Err(LibraryError::Io(error)) => return Err(error.into()),
                    Err(_) => None,
                };
                let (sealed, bytes) = (folder.is_sealed()?, folder.bytes()?);
                Ok(Facts { id: id.clone(), state, sealed, bytes, told })
            }
        }
    }

    /// The conversation, JSON. Of a running call: as far as it has come.
    ///
    /// # Errors
    /// See [`LibraryError`].
    pub fn conversation(&self, id: &RecordingId) -> Result<Document, LibraryError> {
        match self.place(id)? {
            Place::Finished { sealed } => self.document(id, Part::Conversation, sealed),
            Place::Folder(folder) => {
                let text = self.story(id, &folder)?.0.to_json();
                Ok(Document { text, modified: modified(&folder)? })
            }
        }
    }

    /// The summary. Of a running call: as far as it has come.
    ///
    /// # Errors
    /// See [`LibraryError`].
    pub fn summary(&self, id: &RecordingId) -> Result<Document, LibraryError> {
        match self.place(id)? {
            Place::Finished { sealed } => self.document(id, Part::Summary, sealed),
            Place::Folder(folder) => {
                let (document, state) = self.story(id, &folder)?;
                let text = summary(id, &document, state, self.settings.language);
                Ok(Document { text, modified: modified(&folder)? })
            }
        }
    }

    /// The events, a JSON array: the `events` of the conversation.
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
        // The original system's documents have none.
        let text = events.events.map_or_else(|| "[]".to_owned(), |events| events.get().to_owned());
        Ok(Document { text, modified: whole.modified })
    }

    /// The WAV file with the right sizes in its header, of one voice or both. Of a running call: what is on
    /// disk now; of an encrypted running one: [`LibraryError::Live`].
    ///
    /// # Errors
    /// See [`LibraryError`].
    pub fn audio(&self, id: &RecordingId, side: Side) -> Result<Audio, LibraryError> {
        let (file, identity) = self.sound(id, Part::Wav, WAV)?;
        Audio::wav(file, identity, side)
    }

    /// The assistant's µ-law as the model sent it. Of a running call as [`Self::audio`].
    ///
    /// # Errors
    /// See [`LibraryError`].
    pub fn bin(&self, id: &RecordingId) -> Result<Audio, LibraryError> {
        let (file, identity) = self.sound(id, Part::Bin, BIN)?;
        Audio::raw(file, identity)
    }

    /// Recordings of calls that are over, newest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn ended(&self) -> io::Result<Vec<RecordingId>> {
        let all = self.list()?.into_iter();
        Ok(all.filter(|(_, state)| *state != State::Live).map(|(id, _)| id).collect())
    }

    /// Recordings of one caller. Reads every conversation: seconds with 100 000 of them.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn of_caller(&self, caller: &Sought) -> io::Result<OfCaller> {
        let mut found = OfCaller::default();
        for id in self.ended()?.into_iter().rev() {
            match self.facts(&id) {
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

    /// Writes all files of a recording, decrypted, into `target` (made where missing) and returns their paths.
    /// One that a crash left encrypted and unfinished is completed there; what is here stays as it is.
    ///
    /// # Errors
    /// See [`LibraryError`]; [`LibraryError::Live`] of a running call.
    pub fn export(&self, id: &RecordingId, target: &Path) -> Result<Vec<PathBuf>, LibraryError> {
        let place = self.place(id)?;
        make_folder(target)?;
        let identity = self.settings.identity.as_deref();
        let folder = match place {
            Place::Folder(folder) => folder,
            Place::Finished { sealed } => return self.export_finished(id, sealed, target),
        };
        // Held until it is done, so that a daemon that starts meanwhile does not finish it below our feet.
        let _ours = Live::adopt(&self.settings.folder, id)?.ok_or(LibraryError::Live)?;
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
        // The conversation last, as always.
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

    fn place(&self, id: &RecordingId) -> Result<Place, LibraryError> {
        let find = || {
            for sealed in [false, true] {
                // Whatever it is: it can be deleted, and read if it is a file.
                if self.path(id, Part::Conversation, sealed).try_exists()? {
                    return Ok(Some(Place::Finished { sealed }));
                }
            }
            let folder = Folder::of(&self.settings.folder, id);
            io::Result::Ok(folder.exists()?.then_some(Place::Folder(folder)))
        };
        // Twice, as it may be finished between the two looks.
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

    /// What the log of an unfinished recording tells by now.
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

    /// A file of sound, and what opens it.
    fn sound(
        &self,
        id: &RecordingId,
        part: Part,
        track: &str,
    ) -> Result<(File, Option<&Identity>), LibraryError> {
        match self.place(id)? {
            Place::Finished { sealed } => {
                let file = self.open(id, part, sealed)?;
                Ok((file, if sealed { Some(self.identity()?) } else { None }))
            }
            Place::Folder(folder) if folder.is_sealed()? => match Self::state_of_folder(&folder)? {
                State::Live => Err(LibraryError::Live),
                State::Finished | State::Recovered => Err(LibraryError::Sealed),
            },
            Place::Folder(folder) => match file::reading(&folder.plain(track)) {
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
    // A sealed log is a row of files: then it is the folder that changes.
    fs::metadata(folder.plain(LOG)).or_else(|_| fs::metadata(&folder.0))?.modified()
}

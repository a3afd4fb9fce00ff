//! Deleting a recording: every file of it, or none.
//!
//! Everything gets a hidden name first, what makes it a recording (its folder, its conversation) before the rest;
//! if one of the names cannot be changed, those before it are changed back. Only then are the files removed. A
//! crash in between is brought to its end by the next start (`recover`). Needs no room, so it works on a full
//! disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::RecordingId;
use super::id::Part;
use super::library::{Library, LibraryError};
use super::live::{Folder, Live};
use super::recover::DELETED;

impl Library {
    /// Deletes every file of a recording, or none.
    ///
    /// # Errors
    /// [`LibraryError::Live`] of a running call. On every error nothing is deleted, except where the system
    /// refuses to remove what it let us rename: that is gone from the library, and the next start removes it.
    pub fn delete(&self, id: &RecordingId) -> Result<(), LibraryError> {
        let _ours = match Folder::of(self.folder(), id).is_owned() {
            Ok(true) => return Err(LibraryError::Live),
            // What a crash left: nobody may begin to complete it now.
            Ok(false) => Some(Live::adopt(self.folder(), id)?.ok_or(LibraryError::Live)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        let hidden = hide(self.folder(), id)?;
        if hidden.is_empty() {
            return Err(LibraryError::NotFound);
        }
        for tombstone in hidden.into_iter().rev() {
            if tombstone.is_dir() { fs::remove_dir_all(tombstone)? } else { fs::remove_file(tombstone)? }
        }
        Ok(())
    }
}

/// Takes all of a recording out of sight, or nothing.
fn hide(root: &Path, id: &RecordingId) -> io::Result<Vec<PathBuf>> {
    let files = Part::ALL.into_iter().flat_map(|part| [id.file_name(part, false), id.file_name(part, true)]);
    let mut hidden: Vec<(PathBuf, PathBuf)> = Vec::new();
    for name in std::iter::once(id.live_name()).chain(files) {
        let (path, tombstone) = (root.join(&name), root.join(format!(".{name}{DELETED}")));
        match fs::rename(&path, &tombstone) {
            Ok(()) => hidden.push((path, tombstone)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                for (path, tombstone) in hidden.into_iter().rev() {
                    drop(fs::rename(tombstone, path));
                }
                return Err(error);
            }
        }
    }
    Ok(hidden.into_iter().map(|(_, tombstone)| tombstone).collect())
}

//! Deletes recordings: all files of a recording, or none.
//!
//! First every file is renamed to a hidden name, beginning with what makes the recording exist (its folder or its
//! conversation). If a file cannot be renamed, the earlier ones are renamed back. Only then are the files removed. If
//! a crash interrupts the deletion, the next start completes it (`recover`). Deleting needs no free space, so it
//! works on a full disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::RecordingId;
use super::error::LibraryError;
use super::id::DELETED;
use super::id::Part;
use super::library::Library;
use super::live::{Folder, Live};

impl Library {
    /// Deletes all files of a recording, or none.
    ///
    /// # Errors
    /// [`LibraryError::Live`] for a running call. After an error nothing is deleted, with one exception: if the
    /// system refuses to remove a file that it has renamed, the recording has left the library, and the next start
    /// removes the file.
    pub fn delete(&self, id: &RecordingId) -> Result<(), LibraryError> {
        let _lock = match Folder::of(self.folder(), id).is_owned() {
            Ok(true) => return Err(LibraryError::Live),
            // A crash left this folder. The lock prevents others from completing it now.
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

/// Hides all files of a recording, or none.
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

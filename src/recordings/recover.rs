//! What a start does after the previous run: takes over recordings without an owner, completes interrupted deletions,
//! and removes files that never became a recording.
//!
//! The clerk finishes the recordings. This module only finds them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::id::{DELETED, NEW, Name, Part};
use super::live::{Folder, Live};

/// Takes over every unfinished recording that has no owner. A missing folder contains none.
///
/// # Errors
/// The folder cannot be read. Trouble with a single recording is logged, and the recording is skipped.
pub(super) fn unfinished(root: &Path) -> io::Result<Vec<Live>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if let Some(Name::Live(id)) = Name::read(name) {
            match Live::adopt(root, &id) {
                Ok(Some(live)) => found.push(live),
                Ok(None) => tracing::debug!(%id, "another process records this"),
                Err(error) => tracing::debug!(%error, %id, "an unfinished recording cannot be taken over"),
            }
        } else if let Some(hidden) = name.strip_prefix('.') {
            sweep(&entry.path(), hidden);
        }
    }
    found.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    Ok(found)
}

/// Whether the recording is already finished, so that only its folder is left.
pub(super) fn is_finished(root: &Path, live: &Live) -> bool {
    let is_file = |path: PathBuf| fs::symlink_metadata(path).is_ok_and(|conversation| conversation.is_file());
    [false, true].iter().any(|sealed| is_file(root.join(live.id.file_name(Part::Conversation, *sealed))))
}

/// Removes what a crash left under a hidden name.
fn sweep(path: &Path, hidden: &str) {
    let removed = if let Some(deleted) = hidden.strip_suffix(DELETED) {
        // As soon as the first file has been renamed, all files of the recording must be deleted.
        if let (Some(Name::File { id, .. } | Name::Live(id)), Some(root)) =
            (Name::read(deleted), path.parent())
        {
            for part in Part::ALL {
                for sealed in [false, true] {
                    drop(fs::remove_file(root.join(id.file_name(part, sealed))));
                }
            }
        }
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
    } else if hidden.ends_with(NEW) {
        match Folder(path.to_owned()).is_owned() {
            Ok(false) => fs::remove_dir_all(path),
            Ok(true) => Ok(()),
            Err(error) => Err(error),
        }
    } else {
        Ok(())
    };
    if let Err(error) = removed {
        tracing::debug!(%error, path = %path.display(), "what a crash left behind stays");
    }
}

//! What a start does about the run before it: takes over recordings whose owner is gone, ends deletions that
//! were begun, sweeps away what never became a recording.
//!
//! Finishing them is the clerk's work; this only finds them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::id::{Name, Part};
use super::live::{Folder, Live};

/// Ends the hidden name of a folder that is about to become a recording's.
pub(super) const NEW: &str = ".new";
/// Ends the hidden name of what is being deleted.
pub(super) const DELETED: &str = ".deleted";

/// Takes over every unfinished recording that nobody owns. A missing folder has none.
///
/// # Errors
/// The folder cannot be read. Trouble with a single recording is logged and passed over.
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

/// Whether a recording is finished already, so that only its folder is left.
pub(super) fn is_finished(root: &Path, live: &Live) -> bool {
    let is_file = |path: PathBuf| fs::symlink_metadata(path).is_ok_and(|conversation| conversation.is_file());
    [false, true].iter().any(|sealed| is_file(root.join(live.id.file_name(Part::Conversation, *sealed))))
}

/// Removes what a crash left under a hidden name.
fn sweep(path: &Path, hidden: &str) {
    let removed = if let Some(deleted) = hidden.strip_suffix(DELETED) {
        // The first name that changes decides that all files of a recording go.
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

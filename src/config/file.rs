//! How the files are read that settings name: instructions, prices, an apology.
//!
//! They are read again at every reload, and may lie in a folder of somebody who is trusted with the words of the assistant
//! and not with the daemon. So only a regular file is read, and only up to a limit: a pipe would hold up all reloads to come, a
//! device has no end.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use crate::operator::Detail;

/// The bytes of a regular file, one more than `limit` if it has more.
///
/// # Errors
/// The disk's; or it is no regular file.
pub(super) fn read(path: impl AsRef<Path>, limit: u64) -> io::Result<Vec<u8>> {
    // Of a pipe, the opening itself would wait.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same as text.
///
/// # Errors
/// As [`read`]; or it is longer than `limit`, or not UTF-8.
pub(super) fn text(path: impl AsRef<Path>, limit: u64) -> io::Result<String> {
    let bytes = read(path, limit)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("more than {limit} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

/// Why a file or folder cannot be used. A relative path is said in full, because the working directory is not seen.
pub(super) fn cause(path: impl AsRef<Path>, error: impl Display) -> Detail {
    let path = path.as_ref();
    match std::path::absolute(path) {
        Ok(full) if path.is_relative() => Detail::new(format!("{}: {error}", full.display())),
        _ => Detail::new(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_said_with_its_whole_path() {
        let folder = std::env::current_dir().unwrap();
        assert_eq!(cause("agents", "gone").to_string(), format!("{}/agents: gone", folder.display()));
        assert_eq!(cause("/etc/agents", "gone").to_string(), "gone");
    }

    #[test]
    fn a_file_is_read_up_to_a_limit_and_what_is_none_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "ñandú").unwrap();
        assert_eq!((text(&path, 7).unwrap().as_str(), read(&path, 3).unwrap().len()), ("ñandú", 4));
        assert!(text(&path, 6).is_err() && text("/dev/zero", 100).is_err());
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success() && read(&pipe, 100).is_err());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(text(&link, 100).unwrap(), "ñandú", "where it lies is the operator's choice");
    }
}

//! Opens files of the recordings' folder safely.
//!
//! Others may write to this folder: the machine's administrators, a backup, or a compromised program. A name in the
//! folder therefore proves nothing. Links are not followed, because a link could present any file of the machine as a
//! recording, or cause any file to be overwritten. Pipes are not waited for, because nobody may ever write to them.
//! Whole files are read only up to a limit, because a file may claim to be larger than the memory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use super::error::LibraryError;

/// The mode of every file. The files contain phone numbers and spoken words, so not everybody may read them.
pub(super) const FILE_MODE: u32 = 0o640;
/// The longest text (conversation, summary or log) that is read, in bytes. A call of a whole day with constant speech
/// takes a tenth of it. A larger value would cost each reader that much memory; a smaller one could refuse long
/// calls.
pub(super) const TEXT_BYTES: u64 = 64 << 20;

/// Opens a regular file with `options`, which should not have custom flags of their own.
///
/// # Errors
/// Those of [`OpenOptions::open`]. If the path is a link, a pipe, a folder or a device, the error contains
/// [`LibraryError::Damaged`].
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Without O_NONBLOCK, opening a pipe would wait. The flag has no effect on regular files.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match options.custom_flags(flags.bits() as i32).open(path) {
        Ok(file) => file,
        Err(_) if fs::symlink_metadata(path).is_ok_and(|is| !is.is_file()) => return Err(irregular()),
        Err(error) => return Err(error),
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(irregular()) }
}

/// Opens a regular file for reading.
///
/// # Errors
/// Those of [`open`].
pub(super) fn reading(path: &Path) -> io::Result<File> {
    open(path, OpenOptions::new().read(true))
}

/// Creates a new file for writing and replaces whatever has this name. The target of a link stays unchanged.
///
/// # Errors
/// The error of the disk.
pub(super) fn new(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)
}

/// Reads a whole file. Returns `None` if it has more bytes than `limit`.
///
/// # Errors
/// The error of the disk.
pub(super) fn whole(file: &File, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    if file.metadata()?.len() <= limit {
        // The file may grow meanwhile.
        file.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 <= limit {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

/// The size of a regular file in bytes; 0 if there is no such file.
pub(super) fn size(path: &Path) -> u64 {
    fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file).map_or(0, |file| file.len())
}

fn irregular() -> io::Error {
    io::Error::other(LibraryError::Damaged("not a regular file".to_owned()))
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn only_a_regular_file_is_opened_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "text").unwrap();
        fs::create_dir(path("folder")).unwrap();
        std::os::unix::fs::symlink(path("file"), path("link")).unwrap();
        std::os::unix::fs::symlink(path("nowhere"), path("dangling")).unwrap();
        mknodat(CWD, path("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        assert_eq!(whole(&reading(&path("file")).unwrap(), 4).unwrap().unwrap(), b"text");
        assert!(whole(&reading(&path("file")).unwrap(), 3).unwrap().is_none(), "too long");
        for name in ["folder", "link", "dangling", "pipe", "socket"] {
            let mut options = OpenOptions::new();
            for options in [options.read(true), OpenOptions::new().append(true).create(true)] {
                let error = open(&path(name), options).unwrap_err();
                assert!(matches!(LibraryError::from(error), LibraryError::Damaged(_)), "{name}");
            }
        }
        new(&path("dangling")).unwrap();
        assert!(!path("nowhere").exists(), "nothing is made behind a link");
        assert_eq!(reading(&path("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!((size(&path("file")), size(&path("link")), size(&path("none"))), (4, 0, 0));
    }
}

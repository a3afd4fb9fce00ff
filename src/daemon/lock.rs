//! Keeps a second daemon from the application of a first one. A daemon that is started twice from the same folder would take the
//! callers of the first, which only Asterisk's events would show.
//!
//! The lock is a file in the folder of the recordings, and the kernel releases it when the process ends, however it ends. The file
//! remains, and holds the process id of its last owner. Daemons for other applications or other Asterisks have other files.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{AsteriskConfig, Config};
use crate::operator::{Detail, Notice};
use crate::recordings::file;

/// How long the disk may take. With a longer time, a disk that hangs would hold up the start for as long; with a shorter one, a slow
/// disk would leave the daemon without its lock.
const PATIENCE: Duration = Duration::from_secs(3);
/// The mode of the file: it holds nothing private, but only the daemon's user writes to it.
const MODE: u32 = 0o640;
/// The mode of the folder, if there is none yet.
const FOLDER_MODE: u32 = 0o750;
/// The longest process id that is read, in bytes. Linux has at most seven digits.
const PID_BYTES: u64 = 16;

/// How the attempt went.
#[derive(Debug)]
pub enum Lock {
    /// This is the only daemon. The lock lasts as long as the file is open.
    Held(File),
    /// Another daemon has the application; the line names its process.
    Refused(Notice),
    /// Whether there is another daemon cannot be told: the disk does not allow it. The daemon starts all the same.
    Unknown(Notice),
}

/// Takes the lock.
pub async fn take(config: &Config) -> Lock {
    let path = path(&config.recordings.folder, &config.asterisk);
    let shown = path.display().to_string();
    let taking = tokio::task::spawn_blocking(move || try_take(&path));
    let taken = match tokio::time::timeout(PATIENCE, taking).await {
        Ok(Ok(taken)) => taken,
        Ok(Err(error)) => Err(error.into()),
        Err(late) => Err(late.into()),
    };
    match taken {
        Ok(Ok(file)) => Lock::Held(file),
        Ok(Err(pid)) => Lock::Refused(Notice::AlreadyRunning { app: config.asterisk.app.clone(), pid }),
        Err(error) => Lock::Unknown(Notice::LockUnavailable { path: shown, cause: Detail::new(error) }),
    }
}

/// The file for this application of this Asterisk.
fn path(folder: &Path, asterisk: &AsteriskConfig) -> PathBuf {
    let name = format!("{}@{}_{}", asterisk.app, asterisk.host, asterisk.port);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    let name: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).take(200).collect();
    folder.join(format!(".{name}.lock"))
}

/// The locked file, or the process id of its owner.
fn try_take(path: &Path) -> io::Result<Result<File, String>> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(MODE);
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    }
    let mut file = file::open(path, &mut options)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            writeln!(file, "{}", std::process::id())?;
            Ok(Ok(file))
        }
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.take(PID_BYTES).read_to_string(&mut pid)?;
            let digits: String = pid.chars().filter(char::is_ascii_digit).collect();
            Ok(Err(if digits.is_empty() { "?".to_owned() } else { digits }))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

//! Looks at this machine: what is writable, how much disk space is free and how many files may be open. The
//! checks leave no files behind, because a log file that root creates would be closed to the user of the
//! service.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use rustix::process::{Resource, getrlimit, getuid};

use super::facts::{Disk, Machine, OpenFiles, WritablePath};
use crate::config::Parts;
use crate::daemon::max_calls;
use crate::operator::Detail;

/// The places of the systemd unit. The operator's own unit comes first, as in systemd.
const UNITS: [&str; 2] =
    ["/etc/systemd/system/openai-inbound-calls.service", "/lib/systemd/system/openai-inbound-calls.service"];

/// Collects the results. A hanging network file system may delay this function.
pub(super) fn look(parts: &Parts) -> Machine {
    let log = parts.log.as_ref().map(|log| log.path.as_path());
    let recordings = parts.recordings.as_ref().map(|recordings| recordings.folder.as_path());
    let index = parts.archive.as_ref().map(|archive| archive.index.as_path());
    let mut disks: Vec<Disk> = recordings.map(disk).into_iter().collect();
    if let Some(log) = log
        && recordings.is_none_or(|recordings| device(recordings) != device(log))
    {
        disks.push(disk(log));
    }
    let calls = parts.media.as_ref().zip(parts.calls.as_ref()).map(|(media, calls)| max_calls(media, calls));
    Machine {
        is_root: getuid().is_root(),
        log: log.map(|path| place(path, file(path))),
        recordings: recordings.map(|path| place(path, folder(path))),
        index: index.map(|path| place(path, file(path))),
        disks,
        open_files: calls.map(|calls| OpenFiles { limit: open_files(), calls: calls as u64 }),
    }
}

fn place(path: &Path, writable: io::Result<()>) -> WritablePath {
    WritablePath { path: path.to_owned(), writable: writable.map_err(Detail::new) }
}

/// Whether the file is writable, or can be created if it does not exist.
fn file(path: &Path) -> io::Result<()> {
    match OpenOptions::new().append(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => folder(path.parent().unwrap_or(path)),
        opened => opened.map(drop),
    }
}

/// Whether a file can be created in this folder, or the folder itself can be created if it does not exist.
fn folder(path: &Path) -> io::Result<()> {
    let probe = standing(path).join(format!(".doctor-{}", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&probe)?;
    std::fs::remove_file(probe)
}

/// The folder, or the nearest ancestor that exists.
fn standing(path: &Path) -> &Path {
    let above = path.ancestors().filter(|folder| !folder.as_os_str().is_empty());
    above.into_iter().find(|folder| folder.exists()).unwrap_or(Path::new("."))
}

fn disk(path: &Path) -> Disk {
    let free_bytes = rustix::fs::statvfs(standing(path))
        .map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize))
        .map_err(Detail::new);
    Disk { path: path.to_owned(), free_bytes }
}

/// The number of the file system that holds the path.
fn device(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(standing(path)).ok().map(|meta| meta.dev())
}

/// The limit on open files that systemd gives the service. Without a unit, the limit of this process.
fn open_files() -> u64 {
    let of_unit = UNITS.iter().find_map(|unit| limit_in(&std::fs::read_to_string(unit).ok()?));
    of_unit.unwrap_or_else(|| getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
}

/// The soft limit of the last `LimitNOFILE=` in a unit.
fn limit_in(unit: &str) -> Option<u64> {
    let mut limits = unit.lines().rev().filter_map(|line| line.trim().strip_prefix("LimitNOFILE="));
    let limit = limits.next()?.split(':').next()?.trim();
    if limit == "infinity" { Some(u64::MAX) } else { limit.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_our_own_unit_is_found() {
        let unit = include_str!("../../openai-inbound-calls.service");
        assert_eq!(limit_in(unit), Some(65_536));
        assert_eq!(limit_in("LimitNOFILE=1024:4096\n"), Some(1_024));
        assert_eq!(limit_in("LimitNOFILE=infinity"), Some(u64::MAX));
        assert_eq!(limit_in("#LimitNOFILE=1\n[Service]"), None);
    }

    #[test]
    fn what_is_missing_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("some/where/calls.log");
        assert!(file(&log).is_ok());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
        assert!(file(Path::new("/proc/none/calls.log")).is_err());
    }
}

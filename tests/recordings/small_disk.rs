//! A disk of two megabytes, which a test can fill.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small disk. It is taken away at the end of the test.
pub(crate) struct SmallDisk(pub(crate) PathBuf);

impl SmallDisk {
    /// Mounts it at this folder. None: this process may not mount one.
    pub(crate) fn mount(at: &Path) -> Option<Self> {
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(at).output();
        match mount {
            Ok(output) if output.status.success() => Some(Self(at.to_owned())),
            other => {
                println!("skipped: no small disk can be mounted here ({other:?})");
                None
            }
        }
    }

    /// Fills it.
    pub(crate) fn fill(&self) {
        // A failure to write is the purpose of this file.
        drop(fs::write(self.filler(), vec![0; 4 << 20]));
    }

    /// Makes room again.
    pub(crate) fn empty(&self) {
        fs::remove_file(self.filler()).expect("the disk was filled");
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

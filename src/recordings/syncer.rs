//! The third thread: brings what was written to the disk.
//!
//! Best effort: when more is asked than the disk can do, some is left out, and the next writing asks again. A disk that
//! takes its time holds up neither writing nor finishing.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

/// What is asked for is gathered for so long, and so much may be lost more in a power cut.
const GATHER: Duration = Duration::from_millis(250);
/// More files than this are brought to the disk in one go, with all else that the file system holds: one by one, each
/// costs the disk as much as all of them.
const FEW: usize = 16;

/// Works until the writer is gone.
pub(super) fn run(files: &Receiver<Arc<File>>) {
    while let Ok(first) = files.recv() {
        thread::sleep(GATHER);
        let mut gathered = vec![first];
        for file in files.try_iter() {
            if !gathered.iter().any(|known| Arc::ptr_eq(known, &file)) {
                gathered.push(file);
            }
        }
        if let Err(error) = sync(&gathered) {
            tracing::debug!(%error, "recordings could not be synced");
        }
    }
}

fn sync(files: &[Arc<File>]) -> std::io::Result<()> {
    match files {
        [first, ..] if files.len() > FEW => Ok(rustix::fs::syncfs(first)?),
        few => few.iter().try_for_each(|file| file.sync_data()),
    }
}

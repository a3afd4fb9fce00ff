//! The third thread of the recorder: syncs written files to the disk.
//!
//! Syncing is best effort. If more is requested than the disk can do, some requests are skipped, and the next write
//! requests a sync again. A slow disk holds up neither writing nor finishing.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

/// How long requests are gathered before a sync. A power cut can lose this much more data. A longer time loses more;
/// a shorter one makes more syncs.
const GATHER: Duration = Duration::from_millis(250);
/// If there are more files than this, the whole file system is synced at once. Each single sync costs the disk as
/// much as a sync of all files. A larger value makes many small syncs; a smaller one makes the disk write other
/// programs' data too.
const FEW: usize = 16;

/// Works until the writer has ended.
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

//! Forgets recordings everywhere. The API, `recordings purge` and the retention delete recordings with
//! [`Erasure::forget`] only, so that all three have one order and one policy:
//!
//! | step | if it fails |
//! |---|---|
//! | the files of a recording, all or none | the recording stays everywhere, and the caller learns why |
//! | its entry in the index | the keeper of the index removes it |
//! | the numbers in the call log | they are tried again by [`Erasure::retry`], hourly |
//! | damaged databases that were set aside | the log says so; the next deletion tries again |
//!
//! The call log keeps an erasure that it has accepted until its file can be written. Only an erasure that it could
//! not accept needs the retry.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;

use crate::recordings::index::Index;
use crate::recordings::index::keeper::Feed;
use crate::recordings::retention::{self, Purged};
use crate::recordings::{Library, LibraryError, RecordingId};
use crate::registry::{Log, RegistryError, Whose};
use crate::sqlite;

/// The number of erasures that wait for the call log. With a larger value, more memory is used while the call log is
/// away for long; with a smaller one, erasures are given up earlier.
const WAITING: usize = 100_000;

/// Forgets recordings. Clones share the erasures that wait for the call log.
#[derive(Debug, Clone)]
pub struct Erasure {
    /// The files.
    pub library: Library,
    /// The index, if there is one.
    pub index: Option<Index>,
    /// Tells the keeper of the index what is gone, if there is a keeper.
    pub feed: Option<Feed>,
    /// The call log, if there is one.
    pub log: Option<Log>,
    /// The paths of the two databases. Damaged databases are kept beside them.
    pub databases: [PathBuf; 2],
    /// What the call log has not erased yet.
    pub waiting: Waiting,
}

/// Erasures that the call log has not carried out. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Waiting(Arc<Mutex<Vec<Whose>>>);

impl Waiting {
    fn list(&self) -> MutexGuard<'_, Vec<Whose>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was forgotten and what was not.
#[derive(Debug, Default)]
pub struct Forgotten {
    /// The recordings whose files are deleted.
    pub gone: Vec<RecordingId>,
    /// The recordings whose files could not be deleted, with the reasons.
    pub kept: Vec<(RecordingId, LibraryError)>,
    /// Why the call log still holds numbers.
    pub unerased: Option<Unerased>,
}

/// Erasures that the call log has not carried out.
#[derive(Debug)]
pub struct Unerased {
    /// Their number.
    pub erasures: usize,
    /// The first error.
    pub error: RegistryError,
}

impl Erasure {
    /// Deletes the files of these recordings, and erases what else is known of those that are gone. `callers` are
    /// erased in the call log as well. `note` receives the recordings whose files are deleted, for the access log,
    /// before anything else that may take time or fail.
    pub async fn forget(
        &self,
        ids: Vec<RecordingId>,
        callers: Vec<Whose>,
        note: impl FnOnce(&[RecordingId]),
    ) -> Forgotten {
        let (library, asked) = (self.library.clone(), ids.clone());
        let deleted = tokio::task::spawn_blocking(move || {
            let Purged { gone, kept } = retention::purge(&library, ids);
            // The system may refuse to remove files that already have the name of deleted ones. The next start removes
            // these files, and nothing lists the recording any more.
            let is_unlisted = |(id, error): &&(RecordingId, LibraryError)| {
                !matches!(error, LibraryError::NotFound)
                    && matches!(library.state(id), Err(LibraryError::NotFound))
            };
            let unlisted: Vec<_> = kept.iter().filter(is_unlisted).map(|(id, _)| id.clone()).collect();
            (gone, kept, unlisted)
        });
        let (gone, kept, unlisted) = match deleted.await {
            Ok(deleted) => deleted,
            Err(error) => {
                let cause = |id| (id, LibraryError::Io(io::Error::other(error.to_string())));
                return Forgotten { kept: asked.into_iter().map(cause).collect(), ..Forgotten::default() };
            }
        };
        note(&gone);
        let left: Vec<_> = gone.iter().chain(&unlisted).cloned().collect();
        let mut whose: Vec<_> = left.iter().map(|id| Whose::Recording(id.to_string())).collect();
        whose.extend(callers);
        if whose.is_empty() {
            return Forgotten { gone, kept, unerased: None };
        }
        self.remove_from_index(&left).await;
        let unerased = self.erase(whose).await;
        self.remove_aside().await;
        Forgotten { gone, kept, unerased }
    }

    /// Tries again what the call log has not erased yet.
    pub async fn retry(&self) -> Option<Unerased> {
        let waiting = std::mem::take(&mut *self.waiting.list());
        self.erase(waiting).await
    }

    /// A list that is requested afterwards must not show the recordings. If they cannot be removed, the list itself
    /// notices that the files are gone.
    async fn remove_from_index(&self, ids: &[RecordingId]) {
        let Some(index) = &self.index else { return };
        if let Err(error) = index.remove(ids).await {
            tracing::warn!(%error, "the index still holds deleted recordings; they are removed later");
            if let Some(feed) = &self.feed {
                for id in ids {
                    feed.gone(id.clone());
                }
            }
        }
    }

    async fn erase(&self, whose: Vec<Whose>) -> Option<Unerased> {
        let log = self.log.as_ref()?;
        // All run at the same time, so that they share the waiting for the disk.
        let tried = whose.into_iter().map(|whose| async { (log.erase(whose.clone()).await, whose) });
        let mut unerased: Option<Unerased> = None;
        for (done, whose) in join_all(tried).await {
            let Err(error) = done else { continue };
            unerased.get_or_insert(Unerased { erasures: 0, error }).erasures += 1;
            let mut waiting = self.waiting.list();
            if waiting.len() < WAITING {
                waiting.push(whose);
            }
        }
        unerased
    }

    /// Removes damaged databases that were set aside. They may hold what must be erased, and no single row can be
    /// erased in them.
    async fn remove_aside(&self) {
        let databases = self.databases.clone();
        let remove = move || databases.iter().for_each(|path| sqlite::remove_aside(path, |_| true));
        if let Err(error) = tokio::task::spawn_blocking(remove).await {
            tracing::warn!(%error, "removing damaged databases panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::record::Keep;
    use crate::operator::Language;
    use crate::recordings::RecordingSettings;
    use crate::registry::{self, Opener, Row, Settings};

    const ID: &str = "20251020_143025_17.1";

    /// A folder with the files of one recording, and the row of its call in a call log.
    fn folder() -> (tempfile::TempDir, Settings) {
        let folder = tempfile::tempdir().unwrap();
        for part in ["conversation.json", "audio.wav"] {
            std::fs::write(folder.path().join(format!("{ID}_{part}")), "{}").unwrap();
        }
        let settings = Settings { file: folder.path().join("calls.db"), server: None };
        (folder, settings)
    }

    fn erasure(folder: &tempfile::TempDir, log: Log) -> Erasure {
        let settings = RecordingSettings {
            folder: folder.path().to_owned(),
            keep: Keep::ALL,
            language: Language::English,
            recipient: None,
            identity: None,
            retention_days: None,
        };
        Erasure {
            library: Library::new(settings),
            index: None,
            feed: None,
            log: Some(log),
            databases: ["calls.db", "index.db"].map(|name| folder.path().join(name)),
            waiting: Waiting::default(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_call_log_does_not_take_is_said_and_tried_again() {
        let (folder, settings) = folder();
        // Nobody writes what is offered, so that every erasure is late.
        let (log, _reader, away) = registry::open(&settings, Opener::Guest, Box::new(|_| ()));
        let erasure = erasure(&folder, log);
        let forgotten = erasure.forget(vec![ID.parse().unwrap()], Vec::new(), |_| ()).await;
        assert_eq!((forgotten.gone.len(), forgotten.kept.len()), (1, 0));
        assert!(matches!(forgotten.unerased, Some(Unerased { erasures: 1, error: RegistryError::Late })));
        drop(away);
        assert!(matches!(
            erasure.retry().await,
            Some(Unerased { erasures: 1, error: RegistryError::Closed })
        ));
        tokio::time::resume();
        let (log, reader, writer) = registry::open(&settings, Opener::Daemon, Box::new(|_| ()));
        let mut writing = tokio::task::JoinSet::new();
        writing.spawn(writer.run());
        let number = Row { recording_id: Some(ID.into()), caller: "+5".into(), ..Row::default() };
        log.offer(number);
        let erasure = Erasure { log: Some(log), ..erasure };
        assert!(erasure.retry().await.is_none() && erasure.waiting.list().is_empty());
        assert_eq!(reader.of(&[Whose::Recording(ID.into())]).await.unwrap(), []);
        drop((erasure, reader));
        writing.join_all().await;
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_recording_whose_files_stay_nothing_is_erased() {
        let (folder, settings) = folder();
        let (log, _reader, _idle_writer) = registry::open(&settings, Opener::Guest, Box::new(|_| ()));
        // A file cannot get the name of a folder.
        std::fs::create_dir(folder.path().join(format!(".{ID}_audio.wav.deleted"))).unwrap();
        let forgotten =
            erasure(&folder, log.clone()).forget(vec![ID.parse().unwrap()], Vec::new(), |_| ()).await;
        assert!(matches!(forgotten.kept[..], [(_, LibraryError::Io(_))]), "{forgotten:?}");
        assert!(forgotten.gone.is_empty() && forgotten.unerased.is_none());
        assert_eq!(log.backlog().waiting, 0, "the call log was not asked");
        assert!(folder.path().join(format!("{ID}_conversation.json")).exists());
    }
}

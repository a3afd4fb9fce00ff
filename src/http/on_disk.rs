//! Runs work on files beside the runtime, with a limit on the wait.
//!
//! A disk that hangs, such as a network file system or a broken disk, blocks every thread that uses it, and
//! everything that waits for one of these threads waits too. Every wait therefore has a limit, the number of waiting
//! requests is bounded, and an examination of the disk ([`look`]) has a thread of its own.
//!
//! [`look`]: OnDisk::look

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinError;
use tokio::time::timeout;

use super::Problem;

/// How long a request waits for the disk. A shorter time makes requests fail when the disk is busy; a longer one
/// keeps connections from other clients.
pub(super) const WAIT: Duration = Duration::from_secs(20);
/// How long an examination of the disk may take. Monitors give up after 5 to 10 seconds and should learn the cause
/// before that. A shorter time reports a busy disk as one that hangs.
const LOOK: Duration = Duration::from_secs(2);
/// The maximum number of requests that use the disk at the same time. With a larger value more requests would wait
/// and then fail; a smaller one would delay requests of a healthy disk.
const ROOM: usize = 64;

/// Access to the disk. Clones share the limits and are cheap.
#[derive(Debug, Clone)]
pub(super) struct OnDisk {
    room: Arc<Semaphore>,
    looking: Arc<Semaphore>,
}

impl OnDisk {
    pub(super) fn new() -> Self {
        Self { room: Arc::new(Semaphore::new(ROOM)), looking: Arc::new(Semaphore::new(1)) }
    }

    /// Runs the work on a blocking thread. Work that takes too long is not cancelled: it continues and keeps its
    /// place until it ends.
    ///
    /// # Errors
    /// Status 503 if the work takes too long, 500 if it panics.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        answer(async {
            let permit = permit(&self.room).await;
            tokio::task::spawn_blocking(move || {
                let done = work();
                drop(permit);
                done
            })
            .await
        })
        .await
    }

    /// Runs work that uses the disk and must not end halfway. It continues when the wait ends or the client goes
    /// away, and keeps its place until then.
    ///
    /// # Errors
    /// Status 503 if the work takes too long, 500 if it panics.
    #[expect(
        clippy::disallowed_methods,
        reason = "the work must outlive the request, and its place bounds it"
    )]
    pub(super) async fn complete<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Problem> {
        let room = Arc::clone(&self.room);
        let task = tokio::spawn(async move {
            let permit = permit(&room).await;
            let done = work.await;
            drop(permit);
            done
        });
        answer(task).await
    }

    /// Examines the disk on a thread of its own, one examination at a time. Returns `None` if it takes too long.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let looked = timeout(LOOK, async {
            let permit = permit(&self.looking).await;
            let (tell, told) = oneshot::channel();
            let look = move || {
                let seen = work();
                drop(permit);
                // The request may have timed out meanwhile; then nobody needs the result.
                tell.send(seen).ok();
            };
            thread::Builder::new().name("disk-look".into()).spawn(look).ok()?;
            told.await.ok()
        });
        looked.await.ok().flatten()
    }
}

/// Waits a limited time for work on the disk.
async fn answer<T>(work: impl Future<Output = Result<T, JoinError>>) -> Result<T, Problem> {
    match timeout(WAIT, work).await {
        Ok(done) => done.map_err(Problem::internal),
        Err(_) => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "disk_hangs",
            "the disk does not answer in time",
        )),
    }
}

async fn permit(of: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(of).acquire_owned().await.expect("the semaphore is never closed")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use axum::response::IntoResponse as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_hangs_keeps_nobody_for_ever() {
        let disk = OnDisk::new();
        let (hang, hanging) = mpsc::channel::<()>();
        assert!(disk.look(move || hanging.recv()).await.is_none());
        assert!(disk.look(|| ()).await.is_none(), "one look at a time");
        let (block, blocked) = mpsc::channel::<()>();
        // A blocking thread keeps the paused clock from advancing by itself.
        let (hung, ()) = tokio::join!(disk.run(move || blocked.recv()), tokio::time::advance(2 * WAIT));
        assert_eq!(hung.unwrap_err().into_response().status(), StatusCode::SERVICE_UNAVAILABLE);
        drop((hang, block));
        tokio::time::resume();
        while disk.look(|| ()).await.is_none() {}
        assert_eq!(disk.run(|| 7).await.ok(), Some(7), "it works again");
    }

    #[tokio::test]
    async fn more_requests_than_have_room_are_not_even_begun() {
        let disk = OnDisk::new();
        let places = disk.room.acquire_many(ROOM as u32).await.unwrap();
        tokio::time::pause();
        assert!(disk.run(|| unreachable!("there is no room")).await.is_err());
        drop(places);
    }
}

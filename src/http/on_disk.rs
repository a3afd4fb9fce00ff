//! What waits for the disk: beside the runtime, and not for ever.
//!
//! A disk that hangs – a network's, a broken one – takes every thread that asks it and gives none back, and whoever waits
//! for a thread waits as long. So every wait ends, only so many are queued, and whoever asks how the disk is ([`look`])
//! has a thread of their own.
//!
//! [`look`]: OnDisk::look

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use super::Problem;

/// How long a request waits for the disk. Shorter fails requests of a busy disk, longer keeps connections from others.
pub(super) const WAIT: Duration = Duration::from_secs(20);
/// How long a look at the disk may take. Monitors give up after 5 to 10 seconds, and should learn by then why.
const LOOK: Duration = Duration::from_secs(2);
/// Requests at once that wait for the disk. More would only wait longer, and be given up in the end.
const ROOM: usize = 64;

/// The ways to the disk. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct OnDisk {
    room: Arc<Semaphore>,
    looking: Arc<Semaphore>,
}

impl OnDisk {
    pub(super) fn new() -> Self {
        Self { room: Arc::new(Semaphore::new(ROOM)), looking: Arc::new(Semaphore::new(1)) }
    }

    /// Does this beside the runtime. It goes on if it is given up, and holds its place until it ends.
    ///
    /// # Errors
    /// 503 when it takes too long, 500 when it panics.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let done = timeout(WAIT, async {
            let place = place(&self.room).await;
            tokio::task::spawn_blocking(move || {
                let _place = place;
                work()
            })
            .await
        });
        match done.await {
            Ok(done) => done.map_err(Problem::internal),
            Err(_) => Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "disk_hangs",
                "the disk does not answer in time",
            )),
        }
    }

    /// Looks at the disk, on a thread of its own; never two looks at once. `None` if it takes too long.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let looked = timeout(LOOK, async {
            let place = place(&self.looking).await;
            let (tell, told) = oneshot::channel();
            let look = move || {
                let seen = work();
                drop(place);
                let _nobody_waits_any_more = tell.send(seen);
            };
            thread::Builder::new().name("disk-look".into()).spawn(look).ok()?;
            told.await.ok()
        });
        looked.await.ok().flatten()
    }
}

async fn place(of: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(of).acquire_owned().await.expect("nobody closes it")
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
        // A thread that blocks holds the paused clock.
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

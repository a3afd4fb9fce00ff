//! Whose bodies are read at this moment. Few of one client are, so that one who sends slowly keeps nobody else waiting.
//!
//! ```text
//!   a client's request ──► below 32 ──► its client's turn, of 8 ──► a turn of all, of 128 ──► its body is read
//!                              └── 429           └──── not within two seconds: 429 ────┘
//! ```
//! A body that has come with its head takes its turn for no time, so that many genuine requests at once are no matter.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::origin::Share;

/// Bodies that are read at once. Each may take 64 KiB. More would let strangers take more memory; with fewer, fewer clients that send
/// slowly would be enough to keep others out.
const AT_ONCE: usize = 128;
/// Bodies of one client that are read at once. With more, fewer clients could take all turns; with fewer, slow lines of a proxy
/// that is not trusted to name its clients would hinder each other.
const OF_CLIENT: usize = 8;
/// Requests of one client whose bodies are read or wait. Each holds a connection.
const REQUESTS: usize = 32;
/// How long a body waits for its turn. A longer time holds connections; a shorter one refuses requests behind slow ones.
const WAIT: Duration = Duration::from_secs(2);

/// The turns. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Lanes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    all: Arc<Semaphore>,
    /// Of the clients who have a request here. Tests have no client.
    clients: Mutex<HashMap<Option<Share>, Lane>>,
}

#[derive(Debug)]
struct Lane {
    turns: Arc<Semaphore>,
    requests: usize,
}

/// A request that has its turn. Dropping it frees the turn.
#[derive(Debug)]
pub(super) struct Turn {
    _of_client: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
    _request: InLane,
}

/// A request in the lane of its client.
#[derive(Debug)]
struct InLane {
    lanes: Lanes,
    client: Option<Share>,
}

impl Lanes {
    /// All turns are free.
    pub(super) fn new() -> Self {
        Self(Arc::new(Inner { all: Arc::new(Semaphore::new(AT_ONCE)), clients: Mutex::default() }))
    }

    /// Waits for the turn of a request of this client. None: the client has too many requests, or the turn does not come in time.
    pub(super) async fn turn(&self, client: Option<Share>) -> Option<Turn> {
        let (request, turns) = self.enter(client)?;
        let turns = async {
            let of_client = turns.acquire_owned().await.ok()?;
            Some((of_client, Arc::clone(&self.0.all).acquire_owned().await.ok()?))
        };
        let (of_client, of_all) = tokio::time::timeout(WAIT, turns).await.ok()??;
        Some(Turn { _of_client: of_client, _of_all: of_all, _request: request })
    }

    /// Counts a request of this client, if it has not too many.
    fn enter(&self, client: Option<Share>) -> Option<(InLane, Arc<Semaphore>)> {
        let mut clients = self.clients();
        let lane = clients
            .entry(client)
            .or_insert_with(|| Lane { turns: Arc::new(Semaphore::new(OF_CLIENT)), requests: 0 });
        if lane.requests >= REQUESTS {
            return None;
        }
        lane.requests += 1;
        Some((InLane { lanes: self.clone(), client }, Arc::clone(&lane.turns)))
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<Option<Share>, Lane>> {
        self.0.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InLane {
    fn drop(&mut self) {
        let mut clients = self.lanes.clients();
        if let Some(lane) = clients.get_mut(&self.client) {
            lane.requests -= 1;
            if lane.requests == 0 {
                clients.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Option<Share> = Some(Share::User(1));
    const OTHER: Option<Share> = Some(Share::User(2));

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_slowly_waits_for_itself_alone() {
        let lanes = Lanes::new();
        let mut slow = Vec::new();
        for _ in 0..OF_CLIENT {
            slow.push(lanes.turn(ONE).await.expect("a turn"));
        }
        assert!(lanes.turn(ONE).await.is_none(), "not within the time");
        assert!(lanes.turn(OTHER).await.is_some());
        let (after, ()) = tokio::join!(lanes.turn(ONE), async { drop(slow.pop()) });
        assert!(after.is_some(), "one that waits follows");
        drop((after, slow));
        assert!(lanes.clients().is_empty(), "whoever is gone is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn the_requests_of_a_client_and_the_turns_of_all_have_a_bound() {
        let lanes = Lanes::new();
        let entered: Vec<_> = (0..2 * REQUESTS).filter_map(|_| lanes.enter(ONE)).collect();
        assert_eq!(entered.len(), REQUESTS);
        drop(entered);
        let mut all = Vec::new();
        for n in 0..AT_ONCE {
            all.push(lanes.turn(Some(Share::User(n as u32))).await.expect("a turn"));
        }
        assert!(lanes.turn(OTHER).await.is_none());
        all.pop();
        assert!(lanes.turn(OTHER).await.is_some());
    }
}

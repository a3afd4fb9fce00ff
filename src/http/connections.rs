//! Decides how many connections there may be, how many of one client, and which one is closed when another one
//! arrives.
//!
//! ```text
//!  new connection ──► its share has below its bound, and there are below 256 ──► any request
//!                 ├── the longest idle one (of its share, or of all) is closed ──► any request
//!                 └── none is idle ──► one of 16 reserved places ──► /health, /ready and /metrics only; 503 for others
//!                                  └── none is free or idle ──► the new connection is closed
//! ```
//! A share is a user of this machine, an address, or a trusted proxy. A proxy's share has no bound of its own,
//! because all clients behind the proxy use it. A connection is idle while it waits for a request or for the rest of
//! a request's head.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::origin::Share;

/// The maximum number of connections for ordinary requests. Each holds a file descriptor, and a larger value could
/// take the descriptors that calls need. A smaller one closes the connections of ordinary clients.
const CONNECTIONS: usize = 256;
/// The number of additional connections that are reserved for monitors. A smaller value lets busy clients keep
/// monitors out; a larger one takes file descriptors.
const RESERVE: usize = 16;

/// The open connections. Clones share the same state.
#[derive(Debug, Clone)]
pub(super) struct Room {
    seats: Arc<Mutex<Seats>>,
    /// The maximum number of connections of one share.
    of_share: usize,
}

#[derive(Debug, Default)]
struct Seats {
    held: BTreeMap<u64, Seat>,
    /// A counter of events, which orders connections by the time at which they became idle.
    count: u64,
}

#[derive(Debug)]
struct Seat {
    share: Share,
    kind: Kind,
    state: State,
    /// Tells the connection's task to close the connection.
    evict: oneshot::Sender<()>,
}

/// The requests that a connection may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any request.
    Any,
    /// Only the requests of monitors: `/health`, `/ready` and `/metrics`.
    Monitor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The connection has been idle since the counter had this value.
    Idle(u64),
    Busy,
}

/// The entry of one connection. Dropping it frees the place.
#[derive(Debug)]
pub(super) struct Slot {
    room: Room,
    id: u64,
    kind: Kind,
}

/// A request that is being answered. Dropping it makes the connection idle again.
#[derive(Debug)]
pub(super) struct Busy {
    room: Room,
    id: u64,
}

impl Room {
    /// Room for so many connections of one share.
    pub(super) fn new(of_share: usize) -> Self {
        Self { seats: Arc::default(), of_share }
    }

    /// Registers a new connection and returns its entry and a receiver that fires when the connection must close.
    /// Returns `None` if there is no room.
    pub(super) fn seat(&self, share: Share) -> Option<(Slot, oneshot::Receiver<()>)> {
        let mut seats = self.seats();
        let kind = seats.make_room(share, self.of_share)?;
        let (evict, evicted) = oneshot::channel();
        let id = seats.next();
        seats.held.insert(id, Seat { share, kind, state: State::Idle(id), evict });
        Some((Slot { room: self.clone(), id, kind }, evicted))
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seats {
    fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Makes room for a connection of this share, and returns what the connection may ask for. Returns `None` if
    /// there is no room.
    fn make_room(&mut self, share: Share, most: usize) -> Option<Kind> {
        let count = |is_it: &dyn Fn(&Seat) -> bool| self.held.values().filter(|seat| is_it(seat)).count();
        let of_any = count(&|seat| seat.kind == Kind::Any);
        let of_share = count(&|seat| seat.kind == Kind::Any && seat.share == share);
        let of_monitors = self.held.len() - of_any;
        let is_within = matches!(share, Share::Proxy(_)) || of_share < most;
        if (is_within && of_any < CONNECTIONS)
            || self.evict(|seat| seat.kind == Kind::Any && (is_within || seat.share == share))
        {
            Some(Kind::Any)
        } else if of_monitors < RESERVE || self.evict(|seat| seat.kind == Kind::Monitor) {
            Some(Kind::Monitor)
        } else {
            None
        }
    }

    /// Closes the connection that has been idle longest among those that `is_it` selects. Returns false if none of
    /// them is idle.
    fn evict(&mut self, is_it: impl Fn(&Seat) -> bool) -> bool {
        let idle = self.held.iter().filter_map(|(id, seat)| match seat.state {
            State::Idle(since) if is_it(seat) => Some((since, *id)),
            State::Idle(_) | State::Busy => None,
        });
        let Some(seat) = idle.min().and_then(|(_, id)| self.held.remove(&id)) else { return false };
        // The connection may have ended by itself.
        seat.evict.send(()).ok();
        true
    }
}

impl Slot {
    /// The requests that this connection may send.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Marks the connection as busy with a request.
    pub(super) fn busy(&self) -> Busy {
        if let Some(seat) = self.room.seats().held.get_mut(&self.id) {
            seat.state = State::Busy;
        }
        Busy { room: self.room.clone(), id: self.id }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.room.seats().held.remove(&self.id);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut seats = self.room.seats();
        let now = seats.next();
        if let Some(seat) = seats.held.get_mut(&self.id) {
            seat.state = State::Idle(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ONE: Share = Share::User(1);
    const OF_CLIENT: usize = 32;

    fn address(n: u32) -> Share {
        Share::Network(Ipv4Addr::from_bits(n).into())
    }

    #[test]
    fn the_longest_idle_of_a_share_makes_room_for_its_next() {
        let room = Room::new(OF_CLIENT);
        let mut seated: Vec<_> = (0..OF_CLIENT).map(|_| room.seat(ONE).unwrap()).collect();
        // The first connection sends a request and is afterwards the one that has been idle for the shortest time.
        drop(seated[0].0.busy());
        let other = room.seat(address(2)).unwrap();
        let (next, _evicted) = room.seat(ONE).unwrap();
        assert_eq!(next.kind(), Kind::Any);
        let gone: Vec<_> = seated.iter_mut().map(|(_, evicted)| evicted.try_recv().is_ok()).collect();
        assert!(gone[1] && gone.iter().filter(|gone| **gone).count() == 1, "{gone:?}");
        drop(other);
    }

    #[test]
    fn where_none_is_idle_monitors_alone_find_room_and_in_a_bounded_number() {
        let room = Room::new(OF_CLIENT);
        let busy: Vec<_> = (0..OF_CLIENT)
            .map(|_| room.seat(ONE).unwrap())
            .map(|(place, evicted)| (place.busy(), place, evicted))
            .collect();
        let kept_back: Vec<_> = (0..RESERVE).map(|_| room.seat(ONE).unwrap()).collect();
        assert!(kept_back.iter().all(|(place, _)| place.kind() == Kind::Monitor));
        assert_eq!(room.seat(address(2)).unwrap().0.kind(), Kind::Any, "others are not concerned");
        let answering: Vec<_> = kept_back.iter().map(|(place, _)| place.busy()).collect();
        assert!(room.seat(ONE).is_none());
        drop(answering);
        assert_eq!(room.seat(ONE).unwrap().0.kind(), Kind::Monitor, "an idle one of them makes room");
        drop(busy);
        assert_eq!(room.seat(ONE).unwrap().0.kind(), Kind::Any);
    }

    #[test]
    fn all_together_are_bounded_and_a_proxy_by_that_alone() {
        let room = Room::new(OF_CLIENT);
        let proxy = Share::Proxy(Ipv4Addr::LOCALHOST.into());
        let seated: Vec<_> = (0..CONNECTIONS).map(|_| room.seat(proxy).unwrap()).collect();
        let busy: Vec<_> = seated.iter().map(|(place, _)| place.busy()).collect();
        assert_eq!(room.seat(proxy).unwrap().0.kind(), Kind::Monitor);
        assert_eq!(room.seat(address(2)).unwrap().0.kind(), Kind::Monitor);
        drop(busy);
        let crowd: Vec<_> = (0..10_000).map(|n| room.seat(address(n)).unwrap()).collect();
        assert_eq!(room.seats().held.len(), CONNECTIONS);
        drop((seated, crowd));
        assert!(room.seats().held.is_empty(), "nothing is kept of connections that have ended");
    }
}

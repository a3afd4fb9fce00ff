//! Room for connections: how many there may be, of whom, and which one goes when one more comes.
//!
//! ```text
//!  one more ──► below 32 of its share, and below 256 ──────────────► any request
//!           ├── the longest idle goes, of its share or of all ─────► any request
//!           └── none is idle ──► one of 16 that are kept back ─────► /health, /ready and /metrics alone; 503 for others
//!                            └── none of those is idle either ─────► closed
//! ```
//! A share is a user of this machine, an address, or a trusted proxy, behind which everybody is: it has no bound of its own.
//! Idle is a connection that waits for a request, or for the rest of a request's head.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::origin::Share;

/// Connections at once. Each holds a descriptor, and calls need theirs.
const CONNECTIONS: usize = 256;
/// Of one share. A browser opens six; fewer would hinder several browsers, more would let one client take the room of all.
const PER_SHARE: usize = 32;
/// Kept back for monitors.
const RESERVE: usize = 16;

/// The room. Clones are the same room.
#[derive(Debug, Clone, Default)]
pub(super) struct Room(Arc<Mutex<Seats>>);

#[derive(Debug, Default)]
struct Seats {
    held: BTreeMap<u64, Seat>,
    /// Counts what happens: it orders connections by when they became idle.
    count: u64,
}

#[derive(Debug)]
struct Seat {
    share: Share,
    kind: Kind,
    state: State,
    /// Ends the connection.
    evict: oneshot::Sender<()>,
}

/// What a connection may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Anything.
    Any,
    /// Only how the daemon is.
    Monitor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Since this count.
    Idle(u64),
    Busy,
}

/// A connection's place; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    room: Room,
    id: u64,
    kind: Kind,
}

/// A request that is being answered; the connection is idle again when this is dropped.
#[derive(Debug)]
pub(super) struct Busy {
    room: Room,
    id: u64,
}

impl Room {
    /// A place for one more connection, and what says that it has to go. None: there is none.
    pub(super) fn seat(&self, share: Share) -> Option<(Place, oneshot::Receiver<()>)> {
        let mut seats = self.seats();
        let kind = seats.make_room(share)?;
        let (evict, evicted) = oneshot::channel();
        let id = seats.next();
        seats.held.insert(id, Seat { share, kind, state: State::Idle(id), evict });
        Some((Place { room: self.clone(), id, kind }, evicted))
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seats {
    fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// What one more connection of a share may ask for, once there is room for it.
    fn make_room(&mut self, share: Share) -> Option<Kind> {
        let count = |is_it: &dyn Fn(&Seat) -> bool| self.held.values().filter(|seat| is_it(seat)).count();
        let of_any = count(&|seat| seat.kind == Kind::Any);
        let of_share = count(&|seat| seat.kind == Kind::Any && seat.share == share);
        let of_monitors = self.held.len() - of_any;
        let is_within = matches!(share, Share::Proxy(_)) || of_share < PER_SHARE;
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

    /// Ends the longest idle of these connections, if one is idle.
    fn evict(&mut self, is_it: impl Fn(&Seat) -> bool) -> bool {
        let idle = self.held.iter().filter_map(|(id, seat)| match seat.state {
            State::Idle(since) if is_it(seat) => Some((since, *id)),
            State::Idle(_) | State::Busy => None,
        });
        let Some(seat) = idle.min().and_then(|(_, id)| self.held.remove(&id)) else { return false };
        let _it_may_have_ended_by_itself = seat.evict.send(());
        true
    }
}

impl Place {
    /// What the connection may ask for.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// A request has come.
    pub(super) fn busy(&self) -> Busy {
        if let Some(seat) = self.room.seats().held.get_mut(&self.id) {
            seat.state = State::Busy;
        }
        Busy { room: self.room.clone(), id: self.id }
    }
}

impl Drop for Place {
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

    fn address(n: u32) -> Share {
        Share::Network(Ipv4Addr::from_bits(n).into())
    }

    #[test]
    fn the_longest_idle_of_a_share_makes_room_for_its_next() {
        let room = Room::default();
        let mut seated: Vec<_> = (0..PER_SHARE).map(|_| room.seat(ONE).unwrap()).collect();
        // The first is asked something, and is then the one that is idle for the shortest time.
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
        let room = Room::default();
        let busy: Vec<_> = (0..PER_SHARE)
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
        let room = Room::default();
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

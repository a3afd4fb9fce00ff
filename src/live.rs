//! The calls that run, for whoever watches: each puts a glance of itself here now and then, and takes wishes from here.
//! What is left of one that is over is its share of the [`Totals`].
//!
//! ```text
//!  call_task ── Seat::show ──► Board ◄── calls ── API, metrics
//!      ▲                         │
//!      └────── wishes ◄──────────┘
//! ```
//! A call is live or in the totals, never both or neither: its seat is given up and added up under one lock.
//! Nobody waits: a glance is a pointer swapped under a lock that is held for nothing else, and a wish that finds no room
//! is refused.

mod totals;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use chrono::{DateTime, FixedOffset};

use crate::ari::ChannelId;
use crate::call::Wish;
use crate::call::glance::Glance;
use crate::call::tools::Destination;
use crate::operator::EndReason;
pub use totals::{BOUNDS, Histogram, Totals, Use};

/// What is known of a call when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The caller's channel.
    pub id: ChannelId,
    /// Its recording; None: nothing of it is recorded.
    pub recording_id: Option<String>,
    /// The caller's number; empty if withheld.
    pub caller: String,
    /// The number dialled.
    pub called: String,
    /// The model that answers.
    pub model: String,
    /// The model that transcribes; None: nothing is.
    pub transcription_model: Option<String>,
    /// The agent that answers.
    pub agent: String,
    /// When the caller came.
    pub offered_at: DateTime<FixedOffset>,
    /// Where a supervisor may send him.
    pub destinations: Vec<Destination>,
}

/// Takes a wish; false: it finds no room, or the call is gone.
type Ask = Box<dyn Fn(Wish) -> bool + Send + Sync>;

/// A live call.
pub struct LiveCall {
    /// What does not change.
    pub facts: Facts,
    glance: Mutex<Arc<Glance>>,
    ask: Ask,
}

impl fmt::Debug for LiveCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveCall").field("id", &self.facts.id).finish_non_exhaustive()
    }
}

impl LiveCall {
    /// How it was a moment ago.
    pub fn glance(&self) -> Arc<Glance> {
        Arc::clone(&self.glance.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hands a wish to the call; false: it is about to end anyway, or hangs.
    pub fn ask(&self, wish: Wish) -> bool {
        (self.ask)(wish)
    }
}

/// All live calls, and what those before them came to. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<RwLock<Seats>>);

#[derive(Debug, Default)]
struct Seats {
    calls: HashMap<ChannelId, Arc<LiveCall>>,
    /// Of the calls that are over.
    totals: Totals,
}

impl Board {
    /// A call begins. It is on the board until its seat is dropped.
    #[must_use]
    pub fn seat(&self, facts: Facts, ask: impl Fn(Wish) -> bool + Send + Sync + 'static) -> Seat {
        let call = Arc::new(LiveCall { facts, glance: Mutex::default(), ask: Box::new(ask) });
        self.write().calls.insert(call.facts.id.clone(), Arc::clone(&call));
        Seat { board: self.clone(), call, reason: EndReason::Internal }
    }

    /// A caller came and was sent on at once.
    pub fn refused(&self, reason: EndReason) {
        self.write().totals.refuse(reason);
    }

    /// What all calls since the start have come to, those that run included.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let seats = self.read();
        let mut totals = seats.totals.clone();
        let live: Vec<_> = seats.calls.values().map(|call| (Arc::clone(call), call.glance())).collect();
        drop(seats);
        for (call, glance) in live {
            totals.go_on(&call.facts, &glance);
        }
        totals
    }

    /// The calls that run, those first that came first.
    #[must_use]
    pub fn calls(&self) -> Vec<Arc<LiveCall>> {
        let mut calls: Vec<_> = self.read().calls.values().cloned().collect();
        calls.sort_by(|one, other| {
            let key = |call: &LiveCall| (call.facts.offered_at, call.facts.id.clone());
            key(one).cmp(&key(other))
        });
        calls
    }

    /// One of them.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Arc<LiveCall>> {
        self.read().calls.get(&ChannelId::from(id)).cloned()
    }

    fn read(&self) -> RwLockReadGuard<'_, Seats> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Seats> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call's place on the board. Dropped, the call is over: with its last glance, and by a defect of ours unless
/// [`Self::end`] says otherwise.
#[derive(Debug)]
pub struct Seat {
    board: Board,
    call: Arc<LiveCall>,
    reason: EndReason,
}

impl Seat {
    /// Shows how the call is now.
    pub fn show(&self, glance: Glance) {
        *self.call.glance.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(glance);
    }

    /// The call is over, and came to this.
    pub fn end(mut self, last: Glance, reason: EndReason) {
        self.show(last);
        self.reason = reason;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.board.write();
        // Unless the same channel has come again meanwhile.
        if seats.calls.get(&self.call.facts.id).is_some_and(|call| Arc::ptr_eq(call, &self.call)) {
            seats.calls.remove(&self.call.facts.id);
        }
        seats.totals.end(&self.call.facts, &self.call.glance(), self.reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(id: &str, second: u32) -> Facts {
        Facts {
            id: id.into(),
            recording_id: None,
            caller: String::new(),
            called: String::new(),
            model: String::new(),
            transcription_model: None,
            agent: String::new(),
            offered_at: format!("2026-11-20T14:30:{second:02}Z").parse().expect("a time"),
            destinations: Vec::new(),
        }
    }

    #[test]
    fn a_call_is_on_the_board_until_its_seat_is_dropped() {
        let board = Board::default();
        let later = board.seat(facts("a", 2), |_| false);
        let earlier = board.seat(facts("b", 1), |wish| wish == Wish::HangUp);
        let ids = || board.calls().iter().map(|call| call.facts.id.to_string()).collect::<Vec<_>>();
        assert_eq!(ids(), ["b", "a"]);
        earlier.show(Glance { frames: 5, ..Glance::default() });
        assert_eq!(
            board.find("b").map(|call| (call.glance().frames, call.ask(Wish::HangUp))),
            Some((5, true))
        );
        drop(earlier);
        assert!(board.find("b").is_none());
        drop(later);
        assert!(board.calls().is_empty());
    }

    #[test]
    fn a_call_is_in_the_totals_once_and_they_never_shrink() {
        let board = Board::default();
        let counts = |totals: &Totals| (totals.live, totals.started, totals.frames);
        let ends = |totals: &Totals, reason| totals.ended.get(&reason).copied().unwrap_or_default();
        let ordinary = board.seat(facts("a", 1), |_| false);
        let lost = board.seat(facts("b", 2), |_| false);
        assert_eq!(counts(&board.totals()), (2, 2, 0));
        ordinary.show(Glance { frames: 5, ..Glance::default() });
        lost.show(Glance { frames: 70, ..Glance::default() });
        assert_eq!(counts(&board.totals()), (2, 2, 75));
        assert_eq!(board.totals(), board.totals(), "looking changes nothing");
        ordinary.end(Glance { frames: 6, ..Glance::default() }, EndReason::CallerHungUp);
        assert_eq!(counts(&board.totals()), (1, 2, 76));
        drop(lost);
        board.refused(EndReason::Busy);
        let totals = board.totals();
        assert_eq!(counts(&totals), (0, 3, 76), "what a lost call has shown is kept");
        let reasons = [EndReason::CallerHungUp, EndReason::Internal, EndReason::Busy];
        assert_eq!(reasons.map(|reason| ends(&totals, reason)), [1, 1, 1]);
    }

    #[test]
    fn between_the_board_and_the_totals_nobody_sees_a_call_missing() {
        let board = Board::default();
        let seat = board.seat(facts("a", 1), |_| false);
        let call = board.find("a").expect("it is there");
        std::thread::scope(|scope| {
            // The end of the call gets no further than its last glance.
            let held = call.glance.lock().expect("no panic");
            scope.spawn(move || drop(seat));
            while let Ok(seats) = board.0.try_read() {
                assert!(seats.calls.len() as u64 + seats.totals.started == 1, "{seats:?}");
                drop(seats);
                std::thread::yield_now();
            }
            drop(held);
        });
        assert_eq!((board.totals().live, board.totals().started), (0, 1));
    }
}

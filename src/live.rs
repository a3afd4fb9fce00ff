//! The calls that run, for whoever watches: each puts a glance of itself here now and then, and takes wishes from here.
//!
//! ```text
//!  call_task ── Seat::show ──► Board ◄── calls ── API, metrics
//!      ▲                         │
//!      └────── wishes ◄──────────┘
//! ```
//! Nobody waits: a glance is a pointer swapped under a lock that is held for nothing else, and a wish that finds no room
//! is refused.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use chrono::{DateTime, FixedOffset};

use crate::ari::ChannelId;
use crate::call::Wish;
use crate::call::glance::Glance;
use crate::call::tools::Destination;

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

/// All live calls. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<RwLock<HashMap<ChannelId, Arc<LiveCall>>>>);

impl Board {
    /// A call begins. It is on the board until its seat is dropped.
    #[must_use]
    pub fn seat(&self, facts: Facts, ask: impl Fn(Wish) -> bool + Send + Sync + 'static) -> Seat {
        let call = Arc::new(LiveCall { facts, glance: Mutex::default(), ask: Box::new(ask) });
        let mut calls = self.0.write().unwrap_or_else(PoisonError::into_inner);
        calls.insert(call.facts.id.clone(), Arc::clone(&call));
        drop(calls);
        Seat { board: self.clone(), call }
    }

    /// The calls that run, those first that came first.
    #[must_use]
    pub fn calls(&self) -> Vec<Arc<LiveCall>> {
        let calls = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut calls: Vec<_> = calls.values().cloned().collect();
        calls.sort_by(|one, other| {
            let key = |call: &LiveCall| (call.facts.offered_at, call.facts.id.clone());
            key(one).cmp(&key(other))
        });
        calls
    }

    /// One of them.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Arc<LiveCall>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&ChannelId::from(id)).cloned()
    }
}

/// A call's place on the board.
#[derive(Debug)]
pub struct Seat {
    board: Board,
    call: Arc<LiveCall>,
}

impl Seat {
    /// Shows how the call is now.
    pub fn show(&self, glance: Glance) {
        *self.call.glance.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(glance);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut calls = self.board.0.write().unwrap_or_else(PoisonError::into_inner);
        calls.remove(&self.call.facts.id);
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
}

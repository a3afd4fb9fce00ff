//! The calls in progress, for the API and the metrics. Each call regularly publishes a snapshot of its state here and
//! receives the commands of a supervisor from here. When a call ends, its figures are added to the [`Totals`].
//!
//! ```text
//!  call_task ── Seat::show ──► Board ◄── calls ── API, metrics
//!      ▲                         │
//!      └───── commands ◄─────────┘
//! ```
//! A call is either in progress or in the totals, never both or neither: one lock covers its removal and its
//! addition. Nobody waits: a snapshot is a pointer that is swapped under a lock of its own, and a command that finds
//! no room is refused.

mod histogram;
mod route;
mod totals;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use chrono::{DateTime, FixedOffset};

use crate::ari::ChannelId;
use crate::call::Wish;
use crate::call::glance::Glance;
use crate::call::tools::Destination;
use crate::end_reason::EndReason;
use crate::number::CallerNumber;
pub use histogram::{BOUNDS, Histogram};
pub use route::{Arrival, Decision, OfSip, Route};
pub use totals::{OfAgent, OfTool, Totals, Use};

/// What is known of a call when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The id of the caller's channel.
    pub id: ChannelId,
    /// The id of the recording. `None` if nothing of the call is recorded.
    pub recording_id: Option<String>,
    /// The caller's number. Empty if the caller withheld it.
    pub caller: CallerNumber,
    /// The number that the caller dialled.
    pub called: String,
    /// How the call reaches the model.
    pub route: Route,
    /// The model that serves the call.
    pub model: String,
    /// The model that transcribes the caller's speech. `None` if nothing is transcribed.
    pub transcription_model: Option<String>,
    /// The name of the agent that serves the call.
    pub agent: String,
    /// The version of the agent: the first hexadecimal digits of the hash of its files. Empty if no files describe the agent.
    pub agent_version: String,
    /// When the caller arrived.
    pub offered_at: DateTime<FixedOffset>,
    /// The destinations to which a supervisor may transfer the caller.
    pub destinations: Vec<Destination>,
}

/// Hands a command to the call. Returns false if there is no room for it or the call has ended.
type Ask = Box<dyn Fn(Wish) -> bool + Send + Sync>;

/// A call in progress.
pub struct LiveCall {
    /// The facts that do not change during the call.
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
    /// The latest snapshot of the call's state.
    pub fn glance(&self) -> Arc<Glance> {
        Arc::clone(&self.glance.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hands a command to the call. Returns false if the call is about to end or hangs.
    pub fn ask(&self, wish: Wish) -> bool {
        (self.ask)(wish)
    }
}

/// All calls in progress, and the totals of the ended ones. Clones share the same state and are cheap.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<RwLock<Seats>>);

#[derive(Debug, Default)]
struct Seats {
    calls: HashMap<ChannelId, Arc<LiveCall>>,
    /// The totals of the calls that have ended.
    totals: Totals,
}

impl Board {
    /// Adds a call that begins. The call stays on the board until its seat is dropped.
    #[must_use]
    pub fn seat(&self, facts: Facts, ask: impl Fn(Wish) -> bool + Send + Sync + 'static) -> Seat {
        let call = Arc::new(LiveCall { facts, glance: Mutex::default(), ask: Box::new(ask) });
        self.write().calls.insert(call.facts.id.clone(), Arc::clone(&call));
        Seat { board: self.clone(), call, reason: EndReason::Internal }
    }

    /// Counts a caller whom the daemon sent back to the dialplan at once.
    pub fn refused(&self, reason: EndReason) {
        self.write().totals.refuse(reason);
    }

    /// Counts a request at the webhook of OpenAI.
    pub fn arrived(&self, arrival: Arrival) {
        self.write().totals.sip.arrivals[arrival as usize] += 1;
    }

    /// Counts what the daemon does with a call that OpenAI offers.
    pub fn decided(&self, decision: Decision) {
        self.write().totals.sip.decisions[decision as usize] += 1;
    }

    /// The totals of all calls since the start, including those in progress.
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

    /// The calls in progress, in the order of their arrival.
    #[must_use]
    pub fn calls(&self) -> Vec<Arc<LiveCall>> {
        let mut calls: Vec<_> = self.read().calls.values().cloned().collect();
        calls.sort_by(|one, other| {
            let key = |call: &LiveCall| (call.facts.offered_at, call.facts.id.clone());
            key(one).cmp(&key(other))
        });
        calls
    }

    /// Finds the call with this channel id.
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

/// A call's place on the board. Dropping the seat ends the call with its last snapshot. The reason is an internal
/// error unless [`Self::end`] has set another one.
#[derive(Debug)]
pub struct Seat {
    board: Board,
    call: Arc<LiveCall>,
    reason: EndReason,
}

impl Seat {
    /// Publishes a new snapshot of the call's state.
    pub fn show(&self, glance: Glance) {
        *self.call.glance.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(glance);
    }

    /// Ends the call with its last snapshot and this reason.
    pub fn end(mut self, last: Glance, reason: EndReason) {
        self.show(last);
        self.reason = reason;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.board.write();
        // The same channel may have entered the application again; the newer call must stay.
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
            caller: CallerNumber::default(),
            called: String::new(),
            route: Route::Media,
            model: String::new(),
            transcription_model: None,
            agent: String::new(),
            agent_version: String::new(),
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
            // The end of the call comes only as far as its last snapshot.
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

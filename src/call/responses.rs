//! One answer at a time: asks the model for responses and knows which one is active.
//!
//! ```text
//!   Idle ──ask──► Requested ──created──► Active ──done──► Idle
//!     └───────────── created (the server's own VAD) ──────►┘
//! ```
//! Ours are recognised by the correlation id that travels in their metadata. A refused or unanswered request
//! is asked again when the model is free; a failed one a few times, with a growing pause. Does not know what
//! is being heard: see `playout` and `turn`.

use std::time::{Duration, Instant};

use crate::realtime::ResponseId;
use crate::realtime::server::{Response, ResponseStatus};

/// A request that has brought no response in this time is taken for lost. The server acknowledges within
/// tens of milliseconds; much longer would leave the caller in silence.
const REQUEST_LOST_AFTER: Duration = Duration::from_secs(10);
/// Tries of a response that fails, the first included.
const TRIES: u8 = 3;
/// Pause before the second try; doubled for each further one.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// What a response is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The legal announcement: must be heard, before anything else.
    Notice,
    /// The first words.
    Greeting,
    /// Whatever the conversation calls for.
    Answer,
    /// The last words.
    Goodbye,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    Requested {
        cid: String,
        purpose: Purpose,
        lost_at: Instant,
    },
    Active {
        id: ResponseId,
        purpose: Purpose,
    },
}

/// A response that is to be asked for later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    purpose: Purpose,
    not_before: Option<Instant>,
}

/// How the active response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was not the active one, or is over without trouble; what it was for.
    Over(Option<Purpose>),
    /// It failed and will be tried again.
    Retrying(Purpose),
    /// It failed too often.
    GivenUp(Purpose),
}

/// The sequencer; at first no response is active and none wanted.
#[derive(Debug, Default)]
pub struct Responses {
    state: State,
    wanted: Option<Wanted>,
    failures: u8,
}

impl Responses {
    /// Asks for a response as soon as the model is free. A later wish replaces an earlier one.
    pub fn want(&mut self, purpose: Purpose) {
        self.wanted = Some(Wanted { purpose, not_before: None });
    }

    /// Wants no response for this purpose any more, if none has been asked for yet.
    pub fn want_no(&mut self, purpose: Purpose) {
        self.wanted.take_if(|wanted| wanted.purpose == purpose);
    }

    /// The server itself could not answer the caller, because a response was still active: he is owed an answer.
    pub fn owe(&mut self) {
        if self.wanted.is_none_or(|wanted| wanted.purpose != Purpose::Notice) {
            self.want(Purpose::Answer);
        }
    }

    /// The caller's turn is over and the server is about to answer it: what we want waits a little, and is dropped
    /// when the server does.
    pub fn give_way(&mut self, now: Instant) {
        if let Some(wanted) = &mut self.wanted {
            wanted.not_before = wanted.not_before.max(Some(now + RETRY_AFTER));
        }
    }

    /// The active response, if any.
    pub fn active(&self) -> Option<&ResponseId> {
        match &self.state {
            State::Active { id, .. } => Some(id),
            State::Idle | State::Requested { .. } => None,
        }
    }

    /// What the active response is for.
    pub fn purpose(&self) -> Option<Purpose> {
        match &self.state {
            State::Active { purpose, .. } => Some(*purpose),
            State::Idle | State::Requested { .. } => None,
        }
    }

    /// Whether the model has been asked or is answering.
    pub fn is_busy(&self) -> bool {
        self.state != State::Idle
    }

    /// As [`Self::is_busy`], or the model is still to be asked.
    pub fn is_pending(&self) -> bool {
        self.is_busy() || self.wanted.is_some()
    }

    /// When [`Self::next`] has something to do. `quiet_at`: when the caller may be taken to be quiet; None: he is.
    pub fn deadline(&self, quiet_at: Option<Instant>, now: Instant) -> Option<Instant> {
        match &self.state {
            State::Requested { lost_at, .. } => Some(*lost_at),
            State::Idle => {
                self.wanted.and_then(|wanted| wanted.not_before.max(quiet_at)).filter(|at| *at > now)
            }
            State::Active { .. } => None,
        }
    }

    /// The response to ask for now, if any; it must be asked for with this `cid`.
    pub fn next(
        &mut self,
        now: Instant,
        quiet: bool,
        cid: impl FnOnce() -> String,
    ) -> Option<(String, Purpose)> {
        if let State::Requested { purpose, lost_at, .. } = self.state
            && lost_at <= now
        {
            self.state = State::Idle;
            self.wanted.get_or_insert(Wanted { purpose, not_before: None });
        }
        let wanted = self.wanted.filter(|wanted| {
            self.state == State::Idle && quiet && wanted.not_before.is_none_or(|earliest| earliest <= now)
        })?;
        self.wanted = None;
        let cid = cid();
        self.state =
            State::Requested { cid: cid.clone(), purpose: wanted.purpose, lost_at: now + REQUEST_LOST_AFTER };
        Some((cid, wanted.purpose))
    }

    /// A response began. True if it is the one we asked for.
    ///
    /// If the model began by itself (the caller spoke first), a greeting that is still waiting is dropped: the
    /// answer takes its place.
    pub fn created(&mut self, response: &Response) -> bool {
        let (ours, purpose) = match &self.state {
            State::Requested { cid, purpose, .. } if response.cid.as_deref() == Some(cid) => (true, *purpose),
            _ => (false, Purpose::Answer),
        };
        if !ours {
            if let State::Requested { purpose, .. } = self.state {
                self.wanted.get_or_insert(Wanted { purpose, not_before: None });
            }
            self.wanted = self.wanted.filter(|wanted| wanted.purpose == Purpose::Notice);
        }
        self.state = State::Active { id: response.id.clone(), purpose };
        ours
    }

    /// The server refused the request with this id, because it is answering already: asked again later.
    pub fn refused(&mut self, now: Instant, event_id: &str) {
        if let State::Requested { cid, purpose, .. } = &self.state
            && cid == event_id
        {
            let purpose = *purpose;
            self.state = State::Idle;
            if purpose != Purpose::Greeting {
                self.wanted.get_or_insert(Wanted { purpose, not_before: Some(now + RETRY_AFTER) });
            }
        }
    }

    /// A response ended. A failed one is wanted again after a pause.
    pub fn done(&mut self, now: Instant, response: &Response) -> Ended {
        let purpose = match &self.state {
            State::Active { id, purpose } if *id == response.id => *purpose,
            State::Requested { cid, purpose, .. } if response.cid.as_deref() == Some(cid) => *purpose,
            _ => return Ended::Over(None),
        };
        self.state = State::Idle;
        if !matches!(response.status, ResponseStatus::Failed(_)) {
            self.failures = 0;
            return Ended::Over(Some(purpose));
        }
        self.failures += 1;
        if self.failures >= TRIES {
            return Ended::GivenUp(purpose);
        }
        let not_before = Some(now + RETRY_AFTER * 2u32.pow(u32::from(self.failures) - 1));
        self.wanted = Some(Wanted { purpose, not_before });
        Ended::Retrying(purpose)
    }
}

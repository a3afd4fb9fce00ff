//! Who has the floor, as the model's server tells it, and how far the answer that is being given has come.
//!
//! The legal announcement goes through these states; until it is Generated the server may not interrupt, and what is said of
//! it is heard to its end:
//!
//! ```text
//!   None          Owed ── its response begins ──► Said ── its response is over ──► Generated
//!   (nothing is to be announced)       ▲  │
//!                                      └──┘ begins again, in another session say
//! ```
//! This file keeps what is known; `turn` and `answer` decide what is done.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::realtime::{ItemId, ResponseId};

/// If no voice is heard for so long, a turn that the server has begun is taken for a false start. Longer than any pause within a turn that
/// the server would wait for (semantic turn detection: up to 8 s); shorter leaves a greeting talking over a caller.
const FALSE_START_AFTER: Duration = Duration::from_secs(8);

/// The recording notice.
#[derive(Debug, Default)]
enum Announcement {
    /// Nothing is to be announced.
    #[default]
    None,
    /// It has not begun.
    Owed,
    /// This response says it.
    Said(ResponseId),
    /// The whole notice has arrived, in this response if the server announced its beginning. The caller may not have heard
    /// all of it yet.
    Generated(Option<ResponseId>),
}

/// What was said in an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Spoken {
    /// Nothing.
    #[default]
    Nothing,
    /// Something, which was heard or is to be.
    Something,
}

/// The answer that is being given, or the last one.
#[derive(Debug, Default)]
struct Answer {
    /// The active response, if nobody wants to hear it any more.
    muted: Option<ResponseId>,
    /// Items of the active response of which audio was queued.
    queued: HashSet<ItemId>,
    /// Items of the response before, of which audio was queued. The server may still send events about them.
    queued_before: HashSet<ItemId>,
    /// What was said in the last response that ended.
    last: Spoken,
}

/// Who has the floor, and how far the answer is.
#[derive(Debug, Default)]
pub(super) struct Floor {
    /// Since when the caller speaks: between `speech_started` and `speech_stopped`.
    caller_speaks_since: Option<Instant>,
    /// The caller has taken a turn: no greeting any more.
    has_caller_spoken: bool,
    /// The time from the birth of the call to the beginning of the audio that is appended to the session.
    session_hears_since: Duration,
    announcement: Announcement,
    answer: Answer,
}

impl Floor {
    /// Nobody has spoken. What is to be announced is owed.
    pub(super) fn new(recording_notice: Option<&String>) -> Self {
        let announcement = recording_notice.map_or(Announcement::None, |_| Announcement::Owed);
        Self { announcement, ..Self::default() }
    }

    /// The session is gone, and with it what it was doing.
    pub(super) fn forget_session(&mut self) {
        self.caller_speaks_since = None;
        self.answer = Answer::default();
    }

    /// The server hears the caller begin to speak.
    pub(super) fn caller_begins(&mut self, now: Instant) {
        self.caller_speaks_since = Some(now);
    }

    /// The server hears the caller no more, or says nothing of them any more.
    pub(super) fn caller_stops(&mut self) {
        self.caller_speaks_since = None;
    }

    /// The server took what the caller said for a turn.
    pub(super) fn caller_took_turn(&mut self) {
        self.caller_speaks_since = None;
        self.has_caller_spoken = true;
    }

    /// Whether the server says that the caller speaks.
    pub(super) fn caller_speaks(&self) -> bool {
        self.caller_speaks_since.is_some()
    }

    /// Since when the server says that the caller speaks.
    pub(super) fn caller_speaks_since(&self) -> Option<Instant> {
        self.caller_speaks_since
    }

    /// Whether the caller has taken a turn.
    pub(super) fn has_caller_spoken(&self) -> bool {
        self.has_caller_spoken
    }

    /// When the caller counts as quiet although the server says that they speak. It may have been a false start whose end the
    /// server does not report. `last_voice` is when our own voice detector last heard the caller.
    pub(super) fn quiet_at(&self, last_voice: Option<Instant>) -> Option<Instant> {
        let since = self.caller_speaks_since?;
        Some(last_voice.map_or(since, |voice| voice.max(since)) + FALSE_START_AFTER)
    }

    /// The caller's sound is appended to the session from here on: so long after the birth of the call.
    pub(super) fn session_hears_since(&mut self, at: Duration) {
        self.session_hears_since = at;
    }

    /// Converts a position in the sound appended to the session into the time since the birth of the call.
    pub(super) fn at(&self, session_ms: u64) -> Duration {
        self.session_hears_since + Duration::from_millis(session_ms)
    }

    /// Whether something must be announced that has not been generated.
    pub(super) fn owes_announcement(&self) -> bool {
        matches!(self.announcement, Announcement::Owed | Announcement::Said(_))
    }

    /// This response says the announcement.
    pub(super) fn announces(&mut self, response: &ResponseId) {
        self.announcement = Announcement::Said(response.clone());
    }

    /// The announcement has been generated, all of it.
    pub(super) fn announced(&mut self) {
        self.announcement = match std::mem::take(&mut self.announcement) {
            Announcement::Said(response) => Announcement::Generated(Some(response)),
            Announcement::Generated(response) => Announcement::Generated(response),
            Announcement::None | Announcement::Owed => Announcement::Generated(None),
        };
    }

    /// The response that must not be interrupted.
    pub(super) fn announcement(&self) -> Option<&ResponseId> {
        match &self.announcement {
            Announcement::Said(response) | Announcement::Generated(Some(response)) => Some(response),
            Announcement::None | Announcement::Owed | Announcement::Generated(None) => None,
        }
    }

    /// A response begins.
    pub(super) fn answer_begins(&mut self) {
        self.answer.queued.clear();
        self.answer.muted = None;
    }

    /// A response is over; what was said in it. Nothing has been said yet of the next one, whose beginning the server may never tell.
    pub(super) fn answer_ends(&mut self) -> Spoken {
        self.answer.last = if self.has_queued() { Spoken::Something } else { Spoken::Nothing };
        self.answer.queued_before = std::mem::take(&mut self.answer.queued);
        self.answer.last
    }

    /// What was said in the last response that ended.
    pub(super) fn last_answer(&self) -> Spoken {
        self.answer.last
    }

    /// Audio of this item of the active response has been queued.
    pub(super) fn queued(&mut self, item: &ItemId) {
        if !self.answer.queued.contains(item) {
            self.answer.queued.insert(item.clone());
        }
    }

    /// Whether audio of the active response has been queued.
    pub(super) fn has_queued(&self) -> bool {
        !self.answer.queued.is_empty()
    }

    /// Whether audio of this item of the active response, or of the one before, has been queued.
    pub(super) fn has_queued_of(&self, item: &ItemId) -> bool {
        self.answer.queued.contains(item) || self.answer.queued_before.contains(item)
    }

    /// Nothing more of this response is wanted.
    pub(super) fn mute(&mut self, response: &ResponseId) {
        self.answer.muted = Some(response.clone());
    }

    /// Whether nothing more of this response is wanted.
    pub(super) fn is_muted(&self, response: &ResponseId) -> bool {
        self.answer.muted.as_ref() == Some(response)
    }

    /// A muted response is over.
    pub(super) fn forget_muted(&mut self) {
        self.answer.muted = None;
    }
}

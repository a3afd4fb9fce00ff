//! The session with the model: opening it, giving it its settings, and what its errors mean.
//!
//! ```text
//!   Opening ──opened──► Opened ──session.created──► Configuring ──session.updated, echo right──► Ready
//!     ▲  │                │                             │                                          │
//!     │  └────────────────┴──── lost ──► Waiting        │ error, wrong echo                        │ lost, expires
//!     └── after a pause ─────────────────────┘          ▼                                          ▼
//!                                                    Closed                                 Opening (`resume`)
//! ```
//! Whoever waits for longer than [`SESSION_PATIENCE`] is not served: Closed. No audio and no request for a response goes out
//! before Ready: until then the session's defaults are in force, and 24 kHz PCM on a telephone is noise.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::record::EventKind;
use super::report::SessionFault;
use super::responses::Purpose;
use super::{Call, Output, SessionEnd};
use crate::end_reason::EndReason;
use crate::operator::{Detail, LinkFault, Notice};
use crate::realtime::client::ClientEvent;
use crate::realtime::dialect::Differences;
use crate::realtime::error::{ApiError, ErrorClass, Refusal};
use crate::realtime::server::Malformed;

/// How long a caller waits for the session before they are given back. Longer is dead air; shorter gives up on a
/// slow but living server.
pub(super) const SESSION_PATIENCE: Duration = Duration::from_secs(8);
/// So many errors of a call's sessions are told and recorded, the others counted. Fewer could hide the cause behind its
/// consequences; more would let a broken server fill the log and the disk.
const TOLD_ERRORS: u64 = 20;
/// Pause before the session is tried again; doubled each time.
const REOPEN_AFTER: Duration = Duration::from_millis(250);
/// The pause is doubled no more often than this.
const DOUBLINGS: u32 = 8;

/// What is left of the caller's patience with a session that does not stand yet.
#[derive(Debug)]
pub(super) struct Patience {
    give_up_at: Instant,
    /// How often the session had to be opened again.
    retries: u32,
    /// Why it could not be opened the last time.
    cause: Option<LinkFault>,
}

/// How far the session is.
#[derive(Debug)]
pub(super) enum Session {
    /// Its WebSocket is being opened.
    Opening(Patience),
    /// Opening failed; it is tried again at `at`.
    Waiting { at: Instant, patience: Patience },
    /// The WebSocket stands; `session.created` has not come.
    Opened(Patience),
    /// `session.update` is out: this was asked.
    Configuring { asked: Value, patience: Patience },
    /// Audio may flow.
    Ready,
    /// There is no session any more, and there will be no other.
    Closed,
}

/// What is to be done about a session that does not come.
#[derive(Debug)]
enum Remedy {
    /// It is opened again.
    Open,
    /// The session is given up. The value tells why the last attempt to open it failed, if that is the cause.
    GiveUp(Option<LinkFault>),
}

impl Session {
    /// A session that is being opened.
    pub(super) fn opening(now: Instant) -> Self {
        Self::Opening(Patience { give_up_at: now + SESSION_PATIENCE, retries: 0, cause: None })
    }

    /// Whether audio may flow.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self, Self::Ready)
    }

    /// Whether there is no session any more, and will be no other.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// There is no session any more.
    pub(super) fn close(&mut self) {
        *self = Self::Closed;
    }

    /// Another session is opened in the place of this one.
    pub(super) fn replace(&mut self, now: Instant) {
        *self = Self::opening(now);
    }

    /// Why it could not be opened the last time.
    pub(super) fn last_fault(&self) -> Option<&LinkFault> {
        match self {
            Self::Opening(patience)
            | Self::Opened(patience)
            | Self::Waiting { patience, .. }
            | Self::Configuring { patience, .. } => patience.cause.as_ref(),
            Self::Ready | Self::Closed => None,
        }
    }

    fn patience(&mut self) -> Option<&mut Patience> {
        match self {
            Self::Opening(patience)
            | Self::Opened(patience)
            | Self::Waiting { patience, .. }
            | Self::Configuring { patience, .. } => Some(patience),
            Self::Ready | Self::Closed => None,
        }
    }

    /// When [`Self::advance`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Opening(patience) | Self::Opened(patience) | Self::Configuring { patience, .. } => {
                Some(patience.give_up_at)
            }
            Self::Waiting { at, patience } => Some(*at.min(&patience.give_up_at)),
            Self::Ready | Self::Closed => None,
        }
    }

    /// Lets time pass.
    fn advance(&mut self, now: Instant) -> Option<Remedy> {
        if let Some(patience) = self.patience().filter(|patience| patience.give_up_at <= now) {
            return Some(Remedy::GiveUp(patience.cause.take()));
        }
        match std::mem::replace(self, Self::Closed) {
            Self::Waiting { at, patience } if at <= now => {
                *self = Self::Opening(patience);
                Some(Remedy::Open)
            }
            other => {
                *self = other;
                None
            }
        }
    }

    /// The WebSocket stands; false: nobody waits for it.
    fn opened(&mut self) -> bool {
        match std::mem::replace(self, Self::Closed) {
            Self::Opening(patience) => {
                *self = Self::Opened(patience);
                true
            }
            other => {
                *self = other;
                false
            }
        }
    }

    /// The session is told its settings.
    pub(super) fn configure(&mut self, asked: Value) {
        *self = match std::mem::replace(self, Self::Closed) {
            Self::Opened(patience) => Self::Configuring { asked, patience },
            other => other,
        };
    }

    /// Opening failed: it is tried again after a pause, as long as the caller's patience lasts. Returns whether the last try has
    /// failed for the same cause.
    pub(super) fn failed(&mut self, now: Instant, cause: LinkFault) -> bool {
        let mut is_known = false;
        *self = match std::mem::replace(self, Self::Closed) {
            Self::Opening(patience) | Self::Opened(patience) | Self::Configuring { patience, .. } => {
                let Patience { give_up_at, retries, cause: last } = patience;
                is_known = last.as_ref() == Some(&cause);
                let at = now + REOPEN_AFTER * 2u32.pow(retries.min(DOUBLINGS));
                Self::Waiting {
                    at,
                    patience: Patience { give_up_at, retries: retries + 1, cause: Some(cause) },
                }
            }
            other => other,
        };
        is_known
    }
}

impl Call {
    pub(super) fn advance_session(&mut self) {
        match self.session.advance(self.now) {
            None => {}
            Some(Remedy::Open) => self.outputs.push(Output::OpenSession),
            Some(Remedy::GiveUp(cause)) => {
                self.session_failed(SessionFault::Late);
                let seconds = SESSION_PATIENCE.as_secs();
                self.outputs.push(Output::Notice(match cause {
                    None => Notice::SessionLate { seconds },
                    Some(cause) => Notice::SessionUnavailable { seconds, cause },
                }));
                let again = self.sessions.is_resuming();
                self.apologise(if again { EndReason::SessionLost } else { EndReason::SessionLate });
            }
        }
    }

    pub(super) fn session_opened(&mut self) {
        if self.session.opened() {
            self.counters.sessions_opened += 1;
            self.outputs.push(Output::Notice(Notice::SessionConnected));
            self.note(EventKind::Connected, String::new());
            if self.leg.openai().is_some() {
                self.attached();
            }
        }
    }

    /// `session.created`: the session may be told what it is.
    pub(super) fn session_created(&mut self) {
        if !matches!(self.session, Session::Opened(_)) || self.leg.openai().is_some() {
            return;
        }
        // An announcement that must be heard cannot be interrupted: see `turn`.
        let interrupt = self.settings.session.interrupt && !self.floor.owes_announcement();
        let asked = self.settings.session.session(interrupt);
        let event_id = self.event_id();
        self.outputs.push(Output::Session(ClientEvent::SessionUpdate { event_id, session: asked.clone() }));
        self.session.configure(asked);
    }

    /// `session.updated`: is it what was asked?
    pub(super) fn session_updated(&mut self, echoed: &str) {
        let Session::Configuring { asked, .. } = &self.session else { return };
        let echoed = serde_json::from_str(echoed).unwrap_or_default();
        let Differences { formats, others } = Differences::between(asked, &echoed);
        if !formats.is_empty() {
            self.session_failed(SessionFault::Settings);
            self.outputs
                .push(Output::Notice(Notice::FormatsDiffer { paths: Detail::new(formats.join(", ")) }));
            self.apologise(EndReason::SessionFailed);
            return;
        }
        if !others.is_empty() {
            self.outputs
                .push(Output::Notice(Notice::SettingsDiffer { paths: Detail::new(others.join(", ")) }));
        }
        if let Some(leg) = self.leg.openai_mut() {
            leg.confirmed();
            self.stopwatch.confirmed(self.now - self.born);
        }
        self.session = Session::Ready;
        self.session_stands();
    }

    /// The session's settings are in force.
    fn session_stands(&mut self) {
        self.sessions.stands();
        self.begin_talking();
        self.outputs.push(Output::Notice(match self.leg.openai() {
            None => Notice::SessionConfigured,
            Some(_) => Notice::SipConfigured,
        }));
        self.leg.answer(&mut self.outputs);
        self.session_of_dialled_stands();
        self.resume();
        let unheard = self.transcript.utterances().is_empty() && !self.floor.has_caller_spoken();
        if self.floor.owes_announcement() {
            self.responses.want(Purpose::Notice);
        } else if self.settings.greeting.is_some() && unheard {
            self.responses.want(Purpose::Greeting);
        }
        self.ask();
        self.note(EventKind::Configured, String::new());
        if self.leg.openai().is_some() {
            return;
        }
        self.uplink.keep_going(self.now);
        let kept = self.to_model.open(&mut self.outputs);
        self.floor.session_hears_since((self.now - self.born).saturating_sub(kept));
    }

    /// The WebSocket is gone, or never was.
    pub(super) fn session_ended(&mut self, end: &SessionEnd) {
        if !self.phase.is_serving() {
            return self.last_session_ended();
        }
        if self.leg.openai().is_some() {
            return self.sideband_ended(end);
        }
        match (&self.session, end.refusal) {
            (Session::Closed, _) => {}
            (Session::Ready, None) => self.session_lost(end.cause.clone()),
            (Session::Opening(_) | Session::Opened(_) | Session::Configuring { .. }, None) => {
                self.reopen(&end.cause);
            }
            (_, refusal) => self.refused(refusal.unwrap_or(Refusal::Other), end.cause.clone()),
        }
    }

    /// Tries again after a pause, as long as the caller's patience lasts.
    pub(super) fn reopen(&mut self, cause: &LinkFault) {
        self.session_failed(SessionFault::Unavailable);
        if !self.session.failed(self.now, cause.clone()) {
            self.outputs.push(Output::Notice(Notice::SessionRetry { cause: cause.clone() }));
        }
    }

    /// An `error` event.
    pub(super) fn session_error(&mut self, error: &ApiError) {
        if self.ends_session(error) {
            return;
        }
        let complaint = error.complaint();
        match error.class() {
            ErrorClass::OurFault if matches!(self.session, Session::Configuring { .. }) => {
                self.session_failed(SessionFault::Settings);
                self.outputs.push(Output::Notice(Notice::SettingsRefused { complaint }));
                return self.apologise(EndReason::SessionFailed);
            }
            ErrorClass::OurFault if self.counters.session_errors < TOLD_ERRORS => {
                self.outputs.push(Output::Notice(Notice::SessionComplains { complaint }));
            }
            ErrorClass::Race if error.is_server_busy() => self.responses.owe(),
            _ => {}
        }
        self.error_survived(error);
        self.responses.refused(self.now, &error.event_id);
    }

    /// An error after which the call goes on: for the record and the figures.
    pub(super) fn error_survived(&mut self, error: &ApiError) {
        if self.counters.session_errors < TOLD_ERRORS {
            self.note(EventKind::Error, error.complaint().code.to_string());
        }
        self.counters.session_errors += 1;
    }

    /// Whether the session, or the call, is over with this error of an event or of a failed response.
    pub(super) fn ends_session(&mut self, error: &ApiError) -> bool {
        let told = LinkFault::Told(error.complaint());
        match (error.class(), &self.session) {
            (ErrorClass::Permanent(refusal), _) => self.refused(refusal, told),
            (ErrorClass::SessionOver, Session::Opened(_) | Session::Configuring { .. }) => {
                self.outputs.push(Output::CloseSession);
                self.reopen(&told);
            }
            (ErrorClass::SessionOver, _) => self.session_lost(told),
            _ => return false,
        }
        true
    }

    /// The model's server says something that cannot be read. The operator is told once a call: a server that sends one such
    /// event sends many.
    pub(super) fn unreadable(&mut self, malformed: &Malformed) {
        self.counters.unreadable_events += 1;
        if self.counters.unreadable_events == 1 {
            let (event, missing) = (Detail::new(&malformed.kind), malformed.missing);
            self.outputs.push(Output::Notice(Notice::EventUnreadable { event, missing }));
        }
    }

    /// OpenAI will not serve us until a person acts.
    pub(super) fn refused(&mut self, refusal: Refusal, cause: LinkFault) {
        self.session_failed(SessionFault::Refused(refusal));
        self.outputs.push(Output::Notice(refusal.notice(&self.settings.model, cause)));
        self.apologise(EndReason::SessionFailed);
    }

    /// Counts a session that could not be opened or was lost.
    pub(super) fn session_failed(&mut self, fault: SessionFault) {
        self.counters.session_faults.count(fault);
    }
}

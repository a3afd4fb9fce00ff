//! The agent's leg: opening the model's session, giving it its settings, and what its errors mean.
//!
//! ```text
//!   Opening ──opened──► Greeted? ──created──► Configuring ──updated, echo right──► Ready
//!      │ ▲ transient failure, within patience        │ error, wrong echo, time-out
//!      ▼ │                                           ▼
//!   Waiting                                      call ends
//! ```
//! No audio and no request for a response goes out before Ready: until then the session's defaults are in
//! force, and 24 kHz PCM on a telephone is noise.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::record::EventKind;
use super::report::SessionFault;
use super::responses::Purpose;
use super::{Call, Output, Phase, SessionEnd};
use crate::operator::{Detail, EndReason, LinkFault, Notice};
use crate::realtime::client::ClientEvent;
use crate::realtime::dialect::Differences;
use crate::realtime::error::{ApiError, ErrorClass, Refusal};

/// How long a caller waits for the session before he is given back. Longer is dead air; shorter gives up on a
/// slow but living server.
pub(super) const SESSION_PATIENCE: Duration = Duration::from_secs(8);
/// Pause before the session is tried again; doubled each time.
const REOPEN_AFTER: Duration = Duration::from_millis(250);

/// How far the session is.
#[derive(Debug)]
pub(super) enum Agent {
    /// Its WebSocket is being opened.
    Opening { give_up_at: Instant },
    /// Opening failed; tried again at `at`.
    Waiting { at: Instant, give_up_at: Instant },
    /// The WebSocket stands; `session.created` has not come.
    Opened { give_up_at: Instant },
    /// `session.update` is out: this was asked.
    Configuring { asked: Value, give_up_at: Instant },
    /// Audio may flow.
    Ready,
    /// No session any more.
    Closed,
}

impl Agent {
    /// A session that is being opened.
    pub(super) fn opening(now: Instant) -> Self {
        Self::Opening { give_up_at: now + SESSION_PATIENCE }
    }

    /// Whether audio may flow.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self, Self::Ready)
    }

    /// When [`Call::advance_agent`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Opening { give_up_at }
            | Self::Opened { give_up_at }
            | Self::Configuring { give_up_at, .. } => Some(*give_up_at),
            Self::Waiting { at, give_up_at } => Some(*at.min(give_up_at)),
            Self::Ready | Self::Closed => None,
        }
    }
}

impl Call {
    pub(super) fn advance_agent(&mut self) {
        match self.agent {
            Agent::Opening { give_up_at }
            | Agent::Opened { give_up_at }
            | Agent::Waiting { give_up_at, .. }
            | Agent::Configuring { give_up_at, .. }
                if give_up_at <= self.now =>
            {
                self.session_failed(SessionFault::Late);
                let seconds = SESSION_PATIENCE.as_secs();
                self.outputs.push(Output::Notice(match self.floor.unopened_for.take() {
                    None => Notice::SessionLate { seconds },
                    Some(cause) => Notice::SessionUnavailable { seconds, cause },
                }));
                let again = self.sessions.is_resuming();
                self.apologise(if again { EndReason::SessionLost } else { EndReason::SessionLate });
            }
            Agent::Waiting { at, give_up_at } if at <= self.now => {
                self.agent = Agent::Opening { give_up_at };
                self.outputs.push(Output::OpenSession);
            }
            _ => {}
        }
    }

    pub(super) fn session_opened(&mut self) {
        if let Agent::Opening { give_up_at } = self.agent {
            self.agent = Agent::Opened { give_up_at };
            self.counters.sessions_opened += 1;
            self.outputs.push(Output::Notice(Notice::SessionConnected));
            self.note(EventKind::Connected, String::new());
        }
    }

    /// `session.created`: the session may be told what it is.
    pub(super) fn session_created(&mut self) {
        if let Agent::Opened { give_up_at } = self.agent {
            // An announcement that must be heard cannot be interrupted: see `turn`.
            let announces = self.settings.recording_notice.is_some() && !self.floor.notice_given;
            let interrupt = self.settings.session.interrupt && !announces;
            let asked = self.settings.session.session(interrupt);
            let event_id = self.event_id();
            self.outputs
                .push(Output::Session(ClientEvent::SessionUpdate { event_id, session: asked.clone() }));
            self.agent = Agent::Configuring { asked, give_up_at };
        }
    }

    /// `session.updated`: is it what was asked?
    pub(super) fn session_updated(&mut self, echoed: &str) {
        let Agent::Configuring { asked, .. } = &self.agent else { return };
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
        self.agent = Agent::Ready;
        self.sessions.stood = true;
        self.outputs.push(Output::Notice(Notice::SessionConfigured));
        self.legs.answer(&mut self.outputs);
        self.resume();
        let unheard = self.transcript.utterances().is_empty() && !self.floor.caller_has_spoken;
        if self.settings.recording_notice.is_some() && !self.floor.notice_given {
            self.responses.want(Purpose::Notice);
        } else if self.settings.greeting.is_some() && unheard {
            self.responses.want(Purpose::Greeting);
        }
        self.ask();
        self.note(EventKind::Configured, String::new());
        self.uplink.keep_going(self.now);
        let kept = self.to_model.open(&mut self.outputs);
        self.floor.uplink_began = (self.now - self.born).saturating_sub(kept);
    }

    /// The WebSocket is gone, or never was.
    pub(super) fn session_ended(&mut self, end: &SessionEnd) {
        if self.phase != Phase::Serving {
            return;
        }
        match self.agent {
            Agent::Closed => {}
            Agent::Opening { give_up_at }
            | Agent::Opened { give_up_at }
            | Agent::Configuring { give_up_at, .. }
                if end.refusal.is_none() =>
            {
                self.reopen(&end.cause, give_up_at);
            }
            Agent::Ready if end.refusal.is_none() => self.session_lost(end.cause.clone()),
            _ => self.refused(end.refusal.unwrap_or(Refusal::Other), end.cause.clone()),
        }
    }

    /// Tries again after a pause, as long as the caller's patience lasts.
    fn reopen(&mut self, cause: &LinkFault, give_up_at: Instant) {
        self.session_failed(SessionFault::Unavailable);
        self.outputs.push(Output::Notice(Notice::SessionRetry { cause: cause.clone() }));
        let pause = REOPEN_AFTER * 2u32.pow(self.floor.reopened.min(8));
        self.floor.reopened += 1;
        self.floor.unopened_for = Some(cause.clone());
        self.agent = Agent::Waiting { at: self.now + pause, give_up_at };
    }

    /// An `error` event.
    pub(super) fn session_error(&mut self, error: &ApiError) {
        if self.ends_session(error) {
            return;
        }
        let complaint = error.complaint();
        match error.class() {
            ErrorClass::OurFault if matches!(self.agent, Agent::Configuring { .. }) => {
                self.session_failed(SessionFault::Settings);
                self.outputs.push(Output::Notice(Notice::SettingsRefused { complaint }));
                return self.apologise(EndReason::SessionFailed);
            }
            ErrorClass::OurFault => self.outputs.push(Output::Notice(Notice::SessionComplains { complaint })),
            ErrorClass::Race if error.is_server_busy() => self.responses.owe(),
            _ => {}
        }
        self.error_survived(error);
        self.responses.refused(self.now, &error.event_id);
    }

    /// An error after which the call goes on: for the record and the figures.
    pub(super) fn error_survived(&mut self, error: &ApiError) {
        self.note(EventKind::Error, error.complaint().code.to_string());
        self.counters.session_errors += 1;
    }

    /// Whether the session, or the call, is over with this error of an event or of a failed response.
    pub(super) fn ends_session(&mut self, error: &ApiError) -> bool {
        let told = LinkFault::Told(error.complaint());
        match (error.class(), &self.agent) {
            (ErrorClass::Permanent(refusal), _) => self.refused(refusal, told),
            (
                ErrorClass::SessionOver,
                Agent::Opened { give_up_at } | Agent::Configuring { give_up_at, .. },
            ) => {
                let give_up_at = *give_up_at;
                self.outputs.push(Output::CloseSession);
                self.reopen(&told, give_up_at);
            }
            (ErrorClass::SessionOver, _) => self.session_lost(told),
            _ => return false,
        }
        true
    }

    /// OpenAI will not serve us until a person acts.
    fn refused(&mut self, refusal: Refusal, cause: LinkFault) {
        self.session_failed(SessionFault::Refused(refusal));
        self.outputs.push(Output::Notice(refusal.notice(&self.settings.model, cause)));
        self.apologise(EndReason::SessionFailed);
    }

    /// Counts a session that is not to be had, or not any more.
    pub(super) fn session_failed(&mut self, fault: SessionFault) {
        self.counters.session_faults.count(fault);
    }
}

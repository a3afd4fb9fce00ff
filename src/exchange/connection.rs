//! How we stand to Asterisk.
//!
//! ```text
//!            connected            Asterisk has told what it holds
//!   Away ───────────────► Checking ───────────────────────────────► Connected
//!    ▲                       │                                          │
//!    │                       └─────► ApplicationReplaced ◄──────────────┘ another program has our application
//!    └── lost ──────────────────────────────┘
//! ```

use std::collections::BTreeSet;
use std::time::Instant;

use super::absence::Absence;
use super::errands::Inquiry;
use super::output::ErrandId;
use super::readiness::AsteriskLink;
use crate::ari::info;
use crate::ari::lists::Application;
use crate::ari::{ChannelId, Unreached};
use crate::call::LegEvent;
use crate::end_reason::EndReason;
use crate::operator::{Detail, Notice};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// There is no connection.
    #[default]
    Away,
    /// The event socket stands, and this errand asks Asterisk what it holds.
    Checking(ErrandId),
    /// Callers come here.
    Connected,
    /// The event socket stands, but callers go to another program.
    ApplicationReplaced,
}

/// The connection to Asterisk.
#[derive(Debug, Default)]
pub(super) struct Connection {
    state: State,
    /// Why Asterisk could not be connected to the last time, as the operator was told.
    unreached: Option<Unreached>,
    absence: Absence,
}

/// What Asterisk holds after a connect.
#[derive(Debug)]
pub(super) enum Reunion {
    /// It does not know our application: the event socket is to be connected again.
    NoApplication,
    /// Asterisk knows our application, and holds this for it.
    Holds {
        application: Application,
        /// What has become of callers who are not there any more.
        absent: LegEvent,
        notices: Vec<Notice>,
    },
}

impl Connection {
    /// How we stand, for whoever watches.
    pub(super) fn link(&self) -> AsteriskLink {
        match self.state {
            State::Away | State::Checking(_) => AsteriskLink::Away,
            State::Connected => AsteriskLink::Connected,
            State::ApplicationReplaced => AsteriskLink::ApplicationReplaced,
        }
    }

    /// Whether Asterisk refuses user or password, as far as the last attempt to connect tells.
    pub(super) fn are_credentials_refused(&self) -> bool {
        self.unreached == Some(Unreached::Credentials)
    }

    /// The event socket stands, and this errand asks what Asterisk holds.
    pub(super) fn connected(&mut self, errand: ErrandId) {
        self.unreached = None;
        self.state = State::Checking(errand);
    }

    /// The event socket is lost; None: we wanted to connect again. The operator's lines.
    pub(super) fn lost(&mut self, now: Instant, cause: Option<String>, address: &str) -> Vec<Notice> {
        self.gone(now);
        let Some(cause) = cause else { return Vec::new() };
        let broken = Notice::AriBroken { address: address.to_owned(), cause: Detail::new(cause) };
        vec![Notice::AriLost, broken]
    }

    /// The event socket could not be connected. The operator's lines, once for each cause.
    pub(super) fn unreached(&mut self, now: Instant, cause: Unreached, address: &str) -> Vec<Notice> {
        self.gone(now);
        // Asterisk is starting, or the operator already knows the cause.
        if matches!(cause, Unreached::Starting(_)) || self.unreached.as_ref() == Some(&cause) {
            return Vec::new();
        }
        let address = address.to_owned();
        let why = match cause.clone() {
            Unreached::Credentials => Notice::AriCredentialsRefused { address },
            Unreached::Starting(status) | Unreached::NotAri(status) => Notice::AriAbsent { address, status },
            Unreached::Certificate(cause) => {
                Notice::AriCertificateRefused { address, cause: Detail::new(cause) }
            }
            Unreached::Closed => Notice::AriClosed { address },
            Unreached::Network(cause) => Notice::AriUnreachable { address, cause: Detail::new(cause) },
        };
        self.unreached = Some(cause);
        vec![Notice::AriLost, why]
    }

    fn gone(&mut self, now: Instant) {
        self.absence.begins(now);
        self.state = State::Away;
    }

    /// Another program has taken over our application.
    pub(super) fn replaced(&mut self) {
        if self.state != State::Away {
            self.state = State::ApplicationReplaced;
        }
    }

    /// A call is over.
    pub(super) fn call_ended(&mut self, reason: EndReason) {
        self.absence.call_ended(reason);
    }

    /// An errand has asked Asterisk what it holds. None: that was for a connection which does not stand any more.
    /// `before` are the callers of that moment, and `channel_of` tells who talks in their calls.
    pub(super) fn reunited(
        &mut self,
        now: Instant,
        errand: ErrandId,
        before: &[ChannelId],
        inquiry: &Inquiry,
        channel_of: impl Fn(&ChannelId) -> ChannelId,
    ) -> Option<Reunion> {
        if self.state != State::Checking(errand) {
            return None;
        }
        let Some(application) = application(inquiry) else {
            self.state = State::Away;
            return Some(Reunion::NoApplication);
        };
        self.state = State::Connected;
        let there: BTreeSet<_> = application.channels().collect();
        let kept = before.iter().filter(|caller| there.contains(&channel_of(caller))).count();
        let started_at = inquiry.info().and_then(info::started_at);
        let (absent, back) = self.absence.ends(now, started_at, before.len(), kept);
        let notices = [Some(Notice::AriConnected), back].into_iter().flatten().collect();
        Some(Reunion::Holds { application, absent, notices })
    }
}

/// What Asterisk says that our application holds; None: it does not say.
pub(super) fn application(inquiry: &Inquiry) -> Option<Application> {
    let mut application = inquiry.application()?.clone();
    if let Some(bridges) = inquiry.bridges() {
        application.add_bridges(bridges);
    }
    Some(application)
}

//! The table of the operator's lines: one row for each [`Notice`], with its level and its sentence in both languages.
//!
//! The table has a file for each subject. A Rust enum must be written in one place, so each file is a macro that adds its
//! rows to those it is given and hands all of them to the next macro; the last of them, `notices`, builds the enum with [`lines`].
//!
//! ```text
//!  of_the_daemon ─► of_agents ─► of_asterisk ─► of_calls ─► of_sessions ─► of_sip ─► of_the_archive ─► notices ─► enum Notice
//! ```
//!
//! | file | the lines about |
//! |---|---|
//! | `daemon` | the daemon, its configuration and its log |
//! | `agents` | agents, and the commands about them |
//! | `asterisk` | the connection with Asterisk |
//! | `call`, `session` | calls; the sessions with the model |
//! | `sip` | calls that OpenAI answers by SIP, and their webhook |
//! | `archive` | what is kept of calls |

#[macro_use]
mod agents;
#[macro_use]
mod archive;
#[macro_use]
mod asterisk;
#[macro_use]
mod call;
#[macro_use]
mod daemon;
#[macro_use]
mod session;
#[macro_use]
mod sip;

use std::net::{IpAddr, SocketAddr};

use super::lines::lines;
use super::{
    AgentFault, Allowed, Code, Complaint, Detail, DialFault, Found, Language, Level, LinkFault, Remedy, Said,
    ToolTrouble,
};
use crate::end_reason::EndReason;
use crate::number::ChannelName;
use crate::units::Cost;
use crate::webhook::inbound::Refused;

macro_rules! notices {
    ({ $($rows:tt)* }) => { lines! {
        /// Something worth telling the operator.
        #[derive(Clone, Debug, PartialEq)]
        #[expect(missing_docs, reason = "the comment of a row explains its fields")]
        pub enum Notice of Level;
        $($rows)*
    } };
}
of_the_daemon! { of_agents of_asterisk of_calls of_sessions of_sip of_the_archive notices { } }

impl Notice {
    /// How serious it is; the same for every notice of a kind.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.kind().0
    }

    /// The sentence, without time, level or call.
    #[must_use]
    pub fn line(&self, language: Language) -> String {
        self.texts(language).0
    }

    /// The variable whose value it is about, if it is one that the file of an agent can set too.
    #[must_use]
    pub const fn variable(&self) -> Option<&'static str> {
        match self {
            Self::VoiceUnknown { variable, .. }
            | Self::SettingIgnored { variable, .. }
            | Self::PriceUnknown { variable, .. }
            | Self::ModelRetired { variable, .. }
            | Self::ModelShutdown { variable, .. } => Some(variable),
            Self::BetaRefused => Some("OPENAI_REALTIME_DIALECT"),
            _ => None,
        }
    }

    /// The same about the key of an agent's file that sets the variable.
    #[must_use]
    pub const fn about(mut self, key: &'static str) -> Self {
        if let Self::VoiceUnknown { variable, .. }
        | Self::SettingIgnored { variable, .. }
        | Self::PriceUnknown { variable, .. }
        | Self::ModelRetired { variable, .. }
        | Self::ModelShutdown { variable, .. } = &mut self
        {
            *variable = key;
        }
        self
    }

    /// Whether it says that this variable is required and missing.
    #[must_use]
    pub fn names_missing(&self, variable: &str) -> bool {
        matches!(self, Self::EnvironmentIncomplete { missing } if missing.contains(&variable))
    }

    /// Whether it tells of a session that was not to be had, or failed: in an outage every call that tries would say so.
    #[must_use]
    pub const fn tells_of_a_failing_session(&self) -> bool {
        matches!(
            self,
            Self::KeyRefused
                | Self::QuotaExhausted
                | Self::ModelUnavailable { .. }
                | Self::BetaRefused
                | Self::SessionRefused { .. }
                | Self::SessionLate { .. }
                | Self::SessionUnavailable { .. }
                | Self::SessionRetry { .. }
                | Self::ResponseFailed { .. }
                | Self::SettingsRefused { .. }
                | Self::FormatsDiffer { .. }
        )
    }
}

/// A sentence within another.
impl Said for Notice {
    fn said(&self, language: Language) -> String {
        self.line(language)
    }
}

impl<T: Said> Said for Box<T> {
    fn said(&self, language: Language) -> String {
        self.as_ref().said(language)
    }
}

//! The parts of the doctor's findings: statuses, checks, and the values that a sentence can contain. The
//! sentences themselves are in `findings`.
//!
//! Scripts may depend on the id of a check and on the word of a status.

use std::fmt::Write as _;

use crate::operator::{Language, Said};

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    Ok,
    /// Information, or something that cannot be checked from here.
    Note,
    Warning,
    Failure,
}

impl Status {
    /// The stable word for scripts.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }

    pub(super) const fn mark(self) -> &'static str {
        match self {
            Self::Ok => "✓",
            Self::Note => "·",
            Self::Warning => "!",
            Self::Failure => "✗",
        }
    }
}

/// The subject of a finding, in the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Check {
    Variables,
    Agents,
    User,
    Log,
    Recordings,
    Disk,
    OpenFiles,
    Daemon,
    Ari,
    Asterisk,
    Modules,
    Dialplan,
    RtpPorts,
    Rtp,
    Key,
    Model,
    Session,
    Webhook,
    WebhookPublic,
    Sip,
    SipHost,
    SipEndpoint,
    Clock,
}

impl Check {
    /// The stable id for scripts.
    pub(super) const fn id(self) -> &'static str {
        match self {
            Self::Variables => "variables",
            Self::Agents => "agents",
            Self::User => "user",
            Self::Log => "log",
            Self::Recordings => "recordings",
            Self::Disk => "disk",
            Self::OpenFiles => "open-files",
            Self::Daemon => "daemon",
            Self::Ari => "ari",
            Self::Asterisk => "asterisk",
            Self::Modules => "modules",
            Self::Dialplan => "dialplan",
            Self::RtpPorts => "rtp-ports",
            Self::Rtp => "rtp",
            Self::Key => "key",
            Self::Model => "model",
            Self::Session => "session",
            Self::Webhook => "webhook",
            Self::WebhookPublic => "webhook-public",
            Self::Sip => "sip",
            Self::SipHost => "sip-host",
            Self::SipEndpoint => "sip-endpoint",
            Self::Clock => "clock",
        }
    }
}

/// A number with one decimal place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Decimal(pub(super) f64);

impl Said for Decimal {
    fn said(&self, language: Language) -> String {
        language.decimal(self.0, 1)
    }
}

/// The received and sent packets of the two directions, for example `75/75 and 74/75`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Both(pub(super) [(u32, u32); 2]);

impl Said for Both {
    fn said(&self, language: Language) -> String {
        let [(one, of_one), (other, of_other)] = self.0;
        let and = language.choose("y", "and");
        format!("{one}/{of_one} {and} {other}/{of_other}")
    }
}

/// A text in brackets, ` ({text})`. None: the empty text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InBrackets(pub(super) Option<String>);

impl Said for InBrackets {
    fn said(&self, _language: Language) -> String {
        let mut said = String::new();
        if let Some(text) = &self.0 {
            write!(said, " ({text})").expect("writing to a String cannot fail");
        }
        said
    }
}

//! The ways by which calls reach the model, and what is counted of the one on which OpenAI answers by SIP.

use super::Histogram;
use crate::call::latency::Latencies;

/// How a call reaches the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Asterisk hands us the sound, and we carry it to the model.
    Media,
    /// OpenAI answers the call by SIP, and carries the sound itself.
    Sip,
}

impl Route {
    /// All routes, in the order of the enum.
    pub const ALL: [Self; 2] = [Self::Media, Self::Sip];

    /// The label's value in metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Media => "media",
            Self::Sip => "sip",
        }
    }
}

/// What became of a request at the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It offered a call, which the daemon has been told.
    Offered,
    /// It had been there before.
    Repeated,
    /// It is about something else (another type of event).
    Ignored,
    /// It does not come from OpenAI, as far as headers, timestamp and signature tell.
    Unverified,
    /// It comes from OpenAI, and cannot be read.
    Malformed,
    /// Its body is too large.
    TooLarge,
    /// Its body ended before its length.
    BrokenOff,
    /// Its body did not arrive in time.
    TooSlow,
    /// Its sender sends too many.
    TooMany,
    /// The daemon had no room for it: it comes again.
    Busy,
}

impl Arrival {
    /// All outcomes, in the order of the enum.
    pub const ALL: [Self; 10] = [
        Self::Offered,
        Self::Repeated,
        Self::Ignored,
        Self::Unverified,
        Self::Malformed,
        Self::TooLarge,
        Self::BrokenOff,
        Self::TooSlow,
        Self::TooMany,
        Self::Busy,
    ];

    /// The label's value in metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Repeated => "repeated",
            Self::Ignored => "ignored",
            Self::Unverified => "unverified",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::BrokenOff => "broken_off",
            Self::TooSlow => "too_slow",
            Self::TooMany => "too_many",
            Self::Busy => "busy",
        }
    }
}

/// What the daemon does with a call that a webhook has offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It takes it.
    Taken,
    /// It rejects it, so that the trunk finds a person.
    Rejected,
    /// Nothing: it had been offered before.
    Repeated,
}

impl Decision {
    /// All decisions, in the order of the enum.
    pub const ALL: [Self; 3] = [Self::Taken, Self::Rejected, Self::Repeated];

    /// The label's value in metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Rejected => "rejected",
            Self::Repeated => "repeated",
        }
    }
}

/// What is counted of the calls that OpenAI answers by SIP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfSip {
    /// The number of requests at the webhook, in the order of [`Arrival::ALL`].
    pub arrivals: [u64; Arrival::ALL.len()],
    /// The number of calls that were offered, in the order of [`Decision::ALL`].
    pub decisions: [u64; Decision::ALL.len()],
    /// The time from a caller's arrival (the webhook, if the caller is not in Asterisk) until OpenAI has let us take the call.
    pub accepted: Histogram,
    /// The time from it until our settings are in force in its session.
    pub session: Histogram,
    /// The time from it until the caller hears the first sound.
    pub first_sound: Histogram,
}

impl OfSip {
    pub(super) fn wait(&mut self, latencies: &Latencies) {
        let Latencies { accepted, session, greeting, .. } = latencies;
        for (histogram, waited) in
            [(&mut self.accepted, accepted), (&mut self.session, session), (&mut self.first_sound, greeting)]
        {
            if let Some(waited) = waited {
                histogram.add(*waited);
            }
        }
    }
}

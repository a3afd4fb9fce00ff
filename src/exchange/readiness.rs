//! Whether a caller who came now would be served, as far as the daemon knows: what `/ready`, the metrics and `systemctl
//! status` tell.

use std::sync::Arc;

use chrono::{DateTime, FixedOffset, NaiveDate};

use super::{Exchange, Webhook};
use crate::operator::Notice;

/// How the daemon stands to Asterisk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AsteriskLink {
    /// No connection.
    #[default]
    Away,
    /// Calls come here.
    Connected,
    /// Connected, but another program has taken the application: calls go there.
    ApplicationReplaced,
}

/// Whether the daemon has room for another call, and if not, what takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Capacity {
    /// Another call is taken.
    #[default]
    Free,
    /// `MAX_CALLS` calls are in progress.
    MaxCalls,
    /// The processor has no time for another call, although the calls in progress are served on time.
    Processor,
    /// The daemon is overloaded: it sends audio frames late.
    Overloaded,
}

/// What the daemon knows of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Readiness {
    /// Its way to Asterisk.
    pub asterisk: AsteriskLink,
    /// Asterisk forbids what it is asked for, or does not answer in time.
    pub asterisk_refuses: bool,
    /// Asterisk refuses user or password.
    pub credentials_refused: bool,
    /// `LOCAL_IP_ADDRESS` is no address of this machine.
    pub address_missing: bool,
    /// When a call last failed because its audio could not be connected. `None` if a later call had audio.
    pub sound_failed: Option<DateTime<FixedOffset>>,
    /// When OpenAI last failed a call, if none has been served since.
    pub openai_failed: Option<DateTime<FixedOffset>>,
    /// OpenAI has failed several calls in a row: most callers are handed back at once.
    pub openai_out: bool,
    /// How many calls there may be at once (`MAX_CALLS`).
    pub max_calls: usize,
    /// Whether there is room for another call.
    pub room: Capacity,
    /// The day on which calls have cost what the calls of a day may cost.
    pub day_spent: Option<NaiveDate>,
    /// What today's calls before the start of the daemon have cost is not known and does not count against the limit of the day.
    /// This does not make the daemon not ready.
    pub spent_earlier_unknown: bool,
    /// The number of simultaneous calls is the only limit on what calls may cost. This does not make the daemon not ready.
    pub spending_unlimited: bool,
    /// The configuration that was last read again has faults, so that the one before is still in force. This does not make
    /// the daemon not ready, but a restart would fail.
    pub configuration_refused: bool,
    /// The webhook by which OpenAI offers calls. This does not make the daemon not ready: callers in Asterisk are served.
    pub webhook: Webhook,
    /// Webhooks have been refused since one was right, for their signature or their time. This does not make the daemon not ready.
    pub webhooks_refused: bool,
    /// The webhook has refused requests that could be OpenAI's in the last minutes, because one client sent too many. This does not make
    /// the daemon not ready.
    pub webhook_crowded: bool,
    /// It takes no more calls: it is being stopped.
    pub draining: bool,
    /// Where callers can be sent, by name.
    pub destinations: Arc<[String]>,
}

impl Exchange {
    /// Whether a caller who came now would be served.
    pub fn readiness(&self) -> Readiness {
        let Self { rules, admission, health, .. } = self;
        let names = rules.settings.destinations.iter().map(|destination| &destination.name);
        // Most of the time they are the same, and whoever watches has them already.
        let are_shown = self.shown.destinations.iter().eq(names.clone());
        Readiness {
            asterisk: self.connection.link(),
            asterisk_refuses: health.asterisk_refuses,
            credentials_refused: self.connection.are_credentials_refused(),
            address_missing: health.is_address_missing(),
            sound_failed: health.sound_failed(),
            openai_failed: admission.openai().failed_at(),
            openai_out: admission.openai().is_out(),
            max_calls: rules.max_calls,
            room: self.room(),
            day_spent: admission.day_spent(self.at, rules),
            spent_earlier_unknown: admission.ignores_earlier(rules),
            spending_unlimited: rules.spends_without_limit,
            configuration_refused: health.configuration_refused,
            webhook: self.webhook,
            webhooks_refused: self.refuses_webhooks(),
            webhook_crowded: self.is_crowded(),
            draining: self.shutdown.is_on(),
            destinations: if are_shown {
                Arc::clone(&self.shown.destinations)
            } else {
                names.cloned().collect()
            },
        }
    }

    /// Whether there is room for another call. With as many calls as `MAX_CALLS` permits, only overload counts as the cause
    /// instead, because more calls would not be taken even on a faster processor.
    pub(super) fn room(&self) -> Capacity {
        if self.strain.is_on() {
            Capacity::Overloaded
        } else if self.calls() + self.aftermaths.places() >= self.rules.max_calls {
            Capacity::MaxCalls
        } else if self.strain.is_full() {
            Capacity::Processor
        } else {
            Capacity::Free
        }
    }

    /// How the daemon fares, for `systemctl status`.
    pub fn status(&self) -> Notice {
        let calls = self.calls();
        if let Some(stopping) = self.shutdown.status() {
            return stopping;
        }
        if self.connection.link() == AsteriskLink::Away {
            return Notice::Disconnected { calls };
        }
        match self.room() {
            Capacity::Free => Notice::Serving { calls },
            Capacity::MaxCalls => Notice::Full { calls },
            Capacity::Processor | Capacity::Overloaded => Notice::Strained { calls },
        }
    }
}

//! Whether a caller's sound could be connected: Asterisk does what it is asked for, our address is this machine's, and the
//! last calls had sound.

use std::time::Instant;

use chrono::{DateTime, FixedOffset};

use super::errands::PROBE_EVERY;
use super::rules::Rules;
use super::shutdown::Shutdown;
use crate::end_reason::EndReason;
use crate::operator::{Detail, Notice};

/// Why there is no RTP socket for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoSocket {
    /// Every port is in use, by us or by another program, or rests.
    Exhausted,
    /// No port at all can be bound on our address.
    Unbindable(String),
}

impl NoSocket {
    /// Why the caller goes on.
    pub(super) const fn reason(&self) -> EndReason {
        match self {
            Self::Exhausted => EndReason::NoPort,
            Self::Unbindable(_) => EndReason::LocalAddressMissing,
        }
    }

    /// The operator's line.
    pub(super) fn notice(&self, rules: &Rules) -> Notice {
        match self {
            Self::Exhausted => Notice::NoRtpPort { first: *rules.ports.start(), last: *rules.ports.end() },
            Self::Unbindable(cause) => unbindable(rules, cause),
        }
    }
}

fn unbindable(rules: &Rules, cause: &str) -> Notice {
    Notice::RtpUnbindable { address: rules.local_ip.to_string(), cause: Detail::new(cause) }
}

/// Whether RTP sockets can be bound on our address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Address {
    /// It is tried at this instant, for the first time or again after it was missing.
    TryAt { at: Instant, was_missing: bool },
    /// It is being tried.
    Trying { was_missing: bool },
    /// They can.
    Ours,
}

/// What is known.
#[derive(Debug)]
pub(super) struct Health {
    /// The last request that was to change a channel was forbidden, or not answered in time.
    pub(super) asterisk_refuses: bool,
    /// The configuration that was last read again has faults.
    pub(super) configuration_refused: bool,
    address: Address,
    /// When a call last failed because its audio could not be connected. `None` if a later call had audio.
    sound_failed: Option<DateTime<FixedOffset>>,
}

impl Health {
    pub(super) fn new(now: Instant) -> Self {
        let address = Address::TryAt { at: now, was_missing: false };
        Self { asterisk_refuses: false, configuration_refused: false, address, sound_failed: None }
    }

    pub(super) fn deadline(&self, shutdown: &Shutdown) -> Option<Instant> {
        match self.address {
            Address::TryAt { at, .. } if !shutdown.is_on() => Some(at),
            _ => None,
        }
    }

    /// Whether it is to be tried now whether RTP sockets can be bound.
    pub(super) fn tries_address(&mut self, now: Instant, shutdown: &Shutdown) -> bool {
        match self.address {
            Address::TryAt { at, was_missing } if at <= now && !shutdown.is_on() => {
                self.address = Address::Trying { was_missing };
                true
            }
            _ => false,
        }
    }

    /// Takes the result of the attempt to bind a socket. After a failure the attempt is repeated until it succeeds. Returns a
    /// notice for the first failure.
    pub(super) fn address_tried(
        &mut self,
        now: Instant,
        tried: Result<(), String>,
        rules: &Rules,
    ) -> Option<Notice> {
        let was_missing = self.is_address_missing();
        match tried {
            Ok(()) => {
                self.address = Address::Ours;
                None
            }
            Err(cause) => {
                self.address = Address::TryAt { at: now + PROBE_EVERY, was_missing: true };
                (!was_missing).then(|| unbindable(rules, &cause))
            }
        }
    }

    /// Whether `LOCAL_IP_ADDRESS` is no address of this machine, as far as is known.
    pub(super) fn is_address_missing(&self) -> bool {
        matches!(
            self.address,
            Address::TryAt { was_missing: true, .. } | Address::Trying { was_missing: true }
        )
    }

    /// When a call last failed because its audio could not be connected. `None` if a later call had audio.
    pub(super) fn sound_failed(&self) -> Option<DateTime<FixedOffset>> {
        self.sound_failed
    }

    /// A call is over, in which caller and media channel heard each other (`joined`) or did not.
    pub(super) fn call_ended(&mut self, wall: DateTime<FixedOffset>, reason: EndReason, joined: bool) {
        use EndReason::{AsteriskLost, LocalAddressMissing, MediaLost, NoPort, SetupFailed};
        match reason {
            // The call had sound until Asterisk itself stopped or was restarted.
            AsteriskLost if joined => {}
            AsteriskLost | LocalAddressMissing | MediaLost | NoPort | SetupFailed => {
                self.sound_failed = Some(wall);
            }
            _ if joined => self.sound_failed = None,
            // The call ended before it could show whether sound can be connected.
            _ => {}
        }
    }
}

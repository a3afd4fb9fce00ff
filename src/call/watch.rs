//! The watchdogs behind the limits of a call: what they count, and what they have already said.
//!
//! ```text
//!   Packets:  NotExpected ── joined ──► Awaited ── NO_PACKET ──► Missed (the operator is told)
//!                 └──────────────────────┴── a packet ──────────────┴──► Coming
//!   Silence:  Paused ◄── something is said or expected ── nothing is ──► Counting
//!   Prompt:   Due ── asked whether the caller is there ──► Given ── the caller speaks or presses a key ──► Due
//!   Warning:  Due ──► Given
//! ```
//! What is done about it is decided in `limits`.

use std::time::{Duration, Instant};

use super::Hold;

/// Without a single packet for so long, the operator is told where to look. Shorter speaks of phones that are slow to begin;
/// longer leaves the operator of a blocked network without a hint.
pub(super) const NO_PACKET: Duration = Duration::from_secs(10);

/// The caller's packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Packets {
    /// None has come, and none is expected: caller and media channel are not joined.
    #[default]
    NotExpected,
    /// None has come since then.
    Awaited { since: Instant },
    /// None has come since then, and the operator knows.
    Missed { since: Instant },
    /// Some have come, the last one then.
    Coming { last: Instant },
}

impl Packets {
    /// Counts from this instant on.
    fn restart(&mut self, now: Instant) {
        *self = match *self {
            Self::NotExpected | Self::Awaited { .. } => Self::Awaited { since: now },
            Self::Missed { .. } => Self::Missed { since: now },
            Self::Coming { .. } => Self::Coming { last: now },
        };
    }

    /// For how long none has come.
    fn missing(self, now: Instant) -> Duration {
        match self {
            Self::NotExpected => Duration::ZERO,
            Self::Awaited { since: at } | Self::Missed { since: at } | Self::Coming { last: at } => now - at,
        }
    }
}

/// For how long nobody has spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Silence {
    /// Silence has lasted this long, and does not count at present.
    Paused(Duration),
    /// Silence had lasted for `before`, and has continued since `since`.
    Counting { before: Duration, since: Instant },
}

impl Silence {
    fn lasted(self, now: Instant) -> Duration {
        match self {
            Self::Paused(lasted) => lasted,
            Self::Counting { before, since } => before + (now - since),
        }
    }
}

/// Whether silence counts at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counts {
    /// Nobody speaks, and nothing is expected of the model.
    Now,
    /// Somebody speaks or is about to.
    NotNow,
}

/// What is done about a silence that has lasted long enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The caller is asked whether they are there.
    Ask,
    /// They have been asked: the call ends.
    End,
}

/// The question whether the caller is there, or a warning to the model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Said {
    /// It has not been said.
    #[default]
    Due,
    /// It has.
    Given,
}

impl Said {
    /// Marks the question or the warning as said. Returns whether this is the first time.
    fn give(&mut self) -> bool {
        std::mem::replace(self, Self::Given) == Self::Due
    }
}

/// How far a call is from its limits.
#[derive(Debug)]
pub(super) struct Watch {
    hold: Hold,
    packets: Packets,
    silence: Silence,
    prompt: Said,
    /// When the caller last spoke, as far as we have seen.
    spoke_at: Option<Instant>,
    end_warning: Said,
    cost_warning: Said,
    tokens: u64,
}

impl Watch {
    /// The watchdogs of a call that begins.
    pub(super) fn new() -> Self {
        Self {
            hold: Hold::Off,
            packets: Packets::NotExpected,
            silence: Silence::Paused(Duration::ZERO),
            prompt: Said::Due,
            spoke_at: None,
            end_warning: Said::Due,
            cost_warning: Said::Due,
            tokens: 0,
        }
    }

    /// A packet of the caller has come.
    pub(super) fn packet(&mut self, now: Instant) {
        self.packets = Packets::Coming { last: now };
    }

    /// Whether the caller holds the call.
    pub(super) fn is_held(&self) -> bool {
        self.hold == Hold::On
    }

    /// The caller holds the call, or takes it back.
    pub(super) fn hold(&mut self, now: Instant, hold: Hold) {
        self.hold = hold;
        self.packets.restart(now);
    }

    /// For how long no packet has come though packets are expected.
    pub(super) fn without_packets(&mut self, now: Instant) -> Duration {
        if self.packets == Packets::NotExpected {
            self.packets.restart(now);
        }
        if self.is_held() { Duration::ZERO } else { self.packets.missing(now) }
    }

    /// Whether the operator is to be told now that no packet has ever come.
    pub(super) fn first_packet_is_missed(&mut self, now: Instant) -> bool {
        let Packets::Awaited { since } = self.packets else { return false };
        let is_missed = self.without_packets(now) >= NO_PACKET;
        if is_missed {
            self.packets = Packets::Missed { since };
        }
        is_missed
    }

    /// Whether a packet has ever come.
    pub(super) fn has_packets(&self) -> bool {
        matches!(self.packets, Packets::Coming { .. })
    }

    /// The caller has given a sign of life.
    pub(super) fn stir(&mut self) {
        self.silence = Silence::Paused(Duration::ZERO);
        self.prompt = Said::Due;
    }

    /// Counts on, and says what is to be done about a silence that has lasted for `most`. `spoke_at`: when our ear heard the
    /// caller last.
    pub(super) fn silence(
        &mut self,
        now: Instant,
        spoke_at: Option<Instant>,
        counts: Counts,
        most: Duration,
    ) -> Option<Remedy> {
        if self.spoke_at != spoke_at {
            self.spoke_at = spoke_at;
            self.stir();
        }
        let counts = if self.is_held() { Counts::NotNow } else { counts };
        self.silence = match (self.silence, counts) {
            (Silence::Paused(before), Counts::Now) => Silence::Counting { before, since: now },
            (Silence::Counting { .. }, Counts::NotNow) => Silence::Paused(self.silence.lasted(now)),
            (as_before, _) => as_before,
        };
        if self.silence.lasted(now) < most {
            return None;
        }
        if self.prompt == Said::Given {
            return Some(Remedy::End);
        }
        self.stir();
        self.prompt = Said::Given;
        Some(Remedy::Ask)
    }

    /// Whether the model is to be warned now that the time of the call is nearly over.
    pub(super) fn warn_of_end(&mut self) -> bool {
        self.end_warning.give()
    }

    /// Whether the model is to be warned now that the call has nearly cost what it may.
    pub(super) fn warn_of_cost(&mut self) -> bool {
        self.cost_warning.give()
    }

    /// So many more tokens have been used; how many in all.
    pub(super) fn used(&mut self, tokens: u64) -> u64 {
        self.tokens = self.tokens.saturating_add(tokens);
        self.tokens
    }
}

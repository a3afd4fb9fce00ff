//! The one home of what is ambient: the clock and chance. Everything else gets them as arguments.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Instant;

use chrono::{DateTime, FixedOffset, Local};

/// Now, on the runtime's clock (which a test may pause).
#[expect(clippy::disallowed_methods, reason = "the one place that asks the clock")]
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The time of day, in the machine's time zone: for what people read, never for how long something takes.
#[expect(clippy::disallowed_methods, reason = "the one place that asks for the wall's time")]
pub fn wall() -> DateTime<FixedOffset> {
    Local::now().fixed_offset()
}

/// A number nobody can foresee well: for RTP identifiers and back-off, not for secrets.
pub fn chance() -> u64 {
    // The standard library seeds its hash maps from the system's randomness.
    RandomState::new().build_hasher().finish()
}

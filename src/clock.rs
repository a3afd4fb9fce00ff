//! The only module that reads the clock of the machine and its source of random numbers. All other modules get
//! times and random numbers as arguments.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::Path;
use std::time::Instant;

use chrono::{DateTime, FixedOffset, Local};
use ring::rand::{SecureRandom as _, SystemRandom};

/// Whether the machine's clock can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// A time server has set the clock.
    Synchronised,
    /// No time server has set the clock since the machine started.
    Unsynchronised,
    /// The machine does not say.
    Unknown,
}

/// 128 bits that nobody can guess; None: the machine has none to give.
pub fn unpredictable() -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).ok().map(|()| bytes)
}

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

/// The name of the machine's time zone, for example `America/Bogota`, or its offset if it has no name.
#[expect(clippy::disallowed_methods, reason = "TZ is a variable of the C library, not of the daemon")]
pub fn zone(now: DateTime<FixedOffset>) -> String {
    let of_variable = std::env::var("TZ").ok().map(|name| name.trim_start_matches(':').to_owned());
    let of_file = || {
        let link = std::fs::read_link("/etc/localtime").ok()?;
        let (_, name) = link.to_str()?.split_once("zoneinfo/")?;
        Some(name.to_owned())
    };
    let name = of_variable.filter(|name| name.contains('/')).or_else(of_file);
    name.unwrap_or_else(|| now.offset().to_string())
}

/// Whether a time server has set the machine's clock: what the kernel says of it, whichever program sets it, in a container
/// too. Where the kernel may not be asked, systemd's own client leaves a file.
pub fn standing() -> Clock {
    match kernel_clock() {
        Some(status) if status & libc::STA_UNSYNC == 0 => Clock::Synchronised,
        Some(_) => Clock::Unsynchronised,
        None if Path::new("/run/systemd/timesync/synchronized").exists() => Clock::Synchronised,
        None => Clock::Unknown,
    }
}

/// The status bits of the kernel's clock, `adjtimex(2)`; `None` if it does not answer.
///
/// The standard library and `rustix` have no call for it. The structure holds integers only, so that zeros are a valid value;
/// without `modes` the kernel changes nothing and needs no privilege; it writes into the structure, whose address is good for
/// as long as the call lasts, and keeps none of it.
#[expect(unsafe_code, reason = "there is no safe call for it; argued above")]
fn kernel_clock() -> Option<i32> {
    let mut clock: libc::timex = unsafe { std::mem::zeroed() };
    let state = unsafe { libc::adjtimex(&raw mut clock) };
    (state >= 0).then_some(clock.status)
}

/// A random number that is hard to predict: for RTP identifiers and back-off, not for secrets.
pub fn chance() -> u64 {
    // The standard library seeds its hash maps from the system's randomness.
    RandomState::new().build_hasher().finish()
}

//! Quantities that must not be mixed up where one module hands them to another: money, lengths of time in whole
//! milliseconds, and sizes.
//!
//! Each is a whole number of its unit, and is written into files and answers as that number. Sums and differences never
//! overflow: what servers and files tell may have any value.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The characters of a token, in tenths: an average over Spanish and English text. A larger value would promise room that is
/// not there, a smaller one would worry without reason.
const TENTHS_PER_TOKEN: usize = 35;

/// About how many tokens a text of so many characters takes.
#[must_use]
pub const fn estimated_tokens(characters: usize) -> usize {
    characters.saturating_mul(10).div_ceil(TENTHS_PER_TOKEN)
}

/// An amount of money, in millionths of a US dollar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MicroUsd(u64);

impl MicroUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount, with which sums end that would be larger.
    pub const MAX: Self = Self(u64::MAX);

    /// An amount of so many millionths of a US dollar.
    #[must_use]
    pub const fn new(micro: u64) -> Self {
        Self(micro)
    }

    /// The amount that is nearest to so many US dollars. A negative amount or NaN becomes zero.
    #[must_use]
    pub fn from_usd(usd: f64) -> Self {
        Self((usd * 1e6).round() as u64)
    }

    /// The amount in millionths of a US dollar.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The amount in US dollars.
    #[must_use]
    pub fn usd(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// The sum, at most [`Self::MAX`].
    #[must_use]
    pub const fn saturating_add(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }

    /// The difference, at least [`Self::ZERO`].
    #[must_use]
    pub const fn saturating_sub(self, less: Self) -> Self {
        Self(self.0.saturating_sub(less.0))
    }
}

/// What something costs, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The amount. `None` if it is unknown.
    pub amount: Option<MicroUsd>,
    /// Whether a part of the amount was guessed.
    pub estimated: bool,
}

/// A length of time in whole milliseconds, as files, databases and answers hold it. What is measured or waited for in the
/// program is a [`Duration`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Milliseconds(u64);

impl Milliseconds {
    /// No time.
    pub const ZERO: Self = Self(0);

    /// So many milliseconds.
    #[must_use]
    pub const fn new(ms: u64) -> Self {
        Self(ms)
    }

    /// The number of milliseconds.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The length in seconds.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e3
    }

    /// The sum, at most what fits.
    #[must_use]
    pub const fn saturating_add(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }
}

impl From<Duration> for Milliseconds {
    /// Rounds down.
    fn from(length: Duration) -> Self {
        Self(length.as_millis().try_into().unwrap_or(u64::MAX))
    }
}

/// A number of bytes: the size of files, of memory or of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteCount(u64);

impl ByteCount {
    /// No bytes.
    pub const ZERO: Self = Self(0);

    /// So many bytes.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sum, at most what fits.
    #[must_use]
    pub const fn saturating_add(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_written_as_a_number_and_never_overflows() {
        let cent = MicroUsd::from_usd(0.01);
        assert_eq!(
            (cent, cent.usd(), MicroUsd::from_usd(-1.0)),
            (MicroUsd::new(10_000), 0.01, MicroUsd::ZERO)
        );
        assert_eq!(
            (MicroUsd::MAX.saturating_add(cent), cent.saturating_sub(MicroUsd::MAX)),
            (MicroUsd::MAX, MicroUsd::ZERO)
        );
        assert_eq!(serde_json::to_string(&cent).unwrap(), "10000");
        assert_eq!(serde_json::from_str::<MicroUsd>("10000").unwrap(), cent);
    }

    #[test]
    fn a_size_is_written_as_a_number_and_never_overflows() {
        let most = ByteCount::new(u64::MAX);
        assert_eq!(most.saturating_add(ByteCount::new(1)), most);
        assert_eq!(serde_json::to_string(&ByteCount::new(5)).unwrap(), "5");
    }

    #[test]
    fn time_is_written_as_a_number_and_never_overflows() {
        let length = Milliseconds::from(Duration::from_micros(1_500_999));
        assert_eq!((length, length.seconds()), (Milliseconds::new(1_500), 1.5));
        let most = Milliseconds::from(Duration::MAX);
        assert_eq!((most.get(), most.saturating_add(length)), (u64::MAX, most));
        assert_eq!(serde_json::to_string(&length).unwrap(), "1500");
        assert_eq!(serde_json::from_str::<Milliseconds>("1500").unwrap(), length);
    }
}

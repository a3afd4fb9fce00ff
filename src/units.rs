//! Quantities that must not be mixed up where one module hands them to another: money, for the time being.
//!
//! Each is a whole number of its unit, and is written into files and answers as that number. Sums and differences never
//! overflow: what servers and files tell may have any value.

use serde::{Deserialize, Serialize};

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
}

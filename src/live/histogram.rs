//! Histograms of durations.

use std::time::Duration;

/// The upper bounds of a [`Histogram`] in milliseconds. The smallest covers the daemon's own share, one frame; the
/// largest covers a caller who has given up.
pub const BOUNDS: [u64; 15] =
    [10, 20, 50, 100, 200, 300, 400, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000];

/// A histogram of durations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// For each of [`BOUNDS`], the number of durations up to this bound and above the previous one.
    pub within: [u64; BOUNDS.len()],
    /// The number of durations, including those above the last bound.
    pub count: u64,
    /// The sum of all durations.
    pub sum: Duration,
}

impl Histogram {
    /// Adds a duration.
    pub(super) fn add(&mut self, took: Duration) {
        let place = BOUNDS.iter().position(|bound| took <= Duration::from_millis(*bound));
        if let Some(place) = place {
            self.within[place] += 1;
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_in_the_first_bucket_that_holds_it() {
        let mut histogram = Histogram::default();
        for ms in [0, 10, 11, 10_000, 10_001] {
            histogram.add(Duration::from_millis(ms));
        }
        let filled: Vec<_> = (0..BOUNDS.len()).filter(|place| histogram.within[*place] > 0).collect();
        assert_eq!((filled.as_slice(), histogram.within[0]), ([0, 1, 14].as_slice(), 2));
        assert_eq!((histogram.count, histogram.sum), (5, Duration::from_millis(20_022)));
        assert!(BOUNDS.is_sorted());
    }
}

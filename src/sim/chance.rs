//! Reproducible random numbers for the fakes: xorshift64* with a seed. Not for secrets.

/// A stream of random numbers that is the same for the same seed.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    /// Creates a stream. Any seed is valid, 0 too.
    pub(super) fn new(seed: u64) -> Self {
        // One round of splitmix64 makes the streams of the seeds 1, 2, 3 … start differently and the state
        // non-zero.
        let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((z ^ (z >> 31)) | 1)
    }

    /// The next number.
    pub(super) fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number that is evenly distributed between 0 (included) and 1 (not included).
    pub(super) fn fraction(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with this probability. A number is drawn even for 0 and 1, so that a change of one rate does not
    /// change the rest.
    pub(super) fn happens(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }
}

//! The loudness of a voice for a level meter: the root mean square of the samples since the last reading.

use super::frame::Frame;
use super::ulaw;

/// One of this many samples is measured. A larger value costs less per frame and measures less precisely; a
/// smaller value does the opposite.
const EVERY: usize = 4;
/// The level below which the meter reports silence. The noise of a quiet telephone line is at about -65 dBFS.
/// With a larger value soft voices count as silence; with a smaller value line noise counts as sound.
const SILENCE_DBFS: f32 = -60.0;

/// The measured samples since the last reading.
#[derive(Debug, Clone, Copy, Default)]
pub struct Level {
    squares: u64,
    samples: u32,
}

impl Level {
    /// Adds the samples of one frame.
    pub fn add(&mut self, frame: &Frame) {
        let square = |byte: &u8| u64::from(i32::from(ulaw::decode(*byte)).unsigned_abs().pow(2));
        let squares: u64 = frame.0.iter().step_by(EVERY).map(square).sum();
        self.squares = self.squares.saturating_add(squares);
        self.samples = self.samples.saturating_add((frame.0.len() / EVERY) as u32);
    }

    /// The level since the last call of this function, in decibels below full scale (-60 to 0), and starts
    /// anew. None: there was silence, or no frame was added.
    pub fn take(&mut self) -> Option<f32> {
        let Self { squares, samples } = std::mem::take(self);
        let mean = squares as f32 / samples.max(1) as f32;
        let dbfs = 10.0 * (mean / f32::from(i16::MAX).powi(2)).log10();
        (dbfs >= SILENCE_DBFS).then_some(dbfs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_as_loud_as_it_is_and_silence_is_none() {
        let mut level = Level::default();
        assert_eq!(level.take(), None);
        level.add(&Frame::SILENCE);
        assert_eq!(level.take(), None);
        // The codes 0xAF and 0x2F are the samples 4092 and -4092: 18.1 dB below the largest.
        let square = std::array::from_fn(|at| if at % 8 < 4 { 0xAF } else { 0x2F });
        level.add(&Frame(square));
        level.add(&Frame(square));
        let dbfs = level.take().expect("a tone");
        assert!((dbfs + 18.1).abs() < 0.1, "{dbfs}");
        assert_eq!(level.take(), None, "it begins anew");
    }
}

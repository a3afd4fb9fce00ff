//! Audio in which every frame carries its number, so that the frames that arrive can be counted and timed.

use std::sync::Arc;

use crate::media::FRAME_BYTES;
use crate::sim::realtime::pattern;

/// The first bytes of a marked frame. As audio they are loud, like the rest of the frame.
const MAGIC: [u8; 8] = *b"\x12\x93\x34\xB5\x16\x97\x38\xB9";
/// The length of the mark in bytes: these bytes, the number of the speaker and the number of the frame.
const MARK_BYTES: usize = MAGIC.len() + 8;

/// The mark of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// The number of the speaker.
    pub(super) speaker: u32,
    /// The number of the frame, counted for each speaker.
    pub(super) frame: u32,
}

impl Mark {
    /// Reads the mark of a frame. None: the audio does not start with a mark.
    pub(super) fn read(sound: &[u8]) -> Option<Self> {
        let (magic, rest) = sound.split_first_chunk()?;
        let (speaker, rest) = rest.split_first_chunk()?;
        let (frame, _) = rest.split_first_chunk()?;
        (*magic == MAGIC)
            .then(|| Self { speaker: u32::from_be_bytes(*speaker), frame: u32::from_be_bytes(*frame) })
    }

    fn write(self) -> [u8; MARK_BYTES] {
        let mut mark = [0; MARK_BYTES];
        mark[..8].copy_from_slice(&MAGIC);
        mark[8..12].copy_from_slice(&self.speaker.to_be_bytes());
        mark[12..].copy_from_slice(&self.frame.to_be_bytes());
        mark
    }
}

/// Loud audio of `frames` marked frames, of which the first has the number `first`.
pub(super) fn marked(speaker: u32, first: u32, frames: u32) -> Arc<[u8]> {
    let mut sound = pattern(u64::from(frames) * 20, 3).to_vec();
    for (frame, sound) in (first..).zip(sound.chunks_exact_mut(FRAME_BYTES)) {
        sound[..MARK_BYTES].copy_from_slice(&Mark { speaker, frame }.write());
    }
    sound.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_frame_says_which_it_is() {
        let sound = marked(700, 40, 3);
        let marks: Vec<_> = sound.chunks(FRAME_BYTES).map(Mark::read).collect();
        let frame = |frame| Some(Mark { speaker: 700, frame });
        assert_eq!(marks, [frame(40), frame(41), frame(42)]);
        assert_eq!(Mark::read(&[0xFF; FRAME_BYTES]), None);
        assert_eq!(Mark::read(&MAGIC), None);
    }
}

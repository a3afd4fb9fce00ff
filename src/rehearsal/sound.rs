//! The caller of a replay: the sound of a recording, as packets at the pace of a telephone.

use std::net::SocketAddr;
use std::time::Instant;

use crate::media::rtp::{PACKET_BYTES, Stream};
use crate::media::{FRAME_BYTES, FRAME_DURATION, Frame, SILENCE_BYTE};

/// The address that Asterisk's part in a rehearsal names.
const FROM: ([u8; 4], u16) = ([127, 0, 0, 1], 40_000);

/// The sound of a caller.
pub(super) struct Sound {
    frames: std::vec::IntoIter<Frame>,
    stream: Stream,
    due: Option<Instant>,
}

impl Sound {
    /// This sound, µ-law of 8 kHz, from this instant on.
    pub(super) fn new(ulaw: &[u8], begin: Instant) -> Self {
        let frame = |bytes: &[u8]| {
            let mut frame = [SILENCE_BYTE; FRAME_BYTES];
            frame[..bytes.len()].copy_from_slice(bytes);
            Frame(frame)
        };
        let frames: Vec<_> = ulaw.chunks(FRAME_BYTES).map(frame).collect();
        let due = (!frames.is_empty()).then_some(begin);
        Self { frames: frames.into_iter(), stream: Stream::new(7, 1, 0), due }
    }

    /// When the next packet is due. `None`: all has been played.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The next packet, if it is due by now, and whence it comes.
    pub(super) fn next(&mut self, now: Instant) -> Option<(SocketAddr, [u8; PACKET_BYTES])> {
        let due = self.due.filter(|due| *due <= now)?;
        let frame = self.frames.next()?;
        self.due = (self.frames.len() > 0).then(|| due + FRAME_DURATION);
        Some((FROM.into(), self.stream.packet(&frame)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::rtp::Packet;

    #[test]
    fn the_sound_is_played_once_at_its_pace() {
        let begin = crate::clock::now();
        let mut sound = Sound::new(&[5; FRAME_BYTES + 1], begin);
        let (_, packet) = sound.next(begin).expect("the first frame is due");
        assert_eq!(Packet::parse(&packet).expect("RTP").payload, [5; FRAME_BYTES]);
        assert_eq!(sound.next(begin), None, "the second is not");
        assert_eq!(sound.due(), Some(begin + FRAME_DURATION));
        let (_, packet) = sound.next(begin + FRAME_DURATION).expect("the second frame");
        assert_eq!(Packet::parse(&packet).expect("RTP").payload[..2], [5, SILENCE_BYTE]);
        assert_eq!((sound.due(), Sound::new(&[], begin).due()), (None, None));
    }
}

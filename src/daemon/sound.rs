//! Fetches the sound of a call from Asterisk, which has recorded what the caller said and what they heard in a file each, and joins
//! both, sample by sample, into pieces of our recording.

use std::time::Duration;

use bytes::{Buf as _, Bytes};

use crate::ari::sound_name::SoundName;
use crate::call::Sounds;
use crate::call::record::Entry;
use crate::media::{BYTES_PER_MS, SILENCE_BYTE};
use crate::net::ari_rest::{AriRest, StoredRecording};

/// The samples of a piece: one second. A larger piece takes more of the memory in which a call may wait for the disk; a smaller one
/// costs more wake-ups.
const PIECE: usize = 1_000 * BYTES_PER_MS;
/// The longest sound that is fetched: OpenAI ends a call after an hour. A larger value would let Asterisk fill the disk.
const LONGEST: u64 = 2 * 3_600_000 * BYTES_PER_MS as u64;

/// What the fetching has brought.
#[derive(Debug)]
pub(super) enum Brought {
    /// The next piece: both voices for the stereo sound, and what the caller heard alone.
    Piece(Box<[Entry; 2]>),
    /// All of it has come.
    End,
}

/// A fetching under way.
pub(super) struct Fetching {
    said: Voice,
    heard: Voice,
    samples: u64,
}

/// One voice.
struct Voice {
    /// Silence before the first sample.
    lead: usize,
    bytes: Bytes,
    /// What is still to come. None: nothing.
    rest: Option<StoredRecording>,
}

impl Fetching {
    /// Asks Asterisk for the recordings.
    ///
    /// # Errors
    /// Asterisk does not give one of them.
    pub(super) async fn begin(ari: &AriRest, sounds: Sounds) -> Result<Self, String> {
        let Sounds { said, heard } = sounds;
        let (said, heard) = tokio::try_join!(Voice::begin(ari, said), Voice::begin(ari, heard))?;
        Ok(Self { said, heard, samples: 0 })
    }

    /// Waits for the next piece. A wait that is given up loses nothing.
    ///
    /// # Errors
    /// Asterisk does not send the rest, or more than a call can have.
    pub(super) async fn next(&mut self) -> Result<Brought, String> {
        self.said.fill().await?;
        self.heard.fill().await?;
        let length = self.said.available().max(self.heard.available()).min(PIECE);
        self.samples += length as u64;
        if length == 0 {
            return Ok(Brought::End);
        }
        if self.samples > LONGEST {
            return Err("it is longer than a call can be".to_owned());
        }
        let (said, heard) = (self.said.take(length), self.heard.take(length));
        let stereo: Vec<u8> = said.iter().zip(&heard).flat_map(|(left, right)| [*left, *right]).collect();
        Ok(Brought::Piece(Box::new([Entry::Sound(stereo.into()), Entry::Delta(heard.into())])))
    }
}

impl Voice {
    async fn begin(ari: &AriRest, recording: Option<(SoundName, Duration)>) -> Result<Self, String> {
        let Some((name, lead)) = recording else {
            return Ok(Self { lead: 0, bytes: Bytes::new(), rest: None });
        };
        let rest = Some(ari.stored_recording(&name).await?);
        Ok(Self { lead: samples(lead), bytes: Bytes::new(), rest })
    }

    /// Waits until a piece is there, or the end.
    async fn fill(&mut self) -> Result<(), String> {
        while self.available() < PIECE
            && let Some(rest) = &mut self.rest
        {
            match rest.next().await? {
                Some(more) if self.bytes.is_empty() => self.bytes = more,
                Some(more) => self.bytes = [&self.bytes[..], &more].concat().into(),
                None => self.rest = None,
            }
        }
        Ok(())
    }

    fn available(&self) -> usize {
        self.lead + self.bytes.len()
    }

    /// The next samples, and silence where there are no more.
    fn take(&mut self, length: usize) -> Vec<u8> {
        let lead = self.lead.min(length);
        let bytes = self.bytes.len().min(length - lead);
        let mut taken = vec![SILENCE_BYTE; length];
        taken[lead..lead + bytes].copy_from_slice(&self.bytes[..bytes]);
        self.lead -= lead;
        self.bytes.advance(bytes);
        taken
    }
}

/// So many samples last so long.
fn samples(time: Duration) -> usize {
    usize::try_from(time.as_micros() * BYTES_PER_MS as u128 / 1_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(lead: usize, bytes: &'static [u8]) -> Voice {
        Voice { lead, bytes: Bytes::from_static(bytes), rest: None }
    }

    #[tokio::test]
    async fn both_voices_are_joined_at_their_place_and_the_shorter_one_is_silent_at_its_end() {
        let mut fetching = Fetching { said: voice(0, &[1, 2, 3]), heard: voice(2, &[7, 8]), samples: 0 };
        let Ok(Brought::Piece(piece)) = fetching.next().await else { panic!("a piece") };
        let [sound, heard] = *piece;
        let silence = SILENCE_BYTE;
        assert_eq!(sound, Entry::Sound([1, silence, 2, silence, 3, 7, silence, 8].into()));
        assert_eq!(heard, Entry::Delta([silence, silence, 7, 8].into()));
        assert!(matches!(fetching.next().await, Ok(Brought::End)));
    }

    #[tokio::test]
    async fn a_sound_that_does_not_end_is_refused() {
        let mut fetching = Fetching { said: voice(0, &[1]), heard: voice(0, &[]), samples: LONGEST };
        assert!(fetching.next().await.is_err());
    }

    #[test]
    fn a_millisecond_has_eight_samples() {
        assert_eq!(samples(Duration::from_millis(3)), 24);
    }
}

//! Serves the audio of a recording: a WAV file of one voice or both, or the assistant's audio as received. It reads
//! and seeks like a plain file, no matter how the audio is stored.
//!
//! The WAV header is made here, from the amount of audio that exists. A running recording and one that was encrypted
//! during the call therefore get correct headers too. Nothing is converted: one voice is every other byte of the
//! stereo audio.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::time::SystemTime;

use super::age;
use super::error::LibraryError;
use super::seal::{self, Identity};
use crate::media::wav::{self, HEADER_BYTES};

/// One of the two voices, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Side {
    /// The caller's voice, mono.
    Caller,
    /// The assistant's voice as the caller heard it, mono.
    Assistant,
    /// Both voices, stereo: the caller on the left channel and the assistant on the right.
    #[default]
    Both,
}

/// The number of stereo bytes that are read at a time to extract one voice. A larger value uses more memory for each
/// reader; a smaller one makes more system calls.
const PIECE_BYTES: usize = 16 * 1024;

/// The audio of a recording. It reads and seeks like a plain file. It does not change while it is read, even if the
/// call is running.
pub struct Audio {
    store: Store,
    view: View,
    len: u64,
    modified: SystemTime,
    at: u64,
}

impl Audio {
    /// Opens a stored WAV file as a WAV file of one voice or both.
    pub(super) fn wav(file: File, identity: Option<&Identity>, side: Side) -> Result<Self, LibraryError> {
        let modified = file.metadata()?.modified()?;
        let (store, stored) = Store::open(file, identity)?;
        // Whole pairs of samples give each voice an even length, so that its WAV data chunk needs no padding.
        let sound = stored.saturating_sub(HEADER_BYTES as u64) / 4 * 4;
        let (channels, of_one) = match side {
            Side::Both => (2, sound),
            Side::Caller | Side::Assistant => (1, sound / 2),
        };
        let view = View::Wav { header: Box::new(wav::header(channels, Some(of_one))), side };
        Ok(Self { store, view, len: HEADER_BYTES as u64 + of_one, modified, at: 0 })
    }

    /// Opens a stored file without changing its content.
    pub(super) fn raw(file: File, identity: Option<&Identity>) -> Result<Self, LibraryError> {
        let modified = file.metadata()?.modified()?;
        let (store, len) = Store::open(file, identity)?;
        Ok(Self { store, view: View::Raw, len, modified, at: 0 })
    }

    /// The length in bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether the length is 0.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// When the file was last written.
    #[must_use]
    pub const fn modified(&self) -> SystemTime {
        self.modified
    }

    /// Reads every other byte of the stereo audio after the header, starting at this sample.
    fn read_voice(&mut self, sample: u64, right: usize, buffer: &mut [u8]) -> io::Result<usize> {
        let mut stereo = [0; PIECE_BYTES];
        let samples = buffer.len().min(PIECE_BYTES / 2);
        self.store.read_exact_at(HEADER_BYTES as u64 + 2 * sample, &mut stereo[..2 * samples])?;
        for (byte, pair) in buffer.iter_mut().zip(stereo[..2 * samples].chunks_exact(2)) {
            *byte = pair[right];
        }
        Ok(samples)
    }
}

impl Read for Audio {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(self.len.saturating_sub(self.at).try_into().unwrap_or(usize::MAX));
        let buffer = &mut buffer[..wanted];
        if buffer.is_empty() {
            return Ok(0);
        }
        let behind_header = self.at.checked_sub(HEADER_BYTES as u64);
        let read = match (&self.view, behind_header) {
            (View::Wav { header, .. }, None) => {
                let rest = &header[self.at as usize..];
                let length = rest.len().min(buffer.len());
                buffer[..length].copy_from_slice(&rest[..length]);
                length
            }
            (View::Wav { side: Side::Caller, .. }, Some(sample)) => self.read_voice(sample, 0, buffer)?,
            (View::Wav { side: Side::Assistant, .. }, Some(sample)) => self.read_voice(sample, 1, buffer)?,
            (View::Wav { side: Side::Both, .. }, Some(_)) | (View::Raw, _) => {
                self.store.seek_to(self.at)?;
                self.store.read(buffer)?
            }
        };
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Audio {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

impl std::fmt::Debug for Audio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audio").field("len", &self.len).field("at", &self.at).finish_non_exhaustive()
    }
}

enum View {
    Wav { header: Box<[u8; HEADER_BYTES]>, side: Side },
    Raw,
}

/// A file, plain or encrypted.
enum Store {
    Plain { file: File, at: u64 },
    Sealed { reader: Box<age::Reader<BufReader<File>>>, at: u64 },
}

impl Store {
    /// Opens the file and returns it with the length of its plain content. The file is encrypted if there is an
    /// identity.
    fn open(file: File, identity: Option<&Identity>) -> Result<(Self, u64), LibraryError> {
        let Some(identity) = identity else {
            let length = file.metadata()?.len();
            return Ok((Self::Plain { file, at: 0 }, length));
        };
        let mut reader = Box::new(seal::open(identity, BufReader::new(file))?);
        let length =
            reader.seek(SeekFrom::End(0)).map_err(|error| LibraryError::Damaged(error.to_string()))?;
        Ok((Self::Sealed { reader, at: length }, length))
    }

    /// Sets the position of the next read. Free of charge if the position is already right.
    fn seek_to(&mut self, to: u64) -> io::Result<()> {
        match self {
            Self::Plain { file, at } if *at != to => *at = file.seek(SeekFrom::Start(to))?,
            Self::Sealed { reader, at } if *at != to => *at = reader.seek(SeekFrom::Start(to))?,
            Self::Plain { .. } | Self::Sealed { .. } => {}
        }
        Ok(())
    }

    fn read_exact_at(&mut self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.seek_to(at)?;
        self.read_exact(buffer)
    }
}

impl Read for Store {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (read, at) = match self {
            Self::Plain { file, at } => (file.read(buffer)?, at),
            Self::Sealed { reader, at } => (reader.read(buffer)?, at),
        };
        *at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;

    /// Makes a stored WAV file with a streaming header and this many stereo samples, plain or encrypted.
    fn stored(samples: usize, identity: Option<&Identity>) -> (File, Vec<u8>) {
        let sound: Vec<u8> = (0..2 * samples).map(|at| (at * 7 / 3) as u8).collect();
        let mut bytes = wav::header(2, None).to_vec();
        bytes.extend_from_slice(&sound);
        if let Some(identity) = identity {
            bytes = seal::seal(&identity.recipients().collect::<Vec<_>>(), &bytes).unwrap();
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        file.rewind().unwrap();
        (file, sound)
    }

    fn expected(sound: &[u8], side: Side) -> Vec<u8> {
        let (channels, bytes): (u16, Vec<u8>) = match side {
            Side::Both => (2, sound.to_vec()),
            Side::Caller => (1, sound.iter().step_by(2).copied().collect()),
            Side::Assistant => (1, sound.iter().skip(1).step_by(2).copied().collect()),
        };
        let mut file = wav::header(channels, Some(bytes.len() as u64)).to_vec();
        file.extend(bytes);
        file
    }

    #[test]
    fn each_side_is_a_wav_of_its_own_with_the_right_sizes() {
        let key = Identity::ephemeral().unwrap();
        for identity in [None, Some(&key)] {
            for side in [Side::Caller, Side::Assistant, Side::Both] {
                let (file, sound) = stored(100_000, identity);
                let mut audio = Audio::wav(file, identity, side).unwrap();
                let mut read = Vec::new();
                audio.read_to_end(&mut read).unwrap();
                assert_eq!(read.len() as u64, audio.len());
                assert!(read == expected(&sound, side), "{side:?} {}", identity.is_some());
            }
        }
    }

    #[test]
    fn a_file_torn_in_the_middle_of_a_sample_loses_only_that() {
        let (mut file, sound) = stored(160, None);
        file.set_len(58 + 319).unwrap();
        file.rewind().unwrap();
        let mut read = Vec::new();
        Audio::wav(file, None, Side::Both).unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, expected(&sound[..316], Side::Both));
        let empty = Audio::wav(tempfile::tempfile().unwrap(), None, Side::Both).unwrap();
        assert_eq!(empty.len(), 58);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_range_is_what_the_whole_has_there(
            sealed: bool, side in 0..3usize, places in prop::collection::vec((0..300_000u64, 1..40_000usize), 1..8),
        ) {
            let key = Identity::ephemeral().unwrap();
            let identity = sealed.then_some(&key);
            let side = [Side::Caller, Side::Assistant, Side::Both][side];
            let (file, sound) = stored(100_000, identity);
            let whole = expected(&sound, side);
            let mut audio = Audio::wav(file, identity, side).unwrap();
            for (from, length) in places {
                prop_assert_eq!(audio.seek(SeekFrom::Start(from)).unwrap(), from);
                let mut read = Vec::new();
                (&mut audio).take(length as u64).read_to_end(&mut read).unwrap();
                let from = whole.len().min(from as usize);
                let until = whole.len().min(from + length);
                prop_assert!(read == whole[from..until]);
            }
        }
    }
}

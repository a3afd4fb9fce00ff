//! The payload of an age file: chunks of 64 KiB, each encrypted with its number, the last one marked as such.
//!
//! Therefore nobody can change, omit or reorder chunks unnoticed. A truncated file is detected because its last chunk
//! lacks the mark.

use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};

use ring::aead::LessSafeKey;

use super::{TAG_BYTES, decrypt, encrypt};

/// The size of a chunk, in bytes, before and after encryption.
const CHUNK_BYTES: usize = 64 * 1_024;
const SEALED_BYTES: usize = CHUNK_BYTES + TAG_BYTES;

/// Whether a chunk is the last one of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChunkKind {
    Within,
    Last,
}

/// The nonce of a chunk: its number in big-endian order, and the mark of the last chunk.
fn nonce(number: u64, place: ChunkKind) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = u8::from(place == ChunkKind::Last);
    nonce
}

/// Encrypts the data that is written to it.
pub(in crate::recordings) struct Writer<W> {
    to: W,
    key: LessSafeKey,
    /// The number of the chunk that is being filled.
    number: u64,
    chunk: Vec<u8>,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(to: W, key: LessSafeKey) -> Self {
        Self { to, key, number: 0, chunk: Vec::new() }
    }

    /// Ends the file and returns the underlying writer.
    ///
    /// # Errors
    /// The underlying writer fails.
    pub(in crate::recordings) fn finish(mut self) -> io::Result<W> {
        self.write_chunk(ChunkKind::Last)?;
        Ok(self.to)
    }

    fn write_chunk(&mut self, place: ChunkKind) -> io::Result<()> {
        encrypt(&self.key, nonce(self.number, place), &mut self.chunk)?;
        self.to.write_all(&self.chunk)?;
        self.chunk.clear();
        self.number += 1;
        Ok(())
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk is known not to be the last one only when more data follows.
        if self.chunk.len() == CHUNK_BYTES && !bytes.is_empty() {
            self.write_chunk(ChunkKind::Within)?;
        }
        let taken = bytes.len().min(CHUNK_BYTES - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    /// Data that does not fill a chunk stays in memory until [`Writer::finish`].
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Decrypts the payload of an opened file.
pub(in crate::recordings) struct Reader<R> {
    sealed: R,
    key: LessSafeKey,
    /// The position in `sealed` at which the payload begins.
    payload_at: u64,
    /// The number of the next chunk to read.
    next: u64,
    /// The current chunk, decrypted, and the number of its bytes that have been read.
    chunk: Vec<u8>,
    read: usize,
    /// Whether `chunk` is the last one.
    place: ChunkKind,
}

impl<R: BufRead> Reader<R> {
    pub(super) fn new(sealed: R, payload_at: u64, key: LessSafeKey) -> Self {
        Self { sealed, key, payload_at, next: 0, chunk: Vec::new(), read: 0, place: ChunkKind::Within }
    }

    fn read_chunk(&mut self) -> io::Result<()> {
        let mut sealed = std::mem::take(&mut self.chunk);
        sealed.clear();
        self.sealed.by_ref().take(SEALED_BYTES as u64).read_to_end(&mut sealed)?;
        let place = if self.sealed.fill_buf()?.is_empty() { ChunkKind::Last } else { ChunkKind::Within };
        let text = decrypt(&self.key, nonce(self.next, place), &mut sealed).ok_or_else(damaged)?.len();
        // Only an empty file has an empty chunk.
        if text == 0 && self.next > 0 {
            return Err(damaged());
        }
        sealed.truncate(text);
        (self.chunk, self.read, self.place) = (sealed, 0, place);
        self.next += 1;
        Ok(())
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the encrypted file is damaged or cut short")
}

impl<R: BufRead> Read for Reader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.read >= self.chunk.len() {
            if self.place == ChunkKind::Last || bytes.is_empty() {
                return Ok(0);
            }
            self.read_chunk()?;
        }
        let taken = bytes.len().min(self.chunk.len() - self.read);
        bytes[..taken].copy_from_slice(&self.chunk[self.read..][..taken]);
        self.read += taken;
        Ok(taken)
    }
}

impl<R: BufRead + Seek> Reader<R> {
    /// The length of the plain text, computed from the length of the file. Only the last chunk proves this length.
    fn text_bytes(&mut self) -> io::Result<u64> {
        let sealed = self.sealed.seek(SeekFrom::End(0))?.saturating_sub(self.payload_at);
        let tags = sealed.div_ceil(SEALED_BYTES as u64) * TAG_BYTES as u64;
        sealed.checked_sub(tags).filter(|_| sealed > 0).ok_or_else(damaged)
    }
}

impl<R: BufRead + Seek> Seek for Reader<R> {
    /// A position after the end is the end. The chunk at the position is read and authenticated at once.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let text = self.text_bytes()?;
        let now = self.next.saturating_sub(1) * CHUNK_BYTES as u64 + self.read as u64;
        let wanted = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => now.checked_add_signed(by),
            SeekFrom::End(by) => text.checked_add_signed(by),
        };
        let wanted = wanted.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?.min(text);
        // The end belongs to the last chunk, which may be full.
        let number = if wanted == text { text.saturating_sub(1) } else { wanted } / CHUNK_BYTES as u64;
        self.sealed.seek(SeekFrom::Start(self.payload_at + number * SEALED_BYTES as u64))?;
        self.next = number;
        self.read_chunk()?;
        self.read = (wanted - number * CHUNK_BYTES as u64) as usize;
        Ok(wanted)
    }
}

//! The file format of age, version 1 (<https://c2sp.org/age>), for X25519 keys: the part of the format that recordings need.
//!
//! A file is a header and a payload. The header holds the *file key*, 16 random bytes, once for each recipient, encrypted so
//! that only the recipient's identity opens it ([`header`]). The payload is encrypted with a key that is derived from the
//! file key, in chunks of 64 KiB, so that any place of a long file can be read ([`stream`]).
//!
//! The primitives are those of `ring` and `x25519-dalek`. The tests hold every file against the crate `age`, which is the
//! reference implementation in Rust: each opens what the other has sealed.

mod header;
mod key;
mod stream;

use std::io::{self, BufRead, Write};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};

pub(super) use key::{Identity, Recipient};
pub(super) use stream::{Reader, Writer};

/// Bytes of a key, of a shared secret and of a header's authentication code.
const KEY_BYTES: usize = 32;
/// Bytes of the key from which the others of a file are derived.
const FILE_KEY_BYTES: usize = 16;
/// Bytes of the number with which a payload begins.
const NONCE_BYTES: usize = 16;
/// Bytes by which encryption makes a text longer.
const TAG_BYTES: usize = 16;

/// The key from which the others of a file are derived.
type FileKey = [u8; FILE_KEY_BYTES];

/// Why a file was not opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// It is sealed for others.
    #[error("the file is sealed for another key")]
    NoKey,
    /// It is no file of age, or damaged.
    #[error("{0}")]
    Malformed(&'static str),
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Begins a file that each of `recipients` can open. [`Writer::finish`] ends it; without that it is damaged.
///
/// # Errors
/// The header cannot be written, or the system gives no random numbers.
pub(super) fn seal<W: Write>(recipients: &[Recipient], mut to: W) -> io::Result<Writer<W>> {
    let (file_key, nonce): (FileKey, _) = (random()?, random::<NONCE_BYTES>()?);
    to.write_all(&header::write(&file_key, recipients)?)?;
    to.write_all(&nonce)?;
    Ok(Writer::new(to, payload_key(&file_key, &nonce)))
}

/// Opens a file, of which `sealed` is at the beginning, with the first of `identities` that fits.
///
/// # Errors
/// See [`OpenError`]. A fault of the payload shows when it is read.
pub(super) fn open<'a, R: BufRead>(
    identities: impl IntoIterator<Item = &'a Identity>,
    mut sealed: R,
) -> Result<Reader<R>, OpenError> {
    let header = header::read(&mut sealed)?;
    let file_key = header.open(identities)?;
    let mut nonce = [0; NONCE_BYTES];
    sealed.read_exact(&mut nonce).map_err(header::torn)?;
    Ok(Reader::new(sealed, header.bytes + NONCE_BYTES as u64, payload_key(&file_key, &nonce)))
}

fn payload_key(file_key: &FileKey, nonce: &[u8; NONCE_BYTES]) -> LessSafeKey {
    cipher(&derive(file_key, nonce, "payload"))
}

/// HKDF with SHA-256 (RFC 5869).
fn derive(secret: &[u8], salt: &[u8], label: &str) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    let secret = Salt::new(HKDF_SHA256, salt).extract(secret);
    secret
        .expand(&[label.as_bytes()], HKDF_SHA256)
        .and_then(|expanded| expanded.fill(&mut key))
        .expect("32 bytes are the length of a SHA-256");
    key
}

/// ChaCha20-Poly1305 (RFC 8439) with this key.
fn cipher(key: &[u8; KEY_BYTES]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).expect("32 bytes are the length of its keys"))
}

/// Encrypts `text` in its place and appends the tag.
fn encrypt(key: &LessSafeKey, nonce: [u8; 12], text: &mut Vec<u8>) -> io::Result<()> {
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), text)
        .map_err(|_| io::Error::other("the text is too long to be encrypted"))
}

/// Decrypts `text` in its place. None: it was not encrypted with this key and nonce.
fn decrypt<'a>(key: &LessSafeKey, nonce: [u8; 12], text: &'a mut [u8]) -> Option<&'a mut [u8]> {
    key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::empty(), text).ok()
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("no random numbers"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;

//! The file format of age, version 1 (<https://c2sp.org/age>), as far as recordings need it: for X25519 keys.
//!
//! A file consists of a header and a payload. The header holds the *file key*, 16 random bytes, once for each
//! recipient, encrypted so that only the recipient's identity can decrypt it ([`header`]). The payload is encrypted
//! with a key derived from the file key, in chunks of 64 KiB, so that a reader can start anywhere in a long file
//! ([`stream`]).
//!
//! The cryptographic primitives come from `ring` and `x25519-dalek`. The tests compare every file with the crate
//! `age`, the reference implementation in Rust: each opens what the other has encrypted.

mod header;
mod key;
mod stream;

use std::io::{self, BufRead, Write};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};

pub(super) use key::{Identity, Recipient};
pub(super) use stream::{Reader, Writer};

/// The length of a key, of a shared secret, and of a header's authentication code, in bytes.
const KEY_BYTES: usize = 32;
/// The length of the file key, in bytes.
const FILE_KEY_BYTES: usize = 16;
/// The length of the nonce at the beginning of a payload, in bytes.
const NONCE_BYTES: usize = 16;
/// The number of bytes that encryption adds to a text.
const TAG_BYTES: usize = 16;

/// The file key, from which the other keys of a file are derived.
type FileKey = [u8; FILE_KEY_BYTES];

/// Why a file was not opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// The file is encrypted for other keys.
    #[error("the file is sealed for another key")]
    NoKey,
    /// The file is not an age file, or it is damaged.
    #[error("{0}")]
    Malformed(&'static str),
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Begins a file that each of `recipients` can open. [`Writer::finish`] ends the file; without it, the file is
/// damaged.
///
/// # Errors
/// The header cannot be written, or the system cannot provide random numbers.
pub(super) fn seal<W: Write>(recipients: &[Recipient], mut to: W) -> io::Result<Writer<W>> {
    let (file_key, nonce): (FileKey, _) = (random()?, random::<NONCE_BYTES>()?);
    to.write_all(&header::write(&file_key, recipients)?)?;
    to.write_all(&nonce)?;
    Ok(Writer::new(to, payload_key(&file_key, &nonce)))
}

/// Opens a file with the first of `identities` that fits. `sealed` must be at the beginning of the file.
///
/// # Errors
/// See [`OpenError`]. Damage in the payload is reported when the payload is read.
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

/// Encrypts `text` in place and appends the tag.
fn encrypt(key: &LessSafeKey, nonce: [u8; 12], text: &mut Vec<u8>) -> io::Result<()> {
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), text)
        .map_err(|_| io::Error::other("the text is too long to be encrypted"))
}

/// Decrypts `text` in place. Returns `None` if the text was not encrypted with this key and nonce.
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

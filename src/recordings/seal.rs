//! Encryption at rest: encrypting for a recipient and decrypting with an identity.
//!
//! The format is that of [`age`](mod@super::age), so the `age` tool opens all files that this module writes. This module
//! knows nothing of the content of the files.

use std::fmt;
use std::io::{self, BufRead, Read as _, Write};
use std::path::Path;
use std::str::FromStr;

use super::age::{self, OpenError, Reader, Writer};
use super::error::LibraryError;

/// The text or file is not a key of age.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A recipient begins with `age1`.
    #[error("not an age public key: it begins with age1")]
    Recipient,
    /// The identity file contains no `AGE-SECRET-KEY-1…`, or it contains something else as well.
    #[error("no age identity in the file")]
    Identity,
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A public key (`age1…`) for which recordings are encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient(age::Recipient);

impl FromStr for Recipient {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        text.trim().parse().map(Self).map_err(|_| KeyError::Recipient)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The secret keys of an identity file, which decrypt recordings. Their `Debug` reveals nothing.
#[derive(Clone)]
pub struct Identity(Vec<age::Identity>);

impl Identity {
    /// Generates a key that only this process knows, with which the daemon reads a running recording back.
    ///
    /// # Errors
    /// The system cannot provide random numbers.
    pub(super) fn ephemeral() -> io::Result<Self> {
        Ok(Self(vec![age::Identity::generate()?]))
    }

    /// The public keys of these secret keys.
    pub(super) fn recipients(&self) -> impl Iterator<Item = Recipient> {
        self.0.iter().map(|key| Recipient(key.recipient()))
    }

    /// Reads an identity file in the format of `age-keygen`: one key a line; `#` begins a comment.
    ///
    /// # Errors
    /// The file cannot be read, is empty, or contains something that is not a key.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        std::fs::read_to_string(path)?.parse()
    }

    /// Whether these keys decrypt files that were encrypted for `recipient`.
    #[must_use]
    pub fn opens(&self, recipient: &Recipient) -> bool {
        self.0.iter().any(|key| Recipient(key.recipient()) == *recipient)
    }
}

impl FromStr for Identity {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let keys = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys: Result<Vec<_>, _> = keys.map(str::parse).collect();
        match keys {
            Ok(keys) if !keys.is_empty() => Ok(Self(keys)),
            Ok(_) | Err(_) => Err(KeyError::Identity),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.recipients().eq(other.recipients())
    }
}

/// Encrypts data that is written to it. [`Writer::finish`] ends the file.
///
/// # Errors
/// The header cannot be written.
pub(super) fn sealing<W: Write>(recipients: &[Recipient], to: W) -> io::Result<Writer<W>> {
    let recipients: Vec<_> = recipients.iter().map(|recipient| recipient.0.clone()).collect();
    age::seal(&recipients, to)
}

/// Encrypts a small file as a whole.
///
/// # Errors
/// The system cannot provide random numbers.
pub(super) fn seal(recipients: &[Recipient], plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut writer = sealing(recipients, Vec::with_capacity(plain.len() + 1_024))?;
    writer.write_all(plain)?;
    writer.finish()
}

/// Opens an encrypted file for reading. The reader can seek if `sealed` can.
///
/// # Errors
/// [`LibraryError::Sealed`] if no key fits.
pub(super) fn open<R: BufRead>(identity: &Identity, sealed: R) -> Result<Reader<R>, LibraryError> {
    age::open(&identity.0, sealed).map_err(|error| match error {
        OpenError::NoKey => LibraryError::Sealed,
        OpenError::Malformed(what) => LibraryError::Damaged(what.to_owned()),
        OpenError::Io(error) => LibraryError::Io(error),
    })
}

/// Decrypts a small file as a whole.
///
/// # Errors
/// Those of [`open`]; [`LibraryError::Damaged`] if a part is missing.
pub(super) fn unseal(identity: &Identity, sealed: &[u8]) -> Result<Vec<u8>, LibraryError> {
    let mut plain = Vec::with_capacity(sealed.len());
    open(identity, sealed)?
        .read_to_end(&mut plain)
        .map_err(|error| LibraryError::Damaged(error.to_string()))?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Seek, SeekFrom};

    #[test]
    fn what_is_sealed_opens_with_one_of_its_keys_and_no_other() {
        let (owner, own, stranger) =
            (Identity::ephemeral().unwrap(), Identity::ephemeral().unwrap(), Identity::ephemeral().unwrap());
        let recipients: Vec<_> = owner.recipients().chain(own.recipients()).collect();
        let sealed = seal(&recipients, b"hola").unwrap();
        assert!(!sealed.windows(4).any(|bytes| bytes == b"hola"));
        assert_eq!(unseal(&owner, &sealed).unwrap(), b"hola");
        assert_eq!(unseal(&own, &sealed).unwrap(), b"hola");
        assert!(matches!(unseal(&stranger, &sealed), Err(LibraryError::Sealed)));
        assert!(owner.opens(&recipients[0]) && !owner.opens(&recipients[1]));
    }

    #[test]
    fn a_torn_file_is_damaged_and_not_a_short_one() {
        let owner = Identity::ephemeral().unwrap();
        let recipients: Vec<_> = owner.recipients().collect();
        let sealed = seal(&recipients, &[7; 1_000]).unwrap();
        for length in [sealed.len() - 1, 300, 100, 0] {
            let torn = unseal(&owner, &sealed[..length]);
            assert!(matches!(torn, Err(LibraryError::Damaged(_))), "{length}: {torn:?}");
        }
    }

    #[test]
    fn any_place_of_a_long_file_can_be_read() {
        let owner = Identity::ephemeral().unwrap();
        let recipients: Vec<_> = owner.recipients().collect();
        let plain: Vec<u8> = (0..200_000u32).map(|at| (at / 3) as u8).collect();
        let sealed = seal(&recipients, &plain).unwrap();
        let mut reader = open(&owner, Cursor::new(&sealed[..])).unwrap();
        for at in [199_990, 0, 65_536, 65_530, 131_071, 131_072, 5, 150_000] {
            assert_eq!(reader.seek(SeekFrom::Start(at)).unwrap(), at);
            let mut bytes = [0; 10];
            reader.read_exact(&mut bytes).unwrap();
            assert_eq!(bytes, plain[at as usize..][..10], "{at}");
        }
    }

    #[test]
    fn an_identity_file_is_read_as_age_keygen_writes_it() {
        use ::age::secrecy::ExposeSecret as _;
        let key = ::age::x25519::Identity::generate();
        let text = format!(
            "# created: 2026-01-01\n# public key: {}\n{}\n",
            key.to_public(),
            key.to_string().expose_secret()
        );
        let identity: Identity = text.parse().unwrap();
        assert!(identity.opens(&key.to_public().to_string().parse().unwrap()));
        assert_eq!(format!("{identity:?}"), "Identity");
        for wrong in ["", "# nothing", "AGE-SECRET-KEY-1XYZ", &key.to_public().to_string()] {
            assert!(wrong.parse::<Identity>().is_err(), "{wrong}");
        }
        assert!("age1xyz".parse::<Recipient>().is_err());
    }
}

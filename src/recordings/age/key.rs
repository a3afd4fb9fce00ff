//! Keys in the notation of age: X25519 keys in Bech32, `age1…` for public keys and `AGE-SECRET-KEY-1…` for secret
//! keys.

use std::fmt;
use std::io;
use std::str::FromStr;

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use x25519_dalek::{PublicKey, StaticSecret};

use super::{KEY_BYTES, random};

/// The human-readable part of a public key.
const PUBLIC: &str = "age";
const SECRET: &str = "age-secret-key-";

/// The text is not a key of age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a key of age")]
pub(in crate::recordings) struct NoKey;

/// A public key, for which a file can be encrypted.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::recordings) struct Recipient(pub(super) PublicKey);

impl FromStr for Recipient {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        // Bech32 permits upper case; age does not.
        let is_small = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        let key = is_small.then(|| decode(PUBLIC, text)).flatten();
        key.map(|key| Self(key.into())).ok_or(NoKey)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            &bech32::encode::<Bech32>(Hrp::parse_unchecked(PUBLIC), self.0.as_bytes())
                .map_err(|_| fmt::Error)?,
        )
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A secret key, which decrypts files that were encrypted for its recipient. Its `Debug` reveals nothing, and its
/// memory is wiped.
#[derive(Clone)]
pub(in crate::recordings) struct Identity(pub(super) StaticSecret);

impl Identity {
    /// Generates a new key.
    ///
    /// # Errors
    /// The system cannot provide random numbers.
    pub(in crate::recordings) fn generate() -> io::Result<Self> {
        Ok(Self(random::<KEY_BYTES>()?.into()))
    }

    /// The public key of this secret key.
    #[must_use]
    pub(in crate::recordings) fn recipient(&self) -> Recipient {
        Recipient(PublicKey::from(&self.0))
    }
}

impl FromStr for Identity {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        let is_large = !text.bytes().any(|byte| byte.is_ascii_lowercase());
        let key = is_large.then(|| decode(SECRET, text)).flatten();
        key.map(|key| Self(key.into())).ok_or(NoKey)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

/// Decodes the 32 bytes of a key with this human-readable part.
fn decode(part: &str, text: &str) -> Option<[u8; KEY_BYTES]> {
    let checked = CheckedHrpstring::new::<Bech32>(text).ok()?;
    if checked.hrp() != Hrp::parse(part).ok()? {
        return None;
    }
    checked.byte_iter().collect::<Vec<_>>().try_into().ok()
}

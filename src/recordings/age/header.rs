//! The header of an age file: the file key, encrypted for each recipient, and the authentication of the header.
//!
//! ```text
//! age-encryption.org/v1
//! -> X25519 <the sender's share>
//! <the file key, encrypted for one recipient>
//! --- <authentication code>
//! ```
//!
//! Each `->` begins a *stanza*: its arguments on one line, and its body in lines of 64 characters of base64, of which
//! the last is shorter. Stanzas of other types are for other programs and are skipped.

use std::io::{self, BufRead, Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use ring::hmac;
use x25519_dalek::{PublicKey, StaticSecret};

use super::{
    FILE_KEY_BYTES, FileKey, Identity, KEY_BYTES, OpenError, Recipient, TAG_BYTES, cipher, decrypt, derive,
    encrypt, random,
};

const VERSION: &str = "age-encryption.org/v1";
/// The type of the stanzas that this module reads and writes, and the label from which their keys are derived.
const X25519: &str = "X25519";
const X25519_LABEL: &str = "age-encryption.org/v1/X25519";
/// The number of characters in a full line of base64.
const LINE: usize = 64;
/// The longest header in bytes, which is enough for about five hundred recipients. With a larger value a damaged file
/// could take more memory; a smaller one would permit fewer recipients.
const MOST_BYTES: usize = 64 * 1_024;
/// A wrap key encrypts exactly one file key, so its nonce may be constant.
const NONCE: [u8; 12] = [0; 12];

/// The file key, encrypted for one recipient.
struct Stanza {
    share: PublicKey,
    body: [u8; FILE_KEY_BYTES + TAG_BYTES],
}

/// A header that has been read but not yet authenticated.
pub(super) struct Header {
    stanzas: Vec<Stanza>,
    /// Everything before the authentication code.
    authenticated: Vec<u8>,
    code: Vec<u8>,
    /// The length of the header in bytes.
    pub(super) bytes: u64,
}

/// Makes the header of a file with this key, including the line break at its end.
pub(super) fn write(file_key: &FileKey, recipients: &[Recipient]) -> io::Result<Vec<u8>> {
    let mut header = format!("{VERSION}\n").into_bytes();
    for recipient in recipients {
        let secret = StaticSecret::from(random::<KEY_BYTES>()?);
        let share = PublicKey::from(&secret);
        let wrap_key = wrap_key(&secret, &recipient.0, &share, &recipient.0)
            .ok_or_else(|| io::Error::other("the recipient's key is none"))?;
        let mut body = file_key.to_vec();
        encrypt(&cipher(&wrap_key), NONCE, &mut body)?;
        writeln!(header, "-> {X25519} {}\n{}", BASE64.encode(share.as_bytes()), BASE64.encode(&body))?;
    }
    write!(header, "---")?;
    let code = hmac::sign(&code_key(file_key), &header);
    writeln!(header, " {}", BASE64.encode(code.as_ref()))?;
    Ok(header)
}

/// Reads a header up to the beginning of the payload.
pub(super) fn read(from: &mut impl BufRead) -> Result<Header, OpenError> {
    let mut lines = Lines { from, all: Vec::new() };
    if lines.next()? != VERSION {
        return Err(OpenError::Malformed("not a file of age, version 1"));
    }
    let mut stanzas = Vec::new();
    loop {
        let line = lines.next()?;
        if let Some(code) = line.strip_prefix("--- ") {
            let code = BASE64.decode(code).map_err(|_| MALFORMED)?;
            let mut authenticated = lines.all;
            let bytes = authenticated.len();
            authenticated.truncate(bytes - (line.len() + 1) + "---".len());
            return Ok(Header { stanzas, authenticated, code, bytes: bytes as u64 });
        }
        let arguments = line.strip_prefix("-> ").ok_or(MALFORMED)?.split(' ').map(str::to_owned);
        let arguments: Vec<_> = arguments.collect();
        if arguments
            .iter()
            .any(|argument| argument.is_empty() || !argument.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            return Err(MALFORMED);
        }
        let body = body(&mut lines)?;
        if arguments[0] == X25519 {
            stanzas.push(stanza(&arguments[1..], &body).ok_or(MALFORMED)?);
        }
    }
}

const MALFORMED: OpenError = OpenError::Malformed("the header of the encrypted file is damaged");

/// Turns an unexpected end of the file into [`OpenError::Malformed`].
pub(super) fn torn(error: io::Error) -> OpenError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        OpenError::Malformed("the encrypted file is cut short")
    } else {
        OpenError::Io(error)
    }
}

/// Reads the lines of a header and keeps all of their bytes for the authentication.
struct Lines<'a, R> {
    from: &'a mut R,
    all: Vec<u8>,
}

impl<R: BufRead> Lines<'_, R> {
    /// Returns the next line without its line break.
    fn next(&mut self) -> Result<String, OpenError> {
        let began = self.all.len();
        self.from.take((MOST_BYTES - began) as u64).read_until(b'\n', &mut self.all)?;
        let line = self.all[began..].strip_suffix(b"\n").ok_or(MALFORMED)?;
        String::from_utf8(line.to_vec()).map_err(|_| MALFORMED)
    }
}

fn body(lines: &mut Lines<'_, impl BufRead>) -> Result<Vec<u8>, OpenError> {
    let mut body = Vec::new();
    loop {
        let line = lines.next()?;
        if line.len() > LINE {
            return Err(MALFORMED);
        }
        body.extend(BASE64.decode(&line).map_err(|_| MALFORMED)?);
        if line.len() < LINE {
            return Ok(body);
        }
    }
}

fn stanza(arguments: &[String], body: &[u8]) -> Option<Stanza> {
    let [share] = arguments else { return None };
    let share: [u8; KEY_BYTES] = BASE64.decode(share).ok()?.try_into().ok()?;
    Some(Stanza { share: share.into(), body: body.try_into().ok()? })
}

impl Header {
    /// Decrypts the file key with the first of `identities` that fits, and checks the authentication of the header.
    pub(super) fn open<'a>(
        &self,
        identities: impl IntoIterator<Item = &'a Identity>,
    ) -> Result<FileKey, OpenError> {
        let mut identities = identities.into_iter();
        let file_key =
            identities.find_map(|identity| self.stanzas.iter().find_map(|stanza| stanza.open(identity)));
        let file_key = file_key.ok_or(OpenError::NoKey)?;
        hmac::verify(&code_key(&file_key), &self.authenticated, &self.code).map_err(|_| MALFORMED)?;
        Ok(file_key)
    }
}

impl Stanza {
    fn open(&self, identity: &Identity) -> Option<FileKey> {
        let wrap_key = wrap_key(&identity.0, &self.share, &self.share, &identity.recipient().0)?;
        let mut body = self.body;
        let file_key = decrypt(&cipher(&wrap_key), NONCE, &mut body)?;
        FileKey::try_from(&*file_key).ok()
    }
}

/// Derives the key that encrypts the file key for one recipient. Returns `None` if the other side's public key is one
/// of those that yield an all-zero shared secret (RFC 7748, section 6.1).
fn wrap_key(
    secret: &StaticSecret,
    theirs: &PublicKey,
    share: &PublicKey,
    recipient: &PublicKey,
) -> Option<[u8; KEY_BYTES]> {
    let shared = secret.diffie_hellman(theirs);
    let salt = [*share.as_bytes(), *recipient.as_bytes()].concat();
    shared.was_contributory().then(|| derive(shared.as_bytes(), &salt, X25519_LABEL))
}

fn code_key(file_key: &FileKey) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &derive(file_key, &[], "header"))
}

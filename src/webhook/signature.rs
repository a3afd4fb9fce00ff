//! The key of an address, and the signature of a message: HMAC-SHA256 of `id.timestamp.body` (Standard Webhooks, "Signature
//! scheme").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// What a key begins with.
const PREFIX: &str = "whsec_";
/// The number of bytes of a key (Standard Webhooks, "Symmetric").
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not whsec_ and 24 to 64 bytes in Base64")]
pub struct KeyFault;

/// A key. Its `Debug` reveals nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Vec<u8>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// Reads a key as Standard Webhooks writes it: `whsec_`, and the bytes in Base64.
    ///
    /// # Errors
    /// The text has another form, or too few or too many bytes.
    pub fn parse(text: &str) -> Result<Self, KeyFault> {
        let encoded = text.strip_prefix(PREFIX).ok_or(KeyFault)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| KeyFault)?;
        if BYTES.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(KeyFault) }
    }

    /// Reads the secret of a webhook of OpenAI: `whsec_` and the bytes in Base64, or else the text itself (openai-python,
    /// `resources/webhooks`).
    ///
    /// # Errors
    /// The key has too few or too many bytes.
    pub fn of_openai(text: &str) -> Result<Self, KeyFault> {
        let bytes = match text.strip_prefix(PREFIX) {
            Some(encoded) => STANDARD.decode(encoded).map_err(|_| KeyFault)?,
            None => text.as_bytes().to_vec(),
        };
        if BYTES.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(KeyFault) }
    }

    /// Whether this is the signature (the bytes after `v1,`) of a body. The comparison takes the same time for all signatures.
    pub(super) fn verifies(&self, id: &str, timestamp: &str, body: &[u8], signature: &[u8]) -> bool {
        let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), &signed, signature).is_ok()
    }

    /// The value of the header `webhook-signature` for a body that is sent at this time, in Unix seconds.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let mut signed = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        signed.update(format!("{id}.{timestamp}.").as_bytes());
        signed.update(body.as_bytes());
        format!("v1,{}", STANDARD.encode(signed.sign()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_signed_as_other_libraries_sign_it() {
        // Made with the Python package standardwebhooks 1.1.0.
        let key = Key::parse("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap();
        let body =
            r#"{"type":"call.ended","timestamp":"2026-11-20T14:35:10Z","data":{"call_id":"1795180048.12"}}"#;
        let signature = key.sign("call_1795180048.12", 1_795_185_310, body);
        assert_eq!(signature, "v1,35sB8L8N87NMkx1JwWPs/Fk1QdrkWVhtxBE7W3LQY+I=");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        for bytes in [24, 32, 64] {
            assert!(Key::parse(&of(bytes)).is_ok(), "{bytes}");
        }
        for text in
            [of(23), of(65), of(32).replace("whsec_", ""), of(32).replace("sec", "key"), "whsec_%".into()]
        {
            assert_eq!(Key::parse(&text), Err(KeyFault), "{text}");
        }
        assert_eq!(format!("{:?}", Key::parse(&of(32))), "Ok(Key)");
    }
}

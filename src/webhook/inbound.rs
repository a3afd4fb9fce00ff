//! Whether a webhook that has arrived comes from the holder of a secret, is fresh, and has not come before (Standard Webhooks,
//! "Verifying webhook authenticity").
//!
//! ```text
//!   exactly one of each header ─► timestamp ─► form of the signature ─► signature, by any of the keys ─► not seen before
//!                    before the body is read (Headers::judge) ◄─┘
//! ```
//! Nothing of the body is parsed before all of this holds. Time is an argument.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Key;

/// The name of the header with the id of the message.
pub const ID: &str = "webhook-id";
/// The name of the header with the time of the attempt, in Unix seconds.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The name of the header with the signatures.
pub const SIGNATURE: &str = "webhook-signature";

/// How many seconds the sender's clock may differ from ours, in both directions (Standard Webhooks, and OpenAI's libraries). A
/// larger value keeps a stolen message useful for longer; a smaller one refuses senders whose clock, or ours, is wrong.
const TOLERANCE_S: u64 = 300;
/// The longest id, in bytes. Ids of OpenAI have about 40. A larger value would let a sender fill the memory of [`Seen`].
const ID_BYTES: usize = 128;
/// Most signatures that are compared. A sender that rotates its keys sends two; more would cost time.
const SIGNATURES: usize = 8;
/// The length of a signature: that of HMAC with SHA-256.
const SIGNATURE_BYTES: usize = 32;
/// How long the id of a message is remembered: twice the tolerance, after which the timestamp alone refuses a copy. A shorter time
/// would let a copy through.
const REMEMBERED: Duration = Duration::from_secs(2 * TOLERANCE_S);
/// Most ids that are remembered. They come from the holder of the secret, so that this bound is for a faulty sender. A larger value
/// takes more memory; with a smaller one, copies of messages could get through.
const MOST_IDS: usize = 16_384;

/// Why a message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A header is absent, is there twice, or cannot be read.
    #[error("exactly one of each header webhook-id, webhook-timestamp and webhook-signature is needed")]
    Headers,
    /// The time of the attempt is too far from our clock.
    #[error("webhook-timestamp is more than 300 s from the clock of this machine")]
    Timestamp,
    /// None of the signatures is right.
    #[error("no signature matches")]
    Signature,
}

/// The headers of a message.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    /// The id of the message, which all attempts share.
    pub id: &'a str,
    /// When this attempt was made, in Unix seconds, as it is written.
    pub timestamp: &'a str,
    /// The signatures, separated by spaces: `v1,<base64>`.
    pub signature: &'a str,
}

impl<'a> Headers<'a> {
    /// The headers, if each of them is there exactly once. `all` returns every value of a header of this name; a value that is
    /// not visible ASCII must be returned as `None`.
    ///
    /// # Errors
    /// [`Refused::Headers`].
    pub fn read<I>(all: impl Fn(&'static str) -> I) -> Result<Self, Refused>
    where
        I: Iterator<Item = Option<&'a str>>,
    {
        let one = |name| {
            let mut values = all(name);
            match (values.next(), values.next()) {
                (Some(Some(value)), None) if !value.is_empty() => Ok(value),
                _ => Err(Refused::Headers),
            }
        };
        let headers = Self { id: one(ID)?, timestamp: one(TIMESTAMP)?, signature: one(SIGNATURE)? };
        if headers.id.len() > ID_BYTES { Err(Refused::Headers) } else { Ok(headers) }
    }

    /// Judges what can be judged before the body is there: the timestamp, and whether there is a signature that could be right. `now`
    /// is the Unix time of this machine in seconds. Returns the time of the attempt.
    ///
    /// # Errors
    /// [`Refused::Timestamp`] or [`Refused::Signature`].
    pub fn judge(&self, now: i64) -> Result<i64, Refused> {
        let is_plain = self.timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let at: i64 = self.timestamp.parse().ok().filter(|_| is_plain).ok_or(Refused::Timestamp)?;
        if at.abs_diff(now) > TOLERANCE_S {
            return Err(Refused::Timestamp);
        }
        if self.signatures().next().is_some() { Ok(at) } else { Err(Refused::Signature) }
    }

    /// The signatures that could be right.
    fn signatures(&self) -> impl Iterator<Item = Vec<u8>> {
        let signatures = self.signature.split(' ').take(SIGNATURES);
        let signatures = signatures.filter_map(|text| STANDARD.decode(text.strip_prefix("v1,")?).ok());
        signatures.filter(|signature| signature.len() == SIGNATURE_BYTES)
    }

    /// Checks the timestamp and the signature of a body. `now` is the Unix time of this machine in seconds. Returns the time of the
    /// attempt.
    ///
    /// # Errors
    /// [`Refused::Timestamp`] or [`Refused::Signature`].
    pub fn verify(&self, keys: &[Key], body: &[u8], now: i64) -> Result<i64, Refused> {
        let at = self.judge(now)?;
        let is_right = |signature: Vec<u8>| {
            keys.iter().any(|key| key.verifies(self.id, self.timestamp, body, &signature))
        };
        if self.signatures().any(is_right) { Ok(at) } else { Err(Refused::Signature) }
    }
}

/// The ids of the messages that have come, for as long as a copy could be taken for a new one.
#[derive(Debug, Default)]
pub struct Seen {
    ids: HashSet<String>,
    order: VecDeque<(Instant, String)>,
}

impl Seen {
    /// Whether a message with this id has not come before.
    pub fn is_new(&mut self, now: Instant, id: &str) -> bool {
        while let Some((at, _)) = self.order.front()
            && (now.saturating_duration_since(*at) > REMEMBERED || self.order.len() >= MOST_IDS)
        {
            if let Some((_, id)) = self.order.pop_front() {
                self.ids.remove(&id);
            }
        }
        let is_new = self.ids.insert(id.to_owned());
        if is_new {
            self.order.push_back((now, id.to_owned()));
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes 0 to 31.
    const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    /// The bytes 32 to 63.
    const SECOND: &str = "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
    const BODY: &str = r#"{"object":"event","id":"evt_0001","type":"realtime.call.incoming","created_at":1795182600,"data":{"call_id":"rtc_u0_0001","sip_media_security":"srtp","sip_headers":[{"name":"From","value":"<sip:+525512345678@203.0.113.5>;tag=88221144"},{"name":"To","value":"<sip:proj_0001@sip.api.openai.com>"},{"name":"Call-ID","value":"5f1c2a7e-1"},{"name":"X-Call-Nonce","value":"b3f1c0d29a5e47708c6d1f02e9a4b7c3"}]}}"#;
    const FIRST_SIGNATURE: &str = "v1,JF+VVVxH/po8S/JcBdej4LP18d1QZ6C3KFwS80Os9zE=";
    const SECOND_SIGNATURE: &str = "v1,IE70wacu/DYeNaO5diFeLcVj95fEbHgLLuL4HHWJqcg=";
    const AT: i64 = 1_795_182_602;

    fn keys(secrets: &[&str]) -> Vec<Key> {
        secrets.iter().map(|secret| Key::of_openai(secret).expect("a key")).collect()
    }

    fn judge(signature: &str, secrets: &[&str], body: &str, now: i64) -> Result<i64, Refused> {
        let headers = Headers { id: "wh_0001", timestamp: "1795182602", signature };
        headers.verify(&keys(secrets), body.as_bytes(), now)
    }

    #[test]
    fn a_message_of_the_holder_of_any_secret_is_genuine() {
        let both = format!("v1,AAAA v2,x {SECOND_SIGNATURE}");
        for (signature, secrets) in [
            (FIRST_SIGNATURE, vec![SECRET]),
            (SECOND_SIGNATURE, vec![SECRET, SECOND]),
            (&*both, vec![SECOND]),
        ] {
            assert_eq!(judge(signature, &secrets, BODY, AT), Ok(AT), "{signature}");
        }
        assert_eq!(judge(FIRST_SIGNATURE, &[SECOND], BODY, AT), Err(Refused::Signature));
        let changed = BODY.replace("rtc_u0_0001", "rtc_u0_0002");
        assert_eq!(judge(FIRST_SIGNATURE, &[SECRET], &changed, AT), Err(Refused::Signature));
        for wrong in
            ["v1,", "v1", "", "v2,JF+VVVxH/po8S/JcBdej4LP18d1QZ6C3KFwS80Os9zE=", &"v1,AA== ".repeat(999)]
        {
            assert_eq!(judge(wrong, &[SECRET], BODY, AT), Err(Refused::Signature), "{wrong}");
        }
    }

    #[test]
    fn a_message_is_fresh_for_five_minutes_by_a_clock_that_may_be_early_or_late() {
        for (now, expected) in [
            (AT - 300, Ok(AT)),
            (AT + 300, Ok(AT)),
            (AT - 301, Err(Refused::Timestamp)),
            (AT + 301, Err(Refused::Timestamp)),
        ] {
            assert_eq!(judge(FIRST_SIGNATURE, &[SECRET], BODY, now), expected, "{now}");
        }
        for timestamp in ["", "+1795182602", "1795182602.0", "-1", "99999999999999999999", "１"] {
            let headers = Headers { id: "wh_0001", timestamp, signature: FIRST_SIGNATURE };
            assert_eq!(headers.verify(&keys(&[SECRET]), BODY.as_bytes(), AT), Err(Refused::Timestamp));
        }
    }

    #[test]
    fn a_signature_of_another_version_and_one_behind_too_many_others_do_not_count() {
        let bare = FIRST_SIGNATURE.trim_start_matches("v1,");
        let behind = |others| format!("{}{FIRST_SIGNATURE}", "v1,AAAA ".repeat(others));
        for (signature, expected) in [
            (bare.to_owned(), Err(Refused::Signature)),
            (format!("v1a,{bare}"), Err(Refused::Signature)),
            (behind(SIGNATURES - 1), Ok(AT)),
            (behind(SIGNATURES), Err(Refused::Signature)),
        ] {
            assert_eq!(judge(&signature, &[SECRET], BODY, AT), expected, "{signature}");
        }
    }

    #[test]
    fn what_the_headers_alone_tell_is_judged_without_the_body() {
        let judge = |timestamp, signature, now| Headers { id: "wh_0001", timestamp, signature }.judge(now);
        let zeros = format!("v1,{}", STANDARD.encode([0; 32]));
        assert_eq!(judge("1795182602", &zeros, AT), Ok(AT), "it could be right");
        assert_eq!(judge("1795182602", &zeros, AT + 301), Err(Refused::Timestamp));
        let short = format!("v1,{}", STANDARD.encode([0; 31]));
        for wrong in ["v1,", "v1,AAAA", "x", &short, &zeros.replace("v1", "v2")] {
            assert_eq!(judge("1795182602", wrong, AT), Err(Refused::Signature), "{wrong}");
        }
    }

    #[test]
    fn each_header_is_there_once() {
        let read = |id: &[Option<&'static str>]| {
            let id = id.to_vec();
            Headers::read(
                move |name| if name == ID { id.clone().into_iter() } else { vec![Some("1")].into_iter() },
            )
            .map(|headers| headers.id)
        };
        assert_eq!(read(&[Some("wh_1")]), Ok("wh_1"));
        let long: &'static str = "x".repeat(ID_BYTES + 1).leak();
        for wrong in [&[][..], &[None], &[Some("")], &[Some("wh_1"), Some("wh_1")], &[Some(long)]] {
            assert_eq!(read(wrong), Err(Refused::Headers), "{wrong:?}");
        }
    }

    #[test]
    fn a_copy_is_known_for_as_long_as_its_timestamp_could_be_right() {
        #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
        let now = Instant::now();
        let mut seen = Seen::default();
        assert!(seen.is_new(now, "a") && !seen.is_new(now, "a") && seen.is_new(now, "b"));
        assert!(!seen.is_new(now + REMEMBERED, "a"));
        assert!(seen.is_new(now + REMEMBERED + Duration::from_secs(1), "a"));
        for n in 0..3 * MOST_IDS {
            seen.is_new(now, &n.to_string());
        }
        assert!(seen.ids.len() <= MOST_IDS && seen.order.len() == seen.ids.len());
    }

    #[test]
    fn a_secret_may_be_written_without_its_prefix() {
        assert!(Key::of_openai("0123456789abcdef01234567").is_ok());
        for wrong in ["", "short", "whsec_%%%", "whsec_AAEC"] {
            assert!(Key::of_openai(wrong).is_err(), "{wrong}");
        }
    }
}

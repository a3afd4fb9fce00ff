//! The input and output of the fake as plain types: its script, its webhooks, and how a call stands.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::json;

/// How long a character takes to say.
const PER_CHARACTER: Duration = Duration::from_millis(65);
/// How long after its last sample an answer has been heard: the frame that carries it waits for its turn.
const LINGERS: Duration = Duration::from_millis(60);

/// What an acceptance is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// 200, and the session is made.
    Made,
    /// This status, and no session.
    Refused(u16),
    /// 400, because a field of the turn detection is not known.
    NoVadFields,
    /// No answer, and no session.
    Unanswered,
    /// No answer, and the session is made all the same.
    MadeUnanswered,
    /// 500, and the session is made all the same.
    MadeAndFailed,
    /// No answer, and the session is made only after this time.
    MadeLate(Duration),
}

/// What comes of a request for a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Referral {
    /// 200, and the caller is sent there.
    Made,
    /// This status, and the call goes on.
    Refused(u16),
    /// 200, and the call goes on: the SIP peer does not do what it is asked for.
    Unheeded,
    /// 200, and the call ends only after this time.
    MadeLate(Duration),
    /// No answer, and the call ends only after this time.
    MadeLateUnanswered(Duration),
}

/// What the fake does.
#[derive(Debug, Clone)]
pub struct Script {
    /// The bytes of the webhook's secret.
    pub secret: Vec<u8>,
    /// The API key.
    pub key: String,
    /// How the acceptances of a call are answered, in order; then with [`Acceptance::Made`].
    pub acceptances: Vec<Acceptance>,
    /// How often a WebSocket is refused with 404 after the acceptance.
    pub unknown_handshakes: u32,
    /// What comes of requests for a transfer.
    pub referral: Referral,
    /// How many requests to hang up fail with 500 first.
    pub failing_hangups: u32,
    /// What the model says, response by response; then "Muy bien.".
    pub says: Vec<Say>,
    /// What the model understands of the caller's sound, turn by turn; then "…".
    pub hears: Vec<String>,
    /// Whether the deltas of the sound are sent, which the real one does not promise to leave out.
    pub sends_sound: bool,
    /// Whether the end of what is heard is told.
    pub tells_end: bool,
}

impl Script {
    /// A service that does what it is asked for.
    #[must_use]
    pub fn new(secret: &[u8], key: &str) -> Self {
        Self {
            secret: secret.to_vec(),
            key: key.to_owned(),
            acceptances: Vec::new(),
            unknown_handshakes: 0,
            referral: Referral::Made,
            failing_hangups: 0,
            says: Vec::new(),
            hears: Vec::new(),
            sends_sound: false,
            tells_end: true,
        }
    }
}

/// A webhook as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The header `webhook-id`.
    pub id: String,
    /// The header `webhook-timestamp`.
    pub timestamp: String,
    /// The header `webhook-signature`.
    pub signature: String,
    /// The body.
    pub body: String,
}

impl Webhook {
    /// Signs a body.
    #[must_use]
    pub fn signed(secret: &[u8], id: &str, unix_s: u64, body: String) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let tag = hmac::sign(&key, format!("{id}.{unix_s}.{body}").as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(tag));
        Self { id: id.to_owned(), timestamp: unix_s.to_string(), signature, body }
    }
}

/// The body of `realtime.call.incoming`.
#[must_use]
pub fn incoming(call: &str, created_at: u64, headers: &[(&str, &str)]) -> String {
    let headers: Vec<_> = headers.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    let data = json!({"call_id": call, "sip_media_security": "srtp", "sip_headers": headers});
    json!({"object": "event", "id": format!("evt_{call}"), "type": "realtime.call.incoming",
           "created_at": created_at, "data": data})
    .to_string()
}

/// A request about a call.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// The path below the address of calls: `/rtc_…/accept`.
    pub path: &'a str,
    /// The header `Authorization`.
    pub authorization: Option<&'a str>,
    /// The body.
    pub body: &'a str,
}

/// How a call stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It rings since then.
    Ringing(Instant),
    /// It has been accepted.
    Accepted,
    /// It was rejected with this SIP status.
    Rejected(u64),
    /// It was referred there.
    Referred(String),
    /// We have hung it up.
    HungUp,
    /// The caller has.
    CallerGone,
    /// It was accepted by another program.
    Elsewhere,
}

/// What the model says in a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Say {
    /// These words.
    Words(String),
    /// These words, with this sound in G.711 µ-law.
    Speech(String, Arc<[u8]>),
    /// It calls this function with these arguments.
    Calls(String, String),
    /// It says something, and calls a function.
    WordsAndCalls(String, String, String),
    /// It says something, with this sound, and calls a function.
    SpeechAndCalls(String, Arc<[u8]>, String, String),
    /// Nothing comes: the response never begins.
    Nothing,
}

impl Say {
    pub(super) fn words(&self) -> Option<&str> {
        match self {
            Self::Words(words)
            | Self::Speech(words, _)
            | Self::WordsAndCalls(words, ..)
            | Self::SpeechAndCalls(words, ..) => Some(words),
            Self::Calls(..) | Self::Nothing => None,
        }
    }

    pub(super) fn sound(&self) -> Option<&Arc<[u8]>> {
        match self {
            Self::Speech(_, sound) | Self::SpeechAndCalls(_, sound, ..) => Some(sound),
            Self::Words(_) | Self::Calls(..) | Self::WordsAndCalls(..) | Self::Nothing => None,
        }
    }

    /// The name and the arguments of the function that it calls.
    pub(super) fn called(&self) -> Option<(&str, &str)> {
        match self {
            Self::Calls(name, arguments)
            | Self::WordsAndCalls(_, name, arguments)
            | Self::SpeechAndCalls(_, _, name, arguments) => Some((name, arguments)),
            Self::Words(_) | Self::Speech(..) | Self::Nothing => None,
        }
    }

    /// How long it takes to say.
    pub(super) fn length(&self) -> Duration {
        match self.sound() {
            Some(sound) => Duration::from_millis(sound.len() as u64 / 8) + LINGERS,
            None => PER_CHARACTER * self.words().unwrap_or_default().chars().count() as u32,
        }
    }
}

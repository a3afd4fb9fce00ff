//! The parts of a [`Notice`](super::Notice) that have words of their own in each language: amounts, faults of a connection,
//! and text from outside. What is said of settings is in `setting`, why calls end in `end_reason`.
//!
//! Whole sentences are not here: they are the table's, in `notices`.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};

use chrono::Weekday;

use super::Language;
use crate::number::{ChannelName, mask_numbers};
use crate::units::Cost;
use crate::webhook::inbound::Refused;

/// Whether this is a yes, in either language: the answer to a question such as [`Notice::PurgeAsks`](super::Notice::PurgeAsks).
#[must_use]
pub fn is_yes(answer: &str) -> bool {
    ["s", "si", "sí", "y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

/// The name of a day of the week.
#[must_use]
pub fn weekday(language: Language, day: Weekday) -> &'static str {
    let spanish = ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"];
    let english = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    language.choose(spanish, english)[day.num_days_from_monday() as usize]
}

/// The names that could have been written, if there are any.
pub(crate) fn there_are(known: &str, language: Language) -> String {
    match (language, known.is_empty()) {
        (Language::Spanish, true) => "No hay ninguno".to_owned(),
        (Language::Spanish, false) => format!("Hay: {known}"),
        (Language::English, true) => "There are none".to_owned(),
        (Language::English, false) => format!("There are: {known}"),
    }
}

/// Anything that can stand in a sentence.
pub(crate) trait Said {
    /// The words in this language.
    fn said(&self, language: Language) -> String;
}

macro_rules! said_as_displayed {
    ($($kind:ty),*) => { $(
        impl Said for $kind {
            fn said(&self, _language: Language) -> String {
                self.to_string()
            }
        }
    )* };
}

said_as_displayed!(String, &'static str, u8, u16, u32, u64, i64, usize, IpAddr, SocketAddr, Detail, Code);

impl Said for Vec<&'static str> {
    fn said(&self, _language: Language) -> String {
        self.join(", ")
    }
}

/// A name in brackets after what it explains, or nothing.
impl Said for Option<&'static str> {
    fn said(&self, _language: Language) -> String {
        self.map_or_else(String::new, |name| format!(" ({name})"))
    }
}

/// A number, or that nobody knows it.
impl Said for Option<u64> {
    fn said(&self, _language: Language) -> String {
        self.map_or_else(|| "?".to_owned(), |number| number.to_string())
    }
}

impl Said for ChannelName {
    fn said(&self, _language: Language) -> String {
        self.expose().to_owned()
    }
}

impl Said for Cost {
    fn said(&self, language: Language) -> String {
        let (unknown, estimated) = match language {
            Language::Spanish => ("desconocido", " (estimado)"),
            Language::English => ("unknown", " (estimated)"),
        };
        self.amount.map_or_else(
            || unknown.to_owned(),
            |amount| format!("{:.4} USD{}", amount.usd(), if self.estimated { estimated } else { "" }),
        )
    }
}

/// Text from outside, made fit for the log: one line, at most [`Detail::MAX_CHARS`] characters, and no API
/// key in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail(String);

impl Detail {
    /// Longer text is cut. Smaller would cut OpenAI's explanations, larger invites whole pages of HTML.
    pub const MAX_CHARS: usize = 300;

    /// Cleans `text`: runs of white space and control characters become one space, keys (`sk-…`, `ek_…`, `AGE-SECRET-KEY-…`) are
    /// masked.
    pub fn new(text: impl Display) -> Self {
        let text = text.to_string();
        let mut clean = String::new();
        for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
            if word.is_empty() {
                continue;
            }
            if !clean.is_empty() {
                clean.push(' ');
            }
            push_masked(&mut clean, word);
        }
        if let Some((end, _)) = clean.char_indices().nth(Self::MAX_CHARS) {
            clean.truncate(end);
            clean.push('…');
        }
        // The sentence it stands in goes on, or ends by itself.
        while clean.ends_with('.') {
            clean.pop();
        }
        Self(clean)
    }
}

impl Detail {
    /// Cleans what Asterisk says, and masks the phone numbers in it: Asterisk quotes extensions and the names of channels.
    pub fn of_asterisk(text: &str) -> Self {
        Self::new(mask_numbers(text))
    }
}

impl Display for Detail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Appends `word` with every key in it shortened to its prefix. OpenAI echoes keys half masked
/// (`sk-ab***yz`).
fn push_masked(clean: &mut String, word: &str) {
    let in_key = |c: char| c.is_ascii_alphanumeric() || "-_*".contains(c);
    let mut rest = word;
    while let Some(start) = rest.find(in_key) {
        let (before, from) = rest.split_at(start);
        let (token, after) = from.split_at(from.find(|c| !in_key(c)).unwrap_or(from.len()));
        clean.push_str(before);
        match ["sk-", "ek_", "AGE-SECRET-KEY-"].iter().find(|mark| token.starts_with(**mark)) {
            Some(mark) => {
                clean.push_str(mark);
                clean.push('…');
            }
            None => clean.push_str(token),
        }
        rest = after;
    }
    clean.push_str(rest);
}

/// A word that a server means for machines, `invalid_value` say: never a sentence, in which a server could quote a
/// caller or a key. Letters, digits and `_ . - [ ]`, at most [`Code::MAX_CHARS`] of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Code(String);

impl Code {
    /// Longer is no word. OpenAI's longest have about 50 characters.
    pub const MAX_CHARS: usize = 80;

    /// The word, if `text` is one; otherwise empty.
    pub fn new(text: &str) -> Self {
        let is_in_word = |c: char| c.is_ascii_alphanumeric() || "_.-[]".contains(c);
        // Nothing but digits is a telephone number rather than a code.
        let is_word = text.len() <= Self::MAX_CHARS && text.chars().all(is_in_word);
        let has_letter = text.chars().any(|c| c.is_ascii_alphabetic());
        Self(if is_word && has_letter { Detail::new(text).0 } else { String::new() })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a server complains of, in its own words for machines. Its words for people are not in it: they may quote a caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Complaint {
    /// The code, or the kind of error where there is no code.
    pub code: Code,
    /// The parameter that is wrong.
    pub param: Code,
}

impl Said for Complaint {
    fn said(&self, language: Language) -> String {
        let (none, parameter) = match language {
            Language::Spanish => ("sin código", "parámetro"),
            Language::English => ("no code", "parameter"),
        };
        let code = if self.code.is_empty() { none } else { &self.code.0 };
        if self.param.is_empty() { code.to_owned() } else { format!("{code}, {parameter} {}", self.param) }
    }
}

/// Why a connection with the model's server is gone, or never was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkFault {
    /// It broke, and nobody said why.
    Broken,
    /// The server reads more slowly than the caller speaks.
    TooSlow,
    /// It stands, and an answer that is owed does not come.
    Unanswered,
    /// Nothing came in this time.
    Late {
        /// Seconds.
        seconds: u64,
    },
    /// The server, or something on the way, answered with an HTTP status.
    Http {
        /// It.
        status: u16,
        /// The code in the body.
        code: Code,
    },
    /// The server closed it.
    Closed {
        /// The close code (RFC 6455, section 7.4).
        code: u16,
        /// The reason, if it is a word for machines.
        word: Code,
    },
    /// The server reported an error.
    Told(Complaint),
    /// The system or a library reported one, in its own words.
    System(Detail),
}

impl Said for LinkFault {
    fn said(&self, language: Language) -> String {
        self.words(language)
    }
}

impl LinkFault {
    /// The words for people.
    #[must_use]
    pub fn words(&self, language: Language) -> String {
        let say = |spanish: &str, english: &str| language.choose(spanish, english).to_owned();
        match self {
            Self::Broken => say("la conexión se cortó", "the connection broke"),
            Self::TooSlow => say("el servidor lee demasiado despacio", "the server reads too slowly"),
            Self::Unanswered => say("no llega ninguna respuesta", "no answer comes"),
            Self::Late { seconds } => match language {
                Language::Spanish => format!("sin respuesta en {seconds} s"),
                Language::English => format!("no answer within {seconds} s"),
            },
            Self::Http { status, code } => format!("HTTP {status} {code}").trim_end().to_owned(),
            Self::Closed { code, word } => {
                let closed = say("el servidor cerró la conexión", "the server closed the connection");
                format!("{closed}: {code} {word}").trim_end().to_owned()
            }
            Self::Told(complaint) => complaint.said(language),
            Self::System(detail) => detail.to_string(),
        }
    }
}

impl Said for Refused {
    fn said(&self, language: Language) -> String {
        match (self, language) {
            (_, Language::English) => self.to_string(),
            (Self::Headers, Language::Spanish) => {
                "hace falta una sola vez cada cabecera: webhook-id, webhook-timestamp y webhook-signature"
                    .to_owned()
            }
            (Self::Timestamp, Language::Spanish) => {
                "webhook-timestamp difiere en más de 300 s del reloj de este equipo".to_owned()
            }
            (Self::Signature, Language::Spanish) => "ninguna firma coincide".to_owned(),
        }
    }
}

/// What is done about an answer that does not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// It is cancelled, and asked for once more.
    AskAgain,
    /// The call was about to end and ends now.
    EndCall,
}

impl Said for Remedy {
    fn said(&self, language: Language) -> String {
        match (self, language) {
            (Self::AskAgain, Language::Spanish) => "se cancela y se le pide de nuevo",
            (Self::AskAgain, Language::English) => "it is cancelled and asked for again",
            (Self::EndCall, Language::Spanish) => "la llamada, que iba a terminar, termina sin despedida",
            (Self::EndCall, Language::English) => "the call, which was about to end, ends without a goodbye",
        }
        .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_becomes_one_short_line() {
        let page = format!("first\r\nsecond\x1b[31m\tthird {}", "x".repeat(1000));
        let text = Detail::new(page).to_string();
        assert!(text.starts_with("first second [31m third xxx"), "{text}");
        assert_eq!(text.chars().count(), Detail::MAX_CHARS + 1);
    }

    #[test]
    fn a_key_in_a_message_is_masked_and_a_desk_is_not() {
        let said = |text: &str| Detail::new(text).to_string();
        assert_eq!(
            said("Incorrect API key provided: sk-proj-ab*****yz. Check \"ek_12345\"."),
            "Incorrect API key provided: sk-…. Check \"ek_…\""
        );
        assert_eq!(said("PJSIP/desk-0001 café"), "PJSIP/desk-0001 café");
        assert_eq!(said("=AGE-SECRET-KEY-1QQ"), "=AGE-SECRET-KEY-…");
    }
}

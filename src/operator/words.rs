//! The parts a [`Notice`](super::Notice) is made of that have words of their own in each language: why a call
//! ended, what a setting may be, what was found instead, and text from outside.
//!
//! It does not hold sentences: those are in the table one floor up.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};

use super::Language;

/// Whether this is a yes, in either language: the answer to a question such as [`Notice::PurgeAsks`](super::Notice::PurgeAsks).
#[must_use]
pub fn is_yes(answer: &str) -> bool {
    ["s", "si", "sí", "y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

/// Anything that can stand in a sentence.
pub(super) trait Said {
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

said_as_displayed!(String, &'static str, u8, u16, u32, u64, usize, IpAddr, SocketAddr, Detail, Code);

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

/// An amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Millionths of a US dollar; `None`: unknown.
    pub micro_usd: Option<u64>,
    /// Something of it was guessed.
    pub estimated: bool,
}

impl Said for Cost {
    fn said(&self, language: Language) -> String {
        let (unknown, estimated) = match language {
            Language::Spanish => ("desconocido", " (estimado)"),
            Language::English => ("unknown", " (estimated)"),
        };
        self.micro_usd.map_or_else(
            || unknown.to_owned(),
            |micro| format!("{:.4} USD{}", micro as f64 / 1e6, if self.estimated { estimated } else { "" }),
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
        let say = |spanish: &str, english: &str| match language {
            Language::Spanish => spanish.to_owned(),
            Language::English => english.to_owned(),
        };
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

/// What stood in a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The value itself, cleaned and cut.
    Value(Detail),
    /// A secret, which is not shown.
    Hidden,
}

impl Found {
    /// What stood in a variable that is no secret.
    #[must_use]
    pub fn value(text: &str) -> Self {
        Self::Value(Detail::new(text))
    }
}

impl Said for Found {
    fn said(&self, language: Language) -> String {
        match (self, language) {
            (Self::Value(text), Language::Spanish) => format!("«{text}»"),
            (Self::Value(text), Language::English) => format!("\"{text}\""),
            (Self::Hidden, Language::Spanish) => "(valor oculto)".to_owned(),
            (Self::Hidden, Language::English) => "(hidden)".to_owned(),
        }
    }
}

/// What a variable may hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Allowed {
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One of these words, or `none`.
    NoneOrOneOf(&'static [&'static str]),
    /// A whole number, both ends included.
    Integer {
        /// Smallest.
        from: u64,
        /// Largest.
        to: u64,
    },
    /// A whole number, both ends included, or 0.
    ZeroOrInteger {
        /// Smallest but 0.
        from: u64,
        /// Largest.
        to: u64,
    },
    /// A whole number, both ends included, or `inf`.
    IntegerOrInf {
        /// Smallest.
        from: u64,
        /// Largest.
        to: u64,
    },
    /// A number, both ends included, or 0.
    ZeroOrDecimal {
        /// Smallest but 0.
        from: f64,
        /// Largest.
        to: f64,
    },
    /// A number, both ends included.
    Decimal {
        /// Smallest.
        from: f64,
        /// Largest.
        to: f64,
    },
    /// An address of this machine that Asterisk can send to.
    LocalIp,
    /// A host name or an IP address.
    Host,
    /// A range `first-last` with at least one even port.
    PortRange,
    /// A WebSocket or HTTP address.
    Url,
    /// ASCII letters, digits, `-`, `_` and `.`.
    Name,
    /// Letters, digits and signs of ASCII without spaces.
    Token,
    /// Some of these words with commas between them, or `none`.
    NoneOrSomeOf(&'static [&'static str]),
    /// A public key of `age`.
    AgeRecipient,
    /// A file with a secret key of `age`; `cause` says what is wrong with this one.
    AgeIdentityFile {
        /// The system's words, or ours.
        cause: Detail,
    },
    /// The name of a context or an extension.
    DialplanName,
    /// Names of destinations with their places.
    Destinations,
    /// Anything without control characters and colons.
    UserName,
    /// The address of the call log.
    Database,
    /// An IP address and a port.
    SocketAddress,
    /// IP addresses and networks.
    Networks,
    /// The tokens of the API.
    Tokens,
    /// UTF-8 text in one line.
    Line,
    /// Anything but a key: the variable's value is shown.
    NoKey,
    /// The path of a file or folder, without `~`.
    Path,
    /// A language code such as `es`.
    LanguageCode,
    /// The country code of a line, such as 57.
    CountryCode,
    /// A level or a tracing filter.
    LogFilter,
    /// A text file we can read; `cause` says what is wrong with this one.
    TextFile {
        /// The system's words.
        cause: Detail,
    },
    /// An audio file we can read; `cause` says what is wrong with this one.
    AudioFile {
        /// The system's words.
        cause: Detail,
    },
    /// A file of raw µ-law audio, 8 kHz, with something in it, of at most `seconds`.
    AudioFileSize {
        /// Longest.
        seconds: usize,
    },
    /// A file with prices; `cause` says what is wrong with this one.
    PricesFile {
        /// Line, key and what is wrong there, or the system's words.
        cause: Detail,
    },
    /// A text file with something in it, of at most `kib` KiB.
    TextFileSize {
        /// Largest size.
        kib: u64,
    },
}

impl Said for Allowed {
    #[rustfmt::skip]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn said(&self, language: Language) -> String {
        let say = |spanish: String, english: String| match language {
            Language::Spanish => spanish,
            Language::English => english,
        };
        match self {
            Self::OneOf(words) => words.join(", "),
            Self::NoneOrOneOf(words) => format!("none, {}", words.join(", ")),
            Self::Integer { from, to } => say(
                format!("un número entero de {from} a {to}"),
                format!("a whole number from {from} to {to}")),
            Self::ZeroOrInteger { from, to } => say(
                format!("0, o un número entero de {from} a {to}"),
                format!("0, or a whole number from {from} to {to}")),
            Self::IntegerOrInf { from, to } => say(
                format!("inf, o un número entero de {from} a {to}"),
                format!("inf, or a whole number from {from} to {to}")),
            Self::Decimal { from, to } => say(
                format!("un número de {from} a {to}, con punto decimal"),
                format!("a number from {from} to {to}, with a decimal point")),
            Self::ZeroOrDecimal { from, to } => say(
                format!("0, o un número de {from} a {to}, con punto decimal"),
                format!("0, or a number from {from} to {to}, with a decimal point")),
            Self::LocalIp => say(
                "la dirección IP de este equipo a la que Asterisk envía el audio, p. ej. 192.168.1.100 (no 0.0.0.0)".into(),
                "the IP address of this machine to which Asterisk sends the audio, e.g. 192.168.1.100 (not 0.0.0.0)".into()),
            Self::Host => say(
                "un nombre de equipo o una dirección IP, sin http:// ni puerto".into(),
                "a host name or an IP address, without http:// or port".into()),
            Self::PortRange => say(
                "primero-último, de 1024 a 65535, con al menos un puerto par, p. ej. 10000-20000".into(),
                "first-last, from 1024 to 65535, with at least one even port, e.g. 10000-20000".into()),
            Self::Url => say(
                "una dirección wss://, ws://, https:// o http://, sin usuario ni #".into(),
                "a wss://, ws://, https:// or http:// address, without user or #".into()),
            Self::Name => say(
                "letras y cifras ASCII, guion, guion bajo y punto".into(),
                "ASCII letters and digits, hyphen, underscore and dot".into()),
            Self::Token => say(
                "letras, cifras y signos ASCII, sin espacios".into(),
                "ASCII letters, digits and signs, without spaces".into()),
            Self::NoneOrSomeOf(words) => say(
                format!("none, o una o varias de estas palabras separadas por comas: {}", words.join(", ")),
                format!("none, or one or several of these words, separated by commas: {}", words.join(", "))),
            Self::AgeRecipient => say(
                "una clave pública de age (age1…), como la escribe age-keygen".into(),
                "a public key of age (age1…), as age-keygen writes it".into()),
            Self::AgeIdentityFile { cause } => say(
                format!("un archivo legible con una clave secreta de age (AGE-SECRET-KEY-1…), como lo escribe age-keygen ({cause})"),
                format!("a readable file with a secret key of age (AGE-SECRET-KEY-1…), as age-keygen writes it ({cause})")),
            Self::DialplanName => say(
                "letras y cifras ASCII y los signos - _ . + * #".into(),
                "ASCII letters and digits and the signs - _ . + * #".into()),
            Self::Destinations => say(
                "NOMBRE:contexto,extensión,prioridad, y punto y coma entre varios; cada nombre una sola vez".into(),
                "NAME:context,extension,priority, and semicolons between several; each name only once".into()),
            Self::UserName => say(
                "texto sin dos puntos ni caracteres de control".into(),
                "text without colons or control characters".into()),
            Self::Database => say(
                "sqlite:RUTA, mysql://USUARIO:CLAVE@EQUIPO:PUERTO/BASE (signos especiales de la clave como %40), o vacío".into(),
                "sqlite:PATH, mysql://USER:PASSWORD@HOST:PORT/DATABASE (special characters of the password as %40), or empty".into()),
            Self::SocketAddress => say(
                "dirección IP y puerto, p. ej. 127.0.0.1:5001 o [::1]:5001".into(),
                "IP address and port, e.g. 127.0.0.1:5001 or [::1]:5001".into()),
            Self::Networks => say(
                "direcciones IP o redes separadas por comas, p. ej. 127.0.0.1,10.0.0.0/8".into(),
                "IP addresses or networks separated by commas, e.g. 127.0.0.1,10.0.0.0/8".into()),
            Self::Tokens => say(
                "tokens separados por comas, cada uno SECRETO, reader:SECRETO o reader/NOMBRE:SECRETO; sin espacios ni dos puntos en SECRETO".into(),
                "tokens separated by commas, each SECRET, reader:SECRET or reader/NAME:SECRET; no spaces or colons in SECRET".into()),
            Self::Line => say(
                "texto UTF-8 en una sola línea".into(),
                "UTF-8 text in a single line".into()),
            Self::NoKey => say(
                "cualquier cosa menos una clave secreta, que aquí se mostraría".into(),
                "anything but a secret key, which would be shown here".into()),
            Self::Path => say(
                "una ruta completa; «~» no se sustituye por la carpeta personal".into(),
                "a whole path; ~ is not replaced by the home folder".into()),
            Self::LanguageCode => say(
                "un código de idioma como es o en, o vacío".into(),
                "a language code such as es or en, or empty".into()),
            Self::CountryCode => say(
                "el código de un país, de una a tres cifras, como 57, o vacío".into(),
                "the code of a country, one to three digits, such as 57, or empty".into()),
            Self::LogFilter => say(
                "off, error, warn, info, debug, trace, o un filtro como openai_inbound_calls=debug".into(),
                "off, error, warn, info, debug, trace, or a filter such as openai_inbound_calls=debug".into()),
            Self::TextFile { cause } => say(
                format!("un archivo de texto UTF-8 que se pueda leer ({cause})"),
                format!("a UTF-8 text file that can be read ({cause})")),
            Self::AudioFile { cause } => say(
                format!("un archivo de audio .ulaw que se pueda leer, none, o vacío ({cause})"),
                format!("a .ulaw audio file that can be read, none, or empty ({cause})")),
            Self::AudioFileSize { seconds } => say(
                format!("un archivo de audio no vacío de hasta {seconds} s, G.711 µ-law de 8 kHz sin cabecera, \
                    como lo escribe «sox VOZ.wav -r 8000 -c 1 VOZ.ulaw»"),
                format!("an audio file that is not empty, of at most {seconds} s, G.711 µ-law at 8 kHz without header, \
                    as \"sox VOICE.wav -r 8000 -c 1 VOICE.ulaw\" writes it")),
            Self::PricesFile { cause } => say(
                format!("un archivo TOML con precios ({cause})"),
                format!("a TOML file with prices ({cause})")),
            Self::TextFileSize { kib } => say(
                format!("un archivo de texto no vacío de hasta {kib} KiB"),
                format!("a text file that is not empty, of at most {kib} KiB")),
        }
    }
}

/// Why a call ended, or why its caller goes on in the dialplan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The caller's channel went away: the ordinary end.
    CallerHungUp,
    /// The model ended the conversation.
    AssistantHungUp,
    /// The model transferred the caller.
    Transferred,
    /// A supervisor ended it, by the API or the dashboard.
    SupervisorHungUp,
    /// A supervisor handed the caller over.
    SupervisorTransferred,
    /// The call was as long as a call may be.
    MaxDuration,
    /// The caller did not speak any more.
    CallerSilent,
    /// No sound came from the caller's telephone any more.
    NoAudio,
    /// The call had used as many tokens as a call may use.
    TokenLimit,
    /// The call had cost as much as a call may cost.
    CostLimit,
    /// The day's calls had cost as much as they may: the caller was not taken at all.
    DayCostLimit,
    /// The caller had called as often as one caller may within an hour: they were not taken at all.
    CallerLimit,
    /// There were as many calls as there may be, or the daemon stops: the caller was not taken at all.
    Busy,
    /// The daemon stops and the time for live calls is over.
    Shutdown,
    /// The model refused the session for good: key, quota, model, settings.
    SessionFailed,
    /// The session was not open in time.
    SessionLate,
    /// The session broke in the middle of the call.
    SessionLost,
    /// No RTP port was free.
    NoPort,
    /// Asterisk refused or lost the bridge or the media channel.
    SetupFailed,
    /// The media channel went away in the middle of the call.
    MediaLost,
    /// The model failed to answer, several times in a row.
    ModelFailed,
    /// Asterisk itself went away.
    AsteriskLost,
    /// Another program that registered our ARI application serves the caller now.
    TakenOver,
    /// A defect of ours.
    Internal,
    /// The daemon was killed or the power failed; only a recording says so, afterwards.
    Recovered,
}

impl EndReason {
    /// Every reason, for tables and tests.
    pub const ALL: [Self; 25] = [
        Self::CallerHungUp,
        Self::AssistantHungUp,
        Self::Transferred,
        Self::SupervisorHungUp,
        Self::SupervisorTransferred,
        Self::MaxDuration,
        Self::CallerSilent,
        Self::NoAudio,
        Self::TokenLimit,
        Self::CostLimit,
        Self::DayCostLimit,
        Self::CallerLimit,
        Self::Busy,
        Self::Shutdown,
        Self::SessionFailed,
        Self::SessionLate,
        Self::SessionLost,
        Self::NoPort,
        Self::SetupFailed,
        Self::MediaLost,
        Self::ModelFailed,
        Self::AsteriskLost,
        Self::TakenOver,
        Self::Internal,
        Self::Recovered,
    ];

    /// The reason of a code, if it is one of ours.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// The stable word for machines: call log, metrics, channel variables.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.row().0
    }

    /// The words for people.
    #[must_use]
    pub const fn words(self, language: Language) -> &'static str {
        let (_, spanish, english) = self.row();
        match language {
            Language::Spanish => spanish,
            Language::English => english,
        }
    }

    #[rustfmt::skip]
    const fn row(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::CallerHungUp => ("caller_hung_up", "el llamante colgó", "the caller hung up"),
            Self::AssistantHungUp => ("assistant_hung_up", "el asistente colgó", "the assistant hung up"),
            Self::Transferred => ("transferred", "transferida por el asistente", "transferred by the assistant"),
            Self::SupervisorHungUp => ("supervisor_hung_up", "un supervisor colgó", "a supervisor hung up"),
            Self::SupervisorTransferred => ("supervisor_transferred", "transferida por un supervisor", "transferred by a supervisor"),
            Self::MaxDuration => ("max_duration", "duración máxima alcanzada", "maximum duration reached"),
            Self::CallerSilent => ("caller_silent", "el llamante dejó de hablar", "the caller stopped speaking"),
            Self::NoAudio => ("no_audio", "dejó de llegar audio del llamante", "no audio came from the caller any more"),
            Self::TokenLimit => ("token_limit", "límite de consumo de la llamada alcanzado", "the call's token limit was reached"),
            Self::CostLimit => ("cost_limit", "coste máximo de la llamada alcanzado", "the call's cost limit was reached"),
            Self::DayCostLimit => ("day_cost_limit", "coste máximo del día alcanzado", "the day's cost limit was reached"),
            Self::CallerLimit => ("caller_limit", "demasiadas llamadas del mismo número en una hora", "too many calls from the same number in an hour"),
            Self::Busy => ("busy", "no se admiten más llamadas", "no more calls are taken"),
            Self::Shutdown => ("shutdown", "el servicio se detiene", "the daemon is stopping"),
            Self::SessionFailed => ("session_failed", "OpenAI rechazó la sesión", "OpenAI refused the session"),
            Self::SessionLate => ("session_late", "OpenAI no respondió a tiempo", "OpenAI did not answer in time"),
            Self::SessionLost => ("session_lost", "se perdió la conexión con OpenAI", "the connection with OpenAI was lost"),
            Self::NoPort => ("no_port", "no quedaba ningún puerto RTP libre", "no RTP port was free"),
            Self::SetupFailed => ("setup_failed", "Asterisk no pudo conectar el audio", "Asterisk could not connect the audio"),
            Self::MediaLost => ("media_lost", "se perdió el canal de audio", "the audio channel was lost"),
            Self::ModelFailed => ("model_failed", "el modelo no respondió", "the model did not answer"),
            Self::AsteriskLost => ("asterisk_lost", "se perdió Asterisk", "Asterisk was lost"),
            Self::TakenOver => ("taken_over", "otro programa se hizo cargo de la llamada", "another program took the call over"),
            Self::Internal => ("internal", "error interno", "internal error"),
            Self::Recovered => ("recovered", "el servicio se interrumpió durante la llamada", "the daemon was cut off during the call"),
        }
    }
}

impl Said for EndReason {
    fn said(&self, language: Language) -> String {
        self.words(language).to_owned()
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

    #[test]
    fn every_reason_has_its_own_code_and_words() {
        let mut codes = EndReason::ALL.map(EndReason::code).to_vec();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), EndReason::ALL.len());
        for reason in EndReason::ALL {
            assert!(reason.code().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            assert_ne!(reason.words(Language::Spanish), reason.words(Language::English));
        }
    }
}

//! What is said of the value of a variable: what stands in it, what may stand in it, and where it comes from.
//!
//! It does not judge values: that is the configuration's.

use super::words::Said;
use super::{Detail, Language};

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
    /// A folder we can read; `cause` says what is wrong with this one.
    Folder {
        /// The system's words.
        cause: Detail,
    },
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
    /// A file of raw µ-law audio, 8 kHz, with at least 0.2 s in it, and at most `seconds`.
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
    /// Words with commas between them.
    Keywords {
        /// The largest number of words.
        most: usize,
        /// The longest word, in characters.
        chars: usize,
    },
    /// The secrets of OpenAI's webhook.
    WebhookSecrets,
    /// The path of a URL.
    UrlPath,
    /// An HTTP address.
    HttpUrl,
    /// The name and the value of a SIP header, or `none`.
    SipHeader,
    /// The route `sip` needs other variables, of which these are missing.
    SipRoute {
        /// Their names, with commas between them.
        missing: String,
    },
    /// The host of SIP URIs, with or without a port.
    SipHost,
    /// A text of at most so many characters.
    ShortText {
        /// The longest text, in characters.
        chars: usize,
    },
}

impl Allowed {
    /// The same for the calls that OpenAI answers.
    #[rustfmt::skip]
    const fn fixed_of_sip(&self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::WebhookSecrets => ("los secretos del webhook separados por comas, como los muestra platform.openai.com (whsec_…)",
                "the secrets of the webhook separated by commas, as platform.openai.com shows them (whsec_…)"),
            Self::UrlPath => ("una ruta como /webhook: letras, cifras y los signos - _ . ~ /",
                "a path such as /webhook: letters, digits and the signs - _ . ~ /"),
            Self::HttpUrl => ("una dirección https:// o http://, sin usuario, ? ni #",
                "an https:// or http:// address, without user, ? or #"),
            Self::SipHeader => ("NOMBRE: VALOR, con un VALOR de 8 signos o más que solo la troncal conoce, o none; con OPENAI_WEBHOOK_SECRET hay que elegir",
                "NAME: VALUE, with a VALUE of 8 characters or more that only the trunk knows, or none; with OPENAI_WEBHOOK_SECRET one must be chosen"),
            Self::SipHost => ("un nombre de equipo o una dirección IP, con o sin puerto, sin sip:",
                "a host name or an IP address, with or without port, without sip:"),
            _ => return None,
        })
    }

    /// The Spanish and the English words, where they contain no value. The others are made in `Said::said`.
    #[rustfmt::skip]
    const fn fixed(&self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::LocalIp => ("la dirección IP de este equipo a la que Asterisk envía el audio, p. ej. 192.168.1.100 (no 0.0.0.0)",
                "the IP address of this machine to which Asterisk sends the audio, e.g. 192.168.1.100 (not 0.0.0.0)"),
            Self::Host => ("un nombre de equipo o una dirección IP, sin http:// ni puerto",
                "a host name or an IP address, without http:// or port"),
            Self::PortRange => ("primero-último, de 1024 a 65535, con al menos un puerto par, p. ej. 10000-20000",
                "first-last, from 1024 to 65535, with at least one even port, e.g. 10000-20000"),
            Self::Url => ("una dirección wss://, ws://, https:// o http://, sin usuario ni #",
                "a wss://, ws://, https:// or http:// address, without user or #"),
            Self::Name => ("letras y cifras ASCII, guion, guion bajo y punto",
                "ASCII letters and digits, hyphen, underscore and dot"),
            Self::Token => ("letras, cifras y signos ASCII, sin espacios",
                "ASCII letters, digits and signs, without spaces"),
            Self::AgeRecipient => ("una clave pública de age (age1…), como la escribe age-keygen",
                "a public key of age (age1…), as age-keygen writes it"),
            Self::DialplanName => ("letras y cifras ASCII y los signos - _ . + * #",
                "ASCII letters and digits and the signs - _ . + * #"),
            Self::Destinations => ("NOMBRE:contexto,extensión,prioridad, y punto y coma entre varios; cada nombre una sola vez",
                "NAME:context,extension,priority, and semicolons between several; each name only once"),
            Self::UserName => ("texto sin dos puntos ni caracteres de control",
                "text without colons or control characters"),
            Self::Database => ("sqlite:RUTA, mysql://USUARIO:CLAVE@EQUIPO:PUERTO/BASE (signos especiales de la clave como %40), o vacío",
                "sqlite:PATH, mysql://USER:PASSWORD@HOST:PORT/DATABASE (special characters of the password as %40), or empty"),
            Self::SocketAddress => ("dirección IP y puerto, p. ej. 127.0.0.1:5001 o [::1]:5001",
                "IP address and port, e.g. 127.0.0.1:5001 or [::1]:5001"),
            Self::Networks => ("direcciones IP o redes separadas por comas, p. ej. 127.0.0.1,10.0.0.0/8",
                "IP addresses or networks separated by commas, e.g. 127.0.0.1,10.0.0.0/8"),
            Self::Tokens => ("tokens separados por comas, cada uno SECRETO, reader:SECRETO o reader/NOMBRE:SECRETO; sin espacios ni dos puntos en SECRETO",
                "tokens separated by commas, each SECRET, reader:SECRET or reader/NAME:SECRET; no spaces or colons in SECRET"),
            Self::Line => ("texto UTF-8 en una sola línea",
                "UTF-8 text in a single line"),
            Self::NoKey => ("cualquier cosa menos una clave secreta, que aquí se mostraría",
                "anything but a secret key, which would be shown here"),
            Self::Path => ("una ruta completa; «~» no se sustituye por la carpeta personal",
                "a full path; ~ is not replaced by the home folder"),
            Self::LanguageCode => ("un código de idioma como es o en, o vacío",
                "a language code such as es or en, or empty"),
            Self::CountryCode => ("el código de un país, de una a tres cifras, como 57, o vacío",
                "the code of a country, one to three digits, such as 57, or empty"),
            Self::LogFilter => ("off, error, warn, info, debug, trace, o un filtro como openai_inbound_calls=debug",
                "off, error, warn, info, debug, trace, or a filter such as openai_inbound_calls=debug"),
            Self::OneOf(..)
            | Self::NoneOrOneOf(..)
            | Self::Integer { .. }
            | Self::ZeroOrInteger { .. }
            | Self::IntegerOrInf { .. }
            | Self::Decimal { .. }
            | Self::ZeroOrDecimal { .. }
            | Self::NoneOrSomeOf(..)
            | Self::AgeIdentityFile { .. }
            | Self::Folder { .. }
            | Self::TextFile { .. }
            | Self::AudioFile { .. } | Self::AudioFileSize { .. }
            | Self::WebhookSecrets | Self::UrlPath | Self::HttpUrl | Self::SipHeader | Self::SipHost | Self::SipRoute { .. }
            | Self::PricesFile { .. }
            | Self::Keywords { .. } | Self::ShortText { .. }
            | Self::TextFileSize { .. } => return None,
        })
    }
}

impl Said for Allowed {
    #[rustfmt::skip]
    fn said(&self, language: Language) -> String {
        if let Some((spanish, english)) = self.fixed().or(self.fixed_of_sip()) {
            return language.choose(spanish, english).to_owned();
        }
        let say = |spanish: String, english: String| match language {
            Language::Spanish => spanish,
            Language::English => english,
        };
        match self {
            Self::OneOf(words) => words.join(", "),
            Self::NoneOrOneOf(words) => format!("none, {}", words.join(", ")),
            Self::Integer { from, to } => say(
                format!("un número entero de {from} a {to}"), format!("a whole number from {from} to {to}")),
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
            Self::NoneOrSomeOf(words) => say(
                format!("none, o una o varias de estas palabras separadas por comas: {}", words.join(", ")),
                format!("none, or one or several of these words, separated by commas: {}", words.join(", "))),
            Self::AgeIdentityFile { cause } => say(
                format!("un archivo legible con una clave secreta de age (AGE-SECRET-KEY-1…), como lo escribe age-keygen ({cause})"),
                format!("a readable file with a secret key of age (AGE-SECRET-KEY-1…), as age-keygen writes it ({cause})")),
            Self::Folder { cause } => say(
                format!("una carpeta que se pueda leer ({cause})"), format!("a folder that can be read ({cause})")),
            Self::TextFile { cause } => say(
                format!("un archivo de texto UTF-8 que se pueda leer ({cause})"),
                format!("a UTF-8 text file that can be read ({cause})")),
            Self::AudioFile { cause } => say(
                format!("un archivo de audio .ulaw que se pueda leer, none, o vacío ({cause})"),
                format!("a .ulaw audio file that can be read, none, or empty ({cause})")),
            Self::AudioFileSize { seconds } => say(
                format!("un archivo de audio de 0,2 a {seconds} s, G.711 µ-law de 8 kHz sin cabecera, \
                    como lo escribe «sox VOZ.wav -r 8000 -c 1 VOZ.ulaw»"),
                format!("an audio file of 0.2 to {seconds} s, G.711 µ-law at 8 kHz without header, \
                    as \"sox VOICE.wav -r 8000 -c 1 VOICE.ulaw\" writes it")),
            Self::PricesFile { cause } => say(
                format!("un archivo TOML con precios ({cause})"), format!("a TOML file with prices ({cause})")),
            Self::TextFileSize { kib } => say(
                format!("un archivo de texto no vacío de hasta {kib} KiB"),
                format!("a text file that is not empty, of at most {kib} KiB")),
            Self::Keywords { most, chars } => say(
                format!("palabras separadas por comas: hasta {most}, de hasta {chars} caracteres cada una"),
                format!("words separated by commas: at most {most}, of at most {chars} characters each")),
            Self::SipRoute { missing } => say(
                format!("media, o sip junto con {missing}, que falta definir"),
                format!("media, or sip together with {missing}, which must still be set")),
            Self::ShortText { chars } => say(
                format!("un texto de hasta {chars} caracteres"), format!("a text of at most {chars} characters")),
            _ => unreachable!("the words without a value are in `fixed`"),
        }
    }
}

/// Where a variable is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the environment of the process.
    Environment {
        /// The line of `.env`, counted from 1, that sets the variable too and therefore does not count.
        overridden: Option<usize>,
    },
    /// In `.env`.
    File {
        /// Counted from 1.
        line: usize,
    },
}

impl Said for Place {
    fn said(&self, language: Language) -> String {
        match (self, language) {
            (Self::Environment { overridden: None }, Language::Spanish) => "entorno".to_owned(),
            (Self::Environment { overridden: None }, Language::English) => "environment".to_owned(),
            (Self::Environment { overridden: Some(line) }, Language::Spanish) => {
                format!("entorno; la línea {line} de .env no cuenta")
            }
            (Self::Environment { overridden: Some(line) }, Language::English) => {
                format!("environment; line {line} of .env does not count")
            }
            (Self::File { line }, Language::Spanish) => format!(".env, línea {line}"),
            (Self::File { line }, Language::English) => format!(".env, line {line}"),
        }
    }
}

/// Where the value of a variable comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is set here.
    Set(Place),
    /// It is set here, but empty, which means its default.
    Emptied(Place),
    /// Nobody sets it: it has its default.
    Default,
}

impl Origin {
    /// The words for people.
    #[must_use]
    pub fn words(self, language: Language) -> String {
        match (self, language) {
            (Self::Set(place), _) => place.said(language),
            (Self::Emptied(place), Language::Spanish) => {
                format!("por defecto; vacía en: {}", place.said(language))
            }
            (Self::Emptied(place), Language::English) => {
                format!("default; empty in: {}", place.said(language))
            }
            (Self::Default, Language::Spanish) => "por defecto".to_owned(),
            (Self::Default, Language::English) => "default".to_owned(),
        }
    }
}

/// What a list of variables says where there is no value to show, and at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remark {
    /// In place of a value that is not shown.
    Hidden,
    /// In place of a value that is empty.
    Empty,
    /// In place of the value of a required variable that nobody sets.
    Missing,
    /// In place of a value that cannot be read.
    Unreadable,
    /// At the end: the daemon could start.
    Valid,
    /// At the end: it could not.
    Invalid,
}

impl Remark {
    /// The words for people.
    #[must_use]
    pub const fn words(self, language: Language) -> &'static str {
        let (spanish, english) = match self {
            Self::Hidden => ("(valor oculto)", "(hidden)"),
            Self::Empty => ("(vacía)", "(empty)"),
            Self::Missing => ("(falta)", "(missing)"),
            Self::Unreadable => ("(no se entiende)", "(cannot be read)"),
            Self::Valid => ("La configuración es válida", "The configuration is valid"),
            Self::Invalid => ("La configuración no es válida", "The configuration is not valid"),
        };
        language.choose(spanish, english)
    }
}

//! What is wrong in the file of an agent.

use super::tool_fault::SectionFault;
use super::words::{Said, there_are};
use super::{Allowed, Detail, Found, Language};
use crate::agents::PatternError;
use crate::tool::ToolFault;

/// One fault in the file of an agent.
#[derive(Clone, Debug, PartialEq)]
pub enum AgentFault {
    /// The file cannot be read, or is too large.
    Unreadable {
        /// The words of the system.
        cause: Detail,
    },
    /// The text is not TOML.
    Syntax {
        /// The words of the parser.
        message: Detail,
    },
    /// The name of the file cannot be the name of an agent.
    Name,
    /// No such key exists.
    UnknownKey {
        /// The key as written.
        key: Detail,
        /// The key that was probably meant.
        meant: Option<&'static str>,
    },
    /// The key is one of the agent, and stands in another table.
    KeyOfAgent {
        /// The key as written.
        key: Detail,
    },
    /// The value is of the wrong kind.
    Kind {
        /// The key.
        key: &'static str,
        /// The kind that is needed.
        wanted: ValueKind,
    },
    /// The value cannot be used.
    Value {
        /// The key.
        key: &'static str,
        /// The value.
        found: Found,
        /// What the key may hold.
        allowed: Allowed,
    },
    /// The text is neither a number nor a pattern of Asterisk.
    Pattern {
        /// The text.
        found: Detail,
        /// What is wrong with it.
        cause: PatternError,
    },
    /// Two agents are responsible for the same number.
    NumberTaken {
        /// The number or pattern in this file.
        number: Detail,
        /// The other agent.
        other: String,
        /// The number or pattern of the other agent.
        by: Detail,
    },
    /// The text is not a line of opening hours.
    Hours {
        /// The text.
        found: Detail,
    },
    /// The text is not a day.
    Holiday {
        /// The text.
        found: Detail,
    },
    /// The agent has hours or holidays, and nobody takes its calls when it is closed.
    ClosedMissing,
    /// `closed` names an agent, and this agent is never closed.
    ClosedUnused,
    /// No agent has the name in `closed`.
    ClosedUnknown {
        /// The name.
        name: Detail,
    },
    /// The agent in `closed` is closed at times itself.
    ClosedCloses {
        /// The name.
        name: Detail,
    },
    /// No destination has this name.
    TransferUnknown {
        /// The name.
        name: Detail,
        /// The names in `TRANSFER_DESTINATIONS`.
        known: String,
    },
    /// Something is wrong in a tool or a look-up, or in the files that an agent uses.
    Section {
        /// What.
        fault: SectionFault,
    },
    /// Something is wrong in a request, a template or the parameters.
    Tool {
        /// What.
        fault: ToolFault,
    },
    /// There are more agents than there may be.
    TooMany {
        /// How many there may be.
        most: usize,
    },
}

impl From<SectionFault> for AgentFault {
    fn from(fault: SectionFault) -> Self {
        Self::Section { fault }
    }
}

impl From<ToolFault> for AgentFault {
    fn from(fault: ToolFault) -> Self {
        Self::Tool { fault }
    }
}

/// The kind of a value in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// A text.
    Text,
    /// A list of texts.
    Texts,
    /// A text, a number, or `true` or `false`.
    Scalar,
    /// `true` or `false`.
    Bool,
    /// A table.
    Table,
    /// Tables, each under a line with the key in double brackets.
    Tables,
}

impl Said for ValueKind {
    fn said(&self, language: Language) -> String {
        let (spanish, english) = match self {
            Self::Text => ("un texto entre comillas", "a text in quotes"),
            Self::Texts => {
                ("una lista de textos, como [\"a\", \"b\"]", "a list of texts, such as [\"a\", \"b\"]")
            }
            Self::Scalar => (
                "un texto entre comillas, un número, true o false",
                "a text in quotes, a number, true or false",
            ),
            Self::Bool => ("true o false", "true or false"),
            Self::Table => ("una tabla, como { a = \"b\" }", "a table, such as { a = \"b\" }"),
            Self::Tables => (
                "una tabla bajo una línea con la clave entre [[ ]]",
                "a table below a line with the key in [[ ]]",
            ),
        };
        language.choose(spanish, english).to_owned()
    }
}

impl Said for PatternError {
    fn said(&self, language: Language) -> String {
        let (spanish, english) = match self {
            Self::Empty => ("está vacío", "it is empty"),
            Self::TooLong => ("es demasiado largo", "it is too long"),
            Self::Character => {
                ("solo puede tener caracteres ASCII visibles", "it may have only visible ASCII characters")
            }
            Self::Set => {
                ("los caracteres entre [ ] no forman un conjunto", "the characters in [ ] are not a set")
            }
            Self::NoUnderscore => ("un patrón empieza con _", "a pattern begins with _"),
            Self::AfterEnd => ("nada puede seguir a . o !", "nothing may follow . or !"),
        };
        language.choose(spanish, english).to_owned()
    }
}

impl Said for AgentFault {
    #[rustfmt::skip]
    fn said(&self, language: Language) -> String {
        let say = |spanish: String, english: String| match language {
            Language::Spanish => spanish,
            Language::English => english,
        };
        match self {
            Self::Unreadable { cause } => say(format!("no se puede leer ({cause})"), format!("it cannot be read ({cause})")),
            Self::Syntax { message } => say(
                format!("no es TOML válido ({message})"),
                format!("it is not valid TOML ({message})")),
            Self::Name => say(
                "el nombre del archivo, sin .toml, es el del agente: de 1 a 64 letras y cifras ASCII, - y _".into(),
                "the name of the file, without .toml, is the agent's: 1 to 64 ASCII letters and digits, - and _".into()),
            Self::KeyOfAgent { key } => say(
                format!("{key} es una clave del agente: va en el archivo del agente, antes de la primera [sección]"),
                format!("{key} is a key of the agent: it belongs into the agent's file, above the first [section]")),
            Self::UnknownKey { key, meant: None } => say(format!("clave desconocida: {key}"), format!("unknown key: {key}")),
            Self::UnknownKey { key, meant: Some(meant) } => say(
                format!("clave desconocida: {key}. ¿Quiso decir {meant}?"),
                format!("unknown key: {key}. Did you mean {meant}?")),
            Self::Kind { key, wanted } => {
                let wanted = wanted.said(language);
                say(format!("{key} debe ser {wanted}"), format!("{key} must be {wanted}"))
            }
            Self::Value { key, found, allowed } => {
                let (found, allowed) = (found.said(language), allowed.said(language));
                say(format!("valor no válido en {key}: {found}. Se admite: {allowed}"),
                    format!("invalid value in {key}: {found}. Allowed: {allowed}"))
            }
            Self::Pattern { found, cause } => {
                let cause = cause.said(language);
                say(format!("«{found}» no es un número ni un patrón de Asterisk: {cause}"),
                    format!("\"{found}\" is neither a number nor a pattern of Asterisk: {cause}"))
            }
            Self::NumberTaken { number, other, by } => say(
                format!("el número {number} ya es del agente {other} ({by})"),
                format!("the number {number} already belongs to the agent {other} ({by})")),
            Self::Hours { found } => say(
                format!("«{found}» no es un horario como \"Lun-Vie 08:00-13:00,14:00-18:00\""),
                format!("\"{found}\" are no hours such as \"Mon-Fri 08:00-13:00,14:00-18:00\"")),
            Self::Holiday { found } => say(
                format!("«{found}» no es un día como \"2026-12-25\", ni \"12-25\" para todos los años"),
                format!("\"{found}\" is no day such as \"2026-12-25\", or \"12-25\" for every year")),
            Self::ClosedMissing | Self::ClosedUnused | Self::ClosedUnknown { .. } | Self::ClosedCloses { .. } => of_closing(self, language),
            Self::TransferUnknown { name, known } => {
                let rest = there_are(known, language);
                say(format!("transfers nombra un destino que no está en TRANSFER_DESTINATIONS: {name}. {rest}"),
                    format!("transfers names a destination that is not in TRANSFER_DESTINATIONS: {name}. {rest}"))
            }
            Self::Section { fault } => fault.said(language),
            Self::Tool { fault } => fault.said(language),
            Self::TooMany { most } => say(format!("hay más de {most} archivos de agentes"), format!("there are more than {most} files of agents")),
        }
    }
}

/// What is said of the key `closed`.
#[rustfmt::skip]
fn of_closing(fault: &AgentFault, language: Language) -> String {
    let say = |spanish: String, english: String| match language {
        Language::Spanish => spanish,
        Language::English => english,
    };
    match fault {
        AgentFault::ClosedMissing => say(
            "falta closed: el agente que atiende fuera de este horario y en los feriados".into(),
            "closed is missing: the agent that takes the calls outside these hours and on holidays".into()),
        AgentFault::ClosedUnknown { name } => say(
            format!("closed nombra un agente que no existe: {name}"),
            format!("closed names an agent that does not exist: {name}")),
        AgentFault::ClosedCloses { name } => say(
            format!("closed nombra a {name}, que también tiene horario: allí nadie atendería"),
            format!("closed names {name}, which has hours itself: nobody would take the calls there")),
        _ => say(
            "closed no tiene efecto sin hours ni holidays".into(),
            "closed has no effect without hours or holidays".into()),
    }
}

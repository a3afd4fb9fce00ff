//! What the person on duty reads, as data: one [`Notice`] per thing worth telling, and one table with its
//! line in both languages.
//!
//! The README teaches people to grep for these lines, so they are an interface: one line per event, unchanged
//! between versions. This module does not log (that is `logging`), and it does not know when a notice is due
//! (that is the core's).
//!
//! A notice never carries a key, a spoken word or a phone number, except for the channel's name in its
//! promised line. Text that comes from outside (a server's message, the system's cause) enters only as
//! [`Detail`], which is cut and masked.
//!
//! | file | what |
//! |---|---|
//! | `notices` | the table of the lines |
//! | `lines` | the macro that builds such a table; the doctor's findings use it too |
//! | `words` | the parts of a line that have words of their own in each language |
//! | `dial_fault` | why OpenAI does not answer the call that Asterisk makes to it |
//! | `setting`, `agent_fault`, `tool_fault`, `tool_trouble`, `end_reason` | what is said of settings, of the files of agents and their tools, of tools in calls, and of why calls end |
//! | `foreign` | text that strangers wrote, made fit to be shown to a person |

mod agent_fault;
mod dial_fault;
mod end_reason;
pub mod foreign;
pub(crate) mod lines;
mod notices;
mod setting;
mod tool_fault;
mod tool_trouble;
mod words;

pub use agent_fault::{AgentFault, ValueKind};
pub use dial_fault::DialFault;
pub use notices::Notice;
pub use setting::{Allowed, Found, Origin, Place, Remark};
pub use tool_fault::SectionFault;
pub use tool_trouble::ToolTrouble;
pub use words::{Code, Complaint, Detail, LinkFault, Remedy, is_yes, weekday};
pub(crate) use words::{Said, there_are};

/// The language of the operator's lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// The promised lines, to the letter.
    #[default]
    Spanish,
    /// The same lines, translated.
    English,
}

impl Language {
    /// Selects the value of this language.
    #[must_use]
    pub const fn choose<T: Copy>(self, spanish: T, english: T) -> T {
        match self {
            Self::Spanish => spanish,
            Self::English => english,
        }
    }

    /// Formats a number with this many decimal places: `2,98` in Spanish, `2.98` in English.
    #[must_use]
    pub fn decimal(self, number: f64, places: usize) -> String {
        format!("{number:.places$}").replace('.', self.choose(",", "."))
    }
}

/// How serious a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What an operator would tell a colleague.
    Info,
    /// Something is degraded, but callers are served.
    Warn,
    /// A call or the daemon is lost.
    Error,
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::end_reason::EndReason;

    #[test]
    fn the_promised_lines_are_verbatim() {
        let promised = [
            (Notice::AriConnected, "Conexión ARI establecida"),
            (
                Notice::CallReceived { channel: "PJSIP/troncal-00000001".into() },
                "Nueva llamada recibida - Canal: PJSIP/troncal-00000001",
            ),
            (
                Notice::RtpBound { address: SocketAddr::from(([192, 168, 1, 100], 15234)) },
                "Socket RTP vinculado a 192.168.1.100:15234",
            ),
            (Notice::CodecDetected { codec: "ulaw".into() }, "Codec detectado: ulaw"),
            (Notice::SessionConnected, "Conexión WebSocket con OpenAI"),
            (Notice::SessionConfigured, "msg_type updated recibido, ahora enviaré audio chunks"),
            (Notice::AriLost, "Conexión cerrada, reintentando..."),
            (
                Notice::EnvironmentIncomplete { missing: vec!["OPENAI_API_KEY", "LOCAL_IP_ADDRESS"] },
                "Variables de ambiente requeridas no encontradas: OPENAI_API_KEY, LOCAL_IP_ADDRESS",
            ),
        ];
        for (notice, line) in promised {
            assert_eq!(notice.line(Language::Spanish), line);
            assert_ne!(notice.line(Language::English), line);
        }
    }

    #[test]
    fn what_the_readme_calls_an_error_is_one() {
        let missing = Notice::EnvironmentIncomplete { missing: vec![] };
        assert_eq!(missing.level(), Level::Error);
        assert_eq!(Notice::AriLost.level(), Level::Error);
        assert_eq!(Notice::AriConnected.level(), Level::Info);
    }

    #[test]
    fn reasons_and_limits_are_said_in_the_language_of_the_line() {
        let ended = Notice::CallEnded { seconds: 62, reason: EndReason::CallerHungUp };
        assert_eq!(
            ended.line(Language::Spanish),
            "Llamada terminada - Duración: 62 s - Motivo: el llamante colgó"
        );
        let invalid = Notice::SettingInvalid {
            variable: "OPENAI_SPEED",
            found: Found::value("0,9"),
            allowed: Allowed::Decimal { from: 0.25, to: 1.5 },
        };
        assert_eq!(
            invalid.line(Language::Spanish),
            "Valor no válido en OPENAI_SPEED: «0,9». Se admite: un número de 0.25 a 1.5, con punto decimal"
        );
        assert_eq!(
            invalid.line(Language::English),
            "Invalid value in OPENAI_SPEED: \"0,9\". Allowed: a number from 0.25 to 1.5, with a decimal point"
        );
    }

    #[test]
    fn a_malformed_line_names_the_variable_only_if_it_is_ours() {
        let malformed = |variable| {
            Notice::EnvLineMalformed { path: ".env".into(), line: 7, variable }.line(Language::English)
        };
        assert!(malformed(Some("LOG_LEVEL")).starts_with("Line 7 of .env (LOG_LEVEL) is"));
        assert!(malformed(None).starts_with("Line 7 of .env is malformed"));
    }
}

//! Why a tool or a look-up of a call brought no useful result.

use super::words::Said;
use super::{Detail, Language};
use crate::tool::Failure;

/// Why a tool or a look-up of a call brought no useful result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolTrouble {
    /// There is no answer that can be used.
    Failed(Failure),
    /// The server answered with this HTTP status.
    Status(u16),
    /// The MCP server answered with this JSON-RPC error.
    JsonRpc(i64),
    /// The MCP server wants to show a form, and a telephone call has no screen.
    NeedsScreen,
    /// A template of the file has no value. The text is the template's own, in English.
    Template(Detail),
}

impl Said for ToolTrouble {
    #[rustfmt::skip]
    fn said(&self, language: Language) -> String {
        let say = |spanish: String, english: String| match language {
            Language::Spanish => spanish,
            Language::English => english,
        };
        let fixed = |spanish: &str, english: &str| say(spanish.to_owned(), english.to_owned());
        match self {
            Self::Failed(Failure::Forbidden) => fixed(
                "su nombre lleva a una dirección a la que ninguna herramienta puede llegar (de enlace local, de metadatos o de multidifusión)",
                "its name leads to an address that no tool may reach (of the link, of metadata, or multicast)"),
            Self::Failed(Failure::Closed) => fixed(
                "no se le envía nada ahora, porque falló varias veces seguidas o tiene demasiadas peticiones en curso",
                "nothing is sent to it now, because it failed several times in a row or has too many requests under way"),
            Self::Failed(Failure::NotSent(cause)) => {
                let cause = Detail::new(cause);
                say(format!("no hay conexión ({cause}). Revise que el servidor esté en marcha y que este equipo llegue a él"),
                    format!("there is no connection ({cause}). Check that the server runs and that this machine reaches it"))
            }
            Self::Failed(Failure::Unanswered(cause)) => {
                let cause = Detail::new(cause);
                say(format!("la conexión terminó sin respuesta ({cause})"), format!("the connection ended without an answer ({cause})"))
            }
            Self::Failed(Failure::Late) => fixed(
                "no respondió a tiempo. Si suele tardar más, aumente timeout",
                "it did not answer in time. If it usually takes longer, increase timeout"),
            Self::Failed(Failure::TooLarge { status }) => say(
                format!("la respuesta es demasiado grande (HTTP {status})"),
                format!("the answer is too large (HTTP {status})")),
            Self::Status(status) => say(format!("respondió HTTP {status}"), format!("it answered HTTP {status}")),
            Self::JsonRpc(code) => say(format!("respondió con el error JSON-RPC {code}"), format!("it answered with the JSON-RPC error {code}")),
            Self::NeedsScreen => fixed(
                "pide que alguien llene un formulario, y una llamada no tiene pantalla",
                "it wants somebody to fill in a form, and a telephone call has no screen"),
            Self::Template(cause) => say(
                format!("una plantilla del archivo no dio un valor ({cause})"),
                format!("a template of the file gave no value ({cause})")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trouble_is_told_in_both_languages() {
        let failures = [
            Failure::Forbidden,
            Failure::Closed,
            Failure::NotSent("refused".to_owned()),
            Failure::Unanswered("reset".to_owned()),
            Failure::Late,
            Failure::TooLarge { status: 200 },
        ];
        let others = [
            ToolTrouble::Status(503),
            ToolTrouble::JsonRpc(-32_603),
            ToolTrouble::NeedsScreen,
            ToolTrouble::Template(Detail::new("undefined value")),
        ];
        let mut told = Vec::new();
        for trouble in failures.map(ToolTrouble::Failed).into_iter().chain(others) {
            told.extend([trouble.said(Language::Spanish), trouble.said(Language::English)]);
        }
        let count = told.len();
        told.sort_unstable();
        told.dedup();
        assert_eq!(told.len(), count, "two of them read the same: {told:?}");
    }
}

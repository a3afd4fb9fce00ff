//! The words of the rehearsals, in both languages.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use crate::operator::Language;

/// The words in a language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Words(pub(super) Language);

fn list<T: Display>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| name.to_string()).collect();
    if names.is_empty() { "-".to_owned() } else { names.join(", ") }
}

impl Words {
    fn say(self, spanish: String, english: String) -> String {
        match self.0 {
            Language::Spanish => spanish,
            Language::English => english,
        }
    }

    pub(super) fn pretended(self, agent: &str, examples: &str) -> String {
        self.say(
            format!("Agente {agent}. Valores de ejemplo: {examples} (otros: --call)"),
            format!("Agent {agent}. Example values: {examples} (others: --call)"),
        )
    }

    pub(super) fn nothing_looked_up(self, lookup: &str) -> String {
        self.say(
            format!(
                "lookup.{lookup}: no se consulta, como si no se hubiera encontrado nada (un valor: --lookup)"
            ),
            format!("lookup.{lookup}: not looked up, as if nothing had been found (a value: --lookup)"),
        )
    }

    pub(super) fn argument_twice(self, name: &str) -> String {
        self.say(format!("el argumento {name} está dos veces"), format!("the argument {name} is there twice"))
    }

    pub(super) fn not_sent(self) -> &'static str {
        self.0.choose("La petición no se envió (--dry-run).", "The request was not sent (--dry-run).")
    }

    pub(super) fn took(self, took: Duration, attempts: u32) -> String {
        let ms = took.as_millis();
        let (intentos, tries) = if attempts == 1 { ("intento", "attempt") } else { ("intentos", "attempts") };
        self.say(format!("{ms} ms, {attempts} {intentos}"), format!("{ms} ms, {attempts} {tries}"))
    }

    pub(super) fn model_reads(self) -> &'static str {
        self.0.choose("El modelo lee:", "The model reads:")
    }

    pub(super) fn no_agent<'a>(self, name: &str, known: impl Iterator<Item = &'a Arc<str>>) -> String {
        let known = list(known);
        self.say(
            format!("no hay un agente {name}. Hay: {known}"),
            format!("there is no agent {name}. There are: {known}"),
        )
    }

    pub(super) fn no_tool(self, name: &str, known: Vec<&Arc<str>>) -> String {
        let known = list(known);
        self.say(
            format!("no hay una herramienta {name}. Hay: {known}"),
            format!("there is no tool {name}. There are: {known}"),
        )
    }

    pub(super) fn several_tools<'a>(self, name: &str, agents: impl Iterator<Item = &'a Arc<str>>) -> String {
        let agents = list(agents);
        self.say(
            format!("varios agentes tienen una herramienta {name} distinta: diga --agent. Son: {agents}"),
            format!("several agents have different tools {name}: say --agent. They are: {agents}"),
        )
    }
}

//! The words of the rehearsals, in both languages.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use crate::operator::{Language, there_are};
use crate::units::MicroUsd;

/// The words in a language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Words(pub(super) Language);

fn list<T: Display>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| name.to_string()).collect();
    if names.is_empty() { "-".to_owned() } else { names.join(", ") }
}

impl Words {
    /// The names that could have been given, if there are any.
    fn there_are<T: Display>(self, known: impl IntoIterator<Item = T>) -> String {
        let known: Vec<_> = known.into_iter().map(|name| name.to_string()).collect();
        there_are(&known.join(", "), self.0)
    }

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

    /// `tokens`: what they take in each request to the model, estimated.
    pub(super) fn tools_of_servers<T: Display>(
        self,
        names: impl IntoIterator<Item = T>,
        tokens: usize,
    ) -> String {
        let names = list(names);
        self.say(
            format!("Herramientas de sus servidores MCP: {names} - Tokens (estimado): {tokens}"),
            format!("Tools of its MCP servers: {names} - Tokens (estimated): {tokens}"),
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
        let rest = self.there_are(known);
        self.say(format!("no hay un agente {name}. {rest}"), format!("there is no agent {name}. {rest}"))
    }

    pub(super) fn no_tool(self, name: &str, known: Vec<&Arc<str>>) -> String {
        let rest = self.there_are(known);
        self.say(format!("no hay una herramienta {name}. {rest}"), format!("there is no tool {name}. {rest}"))
    }

    pub(super) fn several_tools<'a>(self, name: &str, agents: impl Iterator<Item = &'a Arc<str>>) -> String {
        let agents = list(agents);
        self.say(
            format!("varios agentes tienen una herramienta {name} distinta: diga --agent. Son: {agents}"),
            format!("several agents have different tools {name}: say --agent. They are: {agents}"),
        )
    }

    pub(super) fn how_to_talk(self, fake: bool, dry_run: bool) -> &'static str {
        match (fake, dry_run) {
            (true, _) => self.0.choose(
                "Modelo simulado: repite lo que oye, y con NOMBRE {\"argumento\":\"valor\"} llama a la herramienta. Los costos son inventados. Ctrl-D termina.",
                "Simulated model: it repeats what it hears, and calls the tool for NAME {\"argument\":\"value\"}. Costs are made up. Ctrl-D ends.",
            ),
            (false, true) => self.0.choose(
                "Las herramientas no se ejecutan. Ctrl-D termina.",
                "Tools are not carried out. Ctrl-D ends.",
            ),
            (false, false) => self.0.choose(
                "Las herramientas se ejecutan de verdad (sin ellas: --dry-run). Ctrl-D termina.",
                "Tools are really carried out (without them: --dry-run). Ctrl-D ends.",
            ),
        }
    }

    pub(super) fn caller(self) -> &'static str {
        self.0.choose("Llamante:", "Caller:")
    }

    pub(super) fn assistant(self) -> &'static str {
        self.0.choose("Asistente:", "Assistant:")
    }

    pub(super) fn goes_on(self, place: &str) -> String {
        self.say(format!("el llamante sigue en {place}"), format!("the caller goes on in {place}"))
    }

    pub(super) fn turn(self, took: Duration, cost: MicroUsd, total: MicroUsd) -> String {
        let seconds = took.as_secs_f64();
        let (cost, total) = (cost.usd(), total.usd());
        self.say(
            format!("  · {seconds:.1} s, {cost:.4} USD (en total {total:.4} USD)"),
            format!("  · {seconds:.1} s, {cost:.4} USD (in all {total:.4} USD)"),
        )
    }

    pub(super) fn over(self, reason: &str, cost: &str) -> String {
        self.say(format!("Fin: {reason}. Costo: {cost}"), format!("The end: {reason}. Cost: {cost}"))
    }

    pub(super) fn demanded(self, what: &str) -> String {
        self.say(format!("debía llamar a: {what}"), format!("it should have called: {what}"))
    }

    pub(super) fn came_instead(self, what: &str) -> String {
        self.say(format!("llamó a: {what}"), format!("it called: {what}"))
    }

    pub(super) fn ended_early(self, reason: &str) -> String {
        self.say(format!("la llamada terminó antes: {reason}"), format!("the call ended before: {reason}"))
    }

    pub(super) fn tried(self, right: usize, wrong: usize, cost: MicroUsd) -> String {
        let cost = cost.usd();
        if right + wrong == 0 {
            return self
                .say("No hay ejemplos ([[example]]).".into(), "There are no examples ([[example]]).".into());
        }
        self.say(
            format!("Ejemplos: {right} bien, {wrong} mal. Costo: {cost:.4} USD"),
            format!("Examples: {right} right, {wrong} wrong. Cost: {cost:.4} USD"),
        )
    }

    pub(super) fn no_recording(self, id: &str, why: &str) -> String {
        self.say(
            format!("no se puede leer la grabación {id}: {why}"),
            format!("the recording {id} cannot be read: {why}"),
        )
    }

    pub(super) fn replays(self, length: Duration) -> String {
        let seconds = length.as_secs();
        self.say(
            format!("Dura lo que la grabación: {seconds} s. No se ejecutan herramientas ni se hacen consultas."),
            format!("It takes as long as the recording: {seconds} s. Tools are not carried out, and look-ups are not made."),
        )
    }

    pub(super) fn before(self) -> &'static str {
        self.0.choose("En la grabación", "In the recording")
    }

    pub(super) fn after(self) -> &'static str {
        self.0.choose("Ahora", "Now")
    }

    pub(super) fn tools_called(self, calls: &[String]) -> String {
        let calls = if calls.is_empty() { "-".to_owned() } else { calls.join("; ") };
        self.say(format!("herramientas: {calls}"), format!("tools: {calls}"))
    }
}

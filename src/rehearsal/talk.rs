//! `agents try`: a conversation with an agent in the terminal, by text.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::cast::{Cast, Model};
use super::given::Given;
use super::hands::{Hands, StandIn};
use super::line::TextLine;
use super::stage::{Caller, Seen, Stage};
use super::words::Words;
use crate::call::ledger::Bill;
use crate::clock::now;
use crate::config::Config;
use crate::end_reason::EndReason;
use crate::logging::Operator;
use crate::operator::Said as _;
use crate::operator::foreign::{plain, plain_json};
use crate::output::print;
use crate::units::{MicroUsd, estimated_tokens};

/// Lines that may wait for the assistant. Whoever feeds a file waits for the answers.
const LINES: usize = 1;
/// The longest line, in characters. The rest of a longer one is not said.
const LINE_CHARS: usize = 4_000;

/// Whom to talk to.
#[derive(Debug, Args)]
pub struct Options {
    /// The name of the agent. `default` is the one of the environment, if no file has this name.
    name: String,
    /// Talks with a simulated model, which repeats what is said, and calls a tool when that is NAME {"argument":"value"}. No key is
    /// needed.
    #[arg(long)]
    pub(crate) fake: bool,
    /// Makes no request of tools and look-ups: shows it, and answers with the results in the agent's examples, or with null.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    given: Given,
}

/// Runs the conversation until stdin ends, the assistant hangs up, or `stop`. Returns the exit code: 0, or 1 if there is no such agent
/// or the model does not serve the call.
///
/// # Errors
/// stdout cannot be written, or the rehearsal cannot be set up.
pub async fn run(
    options: &Options,
    config: &Config,
    operator: Operator,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<u8> {
    let model = if options.fake { Model::parrot()? } else { Model::Real };
    let Some(cast) = Cast::new(config, &options.name, &model, operator).await? else {
        print(&format!(
            "✗ {}",
            plain(&Words(config.log.language).no_agent(&options.name, config.agents.names()))
        ))?;
        return Ok(1);
    };
    let words = cast.words;
    let values = cast.values(&options.given);
    let hands = if options.dry_run {
        Hands::Stand(StandIn::new(&values, cast.example_results()))
    } else {
        cast.real_hands(operator, &values)
    };
    print(&plain(&words.pretended(&options.name, &values.told_examples())))?;
    if let tools @ [_, ..] = cast.tools_of_servers() {
        let tokens = estimated_tokens(tools.iter().map(|tool| tool.characters()).sum());
        print(&plain(&words.tools_of_servers(tools.iter().map(|tool| &tool.name), tokens)))?;
    }
    print(words.how_to_talk(options.fake, options.dry_run))?;
    let stage = cast.stage(Caller::Types(TextLine::default()), &values, hands, operator);
    Talk { stage, words, spent: MicroUsd::ZERO, is_terminal: io::stdin().is_terminal() }.run(stop).await
}

/// A conversation that goes on.
struct Talk {
    stage: Stage,
    words: Words,
    /// What it has cost up to the last turn.
    spent: MicroUsd,
    is_terminal: bool,
}

impl Talk {
    async fn run(mut self, stop: impl Future<Output = ()>) -> anyhow::Result<u8> {
        let (line, mut lines) = mpsc::channel(LINES);
        let mut reading = JoinSet::new();
        reading.spawn_blocking(move || read(io::stdin().lock(), &line));
        tokio::pin!(stop);
        let mut stopped = false;
        while !self.stage.is_over() && !stopped {
            tokio::select! {
                answered = self.listen() => answered?,
                () = &mut stop => stopped = true,
            }
            if self.stage.is_over() || stopped {
                break;
            }
            if self.is_terminal {
                prompt()?;
            }
            let said = tokio::select! {
                said = lines.recv() => said,
                // Meanwhile time passes: a look-up comes late, a session is renewed, a limit is reached.
                ended = self.wait() => { ended?; continue }
                () = &mut stop => None,
            };
            let Some(said) = said else { break };
            if !self.is_terminal {
                print(&format!("{} {}", self.words.caller(), plain(&said)))?;
            }
            self.stage.say(&said);
        }
        self.stage.hang_up();
        while !self.stage.is_over() {
            self.stage.step().await;
            self.show()?;
        }
        let report = self.stage.report();
        let reason = report.reason.said(self.words.0);
        print(&self.words.over(&reason, &report.bill.said().said(self.words.0)))?;
        self.stage.finish().await;
        let has_failed = matches!(
            report.reason,
            EndReason::SessionFailed
                | EndReason::SessionLate
                | EndReason::SessionLost
                | EndReason::ModelFailed
                | EndReason::SetupFailed
                | EndReason::Internal
        );
        Ok(u8::from(has_failed))
    }

    /// Shows what the assistant says and does, until the caller is to speak or the call is over.
    async fn listen(&mut self) -> io::Result<()> {
        let began = now();
        while !self.stage.is_over() && !self.stage.is_at_rest() {
            self.stage.step().await;
            self.show()?;
        }
        self.show_turn(now() - began)
    }

    /// Shows what happens while the caller types nothing. Ends when the assistant has something to say again.
    async fn wait(&mut self) -> io::Result<()> {
        while !self.stage.is_over() && self.stage.is_at_rest() {
            self.stage.step().await;
            self.show()?;
        }
        Ok(())
    }

    fn show(&mut self) -> io::Result<()> {
        self.stage.take_seen().iter().try_for_each(|seen| print(&shown(seen, self.words)))
    }

    /// Shows how long a turn took and what it cost.
    fn show_turn(&mut self, took: Duration) -> io::Result<()> {
        let Some(Bill { at_least, .. }) = self.stage.bill() else { return Ok(()) };
        let at_least = *at_least;
        let of_turn = MicroUsd::new(at_least.get().saturating_sub(self.spent.get()));
        self.spent = at_least;
        print(&self.words.turn(took, of_turn, at_least))
    }
}

/// A line about what happened.
pub(super) fn shown(seen: &Seen, words: Words) -> String {
    match seen {
        Seen::Said(text) => format!("{} {}", words.assistant(), plain(text)),
        Seen::Called { name, arguments } => format!("  → {} {}", plain(name), plain_json(arguments)),
        Seen::NotSent(request) => {
            let lines = request.lines().map(|line| format!("    | {line}\n"));
            format!("{}    {}", lines.collect::<String>(), words.not_sent())
        }
        Seen::Got { output, took, attempts } => {
            format!("  ← {} ({})", plain_json(output), words.took(*took, *attempts))
        }
        Seen::GoesOn(place) => format!("  → {}", plain(&words.goes_on(place))),
    }
}

fn prompt() -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "> ").and_then(|()| out.flush())
}

/// Reads what is typed, line by line, until nobody listens. What is not UTF-8 is read as far as it can be.
fn read(mut input: impl io::BufRead, line: &mpsc::Sender<String>) {
    let mut bytes = Vec::new();
    while input.read_until(b'\n', &mut bytes).is_ok_and(|length| length > 0) {
        let text: String = String::from_utf8_lossy(&bytes).trim().chars().take(LINE_CHARS).collect();
        if !text.is_empty() && line.blocking_send(text).is_err() {
            return;
        }
        bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_not_utf8_is_a_line_and_no_end() {
        let (line, mut lines) = mpsc::channel(4);
        read(&b"hola\n\xff\xfe s\xc3\xad\n\nbye"[..], &line);
        drop(line);
        let said: Vec<_> = std::iter::from_fn(|| lines.blocking_recv()).collect();
        assert_eq!(said, ["hola", "\u{fffd}\u{fffd} s\u{ed}", "bye"]);
    }
}

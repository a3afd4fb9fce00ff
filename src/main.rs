//! The command line: configuration, logging, runtime, the chosen command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use openai_inbound_calls::config::Config;
use openai_inbound_calls::{daemon, logging};
use tokio::signal::unix::{SignalKind, signal};

/// Answers telephone calls of an Asterisk PBX with the OpenAI Realtime API.
///
/// Without a command it runs the daemon: configuration comes from the environment and from `.env` in the
/// working directory (see `.env.example`). SIGTERM lets the live calls finish, then ends it.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {}

fn main() -> ExitCode {
    let Cli { command: None } = Cli::parse();
    serve()
}

/// Runs the daemon until it is told to stop.
fn serve() -> ExitCode {
    let mut config = match Config::load() {
        Ok(config) => config,
        Err(error) => {
            logging::say_without_log(error.language, error.log_path.as_deref(), &error.notices());
            return ExitCode::FAILURE;
        }
    };
    let guard = match logging::init(&config.log) {
        Ok(guard) => guard,
        Err(error) => {
            logging::say_without_log(config.log.language, None, &[error.notice()]);
            return ExitCode::FAILURE;
        }
    };
    let operator = guard.operator();
    for remark in config.remarks.drain(..) {
        operator.say(&remark);
    }
    let run = || -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            let stop = async {
                tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
            };
            daemon::run(config, operator, stop).await
        })
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            operator.say(&openai_inbound_calls::operator::Notice::Unexpected {
                detail: openai_inbound_calls::operator::Detail::new(format!("{error:#}")),
            });
            ExitCode::FAILURE
        }
    }
}

//! The command line: parses the arguments, loads the configuration, starts the log and the runtime, and runs
//! the command.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use futures_util::{Stream, stream};
use openai_inbound_calls::commands::config::Form;
use openai_inbound_calls::config::Config;
use openai_inbound_calls::daemon::lock::{self, Lock};
use openai_inbound_calls::operator::{Detail, Language, Notice};
use openai_inbound_calls::{bench, commands, daemon, demo, doctor, logging, machine, output};
use tokio::signal::unix::{SignalKind, signal};

/// Answers telephone calls of an Asterisk PBX with the OpenAI Realtime API.
///
/// Without a command it runs the daemon: configuration comes from the environment and from `.env` in the
/// working directory (see `.env.example`). SIGTERM lets the live calls finish, then ends it. SIGHUP opens the log file
/// again, and reads the configuration again for new calls.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Shows a call from beginning to end on this machine alone, without Asterisk and without a key.
    ///
    /// The real daemon runs between a simulated Asterisk and a simulated OpenAI. The call is drawn as it happens, kept
    /// as a WAV file in recordings/demo/, and judged. LOG_LANGUAGE=en shows it in English.
    Demo {
        /// Which way the sound of the calls goes.
        #[arg(long, value_enum, default_value_t = demo::Route::Media, conflicts_with = "clinic")]
        route: demo::Route,
        /// Ends after the first call (by the SIP route, after both), with code 0 if all went right and 1 otherwise.
        #[arg(long)]
        once: bool,
        /// Runs only the server of examples/agents/clinic, on 127.0.0.1, for trying that agent by hand. Shows each request.
        ///
        /// The files of the example have port 8099. Another one is given as --clinic=PORT; 0 is any free port.
        #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true, default_missing_value = "8099", conflicts_with = "once")]
        clinic: Option<u16>,
    },
    /// Tries everything that a call needs (variables, files, Asterisk, RTP, the key, the model) and says what to do.
    ///
    /// Takes ten seconds at most, disturbs no call and costs nothing. The exit code says the worst: 0 all is well,
    /// 1 there are warnings, 2 something fails.
    Doctor {
        /// Prints JSON, whose ids and statuses do not change between versions.
        #[arg(long)]
        json: bool,
    },
    /// Shows every variable with the value in force, where that comes from, and what it means; passwords and keys are hidden.
    ///
    /// The command reads the environment and the `.env` of the current folder, as the daemon does: run the command in the
    /// daemon's folder. A service has the environment of its unit, not that of your shell. The exit code is 0 if a daemon
    /// could start with these values, and 1 if something is missing or wrong.
    Config {
        /// Prints JSON, whose fields do not change between versions.
        #[arg(long)]
        json: bool,
    },
    /// Examines the files of agents (AGENTS_DIR), tells which agent takes a call, and tries agents without a telephone.
    #[command(subcommand)]
    Agents(commands::agents::Command),
    /// Measures how many calls this machine carries, how exactly, and at what price; without Asterisk and without a key.
    ///
    /// The real daemon runs on a processor core of its own, simulated calls and a simulated OpenAI on the others. The exit
    /// code is 0 if nothing was lost and nothing left behind.
    Bench(bench::Options),
    /// List, export or delete recordings. Needs the variables of recordings only.
    #[command(subcommand)]
    Recordings(commands::Recordings),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    if let Err(error) = machine::dumps::forbid() {
        return failed(&error.into(), Language::default(), ExitCode::FAILURE);
    }
    match command {
        None => serve(),
        Some(Command::Demo { clinic: Some(port), .. }) => show_clinic(port),
        Some(Command::Demo { route, once, .. }) => show(route, once),
        Some(Command::Doctor { json }) => examine(json),
        Some(Command::Config { json }) => show_config(json),
        Some(Command::Agents(command)) => try_agents(command),
        Some(Command::Bench(options)) => measure(options),
        Some(Command::Recordings(command)) => commands::run(command),
    }
}

/// Runs the demonstration.
fn show(route: demo::Route, once: bool) -> ExitCode {
    // Only the language comes from the configuration; the demonstration sets everything else.
    let language = Config::load().map_or_else(|error| error.language, |config| config.log.language);
    match run(|stop| demo::run(language, route, once, stop)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => failed(&error, language, ExitCode::FAILURE),
    }
}

/// Runs the server of the clinic in the examples.
fn show_clinic(port: u16) -> ExitCode {
    let language = Config::load().map_or_else(|error| error.language, |config| config.log.language);
    match run(|stop| demo::run_clinic(language, port, stop)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<demo::Unopened>() {
            Some(unopened) => {
                logging::say_without_log(language, None, &[unopened.notice()]);
                ExitCode::FAILURE
            }
            None => failed(&error, language, ExitCode::FAILURE),
        },
    }
}

/// Reports why a command failed, unless the reader of its output is gone.
fn failed(error: &anyhow::Error, language: Language, code: ExitCode) -> ExitCode {
    if error.chain().filter_map(|cause| cause.downcast_ref()).any(output::is_unread) {
        return ExitCode::from(output::UNREAD);
    }
    let detail = Detail::new(format!("{error:#}"));
    logging::say_without_log(language, None, &[Notice::Unexpected { detail }]);
    code
}

/// Runs the benchmark.
fn measure(options: bench::Options) -> ExitCode {
    let language = Config::load().map_or_else(|error| error.language, |config| config.log.language);
    let ground = bench::Ground::new(&options);
    match ground.and_then(|ground| run(|stop| bench::run(options, ground, language, stop))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => failed(&error, language, ExitCode::FAILURE),
    }
}

/// Runs the doctor.
fn examine(json: bool) -> ExitCode {
    match run(|stop| doctor::run(json, stop)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => failed(&error, doctor::language(), ExitCode::from(doctor::FAILED)),
    }
}

/// Prints the configuration.
fn show_config(json: bool) -> ExitCode {
    let form = if json { Form::Json } else { Form::Text };
    match commands::config::show(form) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => failed(&error.into(), doctor::language(), ExitCode::FAILURE),
    }
}

/// Examines or tries the agents in files.
fn try_agents(command: commands::agents::Command) -> ExitCode {
    match run(|stop| commands::agents::run(command, stop)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => failed(&error, doctor::language(), ExitCode::FAILURE),
    }
}

/// Runs a task on the runtime and passes it a future that completes on SIGTERM or SIGINT.
fn run<T, F: Future<Output = anyhow::Result<T>>>(
    task: impl FnOnce(Pin<Box<dyn Future<Output = ()> + Send>>) -> F,
) -> anyhow::Result<T> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().thread_name(machine::process::CALL_THREADS).build()?;
    let ended = runtime.block_on(async {
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let stop = async move {
            tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        };
        task(Box::pin(stop)).await
    });
    // A name resolution or a hanging disk may keep a thread busy for any time. The program does not wait for
    // such threads.
    runtime.shutdown_background();
    ended
}

/// On each SIGHUP, reopens the log file and yields the configuration as it is now.
fn reloads(guard: &logging::Guard) -> io::Result<impl Stream<Item = daemon::Reload>> {
    let hangups = signal(SignalKind::hangup())?;
    Ok(stream::unfold(hangups, move |mut hangups| async move {
        loop {
            hangups.recv().await?;
            guard.reopen();
            // Reading runs outside of the event loop, because files may be on a disk that hangs.
            if let Ok(loaded) = tokio::task::spawn_blocking(Config::load).await {
                if let Ok(config) = &loaded {
                    guard.hide(config.secrets());
                }
                return Some((loaded, hangups));
            }
        }
    }))
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
    guard.hide(config.secrets());
    let operator = guard.operator();
    for remark in config.remarks.drain(..) {
        operator.say(&remark);
    }
    let guard = &guard;
    let alone = async |stop| {
        let _lock = match lock::take(&config).await {
            Lock::Held(file) => Some(file),
            Lock::Refused(notice) => {
                operator.say(&notice);
                return Ok(ExitCode::FAILURE);
            }
            Lock::Unknown(notice) => {
                operator.say(&notice);
                None
            }
        };
        daemon::run(config, operator, stop, reloads(guard)?).await?;
        Ok(ExitCode::SUCCESS)
    };
    match run(alone) {
        Ok(code) => code,
        Err(error) => {
            operator.say(&Notice::Unexpected { detail: Detail::new(format!("{error:#}")) });
            ExitCode::FAILURE
        }
    }
}

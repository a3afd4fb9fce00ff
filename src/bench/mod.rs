//! `bench`: measures how many calls one processor core serves, with which delays, and at which cost.
//!
//! ```text
//!   the fakes, in this process,          the program, alone on a core
//!   on the other cores
//!   fake Asterisk, callers  ◄── ARI, RTP ──►  the daemon, everything on,
//!   fake Realtime server    ◄─ WebSocket ──►  or the floor: the least code for the same audio
//! ```
//! Every frame carries a mark with its number (`marks`), so that the frames that arrive can be counted and
//! timed. A run in which the fakes themselves were late measures nothing about the program and counts as
//! invalid.
//!
//! | file | what |
//! |---|---|
//! | `run`, `program` | one run; the measured program, a process on a processor core of its own |
//! | `floor` | the least code that carries the same audio |
//! | `script`, `marks` | what both sides say; the numbered frames in which they say it |
//! | `ramp` | the search for the largest number of calls |
//! | `door` | TLS in front of the fake Realtime server |
//! | `counts` | system calls and wake-ups, which are counted and not timed |
//! | `figures`, `report`, `check` | the results; how they are printed; how they are compared with an earlier run |

mod check;
mod counts;
mod door;
mod figures;
mod floor;
mod marks;
mod program;
mod ramp;
mod report;
mod run;
mod script;

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::operator::Language;
use crate::output::print;
use program::Cores;
use run::{Contender, Figures, Plan};

/// What to measure.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The number of calls at once; with --ramp, the number to begin with.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=5_000))]
    calls: u16,
    /// For how many seconds the calls are measured.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=3_600))]
    seconds: u16,
    /// Finds the largest number of calls of which 99 % of the frames are at most 10 ms late and nothing is lost.
    #[arg(long)]
    ramp: bool,
    /// Measures the floor too: the least code that carries the same sound, to compare with.
    #[arg(long)]
    floor: bool,
    /// Measures another program in the daemon's place: a line for the shell, which gets the daemon's variables
    /// (ASTERISK_HOST, OPENAI_REALTIME_URL, LOCAL_IP_ADDRESS …) and serves calls over ARI.
    #[arg(long, value_name = "COMMAND", conflicts_with = "check")]
    connect: Option<String>,
    /// Puts TLS before the Realtime server (with a certificate of the command openssl); the floor stays without.
    #[arg(long)]
    tls: bool,
    /// Compares with an earlier output of --floor --json, and fails if the daemon takes 15 % more against the floor.
    #[arg(long, value_name = "FILE", requires = "floor")]
    check: Option<PathBuf>,
    /// Counts the daemon's system calls and wake-ups for each call and second, too (with the command perf, as root).
    #[arg(long, conflicts_with_all = ["connect", "ramp"])]
    count: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    /// Sets a variable of the program, NAME=VALUE; can be given several times: RECORD=none, MAX_CALLS=100.
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    set: Vec<(String, String)>,
    /// Runs as the floor. The bench itself starts the floor in this way.
    #[arg(long, hide = true)]
    as_floor: bool,
}

fn variable(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("a variable is NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// What must be prepared before the runtime starts. The threads of the runtime run on the cores of the thread
/// that starts it.
#[derive(Debug)]
pub struct Ground {
    /// None for the floor, which inherits its core from the process that starts it.
    cores: Option<Cores>,
}

impl Ground {
    /// Divides the cores of the processor, and raises the limit on open files of this process and of the
    /// program.
    ///
    /// # Errors
    /// Returns an error if the system does not allow the cores to be read or set.
    pub fn new(options: &Options) -> anyhow::Result<Self> {
        if options.as_floor {
            return Ok(Self { cores: None });
        }
        program::open_many_files();
        Ok(Self { cores: Some(Cores::divide()?) })
    }
}

/// The result of the command.
#[derive(Debug, Serialize, Deserialize)]
struct Measured {
    /// Whether the program had a processor core to itself.
    core_of_its_own: bool,
    daemon: Figures,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    floor: Option<Figures>,
}

/// Measures, prints the result, and returns whether the result is good: no frame lost, nothing left behind,
/// and the fakes on time.
///
/// # Errors
/// Returns an error if the fakes cannot be set up, or if the program does not start or ends early.
pub async fn run(
    options: Options,
    ground: Ground,
    language: Language,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<bool> {
    let Some(cores) = ground.cores else {
        return floor::serve(stop).await.map(|()| true);
    };
    tokio::select! {
        done = measure(&options, language, cores) => done,
        () = stop => Ok(false),
    }
}

async fn measure(options: &Options, language: Language, cores: Cores) -> anyhow::Result<bool> {
    let plan = |contender| Plan {
        contender,
        calls: options.calls.into(),
        seconds: options.seconds.into(),
        tls: options.tls && contender != Contender::Floor,
        variables: &options.set,
        count: options.count && contender == Contender::Daemon,
        cores,
    };
    let core_of_its_own = cores.are_apart();
    let contender = options.connect.as_deref().map_or(Contender::Daemon, Contender::Other);
    let measured = if options.ramp {
        let floor = if options.floor { Some(ramp::most(plan(Contender::Floor)).await?) } else { None };
        Measured { core_of_its_own, daemon: ramp::most(plan(contender)).await?, floor }
    } else {
        let floor = if options.floor { Some(run::run(plan(Contender::Floor)).await?) } else { None };
        Measured { core_of_its_own, daemon: run::run(plan(contender)).await?, floor }
    };
    let text = if options.json {
        serde_json::to_string_pretty(&measured)?
    } else {
        report::text(&measured, language)
    };
    print(&text)?;
    if let Some(file) = &options.check {
        let before = std::fs::read(file).with_context(|| file.display().to_string())?;
        let before = serde_json::from_slice(&before).with_context(|| file.display().to_string())?;
        let more = check::worse(&before, &measured);
        for (what, before, now) in &more {
            writeln!(io::stderr(), "{what}: {before:.2} → {now:.2}")?;
        }
        if !more.is_empty() {
            return Ok(false);
        }
    }
    let floor_counts = measured.floor.as_ref().is_none_or(Figures::is_valid);
    Ok(floor_counts && measured.daemon.is_valid() && measured.daemon.is_whole())
}

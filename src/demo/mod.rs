//! `demo`: runs the real daemon in this process and on loopback, between a fake Asterisk with a caller and a
//! fake OpenAI. The demonstration needs neither Asterisk nor a key.
//!
//! The caller asks for an appointment, interrupts the answer, agrees to another time, says thanks and hangs up, all with
//! recorded speech. The assistant is the agent in `examples/agents/clinic`, and its tools ask a small server of the clinic. The program draws the call as it happens, writes it to a WAV file and judges it at its
//! end. No data leaves the machine.
//!
//! ```text
//!  media:  sim::live::AsteriskServer ◄── ARI, RTP ──► daemon::run ◄── WebSocket ──► sim::live::RealtimeServer
//!                    │                                   └── tools, HTTP ──► clinic      │
//!                    └───────────── story ──► ladder ──► stdout ◄── verdict ──────────────┘
//!
//!  sip:    sim::live::AsteriskServer ◄══ sim::live::Trunk: SIP, sound ══► sim::live::OpenAiCallsServer
//!                    └── ARI ──► daemon::run ◄── webhook, REST, WebSocket ──┘
//! ```
//! By the SIP route there is a second call, in which the caller presses a key and is transferred, and meanwhile a caller for whom there
//! is no room.
//!
//! | file | what |
//! |---|---|
//! | `hall`, `ground` | what the calls of both routes use; folder, configuration and ports |
//! | `media`, `sip` | the calls of each route |
//! | `story`, `ladder` | what happens, as rows; rows as lines |
//! | `verdict` | the checks at the end of a call |
//! | `words`, `clinic` | what is said; the server of the clinic |

mod clinic;
mod ground;
mod hall;
mod ladder;
mod media;
mod sip;
mod story;
mod verdict;
mod words;

use std::future::Future;
use std::io::{self, IsTerminal as _};

use anyhow::Context as _;
use futures_util::stream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::daemon;
use crate::logging;
use crate::operator::Language;
use crate::sim::live::AsteriskServer;
pub use clinic::Unopened;
use clinic::{Clinic, Line};
use ground::{AGENTS, Shown};
use hall::Hall;
use ladder::Pen;
use media::Media;
use sip::Sip;

/// The number of log lines that may wait for the screen. Beyond this number lines appear only in the log
/// file.
const LINES: usize = 1_024;

/// Which way the sound of the calls goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Route {
    /// Through the daemon, by RTP from Asterisk and by WebSocket to OpenAI.
    Media,
    /// From Asterisk to OpenAI by SIP. The daemon decides by webhook and REST, and follows through a WebSocket.
    Sip,
}

/// The OpenAI of a route.
enum OpenAi {
    Media(Media),
    Sip(Sip),
}

/// Runs the demonstration of a route until `stop`, or once. Returns whether all checks passed.
///
/// # Errors
/// Returns an error if the demonstration cannot be set up, for example without loopback or without a writable
/// folder.
pub async fn run(
    language: Language,
    route: Route,
    once: bool,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<bool> {
    let folder = ground::folder().context("no folder to write to")?;
    let (shown, lines) = mpsc::channel(LINES);
    let asterisk = AsteriskServer::start(hall::asterisk(route))?;
    let (openai, variables) = match route {
        Route::Media => {
            let media = Media::start()?;
            let variables = media.variables();
            (OpenAi::Media(media), variables)
        }
        Route::Sip => {
            let sip = Sip::start(&asterisk)?;
            let variables = sip.variables();
            (OpenAi::Sip(sip), variables)
        }
    };
    let clinic = Clinic::open(0, Line::BreaksAfterBooking).await?;
    ground::write_agent(&folder.join(AGENTS), clinic.address()).context("the files of the agent")?;
    let config = ground::config(language, asterisk.address(), &folder, variables)?;
    let guard = logging::init_shown_by(&config.log, Shown(shown))?;
    asterisk.watch();
    let pen = Pen { language, colours: io::stdout().is_terminal() };
    let (log, page) = (config.log.path.clone(), config.archive.api.listen);
    let mut hall = Hall { asterisk, clinic, lines, pen, folder, log, page };
    let (end, ended) = oneshot::channel::<()>();
    let mut service = JoinSet::new();
    let operator = guard.operator();
    service.spawn(async move {
        daemon::run(config, operator, async { drop(ended.await) }, stream::pending()).await
    });
    let performed = async {
        match &openai {
            OpenAi::Media(media) => media.perform(&mut hall, once).await,
            OpenAi::Sip(sip) => sip.perform(&mut hall, once).await,
        }
    };
    let right = tokio::select! {
        right = performed => right?,
        // The daemon itself reports no error here: it normally ends only when told to.
        ended = service.join_next() => {
            ended.context("no daemon")??.context("the daemon ended")?;
            false
        }
        () = stop => true,
    };
    drop(end);
    hall.farewell()?;
    // Running calls have their grace period before the daemon ends.
    while service.join_next().await.is_some() {}
    Ok(right)
}

/// Runs only the clinic's server on this port of loopback, for trying `examples/agents/clinic` by hand, until `stop`.
///
/// # Errors
/// Returns an error if the port is not free, or if stdout cannot be written.
pub async fn run_clinic(language: Language, port: u16, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    clinic::run(language, port, stop).await
}

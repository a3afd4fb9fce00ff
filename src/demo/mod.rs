//! `demo`: runs the real daemon in this process and on loopback, between a fake Asterisk with a caller and a
//! fake Realtime server. The demonstration needs neither Asterisk nor a key.
//!
//! The caller asks for an appointment, interrupts the answer, agrees to another time, says thanks and hangs up, all with
//! recorded speech. The assistant is the agent in `examples/agents/clinic`, and its tools ask a small server of the clinic. The program draws the call as it happens, writes it to a WAV file and judges it at its
//! end. No data leaves the machine.
//!
//! ```text
//!  sim::live::AsteriskServer ◄── ARI, RTP ──► daemon::run ◄── WebSocket ──► sim::live::RealtimeServer
//!            │                                   └── tools, HTTP ──► clinic      │
//!            └───────────── story ──► ladder ──► stdout ◄── verdict ──────────────┘
//! ```

mod clinic;
mod ladder;
mod story;
mod verdict;
mod words;

use std::future::Future;
use std::io::{self, IsTerminal as _, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::stream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::clock::{chance, now, wall};
use crate::config::Config;
use crate::daemon;
use crate::logging;
use crate::media::{FRAME_BYTES, FRAME_DURATION, wav};
use crate::operator::Language;
use crate::output::print;
use crate::sim::asterisk::{CallState, CallerId, IncomingCall, Settings};
use crate::sim::caller::Caller;
use crate::sim::live::asterisk::loopback_address;
use crate::sim::live::{AsteriskServer, RealtimeServer};
pub use clinic::Unopened;
use clinic::{Clinic, Line};
use ladder::Pen;
use story::Story;
use verdict::Evidence;

/// The files of the agent.
const AGENT: [(&str, &str); 3] = [
    ("citas.toml", include_str!("../../examples/agents/clinic/citas.toml")),
    ("citas.md", include_str!("../../examples/agents/clinic/citas.md")),
    ("_crm.toml", include_str!("../../examples/agents/clinic/_crm.toml")),
];
/// The key that the fake server accepts.
const KEY: &str = "sk-demo";
/// The interval at which the screen is updated.
const REFRESH: Duration = Duration::from_millis(100);
/// The age of an event when the screen shows it. Only after this time is it known whether a pause ended the
/// speech. A larger value delays the screen; a smaller value may show events in the wrong order.
const HINDSIGHT: Duration = Duration::from_millis(700);
/// The time limit of a call. A call takes about 30 s, so one that reaches this limit hangs.
const CALL_AT_MOST: Duration = Duration::from_mins(1);
/// The time limit within which all objects of a call must be removed after its end.
const CLEANED_UP_WITHIN: Duration = Duration::from_secs(5);
/// The pause between two calls.
const BETWEEN_CALLS: Duration = Duration::from_secs(5);
/// The number of even ports for the daemon. A port rests 10 s after a call, so a few would suffice.
const RTP_PORTS: u16 = 100;
/// The folder of the agent's files, below the folder of the demonstration.
const AGENTS: &str = "agents";
/// The port on which people expect the dashboard.
const API_PORT: u16 = 5_001;
/// The number of log lines that may wait for the screen. Beyond this number lines appear only in the log
/// file.
const LINES: usize = 1_024;

/// Runs the demonstration until `stop`, or for one call. Returns whether all checks passed.
///
/// # Errors
/// Returns an error if the demonstration cannot be set up, for example without loopback or without a writable
/// folder.
pub async fn run(language: Language, once: bool, stop: impl Future<Output = ()>) -> anyhow::Result<bool> {
    let folder = folder().context("no folder to write to")?;
    let (shown, lines) = mpsc::channel(LINES);
    let asterisk =
        AsteriskServer::start(Settings { media_address: loopback_address(), ..Settings::default() })?;
    let openai = RealtimeServer::start(|_| Arc::new(words::model(KEY, wall())))?;
    let clinic = Clinic::open(0, Line::BreaksAfterBooking).await?;
    write_agent(&folder.join(AGENTS), clinic.address()).context("the files of the agent")?;
    let config = config(language, &asterisk, &openai, &folder)?;
    let guard = logging::init_shown_by(&config.log, Shown(shown))?;
    asterisk.watch();
    openai.watch();
    let mut stage = Stage {
        asterisk,
        openai,
        clinic,
        lines,
        pen: Pen { language, colours: io::stdout().is_terminal() },
        folder,
        log: config.log.path.clone(),
        page: config.archive.api.listen,
        calls: 0,
    };
    let (end, ended) = oneshot::channel::<()>();
    let mut service = JoinSet::new();
    let operator = guard.operator();
    service.spawn(async move {
        daemon::run(config, operator, async { drop(ended.await) }, stream::pending()).await
    });
    let right = tokio::select! {
        right = stage.perform(once) => right?,
        // The daemon itself reports no error here: it normally ends only when told to.
        ended = service.join_next() => {
            ended.context("no daemon")??.context("the daemon ended")?;
            false
        }
        () = stop => true,
    };
    drop(end);
    stage.farewell()?;
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

/// Everything that the calls of the demonstration use.
struct Stage {
    asterisk: AsteriskServer,
    openai: RealtimeServer,
    clinic: Clinic,
    lines: mpsc::Receiver<(Instant, String)>,
    pen: Pen,
    folder: PathBuf,
    log: PathBuf,
    /// The address of the dashboard.
    page: SocketAddr,
    calls: u32,
}

impl Stage {
    async fn perform(&mut self, once: bool) -> anyhow::Result<bool> {
        self.introduce()?;
        timeout(CLEANED_UP_WITHIN, async {
            while self.asterisk.listeners() == 0 {
                sleep(REFRESH).await;
            }
        })
        .await
        .context("the daemon does not connect to Asterisk")?;
        let mut all_right = true;
        loop {
            all_right &= self.call().await?;
            self.openai.forget_finished();
            if once {
                return Ok(all_right);
            }
            sleep(BETWEEN_CALLS).await;
        }
    }

    /// Runs one call, from the INVITE to the verdict.
    async fn call(&mut self) -> anyhow::Result<bool> {
        self.calls += 1;
        let sessions_before = self.openai.sessions().len();
        let begun = now();
        let mut born = begun;
        let id = self.asterisk.call(IncomingCall::default(), |now| {
            born = now;
            Caller::new(now, words::caller(), chance())
        });
        print(&format!("\n{}", self.pen.head()))?;
        let mut story = Story::new(self.pen.language);
        let mut seen = Samples::default();
        let mut refresh = interval(REFRESH);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut over_since = None;
        loop {
            refresh.tick().await;
            let now = now();
            self.observe(&mut story, &mut seen, id, born, sessions_before);
            self.show(&story.take(now, HINDSIGHT), born)?;
            if now - begun > CALL_AT_MOST {
                self.asterisk.hang_up(id);
            }
            let gone = self.asterisk.outcome(id).state == CallState::Gone;
            if gone {
                let since: Instant = *over_since.get_or_insert(now);
                let clean = self.left().is_empty() && self.sessions_over();
                if clean && now - since > HINDSIGHT || now - since > CLEANED_UP_WITHIN {
                    break;
                }
            }
        }
        story.pass(now());
        self.show(&story.take(now(), Duration::ZERO), born)?;
        let right = self.judge(id, born, sessions_before);
        self.asterisk.forget(id);
        self.clinic.clear();
        right
    }

    /// Collects the events since the previous call of this function.
    fn observe(
        &mut self,
        story: &mut Story,
        seen: &mut Samples,
        id: CallerId,
        born: Instant,
        session: usize,
    ) {
        let now = now();
        for event in self.asterisk.seen() {
            story.asterisk(&event);
        }
        for session in self.openai.sessions().iter().skip(session) {
            for said in session.said() {
                story.openai(&said);
            }
        }
        for visit in self.clinic.visits() {
            story.clinic(&visit);
        }
        while let Ok((at, line)) = self.lines.try_recv() {
            story.log(at, &line);
        }
        self.asterisk.phone(id, |phone| {
            let said = phone.said_audio();
            for frame in said[seen.said * FRAME_BYTES..].chunks_exact(FRAME_BYTES) {
                story.said(born + FRAME_DURATION * seen.said as u32, frame);
                seen.said += 1;
            }
            for packet in &phone.heard()[seen.heard..] {
                story.heard(packet.at, &packet.payload);
                seen.heard += 1;
            }
        });
        story.pass(now);
    }

    fn show(&self, rows: &[ladder::Row], since: Instant) -> io::Result<()> {
        rows.iter().try_for_each(|row| print(&self.pen.draw(row, since)))
    }

    fn left(&self) -> Vec<String> {
        [self.asterisk.channels(), self.asterisk.bridges()].concat()
    }

    fn sessions_over(&self) -> bool {
        self.openai.sessions().iter().all(|session| session.is_over())
    }

    /// Prints the checks, writes the recording and returns whether all checks passed.
    fn judge(&self, id: CallerId, born: Instant, session: usize) -> anyhow::Result<bool> {
        let language = self.pen.language;
        let outcome = self.asterisk.outcome(id);
        let mut evidence =
            Evidence { answered_at: outcome.answered_at, left: self.left(), ..Evidence::default() };
        self.asterisk.phone(id, |phone| evidence.of_phone(phone, born));
        (evidence.bookings, evidence.wish) = (self.clinic.bookings(), words::wish(wall()));
        if let Some(session) = self.openai.sessions().get(session) {
            evidence.of_session(session);
        }
        print("")?;
        let mut right = true;
        for check in verdict::checks(&evidence, language) {
            right &= check.passed;
            let (mark, style) = if check.passed { ("✓", "32") } else { ("✗", "31") };
            print(&format!("  {} {}", self.pen.paint(style, mark), check.text.trim_end()))?;
        }
        for (what, delay) in verdict::delays(&evidence, language) {
            let delay = delay.map_or("-".to_owned(), |delay| format!("{} ms", delay.as_millis()));
            print(&format!("  · {what}: {delay}"))?;
        }
        let path = self.folder.join(format!("demo-{}.wav", wall().format("%Y%m%d-%H%M%S")));
        std::fs::write(&path, wav::stereo(&evidence.said, &evidence.heard))
            .with_context(|| path.display().to_string())?;
        let words = language.choose(
            "Grabación (izquierda: llamante, derecha: asistente)",
            "Recording (left: caller, right: assistant)",
        );
        print(&format!("  · {words}: {}", path.display()))?;
        let verdict = match (right, language) {
            (true, Language::Spanish) => "Todo bien.",
            (true, Language::English) => "All is well.",
            (false, Language::Spanish) => "Algo falló: vea las líneas con ✗.",
            (false, Language::English) => "Something went wrong: see the lines with ✗.",
        };
        print(&self.pen.paint("1", &format!("\n  {verdict}")))?;
        Ok(right)
    }

    fn introduce(&self) -> io::Result<()> {
        let (rtp, log, page) = (self.asterisk.address(), self.log.display(), self.page);
        let text = match self.pen.language {
            Language::Spanish => format!(
                "Demostración: el servicio real entre un Asterisk y un OpenAI simulados, todo en este equipo.\n\
                 Los costos que se ven son inventados: no se gasta dinero. Ctrl-C termina.\n\
                 Asterisk: {rtp} - OpenAI: {} - Log: {log}\n\
                 Panel: http://{page}/ (en vivo mientras dura la demostración)",
                self.openai.url()
            ),
            Language::English => format!(
                "Demonstration: the real daemon between a simulated Asterisk and a simulated OpenAI, all on this machine.\n\
                 The costs that are shown are made up: no money is spent. Ctrl-C ends it.\n\
                 Asterisk: {rtp} - OpenAI: {} - Log: {log}\n\
                 Dashboard: http://{page}/ (live while the demonstration runs)",
                self.openai.url()
            ),
        };
        print(&text)
    }

    fn farewell(&self) -> io::Result<()> {
        let words = self.pen.language.choose("El log completo está en", "The whole log is in");
        print(&format!("\n{words} {}", self.log.display()))
    }
}

/// The number of frames of the phone that the story has received.
#[derive(Debug, Default)]
struct Samples {
    said: usize,
    heard: usize,
}

/// Sends the lines of the log to the screen.
struct Shown(mpsc::Sender<(Instant, String)>);

impl Write for Shown {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A line that finds no room is still in the log file.
        drop(self.0.try_send((now(), String::from_utf8_lossy(line).into_owned())));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The configuration of the daemon. It is built from variables, so that the usual code validates it.
fn config(
    language: Language,
    asterisk: &AsteriskServer,
    openai: &RealtimeServer,
    folder: &Path,
) -> anyhow::Result<Config> {
    let ports = free_ports();
    let of_asterisk = Settings::default();
    let variables = [
        ("ASTERISK_HOST", asterisk.address().ip().to_string()),
        ("ASTERISK_PORT", asterisk.address().port().to_string()),
        ("ASTERISK_USERNAME", of_asterisk.user),
        ("ASTERISK_PASSWORD", of_asterisk.password),
        ("OPENAI_API_KEY", KEY.to_owned()),
        ("OPENAI_REALTIME_URL", openai.url()),
        ("LOCAL_IP_ADDRESS", Ipv4Addr::LOCALHOST.to_string()),
        ("RTP_PORTS", format!("{}-{}", ports.start(), ports.end())),
        ("LOG_FILE_PATH", folder.join("demo.log").display().to_string()),
        ("RECORDINGS_DIR", folder.display().to_string()),
        ("AGENTS_DIR", folder.join(AGENTS).display().to_string()),
        ("CRM_TOKEN", "demo".to_owned()),
        ("API_LISTEN", format!("{}:{}", Ipv4Addr::LOCALHOST, free_api_port())),
        ("LOG_LANGUAGE", language.choose("es", "en").to_owned()),
        ("SHUTDOWN_GRACE_SECONDS", "1".to_owned()),
        ("MAX_DAY_COST", "1".to_owned()),
        // One caller at a time is no overload, however busy the machine is.
        ("MAX_FRAME_LATENESS_MS", "0".to_owned()),
    ];
    let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, v)| v.clone());
    Config::from_variables(&variable).map_err(|problems| anyhow::anyhow!("{problems:?}"))
}

/// Writes the files of the agent, with the address of the clinic in place of the one in the example.
fn write_agent(folder: &Path, clinic: SocketAddr) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let example = SocketAddr::from((Ipv4Addr::LOCALHOST, clinic::PORT)).to_string();
    AGENT.iter().try_for_each(|(name, text)| {
        std::fs::write(folder.join(name), text.replace(&example, &clinic.to_string()))
    })
}

/// A range in which every even port is free at this moment. If there is none, the default range.
fn free_ports() -> RangeInclusive<u16> {
    let is_free = |port: u16| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let ranges =
        (10_000..30_000).step_by(2 * RTP_PORTS as usize).map(|first| first..=first + 2 * RTP_PORTS - 1);
    let mut free = ranges.filter(|range| range.clone().step_by(2).all(is_free));
    free.next().unwrap_or(10_000..=20_000)
}

/// The default port of the API if it is free, otherwise any free port.
fn free_api_port() -> u16 {
    let listener =
        [API_PORT, 0].into_iter().find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    listener.and_then(|free| free.local_addr().ok()).map_or(API_PORT, |address| address.port())
}

/// The folder `recordings/demo` in the working directory if it is writable, otherwise a temporary folder. A daemon in
/// the same working directory keeps its recordings and its call log in `recordings`, so that the calls of the
/// demonstration are none of the daemon's.
fn folder() -> io::Result<PathBuf> {
    let candidates =
        [PathBuf::from("recordings/demo"), std::env::temp_dir().join("openai-inbound-calls-demo")];
    let mut last = None;
    for folder in candidates {
        let probe = folder.join("demo.log");
        let writable = std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::OpenOptions::new().create(true).append(true).open(probe));
        match writable {
            Ok(_) => return Ok(folder),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
}

//! What the calls of both routes use: Asterisk, the clinic, the screen, and where the recordings are.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};

use super::Route;
use super::clinic::Clinic;
use super::ladder::{Pen, Row};
use super::story::Story;
use super::verdict::{Check, Delay, Evidence};
use super::words;
use crate::clock::{now, wall};
use crate::media::{FRAME_BYTES, FRAME_DURATION, wav};
use crate::operator::Language;
use crate::output::print;
use crate::sim::asterisk::{CallerId, Settings};
use crate::sim::live::AsteriskServer;
use crate::sim::live::asterisk::loopback_address;

/// The interval at which the screen is updated.
const REFRESH: Duration = Duration::from_millis(100);
/// The age of an event when the screen shows it. Only after this time is it known whether a pause ended the
/// speech. A larger value delays the screen; a smaller value may show events in the wrong order.
pub(super) const HINDSIGHT: Duration = Duration::from_millis(700);
/// The time limit of a call. A call takes about 30 s, so one that reaches this limit hangs.
pub(super) const CALL_AT_MOST: Duration = Duration::from_mins(1);
/// The time limit within which all objects of a call must be removed after its end.
pub(super) const CLEANED_UP_WITHIN: Duration = Duration::from_secs(5);
/// The pause between two calls.
pub(super) const BETWEEN_CALLS: Duration = Duration::from_secs(5);
/// The endpoint by which Asterisk calls OpenAI.
pub(super) const ENDPOINT: &str = "openai";

/// How the fake Asterisk is set up for a route.
pub(super) fn asterisk(route: Route) -> Settings {
    let endpoints = match route {
        Route::Media => Vec::new(),
        Route::Sip => vec![(ENDPOINT.to_owned(), "online".to_owned())],
    };
    Settings { media_address: loopback_address(), endpoints, ..Settings::default() }
}

/// What the calls of both routes use.
pub(super) struct Hall {
    pub(super) asterisk: AsteriskServer,
    pub(super) clinic: Clinic,
    pub(super) lines: mpsc::Receiver<(Instant, String)>,
    pub(super) pen: Pen,
    pub(super) folder: PathBuf,
    pub(super) log: PathBuf,
    /// The address of the dashboard.
    pub(super) page: SocketAddr,
}

/// The number of frames of the phone that the story has received.
#[derive(Debug, Default)]
pub(super) struct Samples {
    said: usize,
    heard: usize,
}

impl Hall {
    /// Says what is shown, and waits until the daemon is connected to Asterisk.
    pub(super) async fn open(&self, introduction: &str, openai: &str) -> anyhow::Result<()> {
        self.introduce(introduction, openai)?;
        timeout(CLEANED_UP_WITHIN, async {
            while self.asterisk.listeners() == 0 {
                sleep(REFRESH).await;
            }
        })
        .await
        .context("the daemon does not connect to Asterisk")
    }

    /// The times at which the screen is updated.
    pub(super) fn refresh() -> Interval {
        let mut refresh = interval(REFRESH);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        refresh
    }

    /// Collects what has happened since the previous call of this function at Asterisk, at the clinic, in the log, and at the phone of
    /// the caller.
    pub(super) fn observe(&mut self, story: &mut Story, seen: &mut Samples, id: CallerId, born: Instant) {
        let now = now();
        for event in self.asterisk.seen() {
            story.asterisk(&event);
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

    pub(super) fn show(&self, rows: &[Row], since: Instant) -> io::Result<()> {
        rows.iter().try_for_each(|row| print(&self.pen.draw(row, since)))
    }

    /// The channels and bridges that still exist.
    pub(super) fn left(&self) -> Vec<String> {
        [self.asterisk.channels(), self.asterisk.bridges()].concat()
    }

    /// What is known of a caller's call at its end.
    pub(super) fn evidence(&self, id: CallerId, born: Instant) -> Evidence {
        let outcome = self.asterisk.outcome(id);
        let mut evidence =
            Evidence { answered_at: outcome.answered_at, left: self.left(), ..Evidence::default() };
        self.asterisk.phone(id, |phone| evidence.of_phone(phone, born));
        (evidence.bookings, evidence.wish) = (self.clinic.bookings(), words::wish(wall()));
        evidence
    }

    /// Prints the checks, writes the recording and returns whether all checks passed.
    pub(super) fn judge(
        &self,
        evidence: &Evidence,
        checks: &[Check],
        delays: &[Delay],
    ) -> anyhow::Result<bool> {
        let language = self.pen.language;
        print("")?;
        let mut right = true;
        for check in checks {
            right &= check.passed;
            let (mark, style) = if check.passed { ("✓", "32") } else { ("✗", "31") };
            print(&format!("  {} {}", self.pen.paint(style, mark), check.text.trim_end()))?;
        }
        for (what, delay) in delays {
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

    fn introduce(&self, introduction: &str, openai: &str) -> io::Result<()> {
        let (rtp, log, page) = (self.asterisk.address(), self.log.display(), self.page);
        let text = match self.pen.language {
            Language::Spanish => format!(
                "{introduction}\n\
                 Los costos que se ven son inventados: no se gasta dinero. Ctrl-C termina.\n\
                 Asterisk: {rtp} - OpenAI: {openai} - Log: {log}\n\
                 Panel: http://{page}/ (en vivo mientras dura la demostración)"
            ),
            Language::English => format!(
                "{introduction}\n\
                 The costs that are shown are made up: no money is spent. Ctrl-C ends it.\n\
                 Asterisk: {rtp} - OpenAI: {openai} - Log: {log}\n\
                 Dashboard: http://{page}/ (live while the demonstration runs)"
            ),
        };
        print(&text)
    }

    pub(super) fn farewell(&self) -> io::Result<()> {
        let words = self.pen.language.choose("El log completo está en", "The whole log is in");
        print(&format!("\n{words} {}", self.log.display()))
    }
}

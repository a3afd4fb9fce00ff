//! One run: starts the fakes and the program, places the calls, and collects the data.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use super::counts::{Counting, Counts};
use super::door::Door;
use super::figures::{Faults, Samples, Spread};
use super::marks::Mark;
use super::program::{Cores, Program};
use super::script::{self, FIRST_CALLER};
use crate::clock::{chance, now};
use crate::machine::process::Process;
use crate::media::FRAME_BYTES;
use crate::sim::asterisk::{CallState, CallerId, Ending, IncomingCall, Settings};
use crate::sim::caller::Caller;
use crate::sim::live::asterisk::loopback_address;
use crate::sim::live::realtime::LiveSession;
use crate::sim::live::{AsteriskServer, RealtimeServer};

/// The interval between the starts of calls. The interval is no divisor or multiple of 20 ms; otherwise the
/// frames of all calls would be due at the same instants.
const APART: Duration = Duration::from_micros(17_300);
/// The interval between the hang-ups at the end.
const HANG_UP_APART: Duration = Duration::from_millis(5);
/// The time limit for the program to become ready, for the last call to be served, and for all calls to be
/// gone.
const PATIENCE: Duration = Duration::from_secs(30);
/// The interval at which a condition is checked.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The pause before the program is measured at rest, and between the start of the calls and their
/// measurement.
const PAUSE: Duration = Duration::from_secs(1);
/// 99 % of the frames of the fakes must leave within this time of their due time. A run with later frames
/// measures the fakes.
const FAKES_P99_MS: f64 = 5.0;
/// The time within which a call that is not served must be back in the dialplan, in milliseconds.
const HANDED_BACK_MS: f64 = 100.0;
/// The lateness that 99 % of the frames may not reach in a successful run, in milliseconds.
pub(super) const CARRIED_P99_MS: f64 = 10.0;
/// The number of files that the daemon may have open after the calls beyond those before: connections to
/// Asterisk that it keeps for the next calls.
const FILES_OF_REST: u64 = 16;
/// A range with enough even ports for every call and the next one.
const RTP_PORTS: &str = "10000-32000";
const API_PORT: u16 = 5_001;

/// The program that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contender<'a> {
    /// The daemon with all its functions.
    Daemon,
    /// The least code that carries the same audio.
    Floor,
    /// The program that this shell command starts.
    Other(&'a str),
}

/// The settings of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan<'a> {
    pub(super) contender: Contender<'a>,
    pub(super) calls: usize,
    pub(super) seconds: u64,
    /// Whether the program reaches the Realtime server by TLS.
    pub(super) tls: bool,
    /// Additional variables for the program, beside those that connect it to the fakes.
    pub(super) variables: &'a [(String, String)],
    /// Whether system calls and wake-ups are counted.
    pub(super) count: bool,
    pub(super) cores: Cores,
}

/// The figures of a run. Times are in milliseconds, sizes in kilobytes (1 024 bytes).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Figures {
    /// The number of calls that arrived.
    pub(super) calls: usize,
    /// The number of calls that were served to the end of the run.
    pub(super) served: usize,
    /// The time from the start of the program until it reports that it is ready.
    pub(super) start_ms: f64,
    /// The processor time per call and minute, in seconds.
    pub(super) cpu_s_per_call_minute: f64,
    /// The use of one core while all calls ran, in percent.
    pub(super) cpu_percent: f64,
    /// The memory without calls.
    pub(super) rest_kb: f64,
    /// The additional memory per call.
    pub(super) kb_per_call: f64,
    /// How much later than the quickest frame of its call a frame reached the caller.
    pub(super) lateness_ms: Spread,
    /// The number of frames that reached callers more than 20 ms late.
    pub(super) late_frames: usize,
    /// The mean interval between two frames to a caller.
    pub(super) clock_ms: f64,
    /// The time from a caller's frame to the `append` that holds it.
    pub(super) uplink_ms: Spread,
    /// The time from the first audio of an answer to its first frame at the caller.
    pub(super) downlink_ms: Spread,
    /// The time from the server's event that the caller speaks to the last frame of the interrupted answer.
    pub(super) barge_in_ms: Spread,
    /// The time from the arrival of a call to its first `append`.
    pub(super) set_up_ms: Spread,
    /// Frames of callers that did not reach the model as they were sent.
    pub(super) from_callers: Faults,
    /// Frames of the model that did not reach callers as they were sent.
    pub(super) to_callers: Faults,
    /// The violations of the protocol that the strict servers found.
    pub(super) violations: Vec<String>,
    /// What still existed after all calls had ended.
    pub(super) left: Vec<String>,
    /// The time that calls took which were given back to the dialplan.
    pub(super) handed_back_ms: Spread,
    /// The lateness of the fakes' own frames.
    pub(super) fakes_ms: Spread,
    /// What the program did for each call and second, if that was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) counts: Option<Counts>,
}

impl Figures {
    /// Whether the fakes were on time. If not, the run measures nothing about the program.
    pub(super) fn is_valid(&self) -> bool {
        self.fakes_ms.p99 <= FAKES_P99_MS
    }

    /// Whether nothing was lost, doubled or left behind, and every caller was served or given back at once.
    pub(super) fn is_whole(&self) -> bool {
        self.from_callers.none()
            && self.to_callers.none()
            && self.left.is_empty()
            && self.violations.is_empty()
            && self.served + self.handed_back_ms.count == self.calls
            && self.handed_back_ms.worst <= HANDED_BACK_MS
    }

    /// Whether the program served this number of calls well enough.
    pub(super) fn is_carried(&self) -> bool {
        let are_all_served = self.served == self.calls;
        self.is_valid() && self.is_whole() && are_all_served && self.lateness_ms.p99 < CARRIED_P99_MS
    }
}

/// A temporary folder, which is deleted with its content when the value is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("openai-inbound-calls-bench-{:016x}", chance()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that cannot be deleted remains.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A call that was placed.
#[derive(Debug, Clone, Copy)]
struct Placed {
    id: CallerId,
    at: Instant,
}

/// The data of a run from which the figures are computed.
struct Seen {
    start_ms: f64,
    at_rest: Process,
    /// The period of the measurement, and the resources that the program had used at its start and at its
    /// end.
    window: Range<Instant>,
    taken: [Process; 2],
    placed: Vec<Placed>,
    /// The calls that were served to the end.
    served: Vec<Placed>,
    fakes: Vec<Duration>,
    left: Vec<String>,
    counts: Option<Counts>,
}

/// Runs the plan.
pub(super) async fn run(plan: Plan<'_>) -> anyhow::Result<Figures> {
    let folder = Folder::new().context("no folder to write to")?;
    let started = now();
    let mut stage = Stage::set(plan, &folder.0).await?;
    stage.until("it is ready", Stage::is_ready).await?;
    let start_ms = ms(now() - started);
    sleep(PAUSE).await;
    let at_rest = stage.program.takes();

    let placed = stage.place().await?;
    stage
        .until("all calls are served", |stage| placed.iter().all(|call| stage.is_served_or_gone(*call)))
        .await?;
    sleep(PAUSE).await;
    drop(stage.asterisk.delays());
    let counting =
        if plan.count { Some(Counting::begin(&stage.program, &folder.0, plan.seconds)?) } else { None };
    let (before, began) = (stage.program.takes(), now());
    sleep(Duration::from_secs(plan.seconds)).await;
    let (after, ended) = (stage.program.takes(), now());
    let counts = counting.map(|counting| counting.end(&stage.program, plan.calls, plan.seconds));
    let counts = counts.transpose()?;
    let fakes = stage.asterisk.delays();

    let is_up = |call: &Placed| stage.state(*call) == CallState::Up;
    let served: Vec<_> = placed.iter().copied().filter(is_up).collect();
    for call in &served {
        stage.asterisk.hang_up(call.id);
        sleep(HANG_UP_APART).await;
    }
    let mut left = stage.what_is_left(at_rest.open_fds).await?;
    stage.program.ask_to_end();
    if stage.until("it ends", |stage| matches!(stage.program.ended(), Ok(Some(_)))).await.is_err() {
        left.push("the program itself, after SIGTERM".to_owned());
    }
    let (window, taken) = (began..ended, [before, after]);
    Ok(stage.figures(Seen { start_ms, at_rest, window, taken, placed, served, fakes, left, counts }))
}

/// The fakes and the program of a run.
struct Stage<'a> {
    plan: Plan<'a>,
    asterisk: AsteriskServer,
    openai: RealtimeServer,
    program: Program,
    _door: Option<Door>,
}

impl<'a> Stage<'a> {
    /// Starts the fakes, and the program that connects to them.
    async fn set(plan: Plan<'a>, folder: &Path) -> anyhow::Result<Self> {
        let settings =
            Settings { media_address: loopback_address(), keep_journal: false, ..Settings::default() };
        let asterisk = AsteriskServer::start(settings)?;
        let openai = RealtimeServer::with_script(script::model())?;
        let api = SocketAddr::new(loopback_address(), API_PORT);
        let door = if plan.tls { Some(Door::before(openai.address(), folder).await?) } else { None };
        let mut variables = variables(&plan, &asterisk, &openai, folder, api);
        // If a variable occurs twice, the later value applies.
        let by_tls = door.iter().flat_map(Door::variables);
        let others =
            by_tls.map(|(name, value)| (name.to_owned(), value)).chain(plan.variables.iter().cloned());
        variables.extend(others);
        let command = match plan.contender {
            Contender::Daemon => Program::ours(&[])?,
            Contender::Floor => Program::ours(&["bench", "--as-floor"])?,
            Contender::Other(line) => Program::other(line),
        };
        let program = Program::start(command, plan.cores, variables, folder, api)?;
        Ok(Self { plan, asterisk, openai, program, _door: door })
    }

    /// Waits until the condition holds, while the program runs.
    async fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) -> anyhow::Result<()> {
        let waited = timeout(PATIENCE, async {
            while !is_so(self) {
                if let Some(status) = self.program.ended()? {
                    ensure!(is_so(self), "the program ended ({status}) before {what}");
                    return Ok(());
                }
                sleep(LOOK_EVERY).await;
            }
            Ok(())
        });
        waited.await.with_context(|| format!("waited for {} s until {what}", PATIENCE.as_secs()))?
    }

    /// Whether calls may come. The daemon and the floor report that they are ready; another program is ready
    /// once it is connected to Asterisk.
    fn is_ready(&mut self) -> bool {
        match self.plan.contender {
            Contender::Daemon | Contender::Floor => self.program.is_ready(),
            Contender::Other(_) => self.asterisk.listeners() > 0,
        }
    }

    async fn place(&mut self) -> anyhow::Result<Vec<Placed>> {
        let mut placed = Vec::new();
        let long = Duration::from_secs(self.plan.seconds) + APART * self.plan.calls as u32 + PATIENCE;
        let began = now();
        for n in 0..self.plan.calls as u32 {
            let script = script::caller(n, long);
            let mut at = now();
            let id = self.asterisk.call(IncomingCall::default(), |now| {
                at = now;
                Caller::new(now, script, u64::from(n))
            });
            placed.push(Placed { id, at });
            if let Some(status) = self.program.ended()? {
                bail!("the program ended ({status}) while calls came");
            }
            sleep((began + APART * (n + 1)).saturating_duration_since(now())).await;
        }
        Ok(placed)
    }

    fn state(&self, call: Placed) -> CallState {
        self.asterisk.outcome(call.id).state
    }

    fn is_served_or_gone(&self, call: Placed) -> bool {
        self.state(call) == CallState::Gone
            || self.asterisk.phone(call.id, |phone| phone.statistics().loud > 5)
    }

    /// The time that a call took to return to the dialplan. None: the call did not return.
    fn handed_back_ms(&self, call: Placed) -> Option<f64> {
        let outcome = self.asterisk.outcome(call.id);
        let is_back = matches!(outcome.ended, Some(Ending::Continued { .. }));
        outcome.ended_at.filter(|_| is_back).map(|at| ms(at - call.at))
    }

    /// What still exists after the time in which everything should have been removed.
    async fn what_is_left(&mut self, files_at_rest: Option<u64>) -> anyhow::Result<Vec<String>> {
        let daemon = self.plan.contender == Contender::Daemon;
        let is_clean = |stage: &mut Self| {
            stage.asterisk.channels().is_empty()
                && stage.asterisk.bridges().is_empty()
                && stage.openai.sessions().iter().all(LiveSession::is_over)
                && (!daemon || stage.program.takes().open_fds <= files_at_rest.map(|fds| fds + FILES_OF_REST))
        };
        if self.until("all is gone", is_clean).await.is_ok() {
            return Ok(Vec::new());
        }
        if let Some(status) = self.program.ended()? {
            bail!("the program ended ({status}) after the calls");
        }
        let mut left = [self.asterisk.channels(), self.asterisk.bridges()].concat();
        let open = self.openai.sessions().iter().filter(|session| !session.is_over()).count();
        if open > 0 {
            left.push(format!("{open} sessions"));
        }
        if let (Some(now), Some(before)) = (self.program.takes().open_fds, files_at_rest)
            && now > before + FILES_OF_REST
        {
            left.push(format!("{} open files", now - before));
        }
        Ok(left)
    }

    /// Computes the figures of the run.
    fn figures(&self, seen: Seen) -> Figures {
        let Seen { start_ms, at_rest, window, taken: [before, after], placed, served, fakes, left, counts } =
            seen;
        let samples = self.samples(&placed, &served, &window);
        let handed_back = placed.iter().filter_map(|call| self.handed_back_ms(*call)).collect();
        let cpu_s = after.cpu_seconds.unwrap_or_default() - before.cpu_seconds.unwrap_or_default();
        let took_s = (window.end - window.start).as_secs_f64();
        let kb = |process: Process| process.resident.unwrap_or_default().get() as f64 / 1_024.0;
        let calls = served.len().max(1) as f64;
        Figures {
            calls: self.plan.calls,
            served: served.len(),
            start_ms,
            cpu_s_per_call_minute: cpu_s / (took_s / 60.0 * calls),
            cpu_percent: 100.0 * cpu_s / took_s,
            rest_kb: kb(at_rest),
            kb_per_call: (kb(after) - kb(at_rest)) / calls,
            late_frames: samples.late(),
            lateness_ms: Spread::of(samples.lateness),
            clock_ms: samples.clock.0 / samples.clock.1.max(1) as f64,
            uplink_ms: Spread::of(samples.uplink),
            downlink_ms: Spread::of(samples.downlink),
            barge_in_ms: Spread::of(samples.barge_in),
            set_up_ms: Spread::of(samples.set_up),
            from_callers: samples.from_callers,
            to_callers: samples.to_callers,
            violations: samples.violations,
            left,
            handed_back_ms: Spread::of(handed_back),
            fakes_ms: Spread::of(fakes.into_iter().map(ms).collect()),
            counts,
        }
    }

    /// The measurements at both ends of the calls.
    fn samples(&self, placed: &[Placed], served: &[Placed], window: &Range<Instant>) -> Samples {
        let mut samples = Samples::default();
        let sessions = self.by_caller();
        for (number, call) in placed.iter().enumerate() {
            if !served.iter().any(|served| served.id == call.id) {
                continue;
            }
            self.asterisk.phone(call.id, |phone| {
                samples.take_phone(phone, window);
                let Some(session) = sessions.get(&(FIRST_CALLER + number as u32)) else {
                    samples.from_callers.lost += phone.sent();
                    return;
                };
                session.look(|session| samples.take(phone, session, call.at, window));
            });
        }
        samples
    }

    /// The sessions, each under the number of the caller who was heard in it.
    fn by_caller(&self) -> HashMap<u32, LiveSession> {
        let speaker = |session: &LiveSession| {
            session.look(|session| {
                let mut frames = session.appended().chunks_exact(FRAME_BYTES);
                frames.find_map(Mark::read).map(|mark| mark.speaker)
            })
        };
        let sessions = self.openai.sessions().into_iter();
        sessions.filter_map(|session| Some((speaker(&session)?, session))).collect()
    }
}

/// All variables that the program gets.
fn variables(
    plan: &Plan<'_>,
    asterisk: &AsteriskServer,
    openai: &RealtimeServer,
    folder: &Path,
    api: SocketAddr,
) -> Vec<(String, String)> {
    let of_asterisk = Settings::default();
    let ours = [
        ("ASTERISK_HOST", asterisk.address().ip().to_string()),
        ("ASTERISK_PORT", asterisk.address().port().to_string()),
        ("ASTERISK_USERNAME", of_asterisk.user),
        ("ASTERISK_PASSWORD", of_asterisk.password),
        ("OPENAI_API_KEY", script::KEY.to_owned()),
        ("OPENAI_REALTIME_URL", openai.url()),
        ("LOCAL_IP_ADDRESS", api.ip().to_string()),
        ("RTP_PORTS", RTP_PORTS.to_owned()),
        ("LOG_FILE_PATH", folder.join("bench.log").display().to_string()),
        ("API_LISTEN", api.to_string()),
        ("MAX_CALLS", (plan.calls + 1).to_string()),
        ("SHUTDOWN_GRACE_SECONDS", "1".to_owned()),
    ];
    ours.map(|(name, value)| (name.to_owned(), value)).into()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

//! One run: fakes, the program, its calls, and what was seen of them.

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

use super::door::Door;
use super::figures::{Faults, Samples, Spread};
use super::marks::Mark;
use super::program::{Cores, Program};
use super::script::{self, FIRST_CALLER};
use crate::daemon::clock::{chance, now};
use crate::daemon::process::Process;
use crate::media::FRAME_BYTES;
use crate::sim::asterisk::{CallState, CallerId, Ending, IncomingCall, Settings};
use crate::sim::caller::Caller;
use crate::sim::live::asterisk::loopback_address;
use crate::sim::live::realtime::LiveSession;
use crate::sim::live::{AsteriskServer, RealtimeServer};

/// Calls begin so far apart. No part of 20 ms: their frames would all be due at the same instant.
const APART: Duration = Duration::from_micros(17_300);
/// In the end they hang up so far apart.
const HANG_UP_APART: Duration = Duration::from_millis(5);
/// How long the program may take to be ready, and the last call to be served or to be gone.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Before and after what is measured at rest.
const PAUSE: Duration = Duration::from_secs(1);
/// 99 % of the fakes' own frames must leave within this of their time: a run of later ones measures the fakes.
const FAKES_P99_MS: f64 = 5.0;
/// A call that is not served must be back in the dialplan by then.
const HANDED_BACK_MS: f64 = 100.0;
/// How late a frame may be, 99 % of them, in a run that is carried.
pub(super) const CARRIED_P99_MS: f64 = 10.0;
/// Files the daemon may have open after calls that it had not before: connections to Asterisk that it keeps for the next.
const FILES_OF_REST: u64 = 16;
/// Even ports for every call and its successor.
const RTP_PORTS: &str = "10000-32000";
const API_PORT: u16 = 5_001;

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contender<'a> {
    /// The daemon, with everything it does.
    Daemon,
    /// The least code that carries the same sound.
    Floor,
    /// Whatever this line for the shell starts.
    Other(&'a str),
}

/// How.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan<'a> {
    pub(super) contender: Contender<'a>,
    pub(super) calls: usize,
    pub(super) seconds: u64,
    /// Whether the Realtime server is reached by TLS.
    pub(super) tls: bool,
    /// Variables of the program, beside those that lead it here.
    pub(super) variables: &'a [(String, String)],
    pub(super) cores: Cores,
}

/// What a run was like. Times are milliseconds, sizes kilobytes (1 024).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Figures {
    /// Calls that came.
    pub(super) calls: usize,
    /// Those that were served to the end of the run.
    pub(super) served: usize,
    /// From the program's start until it says it is ready.
    pub(super) start_ms: f64,
    /// Processor time for a minute of one call.
    pub(super) cpu_s_per_call_minute: f64,
    /// Of one core, while all calls ran.
    pub(super) cpu_percent: f64,
    /// Memory without a call.
    pub(super) rest_kb: f64,
    /// Memory for each call.
    pub(super) kb_per_call: f64,
    /// How much later than the quickest frame of its call a frame came to the caller.
    pub(super) lateness_ms: Spread,
    /// Frames to callers more than 20 ms late.
    pub(super) late_frames: usize,
    /// From one frame to the callers to the next, in the mean.
    pub(super) clock_ms: f64,
    /// From a caller's frame to the `append` with it.
    pub(super) uplink_ms: Spread,
    /// From the first sound of an answer to its first frame.
    pub(super) downlink_ms: Spread,
    /// From the server's word that the caller speaks to the last frame of the answer.
    pub(super) barge_in_ms: Spread,
    /// From a call's arrival to the first `append`.
    pub(super) set_up_ms: Spread,
    /// Sound from callers that the model did not get as it was said.
    pub(super) from_callers: Faults,
    /// Sound of the model that callers did not get as it was said.
    pub(super) to_callers: Faults,
    /// What the strict servers found wrong.
    pub(super) violations: Vec<String>,
    /// What was there after all calls had ended.
    pub(super) left: Vec<String>,
    /// Calls that were given back to the dialplan, by how long they took.
    pub(super) handed_back_ms: Spread,
    /// How late the fakes themselves were.
    pub(super) fakes_ms: Spread,
}

impl Figures {
    /// Whether the fakes were on time: otherwise the run says nothing about the program.
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

    /// Whether so many calls are what the program can carry.
    pub(super) fn is_carried(&self) -> bool {
        let are_all_served = self.served == self.calls;
        self.is_valid() && self.is_whole() && are_all_served && self.lateness_ms.p99 < CARRIED_P99_MS
    }
}

/// A folder that goes with all that is in it.
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
        // Nothing can be done about what remains.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A call that was placed.
#[derive(Debug, Clone, Copy)]
struct Placed {
    id: CallerId,
    at: Instant,
}

/// What a run leaves behind to be counted.
struct Seen {
    start_ms: f64,
    at_rest: Process,
    /// When it was measured, and what the program had taken by then.
    window: Range<Instant>,
    taken: [Process; 2],
    placed: Vec<Placed>,
    /// Those that were served to the end.
    served: Vec<Placed>,
    fakes: Vec<Duration>,
    left: Vec<String>,
}

/// Runs it.
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
    let (before, began) = (stage.program.takes(), now());
    sleep(Duration::from_secs(plan.seconds)).await;
    let (after, ended) = (stage.program.takes(), now());
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
    Ok(stage.figures(Seen { start_ms, at_rest, window, taken, placed, served, fakes, left }))
}

/// Everything a run has.
struct Stage<'a> {
    plan: Plan<'a>,
    asterisk: AsteriskServer,
    openai: RealtimeServer,
    program: Program,
    _door: Option<Door>,
}

impl<'a> Stage<'a> {
    /// Starts the fakes, and the program against them.
    async fn set(plan: Plan<'a>, folder: &Path) -> anyhow::Result<Self> {
        let settings =
            Settings { media_address: loopback_address(), keep_journal: false, ..Settings::default() };
        let asterisk = AsteriskServer::start(settings)?;
        let openai = RealtimeServer::with_script(script::model())?;
        let api = SocketAddr::new(loopback_address(), API_PORT);
        let door = if plan.tls { Some(Door::before(openai.address(), folder).await?) } else { None };
        let mut variables = variables(&plan, &asterisk, &openai, folder, api);
        // Of two of one name, the latter is the program's.
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

    /// Looks again until it is so, while the program runs.
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

    /// Whether calls may come: a daemon says so, of others it must do that they listen to Asterisk.
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

    /// How long a call took to be back in the dialplan, if it was given back.
    fn handed_back_ms(&self, call: Placed) -> Option<f64> {
        let outcome = self.asterisk.outcome(call.id);
        let is_back = matches!(outcome.ended, Some(Ending::Continued { .. }));
        outcome.ended_at.filter(|_| is_back).map(|at| ms(at - call.at))
    }

    /// What is still there when everything has had time to go.
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

    /// What the run was like.
    fn figures(&self, seen: Seen) -> Figures {
        let Seen { start_ms, at_rest, window, taken: [before, after], placed, served, fakes, left } = seen;
        let samples = self.samples(&placed, &served, &window);
        let handed_back = placed.iter().filter_map(|call| self.handed_back_ms(*call)).collect();
        let cpu_s = after.cpu_seconds.unwrap_or_default() - before.cpu_seconds.unwrap_or_default();
        let took_s = (window.end - window.start).as_secs_f64();
        let kb = |process: Process| process.resident_bytes.unwrap_or_default() as f64 / 1_024.0;
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
        }
    }

    /// What both ends have seen.
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

    /// The sessions, by the caller who was heard in them.
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

/// The program's whole environment.
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

//! A small load: fifty calls at once through the real daemon and the live fakes, all in one process.
//!
//! `cargo test --release --test load -- --nocapture` prints the figures. Only what must hold on any machine is
//! asserted: nothing lost, nothing left. Half of the processor time is the fakes'.

use std::path::Path;
use std::time::Duration;

use openai_inbound_calls::config::Config;
use openai_inbound_calls::daemon::{self, clock::now};
use openai_inbound_calls::logging::Operator;
use openai_inbound_calls::operator::Language;
use openai_inbound_calls::sim::asterisk::{CallState, CallerId, IncomingCall, Settings};
use openai_inbound_calls::sim::caller::{Caller, Step};
use openai_inbound_calls::sim::live::asterisk::loopback_address;
use openai_inbound_calls::sim::live::{AsteriskServer, RealtimeServer};
use openai_inbound_calls::sim::realtime::{Answer, Script, pattern};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

const CALLS: usize = 50;
/// The calls begin so far apart: a telephone exchange never sees fifty in one millisecond.
const APART: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_mins(1);

/// About ten seconds: greeted, asks, is answered, hangs up.
fn caller() -> Vec<Step> {
    let listen = [
        Step::WaitForSpeech { at_most: Duration::from_secs(10) },
        Step::WaitForSilence { quiet: Duration::from_millis(300), at_most: Duration::from_secs(20) },
    ];
    [&listen[..], &[Step::Say(pattern(2_000, 7))], &listen[..], &[Step::HangUp]].concat()
}

fn config(asterisk: &AsteriskServer, openai: &RealtimeServer, recordings: &Path, record: &str) -> Config {
    let settings = Settings::default();
    let variables = [
        ("ASTERISK_HOST", asterisk.address().ip().to_string()),
        ("ASTERISK_PORT", asterisk.address().port().to_string()),
        ("ASTERISK_USERNAME", settings.user),
        ("ASTERISK_PASSWORD", settings.password),
        ("OPENAI_API_KEY", "sk-test".to_owned()),
        ("OPENAI_REALTIME_URL", openai.url()),
        ("LOCAL_IP_ADDRESS", loopback_address().to_string()),
        ("LOG_FILE_PATH", "unused.log".to_owned()),
        ("RECORDINGS_DIR", recordings.display().to_string()),
        ("RECORD", record.to_owned()),
        ("API_LISTEN", "127.0.0.1:0".to_owned()),
    ];
    let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|row| row.1.clone());
    Config::from_variables(&variable).expect("a valid configuration")
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = now() + PATIENCE;
    while !condition() {
        assert!(now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Processor seconds of this process so far (proc(5): user and system time, in hundredths).
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: Vec<f64> = behind_name.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    // The state is no number: user and system time are the 11th and 12th behind it.
    ticks.get(10..12).map_or(0.0, |times| times.iter().sum::<f64>() / 100.0)
}

/// Memory of this process, kB (proc(5): `VmRSS`).
fn resident_kb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// What the files of a folder take, MB.
fn megabytes(folder: &Path) -> f64 {
    let files = std::fs::read_dir(folder).expect("the folder").flatten();
    let bytes: u64 = files
        .filter_map(|file| file.metadata().ok())
        .filter(|file| file.is_file())
        .map(|file| file.len())
        .sum();
    bytes as f64 / 1e6
}

/// How much later than the quickest packet of its call each packet came, milliseconds, in order of size.
fn lateness(asterisk: &AsteriskServer, calls: &[CallerId]) -> Vec<f64> {
    let mut all = Vec::new();
    for call in calls {
        asterisk.phone(*call, |phone| {
            let packets = phone.heard();
            let Some(first) = packets.first() else { return };
            let delay = |n: usize| {
                let media = f64::from(packets[n].timestamp.wrapping_sub(first.timestamp)) / 8.0;
                (packets[n].at - first.at).as_secs_f64() * 1_000.0 - media
            };
            let quickest = (0..packets.len()).map(delay).fold(f64::INFINITY, f64::min);
            all.extend((0..packets.len()).map(|n| delay(n) - quickest));
        });
    }
    all.sort_by(f64::total_cmp);
    all
}

/// What the run was like.
fn figures(asterisk: &AsteriskServer, calls: &[CallerId], processor: f64, disk: f64) -> String {
    let late = lateness(asterisk, calls);
    let at = |part: f64| late.get((late.len() as f64 * part) as usize).copied().unwrap_or_default();
    let minutes: f64 = calls
        .iter()
        .map(|call| asterisk.outcome(*call))
        .filter_map(|outcome| Some((outcome.ended_at? - outcome.answered_at?).as_secs_f64() / 60.0))
        .sum();
    format!(
        "{} calls, {minutes:.1} call-minutes, {} frames to the callers\n\
         processor: {processor:.2} s, {:.3} s per call-minute (daemon and fakes)\n\
         disk: {:.2} MB per call-minute\n\
         frame lateness: p50 {:.1} ms, p99 {:.1} ms, worst {:.1} ms",
        calls.len(),
        late.len(),
        processor / minutes,
        disk / minutes,
        at(0.5),
        at(0.99),
        late.last().copied().unwrap_or_default(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_calls_at_once_lose_nothing_and_leave_nothing() {
    for record in ["none", "audio,transcript,events"] {
        println!("RECORD={record}");
        run(record).await;
    }
}

#[expect(clippy::print_stdout, reason = "the figures are what the run is for")]
async fn run(record: &str) {
    let settings = Settings { media_address: loopback_address(), ..Settings::default() };
    let asterisk = AsteriskServer::start(settings).expect("loopback");
    let answers = vec![Answer::pattern("Sí.", 4_000, 2)];
    let openai = RealtimeServer::with_script(Script { answers, ..Script::default() }).expect("loopback");
    let (stop, stopped) = oneshot::channel::<()>();
    let mut service = JoinSet::new();
    let recordings = tempfile::TempDir::new().expect("a folder");
    let config = config(&asterisk, &openai, recordings.path(), record);
    let operator = Operator::new(Language::English);
    service.spawn(async move { daemon::run(config, operator, async { drop(stopped.await) }).await });
    until("the daemon listens", || asterisk.listeners() == 1).await;

    let (before, empty) = (processor_seconds(), resident_kb());
    let mut calls = Vec::new();
    for n in 0..CALLS {
        calls.push(asterisk.call(IncomingCall::default(), |now| Caller::new(now, caller(), n as u64)));
        tokio::time::sleep(APART).await;
    }
    until("all calls are over", || {
        calls.iter().all(|call| asterisk.outcome(*call).state == CallState::Gone)
            && asterisk.channels().is_empty()
    })
    .await;
    let memory = (resident_kb() - empty) / CALLS as f64;
    let processor = processor_seconds() - before;
    until("all sessions are closed", || openai.sessions().iter().all(|session| session.is_over())).await;
    assert_eq!((asterisk.channels(), asterisk.bridges()), (vec![], vec![]));
    assert_eq!(openai.sessions().len(), CALLS);
    for call in calls.iter().copied() {
        let (figures, heard) = asterisk.phone(call, |phone| {
            (
                phone.statistics(),
                phone.heard().iter().flat_map(|packet| packet.payload.to_vec()).collect::<Vec<u8>>(),
            )
        });
        assert_eq!(
            (figures.lost, figures.duplicates, figures.disordered),
            (0, 0, 0),
            "{call:?}: {figures:?}"
        );
        let whole = |clip: &[u8]| heard.windows(clip.len()).any(|window| window == clip);
        assert!(whole(&pattern(1_500, 1)) && whole(&pattern(4_000, 2)), "{call:?} heard all of both");
    }
    for session in openai.sessions() {
        assert_eq!(session.violations(), Vec::<String>::new());
        let (appended, said) = (session.appended(), pattern(2_000, 7));
        assert!(appended.windows(said.len()).any(|window| *window == *said), "the question was heard whole");
    }
    let recorded = || std::fs::read_dir(recordings.path()).expect("the folder").flatten();
    let summaries =
        || recorded().filter(|file| file.file_name().to_string_lossy().ends_with("_summary.txt")).count();
    until("the recordings are there", || record == "none" || summaries() == CALLS).await;
    println!("{}", figures(&asterisk, &calls, processor, megabytes(recordings.path())));
    println!("memory: {memory:.0} kB more per call (daemon and fakes)\n");
    drop(stop);
    service.join_next().await.expect("its task").expect("no panic").expect("in order");
}
